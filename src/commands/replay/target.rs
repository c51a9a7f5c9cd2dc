//! What `illume replay` writes, and where.

use std::fs;
use std::path::{Path, PathBuf};

use illume_core::{Error, Result};

use super::ReplayArgs;
use crate::engine::output::write_atomically;
use crate::render::animation::{self, Animation};

/// Written into the run directory, or beside the archive.
const FILE: &str = "replay.gif";
const GALLERY: &str = "gallery.gif";

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gif,
    WebP,
    Mp4,
    /// One picture.
    Png,
    /// A folder of pictures.
    Frames,
}

impl Kind {
    pub fn is_animation(self) -> bool {
        matches!(self, Kind::Gif | Kind::WebP | Kind::Mp4)
    }
}

pub(super) struct Target {
    pub kind: Kind,
    pub path: PathBuf,
}

impl Target {
    /// What the arguments say is to be written for what lies at `path`.
    ///
    /// # Errors
    /// Another ending, an option that is for another kind of file, a folder that holds something, or no `ffmpeg` for MP4.
    pub fn of(path: &Path, args: &ReplayArgs) -> Result<Target> {
        let usual = if args.gallery.is_some() { GALLERY } else { FILE };
        let target = match &args.output {
            Some(to) => to.clone(),
            None if path.is_dir() => path.join(usual),
            None => path.with_file_name(usual),
        };
        let ending = target.extension().map(|e| e.to_string_lossy().to_lowercase());
        let kind = match ending.as_deref() {
            _ if target.is_dir() || target.as_os_str().as_encoded_bytes().ends_with(b"/") => Kind::Frames,
            Some("gif") => Kind::Gif,
            Some("webp") => Kind::WebP,
            Some("mp4") => Kind::Mp4,
            Some("png") => Kind::Png,
            _ => {
                return Err(Error::input(format!(
                    "-o {}: expected a name that ends in .gif, .webp or .mp4 (an animation), .png (one picture) or / (a folder of frames)",
                    target.display()
                )));
            }
        };
        let misplaced = match kind {
            Kind::Png if args.speed.is_some() => Some("--speed is for an animation (-o FILE.gif, .webp or .mp4)"),
            Kind::Frames if args.speed.is_some() => Some("--speed is for an animation (-o FILE.gif, .webp or .mp4)"),
            Kind::Png => None,
            _ if args.frames.is_some() => Some("--frames is for a strip of frames (-o FILE.png)"),
            _ => None,
        };
        if let Some(what) = misplaced {
            return Err(Error::input(format!("{what}, and {} is none", target.display())));
        }
        if kind == Kind::Frames && target.exists() {
            let holds = fs::read_dir(&target).map(|mut entries| entries.next().is_some());
            if holds.unwrap_or(true) {
                return Err(Error::input(format!(
                    "-o {}: the folder holds something already: frames are written into a new or an empty one",
                    target.display()
                )));
            }
        }
        if kind == Kind::Mp4 {
            animation::mp4_available(&target)?;
        }
        Ok(Target { kind, path: target })
    }

    /// Writes the animation, `scale` pixels for each of its own; `picture` makes the one picture of it. Returns the bytes written.
    ///
    /// # Errors
    /// It is too large or too fast for its kind of file, or cannot be written.
    pub fn write(&self, shown: &Animation, scale: usize, picture: impl FnOnce() -> Result<Vec<u8>>) -> Result<u64> {
        let path = &self.path;
        let bytes = match self.kind {
            Kind::Gif => {
                let pace = shown.frames_per_second();
                if pace > animation::MOST_PACE {
                    return Err(Error::input(format!(
                        "{pace:.0} frames a second are more than the {:.0} that players of GIFs show: a larger --every or a smaller --speed",
                        animation::MOST_PACE
                    )));
                }
                animation::gif(shown, scale)?
            }
            Kind::WebP => animation::webp(shown, scale)?,
            Kind::Png => picture()?,
            Kind::Mp4 => return self.renamed(|file| animation::mp4(shown, scale, file)),
            Kind::Frames => return self.renamed(|folder| animation::frames(shown, scale, folder)),
        };
        write_atomically(path, &bytes)?;
        Ok(bytes.len() as u64)
    }

    /// What `write` makes under another name gets the right one; nothing stays of it if it fails.
    fn renamed(&self, write: impl FnOnce(&Path) -> Result<u64>) -> Result<u64> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let temporary = self.path.with_file_name(format!("{name}.tmp-{}", std::process::id()));
        let written = write(&temporary).and_then(|bytes| {
            fs::rename(&temporary, &self.path)
                .map_err(|e| Error::failed(format!("cannot write {}: {e}", self.path.display())))?;
            Ok(bytes)
        });
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
            let _ = fs::remove_dir_all(&temporary);
        }
        written
    }
}
