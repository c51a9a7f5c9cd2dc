//! Weights of a linear map as the processor wants them: panels of 16 outputs, one number of each output for every input in turn.

use half::bf16;

use crate::lanes::LANES;
use crate::simd_dispatch;

/// How weights are stored. Sums on the processor are in f32, whatever the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    F32,
    Bf16,
    /// One scale for each output.
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
        codes: Vec<i8>,
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

    /// Inputs `from..from + n` of a panel, `[n, 16]`: as they lie, or decoded into `room`.
    pub fn weights<'a>(&'a self, panel: usize, from: usize, n: usize, room: &'a mut Vec<f32>) -> &'a [f32] {
        let at = (panel * self.inputs + from) * LANES;
        let len = n * LANES;
        if let Store::F32(w) = &self.store {
            return &w[at..at + len];
        }
        if room.len() < len {
            room.resize(len, 0.0);
        }
        let out = &mut room[..len];
        match &self.store {
            Store::F32(_) => unreachable!("returned above"),
            Store::Bf16(w) => widen(&w[at..at + len], out),
            Store::Int8 { codes, scales } => {
                decode8(&codes[at..at + len], &scales[panel * LANES..(panel + 1) * LANES], out);
            }
            Store::Int4 {
                group,
                codes,
                scales,
                zeros,
            } => {
                let groups = self.inputs / group;
                let mut k = from;
                let mut rest = &mut *out;
                while k < from + n {
                    let end = (k - k % group + group).min(from + n);
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
        &room[..len]
    }

    /// The weights of one output: `out` has as many numbers as there are inputs.
    pub fn row(&self, output: usize, out: &mut [f32]) {
        let (panel, lane) = (output / LANES, output % LANES);
        for (k, out) in out.iter_mut().enumerate() {
            let at = (panel * self.inputs + k) * LANES + lane;
            *out = match &self.store {
                Store::F32(w) => w[at],
                Store::Bf16(w) => bf16::from_bits(w[at]).to_f32(),
                Store::Int8 { codes, scales } => f32::from(codes[at]) * scales[output],
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
                codes.extend(panel.iter().zip(scale.iter().cycle()).map(|(w, s)| int8_code(*w, *s)));
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
        (weight / scale).round_ties_even().clamp(-127.0, 127.0) as i8
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
fn decode8_body(codes: &[i8], scales: &[f32], out: &mut [f32]) {
    let scales: &[f32; LANES] = scales.try_into().expect("one scale for each output of a panel");
    for (out, code) in out.chunks_exact_mut(LANES).zip(codes.chunks_exact(LANES)) {
        for o in 0..LANES {
            out[o] = f32::from(code[o]) * scales[o];
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

fn decode8(codes: &[i8], scales: &[f32], out: &mut [f32]) {
    simd_dispatch!(fn [](codes: &[i8], scales: &[f32], out: &mut [f32]) { decode8_body(codes, scales, out) })
}

fn decode4(codes: &[u8], scales: &[f32], zeros: &[f32], out: &mut [f32]) {
    simd_dispatch!(fn [](codes: &[u8], scales: &[f32], zeros: &[f32], out: &mut [f32]) { decode4_body(codes, scales, zeros, out) })
}
