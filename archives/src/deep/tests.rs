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
