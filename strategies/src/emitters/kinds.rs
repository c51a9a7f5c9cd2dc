//! The emitters that a configuration can name, each by a table `[[strategy.emitters]]` with its `kind`.

use illume_core::params::{ParamInfo, read, suggest};
use illume_core::toml::{Table, Value};
use illume_core::{Error, Params, Problem, Result, StrategyConfig, params};

use super::{DrawParams, Emitter, Emitters, Needs, Operator, Resampling, Variation};
use crate::cma_me::{CmaMeRankers, SearchParams, searches};
use crate::dcg_me::{self, DcgParams};
use crate::dcrl_me::{self, DcrlParams};
use crate::gradients::LearnerParams;
use crate::map_elites::{IsoLineParams, PolynomialParams};
use crate::pga_me::{self, PgaParams};
use crate::rankers::any_by_novelty;

/// A kind of emitter.
pub struct EmitterEntry {
    pub kind: &'static str,
    /// One line: what it makes.
    pub summary: &'static str,
    pub params: fn() -> Vec<ParamInfo>,
    /// Whether it varies genes that are categories.
    pub categories: bool,
    /// Makes it, or several of it, by its table, which stands in the place of the strategy's.
    pub build: fn(&StrategyConfig<'_>) -> Result<Emitters>,
}

impl EmitterEntry {
    /// Makes it for a task that it can vary.
    ///
    /// # Errors
    /// Genes that are categories, where it varies none; wrong parameters.
    pub fn checked(&self, config: &StrategyConfig<'_>) -> Result<Emitters> {
        crate::check_categories(self.categories, "kind", self.kind, config.task)?;
        (self.build)(config)
    }
}

params! {
    /// How many candidates an emitter makes.
    pub struct BatchParams {
        /// Candidates in a generation.
        batch: usize = 64, range(1, 1 << 31);
    }
}

params! {
    /// How many candidates of both kinds the emitter `dcrl` makes.
    pub struct ActorBatchParams {
        /// Candidates in a generation that climb the critic.
        batch: usize = 64, range(0, 1 << 31);
        /// Candidates that are the conditioned actor, folded for the descriptor of an elite.
        actors: usize = 64, range(0, 1 << 31);
    }
}

params! {
    /// How many emitters of a kind there are.
    pub struct CountParams {
        /// Emitters of this kind, each a search of its own.
        count: usize = 1, range(1, 1 << 16);
    }
}

params! {
    /// How many elites the emitter `resample` evaluates again.
    pub struct ResampleParams {
        /// Elites that are evaluated again in a generation, one evaluation each; all, where these are fewer.
        batch: usize = 64, range(1, 1 << 31);
    }
}

type Search = (CountParams, (SearchParams, CmaMeRankers));
type Learned<P> = (BatchParams, (LearnerParams, P));
type Dcrl = (ActorBatchParams, (LearnerParams, DcrlParams));

/// Every emitter that a table can name.
pub fn emitters() -> &'static [EmitterEntry] {
    &[
        EmitterEntry {
            kind: "iso_line",
            summary: "children of two elites by iso+line-dd",
            params: <(BatchParams, IsoLineParams)>::describe,
            categories: true,
            build: |config| {
                let (batch, own): (BatchParams, IsoLineParams) = own(config)?;
                varied(config, own.operator(), batch.batch)
            },
        },
        EmitterEntry {
            kind: "polynomial",
            summary: "elites changed by polynomial mutation",
            params: <(BatchParams, PolynomialParams)>::describe,
            categories: true,
            build: |config| {
                let (batch, own): (BatchParams, PolynomialParams) = own(config)?;
                varied(
                    config,
                    own.operator(config.task, Some("polynomial_bounds"))?,
                    batch.batch,
                )
            },
        },
        EmitterEntry {
            kind: "resample",
            summary: "elites evaluated again, drawn as Extract-ME draws them, for archives whose cells hold several",
            params: <(ResampleParams, DrawParams)>::describe,
            categories: true,
            build: |config| {
                let (again, draw): (ResampleParams, DrawParams) = own(config)?;
                config.claim_rows("batch", again.batch as f64, 1)?;
                let emitter = Resampling::new("resample", again.batch, draw.weights(), Needs::Members, None);
                Ok(vec![Box::new(emitter)])
            },
        },
        EmitterEntry {
            kind: "evolution_strategy",
            summary: "searches of CMA-ME and CMA-MAE, ordered by what the archive makes of their candidates",
            params: Search::describe,
            categories: false,
            build: |config| {
                let (count, (params, rankers)): Search = own(config)?;
                searches(config, ("count", count.count), &params, &rankers.rankers)
            },
        },
        EmitterEntry {
            kind: "pga",
            summary: "policies that climb the critic of PGA-MAP-Elites, and its actor",
            params: Learned::<PgaParams>::describe,
            categories: false,
            build: |config| {
                let (batch, learner): Learned<PgaParams> = own(config)?;
                learned(config, batch.batch, pga_me::emitter(config, batch.batch, &learner))
            },
        },
        EmitterEntry {
            kind: "dcg",
            summary: "policies that climb the conditioned critic of DCG-MAP-Elites",
            params: Learned::<DcgParams>::describe,
            categories: false,
            build: |config| {
                let (batch, learner): Learned<DcgParams> = own(config)?;
                learned(config, batch.batch, dcg_me::emitter(config, batch.batch, &learner))
            },
        },
        EmitterEntry {
            kind: "dcrl",
            summary: "policies that climb the conditioned critic of DCRL-MAP-Elites, and its conditioned actor as genomes",
            params: Dcrl::describe,
            categories: false,
            build: |config| {
                let (rows, learner): Dcrl = own(config)?;
                let all = rows.batch.saturating_add(rows.actors);
                if all == 0 {
                    return Err(Error::config(
                        "strategy",
                        "batch",
                        "expected more than 0 where actors is 0",
                    ));
                }
                learned(
                    config,
                    all,
                    dcrl_me::emitter(config, [rows.batch, rows.actors], &learner),
                )
            },
        },
    ]
}

/// The parameters of an emitter's table.
fn own<P: Params>(config: &StrategyConfig<'_>) -> Result<P> {
    read(config.strategy, "strategy", &["kind"])
}

fn varied(config: &StrategyConfig<'_>, operator: Operator, rows: usize) -> Result<Emitters> {
    config.claim_rows("batch", rows as f64, 1)?;
    Ok(vec![Box::new(Variation::new(vec![(operator, rows)]))])
}

fn learned(config: &StrategyConfig<'_>, rows: usize, emitter: Result<Box<dyn Emitter>>) -> Result<Emitters> {
    config.claim_rows("batch", rows as f64, 1)?;
    Ok(vec![emitter?])
}

/// The entry that a table's `kind` names.
fn entry(table: &Table) -> Result<&'static EmitterEntry> {
    let known: Vec<&str> = emitters().iter().map(|entry| entry.kind).collect();
    let kind = match table.get("kind") {
        Some(Value::String(kind)) => kind,
        Some(other) => {
            return Err(Error::config(
                "strategy",
                "kind",
                format!("expected a string, got {other}"),
            ));
        }
        None => {
            let message = format!("expected the kind of an emitter, got none{}", suggest("", &known));
            return Err(Error::config("strategy", "kind", message));
        }
    };
    let found = emitters().iter().find(|entry| entry.kind == kind);
    found.ok_or_else(|| {
        let message = format!("unknown kind of emitter \"{kind}\"{}", suggest(kind, &known));
        Error::config("strategy", "kind", message)
    })
}

/// The tables `[[strategy.emitters]]` of a strategy's table.
fn tables(strategy: &Table) -> Result<Vec<&Table>> {
    let wrong = |got: String| {
        let message = format!("expected tables [[strategy.emitters]], each with its kind, got {got}");
        Error::config("strategy", "emitters", message)
    };
    let found = strategy.get("emitters").ok_or_else(|| wrong("none".into()))?;
    let all = found.as_array().filter(|all| !all.is_empty());
    let tables = all.and_then(|all| all.iter().map(Value::as_table).collect());
    tables.ok_or_else(|| wrong(found.to_string()))
}

/// The section of the table number `index`.
fn section(index: usize) -> String {
    format!("strategy.emitters[{index}]")
}

/// All emitters that a strategy's table names, in order.
///
/// # Errors
/// Every problem of every table at once.
pub(crate) fn build_all(config: &StrategyConfig<'_>) -> Result<Emitters> {
    let (mut all, mut problems): (Emitters, Vec<Problem>) = (Vec::new(), Vec::new());
    for (index, table) in tables(config.strategy)?.into_iter().enumerate() {
        let config = StrategyConfig {
            strategy: table,
            task: config.task,
            memory: config.memory,
        };
        match entry(table).and_then(|entry| entry.checked(&config)) {
            Ok(emitters) => all.extend(emitters),
            Err(Error::Config(found)) => problems.extend(found.into_iter().map(|problem| Problem {
                section: if problem.section == "strategy" {
                    section(index)
                } else {
                    problem.section
                },
                // What the strategies say of their name is of the kind here.
                key: if problem.key == "name" {
                    "kind".into()
                } else {
                    problem.key
                },
                message: problem.message,
            })),
            Err(other) => return Err(other),
        }
    }
    if problems.is_empty() {
        Ok(all)
    } else {
        Err(Error::Config(problems))
    }
}

/// Whether one of the tables `[[strategy.emitters]]` is ordered by novelty.
pub(crate) fn live_on_novelty(strategy: &Table) -> bool {
    tables(strategy).unwrap_or_default().into_iter().any(any_by_novelty)
}

/// The parameters of each table `[[strategy.emitters]]`, by its section; tables that are wrong are left out.
pub(crate) fn parameters(strategy: &Table) -> Vec<(String, Vec<ParamInfo>)> {
    let all = tables(strategy).unwrap_or_default().into_iter().enumerate();
    all.filter_map(|(index, table)| Some((section(index), (entry(table).ok()?.params)())))
        .collect()
}
