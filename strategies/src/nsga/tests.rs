use super::*;
use crate::testing::{NoArchive, Silent};
use crate::variation::{polynomial_gene, spread};
use illume_core::{Objective, Scratch, toml};

fn task(dim: usize) -> TaskSpec {
    let objective = |name: &str| Objective::new(name, "", [-11.0, 0.0]);
    TaskSpec {
        bounds: Some([0.0, 1.0]),
        objectives: vec![objective("minus f1"), objective("minus f2")],
        ..TaskSpec::new("zdt1", dim, illume_core::Init::Uniform { lower: 0.0, upper: 1.0 })
    }
}

fn strategy(name: &str, text: &str, task: &TaskSpec) -> Result<Box<dyn Strategy>> {
    let entry = crate::registry().iter().find(|entry| entry.name == name).unwrap();
    let strategy: toml::Table = text.parse().unwrap();
    let config = StrategyConfig {
        strategy: &strategy,
        task,
        memory: &illume_core::Memory::alone(1e9),
    };
    crate::build(entry, &config)
}

/// ZDT1, both to be maximized.
fn zdt1(genes: &[f32]) -> [f64; 2] {
    let x: Vec<f64> = genes.iter().map(|x| f64::from(*x)).collect();
    let g = 1.0 + 9.0 * x[1..].iter().sum::<f64>() / (x.len() - 1) as f64;
    [-x[0], -(g * (1.0 - (x[0] / g).sqrt()))]
}

/// One generation on one process; rows for which `fails` says so have failed.
fn generation(strategy: &mut dyn Strategy, task: &TaskSpec, generation: u64, fails: impl Fn(usize) -> bool) -> usize {
    let context = Context {
        seed: 5,
        generation,
        task,
        comm: &Silent(0, 1),
    };
    let mut candidates = Candidates::default();
    strategy.ask(&context, &NoArchive, &mut candidates).unwrap();
    let mut scratch = Scratch::default();
    let scored: Vec<[f64; 2]> = (0..candidates.total)
        .map(|row| {
            if fails(row) {
                [0.0; 2]
            } else {
                zdt1(candidates.genomes.genes(row, &mut scratch))
            }
        })
        .collect();
    let mut rows = Batch::new();
    let status = |row: usize| if fails(row) { Status::Failed } else { Status::Ok } as u8;
    rows.push("status", 1, "", "", (0..candidates.total).map(status).collect());
    rows.push("objectives", 2, "", "", scored.as_flattened().to_vec());
    let told = Told {
        candidates: &candidates,
        rows: &rows,
        moments: &[],
        trajectories: &[],
        report: None,
        last: false,
    };
    assert_eq!(strategy.tell(&context, &told).unwrap(), Next::Generation);
    candidates.total
}

fn population(strategy: &dyn Strategy, task: &TaskSpec) -> Batch {
    let context = Context {
        seed: 5,
        generation: 0,
        task,
        comm: &Silent(0, 1),
    };
    strategy.save(&context).unwrap().table("population").unwrap().clone()
}

/// DEAP's own test (tests/test_algorithms.py): ZDT1 of five genes, 16 individuals, 100 generations; more than 116 of 120.667.
#[test]
fn both_pass_the_gate_of_deap() {
    for (name, text) in [
        ("nsga2", "name = \"nsga2\"\npopulation = 16\ncrossover_rate = 1.0"),
        ("nsga3", "name = \"nsga3\"\npopulation = 16\ndivisions = 12"),
    ] {
        let task = task(5);
        let mut strategy = strategy(name, text, &task).unwrap();
        let evaluations: usize = (0..100)
            .map(|g| generation(strategy.as_mut(), &task, g, |_| false))
            .sum();
        assert_eq!(evaluations, 1600);
        let objectives = population(strategy.as_ref(), &task)
            .get::<f64>("objectives")
            .unwrap()
            .to_vec();
        let volume = illume_numerics::fronts::hypervolume(&Points::new(&objectives, 2), &[-11.0, -11.0]);
        println!("{name}: {volume}");
        assert!(volume > 116.0 && volume < 120.6667, "{name}: {volume}");
    }
}

#[test]
fn twins_are_crowded_where_that_is_wanted() {
    let points = [0.0, 3.0, 1.0, 2.0, 1.0, 2.0, 3.0, 0.0];
    let points = Points::new(&points, 2);
    let mut distance = crowding(&points, &[0, 1, 2, 3]);
    assert!(distance[2] > 0.0);
    crowd_twins(&points, &[0, 1, 2, 3], &mut distance);
    assert_eq!(distance[2], 0.0);
    assert!(distance[1] > 0.0 && distance[0].is_infinite() && distance[3].is_infinite());
}

#[test]
fn who_failed_survives_only_where_there_is_nobody_else() {
    for name in ["nsga2", "nsga3"] {
        let task = task(4);
        let mut strategy = strategy(name, &format!("name = \"{name}\"\npopulation = 12"), &task).unwrap();
        let failed = |table: &Batch| {
            let objectives = table.get::<f64>("objectives").unwrap();
            objectives.chunks(2).filter(|row| row[0].is_nan()).count()
        };
        generation(strategy.as_mut(), &task, 0, |row| row != 3);
        assert_eq!(failed(&population(strategy.as_ref(), &task)), 11, "{name}");
        generation(strategy.as_mut(), &task, 1, |row| row % 2 == 0);
        assert_eq!(failed(&population(strategy.as_ref(), &task)), 5, "{name}");
        generation(strategy.as_mut(), &task, 2, |_| false);
        assert_eq!(failed(&population(strategy.as_ref(), &task)), 0, "{name}");
    }
}

#[test]
fn a_strategy_goes_on_as_if_it_had_not_been_stopped() {
    for name in ["nsga2", "nsga3"] {
        let text = format!("name = \"{name}\"\npopulation = 13");
        let task = task(4);
        let (mut undisturbed, mut stopped) = (
            strategy(name, &text, &task).unwrap(),
            strategy(name, &text, &task).unwrap(),
        );
        for g in 0..5 {
            generation(undisturbed.as_mut(), &task, g, |row| row == 2);
            generation(stopped.as_mut(), &task, g, |row| row == 2);
        }
        let context = Context {
            seed: 5,
            generation: 5,
            task: &task,
            comm: &Silent(0, 1),
        };
        let state = stopped.save(&context).unwrap();
        let mut resumed = strategy(name, &text, &task).unwrap();
        resumed.load(&context, &state).unwrap();
        for g in 5..9 {
            generation(undisturbed.as_mut(), &task, g, |_| false);
            generation(resumed.as_mut(), &task, g, |_| false);
        }
        let of = |strategy: &dyn Strategy| format!("{:?}", strategy.save(&context).unwrap());
        assert_eq!(of(undisturbed.as_ref()), of(resumed.as_ref()), "{name}");
    }
}

/// Children of the ranks' blocks are those of one process, pairs that lie across included.
#[test]
fn children_do_not_depend_on_blocks() {
    let task = task(7);
    let mating = Mating {
        crossover: (0.9, 20.0),
        mutation: (0.3, 20.0),
        bounds: [0.0, 1.0],
    };
    let context = Context {
        seed: 5,
        generation: 3,
        task: &task,
        comm: &Silent(0, 1),
    };
    let living: Vec<f32> = (0..10 * 7).map(|i| (i as f32 * 0.37).fract()).collect();
    let objectives: Vec<f64> = living.chunks(7).flat_map(zdt1).collect();
    let points = Points::new(&objectives, 2);
    let parents = mating::parents(&context, &points, &[1.0; 10], 11);
    assert_eq!(parents.len(), 12);
    let mut whole = vec![0.0; 11 * 7];
    mating.children(&context, &living, &parents, 0, &mut whole);
    for (first, count) in [(0, 3), (3, 5), (8, 3)] {
        let mut part = vec![0.0; count * 7];
        mating.children(&context, &living, &parents, first, &mut part);
        assert_eq!(part, whole[first * 7..(first + count) * 7]);
    }
}

#[test]
fn everyone_meets_two_others_and_the_better_one_becomes_a_parent() {
    let task = task(2);
    // A chain in which each dominates those behind it.
    let chain: Vec<f64> = (0..20).flat_map(|i| [-f64::from(i), -f64::from(i)]).collect();
    let mut times = [0; 20];
    for generation in 0..50 {
        let context = Context {
            seed: 5,
            generation,
            task: &task,
            comm: &Silent(0, 1),
        };
        let parents = mating::parents(&context, &Points::new(&chain, 2), &[1.0; 20], 20);
        assert_eq!(parents.len(), 20);
        assert_eq!(parents.iter().filter(|i| **i == 0).count(), 2, "the best wins both");
        assert!(!parents.contains(&19), "the worst wins none");
        parents.iter().for_each(|i| times[*i as usize] += 1);
    }
    assert!(times.windows(5).all(|w| w[0] >= w[4]), "{times:?}");
}

/// `strategies/tests/data/nsga.txt`.
#[test]
fn genes_are_crossed_and_mutated_as_by_deap_and_survivors_are_those_of_pymoo() {
    let (mut m, mut points) = (2, Vec::new());
    let (mut genes, mut fronts) = (0, 0);
    for record in include_str!("../../tests/data/nsga.txt").lines() {
        let mut words = record.split(' ');
        let name = words.next().unwrap();
        let values = || {
            words
                .clone()
                .map(|word| word.parse::<f64>().unwrap())
                .collect::<Vec<f64>>()
        };
        match name {
            "crossover" => {
                let v = values();
                let found = spread(v[0], v[1], v[2], v[3], [v[4], v[5]]);
                assert!(
                    (found[0] - v[6]).abs() < 1e-12 && (found[1] - v[7]).abs() < 1e-12,
                    "{record}: {found:?}"
                );
                genes += 1;
            }
            "mutation" => {
                let v = values();
                let single = |i: usize| v[i] as f32;
                let found = polynomial_gene(single(0), single(1), single(2), [single(3), single(4)]);
                assert!((f64::from(found) - v[5]).abs() < 3e-7, "{record}: {found}");
                genes += 1;
            }
            "objectives" => m = values()[0] as usize,
            "points" => points = values().iter().map(|x| -x).collect(),
            "crowding" => {
                let expected: Vec<usize> = values().iter().map(|i| *i as usize).collect();
                let mut task = task(2);
                task.objectives = vec![task.objectives[0].clone(); m];
                let setting = Setting {
                    name: "nsga2",
                    population: expected.len(),
                    sized_by: &["population"],
                    crossover: (1.0, 1.0),
                    mating: MatingParams::default(),
                    survival: Survival::Crowding,
                    unique: true,
                };
                let mating = Mating {
                    crossover: (1.0, 1.0),
                    mutation: (0.0, 1.0),
                    bounds: [0.0, 1.0],
                };
                let mut nsga = Nsga::new(setting, mating, &task);
                let (mut found, distances) = nsga.survivors(&points, &Stream::new(1, Purpose::Selection, 0, 0));
                assert_eq!(found.len(), distances.len());
                found.sort_unstable();
                assert_eq!(found, expected);
                fronts += 1;
            }
            _ => {}
        }
    }
    assert_eq!((genes, fronts), (80, 5));
}

#[test]
fn what_does_not_fit_is_refused_in_one_sentence() {
    let mut free = task(4);
    free.bounds = None;
    let mut many = task(4);
    many.objectives = vec![many.objectives[0].clone(); 12];
    for (name, text, task, part) in [
        ("nsga2", "population = 1", &task(4), "population"),
        ("nsga2", "crossover_rate = 1.5", &task(4), "crossover_rate"),
        ("nsga2", "mutation_eta = -1.0", &task(4), "mutation_eta"),
        ("nsga2", "bounds = [1.0, 0.0]", &task(4), "expected [lower, upper]"),
        ("nsga2", "", &free, "has none: expected [lower, upper]"),
        ("nsga2", "population = 16777216", &task(4000), "memory"),
        ("nsga2", "divisions = 3", &task(4), "divisions"),
        ("nsga3", "population = 1", &task(4), "at least 2, or 0"),
        ("nsga3", "divisions = 40", &many, "inner_divisions"),
        ("nsga3", "divisions = 0", &task(4), "divisions"),
    ] {
        let refused = strategy(name, &format!("name = \"{name}\"\n{text}"), task).map(|_| ());
        let message = refused.expect_err(text).to_string();
        assert!(message.contains(part) && !message.contains('\n'), "{text}: {message}");
    }
}
