//! `[start]`: genomes that a run begins with, out of an archive or a list of solutions.

use std::path::Path;

use illume_archives::file::{self, ArchiveFile};
use illume_core::{
    Dense, Digest, Error, GeneSpace, Genomes, Given, Memory, Numbers, Result, Scratch, TaskSpec, params,
};

use super::directory::archive_path;
use crate::{Config, decoder, registry};

params! {
    /// `[start]`.
    pub struct StartParams {
        /// Archive whose elites the run begins with: a run directory or an .h5 file.
        archive: String = String::new(), any();
        /// Genomes that the run begins with, in place of an archive's: an array of numpy (.npy) or a table (.csv), a row for each.
        solutions: String = String::new(), any();
        /// How many of them are taken at most, the best first; 0 for all.
        most: usize = 0, range(0, 1 << 31);
    }
}

impl StartParams {
    /// The key that says what a run begins with, and its value; none for a run that begins at random.
    pub fn source(&self) -> Option<(&'static str, &str)> {
        match (self.archive.as_str(), self.solutions.as_str()) {
            ("", "") => None,
            ("", solutions) => Some(("solutions", solutions)),
            (archive, _) => Some(("archive", archive)),
        }
    }

    /// What is wrong with the keys together, if anything: of which key, and in words.
    pub(crate) fn fault(&self) -> Option<(&'static str, &'static str)> {
        match (self.archive.is_empty(), self.solutions.is_empty(), self.most) {
            (false, false, _) => Some(("solutions", "expected an archive or solutions, got both")),
            (true, true, 1..) => Some((
                "most",
                "expected an archive or solutions of which so many are taken, got neither",
            )),
            _ => None,
        }
    }
}

/// What a run begins with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Start {
    pub given: Given,
    /// For the log.
    pub fact: String,
}

impl Start {
    /// A number that two starts have in common only if their genomes are the same.
    pub fn digest(given: &Given) -> u64 {
        let Dense { dim, data } = &given.0;
        let mut digest = Digest::default();
        digest.take(&dim.to_le_bytes());
        digest.take_numbers(data);
        digest.value()
    }
}

/// Reads what a run of this configuration begins with; none if it begins at random.
///
/// # Errors
/// A file that is none, or that holds no genomes of the task; with file and line of the key.
pub(crate) fn read(config: &Config, task: &TaskSpec, memory: &Memory) -> Result<Option<Start>> {
    let Some((key, source)) = config.start.source() else {
        return Ok(None);
    };
    let path = Path::new(source);
    let found = match key {
        "archive" => of_archive(path, config.start.most, task, memory),
        _ => of_solutions(path, config.start.most, task, memory),
    };
    let found = found.and_then(|genes| {
        check(&genes, task)?;
        Ok(Start {
            fact: format!("{} genomes of {source}", genes.len() / task.genome_dim.max(1)),
            given: Given(Dense {
                dim: task.genome_dim,
                data: genes,
            }),
        })
    });
    found.map(Some).map_err(|e| match e {
        Error::Input(what) => config.locate(Error::config("start", key, what)),
        other => config.locate(other),
    })
}

/// Claims the memory of so many genomes.
fn claim(key: &str, rows: usize, task: &TaskSpec, memory: &Memory) -> Result<()> {
    let bytes = size_of::<f32>() as f64 * task.genome_dim as f64 * rows as f64;
    memory.claim("start", key, bytes, &format!("{rows} genomes to begin with"))
}

fn check_dim(source: &Path, found: usize, task: &TaskSpec) -> Result<()> {
    if found == task.genome_dim {
        return Ok(());
    }
    Err(Error::input(format!(
        "{} holds genomes of {found} genes, those of task \"{}\" have {}",
        source.display(),
        task.name,
        task.genome_dim
    )))
}

/// The rows in the order of their fitness, the best first, at most `most` of them; of equals the first.
fn best(fitness: &[f64], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..fitness.len()).collect();
    order.sort_by(|&a, &b| fitness[b].total_cmp(&fitness[a]));
    order.truncate(if most == 0 { usize::MAX } else { most });
    order
}

/// The elites of an archive, lineages decoded, the best first.
fn of_archive(path: &Path, most: usize, task: &TaskSpec, memory: &Memory) -> Result<Vec<f32>> {
    let file = file::open(&archive_path(path)?)?;
    if file.rows() == 0 {
        return Err(Error::input(format!("{}: the archive is empty", path.display())));
    }
    check_dim(path, file.genome_dim, task)?;
    let order = best(file.elites.get("fitness")?, most);
    claim("archive", order.len(), task, memory)?;
    let mut genomes = file.genomes(0..file.rows())?;
    if let Genomes::Lineage(lineages) = &mut genomes {
        lineages.decoder = Some(decoder_of(&file, path)?.into());
    }
    let mut scratch = Scratch::default();
    let mut genes = Vec::with_capacity(order.len() * task.genome_dim);
    for row in order {
        genes.extend_from_slice(genomes.genes(row, &mut scratch));
    }
    // Coordinates of other genes stand for other values.
    if file.genes != task.genes {
        if let Some(own) = &file.genes {
            let coordinates = genes.clone();
            let rows = coordinates
                .chunks_exact(own.dim())
                .zip(genes.chunks_exact_mut(own.dim()));
            rows.for_each(|(coordinates, values)| own.decode(coordinates, values));
        }
        if let Some(space) = &task.genes {
            encode(space, &mut genes)?;
        }
    }
    Ok(genes)
}

/// What decodes the lineages of a file, by the configuration that it holds.
fn decoder_of(file: &ArchiveFile, path: &Path) -> Result<illume_core::Decoder> {
    let name = format!("{} (its configuration)", path.display());
    let config = Config::stored(&file.attributes.config, &name, &[])?;
    let (task, _) = registry::task_here(&config, true)?;
    check_dim(path, file.genome_dim, task.spec())?;
    decoder(&config, task.spec())
}

/// What columns of a table are called that hold genes, before their number, and the column of fitness.
const GENES: [&str; 2] = ["solution_", "genome_"];
const FITNESS: [&str; 2] = ["objective", "fitness"];

/// The rows of a list: in its order, or by fitness where it has that.
fn of_solutions(path: &Path, most: usize, task: &TaskSpec, memory: &Memory) -> Result<Vec<f32>> {
    // Columns of one name, by their numbers.
    let numbered = |names: &[String], prefix: &str| -> Vec<usize> {
        let number = |name: &String| name.strip_prefix(prefix)?.parse::<usize>().ok();
        let mut found: Vec<(usize, usize)> = (0..names.len()).filter_map(|i| Some((number(&names[i])?, i))).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, i)| i).collect()
    };
    let fitness = |name: &str| FITNESS.contains(&name);
    let table = Numbers::read(path, |names| {
        let all = 0..names.len();
        let mut found = GENES.iter().map(|prefix| numbered(names, prefix));
        let genes = found
            .find(|genes| !genes.is_empty())
            .unwrap_or_else(|| all.clone().filter(|&i| !fitness(&names[i])).collect());
        genes
            .into_iter()
            .chain(all.filter(|&i| fitness(&names[i])).take(1))
            .collect()
    })?;
    let scored = table.names.last().is_some_and(|name| fitness(name));
    let dim = table.width - usize::from(scored);
    check_dim(path, dim, task)?;
    let order = if scored {
        let fitness: Vec<f64> = table.values.chunks_exact(table.width).map(|row| row[dim]).collect();
        if let Some(row) = fitness.iter().position(|f| f.is_nan()) {
            return Err(Error::input(format!(
                "{}: the fitness of genome {row} is NaN",
                path.display()
            )));
        }
        best(&fitness, most)
    } else {
        best(&vec![0.0; table.rows()], most)
    };
    claim("solutions", order.len(), task, memory)?;
    let rows = order.into_iter().map(|row| &table.values[row * table.width..][..dim]);
    let mut genes: Vec<f32> = rows.flatten().map(|gene| *gene as f32).collect();
    if let Some(space) = &task.genes {
        encode(space, &mut genes)?;
    }
    Ok(genes)
}

/// Values of genes become the coordinates that are searched.
fn encode(space: &GeneSpace, genes: &mut [f32]) -> Result<()> {
    let dim = space.dim();
    for (row, genome) in genes.chunks_exact_mut(dim).enumerate() {
        for (gene, value) in genome.iter().enumerate() {
            let group = space.group_of(gene);
            if !(group.lower as f32..=group.upper as f32).contains(value) {
                let message = format!(
                    "gene {gene} (\"{}\") of genome {row} is {value}: expected a number from {} to {}",
                    group.name, group.lower, group.upper
                );
                return Err(Error::input(message));
            }
        }
        let values = genome.to_vec();
        space.encode(&values, genome);
    }
    Ok(())
}

/// That all genes are numbers which the task may have.
fn check(genes: &[f32], task: &TaskSpec) -> Result<()> {
    let [low, high] = task.bounds.unwrap_or([f32::MIN, f32::MAX]);
    let Some(at) = genes.iter().position(|gene| !(low..=high).contains(gene)) else {
        return Ok(());
    };
    let expected = match task.bounds {
        Some(_) => format!("a number from {low} to {high}, as those of task \"{}\" are", task.name),
        None => "a finite number of 32 bits".into(),
    };
    let (row, gene) = (at / task.genome_dim, at % task.genome_dim);
    Err(Error::input(format!(
        "gene {gene} of genome {row} is {}: expected {expected}",
        genes[at]
    )))
}
