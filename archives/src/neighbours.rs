//! Novelty: the mean distance to the nearest neighbours, exact; and local competition: how many of them are worth less.
//!
//! Up to [`TREE_AXES`] dimensions points lie in k-d trees, and those that came since the last one was built are compared one by one; in more
//! dimensions all are, in blocks that stay in the cache. Every way of computing a squared distance fixes the order of its sums, which depends
//! on the number of axes alone, and a pair has the same distance from either side. Of equal distances it does not matter to novelty which one
//! counts; for local competition it is the lower number, members before rows. So results do not depend on the trees, on threads or on ranks.

use illume_core::Elites;
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

/// What becomes of the points that a search for the nearest ones meets.
pub(crate) trait Nearest: Clone + Send + Sync {
    /// What it makes of a row's neighbours.
    type Found: Copy + Default + Send;

    /// Whether no point at this squared distance is taken any more. An infinite distance never is.
    fn closed(&self, square: f64) -> bool;

    /// Takes a point at this squared distance if it is among the nearest: number `point` of the members, or behind them of the rows.
    fn offer(&mut self, square: f64, point: u64);

    /// What was found of row number `row`; forgets it.
    fn found(&mut self, row: usize) -> Self::Found;
}

/// The smallest of the squared distances offered to it, ascending: for novelty.
#[derive(Debug, Clone)]
struct Smallest {
    most: usize,
    squares: Vec<f64>,
}

impl Nearest for Smallest {
    type Found = f64;

    #[inline(always)]
    fn closed(&self, square: f64) -> bool {
        let limit = if self.squares.len() < self.most {
            f64::INFINITY
        } else {
            self.squares[self.most - 1]
        };
        square >= limit
    }

    #[inline(always)]
    fn offer(&mut self, square: f64, _point: u64) {
        if !self.closed(square) {
            if self.squares.len() == self.most {
                self.squares.pop();
            }
            let at = self.squares.partition_point(|&s| s <= square);
            self.squares.insert(at, square);
        }
    }

    #[inline(always)]
    fn found(&mut self, _row: usize) -> f64 {
        mean(self.squares.drain(..))
    }
}

/// The nearest points offered to it, by distance and number: for novelty and local competition.
#[derive(Debug, Clone)]
struct Rivals<'a> {
    most: usize,
    /// Squared distance and number.
    nearest: Vec<(f64, u64)>,
    /// Fitness of the members, and behind them of the rows.
    fitness: &'a [f64],
    /// How many of these are members.
    members: usize,
}

impl Nearest for Rivals<'_> {
    type Found = (f64, u32);

    #[inline(always)]
    fn closed(&self, square: f64) -> bool {
        square == f64::INFINITY || self.nearest.len() == self.most && square > self.nearest[self.most - 1].0
    }

    #[inline(always)]
    fn offer(&mut self, square: f64, point: u64) {
        if self.closed(square) {
            return;
        }
        let at = self
            .nearest
            .partition_point(|&(s, p)| s < square || s == square && p < point);
        if at < self.most {
            self.nearest.truncate(self.most - 1);
            self.nearest.insert(at, (square, point));
        }
    }

    #[inline(always)]
    fn found(&mut self, row: usize) -> (f64, u32) {
        let own = self.fitness[self.members + row];
        let worse = |&&(_, point): &&(f64, u64)| self.fitness[point as usize] < own;
        let beaten = self.nearest.iter().filter(worse).count() as u32;
        (mean(self.nearest.drain(..).map(|(square, _)| square)), beaten)
    }
}

/// Mean of the distances of these squares, added in their order; 0 if there is none.
#[inline(always)]
fn mean(squares: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = squares.len();
    let sum: f64 = squares.map(f64::sqrt).sum();
    if n == 0 { 0.0 } else { sum / n as f64 }
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
        let nearest = Smallest {
            most: self.neighbours,
            squares: Vec::with_capacity(self.neighbours + 1),
        };
        self.search(mine, &nearest)
    }

    /// The same, and how many of these neighbours have a strictly lower fitness, which is `fitness` of the members and behind them of all rows.
    pub(crate) fn novelty_and_competition(&self, mine: Range<usize>, fitness: &[f64]) -> Vec<(f64, u32)> {
        let nearest = Rivals {
            most: self.neighbours,
            nearest: Vec::with_capacity(self.neighbours + 1),
            fitness,
            members: self.count(),
        };
        self.search(mine, &nearest)
    }

    fn count(&self) -> usize {
        self.members.len() / self.axes
    }

    fn search<N: Nearest>(&self, mine: Range<usize>, nearest: &N) -> Vec<N::Found> {
        let crowd =
            (self.crowd && self.axes <= TREE_AXES && !self.rows.is_empty()).then(|| Tree::new(self.rows, self.axes));
        let mut found = vec![N::Found::default(); mine.len()];
        found.par_chunks_mut(QUERIES).enumerate().for_each(|(chunk, out)| {
            let first = mine.start + chunk * QUERIES;
            let nearest = nearest.clone();
            if self.axes <= TREE_AXES {
                self.by_trees(crowd.as_ref(), first, nearest, out);
            } else {
                self.by_blocks(first, nearest, out);
            }
        });
        found
    }

    fn by_trees<N: Nearest>(&self, crowd: Option<&Tree>, first: usize, nearest: N, out: &mut [N::Found]) {
        let s = self;
        simd_dispatch!(
            fn [N: Nearest](s: &Surroundings<'_>, crowd: Option<&Tree>, first: usize, nearest: N, out: &mut [N::Found]) {
                match s.axes {
                    1 => s.by_trees_of::<1, N>(crowd, first, nearest, out),
                    2 => s.by_trees_of::<2, N>(crowd, first, nearest, out),
                    3 => s.by_trees_of::<3, N>(crowd, first, nearest, out),
                    4 => s.by_trees_of::<4, N>(crowd, first, nearest, out),
                    _ => s.by_trees_of_any(crowd, first, nearest, out),
                }
            }
        )
    }

    /// [`Self::by_trees_of_any`], compiled for a number of axes.
    #[inline(always)]
    fn by_trees_of<const K: usize, N: Nearest>(
        &self,
        crowd: Option<&Tree>,
        first: usize,
        mut nearest: N,
        out: &mut [N::Found],
    ) {
        for (i, found) in out.iter_mut().enumerate() {
            let number = first + i;
            let point: [f64; K] = std::array::from_fn(|d| self.rows[number * K + d]);
            *found = self.of(&point, number, crowd, &mut nearest);
        }
    }

    #[inline(always)]
    fn by_trees_of_any<N: Nearest>(&self, crowd: Option<&Tree>, first: usize, mut nearest: N, out: &mut [N::Found]) {
        let k = self.axes;
        for (i, found) in out.iter_mut().enumerate() {
            let number = first + i;
            *found = self.of(&self.rows[number * k..(number + 1) * k], number, crowd, &mut nearest);
        }
    }

    #[inline(always)]
    fn of<N: Nearest>(&self, point: &[f64], number: usize, crowd: Option<&Tree>, nearest: &mut N) -> N::Found {
        if let Some(tree) = &self.index.tree {
            tree.nearest(point, NONE, 0, nearest);
        }
        if let Some(tree) = crowd {
            tree.nearest(point, number as u32, self.count() as u64, nearest);
        }
        let k = point.len();
        let loose = self.members[self.index.indexed * k..].chunks_exact(k);
        for (other, number) in loose.zip(self.index.indexed as u64..) {
            nearest.offer(squared(other, point), number);
        }
        nearest.found(number)
    }

    fn by_blocks<N: Nearest>(&self, first: usize, nearest: N, out: &mut [N::Found]) {
        let s = self;
        simd_dispatch!(
            fn [N: Nearest](s: &Surroundings<'_>, first: usize, nearest: N, out: &mut [N::Found]) {
                s.compare(first, nearest, out)
            }
        )
    }

    /// Compares rows from `first` on with all points, tile by tile.
    #[inline(always)]
    fn compare<N: Nearest>(&self, first: usize, nearest: N, out: &mut [N::Found]) {
        let k = self.axes;
        let mut nearest = vec![nearest; out.len()];
        let tile = (TILE_BYTES / (8 * k)).max(TOGETHER) / TOGETHER * TOGETHER;
        let crowd = if self.crowd { self.rows } else { &[] };
        for (points, before) in [(self.members, 0), (crowd, self.count())] {
            for (t, points) in points.chunks(tile * k).enumerate() {
                for (i, nearest) in nearest.iter_mut().enumerate() {
                    let number = first + i;
                    let row = &self.rows[number * k..(number + 1) * k];
                    // A row is no neighbour of its own; numbers of members are below those of rows.
                    take_tile(row, points, before + t * tile, self.count() + number, nearest);
                }
            }
        }
        let numbers = first..;
        for ((out, nearest), number) in out.iter_mut().zip(&mut nearest).zip(numbers) {
            *out = nearest.found(number);
        }
    }
}

/// Offers the squared distances from `row` to the points of a tile, numbered from `first`, but for number `except`.
#[inline(always)]
fn take_tile(row: &[f64], points: &[f64], first: usize, except: usize, nearest: &mut impl Nearest) {
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
            let number = first + group * TOGETHER + p;
            if number != except {
                nearest.offer(square, number as u64);
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

/// Mean distance of descriptors (`[rows, k]`) to their nearest elites; without descriptors that of the elites themselves, in the order of `filled`, each to the nearest others.
pub(crate) fn among_elites(elites: &Elites, descriptors: Option<&[f64]>, neighbours: usize) -> Vec<f64> {
    let all = elites.descriptor();
    let k = all.len() / elites.fitness().len().max(1);
    let cells = elites.filled.iter().map(|&cell| cell as usize);
    let elites: Vec<f64> = cells.flat_map(|cell| &all[cell * k..(cell + 1) * k]).copied().collect();
    let mut index = Index::default();
    let (members, rows): (&[f64], &[f64]) = match descriptors {
        Some(rows) => {
            index.refresh(&elites, k);
            (&elites, rows)
        }
        None => (&[], &elites),
    };
    let surroundings = Surroundings {
        axes: k,
        neighbours,
        members,
        index: &index,
        rows,
        crowd: descriptors.is_none(),
    };
    surroundings.novelty(0..rows.len() / k.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::{Purpose, Stream};

    /// The definition, in plain arithmetic: novelty, and the number of neighbours that are worth less.
    fn brute(
        members: &[f64],
        rows: &[f64],
        k: usize,
        neighbours: usize,
        crowd: bool,
        fitness: &[f64],
    ) -> Vec<(f64, u32)> {
        let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let (own, before) = (|i: usize| &rows[i * k..(i + 1) * k], members.len() / k);
        (0..rows.len() / k)
            .map(|i| {
                let members = members.chunks(k).map(|m| square(m, own(i))).zip(0..);
                let others = (0..rows.len() / k).filter(|&j| crowd && j != i);
                let others = others.map(|j| (square(own(j), own(i)), before + j));
                let mut found: Vec<(f64, usize)> = members.chain(others).collect();
                found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                found.truncate(neighbours);
                let beaten = found.iter().filter(|(_, j)| fitness[*j] < fitness[before + i]).count();
                let sum: f64 = found.iter().map(|(square, _)| square.sqrt()).sum();
                (sum / found.len().max(1) as f64, beaten as u32)
            })
            .collect()
    }

    fn uniform(index: u64, n: usize) -> Vec<f64> {
        let stream = Stream::new(4, Purpose::Centroids, 2, index);
        (0..n).map(|i| stream.uniform(i as u64)).collect()
    }

    fn check(members: &[f64], rows: &[f64], axes: usize, neighbours: usize, crowd: bool) {
        // Few values, so that some are equal.
        let fitness: Vec<f64> = uniform(9, (members.len() + rows.len()) / axes)
            .iter()
            .map(|x| (x * 20.0).floor())
            .collect();
        let expected = brute(members, rows, axes, neighbours, crowd, &fitness);
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
            let both = s.novelty_and_competition(0..rows.len() / axes, &fitness);
            for (i, (a, b)) in whole.iter().zip(&expected).enumerate() {
                let what = format!("{axes} axes, {neighbours} neighbours, crowd {crowd}, row {i}");
                assert!((a - b.0).abs() <= 1e-14 * b.0, "{what}: {a}, not {}", b.0);
                assert_eq!(both[i], (*a, b.1), "{what}: the same novelty, and competition");
            }
            let share = rows.len() / axes / 3..rows.len() / axes;
            assert_eq!(s.novelty(share.clone()), whole[share.clone()], "a share of the rows");
            assert_eq!(s.novelty_and_competition(share.clone(), &fitness), both[share]);
        }
    }

    #[test]
    fn novelty_and_competition_are_what_a_plain_search_finds() {
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
