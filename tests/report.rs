//! Reports: opened in a browser without a window and clicked through, of archives as users have them and of ugly ones; and what is refused.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::own::OwnTask;
use common::refused::{GOOD, assert_refused, contents, finished};
use common::{arg, edit_h5, folder, python, run, run_command, write_config};
use illume::cluster::Solo;
use illume::core::Status;
use illume::{Config, Run};

/// Uses a report as a person would; says what is wrong with it.
#[track_caller]
fn look(kind: &str, report: &Path, files: &[&Path]) {
    let mut command = python();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/check_report.py");
    command.arg(script).args([kind, arg(report)]).args(files);
    let said = run_command(command).succeeded();
    assert!(said.contains(&format!("checked {kind}")), "{said}");
}

#[track_caller]
fn report_of(path: &Path) -> PathBuf {
    run(1, &["report", arg(path)]).succeeded();
    let report = if path.is_dir() {
        path.join("report.html")
    } else {
        path.with_file_name("report.html")
    };
    assert!(report.is_file());
    report
}

const MAZE: &str = "seed = 1\n[task]\nname = \"hard_maze\"\nepisode_length = 40\n[policy]\nhidden = [4]\n[strategy]\n\
                    name = \"map_elites\"\nbatch = 40\niso_sigma = 0.3\n[archive]\nkind = \"cvt\"\ncells = 60\nsamples = 2000\n[budget]\ngenerations = 8\n";

#[test]
fn what_a_report_shows_is_what_the_archive_holds() {
    let (_folder, grid) = finished(GOOD);
    look("run", &report_of(&grid), &[&grid.join("archive.h5")]);
    let (_folder, cvt) = finished(MAZE);
    look("run", &report_of(&cvt), &[&cvt.join("archive.h5")]);
    let text = fs::read_to_string(cvt.join("report.html")).unwrap();
    assert!(text.matches("data:image/").count() > 3, "episodes of the maze");
}

#[test]
fn members_without_cells_are_dots() {
    let novelty = MAZE
        .replace("kind = \"cvt\"\ncells = 60\nsamples = 2000", "kind = \"unstructured\"")
        .replace("batch = 40\niso_sigma = 0.3", "population = 40\nparents = 8");
    let (_folder, dir) = finished(&novelty.replace("map_elites", "ga_ns"));
    look("run", &report_of(&dir), &[&dir.join("archive.h5")]);
}

/// Of two objectives, in cells that hold fronts: the front of all members.
#[test]
fn fronts_are_shown() {
    let (_folder, dir) = finished(
        "seed = 1\n[task]\nname = \"rastrigin_pair\"\ndim = 6\n[strategy]\nname = \"mome\"\nbatch = 100\n[archive]\nkind = \"grid\"\nshape = [6, 6]\ndepth = 20\nkeep = \"front\"\n[budget]\ngenerations = 20\n",
    );
    let (report, archive) = (report_of(&dir), dir.join("archive.h5"));
    look("run", &report, &[&archive]);
    look("front", &report, &[&archive]);
}

/// Of a task whose episodes differ, so that elites move.
#[cfg(feature = "mujoco")]
#[test]
fn a_corrected_map_lies_beside_the_stored_one() {
    let (_folder, dir) = finished(
        "seed = 3\n[task]\nname = \"hopper_uni\"\nepisode_length = 40\n[policy]\nhidden = [4]\n[strategy]\nname = \"map_elites\"\nbatch = 60\n\
         [archive]\nshape = [40]\n[budget]\ngenerations = 6\n",
    );
    let without = report_of(&dir);
    assert!(
        !fs::read_to_string(&without)
            .unwrap()
            .contains("\"name\":\"expected_fitness\"")
    );
    run(1, &["eval", arg(&dir), "--episodes", "3"]).succeeded();
    let report = report_of(&dir);
    look("run", &report, &[&dir.join("archive.h5")]);
    look("corrected", &report, &[&dir.join("eval.h5")]);
    // An evaluation of other elites corrects nothing.
    edit_h5(&dir.join("eval.h5"), "f['elites/fitness'][0] += 1");
    let text = fs::read_to_string(report_of(&dir)).unwrap();
    assert!(
        text.contains("is not of the elites that"),
        "{}",
        &text[text.len() - 3000..]
    );
}

/// An archive of this many axes, of a task of our own: fitness and descriptor are the first genes.
fn of_axes(folder: &Path, axes: usize, archive: &str, strategy: &str) -> PathBuf {
    let task = OwnTask::new(6, axes, |genes, descriptor| {
        for (i, d) in descriptor.iter_mut().enumerate() {
            *d = f64::from(genes[i % 6]).clamp(-1.0, 1.0);
        }
        (Status::Ok, f64::from(genes[0] * genes[1]))
    });
    let text =
        format!("[task]\nname = \"own\"\n[strategy]\n{strategy}\n[archive]\n{archive}\n[budget]\ngenerations = 3\n");
    let config = Config::parse(&text, "test", &[]).unwrap();
    let mut run = Run::new(&config, &task, &Solo).unwrap();
    while run.generation().unwrap() {}
    let path = folder.join(format!("axes-{axes}.h5"));
    run.write(&path, false).unwrap();
    path
}

#[test]
fn one_axis_is_a_row_of_bars_and_many_are_projections() {
    let folder = folder();
    let map_elites = "name = \"map_elites\"\nbatch = 60";
    let grid = |axes: usize| format!("shape = {:?}", vec![4; axes]);
    for (axes, archive) in [
        (1, "shape = [30]".into()),
        (1, "kind = \"cvt\"\ncells = 20\nsamples = 500".into()),
        (3, grid(3)),
        (6, grid(6)),
    ] {
        let path = of_axes(folder.path(), axes, &archive, map_elites);
        look("run", &report_of(&path), &[&path]);
    }
    let path = of_axes(folder.path(), 4096, "kind = \"dns\"\ncapacity = 30", map_elites);
    let report = report_of(&path);
    look("opens", &report, &[]);
    assert!(report.metadata().unwrap().len() < 1_000_000, "the first axes alone");
}

#[test]
fn ugly_archives_have_reports_too() {
    let (folder, dir) = finished(GOOD);
    let original = dir.join("archive.h5");
    let all = "['cell', 'fitness', 'descriptor', 'generation', 'operator', 'seed', 'parents', 'genome']";
    let cut = |rows: &str| {
        format!(
            "names = f['elites/operator'].attrs['operators']\n    for n in {all}:\n        d = f['elites'][n][{rows}]; del f['elites'][n]; f['elites'][n] = d\n    \
                 f['elites/operator'].attrs['operators'] = names"
        )
    };
    let hostile =
        "f.attrs['task'] = '</script><script>document.title = 1</script><img src=x onerror=document.title=2>'"
            .to_string();
    for (name, edit) in [
        ("none", cut(":0")),
        ("one", cut(":1")),
        ("equal", "f['elites/fitness'][:] = -0.5".into()),
        (
            "gaps",
            "f['history/qd_score'][:] = np.nan\n    f['history/coverage'][0] = np.inf".into(),
        ),
        ("hostile", hostile),
    ] {
        let own = folder.path().join(name);
        fs::create_dir(&own).unwrap();
        let path = own.join("archive.h5");
        fs::copy(&original, &path).unwrap();
        edit_h5(&path, &edit);
        let report = report_of(&path);
        let kind = if name == "none" || name == "hostile" {
            "opens"
        } else {
            "run"
        };
        let files = [path.as_path()];
        look(kind, &report, &files[..usize::from(kind == "run")]);
    }
    // A run that has only a checkpoint, and whose log ends in the middle of a line.
    let early = folder.path().join("early");
    fs::create_dir(&early).unwrap();
    fs::copy(dir.join("checkpoint.h5"), early.join("checkpoint.h5")).unwrap();
    let log = fs::read_to_string(dir.join("log.jsonl")).unwrap();
    let finished = log.find("\"event\":\"finished\"").unwrap();
    fs::write(early.join("log.jsonl"), &log[..finished]).unwrap();
    let text = fs::read_to_string(report_of(&early)).unwrap();
    assert!(text.contains("in progress, or killed") && text.contains("checkpoint.h5"));
    look("run", &early.join("report.html"), &[&early.join("checkpoint.h5")]);
}

#[test]
fn a_sweep_is_a_table_with_tests_and_leads_to_its_runs() {
    let folder = folder();
    write_config(folder.path(), GOOD);
    let sweep = folder.path().join("sweep");
    let config = folder.path().join("config-given.toml");
    run(
        1,
        &[
            "sweep",
            "run",
            arg(&config),
            "strategy.batch=10,30",
            "strategy.iso_sigma=0.01,0.1",
            "--seeds",
            "3",
            "--out",
            arg(&sweep),
        ],
    )
    .succeeded();
    let report = report_of(&sweep);
    assert!(
        !fs::read_to_string(&report).unwrap().contains("\"report\":\"runs/"),
        "there is none to point to"
    );
    run(1, &["report", arg(&sweep), "--runs"]).succeeded();
    look("sweep", &report, &[]);
}

#[test]
fn what_there_is_no_report_of_is_refused_in_one_sentence() {
    let (folder, dir) = finished(GOOD);
    let here = |name: &str| folder.path().join(name);
    let (missing, text, png, there, html_folder) = (
        here("none"),
        here("config-given.toml"),
        here("a.png"),
        here("there.html"),
        here("folder.html"),
    );
    fs::write(&there, "<html>mine</html>").unwrap();
    fs::create_dir(&html_folder).unwrap();
    let newer = here("newer.h5");
    fs::copy(dir.join("archive.h5"), &newer).unwrap();
    edit_h5(&newer, "f.attrs['format_version'] = np.uint64(9)");
    let before = contents(&dir);
    let cases: [(&[&str], &[&str]); 10] = [
        (&[arg(&missing)], &[arg(&missing), "No such file"]),
        (&[arg(&text)], &[arg(&text), "not an HDF5 file"]),
        (&[arg(folder.path())], &[arg(folder.path()), "archive.h5"]),
        (&[arg(&newer)], &[arg(&newer), "format version 9"]),
        (&[arg(&dir), "-o", arg(&png)], &[arg(&png), ".html"]),
        (&[arg(&dir), "-o", arg(&dir)], &[arg(&dir), ".html"]),
        (
            &[arg(&dir), "-o", arg(&html_folder)],
            &[arg(&html_folder), "is a folder"],
        ),
        (&[arg(&dir), "-o", arg(&there)], &[arg(&there), "no report", "--force"]),
        (&[arg(&dir), "--runs"], &["--runs", "sweep", arg(&dir)]),
        (&[arg(&dir), "--films", "-1"], &[]),
    ];
    for (arguments, parts) in cases {
        let ended = run(1, &[&["report"], arguments].concat());
        if parts.is_empty() {
            assert_eq!(ended.code(), Some(2), "{ended}");
        } else {
            assert_refused(&ended, parts);
        }
    }
    assert!(contents(&dir) == before, "the run was touched");
    assert_eq!(fs::read_to_string(&there).unwrap(), "<html>mine</html>");
    run(1, &["report", arg(&dir), "-o", arg(&there), "--force"]).succeeded();
    run(1, &["report", arg(&dir), "-o", arg(&there)]).succeeded();
    assert!(
        fs::read_to_string(&there).unwrap().contains("illume report"),
        "a report is replaced by a report"
    );
}
