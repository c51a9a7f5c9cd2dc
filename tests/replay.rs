//! A replayed elite does again what it did: its fitness comes back, and the frames show it.

mod common;

use std::path::{Path, PathBuf};

use common::{arg, folder, run, write_config};
use resvg::tiny_skia::Pixmap;
use serde_json::Value;

/// A run in the maze.
fn finished(folder: &Path, strategy: &str, task: &str) -> PathBuf {
    let text = format!(
        "seed = 4\n[task]\nname = \"hard_maze\"\n{task}\n[policy]\nhidden = [8]\n[strategy]\n{strategy}\n[archive]\nshape = [12, 12]\n\
         [budget]\ngenerations = 6\n"
    );
    let dir = folder.join("run");
    run(1, &["run", arg(&write_config(folder, &text)), "--out", arg(&dir)]).succeeded();
    dir
}

const MAP_ELITES: &str = "name = \"map_elites\"\nbatch = 60\niso_sigma = 0.3";
const DEEP_GA: &str = "name = \"deep_ga\"\npopulation = 60\nparents = 8\nsigma = 0.3";
const OPENAI_ES: &str = "name = \"openai_es\"\npopulation = 20\nsigma = 0.2\nlearning_rate = 0.2";
const SHORT: &str = "episode_length = 90";

/// What `illume replay --json` says.
#[track_caller]
fn replay(path: &Path, options: &[&str]) -> Value {
    let text = run(1, &[&["replay", arg(path), "--json"], options].concat()).succeeded();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The frames of a GIF, `[height, width]` of RGB each, with their time in hundredths of a second.
struct Gif {
    width: usize,
    frames: Vec<Vec<[u8; 3]>>,
    delays: Vec<u16>,
}

fn open(path: &Path) -> Gif {
    let mut decoder = gif::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    let palette: Vec<[u8; 3]> = decoder.global_palette().unwrap().as_chunks::<3>().0.to_vec();
    let mut canvas = vec![[0; 3]; width * height];
    let mut found = Gif {
        width,
        frames: Vec::new(),
        delays: Vec::new(),
    };
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        let (left, top, w) = (
            usize::from(frame.left),
            usize::from(frame.top),
            usize::from(frame.width),
        );
        for (i, &number) in frame.buffer.iter().enumerate() {
            if frame.transparent != Some(number) {
                canvas[(top + i / w) * width + left + i % w] = palette[usize::from(number)];
            }
        }
        found.frames.push(canvas.clone());
        found.delays.push(frame.delay);
    }
    found
}

/// Mean place of the pixels that are as red as the agent, in map units: two pixels a unit, from five units beyond the map's corner.
fn agent(frame: &[[u8; 3]], width: usize) -> [f64; 2] {
    let red: Vec<usize> = (0..frame.len()).filter(|&i| frame[i] == [208, 64, 48]).collect();
    assert!(red.len() > 300, "{} pixels of the agent", red.len());
    let mean = |of: &dyn Fn(usize) -> usize| red.iter().map(|&i| of(i) as f64 + 0.5).sum::<f64>() / red.len() as f64;
    [
        mean(&|i| i % width) / 2.0 + 3.0 - 5.0,
        mean(&|i| i / width) / 2.0 + 5.0 - 5.0,
    ]
}

#[test]
fn the_stored_fitness_comes_back_and_the_animation_shows_the_agent_where_it_went() {
    for (strategy, elite) in [(MAP_ELITES, "cell"), (DEEP_GA, "solution"), (OPENAI_ES, "cell")] {
        let folder = folder();
        let dir = finished(folder.path(), strategy, SHORT);
        let choice: &[&str] = if strategy == OPENAI_ES {
            &["--elite", "best"]
        } else {
            &[]
        };
        let said = replay(&dir, choice);
        let path = dir.join("replay.gif");
        assert_eq!(said["file"], arg(&path));
        assert_eq!(
            (&said["elite"], &said["identical"]),
            (&elite.into(), &true.into()),
            "{said:#}"
        );
        assert_eq!(said["fitness"], said["stored_fitness"]);
        assert_eq!((&said["steps"], &said["pictures"]), (&90.into(), &91.into()));

        let animation = open(&path);
        assert_eq!((animation.frames.len(), animation.width), (91, 404));
        let seconds = animation.delays[..90].iter().map(|d| f64::from(*d)).sum::<f64>() / 100.0;
        assert!((seconds - said["seconds"].as_f64().unwrap()).abs() < 0.01);
        let near = |at: [f64; 2], place: [f64; 2]| (at[0] - place[0]).hypot(at[1] - place[1]) < 1.0;
        let first = agent(&animation.frames[0], 404);
        assert!(near(first, [36.0, 184.0]), "it starts at {first:?}");
        let place = [0, 1].map(|i| said["descriptor"][i].as_f64().unwrap());
        let last = agent(&animation.frames[90], 404);
        assert!(near(last, place), "it ends at {place:?}, the frame shows {last:?}");
        assert!(!near(last, first));
        let moved = animation.frames.windows(2).filter(|p| p[0] != p[1]).count();
        assert!(moved > 30, "{moved} frames differ from the one before");
    }
}

#[test]
fn a_cell_can_be_named_and_an_animation_thinned_cut_short_and_quickened() {
    let folder = folder();
    let dir = finished(folder.path(), MAP_ELITES, SHORT);
    let file = common::open(&dir.join("archive.h5"));
    let (cells, fitness) = (
        file.elites.get::<i64>("cell").unwrap(),
        file.elites.get::<f64>("fitness").unwrap(),
    );
    let output = folder.path().join("some.GIF");
    for row in [0, cells.len() / 2, cells.len() - 1] {
        let said = replay(
            &dir.join("checkpoint.h5"),
            &["--elite", &cells[row].to_string(), "-o", arg(&output)],
        );
        assert_eq!((&said["cell"], &said["identical"]), (&cells[row].into(), &true.into()));
        assert_eq!(said["fitness"], fitness[row]);
    }
    let said = replay(
        &dir,
        &["--every", "20", "--speed", "2", "--scale", "2", "-o", arg(&output)],
    );
    let animation = open(&output);
    assert_eq!((animation.frames.len(), animation.width), (6, 808));
    assert_eq!(
        animation.delays,
        [40, 40, 40, 40, 20, 200],
        "steps 0, 20, ..., 80 and 90 at 50 steps a second"
    );
    assert_eq!((&said["every"], &said["seconds"]), (&20.into(), &1.8.into()));
    let said = replay(&dir, &["--episode-steps", "30", "-o", arg(&output)]);
    assert_eq!(
        (&said["steps"], &said["pictures"], &said["identical"]),
        (&30.into(), &31.into(), &false.into())
    );
    assert!(
        said["notes"][0].as_str().unwrap().contains("--episode-steps"),
        "{said:#}"
    );
}

#[test]
fn a_long_episode_is_thinned_and_says_so() {
    let folder = folder();
    let dir = finished(folder.path(), MAP_ELITES, "episode_length = 3100");
    let said = replay(&dir, &["--scale", "1"]);
    assert_eq!(
        (&said["steps"], &said["every"], &said["identical"]),
        (&3100.into(), &8.into(), &true.into())
    );
    assert!(said["notes"][0].as_str().unwrap().contains("every 8th"), "{said:#}");
    let animation = open(&dir.join("replay.gif"));
    assert_eq!(animation.frames.len(), 3100 / 8 + 2);
    let time: u32 = animation.delays[..388].iter().map(|d| u32::from(*d)).sum();
    assert_eq!(time, 12_400, "it keeps its pace: 3100 steps at 25 a second");
}

#[test]
fn a_strip_shows_so_many_frames_with_the_agent_at_its_places() {
    let folder = folder();
    let dir = finished(folder.path(), DEEP_GA, SHORT);
    let path = folder.path().join("strip.png");
    let said = replay(&dir, &["-o", arg(&path), "--frames", "4"]);
    assert_eq!((&said["pictures"], &said["seconds"]), (&4.into(), &Value::Null));
    let sheet = Pixmap::load_png(&path).unwrap();
    // Two by two frames of 404 x 414, 12 pixels between and around them, 24 more for a label.
    let (width, height) = (sheet.width() as usize, sheet.height() as usize);
    assert_eq!((width, height), (2 * 416 + 12, 2 * 450 + 12));
    let frame = |i: usize| -> Vec<[u8; 3]> {
        let (x, y) = (12 + i % 2 * 416, 12 + i / 2 * 450);
        let pixel = |at: usize| sheet.pixel((x + at % 404) as u32, (y + at / 404) as u32).unwrap();
        (0..404 * 414)
            .map(|at| [pixel(at).red(), pixel(at).green(), pixel(at).blue()])
            .collect()
    };
    let places: Vec<[f64; 2]> = (0..4).map(|i| agent(&frame(i), 404)).collect();
    let end = [0, 1].map(|i| said["descriptor"][i].as_f64().unwrap());
    assert!(
        (places[0][0] - 36.0).abs() < 1.0 && (places[0][1] - 184.0).abs() < 1.0,
        "{places:?}"
    );
    assert!(
        (places[3][0] - end[0]).abs() < 1.0 && (places[3][1] - end[1]).abs() < 1.0,
        "{places:?} {end:?}"
    );
    // Below each frame is a label.
    for i in 0..4 {
        let (x, y) = (12 + i % 2 * 416, 12 + i / 2 * 450 + 414);
        let dark =
            (0..24 * 200).filter(|at| sheet.pixel((x + at % 200) as u32, (y + at / 200) as u32).unwrap().red() < 128);
        assert!(dark.count() > 100, "label {i}");
    }
}

#[test]
fn what_a_run_did_not_keep_is_said_where_the_fitness_differs() {
    let folder = folder();
    let strategy = format!("{OPENAI_ES}\nnormalize_observations = true\nepisode_cap = \"adaptive\"");
    let dir = finished(folder.path(), &strategy, SHORT);
    let said = run(1, &["replay", arg(&dir)]).succeeded();
    assert!(said.contains("elite        solution"), "{said}");
    let json = replay(&dir, &[]);
    if json["identical"] == false {
        for part in ["last statistics", "mean fitness of the center"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

#[test]
fn a_policy_is_shown_doing_what_it_is_asked_for() {
    let folder = folder();
    let dir = finished(folder.path(), MAP_ELITES, SHORT);
    let policy = folder.path().join("policy");
    let few = ["--epochs", "1", "--rounds", "0", "--hidden", "8", "--episodes", "1"];
    run(1, &[&["distill", arg(&dir), "-o", arg(&policy)], &few[..]].concat()).succeeded();
    let said = replay(&policy, &["--descriptor", "60, 150"]);
    assert_eq!(
        (&said["elite"], &said["stored_fitness"]),
        (&"policy".into(), &Value::Null)
    );
    let eval = run(1, &["eval", arg(&policy), "--descriptor", "60,150", "--json"]).succeeded();
    let eval: Value = serde_json::from_str(&eval).unwrap();
    assert_eq!(said["descriptor"], eval["descriptor"], "{said:#} {eval:#}");
    let animation = open(&policy.join("replay.gif"));
    let last = agent(animation.frames.last().unwrap(), animation.width);
    let place = [0, 1].map(|i| said["descriptor"][i].as_f64().unwrap());
    assert!(
        (last[0] - place[0]).hypot(last[1] - place[1]) < 1.0,
        "{last:?} {place:?}"
    );
}

/// A run on a GPU is replayed where there is none: its configuration is that of one.
#[test]
#[cfg(feature = "atari")]
fn a_game_is_shown_as_it_was_played_and_on_the_cpu_if_it_was_played_on_a_gpu() {
    let folder = folder();
    let text = "seed = 2\n[task]\nname = \"atari/frostbite\"\nmax_steps = 60\n[policy]\nnetwork = \"small\"\n[strategy]\nname = \"deep_ga\"\n\
                population = 4\nparents = 2\nvalidation_candidates = 1\nvalidation_episodes = 2\ntest_episodes = 0\n[archive]\nshape = [9, 9]\n\
                [budget]\ngenerations = 1\n";
    let dir = folder.path().join("run");
    run(1, &["run", arg(&write_config(folder.path(), text)), "--out", arg(&dir)]).succeeded();
    let said = replay(&dir, &["--elite", "best"]);
    assert_eq!(
        (&said["identical"], &said["steps"]),
        (&true.into(), &60.into()),
        "{said:#}"
    );
    let animation = open(&dir.join("replay.gif"));
    assert_eq!((animation.frames.len(), animation.width), (61, 320));
    assert_eq!(animation.frames[0].len(), 320 * 420);
    let time: u32 = animation.delays[..60].iter().map(|d| u32::from(*d)).sum();
    assert_eq!(
        time, 400,
        "four seconds of a game of 60 frames a second, four frames a step"
    );
    assert!(animation.frames.windows(2).filter(|p| p[0] != p[1]).count() > 40);
    // Each of its own pixels is a square of four.
    let last = &animation.frames[60];
    assert!((0..320 * 420).all(|at| last[at] == last[at / 640 * 640 + at % 320 / 2 * 2]));

    let archive = dir.join("archive.h5");
    let code = "c = f.attrs['config']; n = c.replace('device = \"cpu\"', 'device = \"cuda\"'); assert n != c; f.attrs['config'] = n";
    common::edit_h5(&archive, code);
    let again = replay(&archive, &["--elite", "best"]);
    assert_eq!(
        (&again["fitness"], &again["identical"]),
        (&said["fitness"], &true.into())
    );
    let output = folder.path().join("dense.h5");
    run(1, &["export", arg(&archive), "-o", arg(&output)]).succeeded();
    assert_eq!(common::open(&output).genome_dim, 1_008_450);
}

/// The greedy actor beside a PGA-MAP-Elites archive was never scored: it is shown if it is asked for, and the best elite otherwise.
#[test]
fn an_actor_without_a_fitness_is_shown_only_if_it_is_asked_for() {
    let folder = folder();
    let strategy = "name = \"pga_me\"\nbatch = 20\ncritic_hidden = [8]\ncritic_steps = 2\npg_steps = 2\nminibatch = 8";
    let dir = finished(folder.path(), strategy, SHORT);
    let said = replay(&dir, &[]);
    assert_eq!(
        (&said["elite"], &said["identical"]),
        (&"cell".into(), &true.into()),
        "{said:#}"
    );
    let said = replay(&dir, &["--elite", "solution"]);
    assert_eq!(
        (&said["elite"], &said["stored_fitness"]),
        (&"solution".into(), &Value::Null)
    );
    assert!(said["fitness"].is_f64());
    let export = folder.path().join("solution.npz");
    run(
        1,
        &[
            "export",
            arg(&dir),
            "--elite",
            "solution",
            "--genomes",
            "-o",
            arg(&export),
        ],
    )
    .succeeded();
}
