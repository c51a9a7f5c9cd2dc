//! Quality-diversity where evaluations are noisy, as the benchmark of Flageat and Cully compares it ('Uncertain quality-diversity: evaluation methodology and new methods for quality-diversity in uncertain domains', IEEE
//! TEVC 2023, <https://arxiv.org/abs/2302.00463>; Extract-ME: Flageat, Janmohamed, Lim and Cully, 'Extract-QD framework', GECCO 2025, <https://arxiv.org/abs/2502.06585>; authors' program
//! `adaptive-intelligent-robotics/Uncertain_Quality_Diversity`). All have the same evaluations in a generation: those of elites again, one each, and those of children, several each.

use illume_core::{Error, Params, Result, Strategy, StrategyConfig, StrategyEntry, params};

use crate::emitters::{Children, DrawParams, Needs, Resampling, Samples, Weights};
use crate::map_elites::IsoLineParams;
use crate::scheduler::{Composition, Scheduler};

params! {
    /// What a generation of these strategies takes.
    pub struct SampledBatchParams {
        /// Evaluations in a generation.
        batch: usize = 4096, range(1, 1 << 31);
        /// Random candidates in the first generation; 0 for as many as `batch` evaluates.
        initial: usize = 0, range(0, 1 << 31);
    }
}

params! {
    /// Evaluations of each new candidate of `archive_sampling` and `extract_me`.
    pub struct ChildSamplesParams {
        /// Evaluations of each new candidate, whose means its fitness and descriptor are.
        samples: usize = 2, range(1, 1 << 16);
    }
}

params! {
    /// Evaluations of each candidate of `me_sampling` and `me_low_spread`.
    pub struct ManySamplesParams {
        /// Evaluations of each candidate, whose means its fitness and descriptor are.
        samples: usize = 32, range(1, 1 << 16);
    }
}

params! {
    /// How `extract_me` divides a generation's evaluations.
    pub struct ExtractParams {
        /// Share of the batch that elites are evaluated again in, one evaluation each.
        extract_share: f64 = 0.25, range(0.0, 1.0);
        /// Elites that are evaluated again at most.
        extract_most: usize = 2048, range(0, 1 << 31);
    }
}

params! {
    /// How `parallel_adaptive_sampling` chooses the evaluations of a child.
    pub struct AdaptiveSamplesParams {
        /// Evaluations of each new candidate at most: they are as many as the median of what elites have had.
        most_samples: usize = 8, range(1, 1 << 16);
    }
}

/// One of the family.
struct Plan {
    name: &'static str,
    again: usize,
    weights: Weights,
    needs: Needs,
    samples: Samples,
    /// Evaluations of random candidates.
    first_samples: usize,
    sized_by: &'static [&'static str],
}

fn strategy(
    config: &StrategyConfig<'_>,
    batch: &SampledBatchParams,
    iso_line: &IsoLineParams,
    plan: Plan,
) -> Result<Box<dyn Strategy>> {
    let least = match plan.samples {
        Samples::Fixed(samples) => samples as usize,
        Samples::Median(_) => 1,
    };
    if batch.batch < least.max(plan.first_samples) {
        let message = format!(
            "expected at least {}, the evaluations of one candidate (strategy.samples), got {}",
            least.max(plan.first_samples),
            batch.batch
        );
        return Err(Error::config("strategy", "batch", message));
    }
    let initial = match batch.initial {
        0 => batch.batch / plan.first_samples,
        given => given,
    };
    config.claim_rows("batch", batch.batch.max(initial) as f64, 1)?;
    let children = Children {
        evaluations: batch.batch,
        samples: plan.samples,
        operator: iso_line.operator(),
    };
    let emitter = Resampling::new(plan.name, plan.again, plan.weights, plan.needs, Some(children));
    Ok(Box::new(Scheduler::new(Composition {
        name: plan.name,
        initial,
        sized_by: plan.sized_by,
        emitters: vec![Box::new(emitter)],
        given: config.task.given_rows(),
        apart: false,
        by_operator: true,
        bandit: None,
        samples: plan.first_samples as u32,
        spread: plan.needs == Needs::LowSpread,
    })))
}

/// The family's entry.
const fn entry(
    name: &'static str,
    summary: &'static str,
    params: fn() -> Vec<illume_core::params::ParamInfo>,
    build: fn(&StrategyConfig<'_>) -> Result<Box<dyn Strategy>>,
) -> StrategyEntry {
    StrategyEntry {
        cells: true,
        categories: true,
        small: "batch = 60\nsamples = 2",
        steps: &[("iso_sigma", 0.5)],
        ..StrategyEntry::new(name, summary, params, build)
    }
}

fn read<P: Params>(config: &StrategyConfig<'_>) -> Result<P> {
    params::read(config.strategy, "strategy", &["name"])
}

const SIZED: &[&str] = &["batch", "initial"];

type Extract = (
    SampledBatchParams,
    (ChildSamplesParams, (ExtractParams, (DrawParams, IsoLineParams))),
);

pub(crate) const EXTRACT_ME: StrategyEntry = StrategyEntry {
    members: true,
    small: "batch = 60",
    suggested: "[strategy]\nline_sigma = 0.2\n[archive]\ndepth = 8",
    ..entry(
        "extract_me",
        "Extract-ME (Flageat et al. 2025): elites drawn from cells of several are evaluated again beside children of two evaluations each",
        Extract::describe,
        |config| {
            let (batch, (children, (extract, (draw, iso_line)))): Extract = read(config)?;
            let again = (extract.extract_share * batch.batch as f64) as usize;
            let plan = Plan {
                name: "extract_me",
                again: again.min(extract.extract_most),
                weights: draw.weights(),
                needs: Needs::Members,
                samples: Samples::Fixed(children.samples as u32),
                first_samples: children.samples,
                sized_by: SIZED,
            };
            strategy(config, &batch, &iso_line, plan)
        },
    )
};

type ArchiveSampling = (SampledBatchParams, (ChildSamplesParams, IsoLineParams));

pub(crate) const ARCHIVE_SAMPLING: StrategyEntry = StrategyEntry {
    members: true,
    small: "batch = 700",
    suggested: "[strategy]\nbatch = 32768\nline_sigma = 0.2\n[archive]\ndepth = 2",
    ..entry(
        "archive_sampling",
        "Archive-Sampling (Flageat and Cully 2023): all elites are evaluated again in each generation, and find their cells anew",
        ArchiveSampling::describe,
        |config| {
            let (batch, (children, iso_line)): ArchiveSampling = read(config)?;
            let plan = Plan {
                name: "archive_sampling",
                again: usize::MAX,
                weights: Weights::Uniform,
                needs: Needs::Members,
                samples: Samples::Fixed(children.samples as u32),
                first_samples: children.samples,
                sized_by: SIZED,
            };
            strategy(config, &batch, &iso_line, plan)
        },
    )
};

type Adaptive = (SampledBatchParams, (AdaptiveSamplesParams, IsoLineParams));

pub(crate) const PARALLEL_ADAPTIVE_SAMPLING: StrategyEntry = StrategyEntry {
    members: true,
    small: "batch = 700",
    suggested: "[strategy]\nbatch = 32768\nline_sigma = 0.2\n[archive]\ndepth = 2",
    ..entry(
        "parallel_adaptive_sampling",
        "Parallel-Adaptive-Sampling (Flageat and Cully 2023): as Archive-Sampling, with as many evaluations of a child as elites have had",
        Adaptive::describe,
        |config| {
            let (batch, (adaptive, iso_line)): Adaptive = read(config)?;
            let plan = Plan {
                name: "parallel_adaptive_sampling",
                again: usize::MAX,
                weights: Weights::Uniform,
                needs: Needs::Members,
                samples: Samples::Median(adaptive.most_samples as u32),
                first_samples: 1,
                sized_by: SIZED,
            };
            strategy(config, &batch, &iso_line, plan)
        },
    )
};

type Plain = (SampledBatchParams, IsoLineParams);

pub(crate) const DEEP_GRID: StrategyEntry = StrategyEntry {
    members: true,
    small: "batch = 60",
    suggested: "[strategy]\nline_sigma = 0.2\n[archive]\ndepth = 32\nkeep = \"recent\"\nselection = \"proportional\"",
    ..entry(
        "deep_grid",
        "Deep-Grid MAP-Elites (Flageat and Cully 2020): cells of many elites that forget, and are bred from in proportion to fitness",
        Plain::describe,
        |config| {
            let (batch, iso_line): Plain = read(config)?;
            let plan = Plan {
                name: "deep_grid",
                again: 0,
                weights: Weights::Uniform,
                needs: Needs::Members,
                samples: Samples::Fixed(1),
                first_samples: 1,
                sized_by: SIZED,
            };
            strategy(config, &batch, &iso_line, plan)
        },
    )
};

pub(crate) const ADAPTIVE_SAMPLING: StrategyEntry = StrategyEntry {
    members: true,
    small: "batch = 60",
    suggested: "[strategy]\nline_sigma = 0.2\n[archive]\ndepth = 10\nkeep = \"adaptive\"",
    ..entry(
        "adaptive_sampling",
        "Adaptive-Sampling (Justesen et al. 2019): a candidate is evaluated as often as the elite that it is to replace, and elites that hold out again",
        Plain::describe,
        |config| {
            let (batch, iso_line): Plain = read(config)?;
            let plan = Plan {
                name: "adaptive_sampling",
                again: batch.batch,
                weights: Weights::Uniform,
                needs: Needs::Adaptive,
                samples: Samples::Fixed(1),
                first_samples: 1,
                sized_by: SIZED,
            };
            strategy(config, &batch, &iso_line, plan)
        },
    )
};

type Many = (SampledBatchParams, (ManySamplesParams, IsoLineParams));

pub(crate) const ME_SAMPLING: StrategyEntry = StrategyEntry {
    suggested: "[strategy]\nline_sigma = 0.2",
    ..entry(
        "me_sampling",
        "ME-Sampling (Cully and Demiris 2018, as Flageat and Cully 2023 compare it): MAP-Elites whose candidates are evaluated 32 times each",
        Many::describe,
        |config| many(config, "me_sampling", Needs::Nothing),
    )
};

pub(crate) const ME_LOW_SPREAD: StrategyEntry = StrategyEntry {
    members: true,
    suggested: "[strategy]\nline_sigma = 0.2\n[archive]\nkeep = \"low_spread\"",
    ..entry(
        "me_low_spread",
        "ME-LS (Mace et al. 2023): as ME-Sampling, where an elite gives way only to what is better and spreads no more",
        Many::describe,
        |config| many(config, "me_low_spread", Needs::LowSpread),
    )
};

fn many(config: &StrategyConfig<'_>, name: &'static str, needs: Needs) -> Result<Box<dyn Strategy>> {
    let (batch, (many, iso_line)): Many = read(config)?;
    let plan = Plan {
        name,
        again: 0,
        weights: Weights::Uniform,
        needs,
        samples: Samples::Fixed(many.samples as u32),
        first_samples: many.samples,
        sized_by: SIZED,
    };
    strategy(config, &batch, &iso_line, plan)
}
