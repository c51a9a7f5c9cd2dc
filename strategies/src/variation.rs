//! Variation operators on dense genomes. Each is a pure function of the parents and the noise at the child's address.

mod crossover;
mod discrete;

pub use crossover::simulated_binary;
#[cfg(test)]
pub(crate) use crossover::spread;
pub use discrete::Discrete;

use illume_core::Stream;
use illume_numerics::simd_dispatch;

/// Iso+LineDD (Vassiliades and Mouret, 'Discovering the elite hypervolume by leveraging interspecies correlation', GECCO 2018):
/// `child = x1 + iso * n + line * (x2 - x1)`, clipped to `bounds`, for rows of children.
///
/// `children` holds the standard normals `n` on entry and the children on return; `parents` alternates first and second parents;
/// `lines[i]` is `line_sigma` times one normal draw for child i.
pub fn iso_line_rows(children: &mut [f32], parents: &[&[f32]], iso: f32, lines: &[f32], bounds: [f32; 2]) {
    simd_dispatch!(
        fn [](children: &mut [f32], parents: &[&[f32]], iso: f32, lines: &[f32], bounds: [f32; 2]) {
            let dim = children.len() / lines.len().max(1);
            for ((child, pair), line) in children.chunks_exact_mut(dim.max(1)).zip(parents.chunks_exact(2)).zip(lines) {
                iso_line(child, pair[0], pair[1], iso, *line, bounds);
            }
        }
    )
}

#[inline(always)]
fn iso_line(child: &mut [f32], x1: &[f32], x2: &[f32], iso: f32, line: f32, bounds: [f32; 2]) {
    let n = child.len();
    let (x1, x2) = (&x1[..n], &x2[..n]);
    for i in 0..n {
        let moved = line.mul_add(x2[i] - x1[i], x1[i]);
        child[i] = child[i].mul_add(iso, moved).max(bounds[0]).min(bounds[1]);
    }
}

/// Polynomial mutation (Deb and Agrawal 1999; bounded form of Deb 2001): each gene with probability `rate`, distribution index `eta`. A gene
/// outside the bounds, of which the distribution knows nothing, is put on the nearer bound before it is mutated.
pub fn polynomial(child: &mut [f32], parent: &[f32], stream: &Stream, row: u64, rate: f32, eta: f32, bounds: [f32; 2]) {
    let mut draws = vec![0.0f32; 2 * child.len()];
    stream.uniforms(row * draws.len() as u64, &mut draws);
    for ((x, &p), draw) in child.iter_mut().zip(parent).zip(draws.chunks_exact(2)) {
        *x = p;
        if draw[0] >= rate {
            continue;
        }
        *x = polynomial_gene(p, draw[1], eta, bounds);
    }
}

/// A gene that is mutated, by a uniform number.
pub(crate) fn polynomial_gene(gene: f32, u: f32, eta: f32, [low, high]: [f32; 2]) -> f32 {
    let p = gene.clamp(low, high);
    let (to_low, to_high) = ((p - low) / (high - low), (high - p) / (high - low));
    let delta = if u < 0.5 {
        (2.0 * u + (1.0 - 2.0 * u) * (1.0 - to_low).powf(eta + 1.0)).powf(1.0 / (eta + 1.0)) - 1.0
    } else {
        1.0 - (2.0 * (1.0 - u) + (2.0 * u - 1.0) * (1.0 - to_high).powf(eta + 1.0)).powf(1.0 / (eta + 1.0))
    };
    (p + delta * (high - low)).clamp(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::Purpose;

    const FREE: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

    #[test]
    fn without_isotropic_noise_children_lie_on_the_line_of_their_parents() {
        let (x1, x2) = (vec![1.0f32; 40], vec![3.0f32; 40]);
        let mut child = vec![0.7; 40];
        iso_line(&mut child, &x1, &x2, 0.0, 0.25, FREE);
        assert!(child.iter().all(|x| *x == 1.5));
    }

    #[test]
    fn children_have_the_stated_variance() {
        let n = 200_000;
        let (x1, x2) = (vec![1.0f32; n], vec![1.0f32; n]);
        let mut child = vec![0.0; n];
        Stream::new(1, Purpose::Variation, 0, 0).normals(0, &mut child);
        iso_line(&mut child, &x1, &x2, 0.1, 3.0, FREE);
        let var = child.iter().map(|x| f64::from(x - 1.0).powi(2)).sum::<f64>() / n as f64;
        assert!((var - 0.01).abs() < 2e-4);
    }

    #[test]
    fn children_stay_in_the_bounds() {
        let (x1, x2) = (vec![0.0f32; 1000], vec![1.0f32; 1000]);
        let mut child = vec![0.0; 1000];
        let s = Stream::new(1, Purpose::Variation, 0, 0);
        s.normals(0, &mut child);
        iso_line(&mut child, &x1, &x2, 5.0, 1.0, [0.0, 1.0]);
        assert!(child.iter().all(|x| (0.0..=1.0).contains(x)));
        polynomial(&mut child, &x1, &s, 3, 1.0, 1.0, [0.0, 1.0]);
        assert!(child.iter().all(|x| (0.0..=1.0).contains(x)) && child.iter().any(|x| *x > 0.1));
    }

    #[test]
    fn polynomial_mutation_puts_a_gene_from_outside_on_its_bound_first() {
        let s = Stream::new(1, Purpose::Variation, 0, 0);
        let mutants = |gene: f32, eta: f32| {
            let mut child = vec![0.0; 1000];
            polynomial(&mut child, &[gene; 1000], &s, 0, 1.0, eta, [-0.2, 0.2]);
            child
        };
        for eta in [0.0, 1.5, 10.0, 10.5, 1e30] {
            for (gene, bound) in [(-7.3, -0.2), (-0.2001, -0.2), (0.3, 0.2), (1e30, 0.2)] {
                let child = mutants(gene, eta);
                assert!(
                    child.iter().all(|x| (-0.2..=0.2).contains(x)),
                    "{gene} {eta}: {child:?}"
                );
                assert_eq!(child, mutants(bound, eta));
            }
        }
        // Genes that are not mutated stay where they are.
        let mut child = [0.0; 8];
        polynomial(&mut child, &[3.0; 8], &s, 0, 0.0, 10.5, [-0.2, 0.2]);
        assert_eq!(child, [3.0; 8]);
    }

    /// At the center of the interval the distribution is symmetric, and 2^(-1/(eta+1)) quantiles follow from its distribution function.
    #[test]
    fn polynomial_mutation_is_symmetric_in_the_middle_and_changes_the_stated_share() {
        let n = 100_000;
        let parent = vec![0.5f32; n];
        let mut child = vec![0.0; n];
        polynomial(
            &mut child,
            &parent,
            &Stream::new(1, Purpose::Variation, 0, 0),
            0,
            0.3,
            10.0,
            [0.0, 1.0],
        );
        let changed = child.iter().filter(|x| **x != 0.5).count() as f64 / n as f64;
        assert!((changed - 0.3).abs() < 0.01, "{changed}");
        let mean = child.iter().map(|x| f64::from(x - 0.5)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 1e-3, "{mean}");
    }
}
