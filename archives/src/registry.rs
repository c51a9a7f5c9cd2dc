//! The archives that a configuration can name.

use std::path::Path;

use illume_core::params::{self, Params};
use illume_core::{ArchiveConfig, ArchiveEntry, ArchiveMut, ArchiveSpec, Axis, Cells, Error, Result, Rule};

use crate::archive::CellArchive;
use crate::deep::{self, DeepArchive, DepthParams};
use crate::division::Outside;
use crate::mome::FrontsArchive;
use crate::soft::{InsertionParams, SoftArchive, Thresholds};
use crate::unstructured::{Admission, Unstructured, UnstructuredArchive};
use crate::{container, cvt, dns, front};

/// Cells of a grid whose shape is not given.
const DEFAULT_CELLS: f64 = 10_000.0;

/// Bytes of a cell beside the descriptor: the columns of [`illume_core::Elites`], the slot of its genome, and the winner of a batch.
const CELL_BYTES: usize = 68;

/// The most cells an archive may have: cell numbers fit 31 bits.
pub(crate) const MOST_CELLS: usize = 1 << 31;

/// Keys of every archive, which are read before it is made.
pub(crate) const COMMON: [&str; 2] = ["kind", "qd_offset"];

illume_core::params! {
    /// Parameters of `archive.kind = "grid"`.
    pub struct GridParams {
        /// Cells along each axis of the descriptor; empty for 100 x 100 in two dimensions and about 10,000 cells in others.
        shape: Vec<usize> = Vec::new(), each(range(1, 1 << 31));
        /// Where a descriptor outside its bounds goes: "clip" to the nearest edge cell, or "reject".
        outside: String = "clip".into(), one_of(&["clip", "reject"]);
    }
}

illume_core::params! {
    /// Parameters of `archive.kind = "cvt"`.
    pub struct CvtParams {
        /// File of centroids of one's own, an array of numpy (.npy) or a table (.csv) with a row for each, in the descriptor's units; `cells`, `samples`, `iterations` and `seed` mean nothing then.
        centroids: String = String::new(), any();
        /// Number of cells.
        cells: usize = 1024, range(1, 1 << 24);
        /// Uniform samples from which the centroids are computed.
        samples: usize = 50_000, range(1, 1 << 30);
        /// Iterations of Lloyd's algorithm at most; it stops when no sample changes its centroid.
        iterations: usize = 100, range(0, 1_000_000);
        /// Seed of the samples; -1 for the run's seed.
        seed: i64 = -1, range(-1, i64::MAX);
        /// Where a descriptor outside its bounds goes: "clip" to the cell of the nearest centroid, or "reject".
        outside: String = "clip".into(), one_of(&["clip", "reject"]);
    }
}

illume_core::params! {
    /// Parameters of `archive.kind = "unstructured"`.
    pub struct UnstructuredParams {
        /// Nearest neighbours whose mean distance is a candidate's novelty.
        neighbours: usize = 25, range(1, 1 << 16);
        /// Who is admitted: "random" for each candidate with `probability`, "novelty" for those of at least `threshold`.
        admission: String = "random".into(), one_of(&["random", "novelty"]);
        /// Probability with which a candidate is admitted at random.
        probability: f64 = 0.01, range(0.0, 1.0);
        /// Novelty from which a candidate is admitted by its novelty, in the units of distances.
        threshold: f64 = 0.0, at_least(0.0);
        /// Most members: when it is full, none is admitted any more.
        capacity: usize = 1_000_000, range(1, 1 << 31);
        /// Whether distances are taken in units of each axis' extent instead of the axes' own.
        normalize: bool = false, any();
    }
}

/// Parameters of archives of cells beside their division.
type OfCells = (InsertionParams, DepthParams);

const GRID: ArchiveEntry = ArchiveEntry {
    check: deep::check,
    ..ArchiveEntry::new(
        "grid",
        "equal boxes in the descriptor space (MAP-Elites, Mouret and Clune 2015)",
        <(GridParams, OfCells)>::describe,
        "shape = [12, 12]",
        grid,
    )
};

const CVT: ArchiveEntry = ArchiveEntry {
    check: deep::check,
    ..ArchiveEntry::new(
        "cvt",
        "Voronoi cells of evenly spread centroids (CVT-MAP-Elites, Vassiliades et al. 2018)",
        <(CvtParams, OfCells)>::describe,
        "cells = 100\nsamples = 1000",
        cvt,
    )
};

const UNSTRUCTURED: ArchiveEntry = ArchiveEntry {
    novelty: true,
    check: |spec| Unstructured::of(spec).map(|_| ()),
    ..ArchiveEntry::new(
        "unstructured",
        "members without cells, for novelty by nearest neighbours (novelty search, Lehman and Stanley 2011)",
        UnstructuredParams::describe,
        "neighbours = 5\nprobability = 0.3",
        unstructured,
    )
};

/// All archives, by kind.
pub fn registry() -> &'static [ArchiveEntry] {
    &[GRID, CVT, UNSTRUCTURED, dns::ENTRY, container::ENTRY, front::ENTRY]
}

fn outside(word: &str) -> Outside {
    if word == "reject" {
        Outside::Reject
    } else {
        Outside::Clip
    }
}

fn grid(config: &ArchiveConfig<'_>) -> Result<Box<dyn ArchiveMut>> {
    let (params, of_cells): (GridParams, OfCells) = params::read(config.archive, "archive", &COMMON)?;
    let held = Held::of(&of_cells)?;
    let k = config.axes.len();
    let shape = match params.shape {
        empty if empty.is_empty() => vec![DEFAULT_CELLS.powf(1.0 / k.max(1) as f64).round().max(2.0) as usize; k],
        given => given,
    };
    if shape.len() != k {
        let message = match k {
            0 => format!(
                "{shape:?} has {} numbers, but the task has no descriptor: leave it out",
                shape.len()
            ),
            _ => format!(
                "{shape:?} has {} numbers, the task's descriptor has {k} axes: one is needed for each",
                shape.len()
            ),
        };
        return Err(Error::config("archive", "shape", message));
    }
    let Some(capacity) = capacity(&shape) else {
        let message = format!("{shape:?} makes more than 2^31 cells; take fewer, or kind = \"cvt\"");
        return Err(Error::config("archive", "shape", message));
    };
    check_axes(config.axes)?;
    claim_cells(config, "shape", capacity, &held)?;
    build(
        "grid",
        Cells::Grid { shape },
        capacity,
        outside(&params.outside),
        &held,
        config,
    )
}

fn cvt(config: &ArchiveConfig<'_>) -> Result<Box<dyn ArchiveMut>> {
    let (params, of_cells): (CvtParams, OfCells) = params::read(config.archive, "archive", &COMMON)?;
    let held = Held::of(&of_cells)?;
    if config.axes.is_empty() {
        if !params.centroids.is_empty() {
            let message = "expected none, as the task has no descriptor whose space centroids could divide";
            return Err(Error::config("archive", "centroids", message));
        }
        return build(
            "cvt",
            Cells::Cvt { centroids: Vec::new() },
            1,
            outside(&params.outside),
            &held,
            config,
        );
    }
    if !params.centroids.is_empty() {
        check_axes(config.axes)?;
        let centroids = cvt::of_file(Path::new(&params.centroids), config.axes)
            .map_err(|e| Error::config("archive", "centroids", e.to_string()))?;
        let cells = centroids.len() / config.axes.len();
        claim_cells(config, "centroids", cells, &held)?;
        let division = Cells::Cvt { centroids };
        return build("cvt", division, cells, outside(&params.outside), &held, config);
    }
    if params.cells > params.samples {
        let message = format!(
            "{} cells need at least as many samples, there are {}",
            params.cells, params.samples
        );
        return Err(Error::config("archive", "samples", message));
    }
    check_axes(config.axes)?;
    claim_cells(config, "cells", params.cells, &held)?;
    let sample = 8 * config.axes.len() + 8;
    let what = format!("{} samples for the centroids", params.samples);
    config
        .memory
        .claim("archive", "samples", params.samples as f64 * sample as f64, &what)?;
    let seed = u64::try_from(params.seed).unwrap_or(config.seed);
    let centroids = cvt::centroids(&params, seed, config.axes);
    build(
        "cvt",
        Cells::Cvt { centroids },
        params.cells,
        outside(&params.outside),
        &held,
        config,
    )
}

fn unstructured(config: &ArchiveConfig<'_>) -> Result<Box<dyn ArchiveMut>> {
    let params: UnstructuredParams = params::read(config.archive, "archive", &COMMON)?;
    if config.axes.is_empty() {
        let message = "an unstructured archive measures distances between descriptors, and the task has none";
        return Err(Error::config("archive", "kind", message));
    }
    check_axes(config.axes)?;
    let admission = match params.admission.as_str() {
        "random" => Admission::Random(params.probability),
        _ if params.threshold > 0.0 => Admission::Novelty(params.threshold),
        _ => {
            let message = "admission = \"novelty\" needs a threshold above 0, a distance between descriptors";
            return Err(Error::config("archive", "threshold", message));
        }
    };
    let spec = ArchiveSpec {
        kind: "unstructured".into(),
        axes: config.axes.to_vec(),
        cells: Cells::None,
        capacity: params.capacity,
        qd_offset: config.qd_offset,
        rules: Unstructured {
            neighbours: params.neighbours,
            admission,
            normalize: params.normalize,
        }
        .rules(),
    };
    let archive = UnstructuredArchive::new(spec, config.seed, config.genome_dim, config.lineage)?;
    Ok(Box::new(archive))
}

fn build(
    kind: &str,
    cells: Cells,
    capacity: usize,
    outside: Outside,
    held: &Held,
    config: &ArchiveConfig<'_>,
) -> Result<Box<dyn ArchiveMut>> {
    let (axes, qd_offset) = (config.axes.to_vec(), config.qd_offset);
    let spec = ArchiveSpec {
        kind: kind.into(),
        axes,
        cells,
        capacity,
        qd_offset,
        rules: match held {
            Held::Several(depth) => depth.rules(),
            _ => Vec::new(),
        },
    };
    let archive = || CellArchive::new(spec.clone(), outside, config.genome_dim, config.lineage);
    Ok(match held {
        Held::One { single } => Box::new(archive()?.judging(*single)),
        Held::Soft { rule, single } => Box::new(SoftArchive::new(archive()?.soft(*rule)?.judging(*single), archive()?)),
        Held::Several(depth) if depth.keeps_fronts() => Box::new(FrontsArchive::new(spec, outside, config)?),
        Held::Several(_) => Box::new(DeepArchive::new(spec, outside, config)?),
    })
}

/// What cells hold.
pub(crate) enum Held {
    /// An elite each; `single` if the candidates of a generation are judged one after another.
    One { single: bool },
    /// The same with soft thresholds.
    Soft { rule: Thresholds, single: bool },
    /// Several elites.
    Several(DepthParams),
}

impl Held {
    fn of((insertion, depth): &OfCells) -> Result<Held> {
        depth.check()?;
        let (rule, single) = (Thresholds::new(insertion), insertion.is_single());
        if depth.is_plain() {
            return Ok(match rule {
                None => Held::One { single },
                Some(rule) => Held::Soft { rule, single },
            });
        }
        let several = "for cells of several elites (archive.depth, archive.keep)";
        if rule.is_some() {
            let message = format!("expected 1.0 {several}, which have no thresholds");
            return Err(Error::config("archive", "learning_rate", message));
        }
        if single {
            let message = format!("expected \"batch\" {several}, got \"single\"");
            return Err(Error::config("archive", "add_mode", message));
        }
        Ok(Held::Several(depth.clone()))
    }
}

/// Claims what an archive of so many cells takes beside the genomes: an elite's numbers, and where its genome is.
pub(crate) fn claim_cells(config: &ArchiveConfig<'_>, key: &str, cells: usize, held: &Held) -> Result<()> {
    let elite = (CELL_BYTES + 8 * config.axes.len()) as f64;
    let cell = match held {
        Held::One { .. } => elite,
        // The best of all beside those that are bred from, which have a threshold and what exceeded it.
        Held::Soft { .. } => 2.0 * elite + 24.0,
        // The best of each beside its members, which have the number of their cell as well.
        Held::Several(depth) => elite + depth.depth as f64 * (elite + 16.0),
    };
    let what = match held {
        Held::Several(depth) if depth.depth > 1 => format!("{cells} cells of {} elites", depth.depth),
        _ => format!("{cells} cells"),
    };
    config.memory.claim("archive", key, cells as f64 * cell, &what)
}

/// The product of a shape, if it is a possible number of cells.
pub(crate) fn capacity(shape: &[usize]) -> Option<usize> {
    let product = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    product.filter(|p| (1..=MOST_CELLS).contains(p))
}

pub(crate) fn check_axes(axes: &[Axis]) -> Result<()> {
    for axis in axes {
        let extent = axis.upper - axis.lower;
        if !(axis.lower.is_finite() && axis.upper.is_finite() && extent.is_finite() && extent > 0.0) {
            return Err(Error::input(format!(
                "descriptor axis '{}' has the bounds {} and {}; they must be finite and rising",
                axis.name, axis.lower, axis.upper
            )));
        }
    }
    Ok(())
}

/// Whether the parts of a spec fit one another.
///
/// # Errors
/// They do not.
pub(crate) fn check_spec(spec: &ArchiveSpec) -> Result<()> {
    check_axes(&spec.axes)?;
    let k = spec.axes.len();
    let capacity = match &spec.cells {
        // Elites without cells are told apart by their descriptors, the task's or learned ones, or by their objectives.
        Cells::None => {
            let learned = matches!(spec.rule("codes"), Some(Rule::Count(1..)));
            let told_apart = k > 0 || learned || spec.kind == front::ENTRY.kind;
            Some(spec.capacity).filter(|c| told_apart && (1..=MOST_CELLS).contains(c))
        }
        _ if k == 0 => Some(1),
        Cells::Grid { shape } => capacity(shape).filter(|_| shape.len() == k),
        Cells::Cvt { centroids } => {
            let whole = centroids.len().is_multiple_of(k) && centroids.iter().all(|x| x.is_finite());
            Some(centroids.len() / k).filter(|cells| whole && (1..=MOST_CELLS).contains(cells))
        }
    };
    if spec.most_elites() > MOST_CELLS {
        return Err(Error::input(format!(
            "an archive of {} cells may not hold 2^31 elites",
            spec.capacity
        )));
    }
    if capacity != Some(spec.capacity) {
        return Err(Error::input(format!(
            "an archive of {} cells over {k} axes does not fit its cells",
            spec.capacity
        )));
    }
    let entry = registry().iter().find(|entry| entry.kind == spec.kind);
    entry.map_or(Ok(()), |entry| (entry.check)(spec))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_build(toml: &str, axes: &[Axis]) -> Result<Box<dyn ArchiveMut>> {
        let table: illume_core::toml::Table = toml.parse().unwrap();
        let kind = table["kind"].as_str().unwrap().to_string();
        let entry = registry().iter().find(|e| e.kind == kind).unwrap();
        (entry.build)(&ArchiveConfig {
            archive: &table,
            seed: 1,
            axes,
            objectives: &[],
            genome_dim: 3,
            qd_offset: 0.0,
            lineage: false,
            learned: 0,
            memory: &illume_core::Memory::alone(1e9),
        })
    }

    fn unit(k: usize) -> Vec<Axis> {
        (0..k).map(|i| Axis::new(&format!("x{i}"), "m", 0.0, 1.0)).collect()
    }

    fn refusal(toml: &str, axes: &[Axis]) -> String {
        try_build(toml, axes).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_grid_has_about_ten_thousand_cells_unless_told() {
        for (k, cells) in [
            (0, 1),
            (1, 10_000),
            (2, 10_000),
            (3, 22 * 22 * 22),
            (4, 10_000),
            (20, 1 << 20),
        ] {
            assert_eq!(
                try_build("kind = \"grid\"", &unit(k)).unwrap().spec().capacity,
                cells,
                "{k} axes"
            );
        }
    }

    #[test]
    fn a_task_without_a_descriptor_has_one_cell() {
        for kind in ["kind = \"grid\"", "kind = \"cvt\""] {
            let archive = try_build(kind, &[]).unwrap();
            let mut cells = [7, 7];
            archive.locate(&[], &mut cells);
            assert_eq!((archive.spec().capacity, cells), (1, [0, 0]));
        }
    }

    #[test]
    fn wrong_parameters_are_refused_in_one_clear_sentence() {
        let cases = [
            ("kind = \"grid\"\nshape = [10]", 2, "2 axes"),
            ("kind = \"grid\"\nshape = [10, 10]", 0, "no descriptor"),
            ("kind = \"grid\"\nshape = [100000, 100000]", 2, "2^31"),
            (
                "kind = \"grid\"\nshape = [2147483648, 2147483648, 2147483648]",
                3,
                "2^31",
            ),
            ("kind = \"grid\"\nshape = [0, 3]", 2, "archive.shape"),
            ("kind = \"grid\"\nshape = [-1, 3]", 2, "archive.shape"),
            ("kind = \"grid\"\nshapes = [3, 3]", 2, "did you mean \"shape\""),
            ("kind = \"grid\"\noutside = \"wrap\"", 2, "\"reject\""),
            ("kind = \"cvt\"\ncells = 100\nsamples = 99", 2, "archive.samples"),
            // More than the gigabyte that there is.
            (
                "kind = \"grid\"\nshape = [40000, 50000]",
                2,
                "archive.shape: 2000000000 cells would take 168.0 GB",
            ),
            (
                "kind = \"cvt\"\nsamples = 1073741824",
                2,
                "archive.samples: 1073741824 samples",
            ),
            (
                "kind = \"cvt\"\ncells = 16777216\nsamples = 16777216",
                2,
                "archive.cells: 16777216 cells",
            ),
        ];
        for (toml, k, part) in cases {
            let message = refusal(toml, &unit(k));
            assert!(message.contains(part) && !message.contains('\n'), "{toml}: {message}");
        }
        for (lower, upper) in [(0.0, f64::INFINITY), (f64::NAN, 1.0), (1.0, 1.0), (2.0, 1.0)] {
            let message = refusal("kind = \"grid\"", &[Axis::new("speed", "m/s", lower, upper)]);
            assert!(message.contains("'speed'"), "{message}");
        }
    }

    #[test]
    fn every_entry_describes_its_parameters() {
        for entry in registry() {
            assert!(!entry.summary.is_empty() && !(entry.params)().is_empty());
        }
    }
}
