//! `policy.safetensors`: weights, bounds and statistics as named f32 tensors, <https://github.com/huggingface/safetensors>.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use ::safetensors::tensor::{Dtype, TensorView};
use ::safetensors::{SafeTensorError, SafeTensors, serialize};
use illume_core::{Error, Result};

use super::{PolicyFile, transpose};

const LOWER: &str = "descriptor_lower";
const UPPER: &str = "descriptor_upper";
const MEAN: &str = "observation_mean";
const SD: &str = "observation_sd";

/// Name, shape and values of each tensor.
type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

fn tensors(policy: &PolicyFile) -> Tensors {
    let mut tensors = Tensors::new();
    for (l, (inputs, outputs, weights, bias)) in policy.each_layer_transposed().into_iter().enumerate() {
        tensors.push((format!("layers.{l}.weight"), vec![outputs, inputs], weights));
        tensors.push((format!("layers.{l}.bias"), vec![outputs], bias.to_vec()));
    }
    let mut vector = |name: &str, values: Vec<f32>| tensors.push((name.into(), vec![values.len()], values));
    if !policy.axes.is_empty() {
        let [lower, upper] = bounds(policy);
        vector(LOWER, lower);
        vector(UPPER, upper);
    }
    if let Some(n) = &policy.normalization {
        vector(MEAN, n.mean.clone());
        vector(SD, n.sd.clone());
    }
    tensors
}

fn bounds(policy: &PolicyFile) -> [Vec<f32>; 2] {
    let lower = policy.axes.iter().map(|a| a.lower as f32).collect();
    let upper = policy.axes.iter().map(|a| a.upper as f32).collect();
    [lower, upper]
}

pub(super) fn encode(policy: &PolicyFile) -> Result<Vec<u8>> {
    let tensors = tensors(policy);
    let little_endian = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(.., values)| little_endian(values)).collect();
    let encode = || -> std::result::Result<Vec<u8>, SafeTensorError> {
        let mut views = Vec::with_capacity(tensors.len());
        for ((name, shape, _), bytes) in tensors.iter().zip(&bytes) {
            views.push((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?));
        }
        let said = HashMap::from([(
            "description".into(),
            "a policy of illume; policy.json says what it is".into(),
        )]);
        serialize(views, Some(said))
    };
    encode().map_err(|e| Error::failed(format!("the policy's weights cannot be encoded: {e}")))
}

/// Fills in the weights and statistics of a policy whose description has been read.
pub(super) fn read(path: &Path, policy: &mut PolicyFile) -> Result<()> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|e| Error::input(format!("cannot read {shown}: {e}")))?;
    let unfit = |what: String| Error::input(format!("{shown}: {what}"));
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| unfit(format!("the file is truncated, damaged or of another format ({e})")))?;
    let values = |name: &str, shape: &[usize]| -> Result<Vec<f32>> {
        let tensor = file
            .tensor(name)
            .map_err(|_| unfit(format!("there is no tensor '{name}', which policy.json asks for")))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            return Err(unfit(format!(
                "tensor '{name}' is {} {:?}, and policy.json asks for F32 {shape:?}",
                tensor.dtype(),
                tensor.shape()
            )));
        }
        let words = tensor.data().as_chunks::<4>().0;
        Ok(words.iter().map(|w| f32::from_le_bytes(*w)).collect())
    };

    for (l, pair) in policy.layers.windows(2).enumerate() {
        let [inputs, outputs] = [pair[0], pair[1]];
        let weights = values(&format!("layers.{l}.weight"), &[outputs, inputs])?;
        policy.params.extend(transpose(&weights, outputs, inputs));
        policy.params.extend(values(&format!("layers.{l}.bias"), &[outputs])?);
    }
    let k = policy.axes.len();
    if k > 0 && bounds(policy) != [values(LOWER, &[k])?, values(UPPER, &[k])?] {
        return Err(unfit(
            "the bounds of the descriptor differ from those in policy.json: the two files are not of one policy".into(),
        ));
    }
    if let Some(n) = &mut policy.normalization {
        n.mean = values(MEAN, &[policy.observation])?;
        n.sd = values(SD, &[policy.observation])?;
    }
    let layers = policy.layers.len() - 1;
    if file.tensor(&format!("layers.{layers}.weight")).is_ok() {
        return Err(unfit(format!("it has more layers than the {layers} of policy.json")));
    }
    if policy.normalization.is_none() && file.tensor(MEAN).is_ok() {
        return Err(unfit(
            "it has statistics of observations, and policy.json has no normalization: the two files are not of one policy".into(),
        ));
    }
    match policy.fault() {
        Some(fault) => Err(unfit(fault)),
        None => Ok(()),
    }
}
