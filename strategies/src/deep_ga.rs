//! Deep GA (Such et al., 'Deep neuroevolution: genetic algorithms are a competitive alternative for training deep neural networks for
//! reinforcement learning', 2017, <https://arxiv.org/abs/1712.06567>), as its GPU program runs it: truncation selection, mutation of all genes,
//! no crossover, an elite chosen by re-evaluation that survives as a parent only. Genomes are lineages of noise streams.
//! With several `episodes` a child's fitness is their mean, as in the paper's experiment on Humanoid.
//!
//! With `parents = 0` the same program is random search, the paper's baseline.

mod params;
mod state;
#[cfg(test)]
mod tests;

use std::ops::Range;

use illume_core::genome::stream_id;
use illume_core::{
    Archive, Candidates, Context, Error, Next, Purpose, Result, State, Status, Strategy, StrategySpec, Stream,
    TaskSpec, Told,
};

use crate::best_first;
use crate::candidates::{evaluation_seeds, prepare};
use crate::lineages::{Individual, LineageParams, Nursery};
use crate::record::{HistoryRow, columns, history_row};

pub use params::DeepGaParams;
pub(crate) use params::ENTRY;

const RANDOM: i32 = 0;
const MUTATION: i32 = 1;

/// Which seeds an episode gets: those of children, of validation, of tests ([`evaluation_seeds`]). A test's are of its elite's generation.
const CHILDREN_SEEDS: u64 = 0;
const VALIDATION_SEEDS: u64 = 1;
const TEST_SEEDS: u64 = 3;

/// Where a generation stands.
enum Phase {
    /// Children, the last elite's validation, and its tests.
    Children,
    /// The other candidates of the validation, behind the last elite (as it is now validated), if it is one of them; and the parents to be.
    Validation {
        elite: Option<Individual>,
        others: Vec<Individual>,
        parents: Vec<Individual>,
    },
    /// The tests of the last elite of the run.
    Test,
}

/// The elite of the generation whose validated candidates had the highest mean: what the paper reports.
#[derive(Clone)]
struct Reported {
    individual: Individual,
    /// That mean.
    mark: f64,
    generation: u64,
    /// Mean of its test episodes; NaN before they are done.
    test: f64,
}

/// A genetic algorithm over lineages.
pub struct DeepGa {
    params: DeepGaParams,
    spec: StrategySpec,
    /// Of each child.
    episodes: usize,
    validates: bool,
    phase: Phase,
    parents: Vec<Individual>,
    elite: Option<Individual>,
    /// The generation of which `elite` is, if its tests are still to be done.
    untested: Option<u64>,
    /// Mean of its tests if they were done at the end of a budget, before the generation that they are told in; else NaN.
    known_test: f64,
    reported: Option<Reported>,
    /// Steps charged to the budget before this generation, and in it so far.
    steps: u64,
    steps_now: u64,
    nursery: Nursery,
    row: Row,
}

history_row! {
    struct Row {
        elite_fitness: "", "mean fitness of the elite's validation episodes (of those by which it was found where there is no validation)";
        validated_mean: "", "mean over all validated candidates";
        population_max: "", "highest fitness of a child, a mean where it has several episodes";
        population_median: "", "median fitness of the children";
        last_elite_test: "", "mean fitness of the test episodes of the elite of the generation before";
        sigma: "", "mutation power";
    }
}

/// The rows of a phase of children.
struct Layout {
    /// Row e * population + c is episode e of child c.
    children: Range<usize>,
    /// Validation episodes of the last elite.
    validation: Range<usize>,
    /// Its test episodes.
    tests: Range<usize>,
}

impl DeepGa {
    pub fn new(params: DeepGaParams, lineages: LineageParams, task: &TaskSpec) -> DeepGa {
        let episodes = if task.deterministic { 1 } else { params.episodes };
        let validates = params.validation_candidates > 0 && params.validation_episodes > 0 && !task.deterministic;
        let validation = if validates {
            params.validation_candidates.min(params.population) * params.validation_episodes
        } else {
            0
        };
        let spec = StrategySpec {
            name: "deep_ga".into(),
            operators: ["random", "mutation"].map(String::from).to_vec(),
            history: columns(Row::columns_but(None)),
            lineage: true,
            first_generation: params.population * episodes + validation,
            sized_by: &["population", "episodes", "validation_candidates", "validation_episodes"],
            facts: lineages.facts(task, params.parents.max(1)),
        };
        DeepGa {
            params,
            spec,
            episodes,
            validates,
            phase: Phase::Children,
            parents: Vec::new(),
            elite: None,
            untested: None,
            known_test: f64::NAN,
            reported: None,
            steps: 0,
            steps_now: 0,
            nursery: Nursery::new(lineages),
            row: Row::default(),
        }
    }

    fn layout(&self) -> Layout {
        let children = self.params.population * self.episodes;
        let validation = if self.validates && self.elite.is_some() {
            self.params.validation_episodes
        } else {
            0
        };
        let tests = self.untested.map_or(0, |_| self.params.test_episodes);
        Layout {
            children: 0..children,
            validation: children..children + validation,
            tests: children + validation..children + validation + tests,
        }
    }

    /// The parent of child `index`, none for a fresh genome.
    fn parent_of(&self, context: &Context<'_>, index: usize) -> Option<&Individual> {
        let stream = Stream::new(context.seed, Purpose::Selection, context.generation, 0);
        let parents = self.parents.len();
        (parents > 0).then(|| &self.parents[stream.below(index as u64, parents as u64) as usize])
    }

    /// Child `index` of this generation.
    fn child(&self, context: &Context<'_>, index: usize) -> Individual {
        let own = stream_id(context.generation, index as u64);
        let sigma = self.sigma(context) as f32;
        Individual::child(self.parent_of(context, index), own, sigma)
    }

    /// The mutation power of this generation.
    fn sigma(&self, context: &Context<'_>) -> f64 {
        let frames = self.steps * u64::from(context.task.frames_per_step);
        self.params.sigma(context.generation, frames)
    }

    fn ask_children(&mut self, context: &Context<'_>, candidates: &mut Candidates) -> Result<()> {
        let built_upon: Vec<&Individual> = self.elite.iter().chain(&self.parents).collect();
        self.nursery.remember(context, candidates, &built_upon);
        let layout = self.layout();
        prepare(context, layout.tests.end, CHILDREN_SEEDS, candidates);
        let population = self.params.population;
        candidates.offered = 0..population;
        candidates.tests = layout.tests.clone();
        let block = candidates.block.clone();
        overwrite_seeds(
            context,
            candidates,
            &layout.validation,
            context.generation,
            VALIDATION_SEEDS,
        );
        let tested = self.untested.unwrap_or_default();
        overwrite_seeds(context, candidates, &layout.tests, tested, TEST_SEEDS);
        let elite = || self.elite.clone().expect("an elite is validated and tested");
        self.nursery.fill(candidates, |i| {
            if layout.children.contains(&i) {
                self.child(context, i % population)
            } else {
                elite()
            }
        });
        let steps = |i| {
            let known = if layout.children.contains(&i) {
                self.parent_of(context, i % population)
            } else {
                self.elite.as_ref()
            };
            known.map_or(0, |individual| individual.steps)
        };
        candidates.expected_steps.extend(block.map(steps));
        let operator = if self.parents.is_empty() { RANDOM } else { MUTATION };
        candidates.tags.get_mut::<i32>("operator")?.fill(operator);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        Ok(())
    }

    /// `episodes` episodes of each individual, none of them offered.
    fn ask_again(
        &self,
        context: &Context<'_>,
        individuals: &[Individual],
        episodes: usize,
        candidates: &mut Candidates,
    ) -> Result<()> {
        prepare(context, individuals.len() * episodes, CHILDREN_SEEDS, candidates);
        candidates.offered = 0..0;
        self.nursery.fill(candidates, |i| &individuals[i / episodes]);
        let steps = candidates.block.clone().map(|i| individuals[i / episodes].steps);
        candidates.expected_steps.extend(steps);
        candidates.tags.get_mut::<i32>("operator")?.fill(MUTATION);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        Ok(())
    }

    fn ask_validation(&self, context: &Context<'_>, candidates: &mut Candidates) -> Result<()> {
        let Phase::Validation { elite, others, .. } = &self.phase else {
            return Err(Error::failed("validation was asked for before children were evaluated"));
        };
        let episodes = self.params.validation_episodes;
        self.ask_again(context, others, episodes, candidates)?;
        // The elite has had the first seeds already.
        let first = if elite.is_some() { episodes } else { 0 };
        seeds(context, context.generation, VALIDATION_SEEDS, first, candidates);
        Ok(())
    }

    fn ask_test(&self, context: &Context<'_>, candidates: &mut Candidates) -> Result<()> {
        let (Some(elite), Some(generation)) = (&self.elite, self.untested) else {
            return Err(Error::failed("a test was asked for before there was an elite"));
        };
        self.ask_again(
            context,
            std::slice::from_ref(elite),
            self.params.test_episodes,
            candidates,
        )?;
        candidates.tests = 0..candidates.total;
        seeds(context, generation, TEST_SEEDS, 0, candidates);
        Ok(())
    }

    fn tell_children(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        let layout = self.layout();
        self.row.last_elite_test = if self.untested.is_some() {
            self.tested(mean(told, layout.tests)?)
        } else {
            std::mem::replace(&mut self.known_test, f64::NAN)
        };
        let (status, fitness, steps) = self.trials(told, layout.children)?;
        let order: Vec<usize> = best_first(&status, &fitness)
            .into_iter()
            .filter(|&i| status[i] == Status::Ok as u8)
            .collect();
        self.row.population_max = order.first().map_or(f64::NAN, |&i| fitness[i]);
        self.row.population_median = order.get(order.len() / 2).map_or(f64::NAN, |&i| fitness[i]);
        self.row.sigma = self.sigma(context);
        let individual = |&i: &usize| Individual {
            score: fitness[i],
            steps: steps[i],
            ..self.child(context, i)
        };
        let parents: Vec<Individual> = order.iter().take(self.params.parents).map(individual).collect();
        if !self.validates {
            let best = order.first().map(individual);
            let better = |best: &Individual| self.elite.as_ref().is_none_or(|elite| best.score > elite.score);
            let elite = best.filter(better).or_else(|| self.elite.clone());
            return Ok(self.finish(context, told, elite, f64::NAN, parents));
        }
        let places = self.params.validation_candidates - usize::from(self.elite.is_some());
        let others: Vec<Individual> = order.iter().take(places).map(individual).collect();
        let elite = match self.elite.clone() {
            Some(elite) => Some(Individual {
                score: mean(told, layout.validation)?,
                ..elite
            }),
            None => None,
        };
        if others.is_empty() {
            return Ok(self.choose(context, told, elite.into_iter().collect(), parents));
        }
        self.phase = Phase::Validation { elite, others, parents };
        Ok(Next::SameGeneration)
    }

    /// Status of each child (that of its first episode that failed), mean fitness and mean steps, of the rows of all their episodes.
    fn trials(&self, told: &Told<'_>, rows: Range<usize>) -> Result<(Vec<u8>, Vec<f64>, Vec<u32>)> {
        let (population, n) = (self.params.population, self.episodes);
        let (status, fitness) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("fitness")?);
        let steps = told.rows.get::<u32>("steps")?;
        let of = |child: usize| rows.clone().skip(child).step_by(population);
        let failed = |child| of(child).map(|row| status[row]).find(|s| *s != Status::Ok as u8);
        let taken = |child| of(child).map(|row| u64::from(steps[row])).sum::<u64>() / n as u64;
        let children = 0..population;
        Ok((
            children
                .clone()
                .map(|c| failed(c).unwrap_or(Status::Ok as u8))
                .collect(),
            children
                .clone()
                .map(|c| of(c).map(|row| fitness[row]).sum::<f64>() / n as f64)
                .collect(),
            children.map(|c| taken(c) as u32).collect(),
        ))
    }

    fn tell_validation(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        let Phase::Validation { elite, others, parents } = std::mem::replace(&mut self.phase, Phase::Children) else {
            return Err(Error::failed("validation came back that was not asked for"));
        };
        let episodes = self.params.validation_episodes;
        let mut validated: Vec<Individual> = elite.into_iter().collect();
        for (i, individual) in others.into_iter().enumerate() {
            let score = mean(told, i * episodes..(i + 1) * episodes)?;
            validated.push(Individual { score, ..individual });
        }
        Ok(self.choose(context, told, validated, parents))
    }

    /// The elite is the best of the validated candidates; of equals the first: the last elite, then the better child. One of which an
    /// episode failed is none of them.
    fn choose(
        &mut self,
        context: &Context<'_>,
        told: &Told<'_>,
        mut validated: Vec<Individual>,
        parents: Vec<Individual>,
    ) -> Next {
        validated.retain(|v| !v.score.is_nan());
        let mean = validated.iter().map(|v| v.score).sum::<f64>() / validated.len() as f64;
        let best = validated.iter().rev().max_by(|a, b| a.score.total_cmp(&b.score));
        self.finish(context, told, best.cloned(), mean, parents)
    }

    /// Closes a generation: the elite is forced in among the parents. At the end of the run it is tested at once.
    fn finish(
        &mut self,
        context: &Context<'_>,
        told: &Told<'_>,
        elite: Option<Individual>,
        validated_mean: f64,
        mut parents: Vec<Individual>,
    ) -> Next {
        self.steps += std::mem::take(&mut self.steps_now);
        self.row.elite_fitness = elite.as_ref().map_or(f64::NAN, |e| e.score);
        self.row.validated_mean = validated_mean;
        if let Some(elite) = elite {
            let mark = if self.validates { validated_mean } else { elite.score };
            if self.reported.as_ref().is_none_or(|best| mark > best.mark) {
                self.reported = Some(Reported {
                    individual: elite.clone(),
                    mark,
                    generation: context.generation,
                    test: f64::NAN,
                });
            }
            if self.params.parents > 0 && !parents.iter().any(|p| p.id() == elite.id()) {
                parents.truncate(self.params.parents - 1);
                parents.push(elite.clone());
            }
            self.untested = (self.validates && self.params.test_episodes > 0).then_some(context.generation);
            self.elite = Some(elite);
        }
        // A generation in which every child failed leaves the parents as they were.
        if !parents.is_empty() || self.params.parents == 0 {
            self.parents = parents;
        }
        if told.last && self.untested.is_some() {
            self.phase = Phase::Test;
            return Next::SameGeneration;
        }
        Next::Generation
    }

    /// Notes the mean of the elite's tests.
    fn tested(&mut self, mean: f64) -> f64 {
        let generation = self.untested.take();
        if let Some(reported) = self.reported.as_mut().filter(|r| Some(r.generation) == generation) {
            reported.test = mean;
        }
        mean
    }
}

/// Mean fitness of some rows; NaN if one of them failed.
fn mean(told: &Told<'_>, rows: Range<usize>) -> Result<f64> {
    let (status, fitness) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("fitness")?);
    let ok = status[rows.clone()].iter().all(|s| *s == Status::Ok as u8);
    let n = rows.len() as f64;
    Ok(if ok {
        fitness[rows].iter().sum::<f64>() / n
    } else {
        f64::NAN
    })
}

/// Steps of the rows that count in the budget.
fn charged(told: &Told<'_>) -> Result<u64> {
    let steps = told.rows.get::<u32>("steps")?.iter().enumerate();
    let counted = steps.filter(|(row, _)| !told.candidates.tests.contains(row));
    Ok(counted.map(|(_, s)| u64::from(*s)).sum())
}

/// Gives the rows of a prepared block the seeds from `first` on of a kind and generation.
fn seeds(context: &Context<'_>, generation: u64, kind: u64, first: usize, candidates: &mut Candidates) {
    let rows = candidates.block.start + first..candidates.block.end + first;
    evaluation_seeds(context.seed, generation, kind, rows, &mut candidates.seeds);
}

/// Gives the rows `rows`, as far as they lie in the block, the first seeds of a kind and generation.
fn overwrite_seeds(
    context: &Context<'_>,
    candidates: &mut Candidates,
    rows: &Range<usize>,
    generation: u64,
    kind: u64,
) {
    let block = &candidates.block;
    let here = rows.start.clamp(block.start, block.end)..rows.end.clamp(block.start, block.end);
    if here.is_empty() {
        return;
    }
    let mut seeds = Vec::new();
    let numbers = here.start - rows.start..here.end - rows.start;
    evaluation_seeds(context.seed, generation, kind, numbers, &mut seeds);
    candidates.seeds[here.start - block.start..here.end - block.start].copy_from_slice(&seeds);
}

impl Strategy for DeepGa {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        match self.phase {
            Phase::Children => self.ask_children(context, candidates),
            Phase::Validation { .. } => self.ask_validation(context, candidates),
            Phase::Test => self.ask_test(context, candidates),
        }
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        self.steps_now += charged(told)?;
        match self.phase {
            Phase::Children => self.tell_children(context, told),
            Phase::Validation { .. } => self.tell_validation(context, told),
            Phase::Test => {
                self.phase = Phase::Children;
                self.known_test = self.tested(mean(told, 0..told.rows.rows())?);
                Ok(Next::Generation)
            }
        }
    }

    fn history(&self, row: &mut Vec<f64>) {
        row.extend(self.row.values());
    }

    fn save(&self, _context: &Context<'_>) -> Result<State> {
        Ok(self.state())
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.restore(state, context.generation)
    }
}
