//! What is said at once when a signal asks for a stop: the stop itself waits for the end of a generation, and generations may be long.

use std::io::Write as _;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use illume_cluster::signals;

/// How often the watch looks for a signal.
const LOOK: Duration = Duration::from_millis(100);

/// Tells on standard error, from a thread of its own, that a run will stop and when; until it is dropped.
pub struct Watch {
    state: Arc<Mutex<State>>,
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// When the generation at work began.
    began: Instant,
    /// How long the one before took.
    last: Option<Duration>,
}

impl Watch {
    pub fn start() -> Watch {
        let began = Instant::now();
        let state = Arc::new(Mutex::new(State { began, last: None }));
        let (end, ended) = channel::<()>();
        let shared = state.clone();
        let look = move || {
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if let Some(signal) = signals::stop_signal() {
                    let state = *shared.lock().unwrap_or_else(PoisonError::into_inner);
                    let sentence = state.sentence(signal, state.began.elapsed());
                    let _ = writeln!(std::io::stderr(), "illume: {sentence}");
                    return;
                }
            }
        };
        Watch {
            state,
            thread: Some((end, std::thread::spawn(look))),
        }
    }

    /// A generation is over; the next one begins.
    pub fn next(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        *state = State {
            began: now,
            last: Some(now - state.began),
        };
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.thread.take() {
            drop(end);
            let _ = thread.join();
        }
    }
}

impl State {
    fn sentence(&self, signal: &str, gone: Duration) -> String {
        let seconds = |time: Duration| time.as_secs_f64().ceil();
        let when = match self.last {
            None => format!("this one, the first here, began {} s ago", seconds(gone)),
            Some(last) if last > gone => format!("in about {} s", seconds(last - gone)),
            Some(last) => format!(
                "this one began {} s ago, the last one took {} s",
                seconds(gone),
                seconds(last)
            ),
        };
        format!("{signal}: the run stops with a checkpoint at the end of its generation ({when})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_long_the_generation_will_take() {
        let state = |last: Option<u64>| State {
            began: Instant::now(),
            last: last.map(Duration::from_secs),
        };
        let said = |last, gone| state(last).sentence("SIGTERM", Duration::from_secs(gone));
        assert!(said(None, 3).contains("SIGTERM: the run stops with a checkpoint"));
        assert!(said(None, 3).ends_with("(this one, the first here, began 3 s ago)"));
        assert!(said(Some(20), 5).ends_with("(in about 15 s)"));
        assert!(said(Some(20), 25).ends_with("(this one began 25 s ago, the last one took 20 s)"));
    }
}
