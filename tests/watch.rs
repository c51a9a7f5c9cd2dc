//! `illume watch`: what it shows of runs and sweeps, finished, under way and killed; in a terminal; and what it refuses.

mod common;

use std::fs;

use common::refused::{GOOD, assert_refused, assert_says, contents, finished};
use common::{Running, arg, folder, illume, python, run, run_command, write_config};

#[test]
fn a_finished_run_is_shown_once_where_there_is_no_terminal() {
    let (_folder, dir) = finished(GOOD);
    let before = contents(&dir);
    let text = run(1, &["watch", arg(&dir)]).succeeded();
    assert_says(
        &text,
        &[
            "arm, map_elites · seed 1",
            "finished, 20",
            "100.00 %",
            "fitness: x × y",
            "QD score (",
            "generation     3",
            "evaluations    60",
            "█",
        ],
    );
    assert!(!text.contains('\u{1b}'), "no colours where nobody sees them");
    let other = run(1, &["watch", arg(&dir), "--once", "--column", "coverage"]).succeeded();
    assert_says(&other, &["coverage ("]);
    assert!(contents(&dir) == before, "it writes nothing");
}

#[test]
fn a_run_under_way_says_who_works_on_it_and_a_killed_one_that_nobody_does() {
    let folder = folder();
    let text = GOOD.replace("generations = 3", "generations = 100_000_000") + "[output]\nlog_seconds = 0.1\n";
    let config = write_config(folder.path(), &text);
    let dir = folder.path().join("run");
    let mut running = Running::start(illume(1, &["run", arg(&config), "--out", arg(&dir)]));
    let log = dir.join("log.jsonl");
    running.wait_until("it has told its progress twice", || {
        fs::read_to_string(&log).is_ok_and(|text| text.matches("\"event\":\"progress\"").count() > 1)
    });
    // Neither archive nor checkpoint is there yet.
    let text = run(1, &["watch", arg(&dir)]).succeeded();
    assert_says(&text, &["process ", "seen ", " ago", "left", "/s)", "start on "]);
    common::signal("KILL", running.pid());
    running.wait();
    let text = run(1, &["watch", arg(&dir)]).succeeded();
    assert_says(&text, &["killed: process ", "illume resume "]);
}

#[test]
fn a_sweep_shows_its_counts_and_its_best() {
    let folder = folder();
    let config = write_config(folder.path(), GOOD);
    let sweep = folder.path().join("sweep");
    run(
        1,
        &[
            "sweep",
            "run",
            arg(&config),
            "strategy.batch=10,30",
            "--seeds",
            "2",
            "--out",
            arg(&sweep),
        ],
    )
    .succeeded();
    let text = run(1, &["watch", arg(&sweep)]).succeeded();
    assert_says(
        &text,
        &["4 runs", "done 4", "100.00 % · finished", "best medians", "batch=30"],
    );
}

/// A pseudo-terminal of Python's, in which keys are pressed.
const TERMINAL: &str = "
import fcntl, os, pty, select, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.environ['TERM'] = 'xterm-256color'
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 120, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
seen, keys = b'', [b'\\t', b'r', b'q']
while True:
    if select.select([fd], [], [], 20)[0]:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        seen += part
        if b'coverage' in seen and keys:
            time.sleep(0.3)
            os.write(fd, keys.pop(0))
    else:
        os.kill(pid, 9)
status = os.waitpid(pid, 0)[1]
assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, status
text = seen.decode(errors='replace')
for part in ['\\x1b[?1049h', '\\x1b[?1049l', '38;2;', 'map_elites', 'coverage', 'evaluations']:
    assert part in text, part
print('left in order')
";

#[test]
fn in_a_terminal_keys_are_heard_and_the_screen_is_left_as_it_was() {
    let (_folder, dir) = finished(GOOD);
    let mut command = python();
    command.args(["-c", TERMINAL, common::ILLUME, "watch", arg(&dir), "--every", "0.2"]);
    assert_says(&run_command(command).succeeded(), &["left in order"]);
}

#[test]
fn what_cannot_be_watched_is_refused_in_one_sentence() {
    let (folder, dir) = finished(GOOD);
    let missing = folder.path().join("none");
    let file = dir.join("archive.h5");
    let cases: [(&[&str], &[&str]); 4] = [
        (&[arg(&missing)], &[arg(&missing), "does not exist", "run directory"]),
        (&[arg(&file)], &[arg(&file), "is a file", "run directory"]),
        (
            &[arg(folder.path())],
            &[arg(folder.path()), "log.jsonl", "run directory"],
        ),
        (
            &[arg(&dir), "--column", "beauty"],
            &["--column beauty", "qd_score", "coverage"],
        ),
    ];
    for (arguments, parts) in cases {
        assert_refused(&run(1, &[&["watch"], arguments].concat()), parts);
    }
    for (arguments, parts) in [
        (["--every", "0"], ["--every", "0.1 to 3600"]),
        (["--every", "soon"], ["soon", "seconds"]),
    ] {
        let ended = run(1, &[&["watch", arg(&dir)], &arguments[..]].concat());
        assert_eq!(ended.code(), Some(2), "{ended}");
        assert_says(&ended.stderr, &parts);
    }
    // What is damaged is not there yet for who watches: it may be in the middle of being written.
    fs::write(&file, "no archive").unwrap();
    fs::remove_file(dir.join("checkpoint.h5")).unwrap();
    fs::write(dir.join("log.jsonl"), "no log\n").unwrap();
    assert_says(&run(1, &["watch", arg(&dir)]).succeeded(), &["nobody works on it"]);
    let config = write_config(folder.path(), GOOD);
    let sweep = folder.path().join("sweep");
    run(
        1,
        &[
            "sweep",
            "run",
            arg(&config),
            "strategy.batch=10,30",
            "--out",
            arg(&sweep),
        ],
    )
    .succeeded();
    assert_refused(
        &run(1, &["watch", arg(&sweep), "--column", "qd_score"]),
        &["--column", "sweep"],
    );
    assert_says(&run(1, &["watch", arg(&sweep)]).succeeded(), &["done 2", "finished"]);
}
