use illume_core::toml::Table;
use illume_core::{Axis, Dense, Genomes, Purpose, Stream, TaskConfig};

use super::*;
use crate::testing::{evaluate, task};

fn build(task: &str) -> Result<Box<dyn Task>> {
    let (task, policy): (Table, Table) = (task.parse().unwrap(), Table::new());
    crate::build(&TaskConfig {
        task: &task,
        genes: None,
        policy: &policy,
        ranks: 1,
    })
}

/// A task that is nothing but its seed.
struct Dice(TaskSpec);

impl Dice {
    fn task() -> Box<dyn Task> {
        Box::new(Dice(TaskSpec {
            descriptor: vec![Axis::new("x", "", 0.0, 1.0), Axis::new("y", "", 0.0, 1.0)],
            fitness: "luck".into(),
            qd_offset: 1.0,
            ..TaskSpec::new("dice", 3, illume_core::Init::Normal { mean: 0.0, sd: 1.0 })
        }))
    }
}

impl Task for Dice {
    fn spec(&self) -> &TaskSpec {
        &self.0
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        struct Thrown;
        impl Worker for Thrown {
            fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
                for (i, row) in rows.enumerate() {
                    let stream = Stream::new(request.seeds[row], Purpose::Episode, 0, 0);
                    scores.fitness[i] = stream.uniform(0);
                    scores.descriptor[2 * i] = stream.uniform(1);
                    scores.descriptor[2 * i + 1] = stream.uniform(2);
                    scores.steps[i] = request.max_steps.min(100);
                }
            }
        }
        Ok(Box::new(Thrown))
    }
}

/// Status, fitness, descriptor and steps of rows 1 and 2 of three equal genomes.
fn scores(task: &dyn Task, seeds: &[u64; 3], max_steps: u32) -> (Vec<u8>, Vec<f64>, Vec<f64>, Vec<u32>) {
    let (spec, n) = (task.spec(), 2);
    let mut genes = vec![0.0; spec.genome_dim];
    spec.init.draw(&Stream::new(3, Purpose::Init, 0, 0), &mut genes);
    let genomes = Genomes::Dense(Dense {
        dim: genes.len(),
        data: genes.repeat(3),
    });
    let request = Request {
        genomes: &genomes,
        seeds,
        max_steps,
        uncapped: 3..3,
        tests: 3..3,
        normalization: None,
        observed: &[],
        network: None,
    };
    let k = spec.descriptor_dim();
    let (mut status, mut fitness, mut descriptor, mut steps) = (vec![0; n], vec![0.0; n], vec![0.0; n * k], vec![0; n]);
    let mut scores = Scores {
        status: &mut status,
        fitness: &mut fitness,
        descriptor: &mut descriptor,
        steps: &mut steps,
        moments: &mut [],
        measures: &mut [],
        objectives: &mut [],
        trajectories: &mut [],
        features: &mut [],
    };
    task.worker().unwrap().evaluate(&request, 1..3, &mut scores);
    (status, fitness, descriptor, steps)
}

fn wrapped(direction: &str, repeats: usize) -> Box<dyn Task> {
    let direction = direction.into();
    wrap(
        Dice::task(),
        &ScoreParams {
            direction,
            repeats,
            weights: Vec::new(),
            reference: Vec::new(),
        },
    )
    .unwrap()
}

#[test]
fn a_minimized_task_is_worth_minus_its_value_and_says_so() {
    let (plain, minimized) = (Dice::task(), wrapped("minimize", 1));
    let (a, b) = (
        scores(&*plain, &[1, 2, 3], u32::MAX),
        scores(&*minimized, &[1, 2, 3], u32::MAX),
    );
    assert_eq!(b.1, a.1.iter().map(|f| -f).collect::<Vec<_>>());
    assert_eq!((b.0, b.2, b.3), (a.0, a.2, a.3));
    let spec = minimized.spec();
    assert_eq!(
        (spec.fitness.as_str(), spec.qd_offset, spec.minimized),
        ("minus luck", 0.0, true)
    );
    assert!(!wrapped("maximize", 1).spec().minimized);
}

#[test]
fn gradients_of_a_minimized_task_climb_minus_its_value() {
    let gradients = |task: &str| {
        let task = build(task).unwrap();
        let (spec, genes) = (task.spec(), [0.3f32, -0.2, 0.7, 0.1]);
        let mut found = vec![0.0; (1 + spec.descriptor_dim()) * genes.len()];
        spec.gradients.as_ref().unwrap().gradients(&genes, &mut found);
        found
    };
    let (a, b) = (
        gradients("name = \"sphere\"\ndim = 4\n"),
        gradients("name = \"sphere\"\ndim = 4\ndirection = \"minimize\""),
    );
    let (fitness, descriptor) = a.split_at(4);
    assert_eq!(b, [fitness.iter().map(|x| -x).collect(), descriptor.to_vec()].concat());
    assert!(fitness.iter().any(|x| *x != 0.0));
}

#[test]
fn repeats_are_the_mean_of_evaluations_with_seeds_of_their_own_and_the_sum_of_their_steps() {
    let (plain, repeated) = (Dice::task(), wrapped("maximize", 3));
    let seeds = [7, 8, 9];
    let single: Vec<_> = (0..3)
        .map(|repeat| scores(&*plain, &seeds.map(|seed| seed_of(seed, repeat)), u32::MAX))
        .collect();
    assert_eq!(
        single[0],
        scores(&*plain, &seeds, u32::MAX),
        "the first has the row's own seed"
    );
    let (status, fitness, descriptor, steps) = scores(&*repeated, &seeds, u32::MAX);
    assert_ne!(single[0].2, single[1].2);
    assert_eq!(status, [0, 0]);
    for row in 0..2 {
        assert_eq!(fitness[row], single.iter().map(|s| s.1[row]).sum::<f64>() / 3.0);
        assert_eq!(steps[row], single.iter().map(|s| s.3[row]).sum::<u32>());
    }
    for (at, mean) in descriptor.iter().enumerate() {
        assert_eq!(*mean, single.iter().map(|s| s.2[at]).sum::<f64>() / 3.0);
    }
    // A cap is on all steps together.
    assert_eq!(scores(&*repeated, &seeds, 30).3, [30, 30]);
    assert_eq!(repeated.spec().repeats, 3);
}

/// A task of which every evaluation with an odd seed fails.
struct Odd(TaskSpec);

impl Task for Odd {
    fn spec(&self) -> &TaskSpec {
        &self.0
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        struct OddWorker;
        impl Worker for OddWorker {
            fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
                for (i, row) in rows.enumerate() {
                    scores.status[i] = if request.seeds[row] % 2 == 1 {
                        Status::Failed
                    } else {
                        Status::Ok
                    } as u8;
                }
            }
        }
        Ok(Box::new(OddWorker))
    }
}

#[test]
fn a_row_of_which_one_evaluation_failed_has_failed() {
    let spec = TaskSpec::new("odd", 2, illume_core::Init::Normal { mean: 0.0, sd: 1.0 });
    let params = ScoreParams {
        repeats: 4,
        ..ScoreParams::default()
    };
    let task = wrap(Box::new(Odd(spec)), &params).unwrap();
    let whole = |seed: &u64| (0..4).all(|repeat| seed_of(*seed, repeat).is_multiple_of(2));
    let ok = (0..1000).find(whole).unwrap();
    let even = (0..1000).find(|seed| seed % 2 == 0 && !whole(seed)).unwrap();
    assert_eq!(
        scores(&*task, &[0, ok, even], u32::MAX).0,
        [Status::Ok as u8, Status::Failed as u8]
    );
}

#[test]
fn what_cannot_be_is_refused_in_one_sentence() {
    for (task, part) in [
        (
            "name = \"arm\"\nrepeats = 2",
            "task.repeats: expected 1, as task \"arm\" gives the same",
        ),
        ("name = \"arm\"\nrepeats = 0", "task.repeats"),
        ("name = \"hard_maze\"\nrepeats = -1", "task.repeats"),
        ("name = \"hard_maze\"\nrepeats = 2.5", "task.repeats"),
        ("name = \"hard_maze\"\nrepeats = 70000", "task.repeats"),
        ("name = \"hard_maze\"\nrepeat = 2", "did you mean \"repeats\"?"),
        (
            "name = \"hard_maze\"\ndirections = \"minimize\"",
            "did you mean \"direction\"?",
        ),
        ("name = \"hard_maze\"\ndirection = \"min\"", "\"minimize\""),
        ("name = \"hard_maze\"\ndirection = -1", "task.direction"),
        ("name = \"hard_maze\"\ndirection = \"\"", "task.direction"),
    ] {
        let message = build(task).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(part) && !message.contains('\n'), "{task}: {message}");
    }
}

#[test]
fn weights_make_the_fitness_a_sum_of_objectives_which_stay_as_they_are() {
    let plain = task("name = \"zdt1\"\ndim = 3");
    let weighed = task("name = \"zdt1\"\ndim = 3\nweights = [2, 0.5]");
    let genes = [0.25, 0.5, 0.75, 0.0, 1.0, 0.125];
    let (before, after) = (
        evaluate(plain.as_ref(), &genes, 2),
        evaluate(weighed.as_ref(), &genes, 2),
    );
    assert_eq!(before.objectives, after.objectives);
    for (own, [fitness, mean]) in before
        .objectives
        .chunks(2)
        .zip([0, 1].map(|i| [after.fitness[i], before.fitness[i]]))
    {
        assert_eq!([fitness, mean], [2.0 * own[0] + 0.5 * own[1], (own[0] + own[1]) / 2.0]);
    }
    assert_eq!(weighed.spec().qd_offset, 2.0 * 1.1 + 0.5 * 1.1);
    assert_eq!(weighed.spec().fitness, "2 minus_f1 + 0.5 minus_f2");
}
