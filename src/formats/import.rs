//! Archives of other programs: data frames of pyribs, repertoires of QDax, archives of pymap_elites. Here they are read; where their
//! elites lie in an archive of ours is said by `commands/import`.

mod csv;
mod frame;
mod npz;
mod pymap;
mod qdax;

use std::path::Path;

use illume_core::{Batch, Error, Result, npy};

use frame::Values;

/// Elites of another program.
#[derive(Debug, Default)]
pub struct Foreign {
    /// What it is, in words: `a data frame`.
    pub form: &'static str,
    /// Numbers of their cells, as the program counts them.
    pub index: Option<Vec<i64>>,
    /// `[n]`, finite.
    pub fitness: Vec<f64>,
    /// `[n, k]`, finite.
    pub descriptor: Vec<f64>,
    /// Axes of the descriptor.
    pub k: usize,
    /// Names of the axes, where the file has them.
    pub axes: Vec<String>,
    /// `[n, dim]`.
    pub genes: Vec<f32>,
    /// Genes of a genome, 0 where the file has none.
    pub dim: usize,
    pub rounded: Rounded,
    /// Further columns: those of our own elites that the file has (generation, operator, parents, seed), and others.
    pub further: Batch,
    /// What numbers of `operator` mean.
    pub operators: Vec<String>,
    /// `[cells, k]`, where the file says how its archive is divided.
    pub centroids: Option<Vec<f64>>,
    /// Bounds that every axis has, where the program has them fixed.
    pub bounds: Option<[f64; 2]>,
    /// What was left out, in sentences.
    pub notes: Vec<String>,
}

/// What became of genes that are no f32.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rounded {
    pub genes: usize,
    /// The largest change.
    pub largest: f64,
}

impl Rounded {
    fn add(&mut self, gene: f64, kept: f32) {
        self.genes += 1;
        self.largest = self.largest.max((gene - f64::from(kept)).abs());
    }
}

/// What the user has to say so that a file can be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints<'a> {
    /// Axes of the descriptor, where other options say how many there are.
    pub k: Option<usize>,
    /// A file of centroids.
    pub centroids: Option<&'a Path>,
}

impl Foreign {
    /// Reads a file or folder; its form is known by its name: `.csv`, `.npz`, `.dat`, or a folder with `genotypes.npy`.
    ///
    /// # Errors
    /// No such file, another form, or a damaged one; one sentence with path, line or column.
    pub fn read(path: &Path, hints: Hints<'_>) -> Result<Foreign> {
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        path.metadata().map_err(|e| refuse(path, &e.to_string()))?;
        let mut foreign = match ending.as_deref() {
            _ if path.is_dir() => qdax::read(path)?,
            Some("csv") => csv::read(path)?,
            Some("npz") => npz::read(path)?,
            Some("dat") => pymap::read(path, hints)?,
            Some("h5") => {
                return Err(refuse(
                    path,
                    "is no file of another program: every command opens an .h5 file as it is",
                ));
            }
            _ => {
                let expected = "expected a data frame of pyribs (.csv or .npz), an archive of pymap_elites (.dat) or a folder that QDax saved";
                return Err(refuse(path, expected));
            }
        };
        if let Some(file) = hints.centroids.filter(|_| foreign.form != pymap::FORM) {
            foreign.centroids = Some(centroids(file, foreign.k)?);
        }
        foreign.check(path)?;
        Ok(foreign)
    }

    pub fn rows(&self) -> usize {
        self.fitness.len()
    }

    fn check(&self, path: &Path) -> Result<()> {
        if self.rows() == 0 {
            return Err(refuse(path, "holds no elites"));
        }
        for (what, values, width) in [("objective", &self.fitness, 1), ("measures", &self.descriptor, self.k)] {
            if let Some(at) = values.iter().position(|x| !x.is_finite()) {
                let message = format!(
                    "{what} of elite {} is {}, and must be a finite number",
                    at / width,
                    values[at]
                );
                return Err(refuse(path, &message));
            }
        }
        if let Some(at) = self.genes.iter().position(|x| !x.is_finite()) {
            let message = format!(
                "gene {} of elite {} is {}, and must be a finite number of 32 bits",
                at % self.dim,
                at / self.dim,
                self.genes[at]
            );
            return Err(refuse(path, &message));
        }
        Ok(())
    }
}

/// Centroids from a file: an array of numpy, or numbers in lines as pymap_elites writes them; `[cells, k]`.
///
/// # Errors
/// No such file, or other numbers.
fn centroids(path: &Path, k: usize) -> Result<Vec<f64>> {
    let (values, width) = any_centroids(path)?;
    if width != k {
        let message = format!("holds centroids of {width} numbers, and the elites have {k} measures");
        return Err(refuse(path, &message));
    }
    Ok(values)
}

/// The same of any number of axes, which is given as well.
fn any_centroids(path: &Path) -> Result<(Vec<f64>, usize)> {
    let (values, width) = match path.extension().is_some_and(|e| e == "npy") {
        true => {
            let field = npy::file(path)?;
            match (field.values, field.width) {
                (Values::Real(values), width) => (values, width),
                (Values::Short(values), width) => (values.into_iter().map(f64::from).collect(), width),
                _ => return Err(refuse(path, "expected centroids, an array of floating-point numbers")),
            }
        }
        false => pymap::table(path)?,
    };
    match values.iter().all(|x| x.is_finite()) && !values.is_empty() {
        true => Ok((values, width)),
        false => Err(refuse(path, "expected centroids, all of finite numbers")),
    }
}

fn refuse(path: &Path, what: &str) -> Error {
    Error::input(format!("{}: {what}", path.display()))
}
