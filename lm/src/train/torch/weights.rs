//! A model's weights as training holds them: queries, keys and values are one matrix, gate and up another, so that fewer products are made.

use std::collections::HashMap;

use illume_core::{Error, Purpose, Result, Stream};
use tch::{Kind, Tensor};

use super::rows::Room;
use super::{Tried, numbers};
use crate::Device;
use crate::array::Array;
use crate::checkpoint::Checkpoint;
use crate::config::{ModelConfig, Module};
use crate::model::{GROUPS, Precision, int8_codes, round};

/// All weights.
#[derive(Debug)]
pub(super) struct Weights {
    pub config: ModelConfig,
    /// `[vocab, hidden]`.
    pub embedding: Tensor,
    pub layers: Vec<Layer>,
    pub norm: Tensor,
    /// None where the embedding is the head.
    pub head: Option<Tensor>,
    /// Whether rows are rounded to eight bits before they meet the layers' weights, and the head.
    pub rounds_rows: bool,
    pub rounds_head: bool,
}

#[derive(Debug)]
pub(super) struct Layer {
    pub input_norm: Tensor,
    /// Queries, then keys, then values.
    pub qkv: Map,
    pub qkv_bias: Option<Tensor>,
    pub output: Map,
    pub post_norm: Tensor,
    /// Gate, then up.
    pub gate_up: Map,
    pub down: Map,
}

/// A linear map.
#[derive(Debug)]
pub(super) struct Map {
    /// `[outputs, inputs]`: numbers, or codes of eight bits.
    weight: Tensor,
    /// What codes are multiplied by, `[outputs]` in f32.
    scales: Option<Tensor>,
}

impl Map {
    /// The products with `x [.., inputs]`, and a bias added to them.
    pub fn apply(&self, x: &Tensor, bias: Option<&Tensor>) -> Tried<Tensor> {
        let Some(scales) = &self.scales else {
            return x.f_linear(&self.weight, bias);
        };
        // bf16 holds all codes.
        let kind = x.f_kind()?;
        let y = x.f_linear(&self.weight.f_to_kind(kind)?, None::<&Tensor>)?;
        let y = y.f_mul(scales)?.f_to_kind(kind)?;
        match bias {
            Some(bias) => y.f_add(bias),
            None => Ok(y),
        }
    }
}

impl Layer {
    /// In the order of [`GROUPS`].
    fn maps(&mut self) -> [&mut Map; 4] {
        [&mut self.qkv, &mut self.output, &mut self.gate_up, &mut self.down]
    }
}

impl Weights {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// A tensor is missing, or the device has too little memory.
    pub fn load(checkpoint: &Checkpoint, kind: Kind, device: Device) -> Result<Weights> {
        let config = checkpoint.config.clone();
        let mut list = Vec::new();
        for names in fused_names(&config) {
            let part = |name: &String| -> Result<Tensor> {
                let read = checkpoint.tensor(name)?.tensor();
                read.and_then(|t| t.f_to_device(device.into())?.f_to_kind(kind))
                    .map_err(failed)
            };
            let parts: Result<Vec<Tensor>> = names.iter().map(part).collect();
            list.push(Tensor::f_cat(&parts?, 0).map_err(failed)?);
        }
        Ok(Weights::of(&config, list))
    }

    /// Reads a checkpoint as a model of this precision on this device computes with it: on the processor in f32, on a device as it is stored there.
    ///
    /// # Errors
    /// As [`Weights::load`].
    pub fn rounded(checkpoint: &Checkpoint, precision: Precision, device: Device) -> Result<Weights> {
        if precision == Precision::F32 {
            return Weights::load(checkpoint, Kind::Float, device);
        }
        let on_processor = device == Device::Cpu;
        let kind = if on_processor { Kind::Float } else { Kind::BFloat16 };
        let config = checkpoint.config.clone();
        let shapes: HashMap<String, Vec<usize>> = config.tensors().into_iter().collect();
        let place = |values: &[f32], shape: &[i64]| {
            let tensor = Tensor::f_from_slice(values)?.f_view(shape)?;
            tensor.f_to_device(device.into())?.f_to_kind(kind)
        };
        let part = |name: &String| -> Result<Tensor> {
            let shape: Vec<i64> = shapes[name].iter().map(|n| *n as i64).collect();
            let mut values = checkpoint.floats(name)?;
            round(&mut values, name, &shapes[name], precision, device);
            place(&values, &shape).map_err(failed)
        };
        let coded = precision == Precision::Int8 && !on_processor;
        let (mut list, mut scales) = (Vec::new(), Vec::new());
        for names in fused_names(&config) {
            if coded && names[0].contains(".layers.") && shapes[&names[0]].len() == 2 {
                let (codes, scale) = codes(checkpoint, &names, shapes[&names[0]][1], device)?;
                list.push(codes);
                scales.push(scale);
                continue;
            }
            let parts: Result<Vec<Tensor>> = names.iter().map(part).collect();
            list.push(Tensor::f_cat(&parts?, 0).map_err(failed)?);
        }
        let mut weights = Weights {
            rounds_rows: on_processor && precision == Precision::Int8,
            rounds_head: on_processor && matches!(precision, Precision::Int8 | Precision::Int4 { .. }),
            ..Weights::of(&config, list)
        };
        let maps = weights.layers.iter_mut().flat_map(Layer::maps);
        maps.zip(scales).for_each(|(map, scale)| map.scales = Some(scale));
        Ok(weights)
    }

    /// Weights as `transformers` initializes them: matrices normal with the configuration's deviation, norms 1, biases 0.
    pub fn random(config: &ModelConfig, seed: u64, device: Device) -> Result<Weights> {
        let mut list = Vec::new();
        for (number, shape) in fused_shapes(config).iter().enumerate() {
            let mut values = vec![0.0; shape.iter().product::<i64>() as usize];
            let name = &fused_names(config)[number][0];
            if shape.len() == 2 {
                let stream = Stream::new(seed, Purpose::Network, 0, number as u64);
                stream.add_normals(0, config.initializer_range as f32, &mut values);
            } else if name.ends_with("norm.weight") {
                values.fill(1.0);
            }
            let tensor =
                Tensor::f_from_slice(&values).and_then(|t| t.f_view(shape.as_slice())?.f_to_device(device.into()));
            list.push(tensor.map_err(failed)?);
        }
        Ok(Weights::of(config, list))
    }

    /// From tensors in the order of [`Weights::list`].
    fn of(config: &ModelConfig, list: Vec<Tensor>) -> Weights {
        let mut list = list.into_iter();
        let mut next = || list.next().expect("as many tensors as fused_names says");
        let embedding = next();
        let map = |weight| Map { weight, scales: None };
        let layers = (0..config.layers).map(|_| Layer {
            qkv: map(next()),
            qkv_bias: config.attention_bias.then(&mut next),
            output: map(next()),
            gate_up: map(next()),
            down: map(next()),
            input_norm: next(),
            post_norm: next(),
        });
        Weights {
            layers: layers.collect(),
            embedding,
            norm: next(),
            head: (!config.tied).then(&mut next),
            config: config.clone(),
            rounds_rows: false,
            rounds_head: false,
        }
    }

    /// All tensors; the same memory.
    pub fn list(&self) -> Vec<Tensor> {
        let mut list = vec![&self.embedding];
        for l in &self.layers {
            list.push(&l.qkv.weight);
            list.extend(&l.qkv_bias);
            list.extend([&l.output, &l.gate_up, &l.down].map(|map| &map.weight));
            list.extend([&l.input_norm, &l.post_norm]);
        }
        list.push(&self.norm);
        list.extend(&self.head);
        list.into_iter().map(Tensor::shallow_clone).collect()
    }

    /// The same model with other tensors, in the order of [`Weights::list`].
    pub fn replaced(&self, list: Vec<Tensor>) -> Weights {
        Weights {
            rounds_rows: self.rounds_rows,
            rounds_head: self.rounds_head,
            ..Weights::of(&self.config, list)
        }
    }

    /// The same memory once more, for another thread.
    pub fn share(&self) -> Weights {
        let mut shared = self.replaced(self.list());
        for (new, old) in shared.layers.iter_mut().zip(&self.layers) {
            let scales = [&old.qkv, &old.output, &old.gate_up, &old.down].map(|map| &map.scales);
            for (map, scales) in new.maps().into_iter().zip(scales) {
                map.scales = scales.as_ref().map(Tensor::shallow_clone);
            }
        }
        shared
    }

    /// `[vocab, hidden]`, what the last state meets.
    pub fn head(&self) -> &Tensor {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// What a pass through them may take.
    pub fn room(&self) -> Room {
        let device = match self.device() {
            tch::Device::Cuda(number) => Device::Cuda(number),
            _ => Device::Cpu,
        };
        Room::of(device, &self.config, self.kind().elt_size_in_bytes())
    }

    /// What numbers between the layers are in.
    pub fn kind(&self) -> Kind {
        self.embedding.kind()
    }

    pub fn device(&self) -> tch::Device {
        self.embedding.device()
    }

    /// The tensors under the names of checkpoints.
    ///
    /// # Errors
    /// The device failed.
    pub fn named(&self) -> Result<Vec<(String, Array)>> {
        let shapes: HashMap<String, Vec<usize>> = self.config.tensors().into_iter().collect();
        let mut named = Vec::new();
        for (names, tensor) in fused_names(&self.config).iter().zip(self.list()) {
            let values = numbers(&tensor).map_err(failed)?;
            let mut rest = &values[..];
            for name in names {
                let shape = &shapes[name];
                let (own, behind) = rest.split_at(shape.iter().product());
                named.push((name.clone(), Array::new(shape, own.to_vec())));
                rest = behind;
            }
        }
        Ok(named)
    }
}

/// Of each tensor in the order of [`Weights::list`], the names of those that it holds.
fn fused_names(config: &ModelConfig) -> Vec<Vec<String>> {
    let mut names = vec![vec!["model.embed_tokens.weight".to_owned()]];
    for layer in 0..config.layers {
        let of = |modules: &[Module], what: &str| modules.iter().map(|m| format!("{}.{what}", m.path(layer))).collect();
        for modules in GROUPS {
            names.push(of(modules, "weight"));
            if config.attention_bias && modules.contains(&Module::Q) {
                names.push(of(modules, "bias"));
            }
        }
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            names.push(vec![format!("model.layers.{layer}.{norm}.weight")]);
        }
    }
    names.push(vec!["model.norm.weight".into()]);
    if !config.tied {
        names.push(vec!["lm_head.weight".into()]);
    }
    names
}

fn fused_shapes(config: &ModelConfig) -> Vec<Vec<i64>> {
    let single: HashMap<_, _> = config.tensors().into_iter().collect();
    let shape = |names: &Vec<String>| {
        let rows: usize = names.iter().map(|n| single[n][0]).sum();
        let rest = single[&names[0]][1..].iter();
        [rows].iter().chain(rest).map(|n| *n as i64).collect()
    };
    fused_names(config).iter().map(shape).collect()
}

/// Matrices below one another as codes of eight bits, and the scale of each row.
fn codes(checkpoint: &Checkpoint, names: &[String], inputs: usize, device: Device) -> Result<(Tensor, Tensor)> {
    let (mut codes, mut scales) = (Vec::new(), Vec::new());
    for name in names {
        let (own, sizes) = int8_codes(&checkpoint.floats(name)?, inputs);
        codes.extend(own);
        scales.extend(sizes);
    }
    let place = || -> Tried<(Tensor, Tensor)> {
        let codes = Tensor::f_from_slice::<i8>(&codes)?.f_view([-1, inputs as i64])?;
        Ok((
            codes.f_to_device(device.into())?,
            Tensor::f_from_slice(&scales)?.f_to_device(device.into())?,
        ))
    };
    place().map_err(failed)
}

pub(super) fn failed(e: tch::TchError) -> Error {
    Error::failed(format!("libtorch failed while it trained: {e}"))
}
