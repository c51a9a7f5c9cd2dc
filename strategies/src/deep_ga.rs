//! Deep GA (Such et al., 'Deep neuroevolution: genetic algorithms are a competitive alternative for training deep neural networks for
//! reinforcement learning', 2017, <https://arxiv.org/abs/1712.06567>), as its GPU program runs it: truncation selection, mutation of all genes,
//! no crossover, an elite chosen by re-evaluation that survives as a parent only. Genomes are lineages of noise streams.
//!
//! With `parents = 0` the same program is random search, the paper's baseline.

use std::collections::HashMap;
use std::sync::Arc;

use illume_core::genome::stream_id;
use illume_core::{
    Archive, Batch, Candidates, Context, Decoder, Error, Genomes, Lineages, Next, Params, Purpose, Result, State,
    Status, Strategy, StrategyConfig, StrategyEntry, StrategySpec, Stream, Told, params,
};
use rayon::prelude::*;

use crate::best_first;
use crate::map_elites::prepare;

params! {
    /// Parameters of `deep_ga`.
    pub struct DeepGaParams {
        /// Children per generation.
        population: usize = 1000, range(1, 1 << 31);
        /// Best children that become parents (truncation size T); 0 for random search.
        parents: usize = 20, range(0, 1 << 20);
        /// Mutation power: standard deviation of the noise added to every gene.
        sigma: f64 = 0.002, positive();
        /// Best candidates (the last elite among them) that are validated each generation; 0 for none.
        validation_candidates: usize = 10, range(0, 1 << 20);
        /// Further episodes of each validated candidate; counted in the budget; a deterministic task needs none and gets none.
        validation_episodes: usize = 30, range(0, 1 << 20);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    name: "deep_ga",
    summary: "Deep GA (Such et al. 2017): truncation selection over lineages of noise streams; random search with parents = 0",
    params: DeepGaParams::describe,
    network: false,
    build: |config: &StrategyConfig<'_>| {
        let params: DeepGaParams = illume_core::params::read(config.strategy, "strategy", &["name"])?;
        if params.parents > params.population {
            let message = format!(
                "expected at most strategy.population ({}), got {}",
                params.population, params.parents
            );
            return Err(Error::config("strategy", "parents", message));
        }
        Ok(Box::new(DeepGa::new(params, config.task.deterministic)))
    },
};

const RANDOM: i32 = 0;
const MUTATION: i32 = 1;

/// One individual that may have children.
#[derive(Debug, Clone, PartialEq)]
struct Individual {
    streams: Vec<u64>,
    scales: Vec<f32>,
    /// Its validated mean, or its single episode's score.
    score: f64,
}

impl Individual {
    /// The stream that names it.
    fn id(&self) -> u64 {
        self.streams[self.streams.len() - 1]
    }
}

/// Where a generation stands.
enum Phase {
    Children,
    /// Candidates whose validation episodes are being evaluated, and the parents to be if the first of them wins.
    Validation {
        validated: Vec<Individual>,
        parents: Vec<Individual>,
    },
}

/// A genetic algorithm over lineages.
pub struct DeepGa {
    params: DeepGaParams,
    spec: StrategySpec,
    validates: bool,
    phase: Phase,
    parents: Vec<Individual>,
    elite: Option<Individual>,
    /// The elite of the generation whose validated candidates had the highest mean, and that mean: what the paper reports.
    reported: Option<(Individual, f64)>,
    decoder: Option<Arc<Decoder>>,
    row: [f64; 4],
}

impl DeepGa {
    pub fn new(params: DeepGaParams, deterministic: bool) -> DeepGa {
        let history = [
            (
                "elite_fitness",
                "mean fitness of the elite's validation episodes (of its one episode where there is no validation)",
            ),
            ("validated_mean", "mean over all validated candidates"),
            ("population_max", "highest fitness of a child"),
            ("population_median", "median fitness of the children"),
        ];
        let spec = StrategySpec {
            name: "deep_ga".into(),
            operators: ["random", "mutation"].map(String::from).to_vec(),
            history: history
                .map(|(name, meaning)| (name.into(), String::new(), meaning.into()))
                .to_vec(),
            lineage: true,
            facts: Vec::new(),
        };
        let validates = params.validation_candidates > 0 && params.validation_episodes > 0 && !deterministic;
        DeepGa {
            params,
            spec,
            validates,
            phase: Phase::Children,
            parents: Vec::new(),
            elite: None,
            reported: None,
            decoder: None,
            row: [f64::NAN; 4],
        }
    }

    /// The parent (a number) of child `index`.
    fn parent_of(&self, context: &Context<'_>, index: usize) -> usize {
        let stream = Stream::new(context.seed, Purpose::Selection, context.generation, 0);
        stream.below(index as u64, self.parents.len() as u64) as usize
    }

    /// Child `index` of this generation; a fresh genome if there are no parents.
    fn child(&self, context: &Context<'_>, index: usize) -> (Vec<u64>, Vec<f32>) {
        let own = stream_id(context.generation, index as u64);
        if self.parents.is_empty() {
            return (vec![own], vec![1.0]);
        }
        let parent = &self.parents[self.parent_of(context, index)];
        let mut streams = parent.streams.clone();
        let mut scales = parent.scales.clone();
        streams.push(own);
        scales.push(self.params.sigma as f32);
        (streams, scales)
    }

    /// Decodes the individuals that will be built upon; each is one step away from one decoded a generation ago.
    fn remember(&mut self, context: &Context<'_>, needed: &[&Individual]) {
        let task = context.task;
        let empty = || Decoder {
            seed: context.seed,
            dim: task.genome_dim,
            init: task.init.clone(),
            bounds: task.bounds,
            parents: HashMap::new(),
        };
        let old = self.decoder.take().unwrap_or_else(|| Arc::new(empty()));
        let decoded = needed.par_iter().map(|individual| {
            let known = old.parents.get(&individual.id()).cloned();
            let genes = known.unwrap_or_else(|| {
                let mut genes = Vec::new();
                old.decode(&individual.streams, &individual.scales, &mut genes);
                Arc::new(genes)
            });
            (individual.id(), genes)
        });
        self.decoder = Some(Arc::new(Decoder {
            parents: decoded.collect(),
            ..empty()
        }));
    }

    fn ask_children(&mut self, context: &Context<'_>, candidates: &mut Candidates) -> Result<()> {
        let parents = self.parents.clone();
        self.remember(context, &parents.iter().collect::<Vec<_>>());
        prepare(context, self.params.population, 0, candidates);
        let mut lineages = Lineages {
            decoder: self.decoder.clone(),
            ..Lineages::new()
        };
        for i in candidates.block.clone() {
            let (streams, scales) = self.child(context, i);
            lineages.push(&streams, &scales);
        }
        candidates.genomes = Genomes::Lineage(lineages);
        let operator = if self.parents.is_empty() { RANDOM } else { MUTATION };
        candidates.tags.get_mut::<i32>("operator")?.fill(operator);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        Ok(())
    }

    fn ask_validation(&mut self, context: &Context<'_>, candidates: &mut Candidates) -> Result<()> {
        let Phase::Validation { validated, .. } = &self.phase else {
            return Err(Error::failed("validation was asked for before children were evaluated"));
        };
        let validated = validated.clone();
        let parents = self.parents.clone();
        self.remember(context, &validated.iter().chain(&parents).collect::<Vec<_>>());
        let episodes = self.params.validation_episodes;
        prepare(context, validated.len() * episodes, 1, candidates);
        candidates.offered = 0..0;
        let mut lineages = Lineages {
            decoder: self.decoder.clone(),
            ..Lineages::new()
        };
        for i in candidates.block.clone() {
            lineages.push(&validated[i / episodes].streams, &validated[i / episodes].scales);
        }
        candidates.genomes = Genomes::Lineage(lineages);
        candidates.tags.get_mut::<i32>("operator")?.fill(MUTATION);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        Ok(())
    }

    fn tell_children(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        let (status, fitness) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("fitness")?);
        let order: Vec<usize> = best_first(status, fitness)
            .into_iter()
            .filter(|&i| status[i] == Status::Ok as u8)
            .collect();
        let individual = |&i: &usize| {
            let (streams, scales) = self.child(context, i);
            Individual {
                streams,
                scales,
                score: fitness[i],
            }
        };
        let parents: Vec<Individual> = order.iter().take(self.params.parents).map(individual).collect();
        let validated: Vec<Individual> = self
            .elite
            .iter()
            .cloned()
            .chain(order.iter().map(individual))
            .take(if self.validates {
                self.params.validation_candidates
            } else {
                2
            })
            .collect();
        self.row[2] = order.first().map_or(f64::NAN, |&i| fitness[i]);
        self.row[3] = order.get(order.len() / 2).map_or(f64::NAN, |&i| fitness[i]);
        if self.validates && !validated.is_empty() {
            self.phase = Phase::Validation { validated, parents };
            return Ok(Next::SameGeneration);
        }
        // The first of equals wins: the old elite.
        let best = validated
            .iter()
            .rev()
            .max_by(|a, b| a.score.total_cmp(&b.score))
            .cloned();
        self.finish(best, f64::NAN, parents);
        Ok(Next::Generation)
    }

    fn tell_validation(&mut self, told: &Told<'_>) -> Result<Next> {
        let (status, fitness) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("fitness")?);
        let Phase::Validation { validated, parents } = std::mem::replace(&mut self.phase, Phase::Children) else {
            return Err(Error::failed("validation came back that was not asked for"));
        };
        let episodes = self.params.validation_episodes;
        let mut scored = Vec::new();
        for (i, mut individual) in validated.into_iter().enumerate() {
            let rows = i * episodes..(i + 1) * episodes;
            if status[rows.clone()].iter().all(|s| *s == Status::Ok as u8) {
                individual.score = fitness[rows].iter().sum::<f64>() / episodes as f64;
                scored.push(individual);
            }
        }
        let mean = scored.iter().map(|s| s.score).sum::<f64>() / scored.len() as f64;
        // The first of equals wins: the old elite, then the better child.
        let best = scored.iter().rev().max_by(|a, b| a.score.total_cmp(&b.score)).cloned();
        self.finish(best, mean, parents);
        Ok(Next::Generation)
    }

    /// Closes a generation: the elite is forced in among the parents.
    fn finish(&mut self, elite: Option<Individual>, validated_mean: f64, mut parents: Vec<Individual>) {
        self.row[0] = elite.as_ref().map_or(f64::NAN, |e| e.score);
        self.row[1] = validated_mean;
        if let Some(elite) = elite {
            let mark = if validated_mean.is_nan() {
                elite.score
            } else {
                validated_mean
            };
            if self.reported.as_ref().is_none_or(|(_, best)| mark > *best) {
                self.reported = Some((elite.clone(), mark));
            }
            if self.params.parents > 0 && !parents.iter().any(|p| p.id() == elite.id()) {
                parents.truncate(self.params.parents - 1);
                parents.push(elite.clone());
            }
            self.elite = Some(elite);
        }
        // A generation in which every child failed leaves the parents as they were.
        if !parents.is_empty() || self.params.parents == 0 {
            self.parents = parents;
        }
    }
}

/// Individuals as a table; steps are concatenated in the table of the same name with `_steps`.
fn tables(name: &str, individuals: &[&Individual]) -> [(String, Batch); 2] {
    let mut rows = Batch::new();
    rows.push(
        "score",
        1,
        "",
        "validated mean or single episode",
        individuals.iter().map(|i| i.score).collect(),
    );
    let lengths = individuals.iter().map(|i| i.streams.len() as u64).collect();
    rows.push("length", 1, "", "steps of the lineage", lengths);
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

fn individuals(state: &State, name: &str) -> Result<Vec<Individual>> {
    let rows = state.table(name)?;
    let (scores, lengths) = (rows.get::<f64>("score")?, rows.get::<u64>("length")?);
    if scores.is_empty() {
        return Ok(Vec::new());
    }
    let steps = state.table(&format!("{name}_steps"))?;
    let (mut streams, mut scales) = (steps.get::<u64>("stream")?, steps.get::<f32>("scale")?);
    let mut found = Vec::new();
    for (&score, &n) in scores.iter().zip(lengths) {
        let n = n as usize;
        if n == 0 || n > streams.len() || n > scales.len() {
            return Err(Error::failed(format!(
                "state table '{name}' is damaged: a lineage is longer than its steps"
            )));
        }
        let ((mine, rest), (mine_scales, rest_scales)) = (streams.split_at(n), scales.split_at(n));
        found.push(Individual {
            streams: mine.to_vec(),
            scales: mine_scales.to_vec(),
            score,
        });
        (streams, scales) = (rest, rest_scales);
    }
    Ok(found)
}

impl Strategy for DeepGa {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        match self.phase {
            Phase::Children => self.ask_children(context, candidates),
            Phase::Validation { .. } => self.ask_validation(context, candidates),
        }
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        match self.phase {
            Phase::Children => self.tell_children(context, told),
            Phase::Validation { .. } => self.tell_validation(told),
        }
    }

    fn history(&self, row: &mut Vec<f64>) {
        row.extend(self.row);
    }

    /// Saved between generations only, so a validation is never under way.
    fn save(&self, _context: &Context<'_>) -> Result<State> {
        let mut state = State::default();
        state
            .tables
            .extend(tables("parents", &self.parents.iter().collect::<Vec<_>>()));
        state
            .tables
            .extend(tables("elite", &self.elite.iter().collect::<Vec<_>>()));
        state.tables.extend(tables(
            "reported",
            &self.reported.iter().map(|(i, _)| i).collect::<Vec<_>>(),
        ));
        let mut scalars = Batch::new();
        let mark = self.reported.as_ref().map_or(f64::NAN, |(_, m)| *m);
        scalars.push(
            "reported_mean",
            1,
            "",
            "validated mean of the reported elite's generation",
            vec![mark],
        );
        scalars.push(
            "row",
            4,
            "",
            "last values of the strategy's history columns",
            self.row.to_vec(),
        );
        state.tables.push(("scalars".into(), scalars));
        if let Some((best, mark)) = &self.reported {
            let mut solution = Batch::new();
            solution.push(
                "fitness",
                1,
                "",
                "validated mean of the reported elite",
                vec![best.score],
            );
            solution.push(
                "validated_mean",
                1,
                "",
                "mean of all validated candidates of its generation",
                vec![*mark],
            );
            let n = best.streams.len();
            solution.push(
                "lineage_streams",
                n,
                "",
                "noise stream ids of the reported elite",
                best.streams.clone(),
            );
            solution.push("lineage_scales", n, "", "scale of each step", best.scales.clone());
            state.solution = Some(solution);
        }
        Ok(state)
    }

    fn load(&mut self, _context: &Context<'_>, state: &State) -> Result<()> {
        self.parents = individuals(state, "parents")?;
        self.elite = individuals(state, "elite")?.pop();
        let scalars = state.table("scalars")?;
        let mark = scalars.get::<f64>("reported_mean")?[0];
        self.reported = individuals(state, "reported")?.pop().map(|i| (i, mark));
        self.row.copy_from_slice(&scalars.get::<f64>("row")?[..4]);
        self.phase = Phase::Children;
        self.decoder = None;
        Ok(())
    }
}
