//! NSGA-II, NSGA-III and the archive of a front: what they reach on functions whose fronts are known, and what users see of a front.

mod common;

use std::fs;

use common::refused::{assert_refused, tried};
use common::{arg, column, finish, folder, open, run, write_config};
use illume::numerics::fronts::{Equal, Points, hypervolume, inverted_generational_distance, non_dominated};
use serde_json::Value;

/// A configuration of the literature: 25,000 evaluations of 100 individuals, or so many generations.
fn text(task: &str, strategy: &str, budget: &str, seed: u64) -> String {
    format!("seed = {seed}\n[task]\nname = \"{task}\"\n[strategy]\n{strategy}\n[budget]\n{budget}\n")
}

/// The objectives of a finished run's population, and the history's last hypervolume.
fn population(text: &str) -> (Vec<f64>, f64) {
    finish(text, |run| {
        let state = run.state().unwrap();
        let population = state
            .table("population")
            .unwrap()
            .get::<f64>("objectives")
            .unwrap()
            .to_vec();
        let volume = *column(&run.history().batch(), "hypervolume").last().unwrap();
        (population, volume)
    })
}

/// Of a hundred evenly spaced points of the front 0.87203 and 0.53874 (reference 1.1).
#[test]
fn nsga2_reaches_the_fronts_of_zdt1_and_zdt2() {
    for (task, spaced, whole) in [("zdt1", 0.87203, 0.876667), ("zdt2", 0.53874, 0.543333)] {
        for seed in 1..=3 {
            let text = text(task, "name = \"nsga2\"", "evaluations = 25000", seed);
            let (points, archive) = population(&text);
            let points = Points::new(&points, 2);
            let volume = hypervolume(&points, &[-1.1, -1.1]);
            println!(
                "{task}, seed {seed}: {volume:.5}, {:.2} %, archive {archive:.5}",
                100.0 * volume / spaced
            );
            assert_eq!(points.len(), 100);
            assert!(
                volume > 0.99 * spaced && volume < whole,
                "{task}, seed {seed}: {volume}"
            );
            assert!(
                archive > volume - 1e-3 && archive < whole,
                "{task}, seed {seed}: {archive}"
            );
        }
    }
}

/// Of 91 evenly spaced points of the sphere 0.74485 (reference 1.1); the front itself has 0.807401.
#[test]
fn nsga3_fills_the_directions_of_dtlz2() {
    let (points, _) = population(&text("dtlz2", "name = \"nsga3\"", "generations = 250", 1));
    let points = Points::new(&points, 3);
    assert_eq!(points.len(), 92);
    let volume = hypervolume(&points, &[-1.1; 3]);
    // The front where it meets the directions.
    let directions = illume::numerics::fronts::directions(3, 12);
    let front: Vec<f64> = directions
        .chunks(3)
        .flat_map(|w| {
            let length = w.iter().map(|x| x * x).sum::<f64>().sqrt();
            w.iter().map(move |x| -x / length).collect::<Vec<f64>>()
        })
        .collect();
    let distance = inverted_generational_distance(&points, &Points::new(&front, 3));
    println!("dtlz2: hypervolume {volume:.5}, IGD {distance:.5}");
    assert!(volume > 0.98 * 0.74485 && distance < 0.02, "{volume}, {distance}");
}

/// Eight objectives and two layers of directions: the archive's hypervolume is not measured in passing.
#[test]
fn many_objectives_have_directions_in_the_middle() {
    let text = "seed = 1\n[task]\nname = \"dtlz2\"\nobjectives = 8\n[strategy]\nname = \"nsga3\"\ndivisions = 3\ninner_divisions = 2\n\
                [archive]\ncapacity = 200\n[budget]\ngenerations = 100\n";
    let (points, volume) = population(text);
    let points = Points::new(&points, 8);
    assert_eq!((points.len(), volume.is_nan()), (156, true));
    // On the front all squares sum to 1.
    let sizes = points
        .iter()
        .map(|point| point.iter().map(|x| x * x).sum::<f64>().sqrt());
    let mean = sizes.sum::<f64>() / 156.0;
    assert!((1.0..1.15).contains(&mean), "{mean}");
}

#[test]
fn the_archive_is_a_front_and_users_see_it() {
    let folder = folder();
    let dir = folder.path().join("run");
    let config = write_config(
        folder.path(),
        "seed = 2\n[task]\nname = \"zdt1\"\ndim = 8\n[strategy]\nname = \"nsga2\"\npopulation = 40\n[archive]\ncapacity = 50\n[budget]\ngenerations = 60\n",
    );
    let said = run(1, &["run", arg(&config), "--out", arg(&dir)]).succeeded();
    assert!(said.contains("hypervolume 0.8") && said.contains("front "), "{said}");
    let file = open(&dir.join("archive.h5"));
    let objectives = file.elites.get::<f64>("objectives").unwrap();
    assert_eq!(
        (file.spec.kind.as_str(), file.rows(), objectives.len()),
        ("front", 50, 100)
    );
    let points = Points::new(objectives, 2);
    assert_eq!(non_dominated(&points, Equal::First).len(), 50);
    let volume = hypervolume(&points, &[-1.1, -1.1]);
    assert_eq!(*column(&file.history, "hypervolume").last().unwrap(), volume);
    assert_eq!(*column(&file.history, "front_size").last().unwrap(), 50.0);

    let info: Value = serde_json::from_str(&run(1, &["info", arg(&dir), "--json"]).succeeded()).unwrap();
    let front = &info["front"];
    assert_eq!(
        (front["size"].as_u64(), front["hypervolume"].as_f64()),
        (Some(50), Some(volume))
    );
    assert_eq!(front["ideal"][0].as_f64().unwrap(), points.ideal()[0]);
    assert_eq!(front["nadir"][1].as_f64().unwrap(), points.nadir()[1]);
    let shown = run(1, &["info", arg(&dir)]).succeeded();
    assert!(
        shown.contains("50 elites that no other dominates, from (") && shown.contains("beyond (-1.1, -1.1)"),
        "{shown}"
    );

    let svg = folder.path().join("front.svg");
    run(1, &["plot", arg(&dir), "-o", arg(&svg)]).succeeded();
    let drawn = fs::read_to_string(&svg).unwrap();
    assert_eq!(drawn.matches("<circle").count(), 50);
    assert!(drawn.contains("hypervolume") && drawn.contains(">minus f2<"), "{drawn}");
    let about: Value =
        serde_json::from_str(&run(1, &["plot", arg(&dir), "-o", arg(&svg), "--json"]).succeeded()).unwrap();
    assert_eq!((&about["kind"], &about["front"][0]), (&"front".into(), &50.into()));
    // Two fronts on one plane.
    run(1, &["plot", arg(&dir), arg(&dir), "--kind", "front", "-o", arg(&svg)]).succeeded();
    assert_eq!(fs::read_to_string(&svg).unwrap().matches("<circle").count(), 100);
    run(1, &["plot", arg(&dir), "--kind", "curves", "-o", arg(&svg)]).succeeded();
    assert!(fs::read_to_string(&svg).unwrap().contains("Hypervolume"));

    let csv = folder.path().join("front.csv");
    run(1, &["export", arg(&dir), "-o", arg(&csv)]).succeeded();
    let lines = fs::read_to_string(&csv).unwrap();
    assert!(lines.lines().next().unwrap().contains("minus_f1,minus_f2") && lines.lines().count() == 51);
    run(1, &["report", arg(&dir), "-o", arg(&folder.path().join("report.html"))]).succeeded();
    run(1, &["eval", arg(&dir)]).succeeded();
}

/// A front among the elites of cells, and one of three objectives.
#[test]
fn fronts_are_drawn_of_other_archives_and_of_more_objectives() {
    let folder = folder();
    let (grid, three) = (folder.path().join("grid"), folder.path().join("three"));
    let svg = folder.path().join("front.svg");
    let config = write_config(
        folder.path(),
        "seed = 2\n[task]\nname = \"zdt1\"\ndim = 5\n[strategy]\nname = \"map_elites\"\nbatch = 40\n[archive]\nshape = [8, 8]\n[budget]\ngenerations = 9\n",
    );
    run(1, &["run", arg(&config), "--out", arg(&grid)]).succeeded();
    run(1, &["plot", arg(&grid), "--kind", "front", "-o", arg(&svg)]).succeeded();
    let file = open(&grid.join("archive.h5"));
    let size = *column(&file.history, "front_size").last().unwrap() as usize;
    let dots = fs::read_to_string(&svg).unwrap().matches("r=\"2.8\"").count();
    assert!(dots == size && size > 0 && size < file.rows(), "{dots} of {size}");

    let config = write_config(
        folder.path(),
        "seed = 2\n[task]\nname = \"dtlz2\"\n[strategy]\nname = \"nsga3\"\ndivisions = 4\n[budget]\ngenerations = 9\n",
    );
    run(1, &["run", arg(&config), "--out", arg(&three)]).succeeded();
    run(1, &["plot", arg(&three), "-o", arg(&svg)]).succeeded();
    assert!(fs::read_to_string(&svg).unwrap().contains("minus f3"));
    run(1, &["plot", arg(&three), "--axes", "0,2", "-o", arg(&svg)]).succeeded();
    assert!(fs::read_to_string(&svg).unwrap().contains("<circle"));

    let svg = arg(&svg);
    for (arguments, parts) in [
        (
            vec!["plot", arg(&three), arg(&three), "--kind", "front", "-o", svg],
            &["3 objectives", "--axes 0,1"][..],
        ),
        (
            vec!["plot", arg(&three), "--kind", "front", "--axes", "0,3", "-o", svg],
            &["--axes 0,3", "from 0 to 2"],
        ),
        (
            vec!["plot", arg(&three), "--kind", "front", "--axes", "1", "-o", svg],
            &["two or more"],
        ),
        (
            vec!["plot", arg(&three), arg(&grid), "--kind", "front", "-o", svg],
            &["other objectives"],
        ),
        (
            vec!["plot", arg(&three), "--kind", "front", "--color", "fitness", "-o", svg],
            &["--color is for"],
        ),
    ] {
        assert_refused(&run(1, &arguments), parts);
    }
}

/// Cells that hold fronts: what users see is of all members, and not of the best of each cell alone.
#[test]
fn fronts_of_cells_are_seen_whole() {
    let folder = folder();
    let dir = folder.path().join("run");
    let config = write_config(
        folder.path(),
        "seed = 1\n[task]\nname = \"rastrigin_pair\"\ndim = 6\n[strategy]\nname = \"mome\"\nbatch = 100\n[archive]\nkind = \"grid\"\nshape = [6, 6]\ndepth = 20\nkeep = \"front\"\n[budget]\ngenerations = 20\n",
    );
    run(1, &["run", arg(&config), "--out", arg(&dir)]).succeeded();
    let file = open(&dir.join("archive.h5"));
    let members = file.members().unwrap().unwrap();
    let last = |name: &str| *column(&file.history, name).last().unwrap();
    assert_eq!(members.rows() as f64, last("members"));
    assert!(members.rows() > 2 * file.rows(), "{} members", members.rows());

    // The hypervolume of the history, and the best of each objective wherever it is.
    let info: Value = serde_json::from_str(&run(1, &["info", arg(&dir), "--json"]).succeeded()).unwrap();
    let volume = info["front"]["hypervolume"].as_f64().unwrap();
    assert!((volume - last("hypervolume")).abs() < 1e-9 * volume);
    let values = members.elites.get::<f64>("objectives").unwrap();
    let points = Points::new(values, 2);
    for (objective, best) in points.ideal().into_iter().enumerate() {
        assert_eq!(info["objectives"][objective]["best"].as_f64(), Some(best));
    }
    let front = non_dominated(&points, Equal::First);
    let svg = folder.path().join("front.svg");
    let about = run(1, &["plot", arg(&dir), "--kind", "front", "-o", arg(&svg), "--json"]).succeeded();
    let about: Value = serde_json::from_str(&about).unwrap();
    assert_eq!(about["front"][0], front.len());

    // Each cell's own front gives the map its colours: they add up to the MOQD score.
    let view = |column: &str| illume::analysis::view::View::of(&file, column).unwrap().values;
    let score: f64 = view("cell_hypervolume").iter().sum();
    assert!((score - last("moqd_score")).abs() < 1e-9 * score);
    assert_eq!(view("cell_members").iter().sum::<f64>(), last("members"));
    run(1, &["plot", arg(&dir), "--color", "cell_hypervolume", "-o", arg(&svg)]).succeeded();
    assert!(fs::read_to_string(&svg).unwrap().contains("hypervolume of each cell"));

    // All of them in a table, with their genes.
    let csv = folder.path().join("members.csv");
    run(
        1,
        &[
            "export",
            arg(&dir),
            "--members",
            "--names",
            "pyribs",
            "--genomes",
            "-o",
            arg(&csv),
        ],
    )
    .succeeded();
    let text = fs::read_to_string(&csv).unwrap();
    assert_eq!(text.lines().count(), members.rows() + 1);
    assert!(text.lines().next().unwrap().contains("niche") && text.contains("solution_5"));

    let refused = |arguments: &[&str], says: &[&str]| assert_refused(&run(1, arguments), says);
    let h5 = folder.path().join("members.h5");
    refused(
        &["export", arg(&dir), "--members", "-o", arg(&h5)],
        &["--members", "one elite a cell", ".csv, .npz or .parquet"],
    );
    let plain = folder.path().join("plain");
    let config = write_config(
        folder.path(),
        "seed = 1\n[task]\nname = \"arm\"\n[archive]\nshape = [6, 6]\n[strategy]\nname = \"map_elites\"\nbatch = 20\n[budget]\ngenerations = 2\n",
    );
    run(1, &["run", arg(&config), "--out", arg(&plain)]).succeeded();
    refused(
        &[
            "export",
            arg(&plain),
            "--members",
            "-o",
            arg(&folder.path().join("new.csv")),
        ],
        &["--members", "hold no fronts"],
    );
    refused(
        &["plot", arg(&plain), "--color", "cell_hypervolume"],
        &["no column 'cell_hypervolume'"],
    );
}

#[test]
fn what_goes_together_with_no_front_is_refused_in_one_sentence() {
    let folder = folder();
    let zdt1 = "name = \"zdt1\"";
    let nsga2 = "name = \"nsga2\"";
    for (task, strategy, archive, parts) in [
        (
            "name = \"arm\"",
            nsga2,
            "",
            &["strategy.name", "several objectives", "zdt1"][..],
        ),
        (
            "name = \"arm\"",
            "name = \"map_elites\"",
            "kind = \"front\"",
            &["archive.kind", "several objectives"],
        ),
        (
            "name = \"zdt1\"\nreference = [-1.1]",
            nsga2,
            "",
            &["task.reference", "expected 2 numbers", "minus_f2"],
        ),
        (
            "name = \"arm\"\nreference = [-1.1]",
            "name = \"map_elites\"",
            "",
            &["task.reference", "one objective"],
        ),
        (zdt1, nsga2, "kind = \"grid\"", &["archive.kind", "leave it out"]),
        (zdt1, nsga2, "capacity = 0", &["archive.capacity", "from 1"]),
        (zdt1, nsga2, "capacities = 9", &["capacities", "accepted: capacity"]),
        (
            zdt1,
            "name = \"nsga2\"\npopulation = 1",
            "",
            &["strategy.population", "from 2"],
        ),
        (
            zdt1,
            "name = \"nsga2\"\ncrossover_rate = 2",
            "",
            &["strategy.crossover_rate", "from 0 to 1"],
        ),
        (
            zdt1,
            "name = \"nsga2\"\nbounds = [1.0, 0.0]",
            "",
            &["strategy.bounds", "lower < upper"],
        ),
        (zdt1, "name = \"nsga2\"\ndivisions = 12", "", &["strategy.divisions"]),
        (
            zdt1,
            "name = \"nsga3\"\npopulation = 1",
            "",
            &["strategy.population", "at least 2"],
        ),
        (
            zdt1,
            "name = \"nsga3\"\ndivisions = 0",
            "",
            &["strategy.divisions", "from 1"],
        ),
        (
            "name = \"dtlz2\"\nobjectives = 12",
            "name = \"nsga3\"\ndivisions = 30",
            "",
            &["strategy.divisions", "inner_divisions"],
        ),
    ] {
        let config = write_config(
            folder.path(),
            &format!("[task]\n{task}\n[strategy]\n{strategy}\n[archive]\n{archive}\n[budget]\nevaluations = 2000\n"),
        );
        assert_refused(&tried(&config, &[]), parts);
    }
    let config = write_config(
        folder.path(),
        &format!("[task]\n{zdt1}\n[strategy]\n{nsga2}\n[budget]\nevaluations = 99\n"),
    );
    let words = ["budget.evaluations", "100 evaluations", "strategy.population"];
    assert_refused(&tried(&config, &[]), &words);
    // A front of one objective.
    let arm = folder.path().join("arm");
    let config = write_config(folder.path(), common::refused::GOOD);
    run(1, &["run", arg(&config), "--out", arg(&arm)]).succeeded();
    assert_refused(
        &run(1, &["plot", arg(&arm), "--kind", "front"]),
        &["several objectives", "\"arm\""],
    );
}

/// The reference is the user's, wherever a hypervolume is measured.
#[test]
fn hypervolumes_are_measured_from_the_reference_that_is_given() {
    let text = |reference: &str| {
        format!("[task]\nname = \"zdt1\"\n{reference}\n[strategy]\nname = \"nsga2\"\n[budget]\ngenerations = 40\n")
    };
    let (points, own) = population(&text(""));
    let (same, given) = population(&text("reference = [-11, -11.0]"));
    assert_eq!(points, same);
    assert!(
        (0.0..0.88).contains(&own) && given > 100.0 && given < 120.6667,
        "{own} {given}"
    );
}
