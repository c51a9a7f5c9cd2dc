//! One process on its own.

use illume_core::{Comm, Result};

use crate::arguments;

/// The only rank: every collective is a copy at most.
#[derive(Debug, Default, Clone, Copy)]
pub struct Solo;

impl Comm for Solo {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_gather(&self, mine: &[u8], counts: &[usize], out: &mut Vec<u8>) -> Result<()> {
        arguments::all_gather(0, 1, mine, counts)?;
        out.clear();
        out.extend_from_slice(mine);
        Ok(())
    }

    fn broadcast(&self, root: usize, _data: &mut Vec<u8>) -> Result<()> {
        arguments::broadcast(1, root)
    }

    fn all_to_all(&self, send: &[Vec<u8>], receive: &[usize]) -> Result<Vec<Vec<u8>>> {
        arguments::all_to_all(0, 1, send, receive)?;
        Ok(send.to_vec())
    }

    fn any(&self, word: u64) -> Result<u64> {
        Ok(word)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn solo_conforms() {
        crate::suite::conformance(&super::Solo, 1).unwrap();
    }
}
