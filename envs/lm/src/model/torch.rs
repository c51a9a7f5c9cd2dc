//! The model by libtorch, on a device: rows share the linear maps, padded only where they attend.
//!
//! Weights of eight and four bits go through libtorch's packed kernels. Sums are libtorch's, so that on a device bits may depend on what else
//! is in a batch; the processor has kernels of our own that do not (see `native.rs`).

use illume_core::{Error, Result};
use tch::{Device, IndexOp, Kind, TchError, Tensor};

use super::adapters::GROUPS;
use super::native::Segment;
use super::packed::{int4_code, int4_scale, int8_code, int8_scale};
use super::{Precision, Source};
use crate::config::{ModelConfig, Module};
use crate::population::Population;

type Torch<T> = std::result::Result<T, TchError>;

fn failed(e: TchError) -> Error {
    Error::failed(format!("libtorch failed: {e}"))
}

/// A linear map, or several that share their inputs.
#[derive(Debug)]
enum Linear {
    /// `[outputs, inputs]`.
    Plain(Tensor),
    Int8 {
        codes: Tensor,
        scales: Tensor,
    },
    Int4 {
        codes: Tensor,
        group: usize,
        scales_and_zeros: Tensor,
    },
}

impl Linear {
    fn new(values: &[f32], inputs: usize, precision: Precision, place: (Device, Kind)) -> Result<Linear> {
        let outputs = values.len() / inputs;
        let shape = [outputs as i64, inputs as i64];
        let (device, kind) = place;
        let make = || -> Torch<Linear> {
            Ok(match precision {
                Precision::F32 | Precision::Bf16 => Linear::Plain(
                    Tensor::f_from_slice(values)?
                        .f_view(shape)?
                        .f_to_kind(kind)?
                        .f_to_device(device)?,
                ),
                Precision::Int8 => {
                    let scales: Vec<f32> = values.chunks_exact(inputs).map(|row| int8_scale(row.iter())).collect();
                    let code = |(i, w): (usize, &f32)| int8_code(*w, scales[i / inputs]);
                    let codes: Vec<i8> = values.iter().enumerate().map(code).collect();
                    Linear::Int8 {
                        codes: Tensor::f_from_slice(&codes)?.f_view(shape)?.f_to_device(device)?,
                        scales: Tensor::f_from_slice(&scales)?.f_to_kind(kind)?.f_to_device(device)?,
                    }
                }
                Precision::Int4 { group } => {
                    let laws: Vec<(f32, f32)> = values.chunks_exact(group).map(|g| int4_scale(g.iter())).collect();
                    let code = |(i, w): (usize, &f32)| int4_code(*w, laws[i / group]);
                    let flat: Vec<f32> = laws.iter().flat_map(|l| [l.0, l.1]).collect();
                    let shape_of_laws = [outputs as i64, (inputs / group) as i64, 2];
                    let scales_and_zeros = Tensor::f_from_slice(&flat)?
                        .f_view(shape_of_laws)?
                        .f_transpose(0, 1)?
                        .f_contiguous()?
                        .f_to_kind(kind)?
                        .f_to_device(device)?;
                    let codes = if device == Device::Cpu {
                        let codes: Vec<i32> = values.iter().enumerate().map(|w| i32::from(code(w))).collect();
                        let codes = Tensor::f_from_slice(&codes)?.f_view(shape)?;
                        codes.f_internal_convert_weight_to_int4pack_for_cpu(1)?
                    } else {
                        // Two codes a byte, the first in the upper half.
                        let pair = |p: &[f32], at: usize| code((at, &p[0])) << 4 | code((at + 1, &p[1]));
                        let codes: Vec<u8> = values
                            .chunks_exact(2)
                            .enumerate()
                            .map(|(i, p)| pair(p, 2 * i))
                            .collect();
                        let codes = Tensor::f_from_slice(&codes)?.f_view([outputs as i64, inputs as i64 / 2])?;
                        let tiles = [8, 4, 2]
                            .into_iter()
                            .find(|t| inputs.is_multiple_of(t * 16))
                            .unwrap_or(2);
                        codes
                            .f_to_device(device)?
                            .f_internal_convert_weight_to_int4pack(tiles as i64)?
                    };
                    Linear::Int4 {
                        codes,
                        group,
                        scales_and_zeros,
                    }
                }
            })
        };
        if let Precision::Int4 { group } = precision
            && (![32, 64, 128, 256].contains(&group) || !inputs.is_multiple_of(group) || !outputs.is_multiple_of(16))
        {
            return Err(Error::input(format!(
                "int4 weights by libtorch need groups of 32, 64, 128 or 256 inputs and outputs in sixteens, and the model has a linear map from {inputs} to {outputs} with groups of {group}"
            )));
        }
        make().map_err(failed)
    }

    fn apply(&self, x: &Tensor) -> Torch<Tensor> {
        match self {
            Linear::Plain(w) => x.f_matmul(&w.f_tr()?),
            Linear::Int8 { codes, scales } => x.f_internal_weight_int8pack_mm(codes, scales),
            Linear::Int4 {
                codes,
                group,
                scales_and_zeros: laws,
            } if x.device() == Device::Cpu => x.f_internal_weight_int4pack_mm_for_cpu(codes, *group as i64, laws),
            Linear::Int4 {
                codes,
                group,
                scales_and_zeros: laws,
            } => x.f_internal_weight_int4pack_mm(codes, *group as i64, laws),
        }
    }

    fn bytes(&self) -> u64 {
        let of = |t: &Tensor| (t.numel() * t.kind().elt_size_in_bytes()) as u64;
        match self {
            Linear::Plain(w) => of(w),
            Linear::Int8 { codes, scales } => of(codes) + of(scales),
            Linear::Int4 {
                codes,
                scales_and_zeros,
                ..
            } => of(codes) + of(scales_and_zeros),
        }
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

/// Keys and values of a layer, `[slots, kv_heads, positions, head_dim]` each.
#[derive(Debug)]
pub(crate) struct TorchCache {
    layers: Vec<[Tensor; 2]>,
}

/// A population's adapters of one group of maps, as matrices of the whole group.
#[derive(Debug)]
pub(crate) enum TorchGroup {
    /// `x V_A`, `* s_a`, `inner` (block by block, scaled), `* s_b`, `U_B'` (block by block).
    Shared {
        v_a: Tensor,
        s_a: Tensor,
        inner: Tensor,
        s_b: Tensor,
        u_b: Tensor,
    },
    /// `[members, ranks, inputs]`, and `[members, outputs, ranks]` block by block, scaled.
    Own { a: Tensor, b: Tensor },
}

pub(crate) type TorchAdapters = Vec<[Option<TorchGroup>; 4]>;

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

    /// The adapters of a population that fits the model, on the device.
    pub fn adapters(&self, population: &Population) -> Result<TorchAdapters> {
        let mut layers = Vec::new();
        for layer in 0..self.config.layers {
            let group = |modules: &[Module]| self.group(population, layer, modules);
            let [a, b, c, d] = GROUPS;
            layers.push([group(a)?, group(b)?, group(c)?, group(d)?]);
        }
        Ok(layers)
    }

    fn group(&self, population: &Population, layer: usize, modules: &[Module]) -> Result<Option<TorchGroup>> {
        let here = |t: &Tensor| t.f_to_device(self.device)?.f_to_kind(self.kind);
        let outputs: Vec<i64> = modules.iter().map(|m| self.config.module_dims(*m).1 as i64).collect();
        let all: i64 = outputs.iter().sum();
        let start = |m: usize| outputs[..m].iter().sum::<i64>();
        let make = || -> Torch<Option<TorchGroup>> {
            let (mut downs, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
            let (mut inners, mut ups, mut rank) = (Vec::new(), Vec::new(), 0);
            match population {
                Population::None => Ok(None),
                Population::Singular { basis, s_a, s_b } => {
                    for (m, module) in modules.iter().enumerate() {
                        let is_it = |t: &crate::population::BasisTarget| t.layer == layer && t.module == *module;
                        let Some(i) = basis.targets().iter().position(is_it) else {
                            continue;
                        };
                        let t = &basis.targets()[i];
                        downs.push(here(&t.v_a)?);
                        first.push(here(&s_a[i])?);
                        second.push(here(&s_b[i])?);
                        inners.push(here(&t.inner.f_mul_scalar(basis.scaling())?)?);
                        let up = Tensor::f_zeros([basis.rank() as i64, all], (self.kind, self.device))?;
                        up.narrow(1, start(m), outputs[m]).f_copy_(&here(&t.u_b)?.f_tr()?)?;
                        ups.push(up);
                    }
                    if downs.is_empty() {
                        return Ok(None);
                    }
                    Ok(Some(TorchGroup::Shared {
                        v_a: Tensor::f_cat(&downs, 1)?,
                        s_a: Tensor::f_cat(&first, 1)?,
                        inner: Tensor::f_block_diag(&inners)?,
                        s_b: Tensor::f_cat(&second, 1)?,
                        u_b: Tensor::f_cat(&ups, 0)?,
                    }))
                }
                Population::Dense { scaling, places, a, b } => {
                    for (m, module) in modules.iter().enumerate() {
                        let Some(i) = places.iter().position(|p| *p == (layer, *module)) else {
                            continue;
                        };
                        let (members, r) = (a[i].size()[0], a[i].size()[1]);
                        rank += r;
                        downs.push(here(&a[i])?);
                        let up = Tensor::f_zeros([members, all, r], (self.kind, self.device))?;
                        up.narrow(1, start(m), outputs[m])
                            .f_copy_(&here(&b[i].f_mul_scalar(*scaling)?)?)?;
                        ups.push(up);
                    }
                    if rank == 0 {
                        return Ok(None);
                    }
                    Ok(Some(TorchGroup::Own {
                        a: Tensor::f_cat(&downs, 1)?,
                        b: Tensor::f_cat(&ups, 2)?,
                    }))
                }
            }
        };
        make().map_err(failed)
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

    /// How the segments of one kind attend, padded to the longest among them.
    fn plan(&self, segments: &[Segment], of_kind: impl Fn(&Segment) -> bool) -> Torch<Option<Plan>> {
        let mine: Vec<&Segment> = segments.iter().filter(|s| of_kind(s)).collect();
        let Some(longest) = mine.iter().map(|s| s.len).max() else {
            return Ok(None);
        };
        let reach = mine.iter().map(|s| s.position + s.len).max().unwrap_or(0);
        let shape = [mine.len() as i64, longest as i64];
        let real = |s: &&Segment| s.at..s.at + s.len;
        // Padding repeats a segment's last token.
        let padded = mine.iter().flat_map(|s| (0..longest).map(|i| s.at + i.min(s.len - 1)));
        let positions = mine
            .iter()
            .flat_map(|s| (0..longest).map(|i| s.position + i.min(s.len - 1)));
        let places = mine
            .iter()
            .enumerate()
            .flat_map(|(n, s)| (0..s.len).map(move |i| n * longest + i));
        let positions = self.numbers(positions)?.f_view([shape[0], 1, shape[1], 1])?;
        let columns = self.numbers(0..reach)?;
        Ok(Some(Plan {
            shape,
            reach: reach as i64,
            slots: self.numbers(mine.iter().map(|s| s.slot))?,
            queries: self.numbers(padded)?,
            mask: columns.f_le_tensor(&positions)?,
            places: self.numbers(places)?,
            tokens: self.numbers(mine.iter().flat_map(real))?,
        }))
    }
}

/// Segments that attend together: `[segments, longest]` queries.
struct Plan {
    shape: [i64; 2],
    /// Positions attended to, at most.
    reach: i64,
    slots: Tensor,
    /// The token of each query.
    queries: Tensor,
    /// `[segments, 1, longest, reach]`: which positions each query sees.
    mask: Tensor,
    /// Of each token of the segments, its query.
    places: Tensor,
    tokens: Tensor,
}

impl Plan {
    /// From `[tokens, heads, head_dim]` to `[tokens of these segments, heads * head_dim]`.
    fn attend(&self, q: &Tensor, keys: &Tensor, values: &Tensor) -> Torch<Tensor> {
        let [_, heads, d] = q.size()[..] else {
            unreachable!("queries have three dimensions")
        };
        let [segments, longest] = self.shape;
        let q = q
            .f_index_select(0, &self.queries)?
            .f_view([segments, longest, heads, d])?
            .f_transpose(1, 2)?;
        let of = |store: &Tensor| store.f_narrow(2, 0, self.reach)?.f_index_select(0, &self.slots);
        let (k, v) = (of(keys)?, of(values)?);
        let grouped = heads != k.size()[1];
        let out = Tensor::f_scaled_dot_product_attention(&q, &k, &v, Some(&self.mask), 0.0, false, None, grouped)?;
        out.f_transpose(1, 2)?
            .f_reshape([segments * longest, heads * d])?
            .f_index_select(0, &self.places)
    }
}

impl TorchGroup {
    /// What the adapters add to the products with `x`.
    fn apply(&self, x: &Tensor, members: &Tensor) -> Torch<Tensor> {
        match self {
            TorchGroup::Shared {
                v_a,
                s_a,
                inner,
                s_b,
                u_b,
            } => x
                .f_matmul(v_a)?
                .f_mul(&s_a.f_index_select(0, members)?)?
                .f_matmul(inner)?
                .f_mul(&s_b.f_index_select(0, members)?)?
                .f_matmul(u_b),
            TorchGroup::Own { a, b } => {
                let z = a.f_index_select(0, members)?.f_bmm(&x.f_unsqueeze(2)?)?;
                b.f_index_select(0, members)?.f_bmm(&z)?.f_squeeze_dim(2)
            }
        }
    }
}

/// Turns the pairs `(i, i + head_dim / 2)` of `[tokens, heads, head_dim]`.
fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Torch<Tensor> {
    let halves = x.f_chunk(2, 2)?;
    let (cos, sin) = (cos.f_unsqueeze(1)?, sin.f_unsqueeze(1)?);
    let first = halves[0].f_mul(&cos)?.f_sub(&halves[1].f_mul(&sin)?)?;
    let second = halves[1].f_mul(&cos)?.f_add(&halves[0].f_mul(&sin)?)?;
    Tensor::f_cat(&[first, second], 2)
}
