//! CMA-MEGA and OMG-MEGA (Fontaine and Nikolaidis, 'Differentiable quality diversity', NeurIPS 2021, <https://arxiv.org/abs/2106.03894>) and CMA-MAEGA (the same on an archive with
//! soft thresholds; Fontaine and Nikolaidis, 'Covariance matrix adaptation MAP-annealing', GECCO 2023, <https://arxiv.org/abs/2205.10752>), for tasks that know the gradients of their
//! fitness and descriptor.

use illume_core::{Error, Params, Result, Strategy, StrategyConfig, StrategyEntry, params};

use crate::cma_me::{rankers_of, restart_of};
use crate::emitters::{Arborescence, Course, Emitter, GradientArborescence, GradientOperator, coefficient_space};
use crate::optimizers::gradient::{Adam, GradientOptimizer, Sgd};
use crate::optimizers::{self, Settings};
use crate::scheduler::{Composition, Scheduler};

params! {
    /// How many emitters `cma_mega` and `cma_maega` have.
    pub struct MegaCount {
        /// Searches that share a generation.
        emitters: usize = 15, range(1, 1 << 16);
    }
}

params! {
    /// Parameters of an emitter that branches along gradients, beside the rankers.
    pub struct ArborescenceParams {
        /// Candidates of each in a generation: the point at which gradients are taken, and its branches.
        batch: usize = 36, range(3, 1 << 24);
        /// Initial standard deviation of the coefficients.
        sigma: f64 = 10.0, positive();
        /// Where the point begins first: "init", a genome by the task's distribution, or "zeros".
        center: String = "init".into(), one_of(&["init", "zeros"]);
        /// How the point moves towards the mean of the parents: "ascent" by that way times the learning rate, "adam" by Adam.
        optimizer: String = "ascent".into(), one_of(&["ascent", "adam"]);
        /// Learning rate of the point: 1 goes all the way; 0.002 in the paper with "adam".
        learning_rate: f64 = 1.0, positive();
        /// How the coefficients' CMA-ES moves: "tutorial", or "pyribs" as that library does (strategies/README.md).
        update: String = "tutorial".into(), one_of(&["tutorial", "pyribs"]);
        /// Whether gradients count by their directions alone.
        normalize: bool = true, any();
    }
}

params! {
    /// How `cma_mega` orders candidates, and when it begins anew.
    pub struct MegaOrder {
        /// What searches are ordered by, one after another in turn, as those of `cma_me`.
        rankers: Vec<String> = vec!["two_stage_improvement".into()], any();
        /// From whom it learns: "mu", the better half, or "filter", those that the archive took.
        selection: String = "mu".into(), one_of(&["mu", "filter"]);
        /// When a search begins anew at an elite: "basic", when the coefficients' distribution is spent; "no_improvement", also when the archive took none of its candidates.
        restart: String = "no_improvement".into(), one_of(&["basic", "no_improvement"]);
        /// A search begins anew after so many generations, too; 0 for never.
        restart_every: usize = 0, range(0, 1 << 40);
    }
}

params! {
    /// How `cma_maega` orders candidates, and when it begins anew.
    pub struct MaegaOrder {
        /// What searches are ordered by, one after another in turn, as those of `cma_me`.
        rankers: Vec<String> = vec!["improvement".into()], any();
        /// From whom it learns: "mu", the better half, or "filter", those that the archive took.
        selection: String = "filter".into(), one_of(&["mu", "filter"]);
        /// When a search begins anew at an elite: "basic", when the coefficients' distribution is spent; "no_improvement", also when the archive took none of its candidates.
        restart: String = "basic".into(), one_of(&["basic", "no_improvement"]);
        /// A search begins anew after so many generations, too; 0 for never.
        restart_every: usize = 0, range(0, 1 << 40);
    }
}

params! {
    /// Parameters of `omg_mega`.
    pub struct OmgMegaParams {
        /// Elites whose gradients are taken in a generation; each is evaluated again, and so is its branch.
        elites: usize = 270, range(1, 1 << 24);
        /// Standard deviation of noise on the elites before.
        iso_sigma: f64 = 0.0, at_least(0.0);
        /// Standard deviation of a branch's coefficients.
        sigma: f64 = 10.0, positive();
        /// Where it begins: "init", at genomes by the task's distribution, or "zeros".
        center: String = "init".into(), one_of(&["init", "zeros"]);
        /// Whether branches go along the descriptor's gradients too, or by `sigma` along the fitness' alone (OG-MAP-Elites).
        measures: bool = true, any();
        /// Whether gradients count by their directions alone.
        normalize: bool = true, any();
    }
}

/// One that searches by gradients.
const fn entry(
    name: &'static str,
    summary: &'static str,
    params: fn() -> Vec<params::ParamInfo>,
    small: &'static str,
    build: fn(&StrategyConfig<'_>) -> Result<Box<dyn Strategy>>,
) -> StrategyEntry {
    StrategyEntry {
        cells: true,
        gradients: true,
        small,
        suggested: "[task]\nangles = \"radians\"",
        steps: &[("sigma", 5.0)],
        ..StrategyEntry::new(name, summary, params, build)
    }
}

type Mega = (MegaCount, (ArborescenceParams, MegaOrder));
type Maega = (MegaCount, (ArborescenceParams, MaegaOrder));

pub(crate) const CMA_MEGA: StrategyEntry = entry(
    "cma_mega",
    "CMA-MEGA (Fontaine and Nikolaidis 2021): branches along gradients, weighted by CMA-ES, for tasks that know theirs",
    Mega::describe,
    "emitters = 3\nbatch = 8\nsigma = 1.0",
    |config| {
        let (count, (params, order)): Mega = params::read(config.strategy, "strategy", &["name"])?;
        build(config, "cma_mega", count.emitters, &params, &order)
    },
);

pub(crate) const CMA_MAEGA: StrategyEntry = StrategyEntry {
    thresholds: true,
    suggested: "[task]\nangles = \"radians\"\n[archive]\nlearning_rate = 0.01",
    ..entry(
        "cma_maega",
        "CMA-MAEGA (Fontaine and Nikolaidis 2023): the same on an archive with soft thresholds (archive.learning_rate)",
        Maega::describe,
        "emitters = 3\nbatch = 8\nsigma = 1.0",
        |config| {
            let (count, (params, order)): Maega = params::read(config.strategy, "strategy", &["name"])?;
            let order = MegaOrder {
                rankers: order.rankers,
                selection: order.selection,
                restart: order.restart,
                restart_every: order.restart_every,
            };
            build(config, "cma_maega", count.emitters, &params, &order)
        },
    )
};

pub(crate) const OMG_MEGA: StrategyEntry = entry(
    "omg_mega",
    "OMG-MEGA (Fontaine and Nikolaidis 2021): branches of elites along gradients with random coefficients",
    OmgMegaParams::describe,
    "elites = 12\nsigma = 1.0",
    |config| {
        let params: OmgMegaParams = params::read(config.strategy, "strategy", &["name"])?;
        check_task("omg_mega", config)?;
        // Every rank holds the generation's elites.
        config.claim_rows("elites", 2.0 * params.elites as f64, 2)?;
        let emitter = GradientOperator {
            elites: params.elites,
            iso: params.iso_sigma,
            sigma: params.sigma,
            measures: params.measures,
            normalize: params.normalize,
            zeros: params.center == "zeros",
            points: Vec::new(),
            cells: Vec::new(),
            inbox: illume_core::Inbox::default(),
        };
        Ok(Box::new(Scheduler::new(Composition {
            name: "omg_mega",
            initial: 0,
            sized_by: &["elites"],
            emitters: vec![Box::new(emitter)],
            given: config.task.given_rows(),
            apart: false,
            by_operator: true,
            bandit: None,
            samples: 1,
            spread: false,
        })))
    },
);

/// Whether the task can be searched by gradients.
fn check_task(name: &str, config: &StrategyConfig<'_>) -> Result<()> {
    let task = config.task;
    if task.name.is_empty() {
        // Not a task, but what stands for one that could not be built, so that problems of both are reported at once.
        return Ok(());
    }
    let message = if task.bounds.is_some() {
        format!(
            "{name} goes along gradients wherever they lead, and the genes of task \"{}\" have bounds; of arm, angles = \"radians\" has none",
            task.name
        )
    } else if task.gradients.is_none() {
        format!(
            "{name} searches by gradients, and task \"{}\" knows none: sphere, rastrigin, plateau and arm do",
            task.name
        )
    } else if task.descriptor.is_empty() {
        format!(
            "{name} searches by the descriptor's gradients, and task \"{}\" has no descriptor",
            task.name
        )
    } else {
        return Ok(());
    };
    Err(Error::config("strategy", "name", message))
}

/// How a point moves: "adam", or "ascent".
pub(crate) fn point_optimizer(name: &str, learning_rate: f64) -> Box<dyn GradientOptimizer + Send> {
    match name {
        "adam" => Box::new(Adam {
            learning_rate,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        }),
        _ => Box::new(Sgd {
            learning_rate,
            momentum: 0.0,
        }),
    }
}

fn build(
    config: &StrategyConfig<'_>,
    name: &'static str,
    count: usize,
    params: &ArborescenceParams,
    order: &MegaOrder,
) -> Result<Box<dyn Strategy>> {
    check_task(name, config)?;
    let rankers = rankers_of(config, &order.rankers)?;
    let restart = restart_of(&order.restart, order.restart_every)?;
    config.claim_rows("batch", params.batch as f64 * count as f64, 1)?;
    // A point, its moments, and its gradients in double precision.
    let gene = 3 * size_of::<f32>() + (1 + config.task.descriptor_dim()) * size_of::<f64>();
    let bytes = gene as f64 * config.task.genome_dim as f64 * count as f64;
    config
        .memory
        .claim("strategy", "emitters", bytes, &format!("gradients of {count} searches"))?;
    let space = coefficient_space(config.task);
    let settings = Settings {
        optimizer: "cma_es",
        population: params.batch - 1,
        key: "batch",
        sigma: params.sigma,
        center: "zeros",
        active: false,
        decompositions: Settings::DECOMPOSITIONS,
        pyribs: params.update == "pyribs",
    };
    let emitter = |number: usize| -> Result<Box<dyn Emitter>> {
        let parts = Arborescence {
            coefficients: optimizers::build(&settings, &space)?,
            optimizer: point_optimizer(&params.optimizer, params.learning_rate),
            zeros: params.center == "zeros",
            normalize: params.normalize,
            course: Course::new(rankers[number % rankers.len()], order.selection == "filter", restart),
        };
        Ok(Box::new(GradientArborescence::new(parts, config.task)))
    };
    Ok(Box::new(Scheduler::new(Composition {
        name,
        initial: 0,
        sized_by: &["batch", "emitters"],
        emitters: (0..count).map(emitter).collect::<Result<_>>()?,
        given: config.task.given_rows(),
        apart: true,
        by_operator: false,
        bandit: None,
        samples: 1,
        spread: false,
    })))
}
