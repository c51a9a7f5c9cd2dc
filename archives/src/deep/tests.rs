use illume_core::{Axis, Cells, Dense, Memory, block};

use super::*;
use crate::file::{Attributes, Contents, read_checkpoint, write};
use crate::testing::{random_genomes, random_rows, ranks, solo};

const CELLS: usize = 6;

/// Cells along one axis; cell c from c to c + 1.
fn deep(depth: usize, keep: &str, selection: &str) -> DeepArchive {
    let rules = DepthParams {
        depth,
        keep: keep.into(),
        selection: selection.into(),
    };
    let spec = ArchiveSpec {
        kind: "grid".into(),
        axes: vec![Axis::new("x", "", 0.0, CELLS as f64)],
        cells: Cells::Grid { shape: vec![CELLS] },
        capacity: CELLS,
        qd_offset: 10.0,
        rules: rules.rules(),
    };
    let (table, memory) = (illume_core::toml::Table::new(), Memory::alone(1e9));
    let config = ArchiveConfig {
        archive: &table,
        seed: 5,
        axes: &spec.axes,
        objectives: &[],
        learned: 0,
        genome_dim: 1,
        qd_offset: 10.0,
        lineage: false,
        memory: &memory,
    };
    DeepArchive::new(spec.clone(), Outside::Clip, &config).unwrap()
}

/// New candidates with these (place, fitness).
fn rows(all: &[(f64, f64)]) -> Batch {
    let n = all.len();
    let mut b = Batch::new();
    b.push("status", 1, "", "", vec![0u8; n]);
    b.push("fitness", 1, "", "", all.iter().map(|(_, f)| *f).collect());
    b.push("descriptor", 1, "", "", all.iter().map(|(x, _)| *x).collect());
    b.push("cell", 1, "", "", all.iter().map(|(x, _)| *x as i64).collect());
    b.push("seed", 1, "", "", (0..n as u64).collect());
    b.push("operator", 1, "", "", (0..n as i32).collect());
    b.push("parents", 2, "", "", vec![-1i64; 2 * n]);
    b
}

/// The same as evaluations again of these members.
fn again(all: &[(i64, f64, f64)]) -> Batch {
    let places: Vec<(f64, f64)> = all.iter().map(|(_, x, f)| (*x, *f)).collect();
    let mut b = rows(&places);
    b.push("member", 1, "", "", all.iter().map(|(m, ..)| *m).collect());
    b.push("samples", 1, "", "", vec![1u32; all.len()]);
    b
}

fn insert(archive: &mut DeepArchive, rows: &Batch, generation: u64) -> InsertReport {
    let (n, mut report) = (rows.rows(), InsertReport::default());
    let genomes = Genomes::Dense(Dense {
        dim: 1,
        data: (0..n).map(|i| (100 * generation as usize + i) as f32).collect(),
    });
    solo(|comm| archive.insert(rows, 0..n, &genomes, &Offer::new(generation), comm, &mut report)).unwrap();
    report
}

fn genome(archive: &dyn Archive, cell: u32) -> f32 {
    let mut inbox = Inbox::default();
    solo(|comm| {
        let fetched = archive.fetch(&[cell], &[0, 1], comm, &mut inbox).unwrap();
        fetched.genome(cell).unwrap().dense().unwrap()[0]
    })
}

/// Genomes of a cell's members in the order in which they came.
fn lying_in(archive: &DeepArchive, cell: u32) -> Vec<f32> {
    let members = archive.niches().members(cell).iter();
    members.map(|m| genome(archive, *m)).collect()
}

#[test]
fn a_cell_keeps_its_best_and_of_equals_those_that_came_first() {
    let mut archive = deep(3, "best", "best");
    let report = insert(
        &mut archive,
        &rows(&[(2.5, 1.0), (2.1, 3.0), (4.0, 7.0), (2.2, 1.0)]),
        0,
    );
    assert_eq!(report.outcome, [Outcome::New as u8; 4]);
    assert_eq!((report.gain[0], report.kept.as_slice()), (11.0, &[0, 1, 2, 3][..]));
    assert_eq!(lying_in(&archive, 2), [0.0, 1.0, 3.0]);
    // One that is no better than the worst is refused; one between takes the place of the later of the two equal ones.
    let report = insert(&mut archive, &rows(&[(2.0, 1.0), (2.0, 2.0), (4.5, 8.0)]), 1);
    let rejected = Outcome::Rejected as u8;
    assert_eq!(report.outcome, [rejected, rejected, Outcome::Improved as u8]);
    assert_eq!((report.gain[1], report.gain[2]), (-1.0, 1.0));
    assert_eq!(report.kept, [1, 2]);
    assert_eq!(lying_in(&archive, 2), [0.0, 1.0, 101.0]);
    // The number that became free is used again, and the result is the best of each cell.
    assert_eq!(archive.elites().filled, [0, 1, 2, 3, 4]);
    assert_eq!(archive.places(), 2);
    let best = archive.results().unwrap();
    assert_eq!(best.elites().filled, [2, 4]);
    assert_eq!((genome(best, 2), genome(best, 4)), (1.0, 102.0));
    assert_eq!((best.elites().fitness()[2], best.elites().fitness()[4]), (3.0, 8.0));
    assert_eq!(best.elites().columns().get::<u32>("samples").unwrap()[2], 1);
    assert!(best.elites().columns().find("niche").is_none());
    assert_eq!(
        crate::metrics::measure_elites(best.spec(), best.elites()).qd_score,
        31.0
    );
}

#[test]
fn a_cell_of_the_most_recent_forgets_its_first() {
    let mut archive = deep(2, "recent", "best");
    insert(&mut archive, &rows(&[(1.0, 9.0), (1.0, 1.0), (1.0, 2.0)]), 0);
    assert_eq!(lying_in(&archive, 1), [1.0, 2.0]);
    insert(&mut archive, &rows(&[(1.5, -5.0)]), 1);
    assert_eq!(lying_in(&archive, 1), [2.0, 100.0]);
}

/// Deep-Grid of 2020: filled first, then any of the members makes room, whoever comes.
#[test]
fn a_cell_at_random_is_filled_first_and_then_any_member_makes_room() {
    let mut archive = deep(4, "random", "best");
    insert(
        &mut archive,
        &rows(&[(0.0, 4.0), (0.0, 3.0), (0.0, 2.0), (0.0, 1.0)]),
        0,
    );
    assert_eq!(lying_in(&archive, 0), [0.0, 1.0, 2.0, 3.0]);
    let mut replaced = [0; 4];
    for generation in 1..=2000 {
        let before = lying_in(&archive, 0);
        insert(&mut archive, &rows(&[(0.0, -9.0)]), generation);
        let after = lying_in(&archive, 0);
        assert_eq!((after.len(), after[3]), (4, 100.0 * generation as f32));
        replaced[before.iter().position(|g| !after.contains(g)).unwrap()] += 1;
    }
    // Chi-square of three degrees of freedom: beyond 16.3 once in a thousand.
    let chi: f64 = replaced.iter().map(|n| (f64::from(*n) - 500.0).powi(2) / 500.0).sum();
    assert!(chi < 16.3, "{replaced:?}");
}

#[test]
fn evaluations_again_are_averaged_and_drift() {
    let mut archive = deep(2, "best", "best");
    insert(&mut archive, &rows(&[(1.5, 4.0), (1.5, 3.0), (3.5, 1.0)]), 0);
    // The best of cell 1 was lucky, and lies elsewhere on average.
    let report = insert(&mut archive, &again(&[(0, 3.5, 1.0), (-1, 1.2, 0.5)]), 3);
    assert_eq!(report.outcome, [Outcome::Rejected as u8; 2]);
    assert_eq!(
        (lying_in(&archive, 1), lying_in(&archive, 2)),
        (vec![1.0, 301.0], vec![300.0])
    );
    let columns = archive.elites().columns();
    let member = archive.niches().members(2)[0] as usize;
    assert_eq!(
        (
            archive.elites().fitness()[member],
            archive.elites().descriptor()[member]
        ),
        (2.5, 2.5)
    );
    assert_eq!(columns.get::<u32>("samples").unwrap()[member], 2);
    // It is the elite that it was.
    assert_eq!(
        (
            archive.elites().generation()[member],
            archive.elites().operator()[member]
        ),
        (0, 0)
    );
    // A third evaluation counts a third.
    insert(&mut archive, &again(&[(member as i64, 2.5, 4.0)]), 4);
    let member = archive.niches().members(2)[0] as usize;
    assert!((archive.elites().fitness()[member] - 3.0).abs() < 1e-12);
    // One that fails leaves the elite as it was.
    let mut failed = again(&[(member as i64, 0.0, 0.0)]);
    failed.get_mut::<u8>("status").unwrap()[0] = Status::Failed as u8;
    let report = insert(&mut archive, &failed, 5);
    assert_eq!(report.outcome, [Outcome::Invalid as u8]);
    assert_eq!(lying_in(&archive, 2).len(), 1);
    // A number that nobody has is a new candidate.
    insert(&mut archive, &again(&[(77, 5.0, 1.0)]), 6);
    assert_eq!(lying_in(&archive, 5), [600.0]);
}

#[test]
fn an_elite_gives_way_only_to_what_is_better_and_spreads_no_more() {
    let mut archive = deep(1, "low_spread", "best");
    let mut batch = rows(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0), (1.0, 4.0)]);
    batch.push("spread", 1, "", "", vec![0.5f64, 0.7, 0.5, 0.4]);
    insert(&mut archive, &batch, 0);
    assert_eq!(lying_in(&archive, 1), [3.0]);
    let mut batch = rows(&[(1.0, 9.0), (1.0, 3.9)]);
    batch.push("spread", 1, "", "", vec![0.41f64, 0.1]);
    insert(&mut archive, &batch, 1);
    assert_eq!(lying_in(&archive, 1), [3.0]);
}

#[test]
fn parents_are_drawn_by_cell_and_then_as_the_rule_says() {
    let drawn = |selection: &str| {
        let mut archive = deep(4, "best", selection);
        insert(
            &mut archive,
            &rows(&[(1.0, 1.0), (1.0, 2.0), (1.0, 4.0), (4.0, 0.0), (4.0, 0.0)]),
            0,
        );
        let mut counts = [0.0; 5];
        let draws = Stream::new(1, Purpose::Selection, 0, 0);
        for i in 0..20_000u64 {
            counts[archive.parent((i % 2) as usize, draws.word64(i)) as usize] += 1.0 / 10_000.0;
        }
        counts
    };
    let near = |counts: [f64; 5], expected: [f64; 5]| {
        let pairs = counts.iter().zip(expected);
        assert!(
            pairs
                .clone()
                .all(|(a, b)| (a - b).abs() < 0.02 && (b > 0.0 || *a == 0.0)),
            "{counts:?}"
        );
    };
    near(drawn("best"), [0.0, 0.0, 1.0, 1.0, 0.0]);
    near(drawn("uniform"), [1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.5, 0.5]);
    // In proportion to what lies above the lowest, which is never drawn; any where all are equal.
    near(drawn("proportional"), [0.0, 0.25, 0.75, 0.5, 0.5]);
}

/// All that a rank knows, and the genomes of members and of results.
fn everything(archive: &DeepArchive, comm: &dyn Comm) -> String {
    let of = |archive: &dyn Archive| {
        let (elites, mut inbox) = (archive.elites(), Inbox::default());
        let wanted: Vec<u32> = (0..comm.size()).flat_map(|_| elites.filled.clone()).collect();
        let bounds: Vec<usize> = (0..=comm.size()).map(|r| r * elites.filled.len()).collect();
        let fetched = archive.fetch(&wanted, &bounds, comm, &mut inbox).unwrap();
        let genomes: Vec<f32> = elites
            .filled
            .iter()
            .map(|c| fetched.genome(*c).unwrap().dense().unwrap()[0])
            .collect();
        let rows: Vec<usize> = elites.filled.iter().map(|&cell| cell as usize).collect();
        let columns = elites.columns().select(&rows);
        let columns: Vec<_> = columns.columns().iter().map(|c| (&c.name, &c.data)).collect();
        format!("{:?} {columns:?} {genomes:?}", elites.filled)
    };
    of(archive) + &of(archive.results().unwrap())
}

/// Generations of new candidates and evaluations again, of which some fail.
fn fill(archive: &mut DeepArchive, comm: &dyn Comm, generations: Range<u64>) {
    let mut report = InsertReport::default();
    for generation in generations {
        let mut rows = random_rows(generation, 61, 1);
        rows.get_mut::<f64>("descriptor")
            .unwrap()
            .iter_mut()
            .for_each(|x| *x *= CELLS as f64);
        let mut cells = vec![0; 61];
        archive.locate(rows.get("descriptor").unwrap(), &mut cells);
        rows.get_mut("cell").unwrap().copy_from_slice(&cells);
        // Their genomes are those that they had, in an actual run; here what is stored tells whether rows were mixed up.
        let filled = &archive.elites().filled;
        let members = (0..61).map(|row| {
            if row % 3 == 0 {
                filled.get(row).map_or(-1, |m| i64::from(*m))
            } else {
                -1
            }
        });
        rows.push("member", 1, "", "", members.collect());
        rows.push(
            "samples",
            1,
            "",
            "",
            (0..61).map(|row| 1 + row % 2).collect::<Vec<u32>>(),
        );
        let own = block(61, comm.rank(), comm.size());
        let genomes = random_genomes(generation, own.clone(), 1, false);
        archive
            .insert(&rows, own, &genomes, &Offer::new(generation), comm, &mut report)
            .unwrap();
    }
}

#[test]
fn any_number_of_ranks_ends_with_the_same() {
    for keep in ["best", "recent", "random"] {
        let run = |comm: &dyn Comm| {
            let mut archive = deep(5, keep, "best");
            fill(&mut archive, comm, 0..9);
            everything(&archive, comm)
        };
        let alone = solo(|comm| run(comm));
        for size in [2, 3] {
            assert!(
                ranks(size, run).iter().all(|other| *other == alone),
                "{keep}: {size} ranks"
            );
        }
    }
}

#[test]
fn a_checkpoint_holds_all_members_and_goes_on_as_if_nothing_had_been() {
    let folder = tempfile::tempdir().unwrap();
    for keep in ["best", "recent", "random"] {
        let path = folder.path().join("checkpoint.h5");
        let (attributes, history) = (Attributes::default(), Batch::new());
        ranks(2, |comm| {
            let mut archive = deep(5, keep, "best");
            fill(&mut archive, comm, 0..5);
            let contents = Contents {
                attributes: &attributes,
                archive: &archive,
                genome_dim: 1,
                lineage: false,
                genes: None,
                history: &history,
                state: None,
                checkpoint: true,
                compress: 0,
            };
            write(&path, &contents, comm).unwrap();
        });
        let whole = solo(|comm| {
            let mut whole = deep(5, keep, "best");
            fill(&mut whole, comm, 0..9);
            everything(&whole, comm)
        });
        let resumed = ranks(3, |comm| {
            let stored = read_checkpoint(&path, comm).unwrap();
            let mut restored = deep(5, keep, "best");
            assert_eq!(stored.spec, *restored.spec());
            restored.restore(&stored.rows, &stored.genomes, comm).unwrap();
            let (rows, genomes) = stored.active.unwrap();
            assert!(rows.rows() > stored.rows.rows());
            restored.restore_active(&rows, &genomes, comm).unwrap();
            fill(&mut restored, comm, 5..9);
            everything(&restored, comm)
        });
        assert!(resumed.iter().all(|one| *one == whole), "{keep}");
    }
}

#[test]
fn members_that_do_not_fit_are_refused() {
    let mut archive = deep(2, "best", "best");
    insert(&mut archive, &rows(&[(1.0, 1.0), (2.0, 1.0)]), 0);
    let table = |cells: [i64; 2], niches: [i64; 2]| {
        let mut b = rows(&[(1.0, 1.0), (2.0, 2.0)]);
        b.get_mut::<i64>("cell").unwrap().copy_from_slice(&cells);
        b.push("niche", 1, "", "", niches.to_vec());
        b.push("samples", 1, "", "", vec![1u32; 2]);
        b.push("generation", 1, "", "", vec![0i64; 2]);
        b
    };
    let genomes = Genomes::Dense(Dense {
        dim: 1,
        data: vec![0.0; 2],
    });
    for (cells, niches, part) in [
        ([0, 0], [1, 2], "two members have the number 0"),
        ([0, 12], [1, 2], "not below 12"),
        ([0, 1], [1, 6], "cell 6 of an archive of 6 cells"),
    ] {
        let error = solo(|comm| archive.restore_active(&table(cells, niches), &genomes, comm)).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let without = again(&[(-1, 1.0, 1.0)]);
    let one = Genomes::Dense(Dense {
        dim: 1,
        data: vec![0.0],
    });
    assert!(solo(|comm| archive.restore_active(&without, &one, comm)).is_err());
}

/// Members of a cell as (row and a hundred times the generation that they came in, standing, evaluations).
fn standing_in(archive: &DeepArchive, cell: u32) -> Vec<(i64, u8, u32)> {
    let table = archive.elites().columns();
    let (standing, samples): (&[u8], &[u32]) = (table.get(STANDING).unwrap(), table.get(SAMPLES).unwrap());
    let (generation, operator): (&[i64], &[i32]) = (table.get("generation").unwrap(), table.get("operator").unwrap());
    let name = |m: usize| 100 * generation[m] + i64::from(operator[m]);
    let of = |m: &u32| (name(*m as usize), standing[*m as usize], samples[*m as usize]);
    archive.niches().members(cell).iter().map(of).collect()
}

#[test]
fn a_contender_takes_an_elites_place_when_it_is_better_after_as_many_evaluations() {
    let mut archive = deep(2, "adaptive", "best");
    // There is room for the first two; of the next, one is better than the worst and evaluated as often, the other challenges it.
    let report = insert(
        &mut archive,
        &rows(&[(2.5, 3.0), (2.5, 1.0), (2.5, 2.0), (2.5, 1.5)]),
        0,
    );
    let [new, improved, rejected] = [Outcome::New, Outcome::Improved, Outcome::Rejected].map(|o| o as u8);
    assert_eq!(standing_in(&archive, 2), [(0, 0, 1), (2, 0, 1), (3, 2, 1)]);
    assert_eq!(report.outcome, [new, rejected, new, rejected]);
    assert_eq!(archive.results().unwrap().elites().filled, [2]);
    // The elites hold out, evaluated again: the challenge is lost.
    insert(&mut archive, &again(&[(0, 2.5, 3.0), (1, 2.5, 2.0)]), 1);
    assert_eq!(standing_in(&archive, 2), [(0, 0, 2), (2, 0, 2)]);
    // One that is better with fewer evaluations waits for its own, and is neither bred from nor a result.
    let report = insert(&mut archive, &rows(&[(2.5, 9.0)]), 2);
    assert_eq!(report.outcome, [rejected]);
    assert_eq!(standing_in(&archive, 2)[2], (200, 1, 1));
    let best = |archive: &DeepArchive| archive.results().unwrap().elites().fitness()[2];
    assert_eq!(
        (best(&archive), archive.parent(0, u64::MAX)),
        (3.0, archive.niches().members(2)[0])
    );
    let contender = archive.niches().members(2)[2];
    let report = insert(&mut archive, &again(&[(i64::from(contender), 2.5, 7.0)]), 3);
    assert_eq!(report.outcome, [improved]);
    assert_eq!(standing_in(&archive, 2), [(0, 0, 2), (200, 0, 2)]);
    assert_eq!(best(&archive), 8.0);
    // Where elites drift away, whoever contends takes what they leave.
    insert(&mut archive, &rows(&[(2.5, 0.0)]), 4);
    let members = archive.niches().members(2).to_vec();
    assert_eq!(standing_in(&archive, 2)[2].1, 2);
    let far = again(&[(i64::from(members[0]), 5.9, 0.0), (i64::from(members[1]), 2.5, 8.0)]);
    insert(&mut archive, &far, 5);
    assert_eq!(standing_in(&archive, 2), [(400, 0, 1), (200, 0, 3)]);
    assert_eq!(standing_in(&archive, 3), [(0, 0, 3)]);
}

/// Elites that are known as well as they may be are not evaluated again.
#[test]
fn a_challenge_to_an_elite_of_most_evaluations_is_lost_at_once() {
    let mut archive = deep(1, "adaptive", "best");
    let mut first = rows(&[(0.5, 1.0)]);
    first.push("samples", 1, "", "", vec![MOST_SAMPLES]);
    insert(&mut archive, &first, 0);
    insert(&mut archive, &rows(&[(0.5, 0.5), (0.5, 2.0)]), 1);
    assert_eq!(standing_in(&archive, 0), [(0, 0, MOST_SAMPLES), (101, 1, 1)]);
}

/// A number from 0 to 1 for the evaluation `k` of candidate `i`, as `tools/record_adaptive_sampling.py` makes them.
fn hashed(i: u32, k: u32, which: u32) -> f64 {
    let terms = [(i, 2_654_435_761u32), (k, 2_246_822_519), (which, 3_266_489_917)];
    let mut h = terms
        .iter()
        .fold(374_761_393u32, |h, (x, factor)| h.wrapping_add(x.wrapping_mul(*factor)));
    h = (h ^ (h >> 15)).wrapping_mul(2_246_822_519);
    h = (h ^ (h >> 13)).wrapping_mul(3_266_489_917);
    h ^= h >> 16;
    f64::from(h >> 8) / f64::from(1u32 << 24)
}

/// Place and fitness of an evaluation.
fn evaluation(i: u32, k: u32) -> (f64, f64) {
    let place = 6.0 * hashed(i, 1000, 1) + 1.2 * (hashed(i, k, 3) - 0.5);
    (
        place.clamp(0.0, 5.999),
        hashed(i, 1000, 0) + 0.6 * (hashed(i, k, 2) - 0.5),
    )
}

/// The authors' program (tools/record_adaptive_sampling.py), one candidate after another: after each the same members lie in the same cells, evaluated as often and with the same means.
#[test]
fn one_candidate_after_another_is_adaptive_sampling_as_the_authors_program_does_it() {
    fn table(text: &str) -> Vec<Vec<f64>> {
        let numbers = |line: &str| line.split(',').map(|v| v.parse().unwrap()).collect();
        text.lines().skip(1).map(numbers).collect()
    }
    let recorded = table(include_str!("../../tests/data/adaptive_sampling.csv"));
    let counted = table(include_str!("../../tests/data/adaptive_sampling_evaluations.csv"));
    let mut archive = deep(3, "adaptive", "best");
    let (mut asked, mut generation) = (vec![0u32; counted.len()], 0);
    for (i, counted) in (0u32..).zip(&counted) {
        let mut batch = rows(&[evaluation(i, 0)]);
        batch.get_mut::<u64>("seed").unwrap()[0] = u64::from(i);
        asked[i as usize] = 1;
        // Rounds, until no contest waits for an evaluation.
        while batch.rows() > 0 {
            insert(&mut archive, &batch, generation);
            generation += 1;
            let (table, filled) = (archive.elites().columns(), &archive.elites().filled);
            let (niche, standing): (&[i64], &[u8]) = (table.get(NICHE).unwrap(), table.get(STANDING).unwrap());
            let seeds: &[u64] = table.get("seed").unwrap();
            let challenged = |cell: i64| {
                filled
                    .iter()
                    .any(|m| (niche[*m as usize], standing[*m as usize]) == (cell, 2))
            };
            let waited_for = |m: &&u32| match standing[**m as usize] {
                0 => challenged(niche[**m as usize]),
                contends => contends == 1,
            };
            let mut next = |m: &u32| {
                let candidate = seeds[*m as usize] as usize;
                let (place, fitness) = evaluation(candidate as u32, asked[candidate]);
                asked[candidate] += 1;
                (i64::from(*m), place, fitness)
            };
            let all: Vec<_> = filled.iter().filter(waited_for).map(&mut next).collect();
            batch = again(&all);
        }
        assert_eq!(
            f64::from(asked.iter().sum::<u32>()),
            counted[1],
            "evaluations, candidate {i}"
        );
        let table = archive.elites().columns();
        let (niche, seeds): (&[i64], &[u64]) = (table.get(NICHE).unwrap(), table.get("seed").unwrap());
        let (samples, places): (&[u32], &[f64]) = (table.get(SAMPLES).unwrap(), table.get("descriptor").unwrap());
        let mut ours: Vec<[f64; 5]> = archive
            .elites()
            .filled
            .iter()
            .map(|m| *m as usize)
            .map(|m| {
                let fitness = archive.elites().fitness()[m];
                [
                    niche[m] as f64,
                    seeds[m] as f64,
                    f64::from(samples[m]),
                    fitness,
                    places[m],
                ]
            })
            .collect();
        // Of a cell the best first.
        ours.sort_by(|a, b| a[0].total_cmp(&b[0]).then(b[3].total_cmp(&a[3])));
        let theirs: Vec<&[f64]> = recorded
            .iter()
            .filter(|row| row[0] == counted[0])
            .map(|row| &row[1..])
            .collect();
        assert_eq!(ours.len(), theirs.len(), "members, candidate {i}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            let same = ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-5);
            assert!(same, "candidate {i}: {ours:?} and {theirs:?}");
        }
    }
}
