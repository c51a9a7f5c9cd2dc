//! An archive of one's own: a grid in which an elite is replaced only by who is better by a margin, so that small differences, which noise
//! can make, change nothing.

// ANCHOR: uses
use std::ops::Range;

use illume::archives::CellArchive;
use illume::cluster::Solo;
use illume::core::{
    Archive, ArchiveMut, ArchiveSpec, Batch, Cells, Comm, Elites, Fetched, Genomes, Inbox, InsertReport, NOT_OFFERED,
    Offer, Result, Rule, TaskSpec,
};
use illume::strategies::MapElitesParams;
use illume::{Budget, Config, Run, Settings, registry};
// ANCHOR_END: uses

// ANCHOR: archive
/// A grid with a margin. The cells, the genomes and what ranks exchange are the ordinary archive's.
pub struct MarginArchive {
    cells: CellArchive,
    margin: f64,
    /// The rows that are offered, kept for its memory.
    rows: Batch,
}

impl MarginArchive {
    pub fn new(task: &TaskSpec, shape: Vec<usize>, margin: f64) -> Result<MarginArchive> {
        let spec = ArchiveSpec {
            kind: "grid".into(),
            axes: task.descriptor.clone(),
            capacity: shape.iter().product(),
            cells: Cells::Grid { shape },
            qd_offset: task.qd_offset,
            // Written into the file, and shown by `illume info`.
            rules: vec![("margin".into(), Rule::Number(margin))],
        };
        Ok(MarginArchive {
            cells: CellArchive::from_spec(&spec, task.genome_dim, false)?,
            margin,
            rows: Batch::new(),
        })
    }
}

impl Archive for MarginArchive {
    fn spec(&self) -> &ArchiveSpec {
        self.cells.spec()
    }

    fn locate(&self, descriptors: &[f64], cells: &mut [i64]) {
        self.cells.locate(descriptors, cells);
    }

    fn elites(&self) -> &Elites {
        self.cells.elites()
    }

    fn fetch<'a>(
        &'a self,
        cells: &[u32],
        bounds: &[usize],
        comm: &dyn Comm,
        inbox: &'a mut Inbox,
    ) -> Result<Fetched<'a>> {
        self.cells.fetch(cells, bounds, comm, inbox)
    }
}

impl ArchiveMut for MarginArchive {
    fn insert(
        &mut self,
        rows: &Batch,
        block: Range<usize>,
        genomes: &Genomes,
        offer: &Offer,
        comm: &dyn Comm,
        report: &mut InsertReport,
    ) -> Result<()> {
        self.rows.clone_from(rows);
        let fitness: &[f64] = rows.get("fitness")?;
        let elites = self.cells.elites().fitness();
        let cells = self.rows.get_mut::<i64>("cell")?;
        for (cell, fitness) in cells.iter_mut().zip(fitness) {
            // An empty cell's fitness is NaN, and then this is false.
            if *cell >= 0 && *fitness < elites[*cell as usize] + self.margin {
                *cell = NOT_OFFERED;
            }
        }
        self.cells.insert(&self.rows, block, genomes, offer, comm, report)
    }

    fn restore(&mut self, rows: &Batch, genomes: &Genomes, comm: &dyn Comm) -> Result<()> {
        self.cells.restore(rows, genomes, comm)
    }
}
// ANCHOR_END: archive

// ANCHOR: main
pub fn main() -> Result<()> {
    let file = "[task]\nname = \"arm\"\njoints = 10\n[strategy]\nname = \"map_elites\"";
    let task = registry::task(&Config::parse(file, "arm", &[])?)?;
    for margin in [0.0, 0.01] {
        let strategy = registry::strategy_of("map_elites", &MapElitesParams::default(), task.spec())?;
        let archive = MarginArchive::new(task.spec(), vec![30, 30], margin)?;
        let settings = Settings {
            seed: 1,
            budget: Budget {
                evaluations: 100_000,
                ..Budget::default()
            },
            ..Settings::default()
        };
        let mut run = Run::from_parts(task.as_ref(), strategy, Box::new(archive), settings, &Solo)?;
        while run.generation()? {}
        println!("margin {margin}: {:?}", run.metrics());
        run.write("margin.h5".as_ref(), false)?;
    }
    Ok(())
}
// ANCHOR_END: main
