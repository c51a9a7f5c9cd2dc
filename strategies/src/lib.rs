//! How candidates are made and learned from: one file per algorithm, its paper on top.

mod aurora;
mod c_morl;
mod candidates;
mod center;
mod cma_me;
mod cma_mega;
mod dcg_me;
mod dcrl_me;
mod deep_ga;
mod eggroll;
pub mod emitters;
mod encoders;
mod essa;
mod ga_ns;
mod gather;
mod gradients;
mod grpo;
pub mod learn;
mod lineages;
mod map_elites;
mod me_es;
mod mome;
mod mome_pgx;
mod multi_emitter;
mod ns_es;
mod nsga;
mod nsga2;
mod nsga3;
mod openai_es;
mod optimizers;
mod pga_me;
mod rankers;
mod ranks;
mod record;
mod scheduler;
mod serene;
#[cfg(test)]
mod testing;
mod uncertain;
mod validation;
mod variation;
mod visited;

pub use aurora::AuroraParams;
pub use candidates::{draw_initial, prepare};
pub use center::CenterParams;
pub use cma_me::{CmaMaeRankers, CmaMeParams, CmaMeRankers, SearchParams};
pub use cma_mega::{ArborescenceParams, MaegaOrder, MegaCount, MegaOrder, OmgMegaParams};
pub use dcg_me::{DcgMeParams, DcgParams};
pub use dcrl_me::{DcrlMeParams, DcrlParams};
pub use deep_ga::{DeepGa, DeepGaParams};
pub use eggroll::{Eggroll, EggrollParams};
pub use emitters::{ActorBatchParams, BatchParams, CountParams, DrawParams, EmitterEntry, ResampleParams, emitters};
pub use encoders::EncoderParams;
pub use essa::{Essa, EssaParams};
pub use ga_ns::{GaNs, GaNsParams, NslcParams};
pub use gradients::{GradientBatchParams, LearnerParams};
pub use grpo::{Grpo, GrpoParams};
pub use lineages::LineageParams;
pub use map_elites::{IsoLineParams, MapElitesParams, PolynomialParams};
pub use me_es::{MeEs, MeEsParams};
pub use multi_emitter::{MultiEmitterParams, strategy_of_emitters};
pub use ns_es::{NsEs, NsEsParams, NsraEsParams};
pub use nsga::MatingParams;
pub use nsga2::Nsga2Params;
pub use nsga3::Nsga3Params;
pub use openai_es::{OpenAiEs, OpenAiEsParams};
pub use optimizers::ars::ArsParams;
pub use optimizers::cma_es::CmaEsParams;
pub use optimizers::gradient::{Adam, ClipUp, GradientOptimizer, Sgd};
pub use optimizers::lm_ma_es::LmMaEsParams;
pub use optimizers::pgpe::PgpeParams;
pub use optimizers::restarts::RestartParams;
pub use optimizers::search::Search;
pub use optimizers::sep_cma_es::SepCmaEsParams;
pub use optimizers::snes::SnesParams;
pub use optimizers::xnes::XnesParams;
pub use pga_me::{PgaMeParams, PgaParams};
pub use ranks::{best_first, centred_ranks};
pub(crate) use ranks::{deviation, mean_and_max};
pub use serene::{EmitterParams, ExplorationParams};
pub use uncertain::{AdaptiveSamplesParams, ChildSamplesParams, ExtractParams, ManySamplesParams, SampledBatchParams};

use illume_core::{Error, Result, Strategy, StrategyConfig, StrategyEntry, TaskSpec};

/// The strategy of an entry for a task whose genes it can vary.
///
/// # Errors
/// Genes that are categories, where it varies none; wrong parameters.
pub fn build(entry: &StrategyEntry, config: &StrategyConfig<'_>) -> Result<Box<dyn Strategy>> {
    check_categories(entry.categories, "name", entry.name, config.task)?;
    (entry.build)(config)
}

fn check_categories(takes: bool, key: &str, name: &str, task: &TaskSpec) -> Result<()> {
    let unordered = task.genes.as_ref().and_then(|genes| genes.unordered());
    let Some(group) = unordered.filter(|_| !takes) else {
        return Ok(());
    };
    let message = format!(
        "\"{name}\" searches along numbers, and the categories of \"{}\" have no order: take \"map_elites\", or \"multi_emitter\" with emitters of kind \"iso_line\" and \"polynomial\"",
        group.name
    );
    Err(Error::config("strategy", key, message))
}

/// Every strategy that a configuration can name.
pub fn registry() -> &'static [StrategyEntry] {
    &[
        map_elites::ENTRY,
        aurora::ENTRY,
        mome::ENTRY,
        mome_pgx::PGX,
        mome_pgx::P2C,
        c_morl::ENTRY,
        uncertain::EXTRACT_ME,
        uncertain::ARCHIVE_SAMPLING,
        uncertain::PARALLEL_ADAPTIVE_SAMPLING,
        uncertain::DEEP_GRID,
        uncertain::ADAPTIVE_SAMPLING,
        uncertain::ME_SAMPLING,
        uncertain::ME_LOW_SPREAD,
        multi_emitter::ENTRY,
        pga_me::ENTRY,
        dcg_me::ENTRY,
        dcrl_me::ENTRY,
        deep_ga::ENTRY,
        openai_es::ENTRY,
        optimizers::cma_es::ENTRY,
        optimizers::sep_cma_es::ENTRY,
        optimizers::lm_ma_es::ENTRY,
        optimizers::snes::ENTRY,
        optimizers::xnes::ENTRY,
        optimizers::pgpe::ENTRY,
        optimizers::ars::ENTRY,
        cma_me::CMA_ME,
        cma_me::CMA_MAE,
        cma_mega::CMA_MEGA,
        cma_mega::CMA_MAEGA,
        cma_mega::OMG_MEGA,
        essa::ENTRY,
        eggroll::ENTRY,
        me_es::ENTRY,
        ga_ns::ENTRY,
        ga_ns::NSLC,
        ns_es::NS_ES,
        ns_es::NSR_ES,
        ns_es::NSRA_ES,
        nsga2::ENTRY,
        nsga3::ENTRY,
        serene::SERENE,
        serene::TAXONS,
        serene::STAX,
        grpo::ENTRY,
    ]
}
