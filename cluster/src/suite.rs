//! One test suite for every [`Comm`].

use illume_core::{Comm, Error, Result};

/// Lengths around the chunk bounds that the tests use, and the empty message.
const LENGTHS: [usize; 12] = [0, 1, 0, 6, 7, 8, 13, 14, 15, 4095, 4097, 9000];
const ROUNDS: u64 = 10;

/// Checks that `comm` does what the trait says, in a few milliseconds: all ranks call it with the same seed.
///
/// # Errors
/// The first difference between what came and what should have come.
pub fn conformance(comm: &dyn Comm, seed: u64) -> Result<()> {
    let (rank, size) = (comm.rank(), comm.size());
    if rank >= size {
        return Err(Error::failed(format!("rank {rank} of {size}")));
    }
    let mut gathered = vec![0xAA; 100];
    for round in 0..ROUNDS {
        // As if the message from rank `from` to rank `to` (to all: `size`) were drawn by everyone.
        let message = |from: usize, to: usize| message(seed, round, from, to);

        let counts: Vec<usize> = (0..size).map(|r| message(r, size).len()).collect();
        comm.all_gather(&message(rank, size), &counts, &mut gathered)?;
        let expected: Vec<u8> = (0..size).flat_map(|r| message(r, size)).collect();
        same(comm, "all_gather", &gathered, &expected)?;

        let root = (round as usize) % size;
        let mut data = if rank == root {
            message(root, size)
        } else {
            vec![0x55; rank * 10]
        };
        comm.broadcast(root, &mut data)?;
        same(comm, "broadcast", &data, &message(root, size))?;

        let send: Vec<Vec<u8>> = (0..size).map(|to| message(rank, to)).collect();
        let lengths: Vec<usize> = (0..size).map(|from| message(from, rank).len()).collect();
        let received = comm.all_to_all(&send, &lengths)?;
        if received.len() != size {
            return Err(Error::failed(format!(
                "all_to_all gave {} messages, wanted {size}",
                received.len()
            )));
        }
        for (from, came) in received.iter().enumerate() {
            same(comm, "all_to_all", came, &message(from, rank))?;
        }

        let bits = |r: usize| mix(seed ^ mix(round) ^ r as u64) & 0x8000_0000_0000_1111;
        let expected = (0..size).fold(0, |sum, r| sum | bits(r));
        same(
            comm,
            "any",
            &comm.any(bits(rank))?.to_le_bytes(),
            &expected.to_le_bytes(),
        )?;
    }

    // Nothing at all from anyone.
    comm.all_gather(&[], &vec![0; size], &mut gathered)?;
    same(comm, "all_gather of nothing", &gathered, &[])?;
    let nothing = comm.all_to_all(&vec![Vec::new(); size], &vec![0; size])?;
    same(comm, "all_to_all of nothing", &nothing.concat(), &[])?;
    same(comm, "any of nothing", &comm.any(0)?.to_le_bytes(), &[0; 8])?;

    // Wrong calls, refused before anything is sent.
    let refused = [
        comm.all_gather(&[1], &vec![1; size + 1], &mut gathered).is_err(),
        comm.all_gather(&[1], &vec![2; size], &mut gathered).is_err(),
        comm.broadcast(size, &mut Vec::new()).is_err(),
        comm.all_to_all(&vec![vec![1]; size], &vec![1; size + 1]).is_err(),
        comm.all_to_all(&vec![vec![1]; size], &vec![2; size]).is_err(),
    ];
    if refused != [true; 5] {
        return Err(Error::failed(format!("wrong arguments were accepted: {refused:?}")));
    }
    // And everyone is still in step.
    let everyone = comm.any(1 << (rank % 64))?;
    same(
        comm,
        "the last any",
        &everyone.count_ones().to_le_bytes(),
        &(size.min(64) as u32).to_le_bytes(),
    )
}

/// A message whose length and bytes are a function of its arguments.
fn message(seed: u64, round: u64, from: usize, to: usize) -> Vec<u8> {
    let key = mix(mix(mix(seed ^ round << 40) ^ from as u64) ^ (to as u64) << 20);
    let length = LENGTHS[(key % LENGTHS.len() as u64) as usize] + (key >> 32) as usize % 3;
    // Empty messages stay empty.
    let length = if length < 3 { length & 1 } else { length };
    (0..length as u64).map(|i| mix(key ^ i) as u8).collect()
}

/// The finalizer of SplitMix64 (Steele et al. 2014).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn same(comm: &dyn Comm, what: &str, came: &[u8], expected: &[u8]) -> Result<()> {
    if came == expected {
        return Ok(());
    }
    let at = came
        .iter()
        .zip(expected)
        .position(|(a, b)| a != b)
        .unwrap_or(came.len().min(expected.len()));
    let (rank, size) = (comm.rank(), comm.size());
    let (got, wanted) = (came.len(), expected.len());
    Err(Error::failed(format!(
        "{what} on rank {rank} of {size}: {got} bytes, wanted {wanted}; they differ from byte {at}"
    )))
}
