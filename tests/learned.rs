//! Learned descriptors: they are what they should be where that is known, the same on any ranks and threads, and can be made again from a file; searches that go by them find what hand-made ones find.

mod common;

use std::fs;
use std::path::Path;

use common::refused::{assert_refused, finished, tried};
use common::{assert_equal_files, folder, open, python, run_command, write_config};
use illume::archives::file::read_checkpoint;
use illume::cluster::{Solo, run_ranks};
use illume::core::{Comm, Task};
use illume::{Config, Run, registry};

fn config(text: &str) -> Config {
    Config::parse(text, "test", &[]).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

const PCA: &str = "encoder = \"pca\"\nlatent = 2";

fn arm(features: &str, encoder: &str, archive: &str, generations: u32) -> String {
    format!(
        "seed = 4\n[task]\nname = \"arm\"\nfeatures = \"{features}\"\n[strategy]\nname = \"aurora\"\nbatch = 100\niso_sigma = 0.02\n{encoder}\n\
         [archive]\n{archive}\n[budget]\ngenerations = {generations}\n"
    )
}

/// Share of the variance of the descriptors that the best affine map of the codes (both `[n, 2]`) explains.
fn explained(codes: &[f64], descriptors: &[f64]) -> f64 {
    let n = (codes.len() / 2) as f64;
    let centered = |values: &[f64]| -> Vec<[f64; 2]> {
        let mean = [0, 1].map(|i| values.iter().skip(i).step_by(2).sum::<f64>() / n);
        values
            .chunks_exact(2)
            .map(|v| [v[0] - mean[0], v[1] - mean[1]])
            .collect()
    };
    let (x, y) = (centered(codes), centered(descriptors));
    let product =
        |a: &[[f64; 2]], i: usize, b: &[[f64; 2]], j: usize| a.iter().zip(b).map(|(a, b)| a[i] * b[j]).sum::<f64>();
    let [a, b, d] = [product(&x, 0, &x, 0), product(&x, 0, &x, 1), product(&x, 1, &x, 1)];
    let determinant = a * d - b * b;
    let (mut all, mut left) = (0.0, 0.0);
    for axis in 0..2 {
        let [p, q] = [product(&x, 0, &y, axis), product(&x, 1, &y, axis)];
        let map = [(d * p - b * q) / determinant, (a * q - b * p) / determinant];
        all += product(&y, axis, &y, axis);
        left += x
            .iter()
            .zip(&y)
            .map(|(x, y)| (y[axis] - map[0] * x[0] - map[1] * x[1]).powi(2))
            .sum::<f64>();
    }
    1.0 - left / all
}

fn elites(text: &str) -> (Vec<f64>, Vec<f64>) {
    let config = config(text);
    let task = registry::task(&config).unwrap();
    let mut run = Run::new(&config, task.as_ref(), &Solo).unwrap();
    while run.generation().unwrap() {}
    let columns = run.archive().elites().columns();
    (
        columns.get::<f64>("code").unwrap().to_vec(),
        columns.get::<f64>("descriptor").unwrap().to_vec(),
    )
}

#[test]
fn principal_components_of_the_arms_end_are_the_descriptor_up_to_an_affine_map() {
    let (codes, descriptors) = elites(&arm("end", PCA, "target = 300", 60));
    assert!(codes.len() > 200);
    let share = explained(&codes, &descriptors);
    assert!(share > 1.0 - 1e-9, "{share}");
}

#[test]
fn two_principal_components_of_all_joints_nearly_say_where_the_arm_ends() {
    let (codes, descriptors) = elites(&arm("joints", PCA, "target = 300", 60));
    let share = explained(&codes, &descriptors);
    assert!(share > 0.8, "{share}");
}

#[test]
fn the_container_of_a_run_comes_within_a_tenth_of_its_target() {
    let config = config(&arm("joints", PCA, "target = 400", 400));
    let task = registry::task(&config).unwrap();
    let mut run = Run::new(&config, task.as_ref(), &Solo).unwrap();
    while run.generation().unwrap() {
        let n = run.archive().elites().filled.len();
        let settled = run.counters().generation > 330;
        assert!(
            !settled || (360..=440).contains(&n),
            "{n} after {}",
            run.counters().generation
        );
    }
}

/// Through a checkpoint in the middle, on `comm`.
fn saved_and_loaded(config: &Config, task: &dyn Task, comm: &dyn Comm, folder: &Path, stop: u64) {
    let path = folder.join("checkpoint.h5");
    let mut first = Run::new(config, task, comm).unwrap();
    while first.counters().generation < stop {
        first.generation().unwrap();
    }
    first.write(&path, true).unwrap();
    let mut second = Run::new(config, task, comm).unwrap();
    second.load(&read_checkpoint(&path, comm).unwrap()).unwrap();
    while second.generation().unwrap() {}
    second.write(&folder.join("resumed.h5"), true).unwrap();
}

/// With emitters at work: on the maze everybody is rewarded.
#[test]
fn searches_with_emitters_and_encoders_are_the_same_on_any_ranks_and_after_a_checkpoint() {
    let folder = folder();
    let learning = "latent = 2\nencoder_hidden = [6]\nencoder_epochs = 2\nencoder_batch = 10";
    let pictures = "encoder = \"convolutional\"\nlatent = 2\nencoder_epochs = 2\nencoder_batch = 10";
    for (strategy, features) in [
        ("name = \"serene\"".to_string(), "observations"),
        (format!("name = \"stax\"\n{learning}"), "observations"),
        (format!("name = \"taxons\"\n{learning}"), "observations"),
        (format!("name = \"taxons\"\n{pictures}"), "picture"),
    ] {
        // Which a build without libtorch refuses.
        if features == "picture" && !cfg!(feature = "torch") {
            continue;
        }
        let own = "population = 12\nchunk = 150\nneighbours = 4";
        let config = config(&format!(
            "seed = 2\n[task]\nname = \"hard_maze\"\nreward = \"closeness\"\nfeatures = \"{features}\"\nepisode_length = 30\n[policy]\nhidden = [4]\n[strategy]\n{strategy}\n{own}\n\
             [archive]\nshape = [9, 9]\n[budget]\ngenerations = 40\n"
        ));
        let task = registry::task(&config).unwrap();
        let mut whole = Run::new(&config, task.as_ref(), &Solo).unwrap();
        let mut seen = Vec::new();
        while whole.generation().unwrap() {
            let values = whole.strategy_values();
            seen.push(values.iter().find(|(name, _)| name == "emitters").unwrap().1);
        }
        if !strategy.contains("taxons") {
            assert!(seen.iter().any(|n| *n > 0.0), "no emitter was at work: {seen:?}");
        }
        let path = folder.path().join("whole.h5");
        whole.write(&path, true).unwrap();
        for (ranks, stop) in [(1, 9), (2, 14), (3, 23), (1, 31)] {
            run_ranks(ranks, |comm| {
                saved_and_loaded(&config, task.as_ref(), comm, folder.path(), stop)
            });
            assert_equal_files(&path, &folder.path().join("resumed.h5"));
        }
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let other = folder.path().join("threads.h5");
            pool.install(|| {
                let mut run = Run::new(&config, task.as_ref(), &Solo).unwrap();
                while run.generation().unwrap() {}
                run.write(&other, true).unwrap();
            });
            assert_equal_files(&path, &other);
        }
    }
}

/// By the lines of docs/format.md.
#[test]
fn codes_can_be_made_again_from_the_file() {
    let format = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/format.md")).unwrap();
    let section = format.split("### `/encoder`").nth(1).unwrap();
    let lines = section
        .split("```python\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    for encoder in [PCA, "latent = 3\nencoder_hidden = [9, 5]\nencoder_epochs = 5"] {
        let (_folder, dir) = finished(&arm("joints", encoder, "target = 60", 25));
        assert!(open(&dir.join("archive.h5")).rows() > 20);
        let mut command = python();
        command.arg("-c").arg(lines).current_dir(&dir);
        run_command(command).succeeded();
        let mut command = python();
        let other = lines.replace("archive.h5", "checkpoint.h5");
        command.arg("-c").arg(other).current_dir(&dir);
        run_command(command).succeeded();
    }
}

#[test]
fn what_does_not_go_together_is_refused_in_one_sentence() {
    let folder = folder();
    let base = "seed = 1\n[budget]\ngenerations = 2\n";
    for (text, parts) in [
        (
            "[task]\nname = \"arm\"\n[strategy]\nname = \"aurora\"\n[archive]\nkind = \"grid\"",
            &["archive.kind", "\"container\"", "leave it out"][..],
        ),
        (
            "[task]\nname = \"sphere\"\n[strategy]\nname = \"aurora\"",
            &["strategy.name", "shows nothing"],
        ),
        (
            "[task]\nname = \"arm\"\njoints = 4\n[strategy]\nname = \"aurora\"\nlatent = 9",
            &["strategy.latent", "at most the 8 numbers", "got 9"],
        ),
        (
            "[task]\nname = \"arm\"\n[strategy]\nname = \"aurora\"\nencoder = \"vae\"",
            &["strategy.encoder", "\"pca\""],
        ),
        (
            "[task]\nname = \"arm\"\n[strategy]\nname = \"aurora\"\nencoder = \"convolutional\"",
            &["strategy.encoder", "\"autoencoder\""],
        ),
        (
            "[task]\nname = \"arm\"\n[strategy]\nname = \"aurora\"\n[archive]\ntarget = 0",
            &["archive.target"],
        ),
        (
            "[task]\nname = \"arm\"\n[strategy]\nname = \"map_elites\"\n[archive]\nkind = \"container\"\nrule = \"fixed\"",
            &["archive.distance", "above 0"],
        ),
        (
            "[task]\nname = \"sphere\"\n[strategy]\nname = \"stax\"",
            &["strategy.name", "shows nothing"],
        ),
        (
            "[task]\nname = \"arm\"\n[strategy]\nname = \"serene\"\ngenome_bounds = [3.0, 2.0]",
            &["strategy.genome_bounds", "lower < upper"],
        ),
        (
            "[task]\nname = \"redundant_arm\"\nreward = \"sparse\"\n[strategy]\nname = \"serene\"",
            &["task.reward", "\"areas\""],
        ),
        (
            "[task]\nname = \"curling\"\nreward = \"distance\"\n[strategy]\nname = \"serene\"",
            &["task.reward", "\"areas\""],
        ),
        (
            "[task]\nname = \"curling\"\niterations = 0\n[strategy]\nname = \"serene\"",
            &["task.iterations", "from 1"],
        ),
        (
            "[task]\nname = \"curling\"\nsteps = 10\n[strategy]\nname = \"serene\"",
            &["task.steps", "episode_length"],
        ),
        ("[task]\nname = \"curling\"\n[strategy]\nname = \"nsga2\"", &["nsga2"]),
        (
            "[task]\nname = \"hard_maze\"\nfeatures = \"images\"\n[strategy]\nname = \"taxons\"",
            &["task.features", "\"picture\""],
        ),
        (
            "[task]\nname = \"redundant_arm\"\n[strategy]\nname = \"serene\"\npopulation = 50\narchived = 101",
            &["strategy.archived", "at most the 100"],
        ),
    ] {
        let path = write_config(folder.path(), &format!("{base}{text}\n"));
        assert_refused(&tried(&path, &[]), parts);
    }
}
