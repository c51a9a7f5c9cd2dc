//! A data frame as arrays: what `numpy.savez(file, **archive.data())` writes, and our own.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use illume_cluster::memory::available;
use illume_core::{Result, npy};

use super::frame::{self, Values};
use super::{Foreign, refuse};

/// What an export adds that is of no elite.
const OF_THE_RUN: &str = "observation_";

/// Reads it.
///
/// # Errors
/// No ZIP archive, an array that cannot be read, or as [`frame::foreign`].
pub fn read(path: &Path) -> Result<Foreign> {
    let cannot = |e: &dyn std::fmt::Display| refuse(path, &e.to_string());
    let file = BufReader::new(File::open(path).map_err(|e| cannot(&e))?);
    let no_zip = |_| refuse(path, "is no .npz of numpy, or is truncated");
    let mut zip = zip::ZipArchive::new(file).map_err(no_zip)?;
    let (mut fields, mut notes) = (Vec::new(), Vec::new());
    let (mut inflated, memory) = (0.0, available(1));
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).map_err(|e| cannot(&e))?;
        let name = entry
            .name()
            .map_err(|e| cannot(&e))?
            .trim_end_matches(".npy")
            .to_string();
        if name.starts_with(OF_THE_RUN) {
            continue;
        }
        let size = entry.size();
        inflated += size as f64;
        if inflated > memory {
            return Err(refuse(
                path,
                &format!("its arrays take more than the {memory:.0} bytes of memory that are free here"),
            ));
        }
        let mut bytes = Vec::new();
        entry
            .by_ref()
            .take(size)
            .read_to_end(&mut bytes)
            .map_err(|e| cannot(&e))?;
        let needed = [
            "solution",
            "genome",
            "objective",
            "fitness",
            "measures",
            "descriptor",
            "index",
            "cell",
        ];
        match npy::array(&name, &bytes) {
            Ok(field) => fields.push(field),
            Err(what) if needed.contains(&name.as_str()) => return Err(refuse(path, &format!("{name} {what}"))),
            Err(what) => notes.push(format!("array {name} is left out: it {what}")),
        }
    }
    // Arrays of one number a row and of rows of one number are alike here.
    for field in &mut fields {
        if let (Values::Large(v), true) = (&field.values, field.name != "seed") {
            let small: Option<Vec<i64>> = v.iter().map(|&x| i64::try_from(x).ok()).collect();
            field.values = small.map_or_else(|| field.values.clone(), Values::Whole);
        }
    }
    let mut foreign = frame::foreign(path, "arrays of a data frame", fields)?;
    foreign.notes.extend(notes);
    Ok(foreign)
}
