//! `illume plot`: a heat map of an archive.

use std::path::{Path, PathBuf};

use illume_archives::file;
use illume_core::{Error, Result};

use crate::output::write_atomically;
use crate::plot::{captions, heat_map};

/// Pixels for a unit of the drawing in a PNG.
const SCALE: f32 = 2.0;

/// Writes a picture of the archive; `.svg` or `.png` by the ending of `to`. Without `to`, a PNG and an SVG beside the archive.
/// Returns the files written.
///
/// # Errors
/// No archive, one without two axes, another ending, or a folder that cannot be written.
pub fn plot(path: &Path, to: Option<&Path>, axes: Option<[usize; 2]>) -> Result<Vec<PathBuf>> {
    let path = super::archive_path(path)?;
    let targets = match to {
        Some(to) => vec![to.to_path_buf()],
        None => ["png", "svg"].map(|ending| path.with_extension(ending)).to_vec(),
    };
    for target in &targets {
        let ending = target.extension().map(|e| e.to_string_lossy().to_lowercase());
        if !matches!(ending.as_deref(), Some("png" | "svg")) {
            return Err(Error::input(format!(
                "-o {}: expected a name that ends in .png or .svg",
                target.display()
            )));
        }
    }
    let file = file::open(&path)?;
    let fitness = file.fitness_by_cell();
    let (title, subtitle) = captions(&file.attributes, &file.metrics());
    let map = heat_map(title, subtitle, &file.spec, &file.elites, &fitness, axes)?;
    for target in &targets {
        let svg = target.extension().is_some_and(|e| e.eq_ignore_ascii_case("svg"));
        let bytes = if svg { map.svg().into_bytes() } else { map.png(SCALE)? };
        write_atomically(target, &bytes)?;
    }
    Ok(targets)
}
