//! The maze as a picture: walls, start and goal, the agent and the way it came.

use super::map::{EXTENT, WALLS};
use super::{Agent, GOAL, Maze, RADIUS, START};
use crate::canvas::{Canvas, Colour};
use crate::film::Painter;

/// Steps shown in a second: an episode takes 16 s.
pub(super) const STEPS_PER_SECOND: f64 = 25.0;

/// Pixels for a map unit, and units around the map.
const SCALE: f32 = 2.0;
const MARGIN: f32 = 5.0;

const BACKGROUND: Colour = [250, 250, 247];
const WALL: Colour = [44, 48, 56];
const PATH: Colour = [106, 158, 218];
const AGENT: Colour = [208, 64, 48];
const NOSE: Colour = [255, 255, 255];
const GOAL_COLOUR: Colour = [56, 142, 82];
const START_COLOUR: Colour = [172, 176, 184];

/// Remembers the way of the agent.
pub(super) struct MazePainter {
    /// All but the agent.
    map: Canvas,
    at: [f32; 2],
}

impl MazePainter {
    pub(super) fn new() -> MazePainter {
        MazePainter { map: map(), at: START }
    }
}

/// The map without an agent.
fn map() -> Canvas {
    let corner = |end: usize, margin: f32| [0, 1].map(|axis| EXTENT[axis][end] as f32 + margin);
    let mut canvas = Canvas::new(corner(0, -MARGIN), corner(1, MARGIN), SCALE, BACKGROUND);
    // Rings: the goal filled, the start open.
    canvas.disc(START, RADIUS, START_COLOUR);
    canvas.disc(START, RADIUS - 1.5, BACKGROUND);
    canvas.disc(GOAL, RADIUS, GOAL_COLOUR);
    canvas.disc(GOAL, RADIUS - 1.5, BACKGROUND);
    canvas.disc(GOAL, RADIUS - 3.5, GOAL_COLOUR);
    for [x, y, to_x, to_y] in WALLS {
        canvas.line([x, y], [to_x, to_y], 2.0, WALL);
    }
    canvas
}

impl Painter<Maze> for MazePainter {
    fn start(&mut self, maze: &Maze) {
        (self.map, self.at) = (map(), maze.agent.at);
    }

    fn step(&mut self, maze: &Maze) {
        let from = std::mem::replace(&mut self.at, maze.agent.at);
        self.map.path(from, self.at, 1.5, PATH, BACKGROUND);
    }

    fn draw(&self, maze: &Maze, rgb: &mut Vec<u8>) -> [usize; 2] {
        let mut canvas = self.map.clone();
        let Agent { at, .. } = maze.agent;
        let (sine, cosine) = maze.agent.direction();
        canvas.disc(at, RADIUS, AGENT);
        let ahead = |far: f32| [at[0] + far * cosine, at[1] + far * sine];
        canvas.line(ahead(1.0), ahead(RADIUS - 2.0), 2.0, NOSE);
        rgb.clear();
        rgb.extend_from_slice(&canvas.rgb);
        [canvas.width, canvas.height]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::Env as _;

    #[test]
    fn the_agent_is_drawn_where_it_is_and_its_way_behind_it() {
        let mut maze = Maze {
            agent: Agent::START,
            pay: super::super::Pay::Nothing,
            left: 0.0,
        };
        let mut painter = MazePainter::new();
        let (mut observation, mut rgb) = (vec![0.0; super::super::OBSERVATION], Vec::new());
        maze.reset(0, &mut observation);
        painter.start(&maze);
        for _ in 0..12 {
            maze.step(&[0.0, 1.0], &mut observation);
            painter.step(&maze);
        }
        let [width, height] = painter.draw(&maze, &mut rgb);
        assert_eq!((width, height, rgb.len()), (404, 414, 3 * 404 * 414));
        let colour = |x: f32, y: f32| {
            let [left, top] = [0, 1].map(|axis| EXTENT[axis][0] as f32 - MARGIN);
            let (column, row) = (((x - left) * SCALE) as usize, ((y - top) * SCALE) as usize);
            let at = 3 * (row * width + column);
            [rgb[at], rgb[at + 1], rgb[at + 2]]
        };
        let [x, y] = maze.agent.at;
        assert!(x > START[0] + 12.0 && y == START[1], "{x}, {y}");
        assert_eq!(colour(x - 3.0, y), AGENT);
        assert_eq!(colour(x, y + RADIUS - 1.0), AGENT);
        assert_eq!(colour(x + 3.0, y), NOSE, "it heads to the right");
        assert_eq!(colour(START[0], START[1]), PATH);
        assert_eq!(colour(GOAL[0], GOAL[1]), GOAL_COLOUR);
        for [x, y, to_x, to_y] in WALLS {
            assert_eq!(colour((x + to_x) / 2.0, (y + to_y) / 2.0), WALL);
        }
        assert_eq!(colour(150.0, 70.0), BACKGROUND);
    }
}
