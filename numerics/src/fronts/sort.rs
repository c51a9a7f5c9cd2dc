//! Fronts: those that none dominates, then those that none of the rest dominates, and so on.
//!
//! Of two objectives a front is found by bisection of a staircase; of more by efficient non-dominated sort (Zhang, Tian, Cheng and Jin, 'An efficient approach to nondominated sorting for
//! evolutionary multiobjective optimization', IEEE Transactions on Evolutionary Computation 19(2), 2015): points come best first by their first objective, so that none is dominated by a later one, and
//! of the fronts so far the first is sought in which none dominates a point.

use super::{Points, best_first, covers, dominates, falling};

/// What becomes of points that are equal in every objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Equal {
    /// All are there.
    All,
    /// The first alone.
    First,
}

/// Numbers of the points with no NaN, the best first by their first objective that differs, then by number.
pub fn ordered(points: &Points<'_>) -> Vec<usize> {
    let mut order = falling(points.iter().map(|point| point[0]));
    order.retain(|i| !points.point(*i).iter().any(|x| x.is_nan()));
    // Those of equal first values by the others.
    for equal in order.chunk_by_mut(|a, b| points.point(*a)[0] == points.point(*b)[0]) {
        equal.sort_by(|a, b| best_first(points.point(*a), points.point(*b)));
    }
    order
}

/// Of each of these points whether one of `others` is nowhere worse.
pub fn covered(points: &Points<'_>, others: &Points<'_>) -> Vec<bool> {
    if points.dim() == 2 {
        return covered_in_order(points, &ordered(points), others, &ordered(others));
    }
    assert_eq!(points.dim(), others.dim(), "points of other objectives");
    let by_any = |point: &[f64]| others.iter().any(|other| covers(other, point));
    points.iter().map(by_any).collect()
}

/// The same of two objectives, where it is known what [`ordered`] says of both; of points that are not in their order, it is not asked.
///
/// # Panics
/// Not two objectives.
pub fn covered_in_order(points: &Points<'_>, order: &[usize], others: &Points<'_>, their_order: &[usize]) -> Vec<bool> {
    assert_eq!([points.dim(), others.dim()], [2, 2], "points of other objectives");
    let mut covered = vec![false; points.len()];
    // Of those that are no worse in the first objective the best second one.
    let (mut best, mut left) = (
        f64::NEG_INFINITY,
        their_order.iter().map(|i| others.point(*i)).peekable(),
    );
    for &i in order {
        let point = points.point(i);
        while let Some(other) = left.next_if(|other| other[0] >= point[0]) {
            best = best.max(other[1]);
        }
        covered[i] = best >= point[1];
    }
    covered
}

/// The fronts, each in the order of numbers: a point is in the first front of which none dominates it. Points with a NaN are a last front.
pub fn sort(points: &Points<'_>) -> Vec<Vec<usize>> {
    let order = ordered(points);
    let lost = order.len() < points.len();
    let mut fronts = match points.dim() {
        1 | 2 => sort_pairs(points, &order),
        _ => sort_general(points, &order),
    };
    fronts.iter_mut().for_each(|front| front.sort_unstable());
    if lost {
        let nan = |i: &usize| points.point(*i).iter().any(|x| x.is_nan());
        fronts.push((0..points.len()).filter(nan).collect());
    }
    fronts
}

fn sort_pairs(points: &Points<'_>, order: &[usize]) -> Vec<Vec<usize>> {
    let mut fronts: Vec<Vec<usize>> = Vec::new();
    for &i in order {
        // Those before it have no lower first value, and of a front the last one has the highest second value. If it does not dominate the point, none of its
        // front does, and none of the fronts behind, of which each is dominated by one of this front.
        let last = |front: &Vec<usize>| points.point(front[front.len() - 1]);
        let at = fronts.partition_point(|front| dominates(last(front), points.point(i)));
        push(&mut fronts, at, i);
    }
    fronts
}

fn sort_general(points: &Points<'_>, order: &[usize]) -> Vec<Vec<usize>> {
    let mut fronts: Vec<Vec<usize>> = Vec::new();
    for &i in order {
        let point = points.point(i);
        // Those that came last are the likeliest to dominate it.
        let dominated = |front: &Vec<usize>| front.iter().rev().any(|&other| dominates(points.point(other), point));
        let at = fronts.partition_point(dominated);
        push(&mut fronts, at, i);
    }
    fronts
}

fn push(fronts: &mut Vec<Vec<usize>>, at: usize, i: usize) {
    match fronts.get_mut(at) {
        Some(front) => front.push(i),
        None => fronts.push(vec![i]),
    }
}

/// Numbers of the points that none dominates, ascending; of those with a NaN none.
pub fn non_dominated(points: &Points<'_>, equal: Equal) -> Vec<usize> {
    let mut kept: Vec<usize> = Vec::new();
    let mut stairs = Stairs::default();
    let mut before = None;
    for i in ordered(points) {
        let point = points.point(i);
        // Equal points follow one another.
        let twin = before.filter(|(other, _)| points.point(*other) == point);
        let keep = match twin {
            Some((_, kept)) => kept && equal == Equal::All,
            // Those before it are no worse in the first objective.
            None => match *point {
                [_] => kept.is_empty(),
                [_, y] => stairs.climb(y, 0.0),
                [_, y, z] => stairs.climb(y, z),
                _ => !kept.iter().rev().any(|&other| covers(points.point(other), point)),
            },
        };
        before = Some((i, twin.map_or(keep, |(_, kept)| kept)));
        if keep {
            kept.push(i);
        }
    }
    kept.sort_unstable();
    kept
}

/// Pairs none of which covers another; the first value rises, the second falls.
#[derive(Default)]
struct Stairs(Vec<[f64; 2]>);

impl Stairs {
    /// Adds a pair, if none covers it.
    fn climb(&mut self, x: f64, y: f64) -> bool {
        let at = self.0.partition_point(|step| step[0] < x);
        if self.0.get(at).is_some_and(|step| step[1] >= y) {
            return false;
        }
        let to = at + usize::from(self.0.get(at).is_some_and(|step| step[0] == x));
        let from = self.0[..at].partition_point(|step| step[1] > y);
        self.0.splice(from..to, [[x, y]]);
        true
    }
}
