//! How the archive of an import is divided, and what its file says of its task.

use std::str::FromStr;

use illume_core::{ArchiveSpec, Axis, Cells, Error, Result};

use super::{IMPORTED, ImportArgs, Origin};
use crate::formats::import::Foreign;
use crate::{Config, registry};

/// Cells along each axis, as `100x100`.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape(pub Vec<usize>);

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Shape, String> {
        let number = |part: &str| part.trim().parse::<usize>().ok().filter(|n| *n > 0);
        let shape: Option<Vec<usize>> = text.split(['x', ',']).map(number).collect();
        let cells = |shape: &Vec<usize>| shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n));
        let shape = shape.filter(|shape| cells(shape).is_some_and(|n| n <= 1 << 31));
        shape
            .map(Shape)
            .ok_or_else(|| "expected numbers of cells, at most 2^31 in all, such as 100x100".into())
    }
}

/// Bounds of an axis, as `-1,1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds(f64, f64);

impl FromStr for Bounds {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Bounds, String> {
        let numbers = text
            .split_once(',')
            .and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
        let rising = numbers.filter(|(low, high): &(f64, f64)| low.is_finite() && high.is_finite() && low < high);
        let (low, high) = rising.ok_or("expected two rising numbers, such as -1,1")?;
        Ok(Bounds(low, high))
    }
}

/// The archive to be.
pub struct Division {
    pub spec: ArchiveSpec,
    /// Whether the file's own numbers of cells are those of this archive.
    pub numbered: bool,
    /// The configuration, TOML; empty without a task.
    pub config: String,
}

/// # Errors
/// Something is missing, and the sentence says all of it; or does not go together.
pub fn of(args: &ImportArgs, foreign: &Foreign, origin: &Origin) -> Result<Division> {
    let shown = args.path.display();
    let refuse = |what: String| Error::input(format!("{shown}: {what}"));
    let k = foreign.k;
    if let Some(axes) = origin.axes().filter(|axes| axes.len() != k) {
        return Err(refuse(format!(
            "elites have {k} measures, and the task has {} axes",
            axes.len()
        )));
    }
    if let Origin::Like(file) = origin {
        return Ok(Division {
            spec: file.spec.clone(),
            numbered: true,
            config: file.attributes.config.clone(),
        });
    }
    let configured = match origin {
        Origin::Task {
            config,
            task,
            named: false,
        } if args.grid.is_none() && foreign.centroids.is_none() => {
            Some(registry::archive(config, task.spec(), false)?.spec().clone())
        }
        _ => None,
    };
    let bounds = bounds(args, foreign, origin).map_err(refuse)?;
    let mut missing = Vec::new();
    if args.grid.is_none() && foreign.centroids.is_none() && configured.is_none() {
        missing.push(
            "its cells: --grid 100x100 (the dims of a GridArchive), --centroids FILE (numpy.save of a CVTArchive's centroids), --like ARCHIVE or \
             --task CONFIG.toml",
        );
    }
    if bounds.is_none() && configured.is_none() {
        missing.push("the bounds of its axes: --bounds LOW,HIGH, once for all or once for each");
    }
    if !missing.is_empty() {
        return Err(refuse(format!(
            "{} does not say {}",
            foreign.form,
            missing.join("; nor ")
        )));
    }
    let spec = match (configured, bounds) {
        (Some(spec), _) if args.bounds.is_empty() => spec,
        (configured, bounds) => {
            let cells = match (&args.grid, &foreign.centroids, configured) {
                (Some(Shape(shape)), ..) if shape.len() != k => {
                    let message = format!("--grid names {} axes, and elites have {k} measures", shape.len());
                    return Err(refuse(message));
                }
                (Some(Shape(shape)), ..) => Cells::Grid { shape: shape.clone() },
                (None, Some(centroids), _) => Cells::Cvt {
                    centroids: centroids.clone(),
                },
                (None, None, Some(_)) => {
                    return Err(refuse(
                        "--bounds goes with --grid or centroids, not with the archive of a configuration".into(),
                    ));
                }
                (None, None, None) => return Err(refuse("its cells are not known".into())),
            };
            let (kind, capacity) = match &cells {
                Cells::Grid { shape } => ("grid", shape.iter().product()),
                _ => ("cvt", foreign.centroids.as_ref().map_or(0, |c| c.len() / k)),
            };
            let offset = match origin {
                Origin::Task { task, .. } => task.spec().qd_offset,
                _ => 0.0,
            };
            ArchiveSpec {
                kind: kind.into(),
                axes: axes(args, foreign, origin, &bounds.unwrap_or_default()).map_err(refuse)?,
                cells,
                capacity,
                qd_offset: args.qd_offset.unwrap_or(offset),
                rules: Vec::new(),
            }
        }
    };
    let of_file = foreign.centroids.is_some();
    let numbered = match &spec.cells {
        Cells::Grid { .. } => !of_file,
        Cells::Cvt { .. } => of_file && args.grid.is_none(),
        Cells::None => true,
    };
    let config = match origin {
        Origin::Task { config, .. } => config_text(config, &spec)?,
        _ => String::new(),
    };
    Ok(Division { spec, numbered, config })
}

/// Lower and upper bound of each axis, where they are known.
fn bounds(args: &ImportArgs, foreign: &Foreign, origin: &Origin) -> std::result::Result<Option<Vec<[f64; 2]>>, String> {
    let k = foreign.k;
    let given: Vec<[f64; 2]> = args.bounds.iter().map(|b| [b.0, b.1]).collect();
    match given.len() {
        0 => {}
        1 => return Ok(Some(vec![given[0]; k])),
        n if n == k => return Ok(Some(given)),
        n => return Err(format!("--bounds is given {n} times, and elites have {k} measures")),
    }
    let of_task = origin
        .axes()
        .map(|axes| axes.iter().map(|a| [a.lower, a.upper]).collect());
    Ok(of_task.or_else(|| foreign.bounds.map(|b| vec![b; k])))
}

fn axes(
    args: &ImportArgs,
    foreign: &Foreign,
    origin: &Origin,
    bounds: &[[f64; 2]],
) -> std::result::Result<Vec<Axis>, String> {
    if !args.axes.is_empty() && args.axes.len() != foreign.k {
        let (named, k) = (args.axes.len(), foreign.k);
        return Err(format!("--axes has {named} names, and elites have {k} measures"));
    }
    let known = origin.axes();
    let axis = |(i, [lower, upper]): (usize, &[f64; 2])| {
        let (name, unit) = match known {
            Some(axes) => (axes[i].name.clone(), axes[i].unit.as_str()),
            None => (
                foreign.axes.get(i).cloned().unwrap_or_else(|| format!("measures_{i}")),
                "",
            ),
        };
        Axis::new(args.axes.get(i).unwrap_or(&name), unit, *lower, *upper)
    };
    Ok(bounds.iter().enumerate().map(axis).collect())
}

/// The configuration of a task whose archive is this one: what commands make the task by.
fn config_text(config: &Config, spec: &ArchiveSpec) -> Result<String> {
    let mut config = config.clone();
    config.strategy = toml::Table::from_iter([("name".to_string(), toml::Value::from(IMPORTED))]);
    let count = |n: usize| toml::Value::from(n as i64);
    let own = match &spec.cells {
        Cells::Grid { shape } => vec![("shape", shape.iter().map(|&n| count(n)).collect::<Vec<_>>().into())],
        // More samples than cells, without which no CVT is made.
        Cells::Cvt { .. } => vec![
            ("cells", count(spec.capacity)),
            ("samples", count(spec.capacity.max(50_000))),
        ],
        // It is as it was configured.
        Cells::None => config
            .archive
            .iter()
            .map(|(key, value)| (key.as_str(), value.clone()))
            .collect(),
    };
    let mut archive: toml::Table = own.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
    archive.insert("kind".into(), spec.kind.clone().into());
    config.archive = archive;
    config.resolved(&registry::task_parameters(&config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_and_bounds_are_read_or_refused() {
        assert_eq!("100x20".parse::<Shape>().unwrap().0, [100, 20]);
        assert_eq!("7".parse::<Shape>().unwrap().0, [7]);
        for text in ["", "0x3", "100x", "axb", "100000x100000"] {
            assert!(text.parse::<Shape>().unwrap_err().contains("100x100"), "{text}");
        }
        assert_eq!("-1,1.5e0".parse::<Bounds>().unwrap(), Bounds(-1.0, 1.5));
        for text in ["", "1", "1,1", "2,1", "0,inf", "0,1,2", "nan,1"] {
            assert!(text.parse::<Bounds>().unwrap_err().contains("-1,1"), "{text}");
        }
    }
}
