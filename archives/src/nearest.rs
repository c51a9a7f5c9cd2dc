//! Exact look-up of the nearest centroid. Ties go to the lowest number.
//!
//! In up to three dimensions a table of small boxes lists the few centroids that can be nearest to any point of each box; elsewhere,
//! and for points outside the bounds, a k-d tree of eight-point leaves is searched. Every path computes a squared distance as the
//! sum of squares in axis order, without fused operations, so that all agree with a plain search to the last bit.

mod table;
mod tree;

use table::Table;
pub(crate) use tree::Tree;

/// Boxes of the table for each centroid: more boxes have fewer candidates each but take longer to build.
const BOXES_PER_CENTROID: usize = 4;

/// The nearest of a set of centroids, `[cells, k]`.
#[derive(Debug, Clone)]
pub(crate) struct Nearest {
    k: usize,
    tree: Tree,
    table: Option<AnyTable>,
}

#[derive(Debug, Clone)]
enum AnyTable {
    One(Table<1>),
    Two(Table<2>),
    Three(Table<3>),
}

impl Nearest {
    /// Prepares look-ups among `centroids` (`[cells, k]`, finite, k at least 1) of points that lie mostly in the box `lower..upper`.
    pub(crate) fn new(centroids: &[f64], lower: &[f64], upper: &[f64]) -> Nearest {
        let k = lower.len();
        let boxes = centroids.len() / k * BOXES_PER_CENTROID;
        let table = match k {
            1 => Table::new(centroids, lower, upper, boxes).map(AnyTable::One),
            2 => Table::new(centroids, lower, upper, boxes).map(AnyTable::Two),
            3 => Table::new(centroids, lower, upper, boxes).map(AnyTable::Three),
            _ => None,
        };
        Nearest {
            k,
            tree: Tree::new(centroids, k),
            table,
        }
    }

    /// Number of the centroid nearest to each of `points`, `[rows, k]`. Points must be finite. `found` brings a guess for each
    /// point (any centroid's number), which speeds up the search and does not change its result.
    pub(crate) fn find(&self, points: &[f64], found: &mut [u32]) {
        match &self.table {
            Some(AnyTable::One(table)) => self.through(table, points, found),
            Some(AnyTable::Two(table)) => self.through(table, points, found),
            Some(AnyTable::Three(table)) => self.through(table, points, found),
            None => self.tree.find(points, found),
        }
    }

    fn through<const K: usize>(&self, table: &Table<K>, points: &[f64], found: &mut [u32]) {
        table.find(points, found);
        for (point, found) in points.chunks_exact(K).zip(found) {
            if *found == table::OUTSIDE {
                *found = 0;
                self.tree.find(point, std::slice::from_mut(found));
            }
        }
    }

    pub(crate) fn dims(&self) -> usize {
        self.k
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::{Purpose, Stream};
    use proptest::prelude::*;

    /// The definition: the lowest number among the smallest distances.
    fn brute(centroids: &[f64], point: &[f64]) -> u32 {
        let mut best = (f64::INFINITY, 0);
        for (i, c) in centroids.chunks_exact(point.len()).enumerate() {
            let d: f64 = c.iter().zip(point).fold(0.0, |sum, (c, x)| sum + (c - x) * (c - x));
            if d < best.0 {
                best = (d, i as u32);
            }
        }
        best.1
    }

    fn check(centroids: &[f64], points: &[f64], lower: &[f64], upper: &[f64]) {
        let k = lower.len();
        let nearest = Nearest::new(centroids, lower, upper);
        let mut found = vec![0; points.len() / k];
        nearest.find(points, &mut found);
        for (point, found) in points.chunks_exact(k).zip(&found) {
            assert_eq!(*found, brute(centroids, point), "{point:?}");
        }
        let mut by_tree = vec![(centroids.len() / k - 1) as u32; found.len()];
        nearest.tree.find(points, &mut by_tree);
        assert_eq!(by_tree, found);
    }

    fn uniform(index: u64, n: usize, lower: f64, upper: f64) -> Vec<f64> {
        let stream = Stream::new(9, Purpose::Centroids, 1, index);
        (0..n)
            .map(|i| lower + (upper - lower) * stream.uniform(i as u64))
            .collect()
    }

    #[test]
    fn random_points_find_the_same_centroid_as_a_plain_search() {
        for k in 1..=8 {
            for cells in [1, 2, 9, 100, 2000] {
                let centroids = uniform(k as u64, cells * k, -1.0, 3.0);
                check(
                    &centroids,
                    &uniform(100 + k as u64, 2000 * k, -1.0, 3.0),
                    &vec![-1.0; k],
                    &vec![3.0; k],
                );
                check(
                    &centroids,
                    &uniform(200 + k as u64, 200 * k, -9.0, 9.0),
                    &vec![-1.0; k],
                    &vec![3.0; k],
                );
            }
        }
    }

    #[test]
    fn points_at_equal_distance_go_to_the_lowest_number() {
        for k in 1..=4usize {
            let side = 5usize;
            let cells = side.pow(k as u32);
            let coordinate = |i: usize, d: usize| (i / side.pow(d as u32) % side) as f64;
            let centroids: Vec<f64> = (0..cells)
                .rev()
                .flat_map(|i| (0..k).map(move |d| coordinate(i, d)))
                .collect();
            // Corners, edges and faces of the lattice's cells: up to 2^k centroids are equally near.
            let fine = 2 * side + 1;
            let points: Vec<f64> = (0..fine.pow(k as u32))
                .flat_map(|i| (0..k).map(move |d| (i / fine.pow(d as u32) % fine) as f64 / 2.0 - 0.5))
                .collect();
            check(&centroids, &points, &vec![-0.5; k], &vec![4.5; k]);
        }
    }

    #[test]
    fn coincident_and_lopsided_centroids_are_found_too() {
        check(&[0.25; 2000], &uniform(1, 1000, 0.0, 1.0), &[0.0; 2], &[1.0; 2]);
        let mut clustered = uniform(2, 4000, 0.4, 0.4001);
        clustered.extend(uniform(3, 20, 0.0, 1.0));
        check(&clustered, &uniform(4, 2000, 0.0, 1.0), &[0.0; 2], &[1.0; 2]);
        let flat: Vec<f64> = uniform(5, 1000, 0.0, 1.0)
            .chunks(2)
            .flat_map(|p| [p[0] * 1e-6, p[1] * 1e6])
            .collect();
        let points: Vec<f64> = uniform(6, 1000, 0.0, 1.0)
            .chunks(2)
            .flat_map(|p| [p[0] * 1e-6, p[1] * 1e6])
            .collect();
        check(&flat, &points, &[0.0; 2], &[1e-6, 1e6]);
        let far: Vec<f64> = uniform(7, 1000, 1e9, 1e9 + 1e-3);
        check(&far, &uniform(8, 1000, 1e9, 1e9 + 1e-3), &[1e9; 2], &[1e9 + 1e-3; 2]);
        check(&[0.0, 1.0], &[1e300, -1e300], &[0.0], &[1.0]);
    }

    proptest! {
        #[test]
        fn any_set_agrees_with_a_plain_search(
            k in 1usize..6,
            raw in prop::collection::vec(0u8..16, 6..300),
            asked in prop::collection::vec(0u8..32, 6..120),
        ) {
            // Coarse coordinates make ties and coincident centroids common.
            let centroids: Vec<f64> = raw[..raw.len() / k * k].iter().map(|&x| f64::from(x) / 15.0).collect();
            let points: Vec<f64> = asked[..asked.len() / k * k].iter().map(|&x| f64::from(x) / 30.0).collect();
            check(&centroids, &points, &vec![0.0; k], &vec![1.0; k]);
        }
    }
}
