use super::*;
use crate::testing::{random_genomes, random_rows, ranks, solo};
use illume_core::{Axis, NOT_OFFERED, Purpose, Status, Stream, block};

fn spec(capacity: usize, objectives: u64, axes: usize) -> ArchiveSpec {
    ArchiveSpec {
        kind: "front".into(),
        axes: (0..axes).map(|i| Axis::new(&format!("x{i}"), "", 0.0, 1.0)).collect(),
        cells: Cells::None,
        capacity,
        qd_offset: 1.0,
        rules: vec![(OBJECTIVES.into(), Rule::Count(objectives))],
    }
}

/// Rows of these objectives, all fine and offered; the fitness is their mean.
fn rows(points: &[f64], m: usize, axes: usize) -> Batch {
    let n = points.len() / m;
    let mut rows = random_rows(0, n, axes);
    rows.get_mut::<u8>("status").unwrap().fill(Status::Ok as u8);
    let fitness = rows.get_mut::<f64>("fitness").unwrap();
    fitness
        .iter_mut()
        .zip(points.chunks_exact(m))
        .for_each(|(f, p)| *f = p.iter().sum::<f64>() / m as f64);
    rows.push(OBJECTIVES, m, "", "", points.to_vec());
    rows
}

fn insert(archive: &mut FrontArchive, rows: &Batch, generation: u64) -> InsertReport {
    let n = rows.rows();
    let genomes = random_genomes(generation, 0..n, 2, false);
    let mut report = InsertReport::default();
    solo(|comm| archive.insert(rows, 0..n, &genomes, &Offer::new(generation), comm, &mut report)).unwrap();
    assert_eq!(archive.order, in_order(&archive.own()));
    report
}

fn objectives(archive: &FrontArchive) -> Vec<f64> {
    archive.elites.columns().get::<f64>(OBJECTIVES).unwrap().to_vec()
}

/// A gene of every elite, by number.
fn genes(archive: &FrontArchive) -> Vec<f32> {
    let cells = 0..archive.elites.filled.len();
    cells
        .map(|cell| archive.shard.get(cell).unwrap().dense().unwrap()[0])
        .collect()
}

#[test]
fn those_stay_that_none_dominates_and_numbers_have_no_gap() {
    let mut archive = FrontArchive::new(spec(10, 2, 0), 2, false).unwrap();
    let first = [0.0, 4.0, 1.0, 3.0, 2.0, 2.0, 0.5, 0.5, 1.0, 3.0];
    let report = insert(&mut archive, &rows(&first, 2, 0), 0);
    assert_eq!((report.kept, report.outcome), (vec![0, 1, 2], vec![3, 3, 3, 1, 1]));
    assert_eq!(objectives(&archive), first[..6]);
    // One that dominates the first two: the last takes a free number, the newcomer the other.
    let report = insert(&mut archive, &rows(&[1.5, 5.0, 2.0, 2.0], 2, 0), 1);
    assert_eq!((report.kept, report.outcome), (vec![0], vec![3, 1]));
    assert_eq!(report.gain, [3.25 + 1.0, 0.0]);
    assert_eq!(objectives(&archive), [2.0, 2.0, 1.5, 5.0]);
    assert_eq!(archive.elites.filled, [0, 1]);
    assert_eq!(archive.elites.generation(), [0, 1]);
    assert_eq!(genes(&archive), [4.0, 1_000_000.0]);
    assert_eq!(archive.shard.usage().0, 2);
    // Who failed, and who is not offered, does not take part.
    let mut bad = rows(&[9.0, 9.0, 9.0, 9.0], 2, 0);
    bad.get_mut::<u8>("status").unwrap()[0] = Status::Failed as u8;
    bad.get_mut::<i64>("cell").unwrap()[1] = NOT_OFFERED;
    assert_eq!(insert(&mut archive, &bad, 2).outcome, [0, 0]);
    // One for all.
    insert(&mut archive, &rows(&[9.0, 9.0], 2, 0), 3);
    assert_eq!(
        (objectives(&archive), genes(&archive)),
        (vec![9.0, 9.0], vec![3_000_000.0])
    );
    assert_eq!((archive.elites.fitness().len(), archive.shard.usage().0), (1, 1));
}

/// Against all points that there have been; genomes are those of their rows.
#[test]
fn without_a_cap_the_front_is_that_of_all_rows() {
    for m in 2..=4 {
        let mut archive = FrontArchive::new(spec(5000, m as u64, 2), 2, false).unwrap();
        let mut all = Vec::new();
        for generation in 0..12 {
            let stream = Stream::new(2, Purpose::Variation, generation, m as u64);
            let points: Vec<f64> = (0..60 * m as u64)
                .map(|i| stream.below(i, 9 + generation) as f64)
                .collect();
            insert(&mut archive, &rows(&points, m, 2), generation);
            all.extend(points);
            let points = Points::new(&all, m);
            let mut expected: Vec<(Vec<u64>, u64)> = non_dominated(&points, Equal::First)
                .into_iter()
                .map(|i| {
                    (
                        points.point(i).iter().map(|x| x.to_bits()).collect(),
                        (i / 60 * 1_000_000 + i % 60 * 2) as u64,
                    )
                })
                .collect();
            let found = objectives(&archive);
            let found = found
                .chunks_exact(m)
                .map(|point| point.iter().map(|x| x.to_bits()).collect());
            let mut found: Vec<(Vec<u64>, u64)> = found.zip(genes(&archive).into_iter().map(|g| g as u64)).collect();
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "{m} objectives, generation {generation}");
        }
    }
}

#[test]
fn beyond_its_capacity_the_ends_stay_and_the_crowded_go() {
    let mut archive = FrontArchive::new(spec(4, 2, 0), 2, false).unwrap();
    let points: Vec<f64> = [0.0, 0.1, 0.5, 0.12, 1.0, 0.9]
        .iter()
        .flat_map(|x| [*x, 1.0 - x])
        .collect();
    let report = insert(&mut archive, &rows(&points, 2, 0), 0);
    assert_eq!(report.outcome.iter().filter(|o| **o == Outcome::New as u8).count(), 4);
    let mut first: Vec<f64> = objectives(&archive).chunks(2).map(|p| p[0]).collect();
    first.sort_by(f64::total_cmp);
    assert!(first[0] == 0.0 && first[3] == 1.0 && first.contains(&0.5), "{first:?}");
}

#[test]
fn the_front_is_the_same_on_any_number_of_ranks_and_after_restoring() {
    let fill = |archive: &mut FrontArchive, comm: &dyn Comm, generations: Range<u64>| {
        for generation in generations {
            let stream = Stream::new(2, Purpose::Variation, generation, 0);
            let points: Vec<f64> = (0..3 * 101).map(|i| stream.uniform(i)).collect();
            let batch = rows(&points, 3, 2);
            let own = block(101, comm.rank(), comm.size());
            let genomes = random_genomes(generation, own.clone(), 2, false);
            let mut report = InsertReport::default();
            archive
                .insert(&batch, own, &genomes, &Offer::new(generation), comm, &mut report)
                .unwrap();
        }
    };
    let table = |archive: &FrontArchive| format!("{:?}", archive.elites().columns());
    let evolve = |comm: &dyn Comm| {
        let mut archive = FrontArchive::new(spec(30, 3, 2), 2, false).unwrap();
        fill(&mut archive, comm, 0..5);
        let n = archive.elites().filled.len();
        let mut rows = archive.elites().columns().clone();
        rows.push("cell", 1, "", "", (0..n as i64).collect());
        let wanted: Vec<u32> = (0..n as u32).collect();
        let size = comm.size();
        let bounds: Vec<usize> = (0..=size).map(|rank| n * rank / size).collect();
        let own = block(n, comm.rank(), size);
        let mut inbox = Inbox::default();
        let fetched = archive.fetch(&wanted, &bounds, comm, &mut inbox).unwrap();
        let mut genomes = Genomes::default();
        for (to, cell) in genomes.dense_rows(own.len(), 2).chunks_exact_mut(2).zip(own) {
            to.copy_from_slice(fetched.genome(cell as u32).unwrap().dense().unwrap());
        }
        drop(fetched);
        let mut other = FrontArchive::new(spec(30, 3, 2), 2, false).unwrap();
        other.restore(&rows, &genomes, comm).unwrap();
        assert_eq!(table(&other), table(&archive));
        fill(&mut archive, comm, 5..12);
        fill(&mut other, comm, 5..12);
        assert_eq!(table(&other), table(&archive));
        table(&archive)
    };
    let alone = solo(evolve);
    for size in [2, 3] {
        for other in ranks(size, evolve) {
            assert!(other == alone, "{size} ranks");
        }
    }
}

#[test]
fn rows_and_specs_of_other_objectives_are_refused() {
    assert!(FrontArchive::new(spec(4, 1, 0), 2, false).is_err());
    let mut archive = FrontArchive::new(spec(4, 3, 0), 2, false).unwrap();
    let pairs = rows(&[1.0, 2.0], 2, 0);
    let mut report = InsertReport::default();
    let genomes = random_genomes(0, 0..1, 2, false);
    let refused = solo(|comm| archive.insert(&pairs, 0..1, &genomes, &Offer::new(0), comm, &mut report));
    assert!(refused.unwrap_err().to_string().contains("other objectives"));
}
