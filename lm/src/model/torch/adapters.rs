//! A population's adapters as libtorch's matrices.

use illume_core::{Perturbation, Result};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::{Torch, TorchModel, failed};
use crate::array::Array;
use crate::config::Module;
use crate::model::adapters::GROUPS;
use crate::population::{Basis, BasisTarget, Population};

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

/// What members that differ in singular values share of one group of maps.
#[derive(Debug)]
struct SharedGroup {
    /// As in [`TorchGroup::Shared`].
    v_a: Tensor,
    u_b: Tensor,
    /// Of each target its number in the basis, and `scaling U_A' V_B` in f32, `[rank, rank]`.
    inner: Vec<(usize, Tensor)>,
}

/// What members that differ in singular values share, on a device.
#[derive(Debug)]
pub(crate) struct TorchBasis {
    place: (Device, Kind),
    layers: Vec<[Option<SharedGroup>; 4]>,
}

impl TorchAdapters {
    /// None, for so many layers.
    fn none(layers: usize) -> TorchAdapters {
        TorchAdapters {
            layers: (0..layers).map(|_| [const { None }; 4]).collect(),
            middle: None,
            signs: None,
            places: None,
        }
    }

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
        let made = match population {
            Population::None => Ok(TorchAdapters::none(self.config.layers)),
            Population::Singular { basis, s_a, s_b } => self.singular(basis, s_a, s_b),
            Population::Dense { scaling, places, a, b } => self.dense(*scaling, places, a, b),
            Population::LowRank(around) => self.low_rank(around),
        };
        made.map_err(failed)
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

    /// Members that differ in singular values.
    fn singular(&self, basis: &Basis, s_a: &[Array], s_b: &[Array]) -> Torch<TorchAdapters> {
        let mut kept = basis.on_device();
        let place = (self.device, self.kind);
        if kept.as_ref().is_none_or(|shared| shared.place != place) {
            *kept = None;
            *kept = Some(self.basis(basis)?);
        }
        let shared = kept.as_ref().expect("made above");
        let values = |list: &[Array], target: usize, axis: i64| {
            let values = list[target].tensor()?.f_to_device(self.device)?;
            values.f_unsqueeze(axis)
        };
        let (mut layers, mut middles, mut from) = (Vec::new(), Vec::new(), 0);
        for groups in &shared.layers {
            let mut group = |shared: &Option<SharedGroup>| -> Torch<Option<TorchGroup>> {
                let Some(SharedGroup { v_a, u_b, inner }) = shared else {
                    return Ok(None);
                };
                let block = |(target, inner): &(usize, Tensor)| {
                    let scaled = values(s_a, *target, 2)?.f_mul(inner)?;
                    scaled.f_mul(&values(s_b, *target, 1)?)
                };
                let blocks: Torch<Vec<Tensor>> = inner.iter().map(block).collect();
                let mut middle = blocks_on_diagonal(&blocks?)?;
                if self.kind != Kind::Float {
                    let high = middle.f_to_kind(self.kind)?;
                    let low = middle.f_sub(&high.f_to_kind(Kind::Float)?)?.f_to_kind(self.kind)?;
                    middle = Tensor::f_cat(&[high, low], 1)?;
                }
                let middle = middle.f_flatten(1, 2)?;
                from += middle.size()[1];
                let group = TorchGroup::Shared {
                    v_a: v_a.shallow_clone(),
                    u_b: u_b.shallow_clone(),
                    from: from - middle.size()[1],
                };
                middles.push(middle);
                Ok(Some(group))
            };
            let [a, b, c, d] = groups;
            layers.push([group(a)?, group(b)?, group(c)?, group(d)?]);
        }
        Ok(TorchAdapters {
            layers,
            middle: match middles.is_empty() {
                true => None,
                false => Some(Tensor::f_cat(&middles, 1)?),
            },
            ..TorchAdapters::none(0)
        })
    }

    /// What members that differ in singular values share, on the device.
    fn basis(&self, basis: &Basis) -> Torch<TorchBasis> {
        let here = |array: &Array| array.tensor()?.f_to_device(self.device)?.f_to_kind(self.kind);
        let group = |layer: usize, modules: &[Module]| -> Torch<Option<SharedGroup>> {
            let (starts, all) = self.outputs(modules);
            let (mut downs, mut ups, mut inner) = (Vec::new(), Vec::new(), Vec::new());
            for (module, (start, outputs)) in modules.iter().zip(starts) {
                let is_it = |t: &BasisTarget| t.layer == layer && t.module == *module;
                let Some(target) = basis.targets().iter().position(is_it) else {
                    continue;
                };
                let t = &basis.targets()[target];
                downs.push(here(&t.v_a)?);
                let scaled = t.inner.tensor()?.f_mul_scalar(basis.scaling())?;
                inner.push((target, scaled.f_to_device(self.device)?));
                let up = Tensor::f_zeros([basis.rank() as i64, all], (self.kind, self.device))?;
                up.f_narrow(1, start, outputs)?.f_copy_(&here(&t.u_b)?.f_tr()?)?;
                ups.push(up);
            }
            if downs.is_empty() {
                return Ok(None);
            }
            let v_a = Tensor::f_cat(&downs, 1)?;
            Ok(Some(SharedGroup {
                v_a: match self.kind {
                    Kind::Float => v_a,
                    _ => v_a.f_repeat([1, 2])?,
                },
                u_b: Tensor::f_cat(&ups, 0)?,
                inner,
            }))
        };
        Ok(TorchBasis {
            place: (self.device, self.kind),
            layers: self.each_group(group)?,
        })
    }

    /// Members with factors of their own.
    fn dense(&self, scaling: f64, places: &[(usize, Module)], a: &[Array], b: &[Array]) -> Torch<TorchAdapters> {
        let here = |t: &Tensor| t.f_to_device(self.device)?.f_to_kind(self.kind);
        let group = |layer: usize, modules: &[Module]| -> Torch<Option<TorchGroup>> {
            let (starts, all) = self.outputs(modules);
            let (mut downs, mut ups) = (Vec::new(), Vec::new());
            for (module, (start, outputs)) in modules.iter().zip(starts) {
                let Some(i) = places.iter().position(|p| *p == (layer, *module)) else {
                    continue;
                };
                let a = a[i].tensor()?;
                let (members, rank) = (a.size()[0], a.size()[1]);
                downs.push(here(&a)?);
                let up = Tensor::f_zeros([members, all, rank], (self.kind, self.device))?;
                let scaled = b[i].tensor()?.f_mul_scalar(scaling)?;
                up.f_narrow(1, start, outputs)?.f_copy_(&here(&scaled)?)?;
                ups.push(up);
            }
            if downs.is_empty() {
                return Ok(None);
            }
            Ok(Some(TorchGroup::Own {
                a: Tensor::f_cat(&downs, 1)?,
                b: Tensor::f_cat(&ups, 2)?,
            }))
        };
        Ok(TorchAdapters {
            layers: self.each_group(group)?,
            ..TorchAdapters::none(0)
        })
    }

    /// Something of each layer's groups, from the layer's number and the group's modules.
    fn each_group<T>(&self, of: impl Fn(usize, &[Module]) -> Torch<T>) -> Torch<Vec<[T; 4]>> {
        let layer = |layer: usize| {
            let [a, b, c, d] = GROUPS.map(|modules| of(layer, modules));
            Ok([a?, b?, c?, d?])
        };
        (0..self.config.layers).map(layer).collect()
    }

    /// Where each map's outputs begin in those of its group, and how many they are; and all of the group's.
    fn outputs(&self, modules: &[Module]) -> (Vec<(i64, i64)>, i64) {
        let mut all = 0;
        let place = |module: &Module| {
            let outputs = self.config.module_dims(*module).1 as i64;
            all += outputs;
            (all - outputs, outputs)
        };
        (modules.iter().map(place).collect(), all)
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
