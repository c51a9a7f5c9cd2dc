//! An emitter of one's own: candidates are elites with a few of their genes drawn anew, beside those of iso+line-dd.

// ANCHOR: uses
use illume::archives::GridParams;
use illume::cluster::Solo;
use illume::core::{Archive, Context, Inbox, InsertReport, Purpose, Result, State, Stream, Told};
use illume::strategies::emitters::{Emitter, Part, Proposal, Rows};
use illume::strategies::{BatchParams, strategy_of_emitters};
use illume::{Budget, Config, Run, Settings, registry};
// ANCHOR_END: uses

// ANCHOR: emitter
/// Draws each gene of an elite anew with probability `rate`.
pub struct Redraw {
    batch: usize,
    rate: f64,
    inbox: Inbox,
}

impl Redraw {
    pub fn new(batch: usize, rate: f64) -> Redraw {
        Redraw {
            batch,
            rate,
            inbox: Inbox::default(),
        }
    }

    /// The elites that candidates of these global rows begin from. Every rank can say it of every row.
    fn parents(stream: &Stream, rows: std::ops::Range<usize>, filled: &[u32]) -> Vec<u32> {
        let mut words = vec![0; rows.len()];
        stream.words(rows.start as u64, &mut words);
        let drawn = |word: u32| filled[((u64::from(word) * filled.len() as u64) >> 32) as usize];
        words.into_iter().map(drawn).collect()
    }
}

impl Emitter for Redraw {
    fn parts(&self) -> Vec<Part> {
        vec![Part::new("redraw", self.batch)]
    }

    fn needs_elites(&self) -> bool {
        true
    }

    /// Genomes of elites may have to come from other ranks: so it is asked when it may speak with them.
    fn in_turn(&self, _ranks: usize) -> bool {
        true
    }

    fn ask(&mut self, context: &Context<'_>, archive: &dyn Archive, proposal: Proposal<'_>) -> Result<()> {
        let filled = archive.elites().filled.as_slice();
        let selection = Stream::new(context.seed, Purpose::Selection, context.generation, 0);
        // The parents of all candidates, rank by rank: each rank hears which genomes the others want, without being asked.
        let (mut wanted, mut bounds) = (Vec::new(), vec![0]);
        for rank in 0..context.comm.size() {
            let block = illume::core::block(proposal.total, rank, context.comm.size());
            for run in proposal.rows.within(block) {
                wanted.extend(Self::parents(&selection, run.rows, filled));
            }
            bounds.push(wanted.len());
        }
        let fetched = archive.fetch(&wanted, &bounds, context.comm, &mut self.inbox)?;
        let dim = context.task.genome_dim;
        let mut fresh = vec![0.0; dim];
        let mut words = vec![0; dim];
        for piece in proposal.pieces {
            let rows = piece.first..piece.first + piece.rows();
            let parents = Self::parents(&selection, rows.clone(), filled);
            let genomes = fetched.genomes(&parents)?;
            for (i, row) in rows.enumerate() {
                let child = &mut piece.genes[i * dim..(i + 1) * dim];
                child.copy_from_slice(genomes[i].dense()?);
                // Whatever is random is drawn from a stream that the run's seed, the generation and the row address: so it is the same on any rank.
                let draw = |purpose| Stream::new(context.seed, purpose, context.generation, row as u64);
                context.task.init.draw(&draw(Purpose::Init), &mut fresh);
                draw(Purpose::Variation).words(0, &mut words);
                for (gene, (new, word)) in child.iter_mut().zip(fresh.iter().zip(&words)) {
                    if f64::from(*word) < self.rate * f64::from(u32::MAX) {
                        *gene = *new;
                    }
                }
                piece.parents[2 * i] = i64::from(parents[i]);
            }
        }
        Ok(())
    }

    /// It learns nothing: one that does finds fitness, descriptors and cells of its rows here, and what the archive made of them.
    fn tell(&mut self, _: &Context<'_>, _: &Told<'_>, _: &InsertReport, _: &Rows<'_>) -> Result<()> {
        Ok(())
    }

    /// Nothing to remember: seed, generation and archive are all that it goes by.
    fn save(&self, _: &Context<'_>) -> Result<State> {
        Ok(State::default())
    }

    fn load(&mut self, _: &Context<'_>, _: &State) -> Result<()> {
        Ok(())
    }
}
// ANCHOR_END: emitter

// ANCHOR: main
pub fn main() -> Result<()> {
    let file = "[task]\nname = \"rastrigin\"\ndim = 20\n[strategy]\nname = \"map_elites\"";
    let task = registry::task(&Config::parse(file, "rastrigin", &[])?)?;
    // One of the registry's beside ours; `illume list multi_emitter` names the kinds.
    let mut emitters = registry::emitters_of("iso_line", &BatchParams { batch: 100 }, task.spec())?;
    emitters.push(Box::new(Redraw::new(100, 0.1)));
    let strategy = strategy_of_emitters("redraw", 0, emitters)?;
    let grid = GridParams {
        shape: vec![40, 40],
        ..GridParams::default()
    };
    let archive = registry::archive_of("grid", &grid, task.spec())?;
    let settings = Settings {
        seed: 1,
        budget: Budget {
            evaluations: 200_000,
            ..Budget::default()
        },
        ..Settings::default()
    };
    let mut run = Run::from_parts(task.as_ref(), strategy, archive, settings, &Solo)?;
    while run.generation()? {}
    println!("{:?}", run.metrics());
    run.write("redraw.h5".as_ref(), false)
}
// ANCHOR_END: main
