//! What PGA-, DCG- and DCRL-MAP-Elites share: a batch in which some candidates are varied by iso+line-dd, some climb the critic,
//! and some are the actor itself; whatever they experience goes to the learner.

use std::sync::Arc;
use std::time::Instant;

use illume_core::{
    Archive, Axis, Batch, Candidates, Context, Inbox, Next, Purpose, Result, State, Status, Strategy, StrategySpec,
    Stream, Told,
};
use rayon::prelude::*;

use super::exchange::gather_episodes;
use super::labels::Labels;
use super::learning::{Learning, Published, Settings};
use super::stock::{ACTOR, CLIMBER, HISTORY, ISO_LINE, OPERATORS, Row, scale};
use crate::learn::{Learner, Networks, fold_condition};
use crate::map_elites::{draw_initial, missing, prepare, select};
use crate::variation;

/// What a strategy of this family does in a generation.
#[derive(Debug, Clone)]
pub struct Plan {
    pub name: &'static str,
    /// Random policies of the first generation.
    pub initial: usize,
    /// Candidates of every further one; of these:
    pub batch: usize,
    /// that many climb the critic,
    pub climbers: usize,
    /// and that many are the actor (folded for an elite's descriptor if it is conditioned). The rest are varied.
    pub actors: usize,
    /// Further episodes of a conditioned actor whose network is not the policy's; they are learned from and charged, not offered.
    pub rollouts: usize,
    /// What transitions of a policy that climbed are labelled with.
    pub labels: Labels,
    /// Standard deviation of the noise on each axis of the descriptors that such episodes ask for, on the scale [-1, 1].
    pub descriptor_noise: Vec<f64>,
    pub iso_sigma: f64,
    pub line_sigma: f64,
    pub settings: Settings,
}

/// The strategy that a [`Plan`] describes.
pub struct Gradients {
    plan: Plan,
    spec: StrategySpec,
    axes: Vec<Axis>,
    learning: Learning,
    /// What policies climb with, on every rank; made when the rank is known.
    climbing: Option<Box<dyn Learner>>,
    published: Published,
    inbox: Inbox,
    /// Descriptor that each row of this phase was asked for, scaled, `[total, k]`; NaN where it is whatever comes out.
    requested: Vec<f32>,
    /// This generation's candidates are random policies.
    first: bool,
    /// The rollouts of this generation are under way.
    rolling: bool,
    row: Row,
    generation_began: Instant,
    climb_seconds: f64,
}

impl Gradients {
    /// # Panics
    /// A task that does not act through a network; [`super::check_task`] says so before.
    pub fn new(plan: Plan, axes: &[Axis]) -> Gradients {
        let s = &plan.settings;
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
        let spec = StrategySpec {
            name: plan.name.into(),
            operators: OPERATORS.map(String::from).to_vec(),
            history: HISTORY.map(|(a, b, c)| (a.into(), b.into(), c.into())).to_vec(),
            lineage: false,
            first_generation: plan.initial,
            sized_by: &["batch", "initial"],
            facts,
        };
        Gradients {
            learning: Learning::new(s.clone()),
            plan,
            spec,
            axes: axes.to_vec(),
            climbing: None,
            published: Published::default(),
            inbox: Inbox::default(),
            requested: Vec::new(),
            first: false,
            rolling: false,
            row: Row::default(),
            generation_began: Instant::now(),
            climb_seconds: 0.0,
        }
    }

    /// Numbers that networks are conditioned on.
    fn condition(&self) -> usize {
        self.plan.settings.td3.condition
    }

    /// The operator of a row of the batch: kinds are spread evenly, so that every rank's block has its share of each.
    fn operator(&self, row: usize) -> i32 {
        let (total, climbers, actors) = (self.plan.batch, self.plan.climbers, self.plan.actors);
        if spread(row, climbers, total) {
            return CLIMBER;
        }
        if spread(row - row * climbers / total, actors, total - climbers) {
            return ACTOR;
        }
        ISO_LINE
    }

    fn emit(&mut self, context: &Context<'_>, archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        let (total, block, dim) = (self.plan.batch, candidates.block.clone(), context.task.genome_dim);
        let (k, elites) = (self.condition(), archive.elites());
        let selection = Stream::new(context.seed, Purpose::Selection, context.generation, 0);
        let mut chosen = vec![0; 2 * total];
        select(&selection, 0, &elites.filled, &mut chosen);
        let operators: Vec<i32> = (0..total).map(|row| self.operator(row)).collect();
        // Every rank knows what every row asks for: learning needs it when the episodes come back.
        self.requested.clear();
        self.requested.resize(total * k, f32::NAN);
        let axes_k = self.axes.len();
        for (row, operator) in operators.iter().enumerate().filter(|_| k > 0) {
            if *operator == CLIMBER || *operator == ACTOR {
                let cell = chosen[2 * row] as usize;
                let d = &elites.descriptor()[cell * axes_k..(cell + 1) * axes_k];
                scale(&self.axes, d, &mut self.requested[row * k..(row + 1) * k]);
            }
        }

        let parents = |rows: std::ops::Range<usize>| {
            let of = |row: usize| match operators[row] {
                ISO_LINE => 2 * row..2 * row + 2,
                CLIMBER => 2 * row..2 * row + 1,
                _ => 0..0,
            };
            rows.flat_map(of).map(|i| chosen[i])
        };
        let (mut cells, mut bounds) = (Vec::new(), vec![0]);
        if context.comm.size() > 1 {
            for rank in 0..context.comm.size() {
                cells.extend(parents(illume_core::block(total, rank, context.comm.size())));
                bounds.push(cells.len());
            }
        }
        let fetched = archive.fetch(&cells, &bounds, context.comm, &mut self.inbox)?;
        let genes = |cell: u32| fetched.genome(cell).ok_or_else(|| missing(cell))?.dense();

        let climbers: Vec<usize> = block.clone().filter(|row| operators[*row] == CLIMBER).collect();
        let mut policies = Vec::with_capacity(climbers.len() * dim);
        let mut conditions = Vec::with_capacity(climbers.len() * k);
        for &row in &climbers {
            policies.extend_from_slice(genes(chosen[2 * row])?);
            conditions.extend_from_slice(&self.requested[row * k..(row + 1) * k]);
        }
        let began = Instant::now();
        let p = &self.published;
        if !p.states.is_empty() && !climbers.is_empty() {
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
        self.climb_seconds = began.elapsed().as_secs_f64();

        let actor = self.plan.settings.td3.actor();
        let noise = Stream::new(context.seed, Purpose::Variation, context.generation, 0);
        let line_noise = Stream::new(context.seed, Purpose::Line, context.generation, 0);
        let (iso, line_sigma) = (self.plan.iso_sigma as f32, self.plan.line_sigma as f32);
        let limits = context.task.bounds.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
        let requested = &self.requested;
        let [tags, cells] = candidates.tags.columns_mut(["operator", "parents"])?;
        let (tags, cells) = (tags.values_mut::<i32>()?, cells.values_mut::<i64>()?);
        let children = candidates.genomes.dense_rows(block.len(), dim);
        children
            .par_chunks_mut(dim)
            .zip(tags)
            .zip(cells.par_chunks_mut(2))
            .enumerate()
            .try_for_each(|(i, ((child, tag), cells))| -> Result<()> {
                let row = block.start + i;
                let [first, second] = [chosen[2 * row], chosen[2 * row + 1]];
                *tag = operators[row];
                cells.copy_from_slice(&[i64::from(first), -1]);
                match operators[row] {
                    CLIMBER => {
                        let at = climbers.partition_point(|r| *r < row);
                        child.copy_from_slice(&policies[at * dim..(at + 1) * dim]);
                    }
                    ACTOR if k > 0 => {
                        child.copy_from_slice(&fold_condition(&actor, &p.actor, &requested[row * k..(row + 1) * k]));
                    }
                    ACTOR => {
                        cells[0] = -1;
                        child.copy_from_slice(&p.actor);
                    }
                    _ => {
                        cells[1] = i64::from(second);
                        noise.normals((row * dim) as u64, child);
                        let mut line = [0.0];
                        line_noise.normals(row as u64, &mut line);
                        line[0] *= line_sigma;
                        variation::iso_line_rows(child, &[genes(first)?, genes(second)?], iso, &line, limits);
                    }
                }
                Ok(())
            })
    }

    /// The conditioned actor, folded for elites' descriptors with noise: a network of its own, not offered to the archive.
    fn roll_out(&mut self, context: &Context<'_>, archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        let (total, k) = (self.plan.rollouts, self.condition());
        prepare(context, total, 1, candidates);
        candidates.offered = 0..0;
        candidates.tags.get_mut::<i32>("operator")?.fill(ACTOR);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        let filled = &archive.elites().filled;
        let draws = Stream::new(context.seed, Purpose::Selection, context.generation, 1);
        let noise = Stream::new(context.seed, Purpose::Exploration, context.generation, DESCRIPTORS);
        self.requested.resize(total * k, 0.0);
        let mut z = vec![0.0; k];
        for (row, d) in self.requested.chunks_exact_mut(k).enumerate() {
            let cell = filled[draws.below(row as u64, filled.len() as u64) as usize] as usize;
            scale(&self.axes, &archive.elites().descriptor()[cell * k..(cell + 1) * k], d);
            noise.normals((row * k) as u64, &mut z);
            for ((d, z), sd) in d.iter_mut().zip(&z).zip(&self.plan.descriptor_noise) {
                *d += *sd as f32 * z;
            }
        }
        let actor = self.plan.settings.td3.actor();
        let network = actor.folded(k);
        let dim = network.params();
        let (block, requested, published) = (candidates.block.clone(), &self.requested, &self.published);
        let rows = candidates.genomes.dense_rows(block.len(), dim).par_chunks_mut(dim);
        rows.zip(block).for_each(|(genes, row)| {
            genes.copy_from_slice(&fold_condition(
                &actor,
                &published.actor,
                &requested[row * k..(row + 1) * k],
            ));
        });
        candidates.network = Some(Arc::new(network));
        Ok(())
    }

    /// Sends this phase's episodes to the learner.
    fn absorb(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<()> {
        let (k, axes, requested) = (self.condition(), &self.axes, &self.requested);
        let operators = told.rows.get::<i32>("operator")?;
        let own = self.plan.labels == Labels::Achieved;
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
                let asked = asked.filter(|_| !(own && operators[row] == CLIMBER));
                insert(episode, &achieved, asked.unwrap_or(&achieved));
            })
        })
    }
}

const DESCRIPTORS: u64 = 1;

/// Whether `row` is one of `n` that are spread evenly over `total`.
fn spread(row: usize, n: usize, total: usize) -> bool {
    (row + 1) * n / total > row * n / total
}

impl Strategy for Gradients {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        candidates.record = true;
        candidates.network = None;
        if self.rolling {
            return self.roll_out(context, archive, candidates);
        }
        self.generation_began = Instant::now();
        self.first = archive.elites().filled.is_empty();
        if self.first {
            self.requested.clear();
            self.climb_seconds = 0.0;
            self.row.exchange_seconds = 0.0;
            prepare(context, self.plan.initial, 0, candidates);
            return draw_initial(context, candidates);
        }
        let mut published = std::mem::take(&mut self.published);
        let (climb, actor) = (self.plan.climbers > 0, self.plan.actors + self.plan.rollouts > 0);
        self.learning.publish(context, climb, actor, &mut published)?;
        self.published = published;
        self.row.exchange_seconds = self.generation_began.elapsed().as_secs_f64();
        prepare(context, self.plan.batch, 0, candidates);
        self.emit(context, archive, candidates)?;
        if self.plan.settings.overlap {
            self.learning.train_beside(context)?;
        }
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        let began = Instant::now();
        self.learning.join()?;
        let waited = began.elapsed().as_secs_f64();
        let (k, rolling) = (self.condition(), self.rolling);
        self.row.take(told, &self.axes, &self.requested, k, rolling)?;
        self.absorb(context, told)?;
        self.row.exchange_seconds += began.elapsed().as_secs_f64() - waited;
        if !self.rolling && self.plan.rollouts > 0 && !self.first {
            self.rolling = true;
            return Ok(Next::SameGeneration);
        }
        self.rolling = false;
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
            climb_seconds: self.climb_seconds,
            serial_share: alone / self.generation_began.elapsed().as_secs_f64().max(1e-9),
            ..self.row
        };
        Ok(Next::Generation)
    }

    fn history(&self, row: &mut Vec<f64>) {
        row.extend(self.row.history());
    }

    fn save(&self, _context: &Context<'_>) -> Result<State> {
        let mut state = State::default();
        self.learning.save(&mut state)?;
        let mut operators = Batch::new();
        let values = self.row.computed();
        operators.push(
            "values",
            1,
            "",
            "the history's columns kept_*, fitness_* and distance_*",
            values,
        );
        state.tables.push(("operators".into(), operators));
        if let Some(actor) = self.learning.actor()? {
            state.solution = Some(self.solution(actor));
        }
        Ok(state)
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.learning.load(context, state)?;
        let values = state.table("operators")?.get::<f64>("values")?;
        self.row = Row::default();
        self.row.restore(values);
        let (losses, _) = self.learning.last();
        self.row.critic_loss = losses.critic;
        self.row.actor_loss = losses.actor;
        self.row.transitions = self.learning.transitions() as f64;
        Ok(())
    }
}

impl Gradients {
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
    fn every_block_has_its_share_of_each_kind() {
        for (total, n) in [(256, 64), (192, 64), (256, 1), (7, 7), (5, 0), (10, 3)] {
            let chosen: Vec<usize> = (0..total).filter(|row| spread(*row, n, total)).collect();
            assert_eq!(chosen.len(), n, "{n} of {total}");
            for size in 1..=4.min(total) {
                for rank in 0..size {
                    let block = illume_core::block(total, rank, size);
                    let share = block.len() as f64 * n as f64 / total as f64;
                    let here = chosen.iter().filter(|row| block.contains(row)).count();
                    assert!(
                        (here as f64 - share).abs() <= 1.0,
                        "{n} of {total}, rank {rank} of {size}"
                    );
                }
            }
        }
    }

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
