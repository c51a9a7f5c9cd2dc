//! What a run says: in its log, on the terminal, and at its end.

use std::io::Write as _;
use std::time::Instant;

use illume_core::{Measure, Measured};
use serde_json::{Map, Value, json};

use crate::analysis::compare::spoken;
use crate::commands::launch::Place;
use crate::engine::directory::Directory;
use crate::engine::lock::Holder;
use crate::engine::output::{percent, quoted, significant, thousands};
use crate::engine::versions;
use crate::{Config, Run, registry};

/// Where a process found a run, by which it says how fast the run goes.
pub(super) struct Pace {
    start: Instant,
    generation: u64,
    evaluations: u64,
}

impl Pace {
    pub fn new(run: &Run<'_>) -> Pace {
        let c = run.counters();
        Pace {
            start: Instant::now(),
            generation: c.generation,
            evaluations: c.evaluations,
        }
    }

    /// How far the run is: in the strategy's own terms if it has some ([`illume_core::StrategyEntry::shown`]), else what is in the archive; then what the task
    /// measures, sums with a unit as rates.
    pub fn line(&self, run: &Run<'_>) -> String {
        let c = run.counters();
        let seconds = self.start.elapsed().as_secs_f64().max(1e-9);
        let mut parts = vec![format!("generation {}", c.generation)];
        let own = own_terms(run);
        if own.is_empty() {
            let m = run.metrics();
            let rate = (c.evaluations - self.evaluations) as f64 / seconds;
            parts.push(format!("{} evaluations ({}/s)", thousands(c.evaluations), speed(rate)));
            parts.push(if m.coverage.is_finite() {
                format!("QD score {}  coverage {}", significant(m.qd_score), percent(m.coverage))
            } else {
                format!("{} members", thousands(m.filled as u64))
            });
            parts.push(format!("best {}", significant(best(run, m.max_fitness))));
        } else {
            let generations = (c.generation - self.generation).max(1) as f64;
            parts.push(format!("{} s each", short(seconds / generations)));
            parts.extend(own);
        }
        let measures = run.measures();
        let rates = measures.worked();
        parts.extend(
            rates
                .filter(|(m, _)| !m.unit.is_empty())
                .map(|(m, sum)| format!("{} {}/s", speed(sum / seconds), m.unit)),
        );
        parts.extend(counts(run));
        parts.extend(shares(run));
        parts.join("  ")
    }
}

/// The columns by which a strategy wants to be followed, with their values: `validation 0.75`.
fn own_terms(run: &Run<'_>) -> Vec<String> {
    let mut values = run.strategy_values();
    values.extend(run.front_values());
    let value = |column: &str| values.iter().find(|(name, _)| name == column).map(|(_, value)| *value);
    let shown = registry::shown(&run.strategy().spec().name).iter();
    shown
        .filter_map(|(column, called)| Some(format!("{called} {}", rounded(value(column)?))))
        .collect()
}

/// The sums over the run that have no unit: `in area 1: 30`.
fn counts(run: &Run<'_>) -> Vec<String> {
    let plain = |m: &Measured| m.kind == Measure::Sum && m.unit.is_empty();
    let counts = run.measures().values().filter(|(m, _)| plain(m));
    counts
        .map(|(m, sum)| format!("{}: {}", spoken(m.name), count(sum)))
        .collect()
}

/// The shares of the last generation that the task measures: `cut off 3.12 %`.
fn shares(run: &Run<'_>) -> Vec<String> {
    let shares = run.measures().values().filter(|(m, _)| m.kind == Measure::Share);
    shares
        .map(|(m, share)| format!("{} {}", spoken(m.name), percent(share)))
        .collect()
}

/// A number with at most four decimals.
fn rounded(x: f64) -> String {
    significant((x * 1e4).round() / 1e4)
}

/// A number with about three digits.
fn short(x: f64) -> String {
    match x {
        ..9.995 => format!("{x:.2}"),
        ..99.95 => format!("{x:.1}"),
        _ => thousands(x.round() as u64),
    }
}

/// So many in a second: a whole number, unless that would be a digit or none.
fn speed(x: f64) -> String {
    if x < 10.0 {
        format!("{x:.1}")
    } else {
        thousands(x as u64)
    }
}

pub(super) fn start_fields(run: &Run<'_>, config: &Config, place: &Place<'_>) -> Value {
    json!({
        "software_version": env!("CARGO_PKG_VERSION"),
        "commit": versions::commit(),
        "command": std::env::args_os().map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" "),
        "host": Holder::this().host,
        "processor": versions::processor(),
        "libraries": versions::libraries().iter().map(|(name, version)| (name.to_string(), Value::String(version.clone())))
            .collect::<Map<String, Value>>(),
        "task": config.name("task"),
        "strategy": config.name("strategy"),
        "archive": run.archive().spec().kind,
        "cells": run.archive().spec().capacity,
        "seed": config.seed,
        "ranks": place.comm.size(),
        "ranks_on_node": place.node.ranks,
        "threads": rayon::current_num_threads(),
        "generation": run.counters().generation,
        "evaluations": run.counters().evaluations,
        "facts": run.facts().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect::<Map<String, Value>>(),
        "warning": place.plan.warning,
        "config": run.config_text(),
    })
}

pub(super) fn progress_fields(run: &Run<'_>) -> Value {
    let (c, m) = (run.counters(), run.metrics());
    let (traffic, candidates) = run.traffic();
    let mut fields = json!({
        "generation": c.generation,
        "evaluations": c.evaluations,
        "env_steps": c.env_steps,
        "frames": run.frames(),
        "invalid": c.invalid,
        "outside": c.outside,
        "wall_seconds": run.seconds(),
        "filled": m.filled,
        "coverage": finite(m.coverage),
        "qd_score": finite(m.qd_score),
        "max_fitness": finite(m.max_fitness),
        "mean_fitness": finite(m.mean_fitness),
        "idle_share": finite(run.idle_share()),
        "bytes_sent": traffic.sent,
        "bytes_received": traffic.received,
        "bytes_per_candidate": finite(traffic.received as f64 / candidates as f64),
    });
    if let Value::Object(map) = &mut fields {
        map.extend(
            run.strategy_values()
                .into_iter()
                .map(|(name, value)| (name, finite(value))),
        );
        let front = run.front_values().into_iter();
        map.extend(front.map(|(name, value)| (name, finite(value))));
        let measured = run.measures().values();
        map.extend(measured.map(|(m, value)| (m.name.into(), finite(value))));
    }
    fields
}

/// Says where things are. `write!`, not `println!`: under a stopping `mpirun` the output may be closed.
pub(super) fn conclude(run: &Run<'_>, directory: &Directory, ended: &str) {
    let (c, m, dir) = (run.counters(), run.metrics(), directory.path.display());
    let own = own_terms(run);
    let result = if !own.is_empty() {
        own.join(", ")
    } else {
        let filled = thousands(m.filled as u64);
        let archive = if run.archive().spec().has_cells() {
            format!(
                "QD score {}, coverage {} ({filled} of {} cells)",
                significant(m.qd_score),
                percent(m.coverage),
                thousands(run.archive().spec().capacity as u64),
            )
        } else {
            format!("{filled} members")
        };
        format!("{archive}, best fitness {}", significant(best(run, m.max_fitness)))
    };
    let work = |m: &Measured| m.kind == Measure::Sum && !m.unit.is_empty();
    let sums = run.measures().values().filter(|(m, _)| work(m));
    let measured: String = sums
        .map(|(m, sum)| format!("{} {}", count(sum), m.unit))
        .chain(counts(run))
        .chain(shares(run))
        .map(|part| format!(", {part}"))
        .collect();
    let mut out = std::io::stdout();
    let _ = writeln!(
        out,
        "{ended} after {} generations, {} evaluations, {:.1} s: {result}{measured}",
        thousands(c.generation),
        thousands(c.evaluations),
        run.seconds(),
    );
    if let Some(caution) = run.measures().caution() {
        let _ = writeln!(out, "Note: {caution}");
    }
    if let Some(why) = run.strategy().ended() {
        let _ = writeln!(out, "Ended by the strategy: {why}");
    }
    if c.evaluations > 0 && c.invalid > 0 {
        let _ = writeln!(out, "{} evaluations failed or were not finite", thousands(c.invalid));
    }
    let (traffic, candidates) = run.traffic();
    if traffic.received > 0 && candidates > 0 {
        let _ = writeln!(
            out,
            "Traffic: {:.1} bytes received by rank 0 per candidate ({} for {})",
            traffic.received as f64 / candidates as f64,
            thousands(traffic.received),
            thousands(candidates),
        );
    }
    let next = if ended == "Stopped" {
        format!("go on with: illume resume {dir}")
    } else {
        format!("see it with: illume plot {dir}")
    };
    let _ = writeln!(out, "Archive: {dir}/archive.h5   ({next})");
}

/// The best fitness that a strategy has seen, if it keeps account of it, else the archive's.
fn best(run: &Run<'_>, of_archive: f64) -> f64 {
    let values = run.strategy_values();
    values
        .iter()
        .find(|(name, _)| name == "best_fitness")
        .map_or(of_archive, |(_, best)| *best)
}

/// A count, a dash where it is not known.
fn count(x: f64) -> String {
    if x.is_finite() { thousands(x as u64) } else { "-".into() }
}

/// A number, or null where there is none.
fn finite(x: f64) -> Value {
    if x.is_finite() { json!(x) } else { Value::Null }
}
