//! What NSGA-II and NSGA-III share: a population that every rank holds, children by simulated binary crossover and polynomial mutation, and survivors of parents and children together.
//!
//! Parents are drawn and survivors found by every rank alike, from objectives that all know. A child is made where it is evaluated; the genomes of those that survive then go to all.

mod mating;
mod niching;
#[cfg(test)]
mod tests;

use illume_core::{
    Archive, Batch, Candidates, Context, Error, Next, Purpose, Result, State, Status, Strategy, StrategyConfig,
    StrategySpec, Stream, TaskSpec, Told, params,
};
use illume_numerics::fronts::{Equal, Points, crowding, non_dominated, sort};

use crate::candidates::{START, draw_initial, mark_given, prepare};
use crate::map_elites::gene_bounds;
use mating::Mating;
pub(crate) use niching::Niching;

params! {
    /// How children are made.
    pub struct MatingParams {
        /// Genes of a child that polynomial mutation changes, on average.
        mutation_genes: f64 = 1.0, at_least(0.0);
        /// Distribution index of polynomial mutation: larger stays nearer to the parent.
        mutation_eta: f64 = 20.0, at_least(0.0);
        /// Lower and upper bound of a gene; empty for the task's own.
        bounds: Vec<f64> = vec![], any();
    }
}

/// Who survives.
pub(crate) enum Survival {
    /// By fronts; of the one that does not fit those that are crowded least, found once (NSGA-II).
    Crowding,
    /// By fronts; of the one that does not fit those that directions lack (NSGA-III).
    Niching(Niching),
}

/// Those that live, `population` of them once there are so many, in the order in which they survived.
#[derive(Debug, Clone, Default, PartialEq)]
struct Population {
    /// `[rows, genome_dim]`.
    genes: Vec<f32>,
    /// `[rows, objectives]`; NaN for one whose evaluation failed.
    objectives: Vec<f64>,
    /// Crowding distance within the front in which it survived, before that was cut; empty where none is measured.
    crowding: Vec<f64>,
}

/// NSGA-II or NSGA-III.
pub(crate) struct Nsga {
    spec: StrategySpec,
    population: usize,
    objectives: usize,
    mating: Mating,
    survival: Survival,
    unique: bool,
    living: Population,
}

const OFFSPRING: i32 = 1;

/// What the two are made of, beside the task.
pub(crate) struct Setting {
    pub name: &'static str,
    pub population: usize,
    pub sized_by: &'static [&'static str],
    /// Probability and distribution index of crossover.
    pub crossover: (f64, f64),
    pub mating: MatingParams,
    pub survival: Survival,
    /// Whether of a front's members that are equal in every objective all but the first count as crowded altogether.
    pub unique: bool,
}

impl Nsga {
    /// # Errors
    /// A task of one objective, bounds that are none or missing, and what does not fit into memory.
    pub(crate) fn build(config: &StrategyConfig<'_>, setting: Setting) -> Result<Box<dyn Strategy>> {
        let task = config.task;
        let bounds = gene_bounds(&setting.mating.bounds, "bounds", task)?;
        // A task of one objective is refused for that alone, where it is put together with its archive.
        let bounds = bounds.or(task.objectives.is_empty().then_some([0.0, 1.0]));
        let Some(bounds) = bounds else {
            let message = format!(
                "crossover and mutation need bounds of a gene and task \"{}\" has none: expected [lower, upper]",
                task.name
            );
            return Err(Error::config("strategy", "bounds", message));
        };
        // The population is on every rank; a generation's children lie beside it, and the survivors before they take its place.
        config.claim_rows(setting.sized_by[0], setting.population as f64, 2)?;
        let bytes = (2 * size_of::<f32>()) as f64 * task.genome_dim as f64 * setting.population as f64;
        let what = format!("{} individuals", setting.population);
        config.memory.claim("strategy", setting.sized_by[0], bytes, &what)?;
        let mating = Mating {
            crossover: setting.crossover,
            mutation: (
                setting.mating.mutation_genes / task.genome_dim as f64,
                setting.mating.mutation_eta,
            ),
            bounds,
        };
        Ok(Box::new(Nsga::new(setting, mating, task)))
    }

    fn new(setting: Setting, mating: Mating, task: &TaskSpec) -> Nsga {
        let mut operators = vec!["random".to_string(), "offspring".to_string()];
        operators.extend(task.given_rows().map(|_| START.to_string()));
        let front = "share of the population that none of it dominates";
        Nsga {
            spec: StrategySpec {
                name: setting.name.into(),
                operators,
                history: vec![("front_share".into(), String::new(), front.into())],
                lineage: false,
                first_generation: setting.population.max(task.given_rows().unwrap_or(0)),
                sized_by: setting.sized_by,
                facts: match &setting.survival {
                    Survival::Crowding => Vec::new(),
                    Survival::Niching(niching) => vec![("directions".into(), niching.directions().to_string())],
                },
            },
            population: setting.population,
            objectives: task.objectives.len(),
            mating,
            survival: setting.survival,
            unique: setting.unique,
            living: Population::default(),
        }
    }

    fn points<'a>(&self, objectives: &'a [f64]) -> Points<'a> {
        Points::new(objectives, self.objectives)
    }

    /// Survivors of all, as numbers, and their crowding distances where that is what the next parents are chosen by.
    fn survivors(&mut self, all: &[f64], draws: &Stream) -> (Vec<usize>, Vec<f64>) {
        let points = Points::new(all, self.objectives);
        let fronts = sort(&points);
        let (mut numbers, mut distances): (Vec<usize>, Vec<f64>) = Default::default();
        if let Survival::Niching(niching) = &mut self.survival {
            return (niching.survivors(&points, &fronts, self.population, draws), Vec::new());
        }
        for front in fronts {
            let room = self.population - numbers.len();
            if room == 0 {
                break;
            }
            let mut distance = crowding(&points, &front);
            if self.unique {
                crowd_twins(&points, &front, &mut distance);
            }
            let mut order: Vec<usize> = (0..front.len()).collect();
            if front.len() > room {
                // Of equally crowded ones it is drawn who goes.
                let draw = |i: usize| draws.word64(front[i] as u64);
                order.sort_by(|&a, &b| distance[b].total_cmp(&distance[a]).then_with(|| draw(a).cmp(&draw(b))));
                order.truncate(room);
            }
            numbers.extend(order.iter().map(|i| front[*i]));
            distances.extend(order.iter().map(|i| distance[*i]));
        }
        (numbers, distances)
    }
}

/// Makes 0 of the distances of all members of a front that equal one before them.
fn crowd_twins(points: &Points<'_>, front: &[usize], distance: &mut [f64]) {
    for at in 1..front.len() {
        let point = points.point(front[at]);
        if front[..at].iter().any(|other| points.point(*other) == point) {
            distance[at] = 0.0;
        }
    }
}

/// The objectives of all rows, NaN where the evaluation failed.
///
/// # Errors
/// A column is missing.
fn objectives_of(rows: &Batch, width: usize) -> Result<Vec<f64>> {
    let (status, found) = (rows.get::<u8>("status")?, rows.get::<f64>("objectives")?);
    if found.len() != width * status.len() {
        return Err(Error::failed("the rows have objectives of another task"));
    }
    let mut values = found.to_vec();
    for (row, status) in values.chunks_exact_mut(width).zip(status) {
        if *status != Status::Ok as u8 {
            row.fill(f64::NAN);
        }
    }
    Ok(values)
}

/// Addresses of what is drawn of a generation's `Purpose::Selection`.
#[derive(Clone, Copy)]
enum Draw {
    /// Who of two equals becomes a parent.
    Toss,
    /// Who of equals survives.
    Survival,
    /// Who meets whom: one order of the population behind the other.
    Order,
}

fn draws(context: &Context<'_>, draw: Draw, further: u64) -> Stream {
    let index = draw as u64 + further;
    Stream::new(context.seed, Purpose::Selection, context.generation, index)
}

impl Strategy for Nsga {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        if self.living.objectives.is_empty() {
            prepare(context, self.spec.first_generation, 0, candidates);
            draw_initial(context, candidates)?;
            return mark_given(context, candidates, &self.spec.operators);
        }
        prepare(context, self.population, 0, candidates);
        let points = self.points(&self.living.objectives);
        let parents = mating::parents(context, &points, &self.living.crowding, self.population);
        let dim = context.task.genome_dim;
        let genes = candidates.genomes.dense_rows(candidates.block.len(), dim);
        let first = candidates.block.start;
        self.mating
            .children(context, &self.living.genes, &parents, first, genes);
        candidates.tags.get_mut::<i32>("operator")?.fill(OFFSPRING);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        let before = self.living.objectives.len() / self.objectives;
        let mut all = self.living.objectives.clone();
        all.extend(objectives_of(told.rows, self.objectives)?);
        let (numbers, crowding) = self.survivors(&all, &draws(context, Draw::Survival, 0));
        let dim = context.task.genome_dim;
        let mut genes = vec![0.0; numbers.len() * dim];
        let places = |i: &usize| i.checked_sub(before);
        for (place, number) in genes.chunks_exact_mut(dim).zip(&numbers).filter(|(_, i)| **i < before) {
            place.copy_from_slice(&self.living.genes[number * dim..(number + 1) * dim]);
        }
        // Children in the order of their rows, which is that of the ranks.
        let mut came: Vec<(usize, usize)> = numbers
            .iter()
            .enumerate()
            .filter_map(|(at, i)| Some((places(i)?, at)))
            .collect();
        came.sort_unstable();
        let rows: Vec<usize> = came.iter().map(|(row, _)| *row).collect();
        let theirs = mating::bring(context, told.candidates, &rows)?;
        for ((_, at), theirs) in came.iter().zip(theirs.chunks_exact(dim)) {
            genes[at * dim..(at + 1) * dim].copy_from_slice(theirs);
        }
        self.living = Population {
            genes,
            objectives: self.points(&all).of(&numbers),
            crowding,
        };
        Ok(Next::Generation)
    }

    fn history(&self, row: &mut Vec<f64>) {
        let points = self.points(&self.living.objectives);
        row.push(non_dominated(&points, Equal::All).len() as f64 / points.len() as f64);
    }

    fn save(&self, context: &Context<'_>) -> Result<State> {
        let mut state = State::default();
        if self.living.objectives.is_empty() {
            return Ok(state);
        }
        let Population {
            genes,
            objectives,
            crowding,
        } = self.living.clone();
        let mut table = Batch::new();
        table.push("genome", context.task.genome_dim, "", "genes of an individual", genes);
        let meaning = "its objectives, NaN where the evaluation failed";
        table.push("objectives", self.objectives, "", meaning, objectives);
        if !crowding.is_empty() {
            let meaning = "crowding distance within its front, before that was cut";
            table.push("crowding", 1, "", meaning, crowding);
        }
        state.tables.push(("population".into(), table));
        if let Survival::Niching(niching) = &self.survival {
            state.tables.push(("normalization".into(), niching.save()));
        }
        Ok(state)
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.living = Population::default();
        if state.tables.iter().all(|(name, _)| name != "population") {
            return Ok(());
        }
        let table = state.table("population")?;
        let fits = |name: &str, width: usize| table.find(name).is_some_and(|column| column.width == width);
        if !fits("genome", context.task.genome_dim) || !fits("objectives", self.objectives) {
            return Err(Error::failed("the checkpoint's population is of another task"));
        }
        self.living.genes = table.get::<f32>("genome")?.to_vec();
        self.living.objectives = table.get::<f64>("objectives")?.to_vec();
        match &mut self.survival {
            Survival::Crowding => self.living.crowding = table.get::<f64>("crowding")?.to_vec(),
            Survival::Niching(niching) => niching.load(state.table("normalization")?)?,
        }
        Ok(())
    }
}
