//! A population's adapters as libtorch's matrices.

use illume_core::{Perturbation, Result};
use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::{Torch, TorchModel, failed, wide_product};
use crate::config::Module;
use crate::model::adapters::GROUPS;
use crate::population::{BasisTarget, Population};

/// A population's adapters of one group of maps, as matrices of the whole group.
#[derive(Debug)]
pub(crate) enum TorchGroup {
    /// `x V_A`, `* s_a`, `inner` (block by block, scaled), `* s_b`, `U_B'` (block by block). What is between the first and the last
    /// product is in f32: members that differ by a thousandth are to differ.
    Shared {
        v_a: Tensor,
        inner: Tensor,
        u_b: Tensor,
        /// Where `s_a` and after it `s_b` begin among the columns of `scales`.
        from: i64,
    },
    /// `[members, ranks, inputs]`, and `[members, outputs, ranks]` block by block, scaled. Of members of low rank each pair has one place, and what is
    /// between the products is multiplied by the member's sign.
    Own { a: Tensor, b: Tensor },
}

/// A population's adapters.
#[derive(Debug)]
pub(crate) struct TorchAdapters {
    /// For each layer, for each group.
    pub(super) layers: Vec<[Option<TorchGroup>; 4]>,
    /// The members' singular values of all groups, `[members, columns]` in f32; of members of low rank their signs, `[members + 1, 1]`.
    scales: Option<Tensor>,
    /// Of members of low rank: where their pair's factors are.
    places: Option<Tensor>,
}

impl TorchAdapters {
    /// The singular values, or the sign, of each token's member, `[tokens, columns]`.
    pub(super) fn scales(&self, members: &Tensor) -> Torch<Option<Tensor>> {
        let of = |scales: &Tensor| scales.f_index_select(0, members);
        self.scales.as_ref().map(of).transpose()
    }

    /// Where the factors of each token's member are.
    pub(super) fn places(&self, members: Tensor) -> Torch<Tensor> {
        match &self.places {
            Some(places) => places.f_index_select(0, &members),
            None => Ok(members),
        }
    }
}

impl TorchModel {
    /// The adapters of a population that fits the model, on the device.
    pub fn adapters(&self, population: &Population) -> Result<TorchAdapters> {
        if let Population::LowRank(around) = population {
            return self.low_rank(around).map_err(failed);
        }
        let (mut layers, mut scales) = (Vec::new(), Vec::new());
        for layer in 0..self.config.layers {
            let mut group = |modules: &[Module]| self.group(population, layer, modules, &mut scales);
            let [a, b, c, d] = GROUPS;
            layers.push([group(a)?, group(b)?, group(c)?, group(d)?]);
        }
        let scales = match scales.is_empty() {
            true => None,
            false => Some(Tensor::f_cat(&scales, 1).map_err(failed)?),
        };
        Ok(TorchAdapters {
            layers,
            scales,
            places: None,
        })
    }

    /// The factors of all pairs, and behind them zeros for the model as it is.
    fn low_rank(&self, around: &Perturbation) -> Torch<TorchAdapters> {
        let shape = around.low_rank.as_ref().expect("checked with the population");
        let (pairs, rank) = (around.members.div_ceil(2), shape.rank() as i64);
        let mut numbers = vec![0.0; (pairs + 1) * shape.numbers()];
        let each = numbers.par_chunks_exact_mut(shape.numbers()).enumerate();
        each.filter(|(pair, _)| *pair < pairs)
            .for_each(|(pair, out)| around.stream(pair).normals(0, out));
        let all = pairs as i64 + 1;
        let numbers = Tensor::f_from_slice(&numbers)?
            .f_view([all, -1])?
            .f_to_device(self.device)?
            .f_to_kind(self.kind)?;
        let scale = f64::from(around.sigma * shape.scaling());
        let mut matrices = shape.matrices().iter();
        let mut layers = Vec::new();
        for _ in 0..self.config.layers {
            let mut group = |modules: &[Module]| -> Torch<Option<TorchGroup>> {
                let maps: Vec<_> = matrices.by_ref().take(modules.len()).collect();
                let outputs: i64 = maps.iter().map(|m| m.rows as i64).sum();
                let place = (self.kind, self.device);
                let b = Tensor::f_zeros([all, outputs, rank * maps.len() as i64], place)?;
                let (mut downs, mut start) = (Vec::new(), 0);
                for (i, map) in maps.into_iter().enumerate() {
                    let (rows, columns) = (map.rows as i64, map.columns as i64);
                    let part = |first: usize, width: i64| {
                        numbers
                            .f_narrow(1, first as i64, rank * width)?
                            .f_view_copy([all, rank, width])
                    };
                    downs.push(part(map.b, columns)?);
                    let up = part(map.a, rows)?.f_transpose(1, 2)?.f_mul_scalar(scale)?;
                    b.f_narrow(1, start, rows)?
                        .f_narrow(2, i as i64 * rank, rank)?
                        .f_copy_(&up)?;
                    start += rows;
                }
                Ok(Some(TorchGroup::Own {
                    a: Tensor::f_cat(&downs, 1)?,
                    b,
                }))
            };
            let [a, b, c, d] = GROUPS;
            layers.push([group(a)?, group(b)?, group(c)?, group(d)?]);
        }
        let members = 0..=around.members;
        let place = |m: usize| if m < around.members { m / 2 } else { pairs } as i64;
        let places: Vec<i64> = members.clone().map(place).collect();
        let signs: Vec<f32> = members.map(|m| if m % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let signs = Tensor::f_from_slice(&signs)?.f_view([-1, 1])?;
        Ok(TorchAdapters {
            layers,
            scales: Some(signs.f_to_device(self.device)?.f_to_kind(self.kind)?),
            places: Some(Tensor::f_from_slice(&places)?.f_to_device(self.device)?),
        })
    }

    fn group(
        &self,
        population: &Population,
        layer: usize,
        modules: &[Module],
        scales: &mut Vec<Tensor>,
    ) -> Result<Option<TorchGroup>> {
        let here = |t: &Tensor| t.f_to_device(self.device)?.f_to_kind(self.kind);
        let outputs: Vec<i64> = modules.iter().map(|m| self.config.module_dims(*m).1 as i64).collect();
        let all: i64 = outputs.iter().sum();
        let start = |m: usize| outputs[..m].iter().sum::<i64>();
        let wide = |t: &Tensor| t.f_to_device(self.device)?.f_to_kind(Kind::Float);
        let mut make = || -> Torch<Option<TorchGroup>> {
            let (mut downs, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
            let (mut inners, mut ups, mut rank) = (Vec::new(), Vec::new(), 0);
            match population {
                Population::None | Population::LowRank(_) => Ok(None),
                Population::Singular { basis, s_a, s_b } => {
                    for (m, module) in modules.iter().enumerate() {
                        let is_it = |t: &BasisTarget| t.layer == layer && t.module == *module;
                        let Some(i) = basis.targets().iter().position(is_it) else {
                            continue;
                        };
                        let t = &basis.targets()[i];
                        downs.push(here(&t.v_a)?);
                        first.push(wide(&s_a[i])?);
                        second.push(wide(&s_b[i])?);
                        inners.push(wide(&t.inner.f_mul_scalar(basis.scaling())?)?);
                        let up = Tensor::f_zeros([basis.rank() as i64, all], (self.kind, self.device))?;
                        up.narrow(1, start(m), outputs[m]).f_copy_(&here(&t.u_b)?.f_tr()?)?;
                        ups.push(up);
                    }
                    if downs.is_empty() {
                        return Ok(None);
                    }
                    let from: i64 = scales.iter().map(|t| t.size()[1]).sum();
                    scales.extend([Tensor::f_cat(&first, 1)?, Tensor::f_cat(&second, 1)?]);
                    Ok(Some(TorchGroup::Shared {
                        v_a: Tensor::f_cat(&downs, 1)?,
                        inner: Tensor::f_block_diag(&inners)?,
                        u_b: Tensor::f_cat(&ups, 0)?,
                        from,
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
    /// `y` and what the adapters add to the products with `x`; `scales` are of the tokens' members.
    pub(super) fn add(&self, y: &Tensor, x: &Tensor, scales: Option<&Tensor>, members: &Tensor) -> Torch<Tensor> {
        match self {
            TorchGroup::Shared { v_a, inner, u_b, from } => {
                let columns = inner.size()[0];
                let scales = scales.expect("made with the group");
                let z = wide_product(x, v_a)?
                    .f_mul(&scales.f_narrow(1, *from, columns)?)?
                    .f_matmul(inner)?
                    .f_mul(&scales.f_narrow(1, from + columns, columns)?)?
                    .f_to_kind(y.kind())?;
                y.f_addmm(&z, u_b)
            }
            TorchGroup::Own { a, b } => {
                let mut z = a.f_index_select(0, members)?.f_bmm(&x.f_unsqueeze(2)?)?;
                if let Some(signs) = scales {
                    z = z.f_mul(&signs.f_unsqueeze(2)?)?;
                }
                y.f_add(&b.f_index_select(0, members)?.f_bmm(&z)?.f_squeeze_dim(2)?)
            }
        }
    }
}
