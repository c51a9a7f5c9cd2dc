//! Episodes on their way to the rank that learns: every rank knows the sizes of all of them, so nothing is asked for, and no
//! message grows beyond a bound.

use illume_core::{Comm, Context, Element, Error, Result, Status, Told, Trajectory};

/// Bytes that cross the wire at a time, over all ranks; a single longer episode goes alone.
const ROUND_BYTES: usize = 4 << 20;

/// Hands every episode of `told`, in the order of the global rows, to `take` on rank 0: (row, episode). Collective.
///
/// # Errors
/// Communication.
pub fn gather_episodes(context: &Context<'_>, told: &Told<'_>, mut take: impl FnMut(usize, &Trajectory)) -> Result<()> {
    let (comm, total, block) = (context.comm, told.candidates.total, &told.candidates.block);
    let task = context.task;
    let sizes = Sizes {
        observation: task.observation_dim,
        action: task.action_dim,
        objectives: task.objectives.len(),
    };
    let (status, steps) = (told.rows.get::<u8>("status")?, told.rows.get::<u32>("steps")?);
    let steps_of = |row: usize| match status[row] {
        s if s == Status::Ok as u8 => steps[row] as usize,
        _ => 0,
    };
    for (row, episode) in block.clone().zip(told.trajectories) {
        if episode.steps() != steps_of(row) {
            return Err(Error::failed(format!(
                "an episode of task \"{}\" took {} steps and {} are recorded: its workers must fill Scores::trajectories",
                task.name,
                steps_of(row),
                episode.steps()
            )));
        }
    }
    if comm.size() == 1 {
        for (row, episode) in told.trajectories.iter().enumerate() {
            take(row, episode);
        }
        return Ok(());
    }
    let mut episode = Trajectory::default();
    let mut start = 0;
    while start < total {
        let mut end = start + 1;
        let mut bytes = sizes.bytes(steps_of(start));
        while end < total && bytes + sizes.bytes(steps_of(end)) <= ROUND_BYTES {
            bytes += sizes.bytes(steps_of(end));
            end += 1;
        }
        let mine = start.max(block.start)..end.min(block.end).max(start.max(block.start));
        let mut message = Vec::new();
        for row in mine {
            sizes.write(&told.trajectories[row - block.start], &mut message);
        }
        let rows_of = |rank| {
            let theirs = illume_core::block(total, rank, comm.size());
            theirs.start.max(start)..theirs.end.min(end).max(theirs.start.max(start))
        };
        let received = to_root(comm, message, |rank| {
            rows_of(rank).map(|row| sizes.bytes(steps_of(row))).sum()
        })?;
        for (rank, bytes) in received.iter().enumerate() {
            let mut rest = bytes.as_slice();
            for row in rows_of(rank) {
                let (this, after) = rest.split_at(sizes.bytes(steps_of(row)));
                sizes.read(this, steps_of(row), &mut episode);
                take(row, &episode);
                rest = after;
            }
        }
        start = end;
    }
    Ok(())
}

/// Every rank's message on rank 0, nothing elsewhere. `bytes(r)` is the length of rank r's.
fn to_root(comm: &dyn Comm, message: Vec<u8>, bytes: impl Fn(usize) -> usize) -> Result<Vec<Vec<u8>>> {
    let (size, root) = (comm.size(), comm.rank() == 0);
    let mut send = vec![Vec::new(); size];
    send[0] = message;
    let receive: Vec<usize> = (0..size).map(|rank| if root { bytes(rank) } else { 0 }).collect();
    let received = comm.all_to_all(&send, &receive)?;
    Ok(if root { received } else { Vec::new() })
}

/// Numbers in an observation and an action, and several objectives of a step.
struct Sizes {
    observation: usize,
    action: usize,
    objectives: usize,
}

impl Sizes {
    /// Bytes of an episode: whether it terminated, observations, actions, rewards, objectives.
    fn bytes(&self, steps: usize) -> usize {
        match steps {
            0 => 0,
            _ => 1 + size_of::<f32>() * ((steps + 1) * self.observation + steps * (self.action + 1 + self.objectives)),
        }
    }

    fn write(&self, episode: &Trajectory, out: &mut Vec<u8>) {
        if episode.steps() == 0 {
            return;
        }
        out.push(u8::from(episode.terminated));
        let parts = [
            &episode.observations,
            &episode.actions,
            &episode.rewards,
            &episode.objectives,
        ];
        parts.into_iter().flatten().for_each(|x| x.write_le(out));
    }

    fn read(&self, bytes: &[u8], steps: usize, episode: &mut Trajectory) {
        episode.clear();
        let Some((terminated, numbers)) = bytes.split_first() else {
            return;
        };
        episode.terminated = *terminated != 0;
        let mut numbers = numbers.chunks_exact(size_of::<f32>()).map(f32::read_le);
        let counts = [
            (steps + 1) * self.observation,
            steps * self.action,
            steps,
            steps * self.objectives,
        ];
        let parts = [
            &mut episode.observations,
            &mut episode.actions,
            &mut episode.rewards,
            &mut episode.objectives,
        ];
        for (part, count) in parts.into_iter().zip(counts) {
            part.extend(numbers.by_ref().take(count));
        }
    }
}

/// Float columns of rank 0 on every rank, in one message. The lengths are known everywhere.
///
/// # Errors
/// Communication.
pub fn broadcast(comm: &dyn Comm, parts: &mut [Vec<f32>], lengths: &[usize]) -> Result<()> {
    if comm.size() == 1 {
        return Ok(());
    }
    let mut bytes = Vec::new();
    if comm.rank() == 0 {
        bytes.reserve(size_of::<f32>() * lengths.iter().sum::<usize>());
        parts.iter().flatten().for_each(|x| x.write_le(&mut bytes));
    }
    comm.broadcast(0, &mut bytes)?;
    if comm.rank() != 0 {
        let mut numbers = bytes.chunks_exact(size_of::<f32>()).map(f32::read_le);
        for (part, length) in parts.iter_mut().zip(lengths) {
            part.clear();
            part.extend(numbers.by_ref().take(*length));
        }
    }
    Ok(())
}
