//! Adapters of a whole population, of which each row of a batch uses its own member's (ESSA, 2025, <https://arxiv.org/abs/2507.04453>).
//!
//! A LoRA adapter adds `scaling B A` to a weight. With `A = U_A diag(s_A) V_A'` and `B = U_B diag(s_B) V_B'`, where members differ in the
//! singular values alone, a row `x` gets `((x V_A * s_A) (U_A' V_B) * s_B) U_B'`: products with matrices that all members share, and two
//! scalings of the row.

use std::sync::{Arc, OnceLock};
#[cfg(feature = "torch")]
use std::sync::{Mutex, MutexGuard, PoisonError};

use illume_core::{Error, LowRank, Perturbation, Result};

use crate::array::Array;
use crate::config::{ModelConfig, Module};
use crate::model::PackedBasis;
#[cfg(feature = "torch")]
use crate::model::TorchBasis;

/// What members share of the adapter of one weight.
#[derive(Debug)]
pub struct BasisTarget {
    pub layer: usize,
    pub module: Module,
    /// `[inputs, rank]`.
    pub v_a: Array,
    /// `U_A' V_B`, `[rank, rank]`.
    pub inner: Array,
    /// `[outputs, rank]`.
    pub u_b: Array,
}

/// What members share of the adapters of a model.
#[derive(Debug)]
pub struct Basis {
    scaling: f64,
    rank: usize,
    targets: Vec<BasisTarget>,
    packed: OnceLock<PackedBasis>,
    #[cfg(feature = "torch")]
    on_device: Mutex<Option<TorchBasis>>,
}

impl Basis {
    /// `scaling` multiplies what the adapters add. All targets have the same rank; each weight is a target once.
    ///
    /// # Errors
    /// Ranks differ, or a weight is a target twice.
    pub fn new(scaling: f64, targets: Vec<BasisTarget>) -> Result<Basis> {
        let rank = targets
            .first()
            .map_or(0, |t| t.inner.shape().first().copied().unwrap_or(0));
        for (i, t) in targets.iter().enumerate() {
            let wide = |array: &Array| matches!(array.shape(), [_, width] if *width == rank);
            if t.inner.shape() != [rank, rank] || !wide(&t.v_a) || !wide(&t.u_b) {
                return Err(Error::input(format!(
                    "the basis of {} has the shapes {:?}, {:?} and {:?}, and must have [inputs, {rank}], [{rank}, {rank}] and [outputs, {rank}]",
                    t.module.path(t.layer),
                    t.v_a.shape(),
                    t.inner.shape(),
                    t.u_b.shape()
                )));
            }
            if targets[..i]
                .iter()
                .any(|other| other.layer == t.layer && other.module == t.module)
            {
                return Err(Error::input(format!("{} is a target twice", t.module.path(t.layer))));
            }
        }
        Ok(Basis {
            scaling,
            rank,
            targets,
            packed: OnceLock::new(),
            #[cfg(feature = "torch")]
            on_device: Mutex::new(None),
        })
    }

    pub fn scaling(&self) -> f64 {
        self.scaling
    }

    pub fn rank(&self) -> usize {
        self.rank
    }

    pub fn targets(&self) -> &[BasisTarget] {
        &self.targets
    }

    /// In the layout of the processor's kernels, made at the first call.
    pub(crate) fn packed(&self) -> &PackedBasis {
        self.packed.get_or_init(|| PackedBasis::new(self))
    }

    /// Where the model that ran it last left it on its device.
    #[cfg(feature = "torch")]
    pub(crate) fn on_device(&self) -> MutexGuard<'_, Option<TorchBasis>> {
        self.on_device.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_place(config: &ModelConfig, layer: usize, module: Module) -> Result<()> {
    if layer < config.layers {
        return Ok(());
    }
    Err(Error::input(format!(
        "the adapter changes {}, and the model has {} layers",
        module.path(layer),
        config.layers
    )))
}

/// The adapters of the members of a population; a query names the member by its number.
#[derive(Debug)]
pub enum Population {
    /// The model as it is.
    None,
    /// Members that differ in singular values.
    Singular {
        basis: Arc<Basis>,
        /// For each target of the basis, `[members, rank]`.
        s_a: Vec<Array>,
        s_b: Vec<Array>,
    },
    /// Members with all of A and B their own.
    Dense {
        scaling: f64,
        /// Which weights are changed.
        places: Vec<(usize, Module)>,
        /// For each place, `[members, rank, inputs]`.
        a: Vec<Array>,
        /// For each place, `[members, outputs, rank]`.
        b: Vec<Array>,
    },
    /// Members that differ from the model by `± sigma A B' / sqrt(rank)` on every linear map of its layers (EGGROLL, 2025,
    /// <https://arxiv.org/abs/2511.16652>). Their numbers are made while a query of theirs runs. The perturbation is of low rank and of the model's matrices
    /// ([`ModelConfig::matrices`]), whatever its center, and the number behind its last member's names the model as it is.
    LowRank(Perturbation),
}

impl Population {
    /// Members; 0 without adapters, when queries may name any.
    pub fn members(&self) -> usize {
        let of = |list: &[Array]| list.first().map_or(0, |t| t.shape()[0]);
        match self {
            Population::None => 0,
            Population::Singular { s_a, .. } => of(s_a),
            Population::Dense { a, .. } => of(a),
            Population::LowRank(around) => around.members + 1,
        }
    }

    /// # Errors
    /// Shapes do not fit each other or the model.
    pub fn check(&self, config: &ModelConfig) -> Result<()> {
        let members = self.members();
        let shape = |what: &str, place: (usize, Module), array: &Array, want: &[usize]| {
            if array.shape() == want {
                return Ok(());
            }
            Err(Error::input(format!(
                "{what} of {} has the shape {:?}, and must have {want:?}",
                place.1.path(place.0),
                array.shape()
            )))
        };
        match self {
            Population::None => Ok(()),
            Population::LowRank(around) => match &around.low_rank {
                Some(low_rank) if **low_rank == LowRank::new(low_rank.rank(), &config.matrices()) => Ok(()),
                _ => Err(Error::input(
                    "members of low rank must be of the matrices of the model's layers, queries, keys, values, outputs, gates, ups and downs of one \
                     layer after another",
                )),
            },
            Population::Singular { basis, s_a, s_b } => {
                if s_a.len() != basis.targets.len() || s_b.len() != basis.targets.len() {
                    return Err(Error::input(format!(
                        "there are singular values of {} and {} targets, and the basis has {}",
                        s_a.len(),
                        s_b.len(),
                        basis.targets.len()
                    )));
                }
                for (t, s) in basis.targets.iter().zip(s_a.iter().zip(s_b)) {
                    let place = (t.layer, t.module);
                    check_place(config, t.layer, t.module)?;
                    let (inputs, outputs) = config.module_dims(t.module);
                    shape("the basis V_A", place, &t.v_a, &[inputs, basis.rank])?;
                    shape("the basis U_B", place, &t.u_b, &[outputs, basis.rank])?;
                    for s in [s.0, s.1] {
                        shape("the singular values", place, s, &[members, basis.rank])?;
                    }
                }
                Ok(())
            }
            Population::Dense { places, a, b, .. } => {
                if a.len() != places.len() || b.len() != places.len() {
                    return Err(Error::input(format!(
                        "there are {} factors A and {} factors B for {} places",
                        a.len(),
                        b.len(),
                        places.len()
                    )));
                }
                for (place, (a, b)) in places.iter().zip(a.iter().zip(b)) {
                    check_place(config, place.0, place.1)?;
                    let (inputs, outputs) = config.module_dims(place.1);
                    let rank = a.shape().get(1).copied().unwrap_or(0);
                    shape("the factor A", *place, a, &[members, rank, inputs])?;
                    shape("the factor B", *place, b, &[members, outputs, rank])?;
                }
                Ok(())
            }
        }
    }
}
