//! Evaluations again: several evaluations of a row, each under a seed of its own, whose mean its score is.

use std::ops::Range;

use crate::{Measure, Measured, Request, Scores, Status, Worker};

/// Evaluates rows again and adds up what comes. Keeps its memory.
#[derive(Debug, Default)]
pub struct Again {
    /// Of the rows that are evaluated again; others are left as they come.
    seeds: Vec<u64>,
    status: Vec<u8>,
    fitness: Vec<f64>,
    descriptor: Vec<f64>,
    steps: Vec<u32>,
    moments: Vec<f64>,
    measures: Vec<f64>,
    objectives: Vec<f64>,
    features: Vec<f32>,
}

impl Again {
    /// Evaluates rows of a request once more, under the seeds that `seed` makes of theirs, and adds the results to `scores`: sums, of which [`Again::mean`] makes means. A row of which one evaluation failed has
    /// failed as the first one that did. Episodes are not recorded again.
    pub fn add(
        &mut self,
        worker: &mut dyn Worker,
        request: &Request<'_>,
        rows: Range<usize>,
        seed: impl Fn(u64) -> u64,
        scores: &mut Scores<'_>,
    ) {
        fn zero<T: Clone + Default>(values: &mut Vec<T>, n: usize) {
            values.clear();
            values.resize(n, T::default());
        }
        fn sum(sums: &mut [f64], values: &[f64]) {
            sums.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
        }
        self.seeds.resize(self.seeds.len().max(request.seeds.len()), 0);
        for row in rows.clone() {
            self.seeds[row] = seed(request.seeds[row]);
        }
        zero(&mut self.status, scores.status.len());
        zero(&mut self.fitness, scores.fitness.len());
        zero(&mut self.descriptor, scores.descriptor.len());
        zero(&mut self.steps, scores.steps.len());
        zero(&mut self.moments, scores.moments.len());
        zero(&mut self.measures, scores.measures.len());
        zero(&mut self.objectives, scores.objectives.len());
        zero(&mut self.features, scores.features.len());
        let again = Request {
            seeds: &self.seeds[..request.seeds.len()],
            ..request.clone()
        };
        let mut own = Scores {
            status: &mut self.status,
            fitness: &mut self.fitness,
            descriptor: &mut self.descriptor,
            steps: &mut self.steps,
            moments: &mut self.moments,
            measures: &mut self.measures,
            objectives: &mut self.objectives,
            trajectories: &mut [],
            features: &mut self.features,
        };
        worker.evaluate(&again, rows, &mut own);
        own.check_finite();
        sum(scores.fitness, &self.fitness);
        sum(scores.descriptor, &self.descriptor);
        sum(scores.moments, &self.moments);
        sum(scores.measures, &self.measures);
        sum(scores.objectives, &self.objectives);
        let features = scores.features.iter_mut().zip(&self.features);
        features.for_each(|(sum, x)| *sum += x);
        let steps = scores.steps.iter_mut().zip(&self.steps);
        steps.for_each(|(sum, steps)| *sum = sum.saturating_add(*steps));
        let status = scores.status.iter_mut().zip(&self.status);
        status
            .filter(|(first, _)| **first == Status::Ok as u8)
            .for_each(|(first, again)| *first = *again);
    }

    /// Descriptors of the evaluation that was added last, `[rows, k]`.
    pub fn descriptor(&self) -> &[f64] {
        &self.descriptor
    }

    /// Makes means of the sums of `n` evaluations; steps, moments and measures that are sums stay what they are.
    pub fn mean(scores: &mut Scores<'_>, n: usize, measures: &[Measured]) {
        let mean = |sum: &mut f64| *sum /= n as f64;
        scores.fitness.iter_mut().for_each(mean);
        scores.descriptor.iter_mut().for_each(mean);
        scores.objectives.iter_mut().for_each(mean);
        scores.features.iter_mut().for_each(|sum| *sum /= n as f32);
        for row in scores.measures.chunks_exact_mut(measures.len().max(1)) {
            let shares = row.iter_mut().zip(measures).filter(|(_, m)| m.kind == Measure::Share);
            shares.for_each(|(sum, _)| *sum /= n as f64);
        }
    }
}
