//! How far a set of points is from a reference set, and how far a reference set from the points.
//!
//! Generational distance (Van Veldhuizen 1999) and its inverse (Coello Coello and Reyes Sierra 2004) are means of Euclidean distances to the nearest. With a plus (Ishibuchi, Masuda, Tanigaki and Nojima,
//! 'Modified distance calculation in generational distance and inverted generational distance', EMO 2015) only those objectives count in which a point is worse than the reference, so that a point that
//! dominates is never charged. Epsilon (Zitzler, Thiele, Laumanns, Fonseca and Grunert da Fonseca 2003) is what must be added to the points, or what they must be multiplied by, to cover the reference set.
//!
//! All are NaN where there is nothing to measure.

use super::Points;

/// Mean over `of` of the distance to the nearest of `to`.
fn mean_nearest(of: &Points<'_>, to: &Points<'_>, squared: impl Fn(f64, f64) -> f64) -> f64 {
    assert_eq!(of.dim(), to.dim(), "points of other objectives");
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| squared(*a, *b)).sum::<f64>();
    let nearest = |a: &[f64]| to.iter().map(|b| distance(a, b)).fold(f64::INFINITY, f64::min).sqrt();
    match of.is_empty() || to.is_empty() {
        true => f64::NAN,
        false => of.iter().map(nearest).sum::<f64>() / of.len() as f64,
    }
}

fn square(x: f64) -> f64 {
    x * x
}

/// Mean distance of the points to the nearest of the reference set (GD; on a true front Deb's gamma).
pub fn generational_distance(points: &Points<'_>, reference: &Points<'_>) -> f64 {
    mean_nearest(points, reference, |a, r| square(a - r))
}

/// GD+: of the points those objectives alone that are worse than the reference's.
pub fn generational_distance_plus(points: &Points<'_>, reference: &Points<'_>) -> f64 {
    mean_nearest(points, reference, |a, r| square((r - a).max(0.0)))
}

/// Mean distance of the reference set to the nearest of the points (IGD).
pub fn inverted_generational_distance(points: &Points<'_>, reference: &Points<'_>) -> f64 {
    mean_nearest(reference, points, |r, a| square(a - r))
}

/// IGD+: of the points those objectives alone that are worse than the reference's.
pub fn inverted_generational_distance_plus(points: &Points<'_>, reference: &Points<'_>) -> f64 {
    mean_nearest(reference, points, |r, a| square((r - a).max(0.0)))
}

/// The least number that, added to every objective of the points, makes them cover the reference set.
pub fn additive_epsilon(points: &Points<'_>, reference: &Points<'_>) -> f64 {
    epsilon(points, reference, |r, a| r - a)
}

/// The least factor by which the points cover the reference set; all values are above 0.
pub fn multiplicative_epsilon(points: &Points<'_>, reference: &Points<'_>) -> f64 {
    epsilon(points, reference, |r, a| r / a)
}

fn epsilon(points: &Points<'_>, reference: &Points<'_>, lacking: impl Fn(f64, f64) -> f64) -> f64 {
    assert_eq!(points.dim(), reference.dim(), "points of other objectives");
    if points.is_empty() || reference.is_empty() {
        return f64::NAN;
    }
    let worst = |r: &[f64], a: &[f64]| {
        let objectives = r.iter().zip(a).map(|(r, a)| lacking(*r, *a));
        objectives.fold(f64::NEG_INFINITY, f64::max)
    };
    let least = |r: &[f64]| points.iter().map(|a| worst(r, a)).fold(f64::INFINITY, f64::min);
    reference.iter().map(least).fold(f64::NEG_INFINITY, f64::max)
}
