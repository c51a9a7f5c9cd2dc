//! The hypervolume of a front (Zitzler and Thiele 1999): how much of the space between a reference and the front its points dominate. Exact in any number of objectives.
//!
//! One and two objectives by sorting; three by a sweep along the last with a staircase of the first two (Fonseca, Paquete and López-Ibáñez, 'An improved dimension-sweep algorithm for the hypervolume indicator', CEC 2006);
//! more by what each point adds to those before it (While, Bradstreet and Barone, 'A fast way of calculating exact hypervolumes', IEEE Transactions on Evolutionary Computation 16(1), 2012): points are taken
//! by their last objective, the best first, so that within what a point covers those before it are nowhere worse in the last one, and one objective less is left.

use rayon::prelude::*;

use super::{Equal, Points, covers, falling, non_dominated};

/// Points from which the outermost loop is spread over threads.
const SPREAD: usize = 32;

/// How much the points dominate of what is better than `reference` in every objective. Points that are not better than it in all of them add nothing, nor do those with a NaN.
pub fn hypervolume(points: &Points<'_>, reference: &[f64]) -> f64 {
    let heights = above(points, reference);
    volume(&heights, points.dim(), true)
}

/// What each point adds: the hypervolume that is lost without it. Of points that are equal none adds anything.
pub fn contributions(points: &Points<'_>, reference: &[f64]) -> Vec<f64> {
    let m = points.dim();
    assert_eq!(reference.len(), m, "a reference of other objectives");
    let one = |i: usize| {
        let own: Vec<f64> = points.point(i).iter().zip(reference).map(|(p, r)| p - r).collect();
        if !own.iter().all(|x| *x > 0.0) {
            return 0.0;
        }
        let mut others: Vec<f64> = Vec::with_capacity(m * points.len());
        for (j, point) in points.iter().enumerate().filter(|(j, _)| *j != i) {
            let cut = || {
                point
                    .iter()
                    .zip(reference)
                    .zip(&own)
                    .map(|((p, r), own)| (p - r).min(*own))
            };
            // A NaN is above nothing, though `min` would forget it.
            if cut().all(|x| x > 0.0) && !points.point(j).iter().any(|x| x.is_nan()) {
                others.extend(cut());
            }
        }
        let others = front(&others, m);
        (own.iter().product::<f64>() - volume(&others, m, false)).max(0.0)
    };
    (0..points.len()).into_par_iter().map(one).collect()
}

/// The points above the reference, by how far they are above it: of more than three objectives the front alone.
fn above(points: &Points<'_>, reference: &[f64]) -> Vec<f64> {
    let m = points.dim();
    assert_eq!(reference.len(), m, "a reference of other objectives");
    let mut heights = Vec::with_capacity(m * points.len());
    for point in points.iter() {
        let height = || point.iter().zip(reference).map(|(p, r)| p - r);
        if height().all(|x| x > 0.0) {
            heights.extend(height());
        }
    }
    if m > 3 { front(&heights, m) } else { heights }
}

/// The points that none dominates, each once.
fn front(heights: &[f64], m: usize) -> Vec<f64> {
    let points = Points::new(heights, m);
    points.of(&non_dominated(&points, Equal::First))
}

/// Volume of boxes from the origin to each of the heights.
fn volume(heights: &[f64], m: usize, spread: bool) -> f64 {
    let points = Points::new(heights, m);
    let n = points.len();
    match (n, m) {
        (0, _) => 0.0,
        (1, _) => heights.iter().product(),
        (_, 1) => heights.iter().copied().fold(0.0, f64::max),
        (_, 2) => area(&points),
        (_, 3) => sweep(&points.of(&by(&points, 2)), &mut Vec::new()),
        _ => {
            let sorted = points.of(&by(&points, m - 1));
            let sorted = Points::new(&sorted, m);
            let slices = slices(&sorted);
            let add = |buffers: &mut Buffers, slice: &Slice| {
                sorted.point(slice.point)[m - 1] * alone(&sorted, slice, buffers)
            };
            if spread && n >= SPREAD {
                let each = slices.par_iter().map_init(Buffers::default, add);
                // Summed in order, for any number of threads.
                return each.collect::<Vec<f64>>().iter().sum();
            }
            let mut buffers = Buffers::default();
            slices.iter().map(|slice| add(&mut buffers, slice)).sum()
        }
    }
}

/// Numbers of the points by an objective, the best first.
fn by(points: &Points<'_>, objective: usize) -> Vec<usize> {
    falling(points.iter().map(|point| point[objective]))
}

/// A point, and those that are no worse in the last objective and none of which covers another in the rest: best first by the last of these.
struct Slice {
    point: usize,
    others: Vec<usize>,
}

/// Of points that are the best first by their last objective, those that have something for themselves in the others.
fn slices(sorted: &Points<'_>) -> Vec<Slice> {
    let k = sorted.dim() - 1;
    let rest = |i: usize| &sorted.point(i)[..k];
    let (mut slices, mut front): (Vec<Slice>, Vec<usize>) = (Vec::new(), Vec::new());
    for point in 0..sorted.len() {
        if front.iter().any(|&other| covers(rest(other), rest(point))) {
            continue;
        }
        slices.push(Slice {
            point,
            others: front.clone(),
        });
        front.retain(|&other| !covers(rest(point), rest(other)));
        let at = front.partition_point(|&other| rest(other)[k - 1] >= rest(point)[k - 1]);
        front.insert(at, point);
    }
    slices
}

#[derive(Default)]
struct Buffers {
    cut: Vec<f64>,
    stairs: Vec<[f64; 2]>,
}

/// What a point has for itself in all objectives but the last, next to the others of its slice.
fn alone(sorted: &Points<'_>, slice: &Slice, buffers: &mut Buffers) -> f64 {
    let k = sorted.dim() - 1;
    let own = &sorted.point(slice.point)[..k];
    let all = own.iter().product::<f64>();
    // Cut to the point, the others are still in the order in which a sweep wants them.
    let Buffers { cut, stairs } = buffers;
    cut.clear();
    for &other in &slice.others {
        cut.extend(sorted.point(other)[..k].iter().zip(own).map(|(a, b)| a.min(*b)));
    }
    match k {
        3 => all - sweep(cut, stairs),
        _ => all - volume(&front(cut, k), k, false),
    }
}

/// Area of two objectives.
fn area(points: &Points<'_>) -> f64 {
    let (mut sum, mut height) = (0.0, 0.0);
    for i in by(points, 0) {
        let point = points.point(i);
        if point[1] > height {
            sum += point[0] * (point[1] - height);
            height = point[1];
        }
    }
    sum
}

/// Volume of three objectives of points in the order of their third, the largest first; they may cover one another.
fn sweep(heights: &[f64], stairs: &mut Vec<[f64; 2]>) -> f64 {
    // The staircase of the first two: the first rises, the second falls.
    stairs.clear();
    let (mut sum, mut area, mut level) = (0.0, 0.0, 0.0);
    for point in heights.as_chunks::<3>().0 {
        let [x, y, z] = *point;
        if z != level {
            sum += area * (level - z);
            level = z;
        }
        // Behind `at` are those that reach further along the first; the nearest of them is the highest.
        let at = stairs.partition_point(|step| step[0] < x);
        let beyond = stairs.get(at).map_or(0.0, |step| step[1]);
        if beyond >= y {
            continue;
        }
        // Steps that it covers: those before `at` (and one of equal width) that are no higher.
        let to = at + usize::from(stairs.get(at).is_some_and(|step| step[0] == x));
        let from = stairs[..at].partition_point(|step| step[1] > y);
        let floor = stairs.get(to).map_or(0.0, |step| step[1]);
        // The area gained: under the new step above the stairs that were there, from the first that it covers on.
        let mut left = match from {
            0 => 0.0,
            _ => stairs[from - 1][0],
        };
        for step in &stairs[from..to] {
            area += (step[0] - left) * (y - step[1]);
            left = step[0];
        }
        area += (x - left) * (y - floor);
        stairs.splice(from..to, [[x, y]]);
    }
    sum + area * level
}
