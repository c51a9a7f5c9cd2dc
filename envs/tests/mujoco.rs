//! What the MuJoCo tasks promise beyond agreeing with Gymnasium.
#![cfg(feature = "mujoco")]

use illume_core::Purpose;
use illume_core::{Dense, Genomes, Request, Scores, Status, Stream, Task, TaskConfig, toml};
use illume_envs::mujoco::{Episode, Robot, plan, registry};
use illume_envs::{End, Env, MUJOCO_TASKS};

fn table(text: &str) -> toml::Table {
    text.parse().unwrap()
}

fn task(name: &str, params: &str) -> Box<dyn Task> {
    let entry = registry().iter().find(|e| e.name == name).unwrap();
    (entry.build)(&TaskConfig {
        task: &table(params),
        genes: None,
        policy: &table("hidden = [8]"),
        ranks: 1,
    })
    .unwrap()
}

fn robot(name: &str, params: &str) -> Robot {
    Robot::new(plan(name, &table(params)).unwrap().unwrap().recipe).unwrap()
}

/// Status, fitness, descriptor and steps of rows.
type Results = (Vec<u8>, Vec<f64>, Vec<f64>, Vec<u32>);

fn evaluate(task: &dyn Task, worker: &mut dyn illume_core::Worker, genes: &[Vec<f32>], seeds: &[u64]) -> Results {
    let (n, k) = (genes.len(), task.spec().descriptor_dim());
    let genomes = Genomes::Dense(Dense {
        dim: task.spec().genome_dim,
        data: genes.concat(),
    });
    let request = Request {
        genomes: &genomes,
        seeds,
        max_steps: u32::MAX,
        uncapped: 0..0,
        tests: 0..0,
        normalization: None,
        observed: &[],
        network: None,
    };
    let (mut status, mut fitness, mut descriptor, mut steps) = (vec![0; n], vec![0.0; n], vec![0.0; n * k], vec![0; n]);
    worker.evaluate(
        &request,
        0..n,
        &mut Scores {
            status: &mut status,
            fitness: &mut fitness,
            descriptor: &mut descriptor,
            steps: &mut steps,
            moments: &mut [],
            measures: &mut [],
            objectives: &mut [],
            trajectories: &mut [],
            features: &mut [],
        },
    );
    (status, fitness, descriptor, steps)
}

fn genome(task: &dyn Task, index: u64, scale: f32) -> Vec<f32> {
    let mut genes = vec![0.0; task.spec().genome_dim];
    Stream::new(3, Purpose::Init, 0, index).add_normals(0, scale, &mut genes);
    genes
}

fn start<'r>(robot: &'r Robot, positions: &[f64], velocities: &[f64]) -> (Episode<'r>, Vec<f32>) {
    let mut episode = robot.episode().unwrap();
    let mut observation = vec![0.0; robot.observation_dim()];
    episode.start(positions, velocities, &mut observation);
    (episode, observation)
}

/// Ant's first position, standing at x and y.
fn ant_at(x: f64, y: f64) -> Vec<f64> {
    let leg = [0.0, 1.0, 0.0, -1.0, 0.0, -1.0, 0.0, 1.0];
    [&[x, y, 0.55, 1.0, 0.0, 0.0, 0.0][..], &leg[..]].concat()
}

#[test]
fn every_task_is_built_and_scored() {
    assert_eq!(registry().iter().map(|e| e.name).collect::<Vec<_>>(), MUJOCO_TASKS);
    for entry in registry() {
        let task = task(entry.name, "episode_length = 20");
        let spec = task.spec();
        assert_eq!((spec.name.as_str(), spec.max_steps), (entry.name, 20));
        let genes: Vec<_> = (0..4).map(|i| genome(&*task, i, 0.3)).collect();
        let (status, fitness, descriptor, steps) =
            evaluate(&*task, &mut *task.worker().unwrap(), &genes, &[1, 2, 3, 4]);
        assert_eq!(status, [Status::Ok as u8; 4], "{}", entry.name);
        // The maze pays in far corners alone.
        assert!(
            fitness
                .iter()
                .all(|f| f.is_finite() && (*f == 0.0) == (entry.name == "ant_maze")),
            "{}: {fitness:?}",
            entry.name
        );
        assert!(steps.iter().all(|s| (1..=20).contains(s)));
        for (value, axis) in descriptor.iter().zip(spec.descriptor.iter().cycle()) {
            assert!(
                (axis.lower..=axis.upper).contains(value),
                "{}: {value} on {}",
                entry.name,
                axis.name
            );
        }
    }
}

#[test]
fn observations_actions_and_genomes_have_the_documented_sizes() {
    for (name, observation, action, genome) in [
        ("halfcheetah_uni", 17, 6, 5_702),
        ("walker2d_uni", 17, 6, 5_702),
        ("hopper_uni", 11, 3, 5_123),
        ("ant_uni", 27, 8, 6_472),
        ("humanoid_uni", 45, 17, 8_209),
        ("ant_omni", 29, 8, 6_600),
        ("anttrap_omni", 29, 8, 6_600),
        ("ant_maze", 29, 8, 6_600),
        ("humanoid_omni", 47, 17, 8_337),
    ] {
        let entry = registry().iter().find(|e| e.name == name).unwrap();
        let empty = toml::Table::new();
        let task = (entry.build)(&TaskConfig {
            task: &empty,
            genes: None,
            policy: &empty,
            ranks: 1,
        })
        .unwrap();
        let spec = task.spec();
        assert_eq!(
            (spec.observation_dim, spec.action_dim, spec.genome_dim),
            (observation, action, genome),
            "{name}"
        );
    }
}

#[test]
fn a_result_depends_on_genes_and_seed_alone() {
    for name in [
        "halfcheetah_uni",
        "walker2d_uni",
        "ant_uni",
        "anttrap_omni",
        "ant_maze",
        "humanoid_uni",
    ] {
        let task = task(name, "episode_length = 60");
        let genes: Vec<_> = (0..5).map(|i| genome(&*task, i, 0.5)).collect();
        let seeds = [11, 12, 13, 14, 15];
        let (mut used, mut fresh) = (task.worker().unwrap(), task.worker().unwrap());
        let together = evaluate(&*task, &mut *used, &genes, &seeds);
        for i in (0..5).rev() {
            let again = evaluate(&*task, &mut *used, &genes[i..=i], &seeds[i..=i]);
            let alone = evaluate(&*task, &mut *fresh, &genes[i..=i], &seeds[i..=i]);
            assert_eq!(again, alone, "{name}");
            assert_eq!(
                together.1[i].to_bits(),
                alone.1[0].to_bits(),
                "{name}: fitness of row {i}"
            );
            let k = task.spec().descriptor_dim();
            assert_eq!(together.2[i * k..(i + 1) * k], alone.2, "{name}: descriptor of row {i}");
            // What follows must not feel an episode that failed either.
            let broken = evaluate(&*task, &mut *fresh, &[vec![f32::NAN; task.spec().genome_dim]], &[1]);
            assert_eq!(broken.0, [Status::NotFinite as u8]);
        }
    }
}

#[test]
fn the_seed_moves_the_first_state_by_as_much_as_the_noise_says() {
    for (name, noise) in [
        ("halfcheetah_uni", 0.1),
        ("hopper_uni", 5e-3),
        ("ant_omni", 0.1),
        ("humanoid_uni", 1e-2),
    ] {
        let (noisy, still) = (robot(name, ""), robot(name, "reset_noise_scale = 0"));
        let mut observation = vec![0.0; noisy.observation_dim()];
        let (mut a, mut b) = (noisy.episode().unwrap(), still.episode().unwrap());
        b.reset(1, &mut observation);
        let rest = b.simulator().positions().to_vec();
        assert!(b.simulator().velocities().iter().all(|v| *v == 0.0));
        let mut seen: Vec<Vec<f64>> = Vec::new();
        let mut sum = 0.0;
        for seed in 0..200 {
            a.reset(seed, &mut observation);
            // The four numbers of an orientation are brought to length 1 by the simulator in its own copy only.
            let moved: Vec<f64> = a
                .simulator()
                .positions()
                .iter()
                .zip(&rest)
                .map(|(x, r)| x - r)
                .collect();
            assert!(moved.iter().all(|m| m.abs() <= noise), "{name}: {moved:?}");
            sum += moved.iter().map(|m| m * m).sum::<f64>() / moved.len() as f64;
            assert!(!seen.contains(&moved), "{name}: two seeds alike");
            seen.push(moved);
            b.reset(seed, &mut observation);
            assert_eq!(b.simulator().positions(), rest);
        }
        let sd = (sum / 200.0).sqrt();
        assert!((sd / (noise / 3f64.sqrt()) - 1.0).abs() < 0.1, "{name}: {sd}");
        assert!(!task(name, "").spec().deterministic && task(name, "reset_noise_scale = 0").spec().deterministic);
    }
}

#[test]
fn a_simulation_that_blows_up_fails_quietly() {
    let robot = robot("ant_uni", "");
    let mut wild = ant_at(0.0, 0.0);
    wild[8] = f64::NAN;
    let (mut episode, mut observation) = start(&robot, &wild, &[0.0; 14]);
    assert_eq!(episode.step(&[0.0; 8], &mut observation).end, End::Failed);
    let mut fast = [0.0; 14];
    fast[3] = 1e12;
    let (mut episode, mut observation) = start(&robot, &ant_at(0.0, 0.0), &fast);
    assert_eq!(episode.step(&[0.0; 8], &mut observation).end, End::Failed);
    let (mut episode, mut observation) = start(&robot, &ant_at(0.0, 0.0), &[0.0; 14]);
    assert_eq!(
        episode.step(&[0.5; 8], &mut observation).end,
        End::Running,
        "a new episode knows nothing of it"
    );
    assert!(!std::path::Path::new("MUJOCO_LOG.TXT").exists());
}

#[test]
fn an_ant_that_stands_has_its_feet_on_the_floor() {
    let robot = robot("ant_uni", "reset_noise_scale = 0");
    let (mut episode, mut observation) = start(&robot, &ant_at(0.0, 0.0), &[0.0; 14]);
    let mut shares = [0.0; 4];
    episode.descriptor(&mut shares);
    assert_eq!(shares, [0.0; 4], "before the first step");
    for _ in 0..100 {
        assert_eq!(episode.step(&[0.0; 8], &mut observation).end, End::Running);
    }
    episode.descriptor(&mut shares);
    assert!(shares.iter().all(|s| *s > 0.9), "{shares:?}");
}

#[test]
fn the_trap_holds_an_ant_that_runs_into_it() {
    let reach = |name: &str, y: f64, from: f64, speed: f64| {
        let robot = robot(name, "terminate_when_unhealthy = false");
        let mut velocities = [0.0; 14];
        velocities[0] = speed;
        let (mut episode, mut observation) = start(&robot, &ant_at(from, y), &velocities);
        for _ in 0..40 {
            episode.step(&[0.0; 8], &mut observation);
        }
        let mut place = [0.0; 2];
        episode.descriptor(&mut place);
        place[0]
    };
    let free = reach("ant_omni", 0.0, 9.5, 6.0);
    let held = reach("anttrap_omni", 0.0, 9.5, 6.0);
    assert!(free > 12.0 && held < 11.3, "free {free}, held {held}");
    let past = reach("anttrap_omni", 6.0, 9.5, 6.0);
    assert!(past > 12.0, "beside the trap: {past}");
    let inside = reach("anttrap_omni", 0.0, 4.0, 3.0);
    let open = reach("ant_omni", 0.0, 4.0, 3.0);
    assert_eq!(inside, open, "the trap is open toward the start");
}

#[test]
fn positive_rewards_are_the_others_moved_by_the_largest_control_cost() {
    for (name, largest) in [
        ("ant_omni", 4.0),
        ("halfcheetah_uni", 0.6),
        ("humanoid_omni", 0.1 * 17.0 * 0.16),
    ] {
        let (plain, positive) = (robot(name, ""), robot(name, "positive_reward = true"));
        let (mut a, mut b) = (plain.episode().unwrap(), positive.episode().unwrap());
        let mut observation = vec![0.0; plain.observation_dim()];
        a.reset(5, &mut observation);
        b.reset(5, &mut observation);
        let mut cut = 0;
        for step in 0..100 {
            let mut action = vec![0.0; plain.model().sizes().controls];
            Stream::new(1, Purpose::Variation, step, 0).uniforms(0, &mut action);
            action
                .iter_mut()
                .for_each(|x| *x = if step == 0 { 1.0 } else { 2.0 * *x - 1.0 });
            let (a, b) = (a.step(&action, &mut observation), b.step(&action, &mut observation));
            let moved = a.reward + largest;
            assert!((b.reward - moved.max(0.0)).abs() < 1e-12, "{name}: {a:?} {b:?}");
            cut += usize::from(moved < -1e-12);
        }
        assert!(
            cut == 0 || name == "halfcheetah_uni",
            "{name}: without a forward term nothing has to be cut"
        );
    }
}

#[test]
fn no_score_of_an_omnidirectional_task_is_below_its_offset() {
    for name in ["ant_omni", "anttrap_omni", "humanoid_omni"] {
        for params in [
            "episode_length = 40",
            "episode_length = 40\nterminate_when_unhealthy = false",
        ] {
            let task = task(name, params);
            let genes: Vec<_> = (0..20).map(|i| genome(&*task, i, 20.0)).collect();
            let seeds: Vec<u64> = (0..20).collect();
            let (_, fitness, ..) = evaluate(&*task, &mut *task.worker().unwrap(), &genes, &seeds);
            let worst = fitness.into_iter().fold(f64::INFINITY, f64::min);
            assert!(
                worst + task.spec().qd_offset >= 0.0,
                "{name}: {worst} + {}",
                task.spec().qd_offset
            );
        }
    }
    assert_eq!(task("ant_omni", "positive_reward = true").spec().qd_offset, 0.0);
}

#[test]
fn an_integrator_can_be_chosen() {
    let end = |integrator: &str| {
        let robot = robot(
            "ant_omni",
            &format!("integrator = \"{integrator}\"\nreset_noise_scale = 0"),
        );
        let (mut episode, mut observation) = start(&robot, &ant_at(0.0, 0.0), &[0.0; 14]);
        for _ in 0..10 {
            episode.step(&[0.3; 8], &mut observation);
        }
        episode.simulator().positions().to_vec()
    };
    let (model, rk4, euler, implicit) = (end("model"), end("rk4"), end("euler"), end("implicitfast"));
    assert_eq!(model, rk4);
    assert!(euler != rk4 && implicit != rk4);
    let far = rk4
        .iter()
        .zip(&implicit)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    assert!(far < 0.2, "the same robot all the same: {far}");
    let refused = plan("ant_omni", &table("integrator = \"rk5\""))
        .unwrap()
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("task.integrator") && refused.contains("\"implicitfast\""),
        "{refused}"
    );
}

/// Runs as a process of its own, since the folder of the models is a variable of the environment.
#[test]
fn child_that_builds_an_ant() {
    if std::env::var_os("ILLUME_TEST_CHILD").is_some() {
        let config = TaskConfig {
            task: &toml::Table::new(),
            genes: None,
            policy: &toml::Table::new(),
            ranks: 1,
        };
        match (registry().iter().find(|e| e.name == "ant_uni").unwrap().build)(&config) {
            Ok(_) => println!("built"),
            Err(e) => println!(
                "refused as {}: {e}",
                if matches!(e, illume_core::Error::Input(_)) {
                    "input"
                } else {
                    "?"
                }
            ),
        }
    }
}

#[test]
fn a_missing_or_broken_model_is_one_sentence() {
    let folder = std::env::temp_dir().join(format!("illume-mujoco-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let build = || {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_builds_an_ant", "--nocapture"])
            .env("ILLUME_TEST_CHILD", "1")
            .env("ILLUME_MJCF_DIR", &folder)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing else is printed");
        String::from_utf8(output.stdout).unwrap()
    };
    let missing = build();
    assert!(
        missing.contains("refused as input") && missing.contains("no such model file"),
        "{missing}"
    );
    assert!(
        missing.contains("ILLUME_MJCF_DIR") && missing.contains("ant.xml"),
        "{missing}"
    );
    for (xml, says) in [
        ("<mujoco><worldbody><bod/></worldbody></mujoco>", "bod"),
        ("not xml", "MuJoCo says"),
        (
            "<mujoco><worldbody><geom name='floor' size='-1' type='sphere'/></worldbody></mujoco>",
            "size",
        ),
        (
            "<mujoco><worldbody><geom name='floor' size='1'/></worldbody></mujoco>",
            "no geom named 'left_ankle_geom'",
        ),
        ("<mujoco/>", "no geom named 'floor'"),
    ] {
        std::fs::write(folder.join("ant.xml"), xml).unwrap();
        let said = build();
        assert!(
            said.contains("refused as input") && said.contains(says) && said.contains("ant.xml"),
            "{said}"
        );
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Runs as a process of its own, since it does not come back.
#[test]
fn child_in_which_mujoco_fails() {
    if std::env::var_os("ILLUME_TEST_CHILD").is_some() {
        robot("ant_uni", "");
        std::panic::set_hook(Box::new(|info| eprintln!("hook: {info}")));
        mujoco_rs::prelude::log_error("out of memory");
    }
}

#[test]
fn an_error_inside_mujoco_reaches_the_panic_hook() {
    let folder = std::env::temp_dir().join(format!("illume-mujoco-error-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_in_which_mujoco_fails", "--nocapture"])
        .env("ILLUME_TEST_CHILD", "1")
        .current_dir(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("hook:") && said.contains("MuJoCo failed: out of memory"),
        "{said}"
    );
    assert!(!folder.join("MUJOCO_LOG.TXT").exists());
    std::fs::remove_dir_all(&folder).unwrap();
}
