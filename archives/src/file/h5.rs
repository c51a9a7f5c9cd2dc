//! Small pieces of HDF5: attributes, datasets, tables, and errors in words.

use std::collections::HashMap;

use hdf5::types::{TypeDescriptor, VarLenUnicode};
use hdf5::{Dataset, Group, H5Type, Location};
use illume_core::{Batch, Column, Data, Element, Rule, each_data};

use super::{scales, texts};

/// Bytes of a chunk, about; HDF5's chunk cache holds one of them.
const CHUNK_BYTES: usize = 1 << 20;

/// Bytes below which compressing a dataset is not worth its chunk index.
const SMALL: usize = 1 << 14;

/// The attribute of a group that lists its columns in order.
pub(super) const COLUMNS: &str = "columns";

/// Bytes of an array that is kept as an attribute: HDF5 takes 64 KiB, its description included.
const ATTRIBUTE_BYTES: usize = 60_000;

/// Bytes of a text in an array of texts: how long it is, and where it lies.
const TEXT_BYTES: usize = 16;

/// Deflate cannot shrink data by more than this: what claims to is damaged.
const MOST_DEFLATION: u64 = 1100;

/// The cause of an HDF5 error, in its own innermost words.
pub(super) fn cause(error: &hdf5::Error) -> String {
    let frames: Vec<String> = match error {
        hdf5::Error::Internal(message) => return message.clone(),
        other => other
            .stack()
            .map(|s| s.iter().map(|f| f.desc().to_string()).collect())
            .unwrap_or_default(),
    };
    // The operating system's own words, where they are: "... errno = 28, error message = 'No space left on device', ...".
    let system = frames
        .iter()
        .find_map(|f| f.split("error message = '").nth(1)?.split('\'').next());
    match (system, frames.last()) {
        (Some(words), _) => words.to_lowercase(),
        (None, Some(last)) => last.clone(),
        (None, None) => error.to_string(),
    }
}

pub(super) fn unicode(value: &str) -> hdf5::Result<VarLenUnicode> {
    // HDF5's strings end at a zero byte.
    let value = value.replace('\0', "");
    value.parse().map_err(|e| hdf5::Error::Internal(format!("{e}")))
}

pub(super) fn put_text(place: &Location, name: &str, value: &str) -> hdf5::Result<()> {
    place
        .new_attr::<VarLenUnicode>()
        .create(name)?
        .write_scalar(&unicode(value)?)
}

pub(super) fn put_texts(place: &Location, name: &str, values: &[String]) -> hdf5::Result<()> {
    let values: Vec<VarLenUnicode> = values.iter().map(|v| unicode(v)).collect::<hdf5::Result<_>>()?;
    place
        .new_attr::<VarLenUnicode>()
        .shape(values.len())
        .create(name)?
        .write_raw(&values)
}

/// Texts of which there may be any number: an attribute, or a dataset of the group where they are too many for one.
pub(super) fn put_many_texts(group: &Group, name: &str, values: &[String]) -> hdf5::Result<()> {
    let values: Vec<VarLenUnicode> = values.iter().map(|v| unicode(v)).collect::<hdf5::Result<_>>()?;
    put_many(group, name, &values, TEXT_BYTES)
}

/// The same for numbers.
pub(super) fn put_many_numbers<T: H5Type>(group: &Group, name: &str, values: &[T]) -> hdf5::Result<()> {
    put_many(group, name, values, size_of::<T>())
}

fn put_many<T: H5Type>(group: &Group, name: &str, values: &[T], size: usize) -> hdf5::Result<()> {
    if values.len() * size <= ATTRIBUTE_BYTES {
        return group
            .new_attr::<T>()
            .shape(values.len())
            .create(name)?
            .write_raw(values);
    }
    let dataset = group
        .new_dataset::<T>()
        .shape(values.len())
        .obj_track_times(false)
        .create(name)?;
    dataset.write_raw(values)
}

pub(super) fn put_number<T: H5Type>(place: &Location, name: &str, value: T) -> hdf5::Result<()> {
    place.new_attr::<T>().create(name)?.write_scalar(&value)
}

fn string(value: &VarLenUnicode) -> hdf5::Result<String> {
    if value.as_ptr().is_null() {
        return Ok(String::new());
    }
    String::from_utf8(value.as_bytes().to_vec()).map_err(|_| hdf5::Error::Internal("text that is not UTF-8".into()))
}

pub(super) fn get_text(place: &Location, name: &str) -> hdf5::Result<String> {
    string(&place.attr(name)?.read_scalar::<VarLenUnicode>()?)
}

pub(super) fn get_texts(place: &Location, name: &str) -> hdf5::Result<Vec<String>> {
    let attribute = place.attr(name)?;
    if attribute.size() == 0 {
        return Ok(Vec::new());
    }
    attribute.read_raw::<VarLenUnicode>()?.iter().map(string).collect()
}

/// What [`put_many_texts`] wrote into a file of so many bytes.
pub(super) fn get_many_texts(group: &Group, name: &str, file_bytes: u64) -> hdf5::Result<Vec<String>> {
    get_many::<VarLenUnicode>(group, name, file_bytes)?
        .iter()
        .map(string)
        .collect()
}

/// What [`put_many_numbers`] wrote.
pub(super) fn get_many_numbers<T: H5Type>(group: &Group, name: &str, file_bytes: u64) -> hdf5::Result<Vec<T>> {
    get_many(group, name, file_bytes)
}

fn get_many<T: H5Type>(group: &Group, name: &str, file_bytes: u64) -> hdf5::Result<Vec<T>> {
    if group.link_exists(name) {
        return dataset(group, name, file_bytes)
            .map_err(hdf5::Error::Internal)?
            .read_raw();
    }
    let attribute = group.attr(name)?;
    if attribute.size() == 0 {
        Ok(Vec::new())
    } else {
        attribute.read_raw()
    }
}

pub(super) fn get_number<T: H5Type>(place: &Location, name: &str) -> hdf5::Result<T> {
    place.attr(name)?.read_scalar::<T>()
}

/// A rule of an archive: a whole number, a number or a word. None for an attribute that is none of these.
pub(super) fn get_rule(place: &Location, name: &str) -> hdf5::Result<Option<Rule>> {
    let attribute = place.attr(name)?;
    if !attribute.is_scalar() {
        return Ok(None);
    }
    Ok(match attribute.dtype()?.to_descriptor()? {
        TypeDescriptor::Unsigned(_) => Some(Rule::Count(attribute.read_scalar()?)),
        TypeDescriptor::Float(_) => Some(Rule::Number(attribute.read_scalar()?)),
        TypeDescriptor::VarLenUnicode => Some(Rule::Text(get_text(place, name)?)),
        _ => None,
    })
}

/// A group under construction: knows its compression and the dimensions it has named so far.
pub(super) struct Maker {
    pub(super) group: Group,
    compress: u8,
    dimensions: HashMap<String, Dataset>,
}

/// An axis of a dataset: its name, and what its positions are.
pub type Dimension<'a> = (&'a str, &'a str);

/// The first axis of most tables.
pub(super) const ROWS: Dimension<'static> = ("row", "rows of the table");

impl Maker {
    pub(super) fn new(parent: &Group, name: &str, compress: u8, description: &str) -> hdf5::Result<Maker> {
        let group = parent.create_group(name)?;
        put_text(&group, "description", description)?;
        Ok(Maker {
            group,
            compress,
            dimensions: HashMap::new(),
        })
    }

    /// A column of texts, which readers find beside the listed ones.
    pub(super) fn texts(
        &mut self,
        name: &str,
        description: &str,
        values: &[String],
        rows: Dimension<'_>,
    ) -> hdf5::Result<()> {
        let values: Vec<VarLenUnicode> = values.iter().map(|v| unicode(v)).collect::<hdf5::Result<_>>()?;
        let dataset = self.dataset::<VarLenUnicode>(name, &[values.len()], false, ["", description], &[rows])?;
        texts::write(&dataset, &values)?;
        dataset.flush()
    }

    /// An empty dataset of this shape, described and with its axes named. `chunked` ones are written piece by piece.
    pub(super) fn dataset<T: H5Type>(
        &mut self,
        name: &str,
        shape: &[usize],
        chunked: bool,
        [unit, description]: [&str; 2],
        axes: &[Dimension<'_>],
    ) -> hdf5::Result<Dataset> {
        let bytes = shape.iter().product::<usize>() * size_of::<T>();
        let mut builder = self.group.new_dataset::<T>().shape(shape).obj_track_times(false);
        let compressed = self.compress > 0 && bytes >= SMALL;
        if bytes > 0 && (chunked || compressed) {
            builder = builder.chunk(chunk_shape(shape, size_of::<T>()));
            if compressed {
                builder = builder.shuffle().deflate(self.compress);
            }
        }
        let dataset = builder.create(name)?;
        put_text(&dataset, "description", description)?;
        if !unit.is_empty() {
            put_text(&dataset, "units", unit)?;
        }
        for (axis, ((dimension, meaning), &length)) in axes.iter().zip(shape).enumerate() {
            if !self.dimensions.contains_key(*dimension) {
                // Never written to, so that it takes no room.
                let scale = self
                    .group
                    .new_dataset::<u8>()
                    .shape(length)
                    .obj_track_times(false)
                    .create(*dimension)?;
                put_text(&scale, "description", meaning)?;
                scales::make(&scale, dimension, false)?;
                self.dimensions.insert(dimension.to_string(), scale);
            }
            scales::attach(&dataset, axis, &self.dimensions[*dimension], dimension)?;
        }
        Ok(dataset)
    }

    /// A dimension whose positions have names.
    pub(super) fn named_dimension(&mut self, name: &str, description: &str, labels: &[String]) -> hdf5::Result<()> {
        let labels: Vec<VarLenUnicode> = labels.iter().map(|l| unicode(l)).collect::<hdf5::Result<_>>()?;
        let builder = self
            .group
            .new_dataset::<VarLenUnicode>()
            .shape(labels.len())
            .obj_track_times(false);
        let scale = builder.create(name)?;
        texts::write(&scale, &labels)?;
        put_text(&scale, "description", description)?;
        scales::make(&scale, name, true)?;
        self.dimensions.insert(name.to_string(), scale);
        Ok(())
    }

    /// A dataset of a column's values; flushed, so that a full disk shows here.
    pub(super) fn column(&mut self, column: &Column, shape: &[usize], axes: &[Dimension<'_>]) -> hdf5::Result<()> {
        let words = [column.unit.as_str(), column.description.as_str()];
        each_data!(&column.data, values => {
            let dataset = self.dataset_like(values, &column.name, shape, words, axes)?;
            dataset.write_raw(values)?;
            dataset.flush()
        })
    }

    fn dataset_like<T: H5Type>(
        &mut self,
        _: &[T],
        name: &str,
        shape: &[usize],
        words: [&str; 2],
        axes: &[Dimension<'_>],
    ) -> hdf5::Result<Dataset> {
        self.dataset::<T>(name, shape, false, words, axes)
    }

    /// All columns of a table, with names for the axes if `rows` names the first; their order is kept in an attribute.
    pub(super) fn table(&mut self, table: &Batch, rows: Option<Dimension<'_>>) -> hdf5::Result<()> {
        let names: Vec<String> = table.columns().iter().map(|c| c.name.clone()).collect();
        put_texts(&self.group, COLUMNS, &names)?;
        for column in table.columns() {
            let item = match column.name.as_str() {
                "genome" => "gene".to_string(),
                descriptor if descriptor.ends_with("descriptor") => "axis".to_string(),
                other => format!("{other}_item"),
            };
            let axes: Vec<Dimension<'_>> = rows
                .into_iter()
                .flat_map(|rows| [rows, (item.as_str(), "entries of a row")])
                .collect();
            match column.width {
                // A descriptor is a row of numbers even where that is one.
                1 if item != "axis" => self.column(column, &[table.rows()], &axes)?,
                width => self.column(column, &[table.rows(), width], &axes)?,
            }
        }
        Ok(())
    }
}

fn chunk_shape(shape: &[usize], size: usize) -> Vec<usize> {
    let row = shape[1..].iter().product::<usize>().max(1) * size;
    let rows = (CHUNK_BYTES / row).clamp(1, shape[0]);
    let mut chunk = shape.to_vec();
    chunk[0] = rows;
    if let Some(last) = chunk.get_mut(1) {
        *last = (*last).min(CHUNK_BYTES / size);
    }
    chunk
}

/// Rows of a chunk of a dataset of f32 rows: pieces that are a multiple of it are written fastest.
pub(super) fn chunk_rows(dim: usize) -> usize {
    (CHUNK_BYTES / (4 * dim.max(1))).max(1)
}

/// What went wrong with a dataset, one phrase.
type Problem = String;

/// A dataset whose claimed size is possible in a file of `file_bytes`.
pub(super) fn dataset(group: &Group, name: &str, file_bytes: u64) -> Result<Dataset, Problem> {
    let path = format!("{}/{name}", group.name().trim_end_matches('/'));
    if !group.link_exists(name) {
        return Err(format!("the dataset {path} is missing"));
    }
    let dataset = group
        .dataset(name)
        .map_err(|e| format!("{path} is damaged ({})", cause(&e)))?;
    let size = dataset.dtype().map_err(|e| cause(&e))?.size() as u128;
    let shape = dataset
        .get_shape()
        .map_err(|e| format!("{path} is damaged ({})", cause(&e)))?;
    let claimed = shape.iter().fold(size, |product, &n| product.saturating_mul(n as u128));
    if claimed > u128::from(file_bytes) * u128::from(MOST_DEFLATION) + (1 << 20) {
        return Err(format!(
            "the dataset {path} claims {claimed} bytes, more than the file can hold"
        ));
    }
    Ok(dataset)
}

/// A dataset that must have this element type and shape.
pub(super) fn expect<T: H5Type + Element>(
    group: &Group,
    name: &str,
    shape: &[usize],
    file_bytes: u64,
) -> Result<Dataset, Problem> {
    let dataset = dataset(group, name, file_bytes)?;
    let found = dataset.shape();
    let right_type = dataset.dtype().is_ok_and(|t| t.is::<T>());
    if found != shape || !right_type {
        let expected = format!("{} {shape:?}", T::NAME);
        let given = format!("{} {found:?}", type_name(&dataset));
        return Err(format!("the dataset {} is {given}, not {expected}", dataset.name()));
    }
    Ok(dataset)
}

/// All values of a dataset that must have this type and shape.
pub(super) fn values<T: H5Type + Element>(
    group: &Group,
    name: &str,
    shape: &[usize],
    file_bytes: u64,
) -> Result<Vec<T>, Problem> {
    let dataset = expect::<T>(group, name, shape, file_bytes)?;
    if shape.contains(&0) {
        return Ok(Vec::new());
    }
    dataset
        .read_raw()
        .map_err(|e| format!("the dataset {} cannot be read ({})", dataset.name(), cause(&e)))
}

fn type_name(dataset: &Dataset) -> String {
    dataset
        .dtype()
        .ok()
        .and_then(|t| t.to_descriptor().ok())
        .map_or("of an unknown type".into(), |t| t.to_string())
}

/// A table that [`Maker::table`] wrote.
pub(super) fn read_table(group: &Group, file_bytes: u64) -> Result<Batch, Problem> {
    let names = get_texts(group, COLUMNS).map_err(|_| format!("the group {} has no list of columns", group.name()))?;
    let mut table = Batch::new();
    for name in names {
        let (column, rows) = read_column(group, name, file_bytes)?;
        if !table.columns().is_empty() && rows != table.rows() {
            return Err(format!(
                "the dataset {}/{} has {rows} rows, others have {}",
                group.name(),
                column.name,
                table.rows()
            ));
        }
        if table.columns().is_empty() {
            table.resize(rows);
        }
        if table.find(&column.name).is_some() {
            return Err(format!("the group {} lists '{}' twice", group.name(), column.name));
        }
        push(&mut table, column, rows);
    }
    Ok(table)
}

/// A column of a table, of any element type, and its rows.
pub(super) fn read_column(group: &Group, name: String, file_bytes: u64) -> Result<(Column, usize), Problem> {
    let dataset = dataset(group, &name, file_bytes)?;
    let shape = dataset.shape();
    let (rows, width) = match shape[..] {
        [rows] => (rows, 1),
        [rows, width] => (rows, width),
        _ => return Err(format!("the dataset {} has {} axes", dataset.name(), shape.len())),
    };
    let column = Column {
        data: read_data(&dataset)?,
        unit: get_text(&dataset, "units").unwrap_or_default(),
        description: get_text(&dataset, "description").unwrap_or_default(),
        name,
        width,
    };
    Ok((column, rows))
}

/// Adds a column to a table whose number of rows is known, even where the column is of no width.
fn push(table: &mut Batch, column: Column, rows: usize) {
    let first = table.columns().is_empty();
    if first && column.width == 0 {
        // A column of no width cannot tell the number of rows.
        let mut with_rows = Batch::new();
        with_rows.push_column(column);
        with_rows.resize(rows);
        *table = with_rows;
    } else {
        table.push_column(column);
    }
}

fn read_data(dataset: &Dataset) -> Result<Data, Problem> {
    fn read<T: H5Type + Element>(dataset: &Dataset) -> Option<Result<Data, Problem>> {
        let right = dataset.dtype().is_ok_and(|t| t.is::<T>());
        let failed = |e| format!("the dataset {} cannot be read ({})", dataset.name(), cause(&e));
        right.then(|| match dataset.size() {
            0 => Ok(T::wrap(Vec::new())),
            _ => dataset.read_raw::<T>().map(T::wrap).map_err(failed),
        })
    }
    read::<u8>(dataset)
        .or_else(|| read::<i32>(dataset))
        .or_else(|| read::<u32>(dataset))
        .or_else(|| read::<i64>(dataset))
        .or_else(|| read::<u64>(dataset))
        .or_else(|| read::<f32>(dataset))
        .or_else(|| read::<f64>(dataset))
        .unwrap_or_else(|| {
            Err(format!(
                "the dataset {} holds {}, which no column does",
                dataset.name(),
                type_name(dataset)
            ))
        })
}
