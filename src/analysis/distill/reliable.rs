//! How far elites can be relied on as teachers: where each lies on average, which of those that lie together is the best (the corrected archive), and how often an elite ends where it lies.

use illume_core::{Purpose, Result, Stream};

use super::dataset::Dataset;
use super::rollout::{Episodes, Experts};
use super::student::scaled;
use crate::analysis::reevaluate::corrected;

/// The elites by what their episodes were.
pub struct Reliable {
    /// Descriptors that they stand for, on average, as networks see them, `[elites, k]`; the stored one of an elite without an episode that ended well.
    pub conditions: Vec<f32>,
    /// Share of an elite's episodes that ended in its corrected cell; 0 of one that is not the best there, `[elites]`.
    pub weights: Vec<f64>,
}

/// What is drawn of rows that are left out, among the streams of a collection.
const LEFT_OUT: u64 = 1 << 33;

impl Reliable {
    /// # Errors
    /// An archive without descriptors.
    pub fn of(experts: &Experts<'_>, did: &Episodes) -> Result<Reliable> {
        let (file, archive) = (&experts.subject.file, experts.subject.archive.as_ref());
        let (rows, k) = (&did.means, file.spec.axes.len());
        let settled = corrected(archive, rows);
        let mut descriptor = file.elites.get::<f64>("descriptor")?.to_vec();
        let mut taught = vec![false; settled.fitness.len()];
        let mut weights = vec![0.0; settled.cells.len()];
        for (elite, &cell) in settled.cells.iter().enumerate() {
            let Ok(at) = usize::try_from(cell) else { continue };
            descriptor[elite * k..(elite + 1) * k].copy_from_slice(&rows.descriptor[elite * k..(elite + 1) * k]);
            // Of equals the first.
            if rows.fitness[elite] < settled.fitness[at] || std::mem::replace(&mut taught[at], true) {
                continue;
            }
            let there = did.cells[elite].iter().filter(|other| **other == cell).count();
            // One that never ends where it lies on average is the best that is known of the place all the same.
            weights[elite] = there.max(1) as f64 / did.cells[elite].len().max(1) as f64;
        }
        Ok(Reliable {
            conditions: scaled(&file.spec.axes, &descriptor),
            weights,
        })
    }

    /// Leaves out rows of elites, each with the probability that their elite cannot be relied on.
    pub fn thin(&self, data: &mut Dataset, seed: u64, round: u64) {
        let draws = Stream::new(seed, Purpose::Replay, round, LEFT_OUT);
        let weights = &self.weights;
        data.retain(|row, elite| draws.uniform(row as u64) < weights[elite as usize]);
    }
}
