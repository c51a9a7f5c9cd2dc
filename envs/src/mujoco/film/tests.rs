//! These draw wherever OpenGL can be loaded, which set-up sees to; elsewhere they say that they did not.

use super::*;
use crate::rollout::Env as _;
use crate::testing::{evaluate, task};
use illume_core::{Camera, Dense, Genomes, Purpose, Request, Scores, Stream};

/// Keeps what it is shown of every tenth step.
struct Album {
    size: [usize; 2],
    view: View,
    tells_all: bool,
    pictures: Vec<Vec<u8>>,
}

impl Album {
    fn new(size: [usize; 2], view: View) -> Album {
        Album {
            size,
            view,
            tells_all: false,
            pictures: Vec::new(),
        }
    }
}

impl Camera for Album {
    fn pace(&mut self, steps_per_second: f64) {
        assert!((10.0..=200.0).contains(&steps_per_second), "{steps_per_second}");
    }

    fn size(&self) -> Option<[usize; 2]> {
        Some(self.size)
    }

    fn view(&self) -> View {
        self.view
    }

    fn last_tells_all(&mut self) {
        self.tells_all = true;
    }

    fn wants(&self, step: u32) -> bool {
        step.is_multiple_of(10)
    }

    fn take(&mut self, _: u32, _: f64, size: [usize; 2], rgb: &[u8]) {
        assert_eq!((size, rgb.len()), (self.size, 3 * size[0] * size[1]));
        self.pictures.push(rgb.to_vec());
    }
}

/// Whether there is a library to draw with. Where there is one, failing is an error.
fn can_draw() -> bool {
    match Current::open() {
        Ok(_) => true,
        Err(e) if e.to_string().matches("was not found").count() == 2 => {
            eprintln!("not tested: {e}");
            false
        }
        Err(e) => panic!("{e}"),
    }
}

/// How far apart two colours are.
fn distance(a: &[u8], b: &[u8]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
}

/// Share of pixels in the middle of the picture (of its width from 0.3 to 0.7, of its height from `top` to 0.95) that have about the colour
/// of these robots, a light brown that nothing else has.
fn brown(rgb: &[u8], [width, height]: [usize; 2], top: f64) -> f64 {
    let (mut brown, mut all) = (0, 0);
    for y in (top * height as f64) as usize..(0.95 * height as f64) as usize {
        for x in 3 * width / 10..7 * width / 10 {
            let [r, g, b] = [0, 1, 2].map(|c| i32::from(rgb[3 * (y * width + x) + c]));
            all += 1;
            brown += i32::from(r > g + 12 && g > b + 12);
        }
    }
    f64::from(brown) / f64::from(all)
}

#[test]
fn every_robot_is_drawn_in_the_middle_and_scores_as_if_nobody_looked() {
    if !can_draw() {
        return;
    }
    for entry in crate::mujoco::registry() {
        let name = entry.name;
        let task = task(&format!("name = \"{name}\"\nepisode_length = 60"));
        let mut genes = vec![0.0; task.spec().genome_dim];
        Stream::new(3, Purpose::Init, 0, 0).normals(0, &mut genes);
        genes.iter_mut().for_each(|g| *g *= 0.3);
        let plain = evaluate(&*task, &genes, 1);
        let size = [160, 120];
        for view in [View::Follow, View::Above] {
            let mut album = Album::new(size, view);
            let (fitness, descriptor, steps) = {
                let mut worker = task.filming(&mut album).unwrap().unwrap();
                score(&mut *worker, &genes, 0, task.spec().descriptor_dim())
            };
            assert_eq!(fitness.to_bits(), plain.fitness[0].to_bits(), "{name} {view:?}");
            assert_eq!(
                (&descriptor, steps),
                (&plain.descriptor, plain.steps[0]),
                "{name} {view:?}"
            );
            assert_eq!(album.tells_all, view == View::Above);
            assert_eq!(album.pictures.len(), steps.div_ceil(10) as usize + 1, "{name} {view:?}");
            for picture in &album.pictures {
                let mut colours: Vec<&[u8]> = picture.chunks_exact(3).collect();
                colours.sort_unstable();
                colours.dedup();
                assert!(colours.len() > 50, "{name} {view:?}: {} colours", colours.len());
                if view == View::Follow {
                    let share = brown(picture, size, 0.2);
                    assert!(share > 0.01, "{name}: {share} of the middle is the robot");
                }
            }
            assert!(album.pictures.windows(2).all(|p| p[0] != p[1]), "{name} {view:?} moves");
        }
    }
}

/// (fitness, descriptor, steps) of an episode.
fn score(worker: &mut dyn illume_core::Worker, genes: &[f32], seed: u64, k: usize) -> (f64, Vec<f64>, u32) {
    let genomes = Genomes::Dense(Dense {
        dim: genes.len(),
        data: genes.to_vec(),
    });
    let request = Request {
        genomes: &genomes,
        seeds: &[seed],
        max_steps: u32::MAX,
        uncapped: 0..0,
        tests: 0..0,
        normalization: None,
        observed: &[],
        network: None,
    };
    let (mut status, mut fitness, mut steps) = ([9], [0.0], [0]);
    let mut descriptor = vec![0.0; k];
    let mut scores = Scores {
        status: &mut status,
        fitness: &mut fitness,
        descriptor: &mut descriptor,
        steps: &mut steps,
        moments: &mut [],
        measures: &mut [],
        objectives: &mut [],
        trajectories: &mut [],
        features: &mut [],
    };
    worker.evaluate(&request, 0..1, &mut scores);
    assert_eq!(status, [0]);
    (fitness[0], descriptor, steps[0])
}

#[test]
fn the_sky_is_above_the_floor_and_the_camera_goes_along() {
    if !can_draw() {
        return;
    }
    let Some(Ok(plan)) = crate::mujoco::plan("halfcheetah_uni", &illume_core::toml::Table::new()) else {
        panic!("there is such a task");
    };
    let robot = Robot::new(plan.recipe).unwrap();
    let size = [160, 120];
    let painter = RobotPainter::new(&robot, Some(size), View::Follow).unwrap();
    let positions = |x: f64| {
        let mut positions = vec![0.0; robot.model().sizes().qpos];
        positions[0] = x;
        positions
    };
    let shoot = |x: f64| {
        painter.studio.take(Shot {
            positions: positions(x),
            way: vec![[0.0; 2]],
            rgb: Vec::new(),
        })
    };
    let [near, far] = [shoot(0.0), shoot(20.0)];
    // The sky is one smooth colour, the floor has squares: rows of the lower part have more contrast.
    let contrast = |row: usize| {
        let pixels = &near[3 * row * size[0]..3 * (row + 1) * size[0]];
        let steps = pixels.as_chunks::<3>().0.windows(2).map(|p| distance(&p[0], &p[1]));
        steps.sum::<u32>()
    };
    let [sky, floor] = [5, size[1] - 12].map(contrast);
    assert!(floor > 3 * sky, "{floor} on the floor, {sky} in the sky");
    for (x, picture) in [(0.0, &near), (20.0, &far)] {
        let share = brown(picture, size, 0.2);
        assert!(share > 0.02, "at {x} m {share} of the middle is the robot");
    }
}

#[test]
fn from_above_the_way_is_seen_from_start_to_end() {
    if !can_draw() {
        return;
    }
    let Some(Ok(plan)) = crate::mujoco::plan("ant_omni", &illume_core::toml::Table::new()) else {
        panic!("there is such a task");
    };
    let robot = Robot::new(plan.recipe).unwrap();
    let size = [200, 200];
    let painter = RobotPainter::new(&robot, Some(size), View::Usual).unwrap();
    let mut episode = robot.episode().unwrap();
    episode.reset(1, &mut vec![0.0; robot.observation_dim()]);
    // 8 m to the right, then 8 m up.
    let way: Vec<[f64; 2]> = (0..=80)
        .map(|i| [f64::from(i) / 10.0, 0.0])
        .chain((0..=80).map(|i| [8.0, f64::from(i) / 10.0]))
        .collect();
    let mut positions = episode.simulator().positions().to_vec();
    positions[..2].copy_from_slice(&[8.0, 8.0]);
    let picture = painter.studio.take(Shot {
        positions,
        way,
        rgb: Vec::new(),
    });
    let red = |x: f64, y: f64| {
        // The middle of the picture is that of the way, its half the way's half and a margin.
        let half = 4.0 + MARGIN;
        let [column, row] = [(x - 4.0) / half, (4.0 - y) / half].map(|share| ((1.0 + share) * 100.0) as usize);
        let near = |at: usize| at.saturating_sub(2)..at + 3;
        near(row).flat_map(|y| near(column).map(move |x| (x, y))).any(|(x, y)| {
            let [r, g, b] = [0, 1, 2].map(|c| i32::from(picture[3 * (y * size[0] + x) + c]));
            r > g + 40 && r > b + 40
        })
    };
    for [x, y] in [[0.5, 0.0], [4.0, 0.0], [7.5, 0.0], [8.0, 2.0], [8.0, 6.0]] {
        assert!(red(x, y), "the way at {x}, {y}");
    }
    for [x, y] in [[0.0, 8.0], [2.0, 4.0], [4.0, 4.0]] {
        assert!(!red(x, y), "no way at {x}, {y}");
    }
}

#[test]
fn sizes_that_cannot_be_drawn_are_refused_in_one_sentence() {
    if !can_draw() {
        return;
    }
    let task = task("name = \"hopper_uni\"");
    for size in [[15, 100], [100, 1], [16_384, 16_385]] {
        let mut album = Album::new(size, View::Usual);
        let Err(e) = task.filming(&mut album) else {
            panic!("{size:?} was drawn");
        };
        let said = e.to_string();
        assert!(
            said.contains(&format!("{} x {}", size[0], size[1])) && said.contains("from 16 to"),
            "{said}"
        );
    }
}
