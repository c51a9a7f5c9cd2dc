//! Members of low rank on the processor: the normal numbers of the pairs whose queries run, side by side in a pool.

use std::ops::Range;

use illume_core::{LowRank, MatrixPlace, Perturbation};
use illume_numerics::transformer::ops::dot;
use illume_numerics::transformer::{Extra, Matrix};
use rayon::prelude::*;

use super::adapters::GROUPS;

/// The slot of a pair that is not in the pool.
const NONE: u32 = u32::MAX;

/// The members of a population that run.
pub(crate) struct Members<'a> {
    around: &'a Perturbation,
    shape: &'a LowRank,
    /// `sigma / sqrt(rank)`.
    scale: f32,
    /// `[slots, numbers of a pair]`; as many slots as pairs ever ran at once.
    pool: Vec<f32>,
    /// The pair of each slot, and the slot of each pair.
    pairs: Vec<u32>,
    slots: Vec<u32>,
}

impl<'a> Members<'a> {
    pub fn new(around: &'a Perturbation, shape: &'a LowRank) -> Members<'a> {
        Members {
            around,
            shape,
            scale: around.sigma * shape.scaling(),
            pool: vec![0.0; shape.numbers()],
            pairs: vec![NONE],
            slots: vec![NONE; around.members.div_ceil(2)],
        }
    }

    fn pair(&self, member: u32) -> Option<usize> {
        ((member as usize) < self.around.members).then_some(member as usize / 2)
    }

    /// Makes the numbers of those pairs that these members want and that are not there; others may go.
    pub fn keep(&mut self, members: impl Iterator<Item = u32>) {
        let mut wanted: Vec<usize> = members.filter_map(|m| self.pair(m)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let missing: Vec<usize> = wanted.iter().copied().filter(|p| self.slots[*p] == NONE).collect();
        let kept = |pair: u32| pair != NONE && wanted.binary_search(&(pair as usize)).is_ok();
        let free: Vec<usize> = (0..self.pairs.len()).filter(|slot| !kept(self.pairs[*slot])).collect();
        let fresh = self.pairs.len()..self.pairs.len() + missing.len().saturating_sub(free.len());
        self.pairs.resize(fresh.end, NONE);
        for (slot, pair) in free.into_iter().chain(fresh).zip(&missing) {
            if self.pairs[slot] != NONE {
                self.slots[self.pairs[slot] as usize] = NONE;
            }
            self.pairs[slot] = *pair as u32;
            self.slots[*pair] = slot as u32;
        }
        let numbers = self.shape.numbers();
        self.pool.resize(self.pairs.len() * numbers, 0.0);
        let (around, pairs) = (self.around, &self.pairs);
        let slots = self.pool.par_chunks_exact_mut(numbers).zip(pairs);
        slots
            .filter(|(_, pair)| **pair != NONE && missing.binary_search(&(**pair as usize)).is_ok())
            .for_each(|(out, pair)| around.stream(*pair as usize).normals(0, out));
    }

    /// Where in the pool the numbers of each row's member begin.
    pub fn starts(&self, members: &[u32], out: &mut Vec<usize>) {
        let slot = |member: &u32| self.pair(*member).map_or(0, |pair| self.slots[pair] as usize);
        out.clear();
        out.extend(members.iter().map(|m| slot(m) * self.shape.numbers()));
    }

    /// By what a member's products are multiplied: 0 where it is the model as it is.
    fn scale(&self, member: u32) -> f32 {
        match (self.pair(member), member.is_multiple_of(2)) {
            (None, _) => 0.0,
            (_, true) => self.scale,
            (_, false) => -self.scale,
        }
    }

    /// Numbers of a row between B and A, at most.
    pub fn width(&self) -> usize {
        self.shape.rank() * GROUPS.map(<[_]>::len).into_iter().max().unwrap_or(0)
    }

    /// The maps of one group of one layer.
    pub fn maps(&self, layer: usize, group: usize) -> &[MatrixPlace] {
        let at = |group: usize| -> usize { GROUPS[..group].iter().map(|g| g.len()).sum() };
        let first = layer * at(GROUPS.len());
        &self.shape.matrices()[first + at(group)..first + at(group + 1)]
    }

    /// `x B`, scaled, of rows through the maps.
    ///
    /// # Safety
    /// No other task touches these rows of `x` and `z` in the meantime.
    pub unsafe fn down(&self, maps: &[MatrixPlace], rows: Range<usize>, x: Matrix, z: Matrix, members: &[u32]) {
        let mut starts = Vec::new();
        self.starts(&members[rows.clone()], &mut starts);
        for (row, start) in rows.zip(starts) {
            let scale = self.scale(members[row]);
            // SAFETY: the caller's promise.
            let (x, z) = unsafe { (x.row(row), z.row(row)) };
            for (map, z) in maps.iter().zip(z.chunks_exact_mut(self.shape.rank())) {
                let b = self.pool[start + map.b..].chunks_exact(map.columns);
                z.iter_mut()
                    .zip(b)
                    .for_each(|(z, b)| *z = scale * dot(b, &x[..map.columns]));
            }
        }
    }

    /// What `z A'` adds to each map.
    pub fn extras<'b>(&'b self, maps: &[MatrixPlace], z: &'b [f32], ld: usize, starts: &'b [usize]) -> Vec<Extra<'b>> {
        let rank = self.shape.rank();
        let extra = |(i, map): (usize, &MatrixPlace)| Extra::Pooled {
            z: &z[(i * rank).min(z.len())..],
            ld,
            pool: &self.pool,
            starts,
            first: map.a,
            rank,
            outputs: map.rows,
        };
        maps.iter().enumerate().map(extra).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn pairs_come_and_go_and_every_member_that_runs_finds_its_own_numbers() {
        let shape = Arc::new(LowRank::new(2, &[[3, 4], [5, 2]]));
        let around = Perturbation {
            center: Arc::default(),
            sigma: 0.5,
            seed: 3,
            generation: 7,
            first: 0,
            rows: 0,
            members: 14,
            bounds: None,
            low_rank: Some(shape.clone()),
        };
        let mut members = Members::new(&around, &shape);
        let mut starts = Vec::new();
        for running in [
            vec![0, 1, 2, 14],
            vec![2, 3, 4, 5],
            vec![4],
            vec![13, 12, 0, 5, 8],
            vec![14],
        ] {
            members.keep(running.iter().copied());
            members.starts(&running, &mut starts);
            for (member, start) in running.iter().zip(&starts).filter(|(m, _)| **m < 14) {
                let mut want = vec![0.0; shape.numbers()];
                around.stream(*member as usize / 2).normals(0, &mut want);
                assert_eq!(
                    members.pool[*start..start + want.len()],
                    want,
                    "member {member} of {running:?}"
                );
            }
        }
        assert_eq!(members.pairs.len(), 4, "as many as ran at once");
        let half = 0.5 / 2.0f32.sqrt();
        assert_eq!([4, 5, 14].map(|m| members.scale(m)), [half, -half, 0.0]);
    }
}
