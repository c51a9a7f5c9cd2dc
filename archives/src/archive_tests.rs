use std::collections::HashMap;

use super::*;
use crate::testing::{random_genomes, random_rows, ranks, solo};
use illume_core::{Axis, Cells, Dense, NOT_OFFERED};

fn axes(k: usize) -> Vec<Axis> {
    (0..k).map(|i| Axis::new(&format!("x{i}"), "", 0.0, 1.0)).collect()
}

fn spec(shape: &[usize]) -> ArchiveSpec {
    ArchiveSpec {
        kind: "grid".into(),
        axes: axes(shape.len()),
        cells: Cells::Grid { shape: shape.to_vec() },
        capacity: shape.iter().product(),
        qd_offset: 4.0,
        rules: Vec::new(),
    }
}

fn grid(shape: &[usize], dim: usize) -> CellArchive {
    CellArchive::from_spec(&spec(shape), dim, false).unwrap()
}

/// A batch with these (cell, fitness), all else equal to the row's number.
fn rows(cells: &[i64], fitness: &[f64]) -> Batch {
    let n = cells.len();
    let mut b = Batch::new();
    b.push("status", 1, "", "", vec![0u8; n]);
    b.push("fitness", 1, "", "", fitness.to_vec());
    b.push("descriptor", 1, "", "", (0..n).map(|i| i as f64 / 100.0).collect());
    b.push("cell", 1, "", "", cells.to_vec());
    b.push("seed", 1, "", "", (0..n as u64).collect());
    b.push("operator", 1, "", "", (0..n as i32).collect());
    b.push("parents", 2, "", "", (0..2 * n as i64).collect());
    b
}

fn genomes(n: usize) -> Genomes {
    Genomes::Dense(Dense {
        dim: 2,
        data: (0..2 * n).map(|i| i as f32).collect(),
    })
}

fn insert(archive: &mut CellArchive, rows: &Batch, generation: u64) -> InsertReport {
    let mut report = InsertReport::default();
    solo(|comm| {
        archive.insert(
            rows,
            0..rows.rows(),
            &genomes(rows.rows()),
            &Offer::new(generation),
            comm,
            &mut report,
        )
    })
    .unwrap();
    report
}

fn genome_of(archive: &CellArchive, cell: u32) -> Vec<f32> {
    let mut inbox = Inbox::default();
    solo(|comm| {
        archive
            .fetch(&[], &[], comm, &mut inbox)
            .unwrap()
            .genome(cell)
            .unwrap()
            .dense()
            .unwrap()
            .to_vec()
    })
}

/// Trap: survivors chosen over old and new rows, other columns gathered from the new rows alone.
/// Trap: two candidates of a batch tie, and each field comes from another of them.
#[test]
fn an_elite_is_one_whole_row() {
    let mut archive = grid(&[5], 2);
    insert(&mut archive, &rows(&[0, 1, 2, 3], &[1.0, 5.0, 1.0, 1.0]), 0);
    insert(
        &mut archive,
        &rows(&[3, 2, 1, 2, 2, 4], &[9.0, 7.0, 2.0, 7.0, 3.0, 0.0]),
        1,
    );
    let expected = [(0, 0, 0), (1, 1, 0), (2, 1, 1), (3, 0, 1), (4, 5, 1)];
    for (cell, row, generation) in expected {
        let e = archive.elites();
        assert_eq!(e.seed()[cell], row as u64);
        assert_eq!(e.operator()[cell], row);
        assert_eq!(e.descriptor()[cell], row as f64 / 100.0);
        assert_eq!(
            e.parents()[2 * cell..2 * cell + 2],
            [2 * row as i64, 2 * row as i64 + 1]
        );
        assert_eq!(e.generation()[cell], generation);
        assert_eq!(
            genome_of(&archive, cell as u32),
            [2.0 * row as f32, 2.0 * row as f32 + 1.0]
        );
    }
    assert_eq!(archive.elites().filled, [0, 1, 2, 3, 4]);
}

#[test]
fn an_elite_is_replaced_only_by_a_strictly_better_one() {
    let mut archive = grid(&[5], 2);
    insert(&mut archive, &rows(&[0, 0, 0], &[1.0, 2.0, 2.0]), 0);
    assert_eq!(
        archive.elites().seed()[0],
        1,
        "the best of the batch, then the lowest row"
    );
    let report = insert(&mut archive, &rows(&[0, 0], &[2.0, 1.5]), 1);
    assert_eq!(archive.elites().generation()[0], 0);
    assert_eq!(report.outcome, [Outcome::Rejected as u8; 2]);
}

/// Trap: NaN compares as equal in a sort and wins.
#[test]
fn nan_infinite_failed_and_homeless_rows_are_never_inserted() {
    let mut archive = grid(&[5], 2);
    let mut batch = rows(&[0, 0, 1, -1, 2, 99], &[f64::NAN, 1.0, f64::INFINITY, 9.0, 9.0, 1.0]);
    batch.get_mut::<u8>("status").unwrap()[4] = Status::Failed as u8;
    let report = insert(&mut archive, &batch, 0);
    assert_eq!(report.outcome, [0, 3, 0, 0, 0, 0]);
    assert_eq!(archive.elites().filled, [0]);
    assert_eq!(archive.elites().fitness()[0], 1.0);
    insert(&mut archive, &rows(&[0], &[f64::NAN]), 1);
    assert_eq!(archive.elites().fitness()[0], 1.0);
}

#[test]
fn outcomes_and_gains_compare_with_the_archive_before_the_batch() {
    let mut archive = grid(&[5], 2);
    insert(&mut archive, &rows(&[1], &[2.0]), 0);
    let report = insert(
        &mut archive,
        &rows(&[3, 1, 1, 3, 1, 0], &[-1.0, 1.0, 3.0, -2.0, 5.0, 0.0]),
        1,
    );
    assert_eq!(report.outcome, [3, 1, 2, 3, 2, 3]);
    assert_eq!(report.gain, [3.0, -1.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(
        report.kept,
        [0, 4, 5],
        "in the order in which their cells were first touched"
    );
    assert_eq!(archive.elites().filled, [1, 3, 0]);
}

#[test]
fn rows_outside_the_bounds_are_counted_and_refused_if_told() {
    for (outside, cell) in [(Outside::Clip, 4), (Outside::Reject, -1)] {
        let mut archive = CellArchive::new(spec(&[5]), outside, 2, false).unwrap();
        let mut cells = [7; 3];
        archive.locate(&[1.5, 0.5, 1.0], &mut cells);
        assert_eq!(cells, [cell, 2, 4]);
        let mut batch = rows(&cells, &[1.0, 2.0, 3.0]);
        batch
            .get_mut::<f64>("descriptor")
            .unwrap()
            .copy_from_slice(&[1.5, 0.5, 1.0]);
        assert_eq!(insert(&mut archive, &batch, 0).outside, 1);
    }
}

#[test]
fn rows_that_are_not_offered_are_neither_inserted_nor_counted_as_outside() {
    for k in 1..=3 {
        let mut archive = grid(&vec![2; k], 2);
        let mut batch = rows(&[0, NOT_OFFERED, -1], &[1.0; 3]);
        let mut wide = Batch::new();
        batch
            .columns()
            .iter()
            .filter(|c| c.name != "descriptor")
            .for_each(|c| wide.push_column(c.clone()));
        wide.push("descriptor", k, "", "", vec![7.0; 3 * k]);
        batch = wide;
        let report = insert(&mut archive, &batch, 0);
        assert_eq!((report.outside, report.outcome), (2, vec![3, 0, 0]));
        assert_eq!(archive.elites().filled, [0]);
    }
}

#[test]
fn misfitting_columns_blocks_and_genomes_are_errors() {
    let mut archive = grid(&[5], 2);
    let good = rows(&[0, 1], &[1.0, 2.0]);
    let mut report = InsertReport::default();
    let mut lacking = Batch::new();
    lacking.push("fitness", 1, "", "", vec![1.0]);
    for (rows, block, genomes, part) in [
        (&lacking, 0..1, genomes(1), "'status'"),
        (&good, 0..1, genomes(1), "block"),
        (&good, 0..2, genomes(1), "1 genomes"),
        (
            &good,
            0..2,
            Genomes::Dense(Dense {
                dim: 3,
                data: vec![0.0; 6],
            }),
            "3 genes",
        ),
    ] {
        let result = solo(|comm| archive.insert(rows, block, &genomes, &Offer::new(0), comm, &mut report));
        let message = result.unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
    let mut inbox = Inbox::default();
    let message = solo(|comm| {
        archive
            .fetch(&[], &[], comm, &mut inbox)
            .unwrap()
            .genomes(&[3])
            .unwrap_err()
            .to_string()
    });
    assert!(message.contains("cell 3"), "{message}");
}

#[test]
fn the_owner_of_a_row_is_the_rank_whose_block_holds_it() {
    for (total, size) in [(1, 1), (7, 3), (3, 7), (1000, 13), (12, 4)] {
        for rank in 0..size {
            assert!(block(total, rank, size).all(|row| owner(total, row, size) == rank as u32));
        }
    }
}

/// What a rank ends with: the index but for the owners, and the genomes of all elites by cell as rank 0 fetches them.
type Summary = (Vec<u32>, Vec<u64>, Vec<u64>, Vec<i64>, Vec<i64>, Vec<String>);

fn summary(archive: &CellArchive, comm: &dyn Comm) -> Summary {
    let e = archive.elites();
    let n = e.filled.len();
    let mut bounds = vec![n; comm.size() + 1];
    bounds[0] = 0;
    let mut inbox = Inbox::default();
    let fetched = archive.fetch(&e.filled, &bounds, comm, &mut inbox).unwrap();
    let mine = &e.filled[bounds[comm.rank()]..bounds[comm.rank() + 1]];
    let genomes = fetched.genomes(mine).unwrap();
    let bits = e.fitness().iter().map(|f| f.to_bits()).collect();
    let genomes = genomes.iter().map(|g| format!("{g:?}")).collect();
    (
        e.filled.clone(),
        bits,
        e.seed().to_vec(),
        e.generation().to_vec(),
        e.parents().to_vec(),
        genomes,
    )
}

fn evolve(comm: &dyn Comm, lineage: bool) -> CellArchive {
    let mut archive = CellArchive::from_spec(&spec(&[6, 7]), 3, lineage).unwrap();
    crate::testing::fill(&mut archive, comm, 3, lineage, 6);
    archive
}

#[test]
fn any_number_of_ranks_gives_the_same_archive() {
    for lineage in [false, true] {
        let run = |size| ranks(size, |comm| summary(&evolve(comm, lineage), comm)).swap_remove(0);
        let one = run(1);
        assert!(one.0.len() > 35 && one.5.len() == one.0.len());
        for size in [2, 3, 5] {
            assert_eq!(run(size), one);
        }
    }
}

#[test]
fn each_rank_gets_the_genomes_it_wants_in_order_with_repeats() {
    for lineage in [false, true] {
        let whole = ranks(1, |comm| summary(&evolve(comm, lineage), comm)).swap_remove(0);
        let by_cell: HashMap<u32, &String> = whole.0.iter().copied().zip(&whole.5).collect();
        let wanted: Vec<u32> = (0..90).map(|i| whole.0[(i * i) % whole.0.len()]).collect();
        let received = ranks(3, |comm| {
            let archive = evolve(comm, lineage);
            let mut inbox = Inbox::default();
            let bounds = [0, 40, 40, 90];
            let fetched = archive.fetch(&wanted, &bounds, comm, &mut inbox).unwrap();
            let got = fetched
                .genomes(&wanted[bounds[comm.rank()]..bounds[comm.rank() + 1]])
                .unwrap();
            got.iter().map(|g| format!("{g:?}")).collect::<Vec<_>>()
        });
        assert_eq!(received.iter().map(Vec::len).collect::<Vec<_>>(), [40, 0, 50]);
        assert!(
            received
                .concat()
                .iter()
                .zip(&wanted)
                .all(|(genome, cell)| genome == by_cell[cell])
        );
    }
}

#[test]
fn a_rank_stores_the_genomes_it_owns_and_no_others() {
    let usage = ranks(3, |comm| {
        let archive = evolve(comm, false);
        let owned = archive.elites();
        let owned = owned
            .filled
            .iter()
            .filter(|c| owned.owner[**c as usize] as usize == comm.rank())
            .count();
        assert_eq!(archive.shard.usage().0, owned);
        archive.shard.usage()
    });
    assert!(usage.iter().all(|(used, made)| *made < 40 && *used > 0), "{usage:?}");
}

#[test]
fn restoring_gives_the_same_archive_and_refuses_what_does_not_fit() {
    let whole = ranks(1, |comm| summary(&evolve(comm, false), comm)).swap_remove(0);
    let restored = ranks(3, |comm| {
        let from = evolve(comm, false);
        let e = from.elites();
        let cells: Vec<usize> = e.filled.iter().map(|c| *c as usize).collect();
        let own = block(cells.len(), comm.rank(), comm.size());
        let mut rows = Batch::new();
        rows.push("cell", 1, "", "", cells.iter().map(|&c| c as i64).collect());
        rows.push("fitness", 1, "", "", cells.iter().map(|&c| e.fitness()[c]).collect());
        rows.push(
            "descriptor",
            2,
            "",
            "",
            cells
                .iter()
                .flat_map(|&c| e.descriptor()[2 * c..2 * c + 2].to_vec())
                .collect(),
        );
        rows.push(
            "generation",
            1,
            "",
            "",
            cells.iter().map(|&c| e.generation()[c]).collect(),
        );
        rows.push("operator", 1, "", "", cells.iter().map(|&c| e.operator()[c]).collect());
        rows.push(
            "parents",
            2,
            "",
            "",
            cells
                .iter()
                .flat_map(|&c| e.parents()[2 * c..2 * c + 2].to_vec())
                .collect(),
        );
        rows.push("seed", 1, "", "", cells.iter().map(|&c| e.seed()[c]).collect());
        let bounds: Vec<usize> = (0..=3)
            .map(|r| {
                if r == 3 {
                    cells.len()
                } else {
                    block(cells.len(), r, 3).start
                }
            })
            .collect();
        let mut inbox = Inbox::default();
        let fetched = from.fetch(&e.filled, &bounds, comm, &mut inbox).unwrap();
        let fetched = fetched.genomes(&e.filled[own.clone()]).unwrap();
        let data = fetched.iter().flat_map(|g| g.dense().unwrap().to_vec()).collect();
        let genomes = Genomes::Dense(Dense { dim: 3, data });
        assert_eq!(genomes.rows(), own.len());
        // An archive that held something else before.
        let mut archive = evolve(comm, false);
        archive.restore(&rows, &genomes, comm).unwrap();
        let result = summary(&archive, comm);
        for (at, cell) in [(0, 42), (0, -1), (1, cells[0] as i64)] {
            let mut wrong = rows.clone();
            wrong.get_mut::<i64>("cell").unwrap()[at] = cell;
            assert!(archive.restore(&wrong, &genomes, comm).is_err());
        }
        let mut wrong = rows.clone();
        wrong.get_mut::<f64>("fitness").unwrap()[3] = f64::NAN;
        assert!(archive.restore(&wrong, &genomes, comm).is_err());
        assert_eq!(summary(&archive, comm), result, "a refused restore changes nothing");
        result
    });
    // Empty cells keep what was there before, which nobody reads.
    assert_eq!(restored[0].0, whole.0);
    assert_eq!(restored[0].1, whole.1);
    assert_eq!(restored[0].5, whole.5);
}

/// The definition of the archive, one candidate after another.
#[derive(Default)]
struct Naive {
    elites: HashMap<i64, (f64, u64, u64, Vec<f32>)>,
    filled: Vec<i64>,
}

#[test]
fn random_batches_with_ties_end_as_in_a_naive_archive() {
    let mut archive = grid(&[6, 7], 2);
    let mut naive = Naive::default();
    for generation in 0..40 {
        let n = 1 + (generation as usize * 37) % 150;
        let mut rows = random_rows(generation, n, 2);
        let mut cells = vec![0; n];
        archive.locate(rows.get("descriptor").unwrap(), &mut cells);
        cells.iter_mut().step_by(17).for_each(|c| *c = -1);
        rows.get_mut("cell").unwrap().copy_from_slice(&cells);
        let genomes = random_genomes(generation, 0..n, 2, false);
        let (status, fitness) = (rows.get::<u8>("status").unwrap(), rows.get::<f64>("fitness").unwrap());
        let mut report = InsertReport::default();
        solo(|comm| archive.insert(&rows, 0..n, &genomes, &Offer::new(generation), comm, &mut report)).unwrap();
        // The naive archive fills cells in the order of rows; within a batch that is the order of first touch.
        for row in 0..n {
            let better = naive.elites.get(&cells[row]).is_none_or(|e| fitness[row] > e.0);
            if status[row] == 0 && cells[row] >= 0 && better {
                let Genomes::Dense(d) = &genomes else { unreachable!() };
                let genes = d.data[2 * row..2 * row + 2].to_vec();
                let elite = (fitness[row], rows.get::<u64>("seed").unwrap()[row], generation, genes);
                if naive.elites.insert(cells[row], elite).is_none() {
                    naive.filled.push(cells[row]);
                }
            }
        }
    }
    assert!(
        archive
            .elites()
            .filled
            .iter()
            .map(|c| i64::from(*c))
            .eq(naive.filled.iter().copied())
    );
    for (&cell, (fitness, seed, generation, genes)) in &naive.elites {
        let (e, c) = (archive.elites(), cell as usize);
        assert_eq!(
            (e.fitness()[c], e.seed()[c], e.generation()[c]),
            (*fitness, *seed, *generation as i64)
        );
        assert_eq!(&genome_of(&archive, cell as u32), genes);
    }
}

#[test]
fn cvt_cells_are_those_of_the_nearest_centroid() {
    let centroids = vec![0.1, 0.1, 0.9, 0.9, 0.1, 0.9];
    let spec = ArchiveSpec {
        kind: "cvt".into(),
        cells: Cells::Cvt { centroids },
        capacity: 3,
        ..spec(&[1, 1])
    };
    let archive = CellArchive::from_spec(&spec, 2, false).unwrap();
    let mut cells = [9; 5];
    archive.locate(&[0.0, 0.0, 0.5, 0.5, 0.2, 3.0, f64::NAN, 0.0, 1.0, 1.0], &mut cells);
    assert_eq!(cells, [0, 0, 2, -1, 1]);
}

#[test]
fn novelty_among_elites_is_the_mean_distance_to_the_nearest() {
    let mut archive = grid(&[10], 2);
    assert_eq!(archive.novelty(Some(&[0.3]), 2).unwrap(), [0.0], "nobody is there");
    // Elites at 0, 0.01 and 0.03, in the order 0.03, 0, 0.01.
    insert(&mut archive, &rows(&[4, -1, -1, 7], &[1.0; 4]), 0);
    insert(&mut archive, &rows(&[-1, 2], &[1.0; 2]), 1);
    assert_eq!(archive.elites().filled, [4, 7, 2]);
    let close = |found: Vec<f64>, expected: &[f64]| {
        assert_eq!(found.len(), expected.len());
        assert!(
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12),
            "{found:?}"
        );
    };
    close(archive.novelty(Some(&[0.04, -0.5]), 2).unwrap(), &[0.02, 0.505]);
    // Each to the two others.
    close(archive.novelty(None, 2).unwrap(), &[0.02, 0.025, 0.015]);
    close(archive.novelty(None, 1).unwrap(), &[0.01, 0.02, 0.01]);
}
