//! What a run says: in its log, on the terminal, and at its end.

use std::io::Write as _;

use serde_json::{Map, Value, json};

use crate::commands::launch::Place;
use crate::engine::directory::Directory;
use crate::engine::output::{Shown, percent, significant, thousands};
use crate::engine::versions;
use crate::{Config, Run};

pub(super) fn shown(run: &Run<'_>) -> Shown {
    let (c, m) = (run.counters(), run.metrics());
    Shown {
        generation: c.generation,
        evaluations: c.evaluations,
        qd_score: m.qd_score,
        coverage: m.coverage,
        filled: m.filled,
        max_fitness: best(run, m.max_fitness),
        done: run.done().max(run.time_used()).min(1.0),
    }
}

pub(super) fn start_fields(run: &Run<'_>, config: &Config, place: &Place<'_>) -> Value {
    json!({
        "software_version": env!("CARGO_PKG_VERSION"),
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
    }
    fields
}

/// Says where things are. `write!`, not `println!`: under a stopping `mpirun` the output may be closed.
pub(super) fn conclude(run: &Run<'_>, directory: &Directory, ended: &str) {
    let (c, m, dir) = (run.counters(), run.metrics(), directory.path.display());
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
    let mut out = std::io::stdout();
    let _ = writeln!(
        out,
        "{ended} after {} generations, {} evaluations, {:.1} s: {archive}, best fitness {}",
        thousands(c.generation),
        thousands(c.evaluations),
        run.seconds(),
        significant(best(run, m.max_fitness)),
    );
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

/// A number, or null where there is none.
fn finite(x: f64) -> Value {
    if x.is_finite() { json!(x) } else { Value::Null }
}
