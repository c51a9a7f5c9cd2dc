//! The table as a picture: walls, the areas that pay, the arm, the ball and the way it came.

use super::table::{BALL, HALF, LINK, THICKNESS, WALL};
use super::{AREAS, Game, State};
use crate::canvas::{Canvas, Colour};
use crate::film::Painter;

/// Pixels for a meter.
const SCALE: f32 = 120.0;

const BACKGROUND: Colour = [250, 250, 247];
const WALL_COLOUR: Colour = [44, 48, 56];
const AREA: Colour = [190, 222, 200];
const PATH: Colour = [106, 158, 218];
const ARM: Colour = [120, 126, 136];
const BALL_COLOUR: Colour = [208, 64, 48];

/// Remembers the way of the ball.
#[derive(Default)]
pub(super) struct TablePainter {
    way: Vec<[f32; 2]>,
}

/// A place as the canvas has it, whose second axis goes down.
fn down([x, y]: [f32; 2]) -> [f32; 2] {
    [x, -y]
}

impl Painter<Game> for TablePainter {
    fn start(&mut self, game: &Game) {
        self.way = vec![game.state.ball];
    }

    fn step(&mut self, game: &Game) {
        self.way.push(game.state.ball);
    }

    fn draw(&self, game: &Game, rgb: &mut Vec<u8>) -> [usize; 2] {
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
        let State { ball, angles, .. } = game.state;
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
