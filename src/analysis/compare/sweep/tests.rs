use super::*;
use crate::sweep::Timing;

fn configuration(variant: &str, set: &str) -> Configuration {
    Configuration {
        label: format!("{variant} {set}"),
        variant: variant.into(),
        base: false,
        only_confirms: false,
        size: 1.0,
        genome_dim: 1,
        cells: 1,
        set: set
            .split_terminator('\n')
            .map(|line| {
                let (key, value) = line.split_once('=').unwrap();
                (key.to_string(), crate::engine::config::value(value).unwrap())
            })
            .collect(),
        text: set.into(),
    }
}

/// A run at a rung, the last being none.
fn run(rung: Option<usize>, part: Part, score: Option<f64>) -> (Job, Row) {
    let job = Job {
        name: "a".into(),
        id: "a".into(),
        configuration: 0,
        seed: 1,
        evaluations: rung.map(|r| 10 + r as u64),
        part,
    };
    let row = Row {
        status: Status::Done,
        error: String::new(),
        stderr: Vec::new(),
        values: vec![("qd_score".into(), score)],
        timing: Timing::default(),
    };
    (job, row)
}

fn finished<'a>(configuration: &'a Configuration, variant: usize, runs: &'a [(Job, Row)]) -> Finished<'a> {
    Finished {
        configuration,
        variant,
        resolved: configuration.text.parse().unwrap(),
        runs: runs.iter().map(|(job, row)| (job, row)).collect(),
    }
}

#[test]
fn numbers_are_places_by_size_and_all_else_in_the_order_of_the_plan() {
    let table: Table = "v = [20, 1.5, 20.0, 300, -1, 15, 0]\nw = [\"b\", \"a\", true, [1, 2], \"b\"]"
        .parse()
        .unwrap();
    let values = |key: &str| table[key].as_array().unwrap().iter().map(Some).collect::<Vec<_>>();
    let numbers = |values: &[f64], logarithmic| Places::Numbers {
        values: values.to_vec(),
        logarithmic,
    };
    let v = values("v");
    assert_eq!(
        places(&[v[0], v[1], None, v[2]]),
        (numbers(&[1.5, 20.0], true), vec![Some(1), Some(0), None, Some(1)])
    );
    assert_eq!(
        places(&[v[5], v[1]]).0,
        numbers(&[1.5, 15.0], false),
        "no more than a factor of ten"
    );
    assert_eq!(places(&[v[3], v[4]]).0, numbers(&[-1.0, 300.0], false));
    assert_eq!(places(&[v[3], v[6]]).0, numbers(&[0.0, 300.0], false));
    assert_eq!(
        places(&values("w")),
        (
            Places::Names(["b", "a", "true", "[1, 2]"].map(String::from).to_vec()),
            [0, 1, 2, 3, 0].map(Some).to_vec()
        )
    );
}

#[test]
fn keys_are_called_by_their_last_word_where_that_is_clear() {
    let keys = ["strategy.iso_sigma", "archive.seed", "task.seed", "archive.kind"].map(String::from);
    let keys: Vec<&String> = keys.iter().collect();
    let names: Vec<String> = keys.iter().map(|key| spoken(key, &keys)).collect();
    assert_eq!(names, ["iso sigma", "archive seed", "task seed", "archive kind"]);
}

#[test]
fn a_metric_of_an_evaluation_has_the_curve_of_what_was_stored() {
    let known = ["evaluations", "qd_score", "coverage"];
    for (metric, column) in [
        ("coverage", "coverage"),
        ("corrected_coverage", "coverage"),
        ("expected_qd_score_se", "qd_score"),
        ("mean_descriptor_sd", "qd_score"),
    ] {
        let (drawn, note) = measured(metric, &known);
        assert_eq!((drawn, note.is_some()), (column, metric != column), "{metric}");
    }
}

#[test]
fn of_many_configurations_those_are_drawn_that_came_furthest_with_the_best_median() {
    let c = configuration("", "");
    let planned = |scores: &[Option<f64>]| -> Vec<(Job, Row)> {
        scores.iter().map(|score| run(None, Part::Planned, *score)).collect()
    };
    let scores: Vec<Vec<(Job, Row)>> = (0..9)
        .map(|i| planned(&[Some(f64::from(i)), None, Some(9.0 - f64::from(i))]))
        .collect();
    let all: Vec<Finished> = scores.iter().map(|runs| finished(&c, 0, runs)).collect();
    assert_eq!(
        shown(&all[..8], "qd_score", false),
        [0, 1, 2, 3, 4, 5, 6, 7],
        "few: all, as planned"
    );
    let scores: Vec<Vec<(Job, Row)>> = (0..9)
        .map(|i| planned(&[if i == 8 { None } else { Some(f64::from(i)) }]))
        .collect();
    let all: Vec<Finished> = scores.iter().map(|runs| finished(&c, 0, runs)).collect();
    assert_eq!(shown(&all, "qd_score", false), [7, 6, 5, 4, 3, 2]);
    assert_eq!(shown(&all, "qd_score", true), [0, 1, 2, 3, 4, 5]);
    // Successive halving: rungs first; of those that are confirmed the fresh seeds alone.
    let mut scores: Vec<Vec<(Job, Row)>> = (0..9)
        .map(|i| vec![run(Some(0), Part::Rung(0), Some(f64::from(i)))])
        .collect();
    scores[2] = vec![run(Some(1), Part::Rung(1), Some(-1.0))];
    scores[3] = vec![
        run(None, Part::Rung(2), Some(50.0)),
        run(None, Part::Confirms, Some(-3.0)),
    ];
    scores[4] = vec![run(None, Part::Confirms, Some(-2.0))];
    let all: Vec<Finished> = scores.iter().map(|runs| finished(&c, 0, runs)).collect();
    assert_eq!(shown(&all, "qd_score", false), [4, 3, 2, 8, 7, 6]);
}

#[test]
fn what_differs_within_a_variant_is_a_parameter_and_variants_are_where_nothing_else_is() {
    let set = |name: &str, batch: u32| format!("strategy.name=\"{name}\"\nstrategy.batch={batch}");
    let names = ["a", "b"].map(String::from);
    let runs = [
        run(None, Part::Planned, Some(1.0)),
        run(Some(0), Part::Rung(0), Some(2.0)),
        run(None, Part::Planned, None),
    ];
    let made = |cases: &[(usize, u32)]| -> Vec<Configuration> {
        cases
            .iter()
            .map(|&(v, batch)| configuration(&names[v], &set(&names[v], batch)))
            .collect()
    };
    let of = |cases: &[(usize, u32)], drawn| {
        let made = made(cases);
        let all: Vec<Finished> = made
            .iter()
            .zip(cases)
            .map(|(c, (v, _))| finished(c, *v, &runs))
            .collect();
        parameters(&all, &names, "qd_score", drawn)
    };
    let [batch] = &of(&[(0, 10), (0, 20), (1, 10)], false)[..] else {
        panic!()
    };
    assert_eq!((batch.key.as_str(), batch.listed), ("strategy.batch", true));
    // A run without a value has no mark.
    let marks: Vec<(usize, usize, f64, bool)> = batch
        .marks
        .iter()
        .map(|m| (m.place, m.variant, m.value, m.whole))
        .collect();
    assert_eq!(
        marks,
        [
            (0, 0, 1.0, true),
            (0, 0, 2.0, false),
            (1, 0, 1.0, true),
            (1, 0, 2.0, false),
            (0, 1, 1.0, true),
            (0, 1, 2.0, false)
        ]
    );
    let [variant] = &of(&[(0, 10), (1, 20)], false)[..] else {
        panic!()
    };
    assert_eq!(
        (variant.key.as_str(), &variant.places),
        ("variant", &Places::Names(names.to_vec()))
    );
    // Drawn: each value once, or each three times.
    assert!(!of(&[(0, 1), (0, 2), (0, 3), (0, 4)], true)[0].listed);
    assert!(of(&[(0, 1), (0, 1), (0, 1), (0, 2), (0, 2), (0, 2)], true)[0].listed);
}
