//! Getting in touch with the other ranks, and leaving together with them.

use illume_core::{Comm, Error, Result};

use crate::launch::{self, Launch};
use crate::{Node, Solo};

/// Bound on one MPI message, and so on what MPI may buffer for it.
pub const CHUNK_BYTES: usize = 256 << 20;

/// This process and, through [`Cluster::comm`], the others of its run. Leave it through [`Cluster::leave`].
pub struct Cluster {
    link: Link,
    node: Node,
}

enum Link {
    Solo(Solo),
    #[cfg(feature = "mpi")]
    Mpi(crate::mpi::World),
}

/// Starts MPI if a launcher started several ranks (or `ILLUME_MPI=on`), otherwise runs alone, without any cost of MPI.
///
/// # Errors
/// Several ranks were started and this build has no MPI; the launcher and MPI disagree on how many there are; MPI cannot start.
pub fn connect() -> Result<Cluster> {
    let launch = launch::detect();
    let outcome = match launch::forced()? {
        Some(false) => Cluster::solo(),
        Some(true) => Cluster::mpi(launch.as_ref()),
        None if launch.is_some() => Cluster::mpi(launch.as_ref()),
        None => Cluster::solo(),
    };
    if outcome.is_err() && launch::launched_rank() > 0 {
        // The first rank to leave has the others killed: rank 0 gets time to say why.
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    outcome
}

impl Cluster {
    fn solo() -> Result<Self> {
        Ok(Cluster {
            link: Link::Solo(Solo),
            node: Node::of(&Solo)?,
        })
    }

    #[cfg(feature = "mpi")]
    fn mpi(launch: Option<&Launch>) -> Result<Self> {
        let world = crate::mpi::World::initialize()?;
        if let (Some(launch), 1) = (launch, world.comm().size()) {
            let n = launch.ranks.map_or("several".to_string(), |n| n.to_string());
            return Err(Error::input(format!(
                "{} started {n} ranks, but the MPI library in this build ({}) sees only one: use the mpirun of that library, \
                 or srun --mpi=pmix or --mpi=pmi2, or ILLUME_MPI=off to run them unconnected",
                launch.launcher,
                crate::mpi::library()
            )));
        }
        let node = world.node()?;
        Ok(Cluster {
            link: Link::Mpi(world),
            node,
        })
    }

    #[cfg(not(feature = "mpi"))]
    fn mpi(launch: Option<&Launch>) -> Result<Self> {
        let started = launch.map(|l| match l.ranks {
            Some(n) => format!("{} started {n} ranks", l.launcher),
            None => format!("{} started several ranks", l.launcher),
        });
        Err(Error::input(format!(
            "{}, but this illume was built without MPI: build it with the cargo feature `mpi`, or start it as one process",
            started.as_deref().unwrap_or("the environment has ILLUME_MPI=on")
        )))
    }

    pub fn comm(&self) -> &dyn Comm {
        match &self.link {
            Link::Solo(solo) => solo,
            #[cfg(feature = "mpi")]
            Link::Mpi(world) => world.comm(),
        }
    }

    /// The cores that this rank may use.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The ranks that name the same color, in rank order. Collective over all ranks.
    ///
    /// # Errors
    /// Not called on the main thread, or a color beyond 2^31.
    pub fn split(&self, color: usize) -> Result<Box<dyn Comm + '_>> {
        self.split_with_chunks(color, CHUNK_BYTES)
    }

    /// As [`Cluster::split`], with messages cut into pieces of at most `chunk_bytes`: for tests of the framing.
    ///
    /// # Errors
    /// As [`Cluster::split`], or a bound of 0 or beyond 2^31.
    #[cfg_attr(
        not(feature = "mpi"),
        expect(unused_variables, reason = "one process has no messages")
    )]
    pub fn split_with_chunks(&self, color: usize, chunk_bytes: usize) -> Result<Box<dyn Comm + '_>> {
        match &self.link {
            Link::Solo(solo) => Ok(Box::new(*solo)),
            #[cfg(feature = "mpi")]
            Link::Mpi(world) => Ok(Box::new(world.split(color, chunk_bytes)?)),
        }
    }

    /// The way out, for every rank, whatever happened: returns the code to exit with, the same on all ranks (the lowest failing
    /// rank's). `message` is printed once to standard error, by rank 0 if it failed, else by the lowest failing rank with its number.
    ///
    /// A rank that fails (a code other than 0 and 75) while others go on waits a few seconds for them, then ends them all with its code.
    pub fn leave(self, code: i32, message: Option<&str>) -> i32 {
        match self.link {
            Link::Solo(_) => {
                if let Some(message) = message.filter(|_| code != 0) {
                    say(message);
                }
                code
            }
            #[cfg(feature = "mpi")]
            Link::Mpi(world) => world.leave(code, message),
        }
    }
}

/// Last words; standard error may be closed by now.
pub(crate) fn say(message: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{message}");
}

#[cfg(all(test, not(feature = "mpi")))]
mod tests {
    use super::*;

    #[test]
    fn several_ranks_without_mpi_in_the_build_are_refused_in_one_sentence() {
        let launch = Launch {
            launcher: "mpirun",
            ranks: Some(3),
            rank: 0,
            local_ranks: None,
        };
        let error = Cluster::mpi(Some(&launch)).err().unwrap();
        assert!(
            matches!(&error, Error::Input(m) if m.starts_with("mpirun started 3 ranks") && m.contains("feature `mpi`"))
        );
    }
}
