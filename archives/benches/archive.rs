//! Speed of the archives beside the aims of the engine's issue: `cargo bench -p illume-archives`.
//!
//! The method is that of `w1_archive.py`, with which pyribs and QDax were measured: an empty archive takes 200,000 candidates in
//! batches; fitness and descriptors are uniform and new for every batch, genomes come from a pool of four batches. Locating the
//! descriptors is part of the insertion. Medians of several repeats.

use std::time::Instant;

use illume_archives::metrics::measure;
use illume_archives::registry;
use illume_core::{
    ArchiveConfig, ArchiveMut, Axis, Batch, Comm, Dense, Genomes, InsertReport, Offer, Purpose, Result, Stream, toml,
};

const TOTAL: usize = 200_000;
const REPEATS: usize = 15;

/// One rank.
struct Alone;

impl Comm for Alone {
    fn rank(&self) -> usize {
        0
    }
    fn size(&self) -> usize {
        1
    }
    fn all_gather(&self, mine: &[u8], _: &[usize], out: &mut Vec<u8>) -> Result<()> {
        mine.clone_into(out);
        Ok(())
    }
    fn broadcast(&self, _: usize, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
    fn all_to_all(&self, send: &[Vec<u8>], _: &[usize]) -> Result<Vec<Vec<u8>>> {
        Ok(send.to_vec())
    }
    fn any(&self, word: u64) -> Result<u64> {
        Ok(word)
    }
}

fn build(config: &str, k: usize, genome_dim: usize) -> Box<dyn ArchiveMut> {
    let table: toml::Table = config.parse().expect("a table");
    let kind = table["kind"].as_str().expect("a kind");
    let entry = registry().iter().find(|e| e.kind == kind).expect("a known kind");
    let axes: Vec<Axis> = (0..k).map(|i| Axis::new(&format!("x{i}"), "", 0.0, 1.0)).collect();
    let config = ArchiveConfig {
        archive: &table,
        seed: 1,
        axes: &axes,
        objectives: &[],
        genome_dim,
        qd_offset: 0.0,
        lineage: false,
        learned: 0,
        memory: &illume_core::Memory::unlimited(),
    };
    (entry.build)(&config).expect("a sound configuration")
}

fn batches(k: usize, batch: usize) -> Vec<Batch> {
    (0..TOTAL / batch)
        .map(|generation| {
            let stream = |index| Stream::new(7, Purpose::Variation, generation as u64, index);
            let mut rows = Batch::new();
            rows.push("status", 1, "", "", vec![0u8; batch]);
            rows.push(
                "fitness",
                1,
                "",
                "",
                (0..batch as u64).map(|i| stream(0).uniform(i)).collect(),
            );
            rows.push(
                "descriptor",
                k,
                "",
                "",
                (0..(k * batch) as u64).map(|i| stream(1).uniform(i)).collect(),
            );
            rows.push("cell", 1, "", "", vec![0i64; batch]);
            rows.push("seed", 1, "", "", (0..batch as u64).collect());
            rows.push("operator", 1, "", "", vec![0i32; batch]);
            rows.push("parents", 2, "", "", vec![-1i64; 2 * batch]);
            rows
        })
        .collect()
}

fn pool(dim: usize, batch: usize) -> Vec<Genomes> {
    (0..4)
        .map(|i| {
            let mut data = vec![0.0; dim * batch];
            Stream::new(8, Purpose::Init, 0, i).normals(0, &mut data);
            Genomes::Dense(Dense { dim, data })
        })
        .collect()
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// A row of the table: the rate, what it should be, and what the best peer reached.
fn line(what: &str, value: String, aim: &str, limit: &str, peer: &str) {
    println!("{what:<58} {value:>14}  {aim:>10}  {limit:>18}  {peer}");
}

/// Whether this line is wanted: `cargo bench -p illume-archives -- grid` runs those that contain the word.
fn wanted(what: &str) -> bool {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    words.is_empty() || words.iter().any(|w| what.contains(w.as_str()))
}

fn insertion(what: &str, config: &str, dim: usize, batch: usize, aim: &str, limit: &str, peer: &str) {
    if !wanted(what) {
        return;
    }
    let (mut batches, pool) = (batches(2, batch), pool(dim, batch));
    let mut report = InsertReport::default();
    let (mut seconds, mut locating) = (Vec::new(), Vec::new());
    for repeat in 0..=REPEATS {
        let mut archive = build(config, 2, dim);
        let (start, mut located) = (Instant::now(), 0.0);
        for (generation, rows) in batches.iter_mut().enumerate() {
            let before = Instant::now();
            let [descriptor, cell] = rows.columns_mut(["descriptor", "cell"]).expect("columns");
            let descriptor: &[f64] = descriptor.values_mut().expect("f64");
            archive.locate(descriptor, cell.values_mut().expect("i64"));
            located += before.elapsed().as_secs_f64();
            let genomes = &pool[generation % 4];
            archive
                .insert(
                    rows,
                    0..batch,
                    genomes,
                    &Offer::new(generation as u64),
                    &Alone,
                    &mut report,
                )
                .expect("insertion");
        }
        if repeat > 0 {
            seconds.push(start.elapsed().as_secs_f64());
            locating.push(located);
        }
    }
    let rate = TOTAL as f64 / median(seconds) / 1e6;
    let share = TOTAL as f64 / median(locating) / 1e6;
    line(what, format!("{rate:.1} M/s"), aim, limit, peer);
    line("    of which locating", format!("{share:.1} M/s"), "", "", "");
}

fn centroids(k: usize, aim: &str, limit: &str, peer: &str) {
    let what = format!("10,000 centroids from 100,000 samples, {k}-D");
    if !wanted(&what) {
        return;
    }
    let config = "kind = \"cvt\"\ncells = 10000\nsamples = 100000";
    let seconds = (0..3).map(|_| {
        let start = Instant::now();
        build(config, k, 1);
        start.elapsed().as_secs_f64()
    });
    line(&what, format!("{:.2} s", median(seconds.collect())), aim, limit, peer);
}

/// Rows at uniform places, as a generation brings them.
fn crowd(k: usize, rows: usize, generation: u64) -> Batch {
    let stream = Stream::new(9, Purpose::Variation, generation, 0);
    let mut batch = Batch::new();
    batch.push("status", 1, "", "", vec![0u8; rows]);
    batch.push("fitness", 1, "", "", vec![0.0; rows]);
    let places = (0..(k * rows) as u64).map(|i| stream.uniform(i)).collect();
    batch.push("descriptor", k, "", "", places);
    batch.push("cell", 1, "", "", vec![0i64; rows]);
    batch.push("seed", 1, "", "", vec![0u64; rows]);
    batch.push("operator", 1, "", "", vec![0i32; rows]);
    batch.push("parents", 2, "", "", vec![-1i64; 2 * rows]);
    batch
}

/// Candidates a second of which an archive of so many members says how novel they are, by 25 neighbours; with `among` also among them.
fn novelty(members: usize, k: usize, rows: usize, among: bool, peer: &str) {
    let (with, axes) = (
        if among { " and each other" } else { "" },
        if k < 100 { 2 } else { 1024 },
    );
    let what = format!("novelty of {rows} among {members} members{with}, {axes}-D");
    if !wanted(&what) {
        return;
    }
    // Full after its first batch, so that what is timed is novelty alone.
    let config = format!("kind = \"unstructured\"\nprobability = 1.0\ncapacity = {members}");
    let mut archive = build(&config, k, 1);
    let mut report = InsertReport::default();
    let genomes = |rows| {
        Genomes::Dense(Dense {
            dim: 1,
            data: vec![0.0; rows],
        })
    };
    let first = crowd(k, members, 0);
    archive
        .insert(
            &first,
            0..members,
            &genomes(members),
            &Offer::new(0),
            &Alone,
            &mut report,
        )
        .expect("insertion");
    let (batch, genomes) = (crowd(k, rows, 1), genomes(rows));
    let offer = Offer {
        crowd: among,
        ..Offer::new(1)
    };
    let seconds = (0..5).map(|_| {
        let start = Instant::now();
        archive
            .insert(&batch, 0..rows, &genomes, &offer, &Alone, &mut report)
            .expect("insertion");
        start.elapsed().as_secs_f64()
    });
    let rate = rows as f64 / median(seconds.collect());
    line(&what, format!("{:.1} k/s", rate / 1e3), "", "", peer);
}

fn metrics() {
    if !wanted("metrics") {
        return;
    }
    let fitness: Vec<f64> = (0..10_000)
        .map(|i| if i % 4 == 0 { f64::NAN } else { i as f64 })
        .collect();
    let seconds = (0..99).map(|_| {
        let start = Instant::now();
        for _ in 0..100 {
            std::hint::black_box(measure(std::hint::black_box(&fitness), 1.0));
        }
        start.elapsed().as_secs_f64() / 100.0
    });
    line(
        "metrics of 10,000 cells",
        format!("{:.2} us", 1e6 * median(seconds.collect())),
        "~1 us",
        "",
        "",
    );
}

fn main() {
    // An unusable cache folder: centroids are computed every time.
    let nowhere = std::env::temp_dir().join(format!("illume-bench-{}", std::process::id()));
    std::fs::write(&nowhere, "").expect("a temporary file");
    // SAFETY: no other thread runs yet.
    unsafe { std::env::set_var(illume_archives::CACHE_VARIABLE, &nowhere) };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    println!("{threads} threads; peers and limits as measured on 2 cores on 2026-11-20\n");
    line(
        "200,000 candidates into an empty archive",
        "measured".into(),
        "aim",
        "limit",
        "best peer",
    );
    let grid = "kind = \"grid\"\nshape = [100, 100]";
    insertion(
        "grid 100x100, genomes of 1000, batches of 10,000",
        grid,
        1000,
        10_000,
        ">= 8 M/s",
        "17 M/s per thread",
        "pyribs 1.05 M/s",
    );
    insertion(
        "grid 100x100, genomes of 100, batches of 1,000",
        grid,
        100,
        1_000,
        ">= 30 M/s",
        "82 M/s per thread",
        "pyribs 3.2 M/s",
    );
    // Few iterations: the time to make the centroids is measured below.
    let cvt = "kind = \"cvt\"\ncells = 10000\nsamples = 100000\niterations = 3";
    insertion(
        "CVT of 10,000 in 2-D, genomes of 100, batches of 10,000",
        cvt,
        100,
        10_000,
        ">= 8 M/s",
        "13 M/s per thread",
        "pyribs 1.7 M/s",
    );
    centroids(2, "<= 1 s", "0.08 s", "pyribs 17.7 s");
    centroids(6, "<= 3 s", "1.2 s", "pyribs 25 s");
    novelty(10_000, 2, 10_000, false, "");
    novelty(100_000, 2, 10_000, false, "");
    novelty(10_000, 2, 20_000, true, "");
    novelty(10_000, 1024, 500, false, "");
    metrics();
    let _ = std::fs::remove_file(nowhere);
}
