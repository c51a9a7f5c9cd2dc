//! The learner on the processor.

use std::ops::Range;

use illume_core::Result;

use super::adam::Adam;
use super::ascent;
use super::buffer::Buffer;
use super::climb::Climb;
use super::level::Level;
use super::packed::{Plan, STRIP, Slot, Slots};
use super::trained::{Pass, Path, Trained, by_strips, gather, strips};
use super::{Ascent, Learner, Losses, Minibatches, Networks, Td3Config};

/// Most critic steps whose targets are computed in one go: between two soft updates the target networks stand still.
const AHEAD: usize = 8;

/// TD3 and policy-gradient variation on the processor's own threads, bit-equal for any number of them.
///
/// Two threads take a critic each, more share its rows and its panels of weights; they meet four times between two soft
/// updates. Nothing is allocated while training.
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

/// Critic steps between two meetings of the critics.
struct Lesson<'a> {
    batches: &'a Minibatches,
    steps: Range<usize>,
    /// Hold the targets of these steps, from the start of the tape on.
    targets: &'a Targets,
    /// Steps taken before.
    before: u64,
    /// A soft update follows.
    soften: bool,
    /// For each critic.
    threads: usize,
}

/// Where the targets of the coming steps are computed.
struct Targets {
    tape: Buffer,
    actor: Path,
    /// The two critics' differ in where their outputs go.
    critics: [Path; 2],
    wanted: Slot,
}

impl Targets {
    fn new(actor: &Plan, critic: &Plan, tape_strips: usize) -> Targets {
        let mut slots = Slots::default();
        let mut path = |plan: &Plan| {
            let mut values: Vec<Slot> = plan.net.layers.iter().map(|&width| slots.rows(width)).collect();
            values.truncate(plan.layers.len() + 1);
            Path {
                strip: 0,
                values,
                deltas: Vec::new(),
                number: slots.numbers(),
            }
        };
        let (mut actor, mut first) = (path(actor), path(critic));
        let mut second = first.clone();
        second.number = slots.numbers();
        let wanted = slots.numbers();
        for path in [&mut actor, &mut first, &mut second] {
            path.strip = slots.strip();
        }
        Targets {
            tape: Buffer::new(tape_strips * slots.strip()),
            actor,
            critics: [first, second],
            wanted,
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

    /// Takes the steps of a lesson.
    fn learn(&mut self, config: &Td3Config, lesson: &Lesson) {
        let &Lesson {
            batches,
            targets,
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
        let wanted_strip = targets.actor.strip;
        for (k, step) in lesson.steps.clone().enumerate() {
            let wanted = &targets.tape[k * count * wanted_strip..(k + 1) * count * wanted_strip];
            by_strips(tape, strip, threads, &|first, tape| {
                let place = |s: usize| {
                    let start = (first + s) * STRIP;
                    step * rows + start..step * rows + rows.min(start + STRIP)
                };
                let [a, o, d] = [config.action, config.observation, config.condition];
                gather(tape, strip, (path.values[0], 0), (&batches.observation, o), place);
                gather(tape, strip, (path.values[0], o), (&batches.action, a), place);
                gather(tape, strip, (path.values[0], o + a), (&batches.condition, d), place);
                net.plan.forward(&net.params, tape, path);
                let scale = 2.0 / rows as f32;
                for (s, strip) in tape.chunks_exact_mut(strip).enumerate() {
                    for r in 0..STRIP {
                        let y = wanted[(first + s) * wanted_strip + targets.wanted.at + r];
                        let e = strip[path.number.at + r] - y;
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

impl Native {
    /// # Panics
    /// `networks` are not of `config` ([`Networks::check`]).
    pub fn new(config: &Td3Config, networks: &Networks) -> Native {
        Native::at(Level::best(), config, networks)
    }

    pub(crate) fn at(level: Level, config: &Td3Config, networks: &Networks) -> Native {
        assert!(
            config.minibatch > 0 && config.delay > 0,
            "a minibatch and a delay of at least one"
        );
        let actor = Trained::general(level, &config.actor());
        let critics = [0; 2].map(|_| Critic::new(level, config));
        let ahead = AHEAD.min(config.delay.try_into().unwrap_or(AHEAD));
        let count = strips(config.minibatch);
        let critic = &critics[0].net.plan;
        let climb = Climb::new(&actor.plan, critic, config.observation);
        let mut native = Native {
            config: config.clone(),
            level,
            targets: Targets::new(&actor.plan, critic, ahead * count),
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
        let delay = self.config.delay;
        let mut losses = Losses::default();
        let mut actor_steps = 0u64;
        self.critics.iter_mut().for_each(|c| c.loss = 0.0);
        let mut at = 0;
        while at < batches.steps {
            let until_actor = (delay - self.critic_steps % delay).try_into().unwrap_or(AHEAD);
            let steps = at..batches.steps.min(at + until_actor.min(AHEAD));
            let soften = steps.len() == until_actor;
            self.look_ahead(batches, steps.clone(), threads);
            let lesson = Lesson {
                batches,
                steps: steps.clone(),
                targets: &self.targets,
                before: self.critic_steps,
                soften,
                threads: threads.div_ceil(2),
            };
            let config = &self.config;
            let [first, second] = &mut self.critics;
            let learn = |critic: &mut Critic| critic.learn(config, &lesson);
            if threads > 1 {
                rayon::join(|| learn(first), || learn(second));
            } else {
                learn(first);
                learn(second);
            }
            self.critic_steps += steps.len() as u64;
            if soften {
                losses.actor += self.actor_step(batches, steps.end - 1, threads);
                actor_steps += 1;
            }
            at = steps.end;
        }
        losses.critic = self.critics.iter().map(|c| c.loss).sum::<f64>() / batches.steps.max(1) as f64;
        losses.actor /= actor_steps.max(1) as f64;
        losses
    }

    /// Targets of the steps `steps`, from the start of the tape on.
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
            actor: path,
            critics: paths,
            wanted,
        } = targets;
        let strip = path.strip;
        let [o, a, d] = [config.observation, config.action, config.condition];
        by_strips(
            &mut tape[..steps.len() * count * strip],
            strip,
            threads,
            &|first, tape| {
                let place = |s: usize| {
                    let (step, s) = (steps.start + (first + s) / count, (first + s) % count);
                    step * rows + s * STRIP..step * rows + rows.min((s + 1) * STRIP)
                };
                let (input, outputs) = (paths[0].values[0], path.last());
                gather(tape, strip, (path.values[0], 0), (&batches.next_observation, o), place);
                gather(tape, strip, (path.values[0], o), (&batches.condition, d), place);
                gather(tape, strip, (input, 0), (&batches.next_observation, o), place);
                gather(tape, strip, (input, o), (&batches.noise, a), place);
                gather(tape, strip, (input, o + a), (&batches.condition, d), place);
                actor.plan.forward(actor_target, tape, path);
                for strip in tape.chunks_exact_mut(strip) {
                    for r in 0..STRIP {
                        for k in 0..a {
                            let action = strip[outputs.at + r * outputs.ld + k];
                            let noisy = &mut strip[input.at + r * input.ld + o + k];
                            *noisy = (action + *noisy).clamp(-1.0, 1.0);
                        }
                    }
                }
                for (critic, path) in critics.iter().zip(&*paths) {
                    critic.net.plan.forward(&critic.target, tape, path);
                }
                let discount = config.discount as f32;
                for (s, strip) in tape.chunks_exact_mut(strip).enumerate() {
                    for (r, row) in place(s).enumerate() {
                        let [q0, q1] = [0, 1].map(|j| strip[paths[j].number.at + r]);
                        let least = if q1 < q0 { q1 } else { q0 };
                        strip[wanted.at + r] = (discount * batches.continues[row]).mul_add(least, batches.reward[row]);
                    }
                }
            },
        );
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
            let place = |s: usize| {
                let start = (first + s) * STRIP;
                step * rows + start..step * rows + rows.min(start + STRIP)
            };
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
        Ok(rayon::scope(|_| self.run(batches)))
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
