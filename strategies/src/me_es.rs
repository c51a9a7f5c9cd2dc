//! ME-ES (Colas, Huizinga, Madhavan and Clune, 'Scaling MAP-Elites to deep neuroevolution', GECCO 2020, <https://arxiv.org/abs/2003.01825>), with the numbers of QDax's
//! `mees_emitter.py`: MAP-Elites of which each offspring is the step of an evolution strategy, in turn along novelty and along fitness.
//!
//! A generation evaluates mirrored members around a center, which are not offered to the archive, moves the center along them, and offers where it arrives.

use illume_core::{
    Archive, Batch, Candidates, Context, Error, Inbox, Next, Params, Purpose, Result, State, Strategy, StrategyConfig,
    StrategyEntry, StrategySpec, Stream, Told, params,
};

use crate::candidates::{START, draw_initial, mark_given, prepare};
use crate::center::{Center, UpdateRule};
use crate::emitters::missing;
use crate::record::{HistoryRow, columns, history_row, scalars};
use crate::{Adam, best_first, centred_ranks, mean_and_max};

params! {
    /// Parameters of `me_es`.
    pub struct MeEsParams {
        /// Members around the center, in mirrored pairs: an even number.
        population: usize = 1000, range(2, 1 << 30);
        /// Standard deviation of the perturbations.
        sigma: f64 = 0.02, positive();
        /// Generations that a center moves on for, until the next search begins at an elite, in the other mode.
        steps: u64 = 10, range(1, 1 << 40);
        /// What searches follow: "both" in turn, first novelty, or "explore", novelty alone, or "exploit", fitness alone.
        modes: String = "both".into(), one_of(&["both", "explore", "exploit"]);
        /// Nearest elites whose mean distance is the novelty.
        neighbours: usize = 10, range(1, 1 << 16);
        /// Most novel elites, at one of which a search for novelty begins.
        explore_cells: usize = 5, range(1, 1 << 31);
        /// Best elites, at one of which a search for fitness begins: of all, or as often of the cells in `updated`.
        exploit_cells: usize = 2, range(1, 1 << 31);
        /// Cells that were last taken by offspring, for `exploit_cells`.
        updated: usize = 5, range(1, 1 << 20);
        /// Step size of Adam, whose moments begin anew with every search.
        learning_rate: f64 = 0.01, positive();
        /// L2 penalty on a center, for a gradient in units of fitness ranks per unit of a gene, as in QDax.
        l2: f64 = 0.02, at_least(0.0);
        /// Random candidates that the first generation begins with.
        initial: usize = 1, range(1, 1 << 31);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    cells: true,
    small: "population = 20\nsigma = 0.1\nsteps = 2\nneighbours = 3\nupdated = 2",
    ..StrategyEntry::new(
        "me_es",
        "ME-ES (Colas et al. 2020): MAP-Elites whose offspring are steps of an evolution strategy, along novelty and fitness in turn",
        MeEsParams::describe,
        |config: &StrategyConfig<'_>| {
            let params: MeEsParams = illume_core::params::read(config.strategy, "strategy", &["name"])?;
            if !params.population.is_multiple_of(2) {
                let message = format!("expected an even number (mirrored pairs), got {}", params.population);
                return Err(Error::config("strategy", "population", message));
            }
            if config.task.descriptor.is_empty() && params.modes != "exploit" {
                let message = format!(
                    "expected \"exploit\" for a task without a descriptor, as \"{}\" is one: nothing of it is novel; got \"{}\"",
                    config.task.name, params.modes
                );
                return Err(Error::config("strategy", "modes", message));
            }
            config.claim_rows("population", params.population as f64, 0)?;
            config.claim_rows("initial", params.initial as f64, 1)?;
            Ok(Box::new(MeEs::new(params, config.task.given_rows())))
        },
    )
};

/// Random candidates are operator 0.
const EXPLORE: i32 = 1;
const EXPLOIT: i32 = 2;

/// Where a generation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Random candidates are evaluated, if the archive is empty.
    Start,
    /// The members around the center are.
    Members,
    /// The center is, where it arrived.
    Offspring,
}

/// What is known of the members.
#[derive(Debug, Default)]
struct Members {
    status: Vec<u8>,
    fitness: Vec<f64>,
    /// `[members, k]`.
    descriptor: Vec<f64>,
}

/// An evolution strategy that moves elites.
pub struct MeEs {
    params: MeEsParams,
    rule: UpdateRule,
    spec: StrategySpec,
    phase: Phase,
    center: Center,
    members: Members,
    /// Cells that offspring took, the last one at the end; each once.
    updated: Vec<u32>,
    row: Row,
    inbox: Inbox,
}

history_row! {
    struct Row {
        mode: "", "what the generation followed: 0 novelty, 1 fitness";
        population_mean: "", "mean fitness of the members";
        population_max: "", "highest fitness of a member";
        novelty_mean: "", "mean novelty of the members among the elites";
        novelty_max: "", "highest novelty of a member among the elites";
        offspring_fitness: "", "fitness of the offspring; NaN if its evaluation failed";
    }
}

scalars! {
    struct Scalars {
        steps_taken: u64, "", "moves of the center since its search began";
        row: Row, "", "last values of the strategy's history columns";
    }
}

impl MeEs {
    /// `given` is how many genomes the run was given, if it was ([`illume_core::TaskSpec::given_rows`]).
    pub fn new(params: MeEsParams, given: Option<usize>) -> MeEs {
        let spec = StrategySpec {
            name: "me_es".into(),
            operators: ["random", "explore", "exploit"]
                .into_iter()
                .chain(given.map(|_| START))
                .map(String::from)
                .collect(),
            history: columns(Row::columns_but(None)),
            lineage: false,
            first_generation: params.initial.max(given.unwrap_or(0)) + params.population + 1,
            sized_by: &["population", "initial"],
            facts: Vec::new(),
        };
        let optimizer = Adam {
            learning_rate: params.learning_rate,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        };
        // A center's ascent is sigma times the gradient of which the penalty is told.
        let l2 = params.l2 * params.sigma;
        MeEs {
            params,
            rule: UpdateRule {
                optimizer: Box::new(optimizer),
                l2,
            },
            spec,
            phase: Phase::Start,
            center: Center::default(),
            members: Members::default(),
            updated: Vec::new(),
            row: Row::default(),
            inbox: Inbox::default(),
        }
    }

    fn explores(&self, generation: u64) -> bool {
        match self.params.modes.as_str() {
            "explore" => true,
            "exploit" => false,
            _ => (generation / self.params.steps).is_multiple_of(2),
        }
    }

    /// The elite at which the search of this generation begins; none if there are none.
    fn parent(&self, context: &Context<'_>, archive: &dyn Archive) -> Result<Option<u32>> {
        let (elites, p) = (archive.elites(), &self.params);
        let draw = |index| Stream::new(context.seed, Purpose::Selection, context.generation, index);
        let first = |cells: &[u32], worth: &[f64], most: usize| -> Option<u32> {
            let mut order = best_first(&vec![0; cells.len()], worth);
            order.truncate(most);
            let number = draw(1).below(0, order.len().max(1) as u64) as usize;
            Some(cells[*order.get(number)?])
        };
        if self.explores(context.generation) {
            let novelty = archive.novelty(None, p.neighbours)?;
            return Ok(first(&elites.filled, &novelty, p.explore_cells));
        }
        let of_updated = draw(0).uniform(0) < 0.5 && !self.updated.is_empty();
        let cells = if of_updated { &self.updated } else { &elites.filled };
        let fitness: Vec<f64> = cells.iter().map(|&cell| elites.fitness()[cell as usize]).collect();
        Ok(first(cells, &fitness, p.exploit_cells))
    }

    /// Puts the center on an elite, or where there is none on a random genome.
    fn begin_anew(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<()> {
        let Some(cell) = self.parent(context, archive)? else {
            self.center = Center::draw(context, context.generation);
            return Ok(());
        };
        // Every rank wants the same.
        let ranks = context.comm.size();
        let bounds: Vec<usize> = (0..=ranks).collect();
        let fetched = archive.fetch(&vec![cell; ranks], &bounds, context.comm, &mut self.inbox)?;
        let genes = fetched.genome(cell).ok_or_else(|| missing(cell))?.dense()?;
        self.center = Center::at(context, genes.to_vec());
        Ok(())
    }

    fn ask_members(&self, context: &Context<'_>, candidates: &mut Candidates) {
        prepare(context, self.params.population, 1, candidates);
        candidates.offered = 0..0;
        let rows = candidates.block.clone();
        candidates.genomes = self
            .center
            .around(context, self.params.sigma, self.params.population, rows.clone());
    }

    /// Moves the center along its members.
    fn climb(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<()> {
        let Members {
            status,
            fitness,
            descriptor,
        } = &self.members;
        let novelty = if context.task.descriptor.is_empty() {
            vec![0.0; status.len()]
        } else {
            archive.novelty(Some(descriptor), self.params.neighbours)?
        };
        let explores = self.explores(context.generation);
        let ranks = centred_ranks(status, if explores { &novelty } else { fitness });
        let (population_mean, population_max) = mean_and_max(status, fitness);
        let (novelty_mean, novelty_max) = mean_and_max(status, &novelty);
        self.row = Row {
            mode: f64::from(!explores),
            population_mean,
            population_max,
            novelty_mean,
            novelty_max,
            offspring_fitness: f64::NAN,
        };
        self.center.climb(context, &self.rule, &ranks)
    }
}

impl Strategy for MeEs {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn check(&self, archive: &dyn Archive) -> Result<()> {
        if archive.spec().rule("depth").is_some() {
            let message = "me_es goes back to cells that it has improved, of which each has one elite: expected depth = 1 and keep = \"best\"";
            return Err(Error::config("archive", "depth", message));
        }
        Ok(())
    }

    fn ask(&mut self, context: &Context<'_>, archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        if self.phase == Phase::Start && !archive.elites().filled.is_empty() {
            self.phase = Phase::Members;
        }
        let operator = if self.explores(context.generation) {
            EXPLORE
        } else {
            EXPLOIT
        };
        match self.phase {
            Phase::Start => {
                let given = context.task.given_rows().unwrap_or(0);
                prepare(context, self.params.initial.max(given), 0, candidates);
                draw_initial(context, candidates)?;
                return mark_given(context, candidates, &self.spec.operators);
            }
            Phase::Members => {
                if context.generation.is_multiple_of(self.params.steps) {
                    self.begin_anew(context, archive)?;
                }
                self.ask_members(context, candidates);
            }
            Phase::Offspring => {
                self.climb(context, archive)?;
                prepare(context, 1, 2, candidates);
                let rows = candidates.block.len();
                let genes = candidates.genomes.dense_rows(rows, context.task.genome_dim);
                genes
                    .chunks_exact_mut(context.task.genome_dim)
                    .for_each(|row| row.copy_from_slice(&self.center.genes));
            }
        }
        candidates.tags.get_mut::<i32>("operator")?.fill(operator);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        Ok(())
    }

    fn tell(&mut self, _context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        let (status, fitness) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("fitness")?);
        match self.phase {
            Phase::Start => {
                self.phase = Phase::Members;
                Ok(Next::SameGeneration)
            }
            Phase::Members => {
                self.members = Members {
                    status: status.to_vec(),
                    fitness: fitness.to_vec(),
                    descriptor: told.rows.get::<f64>("descriptor")?.to_vec(),
                };
                self.phase = Phase::Offspring;
                Ok(Next::SameGeneration)
            }
            Phase::Offspring => {
                self.row.offspring_fitness = mean_and_max(status, fitness).1;
                if told.report.is_some_and(|report| report.kept == [0]) {
                    let cell = told.rows.get::<i64>("cell")?[0] as u32;
                    self.updated.retain(|known| *known != cell);
                    self.updated.push(cell);
                    let surplus = self.updated.len().saturating_sub(self.params.updated);
                    self.updated.drain(..surplus);
                }
                self.phase = Phase::Start;
                Ok(Next::Generation)
            }
        }
    }

    fn history(&self, row: &mut Vec<f64>) {
        row.extend(self.row.values());
    }

    /// Saved between generations only.
    fn save(&self, context: &Context<'_>) -> Result<State> {
        let mut state = State::default();
        if !self.center.genes.is_empty() {
            state.tables.push(("center".into(), self.center.table(context)?));
        }
        let mut updated = Batch::new();
        let meaning = "cells that offspring took last, the last one at the end";
        updated.push("cell", 1, "", meaning, self.updated.clone());
        state.tables.push(("updated".into(), updated));
        let scalars = Scalars {
            steps_taken: self.center.steps_taken,
            row: self.row,
        };
        state.tables.push(("scalars".into(), scalars.table()));
        Ok(state)
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        let scalars = Scalars::read(state.table("scalars")?)?;
        self.row = scalars.row;
        self.updated = state.table("updated")?.get::<u32>("cell")?.to_vec();
        self.center = if context.generation > 0 {
            Center::of(context, state.table("center")?, scalars.steps_taken)?
        } else {
            Center::default()
        };
        self.phase = Phase::Start;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
