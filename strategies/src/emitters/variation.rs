//! Variation of elites: parents are drawn uniformly from the filled cells, and an operator makes a child of them. Of a cell of several elites the archive says which.

use illume_core::{Archive, Context, Inbox, InsertReport, Purpose, Result, State, Stream, Told};
use rayon::prelude::*;

use super::{Emitter, Part, Piece, Proposal, Rows, missing};
use crate::variation;

/// How a child is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Operator {
    /// Iso+LineDD with the standard deviations of its two steps.
    IsoLine { iso: f32, line: f32 },
    /// Polynomial mutation of the first parent, within bounds of its own.
    Polynomial { rate: f32, eta: f32, bounds: [f32; 2] },
}

impl Operator {
    pub fn name(self) -> &'static str {
        match self {
            Operator::IsoLine { .. } => "iso_line",
            Operator::Polynomial { .. } => "polynomial",
        }
    }
}

/// Genes that one parallel task makes, about: microseconds of work, so that threads end together.
const GENES_PER_TASK: usize = 1 << 11;
/// Rows of a task are a multiple of this, so that tasks mostly begin where a group of noise begins.
const ROWS_TOGETHER: usize = 16;

/// Varies elites by operators, each of which makes so many children.
pub(crate) struct Variation {
    parts: Vec<(Operator, usize)>,
    inbox: Inbox,
    wanted: Vec<u32>,
}

impl Variation {
    pub fn new(parts: Vec<(Operator, usize)>) -> Variation {
        Variation {
            parts,
            inbox: Inbox::default(),
            wanted: Vec::new(),
        }
    }
}

impl Emitter for Variation {
    fn parts(&self) -> Vec<Part> {
        let parts = self.parts.iter();
        parts
            .map(|(operator, rows)| Part::new(operator.name(), *rows))
            .collect()
    }

    fn needs_elites(&self) -> bool {
        true
    }

    fn in_turn(&self, _ranks: usize) -> bool {
        true
    }

    fn ask(&mut self, context: &Context<'_>, archive: &dyn Archive, proposal: Proposal<'_>) -> Result<()> {
        let selection = Stream::new(context.seed, Purpose::Selection, context.generation, 0);
        let (ranks, mut bounds) = (context.comm.size(), vec![0]);
        self.wanted.clear();
        // Every rank knows every candidate's parents, so genomes are sent without being asked for.
        for rank in (0..ranks).filter(|_| ranks > 1) {
            for run in proposal.rows.within(illume_core::block(proposal.total, rank, ranks)) {
                let at = self.wanted.len();
                self.wanted.resize(at + 2 * run.rows.len(), 0);
                select(&selection, run.rows.start, archive, &mut self.wanted[at..]);
            }
            bounds.push(self.wanted.len());
        }
        let fetched = archive.fetch(&self.wanted, &bounds, context.comm, &mut self.inbox)?;

        let free = [f32::NEG_INFINITY, f32::INFINITY];
        let limits = context.task.bounds.unwrap_or(free);
        let noise = Stream::new(context.seed, Purpose::Variation, context.generation, 0);
        let line_noise = Stream::new(context.seed, Purpose::Line, context.generation, 0);
        let mutation = Stream::new(context.seed, Purpose::Variation, context.generation, 1);
        let of_discrete = Stream::new(context.seed, Purpose::Variation, context.generation, 2);
        let discrete = variation::Discrete::of(context.task.genes.as_deref());
        let (dim, parts) = (context.task.genome_dim, &self.parts);
        let rows = match GENES_PER_TASK / dim {
            0 => 1,
            rows => rows.next_multiple_of(ROWS_TOGETHER),
        };
        let pieces: Vec<Piece<'_>> = proposal
            .pieces
            .into_iter()
            .flat_map(|piece| piece.chunks(rows))
            .collect();
        pieces.into_par_iter().try_for_each(|piece| {
            let (first, count, children) = (piece.first, piece.rows(), piece.genes);
            let mut chosen = vec![0; 2 * count];
            select(&selection, first, archive, &mut chosen);
            let cells = piece.parents.iter_mut().zip(&chosen);
            cells.for_each(|(cell, chosen)| *cell = i64::from(*chosen));
            let genes = |&cell: &u32| fetched.genome(cell).ok_or_else(|| missing(cell))?.dense();
            match parts[piece.part].0 {
                Operator::IsoLine { iso, line } => {
                    let parents = chosen.iter().map(genes).collect::<Result<Vec<&[f32]>>>()?;
                    noise.normals((first * dim) as u64, children);
                    let mut draws = vec![0.0; count];
                    line_noise.normals(first as u64, &mut draws);
                    draws.iter_mut().for_each(|l| *l *= line);
                    variation::iso_line_rows(children, &parents, iso, &draws, limits);
                    if let Some(discrete) = &discrete {
                        let rows = children.chunks_exact_mut(dim).zip(parents.chunks_exact(2)).zip(&draws);
                        for (row, ((child, pair), line)) in (first as u64..).zip(rows) {
                            discrete.iso_line(child, [pair[0], pair[1]], iso, *line, &of_discrete, row);
                        }
                    }
                }
                Operator::Polynomial { rate, eta, bounds } => {
                    for (i, child) in children.chunks_exact_mut(dim).enumerate() {
                        let row = (first + i) as u64;
                        let parent = genes(&chosen[2 * i])?;
                        variation::polynomial(child, parent, &mutation, row, rate, eta, bounds);
                        if let Some(discrete) = &discrete {
                            discrete.polynomial(child, parent, &of_discrete, row);
                        }
                        child.iter_mut().for_each(|x| *x = x.clamp(limits[0], limits[1]));
                        piece.parents[2 * i + 1] = -1;
                    }
                }
            }
            Ok(())
        })
    }

    fn tell(&mut self, _: &Context<'_>, _: &Told<'_>, _: &InsertReport, _: &Rows<'_>) -> Result<()> {
        Ok(())
    }

    /// Nothing: the archive and the generation's number are all that it varies by.
    fn save(&self, _context: &Context<'_>) -> Result<State> {
        Ok(State::default())
    }

    fn load(&mut self, _context: &Context<'_>, _state: &State) -> Result<()> {
        Ok(())
    }
}

/// Two parents, drawn uniformly from the archive's places, for each of the candidates from `first` on; `[candidates, 2]`. The archive has elites.
pub(crate) fn select(stream: &Stream, first: usize, archive: &dyn Archive, parents: &mut [u32]) {
    const PIECE: usize = 128;
    let (mut words, mut draws) = ([0; 2 * PIECE], [0; PIECE]);
    for (piece, parents) in parents.chunks_mut(PIECE).enumerate() {
        let start = 4 * first + piece * words.len();
        let words = &mut words[..2 * parents.len()];
        stream.words(start as u64, words);
        for (draw, w) in draws.iter_mut().zip(words.as_chunks::<2>().0) {
            *draw = u64::from(w[0]) | u64::from(w[1]) << 32;
        }
        archive.parents(&draws, parents);
    }
}

/// The parent of a uniform draw, from an archive that has elites.
pub(crate) fn drawn(archive: &dyn Archive, bits: u64) -> u32 {
    let mut parent = [0];
    archive.parents(&[bits], &mut parent);
    parent[0]
}
