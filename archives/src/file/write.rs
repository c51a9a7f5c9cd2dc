//! Writing the file: all ranks take part, rank 0 alone touches HDF5.

use std::path::Path;

use hdf5::{Dataset, File};
use illume_core::{
    Archive, Batch, Cells, Column, Comm, Data, ENCODER, Element, Error, GeneSpace, GenomeRef, Inbox, Lineages, Result,
    Rule, State,
};

use super::atomic::Unfinished;
use super::h5::{self, Maker};
use super::{ACTIVE, Attributes, FORMAT, FORMAT_VERSION, OWN_TABLE, genes, objectives, slab};
use crate::niches::NICHE;

/// Bytes of genomes that rank 0 holds at a time.
const PIECE_BYTES: usize = 8 << 20;

/// Lineages that rank 0 fetches at a time.
const LINEAGES: usize = 4096;

/// What goes into a file. Where only rank 0's counts, the others may give less.
pub struct Contents<'a> {
    pub attributes: &'a Attributes,
    pub archive: &'a dyn Archive,
    pub genome_dim: usize,
    /// Whether the archive holds lineages.
    pub lineage: bool,
    /// What genes are, if the task said it: dense genomes are then written as values as well.
    pub genes: Option<&'a GeneSpace>,
    /// One row for each generation or so; rank 0's counts.
    pub history: &'a Batch,
    /// A strategy's state; rank 0's counts. Its solution is always written, its tables only into a checkpoint.
    pub state: Option<&'a State>,
    /// Write all that is needed to go on.
    pub checkpoint: bool,
    /// Deflate level of genomes and large tables, 0 to 9; 0 for none.
    pub compress: u8,
}

/// Writes a file; every rank calls it and gets the same result. The file appears under its name whole or not at all.
///
/// # Errors
/// The folder or disk (the sentence names path and cause; the old file, if any, is as it was), or communication.
pub fn write(path: &Path, contents: &Contents<'_>, comm: &dyn Comm) -> Result<()> {
    let first = comm.rank() == 0;
    let mut output = first.then(|| Output::create(path, contents));
    for (group, archive) in groups(contents) {
        write_group(group, archive, contents, &mut output, comm)?;
    }
    let mut message = match output {
        None => Vec::new(),
        Some(result) => match result.and_then(Output::finish) {
            Ok(()) => Vec::new(),
            Err(error) => error.to_string().into_bytes(),
        },
    };
    comm.broadcast(0, &mut message)?;
    if message.is_empty() {
        Ok(())
    } else {
        Err(Error::failed(String::from_utf8_lossy(&message)))
    }
}

/// The groups of elites of a file, by name.
fn groups<'a>(contents: &Contents<'a>) -> Vec<(&'static str, &'a dyn Archive)> {
    match contents.archive.results() {
        None => vec![("elites", contents.archive)],
        // Fronts are a result as well.
        Some(results) if contents.checkpoint || results.spec().holds_fronts() => {
            vec![("elites", results), (ACTIVE, contents.archive)]
        }
        Some(results) => vec![("elites", results)],
    }
}

/// Elites with their genomes, which come to rank 0 piece by piece; once something has failed there, nothing more is written.
fn write_group<'a>(
    group: &str,
    archive: &dyn Archive,
    contents: &Contents<'a>,
    output: &mut Option<Result<Output<'a>>>,
    comm: &dyn Comm,
) -> Result<()> {
    let mut cells = archive.elites().filled.clone();
    cells.sort_unstable();
    let write = |output: &mut Option<Result<Output<'a>>>, part: &mut dyn FnMut(&mut Output<'a>) -> hdf5::Result<()>| {
        if let Some(Ok(out)) = output
            && let Err(error) = part(out)
        {
            *output = Some(Err(out.file.explain(error)));
        }
    };
    write(output, &mut |out| out.begin(group, archive, contents, &cells));
    let piece = if contents.lineage {
        LINEAGES
    } else {
        piece_rows(contents.genome_dim)
    };
    let mut inbox = Inbox::default();
    for cells in cells.chunks(piece) {
        let failed = matches!(output, Some(Err(_)));
        if comm.any(u64::from(failed))? != 0 {
            break;
        }
        let mut bounds = vec![cells.len(); comm.size() + 1];
        bounds[0] = 0;
        let fetched = archive.fetch(cells, &bounds, comm, &mut inbox)?;
        if matches!(output, Some(Ok(_))) {
            let genomes = fetched.genomes(cells)?;
            write(output, &mut |out| out.append(&genomes));
        }
    }
    write(output, &mut Output::end);
    Ok(())
}

/// Rows of a piece: whole chunks, so that each is compressed once.
fn piece_rows(dim: usize) -> usize {
    let chunk = h5::chunk_rows(dim);
    (PIECE_BYTES / (4 * dim.max(1)) / chunk).max(1) * chunk
}

/// A file being filled piece by piece.
struct Output<'a> {
    file: Unfinished,
    genomes: GenomeSink<'a>,
    rows: usize,
}

enum GenomeSink<'a> {
    Dense {
        dataset: Option<Dataset>,
        /// Values of genes, and what makes them of genomes.
        values: Option<(Dataset, &'a GeneSpace)>,
        dim: usize,
        buffer: Vec<f32>,
    },
    Lineage {
        lineages: Lineages,
        elites: Maker,
    },
    /// No dataset is open.
    Closed,
}

impl<'a> Output<'a> {
    /// All but the elites.
    fn create(path: &Path, contents: &Contents<'a>) -> Result<Output<'a>> {
        let file = Unfinished::create(path)?;
        fill(file.hdf5(), contents).map_err(|e| file.explain(e))?;
        Ok(Output {
            file,
            genomes: GenomeSink::Closed,
            rows: 0,
        })
    }

    /// A group of elites, whose genomes follow.
    fn begin(
        &mut self,
        group: &str,
        archive: &dyn Archive,
        contents: &Contents<'a>,
        cells: &[u32],
    ) -> hdf5::Result<()> {
        self.genomes = write_elites(self.file.hdf5(), group, archive, contents, cells)?;
        self.rows = 0;
        Ok(())
    }

    fn append(&mut self, genomes: &[GenomeRef<'_>]) -> hdf5::Result<()> {
        let internal = |e: Error| hdf5::Error::Internal(e.to_string());
        match &mut self.genomes {
            GenomeSink::Dense {
                dataset,
                values,
                dim,
                buffer,
            } => {
                buffer.clear();
                for genome in genomes {
                    buffer.extend_from_slice(genome.dense().map_err(internal)?);
                }
                if let Some(dataset) = dataset {
                    slab::write_rows(dataset, self.rows, *dim, buffer)?;
                    // A full disk shows here, while the file can still be closed.
                    dataset.flush()?;
                }
                if let Some((dataset, genes)) = values {
                    let mut decoded = vec![0.0; *dim];
                    for genome in buffer.chunks_exact_mut(*dim) {
                        genes.decode(genome, &mut decoded);
                        genome.copy_from_slice(&decoded);
                    }
                    slab::write_rows(dataset, self.rows, *dim, buffer)?;
                    dataset.flush()?;
                }
            }
            GenomeSink::Lineage { lineages, .. } => {
                for genome in genomes {
                    match genome {
                        GenomeRef::Lineage { streams, scales } => lineages.push(streams, scales),
                        GenomeRef::Dense(_) => {
                            return Err(hdf5::Error::Internal("a dense genome among lineages".into()));
                        }
                    }
                }
            }
            GenomeSink::Closed => {}
        }
        self.rows += genomes.len();
        Ok(())
    }

    /// The last genome of a group has come.
    fn end(&mut self) -> hdf5::Result<()> {
        if let GenomeSink::Lineage { lineages, elites } = &mut self.genomes {
            write_lineages(elites, lineages)?;
        }
        self.genomes = GenomeSink::Closed;
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.file.finish()
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        // Datasets are closed before their file, and not before there is room for what they still hold.
        self.file.make_room();
        self.genomes = GenomeSink::Closed;
    }
}

/// Everything but the elites.
fn fill(file: &File, contents: &Contents<'_>) -> hdf5::Result<()> {
    let a = contents.attributes;
    h5::put_text(file, "format", FORMAT)?;
    h5::put_number(file, "format_version", FORMAT_VERSION)?;
    for (name, value) in [
        ("software_version", &a.software_version),
        ("task", &a.task),
        ("strategy", &a.strategy),
        ("config", &a.config),
        ("created", &a.created),
    ] {
        h5::put_text(file, name, value)?;
    }
    for (name, value) in [("fitness", &a.fitness), ("sources", &a.sources)] {
        if !value.is_empty() {
            h5::put_text(file, name, value)?;
        }
    }
    for (name, value) in [
        ("seed", a.seed),
        ("generation", a.generation),
        ("evaluations", a.evaluations),
        ("ranks", a.ranks),
        ("threads", a.threads),
    ] {
        h5::put_number(file, name, value)?;
    }
    let compress = contents.compress.min(9);
    write_cells(file, contents, compress)?;
    if let Some(space) = contents.genes {
        genes::write(file, space)?;
    }
    Maker::new(file, "history", compress, "how the run went, a row at a time")?
        .table(contents.history, Some(h5::ROWS))?;
    if let Some(solution) = contents.state.and_then(|s| s.solution.as_ref()) {
        Maker::new(file, "solution", compress, "the strategy's own result")?.table(solution, Some(h5::ROWS))?;
    }
    let tables = contents.state.map_or(&[][..], |s| &s.tables);
    if let Some((name, encoder)) = tables.iter().find(|(name, _)| name == ENCODER) {
        Maker::new(file, name, compress, "what makes learned descriptors of features")?.table(encoder, None)?;
    }
    if contents.checkpoint {
        let group = Maker::new(file, "state", compress, "all that is needed to go on from here")?.group;
        for (elites, archive) in groups(contents) {
            let name = if elites == ACTIVE { ACTIVE } else { OWN_TABLE };
            let filled = archive.elites().filled.iter().map(|&c| i64::from(c)).collect();
            let mut own = Batch::new();
            let meaning = "cells in the order in which they were first filled";
            own.push("filled", 1, "", meaning, filled);
            Maker::new(&group, name, compress, "the archive's own state")?.table(&own, None)?;
        }
        for (name, table) in tables {
            if [OWN_TABLE, ACTIVE].contains(&name.as_str()) || name.contains('/') || name.is_empty() {
                return Err(hdf5::Error::Internal(format!(
                    "a state table may not be named '{name}'"
                )));
            }
            Maker::new(&group, name, compress, "state of the strategy or the engine")?.table(table, None)?;
        }
    }
    Ok(())
}

fn write_cells(file: &File, contents: &Contents<'_>, compress: u8) -> hdf5::Result<()> {
    let spec = contents.archive.spec();
    let mut maker = Maker::new(file, "cells", compress, "how the archive divides the descriptor space")?;
    let of_axes = |f: fn(&illume_core::Axis) -> f64| spec.axes.iter().map(f).collect::<Vec<f64>>();
    let names: Vec<String> = spec.axes.iter().map(|a| a.name.clone()).collect();
    h5::put_text(&maker.group, "kind", &spec.kind)?;
    h5::put_number(&maker.group, "count", spec.capacity as u64)?;
    h5::put_number(&maker.group, "qd_offset", spec.qd_offset)?;
    h5::put_many_texts(&maker.group, "names", &names)?;
    h5::put_many_texts(
        &maker.group,
        "units",
        &spec.axes.iter().map(|a| a.unit.clone()).collect::<Vec<_>>(),
    )?;
    h5::put_many_numbers(&maker.group, "lower", &of_axes(|a| a.lower))?;
    h5::put_many_numbers(&maker.group, "upper", &of_axes(|a| a.upper))?;
    for (name, rule) in &spec.rules {
        match rule {
            Rule::Count(n) => h5::put_number(&maker.group, name, *n)?,
            Rule::Number(x) => h5::put_number(&maker.group, name, *x)?,
            Rule::Text(text) => h5::put_text(&maker.group, name, text)?,
        }
    }
    match &spec.cells {
        Cells::Grid { shape } => {
            let shape: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
            h5::put_many_numbers(&maker.group, "shape", &shape)
        }
        Cells::None => Ok(()),
        Cells::Cvt { centroids } => {
            maker.named_dimension("axis", "axes of the descriptor", &names)?;
            let column = column(
                "centroids",
                spec.axes.len(),
                "",
                "centroid of each cell",
                centroids.clone(),
            );
            let rows = centroids.len().checked_div(spec.axes.len()).unwrap_or(0);
            maker.column(
                &column,
                &[rows, spec.axes.len()],
                &[("cell", "cells by number"), ("axis", "")],
            )
        }
    }
}

fn column<T: Element>(name: &str, width: usize, unit: &str, description: &str, values: Vec<T>) -> Column {
    let data: Data = T::wrap(values);
    Column {
        name: name.into(),
        width,
        unit: unit.into(),
        description: description.into(),
        data,
    }
}

/// The columns of the elites in cell order, and what will take their genomes.
fn write_elites<'a>(
    file: &File,
    group: &str,
    archive: &dyn Archive,
    contents: &Contents<'a>,
    cells: &[u32],
) -> hdf5::Result<GenomeSink<'a>> {
    let (e, spec) = (archive.elites(), archive.spec());
    let (n, k) = (cells.len(), spec.axes.len());
    let description = match group {
        ACTIVE => "the elites that the strategy breeds from, in cell order",
        _ => "the archive's elites, in cell order",
    };
    let mut maker = Maker::new(file, group, contents.compress.min(9), description)?;
    h5::put_number(&maker.group, "genome_dim", contents.genome_dim as u64)?;
    h5::put_text(
        &maker.group,
        "genome_form",
        if contents.lineage { "lineage" } else { "dense" },
    )?;
    maker.named_dimension(
        "axis",
        "axes of the descriptor",
        &spec.axes.iter().map(|a| a.name.clone()).collect::<Vec<_>>(),
    )?;
    let elite = ("elite", "elites, in cell order");
    let several = &contents.attributes.objectives;
    if !several.is_empty() {
        let names: Vec<String> = several.iter().map(|o| o.name.clone()).collect();
        maker.named_dimension("objective", "objectives of the task, all to be maximized", &names)?;
    }
    let numbers = cells.iter().map(|&c| i64::from(c)).collect();
    let meaning = match e.columns().find(NICHE) {
        Some(_) => "number of the elite; its cell is in the column 'niche'",
        None => "number of the cell",
    };
    maker.column(&column("cell", 1, "", meaning, numbers), &[n], &[elite])?;
    let rows: Vec<usize> = cells.iter().map(|&c| c as usize).collect();
    let mut table = e.columns().select(&rows);
    table.set_unit("descriptor", spec.unit());
    let fitness = &contents.attributes.fitness;
    if !fitness.is_empty() {
        table.set_description("fitness", &format!("{fitness}, to be maximized"));
    }
    let names: Vec<String> = table.columns().iter().map(|c| c.name.clone()).collect();
    h5::put_texts(&maker.group, h5::COLUMNS, &names)?;
    for column in table.columns() {
        let items = format!("{}_item", column.name);
        match column.name.as_str() {
            "descriptor" => maker.column(column, &[n, k], &[elite, ("axis", "")])?,
            "parents" => maker.column(column, &[n, 2], &[elite, ("parent", "first and second parent")])?,
            objectives::NAME if column.width == several.len() => {
                maker.column(column, &[n, column.width], &[elite, ("objective", "")])?;
                objectives::describe(&maker.group.dataset(objectives::NAME)?, several)?;
            }
            _ if column.width == 1 => maker.column(column, &[n], &[elite])?,
            _ => maker.column(column, &[n, column.width], &[elite, (&items, "entries of a row")])?,
        }
    }
    let operator: Dataset = maker.group.dataset("operator")?;
    h5::put_texts(&operator, "operators", &contents.attributes.operators)?;
    if contents.lineage {
        return Ok(GenomeSink::Lineage {
            lineages: Lineages::new(),
            elites: maker,
        });
    }
    let dim = contents.genome_dim;
    let axes = [elite, ("gene", "genes")];
    let space = contents.genes.filter(|_| group != ACTIVE);
    if let Some(space) = space {
        maker.named_dimension("gene", "genes by name", &space.names())?;
    }
    let about = contents
        .genes
        .map_or("genes", |_| "coordinates of the genes, from 0 to 1");
    let dataset = maker.dataset::<f32>("genome", &[n, dim], true, ["", about], &axes)?;
    let values = match space {
        Some(space) => {
            let about = "values of the genes; of a category its number in /genes";
            Some((
                maker.dataset::<f32>("value", &[n, dim], true, ["", about], &axes)?,
                space,
            ))
        }
        None => None,
    };
    Ok(GenomeSink::Dense {
        dataset: (n * dim > 0).then_some(dataset),
        values: values.filter(|_| n * dim > 0),
        dim,
        buffer: Vec::new(),
    })
}

fn write_lineages(elites: &mut Maker, lineages: &mut Lineages) -> hdf5::Result<()> {
    let steps = lineages.streams.len();
    let step = [("step", "steps of all lineages, one after another")];
    let offsets = column(
        "lineage_offsets",
        1,
        "",
        "steps of elite i: offsets[i] to offsets[i + 1]",
        std::mem::take(&mut lineages.offsets),
    );
    let streams = column(
        "lineage_streams",
        1,
        "",
        "noise stream of each step; the first draws the initial genome",
        std::mem::take(&mut lineages.streams),
    );
    let scales = column(
        "lineage_scales",
        1,
        "",
        "factor of each step's noise",
        std::mem::take(&mut lineages.scales),
    );
    elites.column(&offsets, &[offsets.data.len()], &[("offset", "elites, and the end")])?;
    elites.column(&streams, &[steps], &step)?;
    elites.column(&scales, &[steps], &step)
}
