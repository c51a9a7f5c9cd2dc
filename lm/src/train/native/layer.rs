//! A layer of the model, forward and back.

use std::ops::Range;

use illume_numerics::transformer::ops::{gate, rms_norm};
use illume_numerics::transformer::{
    Back, CodeBuffers, Codes, Matrix, Packed, Product, Room, Start, Team, apart, gradients,
};
use illume_numerics::{LANES, Level};

use super::Texts;
use super::adapters::{Adapters, Group};
use super::attention::{self, Heads};
use crate::model::{Cache, GROUPS, Layer, Native};

/// Rows that go through a panel of weights together: their inputs stay in the second-level cache.
const ROWS: usize = 256;

/// What a layer's way back needs, beside its inputs.
#[derive(Default)]
pub(super) struct Activations {
    /// Queries and keys turned by their positions.
    qkv: Vec<f32>,
    attention: Vec<f32>,
    /// The inputs and what attention added.
    middle: Vec<f32>,
    gate_up: Vec<f32>,
}

#[derive(Default)]
pub(super) struct Buffers {
    /// Inputs of a product.
    pub x: Vec<f32>,
    act: Vec<f32>,
    z: Vec<f32>,
    dz: Vec<f32>,
    /// Derivatives by what a layer returns, and then by its inputs.
    pub g: Vec<f32>,
    /// By the inputs of products.
    pub dx: Vec<f32>,
    dact: Vec<f32>,
    dqkv: Vec<f32>,
    pub logits: Vec<f32>,
    pub codes: CodeBuffers,
}

/// One pass through the model.
pub(super) struct Runner<'a> {
    pub model: &'a Native,
    pub adapters: &'a mut Adapters,
    pub angles: &'a Cache,
    pub texts: &'a Texts,
    pub buffers: &'a mut Buffers,
}

/// Rows of whole vectors, the last of which may be filled with zeros.
pub(super) fn matrix(of: &mut Vec<f32>, rows: usize, columns: usize) -> Matrix<'_> {
    Matrix::new(of, rows, apart(columns))
}

/// Cuts `rows` into blocks, and calls `task` for the panels of each, some at a time.
fn blocks(rows: usize, panels: usize, task: impl Fn(Range<usize>, Range<usize>, &mut Vec<f32>, &mut Room) + Sync) {
    Team::Pool.each_part(rows.div_ceil(ROWS) * panels, |part| {
        let (mut decoded, mut turned) = (Vec::new(), Room::default());
        let mut i = part.start;
        while i < part.end {
            let first = i / panels * panels;
            let end = part.end.min(first + panels);
            let from = first / panels * ROWS;
            let rows = from..(from + ROWS).min(rows);
            task(rows, i - first..end - first, &mut decoded, &mut turned);
            i = end;
        }
    });
}

/// `y = start + x W'` and what the adapters add. The inputs of weights of eight bits are rounded as they are when the model answers; what is passed back is
/// passed on as if they were not.
pub(super) fn product(
    level: Level,
    buffers: &mut CodeBuffers,
    weights: &Packed,
    x: Matrix,
    start: Start,
    adapters: Option<(&Group, Matrix)>,
    y: Matrix,
) {
    // SAFETY: nobody writes it while the product runs.
    let numbers = unsafe { x.all() };
    let codes = Codes::new(buffers, (numbers, x.ld), weights, level, Team::Pool);
    // SAFETY: as above.
    let z = adapters.as_ref().map(|(group, z)| (group, unsafe { z.all() }, z.ld));
    blocks(x.rows(), weights.panels(), |rows, panels, decoded, _| {
        let codes = codes.map(|codes| codes.part(rows.clone()));
        let extras = z.map_or(Vec::new(), |(group, z, ld)| group.extras(z, ld, rows.start));
        let product = Product {
            weights,
            x: &numbers[rows.start * x.ld..],
            x_ld: x.ld,
            start,
            extras: &extras,
            y: y.part(rows),
        };
        // SAFETY: the panels of a block are one task's.
        unsafe { product.panels(level, panels, codes.as_ref(), decoded) };
    });
}

/// `y = g W`, and what the adapters pass back.
pub(super) fn back(level: Level, weights: &Packed, g: Matrix, adapters: Option<(&Packed, Matrix)>, y: Matrix) {
    // SAFETY: nobody writes it while the product runs.
    let numbers = unsafe { g.all() };
    // SAFETY: as above.
    let dz = adapters.as_ref().map(|(down, dz)| (*down, unsafe { dz.all() }, dz.ld));
    blocks(g.rows(), weights.inputs.div_ceil(LANES), |rows, panels, _, turned| {
        let job = Back {
            weights,
            g: (&numbers[rows.start * g.ld..], g.ld),
            extra: dz.map(|(down, dz, ld)| (down, &dz[rows.start * ld..], ld)),
            y: y.part(rows),
            at: 0,
        };
        // SAFETY: the panels of a block are one task's.
        panels.for_each(|panel| unsafe { job.panel(level, panel, turned) });
    });
}

impl Runner<'_> {
    fn rows(&self) -> usize {
        self.texts.tokens.len()
    }

    /// Bytes of a layer's activations.
    pub fn activation_bytes(&self) -> usize {
        let (c, layer) = (&self.model.config, &self.model.layers[0]);
        let columns = layer.qkv.outputs() + layer.gate_up.outputs() + c.heads * c.head_dim + c.hidden;
        self.rows() * columns * size_of::<f32>()
    }

    pub fn embed(&self, to: &mut Vec<f32>) {
        let to = matrix(to, self.rows(), self.model.config.hidden);
        Team::Pool.each_part(self.rows(), |rows| {
            for row in rows {
                // SAFETY: a row is in one part.
                let to = unsafe { to.piece(row, 0..self.model.config.hidden) };
                self.model.embedding.row(self.texts.tokens[row] as usize, to);
            }
        });
    }

    /// Normalizes rows of `h` to `x`, and takes them down to the adapters' rank.
    fn normed(&self, h: Matrix, weight: &[f32], group: Option<&Group>, x: Matrix, z: Matrix) {
        let c = &self.model.config;
        Team::Pool.each_part(self.rows(), |rows| {
            for row in rows.clone() {
                // SAFETY: a row is in one part, in both matrices.
                let (h, x) = unsafe { (h.piece(row, 0..c.hidden), x.piece(row, 0..c.hidden)) };
                rms_norm(h, weight, c.rms_eps as f32, x);
            }
            // SAFETY: as above.
            unsafe { self.adapters.down(group, rows, x, z) };
        });
    }

    /// The heads of text `text` that share head `kv` of keys and values.
    fn heads(&self, layer: &Layer, text: usize, kv: usize) -> Heads<'_> {
        let c = &self.model.config;
        let (group, d) = (c.heads / c.kv_heads, c.head_dim);
        let [_, keys, values, _] = layer.qkv.starts[..] else {
            unreachable!("queries, keys and values are packed together")
        };
        Heads {
            level: self.model.level,
            angles: self.angles,
            rows: self.texts.segments[text].clone(),
            head_dim: d,
            heads: group,
            queries: kv * group * d,
            key: keys + kv * d,
            value: values + kv * d,
            out: kv * group * d,
        }
    }

    /// Calls `task` for each text and head of keys and values.
    fn each_heads(&self, layer: &Layer, task: impl Fn(Heads, &mut attention::Room) + Sync) {
        let kv = self.model.config.kv_heads;
        Team::Pool.each(self.texts.segments.len() * kv, |i| {
            task(self.heads(layer, i / kv, i % kv), &mut attention::Room::default());
        });
    }

    /// From a layer's inputs to what it keeps and, if asked, to its results.
    pub fn forward(&mut self, number: usize, h: &mut Vec<f32>, kept: &mut Activations, to: Option<&mut Vec<f32>>) {
        let (model, rows, level) = (self.model, self.rows(), self.model.level);
        let (layer, c) = (&model.layers[number], &model.config);
        let mut taken = std::mem::take(self.buffers);
        let h = matrix(h, rows, c.hidden);
        let x = matrix(&mut taken.x, rows, c.hidden);
        let act = matrix(&mut taken.act, rows, c.intermediate);
        let z = matrix(&mut taken.z, rows, self.adapters.width);
        let qkv = matrix(&mut kept.qkv, rows, layer.qkv.outputs());
        let attention = matrix(&mut kept.attention, rows, c.heads * c.head_dim);
        let middle = matrix(&mut kept.middle, rows, c.hidden);
        let gate_up = matrix(&mut kept.gate_up, rows, layer.gate_up.outputs());
        let codes = &mut taken.codes;
        let groups: [Option<&Group>; 4] = std::array::from_fn(|i| self.adapters.group(number, i));

        self.normed(h, &layer.attention_norm, groups[0], x, z);
        let start = match layer.bias.is_empty() {
            true => Start::Zero,
            false => Start::Bias(&layer.bias),
        };
        product(level, codes, &layer.qkv, x, start, groups[0].map(|g| (g, z)), qkv);
        self.each_heads(layer, |heads, room| {
            // SAFETY: each text and head has rows and columns of its own.
            unsafe { heads.forward(qkv, attention, room) };
        });
        Team::Pool.each_part(rows, |rows| {
            for row in rows.clone() {
                // SAFETY: a row is in one part, in all matrices.
                unsafe { middle.row(row).copy_from_slice(h.row(row)) };
            }
            // SAFETY: as above.
            unsafe { self.adapters.down(groups[1], rows, attention, z) };
        });
        product(
            level,
            codes,
            &layer.o,
            attention,
            Start::Output,
            groups[1].map(|g| (g, z)),
            middle,
        );
        self.normed(middle, &layer.mlp_norm, groups[2], x, z);
        product(
            level,
            codes,
            &layer.gate_up,
            x,
            Start::Zero,
            groups[2].map(|g| (g, z)),
            gate_up,
        );
        if let Some(to) = to {
            let to = matrix(to, rows, c.hidden);
            Team::Pool.each_part(rows, |rows| {
                self.activate(layer, rows.clone(), gate_up, act);
                for row in rows.clone() {
                    // SAFETY: a row is in one part, in all matrices.
                    unsafe { to.row(row).copy_from_slice(middle.row(row)) };
                }
                // SAFETY: as above.
                unsafe { self.adapters.down(groups[3], rows, act, z) };
            });
            product(
                level,
                codes,
                &layer.down,
                act,
                Start::Output,
                groups[3].map(|g| (g, z)),
                to,
            );
        }
        *self.buffers = taken;
    }

    /// `act = gate * sigmoid(gate) * up` of some rows, which are the caller's.
    fn activate(&self, layer: &Layer, rows: Range<usize>, gate_up: Matrix, act: Matrix) {
        let (width, up) = (self.model.config.intermediate, layer.gate_up.starts[1]);
        for row in rows {
            // SAFETY: the caller's rows, in both matrices.
            let (from, to) = unsafe { (gate_up.row(row), act.piece(row, 0..width)) };
            let (gates, ups) = from.split_at(up);
            gate(&gates[..width], &ups[..width], to);
        }
    }

    /// From the derivatives by a layer's results, in `g` of the buffers, to those by its inputs, in their place, if anything below is trained. What was kept
    /// is used up.
    pub fn back(&mut self, number: usize, h: &mut Vec<f32>, kept: &mut Activations) {
        let mut taken = std::mem::take(self.buffers);
        self.back_by(number, h, kept, &mut taken);
        *self.buffers = taken;
    }

    fn back_by(&mut self, number: usize, h: &mut Vec<f32>, kept: &mut Activations, taken: &mut Buffers) {
        let (model, rows) = (self.model, self.rows());
        let (layer, c) = (&model.layers[number], &model.config);
        let queries = c.heads * c.head_dim;
        let h = matrix(h, rows, c.hidden);
        let g = matrix(&mut taken.g, rows, c.hidden);
        let x = matrix(&mut taken.x, rows, c.hidden);
        let dx = matrix(&mut taken.dx, rows, c.hidden.max(queries));
        let act = matrix(&mut taken.act, rows, c.intermediate);
        let dact = matrix(&mut taken.dact, rows, c.intermediate);
        let z = matrix(&mut taken.z, rows, self.adapters.width);
        let dz = matrix(&mut taken.dz, rows, self.adapters.width);
        let qkv = matrix(&mut kept.qkv, rows, layer.qkv.outputs());
        let dqkv = matrix(&mut taken.dqkv, rows, layer.qkv.outputs());
        let attention = matrix(&mut kept.attention, rows, queries);
        let middle = matrix(&mut kept.middle, rows, c.hidden);
        let gate_up = matrix(&mut kept.gate_up, rows, layer.gate_up.outputs());
        let place = |group| number * GROUPS.len() + group;

        Team::Pool.each_part(rows, |rows| self.activate(layer, rows, gate_up, act));
        if !self.through(place(3), &layer.down, (act, g), (z, dz), dact) {
            return;
        }
        let (width, up) = (c.intermediate, layer.gate_up.starts[1]);
        Team::Pool.each_part(rows, |rows| {
            for row in rows {
                // SAFETY: a row is in one part, in both matrices.
                let (of, g) = unsafe { (gate_up.row(row), dact.piece(row, 0..width)) };
                let (gates, ups) = of.split_at_mut(up);
                gradients::gate(&mut gates[..width], &mut ups[..width], g);
            }
        });
        self.normed(middle, &layer.mlp_norm, None, x, z);
        if !self.through(place(2), &layer.gate_up, (x, gate_up), (z, dz), dx) {
            return;
        }
        self.unnormed(middle, &layer.mlp_norm, dx, g);
        if !self.through(place(1), &layer.o, (attention, g), (z, dz), dx) {
            return;
        }
        self.each_heads(layer, |heads, room| {
            // SAFETY: each text and head has rows and columns of its own.
            unsafe { heads.back(qkv, dx, dqkv, room) };
        });
        self.normed(h, &layer.attention_norm, None, x, z);
        if self.through(place(0), &layer.qkv, (x, dqkv), (z, dz), dx) {
            self.unnormed(h, &layer.attention_norm, dx, g);
        }
    }

    /// From the derivatives `g` by the results of a product of `x` to the gradients of its adapters and, if anything below is trained, to the derivatives by
    /// `x`, in `to`. Returns whether anything is.
    fn through(
        &mut self,
        place: usize,
        weights: &Packed,
        (x, g): (Matrix, Matrix),
        (z, dz): (Matrix, Matrix),
        to: Matrix,
    ) -> bool {
        let (layer, group) = (place / GROUPS.len(), place % GROUPS.len());
        let level = self.model.level;
        if let Some(adapters) = self.adapters.group_mut(layer, group) {
            adapters.back(level, x, (g, &weights.starts), z, dz);
        }
        let goes_on = place > self.adapters.lowest;
        if goes_on {
            let adapters = self.adapters.group(layer, group).map(|a| (a.down(), dz));
            back(level, weights, g, adapters, to);
        }
        goes_on
    }

    /// Adds to `g` what the normalization of rows of `h` passes back of `dx`.
    fn unnormed(&self, h: Matrix, weight: &[f32], dx: Matrix, g: Matrix) {
        let c = &self.model.config;
        Team::Pool.each_part(self.rows(), |rows| {
            let mut room = vec![0.0; c.hidden];
            for row in rows {
                // SAFETY: a row is in one part, in all matrices.
                let (h, g) = unsafe { (h.piece(row, 0..c.hidden), g.piece(row, 0..c.hidden)) };
                // SAFETY: as above.
                let dx = unsafe { dx.piece(row, 0..c.hidden) };
                gradients::add_rms_norm(h, weight, c.rms_eps as f32, dx, &mut room, g);
            }
        });
    }
}
