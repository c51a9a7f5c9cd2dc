//! What became of the candidates of a generation, operator by operator: the history's columns.

use illume_core::{Axis, Result, Status, Told};

/// Names of the operators, in the order of their numbers; 0 are random policies.
pub const OPERATORS: [&str; 4] = ["random", "iso_line", "policy_gradient", "actor"];
pub const ISO_LINE: i32 = 1;
pub const CLIMBER: i32 = 2;
pub const ACTOR: i32 = 3;

/// Values of the history columns.
#[derive(Debug, Clone, Copy, Default)]
pub struct Row {
    /// Candidates of each operator that became elites.
    pub kept: [f64; 4],
    /// Mean fitness of those that iso+line-dd, climbing and the actor made.
    pub fitness: [f64; 3],
    /// Mean distance of achieved to requested descriptors of those that climbed and of the actor.
    pub distance: [f64; 2],
    pub critic_loss: f64,
    pub actor_loss: f64,
    pub transitions: f64,
    pub learn_seconds: f64,
    pub climb_seconds: f64,
    pub exchange_seconds: f64,
    pub serial_share: f64,
}

impl Row {
    /// What became of the candidates of each operator: how many are elites, how fit they are, how far from what was asked for.
    /// `requested` `[rows, k]` is scaled; `rollouts` are the actor's own episodes, which come second.
    ///
    /// # Errors
    /// A column is missing.
    pub fn take(&mut self, told: &Told<'_>, axes: &[Axis], requested: &[f32], k: usize, rollouts: bool) -> Result<()> {
        let operators = told.rows.get::<i32>("operator")?;
        if !rollouts {
            self.kept = [0.0; 4];
            for &row in told.report.map_or(&[][..], |r| &r.kept) {
                self.kept[operators[row as usize] as usize] += 1.0;
            }
        }
        let (status, fitness) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("fitness")?);
        let descriptors = told.rows.get::<f64>("descriptor")?;
        let of = |operator: i32| {
            let ok = move |row: &usize| operators[*row] == operator && status[*row] == Status::Ok as u8;
            (0..operators.len()).filter(ok)
        };
        let mean = |sum: f64, operator: i32| sum / of(operator).count() as f64;
        let fit = |operator: i32| mean(of(operator).map(|row| fitness[row]).sum(), operator);
        let far = |operator: i32| {
            let mut achieved = vec![0.0; k];
            let mut distance = |row: usize| {
                scale(axes, &descriptors[row * k..(row + 1) * k], &mut achieved);
                let asked = &requested[row * k..(row + 1) * k];
                let squares = achieved.iter().zip(asked).map(|(a, b)| f64::from(a - b).powi(2));
                squares.sum::<f64>().sqrt()
            };
            let sum = of(operator).map(&mut distance).sum();
            if k > 0 { mean(sum, operator) } else { f64::NAN }
        };
        if rollouts {
            (self.fitness[2], self.distance[1]) = (fit(ACTOR), far(ACTOR));
        } else {
            self.fitness = [ISO_LINE, CLIMBER, ACTOR].map(fit);
            self.distance = [CLIMBER, ACTOR].map(far);
        }
        Ok(())
    }

    /// What is computed, as a checkpoint holds it.
    pub fn computed(&self) -> Vec<f64> {
        [&self.kept[..], &self.fitness, &self.distance].concat()
    }

    /// Takes back what [`Row::computed`] gave.
    pub fn restore(&mut self, values: &[f64]) {
        let parts = self.kept.iter_mut().chain(&mut self.fitness).chain(&mut self.distance);
        parts.zip(values).for_each(|(to, from)| *to = *from);
    }

    /// In the order of [`HISTORY`].
    pub fn history(&self) -> Vec<f64> {
        let learned = [self.critic_loss, self.actor_loss, self.transitions];
        let seconds = [self.learn_seconds, self.climb_seconds, self.exchange_seconds];
        [&self.computed()[..], &learned, &seconds, &[self.serial_share]].concat()
    }
}

/// History columns; those that end in `_seconds` or `_share` are measured, not computed.
pub const HISTORY: [(&str, &str, &str); 16] = [
    (
        "kept_random",
        "",
        "random policies of this generation that became elites",
    ),
    (
        "kept_iso_line",
        "",
        "children by iso+line-dd of this generation that became elites",
    ),
    (
        "kept_policy_gradient",
        "",
        "policies that climbed the critic in this generation and became elites",
    ),
    (
        "kept_actor",
        "",
        "copies of the actor of this generation that became elites",
    ),
    (
        "fitness_iso_line",
        "",
        "mean fitness of this generation's children by iso+line-dd",
    ),
    (
        "fitness_policy_gradient",
        "",
        "mean fitness of this generation's policies that climbed",
    ),
    (
        "fitness_actor",
        "",
        "mean fitness of this generation's copies or episodes of the actor",
    ),
    (
        "distance_policy_gradient",
        "",
        "mean distance of a climbed policy's descriptor to its parent's, on the scale [-1, 1]",
    ),
    (
        "distance_actor",
        "",
        "mean distance of the descriptor that the actor achieves to the one asked for, on the scale [-1, 1]",
    ),
    (
        "critic_loss",
        "",
        "mean over critic steps of both critics' mean squared errors, summed",
    ),
    ("actor_loss", "", "mean over actor steps of minus the critic's value"),
    ("transitions", "", "transitions in the replay buffer"),
    ("learn_seconds", "s", "training of critics and actor, on rank 0 alone"),
    (
        "climb_seconds",
        "s",
        "policies climbing the critic, on rank 0's threads",
    ),
    ("exchange_seconds", "s", "episodes to the learner and networks back"),
    (
        "serial_share",
        "",
        "share of the generation's time in which rank 0 alone worked",
    ),
];

/// Descriptors on the scale [-1, 1] between the task's bounds.
pub fn scale(axes: &[Axis], descriptor: &[f64], out: &mut [f32]) {
    for ((axis, d), out) in axes.iter().zip(descriptor).zip(out) {
        *out = ((2.0 * d - axis.lower - axis.upper) / (axis.upper - axis.lower)) as f32;
    }
}
