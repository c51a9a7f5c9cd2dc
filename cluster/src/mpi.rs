//! MPI ranks. MPI belongs to the thread that started it (level funneled).
//!
//! MPI counts and displacements are 32-bit. Every message is cut into pieces of at most a bound; pieces between two ranks arrive in
//! order, which MPI guarantees for equal tags. A gather that is small as a whole is one MPI call; a larger one goes pairwise, each
//! contribution straight to its place.
//!
//! MPI's default error handler is kept: a transport error ends all ranks with MPI's own message, so calls here do not return one.

use std::time::{Duration, Instant};

use illume_core::{Comm, Error, Result};
use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::topology::{Color, SimpleCommunicator};
use mpi::traits::*;

use crate::connect::{CHUNK_BYTES, say};
use crate::pinned::Pinned;
use crate::signals::EXIT_REQUEUE;
use crate::{Node, arguments, panics};

/// How long a failing rank waits for the others to fail too.
const GRACE: Duration = Duration::from_secs(5);
const NOT_MAIN: &str = "MPI was called from another thread than the main one, which started it";

/// A group of MPI ranks.
pub struct Mpi {
    comm: Pinned<SimpleCommunicator>,
    rank: usize,
    size: usize,
    chunk: usize,
}

impl Mpi {
    fn new(comm: SimpleCommunicator, chunk: usize) -> Result<Self> {
        if chunk == 0 || i32::try_from(chunk).is_err() {
            return Err(Error::failed(format!(
                "MPI messages of at most {chunk} bytes: between 1 and 2^31 - 1 would do"
            )));
        }
        let (rank, size) = (comm.rank() as usize, comm.size() as usize);
        Ok(Mpi {
            comm: Pinned::new(comm),
            rank,
            size,
            chunk,
        })
    }

    fn raw(&self) -> Result<&SimpleCommunicator> {
        self.comm.get().ok_or_else(|| Error::failed(NOT_MAIN))
    }

    /// `send[r]` goes to rank r, `receive[r]` is filled from rank r; the own entries are left alone. Receives are posted before
    /// sends and nothing waits before all are under way, so that no size can deadlock.
    fn exchange(&self, send: &[&[u8]], receive: &mut [&mut [u8]]) -> Result<()> {
        let comm = self.raw()?;
        let pieces = |length: usize| length.div_ceil(self.chunk);
        let requests = send.iter().map(|s| pieces(s.len())).sum::<usize>()
            + receive.iter().map(|r| pieces(r.len())).sum::<usize>();
        mpi::request::multiple_scope(requests, |scope, under_way| {
            for (from, buffer) in receive.iter_mut().enumerate().filter(|(r, _)| *r != self.rank) {
                let process = comm.process_at_rank(from as i32);
                for piece in buffer.chunks_mut(self.chunk) {
                    under_way.add(process.immediate_receive_into(scope, piece));
                }
            }
            // Each rank begins with the next one, so that not all send to rank 0 first.
            for step in 1..self.size {
                let to = (self.rank + step) % self.size;
                let process = comm.process_at_rank(to as i32);
                for piece in send[to].chunks(self.chunk) {
                    under_way.add(process.immediate_send(scope, piece));
                }
            }
            under_way.wait_all(&mut Vec::new());
        });
        Ok(())
    }

    /// Builds with debug assertions make sure that both ends expect the same length; otherwise a wrong one hangs or is MPI's error.
    fn check_lengths(&self, call: &str, send: impl Fn(usize) -> usize, receive: &[usize]) -> Result<()> {
        if !cfg!(debug_assertions) {
            return Ok(());
        }
        let mine: Vec<u64> = (0..self.size).map(|to| send(to) as u64).collect();
        let mut theirs = vec![0u64; self.size];
        self.raw()?.all_to_all_into(&mine[..], &mut theirs[..]);
        for (from, (&came, &expected)) in theirs.iter().zip(receive).enumerate() {
            if came != expected as u64 {
                return Err(arguments::length_differs(
                    call,
                    from,
                    self.rank,
                    came as usize,
                    expected,
                ));
            }
        }
        Ok(())
    }
}

impl Comm for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_gather(&self, mine: &[u8], counts: &[usize], out: &mut Vec<u8>) -> Result<()> {
        let comm = self.raw()?;
        arguments::all_gather(self.rank, self.size, mine, counts)?;
        self.check_lengths("all_gather", |_| mine.len(), counts)?;
        let total = counts.iter().sum::<usize>();
        out.resize(total, 0);
        if total <= self.chunk {
            // The sum is below the bound, so every count and displacement is.
            let counts: Vec<i32> = counts.iter().map(|&n| n as i32).collect();
            let starts = |end: &mut i32, n: &i32| {
                *end += n;
                Some(*end - n)
            };
            let starts: Vec<i32> = counts.iter().scan(0, starts).collect();
            comm.all_gather_varcount_into(mine, &mut PartitionMut::new(&mut out[..], counts, starts));
            return Ok(());
        }
        let mut parts = Vec::with_capacity(self.size);
        let mut rest = &mut out[..];
        for &count in counts {
            let (part, after) = rest.split_at_mut(count);
            parts.push(part);
            rest = after;
        }
        parts[self.rank].copy_from_slice(mine);
        self.exchange(&vec![mine; self.size], &mut parts)
    }

    fn broadcast(&self, root: usize, data: &mut Vec<u8>) -> Result<()> {
        let comm = self.raw()?;
        arguments::broadcast(self.size, root)?;
        let process = comm.process_at_rank(root as i32);
        let mut length = data.len() as u64;
        process.broadcast_into(&mut length);
        data.resize(length as usize, 0);
        for piece in data.chunks_mut(self.chunk) {
            process.broadcast_into(piece);
        }
        Ok(())
    }

    fn all_to_all(&self, send: &[Vec<u8>], receive: &[usize]) -> Result<Vec<Vec<u8>>> {
        arguments::all_to_all(self.rank, self.size, send, receive)?;
        self.check_lengths("all_to_all", |to| send[to].len(), receive)?;
        let mut received: Vec<Vec<u8>> = receive.iter().map(|&n| vec![0; n]).collect();
        received[self.rank].copy_from_slice(&send[self.rank]);
        let send: Vec<&[u8]> = send.iter().map(Vec::as_slice).collect();
        let mut parts: Vec<&mut [u8]> = received.iter_mut().map(Vec::as_mut_slice).collect();
        self.exchange(&send, &mut parts)?;
        Ok(received)
    }

    fn any(&self, word: u64) -> Result<u64> {
        let mut sum = 0u64;
        self.raw()?
            .all_reduce_into(&word, &mut sum, SystemOperation::bitwise_or());
        Ok(sum)
    }
}

/// All ranks. MPI is finalized when it is dropped.
pub(crate) struct World {
    comm: Mpi,
    /// For the way out alone: other ranks may be in the middle of anything on `comm`.
    farewell: Pinned<SimpleCommunicator>,
    /// Last, since communicators are freed before MPI is finalized.
    _universe: Pinned<Universe>,
}

impl World {
    /// Starts MPI; the calling thread owns it.
    pub(crate) fn initialize() -> Result<Self> {
        let started = mpi::initialize_with_threading(Threading::Funneled);
        let (universe, level) = started.ok_or_else(|| Error::failed("MPI has been started already in this process"))?;
        if level == Threading::Single {
            return Err(Error::failed(format!(
                "{} does not support threads (MPI_THREAD_FUNNELED)",
                library()
            )));
        }
        let world = universe.world();
        let (comm, farewell) = (
            Mpi::new(world.duplicate(), CHUNK_BYTES)?,
            Pinned::new(world.duplicate()),
        );
        panics::belongs_to(comm.rank, comm.size);
        if comm.size > 1 {
            panics::abort_on_panic();
        }
        Ok(World {
            comm,
            farewell,
            _universe: Pinned::new(universe),
        })
    }

    pub(crate) fn comm(&self) -> &Mpi {
        &self.comm
    }

    pub(crate) fn node(&self) -> Result<Node> {
        Node::of(&Mpi::new(
            self.comm.raw()?.split_shared(self.comm.rank as i32),
            CHUNK_BYTES,
        )?)
    }

    pub(crate) fn split(&self, color: usize, chunk: usize) -> Result<Mpi> {
        let color = i32::try_from(color).map_err(|_| Error::failed(format!("color {color} is beyond 2^31 - 1")))?;
        let group = self
            .comm
            .raw()?
            .split_by_color_with_key(Color::with_value(color), self.comm.rank as i32);
        Mpi::new(
            group.ok_or_else(|| Error::failed("MPI gave no group for a color"))?,
            chunk,
        )
    }

    pub(crate) fn leave(self, code: i32, message: Option<&str>) -> i32 {
        let (rank, size) = (self.comm.rank, self.comm.size);
        let failed = |code: i32| code != 0 && code != EXIT_REQUEUE;
        let words = |rank: usize| {
            message.map(|m| {
                if rank == 0 {
                    m.to_string()
                } else {
                    format!("rank {rank}: {m}")
                }
            })
        };
        let Some(farewell) = self.farewell.get() else {
            say(NOT_MAIN);
            panics::abort_all(1)
        };
        let since = Instant::now();
        let mut codes = vec![0i32; size];
        mpi::request::scope(|scope| {
            let mut request = farewell.immediate_all_gather_into(scope, &code, &mut codes[..]);
            while let Err(pending) = request.test() {
                request = pending;
                if failed(code) && since.elapsed() > GRACE {
                    if let Some(words) = words(rank) {
                        say(&words);
                    }
                    panics::abort_all(code);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let first = codes
            .iter()
            .position(|&c| failed(c))
            .or_else(|| codes.iter().position(|&c| c != 0));
        let code = first.map_or(0, |first| codes[first]);
        if let Some(words) = words(rank).filter(|_| first == Some(rank)) {
            say(&words);
        }
        // No rank exits before the words are out: the first to exit with an error has the others killed.
        farewell.barrier();
        panics::alone();
        code
    }
}

/// Ends all ranks. Returns if MPI is not running (any more).
pub(crate) fn abort(code: i32) {
    if mpi::environment::is_initialized() && !mpi::environment::is_finalized() {
        SimpleCommunicator::world().abort(code);
    }
}

/// Name and version of the MPI library, on one line.
pub(crate) fn library() -> String {
    let version = mpi::environment::library_version().unwrap_or_default();
    version
        .split([',', '\n'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('\0')
        .to_string()
}
