//! What ESSA searches (2025, <https://arxiv.org/abs/2507.04453>): the singular values of each factor of an adapter, or the factors themselves.
//!
//! `A = U_A diag(s_A) V_A'` and `B = U_B diag(s_B) V_B'`; a genome is what is added to the largest `ceil(alpha rank)` of each `s`, in units of that factor's
//! size or as it is, so that zeros are the adapter that the search starts from.

mod space;

use illume_core::{Error, Result};
use illume_numerics::svd::{Thin, decompose};
use rayon::prelude::*;

use crate::array::Array;
use crate::config::Module;
use crate::lora::{Lora, LoraTarget};
use crate::population::{Basis, BasisTarget};
pub(crate) use space::Factors;
pub use space::{SearchKind, SearchSpace, Steps};

/// The factors of an adapter, decomposed.
#[derive(Debug, Clone, PartialEq)]
pub struct SvdAdapter {
    pub scaling: f64,
    pub rank: usize,
    pub targets: Vec<SvdTarget>,
}

/// The factors of one weight's adapter, decomposed in f64; matrices row by row. Columns of U and V that belong to one singular value have the sign
/// that makes the largest entry of the one with `rank` rows positive.
#[derive(Debug, Clone, PartialEq)]
pub struct SvdTarget {
    pub layer: usize,
    pub module: Module,
    pub inputs: usize,
    pub outputs: usize,
    /// `[rank, rank]`.
    pub u_a: Vec<f32>,
    /// Descending, `[rank]`.
    pub s_a: Vec<f32>,
    /// `[inputs, rank]`.
    pub v_a: Vec<f32>,
    /// `[outputs, rank]`.
    pub u_b: Vec<f32>,
    /// Descending, `[rank]`.
    pub s_b: Vec<f32>,
    /// `[rank, rank]`.
    pub v_b: Vec<f32>,
    /// `U_A' V_B`, `[rank, rank]`.
    pub inner: Vec<f32>,
}

impl SvdAdapter {
    /// Decomposes the factors of `lora`. The result is the same for any number of threads.
    ///
    /// # Errors
    /// The rank is above a side of a target, or a number is not finite.
    pub fn new(lora: &Lora) -> Result<SvdAdapter> {
        let rank = lora.rank;
        for t in &lora.targets {
            let side = t.a.values().len().min(t.b.values().len()) / rank.max(1);
            if rank == 0 || rank > side {
                return Err(Error::input(format!(
                    "the adapter's rank is {rank}, and must be 1 to {side}, the smaller side of {}, for its singular values to be searched",
                    t.path()
                )));
            }
        }
        let one = |t: &LoraTarget| {
            let (layer, module) = (t.layer, t.module);
            let (a, b) = (t.a.values(), t.b.values());
            let (inputs, outputs) = (a.len() / rank, b.len() / rank);
            let thin = |rows: &[f64], width| {
                decompose(rows, rank, width).ok_or_else(|| {
                    Error::input(format!(
                        "the adapter of {} has factors with numbers that are not finite, which have no singular values",
                        module.path(layer)
                    ))
                })
            };
            let a = thin(&a.iter().map(|x| f64::from(*x)).collect::<Vec<_>>(), inputs)?;
            let b_rows = (0..rank * outputs).map(|i| f64::from(b[i % outputs * rank + i / outputs]));
            let b = thin(&b_rows.collect::<Vec<_>>(), outputs)?;
            let inner = |i: usize| -> f64 {
                (0..rank)
                    .map(|k| a.left[k * rank + i / rank] * b.left[k * rank + i % rank])
                    .sum()
            };
            Ok(SvdTarget {
                layer,
                module,
                inputs,
                outputs,
                inner: (0..rank * rank).map(|i| inner(i) as f32).collect(),
                u_a: single(&a.left),
                s_a: single(&a.values),
                v_a: columns(&a, inputs),
                u_b: columns(&b, outputs),
                s_b: single(&b.values),
                v_b: single(&b.left),
            })
        };
        Ok(SvdAdapter {
            scaling: lora.scaling(),
            rank,
            targets: lora.targets.par_iter().map(one).collect::<Result<_>>()?,
        })
    }
}

impl SvdAdapter {
    /// What members with other singular values share.
    fn basis(&self) -> Basis {
        let rank = self.rank;
        let targets = self.targets.iter().map(|t| BasisTarget {
            layer: t.layer,
            module: t.module,
            v_a: Array::new(&[t.inputs, rank], t.v_a.clone()),
            inner: Array::new(&[rank, rank], t.inner.clone()),
            u_b: Array::new(&[t.outputs, rank], t.u_b.clone()),
        });
        Basis::new(self.scaling, targets.collect()).expect("all targets of an adapter have its rank")
    }
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|x| *x as f32).collect()
}

/// The rows of `right [rank, width]` as columns, `[width, rank]`.
fn columns(thin: &Thin, width: usize) -> Vec<f32> {
    let rank = thin.values.len();
    (0..width * rank)
        .map(|i| thin.right[i % rank * width + i / rank] as f32)
        .collect()
}
