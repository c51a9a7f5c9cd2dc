//! What ranks tell one another of their rows: rewards answer by answer, then gradients.

use illume_core::{Answer, Context, Element, Error, Result, Status, SurrogateReport, Told, block};

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

/// What all ranks hear of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Heard {
    pub case: u32,
    pub tokens: u32,
    pub reward: f64,
}

impl Heard {
    const BYTES: usize = 16;

    fn of(answer: &Answer) -> Heard {
        Heard {
            case: answer.case,
            tokens: answer.tokens.len() as u32,
            reward: answer.reward,
        }
    }

    fn write(self, bytes: &mut Vec<u8>) {
        self.case.write_le(bytes);
        self.tokens.write_le(bytes);
        self.reward.write_le(bytes);
    }

    fn read(raw: &[u8]) -> Heard {
        Heard {
            case: u32::read_le(&raw[..4]),
            tokens: u32::read_le(&raw[4..8]),
            reward: f64::read_le(&raw[8..]),
        }
    }
}

/// Every answer of every row of all ranks; none of a row that failed. Collective.
///
/// # Errors
/// Communication, or a task that does not record its answers.
pub(super) fn gather_answers(context: &Context<'_>, told: &Told<'_>) -> Result<Vec<Vec<Heard>>> {
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
        trajectory.answers.iter().for_each(|a| Heard::of(a).write(&mut bytes));
        mine.push(bytes);
    }
    let rows = gather(context, told.candidates.total, &mine)?;
    Ok(rows
        .iter()
        .map(|row| row.chunks_exact(Heard::BYTES).map(Heard::read).collect())
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

    /// Bytes of the report.
    const REPORT: usize = 32;

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Gradient::REPORT + 4 * self.values.len());
        self.report.kl.write_le(&mut bytes);
        self.report.clipped.write_le(&mut bytes);
        self.report.tokens.write_le(&mut bytes);
        self.report.gap.write_le(&mut bytes);
        self.values.iter().for_each(|g| g.write_le(&mut bytes));
        bytes
    }

    /// Adds one that [`Gradient::bytes`] wrote.
    ///
    /// # Errors
    /// It is of another length.
    pub fn add(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() != Gradient::REPORT + 4 * self.values.len() {
            return Err(Error::failed("a gradient came in another length than the genome's"));
        }
        self.report.kl += f64::read_le(&bytes[..8]);
        self.report.clipped += u64::read_le(&bytes[8..16]);
        self.report.tokens += u64::read_le(&bytes[16..24]);
        self.report.gap += f64::read_le(&bytes[24..32]);
        for (sum, raw) in self.values.iter_mut().zip(bytes[Gradient::REPORT..].chunks_exact(4)) {
            *sum += f32::read_le(raw);
        }
        Ok(())
    }
}
