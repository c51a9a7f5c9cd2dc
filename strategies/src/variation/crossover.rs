//! Simulated binary crossover (Deb and Agrawal, 'Simulated binary crossover for continuous search space', Complex Systems 9(2), 1995) in the form for bounded genes of Deb's program.

use illume_core::Stream;

/// Genes that are nearer to one another than this are not crossed.
const NEAR: f64 = 1e-14;

/// The two values that a draw `u` makes of `low <= high`, each as far from the middle as its own bound allows: with the distribution index `eta` a child is as likely near its parents
/// as by one-point crossover of a binary code.
pub fn spread(low: f64, high: f64, u: f64, eta: f64, bounds: [f64; 2]) -> [f64; 2] {
    let (middle, distance) = (low + high, high - low);
    let steepness = eta + 1.0;
    let whole = steepness as i32;
    // `powf` takes several times as long.
    let power = |beta: f64| match f64::from(whole) == steepness {
        true => beta.powi(-whole),
        false => beta.powf(-steepness),
    };
    let share = |room: f64| {
        // How far a child may go, in units of the distance; without a bound alpha is 2.
        let beta = 1.0 + 2.0 * room / distance;
        let alpha = 2.0 - power(beta);
        let betaq = match u <= 1.0 / alpha {
            true => u * alpha,
            false => 1.0 / (2.0 - u * alpha),
        };
        betaq.powf(1.0 / steepness)
    };
    let children = [
        0.5 * (middle - share(low - bounds[0]) * distance),
        0.5 * (middle + share(bounds[1] - high) * distance),
    ];
    children.map(|x| x.clamp(bounds[0], bounds[1]))
}

/// Two children of two parents, gene by gene with probability one half; which child has which of the two values is drawn as well. Draws are those of pair number `pair`. Genes outside the bounds
/// are put on the nearer one first. With the probability `1 - rate` the children are their parents; says whether they are not.
pub fn simulated_binary(
    children: [&mut [f32]; 2],
    parents: [&[f32]; 2],
    stream: &Stream,
    pair: u64,
    (rate, eta): (f64, f64),
    bounds: [f32; 2],
) -> bool {
    let [first, second] = children;
    first.copy_from_slice(parents[0]);
    second.copy_from_slice(parents[1]);
    let mut draws = vec![0.0f32; 1 + 3 * first.len()];
    stream.uniforms(pair * draws.len() as u64, &mut draws);
    if f64::from(draws[0]) >= rate {
        return false;
    }
    let limits = bounds.map(f64::from);
    for ((a, b), draws) in first.iter_mut().zip(second).zip(draws[1..].chunks_exact(3)) {
        if draws[0] >= 0.5 {
            continue;
        }
        let (x, y) = (
            f64::from(a.clamp(bounds[0], bounds[1])),
            f64::from(b.clamp(bounds[0], bounds[1])),
        );
        if (x - y).abs() <= NEAR {
            continue;
        }
        let [low, high] = spread(x.min(y), x.max(y), f64::from(draws[1]), eta, limits).map(|x| x as f32);
        (*a, *b) = if draws[2] < 0.5 { (high, low) } else { (low, high) };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::Purpose;

    fn stream() -> Stream {
        Stream::new(3, Purpose::Variation, 0, 0)
    }

    #[test]
    fn without_bounds_the_middle_stays_and_the_spread_has_the_stated_distribution() {
        let free = [f64::NEG_INFINITY, f64::INFINITY];
        for u in [0.0, 0.1, 0.5, 0.7, 0.999] {
            let [low, high] = spread(1.0, 3.0, u, 20.0, free);
            assert!((low + high - 4.0).abs() < 1e-12 && high >= low);
            // The factor is below 1 with probability one half.
            assert_eq!(high - low <= 2.0, u <= 0.5, "{u}");
        }
        let [low, high] = spread(1.0, 3.0, 0.25, 1.0, free);
        assert!((high - low - 2.0 * 0.5f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn children_are_within_bounds_and_reach_them() {
        for (u, eta) in [(0.0, 0.0), (0.5, 2.0), (1.0 - 1e-16, 20.0), (1.0 - 1e-16, 0.0)] {
            let children = spread(0.25, 0.5, u, eta, [0.0, 1.0]);
            assert!(children.iter().all(|x| (0.0..=1.0).contains(x)), "{children:?}");
        }
        let [low, high] = spread(0.25, 0.5, 1.0 - 1e-16, 0.0, [0.0, 1.0]);
        assert!(low < 1e-9 && high > 1.0 - 1e-9, "{low} {high}");
    }

    #[test]
    fn half_of_the_genes_of_the_stated_share_of_pairs_are_crossed() {
        let dim = 200;
        let parents = [vec![0.25f32; dim], vec![0.75f32; dim]];
        let (mut crossed, mut genes) = (0, 0);
        for pair in 0..1000 {
            let mut children = [vec![0.0; dim], vec![0.0; dim]];
            let [a, b] = &mut children;
            let of = [parents[0].as_slice(), &parents[1]];
            let did = simulated_binary([a, b], of, &stream(), pair, (0.9, 20.0), [0.0, 1.0]);
            crossed += usize::from(did);
            let moved = a
                .iter()
                .zip(b.iter())
                .filter(|(a, b)| (**a, **b) != (0.25, 0.75))
                .count();
            assert!(did || moved == 0);
            genes += moved;
            let sums = a.iter().zip(b.iter()).map(|(a, b)| a + b);
            assert!(
                sums.into_iter().all(|sum| (sum - 1.0).abs() < 1e-6),
                "the parents lie evenly"
            );
        }
        assert!((860..940).contains(&crossed), "{crossed}");
        let share = genes as f64 / (crossed * dim) as f64;
        assert!((share - 0.5).abs() < 0.01, "{share}");
    }

    #[test]
    fn genes_from_outside_are_put_on_their_bounds_first() {
        let of = |x: f32, y: f32| {
            let (mut a, mut b) = (vec![0.0; 300], vec![0.0; 300]);
            simulated_binary(
                [&mut a, &mut b],
                [&[x; 300], &[y; 300]],
                &stream(),
                0,
                (1.0, 5.0),
                [0.0, 1.0],
            );
            (a, b)
        };
        let (inside, outside) = (of(0.0, 1.0), of(-3.0, 9.0));
        let same = |a: &[f32], b: &[f32]| a.iter().zip(b).filter(|(a, b)| a == b).count();
        assert!(same(&inside.0, &outside.0) > 100 && same(&inside.1, &outside.1) > 100);
    }
}
