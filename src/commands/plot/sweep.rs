//! A sweep: curves of its configurations, what runs end with by parameter, and the table of `illume sweep status`.

use std::path::{Path, PathBuf};

use illume_core::{Error, Result};
use serde_json::{Value, json};

use super::{PlotArgs, lines, names, refuse_twice, targets, write};
use crate::analysis::compare::{Mark, Overview, Parameter, Places};
use crate::analysis::statistics::Summary;
use crate::commands::sweep::Standing;
use crate::engine::output::json_text;
use crate::render::plot;
use crate::sweep::Sweep;

/// Name of the plot in the sweep's folder if none is given.
const NAME: &str = "sweep.png";

pub(super) fn sweep(dir: &Path, args: &PlotArgs) -> Result<String> {
    let others = [
        (args.axes.is_some(), "--axes", "the heat map of one archive"),
        (args.kind.is_some(), "--kind", "archives and their runs"),
        (args.color.is_some(), "--color", "the plot of an archive"),
        (args.range.is_some(), "--range", "the plot of archives"),
        (args.paths_shown.is_some(), "--paths", "the map of an archive"),
        (args.share, "--share", "the plot of archives"),
        (args.at.is_some(), "--at", "the curves of several runs"),
        (
            args.at_core_seconds.is_some(),
            "--at-core-seconds",
            "the curves of several runs",
        ),
    ];
    if let Some((_, option, what)) = others.iter().find(|(given, ..)| *given) {
        return Err(Error::input(format!(
            "{option} is for {what}, and {} is the folder of a sweep, whose runs are compared where they end: leave it out",
            dir.display()
        )));
    }
    refuse_twice(&args.measures)?;
    let targets = targets(args, &dir.join(NAME))?;
    let sweep = Sweep::open(dir)?;
    let results = sweep.results()?;
    let overview = Overview::new(&sweep, &results, &args.measures, args.against.as_ref())?;
    let standing = Standing::new(&sweep, &results)?;
    write(
        &targets,
        &plot::overview(&overview, args.band(), args.paper().units()),
        args,
    )?;
    Ok(if args.json {
        json_text(&fields(&overview, &targets, standing.json(&sweep, &results)))
    } else {
        let notes = overview.curves.notes.iter().map(|note| format!("note: {note}\n"));
        lines(&targets) + "\n" + &standing.text(&sweep, &results) + &notes.collect::<String>()
    })
}

/// The documented fields of `--json`: those of `illume sweep status --json`, and what the plot shows.
fn fields(o: &Overview, targets: &[PathBuf], mut fields: Value) -> Value {
    fields["files"] = json!(names(targets));
    fields["notes"] = json!(o.curves.notes);
    let curves: Vec<&String> = o.curves.groups.iter().map(|group| &group.label).collect();
    fields["curves"] = json!(curves);
    fields["parameters"] = o.parameters.iter().map(|p| parameter(o, p)).collect();
    fields
}

fn parameter(o: &Overview, p: &Parameter) -> Value {
    let places: Vec<Value> = match &p.places {
        Places::Numbers { values, .. } => values.iter().map(|x| json!(x)).collect(),
        Places::Names(names) => names.iter().map(|name| json!(name)).collect(),
    };
    let mut values = Vec::new();
    for (place, value) in places.iter().enumerate().filter(|_| p.listed) {
        for (variant, name) in o.variants.iter().enumerate() {
            let here = |mark: &&Mark| mark.place == place && mark.variant == variant && (mark.whole || !o.halving);
            let runs: Vec<f64> = p.marks.iter().filter(here).map(|mark| mark.value).collect();
            if !runs.is_empty() {
                let mut fields = json!(Summary::of(&[&runs]));
                fields["value"] = value.clone();
                fields["variant"] = json!(name);
                values.push(fields);
            }
        }
    }
    json!({"key": p.key, "values": values})
}
