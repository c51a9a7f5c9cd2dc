//! What a fork-join of rayon costs: two tasks of 20 us at once, then some time alone, as a generation of a cheap task does, with and
//! without `threads::stay_awake`. `cargo bench -p illume-cluster --bench fork_join`, on a machine with two idle cores.

use std::time::{Duration, Instant};

use illume_cluster::threads;

const TASK: Duration = Duration::from_micros(20);
const REPEATS: usize = 2_000;

fn busy(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn main() {
    threads::configure(2).expect("no pool yet");
    println!("fork-join, us beyond the 20 us that two tasks take at once; 20 means that one thread did both");
    println!(
        "{:>8} {:>12} {:>8} {:>8} {:>8}",
        "gap us", "stay_awake", "10 %", "median", "90 %"
    );
    for gap in [10, 50, 150, 500] {
        for awake in [false, true] {
            let mut extra: Vec<f64> = (0..REPEATS)
                .map(|_| {
                    busy(Duration::from_micros(gap));
                    let start = Instant::now();
                    rayon::join(|| busy(TASK), || busy(TASK));
                    if awake {
                        threads::stay_awake();
                    }
                    (start.elapsed().as_secs_f64() - TASK.as_secs_f64()) * 1e6
                })
                .collect();
            extra.sort_by(f64::total_cmp);
            let at = |percent: usize| extra[REPEATS * percent / 100];
            println!("{gap:>8} {awake:>12} {:>8.1} {:>8.1} {:>8.1}", at(10), at(50), at(90));
        }
    }
}
