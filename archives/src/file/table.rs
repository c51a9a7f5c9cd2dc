//! A file of one table with what there is to say about it: reports. `docs/format.md` describes each of them.

use std::path::Path;

use illume_core::{Batch, Result};

use super::atomic::Unfinished;
use super::h5::{self, Maker};

/// What goes into the file.
pub struct Table<'a> {
    /// The root's attribute `format`, which tells readers what this is.
    pub format: &'a str,
    pub version: u64,
    /// The root's further attributes.
    pub texts: &'a [(&'a str, String)],
    pub counts: &'a [(&'a str, u64)],
    pub numbers: &'a [(&'a str, f64)],
    /// Names of the descriptor's axes, which label the columns named `descriptor`.
    pub axes: &'a [String],
    /// Name of the table's group, and what the table is.
    pub group: [&'a str; 2],
    /// Name of the rows' dimension, and what the rows are.
    pub rows: (&'a str, &'a str),
    pub columns: &'a Batch,
}

/// Writes the file: it appears under its name whole or not at all, in the place of an older one.
///
/// # Errors
/// The folder or disk; the sentence names path and cause.
pub fn write_table(path: &Path, table: &Table<'_>) -> Result<()> {
    let mut file = Unfinished::create(path)?;
    let filled = fill(file.hdf5(), table);
    filled.map_err(|e| file.explain(e))?;
    file.finish()
}

fn fill(file: &hdf5::File, t: &Table<'_>) -> hdf5::Result<()> {
    h5::put_text(file, "format", t.format)?;
    h5::put_number(file, "format_version", t.version)?;
    for (name, value) in t.texts {
        h5::put_text(file, name, value)?;
    }
    for (name, value) in t.counts {
        h5::put_number(file, name, *value)?;
    }
    for (name, value) in t.numbers {
        h5::put_number(file, name, *value)?;
    }
    h5::put_many_texts(file, "axes", t.axes)?;
    let [name, meaning] = t.group;
    let mut maker = Maker::new(file, name, 0, meaning)?;
    maker.named_dimension("axis", "axes of the descriptor", t.axes)?;
    maker.table(t.columns, Some(t.rows))
}
