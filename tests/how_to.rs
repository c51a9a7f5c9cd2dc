//! The programs of docs/how_to, which its pages show: they run, and what they add keeps the engine's promises.

use std::sync::Once;

use illume::archives::GridParams;
use illume::archives::file::{open, read_checkpoint};
use illume::cluster::{Solo, run_ranks};
use illume::core::{ArchiveMut, Comm, Rule, Strategy, Task, TaskConfig};
use illume::strategies::{BatchParams, MapElitesParams, strategy_of_emitters};
use illume::{Budget, Config, Run, Settings, registry};

#[path = "../docs/how_to/own_archive.rs"]
mod own_archive;
#[path = "../docs/how_to/own_emitter.rs"]
mod own_emitter;
#[path = "../docs/how_to/own_strategy.rs"]
mod own_strategy;
#[path = "../docs/how_to/own_task.rs"]
mod own_task;
#[path = "../docs/how_to/own_task_entry.rs"]
mod own_task_entry;

/// The programs write beside themselves: into a temporary folder, not into the tree.
fn elsewhere() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let folder = tempfile::Builder::new().prefix("illume-test-").tempdir().unwrap();
        std::env::set_current_dir(folder.keep()).unwrap();
    });
}

fn task(table: &str) -> Box<dyn Task> {
    let file = format!("[task]\n{table}\n[strategy]\nname = \"map_elites\"");
    registry::task(&Config::parse(&file, "test", &[]).unwrap()).unwrap()
}

fn grid(task: &dyn Task, cells: usize) -> Box<dyn ArchiveMut> {
    let shape = vec![cells, cells];
    let params = GridParams {
        shape,
        ..GridParams::default()
    };
    registry::archive_of("grid", &params, task.spec()).unwrap()
}

fn run_of<'a>(
    task: &'a dyn Task,
    strategy: Box<dyn Strategy>,
    archive: Box<dyn ArchiveMut>,
    generations: u64,
    comm: &'a dyn Comm,
) -> Run<'a> {
    let budget = Budget {
        generations,
        ..Budget::default()
    };
    let settings = Settings {
        seed: 3,
        budget,
        ..Settings::default()
    };
    Run::from_parts(task, strategy, archive, settings, comm).unwrap()
}

fn elites(run: &Run<'_>) -> String {
    format!("{:?}", run.archive().elites().columns())
}

/// Equal elites on one to three ranks, and of a run that goes on from its checkpoint at another number of ranks.
fn keeps_its_promises(task: &dyn Task, parts: impl Fn() -> (Box<dyn Strategy>, Box<dyn ArchiveMut>) + Sync) {
    let folder = tempfile::tempdir().unwrap();
    let half = folder.path().join("half.h5");
    let whole = {
        let (strategy, archive) = parts();
        let mut run = run_of(task, strategy, archive, 9, &Solo);
        while run.generation().unwrap() {
            if run.counters().generation == 4 {
                run.write(&half, true).unwrap();
            }
        }
        assert!(run.metrics().filled > 10, "{:?}", run.metrics());
        elites(&run)
    };
    for ranks in 1..=3 {
        run_ranks(ranks, |comm| {
            for resumed in [false, true] {
                let (strategy, archive) = parts();
                let mut run = run_of(task, strategy, archive, 9, comm);
                if resumed {
                    run.load(&read_checkpoint(&half, comm).unwrap()).unwrap();
                }
                while run.generation().unwrap() {}
                assert_eq!(elites(&run), whole, "{ranks} ranks, resumed: {resumed}");
            }
        });
    }
}

#[test]
fn a_task_of_ones_own_finds_a_way_around_the_hills() {
    elsewhere();
    own_task::main().unwrap();
    let file = open("path.h5".as_ref()).unwrap();
    let found = file.metrics();
    assert!(found.filled > 400 && found.max_fitness > 0.75, "{found:?}");
    let table = "name = \"path\"\npoints = 9".parse().unwrap();
    let policy = toml::Table::new();
    let named = TaskConfig {
        task: &table,
        genes: None,
        policy: &policy,
        ranks: 1,
    };
    let named = (own_task_entry::ENTRY.build)(&named).unwrap();
    assert_eq!((named.spec().name.as_str(), named.spec().genome_dim), ("path", 9));
    let task = own_task::Path::new(11);
    keeps_its_promises(&task, || {
        let params = MapElitesParams::default();
        let strategy = registry::strategy_of("map_elites", &params, task.spec()).unwrap();
        (strategy, grid(&task, 12))
    });
}

#[test]
fn in_an_archive_of_ones_own_only_the_margin_replaces_an_elite() {
    elsewhere();
    own_archive::main().unwrap();
    let file = open("margin.h5".as_ref()).unwrap();
    assert_eq!(file.spec.rule("margin"), Some(&Rule::Number(0.01)));
    let task = task("name = \"arm\"\njoints = 10");
    let made = |margin: f64| {
        let strategy = registry::strategy_of("map_elites", &MapElitesParams::default(), task.spec()).unwrap();
        let archive = own_archive::MarginArchive::new(task.spec(), vec![12, 12], margin).unwrap();
        (strategy, Box::new(archive) as Box<dyn ArchiveMut>)
    };
    keeps_its_promises(task.as_ref(), || made(0.01));
    // Without a margin it is the ordinary grid; each elite of a cell is better than the one before by the margin.
    let run = |(strategy, archive): (Box<dyn Strategy>, Box<dyn ArchiveMut>)| {
        let mut run = run_of(task.as_ref(), strategy, archive, 1, &Solo);
        let mut before: Vec<f64> = run.archive().elites().fitness().to_vec();
        let mut least = f64::INFINITY;
        for _ in 0..30 {
            run.ask().unwrap();
            run.evaluate().unwrap();
            run.tell().unwrap();
            let now = run.archive().elites().fitness();
            let gains = now.iter().zip(&before).map(|(now, before)| now - before);
            least = gains.filter(|gain| *gain > 0.0).fold(least, f64::min);
            before = now.to_vec();
        }
        (elites(&run), least)
    };
    let ordinary = registry::strategy_of("map_elites", &MapElitesParams::default(), task.spec()).unwrap();
    let (ordinary, least) = run((ordinary, grid(task.as_ref(), 12)));
    assert!(least < 0.001, "{least}");
    assert_eq!(run(made(0.0)).0, ordinary);
    let (with_margin, least) = run(made(0.05));
    assert!(least >= 0.05, "{least}");
    assert_ne!(with_margin, ordinary);
}

#[test]
fn an_emitter_of_ones_own_takes_part_in_a_generation() {
    elsewhere();
    own_emitter::main().unwrap();
    let file = open("redraw.h5".as_ref()).unwrap();
    let operators = file.elites.get::<i32>("operator").unwrap();
    for (number, name) in ["random", "iso_line", "redraw"].iter().enumerate() {
        let elites = operators.iter().filter(|o| **o == number as i32).count();
        assert!(number == 0 || elites > 50, "{elites} elites by {name}");
    }
    assert!(file.metrics().coverage > 0.3, "{:?}", file.metrics());
    let task = task("name = \"rastrigin\"\ndim = 6");
    keeps_its_promises(task.as_ref(), || {
        let mut emitters = registry::emitters_of("iso_line", &BatchParams { batch: 20 }, task.spec()).unwrap();
        emitters.push(Box::new(own_emitter::Redraw::new(21, 0.3)));
        (
            strategy_of_emitters("redraw", 0, emitters).unwrap(),
            grid(task.as_ref(), 60),
        )
    });
}

#[test]
fn a_strategy_of_ones_own_climbs_the_sphere() {
    elsewhere();
    own_strategy::main().unwrap();
    let best = open("one_fifth.h5".as_ref()).unwrap().metrics().max_fitness;
    assert!(best > 99.99, "{best}");
    let task = task("name = \"sphere\"\ndim = 6");
    keeps_its_promises(task.as_ref(), || {
        let strategy = own_strategy::OneFifth::new(task.spec(), 20, 2.0);
        (Box::new(strategy), grid(task.as_ref(), 12))
    });
}

#[test]
fn emitters_that_are_none_are_refused_in_one_sentence() {
    let task = task("name = \"sphere\"\ndim = 6");
    let unknown = registry::emitters_of("iso_lime", &BatchParams::default(), task.spec())
        .err()
        .unwrap();
    assert!(unknown.to_string().contains("did you mean \"iso_line\""), "{unknown}");
    let none = strategy_of_emitters("none", 0, Vec::new()).err().unwrap();
    assert!(none.to_string().contains("at least one candidate"), "{none}");
}
