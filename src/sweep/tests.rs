//! Plans and what follows from them.

use std::path::{Path, PathBuf};

use super::collect::Table;
use super::*;

const BASE: &str = "[task]\nname = \"arm\"\njoints = 6\n[strategy]\nname = \"map_elites\"\nbatch = 20\n[archive]\nshape = [8, 8]\n\
                    [budget]\nevaluations = 900\n";

fn spec(folder: &Path, text: &str) -> Result<Spec> {
    std::fs::write(folder.join("base.toml"), BASE).unwrap();
    let path = folder.join("s.toml");
    std::fs::write(&path, text).unwrap();
    Spec::read(&path, &[], None)
}

fn plan(folder: &Path, text: &str) -> Plan {
    Plan::new(&spec(folder, text).unwrap()).unwrap_or_else(|e| panic!("{e}"))
}

fn labels(plan: &Plan) -> Vec<&str> {
    plan.configurations.iter().map(|c| c.label.as_str()).collect()
}

const TWO: &str = "base = \"base.toml\"\nseeds = 2\n[parameters]\nstrategy.iso_sigma = [0.01, 0.1]\n";

#[test]
fn a_variant_replaces_whole_sections_before_keys_are_set() {
    let folder = tempfile::tempdir().unwrap();
    let text = "base = \"base.toml\"\n\
                [[variants]]\nname = \"grid\"\n[[variants]]\nname = \"dns\"\nreplace = { archive = { kind = \"dns\", capacity = 9 } }\n\
                set = { archive.neighbours = 2 }\n";
    let plan = plan(folder.path(), text);
    assert_eq!(labels(&plan), ["grid", "dns"]);
    let dns = &plan.configurations[1];
    let config = crate::Config::parse(&dns.with_seed(1), "x", &[]).unwrap();
    assert_eq!(config.archive["kind"].as_str(), Some("dns"));
    assert!(!config.archive.contains_key("shape"), "{:?}", config.archive);
    let set: Vec<String> = dns.set.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        set,
        ["archive.capacity=9", "archive.kind=\"dns\"", "archive.neighbours=2"]
    );
}

#[test]
fn a_plan_has_every_combination_with_every_seed_and_reads_back_as_itself() {
    let folder = tempfile::tempdir().unwrap();
    let text = "base = \"base.toml\"\nseeds = [7, 3]\n[parameters]\n\"strategy.iso_sigma\" = [0.01, 0.1]\nstrategy.batch = [10]\n\
                [[variants]]\nname = \"me\"\n[[variants]]\nname = \"es\"\nset = { archive.shape = [4, 4] }\n";
    let plan = plan(folder.path(), text);
    assert_eq!(
        labels(&plan),
        [
            "me iso_sigma=0.01",
            "me iso_sigma=0.1",
            "es iso_sigma=0.01",
            "es iso_sigma=0.1"
        ]
    );
    let runs: Vec<(usize, u64)> = plan.runs.iter().map(|r| (r.configuration, r.seed)).collect();
    assert_eq!(runs, [(0, 7), (0, 3), (1, 7), (1, 3), (2, 7), (2, 3), (3, 7), (3, 3)]);
    assert_eq!((plan.configurations[2].cells, plan.configurations[0].cells), (16, 64));
    assert_eq!(plan.metric.name, "qd_score");
    // Resolved: it says what it leaves to defaults, and gives a run as it is.
    let c = crate::Config::parse(&plan.configurations[3].with_seed(3), "x", &[]).unwrap();
    assert_eq!(
        (
            c.seed,
            c.strategy["iso_sigma"].as_float(),
            c.strategy["line_sigma"].is_float()
        ),
        (3, Some(0.1), true)
    );
    let path = folder.path().join("plan.toml");
    std::fs::write(&path, plan.to_text().unwrap()).unwrap();
    assert_eq!(Plan::read(&path).unwrap(), plan);
}

#[test]
fn a_run_is_what_its_configuration_is_however_it_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let one = plan(folder.path(), TWO);
    // A default that is written out, another order of values, outputs: the same runs.
    let other = "base = \"base.toml\"\nseeds = [2, 1]\n[parameters]\nstrategy.iso_sigma = [0.1, 0.01]\nstrategy.polynomial_share = [0.0]\noutput.compress = [4]\n";
    let other = plan(folder.path(), other);
    let ids = |plan: &Plan| {
        plan.runs
            .iter()
            .map(|r| r.id.clone())
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(ids(&one), ids(&other));
    assert_eq!(ids(&one).len(), 4);
    assert_eq!(one.find(&one.runs[2].id[..6]).unwrap(), 2);
}

#[test]
fn an_extension_adds_and_never_renumbers() {
    let folder = tempfile::tempdir().unwrap();
    let before = plan(folder.path(), TWO);
    let mut plan = before.clone();
    assert_eq!(plan.extend(Some(4), None).unwrap(), 4);
    assert_eq!((&plan.runs[..4], plan.runs.len()), (&before.runs[..], 8));
    let wider = spec(folder.path(), &TWO.replace("[0.01, 0.1]", "[0.05, 0.1]")).unwrap();
    assert_eq!(
        plan.extend(None, Some(&wider)).unwrap(),
        4,
        "one configuration with four seeds"
    );
    assert_eq!((&plan.runs[..4], plan.runs.len()), (&before.runs[..], 12));
    assert_eq!(plan.extend(Some(4), Some(&wider)).unwrap(), 0);
    assert!(plan.is_of(&wider) && plan.is_of(&spec(folder.path(), TWO).unwrap()));
}

#[test]
fn random_configurations_stay_when_more_are_drawn_or_another_parameter_comes() {
    let folder = tempfile::tempdir().unwrap();
    let text = |runs: usize, more: &str| {
        format!(
            "base = \"base.toml\"\n[method]\nkind = \"random\"\nruns = {runs}\n[parameters]\n\
             strategy.iso_sigma = {{ min = 0.001, max = 1.0, distribution = \"log_uniform\" }}\nstrategy.batch = {{ min = 5, max = 50 }}\n{more}"
        )
    };
    let (few, many) = (plan(folder.path(), &text(3, "")), plan(folder.path(), &text(6, "")));
    assert_eq!(few.configurations[..], many.configurations[..3]);
    let other = plan(folder.path(), &text(3, "strategy.line_sigma = [0.1, 0.2]\n"));
    let drawn = |plan: &Plan| {
        plan.configurations
            .iter()
            .map(|c| c.set["strategy.iso_sigma"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(drawn(&few), drawn(&other));
    assert_eq!(drawn(&few).len(), 3);
}

/// A sweep of which results are written as if runs had been done.
struct Pretended {
    _folder: tempfile::TempDir,
    plan: Plan,
    results: Results,
}

impl Pretended {
    fn new(text: &str) -> Pretended {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), text);
        let results = folder.path().join("results");
        std::fs::create_dir(&results).unwrap();
        Pretended {
            plan,
            results: Results::new(results),
            _folder: folder,
        }
    }

    fn write(&mut self, name: &str, status: Status, score: f64) {
        let row = Row {
            status,
            error: String::new(),
            stderr: Vec::new(),
            values: vec![("qd_score".into(), Some(score))],
            timing: Timing {
                core_seconds: score.abs(),
                ..Timing::default()
            },
        };
        self.results.write(name, &row, &Curve::default()).unwrap();
        self.results.refresh().unwrap();
    }

    /// Names of jobs without a result.
    fn open(&self) -> Vec<Job> {
        let jobs = self.plan.jobs(&self.results);
        jobs.known
            .into_iter()
            .filter(|job| self.results.get(&job.name).is_none())
            .collect()
    }
}

const NINE: &str = "base = \"base.toml\"\nseeds = 3\n[parameters]\nstrategy.batch = [1, 2, 3, 4, 5, 6, 7, 8, 9]\n\
                    [method]\nkind = \"halving\"\nrungs = 3\nconfirm = 2\n";

#[test]
fn rungs_follow_from_results_and_the_best_median_goes_on() {
    let mut s = Pretended::new(NINE);
    assert_eq!(
        s.plan.configurations.len(),
        10,
        "nine, and the base with its batch of 20"
    );
    let budgets = [Some(100), Some(300), None];
    let mut standing = vec![9, 3, 1].into_iter();
    for budget in budgets {
        let open = s.open();
        assert_eq!(open.len(), 3 * standing.next().unwrap());
        assert!(open.iter().all(|job| job.evaluations == budget), "{open:?}");
        for (i, job) in open.iter().enumerate() {
            assert!(!s.plan.jobs(&s.results).complete);
            let batch = s.plan.configurations[job.configuration].set["strategy.batch"]
                .as_integer()
                .unwrap();
            // One seed of three is as lucky as can be with the worst; one of the best ones fails.
            let lucky = job.seed == 2 && batch == 1;
            let failed = job.seed == 3 && batch == 9;
            let status = if failed { Status::Failed } else { Status::Done };
            s.write(
                &job.name,
                status,
                if lucky { 1e6 } else { batch as f64 + 0.01 * i as f64 },
            );
        }
    }
    let confirming = s.open();
    let who: Vec<(String, u64)> = confirming
        .iter()
        .map(|job| (s.plan.configurations[job.configuration].label.clone(), job.seed))
        .collect();
    let expected = [("batch=9", 4), ("batch=9", 5), ("base", 4), ("base", 5)];
    assert_eq!(who, expected.map(|(label, seed)| (label.to_string(), seed)));
    for job in &confirming {
        s.write(&job.name, Status::Done, job.seed as f64);
    }
    assert!(s.open().is_empty() && s.plan.jobs(&s.results).complete);
    // The tests are of these alone; the table has a row for each run, of the last rung that it came to.
    let table = Table::new(&s.plan, &s.results);
    assert!(table.complete);
    let values = table.values("qd_score");
    assert_eq!(
        values.iter().map(|(_, v)| v.clone()).collect::<Vec<_>>(),
        [vec![4.0, 5.0], vec![4.0, 5.0]]
    );
    assert_eq!(table.rows.len(), 27 + 4);
    let csv = table.csv();
    assert_eq!(csv.matches(",rung 1,").count(), 18, "{csv}");
    assert_eq!(
        (
            csv.matches(",rung 2,").count(),
            csv.matches(",rung 3,").count(),
            csv.matches(",confirms,").count()
        ),
        (6, 3, 4)
    );
}

#[test]
fn what_takes_longest_comes_first() {
    let mut s = Pretended::new("base = \"base.toml\"\nseeds = 2\n[parameters]\nbudget.evaluations = [100, 300, 200]\n");
    let order = |s: &Pretended| -> Vec<usize> {
        let jobs = s.plan.jobs(&s.results).known;
        longest_first(&s.plan, &jobs, &s.results)
            .iter()
            .map(|job| job.configuration)
            .collect()
    };
    assert_eq!(order(&s), [1, 1, 2, 2, 0, 0], "by budget");
    // One of 100 took as long as 400 should.
    let first = s
        .plan
        .runs
        .iter()
        .find(|run| run.configuration == 0)
        .unwrap()
        .id
        .clone();
    s.write(&first, Status::Done, 4000.0);
    let second = s
        .plan
        .runs
        .iter()
        .find(|run| run.configuration == 1)
        .unwrap()
        .id
        .clone();
    s.write(&second, Status::Done, 30.0);
    assert_eq!(order(&s), [2, 2, 0, 1], "as measured, and the others in proportion");
}

#[test]
fn tables_quote_what_needs_it_and_know_what_is_open() {
    let mut s = Pretended::new("base = \"base.toml\"\n[parameters]\narchive.shape = [[4, 4], [8, 8]]\n");
    let id = s.plan.runs[1].id.clone();
    s.write(&id, Status::Wrong, 1.0);
    let table = Table::new(&s.plan, &s.results);
    let lines: Vec<String> = table.csv().lines().map(str::to_string).collect();
    assert_eq!(lines[0], "id,configuration,variant,seed,status,archive.shape,qd_score");
    assert!(
        lines[1].ends_with(",\"shape=[4, 4]\",,1,open,\"[4, 4]\","),
        "{}",
        lines[1]
    );
    assert!(lines[2].ends_with(",wrong,\"[8, 8]\",1"), "{}", lines[2]);
    assert!(!table.complete && table.count(Status::Wrong) == 1);
    let path = PathBuf::from("nowhere");
    assert!(!Sweep::is_at(&path));
}
