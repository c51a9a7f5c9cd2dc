//! An animation as MP4, by `ffmpeg`, which is told the pixels through a pipe.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use illume_core::{Error, Result};

use super::{Animation, enlarged};

const PROGRAM: &str = "ffmpeg";

/// # Errors
/// There is no `ffmpeg` on the PATH.
pub fn available(target: &Path) -> Result<()> {
    let tried = Command::new(PROGRAM)
        .arg("-version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match tried {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Error::input(format!(
            "-o {}: MP4 is written by {PROGRAM}, which is not on the PATH: install it, or take .webp or .gif",
            target.display()
        ))),
    }
}

/// Writes the animation to this file, `scale` pixels for each of its own; the last frame stands for a while. Returns its bytes.
///
/// # Errors
/// `ffmpeg` fails; the sentence ends with its own words.
pub fn mp4(animation: &Animation, scale: usize, file: &Path) -> Result<u64> {
    let [width, height] = animation.size.map(|n| n * scale);
    let pace = animation.frames_per_second();
    let failed =
        |why: &dyn std::fmt::Display| Error::failed(format!("{PROGRAM} cannot write {}: {why}", file.display()));
    let mut child = Command::new(PROGRAM)
        .args([
            "-loglevel",
            "error",
            "-nostdin",
            "-y",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
        ])
        .args(["-s", &format!("{width}x{height}"), "-r", &format!("{pace}"), "-i", "-"])
        // Players want even sides and a quarter of the colours.
        .args([
            "-vf",
            "pad=ceil(iw/2)*2:ceil(ih/2)*2",
            "-pix_fmt",
            "yuv420p",
            "-movflags",
            "+faststart",
            "-f",
            "mp4",
        ])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(&e))?;
    let mut pipe = child.stdin.take();
    let mut written = Ok(());
    for (i, frame) in animation.frames.iter().enumerate() {
        let times = (animation.milliseconds(i) as f64 * pace / 1000.0).round().max(1.0) as usize;
        let pixels = enlarged(frame, animation.size[0], scale);
        for _ in 0..times {
            if let (Ok(()), Some(pipe)) = (&written, &mut pipe) {
                written = pipe.write_all(&pixels);
            }
        }
    }
    // The end of the file for ffmpeg.
    drop(pipe);
    let mut said = String::new();
    if let Some(mut words) = child.stderr.take() {
        let _ = words.read_to_string(&mut said);
    }
    let status = child.wait().map_err(|e| failed(&e))?;
    let last = said
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("it ended early");
    if !status.success() {
        return Err(failed(&last));
    }
    written.map_err(|e| failed(&e))?;
    Ok(std::fs::metadata(file).map_err(|e| failed(&e))?.len())
}
