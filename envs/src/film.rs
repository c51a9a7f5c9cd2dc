//! Environments in front of a camera.

use illume_core::Camera;

use crate::pixels::{FrameStack, PixelEnv};
use crate::rollout::{Env, Step};

/// Tasks that have pictures, as a sentence names them: those of this build, and one of the games.
pub fn filmed() -> Vec<&'static str> {
    #[cfg(feature = "mujoco")]
    let robots = crate::mujoco::registry().iter().map(|entry| entry.name);
    #[cfg(not(feature = "mujoco"))]
    let robots = [];
    ["hard_maze", "curling", "atari/frostbite"]
        .into_iter()
        .chain(robots)
        .collect()
}

/// Draws an environment.
pub trait Painter<E> {
    /// An episode begins.
    fn start(&mut self, _env: &E) {}

    /// It is a step further.
    fn step(&mut self, _env: &E) {}

    /// Draws the present state: rows of RGB over `rgb`; gives `[width, height]`.
    fn draw(&self, env: &E, rgb: &mut Vec<u8>) -> [usize; 2];
}

/// Shows a game's own screen.
pub struct OwnScreen;

impl<E: PixelEnv> Painter<E> for OwnScreen {
    fn draw(&self, env: &E, rgb: &mut Vec<u8>) -> [usize; 2] {
        env.screen(rgb)
    }
}

/// An environment whose episodes are filmed: the start, the steps that the camera wants, and the end. It acts like the one inside.
pub struct Filmed<'a, E, P> {
    env: E,
    painter: P,
    camera: &'a mut dyn Camera,
    step: u32,
    reward: f64,
    /// Whether there is a picture of the present step.
    taken: bool,
    rgb: Vec<u8>,
}

impl<'a, E, P: Painter<E>> Filmed<'a, E, P> {
    /// Films an environment that is watched at this pace.
    pub fn new(env: E, painter: P, camera: &'a mut dyn Camera, steps_per_second: f64) -> Filmed<'a, E, P> {
        camera.pace(steps_per_second);
        Filmed {
            env,
            painter,
            camera,
            step: 0,
            reward: 0.0,
            taken: false,
            rgb: Vec::new(),
        }
    }

    fn start(&mut self) {
        (self.step, self.reward, self.taken) = (0, 0.0, false);
        self.painter.start(&self.env);
        self.take_if_wanted();
    }

    fn advance(&mut self, step: Step) {
        self.step += 1;
        self.reward += step.reward;
        self.taken = false;
        self.painter.step(&self.env);
        self.take_if_wanted();
    }

    fn take(&mut self) {
        let size = self.painter.draw(&self.env, &mut self.rgb);
        self.camera.take(self.step, self.reward, size, &self.rgb);
        self.taken = true;
    }

    fn take_if_wanted(&mut self) {
        if self.camera.wants(self.step) {
            self.take();
        }
    }
}

impl<E: Env, P: Painter<E> + Send> Env for Filmed<'_, E, P> {
    fn reset(&mut self, seed: u64, observation: &mut [f32]) {
        self.env.reset(seed, observation);
        self.start();
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let step = self.env.step(action, observation);
        self.advance(step);
        step
    }

    fn descriptor(&mut self, out: &mut [f64]) {
        self.env.descriptor(out);
    }

    fn measures(&mut self, out: &mut [f64]) {
        self.env.measures(out);
    }

    fn features(&mut self, out: &mut [f32]) {
        self.env.features(out);
    }

    fn objectives(&mut self, out: &mut [f64]) {
        self.env.objectives(out);
    }

    /// The end of the episode, of which there is always a picture, with all of its reward.
    fn final_reward(&mut self) -> Option<f64> {
        let last = self.env.final_reward();
        self.reward += last.unwrap_or(0.0);
        if !self.taken || last.is_some_and(|last| last != 0.0) {
            self.take();
        }
        last
    }
}

/// A game's end is told by its descriptor, which its worker asks for once.
impl<E: PixelEnv> PixelEnv for Filmed<'_, E, OwnScreen> {
    fn actions(&self) -> usize {
        self.env.actions()
    }

    fn reset(&mut self, seed: u64, frames: &mut FrameStack) {
        self.env.reset(seed, frames);
        self.start();
    }

    fn step(&mut self, action: usize, frames: &mut FrameStack) -> Step {
        let step = self.env.step(action, frames);
        self.advance(step);
        step
    }

    fn descriptor(&mut self, out: &mut [f64]) {
        self.env.descriptor(out);
        if !self.taken {
            self.take();
        }
    }

    fn screen(&self, rgb: &mut Vec<u8>) -> [usize; 2] {
        self.env.screen(rgb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::{ConvNet, PixelPolicyParams, PixelWorker};
    use crate::rollout::End;
    use crate::testing::{evaluate, task};
    use illume_core::{Axis, Dense, Genomes, Init, Purpose, Request, Scores, Stream, TaskSpec, Worker};

    /// Keeps what it is shown of every so many steps.
    #[derive(Default)]
    struct Album {
        every: u32,
        pace: f64,
        pictures: Vec<(u32, f64, [usize; 2], Vec<u8>)>,
    }

    impl Camera for Album {
        fn pace(&mut self, steps_per_second: f64) {
            self.pace = steps_per_second;
        }

        fn wants(&self, step: u32) -> bool {
            step.is_multiple_of(self.every)
        }

        fn take(&mut self, step: u32, reward: f64, size: [usize; 2], rgb: &[u8]) {
            assert_eq!(rgb.len(), 3 * size[0] * size[1]);
            self.pictures.push((step, reward, size, rgb.to_vec()));
        }
    }

    /// A game of one row of 84 lamps: action 1 moves the light to the right, which pays 1; it ends at the last lamp or after 30 steps.
    #[derive(Default)]
    struct Lamps {
        at: usize,
        step: u32,
    }

    impl PixelEnv for Lamps {
        fn actions(&self) -> usize {
            2
        }

        fn reset(&mut self, seed: u64, frames: &mut FrameStack) {
            (self.at, self.step) = (seed as usize, 0);
            frames.clear();
        }

        fn step(&mut self, action: usize, frames: &mut FrameStack) -> Step {
            self.at += action;
            self.step += 1;
            let mut frame = vec![0; 84 * 84];
            frame[self.at] = 255;
            frames.push(&frame);
            let over = self.at == 83 || self.step == 30;
            Step {
                reward: action as f64,
                end: if over { End::Terminated } else { End::Running },
            }
        }

        fn descriptor(&mut self, out: &mut [f64]) {
            out[0] = self.at as f64;
        }

        fn screen(&self, rgb: &mut Vec<u8>) -> [usize; 2] {
            rgb.clear();
            rgb.extend((0..84).flat_map(|x| [if x == self.at { 255 } else { 0 }, 0, 40]));
            [84, 1]
        }
    }

    /// (fitness, descriptor, steps) of an episode.
    fn play(mut worker: Box<dyn Worker + '_>, genes: &[f32], k: usize) -> (f64, Vec<f64>, u32) {
        let genomes = Genomes::Dense(Dense {
            dim: genes.len(),
            data: genes.to_vec(),
        });
        let request = Request {
            genomes: &genomes,
            seeds: &[0],
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
        drop(worker);
        (fitness[0], descriptor, steps[0])
    }

    #[test]
    fn a_filmed_episode_scores_as_any_other_and_shows_its_start_and_end() {
        let task = task("name = \"hard_maze\"\nepisode_length = 45");
        let mut genes = vec![0.0; task.spec().genome_dim];
        Stream::new(1, Purpose::Init, 0, 0).normals(0, &mut genes);
        let plain = evaluate(&*task, &genes, 1);
        let mut album = Album {
            every: 20,
            ..Album::default()
        };
        let (fitness, descriptor, steps) = play(task.filming(&mut album).unwrap().unwrap(), &genes, 2);
        assert_eq!((fitness, &descriptor, steps), (plain.fitness[0], &plain.descriptor, 45));
        assert_ne!(descriptor, [36.0, 184.0], "it moved");
        let shown: Vec<(u32, f64)> = album.pictures.iter().map(|p| (p.0, p.1)).collect();
        assert_eq!(shown, [(0, 0.0), (20, 0.0), (40, 0.0), (45, fitness)]);
        assert!(album.pace > 0.0);
        assert!(album.pictures.windows(2).all(|p| p[0].3 != p[1].3));
    }

    #[test]
    fn a_filmed_game_is_played_as_any_other_and_its_last_screen_shown() {
        let policy = PixelPolicyParams {
            network: "small".into(),
            ..PixelPolicyParams::default()
        };
        let net = ConvNet::new(&policy, 2);
        let spec = TaskSpec {
            descriptor: vec![Axis::new("lamp", "", 0.0, 83.0)],
            fitness: "lamps".into(),
            max_steps: 25,
            test_steps: 25,
            frames_per_step: 4,
            ..TaskSpec::new("lamps", net.params(), Init::Normal { mean: 0.0, sd: 1.0 })
        };
        let mut genes = vec![0.0; net.params()];
        net.init().draw(&Stream::new(4, Purpose::Init, 0, 0), &mut genes);
        let plain = play(Box::new(PixelWorker::new(Lamps::default(), &net, &spec)), &genes, 1);
        let mut album = Album {
            every: 10,
            ..Album::default()
        };
        let game = Filmed::new(Lamps::default(), OwnScreen, &mut album, 15.0);
        let filmed = play(Box::new(PixelWorker::new(game, &net, &spec)), &genes, 1);
        assert_eq!(plain, filmed);
        assert_eq!((filmed.2, album.pace), (25, 15.0));
        let steps: Vec<u32> = album.pictures.iter().map(|p| p.0).collect();
        assert_eq!(steps, [0, 10, 20, 25]);
        let (_, reward, size, rgb) = album.pictures.last().unwrap();
        assert_eq!((*reward, *size), (filmed.0, [84, 1]));
        assert_eq!(rgb[3 * filmed.1[0] as usize], 255);
    }

    #[test]
    fn the_tasks_that_are_said_to_have_pictures_have_them() {
        let filmed_tasks = filmed();
        // Language models and programs of the user's own have none, and are made of what is elsewhere.
        let elsewhere = |e: &&&illume_core::TaskEntry| crate::LM_TASKS.contains(&e.name) || e.sketch.is_some();
        for entry in crate::registry().iter().filter(|e| !elsewhere(e)) {
            let task = task(&format!("name = \"{}\"", entry.name));
            let mut album = Album::default();
            let filmed = match task.filming(&mut album) {
                Ok(worker) => worker.is_some(),
                // A robot where there is no OpenGL.
                Err(e) => e.to_string().contains("cannot be drawn here"),
            };
            assert_eq!(filmed, filmed_tasks.contains(&entry.name), "{}", entry.name);
        }
    }
}
