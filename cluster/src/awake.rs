//! Keeps rayon's threads awake between fork-joins that follow one another closely.
//!
//! An idle thread of rayon falls asleep after some 10 us, and waking it takes longer than a cheap task's whole parallel section: the main
//! thread then does all the work (`benches/fork_join.rs` measures it). So between such sections the pool's threads poll for work from
//! within a job of their own, for a bounded time. Sections that are far apart are left as they are.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Threads poll for this long at most after the last call of [`stay_awake`], and only if the call before was not longer ago either.
const PATIENCE: Duration = Duration::from_micros(200);
/// Pauses (of some 10 ns) between two looks for work.
const PAUSES: usize = 8;

struct Awake {
    origin: Instant,
    /// The last call, in nanoseconds since `origin`.
    called: AtomicU64,
    /// Whether each of the pool's threads is polling.
    polling: Vec<AtomicBool>,
    /// Jobs started and not ended, over the pool's threads but the first.
    jobs: AtomicUsize,
}

static AWAKE: OnceLock<Arc<Awake>> = OnceLock::new();

/// To be called by the main thread at the end of a parallel section on rayon's global pool: if the last such call was less than 200 us
/// ago, the other threads stay ready for the next section for that long. They burn their cores meanwhile, so not when
/// [`Plan::oversubscribed`](crate::threads::Plan::oversubscribed).
pub fn stay_awake() {
    let awake = AWAKE.get_or_init(|| {
        let polling = (0..rayon::current_num_threads())
            .map(|_| AtomicBool::new(false))
            .collect();
        let (called, jobs) = (AtomicU64::new(0), AtomicUsize::new(0));
        Arc::new(Awake {
            origin: Instant::now(),
            called,
            polling,
            jobs,
        })
    });
    let others = awake.polling.len() - 1;
    let now = awake.now();
    let last = awake.called.swap(now, Ordering::Relaxed);
    let close = now.saturating_sub(last) < PATIENCE.as_nanos() as u64;
    if close && awake.jobs.load(Ordering::Relaxed) < others {
        awake.jobs.fetch_add(others, Ordering::Relaxed);
        let awake = awake.clone();
        rayon::spawn_broadcast(move |context| {
            if context.index() > 0 {
                awake.poll(context.index());
                awake.jobs.fetch_sub(1, Ordering::Relaxed);
            }
        });
    }
}

impl Awake {
    fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    fn poll(&self, thread: usize) {
        // This thread may have come here out of its own polling.
        if self.polling[thread].swap(true, Ordering::Relaxed) {
            return;
        }
        while self.now().saturating_sub(self.called.load(Ordering::Relaxed)) < PATIENCE.as_nanos() as u64 {
            if rayon::yield_now() != Some(rayon::Yield::Executed) {
                (0..PAUSES).for_each(|_| std::hint::spin_loop());
            }
        }
        self.polling[thread].store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    #[test]
    fn work_is_done_as_ever_and_the_polling_ends() {
        for _ in 0..300 {
            assert_eq!((0..1000u64).into_par_iter().sum::<u64>(), 499_500);
            super::stay_awake();
        }
        let awake = super::AWAKE.get().unwrap();
        for _ in 0..1000 {
            if awake.jobs.load(super::Ordering::Relaxed) == 0 {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("threads still poll");
    }
}
