//! `illume info`: what an archive is and how good.

mod front;
mod policy;

use std::path::{Path, PathBuf};

use illume_archives::file::{self, ArchiveFile};
use illume_core::{Cells, GeneGroup, GeneKind, Result};
use serde_json::{Value, json};

use super::eval::report;
use super::launch::alone;
use crate::engine::output::{json_text, named, percent, significant, thousands};
use crate::formats::policy::PolicyFile;

/// Groups of genes that are described.
const GROUPS: usize = 12;

/// Show what an archive is and how good
#[derive(clap::Args)]
pub struct InfoArgs {
    /// Run directory, .h5 file, or folder of a policy
    path: PathBuf,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
}

impl InfoArgs {
    pub fn run(&self) -> u8 {
        alone(|| info(&self.path, self.json))
    }
}

/// # Errors
/// No archive there, or one that cannot be read.
fn info(path: &Path, as_json: bool) -> Result<String> {
    if PolicyFile::is_at(path) {
        return policy::info(path, as_json);
    }
    let path = super::archive_path(path)?;
    if file::is_evaluation(&path) {
        return evaluation(&path, as_json);
    }
    let file = file::open(&path)?;
    // Fronts are of all members of a cell, of which the elites are the best by their fitness alone.
    let members = file.members()?;
    let members = members.as_ref().unwrap_or(&file);
    if as_json {
        return Ok(json_text(&fields(&file, members)));
    }
    Ok(text(&path, &file, members))
}

/// What `illume eval` found, as it said then.
fn evaluation(path: &Path, as_json: bool) -> Result<String> {
    let e = file::open_evaluation(path)?;
    if as_json {
        return Ok(report::json(path, &e));
    }
    let rows = [
        ("file", path.display().to_string()),
        ("holds", format!("an evaluation of {}", e.archive)),
        ("task", e.task.clone()),
        ("strategy", e.strategy.clone()),
        ("seed", e.seed.to_string()),
        ("evaluations", thousands(e.evaluations)),
        ("made by", format!("illume {}, {}", e.software_version, e.created)),
    ];
    Ok(named(rows) + &report::text(&e, &[]))
}

/// The documented fields of `--json`; numbers that do not exist (the best of an empty archive) are null.
fn fields(file: &ArchiveFile, members: &ArchiveFile) -> Value {
    let (a, m) = (&file.attributes, file.metrics());
    let number = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
    json!({
        "task": a.task,
        "strategy": a.strategy,
        "archive": file.spec.kind,
        "seed": a.seed,
        "generation": a.generation,
        "evaluations": a.evaluations,
        "cells": file.spec.capacity,
        "filled": m.filled,
        "coverage": number(m.coverage),
        "qd_score": number(m.qd_score),
        "qd_offset": file.spec.qd_offset,
        "objectives": a.objectives.iter().zip(best_of_each(members)).map(|(o, best)| json!({"name": o.name, "unit": o.unit, "reference": number(o.range[0]), "ideal": number(o.range[1]), "best": number(best)})).collect::<Vec<_>>(),
        "front": front::value(members),
        "fitness": (!a.fitness.is_empty()).then_some(&a.fitness),
        "max_fitness": number(m.max_fitness),
        "mean_fitness": number(m.mean_fitness),
        "genome_dim": file.genome_dim,
        "genes": file.genes.as_ref().map(|genes| genes.groups().iter().map(group).collect::<Vec<_>>()),
        "genome_form": if file.lineage { "lineage" } else { "dense" },
        "descriptor_dim": file.spec.axes.len(),
        "descriptor": file.spec.axes.iter().map(|x| json!({"name": x.name, "unit": x.unit, "lower": x.lower, "upper": x.upper})).collect::<Vec<_>>(),
        "validation": validation(file).into_iter().map(|(name, first, last)| (name, json!({"first": number(first), "last": number(last)}))).collect::<serde_json::Map<_, _>>(),
        "ranks": a.ranks,
        "threads": a.threads,
        "created": a.created,
        "software_version": a.software_version,
        "format_version": file::FORMAT_VERSION,
    })
}

/// The highest value of each objective among the elites, NaN where there is none.
fn best_of_each(file: &ArchiveFile) -> Vec<f64> {
    let m = file.attributes.objectives.len();
    let values = file.elites.get::<f64>("objectives").unwrap_or_default();
    let best = |o: usize| values.iter().skip(o).step_by(m).copied().fold(f64::NAN, f64::max);
    (0..m).map(best).collect()
}

/// The objectives in words: name, unit and the best that there is among the elites.
fn objectives(file: &ArchiveFile) -> String {
    let named = file.attributes.objectives.iter().zip(best_of_each(file));
    let words = named.map(|(o, best)| {
        let unit = if o.unit.is_empty() {
            String::new()
        } else {
            format!(" {}", o.unit)
        };
        format!("{} (best {}{unit})", o.name, significant(best))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// A group of genes.
fn group(group: &GeneGroup) -> Value {
    let values = match &group.kind {
        GeneKind::Categorical(labels) => json!(labels),
        _ => Value::Null,
    };
    json!({"name": group.name, "count": group.count, "kind": group.kind_name(), "lower": group.lower, "upper": group.upper, "unit": group.unit, "values": values})
}

/// The history's columns of scores on test cases: name, the first number and the last.
fn validation(file: &ArchiveFile) -> Vec<(String, f64, f64)> {
    let columns = file.history.columns().iter();
    let validation = columns.filter(|c| c.name == "validation" || c.name.ends_with("_validation"));
    validation
        .filter_map(|column| {
            let values = file.history.get::<f64>(&column.name).ok()?;
            let mut numbers = values.iter().copied().filter(|v| v.is_finite());
            let first = numbers.next()?;
            Some((column.name.clone(), first, numbers.next_back().unwrap_or(first)))
        })
        .collect()
}

fn text(path: &Path, file: &ArchiveFile, members: &ArchiveFile) -> String {
    let (a, m) = (&file.attributes, file.metrics());
    let shape = match &file.spec.cells {
        Cells::Grid { shape } => {
            format!(
                "grid {}",
                shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ")
            )
        }
        Cells::Cvt { .. } => format!("CVT, {} cells", thousands(file.spec.capacity as u64)),
        Cells::None => file.spec.kind.clone(),
    };
    let rules = file.spec.rules.iter().map(|(name, rule)| format!(", {name} {rule}"));
    let shape = shape + &rules.collect::<String>();
    let (capacity, unit) = (
        thousands(file.spec.capacity as u64),
        if file.spec.has_cells() {
            "cells"
        } else {
            "members at most"
        },
    );
    let axes: Vec<String> = file
        .spec
        .axes
        .iter()
        .map(|x| {
            format!(
                "{} [{}, {}]{}",
                x.name,
                x.lower,
                x.upper,
                if x.unit.is_empty() {
                    String::new()
                } else {
                    format!(" {}", x.unit)
                }
            )
        })
        .collect();
    let validated: Vec<String> = validation(file)
        .iter()
        .map(|(name, first, last)| {
            format!(
                "{name} {} at first, {} at last",
                significant(*first),
                significant(*last)
            )
        })
        .collect();
    let mut described = file.genes.as_ref().map_or_else(Vec::new, |genes| genes.described());
    if described.len() > GROUPS {
        let more = described.len() - GROUPS;
        described.truncate(GROUPS);
        described.push(format!("and {more} more"));
    }
    let genes = described.join(", ");
    let (several, front) = (objectives(members), front::words(members));
    let rows = [
        ("file", path.display().to_string()),
        ("task", a.task.clone()),
        ("strategy", a.strategy.clone()),
        ("archive", shape),
        (
            "descriptor",
            if axes.is_empty() {
                "none".into()
            } else {
                axes.join(", ")
            },
        ),
        (
            "genomes",
            format!(
                "{} of {} genes",
                if file.lineage { "lineages" } else { "dense" },
                thousands(file.genome_dim as u64)
            ),
        ),
        ("genes", genes.clone()),
        ("seed", a.seed.to_string()),
        ("generation", thousands(a.generation)),
        ("evaluations", thousands(a.evaluations)),
        ("filled", format!("{} of {capacity} {unit}", thousands(m.filled as u64))),
        ("coverage", percent(m.coverage)),
        (
            "QD score",
            format!("{} (offset {})", significant(m.qd_score), file.spec.qd_offset),
        ),
        ("objectives", several.clone()),
        ("front", front.clone()),
        ("fitness", a.fitness.clone()),
        ("best fitness", significant(m.max_fitness)),
        ("mean fitness", significant(m.mean_fitness)),
        ("validation", validated.join(", ")),
        (
            "made by",
            format!(
                "illume {}, {} ranks x {} threads, {}",
                a.software_version, a.ranks, a.threads, a.created
            ),
        ),
    ];
    let of_cells = ["coverage", "QD score"];
    let rows = rows
        .into_iter()
        .filter(|(name, _)| file.spec.has_cells() || !of_cells.contains(name))
        .filter(|(name, _)| !validated.is_empty() || *name != "validation")
        .filter(|(name, _)| !several.is_empty() || *name != "objectives")
        .filter(|(name, _)| !front.is_empty() || *name != "front")
        .filter(|(name, _)| !a.fitness.is_empty() || *name != "fitness")
        .filter(|(name, _)| !genes.is_empty() || *name != "genes");
    named(rows)
}
