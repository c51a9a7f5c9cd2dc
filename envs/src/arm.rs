//! `arm`: the inverse kinematics of a planar arm with many joints, as QDax states it (`qdax/tasks/arm.py`; Vassiliades and
//! Mouret, 'Discovering the elite hypervolume by leveraging interspecies correlation', GECCO 2018).
//!
//! Gene x_i in [0, 1] turns joint i by 2 pi x_i - pi relative to the link before it; links are 1 / n long. Fitness is minus the
//! standard deviation of the genes, the descriptor is the position of the arm's end, mapped to [0, 1]^2.
//!
//! The kernel has one row in each lane: genes of [`LANES`] rows are transposed into a tile, and angles are kept in turns, where
//! wrapping them is exact.

use std::ops::Range;

use illume_core::math::{fraction, sin_cos_turns};
use illume_core::{
    Axis, Genomes, Init, Request, Result, Scores, Scratch, Task, TaskConfig, TaskEntry, TaskSpec, Worker, params,
    simd_dispatch,
};

use crate::transpose::transpose;

params! {
    /// Parameters of `arm`.
    pub struct ArmParams {
        /// Joints of the arm: genes of a genome.
        joints: usize = 20, range(1, 100_000);
    }
}

/// The registry's entry.
pub const ENTRY: TaskEntry = TaskEntry {
    name: "arm",
    family: &[],
    summary: "planar arm: fitness -sd of the joint angles, descriptor the position of its end",
    params: <ArmParams as params::Params>::describe,
    network: false,
    policy: None,
    build,
};

fn build(config: &TaskConfig<'_>) -> Result<Box<dyn Task>> {
    let ArmParams { joints } = params::read(config.task, "task", &["name"])?;
    Ok(Box::new(Arm {
        spec: TaskSpec {
            name: "arm".into(),
            genome_dim: joints,
            init: Init::Uniform { lower: 0.0, upper: 1.0 },
            bounds: Some([0.0, 1.0]),
            descriptor: vec![Axis::new("x", "", 0.0, 1.0), Axis::new("y", "", 0.0, 1.0)],
            fitness: "minus the standard deviation of the genes".into(),
            // The largest standard deviation of numbers in [0, 1].
            qd_offset: 0.5,
            deterministic: true,
            observation_dim: 0,
            action_dim: 0,
            network: None,
            negative_rewards: None,
            max_steps: 1,
            test_steps: 1,
            frames_per_step: 1,
            test_cases: 0,
            policy_gradient: None,
            facts: Vec::new(),
            chunk: 4 * LANES,
        },
    }))
}

struct Arm {
    spec: TaskSpec,
}

impl Task for Arm {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        let tile = vec![[0.0; LANES]; self.spec.genome_dim];
        Ok(Box::new(ArmWorker {
            tile,
            genes: Scratch::default(),
        }))
    }
}

/// Rows evaluated together: two of the widest vectors, whose chains of dependent sums overlap.
const LANES: usize = 32;

type Lanes = [f32; LANES];

struct ArmWorker {
    /// Genes by joint, `[joints][rows]`; lanes without a row hold what they held before.
    tile: Vec<Lanes>,
    genes: Scratch,
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
            let poses = poses(&self.tile);
            let at = start - first;
            for lane in 0..n {
                scores.fitness[at + lane] = f64::from(poses.fitness[lane]);
                scores.descriptor[2 * (at + lane)] = f64::from(poses.x[lane]);
                scores.descriptor[2 * (at + lane) + 1] = f64::from(poses.y[lane]);
            }
        }
        scores.steps.fill(1);
    }
}

fn poses(tile: &[Lanes]) -> Poses {
    simd_dispatch!(
        fn [](tile: &[Lanes]) -> Poses { poses_body(tile) }
    )
}

#[inline(always)]
fn poses_body(tile: &[Lanes]) -> Poses {
    let [mut turn, mut sum, mut x, mut y] = [[0.0f32; LANES]; 4];
    for genes in tile {
        for l in 0..LANES {
            sum[l] += genes[l];
            turn[l] = fraction(turn[l] + (genes[l] - 0.5));
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
        let (narrow, widest) = (poses_body(tile), poses(tile));
        assert_eq!(
            (narrow.fitness, narrow.x, narrow.y),
            (widest.fitness, widest.x, widest.y)
        );
    }
}
