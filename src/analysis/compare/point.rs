//! What groups have reached where all of their runs can be compared, after equally many evaluations and in equal core time, and how
//! they differ there.

use illume_core::{Error, Result};

use super::{Comparison, History, TIME};
use crate::analysis::statistics::{Against, Goal, Sample, Summary, Test, caution, compare, correct};

/// Groups of which every two are compared; more of them are compared with the first alone.
const EACH_OTHER: usize = 6;

/// A place on an axis, and what is known there.
#[derive(Debug, Clone)]
pub struct Point {
    /// The column of the history that is equal here, or `core_seconds`: wall time x ranks x threads.
    pub axis: String,
    pub at: f64,
    pub measures: Vec<Measure>,
}

/// What groups have reached in one measure.
#[derive(Debug, Clone)]
pub struct Measure {
    pub column: String,
    /// Of each group.
    pub summaries: Vec<Summary>,
    /// Higher is better.
    pub tests: Vec<Test>,
}

/// Two points, on the axis of evaluations (or what stands in its place) and on that of core time, where they are asked for or where the
/// first run ends; and what a reader should know of the tests. Holm's correction is over all tests of both.
///
/// # Errors
/// A point that not every run has reached.
pub fn points(c: &Comparison, asked: [Option<(&str, f64)>; 2]) -> Result<([Point; 2], Option<String>)> {
    let mut points = [point(c, 0, asked[0])?, point(c, TIME, asked[1])?];
    let measures = points.iter_mut().flat_map(|p| &mut p.measures);
    correct(measures.flat_map(|m| &mut m.tests));
    let caution = caution(points.iter().flat_map(|p| &p.measures).flat_map(|m| &m.tests));
    Ok((points, caution))
}

fn point(c: &Comparison, axis: usize, asked: Option<(&str, f64)>) -> Result<Point> {
    // Core time is wall time on each of a run's cores.
    let scale = |run: &History| if axis == TIME { run.cores } else { 1.0 };
    let ends = |run: &History| {
        let ends = [run.axes[axis].first(), run.axes[axis].last()];
        ends.map(|x| x.map_or(f64::NAN, |x| x * scale(run)))
    };
    let runs = || c.groups.iter().flat_map(|g| &g.runs);
    let name = match c.columns.axes[axis].as_str() {
        "wall_seconds" => "core_seconds",
        other => other,
    };
    if let Some((option, at)) = asked
        && let Some((run, [first, last])) = runs()
            .map(|run| (run, ends(run)))
            .find(|(_, [first, last])| !(first..=last).contains(&&at))
    {
        return Err(Error::input(format!(
            "{option} {at}: {} goes from {first} to {last} {}; expected a number that lies within every run",
            run.path,
            super::spoken(name)
        )));
    }
    let at = asked.map_or_else(
        || runs().map(|run| ends(run)[1]).fold(f64::INFINITY, f64::min),
        |(_, at)| at,
    );
    let measure = |(i, column): (usize, &String)| {
        let samples: Vec<Sample> = c
            .groups
            .iter()
            .map(|group| Sample {
                name: group.label.clone(),
                values: group.runs.iter().map(|run| run.at(axis, i, at / scale(run))).collect(),
            })
            .collect();
        let against = match samples.len() {
            0..=EACH_OTHER => Against::EachOther,
            _ => Against::Baseline(0),
        };
        Measure {
            column: column.clone(),
            summaries: samples.iter().map(|s| Summary::of(&[&s.values])).collect(),
            tests: compare(&samples, against, Goal::Maximize),
        }
    };
    Ok(Point {
        axis: name.into(),
        at,
        measures: c.columns.measures.iter().enumerate().map(measure).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Columns;
    use super::super::tests::run;
    use super::*;

    /// Groups of five runs: "slow" takes ten times as long for half as much again.
    fn comparison() -> Comparison {
        let quick = (1..=5).map(|seed| {
            run(
                "quick",
                seed,
                &[100.0, 200.0, 400.0],
                &[0.0, 10.0, 20.0 + seed as f64],
                "",
            )
        });
        let slow = (1..=5).map(|seed| {
            let mut run = run(
                "slow",
                seed,
                &[100.0, 200.0, 300.0],
                &[0.0, 15.0, 30.0 + seed as f64],
                "",
            );
            run.cores = 20.0;
            run
        });
        Comparison::new(Columns::default(), quick.chain(slow).collect()).unwrap()
    }

    #[test]
    fn runs_are_compared_where_the_first_of_them_ends() {
        let ([equal, time], caution) = points(&comparison(), [None, None]).unwrap();
        assert_eq!((equal.axis.as_str(), equal.at), ("evaluations", 300.0));
        // A run of "quick" has two cores and takes 40 s for 400 evaluations, one of "slow" needs 600 core seconds for 300.
        assert_eq!((time.axis.as_str(), time.at), ("core_seconds", 80.0));
        let [quick, slow] = equal.measures[0].summaries[..] else {
            panic!()
        };
        assert_eq!((quick.spread.median, slow.spread.median), (16.5, 33.0));
        let test = &equal.measures[0].tests[0];
        assert_eq!((test.baseline.as_str(), test.candidate.as_str()), ("quick", "slow"));
        assert!(test.improvement == 1.0 && (test.p - 2.0 / 252.0).abs() < 1e-15);
        // "slow" has no row yet: its first is of 200 core seconds. So three of the six tests are none.
        let [quick, slow] = time.measures[0].summaries[..] else {
            panic!()
        };
        assert_eq!((quick.spread.median, slow.n, slow.missing), (23.0, 0, 5));
        assert!(time.measures[0].tests[0].p.is_nan());
        assert!((test.adjusted_p - 3.0 * test.p).abs() < 1e-15);
        assert_eq!(caution, None);
    }

    #[test]
    fn the_order_at_equal_core_time_may_be_another_than_at_equal_evaluations() {
        let asked = [Some(("--at", 200.0)), Some(("--at-core-seconds", 80.0))];
        let mut c = comparison();
        for run in &mut c.groups[1].runs {
            run.axes[1][0] = 2.0;
        }
        let ([equal, time], _) = points(&c, asked).unwrap();
        assert_eq!((equal.at, time.at), (200.0, 80.0));
        assert_eq!(equal.measures[0].tests[0].improvement, 1.0);
        assert_eq!(time.measures[0].tests[0].improvement, 0.0);
        assert!((time.measures[0].summaries[1].spread.median - 15.0 / 9.0).abs() < 1e-12);
    }

    #[test]
    fn a_point_that_not_every_run_has_reached_is_refused() {
        for (asked, parts) in [
            (
                [Some(("--at", 301.0)), None],
                ["--at 301: slow-1 goes from 100 to 300 evaluations", "within every run"],
            ),
            (
                [Some(("--at", 99.0)), None],
                ["--at 99: quick-1 goes from 100 to 400", "within every run"],
            ),
            (
                [Some(("--at", f64::NAN)), None],
                ["--at NaN: quick-1 goes", "within every run"],
            ),
            (
                [None, Some(("--at-core-seconds", 81.0))],
                ["quick-1 goes from 20 to 80 core seconds", "within every run"],
            ),
            (
                [None, Some(("--at-core-seconds", 80.0))],
                ["slow-1 goes from 200 to 600 core seconds", "within every run"],
            ),
        ] {
            let said = points(&comparison(), asked).unwrap_err().to_string();
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        }
    }

    #[test]
    fn many_groups_are_compared_with_the_first_alone() {
        for (groups, tests) in [(1, 0), (6, 15), (7, 6)] {
            let runs = (0..groups).map(|i| run(&format!("s{i}"), 1, &[1.0, 2.0], &[1.0, 2.0], ""));
            let c = Comparison::new(Columns::default(), runs.collect()).unwrap();
            let ([equal, _], caution) = points(&c, [None, None]).unwrap();
            assert_eq!(equal.measures[0].tests.len(), tests);
            assert_eq!(caution.is_some(), tests > 0);
        }
    }
}
