//! What an encoder of descriptors sees of an episode, where the task does not say it itself: observations at equal distances of time, the last one among them.

use std::ops::Range;
use std::path::Path;

use illume_core::{Camera, Request, Result, Scores, Task, TaskSpec, Trajectory, Worker};

/// Moments of an episode whose observations are seen.
const MOMENTS: usize = 10;

/// The task, showing observations of its episodes if it has some and shows nothing else.
pub(crate) fn wrap(task: Box<dyn Task>) -> Box<dyn Task> {
    let inner = task.spec();
    if inner.features > 0 || inner.observation_dim == 0 || inner.network.is_none() {
        return task;
    }
    let spec = TaskSpec {
        features: MOMENTS * inner.observation_dim,
        ..inner.clone()
    };
    Box::new(Observed { task, spec })
}

struct Observed {
    task: Box<dyn Task>,
    spec: TaskSpec,
}

impl Task for Observed {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(self.over(self.task.worker()?))
    }

    fn failure(&self) -> Option<String> {
        self.task.failure()
    }

    fn gave_up(&self) -> Option<String> {
        self.task.gave_up()
    }

    fn keep_logs(&self, folder: &Path, rank: usize) {
        self.task.keep_logs(folder, rank);
    }

    fn noiseless(&self) -> Result<Option<Box<dyn Worker + '_>>> {
        Ok(self.task.noiseless()?.map(|worker| self.over(worker)))
    }

    fn filming<'a>(&'a self, camera: &'a mut dyn Camera) -> Result<Option<Box<dyn Worker + 'a>>> {
        Ok(self.task.filming(camera)?.map(|worker| self.over(worker)))
    }
}

impl Observed {
    fn over<'a>(&'a self, worker: Box<dyn Worker + 'a>) -> Box<dyn Worker + 'a> {
        Box::new(ObservedWorker {
            worker,
            spec: &self.spec,
            own: Vec::new(),
        })
    }
}

struct ObservedWorker<'a> {
    worker: Box<dyn Worker + 'a>,
    spec: &'a TaskSpec,
    /// Episodes that nobody else asked for.
    own: Vec<Trajectory>,
}

impl Worker for ObservedWorker<'_> {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        if scores.features.is_empty() {
            return self.worker.evaluate(request, rows, scores);
        }
        let asked = !scores.trajectories.is_empty();
        self.own
            .resize_with(if asked { 0 } else { rows.len() }, Trajectory::default);
        self.own.iter_mut().for_each(Trajectory::clear);
        let trajectories = if asked {
            &mut *scores.trajectories
        } else {
            &mut self.own
        };
        let mut recorded = Scores {
            status: scores.status,
            fitness: scores.fitness,
            descriptor: scores.descriptor,
            steps: scores.steps,
            moments: scores.moments,
            measures: scores.measures,
            objectives: scores.objectives,
            trajectories,
            features: &mut [],
        };
        self.worker.evaluate(request, rows, &mut recorded);
        let features = scores.features.chunks_exact_mut(self.spec.features);
        for (features, episode) in features.zip(recorded.trajectories.iter()) {
            show(episode, self.spec, features);
        }
    }
}

/// Observations after each tenth of the longest episode; of one that ended before that, the last one again. Of one that failed, zeros.
fn show(episode: &Trajectory, spec: &TaskSpec, features: &mut [f32]) {
    let width = spec.observation_dim;
    let Some(last) = (episode.observations.len() / width).checked_sub(1) else {
        return features.fill(0.0);
    };
    for (moment, place) in (1..).zip(features.chunks_exact_mut(width)) {
        let step = (spec.max_steps as usize * moment).div_ceil(MOMENTS).min(last);
        place.copy_from_slice(&episode.observations[step * width..(step + 1) * width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::Init;

    #[test]
    fn an_episode_that_ended_early_repeats_its_last_observation() {
        let spec = TaskSpec {
            observation_dim: 2,
            max_steps: 20,
            ..TaskSpec::new("", 1, Init::Normal { mean: 0.0, sd: 1.0 })
        };
        let of = |steps: usize| Trajectory {
            observations: (0..=steps).flat_map(|t| [t as f32, -(t as f32)]).collect(),
            rewards: vec![0.0; steps],
            ..Trajectory::default()
        };
        let mut features = vec![9.0; 2 * MOMENTS];
        show(&of(20), &spec, &mut features);
        let times: Vec<f32> = features.chunks_exact(2).map(|o| o[0]).collect();
        assert_eq!(times, [2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0]);
        show(&of(7), &spec, &mut features);
        let times: Vec<f32> = features.chunks_exact(2).map(|o| -o[1]).collect();
        assert_eq!(times, [2.0, 4.0, 6.0, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0]);
        show(&Trajectory::default(), &spec, &mut features);
        assert!(features.iter().all(|x| *x == 0.0));
    }
}
