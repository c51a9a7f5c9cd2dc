//! Plots of fronts: two objectives as a plane, more as parallel axes.

use illume_archives::file::ArchiveFile;
use illume_archives::metrics::FrontMetrics;
use illume_core::{ArchiveSpec, Axis, Cells, Error, Objective, Result};
use serde_json::json;

use super::PlotArgs;
use super::archive::{Drawn, caption, labels};
use crate::analysis::compare::spoken;
use crate::analysis::view::View;
use crate::engine::output::{significant, thousands};
use crate::render::plot::{self, Colours, Front};

/// What the elites are worth in several objectives.
///
/// # Errors
/// Elites of one objective.
fn metrics(file: &ArchiveFile) -> Result<Option<FrontMetrics>> {
    let objectives = &file.attributes.objectives;
    if objectives.len() < 2 {
        return Err(Error::input(format!(
            "{}: a front is of several objectives, and the elites of task \"{}\" have one",
            file.path().display(),
            file.attributes.task
        )));
    }
    Ok(FrontMetrics::of(&file.elites, 0..file.rows(), objectives))
}

/// The objectives that are asked for, else all.
fn chosen(objectives: &[Objective], args: &PlotArgs) -> Result<Vec<usize>> {
    let all: Vec<usize> = (0..objectives.len()).collect();
    let Some(asked) = &args.axes else { return Ok(all) };
    let different = (1..asked.len()).all(|i| !asked[..i].contains(&asked[i]));
    if asked.len() < 2 || !different || asked.iter().any(|o| !all.contains(o)) {
        let shown: Vec<String> = asked.iter().map(usize::to_string).collect();
        return Err(Error::input(format!(
            "--axes {}: expected two or more different objectives from 0 to {}",
            shown.join(","),
            objectives.len() - 1
        )));
    }
    Ok(asked.clone())
}

fn named(objective: &Objective) -> String {
    match objective.unit.as_str() {
        "" => spoken(&objective.name),
        unit => format!("{} ({unit})", spoken(&objective.name)),
    }
}

/// Draws the fronts of archives of the same objectives.
///
/// # Errors
/// Elites of one objective, or of others than the first archive's; several archives of more than two objectives.
pub(super) fn draw(files: &[ArchiveFile], args: &PlotArgs) -> Result<Drawn> {
    let (labels, [title, _]) = (labels(files), caption(&files[0]));
    // All members, where cells hold fronts.
    let members = files.iter().map(ArchiveFile::members).collect::<Result<Vec<_>>>()?;
    let files = members
        .iter()
        .zip(files)
        .map(|(members, file)| members.as_ref().unwrap_or(file));
    let files: Vec<&ArchiveFile> = files.collect();
    let file = files[0];
    let objectives = &file.attributes.objectives;
    let fronts = files.iter().copied().map(metrics).collect::<Result<Vec<_>>>()?;
    let names = |file: &ArchiveFile| {
        file.attributes
            .objectives
            .iter()
            .map(|o| o.name.clone())
            .collect::<Vec<_>>()
    };
    if let Some(other) = files.iter().find(|other| names(other) != names(file)) {
        return Err(Error::input(format!(
            "{} has other objectives than {}: fronts on one plane share theirs",
            other.path().display(),
            file.path().display()
        )));
    }
    let shown = chosen(objectives, args)?;
    let about = json!({
        "axes": shown.iter().map(|o| &objectives[*o].name).collect::<Vec<_>>(),
        "front": fronts.iter().map(|front| front.as_ref().map_or(0, |front| front.rows.len())).collect::<Vec<_>>(),
    });
    let subtitle = match (files.len(), &fronts[0]) {
        (1, Some(front)) => {
            let volume = front.hypervolume(objectives);
            let volume = if volume.is_finite() {
                format!(" · hypervolume {}", significant(volume))
            } else {
                String::new()
            };
            let evaluations = thousands(file.attributes.evaluations);
            let seed = file.attributes.seed;
            format!(
                "front of {}{volume} · {evaluations} evaluations · seed {seed}",
                thousands(front.rows.len() as u64)
            )
        }
        (1, None) => "no elite".into(),
        (n, _) => format!("fronts of {n} archives"),
    };
    match shown.as_slice() {
        &[a, b] => {
            let drawn = files
                .iter()
                .zip(&fronts)
                .zip(labels)
                .map(|((file, front), name)| points(file, front.as_ref(), name, [a, b]));
            let names = [a, b].map(|o| named(&objectives[o]));
            let head = [title.as_str(), &subtitle];
            Ok((
                plot::fronts(
                    &drawn.collect::<Vec<_>>(),
                    head,
                    [&names[0], &names[1]],
                    args.paper().units(),
                ),
                about,
            ))
        }
        _ if files.len() > 1 => Err(Error::input(format!(
            "fronts of {} objectives are drawn one at a time, and {} paths were given: --axes 0,1 draws two of the objectives",
            shown.len(),
            files.len()
        ))),
        _ => Ok((
            lines(file, fronts[0].as_ref(), &shown, [&title, &subtitle], args)?,
            about,
        )),
    }
}

/// An archive's front on the plane of two objectives.
fn points(file: &ArchiveFile, front: Option<&FrontMetrics>, name: String, pair: [usize; 2]) -> Front {
    let values = file.elites.get::<f64>("objectives").unwrap_or_default();
    let point = |row: usize| pair.map(|o| values[row * file.attributes.objectives.len() + o]);
    let rows = front.map_or(&[][..], |front| &front.rows);
    Front {
        name,
        points: rows.iter().map(|row| point(*row)).collect(),
        others: (0..file.rows())
            .filter(|row| rows.binary_search(row).is_err())
            .map(point)
            .collect(),
    }
}

/// A line for each of the front across all objectives, each from its worst to its best there.
fn lines(
    file: &ArchiveFile,
    front: Option<&FrontMetrics>,
    shown: &[usize],
    head: [&str; 2],
    args: &PlotArgs,
) -> Result<plot::Drawing> {
    let objectives = &file.attributes.objectives;
    let m = objectives.len();
    let values = file.elites.get::<f64>("objectives").unwrap_or_default();
    let rows = front.map_or(&[][..], |front| &front.rows);
    let axis = |o: usize| {
        let ends = front.map_or([0.0, 1.0], |front| [front.nadir[o], front.ideal[o]]);
        // Rounded outwards, so that what is written at an end is short.
        let unit = 1e-3 * (ends[1] - ends[0]).max(f64::MIN_POSITIVE);
        let ends = [(ends[0] / unit).floor() * unit, (ends[1] / unit).ceil() * unit];
        let upper = if ends[1] > ends[0] { ends[1] } else { ends[0] + 1.0 };
        Axis::new(&objectives[o].name, &objectives[o].unit, ends[0], upper)
    };
    let along = |o: usize| rows.iter().map(move |row| values[row * m + o]);
    let view = View {
        spec: ArchiveSpec {
            kind: "front".into(),
            axes: (0..m).map(axis).collect(),
            cells: Cells::None,
            capacity: rows.len(),
            qd_offset: 0.0,
            rules: Vec::new(),
        },
        cells: (0..rows.len()).collect(),
        descriptor: rows
            .iter()
            .flat_map(|row| &values[row * m..(row + 1) * m])
            .copied()
            .collect(),
        fitness: along(shown[0]).collect(),
        values: along(shown[0]).collect(),
        name: named(&objectives[shown[0]]),
        categories: Vec::new(),
    };
    let colours = Colours::of(&view.name, &[], view.values.iter().copied(), None);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| view.values[*a].total_cmp(&view.values[*b]));
    Ok(plot::parallel(
        head,
        &view,
        shown,
        &order,
        &colours,
        args.paper().units(),
    ))
}
