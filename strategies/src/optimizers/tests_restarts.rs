//! Runs that end, and searches one after another: BIPOP beside pycma's.

use illume_core::{Init, Strategy};

use super::cma_es::tests::step;
use super::cma_es::{CmaEsParams, full};
use super::restarts::{RestartParams, Restarts};
use super::search::Search;
use super::sep_cma_es::{SepCmaEsParams, separable};
use super::*;
use crate::testing::{Silent, shown, task};

fn restarting(restarts: &str) -> RestartParams {
    RestartParams {
        restarts: restarts.into(),
        ..RestartParams::default()
    }
}

fn strategy(name: &str, population: usize, sigma: f64, restarts: &RestartParams, task: &TaskSpec) -> Search {
    let distributions = if name == "cma_es" {
        let params = CmaEsParams {
            population,
            sigma,
            ..CmaEsParams::default()
        };
        full(&params, task)
    } else {
        let params = SepCmaEsParams {
            population,
            sigma,
            ..SepCmaEsParams::default()
        };
        separable(&params, task)
    };
    Search::new(name, distributions.unwrap(), restarts, task.genome_dim)
}

fn sphere(genes: &[f32]) -> f64 {
    -genes.iter().map(|x| f64::from(*x - 0.7).powi(2)).sum::<f64>()
}

/// Without an end, 88 % of 20,000 evaluations on the sphere are of one genome.
#[test]
fn a_law_that_has_converged_ends_its_run_instead_of_repeating_one_genome() {
    let task = task(10, true);
    for name in ["cma_es", "sep_cma_es"] {
        let mut strategy = strategy(name, 0, 0.3, &RestartParams::default(), &task);
        let (mut evaluations, mut ended) = (0, None);
        let evaluated = std::cell::RefCell::new(std::collections::HashMap::<Vec<u32>, u64>::new());
        let most = || *evaluated.borrow().values().max().unwrap() as f64;
        for number in 0..2000 {
            step(&mut strategy, &task, 4, number, &|genes| {
                let bits = genes.iter().map(|x| x.to_bits()).collect();
                *evaluated.borrow_mut().entry(bits).or_default() += 1;
                sphere(genes)
            });
            evaluations += 10;
            if ended.is_none() && strategy.ended().is_some() {
                let why = strategy.ended().unwrap();
                ended = Some((evaluations, most() / evaluations as f64, why));
            }
        }
        let (at, share, why) = ended.expect("the run ends");
        let without = most() / 20_000.0;
        println!(
            "{name}: ended after {at} evaluations, {share:.2} of them one genome; without an end {without:.2}: {why}"
        );
        assert!(at < 4000 && share < 0.15 && without > 0.5, "{at}, {share}, {without}");
        assert!(why.contains("strategy.restarts"), "{why}");
        assert!(shown(&strategy, "best_fitness") > -1e-12);
    }
}

#[test]
fn ipop_doubles_the_members_until_its_restarts_are_over() {
    let task = task(5, true);
    let params = RestartParams {
        max_restarts: 3,
        ..restarting("ipop")
    };
    for name in ["cma_es", "sep_cma_es"] {
        let mut strategy = strategy(name, 6, 0.3, &params, &task);
        let (mut populations, mut restarts, mut stops) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..5000 {
            step(&mut strategy, &task, 1, number, &sphere);
            if restarts.last() != Some(&shown(&strategy, "restart")) {
                populations.push(shown(&strategy, "population"));
                restarts.push(shown(&strategy, "restart"));
                stops.push(shown(&strategy, "stop"));
            }
            if strategy.ended().is_some() {
                break;
            }
        }
        assert_eq!(
            (populations, restarts),
            (vec![6.0, 12.0, 24.0, 48.0], vec![0.0, 1.0, 2.0, 3.0])
        );
        assert!(stops[0] == 0.0 && stops[1..].iter().all(|s| *s > 0.0), "{stops:?}");
        let why = strategy.ended().unwrap();
        assert!(why.starts_with("3 restarts are over"), "{why}");
        let again = strategy.save(&Context {
            seed: 1,
            generation: 0,
            task: &task,
            comm: &Silent(0, 1),
        });
        assert_eq!(again.unwrap().solution.unwrap().get::<f32>("mean").unwrap().len(), 5);
    }
}

/// As pycma does it: the first search counts as one of few members; a search of few follows while such searches have had fewer evaluations.
#[test]
fn bipop_gives_both_kinds_of_laws_as_many_evaluations() {
    let mut restarts = Restarts::new(&restarting("bipop"), 10, 10, false);
    let mut large = Vec::new();
    let (mut small_evaluations, mut large_evaluations) = (0u64, 0u64);
    for distribution in 0.. {
        let run = restarts.run;
        let of_few = distribution > 0 && small_evaluations < large_evaluations;
        let generations = if of_few {
            // To its limit: half of what the large searches had, or what each may have.
            let most = (0.5 * large_evaluations as f64 / run.members as f64).min(8116.0);
            assert!((10..=10 << large.len()).contains(&run.members), "{run:?}");
            assert!((0.01..=1.0).contains(&run.shrunk), "{run:?}");
            most.ceil() as u64
        } else {
            assert!(
                distribution == 0 || run.members == 20 << large.len(),
                "{run:?}, {large:?}"
            );
            assert_eq!(run.shrunk, 1.0);
            300
        };
        for made in 1..=generations {
            let over = restarts.count();
            assert_eq!(
                over.is_some(),
                of_few && made == generations,
                "{run:?}, generation {made}"
            );
        }
        let evaluations = generations * run.members as u64;
        if distribution == 0 || of_few {
            small_evaluations += evaluations;
        } else {
            large.push(run.members);
            large_evaluations += evaluations;
        }
        if !restarts.next(Stop::TolFun, 7) {
            break;
        }
    }
    assert_eq!(large, (1..=9).map(|k| 10usize << k).collect::<Vec<_>>());
    let ratio = small_evaluations as f64 / large_evaluations as f64;
    assert!((0.5..2.0).contains(&ratio), "{ratio}");
    assert!(restarts.ended && restarts.run.number > 18);
}

#[test]
fn a_run_resumed_within_or_between_laws_equals_one_that_was_left_alone() {
    let task = TaskSpec {
        bounds: Some([-2.0, 0.75]),
        ..task(4, true)
    };
    for name in ["cma_es", "sep_cma_es"] {
        for kind in ["none", "ipop", "bipop"] {
            let params = RestartParams {
                max_restarts: 2,
                ..restarting(kind)
            };
            let new = || strategy(name, 5, 0.3, &params, &task);
            let comm = Silent(0, 1);
            let context = |generation| Context {
                seed: 3,
                generation,
                task: &task,
                comm: &comm,
            };
            let mut undisturbed = new();
            let mut states = Vec::new();
            for number in 0..2000 {
                step(&mut undisturbed, &task, 3, number, &sphere);
                states.push((
                    shown(&undisturbed, "restart"),
                    undisturbed.save(&context(number)).unwrap(),
                ));
                if undisturbed.ended().is_some() {
                    break;
                }
            }
            let distributions = states.last().unwrap().0;
            assert!(
                if kind == "none" {
                    distributions == 0.0
                } else {
                    distributions >= 2.0
                },
                "{name}, {kind}: {distributions} restarts"
            );
            // The generation after each restart, the one before, and some others.
            let turns = (1..states.len()).filter(|i| states[*i].0 != states[i - 1].0);
            let mut stops: Vec<usize> = turns.flat_map(|i| [i - 2, i - 1, i]).collect();
            stops.extend([0, 17, states.len() - 2, states.len() - 1]);
            for stop in stops {
                let mut resumed = new();
                resumed
                    .load(&context(stop as u64 + 1), &without_what_is_empty(&states[stop].1))
                    .unwrap();
                assert_eq!(resumed.ended().is_some(), stop == states.len() - 1);
                for (number, (_, expected)) in states.iter().enumerate().skip(stop + 1).take(60) {
                    step(&mut resumed, &task, 3, number as u64, &sphere);
                    let state = resumed.save(&context(number as u64)).unwrap();
                    let [ours, theirs] = [&state, expected].map(|s| format!("{s:?}"));
                    assert!(
                        ours == theirs,
                        "{name}, {kind}: from {stop} to {number}:\n{ours}\n{theirs}"
                    );
                }
            }
        }
    }
}

/// As files keep a state.
fn without_what_is_empty(state: &State) -> State {
    let mut state = state.clone();
    state.tables.retain(|(_, table)| table.rows() > 0);
    state
}

const GENES: usize = 10;

fn rastrigin(x: &[f32]) -> f64 {
    let term = |x: &f32| {
        let x = f64::from(*x);
        x * x + 10.0 * (1.0 - (std::f64::consts::TAU * x).cos())
    };
    -x.iter().map(term).sum::<f64>()
}

fn schwefel(x: &[f32]) -> f64 {
    let term = |x: &f32| {
        let x = f64::from(*x);
        418.982_887_272_433_8 - x * x.abs().sqrt().sin()
    };
    -x.iter().map(term).sum::<f64>()
}

/// Medians of 15 seeds of pycma 4.5.0, `cma.fmin2(..., restarts=9, bipop=True)`, by `tools/compare_pycma.py`: as it comes, and with the tutorial's
/// numbers for the step size, which ours has.
fn bipop(seeds: u64, range: [f64; 2]) {
    for (name, f, half, bounded, sigma, target, pycma) in [
        (
            "Rastrigin",
            &rastrigin as &dyn Fn(&[f32]) -> f64,
            5.0,
            false,
            2.0,
            1e-8,
            [152_630.0, 100_230.0],
        ),
        (
            "Schwefel",
            &schwefel,
            500.0,
            true,
            1000.0 / 3.0,
            1e-6,
            [111_475.0, 90_921.0],
        ),
    ] {
        let task = TaskSpec {
            init: Init::Uniform {
                lower: -half,
                upper: half,
            },
            bounds: bounded.then_some([-half, half]),
            ..task(GENES, true)
        };
        // Generations of the searches that ended, by criterion.
        let mut ended = std::collections::BTreeMap::<u64, Vec<u64>>::new();
        let mut needed = Vec::new();
        for seed in 1..=seeds {
            let mut strategy = strategy("cma_es", 0, sigma, &restarting("bipop"), &task);
            let (mut evaluations, mut number, mut began) = (0.0, 0, 0);
            let at = loop {
                step(&mut strategy, &task, seed, number, f);
                evaluations += shown(&strategy, "population");
                number += 1;
                if shown(&strategy, "best_fitness") >= -target {
                    break evaluations;
                }
                if evaluations >= 1e6 || strategy.ended().is_some() {
                    break f64::INFINITY;
                }
                if strategy.restarts.run.generations == 0 {
                    ended
                        .entry(shown(&strategy, "stop") as u64)
                        .or_default()
                        .push(number - began);
                    began = number;
                }
            };
            needed.push(at);
        }
        needed.sort_by(f64::total_cmp);
        let found = needed.iter().filter(|e| e.is_finite()).count();
        let quantile = |q: usize| needed[q * (needed.len() - 1) / 4];
        let ratios = pycma.map(|theirs| quantile(2) / theirs);
        println!(
            "{name}: {found} of {seeds} found, median {}, quartiles {} and {}; {ratios:.2?} of pycma's; {needed:?}",
            quantile(2),
            quantile(1),
            quantile(3)
        );
        for (stop, distributions) in ended {
            let (stop, count) = (Stop::of_code(stop).unwrap(), distributions.len() as u64);
            println!(
                "  {stop:?} ended {count} searches, after {} generations in the mean",
                distributions.iter().sum::<u64>() / count
            );
        }
        assert!(found as u64 * 20 >= seeds * 19, "{name}: {found} of {seeds} found");
        assert!(
            (range[0]..range[1]).contains(&ratios[1]),
            "{name}: {ratios:?} of pycma's"
        );
    }
}

#[test]
fn bipop_needs_as_many_evaluations_as_that_of_pycma() {
    bipop(15, [0.5, 2.0]);
}

/// What docs/results.md shows: the medians of 15 seeds, of ours and of pycma, vary by more than the two differ.
#[test]
#[ignore = "a minute"]
fn bipop_of_many_seeds_needs_as_many_evaluations_as_that_of_pycma() {
    bipop(101, [0.5, 2.0]);
}
