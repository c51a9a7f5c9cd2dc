//! The forward pass that is differentiated: the same function as the model's inference, on padded rows.

use std::ops::Range;

use illume_numerics::transformer::INT8_GROUP;
use tch::{Device, Kind, Tensor};

use super::Tried;
use super::adapters::Adapters;
use super::rows::Rows;
use super::weights::{Layer, Weights};
use crate::config::Module;
use crate::model::wide_product;

/// Logits `[wanted, vocab]` in f32 of the wanted positions of `rows`.
pub(super) fn logits(weights: &Weights, adapters: &Adapters, rows: &Rows) -> Tried<Tensor> {
    let x = embedded(weights, rows)?;
    let rope = Rope::new(weights, rows.length)?;
    let x = layers(weights, adapters, &rope, 0..weights.layers.len(), &x)?;
    head(weights, &last(weights, rows, &x)?)
}

/// What the first layer takes, `[rows, length, hidden]`.
pub(super) fn embedded(weights: &Weights, rows: &Rows) -> Tried<Tensor> {
    let tokens = Tensor::f_from_slice(&rows.tokens)?
        .f_view([rows.count as i64, rows.length as i64])?
        .f_to_device(weights.device())?;
    Tensor::f_embedding(&weights.embedding, &tokens, -1, false, false)
}

/// What these layers make of `x`.
pub(super) fn layers(
    weights: &Weights,
    adapters: &Adapters,
    rope: &Rope,
    numbers: Range<usize>,
    x: &Tensor,
) -> Tried<Tensor> {
    let eps = weights.config.rms_eps;
    let mut x = x.shallow_clone();
    for number in numbers {
        let layer = &weights.layers[number];
        let normed = rms_norm(&x, &layer.input_norm, eps)?;
        x = x.f_add(&attention(weights, layer, number, adapters, rope, &normed)?)?;
        let normed = rms_norm(&x, &layer.post_norm, eps)?;
        x = x.f_add(&swiglu(weights, layer, number, adapters, &normed)?)?;
    }
    Ok(x)
}

/// What the head takes of the last layer's `x`: the wanted positions, `[wanted, hidden]`.
pub(super) fn last(weights: &Weights, rows: &Rows, x: &Tensor) -> Tried<Tensor> {
    let wanted = Tensor::f_from_slice(&rows.wanted)?.f_to_device(weights.device())?;
    let last = x.f_flatten(0, 1)?.f_index_select(0, &wanted)?;
    rms_norm(&last, &weights.norm, weights.config.rms_eps)
}

/// Logits in f32. What is in bf16 is not differentiated: [`head_back`] is its derivative.
pub(super) fn head(weights: &Weights, last: &Tensor) -> Tried<Tensor> {
    let last = rounded(last, weights.rounds_head)?;
    match last.f_kind()? {
        Kind::Float => last.f_linear(weights.head(), None::<&Tensor>),
        _ => wide_product(&last, &weights.head().f_tr()?),
    }
}

/// The slope at what the head takes, for that at the logits.
pub(super) fn head_back(weights: &Weights, slope: &Tensor) -> Tried<Tensor> {
    slope.f_to_kind(weights.kind())?.f_matmul(weights.head())
}

/// Rows as products with weights of eight bits round them (`numerics/src/transformer/int8.rs`), if they do; what is passed back is passed on as if they did not.
fn rounded(x: &Tensor, rounds: bool) -> Tried<Tensor> {
    if !rounds {
        return Ok(x.shallow_clone());
    }
    let round = |part: Tensor| {
        let largest = part.f_abs()?.f_amax([-1].as_slice(), true)?.f_clamp_min(1e-30)?;
        let codes = part.f_mul(&largest.f_reciprocal()?.f_mul_scalar(127.0)?)?.f_round()?;
        codes.f_mul(&largest.f_div_scalar(127.0)?)
    };
    let plain = x.detach();
    let parts: Tried<Vec<Tensor>> = plain.f_split(INT8_GROUP as i64, -1)?.into_iter().map(round).collect();
    x.f_add(&Tensor::f_cat(&parts?, -1)?.f_sub(&plain)?)
}

/// Cosines and signed sines of the positions of a pass, `[length, 1, head_dim]`.
pub(super) struct Rope {
    cos: Tensor,
    /// Negative in the first half, so that a turn is `x cos + swapped(x) sin`.
    sin: Tensor,
}

impl Rope {
    pub fn new(weights: &Weights, length: usize) -> Tried<Rope> {
        let frequencies = weights.config.rope_frequencies();
        let half = frequencies.len();
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for position in 0..length {
            for i in 0..2 * half {
                let angle = position as f64 * frequencies[i % half];
                cos.push(angle.cos() as f32);
                sin.push(if i < half { -angle.sin() } else { angle.sin() } as f32);
            }
        }
        let table = |values: &[f32]| {
            Tensor::f_from_slice(values)?
                .f_view([length as i64, 1, 2 * half as i64])?
                .f_to_device(weights.device())?
                .f_to_kind(weights.kind())
        };
        Ok(Rope {
            cos: table(&cos)?,
            sin: table(&sin)?,
        })
    }
}

/// `x / sqrt(mean(x^2) + eps) * weight`, the division in f32.
fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Tried<Tensor> {
    if x.device() != Device::Cpu {
        return x.f_rms_norm(weight.size(), Some(weight), eps);
    }
    let wide = x.f_to_kind(Kind::Float)?;
    let square = wide.f_square()?.f_mean_dim([-1].as_slice(), true, Kind::Float)?;
    let scale = square.f_add_scalar(eps)?.f_rsqrt()?;
    wide.f_mul(&scale)?.f_to_kind(x.f_kind()?)?.f_mul(weight)
}

/// Padding lies behind each row's tokens, where a causal mask hides it from them.
fn attention(
    weights: &Weights,
    layer: &Layer,
    number: usize,
    adapters: &Adapters,
    rope: &Rope,
    x: &Tensor,
) -> Tried<Tensor> {
    let c = &weights.config;
    let (rows, length) = (x.size()[0], x.size()[1]);
    let (heads, kv, width) = (c.heads as i64, c.kv_heads as i64, c.head_dim as i64);
    let y = layer
        .qkv
        .apply(&rounded(x, weights.rounds_rows)?, layer.qkv_bias.as_ref())?;
    let modules = [Module::Q, Module::K, Module::V];
    let y = adapters.add(number, &modules, x, y, &[heads * width, kv * width, kv * width])?;
    let y = y.f_view([rows, length, heads + 2 * kv, width])?;
    let turned = {
        let plain = y.f_narrow(2, 0, heads + kv)?;
        let swapped = plain.f_roll([width / 2].as_slice(), [-1].as_slice())?;
        plain.f_mul(&rope.cos)?.f_add(&swapped.f_mul(&rope.sin)?)?
    };
    let q = turned.f_narrow(2, 0, heads)?.f_transpose(1, 2)?;
    let k = turned.f_narrow(2, heads, kv)?.f_transpose(1, 2)?;
    let v = y.f_narrow(2, heads + kv, kv)?.f_transpose(1, 2)?;
    let scale = 1.0 / (c.head_dim as f64).sqrt();
    let none = None::<&Tensor>;
    let mixed = if x.device() == Device::Cpu {
        Tensor::f_scaled_dot_product_attention(&q, &k, &v, none, 0.0, true, scale, heads != kv)?
    } else {
        let (k, v) = (repeated(&k, heads / kv)?, repeated(&v, heads / kv)?);
        match width % 8 {
            // Of the kernels that keep no scores the one that takes f32 as well as bf16; it wants rows of 16 bytes, and a key for every query.
            0 => Tensor::f_internal_scaled_dot_product_efficient_attention(&q, &k, &v, none, true, 0.0, true, scale)?.0,
            _ => Tensor::f_scaled_dot_product_attention(&q, &k, &v, none, 0.0, true, scale, false)?,
        }
    };
    let mixed = mixed.f_transpose(1, 2)?.f_reshape([rows, length, heads * width])?;
    let out = layer.output.apply(&rounded(&mixed, weights.rounds_rows)?, None)?;
    adapters.add(number, &[Module::O], &mixed, out, &[c.hidden as i64])
}

/// Every head of `[rows, heads, length, head_dim]` so many times.
fn repeated(x: &Tensor, times: i64) -> Tried<Tensor> {
    if times == 1 {
        return Ok(x.shallow_clone());
    }
    x.f_repeat_interleave_self_int(times, 1, None)
}

fn swiglu(weights: &Weights, layer: &Layer, number: usize, adapters: &Adapters, x: &Tensor) -> Tried<Tensor> {
    let width = weights.config.intermediate as i64;
    let y = layer.gate_up.apply(&rounded(x, weights.rounds_rows)?, None)?;
    let y = adapters.add(number, &[Module::Gate, Module::Up], x, y, &[width, width])?;
    let inner = y
        .f_narrow(-1, 0, width)?
        .f_silu()?
        .f_mul(&y.f_narrow(-1, width, width)?)?;
    let out = layer.down.apply(&rounded(&inner, weights.rounds_rows)?, None)?;
    adapters.add(number, &[Module::Down], &inner, out, &[weights.config.hidden as i64])
}
