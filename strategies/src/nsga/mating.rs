//! Who becomes a parent, what the children are, and how those that survive come to all ranks.

use illume_core::{Candidates, Context, Purpose, Result, Scratch, Stream, block};
use illume_numerics::fronts::{Points, dominates};
use rayon::prelude::*;

use super::{Draw, draws};
use crate::variation::{Discrete, polynomial, simulated_binary};

/// Genes that one parallel task makes, about: microseconds of work, so that threads end together.
const GENES_PER_TASK: usize = 1 << 10;

/// How children are made.
pub(super) struct Mating {
    /// Probability and distribution index.
    pub crossover: (f64, f64),
    /// Probability of each gene, and distribution index.
    pub mutation: (f64, f64),
    pub bounds: [f32; 2],
}

impl Mating {
    /// The children from number `first` on: those of two parents that follow one another are a pair. `living` and `children` are `[rows, genome_dim]`.
    pub fn children(&self, context: &Context<'_>, living: &[f32], parents: &[u32], first: usize, children: &mut [f32]) {
        let dim = context.task.genome_dim;
        let stream = |index| Stream::new(context.seed, Purpose::Variation, context.generation, index);
        let [crossing, mutation, of_mutation, of_crossing] = [0, 1, 2, 3].map(stream);
        let discrete = Discrete::of(context.task.genes.as_deref());
        let genes = |i: u32| &living[i as usize * dim..(i as usize + 1) * dim];
        let (rate, eta) = (self.mutation.0 as f32, self.mutation.1 as f32);
        let make = |pair: usize, made: &mut [Vec<f32>; 2]| {
            let [a, b] = made;
            let of = [genes(parents[2 * pair]), genes(parents[2 * pair + 1])];
            let crossed = simulated_binary([a, b], of, &crossing, pair as u64, self.crossover, self.bounds);
            if let (Some(discrete), true) = (&discrete, crossed) {
                discrete.crossover([a, b], of, &of_crossing, pair as u64);
            }
        };
        // A pair may be on two ranks, or in two pieces: both then make it and keep what is theirs.
        let rows = (GENES_PER_TASK / dim).max(1).next_multiple_of(2);
        let pieces = children.par_chunks_mut(rows * dim).enumerate();
        let buffers = || [vec![0.0; dim], vec![0.0; dim]];
        pieces.for_each_init(buffers, |made, (piece, children)| {
            let mut present = usize::MAX;
            for (row, child) in (first + piece * rows..).zip(children.chunks_exact_mut(dim)) {
                if present != row / 2 {
                    present = row / 2;
                    make(present, made);
                }
                let crossed = &made[row % 2];
                polynomial(child, crossed, &mutation, row as u64, rate, eta, self.bounds);
                if let Some(discrete) = &discrete {
                    discrete.polynomial(child, crossed, &of_mutation, row as u64);
                }
                if let Some([low, high]) = context.task.bounds {
                    child.iter_mut().for_each(|x| *x = x.clamp(low, high));
                }
            }
        });
    }
}

/// Numbers of the parents of `children` children, two for each pair, by tournaments of two in which everyone takes part as often as everyone else: whoever dominates wins, then
/// whoever is crowded less, then whom a draw says. Without crowding distances the draw alone says it.
pub(super) fn parents(context: &Context<'_>, points: &Points<'_>, crowding: &[f64], children: usize) -> Vec<u32> {
    let tournaments = 2 * children.div_ceil(2);
    // Orders of all, as many as are needed.
    let mut entrants: Vec<u32> = Vec::new();
    while entrants.len() < 2 * tournaments {
        let stream = draws(context, Draw::Order, (entrants.len() / points.len()) as u64);
        let drawn = (0..points.len() as u32).map(|i| (stream.word64(u64::from(i)), i));
        let mut order: Vec<(u64, u32)> = drawn.collect();
        order.sort_unstable();
        entrants.extend(order.into_iter().map(|(_, i)| i));
    }
    let tosses = draws(context, Draw::Toss, 0);
    let wins = |tournament: usize, [a, b]: [u32; 2]| -> u32 {
        if !crowding.is_empty() {
            let [x, y] = [a, b].map(|i| points.point(i as usize));
            if dominates(x, y) {
                return a;
            }
            if dominates(y, x) {
                return b;
            }
            let [x, y] = [a, b].map(|i| crowding[i as usize]);
            if x != y {
                return if x > y { a } else { b };
            }
        }
        if tosses.word(tournament as u64) & 1 == 0 { a } else { b }
    };
    let pairs = entrants.as_chunks::<2>().0.iter().take(tournaments).enumerate();
    pairs.map(|(tournament, pair)| wins(tournament, *pair)).collect()
}

/// The genomes of these rows of all ranks' candidates, which ascend. Collective.
///
/// # Errors
/// Communication.
pub(super) fn bring(context: &Context<'_>, candidates: &Candidates, rows: &[usize]) -> Result<Vec<f32>> {
    let (dim, size) = (context.task.genome_dim, context.comm.size());
    let mut scratch = Scratch::default();
    let mut mine: Vec<f32> = Vec::new();
    for row in rows.iter().filter(|row| candidates.block.contains(row)) {
        mine.extend_from_slice(candidates.genomes.genes(row - candidates.block.start, &mut scratch));
    }
    if size == 1 {
        return Ok(mine);
    }
    let bytes: Vec<u8> = mine.iter().flat_map(|x| x.to_le_bytes()).collect();
    let counts = (0..size).map(|rank| {
        let theirs = block(candidates.total, rank, size);
        size_of::<f32>() * dim * rows.iter().filter(|row| theirs.contains(row)).count()
    });
    let mut all = Vec::new();
    context
        .comm
        .all_gather(&bytes, &counts.collect::<Vec<usize>>(), &mut all)?;
    Ok(all.as_chunks().0.iter().map(|raw| f32::from_le_bytes(*raw)).collect())
}
