//! The task: parameters, what the engine must know, and where the ROMs are.

use std::path::PathBuf;

use illume_core::{
    Axis, Camera, Error, Result, Task, TaskConfig, TaskEntry, TaskSpec, Worker, both, params, params::Params,
};

use super::ale::{Ale, RAM};
use super::game::Game;
use super::games::{ATARI_TASKS, PREFIX, qd_offset};
use crate::film::{Filmed, OwnScreen};
use crate::pixels::{self, ConvNet, PixelEnv, PixelPolicyParams, PixelWorker, reference_frames};

params! {
    /// Parameters of `atari/<game>`.
    pub struct AtariParams {
        /// Frames that an action is held.
        frame_skip: u32 = 4, range(1, 60);
        /// Agent steps of the longest episode that counts.
        max_steps: u32 = 5000, range(1, 1_000_000);
        /// Agent steps of the longest episode that only tests, as in the Deep GA program; 27,000 of 4 frames are half an hour of play.
        test_steps: u32 = 100_000, range(1, 1_000_000);
        /// Frames at the start of an episode in which nothing is done: from 1 to this, drawn by the evaluation seed; 0 for none.
        noops: u32 = 30, range(0, 1000);
        /// Whether FIRE is pressed for a step and then the third action for another before the policy acts, in games whose second
        /// action is FIRE ("auto"), or not ("never").
        fire: String = "auto".into(), one_of(&["auto", "never"]);
        /// Probability with which a frame repeats the action of the frame before (sticky actions; 0.25 is usual).
        sticky_actions: f64 = 0.0, range(0.0, 1.0);
        /// Whether networks choose from all 18 actions, not from those that make a difference in the game.
        full_action_set: bool = false, any();
        /// Whether an episode ends when a life is lost.
        end_on_life_loss: bool = false, any();
        /// What tells policies apart: the mean horizontal and vertical direction of the joystick ("joystick"), the console's memory at
        /// several times ("ram", for unstructured archives), or nothing ("none").
        descriptor: String = "joystick".into(), one_of(&["joystick", "ram", "none"]);
        /// Times at which descriptor "ram" keeps the 128 bytes of memory.
        ram_samples: usize = 8, range(1, 1000);
        /// Agent steps from one such time to the next.
        ram_interval: u32 = 50, range(1, 100_000);
    }
}

/// The registry's entry for all games.
pub const ENTRY: TaskEntry = TaskEntry {
    name: "atari/frostbite",
    family: ATARI_TASKS,
    summary: "Atari 2600 game from pixels (any of 104): fitness its points, descriptor the joystick's mean direction",
    params: <AtariParams as Params>::describe,
    network: false,
    cases: false,
    policy: Some(PixelPolicyParams::describe),
    small: "[task]\nmax_steps = 10\ntest_steps = 10\n[policy]\nnetwork = \"small\"",
    suggested: "[policy]\nnetwork = \"small\"\n[archive]\nkind = \"grid\"\nshape = [20, 20]\n[budget]\nframes = 1_000_000_000",
    gene_scale: 0.005,
    sketch: None,
    build,
};

/// By which the frames of virtual batch normalization are drawn: those of a game are always the same.
const REFERENCE_SEED: u64 = 0;
/// Of the console.
const FRAMES_PER_SECOND: f64 = 60.0;

struct Atari {
    spec: TaskSpec,
    params: AtariParams,
    policy: PixelPolicyParams,
    net: ConvNet,
    rom: PathBuf,
}

fn build(config: &TaskConfig<'_>) -> Result<Box<dyn Task>> {
    let name = config.task.get("name").and_then(|n| n.as_str()).unwrap_or(ENTRY.name);
    let game = name.strip_prefix(PREFIX).unwrap_or(name);
    let (params, policy) = both(
        params::read::<AtariParams>(config.task, "task", &["name"]),
        PixelPolicyParams::read(config.policy),
    )?;
    let rom = rom(game)?;
    let mut env = Game::new(Ale::open(&rom)?, &params);
    let mut net = ConvNet::new(&policy, env.actions());
    if net.reference_wanted() > 0 {
        let frames = reference_frames(&mut env, net.reference_wanted(), REFERENCE_SEED);
        net = net.with_reference(frames.into());
    }
    let longest = params
        .max_steps
        .max(params.test_steps)
        .saturating_mul(params.frame_skip);
    let spec = TaskSpec {
        descriptor: axes(&params),
        fitness: "points of the game".into(),
        qd_offset: qd_offset(game, longest),
        deterministic: params.noops == 0 && params.sticky_actions == 0.0,
        max_steps: params.max_steps,
        test_steps: params.test_steps,
        frames_per_step: params.frame_skip,
        chunk: pixels::chunk(&policy),
        ..TaskSpec::new(name, net.params(), net.init())
    };
    Ok(Box::new(Atari {
        spec,
        params,
        policy,
        net,
        rom,
    }))
}

impl Task for Atari {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        pixels::worker(&self.policy, &self.net, &self.spec, || self.game())
    }

    fn filming<'a>(&'a self, camera: &'a mut dyn Camera) -> Result<Option<Box<dyn Worker + 'a>>> {
        let pace = FRAMES_PER_SECOND / f64::from(self.params.frame_skip);
        let env = Filmed::new(self.game()?, OwnScreen, camera, pace);
        Ok(Some(Box::new(PixelWorker::new(env, &self.net, &self.spec))))
    }
}

impl Atari {
    fn game(&self) -> Result<Game> {
        Ok(Game::new(Ale::open(&self.rom)?, &self.params))
    }
}

fn axes(params: &AtariParams) -> Vec<Axis> {
    match params.descriptor.as_str() {
        "joystick" => vec![
            Axis::new("horizontal", "", -1.0, 1.0),
            Axis::new("vertical", "", -1.0, 1.0),
        ],
        "ram" => (0..params.ram_samples)
            .flat_map(|t| (0..RAM).map(move |byte| Axis::new(&format!("ram_{t}_{byte}"), "", 0.0, 1.0)))
            .collect(),
        _ => Vec::new(),
    }
}

/// The ROM of a game, in the folder that `ILLUME_ROM_DIR` names (now, or when this program was built).
///
/// # Errors
/// The folder is not known, or holds no such file.
pub fn rom(game: &str) -> Result<PathBuf> {
    let folder = std::env::var_os("ILLUME_ROM_DIR").map(PathBuf::from);
    let Some(folder) = folder.or_else(|| option_env!("ILLUME_ROM_DIR").map(PathBuf::from)) else {
        return Err(Error::input(format!(
            "the Atari games are not known: set ILLUME_ROM_DIR to the folder that holds {game}.bin (`tools/setup atari` fetches it)"
        )));
    };
    let path = folder.join(format!("{game}.bin"));
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::input(format!(
        "{}: there is no such ROM; set ILLUME_ROM_DIR to the folder that holds {game}.bin, or run `tools/setup atari`",
        path.display()
    )))
}
