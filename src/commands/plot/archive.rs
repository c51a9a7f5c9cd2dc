//! Plots of archives: maps, projections, parallel axes, lineage, differences, genes, operators.

use illume_archives::file::ArchiveFile;
use illume_core::{Error, Result, mix64};
use serde_json::{Value, json};

use super::{Kind, PlotArgs, front, overlay};
use crate::analysis::activity::Activity;
use crate::analysis::ancestry::Ancestry;
use crate::analysis::principal::principal;
use crate::analysis::view::View;
use crate::engine::output::thousands;
use crate::formats::export::Genes;
use crate::render::plot::{self, Colours, Drawing, Line, Map, captions};

/// Axes of projections, and of parallel lines, if they are not chosen.
const PROJECTED: usize = 6;
const PARALLEL: usize = 24;
/// Lines across parallel axes, arrows from parents to children, archives side by side: at most.
const LINES: usize = 5000;
const ARROWS: usize = 300;
const PANELS: usize = 36;
/// Genomes of which components are sought, where genomes are longer than this; and genes of all of them together.
const GENOMES: usize = 1024;
const GENES: usize = 1 << 28;

/// A drawing, with what `--json` says of it.
pub(super) type Drawn = (Drawing, Value);

/// Draws one archive, or several.
///
/// # Errors
/// What the kind needs is not there: axes, cells, elites, a column.
pub(super) fn draw(kind: Kind, files: &[ArchiveFile], args: &PlotArgs) -> Result<Drawn> {
    let file = &files[0];
    match kind {
        Kind::Projections => projections(file, args),
        Kind::Parallel => parallel(file, args),
        Kind::Operators => operators(file, args),
        Kind::Lineage => lineage(file, args),
        Kind::Difference => difference(&files[0], &files[1], args),
        Kind::Genes => genes(file, args),
        Kind::Front => front::draw(files, args),
        Kind::Map | Kind::Ccdf | Kind::Curves => maps(files, args),
    }
}

/// How an archive is told from the others: by strategy and seed, where these suffice, else by its path.
pub(super) fn labels(files: &[ArchiveFile]) -> Vec<String> {
    let several = files
        .iter()
        .any(|f| f.attributes.strategy != files[0].attributes.strategy);
    let own = |file: &ArchiveFile| match several {
        true => format!("{}, seed {}", file.attributes.strategy, file.attributes.seed),
        false => format!("seed {}", file.attributes.seed),
    };
    let labels: Vec<String> = files.iter().map(own).collect();
    let twice = (1..labels.len()).any(|i| labels[..i].contains(&labels[i]));
    match twice {
        false => labels,
        true => files.iter().map(|file| file.path().display().to_string()).collect(),
    }
}

/// The column that is looked at.
fn view(file: &ArchiveFile, args: &PlotArgs, otherwise: &str) -> Result<View> {
    View::of(file, args.color.as_deref().unwrap_or(otherwise))
}

fn colours(view: &View, values: impl Iterator<Item = f64>, args: &PlotArgs) -> Result<Colours> {
    if let (Some([low, high]), false) = (args.range, view.categories.is_empty()) {
        return Err(Error::input(format!(
            "--range {low},{high} is for numbers, and {} has names",
            view.name
        )));
    }
    Ok(Colours::of(&view.name, &view.categories, values, args.range))
}

/// The axes that are asked for, else the first ones; `least` to `most` of them.
fn axes(file: &ArchiveFile, args: &PlotArgs, what: &str, least: usize, most: usize) -> Result<Vec<usize>> {
    let k = file.spec.axes.len();
    if k < least {
        return Err(Error::input(format!(
            "{}: {what} with {} axes, this archive's has {k}",
            file.path().display(),
            if least == 2 { "two".into() } else { least.to_string() }
        )));
    }
    let Some(asked) = &args.axes else {
        return Ok((0..k.min(most)).collect());
    };
    let shown: Vec<String> = asked.iter().map(usize::to_string).collect();
    let shown = shown.join(",");
    let different = (1..asked.len()).all(|i| !asked[..i].contains(&asked[i]));
    if !different || asked.iter().any(|axis| *axis >= k) {
        return Err(Error::input(format!(
            "--axes {shown}: expected different axes from 0 to {}",
            k - 1
        )));
    }
    if asked.len() < least || asked.len() > most {
        return Err(Error::input(match least == most {
            true => format!("--axes {shown}: expected {least} axes, such as 0,1"),
            false => format!("--axes {shown}: expected {least} to {most} axes"),
        }));
    }
    Ok(asked.clone())
}

/// What is left of axes that are not shown.
fn more_axes(file: &ArchiveFile, shown: &[usize]) -> String {
    match file.spec.axes.len() {
        k if k > shown.len() => {
            format!(
                " · {} of {} axes, --axes chooses others",
                shown.len(),
                thousands(k as u64)
            )
        }
        _ => String::new(),
    }
}

fn axis_names(file: &ArchiveFile, shown: &[usize]) -> Vec<String> {
    shown.iter().map(|axis| file.spec.axes[*axis].name.clone()).collect()
}

fn scale_of(colours: &Colours) -> Value {
    match colours {
        Colours::Sequential { low, high, .. } if low <= high => json!([low, high]),
        Colours::Diverging { reach, .. } => json!([-reach, reach]),
        _ => Value::Null,
    }
}

pub(super) fn caption(file: &ArchiveFile) -> [String; 2] {
    let (title, subtitle) = captions(&file.attributes, &file.metrics());
    [title, subtitle]
}

fn maps(files: &[ArchiveFile], args: &PlotArgs) -> Result<Drawn> {
    let file = &files[0];
    if files.len() > PANELS {
        return Err(Error::input(format!(
            "{} maps are too many for a plot; expected at most {PANELS}",
            files.len()
        )));
    }
    if let Some(other) = files.iter().find(|other| other.spec.axes != file.spec.axes) {
        return Err(Error::input(format!(
            "{} has other axes than {}: maps side by side share theirs",
            other.path().display(),
            file.path().display()
        )));
    }
    let views = files
        .iter()
        .map(|file| view(file, args, "fitness"))
        .collect::<Result<Vec<View>>>()?;
    let colours = colours(&views[0], views.iter().flat_map(|view| &view.values).copied(), args)?;
    let [title, subtitle] = match files {
        [file] => caption(file),
        _ => {
            let mut strategies: Vec<&str> = files.iter().map(|f| f.attributes.strategy.as_str()).collect();
            strategies.dedup();
            let one = strategies.len() == 1;
            let strategy = if one {
                format!(", {}", strategies[0])
            } else {
                String::new()
            };
            let title = format!("{}{strategy}", file.attributes.task);
            [
                title,
                format!("{} of {} archives, on one scale", views[0].name, files.len()),
            ]
        }
    };
    let named: Vec<(String, &View)> = labels(files).into_iter().zip(&views).collect();
    let mut about = json!({"color": views[0].name, "range": scale_of(&colours)});
    if file.spec.axes.len() == 1 && args.axes.as_ref().is_none_or(|axes| axes == &[0]) {
        overlay::refuse_paths(args, file, &[0])?;
        about["axes"] = json!(axis_names(file, &[0]));
        let drawing = plot::strips([&title, &subtitle], &named, &colours, args.range, args.paper().units());
        return Ok((drawing, about));
    }
    let axes = axes(file, args, "a heat map needs a descriptor", 2, 2)?;
    overlay::refuse_paths(args, file, &axes)?;
    about["axes"] = json!(axis_names(file, &axes));
    let pair = [axes[0], axes[1]];
    let mut panels = Vec::new();
    for ((name, view), file) in named.into_iter().zip(files) {
        panels.push((name, view, overlay::lines(file, view, pair, args)?));
    }
    let subtitle = subtitle
        + if file.spec.axes.len() > 2 {
            " · best of each tile"
        } else {
            ""
        };
    let map = Map::of([title, subtitle], pair, &colours, panels);
    let map = map.ok_or_else(|| Error::failed("no archive was given"))?;
    Ok((map.drawing(args.paper().units()), about))
}

fn projections(file: &ArchiveFile, args: &PlotArgs) -> Result<Drawn> {
    let axes = axes(file, args, "projections need a descriptor", 2, PROJECTED)?;
    let view = view(file, args, "fitness")?;
    let colours = colours(&view, view.values.iter().copied(), args)?;
    let [title, subtitle] = caption(file);
    let subtitle = format!("{subtitle} · best of each tile{}", more_axes(file, &axes));
    let drawing = plot::projections([&title, &subtitle], &view, &axes, &colours, args.paper().units());
    Ok((
        drawing,
        json!({"color": view.name, "range": scale_of(&colours), "axes": axis_names(file, &axes)}),
    ))
}

/// Numbers of so many of `n`, drawn without being put back, always the same; in rising order.
fn sample(n: usize, most: usize) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..n).collect();
    if n > most {
        rows.sort_by_key(|row| mix64(*row as u64));
        rows.truncate(most);
        rows.sort_unstable();
    }
    rows
}

fn of_all(shown: usize, n: usize, what: &str) -> String {
    if shown < n {
        format!(
            " · a sample of {} of {} {what}",
            thousands(shown as u64),
            thousands(n as u64)
        )
    } else {
        String::new()
    }
}

fn parallel(file: &ArchiveFile, args: &PlotArgs) -> Result<Drawn> {
    let most = if args.axes.is_some() {
        file.spec.axes.len().max(2)
    } else {
        PARALLEL
    };
    let axes = axes(file, args, "parallel axes need a descriptor", 2, most)?;
    let view = view(file, args, "fitness")?;
    let colours = colours(&view, view.values.iter().copied(), args)?;
    let mut rows = sample(view.len(), LINES);
    let sampled = of_all(rows.len(), view.len(), "elites");
    // The best on top; of equal ones the later.
    rows.sort_by(|a, b| view.fitness[*a].total_cmp(&view.fitness[*b]));
    let [title, subtitle] = caption(file);
    let subtitle = format!("{subtitle}{sampled}{}", more_axes(file, &axes));
    let about =
        json!({"color": view.name, "range": scale_of(&colours), "axes": axis_names(file, &axes), "elites": rows.len()});
    let drawing = plot::parallel([&title, &subtitle], &view, &axes, &rows, &colours, args.paper().units());
    Ok((drawing, about))
}

fn operators(file: &ArchiveFile, args: &PlotArgs) -> Result<Drawn> {
    let activity = Activity::of(file)?;
    let title = caption(file)[0].clone();
    let drawing = plot::stack(&activity, [&title, &activity.meaning], args.share, args.paper().units());
    Ok((
        drawing,
        json!({"counted": activity.meaning, "operators": activity.names}),
    ))
}

fn lineage(file: &ArchiveFile, args: &PlotArgs) -> Result<Drawn> {
    let axes = axes(file, args, "lineage is drawn on a map, which needs a descriptor", 2, 2)?;
    let pair = [axes[0], axes[1]];
    let view = view(file, args, "generation")?;
    let colours = colours(&view, view.values.iter().copied(), args)?;
    let n = view.len();
    if n != file.rows() {
        return Err(Error::input(
            "corrected_fitness moves elites, and lineage is of where they lie: expected_fitness does not",
        ));
    }
    let ancestry = Ancestry::of(file)?;
    let mut children: Vec<usize> = (0..n).filter(|row| ancestry.parents[*row].is_some()).collect();
    let links = children.len();
    children.sort_by(|a, b| view.fitness[*b].total_cmp(&view.fitness[*a]).then(a.cmp(b)));
    children.truncate(ARROWS);
    let k = file.spec.axes.len();
    let place = |row: usize| pair.map(|axis| view.descriptor[row * k + axis]);
    let mut lines: Vec<Line> = children
        .iter()
        .filter_map(|child| {
            Some(Line {
                points: vec![place(ancestry.parents[*child]?), place(*child)],
                style: "stroke=\"#fff\" stroke-width=\"0.9\" stroke-opacity=\"0.55\"",
                arrow: true,
            })
        })
        .collect();
    let best = (0..n).max_by(|a, b| view.fitness[*a].total_cmp(&view.fitness[*b]).then(b.cmp(a)));
    let line: Vec<usize> = best.map(|row| ancestry.line(row)).unwrap_or_default();
    for (style, width) in [
        ("stroke=\"#fff\" stroke-width=\"4.5\"", false),
        ("stroke=\"#d55e00\" stroke-width=\"2.2\"", true),
    ] {
        lines.extend(line.windows(2).rev().map(|pair| Line {
            points: vec![place(pair[1]), place(pair[0])],
            style,
            arrow: width,
        }));
    }
    let title = caption(file)[0].clone();
    let drawn = match links > ARROWS {
        true => format!("; drawn are those of the {ARROWS} fittest children"),
        false => String::new(),
    };
    let of_best = match line.len() {
        0 => String::new(),
        1 => " · the best elite has none in the archive".into(),
        generations => format!(" · orange: the best elite's line, {} links", generations - 1),
    };
    let soft = match file
        .attributes
        .config
        .parse::<toml::Table>()
        .ok()
        .and_then(|t| t.get("archive")?.get("learning_rate")?.as_float())
    {
        Some(rate) if rate < 1.0 => {
            " · parents were drawn from the archive with thresholds, so arrows show cells, not always the parents themselves"
        }
        _ => "",
    };
    let subtitle = format!(
        "arrows from parent to child: of {} elites {} had a parent, and {} of these parents are still in the archive{drawn}{of_best}{soft}",
        thousands(n as u64),
        thousands(ancestry.born as u64),
        thousands(links as u64),
    );
    let map = Map::of([title, subtitle], pair, &colours, vec![(String::new(), &view, lines)]);
    let map = map.ok_or_else(|| Error::failed("no archive was given"))?;
    let about = json!({
        "color": view.name, "range": scale_of(&colours), "axes": axis_names(file, &axes),
        "elites": n, "with_parent": links, "born": ancestry.born, "best_line": line.iter().map(|row| view.cells[*row]).collect::<Vec<_>>(),
    });
    Ok((map.drawing(args.paper().units()), about))
}

fn difference(first: &ArchiveFile, second: &ArchiveFile, args: &PlotArgs) -> Result<Drawn> {
    let shown = [first, second].map(|file| file.path().display().to_string());
    if let Some(file) = [first, second].into_iter().find(|file| !file.spec.has_cells()) {
        return Err(Error::input(format!(
            "{} has no cells, and archives are compared cell by cell",
            file.path().display()
        )));
    }
    if first.spec.axes != second.spec.axes || first.spec.cells != second.spec.cells {
        return Err(Error::input(format!(
            "{} and {} have other cells, and archives are compared cell by cell",
            shown[0], shown[1]
        )));
    }
    let [a, b] = [view(first, args, "fitness")?, view(second, args, "fitness")?];
    if !a.categories.is_empty() {
        return Err(Error::input(format!(
            "{} has names, and there is no difference between names",
            a.name
        )));
    }
    let files = [first, second];
    let several = first.attributes.strategy != second.attributes.strategy;
    let own = |file: &ArchiveFile| match several {
        true => format!("{}, seed {}", file.attributes.strategy, file.attributes.seed),
        false => format!("seed {}", file.attributes.seed),
    };
    let mut names = files.map(own);
    if names[0] == names[1] {
        names = shown;
    }
    let of_cell: std::collections::HashMap<usize, f64> =
        a.cells.iter().copied().zip(a.values.iter().copied()).collect();
    let both: Vec<(usize, f64)> = b
        .cells
        .iter()
        .zip(&b.values)
        .enumerate()
        .filter_map(|(row, (cell, value))| Some((row, value - of_cell.get(cell)?)))
        .collect();
    let count = |is: fn(f64) -> bool| both.iter().filter(|(_, d)| is(*d)).count();
    let [higher, lower, equal] = [count(|d| d > 0.0), count(|d| d < 0.0), count(|d| d == 0.0)];
    let [only_first, only_second] = [a.len() - both.len(), b.len() - both.len()];
    let title = format!("{}: {} minus {}", first.attributes.task, names[1], names[0]);
    let n = |x: usize| thousands(x as u64);
    let mut subtitle = format!(
        "{} cells in both: higher in {}, lower in {}, equal in {} · only {}: {} · only {}: {}",
        n(both.len()),
        n(higher),
        n(lower),
        n(equal),
        names[0],
        n(only_first),
        names[1],
        n(only_second)
    );
    let mut about = json!({
        "color": a.name, "both": both.len(), "higher": higher, "lower": lower, "equal": equal,
        "only_first": only_first, "only_second": only_second,
    });
    let width = args.paper().units();
    if first.spec.axes.len() == 1 {
        let rows: Vec<usize> = both.iter().map(|(row, _)| *row).collect();
        let shown = View {
            cells: rows.iter().map(|row| b.cells[*row]).collect(),
            descriptor: rows.iter().map(|row| b.descriptor[*row]).collect(),
            fitness: rows.iter().map(|row| b.fitness[*row]).collect(),
            values: both.iter().map(|(_, difference)| *difference).collect(),
            name: format!("difference in {}", a.name),
            ..b
        };
        let colours = Colours::of(&shown.name, &[], shown.values.iter().copied(), args.range);
        about["axes"] = json!(axis_names(first, &[0]));
        about["range"] = scale_of(&colours);
        let drawing = plot::strips(
            [&title, &subtitle],
            &[(String::new(), &shown)],
            &colours,
            args.range,
            width,
        );
        return Ok((drawing, about));
    }
    let axes = axes(first, args, "a difference needs a descriptor", 2, 2)?;
    if first.spec.axes.len() > 2 {
        subtitle += " · tiles compare the best of each";
    }
    let reach = args.range.map(|[low, high]| low.abs().max(high.abs()));
    let map = plot::difference(
        [title, subtitle],
        [&a, &b],
        [&names[0], &names[1]],
        [axes[0], axes[1]],
        reach,
    );
    about["axes"] = json!(axis_names(first, &axes));
    about["range"] = map.bar.as_ref().map_or(Value::Null, scale_of);
    Ok((map.drawing(width), about))
}

fn genes(file: &ArchiveFile, args: &PlotArgs) -> Result<Drawn> {
    let (n, dim) = (file.rows(), file.genome_dim);
    let shown = file.path().display();
    if n == 0 {
        return Err(Error::input(format!(
            "{shown}: the archive is empty: there are no genomes to draw"
        )));
    }
    let view = view(file, args, "fitness")?;
    if view.len() != n {
        return Err(Error::input(
            "corrected_fitness is of some elites anew, and genes are of all: expected_fitness is of all",
        ));
    }
    let fitting = GENES / dim.max(1);
    if dim == 0 || fitting < 2 {
        return Err(Error::input(format!(
            "{shown}: genomes of {dim} genes have no components that can be found here"
        )));
    }
    let rows = sample(
        n,
        if n.min(dim) > GENOMES {
            GENOMES.min(fitting)
        } else {
            fitting
        },
    );
    let genomes = Genes::of_elites(file, (0..n).collect())?;
    let mut data = Vec::with_capacity(rows.len() * dim);
    for neighbours in rows.chunk_by(|a, b| a + 1 == *b) {
        data.extend(genomes.read(neighbours[0]..neighbours[neighbours.len() - 1] + 1)?);
    }
    let values: Vec<f64> = rows.iter().map(|row| view.values[*row]).collect();
    let colours = colours(&view, values.iter().copied(), args)?;
    let found = principal(data, dim)?;
    let title = caption(file)[0].clone();
    let subtitle = format!(
        "principal components of {} genomes of {} genes{}",
        thousands(rows.len() as u64),
        thousands(dim as u64),
        of_all(rows.len(), n, "elites")
    );
    let map = plot::genes([title, subtitle], &found, &values, &colours);
    let about = json!({
        "color": view.name, "range": scale_of(&colours), "elites": rows.len(), "explained": found.explained,
    });
    Ok((map.drawing(args.paper().units()), about))
}
