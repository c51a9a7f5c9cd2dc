//! Walls added to a model by editing it, and the trap of AntTrap.

use mujoco_rs::prelude::{MjSpec, MjtGeomBase, SpecItem};

/// A standing obstacle: a capsule that lies on the floor, between the centers of its round ends.
#[derive(Debug, Clone, Copy)]
pub struct Wall {
    pub name: &'static str,
    /// x and y of both ends, in m.
    pub from: [f64; 2],
    pub to: [f64; 2],
    /// Half of its height and width, in m.
    pub radius: f64,
}

/// Three walls like a U that opens toward the start: QDax's trap (Lim, Allard, Grillotti and Cully 2022), whose capsules of
/// radius 0.5 m at height 0.5 m lie across x = 12 (5 m long) and along y = ±3 (6 m long, around x = 9.5); their lengths count
/// the round ends.
pub const TRAP: &[Wall] = &[
    Wall {
        name: "trap_back",
        from: [12.0, -2.0],
        to: [12.0, 2.0],
        radius: 0.5,
    },
    Wall {
        name: "trap_left",
        from: [7.0, 3.0],
        to: [12.0, 3.0],
        radius: 0.5,
    },
    Wall {
        name: "trap_right",
        from: [7.0, -3.0],
        to: [12.0, -3.0],
        radius: 0.5,
    },
];

impl Wall {
    /// Adds the wall to the world. It collides with everything that collides with the floor.
    pub fn build(&self, spec: &mut MjSpec) {
        let ([x0, y0], [x1, y1], z) = (self.from, self.to, self.radius);
        spec.world_body_mut()
            .add_geom()
            .with_name(self.name)
            .with_type(MjtGeomBase::mjGEOM_CAPSULE)
            .with_size([self.radius, 0.0, 0.0])
            .with_fromto([x0, y0, z, x1, y1, z])
            .with_contype(1)
            .with_conaffinity(1)
            .with_rgba([0.6, 0.3, 0.3, 1.0]);
    }
}
