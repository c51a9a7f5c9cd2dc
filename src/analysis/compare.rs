//! Runs side by side: their histories, grouped by what made them, and what each group reaches over its seeds.

mod point;
mod sweep;

pub use point::{Measure, Point, points};
pub use sweep::{Mark, Overview, Parameter, Places};

use illume_archives::file::ArchiveFile;
use illume_core::{Error, Result};
use toml::{Table, Value};

use crate::analysis::statistics::Spread;

/// Which columns of a history are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    pub measures: Vec<String>,
    /// Against what: columns that rise, the second of them being the wall time.
    pub axes: [String; 2],
}

/// The second axis.
const TIME: usize = 1;

impl Default for Columns {
    fn default() -> Columns {
        Columns {
            measures: ["qd_score", "coverage", "max_fitness"].map(String::from).to_vec(),
            axes: ["evaluations", "wall_seconds"].map(String::from),
        }
    }
}

/// The columns of histories that are looked at first, of those that are there: of several objectives what their fronts are worth, and beside what an archive
/// says of itself what it is worth when it is evaluated anew.
pub fn usual(there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let wanted: &[&str] = match there("hypervolume") {
        true if there("moqd_score") => &["hypervolume", "moqd_score", "coverage", "front_size"],
        true => &["hypervolume", "front_size"],
        false => &["qd_score", "qd_score_corrected", "coverage", "max_fitness"],
    };
    wanted.iter().copied().filter(|column| there(column)).collect()
}

/// Whether a column is a score or a share, whose heights compare only where they are drawn from zero.
pub fn is_from_zero(column: &str) -> bool {
    let column = column.strip_suffix("_corrected").unwrap_or(column);
    ["qd_score", "coverage", "moqd_score"].contains(&column)
}

/// Whether a column is a share that people read in percent.
pub fn is_share(column: &str) -> bool {
    column
        .strip_suffix("_corrected")
        .unwrap_or(column)
        .ends_with("coverage")
}

/// How a column is called where people read it.
pub fn spoken(column: &str) -> String {
    if let Some(column) = column.strip_suffix("_corrected") {
        return format!("corrected {}", spoken(column));
    }
    match column {
        "qd_score" => "QD score".into(),
        "max_fitness" => "best fitness".into(),
        "wall_seconds" => "wall time".into(),
        "core_seconds" => "core seconds".into(),
        other => other
            .replace('_', " ")
            .replace("moqd score", "MOQD score")
            .replace("qd score", "QD score"),
    }
}

/// The history of one run, row by row.
#[derive(Debug, Clone)]
pub struct History {
    /// The file that it is from.
    pub path: String,
    pub task: String,
    pub strategy: String,
    pub seed: u64,
    /// Threads of all ranks, when the file was written.
    pub cores: f64,
    /// The columns that were asked for; at least one row.
    pub axes: [Vec<f64>; 2],
    pub measures: Vec<Vec<f64>>,
    /// Every parameter of task, policy, strategy and archive as `section.key`, with its value.
    parameters: Parameters,
    budget: Parameters,
    software_version: String,
}

/// `section.key` of a configuration, and its value.
type Parameters = Vec<(String, String)>;

/// Runs that differ in their seed alone.
#[derive(Debug, Clone)]
pub struct Group {
    /// The strategy, with what sets it apart from other groups of the same strategy.
    pub label: String,
    pub strategy: String,
    pub runs: Vec<History>,
}

/// Groups in the order in which they were first named, and what a reader should know of the comparison.
#[derive(Debug, Clone)]
pub struct Comparison {
    pub task: String,
    pub columns: Columns,
    pub groups: Vec<Group>,
    pub notes: Vec<String>,
}

impl History {
    /// # Errors
    /// An archive without a history, or a history without one of the columns or whose axes do not rise.
    pub fn of(file: &ArchiveFile, columns: &Columns) -> Result<History> {
        let shown = file.path().display();
        let rows = file.history.rows();
        if rows == 0 {
            return Err(Error::input(format!(
                "{shown} has no history, so there is no curve to draw: expected the archive of a run of at least one generation"
            )));
        }
        let column = |name: &String| Some((name.clone(), file.history.get::<f64>(name).ok()?.to_vec()));
        let mut named: Named = file.history.columns().iter().filter_map(|c| column(&c.name)).collect();
        // Of strategies that look for novelty the archive keeps few, and not the best.
        if let Ok(best) = file.history.get::<f64>("best_fitness")
            && let Some((_, values)) = named.iter_mut().find(|(name, _)| name == "max_fitness")
        {
            *values = best.to_vec();
        }
        let (axes, measures) = chosen(&shown.to_string(), &named, columns)?;
        Ok(History {
            axes,
            measures,
            ..History::unread(file)
        })
    }

    /// What an archive's run is, without a row of its history: to compare what archives hold.
    pub fn unread(file: &ArchiveFile) -> History {
        let a = &file.attributes;
        History {
            path: file.path().display().to_string(),
            task: a.task.clone(),
            strategy: a.strategy.clone(),
            seed: a.seed,
            cores: (a.ranks as f64 * a.threads as f64).max(1.0),
            axes: [Vec::new(), Vec::new()],
            measures: Vec::new(),
            parameters: parameters(&a.config, &["task", "policy", "strategy", "archive"]),
            budget: parameters(&a.config, &["budget"]),
            software_version: a.software_version.clone(),
        }
    }

    /// The last value of an axis or a measure.
    pub fn last(&self, column: &[f64]) -> f64 {
        column.last().copied().unwrap_or(f64::NAN)
    }

    /// A measure at a point of an axis, between the rows around it; NaN before the first. After its last evaluation there is
    /// nothing to know of a run (NaN), while after its last second it stays what it is.
    pub fn at(&self, axis: usize, measure: usize, x: f64) -> f64 {
        let (xs, ys) = (&self.axes[axis], &self.measures[measure]);
        let after = xs.partition_point(|&known| known < x);
        match (after.checked_sub(1), xs.get(after)) {
            (_, Some(&known)) if known == x => ys[after],
            (Some(before), Some(&next)) => {
                let share = (x - xs[before]) / (next - xs[before]);
                ys[before] + share * (ys[after] - ys[before])
            }
            (Some(_), None) if axis == TIME => self.last(ys),
            _ => f64::NAN,
        }
    }
}

/// Columns of a history, however it is kept.
type Named = Vec<(String, Vec<f64>)>;

/// The two axes, and the measures.
type Chosen = ([Vec<f64>; 2], Vec<Vec<f64>>);

/// The axes and the measures that are asked for.
///
/// # Errors
/// A column that is not there, or an axis that does not rise.
fn chosen(shown: &str, named: &Named, columns: &Columns) -> Result<Chosen> {
    let column = |name: &String| match named.iter().find(|(known, _)| known == name) {
        Some((_, values)) => Ok(values.clone()),
        None => {
            let known: Vec<&str> = named.iter().map(|(known, _)| known.as_str()).collect();
            Err(Error::input(format!(
                "{shown} has no history of '{name}'; it has {}",
                known.join(", ")
            )))
        }
    };
    let axis = |name: &String| match column(name)? {
        values if values.is_sorted() => Ok(values),
        _ => Err(Error::input(format!(
            "{shown} has a history of '{name}' that falls or has gaps, and nothing can be drawn against it: expected a column that \
             only rises, such as evaluations or frames"
        ))),
    };
    let axes = [axis(&columns.axes[0])?, axis(&columns.axes[1])?];
    let measures = columns.measures.iter().map(column).collect::<Result<_>>()?;
    Ok((axes, measures))
}

fn parameters(config: &str, sections: &[&str]) -> Parameters {
    let table: Table = config.parse().unwrap_or_default();
    let mut all = Vec::new();
    for section in sections {
        if let Some(Value::Table(keys)) = table.get(*section) {
            all.extend(
                keys.iter()
                    .map(|(key, value)| (format!("{section}.{key}"), value.to_string())),
            );
        }
    }
    all
}

fn value<'a>(parameters: &'a Parameters, key: &str) -> &'a str {
    let found = parameters.iter().find(|(k, _)| k == key);
    found.map_or("unset", |(_, value)| value)
}

impl Comparison {
    /// Groups runs by what made them.
    ///
    /// # Errors
    /// Runs of several tasks.
    pub fn new(columns: Columns, runs: Vec<History>) -> Result<Comparison> {
        let Some(first) = runs.first() else {
            return Err(Error::input("no run was given to compare"));
        };
        if let Some(other) = runs.iter().find(|r| r.task != first.task) {
            return Err(Error::input(format!(
                "{} is of task \"{}\", {} of \"{}\": only runs of one task can be compared",
                first.path, first.task, other.path, other.task
            )));
        }
        let (task, mut notes) = (first.task.clone(), Vec::new());
        let mut note =
            |key: &str, values: Vec<&str>| notes.push(format!("{key} differs: {}", distinct(values).join(", ")));
        let set: Vec<&Parameters> = runs.iter().map(|r| &r.parameters).collect();
        for key in differing(&set) {
            if key.starts_with("task.") || key.starts_with("archive.") {
                note(&key, set.iter().map(|p| value(p, &key)).collect());
            }
        }
        let budgets: Vec<&Parameters> = runs.iter().map(|r| &r.budget).collect();
        for key in differing(&budgets) {
            note(&key, budgets.iter().map(|p| value(p, &key)).collect());
        }
        if runs.iter().any(|r| r.software_version != first.software_version) {
            note(
                "illume's version",
                runs.iter().map(|r| r.software_version.as_str()).collect(),
            );
        }
        let mut groups: Vec<Group> = Vec::new();
        for run in runs {
            let same = |g: &&mut Group| g.strategy == run.strategy && g.runs[0].parameters == run.parameters;
            match groups.iter_mut().find(same) {
                Some(group) => group.runs.push(run),
                None => groups.push(Group {
                    label: run.strategy.clone(),
                    strategy: run.strategy.clone(),
                    runs: vec![run],
                }),
            }
        }
        label(&mut groups);
        for group in &groups {
            let mut seeds: Vec<u64> = group.runs.iter().map(|r| r.seed).collect();
            seeds.sort_unstable();
            if let Some(twice) = seeds.windows(2).find(|w| w[0] == w[1]) {
                notes.push(format!(
                    "{} has seed {} more than once, and tests take these for runs of their own",
                    group.label, twice[0]
                ));
            }
        }
        Ok(Comparison {
            task,
            columns,
            groups,
            notes,
        })
    }
}

/// Keys whose values differ, in the order of the first that has them.
fn differing(all: &[&Parameters]) -> Vec<String> {
    let mut keys: Vec<&String> = Vec::new();
    for (key, _) in all.iter().copied().flatten() {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys.retain(|key| all.iter().any(|p| value(p, key) != value(all[0], key)));
    keys.into_iter().cloned().collect()
}

/// Each value once: numbers by size, then words.
fn distinct(mut values: Vec<&str>) -> Vec<&str> {
    let number = |text: &str| text.parse().unwrap_or(f64::INFINITY);
    values.sort_by(|a, b| number(a).total_cmp(&number(b)).then(a.cmp(b)));
    values.dedup();
    values
}

/// Groups of the same strategy are told apart by the parameters in which they differ.
fn label(groups: &mut [Group]) {
    let labels: Vec<String> = groups
        .iter()
        .map(|group| {
            let alike: Vec<&Parameters> = groups
                .iter()
                .filter(|g| g.strategy == group.strategy)
                .map(|g| &g.runs[0].parameters)
                .collect();
            let apart: Vec<String> = differing(&alike)
                .iter()
                .map(|key| {
                    let name = key.strip_prefix("strategy.").unwrap_or(key);
                    format!("{name} = {}", value(&group.runs[0].parameters, key))
                })
                .collect();
            if apart.is_empty() {
                group.strategy.clone()
            } else {
                format!("{}, {}", group.strategy, apart.join(", "))
            }
        })
        .collect();
    groups
        .iter_mut()
        .zip(labels)
        .for_each(|(group, label)| group.label = label);
}

impl Group {
    /// The part of an axis on which something is known of all runs of the group.
    pub fn covered(&self, axis: usize) -> [f64; 2] {
        let of = |at: fn(&[f64]) -> Option<&f64>| {
            let values = self.runs.iter().filter_map(move |run| at(&run.axes[axis]));
            values.copied()
        };
        let start = of(<[f64]>::first).fold(f64::NEG_INFINITY, f64::max);
        let end = if axis == TIME {
            of(<[f64]>::last).fold(f64::NEG_INFINITY, f64::max)
        } else {
            of(<[f64]>::last).fold(f64::INFINITY, f64::min)
        };
        [start, end]
    }

    /// A measure of each run at a point of an axis.
    pub fn at(&self, axis: usize, measure: usize, x: f64) -> Vec<f64> {
        self.runs.iter().map(|run| run.at(axis, measure, x)).collect()
    }

    /// Where the runs end.
    pub fn last(&self, column: impl Fn(&History) -> &[f64]) -> Spread {
        Spread::of(self.runs.iter().map(|run| run.last(column(run))).collect())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn run(strategy: &str, seed: u64, x: &[f64], y: &[f64], strategy_keys: &str) -> History {
        let config = format!(
            "seed = {seed}\n[task]\nname = \"arm\"\n[strategy]\nname = \"{strategy}\"\n{strategy_keys}\n[budget]\nevaluations = 100"
        );
        History {
            path: format!("{strategy}-{seed}"),
            task: "arm".into(),
            strategy: strategy.into(),
            seed,
            axes: [x.to_vec(), x.iter().map(|x| x / 10.0).collect()],
            measures: vec![y.to_vec(); 3],
            cores: 2.0,
            parameters: parameters(&config, &["task", "strategy"]),
            budget: parameters(&config, &["budget"]),
            software_version: "0.1.0".into(),
        }
    }

    #[test]
    fn a_history_is_read_between_its_rows_and_nowhere_else() {
        let r = run("a", 1, &[10.0, 20.0, 40.0], &[1.0, 2.0, 6.0], "");
        for (x, y) in [(10.0, 1.0), (15.0, 1.5), (20.0, 2.0), (35.0, 5.0), (40.0, 6.0)] {
            assert_eq!(r.at(0, 0, x), y, "{x}");
            assert_eq!(r.at(1, 2, x / 10.0), y, "{x}");
        }
        assert!(r.at(0, 0, 9.9).is_nan() && r.at(0, 0, 40.1).is_nan() && r.at(1, 0, 0.9).is_nan());
        assert_eq!(r.at(1, 0, 100.0), 6.0, "a finished run stays as it ended");
        let gap = run("a", 1, &[1.0, 2.0, 3.0], &[f64::NAN, 2.0, 3.0], "");
        assert!(gap.at(0, 0, 1.5).is_nan() && gap.at(0, 0, 2.0) == 2.0);
    }

    #[test]
    fn what_is_looked_at_first_is_what_there_is_and_corrected_scores_are_drawn_as_scores() {
        let of = |columns: &'static [&str]| usual(|column| columns.contains(&column));
        let plain = ["qd_score", "coverage", "max_fitness", "evaluations"];
        assert_eq!(of(&["qd_score", "coverage", "max_fitness", "evaluations"]), plain[..3]);
        let corrected = of(&[
            "coverage_corrected",
            "qd_score_corrected",
            "coverage",
            "qd_score",
            "max_fitness",
        ]);
        assert_eq!(corrected, ["qd_score", "qd_score_corrected", "coverage", "max_fitness"]);
        let front = of(&["qd_score", "coverage", "max_fitness", "hypervolume", "front_size"]);
        assert_eq!(front, ["hypervolume", "front_size"]);
        for column in ["qd_score", "qd_score_corrected", "coverage_corrected"] {
            assert!(is_from_zero(column), "{column}");
        }
        assert!(!is_from_zero("max_fitness_corrected") && is_share("coverage_corrected") && !is_share("qd_score"));
        assert_eq!(spoken("qd_score_corrected"), "corrected QD score");
        assert_eq!(spoken("max_fitness_corrected"), "corrected best fitness");
    }

    #[test]
    fn seeds_make_a_group_and_parameters_set_groups_apart() {
        let x = [1.0, 2.0];
        let runs = vec![
            run("b", 1, &x, &[1.0, 5.0], "batch = 4"),
            run("a", 1, &x, &[1.0, 5.0], "batch = 4"),
            run("b", 2, &x, &[3.0, 9.0], "batch = 4"),
            run("b", 1, &x, &[3.0, 9.0], "batch = 8"),
            run("b", 2, &[1.5, 3.0], &[5.0, 6.0], "batch = 4"),
        ];
        let c = Comparison::new(Columns::default(), runs).unwrap();
        let labels: Vec<&str> = c.groups.iter().map(|g| g.label.as_str()).collect();
        assert_eq!(labels, ["b, batch = 4", "a", "b, batch = 8"]);
        assert_eq!(
            c.notes,
            ["b, batch = 4 has seed 2 more than once, and tests take these for runs of their own"]
        );
        let b = &c.groups[0];
        assert_eq!((b.covered(0), b.covered(1)), ([1.5, 2.0], [0.15, 0.3]));
        let at = Spread::of(b.at(0, 0, 1.5));
        assert_eq!((at.median, at.low, at.high), (5.0, 3.0, 6.0), "of 3, 6 and 5");
        let last = b.last(|run| &run.measures[0]);
        assert_eq!((last.median, last.low, last.high), (6.0, 5.0, 9.0));
    }

    #[test]
    fn runs_of_other_tasks_are_refused_and_other_conditions_noted() {
        let mut other = run("a", 2, &[1.0], &[1.0], "");
        other.task = "sphere".into();
        let error = Comparison::new(Columns::default(), vec![run("a", 1, &[1.0], &[1.0], ""), other]).unwrap_err();
        assert!(error.to_string().contains("only runs of one task"), "{error}");
        let mut longer = run("a", 2, &[1.0], &[1.0], "");
        longer.parameters.push(("task.joints".into(), "7".into()));
        longer.budget[0].1 = "50".into();
        longer.software_version = "0.0.9".into();
        let c = Comparison::new(Columns::default(), vec![run("a", 1, &[1.0], &[1.0], ""), longer]).unwrap();
        assert_eq!(
            c.notes,
            [
                "task.joints differs: 7, unset",
                "budget.evaluations differs: 50, 100",
                "illume's version differs: 0.0.9, 0.1.0"
            ]
        );
        assert_eq!(c.groups[0].label, "a, task.joints = unset");
    }
}
