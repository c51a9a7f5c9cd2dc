//! The archive file with its genomes as genes.

use std::ops::Range;
use std::path::Path;

use illume_archives::file::{self, ArchiveFile, Attributes, Contents};
use illume_cluster::Solo;
use illume_core::{
    Archive, ArchiveSpec, Batch, Comm, Dense, Elites, Error, Fetched, GenomeRef, Genomes, Inbox, Result, State, Taken,
};

use super::{Genes, scalars};

/// Writes an archive file of these rows with dense genomes: all else is as in the file that they come from, but that the genome of the
/// solution is dense as well.
///
/// # Errors
/// The folder or disk, or genes that cannot be read.
pub fn h5(
    path: &Path,
    file: &ArchiveFile,
    rows: &[usize],
    solution: Option<Batch>,
    written: impl Fn(usize) + Send + Sync,
) -> Result<()> {
    let genes = Genes::of_elites(file, rows.to_vec())?;
    let read = |rows: Range<usize>| {
        let data = genes.read(rows.clone());
        written(rows.end);
        data
    };
    let archive = Listed::new(&file.spec, &file.elites.select(rows), genes.dim, &read)?;
    let state = State {
        tables: Vec::new(),
        solution,
    };
    let attributes = Attributes {
        software_version: env!("CARGO_PKG_VERSION").into(),
        ..file.attributes.clone()
    };
    let contents = Contents {
        attributes: &attributes,
        archive: &archive,
        genome_dim: file.genome_dim,
        lineage: false,
        genes: file.genes.as_deref(),
        history: &file.history,
        state: Some(&state),
        checkpoint: false,
        compress: 0,
    };
    file::write(path, &contents, &Solo)
}

/// A solution with its genes in place of a lineage.
pub fn dense_solution(solution: &Batch, genes: Vec<f32>) -> Batch {
    let mut dense = Batch::new();
    dense.push("genome", genes.len(), "", "genes", genes);
    scalars(solution).for_each(|column| dense.push_column(column.clone()));
    dense
}

/// Rows as an archive to be written: their genomes are read when they are asked for.
pub(crate) struct Listed<'a> {
    spec: &'a ArchiveSpec,
    elites: Elites,
    /// Ascending.
    cells: Vec<u32>,
    /// Genes of a genome.
    dim: usize,
    read: &'a (dyn Fn(Range<usize>) -> Result<Vec<f32>> + Sync),
}

impl<'a> Listed<'a> {
    /// Rows with the columns of elites, `cell` among them and rising; `read` gives the genes of rows of these, `[rows, dim]`.
    ///
    /// # Errors
    /// A column is missing, or has another shape than elites have.
    pub fn new(
        spec: &'a ArchiveSpec,
        table: &Batch,
        dim: usize,
        read: &'a (dyn Fn(Range<usize>) -> Result<Vec<f32>> + Sync),
    ) -> Result<Listed<'a>> {
        // Members of an unstructured archive are numbered from 0.
        let cells: Vec<u32> = match spec.has_cells() {
            true => table.get::<i64>("cell")?.iter().map(|&cell| cell as u32).collect(),
            false => (0..table.rows() as u32).collect(),
        };
        let n = if spec.has_cells() { spec.capacity } else { cells.len() };
        let mut elites = Elites::new(n, spec.axes.len());
        elites.filled.clone_from(&cells);
        let taken = (0..).zip(&cells).map(|(row, &cell)| Taken { row, cell });
        elites.take(table, &taken.collect::<Vec<_>>(), 0)?;
        Ok(Listed {
            spec,
            elites,
            cells,
            dim,
            read,
        })
    }
}

impl Archive for Listed<'_> {
    fn spec(&self) -> &ArchiveSpec {
        self.spec
    }

    fn elites(&self) -> &Elites {
        &self.elites
    }

    /// Neighbouring cells, ascending, as the writer asks for them.
    fn fetch<'a>(
        &'a self,
        cells: &[u32],
        _bounds: &[usize],
        _comm: &dyn Comm,
        inbox: &'a mut Inbox,
    ) -> Result<Fetched<'a>> {
        let row = |cell: &u32| {
            let found = self.cells.binary_search(cell);
            found.map_err(|_| Error::failed(format!("cell {cell} is not to be written")))
        };
        let first = cells.first().map_or(Ok(0), row)?;
        let rows = first..cells.last().map_or(Ok(first), |cell| row(cell).map(|last| last + 1))?;
        let (dim, data) = (self.dim, (self.read)(rows.clone())?);
        inbox.genomes = Genomes::Dense(Dense { dim, data });
        let inbox = &*inbox;
        Ok(Fetched::new(move |cell| {
            let at = self.cells[rows.clone()].binary_search(&cell).ok()?;
            match &inbox.genomes {
                Genomes::Dense(dense) => Some(GenomeRef::Dense(&dense.data[at * dim..(at + 1) * dim])),
                _ => None,
            }
        }))
    }

    fn locate(&self, _descriptors: &[f64], cells: &mut [i64]) {
        cells.fill(-1);
    }
}
