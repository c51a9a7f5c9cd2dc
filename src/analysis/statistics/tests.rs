use super::*;

/// Rows of a file beside this one, as (first three fields, number).
fn rows(text: &'static str) -> impl Iterator<Item = ([&'static str; 3], f64)> {
    text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        ([fields[0], fields[1], fields[2]], fields[3].parse().unwrap())
    })
}

/// The values of a group of `values.csv`, task by task.
fn tasks(set: &str, group: &str) -> Vec<Vec<f64>> {
    let mut tasks: Vec<(&str, Vec<f64>)> = Vec::new();
    for ([_, _, task], value) in rows(include_str!("values.csv")).filter(|(of, _)| of[..2] == [set, group]) {
        match tasks.iter_mut().find(|(name, _)| *name == task) {
            Some((_, values)) => values.push(value),
            None => tasks.push((task, vec![value])),
        }
    }
    tasks.into_iter().map(|(_, values)| values).collect()
}

fn sample(name: &str, values: &[f64]) -> Sample {
    Sample {
        name: name.into(),
        values: values.to_vec(),
    }
}

/// All tests of `values.csv` by their sets, Holm's correction being over each set.
fn all_tests() -> Vec<(&'static str, Vec<Test>)> {
    let mut sets: Vec<(&str, Vec<&str>)> = Vec::new();
    for ([set, group, _], _) in rows(include_str!("values.csv")) {
        match sets.iter_mut().find(|(name, _)| *name == set) {
            Some((_, groups)) if groups.contains(&group) => {}
            Some((_, groups)) => groups.push(group),
            None => sets.push((set, vec![group])),
        }
    }
    let compared = sets.into_iter().map(|(set, groups)| {
        let samples: Vec<Sample> = groups.iter().map(|g| sample(g, &tasks(set, g)[0])).collect();
        (set, compare(&samples, Against::EachOther, Goal::Maximize))
    });
    compared.collect()
}

#[test]
fn all_numbers_are_those_of_numpy_scipy_statsmodels_and_rliable() {
    let sets = all_tests();
    let mut together: Vec<Test> = sets.iter().flat_map(|(_, tests)| tests.clone()).collect();
    correct(&mut together);
    let mut together = together.iter();
    let mut checked = 0;
    for ([what, set, of], expected) in rows(include_str!("recorded.csv")) {
        let (number, scale) = match of.split_once(' ') {
            None => {
                let values = tasks(set, of);
                let s = Summary::of(&values.iter().map(Vec::as_slice).collect::<Vec<_>>());
                let number = match what {
                    "n" => s.n as f64,
                    "median" => s.spread.median,
                    "lower" => s.spread.quartiles[0],
                    "upper" => s.spread.quartiles[1],
                    "mean" => s.mean,
                    "iqm" => s.iqm,
                    "iqm_low" => s.iqm_interval[0],
                    "iqm_high" => s.iqm_interval[1],
                    other => panic!("{other}"),
                };
                (number, s.spread.high - s.spread.low)
            }
            Some((candidate, baseline)) => {
                let tests = &sets.iter().find(|(name, _)| *name == set).unwrap().1;
                let of = |t: &&Test| t.candidate == candidate && t.baseline == baseline;
                let test = tests.iter().find(of).unwrap();
                let number = match what {
                    "improvement" => test.improvement,
                    "improvement_low" => test.improvement_interval[0],
                    "improvement_high" => test.improvement_interval[1],
                    "p" => test.p,
                    "holm" => test.adjusted_p,
                    "holm_all" => together.next().unwrap().adjusted_p,
                    other => panic!("{other}"),
                };
                (number, 1.0)
            }
        };
        // Other random numbers, and 10,000 resamples of few values, of which a quantile is one or the next.
        let random = what.ends_with("_low") || what.ends_with("_high");
        let allowed = if random { 0.01 * scale } else { 1e-12 * expected.abs() };
        assert!(
            (number - expected).abs() <= allowed,
            "{what} of {of} in {set}: {number}, expected {expected}"
        );
        checked += 1;
    }
    assert_eq!((checked, together.next()), (204, None));
}

/// The definition: every choice of the positions that belong to the first group.
fn by_enumeration(a: &[f64], b: &[f64]) -> f64 {
    let pooled = [a, b].concat();
    let n = pooled.len();
    let twice = |x: f64| {
        pooled
            .iter()
            .map(|&y| usize::from(y < x) + usize::from(y <= x))
            .sum::<usize>()
            + 1
    };
    let ranks: Vec<usize> = pooled.iter().map(|&x| twice(x)).collect();
    let far = |sum: usize| sum.abs_diff(a.len() * (n + 1));
    let seen = far(ranks[..a.len()].iter().sum());
    let choices = (0..1_u32 << n).filter(|c| c.count_ones() as usize == a.len());
    let sums: Vec<usize> = choices
        .map(|c| (0..n).filter(|i| c >> i & 1 == 1).map(|i| ranks[i]).sum())
        .collect();
    sums.iter().filter(|&&sum| far(sum) >= seen).count() as f64 / sums.len() as f64
}

#[test]
fn counting_gives_what_enumerating_all_divisions_gives() {
    let draw = |seed: u64, n: u64, kinds: u64| -> Vec<f64> {
        let stream = illume_core::Stream::new(seed, illume_core::Purpose::Text, 0, n);
        (0..n).map(|i| stream.below(i, kinds) as f64 - 1.0).collect()
    };
    for (seed, (n, m)) in [(1, 1), (1, 7), (2, 2), (3, 3), (4, 6), (7, 5), (8, 8), (5, 5)]
        .into_iter()
        .enumerate()
    {
        for kinds in [1, 2, 3, 6, 1000] {
            let (a, b) = (draw(seed as u64, n, kinds), draw(seed as u64 + 100, m, kinds));
            let (p, exact) = rank_sum::p_value(&a, &b);
            assert!(exact);
            assert!((p - by_enumeration(&a, &b)).abs() < 1e-14, "{a:?} {b:?}");
            assert_eq!(p, rank_sum::p_value(&b, &a).0, "of either side");
        }
    }
}

#[test]
fn the_smallest_p_is_that_of_groups_without_overlap() {
    for (n, p) in [
        (3, 0.1),
        (4, 2.0 / 70.0),
        (5, 2.0 / 252.0),
        (6, 2.0 / 924.0),
        (10, 2.0 / 184_756.0),
    ] {
        let low: Vec<f64> = (0..n).map(f64::from).collect();
        let high: Vec<f64> = low.iter().map(|x| x + 100.0).collect();
        let test = &compare(
            &[sample("low", &low), sample("high", &high)],
            Against::EachOther,
            Goal::Maximize,
        )[0];
        assert!(
            (test.p - p).abs() < 1e-15 && (test.smallest_p() - p).abs() < 1e-15,
            "{test:?}"
        );
        assert_eq!((test.improvement, test.improvement_interval), (1.0, [1.0; 2]));
    }
}

#[test]
fn the_normal_distribution_takes_over_where_counting_ends() {
    let low: Vec<f64> = (0..20).map(f64::from).collect();
    let mut high: Vec<f64> = low.iter().map(|x| x + 7.5).collect();
    let (counted, exact) = rank_sum::p_value(&low, &high);
    assert!(exact);
    high.push(17.2);
    let (near, exact) = rank_sum::p_value(&low, &high);
    assert!(!exact && (near / counted - 1.0).abs() < 0.2, "{counted} {near}");
    assert_eq!(
        rank_sum::p_value(&[1.0; 30], &[1.0; 40]),
        (1.0, false),
        "nothing to rank"
    );
    // Far out, where 1 - Phi would be 0: scipy's number.
    let (low, high): (Vec<f64>, Vec<f64>) = (0..400).map(|i| (f64::from(i), f64::from(i + 400))).unzip();
    let p = rank_sum::p_value(&low, &high).0;
    assert!((p / 2.445_433_067_647_667_4e-132 - 1.0).abs() < 1e-12, "{p:e}");
}

#[test]
fn values_that_are_not_finite_are_missing_and_counted() {
    let values = [3.0, f64::NAN, 1.0, f64::INFINITY, 2.0];
    let s = Summary::of(&[&values]);
    assert_eq!((s.n, s.missing, s.spread.median, s.mean), (3, 2, 2.0, 2.0));
    let with = sample("with", &values);
    let (without, none) = (sample("without", &[3.0, 1.0, 2.0]), sample("none", &[f64::NAN]));
    let other = sample("other", &[4.0, 5.0]);
    let [a, b, c] =
        [with, without, none].map(|s| compare(&[other.clone(), s], Against::Baseline(0), Goal::Maximize)[0].clone());
    assert_eq!((a.n, a.p, a.improvement_interval), (b.n, b.p, b.improvement_interval));
    assert!(c.p.is_nan() && c.improvement.is_nan() && c.adjusted_p.is_nan() && c.n == [2, 0]);
    assert_eq!(serde_json::to_value(&c).unwrap()["p"], serde_json::Value::Null);
    // A test that could not be made does not count among those that Holm corrects for.
    let mut both = [a.clone(), c];
    correct(&mut both);
    assert_eq!(both[0].adjusted_p, a.p);
}

#[test]
fn of_few_values_there_is_a_summary_and_no_interval() {
    let none = Summary::of(&[&[]]);
    assert!(none.n == 0 && none.mean.is_nan() && none.iqm.is_nan() && none.spread.median.is_nan());
    let one = Summary::of(&[&[7.0]]);
    assert_eq!((one.n, one.iqm, one.spread.quartiles), (1, 7.0, [7.0; 2]));
    assert!(one.iqm_interval[0].is_nan() && none.iqm_interval[1].is_nan());
    assert!(Spread::of(vec![1.0, f64::NAN]).low.is_nan());
    assert_eq!(Spread::of(vec![4.0, 1.0, 3.0, 100.0]).median, 3.5);
    assert!(compare(&[sample("a", &[1.0])], Against::EachOther, Goal::Maximize).is_empty());
    assert_eq!(caution(&[]), None);
}

#[test]
fn intervals_depend_on_the_values_alone() {
    let values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6];
    let mut other = values;
    other.reverse();
    let (a, b) = (Summary::of(&[&values]), Summary::of(&[&other]));
    assert_eq!(a, b);
    assert!(a.iqm_interval[0] < a.iqm && a.iqm < a.iqm_interval[1]);
}

#[test]
fn the_candidate_is_better_if_it_is_lower_where_that_is_the_goal() {
    let samples = [
        sample("a", &[1.0, 2.0, 3.0]),
        sample("b", &[0.0, 0.5, 2.5]),
        sample("c", &[9.0]),
    ];
    let names = |tests: &[Test]| -> Vec<String> {
        tests
            .iter()
            .map(|t| format!("{} {}", t.candidate, t.baseline))
            .collect()
    };
    let up = compare(&samples, Against::EachOther, Goal::Maximize);
    let down = compare(&samples, Against::EachOther, Goal::Minimize);
    assert_eq!(names(&up), ["b a", "c a", "c b"]);
    assert_eq!(
        names(&compare(&samples, Against::Baseline(1), Goal::Maximize)),
        ["a b", "c b"]
    );
    for (up, down) in up.iter().zip(&down) {
        assert_eq!((up.p, up.adjusted_p), (down.p, down.adjusted_p));
        assert!((up.improvement + down.improvement - 1.0).abs() < 1e-15);
    }
    assert!((up[0].improvement - 2.0 / 9.0).abs() < 1e-15);
}

#[test]
fn too_few_runs_are_said_once() {
    let group = |name: &str, n: u32| sample(name, &(0..n).map(f64::from).collect::<Vec<_>>());
    let said = |sizes: &[u32]| {
        let samples: Vec<Sample> = sizes
            .iter()
            .enumerate()
            .map(|(i, &n)| group(&format!("g{i}"), n))
            .collect();
        caution(&compare(&samples, Against::EachOther, Goal::Maximize))
    };
    assert_eq!(
        said(&[3, 3]).unwrap(),
        "no difference can be significant at 0.05: the smallest two-sided p of 3 against 3 runs is 0.10; it takes 4 runs of each"
    );
    let three = "no difference can be significant at 0.05: the smallest two-sided p of 4 against 4 runs is 0.029 before Holm's correction for 3 comparisons; it takes 5 runs of each";
    assert_eq!(said(&[4, 4, 4]).unwrap(), three);
    // Three can be enough, against more.
    assert_eq!(said(&[3, 5]), None);
    assert_eq!(said(&[5, 5, 5]), None);
    assert_eq!(
        said(&[10, 10, 1]).unwrap(),
        "g1 and g2 cannot differ significantly at 0.05: the smallest two-sided p of 10 against 1 runs is 0.18"
    );
}
