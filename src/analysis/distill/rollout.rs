//! Episodes to learn from: of the elites themselves, and of the student with the elite nearest to the requested descriptor
//! as the expert who says what would have been right (DAgger: Ross et al. 2011, <https://arxiv.org/abs/1011.0686>).

use std::ops::Range;
use std::sync::Arc;

use illume_core::{Batch, Candidates, Error, Normalization, Result, Scratch, Status, Trajectory, mix64};
use rayon::prelude::*;

use super::dataset::{Dataset, Sampling};
use super::student::Student;
use crate::Evaluator;
use crate::analysis::reevaluate::{Reevaluated, fresh_seed};
use crate::analysis::subject::{Subject, elites};

/// Bytes of trajectories, and of genomes, that are held at a time.
const PIECE_BYTES: usize = 128 << 20;

/// The elites as experts.
pub struct Experts<'a> {
    pub subject: &'a Subject,
    /// What observations go through before elites see them.
    pub normalization: Option<Arc<Normalization>>,
    /// Descriptors of the elites as networks see them, `[elites, k]`.
    pub conditions: Vec<f32>,
    /// Keys what is random here.
    pub seed: u64,
}

impl Experts<'_> {
    /// Runs `episodes` episodes for each elite's descriptor, acted by the elite itself or by a student in its place, and adds
    /// steps of them to the data (`[taken, held out]`) with what the elite does there. Says how these episodes went.
    ///
    /// # Errors
    /// The archive's genomes cannot be read.
    pub fn collect(
        &self,
        evaluator: &mut Evaluator<'_>,
        student: Option<&Student>,
        episodes: usize,
        sampling: &Sampling,
        mut data: Option<[&mut Dataset; 2]>,
    ) -> Result<Episodes> {
        let (file, spec) = (&self.subject.file, self.subject.task.spec());
        let (n, k) = (file.rows(), spec.descriptor_dim());
        let seeds = file.elites.get::<u64>("seed")?;
        let mut sums = Means::new(n, k);
        let (mut scored, mut unused) = (Batch::new(), Vec::new());
        for rows in self.pieces(student) {
            let mut teachers = elites(self.subject, rows.clone(), self.normalization.clone())?;
            let mut acting = student.map(|s| s.candidates(&self.conditions, k, rows.clone()));
            for episode in 0..episodes {
                let candidates: &mut Candidates = acting.as_mut().unwrap_or(&mut teachers);
                candidates.record = data.is_some();
                for (seed, &own) in candidates.seeds.iter_mut().zip(&seeds[rows.clone()]) {
                    *seed = self.seed_of(own, sampling.round, episode);
                }
                evaluator.evaluate(candidates, self.subject.archive.as_ref(), &mut scored, &mut unused)?;
                sums.add(rows.start, &scored)?;
                if let Some(data) = &mut data {
                    let first = (episode * n + rows.start) as u64;
                    let taken = Taken {
                        rows: rows.clone(),
                        first,
                        teachers: &teachers,
                        student,
                    };
                    self.take(evaluator.trajectories(), &taken, sampling, data)?;
                }
            }
        }
        Ok(sums.finish())
    }

    /// The elite's own seed first, so that the episode for which it is kept is among them; then fresh ones, none of which is one of
    /// those that a re-evaluation uses.
    fn seed_of(&self, own: u64, round: u64, episode: usize) -> u64 {
        match (round, episode) {
            (0, 0) => own,
            _ => fresh_seed(mix64(own ^ mix64(self.seed)), (round as usize) << 20 | episode),
        }
    }

    fn pieces(&self, student: Option<&Student>) -> impl Iterator<Item = Range<usize>> + use<> {
        let spec = self.subject.task.spec();
        let steps = spec.max_steps as usize * (spec.observation_dim + spec.action_dim + 1);
        let genes = spec.genome_dim + student.map_or(0, |s| s.params.len());
        let step = (PIECE_BYTES / size_of::<f32>() / (steps + genes).max(1)).max(rayon::current_num_threads());
        let n = self.subject.file.rows();
        (0..n).step_by(step).map(move |start| start..(start + step).min(n))
    }

    /// Adds steps of episodes to the data, in order.
    fn take(
        &self,
        trajectories: &[Trajectory],
        taken: &Taken<'_>,
        sampling: &Sampling,
        [data, held_out]: &mut [&mut Dataset; 2],
    ) -> Result<()> {
        let [o, _, a] = data.dims;
        let network = self.subject.task.spec().network.as_ref();
        let expert = network.ok_or_else(|| Error::failed("a task without a network has no experts"))?;
        let labelled: Vec<Labelled> = trajectories
            .par_iter()
            .enumerate()
            .map(|(i, trajectory)| {
                let steps = sampling.steps(taken.first + i as u64, trajectory);
                let mut actions = vec![0.0; steps.len() * a];
                let (mut genes, mut units, mut seen) = (Scratch::default(), expert.units(), vec![0.0; o]);
                let genes = taken.teachers.genomes.genes(i, &mut genes);
                for (&(step, _), action) in steps.iter().zip(actions.chunks_exact_mut(a)) {
                    if taken.student.is_none() {
                        action.copy_from_slice(&trajectory.actions[step * a..(step + 1) * a]);
                        continue;
                    }
                    self.as_experts_see(
                        &trajectory.observations[step * o..(step + 1) * o],
                        taken.student,
                        &mut seen,
                    );
                    expert.forward(genes, &seen, &mut units, action);
                }
                Labelled { steps, actions }
            })
            .collect();
        for ((elite, trajectory), picked) in taken.rows.clone().zip(trajectories).zip(labelled) {
            for ((step, held), action) in picked.steps.into_iter().zip(picked.actions.chunks_exact(a)) {
                let observation = &trajectory.observations[step * o..(step + 1) * o];
                if action.iter().all(|x| x.is_finite()) {
                    let into = if held { &mut *held_out } else { &mut *data };
                    into.push(observation, elite as u32, action);
                }
            }
        }
        Ok(())
    }

    /// What an elite sees where the student saw `observation`. The two normalize alike, or the elite does not at all.
    fn as_experts_see(&self, observation: &[f32], student: Option<&Student>, out: &mut [f32]) {
        match (&self.normalization, student.and_then(|s| s.normalization.as_ref())) {
            (None, Some(n)) => {
                for (((x, mean), sd), y) in observation.iter().zip(&n.mean).zip(&n.sd).zip(out) {
                    *y = x.mul_add(*sd, *mean);
                }
            }
            _ => out.copy_from_slice(observation),
        }
    }
}

/// Whose episodes are taken.
struct Taken<'a> {
    rows: Range<usize>,
    /// Number of the first episode within the collection.
    first: u64,
    teachers: &'a Candidates,
    student: Option<&'a Student>,
}

/// Steps of an episode with what the elite does there.
struct Labelled {
    /// (step, held out), rising.
    steps: Vec<(usize, bool)>,
    /// `[steps, action]`
    actions: Vec<f32>,
}

/// How episodes went.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Episodes {
    /// Means over those that ended well.
    pub means: Reevaluated,
    /// The cells in which these ended, for each row.
    pub cells: Vec<Vec<i64>>,
}

/// Running means of the episodes that ended well.
struct Means {
    k: usize,
    rows: Reevaluated,
    cells: Vec<Vec<i64>>,
}

impl Means {
    fn new(n: usize, k: usize) -> Means {
        let rows = Reevaluated {
            episodes: vec![0; n],
            fitness: vec![0.0; n],
            descriptor: vec![0.0; n * k],
            ..Reevaluated::default()
        };
        Means {
            k,
            rows,
            cells: vec![Vec::new(); n],
        }
    }

    fn add(&mut self, start: usize, scored: &Batch) -> Result<()> {
        let (status, fitness) = (scored.get::<u8>("status")?, scored.get::<f64>("fitness")?);
        let (descriptor, cells) = (scored.get::<f64>("descriptor")?, scored.get::<i64>("cell")?);
        for i in (0..status.len()).filter(|&i| status[i] == Status::Ok as u8) {
            let (at, k) = (start + i, self.k);
            self.rows.episodes[at] += 1;
            self.cells[at].push(cells[i]);
            self.rows.fitness[at] += fitness[i];
            let sums = &mut self.rows.descriptor[at * k..(at + 1) * k];
            sums.iter_mut()
                .zip(&descriptor[i * k..(i + 1) * k])
                .for_each(|(s, d)| *s += d);
        }
        Ok(())
    }

    fn finish(mut self) -> Episodes {
        for (i, &count) in self.rows.episodes.iter().enumerate() {
            // Without episodes 0 / 0, which is NaN as it should be.
            self.rows.fitness[i] /= f64::from(count);
            let k = self.k;
            self.rows.descriptor[i * k..(i + 1) * k]
                .iter_mut()
                .for_each(|d| *d /= f64::from(count));
        }
        Episodes {
            means: self.rows,
            cells: self.cells,
        }
    }
}
