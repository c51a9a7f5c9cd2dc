use super::*;
use illume_core::{Purpose, Stream};

fn policy() -> PolicyFile {
    let mut policy = PolicyFile {
        layers: vec![5, 7, 2],
        activation: Activation::Relu,
        params: Vec::new(),
        observation: 3,
        axes: vec![
            Axis::new("x", "m", -30.0, 30.0),
            Axis::new("speed", "m/s", 0.1, 0.7000000000000001),
        ],
        normalization: Some(Normalization {
            mean: vec![0.5, -1.0, 3.0],
            sd: vec![1.0, 0.1, 7.0],
            clip: 0.3,
        }),
        task: "sample".into(),
        config: "seed = 1\n[task]\nname = \"sample\"\n".into(),
        provenance: serde_json::json!({"archive": "runs/a/archive.h5", "evaluations": 1000}),
    };
    policy.params = vec![0.0; policy.network().params()];
    Stream::new(1, Purpose::Init, 0, 0).normals(0, &mut policy.params);
    policy
}

/// A directory with [`policy`] in a folder of its own.
fn written() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("policy");
    policy().write(&dir).unwrap();
    (folder, dir)
}

fn names(dir: &Path) -> Vec<String> {
    let name = |e: std::io::Result<fs::DirEntry>| e.unwrap().file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = fs::read_dir(dir).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read() {
    let (_folder, dir) = written();
    assert_eq!(PolicyFile::read(&dir).unwrap(), policy());
    let mut plain = policy();
    plain.normalization = None;
    plain.axes.clear();
    plain.observation = 5;
    plain.activation = Activation::Tanh;
    plain.write(&dir).unwrap();
    assert_eq!(PolicyFile::read(&dir).unwrap(), plain);
}

#[test]
fn actions_are_those_computed_by_hand() {
    let policy = PolicyFile {
        layers: vec![2, 1],
        params: vec![2.0, 0.5, 0.25],
        observation: 1,
        axes: vec![Axis::new("d", "", 10.0, 14.0)],
        normalization: Some(Normalization {
            mean: vec![1.0],
            sd: vec![4.0],
            clip: 1.0,
        }),
        ..policy()
    };
    // (3 - 1) / 4 = 0.5 and (13 - 12) / 2 = 0.5.
    assert!((policy.act(&[3.0], &[13.0])[0] - 1.5f32.tanh()).abs() < 1e-6);
    // Clipped to 1; a descriptor beyond its bounds is not: (16 - 12) / 2 = 2.
    assert!((policy.act(&[99.0], &[16.0])[0] - 3.25f32.tanh()).abs() < 1e-6);
}

#[test]
fn the_directory_holds_the_documented_files_and_nothing_else() {
    let (_folder, dir) = written();
    let mut expected = vec!["policy.json", "policy.onnx", "policy.safetensors"];
    if cfg!(feature = "torch") {
        expected.insert(2, "policy.pt");
    }
    assert_eq!(names(&dir), expected);
}

#[test]
fn a_build_without_libtorch_says_what_it_left_out_and_removes_an_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let notes = policy().write(folder.path()).unwrap();
    if cfg!(feature = "torch") {
        assert!(notes.is_empty(), "{notes:?}");
        return;
    }
    assert!(
        notes[0].contains("policy.pt") && notes[0].contains("torch"),
        "{notes:?}"
    );
    fs::write(folder.path().join("policy.pt"), "of another policy").unwrap();
    policy().write(folder.path()).unwrap();
    assert!(!folder.path().join("policy.pt").exists());
}

#[test]
fn a_policy_is_replaced_with_a_note_and_anything_else_is_left_alone() {
    let (folder, dir) = written();
    fs::write(dir.join("report.json"), "{}").unwrap();
    let notes = policy().write(&dir).unwrap();
    assert!(notes[0].contains("replaced"), "{notes:?}");
    assert!(dir.join("report.json").exists());

    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("policy.json"), "{\"mine\": true}").unwrap();
    let e = policy().write(&other).unwrap_err();
    assert!(
        matches!(&e, Error::Input(m) if m.contains("not empty") && m.contains("other")),
        "{e}"
    );
    assert_eq!(
        fs::read_to_string(other.join("policy.json")).unwrap(),
        "{\"mine\": true}"
    );
    assert_eq!(names(&other), ["policy.json"]);

    let file = other.join("policy.json");
    let e = policy().write(&file).unwrap_err();
    assert!(matches!(&e, Error::Input(m) if m.contains("cannot write")), "{e}");
}

#[test]
fn what_an_interrupted_write_left_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join(format!("{STAGING}{}", std::process::id()));
    fs::create_dir(&left).unwrap();
    fs::write(left.join("policy.onnx"), "half").unwrap();
    policy().write(folder.path()).unwrap();
    assert_eq!(PolicyFile::read(folder.path()).unwrap(), policy());
    assert!(!left.exists());
}

#[test]
fn no_policy_with_unfit_sizes_or_values_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |change: fn(&mut PolicyFile), part: &str| {
        let mut policy = policy();
        change(&mut policy);
        let e = policy.write(&folder.path().join("policy")).unwrap_err().to_string();
        assert!(e.contains(part), "{part} in: {e}");
    };
    refused(|p| p.params[3] = f32::NAN, "not finite");
    refused(|p| p.params.truncate(10), "10 weights");
    refused(|p| p.layers = vec![5], "layers [5]");
    refused(|p| p.observation = 4, "4 numbers of the observation and 2");
    refused(|p| p.axes[1].upper = f64::INFINITY, "speed");
    refused(|p| p.normalization.as_mut().unwrap().sd[0] = 0.0, "not positive");
    refused(|p| p.normalization.as_mut().unwrap().mean.truncate(1), "1 means");
    assert!(!folder.path().join("policy").exists());
}

/// Checks that a directory is refused as the user's mistake after a change, in one line that names the file and `part`.
#[track_caller]
fn refused(change: impl FnOnce(&Path), file: &str, part: &str) {
    let (_folder, dir) = written();
    change(&dir);
    let e = PolicyFile::read(&dir).unwrap_err();
    assert!(matches!(e, Error::Input(_)), "{e}");
    let e = e.to_string();
    assert!(
        e.contains(file) && e.contains(part) && !e.contains('\n'),
        "{file}, {part} in: {e}"
    );
}

/// Replaces a part of the description.
fn described(from: &str, to: &str) -> impl FnOnce(&Path) {
    move |dir| {
        let path = dir.join("policy.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }
}

/// Replaces the weights by those of another policy.
fn weighted(change: fn(&mut PolicyFile)) -> impl FnOnce(&Path) {
    move |dir| {
        let mut other = policy();
        change(&mut other);
        fs::write(dir.join("policy.safetensors"), safetensors::encode(&other).unwrap()).unwrap();
    }
}

#[test]
fn missing_and_damaged_files_are_refused() {
    let json = "policy.json";
    let weights = "policy.safetensors";
    refused(|dir| fs::remove_dir_all(dir).unwrap(), "policy", "no policy directory");
    refused(
        |dir| fs::remove_file(dir.join(json)).unwrap(),
        json,
        "no policy directory",
    );
    refused(
        |dir| fs::remove_file(dir.join(weights)).unwrap(),
        weights,
        "cannot read",
    );
    refused(|dir| fs::write(dir.join(json), "{").unwrap(), json, "damaged");
    refused(|dir| fs::write(dir.join(json), "[1]").unwrap(), json, "damaged");
    refused(|dir| fs::write(dir.join(weights), "").unwrap(), weights, "truncated");
    refused(
        |dir| fs::write(dir.join(weights), [255; 64]).unwrap(),
        weights,
        "damaged",
    );
    for keep in [4, 100, 700] {
        let truncate = |dir: &Path| {
            let bytes = fs::read(dir.join(weights)).unwrap();
            fs::write(dir.join(weights), &bytes[..keep.min(bytes.len() - 1)]).unwrap();
        };
        refused(truncate, weights, "truncated");
    }
}

#[test]
fn descriptions_of_other_formats_and_versions_are_refused() {
    let json = "policy.json";
    refused(described("illume-policy", "someone-else"), json, "someone-else");
    refused(
        described("\"format_version\": 1", "\"format_version\": 2"),
        json,
        "format_version 2",
    );
    refused(described("\"task\"", "\"tusk\""), json, "task");
    refused(described("\"mlp\"", "\"transformer\""), json, "transformer");
    refused(described("\"relu\"", "\"gelu\""), json, "gelu");
}

#[test]
fn fields_that_a_reader_does_not_know_are_ignored() {
    let (_folder, dir) = written();
    described("\"task\"", "\"later\": {\"a\": 1},\n\"task\"")(&dir);
    assert_eq!(PolicyFile::read(&dir).unwrap(), policy());
}

#[test]
fn files_whose_sizes_and_bounds_do_not_fit_are_refused() {
    let json = "policy.json";
    let weights = "policy.safetensors";
    refused(
        described("\"observation\": 3", "\"observation\": 4"),
        json,
        "4 numbers of the observation",
    );
    refused(
        described("\"action\": 2", "\"action\": 3"),
        json,
        "3 numbers of an action",
    );
    refused(described("      7,", "      0,"), json, "layers [5, 0, 2]");
    refused(
        described("      7,", "      18446744073709551615,"),
        json,
        "more weights than fit",
    );
    refused(
        described("      7,", "      8,"),
        weights,
        "'layers.0.weight' is F32 [7, 5], and policy.json asks for F32 [8, 5]",
    );
    refused(
        described("      7,", "      7, 7,"),
        weights,
        "'layers.1.weight' is F32 [2, 7]",
    );
    refused(described("-30.0", "30.0"), json, "axis 'x' are 30 and 30");
    refused(described("-30.0", "null"), json, "damaged");
    refused(described("-30.0", "-31.0"), weights, "not of one policy");
    refused(
        described("\"clip\": 0.3", "\"clip\": -1.0"),
        weights,
        "clip that are not positive",
    );
    refused(
        weighted(|p| p.normalization = None),
        weights,
        "no tensor 'observation_mean'",
    );
    refused(
        weighted(|p| p.normalization.as_mut().unwrap().sd[1] = 0.0),
        weights,
        "not positive",
    );
    refused(weighted(|p| p.params[9] = f32::NAN), weights, "not finite");
    refused(weighted(|p| p.params[0] = f32::INFINITY), weights, "not finite");
}
