//! Principal components (Pearson 1901): the two directions in which vectors differ most.

use illume_core::{Error, Result};
use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// Where vectors lie on their first two principal components.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    /// `[n]`; the largest in size on each component is positive, of equally large ones the first.
    pub places: Vec<[f64; 2]>,
    /// Share of the total variance along each, 0 where vectors do not differ.
    pub explained: [f64; 2],
}

/// Of `n` rows of `dim` numbers, in row order in `data`. The matrix whose eigenvectors are sought is n x n or dim x dim, whichever is smaller.
///
/// # Errors
/// No rows, or a number that is not finite.
pub fn principal(data: Vec<f32>, dim: usize) -> Result<Principal> {
    let n = data.len().checked_div(dim).unwrap_or(0);
    if n == 0 {
        return Err(Error::input("there are no genes to find components of"));
    }
    if data.iter().any(|x| !x.is_finite()) {
        return Err(Error::input("genes that are not finite have no components"));
    }
    // A column for each row of the data.
    let mut x = DMatrix::<f64>::from_iterator(dim, n, data.into_iter().map(f64::from));
    let mean: DVector<f64> = x.column_mean();
    x.column_iter_mut().for_each(|mut column| column -= &mean);
    let variance: f64 = x.iter().map(|v| v * v).sum();
    let by_rows = n <= dim;
    // Products of whole matrices go through `matrixmultiply`, `tr_mul` by one dot product after another.
    let matrix = if by_rows {
        x.transpose() * &x
    } else {
        &x * x.transpose()
    };
    let eigen = SymmetricEigen::new(matrix);
    let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    let mut places = vec![[0.0; 2]; n];
    let mut explained = [0.0; 2];
    for (component, &which) in order.iter().take(2).enumerate() {
        let value = eigen.eigenvalues[which].max(0.0);
        // What rounding makes of nothing.
        if value <= 1e-12 * variance || variance == 0.0 {
            continue;
        }
        explained[component] = value / variance;
        let vector = eigen.eigenvectors.column(which);
        let scores: DVector<f64> = if by_rows {
            vector * value.sqrt()
        } else {
            x.tr_mul(&vector)
        };
        let sign = scores[scores.iamax()].signum();
        places
            .iter_mut()
            .zip(scores.iter())
            .for_each(|(place, score)| place[component] = sign * score);
    }
    Ok(Principal { places, explained })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &[[f64; 2]], b: &[[f64; 2]]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }

    #[test]
    fn four_points_of_a_rectangle_have_its_sides_as_components() {
        // The rectangle of sides 6 and 2 around (1, 1), turned by 45 degrees: its variance is 9 to 1.
        let s = std::f64::consts::FRAC_1_SQRT_2;
        let corners = [[3.0, 1.0], [3.0, -1.0], [-3.0, -1.0], [-3.0, 1.0]];
        let turned: Vec<f32> = corners
            .iter()
            .flat_map(|[a, b]| [1.0 + s * (a - b), 1.0 + s * (a + b)])
            .map(|x| x as f32)
            .collect();
        let p = principal(turned.clone(), 2).unwrap();
        assert!(
            (p.explained[0] - 0.9).abs() < 1e-6 && (p.explained[1] - 0.1).abs() < 1e-6,
            "{p:?}"
        );
        let sizes: Vec<[f64; 2]> = p.places.iter().map(|place| place.map(f64::abs)).collect();
        near(&sizes, &[[3.0, 1.0]; 4]);
        // Opposite corners lie opposite.
        near(&[p.places[0]], &[p.places[2].map(|x| -x)]);
        // The same among six dimensions, where the matrix of rows is the smaller one.
        let wide: Vec<f32> = turned
            .chunks(2)
            .flat_map(|c| [0.5, c[0], 0.5, c[1], 0.5, 0.5])
            .collect();
        let w = principal(wide, 6).unwrap();
        assert!((w.explained[0] - 0.9).abs() < 1e-6);
        near(
            &w.places.iter().map(|place| place.map(f64::abs)).collect::<Vec<_>>(),
            &sizes,
        );
    }

    #[test]
    fn the_largest_score_is_positive_however_the_data_are_ordered() {
        let line: Vec<f32> = vec![0.0, 0.0, 1.0, 2.0, 5.0, 10.0];
        let p = principal(line, 2).unwrap();
        let step = 5f64.sqrt();
        near(&p.places, &[[-2.0 * step, 0.0], [-step, 0.0], [3.0 * step, 0.0]]);
        assert_eq!(p.explained[1], 0.0);
    }

    #[test]
    fn equal_rows_and_a_single_one_lie_at_the_middle() {
        for (data, dim) in [(vec![1.0; 6], 2), (vec![1.0, 2.0, 3.0], 3), (vec![4.0], 1)] {
            let p = principal(data, dim).unwrap();
            assert!(
                p.explained == [0.0; 2] && p.places.iter().all(|place| *place == [0.0; 2]),
                "{p:?}"
            );
        }
        assert!(principal(Vec::new(), 4).is_err());
        assert!(principal(vec![f32::NAN, 1.0], 1).is_err());
    }
}
