//! What an archive is worth, in four numbers.

mod front;

pub use front::FrontMetrics;

use illume_core::{ArchiveSpec, Elites};

/// The usual summary of an archive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metrics {
    /// Filled cells.
    pub filled: usize,
    /// Filled cells over all cells, in [0, 1]; NaN for an archive without cells.
    pub coverage: f64,
    /// Sum over filled cells of fitness plus offset; NaN for an archive without cells.
    pub qd_score: f64,
    /// Best fitness; NaN if nothing is filled.
    pub max_fitness: f64,
    /// Mean fitness over filled cells; NaN if nothing is filled.
    pub mean_fitness: f64,
}

/// Partial sums; cell c belongs to lane c modulo this.
const LANES: usize = 16;

/// Cells that are passed over together where none of them is filled.
const STRETCH: usize = 16 * LANES;

/// Measures an archive's elites. Coverage and QD score are of cells, so an unstructured archive has neither. Of a sparse archive only those stretches
/// of cells are looked at that hold an elite.
pub fn measure_elites(spec: &ArchiveSpec, elites: &Elites) -> Metrics {
    let fitness = elites.fitness();
    if elites.filled.len() > fitness.len() / 8 {
        return measure_archive(spec, fitness);
    }
    let mut occupied = vec![false; fitness.len().div_ceil(STRETCH)];
    elites
        .filled
        .iter()
        .for_each(|cell| occupied[*cell as usize / STRETCH] = true);
    of_archive(spec, summary(sums(fitness, spec.qd_offset, &occupied), fitness.len()))
}

/// Measures an archive from the fitness of each cell, as [`measure`]. Coverage and QD score are of cells, so an unstructured archive has neither.
pub fn measure_archive(spec: &ArchiveSpec, fitness: &[f64]) -> Metrics {
    of_archive(spec, measure(fitness, spec.qd_offset))
}

fn of_archive(spec: &ArchiveSpec, metrics: Metrics) -> Metrics {
    if spec.has_cells() {
        return metrics;
    }
    Metrics {
        coverage: f64::NAN,
        qd_score: f64::NAN,
        ..metrics
    }
}

/// Measures an archive from the fitness of each cell's elite, NaN for an empty cell (`Elites::fitness`).
///
/// Sums run over cells in a fixed order, so that equal archives have bitwise equal metrics on every machine.
pub fn measure(fitness: &[f64], qd_offset: f64) -> Metrics {
    summary(sums(fitness, qd_offset, &[]), fitness.len())
}

fn summary(sums: Sums, cells: usize) -> Metrics {
    let count = sums.filled as f64;
    Metrics {
        filled: sums.filled,
        coverage: if cells == 0 { 0.0 } else { count / cells as f64 },
        qd_score: sums.score,
        max_fitness: if sums.filled == 0 { f64::NAN } else { sums.max },
        mean_fitness: if sums.filled == 0 {
            f64::NAN
        } else {
            sums.fitness / count
        },
    }
}

struct Sums {
    filled: usize,
    score: f64,
    fitness: f64,
    max: f64,
}

/// Sums over all cells, or those of the stretches that are `occupied`, where that says something of each: an empty cell adds 0, which moves no bit.
fn sums(fitness: &[f64], offset: f64, occupied: &[bool]) -> Sums {
    illume_numerics::simd_dispatch!(
        fn [](fitness: &[f64], offset: f64, occupied: &[bool]) -> Sums { sums_body(fitness, offset, occupied) }
    )
}

#[inline(always)]
fn sums_body(fitness: &[f64], offset: f64, occupied: &[bool]) -> Sums {
    let (mut filled, mut score) = ([0u64; LANES], [0.0; LANES]);
    let (mut sum, mut max) = ([0.0; LANES], [f64::NEG_INFINITY; LANES]);
    for (s, stretch) in fitness.chunks(STRETCH).enumerate() {
        if occupied.get(s) == Some(&false) {
            continue;
        }
        let mut blocks = stretch.chunks_exact(LANES);
        for block in &mut blocks {
            for l in 0..LANES {
                let (x, full) = (block[l], !block[l].is_nan());
                let (value, extra) = (if full { x } else { 0.0 }, if full { offset } else { 0.0 });
                filled[l] += u64::from(full);
                score[l] += value + extra;
                sum[l] += value;
                max[l] = if x > max[l] { x } else { max[l] };
            }
        }
        for (l, &x) in blocks.remainder().iter().enumerate() {
            if !x.is_nan() {
                filled[l] += 1;
                score[l] += x + offset;
                sum[l] += x;
                max[l] = if x > max[l] { x } else { max[l] };
            }
        }
    }
    Sums {
        filled: filled.iter().sum::<u64>() as usize,
        score: score.iter().sum(),
        fitness: sum.iter().sum(),
        max: max.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_archive_has_no_best_and_no_mean() {
        let m = measure(&[f64::NAN; 100], 1.0);
        assert_eq!((m.filled, m.coverage, m.qd_score), (0, 0.0, 0.0));
        assert!(m.max_fitness.is_nan() && m.mean_fitness.is_nan());
    }

    #[test]
    fn metrics_equal_a_plain_sum_of_the_filled_cells() {
        let fitness: Vec<f64> = (0..1003)
            .map(|i| if i % 3 == 0 { f64::NAN } else { -(i as f64) })
            .collect();
        let m = measure(&fitness, 2000.0);
        let full: Vec<f64> = fitness.iter().copied().filter(|x| !x.is_nan()).collect();
        assert_eq!(m.filled, full.len());
        assert_eq!(m.coverage, full.len() as f64 / 1003.0);
        assert_eq!(m.qd_score, full.iter().map(|x| x + 2000.0).sum::<f64>());
        assert_eq!(m.max_fitness, -1.0);
        assert_eq!(m.mean_fitness, full.iter().sum::<f64>() / full.len() as f64);
    }

    #[test]
    fn a_sparse_archive_is_measured_to_the_same_bits_by_its_filled_stretches() {
        let axes = vec![illume_core::Axis::new("x", "", 0.0, 1.0)];
        for (cells, every) in [(5003, 97), (5003, 9), (20_000, 3001), (300, 1000), (16, 20)] {
            let spec = ArchiveSpec {
                kind: "grid".into(),
                axes: axes.clone(),
                cells: illume_core::Cells::Grid { shape: vec![cells] },
                capacity: cells,
                qd_offset: 0.7,
                rules: Vec::new(),
            };
            let mut elites = Elites::new(cells, 1);
            // Last cells first: the order in which cells were filled does not matter.
            for cell in (0..cells).rev().filter(|c| c % every == every / 2) {
                elites.filled.push(cell as u32);
                elites.get_mut::<f64>("fitness").unwrap()[cell] = (cell as f64).sin() / 3.0;
            }
            let (sparse, whole) = (measure_elites(&spec, &elites), measure_archive(&spec, elites.fitness()));
            assert_eq!(format!("{sparse:?}"), format!("{whole:?}"), "{cells} cells");
            assert_eq!(sparse.filled, elites.filled.len());
        }
    }

    /// Trap: with negative fitness and no offset the score falls as the archive fills.
    #[test]
    fn with_the_tasks_offset_every_elite_raises_the_score() {
        let mut fitness = vec![f64::NAN; 50];
        let mut last = 0.0;
        for i in 0..50 {
            fitness[i] = -0.01 * i as f64;
            let score = measure(&fitness, 0.5).qd_score;
            assert!(score > last);
            last = score;
        }
    }
}
