//! The gradient of the clipped surrogate of sampled answers with respect to the genes of a search over adapters (GRPO: Shao et al. 2024,
//! <https://arxiv.org/abs/2402.03300>, section 4; the divergence's estimate is Schulman's k3).
//!
//! The model that is differentiated has the weights that answered, rounded to their precision: on the processor it is the same function (where rows are
//! rounded to eight bits too, but for those that are as near to one code as to the next, and gradients pass the rounding), on a device all but the rounding
//! of what is between the weights. Old log-probabilities are its own, taken in the first pass, as TRL and verl take them: the first ratios
//! are 1 whatever answered, and the distance to what answered is reported.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use illume_core::{Answer, Credit, Error, PolicyGradient, Result, Surrogate, SurrogateReport};
use tch::{Device, Kind, Tensor};

use super::adapters::{Adapters, Delta};
use super::parallel::{self, Pass};
use super::rows::{self, Rows};
use super::weights::{Weights, failed};
use super::{Example, Tried, forward};
use crate::checkpoint::{Checkpoint, floats};
use crate::model::Precision;
use crate::svd::{SearchSpace, tensor};

/// The tokens of a case's prompt; None for a case that is not there.
pub type Prompts = Arc<dyn Fn(u32) -> Option<Vec<u32>> + Send + Sync>;

/// Surrogates of the answers of one model. The weights are read, in f32, when the first gradient is asked for.
pub struct Surrogates {
    checkpoint: Arc<Checkpoint>,
    space: Arc<SearchSpace>,
    prompts: Prompts,
    temperature: f64,
    device: Device,
    precision: Precision,
    longest: usize,
    weights: OnceLock<Mutex<Weights>>,
    /// What the adapters' forward pass shares, on the device.
    fixed: OnceLock<Mutex<Vec<Vec<Tensor>>>>,
}

impl fmt::Debug for Surrogates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surrogates")
            .field("model", &self.checkpoint.path())
            .field("temperature", &self.temperature)
            .finish_non_exhaustive()
    }
}

/// What is known of one answer.
struct Sampled<'a> {
    /// Of its tokens, under the distribution that they were sampled by.
    log_probs: &'a [f32],
    /// That ratios compare with; empty for those of this pass.
    old: &'a [f32],
    /// Under the reference; empty where the divergence has no weight.
    reference: Vec<f32>,
    advantage: f32,
    weight: f32,
}

impl Surrogates {
    /// Answers are sampled at `temperature`, from all tokens, by weights in f32; `prompts` gives the tokens that a case's answer follows.
    pub fn new(
        checkpoint: Arc<Checkpoint>,
        space: Arc<SearchSpace>,
        prompts: Prompts,
        temperature: f64,
        device: Device,
    ) -> Surrogates {
        Surrogates {
            checkpoint,
            space,
            prompts,
            temperature,
            device,
            precision: Precision::F32,
            longest: usize::MAX,
            weights: OnceLock::new(),
            fixed: OnceLock::new(),
        }
    }

    /// Answers are given by weights of this precision, and have at most `longest` tokens.
    pub fn of_answers(self, precision: Precision, longest: usize) -> Surrogates {
        Surrogates {
            precision,
            longest,
            ..self
        }
    }

    /// Log-probabilities of the tokens of each answer under the genome, at the temperature.
    ///
    /// # Errors
    /// As [`PolicyGradient::add_gradient`].
    pub fn log_probs(&self, genes: &[f32], answers: &[Answer]) -> Result<Vec<Vec<f32>>> {
        self.check(genes, answers)?;
        let passes = rows::passes(&self.examples(answers)?, &self.checkpoint.config)?;
        let origins: Vec<(usize, usize)> = passes.iter().flat_map(|p| p.origin.clone()).collect();
        let leaves = self.leaves(genes)?;
        let weights = self.weights()?;
        let share = |rows| self.pass(&weights, &leaves, rows);
        let temperature = self.temperature;
        let told = parallel::values(None, passes, share, |pass| numbers(&log_probs(pass, temperature)?))?;
        Ok(by_answer(&origins, &told.concat(), answers.len()))
    }

    fn weights(&self) -> Result<Weights> {
        if self.weights.get().is_none() {
            let read = Weights::rounded(&self.checkpoint, self.precision, self.device)?;
            // Another thread may have been faster; its copy stays then.
            let _ = self.weights.set(Mutex::new(read));
        }
        let kept = self.weights.get().expect("set above");
        Ok(kept.lock().unwrap_or_else(PoisonError::into_inner).share())
    }

    /// Of each target the matrices that are not searched: those of the basis, or none.
    fn fixed(&self) -> Vec<Vec<Tensor>> {
        let make = || {
            let Some((svd, _)) = self.space.singular() else {
                return Mutex::new(Vec::new());
            };
            let of = |t: &crate::svd::SvdTarget| {
                [
                    tensor(&t.v_a, &[t.inputs, svd.rank]),
                    tensor(&t.inner, &[svd.rank, svd.rank]),
                    tensor(&t.u_b, &[t.outputs, svd.rank]),
                ]
                .map(|x| x.to_device(self.device))
                .into()
            };
            Mutex::new(svd.targets.iter().map(of).collect())
        };
        let kept = self
            .fixed
            .get_or_init(make)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(|list| super::shared(list)).collect()
    }

    /// What is differentiated: of each target the singular values of A and B, or A and B.
    fn leaves(&self, genes: &[f32]) -> Result<Vec<Tensor>> {
        let singular = self.space.singular();
        let offsets = self.space.offsets(genes);
        let mut leaves = Vec::new();
        for (i, (f, places)) in self.space.factors().iter().zip(self.space.places()).enumerate() {
            let rank = self.space.rank();
            let bases = match singular {
                Some((svd, _)) => [(&svd.targets[i].s_a, vec![rank]), (&svd.targets[i].s_b, vec![rank])],
                None => [
                    (&f.a, vec![rank, f.a.len() / rank]),
                    (&f.b, vec![f.b.len() / rank, rank]),
                ],
            };
            for ((base, shape), place) in bases.into_iter().zip(places) {
                let mut values = base.clone();
                values.iter_mut().zip(&offsets[place]).for_each(|(x, o)| *x += o);
                let leaf = tensor(&values, &shape)
                    .f_to_device(self.device)
                    .and_then(|t| t.f_set_requires_grad(true));
                leaves.push(leaf.map_err(failed)?);
            }
        }
        Ok(leaves)
    }

    fn pass(&self, weights: &Weights, leaves: &[Tensor], rows: Rows) -> Pass {
        let mut fixed = self.fixed().into_iter();
        let pairs = self.space.factors().iter().zip(leaves.chunks(2));
        let deltas = pairs.map(|(f, pair)| {
            let [a, b] = [pair[0].shallow_clone(), pair[1].shallow_clone()];
            let delta = match fixed.next().map(<[Tensor; 3]>::try_from) {
                Some(Ok([v_a, inner, u_b])) => Delta::Singular {
                    v_a,
                    inner,
                    u_b,
                    s_a: a,
                    s_b: b,
                },
                _ => Delta::Factors { a, b },
            };
            (f.layer, f.module, delta)
        });
        Pass {
            rows,
            weights: weights.share(),
            adapters: Adapters {
                scaling: self.space.scaling(),
                deltas: deltas.collect(),
            },
            leaves: super::shared(leaves),
        }
    }

    fn examples(&self, answers: &[Answer]) -> Result<Vec<Example>> {
        let one = |answer: &Answer| {
            let prompt = (self.prompts)(answer.case).ok_or_else(|| {
                Error::failed(format!(
                    "an answer is to case {}, which the task does not have",
                    answer.case
                ))
            })?;
            let answer_from = prompt.len();
            let mut tokens = prompt;
            tokens.extend(&answer.tokens);
            Ok(Example { tokens, answer_from })
        };
        answers.iter().map(one).collect()
    }

    fn check(&self, genes: &[f32], answers: &[Answer]) -> Result<()> {
        if self.temperature.is_nan() || self.temperature <= 0.0 {
            return Err(Error::config(
                "task",
                "temperature",
                format!(
                    "{} is not above 0; a gradient needs answers that are sampled",
                    self.temperature
                ),
            ));
        }
        if genes.len() != self.space.dim() {
            return Err(Error::failed(format!(
                "a genome has {} genes, and the search space {}",
                genes.len(),
                self.space.dim()
            )));
        }
        match answers.iter().find(|a| a.tokens.len() != a.log_probs.len()) {
            Some(a) => Err(Error::failed(format!(
                "an answer to case {} has {} tokens and {} log-probabilities",
                a.case,
                a.tokens.len(),
                a.log_probs.len()
            ))),
            None => Ok(()),
        }
    }

    /// Adds the gradients of the leaves, one after another, where their genes are.
    fn add_to_genes(&self, flat: &[f32], gradient: &mut [f32]) {
        let mut of_offsets = vec![0.0; gradient.len()];
        let mut from = 0;
        for (f, places) in self.space.factors().iter().zip(self.space.places()) {
            let sizes = match self.space.singular() {
                Some((svd, _)) => [svd.rank; 2],
                None => [f.a.len(), f.b.len()],
            };
            for (place, size) in places.into_iter().zip(sizes) {
                // Of a leaf that is only searched in part, the first numbers are.
                let found: Range<usize> = from..from + place.len();
                of_offsets[place].copy_from_slice(&flat[found]);
                from += size;
            }
        }
        // An offset is a gene times its step, and so is the gene's slope the offset's.
        let of_genes = self.space.offsets(&of_offsets);
        gradient.iter_mut().zip(&*of_genes).for_each(|(g, x)| *g += x);
    }
}

impl PolicyGradient for Surrogates {
    fn temperature(&self) -> f64 {
        self.temperature
    }

    fn longest(&self) -> usize {
        self.longest
    }

    fn add_gradient(
        &self,
        genes: &[f32],
        answers: &[Answer],
        credits: &mut [Credit],
        surrogate: &Surrogate,
        gradient: &mut [f32],
    ) -> Result<SurrogateReport> {
        assert!(credits.len() == answers.len() && gradient.len() == genes.len());
        self.check(genes, answers)?;
        // An answer of no tokens says nothing.
        let kept: Vec<usize> = (0..answers.len()).filter(|i| !answers[*i].tokens.is_empty()).collect();
        let list: Vec<Answer> = kept.iter().map(|i| answers[*i].clone()).collect();
        if list.is_empty() {
            return Ok(SurrogateReport::default());
        }
        let reference = match surrogate.kl > 0.0 {
            true => self.log_probs(&vec![0.0; genes.len()], &list)?,
            false => vec![Vec::new(); list.len()],
        };
        let passes = rows::passes(&self.examples(&list)?, &self.checkpoint.config)?;
        let origins: Vec<(usize, usize)> = passes.iter().flat_map(|p| p.origin.clone()).collect();
        let leaves = self.leaves(genes)?;
        let weights = self.weights()?;
        let share = |rows| self.pass(&weights, &leaves, rows);
        let temperature = self.temperature;
        let sampled: Vec<Sampled> = kept
            .iter()
            .zip(reference)
            .map(|(i, reference)| Sampled {
                log_probs: &answers[*i].log_probs,
                old: &credits[*i].old,
                reference,
                advantage: credits[*i].advantage,
                weight: credits[*i].weight,
            })
            .collect();
        let (flat, told) = parallel::gradients(None, passes, share, |pass| {
            objective(&log_probs(pass, temperature)?, &pass.rows, &sampled, surrogate)
        })?;
        if let Some(flat) = flat {
            self.add_to_genes(&floats(&flat)?, gradient);
        }
        let mut report = SurrogateReport::default();
        let mut new = Vec::new();
        for (r, log_probs) in told {
            report.kl += r.kl;
            report.clipped += r.clipped;
            report.tokens += r.tokens;
            report.gap += r.gap;
            new.extend(log_probs);
        }
        for (i, new) in kept.into_iter().zip(by_answer(&origins, &new, list.len())) {
            if credits[i].old.is_empty() {
                credits[i].old = new;
            }
        }
        Ok(report)
    }
}

/// What follows one another in the order of `origins` (answer, numbers), in the order of the answers.
fn by_answer(origins: &[(usize, usize)], flat: &[f32], answers: usize) -> Vec<Vec<f32>> {
    let mut by_answer = vec![Vec::new(); answers];
    let mut from = 0;
    for (number, count) in origins {
        by_answer[*number] = flat[from..from + count].to_vec();
        from += count;
    }
    by_answer
}

fn numbers(tensor: &Tensor) -> Tried<Vec<f32>> {
    let of = tensor.detach().f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut values = vec![0.0_f32; of.numel()];
    let count = values.len();
    of.f_copy_data(&mut values, count)?;
    Ok(values)
}

/// Log-probabilities of the wanted tokens of a pass, `[wanted]`.
fn log_probs(pass: &Pass, temperature: f64) -> Tried<Tensor> {
    let logits = forward::logits(&pass.weights, &pass.adapters, &pass.rows)?;
    let targets = Tensor::f_from_slice(&pass.rows.targets)?.f_to_device(logits.device())?;
    let all = logits.f_div_scalar(temperature)?.f_log_softmax(-1, Kind::Float)?;
    all.f_gather(1, &targets.f_unsqueeze(1)?, false)?.f_squeeze_dim(1)
}

/// The surrogate of a pass, to be climbed, from the log-probabilities `[wanted]` of its tokens, which are returned as numbers.
fn objective(
    log_probs: &Tensor,
    rows: &Rows,
    sampled: &[Sampled],
    surrogate: &Surrogate,
) -> Tried<(Tensor, (SurrogateReport, Vec<f32>))> {
    let new = numbers(log_probs)?;
    let (mut old, mut reference) = (Vec::new(), Vec::new());
    let (mut advantages, mut weights, mut means) = (Vec::new(), Vec::new(), Vec::new());
    let mut gap = 0.0;
    for (number, count) in &rows.origin {
        let s = &sampled[*number];
        let own = &new[old.len()..old.len() + count];
        if s.old.is_empty() {
            gap += own
                .iter()
                .zip(s.log_probs)
                .map(|(x, y)| f64::from((x - y).abs()))
                .sum::<f64>();
            old.extend_from_slice(own);
        } else {
            old.extend_from_slice(s.old);
        }
        reference.extend_from_slice(&s.reference);
        advantages.resize(old.len(), s.advantage);
        weights.resize(old.len(), s.weight);
        means.resize(old.len(), 1.0 / *count as f32);
    }
    let on = |values: &[f32]| Tensor::f_from_slice(values)?.f_to_device(log_probs.device());
    let (advantages, weights) = (on(&advantages)?, on(&weights)?);
    let ratio = log_probs.f_sub(&on(&old)?)?.f_exp()?;
    let inside = ratio.f_clamp(1.0 - surrogate.clip, 1.0 + surrogate.clip)?;
    let (free, bounded) = (ratio.f_mul(&advantages)?, inside.f_mul(&advantages)?);
    let clipped = bounded.f_lt_tensor(&free)?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
    let mut value = free.f_minimum(&bounded)?;
    let mut report = SurrogateReport {
        kl: 0.0,
        clipped: clipped as u64,
        tokens: old.len() as u64,
        gap,
    };
    if surrogate.kl > 0.0 {
        let log_ratio = on(&reference)?.f_sub(log_probs)?;
        let kl = log_ratio.f_exp()?.f_sub(&log_ratio)?.f_sub_scalar(1.0)?;
        report.kl = kl.f_mul(&on(&means)?)?.f_sum(Kind::Double)?.f_double_value(&[])?;
        value = value.f_sub(&kl.f_mul_scalar(surrogate.kl)?)?;
    }
    Ok((value.f_mul(&weights)?.f_sum(Kind::Float)?, (report, new)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ln(p: f32) -> f32 {
        p.ln()
    }

    /// Two answers in one pass: of two tokens, and of one.
    fn two_and_one() -> Rows {
        Rows {
            origin: vec![(1, 2), (0, 1)],
            ..Rows::default()
        }
    }

    #[test]
    fn a_surrogate_worked_by_hand_has_its_value_and_gradient() {
        let old = [vec![ln(0.5)], vec![ln(0.25), ln(0.5)]];
        // The answers' mean, that of tokens, and tokens over the longest answer's 4: by 2 answers and 3 tokens.
        for weights in [[0.5, 0.25], [1.0 / 3.0; 2], [1.0 / 8.0; 2]] {
            let sampled = [
                Sampled {
                    log_probs: &old[0],
                    old: &old[0],
                    reference: vec![ln(0.4)],
                    advantage: -1.0,
                    weight: weights[0],
                },
                Sampled {
                    log_probs: &old[1],
                    old: &old[1],
                    reference: vec![ln(0.5), ln(0.1)],
                    advantage: 2.0,
                    weight: weights[1],
                },
            ];
            // Ratios 2 (cut at 1.2), 0.8; and 1.
            let log_probs = Tensor::from_slice(&[ln(0.5), ln(0.4), ln(0.5)]).set_requires_grad(true);
            let surrogate = Surrogate { clip: 0.2, kl: 0.1 };
            let (value, (report, new)) = objective(&log_probs, &two_and_one(), &sampled, &surrogate).unwrap();
            // Divergences with r = 1, 1/4, 4/5.
            let kl = [0.0, 0.25 - 0.25_f64.ln() - 1.0, 0.8 - 0.8_f64.ln() - 1.0];
            let [one, two] = weights.map(f64::from);
            let expected = two * (2.4 + 1.6 - 0.1 * (kl[0] + kl[1])) + one * (-1.0 - 0.1 * kl[2]);
            assert!((value.double_value(&[]) - expected).abs() < 1e-6);
            assert!((report.kl - (0.5 * (kl[0] + kl[1]) + kl[2])).abs() < 1e-6);
            assert_eq!((report.clipped, report.tokens, report.gap), (1, 3, 0.0));
            assert_eq!(new, [ln(0.5), ln(0.4), ln(0.5)]);
            let gradient = &Tensor::run_backward(&[value], &[&log_probs], false, false)[0];
            // d ratio = ratio, d divergence = 1 - r; nothing where the ratio is cut.
            let by_hand = [0.0, two * (1.6 - 0.1 * 0.75), one * (-1.0 - 0.1 * 0.2)];
            for (found, expected) in floats(gradient).unwrap().iter().zip(by_hand) {
                assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} for {expected}");
            }
        }
    }

    #[test]
    fn without_old_log_probabilities_ratios_are_1_whatever_answered() {
        let by_another = [vec![ln(0.9)], vec![ln(0.05), ln(0.4)]];
        let sampled = [(0, -1.0), (1, 2.0)].map(|(i, advantage)| Sampled {
            log_probs: &by_another[i],
            old: &[],
            reference: Vec::new(),
            advantage,
            weight: 1.0,
        });
        let log_probs = Tensor::from_slice(&[ln(0.5), ln(0.4), ln(0.5)]).set_requires_grad(true);
        let surrogate = Surrogate { clip: 0.2, kl: 0.0 };
        let (value, (report, _)) = objective(&log_probs, &two_and_one(), &sampled, &surrogate).unwrap();
        assert_eq!((value.double_value(&[]), report.clipped), (2.0 + 2.0 - 1.0, 0));
        let gap: f64 = [0.5_f64 / 0.05, 1.0, 0.9 / 0.5].map(f64::ln).iter().sum();
        assert!((report.gap - gap).abs() < 1e-6, "{} is not {gap}", report.gap);
        let gradient = &Tensor::run_backward(&[value], &[&log_probs], false, false)[0];
        assert_eq!(floats(gradient).unwrap(), [2.0, 2.0, -1.0]);
    }
}
