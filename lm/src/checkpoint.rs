//! A folder as Hugging Face writes it: `config.json` and safetensors, in one file or in shards that an index names.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use illume_core::{Error, Result, mix64};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors, TensorInfo, TensorView};
use tch::{Device, Kind, Tensor};

use crate::config::ModelConfig;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Bytes of each tensor that a fingerprint reads.
const SAMPLE: usize = 256;

/// A model on disk. Its tensors are read when they are asked for; the files stay mapped.
#[derive(Debug)]
pub struct Checkpoint {
    pub config: ModelConfig,
    dir: PathBuf,
    shards: Vec<Shard>,
    /// Tensor name: its shard, and where it lies.
    index: HashMap<String, (usize, TensorInfo)>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    map: Mmap,
    /// Where the tensors' bytes begin.
    data: usize,
}

impl Checkpoint {
    /// Maps the files of a folder, and checks that all tensors of the model are there with the shapes that the configuration says.
    ///
    /// # Errors
    /// As [`ModelConfig::read`]; a shard or a tensor is missing, damaged, or of another shape or element type.
    pub fn open(dir: &Path) -> Result<Checkpoint> {
        let config = ModelConfig::read(dir)?;
        let mut checkpoint = Checkpoint {
            config,
            dir: dir.to_owned(),
            shards: Vec::new(),
            index: HashMap::new(),
        };
        for file in shard_names(dir)? {
            checkpoint.add_shard(&dir.join(file))?;
        }
        for (name, shape) in checkpoint.config.tensors() {
            let (_, info) = checkpoint.find(&name)?;
            if info.shape != shape {
                return Err(checkpoint.wrong(&format!(
                    "the tensor {name} has the shape {:?}, and config.json says {shape:?}",
                    info.shape
                )));
            }
            kind_of(info.dtype).ok_or_else(|| {
                checkpoint.wrong(&format!(
                    "the tensor {name} has elements of type {:?}; F32, F16 and BF16 can be read",
                    info.dtype
                ))
            })?;
        }
        Ok(checkpoint)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads a tensor, converted.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn tensor(&self, name: &str, kind: Kind, device: Device) -> Result<Tensor> {
        let (shard, info) = self.find(name)?;
        let from = kind_of(info.dtype)
            .ok_or_else(|| self.wrong(&format!("the tensor {name} has elements of type {:?}", info.dtype)))?;
        let shape: Vec<i64> = info.shape.iter().map(|n| *n as i64).collect();
        Tensor::f_from_data_size(self.bytes(shard, &info), &shape, from)
            .and_then(|t| t.f_to_kind(kind))
            .and_then(|t| t.f_to_device(device))
            .map_err(|e| {
                Error::failed(format!(
                    "{}: the tensor {name} cannot be loaded: {e}",
                    self.dir.display()
                ))
            })
    }

    /// All numbers of a tensor in f32, row by row.
    pub(crate) fn floats(&self, name: &str) -> Result<Vec<f32>> {
        let (shard, info) = self.find(name)?;
        let bytes = self.bytes(shard, &info);
        let pairs = || bytes.as_chunks::<2>().0.iter();
        Ok(match info.dtype {
            Dtype::BF16 => pairs().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::F16 => pairs().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            _ => bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
        })
    }

    /// Whether all matrices are stored in bf16, so that holding them in it loses nothing.
    pub(crate) fn is_bf16(&self) -> bool {
        let matrices = self.config.tensors().into_iter().filter(|(_, shape)| shape.len() == 2);
        let mut dtypes = matrices.map(|(name, _)| self.find(&name).map(|(_, info)| info.dtype));
        dtypes.all(|dtype| matches!(dtype, Ok(Dtype::BF16)))
    }

    /// Whether a tensor of this name is there.
    pub fn has(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// A number that differs for different models: of the names and shapes of all tensors and of some bytes of each.
    pub fn fingerprint(&self) -> u64 {
        let mut names: Vec<&String> = self.index.keys().collect();
        names.sort();
        let mut hash = 0;
        let mut take = |bytes: &[u8]| {
            hash = mix64(hash ^ bytes.len() as u64);
            for word in bytes.chunks(8) {
                let mut padded = [0; 8];
                padded[..word.len()].copy_from_slice(word);
                hash = mix64(hash ^ u64::from_le_bytes(padded));
            }
        };
        for name in names {
            let (shard, info) = &self.index[name];
            take(name.as_bytes());
            for n in &info.shape {
                take(&(*n as u64).to_le_bytes());
            }
            let bytes = self.bytes(*shard, info);
            for part in 0..4 {
                let from = bytes.len() / 4 * part;
                take(&bytes[from..bytes.len().min(from + SAMPLE / 4)]);
            }
        }
        hash
    }

    fn find(&self, name: &str) -> Result<(usize, TensorInfo)> {
        let missing = || self.wrong(&format!("the tensor {name} is missing"));
        self.index.get(name).cloned().ok_or_else(missing)
    }

    fn bytes(&self, shard: usize, info: &TensorInfo) -> &[u8] {
        let shard = &self.shards[shard];
        let (from, to) = info.data_offsets;
        &shard.map[shard.data + from..shard.data + to]
    }

    fn add_shard(&mut self, path: &Path) -> Result<()> {
        let open = File::open(path).map_err(|e| {
            Error::input(format!(
                "{}: the file {} of the checkpoint cannot be read: {e}",
                self.dir.display(),
                path.file_name().unwrap_or_default().display()
            ))
        });
        // SAFETY: the file is only read, and checkpoints are not written in place; one that is cut while it is used ends the program.
        let map = unsafe { Mmap::map(&open?) }
            .map_err(|e| Error::failed(format!("{} cannot be mapped: {e}", path.display())))?;
        let damaged = |e| {
            Error::input(format!(
                "{} is damaged, cut short or not in safetensors format: {e}",
                path.display()
            ))
        };
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(damaged)?;
        let data = header + size_of::<u64>();
        let number = self.shards.len();
        for (name, info) in metadata.tensors() {
            if self.index.insert(name.clone(), (number, info.clone())).is_some() {
                return Err(self.wrong(&format!("the tensor {name} is in two shards")));
            }
        }
        self.shards.push(Shard {
            path: path.to_owned(),
            map,
            data,
        });
        Ok(())
    }

    fn wrong(&self, what: &str) -> Error {
        let files = match self.shards.as_slice() {
            [one] => one.path.display().to_string(),
            _ => self.dir.display().to_string(),
        };
        Error::input(format!("{files}: {what}"))
    }
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

fn kind_of(dtype: Dtype) -> Option<Kind> {
    match dtype {
        Dtype::F32 => Some(Kind::Float),
        Dtype::F16 => Some(Kind::Half),
        Dtype::BF16 => Some(Kind::BFloat16),
        _ => None,
    }
}

/// Writes a model that [`Checkpoint::open`] and `transformers` read: `model.safetensors` in f32, `config.json` and `generation_config.json`.
/// The folder is made.
///
/// # Errors
/// A tensor of the configuration is missing, too many, or of another shape; or the files cannot be written.
pub fn save_checkpoint(dir: &Path, config: &ModelConfig, tensors: &[(String, Tensor)]) -> Result<()> {
    let expected = config.tensors();
    if let Some((name, _)) = tensors
        .iter()
        .find(|(name, _)| !expected.iter().any(|(e, _)| e == name))
    {
        return Err(Error::input(format!("the model has no tensor {name}")));
    }
    let mut bytes: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, shape) in expected {
        let tensor = tensors.iter().find(|(n, _)| *n == name).map(|(_, t)| t);
        let tensor = tensor.ok_or_else(|| Error::input(format!("the tensor {name} is missing")))?;
        if tensor.size().iter().map(|n| *n as usize).ne(shape.iter().copied()) {
            return Err(Error::input(format!(
                "the tensor {name} has the shape {:?}, and must have {shape:?}",
                tensor.size()
            )));
        }
        bytes.push((
            name,
            shape,
            floats(tensor)?.iter().flat_map(|x| x.to_le_bytes()).collect(),
        ));
    }
    std::fs::create_dir_all(dir)
        .map_err(|e| Error::failed(format!("the folder {} cannot be made: {e}", dir.display())))?;
    config.write(dir)?;
    let views: Vec<(&str, TensorView)> = bytes
        .iter()
        .map(|(name, shape, data)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), data).expect("as many bytes as the shape says");
            (name.as_str(), view)
        })
        .collect();
    // What `transformers` wants to see before it reads the file.
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let path = dir.join(SINGLE);
    safetensors::serialize_to_file(views, Some(format), &path)
        .map_err(|e| Error::failed(format!("{} cannot be written: {e}", path.display())))
}

/// All numbers of a tensor, in f32, row by row.
pub(crate) fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    let read = || {
        let flat = tensor
            .detach()
            .f_to_device(Device::Cpu)?
            .f_to_kind(Kind::Float)?
            .f_contiguous()?;
        let mut out = vec![0.0_f32; flat.numel()];
        let n = out.len();
        flat.f_copy_data(&mut out, n)?;
        Ok(out)
    };
    read().map_err(|e: tch::TchError| Error::failed(format!("a tensor cannot be read: {e}")))
}
