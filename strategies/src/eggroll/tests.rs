use illume_core::{Init, Scratch};

use super::*;
use crate::testing::{Silent, generation, shown};

const SHAPES: [[usize; 2]; 3] = [[5, 7], [20, 3], [1, 33]];
const DIM: usize = 35 + 60 + 33;

fn task() -> TaskSpec {
    TaskSpec {
        matrices: SHAPES.to_vec(),
        test_cases: 1,
        ..TaskSpec::new("matrices", DIM, Init::Normal { mean: 0.0, sd: 1.0 })
    }
}

fn context(task: &TaskSpec, generation: u64) -> Context<'_> {
    Context {
        seed: 9,
        generation,
        task,
        comm: &Silent(0, 1),
    }
}

fn eggroll(params: &str) -> Eggroll {
    let table: illume_core::toml::Table = params.parse().unwrap();
    let params = illume_core::params::read(&table, "strategy", &[]).unwrap();
    Eggroll::new(params, &task()).unwrap()
}

/// Rewards that have nothing to do with one another.
fn noise(genes: &[f32]) -> f64 {
    f64::from(genes[0].to_bits() % 1009) / 1009.0
}

#[test]
fn the_update_is_the_sum_of_the_members_own_matrices() {
    let task = task();
    // Of so many pairs the sums are made in several parts.
    for (rank, population) in [(1, 2200), (1, 6), (3, 800), (0, 50)] {
        let mut strategy = eggroll(&format!(
            "population = {population}\nrank = {rank}\nsigma = 1.0\nlearning_rate = 1.0\nshaping = \"none\"\nvalidation_interval = 0"
        ));
        let mut candidates = Candidates::default();
        strategy.start(&context(&task, 0));
        strategy
            .ask(&context(&task, 5), &crate::testing::NoArchive, &mut candidates)
            .unwrap();
        let before = strategy.center.clone();
        let (mut want, mut scratch) = (vec![0.0; DIM], Scratch::default());
        for member in 0..population {
            let genes = candidates.genomes.genes(member, &mut scratch).to_vec();
            let reward = noise(&genes) / population as f64;
            for ((w, x), c) in want.iter_mut().zip(&genes).zip(&*before) {
                // With sigma 1 what a member differs by is its own matrix.
                *w += reward * (f64::from(*x) - f64::from(*c));
            }
        }
        let score = |genes: &[f32], _, test| if test { 0.0 } else { noise(genes) };
        generation(&mut strategy, &context(&task, 5), false, &score);
        let mut length = 0.0;
        for ((x, b), w) in strategy.center.iter().zip(&*before).zip(&want) {
            let got = f64::from(*x) - f64::from(*b);
            assert!(
                (got - w).abs() < 1e-6,
                "rank {rank}, {population} members: {got}, expected {w}"
            );
            length += w * w / DIM as f64;
        }
        let step = shown(&strategy, "step_size");
        assert!(
            (step - length.sqrt()).abs() < 1e-6 && step > 1e-3,
            "{step} and {length}"
        );
    }
}

#[test]
fn equal_rewards_leave_the_center_exactly_where_it_is() {
    let task = task();
    for shaping in ["z", "centred_rank", "none"] {
        for optimizer in ["sgd", "adam"] {
            for rank in [0, 1, 2] {
                let mut strategy = eggroll(&format!(
                    "population = 10\nrank = {rank}\nshaping = \"{shaping}\"\noptimizer = \"{optimizer}\"\nlearning_rate = 1.0"
                ));
                // A tenth has no exact mean in binary.
                generation(&mut strategy, &context(&task, 0), false, &|_, _, _| 0.1);
                let mut start = eggroll("");
                start.start(&context(&task, 0));
                assert_eq!(strategy.center, start.center, "{shaping}, {optimizer}, rank {rank}");
            }
        }
    }
}

#[test]
fn a_pair_counts_nothing_if_one_of_it_failed_and_z_divides_by_the_deviation() {
    let (ok, failed) = (Status::Ok as u8, Status::Failed as u8);
    let (status, fitness) = ([ok, ok, ok, failed, ok, ok], [1.0, 4.0, 9.0, 0.0, 2.0, 1.0]);
    let sd = deviation(&status, &fitness, mean_and_max(&status, &fitness).0);
    assert!((sd - (45.2f64 / 5.0).sqrt()).abs() < 1e-12, "{sd}");
    assert_eq!(pair_weights("none", sd, &status, &fitness), [-3.0, 0.0, 1.0]);
    assert_eq!(pair_weights("z", 2.0, &status, &fitness), [-1.5, 0.0, 0.5]);
    // Ranks -0.2 (a tie of two), 0.3, 0.5, -0.5, 0.1, -0.2.
    let ranks = pair_weights("centred_rank", sd, &status, &fitness);
    assert!(
        (ranks[0] + 0.5).abs() < 1e-6 && ranks[1] == 0.0 && (ranks[2] - 0.3).abs() < 1e-6,
        "{ranks:?}"
    );
}

/// Minus the squared distance to a matrix of ones, divided by its size.
fn near_ones(genes: &[f32]) -> f64 {
    -genes.iter().map(|x| f64::from(x - 1.0).powi(2)).sum::<f64>() / DIM as f64
}

#[test]
fn it_climbs_to_the_optimum_of_a_quadratic_at_every_rank_and_with_both_optimizers() {
    let task = task();
    for (rank, optimizer, rate) in [(1, "sgd", 0.3), (4, "sgd", 0.3), (0, "sgd", 0.3), (1, "adam", 0.05)] {
        let mut strategy = eggroll(&format!(
            "population = 64\nrank = {rank}\nsigma = 0.05\nlearning_rate = {rate}\noptimizer = \"{optimizer}\"\nvalidation_interval = 0"
        ));
        let score = |genes: &[f32], _, _| near_ones(genes);
        let mut first = f64::NAN;
        for g in 0..150 {
            generation(&mut strategy, &context(&task, g), false, &score);
            first = if g == 0 { near_ones(&strategy.center) } else { first };
        }
        let last = near_ones(&strategy.center);
        assert!(last > first / 20.0, "rank {rank}, {optimizer}: from {first} to {last}");
    }
}

#[test]
fn a_saved_strategy_goes_on_with_the_same_bits_on_any_number_of_threads() {
    let task = task();
    for optimizer in ["sgd", "adam"] {
        let params =
            format!("population = 20\nrank = 2\nsigma = 0.1\nlearning_rate = 0.1\noptimizer = \"{optimizer}\"");
        let score = |genes: &[f32], _, _| noise(genes);
        let run = |strategy: &mut Eggroll, from: u64, threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| (from..from + 3).for_each(|g| generation(strategy, &context(&task, g), false, &score)));
        };
        let mut whole = eggroll(&params);
        run(&mut whole, 0, 1);
        let state = whole.save(&context(&task, 3)).unwrap();
        run(&mut whole, 3, 1);
        let mut resumed = eggroll(&params);
        resumed.load(&context(&task, 3), &state).unwrap();
        run(&mut resumed, 3, 3);
        assert_eq!(whole.center, resumed.center);
        let saved = |s: &Eggroll| format!("{:?}", s.save(&context(&task, 6)).unwrap());
        assert_eq!(saved(&whole), saved(&resumed));
    }
}

#[test]
fn tasks_without_matrices_and_odd_populations_are_refused() {
    let plain = TaskSpec {
        matrices: Vec::new(),
        ..task()
    };
    let error = Eggroll::new(EggrollParams::default(), &plain).unwrap_err().to_string();
    assert!(error.contains("task.search = \"weights\""), "{error}");
    let odd = EggrollParams {
        population: 7,
        ..EggrollParams::default()
    };
    let error = Eggroll::new(odd, &task()).unwrap_err().to_string();
    assert!(
        error.contains("expected an even number (mirrored pairs), got 7"),
        "{error}"
    );
}

/// The rate of the authors' program is for steps of sigma times the square root of the population (`eggroll.py` lines 20 to 25, 50 to 56, 107 and 126).
#[test]
fn updates_are_those_of_the_authors_program_number_by_number() {
    let text = include_str!("../../tests/data/eggroll.txt");
    let numbers = |line: &str| -> Vec<f64> {
        let words = line.split_whitespace().skip(1);
        words.map(|word| word.parse().unwrap()).collect()
    };
    let (mut generations, mut shape, mut rate, mut population) = (0, LowRank::new(1, &[]), 0.0, 0);
    let (mut center, mut pairs, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.lines() {
        match line.split(' ').next().unwrap() {
            "run" => {
                let head = numbers(line);
                population = head[0] as usize;
                shape = LowRank::new(head[1] as usize, &[[head[2] as usize, head[3] as usize]]);
                rate = head[4] * head[5] * head[0].sqrt();
            }
            "start" => center = numbers(line),
            "pair" => pairs.push(numbers(line).iter().map(|x| *x as f32).collect::<Vec<f32>>()),
            "fitness" => {
                let fitness = numbers(line);
                let status = vec![Status::Ok as u8; population];
                weights = pair_weights(
                    "z",
                    deviation(&status, &fitness, mean_and_max(&status, &fitness).0),
                    &status,
                    &fitness,
                );
            }
            "after" => {
                let after = numbers(line);
                let mut step = vec![0.0; shape.genes()];
                for (pair, weight) in pairs.drain(..).zip(&weights) {
                    assert_eq!(pair.len(), shape.numbers());
                    shape.add(&pair, (rate * weight / population as f64) as f32, &mut step);
                }
                for ((c, s), a) in center.iter().zip(&step).zip(&after) {
                    let got = c + f64::from(*s);
                    assert!((got - a).abs() < 2e-6 * a.abs().max(1.0), "{got}, expected {a}");
                }
                center = after;
                generations += 1;
            }
            _ => assert!(line.starts_with('#'), "{line}"),
        }
    }
    assert_eq!(generations, 10);
}
