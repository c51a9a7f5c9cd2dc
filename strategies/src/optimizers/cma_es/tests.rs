//! `cma_es` beside pycma, number by number and by the evaluations it needs; `sep_cma_es` beside its equations written out.

use illume_core::{Context, Purpose, Stream};

use super::*;
use crate::optimizers::fold::Fold;
use crate::optimizers::search::Search;
use crate::optimizers::sep_cma_es::{SepCmaEsParams, separable};
use crate::optimizers::{Optimizer, Ranking};
use crate::testing::{Silent, generation, shown, task};

/// The lines that tools/check_pycma.py wrote.
struct Recorded(std::vec::IntoIter<(String, Vec<f64>)>);

impl Recorded {
    fn read() -> Recorded {
        let lines = include_str!("../../../tests/data/pycma.txt")
            .lines()
            .filter(|l| !l.starts_with('#'));
        let parsed: Vec<(String, Vec<f64>)> = lines
            .map(|line| {
                let mut words = line.split_whitespace();
                let name = words.next().unwrap().to_string();
                (name, words.map(|w| w.parse().unwrap()).collect())
            })
            .collect();
        Recorded(parsed.into_iter())
    }

    fn next(&mut self, name: &str) -> Vec<f64> {
        let (found, values) = self.0.next().unwrap();
        assert_eq!(found, name);
        values
    }
}

/// pycma adds 1e-9 to the lengths by which it scales members of negative weight.
const TOLERANCE: f64 = 3e-8;

/// Repeats a recorded run, in a box or not.
fn repeat(recorded: &mut Recorded, boxed: bool) {
    let [n, population, generations, gap] = recorded.next("shape")[..] else {
        panic!("four sizes")
    };
    let dim = n as usize;
    let (mut fold, mut mean) = (None, vec![0.0; dim]);
    if boxed {
        let bounds: Vec<f32> = recorded.next("bounds").iter().map(|b| *b as f32).collect();
        fold = Fold::new(Some([bounds[0], bounds[1]]));
        mean = recorded
            .next("start")
            .iter()
            .map(|x| fold.unwrap().unfold(*x))
            .collect();
    }
    let constants = Constants::full(dim, population as usize, true);
    let start = Start {
        sigma: recorded.next("sigma")[0],
        zeros: true,
        number: 0,
        fold,
    };
    // As many decompositions as make the gap.
    let decompositions = 1.0 / (gap * n * (constants.rank_one + constants.rank_mu)) * (1.0 - 1e-9);
    let mut distribution = Full::new(dim, constants, start, decompositions, Factor::Eigenvectors);
    distribution.mean = mean;
    let mut furthest = 0.0f64;
    for generation in 0..generations as u64 {
        distribution.refresh().unwrap();
        distribution.set_steps(&recorded.next("steps"));
        if boxed {
            let (task, comm) = (task(dim, true), Silent(0, 1));
            let context = Context {
                seed: 0,
                generation,
                task: &task,
                comm: &comm,
            };
            for (m, theirs) in recorded.next("genes").chunks_exact(dim).enumerate() {
                let mut ours = vec![0.0; dim];
                distribution.member(&context, m, &mut ours);
                let near = ours.iter().zip(theirs).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-7);
                assert!(
                    near,
                    "generation {generation}, member {m}: {ours:?}, pycma's {theirs:?}"
                );
            }
        }
        let order: Vec<usize> = recorded.next("order").iter().map(|i| *i as usize).collect();
        distribution.update(&order);
        let covariance = distribution.covariance.lower();
        for (name, ours) in [
            ("mean", &distribution.mean),
            ("sigma", &vec![distribution.sigma]),
            ("sigma_path", &distribution.sigma_path),
            ("path", &distribution.path),
            ("covariance", &covariance),
        ] {
            let theirs = recorded.next(name);
            let scale = theirs.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            assert_eq!(ours.len(), theirs.len(), "{name}");
            for (a, b) in ours.iter().zip(&theirs) {
                furthest = furthest.max((a - b).abs() / scale);
            }
            assert!(
                furthest < TOLERANCE,
                "update {}: {name} is {ours:?}, pycma's {theirs:?}",
                distribution.updates
            );
        }
    }
    println!("{generations} generations differ by at most {furthest:.1e} of the largest element");
    assert_eq!(distribution.updates, generations as u64);
}

/// The second run's optimum lies on a face of its box.
#[test]
fn runs_of_pycma_are_repeated_number_by_number_also_in_a_box() {
    let mut recorded = Recorded::read();
    repeat(&mut recorded, false);
    repeat(&mut recorded, true);
    assert!(recorded.0.next().is_none());
}

/// Turns a vector by reflections that depend on its length alone.
fn turned(x: &[f64]) -> Vec<f64> {
    let mut x = x.to_vec();
    for turn in 1..=3u64 {
        let normal: Vec<f64> = (0..x.len() as u64)
            .map(|i| (illume_core::mix64(turn << 32 | i) >> 11) as f64 / (1u64 << 53) as f64 - 0.5)
            .collect();
        let square: f64 = normal.iter().map(|v| v * v).sum();
        let along: f64 = x.iter().zip(&normal).map(|(x, v)| x * v).sum();
        x.iter_mut()
            .zip(&normal)
            .for_each(|(x, v)| *x -= 2.0 * along / square * v);
    }
    x
}

fn ellipsoid(x: &[f64]) -> f64 {
    let last = (x.len() - 1) as f64;
    x.iter()
        .enumerate()
        .map(|(i, x)| 1e6f64.powf(i as f64 / last) * x * x)
        .sum()
}

fn rosenbrock(x: &[f64]) -> f64 {
    x.windows(2)
        .map(|p| 100.0 * (p[1] - p[0] * p[0]).powi(2) + (1.0 - p[0]).powi(2))
        .sum()
}

/// Evaluations until a function of ten genes is below 1e-8; none within 40,000.
fn evaluations(distributions: Optimizers, seed: u64, ones: bool, f: &dyn Fn(&[f64]) -> f64) -> Option<u64> {
    let (members, comm) = (distributions.members as u64, Silent(0, 1));
    let shift = if ones { 1.0 } else { 0.0 };
    let mut strategy = Search::new("cma_es", distributions, &RestartParams::default(), 10);
    let task = task(10, true);
    for generation_number in 0..40_000 / members {
        let context = Context {
            seed,
            generation: generation_number,
            task: &task,
            comm: &comm,
        };
        generation(&mut strategy, &context, false, &|genes, _, _| {
            -f(&genes.iter().map(|x| f64::from(*x) + shift).collect::<Vec<_>>())
        });
        if shown(&strategy, "best_fitness") > -1e-8 {
            return Some((generation_number + 1) * members);
        }
    }
    None
}

fn median(distributions: &dyn Fn() -> Optimizers, ones: bool, f: &dyn Fn(&[f64]) -> f64) -> u64 {
    let mut needed: Vec<u64> = (1..=7)
        .map(|seed| evaluations(distributions(), seed, ones, f).unwrap_or(u64::MAX))
        .collect();
    needed.sort_unstable();
    needed[3]
}

/// Medians of seven runs of pycma 4.5.0 with its defaults, from the same starts: 1356, 3977, 4216 and 4881.
#[test]
fn as_many_evaluations_are_needed_as_by_pycma() {
    let own = || -> Optimizers {
        let params = CmaEsParams {
            center: "zeros".into(),
            ..CmaEsParams::default()
        };
        full(&params, &task(10, true)).unwrap()
    };
    let sphere = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
    let rotated = |x: &[f64]| ellipsoid(&turned(x));
    for (name, pycma, ones, f) in [
        ("sphere", 1356, true, &sphere as &dyn Fn(&[f64]) -> f64),
        ("ellipsoid", 3977, true, &ellipsoid),
        ("rotated ellipsoid", 4216, true, &rotated),
        ("Rosenbrock", 4881, false, &rosenbrock),
    ] {
        let ours = median(&own, ones, f);
        println!("{name}: {ours} evaluations, pycma {pycma}");
        assert!(ours < pycma * 5 / 4, "{name}: {ours} evaluations, pycma {pycma}");
    }
}

#[test]
fn a_diagonal_is_faster_where_axes_are_the_genes_and_lost_where_they_are_not() {
    let distributions = |separate: bool| -> Optimizers {
        if separate {
            let params = SepCmaEsParams {
                center: "zeros".into(),
                ..SepCmaEsParams::default()
            };
            separable(&params, &task(10, true)).unwrap()
        } else {
            let params = CmaEsParams {
                center: "zeros".into(),
                ..CmaEsParams::default()
            };
            full(&params, &task(10, true)).unwrap()
        }
    };
    let straight = [false, true].map(|separate| median(&|| distributions(separate), true, &ellipsoid));
    let turned = [false, true].map(|separate| median(&|| distributions(separate), true, &|x| ellipsoid(&turned(x))));
    println!("full and separable need {straight:?} evaluations, turned {turned:?}");
    assert!(straight[1] < straight[0] * 4 / 5, "{straight:?}");
    assert!(turned[1] > 4 * turned[0], "{turned:?}");
}

/// The distribution of `sep_cma_es` by its equations alone, in one loop over genes.
#[test]
fn the_separable_law_moves_as_its_equations_say() {
    let (dim, population, task) = (2500, 7, task(2500, true));
    let params = SepCmaEsParams {
        population,
        sigma: 0.2,
        center: "zeros".into(),
    };
    let mut distribution = separable(&params, &task).unwrap().first();
    let c = Constants::separable(dim, population);
    let comm = Silent(0, 1);
    let (mut mean, mut variance, mut sigma) = (vec![0.0; dim], vec![1.0; dim], 0.2);
    let (mut sigma_path, mut path) = (vec![0.0f64; dim], vec![0.0; dim]);
    for generation in 0..5u64 {
        let context = Context {
            seed: 5,
            generation,
            task: &task,
            comm: &comm,
        };
        let mut genes = vec![0.0; population * dim];
        distribution.ask(&context, 0..population, &mut genes).unwrap();
        let z: Vec<Vec<f32>> = (0..population as u64)
            .map(|m| {
                let mut z = vec![0.0; dim];
                Stream::new(5, Purpose::Perturbation, generation, m).normals(0, &mut z);
                z
            })
            .collect();
        for (m, row) in genes.chunks_exact(dim).enumerate() {
            for i in 0..dim {
                let expected = mean[i] + sigma * f64::sqrt(variance[i]) * f64::from(z[m][i]);
                assert!(
                    (f64::from(row[i]) - expected).abs() < 1e-6,
                    "generation {generation}: member {m}, gene {i}"
                );
            }
        }
        let order: Vec<usize> = (0..population)
            .map(|i| (3 * i + generation as usize) % population)
            .collect();
        distribution.tell(&context, &Ranking::of(&order)).unwrap();
        let sum = |i: usize, power: i32| -> f64 {
            let terms = order.iter().zip(&c.weights).take(c.parents);
            terms.map(|(&m, w)| w * f64::from(z[m][i]).powi(power)).sum()
        };
        let gain = (c.sigma_rate * (2.0 - c.sigma_rate) * c.effective).sqrt();
        for (i, p) in sigma_path.iter_mut().enumerate() {
            *p = (1.0 - c.sigma_rate) * *p + gain * sum(i, 1);
        }
        let length = sigma_path.iter().map(|p| p * p).sum::<f64>().sqrt();
        let moves = c.path_moves(dim, length, generation + 1);
        for i in 0..dim {
            let step = f64::sqrt(variance[i]) * sum(i, 1);
            let open = c.path_rate * (2.0 - c.path_rate);
            path[i] = (1.0 - c.path_rate) * path[i] + if moves { (open * c.effective).sqrt() * step } else { 0.0 };
            let lost = if moves { 0.0 } else { c.rank_one * open };
            variance[i] = (1.0 + lost - c.rank_one - c.rank_mu + c.rank_mu * sum(i, 2)) * variance[i]
                + c.rank_one * path[i] * path[i];
            mean[i] += sigma * step;
        }
        sigma *= c.sigma_factor(dim, length);
        assert!((distribution.sigma() / sigma - 1.0).abs() < 1e-12);
    }
    let mut rounded = vec![0.0; dim];
    distribution.mean(&mut rounded);
    assert!(
        rounded
            .iter()
            .zip(&mean)
            .all(|(a, b)| *a == *b as f32 || (f64::from(*a) - b).abs() < 1e-7)
    );
}

#[test]
fn a_matrix_too_large_and_a_lonely_member_are_refused_in_a_sentence() {
    let refusal = |params: &CmaEsParams, dim| full(params, &task(dim, true)).err().unwrap().to_string();
    let large = refusal(&CmaEsParams::default(), MOST_GENES + 1);
    assert!(large.contains("sep_cma_es") && large.contains("32769"), "{large}");
    let one = CmaEsParams {
        population: 1,
        ..CmaEsParams::default()
    };
    assert!(refusal(&one, 3).contains("strategy.population"), "{}", refusal(&one, 3));
}

/// One generation on one rank, without failures.
pub(in crate::optimizers) fn step(
    strategy: &mut Search,
    task: &TaskSpec,
    seed: u64,
    number: u64,
    f: &dyn Fn(&[f32]) -> f64,
) {
    let comm = Silent(0, 1);
    let context = Context {
        seed,
        generation: number,
        task,
        comm: &comm,
    };
    generation(strategy, &context, false, &|genes, _, _| f(genes));
}
