//! Against the values that authors and other packages publish, inclusion and exclusion, and what moocore and pymoo make of drawn sets (`tools/check_moocore.py`).

use super::*;
use crate::noise::{Purpose, Stream};

/// Points to be minimized, as the literature has them.
fn minimized<const M: usize>(points: &[[f64; M]]) -> Vec<f64> {
    points.iter().flatten().map(|x| -x).collect()
}

fn volume<const M: usize>(points: &[[f64; M]], reference: [f64; M]) -> f64 {
    hypervolume(&Points::new(&minimized(points), M), &reference.map(|x| -x))
}

fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} instead of {b}");
}

/// The union of boxes by inclusion and exclusion of all their intersections.
fn by_inclusion_and_exclusion(points: &Points<'_>, reference: &[f64]) -> f64 {
    let mut sum = 0.0;
    for subset in 1u32..1 << points.len() {
        let chosen = |i: &usize| subset >> i & 1 == 1;
        let side = |objective: usize| {
            let chosen = (0..points.len()).filter(chosen);
            let least = chosen.map(|i| points.point(i)[objective]).fold(f64::INFINITY, f64::min);
            (least - reference[objective]).max(0.0)
        };
        let sign = if subset.count_ones() % 2 == 1 { 1.0 } else { -1.0 };
        sum += sign * (0..points.dim()).map(side).product::<f64>();
    }
    sum
}

/// Drawn points; with few `values` many are equal in an objective, or altogether.
fn drawn(case: u64, n: usize, m: usize, values: Option<u64>) -> Vec<f64> {
    let stream = Stream::new(5, Purpose::Selection, case, 0);
    let draw = |i: u64| match values {
        Some(values) => stream.below(i, values) as f64,
        None => stream.uniform(i),
    };
    (0..(n * m) as u64).map(draw).collect()
}

/// The table of jMetal's and moocore's tests, and values by hand.
#[test]
fn hypervolumes_are_those_that_others_publish() {
    close(volume(&[[0.5, 0.5]], [1.0, 1.0]), 0.25, 0.0);
    close(volume(&[[1.0, 2.0, 3.0]], [6.0; 3]), 60.0, 0.0);
    assert_eq!(volume(&[[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0]), 0.0);
    close(volume(&[[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], [1.0, 1.0]), 0.25, 0.0);
    let zdt1 = [
        [0.0, 1.0],
        [0.1, 0.683772],
        [0.2, 0.552786],
        [0.3, 0.452277],
        [0.4, 0.367544],
        [0.5, 0.292893],
        [0.6, 0.225403],
        [0.7, 0.16334],
        [0.8, 0.105573],
        [0.9, 0.0513167],
        [1.0, 0.0],
    ];
    close(volume(&zdt1, [1.0, 1.0]), 0.61050953, 1e-8);
    let front: Vec<[f64; 2]> = (0..=1000)
        .map(|i| f64::from(i) / 1000.0)
        .map(|x| [x, 1.0 - x.sqrt()])
        .collect();
    close(volume(&front, [1.0, 1.0]), 0.666160, 1e-6);
    close(volume(&[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], [2.0; 3]), 5.0, 0.0);
    close(volume(&[[0.25, 0.75], [0.75, 0.25]], [1.0, 1.0]), 0.3125, 0.0);
    close(volume(&[[0.2, 0.8], [0.5, 0.5], [0.8, 0.2]], [1.0, 1.0]), 0.37, 1e-15);
    close(volume(&[[1.0, 5.0, 3.0], [4.0, 2.0, 2.0]], [6.0; 3]), 41.0, 0.0);
    let four = [[1.0, 4.0, 5.0], [2.0, 3.0, 4.0], [3.0, 2.0, 3.0], [4.0, 1.0, 2.0]];
    close(volume(&four, [6.0; 3]), 60.0, 0.0);
    let three = [[1.0, 4.0, 3.0, 5.0], [2.0, 3.0, 4.0, 2.0], [3.0, 2.0, 2.0, 3.0]];
    close(volume(&three, [6.0; 4]), 194.0, 0.0);
}

#[test]
fn hypervolumes_of_drawn_sets_are_those_by_inclusion_and_exclusion() {
    for case in 0..60 {
        for m in 1..=6 {
            let values = [None, Some(3), Some(6)][case as usize % 3];
            let points = drawn(case, 1 + case as usize % 11, m, values);
            let points = Points::new(&points, m);
            // Some points lie below the reference, or on it.
            let reference = vec![if values.is_some() { 1.0 } else { 0.15 }; m];
            let expected = by_inclusion_and_exclusion(&points, &reference);
            let found = hypervolume(&points, &reference);
            close(found, expected, 1e-12 * expected.max(1.0));
            let without = |i: usize| {
                let others: Vec<usize> = (0..points.len()).filter(|j| *j != i).collect();
                hypervolume(&Points::new(&points.of(&others), m), &reference)
            };
            let parts = contributions(&points, &reference);
            for (i, part) in parts.into_iter().enumerate() {
                close(part, found - without(i), 1e-11 * expected.max(1.0));
            }
        }
    }
}

#[test]
fn hypervolumes_do_not_depend_on_the_order_of_points_nor_on_threads() {
    for m in 2..=6 {
        let points = drawn(m as u64, 60, m, None);
        let reversed: Vec<f64> = points.chunks_exact(m).rev().flatten().copied().collect();
        let of = |points: &[f64]| hypervolume(&Points::new(points, m), &vec![0.0; m]);
        close(of(&points), of(&reversed), 1e-12);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(of(&points), pool.install(|| of(&points)));
    }
}

#[test]
fn what_is_no_number_is_worth_nothing_and_zeros_are_equal() {
    for m in 2..=5 {
        let mut values = vec![0.5; m];
        values.extend(vec![f64::NAN; m]);
        values.extend(vec![0.9; m]);
        *values.last_mut().unwrap() = f64::NAN;
        let points = Points::new(&values, m);
        close(hypervolume(&points, &vec![0.0; m]), 0.5f64.powi(m as i32), 1e-15);
        close(contributions(&points, &vec![0.0; m])[0], 0.5f64.powi(m as i32), 1e-15);
        assert_eq!(sort(&points), [vec![0], vec![1, 2]]);
        assert_eq!(non_dominated(&points, Equal::All), [0]);
        assert_eq!(hypervolume(&Points::new(&[], m), &vec![0.0; m]), 0.0);
    }
    let zeros = [0.0, 1.0, -0.0, 2.0, 0.0, 2.0];
    let points = Points::new(&zeros, 2);
    assert_eq!(sort(&points), [vec![1, 2], vec![0]]);
    assert_eq!(non_dominated(&points, Equal::First), [1]);
    assert_eq!(hypervolume(&points, &[-1.0, 0.0]), 2.0);
}

/// IGD and IGD+ of moocore's tests, GD and GD+ of pymoo's, epsilon of moocore's.
#[test]
fn distances_are_those_that_others_publish() {
    let a = minimized(&[[2.0, 4.0], [3.0, 3.0], [4.0, 2.0]]);
    let b = minimized(&[[2.0, 8.0], [4.0, 4.0], [8.0, 2.0]]);
    let p = minimized(&[[0.0, 10.0], [1.0, 6.0], [2.0, 2.0], [6.0, 1.0], [10.0, 0.0]]);
    let (a, b, p) = (Points::new(&a, 2), Points::new(&b, 2), Points::new(&p, 2));
    close(inverted_generational_distance(&a, &p), 3.707092031609239, 1e-14);
    close(inverted_generational_distance(&b, &p), 2.59148346584763, 1e-14);
    close(inverted_generational_distance_plus(&a, &p), 1.482842712474619, 1e-14);
    close(inverted_generational_distance_plus(&b, &p), 2.260112615949154, 1e-14);
    close(generational_distance(&a, &p), 1.805, 5e-4);
    close(generational_distance(&b, &p), 2.434, 5e-4);
    close(generational_distance_plus(&a, &p), 1.138, 5e-4);
    close(generational_distance_plus(&b, &p), 2.276, 5e-4);
    let reference = [[1.0, 10.0], [1.0, 6.0], [2.0, 2.0], [6.0, 1.0], [10.0, 1.0]];
    let negated = minimized(&reference);
    close(additive_epsilon(&a, &Points::new(&negated, 2)), 1.0, 0.0);
    // What is minimized as a factor is maximized as its inverse.
    let inverse = |points: &[[f64; 2]]| points.iter().flatten().map(|x| 1.0 / x).collect::<Vec<f64>>();
    let (a, reference) = (inverse(&[[2.0, 4.0], [3.0, 3.0], [4.0, 2.0]]), inverse(&reference));
    close(
        multiplicative_epsilon(&Points::new(&a, 2), &Points::new(&reference, 2)),
        2.0,
        1e-15,
    );
    assert!(generational_distance(&p, &Points::new(&[], 2)).is_nan());
    assert!(additive_epsilon(&Points::new(&[], 2), &p).is_nan());
}

/// moocore's `is_nondominated`, without and with `keep_weakly`.
#[test]
fn of_equal_points_the_first_stays_or_all() {
    let points = minimized(&[
        [2.0, 0.0],
        [1.0, 1.0],
        [3.0, 0.0],
        [2.0, 0.0],
        [1.0, 2.0],
        [3.0, 0.0],
        [0.0, 2.0],
        [1.0, 1.0],
        [1.0, 1.0],
    ]);
    let points = Points::new(&points, 2);
    assert_eq!(non_dominated(&points, Equal::First), [0, 1, 6]);
    assert_eq!(non_dominated(&points, Equal::All), [0, 1, 3, 6, 7, 8]);
}

#[test]
fn fronts_are_those_of_the_definition() {
    for case in 0..80 {
        let m = 1 + case as usize % 5;
        // Few values, so that many are equal.
        let points = drawn(case, 70, m, Some(2 + case % 9));
        let points = Points::new(&points, m);
        let mut left: Vec<usize> = (0..points.len()).collect();
        for (rank, front) in sort(&points).into_iter().enumerate() {
            let alone = |i: &usize| !left.iter().any(|&j| dominates(points.point(j), points.point(*i)));
            let (expected, rest) = left.iter().partition::<Vec<usize>, _>(|i| alone(i));
            assert_eq!(front, expected, "case {case}");
            left = rest;
            if rank == 0 {
                assert_eq!(non_dominated(&points, Equal::All), front);
                let first = |i: &&usize| front.iter().all(|j| j >= *i || points.point(*j) != points.point(**i));
                let once: Vec<usize> = front.iter().filter(first).copied().collect();
                assert_eq!(non_dominated(&points, Equal::First), once);
            }
        }
        assert!(left.is_empty());
    }
}

#[test]
fn who_is_covered_is_found_as_by_its_definition() {
    for case in 0..40 {
        let m = 1 + case as usize % 4;
        let (a, b) = (drawn(case, 30, m, Some(5)), drawn(case + 100, 20, m, Some(4)));
        let (a, b) = (Points::new(&a, m), Points::new(&b, m));
        let expected: Vec<bool> = a.iter().map(|a| b.iter().any(|b| covers(b, a))).collect();
        assert_eq!(covered(&a, &b), expected);
    }
    let (point, nan) = ([1.0, 1.0], [f64::NAN, 2.0]);
    assert_eq!(covered(&Points::new(&point, 2), &Points::new(&nan, 2)), [false]);
    assert_eq!(covered(&Points::new(&nan, 2), &Points::new(&point, 2)), [false]);
}

/// Of pymoo's test of NSGA-II.
#[test]
fn crowding_is_a_mean_of_shares() {
    let points = minimized(&[[0.0, 0.0], [0.5, 50.0], [1.0, 100.0]]);
    let points = Points::new(&points, 2);
    let inf = f64::INFINITY;
    assert_eq!(crowding(&points, &[0, 1, 2]), [inf, 1.0, inf]);
    assert_eq!(crowding(&points, &[0, 2]), [inf, inf]);
    // Where all are equal nobody is at an end.
    assert_eq!(crowding(&Points::new(&[1.0; 8], 2), &[0, 1, 2, 3]), [0.0; 4]);
    let flat = [0.0, 7.0, 2.0, 7.0, 1.0, 7.0];
    assert_eq!(crowding(&Points::new(&flat, 2), &[0, 1, 2]), [inf, inf, 0.5]);
}

/// Novelty and local competition of fourteen candidates, and their order by pyribs (0.12.0, `_fast_non_dominated_sort` and `_crowding_distance`, which is no mean but a sum).
#[test]
fn the_order_by_fronts_is_that_of_pyribs() {
    let novelty = [
        0.5, 1.25, 1.25, 2.0, 0.25, 3.0, 2.5, 1.0, 1.0, 0.75, 2.0, 0.5, 1.75, 2.25,
    ];
    let competition = [9.0, 4.0, 7.0, 3.0, 9.0, 0.0, 1.0, 5.0, 5.0, 8.0, 2.0, 3.0, 0.0, 2.0];
    let values: Vec<f64> = novelty.into_iter().zip(competition).flat_map(|(n, c)| [n, c]).collect();
    let points = Points::new(&values, 2);
    let first = vec![0, 2, 3, 5, 6, 9, 13];
    assert_eq!(sort(&points), [first.clone(), vec![1, 4, 7, 8, 10], vec![11, 12]]);
    let inf = f64::INFINITY;
    let expected = [inf, 1.05555556, 0.95555556, inf, 0.52222222, 0.52222222, 0.42222222];
    for (found, expected) in crowding(&points, &first).into_iter().zip(expected) {
        assert!(found == expected || (2.0 * found - expected).abs() < 1e-8, "{found}");
    }
    assert_eq!(by_fronts(&points), [0, 5, 2, 3, 6, 9, 13, 4, 10, 1, 7, 8, 11, 12]);
    assert_eq!(by_fronts(&Points::new(&[1.0; 8], 2)), [0, 1, 2, 3]);
    assert!(by_fronts(&Points::new(&[], 2)).is_empty());
}

/// One after another, with all distances taken anew each time.
#[test]
fn a_front_is_thinned_as_by_its_definition() {
    for case in 0..40 {
        let m = 2 + case as usize % 3;
        let points = drawn(case, 40, m, [None, Some(12)][case as usize % 2]);
        let points = Points::new(&points, m);
        let front = non_dominated(&points, Equal::First);
        let values = points.of(&front);
        let front = Points::new(&values, m);
        let mut left: Vec<usize> = (0..front.len()).collect();
        let (ideal, nadir) = (front.ideal(), front.nadir());
        for capacity in (3..front.len()).rev() {
            // Crowding in units of the whole front's extent.
            let scaled: Vec<f64> = left
                .iter()
                .flat_map(|&i| (0..m).map(move |o| (i, o)))
                .map(|(i, o)| (front.point(i)[o] - nadir[o]) / (ideal[o] - nadir[o]))
                .collect();
            let scaled = Points::new(&scaled, m);
            let distance = |i: usize| -> f64 {
                let along = (0..m).map(|o| {
                    let mut order: Vec<usize> = (0..left.len()).collect();
                    order.sort_by(|&a, &b| scaled.point(b)[o].total_cmp(&scaled.point(a)[o]));
                    let at = order.iter().position(|j| *j == i).unwrap();
                    match at == 0 || at + 1 == order.len() {
                        true => f64::INFINITY,
                        false => scaled.point(order[at - 1])[o] - scaled.point(order[at + 1])[o],
                    }
                });
                along.sum()
            };
            let distances: Vec<f64> = (0..left.len()).map(distance).collect();
            let found = thin(&front, capacity);
            assert_eq!(found.len(), capacity);
            let gone = left.iter().position(|i| !found.contains(i)).unwrap();
            let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
            assert!(distances[gone] <= least + 1e-12 || least.is_infinite(), "case {case}");
            left = found;
        }
    }
    assert_eq!(thin(&Points::new(&[0.0, 1.0, 1.0, 0.0], 2), 5), [0, 1]);
}

#[test]
fn directions_are_all_and_sum_to_one() {
    for (m, p, count) in [
        (2, 12, 13),
        (3, 12, 91),
        (2, 100, 101),
        (3, 10, 66),
        (5, 6, 210),
        (1, 4, 1),
    ] {
        let all = directions(m, p);
        assert_eq!(all.len(), m * count);
        assert_eq!(directions_count(m, p), Some(count));
        assert!(all.chunks_exact(m).all(|w| (w.iter().sum::<f64>() - 1.0).abs() < 1e-15));
    }
    assert_eq!(directions(2, 2), [0.0, 1.0, 0.5, 0.5, 1.0, 0.0]);
    assert_eq!(directions_count(60, usize::MAX), None);
}

#[test]
fn utility_and_sparsity_are_those_of_their_definitions() {
    let front = [4.0, 0.0, 2.0, 3.0, 0.0, 4.0];
    let points = Points::new(&front, 2);
    let weights = directions(2, 2);
    close(
        expected_utility(&points, &Points::new(&weights, 2)),
        (4.0 + 2.5 + 4.0) / 3.0,
        1e-15,
    );
    close(sparsity(&points), (4.0 + 4.0 + 9.0 + 1.0) / 2.0, 0.0);
    assert_eq!(sparsity(&Points::new(&front[..2], 2)), 0.0);
    assert!(expected_utility(&Points::new(&[], 2), &Points::new(&weights, 2)).is_nan());
    assert_eq!((points.ideal(), points.nadir()), (vec![4.0, 4.0], vec![0.0, 0.0]));
}

/// `recorded.txt`: lines of `set m n`, `points`, `reference`, and what moocore and pymoo make of them, all minimized.
#[test]
fn drawn_sets_are_worth_what_moocore_and_pymoo_say() {
    let mut sets = 0;
    let (mut points, mut reference, mut m) = (Vec::new(), Vec::new(), 1);
    for line in include_str!("recorded.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let values: Vec<f64> = words.map(|word| word.parse().unwrap()).collect();
        let negated: Vec<f64> = values.iter().map(|x| -x).collect();
        let set = || Points::new(&points, m);
        match name {
            "objectives" => m = values[0] as usize,
            "points" => points = negated,
            "target" => reference = negated,
            "hypervolume" => {
                sets += 1;
                close(hypervolume(&set(), &vec![-1.0; m]), values[0], 1e-11);
            }
            "contributions" => {
                let found = contributions(&set(), &vec![-1.0; m]);
                found.iter().zip(&values).for_each(|(a, b)| close(*a, *b, 1e-11));
            }
            "ranks" => {
                for (rank, front) in sort(&set()).into_iter().enumerate() {
                    assert!(front.iter().all(|i| values[*i] == rank as f64));
                }
            }
            "crowding" => {
                let front = non_dominated(&set(), Equal::All);
                let found = crowding(&set(), &front);
                assert_eq!(found.len(), values.len());
                found
                    .iter()
                    .zip(&values)
                    .for_each(|(a, b)| assert!(a == b || (a - b).abs() < 1e-12));
            }
            "igd" => close(
                inverted_generational_distance(&set(), &Points::new(&reference, m)),
                values[0],
                1e-12,
            ),
            "igd_plus" => close(
                inverted_generational_distance_plus(&set(), &Points::new(&reference, m)),
                values[0],
                1e-12,
            ),
            "gd" => close(
                generational_distance(&set(), &Points::new(&reference, m)),
                values[0],
                1e-12,
            ),
            "gd_plus" => close(
                generational_distance_plus(&set(), &Points::new(&reference, m)),
                values[0],
                1e-12,
            ),
            "epsilon" => close(additive_epsilon(&set(), &Points::new(&reference, m)), values[0], 1e-12),
            other => panic!("{other}"),
        }
    }
    assert!(sets >= 8, "{sets} sets");
}
