//! A toy game: catch squares that fall. Everything that matters can be seen; for tests and benchmarks.

use illume_core::{Purpose, Stream};

use super::{FrameStack, PixelEnv, SIDE};
use crate::rollout::{End, Step};

/// Height and width of square and paddle in pixels.
const SIZE: usize = 12;
/// Pixels that square and paddle move in a step.
const SPEED: usize = 4;
/// Greatest column or row of a square's corner.
const LAST: usize = SIDE - SIZE;
/// Squares of an episode.
pub const DROPS: u32 = 5;
/// Steps of an episode.
pub const STEPS: u32 = DROPS * (LAST / SPEED) as u32;

/// Squares fall one after the other from columns drawn by the seed; a paddle at the bottom stays (action 0), moves left (1) or right
/// (2). A step's reward is 1 where it brings a square down onto the paddle. Descriptor: the paddle's mean position and the share of steps in
/// which it moved, both from 0 to 1.
#[derive(Debug, Clone)]
pub struct Catch {
    columns: Stream,
    drop: u32,
    square: [usize; 2],
    paddle: usize,
    steps: u32,
    /// Sum of the paddle's columns, and of the steps in which it moved.
    visited: [usize; 2],
    frame: Vec<u8>,
}

impl Default for Catch {
    fn default() -> Catch {
        Catch {
            columns: Stream::new(0, Purpose::Episode, 0, 0),
            drop: 0,
            square: [0, 0],
            paddle: 0,
            steps: 0,
            visited: [0, 0],
            frame: vec![0; SIDE * SIDE],
        }
    }
}

impl Catch {
    fn next_square(&mut self) {
        let columns = (LAST / SPEED + 1) as u64;
        let column = self.columns.below(u64::from(self.drop), columns) as usize;
        self.square = [column * SPEED, 0];
        self.drop += 1;
    }

    fn draw(&mut self, frames: &mut FrameStack) {
        self.frame.fill(0);
        for (column, row, shade) in [(self.square[0], self.square[1], 255), (self.paddle, LAST, 128)] {
            for y in row..row + SIZE {
                self.frame[y * SIDE + column..][..SIZE].fill(shade);
            }
        }
        frames.push(&self.frame);
    }
}

impl PixelEnv for Catch {
    fn actions(&self) -> usize {
        3
    }

    fn reset(&mut self, seed: u64, frames: &mut FrameStack) {
        self.columns = Stream::new(seed, Purpose::Episode, 0, 0);
        (self.drop, self.steps, self.visited, self.paddle) = (0, 0, [0, 0], LAST / 2 / SPEED * SPEED);
        self.next_square();
        frames.clear();
        self.draw(frames);
    }

    fn step(&mut self, action: usize, frames: &mut FrameStack) -> Step {
        let before = self.paddle;
        self.paddle = match action {
            1 => before.saturating_sub(SPEED),
            2 => (before + SPEED).min(LAST),
            _ => before,
        };
        self.steps += 1;
        self.visited[0] += self.paddle;
        self.visited[1] += usize::from(self.paddle != before);
        self.square[1] += SPEED;
        let down = self.square[1] >= LAST;
        let caught = down && self.square[0].abs_diff(self.paddle) < SIZE;
        if down && self.drop < DROPS {
            self.next_square();
        }
        self.draw(frames);
        Step {
            reward: f64::from(u8::from(caught)),
            end: if self.steps == STEPS {
                End::Terminated
            } else {
                End::Running
            },
        }
    }

    fn descriptor(&mut self, out: &mut [f64]) {
        let steps = f64::from(self.steps.max(1));
        let values = [self.visited[0] as f64 / LAST as f64, self.visited[1] as f64].map(|v| v / steps);
        out.copy_from_slice(&values);
    }

    fn screen(&self, rgb: &mut Vec<u8>) -> [usize; 2] {
        rgb.clear();
        rgb.extend(self.frame.iter().flat_map(|grey| [*grey; 3]));
        [SIDE, SIDE]
    }
}
