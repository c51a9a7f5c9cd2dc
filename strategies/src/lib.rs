//! How candidates are made and learned from: one file per algorithm, its paper on top.

mod candidates;
mod center;
mod cma_es;
mod cma_me;
mod dcg_me;
mod dcrl_me;
mod deep_ga;
mod emitters;
mod essa;
mod fronts;
mod ga_ns;
mod gather;
mod gradients;
mod grpo;
pub mod learn;
mod lineages;
mod map_elites;
mod me_es;
mod multi_emitter;
mod ns_es;
mod openai_es;
mod optimizer;
mod pga_me;
mod rankers;
mod ranks;
mod scheduler;
mod sep_cma_es;
#[cfg(test)]
mod testing;
mod validation;
mod variation;

pub use center::CenterParams;
pub use cma_es::restarts::RestartParams;
pub use cma_es::{CmaEs, CmaEsParams};
pub use cma_me::{CmaMaeRankers, CmaMeParams, CmaMeRankers, SearchParams};
pub use dcg_me::{DcgMeParams, DcgParams};
pub use dcrl_me::{DcrlMeParams, DcrlParams};
pub use deep_ga::{DeepGa, DeepGaParams};
pub use emitters::{ActorBatchParams, BatchParams, CountParams, EmitterEntry, emitters};
pub use essa::{Essa, EssaParams};
pub use ga_ns::{GaNs, GaNsParams, NslcParams};
pub use gradients::{GradientBatchParams, LearnerParams};
pub use grpo::{Grpo, GrpoParams};
pub use lineages::LineageParams;
pub use map_elites::{IsoLineParams, MapElitesParams, PolynomialParams};
pub use me_es::{MeEs, MeEsParams};
pub use multi_emitter::MultiEmitterParams;
pub use ns_es::{NsEs, NsEsParams, NsraEsParams};
pub use openai_es::{OpenAiEs, OpenAiEsParams};
pub use optimizer::{Adam, Optimizer, Sgd};
pub use pga_me::{PgaMeParams, PgaParams};
pub use ranks::{best_first, centred_ranks};
pub use sep_cma_es::SepCmaEsParams;

use illume_core::StrategyEntry;

/// Every strategy that a configuration can name.
pub fn registry() -> &'static [StrategyEntry] {
    &[
        map_elites::ENTRY,
        multi_emitter::ENTRY,
        pga_me::ENTRY,
        dcg_me::ENTRY,
        dcrl_me::ENTRY,
        deep_ga::ENTRY,
        openai_es::ENTRY,
        cma_es::ENTRY,
        sep_cma_es::ENTRY,
        cma_me::CMA_ME,
        cma_me::CMA_MAE,
        essa::ENTRY,
        me_es::ENTRY,
        ga_ns::ENTRY,
        ga_ns::NSLC,
        ns_es::NS_ES,
        ns_es::NSR_ES,
        ns_es::NSRA_ES,
        grpo::ENTRY,
    ]
}
