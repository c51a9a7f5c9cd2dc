//! What runs begin with (`[start]`), and what archives and tasks can be told: centroids, QD offset, direction, repeats.

mod common;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::{arg, assert_equal_runs, finish, folder, open, run, write_config};
use illume::archives::file::ArchiveFile;
use illume::cluster::Solo;
use illume::core::toml::Table;
use illume::core::{Genomes, Scratch};
use illume::{Config, Run};

/// Runs a configuration in a folder; its run directory.
#[track_caller]
fn ran(folder: &Path, name: &str, text: &str) -> PathBuf {
    let dir = folder.join(name);
    let config = write_config(folder, text);
    run(1, &["run", arg(&config), "--out", arg(&dir)]).succeeded();
    dir
}

fn archive(dir: &Path) -> ArchiveFile {
    open(&dir.join("archive.h5"))
}

/// An array of numpy, `[rows, width]` of f32.
fn npy(path: &Path, width: usize, values: &[f32]) {
    let shape = (values.len() / width, width);
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape:?}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    values.iter().for_each(|x| bytes.extend(x.to_le_bytes()));
    fs::write(path, bytes).unwrap();
}

/// Genes of all elites, a row for each.
fn genes_of(file: &ArchiveFile) -> Vec<Vec<f32>> {
    let genomes = file.genomes(0..file.rows()).unwrap();
    let row = |i| genomes.genes(i, &mut Scratch::default()).to_vec();
    (0..file.rows()).map(row).collect()
}

const OLD: &str = "seed = 3\n[task]\nname = \"arm\"\njoints = 6\n[strategy]\nname = \"map_elites\"\nbatch = 100\nline_sigma = 0.2\n\
                   [archive]\nshape = [12, 12]\n[budget]\ngenerations = 30\n";

fn new(start: &str, strategy: &str, archive: &str, generations: usize) -> String {
    format!(
        "seed = 8\n[task]\nname = \"arm\"\njoints = 6\n[strategy]\n{strategy}\n[archive]\n{archive}\n[start]\n{start}\n\
         [budget]\ngenerations = {generations}\n"
    )
}

#[test]
fn elites_of_an_archive_are_the_first_candidates_in_whatever_archive() {
    let folder = folder();
    let old = ran(folder.path(), "old", OLD);
    let found = archive(&old);
    let known: HashSet<Vec<u32>> = genes_of(&found)
        .iter()
        .map(|g| g.iter().map(|x| x.to_bits()).collect())
        .collect();
    let map_elites = "name = \"map_elites\"\nbatch = 30";
    for (name, strategy, division) in [
        ("grid", map_elites, "shape = [5, 9]"),
        ("cvt", map_elites, "kind = \"cvt\"\ncells = 60\nsamples = 2000"),
        ("dns", map_elites, "kind = \"dns\"\ncapacity = 80"),
        (
            "unstructured",
            "name = \"cma_me\"\nrankers = [\"novelty\"]\nemitters = 2\nbatch = 8",
            "probability = 1.0",
        ),
        (
            "cma_me",
            "name = \"cma_me\"\nemitters = 2\nbatch = 8",
            "shape = [12, 12]",
        ),
        ("me_es", "name = \"me_es\"\npopulation = 6", "shape = [12, 12]"),
    ] {
        let text = new(&format!("archive = \"{}\"", arg(&old)), strategy, division, 1);
        let file = archive(&ran(folder.path(), name, &text));
        let start = file.attributes.operators.iter().position(|o| o == "start").unwrap() as i32;
        let operators = file.elites.get::<i32>("operator").unwrap();
        let begun: Vec<usize> = (0..file.rows()).filter(|&row| operators[row] == start).collect();
        let others = if name == "me_es" { 7 } else { 0 };
        assert_eq!(file.attributes.evaluations as usize, found.rows() + others, "{name}");
        assert!(begun.len() > 20, "{name}: {}", begun.len());
        let rows = genes_of(&file);
        let bits = |row: usize| rows[row].iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
        assert!(begun.iter().all(|&row| known.contains(&bits(row))), "{name}");
        assert_eq!(
            file.metrics().max_fitness,
            found.metrics().max_fitness,
            "{name}: the best of them is there"
        );
    }
}

#[test]
fn a_first_generation_is_filled_up_at_random_and_takes_so_many_as_it_is_told() {
    let folder = folder();
    let old = ran(folder.path(), "old", OLD);
    let best = archive(&old).metrics().max_fitness;
    for (most, evaluations) in [(5, 40), (60, 60)] {
        let start = format!("archive = \"{}\"\nmost = {most}", arg(&old.join("archive.h5")));
        let file = archive(&ran(
            folder.path(),
            &format!("most{most}"),
            &new(&start, "name = \"map_elites\"\nbatch = 40", "shape = [200, 200]", 1),
        ));
        assert_eq!(file.attributes.evaluations, evaluations);
        let operators = file.elites.get::<i32>("operator").unwrap();
        let start = file.attributes.operators.iter().position(|o| o == "start").unwrap() as i32;
        assert_eq!(operators.iter().filter(|o| **o == start).count(), most);
        assert_eq!(file.metrics().max_fitness, best);
    }
}

#[test]
fn lineages_of_an_archive_are_decoded() {
    let folder = folder();
    let strategy = "name = \"deep_ga\"\npopulation = 60\nparents = 5\nsigma = 0.05";
    let old = OLD.replace("name = \"map_elites\"\nbatch = 100\nline_sigma = 0.2", strategy);
    let old = ran(folder.path(), "old", &old);
    assert!(archive(&old).lineage);
    let text = new(
        &format!("archive = \"{}\"", arg(&old)),
        "name = \"map_elites\"\nbatch = 10",
        "shape = [12, 12]",
        1,
    );
    let (found, file) = (archive(&old), archive(&ran(folder.path(), "new", &text)));
    assert_eq!(
        file.elites.get::<f64>("fitness").unwrap(),
        found.elites.get::<f64>("fitness").unwrap()
    );
    assert_eq!(
        file.elites.get::<i64>("cell").unwrap(),
        found.elites.get::<i64>("cell").unwrap()
    );
}

/// What a run asks for in its generation number `generation`, from 0.
fn asked(text: &str, generation: usize) -> Vec<Vec<f32>> {
    let config = Config::parse(text, "test", &[]).unwrap();
    let task = illume::registry::task(&config).unwrap();
    let comm = Solo;
    let mut run = Run::new(&config, task.as_ref(), &comm).unwrap_or_else(|e| panic!("{e}\n{text}"));
    for _ in 0..generation {
        assert!(run.generation().unwrap());
    }
    let genomes: &Genomes = &run.ask().unwrap().genomes;
    let row = |i| genomes.genes(i, &mut Scratch::default()).to_vec();
    (0..genomes.rows()).map(row).collect()
}

/// Searches of a step size that is next to nothing ask for nothing but their center.
#[test]
fn a_search_begins_at_the_best_of_what_it_is_given() {
    let folder = folder();
    let file = folder.path().join("start.csv");
    fs::write(
        &file,
        "solution_0,solution_1,solution_2,fitness\n0.1,0.2,0.3,-1\n0.25,0.5,0.75,2\n0.4,0.4,0.4,0.5\n",
    )
    .unwrap();
    let (best, second) = ([0.25f32, 0.5, 0.75], [0.4f32; 3]);
    let near = |row: &[f32], center: &[f32]| row.iter().zip(center).all(|(x, c)| (x - c).abs() < 1e-5);
    for (strategy, also) in [
        ("cma_es", ""),
        ("sep_cma_es", ""),
        ("lm_ma_es", ""),
        ("snes", ""),
        ("xnes", ""),
        ("pgpe", ""),
        ("ars", ""),
        ("openai_es", "population = 4"),
        ("ns_es", "population = 4\ncenters = 1"),
    ] {
        let archive = if strategy == "ns_es" {
            "neighbours = 3"
        } else {
            "shape = [5, 5]"
        };
        let text = new(
            &format!("solutions = \"{}\"", arg(&file)),
            &format!("name = \"{strategy}\"\nsigma = 1e-9\n{also}"),
            archive,
            3,
        );
        let text = text.replace("joints = 6", "joints = 3");
        let rows = asked(&text, 0);
        assert!(
            !rows.is_empty() && rows.iter().all(|row| near(row, &best)),
            "{strategy}: {rows:?}"
        );
        let random = text
            .replace("[start]", "[strat]")
            .replace(&format!("solutions = \"{}\"\n", arg(&file)), "")
            .replace("[strat]\n", "");
        assert!(!asked(&random, 0).iter().any(|row| near(row, &best)), "{strategy}");
    }
    // Several centers begin at several.
    let ns_es = "name = \"ns_es\"\npopulation = 4\ncenters = 2";
    let text =
        new(&format!("solutions = \"{}\"", arg(&file)), ns_es, "neighbours = 3", 3).replace("joints = 6", "joints = 3");
    assert_eq!(asked(&text, 0), [best.to_vec(), second.to_vec()]);
    // OpenAI-ES has its center evaluated, and this is in the first archive.
    let text = new(
        &format!("solutions = \"{}\"", arg(&file)),
        "name = \"openai_es\"\npopulation = 4",
        "shape = [5, 5]",
        1,
    );
    let file = archive(&ran(folder.path(), "es", &text.replace("joints = 6", "joints = 3")));
    assert_eq!(genes_of(&file), [best.to_vec()]);
}

/// In the generation after the first, in which what is given is evaluated.
#[test]
fn emitters_begin_at_elites() {
    let folder = folder();
    let file = folder.path().join("start.npy");
    let rows: [[f32; 3]; 3] = [[0.5, -0.25, 1.0], [-1.0, 2.0, 0.5], [3.0, 0.0, -2.0]];
    npy(&file, 3, &rows.concat());
    for (strategy, generation, spread) in [
        ("name = \"cma_me\"\nemitters = 3\nbatch = 4\nsigma = 1e-9", 1, 1e-5),
        ("name = \"cma_mega\"\nemitters = 2\nbatch = 4", 1, 1e-6),
        ("name = \"omg_mega\"\nelites = 6\niso_sigma = 0.0", 1, 1e-6),
        (
            "name = \"map_elites\"\nbatch = 3\niso_sigma = 0.0\nline_sigma = 0.0",
            1,
            1e-6,
        ),
        (
            "name = \"multi_emitter\"\nactive = 1\nemitters = [{ kind = \"evolution_strategy\", batch = 4, sigma = 1e-9 }, { kind = \"evolution_strategy\", batch = 4, sigma = 1e-9 }]",
            1,
            1e-5,
        ),
    ] {
        let text = new(
            &format!("solutions = \"{}\"", arg(&file)),
            strategy,
            "shape = [20, 20]",
            3,
        );
        let text = text.replace("name = \"arm\"\njoints = 6", "name = \"sphere\"\ndim = 3");
        assert_eq!(asked(&text, 0)[..3], rows.map(|row| row.to_vec()), "{strategy}");
        let then = asked(&text, generation);
        let near = |row: &Vec<f32>| {
            rows.iter()
                .any(|known| row.iter().zip(known).all(|(x, c)| (x - c).abs() < spread))
        };
        assert!(then.iter().all(near), "{strategy}: {then:?}");
    }
}

#[test]
fn solutions_are_values_of_genes_and_archives_hold_their_coordinates() {
    let folder = folder();
    let file = folder.path().join("start.csv");
    fs::write(&file, "speed,gain,teeth\n2.5,-1.0,3\n-4.0,0.5,9\n").unwrap();
    let task = "[task]\nname = \"sphere\"\ndim = 3\n";
    let genes = "[[task.genes]]\nname = \"speed\"\nlower = -5.0\nupper = 5.0\n[[task.genes]]\nname = \"gain\"\nlower = -2.0\nupper = 2.0\n\
                 [[task.genes]]\nname = \"teeth\"\nkind = \"integer\"\nlower = 0\nupper = 10\n";
    let rest = |start: &str| {
        format!(
            "[strategy]\nname = \"map_elites\"\nbatch = 2\n[archive]\nshape = [20, 20]\n[start]\n{start}\n[budget]\ngenerations = 1\n"
        )
    };
    let solutions = rest(&format!("solutions = \"{}\"", arg(&file)));
    let plain = archive(&ran(folder.path(), "plain", &format!("{task}{solutions}")));
    let dir = ran(folder.path(), "genes", &format!("{task}{genes}{solutions}"));
    let found = archive(&dir);
    let fitness = |file: &ArchiveFile| file.elites.get::<f64>("fitness").unwrap().to_vec();
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-4) && a.len() == 2;
    assert!(
        near(&fitness(&plain), &fitness(&found)),
        "{:?} {:?}",
        fitness(&plain),
        fitness(&found)
    );
    assert!(genes_of(&found).iter().flatten().all(|gene| (0.0..=1.0).contains(gene)));
    // And from there to another.
    let again = rest(&format!("archive = \"{}\"", arg(&dir)));
    let again = archive(&ran(folder.path(), "again", &format!("{task}{genes}{again}")));
    assert_eq!(fitness(&again), fitness(&found));
    // A value that the gene has not.
    fs::write(&file, "2.5,-1.0,11\n").unwrap();
    let config = write_config(folder.path(), &format!("{task}{genes}{solutions}"));
    let ended = run(1, &["run", arg(&config), "--out", arg(&folder.path().join("bad"))]);
    assert!(
        ended.code() == Some(2)
            && ended
                .stderr
                .contains("gene 2 (\"teeth\") of genome 0 is 11: expected a number from 0 to 10"),
        "{ended}"
    );
}

#[test]
fn a_start_that_is_good_is_a_start_ahead() {
    let folder = folder();
    let file = folder.path().join("start.npy");
    npy(&file, 10, &[2.0f32; 10]);
    let best = |strategy: &str, start: &str| {
        let text = format!(
            "seed = 2\n[task]\nname = \"sphere\"\ndim = 10\n[strategy]\n{strategy}\n[archive]\nshape = [10, 10]\n{start}\
             [budget]\ngenerations = 5\n"
        );
        finish(&text, |run| run.metrics().max_fitness)
    };
    let start = format!("[start]\nsolutions = \"{}\"\n", arg(&file));
    for strategy in [
        "name = \"map_elites\"\nbatch = 20",
        "name = \"cma_es\"\npopulation = 10\nsigma = 0.02",
        "name = \"openai_es\"\npopulation = 10",
        "name = \"cma_me\"\nemitters = 2\nbatch = 8\nsigma = 0.02",
        "name = \"me_es\"\npopulation = 10",
    ] {
        let (without, with) = (best(strategy, ""), best(strategy, &start));
        assert!(with > without, "{strategy}: {with} and {without}");
    }
}

#[test]
fn a_run_that_has_begun_needs_its_start_no_more() {
    let folder = folder();
    let old = ran(folder.path(), "old", OLD);
    for (name, strategy) in [
        ("map_elites", "name = \"map_elites\"\nbatch = 30"),
        (
            "cma_me",
            "name = \"cma_me\"\nemitters = 2\nbatch = 8\nrestart_every = 2",
        ),
        ("cma_es", "name = \"cma_es\"\nrestarts = \"ipop\"\ntol_x = 0.5"),
    ] {
        let copy = folder.path().join(format!("{name}.h5"));
        fs::copy(old.join("archive.h5"), &copy).unwrap();
        let text = |generations| {
            new(
                &format!("archive = \"{}\"", arg(&copy)),
                strategy,
                "shape = [12, 12]",
                generations,
            )
        };
        let whole = ran(folder.path(), &format!("{name}-whole"), &text(12));
        let parts = ran(folder.path(), &format!("{name}-parts"), &text(5));
        fs::remove_file(&copy).unwrap();
        run(1, &["resume", arg(&parts), "--set", "budget.generations=12"]).succeeded();
        assert_equal_runs(&whole, &parts);
        let config = write_config(folder.path(), &text(12));
        let again = folder.path().join("again");
        let ended = run(1, &["run", arg(&config), "--out", arg(&again)]);
        assert!(
            ended.code() == Some(2) && ended.stderr.contains("start.archive"),
            "{ended}"
        );
    }
}

/// Distances to the nearest of four centroids, of which none is at the middle of what it has.
#[test]
fn centroids_of_ones_own_divide_the_archive_and_eval_needs_no_file() {
    let folder = folder();
    let file = folder.path().join("centroids.csv");
    fs::write(&file, "x,y\n0.1,0.1\n0.9,0.2\n0.3,0.8\n0.55,0.5\n").unwrap();
    let text = OLD.replace("shape = [12, 12]", &format!("centroids = \"{}\"", arg(&file)));
    let dir = ran(folder.path(), "run", &text);
    let found = archive(&dir);
    assert_eq!(
        (found.spec.kind.as_str(), found.spec.capacity, found.rows()),
        ("cvt", 4, 4)
    );
    let centroids = [[0.1, 0.1], [0.9, 0.2], [0.3, 0.8], [0.55, 0.5]];
    let (cells, descriptors) = (
        found.elites.get::<i64>("cell").unwrap(),
        found.elites.get::<f64>("descriptor").unwrap(),
    );
    for (cell, d) in cells.iter().zip(descriptors.chunks_exact(2)) {
        let distance = |c: &[f64; 2]| (c[0] - d[0]).hypot(c[1] - d[1]);
        let nearest = (0..4)
            .min_by(|&a, &b| distance(&centroids[a]).total_cmp(&distance(&centroids[b])))
            .unwrap();
        assert_eq!(*cell, nearest as i64);
    }
    // The same as an array of numpy, and gone on with.
    let array = folder.path().join("centroids.npy");
    npy(&array, 2, &[0.125, 0.25, 0.75, 0.5]);
    let text = text.replace(arg(&file), arg(&array));
    let dir = ran(folder.path(), "array", &text);
    run(1, &["resume", arg(&dir), "--set", "budget.generations=35"]).succeeded();
    fs::remove_file(&array).unwrap();
    run(1, &["eval", arg(&dir), "--episodes", "2"]).succeeded();
    let ended = run(1, &["resume", arg(&dir), "--set", "budget.generations=40"]);
    assert!(
        ended.code() == Some(2) && ended.stderr.contains("archive.centroids"),
        "{ended}"
    );
}

#[test]
fn a_qd_offset_of_ones_own_is_that_of_metrics_history_and_file() {
    let folder = folder();
    let own = archive(&ran(
        folder.path(),
        "own",
        &OLD.replace("[budget]", "qd_offset = 2.5\n[budget]"),
    ));
    let tasks = archive(&ran(folder.path(), "tasks", OLD));
    assert_eq!(own.elites, tasks.elites);
    let filled = own.metrics().filled as f64;
    let last = |file: &ArchiveFile| *file.history.get::<f64>("qd_score").unwrap().last().unwrap();
    let expected = last(&tasks) + filled * (2.5 - tasks.spec.qd_offset);
    assert!((last(&own) - expected).abs() < 1e-9 && own.spec.qd_offset == 2.5);
    assert!((own.metrics().qd_score - expected).abs() < 1e-9);
    let config = own.attributes.config.parse::<Table>().unwrap();
    assert_eq!(config["archive"]["qd_offset"].as_float(), Some(2.5));
}

#[test]
fn a_minimized_run_says_so_wherever_its_fitness_is_shown() {
    let folder = folder();
    let text = "[task]\nname = \"sphere\"\ndim = 4\ndirection = \"minimize\"\n[strategy]\nname = \"map_elites\"\nbatch = 50\n\
                iso_sigma = 0.3\n[archive]\nshape = [10, 10]\n[budget]\ngenerations = 20\n";
    let dir = ran(folder.path(), "run", text);
    let found = archive(&dir);
    let fitness = found.elites.get::<f64>("fitness").unwrap();
    let other = archive(&ran(folder.path(), "other", &text.replace("minimize", "maximize")));
    // The optimum of the function is 100, its worst is sought.
    assert!(found.metrics().max_fitness > -other.metrics().max_fitness);
    assert!(fitness.iter().any(|f| *f < 0.0));
    assert!(
        found.attributes.fitness.starts_with("minus "),
        "{}",
        found.attributes.fitness
    );
    let said = run(1, &["info", arg(&dir)]).succeeded();
    assert!(said.contains(&found.attributes.fitness), "{said}");
    assert!(
        !run(1, &["info", arg(&folder.path().join("other"))])
            .succeeded()
            .contains("minus")
    );
    let plot = folder.path().join("map.svg");
    run(1, &["plot", arg(&dir), "-o", arg(&plot)]).succeeded();
    assert!(fs::read_to_string(&plot).unwrap().contains("minus the task's value"));
    // Fresh evaluations give the same.
    let said = run(1, &["eval", arg(&dir), "--episodes", "1", "--json"]).succeeded();
    assert!(said.contains("-"), "{said}");
}

#[cfg(feature = "mujoco")]
#[test]
fn repeats_are_counted_each() {
    let folder = folder();
    let text = "[task]\nname = \"hopper_uni\"\nepisode_length = 20\nreset_noise_scale = 0.1\nrepeats = 4\n[policy]\nhidden = [4]\n\
                [strategy]\nname = \"map_elites\"\nbatch = 10\n[archive]\nshape = [10]\n[budget]\nevaluations = 120\n";
    let dir = ran(folder.path(), "run", text);
    let found = archive(&dir);
    assert_eq!((found.attributes.evaluations, found.attributes.generation), (120, 3));
    let mut command = common::illume(1, &["run"]);
    let config = write_config(folder.path(), &text.replace("evaluations = 120", "evaluations = 30"));
    command.args([arg(&config), "--out", arg(&folder.path().join("few"))]);
    let ended = common::run_command(command);
    assert!(
        ended.code() == Some(2)
            && ended.stderr.contains("at least the 40 evaluations")
            && ended.stderr.contains("task.repeats"),
        "{ended}"
    );
}
