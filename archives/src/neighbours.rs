//! Novelty: the mean distance to the nearest neighbours, exact.
//!
//! Up to [`TREE_AXES`] dimensions points lie in k-d trees, and those that came since the last one was built are compared one by one; in more
//! dimensions all are, in blocks that stay in the cache. Every way of computing a squared distance fixes the order of its sums, which depends
//! on the number of axes alone, and a pair has the same distance from either side. Of equal distances it does not matter which one counts. So
//! results do not depend on the trees, on threads or on ranks.

use std::ops::Range;

use illume_numerics::simd_dispatch;
use rayon::prelude::*;

use crate::nearest::Tree;

/// Axes up to which trees pay.
pub(crate) const TREE_AXES: usize = 16;

/// Queries that a thread takes at a time.
const QUERIES: usize = 64;

/// Points that came since the tree was built: it is built anew when they are more than this and a quarter of all.
const LOOSE: usize = 256;

/// Partial sums of a distance over many axes: one vector of AVX-512.
const LANES: usize = 8;

/// Points that are compared with a query at once, which hides the latency of their sums.
const TOGETHER: usize = 4;

/// Bytes of points that are compared with a block of queries before the next ones are: they stay in the second-level cache.
const TILE_BYTES: usize = 128 << 10;

const NONE: u32 = u32::MAX;

/// The smallest of the squared distances offered to it, ascending.
#[derive(Debug, Clone)]
pub(crate) struct Smallest {
    most: usize,
    squares: Vec<f64>,
}

impl Smallest {
    fn new(most: usize) -> Smallest {
        Smallest {
            most,
            squares: Vec::with_capacity(most + 1),
        }
    }

    /// What is not below this is not taken. An infinite distance never is.
    #[inline(always)]
    pub(crate) fn limit(&self) -> f64 {
        if self.squares.len() < self.most {
            f64::INFINITY
        } else {
            self.squares[self.most - 1]
        }
    }

    #[inline(always)]
    pub(crate) fn offer(&mut self, square: f64) {
        if square < self.limit() {
            if self.squares.len() == self.most {
                self.squares.pop();
            }
            let at = self.squares.partition_point(|&s| s <= square);
            self.squares.insert(at, square);
        }
    }

    /// Mean of the distances, added from the smallest; 0 if there is none. Empties the list.
    fn mean(&mut self) -> f64 {
        let n = self.squares.len();
        let sum: f64 = self.squares.drain(..).map(f64::sqrt).sum();
        if n == 0 { 0.0 } else { sum / n as f64 }
    }
}

/// A tree over the first of a growing list of points.
#[derive(Debug, Default)]
pub(crate) struct Index {
    tree: Option<Tree>,
    /// Points in the tree.
    indexed: usize,
}

impl Index {
    /// Takes notice of points that were added to the list, `[points, axes]`.
    pub(crate) fn refresh(&mut self, points: &[f64], axes: usize) {
        let count = points.len() / axes;
        if axes <= TREE_AXES && count - self.indexed > LOOSE.max(count / 4) {
            self.tree = Some(Tree::new(points, axes));
            self.indexed = count;
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Index::default();
    }
}

/// Where neighbours are looked for, and how many.
pub(crate) struct Surroundings<'a> {
    pub axes: usize,
    pub neighbours: usize,
    /// `[members, axes]`, of which `index` knows.
    pub members: &'a [f64],
    pub index: &'a Index,
    /// `[rows, axes]`.
    pub rows: &'a [f64],
    /// Whether the other rows are neighbours too.
    pub crowd: bool,
}

impl Surroundings<'_> {
    /// Mean distance of each of the rows `mine` to its nearest neighbours; 0 where there is none.
    pub(crate) fn novelty(&self, mine: Range<usize>) -> Vec<f64> {
        let crowd =
            (self.crowd && self.axes <= TREE_AXES && !self.rows.is_empty()).then(|| Tree::new(self.rows, self.axes));
        let mut novelty = vec![0.0; mine.len()];
        novelty.par_chunks_mut(QUERIES).enumerate().for_each(|(chunk, out)| {
            let first = mine.start + chunk * QUERIES;
            if self.axes <= TREE_AXES {
                self.by_trees(crowd.as_ref(), first, out);
            } else {
                self.by_blocks(first, out);
            }
        });
        novelty
    }

    fn by_trees(&self, crowd: Option<&Tree>, first: usize, out: &mut [f64]) {
        let s = self;
        simd_dispatch!(
            fn [](s: &Surroundings<'_>, crowd: Option<&Tree>, first: usize, out: &mut [f64]) {
                match s.axes {
                    1 => s.by_trees_of::<1>(crowd, first, out),
                    2 => s.by_trees_of::<2>(crowd, first, out),
                    3 => s.by_trees_of::<3>(crowd, first, out),
                    4 => s.by_trees_of::<4>(crowd, first, out),
                    _ => s.search(crowd, first, out),
                }
            }
        )
    }

    /// [`Self::search`], compiled for a number of axes.
    #[inline(always)]
    fn by_trees_of<const K: usize>(&self, crowd: Option<&Tree>, first: usize, out: &mut [f64]) {
        let mut best = Smallest::new(self.neighbours);
        for (i, novelty) in out.iter_mut().enumerate() {
            let number = first + i;
            let point: [f64; K] = std::array::from_fn(|d| self.rows[number * K + d]);
            *novelty = self.of(&point, number, crowd, &mut best);
        }
    }

    #[inline(always)]
    fn search(&self, crowd: Option<&Tree>, first: usize, out: &mut [f64]) {
        let (k, mut best) = (self.axes, Smallest::new(self.neighbours));
        for (i, novelty) in out.iter_mut().enumerate() {
            let number = first + i;
            *novelty = self.of(&self.rows[number * k..(number + 1) * k], number, crowd, &mut best);
        }
    }

    #[inline(always)]
    fn of(&self, point: &[f64], number: usize, crowd: Option<&Tree>, best: &mut Smallest) -> f64 {
        if let Some(tree) = &self.index.tree {
            tree.nearest(point, NONE, best);
        }
        if let Some(tree) = crowd {
            tree.nearest(point, number as u32, best);
        }
        let k = point.len();
        for other in self.members[self.index.indexed * k..].chunks_exact(k) {
            best.offer(squared(other, point));
        }
        best.mean()
    }

    fn by_blocks(&self, first: usize, out: &mut [f64]) {
        let s = self;
        simd_dispatch!(fn [](s: &Surroundings<'_>, first: usize, out: &mut [f64]) { s.compare(first, out) })
    }

    /// Compares rows from `first` on with all points, tile by tile.
    #[inline(always)]
    fn compare(&self, first: usize, out: &mut [f64]) {
        let k = self.axes;
        let mut best = vec![Smallest::new(self.neighbours); out.len()];
        let tile = (TILE_BYTES / (8 * k)).max(TOGETHER) / TOGETHER * TOGETHER;
        let crowd = if self.crowd { self.rows } else { &[] };
        for (points, is_crowd) in [(self.members, false), (crowd, true)] {
            for (t, points) in points.chunks(tile * k).enumerate() {
                for (i, best) in best.iter_mut().enumerate() {
                    let number = first + i;
                    let row = &self.rows[number * k..(number + 1) * k];
                    let except = if is_crowd { number } else { usize::MAX };
                    take_tile(row, points, t * tile, except, best);
                }
            }
        }
        out.iter_mut().zip(&mut best).for_each(|(out, best)| *out = best.mean());
    }
}

/// Offers the squared distances from `row` to the points of a tile, numbered from `first`, but for number `except`.
#[inline(always)]
fn take_tile(row: &[f64], points: &[f64], first: usize, except: usize, best: &mut Smallest) {
    let k = row.len();
    for (group, points) in points.chunks(TOGETHER * k).enumerate() {
        let count = points.len() / k;
        // A group that is not full compares its first point again.
        let of = |p: usize| {
            let p = if p < count { p } else { 0 };
            &points[p * k..(p + 1) * k]
        };
        let squares = squared_lanes(row, [of(0), of(1), of(2), of(3)]);
        for (p, square) in squares.into_iter().enumerate().take(count) {
            if first + group * TOGETHER + p != except {
                best.offer(square);
            }
        }
    }
}

/// Squared distance, summed in the order of axes.
#[inline(always)]
fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + (a - b) * (a - b))
}

/// Squared distances of a point from several others, each in [`LANES`] partial sums: axis d belongs to lane d modulo their number.
#[inline(always)]
fn squared_lanes(row: &[f64], others: [&[f64]; TOGETHER]) -> [f64; TOGETHER] {
    let (row, row_rest) = row.as_chunks::<LANES>();
    let [a, b, c, d] = others.map(|other| &other.as_chunks::<LANES>().0[..row.len()]);
    // Variables, not an array: they stay in registers.
    let (mut sa, mut sb, mut sc, mut sd) = ([0.0; LANES], [0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for (i, x) in row.iter().enumerate() {
        add_squares(&mut sa, x, &a[i]);
        add_squares(&mut sb, x, &b[i]);
        add_squares(&mut sc, x, &c[i]);
        add_squares(&mut sd, x, &d[i]);
    }
    let mut sums = [sa, sb, sc, sd];
    for (other, sums) in others.iter().zip(&mut sums) {
        add_squares(sums, row_rest, other.as_chunks::<LANES>().1);
    }
    sums.map(|s| ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])))
}

/// Adds the squared differences of up to [`LANES`] coordinates, each to its lane.
#[inline(always)]
fn add_squares(sums: &mut [f64; LANES], a: &[f64], b: &[f64]) {
    for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
        let d = a - b;
        *sum = d.mul_add(d, *sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::{Purpose, Stream};

    /// The definition, in plain arithmetic.
    fn brute(members: &[f64], rows: &[f64], k: usize, neighbours: usize, crowd: bool) -> Vec<f64> {
        let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        let own = |i: usize| &rows[i * k..(i + 1) * k];
        (0..rows.len() / k)
            .map(|i| {
                let mut distances: Vec<f64> = members.chunks(k).map(|m| distance(m, own(i))).collect();
                if crowd {
                    distances.extend(
                        (0..rows.len() / k)
                            .filter(|&j| j != i)
                            .map(|j| distance(own(j), own(i))),
                    );
                }
                distances.sort_by(f64::total_cmp);
                distances.truncate(neighbours);
                distances.iter().sum::<f64>() / distances.len().max(1) as f64
            })
            .collect()
    }

    fn uniform(index: u64, n: usize) -> Vec<f64> {
        let stream = Stream::new(4, Purpose::Centroids, 2, index);
        (0..n).map(|i| stream.uniform(i as u64)).collect()
    }

    fn check(members: &[f64], rows: &[f64], axes: usize, neighbours: usize, crowd: bool) {
        let expected = brute(members, rows, axes, neighbours, crowd);
        // Built at once, never, and as the list grew.
        for steps in [1, 0, 7] {
            let mut index = Index::default();
            for step in 1..=steps {
                index.refresh(&members[..members.len() / axes * step / steps * axes], axes);
            }
            let s = Surroundings {
                axes,
                neighbours,
                members,
                index: &index,
                rows,
                crowd,
            };
            let whole = s.novelty(0..rows.len() / axes);
            for (i, (a, b)) in whole.iter().zip(&expected).enumerate() {
                assert!(
                    (a - b).abs() <= 1e-14 * b,
                    "{axes} axes, {neighbours} neighbours, crowd {crowd}, row {i}: {a}, not {b}"
                );
            }
            let part = rows.len() / axes / 3;
            assert_eq!(s.novelty(part..rows.len() / axes), whole[part..], "a share of the rows");
        }
    }

    #[test]
    fn novelty_is_the_mean_distance_that_a_plain_search_finds() {
        for axes in [1, 2, 3, 5, 16, 17, 40, 129] {
            for (members, rows) in [(0, 1), (0, 5), (3, 1), (24, 30), (700, 200), (2000, 65)] {
                let (m, r) = (
                    uniform(axes as u64, members * axes),
                    uniform(100 + axes as u64, rows * axes),
                );
                for neighbours in [1, 10, 25] {
                    check(&m, &r, axes, neighbours, false);
                    check(&m, &r, axes, neighbours, true);
                }
            }
        }
    }

    #[test]
    fn coincident_points_are_neighbours_at_distance_zero() {
        let (members, rows) = (vec![0.5; 2 * 900], vec![0.5; 2 * 90]);
        check(&members, &rows, 2, 25, true);
        let coarse = |n: usize, index| {
            uniform(index, n)
                .iter()
                .map(|x| (x * 8.0).floor())
                .collect::<Vec<f64>>()
        };
        check(&coarse(2000, 1), &coarse(200, 2), 2, 25, true);
        check(&coarse(20 * 300, 3), &coarse(20 * 100, 4), 20, 7, true);
    }

    #[test]
    fn any_number_of_threads_finds_the_same_bits() {
        for axes in [2, 30] {
            let (members, rows) = (uniform(1, 1000 * axes), uniform(2, 500 * axes));
            let mut index = Index::default();
            index.refresh(&members, axes);
            let s = Surroundings {
                axes,
                neighbours: 25,
                members: &members,
                index: &index,
                rows: &rows,
                crowd: true,
            };
            let on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| s.novelty(0..500))
            };
            assert_eq!(on(1), on(3));
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_vector_width() {
        let (rows, others) = (uniform(1, 100), uniform(2, 400));
        let of = |p: usize| &others[p * 100..(p + 1) * 100];
        let wide = |a: &[f64], b: [&[f64]; TOGETHER]| simd_dispatch!(fn [](a: &[f64], b: [&[f64]; TOGETHER]) -> [f64; TOGETHER] { squared_lanes(a, b) });
        let groups = [of(0), of(1), of(2), of(3)];
        assert_eq!(wide(&rows, groups), squared_lanes(&rows, groups));
    }
}
