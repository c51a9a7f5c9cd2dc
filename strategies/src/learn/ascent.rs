//! Policy-gradient variation: many policies climb the same critic at once.
//!
//! On a processor with caches the batched form is one policy after the other on each thread: the critic (300 kB for the usual
//! sizes), its transpose, and a policy with its moments (350 kB) stay in the thread's own second-level cache through all steps,
//! whereas going through all policies in each step would stream every one of them from memory each time. Products are as large
//! as the minibatch either way, and threads never wait for one another before the end.

use std::sync::Mutex;

use rayon::prelude::*;

use illume_numerics::mlp::{Adam, Climb, Pass, Plan, STRIP, Trained, fold_condition, gather, strips};
use illume_numerics::{Buffer, Level};

use super::{Ascent, Td3Config};

/// What a thread needs; made once for each.
struct Seat {
    policy: Trained,
    critic: Buffer,
    tape: Buffer,
}

pub(crate) fn improve(
    level: Level,
    config: &Td3Config,
    ascent: &Ascent,
    critic: &[f32],
    policies: &mut [f32],
    conditions: &[f32],
    states: &[f32],
) {
    let [observation, rows] = [config.observation, ascent.minibatch];
    let params = ascent.policy.params();
    let count = policies.len() / params;
    assert_eq!(
        [ascent.policy.inputs(), ascent.policy.outputs()],
        [observation, config.action],
        "inputs and outputs of the policies"
    );
    assert_eq!(policies.len(), count * params, "policies of {params} parameters");
    assert_eq!(
        conditions.len(),
        count * config.condition,
        "a condition for each policy"
    );
    assert_eq!(
        states.len(),
        ascent.steps * rows * observation,
        "states of all minibatches"
    );
    assert_eq!(critic.len(), config.critic().params(), "parameters of the critic");
    if rows == 0 {
        return;
    }
    // Everything of the critic that does not depend on the condition.
    let net = config.critic();
    let plan = Plan::new(level, &net.folded(config.condition));
    let [mut packed, mut turned] = [plan.len(), plan.turned_len()].map(Buffer::new);
    plan.pack(&fold_condition(&net, critic, &vec![0.0; config.condition]), &mut packed);
    plan.turn(&packed, &mut turned, 1);
    let mut climb = Climb::new(&Plan::general(level, &ascent.policy), &plan, observation);
    climb.look_at(&plan, &packed);

    let seats = Mutex::new(Vec::new());
    let new_seat = || Seat {
        policy: Trained::general(level, &ascent.policy),
        critic: packed.clone(),
        tape: Buffer::new(strips(rows) * climb.strip()),
    };
    let each = |(n, policy): (usize, &mut [f32])| {
        let seat = seats.lock().expect("no thread panics while it holds the lock").pop();
        let mut seat = seat.unwrap_or_else(new_seat);
        let condition = &conditions[n * config.condition..(n + 1) * config.condition];
        plan.pack(&fold_condition(&net, critic, condition), &mut seat.critic);
        seat.climb(&climb, ascent, (&plan, &turned), policy, states);
        seats.lock().expect("as above").push(seat);
    };
    policies
        .par_chunks_mut(params)
        .enumerate()
        .with_max_len(1)
        .for_each(each);
}

impl Seat {
    /// All steps of one policy.
    fn climb(
        &mut self,
        climb: &Climb,
        ascent: &Ascent,
        (plan, turned): (&Plan, &[f32]),
        policy: &mut [f32],
        states: &[f32],
    ) {
        let Seat {
            policy: net,
            critic,
            tape,
        } = self;
        let rows = ascent.minibatch;
        let (strip, observation) = (climb.strip(), ascent.policy.inputs());
        net.set_params(policy);
        net.clear_moments();
        for step in 0..ascent.steps {
            let place = |s: usize| {
                let start = s * STRIP;
                step * rows + start..step * rows + rows.min(start + STRIP)
            };
            for slot in [climb.policy.values[0], climb.critic.values[0]] {
                gather(tape, strip, (slot, 0), (states, observation), place);
            }
            climb.pass(
                (&net.plan, &net.params, &net.turned),
                (plan, critic, turned),
                tape,
                rows,
            );
            let pass = Pass {
                tape,
                rows,
                path: &climb.policy,
                adam: Adam::new(ascent.rate, step as u64 + 1),
            };
            net.step(&pass, None, 1);
        }
        net.plan.unpack(&net.params, policy);
    }
}
