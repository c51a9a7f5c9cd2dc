//! A file of several tables, with texts among their columns: `docs/format.md` describes each of them.

use std::path::Path;

use hdf5::types::VarLenUnicode;
use illume_core::{Batch, Result};

use super::atomic::Unfinished;
use super::h5::{self, Dimension, Maker};

/// A column of texts: name, what it is, a text for each row.
pub type Texts<'a> = (&'a str, &'a str, Vec<String>);

/// One table.
pub struct Group<'a> {
    pub name: &'a str,
    pub description: &'a str,
    /// Name of the rows' dimension, and what the rows are.
    pub rows: Dimension<'a>,
    pub texts: Vec<Texts<'a>>,
    pub columns: Batch,
}

/// Writes a file of these tables, and of long texts at the root: it appears under its name whole or not at all, in the place of an older one.
///
/// # Errors
/// The folder or disk; the sentence names path and cause.
pub fn write_tables(
    path: &Path,
    (format, version): (&str, u64),
    texts: &[(&str, &str)],
    groups: &[Group<'_>],
) -> Result<()> {
    let mut file = Unfinished::create(path)?;
    let fill = || -> hdf5::Result<()> {
        h5::put_text(file.hdf5(), "format", format)?;
        h5::put_number(file.hdf5(), "format_version", version)?;
        for (name, text) in texts {
            // A dataset: attributes end at 64 KB.
            let dataset = file
                .hdf5()
                .new_dataset::<VarLenUnicode>()
                .obj_track_times(false)
                .create(*name)?;
            dataset.write_scalar(&h5::unicode(text)?)?;
        }
        for group in groups {
            let mut maker = Maker::new(file.hdf5(), group.name, 0, group.description)?;
            maker.table(&group.columns, Some(group.rows))?;
            for (name, description, values) in &group.texts {
                maker.texts(name, description, values, group.rows)?;
            }
        }
        Ok(())
    };
    let filled = fill();
    filled.map_err(|e| file.explain(e))?;
    file.finish()
}
