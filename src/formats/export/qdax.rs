//! The folder that QDax's `MapElitesRepertoire.save` wrote (to version 0.4; since 0.5 users save the arrays themselves): a row for each
//! cell, filled or not.

use std::io::Write as _;
use std::path::Path;

use illume_archives::centers;
use illume_archives::file::ArchiveFile;
use illume_core::{Error, Result};

use super::{Genes, npy, pieces};
use crate::engine::output::write_streamed;

/// The files of the folder.
pub const FILES: [&str; 4] = ["genotypes.npy", "fitnesses.npy", "descriptors.npy", "centroids.npy"];

/// Writes `genotypes.npy` `[cells, dim]`, `fitnesses.npy` `[cells, 1]` (as 0.5 has it), `descriptors.npy` and `centroids.npy` `[cells, k]` into a folder
/// that is there, all in f32 as QDax holds them; the centroid of a grid's cell is its middle. Of a cell that has none of these rows the
/// fitness is -inf, all else 0. Returns how many numbers, genes apart, are no f32 and were rounded.
///
/// # Errors
/// The folder cannot be written, or genes cannot be read.
pub fn qdax(
    folder: &Path,
    file: &ArchiveFile,
    rows: &[usize],
    genes: &Genes<'_>,
    mut written: impl FnMut(usize),
) -> Result<usize> {
    let (cells, k, dim) = (file.spec.capacity, file.spec.axes.len(), genes.dim);
    let cell: &[i64] = file.elites.get("cell")?;
    let stored = |name: &str, width: usize, empty: f32| -> Result<(Vec<f32>, usize)> {
        let values: &[f64] = file.elites.get(name)?;
        let mut all = vec![empty; cells * width];
        let mut rounded = 0;
        for &row in rows {
            let at = cell[row] as usize * width;
            for (to, &x) in all[at..].iter_mut().zip(&values[row * width..(row + 1) * width]) {
                *to = x as f32;
                if to.is_infinite() {
                    return Err(Error::input(format!(
                        "{}: the {name} {x} of cell {} is beyond f32, which is what a QDax repertoire holds; .npz holds it",
                        file.path().display(),
                        cell[row]
                    )));
                }
                rounded += usize::from(f64::from(*to) != x);
            }
        }
        Ok((all, rounded))
    };
    let [genotypes, fitnesses, descriptors, centroids] = FILES.map(|name| folder.join(name));
    let (fitness, rounded_fitness) = stored("fitness", 1, f32::NEG_INFINITY)?;
    let (descriptor, rounded_descriptor) = stored("descriptor", k, 0.0)?;
    let centers = centers(&file.spec, &(0..cells as i64).collect::<Vec<_>>());
    let rounded_centers = centers.iter().filter(|&&x| f64::from(x as f32) != x).count();
    write_streamed(&genotypes, |to| {
        to.write_all(&npy::header("<f4", &[cells, dim]))?;
        let mut next = 0;
        for piece in pieces(rows.len(), dim) {
            let data = genes.read(piece.clone())?;
            for (row, genes) in rows[piece.clone()].iter().zip(data.chunks_exact(dim.max(1))) {
                let at = cell[*row] as usize;
                zeros(to, (at - next) * dim)?;
                put(to, genes)?;
                next = at + 1;
            }
            written(piece.end);
        }
        Ok(zeros(to, (cells - next) * dim)?)
    })?;
    let whole = |path: &Path, values: &[f32], width: usize| {
        write_streamed(path, |to| {
            to.write_all(&npy::header("<f4", &[cells, width]))?;
            Ok(put(to, values)?)
        })
    };
    whole(&fitnesses, &fitness, 1)?;
    whole(&descriptors, &descriptor, k)?;
    whole(&centroids, &centers.iter().map(|&x| x as f32).collect::<Vec<_>>(), k)?;
    Ok(rounded_fitness + rounded_descriptor + rounded_centers)
}

fn put(to: &mut impl std::io::Write, values: &[f32]) -> std::io::Result<()> {
    values.chunks(1 << 14).try_for_each(|part| {
        let bytes: Vec<u8> = part.iter().flat_map(|x| x.to_le_bytes()).collect();
        to.write_all(&bytes)
    })
}

fn zeros(to: &mut impl std::io::Write, mut floats: usize) -> std::io::Result<()> {
    let zeros = [0; 1 << 14];
    while floats > 0 {
        let now = floats.min(zeros.len() / 4);
        to.write_all(&zeros[..4 * now])?;
        floats -= now;
    }
    Ok(())
}
