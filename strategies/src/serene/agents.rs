//! Agents: what a search remembers of a candidate, in lists that all ranks hold whole.

use illume_core::{Batch, Error, Result};
use rayon::prelude::*;

/// A candidate as it is remembered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Agent {
    /// Empty where nobody descends from it any more.
    pub genes: Vec<f32>,
    /// Where it is in the space of behaviours: its descriptor, or its code.
    pub place: Vec<f64>,
    /// What an encoder sees of it; empty where there is none.
    pub features: Vec<f32>,
    pub reward: f64,
    /// How badly the encoder gives back what it sees of it.
    pub surprise: f64,
    /// An emitter has begun from it.
    pub used: bool,
}

impl Agent {
    /// The same without its genes.
    pub fn remembered(&self) -> Agent {
        Agent {
            genes: Vec::new(),
            ..self.clone()
        }
    }
}

/// How many numbers an agent has of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Widths {
    pub genes: usize,
    pub place: usize,
    pub features: usize,
}

/// Agents as a table; with their genes where `genes` of the widths is not 0.
pub(super) fn table<'a>(agents: impl Iterator<Item = &'a Agent> + Clone, widths: Widths) -> Batch {
    let mut table = Batch::new();
    let all = || agents.clone();
    table.push("reward", 1, "", "fitness", all().map(|a| a.reward).collect());
    table.push(
        "surprise",
        1,
        "",
        "error of what the encoder gives back",
        all().map(|a| a.surprise).collect(),
    );
    table.push(
        "used",
        1,
        "",
        "whether an emitter has begun from it",
        all().map(|a| u8::from(a.used)).collect(),
    );
    let place = all().flat_map(|a| a.place.iter().copied()).collect();
    table.push(
        "place",
        widths.place,
        "",
        "where it is in the space of behaviours",
        place,
    );
    if widths.features > 0 {
        let features = all().flat_map(|a| a.features.iter().copied()).collect();
        table.push("features", widths.features, "", "what the encoder sees of it", features);
    }
    if widths.genes > 0 {
        let genes = all().flat_map(|a| a.genes.iter().copied()).collect();
        table.push("genes", widths.genes, "", "its genes", genes);
    }
    table
}

/// The agents of a table.
///
/// # Errors
/// A table of other widths.
pub(super) fn agents(table: &Batch, widths: Widths) -> Result<Vec<Agent>> {
    let rows = table.rows();
    let (reward, surprise) = (table.get::<f64>("reward")?, table.get::<f64>("surprise")?);
    let (used, place) = (table.get::<u8>("used")?, table.get::<f64>("place")?);
    let of = |name: &str, width: usize| if width > 0 { table.get::<f32>(name) } else { Ok(&[][..]) };
    let (features, genes) = (of("features", widths.features)?, of("genes", widths.genes)?);
    let fits = [
        (place.len(), widths.place),
        (features.len(), widths.features),
        (genes.len(), widths.genes),
    ];
    if fits.iter().any(|(found, width)| *found != rows * width) {
        return Err(Error::failed("the checkpoint's agents are of another task or strategy"));
    }
    let agent = |i: usize| Agent {
        genes: genes[i * widths.genes..(i + 1) * widths.genes].to_vec(),
        place: place[i * widths.place..(i + 1) * widths.place].to_vec(),
        features: features[i * widths.features..(i + 1) * widths.features].to_vec(),
        reward: reward[i],
        surprise: surprise[i],
        used: used[i] != 0,
    };
    Ok((0..rows).map(agent).collect())
}

/// Where agents are, one behind the other.
pub(super) fn places<'a>(agents: impl Iterator<Item = &'a Agent>) -> Vec<f64> {
    agents.flat_map(|agent| agent.place.iter().copied()).collect()
}

/// Mean distance of each of `rows` `[rows, k]` to its nearest of `reference` `[points, k]`; 0 where there is none. Where `among`, the rows are the first of the reference themselves, and none is its own neighbour.
pub(super) fn novelty(rows: &[f64], k: usize, reference: &[f64], neighbours: usize, among: bool) -> Vec<f64> {
    let of = |(row, place): (usize, &[f64])| {
        let mut nearest: Vec<f64> = Vec::with_capacity(neighbours + 1);
        for (point, other) in reference.chunks_exact(k).enumerate() {
            let square = place.iter().zip(other).fold(0.0, |sum, (a, b)| sum + (a - b) * (a - b));
            if among && point == row || nearest.len() == neighbours && square >= nearest[neighbours - 1] {
                continue;
            }
            let at = nearest.partition_point(|x| *x <= square);
            nearest.insert(at, square);
            nearest.truncate(neighbours);
        }
        let sum: f64 = nearest.iter().map(|square| square.sqrt()).sum();
        sum / nearest.len().max(1) as f64
    };
    rows.par_chunks_exact(k).enumerate().with_min_len(8).map(of).collect()
}

/// Numbers of values, the highest first; of equals the first.
pub(super) fn highest_first(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]).then(a.cmp(b)));
    order
}
