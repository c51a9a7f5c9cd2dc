//! The move of a generation against its analytic gradient, the schedule of modes, and where searches begin.

use super::*;
use crate::testing::{Silent, task};
use illume_core::{
    ArchiveSpec, Comm, Dense, Elites, Fetched, GenomeRef, Genomes, InsertReport, Scratch, Status, Taken, TaskSpec,
};

/// An archive of cells whose descriptor is one number, each filled by what is put into it.
struct Cells {
    elites: Elites,
    genomes: Vec<Vec<f32>>,
    /// Novelty of each elite.
    novelty: Vec<f64>,
}

impl Cells {
    /// Elites of these fitnesses and novelties in the cells 0, 1, ...; gene i of the elite of cell c is c + i.
    fn new(elites: &[(f64, f64)], dim: usize) -> Cells {
        let n = elites.len();
        let mut rows = Batch::new();
        rows.push("fitness", 1, "", "", elites.iter().map(|e| e.0).collect::<Vec<f64>>());
        rows.push("descriptor", 1, "", "", vec![0.5; n]);
        rows.push("operator", 1, "", "", vec![0i32; n]);
        rows.push("parents", 2, "", "", vec![-1i64; 2 * n]);
        rows.push("seed", 1, "", "", vec![0u64; n]);
        let mut table = Elites::new(n, 1);
        let taken: Vec<Taken> = (0..n as u32).map(|cell| Taken { row: cell, cell }).collect();
        table.take(&rows, &taken, 0).unwrap();
        table.filled = (0..n as u32).collect();
        Cells {
            elites: table,
            genomes: (0..n).map(|c| (0..dim).map(|i| (c + i) as f32).collect()).collect(),
            novelty: elites.iter().map(|e| e.1).collect(),
        }
    }
}

impl Archive for Cells {
    fn spec(&self) -> &ArchiveSpec {
        unreachable!("the archive's bounds do not matter")
    }

    fn locate(&self, _descriptors: &[f64], _cells: &mut [i64]) {
        unreachable!("nothing is located")
    }

    fn elites(&self) -> &Elites {
        &self.elites
    }

    /// That of a descriptor is the descriptor.
    fn novelty(&self, descriptors: Option<&[f64]>, _neighbours: usize) -> Result<Vec<f64>> {
        Ok(descriptors.unwrap_or(&self.novelty).to_vec())
    }

    fn fetch<'a>(
        &'a self,
        _cells: &[u32],
        _bounds: &[usize],
        _comm: &dyn Comm,
        _inbox: &'a mut Inbox,
    ) -> Result<Fetched<'a>> {
        Ok(Fetched::new(|cell| {
            self.genomes.get(cell as usize).map(|genes| GenomeRef::Dense(genes))
        }))
    }
}

/// A strategy that is driven by hand.
struct Driven {
    es: MeEs,
    archive: Cells,
    task: TaskSpec,
    generation: u64,
}

impl Driven {
    fn new(params: MeEsParams, elites: &[(f64, f64)], dim: usize) -> Driven {
        Driven {
            es: MeEs::new(params, None),
            archive: Cells::new(elites, dim),
            task: task(dim, true),
            generation: 0,
        }
    }

    /// One generation, in which (fitness, descriptor) of a row are `score` of its genes; `taken` is the cell that the offspring takes. Where the search stood before.
    fn step(&mut self, taken: Option<i64>, score: impl Fn(&[f32]) -> (f64, f64)) -> Vec<f32> {
        let (mut candidates, comm) = (Candidates::default(), Silent(0, 1));
        let context = Context {
            seed: 3,
            generation: self.generation,
            task: &self.task,
            comm: &comm,
        };
        let mut before = Vec::new();
        loop {
            self.es.ask(&context, &self.archive, &mut candidates).unwrap();
            let offspring = !candidates.offered.is_empty();
            if !offspring {
                before = self.es.center.genes.to_vec();
            }
            let mut scratch = Scratch::default();
            let scores: Vec<(f64, f64)> = (0..candidates.total)
                .map(|row| score(candidates.genomes.genes(row, &mut scratch)))
                .collect();
            let mut rows = Batch::new();
            rows.push("status", 1, "", "", vec![Status::Ok as u8; scores.len()]);
            rows.push("fitness", 1, "", "", scores.iter().map(|s| s.0).collect::<Vec<f64>>());
            rows.push(
                "descriptor",
                1,
                "",
                "",
                scores.iter().map(|s| s.1).collect::<Vec<f64>>(),
            );
            rows.push("cell", 1, "", "", vec![taken.unwrap_or(0); scores.len()]);
            let report = InsertReport {
                kept: if taken.is_some() { vec![0] } else { Vec::new() },
                ..InsertReport::default()
            };
            let told = Told {
                candidates: &candidates,
                rows: &rows,
                moments: &[],
                trajectories: &[],
                report: offspring.then_some(&report),
                last: false,
            };
            if self.es.tell(&context, &told).unwrap() == Next::Generation {
                assert_eq!((offspring, candidates.total), (true, 1), "one offspring is offered");
                self.generation += 1;
                return before;
            }
            assert!(
                !offspring && candidates.total == self.es.params.population,
                "members are not offered"
            );
        }
    }
}

fn params() -> MeEsParams {
    MeEsParams {
        population: 2000,
        l2: 0.0,
        ..MeEsParams::default()
    }
}

/// Fitness (or novelty) c x with |c| = 1: a member's rank is uniform in [-1/2, 1/2] and its normal quantile lies along c, so that the mean of rank times noise is
/// c / (2 sqrt(pi)), and each gene of it has a standard error of at most 1 / sqrt(12 * 1000 pairs).
#[test]
fn the_ascent_of_a_generation_is_the_analytic_gradient_of_a_linear_function() {
    let dim = 12;
    let length = (0..dim).map(|i| ((i + 1) as f64).powi(2)).sum::<f64>().sqrt();
    let slope: Vec<f64> = (0..dim)
        .map(|i| if i % 2 == 0 { 1.0 } else { -1.0 } * (i + 1) as f64 / length)
        .collect();
    let value = |genes: &[f32]| genes.iter().zip(&slope).map(|(x, c)| f64::from(*x) * c).sum::<f64>();
    for (modes, score) in [
        (
            "exploit",
            &(|genes: &[f32]| (value(genes), 0.0)) as &dyn Fn(&[f32]) -> (f64, f64),
        ),
        ("explore", &|genes: &[f32]| (0.0, value(genes))),
    ] {
        let own = MeEsParams {
            modes: modes.into(),
            ..params()
        };
        let mut d = Driven::new(own, &[(0.0, 0.0)], dim);
        let before = d.step(None, score);
        assert_eq!(before, d.archive.genomes[0], "it begins at the elite");
        let comm = Silent(0, 1);
        let context = Context {
            seed: 3,
            generation: 1,
            task: &d.task,
            comm: &comm,
        };
        // Adam's first moment is a tenth of the descent.
        let table = d.es.center.table(&context).unwrap();
        let error = 1.0 / (12.0f64 * 1000.0).sqrt();
        for ((moment, c), (now, before)) in table
            .get::<f32>("first")
            .unwrap()
            .iter()
            .zip(&slope)
            .zip(d.es.center.genes.iter().zip(&before))
        {
            let (ascent, expected) = (-10.0 * f64::from(*moment), c / (2.0 * std::f64::consts::PI.sqrt()));
            assert!(
                (ascent - expected).abs() < 4.5 * error,
                "{modes}: {ascent}, not {expected}"
            );
            // And its first step is of the learning rate.
            assert!(
                (f64::from((now - before).abs()) - 0.01).abs() < 1e-4,
                "{modes}: {before} to {now}"
            );
        }
    }
}

/// QDax's penalty is l2 * theta beside a gradient that is divided by sigma.
#[test]
fn without_a_slope_the_penalty_alone_moves_the_center() {
    let own = MeEsParams {
        population: 4,
        l2: 0.3,
        modes: "exploit".into(),
        ..MeEsParams::default()
    };
    let mut d = Driven::new(own, &[(0.0, 0.0)], 3);
    d.step(None, |_| (0.0, 0.0));
    let comm = Silent(0, 1);
    let context = Context {
        seed: 3,
        generation: 1,
        task: &d.task,
        comm: &comm,
    };
    let table = d.es.center.table(&context).unwrap();
    for (moment, x) in table.get::<f32>("first").unwrap().iter().zip([0.0, 1.0, 2.0]) {
        assert!((f64::from(*moment) - 0.1 * 0.02 * 0.3 * x).abs() < 1e-8, "{moment}");
    }
}

#[test]
fn ten_generations_explore_and_ten_exploit_each_a_search_of_its_own() {
    let own = MeEsParams {
        population: 4,
        ..params()
    };
    let mut d = Driven::new(own, &[(0.0, 1.0), (0.0, 0.0)], 3);
    let (mut modes, mut begun) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let before = d.es.center.genes.to_vec();
        let start = d.step(None, |genes| (f64::from(genes[0]), f64::from(genes[1])));
        modes.push(d.es.row.mode);
        begun.push(start != before);
        assert_eq!(
            d.es.center.steps_taken,
            (d.generation - 1) % 10 + 1,
            "moments begin anew"
        );
    }
    for generation in 0..40 {
        assert_eq!(
            modes[generation],
            f64::from(generation / 10 % 2 == 1),
            "generation {generation}"
        );
        assert_eq!(begun[generation], generation % 10 == 0, "generation {generation}");
    }
    for (modes, shown) in [("explore", 0.0), ("exploit", 1.0)] {
        let own = MeEsParams {
            population: 4,
            steps: 2,
            modes: modes.into(),
            ..params()
        };
        let mut d = Driven::new(own, &[(0.0, 0.0)], 3);
        for _ in 0..6 {
            d.step(None, |_| (0.0, 0.0));
            assert_eq!(d.es.row.mode, shown);
        }
    }
}

/// How often a search of one generation began in each cell.
fn begun(modes: &str, elites: &[(f64, f64)], taken: &[i64]) -> Vec<usize> {
    let own = MeEsParams {
        population: 2,
        steps: 1,
        modes: modes.into(),
        ..MeEsParams::default()
    };
    let mut d = Driven::new(own, elites, 2);
    for cell in taken {
        d.step(Some(*cell), |_| (0.0, 0.0));
    }
    let mut count = vec![0; elites.len()];
    for _ in 0..400 {
        let start = d.step(None, |_| (0.0, 0.0));
        count[start[0] as usize] += 1;
    }
    count
}

#[test]
fn a_search_begins_at_one_of_the_most_novel_or_of_the_best() {
    // Fitness falls and novelty rises with the cell's number.
    let elites: Vec<(f64, f64)> = (0..9).map(|c| (-f64::from(c), f64::from(c))).collect();
    let near =
        |count: usize, share: f64| (count as f64 - 400.0 * share).abs() < 4.5 * (400.0 * share * (1.0 - share)).sqrt();
    let explore = begun("explore", &elites, &[]);
    assert!(
        explore[..4] == [0; 4] && explore[4..].iter().all(|n| near(*n, 0.2)),
        "{explore:?}"
    );
    // Nothing was updated yet: the two best of all.
    let best = begun("exploit", &elites, &[]);
    assert!(
        best[2..] == [0; 7] && best[..2].iter().all(|n| near(*n, 0.5)),
        "{best:?}"
    );
    // The last five that were updated are 8, 3, 6, 7 and 4, each counted once: 3 and 4 are the best of them.
    let both = begun("exploit", &elites, &[2, 8, 3, 6, 4, 7, 4]);
    assert!([0, 1, 3, 4].iter().all(|c| near(both[*c], 0.25)), "{both:?}");
    assert_eq!(
        both.iter().sum::<usize>(),
        [0, 1, 3, 4].map(|c: usize| both[c]).iter().sum::<usize>()
    );
}

#[test]
fn without_elites_random_genomes_come_first_and_the_search_begins_without_if_they_fail() {
    let own = MeEsParams {
        population: 4,
        initial: 3,
        ..params()
    };
    let mut es = MeEs::new(own, None);
    let (task, comm, archive) = (task(5, true), Silent(0, 1), Cells::new(&[], 5));
    let context = Context {
        seed: 1,
        generation: 0,
        task: &task,
        comm: &comm,
    };
    let mut candidates = Candidates::default();
    es.ask(&context, &archive, &mut candidates).unwrap();
    assert_eq!((candidates.total, candidates.offered.clone()), (3, 0..3));
    assert!(matches!(&candidates.genomes, Genomes::Dense(Dense { dim: 5, .. })));
    let mut rows = Batch::new();
    rows.push("status", 1, "", "", vec![Status::Failed as u8; 3]);
    rows.push("fitness", 1, "", "", vec![0.0; 3]);
    let told = Told {
        candidates: &candidates,
        rows: &rows,
        moments: &[],
        trajectories: &[],
        report: None,
        last: false,
    };
    assert_eq!(es.tell(&context, &told).unwrap(), Next::SameGeneration);
    es.ask(&context, &archive, &mut candidates).unwrap();
    assert_eq!((candidates.total, candidates.offered.clone()), (4, 0..0));
    assert_eq!(es.center.genes.len(), 5);
}
