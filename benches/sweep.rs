//! What a sweep adds to its runs: two workers with a slot each on many short runs. `cargo bench -p illume-benches --bench sweep -- 1000` for that many runs of a
//! second; the program is `target/release/illume`, or what `ILLUME_PROGRAM` names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};

const WORKERS: usize = 2;

fn main() {
    let number = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/illume");
    let program = std::env::var_os("ILLUME_PROGRAM").map_or(beside, PathBuf::from);
    let folder = std::env::temp_dir().join(format!("illume-bench-sweep-{}", std::process::id()));
    println!("{WORKERS} workers of {}; load {}", program.display(), load());
    println!(
        "{:>6} {:>8} {:>9} {:>9} {:>11} {:>22}",
        "runs", "of s", "ideal s", "wall s", "over ideal", "overhead ms (median)"
    );
    for (runs, seconds) in [(number.unwrap_or(60), 1.0), (200, 0.01)] {
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        let (wall, overhead) = measure(&program, &folder, runs, seconds);
        let ideal = (runs as f64 * seconds) / WORKERS as f64;
        let over = 100.0 * (wall / ideal - 1.0);
        println!(
            "{runs:>6} {seconds:>8} {ideal:>9.1} {wall:>9.1} {over:>9.1} % {:>22.1}",
            1e3 * overhead
        );
        fs::remove_dir_all(&folder).expect("it was made above");
    }
    println!("load {}", load());
}

/// Seconds that the sweep takes, and that a run takes beyond its own: from its worker's result before to its own.
fn measure(program: &Path, folder: &Path, runs: usize, seconds: f64) -> (f64, f64) {
    let [file, out] = ["sweep.toml", "out"].map(|name| folder.join(name));
    let minutes = seconds / 60.0;
    let text = format!(
        "seeds = {runs}\nkeep = \"metrics\"\n[base.task]\nname = \"arm\"\n[base.strategy]\nname = \"map_elites\"\n[base.budget]\nwall_minutes = {minutes}\n\
         [resources]\nthreads_per_run = 1\n"
    );
    fs::write(&file, text).expect("a file for the sweep");
    let start = Instant::now();
    let worker = || {
        let mut command = Command::new(program);
        command.args(["sweep", "run"]).arg(&file).arg("--out").arg(&out);
        // One slot each, whatever the machine has.
        command.env("SLURM_CPUS_PER_TASK", "1");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}; `make build` makes it", program.display()))
    };
    let workers: Vec<_> = (0..WORKERS).map(|_| worker()).collect();
    for mut worker in workers {
        assert!(worker.wait().is_ok_and(|status| status.success()), "a worker failed");
    }
    let wall = start.elapsed().as_secs_f64();
    let results = fs::read_dir(out.join("results")).expect("results");
    let written = results.map(|entry| entry.and_then(|entry| entry.metadata()?.modified()).expect("a result"));
    let mut ends: Vec<SystemTime> = written.collect();
    ends.sort();
    assert_eq!(ends.len(), runs);
    // Runs are equally long: workers end theirs in turn.
    let between = ends.iter().zip(&ends[WORKERS..]);
    let mut over: Vec<f64> = between
        .map(|(before, end)| end.duration_since(*before).expect("in order").as_secs_f64() - seconds)
        .collect();
    over.sort_by(f64::total_cmp);
    (wall, over[over.len() / 2])
}

fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().into()
}
