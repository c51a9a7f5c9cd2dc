//! For tests of strategies alone: one rank of several that never speak, an archive that is not there, a task of nothing.

use illume_core::{
    Archive, ArchiveSpec, Axis, Batch, Candidates, Comm, Context, Elites, Fetched, Inbox, Init, Next, Result, Scratch,
    Status, Strategy, TaskSpec, Told,
};

/// (rank, size): for strategies that send nothing.
pub(crate) struct Silent(pub usize, pub usize);

impl Comm for Silent {
    fn rank(&self) -> usize {
        self.0
    }

    fn size(&self) -> usize {
        self.1
    }

    fn all_gather(&self, _mine: &[u8], _counts: &[usize], _out: &mut Vec<u8>) -> Result<()> {
        unreachable!("nothing is sent")
    }

    fn broadcast(&self, _root: usize, _data: &mut Vec<u8>) -> Result<()> {
        unreachable!("nothing is sent")
    }

    fn all_to_all(&self, _send: &[Vec<u8>], _receive: &[usize]) -> Result<Vec<Vec<u8>>> {
        unreachable!("nothing is sent")
    }

    fn any(&self, _word: u64) -> Result<u64> {
        unreachable!("nothing is sent")
    }
}

/// For strategies that ask nothing of the archive.
pub(crate) struct NoArchive;

impl Archive for NoArchive {
    fn spec(&self) -> &ArchiveSpec {
        unreachable!("the archive is not looked at")
    }

    fn locate(&self, _descriptors: &[f64], _cells: &mut [i64]) {
        unreachable!("the archive is not looked at")
    }

    fn elites(&self) -> &Elites {
        unreachable!("the archive is not looked at")
    }

    fn fetch<'a>(
        &'a self,
        _cells: &[u32],
        _bounds: &[usize],
        _comm: &dyn Comm,
        _inbox: &'a mut Inbox,
    ) -> Result<Fetched<'a>> {
        unreachable!("the archive is not looked at")
    }
}

/// A task of genomes with these many genes, normal at first.
pub(crate) fn task(genome_dim: usize, deterministic: bool) -> TaskSpec {
    TaskSpec {
        descriptor: vec![Axis::new("", "", 0.0, 1.0)],
        deterministic,
        max_steps: 100,
        test_steps: 100,
        ..TaskSpec::new("", genome_dim, Init::Normal { mean: 0.0, sd: 1.0 })
    }
}

/// What a score is made of: genes and evaluation seed, and whether the row only tests.
pub(crate) type Score<'a> = &'a dyn Fn(&[f32], u64, bool) -> f64;

/// One generation of a strategy on one rank, scored by a function; NaN is a failure.
pub(crate) fn generation(strategy: &mut dyn Strategy, context: &Context<'_>, last: bool, score: Score<'_>) {
    let mut candidates = Candidates::default();
    loop {
        strategy.ask(context, &NoArchive, &mut candidates).unwrap();
        let mut scratch = Scratch::default();
        let fitness: Vec<f64> = (0..candidates.total)
            .map(|row| {
                let genes = candidates.genomes.genes(row, &mut scratch);
                score(genes, candidates.seeds[row], candidates.tests.contains(&row))
            })
            .collect();
        let failed = |f: &f64| if f.is_nan() { Status::Failed } else { Status::Ok } as u8;
        let mut rows = Batch::new();
        rows.push("status", 1, "", "", fitness.iter().map(failed).collect());
        rows.push("fitness", 1, "", "", fitness);
        let told = Told {
            candidates: &candidates,
            rows: &rows,
            moments: &[],
            trajectories: &[],
            report: None,
            last,
        };
        if strategy.tell(context, &told).unwrap() == Next::Generation {
            return;
        }
    }
}

/// The value of a history column after the last generation.
pub(crate) fn shown(strategy: &dyn Strategy, column: &str) -> f64 {
    let mut row = Vec::new();
    strategy.history(&mut row);
    let names = &strategy.spec().history;
    row[names.iter().position(|(name, ..)| name == column).unwrap()]
}
