//! Fronts of several objectives: who dominates whom, how crowded a front is, and what it is worth.
//!
//! Every objective is to be as large as possible; whoever minimizes one negates it. `-0` equals `0`. A point with a NaN is worth nothing: it is behind all others, and no indicator sees it.

mod crowding;
mod distances;
mod hypervolume;
mod preferences;
mod sort;

pub use crowding::{by_fronts, crowding, thin, thin_in_order};
pub use distances::{
    additive_epsilon, generational_distance, generational_distance_plus, inverted_generational_distance,
    inverted_generational_distance_plus, multiplicative_epsilon,
};
pub use hypervolume::{contributions, hypervolume};
pub use preferences::{directions, directions_count, expected_utility, sparsity};
pub use sort::{Equal, covered, covered_in_order, non_dominated, ordered, sort};

/// Points of several objectives, `[points, objectives]`.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    values: &'a [f64],
    dim: usize,
}

impl<'a> Points<'a> {
    /// Points of `dim` objectives, one behind the other.
    ///
    /// # Panics
    /// No objective, or a point that is cut short.
    pub fn new(values: &'a [f64], dim: usize) -> Points<'a> {
        assert!(
            dim > 0 && values.len().is_multiple_of(dim),
            "{} values are no points of {dim} objectives",
            values.len()
        );
        Points { values, dim }
    }

    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All values, `[points, objectives]`.
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// Number of objectives.
    pub fn dim(&self) -> usize {
        self.dim
    }

    #[inline]
    pub fn point(&self, i: usize) -> &'a [f64] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [f64]> {
        self.values.chunks_exact(self.dim)
    }

    /// The best value of each objective; infinite without points.
    pub fn ideal(&self) -> Vec<f64> {
        self.over(f64::NEG_INFINITY, f64::max)
    }

    /// The worst value of each objective: of a front, its nadir. Infinite without points.
    pub fn nadir(&self) -> Vec<f64> {
        self.over(f64::INFINITY, f64::min)
    }

    fn over(&self, first: f64, of: fn(f64, f64) -> f64) -> Vec<f64> {
        let mut found = vec![first; self.dim];
        for point in self.iter() {
            found.iter_mut().zip(point).for_each(|(a, b)| *a = of(*a, *b));
        }
        found
    }

    /// The values of these points.
    pub fn of(&self, numbers: &[usize]) -> Vec<f64> {
        let mut values = Vec::with_capacity(numbers.len() * self.dim);
        numbers.iter().for_each(|&i| values.extend_from_slice(self.point(i)));
        values
    }
}

/// Whether `a` is nowhere worse than `b`, and better in one objective.
#[inline]
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut better = false;
    // A NaN is no better than anything.
    let nowhere_worse = a.iter().zip(b).all(|(a, b)| {
        better |= a > b;
        a >= b
    });
    nowhere_worse && better
}

/// Whether `a` is nowhere worse than `b`.
#[inline]
pub fn covers(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a >= b)
}

/// Those with no NaN first, and by their first objective that differs, the best first; `-0` equals `0`.
fn best_first(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    let pairs = a.iter().zip(b);
    pairs
        .map(|(a, b)| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal))
        .find(|order| order.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

/// Places of values, the largest first, of equal ones in the order in which they come; `-0` equals `0`.
fn falling(values: impl Iterator<Item = f64>) -> Vec<usize> {
    // Whole numbers in the order of the values, the largest first, and the place behind: two of them are compared by two instructions.
    let key = |x: f64| {
        let bits = (x + 0.0).to_bits();
        let flipped = (bits.cast_signed() >> 63).cast_unsigned() | 1 << 63;
        !(bits ^ flipped)
    };
    let keyed = (0u64..).zip(values);
    let mut order: Vec<u128> = keyed
        .map(|(place, x)| u128::from(key(x)) << 64 | u128::from(place))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|key| key as u64 as usize).collect()
}

#[cfg(test)]
mod tests;
