//! Genome forms: dense vectors, lineages of noise streams, perturbations of a shared center.
//!
//! What can be regenerated is never stored or sent: a lineage is a list of (stream, scale), a perturbation a pair number.

use std::sync::Arc;

use illume_numerics::mlp::lecun_uniform;

use crate::decode::Noise;
pub use crate::decode::{lineage_stream, stream_id};
use crate::{Decoder, Error, LowRank, Purpose, Result, Stream};

/// How genomes are drawn before there is anything to vary.
#[derive(Debug, Clone, PartialEq)]
pub enum Init {
    /// Independent uniform genes in `[lower, upper)`.
    Uniform { lower: f32, upper: f32 },
    /// Independent normal genes.
    Normal { mean: f32, sd: f32 },
    /// Layers of a network, input to output; biases are zero.
    Network { layers: Vec<usize>, weights: Weights },
    /// Runs of genes, (length, standard deviation), normal around 0; zeros where the deviation is 0 (biases).
    Runs(Vec<(usize, f32)>),
}

/// The distribution of a network's first weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// Uniform with variance 1 / fan-in (LeCun 1998; QDax's and DCRL's initialization).
    LecunUniform,
    /// Normal columns scaled to norm 1, output layer to 0.01 (the evolution-strategies-starter code).
    NormColumn,
    /// Normal with standard deviation 1 / sqrt(fan-in), output layer 0.1 of it (the Deep GA program).
    FanIn,
}

impl Init {
    /// Genome of the given stream, written over `out`.
    pub fn draw(&self, stream: &Stream, out: &mut [f32]) {
        self.draw_from(stream, &Noise::Stream(*stream), out);
    }

    /// As [`Init::draw`], with normal numbers from another source than the stream; uniform ones always come from it.
    pub(crate) fn draw_from(&self, stream: &Stream, noise: &Noise<'_>, out: &mut [f32]) {
        match self {
            Init::Uniform { lower, upper } => {
                stream.uniforms(0, out);
                out.iter_mut().for_each(|x| *x = x.mul_add(upper - lower, *lower));
            }
            Init::Normal { mean, sd } => {
                out.fill(*mean);
                noise.add(0, *sd, out);
            }
            Init::Network { layers, weights } => draw_network(layers, *weights, stream, noise, out),
            Init::Runs(runs) => {
                let mut at = 0;
                for &(len, sd) in runs {
                    let genes = &mut out[at..at + len];
                    genes.fill(0.0);
                    if sd > 0.0 {
                        noise.add(at, sd, genes);
                    }
                    at += len;
                }
                debug_assert_eq!(at, out.len());
            }
        }
    }
}

fn draw_network(layers: &[usize], weights: Weights, stream: &Stream, noise: &Noise<'_>, out: &mut [f32]) {
    let mut at = 0;
    for (l, pair) in layers.windows(2).enumerate() {
        let [fan_in, fan_out] = [pair[0], pair[1]];
        let last = l + 2 == layers.len();
        let w = &mut out[at..at + fan_in * fan_out];
        match weights {
            Weights::LecunUniform => {
                lecun_uniform(stream, at, fan_in, w);
            }
            Weights::FanIn => {
                let sd = if last { 0.1 } else { 1.0 } / (fan_in as f32).sqrt();
                w.fill(0.0);
                noise.add(at, sd, w);
            }
            Weights::NormColumn => {
                let sd = if last { 0.01 } else { 1.0 };
                noise.normals(at, w);
                for j in 0..fan_out {
                    let norm = (0..fan_in).map(|i| w[i * fan_out + j].powi(2)).sum::<f32>().sqrt();
                    // A unit with one input may draw a zero, which has no direction.
                    let scale = if norm > 0.0 { sd / norm } else { 0.0 };
                    (0..fan_in).for_each(|i| w[i * fan_out + j] *= scale);
                }
            }
        }
        at += fan_in * fan_out;
        out[at..at + fan_out].fill(0.0);
        at += fan_out;
    }
    debug_assert_eq!(at, out.len());
}

/// Genomes of a block of candidates, one a row.
#[derive(Debug, Clone)]
pub enum Genomes {
    Dense(Dense),
    Lineage(Lineages),
    Perturbation(Perturbation),
}

/// Rows of genes, `[rows, dim]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dense {
    pub dim: usize,
    pub data: Vec<f32>,
}

/// Rows of (stream, scale) steps. Step 0 draws the initial genome, each later one adds `scale * normals(stream)`.
#[derive(Debug, Clone, Default)]
pub struct Lineages {
    /// Steps of row i: `offsets[i]..offsets[i + 1]`; one entry more than rows.
    pub offsets: Vec<u64>,
    /// Stream ids, made by [`stream_id`], ascending; the last one of a row names the individual.
    pub streams: Vec<u64>,
    /// Scale of each step (mutation power); 1 for step 0.
    pub scales: Vec<f32>,
    /// What decoding needs besides the steps; absent where lineages are only stored.
    pub decoder: Option<Arc<Decoder>>,
}

/// Mirrored perturbations of a center: row i is `center ± sigma * direction(pair)`, plus for even members; a direction is normal numbers, or made of them
/// ([`LowRank`]).
#[derive(Debug, Clone)]
pub struct Perturbation {
    pub center: Arc<Vec<f32>>,
    pub sigma: f32,
    pub seed: u64,
    pub generation: u64,
    /// Global number of this block's first member.
    pub first: usize,
    pub rows: usize,
    /// Members from this number on are the center itself, unperturbed.
    pub members: usize,
    /// Genes of members are clipped to this interval.
    pub bounds: Option<[f32; 2]>,
    /// How a pair's normal numbers make its direction, if they are not the direction themselves, gene by gene.
    pub low_rank: Option<Arc<LowRank>>,
}

/// One genome, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GenomeRef<'a> {
    Dense(&'a [f32]),
    Lineage { streams: &'a [u64], scales: &'a [f32] },
}

impl<'a> GenomeRef<'a> {
    /// The genes of a dense genome.
    ///
    /// # Errors
    /// The genome is a lineage.
    #[inline]
    pub fn dense(self) -> Result<&'a [f32]> {
        match self {
            GenomeRef::Dense(genes) => Ok(genes),
            GenomeRef::Lineage { .. } => Err(Error::failed("a dense genome was needed, the archive holds lineages")),
        }
    }
}

/// Buffers into which genomes are decoded; one for each thread.
#[derive(Debug, Default)]
pub struct Scratch {
    genes: Vec<f32>,
    mirror: Vec<f32>,
    numbers: Vec<f32>,
    /// The pair whose minus half lies in `mirror`: (address of the center, generation, pair).
    pair: Option<(usize, u64, usize)>,
}

impl Default for Genomes {
    fn default() -> Self {
        Genomes::Dense(Dense::default())
    }
}

impl Genomes {
    pub fn rows(&self) -> usize {
        match self {
            Genomes::Dense(d) => d.data.len().checked_div(d.dim).unwrap_or(0),
            Genomes::Lineage(l) => l.rows(),
            Genomes::Perturbation(p) => p.rows,
        }
    }

    /// Rows that are cheapest decoded together.
    pub fn chunk(&self) -> usize {
        if matches!(self, Genomes::Perturbation(_)) { 2 } else { 1 }
    }

    /// The genes of row `i`, decoded into `scratch` if they are not stored.
    pub fn genes<'a>(&'a self, i: usize, scratch: &'a mut Scratch) -> &'a [f32] {
        match self {
            Genomes::Dense(d) => &d.data[i * d.dim..(i + 1) * d.dim],
            Genomes::Lineage(l) => {
                let decoder = l
                    .decoder
                    .as_ref()
                    .expect("lineages that are evaluated carry their decoder");
                let (streams, scales) = l.row(i);
                decoder.decode(streams, scales, &mut scratch.genes);
                if let Some([low, high]) = decoder.bounds {
                    scratch.genes.iter_mut().for_each(|x| *x = x.clamp(low, high));
                }
                &scratch.genes
            }
            Genomes::Perturbation(p) => p.genes(i, scratch),
        }
    }

    /// Row `i` in the form in which it is stored: perturbations are decoded.
    pub fn stored<'a>(&'a self, i: usize, scratch: &'a mut Scratch) -> GenomeRef<'a> {
        match self {
            Genomes::Lineage(l) => {
                let (streams, scales) = l.row(i);
                GenomeRef::Lineage { streams, scales }
            }
            _ => GenomeRef::Dense(self.genes(i, scratch)),
        }
    }

    /// The dense rows, to be refilled: `[rows, dim]`, contents unspecified.
    pub fn dense_rows(&mut self, rows: usize, dim: usize) -> &mut [f32] {
        if !matches!(self, Genomes::Dense(_)) {
            *self = Genomes::default();
        }
        let Genomes::Dense(d) = self else {
            unreachable!("just made dense")
        };
        d.dim = dim;
        d.data.resize(rows * dim, 0.0);
        &mut d.data
    }
}

impl Lineages {
    pub fn new() -> Lineages {
        Lineages {
            offsets: vec![0],
            ..Lineages::default()
        }
    }

    pub fn rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Streams and scales of row `i`.
    pub fn row(&self, i: usize) -> (&[u64], &[f32]) {
        let range = self.offsets[i] as usize..self.offsets[i + 1] as usize;
        (&self.streams[range.clone()], &self.scales[range])
    }

    /// What is wrong with the lineages of a run with so many finished generations, if anything: each begins with scale 1, all scales are
    /// finite, and every step is of a later generation than the one before. `first` is the number of the first row in messages.
    pub fn check(&self, generations: u64, first: usize) -> std::result::Result<(), String> {
        for row in 0..self.rows() {
            let (streams, scales) = self.row(row);
            let row = first + row;
            if streams.is_empty() {
                return Err(format!("the lineage of elite {row} has no step"));
            }
            if scales[0] != 1.0 {
                return Err(format!(
                    "the lineage of elite {row} begins with scale {}, expected 1",
                    scales[0]
                ));
            }
            if let Some(step) = scales.iter().position(|scale| !scale.is_finite()) {
                return Err(format!(
                    "step {step} of the lineage of elite {row} has scale {}",
                    scales[step]
                ));
            }
            let generation = |step: usize| streams[step] >> 32;
            if let Some(step) = (1..streams.len()).find(|&step| generation(step) <= generation(step - 1)) {
                return Err(format!(
                    "step {step} of the lineage of elite {row} is of generation {}, the one before of {}",
                    generation(step),
                    generation(step - 1)
                ));
            }
            let last = generation(streams.len() - 1);
            if last >= generations {
                return Err(format!(
                    "the lineage of elite {row} reaches generation {last}, the file has {generations}"
                ));
            }
        }
        Ok(())
    }

    pub fn push(&mut self, streams: &[u64], scales: &[f32]) {
        self.streams.extend_from_slice(streams);
        self.scales.extend_from_slice(scales);
        self.offsets.push(self.streams.len() as u64);
    }
}

impl Perturbation {
    /// The noise stream of a pair.
    pub fn stream(&self, pair: usize) -> Stream {
        Stream::new(self.seed, Purpose::Perturbation, self.generation, pair as u64)
    }

    fn genes<'a>(&'a self, i: usize, scratch: &'a mut Scratch) -> &'a [f32] {
        let member = self.first + i;
        if member >= self.members {
            return &self.center;
        }
        let tag = (self.center.as_ptr() as usize, self.generation, member / 2);
        if scratch.pair != Some(tag) {
            scratch.genes.resize(self.center.len(), 0.0);
            scratch.mirror.resize(self.center.len(), 0.0);
            let stream = self.stream(member / 2);
            match &self.low_rank {
                None => stream.mirrored(&self.center, self.sigma, &mut scratch.genes, &mut scratch.mirror),
                Some(shape) => {
                    scratch.numbers.resize(shape.numbers(), 0.0);
                    stream.normals(0, &mut scratch.numbers);
                    for (genes, sigma) in [(&mut scratch.genes, self.sigma), (&mut scratch.mirror, -self.sigma)] {
                        genes.copy_from_slice(&self.center);
                        shape.add(&scratch.numbers, sigma, genes);
                    }
                }
            }
            if let Some([low, high]) = self.bounds {
                scratch
                    .genes
                    .iter_mut()
                    .chain(&mut scratch.mirror)
                    .for_each(|x| *x = x.clamp(low, high));
            }
            scratch.pair = Some(tag);
        }
        if member.is_multiple_of(2) {
            &scratch.genes
        } else {
            &scratch.mirror
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_networks_have_the_stated_scale_and_zero_biases() {
        for (weights, sd) in [
            (Weights::LecunUniform, 0.1),
            (Weights::FanIn, 0.1),
            (Weights::NormColumn, 0.1),
        ] {
            let layers = vec![100, 200, 3];
            let mut genes = vec![9.0; 100 * 200 + 200 + 200 * 3 + 3];
            Init::Network { layers, weights }.draw(&Stream::new(1, Purpose::Init, 0, 0), &mut genes);
            let first = &genes[..20_000];
            let measured = (first.iter().map(|x| f64::from(x * x)).sum::<f64>() / 20_000.0).sqrt();
            assert!((measured - sd).abs() < 0.003, "{weights:?}: {measured}");
            assert!(genes[20_000..20_200].iter().chain(&genes[20_800..]).all(|b| *b == 0.0));
        }
    }

    #[test]
    fn a_unit_that_draws_no_weight_gets_none() {
        let (layers, zeros, mut genes) = ([1, 2, 1], [0.0; 7], [9.0; 7]);
        let stream = Stream::new(1, Purpose::Init, 0, 0);
        draw_network(&layers, Weights::NormColumn, &stream, &Noise::Slice(&zeros), &mut genes);
        assert_eq!(genes, zeros);
    }

    #[test]
    fn members_come_in_mirrored_pairs_and_the_rest_is_the_center() {
        let center = Arc::new(vec![1.0f32; 100]);
        for low_rank in [None, Some(Arc::new(LowRank::new(2, &[[4, 20], [5, 4]])))] {
            let p = |first, rows| {
                Genomes::Perturbation(Perturbation {
                    center: center.clone(),
                    sigma: 0.5,
                    seed: 1,
                    generation: 2,
                    first,
                    rows,
                    members: 4,
                    bounds: None,
                    low_rank: low_rank.clone(),
                })
            };
            let mut s = Scratch::default();
            let all: Vec<Vec<f32>> = (0..5).map(|i| p(0, 5).genes(i, &mut s).to_vec()).collect();
            for pair in [[0, 1], [2, 3]] {
                let mut sums = all[pair[0]].iter().zip(&all[pair[1]]).map(|(a, b)| a + b);
                assert!(sums.all(|sum| (sum - 2.0).abs() < 1e-6));
            }
            assert_ne!(all[0], all[2]);
            assert!(all[0].iter().all(|x| *x != 1.0), "every gene moves");
            assert_eq!(all[4], *center);
            let mut fresh = Scratch::default();
            assert_eq!(p(3, 2).genes(0, &mut fresh), all[3]);
        }
    }
}
