//! What a rank sends and receives.

use std::sync::atomic::{AtomicU64, Ordering};

use illume_core::{Comm, Result};

/// Another [`Comm`] whose bytes are counted: messages as they are handed over, without what the transport adds.
pub struct Counted<'a> {
    inner: &'a dyn Comm,
    sent: AtomicU64,
    received: AtomicU64,
}

/// Bytes that one rank has exchanged with the others; what it keeps to itself does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// A message to all ranks counts once.
    pub sent: u64,
    pub received: u64,
}

impl<'a> Counted<'a> {
    pub fn new(inner: &'a dyn Comm) -> Counted<'a> {
        Counted {
            inner,
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        }
    }

    pub fn traffic(&self) -> Traffic {
        Traffic {
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
        }
    }

    /// The same ranks, uncounted.
    pub fn inner(&self) -> &'a dyn Comm {
        self.inner
    }

    fn count(&self, sent: usize, received: usize) {
        if self.inner.size() > 1 {
            self.sent.fetch_add(sent as u64, Ordering::Relaxed);
            self.received.fetch_add(received as u64, Ordering::Relaxed);
        }
    }
}

impl Comm for Counted<'_> {
    fn rank(&self) -> usize {
        self.inner.rank()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn all_gather(&self, mine: &[u8], counts: &[usize], out: &mut Vec<u8>) -> Result<()> {
        self.inner.all_gather(mine, counts, out)?;
        self.count(mine.len(), out.len() - mine.len());
        Ok(())
    }

    fn broadcast(&self, root: usize, data: &mut Vec<u8>) -> Result<()> {
        self.inner.broadcast(root, data)?;
        match root == self.rank() {
            true => self.count(data.len(), 0),
            false => self.count(0, data.len()),
        }
        Ok(())
    }

    fn all_to_all(&self, send: &[Vec<u8>], receive: &[usize]) -> Result<Vec<Vec<u8>>> {
        let messages = self.inner.all_to_all(send, receive)?;
        let others = |messages: &[Vec<u8>]| {
            let own = messages.get(self.rank()).map_or(0, Vec::len);
            messages.iter().map(Vec::len).sum::<usize>() - own
        };
        self.count(others(send), others(&messages));
        Ok(messages)
    }

    fn any(&self, word: u64) -> Result<u64> {
        let result = self.inner.any(word)?;
        self.count(size_of::<u64>(), size_of::<u64>());
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Solo, run_ranks};

    #[test]
    fn counted_ranks_conform() {
        for outcome in run_ranks(3, |comm| crate::suite::conformance(&Counted::new(comm), 3)) {
            outcome.unwrap();
        }
    }

    #[test]
    fn what_goes_between_ranks_is_counted_and_nothing_else() {
        let counted = run_ranks(3, |comm| {
            let comm = Counted::new(comm);
            let rank = comm.rank();
            comm.all_gather(&vec![0; 10 * (rank + 1)], &[10, 20, 30], &mut Vec::new())
                .unwrap();
            comm.broadcast(1, &mut vec![0; 5]).unwrap();
            comm.all_to_all(&[vec![0; 1], vec![0; 2], vec![0; 4]], &[1 << rank; 3])
                .unwrap();
            comm.any(0).unwrap();
            let traffic = comm.traffic();
            (traffic.sent, traffic.received)
        });
        let expected = [
            (10 + 6 + 8, 50 + 5 + 2 + 8),
            (20 + 5 + 5 + 8, 40 + 4 + 8),
            (30 + 3 + 8, 30 + 5 + 8 + 8),
        ];
        assert_eq!(counted, expected);
    }

    #[test]
    fn one_process_alone_sends_nothing() {
        let comm = Counted::new(&Solo);
        comm.all_gather(&[1, 2], &[2], &mut Vec::new()).unwrap();
        comm.any(1).unwrap();
        assert_eq!(comm.traffic(), Traffic::default());
    }
}
