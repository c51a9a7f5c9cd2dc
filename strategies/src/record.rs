//! Records of named numbers: what a strategy shows in the history each generation, and what a checkpoint keeps of it beside its tables.
//!
//! A record says its fields once, with unit and meaning; columns of the history, of the state, and reading them back follow from that.

use illume_core::{Batch, Error, Result};

/// Name, unit and meaning of a column.
pub(crate) type Column = (&'static str, &'static str, &'static str);

/// Columns as a strategy's spec says them.
pub(crate) fn columns(columns: impl IntoIterator<Item = Column>) -> Vec<(String, String, String)> {
    let owned = |(name, unit, meaning): Column| (name.into(), unit.into(), meaning.into());
    columns.into_iter().map(owned).collect()
}

/// What is shown of a generation: a number for each column, all NaN before the first. See [`history_row!`].
///
/// `absent` names a column that this run has not: neither its history nor its checkpoint shows it.
pub(crate) trait HistoryRow: Default {
    const COLUMNS: &'static [Column];

    /// In the order of the columns.
    fn values(&self) -> Vec<f64>;

    /// In the order of the columns.
    fn values_mut(&mut self) -> Vec<&mut f64>;

    /// The same number in every column.
    fn filled(value: f64) -> Self {
        let mut row = Self::default();
        row.values_mut().into_iter().for_each(|place| *place = value);
        row
    }

    fn columns_but(absent: Option<&str>) -> impl Iterator<Item = Column> {
        let shown = move |column: &Column| Some(column.0) != absent;
        Self::COLUMNS.iter().copied().filter(shown)
    }

    fn values_but(&self, absent: Option<&str>) -> Vec<f64> {
        let all = Self::COLUMNS.iter().zip(self.values());
        all.filter(|(column, _)| Some(column.0) != absent)
            .map(|(_, value)| value)
            .collect()
    }

    /// Of [`HistoryRow::values_but`].
    ///
    /// # Errors
    /// So many values are not of such a row.
    fn of(values: &[f64], absent: Option<&str>) -> Result<Self> {
        let mut row = Self::default();
        let mut places = row.values_mut();
        if let Some(at) = Self::COLUMNS.iter().position(|column| Some(column.0) == absent) {
            places.remove(at);
        }
        if places.len() != values.len() {
            return Err(Error::failed(format!(
                "the checkpoint's row of history has {} values, expected {}",
                values.len(),
                places.len()
            )));
        }
        places
            .into_iter()
            .zip(values)
            .for_each(|(place, value)| *place = *value);
        Ok(row)
    }
}

/// The column `row` of a table of scalars.
pub(crate) fn push_row(scalars: &mut Batch, values: Vec<f64>) {
    let meaning = "last values of the strategy's history columns";
    scalars.push("row", values.len(), "", meaning, values);
}

/// What may be a field of [`scalars!`].
pub(crate) trait Field: Sized {
    fn push(&self, table: &mut Batch, column: Column);

    /// # Errors
    /// The column is missing, empty or of another type.
    fn read(table: &Batch, name: &str) -> Result<Self>;
}

macro_rules! field {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn push(&self, table: &mut Batch, (name, unit, meaning): Column) {
                table.push(name, 1, unit, meaning, vec![*self]);
            }

            fn read(table: &Batch, name: &str) -> Result<Self> {
                let value = table.get::<$type>(name)?.first().copied();
                value.ok_or_else(|| Error::failed(format!("the checkpoint's column '{name}' has no row")))
            }
        }
    )*};
}

field!(u32, u64, i64, f64);

impl<const N: usize> Field for [u64; N] {
    fn push(&self, table: &mut Batch, (name, unit, meaning): Column) {
        table.push(name, N, unit, meaning, self.to_vec());
    }

    fn read(table: &Batch, name: &str) -> Result<Self> {
        let value = table.get::<u64>(name)?.try_into();
        value.map_err(|_| Error::failed(format!("the checkpoint's column '{name}' has another length than {N}")))
    }
}

/// A struct of what is shown of a generation: `name: "unit", "meaning";` is a field, an f64, and a column of the history. Its default is NaN in each.
macro_rules! history_row {
    ($(#[$meta:meta])* $vis:vis struct $Row:ident { $($name:ident: $unit:literal, $meaning:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        $vis struct $Row {
            $(#[doc = $meaning] pub $name: f64,)+
        }

        impl Default for $Row {
            fn default() -> $Row {
                $Row { $($name: f64::NAN,)+ }
            }
        }

        impl $crate::record::HistoryRow for $Row {
            const COLUMNS: &'static [$crate::record::Column] = &[$((stringify!($name), $unit, $meaning),)+];

            fn values(&self) -> Vec<f64> {
                vec![$(self.$name),+]
            }

            fn values_mut(&mut self) -> Vec<&mut f64> {
                vec![$(&mut self.$name),+]
            }
        }

        impl $crate::record::Field for $Row {
            fn push(&self, table: &mut illume_core::Batch, (name, unit, meaning): $crate::record::Column) {
                let values = $crate::record::HistoryRow::values(self);
                table.push(name, values.len(), unit, meaning, values);
            }

            fn read(table: &illume_core::Batch, name: &str) -> illume_core::Result<Self> {
                $crate::record::HistoryRow::of(table.get::<f64>(name)?, None)
            }
        }
    };
}

/// A struct of scalars that a checkpoint keeps, a column each: `name: type, "unit", "meaning";`. With `name: type = value, ...` a checkpoint without the
/// column, written by an earlier version, has that value.
macro_rules! scalars {
    ($(#[$meta:meta])* $vis:vis struct $Scalars:ident { $($name:ident: $type:ty $(= $old:expr)?, $unit:literal, $meaning:literal;)+ }) => {
        $(#[$meta])*
        $vis struct $Scalars {
            $(#[doc = $meaning] pub $name: $type,)+
        }

        impl $Scalars {
            $vis fn table(&self) -> illume_core::Batch {
                let mut table = illume_core::Batch::new();
                $($crate::record::Field::push(&self.$name, &mut table, (stringify!($name), $unit, $meaning));)+
                table
            }

            /// # Errors
            /// A column is missing, empty or of another type.
            $vis fn read(table: &illume_core::Batch) -> illume_core::Result<Self> {
                Ok($Scalars {
                    $($name: {
                        let name = stringify!($name);
                        $(if table.find(name).is_none() { $old } else)? {
                            $crate::record::Field::read(table, name)?
                        }
                    },)+
                })
            }
        }
    };
}

pub(crate) use {history_row, scalars};

#[cfg(test)]
mod tests {
    use super::*;

    history_row! {
        struct Row {
            best: "", "the best";
            steps: "steps", "how long";
            ratio: "", "only some have one";
        }
    }

    scalars! {
        struct Kept {
            count: u64, "", "updates";
            weight: f64 = 0.5, "", "of fitness";
            row: Row, "", "last values";
        }
    }

    fn kept() -> Batch {
        let row = Row {
            best: 2.0,
            ..Row::default()
        };
        Kept {
            count: 3,
            weight: 0.25,
            row,
        }
        .table()
    }

    #[test]
    fn a_record_comes_back_from_its_table() {
        let back = Kept::read(&kept()).unwrap();
        assert_eq!((back.count, back.weight, back.row.best), (3, 0.25, 2.0));
        assert!(back.row.steps.is_nan() && back.row.ratio.is_nan());
        let steps = ("steps".into(), "steps".into(), "how long".into());
        assert_eq!(columns(Row::columns_but(Some("ratio")))[1..], [steps]);
    }

    #[test]
    fn a_table_cut_short_is_refused_and_one_of_an_earlier_version_is_not() {
        let without = |name: &str| {
            let mut table = Batch::new();
            let all = kept();
            let left = all.columns().iter().filter(|column| column.name != name);
            left.for_each(|column| table.push_column(column.clone()));
            table
        };
        assert_eq!(Kept::read(&without("weight")).unwrap().weight, 0.5);
        assert!(Kept::read(&without("count")).is_err());
        let mut empty = kept();
        empty.resize(0);
        let said = Kept::read(&empty).err().unwrap().to_string();
        assert!(said.contains("'count' has no row"), "{said}");
        assert!(Row::of(&[1.0, 2.0], None).is_err());
        let row = Row::of(&[1.0, 2.0], Some("steps")).unwrap();
        assert_eq!((row.best, row.ratio), (1.0, 2.0));
    }
}
