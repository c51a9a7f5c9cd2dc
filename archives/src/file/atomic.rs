//! A file that appears under its name whole or not at all.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hdf5::File;
use illume_core::{Error, Result};

use super::h5;

/// How long a temporary file must have been left alone before it counts as left behind by a killed run.
const ABANDONED: Duration = Duration::from_secs(600);

/// A file being written under its temporary name, which is removed unless the writing is finished.
pub(super) struct Unfinished {
    target: PathBuf,
    temporary: PathBuf,
    /// There until the file is closed.
    file: Option<File>,
}

impl Unfinished {
    pub(super) fn create(path: &Path) -> Result<Unfinished> {
        let temporary = temporary_name(path);
        remove_abandoned(path);
        let mut made = Unfinished {
            target: path.to_path_buf(),
            temporary,
            file: None,
        };
        // HDF5's own words for a missing or forbidden folder are worse.
        std::fs::File::create(&made.temporary).map_err(|e| made.failure(&e.to_string()))?;
        let file = File::with_options()
            // Columns are written whole, so that buffers for pieces of them are of no use.
            .with_fapl(|p| p.file_locking(false).sieve_buf_size(0))
            .with_fcpl(|p| p.obj_track_times(false))
            .create(&made.temporary);
        made.file = Some(file.map_err(|e| made.explain(e))?);
        Ok(made)
    }

    pub(super) fn hdf5(&self) -> &File {
        self.file.as_ref().expect("open until it is finished")
    }

    /// Everything to the disk, then the new name. All datasets and groups must be closed.
    pub(super) fn finish(&mut self) -> Result<()> {
        // While the file is in its place, dropping `self` makes room for closing it.
        self.hdf5().flush().map_err(|e| self.explain(e))?;
        let closed = self.file.take().map_or(Ok(()), File::close);
        closed.map_err(|e| self.explain(e))?;
        let renamed = std::fs::File::open(&self.temporary)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&self.temporary, &self.target))
            .and_then(|()| sync_folder(&self.target));
        renamed.map_err(|e| self.failure(&e.to_string()))
    }

    /// Room for what HDF5 still wants to write while it closes an unfinished file: it cannot close one that it cannot flush.
    pub(super) fn make_room(&self) {
        if self.file.is_some() {
            let _ = std::fs::File::create(&self.temporary);
        }
    }

    pub(super) fn explain(&self, error: hdf5::Error) -> Error {
        self.failure(&h5::cause(&error))
    }

    fn failure(&self, cause: &str) -> Error {
        Error::failed(format!("cannot write {}: {cause}", self.target.display()))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.make_room();
        if let Some(file) = self.file.take() {
            let _ = file.close();
        }
        let _ = std::fs::remove_file(&self.temporary);
    }
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".tmp-{}", std::process::id()));
    path.with_file_name(name)
}

/// Removes the temporary files of this file that killed runs have left behind.
fn remove_abandoned(path: &Path) {
    let prefix = format!("{}.tmp-", path.file_name().unwrap_or_default().to_string_lossy());
    let Ok(folder) = folder_of(path).read_dir() else { return };
    for entry in folder.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|n| n.strip_prefix(&prefix)?.parse::<u32>().ok()) else {
            continue;
        };
        let age = entry
            .metadata()
            .and_then(|m| m.modified())
            .ok()
            .and_then(|t| t.elapsed().ok());
        if !Path::new(&format!("/proc/{pid}")).exists() && age.is_some_and(|age| age > ABANDONED) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Makes the rename itself durable.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder_of(path))?.sync_all()
}
