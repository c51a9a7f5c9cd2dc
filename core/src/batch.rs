//! Rows with named columns: the one table type for candidates, evaluations, elites, state and files.
//!
//! A column describes itself (name, width, element type, unit, meaning), so a new field never edits a signature.

use crate::{Error, Result};

/// The elements of a column, `[rows * width]`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    U8(Vec<u8>),
    I32(Vec<i32>),
    U32(Vec<u32>),
    I64(Vec<i64>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// Calls `$body` with `$v` bound to the vector inside a [`Data`].
#[macro_export]
macro_rules! each_data {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            $crate::Data::U8($v) => $body,
            $crate::Data::I32($v) => $body,
            $crate::Data::U32($v) => $body,
            $crate::Data::I64($v) => $body,
            $crate::Data::U64($v) => $body,
            $crate::Data::F32($v) => $body,
            $crate::Data::F64($v) => $body,
        }
    };
}

/// A type that can be an element of a column.
pub trait Element: Copy + Default + PartialEq + Send + Sync + 'static {
    const NAME: &'static str;
    fn slice(data: &Data) -> Option<&[Self]>;
    fn vec(data: &mut Data) -> Option<&mut Vec<Self>>;
    fn wrap(values: Vec<Self>) -> Data;
    fn write_le(self, out: &mut Vec<u8>);
    fn read_le(bytes: &[u8]) -> Self;
}

macro_rules! element {
    ($($ty:ty, $variant:ident, $name:literal;)*) => {$(
        impl Element for $ty {
            const NAME: &'static str = $name;
            fn slice(data: &Data) -> Option<&[Self]> {
                if let Data::$variant(v) = data { Some(v) } else { None }
            }
            fn vec(data: &mut Data) -> Option<&mut Vec<Self>> {
                if let Data::$variant(v) = data { Some(v) } else { None }
            }
            fn wrap(values: Vec<Self>) -> Data {
                Data::$variant(values)
            }
            fn write_le(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn read_le(bytes: &[u8]) -> Self {
                let mut raw = [0; size_of::<$ty>()];
                raw.copy_from_slice(bytes);
                <$ty>::from_le_bytes(raw)
            }
        }
    )*};
}
element! { u8, U8, "u8"; i32, I32, "i32"; u32, U32, "u32"; i64, I64, "i64"; u64, U64, "u64"; f32, F32, "f32"; f64, F64, "f64"; }

impl Data {
    pub fn len(&self) -> usize {
        each_data!(self, v => v.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type's name, as numpy would write it without the width rules: `f64`, `i32`, …
    pub fn type_name(&self) -> &'static str {
        fn name<T: Element>(_: &[T]) -> &'static str {
            T::NAME
        }
        each_data!(self, v => name(v))
    }

    /// Bytes of one element.
    pub fn element_size(&self) -> usize {
        fn size<T: Element>(_: &[T]) -> usize {
            size_of::<T>()
        }
        each_data!(self, v => size(v))
    }

    fn empty_like(&self) -> Data {
        fn empty<T: Element>(_: &[T]) -> Data {
            T::wrap(Vec::new())
        }
        each_data!(self, v => empty(v))
    }

    fn resize(&mut self, len: usize) {
        fn resize<T: Element>(v: &mut Vec<T>, len: usize) {
            v.resize(len, T::default());
        }
        each_data!(self, v => resize(v, len))
    }

    /// Appends the elements `range` as little-endian bytes.
    pub fn write_bytes(&self, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
        each_data!(self, v => v[range].iter().for_each(|x| x.write_le(out)))
    }

    /// Overwrites the elements `range` from little-endian bytes.
    pub fn read_bytes(&mut self, range: std::ops::Range<usize>, bytes: &[u8]) {
        fn read<T: Element>(v: &mut [T], bytes: &[u8]) {
            for (x, raw) in v.iter_mut().zip(bytes.chunks_exact(size_of::<T>())) {
                *x = T::read_le(raw);
            }
        }
        each_data!(self, v => read(&mut v[range], bytes))
    }
}

/// A named column: `data` holds `rows * width` elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    /// Elements per row: 1 for a scalar.
    pub width: usize,
    /// Unit of the values, or empty.
    pub unit: String,
    /// What the values mean, one phrase.
    pub description: String,
    pub data: Data,
}

/// A table of named columns with the same number of rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    rows: usize,
    columns: Vec<Column>,
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Bytes of one row over all columns.
    pub fn row_bytes(&self) -> usize {
        self.columns.iter().map(|c| c.width * c.data.element_size()).sum()
    }

    /// Sets the number of rows of every column; new elements are zero.
    pub fn resize(&mut self, rows: usize) {
        self.rows = rows;
        for c in &mut self.columns {
            c.data.resize(rows * c.width);
        }
    }

    /// Adds a zeroed column, or leaves an equal one as it is.
    pub fn declare<T: Element>(&mut self, name: &str, width: usize, unit: &str, description: &str) {
        match self.columns.iter().find(|c| c.name == name) {
            Some(c) => assert!(
                c.width == width && T::slice(&c.data).is_some(),
                "column '{name}' declared twice"
            ),
            None => {
                let data = T::wrap(vec![T::default(); self.rows * width]);
                self.columns.push(Column {
                    name: name.into(),
                    width,
                    unit: unit.into(),
                    description: description.into(),
                    data,
                });
            }
        }
    }

    /// Adds a zeroed column of the name, shape and meaning of this one.
    pub fn declare_like(&mut self, column: &Column) {
        let mut mine = column.clone_shape();
        mine.data.resize(self.rows * mine.width);
        self.columns.push(mine);
    }

    /// Adds a column with its values, `[rows * width]`. The first column sets the number of rows.
    pub fn push<T: Element>(&mut self, name: &str, width: usize, unit: &str, description: &str, values: Vec<T>) {
        if self.columns.is_empty() {
            self.rows = values.len() / width.max(1);
        }
        assert_eq!(
            values.len(),
            self.rows * width,
            "column '{name}': {} rows of width {width}",
            self.rows
        );
        self.columns.push(Column {
            name: name.into(),
            width,
            unit: unit.into(),
            description: description.into(),
            data: T::wrap(values),
        });
    }

    /// Adds a column, or replaces the values of the one of its name without allocating anew.
    pub fn set(&mut self, column: &Column) {
        fn copy<T: Element>(from: &[T], to: &mut Data) -> bool {
            let Some(to) = T::vec(to) else { return false };
            to.clear();
            to.extend_from_slice(from);
            true
        }
        assert_eq!(column.data.len(), self.rows * column.width, "column '{}'", column.name);
        match self.columns.iter_mut().find(|c| c.name == column.name) {
            Some(mine) => {
                let same_type = each_data!(&column.data, v => copy(v, &mut mine.data));
                assert!(
                    same_type && mine.width == column.width,
                    "column '{}' changed its shape",
                    column.name
                );
            }
            None => self.columns.push(column.clone()),
        }
    }

    /// Adds a column as it is. The first column sets the number of rows.
    pub fn push_column(&mut self, column: Column) {
        if self.columns.is_empty() {
            self.rows = column.data.len() / column.width.max(1);
        }
        assert_eq!(column.data.len(), self.rows * column.width, "column '{}'", column.name);
        self.columns.push(column);
    }

    /// Says in which unit a column is, if there is one of this name.
    pub fn set_unit(&mut self, name: &str, unit: &str) {
        if let Some(column) = self.columns.iter_mut().find(|c| c.name == name) {
            column.unit = unit.into();
        }
    }

    /// Says what a column holds, if there is one of this name.
    pub fn set_description(&mut self, name: &str, description: &str) {
        if let Some(column) = self.columns.iter_mut().find(|c| c.name == name) {
            column.description = description.into();
        }
    }

    pub(crate) fn columns_iter_mut(&mut self) -> impl Iterator<Item = &mut Column> {
        self.columns.iter_mut()
    }

    pub fn find(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The values of a column.
    ///
    /// # Errors
    /// No such column, or one of another element type.
    pub fn get<T: Element>(&self, name: &str) -> Result<&[T]> {
        let column = self.find(name).ok_or_else(|| self.missing(name))?;
        T::slice(&column.data).ok_or_else(|| {
            Error::failed(format!(
                "column '{name}' holds {}, {} was asked for",
                column.data.type_name(),
                T::NAME
            ))
        })
    }

    /// The values of a column, to be written.
    ///
    /// # Errors
    /// No such column, or one of another element type.
    pub fn get_mut<T: Element>(&mut self, name: &str) -> Result<&mut [T]> {
        let Some(at) = self.columns.iter().position(|c| c.name == name) else {
            return Err(self.missing(name));
        };
        T::vec(&mut self.columns[at].data)
            .map(|v| v.as_mut_slice())
            .ok_or_else(|| Error::failed(format!("column '{name}' does not hold {}", T::NAME)))
    }

    /// Several columns at once, to be written. The names must differ.
    ///
    /// # Errors
    /// A name that is missing or given twice.
    pub fn columns_mut<const N: usize>(&mut self, names: [&str; N]) -> Result<[&mut Column; N]> {
        let mut at = [0; N];
        for (slot, name) in at.iter_mut().zip(names) {
            *slot = self
                .columns
                .iter()
                .position(|c| c.name == name)
                .ok_or_else(|| self.missing(name))?;
        }
        self.columns
            .get_disjoint_mut(at)
            .map_err(|_| Error::failed(format!("columns {names:?} are not distinct")))
    }

    pub(crate) fn missing(&self, name: &str) -> Error {
        let have: Vec<_> = self.columns.iter().map(|c| c.name.as_str()).collect();
        Error::failed(format!("no column '{name}'; there are {}", have.join(", ")))
    }

    /// A batch with the same columns and `rows` zeroed rows.
    pub fn like(&self, rows: usize) -> Batch {
        let columns = self
            .columns
            .iter()
            .map(|c| Column {
                data: c.data.empty_like(),
                ..c.clone_shape()
            })
            .collect();
        let mut batch = Batch { rows: 0, columns };
        batch.resize(rows);
        batch
    }

    /// The given rows, in the given order.
    pub fn select(&self, rows: &[usize]) -> Batch {
        fn pick<T: Element>(v: &[T], width: usize, rows: &[usize]) -> Data {
            T::wrap(
                rows.iter()
                    .flat_map(|&r| v[r * width..(r + 1) * width].iter().copied())
                    .collect(),
            )
        }
        let columns = self
            .columns
            .iter()
            .map(|c| Column {
                data: each_data!(&c.data, v => pick(v, c.width, rows)),
                ..c.clone_shape()
            })
            .collect();
        Batch {
            rows: rows.len(),
            columns,
        }
    }

    /// Appends all rows as little-endian bytes, column by column; of a column whose rows are all equal, bit by bit, only the first. Returns which columns
    /// those are, a bit for each.
    ///
    /// # Errors
    /// There are more than 64 columns.
    pub fn write_packed(&self, out: &mut Vec<u8>) -> Result<u64> {
        if self.columns.len() > 64 {
            return Err(Error::failed(format!(
                "a table of {} columns cannot be packed",
                self.columns.len()
            )));
        }
        let mut constant = 0;
        for (i, c) in self.columns.iter().enumerate() {
            let (start, row) = (out.len(), c.width * c.data.element_size());
            c.data.write_bytes(0..c.data.len(), out);
            let bytes = &out[start..];
            if row > 0 && self.rows > 0 && bytes.chunks_exact(row).all(|r| *r == bytes[..row]) {
                out.truncate(start + row);
                constant |= 1 << i;
            }
        }
        Ok(constant)
    }

    /// Bytes that [`Batch::write_packed`] makes of `rows` rows if the columns `constant` are.
    pub fn packed_bytes(&self, rows: usize, constant: u64) -> usize {
        let bytes = |(i, c): (usize, &Column)| {
            let written = if constant >> i & 1 == 1 { rows.min(1) } else { rows };
            written * c.width * c.data.element_size()
        };
        self.columns.iter().enumerate().map(bytes).sum()
    }

    /// Overwrites the rows `range` from bytes that [`Batch::write_packed`] made of equal columns.
    ///
    /// # Errors
    /// The number of bytes does not fit.
    pub fn read_packed(&mut self, range: std::ops::Range<usize>, constant: u64, bytes: &[u8]) -> Result<()> {
        if bytes.len() != self.packed_bytes(range.len(), constant) {
            return Err(Error::failed(format!(
                "{} bytes received for {} rows",
                bytes.len(),
                range.len()
            )));
        }
        let mut rest = bytes;
        for (i, c) in self.columns.iter_mut().enumerate().filter(|_| !range.is_empty()) {
            let row = c.width * c.data.element_size();
            let once = constant >> i & 1 == 1;
            let (mine, after) = rest.split_at(if once { row } else { range.len() * row });
            let elements = range.start * c.width..range.end * c.width;
            match once {
                true => c.data.read_bytes(elements, &mine.repeat(range.len())),
                false => c.data.read_bytes(elements, mine),
            }
            rest = after;
        }
        Ok(())
    }
}

impl Column {
    /// The column without its values.
    pub fn clone_shape(&self) -> Column {
        Column {
            name: self.name.clone(),
            width: self.width,
            unit: self.unit.clone(),
            description: self.description.clone(),
            data: self.data.empty_like(),
        }
    }

    /// The values, to be written.
    ///
    /// # Errors
    /// The column holds another element type.
    pub fn values_mut<T: Element>(&mut self) -> Result<&mut [T]> {
        let name = &self.name;
        T::vec(&mut self.data)
            .map(|v| v.as_mut_slice())
            .ok_or_else(|| Error::failed(format!("column '{name}' does not hold {}", T::NAME)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Batch {
        let mut b = Batch::new();
        b.push("fitness", 1, "", "score", vec![1.0f64, 2.0, 3.0]);
        b.push("descriptor", 2, "m", "where", vec![0.0f64, 0.1, 1.0, 1.1, 2.0, 2.1]);
        b.push("operator", 1, "", "who", vec![0i32, 1, 2]);
        b
    }

    #[test]
    fn rows_survive_the_wire_and_equal_ones_travel_once() {
        let mut b = sample();
        b.push("flag", 1, "", "the same for all", vec![7u8; 3]);
        b.push(
            "zero",
            1,
            "",
            "equal numbers of different bits",
            vec![0.0f64, -0.0, 0.0],
        );
        let mut bytes = Vec::new();
        let constant = b.write_packed(&mut bytes).unwrap();
        assert_eq!(constant, 1 << 3);
        assert_eq!(bytes.len(), 3 * b.row_bytes() - 2);
        assert_eq!(bytes.len(), b.packed_bytes(3, constant));
        let mut c = b.like(5);
        c.read_packed(1..4, constant, &bytes).unwrap();
        assert_eq!(c.select(&[1, 2, 3]), b);
        assert!(c.get::<f64>("zero").unwrap()[2].is_sign_negative());
        assert_eq!(c.get::<u8>("flag").unwrap(), [0, 7, 7, 7, 0]);
        // A rank without rows sends nothing.
        bytes.clear();
        let constant = b.like(0).write_packed(&mut bytes).unwrap();
        assert!(bytes.is_empty());
        c.read_packed(2..2, constant, &bytes).unwrap();
    }

    #[test]
    fn a_wrong_name_or_type_is_an_error_that_names_it() {
        let b = sample();
        assert!(b.get::<f64>("fitnes").unwrap_err().to_string().contains("'fitnes'"));
        assert!(b.get::<f32>("fitness").unwrap_err().to_string().contains("f64"));
        let mut b = b;
        assert!(b.columns_mut(["fitness", "fitness"]).is_err());
        assert!(b.columns_mut(["fitness", "operator"]).is_ok());
    }

    #[test]
    fn short_input_is_refused() {
        let mut b = sample();
        assert!(b.read_packed(0..3, 0, &[0; 7]).is_err());
    }
}
