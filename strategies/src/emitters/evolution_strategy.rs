//! A search by an evolution strategy whose order is what the archive made of its candidates, and which begins anew at an elite when it is spent: the
//! emitter of CMA-ME and CMA-MAE, as `EvolutionStrategyEmitter` of pyribs (0.12.0, `_evolution_strategy_emitter.py`).

use std::ops::Range;

use illume_core::{Archive, Batch, Context, Error, Inbox, InsertReport, Purpose, Result, State, Stream, Told};

use super::Emitter;
use crate::map_elites::missing;
use crate::optimizers::{Optimizer, Optimizers, Ranking};
use crate::rankers::{Ranker, direction};

/// When a search begins anew, beside the criteria of the evolution strategy itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    /// At no other time.
    Basic,
    /// When the archive took none of its candidates.
    NoImprovement,
    /// After so many generations.
    Every(u64),
}

/// See the module.
pub(crate) struct EvolutionStrategy {
    distributions: Optimizers,
    distribution: Box<dyn Optimizer>,
    ranker: Ranker,
    /// Of the ranker; empty for one without.
    direction: Vec<f64>,
    /// Learns from the candidates that the archive took, however many they are, in place of the better half.
    filter: bool,
    restart: Restart,
    restarts: u64,
    /// Generations since the run began.
    generations: u64,
    /// The search is spent: it begins anew before the next generation.
    spent: bool,
    inbox: Inbox,
}

/// The tolerance of TolX, a share of the first step size: `cma_es`' default.
const TOL_X: f64 = 1e-12;

impl EvolutionStrategy {
    pub fn new(distributions: Optimizers, ranker: Ranker, filter: bool, restart: Restart) -> EvolutionStrategy {
        EvolutionStrategy {
            distribution: distributions.first(),
            distributions,
            ranker,
            direction: Vec::new(),
            filter,
            restart,
            restarts: 0,
            generations: 0,
            spent: false,
            inbox: Inbox::default(),
        }
    }

    /// The direction of the search that begins with this restart.
    fn turn(&mut self, context: &Context<'_>) {
        if self.ranker.has_direction() {
            let stream = Stream::new(context.seed, Purpose::Restart, 0, self.restarts);
            self.direction = direction(&stream, &context.task.descriptor);
        }
    }

    /// Begins anew at an elite, drawn uniformly; where there is none, as it began.
    fn begin_anew(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<()> {
        self.spent = false;
        self.restarts += 1;
        self.distribution = self.distributions.first();
        self.turn(context);
        let filled = &archive.elites().filled;
        if filled.is_empty() {
            return Ok(());
        }
        let stream = Stream::new(context.seed, Purpose::Selection, context.generation, 0);
        let cell = filled[stream.below(0, filled.len() as u64) as usize];
        // Every rank wants the same.
        let ranks = context.comm.size();
        let bounds: Vec<usize> = (0..=ranks).collect();
        let fetched = archive.fetch(&vec![cell; ranks], &bounds, context.comm, &mut self.inbox)?;
        let genome = fetched.genome(cell).ok_or_else(|| missing(cell))?;
        self.distribution.reset(context, genome.dense()?);
        Ok(())
    }
}

impl Emitter for EvolutionStrategy {
    fn batch(&self) -> usize {
        self.distribution.members()
    }

    fn prepare(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<()> {
        if self.generations == 0 {
            self.turn(context);
        }
        if self.spent {
            self.begin_anew(context, archive)?;
        }
        Ok(())
    }

    fn ask(&mut self, context: &Context<'_>, rows: Range<usize>, genes: &mut [f32]) -> Result<()> {
        self.distribution.ask(context, rows, genes)
    }

    fn tell(
        &mut self,
        context: &Context<'_>,
        told: &Told<'_>,
        report: &InsertReport,
        rows: Range<usize>,
    ) -> Result<()> {
        let ranked = self.ranker.rank(told.rows, report, rows, &self.direction)?;
        self.generations += 1;
        let ranking = Ranking {
            parents: self.filter.then_some(ranked.taken),
            ..Ranking::of(&ranked.order)
        };
        self.distribution.tell(context, &ranking)?;
        let exhausted = self.distribution.stop(context, TOL_X)?.is_some();
        let ruled = match self.restart {
            Restart::Basic => false,
            Restart::NoImprovement => ranked.taken == 0,
            Restart::Every(generations) => self.generations.is_multiple_of(generations),
        };
        self.spent = exhausted || ranked.flat || ruled;
        Ok(())
    }

    fn communicates(&self) -> bool {
        self.distribution.communicates()
    }

    fn restarts(&self) -> u64 {
        self.restarts
    }

    fn sigma(&self) -> f64 {
        self.distribution.sigma()
    }

    fn save(&self, context: &Context<'_>) -> Result<Vec<(String, Batch)>> {
        let mut search = Batch::new();
        search.push("restarts", 1, "", "restarts so far", vec![self.restarts]);
        search.push("generations", 1, "", "generations so far", vec![self.generations]);
        let meaning = "whether it begins anew before the next generation";
        search.push("spent", 1, "", meaning, vec![u64::from(self.spent)]);
        let mut tables = self.distribution.save(context)?;
        tables.push(("search".into(), search));
        Ok(tables)
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        let search = state.table("search")?;
        let count = |name: &str| -> Result<u64> {
            let missing = || Error::failed(format!("the checkpoint's search has no {name}"));
            search.get::<u64>(name)?.first().copied().ok_or_else(missing)
        };
        self.restarts = count("restarts")?;
        self.generations = count("generations")?;
        self.spent = count("spent")? != 0;
        self.turn(context);
        self.distribution = self.distributions.first();
        self.distribution.load(context, state)
    }
}
