//! Crowding distance (Deb, Pratap, Agarwal and Meyarivan, 'A fast and elitist multiobjective genetic algorithm: NSGA-II', IEEE Transactions on Evolutionary Computation 6(2), 2002).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Points, falling, sort};

/// Crowding distance of each point of a front (`numbers` into `points`): the mean over the objectives of the distance between the two next to it, in units of the front's extent;
/// infinite at an end of an objective in which the points differ, and where there are at most two. Of equal values the first number is the better one.
pub fn crowding(points: &Points<'_>, numbers: &[usize]) -> Vec<f64> {
    if numbers.len() <= 2 {
        return vec![f64::INFINITY; numbers.len()];
    }
    let mut distance = vec![0.0; numbers.len()];
    for (objective, (order, extent)) in along(points, numbers, None).into_iter().enumerate() {
        if extent.is_nan() || extent <= 0.0 {
            continue;
        }
        let of = |i: usize| points.point(numbers[i])[objective];
        for next in order.windows(3) {
            distance[next[1]] += (of(next[0]) - of(next[2])) / extent;
        }
        let (first, last) = (order[0], order[order.len() - 1]);
        (distance[first], distance[last]) = (f64::INFINITY, f64::INFINITY);
    }
    distance.iter_mut().for_each(|x| *x /= points.dim() as f64);
    distance
}

/// Places of a front's points by each objective, the best first, and how far they extend along it; `first` are those of the first objective, where they are known.
fn along(points: &Points<'_>, numbers: &[usize], first: Option<&[usize]>) -> Vec<(Vec<usize>, f64)> {
    let mut all: Vec<(Vec<usize>, f64)> = Vec::with_capacity(points.dim());
    for objective in 0..points.dim() {
        // `-0 + 0` is `0`.
        let of = |i: usize| points.point(numbers[i])[objective] + 0.0;
        // Where no two of a front's points are equal, the second of two objectives falls where the first rises.
        let turned = all.last().map(|(before, _)| before.iter().rev().copied().collect());
        let order = turned
            .filter(|order: &Vec<usize>| order.windows(2).all(|pair| of(pair[0]) > of(pair[1])))
            .or_else(|| first.filter(|_| objective == 0).map(<[usize]>::to_vec))
            .unwrap_or_else(|| falling((0..numbers.len()).map(of)));
        let extent = of(order[0]) - of(order[order.len() - 1]);
        all.push((order, extent));
    }
    all
}

/// Numbers of the points from first to last: by front, then by crowding distance (the lonelier first), then by number.
pub fn by_fronts(points: &Points<'_>) -> Vec<usize> {
    let fronts = sort(points).into_iter();
    fronts
        .flat_map(|front| {
            let crowding = crowding(points, &front);
            let mut order: Vec<usize> = (0..front.len()).collect();
            order.sort_by(|&a, &b| crowding[b].total_cmp(&crowding[a]));
            order.into_iter().map(move |i| front[i])
        })
        .collect()
}

/// Numbers of `capacity` points of a front, ascending: whoever is crowded most goes, one after another, each time by the distances between those that are left. Of equally crowded
/// ones the last goes first. Extents are those of the whole front.
pub fn thin(points: &Points<'_>, capacity: usize) -> Vec<usize> {
    thin_by(points, None, capacity)
}

/// The same, where it is known what [`ordered`](super::ordered) says of the points, none of which has a NaN.
pub fn thin_in_order(points: &Points<'_>, order: &[usize], capacity: usize) -> Vec<usize> {
    thin_by(points, Some(order), capacity)
}

fn thin_by(points: &Points<'_>, first: Option<&[usize]>, capacity: usize) -> Vec<usize> {
    let (n, m) = (points.len(), points.dim());
    if n <= capacity {
        return (0..n).collect();
    }
    let numbers: Vec<usize> = (0..n).collect();
    // Who is next to whom along each objective, the ends being next to nobody; and the share that a gap is of its extent.
    const NOBODY: usize = usize::MAX;
    let mut next = vec![[NOBODY; 2]; n * m];
    let mut scale = vec![0.0; m];
    for (objective, (order, extent)) in along(points, &numbers, first).into_iter().enumerate() {
        scale[objective] = if extent > 0.0 { 1.0 / extent } else { 0.0 };
        for pair in order.windows(2) {
            next[pair[0] * m + objective][1] = pair[1];
            next[pair[1] * m + objective][0] = pair[0];
        }
    }
    let distance = |next: &[[usize; 2]], i: usize| -> f64 {
        let along = (0..m).filter(|o| scale[*o] > 0.0).map(|objective| {
            let [before, after] = next[i * m + objective];
            if before == NOBODY || after == NOBODY {
                return f64::INFINITY;
            }
            (points.point(before)[objective] - points.point(after)[objective]) * scale[objective]
        });
        along.sum()
    };
    // Distances are not negative, so that their bits are in their order.
    let key = |next: &[[usize; 2]], i: usize| distance(next, i).to_bits();
    let mut present: Vec<u64> = (0..n).map(|i| key(&next, i)).collect();
    let mut heap: BinaryHeap<Reverse<(u64, Reverse<usize>)>> =
        (0..n).map(|i| Reverse((present[i], Reverse(i)))).collect();
    let (mut there, mut left) = (vec![true; n], n);
    while left > capacity {
        let Some(Reverse((bits, Reverse(i)))) = heap.pop() else {
            break;
        };
        if !there[i] || bits != present[i] {
            continue;
        }
        (there[i], left) = (false, left - 1);
        for objective in 0..m {
            let [before, after] = next[i * m + objective];
            if before != NOBODY {
                next[before * m + objective][1] = after;
            }
            if after != NOBODY {
                next[after * m + objective][0] = before;
            }
        }
        for objective in 0..m {
            for neighbour in next[i * m + objective].into_iter().filter(|x| *x != NOBODY) {
                present[neighbour] = key(&next, neighbour);
                heap.push(Reverse((present[neighbour], Reverse(neighbour))));
            }
        }
    }
    (0..n).filter(|i| there[*i]).collect()
}
