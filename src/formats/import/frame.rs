//! Named columns of a file, and what they are of an elite.

use std::path::Path;

pub use illume_core::npy::{Field, Values};
use illume_core::{Batch, Result};

use super::{Foreign, Rounded, refuse};

/// What columns are called by pyribs and by us.
const SOLUTION: [&str; 2] = ["solution", "genome"];
const OBJECTIVE: [&str; 2] = ["objective", "fitness"];
const MEASURES: [&str; 2] = ["measures", "descriptor"];
const INDEX: [&str; 2] = ["index", "cell"];

/// Columns of our elites that a file may have, with their widths.
const OWN: [(&str, usize); 3] = [("generation", 1), ("parents", 2), ("seed", 1)];

/// Numbers as genes, where they are numbers; what is no f32 is rounded.
pub fn genes(values: Values, rounded: &mut Rounded) -> Option<Vec<f32>> {
    if let Values::Short(v) = values {
        return Some(v);
    }
    let mut round = |x: f64| {
        let kept = x as f32;
        if f64::from(kept) != x && !x.is_nan() {
            rounded.add(x, kept);
        }
        kept
    };
    Some(values.real()?.into_iter().map(&mut round).collect())
}

/// The elites of a file's columns.
///
/// # Errors
/// There is no objective or there are no measures, columns have different lengths, or hold no numbers.
pub fn foreign(path: &Path, form: &'static str, mut fields: Vec<Field>) -> Result<Foreign> {
    let names: Vec<String> = fields.iter().map(|f| f.name.clone()).collect();
    let mut take = |names: [&str; 2]| {
        let at = names
            .iter()
            .find_map(|name| fields.iter().position(|f| f.name == *name))?;
        Some(fields.remove(at))
    };
    let words = |field: Option<Field>| match field.map(|f| f.values) {
        Some(Values::Text(words)) => words,
        _ => Vec::new(),
    };
    let mut foreign = Foreign {
        form,
        axes: words(take(["axes"; 2])),
        operators: words(take(["operators"; 2])),
        ..Foreign::default()
    };
    let missing = |what: &str| {
        let has = names.join(", ");
        refuse(
            path,
            &format!("has no {what}; a data frame of pyribs has objective and measures_0, ..., this one {has}"),
        )
    };
    let objective = take(OBJECTIVE).ok_or_else(|| missing("objective"))?;
    let measures = take(MEASURES).ok_or_else(|| missing("measures"))?;
    let (solution, index) = (take(SOLUTION), take(INDEX));
    let n = objective.values.len();
    let fits = |field: &Field, width: Option<usize>| match width.is_none_or(|width| width == field.width) {
        true if field.has_rows(n) => Ok(()),
        true => Err(refuse(
            path,
            &format!(
                "{} has {} rows, objective {n}",
                field.name,
                field.values.len() / field.width.max(1)
            ),
        )),
        false => Err(refuse(
            path,
            &format!("{} has {} numbers in a row, expected one", field.name, field.width),
        )),
    };
    let no_numbers = |name: &str| refuse(path, &format!("{name} holds something else than numbers"));
    fits(&objective, Some(1))?;
    fits(&measures, None)?;
    if measures.width == 0 {
        return Err(missing("measures"));
    }
    foreign.k = measures.width;
    foreign.fitness = objective.values.real().ok_or_else(|| no_numbers(&objective.name))?;
    foreign.descriptor = measures.values.real().ok_or_else(|| no_numbers(&measures.name))?;
    if let Some(field) = solution {
        fits(&field, None)?;
        foreign.dim = field.width;
        let genes = genes(field.values, &mut foreign.rounded);
        foreign.genes = genes.ok_or_else(|| no_numbers(&field.name))?;
    }
    if let Some(field) = index {
        fits(&field, Some(1))?;
        let no_cells = || {
            refuse(
                path,
                &format!("{} holds something else than numbers of cells", field.name),
            )
        };
        let cells = field.values.whole().ok_or_else(no_cells)?;
        if let Some(row) = cells.iter().position(|&cell| cell < 0) {
            let message = format!(
                "{} of elite {row} is {}, and cells are numbered from 0",
                field.name, cells[row]
            );
            return Err(refuse(path, &message));
        }
        foreign.index = Some(cells);
    }
    foreign
        .axes
        .truncate(if foreign.axes.len() == foreign.k { foreign.k } else { 0 });
    foreign.further = Batch::new();
    foreign.further.resize(n);
    for field in fields {
        further(&mut foreign, field);
    }
    Ok(foreign)
}

/// Keeps a further column, or says why not.
fn further(foreign: &mut Foreign, field: Field) {
    let has_rows = field.has_rows(foreign.rows());
    let Field { name, width, values } = field;
    let left_out = |why: &str| format!("column {name} is left out: {why}");
    let own = OWN.iter().find(|(own, _)| *own == name);
    let kept = match (&values, own) {
        _ if !has_rows || width == 0 => Err("it has no row for each elite".to_string()),
        _ if foreign.further.find(&name).is_some() => Err("another column has that name".into()),
        // That of an archive without soft thresholds says nothing, and an export writes it again.
        (Values::Real(thresholds), None) if name == "threshold" && *thresholds == foreign.fitness => return,
        (Values::Short(thresholds), None)
            if name == "threshold"
                && thresholds
                    .iter()
                    .map(|&x| f64::from(x))
                    .eq(foreign.fitness.iter().copied()) =>
        {
            return;
        }
        (values, _) if name == "operator" => match (width, operators(values, &mut foreign.operators)) {
            (1, Some(numbers)) => {
                foreign
                    .further
                    .push(&name, 1, "", "variation operator that made it", numbers);
                Ok(())
            }
            _ => Err("operators are names, or whole numbers from 0".into()),
        },
        (Values::Large(seeds), Some(("seed", 1))) if width == 1 => {
            foreign.further.push(&name, 1, "", "evaluation seed", seeds.clone());
            Ok(())
        }
        (values, Some(&(own, of))) => match values.whole().filter(|_| width == of) {
            Some(numbers) if own == "seed" && numbers.iter().all(|&x| x >= 0) => {
                let seeds = numbers.into_iter().map(|x| x as u64).collect();
                foreign.further.push(&name, 1, "", "evaluation seed", seeds);
                Ok(())
            }
            Some(numbers) if own != "seed" => {
                foreign.further.push(&name, width, "", own, numbers);
                Ok(())
            }
            _ => Err(format!(
                "expected {of} whole numbers a row, as our column of that name has"
            )),
        },
        (Values::Text(_), None) => Err("it holds no numbers".into()),
        (_, None) if name.contains('/') || name.is_empty() || name == "." => Err("it has no usable name".into()),
        (_, None) if TAKEN.contains(&name.as_str()) => Err("an archive file has something else of that name".into()),
        (_, None) => {
            push(&mut foreign.further, &name, width, values.clone());
            Ok(())
        }
    };
    foreign.notes.extend(kept.err().map(|why| left_out(&why)));
}

/// What stands in an archive file's group of elites beside columns, and what exports call something else by.
const TAKEN: [&str; 15] = [
    "cell",
    "fitness",
    "descriptor",
    "index",
    "objective",
    "measures",
    "solution",
    "elite",
    "gene",
    "axis",
    "parent",
    "genome",
    "lineage_offsets",
    "lineage_streams",
    "lineage_scales",
];

fn push(to: &mut Batch, name: &str, width: usize, values: Values) {
    let meaning = "as it was imported";
    match values {
        Values::Whole(v) => match v
            .iter()
            .map(|&x| i32::try_from(x))
            .collect::<std::result::Result<Vec<i32>, _>>()
        {
            Ok(short) => to.push(name, width, "", meaning, short),
            Err(_) => to.push(name, width, "", meaning, v),
        },
        Values::Large(v) => to.push(name, width, "", meaning, v),
        Values::Real(v) => to.push(name, width, "", meaning, v),
        Values::Short(v) => to.push(name, width, "", meaning, v),
        Values::Text(_) => {}
    }
}

/// Numbers of operators, whose names are added in the order in which they come.
fn operators(values: &Values, names: &mut Vec<String>) -> Option<Vec<i32>> {
    if let Values::Text(words) = values {
        let mut number = |word: &String| {
            let known = names.iter().position(|name| name == word).unwrap_or(names.len());
            if known == names.len() {
                names.push(word.clone());
            }
            known as i32
        };
        return Some(words.iter().map(&mut number).collect());
    }
    let numbers = values.whole()?;
    numbers
        .into_iter()
        .map(|n| i32::try_from(n).ok().filter(|n| *n >= 0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_a_name_that_is_in_use_is_left_out_and_said_so() {
        let field = |name: &str, width: usize| Field {
            name: name.into(),
            width,
            values: Values::Real((0..2 * width).map(|i| i as f64 / 8.0).collect()),
        };
        let fields = ["objective", "mass", "mass", "fitness", "descriptor"].map(|name| field(name, 1));
        let fields = fields
            .into_iter()
            .chain([field("measures", 2), field("solution", 3)])
            .collect();
        let foreign = foreign(Path::new("f.csv"), "a frame", fields).unwrap();
        assert_eq!((foreign.rows(), foreign.k, foreign.dim), (2, 2, 3));
        let names: Vec<&str> = foreign.further.columns().iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["mass"]);
        let left_out = |name: &str| {
            foreign
                .notes
                .iter()
                .any(|note| note.starts_with(&format!("column {name} is left out")))
        };
        assert!(
            left_out("mass") && left_out("fitness") && left_out("descriptor"),
            "{:?}",
            foreign.notes
        );
    }
}
