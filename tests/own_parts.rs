//! A run put together in Rust: parts of one's own or of the registries, and candidates that are evaluated elsewhere.

use illume::archives::GridParams;
use illume::cluster::Solo;
use illume::core::{Next, Scratch, Task};
use illume::strategies::MapElitesParams;
use illume::{Budget, Config, Run, Settings, registry};

const ARM: &str = "seed = 5\n[task]\nname = \"arm\"\njoints = 7\n[strategy]\nname = \"map_elites\"\nbatch = 40\n\
                   [archive]\nshape = [9, 8]\n[budget]\ngenerations = 12\n";

fn of_parts(task: &dyn Task) -> Run<'_> {
    let batch = MapElitesParams {
        batch: 40,
        ..MapElitesParams::default()
    };
    let strategy = registry::strategy_of("map_elites", &batch, task.spec()).unwrap();
    let grid = GridParams {
        shape: vec![9, 8],
        ..GridParams::default()
    };
    let archive = registry::archive_of("grid", &grid, task.spec()).unwrap();
    let budget = Budget {
        generations: 12,
        ..Budget::default()
    };
    let settings = Settings {
        seed: 5,
        budget,
        ..Settings::default()
    };
    Run::from_parts(task, strategy, archive, settings, &Solo).unwrap()
}

fn elites(run: &Run<'_>) -> String {
    format!("{:?}", run.archive().elites().columns())
}

#[test]
fn a_run_of_parts_is_that_of_the_configuration() {
    let config = Config::parse(ARM, "arm", &[]).unwrap();
    let task = registry::task(&config).unwrap();
    let mut configured = Run::new(&config, task.as_ref(), &Solo).unwrap();
    let mut own = of_parts(task.as_ref());
    while configured.generation().unwrap() {}
    while own.generation().unwrap() {}
    assert_eq!(elites(&own), elites(&configured));
    assert!(own.metrics().filled > 30, "{:?}", own.metrics());
    // Its file opens, whose configuration is the settings.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.h5");
    own.write(&path, false).unwrap();
    let file = illume::archives::file::open(&path).unwrap();
    assert_eq!(file.rows(), own.metrics().filled as usize);
    assert!(
        file.attributes.config.contains("generations = 12"),
        "{}",
        file.attributes.config
    );
}

#[test]
fn candidates_may_be_evaluated_elsewhere() {
    let config = Config::parse(ARM, "arm", &[]).unwrap();
    let task = registry::task(&config).unwrap();
    let (mut inside, mut outside) = (of_parts(task.as_ref()), of_parts(task.as_ref()));
    let negated = |genes: &[f32]| -> (f64, [f64; 2]) {
        let mean = genes.iter().sum::<f32>() / genes.len() as f32;
        (
            f64::from(-(mean - 0.3).abs()),
            [f64::from(genes[0]), f64::from(genes[1])],
        )
    };
    let mut scratch = Scratch::default();
    for generation in 0..12 {
        assert!(inside.generation().unwrap());
        let candidates = outside.ask().unwrap();
        let (mut fitness, mut descriptor) = (Vec::new(), Vec::new());
        for row in 0..candidates.block.len() {
            let (f, d) = negated(candidates.genomes.genes(row, &mut scratch));
            fitness.push(if row == 3 { f64::NAN } else { f });
            descriptor.extend(d);
        }
        let short = outside.score(&fitness[1..], &descriptor).unwrap_err().to_string();
        assert!(
            short.contains("40 candidates need 40 numbers of fitness and 80"),
            "{short}"
        );
        outside.score(&fitness, &descriptor).unwrap();
        assert_eq!(outside.tell().unwrap(), Next::Generation);
        assert_eq!(
            (outside.counters().generation, outside.counters().invalid),
            (generation + 1, generation + 1)
        );
    }
    assert_eq!(outside.counters().evaluations, inside.counters().evaluations);
    let (filled, best) = (outside.metrics().filled, outside.metrics().max_fitness);
    assert!(filled > 20 && best > -0.05, "{filled} filled, best {best}");
    assert!(!outside.generation().unwrap(), "the budget is used up");
}

#[test]
fn the_archive_of_a_program_of_its_own_is_looked_at_but_not_evaluated_again() {
    let config = Config::parse(ARM, "test", &[]).unwrap();
    let task = registry::task(&config).unwrap();
    let mut run = of_parts(task.as_ref());
    while run.generation().unwrap() {}
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.h5");
    run.write(&path, false).unwrap();
    let illume = |command: &str| {
        let mut illume = std::process::Command::new(env!("CARGO_BIN_EXE_illume"));
        illume.arg(command).arg(&path).output().unwrap()
    };
    for command in ["info", "plot", "report"] {
        assert!(illume(command).status.success(), "{command}");
    }
    for command in ["eval", "replay", "distill"] {
        let ended = illume(command);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{command}: {said}");
        assert!(
            said.contains("whose task has no name here") && said.lines().count() == 1,
            "{said}"
        );
    }
}

#[test]
fn wrong_parts_are_refused_in_one_sentence() {
    let config = Config::parse(ARM, "arm", &[]).unwrap();
    let task = registry::task(&config).unwrap();
    let refused = |message: String, part: &str| assert!(message.contains(part) && !message.contains('\n'), "{message}");
    let strategy = |name: &str, params: toml::Table| {
        registry::strategy_of(name, &params, task.spec())
            .err()
            .unwrap()
            .to_string()
    };
    refused(strategy("map_elite", toml::Table::new()), "did you mean \"map_elites\"");
    refused(strategy("map_elites", "batch = 0".parse().unwrap()), "from 1");
    refused(strategy("map_elites", "size = 3".parse().unwrap()), "unknown key");
    let archive = |kind: &str, params: toml::Table| {
        registry::archive_of(kind, &params, task.spec())
            .err()
            .unwrap()
            .to_string()
    };
    refused(archive("grit", toml::Table::new()), "did you mean \"grid\"");
    refused(archive("grid", "shape = [3]".parse().unwrap()), "2 axes");
}
