use std::path::Path;

use illume_core::{Archive, ArchiveSpec, Axis, Batch, Cells, Comm, Genomes, Inbox, State, block};
use tempfile::TempDir;

use super::*;
use crate::testing::{empty, evolve, ranks, solo};
use crate::{Admission, Unstructured};

fn spec(kind: &str) -> ArchiveSpec {
    let axes = vec![Axis::new("speed", "m/s", 0.0, 1.0), Axis::new("height", "m", 0.0, 1.0)];
    let mut rules = Vec::new();
    let (cells, capacity) = match kind {
        "grid" => (Cells::Grid { shape: vec![6, 7] }, 42),
        "unstructured" => {
            let own = Unstructured {
                neighbours: 7,
                admission: Admission::Random(0.5),
                normalize: true,
            };
            rules = own.rules();
            (Cells::None, 250)
        }
        _ => (
            Cells::Cvt {
                centroids: (0..60).map(|i| f64::from(i * 7 % 60) / 60.0).collect(),
            },
            30,
        ),
    };
    ArchiveSpec {
        kind: kind.into(),
        axes,
        cells,
        capacity,
        qd_offset: 4.0,
        rules,
    }
}

fn attributes() -> Attributes {
    Attributes {
        objectives: Vec::new(),
        sources: "task.model 0123456789abcdef".into(),
        software_version: "0.1.0".into(),
        task: "arm".into(),
        fitness: "minus the variance".into(),
        strategy: "map_elites".into(),
        seed: u64::MAX,
        generation: 6,
        evaluations: 606,
        config: "seed = 1 # ü\n".into(),
        created: "2026-11-20T12:00:00Z".into(),
        ranks: 1,
        threads: 2,
        operators: vec!["init".into(), "iso_line".into(), "polynomial".into()],
    }
}

fn history() -> Batch {
    let mut history = Batch::new();
    history.push("generation", 1, "", "generations done", vec![1i64, 2, 3]);
    history.push("wall_seconds", 1, "s", "time since the start", vec![0.5f64, 1.0, 1.5]);
    history
}

fn state() -> State {
    let mut moments = Batch::new();
    moments.push("adam_m", 3, "", "first moments", (0..12).map(|i| i as f32).collect());
    moments.push("flags", 1, "", "a byte each", vec![1u8, 0, 1, 1]);
    let mut empty = Batch::new();
    empty.push("nothing", 2, "m", "no rows", Vec::<u32>::new());
    let mut solution = Batch::new();
    solution.push("genome", 3, "", "the center", vec![0.5f32, -1.0, f32::MAX]);
    State {
        tables: vec![("adam".into(), moments), ("queue".into(), empty)],
        solution: Some(solution),
    }
}

/// Everything that `save` takes but the archive.
struct Case {
    lineage: bool,
    checkpoint: bool,
    compress: u8,
}

fn save(path: &Path, archive: &dyn Archive, case: &Case, comm: &dyn Comm) -> illume_core::Result<()> {
    let (history, state) = (history(), state());
    let contents = Contents {
        attributes: &attributes(),
        archive,
        genome_dim: 3,
        lineage: case.lineage,
        genes: None,
        history: &history,
        state: Some(&state),
        checkpoint: case.checkpoint,
        compress: case.compress,
    };
    write(path, &contents, comm)
}

/// A checkpoint of a small archive, written by one rank.
fn sample(folder: &TempDir, kind: &str, lineage: bool) -> std::path::PathBuf {
    let path = folder.path().join("checkpoint.h5");
    let case = Case {
        lineage,
        checkpoint: true,
        compress: 0,
    };
    solo(|comm| save(&path, evolve(comm, &spec(kind), 3, lineage, 6).as_ref(), &case, comm)).unwrap();
    path
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// All genomes by cell, in words.
fn genomes_of(archive: &dyn Archive, comm: &dyn Comm) -> Vec<String> {
    let mut cells = archive.elites().filled.clone();
    cells.sort_unstable();
    let mut bounds = vec![cells.len(); comm.size() + 1];
    bounds[0] = 0;
    let mut inbox = Inbox::default();
    let fetched = archive.fetch(&cells, &bounds, comm, &mut inbox).unwrap();
    let mine = &cells[bounds[comm.rank()]..bounds[comm.rank() + 1]];
    fetched
        .genomes(mine)
        .unwrap()
        .iter()
        .map(|g| format!("{g:?}"))
        .collect()
}

fn rows_of(genomes: &Genomes) -> Vec<String> {
    let mut scratch = illume_core::Scratch::default();
    (0..genomes.rows())
        .map(|i| format!("{:?}", genomes.stored(i, &mut scratch)))
        .collect()
}

#[test]
fn what_is_written_is_read_back() {
    for (kind, lineage, compress) in [
        ("grid", false, 0),
        ("grid", false, 6),
        ("cvt", true, 0),
        ("cvt", true, 9),
        ("unstructured", false, 0),
        ("unstructured", true, 3),
    ] {
        let folder = folder();
        let path = folder.path().join("archive.h5");
        let (elites, genomes) = solo(|comm| {
            let archive = evolve(comm, &spec(kind), 3, lineage, 6);
            save(
                &path,
                archive.as_ref(),
                &Case {
                    lineage,
                    checkpoint: false,
                    compress,
                },
                comm,
            )
            .unwrap();
            (archive.elites().clone(), genomes_of(archive.as_ref(), comm))
        });
        let file = open(&path).unwrap();
        assert_eq!(file.attributes, attributes());
        assert_eq!(file.spec, spec(kind));
        assert_eq!(
            (file.genome_dim, file.lineage, file.rows()),
            (3, lineage, elites.filled.len())
        );
        assert_eq!(file.history, history());
        assert_eq!(file.solution().unwrap(), state().solution);
        assert!(file.state().unwrap().is_none(), "an archive is no checkpoint");
        let cells: &[i64] = file.elites.get("cell").unwrap();
        for (row, &cell) in cells.iter().enumerate() {
            let c = cell as usize;
            assert_eq!(file.elites.get::<f64>("fitness").unwrap()[row], elites.fitness()[c]);
            assert_eq!(file.elites.get::<u64>("seed").unwrap()[row], elites.seed()[c]);
            assert_eq!(
                file.elites.get::<i64>("parents").unwrap()[2 * row..2 * row + 2],
                elites.parents()[2 * c..2 * c + 2]
            );
            assert_eq!(
                file.elites.get::<f64>("descriptor").unwrap()[2 * row..2 * row + 2],
                elites.descriptor()[2 * c..2 * c + 2]
            );
        }
        assert_eq!(rows_of(&file.genomes(0..file.rows()).unwrap()), genomes);
        assert_eq!(rows_of(&file.genomes(3..5).unwrap()), genomes[3..5]);
        assert_eq!(rows_of(&file.genomes(2..2).unwrap()).len(), 0);
        assert!(file.genomes(0..file.rows() + 1).is_err());
        let metrics = crate::metrics::measure_archive(&spec(kind), elites.fitness());
        assert_eq!(
            format!("{:?}", file.metrics()),
            format!("{metrics:?}"),
            "NaN without cells"
        );
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }
}

#[test]
fn any_number_of_ranks_writes_the_same_bytes() {
    for lineage in [false, true] {
        let files: Vec<Vec<u8>> = [1, 3]
            .into_iter()
            .map(|size| {
                let folder = folder();
                let path = folder.path().join("a.h5");
                let case = Case {
                    lineage,
                    checkpoint: true,
                    compress: 1,
                };
                let results = ranks(size, |comm| {
                    save(&path, evolve(comm, &spec("grid"), 3, lineage, 6).as_ref(), &case, comm).is_ok()
                });
                assert!(results.iter().all(|ok| *ok));
                std::fs::read(&path).unwrap()
            })
            .collect();
        assert!(files[0] == files[1]);
    }
}

/// Trap: resume restores the population but not the rest of the state.
#[test]
fn a_checkpoint_goes_on_at_any_number_of_ranks() {
    for (kind, lineage) in [
        ("grid", false),
        ("cvt", true),
        ("unstructured", false),
        ("unstructured", true),
    ] {
        let folder = folder();
        let path = sample(&folder, kind, lineage);
        let (filled, genomes) = solo(|comm| {
            let archive = evolve(comm, &spec(kind), 3, lineage, 6);
            (archive.elites().filled.clone(), genomes_of(archive.as_ref(), comm))
        });
        for size in [1, 2, 5] {
            let restored = ranks(size, |comm| {
                let checkpoint = read_checkpoint(&path, comm).unwrap();
                assert_eq!(checkpoint.attributes, attributes());
                assert_eq!(checkpoint.spec, spec(kind));
                assert_eq!(checkpoint.history, history());
                assert_eq!((checkpoint.genome_dim, checkpoint.lineage), (3, lineage));
                assert_eq!(checkpoint.state.solution, state().solution);
                assert_eq!(checkpoint.state.tables, state().tables);
                assert_eq!(checkpoint.genomes.rows(), block(filled.len(), comm.rank(), size).len());
                let mut archive = empty(&checkpoint.spec, 3, lineage);
                archive.restore(&checkpoint.rows, &checkpoint.genomes, comm).unwrap();
                (archive.elites().filled.clone(), genomes_of(archive.as_ref(), comm))
            });
            assert_eq!(restored[0], (filled.clone(), genomes.clone()), "{kind} on {size} ranks");
        }
    }
}

#[test]
fn an_empty_archive_and_a_task_without_descriptor_are_written_too() {
    let folder = folder();
    for (i, lineage) in [false, true].into_iter().enumerate() {
        for (j, axes) in [Vec::new(), spec("grid").axes].into_iter().enumerate() {
            for generations in [0, 2] {
                let path = folder.path().join(format!("{i}{j}{generations}.h5"));
                let shape: Vec<usize> = axes.iter().map(|_| 4).collect();
                let capacity = shape.iter().product();
                let cells = Cells::Grid { shape };
                let spec = ArchiveSpec {
                    kind: "grid".into(),
                    axes: axes.clone(),
                    cells,
                    capacity,
                    qd_offset: 0.0,
                    rules: Vec::new(),
                };
                let case = Case {
                    lineage,
                    checkpoint: true,
                    compress: 3,
                };
                let elites = solo(|comm| {
                    let archive = evolve(comm, &spec, 3, lineage, generations);
                    save(&path, archive.as_ref(), &case, comm).unwrap();
                    let checkpoint = read_checkpoint(&path, comm).unwrap();
                    assert_eq!(checkpoint.spec, spec);
                    archive.elites().filled.len()
                });
                assert_eq!(open(&path).unwrap().rows(), elites);
            }
        }
    }
}

/// HDF5's attributes end at 64 KiB; a game's memory, sampled a hundred times, has 12,800 axes.
#[test]
fn an_archive_of_very_many_axes_is_written_and_read_back() {
    let folder = folder();
    let axes: Vec<Axis> = (0..9000)
        .map(|i| Axis::new(&format!("x{i}"), "m", 0.0, 1.0 + f64::from(i)))
        .collect();
    for (kind, capacity) in [("grid", 4), ("unstructured", 250)] {
        let mut shape = vec![1; axes.len()];
        shape[1] = 4;
        let spec = ArchiveSpec {
            axes: axes.clone(),
            capacity,
            cells: if kind == "grid" {
                Cells::Grid { shape }
            } else {
                spec(kind).cells
            },
            ..spec(kind)
        };
        let path = folder.path().join(format!("{kind}.h5"));
        let case = Case {
            lineage: false,
            checkpoint: true,
            compress: 0,
        };
        solo(|comm| {
            let archive = evolve(comm, &spec, 3, false, 1);
            save(&path, archive.as_ref(), &case, comm).unwrap();
            assert_eq!(read_checkpoint(&path, comm).unwrap().spec, spec);
        });
        assert_eq!(open(&path).unwrap().spec, spec);
    }
}

/// Trap: the only checkpoint is destroyed before the new one is complete.
#[test]
fn a_failed_write_names_path_and_cause_on_every_rank_and_keeps_the_old_file() {
    let folder = folder();
    let path = sample(&folder, "grid", false);
    let before = std::fs::read(&path).unwrap();
    let case = Case {
        lineage: false,
        checkpoint: true,
        compress: 0,
    };
    // A state table of a forbidden name fails while the file is being made.
    let messages = ranks(3, |comm| {
        let archive = evolve(comm, &spec("grid"), 3, false, 6);
        let mut bad = state();
        bad.tables[0].0 = "archive".into();
        let (attributes, history) = (attributes(), history());
        let contents = Contents {
            attributes: &attributes,
            archive: archive.as_ref(),
            genome_dim: 3,
            lineage: false,
            genes: None,
            history: &history,
            state: Some(&bad),
            checkpoint: true,
            compress: 0,
        };
        write(&path, &contents, comm).unwrap_err().to_string()
    });
    assert!(
        messages
            .iter()
            .all(|m| m.contains("checkpoint.h5") && m.contains("'archive'")),
        "{messages:?}"
    );
    assert!(std::fs::read(&path).unwrap() == before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let missing = folder.path().join("no such folder/a.h5");
    let messages = ranks(2, |comm| {
        let archive = evolve(comm, &spec("grid"), 3, false, 1);
        save(&missing, archive.as_ref(), &case, comm).unwrap_err().to_string()
    });
    assert!(
        messages
            .iter()
            .all(|m| m.contains("no such folder") && m.contains("No such file")),
        "{messages:?}"
    );
}

#[test]
fn foreign_missing_newer_and_empty_files_are_refused_in_one_sentence() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let refusal = |path: &Path| {
        let error = open(path).map(|_| ()).unwrap_err();
        assert!(matches!(error, illume_core::Error::Input(_)), "{error:?}");
        let message = error.to_string();
        assert!(
            message.contains(path.to_str().unwrap()) && !message.contains('\n'),
            "{message}"
        );
        let through = solo(|comm| read_checkpoint(path, comm).map(|_| ()).unwrap_err().to_string());
        assert_eq!(through, message);
        message
    };
    assert!(refusal(&at("none.h5")).contains("No such file"));
    assert!(refusal(folder.path()).contains("folder"));
    std::fs::write(at("empty.h5"), "").unwrap();
    assert!(refusal(&at("empty.h5")).contains("is empty"));
    std::fs::write(at("text.h5"), "seed = 1\n").unwrap();
    assert!(refusal(&at("text.h5")).contains("not an HDF5 file"));
    hdf5::File::create(at("foreign.h5"))
        .unwrap()
        .create_group("elites")
        .unwrap();
    assert!(refusal(&at("foreign.h5")).contains("not one of illume's"));
    let path = sample(&folder, "grid", false);
    let file = hdf5::File::open_rw(&path).unwrap();
    file.attr("format_version").unwrap().write_scalar(&7u64).unwrap();
    file.close().unwrap();
    let message = refusal(&path);
    assert!(
        message.contains("version 7") && message.contains("up to version 1"),
        "{message}"
    );
}

/// Applies a change to a fresh checkpoint and gives the sentence by which it is refused.
fn damaged(change: impl FnOnce(&hdf5::File)) -> String {
    let folder = folder();
    let path = sample(&folder, "grid", false);
    let file = hdf5::File::open_rw(&path).unwrap();
    change(&file);
    file.close().unwrap();
    let message = solo(|comm| read_checkpoint(&path, comm).map(|_| ()).unwrap_err().to_string());
    assert!(
        message.contains("checkpoint.h5") && !message.contains('\n'),
        "{message}"
    );
    message
}

/// Replaces a dataset by one of these values.
fn replace<T: hdf5::H5Type>(file: &hdf5::File, name: &str, shape: &[usize], values: &[T]) {
    file.unlink(name).unwrap();
    file.new_dataset::<T>()
        .shape(shape)
        .create(name)
        .unwrap()
        .write_raw(values)
        .unwrap();
}

#[test]
fn damaged_contents_are_refused_and_named() {
    let n = {
        let folder = folder();
        open(&sample(&folder, "grid", false)).unwrap().rows()
    };
    let set = |name: &'static str, row: usize, value: f64| {
        damaged(move |f| {
            let d = f.dataset(name).unwrap();
            let mut values: Vec<f64> = d.read_raw().unwrap();
            values[row] = value;
            d.write_raw(&values).unwrap();
        })
    };
    assert!(set("elites/fitness", 4, f64::NAN).contains("fitness is NaN in row 4"));
    assert!(set("elites/descriptor", 5, f64::INFINITY).contains("descriptor is inf in row 2"));
    let set_cell = |row: usize, value: i64| {
        damaged(move |f| {
            let d = f.dataset("elites/cell").unwrap();
            let mut values: Vec<i64> = d.read_raw().unwrap();
            values[row] = value;
            d.write_raw(&values).unwrap();
        })
    };
    assert!(set_cell(n - 1, 42).contains("outside of the 42 cells"));
    assert!(set_cell(0, -1).contains("outside of the 42 cells"));
    assert!(set_cell(3, 0).contains("rising order"));
    assert!(damaged(|f| f.unlink("elites/seed").unwrap()).contains("/elites/seed is missing"));
    assert!(damaged(|f| f.unlink("elites").unwrap()).contains("/elites is missing"));
    assert!(damaged(|f| f.unlink("history/wall_seconds").unwrap()).contains("/history/wall_seconds is missing"));
    assert!(damaged(|f| f.unlink("state/adam/flags").unwrap()).contains("/state/adam/flags is missing"));
    assert!(damaged(|f| f.unlink("state").unwrap()).contains("no checkpoint"));
    assert!(damaged(|f| replace(f, "elites/fitness", &[2], &[0.0f64; 2])).contains("float64 [2], not f64"));
    assert!(damaged(|f| replace(f, "elites/genome", &[n, 3], &vec![0.0f64; 3 * n])).contains("not f32"));
    assert!(damaged(|f| replace(f, "elites/genome", &[n, 2], &vec![0.0f32; 2 * n])).contains("not f32"));
    assert!(damaged(|f| replace(f, "state/archive/filled", &[n], &vec![3i64; n])).contains("each elite's cell once"));
    assert!(damaged(|f| f.attr("seed").map(|_| f.delete_attr("seed").unwrap()).unwrap()).contains("'seed'"));
    let huge = damaged(|f| {
        f.unlink("history/generation").unwrap();
        let builder = f
            .group("history")
            .unwrap()
            .new_dataset::<f64>()
            .shape(1usize << 50)
            .chunk(1000);
        builder.create("generation").unwrap();
    });
    assert!(huge.contains("more than the file can hold"), "{huge}");
    let cells = |name: &'static str, value: u64| {
        damaged(move |f| {
            f.group("cells")
                .unwrap()
                .attr(name)
                .unwrap()
                .write_scalar(&value)
                .unwrap()
        })
    };
    assert!(cells("count", 43).contains("/cells is damaged"));
    assert!(cells("count", u64::MAX).contains("impossible count"));
    let bounds = damaged(|f| {
        f.group("cells")
            .unwrap()
            .attr("lower")
            .unwrap()
            .write_raw(&[2.0, f64::NAN])
            .unwrap()
    });
    assert!(bounds.contains("'speed'"), "{bounds}");
}

#[test]
fn damaged_lineages_are_refused() {
    let folder = folder();
    for offsets in [vec![1u64], vec![9, 1], vec![u64::MAX, 0]] {
        let path = sample(&folder, "grid", true);
        let file = hdf5::File::open_rw(&path).unwrap();
        let d = file.dataset("elites/lineage_offsets").unwrap();
        let mut values: Vec<u64> = d.read_raw().unwrap();
        values[..offsets.len()].copy_from_slice(&offsets);
        d.write_raw(&values).unwrap();
        drop(d);
        file.close().unwrap();
        let message = open(&path).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("lineage_offsets"), "{message}");
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error_and_never_a_panic() {
    let folder = folder();
    let path = sample(&folder, "cvt", false);
    let whole = std::fs::read(&path).unwrap();
    let cut = folder.path().join("cut.h5");
    let step = whole.len() / 150;
    for length in (0..64)
        .chain((64..whole.len()).step_by(step))
        .chain(whole.len() - 8..whole.len())
    {
        std::fs::write(&cut, &whole[..length]).unwrap();
        let message = open(&cut).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("cut.h5"), "{length}: {message}");
    }
    std::fs::write(&cut, &whole).unwrap();
    assert!(open(&cut).is_ok());
}

#[test]
fn every_dataset_is_described_and_its_axes_are_named() {
    fn visit(group: &hdf5::Group, seen: &mut Vec<String>) {
        for g in group.groups().unwrap() {
            visit(&g, seen);
        }
        for d in group.datasets().unwrap() {
            assert!(
                !h5::get_text(&d, "description").unwrap_or_default().is_empty() || d.name().starts_with("/solution")
            );
            let named = d.attr("DIMENSION_LIST").is_ok() || d.attr("CLASS").is_ok() || d.name().starts_with("/state");
            assert!(named, "{}", d.name());
            seen.push(d.name());
        }
    }
    let folder = folder();
    let mut seen = Vec::new();
    visit(&hdf5::File::open(sample(&folder, "cvt", true)).unwrap(), &mut seen);
    for name in [
        "/elites/fitness",
        "/elites/lineage_streams",
        "/cells/centroids",
        "/history/wall_seconds",
        "/elites/axis",
    ] {
        assert!(seen.iter().any(|s| s == name), "{name} is not among {seen:?}");
    }
    let file = hdf5::File::open(sample(&folder, "cvt", true)).unwrap();
    assert_eq!(
        h5::get_text(&file.dataset("history/wall_seconds").unwrap(), "units").unwrap(),
        "s"
    );
}

/// Needs the right to mount; says so and passes where that is missing.
#[test]
fn a_full_disk_is_an_error_and_the_old_file_survives() {
    let folder = folder();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(folder.path())
        .output()
        .is_ok_and(|o| o.status.success());
    if !mounted {
        println!("skipped: a tmpfs cannot be mounted here");
        return;
    }
    let path = folder.path().join("archive.h5");
    let result = std::panic::catch_unwind(|| {
        let small = Case {
            lineage: false,
            checkpoint: true,
            compress: 0,
        };
        solo(|comm| save(&path, evolve(comm, &spec("grid"), 3, false, 3).as_ref(), &small, comm)).unwrap();
        let before = std::fs::read(&path).unwrap();
        // Genomes that do not fit, and a state that does not.
        for (dim, room) in [(20_000, 0), (3, 1 << 20)] {
            let messages = ranks(2, |comm| {
                let archive = evolve(comm, &spec("grid"), dim, false, 2);
                let mut big = Batch::new();
                big.push("replay", 1, "", "transitions", vec![1u8; room]);
                let state = State {
                    tables: vec![("memory".into(), big)],
                    solution: None,
                };
                let (attributes, history) = (attributes(), history());
                let contents = Contents {
                    attributes: &attributes,
                    archive: archive.as_ref(),
                    genome_dim: dim,
                    lineage: false,
                    genes: None,
                    history: &history,
                    state: Some(&state),
                    checkpoint: true,
                    compress: 0,
                };
                write(&path, &contents, comm).unwrap_err().to_string()
            });
            assert!(
                messages
                    .iter()
                    .all(|m| m.contains("archive.h5") && m.contains("no space left")),
                "{messages:?}"
            );
            assert!(std::fs::read(&path).unwrap() == before);
            assert_eq!(
                std::fs::read_dir(folder.path()).unwrap().count(),
                1,
                "the temporary file is gone"
            );
        }
        // The library is still usable, and so is the disk.
        solo(|comm| save(&path, evolve(comm, &spec("grid"), 3, false, 6).as_ref(), &small, comm)).unwrap();
        assert!(open(&path).is_ok());
    });
    let unmounted = std::process::Command::new("umount")
        .arg("-l")
        .arg(folder.path())
        .status();
    assert!(unmounted.is_ok_and(|s| s.success()));
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}
