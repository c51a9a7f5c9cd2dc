//! Evolution strategies alone: searches by an [`Optimizer`], one at a time, the next beginning anew when one has converged. Every strategy that is an
//! optimizer's is one of these.

use illume_core::params::{Params, read};
use illume_core::{
    Archive, Batch, Candidates, Context, Next, Result, State, Status, Strategy, StrategyConfig, StrategySpec, TaskSpec,
    Told,
};

use super::restarts::{RestartParams, Restarts};
use super::stops::{Progress, Stop, longer};
use super::{Optimizer, Optimizers, Ranking, fitness_or_nan};
use crate::candidates::prepare;
use crate::record::{Column, HistoryRow, columns, history_row, push_row};
use crate::{best_first, mean_and_max};

/// The column of the time that a distribution's eigenvectors take, which is measured and in no checkpoint.
pub(crate) const EIGEN_SECONDS: Column = (
    "eigen_seconds",
    "s",
    "what decomposing the covariance took in this generation",
);

/// The column that optimizers without axes have not.
pub(crate) fn no_axes(optimizer: &dyn Optimizer) -> Option<&'static str> {
    optimizer.axis_ratio().is_none().then_some("axis_ratio")
}

history_row! {
    struct Found {
        best_fitness: "", "highest fitness so far";
        population_max: "", "highest fitness of a member";
        population_mean: "", "mean fitness of the members";
        sigma: "", "step size after the update";
        axis_ratio: "", "longest over shortest axis of the distribution by which the members were drawn";
    }
}

history_row! {
    struct OfRestarts {
        restart: "", "restarts before the search of this generation";
        population: "", "its members";
        stop: "", "criterion by which the last search ended that did, 0 while none has; docs/format.md numbers them";
    }
}

/// A strategy that searches by an optimizer.
///
/// # Errors
/// There is not so much memory.
pub(crate) fn strategy(
    name: &str,
    config: &StrategyConfig<'_>,
    optimizers: Optimizers,
    restarts: &RestartParams,
) -> Result<Box<dyn Strategy>> {
    config.claim_rows("population", optimizers.members as f64, 1)?;
    optimizers.claim(config.memory, "name", 1)?;
    Ok(Box::new(Search::new(
        name,
        optimizers,
        restarts,
        config.task.genome_dim,
    )))
}

/// The same of a strategy's own table: its parameters, of which `make` makes the optimizers, and those of restarts.
///
/// # Errors
/// As [`strategy`]; parameters that are wrong.
pub(super) fn of_table<P: Params>(
    name: &str,
    config: &StrategyConfig<'_>,
    make: impl Fn(&P, &TaskSpec) -> Result<Optimizers>,
) -> Result<Box<dyn Strategy>> {
    let (params, restarts): (P, RestartParams) = read(config.strategy, "strategy", &["name"])?;
    strategy(name, config, make(&params, config.task)?, &restarts)
}

/// Searches, one at a time, whose members are offered to the archive, and the best of all.
pub struct Search {
    spec: StrategySpec,
    optimizers: Optimizers,
    pub(super) optimizer: Box<dyn Optimizer>,
    pub(super) restarts: Restarts,
    /// Of the present distribution.
    progress: Progress,
    tol_fun: f64,
    tol_x: f64,
    /// The member of the highest fitness so far; empty before there is one.
    best: Vec<f32>,
    best_fitness: f64,
    found: Found,
    of_restarts: OfRestarts,
    eigen_seconds: f64,
}

impl Search {
    pub(crate) fn new(name: &str, optimizers: Optimizers, params: &RestartParams, dim: usize) -> Search {
        let optimizer = optimizers.first();
        let history = Found::columns_but(no_axes(&*optimizer))
            .chain([EIGEN_SECONDS])
            .chain(OfRestarts::columns_but(None));
        Search {
            spec: StrategySpec {
                name: name.into(),
                operators: vec!["sample".into()],
                history: columns(history),
                lineage: false,
                first_generation: optimizers.members,
                sized_by: &["population"],
                facts: vec![("population".into(), optimizers.members.to_string())],
            },
            optimizer,
            restarts: Restarts::new(params, dim, optimizers.members, optimizers.pairs),
            optimizers,
            progress: Progress::default(),
            tol_fun: params.tol_fun,
            tol_x: params.tol_x,
            best: Vec::new(),
            best_fitness: f64::NAN,
            found: Found::default(),
            of_restarts: OfRestarts::default(),
            eigen_seconds: 0.0,
        }
    }

    /// Whether the present distribution has had its last generation, and why.
    fn stop(&mut self, context: &Context<'_>) -> Result<Option<Stop>> {
        let of_optimizer = self.optimizer.stop(context, self.tol_x)?;
        let members = self.optimizer.members();
        let genes = context.task.genes.as_ref();
        let discrete = genes.is_some_and(|genes| genes.groups().iter().any(|group| group.cells().is_some()));
        let longer = longer(context.task.genome_dim, members, discrete);
        let by_fitness = self.progress.stop(longer, self.tol_fun);
        Ok(self.restarts.count().or(of_optimizer).or(by_fitness))
    }
}

impl Strategy for Search {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        prepare(context, self.optimizer.members(), 0, candidates);
        let (rows, dim) = (candidates.block.clone(), context.task.genome_dim);
        let genes = candidates.genomes.dense_rows(rows.len(), dim);
        self.optimizer.ask(context, rows, genes)?;
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
            self.optimizer.member(context, first, &mut self.best);
            self.best_fitness = fitness[first];
        }
        let (mean, max) = mean_and_max(status, fitness);
        let ranking = Ranking {
            fitness: Some(&fitness_or_nan(status, fitness)),
            ..Ranking::of(&order)
        };
        self.optimizer.tell(context, &ranking)?;
        self.progress.push(status, fitness, &order);
        let sigma = self.optimizer.sigma();
        let axis_ratio = self.optimizer.axis_ratio().unwrap_or(f64::NAN);
        self.eigen_seconds = self.optimizer.eigen_seconds();
        let run = self.restarts.run;
        if let Some(stop) = self.stop(context)?
            && self.restarts.next(stop, context.seed)
        {
            self.optimizer = self.optimizers.of_run(&self.restarts.run);
            self.optimizer.begin(context);
            self.progress = Progress::default();
        }
        self.of_restarts = OfRestarts {
            restart: run.number as f64,
            population: run.members as f64,
            stop: Stop::code(self.restarts.stop) as f64,
        };
        self.found = Found {
            best_fitness: self.best_fitness,
            population_max: max,
            population_mean: mean,
            sigma,
            axis_ratio,
        };
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
        row.extend(self.found.values_but(no_axes(&*self.optimizer)));
        row.push(self.eigen_seconds);
        row.extend(self.of_restarts.values());
    }

    fn save(&self, context: &Context<'_>) -> Result<State> {
        let dim = context.task.genome_dim;
        let mut scalars = Batch::new();
        push_row(&mut scalars, [self.found.values(), self.of_restarts.values()].concat());
        let mut mean = vec![0.0; dim];
        self.optimizer.mean(&mut mean);
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
        let mut tables = self.optimizer.save(context)?;
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
        self.optimizer = self.optimizers.of_run(run);
        self.optimizer.load(context, state)?;
        self.progress = Progress::of(state, run.generations)?;
        let row = state.table("scalars")?.get::<f64>("row")?;
        let (found, of_restarts) = row.split_at(Found::COLUMNS.len().min(row.len()));
        self.found = Found::of(found, None)?;
        self.of_restarts = OfRestarts::of(of_restarts, None)?;
        self.best_fitness = self.found.best_fitness;
        self.best = match state.table("best") {
            Ok(table) => table.get::<f32>("genome")?.to_vec(),
            Err(_) => Vec::new(),
        };
        Ok(())
    }
}
