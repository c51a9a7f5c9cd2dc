//! One game as a network plays it: no-ops, FIRE, frame skip, sticky actions, the picture, and what tells policies apart.

use illume_core::{Purpose, Stream};

use super::AtariParams;
use super::ale::{Ale, FIRE, NOOP, RAM};
use super::picture::Preprocessor;
use crate::pixels::{FrameStack, PixelEnv, SIDE};
use crate::rollout::{End, Step};

/// An emulator with all that an episode needs. An episode is a function of its seed and actions: it begins in a saved state.
#[derive(Debug)]
pub struct Game {
    ale: Ale,
    picture: Preprocessor,
    params: AtariParams,
    /// ALE's number of each action that a network has.
    actions: Vec<i32>,
    /// Pressed for a step each before the policy acts.
    opening: Vec<i32>,
    frame: Vec<u8>,
    episode: Episode,
}

/// What an episode has brought so far.
#[derive(Debug)]
struct Episode {
    stickiness: Stream,
    frames: u64,
    /// The action that the emulator took last, which a sticky one repeats.
    last: i32,
    lives: i32,
    failed: bool,
    steps: u64,
    /// Sums of the joystick's directions, right and up.
    joystick: [i64; 2],
    ram: Vec<[u8; RAM]>,
}

impl Episode {
    fn new(seed: u64) -> Episode {
        Episode {
            stickiness: Stream::new(seed, Purpose::Episode, 0, 1),
            frames: 0,
            last: NOOP,
            lives: 0,
            failed: false,
            steps: 0,
            joystick: [0; 2],
            ram: Vec::new(),
        }
    }
}

impl Game {
    /// A game under these parameters.
    pub fn new(ale: Ale, params: &AtariParams) -> Game {
        let facts = ale.facts();
        let picture = Preprocessor::new(facts.width, facts.height, &facts.palette);
        let minimal = &facts.minimal;
        // The Deep GA program takes a game whose second action is FIRE for one that waits for it, and then takes the third action.
        let fire = params.fire == "auto" && minimal.get(1) == Some(&FIRE) && minimal.len() > 2;
        let opening = if fire { minimal[1..3].to_vec() } else { Vec::new() };
        let actions = if params.full_action_set { &facts.legal } else { minimal };
        Game {
            picture,
            params: params.clone(),
            actions: actions.clone(),
            opening,
            frame: vec![0; SIDE * SIDE],
            episode: Episode::new(0),
            ale,
        }
    }

    pub fn ale(&self) -> &Ale {
        &self.ale
    }

    /// Up to `count` frames under an action; gives the points, and whether the game is over.
    fn play(&mut self, action: i32, count: u32) -> (i64, bool) {
        let (sticky, e) = (self.params.sticky_actions, &mut self.episode);
        let mut buffer = [NOOP; 64];
        let mut points = 0;
        let mut left = count as usize;
        while left > 0 {
            let frames = &mut buffer[..left.min(64)];
            for frame in &mut *frames {
                if sticky == 0.0 || e.stickiness.uniform(e.frames) >= sticky {
                    e.last = action;
                }
                e.frames += 1;
                *frame = e.last;
            }
            left -= frames.len();
            let Ok(outcome) = self.ale.act(frames) else {
                e.failed = true;
                return (points, true);
            };
            points += outcome.reward;
            e.lives = outcome.lives;
            if outcome.over {
                return (points, true);
            }
        }
        (points, false)
    }

    /// Before the policy acts: over means from the start again.
    fn prepare(&mut self, action: i32, count: u32) {
        if self.play(action, count).1 {
            self.restart();
        }
    }

    fn restart(&mut self) {
        self.episode.last = NOOP;
        self.episode.failed |= self.ale.restart().is_err();
    }

    fn show(&mut self, frames: &mut FrameStack) {
        self.picture.take(self.ale.frames(), &mut self.frame);
        frames.push(&self.frame);
    }
}

impl PixelEnv for Game {
    fn actions(&self) -> usize {
        self.actions.len()
    }

    fn reset(&mut self, seed: u64, frames: &mut FrameStack) {
        self.episode = Episode::new(seed);
        self.restart();
        if self.params.noops > 0 {
            let noops = Stream::new(seed, Purpose::Episode, 0, 0).below(0, u64::from(self.params.noops)) + 1;
            (0..noops).for_each(|_| self.prepare(NOOP, 1));
        }
        for i in 0..self.opening.len() {
            self.prepare(self.opening[i], self.params.frame_skip);
        }
        frames.clear();
        self.show(frames);
    }

    fn step(&mut self, action: usize, frames: &mut FrameStack) -> Step {
        let lives = self.episode.lives;
        let action = self.actions[action];
        let (points, over) = self.play(action, self.params.frame_skip);
        self.show(frames);
        let e = &mut self.episode;
        e.steps += 1;
        let [right, up] = direction(action);
        e.joystick[0] += right;
        e.joystick[1] += up;
        if self.params.descriptor == "ram"
            && e.steps.is_multiple_of(u64::from(self.params.ram_interval))
            && e.ram.len() < self.params.ram_samples
        {
            e.ram.push(*self.ale.ram());
        }
        let end = if e.failed {
            End::Failed
        } else if over || self.params.end_on_life_loss && e.lives < lives {
            End::Terminated
        } else {
            End::Running
        };
        Step {
            reward: points as f64,
            end,
        }
    }

    fn descriptor(&mut self, out: &mut [f64]) {
        let e = &self.episode;
        match self.params.descriptor.as_str() {
            "joystick" => {
                for (out, sum) in out.iter_mut().zip(e.joystick) {
                    *out = sum as f64 / e.steps.max(1) as f64;
                }
            }
            "ram" => {
                for (i, sample) in out.chunks_exact_mut(RAM).enumerate() {
                    let ram = e.ram.get(i).unwrap_or(self.ale.ram());
                    for (out, byte) in sample.iter_mut().zip(ram) {
                        *out = f64::from(*byte) / 255.0;
                    }
                }
            }
            _ => {}
        }
    }

    fn screen(&self, rgb: &mut Vec<u8>) -> [usize; 2] {
        let facts = self.ale.facts();
        let [newest, _] = self.ale.frames();
        rgb.clear();
        rgb.extend(newest.iter().flat_map(|pixel| facts.palette[usize::from(*pixel)]));
        [facts.width, facts.height]
    }
}

/// Where an action holds the joystick: right and up, each -1, 0 or 1.
fn direction(action: i32) -> [i64; 2] {
    /// ALE's order: NOOP, FIRE, UP, RIGHT, LEFT, DOWN, the diagonals, then all but the first two with FIRE.
    const DIRECTIONS: [[i64; 2]; 10] = [
        [0, 0],
        [0, 0],
        [0, 1],
        [1, 0],
        [-1, 0],
        [0, -1],
        [1, 1],
        [-1, 1],
        [1, -1],
        [-1, -1],
    ];
    let without_fire = if action < 10 { action } else { action - 8 };
    DIRECTIONS[without_fire as usize]
}
