//! `arm`: the inverse kinematics of a planar arm with many joints, as QDax states it (`qdax/tasks/arm.py`; Vassiliades and
//! Mouret, 'Discovering the elite hypervolume by leveraging interspecies correlation', GECCO 2018).
//!
//! Gene x_i in [0, 1] turns joint i by 2 pi x_i - pi relative to the link before it; links are 1 / n long. Fitness is minus the
//! standard deviation of the genes, the descriptor is the position of the arm's end, mapped to [0, 1]^2.
//!
//! With `angles = "radians"` it is that of Fontaine and Nikolaidis, 'Covariance matrix adaptation MAP-annealing' (GECCO 2023; authors' program,
//! `experiments/arm/arm.py:23-67`): genes are angles without bounds, links have length 1, fitness is 100 (1 - variance of the genes), and the descriptor is the position itself.
//!
//! With `objectives = 2` it has two: `straightness`, minus the standard deviation of the genes, and `minus_effort`, minus the mean size of the joints' turns as a share of
//! half a turn. Where the end of the arm has to be tells one from the other: few joints that turn far, or all of them a little.
//!
//! The kernel has one row in each lane: genes of [`LANES`] rows are transposed into a tile, and angles are kept in turns, where
//! wrapping them is exact.

use std::f64::consts::{PI, TAU};
use std::ops::Range;
use std::sync::Arc;

use illume_core::{
    Axis, Differentiable, Error, Genomes, Init, Objective, Request, Result, Scores, Scratch, Task, TaskConfig,
    TaskEntry, TaskSpec, Worker, params,
};
use illume_numerics::math::{fraction, sin_cos_turns};
use illume_numerics::simd_dispatch;

use illume_numerics::transpose::transpose;

use crate::noisy::{self, NoiseParams};

params! {
    /// Parameters of `arm`.
    pub struct ArmParams {
        /// Joints of the arm: genes of a genome.
        joints: usize = 20, range(1, 100_000);
        /// What genes are: "shares" of a whole turn, from 0 to 1, or "radians" without bounds, with links of length 1 and fitness in percent.
        angles: String = "shares".into(), one_of(&["shares", "radians"]);
        /// What an encoder of descriptors sees: the position of the arm's "end", or of all its "joints".
        features: String = "joints".into(), one_of(&["end", "joints"]);
        /// Objectives: 1, or 2 for straightness, minus the standard deviation of the genes, and minus the effort, the mean size of the joints' turns; of genes that are shares.
        objectives: usize = 1, range(1, 2);
    }
}

/// The registry's entry.
pub const ENTRY: TaskEntry = TaskEntry {
    name: "arm",
    family: &[],
    summary: "planar arm: fitness -sd of the joint angles, descriptor the position of its end",
    params: <(ArmParams, NoiseParams) as params::Params>::describe,
    network: false,
    cases: false,
    policy: None,
    small: "[task]\njoints = 6",
    suggested: "",
    gene_scale: 0.05,
    sketch: None,
    build,
};

fn build(config: &TaskConfig<'_>) -> Result<Box<dyn Task>> {
    let (
        ArmParams {
            joints,
            angles,
            features,
            objectives,
        },
        noise,
    ): (_, NoiseParams) = params::read(config.task, "task", &["name"])?;
    let objectives = objectives > 1;
    let radians = angles == "radians";
    if radians && objectives {
        let message =
            "expected 1, as the effort is a share of half a turn, which angles = \"radians\" have no bounds for";
        return Err(Error::config("task", "objectives", message));
    }
    let pair = vec![
        Objective::new("straightness", "", [-0.5, 0.0]),
        Objective::new("minus_effort", "", [-1.0, 0.0]),
    ];
    let reach = if radians { joints as f64 } else { 1.0 };
    let axis = |name: &str| Axis::new(name, "", if radians { -reach } else { 0.0 }, reach);
    let arm = Arm {
        radians,
        spec: TaskSpec {
            bounds: (!radians).then_some([0.0, 1.0]),
            descriptor: vec![axis("x"), axis("y")],
            fitness: match radians {
                true => "100 (1 - variance of the genes)".into(),
                false if objectives => "mean of straightness and minus the effort".into(),
                false => "minus the standard deviation of the genes".into(),
            },
            // The largest standard deviation of numbers in [0, 1].
            qd_offset: match radians {
                true => 0.0,
                false if objectives => 0.75,
                false => 0.5,
            },
            deterministic: true,
            gradients: (!objectives).then(|| Arc::new(Gradients { radians }) as Arc<dyn Differentiable>),
            objectives: if objectives { pair } else { Vec::new() },
            features: if features == "end" { 2 } else { 2 * joints },
            chunk: 4 * LANES,
            ..TaskSpec::new(
                "arm",
                joints,
                match radians {
                    true => Init::Normal { mean: 0.0, sd: 1.0 },
                    false => Init::Uniform { lower: 0.0, upper: 1.0 },
                },
            )
        },
    };
    noisy::wrap(arm, noise)
}

struct Arm {
    /// Genes are angles without bounds.
    radians: bool,
    spec: TaskSpec,
}

impl Task for Arm {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        let tile = vec![[0.0; LANES]; self.spec.genome_dim];
        Ok(Box::new(ArmWorker {
            radians: self.radians,
            pair: !self.spec.objectives.is_empty(),
            tile,
            genes: Scratch::default(),
            features: self.spec.features,
        }))
    }
}

/// The arm's gradients, by hand.
#[derive(Debug)]
struct Gradients {
    radians: bool,
}

impl Differentiable for Gradients {
    fn gradients(&self, genes: &[f32], gradients: &mut [f64]) {
        let n = genes.len();
        let count = n as f64;
        let (fitness, position) = gradients.split_at_mut(n);
        let (x, y) = position.split_at_mut(n);
        let mean = genes.iter().map(|g| f64::from(*g)).sum::<f64>() / count;
        let variance = genes.iter().map(|g| (f64::from(*g) - mean).powi(2)).sum::<f64>() / count;
        // Of 100 (1 - variance), or of minus the standard deviation, which has none where all genes are equal.
        let factor = match self.radians {
            true => -200.0 / count,
            false if variance > 0.0 => -1.0 / (count * variance.sqrt()),
            false => 0.0,
        };
        let (turn, length) = match self.radians {
            true => (1.0, 1.0),
            false => (TAU, 0.5 / count),
        };
        let mut angle = 0.0;
        for (i, gene) in genes.iter().map(|g| f64::from(*g)).enumerate() {
            fitness[i] = factor * (gene - mean);
            angle += if self.radians { gene } else { TAU * gene - PI };
            (x[i], y[i]) = (-turn * length * angle.sin(), turn * length * angle.cos());
        }
        // A joint moves every link behind it.
        for i in (0..n - 1).rev() {
            x[i] += x[i + 1];
            y[i] += y[i + 1];
        }
    }
}

/// Rows evaluated together: two of the widest vectors, whose chains of dependent sums overlap.
const LANES: usize = 32;

type Lanes = [f32; LANES];

struct ArmWorker {
    radians: bool,
    /// Whether there are two objectives.
    pair: bool,
    /// Genes by joint, `[joints][rows]`; lanes without a row hold what they held before.
    tile: Vec<Lanes>,
    genes: Scratch,
    /// Numbers shown of each row: positions of the last joints.
    features: usize,
}

/// What a tile gives: fitness and position of each lane's row.
struct Poses {
    fitness: Lanes,
    x: Lanes,
    y: Lanes,
}

impl Worker for ArmWorker {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        let first = rows.start;
        for start in rows.clone().step_by(LANES) {
            let n = LANES.min(rows.end - start);
            match request.genomes {
                Genomes::Dense(dense) => {
                    transpose(&dense.data[start * dense.dim..(start + n) * dense.dim], &mut self.tile);
                }
                other => {
                    for lane in 0..n {
                        let genes = other.genes(start + lane, &mut self.genes);
                        self.tile
                            .iter_mut()
                            .zip(genes)
                            .for_each(|(row, gene)| row[lane] = *gene);
                    }
                }
            }
            let poses = poses(&self.tile, self.radians);
            let at = start - first;
            for lane in 0..n {
                scores.fitness[at + lane] = f64::from(poses.fitness[lane]);
                scores.descriptor[2 * (at + lane)] = f64::from(poses.x[lane]);
                scores.descriptor[2 * (at + lane) + 1] = f64::from(poses.y[lane]);
            }
            if self.pair {
                let own = scores.objectives[2 * at..].chunks_exact_mut(2);
                for (lane, own) in own.take(n).enumerate() {
                    own.copy_from_slice(&[f64::from(poses.fitness[lane]), 0.0 - effort(&self.tile, lane)]);
                }
            }
        }
        if self.pair {
            scores.average_objectives();
        }
        scores.steps.fill(1);
        for (row, features) in rows.zip(scores.features.chunks_exact_mut(self.features)) {
            let genes = request.genomes.genes(row, &mut self.genes);
            show(genes, self.radians, features);
        }
    }
}

/// The positions (x, y) of the last joints, the end behind all, in units of the arm's length.
fn show(genes: &[f32], radians: bool, features: &mut [f32]) {
    let n = genes.len();
    let hidden = n - features.len() / 2;
    let (mut turn, mut x, mut y) = (0.0f32, 0.0f32, 0.0f32);
    for (joint, gene) in genes.iter().enumerate() {
        let bend = if radians { gene * TURNS_PER_RADIAN } else { gene - 0.5 };
        turn = fraction(turn + bend);
        let (sine, cosine) = sin_cos_turns(turn);
        (x, y) = (x + cosine, y + sine);
        if let Some(place) = joint.checked_sub(hidden) {
            features[2 * place..2 * place + 2].copy_from_slice(&[x / n as f32, y / n as f32]);
        }
    }
}

/// Mean size of a row's turns, as a share of half a turn.
fn effort(tile: &[Lanes], lane: usize) -> f64 {
    let turns = tile.iter().map(|genes| f64::from((2.0 * genes[lane] - 1.0).abs()));
    turns.sum::<f64>() / tile.len() as f64
}

fn poses(tile: &[Lanes], radians: bool) -> Poses {
    simd_dispatch!(
        fn [](tile: &[Lanes], radians: bool) -> Poses {
            match radians {
                true => poses_body::<true>(tile),
                false => poses_body::<false>(tile),
            }
        }
    )
}

const TURNS_PER_RADIAN: f32 = std::f32::consts::FRAC_1_PI / 2.0;

#[inline(always)]
fn poses_body<const RADIANS: bool>(tile: &[Lanes]) -> Poses {
    let [mut turn, mut sum, mut x, mut y] = [[0.0f32; LANES]; 4];
    for genes in tile {
        for l in 0..LANES {
            sum[l] += genes[l];
            let bend = if RADIANS {
                genes[l] * TURNS_PER_RADIAN
            } else {
                genes[l] - 0.5
            };
            turn[l] = fraction(turn[l] + bend);
            let (sine, cosine) = sin_cos_turns(turn[l]);
            x[l] += cosine;
            y[l] += sine;
        }
    }
    let count = 1.0 / tile.len() as f32;
    let mut variance = [0.0f32; LANES];
    for genes in tile {
        for l in 0..LANES {
            let d = genes[l] - sum[l] * count;
            variance[l] = d.mul_add(d, variance[l]);
        }
    }
    let mut poses = Poses {
        fitness: [0.0; LANES],
        x,
        y,
    };
    for l in 0..LANES {
        if RADIANS {
            poses.fitness[l] = 100.0 * (1.0 - variance[l] * count);
            continue;
        }
        poses.fitness[l] = -(variance[l] * count).sqrt();
        // Rounding may carry a stretched arm an ulp beyond its reach.
        poses.x[l] = (x[l] * count).mul_add(0.5, 0.5).clamp(0.0, 1.0);
        poses.y[l] = (y[l] * count).mul_add(0.5, 0.5).clamp(0.0, 1.0);
    }
    poses
}

#[cfg(test)]
mod tests {
    use super::{LANES, poses, poses_body};
    use crate::testing::{evaluate, task};
    use illume_core::{Purpose, Stream};

    /// QDax's formulas in double precision.
    fn twin(genes: &[f32]) -> (f64, f64, f64) {
        let n = genes.len() as f64;
        let mean = genes.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
        let variance = genes.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n;
        let (mut angle, mut x, mut y) = (0.0, 0.0, 0.0);
        for gene in genes {
            angle += std::f64::consts::TAU * f64::from(*gene) - std::f64::consts::PI;
            x += f64::cos(angle) / n;
            y += f64::sin(angle) / n;
        }
        (-variance.sqrt(), 0.5 * x + 0.5, 0.5 * y + 0.5)
    }

    #[test]
    fn gradients_are_those_of_central_differences() {
        for angles in ["shares", "radians"] {
            let task = task(&format!("name = \"arm\"\njoints = 7\nangles = \"{angles}\""));
            crate::testing::check_gradients(task.as_ref(), &[0.21, 0.7, 0.45, 0.33, 0.9, 0.12, 0.58], 1e-2);
        }
    }

    #[test]
    fn the_kernel_agrees_with_its_plain_twin() {
        for (joints, rows) in [(1, 5), (2, 33), (7, 31), (20, 200), (100, 64), (1001, 40)] {
            let mut genes = vec![0.0; rows * joints];
            Stream::new(joints as u64, Purpose::Init, 0, 0).uniforms(0, &mut genes);
            // Stretched, folded and nearly straight arms among them.
            genes[..joints].fill(0.5);
            genes[joints..2 * joints].fill(1.0);
            genes[2 * joints..3 * joints]
                .iter_mut()
                .enumerate()
                .for_each(|(i, x)| *x = 0.5 + 1e-4 * (i % 3) as f32);
            let results = evaluate(&*task(&format!("name = \"arm\"\njoints = {joints}")), &genes, rows);
            for (i, row) in genes.chunks_exact(joints).enumerate() {
                let (fitness, x, y) = twin(row);
                assert!(
                    (results.fitness[i] - fitness).abs() < 3e-7,
                    "{joints} joints: {} {fitness}",
                    results.fitness[i]
                );
                let error = (results.descriptor[2 * i] - x)
                    .abs()
                    .max((results.descriptor[2 * i + 1] - y).abs());
                assert!(error < 3e-6, "{joints} joints, row {i}: {error:e}");
            }
        }
    }

    /// `evaluate_grasp` of the authors' program in double precision.
    #[test]
    fn angles_without_bounds_agree_with_the_authors_program() {
        for (joints, rows) in [(1, 5), (3, 40), (100, 64)] {
            let mut genes = vec![0.0; rows * joints];
            Stream::new(joints as u64, Purpose::Init, 0, 0).add_normals(0, 1.5, &mut genes);
            let spec = format!("name = \"arm\"\njoints = {joints}\nangles = \"radians\"");
            let results = evaluate(&*task(&spec), &genes, rows);
            for (i, row) in genes.chunks_exact(joints).enumerate() {
                let angles: Vec<f64> = row.iter().copied().map(f64::from).collect();
                let mean = angles.iter().sum::<f64>() / joints as f64;
                let variance = angles.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / joints as f64;
                let (mut angle, mut x, mut y) = (0.0, 0.0, 0.0);
                for a in angles {
                    angle += a;
                    x += f64::cos(angle);
                    y += f64::sin(angle);
                }
                let fitness = 100.0 * (1.0 - variance);
                assert!(
                    (results.fitness[i] - fitness).abs() < 1e-3,
                    "{} {fitness}",
                    results.fitness[i]
                );
                let error = (results.descriptor[2 * i] - x)
                    .abs()
                    .max((results.descriptor[2 * i + 1] - y).abs());
                assert!(error < 1e-4 * joints as f64, "{joints} joints, row {i}: {error:e}");
            }
        }
    }

    #[test]
    fn the_last_position_shown_is_the_descriptor() {
        for (angles, scale) in [("shares", 0.5), ("radians", 7.0)] {
            for (features, count) in [("end", 2), ("joints", 14)] {
                let text = format!("name = \"arm\"\njoints = 7\nangles = \"{angles}\"\nfeatures = \"{features}\"");
                let task = task(&text);
                let mut genes = vec![0.0; 9 * 7];
                Stream::new(5, Purpose::Init, 0, 0).uniforms(0, &mut genes);
                let (results, shown) = crate::testing::shown(&*task, &genes, 9);
                assert_eq!(shown.len(), 9 * count);
                for (shown, place) in shown.chunks_exact(count).zip(results.descriptor.chunks_exact(2)) {
                    for (shown, place) in shown[count - 2..].iter().zip(place) {
                        let from = if angles == "shares" { 0.5 } else { 0.0 };
                        let error = f64::from(*shown) * scale + from - place;
                        assert!(error.abs() < 1e-5, "{angles} {features}: {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_stretched_arm_reaches_the_edge_and_not_beyond() {
        let results = evaluate(&*task("name = \"arm\""), &[0.5; 20], 1);
        assert!((results.descriptor[0] - 1.0).abs() < 1e-6 && results.descriptor[0] <= 1.0);
        assert_eq!((results.descriptor[1], results.fitness[0]), (0.5, 0.0));
    }

    #[test]
    fn a_row_does_not_depend_on_the_rows_beside_it() {
        let task = task("name = \"arm\"\njoints = 13");
        let mut genes = vec![0.0; 70 * 13];
        Stream::new(3, Purpose::Init, 0, 0).uniforms(0, &mut genes);
        let whole = evaluate(&*task, &genes, 70);
        for (i, row) in genes.chunks_exact(13).enumerate() {
            let alone = evaluate(&*task, row, 1);
            assert_eq!(
                (alone.fitness[0], &alone.descriptor[..]),
                (whole.fitness[i], &whole.descriptor[2 * i..2 * i + 2])
            );
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_vector_width() {
        let mut genes = vec![0.0; 50 * LANES];
        Stream::new(9, Purpose::Init, 0, 0).uniforms(0, &mut genes);
        let (tile, _) = genes.as_chunks::<LANES>();
        // Not dispatched: compiled for the narrowest machine.
        for (narrow, widest) in [
            (poses_body::<false>(tile), poses(tile, false)),
            (poses_body::<true>(tile), poses(tile, true)),
        ] {
            assert_eq!(
                (narrow.fitness, narrow.x, narrow.y),
                (widest.fitness, widest.x, widest.y)
            );
        }
    }

    #[test]
    fn the_pair_is_minus_the_deviation_and_minus_the_mean_turn() {
        let genes = [0.5f32, 0.5, 0.5, 0.25, 0.75, 0.5, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0];
        let task = task("name = \"arm\"\njoints = 3\nobjectives = 2");
        let results = evaluate(task.as_ref(), &genes, 4);
        let third = |x: f64| x / 3.0;
        let expected = [
            [0.0, 0.0],
            [-third(0.125).sqrt(), -third(1.0)],
            [-(2.0f64 / 9.0).sqrt(), -1.0],
            [0.0, -1.0],
        ];
        for (found, expected) in results.objectives.chunks(2).zip(expected) {
            assert!(
                (found[0] - expected[0]).abs() < 1e-7 && (found[1] - expected[1]).abs() < 1e-7,
                "{found:?}"
            );
        }
        assert!((results.fitness[2] - (expected[2][0] + expected[2][1]) / 2.0).abs() < 1e-7);
        assert!(task.spec().gradients.is_none());
    }
}
