//! Populations in one batch: each row gets what its own member alone would give, whatever runs beside it.
#![cfg(feature = "torch")]

mod common;

use std::sync::Arc;

use common::{array, devices, generate, greedy, llama, model, prompts, queries, qwen2, tensor, uniform, write};
use illume_core::{LowRank, Perturbation};
use illume_lm::{
    Array, Basis, BasisTarget, Checkpoint, Device, Generated, Generator, Model, ModelConfig, Module, Population,
    Precision,
};
use illume_lm::{Sampling, save_checkpoint};

const RANK: usize = 3;
const SCALING: f64 = 0.5;
const MODULES: [Module; 7] = Module::ALL;

fn matrix(number: usize, rows: usize, columns: usize, width: f32, base: f32) -> Array {
    let value = |i| base + width * (uniform(1000 + number, i) - 0.5);
    Array::new(&[rows, columns], (0..rows * columns).map(value).collect())
}

/// A population of members that differ in singular values, on all modules but the values of layer 1.
fn singular(config: &ModelConfig, members: usize) -> Population {
    let mut targets = Vec::new();
    let (mut s_a, mut s_b) = (Vec::new(), Vec::new());
    for layer in 0..config.layers {
        for module in MODULES {
            if (layer, module) == (1, Module::V) {
                continue;
            }
            let n = targets.len() * 10;
            let (inputs, outputs) = config.module_dims(module);
            targets.push(BasisTarget {
                layer,
                module,
                v_a: matrix(n, inputs, RANK, 0.5, 0.0),
                inner: matrix(n + 1, RANK, RANK, 2.0, 0.0),
                u_b: matrix(n + 2, outputs, RANK, 0.5, 0.0),
            });
            s_a.push(matrix(n + 3, members, RANK, 1.0, 0.7));
            s_b.push(matrix(n + 4, members, RANK, 1.0, 0.7));
        }
    }
    Population::Singular {
        basis: Arc::new(Basis::new(SCALING, targets).unwrap()),
        s_a,
        s_b,
    }
}

/// Members of low rank around the model, of which the number behind the last is the model itself.
fn low_rank(config: &ModelConfig, members: usize, rank: usize) -> Population {
    Population::LowRank(Perturbation {
        center: Arc::default(),
        sigma: 0.1,
        seed: 3,
        generation: 2,
        first: 0,
        rows: 0,
        members,
        bounds: None,
        low_rank: Some(Arc::new(LowRank::new(rank, &config.matrices()))),
    })
}

/// The model with the matrices of one member of low rank added to its weights.
fn moved(checkpoint: &Checkpoint, population: &Population, member: usize) -> Model {
    let Population::LowRank(around) = population else {
        panic!("of low rank")
    };
    let config = &checkpoint.config;
    let shape = around.low_rank.as_ref().unwrap();
    let (mut numbers, mut genes) = (vec![0.0; shape.numbers()], vec![0.0; shape.genes()]);
    around.stream(member / 2).normals(0, &mut numbers);
    let sign = if member.is_multiple_of(2) { 1.0 } else { -1.0 };
    shape.add(&numbers, sign * around.sigma, &mut genes);
    let mut matrices = shape.matrices().iter();
    let mut added = std::collections::HashMap::new();
    for layer in 0..config.layers {
        for module in MODULES {
            let genes = &genes[matrices.next().unwrap().genes.clone()];
            added.insert(format!("{}.weight", module.path(layer)), genes.to_vec());
        }
    }
    let tensor = |(name, _): (String, _)| {
        let mut tensor = checkpoint.tensor(&name).unwrap();
        if let Some(genes) = added.get(&name) {
            tensor.values_mut().iter_mut().zip(genes).for_each(|(x, g)| *x += g);
        }
        (name, tensor)
    };
    let tensors: Vec<(String, Array)> = config.tensors().into_iter().map(tensor).collect();
    let dir = tempfile::tempdir().unwrap();
    save_checkpoint(dir.path(), config, &tensors).unwrap();
    Model::load(&Checkpoint::open(dir.path()).unwrap(), Precision::F32, Device::Cpu).unwrap()
}

/// The same population with factors of A and B written out.
fn dense(population: &Population) -> Population {
    let Population::Singular { basis, s_a, s_b } = population else {
        panic!("of singular values")
    };
    let (mut places, mut a, mut b) = (Vec::new(), Vec::new(), Vec::new());
    for (i, t) in basis.targets().iter().enumerate() {
        places.push((t.layer, t.module));
        // Member by member: A = inner' diag(s_a) V_A', B = U_B diag(s_b).
        let [v_a, inner, u_b] = [&t.v_a, &t.inner, &t.u_b].map(tensor);
        let scaled = tensor(&s_a[i]).unsqueeze(2) * v_a.tr().unsqueeze(0);
        a.push(array(&inner.tr().matmul(&scaled)));
        b.push(array(&(u_b.unsqueeze(0) * tensor(&s_b[i]).unsqueeze(1))));
    }
    Population::Dense {
        scaling: SCALING,
        places,
        a,
        b,
    }
}

/// The model with one member's adapters added to its weights.
fn merged(checkpoint: &Checkpoint, population: &Population, member: i64) -> Model {
    let Population::Dense { scaling, places, a, b } = population else {
        panic!("with factors")
    };
    let config = &checkpoint.config;
    let mut tensors: Vec<(String, Array)> = Vec::new();
    for (name, _) in config.tensors() {
        let mut weight = tensor(&checkpoint.tensor(&name).unwrap());
        for (i, place) in places.iter().enumerate() {
            if name == format!("{}.weight", place.1.path(place.0)) {
                weight += tensor(&b[i]).get(member).matmul(&tensor(&a[i]).get(member)) * *scaling;
            }
        }
        tensors.push((name, array(&weight)));
    }
    let dir = tempfile::tempdir().unwrap();
    save_checkpoint(dir.path(), config, &tensors).unwrap();
    Model::load(&Checkpoint::open(dir.path()).unwrap(), Precision::F32, Device::Cpu).unwrap()
}

fn close(a: &[Generated], b: &[Generated], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert_eq!(a.tokens, b.tokens, "answer {i}");
        for (x, y) in a.log_probs.iter().zip(&b.log_probs) {
            assert!((x - y).abs() < tolerance, "answer {i}: {x} and {y}");
        }
    }
}

#[test]
fn a_population_answers_as_its_members_do_with_merged_weights() {
    for config in [qwen2(), llama()] {
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = write(dir.path(), &config);
        let members = 3;
        let (thin, full) = {
            let population = singular(&config, members);
            let full = dense(&population);
            (population, full)
        };
        let prompts = prompts(&config, 12);
        let queries = queries(&prompts, members as u32);
        let base = generate(
            model(&config, Precision::F32),
            5,
            &queries,
            &Population::None,
            &greedy(8),
        );
        let by_values = generate(model(&config, Precision::F32), 5, &queries, &thin, &greedy(8));
        let by_factors = generate(model(&config, Precision::F32), 5, &queries, &full, &greedy(8));
        close(&by_values, &by_factors, 1e-4);
        assert_ne!(base, by_values, "adapters change answers");
        for member in 0..members {
            let mine = |i: &usize| i % members == member;
            let of = |list: &[Generated]| -> Vec<Generated> {
                (0..list.len()).filter(mine).map(|i| list[i].clone()).collect()
            };
            let my_queries: Vec<_> = (0..queries.len()).filter(mine).map(|i| queries[i]).collect();
            let model = merged(&checkpoint, &full, member as i64);
            close(
                &of(&by_values),
                &generate(model, 5, &my_queries, &Population::None, &greedy(8)),
                1e-4,
            );
        }
    }
}

#[test]
fn members_of_low_rank_answer_as_the_model_does_with_their_matrices_added() {
    for config in [qwen2(), llama()] {
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = write(dir.path(), &config);
        for rank in [1, 3] {
            let (population, members) = (low_rank(&config, 6, rank), 7);
            let prompts = prompts(&config, 21);
            let queries = queries(&prompts, members as u32);
            let plain = generate(
                model(&config, Precision::F32),
                5,
                &queries,
                &Population::None,
                &greedy(8),
            );
            let got = generate(model(&config, Precision::F32), 5, &queries, &population, &greedy(8));
            for member in 0..members {
                let mine: Vec<usize> = (0..queries.len()).filter(|i| i % members == member).collect();
                let of = |list: &[Generated]| -> Vec<Generated> { mine.iter().map(|i| list[*i].clone()).collect() };
                if member == members - 1 {
                    assert_eq!(of(&got), of(&plain), "the model as it is");
                    continue;
                }
                assert_ne!(of(&got), of(&plain), "members differ from the model");
                let my_queries: Vec<_> = mine.iter().map(|i| queries[*i]).collect();
                let model = moved(&checkpoint, &population, member);
                let want = generate(model, 5, &my_queries, &Population::None, &greedy(8));
                close(&of(&got), &want, 1e-4);
                let all = |list: &[Generated]| list.iter().flat_map(|a| a.log_probs.clone()).collect::<Vec<f32>>();
                let off = apart(&all(&of(&got)), &all(&want));
                assert!(off < 1e-5, "rank {rank}, member {member}: {off}");
            }
        }
    }
}

/// Bits: `PartialEq` of floats is enough, since none is NaN.
fn same(a: &[Generated], b: &[Generated], what: &str) {
    assert_eq!(a, b, "{what}");
}

#[test]
fn an_answer_has_the_same_bits_in_any_batch_on_any_number_of_slots_and_threads() {
    let config = qwen2();
    let prompts = prompts(&config, 31);
    let all = queries(&prompts, 4);
    let how = Sampling {
        temperature: 0.8,
        top_p: 0.95,
        max_new_tokens: 9,
        stop: vec![3, 7, 11, 13, 40, 41, 42],
        stop_texts: None,
    };
    for precision in [
        Precision::F32,
        Precision::Bf16,
        Precision::Int8,
        Precision::Int4 { group: 16 },
    ] {
        let kinds: [fn(&ModelConfig) -> Population; 4] = [
            |_| Population::None,
            |config| singular(config, 4),
            |config| dense(&singular(config, 4)),
            |config| low_rank(config, 4, 2),
        ];
        for population in kinds {
            let model = Arc::new(model(&config, precision));
            let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let run = |slots: usize, threads: usize, queries: &[illume_lm::Query]| {
                let mut generator = Generator::new(model.clone(), slots);
                pool(threads).install(|| generator.generate(queries, &population(&config), &how).unwrap())
            };
            let want = run(1, 1, &all);
            assert!(
                want.iter().any(|a| a.stopped) && want.iter().any(|a| !a.stopped),
                "both ends are tried"
            );
            for (slots, threads) in [(2, 1), (7, 2), (64, 1), (64, 2), (64, 3)] {
                same(
                    &run(slots, threads, &all),
                    &want,
                    &format!("{slots} slots, {threads} threads"),
                );
            }
            let backwards: Vec<_> = all.iter().rev().copied().collect();
            let mut got = run(10, 2, &backwards);
            got.reverse();
            same(&got, &want, "in another order");
            same(&run(64, 1, &all[20..21]), &want[20..21], "alone");
        }
    }
}

#[test]
fn a_long_prompt_in_pieces_gives_the_bits_of_one_token_at_a_time() {
    let mut config = llama();
    config.max_positions = 1024;
    let model = model(&config, Precision::F32);
    // Longer than a pass takes at once.
    let prompt: Vec<u32> = (0..600).map(|i| (i * i % 83) as u32).collect();
    let logits = model.logits(&prompt).unwrap();
    let row = &logits[599 * config.vocab..];
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let prompts = [prompt];
    let got = generate(model, 3, &queries(&prompts, 1), &Population::None, &greedy(1));
    assert_eq!(row[got[0].tokens[0] as usize], most);
    let total: f64 = row.iter().map(|l| f64::from(l - most).exp()).sum();
    assert!((f64::from(got[0].log_probs[0]) + total.ln()).abs() < 1e-5);
}

#[test]
fn generation_goes_on_as_a_longer_prompt_would() {
    let config = qwen2();
    let prompts = prompts(&config, 4);
    let long = generate(
        model(&config, Precision::F32),
        4,
        &queries(&prompts, 1),
        &Population::None,
        &greedy(6),
    );
    let longer: Vec<Vec<u32>> = prompts
        .iter()
        .zip(&long)
        .map(|(p, a)| [&p[..], &a.tokens[..3]].concat())
        .collect();
    let rest = generate(
        model(&config, Precision::F32),
        4,
        &queries(&longer, 1),
        &Population::None,
        &greedy(3),
    );
    for (long, rest) in long.iter().zip(rest) {
        assert_eq!(
            (&long.tokens[3..], &long.log_probs[3..]),
            (&rest.tokens[..], &rest.log_probs[..])
        );
    }
}

#[test]
fn an_answer_ends_with_its_stop_token() {
    let config = qwen2();
    let prompts = prompts(&config, 6);
    let free = generate(
        model(&config, Precision::F32),
        6,
        &queries(&prompts, 1),
        &Population::None,
        &greedy(10),
    );
    let stop = free[2].tokens[4];
    let how = Sampling {
        stop: vec![stop],
        ..greedy(10)
    };
    let got = generate(
        model(&config, Precision::F32),
        2,
        &queries(&prompts, 1),
        &Population::None,
        &how,
    );
    for (free, got) in free.iter().zip(got) {
        let end = free.tokens.iter().position(|t| *t == stop).map_or(10, |i| i + 1);
        assert_eq!(got.tokens, free.tokens[..end]);
        assert_eq!(got.stopped, free.tokens[..end].contains(&stop));
    }
}

#[test]
fn quantized_weights_give_the_logits_of_their_own_values_in_f32() {
    let tokens: Vec<u32> = (0..40).map(|i| i * 5 % 83).collect();
    for config in [qwen2(), llama()] {
        let full = model(&config, Precision::F32);
        let exact = full.logits(&tokens).unwrap();
        // Rows that meet weights of eight bits (with four, the head's) are rounded to eight bits too.
        for (precision, of_rows, error) in [
            (Precision::Bf16, 1e-5, 0.02),
            (Precision::Int8, 0.04, 0.05),
            (Precision::Int4 { group: 8 }, 0.03, 0.3),
        ] {
            let quantized = model(&config, precision);
            let dir = tempfile::tempdir().unwrap();
            save_checkpoint(dir.path(), &config, &quantized.dequantized().unwrap()).unwrap();
            let twin = Model::load(&Checkpoint::open(dir.path()).unwrap(), Precision::F32, Device::Cpu).unwrap();
            let got = quantized.logits(&tokens).unwrap();
            let of_twin = apart(&got, &twin.logits(&tokens).unwrap());
            let off = apart(&got, &exact);
            println!("{precision:?}: {of_twin:.1e} from its weights in f32, {off:.1e} from those of the files");
            assert!(of_twin < of_rows, "{precision:?}: {of_twin}");
            assert!(off > 1e-4 && off < error, "{precision:?} is off by {off}");
            assert!(quantized.weight_bytes() < full.weight_bytes());
        }
    }
}

/// Root mean square of the differences, as a share of that of `b`.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let size = |a: &mut dyn Iterator<Item = f32>| a.map(|x| f64::from(x * x)).sum::<f64>().sqrt();
    size(&mut a.iter().zip(b).map(|(x, y)| x - y)) / size(&mut b.iter().copied())
}

/// Shapes that all precisions by libtorch take, with weights that are not small.
fn for_libtorch() -> [ModelConfig; 2] {
    [qwen2(), llama()].map(|config| ModelConfig {
        hidden: 64,
        head_dim: 16,
        heads: 4,
        intermediate: 128,
        initializer_range: 0.2,
        ..config
    })
}

#[test]
fn models_by_libtorch_as_on_a_device_agree_with_those_by_our_kernels() {
    let devices = devices();
    let tokens: Vec<u32> = (0..30).map(|i| i * 5 % 83).collect();
    for config in for_libtorch() {
        for device in &devices {
            // On the processor the head of a quantized model is quantized too, and activations are never.
            let coarse = if *device == Device::Cpu { 0.06 } else { 0.1 };
            for (precision, error) in [
                (Precision::F32, 1e-5),
                (Precision::Bf16, 0.03),
                (Precision::Int8, coarse),
                (Precision::Int4 { group: 32 }, coarse),
            ] {
                let ours = Model::random(&config, precision, Device::Cpu, 4).unwrap();
                let theirs = Model::random_by_libtorch(&config, precision, *device, 4).unwrap();
                let off = apart(&theirs.logits(&tokens).unwrap(), &ours.logits(&tokens).unwrap());
                println!(
                    "{device:?}, {:?}, {precision:?}: off by {off:.1e} of {error:.0e}",
                    config.family
                );
                assert!(off < error, "{device:?}, {precision:?}: {off}");
            }
            let prompts = prompts(&config, 11);
            let drawn = Sampling {
                temperature: 0.9,
                ..greedy(7)
            };
            let ways = [
                greedy(7),
                drawn.clone(),
                Sampling {
                    top_p: 0.8,
                    ..drawn.clone()
                },
            ];
            for how in ways {
                let how = Sampling {
                    stop: vec![3, 30, 60],
                    ..how
                };
                let populations = [
                    Population::None,
                    singular(&config, 3),
                    dense(&singular(&config, 3)),
                    low_rank(&config, 2, 1),
                    low_rank(&config, 2, 3),
                ];
                for population in populations {
                    let queries = queries(&prompts, 3);
                    let ours = Model::random(&config, Precision::F32, Device::Cpu, 4).unwrap();
                    let theirs = Model::random_by_libtorch(&config, Precision::F32, *device, 4).unwrap();
                    close(
                        &generate(theirs, 4, &queries, &population, &how),
                        &generate(ours, 4, &queries, &population, &how),
                        1e-4,
                    );
                }
            }
        }
    }
}

#[test]
fn members_whose_singular_values_differ_by_a_thousandth_differ_in_bf16_too() {
    for device in devices() {
        for config in for_libtorch() {
            let answers = [2.0, 2.002].map(|value| {
                let mut population = singular(&config, 1);
                let Population::Singular { s_a, s_b, .. } = &mut population else {
                    unreachable!("made above")
                };
                for s in s_a.iter_mut().chain(s_b) {
                    s.values_mut().fill(value);
                }
                let prompts = prompts(&config, 6);
                let model = Model::random_by_libtorch(&config, Precision::Bf16, device, 4).unwrap();
                generate(model, 6, &queries(&prompts, 1), &population, &greedy(4))
            });
            assert_ne!(answers[0], answers[1], "{device:?}");
        }
    }
}

#[test]
fn rows_that_come_and_go_on_a_device_are_answered_as_if_each_were_alone() {
    for device in devices() {
        let config = for_libtorch()[0].clone();
        // Long and short prompts beside each other, more than there are slots.
        let prompts: Vec<Vec<u32>> = (0..23)
            .map(|i: u32| (0..1 + (i * 29) % 90).map(|t| (i + t * 7) % 97).collect())
            .collect();
        let all = queries(&prompts, 3);
        let how = Sampling {
            stop: vec![3, 30, 60, 70, 80, 90],
            ..greedy(9)
        };
        let population = singular(&config, 3);
        let model = Arc::new(Model::random_by_libtorch(&config, Precision::F32, device, 4).unwrap());
        let together = Generator::new(model.clone(), 7)
            .generate(&all, &population, &how)
            .unwrap();
        for (i, query) in all.iter().enumerate() {
            let alone = Generator::new(model.clone(), 1).generate(std::slice::from_ref(query), &population, &how);
            close(&together[i..=i], &alone.unwrap(), 1e-4);
        }
    }
}

#[test]
fn bad_queries_are_refused_in_a_sentence() {
    let config = qwen2();
    let mut generator = Generator::new(model(&config, Precision::F32).into(), 2);
    let population = singular(&config, 2);
    let mut refuse = |prompt: &[u32], member: u32, how: &Sampling, words: &str| {
        let prompts = [prompt.to_vec()];
        let mut queries = queries(&prompts, 1);
        queries[0].member = member;
        let error = generator.generate(&queries, &population, how).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refuse(&[], 0, &greedy(1), "prompt 0 is empty");
    refuse(&[97], 0, &greedy(1), "the tokenizer is of another model");
    refuse(&[1; 250], 0, &greedy(10), "more than the model's context of 256");
    refuse(&[1], 2, &greedy(1), "member 2, and the population has 2");
    refuse(&[1], 0, &greedy(0), "max_new_tokens is 0");
    refuse(
        &[1],
        0,
        &Sampling {
            temperature: f64::NAN,
            ..greedy(1)
        },
        "temperature",
    );

    let Population::Singular { basis, mut s_a, s_b } = singular(&config, 2) else {
        unreachable!()
    };
    s_a[1] = Array::zeros(&[2, 7]);
    let wrong = Population::Singular { basis, s_a, s_b };
    let error = wrong.check(&config).unwrap_err().to_string();
    assert!(error.contains("k_proj") && error.contains("[2, 7]"), "{error}");
    let error = low_rank(&llama(), 2, 1).check(&config).unwrap_err().to_string();
    assert!(
        error.contains("must be of the matrices of the model's layers"),
        "{error}"
    );
}
