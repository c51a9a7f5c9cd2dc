//! How candidates are made and learned from: one file per algorithm, its paper on top.

mod center;
mod cma_me;
mod dcg_me;
mod dcrl_me;
mod deep_ga;
mod emitters;
mod essa;
mod ga_ns;
mod gather;
mod gradients;
mod grpo;
pub mod learn;
mod lineages;
mod map_elites;
mod ns_es;
mod openai_es;
mod optimizers;
mod pga_me;
mod rankers;
mod ranks;
mod scheduler;
#[cfg(test)]
mod testing;
mod validation;
mod variation;

pub use center::CenterParams;
pub use cma_me::{CmaMaeRankers, CmaMeParams, CmaMeRankers};
pub use dcg_me::DcgMeParams;
pub use dcrl_me::DcrlMeParams;
pub use deep_ga::{DeepGa, DeepGaParams};
pub use essa::{Essa, EssaParams};
pub use ga_ns::{GaNs, GaNsParams};
pub use grpo::{Grpo, GrpoParams};
pub use lineages::LineageParams;
pub use map_elites::{MapElites, MapElitesParams};
pub use ns_es::{NsEs, NsEsParams, NsraEsParams};
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
pub use pga_me::PgaMeParams;
pub use ranks::{best_first, centred_ranks};

use illume_core::{Purpose, StrategyEntry, Stream};

/// Every strategy that a configuration can name.
pub fn registry() -> &'static [StrategyEntry] {
    &[
        map_elites::ENTRY,
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
        essa::ENTRY,
        ga_ns::ENTRY,
        ns_es::NS_ES,
        ns_es::NSR_ES,
        ns_es::NSRA_ES,
        grpo::ENTRY,
    ]
}

/// Evaluation seeds of the global rows `rows` in a phase of a generation (phase 0 for the candidates, 1 for re-evaluations).
pub(crate) fn evaluation_seeds(
    seed: u64,
    generation: u64,
    phase: u64,
    rows: std::ops::Range<usize>,
    out: &mut Vec<u64>,
) {
    let stream = Stream::new(seed, Purpose::EvaluationSeed, generation, phase);
    let mut words = vec![0; 2 * rows.len()];
    stream.words(2 * rows.start as u64, &mut words);
    out.clear();
    out.extend(words.chunks_exact(2).map(|w| u64::from(w[0]) | u64::from(w[1]) << 32));
}
