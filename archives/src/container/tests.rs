use super::*;
use crate::testing::{random_genomes, random_rows, ranks, solo};
use illume_core::{Axis, Purpose, Rule, Status, Stream, block};

fn spec(text: &str, codes: usize) -> ArchiveSpec {
    let axes = if codes > 0 {
        vec![]
    } else {
        vec![Axis::new("x", "m", 0.0, 1.0), Axis::new("y", "m", 0.0, 1.0)]
    };
    built(text, &axes, codes).unwrap().spec().clone()
}

fn built(text: &str, axes: &[Axis], learned: usize) -> Result<Box<dyn ArchiveMut>> {
    build(&ArchiveConfig {
        archive: &format!("kind = \"container\"\n{text}").parse().unwrap(),
        seed: 1,
        axes,
        objectives: &[],
        genome_dim: 2,
        qd_offset: 4.0,
        lineage: false,
        learned,
        memory: &illume_core::Memory::unlimited(),
    })
}

/// Rows of these (fitness, x, y).
fn rows(places: &[[f64; 3]]) -> Batch {
    let mut rows = random_rows(0, places.len(), 2);
    rows.get_mut::<u8>("status").unwrap().fill(Status::Ok as u8);
    let fitness: Vec<f64> = places.iter().map(|p| p[0]).collect();
    rows.get_mut::<f64>("fitness").unwrap().copy_from_slice(&fitness);
    let descriptor: Vec<f64> = places.iter().flat_map(|p| [p[1], p[2]]).collect();
    rows.get_mut::<f64>("descriptor").unwrap().copy_from_slice(&descriptor);
    rows
}

fn insert(container: &mut Container, rows: &Batch, generation: u64) -> InsertReport {
    let n = rows.rows();
    let genomes = random_genomes(generation, 0..n, 2, false);
    let mut report = InsertReport::default();
    solo(|comm| container.insert(rows, 0..n, &genomes, &Offer::new(generation), comm, &mut report)).unwrap();
    report
}

/// The genome of a member.
fn genome(container: &Container, member: u32) -> Vec<f32> {
    solo(|comm| {
        let mut inbox = Inbox::default();
        let fetched = container.fetch(&[member], &[0, 1], comm, &mut inbox).unwrap();
        fetched.genome(member).unwrap().dense().unwrap().to_vec()
    })
}

#[test]
fn a_row_that_takes_the_place_of_one_of_its_own_batch_is_whole() {
    let mut container = Container::new(
        spec("rule = \"fixed\"\ndistance = 0.1\nadmission = \"fitness\"", 0),
        2,
        false,
    )
    .unwrap();
    let report = insert(
        &mut container,
        &rows(&[[1.0, 0.1, 0.1], [2.0, 0.12, 0.1], [0.5, 0.11, 0.1], [1.0, 0.9, 0.9]]),
        0,
    );
    assert_eq!((report.outcome, report.kept), (vec![3, 2, 1, 3], vec![1, 3]));
    assert_eq!(report.gain, [5.0, 1.0, 0.0, 5.0]);
    assert_eq!(container.elites().fitness(), [2.0, 1.0]);
    assert_eq!(container.elites().descriptor(), [0.12, 0.1, 0.9, 0.9]);
    assert_eq!(genome(&container, 0), [2.0, 3.0], "row 1's genes");
    assert_eq!(genome(&container, 1), [6.0, 7.0]);
    assert_eq!(container.elites().columns().get::<f64>(DISTANCE).unwrap(), [0.1; 2]);
}

#[test]
fn members_that_learned_descriptors_bring_together_make_way() {
    let mut container = Container::new(
        spec("rule = \"fixed\"\ndistance = 1.0\nadmission = \"fitness\"", 1),
        2,
        false,
    )
    .unwrap();
    let mut batch = rows(&[[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [3.0, 0.0, 0.0]]);
    batch.push(CODE, 1, "", "", vec![0.0, 2.0, 4.0]);
    // Axes of the task there are none.
    batch = {
        let mut own = Batch::new();
        for column in batch.columns().iter().filter(|c| c.name != "descriptor") {
            own.push_column(column.clone());
        }
        own.declare::<f64>("descriptor", 0, "", "");
        own
    };
    insert(&mut container, &batch, 0);
    assert_eq!(container.elites().filled, [0, 1, 2]);
    // The first two are near one another now: the fitter one stays, and the third keeps its genes under another number.
    container.recode(&[0.0, 0.1, 4.0]).unwrap();
    assert_eq!(container.elites().fitness(), [2.0, 3.0]);
    assert_eq!(container.elites().columns().get::<f64>(CODE).unwrap(), [0.1, 4.0]);
    assert_eq!(
        (genome(&container, 0), genome(&container, 1)),
        (vec![2.0, 3.0], vec![4.0, 5.0])
    );
    assert_eq!(container.elites().filled, [0, 1]);
    assert!(container.recode(&[0.0]).is_err());
}

#[test]
fn the_number_of_members_comes_within_a_tenth_of_its_target_and_stays() {
    for admission in ["duel", "fitness"] {
        let text = format!("target = 150\ngain = 0.05\nadmission = \"{admission}\"");
        let mut container = Container::new(spec(&text, 0), 2, false).unwrap();
        for generation in 0..300 {
            let draw = Stream::new(3, Purpose::Variation, generation, 0);
            let places: Vec<[f64; 3]> = (0..40)
                .map(|i| [draw.uniform(3 * i), draw.uniform(3 * i + 1), draw.uniform(3 * i + 2)])
                .collect();
            insert(&mut container, &rows(&places), generation);
            let n = container.elites().filled.len();
            assert!(
                generation < 200 || (135..=165).contains(&n),
                "{admission}, {generation}: {n}"
            );
        }
    }
}

#[test]
fn the_container_is_the_same_on_any_number_of_ranks_and_after_restoring() {
    let text = "target = 30\ngain = 0.2\nrefill_every = 2";
    let evolve = |comm: &dyn Comm| {
        let mut container = Container::new(spec(text, 0), 2, false).unwrap();
        crate::testing::fill(&mut container, comm, 2, false, 6);
        let n = container.elites().filled.len();
        let mut rows = container.elites().columns().clone();
        rows.push("cell", 1, "", "", (0..n as i64).collect());
        let wanted: Vec<u32> = (0..n as u32).collect();
        let size = comm.size();
        let bounds: Vec<usize> = (0..=size).map(|rank| n * rank / size).collect();
        let own = block(n, comm.rank(), size);
        let mut inbox = Inbox::default();
        let fetched = container.fetch(&wanted, &bounds, comm, &mut inbox).unwrap();
        let mut genomes = Genomes::default();
        for (to, cell) in genomes.dense_rows(own.len(), 2).chunks_exact_mut(2).zip(own) {
            to.copy_from_slice(fetched.genome(cell as u32).unwrap().dense().unwrap());
        }
        drop(fetched);
        let mut other = Container::new(spec(text, 0), 2, false).unwrap();
        other.restore(&rows, &genomes, comm).unwrap();
        let words = |c: &Container| format!("{:?} {}", c.elites().columns(), c.distance());
        assert_eq!(words(&other), words(&container));
        crate::testing::fill(&mut container, comm, 2, false, 9);
        crate::testing::fill(&mut other, comm, 2, false, 9);
        assert_eq!(words(&other), words(&container));
        words(&container)
    };
    let alone = solo(evolve);
    for size in [2, 3] {
        for other in ranks(size, evolve) {
            assert!(other == alone, "{size} ranks");
        }
    }
}

#[test]
fn a_container_that_makes_no_sense_is_refused_by_key() {
    let axes = [Axis::new("x", "", 0.0, 1.0)];
    for (text, axes, key) in [
        ("", &axes[..0], "archive.kind"),
        ("rule = \"fixed\"", &axes, "archive.distance"),
        ("target = 20\ncapacity = 10", &axes, "archive.target"),
        ("rule = \"volume\"", &axes, "archive.rule"),
        ("gain = 1.5", &axes, "archive.gain"),
        ("admission = \"first\"", &axes, "archive.admission"),
        ("neighbours = 0", &axes, "archive.neighbours"),
        ("epsilon = -0.1", &axes, "archive.epsilon"),
        ("distance = -1.0", &axes, "archive.distance"),
    ] {
        let error = built(text, axes, 0).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(key), "{text}: {error}");
    }
    assert!(built("", &[], 3).is_ok(), "learned descriptors do without the task's");
}

#[test]
fn a_file_with_other_rules_is_refused() {
    let good = spec("", 0);
    for (name, rule) in [
        ("target", Rule::Count(0)),
        ("epsilon", Rule::Number(2.0)),
        ("neighbours", Rule::Text("five".into())),
        ("gain", Rule::Number(f64::NAN)),
    ] {
        let mut bad = good.clone();
        let place = bad.rules.iter_mut().find(|(known, _)| known == name).unwrap();
        place.1 = rule;
        let error = Container::new(bad, 2, false).unwrap_err().to_string();
        assert!(error.contains(&format!("'{name}'")), "{error}");
    }
}
