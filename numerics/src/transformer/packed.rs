//! Weights of a linear map as the processor wants them: panels of 16 outputs, one number of each output for every input in turn.

use std::ops::Range;

use half::bf16;

use super::int8::QUAD;
use super::ops::ROUND;
use crate::lanes::LANES;
use crate::panel::Lines;
use crate::simd_dispatch;

/// How weights are stored. Sums on the processor are in f32, or of integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    F32,
    Bf16,
    /// One scale for each output. Rows may be rounded to eight bits too, for sums of integers ([`Codes`](super::Codes)).
    Int8,
    /// Scale and zero for each `group` inputs of an output.
    Int4 {
        group: usize,
    },
}

/// A linear map, or several that share their inputs: each begins at a panel of its own.
#[derive(Debug)]
pub struct Packed {
    pub inputs: usize,
    store: Store,
    /// First output of each of the maps within the panels, and behind them the number of outputs; all multiples of 16.
    pub starts: Vec<usize>,
}

#[derive(Debug)]
enum Store {
    F32(Vec<f32>),
    Bf16(Vec<u16>),
    Int8 {
        /// `[panels, inputs / 4, 16, 4]`, 128 more than the codes.
        codes: Vec<u8>,
        /// `[outputs]`.
        scales: Vec<f32>,
    },
    Int4 {
        group: usize,
        /// Of each input 8 bytes: output o in the low half of byte o, output o + 8 in the high half.
        codes: Vec<u8>,
        /// `[panels, groups, 16]` scales and zeros: a weight is `(code - 8) * scale + zero`.
        scales: Vec<f32>,
        zeros: Vec<f32>,
    },
}

impl Packed {
    /// `maps`: the weights of each, `[outputs, inputs]`.
    ///
    /// # Panics
    /// The inputs are no multiple of the group.
    pub fn new(maps: &[&[f32]], inputs: usize, precision: Precision) -> Packed {
        let mut starts = vec![0];
        for map in maps {
            let outputs = (map.len() / inputs).next_multiple_of(LANES);
            starts.push(starts[starts.len() - 1] + outputs);
        }
        let panels = starts[maps.len()] / LANES;
        let mut store = Store::empty(precision, inputs, panels);
        let mut panel = vec![0.0; inputs * LANES];
        for (map, start) in maps.iter().zip(&starts) {
            for (p, rows) in map.chunks(inputs * LANES).enumerate() {
                panel.fill(0.0);
                for (o, row) in rows.chunks_exact(inputs).enumerate() {
                    for (k, w) in row.iter().enumerate() {
                        panel[k * LANES + o] = *w;
                    }
                }
                store.put(start / LANES + p, inputs, &panel);
            }
        }
        Packed { inputs, store, starts }
    }

    /// Outputs, those included that fill panels.
    pub fn outputs(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    pub fn panels(&self) -> usize {
        self.outputs() / LANES
    }

    pub fn bytes(&self) -> u64 {
        let bytes = match &self.store {
            Store::F32(w) => w.len() * 4,
            Store::Bf16(w) => w.len() * 2,
            Store::Int8 { codes, scales } => codes.len() + scales.len() * 4,
            Store::Int4 {
                codes, scales, zeros, ..
            } => codes.len() + (scales.len() + zeros.len()) * 4,
        };
        bytes as u64
    }

    /// The codes of a panel, `[inputs / 4, 16, 4]`, 128 more than they stand for, and its scales, `[16]`; None unless weights have eight bits.
    pub(super) fn int8(&self, panel: usize) -> Option<(&[u8], &[f32])> {
        let Store::Int8 { codes, scales } = &self.store else {
            return None;
        };
        let len = self.inputs.next_multiple_of(QUAD) * LANES;
        Some((
            &codes[panel * len..(panel + 1) * len],
            &scales[panel * LANES..(panel + 1) * LANES],
        ))
    }

    /// Whether products may be of [`Codes`](super::Codes).
    pub fn is_int8(&self) -> bool {
        matches!(self.store, Store::Int8 { .. })
    }

    /// Inputs `from..from + n` of a panel, `[n, 16]`: as they lie, or decoded into `room`; `from` is a multiple of 4.
    pub fn weights<'a>(&'a self, panel: usize, from: usize, n: usize, room: &'a mut Vec<f32>) -> &'a [f32] {
        self.lines(panel..panel + 1, from..from + n, room).at
    }

    /// Some inputs of some panels: as they lie, or decoded into `room`; the first is a multiple of 4.
    pub(super) fn lines<'a>(&'a self, panels: Range<usize>, inputs: Range<usize>, room: &'a mut Vec<f32>) -> Lines<'a> {
        let len = inputs.len() * LANES;
        if let Store::F32(w) = &self.store {
            let at = (panels.start * self.inputs + inputs.start) * LANES;
            let end = ((panels.end - 1) * self.inputs + inputs.end) * LANES;
            return Lines::panels(&w[at..end], self.inputs);
        }
        room.resize((panels.len() * len).max(room.len()), 0.0);
        for (panel, out) in panels.clone().zip(room.chunks_exact_mut(len)) {
            self.decode(panel, inputs.clone(), out);
        }
        Lines::panels(&room[..panels.len() * len], inputs.len())
    }

    /// Inputs of a panel, `[inputs, 16]`.
    fn decode(&self, panel: usize, inputs: Range<usize>, out: &mut [f32]) {
        match &self.store {
            Store::F32(_) => unreachable!("these are used as they lie"),
            Store::Int8 { codes, scales } => {
                assert!(inputs.start.is_multiple_of(QUAD));
                let line = panel * self.inputs.div_ceil(QUAD) + inputs.start / QUAD;
                decode8(
                    &codes[line * QUAD * LANES..],
                    &scales[panel * LANES..(panel + 1) * LANES],
                    out,
                );
            }
            Store::Bf16(w) => {
                let at = (panel * self.inputs + inputs.start) * LANES;
                widen(&w[at..at + out.len()], out);
            }
            Store::Int4 {
                group,
                codes,
                scales,
                zeros,
            } => {
                let groups = self.inputs / group;
                let mut k = inputs.start;
                let mut rest = out;
                while k < inputs.end {
                    let end = (k - k % group + group).min(inputs.end);
                    let (part, behind) = rest.split_at_mut((end - k) * LANES);
                    let s = (panel * groups + k / group) * LANES;
                    let c = (panel * self.inputs + k) * (LANES / 2);
                    decode4(
                        &codes[c..c + (end - k) * (LANES / 2)],
                        &scales[s..s + LANES],
                        &zeros[s..s + LANES],
                        part,
                    );
                    rest = behind;
                    k = end;
                }
            }
        }
    }

    /// The weights of one output: `out` has as many numbers as there are inputs.
    pub fn row(&self, output: usize, out: &mut [f32]) {
        let (panel, lane) = (output / LANES, output % LANES);
        for (k, out) in out.iter_mut().enumerate() {
            let at = (panel * self.inputs + k) * LANES + lane;
            *out = match &self.store {
                Store::F32(w) => w[at],
                Store::Bf16(w) => bf16::from_bits(w[at]).to_f32(),
                Store::Int8 { codes, scales } => {
                    let line = panel * self.inputs.div_ceil(QUAD) + k / QUAD;
                    let code = codes[(line * LANES + lane) * QUAD + k % QUAD];
                    (f32::from(code) - 128.0) * scales[output]
                }
                Store::Int4 {
                    group,
                    codes,
                    scales,
                    zeros,
                } => {
                    let byte = codes[(panel * self.inputs + k) * (LANES / 2) + lane % 8];
                    let code = if lane < 8 { byte & 15 } else { byte >> 4 };
                    let s = (panel * (self.inputs / group) + k / group) * LANES + lane;
                    (f32::from(code) - 8.0).mul_add(scales[s], zeros[s])
                }
            };
        }
    }
}

impl Store {
    fn empty(precision: Precision, inputs: usize, panels: usize) -> Store {
        let n = inputs * panels * LANES;
        match precision {
            Precision::F32 => Store::F32(Vec::with_capacity(n)),
            Precision::Bf16 => Store::Bf16(Vec::with_capacity(n)),
            Precision::Int8 => Store::Int8 {
                codes: Vec::with_capacity(n),
                scales: Vec::new(),
            },
            Precision::Int4 { group } => {
                assert!(
                    group > 0 && inputs.is_multiple_of(group),
                    "{inputs} inputs in groups of {group}"
                );
                Store::Int4 {
                    group,
                    codes: Vec::with_capacity(n / 2),
                    scales: Vec::new(),
                    zeros: Vec::new(),
                }
            }
        }
    }

    /// Adds panel number `number`; they come in order.
    fn put(&mut self, number: usize, inputs: usize, panel: &[f32]) {
        match self {
            Store::F32(w) => {
                debug_assert_eq!(w.len(), number * inputs * LANES);
                w.extend_from_slice(panel);
            }
            Store::Bf16(w) => w.extend(panel.iter().map(|x| bf16::from_f32(*x).to_bits())),
            Store::Int8 { codes, scales } => {
                let column = |o: usize| panel.iter().skip(o).step_by(LANES);
                let scale: [f32; LANES] = std::array::from_fn(|o| int8_scale(column(o)));
                for quad in panel.chunks(QUAD * LANES) {
                    for (o, scale) in scale.iter().enumerate() {
                        let weight = |i: usize| quad.get(i * LANES + o).copied().unwrap_or(0.0);
                        codes.extend((0..QUAD).map(|i| int8_code(weight(i), *scale).cast_unsigned() ^ 0x80));
                    }
                }
                scales.extend(scale);
            }
            Store::Int4 {
                group,
                codes,
                scales,
                zeros,
            } => {
                for part in panel.chunks_exact(*group * LANES) {
                    let column = |o: usize| part.iter().skip(o).step_by(LANES);
                    let levels: [(f32, f32); LANES] = std::array::from_fn(|o| int4_scale(column(o)));
                    for line in part.chunks_exact(LANES) {
                        let code = |o: usize| int4_code(line[o], levels[o]);
                        codes.extend((0..LANES / 2).map(|o| code(o) | code(o + LANES / 2) << 4));
                    }
                    scales.extend(levels.map(|l| l.0));
                    zeros.extend(levels.map(|l| l.1));
                }
            }
        }
    }
}

/// The scale of an output's codes -127..=127.
pub fn int8_scale<'a>(weights: impl Iterator<Item = &'a f32>) -> f32 {
    weights.fold(0.0_f32, |m, w| m.max(w.abs())) / 127.0
}

pub fn int8_code(weight: f32, scale: f32) -> i8 {
    if scale == 0.0 {
        0
    } else {
        // At most a little above 127, where adding and subtracting rounds to the nearest integer, ties to even.
        ((weight / scale + ROUND) - ROUND).clamp(-127.0, 127.0) as i8
    }
}

/// Scale and zero of a group's codes 0..=15, as libtorch's kernels take them: a weight is `(code - 8) * scale + zero`.
pub fn int4_scale<'a>(weights: impl Iterator<Item = &'a f32>) -> (f32, f32) {
    let (low, high) = weights.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), w| (l.min(*w), h.max(*w)));
    let scale = (high - low).max(1e-9) / 15.0;
    (scale, scale.mul_add(8.0, low))
}

pub fn int4_code(weight: f32, (scale, zero): (f32, f32)) -> u8 {
    ((weight - zero) / scale + 8.0).round_ties_even().clamp(0.0, 15.0) as u8
}

#[inline(always)]
fn widen_body(codes: &[u16], out: &mut [f32]) {
    for (out, code) in out.iter_mut().zip(codes) {
        *out = f32::from_bits(u32::from(*code) << 16);
    }
}

#[inline(always)]
fn decode8_body(codes: &[u8], scales: &[f32], out: &mut [f32]) {
    let scales: &[f32; LANES] = scales.try_into().expect("one scale for each output of a panel");
    for (out, codes) in out.chunks_mut(QUAD * LANES).zip(codes.chunks_exact(QUAD * LANES)) {
        for (i, out) in out.chunks_exact_mut(LANES).enumerate() {
            for o in 0..LANES {
                out[o] = (f32::from(codes[QUAD * o + i]) - 128.0) * scales[o];
            }
        }
    }
}

#[inline(always)]
fn decode4_body(codes: &[u8], scales: &[f32], zeros: &[f32], out: &mut [f32]) {
    const HALF: usize = LANES / 2;
    let scales: &[f32; LANES] = scales.try_into().expect("one scale for each output of a panel");
    let zeros: &[f32; LANES] = zeros.try_into().expect("one zero for each output of a panel");
    for (out, code) in out.chunks_exact_mut(LANES).zip(codes.chunks_exact(HALF)) {
        for o in 0..HALF {
            let (low, high) = (i32::from(code[o] & 15) - 8, i32::from(code[o] >> 4) - 8);
            out[o] = (low as f32).mul_add(scales[o], zeros[o]);
            out[o + HALF] = (high as f32).mul_add(scales[o + HALF], zeros[o + HALF]);
        }
    }
}

fn widen(codes: &[u16], out: &mut [f32]) {
    simd_dispatch!(fn [](codes: &[u16], out: &mut [f32]) { widen_body(codes, out) })
}

fn decode8(codes: &[u8], scales: &[f32], out: &mut [f32]) {
    simd_dispatch!(fn [](codes: &[u8], scales: &[f32], out: &mut [f32]) { decode8_body(codes, scales, out) })
}

fn decode4(codes: &[u8], scales: &[f32], zeros: &[f32], out: &mut [f32]) {
    simd_dispatch!(fn [](codes: &[u8], scales: &[f32], zeros: &[f32], out: &mut [f32]) { decode4_body(codes, scales, zeros, out) })
}
