//! A policy directory: one policy as files that other programs load without illume.
//!
//! `policy.json` says what the policy is and `policy.safetensors` holds its weights: these two are read back. `policy.onnx` and
//! `policy.pt` are the same function for other runtimes, from observation and descriptor in the task's units to the action.
//! docs/format.md documents all four.

mod description;
mod onnx;
mod safetensors;
#[cfg(test)]
mod tests;
#[cfg(feature = "torch")]
mod torchscript;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use illume_core::{Activation, Axis, Error, Network, Normalization, Result};

/// What the description says and where the weights are.
const DESCRIPTION: &str = "policy.json";
const WEIGHTS: &str = "policy.safetensors";
const ONNX: &str = "policy.onnx";
const TORCHSCRIPT: &str = "policy.pt";
/// Begins the name of the folder in which files are made.
const STAGING: &str = ".policy.tmp-";

/// A perceptron that acts on observations, and on a requested descriptor if it has axes.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyFile {
    /// Units of every layer: observation and descriptor together, hidden ones, action.
    pub layers: Vec<usize>,
    /// Of the hidden layers; outputs pass through tanh.
    pub activation: Activation,
    /// Layer after layer the weights `[inputs, outputs]`, row-major, then the bias `[outputs]`.
    pub params: Vec<f32>,
    /// Numbers in an observation.
    pub observation: usize,
    /// Axes of the descriptor that the policy is asked for; empty if it always acts alike.
    pub axes: Vec<Axis>,
    /// Of observations, before the network sees them.
    pub normalization: Option<Normalization>,
    /// Name of the task.
    pub task: String,
    /// The resolved configuration of the run, TOML.
    pub config: String,
    /// Where the policy comes from, as its maker wishes to tell.
    pub provenance: serde_json::Value,
}

impl PolicyFile {
    /// Whether a folder is meant to be a policy directory: it holds a policy's description.
    pub fn is_at(dir: &Path) -> bool {
        dir.join(DESCRIPTION).is_file()
    }

    pub fn network(&self) -> Network {
        Network::policy(self.layers.clone(), self.activation)
    }

    /// A descriptor `[k]` in the task's units as the network takes it: -1 and 1 at the bounds of each axis, not clipped.
    pub fn condition(&self, descriptor: &[f64]) -> Vec<f32> {
        let scaled = |(d, a): (&f64, &Axis)| ((2.0 * d - a.lower - a.upper) / (a.upper - a.lower)) as f32;
        descriptor.iter().zip(&self.axes).map(scaled).collect()
    }

    /// The action `[action]`, each number in [-1, 1], on an observation as the task gives it, towards a descriptor `[k]` in the
    /// task's units.
    ///
    /// # Panics
    /// A length does not fit.
    pub fn act(&self, observation: &[f32], descriptor: &[f64]) -> Vec<f32> {
        assert_eq!(
            (observation.len(), descriptor.len()),
            (self.observation, self.axes.len()),
            "numbers in the observation and in the descriptor"
        );
        let mut input = observation.to_vec();
        if let Some(n) = &self.normalization {
            for ((x, mean), sd) in input.iter_mut().zip(&n.mean).zip(&n.sd) {
                *x = ((*x - mean) / sd).clamp(-n.clip, n.clip);
            }
        }
        input.extend(self.condition(descriptor));
        let network = self.network();
        let mut action = vec![0.0; network.outputs()];
        network.forward(&self.params, &input, &mut network.units(), &mut action);
        action
    }

    /// Writes the directory, each file whole or not at all. Gives what there is to say about it: a policy that was replaced, and
    /// what had to be left out with the reason.
    ///
    /// # Errors
    /// The folder holds something else than a policy or cannot be written; the policy is not one (weights that are not finite).
    pub fn write(&self, dir: &Path) -> Result<Vec<String>> {
        let shown = dir.display();
        if let Some(fault) = self.fault() {
            return Err(Error::failed(format!("no policy is written to {shown}: {fault}")));
        }
        let mut notes = Vec::new();
        let cannot = |e: std::io::Error| Error::input(format!("cannot write the policy directory {shown}: {e}"));
        fs::create_dir_all(dir).map_err(cannot)?;
        let entries: Vec<_> = fs::read_dir(dir).and_then(Iterator::collect).map_err(cannot)?;
        let left_over = |e: &fs::DirEntry| e.file_name().to_string_lossy().starts_with(STAGING);
        if !entries.iter().all(left_over) {
            if !description::is_ours(&dir.join(DESCRIPTION)) {
                return Err(Error::input(format!(
                    "{shown} exists, is not empty and holds no policy: choose another folder"
                )));
            }
            notes.push(format!("the policy that was in {shown} is replaced"));
        }

        let staging = Staging::new(dir).map_err(cannot)?;
        staging.add(WEIGHTS, &safetensors::encode(self)?).map_err(cannot)?;
        staging.add(ONNX, &onnx::encode(self)).map_err(cannot)?;
        let mut files = vec![WEIGHTS, ONNX];
        #[cfg(feature = "torch")]
        {
            torchscript::save(self, &staging.path.join(TORCHSCRIPT))?;
            files.push(TORCHSCRIPT);
        }
        #[cfg(not(feature = "torch"))]
        {
            notes.push(format!(
                "{TORCHSCRIPT} is left out: writing it takes libtorch, and this build is without; `make build`, or `cargo build \
                 --release --features torch`, makes one with it"
            ));
            // One of another policy must not stay beside this one.
            remove(&dir.join(TORCHSCRIPT)).map_err(cannot)?;
        }
        staging.add(DESCRIPTION, &description::encode(self)?).map_err(cannot)?;
        // The description last: whoever finds it finds the rest.
        files.push(DESCRIPTION);
        for name in files {
            fs::rename(staging.path.join(name), dir.join(name)).map_err(cannot)?;
        }
        Ok(notes)
    }

    /// Reads `policy.json` and `policy.safetensors` of a policy directory.
    ///
    /// # Errors
    /// One is missing, damaged or of a newer format, or they do not fit together: one sentence that names the file.
    pub fn read(dir: &Path) -> Result<PolicyFile> {
        if !PolicyFile::is_at(dir) {
            return Err(Error::input(format!(
                "{} is no policy directory: it holds no {DESCRIPTION}",
                dir.display()
            )));
        }
        let mut policy = description::read(&dir.join(DESCRIPTION))?;
        safetensors::read(&dir.join(WEIGHTS), &mut policy)?;
        Ok(policy)
    }

    /// What of the sizes and bounds makes no policy, if anything.
    fn shape_fault(&self) -> Option<String> {
        let sizes = &self.layers;
        if sizes.len() < 2 || sizes.contains(&0) {
            return Some(format!("layers {sizes:?}, where sizes from input to output are needed"));
        }
        if self.observation.checked_add(self.axes.len()) != Some(sizes[0]) {
            return Some(format!(
                "the first layer has {} inputs, which are not the {} numbers of the observation and {} descriptor axes",
                sizes[0],
                self.observation,
                self.axes.len()
            ));
        }
        let params = sizes.windows(2).try_fold(0usize, |sum, pair| {
            let layer = pair[0].checked_add(1)?.checked_mul(pair[1])?;
            sum.checked_add(layer)
        });
        if params.is_none() {
            return Some(format!("layers {sizes:?} have more weights than fit into memory"));
        }
        let wrong = |a: &&Axis| !(a.lower.is_finite() && a.upper.is_finite() && a.lower < a.upper);
        let wrong = self.axes.iter().find(wrong)?;
        Some(format!(
            "the bounds of descriptor axis '{}' are {} and {}, and the lower must be below the upper",
            wrong.name, wrong.lower, wrong.upper
        ))
    }

    /// What of all makes no policy, if anything.
    fn fault(&self) -> Option<String> {
        if let Some(fault) = self.shape_fault() {
            return Some(fault);
        }
        let params = self.network().params();
        if self.params.len() != params {
            return Some(format!(
                "{} weights, where layers {:?} have {params}",
                self.params.len(),
                self.layers
            ));
        }
        if self.params.iter().any(|x| !x.is_finite()) {
            return Some("some of its weights are not finite".into());
        }
        let n = self.normalization.as_ref()?;
        if [n.mean.len(), n.sd.len()] != [self.observation; 2] {
            return Some(format!(
                "{} means and {} standard deviations normalize the {} numbers of an observation",
                n.mean.len(),
                n.sd.len(),
                self.observation
            ));
        }
        let positive = |x: &f32| x.is_finite() && *x > 0.0;
        let usable = n.mean.iter().all(|x| x.is_finite()) && n.sd.iter().all(positive) && positive(&n.clip);
        (!usable).then(|| {
            "means that are not finite, or standard deviations or a clip that are not positive, normalize observations".into()
        })
    }

    /// Inputs, outputs, weights `[inputs, outputs]` and bias of each layer.
    fn each_layer(&self) -> Vec<(usize, usize, &[f32], &[f32])> {
        let mut rest = self.params.as_slice();
        let layer = |pair: &[usize]| {
            let (weights, tail) = rest.split_at(pair[0] * pair[1]);
            let (bias, tail) = tail.split_at(pair[1]);
            rest = tail;
            (pair[0], pair[1], weights, bias)
        };
        self.layers.windows(2).map(layer).collect()
    }

    /// Weights and bias of each layer as PyTorch and ONNX have them: weights `[outputs, inputs]`.
    fn each_layer_transposed(&self) -> Vec<(usize, usize, Vec<f32>, &[f32])> {
        let transposed =
            |(inputs, outputs, weights, bias)| (inputs, outputs, transpose(weights, inputs, outputs), bias);
        self.each_layer().into_iter().map(transposed).collect()
    }

    /// Middle and half width of each axis, `[k]` each: the network takes `(descriptor - middle) / half`.
    fn middle_and_half(&self) -> (Vec<f32>, Vec<f32>) {
        let middle = self.axes.iter().map(|a| ((a.lower + a.upper) / 2.0) as f32);
        let half = self.axes.iter().map(|a| ((a.upper - a.lower) / 2.0) as f32);
        (middle.collect(), half.collect())
    }
}

/// `[rows, columns]` to `[columns, rows]`.
fn transpose(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let entry = |n: usize| matrix[(n % rows) * columns + n / rows];
    (0..rows * columns).map(entry).collect()
}

#[cfg(not(feature = "torch"))]
fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// A folder within the policy directory in which files are written before they take their places; it goes when dropped.
struct Staging {
    path: PathBuf,
}

impl Staging {
    fn new(dir: &Path) -> std::io::Result<Staging> {
        let path = dir.join(format!("{STAGING}{}", std::process::id()));
        if path.is_dir() {
            // What a killed process of the same number left.
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir(&path)?;
        Ok(Staging { path })
    }

    fn add(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let mut file = fs::File::create_new(self.path.join(name))?;
        file.write_all(bytes)?;
        file.sync_all()
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
