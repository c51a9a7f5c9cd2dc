//! `archive_N.dat` of pymap_elites (`map_elites/common.py`): a line for each elite with its fitness, the centroid of its niche, its
//! descriptor and its genome. Beside it lies `centroids_CELLS_AXES.dat`, a line for each niche. The descriptor's axes go from 0 to 1.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use illume_core::Result;

use super::frame::{self, Values};
use super::{Foreign, Hints, Rounded, any_centroids, refuse};

pub const FORM: &str = "an archive of pymap_elites";

/// Reads it, with the centroids that are named or lie beside it.
///
/// # Errors
/// A line that is none, no centroids where nothing else says how many axes there are, or a niche that is none of theirs.
pub fn read(path: &Path, hints: Hints<'_>) -> Result<Foreign> {
    let (values, width) = table(path)?;
    let found = match (hints.centroids, beside(path)) {
        (Some(file), _) => Some(file.to_path_buf()),
        (None, Ok(file)) => Some(file),
        (None, Err(_)) if hints.k.is_some() => None,
        (None, Err(e)) => return Err(e),
    };
    let niches = found.map(|file| Ok((any_centroids(&file)?, file))).transpose()?;
    let k = niches.as_ref().map_or(hints.k.unwrap_or(0), |((_, k), _)| *k);
    if width < 1 + 2 * k || k == 0 {
        let message = format!(
            "has {width} numbers in a line, fewer than a fitness, a centroid and a descriptor of {k} numbers and a genome"
        );
        return Err(refuse(path, &message));
    }
    let n = values.len() / width;
    let dim = width - 1 - 2 * k;
    let part = |from: usize, to: usize| {
        values
            .chunks_exact(width)
            .flat_map(move |line| &line[from..to])
            .copied()
    };
    let mut rounded = Rounded::default();
    let genes: Vec<f64> = part(1 + 2 * k, width).collect();
    let genes = frame::genes(Values::Real(genes), &mut rounded).unwrap_or_default();
    let mut foreign = Foreign {
        form: FORM,
        fitness: part(0, 1).collect(),
        descriptor: part(1 + k, 1 + 2 * k).collect(),
        k,
        genes,
        dim,
        rounded,
        bounds: Some([0.0, 1.0]),
        ..Foreign::default()
    };
    foreign.further.resize(n);
    if let Some(((centroids, _), file)) = niches {
        let bits = |centroid: &[f64]| centroid.iter().map(|x| x.to_bits()).collect::<Vec<u64>>();
        let numbers: HashMap<Vec<u64>, i64> = (0..)
            .zip(centroids.chunks_exact(k))
            .map(|(i, c)| (bits(c), i))
            .collect();
        let own: Vec<f64> = part(1, 1 + k).collect();
        let cell = |(row, niche): (usize, &[f64])| {
            numbers.get(&bits(niche)).copied().ok_or_else(|| {
                let message = format!(
                    "elite {row} lies in the niche {niche:?}, which is none of {}",
                    file.display()
                );
                refuse(path, &message)
            })
        };
        foreign.index = Some(own.chunks_exact(k).enumerate().map(cell).collect::<Result<_>>()?);
        foreign.centroids = Some(centroids);
    }
    Ok(foreign)
}

/// The only file of centroids beside an archive.
fn beside(path: &Path) -> Result<PathBuf> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let files = folder.read_dir().map_err(|e| refuse(folder, &e.to_string()))?;
    let mut found: Vec<PathBuf> = files.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| name(path).starts_with("centroids_") && name(path).ends_with(".dat"));
    let named = "name that of this archive with --centroids centroids_CELLS_AXES.dat";
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(refuse(
            path,
            &format!("the file of its centroids is not beside it: {named}"),
        )),
        n => Err(refuse(path, &format!("{n} files of centroids are beside it: {named}"))),
    }
}

/// Numbers in lines of equal length, separated by blanks: all of them, and how many are in a line.
///
/// # Errors
/// No such file, a line of another length, or something else than a number.
pub fn table(path: &Path) -> Result<(Vec<f64>, usize)> {
    let text = std::fs::read_to_string(path).map_err(|e| refuse(path, &e.to_string()))?;
    let (mut values, mut width) = (Vec::new(), 0);
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let before = values.len();
        for word in line.split_whitespace() {
            let number = word
                .parse()
                .map_err(|_| refuse(path, &format!("line {}: '{word}' is no number", i + 1)))?;
            values.push(number);
        }
        let own = values.len() - before;
        if width != 0 && own != width {
            return Err(refuse(
                path,
                &format!("line {} has {own} numbers, those before {width}", i + 1),
            ));
        }
        width = own;
    }
    match width {
        0 => Err(refuse(path, "is empty; expected lines of numbers")),
        _ => Ok((values, width)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_read_with_the_centroids_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let [archive, centroids] = ["archive_100.dat", "centroids_3_2.dat"].map(|name| folder.path().join(name));
        std::fs::write(&archive, "-1.5 0.1 0.2 0.15 0.25 0.5 \n2.0 0.7 0.8 0.6 0.9 0.1 \n").unwrap();
        let none = read(&archive, Hints::default()).unwrap_err().to_string();
        assert!(none.contains("not beside it") && none.contains("--centroids"), "{none}");
        std::fs::write(&centroids, "0.3 0.3 \n0.7 0.8 \n0.1 0.2 \n").unwrap();
        let foreign = read(&archive, Hints::default()).unwrap();
        assert_eq!((foreign.k, foreign.dim, foreign.bounds), (2, 1, Some([0.0, 1.0])));
        assert_eq!(foreign.index, Some(vec![2, 1]));
        assert_eq!(
            (&foreign.fitness[..], &foreign.descriptor[..]),
            (&[-1.5, 2.0][..], &[0.15, 0.25, 0.6, 0.9][..])
        );
        assert_eq!((&foreign.genes[..], foreign.rounded.genes), (&[0.5, 0.1][..], 1));
        std::fs::write(&centroids, "0.3 0.3 \n0.7 0.8 \n").unwrap();
        let other = read(&archive, Hints::default()).unwrap_err().to_string();
        assert!(other.contains("elite 0 lies in the niche [0.1, 0.2]"), "{other}");
    }
}
