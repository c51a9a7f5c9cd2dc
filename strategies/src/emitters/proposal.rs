//! Which rows of a phase are whose.

use std::ops::Range;

use super::Part;

/// Rows of an emitter's part that follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which of its emitter's parts.
    pub part: usize,
    /// Global rows of the phase.
    pub rows: Range<usize>,
}

/// An emitter's rows of a phase, over all ranks.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    pub phase: usize,
    /// Whether the phase is the last of its generation.
    pub last: bool,
    /// In order.
    pub runs: &'a [Run],
}

impl Rows<'_> {
    /// The global numbers of all.
    pub fn numbers(&self) -> Vec<usize> {
        self.runs.iter().flat_map(|run| run.rows.clone()).collect()
    }

    /// How many of them come before a global row.
    pub fn before(&self, row: usize) -> usize {
        let runs = self.runs.iter().take_while(|run| run.rows.start < row);
        runs.map(|run| run.rows.end.min(row) - run.rows.start).sum()
    }

    /// Its rows within `block`.
    pub fn within(&self, block: Range<usize>) -> impl Iterator<Item = Run> {
        within(self.runs, block)
    }
}

/// What of runs, which are in order, lies within `block`.
pub(crate) fn within(runs: &[Run], block: Range<usize>) -> impl Iterator<Item = Run> {
    let from = runs.partition_point(|run| run.rows.end <= block.start);
    let here = runs[from..].iter().take_while({
        let end = block.end;
        move |run| run.rows.start < end
    });
    here.map(move |run| Run {
        part: run.part,
        rows: run.rows.start.max(block.start)..run.rows.end.min(block.end),
    })
}

/// Rows of this rank that an emitter fills in.
#[derive(Debug)]
pub struct Piece<'a> {
    /// Which of its emitter's parts.
    pub part: usize,
    /// Global number of its first row.
    pub first: usize,
    /// `[rows, dim]`.
    pub genes: &'a mut [f32],
    /// Cells of the parents, `[rows, 2]`; -1, unless the emitter says so.
    pub parents: &'a mut [i64],
}

impl<'a> Piece<'a> {
    pub fn rows(&self) -> usize {
        self.parents.len() / 2
    }

    /// The same in pieces of at most `rows` rows.
    pub fn chunks(self, rows: usize) -> impl Iterator<Item = Piece<'a>> {
        let dim = self.genes.len() / self.rows().max(1);
        let parents = self.parents.chunks_mut(2 * rows);
        let parts = self.genes.chunks_mut((rows * dim).max(1)).zip(parents).enumerate();
        parts.map(move |(i, (genes, parents))| Piece {
            part: self.part,
            first: self.first + i * rows,
            genes,
            parents,
        })
    }
}

/// What an emitter is asked for in a phase.
#[derive(Debug)]
pub struct Proposal<'a> {
    pub rows: Rows<'a>,
    /// Candidates of the phase over all ranks and emitters.
    pub total: usize,
    /// This rank's own, in the order of the rows.
    pub pieces: Vec<Piece<'a>>,
}

/// Whether `row` is one of `n` that are spread evenly over `total`.
fn spread(row: usize, n: usize, total: usize) -> bool {
    (row + 1) * n / total > row * n / total
}

/// The rows of each emitter in a phase of `parts` (its emitter, its number there, what it is), and how many there are: spread parts are spread over the rows that are left, the others
/// have what is left in their order.
pub(crate) fn layout(parts: &[(usize, usize, &Part)], emitters: usize) -> (Vec<Vec<Run>>, usize) {
    let total: usize = parts.iter().map(|(.., part)| part.rows).sum();
    let mut owner = vec![usize::MAX; total];
    let mut left: Vec<usize> = (0..total).collect();
    for (i, (.., part)) in parts.iter().enumerate().filter(|(_, (.., part))| part.spread) {
        let n = left.len();
        let mut at = 0..n;
        left.retain(|row| {
            let taken = spread(at.next().expect("one for each"), part.rows, n);
            if taken {
                owner[*row] = i;
            }
            !taken
        });
    }
    let others = parts.iter().enumerate().filter(|(_, (.., part))| !part.spread);
    let others = others.flat_map(|(i, (.., part))| std::iter::repeat_n(i, part.rows));
    left.iter().zip(others).for_each(|(row, i)| owner[*row] = i);
    let mut runs = vec![Vec::new(); emitters];
    let mut start = 0;
    for same in owner.chunk_by(|a, b| a == b) {
        let (emitter, part, _) = parts[same[0]];
        let rows = start..start + same.len();
        start = rows.end;
        runs[emitter].push(Run { part, rows });
    }
    (runs, total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(rows: usize, spread: bool) -> Part {
        Part {
            spread,
            ..Part::new("", rows)
        }
    }

    #[test]
    fn every_block_has_its_share_of_what_is_spread() {
        for (total, n) in [(256, 64), (192, 64), (256, 1), (7, 7), (5, 0), (10, 3)] {
            let (rest, spread) = (part(total - n, false), part(n, true));
            let (runs, all) = layout(&[(0, 0, &rest), (1, 0, &spread)], 2);
            assert_eq!(all, total);
            let count = |emitter: usize, block: Range<usize>| -> usize {
                let rows = Rows {
                    phase: 0,
                    last: true,
                    runs: &runs[emitter],
                };
                rows.within(block).map(|run| run.rows.len()).sum()
            };
            assert_eq!(
                [count(0, 0..total), count(1, 0..total)],
                [total - n, n],
                "{n} of {total}"
            );
            for size in 1..=4.min(total) {
                for rank in 0..size {
                    let block = illume_core::block(total, rank, size);
                    let share = block.len() as f64 * n as f64 / total as f64;
                    let here = count(1, block.clone());
                    assert!(
                        (here as f64 - share).abs() <= 1.0,
                        "{n} of {total}, rank {rank} of {size}"
                    );
                    assert_eq!(here + count(0, block.clone()), block.len());
                }
            }
        }
    }

    #[test]
    fn parts_that_are_not_spread_follow_one_another_on_the_rows_that_are_left() {
        let (a, b, c) = (part(3, false), part(2, true), part(1, false));
        // Of six rows the third and the sixth are spread.
        let (runs, _) = layout(&[(0, 0, &a), (1, 0, &b), (0, 1, &c)], 2);
        let run = |part, rows| Run { part, rows };
        assert_eq!(runs[0], [run(0, 0..2), run(0, 3..4), run(1, 4..5)]);
        assert_eq!(runs[1], [run(0, 2..3), run(0, 5..6)]);
        let rows = Rows {
            phase: 0,
            last: true,
            runs: &runs[0],
        };
        assert_eq!(rows.numbers(), [0, 1, 3, 4]);
        assert_eq!([0, 2, 3, 4, 9].map(|row| rows.before(row)), [0, 2, 2, 3, 4]);
        assert_eq!(rows.within(1..4).collect::<Vec<_>>(), [run(0, 1..2), run(0, 3..4)]);
    }

    #[test]
    fn a_piece_in_chunks_is_the_piece() {
        let (mut genes, mut parents) = ([0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0], [-1; 6]);
        let piece = Piece {
            part: 1,
            first: 7,
            genes: &mut genes,
            parents: &mut parents,
        };
        let chunks: Vec<(usize, usize, Vec<f32>)> =
            piece.chunks(2).map(|p| (p.first, p.rows(), p.genes.to_vec())).collect();
        assert_eq!(chunks, [(7, 2, vec![0.0, 1.0, 2.0, 3.0]), (9, 1, vec![4.0, 5.0])]);
    }
}
