//! CMA-ES (Hansen, 'The CMA evolution strategy: a tutorial', 2016, <https://arxiv.org/abs/1604.00772>): members of a normal distribution whose mean,
//! step size and full covariance follow the members' order.
//!
//! What the file shares with `sep_cma_es` and `essa` is a [`Distribution`]: one that draws members and learns from their order alone. The strategies
//! of both names are a sequence of searches, the next beginning anew when one has converged.

pub(crate) mod constants;
pub(crate) mod fold;
pub(crate) mod full;
pub(crate) mod restarts;
pub(crate) mod stops;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_bounds;
#[cfg(test)]
mod tests_pyribs;
#[cfg(test)]
mod tests_restarts;

use std::ops::Range;

use illume_core::{
    Archive, Batch, Candidates, Context, Error, Next, Params, Purpose, Result, State, Status, Strategy, StrategyConfig,
    StrategyEntry, StrategySpec, Stream, TaskSpec, Told, params,
};

use crate::best_first;
use crate::candidates::prepare;
use constants::{Constants, default_population};
use fold::Fold;
use full::Full;
use restarts::{RestartParams, Restarts, Run};
use stops::{Progress, Stop};

/// Genes beyond which matrices are refused: there B D and its decomposition take 32 GiB.
const MOST_GENES: usize = 32_768;

params! {
    /// Parameters of `cma_es`.
    pub struct CmaEsParams {
        /// Members per generation; 0 for 4 + floor(3 ln n) with n genes.
        population: usize = 0, range(0, 1 << 24);
        /// Initial step size: the standard deviation of each gene.
        sigma: f64 = 0.3, positive();
        /// Initial mean: "init", a genome by the task's distribution, or "zeros".
        center: String = "init".into(), one_of(&["init", "zeros"]);
        /// Whether the covariance also learns from the worse half, by negative weights.
        active: bool = true, any();
        /// The covariance is decomposed every 1 / (this * n * (c_1 + c_mu)) generations: 2 as in Hansen's purecma and in pyribs, 10 as in the tutorial.
        decompositions: f64 = 2.0, positive();
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry::new(
    "cma_es",
    "CMA-ES (Hansen's tutorial, 2016): a normal distribution with step size and full covariance",
    <(CmaEsParams, RestartParams)>::describe,
    |config: &StrategyConfig<'_>| {
        let (params, restarts): (CmaEsParams, RestartParams) =
            illume_core::params::read(config.strategy, "strategy", &["name"])?;
        config.claim_rows("population", members(params.population, config.task)? as f64, 1)?;
        Ok(Box::new(CmaEs::full(&params, &restarts, config.task)?))
    },
);

/// The interval in which genes lie, if there is one.
pub(crate) type Bounds = Option<[f32; 2]>;

/// How a distribution begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Start {
    pub sigma: f64,
    /// From zeros, not from a genome of the task's distribution.
    pub zeros: bool,
    /// Which genome of the task's distribution: the number of the restart.
    pub number: u64,
    /// How genes are kept in bounds.
    pub fold: Option<Fold>,
}

impl Start {
    /// Of a first distribution.
    pub fn new(sigma: f64, center: &str, task: &TaskSpec) -> Start {
        Start {
            sigma,
            zeros: center == "zeros",
            number: 0,
            fold: Fold::new(task.bounds),
        }
    }

    /// The first step size: the parameter's, if the bounds are not too close for that.
    pub fn step(&self) -> f64 {
        self.fold.map_or(self.sigma, |fold| self.sigma.min(fold.widest()))
    }
}

/// A distribution from which a generation's members are drawn, and which moves by their order. All ranks call it alike.
pub(crate) trait Distribution: Send {
    /// Members of a generation.
    fn members(&self) -> usize;

    /// Makes the first mean, if there is none yet.
    fn begin(&mut self, context: &Context<'_>);

    /// Draws a generation and writes the genomes of the members `rows`, `[rows, dim]`.
    ///
    /// # Errors
    /// Communication, or a covariance that is none any more.
    fn ask(&mut self, context: &Context<'_>, rows: Range<usize>, genes: &mut [f32]) -> Result<()>;

    /// The genome of any member of the generation that was last asked for, until it is told.
    fn member(&self, context: &Context<'_>, member: usize, genes: &mut [f32]);

    /// Moves by the members of the last generation in order, best first.
    ///
    /// # Errors
    /// Communication.
    fn tell(&mut self, context: &Context<'_>, order: &[usize]) -> Result<()>;

    /// As [`Distribution::tell`] by the best `parents` alone; by none at all it stays where it is.
    ///
    /// # Errors
    /// Communication.
    fn tell_parents(&mut self, context: &Context<'_>, order: &[usize], parents: usize) -> Result<()>;

    /// Begins at this genome, in place of the one that [`Distribution::begin`] would choose; before the first generation.
    fn begin_at(&mut self, context: &Context<'_>, genes: &[f32]);

    /// Whether it speaks with other ranks when it is asked or told.
    fn communicates(&self) -> bool {
        false
    }

    /// Why the distribution cannot find anything more, if it is so, by its own numbers and the tolerance of TolX: a share of the first step size. Collective.
    ///
    /// # Errors
    /// Communication.
    fn exhausted(&self, context: &Context<'_>, tol_x: f64) -> Result<Option<Stop>>;

    /// The genome of the mean.
    fn mean(&self, genes: &mut [f32]);

    fn sigma(&self) -> f64;

    /// Longest over shortest axis of the distribution by which the last generation was drawn, once it was told.
    fn axis_ratio(&self) -> f64;

    /// What the last decomposition took, if the last generation had one.
    fn eigen_seconds(&self) -> f64 {
        0.0
    }

    /// Collective.
    ///
    /// # Errors
    /// Communication.
    fn save(&self, context: &Context<'_>) -> Result<Vec<(String, Batch)>>;

    /// # Errors
    /// A state that is not of this distribution.
    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()>;
}

/// Distributions of one kind for a task.
pub(crate) struct Distributions {
    /// Members of the first.
    pub members: usize,
    start: Start,
    make: Box<dyn Fn(usize, Start) -> Box<dyn Distribution> + Send>,
}

impl Distributions {
    /// By a function of members and start.
    pub fn new(
        members: usize,
        start: Start,
        make: impl Fn(usize, Start) -> Box<dyn Distribution> + Send + 'static,
    ) -> Distributions {
        Distributions {
            members,
            start,
            make: Box::new(make),
        }
    }

    /// The distribution of a run.
    pub fn distribution(&self, run: &Run) -> Box<dyn Distribution> {
        let start = Start {
            sigma: self.start.sigma * run.shrunk,
            number: run.number,
            ..self.start
        };
        (self.make)(run.members, start)
    }

    /// The first distribution.
    pub fn first(&self) -> Box<dyn Distribution> {
        self.distribution(&Run::only(self.members))
    }
}

/// The distributions of `cma_es` for a task.
///
/// # Errors
/// More genes than a matrix can have, or one member.
pub(crate) fn full(params: &CmaEsParams, task: &TaskSpec) -> Result<Distributions> {
    full_by(params, task, |constants| constants)
}

/// The same with other constants.
///
/// # Errors
/// As [`full`].
pub(crate) fn full_by(
    params: &CmaEsParams,
    task: &TaskSpec,
    change: impl Fn(Constants) -> Constants + Send + 'static,
) -> Result<Distributions> {
    if task.genome_dim > MOST_GENES {
        let message = format!(
            "a full covariance takes matrices of n x n numbers on every rank, and task \"{}\" has {} genes: expected at most \
             {MOST_GENES}; sep_cma_es takes any number",
            task.name, task.genome_dim
        );
        return Err(Error::config("strategy", "name", message));
    }
    let start = Start::new(params.sigma, &params.center, task);
    let (dim, active, decompositions) = (task.genome_dim, params.active, params.decompositions);
    Ok(Distributions::new(
        members(params.population, task)?,
        start,
        move |members, start| {
            let constants = change(Constants::full(dim, members, active));
            Box::new(Full::new(dim, constants, start, decompositions))
        },
    ))
}

/// The members that a parameter means.
///
/// # Errors
/// One alone has no order.
pub(crate) fn members(parameter: usize, task: &TaskSpec) -> Result<usize> {
    match parameter {
        0 => Ok(default_population(task.genome_dim)),
        1 => {
            let message = "expected 0 (chosen by the number of genes) or at least 2, got 1";
            Err(Error::config("strategy", "population", message))
        }
        given => Ok(given),
    }
}

/// The first mean, before it is folded.
pub(crate) fn center(context: &Context<'_>, start: &Start) -> Vec<f64> {
    let mut genes = vec![0.0f32; context.task.genome_dim];
    if !start.zeros {
        let stream = Stream::new(context.seed, Purpose::Init, 0, start.number);
        context.task.init.draw(&stream, &mut genes);
    }
    unfolded(&genes, start)
}

/// The numbers of which these genes are folded.
pub(crate) fn unfolded(genes: &[f32], start: &Start) -> Vec<f64> {
    let unfold = |gene| start.fold.map_or(gene, |fold| fold.unfold(gene));
    genes.iter().copied().map(f64::from).map(unfold).collect()
}

/// A step size after its change, kept among the numbers whose squares are numbers.
pub(crate) fn step_size(sigma: f64, factor: f64) -> f64 {
    (sigma * factor).clamp(1e-150, 1e150)
}

/// A column of the state with one number a gene.
///
/// # Errors
/// It is missing or has another number.
pub(crate) fn vector(table: &Batch, name: &str, dim: usize) -> Result<Vec<f64>> {
    let values = table.get::<f64>(name)?;
    if values.len() != dim {
        return Err(Error::failed(format!(
            "the checkpoint's {name} has {} numbers, the task's genomes have {dim}",
            values.len()
        )));
    }
    Ok(values.to_vec())
}

/// What is shown of a distribution besides fitness: names, units, meanings.
pub(crate) const DISTRIBUTION_COLUMNS: [(&str, &str, &str); 3] = [
    ("sigma", "", "step size after the update"),
    (
        "axis_ratio",
        "",
        "longest over shortest axis of the distribution by which the members were drawn",
    ),
    (
        "eigen_seconds",
        "s",
        "what decomposing the covariance took in this generation",
    ),
];

/// The best and the mean fitness of rows that are ok, NaN without one.
pub(crate) fn best_and_mean(status: &[u8], fitness: &[f64]) -> [f64; 2] {
    let ok = || {
        (0..fitness.len())
            .filter(|&i| status[i] == Status::Ok as u8)
            .map(|i| fitness[i])
    };
    let (best, sum) = (ok().fold(f64::NAN, f64::max), ok().sum::<f64>());
    [best, sum / ok().count() as f64]
}

/// What is shown of restarts.
const RESTART_COLUMNS: [(&str, &str, &str); 3] = [
    ("restart", "", "restarts before the search of this generation"),
    ("population", "", "its members"),
    (
        "stop",
        "",
        "criterion by which the last search ended that did, 0 while none has; docs/format.md numbers them",
    ),
];

/// best, highest and mean fitness of the last generation, sigma, axis ratio, restart, population, stop.
const COLUMNS: usize = 8;
/// Those before the time of the decomposition.
const OF_DISTRIBUTION: usize = 5;

/// `cma_es` and `sep_cma_es`: searches, one at a time, whose members are offered to the archive, and the best of all.
pub struct CmaEs {
    spec: StrategySpec,
    distributions: Distributions,
    distribution: Box<dyn Distribution>,
    restarts: Restarts,
    /// Of the present distribution.
    progress: Progress,
    tol_fun: f64,
    tol_x: f64,
    /// The member of the highest fitness so far; empty before there is one.
    best: Vec<f32>,
    best_fitness: f64,
    row: [f64; COLUMNS],
    eigen_seconds: f64,
}

impl CmaEs {
    /// # Errors
    /// Parameters that do not fit the task.
    pub fn full(params: &CmaEsParams, restarts: &RestartParams, task: &TaskSpec) -> Result<CmaEs> {
        Ok(CmaEs::new("cma_es", full(params, task)?, restarts, task.genome_dim))
    }

    pub(crate) fn new(name: &str, distributions: Distributions, params: &RestartParams, dim: usize) -> CmaEs {
        let fitness = [
            ("best_fitness", "", "highest fitness so far"),
            ("population_max", "", "highest fitness of a member"),
            ("population_mean", "", "mean fitness of the members"),
        ];
        let history = fitness.iter().chain(&DISTRIBUTION_COLUMNS).chain(&RESTART_COLUMNS);
        CmaEs {
            spec: StrategySpec {
                name: name.into(),
                operators: vec!["sample".into()],
                history: history
                    .map(|(a, b, c)| ((*a).into(), (*b).into(), (*c).into()))
                    .collect(),
                lineage: false,
                first_generation: distributions.members,
                sized_by: &["population"],
                facts: vec![("population".into(), distributions.members.to_string())],
            },
            distribution: distributions.first(),
            restarts: Restarts::new(params, dim, distributions.members),
            distributions,
            progress: Progress::default(),
            tol_fun: params.tol_fun,
            tol_x: params.tol_x,
            best: Vec::new(),
            best_fitness: f64::NAN,
            row: [f64::NAN; COLUMNS],
            eigen_seconds: 0.0,
        }
    }

    /// Whether the present distribution has had its last generation, and why.
    fn stop(&mut self, context: &Context<'_>) -> Result<Option<Stop>> {
        let exhausted = self.distribution.exhausted(context, self.tol_x)?;
        let members = self.distribution.members();
        let by_fitness = self.progress.stop(context.task.genome_dim, members, self.tol_fun);
        Ok(self.restarts.count().or(exhausted).or(by_fitness))
    }
}

impl Strategy for CmaEs {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        prepare(context, self.distribution.members(), 0, candidates);
        let (rows, dim) = (candidates.block.clone(), context.task.genome_dim);
        let genes = candidates.genomes.dense_rows(rows.len(), dim);
        self.distribution.ask(context, rows, genes)?;
        candidates.tags.get_mut::<i32>("operator")?.fill(0);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        let (status, fitness) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("fitness")?);
        let order = best_first(status, fitness);
        let first = order[0];
        if status[first] == Status::Ok as u8 && (self.best.is_empty() || fitness[first] > self.best_fitness) {
            self.best.resize(context.task.genome_dim, 0.0);
            self.distribution.member(context, first, &mut self.best);
            self.best_fitness = fitness[first];
        }
        let [max, mean] = best_and_mean(status, fitness);
        self.distribution.tell(context, &order)?;
        self.progress.push(status, fitness, &order);
        let (sigma, axis_ratio) = (self.distribution.sigma(), self.distribution.axis_ratio());
        self.eigen_seconds = self.distribution.eigen_seconds();
        let run = self.restarts.run;
        if let Some(stop) = self.stop(context)?
            && self.restarts.next(stop, context.seed)
        {
            self.distribution = self.distributions.distribution(&self.restarts.run);
            self.distribution.begin(context);
            self.progress = Progress::default();
        }
        let stop = Stop::code(self.restarts.stop) as f64;
        let restarts = [run.number as f64, run.members as f64, stop];
        let own = [self.best_fitness, max, mean, sigma, axis_ratio];
        self.row[..OF_DISTRIBUTION].copy_from_slice(&own);
        self.row[OF_DISTRIBUTION..].copy_from_slice(&restarts);
        Ok(Next::Generation)
    }

    fn ended(&self) -> Option<String> {
        let stop = self.restarts.stop.filter(|_| self.restarts.ended)?;
        Some(match self.restarts.run.number {
            0 => format!(
                "the search has nothing left to find: {stop}; strategy.restarts = \"ipop\" or \"bipop\" begins another"
            ),
            restarts => format!("{restarts} restarts are over, the last search ended because: {stop}"),
        })
    }

    fn history(&self, row: &mut Vec<f64>) {
        row.extend(&self.row[..OF_DISTRIBUTION]);
        row.push(self.eigen_seconds);
        row.extend(&self.row[OF_DISTRIBUTION..]);
    }

    fn save(&self, context: &Context<'_>) -> Result<State> {
        let dim = context.task.genome_dim;
        let mut scalars = Batch::new();
        scalars.push(
            "row",
            COLUMNS,
            "",
            "last values of the strategy's history columns",
            self.row.to_vec(),
        );
        let mut mean = vec![0.0; dim];
        self.distribution.mean(&mut mean);
        let mut solution = Batch::new();
        let best = if self.best.is_empty() {
            mean.clone()
        } else {
            self.best.clone()
        };
        solution.push("genome", dim, "", "the member of the highest fitness so far", best);
        solution.push("fitness", 1, "", "its fitness", vec![self.best_fitness]);
        solution.push("mean", dim, "", "the distribution's mean after the last update", mean);
        let mut best = Batch::new();
        best.push(
            "genome",
            1,
            "",
            "the member of the highest fitness so far",
            self.best.clone(),
        );
        let mut tables = self.distribution.save(context)?;
        tables.push(("scalars".into(), scalars));
        tables.push(("best".into(), best));
        tables.push(("restarts".into(), self.restarts.table()));
        tables.push(("progress".into(), self.progress.table()));
        Ok(State {
            tables,
            solution: Some(solution),
        })
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.restarts.load(state)?;
        let run = &self.restarts.run;
        self.distribution = self.distributions.distribution(run);
        self.distribution.load(context, state)?;
        self.progress = Progress::of(state, run.generations)?;
        let row = state.table("scalars")?.get::<f64>("row")?;
        self.row.copy_from_slice(
            row.get(..COLUMNS)
                .ok_or_else(|| Error::failed("the checkpoint's row of history is too short"))?,
        );
        self.best_fitness = self.row[0];
        self.best = match state.table("best") {
            Ok(table) => table.get::<f32>("genome")?.to_vec(),
            Err(_) => Vec::new(),
        };
        Ok(())
    }
}
