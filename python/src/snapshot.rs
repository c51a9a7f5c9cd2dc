//! Elites as Python gets them: of an archive in progress a copy of this moment, or those of a file.

use illume::archives::metrics::Metrics;
use illume::cluster::Solo;
use illume::core::{
    Archive, ArchiveSpec, Batch, Cells, Column, Data, Decoder, Dense, GenomeRef, Genomes, Inbox, Lineages, Result, Rule,
};
use numpy::{IntoPyArray as _, PyArrayMethods as _};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;

use crate::convert::columns;

/// The elites of an archive in order of cell number, and their genomes.
pub fn elites(archive: &dyn Archive, dim: usize, decoder: Option<Arc<Decoder>>) -> Result<(Batch, Genomes)> {
    let elites = archive.elites();
    let mut cells = elites.filled.clone();
    cells.sort_unstable();
    let rows: Vec<usize> = cells.iter().map(|c| *c as usize).collect();
    let mut table = Batch::new();
    table.push_column(Column {
        name: "cell".into(),
        width: 1,
        unit: String::new(),
        description: "number of the cell".into(),
        data: Data::I64(cells.iter().map(|c| i64::from(*c)).collect()),
    });
    for column in elites.columns().select(&rows).columns() {
        table.push_column(column.clone());
    }
    let mut inbox = Inbox::default();
    let fetched = archive.fetch(&[], &[], &Solo, &mut inbox)?;
    let (mut data, mut lineages) = (Vec::new(), Lineages::new());
    for genome in fetched.genomes(&cells)? {
        match genome {
            GenomeRef::Dense(genes) => data.extend_from_slice(genes),
            GenomeRef::Lineage { streams, scales } => lineages.push(streams, scales),
        }
    }
    if lineages.rows() > 0 {
        lineages.decoder = decoder;
        return Ok((table, Genomes::Lineage(lineages)));
    }
    Ok((table, Genomes::Dense(Dense { dim, data })))
}

/// What an archive says of itself, as a dict.
pub fn about<'py>(
    py: Python<'py>,
    spec: &ArchiveSpec,
    operators: &[String],
    table: Batch,
    metrics: &Metrics,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("kind", &spec.kind)?;
    dict.set_item("capacity", spec.capacity)?;
    dict.set_item("qd_offset", spec.qd_offset)?;
    let axes: Vec<_> = spec.axes.iter().map(|a| (&a.name, &a.unit, a.lower, a.upper)).collect();
    dict.set_item("axes", axes)?;
    let (mut shape, mut centroids) = (None, None);
    match &spec.cells {
        Cells::Grid { shape: of } => shape = Some(of.clone()),
        Cells::Cvt { centroids: flat } => {
            let (rows, width) = (spec.capacity, spec.axes.len());
            centroids = Some(flat.clone().into_pyarray(py).reshape([rows, width])?);
        }
        Cells::None => {}
    }
    dict.set_item("shape", shape)?;
    dict.set_item("centroids", centroids)?;
    let rules = PyDict::new(py);
    for (name, rule) in &spec.rules {
        match rule {
            Rule::Count(n) => rules.set_item(name, n)?,
            Rule::Number(x) => rules.set_item(name, x)?,
            Rule::Text(text) => rules.set_item(name, text)?,
        }
    }
    dict.set_item("rules", rules)?;
    dict.set_item("operators", operators)?;
    dict.set_item("columns", columns(py, table)?)?;
    dict.set_item("metrics", measured(py, metrics)?)?;
    Ok(dict)
}

/// Metrics as a dict.
pub fn measured<'py>(py: Python<'py>, metrics: &Metrics) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("filled", metrics.filled)?;
    dict.set_item("coverage", metrics.coverage)?;
    dict.set_item("qd_score", metrics.qd_score)?;
    dict.set_item("max_fitness", metrics.max_fitness)?;
    dict.set_item("mean_fitness", metrics.mean_fitness)?;
    Ok(dict)
}
