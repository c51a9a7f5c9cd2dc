//! One input at a time, straight from flat parameters: nothing is copied or packed, as the kernel runs over outputs and reads a row of
//! weights as it lies.

use super::{Activation, Network, Output};
use crate::math::tanh_in_place;
use crate::simd_dispatch;

/// Values of the layer being read and of the one being written; one for each thread.
#[derive(Debug, Clone, Default)]
pub struct Units {
    from: Vec<f32>,
    to: Vec<f32>,
}

impl Network {
    /// Buffers for [`Network::forward`].
    ///
    /// # Panics
    /// A network without input and output.
    pub fn units(&self) -> Units {
        assert!(self.layers.len() >= 2, "layers {:?}", self.layers);
        let widest = self.layers.iter().copied().max().unwrap_or(0);
        let [from, to] = [0; 2].map(|_| vec![0.0; widest.next_multiple_of(WIDE)]);
        Units { from, to }
    }

    /// The outputs `[outputs]` for one input `[inputs]`.
    ///
    /// Bits depend on neither vector width nor processor: input i of a sum goes to partial sum i mod 4, in order, fused, and
    /// the unit's sum is `((s0 + s1) + (s2 + s3)) + bias`. NaN in gives NaN out.
    ///
    /// # Panics
    /// A length does not fit, or the buffers are of a smaller network.
    pub fn forward(&self, params: &[f32], input: &[f32], units: &mut Units, output: &mut [f32]) {
        assert_eq!(params.len(), self.params(), "parameters of a network {:?}", self.layers);
        assert_eq!(input.len(), self.inputs(), "input of a network {:?}", self.layers);
        assert_eq!(output.len(), self.outputs(), "output of a network {:?}", self.layers);
        run(self, params, input, units, output);
    }
}

/// Outputs computed together where that many are left, and where fewer are.
const WIDE: usize = 32;
const NARROW: usize = 16;

fn run(network: &Network, genes: &[f32], input: &[f32], units: &mut Units, output: &mut [f32]) {
    simd_dispatch!(
        fn [](network: &Network, genes: &[f32], input: &[f32], units: &mut Units, output: &mut [f32]) {
            forward_body(network, genes, input, units, output)
        }
    )
}

#[inline(always)]
fn forward_body(network: &Network, genes: &[f32], input: &[f32], units: &mut Units, output: &mut [f32]) {
    let Units { from, to } = units;
    let mut at = 0;
    let count = network.layers.len() - 1;
    for l in 0..count {
        let [fan_in, fan_out] = [network.layers[l], network.layers[l + 1]];
        let input = if l == 0 { input } else { &from[..fan_in] };
        layer(&genes[at..], fan_in, fan_out, input, to);
        let sums = &mut to[..fan_out.next_multiple_of(NARROW)];
        match (l + 1 == count, network.output, network.hidden) {
            (true, Output::Tanh, _) | (false, _, Activation::Tanh) => tanh_in_place(sums),
            (true, Output::Linear, _) => {}
            (false, _, Activation::Relu) => relu_in_place(sums),
        }
        std::mem::swap(from, to);
        at += (fan_in + 1) * fan_out;
    }
    output.copy_from_slice(&from[..output.len()]);
}

/// Sums of one layer. `genes` begins with the layer's weights; of less than [`NARROW`] outputs that many are written all the
/// same, with values without meaning behind.
#[inline(always)]
fn layer(genes: &[f32], fan_in: usize, fan_out: usize, input: &[f32], sums: &mut [f32]) {
    let mut first = 0;
    while first + WIDE <= fan_out {
        block::<WIDE>(genes, fan_in, fan_out, first, input, sums);
        first += WIDE;
    }
    while first < fan_out {
        // The last block ends with the layer and may repeat a few outputs.
        let start = first.min(fan_out.saturating_sub(NARROW));
        block::<NARROW>(genes, fan_in, fan_out, start, input, sums);
        first = start + NARROW;
    }
}

/// Sums of the outputs `first..first + B`, with four partial sums each in registers. Where there are fewer outputs than that,
/// what lies behind a row is read in their place.
#[inline(always)]
fn block<const B: usize>(genes: &[f32], fan_in: usize, fan_out: usize, first: usize, input: &[f32], sums: &mut [f32]) {
    let [mut s0, mut s1, mut s2, mut s3] = [[0.0f32; B]; 4];
    let mut i = 0;
    while i + 4 <= fan_in {
        let rows = &genes[i * fan_out + first..];
        let (Some(r0), Some(r1), Some(r2), Some(r3)) = (
            rows.first_chunk::<B>(),
            rows[fan_out..].first_chunk::<B>(),
            rows[2 * fan_out..].first_chunk::<B>(),
            rows[3 * fan_out..].first_chunk::<B>(),
        ) else {
            break;
        };
        s0 = add(s0, r0, input[i]);
        s1 = add(s1, r1, input[i + 1]);
        s2 = add(s2, r2, input[i + 2]);
        s3 = add(s3, r3, input[i + 3]);
        i += 4;
    }
    // What is left: fewer than four rows, or rows too near the end of the genome to be read past their end, and the bias.
    let left = fan_in - i;
    let mut rows = &genes[i * fan_out + first..];
    // Too short means less than NARROW outputs and less than three such rows and a block.
    let mut copy = [0.0f32; 5 * NARROW];
    if rows.len() < left * fan_out + B {
        copy[..rows.len()].copy_from_slice(rows);
        rows = &copy;
    }
    let mut r = 0;
    while r < left {
        s0 = add(s0, row::<B>(rows, r, left, fan_out), input[i + r]);
        s1 = add(s1, row::<B>(rows, r + 1, left, fan_out), part(input, i + r + 1));
        s2 = add(s2, row::<B>(rows, r + 2, left, fan_out), part(input, i + r + 2));
        s3 = add(s3, row::<B>(rows, r + 3, left, fan_out), part(input, i + r + 3));
        r += 4;
    }
    let Some(bias) = rows[left * fan_out..].first_chunk::<B>() else {
        return;
    };
    let out = &mut sums[first..first + B];
    for k in 0..B {
        out[k] = ((s0[k] + s1[k]) + (s2[k] + s3[k])) + bias[k];
    }
}

#[inline(always)]
fn add<const B: usize>(mut sum: [f32; B], row: &[f32; B], input: f32) -> [f32; B] {
    for k in 0..B {
        sum[k] = row[k].mul_add(input, sum[k]);
    }
    sum
}

/// Row `r` of `left`, zeros behind them: adding zero leaves a sum as it is.
#[inline(always)]
fn row<const B: usize>(rows: &[f32], r: usize, left: usize, fan_out: usize) -> &[f32; B] {
    if r < left
        && let Some(row) = rows[r * fan_out..].first_chunk::<B>()
    {
        row
    } else {
        &[0.0; B]
    }
}

/// Input `i`, 0 behind them.
#[inline(always)]
fn part(input: &[f32], i: usize) -> f32 {
    if i < input.len() { input[i] } else { 0.0 }
}

#[inline(always)]
fn relu_in_place(values: &mut [f32]) {
    for v in values {
        // Not `max`, which would swallow NaN.
        *v = if *v < 0.0 { 0.0 } else { *v };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Purpose, Stream};

    /// The same sums in the stated order, one output at a time; tanh of the standard library if `exact`.
    fn twin(network: &Network, genes: &[f32], observation: &[f32], exact: bool) -> Vec<f32> {
        let layers = network.layers.clone();
        let (mut x, mut at) = (observation.to_vec(), 0);
        for (l, pair) in layers.windows(2).enumerate() {
            let [fan_in, fan_out] = [pair[0], pair[1]];
            let sum = |j: usize| {
                let mut s = [0.0f32; 4];
                for i in 0..fan_in {
                    s[i % 4] = genes[at + i * fan_out + j].mul_add(x[i], s[i % 4]);
                }
                ((s[0] + s[1]) + (s[2] + s[3])) + genes[at + fan_in * fan_out + j]
            };
            let relu = l + 2 < layers.len() && network.hidden == Activation::Relu;
            let act = |v: f32| match (relu, exact) {
                (true, _) => v.max(0.0),
                (_, true) => v.tanh(),
                _ => crate::math::tanh(v),
            };
            x = (0..fan_out).map(|j| act(sum(j))).collect();
            at += (fan_in + 1) * fan_out;
        }
        x
    }

    fn check(network: &Network, seed: u64) {
        let stream = Stream::new(seed, Purpose::Init, 0, 0);
        let mut genes = vec![0.0; network.params()];
        let mut observation = vec![0.0; network.inputs()];
        stream.add_normals(0, 0.3, &mut genes);
        stream.normals(1 << 20, &mut observation);
        let (mut scratch, mut action) = (network.units(), vec![9.0; network.outputs()]);
        network.forward(&genes, &observation, &mut scratch, &mut action);
        assert_eq!(
            action,
            twin(network, &genes, &observation, false),
            "{:?}",
            network.layers
        );
        for (x, y) in action.iter().zip(twin(network, &genes, &observation, true)) {
            assert!((x - y).abs() < 2e-6, "{x} {y}");
        }
    }

    #[test]
    fn the_kernel_equals_its_plain_twin_bit_for_bit_at_any_size() {
        for fan_in in 1..25 {
            for fan_out in 1..70 {
                let network = Network::policy(vec![fan_in, fan_out], Activation::Tanh);
                check(&network, (fan_in * 100 + fan_out) as u64);
            }
        }
        let hidden: [&[usize]; 6] = [&[64, 64], &[1, 1, 1], &[16], &[33, 47, 96], &[31, 15], &[128, 128]];
        for (n, hidden) in hidden.into_iter().enumerate() {
            for activation in [Activation::Tanh, Activation::Relu] {
                let layers = [&[3 + 7 * n], hidden, &[1 + 4 * n]].concat();
                check(&Network::policy(layers, activation), n as u64);
            }
        }
    }

    #[test]
    fn the_layout_is_weights_by_input_then_bias() {
        let network = Network::policy(vec![2, 2], Activation::Tanh);
        let mut action = [0.0; 2];
        network.forward(
            &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
            &[1.0, 2.0],
            &mut network.units(),
            &mut action,
        );
        assert!((action[0] - (0.1f32 + 0.6 + 0.5).tanh()).abs() < 1e-6);
        assert!((action[1] - (0.2f32 + 0.8 + 0.6).tanh()).abs() < 1e-6);
    }

    #[test]
    fn nan_reaches_the_action_and_nothing_panics() {
        for activation in [Activation::Tanh, Activation::Relu] {
            let network = Network::policy(vec![3, 20, 20, 2], activation);
            let mut action = [0.0; 2];
            for gene in [f32::NAN, f32::INFINITY] {
                network.forward(
                    &vec![gene; network.params()],
                    &[0.5, -1.0, 0.0],
                    &mut network.units(),
                    &mut action,
                );
                assert!(action.iter().all(|a| a.is_nan() || a.abs() == 1.0), "{action:?}");
            }
            network.forward(
                &vec![0.1; network.params()],
                &[f32::NAN, 0.0, 0.0],
                &mut network.units(),
                &mut action,
            );
            assert!(action.iter().all(|a| a.is_nan()));
        }
    }
}
