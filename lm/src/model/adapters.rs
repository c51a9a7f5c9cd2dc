//! A population's adapters in the layout of the kernels: what each row adds to the products of its batch.

use std::ops::Range;

use illume_core::MatrixPlace;
use illume_numerics::LANES;
use illume_numerics::Level;
use illume_numerics::transformer::ops::{dot, turn};
use illume_numerics::transformer::{Extra, Matrix, Packed, Precision, Product, Start};

use super::low_rank::Members;
use crate::array::Array;
use crate::config::Module;
use crate::population::{Basis, Population};

/// The modules whose products run together, since they have the same inputs.
pub(crate) const GROUPS: [&[Module]; 4] = [
    &[Module::Q, Module::K, Module::V],
    &[Module::O],
    &[Module::Gate, Module::Up],
    &[Module::Down],
];

/// A basis in panels, of every layer and group.
#[derive(Debug)]
pub(crate) struct PackedBasis {
    layers: Vec<[Option<SharedGroup>; 4]>,
}

#[derive(Debug)]
pub(crate) struct SharedGroup {
    /// The V_A of all targets of the group, side by side.
    v_a: Packed,
    /// For each module of the group.
    parts: Vec<Option<SharedPart>>,
}

#[derive(Debug)]
struct SharedPart {
    /// Number of the target in the basis.
    target: usize,
    /// First column in the product with `v_a`.
    at: usize,
    /// `scaling U_A' V_B`, `[rank, rank]`.
    inner: Vec<f32>,
    u_b: Packed,
}

impl PackedBasis {
    pub fn new(basis: &Basis) -> PackedBasis {
        let rank = basis.rank();
        let count = basis.targets().iter().map(|t| t.layer + 1).max().unwrap_or(0);
        let mut layers = Vec::new();
        for layer in 0..count {
            let mut groups = [const { None }; 4];
            for (group, modules) in groups.iter_mut().zip(GROUPS) {
                let (mut rows, mut parts, mut at, mut inputs) = (Vec::new(), Vec::new(), 0, 0);
                for module in modules {
                    let is_it = |t: &crate::population::BasisTarget| t.layer == layer && t.module == *module;
                    let Some(target) = basis.targets().iter().position(is_it) else {
                        parts.push(None);
                        continue;
                    };
                    let t = &basis.targets()[target];
                    inputs = t.v_a.shape()[0];
                    let v_a = t.v_a.values();
                    rows.extend((0..rank).flat_map(|column| v_a[column..].iter().step_by(rank)));
                    let scaling = basis.scaling() as f32;
                    let inner = t.inner.values().iter().map(|x| x * scaling).collect();
                    let u_b = Packed::new(&[t.u_b.values()], rank, Precision::F32);
                    parts.push(Some(SharedPart { target, at, inner, u_b }));
                    at += rank;
                }
                if at > 0 {
                    *group = Some(SharedGroup {
                        v_a: Packed::new(&[&rows], inputs, Precision::F32),
                        parts,
                    });
                }
            }
            layers.push(groups);
        }
        PackedBasis { layers }
    }
}

/// One member's factors of one weight.
pub(crate) struct OwnPart<'a> {
    rank: usize,
    inputs: usize,
    outputs: usize,
    /// First column of the products with A.
    at: usize,
    /// `[members, rank, inputs]`, scaled.
    a: Vec<f32>,
    /// `[members, outputs, rank]`.
    b: &'a [f32],
}

/// The adapters of all members, ready for passes.
pub(crate) enum Adapters<'a> {
    None,
    Shared {
        rank: usize,
        basis: &'a PackedBasis,
        /// For each target `[members, rank]`.
        s_a: &'a [Array],
        s_b: &'a [Array],
    },
    Own {
        /// For each layer and group, for each module.
        layers: Vec<[Vec<Option<OwnPart<'a>>>; 4]>,
        width: usize,
    },
    LowRank(Members<'a>),
}

impl<'a> Adapters<'a> {
    pub fn new(population: &'a Population) -> Adapters<'a> {
        match population {
            Population::None => Adapters::None,
            Population::LowRank(around) => {
                let shape = around.low_rank.as_ref().expect("checked with the population");
                Adapters::LowRank(Members::new(around, shape))
            }
            Population::Singular { basis, s_a, s_b } => Adapters::Shared {
                rank: basis.rank(),
                basis: basis.packed(),
                s_a,
                s_b,
            },
            Population::Dense { scaling, places, a, b } => {
                let mut width = 0;
                let mut layers = Vec::new();
                for layer in 0..places.iter().map(|p| p.0 + 1).max().unwrap_or(0) {
                    let mut groups: [Vec<Option<OwnPart<'_>>>; 4] = Default::default();
                    for (group, modules) in groups.iter_mut().zip(GROUPS) {
                        let mut at = 0;
                        for module in modules {
                            let Some(i) = places.iter().position(|p| *p == (layer, *module)) else {
                                group.push(None);
                                continue;
                            };
                            let scaled = |x: &f32| x * *scaling as f32;
                            let part = OwnPart {
                                rank: a[i].shape()[1],
                                inputs: a[i].shape()[2],
                                outputs: b[i].shape()[1],
                                at,
                                a: a[i].values().iter().map(scaled).collect(),
                                b: b[i].values(),
                            };
                            at += part.rank;
                            group.push(Some(part));
                        }
                        width = width.max(at);
                    }
                    layers.push(groups);
                }
                Adapters::Own { layers, width }
            }
        }
    }

    /// Numbers of a row between down- and up-projection, at most.
    pub fn width(&self) -> usize {
        match self {
            Adapters::None => 0,
            Adapters::Shared { rank, .. } => (3 * rank).next_multiple_of(LANES),
            Adapters::Own { width, .. } => *width,
            Adapters::LowRank(members) => members.width(),
        }
    }

    /// Makes ready what only members take that run: these.
    pub fn keep(&mut self, members: impl Iterator<Item = u32>) {
        if let Adapters::LowRank(pool) = self {
            pool.keep(members);
        }
    }

    /// Where what each row's member adds begins in a pool; nothing where there is none.
    pub fn starts(&self, members: &[u32], out: &mut Vec<usize>) {
        if let Adapters::LowRank(pool) = self {
            pool.starts(members, out);
        }
    }

    /// The adapters of one group of one layer.
    pub fn group(&self, layer: usize, group: usize) -> GroupAdapters<'_> {
        match self {
            Adapters::None => GroupAdapters::None,
            Adapters::Shared { basis, rank, s_a, s_b } => match basis.layers.get(layer).map(|l| &l[group]) {
                Some(Some(group)) => GroupAdapters::Shared {
                    group,
                    rank: *rank,
                    s_a,
                    s_b,
                },
                _ => GroupAdapters::None,
            },
            Adapters::Own { layers, .. } => match layers.get(layer).map(|l| &l[group]) {
                Some(parts) if parts.iter().any(Option::is_some) => GroupAdapters::Own { parts },
                _ => GroupAdapters::None,
            },
            Adapters::LowRank(members) => GroupAdapters::LowRank {
                members,
                maps: members.maps(layer, group),
            },
        }
    }
}

/// The adapters of the maps of one product.
pub(crate) enum GroupAdapters<'a> {
    None,
    Shared {
        group: &'a SharedGroup,
        rank: usize,
        s_a: &'a [Array],
        s_b: &'a [Array],
    },
    Own {
        parts: &'a [Option<OwnPart<'a>>],
    },
    LowRank {
        members: &'a Members<'a>,
        maps: &'a [MatrixPlace],
    },
}

impl GroupAdapters<'_> {
    pub fn is_none(&self) -> bool {
        matches!(self, GroupAdapters::None)
    }

    /// Down to the rank, and what the member does there: rows of `z` from rows of `x`.
    ///
    /// # Safety
    /// No other task touches these rows of `x` and `z` in the meantime.
    pub unsafe fn down(&self, level: Level, rows: Range<usize>, x: Matrix, z: Matrix, members: &[u32]) {
        match self {
            GroupAdapters::None => {}
            GroupAdapters::Shared { group, rank, s_a, s_b } => {
                if rows.is_empty() {
                    return;
                }
                let (x, mine) = (x.part(rows.clone()), z.part(rows.clone()));
                // SAFETY: the caller's promise.
                let from = unsafe { x.all() };
                let (start, weights) = (Start::Zero, &group.v_a);
                let product = Product {
                    weights,
                    x: from,
                    x_ld: x.ld,
                    start,
                    extras: &[],
                    y: mine,
                };
                // SAFETY: these rows are this task's.
                unsafe { product.panels(level, 0..group.v_a.panels(), None, &mut Vec::new()) };
                let mut room = vec![0.0; *rank];
                for row in rows {
                    let member = members[row] as usize * rank;
                    // SAFETY: as above.
                    let z = unsafe { z.row(row) };
                    for part in group.parts.iter().flatten() {
                        let a = &s_a[part.target].values()[member..member + rank];
                        let b = &s_b[part.target].values()[member..member + rank];
                        turn(&mut z[part.at..part.at + rank], a, &part.inner, b, &mut room);
                    }
                }
            }
            // SAFETY: the caller's promise.
            GroupAdapters::LowRank { members: pool, maps } => unsafe { pool.down(maps, rows, x, z, members) },
            GroupAdapters::Own { parts } => {
                for row in rows {
                    // SAFETY: the caller's promise.
                    let (x, z) = unsafe { (x.row(row), z.row(row)) };
                    for part in parts.iter().flatten() {
                        let a = &part.a[members[row] as usize * part.rank * part.inputs..];
                        for (z, a) in z[part.at..part.at + part.rank]
                            .iter_mut()
                            .zip(a.chunks_exact(part.inputs))
                        {
                            *z = dot(a, x);
                        }
                    }
                }
            }
        }
    }

    /// Up from the rank, for each map of the product; `starts` as [`Adapters::starts`] says.
    pub fn extras<'b>(&'b self, z: &'b [f32], ld: usize, members: &'b [u32], starts: &'b [usize]) -> Vec<Extra<'b>> {
        match self {
            GroupAdapters::None => Vec::new(),
            GroupAdapters::LowRank { members: pool, maps } => pool.extras(maps, z, ld, starts),
            GroupAdapters::Shared { group, .. } => group
                .parts
                .iter()
                .map(|part| match part {
                    None => Extra::None,
                    Some(part) => Extra::Shared {
                        z: &z[part.at..],
                        ld,
                        u: &part.u_b,
                    },
                })
                .collect(),
            GroupAdapters::Own { parts } => parts
                .iter()
                .map(|part| match part {
                    None => Extra::None,
                    Some(OwnPart {
                        rank, outputs, at, b, ..
                    }) => Extra::Own {
                        z: &z[*at..],
                        ld,
                        b,
                        rank: *rank,
                        outputs: *outputs,
                        members,
                    },
                })
                .collect(),
        }
    }
}
