//! Optimizers beside other programs, number by number over 30 generations: EvoTorch 0.6.1 (`snes`, `xnes`, `pgpe`), pyribs 0.12.0 (`lm_ma_es`, `openai_es`) and the
//! authors' program of ARS. The files say which script wrote them.

use illume_core::{Result, mix64};

use super::ars::Ars;
use super::gradient::Adam;
use super::lm_ma_es::LmMaEs;
use super::noise::Noise;
use super::openai_es::OpenAiEs;
use super::pgpe::{Pgpe, PgpeParams};
use super::sampled::{Rule, Sampled};
use super::snes::Snes;
use super::xnes::Xnes;
use super::{Ranking, Start};

const SIGMA: f64 = 0.5;
const GENERATIONS: usize = 30;

/// Noise of `tools/recorded.py`.
struct Given {
    generation: u64,
}

impl Noise for Given {
    fn direction(&self, number: usize, z: &mut [f64]) {
        for (gene, z) in z.iter_mut().enumerate() {
            let word = mix64((self.generation + 1) << 32 | (number as u64) << 16 | gene as u64);
            *z = 12f64.sqrt() * ((word >> 11) as f64 / (1u64 << 53) as f64 - 0.5);
        }
    }

    fn sums(&self, weights: &[[f64; 2]]) -> Result<[Vec<f64>; 2]> {
        let mut sums = [vec![0.0; DIM.get()], vec![0.0; DIM.get()]];
        let mut z = vec![0.0; DIM.get()];
        for (direction, [first, second]) in weights.iter().enumerate() {
            self.direction(direction, &mut z);
            for (gene, z) in z.iter().enumerate() {
                sums[0][gene] += first * z;
                sums[1][gene] += second * z * z;
            }
        }
        Ok(sums)
    }
}

thread_local! {
    /// Genes of the run at hand.
    static DIM: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

type Lines<'a> = std::iter::Peekable<Box<dyn Iterator<Item = &'a str> + 'a>>;

fn numbers(lines: &mut Lines<'_>, name: &str) -> Vec<f64> {
    let words = lines.next().unwrap().strip_prefix(name).unwrap().split_whitespace();
    words.map(|word| word.parse().unwrap()).collect()
}

/// Repeats a run by a rule; `state` is what the file has beside the mean. The largest difference, as a share of the state's largest number.
fn repeat<R: Rule>(
    lines: &mut Lines<'_>,
    dim: usize,
    members: usize,
    parents: impl Fn(usize) -> Option<usize>,
    fresh: impl Fn() -> R + Send + Sync + 'static,
    state: impl Fn(&R) -> Vec<f64>,
) -> f64 {
    DIM.set(dim);
    let start = Start {
        sigma: SIGMA,
        zeros: true,
        number: 0,
        fold: None,
    };
    let mut optimizer = Sampled::new(dim, members, start, fresh);
    optimizer.mean = vec![0.0; dim];
    let mut furthest = 0.0f64;
    for generation in 0..GENERATIONS {
        let order: Vec<usize> = numbers(lines, "order").iter().map(|m| *m as usize).collect();
        let fitness = numbers(lines, "fitness");
        let ranking = Ranking {
            order: &order,
            parents: parents(generation),
            fitness: Some(&fitness),
        };
        // What is made of the noise is what was ranked.
        let noise = Given {
            generation: generation as u64,
        };
        let first = order[0];
        let mut step = vec![0.0; dim];
        noise.direction(if R::MIRRORED { first / 2 } else { first }, &mut step);
        optimizer.rule.step(optimizer.updates, &mut step);
        let sign = if R::MIRRORED && first % 2 == 1 { -1.0 } else { 1.0 };
        let genes = optimizer.mean.iter().zip(&step).map(|(m, s)| m + sign * s);
        let score = -genes
            .enumerate()
            .map(|(i, x)| (i as f64 + 1.0) * (x - 1.0).powi(2))
            .sum::<f64>();
        assert!(
            (score - fitness[first]).abs() < 1e-4 * fitness[first].abs().max(1.0),
            "generation {generation}: the best member scores {score}, recorded {}",
            fitness[first]
        );
        optimizer.learn(&ranking, &noise).unwrap();
        let ours: Vec<f64> = optimizer.mean.iter().copied().chain(state(&optimizer.rule)).collect();
        let theirs = numbers(lines, "after");
        assert_eq!(ours.len(), theirs.len());
        let scale = theirs.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        for (a, b) in ours.iter().zip(&theirs) {
            furthest = furthest.max((a - b).abs() / scale);
        }
    }
    furthest
}

/// Runs of a file, each handed to a function by its words.
fn each(text: &'static str, mut run: impl FnMut(&mut Lines<'_>, &str, usize, &str) -> f64) -> Vec<f64> {
    let rest: Box<dyn Iterator<Item = &str>> = Box::new(text.lines().filter(|line| !line.starts_with('#')));
    let (mut lines, mut found) = (rest.peekable(), Vec::new());
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, members) = (words[1], words[2].parse().unwrap());
        let settings = words.get(3).copied().unwrap_or("");
        let furthest = run(&mut lines, name, members, settings);
        println!("{line}: at most {furthest:.1e} apart");
        found.push(furthest);
    }
    found
}

/// As many members learn as the optimizer has by itself.
fn usual(_: usize) -> Option<usize> {
    None
}

#[test]
fn snes_xnes_and_pgpe_with_clip_up_move_as_in_evotorch() {
    let n = 5.0f64;
    let rates = [1.0, 0.2 * (3.0 + n.ln()) / n.sqrt()];
    let full = [1.0, 0.6 * (3.0 + n.ln()) / (n * n.sqrt())];
    let found = each(
        include_str!("../../tests/data/evotorch.txt"),
        |lines, name, members, settings| match name {
            "snes" => repeat(
                lines,
                5,
                members,
                usual,
                move || Snes::new(5, SIGMA, rates),
                |r| r.deviations.clone(),
            ),
            "xnes" => repeat(
                lines,
                5,
                members,
                usual,
                move || Xnes::new(5, SIGMA, full),
                |r| r.transform.transpose().as_slice().to_vec(),
            ),
            _ => {
                let params = PgpeParams {
                    learning_rate: 0.15,
                    max_speed: 0.25,
                    sigma_rate: 0.4,
                    ranking: settings.into(),
                    ..PgpeParams::default()
                };
                repeat(
                    lines,
                    5,
                    members,
                    usual,
                    move || Pgpe::new(5, SIGMA, &params),
                    |r| r.deviations.clone(),
                )
            }
        },
    );
    assert!(
        found.len() == 4 && found.iter().all(|apart| *apart < 1e-12),
        "{found:?}"
    );
}

#[test]
fn lm_ma_es_and_openai_es_move_as_in_pyribs() {
    let text = include_str!("../../tests/data/pyribs_optimizers.txt");
    let found = each(text, |lines, name, members, settings| match name {
        "lm_ma_es" => {
            let few = settings == "few";
            let parents = move |generation| if few { Some(generation % 4) } else { None };
            repeat(
                lines,
                12,
                members,
                parents,
                move || LmMaEs::new(12, members, 4, SIGMA),
                |r| {
                    let vectors = r.vectors.iter().flatten().copied();
                    [r.sigma]
                        .into_iter()
                        .chain(r.path.iter().copied())
                        .chain(vectors)
                        .collect()
                },
            )
        }
        _ => {
            let adam = Adam {
                learning_rate: 0.05,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
            };
            repeat(
                lines,
                5,
                members,
                usual,
                move || OpenAiEs::new(5, SIGMA, adam, 0.01),
                |_| Vec::new(),
            )
        }
    });
    // Adam is of single precision here.
    assert!(
        found.len() == 3 && found[..2].iter().all(|apart| *apart < 1e-12) && found[2] < 1e-5,
        "{found:?}"
    );
}

#[test]
fn ars_moves_as_in_its_authors_program() {
    let found = each(include_str!("../../tests/data/ars.txt"), |lines, _, members, used| {
        let used = used.parse().unwrap();
        let fresh = move || Ars {
            sigma: SIGMA,
            learning_rate: 0.3,
            used,
        };
        repeat(lines, 5, members, usual, fresh, |_| Vec::new())
    });
    assert!(
        found.len() == 2 && found.iter().all(|apart| *apart < 1e-12),
        "{found:?}"
    );
}
