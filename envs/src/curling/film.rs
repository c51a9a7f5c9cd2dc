//! The table as a picture: walls, the areas that pay, the arm, the ball and the way it came.

use super::table::{BALL, HALF, LINK, THICKNESS, WALL};
use super::{AREAS, Game, State};
use crate::canvas::{Canvas, Colour};
use crate::film::Screen;
use crate::rollout::{Env, Step};

/// Pixels for a meter.
const SCALE: f32 = 120.0;

const BACKGROUND: Colour = [250, 250, 247];
const WALL_COLOUR: Colour = [44, 48, 56];
const AREA: Colour = [190, 222, 200];
const PATH: Colour = [106, 158, 218];
const ARM: Colour = [120, 126, 136];
const BALL_COLOUR: Colour = [208, 64, 48];

/// A game that remembers the way of its ball.
pub(super) struct Drawn {
    game: Game,
    way: Vec<[f32; 2]>,
}

impl Drawn {
    pub(super) fn new(game: Game) -> Drawn {
        Drawn { game, way: Vec::new() }
    }
}

/// A place as the canvas has it, whose second axis goes down.
fn down([x, y]: [f32; 2]) -> [f32; 2] {
    [x, -y]
}

impl Env for Drawn {
    fn reset(&mut self, seed: u64, observation: &mut [f32]) {
        self.game.reset(seed, observation);
        self.way = vec![self.game.state.ball];
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let step = self.game.step(action, observation);
        self.way.push(self.game.state.ball);
        step
    }

    fn descriptor(&mut self, out: &mut [f64]) {
        self.game.descriptor(out);
    }

    fn measures(&mut self, out: &mut [f64]) {
        self.game.measures(out);
    }

    fn final_reward(&mut self) -> Option<f64> {
        self.game.final_reward()
    }
}

impl Screen for Drawn {
    fn screen(&self, rgb: &mut Vec<u8>) -> [usize; 2] {
        let edge = HALF + WALL;
        let mut canvas = Canvas::new([-edge; 2], [edge; 2], SCALE, BACKGROUND);
        for area in AREAS {
            let [x, y] = area.middle.map(|x| x as f32);
            canvas.disc(down([x, y]), area.radius as f32, AREA);
        }
        for (from, to) in [
            ([-HALF, -HALF], [HALF, -HALF]),
            ([HALF, -HALF], [HALF, HALF]),
            ([HALF, HALF], [-HALF, HALF]),
            ([-HALF, HALF], [-HALF, -HALF]),
        ] {
            canvas.line(down(from), down(to), WALL, WALL_COLOUR);
        }
        for pair in self.way.windows(2).filter(|pair| pair[0] != pair[1]) {
            canvas.line(down(pair[0]), down(pair[1]), 0.02, PATH);
        }
        let State { ball, angles, .. } = self.game.state;
        // An angle of 0 points up, and a larger one to the left.
        let ahead = |[x, y]: [f32; 2], angle: f32, far: f32| [x - far * angle.sin(), y + far * angle.cos()];
        let elbow = ahead([0.0, -HALF], angles[0], LINK);
        let end = ahead(elbow, angles[0] + angles[1], 0.9 * LINK);
        canvas.line(down([0.0, -HALF]), down(elbow), THICKNESS, ARM);
        canvas.line(down(elbow), down(end), THICKNESS, ARM);
        canvas.disc(down(ball), BALL, BALL_COLOUR);
        rgb.clear();
        rgb.extend_from_slice(&canvas.rgb);
        [canvas.width, canvas.height]
    }
}
