//! The adapters that are trained, in the layout of the kernels, and their gradients.

use std::ops::Range;

use illume_numerics::transformer::ops::turn;
use illume_numerics::transformer::{Back, Extra, Matrix, Packed, Precision, Product, Room, Start, Strided, Team};
use illume_numerics::{LANES, Level};
use rayon::prelude::*;

use crate::config::{ModelConfig, Module};
use crate::model::GROUPS;

/// Inputs or outputs whose gradients one task adds.
const BLOCK: usize = 4 * LANES;

/// One adapter: what is not trained, and what is.
pub(in crate::train) struct Target<'a> {
    pub layer: usize,
    pub module: Module,
    pub rank: usize,
    pub numbers: Numbers<'a>,
}

/// It adds `scaling` times `B A x` to the output of its map.
pub(in crate::train) enum Numbers<'a> {
    /// `a [rank, inputs]`, `b [outputs, rank]`; both are trained.
    Factors { a: Vec<f32>, b: Vec<f32> },
    /// `A = U_A diag(s_a) V_A'`, `B = U_B diag(s_b) V_B'`; `s_a` and `s_b`, `[rank]`, are trained.
    Singular {
        /// `[inputs, rank]`.
        v_a: &'a [f32],
        /// `U_A' V_B`, `[rank, rank]`.
        inner: &'a [f32],
        /// `[outputs, rank]`.
        u_b: &'a [f32],
        s_a: Vec<f32>,
        s_b: Vec<f32>,
    },
}

/// All adapters of a model.
pub(in crate::train) struct Adapters {
    level: Level,
    layers: Vec<[Option<Group>; 4]>,
    /// Of each target its layer, group and part.
    places: Vec<[usize; 3]>,
    /// The first group that has any, counted through the layers.
    pub lowest: usize,
    /// Numbers of a row between down- and up-projection, at most.
    pub width: usize,
}

/// Those of the maps of one product.
pub(super) struct Group {
    /// Each map's begin at a vector of their own.
    down: Packed,
    parts: Vec<Option<Part>>,
}

struct Part {
    rank: usize,
    inputs: usize,
    outputs: usize,
    /// First column behind `down`.
    at: usize,
    /// With the scaling, unless it is in `inner`.
    up: Packed,
    singular: Option<Singular>,
    scaling: f32,
    /// Of A `[blocks of 64 inputs, rank, 64]`, inputs in whole vectors; or of `s_a`.
    of_a: Vec<f32>,
    /// Of B's transpose, laid out alike, without the scaling; or of `s_b`.
    of_b: Vec<f32>,
}

struct Singular {
    s_a: Vec<f32>,
    /// With the scaling.
    inner: Vec<f32>,
    s_b: Vec<f32>,
}

fn transposed(m: &[f32], columns: usize) -> Vec<f32> {
    let rows = m.len() / columns;
    (0..m.len()).map(|i| m[i % rows * columns + i / rows]).collect()
}

fn scaled(m: &[f32], by: f32) -> Vec<f32> {
    m.iter().map(|x| x * by).collect()
}

impl Part {
    fn new(target: &Target, at: usize, scaling: f32, (inputs, outputs): (usize, usize)) -> Part {
        let rank = target.rank;
        let (up, singular, sizes) = match &target.numbers {
            Numbers::Factors { b, .. } => {
                let sizes = [inputs, outputs].map(|n| rank * n.next_multiple_of(LANES));
                (scaled(b, scaling), None, sizes)
            }
            Numbers::Singular {
                inner, u_b, s_a, s_b, ..
            } => {
                let singular = Singular {
                    s_a: s_a.clone(),
                    inner: scaled(inner, scaling),
                    s_b: s_b.clone(),
                };
                (u_b.to_vec(), Some(singular), [rank; 2])
            }
        };
        Part {
            rank,
            inputs,
            outputs,
            at,
            up: Packed::new(&[&up], rank, Precision::F32),
            singular,
            scaling,
            of_a: vec![0.0; sizes[0]],
            of_b: vec![0.0; sizes[1]],
        }
    }

    /// The gradients of what is trained, A's before B's.
    fn add_to(&self, flat: &mut Vec<f32>) {
        if self.singular.is_some() {
            flat.extend(self.of_a.iter().chain(&self.of_b));
            return;
        }
        let at = |of: &[f32], row: usize, column: usize| {
            let from = column / BLOCK * BLOCK;
            let width = BLOCK.min(of.len() / self.rank - from);
            of[from * self.rank + row * width + column - from]
        };
        for row in 0..self.rank {
            flat.extend((0..self.inputs).map(|i| at(&self.of_a, row, i)));
        }
        for output in 0..self.outputs {
            flat.extend((0..self.rank).map(|row| at(&self.of_b, row, output) * self.scaling));
        }
    }
}

impl Adapters {
    pub fn new(config: &ModelConfig, level: Level, targets: &[Target], scaling: f64) -> Adapters {
        let mut layers: Vec<[Option<Group>; 4]> = (0..config.layers).map(|_| [const { None }; 4]).collect();
        let mut places = vec![[0; 3]; targets.len()];
        let (mut lowest, mut width) = (usize::MAX, 0);
        for (number, layer) in layers.iter_mut().enumerate() {
            for (group, modules) in GROUPS.iter().enumerate() {
                let inputs = config.module_dims(modules[0]).0;
                let (mut maps, mut parts, mut at) = (Vec::new(), Vec::new(), 0);
                for (i, module) in modules.iter().enumerate() {
                    let found = targets.iter().position(|t| (t.layer, t.module) == (number, *module));
                    parts.push(found.map(|found| {
                        let target = &targets[found];
                        places[found] = [number, group, i];
                        maps.push(match &target.numbers {
                            Numbers::Factors { a, .. } => a.clone(),
                            Numbers::Singular { v_a, .. } => transposed(v_a, target.rank),
                        });
                        at += target.rank.next_multiple_of(LANES);
                        let first = at - target.rank.next_multiple_of(LANES);
                        Part::new(target, first, scaling as f32, config.module_dims(*module))
                    }));
                }
                if maps.is_empty() {
                    continue;
                }
                lowest = lowest.min(number * GROUPS.len() + group);
                width = width.max(at);
                let maps: Vec<&[f32]> = maps.iter().map(Vec::as_slice).collect();
                layer[group] = Some(Group {
                    down: Packed::new(&maps, inputs, Precision::F32),
                    parts,
                });
            }
        }
        Adapters {
            level,
            layers,
            places,
            lowest,
            width,
        }
    }

    pub(super) fn group(&self, layer: usize, group: usize) -> Option<&Group> {
        self.layers[layer][group].as_ref()
    }

    pub(super) fn group_mut(&mut self, layer: usize, group: usize) -> Option<&mut Group> {
        self.layers[layer][group].as_mut()
    }

    /// The gradients of all that is trained, target after target.
    pub fn gradient(&self) -> Vec<f32> {
        let mut flat = Vec::new();
        for [layer, group, part] in &self.places {
            let group = self.layers[*layer][*group].as_ref();
            let part = group.and_then(|g| g.parts[*part].as_ref());
            part.expect("every target has its part").add_to(&mut flat);
        }
        flat
    }

    /// Down to the rank, for some rows of `x`.
    ///
    /// # Safety
    /// Nobody writes these rows of `x`, and no other task touches those of `z`.
    pub(super) unsafe fn down(&self, group: Option<&Group>, rows: Range<usize>, x: Matrix, z: Matrix) {
        let Some(group) = group else { return };
        // SAFETY: the caller's promise.
        unsafe { group.straight(self.level, rows.clone(), x, z) };
        for part in group.parts.iter().flatten() {
            let Some(s) = &part.singular else { continue };
            let mut room = vec![0.0; part.rank];
            for row in rows.clone() {
                // SAFETY: the caller's promise.
                let z = unsafe { z.piece(row, part.at..part.at + part.rank) };
                turn(z, &s.s_a, &s.inner, &s.s_b, &mut room);
            }
        }
    }
}

impl Group {
    /// The first product, before what is between the factors of a decomposed adapter.
    ///
    /// # Safety
    /// As for [`Adapters::down`].
    unsafe fn straight(&self, level: Level, rows: Range<usize>, x: Matrix, z: Matrix) {
        let (x, y) = (x.part(rows.clone()), z.part(rows));
        let product = Product {
            weights: &self.down,
            // SAFETY: the caller's promise.
            x: unsafe { x.all() },
            x_ld: x.ld,
            start: Start::Zero,
            extras: &[],
            y,
        };
        // SAFETY: these rows are this task's.
        unsafe { product.panels(level, 0..self.down.panels(), None, &mut Vec::new()) };
    }

    /// Up from the rank, for each map of the product, from row `row` on.
    pub fn extras<'a>(&'a self, z: &'a [f32], ld: usize, row: usize) -> Vec<Extra<'a>> {
        let of = |part: &'a Option<Part>| match part {
            None => Extra::None,
            Some(part) => Extra::Shared {
                z: &z[row * ld + part.at..],
                ld,
                u: &part.up,
            },
        };
        self.parts.iter().map(of).collect()
    }

    /// What goes back to the inputs through these adapters, beside what goes through the map itself.
    pub fn down(&self) -> &Packed {
        &self.down
    }

    /// Adds the gradients of what is trained, from the product's inputs `x` and the derivatives `g` by its outputs, of which each map's begin at one of
    /// `starts`. The derivatives by the results of the product with `down` are left in `dz`.
    pub fn back(&mut self, level: Level, x: Matrix, (g, starts): (Matrix, &[usize]), z: Matrix, dz: Matrix) {
        Team::Pool.each_part(x.rows(), |rows| {
            // SAFETY: a row is in one part, and nobody writes x and g.
            unsafe { self.straight(level, rows.clone(), x, z) };
            let mut room = Room::default();
            for (part, start) in self.parts.iter().zip(starts) {
                let Some(part) = part else { continue };
                let g = g.part(rows.clone());
                let back = Back {
                    weights: &part.up,
                    // SAFETY: as above.
                    g: (unsafe { &g.all()[*start..] }, g.ld),
                    extra: None,
                    y: dz.part(rows.clone()),
                    at: part.at,
                };
                // SAFETY: as above.
                (0..back.panels()).for_each(|p| unsafe { back.panel(level, p, &mut room) });
            }
        });
        let parts = self.parts.par_iter_mut().flatten();
        parts.for_each(|part| {
            if let Some(singular) = &part.singular {
                // SAFETY: a part has columns of its own.
                unsafe { singular.back(part.at, z, dz, &mut part.of_a, &mut part.of_b) };
            }
        });
        // SAFETY: nobody writes these from here on.
        let (x, g, z, dz) = unsafe { ((x.all(), x.ld), (g.all(), g.ld), (z.all(), z.ld), (dz.all(), dz.ld)) };
        let mut jobs = Vec::new();
        for (part, start) in self.parts.iter_mut().zip(starts) {
            let Some(part) = part.as_mut().filter(|p| p.singular.is_none()) else {
                continue;
            };
            let factors = [(&mut part.of_a, dz, x, 0), (&mut part.of_b, z, g, *start)];
            for (sum, thin, wide, start) in factors {
                let columns = sum.len() / part.rank;
                for (i, sum) in sum.chunks_mut(part.rank * BLOCK).enumerate() {
                    let from = i * BLOCK;
                    let width = BLOCK.min(columns - from);
                    jobs.push(Strided {
                        rows: part.rank,
                        terms: thin.0.len() / thin.1,
                        columns: width,
                        a: (&thin.0[part.at..], 1, thin.1),
                        b: (&wide.0[start + from..], wide.1),
                        add: true,
                        y: (sum, width),
                    });
                }
            }
        }
        jobs.into_par_iter().with_max_len(1).for_each(|job| job.run(level));
    }
}

impl Singular {
    /// Adds to the gradients of the singular values, and takes the derivatives from behind what is between the factors to before it.
    ///
    /// # Safety
    /// No other task touches these columns.
    unsafe fn back(&self, at: usize, z: Matrix, dz: Matrix, of_a: &mut [f32], of_b: &mut [f32]) {
        let rank = self.s_a.len();
        let (mut middle, mut room, ones) = (vec![0.0; rank], vec![0.0; rank], vec![1.0; rank]);
        for row in 0..z.rows() {
            // SAFETY: the caller's promise.
            let (z, dz) = unsafe { (z.piece(row, at..at + rank), dz.piece(row, at..at + rank)) };
            middle.copy_from_slice(z);
            turn(&mut middle, &self.s_a, &self.inner, &ones, &mut room);
            for i in 0..rank {
                of_b[i] += dz[i] * middle[i];
                middle[i] = dz[i] * self.s_b[i];
            }
            for i in 0..rank {
                let through: f32 = self.inner[i * rank..(i + 1) * rank]
                    .iter()
                    .zip(&middle)
                    .map(|(w, m)| w * m)
                    .sum();
                of_a[i] += through * z[i];
                dz[i] = through * self.s_a[i];
            }
        }
    }
}
