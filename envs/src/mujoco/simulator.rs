//! MuJoCo as these tasks use it: a model that all threads share, and one thread's simulation of it.

use std::path::PathBuf;

use illume_core::{Digest, Error, Result, Source};
use mujoco_rs::mujoco_c::mjtIntegrator;
use mujoco_rs::prelude::{MjData, MjModel, MjSpec, MjtObjBase};

use super::native;

/// Integrators by name; `model` is the one that the model file names.
pub const INTEGRATORS: &[&str] = &["model", "euler", "implicitfast", "rk4"];

/// Most feet that a robot can have here.
pub const FEET: usize = 8;

/// Roles of geoms that are no feet; feet are numbered from 0.
const FLOOR: u8 = u8::MAX;
const OTHER: u8 = u8::MAX - 1;
const NO_FOOT: u8 = FEET as u8;

/// A compiled model with what is looked up in it once.
#[derive(Debug)]
pub struct Model {
    model: MjModel,
    /// The file that it was read from.
    pub source: Source,
    /// Seconds of one simulator step.
    pub timestep: f64,
    /// Middle and half width of each actuator's control range.
    controls: Vec<[f64; 2]>,
    /// [`FLOOR`], [`OTHER`] or the number of the foot, for each geom.
    roles: Vec<u8>,
    /// Mass of each body, and of all.
    masses: (Vec<f64>, f64),
}

impl Model {
    /// Reads an MJCF file out of the folder that `ILLUME_MJCF_DIR` names (now, or when this program was built), lets
    /// `edit` change it and compiles it. `feet` are geoms whose contacts with the geom `floor` are looked for.
    ///
    /// # Errors
    /// The folder is not known, the file is missing or broken, or lacks a foot.
    pub fn load(file: &str, integrator: &str, feet: &[&str], edit: impl FnOnce(&mut MjSpec)) -> Result<Model> {
        native::start()?;
        let path = path(file)?;
        let at = path.display();
        let bytes = std::fs::read(&path).map_err(|e| Error::input(format!("cannot read {at}: {e}")))?;
        let source = Source::new(format!("ILLUME_MJCF_DIR/{file}"), Digest::of(&bytes));
        let mut spec = MjSpec::from_xml(&path).map_err(|e| Error::input(format!("{at}: MuJoCo says: {e}")))?;
        match integrator {
            "euler" => spec.option_mut().integrator = mjtIntegrator::mjINT_EULER as i32,
            "implicitfast" => spec.option_mut().integrator = mjtIntegrator::mjINT_IMPLICITFAST as i32,
            "rk4" => spec.option_mut().integrator = mjtIntegrator::mjINT_RK4 as i32,
            _ => {}
        }
        edit(&mut spec);
        let model = spec
            .compile()
            .map_err(|e| Error::input(format!("{at}: MuJoCo says: {e}")))?;
        let geom = |name: &str| {
            let found = model.name_to_id(MjtObjBase::mjOBJ_GEOM, name);
            found.ok_or_else(|| {
                Error::input(format!(
                    "{at}: the model has no geom named '{name}'; take Gymnasium's model"
                ))
            })
        };
        let mut roles = vec![OTHER; model.geom_bodyid().len()];
        roles[geom("floor")?] = FLOOR;
        for (number, foot) in (0..).zip(feet) {
            roles[geom(foot)?] = number;
        }
        let limits = model.actuator_ctrlrange().iter().zip(model.actuator_ctrllimited());
        let range = |[low, high]: [f64; 2]| [(low + high) / 2.0, (high - low) / 2.0];
        let controls = limits
            .map(|(r, limited)| range(if *limited { *r } else { [-1.0, 1.0] }))
            .collect();
        let masses = model.body_mass().to_vec();
        let total = masses.iter().sum();
        let timestep = model.opt().timestep;
        Ok(Model {
            model,
            source,
            timestep,
            controls,
            roles,
            masses: (masses, total),
        })
    }

    /// Numbers in a position, a velocity and a control, and bodies with the world's.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            qpos: self.model.qpos0().len(),
            qvel: self.model.dof_bodyid().len(),
            controls: self.controls.len(),
            bodies: self.masses.0.len(),
        }
    }

    /// The largest sum of squares that controls can have.
    pub fn largest_control(&self) -> f64 {
        self.controls
            .iter()
            .map(|[middle, half]| (middle.abs() + half).powi(2))
            .sum()
    }

    /// A copy for who draws it.
    pub(super) fn copy(&self) -> MjModel {
        self.model.clone()
    }

    /// One thread's simulation.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn simulator(&self) -> Result<Simulator<'_>> {
        let data = MjData::try_new(&self.model).map_err(|e| Error::failed(format!("MuJoCo: {e}")))?;
        Ok(Simulator { model: self, data })
    }
}

/// What [`Model::sizes`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    pub qpos: usize,
    pub qvel: usize,
    pub controls: usize,
    pub bodies: usize,
}

fn path(file: &str) -> Result<PathBuf> {
    let folder = std::env::var_os("ILLUME_MJCF_DIR").map(PathBuf::from);
    let Some(folder) = folder.or_else(|| option_env!("ILLUME_MJCF_DIR").map(PathBuf::from)) else {
        return Err(Error::input(format!(
            "Gymnasium's MuJoCo models are not known: set ILLUME_MJCF_DIR to the folder that holds {file} (`make setup` fetches it)"
        )));
    };
    let path = folder.join(file);
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::input(format!(
        "{}: there is no such model file; set ILLUME_MJCF_DIR to the folder that holds {file}, or run `make setup`",
        path.display()
    )))
}

/// A simulation. Its state after [`Simulator::reset`] depends on nothing that came before.
#[derive(Debug)]
pub struct Simulator<'m> {
    model: &'m Model,
    data: MjData<&'m MjModel>,
}

impl Simulator<'_> {
    /// Back to the model's initial state, warm starts and warnings included, but for positions and velocities, which are
    /// given from their number and their initial value.
    pub fn reset(&mut self, position: impl Fn(usize, f64) -> f64, velocity: impl Fn(usize, f64) -> f64) {
        self.data.reset();
        let set = |values: &mut [f64], to: &dyn Fn(usize, f64) -> f64| {
            values.iter_mut().enumerate().for_each(|(i, x)| *x = to(i, *x));
        };
        set(self.data.qpos_mut(), &position);
        set(self.data.qvel_mut(), &velocity);
        self.data.forward();
    }

    /// Applies an action in [-1, 1], scaled to the control range, for `frames` simulator steps; `forces` asks for
    /// [`Simulator::contact_forces`]. False if MuJoCo warned (numbers blew up, a control was not finite, memory for contacts
    /// ran out): the state is then not one that the model leads to.
    pub fn step(&mut self, action: &[f32], frames: u32, forces: bool) -> bool {
        let controls = self.data.ctrl_mut().iter_mut().zip(&self.model.controls);
        for ((control, [middle, half]), a) in controls.zip(action) {
            *control = middle + half * f64::from(*a);
        }
        for _ in 0..frames {
            self.data.step();
        }
        if forces {
            self.data.rne_post_constraint();
        }
        self.data.warning().iter().all(|w| w.number == 0)
    }

    /// A bit for each foot that touches the floor.
    pub fn touching(&self) -> u32 {
        let mut feet = 0;
        for contact in self.data.contact() {
            if contact.exclude == 0 {
                let role = |geom: i32| usize::try_from(geom).map_or(OTHER, |g| self.model.roles[g]);
                match (role(contact.geom[0]), role(contact.geom[1])) {
                    (FLOOR, foot @ ..NO_FOOT) | (foot @ ..NO_FOOT, FLOOR) => feet |= 1 << foot,
                    _ => {}
                }
            }
        }
        feet
    }

    /// `[nq]`.
    pub fn positions(&self) -> &[f64] {
        self.data.qpos()
    }

    /// `[nv]`.
    pub fn velocities(&self) -> &[f64] {
        self.data.qvel()
    }

    pub fn controls(&self) -> &[f64] {
        self.data.ctrl()
    }

    /// Force and torque from outside on each body, the world's first; of the last step that asked for them, else 0.
    pub fn contact_forces(&self) -> &[[f64; 6]] {
        self.data.cfrc_ext()
    }

    /// Inertia and mass of each body about the robot's center of mass, the world's first.
    pub fn inertias(&self) -> &[[f64; 10]] {
        self.data.cinert()
    }

    /// Angular and linear velocity of each body about the robot's center of mass, the world's first.
    pub fn body_velocities(&self) -> &[[f64; 6]] {
        self.data.cvel()
    }

    /// Force of the actuators on each degree of freedom, `[nv]`.
    pub fn actuator_forces(&self) -> &[f64] {
        self.data.qfrc_actuator()
    }

    /// Position of the first body, which is the torso.
    pub fn torso(&self) -> [f64; 3] {
        self.data.xpos()[1]
    }

    /// The center of mass along x.
    pub fn mass_center_x(&self) -> f64 {
        let (masses, total) = &self.model.masses;
        self.data
            .xipos()
            .iter()
            .zip(masses)
            .map(|(at, mass)| at[0] * mass)
            .sum::<f64>()
            / total
    }
}
