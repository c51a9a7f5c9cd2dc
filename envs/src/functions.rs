//! `sphere`, `rastrigin` and `plateau`: the linear projection benchmarks of Fontaine, Togelius, Nikolaidis and Hoover, 'Covariance matrix
//! adaptation for the rapid illumination of behavior space' (GECCO 2020), in the form of pyribs' `examples/sphere.py`.
//!
//! The optimum lies at 2.048 = 0.4 * 5.12 in every gene and scores 100; a genome of -5.12 scores 0, and what lies farther out
//! less (the QD offset is 0 all the same, as in pyribs, so that scores compare). The plateau (Fontaine and Nikolaidis, 'Covariance matrix adaptation
//! MAP-annealing', GECCO 2023; authors' program, `experiments/lin_proj/lin_proj.py:62-83`) scores 100 within ±5.12 and less outside: 100 minus the mean square of what
//! genes lie beyond. Descriptors are the sums of either half of
//! the genes, where a gene x beyond ±5.12 counts as 5.12 / x.

use std::f64::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

use illume_core::{
    Axis, Differentiable, Init, Request, Result, Scores, Scratch, Task, TaskConfig, TaskEntry, TaskSpec, Worker, params,
};
use illume_numerics::math::cos_turns;
use illume_numerics::simd_dispatch;

use crate::noisy::{self, NoiseParams};

params! {
    /// Parameters of `sphere`, `rastrigin` and `plateau`.
    pub struct FunctionParams {
        /// Genes of a genome.
        dim: usize = 100, range(2, 100_000_000);
    }
}

const SMALL: &str = "[task]\ndim = 6";
const SUGGESTED: &str = "[task]\ndim = 20";

/// The registry's entries.
pub const SPHERE: TaskEntry = TaskEntry {
    name: "sphere",
    family: &[],
    summary: "sphere function, linear projection: fitness up to 100, descriptor sums of the clipped genes of each half",
    params: <(FunctionParams, NoiseParams) as params::Params>::describe,
    network: false,
    cases: false,
    policy: None,
    small: SMALL,
    suggested: SUGGESTED,
    gene_scale: 0.2,
    sketch: None,
    build: |config| build(config, "sphere", Raw::Sphere),
};
pub const RASTRIGIN: TaskEntry = TaskEntry {
    name: "rastrigin",
    family: &[],
    summary: "Rastrigin function, linear projection: fitness up to 100, descriptor sums of the clipped genes of each half",
    params: <(FunctionParams, NoiseParams) as params::Params>::describe,
    network: false,
    cases: false,
    policy: None,
    small: SMALL,
    suggested: SUGGESTED,
    gene_scale: 0.3,
    sketch: None,
    build: |config| build(config, "rastrigin", Raw::Rastrigin),
};

pub const PLATEAU: TaskEntry = TaskEntry {
    name: "plateau",
    family: &[],
    summary: "flat function, linear projection: fitness 100 within the box, descriptor sums of the clipped genes of each half",
    params: <(FunctionParams, NoiseParams) as params::Params>::describe,
    network: false,
    cases: false,
    policy: None,
    small: SMALL,
    suggested: SUGGESTED,
    gene_scale: 0.2,
    sketch: None,
    build: |config| build(config, "plateau", Raw::Plateau),
};

/// Genes are meant to lie within ±BOX.
const BOX: f64 = 5.12;
/// The optimum, in every gene.
const OPTIMUM: f64 = 0.4 * BOX;
/// Rastrigin's amplitude.
const AMPLITUDE: f64 = 10.0;
/// Mean square beyond the box at which the plateau scores 0.
const PENALTY: f64 = 100.0;

fn build(config: &TaskConfig<'_>, name: &str, raw: Raw) -> Result<Box<dyn Task>> {
    let (FunctionParams { dim }, noise): (_, NoiseParams) = params::read(config.task, "task", &["name"])?;
    let reach = |genes: usize| genes as f64 * BOX;
    let (first, second) = (reach(dim / 2), reach(dim - dim / 2));
    let (worst, fitness) = match raw {
        Raw::Plateau => (
            dim as f64 * PENALTY,
            format!("100 minus the mean square by which genes lie beyond {BOX} and -{BOX}"),
        ),
        _ => (
            dim as f64 * raw.gene(-BOX),
            format!("{name} function, 100 at its optimum, 0 at genes of -{BOX}"),
        ),
    };
    let gradients = Gradients { raw, worst };
    let function = Function {
        raw,
        worst,
        spec: TaskSpec {
            descriptor: vec![
                Axis::new("first half", "", -first, first),
                Axis::new("second half", "", -second, second),
            ],
            fitness,
            deterministic: true,
            gradients: Some(Arc::new(gradients)),
            chunk: 64,
            ..TaskSpec::new(name, dim, Init::Normal { mean: 0.0, sd: 0.5 })
        },
    };
    noisy::wrap(function, noise)
}

/// A function that is a sum over genes, to be minimized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Raw {
    Sphere,
    Rastrigin,
    Plateau,
}

impl Raw {
    /// What a gene adds.
    #[inline(always)]
    fn gene(self, x: f64) -> f64 {
        let d = x - OPTIMUM;
        match self {
            Raw::Sphere => d * d,
            Raw::Rastrigin => d * d + AMPLITUDE * (1.0 - cos_turns(d)),
            Raw::Plateau => {
                let beyond = (x.abs() - BOX).max(0.0);
                beyond * beyond
            }
        }
    }
}

impl Raw {
    /// The derivative of what a gene adds.
    fn slope(self, x: f64) -> f64 {
        let d = x - OPTIMUM;
        match self {
            Raw::Sphere => 2.0 * d,
            Raw::Rastrigin => 2.0 * d + AMPLITUDE * TAU * (TAU * d).sin(),
            Raw::Plateau => 2.0 * (x.abs() - BOX).max(0.0) * x.signum(),
        }
    }
}

struct Function {
    raw: Raw,
    /// The function where it scores 0.
    worst: f64,
    spec: TaskSpec,
}

impl Task for Function {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(FunctionWorker {
            function: self,
            genes: Scratch::default(),
        }))
    }
}

struct FunctionWorker<'a> {
    function: &'a Function,
    genes: Scratch,
}

impl Worker for FunctionWorker<'_> {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        for (i, row) in rows.enumerate() {
            let genes = request.genomes.genes(row, &mut self.genes);
            let (first, second) = genes.split_at(genes.len() / 2);
            let (raw_first, sum_first) = sums(self.function.raw, first);
            let (raw_second, sum_second) = sums(self.function.raw, second);
            scores.fitness[i] = 100.0 * (1.0 - (raw_first + raw_second) / self.function.worst);
            scores.descriptor[2 * i] = sum_first;
            scores.descriptor[2 * i + 1] = sum_second;
        }
        scores.steps.fill(1);
    }
}

/// A function's gradients, by hand.
#[derive(Debug)]
struct Gradients {
    raw: Raw,
    worst: f64,
}

impl Differentiable for Gradients {
    fn gradients(&self, genes: &[f32], gradients: &mut [f64]) {
        let n = genes.len();
        let (fitness, sums) = gradients.split_at_mut(n);
        let (first, second) = sums.split_at_mut(n);
        for (i, x) in genes.iter().map(|x| f64::from(*x)).enumerate() {
            fitness[i] = -100.0 / self.worst * self.raw.slope(x);
            let slope = if x.abs() > BOX { -BOX / (x * x) } else { 1.0 };
            (first[i], second[i]) = if i < n / 2 { (slope, 0.0) } else { (0.0, slope) };
        }
    }
}

/// Partial sums that are kept apart: gene i goes to number i mod 8, so that bits do not depend on the vector width.
const LANES: usize = 8;

/// (Sum of the function, sum of the clipped genes) over genes.
fn sums(raw: Raw, genes: &[f32]) -> (f64, f64) {
    simd_dispatch!(
        fn [](raw: Raw, genes: &[f32]) -> (f64, f64) {
            match raw {
                Raw::Sphere => sums_body(Raw::Sphere, genes),
                Raw::Rastrigin => sums_body(Raw::Rastrigin, genes),
                Raw::Plateau => sums_body(Raw::Plateau, genes),
            }
        }
    )
}

#[inline(always)]
fn sums_body(raw: Raw, genes: &[f32]) -> (f64, f64) {
    let (mut function, mut clipped) = ([0.0; LANES], [0.0; LANES]);
    let (eights, rest) = genes.as_chunks::<LANES>();
    for genes in eights {
        for l in 0..LANES {
            let x = f64::from(genes[l]);
            function[l] += raw.gene(x);
            clipped[l] += clip(x);
        }
    }
    for (l, gene) in rest.iter().enumerate() {
        let x = f64::from(*gene);
        function[l] += raw.gene(x);
        clipped[l] += clip(x);
    }
    (total(&function), total(&clipped))
}

#[inline(always)]
fn clip(x: f64) -> f64 {
    let beyond = BOX / x;
    if x.abs() > BOX { beyond } else { x }
}

#[inline(always)]
fn total(lanes: &[f64; LANES]) -> f64 {
    let [a, b, c, d, e, f, g, h] = *lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

#[cfg(test)]
mod tests {
    use super::{Raw, sums, sums_body};
    use crate::testing::{evaluate, task};

    #[test]
    fn gradients_are_those_of_central_differences() {
        for name in ["sphere", "rastrigin", "plateau"] {
            let task = task(&format!("name = \"{name}\"\ndim = 6"));
            crate::testing::check_gradients(task.as_ref(), &[0.3, -2.4, 7.0, 2.048, -6.5, 5.0], 1e-2);
        }
    }

    /// pyribs' formulas, gene by gene.
    fn twin(name: &str, genes: &[f32]) -> (f64, [f64; 2]) {
        let n = genes.len();
        let raw = |d: f64| match name {
            "sphere" => d * d,
            _ => 10.0 + d * d - 10.0 * (std::f64::consts::TAU * d).cos(),
        };
        let worst = n as f64 * raw(-5.12 - 2.048);
        let sum: f64 = genes.iter().map(|x| raw(f64::from(*x) - 2.048)).sum();
        let clip = |x: f64| if (-5.12..=5.12).contains(&x) { x } else { 5.12 / x };
        let half = |g: &[f32]| g.iter().map(|x| clip(f64::from(*x))).sum();
        (
            (sum - worst) / -worst * 100.0,
            [half(&genes[..n / 2]), half(&genes[n / 2..])],
        )
    }

    #[test]
    fn both_functions_equal_their_twins() {
        for name in ["sphere", "rastrigin"] {
            for dim in [2, 3, 20, 101] {
                let task = task(&format!("name = \"{name}\"\ndim = {dim}"));
                let mut genes = vec![0.0; 30 * dim];
                illume_core::Stream::new(1, illume_core::Purpose::Init, 0, 0).add_normals(0, 4.0, &mut genes);
                let scores = evaluate(&*task, &genes, 30);
                for (i, row) in genes.chunks_exact(dim).enumerate() {
                    let (fitness, descriptor) = twin(name, row);
                    assert!((scores.fitness[i] - fitness).abs() < 1e-9, "{name} {dim}");
                    assert!((scores.descriptor[2 * i] - descriptor[0]).abs() < 1e-9);
                    assert!((scores.descriptor[2 * i + 1] - descriptor[1]).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn the_optimum_scores_100_and_the_worst_corner_0() {
        for name in ["sphere", "rastrigin"] {
            let genes: Vec<f32> = [[2.048f32; 4], [-5.12; 4]].concat();
            let scores = evaluate(&*task(&format!("name = \"{name}\"\ndim = 4")), &genes, 2);
            assert!(
                (scores.fitness[0] - 100.0).abs() < 1e-9 && scores.fitness[1].abs() < 1e-4,
                "{:?}",
                scores.fitness
            );
            assert!((scores.descriptor[0] - 4.096).abs() < 1e-6);
        }
    }

    /// `calc_plateau` and `calc_measures` of the authors' program, by hand.
    #[test]
    fn the_plateau_is_flat_within_its_box_and_falls_outside() {
        let genes = [5.12f32, -5.12, 0.0, 3.0, 6.12, -8.12, 5.12, 0.0];
        let scores = evaluate(&*task("name = \"plateau\"\ndim = 4"), &genes, 2);
        assert_eq!(scores.fitness[0], 100.0);
        // (1 + 9) / 4.
        assert!((scores.fitness[1] - 97.5).abs() < 1e-5, "{:?}", scores.fitness);
        let beyond = 5.12 / 6.12 - 5.12 / 8.12;
        assert!((scores.descriptor[2] - beyond).abs() < 1e-6 && (scores.descriptor[3] - 5.12).abs() < 1e-6);
    }

    #[test]
    fn bits_do_not_depend_on_the_vector_width() {
        let mut genes = vec![0.0; 1003];
        illume_core::Stream::new(2, illume_core::Purpose::Init, 0, 0).add_normals(0, 4.0, &mut genes);
        for raw in [Raw::Sphere, Raw::Rastrigin, Raw::Plateau] {
            // Not dispatched: compiled for the narrowest machine.
            assert_eq!(sums_body(raw, &genes), sums(raw, &genes));
        }
    }
}
