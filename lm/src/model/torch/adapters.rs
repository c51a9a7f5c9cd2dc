//! A population's adapters as libtorch's matrices.

use illume_core::{Perturbation, Result};
use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::{Torch, TorchModel, failed};
use crate::config::Module;
use crate::model::adapters::GROUPS;
use crate::population::{BasisTarget, Population};

/// Bytes of members' matrices that a pass takes for all its layers at once; where it would be more each layer takes its own.
const GATHERED: i64 = 1 << 30;

/// A population's adapters of one group of maps, as matrices of the whole group.
#[derive(Debug)]
pub(crate) enum TorchGroup {
    /// `x V_A`, a small matrix of each member, and `U_B'` (block by block).
    Shared {
        /// `[inputs, columns]`; in bf16 twice beside one another, for the two parts of the middle.
        v_a: Tensor,
        /// `[columns, outputs]`.
        u_b: Tensor,
        /// Where the group begins among the numbers of `middle`.
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
    /// Of members that differ in singular values: what is between the first and the last product of all groups, `diag(s_a) inner diag(s_b)` block by
    /// block and scaled, `[members, numbers]`. In bf16 each matrix is followed by what rounding took from it: members that differ by a thousandth are to
    /// differ.
    middle: Option<Tensor>,
    /// Of members of low rank: their signs, `[members + 1, 1]`.
    signs: Option<Tensor>,
    /// Of members of low rank: where their pair's factors are.
    places: Option<Tensor>,
}

/// What the adapters need of each token's member.
pub(super) struct Chosen {
    /// Where its factors are.
    members: Tensor,
    /// `[tokens, numbers]`; none where that would take too much room, and for members of low rank.
    middle: Option<Tensor>,
    /// `[tokens, 1]`.
    signs: Option<Tensor>,
}

impl TorchAdapters {
    /// For tokens of these members.
    pub(super) fn choose(&self, members: Tensor) -> Torch<Chosen> {
        let of = |all: &Option<Tensor>| all.as_ref().map(|t| t.f_index_select(0, &members)).transpose();
        let room = |t: &Tensor| members.numel() as i64 * t.size()[1] * t.kind().elt_size_in_bytes() as i64 <= GATHERED;
        Ok(Chosen {
            middle: match self.middle.as_ref().is_some_and(room) {
                true => of(&self.middle)?,
                false => None,
            },
            signs: of(&self.signs)?,
            members: match &self.places {
                Some(places) => places.f_index_select(0, &members)?,
                None => members,
            },
        })
    }

    /// Adds to `y` what the adapters of a group add to the products with `x`.
    pub(super) fn add(&self, group: &TorchGroup, y: &mut Tensor, x: &Tensor, chosen: &Chosen) -> Torch<()> {
        match group {
            TorchGroup::Shared { v_a, u_b, from } => {
                let z = x.f_matmul(v_a)?.f_unsqueeze(1)?;
                let shape = [z.size()[2], u_b.size()[0]];
                let (all, numbers) = (self.middle.as_ref().expect("made with the group"), shape[0] * shape[1]);
                let middle = match &chosen.middle {
                    Some(middle) => middle.f_narrow(1, *from, numbers)?,
                    None => all.f_narrow(1, *from, numbers)?.f_index_select(0, &chosen.members)?,
                };
                let z = z.f_bmm(&middle.f_view([-1, shape[0], shape[1]])?)?.f_squeeze_dim(1)?;
                let _ = y.f_addmm_(&z, u_b)?;
            }
            TorchGroup::Own { a, b } => {
                let mut z = a.f_index_select(0, &chosen.members)?.f_bmm(&x.f_unsqueeze(2)?)?;
                if let Some(signs) = &chosen.signs {
                    z = z.f_mul(&signs.f_unsqueeze(2)?)?;
                }
                let more = b.f_index_select(0, &chosen.members)?.f_bmm(&z)?;
                let _ = y.f_add_(&more.f_squeeze_dim(2)?)?;
            }
        }
        Ok(())
    }
}

impl TorchModel {
    /// The adapters of a population that fits the model, on the device.
    pub fn adapters(&self, population: &Population) -> Result<TorchAdapters> {
        if let Population::LowRank(around) = population {
            return self.low_rank(around).map_err(failed);
        }
        let (mut layers, mut middles) = (Vec::new(), Vec::new());
        for layer in 0..self.config.layers {
            let mut group = |modules: &[Module]| self.group(population, layer, modules, &mut middles);
            let [a, b, c, d] = GROUPS;
            layers.push([group(a)?, group(b)?, group(c)?, group(d)?]);
        }
        let middle = match middles.is_empty() {
            true => None,
            false => Some(Tensor::f_cat(&middles, 1).map_err(failed)?),
        };
        Ok(TorchAdapters {
            layers,
            middle,
            signs: None,
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
            middle: None,
            signs: Some(signs.f_to_device(self.device)?.f_to_kind(self.kind)?),
            places: Some(Tensor::f_from_slice(&places)?.f_to_device(self.device)?),
        })
    }

    fn group(
        &self,
        population: &Population,
        layer: usize,
        modules: &[Module],
        middles: &mut Vec<Tensor>,
    ) -> Result<Option<TorchGroup>> {
        let here = |t: &Tensor| t.f_to_device(self.device)?.f_to_kind(self.kind);
        let outputs: Vec<i64> = modules.iter().map(|m| self.config.module_dims(*m).1 as i64).collect();
        let all: i64 = outputs.iter().sum();
        let start = |m: usize| outputs[..m].iter().sum::<i64>();
        let wide = |t: &Tensor| t.f_to_device(self.device)?.f_to_kind(Kind::Float);
        let mut make = || -> Torch<Option<TorchGroup>> {
            let (mut downs, mut ups, mut rank) = (Vec::new(), Vec::new(), 0);
            match population {
                Population::None | Population::LowRank(_) => Ok(None),
                Population::Singular { basis, s_a, s_b } => {
                    let mut blocks = Vec::new();
                    for (m, module) in modules.iter().enumerate() {
                        let is_it = |t: &BasisTarget| t.layer == layer && t.module == *module;
                        let Some(i) = basis.targets().iter().position(is_it) else {
                            continue;
                        };
                        let t = &basis.targets()[i];
                        downs.push(here(&t.v_a)?);
                        let inner = wide(&t.inner.f_mul_scalar(basis.scaling())?)?;
                        let (s_a, s_b) = (wide(&s_a[i])?.f_unsqueeze(2)?, wide(&s_b[i])?.f_unsqueeze(1)?);
                        blocks.push(s_a.f_mul(&inner)?.f_mul(&s_b)?);
                        let up = Tensor::f_zeros([basis.rank() as i64, all], (self.kind, self.device))?;
                        up.narrow(1, start(m), outputs[m]).f_copy_(&here(&t.u_b)?.f_tr()?)?;
                        ups.push(up);
                    }
                    if downs.is_empty() {
                        return Ok(None);
                    }
                    let mut v_a = Tensor::f_cat(&downs, 1)?;
                    let mut middle = blocks_on_diagonal(&blocks)?;
                    if self.kind != Kind::Float {
                        let high = middle.f_to_kind(self.kind)?;
                        let low = middle.f_sub(&high.f_to_kind(Kind::Float)?)?.f_to_kind(self.kind)?;
                        middle = Tensor::f_cat(&[high, low], 1)?;
                        v_a = v_a.f_repeat([1, 2])?;
                    }
                    let from: i64 = middles.iter().map(|t| t.size()[1]).sum();
                    middles.push(middle.f_flatten(1, 2)?);
                    Ok(Some(TorchGroup::Shared {
                        v_a,
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

/// Of matrices `[members, n, n]` of several n, matrices of all n together with zeros elsewhere.
fn blocks_on_diagonal(blocks: &[Tensor]) -> Torch<Tensor> {
    let all: i64 = blocks.iter().map(|b| b.size()[1]).sum();
    let out = Tensor::f_zeros([blocks[0].size()[0], all, all], (Kind::Float, blocks[0].device()))?;
    let mut at = 0;
    for block in blocks {
        let n = block.size()[1];
        out.f_narrow(1, at, n)?.f_narrow(2, at, n)?.f_copy_(block)?;
        at += n;
    }
    Ok(out)
}
