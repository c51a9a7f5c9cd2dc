//! What is left to do, as plan and results say it: every worker finds the same without being told.

use std::collections::HashMap;

use super::plan::Plan;
use super::result::{Results, Row, Status};
use crate::analysis::statistics::Spread;

/// A run to be brought to a budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Of its claims and its result: the run's id, with `-rK` at the rungs before the last.
    pub name: String,
    /// Of its directory: the same at all rungs, since one goes on where the other ended.
    pub id: String,
    pub configuration: usize,
    pub seed: u64,
    /// Budget of evaluations of a rung, none for the configuration's own.
    pub evaluations: Option<u64>,
    pub part: Part,
}

/// Why a job is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It is in the plan.
    Planned,
    /// It is in a rung of successive halving.
    Rung(usize),
    /// It confirms the winner or the base configuration with a fresh seed.
    Confirms,
}

/// All jobs that are known so far, in the order of the plan, and whether there may be more once these are done.
#[derive(Debug, Default)]
pub struct Jobs {
    pub known: Vec<Job>,
    pub complete: bool,
    /// Configurations that are in the race, best first once a rung is done; of successive halving alone.
    pub standing: Vec<usize>,
}

impl Plan {
    /// The jobs that follow from what is done.
    pub fn jobs(&self, results: &Results) -> Jobs {
        if self.method.kind == "halving" {
            return self.halving(results);
        }
        let job = |run: &super::plan::PlannedRun| Job {
            name: run.id.clone(),
            id: run.id.clone(),
            configuration: run.configuration,
            seed: run.seed,
            evaluations: None,
            part: Part::Planned,
        };
        Jobs {
            known: self.runs.iter().map(job).collect(),
            complete: true,
            standing: Vec::new(),
        }
    }

    /// Synchronous successive halving (Jamieson and Talwalkar 2016) over configurations: at each rung all runs of those that stand get the rung's budget;
    /// one in `eta` with the best median over the seeds goes on, exactly where it stopped.
    fn halving(&self, results: &Results) -> Jobs {
        let mut jobs = Jobs {
            standing: (0..self.configurations.len())
                .filter(|&c| !self.configurations[c].only_confirms)
                .collect(),
            ..Jobs::default()
        };
        let runs: HashMap<(usize, u64), &str> = self
            .runs
            .iter()
            .map(|r| ((r.configuration, r.seed), r.id.as_str()))
            .collect();
        for rung in 0..self.method.rungs {
            let last = rung + 1 == self.method.rungs;
            let mut of_rung = Vec::new();
            for &configuration in &jobs.standing {
                for &seed in &self.seeds {
                    let Some(id) = runs.get(&(configuration, seed)) else {
                        continue;
                    };
                    of_rung.push(Job {
                        name: if last { id.to_string() } else { format!("{id}-r{rung}") },
                        id: id.to_string(),
                        configuration,
                        seed,
                        evaluations: (!last).then(|| {
                            self.method
                                .rung_budget(self.configurations[configuration].evaluations(), rung)
                        }),
                        part: Part::Rung(rung),
                    });
                }
            }
            let done = of_rung.iter().all(|job| results.get(&job.name).is_some());
            jobs.known.extend(of_rung.iter().cloned());
            if !done {
                jobs.known.sort_by_key(|job| (job.configuration, job.seed));
                return jobs;
            }
            jobs.standing = self.ranked(&jobs.standing, &of_rung, results);
            if !last {
                let going_on = jobs.standing.len().div_ceil(self.method.eta);
                jobs.standing.truncate(going_on);
                // In the plan's order again: a rung does not depend on the one before but by who is in it.
                jobs.standing.sort_unstable();
            }
        }
        jobs.known.sort_by_key(|job| (job.configuration, job.seed));
        jobs.known.extend(self.confirming(&jobs.standing));
        jobs.complete = true;
        jobs
    }

    /// Best median first, equal ones in the order of the plan; a run without a value counts as the worst there is.
    fn ranked(&self, standing: &[usize], jobs: &[Job], results: &Results) -> Vec<usize> {
        let worst = f64::MIN;
        let score = |configuration: usize| {
            let of_it = jobs.iter().filter(|job| job.configuration == configuration);
            let values = of_it.map(|job| results.get(&job.name).and_then(|row| self.score(row)).unwrap_or(worst));
            Spread::of(values.collect()).median
        };
        let mut scored: Vec<(f64, usize)> = standing.iter().map(|&c| (score(c), c)).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        scored.into_iter().map(|(_, c)| c).collect()
    }

    /// The metric of a run that is done, turned so that more is better.
    fn score(&self, row: &Row) -> Option<f64> {
        let value = row.value(&self.metric.name).filter(|_| row.status == Status::Done)?;
        Some(if self.metric.goal == "minimize" { -value } else { value })
    }

    /// The winner and the base configuration with seeds that none of them has had.
    fn confirming(&self, standing: &[usize]) -> Vec<Job> {
        let base = self.configurations.iter().position(|c| c.base);
        let (Some(&winner), Some(base), true) = (standing.first(), base, self.method.confirm > 0) else {
            return Vec::new();
        };
        let first = self.seeds.iter().max().copied().unwrap_or(0) + 1;
        let mut configurations = vec![winner, base];
        configurations.dedup();
        let seeds = first..first + self.method.confirm as u64;
        let job = |(configuration, seed): (usize, u64)| {
            let id = self.configurations[configuration].id(seed);
            Job {
                name: id.clone(),
                id,
                configuration,
                seed,
                evaluations: None,
                part: Part::Confirms,
            }
        };
        let pairs = configurations
            .into_iter()
            .flat_map(|c| seeds.clone().map(move |seed| (c, seed)));
        pairs.map(job).collect()
    }
}

/// Jobs without a result, those that take longest first: as long as runs of their configuration took, or, where none is measured, in proportion to
/// their size.
pub fn longest_first(plan: &Plan, jobs: &[Job], results: &Results) -> Vec<Job> {
    let names: HashMap<&str, usize> = jobs.iter().map(|job| (job.name.as_str(), job.configuration)).collect();
    let mut measured: HashMap<usize, Vec<f64>> = HashMap::new();
    for (name, row) in results.iter() {
        if let Some(&configuration) = names.get(name.as_str()) {
            measured.entry(configuration).or_default().push(row.timing.core_seconds);
        }
    }
    let mean = |(c, seconds): (usize, Vec<f64>)| (c, seconds.iter().sum::<f64>() / seconds.len() as f64);
    let measured: HashMap<usize, f64> = measured.into_iter().map(mean).collect();
    let rates: Vec<f64> = measured
        .iter()
        .map(|(&c, seconds)| seconds / plan.configurations[c].size.max(1.0))
        .collect();
    let rate = if rates.is_empty() {
        1.0
    } else {
        Spread::of(rates).median
    };
    let cost = |job: &Job| match measured.get(&job.configuration) {
        Some(seconds) => *seconds,
        None => rate * plan.configurations[job.configuration].size,
    };
    let mut open: Vec<(f64, Job)> = jobs
        .iter()
        .filter(|job| results.get(&job.name).is_none())
        .map(|job| (cost(job), job.clone()))
        .collect();
    // Stable: equal ones in the order of the plan.
    open.sort_by(|a, b| b.0.total_cmp(&a.0));
    open.into_iter().map(|(_, job)| job).collect()
}
