//! What `illume replay` refuses of robots, galleries and kinds of files: one sentence, exit code 2, nothing written.

use std::fs;

use crate::common::refused::{GOOD, assert_refused, assert_says, contents, finished};
use crate::common::{arg, run};

const MAZE: &str = "seed = 1\n[task]\nname = \"hard_maze\"\nepisode_length = 20\n[policy]\nhidden = [4]\n[strategy]\n\
                    name = \"map_elites\"\nbatch = 20\niso_sigma = 0.3\n[archive]\nshape = [20, 20]\n[budget]\ngenerations = 2\n";

#[test]
fn what_cannot_be_shown_is_refused_in_one_sentence() {
    let (folder, dir) = finished(MAZE);
    let before = contents(&dir);
    let here = |name: &str| folder.path().join(name);
    let full = here("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("mine.txt"), "mine").unwrap();
    let (png, frames, webp) = (here("a.png"), here("frames/"), here("a.webp"));
    let cases: [(&[&str], &[&str]); 12] = [
        (
            &["--size", "100x80", "-o", arg(&webp)],
            &["--size", "hard_maze", "404 x 414", "--scale"],
        ),
        (&["--view", "above", "-o", arg(&webp)], &["--view", "hard_maze"]),
        (
            &["--gallery", "2x2", "--size", "100x80", "-o", arg(&webp)],
            &["--size", "hard_maze"],
        ),
        (&["-o", arg(&full)], &[arg(&full), "holds something", "empty"]),
        (
            &["-o", arg(&frames), "--speed", "2"],
            &["--speed", ".webp", arg(&frames)],
        ),
        (
            &["-o", arg(&frames), "--frames", "2"],
            &["--frames", ".png", arg(&frames)],
        ),
        (
            &["--gallery", "2x2", "--speed", "2", "-o", arg(&png)],
            &["--speed", ".gif", arg(&png)],
        ),
        (
            &["--descriptor", "40", "-o", arg(&webp)],
            &["--descriptor 40", "2 numbers", "x, y"],
        ),
        (&["--descriptor", "40,900", "-o", arg(&webp)], &["'y'", "202", "900"]),
        (
            &["--descriptor", "40,here", "-o", arg(&webp)],
            &["--descriptor 40,here", "2 numbers"],
        ),
        (&["--cell", "400", "-o", arg(&webp)], &["400", "0 to 399"]),
        (
            &["--gallery", "50x50", "--scale", "32", "-o", arg(&webp)],
            &["too large", "fewer tiles"],
        ),
    ];
    for (arguments, parts) in cases {
        assert_refused(&run(1, &[&["replay", arg(&dir)], arguments].concat()), parts);
    }
    let usage: [(&[&str], &[&str]); 8] = [
        (&["--size", "100"], &["--size", "320x240"]),
        (&["--size", "0x10"], &["--size", "16384"]),
        (&["--size", "20000x10"], &["--size", "16384"]),
        (&["--gallery", "5"], &["--gallery", "5x5"]),
        (&["--gallery", "51x2"], &["--gallery", "50"]),
        (&["--gallery", "2x2", "--elite", "best"], &["--gallery", "--elite"]),
        (&["--descriptor", "1,2", "--cell", "3"], &["--descriptor", "--elite"]),
        (&["--view", "left"], &["follow or above"]),
    ];
    for (arguments, parts) in usage {
        let ended = run(1, &[&["replay", arg(&dir)], arguments].concat());
        assert_eq!(ended.code(), Some(2), "{arguments:?}: {ended}");
        assert_says(&ended.stderr, parts);
    }
    assert!(contents(&dir) == before, "the run was touched");
    for file in [&png, &frames, &webp] {
        assert!(!file.exists(), "{}", file.display());
    }
    assert_eq!(fs::read_dir(&full).unwrap().count(), 1);
    let nowhere = here("no-such-folder/frames/");
    let ended = run(1, &["replay", arg(&dir), "-o", arg(&nowhere)]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(1), 1), "{ended}");
    assert_says(&ended.stderr, &["No such file"]);
}

#[test]
fn a_gallery_of_what_has_no_frames_says_which_tasks_have() {
    let (_folder, dir) = finished(GOOD);
    assert_refused(
        &run(1, &["replay", arg(&dir), "--gallery", "2x2"]),
        &["\"arm\"", "no frames", "hard_maze"],
    );
    assert!(!dir.join("gallery.gif").exists());
}

#[test]
fn a_policy_has_no_gallery() {
    let (_folder, dir) = finished(MAZE);
    let quick = ["--epochs", "1", "--rounds", "0", "--hidden", "4", "--episodes", "1"];
    run(1, &[&["distill", arg(&dir)], &quick[..]].concat()).succeeded();
    let policy = dir.join("distilled");
    assert_refused(
        &run(1, &["replay", arg(&policy), "--gallery", "2x2"]),
        &["--gallery", arg(&policy), "policy", "--descriptor"],
    );
}

#[cfg(feature = "mujoco")]
mod robots {
    use super::*;
    use crate::common::{illume, run_command};

    const HOPPER: &str = "seed = 1\n[task]\nname = \"hopper_uni\"\nepisode_length = 10\n[policy]\nhidden = [4]\n[strategy]\nname = \"map_elites\"\n\
                          batch = 20\n[archive]\nshape = [10]\n[budget]\ngenerations = 2\n";

    #[test]
    fn what_cannot_be_drawn_is_refused_in_one_sentence() {
        let (folder, dir) = finished(HOPPER);
        let webp = folder.path().join("a.webp");
        let cases: [(&[&str], &[&str]); 2] = [
            (&["--gallery", "2x2"], &["one axis", "2x1"]),
            (&["--descriptor", "1.5"], &["0 to 1", "1.5"]),
        ];
        for (arguments, parts) in cases {
            let ended = run(1, &[&["replay", arg(&dir), "-o", arg(&webp)], arguments].concat());
            assert_refused(&ended, parts);
        }
        // Of EGL without a driver nothing comes, and the sentence says so.
        let mut command = illume(1, &["replay", arg(&dir), "-o", arg(&webp)]);
        command
            .env("MUJOCO_GL", "egl")
            .env("__EGL_VENDOR_LIBRARY_FILENAMES", "/dev/null");
        let ended = run_command(command);
        assert_refused(
            &ended,
            &["robots cannot be drawn here", "MUJOCO_GL=egl", "EGL", "libosmesa6"],
        );
        assert!(!webp.exists());
    }
}
