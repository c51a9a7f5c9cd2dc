//! Generations that several emitters fill.

use illume_core::{
    Archive, Batch, Candidates, Context, Error, Next, Outcome, Result, State, Strategy, StrategySpec, Told,
};
use rayon::prelude::*;

use crate::emitters::{Emitter, seed_of};
use crate::map_elites::prepare;

/// What the history shows.
#[derive(Debug, Clone, Copy)]
struct Row {
    new: f64,
    improved: f64,
    restarts: f64,
    sigma: f64,
}

/// Its columns, in order.
const HISTORY: [(&str, &str); 4] = [
    ("new", "candidates of this generation that found an empty cell"),
    (
        "improved",
        "candidates that exceeded their cell's elite, or its threshold",
    ),
    ("restarts", "restarts of all emitters so far"),
    ("sigma", "median step size of the emitters"),
];

impl Row {
    const NONE: Row = Row {
        new: f64::NAN,
        improved: f64::NAN,
        restarts: f64::NAN,
        sigma: f64::NAN,
    };

    fn values(&self) -> [f64; 4] {
        [self.new, self.improved, self.restarts, self.sigma]
    }

    fn of(values: &[f64]) -> Result<Row> {
        let &[new, improved, restarts, sigma] = values else {
            return Err(Error::failed("the checkpoint's row of history has another length"));
        };
        Ok(Row {
            new,
            improved,
            restarts,
            sigma,
        })
    }
}

/// A strategy of emitters: one after another they have the rows of a generation.
pub(crate) struct Scheduler {
    spec: StrategySpec,
    emitters: Vec<Box<dyn Emitter>>,
    row: Row,
}

/// The place of an emitter's rows in a generation.
fn places(emitters: &[Box<dyn Emitter>]) -> Vec<std::ops::Range<usize>> {
    let ends = emitters.iter().scan(0, |end, emitter| {
        *end += emitter.batch();
        Some(*end - emitter.batch()..*end)
    });
    ends.collect()
}

/// Each emitter's own context.
fn contexts<'a>(context: &Context<'a>) -> impl Iterator<Item = Context<'a>> {
    let &Context {
        seed,
        generation,
        task,
        comm,
    } = context;
    (0..).map(move |index| Context {
        seed: seed_of(seed, index),
        generation,
        task,
        comm,
    })
}

impl Scheduler {
    /// `operator` names what candidates are made by.
    pub fn new(name: &str, operator: &str, emitters: Vec<Box<dyn Emitter>>) -> Scheduler {
        let first_generation = emitters.iter().map(|e| e.batch()).sum();
        let column = |(name, meaning): (&str, &str)| (name.into(), String::new(), meaning.into());
        Scheduler {
            spec: StrategySpec {
                name: name.into(),
                operators: vec![operator.into()],
                history: HISTORY.map(column).to_vec(),
                lineage: false,
                first_generation,
                sized_by: &["batch", "emitters"],
                facts: Vec::new(),
            },
            emitters,
            row: Row::NONE,
        }
    }

    /// Calls all emitters with what is theirs: at once, where none of them communicates.
    fn each<T: Send>(
        &mut self,
        context: &Context<'_>,
        theirs: Vec<T>,
        call: impl Fn(&mut dyn Emitter, &Context<'_>, T) -> Result<()> + Sync,
    ) -> Result<()> {
        let contexts: Vec<Context<'_>> = contexts(context).take(self.emitters.len()).collect();
        let in_turn = context.comm.size() > 1 && self.emitters.iter().any(|e| e.communicates());
        let work = |((emitter, context), theirs): ((&mut Box<dyn Emitter>, &Context<'_>), T)| {
            call(emitter.as_mut(), context, theirs)
        };
        if in_turn {
            let mut all = self.emitters.iter_mut().zip(&contexts).zip(theirs);
            return all.try_for_each(work);
        }
        let all = self.emitters.par_iter_mut().with_max_len(1).zip(&contexts);
        all.zip(theirs).try_for_each(work)
    }
}

impl Strategy for Scheduler {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        for (emitter, context) in self.emitters.iter_mut().zip(contexts(context)) {
            emitter.prepare(&context, archive)?;
        }
        prepare(context, self.spec.first_generation, 0, candidates);
        let meaning = "number of the emitter that proposed it";
        candidates.tags.declare::<i32>("emitter", 1, "", meaning);
        let (block, dim) = (candidates.block.clone(), context.task.genome_dim);
        let [operators, parents, tags] = candidates.tags.columns_mut(["operator", "parents", "emitter"])?;
        operators.values_mut::<i32>()?.fill(0);
        parents.values_mut::<i64>()?.fill(-1);
        let tags = tags.values_mut::<i32>()?;
        // The genes of this rank's rows, an emitter's after another's.
        let mut rest = candidates.genomes.dense_rows(block.len(), dim);
        let mut theirs = Vec::with_capacity(self.emitters.len());
        for (number, place) in places(&self.emitters).into_iter().enumerate() {
            let here = place.start.clamp(block.start, block.end)..place.end.clamp(block.start, block.end);
            tags[here.start - block.start..here.end - block.start].fill(number as i32);
            let (genes, after) = rest.split_at_mut(here.len() * dim);
            rest = after;
            theirs.push((
                here.start.saturating_sub(place.start)..here.end.saturating_sub(place.start),
                genes,
            ));
        }
        self.each(context, theirs, |emitter, context, (rows, genes)| {
            emitter.ask(context, rows, genes)
        })
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        let report = told
            .report
            .ok_or_else(|| Error::failed("candidates of emitters were not offered to the archive"))?;
        let places = places(&self.emitters);
        self.each(context, places, |emitter, context, rows| {
            emitter.tell(context, told, report, rows)
        })?;
        let count = |outcome: Outcome| report.outcome.iter().filter(|o| **o == outcome as u8).count() as f64;
        let mut sigmas: Vec<f64> = self.emitters.iter().map(|e| e.sigma()).collect();
        sigmas.sort_by(f64::total_cmp);
        self.row = Row {
            new: count(Outcome::New),
            improved: count(Outcome::Improved),
            restarts: self.emitters.iter().map(|e| e.restarts()).sum::<u64>() as f64,
            sigma: sigmas.get(sigmas.len() / 2).copied().unwrap_or(f64::NAN),
        };
        Ok(Next::Generation)
    }

    fn history(&self, row: &mut Vec<f64>) {
        row.extend(self.row.values());
    }

    fn save(&self, context: &Context<'_>) -> Result<State> {
        let mut state = State::default();
        let mut row = Batch::new();
        let meaning = "last values of the strategy's history columns";
        row.push("row", HISTORY.len(), "", meaning, self.row.values().to_vec());
        state.tables.push(("scheduler".into(), row));
        for (number, (emitter, context)) in self.emitters.iter().zip(contexts(context)).enumerate() {
            let tables = emitter.save(&context)?;
            let named = tables
                .into_iter()
                .map(|(name, table)| (of_emitter(number, &name), table));
            state.tables.extend(named);
        }
        Ok(state)
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.row = Row::of(state.table("scheduler")?.get::<f64>("row")?)?;
        for (number, (emitter, context)) in self.emitters.iter_mut().zip(contexts(context)).enumerate() {
            let prefix = of_emitter(number, "");
            let own = state.tables.iter().filter_map(|(name, table)| {
                let name = name.strip_prefix(&prefix)?;
                Some((name.to_string(), table.clone()))
            });
            let own = State {
                tables: own.collect(),
                solution: None,
            };
            emitter.load(&context, &own)?;
        }
        Ok(())
    }
}

/// A table of an emitter among those of all.
fn of_emitter(number: usize, table: &str) -> String {
    format!("emitter_{number}_{table}")
}
