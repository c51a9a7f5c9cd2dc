//! Files that are damaged, foreign, newer or of another task, evaluations and plots that cannot be made or written: one sentence,
//! exit code 2, and nothing of the user's is lost.

use std::fs;
use std::path::Path;

use crate::common::refused::{GOOD, assert_refused, assert_says, contents, finished};
use crate::common::{arg, edit_h5, run, write_config};

#[test]
fn truncated_and_damaged_files_are_refused_by_name() {
    let (folder, dir) = finished(GOOD);
    let whole = fs::read(dir.join("checkpoint.h5")).unwrap();
    let broken = folder.path().join("broken");
    fs::create_dir(&broken).unwrap();
    let path = broken.join("checkpoint.h5");
    for length in [
        0,
        1,
        7,
        8,
        100,
        whole.len() / 10,
        whole.len() / 3,
        whole.len() / 2,
        whole.len() * 9 / 10,
        whole.len() - 1,
    ] {
        fs::write(&path, &whole[..length]).unwrap();
        for arguments in [
            &["info", arg(&path)][..],
            &["resume", arg(&broken)],
            &["plot", arg(&broken)],
        ] {
            let ended = run(1, arguments);
            assert_eq!(
                ended.code(),
                Some(2),
                "{length} of {} bytes, {arguments:?}: {ended}",
                whole.len()
            );
            assert_refused(&ended, &[arg(&path)]);
        }
        assert_eq!(
            fs::read(&path).unwrap(),
            &whole[..length],
            "a damaged file is left as it is"
        );
        assert_eq!(
            fs::read_dir(&broken).unwrap().count(),
            1,
            "nothing is written beside it"
        );
    }
    let text = folder.path().join("notes.h5");
    fs::write(&text, "not an archive").unwrap();
    assert_refused(&run(1, &["info", arg(&text)]), &[arg(&text)]);
}

/// A block that never reached the disk: a result or a refusal, no crash, no panic, no hang. Blocks of HDF5's global heap, where
/// texts of variable length lie, are left out: in those, HDF5 1.10 itself loops for ever.
#[test]
fn a_file_with_a_lost_block_never_crashes_the_program() {
    const BLOCK: usize = 512;
    let (folder, dir) = finished(GOOD);
    let whole = fs::read(dir.join("archive.h5")).unwrap();
    let path = folder.path().join("lost.h5");
    let heaps: Vec<std::ops::Range<usize>> = (0..whole.len() - 16)
        .filter(|&at| whole[at..].starts_with(b"GCOL"))
        .map(|at| at..at + u64::from_le_bytes(whole[at + 8..at + 16].try_into().unwrap()) as usize)
        .collect();
    let of_heap = |at: &usize| heaps.iter().any(|h| *at < h.end && at + BLOCK > h.start);
    let mut refused = 0;
    for at in (0..whole.len()).step_by(BLOCK).filter(|at| !of_heap(at)) {
        let mut bytes = whole.clone();
        bytes[at..whole.len().min(at + BLOCK)].fill(0);
        fs::write(&path, &bytes).unwrap();
        if let Err(error) = illume::archives::file::open(&path) {
            refused += 1;
            let message = error.to_string();
            assert!(
                matches!(error, illume::core::Error::Input(_)),
                "block at {at}: {message}"
            );
            assert!(
                message.contains(arg(&path)) && message.lines().count() == 1,
                "block at {at}: {message}"
            );
            assert_says(&message, &[]);
        }
    }
    assert!(refused > 10, "{refused} of {} refused", whole.len() / BLOCK);
}

#[test]
fn foreign_and_newer_files_are_refused_with_what_they_are() {
    let (folder, dir) = finished(GOOD);
    let original = dir.join("checkpoint.h5");
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    let path = other.join("checkpoint.h5");
    let cases: [(&str, &[&str]); 9] = [
        ("f.attrs['format_version'] = np.uint64(2)", &["version 2", "1"]),
        ("f.attrs['format'] = 'somebody else'", &["illume"]),
        ("del f.attrs['format']", &["illume"]),
        ("del f['elites/fitness']", &["fitness"]),
        (
            "d = f['elites/fitness'][:-1]; del f['elites/fitness']; f['elites/fitness'] = d",
            &["fitness"],
        ),
        (
            "d = f['elites/cell'][:]; d[0] = 10**9; f['elites/cell'][:] = d",
            &["cell"],
        ),
        (
            "d = f['elites/cell'][:]; d[1] = d[0]; f['elites/cell'][:] = d",
            &["cell"],
        ),
        (
            "d = f['elites/fitness'][:]; d[0] = np.nan; f['elites/fitness'][:] = d",
            &["fitness"],
        ),
        ("del f['elites/genome']", &["genome"]),
    ];
    for (edit, parts) in cases {
        fs::copy(&original, &path).unwrap();
        edit_h5(&path, edit);
        for arguments in [
            &["info", arg(&path)][..],
            &["resume", arg(&other), "--set", "budget.generations=9"],
        ] {
            let ended = run(1, arguments);
            assert_eq!(ended.code(), Some(2), "{edit}, {arguments:?}: {ended}");
            assert_refused(&ended, &[&[arg(&path)], parts].concat());
        }
    }
    fs::remove_file(&path).unwrap();
    edit_h5(&path, "f['x'] = np.arange(3)");
    assert_refused(&run(1, &["info", arg(&path)]), &[arg(&path), "illume"]);
}

#[test]
fn an_archive_of_another_task_is_refused() {
    let (folder, dir) = finished(GOOD);
    let edits: [(&str, &[&str]); 4] = [
        ("'shape = [10, 10]', 'shape = [20, 5]'", &["archive", "configuration"]),
        ("'joints = 20', 'joints = 21'", &["20", "21", "arm"]),
        ("'name = \"arm\"', 'name = \"walker\"'", &["walker", "accepted"]),
        ("'shape = [', 'shape = [3, '", &["axes"]),
    ];
    for (edit, parts) in edits {
        let other = folder.path().join("other");
        let _ = fs::remove_dir_all(&other);
        fs::create_dir(&other).unwrap();
        for name in ["archive.h5", "checkpoint.h5"] {
            fs::copy(dir.join(name), other.join(name)).unwrap();
            let code = format!("c = f.attrs['config']; n = c.replace({edit}); assert n != c; f.attrs['config'] = n");
            edit_h5(&other.join(name), &code);
        }
        let before = contents(&other);
        assert_refused(
            &run(1, &["eval", arg(&other)]),
            &[&[arg(&other), ".h5"], parts].concat(),
        );
        let ended = run(1, &["resume", arg(&other), "--set", "budget.generations=9"]);
        assert_eq!(ended.code(), Some(2), "{edit}: {ended}");
        assert_refused(&ended, parts);
        assert!(contents(&other) == before, "{edit}: the run was touched");
    }
}

#[test]
fn an_archive_without_elites_has_nothing_to_evaluate_again() {
    let (_folder, dir) = finished(GOOD);
    let path = dir.join("archive.h5");
    edit_h5(
        &path,
        "names = f['elites/operator'].attrs['operators']\n    \
         for n in ['cell', 'fitness', 'descriptor', 'generation', 'operator', 'seed', 'parents', 'genome']:\n        \
         d = f['elites'][n][:0]; del f['elites'][n]; f['elites'][n] = d\n    \
         f['elites/operator'].attrs['operators'] = names",
    );
    assert_refused(&run(1, &["eval", arg(&path)]), &[arg(&path), "empty"]);
    assert!(!dir.join("eval.h5").exists());
}

#[test]
fn an_evaluation_goes_only_where_nothing_else_is_lost_and_is_no_archive() {
    let (folder, dir) = finished(GOOD);
    let before = contents(&dir);
    for taken in ["archive.h5", "config.toml"].map(|name| dir.join(name)) {
        let ended = run(1, &["eval", arg(&dir), "-o", arg(&taken)]);
        assert_refused(&ended, &[arg(&taken), "not the file of an evaluation"]);
        assert!(contents(&dir) == before, "the run was touched");
    }
    let nowhere = folder.path().join("no-such-folder/eval.h5");
    let ended = run(1, &["eval", arg(&dir), "-o", arg(&nowhere)]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(1), 1), "{ended}");
    assert_says(&ended.stderr, &[arg(&nowhere), "No such file"]);

    run(1, &["eval", arg(&dir)]).succeeded();
    let path = dir.join("eval.h5");
    for command in ["eval", "plot"] {
        assert_refused(
            &run(1, &[command, arg(&path)]),
            &[arg(&path), "is an evaluation of an archive"],
        );
    }
    edit_h5(&path, "del f.attrs['mean_fitness_sd']");
    assert_refused(&run(1, &["info", arg(&path)]), &[arg(&path), "mean_fitness_sd"]);
}

#[test]
fn a_plot_that_cannot_be_written_is_named() {
    let (folder, dir) = finished(GOOD);
    let target = folder.path().join("no-such-folder/a.png");
    let ended = run(1, &["plot", arg(&dir), "-o", arg(&target)]);
    assert!(matches!(ended.code(), Some(1 | 2)), "{ended}");
    assert_says(&ended.stderr, &[arg(&target), "No such file"]);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended}");
}

#[test]
fn runs_that_cannot_be_compared_are_refused() {
    let (folder, dir) = finished(GOOD);
    let other = folder.path().join("other");
    let config = write_config(folder.path(), &GOOD.replace("\"arm\"", "\"sphere\""));
    run(1, &["run", arg(&config), "--out", arg(&other)]).succeeded();
    let plot = folder.path().join("curves.png");
    let missing = folder.path().join("none");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let bare = folder.path().join("bare.h5");
    fs::copy(dir.join("archive.h5"), &bare).unwrap();
    edit_h5(
        &bare,
        "names = f['history'].attrs['columns']; del f['history']; h = f.create_group('history')\n    \
         h.attrs['columns'] = names\n    \
         for n in names: h[n] = np.zeros(0)",
    );
    let foreign = folder.path().join("foreign.h5");
    fs::copy(dir.join("archive.h5"), &foreign).unwrap();
    edit_h5(
        &foreign,
        "f['history'].attrs['columns'] = np.array(['generation'], dtype=h5py.string_dtype())",
    );
    let cases: [(&Path, &[&str]); 5] = [
        (&other, &["\"arm\"", "\"sphere\"", "one task"]),
        (&missing, &["No such file"]),
        (&empty, &["archive.h5"]),
        (&bare, &["no history", "at least one generation"]),
        (&foreign, &["no history", "evaluations"]),
    ];
    for (second, parts) in cases {
        let ended = run(1, &["plot", arg(&dir), arg(second), "-o", arg(&plot)]);
        assert_refused(&ended, &[&[arg(second)], parts].concat());
        assert!(!plot.exists(), "{second:?}");
    }
    let jpg = folder.path().join("a.jpg");
    assert_refused(
        &run(1, &["plot", arg(&dir), arg(&dir), "-o", arg(&jpg)]),
        &[arg(&jpg), ".png", ".svg"],
    );
    assert_refused(
        &run(1, &["plot", arg(&dir), arg(&dir), "-o", arg(&plot), "--axes", "0,1"]),
        &["--axes", "one archive"],
    );
    let nowhere = folder.path().join("no-such-folder/a.svg");
    let ended = run(1, &["plot", arg(&dir), arg(&dir), "-o", arg(&nowhere)]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(1), 1), "{ended}");
    assert_says(&ended.stderr, &[arg(&nowhere), "No such file"]);
    assert_eq!(run(1, &["plot"]).code(), Some(2));
}
