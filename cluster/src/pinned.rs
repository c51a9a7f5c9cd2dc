//! Values that belong to one thread, held by types that may travel.

use std::mem::ManuallyDrop;
use std::thread::{self, ThreadId};

/// A value that only the thread that made it can reach. Dropped on another thread, it is leaked.
pub(crate) struct Pinned<T> {
    owner: ThreadId,
    value: ManuallyDrop<T>,
}

// SAFETY: `get` and `drop` touch the value only on the thread that made it; elsewhere it is opaque memory.
unsafe impl<T> Send for Pinned<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Pinned<T> {}

impl<T> Pinned<T> {
    pub(crate) fn new(value: T) -> Self {
        Pinned {
            owner: thread::current().id(),
            value: ManuallyDrop::new(value),
        }
    }

    /// None on any thread but the owner's.
    pub(crate) fn get(&self) -> Option<&T> {
        (thread::current().id() == self.owner).then_some(&*self.value)
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        if thread::current().id() == self.owner {
            // SAFETY: dropped once, here, by the thread that made it.
            unsafe { ManuallyDrop::drop(&mut self.value) }
        }
    }
}
