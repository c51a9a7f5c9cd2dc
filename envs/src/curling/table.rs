//! The table with its ball and the arm that pushes it, in Box2D: `gym_billiard/utils/physics.py` of SERENE's program (83bc38a), in whose place `box2d-rs` stands, a port of Box2D 2.4 to Rust whose solver is that of the 2.3 they run.

use std::cell::RefCell;
use std::f32::consts::PI;
use std::rc::Rc;

use box2d_rs::b2_body::{B2body, B2bodyDef, B2bodyType, BodyPtr};
use box2d_rs::b2_fixture::B2fixtureDef;
use box2d_rs::b2_joint::{B2JointDefEnum, B2jointPtr, JointAsDerived, JointAsDerivedMut};
use box2d_rs::b2_math::B2vec2;
use box2d_rs::b2_shape::B2shapeDynTrait;
use box2d_rs::b2_world::{B2world, B2worldPtr};
use box2d_rs::b2rs_common::UserDataType;
use box2d_rs::joints::b2_revolute_joint::B2revoluteJointDef;
use box2d_rs::shapes::b2_circle_shape::B2circleShape;
use box2d_rs::shapes::b2_polygon_shape::B2polygonShape;

/// Half of the table's width and height, in m. The middle of its walls stands there.
pub(super) const HALF: f32 = 1.5;
pub(super) const WALL: f32 = 0.1;
pub(super) const BALL: f32 = 0.15;
pub(super) const BALL_START: [f32; 2] = [-0.5, 0.2];
/// Of both links, in m; the second begins a tenth of it before the joint between them.
pub(super) const LINK: f32 = 1.0;
pub(super) const THICKNESS: f32 = 0.1;
const OVERLAP: f32 = 0.1;
/// How far the first link leans to either side, and the second against it, in radians.
const LIMITS: [f32; 2] = [0.4 * PI, 0.9 * PI];
const TORQUE: f32 = 100.0;
/// Seconds of a step.
pub(super) const STEP: f32 = 1.0 / 60.0;

/// Nothing is tied to bodies.
#[derive(Debug, Clone, Copy, Default)]
struct Nothing;

impl UserDataType for Nothing {
    type Fixture = ();
    type Body = ();
    type Joint = ();
}

/// What moves on it, in table coordinates (m) and radians.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct State {
    pub ball: [f32; 2],
    pub angles: [f32; 2],
    /// Radians in a second.
    pub speeds: [f32; 2],
}

/// A table, as it is when an episode begins until it is pushed.
pub(super) struct Table {
    world: B2worldPtr<Nothing>,
    ball: BodyPtr<Nothing>,
    joints: [B2jointPtr<Nothing>; 2],
    iterations: i32,
}

/// Density, friction and restitution.
#[derive(Clone, Copy)]
struct Stuff(f32, f32, f32);

impl Table {
    /// `iterations` are those of the solver in a step, for velocities and again for positions.
    pub fn new(iterations: i32) -> Table {
        let world = B2world::<Nothing>::new(B2vec2::new(0.0, 0.0));
        let [_, _, _, bottom] = [[-HALF, 0.0], [HALF, 0.0], [0.0, HALF], [0.0, -HALF]].map(|[x, y]| {
            let half = if x == 0.0 {
                [HALF, WALL / 2.0]
            } else {
                [WALL / 2.0, HALF]
            };
            let body = B2bodyDef {
                position: at(x, y),
                ..B2bodyDef::default()
            };
            body_of(&world, &body, board(half), Stuff(0.0, 0.2, 0.0))
        });
        let moving = |x: f32, y: f32| B2bodyDef {
            body_type: B2bodyType::B2DynamicBody,
            position: at(x, y),
            bullet: true,
            allow_sleep: false,
            ..B2bodyDef::default()
        };
        let [x, y] = BALL_START;
        let rolling = B2bodyDef {
            linear_damping: 1.1,
            angular_damping: 2.0,
            ..moving(x, y)
        };
        let mut circle = B2circleShape::default();
        circle.base.m_radius = BALL;
        let ball = body_of(&world, &rolling, Rc::new(RefCell::new(circle)), Stuff(1.0, 0.9, 0.9));
        let link = |middle: f32, density: f32| {
            let shape = board([THICKNESS / 2.0, LINK / 2.0]);
            body_of(&world, &moving(0.0, middle - HALF), shape, Stuff(density, 0.9, 0.0))
        };
        let links = [link(LINK / 2.0, 5.0), link(LINK - OVERLAP + LINK / 2.0, 1.0)];
        let joint = |a: BodyPtr<Nothing>, b: &BodyPtr<Nothing>, y: f32, limit: f32| {
            let mut joint = B2revoluteJointDef {
                enable_limit: true,
                lower_angle: -limit,
                upper_angle: limit,
                enable_motor: true,
                max_motor_torque: TORQUE,
                ..B2revoluteJointDef::default()
            };
            joint.initialize(a, b.clone(), at(0.0, y));
            world.borrow_mut().create_joint(&B2JointDefEnum::RevoluteJoint(joint))
        };
        let joints = [
            joint(bottom, &links[0], -HALF, LIMITS[0]),
            joint(links[0].clone(), &links[1], LINK - HALF, LIMITS[1]),
        ];
        Table {
            world,
            ball,
            joints,
            iterations,
        }
    }

    /// Turns the joints at these speeds, cut to 1 radian in a second, for one step.
    pub fn step(&mut self, speeds: &[f32]) {
        for (joint, speed) in self.joints.iter().zip(speeds) {
            if let JointAsDerivedMut::ERevoluteJoint(joint) = joint.borrow_mut().as_derived_mut() {
                joint.set_motor_speed(speed.clamp(-1.0, 1.0));
            }
        }
        self.world.borrow_mut().step(STEP, self.iterations, self.iterations);
    }

    pub fn state(&self) -> State {
        let of = |joint: &B2jointPtr<Nothing>| match joint.borrow().as_derived() {
            JointAsDerived::ERevoluteJoint(joint) => [joint.get_joint_angle(), joint.get_joint_speed()],
            _ => [f32::NAN; 2],
        };
        let [first, second] = self.joints.each_ref().map(of);
        let ball = self.ball.borrow().get_position();
        State {
            ball: [ball.x - HALF, ball.y - HALF],
            angles: [first[0], second[0]],
            speeds: [first[1], second[1]],
        }
    }
}

/// A place on the table, as Box2D has it: from the lower left corner on.
fn at(x: f32, y: f32) -> B2vec2 {
    B2vec2::new(x + HALF, y + HALF)
}

type Shape = Rc<RefCell<dyn B2shapeDynTrait>>;

fn board([x, y]: [f32; 2]) -> Shape {
    let mut shape = B2polygonShape::default();
    shape.set_as_box(x, y);
    Rc::new(RefCell::new(shape))
}

fn body_of(world: &B2worldPtr<Nothing>, body: &B2bodyDef<Nothing>, shape: Shape, stuff: Stuff) -> BodyPtr<Nothing> {
    let Stuff(density, friction, restitution) = stuff;
    let body = B2world::create_body(world.clone(), body);
    let fixture = B2fixtureDef {
        shape: Some(shape),
        density,
        friction,
        restitution,
        ..B2fixtureDef::default()
    };
    B2body::create_fixture(body.clone(), &fixture);
    body
}
