//! Centroids for the CVT archive, cached in the user's cache folder.
//!
//! The file is named after everything the centroids depend on and repeats it, so that no two settings ever share an entry. A
//! cache that cannot be used is no error: the centroids are then computed.

use std::cmp::Ordering;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use illume_core::{Axis, Error, Numbers, Result, mix64};

use crate::kmeans::{self, Setting};
use crate::registry::CvtParams;

/// Overrides the cache folder.
pub const CACHE_VARIABLE: &str = "ILLUME_CACHE";

/// The centroids of a CVT archive, `[cells, k]`: read from the cache, or computed and left there.
pub(crate) fn centroids(params: &CvtParams, seed: u64, axes: &[Axis]) -> Vec<f64> {
    let setting = Setting {
        cells: params.cells,
        samples: params.samples,
        iterations: params.iterations,
        seed,
        lower: axes.iter().map(|a| a.lower).collect(),
        upper: axes.iter().map(|a| a.upper).collect(),
    };
    cached(&setting, cache_folder().as_deref())
}

/// `$ILLUME_CACHE`, else `$XDG_CACHE_HOME/illume`, else `~/.cache/illume`.
fn cache_folder() -> Option<PathBuf> {
    let given = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    given(CACHE_VARIABLE)
        .or_else(|| given("XDG_CACHE_HOME").map(|c| c.join("illume")))
        .or_else(|| given("HOME").map(|h| h.join(".cache/illume")))
}

fn cached(setting: &Setting, folder: Option<&Path>) -> Vec<f64> {
    let key = key(setting);
    let path = folder.map(|f| f.join("centroids").join(format!("{:016x}.bin", hash(&key))));
    let length = setting.cells * setting.lower.len();
    if let Some(found) = path.as_deref().and_then(|p| read(p, &key, length)) {
        return found;
    }
    let centroids = kmeans::centroids(setting);
    if let Some(path) = path {
        // Without a usable cache the next run computes them again.
        let _ = write(&path, &key, &centroids);
    }
    centroids
}

/// Everything the centroids depend on, as bytes.
fn key(setting: &Setting) -> Vec<u8> {
    let mut key = b"illume centroids".to_vec();
    let k = setting.lower.len();
    let numbers = [
        kmeans::VERSION,
        setting.cells as u64,
        setting.samples as u64,
        setting.iterations as u64,
        setting.seed,
    ];
    let bounds = setting.lower.iter().chain(&setting.upper).map(|x| x.to_bits());
    for number in numbers.into_iter().chain([k as u64]).chain(bounds) {
        key.extend_from_slice(&number.to_le_bytes());
    }
    key
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(bytes.len() as u64, |h, &b| {
        mix64(h ^ u64::from(b)).wrapping_add(0x9e37_79b9_7f4a_7c15)
    })
}

/// The file is key, centroids, and the hash of both.
fn read(path: &Path, key: &[u8], length: usize) -> Option<Vec<f64>> {
    let bytes = std::fs::read(path).ok()?;
    let (body, check) = bytes.split_last_chunk::<8>()?;
    let data = body.strip_prefix(key)?;
    if u64::from_le_bytes(*check) != hash(body) || data.len() != length * 8 {
        return None;
    }
    Some(data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
}

/// Ranks and runs may write the same entry at the same time: each has its own temporary file, and the last rename wins.
fn write(path: &Path, key: &[u8], centroids: &[f64]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut body = key.to_vec();
    centroids.iter().for_each(|x| body.extend_from_slice(&x.to_le_bytes()));
    let check = hash(&body);
    body.extend_from_slice(&check.to_le_bytes());
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    let temporary = path.with_extension(format!("tmp-{}-{nanos}", std::process::id()));
    let written = std::fs::File::create_new(&temporary)
        .and_then(|mut file| file.write_all(&body))
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// The most cells of a CVT.
const MOST: usize = 1 << 24;

/// Centroids of the user's own, `[cells, k]`.
///
/// # Errors
/// No such file, rows of another length than the descriptor, a centroid outside of its bounds, or two that are equal; one sentence.
pub(crate) fn of_file(path: &Path, axes: &[Axis]) -> Result<Vec<f64>> {
    let Numbers { width, values, .. } = Numbers::read(path, |names| (0..names.len()).collect())?;
    let refuse = |what: String| Err(Error::input(format!("{}: {what}", path.display())));
    let k = axes.len();
    if width != k {
        return refuse(format!(
            "has rows of {width} numbers, the task's descriptor has {k} axes"
        ));
    }
    let rows = values.len() / k;
    if rows > MOST {
        return refuse(format!("has {rows} centroids, and at most {MOST} are possible"));
    }
    let outside = |(at, x): &(usize, &f64)| !(axes[at % k].lower..=axes[at % k].upper).contains(*x);
    if let Some((at, x)) = values.iter().enumerate().find(outside) {
        let axis = &axes[at % k];
        return refuse(format!(
            "centroid {} has {} = {x}: expected a number from {} to {}",
            at / k,
            axis.name,
            axis.lower,
            axis.upper
        ));
    }
    let mut order: Vec<usize> = (0..rows).collect();
    let row = |i: usize| &values[i * k..(i + 1) * k];
    let compare = |a: usize, b: usize| row(a).partial_cmp(row(b)).unwrap_or(Ordering::Equal);
    order.sort_by(|&a, &b| compare(a, b).then(a.cmp(&b)));
    if let Some(pair) = order.windows(2).find(|pair| row(pair[0]) == row(pair[1])) {
        return refuse(format!(
            "centroids {} and {} are equal: one would have no cell",
            pair[0], pair[1]
        ));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting() -> Setting {
        Setting {
            cells: 20,
            samples: 500,
            iterations: 10,
            seed: 1,
            lower: vec![0.0, 0.0],
            upper: vec![1.0, 2.0],
        }
    }

    fn entries(folder: &Path) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(folder.join("centroids")).unwrap();
        let mut entries: Vec<PathBuf> = folder.map(|e| e.unwrap().path()).collect();
        entries.sort();
        entries
    }

    #[test]
    fn the_cache_gives_back_what_was_computed() {
        let folder = tempfile::tempdir().unwrap();
        let first = cached(&setting(), Some(folder.path()));
        assert_eq!(entries(folder.path()).len(), 1);
        assert_eq!(read(&entries(folder.path())[0], &key(&setting()), 40).unwrap(), first);
        assert_eq!(cached(&setting(), Some(folder.path())), first);
        assert_eq!(cached(&setting(), None), first);
    }

    /// Trap: a cache keyed by cells and dimensions alone silently ignores samples and seed.
    #[test]
    fn everything_the_centroids_depend_on_is_part_of_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let others = [
            Setting { cells: 21, ..setting() },
            Setting {
                samples: 501,
                ..setting()
            },
            Setting {
                iterations: 11,
                ..setting()
            },
            Setting { seed: 2, ..setting() },
            Setting {
                lower: vec![0.0, -1.0],
                ..setting()
            },
            Setting {
                upper: vec![1.0, 3.0],
                ..setting()
            },
            Setting {
                lower: vec![0.0; 3],
                upper: vec![1.0; 3],
                ..setting()
            },
        ];
        cached(&setting(), Some(folder.path()));
        for (i, other) in others.iter().enumerate() {
            assert_eq!(cached(other, Some(folder.path())), kmeans::centroids(other));
            assert_eq!(entries(folder.path()).len(), i + 2);
        }
    }

    #[test]
    fn a_damaged_entry_is_ignored_and_rewritten() {
        let folder = tempfile::tempdir().unwrap();
        let first = cached(&setting(), Some(folder.path()));
        let entry = entries(folder.path()).remove(0);
        let whole = std::fs::read(&entry).unwrap();
        for damaged in [whole[..whole.len() - 9].to_vec(), vec![], b"rubbish".to_vec(), {
            let mut flipped = whole.clone();
            flipped[whole.len() / 2] ^= 1;
            flipped
        }] {
            std::fs::write(&entry, damaged).unwrap();
            assert_eq!(cached(&setting(), Some(folder.path())), first);
            assert_eq!(std::fs::read(&entry).unwrap(), whole);
        }
        assert_eq!(entries(folder.path()), [entry]);
    }

    #[test]
    fn an_unusable_cache_folder_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(cached(&setting(), Some(&file)), cached(&setting(), None));
    }
}
