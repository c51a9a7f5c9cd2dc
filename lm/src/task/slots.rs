//! How many answers are written at a time if the user does not say: keys and values must have room in memory.

use illume_numerics::cuda;

use crate::Device;
use crate::{Generator, Model};

/// The most answers, on the processor and on a device, where a pass takes its hundreds of launches for any number of rows.
const MOST: usize = 256;
const MOST_ON_DEVICE: usize = 2048;
/// The free memory is divided by this, and by the ranks that share it.
const PARTS: u64 = 4;
const PARTS_OF_DEVICE: u64 = 2;
/// Bytes of keys and values where the free memory is not known.
const UNKNOWN: u64 = 4 << 30;

/// The answers of up to `longest` tokens, prompts included, that one of the node's `ranks` has room for.
pub(super) fn automatic(model: &Model, longest: usize, ranks: usize) -> usize {
    let (free, parts, sharing, most) = match model.device() {
        Device::Cuda(index) => {
            let free = cuda::memory(index).map(|[free, _]| free);
            let sharing = ranks.div_ceil(cuda::devices().max(1));
            (free, PARTS_OF_DEVICE, sharing, MOST_ON_DEVICE)
        }
        _ => (free_memory(), PARTS, ranks, MOST),
    };
    let room = free.map_or(UNKNOWN, |free| share(free, parts, sharing));
    fitting(room, Generator::cache_bytes(model, 1, longest), most)
}

fn share(free: u64, parts: u64, ranks: usize) -> u64 {
    free / parts / ranks.max(1) as u64
}

fn fitting(room: u64, each: u64, most: usize) -> usize {
    usize::try_from(room / each.max(1)).unwrap_or(most).clamp(1, most)
}

/// Bytes that Linux says are free for programs.
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_a_node_divide_a_quarter_of_its_memory() {
        let slots = |ranks| fitting(share(4 << 30, PARTS, ranks), 16 << 20, MOST);
        assert_eq!([1, 2, 3, 8].map(slots), [64, 32, 21, 8]);
        assert_eq!([100, 1000].map(slots), [1, 1], "one answer at least");
        assert_eq!(fitting(share(1 << 50, PARTS, 1), 1, MOST), MOST);
    }
}
