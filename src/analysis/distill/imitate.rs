//! From an archive to one conditioned policy: behaviour cloning of the elites, then rounds of correction on the student's own states.

use std::sync::Arc;

use illume_archives::metrics::{Metrics, measure};
use illume_cluster::memory::available;
use illume_core::{Activation, Memory, Network, Purpose, Result, Stream, TaskSpec};
use serde_json::{Value, json};

use super::dataset::{Dataset, Sampling};
use super::reliable::Reliable;
use super::rollout::Experts;
use super::student::Student;
use super::train::{Fitted, Schedule, fit};
use crate::Evaluator;
use crate::analysis::reevaluate::{Reevaluated, corrected};
use crate::engine::output::{Progress, significant, thousands};

/// Copies of a student's weights in training: its own, their gradient, two moments, and the best student's.
const COPIES: usize = 5;

/// How a student is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Imitation {
    pub hidden: Vec<usize>,
    /// Corrections on the student's own states.
    pub rounds: usize,
    pub schedule: Schedule,
    pub seed: u64,
    /// Bytes that the data may take.
    pub bytes: usize,
    /// Learn from the corrected archive, of each elite as much as it can be relied on.
    pub reliable: bool,
}

impl Default for Imitation {
    fn default() -> Imitation {
        Imitation {
            hidden: vec![256, 256],
            rounds: 6,
            schedule: Schedule::default(),
            seed: 1,
            bytes: 512 << 20,
            reliable: false,
        }
    }
}

/// Episodes of each elite, its own seed among them, where the task is not deterministic; one otherwise.
const EPISODES: usize = 4;

/// Episodes of the student for each descriptor and round, likewise.
const STUDENT_EPISODES: usize = 2;

/// Rounds of what is held out, for what is drawn of it.
const HELD_OUT: u64 = 1 << 32;

/// One round, as the report tells of it; round 0 is the cloning.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    pub round: usize,
    /// Steps that the student has learned from so far, and those held out.
    pub steps: [usize; 2],
    pub fitted: Fitted,
    /// What the student then did in fresh episodes: the cells that it reached.
    pub reached: Metrics,
    /// Mean distance from the requested to the achieved descriptor.
    pub distance: f64,
}

/// What became of the training.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Training {
    pub rounds: Vec<Round>,
    /// The round whose student is kept.
    pub kept: usize,
}

impl Training {
    pub fn json(&self) -> Value {
        let round = |r: &Round| {
            json!({
                "round": r.round,
                "steps": r.steps[0],
                "held_out_steps": r.steps[1],
                "epochs": r.fitted.epochs,
                "loss": r.fitted.loss,
                "validation_loss": r.fitted.validation_loss,
                "qd_score": r.reached.qd_score,
                "coverage": r.reached.coverage,
                "mean_descriptor_distance": r.distance,
            })
        };
        json!({"rounds": self.rounds.iter().map(round).collect::<Vec<_>>(), "kept_round": self.kept})
    }
}

/// A student's network: from observation and descriptor to action.
fn network(task: &TaskSpec, hidden: &[usize]) -> Network {
    let inputs = task.observation_dim + task.descriptor_dim();
    Network::policy([&[inputs], hidden, &[task.action_dim]].concat(), Activation::Tanh)
}

/// That a student with these hidden layers can be trained here.
///
/// # Errors
/// It does not fit into memory.
pub fn check_size(task: &TaskSpec, hidden: &[usize]) -> Result<()> {
    let weights = network(task, hidden).params();
    let bytes = (COPIES * size_of::<f32>()) as f64 * weights as f64;
    let what = format!("{weights} weights in training");
    Memory::alone(available(1)).claim("", "--hidden", bytes, &what)
}

/// Makes a student of the experts' elites. Of the students after each round the one is kept that reaches the highest corrected QD score in
/// fresh episodes, so that a correction never makes it worse.
///
/// # Errors
/// The archive's genomes cannot be read.
pub fn imitate(
    experts: &Experts<'_>,
    evaluator: &mut Evaluator<'_>,
    how: &Imitation,
    progress: &mut Progress,
) -> Result<(Student, Training)> {
    let spec = experts.subject.task.spec();
    let (o, k, a) = (spec.observation_dim, spec.descriptor_dim(), spec.action_dim);
    let n = experts.subject.file.rows();
    let (episodes, own) = match spec.deterministic {
        true => (1, 1),
        false => (EPISODES, STUDENT_EPISODES),
    };
    // Every collection gets an equal part of the memory, every episode an equal part of that.
    let most = how.bytes / Dataset::row_bytes(o, a) / (how.rounds + 1);
    let sampling = |round: usize, episodes: usize| Sampling {
        seed: how.seed,
        round: round as u64,
        quota: (most / (n * episodes)).max(1),
        whole: round == 0 && episodes > 1,
    };
    let [mut data, mut held_out] = [(); 2].map(|()| Dataset::new(o, k, a));
    progress.say(
        0.0,
        &format!("the {} elites act, {episodes} episodes each", thousands(n as u64)),
    );
    let first = sampling(0, episodes);
    if first.quota < spec.max_steps as usize {
        progress.say(
            0.0,
            &format!(
                "of an episode at most {} steps are kept, spread evenly: the data are bounded to {} MiB",
                thousands(first.quota as u64),
                how.bytes >> 20
            ),
        );
    }
    let did = experts.collect(evaluator, None, episodes, &first, Some([&mut data, &mut held_out]))?;
    let reliable = match how.reliable && !spec.deterministic {
        true => Some(Reliable::of(experts, &did)?),
        false => None,
    };
    let conditions = match &reliable {
        Some(reliable) => {
            reliable.thin(&mut data, how.seed, 0);
            reliable.thin(&mut held_out, how.seed, HELD_OUT);
            let teachers = reliable.weights.iter().filter(|w| **w > 0.0).count();
            progress.say(0.0, &format!("{} of them teach", thousands(teachers as u64)));
            &reliable.conditions
        }
        None => &experts.conditions,
    };
    let experts = &Experts {
        conditions: conditions.clone(),
        normalization: experts.normalization.clone(),
        ..*experts
    };
    let mut normalization = experts.normalization.clone();
    if normalization.is_none() {
        let statistics = data.statistics();
        data.normalize(&statistics);
        held_out.normalize(&statistics);
        normalization = Some(Arc::new(statistics));
    }
    let mut student = Student::new(&network(spec, &how.hidden), Vec::new(), normalization);
    student.params = first_params(&student, k, how.seed);

    let mut training = Training::default();
    let mut kept: Option<(Student, Score)> = None;
    let parts = (how.rounds + 1) as f64;
    for round in 0..=how.rounds {
        let fitted = fit(
            &student.net.clone(),
            &mut student.params,
            [&data, &held_out],
            &experts.conditions,
            &how.schedule,
            [how.seed, round as u64],
            |epoch, loss, validation| {
                let done = (round as f64 + epoch as f64 / how.schedule.epochs as f64) / parts;
                let text = format!(
                    "round {round}  epoch {epoch}  {} steps  loss {}  validation {}",
                    thousands(data.rows() as u64),
                    significant(loss),
                    significant(validation)
                );
                progress.update(done, &text);
            },
        );
        let steps = [data.rows(), held_out.rows()];
        let next = sampling(round + 1, own);
        let [mut seen, mut unseen] = [(); 2].map(|()| Dataset::new(o, k, a));
        let into = (round < how.rounds).then_some([&mut seen, &mut unseen]);
        let did = experts.collect(evaluator, Some(&student), own, &next, into)?.means;
        if let Some(reliable) = &reliable {
            reliable.thin(&mut seen, how.seed, next.round);
            reliable.thin(&mut unseen, how.seed, HELD_OUT + next.round);
        }
        data.append(seen);
        held_out.append(unseen);
        let entry = assess(experts, &did, round, steps, fitted)?;
        progress.say(
            (round + 1) as f64 / parts,
            &format!(
                "round {round}: validation loss {}, QD score {}, coverage {:.2} %, distance {}",
                significant(fitted.validation_loss),
                significant(entry.reached.qd_score),
                100.0 * entry.reached.coverage,
                significant(entry.distance)
            ),
        );
        let score = Score::of(&entry);
        if kept.as_ref().is_none_or(|(_, best)| score.beats(best)) {
            kept = Some((student.clone(), score));
            training.kept = round;
        }
        training.rounds.push(entry);
    }
    progress.finish();
    let student = kept.map_or(student, |(best, _)| best);
    Ok((student, training))
}

/// What makes a student better: QD score, then coverage, then nearness.
#[derive(Debug, Clone, Copy)]
struct Score([f64; 3]);

impl Score {
    fn of(round: &Round) -> Score {
        Score([round.reached.qd_score, round.reached.coverage, -round.distance])
    }

    fn beats(&self, other: &Score) -> bool {
        self.0.partial_cmp(&other.0) == Some(std::cmp::Ordering::Greater)
    }
}

fn assess(experts: &Experts<'_>, did: &Reevaluated, round: usize, steps: [usize; 2], fitted: Fitted) -> Result<Round> {
    let (file, archive) = (&experts.subject.file, experts.subject.archive.as_ref());
    let requested = file.elites.get::<f64>("descriptor")?;
    let k = file.spec.axes.len();
    let achieved = did.descriptor.chunks_exact(k).zip(requested.chunks_exact(k));
    let distances = achieved.map(|(d, r)| d.iter().zip(r).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt());
    let known: Vec<f64> = distances.filter(|d| !d.is_nan()).collect();
    Ok(Round {
        round,
        steps,
        fitted,
        reached: measure(&corrected(archive, did).fitness, file.spec.qd_offset),
        distance: known.iter().sum::<f64>() / known.len() as f64,
    })
}

/// Factor on the first weights of the descriptor's inputs, and bound of the first layer's biases: with both, units begin as
/// ridges that lie all over the descriptor space, narrow enough to tell neighbouring cells apart. (With LeCun's alone the error on
/// held-out steps of a maze's elites stayed two to three times as high.)
const DESCRIPTOR_GAIN: f32 = 4.0;
const FIRST_BIAS: f32 = 2.0;

/// Factor on the first weights of the output layer, so that no action begins where tanh is flat.
const OUTPUT_GAIN: f32 = 0.1;

/// LeCun-uniform weights but for these factors; other biases are zero.
fn first_params(student: &Student, k: usize, seed: u64) -> Vec<f32> {
    let net = &student.net;
    let mut params = vec![0.0; net.params()];
    net.init(&Stream::new(seed, Purpose::Network, 0, 0), &mut params);
    let (inputs, units) = (net.inputs(), net.layers[1]);
    params[(inputs - k) * units..inputs * units]
        .iter_mut()
        .for_each(|w| *w *= DESCRIPTOR_GAIN);
    let bias = &mut params[inputs * units..(inputs + 1) * units];
    Stream::new(seed, Purpose::Network, 0, 1).uniforms(0, bias);
    bias.iter_mut().for_each(|b| *b = FIRST_BIAS * (2.0 * *b - 1.0));
    let last = (net.layers[net.layers.len() - 2] + 1) * net.outputs();
    let start = params.len() - last;
    params[start..].iter_mut().for_each(|w| *w *= OUTPUT_GAIN);
    params
}
