//! What programs write to their standard error: kept in one file for each rank, up to a limit.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Bytes that the file may have.
const LARGEST: usize = 16 << 20;
/// Bytes that are kept until there is a file.
const EARLY: usize = 64 << 10;
/// Characters of a line that are kept for messages.
const WIDTH: usize = 200;

/// The file, or what will be in it.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    path: Option<PathBuf>,
    /// Opened when there is something to write.
    file: Option<File>,
    early: Vec<u8>,
    written: usize,
}

impl Log {
    /// From now on this file, which goes on if it is there.
    pub fn open(&self, path: &Path) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.path = Some(path.into());
        state.file = None;
        state.written = std::fs::metadata(path).map_or(0, |m| m.len() as usize);
        let early = std::mem::take(&mut state.early);
        if !early.is_empty() {
            state.write(&early);
        }
    }

    pub fn write(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes);
    }

    /// The file, if something was written to it.
    pub fn path(&self) -> Option<PathBuf> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.path.clone().filter(|_| state.written > 0)
    }
}

impl State {
    /// A log that cannot be written must not end a run: what it says is also in messages, in short.
    fn write(&mut self, bytes: &[u8]) {
        let Some(path) = &self.path else {
            let room = EARLY - self.early.len();
            self.early.extend(&bytes[..bytes.len().min(room)]);
            return;
        };
        if self.written >= LARGEST {
            return;
        }
        if self.file.is_none() {
            self.file = File::options().append(true).create(true).open(path).ok();
        }
        let Some(file) = &mut self.file else { return };
        let kept = bytes.len().min(LARGEST - self.written);
        let _ = file.write_all(&bytes[..kept]);
        self.written += kept;
        if self.written >= LARGEST {
            let _ = writeln!(
                file,
                "\n(this file is {} MiB long: what came after is not kept)",
                LARGEST >> 20
            );
        }
    }
}

/// The last line that is not empty of what it is given.
#[derive(Debug, Default)]
pub(super) struct Tail {
    last: String,
    begun: Vec<u8>,
}

impl Tail {
    pub fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = WIDTH.saturating_sub(self.begun.len());
            self.begun.extend(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                let line = String::from_utf8_lossy(&self.begun).trim().to_string();
                self.begun.clear();
                if !line.is_empty() {
                    self.last = line;
                }
            }
        }
    }

    pub fn last(&self) -> Option<&str> {
        Some(self.last.as_str()).filter(|line| !line.is_empty())
    }
}
