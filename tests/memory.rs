//! A run that learns takes no more memory the longer it runs. Alone in its process: others' memory would be counted as its own.

use illume::cluster::Solo;
use illume::{Config, Run, registry};

const MAZE: &str =
    "[task]\nname = \"hard_maze\"\nepisode_length = 20\nreward = \"closeness\"\n[policy]\nhidden = [4]\n";

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

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
        let before = resident();
        while run.generation().unwrap() {}
        let grown = resident().saturating_sub(before);
        println!("{strategy}: {grown} bytes in 1,000 generations");
        // Their episodes alone weigh 9 MB; the history's rows and the allocator's slack are well below this.
        assert!(grown < 4 << 20, "{strategy}: {grown} bytes in 1,000 generations");
    }
}
