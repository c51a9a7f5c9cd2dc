//! A run that is watched.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use illume_archives::file::{self, ArchiveFile};
use illume_core::{Axis, Cells, Error, Result};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Widget as _};

use super::View;
use super::follow::{Follow, number};
use super::screen::{Map, curve, gauge};
use crate::analysis::compare::spoken;
use crate::commands::archive_path;
use crate::engine::lock::Holder;
use crate::engine::output::{percent, quoted, significant, thousands};
use crate::registry;
use crate::sweep::duration::words;

/// Tiles of a map along each side, where the archive has none of its own.
const TILES: usize = 60;

pub(super) struct RunView {
    dir: PathBuf,
    follow: Follow,
    /// When the archive was written that has been read.
    read: Option<SystemTime>,
    title: String,
    map: Option<Map>,
    /// Of the archive's history: name and values, against evaluations.
    history: Vec<(String, Vec<(f64, f64)>)>,
    /// Names of the columns that can be drawn.
    columns: Vec<String>,
    shown: usize,
    wanted: Option<String>,
    state: String,
}

impl RunView {
    /// # Errors
    /// A column that the run's history does not have.
    pub fn open(dir: &Path, column: Option<&str>) -> Result<RunView> {
        let mut view = RunView {
            dir: dir.into(),
            follow: Follow::new(dir),
            read: None,
            title: dir.display().to_string(),
            map: None,
            history: Vec::new(),
            columns: Vec::new(),
            shown: 0,
            wanted: None,
            state: String::new(),
        };
        view.refresh()?;
        if let Some(name) = column {
            if !view.columns.is_empty() && !view.columns.iter().any(|c| c == name) {
                return Err(Error::input(format!(
                    "--column {name}: the history of {} has {}",
                    dir.display(),
                    view.columns.join(", ")
                )));
            }
            view.wanted = Some(name.into());
            view.settle();
        }
        Ok(view)
    }

    /// Reads the archive if there is a newer one.
    fn read_archive(&mut self) {
        let Ok(path) = archive_path(&self.dir) else { return };
        let written = path.metadata().and_then(|m| m.modified()).ok();
        if written == self.read {
            return;
        }
        // One that is just being replaced is read the next time.
        let Ok(file) = file::open(&path) else { return };
        self.read = written;
        self.map = map(&file);
        let history = &file.history;
        let Ok(evaluations) = history.get::<f64>("evaluations") else {
            return;
        };
        let named = history
            .columns()
            .iter()
            .filter_map(|c| Some((c.name.clone(), history.get::<f64>(&c.name).ok()?)));
        self.history = named
            .map(|(name, values)| (name, evaluations.iter().copied().zip(values.iter().copied()).collect()))
            .collect();
    }

    fn settle(&mut self) {
        let own = registry::shown(
            self.follow
                .start
                .get("strategy")
                .and_then(|s| s.as_str())
                .unwrap_or_default(),
        );
        let first = self
            .wanted
            .as_deref()
            .or(own.first().map(|(column, _)| *column))
            .unwrap_or("qd_score");
        self.shown = self.columns.iter().position(|c| c == first).unwrap_or(0);
    }

    /// The curve of a column: of the archive's history, and then of the log, which is ahead of it.
    fn points(&self, column: &str) -> Vec<(f64, f64)> {
        let mut points = self
            .history
            .iter()
            .find(|(name, _)| name == column)
            .map(|(_, p)| p.clone())
            .unwrap_or_default();
        let last = points.last().map_or(f64::NEG_INFINITY, |p| p.0);
        let logged = self
            .follow
            .progress
            .iter()
            .filter_map(|line| Some((number(line, "evaluations")?, number(line, column)?)));
        points.extend(logged.filter(|p| p.0 > last));
        points
    }

    fn numbers(&self) -> Vec<String> {
        let f = &self.follow;
        let rate = |column: &str| {
            f.rate(column)
                .map(|r| format!(" ({}/s)", significant((r * 10.0).round() / 10.0)))
                .unwrap_or_default()
        };
        let mut rows = Vec::new();
        let mut row = |name: &str, value: Option<String>| rows.extend(value.map(|value| format!("{name:<14} {value}")));
        let count = |column: &str| f.last(column).map(|x| thousands(x as u64));
        row("generation", count("generation"));
        row("evaluations", count("evaluations").map(|n| n + &rate("evaluations")));
        row(
            "steps",
            count("env_steps").filter(|n| *n != "0").map(|n| n + &rate("env_steps")),
        );
        row("tokens", count("tokens").map(|n| n + &rate("tokens")));
        let own = registry::shown(f.start.get("strategy").and_then(|s| s.as_str()).unwrap_or_default());
        if own.is_empty() {
            row("QD score", f.last("qd_score").map(significant));
            row("coverage", f.last("coverage").map(percent));
            row("best fitness", f.last("max_fitness").map(significant));
        }
        for (column, name) in own {
            row(name, f.last(column).map(significant));
        }
        row("failed", count("invalid").filter(|n| *n != "0"));
        row("idle share", f.last("idle_share").map(percent));
        row("wall time", f.last("wall_seconds").map(words));
        rows
    }
}

impl View for RunView {
    fn refresh(&mut self) -> Result<()> {
        self.follow.refresh()?;
        self.read_archive();
        let start = &self.follow.start;
        let text = |name: &str| start.get(name).and_then(|v| v.as_str()).unwrap_or_default();
        if !start.is_empty() {
            let seed = start.get("seed").map(ToString::to_string).unwrap_or_default();
            self.title = format!(
                "{}, {} · seed {seed} · {}",
                text("task"),
                text("strategy"),
                self.dir.display()
            );
        }
        self.state = state(&self.dir, &self.follow);
        let logged = self
            .follow
            .progress
            .last()
            .into_iter()
            .flat_map(|line| line.iter().filter(|(_, v)| v.is_number()).map(|(name, _)| name.clone()));
        let mut columns: Vec<String> = self
            .history
            .iter()
            .map(|(name, _)| name.clone())
            .chain(logged)
            .collect();
        columns.sort_unstable();
        columns.dedup();
        columns.retain(|c| !["evaluations", "generation", "wall_seconds"].contains(&c.as_str()));
        if columns != self.columns {
            let before = self.columns.get(self.shown).cloned();
            self.columns = columns;
            match before.and_then(|name| self.columns.iter().position(|c| *c == name)) {
                Some(at) => self.shown = at,
                None => self.settle(),
            }
        }
        Ok(())
    }

    fn turn(&mut self, forward: bool) {
        let n = self.columns.len().max(1);
        self.shown = (self.shown + if forward { 1 } else { n - 1 }) % n;
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let [head, state, bar, body, events, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Min(8),
            Constraint::Length(5),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let buffer = frame.buffer_mut();
        Line::from(self.title.as_str()).bold().render(head, buffer);
        Line::from(self.state.as_str()).render(state, buffer);
        let done = self.follow.done();
        let left = match (self.follow.ended(), self.follow.left()) {
            (Some(event), _) => event.to_string(),
            (None, Some(left)) => format!("about {} left", words(left.as_secs_f64())),
            (None, None) => "time left: not known yet".into(),
        };
        gauge(
            done,
            format!("{} · {left}", done.map_or("-".into(), percent)),
            bar,
            buffer,
        );
        let [left, right] = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(body);
        let numbers = self.numbers();
        let [upper, lower] =
            Layout::vertical([Constraint::Min(6), Constraint::Length(numbers.len() as u16 + 2)]).areas(right);
        if let Some(map) = &self.map {
            map.render(left, buffer);
        }
        if let Some(column) = self.columns.get(self.shown) {
            let area = if self.map.is_some() { upper } else { left };
            curve(
                &format!("{} ({} of {})", spoken(column), self.shown + 1, self.columns.len()),
                "evaluations",
                &self.points(column),
                area,
                buffer,
            );
        }
        let text: Vec<Line<'_>> = numbers.into_iter().map(Line::from).collect();
        Paragraph::new(text)
            .block(Block::bordered().title("now"))
            .render(lower, buffer);
        let recent = self.follow.events.iter().rev().take(3).rev();
        let text: Vec<Line<'_>> = recent
            .map(|(time, what)| Line::from(format!("{time}  {what}")))
            .collect();
        Paragraph::new(text)
            .block(Block::bordered().title("events"))
            .render(events, buffer);
        Line::from("Tab: next column   r: look now   q: leave")
            .style(Style::new().dim())
            .render(keys, buffer);
    }
}

/// Who works on the run, and when it last said something.
fn state(dir: &Path, follow: &Follow) -> String {
    if let Some(event) = follow.ended() {
        return format!("{event}, {}", follow.events.last().map_or("", |(time, _)| time));
    }
    let lock = dir.join("run.lock");
    let age = lock
        .metadata()
        .and_then(|m| m.modified())
        .ok()
        .and_then(|t| t.elapsed().ok());
    let holder: Option<Holder> = std::fs::read_to_string(&lock)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok());
    match (holder, age) {
        (Some(holder), _) if holder.is_gone() => {
            format!("killed: {holder} is gone; `illume resume {}` goes on", dir.display())
        }
        (Some(holder), Some(age)) => format!("{holder}, seen {} ago", words(age.as_secs_f64())),
        _ if dir.join("checkpoint.h5").exists() => format!(
            "nobody works on it; `illume resume {}` goes on",
            quoted(&dir.display().to_string())
        ),
        _ => "nobody works on it".into(),
    }
}

/// The archive as a map over its first two axes, or its only one.
fn map(file: &ArchiveFile) -> Option<Map> {
    let spec = &file.spec;
    let [x, y] = match spec.axes.as_slice() {
        [] => return None,
        [x] => [Some(x), None],
        [x, y, ..] => [Some(x), Some(y)],
    };
    let k = spec.axes.len();
    let (fitness, descriptor) = (
        file.elites.get::<f64>("fitness").ok()?,
        file.elites.get::<f64>("descriptor").ok()?,
    );
    let (columns, rows) = match &spec.cells {
        Cells::Grid { shape } => (shape[0], shape.get(1).copied().unwrap_or(1)),
        _ => (TILES, if y.is_some() { TILES } else { 1 }),
    };
    let mut values = vec![f64::NAN; columns * rows];
    let title = [x, y]
        .into_iter()
        .flatten()
        .map(|a| a.name.replace('_', " "))
        .collect::<Vec<_>>()
        .join(" × ");
    let title = if k > 2 {
        format!("fitness: {title}, of {k} axes")
    } else {
        format!("fitness: {title}")
    };
    match (&spec.cells, x, y) {
        (Cells::Cvt { centroids }, Some(x), y) if k <= 2 => {
            // Each tile has the elite of the cell that its middle lies in, by the archive's distances.
            let by_cell = file.fitness_by_cell();
            let middle =
                |axis: &Axis, i: usize, n: usize| axis.lower + (i as f64 + 0.5) / n as f64 * (axis.upper - axis.lower);
            for (i, value) in values.iter_mut().enumerate() {
                let mut at = vec![middle(x, i % columns, columns)];
                at.extend(y.map(|y| middle(y, i / columns, rows)));
                let distance = |c: &[f64]| c.iter().zip(&at).map(|(c, a)| (c - a).powi(2)).sum::<f64>();
                let cells = centroids.chunks_exact(k).enumerate();
                let nearest = cells.min_by(|a, b| distance(a.1).total_cmp(&distance(b.1)));
                *value = nearest.map_or(f64::NAN, |(cell, _)| by_cell[cell]);
            }
        }
        (_, Some(x), y) => {
            let index = |share: f64, n: usize| ((share * n as f64) as usize).min(n - 1);
            for (f, d) in fitness.iter().zip(descriptor.chunks_exact(k)) {
                let row = y.map_or(0, |y| index(y.share(d[1]), rows));
                let value = &mut values[row * columns + index(x.share(d[0]), columns)];
                *value = value.max(*f);
            }
        }
        _ => return None,
    }
    Some(Map {
        columns,
        rows,
        values,
        title,
    })
}
