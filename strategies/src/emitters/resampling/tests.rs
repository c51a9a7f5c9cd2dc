use std::collections::HashMap;

use illume_core::{ArchiveSpec, Axis, Batch, Cells, Comm, Elites, Fetched, Taken};

use super::*;

/// An archive of members that nobody fetches.
struct Members {
    spec: ArchiveSpec,
    elites: Elites,
}

/// Cells with members of these fitnesses, each evaluated so often.
fn members(cells: &[Vec<f64>], depth: usize, samples: &[u32]) -> Members {
    let n: usize = cells.iter().map(Vec::len).sum();
    let mut rows = Batch::new();
    rows.push("fitness", 1, "", "", cells.concat());
    rows.push("descriptor", 1, "", "", vec![0.0f64; n]);
    rows.push("operator", 1, "", "", vec![0i32; n]);
    rows.push("parents", 2, "", "", vec![-1i64; 2 * n]);
    rows.push("seed", 1, "", "", vec![0u64; n]);
    let niches = cells
        .iter()
        .enumerate()
        .flat_map(|(cell, own)| vec![cell as i64; own.len()]);
    rows.push("niche", 1, "", "", niches.collect());
    let counts = (0..n).map(|i| samples.get(i).copied().unwrap_or(1));
    rows.push("samples", 1, "", "", counts.collect());
    let mut elites = Elites::new(n, 1);
    elites.declare::<i64>("niche", "", "");
    let taken: Vec<Taken> = (0..n as u32).map(|row| Taken { row, cell: row }).collect();
    elites.take(&rows, &taken, 0).unwrap();
    elites.filled = (0..n as u32).collect();
    Members {
        spec: ArchiveSpec {
            kind: "grid".into(),
            axes: vec![Axis::new("x", "", 0.0, 1.0)],
            cells: Cells::Grid {
                shape: vec![cells.len()],
            },
            capacity: cells.len(),
            qd_offset: 0.0,
            rules: vec![
                ("depth".into(), Rule::Count(depth as u64)),
                ("keep".into(), Rule::Text("best".into())),
                ("selection".into(), Rule::Text("best".into())),
            ],
        },
        elites,
    }
}

impl Archive for Members {
    fn spec(&self) -> &ArchiveSpec {
        &self.spec
    }

    fn locate(&self, _descriptors: &[f64], _cells: &mut [i64]) {}

    fn elites(&self) -> &Elites {
        &self.elites
    }

    fn fetch<'a>(&'a self, _: &[u32], _: &[usize], _: &dyn Comm, _: &'a mut Inbox) -> Result<Fetched<'a>> {
        unreachable!("nothing is fetched")
    }
}

fn stream(generation: u64) -> Stream {
    Stream::new(3, Purpose::Selection, generation, DRAW)
}

/// How often each sequence of two members is drawn, in `n` draws.
fn sequences(archive: &Members, weights: Weights, n: u64) -> HashMap<Vec<u32>, f64> {
    let mut counts = HashMap::new();
    for generation in 0..n {
        let drawn = draw(archive, weights, 2, &stream(generation)).unwrap();
        *counts.entry(drawn).or_insert(0.0) += 1.0;
    }
    counts
}

/// One draw after another without replacement, over all (cell, rank) pairs that hold an elite: every ordered pair has the probability that the weights say.
#[test]
fn the_draw_is_that_of_weights_without_replacement_over_all_that_is_there() {
    // Ranks are by fitness, whatever the order in which members came; the second cell has two of three slots.
    let archive = members(&[vec![1.0, 3.0, 2.0], vec![-1.0, -2.0]], 3, &[]);
    let ranks = [2, 0, 1, 0, 1];
    for weights in [
        Weights::Exponential,
        Weights::Linear,
        Weights::Reciprocal,
        Weights::Uniform,
    ] {
        let w: Vec<f64> = ranks.iter().map(|rank| weights.of(*rank, 3)).collect();
        let (sum, n) = (w.iter().sum::<f64>(), 40_000);
        let counts = sequences(&archive, weights, n);
        let mut chi = 0.0;
        for a in 0..5u32 {
            for b in (0..5u32).filter(|b| *b != a) {
                let (first, second) = (w[a as usize], w[b as usize]);
                let expected = n as f64 * first / sum * second / (sum - first);
                let found = counts.get(&vec![a, b]).copied().unwrap_or(0.0);
                chi += (found - expected).powi(2) / expected;
            }
        }
        // Nineteen degrees of freedom: beyond 43.8 once in a thousand.
        assert!(chi < 43.8, "{weights:?}: chi-square {chi}");
    }
}

/// PAPERS: (1 - 1/e) / (1 - e^-8).
#[test]
fn the_first_draw_from_one_full_cell_of_eight_is_its_best_in_two_of_three_cases() {
    let archive = members(&[vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]], 8, &[]);
    let n = 40_000;
    let first = (0..n).filter(|g| draw(&archive, Weights::Exponential, 1, &stream(*g)).unwrap() == [7]);
    let share = first.count() as f64 / n as f64;
    assert!((share - 0.632_332).abs() < 0.008, "{share}");
}

#[test]
fn no_more_is_drawn_than_there_is() {
    let archive = members(&[vec![1.0, 3.0], vec![2.0]], 8, &[]);
    assert_eq!(
        draw(&archive, Weights::Exponential, 1024, &stream(0)).unwrap(),
        [0, 1, 2]
    );
    let mut all = draw(&archive, Weights::Exponential, 2, &stream(0)).unwrap();
    all.dedup();
    assert_eq!(all.len(), 2);
}

fn emitter(again: usize, evaluations: usize, samples: Samples, needs: Needs) -> Resampling {
    let operator = Operator::IsoLine { iso: 0.1, line: 0.1 };
    let children = Children {
        evaluations,
        samples,
        operator,
    };
    Resampling::new("extract_me", again, Weights::Exponential, needs, Some(children))
}

/// Rows of evaluations again, and of children with the samples of each.
fn shares(emitter: &mut Resampling, archive: &Members) -> (usize, usize, u32) {
    emitter.check(archive).unwrap();
    emitter.drawn = draw(archive, emitter.weights, emitter.again, &stream(0)).unwrap();
    let median = median_samples(archive).unwrap();
    emitter.share(median);
    let parts = emitter.parts();
    assert_eq!((parts[0].again, parts[1].again), (true, false));
    (parts[0].rows, parts[1].rows, parts[1].samples)
}

/// The authors' accounting (`get_batch_size`, `set_up_container.py`) of 4,096 evaluations a generation over 1,024 cells.
#[test]
fn a_generations_evaluations_are_divided_as_the_authors_do() {
    let full = |depth: usize| {
        members(
            &vec![(0..depth).map(|i| i as f64).collect::<Vec<f64>>(); 1024],
            depth,
            &[],
        )
    };
    let of = |again, samples, depth| {
        shares(
            &mut emitter(again, 4096, Samples::Fixed(samples), Needs::Nothing),
            &full(depth),
        )
    };
    // Extract-ME: a quarter again, of which there are at most 2,048.
    assert_eq!(of(1024, 2, 8), (1024, 1536, 2));
    // Archive-Sampling: all of two layers.
    assert_eq!(of(usize::MAX, 2, 2), (2048, 1024, 2));
    // ME-Sampling and Deep-Grid.
    assert_eq!(of(0, 32, 1), (0, 128, 32));
    assert_eq!(of(0, 1, 32), (0, 4096, 1));
    // What is not there yet is not evaluated again: its evaluations are children's.
    let few = members(&[vec![1.0; 8], vec![2.0; 2]], 8, &[]);
    assert_eq!(
        shares(&mut emitter(1024, 4096, Samples::Fixed(2), Needs::Members), &few),
        (10, 2043, 2)
    );
}

#[test]
fn an_adaptive_child_has_the_median_of_what_elites_have_had() {
    let of = |samples: &[u32], evaluations| {
        let archive = members(&[vec![1.0; samples.len()]], samples.len(), samples);
        shares(
            &mut emitter(usize::MAX, evaluations, Samples::Median(8), Needs::Members),
            &archive,
        )
    };
    assert_eq!(of(&[1, 1, 1], 103), (3, 100, 1));
    assert_eq!(of(&[1, 5, 9], 103), (3, 20, 5));
    assert_eq!(of(&[1, 4, 5, 9], 104), (4, 25, 4));
    assert_eq!(of(&[400, 400, 400], 103), (3, 12, 8));
    // Fewer each, before there is no child.
    assert_eq!(of(&[400, 400, 400], 8), (3, 1, 5));
}

#[test]
fn an_archive_that_cannot_do_is_refused_in_one_sentence() {
    let deep = members(&vec![vec![1.0; 2]; 10], 2, &[]);
    let mut plain = members(&[vec![1.0]], 1, &[]);
    plain.spec.rules.clear();
    let fixed = Samples::Fixed(2);
    for (emitter, archive, part) in [
        (emitter(4, 100, fixed, Needs::Members), &plain, "archive.depth"),
        (emitter(0, 100, fixed, Needs::LowSpread), &deep, "keep = \"low_spread\""),
        (
            emitter(usize::MAX, 21, fixed, Needs::Members),
            &deep,
            "at least 22, 20 evaluations again",
        ),
        (
            emitter(usize::MAX, 20, Samples::Median(8), Needs::Members),
            &deep,
            "at least 21",
        ),
    ] {
        let message = emitter.check(archive).unwrap_err().to_string();
        assert!(message.contains(part) && !message.contains('\n'), "{message}");
    }
    assert!(emitter(usize::MAX, 22, fixed, Needs::Members).check(&deep).is_ok());
}
