//! Low-rank adapters (LoRA: Hu et al. 2021, <https://arxiv.org/abs/2106.09685>) in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! An adapter adds `scaling B A` to the weight of each of its targets; `scaling` is `alpha / rank`, or `alpha / sqrt(rank)` for rank-stabilized ones.

mod config;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use illume_core::{Error, Purpose, Result, Stream};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::array::Array;
use crate::checkpoint::{Encoding, open_as};
use crate::config::{ModelConfig, Module};

const TENSORS: &str = "adapter_model.safetensors";

/// An adapter. Its targets have one rank, and are ordered by layer, then as in [`Module::ALL`].
#[derive(Debug, Clone)]
pub struct Lora {
    pub rank: usize,
    pub alpha: f64,
    /// Whether the scaling is `alpha / sqrt(rank)`.
    pub rslora: bool,
    /// Whether it has its modules in every layer of the model, as adapters usually do.
    pub every_layer: bool,
    pub targets: Vec<LoraTarget>,
    /// Folder or name of the model that it adapts; `peft` opens it.
    pub base: String,
}

/// The adapter of one weight.
#[derive(Debug, Clone)]
pub struct LoraTarget {
    pub layer: usize,
    pub module: Module,
    /// `[rank, inputs]`.
    pub a: Array,
    /// `[outputs, rank]`.
    pub b: Array,
}

impl LoraTarget {
    /// Its path in a checkpoint: `model.layers.3.self_attn.q_proj`.
    pub fn path(&self) -> String {
        self.module.path(self.layer)
    }
}

impl Lora {
    /// A new adapter on `modules` of all layers: A uniform within `1 / sqrt(inputs)`, B zero, as PEFT makes them, so that the model stays as it is.
    ///
    /// # Errors
    /// `rank` is 0 or above the smallest side of a target, `alpha` is not above 0, or no module is given.
    pub fn fresh(config: &ModelConfig, rank: usize, alpha: f64, modules: &[Module], seed: u64) -> Result<Lora> {
        check_rank(config, rank, modules)?;
        if modules.is_empty() {
            return Err(Error::input("an adapter needs at least one module, such as q_proj"));
        }
        if !(alpha.is_finite() && alpha > 0.0) {
            return Err(Error::input(format!(
                "the adapter's alpha is {alpha}, and must be above 0; its scaling is alpha / rank"
            )));
        }
        let mut targets = Vec::new();
        for layer in 0..config.layers {
            for module in Module::ALL.into_iter().filter(|m| modules.contains(m)) {
                let (inputs, outputs) = config.module_dims(module);
                let stream = Stream::new(seed, Purpose::Network, 1, targets.len() as u64);
                let mut a = vec![0.0; rank * inputs];
                stream.uniforms(0, &mut a);
                let bound = 1.0 / (inputs as f32).sqrt();
                a.iter_mut().for_each(|x| *x = bound * (2.0 * *x - 1.0));
                targets.push(LoraTarget {
                    layer,
                    module,
                    a: Array::new(&[rank, inputs], a),
                    b: Array::zeros(&[outputs, rank]),
                });
            }
        }
        Ok(Lora {
            rank,
            alpha,
            rslora: false,
            every_layer: true,
            targets,
            base: String::new(),
        })
    }

    /// # Errors
    /// A target is not in the model, or has another shape there.
    pub fn check(&self, config: &ModelConfig) -> Result<()> {
        let misfit = |t: &LoraTarget| check_fits(config, self.rank, t.layer, t.module, &t.a, &t.b);
        self.targets.iter().try_for_each(misfit).map_err(Error::input)
    }

    /// By what `B A` is multiplied.
    pub fn scaling(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    /// The first target of which a factor is all zeros, if there is one: such a factor has no singular values to search.
    pub fn zero_factor(&self) -> Option<(&LoraTarget, &'static str)> {
        let zero = |t: &Array| t.values().iter().all(|x| *x == 0.0);
        self.targets.iter().find_map(|t| match (zero(&t.a), zero(&t.b)) {
            (true, _) => Some((t, "A")),
            (_, true) => Some((t, "B")),
            _ => None,
        })
    }

    /// Parameters of all factors.
    pub fn parameters(&self) -> usize {
        self.targets
            .iter()
            .map(|t| t.a.values().len() + t.b.values().len())
            .sum()
    }

    /// Reads an adapter of the model `config`.
    ///
    /// # Errors
    /// A file is missing or damaged; it uses what is not built here (named); or it adapts another model.
    pub fn read(dir: &Path, config: &ModelConfig) -> Result<Lora> {
        let said = config::AdapterConfig::read(dir)?;
        let path = dir.join(TENSORS);
        let wrong = |what: String| Error::input(format!("{}: {what}", path.display()));
        let bytes = std::fs::read(&path).map_err(|e| wrong(format!("cannot be read ({e})")))?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|e| wrong(format!("is damaged or not in safetensors format: {e}")))?;
        let mut factors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let (layer, module, factor) = place(&name).ok_or_else(|| {
                wrong(format!(
                    "the tensor {name} is not supported; lora_A and lora_B of {} are",
                    Module::ALL.map(Module::name).join(", ")
                ))
            })?;
            factors.insert(
                (layer, module, factor),
                read_tensor(&view).map_err(|e| wrong(format!("{name}: {e}")))?,
            );
        }
        let mut targets = Vec::new();
        while let Some(((layer, module, factor), tensor)) = factors.pop_first() {
            let missing = |f: &str| wrong(format!("{f} of {} is missing", module.path(layer)));
            if factor != Factor::A {
                return Err(missing("lora_A"));
            }
            let b = factors
                .remove(&(layer, module, Factor::B))
                .ok_or_else(|| missing("lora_B"))?;
            check_fits(config, said.rank, layer, module, &tensor, &b).map_err(wrong)?;
            targets.push(LoraTarget {
                layer,
                module,
                a: tensor,
                b,
            });
        }
        if targets.is_empty() {
            return Err(wrong("holds no adapter".into()));
        }
        if !said.some_layers {
            check_layers(config, &targets).map_err(wrong)?;
        }
        Ok(Lora {
            rank: said.rank,
            alpha: said.alpha,
            rslora: said.rslora,
            every_layer: !said.some_layers,
            targets,
            base: said.base,
        })
    }

    /// Writes the folder that [`Lora::read`] and `peft` read; it is made if it is not there.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir)
            .map_err(|e| Error::failed(format!("the folder {} cannot be made: {e}", dir.display())))?;
        config::write(self, dir)?;
        let mut bytes = Vec::new();
        for t in &self.targets {
            for (factor, tensor) in [(Factor::A, &t.a), (Factor::B, &t.b)] {
                let name = format!("{PREFIX}{}.{}.weight", t.path(), factor.name());
                let data: Vec<u8> = tensor.values().iter().flat_map(|x| x.to_le_bytes()).collect();
                bytes.push((name, tensor.shape().to_vec(), data));
            }
        }
        let views = bytes.iter().map(|(name, shape, data)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), data).expect("as many bytes as the shape says");
            (name.as_str(), view)
        });
        let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let path = dir.join(TENSORS);
        safetensors::serialize_to_file(views, Some(format), &path)
            .map_err(|e| Error::failed(format!("{} cannot be written: {e}", path.display())))?;
        open_as(&path, &dir.join(config::FILE))
    }
}

/// # Errors
/// `rank` is 0 or above the smallest side of one of `modules`.
fn check_rank(config: &ModelConfig, rank: usize, modules: &[Module]) -> Result<()> {
    let sides = modules.iter().map(|m| (config.module_dims(*m), *m));
    let narrow = sides.map(|((i, o), m)| (i.min(o), m)).min_by_key(|(side, _)| *side);
    match narrow {
        Some((side, module)) if rank == 0 || rank > side => Err(Error::input(format!(
            "the adapter's rank is {rank}, and must be 1 to {side}, the smaller side of {}",
            module.name()
        ))),
        _ => Ok(()),
    }
}

const PREFIX: &str = "base_model.model.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Factor {
    A,
    B,
}

impl Factor {
    fn name(self) -> &'static str {
        match self {
            Factor::A => "lora_A",
            Factor::B => "lora_B",
        }
    }
}

/// What a tensor's name means: `base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight`.
fn place(name: &str) -> Option<(usize, Module, Factor)> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix("model.layers.")?;
    let parts: Vec<&str> = rest.split('.').collect();
    let [layer, block, module, factor, "weight"] = parts[..] else {
        return None;
    };
    let module = Module::from_name(module).filter(|m| m.block() == block)?;
    let factor = [Factor::A, Factor::B].into_iter().find(|f| f.name() == factor)?;
    Some((layer.parse().ok()?, module, factor))
}

fn read_tensor(view: &TensorView) -> std::result::Result<Array, String> {
    let encoding = match view.dtype() {
        Dtype::F32 => Encoding::F32,
        Dtype::F16 => Encoding::F16,
        Dtype::BF16 => Encoding::BF16,
        other => {
            return Err(format!(
                "elements of type {other:?} are not supported; F32, F16 and BF16 are"
            ));
        }
    };
    let mut tensor = Array::zeros(view.shape());
    encoding.decode(view.data(), tensor.values_mut());
    match tensor.values().iter().all(|x| x.is_finite()) {
        true => Ok(tensor),
        false => Err("not all numbers are finite".into()),
    }
}

fn check_fits(
    config: &ModelConfig,
    rank: usize,
    layer: usize,
    module: Module,
    a: &Array,
    b: &Array,
) -> std::result::Result<(), String> {
    let place = module.path(layer);
    if layer >= config.layers {
        return Err(format!(
            "the adapter changes {place}, and the model has {} layers: it was made for another base model",
            config.layers
        ));
    }
    let (inputs, outputs) = config.module_dims(module);
    let factors = [(Factor::A, a, [rank, inputs]), (Factor::B, b, [outputs, rank])];
    for (factor, tensor, want) in factors {
        if tensor.shape() != want {
            return Err(format!(
                "{} of {place} has the shape {:?}, and must have {want:?} for rank {rank} and this model: \
                 the adapter was made for another base model",
                factor.name(),
                tensor.shape()
            ));
        }
    }
    Ok(())
}

/// An adapter that says of no layers in particular is of all of them.
fn check_layers(config: &ModelConfig, targets: &[LoraTarget]) -> std::result::Result<(), String> {
    for module in Module::ALL {
        let layers: Vec<usize> = targets.iter().filter(|t| t.module == module).map(|t| t.layer).collect();
        if let Some(layer) = (0..config.layers).find(|l| !layers.is_empty() && !layers.contains(l)) {
            return Err(format!(
                "it has {} in {} of the model's {} layers and nothing for {}: the adapter was made for another base model",
                module.name(),
                layers.len(),
                config.layers,
                module.path(layer)
            ));
        }
    }
    Ok(())
}
