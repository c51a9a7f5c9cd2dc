//! What the history shows of policies that climb, of the actor and of learning.

use illume_core::{Axis, Result, Status, Told};

use crate::emitters::Rows;
use crate::record::history_row;

history_row! {
    /// Columns that end in `_seconds` or `_share` are measured, not computed.
    pub struct Row {
        distance_policy_gradient: "", "mean distance of a climbed policy's descriptor to its parent's, on the scale [-1, 1]";
        distance_actor: "", "mean distance of the descriptor that the actor achieves to the one asked for, on the scale [-1, 1]";
        critic_loss: "", "mean over critic steps of both critics' mean squared errors, summed";
        actor_loss: "", "mean over actor steps of minus the critic's value";
        transitions: "", "transitions in the replay buffer";
        learn_seconds: "s", "training of critics and actor, on rank 0 alone";
        climb_seconds: "s", "policies climbing the critic, on rank 0's threads";
        exchange_seconds: "s", "episodes to the learner and networks back";
        serial_share: "", "share of the generation's time in which rank 0 alone worked";
    }
}

impl Row {
    /// How far a phase's policies are from what was asked for. `requested` `[total, k]` is scaled; the phase's `rows` are of policies that climbed (part 0) and of the actor (all
    /// others), whose episodes may come in a second phase.
    ///
    /// # Errors
    /// A column is missing.
    pub fn take(&mut self, told: &Told<'_>, axes: &[Axis], requested: &[f32], k: usize, rows: &Rows<'_>) -> Result<()> {
        let status = told.rows.get::<u8>("status")?;
        let descriptors = told.rows.get::<f64>("descriptor")?;
        let mut achieved = vec![0.0; k];
        let mut far = |climbed: bool| {
            if k == 0 {
                return f64::NAN;
            }
            let own = rows.runs.iter().filter(|run| (run.part == 0) == climbed);
            let ok = own
                .flat_map(|run| run.rows.clone())
                .filter(|row| status[*row] == Status::Ok as u8);
            let (mut sum, mut count) = (0.0, 0);
            for row in ok {
                scale(axes, &descriptors[row * k..(row + 1) * k], &mut achieved);
                let asked = &requested[row * k..(row + 1) * k];
                let squares = achieved.iter().zip(asked).map(|(a, b)| f64::from(a - b).powi(2));
                sum += squares.sum::<f64>().sqrt();
                count += 1;
            }
            sum / f64::from(count)
        };
        if rows.phase == 0 {
            self.distance_policy_gradient = far(true);
            self.distance_actor = far(false);
        } else if !rows.runs.is_empty() {
            self.distance_actor = far(false);
        }
        Ok(())
    }
}

/// Descriptors on the scale [-1, 1] between the task's bounds.
pub fn scale(axes: &[Axis], descriptor: &[f64], out: &mut [f32]) {
    for ((axis, d), out) in axes.iter().zip(descriptor).zip(out) {
        *out = ((2.0 * d - axis.lower - axis.upper) / (axis.upper - axis.lower)) as f32;
    }
}
