//! What every task promises, checked by walking the registry: nothing new escapes.

// A chunk is a range of rows; a list of one chunk is what is meant.
#![allow(clippy::single_range_in_vec_init)]

use std::ops::Range;
use std::path::Path;

use illume_core::genome::stream_id;
use illume_core::{
    Decoder, Dense, Genomes, Init, Lineages, Normalization, Perturbation, Purpose, Request, Scores, Scratch, Status,
    Stream, Task, TaskConfig, TaskEntry, Trajectory, toml,
};
use illume_envs::{MUJOCO_TASKS, build, registry};

/// Rows that are evaluated, and the steps that episodes are cut to, so that physics stays quick.
const ROWS: usize = 6;
const STEPS: u32 = 30;

#[derive(Debug, Clone, PartialEq)]
struct Results {
    status: Vec<u8>,
    fitness: Vec<f64>,
    descriptor: Vec<f64>,
    steps: Vec<u32>,
    moments: Vec<f64>,
    measures: Vec<f64>,
    objectives: Vec<f64>,
    /// For tasks that act through a network, or are answered in tokens.
    trajectories: Vec<Trajectory>,
    features: Vec<f32>,
}

fn made(entry: &TaskEntry, task: &str, policy: &str) -> illume_core::Result<Box<dyn Task>> {
    let mut table: toml::Table = task.parse().unwrap();
    table.insert("name".into(), entry.name.into());
    build(&TaskConfig {
        task: &table,
        genes: None,
        policy: &policy.parse().unwrap(),
        ranks: 1,
    })
}

/// The `[policy]` of a small network, where there is one.
fn small(entry: &TaskEntry) -> &'static str {
    match (entry.network, entry.policy) {
        (true, _) => "hidden = [8]",
        (false, Some(_)) => "network = \"small\"",
        (false, None) => "",
    }
}

/// Each task with its defaults and a small network; those of language models with a tiny model of their own, that of a program with one.
fn tasks() -> Vec<Box<dyn Task>> {
    let folder = tempfile::tempdir().unwrap();
    let task = |entry: &&TaskEntry| match tiny(folder.path(), entry.name) {
        None if entry.name == "command" => {
            let small: toml::Table = entry.small.parse().unwrap();
            made(entry, &small["task"].as_table().unwrap().to_string(), "")
        }
        Some(table) => build(&TaskConfig {
            task: &table,
            genes: None,
            policy: &toml::Table::new(),
            ranks: 1,
        }),
        None => made(entry, "", small(entry)),
    };
    registry().iter().map(|entry| task(entry).unwrap()).collect()
}

/// The `[task]` of a language model, with its files in a folder.
fn tiny(folder: &Path, name: &str) -> Option<toml::Table> {
    #[cfg(feature = "lm")]
    return name
        .starts_with("lm/")
        .then(|| illume_envs::lm::tiny_task(folder, name).unwrap());
    #[cfg(not(feature = "lm"))]
    {
        let _ = (folder, name);
        None
    }
}

fn genomes(task: &dyn Task, rows: usize) -> Genomes {
    let dim = task.spec().genome_dim;
    let mut data = vec![0.0; rows * dim];
    for (i, genes) in data.chunks_exact_mut(dim).enumerate() {
        task.spec()
            .init
            .draw(&Stream::new(1, Purpose::Init, 0, i as u64), genes);
    }
    Genomes::Dense(Dense { dim, data })
}

fn recorded(task: &dyn Task) -> bool {
    task.spec().network.is_some() || task.spec().test_cases > 0
}

/// Evaluates the rows in the given chunks, each chunk by the worker of its number modulo their count.
fn evaluate(task: &dyn Task, request: &Request<'_>, chunks: &[Range<usize>], workers: usize) -> Results {
    let (k, width) = (task.spec().descriptor_dim(), 2 * task.spec().observation_dim);
    let (m, o) = (task.spec().measures.len(), task.spec().objectives.len());
    let rows = request.genomes.rows();
    let mut r = Results {
        status: vec![0; rows],
        fitness: vec![0.0; rows],
        descriptor: vec![0.0; rows * k],
        steps: vec![0; rows],
        moments: vec![0.0; if request.observed.is_empty() { 0 } else { rows * width }],
        measures: vec![0.0; rows * m],
        objectives: vec![0.0; rows * o],
        trajectories: vec![Trajectory::default(); if recorded(task) { rows } else { 0 }],
        features: vec![0.0; rows * task.spec().features],
    };
    let seen = task.spec().features;
    let mut workers: Vec<_> = (0..workers).map(|_| task.worker().unwrap()).collect();
    let count = workers.len();
    for (i, chunk) in chunks.iter().enumerate() {
        let moments = if r.moments.is_empty() {
            0..0
        } else {
            chunk.start * width..chunk.end * width
        };
        let mut scores = Scores {
            status: &mut r.status[chunk.clone()],
            fitness: &mut r.fitness[chunk.clone()],
            descriptor: &mut r.descriptor[chunk.start * k..chunk.end * k],
            steps: &mut r.steps[chunk.clone()],
            moments: &mut r.moments[moments],
            measures: &mut r.measures[chunk.start * m..chunk.end * m],
            objectives: &mut r.objectives[chunk.start * o..chunk.end * o],
            trajectories: if r.trajectories.is_empty() {
                &mut []
            } else {
                &mut r.trajectories[chunk.clone()]
            },
            features: &mut r.features[chunk.start * seen..chunk.end * seen],
        };
        workers[i % count].evaluate(request, chunk.clone(), &mut scores);
        scores.check_finite();
    }
    r
}

/// What a task says of its rewards, its sizes and the ends of its episodes is what its trajectories show.
#[test]
fn trajectories_add_up_to_the_fitness() {
    for task in tasks().iter().filter(|t| t.spec().network.is_some()) {
        let spec = task.spec();
        let genomes = genomes(task.as_ref(), 4);
        let r = evaluate(task.as_ref(), &request(&genomes, &[1, 2, 3, 4]), &[0..4], 1);
        assert_eq!(
            spec.network.as_ref().unwrap().params(),
            spec.genome_dim,
            "{}",
            spec.name
        );
        for (i, t) in r.trajectories.iter().enumerate() {
            let steps = r.steps[i] as usize;
            let sizes = (t.steps(), t.observations.len(), t.actions.len());
            let expected = (steps, (steps + 1) * spec.observation_dim, steps * spec.action_dim);
            assert_eq!(sizes, expected, "{}", spec.name);
            let sum: f64 = t.rewards.iter().map(|r| f64::from(*r)).sum();
            assert!((sum - r.fitness[i]).abs() < 1e-4 * (1.0 + sum.abs()), "{}", spec.name);
            assert_eq!(t.objectives.len(), steps * spec.objectives.len(), "{}", spec.name);
            assert!(!t.terminated || r.steps[i] <= STEPS, "{}", spec.name);
            let negative = t.rewards.iter().any(|r| *r < 0.0);
            assert!(
                !negative || spec.negative_rewards.is_some(),
                "{} pays below zero",
                spec.name
            );
        }
    }
}

/// The option that a task names for it does keep its rewards from being negative.
#[test]
fn negative_rewards_can_be_switched_off() {
    for entry in registry().iter().filter(|e| e.network) {
        let task = made(entry, "", "hidden = [8]").unwrap();
        let Some(how) = &task.spec().negative_rewards else {
            continue;
        };
        let option = how.strip_prefix("set task.").expect("an option of the task");
        let task = made(entry, option, "hidden = [8]").unwrap();
        assert_eq!(task.spec().negative_rewards, None, "{}: {option}", entry.name);
        let genomes = genomes(task.as_ref(), 4);
        let r = evaluate(task.as_ref(), &request(&genomes, &[1, 2, 3, 4]), &[0..4], 1);
        let rewards = r.trajectories.iter().flat_map(|t| &t.rewards);
        assert!(
            rewards.clone().all(|r| *r >= 0.0) && rewards.count() > 0,
            "{}",
            entry.name
        );
    }
}

fn request<'a>(genomes: &'a Genomes, seeds: &'a [u64]) -> Request<'a> {
    Request {
        genomes,
        seeds,
        max_steps: STEPS,
        uncapped: 0..0,
        tests: 0..0,
        normalization: None,
        observed: &[],
        network: None,
    }
}

#[test]
fn names_are_distinct_and_every_parameter_is_described() {
    let mut names: Vec<_> = registry().iter().map(|e| e.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for name in ["arm", "sphere", "rastrigin", "hard_maze"] {
        assert!(names.contains(&name));
    }
    assert_eq!(
        cfg!(feature = "mujoco"),
        MUJOCO_TASKS.iter().all(|name| names.contains(name))
    );
    for entry in registry() {
        assert!(!entry.summary.is_empty() && !entry.summary.contains('\n'));
        assert!(
            (entry.params)()
                .iter()
                .all(|p| !p.meaning.is_empty() && !p.default.is_empty()),
            "{}",
            entry.name
        );
    }
}

#[test]
fn specs_are_sane() {
    for (task, entry) in tasks().iter().zip(registry()) {
        let spec = task.spec();
        assert_eq!(spec.name, entry.name);
        assert!(spec.genome_dim > 0 && spec.max_steps > 0 && spec.chunk > 0 && !spec.fitness.is_empty());
        assert!(spec.qd_offset.is_finite() && spec.qd_offset >= 0.0);
        for axis in &spec.descriptor {
            assert!(!axis.name.is_empty() && axis.lower < axis.upper, "{axis:?}");
        }
        if let Some([low, high]) = spec.bounds {
            assert!(low < high);
        }
        assert_eq!(entry.network, spec.observation_dim > 0 && spec.action_dim > 0);
        if let Init::Network { layers, .. } = &spec.init {
            assert_eq!(
                (layers[0], layers[layers.len() - 1]),
                (spec.observation_dim, spec.action_dim)
            );
            assert_eq!(
                layers.windows(2).map(|p| (p[0] + 1) * p[1]).sum::<usize>(),
                spec.genome_dim
            );
        } else {
            assert!(!entry.network);
        }
    }
}

#[test]
fn results_depend_on_neither_chunking_nor_worker_nor_what_a_worker_did_before() {
    for task in tasks() {
        let rows = if task.spec().chunk > 1 { 150 } else { ROWS };
        let genomes = genomes(&*task, rows);
        let seeds: Vec<u64> = (0..rows as u64).map(|i| i * 77 + 5).collect();
        let observed: Vec<bool> = (0..rows).map(|i| i % 3 != 1).collect();
        let request = Request {
            observed: &observed,
            network: None,
            ..request(&genomes, &seeds)
        };
        let ones: Vec<_> = (0..rows).map(|i| i..i + 1).collect();
        let uneven = [0..2, 2..rows - 1, rows - 1..rows];
        let backwards: Vec<_> = ones.iter().rev().cloned().collect();
        let whole = evaluate(&*task, &request, std::slice::from_ref(&(0..rows)), 1);
        for (chunks, workers) in [(&ones[..], 1), (&uneven, 1), (&backwards, 3), (&ones, rows)] {
            assert_eq!(
                evaluate(&*task, &request, chunks, workers),
                whole,
                "{}",
                task.spec().name
            );
        }
        let width = 2 * task.spec().observation_dim;
        for (i, moments) in whole.moments.chunks_exact(width.max(1)).enumerate() {
            assert_eq!(
                observed[i],
                moments.iter().any(|m| *m != 0.0),
                "{}: row {i}",
                task.spec().name
            );
        }
    }
}

#[test]
fn threads_agree() {
    for task in tasks() {
        let genomes = genomes(&*task, 3);
        let seeds = [1, 2, 3];
        let alone = evaluate(&*task, &request(&genomes, &seeds), &[0..3], 1);
        let others: Vec<Results> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| evaluate(&*task, &request(&genomes, &seeds), &[0..3], 1)))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(others.iter().all(|r| *r == alone), "{}", task.spec().name);
    }
}

#[test]
fn every_genome_form_scores_as_its_genes_do() {
    for task in tasks() {
        let spec = task.spec();
        let seeds = [1, 2, 3, 4, 5];
        let mut lineages = Lineages::new();
        (0..5).for_each(|i| lineages.push(&[stream_id(0, 1), stream_id(1, i)], &[1.0, 0.1]));
        let (init, bounds) = (spec.init.clone(), spec.bounds);
        let decoder = Decoder {
            seed: 1,
            dim: spec.genome_dim,
            init,
            bounds,
            table: None,
            cache: Default::default(),
        };
        lineages.decoder = Some(decoder.into());
        let Genomes::Dense(center) = genomes(&*task, 1) else {
            unreachable!()
        };
        let center = std::sync::Arc::new(center.data);
        let pairs = Perturbation {
            center,
            sigma: 0.01,
            seed: 1,
            generation: 3,
            first: 1,
            rows: 5,
            members: 5,
            bounds,
            low_rank: None,
        };
        for form in [Genomes::Lineage(lineages), Genomes::Perturbation(pairs)] {
            let mut scratch = Scratch::default();
            let data: Vec<f32> = (0..5).flat_map(|i| form.genes(i, &mut scratch).to_vec()).collect();
            let dense = Genomes::Dense(Dense {
                dim: spec.genome_dim,
                data,
            });
            let expected = evaluate(&*task, &request(&dense, &seeds), &[0..5], 1);
            assert_eq!(
                evaluate(&*task, &request(&form, &seeds), &[0..3, 3..5], 1),
                expected,
                "{}",
                spec.name
            );
        }
    }
}

#[test]
fn a_seed_matters_if_and_only_if_the_task_says_so() {
    for task in tasks() {
        let genomes = genomes(&*task, ROWS);
        let run = |seed: u64| evaluate(&*task, &request(&genomes, &[seed; ROWS]), &[0..ROWS], 1);
        assert_eq!(run(1), run(1));
        assert_eq!(run(1) == run(2), task.spec().deterministic, "{}", task.spec().name);
    }
}

#[test]
fn first_genomes_score_finite_values_within_the_stated_bounds() {
    for task in tasks() {
        let genomes = genomes(&*task, ROWS);
        let r = evaluate(&*task, &request(&genomes, &[7; ROWS]), &[0..ROWS], 1);
        assert_eq!(r.status, [Status::Ok as u8; ROWS], "{}", task.spec().name);
        assert!(r.fitness.iter().chain(&r.descriptor).all(|x| x.is_finite()));
        assert!(
            r.steps
                .iter()
                .all(|s| (1..=STEPS.min(task.spec().max_steps)).contains(s))
        );
        for descriptor in r.descriptor.chunks_exact(task.spec().descriptor_dim().max(1)) {
            for (x, axis) in descriptor.iter().zip(&task.spec().descriptor) {
                assert!(
                    (axis.lower..=axis.upper).contains(x),
                    "{}: {} = {x}",
                    task.spec().name,
                    axis.name
                );
            }
        }
    }
}

#[test]
fn strange_genomes_get_a_status_and_never_a_panic() {
    for task in tasks() {
        for gene in [0.0, -0.0, 1e30, -1e30, f32::MAX, 1e-42, f32::INFINITY, f32::NAN] {
            let dim = task.spec().genome_dim;
            let mut data = vec![gene; 3 * dim];
            data[dim..2 * dim].iter_mut().step_by(2).for_each(|x| *x = -*x);
            let genomes = Genomes::Dense(Dense { dim, data });
            let r = evaluate(&*task, &request(&genomes, &[1, 2, 3]), &[0..3], 1);
            assert!(
                r.fitness.iter().chain(&r.descriptor).all(|x| x.is_finite()),
                "{} of {gene}",
                task.spec().name
            );
            if gene.is_nan() {
                assert!(r.status.iter().all(|s| *s != Status::Ok as u8), "{}", task.spec().name);
            }
            if gene == 0.0 {
                assert_eq!(r.status, [Status::Ok as u8; 3], "{}", task.spec().name);
            }
        }
    }
}

#[test]
fn observations_are_normalized_and_counted_as_the_environment_gave_them() {
    for task in tasks().iter().filter(|t| t.spec().observation_dim > 0) {
        let dim = task.spec().observation_dim;
        let genomes = genomes(&**task, 2);
        let run = |n: Option<&Normalization>| {
            let request = Request {
                normalization: n,
                observed: &[true, false],
                network: None,
                ..request(&genomes, &[3, 4])
            };
            evaluate(&**task, &request, &[0..2], 1)
        };
        let plain = run(None);
        let same = Normalization {
            mean: vec![0.0; dim],
            sd: vec![1.0; dim],
            clip: 1e30,
        };
        assert_eq!(run(Some(&same)), plain);
        // All observations clipped to nothing: the action is constant, and so the raw observations differ.
        let blind = run(Some(&Normalization { clip: 0.0, ..same }));
        assert_ne!(blind.moments, plain.moments, "{}", task.spec().name);
        let (n, sums) = (f64::from(plain.steps[0]), &plain.moments[..2 * dim]);
        for i in 0..dim {
            assert!(
                sums[dim + i] * n >= sums[i] * sums[i] * (1.0 - 1e-9),
                "the variance of observation {i} is negative"
            );
        }
        assert!(plain.moments[2 * dim..].iter().all(|m| *m == 0.0));
    }
}

#[test]
fn an_episode_may_be_cut_short_and_others_beside_it_are_not() {
    for task in tasks().iter().filter(|t| t.spec().max_steps > 1) {
        let genomes = genomes(&**task, 3);
        let alone = evaluate(&**task, &request(&genomes, &[1, 2, 3]), &[0..3], 1);
        let r = evaluate(
            &**task,
            &Request {
                max_steps: 2,
                uncapped: 1..2,
                tests: 2..3,
                ..request(&genomes, &[1, 2, 3])
            },
            &[0..3],
            1,
        );
        let name = &task.spec().name;
        assert_eq!((r.steps[0], r.status[0]), (2, Status::Ok as u8), "{name}");
        assert!(r.steps[1] > 2 && r.steps[1] >= alone.steps[1], "{name}: {:?}", r.steps);
        assert!(r.steps[2] > 2 && r.steps[2] >= alone.steps[2], "{name}: {:?}", r.steps);
    }
}

#[test]
fn wrong_configurations_are_refused_in_one_sentence_that_names_the_key() {
    let message = |r: illume_core::Result<Box<dyn Task>>| r.err().unwrap().to_string();
    for entry in registry() {
        let error = message(made(entry, "colour = 3", ""));
        assert!(
            error.contains("task.colour") && error.contains("unknown key") && !error.contains('\n'),
            "{error}"
        );
        let error = message(made(entry, "", "hiden = [3]"));
        let says = match (entry.network, entry.policy) {
            (true, _) => "did you mean \"hidden\"",
            (false, Some(_)) => "unknown key; accepted: ",
            (false, None) => "acts through no network",
        };
        assert!(error.contains("policy.hiden") && error.contains(says), "{error}");
        for p in (entry.params)() {
            let error = message(made(entry, &format!("{} = {{}}", p.name), ""));
            assert!(
                error.contains(&format!("task.{}", p.name)) && error.contains("expected"),
                "{error}"
            );
        }
    }
    let named = |text: &str| {
        let table: toml::Table = text.parse().unwrap();
        message(build(&TaskConfig {
            task: &table,
            genes: None,
            policy: &toml::Table::new(),
            ranks: 1,
        }))
    };
    assert!(named("name = \"am\"").contains("unknown task \"am\"; did you mean \"arm\"?"));
    assert!(named("name = 3").contains("task.name: expected a string, got 3"));
    assert!(named("").contains("task.name: missing"));
    assert!(named("name = \"arm\"\njoints = -5").contains("task.joints"));
    if !cfg!(feature = "mujoco") {
        assert!(named("name = \"ant_uni\"").contains("task \"ant_uni\" needs a build with feature \"mujoco\""));
    }
    if !cfg!(feature = "lm") {
        assert!(named("name = \"lm/gsm8k\"").contains("task \"lm/gsm8k\" needs a build with feature \"lm\""));
    }
    assert!(named("name = \"lm/gsm\"").contains("did you mean \"lm/gsm8k\"?"));
    if !cfg!(feature = "atari") {
        assert!(named("name = \"atari/pong\"").contains("task \"atari/pong\" needs a build with feature \"atari\""));
    }
    assert!(named("name = \"atari/pomg\"").contains("unknown task \"atari/pomg\"; did you mean \"atari/pong\"?"));
    assert!(named("name = \"pong\"").contains("unknown task \"pong\"; did you mean \"atari/pong\"?"));
}
