//! Variation of genes that are integers or categories (`[[task.genes]]`), which follows that of the others: an operator moves the coordinates of all genes as if
//! they were real, and what it did to a discrete one is then said in cells.
//!
//! An integer takes the step in cells with randomized rounding: the integer part, and one more with the probability of the fraction, so that its mean is the
//! step and no step is too small to count (to the nearest, as Deb's program rounds real codes, nothing below half a cell would ever change it). A category has no
//! direction. It becomes the second parent's with the probability that is the share of the way that the child's line goes, and is otherwise
//! drawn anew with the probability with which the isotropic step would change an integer of as many values; polynomial mutation draws it anew where it mutates.

use std::ops::Range;

use illume_core::{GeneSpace, Stream, cell, middle};

/// The mean size of a standard normal number, sqrt(2 / pi).
const MEAN_SIZE: f32 = 0.797_884_6;

/// The discrete genes of a task.
pub struct Discrete {
    runs: Vec<Run>,
    /// How many there are.
    genes: usize,
}

struct Run {
    genes: Range<usize>,
    cells: u32,
    ordered: bool,
}

impl Discrete {
    /// None where all genes are real.
    pub fn of(genes: Option<&GeneSpace>) -> Option<Discrete> {
        let runs = genes?.runs().filter_map(|(genes, group)| {
            let cells = group.cells()?;
            let ordered = !group.unordered();
            Some(Run { genes, cells, ordered })
        });
        let runs: Vec<Run> = runs.collect();
        let genes = runs.iter().map(|run| run.genes.len()).sum();
        (genes > 0).then_some(Discrete { runs, genes })
    }

    /// Each discrete gene of the row with its cells, whether these have an order, and two uniform numbers of its own.
    fn draws(&self, stream: &Stream, row: u64) -> impl Iterator<Item = (usize, u32, bool, [f32; 2])> {
        let mut draws = vec![0.0f32; 2 * self.genes];
        stream.uniforms(row * draws.len() as u64, &mut draws);
        let genes = self
            .runs
            .iter()
            .flat_map(|run| run.genes.clone().map(move |gene| (gene, run)));
        let places = genes.enumerate();
        places.map(move |(i, (gene, run))| (gene, run.cells, run.ordered, [draws[2 * i], draws[2 * i + 1]]))
    }

    /// What iso+line-dd did to a row: `child` holds the coordinates that it made of `parents`; `line` is the share of the way to the second one, `iso` the standard
    /// deviation of its noise.
    pub fn iso_line(&self, child: &mut [f32], parents: [&[f32]; 2], iso: f32, line: f32, stream: &Stream, row: u64) {
        for (gene, cells, ordered, [first, second]) in self.draws(stream, row) {
            let from = cell(parents[0][gene], cells);
            let redrawn = (iso * cells as f32 * MEAN_SIZE).min(1.0);
            let to = if ordered {
                stepped(from, child[gene] - parents[0][gene], cells, first)
            } else if first < line.abs() {
                cell(parents[1][gene], cells)
            } else if second < redrawn {
                another(from, cells, second / redrawn)
            } else {
                from
            };
            child[gene] = middle(to, cells);
        }
    }

    /// What simulated binary crossover did to a pair that it crossed. An integer takes the step from its own parent; a category is either parent's, with probability one half.
    pub fn crossover(&self, children: [&mut [f32]; 2], parents: [&[f32]; 2], stream: &Stream, pair: u64) {
        let [a, b] = children;
        for (gene, cells, ordered, [first, second]) in self.draws(stream, pair) {
            let from = [0, 1].map(|i| cell(parents[i][gene], cells));
            let to = if ordered {
                let step = [a[gene] - parents[0][gene], b[gene] - parents[1][gene]];
                [
                    stepped(from[0], step[0], cells, first),
                    stepped(from[1], step[1], cells, second),
                ]
            } else if first < 0.5 {
                [from[1], from[0]]
            } else {
                from
            };
            (a[gene], b[gene]) = (middle(to[0], cells), middle(to[1], cells));
        }
    }

    /// What polynomial mutation did to a row.
    pub fn polynomial(&self, child: &mut [f32], parent: &[f32], stream: &Stream, row: u64) {
        for (gene, cells, ordered, [first, _]) in self.draws(stream, row) {
            let (from, step) = (cell(parent[gene], cells), child[gene] - parent[gene]);
            let to = match (step == 0.0, ordered) {
                (true, _) => from,
                (false, true) => stepped(from, step, cells, first),
                (false, false) => another(from, cells, first),
            };
            child[gene] = middle(to, cells);
        }
    }
}

/// The cell that a step of a coordinate leads to, by a uniform number.
fn stepped(from: u32, step: f32, cells: u32, draw: f32) -> u32 {
    let by = (f64::from(step) * f64::from(cells) + f64::from(draw)).floor();
    (f64::from(from) + by).clamp(0.0, f64::from(cells - 1)) as u32
}

/// One of the other cells, by a uniform number.
fn another(from: u32, cells: u32, draw: f32) -> u32 {
    let by = (f64::from(draw) * f64::from(cells - 1)) as u32;
    (from + 1 + by.min(cells - 2)) % cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variation::{iso_line_rows, polynomial};
    use illume_core::{GeneGroup, GeneKind, Purpose};

    const ROWS: usize = 20_000;

    /// One real gene, one integer of `values`, one category of `categories`.
    fn space(values: u32, categories: usize) -> GeneSpace {
        let numbers = |name: &str, kind: GeneKind, upper: u32| GeneGroup {
            name: name.into(),
            count: 1,
            kind,
            lower: 0.0,
            upper: f64::from(upper),
            unit: String::new(),
        };
        let labels = (0..categories).map(|i| i.to_string()).collect();
        GeneSpace::new(
            vec![
                numbers("x", GeneKind::Real, 1),
                numbers("n", GeneKind::Integer, values - 1),
                GeneGroup::categorical("c", 1, labels),
            ],
            "genes",
        )
        .unwrap()
    }

    fn stream(index: u64) -> Stream {
        Stream::new(7, Purpose::Variation, 3, index)
    }

    /// Children of two parents, as the emitter makes them, in values.
    fn children(space: &GeneSpace, parents: [[f32; 3]; 2], iso: f32, line: f32) -> Vec<[f32; 3]> {
        let discrete = Discrete::of(Some(space)).unwrap();
        let mut genes = vec![0.0; 3 * ROWS];
        stream(0).normals(0, &mut genes);
        let pairs: Vec<&[f32]> = parents.iter().map(|p| p.as_slice()).cycle().take(2 * ROWS).collect();
        iso_line_rows(&mut genes, &pairs, iso, &vec![line; ROWS], [0.0, 1.0]);
        let rows = genes.chunks_exact_mut(3).enumerate();
        rows.map(|(row, child)| {
            discrete.iso_line(child, [&parents[0], &parents[1]], iso, line, &stream(2), row as u64);
            let mut values = [0.0; 3];
            space.decode(child, &mut values);
            values
        })
        .collect()
    }

    fn share(of: impl Fn(&[f32; 3]) -> bool, rows: &[[f32; 3]]) -> f64 {
        rows.iter().filter(|row| of(row)).count() as f64 / rows.len() as f64
    }

    #[test]
    fn an_integer_moves_by_the_step_on_average_however_small_it_is() {
        let space = space(9, 3);
        let parent = [0.5, middle(4, 9), middle(1, 3)];
        for iso in [0.002f32, 0.02, 0.1] {
            let made = children(&space, [parent, parent], iso, 0.0);
            let mean = made.iter().map(|row| f64::from(row[1])).sum::<f64>() / ROWS as f64;
            let moved = made.iter().map(|row| f64::from((row[1] - 4.0).abs())).sum::<f64>() / ROWS as f64;
            let expected = f64::from(iso) * 9.0 * f64::from(MEAN_SIZE);
            assert!((mean - 4.0).abs() < 0.03, "{iso}: {mean}");
            assert!(
                (moved - expected).abs() < 0.08 * expected + 0.002,
                "{iso}: {moved}, expected {expected}"
            );
            // A category is redrawn as often, to either of the others.
            let redrawn = share(|row| row[2] != 1.0, &made);
            let expected = (f64::from(iso) * 3.0 * f64::from(MEAN_SIZE)).min(1.0);
            assert!((redrawn - expected).abs() < 0.08 * expected + 0.002, "{iso}: {redrawn}");
            let first = share(|row| row[2] == 0.0, &made);
            assert!((first - redrawn / 2.0).abs() < 0.01);
        }
    }

    #[test]
    fn on_the_line_categories_are_one_parents_and_integers_lie_between() {
        let space = space(9, 5);
        let parents = [[0.2, middle(2, 9), middle(0, 5)], [0.8, middle(7, 9), middle(4, 5)]];
        let made = children(&space, parents, 0.0, 0.3);
        assert!(
            made.iter()
                .all(|row| [0.0, 4.0].contains(&row[2]) && [3.0, 4.0].contains(&row[1]))
        );
        assert!((share(|row| row[2] == 4.0, &made) - 0.3).abs() < 0.015);
        let mean = made.iter().map(|row| f64::from(row[1])).sum::<f64>() / ROWS as f64;
        assert!((mean - 3.5).abs() < 0.02, "2 and 0.3 of 5 cells more: {mean}");
        // Equal parents without noise have equal children.
        let same = children(&space, [parents[0]; 2], 0.0, 0.3);
        assert!(same.iter().all(|row| row[1] == 2.0 && row[2] == 0.0));
    }

    #[test]
    fn children_stay_among_the_values_and_reach_all_of_them() {
        let space = space(4, 3);
        let made = children(
            &space,
            [[0.0, middle(0, 4), middle(2, 3)], [1.0, middle(3, 4), middle(0, 3)]],
            0.5,
            0.4,
        );
        for value in 0..4 {
            assert!(made.iter().any(|row| row[1] == value as f32));
        }
        assert!(
            made.iter()
                .all(|row| row[1] <= 3.0 && row[2] <= 2.0 && row[1].fract() == 0.0)
        );
    }

    #[test]
    fn polynomial_mutation_changes_the_stated_share_of_categories_and_moves_integers_by_its_step() {
        let space = space(9, 3);
        let discrete = Discrete::of(Some(&space)).unwrap();
        let parent = [0.5, middle(4, 9), middle(1, 3)];
        let (mut moved, mut as_real) = (0.0, 0.0);
        let mut made = Vec::new();
        for row in 0..ROWS as u64 {
            let mut child = [0.0; 3];
            polynomial(&mut child, &parent, &stream(1), row, 0.25, 10.0, [0.0, 1.0]);
            as_real += f64::from((child[1] - parent[1]).abs()) * 9.0;
            discrete.polynomial(&mut child, &parent, &stream(2), row);
            let mut values = [0.0; 3];
            space.decode(&child, &mut values);
            moved += f64::from((values[1] - 4.0).abs());
            made.push(values);
        }
        assert!((moved / as_real - 1.0).abs() < 0.08, "{moved} {as_real}");
        let redrawn = share(|row| row[2] != 1.0, &made);
        assert!((redrawn - 0.25).abs() < 0.01, "{redrawn}");
        assert!((share(|row| row[2] == 0.0, &made) - redrawn / 2.0).abs() < 0.01);
    }
}
