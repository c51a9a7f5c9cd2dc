//! What rank 0 does between generations: it holds the replay buffer and the networks, and trains them.

use std::thread::{self, JoinHandle};
use std::time::Instant;

use illume_core::{Batch, Context, Error, Result, State};

use super::backend;
use super::exchange::broadcast;
use super::replay::{Replay, Reward, Sampling, Widths};
use crate::learn::{Ascent, Learner, Losses, Minibatches, Networks, Td3Config};

/// How learning goes.
#[derive(Debug, Clone)]
pub struct Settings {
    pub td3: Td3Config,
    pub ascent: Ascent,
    pub sampling: Sampling,
    /// What is learned from: with preferences these are the networks' condition.
    pub reward: Reward,
    /// Critic steps of an iteration.
    pub critic_steps: usize,
    /// Transitions that the replay buffer holds.
    pub replay: usize,
    pub save_replay: bool,
    /// Train while the next generation is evaluated.
    pub overlap: bool,
    pub backend: backend::Choice,
}

impl Settings {
    pub fn widths(&self) -> Widths {
        Widths {
            observation: self.td3.observation,
            action: self.td3.action,
            condition: match self.reward {
                Reward::Preferred { .. } => 0,
                _ => self.td3.condition,
            },
            reward: self.reward,
        }
    }
}

/// Minibatches gathered at a time: they stay in the cache and in bounded memory.
pub(super) const STEPS_AT_ONCE: usize = 60;

/// The learner's rank's own.
struct Core {
    learner: Box<dyn Learner>,
    replay: Replay,
    batches: Minibatches,
    losses: Losses,
    /// Seconds that the last training took.
    seconds: f64,
}

impl Core {
    fn train(&mut self, settings: &Settings, seed: u64, generation: u64) -> Result<()> {
        let start = Instant::now();
        let mut sums = Losses::default();
        let mut step = 0;
        while step < settings.critic_steps && self.replay.len() > 0 {
            let steps = STEPS_AT_ONCE.min(settings.critic_steps - step);
            self.replay
                .draw(seed, generation, step, steps, &settings.sampling, &mut self.batches);
            let losses = self.learner.train(&self.batches)?;
            sums.critic += losses.critic * steps as f64;
            sums.actor += losses.actor * steps as f64;
            step += steps;
        }
        let steps = step.max(1) as f64;
        self.losses = Losses {
            critic: sums.critic / steps,
            actor: sums.actor / steps,
        };
        self.seconds = start.elapsed().as_secs_f64();
        Ok(())
    }
}

/// Where the core is.
enum Held {
    /// On another rank, or not made yet.
    No,
    Here(Box<Core>),
    /// At work beside the evaluation.
    Busy(JoinHandle<Result<Box<Core>>>),
}

/// What rank 0 tells all before candidates are made.
#[derive(Debug, Default)]
pub struct Published {
    /// The critic that policies climb.
    pub critic: Vec<f32>,
    pub actor: Vec<f32>,
    /// States that policies learn from, `[steps * minibatch, observation]`; empty while there are none.
    pub states: Vec<f32>,
}

/// The learner as every rank sees it; all calls are collective.
pub struct Learning {
    settings: Settings,
    held: Held,
    /// Transitions on rank 0, known everywhere.
    transitions: usize,
}

impl Learning {
    pub fn new(settings: Settings) -> Learning {
        Learning {
            settings,
            held: Held::No,
            transitions: 0,
        }
    }

    /// The core, made on first use; none on other ranks than 0.
    fn core(&mut self, context: &Context<'_>) -> Result<Option<&mut Core>> {
        if context.comm.rank() != 0 {
            return Ok(None);
        }
        if matches!(self.held, Held::No) {
            let settings = &self.settings;
            let networks = Networks::new(&settings.td3, context.seed);
            self.held = Held::Here(Box::new(Core {
                learner: settings.backend.learner(&settings.td3, &networks)?,
                replay: Replay::new(settings.replay, settings.widths()),
                batches: Minibatches::default(),
                losses: Losses::default(),
                seconds: 0.0,
            }));
        }
        match &mut self.held {
            Held::Here(core) => Ok(Some(core)),
            _ => Err(Error::failed("the learner is at work")),
        }
    }

    /// Waits for training that runs beside the evaluation.
    pub fn join(&mut self) -> Result<()> {
        if let Held::Busy(_) = self.held {
            let Held::Busy(thread) = std::mem::replace(&mut self.held, Held::No) else {
                unreachable!("just looked")
            };
            let core = thread
                .join()
                .map_err(|_| Error::failed("the learner's thread panicked"))?;
            self.held = Held::Here(core?);
        }
        Ok(())
    }

    /// Adds episodes to the replay buffer: `gather` hands each to its argument on rank 0 (episode, achieved, requested).
    pub fn absorb(
        &mut self,
        context: &Context<'_>,
        steps: usize,
        gather: impl FnOnce(&mut dyn FnMut(&illume_core::Trajectory, &[f32], &[f32])) -> Result<()>,
    ) -> Result<()> {
        self.transitions = (self.transitions + steps).min(self.settings.replay);
        match self.core(context)? {
            Some(core) => {
                let replay = &mut core.replay;
                gather(&mut |episode, achieved, requested| replay.insert(episode, achieved, requested))
            }
            None => gather(&mut |_, _, _| ()),
        }
    }

    /// Trains for one iteration, now.
    pub fn train(&mut self, context: &Context<'_>) -> Result<()> {
        let settings = self.settings.clone();
        match self.core(context)? {
            Some(core) => core.train(&settings, context.seed, context.generation),
            None => Ok(()),
        }
    }

    /// Trains for one iteration on threads of its own, until [`Learning::join`].
    pub fn train_beside(&mut self, context: &Context<'_>) -> Result<()> {
        if self.core(context)?.is_none() {
            return Ok(());
        }
        let Held::Here(mut core) = std::mem::replace(&mut self.held, Held::No) else {
            return Err(Error::failed("the learner is at work"));
        };
        let (settings, seed, generation) = (self.settings.clone(), context.seed, context.generation);
        // Threads of its own: on the pool's, every small product would wait for whole episodes.
        let threads = rayon::current_num_threads().div_ceil(2);
        self.held = Held::Busy(thread::spawn(move || {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.map_err(|e| Error::failed(format!("cannot start the learner's threads: {e}")))?;
            pool.install(|| core.train(&settings, seed, generation))?;
            Ok(core)
        }));
        Ok(())
    }

    /// What candidates are made with: critic and states if policies are to climb, the actor if it is asked for.
    pub fn publish(&mut self, context: &Context<'_>, climb: bool, actor: bool, out: &mut Published) -> Result<()> {
        let ascent = &self.settings.ascent;
        let rows = if climb && self.transitions > 0 {
            ascent.steps * ascent.minibatch
        } else {
            0
        };
        let lengths = [
            if rows > 0 {
                self.settings.td3.critic().params()
            } else {
                0
            },
            if actor { self.settings.td3.actor().params() } else { 0 },
            rows * self.settings.td3.observation,
        ];
        let mut parts = [&mut out.critic, &mut out.actor, &mut out.states].map(std::mem::take);
        parts.iter_mut().for_each(Vec::clear);
        if let Some(core) = self.core(context)? {
            let networks = core.learner.networks()?;
            let [critic, _] = networks.critics;
            parts[0] = if rows > 0 { critic } else { Vec::new() };
            parts[1] = if actor { networks.actor } else { Vec::new() };
            core.replay
                .draw_states(context.seed, context.generation, rows, &mut parts[2]);
        }
        broadcast(context.comm, &mut parts, &lengths)?;
        [out.critic, out.actor, out.states] = parts;
        Ok(())
    }

    /// Losses of the last training and the seconds it took; zeros on other ranks than 0.
    pub fn last(&self) -> (Losses, f64) {
        match &self.held {
            Held::Here(core) => (core.losses, core.seconds),
            _ => (Losses::default(), 0.0),
        }
    }

    pub fn transitions(&self) -> usize {
        self.transitions
    }

    /// The actor, on rank 0 once there is one.
    pub fn actor(&self) -> Result<Option<Vec<f32>>> {
        match &self.held {
            Held::Here(core) => Ok(Some(core.learner.networks()?.actor)),
            _ => Ok(None),
        }
    }

    /// Adds networks, moments and the replay buffer to a checkpoint's state; nothing on other ranks than 0.
    pub fn save(&self, state: &mut State) -> Result<()> {
        let core = match &self.held {
            Held::Here(core) => core,
            Held::Busy(_) => return Err(Error::failed("a checkpoint was asked for while the learner is at work")),
            Held::No => return Ok(()),
        };
        let n = core.learner.networks()?;
        let [[m1, v1], [m2, v2]] = n.critic_moments;
        let [m, v] = n.actor_moments;
        let ([q1, q2], [t1, t2]) = (n.critics, n.critic_targets);
        for (name, parts) in [
            ("actor", [n.actor, n.actor_target, m, v]),
            ("critic_1", [q1, t1, m1, v1]),
            ("critic_2", [q2, t2, m2, v2]),
        ] {
            let mut table = Batch::new();
            for ((name, meaning), values) in NETWORK_COLUMNS.iter().zip(parts) {
                table.push(name, 1, "", meaning, values);
            }
            state.tables.push((name.into(), table));
        }
        let mut learner = Batch::new();
        learner.push("critic_steps", 1, "", "critic steps taken", vec![n.critic_steps]);
        learner.push("actor_steps", 1, "", "actor steps taken", vec![n.actor_steps]);
        let saved = self.settings.save_replay;
        let position = if saved { core.replay.position() as u64 } else { 0 };
        learner.push(
            "replay_position",
            1,
            "",
            "row of the replay buffer that comes next",
            vec![position],
        );
        learner.push("critic_loss", 1, "", "of the last iteration", vec![core.losses.critic]);
        learner.push("actor_loss", 1, "", "of the last iteration", vec![core.losses.actor]);
        state.tables.push(("learner".into(), learner));
        if saved {
            state.tables.push(("replay".into(), core.replay.save()));
        }
        Ok(())
    }

    /// Goes back to a saved state.
    ///
    /// # Errors
    /// A state of other networks.
    pub fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        if state.table("learner").is_err() {
            // Saved before the first generation ended.
            return Ok(());
        }
        let save_replay = self.settings.save_replay;
        self.transitions = if save_replay { state.table("replay")?.rows() } else { 0 };
        let Some(core) = self.core(context)? else {
            return Ok(());
        };
        let network = |table: &str| -> Result<[Vec<f32>; 4]> {
            let table = state.table(table)?;
            let mut parts = [const { Vec::new() }; 4];
            for (part, (name, _)) in parts.iter_mut().zip(NETWORK_COLUMNS) {
                *part = table.get::<f32>(name)?.to_vec();
            }
            Ok(parts)
        };
        let learner = state.table("learner")?;
        let count = |name: &str| -> Result<u64> { Ok(learner.get::<u64>(name)?.first().copied().unwrap_or(0)) };
        let loss = |name: &str| -> Result<f64> { Ok(learner.get::<f64>(name)?.first().copied().unwrap_or(0.0)) };
        let [actor, actor_target, m, v] = network("actor")?;
        let [q1, t1, m1, v1] = network("critic_1")?;
        let [q2, t2, m2, v2] = network("critic_2")?;
        core.learner.load(&Networks {
            actor,
            actor_target,
            actor_moments: [m, v],
            critics: [q1, q2],
            critic_targets: [t1, t2],
            critic_moments: [[m1, v1], [m2, v2]],
            critic_steps: count("critic_steps")?,
            actor_steps: count("actor_steps")?,
        })?;
        core.losses = Losses {
            critic: loss("critic_loss")?,
            actor: loss("actor_loss")?,
        };
        if save_replay {
            core.replay
                .load(state.table("replay")?, count("replay_position")? as usize)?;
        }
        Ok(())
    }
}

/// Columns of a network's table.
const NETWORK_COLUMNS: [(&str, &str); 4] = [
    ("params", "weights and biases"),
    ("target", "those of the target network"),
    ("first", "Adam's first moment"),
    ("second", "Adam's second moment"),
];
