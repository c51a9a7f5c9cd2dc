//! What stands around an ant, by editing its model: the trap of AntTrap and the maze of AntMaze.

use mujoco_rs::prelude::{MjSpec, MjtGeomBase, SpecItem};

use crate::walls::ANT_MAZE;

/// A standing obstacle between two points at one height, in m.
struct Wall {
    name: &'static str,
    from: [f64; 2],
    to: [f64; 2],
    shape: Shape,
}

enum Shape {
    /// It lies on the floor, as high and wide as twice this; the points are the centers of its round ends.
    Capsule { radius: f64 },
    /// It goes this far to both sides, up and down; the points are the middles of its ends.
    Box { half_width: f64, half_height: f64 },
}

/// Margin and friction of the maze's walls and head, those of every geom in the file.
const MARGIN: f64 = 0.01;
const FRICTION: [f64; 3] = [1.0, 0.5, 0.5];

impl Wall {
    const fn capsule(name: &'static str, from: [f64; 2], to: [f64; 2]) -> Wall {
        let shape = Shape::Capsule { radius: 0.5 };
        Wall { name, from, to, shape }
    }

    const fn board(name: &'static str, from: [f64; 2], to: [f64; 2]) -> Wall {
        let shape = Shape::Box {
            half_width: 0.3,
            half_height: 2.0,
        };
        Wall { name, from, to, shape }
    }

    /// Adds the wall to the world. It collides with everything that collides with the floor.
    fn build(&self, spec: &mut MjSpec) {
        let ([x0, y0], [x1, y1]) = (self.from, self.to);
        let geom = spec.world_body_mut().add_geom().with_name(self.name);
        match self.shape {
            Shape::Capsule { radius } => geom
                .with_type(MjtGeomBase::mjGEOM_CAPSULE)
                .with_size([radius, 0.0, 0.0])
                .with_fromto([x0, y0, radius, x1, y1, radius]),
            Shape::Box {
                half_width,
                half_height,
            } => {
                // Along an axis, which is how these stand.
                let half = |from: f64, to: f64| (to - from) / 2.0 + if from == to { half_width } else { 0.0 };
                geom.with_type(MjtGeomBase::mjGEOM_BOX)
                    .with_size([half(x0, x1), half(y0, y1), half_height])
                    .with_pos([(x0 + x1) / 2.0, (y0 + y1) / 2.0, 0.0])
                    .with_margin(MARGIN)
                    .with_friction(FRICTION)
            }
        }
        .with_contype(1)
        .with_conaffinity(1)
        .with_rgba([0.6, 0.3, 0.3, 1.0]);
    }
}

/// Three walls like a U that opens toward the start: QDax's trap (Lim, Allard, Grillotti and Cully 2022), whose capsules of
/// radius 0.5 m at height 0.5 m lie across x = 12 (5 m long) and along y = ±3 (6 m long, around x = 9.5); their lengths count
/// the round ends.
const TRAP: [Wall; 3] = [
    Wall::capsule("trap_back", [12.0, -2.0], [12.0, 2.0]),
    Wall::capsule("trap_left", [7.0, 3.0], [12.0, 3.0]),
    Wall::capsule("trap_right", [7.0, -3.0], [12.0, -3.0]),
];

/// Puts the trap around the ant.
pub fn trap(spec: &mut MjSpec) {
    TRAP.iter().for_each(|wall| wall.build(spec));
}

/// Names of the walls of [`ANT_MAZE`].
const MAZE: [&str; 7] = [
    "maze_top",
    "maze_bottom",
    "maze_right",
    "maze_left",
    "maze_upper",
    "maze_lower",
    "maze_inner",
];
/// Where an ant begins in it.
const MAZE_START: [f64; 3] = [-25.0, -25.0, 0.6];
/// How many times as heavy its ant is as Gymnasium's with a head: the file sets the mass of all to 25,755 kg, most of it that of a ball 100 m above.
const MAZE_WEIGHT: f64 = 45.471_541_830_471_94;

/// Puts the ant into the maze and makes it the one of its authors: heavier, with a head, in steps of half the time.
pub fn maze(spec: &mut MjSpec) {
    spec.option_mut().timestep = 0.005;
    if let Some(torso) = spec.body_mut("torso") {
        *torso.pos_mut() = MAZE_START;
        torso
            .add_geom()
            .with_name("head")
            .with_type(MjtGeomBase::mjGEOM_SPHERE)
            .with_size([0.25, 0.0, 0.0])
            .with_pos([0.4, 0.0, 0.25])
            .with_conaffinity(0)
            .with_margin(MARGIN)
            .with_friction(FRICTION)
            .with_rgba([1.0, 0.5, 0.3, 1.0])
            .with_density(0.01);
    }
    for geom in spec.geom_iter_mut() {
        let density = geom.density();
        geom.set_density(density * MAZE_WEIGHT);
    }
    // A floor of its own size, which is drawn alone: a plane has no end.
    if let Some(floor) = spec.geom_mut("floor") {
        *floor.pos_mut() = [5.0, 5.0, 0.0];
    }
    for (name, [from, to]) in MAZE.into_iter().zip(ANT_MAZE) {
        Wall::board(name, from, to).build(spec);
    }
}
