//! The worker that scores genomes by playing one episode each.

use std::ops::Range;

use illume_core::{Request, Result, Scores, Scratch, Status, TaskSpec, Worker};

#[cfg(feature = "torch")]
use super::params::no_cuda;
use super::{ConvNet, ConvScratch, FrameStack, PixelEnv, PixelPolicyParams};
use crate::rollout::End;

/// Rows that a worker of this `[policy]` should be handed at a time (`TaskSpec::chunk`).
///
/// Episodes are handed out one by one; a GPU gets all rows of a rank at once and goes on to the next as episodes end.
pub fn chunk(params: &PixelPolicyParams) -> usize {
    if params.device == "cuda" { 1 << 32 } else { 1 }
}

/// The worker that `[policy]` asks for; `env` makes a game for it.
///
/// # Errors
/// Those of `env`; the device is not there.
pub fn worker<'a, E: PixelEnv + 'a>(
    params: &PixelPolicyParams,
    net: &'a ConvNet,
    spec: &TaskSpec,
    env: impl Fn() -> Result<E> + Send + Sync + 'a,
) -> Result<Box<dyn Worker + 'a>> {
    #[cfg(feature = "torch")]
    if params.device == "cuda" {
        let device = super::torch::device().map_err(|fault| no_cuda(&fault))?;
        return Ok(Box::new(super::torch::SlotWorker::new(
            net,
            spec,
            device,
            params.slots,
            env,
        )?));
    }
    debug_assert_eq!(params.device, "cpu");
    Ok(Box::new(PixelWorker::new(env()?, net, spec)))
}

/// Scores genomes by one episode each under the action of the greatest logit (the first of equals): fitness is the sum of rewards.
///
/// An episode is truncated at the spec's `max_steps` or the request's, whichever comes first; a row that only tests at the spec's
/// `test_steps`. A logit that is not finite ends it as [`Status::NotFinite`]. Moments of observations and trajectories are not
/// recorded, and a request's normalization or network of its own has no meaning here.
pub struct PixelWorker<'a, E> {
    env: E,
    net: &'a ConvNet,
    limits: [u32; 2],
    genes: Scratch,
    /// The individual that `units` holds statistics of, if any.
    known: Vec<f32>,
    units: ConvScratch,
    frames: FrameStack,
    logits: Vec<f32>,
}

impl<'a, E: PixelEnv> PixelWorker<'a, E> {
    /// A worker for the task of this spec.
    ///
    /// # Panics
    /// Game, network and spec do not fit.
    pub fn new(env: E, net: &'a ConvNet, spec: &TaskSpec) -> PixelWorker<'a, E> {
        assert_eq!(env.actions(), net.actions(), "actions of task '{}'", spec.name);
        assert_eq!(net.params(), spec.genome_dim, "genes of task '{}'", spec.name);
        PixelWorker {
            env,
            net,
            limits: [spec.max_steps, spec.test_steps],
            genes: Scratch::default(),
            known: Vec::new(),
            units: net.scratch(),
            frames: FrameStack::default(),
            logits: vec![0.0; net.actions()],
        }
    }

    /// One episode. Gives (status, fitness, steps).
    fn episode(&mut self, request: &Request<'_>, row: usize) -> (Status, f64, u32) {
        let genes = request.genomes.genes(row, &mut self.genes);
        if self.net.reference_wanted() == 0 {
            self.net.begin(genes, &mut self.units);
        } else if self.known != genes {
            // Episodes of one individual follow each other when it is validated: its statistics stay.
            self.net.begin(genes, &mut self.units);
            self.known.clear();
            self.known.extend_from_slice(genes);
        }
        let limit = request.limit(row, self.limits);
        let (mut fitness, mut steps) = (0.0, 0);
        self.env.reset(request.seeds[row], &mut self.frames);
        while steps < limit {
            self.net
                .forward(genes, &self.frames.pixels, &mut self.units, &mut self.logits);
            if !self.logits.iter().all(|l| l.is_finite()) {
                return (Status::NotFinite, 0.0, steps);
            }
            let step = self.env.step(greatest(&self.logits), &mut self.frames);
            steps += 1;
            fitness += step.reward;
            match step.end {
                End::Running => {}
                End::Failed => return (Status::Failed, 0.0, steps),
                End::Terminated | End::Truncated => break,
            }
        }
        (Status::Ok, fitness, steps)
    }
}

impl<E: PixelEnv> Worker for PixelWorker<'_, E> {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        let k = scores.descriptor.len() / rows.len().max(1);
        for (i, row) in rows.enumerate() {
            let (status, fitness, steps) = self.episode(request, row);
            scores.status[i] = status as u8;
            scores.fitness[i] = fitness;
            scores.steps[i] = steps;
            if status == Status::Ok {
                self.env.descriptor(&mut scores.descriptor[i * k..(i + 1) * k]);
            }
        }
    }
}

/// The number of the greatest logit, the first of equals.
pub(super) fn greatest(logits: &[f32]) -> usize {
    let mut best = 0;
    for (i, l) in logits.iter().enumerate() {
        if *l > logits[best] {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::greatest;

    #[test]
    fn of_equal_logits_the_first_is_taken() {
        assert_eq!(greatest(&[1.0, 3.0, 3.0, 2.0]), 1);
        assert_eq!(greatest(&[0.0, -0.0]), 0);
        assert_eq!(greatest(&[-2.0]), 0);
    }
}
