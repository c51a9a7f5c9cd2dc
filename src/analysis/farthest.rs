//! A few elites that stand for all.

/// Rows of the fittest elite, and then of whichever lies farthest from all before, each axis measured by its range; of equals the first, and none twice at one
/// place. `descriptor` is `[n, k]`.
pub fn farthest(fitness: &[f64], descriptor: &[f64], range: &[f64], most: usize) -> Vec<usize> {
    let (n, k) = (fitness.len(), range.len());
    let distance = |i: usize, j: usize| -> f64 {
        (0..k)
            .map(|a| ((descriptor[i * k + a] - descriptor[j * k + a]) / range[a]).powi(2))
            .sum()
    };
    // Of equals the first.
    let highest =
        |values: &dyn Fn(usize) -> f64| (0..n).reduce(|best, i| if values(i) > values(best) { i } else { best });
    let mut chosen: Vec<usize> = highest(&|i| fitness[i]).into_iter().collect();
    let mut nearest = vec![f64::INFINITY; n];
    while chosen.len() < most.min(n) {
        let last = chosen[chosen.len() - 1];
        (0..n).for_each(|i| nearest[i] = nearest[i].min(distance(i, last)));
        match highest(&|i| nearest[i]).filter(|&i| nearest[i] > 0.0) {
            Some(next) => chosen.push(next),
            None => break,
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elites_are_the_best_and_those_farthest_apart() {
        let (fitness, places) = ([1.0, 5.0, 2.0, 3.0], [0.0, 1.0, 10.0, 6.0]);
        assert_eq!(farthest(&fitness, &places, &[10.0], 3), [1, 2, 3]);
        assert_eq!(farthest(&fitness, &places, &[10.0], 9), [1, 2, 3, 0]);
        assert_eq!(
            farthest(&[1.0, 1.0], &[3.0, 3.0], &[1.0], 2),
            [0],
            "both lie at one place"
        );
        assert!(farthest(&[], &[], &[1.0], 2).is_empty());
    }
}
