//! What a sweep will cost, before it is run.

use serde_json::{Value, json};

use super::{Plan, duration};
use crate::engine::output::{bytes, significant, table, thousands};

/// Bytes of an elite in an archive beside its genome, and of a file's frame.
const ROW: u64 = 120;
const FILE: u64 = 60_000;

/// A share of the best possible time that schedulers, starts and stragglers take.
const MARGIN: f64 = 1.2;

/// The plan in numbers.
pub struct Estimate<'a> {
    plan: &'a Plan,
    workers: usize,
    /// Of each worker, all of which a run takes if the plan does not say how many.
    worker_cores: usize,
    /// Runs of each configuration, as planned.
    runs: Vec<usize>,
    /// Seconds of a run of each configuration, if measured.
    seconds: Option<&'a [f64]>,
}

impl<'a> Estimate<'a> {
    pub fn new(plan: &'a Plan, seconds: Option<&'a [f64]>, workers: usize, worker_cores: usize) -> Estimate<'a> {
        let mut runs = vec![0; plan.configurations.len()];
        plan.runs.iter().for_each(|run| runs[run.configuration] += 1);
        Estimate {
            plan,
            workers,
            worker_cores,
            runs,
            seconds,
        }
    }

    /// Cores of a run.
    fn cores(&self) -> f64 {
        (self.plan.resources.threads(self.worker_cores) * self.plan.resources.ranks_per_run) as f64
    }

    /// Archives are counted as full.
    fn disk(&self) -> u64 {
        let archive = |i: usize| {
            let c = &self.plan.configurations[i];
            FILE + c.cells as u64 * (ROW + 4 * c.genome_dim as u64)
        };
        let of = |i: usize| match self.plan.keep.as_str() {
            "metrics" => FILE,
            "archive" => FILE + archive(i),
            _ => FILE + 2 * archive(i),
        };
        (0..self.runs.len()).map(|i| self.runs[i] as u64 * of(i)).sum()
    }

    fn files(&self) -> usize {
        let evaluated = usize::from(self.plan.metric.evaluate > 0);
        let each = match self.plan.keep.as_str() {
            "metrics" => 1,
            "archive" => 2 + evaluated,
            _ => 6 + evaluated,
        };
        each * self.plan.runs.len() + 4
    }

    /// Longest first on so many workers.
    fn makespan(&self, seconds: &[f64]) -> f64 {
        let mut all: Vec<f64> = self.plan.runs.iter().map(|run| seconds[run.configuration]).collect();
        all.sort_by(|a, b| b.total_cmp(a));
        let mut until = vec![0.0_f64; self.workers];
        for run in all {
            if let Some(first) = until.iter_mut().min_by(|a, b| a.total_cmp(b)) {
                *first += run;
            }
        }
        until.into_iter().fold(0.0, f64::max)
    }

    /// Evaluations of all runs; of successive halving those of its rungs.
    fn evaluations(&self) -> f64 {
        let m = &self.plan.method;
        let whole = |i: usize| self.plan.configurations[i].evaluations() as f64;
        if m.kind != "halving" {
            return (0..self.runs.len()).map(|i| self.runs[i] as f64 * whole(i)).sum();
        }
        let standing = self.runs.iter().filter(|n| **n > 0).count();
        let largest = (0..self.runs.len()).map(whole).fold(0.0, f64::max);
        let (mut left, mut before, mut sum) = (standing, 0.0, 0.0);
        for rung in 0..m.rungs {
            let budget = largest / (m.eta as f64).powi((m.rungs - 1 - rung) as i32);
            sum += (left * self.plan.seeds.len()) as f64 * (budget - before);
            before = budget;
            left = left.div_ceil(m.eta);
        }
        sum + 2.0 * m.confirm as f64 * largest
    }

    fn core_seconds(&self, seconds: &[f64]) -> f64 {
        let whole: f64 = self.plan.runs.iter().map(|run| seconds[run.configuration]).sum();
        whole * self.cores()
    }

    pub fn json(&self) -> Value {
        let mut fields = json!({
            "runs": self.plan.runs.len(),
            "configurations": self.plan.configurations.iter().zip(&self.runs).enumerate().map(|(i, (c, runs))| json!({
                "label": c.label,
                "runs": runs,
                "evaluations": c.evaluations(),
                "genome_dim": c.genome_dim,
                "cells": c.cells,
                "seconds": self.seconds.map(|s| s[i]),
            })).collect::<Vec<_>>(),
            "seeds": self.plan.seeds,
            "evaluations": self.evaluations(),
            "bytes": self.disk(),
            "files": self.files(),
            "workers": self.workers,
        });
        if let Some(seconds) = self.seconds {
            fields["core_seconds"] = json!(self.core_seconds(seconds));
            fields["seconds_at_best"] = json!(self.makespan(seconds));
        }
        fields
    }

    pub fn text(&self) -> String {
        let plan = self.plan;
        let threads = match plan.resources.threads_per_run {
            0 => "all threads of a worker".to_string(),
            n => format!("{n} thread(s)"),
        };
        let mut text = format!(
            "{} runs: {} configurations, seeds {}; {threads} and {} rank(s) each; {} evaluations in all\n",
            thousands(plan.runs.len() as u64),
            plan.configurations.len(),
            seeds(&plan.seeds),
            plan.resources.ranks_per_run,
            thousands(self.evaluations() as u64),
        );
        if plan.method.kind == "halving" {
            text += &format!(
                "successive halving: {} rungs, one configuration in {} goes on, by the median {} over the seeds\n",
                plan.method.rungs, plan.method.eta, plan.metric.name
            );
        }
        match self.seconds {
            Some(seconds) => {
                let mut each: Vec<f64> = self
                    .plan
                    .runs
                    .iter()
                    .map(|run| seconds[run.configuration] * self.cores() / 3600.0)
                    .collect();
                each.sort_by(f64::total_cmp);
                let (best, n) = (self.makespan(seconds), each.len().max(1));
                text += &format!(
                    "{} core h each [{}, {}], {} core h in all; {} worker(s): {} at best, ask for {}\n",
                    significant3(each[n / 2]),
                    significant3(each[0]),
                    significant3(each[n - 1]),
                    significant3(self.core_seconds(seconds) / 3600.0),
                    self.workers,
                    duration::words(best),
                    duration::words(best * MARGIN + 120.0),
                );
            }
            None => text += "time: not measured; --pilot 30s measures each configuration for so long\n",
        }
        text += &format!(
            "disk: {} at most in {} files when it is finished (keep = \"{}\")\n\n",
            bytes(self.disk()),
            thousands(self.files() as u64),
            plan.keep
        );
        let mut rows = vec![[
            "configuration".to_string(),
            "runs".into(),
            "evaluations".into(),
            "genes".into(),
            "cells".into(),
            "time".into(),
        ]];
        for (i, c) in plan.configurations.iter().enumerate() {
            rows.push([
                c.label.clone(),
                self.runs[i].to_string(),
                thousands(c.evaluations()),
                thousands(c.genome_dim as u64),
                thousands(c.cells as u64),
                self.seconds.map_or("-".into(), |s| duration::words(s[i])),
            ]);
        }
        text + &table(&rows)
    }
}

fn significant3(x: f64) -> String {
    significant(format!("{x:.2e}").parse().unwrap_or(x))
}

/// `1 to 10`, or the list.
fn seeds(seeds: &[u64]) -> String {
    match (seeds.first(), seeds.last()) {
        (Some(first), Some(last)) if seeds.len() > 2 && last - first + 1 == seeds.len() as u64 => {
            format!("{first} to {last}")
        }
        _ => seeds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}
