//! The frames of an animation as PNG files in a folder.

use std::fs;
use std::path::Path;

use illume_core::{Error, Result};
use resvg::tiny_skia::{IntSize, Pixmap};

use super::{Animation, Frame, enlarged};

/// Writes `frame-0000.png`, `frame-0001.png`, ... into a new folder, `scale` pixels for each of the animation's. Returns their bytes together.
///
/// # Errors
/// The folder cannot be made or written.
pub fn frames(animation: &Animation, scale: usize, folder: &Path) -> Result<u64> {
    let failed = |e: &dyn std::fmt::Display| Error::failed(format!("cannot write {}: {e}", folder.display()));
    fs::create_dir(folder).map_err(|e| failed(&e))?;
    let digits = animation.frames.len().to_string().len().max(4);
    let mut bytes = 0;
    for (i, frame) in animation.frames.iter().enumerate() {
        let file = png(frame, animation.size, scale)?;
        fs::write(folder.join(format!("frame-{i:0digits$}.png")), &file).map_err(|e| failed(&e))?;
        bytes += file.len() as u64;
    }
    Ok(bytes)
}

/// One frame as PNG.
///
/// # Errors
/// It is too large.
pub fn png(frame: &Frame, size: [usize; 2], scale: usize) -> Result<Vec<u8>> {
    let unencoded = |why: &dyn std::fmt::Display| Error::failed(format!("a frame cannot be encoded: {why}"));
    let pixels = enlarged(frame, size[0], scale);
    let rgba = pixels
        .as_chunks::<3>()
        .0
        .iter()
        .flat_map(|[r, g, b]| [*r, *g, *b, 255])
        .collect();
    let [width, height] = size.map(|n| u32::try_from(n * scale).unwrap_or(0));
    let size = IntSize::from_wh(width, height).ok_or_else(|| unencoded(&"it is too large"))?;
    let picture = Pixmap::from_vec(rgba, size).ok_or_else(|| unencoded(&"it is too large"))?;
    picture.encode_png().map_err(|e| unencoded(&e))
}
