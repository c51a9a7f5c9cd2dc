//! A task that a user writes in Rust, run through the library: what becomes of values that are not numbers, of failures, and of
//! descriptors outside their bounds.

mod common;

use common::column;
use common::own::{OwnTask, Score};
use illume::archives::file::read_checkpoint;
use illume::cluster::{Solo, run_ranks};
use illume::core::{Genomes, Status};
use illume::{Config, Run};

/// A good score where the first gene is positive.
fn half_bad(genes: &[f32], descriptor: &mut [f64], bad: (Status, f64, [f64; 2])) -> (Status, f64) {
    let [x, y] = [genes[0], genes[1]].map(f64::from);
    let good = (Status::Ok, x, [x.min(1.0), y.clamp(-1.0, 1.0)]);
    let (status, fitness, place) = if x > 0.0 { good } else { bad };
    descriptor.copy_from_slice(&place);
    (status, fitness)
}

const MAP_ELITES: &str = "name = \"map_elites\"\nbatch = 100\niso_sigma = 0.5";
const DEEP_GA: &str = "name = \"deep_ga\"\npopulation = 100\nparents = 10\nsigma = 0.5";
const OPENAI_ES: &str = "name = \"openai_es\"\npopulation = 100\nsigma = 0.5";

/// Runs ten generations and hands the finished run to `look`.
fn run_own<T>(task: &OwnTask, strategy: &str, archive: &str, look: impl FnOnce(&mut Run<'_>) -> T) -> T {
    let text =
        format!("[task]\nname = \"own\"\n[strategy]\n{strategy}\n[archive]\n{archive}\n[budget]\ngenerations = 10\n");
    let config = Config::parse(&text, "test", &[]).unwrap();
    let mut run = Run::new(&config, task, &Solo).unwrap();
    while run.generation().unwrap() {}
    look(&mut run)
}

#[test]
fn what_is_not_a_number_is_counted_and_never_kept() {
    let bad: [Score; 6] = [
        |g, d| half_bad(g, d, (Status::Ok, f64::NAN, [0.0; 2])),
        |g, d| half_bad(g, d, (Status::Ok, f64::INFINITY, [0.0; 2])),
        |g, d| half_bad(g, d, (Status::Ok, f64::NEG_INFINITY, [0.0; 2])),
        |g, d| half_bad(g, d, (Status::Ok, 1e9, [f64::NAN, 0.0])),
        |g, d| half_bad(g, d, (Status::Ok, 1e9, [0.0, f64::INFINITY])),
        |g, d| half_bad(g, d, (Status::Failed, 1e9, [0.0; 2])),
    ];
    for (i, score) in bad.into_iter().enumerate() {
        // The engine does not rely on tasks to check themselves.
        for checks in [true, false] {
            let task = OwnTask {
                checks,
                ..OwnTask::new(2, 2, score)
            };
            for strategy in [MAP_ELITES, DEEP_GA, OPENAI_ES] {
                run_own(&task, strategy, "shape = [10, 10]", |run| {
                    let what = format!("case {i}, checked by the task: {checks}, {strategy}");
                    let m = run.metrics();
                    assert!(
                        m.max_fitness.is_nan() || m.max_fitness < 100.0,
                        "{what}: best {}",
                        m.max_fitness
                    );
                    assert!(m.qd_score.is_finite(), "{what}: QD score {}", m.qd_score);
                    let invalid = run.counters().invalid;
                    assert!(
                        invalid > 10 && invalid < run.counters().evaluations,
                        "{what}: {invalid} invalid"
                    );
                    let recorded = column(&run.history().batch(), "invalid");
                    assert_eq!(recorded.last(), Some(&(invalid as f64)), "{what}");
                    let kept = run.archive().elites().fitness();
                    assert!(
                        kept.iter().all(|f| f.is_nan() || (*f > 0.0 && *f < 100.0)),
                        "{what}: {kept:?}"
                    );
                    if strategy != OPENAI_ES {
                        assert!(m.filled > 5, "{what}: good ones are kept ({} cells)", m.filled);
                    }
                });
            }
        }
    }
}

#[test]
fn a_task_of_which_nothing_succeeds_runs_to_its_end_with_an_empty_archive() {
    let folder = common::folder();
    for strategy in [MAP_ELITES, DEEP_GA, OPENAI_ES] {
        let task = OwnTask::new(2, 2, |_, _| (Status::Failed, 0.0));
        run_own(&task, strategy, "shape = [10, 10]", |run| {
            assert_eq!((run.counters().generation, run.metrics().filled), (10, 0), "{strategy}");
            assert_eq!(run.counters().invalid, run.counters().evaluations, "{strategy}");
            for checkpoint in [false, true] {
                let path = folder.path().join("empty.h5");
                run.write(&path, checkpoint).unwrap();
                let file = common::open(&path);
                assert_eq!((file.rows(), file.metrics().qd_score), (0, 0.0), "{strategy}");
            }
        });
    }
}

#[test]
fn a_descriptor_outside_its_bounds_is_counted_and_clipped_or_rejected() {
    // Half of the candidates lie outside, and they are the best.
    let task = OwnTask::new(2, 2, |genes, descriptor| {
        let [x, y] = [genes[0], genes[1]].map(f64::from);
        descriptor.copy_from_slice(&[x, y.clamp(-1.0, 1.0)]);
        (Status::Ok, x.abs())
    });
    run_own(&task, MAP_ELITES, "shape = [10, 10]", |run| {
        assert!(run.counters().outside > 100, "{:?}", run.counters());
        assert_eq!(run.counters().invalid, 0);
        assert!(run.metrics().max_fitness > 1.0, "clipped into the cells at the edge");
    });
    for archive in [
        "shape = [10, 10]\noutside = \"reject\"",
        "kind = \"cvt\"\ncells = 50\nsamples = 500\noutside = \"reject\"",
    ] {
        run_own(&task, MAP_ELITES, archive, |run| {
            assert!(run.counters().outside > 100, "{archive}: {:?}", run.counters());
            assert!(
                run.metrics().max_fitness <= 1.0 && run.metrics().filled > 10,
                "{archive}: {:?}",
                run.metrics()
            );
        });
    }
}

#[test]
fn genomes_belong_to_their_scores_where_many_tie() {
    // Fitness and descriptor are functions of the genes: an elite made of two candidates would show.
    let score: Score = |genes, descriptor| {
        descriptor.copy_from_slice(&[f64::from(genes[0]) / 8.0, f64::from(genes[1]) / 8.0]);
        (Status::Ok, f64::from((4.0 * genes[0]).round()))
    };
    let folder = common::folder();
    run_own(&OwnTask::new(2, 2, score), MAP_ELITES, "shape = [12, 12]", |run| {
        let path = folder.path().join("archive.h5");
        run.write(&path, false).unwrap();
        let file = common::open(&path);
        assert!(file.rows() > 20);
        let Genomes::Dense(genomes) = file.genomes(0..file.rows()).unwrap() else {
            panic!("dense genomes")
        };
        let (fitness, descriptor) = (column(&file.elites, "fitness"), column(&file.elites, "descriptor"));
        for (i, genes) in genomes.data.chunks(2).enumerate() {
            let mut place = [0.0; 2];
            let (_, expected) = score(genes, &mut place);
            assert_eq!(
                (fitness[i], &descriptor[2 * i..2 * i + 2]),
                (expected, &place[..]),
                "elite {i}"
            );
        }
    });
}

#[test]
fn a_task_without_a_descriptor_keeps_its_best() {
    let task = OwnTask::new(2, 0, |genes, _| (Status::Ok, -f64::from(genes[0] * genes[0])));
    for strategy in [MAP_ELITES, DEEP_GA, OPENAI_ES] {
        for archive in ["kind = \"grid\"", "kind = \"cvt\""] {
            run_own(&task, strategy, archive, |run| {
                let m = run.metrics();
                assert_eq!((m.filled, m.coverage), (1, 1.0), "{strategy}, {archive}");
                assert!(m.max_fitness > -0.1, "{strategy}, {archive}: {}", m.max_fitness);
            });
        }
    }
}

/// Minibatches and parts of tests are the task's own matter; here it is that ranks share them and that a checkpoint holds all.
#[test]
fn essa_with_its_validation_is_equal_on_any_ranks_and_goes_on_where_it_stopped() {
    let mut task = OwnTask::new(40, 2, |genes, descriptor| {
        descriptor.copy_from_slice(&[f64::from(genes[0]).tanh(), f64::from(genes[1]).tanh()]);
        (
            Status::Ok,
            -genes.iter().map(|x| f64::from(x - 1.0).powi(2)).sum::<f64>(),
        )
    });
    task.spec.test_cases = 21;
    for optimizer in ["cma_es", "sep_cma_es"] {
        let text = format!(
            "[task]\nname = \"own\"\n[strategy]\nname = \"essa\"\npopulation = 10\nvalidation_interval = 3\noptimizer = \"{optimizer}\"\n\
             [archive]\nshape = [10, 10]\n[budget]\ngenerations = 11\n"
        );
        let config = Config::parse(&text, "test", &[]).unwrap();
        let folder = common::folder();
        let path = |name: &str| folder.path().join(name);
        for ranks in 1..=3 {
            run_ranks(ranks, |comm| {
                let mut run = Run::new(&config, &task, comm).unwrap();
                while run.generation().unwrap() {
                    if run.counters().generation == 5 {
                        run.write(&path(&format!("half{ranks}.h5")), true).unwrap();
                    }
                }
                run.write(&path(&format!("whole{ranks}.h5")), true).unwrap();
                let history = run.history().batch();
                let validated = column(&history, "validation");
                assert!(validated[10] > validated[0] + 5.0, "{validated:?}");
                assert_eq!(run.counters().evaluations, 110, "tests are free");
                let mut again = Run::new(&config, &task, comm).unwrap();
                again
                    .load(&read_checkpoint(&path(&format!("half{ranks}.h5")), comm).unwrap())
                    .unwrap();
                while again.generation().unwrap() {}
                again.write(&path(&format!("resumed{ranks}.h5")), true).unwrap();
            });
            for name in ["whole", "resumed"] {
                common::assert_equal_files(&path("whole1.h5"), &path(&format!("{name}{ranks}.h5")));
            }
        }
    }
}
