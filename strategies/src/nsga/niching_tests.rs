use super::*;
use illume_core::Purpose;
use illume_numerics::fronts::sort;

fn draws(generation: u64) -> Stream {
    Stream::new(1, Purpose::Selection, generation, 0)
}

fn close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a - b).abs() <= tolerance * b.abs().max(1.0),
            "{what}: {a} instead of {b}"
        );
    }
}

/// The ideal, the nadir, the niches and the distances to them over generations, where the plane is none as well.
#[test]
fn objectives_are_normalized_and_placed_as_by_pymoo() {
    let (mut niching, mut m) = (Niching::new(2, &[(1, 1.0)]), 2);
    let (mut costs, mut nadir, mut directions) = (Vec::new(), Vec::new(), Vec::new());
    let mut compared = 0;
    let records = include_str!("../../tests/data/nsga.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    for record in records {
        let mut words = record.split(' ');
        let name = words.next().unwrap();
        let values: Vec<f64> = words.map(|word| word.parse().unwrap()).collect();
        match name {
            "begin" => {
                m = values[0] as usize;
                niching = Niching::new(m, &[(values[1] as usize, 1.0)]);
            }
            "generation" => {
                let points: Vec<f64> = values.iter().map(|x| -x).collect();
                let fronts = sort(&Points::new(&points, m));
                nadir = niching.nadir(&Points::new(&values, m), &fronts);
                costs = values;
            }
            "ideal" => close(&niching.ideal, &values, 1e-14, name),
            "nadir" => close(&nadir, &values, 1e-9, name),
            "directions" => directions = values,
            "distances" => {
                for (i, point) in costs.chunks_exact(m).enumerate() {
                    let (niche, distance) = niching.place(point, &nadir);
                    close(&[distance], &values[i..=i], 1e-6, name);
                    let weights = &directions[i * m..(i + 1) * m];
                    let length = weights.iter().map(|w| w * w).sum::<f64>().sqrt();
                    let scaled: Vec<f64> = weights.iter().map(|w| w / length).collect();
                    close(
                        &niching.directions[niche * m..(niche + 1) * m],
                        &scaled,
                        1e-12,
                        "direction",
                    );
                    compared += 1;
                }
            }
            _ => {}
        }
    }
    assert_eq!(compared, 12 * 40);
}

#[test]
fn directions_that_nobody_belongs_to_are_filled_first_and_by_the_nearest() {
    // Niche 0 has two already, 1 has one, 2 has none.
    let niches = [(0, 0.0), (0, 0.1), (1, 0.2), (2, 0.4), (2, 0.3), (2, 0.5)];
    for generation in 0..20 {
        let mut counts = vec![2, 1, 0, 0];
        let chosen = fill(&niches, &mut counts, 4, &draws(generation));
        assert_eq!(chosen[0], 4, "the nearest of niche 2");
        assert_eq!(counts.iter().sum::<usize>(), 3 + 4);
        // Then 1 and 2 have one each, and get one each; then all have two.
        assert!(chosen[1..3].contains(&2) && chosen[1..3].iter().any(|i| *i == 3 || *i == 5));
        assert_eq!(counts[0].max(counts[2]), 3);
    }
    // All are wanted, and none twice.
    let mut all = fill(&niches, &mut [0; 4], 6, &draws(0));
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn equations_are_solved() {
    let found = solve(vec![0.0, 2.0, 4.0, 1.0], 2).unwrap();
    close(&found, &[0.125, 0.5], 1e-15, "x");
    assert!(solve(vec![1.0, 2.0, 2.0, 4.0], 2).is_none_or(|x| x.iter().any(|x| !x.is_finite())));
    assert!(intercepts(&[1.0, 2.0, 2.0, 4.0], &[0.0, 0.0]).is_none());
    // Extreme points on the axes meet them there.
    close(
        &intercepts(&[3.0, 1.0, 1.0, 6.0], &[1.0, 1.0]).unwrap(),
        &[2.0, 5.0],
        1e-12,
        "intercepts",
    );
}

#[test]
fn inner_directions_are_drawn_half_way_to_the_middle() {
    let niching = Niching::new(2, &[(1, 1.0), (1, 0.5)]);
    let expected = [[0.0, 1.0], [1.0, 0.0], [0.25, 0.75], [0.75, 0.25]].map(|[a, b]: [f64; 2]| {
        let length = a.hypot(b);
        [a / length, b / length]
    });
    close(&niching.directions, expected.as_flattened(), 1e-15, "directions");
}
