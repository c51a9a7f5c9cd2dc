//! Signals that ask for a stop: they set a flag, which the engine reduces over all ranks at the end of each generation.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use illume_core::{Error, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
use signal_hook::flag;

/// Bit of the stop word: stop after this generation, with a checkpoint.
pub const STOP: u64 = 1;
/// Bit of the stop word: write a checkpoint after this generation.
pub const CHECKPOINT: u64 = 2;
/// Exit code of a run that stopped on a signal with its checkpoint written: a scheduler may requeue it (`EX_TEMPFAIL`).
pub const EXIT_REQUEUE: i32 = 75;
/// Exit code of the second SIGINT, as a shell's.
const EXIT_INTERRUPTED: i32 = 130;

/// The signals that ask for a stop, and who sends them.
const STOPPING: [(i32, &str); 6] = [
    (SIGINT, "SIGINT"),   // Ctrl-C
    (SIGTERM, "SIGTERM"), // every scheduler, some time before it kills
    (SIGHUP, "SIGHUP"),   // a terminal or an ssh connection that was closed
    (SIGUSR1, "SIGUSR1"), // what Slurm's and Open MPI's users ask for; Grid Engine before it suspends
    (SIGUSR2, "SIGUSR2"), // LSF before a time limit, Grid Engine before it kills, submitit
    (SIGXCPU, "SIGXCPU"), // LSF, Grid Engine and the kernel: the processor time is used up
];

static STOPPED_BY: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 and SIGXCPU ask for a stop from now on; a second SIGINT ends this process at once with code 130. A SIGHUP that is ignored
/// (`nohup`) stays so.
///
/// # Errors
/// The system refuses a handler.
pub fn install() -> Result<()> {
    let refused = |e: std::io::Error| Error::failed(format!("cannot catch signals: {e}"));
    let stopped_by = STOPPED_BY.get_or_init(Arc::default);
    let interrupted = Arc::new(AtomicBool::new(false));
    // In this order: the first SIGINT finds its flag unset.
    flag::register_conditional_shutdown(SIGINT, EXIT_INTERRUPTED, interrupted.clone()).map_err(refused)?;
    flag::register(SIGINT, interrupted).map_err(refused)?;
    for (signal, _) in STOPPING
        .into_iter()
        .filter(|(signal, _)| *signal != SIGHUP || !is_ignored(SIGHUP))
    {
        flag::register_usize(signal, stopped_by.clone(), signal as usize).map_err(refused)?;
    }
    Ok(())
}

/// Whether this process was started with a signal ignored, as Linux writes it down.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Whether a signal has asked this rank to stop.
pub fn stop_requested() -> bool {
    stop_signal().is_some()
}

/// The last signal that asked this rank to stop.
pub fn stop_signal() -> Option<&'static str> {
    let last = STOPPED_BY.get()?.load(Ordering::Relaxed) as i32;
    STOPPING
        .iter()
        .find(|(signal, _)| *signal == last)
        .map(|(_, name)| *name)
}

/// What this rank contributes to the reduced stop word: [`STOP`] or nothing.
pub fn stop_word() -> u64 {
    if stop_requested() { STOP } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stopping_signal_sets_the_stop_bit() {
        install().unwrap();
        assert_eq!(stop_word(), 0);
        for (signal, name) in STOPPING {
            // A test under nohup has it ignored.
            if signal == SIGHUP && is_ignored(SIGHUP) {
                continue;
            }
            signal_hook::low_level::raise(signal).unwrap();
            assert_eq!(stop_signal(), Some(name));
            assert_eq!(stop_word(), STOP);
        }
    }
}
