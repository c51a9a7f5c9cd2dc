//! NS-ES, NSR-ES and NSRA-ES (Conti et al., 'Improving exploration in evolution strategies for deep reinforcement learning via a population
//! of novelty-seeking agents', NeurIPS 2018, <https://arxiv.org/abs/1712.06560>), as the deep-neuroevolution program runs the first two.
//!
//! A few centers take turns at random, the more novel ones more often. A center moves as OpenAI-ES moves its own, but along its members'
//! novelty, or novelty and fitness; where it arrives is added to the archive, an unstructured one.

mod params;

use std::sync::Arc;

use illume_core::{
    Archive, Batch, Candidates, Context, Error, Next, Purpose, Result, State, Status, Strategy, StrategySpec, Stream,
    Told,
};

use crate::candidates::prepare;
use crate::center::Center;
use crate::ga_ns::novelty;
use crate::record::{Field, HistoryRow, columns, history_row, scalars};
use crate::{centred_ranks, mean_and_max};
use params::Plan;
pub(crate) use params::{NS_ES, NSR_ES, NSRA_ES};
pub use params::{NsEsParams, NsraEsParams};

/// Where a generation stands.
#[derive(Clone, Copy)]
enum Phase {
    /// All centers are evaluated.
    Centers,
    /// The members around this center are.
    Members(usize),
}

/// The best center so far by the mean fitness of its episodes in one generation.
#[derive(Clone)]
struct Best {
    genes: Arc<Vec<f32>>,
    fitness: f64,
}

/// Centers that follow novelty.
pub struct NsEs {
    plan: Plan,
    spec: StrategySpec,
    phase: Phase,
    centers: Vec<Center>,
    /// The center that moved last and is not in the archive yet; none before the first generation, when all are not.
    moved: Option<usize>,
    best: Option<Best>,
    /// Of fitness.
    weight: f64,
    /// Generations since there was a better center.
    stagnant: u64,
    row: Row,
}

history_row! {
    struct Row {
        best_fitness: "", "highest fitness of any episode so far";
        best_center: "", "highest mean fitness of a center so far";
        population_mean: "", "mean fitness of the members";
        population_max: "", "highest fitness of a member";
        novelty_mean: "", "mean novelty of the members";
        novelty_max: "", "highest novelty of a member";
        center: "", "number of the center that moved";
        fitness_weight: "", "weight of fitness, novelty having the rest";
    }
}

scalars! {
    struct Scalars {
        moved: i64, "", "center that moved last, -1 for none";
        fitness_weight: f64, "", "weight of fitness";
        stagnant: u64, "", "generations without a better center";
        row: Row, "", "last values of the strategy's history columns";
    }
}

impl NsEs {
    fn new(plan: Plan) -> NsEs {
        let spec = StrategySpec {
            name: plan.name.clone(),
            operators: vec!["center".into()],
            history: columns(Row::columns_but(None)),
            lineage: false,
            first_generation: plan.centers * plan.episodes + plan.population,
            sized_by: &["population", "centers", "center_episodes"],
            facts: Vec::new(),
        };
        NsEs {
            weight: plan.weight.initial,
            plan,
            spec,
            phase: Phase::Centers,
            centers: Vec::new(),
            moved: None,
            best: None,
            stagnant: 0,
            row: Row::default(),
        }
    }

    /// Row e * centers + c is episode e of center c.
    fn ask_centers(&mut self, context: &Context<'_>, candidates: &mut Candidates) -> Result<()> {
        let (count, dim) = (self.plan.centers, context.task.genome_dim);
        if self.centers.is_empty() {
            self.centers = (0..count as u64).map(|c| Center::draw(context, c)).collect();
        }
        prepare(context, count * self.plan.episodes, 0, candidates);
        // The first episode of each center that the archive does not know.
        candidates.offered = self.moved.map_or(0..count, |c| c..c + 1);
        candidates.admitted = candidates.offered.clone();
        let block = candidates.block.clone();
        let rows = candidates.genomes.dense_rows(block.len(), dim);
        for (row, genes) in block.zip(rows.chunks_exact_mut(dim)) {
            genes.copy_from_slice(&self.centers[row % count].genes);
        }
        Ok(())
    }

    fn ask_members(&self, context: &Context<'_>, center: usize, candidates: &mut Candidates) {
        prepare(context, self.plan.population, 1, candidates);
        candidates.offered = 0..0;
        let rows = candidates.block.clone();
        candidates.genomes = self.centers[center].around(context, self.plan.sigma, self.plan.population, rows.clone());
    }

    /// Draws the center that moves, by its novelty.
    fn tell_centers(&mut self, context: &Context<'_>, status: &[u8], fitness: &[f64], novelty: &[f64]) {
        let count = self.plan.centers;
        // Mean over the episodes of a center that ended well.
        let mean = |c: usize, values: &[f64]| {
            let ok = || {
                (c..values.len())
                    .step_by(count)
                    .filter(|&i| status[i] == Status::Ok as u8)
            };
            ok().map(|i| values[i]).sum::<f64>() / ok().count() as f64
        };
        let known = |x: f64| if x.is_finite() { x } else { 0.0 };
        let novelties: Vec<f64> = (0..count).map(|c| known(mean(c, novelty))).collect();
        let draw = Stream::new(context.seed, Purpose::Selection, context.generation, 0).uniform(0);

        let better = |best: &Option<Best>, f: f64| best.as_ref().is_none_or(|best| f > best.fitness);
        let mut improved = false;
        for c in self.moved.map_or(0..count, |c| c..c + 1) {
            let f = mean(c, fitness);
            if f.is_finite() && better(&self.best, f) {
                improved = true;
                self.best = Some(Best {
                    genes: self.centers[c].genes.clone(),
                    fitness: f,
                });
            }
        }
        if self.moved.is_some() {
            self.adapt(improved);
        }
        self.phase = Phase::Members(pick(&novelties, draw));
    }

    /// The weight of fitness rises with success, and falls when there was none for long.
    fn adapt(&mut self, improved: bool) {
        let rule = &self.plan.weight;
        self.stagnant += 1;
        if improved {
            self.weight = (self.weight + rule.step).min(1.0);
            self.stagnant = 0;
        } else if self.stagnant >= rule.patience {
            self.weight = (self.weight - rule.step).max(0.0);
            self.stagnant = 0;
        }
    }
}

/// A number drawn in proportion to its weight by `draw` in [0, 1); any of them if all weights are 0.
fn pick(weights: &[f64], draw: f64) -> usize {
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return ((draw * weights.len() as f64) as usize).min(weights.len() - 1);
    }
    let mut left = draw * total;
    for (i, w) in weights.iter().enumerate() {
        if left < *w {
            return i;
        }
        left -= w;
    }
    // Rounding may leave a little; the last of positive weight is meant.
    weights.iter().rposition(|w| *w > 0.0).unwrap_or(0)
}

impl Strategy for NsEs {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        match self.phase {
            Phase::Centers => self.ask_centers(context, candidates)?,
            Phase::Members(center) => self.ask_members(context, center, candidates),
        }
        candidates.tags.get_mut::<i32>("operator")?.fill(0);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        let (status, fitness) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("fitness")?);
        let novelty = novelty(told)?;
        let (mean, max) = mean_and_max(status, fitness);
        self.row.best_fitness = self.row.best_fitness.max(max);
        match self.phase {
            Phase::Centers => {
                self.tell_centers(context, status, fitness, novelty);
                Ok(Next::SameGeneration)
            }
            Phase::Members(center) => {
                let w = self.weight as f32;
                let by_fitness = centred_ranks(status, fitness);
                let mut ranks = centred_ranks(status, novelty);
                for (rank, by_fitness) in ranks.iter_mut().zip(by_fitness) {
                    *rank = (1.0 - w) * *rank + w * by_fitness;
                }
                self.centers[center].climb(context, &self.plan.rule, &ranks)?;
                self.moved = Some(center);
                self.phase = Phase::Centers;
                let (novelty_mean, novelty_max) = mean_and_max(status, novelty);
                self.row = Row {
                    best_fitness: self.row.best_fitness,
                    best_center: self.best.as_ref().map_or(f64::NAN, |best| best.fitness),
                    population_mean: mean,
                    population_max: max,
                    novelty_mean,
                    novelty_max,
                    center: center as f64,
                    fitness_weight: self.weight,
                };
                Ok(Next::Generation)
            }
        }
    }

    fn history(&self, row: &mut Vec<f64>) {
        row.extend(self.row.values());
    }

    /// Saved between generations only, when all centers are about to be evaluated.
    fn save(&self, context: &Context<'_>) -> Result<State> {
        let mut state = State::default();
        for (c, center) in self.centers.iter().enumerate() {
            state.tables.push((format!("center_{c}"), center.table(context)?));
        }
        let mut centers = Batch::new();
        let steps = self.centers.iter().map(|c| c.steps_taken).collect();
        centers.push("steps_taken", 1, "", "updates made of each center", steps);
        state.tables.push(("centers".into(), centers));
        let scalars = Scalars {
            moved: self.moved.map_or(-1, |c| c as i64),
            fitness_weight: self.weight,
            stagnant: self.stagnant,
            row: self.row,
        };
        state.tables.push(("scalars".into(), scalars.table()));
        if let Some(best) = &self.best {
            let mut solution = Batch::new();
            let meaning = "the center of the highest mean fitness so far";
            solution.push("genome", best.genes.len(), "", meaning, best.genes.to_vec());
            solution.push("fitness", 1, "", "mean fitness of its episodes", vec![best.fitness]);
            state.solution = Some(solution);
        }
        Ok(state)
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        let steps = state.table("centers")?.get::<u64>("steps_taken")?;
        self.centers = steps
            .iter()
            .enumerate()
            .map(|(c, &steps)| Center::of(context, state.table(&format!("center_{c}"))?, steps))
            .collect::<Result<_>>()?;
        if !self.centers.is_empty() && self.centers.len() != self.plan.centers {
            return Err(Error::failed(format!(
                "the checkpoint has {} centers, strategy.centers is {}",
                self.centers.len(),
                self.plan.centers
            )));
        }
        let scalars = Scalars::read(state.table("scalars")?)?;
        self.moved = usize::try_from(scalars.moved).ok();
        self.weight = scalars.fitness_weight;
        self.stagnant = scalars.stagnant;
        self.row = scalars.row;
        self.best = match &state.solution {
            Some(solution) => Some(Best {
                genes: Arc::new(solution.get::<f32>("genome")?.to_vec()),
                fitness: Field::read(solution, "fitness")?,
            }),
            None => None,
        };
        self.phase = Phase::Centers;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::params::{Weight, plan};
    use super::*;

    #[test]
    fn centers_are_drawn_in_proportion_to_their_novelty() {
        let weights = [1.0, 0.0, 3.0];
        let mut count = [0; 3];
        (0..1000).for_each(|i| count[pick(&weights, f64::from(i) / 1000.0)] += 1);
        assert_eq!(count, [250, 0, 750]);
        assert_eq!(pick(&[0.0; 4], 0.74), 2, "without any novelty each is as likely");
        assert_eq!(
            pick(&[0.1, 0.2, 0.0], 1.0),
            1,
            "rounding never draws one without novelty"
        );
    }

    #[test]
    fn the_weight_of_fitness_falls_when_it_stagnates_and_rises_with_success() {
        let weight = Weight {
            initial: 1.0,
            step: 0.25,
            patience: 3,
        };
        let mut es = NsEs::new(plan("nsra_es", &Default::default(), weight).unwrap());
        let weights: Vec<f64> = [false, false, false, false, false, false, true, true, false, false]
            .map(|improved| {
                es.adapt(improved);
                es.weight
            })
            .to_vec();
        assert_eq!(weights, [1.0, 1.0, 0.75, 0.75, 0.75, 0.5, 0.75, 1.0, 1.0, 1.0]);
    }
}
