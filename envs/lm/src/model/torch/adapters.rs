//! A population's adapters as libtorch's matrices.

use illume_core::Result;
use tch::Tensor;

use super::{Torch, TorchModel, failed};
use crate::config::Module;
use crate::model::adapters::GROUPS;
use crate::population::{BasisTarget, Population};

/// A population's adapters of one group of maps, as matrices of the whole group.
#[derive(Debug)]
pub(crate) enum TorchGroup {
    /// `x V_A`, `* s_a`, `inner` (block by block, scaled), `* s_b`, `U_B'` (block by block).
    Shared {
        v_a: Tensor,
        s_a: Tensor,
        inner: Tensor,
        s_b: Tensor,
        u_b: Tensor,
    },
    /// `[members, ranks, inputs]`, and `[members, outputs, ranks]` block by block, scaled.
    Own { a: Tensor, b: Tensor },
}

pub(crate) type TorchAdapters = Vec<[Option<TorchGroup>; 4]>;

impl TorchModel {
    /// The adapters of a population that fits the model, on the device.
    pub fn adapters(&self, population: &Population) -> Result<TorchAdapters> {
        let mut layers = Vec::new();
        for layer in 0..self.config.layers {
            let group = |modules: &[Module]| self.group(population, layer, modules);
            let [a, b, c, d] = GROUPS;
            layers.push([group(a)?, group(b)?, group(c)?, group(d)?]);
        }
        Ok(layers)
    }

    fn group(&self, population: &Population, layer: usize, modules: &[Module]) -> Result<Option<TorchGroup>> {
        let here = |t: &Tensor| t.f_to_device(self.device)?.f_to_kind(self.kind);
        let outputs: Vec<i64> = modules.iter().map(|m| self.config.module_dims(*m).1 as i64).collect();
        let all: i64 = outputs.iter().sum();
        let start = |m: usize| outputs[..m].iter().sum::<i64>();
        let make = || -> Torch<Option<TorchGroup>> {
            let (mut downs, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
            let (mut inners, mut ups, mut rank) = (Vec::new(), Vec::new(), 0);
            match population {
                Population::None => Ok(None),
                Population::Singular { basis, s_a, s_b } => {
                    for (m, module) in modules.iter().enumerate() {
                        let is_it = |t: &BasisTarget| t.layer == layer && t.module == *module;
                        let Some(i) = basis.targets().iter().position(is_it) else {
                            continue;
                        };
                        let t = &basis.targets()[i];
                        downs.push(here(&t.v_a)?);
                        first.push(here(&s_a[i])?);
                        second.push(here(&s_b[i])?);
                        inners.push(here(&t.inner.f_mul_scalar(basis.scaling())?)?);
                        let up = Tensor::f_zeros([basis.rank() as i64, all], (self.kind, self.device))?;
                        up.narrow(1, start(m), outputs[m]).f_copy_(&here(&t.u_b)?.f_tr()?)?;
                        ups.push(up);
                    }
                    if downs.is_empty() {
                        return Ok(None);
                    }
                    Ok(Some(TorchGroup::Shared {
                        v_a: Tensor::f_cat(&downs, 1)?,
                        s_a: Tensor::f_cat(&first, 1)?,
                        inner: Tensor::f_block_diag(&inners)?,
                        s_b: Tensor::f_cat(&second, 1)?,
                        u_b: Tensor::f_cat(&ups, 0)?,
                    }))
                }
                Population::Dense { scaling, places, a, b } => {
                    for (m, module) in modules.iter().enumerate() {
                        let Some(i) = places.iter().position(|p| *p == (layer, *module)) else {
                            continue;
                        };
                        let (members, r) = (a[i].size()[0], a[i].size()[1]);
                        rank += r;
                        downs.push(here(&a[i])?);
                        let up = Tensor::f_zeros([members, all, r], (self.kind, self.device))?;
                        up.narrow(1, start(m), outputs[m])
                            .f_copy_(&here(&b[i].f_mul_scalar(*scaling)?)?)?;
                        ups.push(up);
                    }
                    if rank == 0 {
                        return Ok(None);
                    }
                    Ok(Some(TorchGroup::Own {
                        a: Tensor::f_cat(&downs, 1)?,
                        b: Tensor::f_cat(&ups, 2)?,
                    }))
                }
            }
        };
        make().map_err(failed)
    }
}

impl TorchGroup {
    /// What the adapters add to the products with `x`.
    pub(super) fn apply(&self, x: &Tensor, members: &Tensor) -> Torch<Tensor> {
        match self {
            TorchGroup::Shared {
                v_a,
                s_a,
                inner,
                s_b,
                u_b,
            } => x
                .f_matmul(v_a)?
                .f_mul(&s_a.f_index_select(0, members)?)?
                .f_matmul(inner)?
                .f_mul(&s_b.f_index_select(0, members)?)?
                .f_matmul(u_b),
            TorchGroup::Own { a, b } => {
                let z = a.f_index_select(0, members)?.f_bmm(&x.f_unsqueeze(2)?)?;
                b.f_index_select(0, members)?.f_bmm(&z)?.f_squeeze_dim(2)
            }
        }
    }
}
