//! A machine that fails: full and read-only disks end a run with one sentence, and nothing is lost.

mod common;

use common::refused::{Disk, GOOD, assert_refused, assert_says};
use common::{arg, assert_equal_runs, folder, open, run, temporaries, write_config};

/// Each generation's checkpoint is larger than the one before, until the disk is full.
const GROWS: &str = "[task]\nname = \"arm\"\njoints = 500\n[strategy]\nname = \"map_elites\"\nbatch = 40\n[archive]\n\
                     shape = [100, 100]\n[budget]\ngenerations = 40\n[output]\ncheckpoint_generations = 1\n";

fn fill_a_disk(ranks: usize) {
    let folder = folder();
    let Some(disk) = Disk::mount(&folder.path().join("disk"), "size=1m") else {
        return;
    };
    let config = write_config(folder.path(), GROWS);
    let dir = disk.0.join("run");
    let ended = run(ranks, &["run", arg(&config), "--out", arg(&dir)]);
    assert_eq!(ended.code(), Some(1), "{ended}");
    let ours: Vec<&str> = ended.stderr.lines().filter(|l| l.starts_with("illume: ")).collect();
    assert_eq!(ours.len(), 1, "said once: {ended}");
    assert_says(ours[0], &[arg(&dir), "space"]);
    assert_eq!(
        temporaries(&dir),
        Vec::<String>::new(),
        "half a file is left on the full disk"
    );
    // The last good checkpoint is whole, and the run goes on from it when there is room.
    let reached = open(&dir.join("checkpoint.h5")).attributes.generation;
    assert!((1..40).contains(&reached), "{reached}");
    disk.remount("size=100m");
    run(1, &["resume", arg(&dir)]).succeeded();
    let undisturbed = folder.path().join("undisturbed");
    run(1, &["run", arg(&config), "--out", arg(&undisturbed)]).succeeded();
    assert_equal_runs(&undisturbed, &dir);
}

#[test]
fn a_full_disk_ends_the_run_and_keeps_the_last_checkpoint() {
    fill_a_disk(1);
}

#[test]
#[cfg(feature = "mpi")]
fn a_full_disk_under_mpirun_is_told_once() {
    fill_a_disk(2);
}

#[test]
fn a_read_only_directory_is_named() {
    let folder = folder();
    let Some(disk) = Disk::mount(&folder.path().join("disk"), "ro,size=1m") else {
        return;
    };
    let config = write_config(folder.path(), GOOD);
    let dir = disk.0.join("run");
    let ended = run(1, &["run", arg(&config), "--out", arg(&dir)]);
    assert_refused(&ended, &[arg(&dir), "Read-only"]);
    let ended = run(1, &["run", arg(&config), "--out", arg(&disk.0)]);
    assert_refused(&ended, &[arg(&disk.0), "Read-only"]);
}

#[test]
fn a_run_directory_that_became_read_only_can_be_read_but_not_resumed() {
    let folder = folder();
    let Some(disk) = Disk::mount(&folder.path().join("disk"), "size=1m") else {
        return;
    };
    let config = write_config(folder.path(), GOOD);
    let dir = disk.0.join("run");
    run(1, &["run", arg(&config), "--out", arg(&dir)]).succeeded();
    disk.remount("ro");
    run(1, &["info", arg(&dir)]).succeeded();
    let ended = run(1, &["eval", arg(&dir)]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(1), 1), "{ended}");
    assert_says(&ended.stderr, &[arg(&dir), "eval.h5", "Read-only"]);
    let elsewhere = folder.path().join("eval.h5");
    run(1, &["eval", arg(&dir), "-o", arg(&elsewhere)]).succeeded();
    assert!(elsewhere.is_file());
    let ended = run(1, &["resume", arg(&dir), "--set", "budget.generations=9"]);
    assert!(matches!(ended.code(), Some(1 | 2)), "{ended}");
    assert_says(&ended.stderr, &[arg(&dir), "Read-only"]);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended}");
}
