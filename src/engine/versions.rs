//! Versions of illume and of the native libraries it found.

use std::sync::OnceLock;

/// (name, version) of every native library that this build is linked to, asked from the library itself.
pub fn libraries() -> &'static [(&'static str, String)] {
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
            #[cfg(feature = "torch")]
            ("libtorch", torch::version()),
        ]
    })
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

/// What `illume --version` prints after the name.
pub fn long() -> String {
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
    for (name, version) in libraries() {
        text += &format!("\n{name} {version}");
    }
    text
}

#[cfg(feature = "torch")]
mod torch {
    unsafe extern "C" {
        /// The version of libtorch's stable interface, which is libtorch's own: major, minor, patch in the three highest bytes.
        fn aoti_torch_abi_version() -> u64;
    }

    pub(super) fn version() -> String {
        // SAFETY: a function without arguments or effects, exported by every libtorch since 2.9.
        let [major, minor, patch, ..] = unsafe { aoti_torch_abi_version() }.to_be_bytes();
        // Not asked of libtorch, which would decide for good that it has no CUDA: a learner may load it later.
        let library = illume_strategies::learn::cuda_library();
        let cuda = if library.is_some() { "CUDA" } else { "CPU" };
        format!("{major}.{minor}.{patch} ({cuda})")
    }
}
