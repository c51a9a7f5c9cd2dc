//! `output.tensorboard`: event files hold the history of a run that was interrupted as that of one that was not, and change nothing.
//! `tools/check_interop.py` has the package tensorboard read the same files.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{Running, arg, assert_equal_tables, column, folder, illume, open, run, signal, write_config};
use prost::Message;

const CONFIG: &str = "seed = 4\n[task]\nname = \"arm\"\njoints = 7\n[strategy]\nname = \"map_elites\"\nbatch = 50\n[archive]\nshape = [12, 12]\n\
                      [budget]\ngenerations = 9\n[output]\ntensorboard = true\n";

/// The parts of TensorFlow's messages that are looked at, as a reader of its own would declare them.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, tag = "3")]
    file_version: String,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "4")]
    image: Option<Image>,
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    #[prost(bytes = "vec", tag = "4")]
    png: Vec<u8>,
}

/// By tag and step.
type Numbers = BTreeMap<String, BTreeMap<i64, f32>>;

/// Number of a run's event files, and what TensorBoard shows of them: numbers by tag and step, and the pictures. What begins anew at a step
/// takes the place of all that was there from it on.
fn shown(dir: &Path) -> (usize, Numbers, Vec<(i64, Image)>) {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("events.out.tfevents.")
    });
    files.sort();
    let (mut numbers, mut pictures) = (Numbers::new(), Vec::new());
    for file in &files {
        let bytes = fs::read(file).unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let event = Event::decode(&rest[12..12 + length]).unwrap();
            rest = &rest[16 + length..];
            if event.session_log.is_some_and(|log| log.status == 1) {
                numbers
                    .values_mut()
                    .for_each(|steps| steps.retain(|step, _| *step < event.step));
                pictures.retain(|(step, _)| *step < event.step);
            }
            for value in event.summary.map_or(Vec::new(), |s| s.value) {
                if let Some(x) = value.simple_value {
                    let before = numbers.entry(value.tag).or_default().insert(event.step, x);
                    assert_eq!(before, None, "step {} twice", event.step);
                }
                pictures.extend(value.image.map(|image| (event.step, image)));
            }
        }
    }
    (files.len(), numbers, pictures)
}

/// The events of a run are its history, and there is a picture for each process that ended and was not undone.
#[track_caller]
fn assert_shows_history(dir: &Path, files: usize, pictured: usize) {
    let (found, numbers, pictures) = shown(dir);
    assert_eq!(found, files);
    let history = open(&dir.join("archive.h5")).history;
    let steps: Vec<i64> = column(&history, "evaluations").iter().map(|x| *x as i64).collect();
    assert!(steps.len() > 5);
    for name in history
        .columns()
        .iter()
        .map(|c| c.name.as_str())
        .filter(|name| *name != "evaluations")
    {
        let values = column(&history, name);
        let shown = &numbers[name];
        assert_eq!(shown.keys().copied().collect::<Vec<_>>(), steps, "{name}");
        for (step, x) in steps.iter().zip(&values) {
            assert_eq!(shown[step], *x as f32, "{name} at {step}");
        }
    }
    assert!(!numbers.contains_key("evaluations"));
    let (step, image) = pictures.last().unwrap();
    assert_eq!((*step, pictures.len()), (*steps.last().unwrap(), pictured));
    assert!(image.png.starts_with(b"\x89PNG") && image.width > 100 && image.height > 100);
}

#[test]
fn an_interrupted_run_shows_the_history_of_the_whole_and_gives_the_same_archive() {
    let folder = folder();
    let config = write_config(folder.path(), CONFIG);
    let [whole, parts, without] = ["whole", "parts", "without"].map(|name| folder.path().join(name));
    run(1, &["run", arg(&config), "--out", arg(&whole)]).succeeded();
    assert_shows_history(&whole, 1, 1);
    run(
        1,
        &[
            "run",
            arg(&config),
            "--out",
            arg(&parts),
            "--set",
            "budget.generations=4",
        ],
    )
    .succeeded();
    // As a process would have left it that went on and was killed: events beyond the checkpoint.
    let (later, earlier) = (folder.path().join("later"), parts.join("checkpoint.h5"));
    fs::create_dir(&later).unwrap();
    for entry in fs::read_dir(&parts).unwrap().map(|e| e.unwrap().path()) {
        fs::copy(&entry, later.join(entry.file_name().unwrap())).unwrap();
    }
    run(1, &["resume", arg(&later), "--set", "budget.generations=7"]).succeeded();
    fs::copy(&earlier, later.join("checkpoint.h5")).unwrap();
    run(1, &["resume", arg(&later), "--set", "budget.generations=9"]).succeeded();
    assert_shows_history(&later, 3, 2);
    run(
        1,
        &[
            "run",
            arg(&config),
            "--out",
            arg(&without),
            "--set",
            "output.tensorboard=false",
        ],
    )
    .succeeded();
    assert_eq!(shown(&without).0, 0);
    // Switched on later: the file has what was before.
    let more = ["--set", "budget.generations=12", "--set", "output.tensorboard=true"];
    let archives = [&whole, &later, &without].map(|dir| open(&dir.join("archive.h5")).elites);
    run(1, &[&["resume", arg(&without)], &more[..]].concat()).succeeded();
    assert_shows_history(&without, 1, 1);
    archives[1..]
        .iter()
        .for_each(|elites| assert_equal_tables(&archives[0], elites, "elites"));
}

#[test]
fn a_run_that_was_killed_before_its_first_checkpoint_starts_again() {
    let folder = folder();
    let config = write_config(
        folder.path(),
        &CONFIG.replace("generations = 9", "evaluations = 1_000_000_000"),
    );
    let dir = folder.path().join("run");
    let mut running = Running::start(illume(1, &["run", arg(&config), "--out", arg(&dir)]));
    running.wait_until("there are events", || dir.is_dir() && shown(&dir).0 == 1);
    assert!(signal("KILL", running.pid()));
    running.wait();
    fs::remove_file(dir.join("run.lock")).unwrap();
    let again = [
        "run",
        "--resume",
        arg(&config),
        "--out",
        arg(&dir),
        "--set",
        "budget.evaluations=450",
    ];
    run(1, &again).succeeded();
    assert_shows_history(&dir, 2, 1);
}
