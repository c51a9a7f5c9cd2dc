//! Tensors in safetensors, in one file or in shards that an index names.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use half::{bf16, f16};
use illume_core::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, View};

use super::{Checkpoint, Encoding, Stored, map};
use crate::config::{Float, ModelConfig};
use crate::model::Source;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Maps the shards of a folder.
///
/// # Errors
/// As [`ModelConfig::read`]; a shard is missing or damaged, or a tensor of the model has elements of another type.
pub(super) fn open(dir: &Path) -> Result<Checkpoint> {
    let config = ModelConfig::read(dir)?;
    let names = shard_names(dir)?;
    let mut checkpoint = Checkpoint {
        config,
        path: dir.to_owned(),
        shown: match names.as_slice() {
            [one] => dir.join(one).display().to_string(),
            _ => dir.display().to_string(),
        },
        files: Vec::new(),
        index: HashMap::new(),
    };
    for name in names {
        add_shard(&mut checkpoint, &dir.join(name))?;
    }
    Ok(checkpoint)
}

fn add_shard(checkpoint: &mut Checkpoint, path: &Path) -> Result<()> {
    let file = map(path).map_err(|e| {
        let name = path.file_name().unwrap_or_default().display();
        let dir = checkpoint.path.display();
        Error::input(format!("{dir}: the file {name} of the checkpoint cannot be read: {e}"))
    })?;
    let damaged = |e| {
        Error::input(format!(
            "{} is damaged, cut short or not in safetensors format: {e}",
            path.display()
        ))
    };
    let (header, metadata) = SafeTensors::read_metadata(&file).map_err(damaged)?;
    let data = header + size_of::<u64>();
    let wanted = checkpoint.config.tensors();
    for (name, info) in metadata.tensors() {
        let encoding = match info.dtype {
            Dtype::F32 => Encoding::F32,
            Dtype::F16 => Encoding::F16,
            Dtype::BF16 => Encoding::BF16,
            other if wanted.iter().any(|(w, _)| *w == name) => {
                return Err(checkpoint.wrong(&format!(
                    "the tensor {name} has elements of type {other:?}; F32, F16 and BF16 can be read"
                )));
            }
            _ => continue,
        };
        let (from, to) = info.data_offsets;
        let stored = Stored {
            file: checkpoint.files.len(),
            bytes: data + from..data + to,
            shape: info.shape.clone(),
            encoding,
            turned: None,
        };
        if checkpoint.index.insert(name.clone(), stored).is_some() {
            return Err(checkpoint.wrong(&format!("the tensor {name} is in two shards")));
        }
    }
    checkpoint.files.push(file);
    Ok(())
}

/// The files that hold tensors, in the order of their names.
fn shard_names(dir: &Path) -> Result<Vec<String>> {
    let index = dir.join(INDEX);
    if !index.is_file() {
        if !dir.join(SINGLE).is_file() {
            return Err(Error::input(format!(
                "{} has neither {SINGLE} nor {INDEX}",
                dir.display()
            )));
        }
        return Ok(vec![SINGLE.to_owned()]);
    }
    let wrong = |what: String| Error::input(format!("{}: {what}", index.display()));
    let text = std::fs::read_to_string(&index).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| wrong(format!("is not JSON: {e}")))?;
    let map = value
        .get("weight_map")
        .and_then(|m| m.as_object())
        .ok_or_else(|| wrong("weight_map is missing, and must name the file of each tensor".into()))?;
    let mut names = Vec::new();
    for (tensor, file) in map {
        let file = file
            .as_str()
            .ok_or_else(|| wrong(format!("the file of the tensor {tensor} is not a string")))?;
        names.push(file.to_owned());
    }
    names.sort();
    names.dedup();
    match names.iter().find(|name| !dir.join(name).is_file()) {
        Some(name) => Err(Error::input(format!(
            "{}: the shard {name}, which {INDEX} names, is missing",
            dir.display()
        ))),
        None => Ok(names),
    }
}

/// A tensor on its way into a file: made when its turn comes, so that one at a time is in memory.
struct Outgoing<'a> {
    name: String,
    shape: Vec<usize>,
    float: Float,
    source: &'a dyn Source,
    /// The first thing that went wrong, since [`View::data`] cannot say it.
    fault: &'a RefCell<Option<Error>>,
}

impl Outgoing<'_> {
    fn bytes(&self) -> Result<Vec<u8>> {
        let values = self.source.values(&self.name)?;
        let bytes = match self.float {
            Float::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Float::F16 => {
                if let Some(x) = values.iter().find(|x| x.is_finite() && !f16::from_f32(**x).is_finite()) {
                    return Err(Error::input(format!(
                        "the tensor {} holds {x}, which f16 cannot hold: take bf16 or f32",
                        self.name
                    )));
                }
                values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect()
            }
            Float::BF16 => values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
        };
        Ok(bytes)
    }
}

impl View for Outgoing<'_> {
    fn dtype(&self) -> Dtype {
        match self.float {
            Float::F32 => Dtype::F32,
            Float::F16 => Dtype::F16,
            Float::BF16 => Dtype::BF16,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        let bytes = self.bytes().unwrap_or_else(|e| {
            self.fault.borrow_mut().get_or_insert(e);
            vec![0; self.data_len()]
        });
        bytes.into()
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.float.bytes()
    }
}

/// Writes the tensors of a model as `model.safetensors`, one after another.
///
/// # Errors
/// A tensor cannot be had or does not fit the type, or the file cannot be written.
pub(super) fn write(dir: &Path, config: &ModelConfig, float: Float, source: &dyn Source) -> Result<()> {
    let fault = RefCell::new(None);
    let views = config.tensors().into_iter().map(|(name, shape)| {
        let view = Outgoing {
            name: name.clone(),
            shape,
            float,
            source,
            fault: &fault,
        };
        (name, view)
    });
    // What `transformers` wants to see before it reads the file.
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let path = dir.join(SINGLE);
    let failed = |e: &dyn std::fmt::Display| Error::failed(format!("{} cannot be written: {e}", path.display()));
    let written = safetensors::serialize_to_file(views.collect::<Vec<_>>(), Some(format), &path);
    if let Some(fault) = fault.take() {
        let _ = std::fs::remove_file(&path);
        return Err(fault);
    }
    written.map_err(|e| failed(&e))?;
    open_as(&path, &dir.join("config.json"))?;
    // The index of shards that the folder held before would be read in place of the file.
    match std::fs::remove_file(dir.join(INDEX)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(&e)),
        _ => Ok(()),
    }
}

/// Lets everyone read a file who may read another one: the crate safetensors writes files that their owner alone may read.
///
/// # Errors
/// The other file is not there, or permissions cannot be changed.
pub(crate) fn open_as(path: &Path, other: &Path) -> Result<()> {
    std::fs::metadata(other)
        .and_then(|m| std::fs::set_permissions(path, m.permissions()))
        .map_err(|e| Error::failed(format!("{} cannot be made readable: {e}", path.display())))
}
