//! Signals that ask for a stop: they set a flag, which the engine reduces over all ranks at the end of each generation.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use illume_core::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

/// Bit of the stop word: stop after this generation, with a checkpoint.
pub const STOP: u64 = 1;
/// Bit of the stop word: write a checkpoint after this generation.
pub const CHECKPOINT: u64 = 2;
/// Exit code of a run that stopped on a signal with its checkpoint written: a scheduler may requeue it (`EX_TEMPFAIL`).
pub const EXIT_REQUEUE: i32 = 75;
/// Exit code of the second SIGINT, as a shell's.
const EXIT_INTERRUPTED: i32 = 130;

static STOPPED_BY: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// SIGINT, SIGTERM and SIGUSR1 ask for a stop from now on; a second SIGINT ends this process at once with code 130.
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
    for signal in [SIGINT, SIGTERM, SIGUSR1] {
        flag::register_usize(signal, stopped_by.clone(), signal as usize).map_err(refused)?;
    }
    Ok(())
}

/// Whether a signal has asked this rank to stop.
pub fn stop_requested() -> bool {
    stop_signal().is_some()
}

/// The last signal that asked this rank to stop.
pub fn stop_signal() -> Option<&'static str> {
    match STOPPED_BY.get()?.load(Ordering::Relaxed) as i32 {
        SIGINT => Some("SIGINT"),
        SIGTERM => Some("SIGTERM"),
        SIGUSR1 => Some("SIGUSR1"),
        _ => None,
    }
}

/// What this rank contributes to the reduced stop word: [`STOP`] or nothing.
pub fn stop_word() -> u64 {
    if stop_requested() { STOP } else { 0 }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_signal_sets_the_stop_bit() {
        super::install().unwrap();
        assert_eq!(super::stop_word(), 0);
        signal_hook::low_level::raise(signal_hook::consts::SIGUSR1).unwrap();
        assert_eq!(super::stop_signal(), Some("SIGUSR1"));
        assert_eq!(super::stop_word(), super::STOP);
    }
}
