//! `policy.pt`: the policy as a traced TorchScript module, which `torch.jit.load` opens with no code of ours.

use std::fs;
use std::path::Path;

use illume_core::{Activation, Error, Result};
use tch::{CModule, Kind, Tensor};

use super::PolicyFile;

/// Writes the module: `forward(observation [batch, m], descriptor [batch, k]) -> action`, without the second if there are no axes.
pub(super) fn save(policy: &PolicyFile, path: &Path) -> Result<()> {
    let failed = |e: &dyn std::fmt::Display| Error::failed(format!("cannot write {}: {e}", path.display()));
    illume_numerics::libtorch::load().map_err(|fault| failed(&fault))?;
    let row = |values: &[f32]| Tensor::from_slice(values);
    let layers: Vec<(Tensor, Tensor)> = policy
        .each_layer_transposed()
        .iter()
        .map(|(inputs, outputs, w, b)| (row(w).reshape([*outputs as i64, *inputs as i64]), row(b)))
        .collect();
    let (middle, half) = policy.middle_and_half();
    let (middle, half) = (row(&middle), row(&half));
    let statistics = policy.normalization.as_ref();
    let statistics = statistics.map(|n| (row(&n.mean), row(&n.sd), f64::from(n.clip)));

    let mut forward = |inputs: &[Tensor]| {
        let mut x = inputs[0].shallow_clone();
        if let Some((mean, sd, clip)) = &statistics {
            x = ((x - mean) / sd).clamp(-clip, *clip);
        }
        if let Some(descriptor) = inputs.get(1) {
            x = Tensor::cat(&[x, (descriptor - &middle) / &half], 1);
        }
        for (l, (weight, bias)) in layers.iter().enumerate() {
            x = x.linear(weight, Some(bias));
            x = match policy.activation {
                Activation::Relu if l + 1 < layers.len() => x.relu(),
                _ => x.tanh(),
            };
        }
        vec![x]
    };
    // Two rows, since a batch of one may be traced as if it always were one.
    let example = |columns: usize| Tensor::ones([2, columns as i64], (Kind::Float, tch::Device::Cpu));
    let mut inputs = vec![example(policy.observation)];
    if !policy.axes.is_empty() {
        inputs.push(example(policy.axes.len()));
    }
    let module = tch::no_grad(|| CModule::create_by_tracing("Policy", "forward", &inputs, &mut forward));
    let module = module.map_err(|e| failed(&e))?;
    module.save(path).map_err(|e| failed(&e))?;
    let synced = fs::File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|e| failed(&e))
}
