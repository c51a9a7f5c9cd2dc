//! A repertoire of QDax: the folder that `MapElitesRepertoire.save` wrote to version 0.4, or users by `jnp.save`. Rows are cells; an empty one has the fitness -inf.

use std::path::Path;

use illume_core::{Result, npy};

use super::frame::{self, Field, Values};
use super::{Foreign, refuse};
use crate::formats::export::QDAX_FILES;

/// Reads it.
///
/// # Errors
/// A file is missing or cannot be read, or they have different numbers of rows.
pub fn read(folder: &Path) -> Result<Foreign> {
    if let Some(name) = QDAX_FILES.iter().find(|name| !folder.join(name).is_file()) {
        let message = format!(
            "holds no {name}; expected a folder that QDax saved, with {}, or a file (.csv, .npz, .dat)",
            QDAX_FILES.join(", ")
        );
        return Err(refuse(folder, &message));
    }
    let read = |name: &str| npy::file(&folder.join(name));
    let [genotypes, fitnesses, descriptors, centroids] = QDAX_FILES;
    let (genotypes, fitnesses) = (read(genotypes)?, read(fitnesses)?);
    let (descriptors, centroids) = (read(descriptors)?, read(centroids)?);
    if fitnesses.width != 1 {
        let message = format!("holds {} fitnesses for each cell, and one is expected", fitnesses.width);
        return Err(refuse(folder, &message));
    }
    let fitness: Vec<f64> = match &fitnesses.values {
        Values::Short(v) => v.iter().copied().map(f64::from).collect(),
        Values::Real(v) => v.clone(),
        _ => return Err(refuse(folder, "fitnesses.npy: expected floating-point numbers")),
    };
    let cells = fitness.len();
    for field in [&genotypes, &descriptors, &centroids] {
        if !field.has_rows(cells) {
            let rows = field.values.len() / field.width.max(1);
            let message = format!("{}.npy has {rows} rows, fitnesses.npy {cells}", field.name);
            return Err(refuse(folder, &message));
        }
    }
    if descriptors.width != centroids.width {
        let message = format!(
            "descriptors have {} numbers, centroids {}",
            descriptors.width, centroids.width
        );
        return Err(refuse(folder, &message));
    }
    let filled: Vec<usize> = (0..cells).filter(|&cell| fitness[cell] != f64::NEG_INFINITY).collect();
    let of_filled = |name: &str, field: &Field| Field {
        name: name.into(),
        width: field.width,
        values: select(&field.values, field.width, &filled),
    };
    let fields = vec![
        of_filled("solution", &genotypes),
        of_filled("objective", &fitnesses),
        of_filled("measures", &descriptors),
        Field {
            name: "index".into(),
            width: 1,
            values: Values::Whole(filled.iter().map(|&cell| cell as i64).collect()),
        },
    ];
    let mut foreign = frame::foreign(folder, "a repertoire of QDax", fields)?;
    foreign.centroids = match centroids.values {
        Values::Short(v) => Some(v.into_iter().map(f64::from).collect()),
        Values::Real(v) => Some(v),
        _ => return Err(refuse(folder, "centroids.npy: expected floating-point numbers")),
    };
    Ok(foreign)
}

fn select(values: &Values, width: usize, rows: &[usize]) -> Values {
    fn rows_of<T: Clone>(v: &[T], width: usize, rows: &[usize]) -> Vec<T> {
        rows.iter()
            .flat_map(|row| &v[row * width..(row + 1) * width])
            .cloned()
            .collect()
    }
    match values {
        Values::Whole(v) => Values::Whole(rows_of(v, width, rows)),
        Values::Large(v) => Values::Large(rows_of(v, width, rows)),
        Values::Real(v) => Values::Real(rows_of(v, width, rows)),
        Values::Short(v) => Values::Short(rows_of(v, width, rows)),
        Values::Text(v) => Values::Text(rows_of(v, width, rows)),
    }
}
