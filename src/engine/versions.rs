//! Versions of illume and of the native libraries it found.

use std::sync::OnceLock;

/// (name, version) of every native library that is loaded, asked from the library itself.
pub fn libraries() -> Vec<(&'static str, String)> {
    linked().iter().cloned().chain(libtorch()).collect()
}

/// Those that the program begins with.
pub fn linked() -> &'static [(&'static str, String)] {
    static FOUND: OnceLock<Vec<(&'static str, String)>> = OnceLock::new();
    FOUND.get_or_init(|| {
        vec![
            ("HDF5", illume_archives::hdf5_version()),
            #[cfg(feature = "mpi")]
            ("MPI", illume_cluster::mpi_version()),
            #[cfg(feature = "mujoco")]
            ("MuJoCo", illume_envs::mujoco_version()),
            #[cfg(feature = "atari")]
            ("ALE (GPL 2.0)", illume_envs::atari::version()),
        ]
    })
}

/// libtorch's version, and whether it has CUDA, if it is loaded.
#[cfg(feature = "torch")]
fn libtorch() -> Option<(&'static str, String)> {
    let version = illume_numerics::libtorch::version()?;
    // Not asked of libtorch, which would decide for good that it has no CUDA: a learner may load it later.
    let library = illume_numerics::cuda::library();
    Some((
        "libtorch",
        format!("{version} ({})", if library.is_some() { "CUDA" } else { "CPU" }),
    ))
}

#[cfg(not(feature = "torch"))]
fn libtorch() -> Option<(&'static str, String)> {
    None
}

/// The commit that the program was built from, where `make build` did it.
pub fn commit() -> Option<&'static str> {
    option_env!("ILLUME_COMMIT").filter(|commit| !commit.is_empty())
}

/// The processor's name, as Linux has it.
pub fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

/// What `illume --version` prints after the name. It loads libtorch.
pub fn all() -> String {
    let mut text = program();
    #[cfg(feature = "torch")]
    if let Err(fault) = illume_numerics::libtorch::load() {
        text += &format!("\n{fault}");
    }
    if let Some((name, version)) = libtorch() {
        text += &format!("\n{name} {version}");
    }
    text
}

/// What tells one program from another: its version and features, and those of the libraries that it begins with.
pub fn program() -> String {
    let features: Vec<&str> = [
        ("mpi", cfg!(feature = "mpi")),
        ("lm", cfg!(feature = "lm")),
        ("torch", cfg!(feature = "torch")),
        ("mujoco", cfg!(feature = "mujoco")),
        ("atari", cfg!(feature = "atari")),
    ]
    .into_iter()
    .filter_map(|(name, on)| on.then_some(name))
    .collect();
    let mut text = env!("CARGO_PKG_VERSION").to_string();
    if let Some(commit) = commit() {
        text += &format!(" ({commit})");
    }
    text += &format!(
        "\nfeatures: {}",
        if features.is_empty() {
            "none".into()
        } else {
            features.join(", ")
        }
    );
    for (name, version) in linked() {
        text += &format!("\n{name} {version}");
    }
    text
}
