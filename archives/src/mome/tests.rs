use super::*;
use crate::testing::{random_genomes, random_rows, ranks, solo};
use illume_core::{Axis, Cells, Memory, Objective, Status, block, toml};

fn archive(words: (&str, &str), most: usize, cells: usize) -> FrontsArchive {
    let text = |text: &str| Rule::Text(text.into());
    let axes = vec![Axis::new("x", "", 0.0, 1.0), Axis::new("y", "", 0.0, 1.0)];
    let spec = ArchiveSpec {
        kind: "grid".into(),
        axes: axes.clone(),
        cells: Cells::Grid { shape: vec![cells, 1] },
        capacity: cells,
        qd_offset: 4.0,
        rules: vec![
            ("depth".into(), Rule::Count(most as u64)),
            ("keep".into(), text(words.0)),
            ("selection".into(), text(words.1)),
        ],
    };
    let objectives = ["a", "b"].map(|name| Objective::new(name, "", [f64::NAN; 2]));
    FrontsArchive::new(
        spec,
        Outside::Clip,
        &ArchiveConfig {
            archive: &toml::Table::new(),
            seed: 5,
            axes: &axes,
            objectives: &objectives,
            learned: 0,
            genome_dim: 2,
            qd_offset: 4.0,
            lineage: false,
            memory: &Memory::alone(1e9),
        },
    )
    .unwrap()
}

/// Random rows with objectives of few values, so that equal ones abound, in these cells.
fn batch(archive: &FrontsArchive, generation: u64, n: usize, values: u64) -> Batch {
    let mut rows = random_rows(generation, n, 2);
    let draws = Stream::new(7, Purpose::Variation, generation, 9);
    let objectives = (0..2 * n as u64).map(|i| draws.below(i, values) as f64).collect();
    rows.push(OBJECTIVES, 2, "", "", objectives);
    let mut cells = vec![0; n];
    archive.locate(rows.get("descriptor").unwrap(), &mut cells);
    rows.get_mut::<i64>("cell").unwrap().copy_from_slice(&cells);
    rows.get_mut::<i64>("parents").unwrap().fill(-1);
    rows
}

fn insert(archive: &mut FrontsArchive, rows: &Batch, generation: u64) -> InsertReport {
    let n = rows.rows();
    let genomes = random_genomes(generation, 0..n, 2, false);
    let mut report = InsertReport::default();
    solo(|comm| archive.insert(rows, 0..n, &genomes, &Offer::new(generation), comm, &mut report)).unwrap();
    report
}

/// The objectives of a cell's members with their seeds, in order.
fn front(archive: &FrontsArchive, cell: u32) -> Vec<(u64, [f64; 2])> {
    let (e, members) = (archive.elites(), archive.niches().members(cell));
    let objectives = if members.is_empty() {
        &[]
    } else {
        e.columns().get::<f64>(OBJECTIVES).unwrap()
    };
    members
        .iter()
        .map(|m| *m as usize)
        .map(|m| (e.seed()[m], [objectives[2 * m], objectives[2 * m + 1]]))
        .collect()
}

/// What the rule says, pair by pair, with all that a cell was ever offered at hand.
#[test]
fn fronts_that_are_never_full_are_those_of_all_pairs() {
    let mut archive = archive(("front", "uniform"), 1000, 5);
    let mut offered: Vec<Vec<(u64, [f64; 2])>> = vec![Vec::new(); 5];
    for generation in 0..12 {
        let rows = batch(&archive, generation, 60, 30);
        let (status, cells): (&[u8], &[i64]) = (rows.get("status").unwrap(), rows.get("cell").unwrap());
        let (fitness, objectives): (&[f64], &[f64]) = (rows.get("fitness").unwrap(), rows.get(OBJECTIVES).unwrap());
        for row in (0..60).filter(|row| status[*row] == Status::Ok as u8 && fitness[*row].is_finite()) {
            let own = [objectives[2 * row], objectives[2 * row + 1]];
            offered[cells[row] as usize].push((rows.get::<u64>("seed").unwrap()[row], own));
        }
        insert(&mut archive, &rows, generation);
        for (cell, offered) in offered.iter().enumerate() {
            let beaten = |(at, (_, own)): (usize, &(u64, [f64; 2]))| {
                let worse = |other: &[f64; 2]| other[0] >= own[0] && other[1] >= own[1] && other != own;
                // Of equals the first one is there.
                offered.iter().any(|(_, other)| worse(other)) || offered[..at].iter().any(|(_, other)| other == own)
            };
            let expected: Vec<(u64, [f64; 2])> = offered
                .iter()
                .enumerate()
                .filter(|pair| !beaten(*pair))
                .map(|(_, pair)| *pair)
                .collect();
            assert_eq!(
                front(&archive, cell as u32),
                expected,
                "generation {generation}, cell {cell}"
            );
        }
        let best = archive.results().unwrap();
        assert_eq!(
            best.elites().filled.len(),
            offered.iter().filter(|all| !all.is_empty()).count()
        );
    }
}

#[test]
fn a_full_front_loses_whom_its_word_says() {
    let line = |values: &[[f64; 2]]| {
        let mut rows = random_rows(0, values.len(), 2);
        rows.get_mut::<u8>("status").unwrap().fill(Status::Ok as u8);
        rows.get_mut::<f64>("fitness").unwrap().fill(0.0);
        rows.get_mut::<i64>("parents").unwrap().fill(-1);
        rows.push(OBJECTIVES, 2, "", "", values.concat());
        rows
    };
    let points = [[0.0, 4.0], [1.0, 3.0], [1.25, 2.75], [4.0, 0.0]];
    let newcomer = [3.0, 1.0];
    let after = |keep: &str| {
        let mut archive = archive((keep, "uniform"), 4, 1);
        insert(&mut archive, &line(&points), 0);
        let report = insert(&mut archive, &line(&[newcomer]), 1);
        let values: Vec<[f64; 2]> = front(&archive, 0).into_iter().map(|pair| pair.1).collect();
        (values, report.outcome[0] == Outcome::Improved as u8)
    };
    // 1 lies between 0 and 1.25, 1.25 between 1 and 3.
    let (crowding, joined) = after("front");
    assert!(
        joined && crowding == [points[0], points[2], points[3], newcomer],
        "{crowding:?}"
    );
    assert_eq!(after("front_first"), (points.to_vec(), false));
    let (random, joined) = after("front_random");
    assert!(joined && random.len() == 4 && random.contains(&newcomer));
    // Nobody whom it dominates or equals comes twice.
    let mut archive = archive(("front", "uniform"), 4, 1);
    insert(&mut archive, &line(&points), 0);
    let report = insert(&mut archive, &line(&[points[0], [0.5, 3.0], [5.0, 5.0], [5.0, 5.0]]), 1);
    let word = |outcome: Outcome| outcome as u8;
    let [rejected, improved] = [Outcome::Rejected, Outcome::Improved].map(word);
    assert_eq!(report.outcome, [rejected, rejected, improved, rejected]);
    assert_eq!(front(&archive, 0).len(), 1);
    assert_eq!(report.kept, [2]);
}

#[test]
fn parents_are_drawn_as_often_as_they_are_lonely() {
    let mut archive = archive(("front", BY_CROWDING), 10, 1);
    let mut rows = random_rows(0, 4, 2);
    rows.get_mut::<u8>("status").unwrap().fill(Status::Ok as u8);
    rows.get_mut::<f64>("fitness").unwrap().fill(0.0);
    rows.get_mut::<i64>("parents").unwrap().fill(-1);
    rows.push(OBJECTIVES, 2, "", "", vec![0.0f64, 4.0, 1.0, 3.0, 2.0, 2.0, 4.0, 0.0]);
    insert(&mut archive, &rows, 0);
    // Gaps of 1, 1 and 2 of 4, at an end twice that of its neighbour: (0.5, 0.5, 0.75, 1) in both objectives.
    assert_eq!(archive.loneliness, [0.5, 0.5, 0.75, 1.0]);
    let mut counts = [0.0; 4];
    let draws = Stream::new(1, Purpose::Selection, 0, 0);
    for i in 0..20_000 {
        counts[archive.parent(0, draws.word64(i)) as usize] += 1.0;
    }
    for (count, share) in counts.iter().zip(&archive.loneliness) {
        let expected = 20_000.0 * share / 2.75;
        assert!((count - expected).abs() < 5.0 * f64::sqrt(expected), "{counts:?}");
    }
}

#[test]
fn ranks_agree_and_a_restored_archive_goes_on_as_it_would_have() {
    let run = |size: usize, restored: bool| {
        ranks(size, |comm| {
            let mut archive = archive(("front_random", BY_CROWDING), 3, 6);
            for generation in 0..8 {
                let rows = batch(&archive, generation, 40, 12);
                let own = block(40, comm.rank(), comm.size());
                let genomes = random_genomes(generation, own.clone(), 2, false);
                let mut report = InsertReport::default();
                archive
                    .insert(&rows, own, &genomes, &Offer::new(generation), comm, &mut report)
                    .unwrap();
                if restored && generation == 4 {
                    archive = again(&archive, comm);
                }
            }
            let rows: Vec<usize> = archive.elites().filled.iter().map(|m| *m as usize).collect();
            let loneliness: Vec<f64> = rows.iter().map(|member| archive.loneliness[*member]).collect();
            (
                archive.elites().columns().select(&rows),
                loneliness,
                archive.elites().filled.clone(),
            )
        })
    };
    let one = run(1, false).remove(0);
    assert!(one.0.rows() > 8);
    for (size, restored) in [(1, true), (3, false), (2, true)] {
        for other in run(size, restored) {
            let shown = |found: &(Batch, Vec<f64>, Vec<u32>)| format!("{:?} {:?} {:?}", found.0, found.1, found.2);
            assert_eq!(shown(&other), shown(&one), "{size} ranks");
        }
    }
}

/// An archive made of another's file.
fn again(archive: &FrontsArchive, comm: &dyn Comm) -> FrontsArchive {
    let filled = &archive.elites().filled;
    let rows: Vec<usize> = filled.iter().map(|m| *m as usize).collect();
    let mut table = archive.elites().columns().select(&rows);
    table.push("cell", 1, "", "", filled.iter().map(|m| i64::from(*m)).collect());
    let own = block(rows.len(), comm.rank(), comm.size());
    let wanted: Vec<u32> = (0..comm.size())
        .flat_map(|rank| filled[block(rows.len(), rank, comm.size())].to_vec())
        .collect();
    let start = |rank: usize| block(rows.len(), rank, comm.size()).start;
    let bounds: Vec<usize> = (0..comm.size()).map(start).chain([rows.len()]).collect();
    let mut inbox = Inbox::default();
    let fetched = archive.fetch(&wanted, &bounds, comm, &mut inbox).unwrap();
    let data = own
        .flat_map(|i| fetched.genome(filled[i]).unwrap().dense().unwrap().to_vec())
        .collect();
    let genomes = Genomes::Dense(illume_core::Dense { dim: 2, data });
    let mut fresh = self::archive(("front_random", BY_CROWDING), 3, 6);
    fresh.restore_active(&table, &genomes, comm).unwrap();
    fresh
}
