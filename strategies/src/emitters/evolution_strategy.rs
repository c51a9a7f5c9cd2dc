//! A search by an evolution strategy whose order is what the archive made of its candidates, and which begins anew at an elite when it is spent: the
//! emitter of CMA-ME and CMA-MAE, as `EvolutionStrategyEmitter` of pyribs (0.12.0, `_evolution_strategy_emitter.py`).

use illume_core::{Archive, Context, Error, Inbox, InsertReport, Purpose, Result, State, Stream, Told};

use super::{Column, Emitter, LivesOn, Merge, Part, Piece, Proposal, Rows, missing, one_row};
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
pub(super) const TOL_X: f64 = 1e-12;

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
    fn parts(&self) -> Vec<Part> {
        vec![Part::new("sample", self.distribution.members())]
    }

    fn lives_on(&self) -> LivesOn {
        self.ranker.lives_on()
    }

    fn needs_competition(&self) -> bool {
        self.ranker.needs_competition()
    }

    fn in_turn(&self, ranks: usize) -> bool {
        ranks > 1 && self.distribution.communicates()
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

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, proposal: Proposal<'_>) -> Result<()> {
        let (rows, mut pieces) = (proposal.rows, proposal.pieces);
        // What it draws on this rank follows one another, and is drawn at once, also where there is nothing.
        let start = pieces.first().map_or(0, |piece| rows.before(piece.first));
        let count: usize = pieces.iter().map(Piece::rows).sum();
        if let [piece] = pieces.as_mut_slice() {
            return self.distribution.ask(context, start..start + count, piece.genes);
        }
        let mut genes = vec![0.0; count * context.task.genome_dim];
        self.distribution.ask(context, start..start + count, &mut genes)?;
        let mut rest = genes.as_slice();
        for piece in pieces {
            let (own, after) = rest.split_at(piece.genes.len());
            piece.genes.copy_from_slice(own);
            rest = after;
        }
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>, report: &InsertReport, rows: &Rows<'_>) -> Result<()> {
        let ranked = self.ranker.rank(told.rows, report, &rows.numbers(), &self.direction)?;
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

    fn restarts(&self) -> Option<u64> {
        Some(self.restarts)
    }

    fn columns(&self) -> Vec<Column> {
        let column = |name, meaning, of_several| Column {
            name,
            unit: "",
            meaning,
            of_several,
        };
        vec![
            column("restarts", "restarts of all emitters so far", Merge::Sum),
            column("sigma", "median step size of the emitters", Merge::Median),
        ]
    }

    fn values(&self) -> Vec<f64> {
        vec![self.restarts as f64, self.distribution.sigma()]
    }

    fn save(&self, context: &Context<'_>) -> Result<State> {
        // One that a bandit has never let take part has not begun.
        let mut tables = if self.generations > 0 {
            self.distribution.save(context)?
        } else {
            Vec::new()
        };
        let search = one_row(&[
            ("restarts", "restarts so far", self.restarts),
            ("generations", "generations so far", self.generations),
            (
                "spent",
                "whether it begins anew before the next generation",
                u64::from(self.spent),
            ),
        ]);
        tables.push(("search".into(), search));
        Ok(State { tables, solution: None })
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
        self.distribution = self.distributions.first();
        if self.generations > 0 {
            self.turn(context);
            self.distribution.load(context, state)?;
        }
        Ok(())
    }
}
