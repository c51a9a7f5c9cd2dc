//! The policies of C-MORL (Liu and others, 'Efficient discovery of Pareto front for multi-objective reinforcement learning', ICLR 2025, <https://arxiv.org/abs/2410.02236>) as an emitter, on the
//! learner of the other strategies: a critic conditioned on preferences, which learns from all episodes.
//!
//! In the first stage there is a policy for each of a grid of preferences, and each climbs at its own. Then, round after round, members of the archive's front are chosen, the loneliest first, and for each
//! objective a copy of each climbs it while an interior-point barrier holds the others above a share of what they were. Every policy is a candidate after each of its updates.

use std::time::Instant;

use illume_core::{Archive, Batch, Context, Error, Inbox, InsertReport, Result, State, Status, Told};
use illume_numerics::fronts::{Equal, Points, crowding, directions, expected_utility, non_dominated, sparsity};

use super::backend::Choice;
use super::exchange::gather_episodes;
use super::learning::{Learning, Published, Settings};
use crate::emitters::{Column, Emitter, Part, Proposal, Rows, missing, summed};
use crate::learn::{Learner, Networks};
use crate::record::{HistoryRow, history_row};

/// How the stages go.
#[derive(Debug, Clone)]
pub struct Stages {
    /// Parts of 1 that each weight of the first stage's preferences is made of.
    pub divisions: usize,
    /// Generations of the first stage.
    pub first: u64,
    /// Members that a round begins with, and its generations.
    pub chosen: usize,
    pub extension: usize,
    /// Share of what the other objectives were that they are held above.
    pub beta: f64,
    /// How steep the barrier is: larger lets policies come nearer to it.
    pub barrier: f64,
}

/// What a policy climbs.
#[derive(Debug, Clone, PartialEq)]
struct Aim {
    /// The objective that is extended; none for a preference.
    objective: Option<usize>,
    /// The preference, or what each objective was when the round began.
    values: Vec<f64>,
}

/// See the module.
pub struct Constrained {
    stages: Stages,
    settings: Settings,
    /// Objectives.
    m: usize,
    learning: Learning,
    climbing: Option<Box<dyn Learner>>,
    published: Published,
    inbox: Inbox,
    /// `[policies, dim]`, equal on all ranks.
    policies: Vec<f32>,
    aims: Vec<Aim>,
    /// What each policy was worth when it was last evaluated, `[policies, m]`; NaN before.
    earned: Vec<f64>,
    /// Evaluation seeds of the members that rounds began with: none is chosen twice while there are others.
    picked: Vec<u64>,
    /// Generations that the round goes on.
    left: u64,
    begun: Begun,
    learned: Learned,
}

history_row! {
    /// What rounds began with.
    struct Begun {
        search_stage: "", "1 while there is a policy for each preference, 2 while members of the front are extended";
        expected_utility: "", "mean over preferences of the best weighted sum of objectives that the archive offered before the generation; 0 before there are any";
        sparsity: "", "mean square of the gaps between neighbours on the archive's front before the generation, summed over the objectives";
    }
}

history_row! {
    struct Learned {
        critic_loss: "", "mean over critic steps of both critics' mean squared errors, summed";
        transitions: "", "transitions in the replay buffer";
        learn_seconds: "s", "training of critics and actor, on rank 0 alone";
        climb_seconds: "s", "policies climbing the critic, on rank 0's threads";
    }
}

/// The least margin above a bound that the barrier sees, as in the authors' program (`ppo.py:401-455`), as a share of what the objective was.
const LEAST_MARGIN: f64 = 1e-3;

/// Weights of the gradient of `objective` and of the barriers `log(J_j - beta R_j) / t` of the others, which were worth `values` (R) and are worth `earned` (J); each objective in units of
/// what it was. The bound of one below zero is as far below it.
fn held(stages: &Stages, objective: usize, values: &[f64], earned: &[f64]) -> Vec<f64> {
    let one = |(j, (was, is)): (usize, (&f64, &f64))| {
        let scale = was.abs().max(1e-9);
        if j == objective {
            return 1.0 / scale;
        }
        let bound = if *was >= 0.0 {
            stages.beta * was
        } else {
            was / stages.beta
        };
        let margin = ((is - bound) / scale).max(LEAST_MARGIN);
        1.0 / (stages.barrier * margin * scale)
    };
    values.iter().zip(earned).enumerate().map(one).collect()
}

impl Constrained {
    pub fn new(stages: Stages, settings: Settings, m: usize) -> Constrained {
        let grid = directions(m, stages.divisions);
        let aim = |weights: &[f64]| Aim {
            objective: None,
            values: weights.to_vec(),
        };
        Constrained {
            learning: Learning::new(settings.clone()),
            settings,
            m,
            climbing: None,
            published: Published::default(),
            inbox: Inbox::default(),
            policies: Vec::new(),
            aims: grid.chunks_exact(m).map(aim).collect(),
            earned: Vec::new(),
            picked: Vec::new(),
            left: 0,
            begun: Begun::default(),
            learned: Learned::default(),
            stages,
        }
    }

    /// Draws the first policies.
    fn begin(&mut self, context: &Context<'_>) {
        let dim = context.task.genome_dim;
        self.policies.resize(self.aims.len() * dim, 0.0);
        for (i, policy) in self.policies.chunks_exact_mut(dim).enumerate() {
            context.task.first(context.seed, i as u64, policy);
        }
        self.earned = vec![f64::NAN; self.aims.len() * self.m];
    }

    /// Begins a round: the loneliest members of the front that were not chosen before, a copy of each for each objective.
    fn choose(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<()> {
        let (elites, m) = (archive.elites(), self.m);
        let objectives = elites.columns().get::<f64>("objectives")?;
        let of = |member: u32| &objectives[member as usize * m..(member as usize + 1) * m];
        let all: Vec<f64> = elites.filled.iter().flat_map(|member| of(*member)).copied().collect();
        let points = Points::new(&all, m);
        let front = non_dominated(&points, Equal::First);
        let distances = crowding(&points, &front);
        let mut order: Vec<usize> = (0..front.len()).collect();
        order.sort_by(|a, b| distances[*b].total_cmp(&distances[*a]));
        let members: Vec<u32> = order.into_iter().map(|i| elites.filled[front[i]]).collect();
        let seed = |member: &u32| elites.seed()[*member as usize];
        let mut chosen: Vec<u32> = members
            .iter()
            .copied()
            .filter(|member| !self.picked.contains(&seed(member)))
            .collect();
        if chosen.is_empty() {
            self.picked.clear();
            chosen = members;
        }
        chosen.truncate(self.stages.chosen);
        self.picked.extend(chosen.iter().map(seed));
        self.aims.clear();
        self.earned.clear();
        self.policies.clear();
        let ranks = context.comm.size();
        let wanted: Vec<u32> = (0..ranks).flat_map(|_| chosen.iter().copied()).collect();
        let bounds: Vec<usize> = (0..=ranks).map(|rank| rank * chosen.len()).collect();
        let fetched = archive.fetch(&wanted, &bounds, context.comm, &mut self.inbox)?;
        for &member in &chosen {
            let genome = fetched.genome(member).ok_or_else(|| missing(member))?;
            for objective in 0..m {
                self.policies.extend_from_slice(genome.dense()?);
                self.earned.extend_from_slice(of(member));
                self.aims.push(Aim {
                    objective: Some(objective),
                    values: of(member).to_vec(),
                });
            }
        }
        self.left = self.stages.extension as u64;
        Ok(())
    }

    /// The preference that each policy climbs at, `[policies, m]`.
    fn preferences(&self) -> Vec<f32> {
        let all = self.aims.iter().zip(self.earned.chunks_exact(self.m));
        let weights = |(aim, earned): (&Aim, &[f64])| match aim.objective {
            None => aim.values.clone(),
            Some(objective) => held(&self.stages, objective, &aim.values, earned),
        };
        all.map(weights)
            .flat_map(|weights| {
                let sum: f64 = weights.iter().sum();
                weights.into_iter().map(move |w| (w / sum) as f32)
            })
            .collect()
    }

    /// Expected utility and sparsity of the archive's front.
    fn indicators(&self, archive: &dyn Archive) -> [f64; 2] {
        let (elites, m) = (archive.elites(), self.m);
        let Ok(objectives) = elites.columns().get::<f64>("objectives") else {
            return [0.0; 2];
        };
        let members = elites.filled.iter().map(|member| *member as usize);
        let all: Vec<f64> = members
            .flat_map(|member| &objectives[member * m..(member + 1) * m])
            .copied()
            .collect();
        let points = Points::new(&all, m);
        let front = points.of(&non_dominated(&points, Equal::First));
        let front = Points::new(&front, m);
        // As finely as the authors' program (`morl/utils.py:97-124`), but for the triples that it loses to rounding.
        let preferences = directions(m, if m == 2 { 100 } else { 10 });
        [
            expected_utility(&front, &Points::new(&preferences, m)),
            sparsity(&front),
        ]
    }
}

impl Emitter for Constrained {
    fn parts(&self) -> Vec<Part> {
        vec![Part {
            spread: true,
            ..Part::new("constrained", self.aims.len())
        }]
    }

    fn changes(&self) -> bool {
        true
    }

    fn needs_episodes(&self) -> bool {
        true
    }

    fn in_turn(&self, _ranks: usize) -> bool {
        true
    }

    fn prepare(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<()> {
        let mut published = std::mem::take(&mut self.published);
        self.learning.publish(context, true, false, &mut published)?;
        self.published = published;
        let second = context.generation >= self.stages.first;
        if self.policies.is_empty() {
            self.begin(context);
        } else if second && self.left == 0 && !archive.elites().filled.is_empty() {
            self.choose(context, archive)?;
        }
        self.left = self.left.saturating_sub(1);
        let [expected_utility, sparsity] = self.indicators(archive);
        self.begun = Begun {
            search_stage: if second { 2.0 } else { 1.0 },
            expected_utility,
            sparsity,
        };
        let began = Instant::now();
        if !self.published.states.is_empty() {
            let preferences = self.preferences();
            // The same on every rank, so that none has to send policies.
            let climbing = match &mut self.climbing {
                Some(learner) => learner,
                none => none.insert(Choice::Native.learner(&self.settings.td3, &Networks::new(&self.settings.td3, 0))?),
            };
            let (critic, states) = (&self.published.critic, &self.published.states);
            climbing.improve(&self.settings.ascent, critic, &mut self.policies, &preferences, states)?;
        }
        self.learned.climb_seconds = began.elapsed().as_secs_f64();
        Ok(())
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, proposal: Proposal<'_>) -> Result<()> {
        let dim = context.task.genome_dim;
        for piece in proposal.pieces {
            for (row, genes) in (piece.first..).zip(piece.genes.chunks_exact_mut(dim)) {
                let policy = proposal.rows.before(row);
                genes.copy_from_slice(&self.policies[policy * dim..(policy + 1) * dim]);
            }
        }
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>, _report: &InsertReport, rows: &Rows<'_>) -> Result<()> {
        let m = self.m;
        let (status, objectives) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("objectives")?);
        for (policy, row) in rows.numbers().into_iter().enumerate() {
            if status[row] == Status::Ok as u8 {
                self.earned[policy * m..(policy + 1) * m].copy_from_slice(&objectives[row * m..(row + 1) * m]);
            }
        }
        let steps = told.rows.get::<u32>("steps")?.iter().zip(status);
        let ok = steps.map(|(steps, s)| if *s == Status::Ok as u8 { *steps as usize } else { 0 });
        self.learning.absorb(context, ok.sum(), |insert| {
            gather_episodes(context, told, |_, episode| insert(episode, &[], &[]))
        })?;
        if rows.last {
            self.learning.train(context)?;
            let (losses, learn_seconds) = self.learning.last();
            self.learned = Learned {
                critic_loss: losses.critic,
                transitions: self.learning.transitions() as f64,
                learn_seconds,
                ..self.learned
            };
        }
        Ok(())
    }

    fn columns(&self) -> Vec<Column> {
        summed(Begun::columns_but(None).chain(Learned::columns_but(None)))
    }

    fn values(&self) -> Vec<f64> {
        [self.begun.values(), self.learned.values()].concat()
    }

    fn remembered(&self) -> Vec<f64> {
        self.begun.values()
    }

    fn remember(&mut self, values: &[f64]) {
        self.begun = Begun::of(values, None).unwrap_or_default();
    }

    fn save(&self, context: &Context<'_>) -> Result<State> {
        let mut state = State::default();
        self.learning.save(&mut state)?;
        let (dim, m) = (context.task.genome_dim, self.m);
        if !self.policies.is_empty() {
            let mut table = Batch::new();
            table.push("genome", dim, "", "policies that climb", self.policies.clone());
            let meaning = "what each was worth when it was last evaluated";
            table.push("earned", m, "", meaning, self.earned.clone());
            let objective = |aim: &Aim| aim.objective.map_or(-1, |objective| objective as i32);
            let objectives = self.aims.iter().map(objective).collect();
            table.push("objective", 1, "", "which is extended, -1 for a preference", objectives);
            let values = self.aims.iter().flat_map(|aim| aim.values.clone()).collect();
            let meaning = "the preference, or what each objective was when the round began";
            table.push("aim", m, "", meaning, values);
            state.tables.push(("policies".into(), table));
        }
        if !self.picked.is_empty() {
            let mut picked = Batch::new();
            let meaning = "evaluation seeds of the members that rounds began with";
            picked.push("seed", 1, "", meaning, self.picked.clone());
            state.tables.push(("picked".into(), picked));
        }
        let mut round = Batch::new();
        round.push("left", 1, "", "generations that the round goes on", vec![self.left]);
        state.tables.push(("round".into(), round));
        Ok(state)
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.learning.load(context, state)?;
        let (losses, _) = self.learning.last();
        self.learned.critic_loss = losses.critic;
        self.learned.transitions = self.learning.transitions() as f64;
        if let Ok(table) = state.table("policies") {
            let (n, m) = (table.rows(), self.m);
            self.policies = table.get::<f32>("genome")?.to_vec();
            self.earned = table.get::<f64>("earned")?.to_vec();
            let (objectives, aims) = (table.get::<i32>("objective")?, table.get::<f64>("aim")?);
            if self.policies.len() != n * context.task.genome_dim || aims.len() != n * m || self.earned.len() != n * m {
                return Err(Error::failed("the checkpoint's policies are those of another task"));
            }
            let all = objectives.iter().zip(aims.chunks_exact(m));
            let aim = |(objective, values): (&i32, &[f64])| Aim {
                objective: usize::try_from(*objective).ok(),
                values: values.to_vec(),
            };
            self.aims = all.map(aim).collect();
        }
        self.picked = match state.table("picked") {
            Ok(table) => table.get::<u64>("seed")?.to_vec(),
            Err(_) => Vec::new(),
        };
        self.left = state.table("round")?.get::<u64>("left")?.first().copied().unwrap_or(0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An objective that has fallen to its bound pulls as hard as the barrier lets it; one that is far above hardly at all.
    #[test]
    fn barriers_weigh_what_is_near_its_bound() {
        let stages = Stages {
            divisions: 2,
            first: 1,
            chosen: 1,
            extension: 1,
            beta: 0.9,
            barrier: 20.0,
        };
        let weights = |values: [f64; 2], earned: [f64; 2]| held(&stages, 0, &values, &earned);
        // At what it was: a margin of 0.1, so half of the extended objective's weight, in units of what they were.
        let at = weights([10.0, 100.0], [10.0, 100.0]);
        assert!((at[0] - 0.1).abs() < 1e-12 && (at[1] - 0.005).abs() < 1e-12);
        // Below it, 50 times that weight; of an objective below zero the bound is below it as well.
        assert!((weights([10.0, 100.0], [10.0, 80.0])[1] - 0.5).abs() < 1e-9);
        assert!(weights([10.0, -90.0], [10.0, -90.0])[1] < 0.01);
    }
}
