use super::*;
use crate::testing::{random_genomes, random_rows, ranks, solo};
use illume_core::{Axis, NOT_OFFERED};

fn spec(admission: Admission, capacity: usize) -> ArchiveSpec {
    ArchiveSpec {
        kind: "unstructured".into(),
        axes: vec![Axis::new("x", "m", 0.0, 1.0), Axis::new("y", "m", 0.0, 4.0)],
        cells: Cells::None,
        capacity,
        qd_offset: 4.0,
        rules: Unstructured {
            neighbours: 3,
            admission,
            normalize: false,
        }
        .rules(),
    }
}

fn archive(admission: Admission) -> UnstructuredArchive {
    UnstructuredArchive::new(spec(admission, 1000), 9, 2, false).unwrap()
}

/// Rows at these places, all fine and offered.
fn rows(places: &[[f64; 2]]) -> Batch {
    let mut rows = random_rows(0, places.len(), 2);
    rows.get_mut::<u8>("status").unwrap().fill(0);
    rows.get_mut::<f64>("descriptor")
        .unwrap()
        .copy_from_slice(places.as_flattened());
    rows
}

fn insert(archive: &mut UnstructuredArchive, rows: &Batch, offer: &Offer) -> InsertReport {
    let mut report = InsertReport::default();
    let genomes = random_genomes(offer.generation, 0..rows.rows(), 2, false);
    solo(|comm| archive.insert(rows, 0..rows.rows(), &genomes, offer, comm, &mut report)).unwrap();
    report
}

fn crowd() -> Offer {
    Offer {
        crowd: true,
        ..Offer::new(0)
    }
}

#[test]
fn novelty_is_measured_before_the_batch_is_admitted() {
    let mut archive = archive(Admission::Random(1.0));
    let first = insert(&mut archive, &rows(&[[0.0, 0.0], [3.0, 4.0]]), &Offer::new(0));
    assert_eq!((first.novelty, first.kept), (vec![0.0, 0.0], vec![0, 1]));
    let second = insert(&mut archive, &rows(&[[0.0, 0.0], [3.0, 0.0]]), &Offer::new(1));
    assert_eq!(second.novelty, [2.5, 3.5]);
    assert_eq!(
        archive.elites().columns().get::<f64>("novelty").unwrap(),
        [0.0, 0.0, 2.5, 3.5]
    );
    assert_eq!(archive.elites().filled, [0, 1, 2, 3]);
    let nearest = insert(&mut archive, &rows(&[[0.0, 0.0]]), &Offer::new(2));
    assert_eq!(nearest.novelty, [1.0], "3 neighbours: at 0, 0 and 3, not the one at 5");
}

#[test]
fn in_a_crowd_the_other_rows_that_are_fine_are_neighbours_too() {
    let mut archive = archive(Admission::Random(0.0));
    let mut batch = rows(&[[0.0, 0.0], [0.0, 1.0], [0.0, 3.0], [9.0, 9.0]]);
    batch.get_mut::<u8>("status").unwrap()[3] = 2;
    batch.get_mut::<i64>("cell").unwrap()[2] = NOT_OFFERED;
    let report = insert(&mut archive, &batch, &crowd());
    assert_eq!(report.novelty[..3], [2.0, 1.5, 2.5]);
    assert!(report.novelty[3].is_nan());
    assert_eq!(report.outcome, [1, 1, 0, 0]);
    let alone = insert(&mut archive, &batch, &Offer::new(0));
    assert_eq!(alone.novelty[..3], [0.0; 3], "nobody is in the archive");
}

/// Worked out by hand: three neighbours each, of which those of equal distance count in the order of members, then rows.
#[test]
fn local_competition_counts_the_neighbours_that_are_worth_less_where_it_is_asked_for() {
    let mut archive = archive(Admission::Random(1.0));
    let with = |places: &[[f64; 2]], fitness: &[f64]| {
        let mut batch = rows(places);
        batch.get_mut::<f64>("fitness").unwrap().copy_from_slice(fitness);
        batch
    };
    let offer = |generation, crowd| Offer {
        crowd,
        competition: true,
        ..Offer::new(generation)
    };
    let first = insert(
        &mut archive,
        &with(&[[0.0, 0.0], [1.0, 0.0]], &[5.0, 1.0]),
        &offer(0, false),
    );
    assert_eq!(
        (first.novelty, first.competition),
        (vec![0.0; 2], vec![0; 2]),
        "nobody is there"
    );
    let batch = with(&[[2.0, 0.0], [2.0, 0.0], [4.0, 0.0]], &[5.0, 5.5, 0.5]);
    let alone = insert(&mut archive, &batch, &offer(1, false));
    // Strictly lower: an equal neighbour is not outdone.
    assert_eq!(alone.competition, [1, 2, 0]);
    // Members now at 0, 1, 2, 2, 4 with 5, 1, 5, 5.5, 0.5. From 3 the nearest are three at distance 1 or two rows.
    let mut batch = with(&[[3.0, 0.0], [3.0, 1.0], [0.0, 0.0]], &[5.2, 5.2, 9.0]);
    batch.get_mut::<u8>("status").unwrap()[2] = 2;
    let crowd = insert(&mut archive, &batch, &offer(2, true));
    // Number 0: members at 2, 2, 4 before the row beside it, all at distance 1. Number 1: the row at distance 1, then two members at 2.
    assert_eq!(crowd.competition, [2, 1, 0]);
    let unasked = insert(&mut archive, &batch, &Offer::new(3));
    assert!(unasked.competition.is_empty() && unasked.novelty.len() == 3);
}

#[test]
fn rows_that_failed_or_are_not_offered_are_never_admitted() {
    let mut archive = archive(Admission::Random(1.0));
    let mut batch = rows(&[[0.0, 0.0]; 4]);
    batch.get_mut::<u8>("status").unwrap()[0] = 1;
    batch.get_mut::<i64>("cell").unwrap()[1] = NOT_OFFERED;
    batch.get_mut::<f64>("fitness").unwrap()[3] = f64::NAN;
    let offer = Offer {
        admitted: 0..4,
        ..Offer::new(0)
    };
    let report = insert(&mut archive, &batch, &offer);
    assert_eq!((report.kept, report.outcome), (vec![2], vec![0, 0, 3, 0]));
    assert_eq!(report.gain[2], batch.get::<f64>("fitness").unwrap()[2] + 4.0);
}

#[test]
fn a_hundredth_is_admitted_at_random_and_what_a_strategy_insists_on_always() {
    let mut archive = UnstructuredArchive::new(spec(Admission::Random(0.01), 1 << 20), 9, 2, false).unwrap();
    for generation in 0..50 {
        let offer = Offer {
            admitted: 999..1000,
            ..Offer::new(generation)
        };
        let report = insert(&mut archive, &rows(&vec![[0.5, 0.5]; 1000]), &offer);
        assert_eq!(report.kept.last(), Some(&999));
    }
    let by_chance = archive.elites().filled.len() - 50;
    assert!((430..570).contains(&by_chance), "{by_chance} of 50,000");
    let generations = archive.elites().generation();
    assert!(generations.is_sorted() && *generations.last().unwrap() == 49);
}

#[test]
fn by_novelty_those_are_admitted_that_reach_the_threshold() {
    let mut archive = archive(Admission::Novelty(2.0));
    let first = insert(&mut archive, &rows(&[[0.0, 0.0], [0.0, 0.1]]), &Offer::new(0));
    assert_eq!(first.kept, [0, 1], "the first batch has nothing to be near to");
    let second = insert(
        &mut archive,
        &rows(&[[0.0, 1.0], [2.0, 0.05], [5.0, 5.0]]),
        &Offer::new(1),
    );
    assert_eq!(second.kept, [1, 2]);
}

#[test]
fn a_full_archive_admits_none_and_keeps_its_members() {
    let mut archive = UnstructuredArchive::new(spec(Admission::Random(1.0), 3), 9, 2, false).unwrap();
    insert(&mut archive, &rows(&[[0.0, 0.0], [1.0, 0.0]]), &Offer::new(0));
    let offer = Offer {
        admitted: 0..2,
        ..Offer::new(1)
    };
    let report = insert(&mut archive, &rows(&[[2.0, 0.0], [3.0, 0.0]]), &offer);
    assert_eq!((report.kept, report.outcome), (vec![0], vec![3, 1]));
    assert_eq!(archive.elites().descriptor(), [0.0, 0.0, 1.0, 0.0, 2.0, 0.0]);
}

#[test]
fn normalized_distances_are_in_units_of_the_axes_extents() {
    let mut normalized = spec(Admission::Random(1.0), 100);
    normalized.rules = Unstructured {
        neighbours: 1,
        admission: Admission::Random(1.0),
        normalize: true,
    }
    .rules();
    let mut archive = UnstructuredArchive::new(normalized, 9, 2, false).unwrap();
    insert(&mut archive, &rows(&[[0.0, 0.0]]), &Offer::new(0));
    let report = insert(&mut archive, &rows(&[[0.0, 2.0], [0.5, 0.0]]), &Offer::new(1));
    assert_eq!(report.novelty, [0.5, 0.5]);
    let report = insert(&mut archive, &rows(&[[0.0, 3.0]]), &Offer::new(2));
    assert_eq!(report.novelty, [0.25]);
}

/// Several generations in a crowd on any number of ranks; novelty and local competition of the last.
fn evolve(comm: &dyn Comm, archive: &mut UnstructuredArchive, generations: Range<u64>) -> Vec<u64> {
    let mut report = InsertReport::default();
    for generation in generations {
        let n = 211;
        let rows = random_rows(generation, n, 2);
        let own = block(n, comm.rank(), comm.size());
        let genomes = random_genomes(generation, own.clone(), 2, false);
        let offer = Offer {
            crowd: true,
            competition: true,
            admitted: 0..1,
            ..Offer::new(generation)
        };
        archive.insert(&rows, own, &genomes, &offer, comm, &mut report).unwrap();
    }
    let competition = report.competition.iter().map(|x| u64::from(*x));
    report.novelty.iter().map(|x| x.to_bits()).chain(competition).collect()
}

/// What a file keeps of the members.
fn stored(archive: &UnstructuredArchive) -> Batch {
    let e = archive.elites();
    let mut rows = Batch::new();
    rows.push("cell", 1, "", "", e.filled.iter().map(|&c| i64::from(c)).collect());
    rows.push("fitness", 1, "", "", e.fitness().to_vec());
    rows.push("descriptor", 2, "", "", e.descriptor().to_vec());
    rows.push("generation", 1, "", "", e.generation().to_vec());
    rows.push("operator", 1, "", "", e.operator().to_vec());
    rows.push("parents", 2, "", "", e.parents().to_vec());
    rows.push("seed", 1, "", "", e.seed().to_vec());
    rows.push(
        "novelty",
        1,
        "",
        "",
        e.columns().get::<f64>("novelty").unwrap().to_vec(),
    );
    rows
}

#[test]
fn members_novelty_and_genomes_are_the_same_on_any_ranks_and_after_a_restore() {
    let admission = Admission::Random(0.3);
    let genomes_of = |archive: &UnstructuredArchive, comm: &dyn Comm| {
        let cells = archive.elites().filled.clone();
        let mut bounds = vec![cells.len(); comm.size() + 1];
        bounds[0] = 0;
        let mut inbox = Inbox::default();
        let fetched = archive.fetch(&cells, &bounds, comm, &mut inbox).unwrap();
        let genes = |&cell: &u32| fetched.genome(cell).unwrap().dense().unwrap().to_vec();
        if comm.rank() == 0 {
            cells.iter().map(genes).collect()
        } else {
            Vec::new()
        }
    };
    let alone = solo(|comm| {
        let mut archive = self::archive(admission);
        let novelty = evolve(comm, &mut archive, 0..12);
        (stored(&archive), novelty, genomes_of(&archive, comm))
    });
    assert!(alone.0.rows() > 600);
    for size in [2, 3] {
        let all = ranks(size, |comm| {
            let mut first = self::archive(admission);
            evolve(comm, &mut first, 0..5);
            // As from a file: each rank gets the genomes of its block of the members.
            let members = first.elites().filled.clone();
            let bounds: Vec<usize> = (0..size)
                .map(|r| block(members.len(), r, size).start)
                .chain([members.len()])
                .collect();
            let mut inbox = Inbox::default();
            let fetched = first.fetch(&members, &bounds, comm, &mut inbox).unwrap();
            let own = block(members.len(), comm.rank(), size);
            let genes = fetched.genomes(&members[own]).unwrap();
            let data = genes.iter().flat_map(|g| g.dense().unwrap().to_vec()).collect();
            let genomes = Genomes::Dense(illume_core::Dense { dim: 2, data });
            let mut second = self::archive(admission);
            second.restore(&stored(&first), &genomes, comm).unwrap();
            let novelty = evolve(comm, &mut second, 5..12);
            (stored(&second), novelty, genomes_of(&second, comm))
        });
        assert_eq!(all[0], alone, "{size} ranks");
        assert!(
            all[1..]
                .iter()
                .all(|(rows, novelty, _)| *rows == alone.0 && *novelty == alone.1)
        );
    }
}

#[test]
fn members_that_are_not_numbered_in_order_are_refused() {
    let mut archive = archive(Admission::Random(1.0));
    insert(&mut archive, &rows(&[[0.0, 0.0], [1.0, 1.0]]), &Offer::new(0));
    let mut damaged = stored(&archive);
    damaged.get_mut::<i64>("cell").unwrap()[1] = 0;
    let genomes = random_genomes(0, 0..2, 2, false);
    let message = solo(|comm| archive.restore(&damaged, &genomes, comm)).unwrap_err();
    assert!(message.to_string().contains("numbered from 0"), "{message}");
}
