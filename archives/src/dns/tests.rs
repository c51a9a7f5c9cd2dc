use super::*;
use crate::testing::{random_genomes, random_rows, ranks, solo};
use illume_core::{Axis, NOT_OFFERED, Status, block};

fn spec(capacity: usize) -> ArchiveSpec {
    ArchiveSpec {
        kind: "dns".into(),
        axes: vec![Axis::new("x", "m", 0.0, 1.0), Axis::new("y", "m", 0.0, 4.0)],
        cells: Cells::None,
        capacity,
        qd_offset: 4.0,
        rules: Rules {
            neighbours: 3,
            normalize: false,
        }
        .rules(),
    }
}

/// Rows of these fitnesses on the x axis, all fine and offered.
fn rows(places: &[(f64, f64)]) -> Batch {
    let mut rows = random_rows(0, places.len(), 2);
    rows.get_mut::<u8>("status").unwrap().fill(Status::Ok as u8);
    rows.get_mut::<i64>("cell").unwrap().fill(0);
    let fitness: Vec<f64> = places.iter().map(|p| p.0).collect();
    rows.get_mut::<f64>("fitness").unwrap().copy_from_slice(&fitness);
    let descriptor: Vec<f64> = places.iter().flat_map(|p| [p.1, 0.0]).collect();
    rows.get_mut::<f64>("descriptor").unwrap().copy_from_slice(&descriptor);
    rows
}

fn insert(archive: &mut DnsArchive, rows: &Batch, generation: u64) -> InsertReport {
    let n = rows.rows();
    let genomes = random_genomes(generation, 0..n, 2, false);
    let mut report = InsertReport::default();
    solo(|comm| archive.insert(rows, 0..n, &genomes, &Offer::new(generation), comm, &mut report)).unwrap();
    report
}

#[test]
fn dominated_novelty_is_that_of_the_paper_by_hand() {
    // 2 is 1 away from 3; 1 is 3 away from 3 and 2 away from 2.
    let score = dominated_novelty(&[3.0, 2.0, 1.0], &[0.0, 1.0, 3.0], 3);
    assert_eq!(score, [f64::INFINITY, 1.0, 2.5]);
    // One neighbour: the nearer one.
    assert_eq!(dominated_novelty(&[3.0, 2.0, 1.0], &[0.0, 1.0, 3.0], 1)[2], 2.0);
    // Of two equal bests at one place the first stays whatever happens.
    assert_eq!(dominated_novelty(&[3.0, 3.0], &[1.0, 1.0], 3), [f64::INFINITY, 0.0]);
}

/// Against all distances, sorted.
#[test]
fn dominated_novelty_is_that_of_every_pair() {
    let rows = random_rows(3, 300, 2);
    let (fitness, places): (&[f64], &[f64]) = (rows.get("fitness").unwrap(), rows.get("descriptor").unwrap());
    let fitness: Vec<f64> = fitness
        .iter()
        .map(|f| if f.is_finite() { (f * 4.0).round() } else { 0.0 })
        .collect();
    for neighbours in [1, 3, 500] {
        let score = dominated_novelty(&fitness, places, neighbours);
        for i in 0..300 {
            let fitter = (0..300).filter(|&j| (fitness[j], i) > (fitness[i], j));
            let distance = |j: usize| (places[2 * i] - places[2 * j]).hypot(places[2 * i + 1] - places[2 * j + 1]);
            let mut all: Vec<f64> = fitter.map(distance).collect();
            all.sort_by(f64::total_cmp);
            all.truncate(neighbours);
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let right = if all.is_empty() {
                score[i].is_infinite()
            } else {
                (score[i] - mean).abs() < 1e-12
            };
            assert!(right, "{neighbours} neighbours, {i}: {} and {mean}", score[i]);
        }
    }
}

#[test]
fn those_survive_that_are_far_from_what_is_fitter_and_keep_their_numbers() {
    let mut archive = DnsArchive::new(spec(3), 2, false).unwrap();
    let report = insert(&mut archive, &rows(&[(5.0, 0.0), (4.0, 0.1)]), 0);
    assert_eq!((report.kept, report.outcome), (vec![0, 1], vec![3, 3]));
    // Places are taken up to the capacity; then 4, which is 0.1 away from 5, goes for 1, which is nearly 1 away from both.
    let report = insert(&mut archive, &rows(&[(3.0, 0.5), (1.0, 1.0), (2.0, 0.05)]), 1);
    assert_eq!((report.kept, report.outcome), (vec![0, 1], vec![3, 3, 1]));
    assert_eq!(archive.elites().fitness(), [5.0, 3.0, 1.0]);
    assert_eq!(archive.elites().generation(), [0, 1, 1]);
    assert_eq!(archive.elites().filled, [0, 1, 2]);
    let scores = archive.elites().columns().get::<f64>(SCORE).unwrap();
    assert_eq!(scores[0], f64::INFINITY);
    // Who failed, and who is not offered, does not take part.
    let mut bad = rows(&[(9.0, 0.3), (9.0, 0.4), (f64::NAN, 0.5)]);
    bad.get_mut::<u8>("status").unwrap()[0] = Status::Failed as u8;
    bad.get_mut::<i64>("cell").unwrap()[1] = NOT_OFFERED;
    assert_eq!(insert(&mut archive, &bad, 2).outcome, [0, 0, 0]);
    assert_eq!(archive.elites().fitness(), [5.0, 3.0, 1.0]);
}

#[test]
fn the_population_is_the_same_on_any_number_of_ranks_and_after_restoring() {
    let evolve = |comm: &dyn Comm| {
        let mut archive = DnsArchive::new(spec(40), 2, false).unwrap();
        crate::testing::fill(&mut archive, comm, 2, false, 5);
        let elites = archive.elites();
        let mut rows = elites.columns().clone();
        let cells: Vec<i64> = (0..rows.rows() as i64).collect();
        rows.push("cell", 1, "", "", cells);
        let wanted: Vec<u32> = (0..40).collect();
        let size = comm.size();
        let bounds: Vec<usize> = (0..=size).map(|rank| 40 * rank / size).collect();
        let own = block(40, comm.rank(), size);
        let mut inbox = Inbox::default();
        let fetched = archive.fetch(&wanted, &bounds, comm, &mut inbox).unwrap();
        let mut genomes = Genomes::default();
        for (to, cell) in genomes.dense_rows(own.len(), 2).chunks_exact_mut(2).zip(own) {
            to.copy_from_slice(fetched.genome(cell as u32).unwrap().dense().unwrap());
        }
        drop(fetched);
        let mut other = DnsArchive::new(spec(40), 2, false).unwrap();
        other.restore(&rows, &genomes, comm).unwrap();
        assert_eq!(
            format!("{:?}", other.elites().columns()),
            format!("{:?}", archive.elites().columns())
        );
        crate::testing::fill(&mut archive, comm, 2, false, 7);
        crate::testing::fill(&mut other, comm, 2, false, 7);
        assert_eq!(
            format!("{:?}", other.elites().columns()),
            format!("{:?}", archive.elites().columns())
        );
        format!("{:?}", archive.elites().columns())
    };
    let alone = solo(evolve);
    for size in [2, 3] {
        for other in ranks(size, evolve) {
            assert!(other == alone, "{size} ranks");
        }
    }
}
