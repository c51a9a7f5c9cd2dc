//! GA-NS (Such et al., 'Deep neuroevolution', 2017, <https://arxiv.org/abs/1712.06567>): the Deep GA with novelty in the place of fitness
//! (novelty search: Lehman and Stanley, 'Abandoning objectives', Evolutionary Computation 19(2), 2011). Genomes are lineages.
//!
//! The archive, an unstructured one, says how novel each individual is: the mean distance of its descriptor to its nearest neighbours
//! in population and archive.
//!
//! NSLC (Lehman and Stanley, 'Evolving a diversity of virtual creatures through novelty search and local competition', GECCO 2011) is the same with another order of
//! individuals: by fronts of novelty and local competition, the number of those neighbours that are worth less.

use illume_core::genome::stream_id;
use illume_core::{
    Archive, Batch, Candidates, Context, Error, InsertReport, Next, Purpose, Result, State, Status, Strategy,
    StrategyConfig, StrategyEntry, StrategySpec, Stream, TaskSpec, Told, params,
};
use illume_numerics::fronts::{Points, by_fronts};

use crate::candidates::prepare;
use crate::lineages::{Individual, LineageParams, Nursery, individuals, push_lineage, tables};
use crate::record::{HistoryRow, columns, history_row, push_row};
use crate::{best_first, mean_and_max};

params! {
    /// Parameters of `ga_ns`; those of novelty itself are the archive's.
    pub struct GaNsParams {
        /// Children per generation.
        population: usize = 20_000, range(1, 1 << 31);
        /// Most novel individuals that become parents (truncation size T).
        parents: usize = 61, range(1, 1 << 20);
        /// Mutation power: standard deviation of the noise added to every gene.
        sigma: f64 = 0.005, positive();
        /// Most novel individuals that live on unchanged, evaluated again in the next generation.
        elites: usize = 1, range(0, 1 << 20);
    }
}

params! {
    /// Parameters of `nslc`; those of novelty itself are the archive's.
    pub struct NslcParams {
        /// Children per generation.
        population: usize = 1000, range(1, 1 << 31);
        /// The first by fronts of novelty and local competition, which live on unchanged and have the children; they are evaluated again in the next generation.
        parents: usize = 200, range(1, 1 << 20);
        /// Mutation power: standard deviation of the noise added to every gene.
        sigma: f64 = 0.005, positive();
    }
}

pub(crate) const NSLC: StrategyEntry = StrategyEntry {
    novelty: true,
    small: "population = 30\nparents = 9\nsigma = 0.05",
    ..StrategyEntry::new(
        "nslc",
        "NSLC (Lehman and Stanley 2011): a genetic algorithm that selects by fronts of novelty and local competition",
        LineageParams::describe_with::<NslcParams>,
        |config: &StrategyConfig<'_>| {
            let (own, lineages): (NslcParams, _) = LineageParams::read_with(config.strategy, config.task)?;
            let params = GaNsParams {
                population: own.population,
                parents: own.parents,
                sigma: own.sigma,
                elites: own.parents,
            };
            build(config, params, lineages, Order::Fronts)
        },
    )
};

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    novelty: true,
    small: "population = 30\nparents = 4\nsigma = 0.05",
    suggested: "[strategy]\npopulation = 1000\nparents = 20",
    steps: &[("sigma", 1.0)],
    ..StrategyEntry::new(
        "ga_ns",
        "GA-NS (Such et al. 2017): the Deep GA with novelty (Lehman and Stanley 2011) in the place of fitness",
        LineageParams::describe_with::<GaNsParams>,
        |config: &StrategyConfig<'_>| {
            let (params, lineages): (GaNsParams, _) = LineageParams::read_with(config.strategy, config.task)?;
            build(config, params, lineages, Order::Novelty)
        },
    )
};

/// The strategy, when it is known that a generation fits into memory.
fn build(
    config: &StrategyConfig<'_>,
    params: GaNsParams,
    lineages: LineageParams,
    order: Order,
) -> Result<Box<dyn Strategy>> {
    for (key, value) in [("parents", params.parents), ("elites", params.elites)] {
        if value > params.population {
            let message = format!(
                "expected at most strategy.population ({}), got {value}",
                params.population
            );
            return Err(Error::config("strategy", key, message));
        }
    }
    lineages.claim(config, "population", params.population as f64)?;
    Ok(Box::new(GaNs::new(params, lineages, config.task, order)))
}

/// Which individuals come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The most novel.
    Novelty,
    /// Those of the first fronts of novelty and local competition.
    Fronts,
}

const RANDOM: i32 = 0;
const MUTATION: i32 = 1;
const ELITE: i32 = 2;

/// A genetic algorithm that selects for novelty.
pub struct GaNs {
    params: GaNsParams,
    order: Order,
    spec: StrategySpec,
    /// Parents and elites to be: the first individuals in the order of the last generation.
    ranked: Vec<Individual>,
    /// The individual whose one episode had the highest fitness so far: what is reported, and nothing that selection sees.
    best: Option<Individual>,
    nursery: Nursery,
    row: Row,
    /// The column that this order has not.
    absent: Option<&'static str>,
}

history_row! {
    struct Row {
        best_fitness: "", "highest fitness of any episode so far";
        population_max: "", "highest fitness of a child";
        novelty_mean: "", "mean novelty of the population";
        novelty_max: "", "highest novelty in the population";
        competition_mean: "", "mean number of an individual's neighbours that are worth less";
    }
}

impl GaNs {
    pub(crate) fn new(params: GaNsParams, lineages: LineageParams, task: &TaskSpec, order: Order) -> GaNs {
        let (name, absent) = match order {
            Order::Novelty => ("ga_ns", Some("competition_mean")),
            Order::Fronts => ("nslc", None),
        };
        let spec = StrategySpec {
            name: name.into(),
            operators: ["random", "mutation", "elite"].map(String::from).to_vec(),
            history: columns(Row::columns_but(absent)),
            lineage: true,
            first_generation: params.population,
            sized_by: &["population"],
            facts: lineages.facts(task, params.parents.max(params.elites)),
        };
        GaNs {
            params,
            spec,
            ranked: Vec::new(),
            best: None,
            nursery: Nursery::new(lineages),
            row: Row::default(),
            absent,
            order,
        }
    }

    fn parents(&self) -> &[Individual] {
        &self.ranked[..self.ranked.len().min(self.params.parents)]
    }

    fn elites(&self) -> &[Individual] {
        &self.ranked[..self.ranked.len().min(self.params.elites)]
    }

    /// The parent of child `index`, none in the first generation; behind all children the elite itself.
    fn origin(&self, context: &Context<'_>, index: usize) -> Option<&Individual> {
        let parents = self.parents();
        match index.checked_sub(self.params.population) {
            Some(elite) => self.ranked.get(elite),
            None if parents.is_empty() => None,
            None => {
                let draws = Stream::new(context.seed, Purpose::Selection, context.generation, 0);
                Some(&parents[draws.below(index as u64, parents.len() as u64) as usize])
            }
        }
    }

    /// Individual `index` of this generation: a child (a fresh genome if there are no parents), behind all children an elite.
    fn individual(&self, context: &Context<'_>, index: usize) -> Individual {
        let own = stream_id(context.generation, index as u64);
        match self.origin(context, index) {
            Some(elite) if index >= self.params.population => elite.clone(),
            parent => Individual::child(parent, own, self.params.sigma as f32),
        }
    }
}

/// The novelty of all rows.
///
/// # Errors
/// An archive that measures none.
pub(crate) fn novelty<'a>(told: &Told<'a>) -> Result<&'a [f64]> {
    let found = told.report.map(|report: &InsertReport| report.novelty.as_slice());
    found
        .filter(|novelty| novelty.len() == told.rows.rows())
        .ok_or_else(|| Error::failed("the archive does not say how novel the candidates are"))
}

/// The local competition of all rows.
///
/// # Errors
/// An archive that measures none.
fn competition(told: &Told<'_>) -> Result<Vec<f64>> {
    let found = told.report.map(|report| report.competition.as_slice());
    let found = found.filter(|found| found.len() == told.rows.rows());
    let found = found.ok_or_else(|| Error::failed("the archive does not say how the candidates compete"))?;
    Ok(found.iter().map(|count| f64::from(*count)).collect())
}

impl Strategy for GaNs {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        self.nursery
            .remember(context, candidates, &self.ranked.iter().collect::<Vec<_>>());
        let (children, elites) = (self.params.population, self.elites().len());
        prepare(context, children + elites, 0, candidates);
        // Elites were offered when they were born.
        candidates.offered = 0..children;
        candidates.crowd = true;
        candidates.competition = self.order == Order::Fronts;
        self.nursery.fill(candidates, |i| self.individual(context, i));
        let born = if self.ranked.is_empty() { RANDOM } else { MUTATION };
        let block = candidates.block.clone();
        let steps = |index| self.origin(context, index).map_or(0, |individual| individual.steps);
        candidates.expected_steps.extend(block.clone().map(steps));
        let operators = candidates.tags.get_mut::<i32>("operator")?;
        for (row, operator) in block.zip(operators) {
            *operator = if row < children { born } else { ELITE };
        }
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        let (status, fitness) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("fitness")?);
        let (steps, novelty) = (told.rows.get::<u32>("steps")?, novelty(told)?);
        let ok = |i: &usize| status[*i] == Status::Ok as u8;
        let individual = |i: usize, score: f64| Individual {
            score,
            steps: steps[i],
            ..self.individual(context, i)
        };
        let kept = self.params.parents.max(self.params.elites);
        let competition = match self.order {
            Order::Novelty => Vec::new(),
            Order::Fronts => competition(told)?,
        };
        let order: Vec<usize> = match self.order {
            Order::Novelty => best_first(status, novelty).into_iter().filter(ok).collect(),
            Order::Fronts => {
                let rows: Vec<usize> = (0..status.len()).filter(ok).collect();
                let points: Vec<f64> = rows.iter().flat_map(|&i| [novelty[i], competition[i]]).collect();
                by_fronts(&Points::new(&points, 2))
                    .into_iter()
                    .map(|i| rows[i])
                    .collect()
            }
        };
        let ranked: Vec<Individual> = order
            .into_iter()
            .take(kept)
            .map(|i| individual(i, novelty[i]))
            .collect();
        let fittest = best_first(status, fitness).into_iter().find(ok);
        let best = fittest
            .filter(|&i| self.best.as_ref().is_none_or(|best| fitness[i] > best.score))
            .map(|i| individual(i, fitness[i]));
        let children = 0..self.params.population;
        let (_, population_max) = mean_and_max(&status[children.clone()], &fitness[children]);
        let (novelty_mean, novelty_max) = mean_and_max(status, novelty);
        self.best = best.or(self.best.take());
        self.row = Row {
            best_fitness: self.best.as_ref().map_or(f64::NAN, |best| best.score),
            population_max,
            novelty_mean,
            novelty_max,
            competition_mean: match self.order {
                Order::Novelty => f64::NAN,
                Order::Fronts => mean_and_max(status, &competition).0,
            },
        };
        // A generation in which every episode failed leaves the parents as they were.
        if !ranked.is_empty() {
            self.ranked = ranked;
        }
        Ok(Next::Generation)
    }

    fn history(&self, row: &mut Vec<f64>) {
        row.extend(self.row.values_but(self.absent));
    }

    fn save(&self, _context: &Context<'_>) -> Result<State> {
        let mut state = State::default();
        state.tables.extend(tables("ranked", &self.ranked));
        state.tables.extend(tables("best", &self.best));
        let mut scalars = Batch::new();
        push_row(&mut scalars, self.row.values_but(self.absent));
        state.tables.push(("scalars".into(), scalars));
        if let Some(best) = &self.best {
            let mut solution = Batch::new();
            let meaning = "fitness of the best individual's one episode";
            solution.push("fitness", 1, "", meaning, vec![best.score]);
            push_lineage(&mut solution, best, "the individual of the highest fitness so far");
            state.solution = Some(solution);
        }
        Ok(state)
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.ranked = individuals(state, "ranked", context.generation)?;
        self.best = individuals(state, "best", context.generation)?.pop();
        self.row = Row::of(state.table("scalars")?.get("row")?, self.absent)?;
        self.nursery.forget();
        Ok(())
    }
}

#[cfg(test)]
#[path = "ga_ns_tests.rs"]
mod tests;
