//! The model by libtorch, on a device: rows share the linear maps, padded only where they attend.
//!
//! Weights of eight and four bits go through libtorch's packed kernels. Sums are libtorch's, so that on a device bits may depend on what else
//! is in a batch; the processor has kernels of our own that do not (see `native.rs`).

mod adapters;
mod attention;
mod choose;
mod linear;

use illume_core::{Error, Result};
use rayon::prelude::*;
use tch::{Device, Kind, TchError, Tensor};

pub(crate) use adapters::{TorchAdapters, TorchBasis};
use attention::{Numbers, Plan, Sketch, padded, rotate};
use linear::Linear;

use super::adapters::GROUPS;
use super::native::Segment;
use super::{Precision, Source, Wish};
use crate::config::{ModelConfig, Module};
use crate::sample::Picked;

/// Layers whose weights are read at once: bounds what they take of the processor's memory in f32.
const AT_ONCE: usize = 8;

type Torch<T> = std::result::Result<T, TchError>;

fn failed(e: TchError) -> Error {
    // What follows is libtorch's own call stack.
    let text = e.to_string();
    Error::failed(format!("libtorch failed: {}", text.lines().next().unwrap_or_default()))
}

/// `x w` in f32, whatever they are in: nothing is rounded on the way out.
pub(crate) fn wide_product(x: &Tensor, w: &Tensor) -> Torch<Tensor> {
    match (x.device(), x.kind()) {
        (_, Kind::Float) => x.f_matmul(w),
        (Device::Cpu, _) => x.f_to_kind(Kind::Float)?.f_matmul(&w.f_to_kind(Kind::Float)?),
        _ => x.f_mm_dtype(w, Kind::Float),
    }
}

#[derive(Debug)]
struct Layer {
    attention_norm: Tensor,
    mlp_norm: Tensor,
    /// By the groups of `GROUPS`.
    maps: [Linear; 4],
    bias: Option<Tensor>,
}

/// A model by libtorch.
#[derive(Debug)]
pub(crate) struct TorchModel {
    config: ModelConfig,
    device: Device,
    kind: Kind,
    layers: Vec<Layer>,
    norm: Tensor,
    embedding: Tensor,
    head: Option<Tensor>,
    frequencies: Tensor,
}

// SAFETY: the tensors are never changed after `load`, and libtorch's may be read by many threads.
unsafe impl Sync for TorchModel {}

/// Keys and values of a layer, `[slots, kv_heads, positions, head_dim]` each; what was never written is 0.
#[derive(Debug)]
pub(crate) struct TorchCache {
    layers: Vec<[Tensor; 2]>,
}

/// The maps of one group of one layer.
fn map_of(
    config: &ModelConfig,
    source: &dyn Source,
    precision: Precision,
    place: (Device, Kind),
    layer: usize,
    modules: &[Module],
) -> Result<Linear> {
    let mut values = Vec::new();
    for module in modules {
        values.extend(source.values(&format!("{}.weight", module.path(layer)))?);
    }
    Linear::new(&values, config.module_dims(modules[0]).0, precision, place)
}

impl TorchModel {
    pub fn load(
        config: &ModelConfig,
        source: &dyn Source,
        precision: Precision,
        device: crate::Device,
    ) -> Result<TorchModel> {
        let device = Device::from(device);
        let kind = match precision {
            Precision::F32 => Kind::Float,
            Precision::Int8 | Precision::Int4 { .. } if device == Device::Cpu => Kind::Float,
            _ => Kind::BFloat16,
        };
        let place = |values: Vec<f32>, shape: &[i64]| -> Result<Tensor> {
            let make = || {
                Tensor::f_from_slice(&values)?
                    .f_view(shape)?
                    .f_to_device(device)?
                    .f_to_kind(kind)
            };
            make().map_err(failed)
        };
        let vector = |name: &str| place(source.values(name)?, &[-1]);
        let table = |name: &str| place(source.values(name)?, &[config.vocab as i64, config.hidden as i64]);
        let layer = |i: usize| -> Result<Layer> {
            let mut maps = Vec::new();
            for modules in GROUPS {
                maps.push(map_of(config, source, precision, (device, kind), i, modules)?);
            }
            let mut bias = None;
            if config.attention_bias {
                let mut values = Vec::new();
                for module in GROUPS[0] {
                    values.extend(source.values(&format!("{}.bias", module.path(i)))?);
                }
                bias = Some(place(values, &[-1])?);
            }
            Ok(Layer {
                attention_norm: vector(&format!("model.layers.{i}.input_layernorm.weight"))?,
                mlp_norm: vector(&format!("model.layers.{i}.post_attention_layernorm.weight"))?,
                maps: maps.try_into().expect("one for each group"),
                bias,
            })
        };
        let mut layers = Vec::new();
        for first in (0..config.layers).step_by(AT_ONCE) {
            let numbers = first..config.layers.min(first + AT_ONCE);
            let some: Result<Vec<Layer>> = numbers.into_par_iter().map(layer).collect();
            layers.extend(some?);
        }
        let frequencies: Vec<f32> = config.rope_frequencies().iter().map(|f| *f as f32).collect();
        Ok(TorchModel {
            config: config.clone(),
            device,
            kind,
            layers,
            norm: vector("model.norm.weight")?,
            embedding: table("model.embed_tokens.weight")?,
            head: if config.tied {
                None
            } else {
                Some(table("lm_head.weight")?)
            },
            frequencies: Tensor::from_slice(&frequencies).to_device(device),
        })
    }

    /// Makes the linear maps of all layers anew.
    pub fn reload(&mut self, source: &dyn Source, precision: Precision) -> Result<()> {
        let (config, place) = (&self.config, (self.device, self.kind));
        for (first, some) in self.layers.chunks_mut(AT_ONCE).enumerate() {
            some.par_iter_mut().enumerate().try_for_each(|(i, layer)| {
                for (map, modules) in layer.maps.iter_mut().zip(GROUPS) {
                    *map = map_of(config, source, precision, place, first * AT_ONCE + i, modules)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    pub fn weight_bytes(&self) -> u64 {
        let of = |t: &Tensor| (t.numel() * t.kind().elt_size_in_bytes()) as u64;
        let layer = |l: &Layer| {
            let maps: u64 = l.maps.iter().map(Linear::bytes).sum();
            maps + of(&l.attention_norm) + of(&l.mlp_norm) + l.bias.as_ref().map_or(0, of)
        };
        let head = self.head.as_ref().map_or(0, of);
        self.layers.iter().map(layer).sum::<u64>() + of(&self.norm) + of(&self.embedding) + head
    }

    /// Bytes of an activation.
    pub fn element(&self) -> usize {
        self.kind.elt_size_in_bytes()
    }

    pub fn cache(&self, slots: usize, positions: usize) -> Result<TorchCache> {
        let c = &self.config;
        let shape = [slots, c.kv_heads, padded(positions), c.head_dim].map(|n| n as i64);
        let make = || Tensor::f_zeros(shape, (self.kind, self.device));
        let pair = |_| -> Torch<[Tensor; 2]> { Ok([make()?, make()?]) };
        Ok(TorchCache {
            layers: (0..c.layers).map(pair).collect::<Torch<_>>().map_err(failed)?,
        })
    }

    /// As the pass of `native.rs`. What is returned counts only for segments that are `last`.
    pub fn pass(
        &self,
        tokens: &[u32],
        segments: &[Segment],
        cache: &TorchCache,
        adapters: &TorchAdapters,
        wish: &Wish,
    ) -> Result<Vec<Picked>> {
        let wanted: Vec<usize> = (0..segments.len()).filter(|i| segments[*i].last).collect();
        let mut picked = vec![Picked::default(); segments.len()];
        let make = || -> Torch<()> {
            let Some(logits) = self.logits(tokens, segments, &wanted, cache, adapters)? else {
                return Ok(());
            };
            match wish {
                Wish::Token { sampling, uniform } => {
                    let uniforms: Vec<f64> = wanted.iter().map(|i| uniform(*i)).collect();
                    let tokens = choose::choose(&logits, sampling, &uniforms)?;
                    wanted.iter().zip(tokens).for_each(|(i, token)| picked[*i] = token);
                }
                Wish::Logits(take) => choose::on_host(&logits, |numbers, vocab| {
                    let rows = numbers.chunks_exact_mut(vocab);
                    wanted.iter().zip(rows).for_each(|(i, row)| take(*i, row));
                })?,
            }
            Ok(())
        };
        tch::no_grad(make).map_err(failed)?;
        Ok(picked)
    }

    /// `[wanted, vocab]` in f32 on the device; none if no segment's are wanted.
    fn logits(
        &self,
        tokens: &[u32],
        segments: &[Segment],
        wanted: &[usize],
        cache: &TorchCache,
        adapters: &TorchAdapters,
    ) -> Torch<Option<Tensor>> {
        let c = &self.config;
        let rows = tokens.len() as i64;
        let (heads, kv_heads, d) = (c.heads as i64, c.kv_heads as i64, c.head_dim as i64);
        let mut numbers = Numbers::default();
        let each = |f: fn(&Segment, usize) -> usize| {
            let of = move |s: &Segment| -> Vec<usize> { (0..s.len).map(|i| f(s, i)).collect() };
            segments.iter().flat_map(of)
        };
        let tokens = numbers.add(tokens.iter().map(|t| *t as usize));
        let slots = numbers.add(each(|s, _| s.slot));
        let members = numbers.add(each(|s, _| s.member as usize));
        let positions = numbers.add(each(|s, i| s.position + i));
        let last = numbers.add(wanted.iter().map(|i| segments[*i].at + segments[*i].len - 1));
        let sketches = [
            Sketch::new(segments, |s| s.len == 1, rows as usize, &mut numbers),
            Sketch::new(segments, |s| s.len > 1, rows as usize, &mut numbers),
        ];
        let sent = numbers.send(self.device)?;
        let (slots, members, positions) = (sent.get(&slots)?, sent.get(&members)?, sent.get(&positions)?);
        let mut plans = Vec::new();
        for sketch in sketches.iter().flatten() {
            plans.push(Plan::new(sketch, &sent, self)?);
        }
        let angles = positions
            .f_to_kind(Kind::Float)?
            .f_unsqueeze(1)?
            .f_mul(&self.frequencies)?;
        let (cos, sin) = (angles.f_cos()?, angles.f_sin()?);
        let table =
            |first: &Tensor, second: &Tensor| Tensor::f_cat(&[first, second], 1)?.f_unsqueeze(1)?.f_to_kind(self.kind);
        let (cos, sin) = (table(&cos, &cos)?, table(&sin.f_neg()?, &sin)?);
        let norm = |x: &Tensor, weight: &Tensor| x.f_rms_norm([c.hidden as i64], Some(weight), c.rms_eps);
        let chosen = adapters.choose(members)?;

        let mut h = self.embedding.f_index_select(0, &sent.get(&tokens)?)?;
        for (number, (layer, [keys, values])) in self.layers.iter().zip(&cache.layers).enumerate() {
            let adapt = |group: usize, y: &mut Tensor, x: &Tensor| match &adapters.layers[number][group] {
                Some(adapter) => adapters.add(adapter, y, x, &chosen),
                None => Ok(()),
            };
            let apply = |group: usize, x: &Tensor, bias: Option<&Tensor>| -> Torch<Tensor> {
                let mut y = layer.maps[group].apply(x, bias)?;
                adapt(group, &mut y, x)?;
                Ok(y)
            };
            let add = |group: usize, y: &mut Tensor, x: &Tensor| -> Torch<()> {
                layer.maps[group].add_to(y, x)?;
                adapt(group, y, x)
            };
            let qkv = apply(0, &norm(&h, &layer.attention_norm)?, layer.bias.as_ref())?;
            let (turned, width) = (heads + kv_heads, (heads + kv_heads) * d);
            let qk = rotate(&qkv.f_narrow(1, 0, width)?.f_view([rows, turned, d])?, &cos, &sin)?;
            let (q, k) = (qk.f_narrow(1, 0, heads)?, qk.f_narrow(1, heads, kv_heads)?);
            let v = qkv.f_narrow(1, width, kv_heads * d)?.f_view([rows, kv_heads, d])?;
            for (store, new) in [(keys, &k), (values, &v)] {
                let mut store = store.shallow_clone();
                let _ = store.f_index_put_(&[Some(&slots), None, Some(&positions)], new, false)?;
            }
            let out = match &plans[..] {
                [plan] if plan.alone => plan.attend(&q, keys, values)?,
                _ => {
                    let mut out = Tensor::f_zeros([rows, heads * d], (self.kind, self.device))?;
                    for plan in &plans {
                        let got = plan.attend(&q, keys, values)?;
                        let _ = out.f_index_copy_(0, &plan.tokens, &got)?;
                    }
                    out
                }
            };
            add(1, &mut h, &out)?;
            let gate_up = apply(2, &norm(&h, &layer.mlp_norm)?, None)?.f_chunk(2, 1)?;
            add(3, &mut h, &gate_up[0].f_silu()?.f_mul_(&gate_up[1])?)?;
        }
        if wanted.is_empty() {
            return Ok(None);
        }
        let x = norm(&h.f_index_select(0, &sent.get(&last)?)?, &self.norm)?;
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        Ok(Some(wide_product(&x, &head.f_tr()?)?))
    }
}
