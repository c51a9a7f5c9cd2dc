//! Attention by libtorch: segments of one kind together, padded to the longest among them.
//!
//! Heads that share keys and values are as many queries of one head, so that nothing is repeated and any of libtorch's kernels will do. On
//! CUDA it is the memory-efficient one by name: cuDNN's, which libtorch prefers on Hopper, is planned anew for every shape, and shapes grow by
//! a token with every pass.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::{Segment, Torch, TorchModel};

/// Positions are padded to multiples of this: kernels want rows of the mask in steps of 16 bytes, and fewer shapes come up.
const STEP: usize = 16;

pub(super) fn padded(positions: usize) -> usize {
    positions.next_multiple_of(STEP)
}

/// Whole numbers of a pass, which go to the device in one piece.
#[derive(Default)]
pub(super) struct Numbers(Vec<i64>);

/// The same on the device.
pub(super) struct Sent(Tensor);

impl Numbers {
    pub fn add(&mut self, values: impl Iterator<Item = usize>) -> Range<usize> {
        let from = self.0.len();
        self.0.extend(values.map(|v| v as i64));
        from..self.0.len()
    }

    pub fn send(&self, device: Device) -> Torch<Sent> {
        Ok(Sent(Tensor::f_from_slice(&self.0)?.f_to_device(device)?))
    }
}

impl Sent {
    pub fn get(&self, range: &Range<usize>) -> Torch<Tensor> {
        self.0.f_narrow(0, range.start as i64, range.len() as i64)
    }
}

/// How segments of one kind attend, as numbers that are not yet on the device.
pub(super) struct Sketch {
    shape: [i64; 2],
    reach: i64,
    slots: Range<usize>,
    positions: Range<usize>,
    queries: Range<usize>,
    places: Range<usize>,
    tokens: Range<usize>,
    /// The first slot, if the others follow it one by one.
    first: Option<i64>,
    alone: bool,
}

/// Segments that attend together: `[segments, longest]` queries.
pub(super) struct Plan {
    shape: [i64; 2],
    /// Positions attended to, at most.
    reach: i64,
    slots: Tensor,
    first: Option<i64>,
    /// The token of each query.
    queries: Tensor,
    /// `[segments, kv_heads, group * longest, reach]`: 0 where a query sees, else minus infinity.
    bias: Tensor,
    /// Of each token of the segments, its query.
    places: Tensor,
    pub tokens: Tensor,
    /// Whether these are all tokens of the pass, each a segment: no gathering is needed.
    pub alone: bool,
}

impl Sketch {
    /// Of the segments of one kind, padded to the longest among them.
    pub fn new(
        segments: &[Segment],
        of_kind: impl Fn(&Segment) -> bool,
        rows: usize,
        numbers: &mut Numbers,
    ) -> Option<Sketch> {
        let mine: Vec<&Segment> = segments.iter().filter(|s| of_kind(s)).collect();
        let longest = mine.iter().map(|s| s.len).max()?;
        let reach = mine.iter().map(|s| s.position + s.len).max().unwrap_or(0);
        let first = mine[0].slot;
        let in_turn = mine.iter().enumerate().all(|(i, s)| s.slot == first + i);
        // Padding repeats a segment's last token.
        let queries = mine.iter().flat_map(|s| (0..longest).map(|i| s.at + i.min(s.len - 1)));
        let positions = mine
            .iter()
            .flat_map(|s| (0..longest).map(|i| s.position + i.min(s.len - 1)));
        let places = mine
            .iter()
            .enumerate()
            .flat_map(|(n, s)| (0..s.len).map(move |i| n * longest + i));
        Some(Sketch {
            shape: [mine.len() as i64, longest as i64],
            reach: padded(reach) as i64,
            slots: numbers.add(mine.iter().map(|s| s.slot)),
            positions: numbers.add(positions),
            queries: numbers.add(queries),
            places: numbers.add(places),
            tokens: numbers.add(mine.iter().flat_map(|s| s.at..s.at + s.len)),
            first: in_turn.then_some(first as i64),
            alone: longest == 1 && mine.len() == rows,
        })
    }
}

impl Plan {
    pub fn new(sketch: &Sketch, sent: &Sent, model: &TorchModel) -> Torch<Plan> {
        let [segments, longest] = sketch.shape;
        let (kv, reach) = (model.config.kv_heads as i64, sketch.reach);
        let group = model.config.heads as i64 / kv;
        let positions = sent.get(&sketch.positions)?.f_view([segments, 1, 1, longest, 1])?;
        let hidden = Tensor::f_arange(reach, (Kind::Int64, model.device))?.f_gt_tensor(&positions)?;
        let bias = Tensor::f_zeros([segments, 1, 1, longest, reach], (model.kind, model.device))?
            .f_masked_fill(&hidden, f64::NEG_INFINITY)?
            .f_expand([segments, 1, group, longest, reach], false)?
            .f_reshape([segments, 1, group * longest, reach])?
            .f_expand([segments, kv, group * longest, reach], false)?;
        Ok(Plan {
            shape: sketch.shape,
            reach,
            slots: sent.get(&sketch.slots)?,
            first: sketch.first,
            queries: sent.get(&sketch.queries)?,
            bias,
            places: sent.get(&sketch.places)?,
            tokens: sent.get(&sketch.tokens)?,
            alone: sketch.alone,
        })
    }

    /// From `[tokens, heads, head_dim]` to `[tokens of these segments, heads * head_dim]`.
    pub fn attend(&self, q: &Tensor, keys: &Tensor, values: &Tensor) -> Torch<Tensor> {
        let [_, heads, d] = q.size()[..] else {
            unreachable!("queries have three dimensions")
        };
        let [segments, longest] = self.shape;
        let kv = keys.size()[1];
        let group = heads / kv;
        let q = if self.alone {
            q.shallow_clone()
        } else {
            q.f_index_select(0, &self.queries)?
        };
        let q = q
            .f_view([segments, longest, kv, group, d])?
            .f_permute([0, 2, 3, 1, 4])?
            .f_reshape([segments, kv, group * longest, d])?;
        let of = |store: &Tensor| {
            let store = store.f_narrow(2, 0, self.reach)?;
            match self.first {
                Some(first) => store.f_narrow(0, first, segments),
                None => store.f_index_select(0, &self.slots),
            }
        };
        let out = attention(&q, &of(keys)?, &of(values)?, &self.bias)?
            .f_reshape([segments, kv, group, longest, d])?
            .f_permute([0, 3, 1, 2, 4])?
            .f_reshape([segments * longest, heads * d])?;
        match self.alone {
            true => Ok(out),
            false => out.f_index_select(0, &self.places),
        }
    }
}

fn attention(q: &Tensor, k: &Tensor, v: &Tensor, bias: &Tensor) -> Torch<Tensor> {
    // Its kernels want rows of 16 bytes.
    if q.device() != Device::Cpu && q.size()[3] % 8 == 0 {
        let all =
            Tensor::f_internal_scaled_dot_product_efficient_attention(q, k, v, Some(bias), false, 0.0, false, None)?;
        return Ok(all.0);
    }
    Tensor::f_scaled_dot_product_attention(q, k, v, Some(bias), 0.0, false, None, false)
}

/// Turns the pairs `(i, i + head_dim / 2)` of `[tokens, heads, head_dim]`; `sin` is negative in the first half.
pub(super) fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Torch<Tensor> {
    let swapped = x.f_roll([x.size()[2] / 2].as_slice(), [2].as_slice())?;
    x.f_mul(cos)?.f_addcmul(&swapped, sin)
}
