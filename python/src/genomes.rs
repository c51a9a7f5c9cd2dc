//! Genomes that are decoded when they are asked for: a lineage is far smaller than its genes.

use std::sync::Arc;

use illume::core::{Batch, Decoder, Error, GeneSpace, Genomes, Lineages, Result, Scratch};
use numpy::{IntoPyArray as _, PyArray2, PyArrayMethods as _};
use pyo3::prelude::*;
use rayon::prelude::*;

use crate::errors::raise;
use crate::pools::Threads;

/// Genomes of elites, `[n, dim]`, as they were evaluated.
#[pyclass(frozen, module = "illume._illume")]
pub struct Decoded {
    genomes: Genomes,
    dim: usize,
    /// What genes are, where genomes are coordinates of them.
    space: Option<Arc<GeneSpace>>,
    threads: Threads,
}

impl Decoded {
    pub fn new(genomes: Genomes, dim: usize, space: Option<Arc<GeneSpace>>, threads: Threads) -> Decoded {
        Decoded {
            genomes,
            dim,
            space,
            threads,
        }
    }
}

#[pymethods]
impl Decoded {
    fn __len__(&self) -> usize {
        self.genomes.rows()
    }

    /// Genes of these rows, or of all: f32 `[rows, dim]`.
    #[pyo3(signature = (rows = None))]
    fn genes<'py>(&self, py: Python<'py>, rows: Option<Vec<usize>>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let all = self.genomes.rows();
        let rows = rows.unwrap_or_else(|| (0..all).collect());
        if let Some(beyond) = rows.iter().find(|row| **row >= all) {
            return Err(raise(Error::input(format!(
                "row {beyond} was asked for, there are {all}"
            ))));
        }
        let genes = py.detach(|| -> Result<Vec<f32>> {
            self.threads
                .install(|| Ok(decoded(&self.genomes, &rows, self.dim, self.space.as_deref())))
        });
        matrix(py, genes.map_err(raise)?, rows.len(), self.dim)
    }
}

/// Genes of rows, `[rows, dim]`, values where they have a kind and bounds, on the threads of the present pool.
pub fn decoded(genomes: &Genomes, rows: &[usize], dim: usize, space: Option<&GeneSpace>) -> Vec<f32> {
    let mut genes = vec![0.0; rows.len() * dim];
    // Members of an evolution strategy come in pairs that share their noise.
    let chunk = genomes.chunk();
    let pieces = genes.par_chunks_mut((dim * chunk).max(1)).zip(rows.par_chunks(chunk));
    pieces.for_each_init(Scratch::default, |scratch, (genes, rows)| {
        for (genes, &row) in genes.chunks_exact_mut(dim).zip(rows) {
            let stored = genomes.genes(row, scratch);
            match space {
                Some(space) => space.decode(stored, genes),
                None => genes.copy_from_slice(stored),
            }
        }
    });
    genes
}

/// A strategy's result; one that is a lineage gets its genes beside it, as the column `genome`. Genes that have a kind and bounds are values.
///
/// # Errors
/// The decoder's; a damaged table.
pub fn with_genes(
    mut solution: Batch,
    space: Option<&GeneSpace>,
    decoder: impl FnOnce() -> Result<Decoder>,
) -> Result<Batch> {
    if solution.find("lineage_streams").is_none() {
        if let (Some(space), Some(_)) = (space, solution.find("genome")) {
            let genes = solution.get_mut::<f32>("genome")?;
            let coordinates = genes.to_vec();
            space.decode(&coordinates, genes);
        }
        return Ok(solution);
    }
    let mut lineages = Lineages::new();
    lineages.push(solution.get("lineage_streams")?, solution.get("lineage_scales")?);
    let decoder = decoder()?;
    let dim = decoder.dim;
    lineages.decoder = Some(Arc::new(decoder));
    let genes = decoded(&Genomes::Lineage(lineages), &[0], dim, space);
    solution.push("genome", dim, "", "genes, as they are evaluated", genes);
    Ok(solution)
}

/// Numbers as an array `[rows, width]`, which takes them over.
pub fn matrix(py: Python<'_>, numbers: Vec<f32>, rows: usize, width: usize) -> PyResult<Bound<'_, PyArray2<f32>>> {
    numbers.into_pyarray(py).reshape([rows, width])
}
