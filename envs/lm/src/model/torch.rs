//! The model by libtorch, on a device: rows share the linear maps, padded only where they attend.
//!
//! Weights of eight and four bits go through libtorch's packed kernels. Sums are libtorch's, so that on a device bits may depend on what else
//! is in a batch; the processor has kernels of our own that do not (see `native.rs`).

mod adapters;
mod attention;
mod linear;

use illume_core::{Error, Result};
use tch::{Device, IndexOp, Kind, TchError, Tensor};

pub(crate) use adapters::TorchAdapters;
use attention::rotate;
use linear::Linear;

use super::adapters::GROUPS;
use super::native::Segment;
use super::{Precision, Source};
use crate::config::ModelConfig;

type Torch<T> = std::result::Result<T, TchError>;

fn failed(e: TchError) -> Error {
    Error::failed(format!("libtorch failed: {e}"))
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

/// Keys and values of a layer, `[slots, kv_heads, positions, head_dim]` each.
#[derive(Debug)]
pub(crate) struct TorchCache {
    layers: Vec<[Tensor; 2]>,
}

impl TorchModel {
    pub fn load(config: &ModelConfig, source: &dyn Source, precision: Precision, device: Device) -> Result<TorchModel> {
        let kind = match precision {
            Precision::F32 => Kind::Float,
            Precision::Int8 | Precision::Int4 { .. } if device == Device::Cpu => Kind::Float,
            _ => Kind::BFloat16,
        };
        let place = |values: Vec<f32>, shape: &[i64]| -> Result<Tensor> {
            let make = || {
                Tensor::f_from_slice(&values)?
                    .f_view(shape)?
                    .f_to_kind(kind)?
                    .f_to_device(device)
            };
            make().map_err(failed)
        };
        let vector = |name: &str| place(source.values(name)?, &[-1]);
        let table = |name: &str| place(source.values(name)?, &[config.vocab as i64, config.hidden as i64]);
        let mut layers = Vec::new();
        for i in 0..config.layers {
            let mut maps = Vec::new();
            for modules in GROUPS {
                let mut values = Vec::new();
                for module in modules {
                    values.extend(source.values(&format!("{}.weight", module.path(i)))?);
                }
                maps.push(Linear::new(
                    &values,
                    config.module_dims(modules[0]).0,
                    precision,
                    (device, kind),
                )?);
            }
            let mut bias = None;
            if config.attention_bias {
                let mut values = Vec::new();
                for module in GROUPS[0] {
                    values.extend(source.values(&format!("{}.bias", module.path(i)))?);
                }
                bias = Some(place(values, &[-1])?);
            }
            layers.push(Layer {
                attention_norm: vector(&format!("model.layers.{i}.input_layernorm.weight"))?,
                mlp_norm: vector(&format!("model.layers.{i}.post_attention_layernorm.weight"))?,
                maps: maps.try_into().expect("one for each group"),
                bias,
            });
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
        let shape = [slots, c.kv_heads, positions, c.head_dim].map(|n| n as i64);
        let make = || Tensor::f_zeros(shape, (self.kind, self.device));
        let pair = |_| -> Torch<[Tensor; 2]> { Ok([make()?, make()?]) };
        Ok(TorchCache {
            layers: (0..c.layers).map(pair).collect::<Torch<_>>().map_err(failed)?,
        })
    }

    /// As the pass of `native.rs`; `pick` runs on this thread.
    pub fn pass(
        &self,
        tokens: &[u32],
        segments: &[Segment],
        cache: &TorchCache,
        adapters: &TorchAdapters,
        pick: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> Result<()> {
        let wanted: Vec<usize> = (0..segments.len()).filter(|i| segments[*i].last).collect();
        let logits = tch::no_grad(|| self.logits(tokens, segments, &wanted, cache, adapters)).map_err(failed)?;
        let mut row = vec![0.0; self.config.vocab];
        for (i, segment) in wanted.iter().enumerate() {
            logits
                .i(i as i64)
                .f_copy_data(&mut row, self.config.vocab)
                .map_err(failed)?;
            pick(*segment, &mut row);
        }
        Ok(())
    }

    fn numbers(&self, values: impl Iterator<Item = usize>) -> Torch<Tensor> {
        let values: Vec<i64> = values.map(|v| v as i64).collect();
        Tensor::f_from_slice(&values)?.f_to_device(self.device)
    }

    fn logits(
        &self,
        tokens: &[u32],
        segments: &[Segment],
        wanted: &[usize],
        cache: &TorchCache,
        adapters: &TorchAdapters,
    ) -> Torch<Tensor> {
        let c = &self.config;
        let rows = tokens.len() as i64;
        let (heads, kv_heads, d) = (c.heads as i64, c.kv_heads as i64, c.head_dim as i64);
        let each = |f: fn(&Segment, usize) -> usize| {
            self.numbers(segments.iter().flat_map(|s| (0..s.len).map(move |i| f(s, i))))
        };
        let slots = each(|s, _| s.slot)?;
        let members = each(|s, _| s.member as usize)?;
        let positions = each(|s, i| s.position + i)?;
        let angles = positions
            .f_to_kind(Kind::Float)?
            .f_unsqueeze(1)?
            .f_mul(&self.frequencies)?;
        let (cos, sin) = (
            angles.f_cos()?.f_to_kind(self.kind)?,
            angles.f_sin()?.f_to_kind(self.kind)?,
        );
        let plans = [
            self.plan(segments, |s| s.len == 1)?,
            self.plan(segments, |s| s.len > 1)?,
        ];
        let norm = |x: &Tensor, weight: &Tensor| x.f_rms_norm([c.hidden as i64], Some(weight), c.rms_eps);

        let mut h = self
            .embedding
            .f_index_select(0, &self.numbers(tokens.iter().map(|t| *t as usize))?)?;
        for (number, (layer, [keys, values])) in self.layers.iter().zip(&cache.layers).enumerate() {
            let apply = |group: usize, x: &Tensor| -> Torch<Tensor> {
                let y = layer.maps[group].apply(x)?;
                match &adapters[number][group] {
                    Some(adapter) => y.f_add(&adapter.apply(x, &members)?),
                    None => Ok(y),
                }
            };
            let mut qkv = apply(0, &norm(&h, &layer.attention_norm)?)?;
            if let Some(bias) = &layer.bias {
                qkv = qkv.f_add(bias)?;
            }
            let parts = qkv.f_split_with_sizes([heads * d, kv_heads * d, kv_heads * d], 1)?;
            let turned = |x: &Tensor, heads: i64| rotate(&x.f_view([rows, heads, d])?, &cos, &sin);
            let (q, k) = (
                turned(&parts[0].f_contiguous()?, heads)?,
                turned(&parts[1].f_contiguous()?, kv_heads)?,
            );
            let v = parts[2].f_contiguous()?.f_view([rows, kv_heads, d])?;
            for (store, new) in [(keys, &k), (values, &v)] {
                let mut store = store.shallow_clone();
                let _ = store.f_index_put_(&[Some(&slots), None, Some(&positions)], new, false)?;
            }
            let mut out = Tensor::f_zeros([rows, heads * d], (self.kind, self.device))?;
            for plan in plans.iter().flatten() {
                let got = plan.attend(&q, keys, values)?;
                let _ = out.f_index_copy_(0, &plan.tokens, &got)?;
            }
            h = h.f_add(&apply(1, &out)?)?;
            let gate_up = apply(2, &norm(&h, &layer.mlp_norm)?)?.f_chunk(2, 1)?;
            h = h.f_add(&apply(3, &gate_up[0].f_silu()?.f_mul(&gate_up[1])?)?)?;
        }
        let last = self.numbers(wanted.iter().map(|i| segments[*i].at + segments[*i].len - 1))?;
        let x = norm(&h.f_index_select(0, &last)?, &self.norm)?;
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        x.f_matmul(&head.f_tr()?)?
            .f_to_kind(Kind::Float)?
            .f_to_device(Device::Cpu)?
            .f_contiguous()
    }
}
