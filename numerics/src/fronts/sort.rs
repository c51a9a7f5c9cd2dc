//! Fronts: those that none dominates, then those that none of the rest dominates, and so on.
//!
//! Of two objectives a front is found by bisection of a staircase; of more by efficient non-dominated sort (Zhang, Tian, Cheng and Jin, 'An efficient approach to nondominated sorting for
//! evolutionary multiobjective optimization', IEEE Transactions on Evolutionary Computation 19(2), 2015): points come best first by their first objective, so that none is dominated by a later one, and
//! of the fronts so far the first is sought in which none dominates a point.

use super::{Points, best_first, covers, dominates};

/// What becomes of points that are equal in every objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Equal {
    /// All are there.
    All,
    /// The first alone.
    First,
}

/// Numbers of the points with no NaN, best first by [`best_first`], then by number.
fn ordered(points: &Points<'_>) -> Vec<usize> {
    let whole = |i: &usize| !points.point(*i).iter().any(|x| x.is_nan());
    let mut order: Vec<usize> = (0..points.len()).filter(whole).collect();
    order.sort_by(|&a, &b| best_first(points.point(a), points.point(b)));
    order
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
    for i in ordered(points) {
        let point = points.point(i);
        // Of two objectives the last one kept has the highest second value.
        let others = match points.dim() {
            1 | 2 => &kept[kept.len().saturating_sub(1)..],
            _ => &kept[..],
        };
        let covered = others.iter().rev().any(|&other| {
            let other = points.point(other);
            covers(other, point) && (equal == Equal::First || other != point)
        });
        if !covered {
            kept.push(i);
        }
    }
    kept.sort_unstable();
    kept
}
