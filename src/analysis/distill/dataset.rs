//! What there is to imitate: states, and what the elite in charge does there. Bounded in memory.

use illume_core::{Normalization, Purpose, Stream, Trajectory};

/// Rows of (observation, elite, action), and the descriptors that the elites stand for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dataset {
    /// Numbers of an observation, of a descriptor, of an action.
    pub dims: [usize; 3],
    /// `[rows, observation]`, as the student sees them.
    pub observations: Vec<f32>,
    /// Which elite is in charge, `[rows]`.
    pub elites: Vec<u32>,
    /// `[rows, action]`
    pub actions: Vec<f32>,
}

/// Share of the steps that are held out for validation.
const HELD_OUT: f64 = 0.1;

/// Below this standard deviation a number of an observation counts as constant.
const CONSTANT: f64 = 1e-6;

/// Standard deviations beyond which the student's observations are clipped.
const CLIP: f32 = 10.0;

impl Dataset {
    pub fn new(observation: usize, descriptor: usize, action: usize) -> Dataset {
        Dataset {
            dims: [observation, descriptor, action],
            ..Dataset::default()
        }
    }

    pub fn rows(&self) -> usize {
        self.elites.len()
    }

    /// Bytes of a row.
    pub fn row_bytes(observation: usize, action: usize) -> usize {
        size_of::<f32>() * (observation + action + 1)
    }

    /// Adds the state of a step, and the action that is right there.
    pub fn push(&mut self, observation: &[f32], elite: u32, action: &[f32]) {
        self.observations.extend_from_slice(observation);
        self.elites.push(elite);
        self.actions.extend_from_slice(action);
    }

    /// Keeps the rows of which `keep` says so, by their number and elite.
    pub fn retain(&mut self, keep: impl Fn(usize, u32) -> bool) {
        let ([o, _, a], mut kept) = (self.dims, 0);
        for row in 0..self.rows() {
            if keep(row, self.elites[row]) {
                self.elites[kept] = self.elites[row];
                self.observations.copy_within(row * o..(row + 1) * o, kept * o);
                self.actions.copy_within(row * a..(row + 1) * a, kept * a);
                kept += 1;
            }
        }
        self.elites.truncate(kept);
        self.observations.truncate(kept * o);
        self.actions.truncate(kept * a);
    }

    /// Adds all rows of another.
    pub fn append(&mut self, mut other: Dataset) {
        self.elites.append(&mut other.elites);
        self.observations.append(&mut other.observations);
        self.actions.append(&mut other.actions);
    }

    /// Inputs `[rows, observation + descriptor]` and targets `[rows, action]` of the given rows; `conditions` are the elites' descriptors
    /// as networks see them, `[elites, descriptor]`.
    pub fn gather(&self, rows: &[u32], conditions: &[f32], inputs: &mut Vec<f32>, targets: &mut Vec<f32>) {
        let [o, k, a] = self.dims;
        inputs.clear();
        targets.clear();
        for &row in rows {
            let (row, elite) = (row as usize, self.elites[row as usize] as usize);
            inputs.extend_from_slice(&self.observations[row * o..(row + 1) * o]);
            inputs.extend_from_slice(&conditions[elite * k..(elite + 1) * k]);
            targets.extend_from_slice(&self.actions[row * a..(row + 1) * a]);
        }
    }

    /// Mean and standard deviation of each number of the observations; a constant one gets deviation 1.
    pub fn statistics(&self) -> Normalization {
        let o = self.dims[0];
        let n = self.rows().max(1) as f64;
        let mut mean = vec![0.0; o];
        let mut squares = vec![0.0; o];
        for row in self.observations.chunks_exact(o) {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += f64::from(*x));
        }
        mean.iter_mut().for_each(|m| *m /= n);
        for row in self.observations.chunks_exact(o) {
            for ((s, m), x) in squares.iter_mut().zip(&mean).zip(row) {
                *s += (f64::from(*x) - m).powi(2);
            }
        }
        let sd = |s: &f64| Some((s / n).sqrt()).filter(|sd| *sd > CONSTANT).unwrap_or(1.0) as f32;
        Normalization {
            mean: mean.iter().map(|m| *m as f32).collect(),
            sd: squares.iter().map(sd).collect(),
            clip: CLIP,
        }
    }

    /// Replaces observations by what a policy with this normalization sees of them.
    pub fn normalize(&mut self, n: &Normalization) {
        for row in self.observations.chunks_exact_mut(self.dims[0]) {
            for ((x, mean), sd) in row.iter_mut().zip(&n.mean).zip(&n.sd) {
                *x = ((*x - mean) / sd).clamp(-n.clip, n.clip);
            }
        }
    }
}

/// Which steps of episodes are taken, and which of these are held out.
pub struct Sampling {
    pub seed: u64,
    /// Addresses randomness: one for each collection.
    pub round: u64,
    /// Steps of an episode that are taken at most, spread evenly.
    pub quota: usize,
    /// Hold out whole episodes (where an elite has several that differ), not stretches of each.
    pub whole: bool,
}

impl Sampling {
    /// The steps to take of episode number `number`: (step, held out), rising.
    pub fn steps(&self, number: u64, trajectory: &Trajectory) -> Vec<(usize, bool)> {
        let steps = trajectory.steps();
        let stream = Stream::new(self.seed, Purpose::Replay, self.round, number);
        let draw = stream.uniform(0);
        let held = |step: usize| match self.whole {
            true => draw < HELD_OUT,
            // A stretch of a tenth, somewhere.
            false => {
                let start = draw * (1.0 - HELD_OUT) * steps as f64;
                (start..start + HELD_OUT * steps as f64).contains(&(step as f64))
            }
        };
        let all = steps <= self.quota;
        let count = steps.min(self.quota);
        let pick = |j: usize| match all {
            true => j,
            // One from each of `quota` equal stretches.
            false => ((j as f64 + stream.uniform(1 + j as u64)) * steps as f64 / count as f64) as usize,
        };
        (0..count).map(pick).map(|step| (step, held(step))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode(steps: usize) -> Trajectory {
        Trajectory {
            rewards: vec![0.0; steps],
            ..Trajectory::default()
        }
    }

    fn sampling(quota: usize, whole: bool) -> Sampling {
        Sampling {
            seed: 1,
            round: 2,
            quota,
            whole,
        }
    }

    #[test]
    fn of_a_long_episode_a_quota_of_steps_is_taken_one_from_each_stretch() {
        for number in 0..100 {
            let taken = sampling(10, false).steps(number, &episode(100));
            let stretches: Vec<usize> = taken.iter().map(|(step, _)| step / 10).collect();
            assert_eq!(stretches, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        }
        let all: Vec<usize> = sampling(8, false)
            .steps(3, &episode(5))
            .iter()
            .map(|(step, _)| *step)
            .collect();
        assert_eq!(all, [0, 1, 2, 3, 4]);
        assert!(sampling(8, false).steps(3, &episode(0)).is_empty());
    }

    #[test]
    fn about_a_tenth_is_held_out_as_stretches_or_as_whole_episodes() {
        let held = |number, whole| {
            let taken = sampling(1000, whole).steps(number, &episode(200));
            taken.iter().filter(|(_, held)| *held).count()
        };
        assert!((0..50).all(|number| (19..=21).contains(&held(number, false))));
        let whole: Vec<usize> = (0..1000).map(|number| held(number, true)).collect();
        assert!(whole.iter().all(|&n| n == 0 || n == 200));
        let episodes = whole.iter().filter(|&&n| n == 200).count();
        assert!((70..130).contains(&episodes), "{episodes} of 1000");
    }

    #[test]
    fn normalized_observations_have_mean_0_and_deviation_1_and_constants_are_0() {
        let mut data = Dataset::new(2, 1, 1);
        for x in [1.0, 3.0, 5.0, 7.0] {
            data.push(&[x, 2.0], 0, &[0.0]);
        }
        let n = data.statistics();
        assert_eq!((&n.mean, n.sd[1]), (&vec![4.0, 2.0], 1.0));
        assert!((n.sd[0] - 5.0f32.sqrt()).abs() < 1e-6);
        data.normalize(&n);
        let [mean, square] = [1, 2].map(|p| data.observations.iter().step_by(2).map(|x| x.powi(p)).sum::<f32>() / 4.0);
        assert!(mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-6);
        assert!(data.observations.iter().skip(1).step_by(2).all(|x| *x == 0.0));
    }

    #[test]
    fn rows_that_are_kept_stay_whole_and_in_order() {
        let mut data = Dataset::new(2, 1, 1);
        (0..6u32).for_each(|i| data.push(&[i as f32, -(i as f32)], i % 3, &[10.0 * i as f32]));
        data.retain(|row, elite| elite != 1 && row > 0);
        assert_eq!((data.rows(), &data.elites[..]), (3, &[2, 0, 2][..]));
        assert_eq!(data.observations, [2.0, -2.0, 3.0, -3.0, 5.0, -5.0]);
        assert_eq!(data.actions, [20.0, 30.0, 50.0]);
        let mut all = Dataset::new(2, 1, 1);
        all.push(&[7.0, 8.0], 4, &[9.0]);
        all.append(data);
        assert_eq!((all.rows(), all.elites[0], all.actions[3]), (4, 4, 50.0));
    }

    #[test]
    fn a_row_is_gathered_with_the_descriptor_of_its_elite() {
        let mut data = Dataset::new(2, 1, 1);
        data.push(&[1.0, 2.0], 1, &[0.1]);
        data.push(&[3.0, 4.0], 0, &[0.2]);
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        data.gather(&[1, 0, 1], &[-1.0, 0.5], &mut inputs, &mut targets);
        assert_eq!(inputs, [3.0, 4.0, -1.0, 1.0, 2.0, 0.5, 3.0, 4.0, -1.0]);
        assert_eq!(targets, [0.2, 0.1, 0.2]);
    }
}
