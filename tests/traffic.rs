//! What crosses between ranks: scalars of evaluated rows, whatever the size of the genomes.

use illume::cluster::run_ranks;
use illume::{Config, Run, registry};

/// Bytes that each of three ranks receives for a candidate.
fn received_per_candidate(dim: usize) -> Vec<f64> {
    let text = format!(
        "[task]\nname = \"sphere\"\ndim = {dim}\n[strategy]\nname = \"deep_ga\"\npopulation = 90\nparents = 5\nsigma = 0.1\n\
         [archive]\nshape = [20, 20]\n[budget]\ngenerations = 12\n"
    );
    let config = Config::parse(&text, "test", &[]).unwrap();
    let task = registry::task(&config).unwrap();
    run_ranks(3, |comm| {
        let mut run = Run::new(&config, task.as_ref(), comm).unwrap();
        while run.generation().unwrap() {}
        let (traffic, candidates) = run.traffic();
        assert_eq!(candidates, 12 * 90);
        assert!(traffic.sent > 0);
        traffic.received as f64 / candidates as f64
    })
}

#[test]
fn deep_ga_receives_less_than_60_bytes_per_candidate_however_large_its_genomes_are() {
    for dim in [10, 5000] {
        let received = received_per_candidate(dim);
        assert!(
            received.iter().all(|bytes| *bytes > 8.0 && *bytes < 60.0),
            "{dim}: {received:?}"
        );
    }
}
