//! The threads on which optimizers compute. Their number never changes a result.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use illume::core::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Pools by process and size, shared by all optimizers of a process. Of a forked process the parent's threads are not there, so that it gets its own.
static POOLS: Mutex<Option<Pools>> = Mutex::new(None);

/// By process and number of threads.
type Pools = HashMap<(u32, usize), Arc<ThreadPool>>;

thread_local! {
    /// The pool whose only thread is this one, so that a loop on one thread wakes no other; none if this thread cannot have one.
    static HERE: OnceCell<Option<ThreadPool>> = const { OnceCell::new() };
}

/// So many threads to compute on; with one it is the thread that calls.
#[derive(Debug, Clone, Copy)]
pub struct Threads(usize);

impl Threads {
    /// Without a number one for each core that this process may use.
    ///
    /// # Errors
    /// A number that is none.
    pub fn new(threads: Option<usize>) -> Result<Threads> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        match threads.unwrap_or_else(cores) {
            threads @ 1..=4096 => Ok(Threads(threads)),
            other => {
                let message = format!("threads: expected a number from 1 to 4096, got {other}");
                Err(Error::input(message))
            }
        }
    }

    /// Does work there, and waits for it.
    ///
    /// # Errors
    /// The work's own; a thread that cannot be started.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        match self.0 {
            threads @ 2.. => shared(threads)?.install(work),
            _ => HERE.with(|here| {
                let own = || {
                    ThreadPoolBuilder::new()
                        .num_threads(1)
                        .use_current_thread()
                        .build()
                        .ok()
                };
                match here.get_or_init(own) {
                    Some(pool) => pool.install(work),
                    None => shared(1)?.install(work),
                }
            }),
        }
    }
}

fn shared(threads: usize) -> Result<Arc<ThreadPool>> {
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let pools = pools.get_or_insert_default();
    let key = (std::process::id(), threads);
    if let Some(pool) = pools.get(&key) {
        return Ok(pool.clone());
    }
    let made = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("illume-{i}"))
        .build();
    let made = made.map_err(|e| Error::failed(format!("cannot start {threads} threads: {e}")))?;
    Ok(pools.entry(key).or_insert(Arc::new(made)).clone())
}
