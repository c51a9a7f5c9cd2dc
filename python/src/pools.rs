//! Pools of threads by their size, shared by all optimizers of a process. The number of threads never changes a result.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use illume::core::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};

static POOLS: Mutex<Option<HashMap<usize, Arc<ThreadPool>>>> = Mutex::new(None);

/// The pool of so many threads; without a number one for each core that this process may use.
///
/// # Errors
/// Threads that cannot be started.
pub fn pool(threads: Option<usize>) -> Result<Arc<ThreadPool>> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.unwrap_or_else(cores);
    if threads == 0 || threads > 4096 {
        return Err(Error::input(format!(
            "threads: expected a number from 1 to 4096, got {threads}"
        )));
    }
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let pools = pools.get_or_insert_default();
    if let Some(pool) = pools.get(&threads) {
        return Ok(pool.clone());
    }
    let made = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("illume-{i}"))
        .build();
    let made = made.map_err(|e| Error::failed(format!("cannot start {threads} threads: {e}")))?;
    Ok(pools.entry(threads).or_insert(Arc::new(made)).clone())
}
