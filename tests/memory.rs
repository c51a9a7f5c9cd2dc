//! A run that learns takes no more memory the longer it runs. Alone in its process: others' memory would be counted as its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use illume::cluster::Solo;
use illume::{Config, Run, registry};

const MAZE: &str =
    "[task]\nname = \"hard_maze\"\nepisode_length = 20\nreward = \"closeness\"\n[policy]\nhidden = [4]\n";

/// The system's allocator, counting what is held. Resident memory says something else: the allocator's arenas and the kernel's huge pages
/// move it by tens of megabytes that no code of ours asked for.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is the system allocator's own; the counter is touched beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn memory_does_not_grow_over_a_thousand_generations() {
    for strategy in ["pga_me", "dcg_me", "dcrl_me"] {
        let text = format!(
            "{MAZE}[strategy]\nname = \"{strategy}\"\nbatch = 8\ncritic_steps = 4\npg_steps = 2\nminibatch = 10\nreplay = 500\n\
             [archive]\nshape = [5, 5]\n[budget]\ngenerations = 1300\n"
        );
        let config = Config::parse(&text, "test", &[]).unwrap();
        let task = registry::task(&config).unwrap();
        let mut run = Run::new(&config, task.as_ref(), &Solo).unwrap();
        // Until the buffer is full and every allocation has been made.
        while run.counters().generation < 300 {
            run.generation().unwrap();
        }
        let before = HELD.load(Relaxed);
        while run.generation().unwrap() {}
        let grown = HELD.load(Relaxed).saturating_sub(before);
        println!("{strategy}: {grown} bytes in 1,000 generations");
        // Their episodes alone weigh 9 MB; the history's rows are well below this.
        assert!(grown < 1 << 20, "{strategy}: {grown} bytes in 1,000 generations");
    }
}
