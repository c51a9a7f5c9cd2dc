//! A model on disk: a folder as Hugging Face writes it (`config.json` and safetensors), or a file in llama.cpp's format GGUF.

mod encoding;
mod safetensors;

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use illume_core::{Digest, Error, Result};
use memmap2::Mmap;
use rayon::prelude::*;

pub(crate) use encoding::Encoding;

use crate::array::Array;
use crate::config::{Float, ModelConfig};
use crate::gguf;
use crate::model::Source;
pub(crate) use safetensors::open_as;

/// Bytes of each tensor that a fingerprint reads.
const SAMPLE: usize = 256;

/// A model on disk. Its tensors are read when they are asked for, by their names in Hugging Face's layout; the files stay mapped.
#[derive(Debug)]
pub struct Checkpoint {
    pub config: ModelConfig,
    path: PathBuf,
    /// What is at fault where a tensor is, for messages.
    shown: String,
    files: Vec<Mmap>,
    index: HashMap<String, Stored>,
}

/// Where a tensor lies, and how.
#[derive(Debug)]
pub(crate) struct Stored {
    pub file: usize,
    pub bytes: Range<usize>,
    pub shape: Vec<usize>,
    pub encoding: Encoding,
    /// Rows of a head, where llama.cpp's order of them is another than Hugging Face's.
    pub turned: Option<usize>,
}

impl Stored {
    /// The stored row that is row `r` of the tensor. Rotary positions turn pairs of a head's rows: the i-th of the first half with the i-th of the second,
    /// which llama.cpp's converter puts side by side (`LlamaModel.permute`).
    fn row(&self, r: usize) -> usize {
        match self.turned {
            None => r,
            Some(head) => r / head * head + r % head % (head / 2) * 2 + r % head / (head / 2),
        }
    }
}

impl Checkpoint {
    /// Maps the files of a folder or a GGUF file, and checks that all tensors of the model are there with the shapes that the configuration says.
    ///
    /// # Errors
    /// As [`ModelConfig::read`], or the GGUF file is damaged or of another architecture; a shard or a tensor is missing, damaged, or of another shape or
    /// element type.
    pub fn open(path: &Path) -> Result<Checkpoint> {
        let checkpoint = match path.is_file() {
            true => gguf::checkpoint(path)?,
            false => safetensors::open(path)?,
        };
        for (name, shape) in checkpoint.config.tensors() {
            let stored = checkpoint.find(&name)?;
            if stored.shape != shape {
                return Err(checkpoint.wrong(&format!(
                    "the tensor {name} has the shape {:?}, and {} says {shape:?}",
                    stored.shape,
                    if path.is_file() { "the metadata" } else { "config.json" },
                )));
            }
        }
        Ok(checkpoint)
    }

    /// Of a single file.
    pub(crate) fn of_file(path: &Path, file: Mmap, config: ModelConfig, index: HashMap<String, Stored>) -> Checkpoint {
        Checkpoint {
            config,
            path: path.to_owned(),
            shown: path.display().to_string(),
            files: vec![file],
            index,
        }
    }

    /// The folder or file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a tensor.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn tensor(&self, name: &str) -> Result<Array> {
        Ok(Array::new(&self.find(name)?.shape, self.floats(name)?))
    }

    /// All numbers of a tensor in f32, row by row.
    pub(crate) fn floats(&self, name: &str) -> Result<Vec<f32>> {
        let stored = self.find(name)?;
        let bytes = self.bytes(stored);
        let mut out = vec![0.0; stored.shape.iter().product()];
        let columns = stored.shape.last().copied().unwrap_or(1).max(1);
        let size = stored.encoding.bytes(columns);
        let size = size.ok_or_else(|| self.wrong(&format!("the rows of the tensor {name} are no whole blocks")))?;
        out.par_chunks_mut(columns).enumerate().for_each(|(r, out)| {
            let from = stored.row(r) * size;
            stored.encoding.decode(&bytes[from..from + size], out);
        });
        Ok(out)
    }

    /// Whether all matrices are stored in bf16, so that holding them in it loses nothing.
    pub(crate) fn is_bf16(&self) -> bool {
        let matrices = self.config.tensors().into_iter().filter(|(_, shape)| shape.len() == 2);
        let mut encodings = matrices.map(|(name, _)| self.find(&name).map(|stored| stored.encoding));
        encodings.all(|encoding| matches!(encoding, Ok(Encoding::BF16)))
    }

    /// A number that differs for different models: of the names and shapes of all tensors and of some bytes of each.
    pub fn fingerprint(&self) -> u64 {
        let mut names: Vec<&String> = self.index.keys().collect();
        names.sort();
        let mut digest = Digest::default();
        for name in names {
            let stored = &self.index[name];
            digest.take(name.as_bytes());
            for n in &stored.shape {
                digest.take(&(*n as u64).to_le_bytes());
            }
            let bytes = self.bytes(stored);
            for part in 0..4 {
                let from = bytes.len() / 4 * part;
                digest.take(&bytes[from..bytes.len().min(from + SAMPLE / 4)]);
            }
        }
        digest.value()
    }

    fn find(&self, name: &str) -> Result<&Stored> {
        let missing = || self.wrong(&format!("the tensor {name} is missing"));
        self.index.get(name).ok_or_else(missing)
    }

    fn bytes(&self, stored: &Stored) -> &[u8] {
        &self.files[stored.file][stored.bytes.clone()]
    }

    fn wrong(&self, what: &str) -> Error {
        Error::input(format!("{}: {what}", self.shown))
    }

    /// Writes the model as a folder in Hugging Face's layout, all but the tokenizer: `model.safetensors` in `float`, tensor by tensor, `config.json` and
    /// `generation_config.json`. The folder is made.
    ///
    /// # Errors
    /// A weight is too large for the type, or the files cannot be written.
    pub fn write(&self, dir: &Path, float: Float) -> Result<()> {
        write(dir, &self.config, float, self)
    }
}

/// Maps a file.
pub(crate) fn map(path: &Path) -> std::io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the file is only read, and checkpoints are not written in place; one that is cut while it is used ends the program.
    unsafe { Mmap::map(&file) }
}

/// Writes a model that [`Checkpoint::open`] and `transformers` read: `model.safetensors` in f32, `config.json` and `generation_config.json`.
/// The folder is made.
///
/// # Errors
/// A tensor of the configuration is missing, too many, or of another shape; or the files cannot be written.
pub fn save_checkpoint(dir: &Path, config: &ModelConfig, tensors: &[(String, Array)]) -> Result<()> {
    let expected = config.tensors();
    if let Some((name, _)) = tensors
        .iter()
        .find(|(name, _)| !expected.iter().any(|(e, _)| e == name))
    {
        return Err(Error::input(format!("the model has no tensor {name}")));
    }
    for (name, shape) in expected {
        let tensor = named(tensors, &name)?;
        if tensor.shape() != shape {
            return Err(Error::input(format!(
                "the tensor {name} has the shape {:?}, and must have {shape:?}",
                tensor.shape()
            )));
        }
    }
    write(dir, config, Float::F32, &Tensors(tensors))
}

/// Writes the files of a model, a tensor at a time.
///
/// # Errors
/// A tensor of the configuration is missing, or the files cannot be written.
pub(crate) fn write(dir: &Path, config: &ModelConfig, float: Float, source: &dyn Source) -> Result<()> {
    std::fs::create_dir_all(dir)
        .map_err(|e| Error::failed(format!("the folder {} cannot be made: {e}", dir.display())))?;
    config.write(dir, float)?;
    safetensors::write(dir, config, float, source)
}

fn named<'a>(tensors: &'a [(String, Array)], name: &str) -> Result<&'a Array> {
    let tensor = tensors.iter().find(|(n, _)| n == name).map(|(_, t)| t);
    tensor.ok_or_else(|| Error::input(format!("the tensor {name} is missing")))
}

/// Tensors by name.
struct Tensors<'a>(&'a [(String, Array)]);

impl Source for Tensors<'_> {
    fn values(&self, name: &str) -> Result<Vec<f32>> {
        Ok(named(self.0, name)?.values().to_vec())
    }
}
