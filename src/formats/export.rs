//! Archives for use elsewhere: elites as text, as numpy's arrays, or as an archive file without lineages. Genomes are decoded and written
//! piece by piece, so that memory is bounded however many and large they are.

mod csv;
mod h5;
pub mod names;
mod npy;
mod npz;
#[cfg(feature = "parquet")]
mod parquet;
mod qdax;

pub use csv::csv;
pub(crate) use csv::quoted;
pub(crate) use h5::Listed;
pub use h5::{dense_solution, h5};
pub use npz::npz;
#[cfg(feature = "parquet")]
pub use parquet::parquet;
pub use qdax::{FILES as QDAX_FILES, qdax};

use std::ops::Range;
use std::sync::Arc;

use illume_archives::file::ArchiveFile;
use illume_core::{Batch, Column, Dense, Error, GeneSpace, Genomes, Result, Scratch};
use rayon::prelude::*;

use crate::{Config, registry};

/// Genes that are held at a time.
const GENES_AT_ONCE: usize = 1 << 23;

/// Columns that hold a genome in one form or another.
const GENOME: [&str; 3] = ["genome", "lineage_streams", "lineage_scales"];

/// The genes of some rows, as their task evaluated them: lineages are decoded, and genes clipped to the task's bounds.
pub struct Genes<'a> {
    from: From<'a>,
    /// Genes of a genome.
    pub dim: usize,
    /// What they mean, if the task said it: genes are then coordinates.
    pub space: Option<Arc<GeneSpace>>,
    /// What decodes lineages.
    decoder: Option<Arc<illume_core::Decoder>>,
}

enum From<'a> {
    /// Rows of an archive, ascending.
    File(&'a ArchiveFile, Vec<usize>),
    Here(Genomes),
}

impl<'a> Genes<'a> {
    /// Those of rows of an archive, ascending. The task is built only if there are lineages.
    ///
    /// # Errors
    /// Lineages of a task that cannot be built here, or that has genomes of another length.
    pub fn of_elites(file: &'a ArchiveFile, rows: Vec<usize>) -> Result<Genes<'a>> {
        Ok(Genes {
            decoder: file.lineage.then(|| decoder(file)).transpose()?,
            dim: file.genome_dim,
            space: file.genes.clone(),
            from: From::File(file, rows),
        })
    }

    /// Those of a genome of an archive's run.
    ///
    /// # Errors
    /// As [`Genes::of_elites`].
    pub fn of_genome(file: &'a ArchiveFile, genome: Genomes) -> Result<Genes<'a>> {
        let lineage = matches!(genome, Genomes::Lineage(_));
        Ok(Genes {
            decoder: lineage.then(|| decoder(file)).transpose()?,
            dim: file.genome_dim,
            space: file.genes.clone(),
            from: From::Here(genome),
        })
    }

    pub fn rows(&self) -> usize {
        match &self.from {
            From::File(_, rows) => rows.len(),
            From::Here(genomes) => genomes.rows(),
        }
    }

    /// The genes of rows of these, `[rows, dim]`.
    ///
    /// # Errors
    /// A damaged file.
    pub fn read(&self, rows: Range<usize>) -> Result<Vec<f32>> {
        let (file, wanted) = match &self.from {
            From::File(file, all) => (file, &all[rows]),
            From::Here(genomes) => return Ok(self.decode(genomes.clone())),
        };
        let mut data = Vec::with_capacity(wanted.len() * self.dim);
        for run in wanted.chunk_by(|a, b| a + 1 == *b) {
            data.extend(self.decode(file.genomes(run[0]..run[0] + run.len())?));
        }
        Ok(data)
    }

    /// The same as values: what coordinates stand for, if genes are these.
    ///
    /// # Errors
    /// As [`Genes::read`].
    pub fn values(&self, rows: Range<usize>) -> Result<Vec<f32>> {
        let mut data = self.read(rows)?;
        if let Some(space) = &self.space {
            let mut values = vec![0.0; self.dim];
            for genome in data.chunks_exact_mut(self.dim) {
                space.decode(genome, &mut values);
                genome.copy_from_slice(&values);
            }
        }
        Ok(data)
    }

    fn decode(&self, mut genomes: Genomes) -> Vec<f32> {
        match &mut genomes {
            Genomes::Dense(Dense { data, .. }) => return std::mem::take(data),
            Genomes::Lineage(lineages) => lineages.decoder.clone_from(&self.decoder),
            Genomes::Perturbation(_) => {}
        }
        let mut data = vec![0.0; genomes.rows() * self.dim];
        data.par_chunks_mut(self.dim.max(1))
            .enumerate()
            .for_each_init(Scratch::default, |scratch, (i, genes)| {
                genes.copy_from_slice(genomes.genes(i, scratch));
            });
        data
    }
}

fn decoder(file: &ArchiveFile) -> Result<Arc<illume_core::Decoder>> {
    let shown = file.path().display();
    let config = Config::stored(&file.attributes.config, &format!("{shown} (its configuration)"), &[])?;
    let (task, _) = registry::task_here(&config, true)?;
    if task.spec().genome_dim != file.genome_dim {
        return Err(Error::input(format!(
            "{shown} holds genomes of {} genes, those of task \"{}\" have {}",
            file.genome_dim,
            task.spec().name,
            task.spec().genome_dim
        )));
    }
    Ok(Arc::new(crate::decoder(&config, task.spec())?))
}

/// Rows of genomes of `dim` genes, piece by piece.
fn pieces(rows: usize, dim: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (GENES_AT_ONCE / dim.max(1)).max(1);
    (0..rows)
        .step_by(step)
        .map(move |start| start..(start + step).min(rows))
}

/// The columns of a table that are no genomes.
pub fn scalars(table: &Batch) -> impl Iterator<Item = &Column> {
    table.columns().iter().filter(|c| !GENOME.contains(&c.name.as_str()))
}
