//! What adapters add in a forward pass that is differentiated.

use tch::Tensor;

use super::Tried;
use crate::config::Module;

/// What is added to the output of one linear map.
#[derive(Debug)]
pub(super) enum Delta {
    /// `a [rank, inputs]`, `b [outputs, rank]`.
    Factors { a: Tensor, b: Tensor },
    /// `v_a [inputs, rank]`, `inner = U_A' V_B [rank, rank]`, `u_b [outputs, rank]`; `s_a` and `s_b`, `[rank]`, are differentiated.
    Singular {
        v_a: Tensor,
        inner: Tensor,
        u_b: Tensor,
        s_a: Tensor,
        s_b: Tensor,
    },
}

/// The adapters of a model: none, of some or of all of its linear maps.
#[derive(Debug, Default)]
pub(super) struct Adapters {
    pub scaling: f64,
    pub deltas: Vec<(usize, Module, Delta)>,
}

impl Adapters {
    /// What the adapter of a module adds for the inputs `x [.., inputs]`, if it has one.
    pub fn of(&self, layer: usize, module: Module, x: &Tensor) -> Tried<Option<Tensor>> {
        let found = self.deltas.iter().find(|(l, m, _)| (*l, *m) == (layer, module));
        let Some((_, _, delta)) = found else {
            return Ok(None);
        };
        // Beside rows in bf16 factors are rounded to it, singular values and what is between them not.
        let kind = x.f_kind()?;
        let (thin, out) = match delta {
            Delta::Factors { a, b } => (x.f_matmul(&a.f_to_kind(kind)?.f_transpose(0, 1)?)?, b),
            Delta::Singular {
                v_a,
                inner,
                u_b,
                s_a,
                s_b,
            } => {
                let scaled = x.f_matmul(&v_a.f_to_kind(kind)?)?.f_mul(s_a)?;
                (scaled.f_matmul(inner)?.f_mul(s_b)?, u_b)
            }
        };
        let scaled = thin.f_mul_scalar(self.scaling)?.f_to_kind(kind)?;
        Ok(Some(scaled.f_matmul(&out.f_to_kind(kind)?.f_transpose(0, 1)?)?))
    }

    /// The lowest layer that has an adapter.
    pub fn lowest(&self) -> usize {
        self.deltas.iter().map(|(layer, ..)| *layer).min().unwrap_or(0)
    }

    /// `y` with what the adapters of `modules` add; `y` holds their outputs one after another, `[.., outputs of all]`.
    pub fn add(&self, layer: usize, modules: &[Module], x: &Tensor, y: Tensor, widths: &[i64]) -> Tried<Tensor> {
        if self.deltas.is_empty() {
            return Ok(y);
        }
        let deltas: Tried<Vec<_>> = modules.iter().map(|m| self.of(layer, *m, x)).collect();
        let deltas = deltas?;
        if deltas.iter().all(Option::is_none) {
            return Ok(y);
        }
        let parts = deltas.into_iter().zip(y.f_split_with_sizes(widths, -1)?);
        let sums: Tried<Vec<Tensor>> = parts
            .map(|(delta, part)| match delta {
                Some(delta) => part.f_add(&delta),
                None => Ok(part),
            })
            .collect();
        Tensor::f_cat(&sums?, -1)
    }
}
