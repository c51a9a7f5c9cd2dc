//! AURORA (Cully, 'Autonomous skill discovery with quality-diversity and unsupervised descriptors', GECCO 2019, <https://arxiv.org/abs/1905.11874>; Grillotti and Cully, 'Unsupervised
//! behaviour discovery with quality-diversity optimisation', IEEE Transactions on Evolutionary Computation 26(6), 2022, <https://arxiv.org/abs/2106.05648>): MAP-Elites without a descriptor of
//! anybody's making. An encoder learns one from what the task shows of the members of a container; from time to time it learns anew, and all members are described by what it then knows.

use illume_core::{
    Archive, Batch, CODE, Candidates, Context, ENCODER, FEATURES, LearnedDescriptors, Next, Result, State, Status,
    Strategy, StrategyConfig, StrategyEntry, StrategySpec, Told, params, params::Params,
};

use crate::encoders::{Encoder, EncoderParams, Key};
use crate::map_elites::{All, composition};
use crate::record::{HistoryRow, columns, history_row, scalars};
use crate::scheduler::Scheduler;
use crate::visited::{VISITED, Visited};

params! {
    /// When `aurora` learns.
    pub struct AuroraParams {
        /// The encoder learns on the first candidates, twice as many generations later, and then after as many generations more than the time before.
        update_every: u64 = 10, range(1, 1 << 40);
        /// Generations after which it learns at the latest.
        update_most: u64 = 15_000, range(1, 1 << 40);
    }
}

type Own = (AuroraParams, EncoderParams);

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    learns: true,
    features: true,
    categories: true,
    small: "batch = 30\nlatent = 2\nencoder_hidden = [8]\nencoder_epochs = 3\nencoder_batch = 10\nupdate_every = 1",
    suggested: "[strategy]\nline_sigma = 0.2\nlatent = 2",
    steps: &[("iso_sigma", 0.5)],
    ..StrategyEntry::new(
        "aurora",
        "AURORA (Cully 2019; Grillotti and Cully 2022): MAP-Elites in a container whose descriptors an encoder learns",
        <(All, Own)>::describe,
        build,
    )
};

fn build(config: &StrategyConfig<'_>) -> Result<Box<dyn Strategy>> {
    let (variation, (schedule, encoder)): (All, Own) =
        illume_core::params::read(config.strategy, "strategy", &["name"])?;
    let inner = Scheduler::new(composition("aurora", config, &variation)?);
    let encoder = Encoder::of_task("aurora", encoder, config)?;
    Ok(Box::new(Aurora::new(
        inner,
        encoder,
        schedule,
        Visited::of(config.task),
    )))
}

/// The table of its own.
const STATE: &str = "aurora";

/// A strategy of emitters, and the encoder of the descriptors by which its archive goes.
struct Aurora {
    inner: Scheduler,
    spec: StrategySpec,
    schedule: AuroraParams,
    encoder: Encoder,
    /// The generation before which the encoder learned last.
    last: u64,
    visited: Option<Visited>,
    /// All but `visited`.
    row: Row,
}

history_row! {
    struct Row {
        encoder_updates: "", "times that the encoder has learned";
        encoder_error: "", "mean squared error of what the encoder gives back of the last examples that it learned from, in units of their variance";
        min_distance: "", "distance that members kept before the generation";
    }
}

scalars! {
    struct Scalars {
        last: u64, "", "generation before which the encoder learned last";
        row: Row, "", "last values of the strategy's history columns";
    }
}

impl Aurora {
    fn new(inner: Scheduler, encoder: Encoder, schedule: AuroraParams, visited: Option<Visited>) -> Aurora {
        let mut spec = inner.spec().clone();
        let own = Row::columns_but(None).chain(visited.as_ref().map(|_| VISITED));
        spec.history.extend(columns(own));
        spec.facts.push(("encoder".into(), encoder.in_words()));
        Aurora {
            inner,
            spec,
            schedule,
            encoder,
            last: 0,
            visited,
            row: Row::filled(0.0),
        }
    }

    /// The generation before which the encoder learns next.
    fn next(&self) -> u64 {
        let gap = self.schedule.update_every.saturating_mul(self.encoder.learned() + 1);
        self.last + gap.min(self.schedule.update_most)
    }

    fn train(&mut self, context: &Context<'_>, seen: &[f32]) {
        let key = Key {
            seed: context.seed,
            generation: context.generation,
        };
        self.encoder.learn(key, seen);
        self.last = context.generation;
        let errors = self.encoder.errors(seen);
        self.row.encoder_updates = self.encoder.learned() as f64;
        self.row.encoder_error = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
    }
}

impl LearnedDescriptors for Aurora {
    fn dim(&self) -> usize {
        self.encoder.latent()
    }

    fn learn(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<Option<Vec<f64>>> {
        let elites = archive.elites();
        if elites.filled.is_empty() {
            return Ok(None);
        }
        let distance = elites.columns().get::<f64>("min_distance");
        self.row.min_distance = distance.ok().and_then(|d| d.first()).copied().unwrap_or(0.0);
        if context.generation < self.next() {
            return Ok(None);
        }
        let (features, width) = (elites.columns().get::<f32>(FEATURES)?, self.encoder.inputs());
        let cells = elites.filled.iter().map(|cell| *cell as usize * width);
        let seen: Vec<f32> = cells.flat_map(|at| &features[at..at + width]).copied().collect();
        self.train(context, &seen);
        Ok(Some(self.encoder.encode(&seen)))
    }

    fn describe(&mut self, context: &Context<'_>, rows: &mut Batch) -> Result<()> {
        let (status, features) = (rows.get::<u8>("status")?, rows.get::<f32>(FEATURES)?);
        if self.encoder.learned() == 0 {
            let ok = features.chunks_exact(self.encoder.inputs()).zip(status);
            let ok = ok.filter(|(_, status)| **status == Status::Ok as u8);
            let seen: Vec<f32> = ok.flat_map(|(seen, _)| seen).copied().collect();
            self.train(context, &seen);
        }
        let codes = self.encoder.encode(rows.get::<f32>(FEATURES)?);
        let meaning = "learned descriptor: what the encoder makes of the features";
        rows.declare::<f64>(CODE, self.encoder.latent(), "", meaning);
        rows.get_mut::<f64>(CODE)?.copy_from_slice(&codes);
        Ok(())
    }
}

impl Strategy for Aurora {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        self.inner.ask(context, archive, candidates)?;
        candidates.features = true;
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        if let Some(visited) = &mut self.visited {
            visited.take(told.rows)?;
        }
        self.inner.tell(context, told)
    }

    fn learned(&mut self) -> Option<&mut dyn LearnedDescriptors> {
        Some(self)
    }

    fn history(&self, row: &mut Vec<f64>) {
        self.inner.history(row);
        row.extend(self.row.values());
        row.extend(self.visited.as_ref().map(Visited::share));
    }

    fn save(&self, context: &Context<'_>) -> Result<State> {
        let mut state = self.inner.save(context)?;
        let own = Scalars {
            last: self.last,
            row: self.row,
        };
        state.tables.push((STATE.into(), own.table()));
        state.tables.push((ENCODER.into(), self.encoder.table()));
        state
            .tables
            .extend(self.visited.as_ref().map(|v| ("visited".into(), v.save())));
        Ok(state)
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.inner.load(context, state)?;
        let own = Scalars::read(state.table(STATE)?)?;
        (self.last, self.row) = (own.last, own.row);
        self.encoder.load(state.table(ENCODER)?)?;
        match &mut self.visited {
            Some(visited) => visited.load(state.table("visited")?),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Generations before which the encoder learns, where it always finds something to learn from.
    fn updates(every: u64, most: u64, generations: u64) -> Vec<u64> {
        let task = illume_core::TaskSpec {
            features: 4,
            ..crate::testing::task(3, true)
        };
        let text = format!("update_every = {every}\nupdate_most = {most}\nlatent = 1\nencoder = \"pca\"");
        let table: illume_core::toml::Table = text.parse().unwrap();
        let config = StrategyConfig {
            strategy: &table,
            task: &task,
            memory: &illume_core::Memory::unlimited(),
        };
        let (variation, (schedule, encoder)): (All, Own) = illume_core::params::read(&table, "strategy", &[]).unwrap();
        let inner = Scheduler::new(composition("aurora", &config, &variation).unwrap());
        let encoder = Encoder::of_task("aurora", encoder, &config).unwrap();
        let mut aurora = Aurora::new(inner, encoder, schedule, None);
        let seen: Vec<f32> = (0..40).map(|i| (i * i % 7) as f32).collect();
        let comm = crate::testing::Silent(0, 1);
        let mut found = Vec::new();
        for generation in 0..generations {
            if generation == 0 || generation >= aurora.next() {
                let context = Context {
                    seed: 1,
                    generation,
                    task: &task,
                    comm: &comm,
                };
                aurora.train(&context, &seen);
                found.push(generation);
            }
        }
        found
    }

    /// The authors' (`dimensionality_reduction.hpp:61-69`) begin at 1: 1, 21, 51, 91, 141.
    #[test]
    fn gaps_between_updates_grow_by_as_many_generations_as_the_authors() {
        assert_eq!(updates(10, 15_000, 150), [0, 20, 50, 90, 140]);
        assert_eq!(updates(10, 25, 100), [0, 20, 45, 70, 95]);
        assert_eq!(updates(1, 15_000, 12), [0, 2, 5, 9]);
    }

    #[test]
    fn a_task_that_shows_nothing_is_refused() {
        let task = crate::testing::task(3, true);
        let config = StrategyConfig {
            strategy: &illume_core::toml::Table::new(),
            task: &task,
            memory: &illume_core::Memory::unlimited(),
        };
        let message = build(&config).map(|_| ()).unwrap_err().to_string();
        assert!(
            message.contains("strategy.name") && message.contains("shows nothing"),
            "{message}"
        );
    }
}
