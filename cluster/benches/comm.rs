//! How fast the ranks talk. Under mpirun: `mpirun -n 2 target/release/deps/comm-*`; `cargo bench -p illume-cluster --features mpi --bench comm`
//! starts that by itself.

use std::process::Command;
use std::time::Instant;

use illume_cluster::{Cluster, connect, launched_rank};
use illume_core::Result;

/// A generation's scalars, and parents for 10,000 children of 10 kB over 4 ranks.
const GATHER: usize = 20_000;
const EXCHANGE: usize = 25_000_000;

fn main() {
    if std::env::var_os("COMM_BENCH_RANK").is_none() {
        let program = std::env::current_exe().expect("this program has a path");
        let status = Command::new("mpirun")
            .args(["-n", "2"])
            .arg(program)
            .env("COMM_BENCH_RANK", "1")
            .status();
        assert!(
            status.is_ok_and(|s| s.success()),
            "mpirun -n 2 failed (as root, set OMPI_ALLOW_RUN_AS_ROOT=1 and ..._CONFIRM=1)"
        );
        return;
    }
    let cluster = connect().expect("MPI starts");
    let outcome = measure(&cluster);
    let message = outcome.as_ref().err().map(ToString::to_string);
    std::process::exit(cluster.leave(i32::from(outcome.is_err()), message.as_deref()));
}

fn measure(cluster: &Cluster) -> Result<()> {
    let comm = cluster.comm();
    let size = comm.size();
    let line = |what: &str, bytes: usize, seconds: f64| {
        if launched_rank() == 0 {
            let gb = bytes as f64 / seconds / 1e9;
            println!(
                "{what:<28} {size} ranks  {bytes:>10} B each  {:>9.1} us  {gb:>6.2} GB/s",
                seconds * 1e6
            );
        }
    };
    line("any", 8, median(1000, || comm.any(0).map(drop))?);
    let (mine, mut out) = (vec![1; GATHER], Vec::new());
    line(
        "all_gather",
        GATHER,
        median(1000, || comm.all_gather(&mine, &vec![GATHER; size], &mut out))?,
    );
    let send = vec![vec![1; EXCHANGE / size]; size];
    line(
        "all_to_all",
        EXCHANGE,
        median(10, || comm.all_to_all(&send, &vec![EXCHANGE / size; size]).map(drop))?,
    );
    Ok(())
}

fn median(repeats: usize, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut seconds = Vec::with_capacity(repeats);
    for _ in 0..repeats {
        let start = Instant::now();
        call()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[repeats / 2])
}
