//! Threads of rayon's pool that share one sequence of small steps.
//!
//! An idle thread of rayon falls asleep after some 10 us, and waking it takes longer than many a part of a step. So the pool's
//! threads look for work without pause while such a sequence lasts, and so does whoever waits for the other half of a [`join`].

use std::cell::Cell;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};

/// Pauses (of some 10 ns) between two looks for work.
const PAUSES: usize = 4;

/// Looks in vain after which other programs may have the core.
const LOOKS: usize = 256;

thread_local! {
    /// This thread is at work on a sequence, maybe waiting for a part of it.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

fn busy(f: impl FnOnce()) {
    let before = BUSY.replace(true);
    f();
    BUSY.set(before);
}

/// Does what there is to do in the pool until `done`.
fn look_for_work(done: &AtomicBool) {
    let mut looks = 0;
    while !done.load(Ordering::Acquire) {
        if rayon::yield_now() == Some(rayon::Yield::Executed) {
            looks = 0;
            continue;
        }
        looks += 1;
        if looks % LOOKS == 0 {
            std::thread::yield_now();
        }
        (0..PAUSES).for_each(|_| spin_loop());
    }
}

/// Runs `f` in the pool, whose threads stay awake until it returns, unless there are more of them than cores.
pub fn awake(f: impl FnOnce() + Send) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    run(rayon::current_num_threads() <= cores, f);
}

fn run(stay: bool, f: impl FnOnce() + Send) {
    let done = AtomicBool::new(false);
    rayon::scope(|scope| {
        if stay {
            scope.spawn_broadcast(|_, _| {
                // Whoever comes here while it waits for a part of a sequence must go back to it: the end may wait for it.
                if !BUSY.get() {
                    look_for_work(&done);
                }
            });
        }
        // Also if `f` panics, lest the others look for ever.
        let end = Done(&done);
        busy(f);
        drop(end);
    });
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// `rayon::join` whose caller stays awake.
pub fn join(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    let done = AtomicBool::new(false);
    rayon::join(
        || {
            busy(a);
            busy(|| look_for_work(&done));
        },
        || {
            let _end = Done(&done);
            busy(b);
        },
    );
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn tree(depth: usize, leaves: &AtomicUsize) {
        if depth == 0 {
            leaves.fetch_add(1, Ordering::Relaxed);
        } else {
            join(|| tree(depth - 1, leaves), || tree(depth - 1, leaves));
        }
    }

    #[test]
    fn several_sequences_share_a_pool_and_all_of_them_end() {
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let leaves = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| pool.install(|| (0..50).for_each(|_| run(true, || tree(4, &leaves)))));
                }
            });
            assert_eq!(leaves.into_inner(), 3 * 50 * 16);
        }
    }
}
