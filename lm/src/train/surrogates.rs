//! The gradient of the clipped surrogate of sampled answers with respect to the genes of a search over adapters (GRPO: Shao et al. 2024,
//! <https://arxiv.org/abs/2402.03300>, section 4; the divergence's estimate is Schulman's k3).
//!
//! The model that is differentiated has the weights that answered: on the processor it is the same model in the same memory, on a device its weights rounded to
//! their precision, and all is the same but the rounding of what is between them. Old log-probabilities are its own, taken in the first pass, as TRL and verl take them: the first ratios
//! are 1 whatever answered, and the distance to what answered is reported.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use illume_core::{Answer, Credit, Error, PolicyGradient, Result, Surrogate, SurrogateReport};

#[cfg(feature = "torch")]
use super::torch::OnDevice;
use super::{Example, native, rows};
use crate::Device;
use crate::checkpoint::Checkpoint;
use crate::model::{Model, Native, Precision};
use crate::svd::SearchSpace;

/// The tokens of a case's prompt; None for a case that is not there.
pub type Prompts = Arc<dyn Fn(u32) -> Option<Vec<u32>> + Send + Sync>;

/// Surrogates of the answers of one model. Weights that are not there yet are read when the first gradient is asked for.
pub struct Surrogates {
    pub(super) checkpoint: Arc<Checkpoint>,
    pub(super) space: Arc<SearchSpace>,
    prompts: Prompts,
    pub(super) temperature: f64,
    pub(super) device: Device,
    pub(super) precision: Precision,
    longest: usize,
    /// On the processor.
    model: OnceLock<Arc<Model>>,
    #[cfg(feature = "torch")]
    pub(super) on_device: OnDevice,
}

impl fmt::Debug for Surrogates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surrogates")
            .field("model", &self.checkpoint.path())
            .field("temperature", &self.temperature)
            .finish_non_exhaustive()
    }
}

/// What is known of one token of an answer: its term of the surrogate, as a function of its log-probability.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    /// Its log-probability when it was sampled.
    sampled: f32,
    /// What the ratio compares with; None: with itself.
    old: Option<f32>,
    /// Under the reference; None where the divergence has no weight.
    reference: Option<f32>,
    advantage: f32,
    weight: f32,
    /// 1 by the answer's tokens.
    share: f64,
    rule: Surrogate,
}

impl Term {
    fn of_answer(sampled: &[f32], credit: &Credit, reference: &[f32], rule: &Surrogate) -> Vec<Term> {
        let of = |(t, x): (usize, &f32)| Term {
            sampled: *x,
            old: credit.old.get(t).copied(),
            reference: reference.get(t).copied(),
            advantage: credit.advantage,
            weight: credit.weight,
            share: 1.0 / sampled.len() as f64,
            rule: *rule,
        };
        sampled.iter().enumerate().map(of).collect()
    }

    /// The ratio, and whether clipping it makes the term smaller.
    fn ratio(&self, new: f32) -> (f64, bool) {
        let (advantage, clip) = (f64::from(self.advantage), self.rule.clip);
        let ratio = f64::from(new - self.old.unwrap_or(new)).exp();
        (
            ratio,
            ratio.clamp(1.0 - clip, 1.0 + clip) * advantage < ratio * advantage,
        )
    }

    /// The derivative by the log-probability, at `new`.
    pub fn slope(&self, new: f32) -> f32 {
        let (ratio, clipped) = self.ratio(new);
        let climbed = if clipped {
            0.0
        } else {
            ratio * f64::from(self.advantage)
        };
        let apart = self.reference.map_or(0.0, |r| 1.0 - f64::from(r - new).exp());
        (f64::from(self.weight) * (climbed - self.rule.kl * apart)) as f32
    }

    fn add_to(&self, report: &mut SurrogateReport, new: f32) {
        report.clipped += u64::from(self.ratio(new).1);
        report.tokens += 1;
        if self.old.is_none() {
            report.gap += f64::from(new - self.sampled).abs();
        }
        if let Some(reference) = self.reference {
            let log_ratio = f64::from(reference - new);
            report.kl += self.share * (log_ratio.exp() - log_ratio - 1.0);
        }
    }
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
            model: OnceLock::new(),
            #[cfg(feature = "torch")]
            on_device: OnDevice::default(),
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

    /// Answers are given by this model. On the processor its weights are those that are differentiated, and need no second copy.
    pub fn of_model(self, model: Arc<Model>, longest: usize) -> Surrogates {
        let surrogates = self.of_answers(model.precision(), longest);
        if model.native().is_some() {
            return Surrogates {
                model: OnceLock::from(model),
                ..surrogates
            };
        }
        surrogates
    }

    /// Log-probabilities of the tokens of each answer under the genome, at the temperature.
    ///
    /// # Errors
    /// As [`PolicyGradient::add_gradient`].
    pub fn log_probs(&self, genes: &[f32], answers: &[Answer]) -> Result<Vec<Vec<f32>>> {
        self.check(genes, answers)?;
        let (told, _) = self.pass_all(genes, answers, &[])?;
        Ok(told)
    }

    /// Log-probabilities of the tokens of each answer and, if there are terms of a surrogate for them, its gradient with respect to the leaves, one after
    /// another.
    fn pass_all(&self, genes: &[f32], answers: &[Answer], terms: &[Vec<Term>]) -> Result<(Vec<Vec<f32>>, Vec<f32>)> {
        let examples = self.examples(answers)?;
        let values = self.values(genes);
        if self.device == Device::Cpu {
            return self.by_kernels(&examples, values, terms);
        }
        #[cfg(feature = "torch")]
        return self.by_libtorch(&examples, &values, terms);
        #[cfg(not(feature = "torch"))]
        Err(Error::input("a gradient on a GPU needs a build with the feature torch"))
    }

    fn by_kernels(
        &self,
        examples: &[Example],
        values: Vec<[Vec<f32>; 2]>,
        terms: &[Vec<Term>],
    ) -> Result<(Vec<Vec<f32>>, Vec<f32>)> {
        let passes = rows::texts(examples, &self.checkpoint.config)?;
        let origins: Vec<(usize, usize)> = passes.iter().flat_map(|p| p.origin.clone()).collect();
        let model = self.native()?;
        let targets: Vec<native::Target> = self.targets(values);
        let mut adapters = native::Adapters::new(&model.config, model.level, &targets, self.space.scaling());
        let in_order: Vec<&Term> = match terms.is_empty() {
            true => Vec::new(),
            false => origins.iter().flat_map(|(answer, _)| &terms[*answer]).collect(),
        };
        let slope = |i: usize, log_prob: f32| in_order[i].slope(log_prob);
        let mut question = native::Question::new(self.temperature);
        if !terms.is_empty() {
            question.slope = Some(&slope);
        }
        let told = native::run(model, &mut adapters, &passes, &question, &mut native::Room::default());
        let gradient = if terms.is_empty() {
            Vec::new()
        } else {
            adapters.gradient()
        };
        Ok((by_answer(&origins, &told, examples.len()), gradient))
    }

    fn native(&self) -> Result<&Native> {
        if self.model.get().is_none() {
            let read = Model::load(&self.checkpoint, self.precision, Device::Cpu)?;
            // Another thread may have been faster; its copy stays then.
            let _ = self.model.set(Arc::new(read));
        }
        let model = self.model.get().and_then(|m| m.native());
        Ok(model.expect("models on the processor run by our kernels"))
    }

    /// The adapters for our kernels.
    fn targets(&self, values: Vec<[Vec<f32>; 2]>) -> Vec<native::Target<'_>> {
        let singular = self.space.singular();
        let all = self.space.factors().iter().zip(values).enumerate();
        let of = |(i, (f, [a, b])): (usize, (&crate::svd::Factors, [Vec<f32>; 2]))| native::Target {
            layer: f.layer,
            module: f.module,
            rank: self.space.rank(),
            numbers: match singular {
                None => native::Numbers::Factors { a, b },
                Some((svd, _)) => native::Numbers::Singular {
                    v_a: &svd.targets[i].v_a,
                    inner: &svd.targets[i].inner,
                    u_b: &svd.targets[i].u_b,
                    s_a: a,
                    s_b: b,
                },
            },
        };
        all.map(of).collect()
    }

    /// What is differentiated: of each target the singular values of A and B, or A and B.
    fn values(&self, genes: &[f32]) -> Vec<[Vec<f32>; 2]> {
        let singular = self.space.singular();
        let offsets = self.space.offsets(genes);
        let all = self.space.factors().iter().zip(self.space.places()).enumerate();
        all.map(|(i, (f, places))| {
            let bases = match singular {
                Some((svd, _)) => [&svd.targets[i].s_a, &svd.targets[i].s_b],
                None => [&f.a, &f.b],
            };
            let moved = |base: &Vec<f32>, place: &Range<usize>| {
                let mut values = base.clone();
                values
                    .iter_mut()
                    .zip(&offsets[place.clone()])
                    .for_each(|(x, o)| *x += o);
                values
            };
            [moved(bases[0], &places[0]), moved(bases[1], &places[1])]
        })
        .collect()
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
        let terms: Vec<Vec<Term>> = kept
            .iter()
            .zip(&reference)
            .map(|(i, reference)| Term::of_answer(&answers[*i].log_probs, &credits[*i], reference, surrogate))
            .collect();
        let (new, flat) = self.pass_all(genes, &list, &terms)?;
        self.add_to_genes(&flat, gradient);
        let mut report = SurrogateReport::default();
        for (term, new) in terms.iter().flatten().zip(new.iter().flatten()) {
            term.add_to(&mut report, *new);
        }
        for (i, new) in kept.into_iter().zip(new) {
            if credits[i].old.is_empty() {
                credits[i].old = new;
            }
        }
        Ok(report)
    }
}

/// What follows one another in the order of `origins` (answer, numbers), in the order of the answers.
pub(super) fn by_answer(origins: &[(usize, usize)], flat: &[f32], answers: usize) -> Vec<Vec<f32>> {
    let mut by_answer = vec![Vec::new(); answers];
    let mut from = 0;
    for (number, count) in origins {
        by_answer[*number] = flat[from..from + count].to_vec();
        from += count;
    }
    by_answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ln(p: f64) -> f32 {
        p.ln() as f32
    }

    #[test]
    fn a_surrogate_worked_by_hand_has_its_gradient_and_report() {
        // Two answers, of one token and of two: ratios 1; 2 (cut at 1.2) and 0.8.
        let old = [vec![ln(0.5)], vec![ln(0.25), ln(0.5)]];
        let new = [vec![ln(0.5)], vec![ln(0.5), ln(0.4)]];
        let reference = [vec![ln(0.4)], vec![ln(0.5), ln(0.1)]];
        let rule = Surrogate { clip: 0.2, kl: 0.1 };
        // The answers' mean, that of tokens, and tokens over the longest answer's 4: by 2 answers and 3 tokens.
        for weights in [[0.5, 0.25], [1.0 / 3.0; 2], [1.0 / 8.0; 2]] {
            let mut report = SurrogateReport::default();
            let mut slopes = Vec::new();
            for i in 0..2 {
                let credit = Credit {
                    advantage: [-1.0, 2.0][i],
                    weight: weights[i],
                    old: old[i].clone(),
                };
                for (term, new) in Term::of_answer(&old[i], &credit, &reference[i], &rule)
                    .iter()
                    .zip(&new[i])
                {
                    slopes.push(term.slope(*new));
                    term.add_to(&mut report, *new);
                }
            }
            // Divergences with r = 4/5, 1, 1/4.
            let kl = [0.8, 1.0, 0.25].map(|r: f64| r - r.ln() - 1.0);
            assert!((report.kl - (kl[0] + 0.5 * (kl[1] + kl[2]))).abs() < 1e-6);
            assert_eq!((report.clipped, report.tokens, report.gap), (1, 3, 0.0));
            // d ratio = ratio, d divergence = 1 - r; nothing where the ratio is cut.
            let [one, two] = weights.map(f64::from);
            let by_hand = [one * (-1.0 - 0.1 * 0.2), 0.0, two * (1.6 - 0.1 * 0.75)];
            for (found, expected) in slopes.iter().zip(by_hand) {
                assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} for {expected}");
            }
        }
    }

    #[test]
    fn without_old_log_probabilities_ratios_are_1_whatever_answered() {
        let credit = Credit {
            advantage: 2.0,
            weight: 1.0,
            old: Vec::new(),
        };
        let rule = Surrogate { clip: 0.2, kl: 0.0 };
        let [term] = Term::of_answer(&[ln(0.05)], &credit, &[], &rule)[..] else {
            panic!("one token has one term");
        };
        let mut report = SurrogateReport::default();
        term.add_to(&mut report, ln(0.5));
        assert_eq!((term.slope(ln(0.5)), report.clipped, report.kl), (2.0, 0, 0.0));
        assert!((report.gap - 10.0_f64.ln()).abs() < 1e-6);
    }
}
