//! Robots as pictures. A thread of its own has the OpenGL context and a copy of the model, and is told positions: the simulation that is
//! filmed is never touched.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use illume_core::{Error, Result, View};
use mujoco_rs::mujoco_c::mjtGeom;
use mujoco_rs::prelude::{
    MjData, MjModel, MjrContext, MjrRectangle, MjtObjBase, MjvCamera, MjvOption, MjvPerturb, MjvScene,
};

use super::gl::Current;
use super::recipe::Descriptor;
use super::robot::{Episode, Robot};
use crate::film::Painter;

/// Width and height of a picture, unless another size is asked for, and the least of both.
const USUAL: [usize; 2] = [320, 240];
const LEAST: usize = 16;

/// Meters that are seen above and below the camera's height, at the robot: by the models' own cameras, a walker's feet are cut off and a humanoid
/// is small.
const SEEN: f64 = 1.5;

/// Samples of a pixel.
const SAMPLES: i32 = 4;

/// Geoms of a scene at most; more are left out by MuJoCo.
const GEOMS: usize = 4096;

/// The way on the floor: its colour, half its width as a share of what is in view from above, and meters from one of its points to the next.
const WAY: [f32; 4] = [0.85, 0.2, 0.15, 1.0];
const WIDTH: f64 = 0.014;
const STRIDE: f64 = 0.1;

/// Meters on each side of what is seen from above: at least, and around the way.
const NEAR: f64 = 3.0;
const MARGIN: f64 = 1.5;

/// Draws a robot in its episode.
pub(super) struct RobotPainter {
    studio: Studio,
    /// Where the torso was on the floor.
    way: Vec<[f64; 2]>,
}

impl RobotPainter {
    /// # Errors
    /// There is no OpenGL here, or none for pictures of this size.
    pub fn new(robot: &Robot, size: Option<[usize; 2]>, view: View) -> Result<RobotPainter> {
        let above = match (view, robot.recipe().descriptor) {
            (View::Usual, Descriptor::Place { .. }) | (View::Above, _) => true,
            (View::Usual | View::Follow, _) => false,
        };
        Ok(RobotPainter {
            studio: Studio::open(robot.model().copy(), size.unwrap_or(USUAL), above)?,
            way: Vec::new(),
        })
    }

    /// Whether it is seen from above, with its way.
    pub fn shows_its_way(&self) -> bool {
        self.studio.above
    }
}

fn place(episode: &Episode) -> [f64; 2] {
    let [x, y, _] = episode.simulator().torso();
    [x, y]
}

impl Painter<Episode<'_>> for RobotPainter {
    fn start(&mut self, episode: &Episode) {
        self.way = vec![place(episode)];
    }

    fn step(&mut self, episode: &Episode) {
        let (place, last) = (place(episode), self.way.last().copied().unwrap_or_default());
        if (place[0] - last[0]).hypot(place[1] - last[1]) >= STRIDE {
            self.way.push(place);
        }
    }

    fn draw(&self, episode: &Episode, rgb: &mut Vec<u8>) -> [usize; 2] {
        let mut way = self.way.clone();
        way.push(place(episode));
        let shot = Shot {
            positions: episode.simulator().positions().to_vec(),
            way,
            rgb: std::mem::take(rgb),
        };
        *rgb = self.studio.take(shot);
        self.studio.size
    }
}

/// What is to be drawn: positions, `[nq]`, the way until then, and a buffer for the picture.
struct Shot {
    positions: Vec<f64>,
    way: Vec<[f64; 2]>,
    rgb: Vec<u8>,
}

/// The thread that draws.
struct Studio {
    size: [usize; 2],
    above: bool,
    /// None when it is over.
    shots: Option<Sender<Shot>>,
    pictures: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
}

impl Studio {
    fn open(model: MjModel, size: [usize; 2], above: bool) -> Result<Studio> {
        let (shots, taken) = channel();
        let (drawn, pictures) = channel();
        let (said, opened) = channel();
        let work = move || match Set::build(model, size, above) {
            Err(e) => drop(said.send(Err(e))),
            Ok(mut set) => {
                let _ = said.send(Ok(()));
                // Until the other side hangs up.
                while let Ok(Shot {
                    positions,
                    way,
                    mut rgb,
                }) = taken.recv()
                {
                    set.draw(&positions, &way, &mut rgb);
                    if drawn.send(rgb).is_err() {
                        break;
                    }
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("camera".into())
            .spawn(work)
            .map_err(|e| Error::failed(format!("the thread that draws cannot be started: {e}")))?;
        let gone = || Error::failed("the thread that draws ended by itself");
        opened.recv().map_err(|_| gone())??;
        Ok(Studio {
            size,
            above,
            shots: Some(shots),
            pictures,
            thread: Some(thread),
        })
    }

    /// The picture, rows of RGB.
    fn take(&self, shot: Shot) -> Vec<u8> {
        let sent = self.shots.as_ref().and_then(|shots| shots.send(shot).ok());
        let picture = sent.and_then(|()| self.pictures.recv().ok());
        picture.expect("the thread that draws lives as long as the studio")
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        self.shots = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// All that the thread has. The order is that in which things end: the context last.
struct Set {
    data: MjData<Box<MjModel>>,
    scene: MjvScene,
    renderer: MjrContext,
    camera: MjvCamera,
    above: bool,
    size: [usize; 2],
    _context: Current,
}

impl Set {
    fn build(mut model: MjModel, size: [usize; 2], above: bool) -> Result<Set> {
        let context = Current::open()?;
        let [width, height] = size;
        if size.iter().any(|n| !(LEAST..=context.most).contains(n)) {
            return Err(Error::input(format!(
                "pictures of {width} x {height} pixels cannot be drawn: expected from {LEAST} to {} on each side ({})",
                context.most, context.name
            )));
        }
        let visual = model.vis_mut();
        (visual.global.offwidth, visual.global.offheight) = (width as i32, height as i32);
        visual.quality.offsamples = SAMPLES;
        // No shadows: Mesa's software renderer throws stray ones on the horizon, and takes twice as long. The floor mirrors feet.
        visual.quality.shadowsize = 0;
        let track = model.name_to_id(MjtObjBase::mjOBJ_CAMERA, "track");
        if let Some(number) = track {
            let away = model.cam_pos()[number][1].abs();
            model.cam_fovy_mut()[number] = 2.0 * SEEN.atan2(away).to_degrees();
        }
        let scene = MjvScene::new(&model, GEOMS);
        // SAFETY: a context is current in this thread, with what MuJoCo needs, and ends after the renderer.
        let mut renderer = unsafe { MjrContext::new(&model) };
        renderer.offscreen();
        let camera = match track {
            _ if above => MjvCamera::new_free(&model),
            Some(number) => MjvCamera::new_fixed(number),
            None => MjvCamera::new_tracking(1),
        };
        let data = MjData::try_new(Box::new(model)).map_err(|e| Error::failed(format!("MuJoCo: {e}")))?;
        Ok(Set {
            data,
            scene,
            renderer,
            camera,
            above,
            size,
            _context: context,
        })
    }

    fn draw(&mut self, positions: &[f64], way: &[[f64; 2]], rgb: &mut Vec<u8>) {
        self.data.qpos_mut().copy_from_slice(positions);
        self.data.forward_kinematics();
        let [width, height] = self.size;
        if self.above {
            self.look_down(way);
        }
        let (option, nothing) = (MjvOption::default(), MjvPerturb::default());
        self.scene.update(&mut self.data, &option, &nothing, &mut self.camera);
        if self.above {
            self.draw_way(way);
        }
        let view = MjrRectangle {
            width: width as i32,
            height: height as i32,
            ..MjrRectangle::default()
        };
        self.scene.render(&view, &self.renderer);
        let row = 3 * width;
        let mut upside_down = vec![0; row * height];
        self.renderer
            .read_pixels(Some(&mut upside_down), None, &view)
            .expect("the buffer has room for the picture");
        rgb.clear();
        rgb.extend(upside_down.chunks_exact(row).rev().flatten());
    }

    /// Moves the camera to where all of the way is seen, x to the right and y up.
    fn look_down(&mut self, way: &[[f64; 2]]) {
        let range = |axis: usize| {
            let values = way.iter().map(|p| p[axis]);
            let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
            ((low + high) / 2.0, (high - low) / 2.0 + MARGIN)
        };
        let [(x, half_x), (y, half_y)] = [0, 1].map(range);
        let aspect = self.size[0] as f64 / self.size[1] as f64;
        let half = half_y.max(half_x / aspect).max(NEAR);
        self.camera.lookat = [x, y, 0.0];
        self.camera.distance = half / self.half_view();
        (self.camera.azimuth, self.camera.elevation) = (90.0, -90.0);
    }

    /// Half of the height that is seen at a distance of one meter.
    fn half_view(&self) -> f64 {
        (f64::from(self.data.model().vis().global.fovy).to_radians() / 2.0).tan()
    }

    fn draw_way(&mut self, way: &[[f64; 2]]) {
        let width = WIDTH * self.camera.distance * self.half_view();
        for pair in way.windows(2) {
            // SAFETY: the geom has neither material nor texture.
            let made = unsafe {
                self.scene
                    .try_create_geom(mjtGeom::mjGEOM_CAPSULE, None, None, None, Some(WAY))
            };
            let Ok(piece) = made else { break };
            let [from, to] = [pair[0], pair[1]].map(|[x, y]| [x, y, 0.0]);
            piece.connect(width, from, to);
        }
    }
}

#[cfg(test)]
mod tests;
