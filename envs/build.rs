//! Builds what feature `atari` is made of: our shim over the Arcade Learning Environment, which `tools/setup atari` provides.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "atari")]
    atari();
}

#[cfg(feature = "atari")]
fn atari() {
    use std::path::PathBuf;

    const SHIM: &str = "src/atari/shim.cpp";
    println!("cargo::rerun-if-changed={SHIM}");
    println!("cargo::rerun-if-env-changed=ALE_DIR");
    let refuse = |sentence: String| {
        println!("cargo::error={sentence}");
        std::process::exit(0);
    };
    let Some(folder) = std::env::var_os("ALE_DIR").map(PathBuf::from) else {
        return refuse(
            "feature \"atari\" needs the Arcade Learning Environment: run `tools/setup atari`, or set ALE_DIR to the folder that \
             holds include/ale/ale_interface.hpp and lib/libale.a"
                .into(),
        );
    };
    for file in ["include/ale/ale_interface.hpp", "lib/libale.a"] {
        if !folder.join(file).is_file() {
            return refuse(format!(
                "ALE_DIR={} holds no {file}: run `tools/setup atari`, or set ALE_DIR to a build of the Arcade Learning Environment",
                folder.display()
            ));
        }
        println!("cargo::rerun-if-changed={}", folder.join(file).display());
    }
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file(SHIM)
        .include(folder.join("include"))
        .include(folder.join("include/ale"))
        .flag_if_supported("-Wno-unused-parameter")
        .compile("illume_ale");
    println!("cargo::rustc-link-search=native={}", folder.join("lib").display());
    println!("cargo::rustc-link-lib=static=ale");
    println!("cargo::rustc-link-lib=z");
}
