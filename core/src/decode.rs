//! Lineages become genes: noise that is made where it is needed, or slices of a shared table, and decoded parents to continue from.

use std::collections::HashMap;
use std::sync::Arc;

use illume_numerics::elements::{add_scaled, moved};

use crate::noise::NoiseTable;
use crate::{Init, Purpose, Stream, TaskSpec};

/// The id of the noise stream of candidate `index` of `generation`.
pub fn stream_id(generation: u64, index: u64) -> u64 {
    debug_assert!(generation < 1 << 32 && index < 1 << 32);
    generation << 32 | index
}

/// The noise stream of an id.
pub fn lineage_stream(seed: u64, id: u64) -> Stream {
    Stream::new(seed, Purpose::Lineage, id >> 32, id & 0xffff_ffff)
}

/// Turns lineages into genes. The genes do not depend on what is cached.
#[derive(Debug, Clone)]
pub struct Decoder {
    pub seed: u64,
    /// Genes of a genome.
    pub dim: usize,
    pub init: Init,
    /// What genes are clipped to when they are evaluated, never while they are built upon.
    pub bounds: Option<[f32; 2]>,
    /// The table of which steps are slices; without one each step has a stream of its own.
    pub table: Option<Arc<NoiseTable>>,
    /// Unclipped genes of individuals by their stream id.
    pub cache: HashMap<u64, Arc<Vec<f32>>>,
}

/// Normal numbers at the positions of a genome: what one step of a lineage adds.
#[derive(Debug, Clone, Copy)]
pub enum Noise<'a> {
    Stream(Stream),
    Slice(&'a [f32]),
}

impl Noise<'_> {
    /// `out = n[start..]`
    pub fn normals(&self, start: usize, out: &mut [f32]) {
        match self {
            Noise::Stream(stream) => stream.normals(start as u64, out),
            Noise::Slice(numbers) => out.copy_from_slice(&numbers[start..start + out.len()]),
        }
    }

    /// `out += scale * n[start..]`, rounded once.
    pub fn add(&self, start: usize, scale: f32, out: &mut [f32]) {
        match self {
            Noise::Stream(stream) => stream.add_normals(start as u64, scale, out),
            Noise::Slice(numbers) => add_scaled(&numbers[start..start + out.len()], scale, out),
        }
    }

    /// `out = base + scale * n`, rounded once.
    fn moved(&self, base: &[f32], scale: f32, out: &mut [f32]) {
        match self {
            Noise::Stream(stream) => stream.moved(0, base, scale, out),
            Noise::Slice(numbers) => moved(base, numbers, scale, out),
        }
    }
}

impl Decoder {
    /// The decoder of a run's lineages, with nothing cached and no table.
    pub fn new(seed: u64, task: &TaskSpec) -> Decoder {
        Decoder {
            seed,
            dim: task.genome_dim,
            init: task.init.clone(),
            bounds: task.bounds,
            table: None,
            cache: HashMap::new(),
        }
    }

    fn noise(&self, id: u64) -> Noise<'_> {
        match &self.table {
            Some(table) => Noise::Slice(table.slice(self.seed, id, self.dim)),
            None => Noise::Stream(lineage_stream(self.seed, id)),
        }
    }

    /// The steps of a lineage that lead to its nearest ancestor (or itself) in the cache, and that one's stream id; 0 if none is there.
    pub fn cached(&self, streams: &[u64]) -> (usize, Option<u64>) {
        let n = streams.iter().rposition(|id| self.cache.contains_key(id));
        n.map_or((0, None), |n| (n + 1, Some(streams[n])))
    }

    /// Unclipped genes of a lineage, continued from its nearest ancestor in the cache: from its parent, in one pass.
    pub fn decode(&self, streams: &[u64], scales: &[f32], out: &mut Vec<f32>) {
        out.resize(self.dim, 0.0);
        let (from, ancestor) = self.cached(streams);
        let mut from = from;
        match ancestor {
            None => {
                let own = lineage_stream(self.seed, streams[0]);
                self.init.draw_from(&own, &self.noise(streams[0]), out);
                from = 1;
            }
            Some(id) if from == streams.len() => out.copy_from_slice(&self.cache[&id]),
            Some(id) => {
                self.noise(streams[from]).moved(&self.cache[&id], scales[from], out);
                from += 1;
            }
        }
        self.extend(&streams[from..], &scales[from..], out);
    }

    /// Takes further steps from an individual's unclipped genes.
    pub fn extend(&self, streams: &[u64], scales: &[f32], genes: &mut [f32]) {
        for (&id, &scale) in streams.iter().zip(scales) {
            self.noise(id).add(0, scale, genes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Weights;

    fn decoder(table: Option<usize>) -> Decoder {
        let init = Init::Network {
            layers: vec![3, 4, 2],
            weights: Weights::FanIn,
        };
        Decoder {
            seed: 5,
            dim: 26,
            init,
            bounds: None,
            table: table.map(NoiseTable::shared),
            cache: HashMap::new(),
        }
    }

    #[test]
    fn a_lineage_decodes_the_same_from_any_of_its_ancestors_in_the_cache() {
        let streams: Vec<u64> = (0..9).map(|g| stream_id(g, 31 * g % 7)).collect();
        let scales: Vec<f32> = (0..9).map(|g| if g == 0 { 1.0 } else { 0.1 + g as f32 }).collect();
        for table in [None, Some(500)] {
            let mut d = decoder(table);
            let mut whole = Vec::new();
            d.decode(&streams, &scales, &mut whole);
            for n in 1..=streams.len() {
                let mut ancestor = Vec::new();
                d.decode(&streams[..n], &scales[..n], &mut ancestor);
                d.cache = HashMap::from([(streams[n - 1], Arc::new(ancestor))]);
                assert_eq!(d.cached(&streams), (n, Some(streams[n - 1])));
                let mut again = vec![7.0; 3];
                d.decode(&streams, &scales, &mut again);
                assert_eq!(again, whole, "continued after {n} steps");
            }
        }
    }

    /// By hand, as the original's program does: a slice times each layer's scale, then slices times the mutation power.
    #[test]
    fn with_a_table_steps_are_its_slices() {
        let d = decoder(Some(500));
        let table = d.table.clone().unwrap();
        let (streams, mut genes) = ([stream_id(0, 3), stream_id(4, 1)], Vec::new());
        d.decode(&streams, &[1.0, 0.5], &mut genes);
        let (first, second) = (table.slice(5, streams[0], 26), table.slice(5, streams[1], 26));
        for i in 0..26 {
            let sd = match i {
                0..12 => 1.0 / 3f32.sqrt(),
                16..24 => 0.1 / 4f32.sqrt(),
                _ => 0.0,
            };
            let expected = first[i] * sd + second[i] * 0.5;
            assert!(
                (genes[i] - expected).abs() < 1e-6,
                "gene {i}: {} and {expected}",
                genes[i]
            );
        }
    }
}
