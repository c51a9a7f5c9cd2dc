use illume_core::Error;

use super::*;

fn sample(rows: usize) -> Evaluation {
    let mut elites = Batch::new();
    elites.push("cell", 1, "", "number of the cell", (0..rows as i64).collect());
    elites.push("expected_fitness", 1, "", "mean fitness", vec![f64::NAN; rows]);
    elites.push(
        "corrected_cell",
        1,
        "",
        "cell of the mean descriptor",
        vec![-1i64; rows],
    );
    elites.push("expected_descriptor", 2, "m", "mean descriptor", vec![0.5f64; 2 * rows]);
    Evaluation {
        software_version: "0.1.0".into(),
        created: "2026-11-20T12:00:00Z".into(),
        archive: "runs/ä/archive.h5".into(),
        task: "arm".into(),
        strategy: "map_elites".into(),
        seed: u64::MAX,
        generation: 6,
        evaluations: 606,
        episodes: 5,
        cells: 100,
        qd_offset: 4.0,
        axes: vec!["x".into(), "y".into()],
        totals: Totals {
            elites: rows as u64,
            identical: 1,
            failed: 2,
            qd_score: 1.5,
            expected_qd_score: 1.25,
            expected_qd_score_se: 0.01,
            corrected_qd_score: 1.125,
            corrected_qd_score_se: 0.02,
            coverage: 0.5,
            expected_coverage: 0.25,
            expected_coverage_se: 0.03,
            corrected_coverage: 0.125,
            corrected_coverage_se: f64::NAN,
            max_fitness: -0.5,
            expected_max_fitness: -0.75,
            expected_max_fitness_se: 0.04,
            corrected_max_fitness: -0.8,
            corrected_max_fitness_se: 0.05,
            mean_fitness_change: -0.125,
            mean_fitness_sd: 0.0625,
            mean_descriptor_sd: 3.0,
            mean_descriptor_distance: 4.0,
            mean_center_distance: 5.0,
        },
        elites,
    }
}

/// All of an evaluation as text: NaN equals NaN.
fn words(evaluation: &Evaluation) -> String {
    format!("{evaluation:?}")
}

#[test]
fn an_evaluation_is_read_back_and_the_next_one_takes_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eval.h5");
    for rows in [3, 0, 7] {
        check_target(&path).unwrap();
        write_evaluation(&path, &sample(rows)).unwrap();
        assert!(is_evaluation(&path));
        assert_eq!(words(&open_evaluation(&path).unwrap()), words(&sample(rows)));
    }
    assert_eq!(
        folder.path().read_dir().unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn an_evaluation_of_very_many_axes_is_written_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eval.h5");
    let evaluation = Evaluation {
        axes: (0..9000).map(|i| format!("x{i}")).collect(),
        ..sample(2)
    };
    write_evaluation(&path, &evaluation).unwrap();
    assert_eq!(open_evaluation(&path).unwrap().axes, evaluation.axes);
}

/// Version 1, which called the corrected numbers expected and had no others.
#[test]
fn an_evaluation_of_before_the_papers_numbers_opens_with_the_names_of_today() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eval.h5");
    let mut first = sample(3);
    first
        .elites
        .get_mut::<f64>("expected_fitness")
        .unwrap()
        .copy_from_slice(&[1.0, f64::NAN, -3.0]);
    write_evaluation(&path, &first).unwrap();
    let file = File::open_rw(&path).unwrap();
    for (name, value) in first.totals.numbers() {
        if name.starts_with("expected_") || name.ends_with("_se") {
            file.delete_attr(name).unwrap();
        } else if let Some(rest) = name.strip_prefix("corrected_") {
            file.delete_attr(name).unwrap();
            h5::put_number(&file, &format!("expected_{rest}"), *value).unwrap();
        }
    }
    file.attr("format_version").unwrap().write_scalar(&1u64).unwrap();
    let elites = file.group("elites").unwrap();
    elites.relink("corrected_cell", "expected_cell").unwrap();
    let columns = h5::get_texts(&elites, "columns").unwrap();
    elites.delete_attr("columns").unwrap();
    let columns: Vec<String> = columns
        .iter()
        .map(|c| c.replace("corrected_cell", "expected_cell"))
        .collect();
    h5::put_texts(&elites, "columns", &columns).unwrap();
    drop(elites);
    file.close().unwrap();

    let opened = open_evaluation(&path).unwrap();
    let t = opened.totals;
    assert_eq!(
        (t.corrected_qd_score, t.corrected_coverage, t.corrected_max_fitness),
        (1.125, 0.125, -0.8)
    );
    // Fitness 1 and -3, offset 4, 100 cells.
    assert_eq!(
        (t.expected_qd_score, t.expected_coverage, t.expected_max_fitness),
        (6.0, 0.02, 1.0)
    );
    assert!(t.expected_qd_score_se.is_nan() && t.corrected_max_fitness_se.is_nan());
    assert_eq!((t.qd_score, t.mean_center_distance), (1.5, 5.0));
    assert_eq!(opened.elites.get::<i64>("corrected_cell").unwrap(), [-1; 3]);
    assert!(opened.elites.find("expected_cell").is_none());
}

#[test]
fn what_is_no_evaluation_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("archive.h5");
    File::create(&other).unwrap().close().unwrap();
    for path in [&other, folder.path()] {
        let error = check_target(path).unwrap_err();
        assert!(matches!(error, Error::Input(_)), "{error}");
        assert!(error.to_string().contains("not the file of an evaluation"), "{error}");
    }
    assert!(
        open_evaluation(&other)
            .unwrap_err()
            .to_string()
            .contains("not one of illume's")
    );
    let nowhere = folder.path().join("none/eval.h5");
    let error = check_target(&nowhere).unwrap_err().to_string();
    assert!(
        error.contains("none/eval.h5") && error.contains("No such file"),
        "{error}"
    );
}

#[test]
fn an_evaluation_that_is_cut_or_changed_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eval.h5");
    write_evaluation(&path, &sample(3)).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let refused = |what: &str| {
        let error = open_evaluation(&path).unwrap_err().to_string();
        assert!(
            error.contains("eval.h5") && error.lines().count() == 1,
            "{what}: {error}"
        );
        error
    };
    for length in (0..whole.len()).step_by(97) {
        std::fs::write(&path, &whole[..length]).unwrap();
        refused(&format!("{length} bytes"));
    }
    type Edit = (&'static str, fn(&File), &'static str);
    let edits: [Edit; 4] = [
        (
            "of a later version",
            |f| f.attr("format_version").unwrap().write_scalar(&3u64).unwrap(),
            "reads up to version 2",
        ),
        (
            "a total is missing",
            |f| f.delete_attr("mean_fitness_sd").unwrap(),
            "mean_fitness_sd",
        ),
        ("a group is missing", |f| f.unlink("elites").unwrap(), "/elites"),
        (
            "rows are missing",
            |f| f.attr("elites").unwrap().write_scalar(&4u64).unwrap(),
            "3 rows",
        ),
    ];
    for (what, edit, said) in edits {
        std::fs::write(&path, &whole).unwrap();
        let file = File::open_rw(&path).unwrap();
        edit(&file);
        file.close().unwrap();
        assert!(refused(what).contains(said), "{what}: {}", refused(what));
    }
    std::fs::write(&path, &whole).unwrap();
    let error = crate::file::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("is an evaluation of an archive, not an archive"),
        "{error}"
    );
}
