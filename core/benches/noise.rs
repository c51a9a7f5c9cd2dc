//! What a child of a decoded parent costs: one pass of noise over the parent's genes, beside the raw speed of memory in the same run.
//! `cargo bench -p illume-core --bench noise`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use illume_core::noise::NoiseTable;
use illume_core::{Decoder, Init, Purpose, Stream};

/// The paper's large network with 18 actions.
const GENES: usize = 4_052_658;
const REPEATS: usize = 101;

/// Shortest time of one call, in milliseconds: a neighbour on the machine only ever adds.
fn shortest(mut f: impl FnMut(u64)) -> f64 {
    f(0);
    let times = (0..REPEATS as u64).map(|i| {
        let start = Instant::now();
        f(i);
        start.elapsed().as_secs_f64() * 1e3
    });
    times.fold(f64::INFINITY, f64::min)
}

fn main() {
    let parent: Vec<f32> = (0..GENES).map(|i| (i % 1000) as f32).collect();
    let mut out = vec![0.0f32; GENES];
    let stream = |i| Stream::new(1, Purpose::Lineage, 7, i);
    let writing = shortest(|i| {
        out.fill(i as f32);
        black_box(&mut out);
    });
    let copying = shortest(|_| {
        out.copy_from_slice(&parent);
        black_box(&mut out);
    });
    let child = shortest(|i| {
        stream(i).moved(0, &parent, 0.002, &mut out);
        black_box(&mut out);
    });
    let two_passes = shortest(|i| {
        out.copy_from_slice(&parent);
        stream(i).add_normals(0, 0.002, &mut out);
        black_box(&mut out);
    });
    let table = NoiseTable::shared(25_000_000);
    let mut decoder = Decoder {
        seed: 1,
        dim: GENES,
        init: Init::Normal { mean: 0.0, sd: 1.0 },
        bounds: None,
        table: None,
        cache: [(3, Arc::new(parent.clone()))].into(),
    };
    let mut decoded = Vec::new();
    let scales = [1.0, 0.002];
    let by_decoder = shortest(|i| {
        decoder.decode(&[3, (7 << 32) + i], &scales, &mut decoded);
        black_box(&mut decoded);
    });
    decoder.table = Some(table);
    let by_table = shortest(|i| {
        decoder.decode(&[3, (7 << 32) + i], &scales, &mut decoded);
        black_box(&mut decoded);
    });
    let mut small = vec![0.0f32; 4096];
    let noise = shortest(|i| {
        for part in 0..GENES / 4096 {
            stream(i).normals(part as u64 * 4096, &mut small);
            black_box(&mut small);
        }
    });
    println!("{GENES} genes, {:.1} MB, shortest of {REPEATS}", GENES as f64 * 4e-6);
    for (name, ms) in [
        ("writing them (the limit)", writing),
        ("copying a parent", copying),
        ("noise alone, in the first-level cache", noise),
        ("child of a decoded parent, one pass", child),
        ("the same through the decoder", by_decoder),
        ("the same from a noise table of 100 MB", by_table),
        ("a child in two passes: copy, then add", two_passes),
    ] {
        println!(
            "{name:<42} {ms:>7.2} ms  {:>6.2} ns/gene  {:>5.2} x writing",
            ms * 1e6 / GENES as f64,
            ms / writing
        );
    }
}
