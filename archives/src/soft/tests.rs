use illume_core::{Axis, Cells, Dense, Outcome};

use super::*;
use crate::Outside;
use crate::file::{Attributes, Contents, read_checkpoint, write};
use crate::testing::{fill, ranks, solo};

const CELLS: usize = 6;

fn cells() -> CellArchive {
    let spec = ArchiveSpec {
        kind: "grid".into(),
        axes: vec![Axis::new("x", "", 0.0, CELLS as f64)],
        cells: Cells::Grid { shape: vec![CELLS] },
        capacity: CELLS,
        qd_offset: 0.0,
        rules: Vec::new(),
    };
    CellArchive::new(spec, Outside::Clip, 1, false).unwrap()
}

fn soft(rate: f64, min: f64, single: bool) -> SoftArchive {
    let active = cells().soft(Thresholds { rate, min }).unwrap();
    SoftArchive::new(active.judging(single), cells())
}

fn rows(cells: &[i64], fitness: &[f64]) -> Batch {
    let n = cells.len();
    let mut b = Batch::new();
    b.push("status", 1, "", "", vec![0u8; n]);
    b.push("fitness", 1, "", "", fitness.to_vec());
    b.push("descriptor", 1, "", "", cells.iter().map(|&c| c as f64 + 0.5).collect());
    b.push("cell", 1, "", "", cells.to_vec());
    b.push("seed", 1, "", "", (0..n as u64).collect());
    b.push("operator", 1, "", "", vec![0i32; n]);
    b.push("parents", 2, "", "", vec![-1i64; 2 * n]);
    b
}

fn insert(archive: &mut dyn ArchiveMut, rows: &Batch, generation: u64) -> InsertReport {
    let (n, mut report) = (rows.rows(), InsertReport::default());
    let genomes = Genomes::Dense(Dense {
        dim: 1,
        data: (0..n).map(|i| (n * generation as usize + i) as f32).collect(),
    });
    solo(|comm| archive.insert(rows, 0..n, &genomes, &Offer::new(generation), comm, &mut report)).unwrap();
    report
}

/// The genome of a cell.
fn genome(archive: &dyn Archive, cell: u32) -> f32 {
    let mut inbox = Inbox::default();
    solo(|comm| {
        let fetched = archive.fetch(&[cell], &[0, 1], comm, &mut inbox).unwrap();
        fetched.genome(cell).unwrap().dense().unwrap()[0]
    })
}

/// pyribs 0.12.0, by tools/check_pyribs.py.
#[test]
fn outcomes_values_and_thresholds_are_those_of_pyribs() {
    let (header, lines) = include_str!("recorded.csv").split_once('\n').unwrap();
    assert_eq!(
        header,
        "add_mode,learning_rate,threshold_min,batch,cell,fitness,status,value,threshold"
    );
    let lines: Vec<Vec<&str>> = lines.lines().map(|line| line.split(',').collect()).collect();
    let number = |text: &str| text.parse::<f64>().unwrap();
    let mut compared = 0;
    for setting in lines.chunk_by(|a, b| a[..3] == b[..3]) {
        let (single, hard) = (setting[0][0] == "single", setting[0][2].is_empty());
        let mut archive: Box<dyn ArchiveMut> = match hard {
            true => Box::new(cells().judging(single)),
            false => Box::new(soft(number(setting[0][1]), number(setting[0][2]), single)),
        };
        for (generation, batch) in setting.chunk_by(|a, b| a[3] == b[3]).enumerate() {
            let cells: Vec<i64> = batch.iter().map(|line| line[4].parse().unwrap()).collect();
            let fitness: Vec<f64> = batch.iter().map(|line| number(line[5])).collect();
            let report = insert(archive.as_mut(), &rows(&cells, &fitness), generation as u64);
            for (i, line) in batch.iter().enumerate() {
                let status = match line[6] {
                    "0" => Outcome::Rejected,
                    "1" => Outcome::Improved,
                    _ => Outcome::New,
                };
                assert_eq!(report.outcome[i], status as u8, "{line:?}");
                assert!(
                    (report.gain[i] - number(line[7])).abs() < 1e-12,
                    "{line:?}: {}",
                    report.gain[i]
                );
                let (elites, cell) = (archive.elites(), cells[i] as usize);
                let threshold = match hard {
                    true => elites.fitness()[cell],
                    false => elites.columns().get::<f64>("threshold").unwrap()[cell],
                };
                assert_eq!(elites.fitness()[cell].is_nan(), line[8].is_empty(), "{line:?}");
                if !line[8].is_empty() {
                    assert!((threshold - number(line[8])).abs() < 1e-12, "{line:?}: {threshold}");
                }
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 480);
}

#[test]
fn the_result_keeps_the_best_and_the_search_what_came_last() {
    let mut archive = soft(0.01, 0.0, false);
    insert(&mut archive, &rows(&[2], &[5.0]), 0);
    // Better than the threshold, which is 0.05 now, and worse than the best.
    let report = insert(&mut archive, &rows(&[2], &[3.0]), 1);
    assert_eq!(report.outcome, [Outcome::Improved as u8]);
    let best = archive.results().unwrap();
    assert_eq!((archive.elites().fitness()[2], best.elites().fitness()[2]), (3.0, 5.0));
    assert_eq!((genome(&archive, 2), genome(best, 2)), (1.0, 0.0));
    // What does not exceed the least threshold is a result none the less.
    insert(&mut archive, &rows(&[4], &[-1.0]), 2);
    assert!(archive.elites().fitness()[4].is_nan());
    assert_eq!(archive.results().unwrap().elites().fitness()[4], -1.0);
}

/// All that a rank knows, and the genomes by cell.
fn everything(archive: &dyn Archive) -> String {
    let of = |archive: &dyn Archive| {
        let elites = archive.elites();
        let genomes: Vec<f32> = elites.filled.iter().map(|&cell| genome(archive, cell)).collect();
        let rows: Vec<usize> = elites.filled.iter().map(|&cell| cell as usize).collect();
        format!("{:?} {:?} {genomes:?}", elites.filled, elites.columns().select(&rows))
    };
    of(archive) + &of(archive.results().unwrap())
}

#[test]
fn a_checkpoint_holds_both_and_goes_on_as_if_nothing_had_been() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.h5");
    let batch = |i: u64| {
        let cells: Vec<i64> = (0..10).map(|row| (row * 7 + i as i64 * 3) % CELLS as i64).collect();
        let fitness: Vec<f64> = (0..10).map(|row| ((row * 5 + i * 11) % 13) as f64 - 4.0).collect();
        rows(&cells, &fitness)
    };
    let (attributes, history) = (Attributes::default(), Batch::new());
    let mut archive = soft(0.1, 0.0, false);
    (0..3).for_each(|i| drop(insert(&mut archive, &batch(i), i)));
    let save = |checkpoint: bool, path: &std::path::Path| {
        let contents = Contents {
            attributes: &attributes,
            archive: &archive,
            genome_dim: 1,
            lineage: false,
            genes: None,
            history: &history,
            state: None,
            checkpoint,
            compress: 0,
        };
        solo(|comm| write(path, &contents, comm)).unwrap();
    };
    save(true, &path);
    let mut restored = soft(0.1, 0.0, false);
    solo(|comm| {
        let stored = read_checkpoint(&path, comm).unwrap();
        restored.restore(&stored.rows, &stored.genomes, comm).unwrap();
        let (rows, genomes) = stored.active.unwrap();
        restored.restore_active(&rows, &genomes, comm).unwrap();
        // An archive without thresholds has no place for it.
        assert!(cells().restore_active(&rows, &genomes, comm).is_err());
    });
    let mut whole = soft(0.1, 0.0, false);
    (0..6).for_each(|i| drop(insert(&mut whole, &batch(i), i)));
    (3..6).for_each(|i| drop(insert(&mut restored, &batch(i), i)));
    assert_eq!(everything(&restored), everything(&whole));
    // The result has no more than any other.
    save(false, &folder.path().join("archive.h5"));
    let file = hdf5::File::open(folder.path().join("archive.h5")).unwrap();
    assert!(!file.link_exists("active") && !file.group("elites").unwrap().link_exists("threshold"));
}

#[test]
fn any_number_of_ranks_ends_with_the_same() {
    let run = |comm: &dyn Comm| {
        let both = [false, true].map(|single| {
            let mut archive = soft(0.1, 0.3, single);
            fill(&mut archive, comm, 1, false, 8);
            format!("{:?} {:?}", archive.elites().columns(), archive.best.elites().columns())
        });
        assert_ne!(both[0], both[1]);
        both
    };
    let alone = solo(|comm| run(comm));
    for size in [2, 3] {
        assert!(ranks(size, run).iter().all(|other| *other == alone), "{size} ranks");
    }
}

/// Of several candidates that are each better than those before, "batch" calls all new and "single" the first; without thresholds both keep the best.
#[test]
fn judged_one_after_another_only_the_first_in_a_cell_is_new() {
    let rows = rows(&[2, 2, 2, 2], &[1.0, 3.0, 2.0, 4.0]);
    let [batch, single] = [false, true].map(|single| {
        let mut archive = cells().judging(single);
        let report = insert(&mut archive, &rows, 0);
        assert_eq!((archive.elites().fitness()[2], genome(&archive, 2)), (4.0, 3.0));
        assert_eq!(
            (report.kept.as_slice(), archive.elites().filled.as_slice()),
            (&[3][..], &[2][..])
        );
        (report.outcome, report.gain)
    });
    let [new, improved, rejected] = [Outcome::New, Outcome::Improved, Outcome::Rejected].map(|o| o as u8);
    assert_eq!(batch, (vec![new; 4], vec![1.0, 3.0, 2.0, 4.0]));
    assert_eq!(
        single,
        (vec![new, improved, rejected, improved], vec![1.0, 2.0, -1.0, 1.0])
    );
}
