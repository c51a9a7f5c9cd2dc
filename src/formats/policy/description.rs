//! `policy.json`: what a policy is, in words and sizes.

use std::fs;
use std::path::Path;

use illume_core::{Activation, Axis, Error, Normalization, Result};
use serde::{Deserialize, Serialize};

use super::PolicyFile;

const FORMAT: &str = "illume-policy";
/// Raised when a reader of the present version would go wrong; fields that a reader does not know are to be ignored.
const VERSION: u64 = 1;

#[derive(Serialize, Deserialize)]
struct Description {
    format: String,
    format_version: u64,
    software_version: String,
    task: String,
    architecture: Architecture,
    observation: usize,
    action: usize,
    descriptor: Vec<DescriptorAxis>,
    normalization: Option<Statistics>,
    provenance: serde_json::Value,
    configuration: String,
}

#[derive(Serialize, Deserialize)]
struct Architecture {
    kind: String,
    layers: Vec<usize>,
    hidden_activation: String,
    output_activation: String,
}

#[derive(Serialize, Deserialize)]
struct DescriptorAxis {
    name: String,
    unit: String,
    lower: f64,
    upper: f64,
}

/// What the tensors `observation_mean` and `observation_sd` leave to say.
#[derive(Serialize, Deserialize)]
struct Statistics {
    clip: f32,
}

/// Only what tells a policy's description from other files.
#[derive(Deserialize)]
struct Head {
    format: String,
    format_version: u64,
}

/// Whether a file describes a policy, of whatever version.
pub(super) fn is_ours(path: &Path) -> bool {
    let head = fs::read(path)
        .ok()
        .and_then(|b| serde_json::from_slice::<Head>(&b).ok());
    head.is_some_and(|h| h.format == FORMAT)
}

pub(super) fn encode(policy: &PolicyFile) -> Result<Vec<u8>> {
    let axis = |a: &Axis| DescriptorAxis {
        name: a.name.clone(),
        unit: a.unit.clone(),
        lower: a.lower,
        upper: a.upper,
    };
    let activation = match policy.activation {
        Activation::Tanh => "tanh",
        Activation::Relu => "relu",
    };
    let description = Description {
        format: FORMAT.into(),
        format_version: VERSION,
        software_version: env!("CARGO_PKG_VERSION").into(),
        task: policy.task.clone(),
        architecture: Architecture {
            kind: "mlp".into(),
            layers: policy.layers.clone(),
            hidden_activation: activation.into(),
            output_activation: "tanh".into(),
        },
        observation: policy.observation,
        action: policy.layers[policy.layers.len() - 1],
        descriptor: policy.axes.iter().map(axis).collect(),
        normalization: policy.normalization.as_ref().map(|n| Statistics { clip: n.clip }),
        provenance: policy.provenance.clone(),
        configuration: policy.config.clone(),
    };
    let mut bytes = serde_json::to_vec_pretty(&description)
        .map_err(|e| Error::failed(format!("the policy's description is no JSON: {e}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The policy that a file describes, weights and statistics still empty; its sizes and bounds are sound.
pub(super) fn read(path: &Path) -> Result<PolicyFile> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|e| Error::input(format!("cannot read {shown}: {e}")))?;
    let foreign = |e: serde_json::Error| {
        Error::input(format!(
            "{shown} is damaged or describes no policy of illume ({e}): expected a file that `illume distill` wrote"
        ))
    };
    let head: Head = serde_json::from_slice(&bytes).map_err(foreign)?;
    if head.format != FORMAT {
        return Err(Error::input(format!(
            "{shown} has format '{}', which is not '{FORMAT}': expected a file that `illume distill` wrote",
            head.format
        )));
    }
    if head.format_version != VERSION {
        return Err(Error::input(format!(
            "{shown} has format_version {}, and this illume reads {VERSION}: use the version that wrote it, or a newer one",
            head.format_version
        )));
    }
    let d: Description = serde_json::from_slice(&bytes).map_err(foreign)?;
    let unfit = |what: String| Err(Error::input(format!("{shown}: {what}")));
    let a = &d.architecture;
    let activation = match (
        a.kind.as_str(),
        a.hidden_activation.as_str(),
        a.output_activation.as_str(),
    ) {
        ("mlp", "tanh", "tanh") => Activation::Tanh,
        ("mlp", "relu", "tanh") => Activation::Relu,
        (kind, hidden, output) => {
            return unfit(format!(
                "architecture '{kind}' with hidden activation '{hidden}' and output activation '{output}', where 'mlp' with \
                 'tanh' or 'relu', and 'tanh', are known"
            ));
        }
    };
    if a.layers.last() != Some(&d.action) {
        return unfit(format!(
            "layers {:?} do not end with the {} numbers of an action",
            a.layers, d.action
        ));
    }
    let axis = |a: DescriptorAxis| Axis {
        name: a.name,
        unit: a.unit,
        lower: a.lower,
        upper: a.upper,
    };
    let statistics = |s: Statistics| Normalization {
        mean: Vec::new(),
        sd: Vec::new(),
        clip: s.clip,
    };
    let policy = PolicyFile {
        layers: d.architecture.layers,
        activation,
        params: Vec::new(),
        observation: d.observation,
        axes: d.descriptor.into_iter().map(axis).collect(),
        normalization: d.normalization.map(statistics),
        task: d.task,
        config: d.configuration,
        provenance: d.provenance,
    };
    match policy.shape_fault() {
        Some(fault) => unfit(fault),
        None => Ok(policy),
    }
}
