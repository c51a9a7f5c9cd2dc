//! Tasks of several objectives from the configuration to the file, and the words for what is wrong with them.

mod common;

use std::fs;

use common::refused::{assert_refused, tried};
use common::{arg, assert_equal_files, assert_equal_tables, folder, open, python, run, write_config};
use serde_json::Value;

const SEARCH: &str = "[strategy]\nname = \"map_elites\"\nbatch = 40\niso_sigma = 0.1\n[archive]\nshape = [8, 8]\n[budget]\ngenerations = 9\n";

fn text(task: &str) -> String {
    format!("seed = 3\n[task]\n{task}\n{SEARCH}")
}

#[test]
fn objectives_are_in_the_file_in_info_and_in_exports_by_name() {
    let folder = folder();
    let dir = folder.path().join("run");
    let config = write_config(folder.path(), &text("name = \"zdt3\"\ndim = 5"));
    run(1, &["run", arg(&config), "--out", arg(&dir)]).succeeded();
    let file = open(&dir.join("archive.h5"));
    let (objectives, fitness) = (
        file.elites.get::<f64>("objectives").unwrap(),
        file.elites.get::<f64>("fitness").unwrap(),
    );
    assert_eq!(objectives.len(), 2 * file.rows());
    for (own, fitness) in objectives.chunks(2).zip(fitness) {
        assert_eq!((own[0] + own[1]) / 2.0, *fitness);
    }
    let named: Vec<&str> = file.attributes.objectives.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(named, ["minus_f1", "minus_f2"]);
    let ranges = file.attributes.objectives.iter().map(|o| o.range).collect::<Vec<_>>();
    assert!(ranges[0] == [-1.1, 0.0] && ranges[1][0] == -1.1 && (ranges[1][1] - 0.773369).abs() < 1e-6);

    let info: Value = serde_json::from_str(&run(1, &["info", arg(&dir), "--json"]).succeeded()).unwrap();
    let best = objectives.iter().step_by(2).copied().fold(f64::NEG_INFINITY, f64::max);
    assert_eq!(info["objectives"][0]["best"].as_f64().unwrap(), best);
    assert_eq!(info["objectives"][1]["name"], "minus_f2");
    let shown = run(1, &["info", arg(&dir)]).succeeded();
    assert!(
        shown.contains("objectives") && shown.contains("minus_f1 (best "),
        "{shown}"
    );

    let csv = folder.path().join("elites.csv");
    run(1, &["export", arg(&dir), "-o", arg(&csv), "--where", "minus_f1 > -0.5"]).succeeded();
    let lines = fs::read_to_string(&csv).unwrap();
    let header: Vec<&str> = lines.lines().next().unwrap().split(',').collect();
    let at = header.iter().position(|name| *name == "minus_f1").unwrap();
    assert_eq!(header[at + 1], "minus_f2");
    let firsts: Vec<f64> = lines
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(at).unwrap().parse().unwrap())
        .collect();
    let expected: Vec<f64> = objectives.iter().step_by(2).copied().filter(|x| *x > -0.5).collect();
    assert!(firsts == expected && !firsts.is_empty());

    // In Python by the documented names, with the dimension's labels.
    let mut command = python();
    command.args(["-c", "import sys, h5py\nf = h5py.File(sys.argv[1])\nd = f['elites/objectives']\nprint(list(d.attrs['names']), d.attrs['reference'].tolist(), d.dims[1].label, f['elites/objective'][:].tolist())", arg(&dir.join("archive.h5"))]);
    let said = common::run_command(command).succeeded();
    assert!(
        said.contains("['minus_f1', 'minus_f2'] [-1.1, -1.1] objective [b'minus_f1', b'minus_f2']"),
        "{said}"
    );
}

#[test]
fn the_same_objectives_come_on_ranks_and_after_a_stop() {
    let folder = folder();
    let config = write_config(folder.path(), &text("name = \"dtlz2\"\ndim = 6"));
    let whole = folder.path().join("whole");
    run(1, &["run", arg(&config), "--out", arg(&whole)]).succeeded();
    let ranks = if cfg!(feature = "mpi") { 2 } else { 1 };
    let stopped = folder.path().join("stopped");
    let out = ["--out", arg(&stopped)];
    run(
        ranks,
        &[
            &["run", arg(&config), "--threads", "2", "--set", "budget.generations=4"][..],
            &out,
        ]
        .concat(),
    )
    .succeeded();
    run(1, &["resume", arg(&stopped), "--set", "budget.generations=9"]).succeeded();
    assert_equal_files(&whole.join("archive.h5"), &stopped.join("archive.h5"));
    assert_eq!(
        open(&whole.join("archive.h5")).elites.find("objectives").unwrap().width,
        3
    );
}

/// A worker in Python whose second objective is a cost: both frames, and minus the cost in the file.
#[test]
fn a_program_gives_several_objectives_in_its_own_values() {
    let folder = folder();
    let program = "import sys\nfrom illume.worker import worker\n\n\ndef value(x):\n    return [float(x[0]), float(x[1]) ** 2 + 1], x[:2]\n\n\nworker(value, dim=3, bounds=(0, 1), descriptor=[('a', 0, 1), ('b', 0, 1)], frames=sys.argv[1],\n       objectives=['speed', {'name': 'cost', 'unit': 'EUR', 'direction': 'minimize', 'reference': 3, 'ideal': 1}])\n";
    let script = folder.path().join("two.py");
    fs::write(
        &script,
        format!(
            "import sys\nsys.path.insert(0, {:?})\n{program}",
            concat!(env!("CARGO_MANIFEST_DIR"), "/python")
        ),
    )
    .unwrap();
    let python = python().get_program().to_str().unwrap().to_string();
    let found = ["json", "binary"].map(|frames| {
        let command = format!("{:?}", [python.as_str(), arg(&script), frames]);
        let dir = folder.path().join(frames);
        let config = write_config(
            folder.path(),
            &text(&format!("name = \"command\"\ncommand = {command}")),
        );
        run(1, &["run", arg(&config), "--out", arg(&dir)]).succeeded();
        open(&dir.join("archive.h5"))
    });
    assert_equal_tables(&found[0].elites, &found[1].elites, "both frames");
    let file = &found[0];
    let known = &file.attributes.objectives[1];
    assert_eq!(
        (known.name.as_str(), known.unit.as_str(), known.range),
        ("minus cost", "EUR", [-3.0, -1.0])
    );
    assert!(file.attributes.objectives[0].reference().is_none());
    let (objectives, descriptor) = (
        file.elites.get::<f64>("objectives").unwrap(),
        file.elites.get::<f64>("descriptor").unwrap(),
    );
    for (own, d) in objectives.chunks(2).zip(descriptor.chunks(2)) {
        assert!(own[0] == d[0] && (own[1] + d[1] * d[1] + 1.0).abs() < 1e-12);
    }
    assert!(file.rows() > 20);
}

#[test]
fn what_is_wrong_is_said_in_a_sentence() {
    let folder = folder();
    let cases: [(&str, &[&str]); 8] = [
        ("name = \"zdt5\"", &["unknown task \"zdt5\"", "zdt"]),
        (
            "name = \"zdt1\"\ndim = 1",
            &["task.dim", "at least 2 genes", "\"zdt1\"", "got 1"],
        ),
        (
            "name = \"dtlz2\"\nobjectives = 4\ndim = 3",
            &["task.dim", "at least 4 genes", "got 3"],
        ),
        ("name = \"dtlz2\"\nobjectives = 1", &["task.objectives", "1"]),
        ("name = \"rastrigin_pair\"\nlag = 0", &["task.lag"]),
        (
            "name = \"arm\"\nangles = \"radians\"\nobjectives = 2",
            &["task.objectives", "expected 1", "radians"],
        ),
        (
            "name = \"zdt1\"\nweights = [0, 0]",
            &["task.weights", "not all 0", "minus_f1, minus_f2"],
        ),
        (
            "name = \"zdt1\"\ndirection = \"minimize\"",
            &["task.direction", "\"zdt1\" has several objectives"],
        ),
    ];
    for (task, parts) in cases {
        let config = write_config(folder.path(), &text(task));
        assert_refused(&tried(&config, &[]), parts);
    }
}

/// MOME on the pair of Rastrigin functions: what its fronts are worth is near the highest that there can be, and never falls while no front is full.
#[test]
fn mome_finds_the_fronts_of_two_rastrigin_functions() {
    const GENES: usize = 10;
    let text = format!(
        "seed = 1\n[task]\nname = \"rastrigin_pair\"\ndim = {GENES}\n[strategy]\nname = \"mome\"\nbatch = 500\niso_sigma = 0.01\nline_sigma = 0.3\npolynomial_share = 0.8\npolynomial_rate = 0.2\npolynomial_eta = 5.0\n\
         [archive]\nkind = \"cvt\"\ncells = 32\nsamples = 3200\ndepth = 1000\nkeep = \"front\"\nselection = \"uniform\"\n[budget]\ngenerations = 200\n"
    );
    let [scores, volumes, members] = common::finish(&text, |run| {
        let history = run.history().batch();
        ["moqd_score", "hypervolume", "members"].map(|name| common::column(&history, name))
    });
    for values in [&scores, &volumes] {
        assert!(values.is_sorted() && values[0] < values[values.len() - 1], "{values:?}");
    }
    // Of the box between the reference, -11.7498 a gene, and the optima at 0 the true front leaves 79.8 %: 110.126 n^2.
    let share = volumes[volumes.len() - 1] / (110.126 * (GENES * GENES) as f64);
    println!(
        "global hypervolume: {share:.3} of the ceiling; {} members",
        members[members.len() - 1]
    );
    assert!(share > 0.85 && share <= 1.0, "{share}");
}

/// What is said of archives and strategies of several objectives that do not go together.
#[test]
fn what_does_not_go_together_is_said_in_a_sentence() {
    const FRONT: &str = "kind = \"cvt\"\ncells = 10\nsamples = 100\ndepth = 5\nkeep = \"front\"";
    const ZDT: &str = "name = \"zdt1\"\ndim = 5";
    const MAZE: &str = "name = \"hard_maze\"\nepisode_length = 20\nobjectives = 2\n[policy]\nhidden = [4]";
    let folder = folder();
    let cases: [(&str, &str, &str, &[&str]); 9] = [
        (
            "name = \"arm\"",
            "name = \"mome\"",
            FRONT,
            &["strategy.name", "\"mome\" breeds from fronts", "task \"arm\" has one"],
        ),
        (
            "name = \"arm\"",
            "name = \"map_elites\"",
            FRONT,
            &["archive.keep", "the task has one", "\"best\""],
        ),
        (
            ZDT,
            "name = \"mome\"",
            "shape = [4, 4]\ndepth = 5",
            &["archive.keep", "expected \"front\""],
        ),
        (ZDT, "name = \"mome\"", "shape = [4, 4]", &["archive.depth"]),
        (
            ZDT,
            "name = \"mome\"",
            "depth = 5\nkeep = \"fronts\"",
            &["archive.keep", "\"fronts\"", "\"front_random\""],
        ),
        (
            ZDT,
            "name = \"map_elites\"",
            "depth = 5\nselection = \"crowding\"",
            &["archive.selection", "\"crowding\" is not for keep = \"best\""],
        ),
        (
            ZDT,
            "name = \"mome\"",
            "depth = 5\nkeep = \"front\"\nselection = \"proportional\"",
            &["archive.selection", "\"crowding\""],
        ),
        (
            ZDT,
            "name = \"mome_pgx\"",
            FRONT,
            &["strategy.name", "mome_pgx", "acts through no perceptron"],
        ),
        (
            MAZE,
            "name = \"mome_p2c\"\npg_share = 0.75\nactor_share = 0.5",
            FRONT,
            &["strategy.actor_share", "at most 0.25"],
        ),
    ];
    for (task, strategy, archive, parts) in cases {
        let text = format!("[task]\n{task}\n[strategy]\n{strategy}\n[archive]\n{archive}\n[budget]\ngenerations = 2\n");
        let config = write_config(folder.path(), &text);
        assert_refused(&tried(&config, &[]), parts);
    }
}

/// Archive files hold the fronts, not the fittest of each cell alone, and a run goes on from them as if it had not been stopped.
#[test]
fn policy_gradients_of_several_objectives_learn_and_go_on() {
    for strategy in ["mome_pgx", "mome_p2c", "c_morl"] {
        let folder = folder();
        let own = match strategy {
            "c_morl" => "first_stage = 4\nchosen = 3\nextension = 2",
            _ => "batch = 40",
        };
        let text = format!(
            "seed = 2\n[task]\nname = \"hard_maze\"\nepisode_length = 60\nobjectives = 2\ntime_in_observation = true\n[policy]\nhidden = [8]\n[strategy]\nname = \"{strategy}\"\n{own}\n\
             pg_steps = 20\ncritic_steps = 40\nminibatch = 32\ncritic_hidden = [16, 16]\nreplay = 20_000\n[archive]\nshape = [8, 8]\ndepth = 10\nkeep = \"front\"\nselection = \"crowding\"\n\
             [budget]\ngenerations = 8\n"
        );
        let config = write_config(folder.path(), &text);
        let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
        run(1, &["run", arg(&config), "--out", arg(&whole)]).succeeded();
        run(
            1,
            &[
                "run",
                arg(&config),
                "--out",
                arg(&stopped),
                "--set",
                "budget.generations=3",
            ],
        )
        .succeeded();
        let ranks = if cfg!(feature = "mpi") { 2 } else { 1 };
        run(ranks, &["resume", arg(&stopped), "--set", "budget.generations=8"]).succeeded();
        assert_equal_files(&whole.join("checkpoint.h5"), &stopped.join("checkpoint.h5"));
        let file = open(&whole.join("checkpoint.h5"));
        let losses = common::column(&file.history, "critic_loss");
        assert!(losses.iter().any(|loss| *loss > 0.0), "{losses:?}");
        let volumes = common::column(&file.history, "hypervolume");
        assert!(volumes[volumes.len() - 1] > volumes[0], "{volumes:?}");
        let members = file.active().unwrap().unwrap();
        assert!(members.rows() >= file.rows() && members.elites.find("objectives").is_some());
    }
}

/// Policies that climb the critic of the effort spend less of it than those that are varied, in the fronts that both feed.
#[test]
fn policies_have_more_of_the_objective_whose_critic_they_climb() {
    let folder = folder();
    let text = "seed = 2\n[task]\nname = \"hard_maze\"\nepisode_length = 100\nobjectives = 2\ntime_in_observation = true\n[policy]\nhidden = [8]\n[strategy]\nname = \"mome_pgx\"\nbatch = 60\n\
                iso_sigma = 0.05\nline_sigma = 0.2\npg_steps = 30\ncritic_steps = 300\nminibatch = 32\ncritic_hidden = [16, 16]\nreplay = 100_000\n[archive]\nshape = [10, 10]\ndepth = 20\nkeep = \"front\"\n\
                selection = \"crowding\"\n[budget]\ngenerations = 15\n";
    let dir = folder.path().join("run");
    run(1, &["run", arg(&write_config(folder.path(), text)), "--out", arg(&dir)]).succeeded();
    // The archive file holds the fronts.
    let members = open(&dir.join("archive.h5")).active().unwrap().unwrap().elites;
    let (emitter, generation): (&[i32], &[i64]) = (members.get("emitter").unwrap(), members.get("generation").unwrap());
    let objectives = members.get::<f64>("objectives").unwrap();
    let effort = |of: i32| {
        let own: Vec<f64> = (0..emitter.len())
            .filter(|i| emitter[*i] == of && generation[*i] > 3)
            .map(|i| -objectives[2 * i + 1])
            .collect();
        assert!(own.len() > 5, "emitter {of} has {} members", own.len());
        own.iter().sum::<f64>() / own.len() as f64
    };
    let (varied, climbed) = (effort(0), effort(2));
    assert!(climbed < 0.6 * varied, "{climbed} {varied}");
}
