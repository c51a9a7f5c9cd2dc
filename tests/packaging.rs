//! What packages, images and modules say of illume is what `Cargo.toml` says; `make install` fills in its module file.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{ILLUME, folder};
use illume::core::toml::Table;

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifest() -> Table {
    read("Cargo.toml").parse().unwrap()
}

/// A string of `[workspace.package]`.
fn shared(manifest: &Table, key: &str) -> String {
    manifest["workspace"]["package"][key].as_str().unwrap().to_string()
}

/// What stands between two texts, each time that both do on one line.
fn between(text: &str, before: &str, after: &str) -> Vec<String> {
    let found = text.lines().filter_map(|line| {
        let rest = line.split_once(before)?.1;
        Some(
            rest.split_once(after)
                .map_or(rest, |(found, _)| found)
                .trim()
                .to_string(),
        )
    });
    found.collect()
}

#[test]
fn recipes_have_the_version_the_licence_the_description_and_the_rust_of_the_manifest() {
    let manifest = manifest();
    let owned = ["version", "license", "rust-version"].map(|key| shared(&manifest, key));
    let [version, license, rust] = owned.each_ref().map(String::as_str);
    let description = manifest["package"]["description"].as_str().unwrap();

    let conda = read("tools/packaging/conda/recipe.yaml");
    assert_eq!(between(&conda, "  version: \"", "\""), [version]);
    assert_eq!(between(&conda, "  license: ", "\n"), [license]);
    assert_eq!(between(&conda, "  summary: \"", "\""), [description]);
    assert_eq!(between(&conda, "- rust >=", "\n"), [rust]);

    let spack = read("tools/packaging/spack/spack_repo/illume/packages/illume/package.py");
    assert_eq!(between(&spack, "    version(\"", "\")"), [version]);
    assert_eq!(
        between(&spack, "illume@", " "),
        [version],
        "the line that is to be typed"
    );
    assert_eq!(between(&spack, "license(\"", "\")"), [license]);
    assert_eq!(between(&spack, "    \"\"\"", "\"\"\""), [description]);
    assert_eq!(between(&spack, "depends_on(\"rust@", ":\""), [rust]);

    assert_eq!(
        between(&read("tools/container/illume.def"), "image.licenses ", "\n"),
        [license]
    );
    assert_eq!(
        between(&read("tools/container/Containerfile"), "image.licenses=\"", "\""),
        [license]
    );
}

#[test]
fn features_that_recipes_and_images_ask_for_are_there_and_leave_the_games_out() {
    let manifest = manifest();
    let there = manifest["features"].as_table().unwrap();
    let mut asked = between(&read("tools/packaging/conda/recipe.yaml"), "--features ", "\n");
    assert_eq!(asked, ["mpi"]);
    let spack = read("tools/packaging/spack/spack_repo/illume/packages/illume/package.py");
    let variants = between(&spack, "    variant(\"", "\"");
    assert!(!variants.is_empty());
    for variant in &variants {
        // A variant that does not reach cargo would be one that does nothing.
        let listed = &between(&spack, "for name in [", "]")[0];
        assert!(
            listed.contains(&format!("\"{variant}\"")),
            "{variant} is not in [{listed}]"
        );
    }
    asked.extend(variants);
    asked.extend(between(&read("tools/container/illume.def"), "    FEATURES=", "\n"));
    for feature in asked {
        assert!(there.contains_key(&feature), "Cargo.toml has no feature {feature}");
        // GPL 2.0: a program with them may be passed on only under that licence.
        let members = there[&feature].as_array().unwrap();
        assert!(feature != "atari" && members.iter().all(|m| m.as_str() != Some("atari")));
    }
}

/// Arguments of an image's definition and their defaults.
fn arguments(lines: impl Iterator<Item = String>) -> BTreeMap<String, String> {
    let pairs = lines.filter_map(|line| {
        let (name, value) = line.trim().split_once('=')?;
        Some((name.to_string(), value.to_string()))
    });
    pairs.collect()
}

#[test]
fn both_images_are_made_by_the_same_script_from_the_same_arguments() {
    let apptainer = read("tools/container/illume.def");
    let containerfile = read("tools/container/Containerfile");
    let script = read("tools/container/install.sh");
    for step in ["install.sh build", "install.sh run"] {
        assert!(
            apptainer.lines().any(|line| line.trim_end().ends_with(step)),
            "illume.def: {step}"
        );
        assert!(
            containerfile
                .lines()
                .any(|line| line.starts_with("RUN ") && line.ends_with(step)),
            "Containerfile: {step}"
        );
    }
    let blocks = apptainer.split("%arguments").skip(1).flat_map(|block| {
        let lines = block.lines().skip(1).take_while(|line| line.starts_with("    "));
        lines.map(String::from).collect::<Vec<_>>()
    });
    let mut theirs = arguments(blocks);
    let mut ours = arguments(between(&containerfile, "ARG ", "\n").into_iter());
    // Apptainer takes images from many places, and asks git itself what it builds.
    theirs.remove("BOOTSTRAP");
    ours.remove("COMMIT");
    assert_eq!(theirs, ours);
    assert_eq!(theirs["FEATURES"], "full");
    for name in theirs.keys().filter(|name| !name.ends_with("_FROM")) {
        assert!(
            script.contains(&format!("\n#   {name} ")),
            "install.sh does not explain {name}"
        );
        assert!(
            script.contains(&format!("${{{name}:-")),
            "install.sh does not use {name}"
        );
    }
}

fn install(arguments: &[&str]) -> Output {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/install");
    Command::new(tool).args(arguments).output().unwrap()
}

#[test]
fn what_is_installed_runs_and_its_module_file_names_its_place_and_what_it_needs() {
    let temporary = folder();
    let prefix = temporary.path().join("software/illume");
    let told = install(&[prefix.to_str().unwrap(), ILLUME, "openmpi/4.1.4", "hdf5"]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));

    let list = Command::new(prefix.join("bin/illume"))
        .args(["info", "--help"])
        .output()
        .unwrap();
    assert!(list.status.success());
    for file in ["share/illume/experiments/demo.toml", "share/doc/illume/LICENSE-MIT"] {
        assert!(prefix.join(file).is_file(), "{file}");
    }
    let version = shared(&manifest(), "version");
    let module = fs::read_to_string(prefix.join(format!("modulefiles/illume/{version}.lua"))).unwrap();
    assert_eq!(between(&module, "local prefix = \"", "\""), [prefix.to_str().unwrap()]);
    assert_eq!(
        between(&module, "local needs = ", "\n"),
        ["{ \"openmpi/4.1.4\", \"hdf5\" }"]
    );
    let code = module
        .lines()
        .filter(|line| !line.starts_with("--"))
        .collect::<Vec<_>>()
        .join("\n");
    assert!(!code.contains('@'), "a place was not filled in:\n{code}");
    // Again, over what is there.
    assert!(install(&[prefix.to_str().unwrap(), ILLUME]).status.success());
    let module = fs::read_to_string(prefix.join(format!("modulefiles/illume/{version}.lua"))).unwrap();
    assert_eq!(between(&module, "local needs = ", "\n"), ["{  }"]);
}

#[test]
fn wrong_arguments_of_install_are_refused_in_one_sentence() {
    let temporary = folder();
    let prefix = temporary.path().join("there");
    let prefix = prefix.to_str().unwrap();
    let spaced = format!("{prefix} with spaces");
    for (arguments, says) in [
        (vec![], "the folder to install to is missing"),
        (vec!["illume"], "PREFIX=illume is not an absolute path"),
        (vec![&*spaced, ILLUME], "has a character that is none of"),
        (vec![prefix, "/nowhere/illume"], "there is no program /nowhere/illume"),
        (vec![prefix, "/bin/true"], "/bin/true is not illume"),
        (vec![prefix, ILLUME, "open mpi"], "'open mpi' is no name of a module"),
    ] {
        let told = install(&arguments);
        let said = String::from_utf8(told.stderr).unwrap();
        assert_eq!(told.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(
            said.contains(says) && said.lines().count() == 1,
            "{arguments:?}: {said}"
        );
        assert!(!Path::new(prefix).exists(), "{arguments:?}");
    }
}
