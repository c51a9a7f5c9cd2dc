//! Small models whose weights are computed, as `tools/check_transformers.py` computes them too.
#![allow(dead_code, reason = "each test file uses some")]

use std::path::Path;

use illume_core::{Purpose, Stream, mix64};
use illume_lm::{
    Array, Checkpoint, Device, Family, Generated, Generator, Llama3Scaling, Model, ModelConfig, Population,
};
use illume_lm::{Precision, Query, Sampling, save_checkpoint};

/// Queries, keys and values with a bias, a tied head, heads of 8 numbers.
pub fn qwen2() -> ModelConfig {
    ModelConfig {
        family: Family::Qwen2,
        vocab: 97,
        hidden: 48,
        layers: 3,
        heads: 6,
        kv_heads: 2,
        head_dim: 8,
        intermediate: 80,
        rms_eps: 1e-6,
        rope_theta: 1e6,
        rope_scaling: None,
        max_positions: 256,
        tied: true,
        attention_bias: true,
        eos: vec![96],
        bos: None,
        initializer_range: 0.02,
    }
}

/// Stretched positions, a head of its own, heads that are wider than `hidden / heads`.
pub fn llama() -> ModelConfig {
    ModelConfig {
        family: Family::Llama,
        vocab: 83,
        hidden: 64,
        layers: 2,
        heads: 4,
        kv_heads: 1,
        head_dim: 32,
        intermediate: 104,
        rms_eps: 1e-5,
        rope_theta: 1e4,
        rope_scaling: Some(Llama3Scaling {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_positions: 64,
        }),
        max_positions: 256,
        tied: false,
        attention_bias: false,
        eos: vec![82],
        bos: Some(0),
        initializer_range: 0.02,
    }
}

/// Element `i` of tensor number `t` in 0..1.
pub fn uniform(t: usize, i: usize) -> f32 {
    (mix64(((t as u64) << 32) + i as u64) >> 40) as f32 / (1 << 24) as f32
}

/// The formula of `tools/check_transformers.py`.
pub fn tensors(config: &ModelConfig) -> Vec<(String, Array)> {
    let make = |(t, (name, shape)): (usize, (String, Vec<usize>))| {
        let count: usize = shape.iter().product();
        let (base, width) = if name.ends_with("norm.weight") {
            (1.0, 0.4)
        } else {
            (0.0, 0.6)
        };
        let values: Vec<f32> = (0..count).map(|i| base + width * (uniform(t, i) - 0.5)).collect();
        (name, Array::new(&shape, values))
    };
    config.tensors().into_iter().enumerate().map(make).collect()
}

/// As a tensor of libtorch's, by which much is checked.
#[cfg(feature = "torch")]
pub fn tensor(array: &Array) -> tch::Tensor {
    let shape: Vec<i64> = array.shape().iter().map(|n| *n as i64).collect();
    tch::Tensor::from_slice(array.values()).view(&shape[..])
}

/// The other way.
#[cfg(feature = "torch")]
pub fn array(tensor: &tch::Tensor) -> Array {
    let shape: Vec<usize> = tensor.size().iter().map(|n| *n as usize).collect();
    let flat = tensor.detach().to_kind(tch::Kind::Float).reshape([-1]);
    Array::new(&shape, Vec::try_from(flat).unwrap())
}

/// Writes the computed model.
pub fn write(dir: &Path, config: &ModelConfig) -> Checkpoint {
    save_checkpoint(dir, config, &tensors(config)).unwrap();
    Checkpoint::open(dir).unwrap()
}

pub fn model(config: &ModelConfig, precision: Precision) -> Model {
    let dir = tempfile::tempdir().unwrap();
    Model::load(&write(dir.path(), config), precision, Device::Cpu).unwrap()
}

/// The processor, and the GPU where there is one. To be called first: CUDA must be there before anything is differentiated.
pub fn devices() -> Vec<Device> {
    let gpu = illume_numerics::cuda::available().then_some(Device::Cuda(0));
    [Device::Cpu].into_iter().chain(gpu).collect()
}

pub fn greedy(max_new_tokens: usize) -> Sampling {
    Sampling {
        temperature: 0.0,
        top_p: 1.0,
        max_new_tokens,
        stop: Vec::new(),
        stop_texts: None,
    }
}

/// Prompts of different lengths.
pub fn prompts(config: &ModelConfig, n: usize) -> Vec<Vec<u32>> {
    let token = |i: usize, j: usize| (mix64((i * 1000 + j) as u64) % config.vocab as u64) as u32;
    (0..n)
        .map(|i| (0..1 + (i * 7) % 23).map(|j| token(i, j)).collect())
        .collect()
}

/// A query for each prompt, by members in turn.
pub fn queries(prompts: &[Vec<u32>], members: u32) -> Vec<Query<'_>> {
    let stream = |i| Stream::new(5, Purpose::Token, 0, i as u64);
    let all = prompts.iter().enumerate();
    all.map(|(i, prompt)| Query {
        prompt,
        member: i as u32 % members.max(1),
        stream: stream(i),
    })
    .collect()
}

pub fn generate(
    model: Model,
    slots: usize,
    queries: &[Query],
    population: &Population,
    how: &Sampling,
) -> Vec<Generated> {
    Generator::new(model.into(), slots)
        .generate(queries, population, how)
        .unwrap()
}
