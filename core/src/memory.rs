//! What the parts of a run will take of a machine's memory, told before any of it is taken.

use std::cell::RefCell;

use crate::{Error, Result};

/// Bytes of an evaluated row beside its descriptor that every rank holds, with what the exchange and the archive's report need for it.
const ROW_BYTES: f64 = 96.0;

/// The memory that a process may use, and what has been claimed of it. Claims are estimates from below: one that is refused would end in
/// the middle of the work, and one that is granted may still.
pub struct Memory {
    there: f64,
    ranks: usize,
    on_node: usize,
    claims: RefCell<Claims>,
}

#[derive(Default, Clone)]
struct Claims {
    /// Bytes of this process, what one of the node's alone takes divided among them.
    sum: f64,
    largest: Claim,
}

#[derive(Default, Clone)]
struct Claim {
    bytes: f64,
    /// Processes of the node that have the memory for it together.
    among: f64,
    section: String,
    key: String,
    what: String,
}

impl Claim {
    /// Of this process.
    fn share(&self) -> f64 {
        self.bytes / self.among.max(1.0)
    }
}

impl Memory {
    /// `there` bytes for this process, which is one of `ranks` that share the candidates of a generation, `on_node` of them on this node.
    pub fn new(there: f64, ranks: usize, on_node: usize) -> Memory {
        Memory {
            there,
            ranks,
            on_node,
            claims: RefCell::default(),
        }
    }

    /// `there` bytes for a process alone.
    pub fn alone(there: f64) -> Memory {
        Memory::new(there, 1, 1)
    }

    /// As much as is asked for.
    pub fn unlimited() -> Memory {
        Memory::alone(f64::INFINITY)
    }

    /// Tells that `what` (a phrase in the plural) will take so many bytes of each rank because of a key. Bytes are a number without bounds,
    /// since products of what users give have none.
    ///
    /// # Errors
    /// With what has been claimed before there is not so much; the key named is that of the largest claim.
    pub fn claim(&self, section: &str, key: &str, bytes: f64, what: &str) -> Result<()> {
        self.claim_among(1, [section, key, what], bytes)
    }

    /// The same for what one rank alone takes, which has the memory of its whole node for it.
    ///
    /// # Errors
    /// As [`Memory::claim`].
    pub fn claim_of_one(&self, section: &str, key: &str, bytes: f64, what: &str) -> Result<()> {
        self.claim_among(self.on_node, [section, key, what], bytes)
    }

    fn claim_among(&self, among: usize, [section, key, what]: [&str; 3], bytes: f64) -> Result<()> {
        let mut claims = self.claims.borrow_mut();
        let claim = Claim {
            bytes,
            among: among as f64,
            section: section.into(),
            key: key.into(),
            what: what.into(),
        };
        let sum = claims.sum + claim.share();
        let largest = if claim.share() >= claims.largest.share() {
            claim
        } else {
            claims.largest.clone()
        };
        if sum <= self.there {
            *claims = Claims { sum, largest };
            return Ok(());
        }
        // What is refused does not count against what comes after it, which is judged by itself.
        let rest = if largest.share() < 0.99 * sum {
            format!(" and all that is set up {}", gigabytes(sum * largest.among))
        } else {
            String::new()
        };
        let message = format!(
            "{} would take {} of memory{rest}, and there are {} for this {}",
            largest.what,
            gigabytes(largest.bytes),
            gigabytes(self.there * largest.among),
            if largest.among > 1.0 {
                "node's processes"
            } else {
                "process"
            }
        );
        Err(Error::config(&largest.section, &largest.key, message))
    }

    /// Claims what a generation of `rows` candidates takes on each rank: their results, and `bytes` for each that the rank itself makes.
    ///
    /// # Errors
    /// As [`Memory::claim`].
    pub fn claim_rows(&self, key: &str, rows: f64, descriptor_dim: usize, bytes: f64) -> Result<()> {
        let results = ROW_BYTES + 8.0 * descriptor_dim as f64;
        let what = format!("{rows} candidates a generation");
        self.claim("strategy", key, rows * (results + bytes / self.ranks as f64), &what)
    }
}

fn gigabytes(bytes: f64) -> String {
    let (size, unit) = if bytes < 1e9 {
        (bytes / 1e6, "MB")
    } else {
        (bytes / 1e9, "GB")
    };
    if size < 1e6 {
        format!("{size:.1} {unit}")
    } else {
        format!("{size:.1e} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_add_up_and_the_largest_is_named() {
        let memory = Memory::new(10e9, 4, 2);
        memory.claim("strategy", "replay", 7e9, "transitions").unwrap();
        memory.claim_rows("batch", 1e6, 2, 4000.0).unwrap();
        let error = memory.claim("archive", "shape", 5e9, "cells").unwrap_err().to_string();
        let expected = "strategy.replay: transitions would take 7.0 GB of memory and all that is set up 13.1 GB, and there are 10.0 GB for this process";
        assert_eq!(error, expected);
        let error = Memory::alone(5e8).claim("archive", "shape", 1e30, "cells").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("archive.shape: cells would take 1.0e21 GB of memory, and there are 500.0 MB"),
            "{error}"
        );
        Memory::unlimited().claim("archive", "shape", 1e300, "cells").unwrap();
        // What one of two takes has the memory of both.
        let memory = Memory::new(10e9, 4, 2);
        memory.claim_of_one("strategy", "replay", 15e9, "transitions").unwrap();
        let error = memory.claim("archive", "shape", 3e9, "cells").unwrap_err().to_string();
        assert!(
            error.contains("strategy.replay: transitions would take 15.0 GB of memory and all that is set up 21.0 GB, and there are 20.0 GB for this node's processes"),
            "{error}"
        );
    }
}
