//! How far a sweep is, and what it has found.

use std::collections::BTreeMap;

use illume_core::Result;
use serde_json::{Value, json};

use crate::analysis::statistics::{self, Against, Goal, Sample, Summary, Test};
use crate::engine::output::{bracketed, probability, share, significant, table, thousands};
use crate::sweep::collect::Table;
use crate::sweep::duration::words;
use crate::sweep::{Job, Plan, Results, Row, State, Status, Sweep};

/// Configurations that are shown, the best ones.
const SHOWN: usize = 20;

/// What is known of the configurations, the best median first, and of each beside the first of the plan (of successive halving the base).
pub(in crate::commands) struct Findings {
    /// Number of each configuration with the values of its runs that are done, in the order of the plan.
    pub samples: Vec<(usize, Sample)>,
    pub summaries: Vec<Summary>,
    /// In the same order, without the baseline.
    pub tests: Vec<Test>,
    /// Position of what the others are compared with.
    pub baseline: usize,
    goal: Goal,
}

impl Findings {
    pub fn new(table: &Table<'_>) -> Findings {
        let plan = table.plan;
        let sample = |(configuration, values): (usize, Vec<f64>)| {
            let name = plan.configurations[configuration].label.clone();
            (configuration, Sample { name, values })
        };
        let samples: Vec<(usize, Sample)> = table.values(&plan.metric.name).into_iter().map(sample).collect();
        let goal = if plan.metric.goal == "minimize" {
            Goal::Minimize
        } else {
            Goal::Maximize
        };
        let baseline = samples
            .iter()
            .position(|(c, _)| plan.configurations[*c].base)
            .unwrap_or(0);
        let all: Vec<Sample> = samples.iter().map(|(_, sample)| sample.clone()).collect();
        Findings {
            summaries: all.iter().map(|sample| Summary::of(&[&sample.values])).collect(),
            tests: statistics::compare(&all, Against::Baseline(baseline), goal),
            samples,
            baseline,
            goal,
        }
    }

    /// Positions, the best median first.
    pub fn ranked(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.samples.len()).collect();
        let median = |i: usize| self.summaries[i].spread.median;
        order.sort_by(|&a, &b| match self.goal {
            Goal::Maximize => median(b).total_cmp(&median(a)),
            Goal::Minimize => median(a).total_cmp(&median(b)),
        });
        order
    }

    /// The test of a configuration, by position; none of the baseline. Names need not tell configurations apart once a sweep was extended.
    pub fn test(&self, i: usize) -> Option<&Test> {
        let before = i.checked_sub(usize::from(i > self.baseline))?;
        self.tests.get(before).filter(|_| i != self.baseline)
    }

    fn text(&self, metric: &str) -> String {
        let between = |ends: [f64; 2]| bracketed(ends.map(significant));
        let head = [
            "configuration",
            "runs",
            metric,
            "quartiles",
            "IQM",
            "95 % of IQM",
            "P(better)",
            "95 %",
            "p",
            "Holm's p",
        ];
        let mut rows = vec![head.map(String::from)];
        for i in self.ranked().into_iter().take(SHOWN) {
            let (name, s) = (&self.samples[i].1.name, &self.summaries[i]);
            let tested = self.test(i).map_or([const { String::new() }; 4], |t| {
                [
                    share(t.improvement),
                    bracketed(t.improvement_interval.map(share)),
                    probability(t.p),
                    probability(t.adjusted_p),
                ]
            });
            let [improvement, interval, p, adjusted] = tested;
            rows.push([
                name.clone(),
                s.n.to_string(),
                significant(s.spread.median),
                between(s.spread.quartiles),
                significant(s.iqm),
                between(s.iqm_interval),
                improvement,
                interval,
                p,
                adjusted,
            ]);
        }
        let mut text = match self.samples.len() {
            0 => return "no run is done yet\n".into(),
            1 => narrow(&rows),
            _ => table(&rows),
        };
        if let Some(test) = self.tests.first() {
            text += &format!(
                "P(better): probability that a run is better than one of {}, with exact two-sided rank-sum p and Holm's correction\n",
                test.baseline
            );
        }
        if self.samples.len() > SHOWN {
            text += &format!(
                "the best {SHOWN} of {} configurations; sweep.csv has all\n",
                self.samples.len()
            );
        }
        if let Some(caution) = statistics::caution(&self.tests) {
            text += &format!("note: {caution}\n");
        }
        text
    }

    fn json(&self, plan: &Plan) -> Value {
        let group = |i: usize| {
            let (configuration, sample) = &self.samples[i];
            json!({
                "label": sample.name,
                "set": plan.configurations[*configuration].set,
                "values": sample.values,
                "summary": self.summaries[i],
            })
        };
        json!({
            "metric": plan.metric.name,
            "configurations": self.ranked().into_iter().map(group).collect::<Vec<_>>(),
            "tests": self.tests,
        })
    }
}

/// Of one configuration there is no comparison to show.
fn narrow(rows: &[[String; 10]]) -> String {
    let rows: Vec<[String; 6]> = rows.iter().map(|row| std::array::from_fn(|i| row[i].clone())).collect();
    table(&rows)
}

/// What failed, and what is known of each configuration.
pub(super) fn summary(sweep: &Sweep, results: &Results) -> String {
    let table = Table::new(&sweep.plan, results);
    let plan = &sweep.plan;
    let mut text = String::new();
    let failed = |(job, row): &(Job, Option<&Row>)| {
        let row = row.filter(|row| row.status != Status::Done)?;
        let label = &plan.configurations[job.configuration].label;
        Some(format!(
            "{} {} ({label}, seed {}): {}\n",
            row.status.word(),
            job.id,
            job.seed,
            row.error
        ))
    };
    let failed: Vec<String> = table.rows.iter().filter_map(failed).collect();
    failed.iter().take(SHOWN).for_each(|line| text += line);
    if failed.len() > SHOWN {
        text += &format!("and {} more; sweep.csv has all\n", failed.len() - SHOWN);
    }
    text + &Findings::new(&table).text(&plan.metric.name)
}

/// Where a sweep stands.
pub(in crate::commands) struct Standing {
    /// Runs by what has become of them.
    pub counts: BTreeMap<&'static str, usize>,
    pub core_seconds: f64,
    /// Whether nothing is left to do.
    pub complete: bool,
}

impl Standing {
    /// # Errors
    /// The folder of claims cannot be read.
    pub fn new(sweep: &Sweep, results: &Results) -> Result<Standing> {
        let table = Table::new(&sweep.plan, results);
        let claims = sweep.claims();
        let claimed = claims.list()?;
        let mut counts: BTreeMap<&'static str, usize> = ["done", "running", "interrupted", "open", "failed", "wrong"]
            .map(|name| (name, 0))
            .into();
        for (job, row) in &table.rows {
            let state = match row {
                Some(row) => row.status.word(),
                None => match claimed
                    .get(&job.name)
                    .map(|numbers| claims.state(&job.name, numbers))
                    .transpose()?
                {
                    Some(State::Held(_)) => "running",
                    Some(State::Free { past, .. }) if past.interrupted + past.crashed + past.lost > 0 => "interrupted",
                    _ => "open",
                },
            };
            *counts.entry(state).or_default() += 1;
        }
        Ok(Standing {
            counts,
            // A sum of nothing is -0.
            core_seconds: 0.0 + results.iter().map(|(_, row)| row.timing.core_seconds).sum::<f64>(),
            complete: table.complete,
        })
    }

    /// What `illume sweep status` prints.
    pub fn text(&self, sweep: &Sweep, results: &Results) -> String {
        let counts = self.counts.iter().filter(|(_, n)| **n > 0);
        let counts: Vec<String> = counts
            .map(|(name, n)| format!("{name} {}", thousands(*n as u64)))
            .collect();
        let time = words(self.core_seconds);
        format!(
            "{}; {time} of cores' time\n{}",
            counts.join(", "),
            summary(sweep, results)
        )
    }

    /// The documented fields of its `--json`.
    pub fn json(&self, sweep: &Sweep, results: &Results) -> Value {
        let mut fields = Findings::new(&Table::new(&sweep.plan, results)).json(&sweep.plan);
        fields["runs"] = json!(self.counts);
        fields["core_seconds"] = json!(self.core_seconds);
        fields["finished"] = json!(self.complete);
        fields
    }
}
