//! A few elites that stand for all.

/// Rows of the fittest elite, and then of whichever lies farthest from all before, each axis measured by its range; of equals the first, and none twice at one
/// place. Each costs a look at all `n`, when it is asked for. `descriptor` is `[n, k]`.
pub fn farthest(fitness: &[f64], descriptor: &[f64], range: &[f64]) -> impl Iterator<Item = usize> {
    let (n, k) = (fitness.len(), range.len());
    let distance = move |i: usize, j: usize| -> f64 {
        (0..k)
            .map(|a| ((descriptor[i * k + a] - descriptor[j * k + a]) / range[a]).powi(2))
            .sum()
    };
    // Of equals the first.
    let highest = move |values: &[f64]| (0..n).reduce(|best, i| if values[i] > values[best] { i } else { best });
    let mut nearest = vec![f64::INFINITY; n];
    std::iter::successors(highest(fitness), move |&last| {
        (0..n).for_each(|i| nearest[i] = nearest[i].min(distance(i, last)));
        highest(&nearest).filter(|&i| nearest[i] > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elites_are_the_best_and_those_farthest_apart() {
        let (fitness, places) = ([1.0, 5.0, 2.0, 3.0], [0.0, 1.0, 10.0, 6.0]);
        let of = |fitness: &[f64], places: &[f64], range: f64, most: usize| -> Vec<usize> {
            farthest(fitness, places, &[range]).take(most).collect()
        };
        assert_eq!(of(&fitness, &places, 10.0, 3), [1, 2, 3]);
        assert_eq!(of(&fitness, &places, 10.0, 9), [1, 2, 3, 0]);
        assert_eq!(of(&[1.0, 1.0], &[3.0, 3.0], 1.0, 2), [0], "both lie at one place");
        assert!(of(&[], &[], 1.0, 2).is_empty());
    }
}
