//! The replay buffer: transitions in flat columns, allocated once; the newest replace the oldest.

use illume_core::{Batch, Purpose, Result, Stream, Trajectory};
use rayon::prelude::*;

use crate::learn::Minibatches;

/// What of a step is learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reward {
    /// The task's own.
    #[default]
    Own,
    /// One of several objectives.
    Objective { number: usize, of: usize },
    /// All of so many, whose weighted sum counts: each row of a minibatch has a preference of its own, drawn uniformly, which is its condition.
    Preferred { of: usize },
}

impl Reward {
    /// Numbers of a step that are kept.
    fn width(self) -> usize {
        match self {
            Reward::Preferred { of } => of,
            _ => 1,
        }
    }

    /// Those of step `t`.
    fn of(self, episode: &Trajectory, t: usize) -> &[f32] {
        match self {
            Reward::Own => &episode.rewards[t..=t],
            Reward::Objective { number, of } => &episode.objectives[t * of + number..][..1],
            Reward::Preferred { of } => &episode.objectives[t * of..(t + 1) * of],
        }
    }
}

/// Draw number `index` of a stream of preferences: weights above 0 that sum to 1, uniform among these (the gaps between sorted uniform numbers).
pub fn preference(stream: &Stream, index: usize, weights: &mut [f32]) {
    let cuts = weights.len().saturating_sub(1);
    let mut sorted: Vec<f64> = (0..cuts).map(|i| stream.uniform((index * cuts + i) as u64)).collect();
    sorted.sort_by(f64::total_cmp);
    let mut before = 0.0;
    for (weight, cut) in weights.iter_mut().zip(sorted.into_iter().chain([1.0])) {
        *weight = (cut - before) as f32;
        before = cut;
    }
}

/// Sizes of a transition's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widths {
    pub observation: usize,
    pub action: usize,
    /// Numbers in a descriptor; 0 where descriptors are not learned from.
    pub condition: usize,
    pub reward: Reward,
}

impl Widths {
    /// Bytes of one stored transition.
    pub fn bytes(&self) -> usize {
        size_of::<f32>() * (2 * self.observation + self.action + 1 + self.reward.width() + 2 * self.condition)
    }
}

/// How minibatches are drawn.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// Rows of a minibatch.
    pub minibatch: usize,
    /// Rewards are multiplied by `exp(-|d - d'|)`, where these are the unit on each axis of the scaled descriptors, `[condition]`.
    pub lengths: Vec<f64>,
    /// Standard deviation of the noise on target actions, and where it is clipped.
    pub noise: f64,
    pub clip: f64,
}

/// One column: `[capacity, width]`.
struct Column {
    name: &'static str,
    meaning: &'static str,
    width: usize,
    data: Vec<f32>,
}

const OBSERVATION: usize = 0;
const ACTION: usize = 1;
const REWARD: usize = 2;
const NEXT: usize = 3;
const CONTINUES: usize = 4;
const ACHIEVED: usize = 5;
const REQUESTED: usize = 6;

/// Transitions (s, a, r, s', whether the episode went on, achieved d, requested d'), in the order in which they came.
pub struct Replay {
    columns: [Column; 7],
    reward: Reward,
    capacity: usize,
    len: usize,
    /// Where the next transition goes.
    at: usize,
}

impl Replay {
    pub fn new(capacity: usize, widths: Widths) -> Replay {
        let column = |name, meaning, width| Column {
            name,
            meaning,
            width,
            data: vec![0.0; capacity * width],
        };
        let (o, a, k) = (widths.observation, widths.action, widths.condition);
        Replay {
            columns: [
                column("observation", "what the policy saw", o),
                column("action", "what it did", a),
                column("reward", "what it earned", widths.reward.width()),
                column("next_observation", "what it saw next", o),
                column("continues", "0 if the task ended the episode here, else 1", 1),
                column("achieved", "descriptor of the episode, scaled to [-1, 1]", k),
                column("requested", "descriptor that was asked for, scaled to [-1, 1]", k),
            ],
            reward: widths.reward,
            capacity,
            len: 0,
            at: 0,
        }
    }

    /// Transitions held.
    pub fn len(&self) -> usize {
        self.len
    }

    fn slot(&mut self, column: usize, row: usize) -> &mut [f32] {
        let column = &mut self.columns[column];
        &mut column.data[row * column.width..(row + 1) * column.width]
    }

    /// Adds the steps of an episode. `achieved` and `requested` are scaled descriptors, `[condition]`.
    pub fn insert(&mut self, episode: &Trajectory, achieved: &[f32], requested: &[f32]) {
        let steps = episode.steps();
        let (o, a) = (self.columns[OBSERVATION].width, self.columns[ACTION].width);
        for t in 0..steps {
            let row = self.at;
            self.slot(OBSERVATION, row)
                .copy_from_slice(&episode.observations[t * o..(t + 1) * o]);
            self.slot(ACTION, row)
                .copy_from_slice(&episode.actions[t * a..(t + 1) * a]);
            let reward = self.reward.of(episode, t);
            self.slot(REWARD, row).copy_from_slice(reward);
            self.slot(NEXT, row)
                .copy_from_slice(&episode.observations[(t + 1) * o..(t + 2) * o]);
            let ended = episode.terminated && t + 1 == steps;
            self.slot(CONTINUES, row)[0] = if ended { 0.0 } else { 1.0 };
            self.slot(ACHIEVED, row).copy_from_slice(achieved);
            self.slot(REQUESTED, row).copy_from_slice(requested);
            self.at = (row + 1) % self.capacity;
            self.len = (self.len + 1).min(self.capacity);
        }
    }

    /// Draws `steps` minibatches, numbers `first..first + steps` of this generation, uniformly and with replacement.
    pub fn draw(
        &self,
        seed: u64,
        generation: u64,
        first: usize,
        steps: usize,
        sampling: &Sampling,
        out: &mut Minibatches,
    ) {
        let rows = steps * sampling.minibatch;
        let before = first * sampling.minibatch;
        let chosen = self.choose(
            &Stream::new(seed, Purpose::Replay, generation, CRITIC_DRAWS),
            before,
            rows,
        );
        let c = &self.columns;
        out.steps = steps;
        let copies = [
            (OBSERVATION, &mut out.observation),
            (ACTION, &mut out.action),
            (REWARD, &mut out.reward),
            (NEXT, &mut out.next_observation),
            (CONTINUES, &mut out.continues),
            (REQUESTED, &mut out.condition),
        ];
        copies
            .into_par_iter()
            .with_max_len(1)
            .for_each(|(column, out)| c[column].gather(&chosen, out));
        if c[ACHIEVED].width > 0 {
            for (reward, &row) in out.reward.iter_mut().zip(&chosen) {
                *reward *= similarity(c[ACHIEVED].row(row), c[REQUESTED].row(row), &sampling.lengths);
            }
        }
        if let Reward::Preferred { of } = self.reward {
            let draws = Stream::new(seed, Purpose::Replay, generation, PREFERENCES);
            out.condition.resize(rows * of, 0.0);
            let earned = std::mem::take(&mut out.reward);
            for (i, (weights, earned)) in out
                .condition
                .chunks_exact_mut(of)
                .zip(earned.chunks_exact(of))
                .enumerate()
            {
                preference(&draws, before + i, weights);
                out.reward.push(weights.iter().zip(earned).map(|(w, r)| w * r).sum());
            }
        }
        out.noise.resize(rows * c[ACTION].width, 0.0);
        let noise = Stream::new(seed, Purpose::Exploration, generation, SMOOTHING);
        noise.normals((before * c[ACTION].width) as u64, &mut out.noise);
        let (scale, clip) = (sampling.noise as f32, sampling.clip as f32);
        out.noise.iter_mut().for_each(|x| *x = (*x * scale).clamp(-clip, clip));
    }

    /// Observations of `rows` transitions drawn like minibatches, from draws of their own: `[rows, observation]`.
    pub fn draw_states(&self, seed: u64, generation: u64, rows: usize, out: &mut Vec<f32>) {
        let chosen = self.choose(&Stream::new(seed, Purpose::Replay, generation, STATE_DRAWS), 0, rows);
        self.columns[OBSERVATION].gather(&chosen, out);
    }

    fn choose(&self, stream: &Stream, before: usize, rows: usize) -> Vec<u32> {
        let mut words = vec![0; 2 * rows];
        stream.words(2 * before as u64, &mut words);
        let below = |w: &[u32]| {
            let bits = u64::from(w[0]) | u64::from(w[1]) << 32;
            ((u128::from(bits) * self.len as u128) >> 64) as u32
        };
        words.chunks_exact(2).map(below).collect()
    }

    /// What a checkpoint holds of it.
    pub fn save(&self) -> Batch {
        let mut table = Batch::new();
        for c in self.columns.iter().filter(|c| c.width > 0) {
            table.push(c.name, c.width, "", c.meaning, c.data[..self.len * c.width].to_vec());
        }
        table
    }

    /// Where the next transition goes: what [`Replay::load`] needs beside the table.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Takes back what [`Replay::save`] gave.
    ///
    /// # Errors
    /// A table of another task, or one that is too long.
    pub fn load(&mut self, table: &Batch, position: usize) -> Result<()> {
        let (len, capacity) = (table.rows(), self.capacity);
        if len > capacity || position != len % capacity && (len < capacity || position >= capacity) {
            return Err(illume_core::Error::failed(format!(
                "the checkpoint's replay buffer ({len} transitions, the next at {position}) does not fit one of {capacity}"
            )));
        }
        for c in self.columns.iter_mut().filter(|c| c.width > 0) {
            let values = table.get::<f32>(c.name)?;
            if values.len() != len * c.width {
                return Err(illume_core::Error::failed(format!(
                    "the checkpoint's column '{}' has {} numbers for {len} transitions of {}",
                    c.name,
                    values.len(),
                    c.width
                )));
            }
            c.data[..values.len()].copy_from_slice(values);
        }
        (self.len, self.at) = (len, position);
        Ok(())
    }
}

impl Column {
    fn row(&self, row: u32) -> &[f32] {
        &self.data[row as usize * self.width..(row as usize + 1) * self.width]
    }

    fn gather(&self, rows: &[u32], out: &mut Vec<f32>) {
        out.clear();
        out.reserve(rows.len() * self.width);
        rows.iter().for_each(|&row| out.extend_from_slice(self.row(row)));
    }
}

/// Streams of [`Purpose::Replay`] and [`Purpose::Exploration`] by index.
const CRITIC_DRAWS: u64 = 0;
const STATE_DRAWS: u64 = 1;
const PREFERENCES: u64 = 2;
const SMOOTHING: u64 = 0;

/// `S(d, d') = exp(-|d - d'| / l)` (Faldor et al. 2023, equation 3), with an l for each axis.
pub fn similarity(achieved: &[f32], requested: &[f32], lengths: &[f64]) -> f32 {
    let squares = achieved
        .iter()
        .zip(requested)
        .zip(lengths)
        .map(|((d, r), l)| ((f64::from(*d) - f64::from(*r)) / l).powi(2));
    (-squares.sum::<f64>().sqrt()).exp() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTHS: Widths = Widths {
        observation: 2,
        action: 1,
        condition: 1,
        reward: Reward::Own,
    };

    /// An episode whose observations count up from `from`.
    fn episode(from: f32, steps: usize, terminated: bool) -> Trajectory {
        Trajectory {
            observations: (0..=steps).flat_map(|t| [from + t as f32, -from]).collect(),
            actions: (0..steps).map(|t| t as f32 / 10.0).collect(),
            rewards: (0..steps).map(|t| 10.0 + t as f32).collect(),
            objectives: (0..2 * steps).map(|i| i as f32).collect(),
            terminated,
            answers: Vec::new(),
        }
    }

    fn sampling() -> Sampling {
        Sampling {
            minibatch: 50,
            lengths: vec![0.5],
            noise: 0.2,
            clip: 0.3,
        }
    }

    #[test]
    fn only_the_last_step_of_a_terminated_episode_does_not_continue() {
        let mut replay = Replay::new(10, WIDTHS);
        replay.insert(&episode(0.0, 3, true), &[0.0], &[0.0]);
        replay.insert(&episode(100.0, 2, false), &[0.0], &[0.0]);
        assert_eq!(replay.columns[CONTINUES].data[..5], [1.0, 1.0, 0.0, 1.0, 1.0]);
        assert_eq!(replay.columns[NEXT].row(2), [3.0, 0.0]);
        assert_eq!(
            replay.columns[NEXT].row(4),
            [102.0, -100.0],
            "the state in which time was up"
        );
    }

    #[test]
    fn similarity_is_that_of_the_paper_by_hand() {
        assert_eq!(similarity(&[0.25], &[0.25], &[0.008]), 1.0);
        assert!((similarity(&[0.3, 0.4], &[0.0, 0.0], &[0.5, 0.5]) - (-1.0f32).exp()).abs() < 1e-7);
        assert!((similarity(&[-1.0], &[1.0], &[0.1]) - (-20.0f32).exp()).abs() < 1e-12);
    }

    #[test]
    fn the_newest_transitions_replace_the_oldest_and_memory_stays() {
        let mut replay = Replay::new(8, WIDTHS);
        let address = replay.columns[OBSERVATION].data.as_ptr();
        for i in 0..20 {
            replay.insert(&episode(10.0 * i as f32, 3, false), &[0.0], &[0.0]);
        }
        assert_eq!((replay.len(), replay.position()), (8, 60 % 8));
        let mut held: Vec<i32> = (0..8).map(|r| replay.columns[OBSERVATION].row(r)[0] as i32).collect();
        held.sort();
        assert_eq!(held, [171, 172, 180, 181, 182, 190, 191, 192]);
        assert_eq!(replay.columns[OBSERVATION].data.as_ptr(), address);
    }

    #[test]
    fn a_minibatch_is_made_of_whole_transitions_with_their_rewards_weighted() {
        let mut replay = Replay::new(100, WIDTHS);
        replay.insert(&episode(0.0, 30, false), &[0.5], &[0.5]);
        replay.insert(&episode(1000.0, 30, true), &[0.5], &[0.0]);
        let mut out = Minibatches::default();
        replay.draw(1, 2, 0, 4, &sampling(), &mut out);
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..200 {
            let s = out.observation[2 * i];
            let (start, weight, condition) = if s >= 1000.0 {
                (1000.0, (-1.0f32).exp(), 0.0)
            } else {
                (0.0, 1.0, 0.5)
            };
            let t = s - start;
            assert_eq!(out.observation[2 * i + 1], -start);
            assert_eq!(out.next_observation[2 * i], s + 1.0);
            assert_eq!(out.action[i], t / 10.0);
            assert!((out.reward[i] - weight * (10.0 + t)).abs() < 1e-5);
            assert_eq!(out.condition[i], condition);
            assert_eq!(out.continues[i], if start > 0.0 && t == 29.0 { 0.0 } else { 1.0 });
            assert!(out.noise[i].abs() <= 0.3);
            seen.insert(s as i32);
        }
        assert!(seen.len() > 50, "draws are spread over the buffer: {}", seen.len());
        assert!(out.noise.contains(&0.3) && out.noise.iter().any(|x| x.abs() < 0.1));
        // Drawn in two parts, the minibatches are the same.
        let (mut first, mut second) = (Minibatches::default(), Minibatches::default());
        replay.draw(1, 2, 0, 1, &sampling(), &mut first);
        replay.draw(1, 2, 1, 3, &sampling(), &mut second);
        assert_eq!([first.noise, second.noise].concat(), out.noise);
        assert_eq!([first.observation, second.observation].concat(), out.observation);
    }

    #[test]
    fn a_saved_buffer_goes_on_where_it_was() {
        for episodes in [1, 2, 5] {
            let mut replay = Replay::new(7, WIDTHS);
            for i in 0..episodes {
                replay.insert(&episode(10.0 * i as f32, 3, i == 1), &[0.1], &[0.2]);
            }
            let mut back = Replay::new(7, WIDTHS);
            back.load(&replay.save(), replay.position()).unwrap();
            for r in [&mut replay, &mut back] {
                r.insert(&episode(500.0, 2, false), &[0.3], &[0.3]);
            }
            assert_eq!(replay.save(), back.save());
            assert_eq!(replay.position(), back.position());
        }
        let mut small = Replay::new(2, WIDTHS);
        let mut replay = Replay::new(7, WIDTHS);
        replay.insert(&episode(0.0, 3, false), &[0.1], &[0.2]);
        assert!(
            small
                .load(&replay.save(), 3)
                .unwrap_err()
                .to_string()
                .contains("does not fit")
        );
    }

    #[test]
    fn objectives_are_kept_where_they_are_learned_from_and_weighted_where_they_are_drawn() {
        let widths = Widths {
            condition: 0,
            reward: Reward::Objective { number: 1, of: 2 },
            ..WIDTHS
        };
        let mut one = Replay::new(10, widths);
        one.insert(&episode(0.0, 3, false), &[], &[]);
        assert_eq!(one.columns[REWARD].data[..3], [1.0, 3.0, 5.0]);
        let widths = Widths {
            reward: Reward::Preferred { of: 2 },
            ..widths
        };
        let mut all = Replay::new(10, widths);
        all.insert(&episode(0.0, 3, false), &[], &[]);
        let mut out = Minibatches::default();
        all.draw(1, 2, 0, 4, &sampling(), &mut out);
        let mut sum = 0.0;
        for (i, w) in out.condition.chunks(2).enumerate() {
            let step = out.observation[2 * i];
            let expected = w[0] * 2.0 * step + w[1] * (2.0 * step + 1.0);
            assert!((out.reward[i] - expected).abs() < 1e-5);
            assert!((w[0] + w[1] - 1.0).abs() < 1e-6 && w[0] >= 0.0);
            sum += w[0];
        }
        assert!((sum / 200.0 - 0.5).abs() < 0.08, "{sum}");
        let mut second = Minibatches::default();
        all.draw(1, 2, 1, 3, &sampling(), &mut second);
        assert_eq!(second.condition, out.condition[100..]);
        // Of three weights each has the mean 1/3.
        let stream = Stream::new(4, Purpose::Replay, 0, 0);
        let mut means = [0.0; 3];
        for i in 0..3000 {
            let mut w = [0.0; 3];
            preference(&stream, i, &mut w);
            means
                .iter_mut()
                .zip(w)
                .for_each(|(mean, w)| *mean += f64::from(w) / 3000.0);
        }
        assert!(means.iter().all(|mean| (mean - 1.0 / 3.0).abs() < 0.02), "{means:?}");
    }
}
