//! A sweep that is watched.

use std::collections::BTreeMap;
use std::path::Path;

use illume_core::Result;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Widget as _};

use super::View;
use super::follow::Follow;
use super::screen::gauge;
use crate::analysis::statistics::Spread;
use crate::commands::sweep::Standing;
use crate::engine::output::{bracketed, percent, significant, table, thousands};
use crate::sweep::collect::Table;
use crate::sweep::duration::words;
use crate::sweep::{Results, State, Status, Sweep};

pub(super) struct SweepView {
    sweep: Sweep,
    results: Results,
    counts: BTreeMap<&'static str, usize>,
    total: usize,
    done: f64,
    left: Option<f64>,
    running: Vec<Vec<String>>,
    ranking: Vec<Vec<String>>,
    /// The logs of runs that go on, by their ids.
    logs: BTreeMap<String, Follow>,
    metric: String,
}

impl SweepView {
    /// # Errors
    /// A sweep that cannot be read.
    pub fn open(dir: &Path) -> Result<SweepView> {
        let sweep = Sweep::open(dir)?;
        let results = sweep.results()?;
        let metric = sweep.plan.metric.name.clone();
        Ok(SweepView {
            sweep,
            results,
            counts: BTreeMap::new(),
            total: 0,
            done: 0.0,
            left: None,
            running: Vec::new(),
            ranking: Vec::new(),
            logs: BTreeMap::new(),
            metric,
        })
    }
}

impl View for SweepView {
    fn refresh(&mut self) -> Result<()> {
        self.sweep.refresh()?;
        self.results.refresh()?;
        let (plan, claims) = (self.sweep.plan.clone(), self.sweep.claims());
        let table = Table::new(&plan, &self.results);
        self.counts = Standing::new(&self.sweep, &self.results)?.counts;
        self.total = table.rows.len();
        let claimed = claims.list()?;
        let (mut partly, mut going, mut seconds) = (0.0, Vec::new(), Vec::new());
        for (job, row) in &table.rows {
            if let Some(row) = row {
                seconds.extend((row.status == Status::Done).then_some(row.timing.wall_seconds));
                self.logs.remove(&job.id);
                continue;
            }
            let state = claimed
                .get(&job.name)
                .map(|numbers| claims.state(&job.name, numbers))
                .transpose()?;
            let Some(State::Held(holder)) = state else { continue };
            let dir = self.sweep.run_dir(&job.id);
            let log = self.logs.entry(job.id.clone()).or_insert_with(|| Follow::new(&dir));
            log.refresh()?;
            let done = log.done().unwrap_or(0.0);
            partly += done;
            let last = |column: &str| log.last(column).map_or("-".into(), significant);
            going.push(vec![
                job.id.clone(),
                plan.configurations[job.configuration].label.clone(),
                job.seed.to_string(),
                holder.map_or("-".into(), |h| h.host),
                percent(done),
                log.left().map_or("-".into(), |left| words(left.as_secs_f64())),
                last(&plan.metric.name),
            ]);
        }
        let finished = self
            .counts
            .iter()
            .filter(|(name, _)| ["done", "failed", "wrong"].contains(name))
            .map(|(_, n)| n)
            .sum::<usize>() as f64;
        self.done = (finished + partly) / (self.total.max(1) as f64);
        // At as many runs at a time as now, each as long as those that are done.
        let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
        let open = self.total as f64 - finished - partly;
        self.left = (!seconds.is_empty() && !going.is_empty()).then(|| open * mean / going.len() as f64);
        let head = [
            "run",
            "configuration",
            "seed",
            "host",
            "done",
            "left",
            self.metric.as_str(),
        ]
        .map(String::from)
        .to_vec();
        self.running = std::iter::once(head).chain(going).collect();
        let mut samples: Vec<(usize, Spread, usize)> = table
            .values(&self.metric)
            .into_iter()
            .map(|(c, values)| (c, Spread::of(values.clone()), values.len()))
            .collect();
        let minimize = plan.metric.goal == "minimize";
        samples.sort_by(|(_, a, _), (_, b, _)| {
            let [a, b] = if minimize { [b, a] } else { [a, b] };
            b.median.total_cmp(&a.median)
        });
        let head = ["configuration", "runs", self.metric.as_str(), "quartiles"]
            .map(String::from)
            .to_vec();
        let ranked = samples.into_iter().take(30).map(|(c, spread, runs)| {
            let quartiles = bracketed(spread.quartiles.map(significant));
            vec![
                plan.configurations[c].label.clone(),
                runs.to_string(),
                significant(spread.median),
                quartiles,
            ]
        });
        self.ranking = std::iter::once(head).chain(ranked).collect();
        Ok(())
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let [head, counts, bar, body, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Min(6),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let buffer = frame.buffer_mut();
        Line::from(format!(
            "sweep {} · {} runs",
            self.sweep.dir.display(),
            thousands(self.total as u64)
        ))
        .bold()
        .render(head, buffer);
        let parts: Vec<String> = self
            .counts
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(name, n)| format!("{name} {}", thousands(*n as u64)))
            .collect();
        Line::from(parts.join(", ")).render(counts, buffer);
        let left = match self.left {
            _ if self.done >= 1.0 => "finished".into(),
            Some(left) => format!("about {} left", words(left)),
            None => "time left: not known yet".into(),
        };
        gauge(Some(self.done), format!("{} · {left}", percent(self.done)), bar, buffer);
        let [upper, lower] = Layout::vertical([Constraint::Percentage(45), Constraint::Percentage(55)]).areas(body);
        let lines = |rows: &[Vec<String>]| {
            table(rows)
                .lines()
                .map(|line| Line::from(line.to_string()))
                .collect::<Vec<_>>()
        };
        Paragraph::new(lines(&self.running))
            .block(Block::bordered().title("running"))
            .render(upper, buffer);
        Paragraph::new(lines(&self.ranking))
            .block(Block::bordered().title("best medians so far"))
            .render(lower, buffer);
        Line::from("r: look now   q: leave")
            .style(Style::new().dim())
            .render(keys, buffer);
    }
}
