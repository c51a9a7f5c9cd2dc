//! Our kernels' gradients are those of libtorch's automatic derivatives.

use std::ops::Range;

use illume_core::{Purpose, Stream};
use tch::{Kind, Tensor};

use super::super::native::{Adapters, KEPT, Numbers, Question, Room, Target, Texts, run};
use super::super::{Example, rows as texts_of};
use super::adapters::Delta;
use super::parallel::Pass;
use super::weights::Weights;
use super::{forward, numbers, parallel, rows, staged, tensor};
use crate::Device;
use crate::array::Array;
use crate::checkpoint::{Checkpoint, save_checkpoint};
use crate::config::{Family, ModelConfig, Module};
use crate::lora::{Lora, LoraTarget};
use crate::model::{Native, Precision};
use crate::svd::SvdAdapter;
use crate::tiny::random_weights;

/// Sizes of which most do not fill vectors, a bias or a head of its own, more than one head of queries for one of keys and values.
fn model(tied: bool) -> ModelConfig {
    ModelConfig {
        family: if tied { Family::Qwen2 } else { Family::Llama },
        vocab: 83,
        hidden: 48,
        layers: 3,
        heads: 6,
        kv_heads: if tied { 2 } else { 3 },
        head_dim: if tied { 8 } else { 20 },
        intermediate: 104,
        rms_eps: 1e-5,
        rope_theta: 1e4,
        rope_scaling: None,
        max_positions: 512,
        tied,
        attention_bias: tied,
        eos: vec![0],
        bos: None,
        initializer_range: 0.25,
    }
}

/// Texts of different lengths, of one pass and more; one is longer than the queries that are taken at once.
fn texts(n: usize) -> Vec<Example> {
    let token = |i: usize, t: usize| ((i * 31 + t * t * 7 + t) % 80) as u32;
    let one = |i: usize| Example {
        tokens: (0..5 + (i * 53) % 140).map(|t| token(i, t)).collect(),
        answer_from: (i * 7) % 4,
    };
    (0..n).map(one).collect()
}

fn adapter(config: &ModelConfig, modules: &[Module], layers: std::ops::Range<usize>) -> Lora {
    let mut lora = Lora::fresh(config, 5, 7.0, modules, 3).unwrap();
    lora.targets.retain(|t| layers.contains(&t.layer));
    for (number, target) in lora.targets.iter_mut().enumerate() {
        Stream::new(1, Purpose::Network, 2, number as u64).add_normals(0, 0.2, target.b.values_mut());
    }
    lora
}

/// Some slope that depends on the token and its probability.
fn slope(i: usize, log_prob: f32) -> f32 {
    (i as f32 * 0.7).sin() * log_prob.exp()
}

struct Case {
    checkpoint: Checkpoint,
    lora: Lora,
    /// Singular values are trained, not factors.
    svd: Option<SvdAdapter>,
    examples: Vec<Example>,
    temperature: f64,
}

impl Case {
    fn targets(&self) -> Vec<Target<'_>> {
        let of = |(i, t): (usize, &LoraTarget)| Target {
            layer: t.layer,
            module: t.module,
            rank: self.lora.rank,
            numbers: match &self.svd {
                None => Numbers::Factors {
                    a: t.a.values().to_vec(),
                    b: t.b.values().to_vec(),
                },
                Some(svd) => {
                    let t = &svd.targets[i];
                    Numbers::Singular {
                        v_a: &t.v_a,
                        inner: &t.inner,
                        u_b: &t.u_b,
                        s_a: t.s_a.clone(),
                        s_b: t.s_b.clone(),
                    }
                }
            },
        };
        self.lora.targets.iter().enumerate().map(of).collect()
    }

    /// Log-probabilities and gradients by our kernels.
    fn ours(&self, precision: Precision, threads: usize, kept: usize, apart: bool) -> (Vec<f32>, Vec<f32>) {
        let config = &self.checkpoint.config;
        let model = Native::load(config, &self.checkpoint, precision).unwrap();
        let mut adapters = Adapters::new(config, model.level, &self.targets(), self.lora.scaling());
        let mut passes = texts_of::texts(&self.examples, config).unwrap();
        if apart {
            passes = passes.iter().flat_map(each_apart).collect();
        }
        let question = Question {
            slope: Some(&slope),
            kept,
            ..Question::new(self.temperature)
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let run = || run(&model, &mut adapters, &passes, &question, &mut Room::default());
        let log_probs = pool.install(run);
        (log_probs, adapters.gradient())
    }

    /// The same by libtorch's automatic derivatives, of all layers at once or of so many.
    fn by_libtorch(&self, precision: Precision, stage: Option<usize>) -> (Vec<f32>, Vec<f32>) {
        let config = &self.checkpoint.config;
        let weights = Weights::rounded(&self.checkpoint, precision, Device::Cpu).unwrap();
        let mut leaves = Vec::new();
        let deltas = self.lora.targets.iter().enumerate().map(|(i, t)| {
            let leaf = |t: Tensor| t.set_requires_grad(true);
            let of = |t: &Array| leaf(t.tensor().unwrap());
            let delta = match &self.svd {
                None => Delta::Factors {
                    a: of(&t.a),
                    b: of(&t.b),
                },
                Some(svd) => {
                    let (t, r) = (&svd.targets[i], self.lora.rank);
                    Delta::Singular {
                        v_a: tensor(&t.v_a, &[t.inputs, r]),
                        inner: tensor(&t.inner, &[r, r]),
                        u_b: tensor(&t.u_b, &[t.outputs, r]),
                        s_a: leaf(tensor(&t.s_a, &[r])),
                        s_b: leaf(tensor(&t.s_b, &[r])),
                    }
                }
            };
            leaves.extend(match &delta {
                Delta::Factors { a, b } => [a.shallow_clone(), b.shallow_clone()],
                Delta::Singular { s_a, s_b, .. } => [s_a.shallow_clone(), s_b.shallow_clone()],
            });
            (t.layer, t.module, delta)
        });
        let adapters = super::adapters::Adapters {
            scaling: self.lora.scaling(),
            deltas: deltas.collect(),
        };
        let ours = texts_of::texts(&self.examples, config).unwrap();
        let mut place = std::collections::HashMap::new();
        let mut next = 0;
        for (text, count) in ours.iter().flat_map(|t| &t.origin) {
            place.insert(*text, next);
            next += count;
        }
        let mut log_probs = vec![0.0; next];
        let mut gradient: Option<Tensor> = None;
        let mut pass = Pass {
            rows: rows::Rows::default(),
            weights,
            adapters,
            leaves,
            stage,
        };
        for rows in rows::passes(&self.examples, config, 1024).unwrap() {
            pass.rows = rows;
            let value = |pass: &Pass, logits: Tensor| {
                let all = (logits / self.temperature).log_softmax(-1, Kind::Float);
                let targets = Tensor::from_slice(&pass.rows.targets).unsqueeze(1);
                let of = all.gather(1, &targets, false).squeeze();
                let numbers = numbers(&of)?;
                let mut slopes = Vec::new();
                for (text, count) in &pass.rows.origin {
                    let first = place[text];
                    for i in first..first + count {
                        slopes.push(slope(i, numbers[slopes.len()]));
                    }
                }
                Ok(((of * Tensor::from_slice(&slopes)).sum(Kind::Float), numbers))
            };
            let (flat, numbers) = match stage {
                Some(layers) => staged::gradient(&pass, layers, value).unwrap(),
                None => {
                    let logits = forward::logits(&pass.weights, &pass.adapters, &pass.rows).unwrap();
                    let (value, numbers) = value(&pass, logits).unwrap();
                    let found = Tensor::run_backward(&[value], &pass.leaves, false, false);
                    let flat: Vec<Tensor> = found.iter().map(|g| g.reshape([-1])).collect();
                    (Tensor::cat(&flat, 0), numbers)
                }
            };
            let mut numbers = numbers.into_iter();
            for (text, count) in &pass.rows.origin {
                let own = &mut log_probs[place[text]..][..*count];
                own.iter_mut().zip(&mut numbers).for_each(|(own, x)| *own = x);
            }
            gradient = Some(gradient.map_or(flat.shallow_clone(), |sum| sum + flat));
        }
        (log_probs, numbers(&gradient.unwrap()).unwrap())
    }
}

/// Every text as a pass of its own.
fn each_apart(texts: &Texts) -> Vec<Texts> {
    let mut from = 0;
    let one = |(segment, origin): (&Range<usize>, &(usize, usize))| {
        let wanted = from..from + origin.1;
        from += origin.1;
        Texts {
            tokens: texts.tokens[segment.clone()].to_vec(),
            segments: std::iter::once(0..segment.len()).collect(),
            wanted: texts.wanted[wanted.clone()].iter().map(|w| w - segment.start).collect(),
            targets: texts.targets[wanted].to_vec(),
            origin: vec![*origin],
        }
    };
    texts.segments.iter().zip(&texts.origin).map(one).collect()
}

fn off(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |x: &mut dyn Iterator<Item = f32>| x.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    norm(&mut found.iter().zip(expected).map(|(f, e)| f - e)) / norm(&mut expected.iter().copied())
}

fn cases() -> Vec<(tempfile::TempDir, Case)> {
    let mut list = Vec::new();
    for tied in [true, false] {
        let config = model(tied);
        for (modules, layers) in [
            (&Module::ALL[..], 0..3),
            (&Module::ATTENTION, 1..3),
            (&[Module::V, Module::Down], 2..3),
            (&[Module::O], 1..2),
            (&[Module::Up], 0..1),
        ] {
            for singular in [false, true] {
                let dir = tempfile::tempdir().unwrap();
                save_checkpoint(dir.path(), &config, &random_weights(&config, 1)).unwrap();
                let lora = adapter(&config, modules, layers.clone());
                let case = Case {
                    checkpoint: Checkpoint::open(dir.path()).unwrap(),
                    svd: singular.then(|| SvdAdapter::new(&lora).unwrap()),
                    lora,
                    examples: texts(17),
                    temperature: 0.9,
                };
                list.push((dir, case));
            }
        }
    }
    list
}

#[test]
fn gradients_are_those_of_libtorchs_automatic_derivatives() {
    for (_dir, case) in cases() {
        let (log_probs, gradient) = case.ours(Precision::F32, 2, KEPT, false);
        let (of_them, theirs) = parallel::single_threaded(|| case.by_libtorch(Precision::F32, None));
        let [first, second] = [off(&log_probs, &of_them), off(&gradient, &theirs)];
        assert!(first < 1e-5 && second < 1e-5, "{first:.1e}, {second:.1e}");
    }
}

#[test]
fn gradients_in_stages_are_those_of_all_layers_at_once() {
    for (_dir, case) in cases() {
        let (log_probs, gradient) = parallel::single_threaded(|| case.by_libtorch(Precision::F32, None));
        for layers in [1, 2, 3] {
            let (again, staged) = parallel::single_threaded(|| case.by_libtorch(Precision::F32, Some(layers)));
            let [first, second] = [off(&again, &log_probs), off(&staged, &gradient)];
            assert!(first < 1e-6 && second < 1e-6, "{layers}: {first:.1e}, {second:.1e}");
        }
    }
}

#[test]
fn gradients_of_packed_weights_are_those_of_the_numbers_they_stand_for() {
    let (_dir, case) = cases().swap_remove(0);
    // Rows that meet eight bits are rounded to as many: where one is as near to one code as to the next, last bits decide.
    for (precision, limit) in [
        (Precision::Bf16, 1e-5),
        (Precision::Int8, 0.02),
        (Precision::Int4 { group: 8 }, 0.02),
    ] {
        let (log_probs, gradient) = case.ours(precision, 1, KEPT, false);
        let (of_them, theirs) = parallel::single_threaded(|| case.by_libtorch(precision, None));
        let [first, second] = [off(&log_probs, &of_them), off(&gradient, &theirs)];
        assert!(
            first < limit && second < limit,
            "{precision:?}: {first:.1e}, {second:.1e}"
        );
    }
}

#[test]
fn bits_depend_neither_on_threads_nor_on_passes_nor_on_what_is_kept() {
    for (_dir, case) in cases() {
        let one = case.ours(Precision::F32, 1, KEPT, false);
        let layer = KEPT / 1000;
        for (threads, kept, apart) in [
            (2, KEPT, false),
            (3, 0, false),
            (2, layer, false),
            (1, 0, true),
            (2, KEPT, true),
        ] {
            assert!(
                case.ours(Precision::F32, threads, kept, apart) == one,
                "{threads}, {kept}, {apart}"
            );
        }
    }
}
