//! Generations that several emitters fill: the `Scheduler` of pyribs, the `MultiEmitter` of QDax.

mod bandit;
mod history;

use std::sync::Arc;

use illume_core::{
    Archive, Batch, Candidates, Context, InsertReport, Network, Next, Result, State, Strategy, StrategySpec, Told,
};
use rayon::prelude::*;

pub(crate) use bandit::{Bandit, Reselect};
use history::Shown;

use crate::candidates::{START, draw_initial, mark_given, prepare};
use crate::emitters::{Emitter, Emitters, Part, Piece, Proposal, Rows, Run, layout, seed_of, within};

/// What a strategy of emitters is.
pub(crate) struct Composition {
    pub name: &'static str,
    /// Random policies that are evaluated in place of a generation as long as an emitter lacks elites to begin with; 0 for as many as a generation has.
    pub initial: usize,
    /// The parameters that set a generation's size.
    pub sized_by: &'static [&'static str],
    pub emitters: Emitters,
    /// See [`illume_core::TaskSpec::given_rows`]: such genomes are evaluated first, whatever the emitters need.
    pub given: Option<usize>,
    /// Whether emitters are apart: each draws by a seed of its own, its number is in the column `emitter`, and the history shows what the archive made of a generation. The
    /// emitters of one published algorithm are not apart.
    pub apart: bool,
    /// Whether the history shows what became of each operator's candidates.
    pub by_operator: bool,
    /// Chooses those that take part in a generation; without one, all do.
    pub bandit: Option<Bandit>,
    /// Evaluations of each candidate that are averaged, random policies included, where its part does not say.
    pub samples: u32,
    /// Whether the archive is told how far apart a candidate's evaluations lie.
    pub spread: bool,
}

/// The operator of random policies.
const RANDOM: &str = "random";

/// A phase of a generation: who has which rows.
#[derive(Debug)]
struct Phase {
    total: usize,
    offered: bool,
    network: Option<Arc<Network>>,
    /// Rows of each emitter.
    runs: Vec<Vec<Run>>,
}

/// A strategy of emitters.
pub(crate) struct Scheduler {
    spec: StrategySpec,
    emitters: Emitters,
    /// What each makes.
    parts: Vec<Vec<Part>>,
    /// What the column `operator` calls each of an emitter's parts.
    operators: Vec<Vec<i32>>,
    initial: usize,
    needs_elites: bool,
    apart: bool,
    bandit: Option<Bandit>,
    samples: u32,
    spread: bool,
    /// Whether rows say how many evaluations they are the mean of, and whether some are elites again.
    sampled: bool,
    /// Which emitters take part in the generation.
    active: Vec<bool>,
    phases: Vec<Phase>,
    /// The phase that is asked for or told next.
    phase: usize,
    /// The generation is one of random policies.
    random: bool,
    shown: Shown,
}

/// The phases of a generation in which those emitters take part that are `active`.
fn phases(parts: &[Vec<Part>], active: &[bool]) -> Vec<Phase> {
    let all = parts.iter().enumerate().filter(|(emitter, _)| active[*emitter]);
    let all = all.flat_map(|(emitter, parts)| parts.iter().enumerate().map(move |(i, part)| (emitter, i, part)));
    let mut groups: Vec<Vec<(usize, usize, &Part)>> = Vec::new();
    for found in all.filter(|(.., part)| part.rows > 0) {
        let together = |other: &Part| {
            (other.phase, other.offered, &other.network) == (found.2.phase, found.2.offered, &found.2.network)
        };
        match groups.iter_mut().find(|group| together(group[0].2)) {
            Some(group) => group.push(found),
            None => groups.push(vec![found]),
        }
    }
    groups.sort_by_key(|group| group[0].2.phase);
    let phase = |group: Vec<(usize, usize, &Part)>| {
        let (runs, total) = layout(&group, parts.len());
        Phase {
            total,
            offered: group[0].2.offered,
            network: group[0].2.network.clone(),
            runs,
        }
    };
    groups.into_iter().map(phase).collect()
}

/// An emitter and what it is called with.
struct Call<'a, T> {
    emitter: &'a mut dyn Emitter,
    context: Context<'a>,
    rows: Rows<'a>,
    theirs: T,
}

impl Scheduler {
    pub fn new(composition: Composition) -> Scheduler {
        let Composition {
            name,
            initial,
            sized_by,
            emitters,
            given,
            apart,
            by_operator,
            bandit,
            samples,
            spread,
        } = composition;
        let needs_elites = emitters.iter().any(|e| e.needs_elites());
        let parts: Vec<Vec<Part>> = emitters.iter().map(|e| e.parts()).collect();
        let mut names: Vec<&str> = if needs_elites || given.is_some() {
            vec![RANDOM]
        } else {
            Vec::new()
        };
        let mut number = |part: &Part| {
            let known = names.iter().position(|name| *name == part.operator);
            known.unwrap_or_else(|| {
                names.push(part.operator);
                names.len() - 1
            }) as i32
        };
        let operators = parts
            .iter()
            .map(|parts| parts.iter().map(&mut number).collect())
            .collect();
        if given.is_some() {
            names.push(START);
        }
        let sampled = samples > 1 || parts.iter().flatten().any(|part| part.samples > 0 || part.again);
        let active = vec![true; emitters.len()];
        let phases = phases(&parts, &active);
        let all: usize = phases.first().map_or(0, |phase| phase.total);
        let initial = if initial == 0 { all } else { initial };
        let first = match needs_elites {
            true => initial,
            false => phases.iter().map(|phase| phase.total).sum(),
        };
        let first = first.max(given.unwrap_or(0)).saturating_mul(samples as usize);
        let shown = Shown::new(&emitters, apart, by_operator.then_some(names.as_slice()));
        Scheduler {
            spec: StrategySpec {
                name: name.into(),
                operators: names.iter().map(ToString::to_string).collect(),
                history: shown.columns(),
                lineage: false,
                first_generation: first,
                sized_by,
                facts: emitters.iter().flat_map(|e| e.facts()).collect(),
            },
            emitters,
            parts,
            operators,
            initial,
            needs_elites,
            apart,
            bandit,
            samples,
            spread,
            sampled,
            active,
            phases,
            phase: 0,
            random: false,
            shown,
        }
    }

    /// The context of an emitter.
    fn context<'a>(&self, context: &Context<'a>, emitter: usize) -> Context<'a> {
        let seed = if self.apart {
            seed_of(context.seed, emitter)
        } else {
            context.seed
        };
        Context { seed, ..*context }
    }

    /// Calls some of the emitters one after another.
    fn in_order(
        &mut self,
        context: &Context<'_>,
        included: impl Fn(&Scheduler, usize) -> bool,
        mut call: impl FnMut(&mut dyn Emitter, &Context<'_>) -> Result<()>,
    ) -> Result<()> {
        for number in 0..self.emitters.len() {
            if included(self, number) {
                let context = self.context(context, number);
                call(self.emitters[number].as_mut(), &context)?;
            }
        }
        Ok(())
    }

    /// Begins a generation: chooses who takes part, and readies them.
    fn begin(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<()> {
        if let Some(bandit) = &mut self.bandit {
            let restarts: Vec<Option<u64>> = self.emitters.iter().map(|e| e.restarts()).collect();
            let active = bandit.choose(&restarts);
            if active != self.active {
                self.phases = phases(&self.parts, &active);
                self.active = active;
            }
        }
        let active = |all: &Scheduler, number: usize| all.active[number];
        self.in_order(context, active, |emitter, context| emitter.prepare(context, archive))?;
        if self.emitters.iter().any(|e| e.changes()) {
            self.parts = self.emitters.iter().map(|e| e.parts()).collect();
            self.phases = phases(&self.parts, &self.active);
        }
        Ok(())
    }

    /// Says of rows how many evaluations they are the mean of, and that none is an elite again; where no row is anything else, nothing.
    fn tag_samples(&self, candidates: &mut Candidates) -> Result<()> {
        let tags = &mut candidates.tags;
        if self.sampled {
            tags.declare::<u32>(SAMPLES.0, 1, "", SAMPLES.1);
            tags.get_mut::<u32>(SAMPLES.0)?.fill(self.samples);
            tags.declare::<i64>(MEMBER.0, 1, "", MEMBER.1);
            tags.get_mut::<i64>(MEMBER.0)?.fill(-1);
        }
        if self.spread {
            tags.declare::<f64>(SPREAD.0, 1, "", SPREAD.1);
        }
        Ok(())
    }

    /// Calls the emitters of the phase with what is theirs: those that want it in turn, all others at once.
    fn each<T: Send>(
        &mut self,
        context: &Context<'_>,
        theirs: Vec<T>,
        included: impl Fn(&dyn Emitter, &[Run]) -> bool,
        call: impl Fn(&mut dyn Emitter, &Context<'_>, Rows<'_>, T) -> Result<()> + Sync,
    ) -> Result<()> {
        let contexts: Vec<Context<'_>> = (0..self.emitters.len())
            .map(|number| self.context(context, number))
            .collect();
        let (phase, last) = (self.phase, self.phase + 1 == self.phases.len());
        let all = self.emitters.iter_mut().zip(&self.phases[self.phase].runs);
        let calls = all
            .zip(contexts)
            .zip(theirs)
            .map(|(((emitter, runs), context), theirs)| Call {
                emitter: emitter.as_mut(),
                context,
                rows: Rows { phase, last, runs },
                theirs,
            });
        let calls = calls.filter(|call| included(call.emitter, call.rows.runs));
        let (in_turn, at_once): (Vec<_>, Vec<_>) = calls.partition(|c| c.emitter.in_turn(context.comm.size()));
        let work = |c: Call<'_, T>| call(c.emitter, &c.context, c.rows, c.theirs);
        at_once.into_par_iter().with_max_len(1).try_for_each(work)?;
        in_turn.into_iter().try_for_each(work)
    }
}

impl Strategy for Scheduler {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn check(&self, archive: &dyn Archive) -> Result<()> {
        self.emitters.iter().try_for_each(|emitter| emitter.check(archive))
    }

    fn ask(&mut self, context: &Context<'_>, archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        let episodes = self.emitters.iter().any(|e| e.needs_episodes());
        if self.phase == 0 {
            let given = context.task.given_rows().unwrap_or(0);
            self.random = (self.needs_elites || given > 0) && archive.elites().filled.is_empty();
            if self.random {
                let initial = if self.needs_elites { self.initial } else { 0 };
                prepare(context, initial.max(given), 0, candidates);
                candidates.record = episodes;
                if self.apart {
                    candidates.tags.declare::<i32>(EMITTER.0, 1, "", EMITTER.1);
                    candidates.tags.get_mut::<i32>(EMITTER.0)?.fill(-1);
                }
                self.tag_samples(candidates)?;
                draw_initial(context, candidates)?;
                return mark_given(context, candidates, &self.spec.operators);
            }
            self.begin(context, archive)?;
        }
        let phase = &self.phases[self.phase];
        prepare(context, phase.total, self.phase as u64, candidates);
        candidates.record = episodes;
        candidates.competition = self.emitters.iter().any(|e| e.needs_competition());
        candidates.network.clone_from(&phase.network);
        if !phase.offered {
            candidates.offered = 0..0;
        }
        let dim = phase
            .network
            .as_ref()
            .map_or(context.task.genome_dim, |network| network.params());
        if self.apart {
            candidates.tags.declare::<i32>(EMITTER.0, 1, "", EMITTER.1);
        }
        self.tag_samples(candidates)?;
        let (block, total) = (candidates.block.clone(), phase.total);
        // This rank's rows in the order of the generation, and whose they are.
        let mut here: Vec<(usize, Run)> = Vec::new();
        for (number, runs) in phase.runs.iter().enumerate() {
            here.extend(within(runs, block.clone()).map(|run| (number, run)));
        }
        here.sort_unstable_by_key(|(_, run)| run.rows.start);
        let of = |run: &Run| run.rows.start - block.start..run.rows.end - block.start;
        let operators = candidates.tags.get_mut::<i32>("operator")?;
        for (number, run) in &here {
            operators[of(run)].fill(self.operators[*number][run.part]);
        }
        if self.apart {
            let tags = candidates.tags.get_mut::<i32>(EMITTER.0)?;
            here.iter().for_each(|(number, run)| tags[of(run)].fill(*number as i32));
        }
        let part = |number: usize, run: &Run| &self.parts[number][run.part];
        let mut again: Vec<std::ops::Range<usize>> = Vec::new();
        if self.sampled {
            let samples = candidates.tags.get_mut::<u32>(SAMPLES.0)?;
            for (number, run) in &here {
                match part(*number, run) {
                    part if part.again => {
                        samples[of(run)].fill(1);
                        again.push(of(run));
                    }
                    part if part.samples > 0 => samples[of(run)].fill(part.samples),
                    _ => {}
                }
            }
        }
        let mut parents = candidates.tags.get_mut::<i64>("parents")?;
        parents.fill(-1);
        let mut genes = candidates.genomes.dense_rows(block.len(), dim);
        let mut pieces: Vec<Vec<Piece<'_>>> = self.emitters.iter().map(|_| Vec::new()).collect();
        for (number, run) in here {
            let (own_genes, rest) = genes.split_at_mut(run.rows.len() * dim);
            let (own_parents, other) = parents.split_at_mut(2 * run.rows.len());
            (genes, parents) = (rest, other);
            pieces[number].push(Piece {
                part: run.part,
                first: run.rows.start,
                genes: own_genes,
                parents: own_parents,
            });
        }
        let has_rows = |_: &dyn Emitter, runs: &[Run]| !runs.is_empty();
        self.each(context, pieces, has_rows, |emitter, context, rows, pieces| {
            emitter.ask(context, archive, Proposal { rows, total, pieces })
        })?;
        for rows in again {
            let parents = candidates.tags.get::<i64>("parents")?;
            let members: Vec<i64> = rows.clone().map(|row| parents[2 * row]).collect();
            candidates.tags.get_mut::<i64>(MEMBER.0)?[rows].copy_from_slice(&members);
        }
        if self.phase == 0 {
            let active = |all: &Scheduler, number: usize| all.active[number];
            self.in_order(context, active, |emitter, context| emitter.asked(context))?;
        }
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        let none = InsertReport::default();
        let report = told.report.unwrap_or(&none);
        self.shown.take(told, report, self.phase)?;
        if self.random {
            let rows = Rows {
                phase: 0,
                last: true,
                runs: &[],
            };
            let learns = |all: &Scheduler, number: usize| all.emitters[number].needs_episodes();
            let tell = |emitter: &mut dyn Emitter, context: &Context<'_>| emitter.tell(context, told, report, &rows);
            self.in_order(context, learns, tell)?;
            return Ok(Next::Generation);
        }
        let nothing = vec![(); self.emitters.len()];
        let learns = |emitter: &dyn Emitter, runs: &[Run]| !runs.is_empty() || emitter.needs_episodes();
        self.each(context, nothing, learns, |emitter, context, rows, ()| {
            emitter.tell(context, told, report, &rows)
        })?;
        if let Some(bandit) = self.bandit.as_mut().filter(|_| told.report.is_some()) {
            for (number, runs) in self.phases[self.phase].runs.iter().enumerate() {
                let rows = || runs.iter().flat_map(|run| run.rows.clone());
                bandit.learn(number, rows().count(), rows().filter(|row| report.took(*row)).count());
            }
        }
        self.phase = (self.phase + 1) % self.phases.len();
        Ok(if self.phase == 0 {
            Next::Generation
        } else {
            Next::SameGeneration
        })
    }

    fn history(&self, row: &mut Vec<f64>) {
        self.shown.values(&self.emitters, row);
    }

    fn save(&self, context: &Context<'_>) -> Result<State> {
        let mut state = State::default();
        for (number, emitter) in self.emitters.iter().enumerate() {
            let own = emitter.save(&self.context(context, number))?;
            let own_name = |name: String| if self.apart { of_emitter(number, &name) } else { name };
            state
                .tables
                .extend(own.tables.into_iter().map(|(name, table)| (own_name(name), table)));
            state.solution = state.solution.or(own.solution);
        }
        let remembered = self.shown.remembered(&self.emitters);
        if !remembered.is_empty() {
            let mut table = Batch::new();
            let meaning = "the history's columns that nothing else in the checkpoint gives again";
            table.push("values", 1, "", meaning, remembered);
            state.tables.push((REMEMBERED.into(), table));
        }
        if let Some(bandit) = &self.bandit {
            state.tables.push((BANDIT.into(), bandit.save()));
        }
        Ok(state)
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        for number in 0..self.emitters.len() {
            let context = self.context(context, number);
            if !self.apart {
                self.emitters[number].load(&context, state)?;
                continue;
            }
            let prefix = of_emitter(number, "");
            let own = state.tables.iter().filter_map(|(name, table)| {
                let name = name.strip_prefix(&prefix)?;
                Some((name.to_string(), table.clone()))
            });
            let own = State {
                tables: own.collect(),
                solution: None,
            };
            self.emitters[number].load(&context, &own)?;
        }
        if !self.shown.remembered(&self.emitters).is_empty() {
            let values = state.table(REMEMBERED)?.get::<f64>("values")?;
            self.shown.remember(&mut self.emitters, values)?;
        }
        if let Some(bandit) = &mut self.bandit {
            self.active = bandit.load(state.table(BANDIT)?)?;
            self.phases = phases(&self.parts, &self.active);
        }
        Ok(())
    }
}

/// The column that says whose a candidate is.
const EMITTER: (&str, &str) = (
    "emitter",
    "number of the emitter that proposed it, -1 for random policies",
);

/// Columns of candidates that are evaluated several times, or again.
const SAMPLES: (&str, &str) = ("samples", "evaluations that fitness and descriptor are the means of");
const MEMBER: (&str, &str) = (
    "member",
    "number of the elite that is evaluated again, -1 for a new candidate",
);
const SPREAD: (&str, &str) = ("spread", "mean distance between the descriptors of its evaluations");

/// Tables of the scheduler's own.
const REMEMBERED: &str = "operators";
const BANDIT: &str = "bandit";

/// A table of an emitter among those of all.
fn of_emitter(number: usize, table: &str) -> String {
    format!("emitter_{number}_{table}")
}
