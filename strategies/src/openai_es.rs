//! OpenAI-ES (Salimans et al., 'Evolution strategies as a scalable alternative to reinforcement learning', 2017,
//! <https://arxiv.org/abs/1703.03864>): mirrored sampling, centred ranks, Adam on the shaped gradient with L2.
//!
//! Symbols: theta = center, sigma = sigma, epsilon_i = noise of pair i, F = fitness. Only scalars cross the wire: every rank
//! regenerates any slice of any member's noise and updates its own slice of the parameters over all members in member order.

use std::sync::Arc;

use std::ops::Range;

use illume_core::{
    Archive, Batch, Candidates, Context, Error, Next, Normalization, Params, Purpose, Result, State, Strategy,
    StrategyConfig, StrategyEntry, StrategySpec, Stream, Told, params,
};

use crate::candidates::prepare;
use crate::center::{Center, CenterParams, UpdateRule};
use crate::record::{HistoryRow, columns, history_row, scalars};
use crate::{centred_ranks, mean_and_max};

params! {
    /// Parameters of `openai_es` beside [`CenterParams`].
    pub struct OpenAiEsParams {
        /// Members per generation, in mirrored pairs: an even number.
        population: usize = 256, range(2, 1 << 30);
        /// Standard deviation of the perturbations.
        sigma: f64 = 0.02, positive();
        /// Episodes of the center each generation; they are counted, reported, offered to the archive, and as long as the task allows.
        center_episodes: usize = 1, range(1, 1 << 20);
        /// Whether the two members of a pair share their evaluation seed.
        common_random_numbers: bool = false, any();
        /// Whether observations are normalized by running statistics.
        normalize_observations: bool = false, any();
        /// Share of the members' episodes that contribute to the statistics.
        observation_share: f64 = 0.01, range(0.0, 1.0);
        /// Normalized observations are clipped to plus and minus this.
        observation_clip: f64 = 5.0, positive();
        /// "none", or "adaptive": no member's episode is longer than `cap_factor` times the last generation's mean length.
        episode_cap: String = "none".into(), one_of(&["none", "adaptive"]);
        /// See `episode_cap`.
        cap_factor: f64 = 2.0, range(1.0, 1e6);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    small: "population = 20\nsigma = 0.1",
    suggested: "[policy]\nnormalization = \"virtual_batch\"",
    steps: &[("sigma", 1.0), ("learning_rate", 0.5)],
    ..StrategyEntry::new(
        "openai_es",
        "OpenAI-ES (Salimans et al. 2017): mirrored sampling, centred ranks, Adam or SGD",
        <(OpenAiEsParams, CenterParams)>::describe,
        |config: &StrategyConfig<'_>| {
            let (params, center): (OpenAiEsParams, CenterParams) =
                illume_core::params::read(config.strategy, "strategy", &["name"])?;
            if !params.population.is_multiple_of(2) {
                let message = format!("expected an even number (mirrored pairs), got {}", params.population);
                return Err(Error::config("strategy", "population", message));
            }
            if params.normalize_observations && config.task.observation_dim == 0 {
                let message = format!("task \"{}\" has no observations to normalize", config.task.name);
                return Err(Error::config("strategy", "normalize_observations", message));
            }
            if params.normalize_observations && params.observation_share == 0.0 {
                let message =
                    "expected above 0 with normalize_observations = true, since statistics need episodes, got 0.0";
                return Err(Error::config("strategy", "observation_share", message));
            }
            config.claim_rows("population", params.population as f64, 0)?;
            Ok(Box::new(OpenAiEs::new(params, &center)))
        },
    )
};

/// Variances of observations are not taken below this, nor deviations below its root (evolution-strategies-starter, es.py:42).
const VARIANCE_FLOOR: f64 = 1e-2;
/// Observations of mean 0 and variance 1 that the statistics begin with (the same, es.py:25-29 and 141-144).
const BEGINNING: f64 = 1e-2;

/// Running sums of the observations; f64, added in row order.
#[derive(Debug, Clone, Default, PartialEq)]
struct Moments {
    count: f64,
    /// `[2 * observation_dim]`: sums, then sums of squares.
    sums: Vec<f64>,
}

impl Moments {
    /// Before any episode.
    fn new(observation_dim: usize) -> Moments {
        let mut sums = vec![0.0; 2 * observation_dim];
        sums[observation_dim..].fill(BEGINNING);
        Moments { count: BEGINNING, sums }
    }

    fn normalization(&self, clip: f64) -> Normalization {
        let (sums, squares) = self.sums.split_at(self.sums.len() / 2);
        let mean: Vec<f64> = sums.iter().map(|s| s / self.count).collect();
        let variance = squares.iter().zip(&mean).map(|(q, m)| q / self.count - m * m);
        let sd = variance.map(|v| v.max(VARIANCE_FLOOR).sqrt() as f32);
        Normalization {
            sd: sd.collect(),
            mean: mean.iter().map(|m| *m as f32).collect(),
            clip: clip as f32,
        }
    }
}

/// One center, improved along the shaped gradient of its mirrored perturbations.
pub struct OpenAiEs {
    params: OpenAiEsParams,
    spec: StrategySpec,
    rule: UpdateRule,
    center: Center,
    moments: Moments,
    normalization: Option<Arc<Normalization>>,
    cap: Option<u32>,
    row: Row,
}

history_row! {
    struct Row {
        center_fitness: "", "mean fitness of the center's own episodes, before the update";
        population_mean: "", "mean fitness of the members";
        population_max: "", "highest fitness of a member";
        mean_steps: "steps", "mean episode length of the members";
        episode_cap: "steps", "longest episode of a member allowed in this generation, 0 for the task's own limit";
    }
}

scalars! {
    struct Scalars {
        steps_taken: u64, "", "updates made";
        cap: u32, "steps", "cap on members' episodes in the next generation, 0 for none";
        count: f64, "", "observations in the statistics, with the 0.01 that they begin with";
        row: Row, "", "last values of the strategy's history columns";
    }
}

impl OpenAiEs {
    pub fn new(params: OpenAiEsParams, center: &CenterParams) -> OpenAiEs {
        let spec = StrategySpec {
            name: "openai_es".into(),
            operators: vec!["center".into()],
            history: columns(Row::columns_but(None)),
            lineage: false,
            first_generation: params.population + params.center_episodes,
            sized_by: &["population", "center_episodes"],
            facts: Vec::new(),
        };
        OpenAiEs {
            params,
            spec,
            rule: UpdateRule::new(center),
            center: Center::default(),
            moments: Moments::default(),
            normalization: None,
            cap: None,
            row: Row::default(),
        }
    }

    fn start(&mut self, context: &Context<'_>) {
        self.center = Center::draw(context, 0);
        self.measured(Moments::new(context.task.observation_dim));
    }

    /// Takes up statistics, and what follows from them.
    fn measured(&mut self, moments: Moments) {
        self.moments = moments;
        self.normalization = (self.params.normalize_observations)
            .then(|| Arc::new(self.moments.normalization(self.params.observation_clip)));
    }

    fn observe(&mut self, context: &Context<'_>, told: &Told<'_>, steps: &[u32]) {
        let width = 2 * context.task.observation_dim;
        let mut moments = std::mem::take(&mut self.moments);
        for (row, sums) in told
            .candidates
            .observed
            .iter()
            .zip(told.moments.chunks_exact(width.max(1)))
        {
            moments.count += f64::from(steps[*row as usize]);
            moments.sums.iter_mut().zip(sums).for_each(|(a, b)| *a += b);
        }
        self.measured(moments);
    }
}

impl OpenAiEs {
    /// The center, and how its network normalizes observations.
    fn solution(&self) -> Batch {
        let genes = &self.center.genes;
        let mut solution = Batch::new();
        solution.push(
            "genome",
            genes.len(),
            "",
            "the center after the last update",
            genes.to_vec(),
        );
        let meaning = "mean fitness of the center before the last update";
        solution.push("fitness", 1, "", meaning, vec![self.row.center_fitness]);
        if let Some(n) = &self.normalization {
            let width = n.mean.len();
            solution.push(
                "observation_mean",
                width,
                "",
                "subtracted from observations",
                n.mean.clone(),
            );
            solution.push(
                "observation_sd",
                width,
                "",
                "observations are divided by it",
                n.sd.clone(),
            );
            let meaning = "normalized observations are clipped to plus and minus it";
            solution.push("observation_clip", 1, "", meaning, vec![n.clip]);
        }
        solution
    }
}

impl Strategy for OpenAiEs {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        if self.center.genes.is_empty() {
            self.start(context);
        }
        let members = self.params.population;
        let total = members + self.params.center_episodes;
        prepare(context, total, 0, candidates);
        candidates.offered = members..total;
        let rows = candidates.block.clone();
        if self.params.common_random_numbers {
            let stream = Stream::new(context.seed, Purpose::EvaluationSeed, context.generation, 2);
            for (i, seed) in rows.clone().zip(&mut candidates.seeds).filter(|(i, _)| *i < members) {
                *seed = stream.word64(i as u64 / 2);
            }
        }
        candidates.genomes = self.center.around(context, self.params.sigma, members, rows.clone());
        candidates.tags.get_mut::<i32>("operator")?.fill(0);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        candidates.max_steps = self.cap;
        candidates.uncapped = members..total;
        candidates.normalization = self.normalization.clone();
        if self.params.normalize_observations {
            let stream = Stream::new(context.seed, Purpose::Observation, context.generation, 0);
            let share = self.params.observation_share;
            let chosen = (0..members as u32).filter(|i| stream.uniform(u64::from(*i)) < share);
            candidates.observed.extend(chosen);
        }
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        let members = self.params.population;
        let (status, fitness) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("fitness")?);
        let steps = told.rows.get::<u32>("steps")?;
        let shown = |rows: Range<usize>| mean_and_max(&status[rows.clone()], &fitness[rows]);
        let (population_mean, population_max) = shown(0..members);
        let mean_steps = steps[..members].iter().map(|s| f64::from(*s)).sum::<f64>() / members as f64;
        self.row = Row {
            center_fitness: shown(members..told.candidates.total).0,
            population_mean,
            population_max,
            mean_steps,
            episode_cap: f64::from(self.cap.unwrap_or(0)),
        };
        if self.params.episode_cap == "adaptive" {
            self.cap = Some((self.params.cap_factor * mean_steps).ceil().max(1.0) as u32);
        }
        let ranks = centred_ranks(&status[..members], &fitness[..members]);
        self.center.climb(context, &self.rule, &ranks)?;
        if self.params.normalize_observations {
            self.observe(context, told, steps);
        }
        Ok(Next::Generation)
    }

    fn history(&self, row: &mut Vec<f64>) {
        row.extend(self.row.values());
    }

    fn save(&self, context: &Context<'_>) -> Result<State> {
        let parameters = self.center.table(context)?;
        let scalars = Scalars {
            steps_taken: self.center.steps_taken,
            cap: self.cap.unwrap_or(0),
            count: self.moments.count,
            row: self.row,
        };
        let mut observations = Batch::new();
        let meaning = "sums, then sums of squares, of observations";
        observations.push("sums", 1, "", meaning, self.moments.sums.clone());
        let tables = [
            ("parameters", parameters),
            ("scalars", scalars.table()),
            ("observations", observations),
        ];
        Ok(State {
            tables: tables.map(|(n, b)| (n.to_string(), b)).to_vec(),
            solution: Some(self.solution()),
        })
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        let scalars = Scalars::read(state.table("scalars")?)?;
        self.center = Center::of(context, state.table("parameters")?, scalars.steps_taken)?;
        self.cap = Some(scalars.cap).filter(|c| *c > 0);
        self.row = scalars.row;
        let moments = match state.table("observations") {
            Ok(table) if scalars.count > 0.0 => Moments {
                count: scalars.count,
                sums: table.get::<f64>("sums")?.to_vec(),
            },
            // Earlier versions began with nothing, and may have measured nothing.
            _ => Moments::new(context.task.observation_dim),
        };
        self.measured(moments);
        Ok(())
    }
}

#[cfg(test)]
#[path = "openai_es_tests.rs"]
mod tests;
