//! Order by two values, both to be large, as in NSGA-II (Deb et al., 'A fast and elitist multiobjective genetic algorithm: NSGA-II', IEEE Transactions on Evolutionary
//! Computation 6(2), 2002): fronts of those that none dominates, and within a front by crowding distance. For two values a front is found by bisection.

/// Numbers of the points from first to last: by front, then by crowding distance (the lonelier first), then by number. Values are not NaN.
pub(crate) fn by_fronts(points: &[[f64; 2]]) -> Vec<usize> {
    fronts(points)
        .into_iter()
        .flat_map(|front| {
            let crowding = crowding(points, &front);
            let mut order: Vec<usize> = (0..front.len()).collect();
            order.sort_by(|&a, &b| crowding[b].total_cmp(&crowding[a]));
            order.into_iter().map(move |i| front[i])
        })
        .collect()
}

/// Whether `a` is nowhere worse than `b`, and better in one value.
fn dominates(a: [f64; 2], b: [f64; 2]) -> bool {
    a[0] >= b[0] && a[1] >= b[1] && a != b
}

/// The fronts, each in the order of numbers: a point is in the first front of which none dominates it.
fn fronts(points: &[[f64; 2]]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| {
        let ([a0, a1], [b0, b1]) = (points[a], points[b]);
        b0.total_cmp(&a0).then(b1.total_cmp(&a1)).then(a.cmp(&b))
    });
    let mut fronts: Vec<Vec<usize>> = Vec::new();
    for i in order {
        // Those before it have no lower first value, and of a front the last one has the highest second value. If it does not dominate the point, none of its
        // front does, and none of the fronts behind, of which each is dominated by one of this front.
        let last = |front: &Vec<usize>| points[front[front.len() - 1]];
        let at = fronts.partition_point(|front| dominates(last(front), points[i]));
        match fronts.get_mut(at) {
            Some(front) => front.push(i),
            None => fronts.push(vec![i]),
        }
    }
    fronts.iter_mut().for_each(|front| front.sort_unstable());
    fronts
}

/// Crowding distance of the points of a front: the sum over the values of the distance between the two next to it, in units of the front's extent; infinite at an end.
fn crowding(points: &[[f64; 2]], front: &[usize]) -> Vec<f64> {
    let mut distance = vec![0.0; front.len()];
    for value in [0, 1] {
        let of = |i: usize| points[front[i]][value];
        let mut order: Vec<usize> = (0..front.len()).collect();
        order.sort_by(|&a, &b| of(b).total_cmp(&of(a)));
        let (first, last) = (order[0], order[order.len() - 1]);
        (distance[first], distance[last]) = (f64::INFINITY, f64::INFINITY);
        let extent = of(first) - of(last);
        if extent > 0.0 {
            for next in order.windows(3) {
                distance[next[1]] += (of(next[0]) - of(next[2])) / extent;
            }
        }
    }
    distance
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::{Purpose, Stream};

    /// Novelty and local competition of fourteen candidates, and their order by pyribs (0.12.0, `_fast_non_dominated_sort` and `_crowding_distance`).
    #[test]
    fn the_order_is_that_of_pyribs() {
        let novelty = [
            0.5, 1.25, 1.25, 2.0, 0.25, 3.0, 2.5, 1.0, 1.0, 0.75, 2.0, 0.5, 1.75, 2.25,
        ];
        let competition = [9.0, 4.0, 7.0, 3.0, 9.0, 0.0, 1.0, 5.0, 5.0, 8.0, 2.0, 3.0, 0.0, 2.0];
        let points: Vec<[f64; 2]> = novelty.into_iter().zip(competition).map(|(n, c)| [n, c]).collect();
        assert_eq!(
            fronts(&points),
            [vec![0, 2, 3, 5, 6, 9, 13], vec![1, 4, 7, 8, 10], vec![11, 12]]
        );
        let expected = [
            f64::INFINITY,
            1.05555556,
            0.95555556,
            f64::INFINITY,
            0.52222222,
            0.52222222,
            0.42222222,
        ];
        let found = crowding(&points, &[0, 2, 3, 5, 6, 9, 13]);
        assert!(
            found.iter().zip(expected).all(|(a, b)| a == &b || (a - b).abs() < 1e-8),
            "{found:?}"
        );
        assert_eq!(by_fronts(&points), [0, 5, 2, 3, 6, 9, 13, 4, 10, 1, 7, 8, 11, 12]);
    }

    #[test]
    fn fronts_are_those_of_the_definition() {
        for case in 0..50 {
            let stream = Stream::new(3, Purpose::Selection, case, 0);
            // Few values, so that many are equal.
            let values = 2 + case % 9;
            let points: Vec<[f64; 2]> = (0..60)
                .map(|i| [0, 1].map(|v| stream.below(2 * i + v, values) as f64))
                .collect();
            let mut left: Vec<usize> = (0..points.len()).collect();
            for front in fronts(&points) {
                let alone = |i: &usize| !left.iter().any(|&j| dominates(points[j], points[*i]));
                let (expected, rest) = left.iter().partition::<Vec<usize>, _>(|i| alone(i));
                assert_eq!(front, expected, "case {case}");
                left = rest;
            }
            assert!(left.is_empty());
        }
    }

    #[test]
    fn equal_points_share_a_front_and_none_is_lost() {
        assert_eq!(by_fronts(&[[1.0, 1.0]; 4]), [0, 3, 1, 2]);
        assert_eq!(by_fronts(&[[1.0, 1.0]]), [0]);
        assert!(by_fronts(&[]).is_empty());
    }
}
