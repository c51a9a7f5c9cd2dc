//! How many answers are written at a time if the user does not say: keys and values must have room in memory.

use tch::Device;

use crate::{Generator, Model};

/// The most answers.
const MOST: usize = 256;
/// The free memory is divided by this, and by the ranks that share it.
const PARTS: u64 = 4;
/// Bytes of keys and values on a device whose free memory is not known.
const ON_DEVICE: u64 = 4 << 30;

/// The answers of up to `longest` tokens, prompts included, that one of the node's `ranks` has room for.
pub(super) fn automatic(model: &Model, longest: usize, ranks: usize) -> usize {
    let room = match model.device() {
        Device::Cpu => free_memory().map_or(ON_DEVICE, |free| share(free, ranks)),
        _ => ON_DEVICE,
    };
    fitting(room, Generator::cache_bytes(model, 1, longest))
}

fn share(free: u64, ranks: usize) -> u64 {
    free / PARTS / ranks.max(1) as u64
}

fn fitting(room: u64, each: u64) -> usize {
    usize::try_from(room / each.max(1)).unwrap_or(MOST).clamp(1, MOST)
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
        let slots = |ranks| fitting(share(4 << 30, ranks), 16 << 20);
        assert_eq!([1, 2, 3, 8].map(slots), [64, 32, 21, 8]);
        assert_eq!([100, 1000].map(slots), [1, 1], "one answer at least");
        assert_eq!(fitting(share(1 << 50, 1), 1), MOST);
    }
}
