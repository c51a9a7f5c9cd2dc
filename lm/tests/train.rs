//! Training and the surrogate's gradient: the same function as inference, finite differences, and that it learns.

mod common;

use std::ops::ControlFlow;
use std::sync::Arc;

use common::{devices, llama, qwen2, tensors, uniform, write};
use illume_core::{Answer, Credit, PolicyGradient, Purpose, Stream, Surrogate, SurrogateReport};
use illume_lm::{
    Array, Checkpoint, Device, Example, Generator, Lora, LoraTarget, Model, ModelConfig, Module, Precision, Prompts,
    Query, Sampling, SearchKind, SearchSpace, Steps, Surrogates, TrainRow, TrainSettings, save_checkpoint, sft,
};

const KINDS: [SearchKind; 2] = [SearchKind::SingularValues, SearchKind::Adapters];
const TEMPERATURE: f64 = 0.8;

/// An adapter whose factors are computed numbers, none of them zero.
fn adapter(config: &ModelConfig, modules: &[Module]) -> Lora {
    let mut lora = Lora::fresh(config, 3, 6.0, modules, 4).unwrap();
    for (number, target) in lora.targets.iter_mut().enumerate() {
        let values = target.b.values_mut().iter_mut().enumerate();
        values.for_each(|(i, x)| *x = 0.6 * (uniform(500 + number, i) - 0.5));
    }
    lora
}

/// A genome of small offsets.
fn genome(space: &SearchSpace) -> Vec<f32> {
    let mut genes = vec![0.0; space.dim()];
    Stream::new(8, Purpose::Init, 0, 0).add_normals(0, 0.05, &mut genes);
    genes
}

fn prompts() -> Prompts {
    Arc::new(|case| (case < 6).then(|| (0..3 + case * 2).map(|t| 1 + (t * 5 + case) % 60).collect()))
}

fn surrogates(checkpoint: &Arc<Checkpoint>, space: &Arc<SearchSpace>) -> Surrogates {
    Surrogates::new(checkpoint.clone(), space.clone(), prompts(), TEMPERATURE, Device::Cpu)
}

/// What the model answers to the six cases as the genome's member, sampled.
fn sampled(checkpoint: &Checkpoint, space: &SearchSpace, genes: &[f32]) -> Vec<Answer> {
    sampled_in(Precision::F32, checkpoint, space, genes)
}

fn sampled_in(precision: Precision, checkpoint: &Checkpoint, space: &SearchSpace, genes: &[f32]) -> Vec<Answer> {
    let model = Model::load(checkpoint, precision, Device::Cpu).unwrap();
    let cases: Vec<Vec<u32>> = (0..6).map(|case| prompts()(case).unwrap()).collect();
    let query = |(i, prompt): (usize, &'_ Vec<u32>)| (i as u64, prompt.clone());
    let queries: Vec<(u64, Vec<u32>)> = cases.iter().enumerate().map(query).collect();
    let queries: Vec<Query> = queries
        .iter()
        .map(|(i, prompt)| Query {
            prompt,
            member: 0,
            stream: Stream::new(3, Purpose::Token, 0, *i),
        })
        .collect();
    let sampling = Sampling {
        temperature: TEMPERATURE,
        top_p: 1.0,
        max_new_tokens: 7,
        stop: (0..20).collect(),
        stop_texts: None,
    };
    let population = space.population(&[genes]);
    let generated = Generator::new(Arc::new(model), 4)
        .generate(&queries, &population, &sampling)
        .unwrap();
    let answer = |(case, g): (usize, illume_lm::Generated)| Answer {
        case: case as u32,
        tokens: g.tokens,
        log_probs: g.log_probs,
        reward: 0.0,
    };
    generated.into_iter().enumerate().map(answer).collect()
}

fn opened(config: &ModelConfig) -> (tempfile::TempDir, Arc<Checkpoint>) {
    devices();
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = Arc::new(write(dir.path(), config));
    (dir, checkpoint)
}

#[test]
fn answers_have_the_log_probabilities_that_generation_gave_them() {
    for config in [qwen2(), llama()] {
        let (_dir, checkpoint) = opened(&config);
        for kind in KINDS {
            let space = Arc::new(SearchSpace::new(&adapter(&config, &Module::ALL), kind, 0.6).unwrap());
            let genes = genome(&space);
            let answers = sampled(&checkpoint, &space, &genes);
            let again = surrogates(&checkpoint, &space).log_probs(&genes, &answers).unwrap();
            for (answer, again) in answers.iter().zip(again) {
                assert_eq!(answer.tokens.len(), again.len());
                for (x, y) in answer.log_probs.iter().zip(again) {
                    assert!((x - y).abs() < 1e-4, "{x} in generation, {y} in training");
                }
            }
        }
    }
}

#[test]
fn an_adapter_merged_into_the_weights_gives_the_log_probabilities_of_training() {
    let config = llama();
    let (dir, checkpoint) = opened(&config);
    let space = Arc::new(SearchSpace::new(&adapter(&config, &Module::ATTENTION), KINDS[0], 1.0).unwrap());
    let genes = genome(&space);
    let lora = space.adapter(&genes);
    let mut merged = tensors(&config);
    for t in &lora.targets {
        let name = format!("{}.weight", t.path());
        let (_, weight) = merged.iter_mut().find(|(n, _)| *n == name).unwrap();
        let (inputs, scaling) = (t.a.shape()[1], lora.scaling() as f32);
        let rows = weight.values_mut().chunks_exact_mut(inputs);
        for (row, b) in rows.zip(t.b.values().chunks_exact(lora.rank)) {
            for (b, a) in b.iter().zip(t.a.values().chunks_exact(inputs)) {
                row.iter_mut().zip(a).for_each(|(w, a)| *w += scaling * b * a);
            }
        }
    }
    let there = dir.path().join("merged");
    save_checkpoint(&there, &config, &merged).unwrap();
    let model = Model::load(&Checkpoint::open(&there).unwrap(), Precision::F32, Device::Cpu).unwrap();
    let answers = sampled(&checkpoint, &space, &genes);
    let trained = surrogates(&checkpoint, &space).log_probs(&genes, &answers).unwrap();
    for (answer, trained) in answers.iter().zip(trained) {
        let mut tokens = prompts()(answer.case).unwrap();
        let from = tokens.len();
        tokens.extend(&answer.tokens);
        let logits = model.logits(&tokens).unwrap();
        for (i, expected) in trained.iter().enumerate() {
            let row = &logits[(from + i - 1) * config.vocab..][..config.vocab];
            let scaled: Vec<f64> = row.iter().map(|x| f64::from(*x) / TEMPERATURE).collect();
            let sum: f64 = scaled.iter().map(|x| x.exp()).sum();
            let found = scaled[tokens[from + i] as usize] - sum.ln();
            assert!(
                (found - f64::from(*expected)).abs() < 1e-4,
                "{found} merged, {expected} in training"
            );
        }
    }
}

/// The answers weigh alike, and ratios compare with what they were sampled by; none: with the genes themselves.
fn credits(answers: &[Answer], advantages: &[f32], compared: bool) -> Vec<Credit> {
    let one = |(answer, advantage): (&Answer, &f32)| Credit {
        advantage: *advantage,
        weight: 1.0 / answer.tokens.len() as f32,
        old: if compared { answer.log_probs.clone() } else { Vec::new() },
    };
    answers.iter().zip(advantages).map(one).collect()
}

/// In whole numbers of 16, as libtorch's and our kernels of four bits want them, and of 32 for their groups.
fn of_all_precisions() -> ModelConfig {
    ModelConfig {
        hidden: 64,
        heads: 4,
        kv_heads: 2,
        head_dim: 16,
        intermediate: 96,
        ..qwen2()
    }
}

#[test]
fn the_first_ratios_are_1_in_every_precision_and_the_model_differentiated_is_the_one_that_answered() {
    let config = of_all_precisions();
    let (_dir, checkpoint) = opened(&config);
    let advantages = [1.5, -1.0, 0.3, -0.4, 0.8, -1.2];
    // How far ratios are off, and log-probabilities on average. Rows that meet weights of eight bits (with four, the head's) are rounded too, and numbers that
    // differ in their last bits may come to codes that are one apart.
    for (precision, of_ratios, on_average) in [
        (Precision::F32, 1e-4, 1e-5),
        (Precision::Bf16, 1e-4, 1e-5),
        (Precision::Int8, 0.05, 0.01),
        (Precision::Int4 { group: 32 }, 0.05, 0.01),
    ] {
        for kind in KINDS {
            let space = Arc::new(SearchSpace::new(&adapter(&config, &Module::ALL), kind, 0.6).unwrap());
            let genes = genome(&space);
            let answers = sampled_in(precision, &checkpoint, &space, &genes);
            let surrogates = surrogates(&checkpoint, &space).of_answers(precision, 7);
            assert_eq!(surrogates.longest(), 7);
            let surrogate = Surrogate { clip: 0.2, kl: 0.0 };
            let pass = |credits: &mut Vec<Credit>| -> (Vec<f32>, SurrogateReport) {
                let mut gradient = vec![0.0; space.dim()];
                let report = surrogates.add_gradient(&genes, &answers, credits, &surrogate, &mut gradient);
                (gradient, report.unwrap())
            };
            let mut of_itself = credits(&answers, &advantages, false);
            let (gradient, report) = pass(&mut of_itself);
            let again = surrogates.log_probs(&genes, &answers).unwrap();
            for (credit, (answer, again)) in of_itself.iter().zip(answers.iter().zip(&again)) {
                assert_eq!(&credit.old, again, "the first ratios are exactly 1");
                for (x, y) in credit.old.iter().zip(&answer.log_probs) {
                    let ratio = f64::from(x - y).exp();
                    assert!(
                        (ratio - 1.0).abs() < of_ratios,
                        "{precision:?}: the first ratio to what answered is {ratio}"
                    );
                }
            }
            let gap = report.gap / report.tokens as f64;
            println!("{precision:?}, {kind:?}: log-probabilities {gap:.1e} apart");
            assert!(gap < on_average, "{precision:?}: {report:?}");
            assert_eq!(report.clipped, 0);
            // A second pass at the same genes compares with the first's, and is the same.
            assert_eq!(pass(&mut of_itself), (gradient, SurrogateReport { gap: 0.0, ..report }));
            // The weights as they are stored would not do.
            if precision != Precision::F32 {
                let of_files = self::surrogates(&checkpoint, &space)
                    .log_probs(&genes, &answers)
                    .unwrap();
                let pairs = of_files.iter().flatten().zip(answers.iter().flat_map(|a| &a.log_probs));
                let most = pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
                assert!(most > 1e-3, "{precision:?} differs from f32 by {most} only");
            }
        }
    }
}

#[test]
fn weights_rounded_for_training_are_those_that_the_model_computes_with() {
    let config = of_all_precisions();
    let (dir, checkpoint) = opened(&config);
    let space = Arc::new(SearchSpace::new(&adapter(&config, &[Module::Q]), KINDS[0], 1.0).unwrap());
    let genes = genome(&space);
    for precision in [Precision::Bf16, Precision::Int8, Precision::Int4 { group: 32 }] {
        let used = Model::load(&checkpoint, precision, Device::Cpu)
            .unwrap()
            .dequantized()
            .unwrap();
        let there = dir
            .path()
            .join(format!("{precision:?}").replace([' ', ':', '{', '}'], ""));
        save_checkpoint(&there, &config, &used).unwrap();
        let answers = sampled(&checkpoint, &space, &genes);
        let of_model = surrogates(&Arc::new(Checkpoint::open(&there).unwrap()), &space);
        let of_rounding = surrogates(&checkpoint, &space).of_answers(precision, 7);
        let [one, other] = [of_model, of_rounding].map(|s| s.log_probs(&genes, &answers).unwrap());
        if precision == Precision::Bf16 {
            assert_eq!(one, other, "bit for bit");
            continue;
        }
        // Rows that meet weights of eight bits are rounded too, which weights in f32 do not ask for.
        let (one, other) = (one.concat(), other.concat());
        let most = one.iter().zip(&other).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        println!("{precision:?}: {most:.1e} by the rounding of rows");
        assert!(most > 0.0 && most < 0.2, "{precision:?}: {most}");
    }
}

/// The surrogate as its definition says it, from log-probabilities.
fn value(surrogate: &Surrogate, answers: &[Answer], advantages: &[f32], new: &[Vec<f32>], zero: &[Vec<f32>]) -> f64 {
    let mut sum = 0.0;
    for (i, answer) in answers.iter().enumerate() {
        let advantage = f64::from(advantages[i]);
        let mut total = 0.0;
        for (t, old) in answer.log_probs.iter().enumerate() {
            let now = f64::from(new[i][t]);
            let ratio = (now - f64::from(*old)).exp();
            let r = (f64::from(zero[i][t]) - now).exp();
            let clamped = ratio.clamp(1.0 - surrogate.clip, 1.0 + surrogate.clip);
            total += (ratio * advantage).min(clamped * advantage) - surrogate.kl * (r - r.ln() - 1.0);
        }
        sum += total / answer.tokens.len() as f64;
    }
    sum
}

#[test]
fn the_surrogates_gradient_is_what_finite_differences_say() {
    let config = qwen2();
    let (_dir, checkpoint) = opened(&config);
    let advantages = [1.5, -1.0, 0.3, -0.4, 0.8, -1.2];
    for (kind, steps) in [
        (KINDS[0], Steps::Absolute),
        (KINDS[0], Steps::Relative),
        (KINDS[1], Steps::Absolute),
    ] {
        let space = SearchSpace::new(&adapter(&config, &Module::ALL), kind, 0.6).unwrap();
        let space = Arc::new(space.with_steps(steps));
        let genes = genome(&space);
        let surrogates = surrogates(&checkpoint, &space);
        let mut answers = sampled(&checkpoint, &space, &genes);
        // As if sampled by another genome: some ratios are outside of what the clip lets through.
        for (i, answer) in answers.iter_mut().enumerate() {
            for (t, x) in answer.log_probs.iter_mut().enumerate() {
                *x += [0.0, 0.6, -0.6][(i + t) % 3];
            }
        }
        let surrogate = Surrogate { clip: 0.2, kl: 0.5 };
        let zero = surrogates.log_probs(&vec![0.0; space.dim()], &answers).unwrap();
        let at = |genes: &[f32]| {
            value(
                &surrogate,
                &answers,
                &advantages,
                &surrogates.log_probs(genes, &answers).unwrap(),
                &zero,
            )
        };
        let mut gradient = vec![0.0; space.dim()];
        let report = surrogates
            .add_gradient(
                &genes,
                &answers,
                &mut credits(&answers, &advantages, true),
                &surrogate,
                &mut gradient,
            )
            .unwrap();
        let tokens: usize = answers.iter().map(|a| a.tokens.len()).sum();
        assert_eq!(report.tokens, tokens as u64);
        assert!(
            report.clipped > 0 && report.clipped < report.tokens && report.kl > 0.0,
            "{report:?}"
        );
        let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        for direction in 0..4 {
            // The gradient's own direction, and three drawn ones.
            let mut along: Vec<f32> = gradient.clone();
            if direction > 0 {
                Stream::new(1, Purpose::Variation, 0, direction).normals(0, &mut along);
            }
            let length = along.iter().map(|x| x * x).sum::<f32>().sqrt();
            along.iter_mut().for_each(|x| *x /= length);
            let step = 2e-3;
            let moved =
                |sign: f32| -> Vec<f32> { genes.iter().zip(&along).map(|(g, a)| g + sign * step * a).collect() };
            let found = (at(&moved(1.0)) - at(&moved(-1.0))) / (2.0 * f64::from(step));
            let expected: f64 = gradient.iter().zip(&along).map(|(g, a)| f64::from(g * a)).sum();
            assert!(
                (found - expected).abs() < 0.01 * norm,
                "{found} for {expected}, norm {norm}"
            );
        }
    }
}

#[test]
fn the_surrogates_gradient_has_the_same_bits_on_any_number_of_threads_and_is_added() {
    let config = qwen2();
    let (_dir, checkpoint) = opened(&config);
    let space = Arc::new(SearchSpace::new(&adapter(&config, &Module::ATTENTION), KINDS[0], 1.0).unwrap());
    let genes = genome(&space);
    let few = sampled(&checkpoint, &space, &genes);
    let answers: Vec<Answer> = (0..240).map(|i| few[i % few.len()].clone()).collect();
    let advantages: Vec<f32> = (0..answers.len()).map(|i| (i as f32 * 0.7).sin()).collect();
    let surrogate = Surrogate { clip: 0.2, kl: 0.04 };
    let with = |threads, start: f32| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut gradient = vec![start; space.dim()];
        let surrogates = surrogates(&checkpoint, &space);
        let add = || {
            surrogates
                .add_gradient(
                    &genes,
                    &answers,
                    &mut credits(&answers, &advantages, true),
                    &surrogate,
                    &mut gradient,
                )
                .unwrap()
        };
        let report = pool.install(add);
        (gradient, report)
    };
    let (one, report) = with(1, 0.0);
    assert_eq!((one.clone(), report), with(2, 0.0));
    let (moved, _) = with(2, 3.0);
    assert!(one.iter().any(|g| g.abs() > 1e-3));
    assert!(one.iter().zip(&moved).all(|(a, b)| a + 3.0 == *b));
}

#[test]
fn a_gradient_is_refused_for_greedy_answers_and_cases_that_are_not_there() {
    let config = qwen2();
    let (_dir, checkpoint) = opened(&config);
    let space = Arc::new(SearchSpace::new(&adapter(&config, &[Module::Q]), KINDS[1], 1.0).unwrap());
    let greedy = Surrogates::new(checkpoint.clone(), space.clone(), prompts(), 0.0, Device::Cpu);
    let answer = Answer {
        case: 77,
        tokens: vec![1],
        log_probs: vec![-1.0],
        reward: 1.0,
    };
    let ask = |s: &Surrogates| {
        let mut gradient = vec![0.0; space.dim()];
        let surrogate = Surrogate { clip: 0.2, kl: 0.0 };
        s.add_gradient(
            &vec![0.0; space.dim()],
            std::slice::from_ref(&answer),
            &mut credits(std::slice::from_ref(&answer), &[1.0], true),
            &surrogate,
            &mut gradient,
        )
        .unwrap_err()
        .to_string()
    };
    assert!(ask(&greedy).contains("temperature"), "{}", ask(&greedy));
    assert!(ask(&surrogates(&checkpoint, &space)).contains("case 77"));
}

/// Questions of three tokens, whose answer is their sum modulo ten and a stop token.
fn sums(step: u64) -> Vec<Example> {
    let one = |row: u64| {
        let draw = Stream::new(2, Purpose::Text, step, row);
        let (a, b) = (draw.below(0, 10) as u32, draw.below(1, 10) as u32);
        Example {
            tokens: vec![20 + a, 11, 20 + b, 12, 20 + (a + b) % 10, 0],
            answer_from: 4,
        }
    };
    (0..64).map(one).collect()
}

#[test]
fn examples_raise_the_likelihood_of_answers_and_leave_the_model_as_it_was() {
    let config = qwen2();
    let (dir, checkpoint) = opened(&config);
    let before = std::fs::read(dir.path().join("model.safetensors")).unwrap();
    let mut trained = Vec::new();
    for threads in [1, 2] {
        let settings = TrainSettings {
            steps: 60,
            learning_rate: 3e-2,
            warmup: 5,
            threads,
            ..TrainSettings::default()
        };
        let lora = Lora::fresh(&config, 4, 8.0, &Module::ALL, 1).unwrap();
        let start: Vec<Array> = lora.targets.iter().map(|t| t.a.clone()).collect();
        let mut losses = Vec::new();
        let mut report = |row: TrainRow| {
            losses.push(row.loss);
            ControlFlow::Continue(())
        };
        let lora = sft(&checkpoint, lora, &mut sums, &settings, &mut report).unwrap();
        assert!(losses[59] < 0.5 * losses[0], "{losses:?}");
        assert!(lora.zero_factor().is_none());
        assert!(lora.targets.iter().zip(&start).all(|(t, a)| t.a != *a));
        trained.push((losses, all(&lora.targets)));
    }
    assert_eq!(trained[0], trained[1]);
    assert_eq!(before, std::fs::read(dir.path().join("model.safetensors")).unwrap());
}

#[test]
fn adapters_are_trained_on_weights_of_the_precision_that_is_named() {
    let config = qwen2();
    let (_dir, checkpoint) = opened(&config);
    let first = |precision| {
        let settings = TrainSettings {
            steps: 1,
            precision,
            ..TrainSettings::default()
        };
        let mut loss = 0.0;
        let mut report = |row: TrainRow| {
            loss = row.loss;
            ControlFlow::Continue(())
        };
        let fresh = Lora::fresh(&config, 2, 2.0, &[Module::V], 1).unwrap();
        sft(&checkpoint, fresh, &mut sums, &settings, &mut report).unwrap();
        loss
    };
    let plain = first(Precision::F32);
    for precision in [Precision::Bf16, Precision::Int8, Precision::Int4 { group: 16 }] {
        let off = (first(precision) - plain).abs();
        assert!(0.0 < off && off < 0.2, "{precision:?}: {off}");
    }
}

#[test]
fn training_ends_when_told_and_says_which_text_does_not_fit() {
    let config = qwen2();
    let (_dir, checkpoint) = opened(&config);
    let fresh = || Lora::fresh(&config, 2, 2.0, &[Module::V], 1).unwrap();
    let settings = TrainSettings::default();
    let mut steps = 0;
    let mut stop = |_| {
        steps += 1;
        if steps == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    sft(&checkpoint, fresh(), &mut sums, &settings, &mut stop).unwrap();
    assert_eq!(steps, 3);
    let bad = [
        (vec![1, 2, 97], 1, "the token 97"),
        (vec![1; 257], 1, "257 tokens"),
        (vec![1, 2], 2, "those from 2 on"),
        (vec![1], 0, "has 1 tokens"),
    ];
    for (tokens, answer_from, expected) in bad {
        let text = Example { tokens, answer_from };
        let mut next = |step| vec![sums(step)[0].clone(), text.clone()];
        let error = sft(&checkpoint, fresh(), &mut next, &settings, &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap_err();
        assert!(
            error.to_string().contains(expected) && error.to_string().contains("text 1"),
            "{error}"
        );
    }
    let wrong = TrainSettings {
        learning_rate: f64::NAN,
        ..settings
    };
    let error = sft(&checkpoint, fresh(), &mut sums, &wrong, &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap_err();
    assert!(error.to_string().contains("learning rate"), "{error}");
}

#[test]
fn a_gpu_trains_as_the_processor_does() {
    let devices = devices();
    for config in [qwen2(), llama()] {
        let (_dir, checkpoint) = opened(&config);
        let losses = devices.iter().map(|device| {
            let settings = TrainSettings {
                steps: 4,
                learning_rate: 3e-2,
                warmup: 2,
                device: *device,
                ..TrainSettings::default()
            };
            let mut losses = Vec::new();
            let mut report = |row: TrainRow| {
                losses.push((row.loss, row.norm));
                ControlFlow::Continue(())
            };
            // Texts of different lengths, more than a pass takes.
            let mut texts = |step| -> Vec<Example> {
                let longer = (0..40).map(|i| Example {
                    tokens: (0..20 + i).map(|t| (i * 3 + t * 11 + step as u32) % 80).collect(),
                    answer_from: 5,
                });
                sums(step).into_iter().chain(longer).collect()
            };
            let lora = Lora::fresh(&config, 4, 8.0, &Module::ALL, 1).unwrap();
            sft(&checkpoint, lora, &mut texts, &settings, &mut report).unwrap();
            losses
        });
        let losses: Vec<Vec<(f64, f64)>> = losses.collect();
        for (device, there) in devices.iter().zip(&losses) {
            println!("{:?}, {device:?}: losses and norms {there:?}", config.family);
            for (here, there) in losses[0].iter().zip(there) {
                for (x, y) in [(here.0, there.0), (here.1, there.1)] {
                    assert!((x - y).abs() < 1e-4 * x.abs(), "{device:?}: {losses:?}");
                }
            }
        }
        for kind in KINDS {
            let space = Arc::new(SearchSpace::new(&adapter(&config, &Module::ALL), kind, 0.6).unwrap());
            let genes = genome(&space);
            let few = sampled(&checkpoint, &space, &genes);
            let answers: Vec<Answer> = (0..240).map(|i| few[i % few.len()].clone()).collect();
            let advantages: Vec<f32> = (0..answers.len()).map(|i| (i as f32 * 0.7).sin()).collect();
            let gradients = devices.iter().map(|device| {
                let surrogates = Surrogates::new(checkpoint.clone(), space.clone(), prompts(), TEMPERATURE, *device);
                let mut gradient = vec![0.0; space.dim()];
                let rule = Surrogate { clip: 0.2, kl: 0.04 };
                surrogates
                    .add_gradient(
                        &genes,
                        &answers,
                        &mut credits(&answers, &advantages, true),
                        &rule,
                        &mut gradient,
                    )
                    .unwrap();
                gradient
            });
            let gradients: Vec<Vec<f32>> = gradients.collect();
            let norm = |of: &mut dyn Iterator<Item = f32>| of.map(|x| f64::from(x * x)).sum::<f64>().sqrt();
            for (device, there) in devices.iter().zip(&gradients) {
                let off = norm(&mut gradients[0].iter().zip(there).map(|(x, y)| x - y));
                let off = off / norm(&mut gradients[0].iter().copied());
                println!("{:?}, {device:?}, {kind:?}: gradient off by {off:.1e}", config.family);
                assert!(off < 1e-4, "{device:?}: {off}");
            }
        }
    }
}

#[test]
fn a_gpu_trains_on_weights_of_every_precision() {
    let config = of_all_precisions();
    let (_dir, checkpoint) = opened(&config);
    for precision in [Precision::Bf16, Precision::Int8, Precision::Int4 { group: 32 }] {
        let found = devices().into_iter().map(|device| {
            let settings = TrainSettings {
                steps: 1,
                precision,
                device,
                ..TrainSettings::default()
            };
            let mut told = None;
            let mut report = |row: TrainRow| {
                told = Some((row.loss, row.norm));
                ControlFlow::Continue(())
            };
            let start = adapter(&config, &Module::ALL);
            sft(&checkpoint, start, &mut sums, &settings, &mut report).unwrap();
            println!("{precision:?}, {device:?}: loss and norm {told:?}");
            told.unwrap()
        });
        let found: Vec<(f64, f64)> = found.collect();
        // There rows between the layers are in bf16.
        for (loss, norm) in &found {
            assert!((loss / found[0].0 - 1.0).abs() < 0.01, "{precision:?}: {found:?}");
            assert!((norm / found[0].1 - 1.0).abs() < 0.1, "{precision:?}: {found:?}");
        }
    }
}

fn all(targets: &[LoraTarget]) -> Vec<Array> {
    targets.iter().flat_map(|t| [t.a.clone(), t.b.clone()]).collect()
}
