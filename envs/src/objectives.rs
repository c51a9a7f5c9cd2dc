//! Functions of several objectives: ZDT (Zitzler, Deb and Thiele, 'Comparison of multiobjective evolutionary algorithms', Evolutionary Computation 8(2), 2000), DTLZ (Deb,
//! Thiele, Laumanns and Zitzler, 'Scalable test problems for evolutionary multiobjective optimization', 2005), and the pair of Rastrigin functions of MOME (Pierrot, Richard,
//! Beguir and Cully, 'Multi-objective quality diversity optimization', GECCO 2022; QDax `tests/core_test/mome_test.py`).
//!
//! All are stated as costs in their papers, so the objectives are minus these: `minus_f1`, `minus_f2`, ... Descriptors are the first two genes.

mod functions;
#[cfg(test)]
mod tests;

use std::ops::Range;

use illume_core::params::ParamInfo;
use illume_core::{
    Axis, Error, Init, Objective, Request, Result, Scores, Scratch, Task, TaskConfig, TaskEntry, TaskSpec, Worker, params,
};

use self::functions::{Costs, Dtlz, RastriginPair, Zdt};

params! {
    /// Parameters of `zdt1`, ..., `zdt6`.
    pub struct ZdtParams {
        /// Genes of a genome; 0 for as many as in the paper: 30, of zdt4 and zdt6 10.
        dim: usize = 0, range(0, 1_000_000);
    }
}

params! {
    /// Parameters of `dtlz1`, ..., `dtlz7`.
    pub struct DtlzParams {
        /// Genes of a genome; 0 for as many as in the paper: objectives - 1 and 10 more, of dtlz1 5, of dtlz7 20.
        dim: usize = 0, range(0, 1_000_000);
        /// Objectives.
        objectives: usize = 3, range(2, 20);
    }
}

params! {
    /// Parameters of `rastrigin_pair`.
    pub struct RastriginPairParams {
        /// Genes of a genome.
        dim: usize = 100, range(2, 1_000_000);
        /// Where the second function has its optimum, in each gene; that of the first is at 0.
        lag: f64 = 2.2, range(1e-3, 4.0);
    }
}

/// The registry's entry of the ZDT functions.
pub const ZDT: TaskEntry = TaskEntry {
    family: &["zdt1", "zdt2", "zdt3", "zdt4", "zdt6"],
    params: <ZdtParams as params::Params>::describe,
    build: build_zdt,
    ..entry("zdt1", "two objectives of Zitzler, Deb and Thiele, to be minimized, descriptor the first two genes")
};

/// The registry's entry of the DTLZ functions.
pub const DTLZ: TaskEntry = TaskEntry {
    family: &["dtlz1", "dtlz2", "dtlz3", "dtlz4", "dtlz5", "dtlz6", "dtlz7"],
    params: <DtlzParams as params::Params>::describe,
    build: build_dtlz,
    ..entry("dtlz1", "any number of objectives of Deb and others, to be minimized, descriptor the first two genes")
};

/// The registry's entry of the pair of Rastrigin functions.
pub const RASTRIGIN_PAIR: TaskEntry = TaskEntry {
    params: <RastriginPairParams as params::Params>::describe,
    small: "[task]\ndim = 6",
    suggested: "[task]\ndim = 20",
    gene_scale: 0.3,
    build: build_pair,
    ..entry("rastrigin_pair", "two Rastrigin functions a lag apart, both to be minimized, descriptor the first two genes")
};

/// What all these tasks are.
const fn entry(name: &'static str, summary: &'static str) -> TaskEntry {
    const NONE: fn() -> Vec<ParamInfo> = Vec::new;
    TaskEntry {
        name,
        family: &[],
        summary,
        params: NONE,
        network: false,
        cases: false,
        policy: None,
        small: "[task]\ndim = 6",
        suggested: "",
        gene_scale: 0.1,
        sketch: None,
        build: build_pair,
    }
}

/// The name that the configuration says, with which a family's function ends.
fn named<'a>(config: &'a TaskConfig<'_>, otherwise: &'a str) -> (&'a str, u8) {
    let name = config.task.get("name").and_then(|name| name.as_str()).unwrap_or(otherwise);
    (name, name.as_bytes().last().map_or(0, |digit| digit.wrapping_sub(b'0')))
}

fn build_zdt(config: &TaskConfig<'_>) -> Result<Box<dyn Task>> {
    let ZdtParams { dim } = params::read(config.task, "task", &["name"])?;
    let (name, number) = named(config, ZDT.name);
    let zdt = Zdt(number);
    let dim = match dim {
        0 => zdt.usual_dim(),
        dim => dim,
    };
    check_dim(name, dim, 2)?;
    let front = if number == 3 { functions::ZDT3_LOWEST } else { 0.0 };
    let first = if number == 6 { functions::ZDT6_LOWEST } else { 0.0 };
    Ok(task(name, dim, [0.0, 1.0], zdt, vec![[1.1, first], [1.1, front]]))
}

fn build_dtlz(config: &TaskConfig<'_>) -> Result<Box<dyn Task>> {
    let DtlzParams { dim, objectives: m } = params::read(config.task, "task", &["name"])?;
    let (name, number) = named(config, DTLZ.name);
    let dtlz = Dtlz { number, m };
    let dim = match dim {
        0 => dtlz.usual_dim(),
        dim => dim,
    };
    check_dim(name, dim, m)?;
    let ranges = (0..m).map(|i| match (number, i + 1 == m) {
        (1, _) => [0.55, 0.0],
        (7, true) => [2.2 * m as f64, 2.0 * m as f64 - (m - 1) as f64 * functions::DTLZ7_STEEPEST],
        _ => [1.1, 0.0],
    });
    Ok(task(name, dim, [0.0, 1.0], dtlz, ranges.collect()))
}

fn build_pair(config: &TaskConfig<'_>) -> Result<Box<dyn Task>> {
    let RastriginPairParams { dim, lag } = params::read(config.task, "task", &["name"])?;
    let pair = RastriginPair { lag };
    // What either is worth at the other's optimum.
    let worst = pair.at_the_other(dim);
    Ok(task(RASTRIGIN_PAIR.name, dim, functions::RASTRIGIN_BOX, pair, vec![[worst, 0.0]; 2]))
}

/// Whether there are genes enough.
fn check_dim(name: &str, dim: usize, least: usize) -> Result<()> {
    if dim >= least {
        return Ok(());
    }
    let message = format!("expected at least {least} genes for task \"{name}\" (0 for as many as in the paper), got {dim}");
    Err(Error::config("task", "dim", message))
}

/// The task of these costs; `ranges` says of each where hypervolumes are measured from and what is the least.
fn task<C: Costs + 'static>(name: &str, dim: usize, bounds: [f32; 2], costs: C, ranges: Vec<[f64; 2]>) -> Box<dyn Task> {
    let objectives: Vec<Objective> = (1..)
        .zip(&ranges)
        .map(|(i, range)| Objective::new(&format!("minus_f{i}"), "", range.map(|x| 0.0 - x)))
        .collect();
    let [lower, upper] = bounds;
    let axis = |name: &str| Axis::new(name, "", lower.into(), upper.into());
    let spec = TaskSpec {
        bounds: Some(bounds),
        descriptor: vec![axis("x1"), axis("x2")],
        fitness: format!("minus the mean of the {} costs", objectives.len()),
        qd_offset: costs.most(dim),
        deterministic: true,
        objectives,
        chunk: 64,
        ..TaskSpec::new(name, dim, Init::Uniform { lower, upper })
    };
    Box::new(Function { costs, spec })
}

struct Function<C> {
    costs: C,
    spec: TaskSpec,
}

impl<C: Costs> Task for Function<C> {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(FunctionWorker {
            function: self,
            genes: Scratch::default(),
            x: Vec::new(),
        }))
    }
}

struct FunctionWorker<'a, C> {
    function: &'a Function<C>,
    genes: Scratch,
    x: Vec<f64>,
}

impl<C: Costs> Worker for FunctionWorker<'_, C> {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        let m = self.function.spec.objectives.len();
        for (i, row) in rows.enumerate() {
            self.x.clear();
            self.x.extend(request.genomes.genes(row, &mut self.genes).iter().map(|x| f64::from(*x)));
            let own = &mut scores.objectives[i * m..(i + 1) * m];
            self.function.costs.costs(&self.x, own);
            // 0 minus it: no value is -0.
            own.iter_mut().for_each(|cost| *cost = 0.0 - *cost);
            scores.descriptor[2 * i..2 * (i + 1)].copy_from_slice(&self.x[..2]);
        }
        scores.average_objectives();
        scores.steps.fill(1);
    }
}
