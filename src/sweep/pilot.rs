//! What runs will take, measured: each configuration runs for a while, and the rest is extrapolated.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use illume_archives::file;
use illume_cluster::{Node, children, signals};
use illume_core::{Error, Result};

use super::{Configuration, Plan, duration};

/// Seconds that a whole run of each configuration takes with the plan's threads, about; the first seed runs for `time`.
///
/// # Errors
/// A run that cannot be started, fails, or does not finish a generation in that time and what its checkpoint takes.
pub fn measure(plan: &Plan, time: Duration) -> Result<Vec<f64>> {
    signals::install()?;
    let folder = std::env::temp_dir().join(format!("illume-pilot-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|e| Error::failed(format!("cannot write {}: {e}", folder.display())))?;
    let whole = duration::words(time.as_secs_f64() * plan.configurations.len() as f64);
    let _ = writeln!(
        std::io::stderr(),
        "measuring {} configurations for {} each: {whole}",
        plan.configurations.len(),
        duration::words(time.as_secs_f64())
    );
    let all = plan
        .configurations
        .iter()
        .map(|c| one(plan, c, time, &folder))
        .collect();
    let _ = std::fs::remove_dir_all(&folder);
    all
}

fn one(plan: &Plan, configuration: &Configuration, time: Duration, folder: &std::path::Path) -> Result<f64> {
    if signals::stop_requested() {
        return Err(Error::failed("stopped by a signal while measuring"));
    }
    let failed = |why: String| Error::failed(format!("the pilot of \"{}\" {why}", configuration.label));
    let [config, dir] = ["pilot.toml", "run"].map(|name| folder.join(name));
    let seed = plan.seeds.first().copied().unwrap_or(1);
    std::fs::write(&config, configuration.with_seed(seed)).map_err(|e| failed(format!("cannot be written: {e}")))?;
    let program = std::env::current_exe().map_err(|e| failed(format!("has no program: {e}")))?;
    let threads = plan.resources.threads(Node::alone()?.cores);
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg(&config)
        .arg("--out")
        .arg(&dir)
        .arg("--threads")
        .arg(threads.to_string());
    command
        .arg("--set")
        .arg(format!("budget.wall_minutes={}", time.as_secs_f64() / 60.0));
    command.arg("--set").arg("output.evaluate=0");
    children::forget_launcher(&mut command);
    children::bind(&mut command);
    command
        .env("ILLUME_MPI", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let ended = command
        .output()
        .map_err(|e| failed(format!("cannot be started: {e}")))?;
    if !ended.status.success() {
        let words = String::from_utf8_lossy(&ended.stderr);
        return Err(failed(format!(
            "ended with {}: {}",
            ended.status,
            words.lines().last().unwrap_or_default()
        )));
    }
    let archive = file::open(&dir.join("archive.h5"))?;
    let last =
        |name: &str| -> Result<f64> { Ok(archive.history.get::<f64>(name)?.last().copied().unwrap_or(f64::NAN)) };
    let budget = |name: &str| configuration.budget(name) as f64;
    let mut done = 0.0_f64;
    for (limit, column) in [
        ("evaluations", "evaluations"),
        ("frames", "frames"),
        ("generations", "generation"),
    ] {
        if budget(limit) > 0.0 {
            done = done.max(last(column)? / budget(limit));
        }
    }
    let seconds = last("wall_seconds")?;
    std::fs::remove_dir_all(&dir).map_err(|e| failed(format!("cannot be removed: {e}")))?;
    Ok(seconds / done.clamp(1e-9, 1.0))
}
