//! Noise on the functions among the tasks (`arm`, `sphere`, `rastrigin`, `plateau`), as the benchmark of Flageat and Cully ('Uncertain quality-diversity: evaluation methodology and new methods for quality-diversity in
//! uncertain domains', IEEE TEVC 2023, <https://arxiv.org/abs/2302.00463>; authors' program, `tasks/arm.py`) has it: what an evaluation gives is drawn by its seed.
//! Wraps the task that was built, which knows nothing of it and is the truth that corrected scores are exact by.

use std::ops::Range;

use illume_core::{
    Error, Genomes, Purpose, Request, Result, Scores, Scratch, Status, Stream, Task, TaskSpec, Worker, params,
};

params! {
    /// Noise of a task that is a function of genes.
    pub struct NoiseParams {
        /// Standard deviation of Gaussian noise on the fitness, or on each objective where there are several.
        fitness_noise: f64 = 0.0, at_least(0.0);
        /// Standard deviation of Gaussian noise on each axis of the descriptor.
        descriptor_noise: f64 = 0.0, at_least(0.0);
        /// Probability with which an evaluation's fitness is moved by `second_mode`, so that its noise has two modes.
        second_share: f64 = 0.0, range(0.0, 1.0);
        /// What the fitness of such an evaluation is moved by.
        second_mode: f64 = -1.0, finite();
        /// Standard deviation of Gaussian noise on genes before they are evaluated, within the task's bounds.
        gene_noise: f64 = 0.0, at_least(0.0);
        /// The one gene that `gene_noise` moves, from 0 on; -1 for all.
        noisy_gene: i64 = -1, range(-1, 1 << 31);
    }
}

/// What a draw is for: positions of an evaluation's streams.
const VALUES: u64 = 0;
const GENES: u64 = 1;
const MODE: u64 = 2;

/// The task with this noise.
///
/// # Errors
/// A gene that it does not have.
pub(crate) fn wrap(task: impl Task + 'static, noise: NoiseParams) -> Result<Box<dyn Task>> {
    if noise == NoiseParams::default() {
        return Ok(Box::new(task));
    }
    let genes = task.spec().genome_dim;
    if noise.noisy_gene >= genes as i64 {
        let message = format!(
            "expected a gene below {genes}, the number of them, or -1 for all, got {}",
            noise.noisy_gene
        );
        return Err(Error::config("task", "noisy_gene", message));
    }
    let noisy = noise.fitness_noise > 0.0
        || noise.descriptor_noise > 0.0
        || noise.gene_noise > 0.0
        || noise.second_share > 0.0 && noise.second_mode != 0.0;
    let mut spec = task.spec().clone();
    spec.deterministic = !noisy;
    spec.facts.push(("noise".into(), noise.in_words()));
    Ok(Box::new(Noisy { task, spec, noise }))
}

impl NoiseParams {
    fn in_words(&self) -> String {
        let mut words = Vec::new();
        if self.fitness_noise > 0.0 {
            words.push(format!("sd {} on the fitness", self.fitness_noise));
        }
        if self.descriptor_noise > 0.0 {
            words.push(format!("sd {} on the descriptor", self.descriptor_noise));
        }
        if self.second_share > 0.0 {
            words.push(format!(
                "fitness moved by {} with probability {}",
                self.second_mode, self.second_share
            ));
        }
        if self.gene_noise > 0.0 {
            let which = match self.noisy_gene {
                -1 => "all genes".into(),
                gene => format!("gene {gene}"),
            };
            words.push(format!("sd {} on {which}", self.gene_noise));
        }
        match words.is_empty() {
            true => "none".into(),
            false => words.join(", "),
        }
    }
}

struct Noisy<T> {
    task: T,
    spec: TaskSpec,
    noise: NoiseParams,
}

impl<T: Task> Task for Noisy<T> {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(NoisyWorker {
            worker: self.task.worker()?,
            noise: &self.noise,
            bounds: self.spec.bounds,
            moved: Genomes::default(),
            scratch: Scratch::default(),
        }))
    }

    /// The function, and of a second mode its share. Where genes are moved the mean is another function, which nobody knows.
    fn noiseless(&self) -> Result<Option<Box<dyn Worker + '_>>> {
        if self.noise.gene_noise > 0.0 {
            return Ok(None);
        }
        Ok(Some(Box::new(Expected {
            worker: self.task.worker()?,
            shift: self.noise.second_share * self.noise.second_mode,
        })))
    }
}

/// Scores as the task does on average.
struct Expected<'a> {
    worker: Box<dyn Worker + 'a>,
    shift: f64,
}

impl Worker for Expected<'_> {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        self.worker.evaluate(request, rows, scores);
        let several = scores.objectives.iter_mut();
        scores.fitness.iter_mut().chain(several).for_each(|x| *x += self.shift);
    }
}

struct NoisyWorker<'a> {
    worker: Box<dyn Worker + 'a>,
    noise: &'a NoiseParams,
    bounds: Option<[f32; 2]>,
    moved: Genomes,
    scratch: Scratch,
}

impl Worker for NoisyWorker<'_> {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        if self.noise.gene_noise > 0.0 {
            self.evaluate_moved(request, rows.clone(), scores);
        } else {
            self.worker.evaluate(request, rows.clone(), scores);
        }
        let NoiseParams {
            fitness_noise,
            descriptor_noise,
            second_share,
            second_mode,
            ..
        } = *self.noise;
        let k = scores.descriptor.len() / scores.fitness.len().max(1);
        let m = scores.objectives.len() / scores.fitness.len().max(1);
        let mut draws = vec![0.0f32; 1 + k + m];
        for (i, row) in rows.enumerate() {
            if scores.status[i] != Status::Ok as u8 {
                continue;
            }
            let stream = |index| Stream::new(request.seeds[row], Purpose::Episode, 0, index);
            stream(VALUES).normals(0, &mut draws);
            let several = &mut scores.objectives[i * m..(i + 1) * m];
            let noise = draws[1 + k..].iter().map(|z| fitness_noise * f64::from(*z));
            several.iter_mut().zip(noise).for_each(|(x, noise)| *x += noise);
            match m {
                0 => scores.fitness[i] += fitness_noise * f64::from(draws[0]),
                m => scores.fitness[i] = several.iter().sum::<f64>() / m as f64,
            }
            if second_share > 0.0 && stream(MODE).uniform(0) < second_share {
                scores.fitness[i] += second_mode;
                several.iter_mut().for_each(|x| *x += second_mode);
            }
            let place = scores.descriptor[i * k..(i + 1) * k].iter_mut();
            place
                .zip(&draws[1..])
                .for_each(|(x, z)| *x += descriptor_noise * f64::from(*z));
        }
    }
}

impl NoisyWorker<'_> {
    fn evaluate_moved(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        let (sd, [low, high]) = (
            self.noise.gene_noise as f32,
            self.bounds.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]),
        );
        let dim = request.genomes.genes(rows.start, &mut self.scratch).len();
        let moved = self.moved.dense_rows(rows.len(), dim);
        for (row, genes) in rows.clone().zip(moved.chunks_exact_mut(dim)) {
            genes.copy_from_slice(request.genomes.genes(row, &mut self.scratch));
            let stream = Stream::new(request.seeds[row], Purpose::Episode, 0, GENES);
            match usize::try_from(self.noise.noisy_gene) {
                Err(_) => stream.add_normals(0, sd, genes),
                Ok(gene) => stream.add_normals(0, sd, &mut genes[gene..=gene]),
            }
            genes.iter_mut().for_each(|x| *x = x.clamp(low, high));
        }
        let local = Request {
            genomes: &self.moved,
            seeds: &request.seeds[rows.clone()],
            ..request.clone()
        };
        self.worker.evaluate(&local, 0..rows.len(), scores);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{evaluate, task};
    use illume_core::{Dense, TaskConfig, toml};

    const GENES_OF_ONE: [f32; 6] = [0.3, 0.5, 0.7, 0.45, 0.6, 0.2];
    const ROWS: usize = 40_000;

    /// Fitness and the two axes of many evaluations of one genome.
    fn drawn(noise: &str) -> [Vec<f64>; 3] {
        let genes = GENES_OF_ONE.repeat(ROWS);
        let results = evaluate(&*task(&format!("name = \"arm\"\njoints = 6\n{noise}")), &genes, ROWS);
        let axis = |a: usize| results.descriptor.chunks_exact(2).map(|d| d[a]).collect();
        [results.fitness, axis(0), axis(1)]
    }

    fn mean_and_sd(values: &[f64]) -> [f64; 2] {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        [
            mean,
            (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt(),
        ]
    }

    fn assert_near(values: &[f64], expected: [f64; 2]) {
        let found = mean_and_sd(values);
        // Five standard errors of a mean, and as much for a deviation.
        let room = 5.0 * expected[1].max(1e-6) / (ROWS as f64).sqrt();
        let off = (0..2).any(|i| (found[i] - expected[i]).abs() > room);
        assert!(!off, "{found:?}, expected {expected:?}");
    }

    #[test]
    fn gaussian_noise_has_the_mean_and_deviation_that_it_says() {
        let [truth, x, y] = drawn("").map(|values| values[0]);
        let [fitness, d, e] = drawn("fitness_noise = 0.1\ndescriptor_noise = 0.05");
        assert_near(&fitness, [truth, 0.1]);
        assert_near(&d, [x, 0.05]);
        assert_near(&e, [y, 0.05]);
        // The three are independent of one another.
        let products: Vec<f64> = fitness.iter().zip(&d).map(|(f, d)| (f - truth) * (d - x)).collect();
        assert_near(&products, [0.0, 0.005]);
        let [fitness, d, _] = drawn("fitness_noise = 0.1");
        assert_near(&fitness, [truth, 0.1]);
        assert!(d.iter().all(|value| *value == x));
    }

    #[test]
    fn noise_of_two_modes_is_where_they_are() {
        let [truth, ..] = drawn("").map(|values| values[0]);
        let [fitness, ..] = drawn("fitness_noise = 0.1\nsecond_share = 0.15");
        let share = fitness.iter().filter(|f| **f < truth - 0.5).count() as f64 / ROWS as f64;
        assert!((share - 0.15).abs() < 0.01, "{share}");
        assert_near(&fitness, [truth - 0.15, (0.01f64 + 0.15 * 0.85).sqrt()]);
    }

    #[test]
    fn a_noisy_joint_moves_what_is_behind_it_within_bounds() {
        let still = drawn("").map(|values| values[0]);
        let [fitness, x, y] = drawn("gene_noise = 0.1\nnoisy_gene = 5");
        assert!(mean_and_sd(&fitness)[1] > 0.001 && mean_and_sd(&x)[1] > 0.001);
        // The last joint turns the last link alone, of a twelfth of the extent.
        let far = |values: &[f64], still: f64| values.iter().all(|v| (v - still).abs() <= 2.0 / 12.0 + 1e-6);
        assert!(far(&x, still[1]) && far(&y, still[2]));
        let all = drawn("gene_noise = 0.1");
        assert!(mean_and_sd(&all[1])[1] > 2.0 * mean_and_sd(&x)[1]);
    }

    #[test]
    fn the_noiseless_task_is_the_mean_of_the_noisy_one() {
        for (noise, shift) in [
            ("fitness_noise = 0.3\ndescriptor_noise = 0.2", 0.0),
            ("second_share = 0.25\nsecond_mode = -2.0", -0.5),
            ("fitness_noise = 0.3\ndirection = \"minimize\"", 0.0),
            ("fitness_noise = 0.3\nrepeats = 4", 0.0),
        ] {
            let sign = if noise.contains("minimize") { -1.0 } else { 1.0 };
            let noisy = task(&format!("name = \"arm\"\njoints = 6\n{noise}"));
            assert!(!noisy.spec().deterministic);
            let plain = evaluate(&*task("name = \"arm\"\njoints = 6"), &GENES_OF_ONE, 1);
            let genomes = Genomes::Dense(Dense {
                dim: 6,
                data: GENES_OF_ONE.to_vec(),
            });
            let request = Request {
                genomes: &genomes,
                seeds: &[77],
                max_steps: u32::MAX,
                uncapped: 0..0,
                tests: 0..0,
                normalization: None,
                observed: &[],
                network: None,
            };
            let (mut fitness, mut descriptor) = ([0.0], [0.0; 2]);
            noisy.noiseless().unwrap().unwrap().evaluate(
                &request,
                0..1,
                &mut Scores {
                    status: &mut [0],
                    fitness: &mut fitness,
                    descriptor: &mut descriptor,
                    steps: &mut [0],
                    moments: &mut [],
                    measures: &mut [],
                    objectives: &mut [],
                    trajectories: &mut [],
                    features: &mut [],
                },
            );
            assert_eq!(fitness[0], sign * (plain.fitness[0] + shift), "{noise}");
            assert_eq!(descriptor.as_slice(), plain.descriptor);
        }
        let of_genes = task("name = \"sphere\"\ndim = 6\ngene_noise = 0.1");
        assert!(of_genes.noiseless().unwrap().is_none());
        // Without noise a task stays what it is.
        assert!(task("name = \"sphere\"\ndim = 6").spec().deterministic);
        assert!(
            task("name = \"sphere\"\ndim = 6\nsecond_share = 0.5\nsecond_mode = 0.0")
                .spec()
                .deterministic
        );
    }

    #[test]
    fn a_seed_gives_the_same_noise_in_any_company() {
        for noise in [
            "fitness_noise = 1.0\nsecond_share = 0.5",
            "gene_noise = 0.2",
            "descriptor_noise = 0.2",
        ] {
            let task = task(&format!("name = \"rastrigin\"\ndim = 6\n{noise}"));
            let whole = evaluate(&*task, &GENES_OF_ONE.repeat(9), 9);
            let alone = evaluate(&*task, &GENES_OF_ONE, 1);
            assert_eq!(alone.fitness[0], whole.fitness[0]);
            assert_eq!(alone.descriptor, whole.descriptor[..2]);
            assert!(whole.fitness[1..].iter().any(|f| *f != whole.fitness[0]) || noise.starts_with("desc"));
        }
    }

    #[test]
    fn wrong_noise_is_refused_in_one_sentence() {
        for (noise, part) in [
            ("fitness_noise = -0.1", "task.fitness_noise"),
            ("descriptor_noise = -1", "task.descriptor_noise"),
            ("second_share = 1.5", "task.second_share"),
            ("second_mode = inf", "task.second_mode"),
            ("gene_noise = \"a lot\"", "task.gene_noise"),
            ("gene_noise = 0.1\nnoisy_gene = 6", "expected a gene below 6"),
            ("fitnes_noise = 0.1", "did you mean"),
        ] {
            let table: toml::Table = format!("name = \"arm\"\njoints = 6\n{noise}").parse().unwrap();
            let config = TaskConfig {
                task: &table,
                genes: None,
                policy: &toml::Table::new(),
                ranks: 1,
            };
            let error = crate::build(&config).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{noise}: {error}");
        }
    }
}
