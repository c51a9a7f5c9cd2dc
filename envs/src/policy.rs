//! Policies: multi-layer perceptrons evaluated straight from the flat genome.
//!
//! A genome holds, layer after layer, the weights `[inputs, outputs]` row-major and then the bias `[outputs]` (the order of
//! flax, and of [`illume_core::Init::Network`]). Nothing is copied or packed: the kernel runs over outputs, so that a row of
//! weights is read as it lies.

use illume_core::{Activation, Init, Network, Result, Weights, params, toml};
use illume_numerics::math::tanh_in_place;
use illume_numerics::simd_dispatch;

params! {
    /// The `[policy]` table.
    pub struct PolicyParams {
        /// Units of each hidden layer; an empty list makes the policy linear.
        hidden: Vec<usize> = vec![64, 64], each(range(1, 65_536));
        /// Activation of the hidden layers; outputs always pass through tanh.
        activation: String = "tanh".into(), one_of(&["tanh", "relu"]);
        /// Distribution of the first weights: uniform with variance 1 / fan-in, normalized columns, or normal with sd 1 / sqrt(fan-in).
        init: String = "lecun_uniform".into(), one_of(&["lecun_uniform", "norm_column", "fan_in"]);
    }
}

impl PolicyParams {
    /// Reads the `[policy]` table.
    ///
    /// # Errors
    /// Every wrong value and unknown key at once.
    pub fn read(table: &toml::Table) -> Result<PolicyParams> {
        params::read(table, "policy", &[])
    }

    /// The network between an observation and an action of these sizes.
    pub fn mlp(&self, observation_dim: usize, action_dim: usize) -> Mlp {
        let activation = if self.activation == "relu" {
            Activation::Relu
        } else {
            Activation::Tanh
        };
        Mlp::new(observation_dim, &self.hidden, action_dim, activation)
    }

    /// How the first genomes of this network are drawn.
    pub fn init(&self, mlp: &Mlp) -> Init {
        let weights = match self.init.as_str() {
            "norm_column" => Weights::NormColumn,
            "fan_in" => Weights::FanIn,
            _ => Weights::LecunUniform,
        };
        Init::Network {
            layers: mlp.network.layers.clone(),
            weights,
        }
    }
}

/// A perceptron ready to act; its weights are the genome's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mlp {
    network: Network,
}

/// Values of the layer being read and of the one being written; one for each thread.
#[derive(Debug, Clone, Default)]
pub struct MlpScratch {
    from: Vec<f32>,
    to: Vec<f32>,
}

impl From<&Network> for Mlp {
    /// # Panics
    /// A network without input and output.
    fn from(network: &Network) -> Mlp {
        assert!(network.layers.len() >= 2, "layers {:?}", network.layers);
        Mlp {
            network: network.clone(),
        }
    }
}

impl Mlp {
    pub fn new(observation_dim: usize, hidden: &[usize], action_dim: usize, activation: Activation) -> Mlp {
        let mut layers = vec![observation_dim];
        layers.extend_from_slice(hidden);
        layers.push(action_dim);
        Mlp {
            network: Network { layers, activation },
        }
    }

    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Genes of a genome: all weights and biases.
    pub fn params(&self) -> usize {
        self.network.params()
    }

    pub fn observation_dim(&self) -> usize {
        self.network.layers[0]
    }

    pub fn action_dim(&self) -> usize {
        self.network.layers[self.network.layers.len() - 1]
    }

    /// Buffers for [`Mlp::forward`].
    pub fn scratch(&self) -> MlpScratch {
        let width = self
            .network
            .layers
            .iter()
            .copied()
            .max()
            .unwrap_or(0)
            .next_multiple_of(WIDE);
        MlpScratch {
            from: vec![0.0; width],
            to: vec![0.0; width],
        }
    }

    /// The action `[action_dim]` in [-1, 1] that `genes` `[params]` take on `observation` `[observation_dim]`.
    ///
    /// Bits depend on neither vector width nor processor: input i of a sum goes to partial sum i mod 4, in order, fused, and
    /// the unit's sum is `((s0 + s1) + (s2 + s3)) + bias`. NaN in gives NaN out.
    ///
    /// # Panics
    /// A length does not fit, or the scratch is of a smaller network.
    pub fn forward(&self, genes: &[f32], observation: &[f32], scratch: &mut MlpScratch, action: &mut [f32]) {
        assert_eq!(
            genes.len(),
            self.params(),
            "genes of a network {:?}",
            self.network.layers
        );
        assert_eq!(
            observation.len(),
            self.observation_dim(),
            "observation of a network {:?}",
            self.network.layers
        );
        assert_eq!(
            action.len(),
            self.action_dim(),
            "action of a network {:?}",
            self.network.layers
        );
        run(self, genes, observation, scratch, action);
    }
}

/// Outputs computed together where that many are left, and where fewer are.
const WIDE: usize = 32;
const NARROW: usize = 16;

fn run(mlp: &Mlp, genes: &[f32], observation: &[f32], scratch: &mut MlpScratch, action: &mut [f32]) {
    simd_dispatch!(
        fn [](mlp: &Mlp, genes: &[f32], observation: &[f32], scratch: &mut MlpScratch, action: &mut [f32]) {
            forward_body(mlp, genes, observation, scratch, action)
        }
    )
}

#[inline(always)]
fn forward_body(mlp: &Mlp, genes: &[f32], observation: &[f32], scratch: &mut MlpScratch, action: &mut [f32]) {
    let MlpScratch { from, to } = scratch;
    let mut at = 0;
    let count = mlp.network.layers.len() - 1;
    for l in 0..count {
        let [fan_in, fan_out] = [mlp.network.layers[l], mlp.network.layers[l + 1]];
        let input = if l == 0 { observation } else { &from[..fan_in] };
        layer(&genes[at..], fan_in, fan_out, input, to);
        let sums = &mut to[..fan_out.next_multiple_of(NARROW)];
        if l + 1 == count || mlp.network.activation == Activation::Tanh {
            tanh_in_place(sums);
        } else {
            relu_in_place(sums);
        }
        std::mem::swap(from, to);
        at += (fan_in + 1) * fan_out;
    }
    action.copy_from_slice(&from[..action.len()]);
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
    use illume_core::{Purpose, Stream};

    /// The same sums in the stated order, one output at a time; tanh of the standard library if `exact`.
    fn twin(mlp: &Mlp, genes: &[f32], observation: &[f32], exact: bool) -> Vec<f32> {
        let layers = mlp.network.layers.clone();
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
            let relu = l + 2 < layers.len() && mlp.network.activation == Activation::Relu;
            let act = |v: f32| match (relu, exact) {
                (true, _) => v.max(0.0),
                (_, true) => v.tanh(),
                _ => illume_numerics::math::tanh(v),
            };
            x = (0..fan_out).map(|j| act(sum(j))).collect();
            at += (fan_in + 1) * fan_out;
        }
        x
    }

    fn check(mlp: &Mlp, seed: u64) {
        let stream = Stream::new(seed, Purpose::Init, 0, 0);
        let mut genes = vec![0.0; mlp.params()];
        let mut observation = vec![0.0; mlp.observation_dim()];
        stream.add_normals(0, 0.3, &mut genes);
        stream.normals(1 << 20, &mut observation);
        let (mut scratch, mut action) = (mlp.scratch(), vec![9.0; mlp.action_dim()]);
        mlp.forward(&genes, &observation, &mut scratch, &mut action);
        assert_eq!(
            action,
            twin(mlp, &genes, &observation, false),
            "{:?}",
            mlp.network.layers
        );
        for (x, y) in action.iter().zip(twin(mlp, &genes, &observation, true)) {
            assert!((x - y).abs() < 2e-6, "{x} {y}");
        }
    }

    #[test]
    fn the_kernel_equals_its_plain_twin_bit_for_bit_at_any_size() {
        for fan_in in 1..25 {
            for fan_out in 1..70 {
                check(
                    &Mlp::new(fan_in, &[], fan_out, Activation::Tanh),
                    (fan_in * 100 + fan_out) as u64,
                );
            }
        }
        let hidden: [&[usize]; 6] = [&[64, 64], &[1, 1, 1], &[16], &[33, 47, 96], &[31, 15], &[128, 128]];
        for (n, hidden) in hidden.into_iter().enumerate() {
            for activation in [Activation::Tanh, Activation::Relu] {
                check(&Mlp::new(3 + 7 * n, hidden, 1 + 4 * n, activation), n as u64);
            }
        }
    }

    #[test]
    fn the_layout_is_weights_by_input_then_bias() {
        let mlp = Mlp::new(2, &[], 2, Activation::Tanh);
        let mut action = [0.0; 2];
        mlp.forward(
            &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
            &[1.0, 2.0],
            &mut mlp.scratch(),
            &mut action,
        );
        assert!((action[0] - (0.1f32 + 0.6 + 0.5).tanh()).abs() < 1e-6);
        assert!((action[1] - (0.2f32 + 0.8 + 0.6).tanh()).abs() < 1e-6);
    }

    #[test]
    fn the_cheetah_network_has_the_known_number_of_parameters() {
        let mlp = PolicyParams::default().mlp(17, 6);
        assert_eq!((mlp.network.layers.clone(), mlp.params()), (vec![17, 64, 64, 6], 5702));
    }

    #[test]
    fn nan_reaches_the_action_and_nothing_panics() {
        for activation in [Activation::Tanh, Activation::Relu] {
            let mlp = Mlp::new(3, &[20, 20], 2, activation);
            let mut action = [0.0; 2];
            for gene in [f32::NAN, f32::INFINITY] {
                mlp.forward(
                    &vec![gene; mlp.params()],
                    &[0.5, -1.0, 0.0],
                    &mut mlp.scratch(),
                    &mut action,
                );
                assert!(action.iter().all(|a| a.is_nan() || a.abs() == 1.0), "{action:?}");
            }
            mlp.forward(
                &vec![0.1; mlp.params()],
                &[f32::NAN, 0.0, 0.0],
                &mut mlp.scratch(),
                &mut action,
            );
            assert!(action.iter().all(|a| a.is_nan()));
        }
    }

    #[test]
    fn a_task_may_prefer_other_layers_but_the_user_decides() {
        let read = |text: &str| PolicyParams::read(&text.parse().unwrap());
        assert_eq!(read("").unwrap().hidden, [64, 64]);
        assert_eq!(read("hidden = [3, 4]").unwrap().hidden, [3, 4]);
        assert!(read("hidden = []").unwrap().hidden.is_empty());
        assert!(
            read("activation = \"gelu\"")
                .unwrap_err()
                .to_string()
                .contains("policy.activation")
        );
    }
}
