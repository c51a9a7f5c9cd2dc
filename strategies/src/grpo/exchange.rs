//! What ranks tell one another of their rows: rewards answer by answer, then gradients.

use illume_core::{Context, Element, Error, Result, Status, SurrogateReport, Told, block};

/// Bytes of every row of all ranks, in row order; `mine` are those of this rank's block. Collective.
///
/// # Errors
/// Communication.
pub(super) fn gather(context: &Context<'_>, total: usize, mine: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    let (comm, size) = (context.comm, context.comm.size());
    if size == 1 {
        return Ok(mine.to_vec());
    }
    let blocks: Vec<_> = (0..size).map(|rank| block(total, rank, size)).collect();
    let mut lengths = Vec::new();
    let own: Vec<u8> = mine.iter().flat_map(|row| (row.len() as u64).to_le_bytes()).collect();
    let counts: Vec<usize> = blocks.iter().map(|rows| 8 * rows.len()).collect();
    comm.all_gather(&own, &counts, &mut lengths)?;
    let lengths: Vec<usize> = lengths.chunks_exact(8).map(|raw| u64::read_le(raw) as usize).collect();
    let counts: Vec<usize> = blocks.iter().map(|rows| lengths[rows.clone()].iter().sum()).collect();
    let mut all = Vec::new();
    comm.all_gather(&mine.concat(), &counts, &mut all)?;
    let mut rest = all.as_slice();
    let rows = lengths.iter().map(|&n| {
        let (row, after) = rest.split_at(n);
        rest = after;
        row.to_vec()
    });
    Ok(rows.collect())
}

/// (case, reward) of every answer of every row of all ranks; none of a row that failed. Collective.
///
/// # Errors
/// Communication, or a task that does not record its answers.
pub(super) fn gather_rewards(context: &Context<'_>, told: &Told<'_>) -> Result<Vec<Vec<(u32, f64)>>> {
    let status = told.rows.get::<u8>("status")?;
    let mut mine = Vec::new();
    for (row, trajectory) in told.candidates.block.clone().zip(told.trajectories) {
        if status[row] == Status::Ok as u8 && trajectory.answers.is_empty() {
            return Err(Error::failed(format!(
                "task \"{}\" records no answers: its workers must fill Scores::trajectories",
                context.task.name
            )));
        }
        let mut bytes = Vec::new();
        for answer in &trajectory.answers {
            answer.case.write_le(&mut bytes);
            answer.reward.write_le(&mut bytes);
        }
        mine.push(bytes);
    }
    let read = |raw: &[u8]| (u32::read_le(&raw[..4]), f64::read_le(&raw[4..]));
    let rows = gather(context, told.candidates.total, &mine)?;
    Ok(rows
        .iter()
        .map(|row| row.chunks_exact(12).map(read).collect())
        .collect())
}

/// The gradient of some rows' answers, with what is reported of it.
pub(super) struct Gradient {
    /// `[genome_dim]`
    pub values: Vec<f32>,
    pub report: SurrogateReport,
}

impl Gradient {
    pub fn zeros(dim: usize) -> Gradient {
        Gradient {
            values: vec![0.0; dim],
            report: SurrogateReport::default(),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24 + 4 * self.values.len());
        self.report.kl.write_le(&mut bytes);
        self.report.clipped.write_le(&mut bytes);
        self.report.tokens.write_le(&mut bytes);
        self.values.iter().for_each(|g| g.write_le(&mut bytes));
        bytes
    }

    /// Adds one that [`Gradient::bytes`] wrote.
    ///
    /// # Errors
    /// It is of another length.
    pub fn add(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() != 24 + 4 * self.values.len() {
            return Err(Error::failed("a gradient came in another length than the genome's"));
        }
        self.report.kl += f64::read_le(&bytes[..8]);
        self.report.clipped += u64::read_le(&bytes[8..16]);
        self.report.tokens += u64::read_le(&bytes[16..24]);
        for (sum, raw) in self.values.iter_mut().zip(bytes[24..].chunks_exact(4)) {
            *sum += f32::read_le(raw);
        }
        Ok(())
    }
}
