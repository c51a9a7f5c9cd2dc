//! Checks that every `Comm` makes of its arguments before it says a word, so that a wrong call is an error and never a hang.

use illume_core::{Error, Result};

pub(crate) fn all_gather(rank: usize, size: usize, mine: &[u8], counts: &[usize]) -> Result<()> {
    if counts.len() != size {
        return Err(Error::failed(format!(
            "all_gather got {} counts, wanted one for each of {size} ranks",
            counts.len()
        )));
    }
    if mine.len() != counts[rank] {
        let (got, wanted) = (mine.len(), counts[rank]);
        return Err(Error::failed(format!(
            "all_gather got {got} bytes on rank {rank}, its count says {wanted}"
        )));
    }
    Ok(())
}

pub(crate) fn broadcast(size: usize, root: usize) -> Result<()> {
    if root >= size {
        return Err(Error::failed(format!(
            "broadcast from rank {root}, but there are {size} ranks"
        )));
    }
    Ok(())
}

pub(crate) fn all_to_all(rank: usize, size: usize, send: &[Vec<u8>], receive: &[usize]) -> Result<()> {
    if send.len() != size || receive.len() != size {
        let (s, r) = (send.len(), receive.len());
        return Err(Error::failed(format!(
            "all_to_all got {s} messages and {r} lengths, wanted {size} of each"
        )));
    }
    if send[rank].len() != receive[rank] {
        let (s, r) = (send[rank].len(), receive[rank]);
        return Err(Error::failed(format!(
            "all_to_all: rank {rank} sends itself {s} bytes but wants {r}"
        )));
    }
    Ok(())
}

/// The bytes that came from a rank are not as many as were expected.
pub(crate) fn length_differs(call: &str, from: usize, to: usize, came: usize, expected: usize) -> Error {
    Error::failed(format!(
        "{call}: {came} bytes from rank {from} to rank {to}, which expects {expected}"
    ))
}
