//! A policy directory acts alike wherever it is opened: in illume, in onnxruntime, in numpy with safetensors, in libtorch.

mod common;

use std::fs;
use std::path::Path;

use common::{arg, folder, open, python, run, run_command, write_config};
use illume::Config;
use illume::core::{Activation, Axis, Normalization, Purpose, Stream};
use illume::formats::policy::PolicyFile;

const INPUTS: usize = 100;

/// A policy with weights as learning leaves them, on axes of different scales.
fn policy(hidden: &[usize], activation: Activation, normalized: bool, axes: usize, seed: u64) -> PolicyFile {
    let axes = &[
        Axis::new("x", "m", -30.0, 30.0),
        Axis::new("height", "mm", 100.0, 300.5),
    ][..axes];
    let observation = 11;
    let layers: Vec<usize> = [&[observation + axes.len()], hidden, &[3]].concat();
    let stream = Stream::new(seed, Purpose::Init, 0, 0);
    let mut params = Vec::new();
    for pair in layers.windows(2) {
        let mut layer = vec![0.0; (pair[0] + 1) * pair[1]];
        stream.add_normals(params.len() as u64, 1.0 / (pair[0] as f32).sqrt(), &mut layer);
        params.extend(layer);
    }
    let statistics = |n: usize| 0.1 + n as f32;
    let normalization = normalized.then(|| Normalization {
        mean: (0..observation).map(statistics).collect(),
        sd: (0..observation).map(statistics).collect(),
        clip: 1.5,
    });
    PolicyFile {
        layers,
        activation,
        params,
        observation,
        axes: axes.to_vec(),
        normalization,
        task: "sample".into(),
        config: String::new(),
        provenance: serde_json::Value::Null,
    }
}

/// Every combination of depth, activation, normalization and number of axes.
fn policies() -> Vec<PolicyFile> {
    let mut policies = Vec::new();
    for hidden in [&[][..], &[16], &[33, 20], &[64, 31, 8]] {
        for activation in [Activation::Tanh, Activation::Relu] {
            for (normalized, axes) in [(false, 2), (true, 2), (true, 0), (false, 1)] {
                let seed = policies.len() as u64;
                policies.push(policy(hidden, activation, normalized, axes, seed));
            }
        }
    }
    policies
}

/// Observations `[INPUTS, m]`, and descriptors `[INPUTS, k]`, a few of them outside their bounds.
fn inputs(policy: &PolicyFile) -> (Vec<f32>, Vec<f32>) {
    let stream = Stream::new(7, Purpose::Episode, 0, 0);
    let mut observation = vec![0.0; INPUTS * policy.observation];
    stream.add_normals(0, 3.0, &mut observation);
    let mut descriptor = vec![0.0; INPUTS * policy.axes.len()];
    stream.uniforms(1 << 30, &mut descriptor);
    for (n, d) in descriptor.iter_mut().enumerate() {
        let axis = &policy.axes[n % policy.axes.len()];
        *d = (axis.lower + f64::from(1.1 * *d - 0.05) * (axis.upper - axis.lower)) as f32;
    }
    (observation, descriptor)
}

/// Actions `[INPUTS, 3]` of the policy that a directory holds.
fn actions(dir: &Path, observation: &[f32], descriptor: &[f32]) -> Vec<f32> {
    let policy = PolicyFile::read(dir).unwrap();
    let k = policy.axes.len();
    let act = |i: usize| {
        let wanted: Vec<f64> = descriptor[i * k..(i + 1) * k].iter().map(|d| f64::from(*d)).collect();
        policy.act(&observation[i * policy.observation..][..policy.observation], &wanted)
    };
    (0..INPUTS).flat_map(act).collect()
}

fn write(path: &Path, values: &[f32]) {
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    fs::write(path, bytes).unwrap();
}

#[test]
fn onnxruntime_and_numpy_act_as_illume_does() {
    let folder = folder();
    let mut command = python();
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/policy.py"));
    let policies = policies();
    for (n, policy) in policies.iter().enumerate() {
        let place = folder.path().join(n.to_string());
        policy.write(&place.join("policy")).unwrap();
        let (observation, descriptor) = inputs(policy);
        let actions = actions(&place.join("policy"), &observation, &descriptor);
        assert!(actions.iter().any(|a| a.abs() < 0.9) && actions.iter().all(|a| a.is_finite()));
        write(&place.join("observation.f32"), &observation);
        write(&place.join("descriptor.f32"), &descriptor);
        write(&place.join("actions.f32"), &actions);
        command.arg(place);
    }
    let said = run_command(command).succeeded();
    assert!(
        said.contains(&format!("{} policies act alike", policies.len())),
        "{said}"
    );
    println!("{said}");
}

/// One elite, and the center of a search that normalizes observations.
#[test]
fn an_exported_elite_acts_as_its_genome_does_everywhere() {
    let folder = folder();
    let mut command = python();
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/policy.py"));
    for (name, strategy, options) in [
        ("map_elites", "batch = 20", &["--elite", "best"][..]),
        ("map_elites", "batch = 20", &["--descriptor", "100,100"]),
        (
            "deep_ga",
            "population = 20\nparents = 4\nsigma = 0.1",
            &["--cell", "best"],
        ),
        (
            "openai_es",
            "population = 10\nnormalize_observations = true\nobservation_share = 1.0",
            &["--elite", "solution"],
        ),
    ] {
        let place = folder.path().join(format!("{name}{}", options[0]));
        fs::create_dir(&place).unwrap();
        let text = format!(
            "[task]\nname = \"hard_maze\"\nepisode_length = 30\n[policy]\nhidden = [6]\n[strategy]\nname = \"{name}\"\n{strategy}\n\
             [archive]\nshape = [10, 10]\n[budget]\ngenerations = 4\n"
        );
        let (config, dir) = (write_config(&place, &text), place.join("run"));
        run(1, &["run", arg(&config), "--out", arg(&dir)]).succeeded();
        let out = place.join("policy");
        let said = run(
            1,
            &[&["export", arg(&dir), "--policy", arg(&out), "--json"], options].concat(),
        )
        .succeeded();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        // The genome itself, in the network of the task.
        let file = open(&dir.join("archive.h5"));
        let config = Config::stored(&file.attributes.config, "test", &[]).unwrap();
        let task = illume::registry::task(&config).unwrap();
        let network = task.spec().network.clone().unwrap();
        let policy = PolicyFile::read(&out).unwrap();
        assert_eq!((policy.network(), policy.axes.len()), (network.clone(), 0));
        assert_eq!(policy.normalization.is_some(), name == "openai_es");
        if name != "openai_es" {
            let npz = place.join("elite.csv");
            let cell = said["from"].as_str().unwrap().replace("cell ", "");
            let mut export = vec!["export", arg(&dir), "-o", arg(&npz), "--genomes", "--names", "pyribs"];
            export.extend(["--elite", &cell]);
            run(1, &export).succeeded();
            let table = fs::read_to_string(&npz).unwrap();
            let genes: Vec<f32> = table
                .lines()
                .nth(1)
                .unwrap()
                .split(',')
                .take(network.params())
                .map(|x| x.parse().unwrap())
                .collect();
            assert_eq!(policy.params, genes);
            let (observation, mut action) = (vec![0.3; policy.observation], vec![0.0; network.outputs()]);
            network.forward(&genes, &observation, &mut network.units(), &mut action);
            assert_eq!(policy.act(&observation, &[]), action);
        }
        // It is opened by what opens policies.
        let eval = run(1, &["eval", arg(&out), "--episodes", "1", "--json"]).succeeded();
        let eval: serde_json::Value = serde_json::from_str(&eval).unwrap();
        if name == "map_elites" {
            assert_eq!(eval["fitness"], said["fitness"], "the maze is deterministic");
        }
        assert!(
            run(1, &["info", arg(&out)])
                .succeeded()
                .contains("it always acts alike")
        );
        let (observation, descriptor) = inputs(&policy);
        write(&place.join("observation.f32"), &observation);
        write(&place.join("descriptor.f32"), &descriptor);
        write(&place.join("actions.f32"), &actions(&out, &observation, &descriptor));
        command.arg(place);
    }
    let said = run_command(command).succeeded();
    assert!(said.contains("4 policies act alike"), "{said}");
    println!("{said}");
}

#[test]
fn the_documented_use_in_python_runs() {
    let folder = folder();
    let policy = policy(&[16], Activation::Relu, true, 2, 1);
    policy.write(folder.path()).unwrap();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/format.md")).unwrap();
    let (_, section) = page.split_once("## Policy directory").unwrap();
    let code = section
        .split("```python\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let mut command = python();
    command.args(["-c", code]).arg(folder.path());
    let said = run_command(command).succeeded();
    let expected = policy.act(&[0.0; 11], &[0.0, 200.25])[0];
    assert!(said.contains(&format!("[[{expected:.4}")[..8]), "{expected} in {said}");
}

#[cfg(feature = "torch")]
#[test]
fn libtorch_acts_as_illume_does() {
    use tch::{CModule, Tensor};
    let folder = folder();
    let mut largest = 0.0f32;
    for (n, policy) in policies().iter().enumerate() {
        let dir = folder.path().join(n.to_string());
        assert!(policy.write(&dir).unwrap().is_empty());
        let module = CModule::load(dir.join("policy.pt")).unwrap();
        let (observation, descriptor) = inputs(policy);
        let expected = actions(&dir, &observation, &descriptor);
        for rows in [INPUTS, 1] {
            let matrix = |values: &[f32], columns: usize| {
                Tensor::from_slice(&values[..rows * columns]).reshape([rows as i64, columns as i64])
            };
            let mut arguments = vec![matrix(&observation, policy.observation)];
            if !policy.axes.is_empty() {
                arguments.push(matrix(&descriptor, policy.axes.len()));
            }
            let got = module.forward_ts(&arguments).unwrap();
            assert_eq!(got.size(), [rows as i64, 3]);
            let got: Vec<f32> = got.reshape([-1]).try_into().unwrap();
            for (x, y) in got.iter().zip(&expected) {
                assert!((x - y).abs() < 1e-5, "policy {n}: {x} and {y}");
                largest = largest.max((x - y).abs());
            }
        }
    }
    println!("largest difference {largest:.1e}");
}
