//! `essa` on a quadratic whose rewards are noisy by minibatch: the noise is common to a generation.

use illume_core::{Purpose, Stream, TaskSpec, block, case_of_seed, test_part_of_seed};

use super::*;
use crate::testing::{Silent, generation, shown, task};

const DIM: usize = 8;
const CASES: usize = 37;

fn with_cases() -> TaskSpec {
    TaskSpec {
        test_cases: CASES,
        init: illume_core::Init::Normal { mean: 0.0, sd: 0.0 },
        ..task(DIM, false)
    }
}

/// The reward of genes on a case that asks for its own target, near a common one; cases of tests are others.
fn on_case(genes: &[f32], case: u64, test: bool) -> f64 {
    let stream = Stream::new(if test { 7 } else { 8 }, Purpose::Text, 0, case);
    let mut noise = [0.0; DIM];
    stream.normals(0, &mut noise);
    let square = |(x, n): (&f32, &f32)| f64::from(x - 1.0 - 0.3 * n).powi(2);
    -genes.iter().zip(&noise).map(square).sum::<f64>()
}

fn score(genes: &[f32], seed: u64, test: bool) -> f64 {
    if test {
        let (part, parts) = test_part_of_seed(seed);
        let cases = block(CASES, part as usize, parts as usize);
        return cases.clone().map(|c| on_case(genes, c as u64, true)).sum::<f64>() / cases.len() as f64;
    }
    on_case(genes, u64::from(case_of_seed(seed)), false)
}

fn on_all(genes: &[f32]) -> f64 {
    (0..CASES as u64).map(|c| on_case(genes, c, true)).sum::<f64>() / CASES as f64
}

/// The strategy after each generation.
fn run(params: &EssaParams, generations: u64, mut each: impl FnMut(u64, &mut Essa, &Context<'_>)) {
    let (spec, comm) = (with_cases(), Silent(0, 1));
    let mut strategy = Essa::new(params, &spec).unwrap();
    for number in 0..generations {
        let context = Context {
            seed: 11,
            generation: number,
            task: &spec,
            comm: &comm,
        };
        let seen = std::cell::RefCell::new(Vec::new());
        generation(
            &mut strategy,
            &context,
            number + 1 == generations,
            &|genes, seed, test| {
                if !test {
                    seen.borrow_mut().push(seed);
                }
                score(genes, seed, test)
            },
        );
        let seeds = seen.into_inner();
        assert!(
            seeds.len() == strategy.optimizer.members() && seeds.iter().all(|s| *s == seeds[0]),
            "one minibatch"
        );
        each(number, &mut strategy, &context);
    }
}

#[test]
fn validation_rises_from_the_start_and_is_that_of_the_mean() {
    for optimizer in ["cma_es", "sep_cma_es"] {
        let params = EssaParams {
            population: 16,
            sigma: 0.2,
            optimizer: optimizer.into(),
            validation_interval: 10,
            ..EssaParams::default()
        };
        let mut validations = Vec::new();
        run(&params, 65, |number, strategy, context| {
            let shown = ["validation", "best_validation"].map(|c| shown(strategy, c));
            let due = (number + 1).is_multiple_of(10) || number == 64;
            if due {
                let solution = strategy.save(context).unwrap().solution.unwrap();
                let genes = solution.get::<f32>("genome").unwrap();
                assert!((shown[0] - on_all(genes)).abs() < 1e-9 && shown[1].is_finite());
                assert_eq!(solution.get::<f64>("fitness").unwrap(), [shown[0]]);
                let best = solution.get::<f32>("best").unwrap();
                assert!((solution.get::<f64>("best_fitness").unwrap()[0] - on_all(best)).abs() < 1e-9);
            } else if let Some(last) = validations.last() {
                assert!(shown[0].to_bits() == f64::to_bits(*last), "stays between validations");
            }
            validations.push(shown[0]);
        });
        let optimum = on_all(&[1.0; DIM]);
        println!("{optimizer}: validation {validations:?}, optimum about {optimum}");
        assert!((validations[0] - on_all(&[0.0; DIM])).abs() < 1e-9, "the start's");
        assert!(
            validations[64] > 0.5 * validations[0] && validations[64] > 2.0 * optimum,
            "{optimizer}"
        );
    }
}

#[test]
fn a_resumed_run_equals_one_that_was_left_alone() {
    let params = EssaParams {
        population: 6,
        validation_interval: 4,
        ..EssaParams::default()
    };
    let mut states = Vec::new();
    run(&params, 9, |_, strategy, context| {
        states.push(strategy.save(context).unwrap())
    });
    let spec = with_cases();
    for stop in [0, 2, 3, 6] {
        let comm = Silent(0, 1);
        let mut strategy = Essa::new(&params, &spec).unwrap();
        for number in stop + 1..9 {
            let context = Context {
                seed: 11,
                generation: number as u64,
                task: &spec,
                comm: &comm,
            };
            if number == stop + 1 {
                strategy.load(&context, &states[stop]).unwrap();
            }
            generation(&mut strategy, &context, number == 8, &score);
            let state = strategy.save(&context).unwrap();
            assert_eq!(
                format!("{state:?}"),
                format!("{:?}", states[number]),
                "from {stop} to {number}"
            );
        }
    }
}

#[test]
fn a_task_without_test_cases_is_refused_and_cma_es_named() {
    let refused = Essa::new(&EssaParams::default(), &task(3, false))
        .err()
        .unwrap()
        .to_string();
    assert!(
        refused.contains("cma_es") && refused.contains("test cases") && refused.contains("strategy.name"),
        "{refused}"
    );
}

#[test]
fn restarts_are_no_key_of_essa() {
    let table: illume_core::toml::Table = "name = \"essa\"\nrestarts = \"ipop\"".parse().unwrap();
    let config = StrategyConfig {
        strategy: &table,
        task: &with_cases(),
        memory: &illume_core::Memory::unlimited(),
    };
    let refused = (ENTRY.build)(&config).err().unwrap().to_string();
    assert!(refused.contains("strategy.restarts: unknown key"), "{refused}");
}

/// A task with bounds, as a user's own may be.
#[test]
fn candidates_lie_in_the_bounds_and_so_does_the_mean() {
    let spec = TaskSpec {
        bounds: Some([-0.1, 0.6]),
        ..with_cases()
    };
    for optimizer in ["cma_es", "sep_cma_es"] {
        let params = EssaParams {
            population: 12,
            optimizer: optimizer.into(),
            ..EssaParams::default()
        };
        let (mut strategy, comm) = (Essa::new(&params, &spec).unwrap(), Silent(0, 1));
        for number in 0..60 {
            let context = Context {
                seed: 4,
                generation: number,
                task: &spec,
                comm: &comm,
            };
            // The optimum lies at 1.
            generation(&mut strategy, &context, number == 59, &|genes, seed, test| {
                assert!(genes.iter().all(|x| (-0.1..=0.6).contains(x)), "{genes:?}");
                score(genes, seed, test)
            });
        }
        let mean = strategy.mean(DIM);
        assert!(mean.iter().all(|x| (0.55..=0.6).contains(x)), "{optimizer}: {mean:?}");
    }
}
