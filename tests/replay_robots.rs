//! Robots are drawn without a display: an elite does again what it did, in every kind of file, and a gallery shows the best of each part of an archive.
#![cfg(feature = "mujoco")]

mod common;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{arg, folder, run, write_config};
use resvg::tiny_skia::Pixmap;
use serde_json::Value;

const WALKER: &str = "seed = 3\n[task]\nname = \"walker2d_uni\"\nepisode_length = 40\n[policy]\nhidden = [8]\n[strategy]\nname = \"map_elites\"\nbatch = 64\n\
                      [archive]\nkind = \"grid\"\nshape = [8, 8]\n[budget]\ngenerations = 3\n";

/// A run of this configuration.
fn finished(folder: &Path, text: &str) -> PathBuf {
    let dir = folder.join("run");
    run(1, &["run", arg(&write_config(folder, text)), "--out", arg(&dir)]).succeeded();
    dir
}

/// What `illume replay --json` says; none where neither library is there to draw with.
#[track_caller]
fn replay(path: &Path, options: &[&str]) -> Option<Value> {
    let ended = run(1, &[&["replay", arg(path), "--json"], options].concat());
    if ended.code() == Some(2) && ended.stderr.matches("was not found").count() == 2 {
        eprintln!("not tested: {}", ended.stderr);
        return None;
    }
    let text = ended.succeeded();
    Some(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
}

#[test]
fn an_elite_walks_again_in_every_kind_of_file() {
    let folder = folder();
    let dir = finished(folder.path(), WALKER);
    let webp = folder.path().join("elite.webp");
    let Some(said) = replay(&dir, &["-o", arg(&webp), "--size", "160x120"]) else {
        return;
    };
    assert_eq!(
        (&said["identical"], &said["elite"]),
        (&true.into(), &"cell".into()),
        "{said:#}"
    );
    assert_eq!((&said["width"], &said["height"]), (&160.into(), &120.into()));
    let steps = said["steps"].as_u64().unwrap();
    // 125 steps a second, and no more than 30 frames.
    assert_eq!(said["every"], 5);
    let pictures = steps.div_ceil(5) + 1;
    assert_eq!(said["pictures"], pictures);

    let bytes = fs::read(&webp).unwrap();
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(&bytes)).unwrap();
    assert_eq!(
        (decoder.dimensions(), u64::from(decoder.num_frames())),
        ((160, 120), pictures)
    );
    let mut shown = Vec::new();
    for _ in 0..pictures {
        let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
        decoder.read_frame(&mut pixels).unwrap();
        let channels = pixels.len() / (160 * 120);
        shown.push(
            pixels
                .chunks_exact(channels)
                .map(|p| [p[0], p[1], p[2]])
                .collect::<Vec<_>>(),
        );
    }
    assert!(shown.windows(2).all(|p| p[0] != p[1]), "it moves");

    // The frames of the folder are those of the animation.
    let frames = folder.path().join("frames");
    let said = replay(&dir, &["-o", &format!("{}/", arg(&frames)), "--size", "160x120"]).unwrap();
    assert_eq!(
        (&said["identical"], &said["pictures"]),
        (&true.into(), &pictures.into())
    );
    for (i, shown) in shown.iter().enumerate() {
        let picture = Pixmap::load_png(frames.join(format!("frame-{i:04}.png"))).unwrap();
        let pixels: Vec<[u8; 3]> = picture
            .pixels()
            .iter()
            .map(|p| [p.red(), p.green(), p.blue()])
            .collect();
        assert!(pixels == *shown, "frame {i}");
    }
    assert_eq!(fs::read_dir(&frames).unwrap().count() as u64, pictures);

    let gif = folder.path().join("elite.gif");
    replay(&dir, &["-o", arg(&gif)]).unwrap();
    let decoder = gif::Decoder::new(fs::File::open(&gif).unwrap()).unwrap();
    assert_eq!((decoder.width(), decoder.height()), (320, 240));
    let png = folder.path().join("elite.png");
    let said = replay(&dir, &["-o", arg(&png), "--frames", "4", "--view", "above"]).unwrap();
    assert_eq!((&said["pictures"], &said["identical"]), (&4.into(), &true.into()));
    assert!(Pixmap::load_png(&png).unwrap().width() > 640);

    let mp4 = folder.path().join("elite.mp4");
    if Command::new("ffmpeg").arg("-version").output().is_ok() {
        let said = replay(&dir, &["-o", arg(&mp4), "--size", "161x121"]).unwrap();
        assert_eq!((&said["width"], &said["pictures"]), (&161.into(), &pictures.into()));
        assert_eq!(fs::read(&mp4).unwrap()[4..8], *b"ftyp");
        assert!(common::temporaries(folder.path()).is_empty());
    } else {
        let ended = run(1, &["replay", arg(&dir), "-o", arg(&mp4)]);
        common::refused::assert_refused(&ended, &["ffmpeg", arg(&mp4), ".webp"]);
    }
}

#[test]
fn an_elite_is_named_by_its_cell_or_by_the_nearest_descriptor() {
    let folder = folder();
    let dir = finished(folder.path(), WALKER);
    let file = common::open(&dir.join("archive.h5"));
    let cells = file.elites.get::<i64>("cell").unwrap();
    let descriptors = file.elites.get::<f64>("descriptor").unwrap();
    let output = folder.path().join("a.webp");
    for row in [0, cells.len() - 1] {
        let own = &descriptors[2 * row..2 * row + 2];
        let cell = cells[row].to_string();
        let Some(by_cell) = replay(&dir, &["--cell", &cell, "--size", "64x48", "-o", arg(&output)]) else {
            return;
        };
        assert_eq!(
            (&by_cell["cell"], &by_cell["identical"]),
            (&cells[row].into(), &true.into())
        );
        assert_eq!(by_cell["descriptor"], serde_json::json!(own));
        let asked = format!("{}, {}", own[0] + 1e-9, own[1]);
        let nearest = replay(&dir, &["--descriptor", &asked, "--size", "64x48", "-o", arg(&output)]).unwrap();
        assert_eq!(nearest["cell"], by_cell["cell"], "{nearest:#}");
    }
}

#[test]
fn a_gallery_shows_the_best_of_each_part() {
    let folder = folder();
    let dir = finished(folder.path(), WALKER);
    let file = common::open(&dir.join("archive.h5"));
    let (fitness, descriptors) = (
        file.elites.get::<f64>("fitness").unwrap(),
        file.elites.get::<f64>("descriptor").unwrap(),
    );
    let part = |x: f64, n: f64| ((x * n) as u64).min(n as u64 - 1);
    let mut best = std::collections::BTreeMap::new();
    for (row, own) in descriptors.chunks_exact(2).enumerate() {
        let place = (part(own[1], 2.0), part(own[0], 3.0));
        let best = best.entry(place).or_insert(f64::MIN);
        *best = fitness[row].max(*best);
    }
    let output = folder.path().join("gallery.webp");
    let options = ["--gallery", "3x2", "--size", "64x48", "-o", arg(&output)];
    let Some(said) = replay(&dir, &options) else {
        return;
    };
    assert_eq!(
        (&said["columns"], &said["rows"], &said["identical"]),
        (&3.into(), &2.into(), &true.into()),
        "{said:#}"
    );
    let tiles = said["tiles"].as_array().unwrap();
    let shown: Vec<((u64, u64), f64)> = tiles
        .iter()
        .map(|t| {
            (
                (t["row"].as_u64().unwrap(), t["column"].as_u64().unwrap()),
                t["fitness"].as_f64().unwrap(),
            )
        })
        .collect();
    assert_eq!(shown, best.into_iter().collect::<Vec<_>>());
    assert!((1..=6).contains(&shown.len()));

    // As many places of the picture hold a robot's colours as there are tiles.
    let png = folder.path().join("gallery.png");
    let said = replay(&dir, &["--gallery", "3x2", "--size", "64x48", "-o", arg(&png)]).unwrap();
    let picture = Pixmap::load_png(&png).unwrap();
    assert_eq!(
        (said["width"].as_u64(), said["height"].as_u64()),
        (Some(u64::from(picture.width())), Some(u64::from(picture.height())))
    );
    let mut filled = 0;
    for (column, row) in (0..3).flat_map(|c| (0..2).map(move |r| (c, r))) {
        let (left, top) = (70 + column * (64 + 8), 66 + row * (48 + 18));
        let pixels = (0..64 * 48).map(|at| picture.pixel(left + at % 64, top + at / 64).unwrap());
        let mut colours: Vec<_> = pixels.map(|p| [p.red(), p.green(), p.blue()]).collect();
        colours.sort_unstable();
        colours.dedup();
        filled += usize::from(colours.len() > 50);
        assert!(colours.len() > 50 || colours.len() == 1, "{} colours", colours.len());
    }
    assert_eq!(filled, shown.len());
}

#[test]
fn a_gallery_needs_no_robot() {
    let folder = folder();
    let text = "seed = 4\n[task]\nname = \"hard_maze\"\nepisode_length = 60\n[policy]\nhidden = [8]\n[strategy]\nname = \"map_elites\"\nbatch = 60\n\
                iso_sigma = 0.3\n[archive]\nshape = [12, 12]\n[budget]\ngenerations = 6\n";
    let dir = finished(folder.path(), text);
    let said = replay(&dir, &["--gallery", "4x4"]).unwrap();
    assert_eq!(
        (&said["file"], &said["identical"]),
        (&arg(&dir.join("gallery.gif")).into(), &true.into())
    );
    assert_eq!(said["pictures"], 61);
    let tiles = said["tiles"].as_array().unwrap();
    assert!(tiles.len() > 1 && tiles.len() <= 16);
    assert!(tiles.iter().all(|t| t["stored_fitness"] == t["fitness"]));
}

/// What a run did not keep of each episode is said where a stored fitness does not come back.
#[test]
fn a_robot_of_which_the_statistics_have_moved_on_says_so() {
    let folder = folder();
    let text = WALKER
        .replace(
            "name = \"map_elites\"\nbatch = 64",
            "name = \"openai_es\"\npopulation = 16\nsigma = 0.1\nlearning_rate = 0.05\nnormalize_observations = true",
        )
        .replace("episode_length = 40", "episode_length = 40\ntime_in_observation = true");
    let dir = finished(folder.path(), &text);
    let output = folder.path().join("a.webp");
    for elite in ["best", "solution"] {
        let Some(said) = replay(&dir, &["--elite", elite, "--size", "64x48", "-o", arg(&output)]) else {
            return;
        };
        let notes = said["notes"].to_string();
        assert!(
            said["identical"] == true || notes.contains("last statistics"),
            "{said:#}"
        );
    }
    // Without filming it is the same episode.
    let said = replay(&dir, &["--elite", "best", "--size", "64x48", "-o", arg(&output)]).unwrap();
    let again = replay(
        &dir,
        &["--elite", "best", "--size", "32x32", "--every", "7", "-o", arg(&output)],
    )
    .unwrap();
    assert_eq!(said["fitness"], again["fitness"]);
}
