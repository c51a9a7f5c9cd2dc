//! Ranks that are threads of one process: rank independence can be tested without MPI.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use illume_core::{Comm, Error, Result};

use crate::arguments;

/// What each rank brought to a collective: one message for every rank, or a single one for all.
type Brought = Arc<Vec<Vec<Vec<u8>>>>;

#[derive(Default)]
struct State {
    round: u64,
    arrived: usize,
    /// Who came first to the collective under way, and its name.
    call: Option<(usize, &'static str)>,
    slots: Vec<Vec<Vec<u8>>>,
    published: Brought,
    /// Why no collective can be completed any more.
    broken: Option<String>,
}

struct Hub {
    size: usize,
    state: Mutex<State>,
    changed: Condvar,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is a single assignment or happens before a wait, so a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One rank among threads; made by [`run_ranks`].
pub struct Threads {
    rank: usize,
    hub: Arc<Hub>,
}

impl Threads {
    /// Waits until every rank has come to the same call, then hands out what all of them brought.
    fn meet(&self, call: &'static str, messages: Vec<Vec<u8>>) -> Result<Brought> {
        let mut state = self.hub.lock();
        if let Some(why) = &state.broken {
            return Err(Error::failed(why));
        }
        match state.call {
            None => state.call = Some((self.rank, call)),
            Some((other, name)) if name != call => {
                let why = format!("rank {other} calls {name} while rank {} calls {call}", self.rank);
                state.broken = Some(why.clone());
                self.hub.changed.notify_all();
                return Err(Error::failed(why));
            }
            Some(_) => {}
        }
        state.slots[self.rank] = messages;
        state.arrived += 1;
        let round = state.round;
        if state.arrived == self.hub.size {
            state.published = Arc::new(std::mem::replace(&mut state.slots, vec![Vec::new(); self.hub.size]));
            state.arrived = 0;
            state.call = None;
            state.round += 1;
            self.hub.changed.notify_all();
        }
        while state.round == round {
            if let Some(why) = &state.broken {
                return Err(Error::failed(why));
            }
            state = self.hub.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // No rank can publish the next round before this one has come to it.
        Ok(state.published.clone())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        if state.broken.is_none() {
            state.broken = Some(format!("rank {} has left", self.rank));
        }
        self.hub.changed.notify_all();
    }
}

impl Comm for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.hub.size
    }

    fn all_gather(&self, mine: &[u8], counts: &[usize], out: &mut Vec<u8>) -> Result<()> {
        arguments::all_gather(self.rank, self.hub.size, mine, counts)?;
        let all = self.meet("all_gather", vec![mine.to_vec()])?;
        out.clear();
        for (from, (brought, &count)) in all.iter().zip(counts).enumerate() {
            if brought[0].len() != count {
                return Err(arguments::length_differs(
                    "all_gather",
                    from,
                    self.rank,
                    brought[0].len(),
                    count,
                ));
            }
            out.extend_from_slice(&brought[0]);
        }
        Ok(())
    }

    fn broadcast(&self, root: usize, data: &mut Vec<u8>) -> Result<()> {
        arguments::broadcast(self.hub.size, root)?;
        let brought = if root == self.rank {
            vec![std::mem::take(data)]
        } else {
            Vec::new()
        };
        let all = self.meet("broadcast", brought)?;
        match &all[root][..] {
            [message] => data.clone_from(message),
            _ => {
                return Err(Error::failed(format!(
                    "broadcast: rank {root} is not the root on rank {root} itself"
                )));
            }
        }
        Ok(())
    }

    fn all_to_all(&self, send: &[Vec<u8>], receive: &[usize]) -> Result<Vec<Vec<u8>>> {
        arguments::all_to_all(self.rank, self.hub.size, send, receive)?;
        let all = self.meet("all_to_all", send.to_vec())?;
        let mut received = Vec::with_capacity(self.hub.size);
        for (from, (brought, &length)) in all.iter().zip(receive).enumerate() {
            let message = &brought[self.rank];
            if message.len() != length {
                return Err(arguments::length_differs(
                    "all_to_all",
                    from,
                    self.rank,
                    message.len(),
                    length,
                ));
            }
            received.push(message.clone());
        }
        Ok(received)
    }

    fn any(&self, word: u64) -> Result<u64> {
        let all = self.meet("any", vec![word.to_le_bytes().to_vec()])?;
        Ok(all.iter().fold(0, |sum, brought| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&brought[0]);
            sum | u64::from_le_bytes(bytes)
        }))
    }
}

/// Runs `f` once for each of `ranks` ranks, all at the same time on threads of this process; results in rank order.
///
/// A collective that cannot complete is an error on every rank: a rank has left, or two ranks call different collectives.
///
/// # Panics
/// A rank panicked: the panic goes on here. There is no rank at all.
pub fn run_ranks<T: Send>(ranks: usize, f: impl Fn(&dyn Comm) -> T + Sync) -> Vec<T> {
    assert!(ranks > 0, "run_ranks needs at least one rank");
    let state = Mutex::new(State {
        slots: vec![Vec::new(); ranks],
        ..State::default()
    });
    let hub = Arc::new(Hub {
        size: ranks,
        state,
        changed: Condvar::new(),
    });
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let start = |rank| {
            let comm = Threads { rank, hub: hub.clone() };
            let f = &f;
            scope.spawn(move || f(&comm))
        };
        let started: Vec<_> = (0..ranks).map(start).collect();
        started.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    // Ranks that only found the first one gone panic too, perhaps (`unwrap`): the first in rank order is reported.
    outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_conform() {
        for ranks in 1..=5 {
            for outcome in run_ranks(ranks, |comm| crate::suite::conformance(comm, ranks as u64)) {
                outcome.unwrap();
            }
        }
    }

    #[test]
    fn different_collectives_at_once_are_an_error_on_every_rank() {
        let outcomes = run_ranks(3, |comm| {
            if comm.rank() == 1 {
                comm.broadcast(0, &mut vec![]).err()
            } else {
                comm.any(0).err()
            }
        });
        for outcome in outcomes {
            let message = outcome.unwrap().to_string();
            assert!(
                message.contains("calls any") && message.contains("calls broadcast"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_rank_that_leaves_early_is_an_error_on_the_others() {
        let outcomes = run_ranks(2, |comm| if comm.rank() == 0 { Ok(0) } else { comm.any(1) });
        assert!(
            outcomes[1]
                .as_ref()
                .unwrap_err()
                .to_string()
                .contains("rank 0 has left")
        );
    }

    #[test]
    fn a_message_of_another_length_than_expected_is_an_error() {
        let outcomes = run_ranks(2, |comm| {
            comm.all_gather(&vec![0; comm.rank()], &[comm.rank() * 7, 1], &mut vec![])
        });
        assert!(outcomes[0].is_ok());
        assert!(outcomes[1].is_err());
    }
}
