//! What PGA-, DCG- and DCRL-MAP-Elites share beside variation: an emitter of policies that climb the critic and of the actor itself, which learns from whatever all
//! candidates experience.

use std::sync::Arc;
use std::time::Instant;

use illume_core::{Archive, Axis, Batch, Context, Inbox, InsertReport, Purpose, Result, State, Status, Stream, Told};
use rayon::prelude::*;

use super::exchange::gather_episodes;
use super::labels::Labels;
use super::learning::{Learning, Published, Settings};
use super::replay::{Reward, preference};
use super::stock::{Row, scale};
use crate::emitters::{Column, Emitter, LivesOn, Part, Piece, Proposal, Rows, drawn, missing, select, summed};
use crate::learn::{Learner, Networks, fold_condition};
use crate::record::HistoryRow;

/// The part of policies that climb the critic; all others are of the actor.
const CLIMBERS: usize = 0;

/// What the emitter does in a generation.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Policies that climb the critic,
    pub climbers: usize,
    /// and candidates that are the actor (folded for an elite's descriptor if it is conditioned).
    pub actors: usize,
    /// Further episodes of a conditioned actor whose network is not the policy's; they are learned from and charged, not offered.
    pub rollouts: usize,
    /// What transitions of a policy that climbed are labelled with.
    pub labels: Labels,
    /// Standard deviation of the noise on each axis of the descriptors that such episodes ask for, on the scale [-1, 1].
    pub descriptor_noise: Vec<f64>,
    pub settings: Settings,
}

/// See the module.
pub struct PolicyGradient {
    plan: Plan,
    axes: Vec<Axis>,
    learning: Learning,
    /// What policies climb with, on every rank; made when the rank is known.
    climbing: Option<Box<dyn Learner>>,
    published: Published,
    inbox: Inbox,
    /// Descriptor that each row of this phase was asked for, scaled, `[total, k]`; NaN where it is whatever comes out.
    requested: Vec<f32>,
    row: Row,
    generation_began: Instant,
}

impl PolicyGradient {
    pub fn new(plan: Plan, axes: &[Axis]) -> PolicyGradient {
        PolicyGradient {
            learning: Learning::new(plan.settings.clone()),
            plan,
            axes: axes.to_vec(),
            climbing: None,
            published: Published::default(),
            inbox: Inbox::default(),
            requested: Vec::new(),
            row: Row::filled(0.0),
            generation_began: Instant::now(),
        }
    }

    /// Numbers that networks are conditioned on.
    fn condition(&self) -> usize {
        self.plan.settings.td3.condition
    }

    /// Those of them that are of descriptors, which episodes are labelled with.
    fn described(&self) -> usize {
        self.plan.settings.widths().condition
    }

    /// The candidates of the first phase: those that climb, and actors. Each begins at a parent of its own, by row.
    fn emit(&mut self, context: &Context<'_>, archive: &dyn Archive, proposal: Proposal<'_>) -> Result<()> {
        let Proposal {
            rows,
            total,
            mut pieces,
        } = proposal;
        let (k, dim, elites) = (self.condition(), context.task.genome_dim, archive.elites());
        let selection = Stream::new(context.seed, Purpose::Selection, context.generation, 0);
        let parent = |row: usize| {
            let mut two = [0; 2];
            select(&selection, row, archive, &mut two);
            two[0]
        };
        // Every rank knows what every row asks for: learning needs it when the episodes come back.
        self.requested.clear();
        self.requested.resize(total * k, f32::NAN);
        let axes = self.axes.len();
        let preferences = Stream::new(context.seed, Purpose::Selection, context.generation, PREFERENCES);
        for row in rows.numbers().into_iter().filter(|_| k > 0) {
            let asked = &mut self.requested[row * k..(row + 1) * k];
            if let Reward::Preferred { .. } = self.plan.settings.reward {
                preference(&preferences, row, asked);
                continue;
            }
            let cell = parent(row) as usize;
            let d = &elites.descriptor()[cell * axes..(cell + 1) * axes];
            scale(&self.axes, d, asked);
        }

        let (ranks, mut cells, mut bounds) = (context.comm.size(), Vec::new(), vec![0]);
        for rank in (0..ranks).filter(|_| ranks > 1) {
            let runs = rows.within(illume_core::block(total, rank, ranks));
            let climbers = runs.filter(|run| run.part == CLIMBERS).flat_map(|run| run.rows);
            cells.extend(climbers.map(parent));
            bounds.push(cells.len());
        }
        let described = self.described();
        let fetched = archive.fetch(&cells, &bounds, context.comm, &mut self.inbox)?;
        let requested = |row: usize| &self.requested[row * k..(row + 1) * k];
        let (mut policies, mut conditions) = (Vec::new(), Vec::new());
        for piece in &mut pieces {
            for (row, parents) in (piece.first..).zip(piece.parents.chunks_exact_mut(2)) {
                let cell = parent(row);
                if piece.part == CLIMBERS {
                    let genome = fetched.genome(cell).ok_or_else(|| missing(cell))?;
                    policies.extend_from_slice(genome.dense()?);
                    conditions.extend_from_slice(requested(row));
                }
                if piece.part == CLIMBERS || described > 0 {
                    parents[0] = i64::from(cell);
                }
            }
        }
        let began = Instant::now();
        let p = &self.published;
        if !p.states.is_empty() && !policies.is_empty() {
            let s = &self.plan.settings;
            let climbing = match &mut self.climbing {
                Some(learner) => learner,
                none => none.insert(
                    s.backend
                        .on(context.comm.rank())
                        .learner(&s.td3, &Networks::new(&s.td3, 0))?,
                ),
            };
            climbing.improve(&s.ascent, &p.critic, &mut policies, &conditions, &p.states)?;
        }
        self.row.climb_seconds = began.elapsed().as_secs_f64();

        let actor = self.plan.settings.td3.actor();
        let (climbers, actors): (Vec<Piece<'_>>, Vec<Piece<'_>>) = pieces.into_iter().partition(|p| p.part == CLIMBERS);
        let mut rest = policies.as_slice();
        for piece in climbers {
            let (own, after) = rest.split_at(piece.genes.len());
            piece.genes.copy_from_slice(own);
            rest = after;
        }
        actors.into_par_iter().for_each(|piece| {
            for (row, genes) in (piece.first..).zip(piece.genes.chunks_exact_mut(dim)) {
                match k {
                    0 => genes.copy_from_slice(&p.actor),
                    _ => genes.copy_from_slice(&fold_condition(&actor, &p.actor, requested(row))),
                }
            }
        });
        Ok(())
    }

    /// The conditioned actor, folded for elites' descriptors with noise.
    fn roll_out(&mut self, context: &Context<'_>, archive: &dyn Archive, proposal: Proposal<'_>) {
        let k = self.condition();
        let draws = Stream::new(context.seed, Purpose::Selection, context.generation, 1);
        let noise = Stream::new(context.seed, Purpose::Exploration, context.generation, DESCRIPTORS);
        self.requested.clear();
        self.requested.resize(proposal.total * k, 0.0);
        let mut z = vec![0.0; k];
        for (row, d) in self.requested.chunks_exact_mut(k).enumerate() {
            let cell = drawn(archive, draws.word64(row as u64)) as usize;
            scale(&self.axes, &archive.elites().descriptor()[cell * k..(cell + 1) * k], d);
            noise.normals((row * k) as u64, &mut z);
            for ((d, z), sd) in d.iter_mut().zip(&z).zip(&self.plan.descriptor_noise) {
                *d += *sd as f32 * z;
            }
        }
        let actor = self.plan.settings.td3.actor();
        let dim = actor.folded(k).params();
        let (requested, published) = (&self.requested, &self.published);
        let pieces: Vec<Piece<'_>> = proposal.pieces.into_iter().flat_map(|piece| piece.chunks(1)).collect();
        pieces.into_par_iter().for_each(|piece| {
            let requested = &requested[piece.first * k..(piece.first + 1) * k];
            piece.genes[..dim].copy_from_slice(&fold_condition(&actor, &published.actor, requested));
        });
    }

    /// Sends this phase's episodes to the learner.
    fn absorb(&mut self, context: &Context<'_>, told: &Told<'_>, rows: &Rows<'_>) -> Result<()> {
        let (k, axes, requested) = (self.described(), &self.axes, &self.requested);
        let mut climbed = vec![false; told.rows.rows()];
        for run in rows.runs.iter().filter(|run| run.part == CLIMBERS) {
            climbed[run.rows.clone()].fill(self.plan.labels == Labels::Achieved);
        }
        let descriptors = told.rows.get::<f64>("descriptor")?;
        let width = axes.len();
        let ok = told.rows.get::<u8>("status")?.iter().map(|s| *s == Status::Ok as u8);
        let steps = told.rows.get::<u32>("steps")?.iter().zip(ok);
        let steps = steps.map(|(steps, ok)| if ok { *steps as usize } else { 0 }).sum();
        let mut achieved = vec![0.0; k];
        self.learning.absorb(context, steps, |insert| {
            gather_episodes(context, told, |row, episode| {
                if k == 0 {
                    return insert(episode, &[], &[]);
                }
                scale(axes, &descriptors[row * width..(row + 1) * width], &mut achieved);
                let asked = requested.get(row * k..(row + 1) * k).filter(|d| !d[0].is_nan());
                let asked = asked.filter(|_| !climbed[row]);
                insert(episode, &achieved, asked.unwrap_or(&achieved));
            })
        })
    }
}

const DESCRIPTORS: u64 = 1;
const PREFERENCES: u64 = 2;

impl Emitter for PolicyGradient {
    fn parts(&self) -> Vec<Part> {
        let spread = |operator, rows| Part {
            spread: true,
            ..Part::new(operator, rows)
        };
        let k = self.condition();
        let network = (self.plan.rollouts > 0).then(|| Arc::new(self.plan.settings.td3.actor().folded(k)));
        vec![
            spread("policy_gradient", self.plan.climbers),
            spread("actor", self.plan.actors),
            Part {
                phase: 1,
                offered: false,
                network,
                ..Part::new("actor", self.plan.rollouts)
            },
        ]
    }

    fn lives_on(&self) -> LivesOn {
        LivesOn::Cells
    }

    fn needs_elites(&self) -> bool {
        true
    }

    fn needs_episodes(&self) -> bool {
        true
    }

    fn in_turn(&self, _ranks: usize) -> bool {
        true
    }

    fn prepare(&mut self, context: &Context<'_>, _archive: &dyn Archive) -> Result<()> {
        self.generation_began = Instant::now();
        let mut published = std::mem::take(&mut self.published);
        let (climb, actor) = (self.plan.climbers > 0, self.plan.actors + self.plan.rollouts > 0);
        self.learning.publish(context, climb, actor, &mut published)?;
        self.published = published;
        self.row.exchange_seconds = self.generation_began.elapsed().as_secs_f64();
        Ok(())
    }

    fn ask(&mut self, context: &Context<'_>, archive: &dyn Archive, proposal: Proposal<'_>) -> Result<()> {
        if proposal.rows.phase == 0 {
            return self.emit(context, archive, proposal);
        }
        self.roll_out(context, archive, proposal);
        Ok(())
    }

    fn asked(&mut self, context: &Context<'_>) -> Result<()> {
        if self.plan.settings.overlap {
            self.learning.train_beside(context)?;
        }
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>, _report: &InsertReport, rows: &Rows<'_>) -> Result<()> {
        let began = Instant::now();
        if rows.runs.is_empty() {
            // Others' episodes alone: nothing was asked for.
            self.requested.clear();
        }
        self.learning.join()?;
        let waited = began.elapsed().as_secs_f64();
        self.row
            .take(told, &self.axes, &self.requested, self.described(), rows)?;
        self.absorb(context, told, rows)?;
        self.row.exchange_seconds += began.elapsed().as_secs_f64() - waited;
        if !rows.last {
            return Ok(());
        }
        let learning = Instant::now();
        if !self.plan.settings.overlap {
            self.learning.train(context)?;
        }
        let alone = waited + learning.elapsed().as_secs_f64();
        let (losses, learn_seconds) = self.learning.last();
        self.row = Row {
            critic_loss: losses.critic,
            actor_loss: losses.actor,
            transitions: self.learning.transitions() as f64,
            learn_seconds,
            serial_share: alone / self.generation_began.elapsed().as_secs_f64().max(1e-9),
            ..self.row
        };
        self.generation_began = Instant::now();
        Ok(())
    }

    fn columns(&self) -> Vec<Column> {
        summed(Row::columns_but(None))
    }

    fn values(&self) -> Vec<f64> {
        self.row.values()
    }

    fn remembered(&self) -> Vec<f64> {
        vec![self.row.distance_policy_gradient, self.row.distance_actor]
    }

    fn remember(&mut self, values: &[f64]) {
        if let &[climbed, actor] = values {
            self.row.distance_policy_gradient = climbed;
            self.row.distance_actor = actor;
        }
    }

    fn facts(&self) -> Vec<(String, String)> {
        let s = &self.plan.settings;
        let bytes = s.widths().bytes();
        let mut facts = vec![
            ("learner".into(), format!("{}, on rank 0", s.backend.name())),
            (
                "replay".into(),
                format!(
                    "{} transitions of {bytes} bytes: {:.1} MB on rank 0, as much again while a checkpoint is written",
                    s.replay,
                    (bytes * s.replay) as f64 / 1e6
                ),
            ),
        ];
        if !s.save_replay {
            facts.push((
                "replay_in_checkpoint".into(),
                "off: a resumed run starts with an empty replay buffer and differs from one that was not stopped"
                    .into(),
            ));
        }
        facts
    }

    fn save(&self, _context: &Context<'_>) -> Result<State> {
        let mut state = State::default();
        self.learning.save(&mut state)?;
        if let Some(actor) = self.learning.actor()? {
            state.solution = Some(self.solution(actor));
        }
        Ok(state)
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.learning.load(context, state)?;
        let (losses, _) = self.learning.last();
        self.row = Row {
            critic_loss: losses.critic,
            actor_loss: losses.actor,
            transitions: self.learning.transitions() as f64,
            ..Row::filled(0.0)
        };
        Ok(())
    }
}

impl PolicyGradient {
    /// The actor, as the file shows it: an ordinary genome, or conditioned on a descriptor.
    fn solution(&self, actor: Vec<f32>) -> Batch {
        let net = self.plan.settings.td3.actor();
        let mut solution = Batch::new();
        if self.condition() == 0 {
            solution.push(
                "genome",
                actor.len(),
                "",
                "the greedy actor after the last training",
                actor,
            );
            return solution;
        }
        if let Reward::Preferred { .. } = self.plan.settings.reward {
            let meaning = "the actor after the last training, conditioned on a preference: layer after layer weights [inputs, outputs], then bias; inputs are the observation, then the weights of the objectives";
            solution.push("actor_of_preferences", actor.len(), "", meaning, actor);
            return solution;
        }
        let layers: Vec<i64> = net.layers.iter().map(|units| *units as i64).collect();
        let relu = u8::from(net.hidden == illume_core::Activation::Relu);
        let meaning =
            "the conditioned actor after the last training: layer after layer weights [inputs, outputs], then bias";
        solution.push("actor", actor.len(), "", meaning, actor);
        let meaning = "its units: observation then descriptor scaled to [-1, 1], hidden layers, action";
        solution.push("actor_layers", layers.len(), "", meaning, layers);
        solution.push(
            "actor_relu",
            1,
            "",
            "1 if its hidden units are rectified, 0 if they are tanh",
            vec![relu],
        );
        solution
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_become_plus_and_minus_one() {
        let axes = [Axis::new("x", "m", -30.0, 30.0), Axis::new("foot", "", 0.0, 1.0)];
        let mut out = [0.0; 2];
        for (d, scaled) in [
            ([-30.0, 0.0], [-1.0, -1.0]),
            ([15.0, 1.0], [0.5, 1.0]),
            ([0.0, 0.5], [0.0, 0.0]),
        ] {
            scale(&axes, &d, &mut out);
            assert_eq!(out, scaled);
        }
    }
}
