//! What genomes over adapters mean: dimensions, zeros, and that a member of a population is the adapter that is written for it.
#![cfg(feature = "torch")]

mod common;

use std::sync::Arc;

use common::{array, greedy, llama, prompts, queries, qwen2, tensor, uniform, write};
use illume_core::{Purpose, Stream};
use illume_lm::{
    Array, Device, Generator, Lora, LoraTarget, Model, ModelConfig, Module, Population, Precision, SearchKind,
    SearchSpace, Steps, SvdAdapter,
};
use tch::{Kind, Tensor};

const KINDS: [SearchKind; 2] = [SearchKind::SingularValues, SearchKind::Adapters];

fn adapter(config: &ModelConfig, rank: usize) -> Lora {
    let mut lora = Lora::fresh(config, rank, 8.0, &Module::ATTENTION, 4).unwrap();
    for (number, target) in lora.targets.iter_mut().enumerate() {
        let values = target.b.values_mut().iter_mut().enumerate();
        values.for_each(|(i, x)| *x = uniform(500 + number, i) - 0.5);
    }
    lora
}

fn genome(space: &SearchSpace, index: u64) -> Vec<f32> {
    let mut genes = vec![0.0; space.dim()];
    Stream::new(8, Purpose::Init, 0, index).add_normals(0, 0.1, &mut genes);
    genes
}

#[test]
fn the_dimension_is_layers_times_modules_times_two_times_the_share_of_the_rank() {
    let config = qwen2();
    for (rank, share, count) in [(8, 1.0, 8), (8, 0.1, 1), (10, 0.3, 3), (10, 0.31, 4), (3, 0.5, 2)] {
        let space = SearchSpace::new(&adapter(&config, rank), KINDS[0], share).unwrap();
        assert_eq!(space.dim(), config.layers * 4 * 2 * count);
    }
    let lora = adapter(&config, 5);
    let space = SearchSpace::new(&lora, KINDS[1], 1.0).unwrap();
    assert_eq!(space.dim(), lora.parameters());
}

#[test]
fn a_genome_of_zeros_is_the_adapter_itself() {
    let lora = adapter(&qwen2(), 4);
    for kind in KINDS {
        let space = SearchSpace::new(&lora, kind, 1.0).unwrap();
        let same = space.adapter(&vec![0.0; space.dim()]);
        assert_eq!((same.rank, same.alpha, same.scaling()), (lora.rank, lora.alpha, 2.0));
        for (t, u) in lora.targets.iter().zip(&same.targets) {
            assert_eq!((&t.a, &t.b), (&u.a, &u.b));
        }
    }
}

#[test]
fn singular_values_are_those_of_libtorch_and_offsets_are_added_to_the_largest() {
    let lora = adapter(&llama(), 6);
    let svd = SvdAdapter::new(&lora).unwrap();
    let values = |t: &Array| {
        let (_, values, _) = tensor(t).to_kind(Kind::Double).svd(true, true);
        array(&values).into_values()
    };
    let space = SearchSpace::new(&lora, KINDS[0], 0.5).unwrap();
    let genes: Vec<f32> = (0..space.dim()).map(|i| 0.1 + (i % 3) as f32).collect();
    let moved = space.adapter(&genes);
    for ((t, s), m) in lora.targets.iter().zip(&svd.targets).zip(&moved.targets) {
        for (before, found, after) in [(&t.a, &s.s_a, &m.a), (&t.b, &s.s_b, &m.b)] {
            let expected = values(before);
            assert!(
                expected.iter().zip(found).all(|(x, y)| (x - y).abs() < 1e-5),
                "{expected:?} {found:?}"
            );
            let mut offset = found.clone();
            for (x, o) in offset.iter_mut().zip([0.1, 1.1, 2.1]) {
                *x += o;
            }
            offset.sort_by(|x, y| y.total_cmp(x));
            let found = values(after);
            assert!(
                offset.iter().zip(&found).all(|(x, y)| (x - y).abs() < 1e-4),
                "{offset:?} {found:?}"
            );
        }
    }
}

#[test]
fn a_member_answers_as_the_adapter_that_is_written_for_it() {
    let config = qwen2();
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = write(dir.path(), &config);
    let model = Arc::new(Model::load(&checkpoint, Precision::F32, Device::Cpu).unwrap());
    for kind in KINDS {
        let space = SearchSpace::new(&adapter(&config, 4), kind, 0.7).unwrap();
        let genomes: Vec<Vec<f32>> = (0..3).map(|i| genome(&space, i)).collect();
        let genomes: Vec<&[f32]> = genomes.iter().map(Vec::as_slice).collect();
        let population = space.population(&genomes);
        assert_eq!(population.members(), 3);
        let prompts = prompts(&config, 6);
        let queries = queries(&prompts, 3);
        let answer = |population: &Population| {
            Generator::new(model.clone(), 4)
                .generate(&queries, population, &greedy(6))
                .unwrap()
        };
        // The adapters as written, each read back whole.
        let (mut places, mut a, mut b) = (Vec::new(), Vec::new(), Vec::new());
        let written: Vec<Lora> = genomes.iter().map(|g| space.adapter(g)).collect();
        for (i, t) in written[0].targets.iter().enumerate() {
            places.push((t.layer, t.module));
            let stack = |of: fn(&LoraTarget) -> &Array| {
                let all: Vec<Tensor> = written.iter().map(|l| tensor(of(&l.targets[i]))).collect();
                array(&Tensor::stack(&all, 0))
            };
            a.push(stack(|t| &t.a));
            b.push(stack(|t| &t.b));
        }
        let dense = Population::Dense {
            scaling: written[0].scaling(),
            places,
            a,
            b,
        };
        let (members, written) = (answer(&population), answer(&dense));
        for (m, w) in members.iter().zip(&written) {
            assert_eq!(m.tokens, w.tokens);
            assert!(m.log_probs.iter().zip(&w.log_probs).all(|(x, y)| (x - y).abs() < 1e-4));
        }
        let zeros = vec![0.0; space.dim()];
        assert_ne!(members, answer(&space.population(&[zeros.as_slice(); 3])));
    }
}

/// The same adapter, its factors of other sizes: `A * c` and `B / c`.
fn rescaled(lora: &Lora, c: f64) -> Lora {
    let targets = lora.targets.iter().map(|t| LoraTarget {
        a: array(&(tensor(&t.a) * c)),
        b: array(&(tensor(&t.b) / c)),
        ..*t
    });
    Lora {
        targets: targets.collect(),
        base: lora.base.clone(),
        ..*lora
    }
}

#[test]
fn an_adapter_whose_factors_are_rescaled_has_the_same_search_where_steps_are_relative() {
    let config = qwen2();
    let dir = tempfile::tempdir().unwrap();
    let model = Arc::new(Model::load(&write(dir.path(), &config), Precision::F32, Device::Cpu).unwrap());
    let lora = adapter(&config, 4);
    let prompts = prompts(&config, 6);
    let queries = queries(&prompts, 3);
    let search = |lora: &Lora, steps: Steps| {
        let space = SearchSpace::new(lora, KINDS[0], 0.7).unwrap().with_steps(steps);
        let genomes: Vec<Vec<f32>> = (0..3).map(|i| genome(&space, i)).collect();
        let written: Vec<Lora> = genomes.iter().map(|g| space.adapter(g)).collect();
        let genomes: Vec<&[f32]> = genomes.iter().map(Vec::as_slice).collect();
        let population = space.population(&genomes);
        let answers = Generator::new(model.clone(), 4).generate(&queries, &population, &greedy(6));
        let merged = |l: &Lora| -> Vec<f32> {
            let product = |t: &LoraTarget| array(&tensor(&t.b).matmul(&tensor(&t.a))).into_values();
            l.targets.iter().flat_map(product).collect()
        };
        (written.iter().flat_map(merged).collect::<Vec<f32>>(), answers.unwrap())
    };
    let (merged, answers) = search(&lora, Steps::Relative);
    for c in [2.0, 0.25] {
        let (same, same_answers) = search(&rescaled(&lora, c), Steps::Relative);
        assert!(
            same.iter().zip(&merged).all(|(x, y)| x.to_bits() == y.to_bits()),
            "{c}: merged weights"
        );
        assert_eq!(same_answers, answers, "{c}: answers and their log-probabilities");
        assert_ne!(
            search(&rescaled(&lora, c), Steps::Absolute).0,
            search(&lora, Steps::Absolute).0
        );
    }
    let largest = merged.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    let (near, _) = search(&rescaled(&lora, 3.0), Steps::Relative);
    assert!(near.iter().zip(&merged).all(|(x, y)| (x - y).abs() < 1e-5 * largest));
}

#[test]
fn a_relative_gene_of_1_adds_the_root_mean_square_of_its_factors_singular_values() {
    let lora = adapter(&llama(), 6);
    let svd = SvdAdapter::new(&lora).unwrap();
    let space = SearchSpace::new(&lora, KINDS[0], 0.5)
        .unwrap()
        .with_steps(Steps::Relative);
    let moved = SvdAdapter::new(&space.adapter(&vec![1.0; space.dim()])).unwrap();
    let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
    for ((t, s), m) in lora.targets.iter().zip(&svd.targets).zip(&moved.targets) {
        for (factor, before, after) in [(&t.a, &s.s_a, &m.s_a), (&t.b, &s.s_b, &m.s_b)] {
            // The norm of a matrix is that of its singular values.
            let step = tensor(factor).norm().double_value(&[]) / 6.0_f64.sqrt();
            (low, high) = (low.min(step), high.max(step));
            for i in 0..3 {
                let added = f64::from(after[i] - before[i]);
                assert!((added - step).abs() < 1e-4 * step, "{added} for {step}");
            }
        }
    }
    let [least, most] = space.steps().map(f64::from);
    assert!((least - low).abs() < 1e-5 && (most - high).abs() < 1e-5);
    let whole = SearchSpace::new(&lora, KINDS[1], 1.0)
        .unwrap()
        .with_steps(Steps::Relative);
    assert_eq!(whole.steps(), [1.0; 2], "whole adapters move by what genes say");
}

#[test]
fn impossible_searches_are_refused_in_a_sentence() {
    let config = qwen2();
    for share in [0.0, -0.5, 1.01, f64::NAN] {
        let error = SearchSpace::new(&adapter(&config, 4), KINDS[0], share)
            .unwrap_err()
            .to_string();
        assert!(error.contains("task.alpha") && error.contains("(0, 1]"), "{error}");
    }
    let fresh = Lora::fresh(&config, 4, 8.0, &Module::ATTENTION, 1).unwrap();
    let error = SearchSpace::new(&fresh, KINDS[0], 1.0).unwrap_err().to_string();
    assert!(
        error.contains("the factor B of model.layers.0.self_attn.q_proj is all zeros"),
        "{error}"
    );
    assert_eq!(
        SearchSpace::new(&fresh, KINDS[1], 1.0).unwrap().dim(),
        fresh.parameters()
    );
    for rank in [0, 17] {
        let error = Lora::fresh(&config, rank, 8.0, &Module::ATTENTION, 1)
            .unwrap_err()
            .to_string();
        assert!(error.contains("must be 1 to 16, the smaller side of k_proj"), "{error}");
    }
}
