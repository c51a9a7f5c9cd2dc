//! What tests of wrong input share: a small good configuration, and how a refusal looks.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use illume::cluster::Solo;
use illume::core::{Error, Result};
use illume::{Config, Run, registry};

use super::{Ended, arg, folder, run, write_config};

pub const GOOD: &str = "seed = 1\n[task]\nname = \"arm\"\n[strategy]\nname = \"map_elites\"\nbatch = 20\n[archive]\n\
                    kind = \"grid\"\nshape = [10, 10]\n[budget]\ngenerations = 3\n";

/// What `illume run` says of a configuration and its `--set`s before it begins, by the functions that it calls and in this process: hundreds of starts of the
/// program would take minutes. `bad_input/configuration.rs` compares both.
pub fn tried(config: &Path, sets: &[&str]) -> Ended {
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    let begin = || -> Result<()> {
        let config = Config::read(config, &sets)?;
        let task = registry::task(&config)?;
        Run::new(&config, task.as_ref(), &Solo).map(drop)
    };
    let (code, stderr) = match begin() {
        Ok(()) => (0, String::new()),
        Err(e) => {
            let wrong = matches!(e, Error::Input(_) | Error::Config(_));
            (if wrong { 2 } else { 1 }, format!("illume: {e}\n"))
        }
    };
    Ended {
        status: ExitStatus::from_raw(code << 8),
        stdout: String::new(),
        stderr,
    }
}

/// Checks that a configuration is refused in one sentence that says all of `parts`.
#[track_caller]
pub fn refused(text: &str, parts: &[&str]) {
    let folder = folder();
    assert_refused(&tried(&write_config(folder.path(), text), &[]), parts);
}

/// Checks exit code 2 and one sentence that says all of `parts`.
#[track_caller]
pub fn assert_refused(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code(), Some(2), "{ended}");
    assert_eq!(ended.stderr.lines().count(), 1, "one line: {ended}");
    assert!(
        ended.stderr.starts_with("illume: ") && ended.stdout.is_empty(),
        "{ended}"
    );
    assert_says(&ended.stderr, parts);
}

#[track_caller]
pub fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "expected '{part}' in: {message}");
    }
    for word in ["panicked", "unwrap", "RUST_BACKTRACE", "None", "Some("] {
        assert!(!message.contains(word), "not for users: {message}");
    }
}

/// A finished small run in a new folder.
pub fn finished(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = folder();
    let config = write_config(folder.path(), text);
    let dir = folder.path().join("run");
    run(1, &["run", arg(&config), "--out", arg(&dir)]).succeeded();
    (folder, dir)
}

/// Names and bytes of all files of a folder.
pub fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    found.sort();
    found
        .into_iter()
        .map(|p| (p.clone(), if p.is_dir() { Vec::new() } else { fs::read(&p).unwrap() }))
        .collect()
}

/// A small disk of its own; unmounted at its end. None where mounting is not permitted.
pub struct Disk(pub PathBuf);

impl Disk {
    pub fn mount(at: &Path, options: &str) -> Option<Disk> {
        fs::create_dir_all(at).unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs", arg(at)])
            .output();
        if mount.is_ok_and(|m| m.status.success()) {
            return Some(Disk(at.into()));
        }
        println!("not tested: mounting a small disk is not permitted here");
        None
    }

    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let mount = std::process::Command::new("mount")
            .args(["-o", &options, arg(&self.0)])
            .status();
        assert!(mount.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
