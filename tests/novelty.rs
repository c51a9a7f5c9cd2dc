//! Novelty search: it gets where a search for nearness does not, and its archive can be read as any other.

mod common;

use common::{arg, column, folder, open, run, write_config};
use illume::cluster::Solo;
use illume::{Config, Run, registry};

/// Distance to the goal below which the maze counts as solved, in map units.
const SOLVED: f64 = -5.0;

/// Runs until the maze is solved or the evaluations are used up; the nearest that any episode came, and the evaluations it took.
fn nearest(strategy: &str, parents: usize, seed: u64, evaluations: u64) -> (f64, u64) {
    let text = format!(
        "seed = {seed}\n[task]\nname = \"hard_maze\"\n[policy]\nhidden = [16]\n[strategy]\nname = \"{strategy}\"\n\
         population = 1000\nparents = {parents}\nsigma = 0.1\n[budget]\nevaluations = {evaluations}\n"
    );
    let config = Config::parse(&text, "test", &[]).unwrap();
    let task = registry::task(&config).unwrap();
    let mut run = Run::new(&config, task.as_ref(), &Solo).unwrap();
    let mut best = f64::NEG_INFINITY;
    while best < SOLVED && run.generation().unwrap() {
        let values = run.strategy_values();
        let (_, now) = values.iter().find(|(name, _)| name == "population_max").unwrap();
        best = best.max(*now);
    }
    (best, run.counters().evaluations)
}

/// With rewards alone the agent stays behind the wall next to the goal, 39 units from it.
#[test]
fn ga_ns_reaches_the_goal_of_the_maze_where_rewards_lead_into_the_trap() {
    for seed in 1..=2 {
        let (novel, evaluations) = nearest("ga_ns", 20, seed, 40_000);
        let (near, _) = nearest("deep_ga", 20, seed, evaluations);
        println!("seed {seed}: novelty {novel} after {evaluations} evaluations, rewards {near}");
        assert!(novel > SOLVED, "seed {seed}: novelty search came within {}", -novel);
        assert!((-40.0..-38.0).contains(&near), "seed {seed}: rewards led to {near}");
    }
}

#[test]
fn nslc_reaches_the_goal_of_the_maze() {
    for seed in 1..=2 {
        let (novel, evaluations) = nearest("nslc", 200, seed, 100_000);
        println!("seed {seed}: {novel} after {evaluations} evaluations");
        assert!(novel > SOLVED, "seed {seed}: it came within {}", -novel);
    }
}

/// Mean fitness in each of 12 x 12 squares of the arm's reach of the members that came in the second half of a run; NaN where there are none.
fn niches(strategy: &str, seed: u64) -> Vec<f64> {
    let text = format!(
        "seed = {seed}\n[task]\nname = \"arm\"\njoints = 20\n[strategy]\nname = \"{strategy}\"\npopulation = 300\nparents = 60\nsigma = 0.1\n\
         [archive]\nprobability = 0.2\n[budget]\nevaluations = 30000\n"
    );
    common::finish(&text, |run| {
        let (elites, half) = (run.archive().elites(), run.counters().generation as i64 / 2);
        let axes = &run.archive().spec().axes;
        let (mut sum, mut count) = (vec![0.0; 144], vec![0.0; 144]);
        let members = elites
            .fitness()
            .iter()
            .zip(elites.descriptor().chunks_exact(2))
            .zip(elites.generation());
        for ((fitness, descriptor), _) in members.filter(|(_, generation)| **generation >= half) {
            let place = |i: usize| {
                let axis = &axes[i];
                let share = (descriptor[i] - axis.lower) / (axis.upper - axis.lower);
                ((12.0 * share) as usize).min(11)
            };
            let niche = 12 * place(0) + place(1);
            sum[niche] += fitness;
            count[niche] += 1.0;
        }
        sum.iter().zip(count).map(|(sum, count)| sum / count).collect()
    })
}

#[test]
fn local_competition_makes_better_arms_of_those_that_reach_to_the_same_place() {
    for seed in 1..=5 {
        let niches = niches("ga_ns", seed).into_iter().zip(niches("nslc", seed));
        let both: Vec<(f64, f64)> = niches.filter(|(a, b)| (a + b).is_finite()).collect();
        let mean = |of: fn(&(f64, f64)) -> f64| both.iter().map(of).sum::<f64>() / both.len() as f64;
        let (novelty, competition) = (mean(|x| x.0), mean(|x| x.1));
        println!(
            "seed {seed}: {novelty} by novelty, {competition} with local competition, in {} niches",
            both.len()
        );
        assert!(
            both.len() > 40 && competition > novelty,
            "seed {seed}: {competition} in {}",
            both.len()
        );
    }
}

#[test]
fn novelty_of_members_is_that_of_their_descriptors_when_they_came() {
    let text = "[task]\nname = \"hard_maze\"\nepisode_length = 40\n[policy]\nhidden = [4]\n[strategy]\nname = \"ns_es\"\npopulation = 10\n\
                centers = 2\nsigma = 0.3\n[archive]\nneighbours = 3\n[budget]\ngenerations = 9\n";
    let folder = folder();
    let out = folder.path().join("run");
    run(1, &["run", arg(&write_config(folder.path(), text)), "--out", arg(&out)]).succeeded();
    let file = open(&out.join("archive.h5"));
    let (descriptor, novelty) = (column(&file.elites, "descriptor"), column(&file.elites, "novelty"));
    let generation = file.elites.get::<i64>("generation").unwrap();
    // Both centers first, then the one that moved, each generation.
    assert_eq!(generation, [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    for (i, found) in novelty.iter().enumerate() {
        let at = |j: usize| [descriptor[2 * j], descriptor[2 * j + 1]];
        let before = (0..i).filter(|&j| generation[j] < generation[i]);
        let mut distances: Vec<f64> = before
            .map(|j| (at(i)[0] - at(j)[0]).hypot(at(i)[1] - at(j)[1]))
            .collect();
        distances.sort_by(f64::total_cmp);
        distances.truncate(3);
        let expected = distances.iter().sum::<f64>() / distances.len().max(1) as f64;
        assert!((found - expected).abs() < 1e-9, "member {i}: {found}, not {expected}");
    }
}

#[test]
fn every_reader_takes_an_unstructured_archive() {
    let text = "[task]\nname = \"hard_maze\"\nepisode_length = 60\n[policy]\nhidden = [4]\n[strategy]\nname = \"ga_ns\"\npopulation = 40\n\
                parents = 5\nsigma = 0.2\n[archive]\nprobability = 0.5\n[budget]\ngenerations = 4\n";
    let folder = folder();
    let out = folder.path().join("run");
    let said = run(1, &["run", arg(&write_config(folder.path(), text)), "--out", arg(&out)]).succeeded();
    let file = open(&out.join("archive.h5"));
    let members = file.rows();
    assert!((40..=120).contains(&members), "{members} of 160");
    assert!(
        said.contains(&format!("{members} members, best fitness")) && !said.contains("coverage"),
        "{said}"
    );

    let info = run(1, &["info", arg(&out)]).succeeded();
    for part in ["neighbours 25", "probability 0.5", "members at most", "best fitness"] {
        assert!(info.contains(part), "no '{part}' in: {info}");
    }
    assert!(!info.contains("coverage") && !info.contains("QD score"), "{info}");
    let json: serde_json::Value = serde_json::from_str(&run(1, &["info", arg(&out), "--json"]).succeeded()).unwrap();
    assert_eq!(
        (&json["archive"], &json["filled"]),
        (&"unstructured".into(), &members.into())
    );
    assert!(json["coverage"].is_null() && json["qd_score"].is_null(), "{json}");

    let svg = folder.path().join("members.svg");
    run(1, &["plot", arg(&out), "-o", arg(&svg), "--axes", "1,0"]).succeeded();
    let drawn = std::fs::read_to_string(&svg).unwrap();
    let dots = drawn
        .lines()
        .filter(|l| l.contains("a3.00 3.00 0 1 0 6.00 0"))
        .flat_map(|l| l.matches('M'))
        .count();
    assert_eq!(dots, members, "a dot for each member");
    assert!(drawn.contains(&format!("{members} members")));
    let curves = folder.path().join("curves.png");
    let table = run(1, &["plot", arg(&out), arg(&out), "-o", arg(&curves)]).succeeded();
    assert!(std::fs::read(&curves).unwrap().starts_with(b"\x89PNG"));
    assert!(table.contains("ga_ns"), "{table}");

    let eval = run(1, &["eval", arg(&out), "--episodes", "2"]).succeeded();
    assert!(eval.contains(&format!("{members} of {members} elites")), "{eval}");
    assert!(
        !eval.contains("coverage") && !eval.contains("center of its cell"),
        "{eval}"
    );
    let evaluated = illume::archives::file::open_evaluation(&out.join("eval.h5")).unwrap();
    let numbers: Vec<i64> = (0..members as i64).collect();
    let cells = evaluated.elites.get::<i64>("corrected_cell").unwrap();
    assert_eq!(cells, numbers, "each stays where it is");
    let t = &evaluated.totals;
    for of_cells in [
        t.coverage,
        t.expected_qd_score,
        t.corrected_qd_score,
        t.expected_coverage_se,
        t.corrected_qd_score_se,
    ] {
        assert!(of_cells.is_nan(), "{t:?}");
    }
    assert_eq!([t.expected_max_fitness_se, t.corrected_max_fitness_se], [0.0; 2]);
    assert_eq!(
        evaluated.totals.mean_descriptor_distance, 0.0,
        "the maze is deterministic"
    );
    run(1, &["info", arg(&out.join("eval.h5"))]).succeeded();

    // One member by itself is the first of its file.
    let one = folder.path().join("one.h5");
    run(1, &["export", arg(&out), "--elite", "7", "-o", arg(&one)]).succeeded();
    for command in ["info", "plot", "eval"] {
        run(1, &[command, arg(&one)]).succeeded();
    }
    let evaluated = illume::archives::file::open_evaluation(&folder.path().join("eval.h5")).unwrap();
    assert_eq!(evaluated.elites.get::<i64>("corrected_cell").unwrap(), [0]);
    assert_eq!(evaluated.totals.identical, 1);
    let animation = folder.path().join("member.gif");
    run(1, &["replay", arg(&out), "--elite", "7", "-o", arg(&animation)]).succeeded();
}
