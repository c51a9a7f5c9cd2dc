//! The gradient of a surrogate on a device, by libtorch.

use std::sync::{Mutex, OnceLock, PoisonError};

use illume_core::Result;
use tch::{Kind, Tensor};

use super::super::Example;
use super::super::surrogates::{Surrogates, Term, by_answer};
use super::adapters::{Adapters, Delta};
use super::parallel::{self, Pass};
use super::rows::{self, Rows};
use super::weights::{Weights, failed};
use super::{Tried, numbers, shared, tensor};

/// What is kept on the device, read when it is first asked for.
#[derive(Default)]
pub(in crate::train) struct OnDevice {
    weights: OnceLock<Mutex<Weights>>,
    /// What the adapters' forward pass shares.
    fixed: OnceLock<Mutex<Vec<Vec<Tensor>>>>,
}

impl Surrogates {
    /// As [`Surrogates::pass_all`].
    pub(in crate::train) fn by_libtorch(
        &self,
        examples: &[Example],
        values: &[[Vec<f32>; 2]],
        terms: &[Vec<Term>],
    ) -> Result<(Vec<Vec<f32>>, Vec<f32>)> {
        let leaves = self.leaves(values)?;
        let weights = self.weights()?;
        let room = weights.room();
        let passes = rows::passes(examples, &self.checkpoint.config, room.tokens)?;
        let origins: Vec<(usize, usize)> = passes.iter().flat_map(|p| p.origin.clone()).collect();
        let share = |rows| self.pass(&weights, &leaves, rows, room.stage);
        let temperature = self.temperature;
        let (gradient, told) = if terms.is_empty() {
            let told = parallel::values(None, passes, share, |pass, logits| {
                numbers(&log_probs(pass, &logits, temperature)?)
            })?;
            (Vec::new(), told)
        } else {
            let (flat, told) = parallel::gradients(None, passes, share, |pass, logits| {
                let of = log_probs(pass, &logits, temperature)?;
                let new = numbers(&of)?;
                let of_pass = pass.rows.origin.iter().flat_map(|(answer, _)| &terms[*answer]);
                let slopes: Vec<f32> = of_pass.zip(&new).map(|(term, x)| term.slope(*x)).collect();
                let slopes = Tensor::f_from_slice(&slopes)?.f_to_device(of.device())?;
                Ok((of.f_mul(&slopes)?.f_sum(Kind::Float)?, new))
            })?;
            (
                flat.map_or(Ok(Vec::new()), |flat| numbers(&flat)).map_err(failed)?,
                told,
            )
        };
        Ok((by_answer(&origins, &told.concat(), examples.len()), gradient))
    }

    fn weights(&self) -> Result<Weights> {
        if self.on_device.weights.get().is_none() {
            let read = Weights::rounded(&self.checkpoint, self.precision, self.device)?;
            // Another thread may have been faster; its copy stays then.
            let _ = self.on_device.weights.set(Mutex::new(read));
        }
        let kept = self.on_device.weights.get().expect("set above");
        Ok(kept.lock().unwrap_or_else(PoisonError::into_inner).share())
    }

    /// Of each target the matrices that are not searched: those of the basis, or none.
    fn fixed(&self) -> Vec<Vec<Tensor>> {
        let make = || {
            let Some((svd, _)) = self.space.singular() else {
                return Mutex::new(Vec::new());
            };
            let of = |t: &crate::svd::SvdTarget| {
                [
                    tensor(&t.v_a, &[t.inputs, svd.rank]),
                    tensor(&t.inner, &[svd.rank, svd.rank]),
                    tensor(&t.u_b, &[t.outputs, svd.rank]),
                ]
                .map(|x| x.to_device(self.device.into()))
                .into()
            };
            Mutex::new(svd.targets.iter().map(of).collect())
        };
        let kept = self
            .on_device
            .fixed
            .get_or_init(make)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(|list| shared(list)).collect()
    }

    /// The same as tensors on the device, to be differentiated.
    fn leaves(&self, values: &[[Vec<f32>; 2]]) -> Result<Vec<Tensor>> {
        let rank = self.space.rank();
        let singular = self.space.singular().is_some();
        let leaf = |values: &Vec<f32>, shape: &[usize]| {
            let shape = if singular { &[rank] } else { shape };
            let leaf = tensor(values, shape).f_to_device(self.device.into());
            leaf.and_then(|t| t.f_set_requires_grad(true)).map_err(failed)
        };
        let pairs = values
            .iter()
            .flat_map(|[a, b]| [leaf(a, &[rank, a.len() / rank]), leaf(b, &[b.len() / rank, rank])]);
        pairs.collect()
    }

    fn pass(&self, weights: &Weights, leaves: &[Tensor], rows: Rows, stage: usize) -> Pass {
        let mut fixed = self.fixed().into_iter();
        let pairs = self.space.factors().iter().zip(leaves.chunks(2));
        let deltas = pairs.map(|(f, pair)| {
            let [a, b] = [pair[0].shallow_clone(), pair[1].shallow_clone()];
            let delta = match fixed.next().map(<[Tensor; 3]>::try_from) {
                Some(Ok([v_a, inner, u_b])) => Delta::Singular {
                    v_a,
                    inner,
                    u_b,
                    s_a: a,
                    s_b: b,
                },
                _ => Delta::Factors { a, b },
            };
            (f.layer, f.module, delta)
        });
        Pass {
            rows,
            weights: weights.share(),
            adapters: Adapters {
                scaling: self.space.scaling(),
                deltas: deltas.collect(),
            },
            leaves: shared(leaves),
            stage: Some(stage),
        }
    }
}

/// Log-probabilities of the wanted tokens of a pass, `[wanted]`.
fn log_probs(pass: &Pass, logits: &Tensor, temperature: f64) -> Tried<Tensor> {
    let targets = Tensor::f_from_slice(&pass.rows.targets)?.f_to_device(logits.device())?;
    let all = logits.f_div_scalar(temperature)?.f_log_softmax(-1, Kind::Float)?;
    all.f_gather(1, &targets.f_unsqueeze(1)?, false)?.f_squeeze_dim(1)
}
