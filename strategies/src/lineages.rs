//! What genetic algorithms over lineages share: their noise, individuals and their children, decoded parents, and tables in a checkpoint.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::sync::Arc;

use illume_core::noise::NoiseTable;
use illume_core::params::ParamInfo;
use illume_core::{
    Batch, Candidates, Context, Decoder, Error, Genomes, Lineages, Params, Result, State, StrategyConfig, TaskSpec,
    both, params,
};
use rayon::prelude::*;

params! {
    /// Parameters of every strategy whose genomes are lineages.
    pub struct LineageParams {
        /// Where the noise of a lineage's steps comes from: a stream for each step, or slices of a shared table as in the original program.
        noise: String = "counter".into(), one_of(&["counter", "table"]);
        /// Entries of that table, 4 bytes each on every rank.
        noise_table: usize = 250_000_000, range(1, 1 << 34);
        /// Megabytes (10^6 bytes) that a rank may use for decoded parents. Results do not depend on it.
        cache_mb: usize = 512, range(0, 1 << 24);
    }
}

impl LineageParams {
    /// These parameters and a strategy's own from one table; `task` is what they are for.
    ///
    /// # Errors
    /// Every problem at once.
    pub(crate) fn read_with<P: Params>(
        table: &illume_core::toml::Table,
        task: &TaskSpec,
    ) -> Result<(P, LineageParams)> {
        let keys = [LineageParams::names(), vec!["name"]].concat();
        let own = illume_core::params::read::<P>(table, "strategy", &keys);
        let shared = LineageParams::of(table).and_then(|p| p.check(task).map(|()| p));
        both(own, shared)
    }

    /// These parameters alone, out of a strategy's table.
    ///
    /// # Errors
    /// A value that is not accepted.
    pub fn of(strategy: &illume_core::toml::Table) -> Result<LineageParams> {
        let names = LineageParams::names();
        let mine = strategy.iter().filter(|(key, _)| names.contains(&key.as_str()));
        let mine = mine.map(|(key, value)| (key.clone(), value.clone())).collect();
        illume_core::params::read(&mine, "strategy", &[])
    }

    /// A strategy's own parameters with these behind them, as `illume list` shows them.
    pub(crate) fn describe_with<P: Params>() -> Vec<ParamInfo> {
        [P::describe(), LineageParams::describe()].concat()
    }

    /// Claims what a generation of so many rows takes, and the noise table.
    ///
    /// # Errors
    /// There is not so much memory.
    pub(crate) fn claim(&self, config: &StrategyConfig<'_>, key: &str, rows: f64) -> Result<()> {
        if self.noise == "table" {
            let what = format!("{} numbers of noise", self.noise_table);
            let bytes = size_of::<f32>() as f64 * self.noise_table as f64;
            config.memory.claim("strategy", "noise_table", bytes, &what)?;
        }
        config.claim_rows(key, rows, 0)
    }

    fn check(&self, task: &TaskSpec) -> Result<()> {
        if self.noise != "table" || self.noise_table >= task.genome_dim {
            return Ok(());
        }
        let message = format!(
            "expected at least the {} genes of a genome, got {}",
            task.genome_dim, self.noise_table
        );
        Err(Error::config("strategy", "noise_table", message))
    }

    /// A decoder of these lineages with nothing cached. With `noise = "table"` this makes the table, unless it is in use already.
    pub fn decoder(&self, seed: u64, task: &TaskSpec) -> Decoder {
        Decoder {
            table: (self.noise == "table").then(|| NoiseTable::shared(self.noise_table)),
            ..Decoder::new(seed, task)
        }
    }

    /// Decoded genomes that fit into the cache.
    fn room(&self, genome_dim: usize) -> usize {
        self.cache_mb * 1_000_000 / (4 * genome_dim).max(1)
    }

    /// What the log says at the start: memory of a rank, and whether `parents` decoded parents fit.
    pub(crate) fn facts(&self, task: &TaskSpec, parents: usize) -> Vec<(String, String)> {
        let megabytes = |bytes: usize| bytes as f64 / 1e6;
        let (dim, room) = (task.genome_dim, self.room(task.genome_dim));
        let mut decoded = format!(
            "{} of {parents} parents of {dim} genes, {:.1} MB a rank, and {:.1} MB a thread",
            parents.min(room),
            megabytes(4 * dim * parents.min(room)),
            megabytes(4 * dim),
        );
        if room < parents {
            decoded += "; children of the others are decoded from further back (strategy.cache_mb)";
        }
        let mut facts = vec![("decoded genomes".to_string(), decoded)];
        if self.noise == "table" {
            let size = megabytes(4 * self.noise_table);
            facts.push((
                "noise table".into(),
                format!("{} entries, {size:.1} MB a rank", self.noise_table),
            ));
        }
        facts
    }
}

/// One individual: the steps that make its genome, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Individual {
    pub streams: Vec<u64>,
    pub scales: Vec<f32>,
    /// Its validated mean, or the mean of the episodes by which it was found; NaN before it is evaluated.
    pub score: f64,
    /// Mean steps of these episodes.
    pub steps: u32,
}

impl Individual {
    /// The child of `parent`, or without one a fresh genome, by the stream `own` (see [`illume_core::genome::stream_id`]).
    pub fn child(parent: Option<&Individual>, own: u64, sigma: f32) -> Individual {
        let (mut streams, mut scales) = parent.map_or_else(Default::default, |p| (p.streams.clone(), p.scales.clone()));
        streams.push(own);
        scales.push(if parent.is_some() { sigma } else { 1.0 });
        Individual {
            streams,
            scales,
            score: f64::NAN,
            steps: 0,
        }
    }

    /// The stream that names it.
    pub fn id(&self) -> u64 {
        self.streams[self.streams.len() - 1]
    }
}

/// Keeps the decoded genomes of the individuals that are built upon, as many as its bound allows.
#[derive(Debug, Default)]
pub(crate) struct Nursery {
    params: LineageParams,
    decoder: Option<Arc<Decoder>>,
}

impl Nursery {
    pub fn new(params: LineageParams) -> Nursery {
        Nursery { params, decoder: None }
    }

    /// Decodes the individuals that will be built upon, the most wanted first; each is one step away from one decoded a generation
    /// ago. `candidates` are those of the last generation, whose genomes are given up. At no time are there more genomes than the bound
    /// allows: the last child of a parent that is not needed any more is made in the parent's place.
    pub fn remember(&mut self, context: &Context<'_>, candidates: &mut Candidates, needed: &[&Individual]) {
        candidates.genomes = Genomes::default();
        let room = self.params.room(context.task.genome_dim);
        let mut decoder = match self.decoder.take().map(Arc::try_unwrap) {
            Some(Ok(decoder)) => decoder,
            _ => self.params.decoder(context.seed, context.task),
        };
        let mut ids = HashSet::new();
        let needed = needed
            .iter()
            .filter(|individual| ids.insert(individual.id()))
            .take(room);
        let mut wanted: Vec<Wanted<'_>> = needed
            .map(|individual| {
                let (from, ancestor) = decoder.cached(&individual.streams);
                Wanted {
                    individual,
                    from,
                    ancestor,
                }
            })
            .collect();
        let kept: HashSet<u64> = wanted.iter().map(|w| w.individual.id()).collect();
        wanted.retain(|w| w.from < w.individual.streams.len());

        let ancestors: HashSet<u64> = wanted.iter().filter_map(|w| w.ancestor).collect();
        decoder
            .cache
            .retain(|id, _| kept.contains(id) || ancestors.contains(id));
        let mut replaced = HashSet::new();
        // Last children first, so that every other one finds its ancestor whole.
        let (last, others): (Vec<_>, Vec<_>) = wanted.iter().rev().partition(|w| {
            let free = w.ancestor.filter(|id| !kept.contains(id));
            free.is_some_and(|id| replaced.insert(id))
        });
        let fresh: Vec<_> = others
            .par_iter()
            .map(|w| {
                let mut genes = Vec::new();
                decoder.decode(&w.individual.streams, &w.individual.scales, &mut genes);
                (w.individual.id(), Arc::new(genes))
            })
            .collect();
        let in_place: Vec<_> = last
            .into_iter()
            .filter_map(|w| Some((w, decoder.cache.remove(&w.ancestor?)?)))
            .collect();
        let moved: Vec<_> = in_place
            .into_par_iter()
            .map(|(w, mut genes)| {
                let (streams, scales) = (&w.individual.streams[w.from..], &w.individual.scales[w.from..]);
                let own: &mut Vec<f32> = Arc::make_mut(&mut genes);
                decoder.extend(streams, scales, own);
                (w.individual.id(), genes)
            })
            .collect();
        decoder.cache.extend(fresh.into_iter().chain(moved));
        self.decoder = Some(Arc::new(decoder));
    }

    /// Forgets what is decoded, for a state that is loaded.
    pub fn forget(&mut self) {
        self.decoder = None;
    }

    /// Makes the genomes of this rank's block: row i is the individual that `row(i)` gives. After [`Nursery::remember`].
    pub fn fill<T: Borrow<Individual>>(&self, candidates: &mut Candidates, row: impl Fn(usize) -> T) {
        let mut lineages = Lineages {
            decoder: self.decoder.clone(),
            ..Lineages::new()
        };
        for i in candidates.block.clone() {
            let individual = row(i);
            lineages.push(&individual.borrow().streams, &individual.borrow().scales);
        }
        candidates.genomes = Genomes::Lineage(lineages);
    }
}

/// An individual that is to be decoded, from `ancestor` in the cache (or from nothing), `from` steps on its way.
struct Wanted<'a> {
    individual: &'a Individual,
    from: usize,
    ancestor: Option<u64>,
}

/// Individuals as a table; steps are concatenated in the table of the same name with `_steps`.
pub(crate) fn tables<'a>(name: &str, individuals: impl IntoIterator<Item = &'a Individual>) -> [(String, Batch); 2] {
    let individuals: Vec<&Individual> = individuals.into_iter().collect();
    let mut rows = Batch::new();
    rows.push(
        "score",
        1,
        "",
        "validated mean, or that of the episodes by which it was found",
        individuals.iter().map(|i| i.score).collect(),
    );
    let lengths = individuals.iter().map(|i| i.streams.len() as u64).collect();
    rows.push("length", 1, "", "steps of the lineage", lengths);
    rows.push(
        "steps",
        1,
        "steps",
        "mean length of the episodes by which it was found",
        individuals.iter().map(|i| i.steps).collect(),
    );
    let mut steps = Batch::new();
    steps.push(
        "stream",
        1,
        "",
        "noise stream ids",
        individuals.iter().flat_map(|i| i.streams.clone()).collect(),
    );
    steps.push(
        "scale",
        1,
        "",
        "scale of each step",
        individuals.iter().flat_map(|i| i.scales.clone()).collect(),
    );
    [(name.to_string(), rows), (format!("{name}_steps"), steps)]
}

/// The individuals of a table that [`tables`] made.
///
/// # Errors
/// A table is missing or damaged, or holds no lineages of a run with so many finished generations.
pub(crate) fn individuals(state: &State, name: &str, generations: u64) -> Result<Vec<Individual>> {
    let rows = state.table(name)?;
    let (scores, lengths) = (rows.get::<f64>("score")?, rows.get::<u64>("length")?);
    let episode_steps = rows.get::<u32>("steps")?;
    if scores.is_empty() {
        return Ok(Vec::new());
    }
    let steps = state.table(&format!("{name}_steps"))?;
    let (mut streams, mut scales) = (steps.get::<u64>("stream")?, steps.get::<f32>("scale")?);
    let (mut found, mut lineages) = (Vec::new(), Lineages::new());
    let damaged = |what: &str| Error::input(format!("the checkpoint's state table '{name}' is damaged: {what}"));
    for ((&score, &n), &steps) in scores.iter().zip(lengths).zip(episode_steps) {
        let n = n as usize;
        if n == 0 || n > streams.len() || n > scales.len() {
            return Err(damaged("a lineage is longer than its steps"));
        }
        let ((mine, rest), (mine_scales, rest_scales)) = (streams.split_at(n), scales.split_at(n));
        found.push(Individual {
            streams: mine.to_vec(),
            scales: mine_scales.to_vec(),
            score,
            steps,
        });
        lineages.push(mine, mine_scales);
        (streams, scales) = (rest, rest_scales);
    }
    lineages.check(generations, 0).map_err(|what| damaged(&what))?;
    Ok(found)
}

/// Adds the columns of an individual's lineage to the one row of a strategy's solution.
pub(crate) fn push_lineage(solution: &mut Batch, individual: &Individual, whose: &str) {
    let n = individual.streams.len();
    solution.push(
        "lineage_streams",
        n,
        "",
        &format!("noise stream ids of {whose}"),
        individual.streams.clone(),
    );
    solution.push("lineage_scales", n, "", "scale of each step", individual.scales.clone());
}

#[cfg(test)]
mod tests;
