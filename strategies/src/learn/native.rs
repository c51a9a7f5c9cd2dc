//! The learner on the processor.

use std::ops::Range;

use illume_core::Result;

use super::ascent;
use super::{Ascent, Learner, Losses, Minibatches, Networks, Td3Config};
use illume_numerics::mlp::{
    Adam, Climb, Pass, Path, Plan, STRIP, Slot, Slots, Trained, awake, by_strips, gather, join, strips,
};
use illume_numerics::{Buffer, Level};

/// Most critic steps whose targets are computed in one go: between two soft updates the target networks stand still.
const AHEAD: usize = 8;

/// TD3 and policy-gradient variation on the processor's own threads, bit-equal for any number of them.
///
/// Two threads take a critic each, more share its rows and its panels of weights; README.md says who does what. Nothing is
/// allocated for a step.
pub struct Native {
    config: Td3Config,
    level: Level,
    actor: Trained,
    actor_target: Buffer,
    critics: [Critic; 2],
    critic_steps: u64,
    actor_steps: u64,
    targets: Targets,
    climb: Climb,
    climb_tape: Buffer,
}

struct Critic {
    net: Trained,
    target: Buffer,
    tape: Buffer,
    path: Path,
    /// Output minus target.
    error: Slot,
    /// Summed over the steps of a call.
    loss: f64,
}

/// Critic steps that are taken without looking at the other critic.
struct Lesson<'a> {
    batches: &'a Minibatches,
    steps: Range<usize>,
    /// Targets of these steps.
    wanted: &'a [f32],
    /// Steps taken before.
    before: u64,
    /// A soft update of the critics' targets follows.
    soften: bool,
    /// For each critic.
    threads: usize,
}

/// The targets of the coming steps, and where they are computed; ten numbers for each strip of each step.
struct Targets {
    /// Of the actor's target, for all steps.
    tape: Buffer,
    path: Path,
    /// What the target critics say.
    values: [Vec<f32>; 2],
    wanted: Vec<f32>,
}

impl Targets {
    fn new(actor: &Plan, strips: usize) -> Targets {
        let mut slots = Slots::default();
        let mut path = Path::in_place(actor, &mut slots);
        path.strip = slots.strip();
        Targets {
            tape: Buffer::new(strips * path.strip),
            path,
            values: [0; 2].map(|_| vec![0.0; strips * STRIP]),
            wanted: vec![0.0; strips * STRIP],
        }
    }
}

impl Critic {
    fn new(level: Level, config: &Td3Config) -> Critic {
        let net = Trained::new(level, &config.critic());
        let mut slots = Slots::default();
        let mut path = Path::new(&net.plan, &mut slots);
        let error = slots.numbers();
        path.strip = slots.strip();
        Critic {
            target: Buffer::new(net.plan.len()),
            tape: Buffer::new(strips(config.minibatch) * path.strip),
            net,
            path,
            error,
            loss: 0.0,
        }
    }

    /// What the target says of the next states of the steps `steps`, with the actions on the targets' tape.
    fn look_ahead(
        &mut self,
        config: &Td3Config,
        (batches, steps): (&Minibatches, Range<usize>),
        (actions, from): (&[f32], &Path),
        values: &mut [f32],
        threads: usize,
    ) {
        let (rows, count) = (config.minibatch, strips(config.minibatch));
        let [o, a, d] = [config.observation, config.action, config.condition];
        let Critic {
            net,
            target,
            tape,
            path,
            ..
        } = self;
        let (strip, input, action) = (path.strip, path.values[0], from.last());
        for (k, step) in steps.enumerate() {
            by_strips(tape, strip, threads, &|first, tape| {
                let place = |s: usize| rows_of(step, first + s, rows);
                gather(tape, strip, (input, 0), (&batches.next_observation, o), place);
                gather(tape, strip, (input, o + a), (&batches.condition, d), place);
                for (s, strip) in tape.chunks_exact_mut(strip).enumerate() {
                    let actions = &actions[(k * count + first + s) * from.strip + action.at..];
                    for r in 0..STRIP {
                        strip[input.at + r * input.ld + o..][..a].copy_from_slice(&actions[r * action.ld..][..a]);
                    }
                }
                net.plan.forward(target, tape, path);
            });
            let numbers = tape.chunks_exact(strip).map(|strip| &strip[path.number.at..][..STRIP]);
            for (to, from) in values[k * count * STRIP..].chunks_exact_mut(STRIP).zip(numbers) {
                to.copy_from_slice(from);
            }
        }
    }

    /// Takes the steps of a lesson.
    fn learn(&mut self, config: &Td3Config, lesson: &Lesson) {
        let &Lesson {
            batches,
            wanted,
            threads,
            ..
        } = lesson;
        let (rows, count) = (config.minibatch, strips(config.minibatch));
        let Critic {
            net,
            target,
            tape,
            path,
            error,
            loss,
        } = self;
        let strip = path.strip;
        for (k, step) in lesson.steps.clone().enumerate() {
            let wanted = &wanted[k * count * STRIP..(k + 1) * count * STRIP];
            by_strips(tape, strip, threads, &|first, tape| {
                let place = |s: usize| rows_of(step, first + s, rows);
                let [a, o, d] = [config.action, config.observation, config.condition];
                gather(tape, strip, (path.values[0], 0), (&batches.observation, o), place);
                gather(tape, strip, (path.values[0], o), (&batches.action, a), place);
                gather(tape, strip, (path.values[0], o + a), (&batches.condition, d), place);
                net.plan.forward(&net.params, tape, path);
                let scale = 2.0 / rows as f32;
                for (s, strip) in tape.chunks_exact_mut(strip).enumerate() {
                    for r in 0..STRIP {
                        let e = strip[path.number.at + r] - wanted[(first + s) * STRIP + r];
                        strip[error.at + r] = e;
                        strip[path.number.at + r] = scale * e;
                    }
                }
                net.plan.backward(&net.params, &net.turned, tape, path);
            });
            let square = |row: usize| f64::from(tape[row / STRIP * strip + error.at + row % STRIP]).powi(2);
            *loss += (0..rows).map(square).sum::<f64>() / rows as f64;
            let pass = Pass {
                tape,
                rows,
                path,
                adam: Adam::new(config.critic_rate, lesson.before + 1 + k as u64),
            };
            let target = (lesson.soften && step + 1 == lesson.steps.end)
                .then_some((&mut target[..net.plan.len()], config.tau as f32));
            net.step(&pass, target, threads);
        }
    }
}

/// Critic steps until their number is a multiple of `delay`, at most [`AHEAD`].
fn until(steps: u64, delay: u64) -> usize {
    (delay - steps % delay)
        .try_into()
        .map_or(AHEAD, |steps: usize| steps.min(AHEAD))
}

/// Rows of a strip of a step's minibatch.
fn rows_of(step: usize, strip: usize, rows: usize) -> Range<usize> {
    step * rows + strip * STRIP..step * rows + rows.min((strip + 1) * STRIP)
}

/// Runs `f` for each critic, on threads of its own if there are two.
fn both<T: Send>([first, second]: &mut [T; 2], threads: usize, f: impl Fn(&mut T) + Sync) {
    if threads > 1 {
        join(|| f(first), || f(second));
    } else {
        f(first);
        f(second);
    }
}

impl Native {
    /// # Panics
    /// `networks` are not of `config` ([`Networks::check`]).
    pub fn new(config: &Td3Config, networks: &Networks) -> Native {
        Native::at(Level::best(), config, networks)
    }

    pub(crate) fn at(level: Level, config: &Td3Config, networks: &Networks) -> Native {
        assert!(
            config.minibatch > 0 && config.delay > 0 && config.target_delay > 0,
            "a minibatch and delays of at least one"
        );
        let actor = Trained::general(level, &config.actor());
        let critics = [0; 2].map(|_| Critic::new(level, config));
        let ahead = until(0, config.delay.min(config.target_delay));
        let count = strips(config.minibatch);
        let critic = &critics[0].net.plan;
        let climb = Climb::new(&actor.plan, critic, config.observation);
        let mut native = Native {
            config: config.clone(),
            level,
            targets: Targets::new(&actor.plan, ahead * count),
            climb_tape: Buffer::new(count * climb.strip()),
            climb,
            actor_target: Buffer::new(actor.plan.len()),
            actor,
            critics,
            critic_steps: 0,
            actor_steps: 0,
        };
        native.take(networks);
        native
    }

    #[cfg(test)]
    pub(crate) fn config(&self) -> &Td3Config {
        &self.config
    }

    fn take(&mut self, networks: &Networks) {
        self.actor.set_params(&networks.actor);
        self.actor.set_moments(&networks.actor_moments);
        self.actor.plan.pack(&networks.actor_target, &mut self.actor_target);
        for (j, critic) in self.critics.iter_mut().enumerate() {
            critic.net.set_params(&networks.critics[j]);
            critic.net.set_moments(&networks.critic_moments[j]);
            critic.net.plan.pack(&networks.critic_targets[j], &mut critic.target);
        }
        self.critic_steps = networks.critic_steps;
        self.actor_steps = networks.actor_steps;
    }

    fn run(&mut self, batches: &Minibatches) -> Losses {
        let threads = rayon::current_num_threads();
        let (delay, target_delay) = (self.config.delay, self.config.target_delay);
        let mut losses = Losses::default();
        let mut actor_steps = 0u64;
        self.critics.iter_mut().for_each(|c| c.loss = 0.0);
        let mut at = 0;
        while at < batches.steps {
            let ahead = until(self.critic_steps, delay).min(until(self.critic_steps, target_delay));
            let steps = at..batches.steps.min(at + ahead);
            let taken = self.critic_steps + steps.len() as u64;
            self.look_ahead(batches, steps.clone(), threads);
            let lesson = Lesson {
                batches,
                steps: steps.clone(),
                wanted: &self.targets.wanted,
                before: self.critic_steps,
                soften: taken.is_multiple_of(target_delay),
                threads: threads.div_ceil(2),
            };
            both(&mut self.critics, threads, |critic| critic.learn(&self.config, &lesson));
            self.critic_steps = taken;
            if taken.is_multiple_of(delay) {
                losses.actor += self.actor_step(batches, steps.end - 1, threads);
                actor_steps += 1;
            }
            at = steps.end;
        }
        losses.critic = self.critics.iter().map(|c| c.loss).sum::<f64>() / batches.steps.max(1) as f64;
        losses.actor /= actor_steps.max(1) as f64;
        losses
    }

    /// Targets of the steps `steps`.
    fn look_ahead(&mut self, batches: &Minibatches, steps: Range<usize>, threads: usize) {
        let Native {
            config,
            actor,
            actor_target,
            critics,
            targets,
            ..
        } = self;
        let (rows, count) = (config.minibatch, strips(config.minibatch));
        let Targets {
            tape,
            path,
            values,
            wanted,
        } = targets;
        let strip = path.strip;
        let [o, a, d] = [config.observation, config.action, config.condition];
        let all = steps.len() * count;
        by_strips(&mut tape[..all * strip], strip, threads, &|first, tape| {
            let place = |s: usize| rows_of(steps.start + (first + s) / count, (first + s) % count, rows);
            gather(tape, strip, (path.values[0], 0), (&batches.next_observation, o), place);
            gather(tape, strip, (path.values[0], o), (&batches.condition, d), place);
            actor.plan.forward(actor_target, tape, path);
            let outputs = path.last();
            for (s, strip) in tape.chunks_exact_mut(strip).enumerate() {
                for (r, row) in place(s).enumerate() {
                    let noise = &batches.noise[row * a..(row + 1) * a];
                    for (x, noise) in strip[outputs.at + r * outputs.ld..].iter_mut().zip(noise) {
                        *x = (*x + noise).clamp(-1.0, 1.0);
                    }
                }
            }
        });
        let mut seats = critics.iter_mut().zip(values.iter_mut());
        let mut seats = [0; 2].map(|_| seats.next().expect("there are two critics"));
        both(&mut seats, threads, |(critic, values)| {
            let threads = threads.div_ceil(2);
            critic.look_ahead(config, (batches, steps.clone()), (tape, path), values, threads);
        });
        let discount = config.discount as f32;
        for (s, wanted) in wanted.chunks_exact_mut(STRIP).take(all).enumerate() {
            for (r, row) in rows_of(steps.start + s / count, s % count, rows).enumerate() {
                let [q0, q1] = [0, 1].map(|j| values[j][s * STRIP + r]);
                let least = if q1 < q0 { q1 } else { q0 };
                wanted[r] = (discount * batches.continues[row]).mul_add(least, batches.reward[row]);
            }
        }
    }

    /// The actor's step on the minibatch of step `step`; returns its loss.
    fn actor_step(&mut self, batches: &Minibatches, step: usize, threads: usize) -> f64 {
        let Native {
            config,
            actor,
            actor_target,
            critics,
            climb,
            climb_tape,
            ..
        } = self;
        let rows = config.minibatch;
        let [o, a, d] = [config.observation, config.action, config.condition];
        let critic = &critics[0].net;
        climb.look_at(&critic.plan, &critic.params);
        let climb = &*climb;
        let strip = climb.strip();
        by_strips(climb_tape, strip, threads, &|first, tape| {
            let place = |s: usize| rows_of(step, first + s, rows);
            let [input, other] = [climb.policy.values[0], climb.critic.values[0]];
            gather(tape, strip, (input, 0), (&batches.observation, o), place);
            gather(tape, strip, (input, o), (&batches.condition, d), place);
            gather(tape, strip, (other, 0), (&batches.observation, o), place);
            gather(tape, strip, (other, o + a), (&batches.condition, d), place);
            climb.pass(
                (&actor.plan, &actor.params, &actor.turned),
                (&critic.plan, &critic.params, &critic.turned),
                tape,
                rows,
            );
        });
        self.actor_steps += 1;
        let pass = Pass {
            tape: climb_tape,
            rows,
            path: &climb.policy,
            adam: Adam::new(config.actor_rate, self.actor_steps),
        };
        let len = actor.plan.len();
        actor.step(&pass, Some((&mut actor_target[..len], config.tau as f32)), threads);
        let value = |row: usize| f64::from(climb_tape[row / STRIP * strip + climb.values.at + row % STRIP]);
        -(0..rows).map(value).sum::<f64>() / rows as f64
    }
}

impl Learner for Native {
    fn device(&self) -> String {
        let threads = rayon::current_num_threads();
        format!("native, {threads} {}", if threads == 1 { "thread" } else { "threads" })
    }

    fn train(&mut self, batches: &Minibatches) -> Result<Losses> {
        batches.assert(&self.config);
        // Inside the pool, where the work is divided many thousand times.
        let mut losses = Losses::default();
        awake(|| losses = self.run(batches));
        Ok(losses)
    }

    fn networks(&self) -> Result<Networks> {
        let trained = |net: &Trained| [&net.params, &net.first, &net.second].map(|x| net.plan.unpacked(x));
        let [actor, m, v] = trained(&self.actor);
        let [[critic0, m0, v0], [critic1, m1, v1]] = [0, 1].map(|j| trained(&self.critics[j].net));
        Ok(Networks {
            actor,
            actor_target: self.actor.plan.unpacked(&self.actor_target),
            actor_moments: [m, v],
            critics: [critic0, critic1],
            critic_targets: [0, 1].map(|j| self.critics[j].net.plan.unpacked(&self.critics[j].target)),
            critic_moments: [[m0, v0], [m1, v1]],
            critic_steps: self.critic_steps,
            actor_steps: self.actor_steps,
        })
    }

    fn load(&mut self, networks: &Networks) -> Result<()> {
        networks.check(&self.config)?;
        self.take(networks);
        Ok(())
    }

    fn improve(
        &mut self,
        ascent: &Ascent,
        critic: &[f32],
        policies: &mut [f32],
        conditions: &[f32],
        states: &[f32],
    ) -> Result<()> {
        ascent::improve(self.level, &self.config, ascent, critic, policies, conditions, states);
        Ok(())
    }
}
