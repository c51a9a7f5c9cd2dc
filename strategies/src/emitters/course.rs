//! The course of a search that is ordered by what the archive made of its candidates: what orders it, when it is spent, and where it begins anew.

use illume_core::{Archive, Batch, Context, Error, Inbox, InsertReport, Purpose, Result, State, Stream, Told};

use super::{Column, Merge, Rows, drawn, missing, one_row};
use crate::optimizers::Optimizer;
use crate::rankers::{Ranked, Ranker, direction};

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
pub(crate) struct Course {
    pub ranker: Ranker,
    /// Of the ranker; empty for one without.
    direction: Vec<f64>,
    /// Learns from the candidates that the archive took, however many they are, in place of the better half.
    pub filter: bool,
    restart: Restart,
    pub restarts: u64,
    /// Generations since the run began.
    generations: u64,
    /// The search is spent: it begins anew before the next generation.
    pub spent: bool,
    inbox: Inbox,
}

/// The tolerance of TolX, a share of the first step size: `cma_es`' default.
const TOL_X: f64 = 1e-12;

/// The table of a checkpoint that holds it.
const TABLE: &str = "search";

impl Course {
    pub fn new(ranker: Ranker, filter: bool, restart: Restart) -> Course {
        Course {
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

    /// Whether a generation has been told. One that a bandit has never let take part has not begun.
    pub fn begun(&self) -> bool {
        self.generations > 0
    }

    /// The direction of the search that begins with this restart.
    pub fn turn(&mut self, context: &Context<'_>) {
        if self.ranker.has_direction() {
            let stream = Stream::new(context.seed, Purpose::Restart, 0, self.restarts);
            self.direction = direction(&stream, &context.task.descriptor);
        }
    }

    /// The genome of an elite, drawn uniformly; none where there is no elite. Collective: every rank gets it.
    ///
    /// # Errors
    /// Communication.
    pub fn elite(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<Option<Vec<f32>>> {
        if archive.elites().filled.is_empty() {
            return Ok(None);
        }
        let stream = Stream::new(context.seed, Purpose::Selection, context.generation, 0);
        let cell = drawn(archive, stream.word64(0));
        let ranks = context.comm.size();
        let bounds: Vec<usize> = (0..=ranks).collect();
        let fetched = archive.fetch(&vec![cell; ranks], &bounds, context.comm, &mut self.inbox)?;
        let genome = fetched.genome(cell).ok_or_else(|| missing(cell))?;
        Ok(Some(genome.dense()?.to_vec()))
    }

    /// The search's rows in order.
    ///
    /// # Errors
    /// A column is missing.
    pub fn rank(&self, told: &Told<'_>, report: &InsertReport, rows: &Rows<'_>) -> Result<Ranked> {
        self.ranker.rank(told.rows, report, &rows.numbers(), &self.direction)
    }

    /// Ends a generation: the optimizer has learned from these rows.
    ///
    /// # Errors
    /// Communication.
    pub fn over(&mut self, context: &Context<'_>, ranked: &Ranked, optimizer: &dyn Optimizer) -> Result<()> {
        self.generations += 1;
        let exhausted = optimizer.stop(context, TOL_X)?.is_some();
        let ruled = match self.restart {
            Restart::Basic => false,
            Restart::NoImprovement => ranked.taken == 0,
            Restart::Every(generations) => self.generations.is_multiple_of(generations),
        };
        self.spent = exhausted || ranked.flat || ruled;
        Ok(())
    }

    /// Columns of the history, as [`super::Emitter::columns`].
    pub fn columns(&self) -> Vec<Column> {
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

    /// Their values, with the optimizer's step size.
    pub fn values(&self, optimizer: &dyn Optimizer) -> Vec<f64> {
        vec![self.restarts as f64, optimizer.sigma()]
    }

    /// Itself and the optimizer, if that has begun, as tables; further counts stand beside its own. Collective.
    ///
    /// # Errors
    /// Communication.
    pub fn save(
        &self,
        context: &Context<'_>,
        optimizer: &dyn Optimizer,
        further: &[(&str, &str, u64)],
    ) -> Result<Vec<(String, Batch)>> {
        let mut tables = if self.begun() {
            optimizer.save(context)?
        } else {
            Vec::new()
        };
        let meaning = "whether it begins anew before the next generation";
        let own = [
            ("restarts", "restarts so far", self.restarts),
            ("generations", "generations so far", self.generations),
            ("spent", meaning, u64::from(self.spent)),
        ];
        tables.push((TABLE.into(), one_row(&[&own[..], further].concat())));
        Ok(tables)
    }

    /// Goes back to what was saved, the optimizer apart.
    ///
    /// # Errors
    /// A count is missing.
    pub fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.restarts = count(state, "restarts")?;
        self.generations = count(state, "generations")?;
        self.spent = count(state, "spent")? != 0;
        if self.begun() {
            self.turn(context);
        }
        Ok(())
    }
}

/// A count of a saved search.
///
/// # Errors
/// It is missing.
pub(super) fn count(state: &State, name: &str) -> Result<u64> {
    let missing = || Error::failed(format!("the checkpoint's search has no {name}"));
    let values = state.table(TABLE)?.get::<u64>(name)?;
    values.first().copied().ok_or_else(missing)
}
