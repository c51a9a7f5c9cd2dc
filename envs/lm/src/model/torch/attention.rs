//! Attention by libtorch: segments of one kind together, padded to the longest among them.

use tch::Tensor;

use super::{Segment, Torch, TorchModel};

/// Segments that attend together: `[segments, longest]` queries.
pub(super) struct Plan {
    shape: [i64; 2],
    /// Positions attended to, at most.
    reach: i64,
    slots: Tensor,
    /// The token of each query.
    queries: Tensor,
    /// `[segments, 1, longest, reach]`: which positions each query sees.
    mask: Tensor,
    /// Of each token of the segments, its query.
    places: Tensor,
    pub tokens: Tensor,
}

impl Plan {
    /// From `[tokens, heads, head_dim]` to `[tokens of these segments, heads * head_dim]`.
    pub fn attend(&self, q: &Tensor, keys: &Tensor, values: &Tensor) -> Torch<Tensor> {
        let [_, heads, d] = q.size()[..] else {
            unreachable!("queries have three dimensions")
        };
        let [segments, longest] = self.shape;
        let q = q
            .f_index_select(0, &self.queries)?
            .f_view([segments, longest, heads, d])?
            .f_transpose(1, 2)?;
        let of = |store: &Tensor| store.f_narrow(2, 0, self.reach)?.f_index_select(0, &self.slots);
        let (k, v) = (of(keys)?, of(values)?);
        let grouped = heads != k.size()[1];
        let out = Tensor::f_scaled_dot_product_attention(&q, &k, &v, Some(&self.mask), 0.0, false, None, grouped)?;
        out.f_transpose(1, 2)?
            .f_reshape([segments * longest, heads * d])?
            .f_index_select(0, &self.places)
    }
}

impl TorchModel {
    /// How the segments of one kind attend, padded to the longest among them.
    pub(super) fn plan(&self, segments: &[Segment], of_kind: impl Fn(&Segment) -> bool) -> Torch<Option<Plan>> {
        let mine: Vec<&Segment> = segments.iter().filter(|s| of_kind(s)).collect();
        let Some(longest) = mine.iter().map(|s| s.len).max() else {
            return Ok(None);
        };
        let reach = mine.iter().map(|s| s.position + s.len).max().unwrap_or(0);
        let shape = [mine.len() as i64, longest as i64];
        let real = |s: &&Segment| s.at..s.at + s.len;
        // Padding repeats a segment's last token.
        let padded = mine.iter().flat_map(|s| (0..longest).map(|i| s.at + i.min(s.len - 1)));
        let positions = mine
            .iter()
            .flat_map(|s| (0..longest).map(|i| s.position + i.min(s.len - 1)));
        let places = mine
            .iter()
            .enumerate()
            .flat_map(|(n, s)| (0..s.len).map(move |i| n * longest + i));
        let positions = self.numbers(positions)?.f_view([shape[0], 1, shape[1], 1])?;
        let columns = self.numbers(0..reach)?;
        Ok(Some(Plan {
            shape,
            reach: reach as i64,
            slots: self.numbers(mine.iter().map(|s| s.slot))?,
            queries: self.numbers(padded)?,
            mask: columns.f_le_tensor(&positions)?,
            places: self.numbers(places)?,
            tokens: self.numbers(mine.iter().flat_map(real))?,
        }))
    }
}

/// Turns the pairs `(i, i + head_dim / 2)` of `[tokens, heads, head_dim]`.
pub(super) fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Torch<Tensor> {
    let halves = x.f_chunk(2, 2)?;
    let (cos, sin) = (cos.f_unsqueeze(1)?, sin.f_unsqueeze(1)?);
    let first = halves[0].f_mul(&cos)?.f_sub(&halves[1].f_mul(&sin)?)?;
    let second = halves[1].f_mul(&cos)?.f_add(&halves[0].f_mul(&sin)?)?;
    Tensor::f_cat(&[first, second], 2)
}
