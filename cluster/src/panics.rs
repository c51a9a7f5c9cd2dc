//! A panic on any thread of any rank ends all ranks at once.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// This process's rank, for its last words.
static RANK: AtomicUsize = AtomicUsize::new(0);
/// Whether other ranks have to be told.
static OTHERS: AtomicBool = AtomicBool::new(false);
static PANICKED: AtomicBool = AtomicBool::new(false);
/// How long `MPI_Abort` may take before this process ends by itself (and is then missed by its launcher).
const PATIENCE: Duration = Duration::from_secs(5);

/// From now on a panic on any thread, also one that would be caught, prints one line `rank R: message (file:line)` and ends all
/// ranks with exit code 1. A backtrace follows if `RUST_BACKTRACE` asks for one.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|info| {
        if PANICKED.swap(true, Ordering::SeqCst) {
            // Another thread is about to end the process; its message stands alone.
            std::thread::sleep(2 * PATIENCE);
        }
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("panic");
        let place = info
            .location()
            .map(|l| format!(" ({}:{})", l.file(), l.line()))
            .unwrap_or_default();
        let line = format!(
            "rank {}: {}{place}\n",
            RANK.load(Ordering::SeqCst),
            text.replace('\n', " ")
        );
        let mut stderr = std::io::stderr();
        // The terminal may be gone.
        let _ = stderr.write_all(line.as_bytes());
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            let _ = writeln!(stderr, "{backtrace}");
        }
        abort_all(1)
    }));
}

/// Called once MPI runs.
#[cfg(feature = "mpi")]
pub(crate) fn belongs_to(rank: usize, size: usize) {
    RANK.store(rank, Ordering::SeqCst);
    OTHERS.store(size > 1, Ordering::SeqCst);
}

/// No other rank is left to be told: MPI is about to be finalized.
#[cfg(feature = "mpi")]
pub(crate) fn alone() {
    OTHERS.store(false, Ordering::SeqCst);
}

/// Ends all ranks, this one without running destructors.
pub(crate) fn abort_all(code: i32) -> ! {
    if OTHERS.load(Ordering::SeqCst) {
        // MPI_Abort may wait for something that the panicking thread holds.
        let watchdog = std::thread::Builder::new().spawn(move || {
            std::thread::sleep(PATIENCE);
            signal_hook::low_level::exit(code)
        });
        drop(watchdog);
        #[cfg(feature = "mpi")]
        crate::mpi::abort(code);
    }
    signal_hook::low_level::exit(code)
}
