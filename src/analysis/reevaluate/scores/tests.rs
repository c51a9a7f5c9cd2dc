use illume_archives::CellArchive;
use illume_core::{ArchiveSpec, Axis, Batch, Cells, Purpose, Status, Stream};

use super::super::Sums;
use super::*;

/// A grid of so many cells on [0, 1], QD offset 10.
fn grid(shape: &[usize]) -> CellArchive {
    let names = ["x", "y", "z"];
    let spec = ArchiveSpec {
        kind: "grid".into(),
        axes: names[..shape.len()]
            .iter()
            .map(|n| Axis::new(n, "", 0.0, 1.0))
            .collect(),
        cells: Cells::Grid { shape: shape.to_vec() },
        capacity: shape.iter().product(),
        qd_offset: 10.0,
        rules: Vec::new(),
    };
    CellArchive::from_spec(&spec, 1, false).unwrap()
}

/// Fitness and descriptor of an episode; none of one that did not end well.
type Episode = Option<(f64, Vec<f64>)>;

/// Rows of which episode e is `episodes[e][row]`.
fn table(k: usize, episodes: &[Vec<Episode>]) -> Reevaluated {
    let n = episodes[0].len();
    let mut sums = Sums::new(n, k, 0, episodes.len());
    for (number, rows) in episodes.iter().enumerate() {
        let status = rows.iter().map(|row| match row {
            Some(_) => Status::Ok as u8,
            None => Status::Failed as u8,
        });
        let values = rows.iter().cloned().map(|row| row.unwrap_or((0.0, vec![0.0; k])));
        let (fitness, descriptor): (Vec<f64>, Vec<Vec<f64>>) = values.unzip();
        let mut batch = Batch::new();
        batch.push("status", 1, "", "", status.collect());
        batch.push("fitness", 1, "", "", fitness);
        batch.push("descriptor", k, "", "", descriptor.concat());
        sums.add(0, number, &batch, &[]).unwrap();
    }
    sums.finish()
}

/// The same for one descriptor axis: a row's episodes as (fitness, descriptor).
fn rows(table_of: &[&[(f64, f64)]]) -> Reevaluated {
    let episode = |e: usize| table_of.iter().map(|row| Some((row[e].0, vec![row[e].1]))).collect();
    table(1, &(0..table_of[0].len()).map(episode).collect::<Vec<_>>())
}

fn close(found: f64, known: f64) {
    assert!((found - known).abs() < 1e-12, "{found}, not {known}");
}

/// Bootstrapped: within what 100 replicates leave to chance.
fn near(found: f64, known: f64) {
    assert!((found / known - 1.0).abs() < 0.25, "{found}, not about {known}");
}

#[test]
fn expected_rows_stay_in_their_cells_and_corrected_ones_fall_where_their_mean_descriptor_lies() {
    // Means: fitness 2 at 0.25, 6 at 0.3, -1 at 0.9; four cells, of which the first two rows share the second.
    let rows = rows(&[
        &[(1.0, 0.25), (3.0, 0.25)],
        &[(4.0, 0.1), (8.0, 0.5)],
        &[(-1.0, 0.9), (-1.0, 0.9)],
    ]);
    let found = scores(&grid(&[4]), &rows, &[1, 2, 3]);
    let (e, c) = (found.expected.metrics, found.corrected.metrics);
    assert_eq!(
        (e.filled, e.coverage, e.qd_score, e.max_fitness),
        (3, 0.75, 2.0 + 6.0 - 1.0 + 30.0, 6.0)
    );
    assert_eq!(
        (c.filled, c.coverage, c.qd_score, c.max_fitness),
        (2, 0.5, 6.0 - 1.0 + 20.0, 6.0)
    );
    assert_eq!(found.cells, [1, 1, 3]);
    // Variances of the fitness are 2, 8 and 0, each mean is over two episodes.
    close(found.expected.se.qd_score, ((2.0f64 + 8.0) / 2.0).sqrt());
    assert_eq!(found.expected.se.coverage, 0.0);
}

#[test]
fn rows_of_one_seed_are_added_up_episode_by_episode_first() {
    let far = |a, b| rows(&[&[(1.0, 0.1), (3.0, 0.1)], &[(a, 0.9), (b, 0.9)]]);
    let error = |rows: &Reevaluated, seeds| scores(&grid(&[2]), rows, seeds).expected.se.qd_score;
    // Totals of the two episodes are 5 and 11: standard deviation 3 sqrt(2), over sqrt(2).
    close(error(&far(4.0, 8.0), &[7, 7]), 3.0);
    // Totals of 9 and 7.
    close(error(&far(8.0, 4.0), &[7, 7]), 1.0);
    close(error(&far(8.0, 4.0), &[7, 8]), 5.0f64.sqrt());
    // Nobody moves, so the corrected score is the same sum. Drawn: -3, 0 or 3 times sqrt(2) in a half of the cases.
    near(scores(&grid(&[2]), &far(4.0, 8.0), &[7, 7]).corrected.se.qd_score, 3.0);
    near(scores(&grid(&[2]), &far(8.0, 4.0), &[7, 7]).corrected.se.qd_score, 1.0);
    near(
        scores(&grid(&[2]), &far(8.0, 4.0), &[7, 8]).corrected.se.qd_score,
        5.0f64.sqrt(),
    );
}

/// Row 1 lies at 0.6 on average. Two episodes drawn from 0.4 and 0.8 have the mean 0.4 in a quarter of the cases, by which, stretched by
/// sqrt(2), it crosses the border at 0.5 and loses to row 0: the score falls from 27 by 12, coverage from 1 by 0.5.
#[test]
fn a_row_that_may_fall_into_another_cell_gives_the_corrected_score_its_error() {
    let rows = rows(&[&[(5.0, 0.2), (5.0, 0.2)], &[(2.0, 0.4), (2.0, 0.8)]]);
    let found = scores(&grid(&[2]), &rows, &[1, 2]);
    assert_eq!(
        (found.corrected.metrics.qd_score, found.corrected.metrics.coverage),
        (27.0, 1.0)
    );
    near(found.corrected.se.qd_score, 12.0 * (3.0f64 / 16.0).sqrt());
    near(found.corrected.se.coverage, 0.5 * (3.0f64 / 16.0).sqrt());
    let se = found.expected.se;
    assert_eq!(
        (se.qd_score, se.coverage, se.max_fitness),
        (0.0, 0.0, 0.0),
        "no fitness varies"
    );
    assert_eq!(found.corrected.se.max_fitness, 0.0);
}

#[test]
fn episodes_that_did_not_end_well_count_nowhere() {
    let one = |f: Option<f64>| vec![f.map(|f| (f, vec![0.5])), Some((1e9 + 0.1, vec![0.1])), None];
    let found = table(1, &[one(Some(1.0)), one(None), one(Some(3.0))]);
    let found = scores(&grid(&[4]), &found, &[1, 2, 3]);
    assert_eq!(
        (found.expected.metrics.filled, found.expected.metrics.coverage),
        (2, 0.5)
    );
    // A variance of 2 over two episodes; the second row's equal episodes add nothing, however large.
    close(found.expected.se.qd_score, 1.0);
    assert_eq!(found.cells[2], -1);
}

#[test]
fn a_single_episode_tells_nothing_of_its_spread_and_equal_ones_that_there_is_none() {
    let all = |s: Score| [s.se.qd_score, s.se.coverage, s.se.max_fitness];
    let single = scores(&grid(&[2]), &rows(&[&[(1.0, 0.1)], &[(2.0, 0.2)]]), &[1, 2]);
    assert!(
        all(single.expected)
            .iter()
            .chain(&all(single.corrected))
            .all(|x| x.is_nan()),
        "{single:?}"
    );
    let mixed = table(
        1,
        &[
            vec![Some((1.0, vec![0.1])), Some((1.0, vec![0.9]))],
            vec![None, Some((2.0, vec![0.9]))],
        ],
    );
    assert!(
        scores(&grid(&[2]), &mixed, &[1, 2]).expected.se.qd_score.is_nan(),
        "row 0 has one"
    );
    let equal = scores(&grid(&[2]), &rows(&[&[(1e9 + 0.1, 0.1); 3], &[(0.7, 0.2); 3]]), &[1, 2]);
    assert_eq!((all(equal.expected), all(equal.corrected)), ([0.0; 3], [0.0; 3]));
    let nobody = scores(&grid(&[2]), &table(1, &[vec![None], vec![None]]), &[1]);
    assert_eq!((nobody.expected.metrics.coverage, nobody.cells[0]), (0.0, -1));
}

/// An archive whose elites are noisy: true fitness and descriptor by the row, noise by (seed, evaluation, episode).
fn noisy(n: usize, episodes: usize, evaluation: u64, seeds: &[u64], deviation: f64) -> Reevaluated {
    let truth = |row: usize, i: u64| Stream::new(1, Purpose::Init, 0, row as u64).uniform(i);
    let episode = |e: usize| {
        let row = |row: usize| {
            let mut noise = [0.0f32; 3];
            Stream::new(seeds[row], Purpose::Episode, evaluation, e as u64).normals(0, &mut noise);
            let [f, x, y] = noise.map(f64::from);
            let at = |i: u64, z: f64| (truth(row, i) + deviation * z).clamp(0.0, 1.0);
            Some((3.0 * truth(row, 2) + f, vec![at(0, x), at(1, y)]))
        };
        (0..n).map(row).collect()
    };
    table(2, &(0..episodes).map(episode).collect::<Vec<_>>())
}

/// Independent of all formulas: the evaluation is made again 200 times, and the scores scatter as the standard errors say.
#[test]
fn standard_errors_are_the_scatter_of_evaluations_made_again() {
    let (n, archive) = (300, grid(&[16, 16]));
    let own: Vec<u64> = (0..n as u64).collect();
    let shared: Vec<u64> = own.iter().map(|row| row / 30).collect();
    for (seeds, episodes, deviation) in [(&own, 3, 0.05), (&own, 10, 0.02), (&shared, 8, 0.0), (&own, 40, 0.02)] {
        let again = |evaluation| scores(&archive, &noisy(n, episodes, evaluation, seeds, deviation), seeds);
        let all: Vec<Metrics> = (0..200)
            .flat_map(|evaluation| {
                let rows = noisy(n, episodes, evaluation, seeds, deviation);
                [
                    expected(archive.spec(), &rows.fitness),
                    measure_archive(archive.spec(), &corrected(&archive, &rows).fitness),
                ]
            })
            .collect();
        // Of a single evaluation the error varies itself; a mean of ten shows a wrong formula.
        let mean = |of: &dyn Fn(&Scores) -> f64| (200..210).map(|e| of(&again(e))).sum::<f64>() / 10.0;
        let scatter = |which: usize, of: fn(&Metrics) -> f64| {
            spread(
                all.iter()
                    .skip(which)
                    .step_by(2)
                    .map(of)
                    .collect::<Vec<_>>()
                    .into_iter(),
            )
        };
        for (what, said, true_one) in [
            (
                "expected score",
                mean(&|s| s.expected.se.qd_score),
                scatter(0, |m| m.qd_score),
            ),
            (
                "corrected score",
                mean(&|s| s.corrected.se.qd_score),
                scatter(1, |m| m.qd_score),
            ),
            (
                "corrected coverage",
                mean(&|s| s.corrected.se.coverage),
                scatter(1, |m| m.coverage),
            ),
        ] {
            let ratio = if true_one == 0.0 && said == 0.0 {
                1.0
            } else {
                said / true_one
            };
            assert!(
                (0.85..1.15).contains(&ratio),
                "{what}, {episodes} episodes: {said}, but {true_one}"
            );
        }
    }
}

#[test]
fn scores_are_the_same_for_any_number_of_threads() {
    let seeds: Vec<u64> = (0..500).collect();
    let rows = noisy(500, 4, 0, &seeds, 0.05);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| scores(&grid(&[16, 16]), &rows, &seeds))
    };
    assert_eq!(on(1), on(3));
}
