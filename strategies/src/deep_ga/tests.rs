//! The rules of the schedule, each by a case small enough to be worked out by hand.

use illume_core::{Batch, Genomes};

use super::*;
use crate::testing::{NoArchive, Silent, task};

const SEED: u64 = 9;

fn params() -> DeepGaParams {
    DeepGaParams {
        population: 6,
        parents: 3,
        sigma: 0.5,
        validation_candidates: 2,
        validation_episodes: 2,
        test_episodes: 3,
        ..DeepGaParams::default()
    }
}

/// A strategy that is driven by scores given by hand.
struct Driven {
    ga: DeepGa,
    task: TaskSpec,
    generation: u64,
}

impl Driven {
    fn new(params: DeepGaParams) -> Driven {
        Driven::on(params, task(5, false))
    }

    fn on(params: DeepGaParams, task: TaskSpec) -> Driven {
        let ga = DeepGa::new(params, LineageParams::default(), &task);
        Driven {
            ga,
            task,
            generation: 0,
        }
    }

    /// What one rank of several is asked to evaluate.
    fn ask_of(&mut self, rank: usize, size: usize) -> Candidates {
        let (mut candidates, comm) = (Candidates::default(), Silent(rank, size));
        let context = Context {
            seed: SEED,
            generation: self.generation,
            task: &self.task,
            comm: &comm,
        };
        self.ga.ask(&context, &NoArchive, &mut candidates).unwrap();
        candidates
    }

    fn ask(&mut self) -> Candidates {
        self.ask_of(0, 1)
    }

    /// Scores of all rows; NaN for one that failed. An episode took ten steps and its row number more.
    fn tell(&mut self, candidates: &Candidates, scores: &[f64], last: bool) -> Next {
        assert_eq!(candidates.total, scores.len());
        let mut rows = Batch::new();
        let failed = |s: &f64| u8::from(s.is_nan()) * Status::Failed as u8;
        rows.push("status", 1, "", "", scores.iter().map(failed).collect());
        let values: Vec<f64> = scores.iter().map(|s| if s.is_nan() { 0.0 } else { *s }).collect();
        rows.push("fitness", 1, "", "", values);
        rows.push(
            "steps",
            1,
            "",
            "",
            (0..scores.len() as u32).map(|row| 10 + row).collect(),
        );
        let told = Told {
            candidates,
            rows: &rows,
            moments: &[],
            trajectories: &[],
            report: None,
            last,
        };
        let comm = Silent(0, 1);
        let context = Context {
            seed: SEED,
            generation: self.generation,
            task: &self.task,
            comm: &comm,
        };
        let next = self.ga.tell(&context, &told).unwrap();
        self.generation += u64::from(next == Next::Generation);
        next
    }

    fn step(&mut self, scores: &[f64]) -> Next {
        let candidates = self.ask();
        self.tell(&candidates, scores, false)
    }

    /// Generation 0: children 2, 5 and 3 become parents, 2 and 5 are validated, 5 is the elite.
    fn first_generation(&mut self) {
        assert_eq!(self.step(&[5.0, 1.0, 9.0, 7.0, 3.0, 9.0]), Next::SameGeneration);
        assert_eq!(self.step(&[4.0, 6.0, 8.0, 6.0]), Next::Generation);
    }

    fn parents(&self) -> Vec<u64> {
        self.ga.parents.iter().map(Individual::id).collect()
    }

    fn elite(&self) -> (u64, f64) {
        let elite = self.ga.elite.as_ref().unwrap();
        (elite.id(), elite.score)
    }

    fn reported(&self) -> (u64, f64, f64) {
        let r = self.ga.reported.as_ref().unwrap();
        (r.individual.id(), r.mark, r.test)
    }
}

fn lineages(candidates: &Candidates) -> Vec<(Vec<u64>, Vec<f32>)> {
    let Genomes::Lineage(l) = &candidates.genomes else {
        panic!("lineages were expected")
    };
    let row = |i| {
        let (streams, scales) = l.row(i);
        (streams.to_vec(), scales.to_vec())
    };
    (0..l.rows()).map(row).collect()
}

#[test]
fn generation_0_is_random_and_the_best_of_it_are_validated_and_become_parents() {
    let mut d = Driven::new(params());
    let children = d.ask();
    assert_eq!(
        (children.total, children.offered.clone(), children.tests.len()),
        (6, 0..6, 0)
    );
    for (i, row) in lineages(&children).iter().enumerate() {
        assert_eq!(*row, (vec![stream_id(0, i as u64)], vec![1.0]));
    }
    d.first_generation();
    assert_eq!(
        d.parents(),
        [2, 5, 3].map(|i| stream_id(0, i)),
        "of equals the first is better"
    );
    assert_eq!(
        d.elite(),
        (stream_id(0, 5), 7.0),
        "the best validated mean, not the best episode"
    );
    let (id, mark, test) = d.reported();
    assert_eq!((id, mark), (stream_id(0, 5), 6.0), "(4 + 6 + 8 + 6) / 4");
    assert!(test.is_nan());
}

#[test]
fn a_child_is_a_parent_and_one_step_of_its_own() {
    let mut d = Driven::new(DeepGaParams {
        population: 300,
        ..params()
    });
    let scores: Vec<f64> = (0..300).map(f64::from).collect();
    d.step(&scores);
    d.step(&[2.0, 2.0, 1.0, 1.0]);
    let parents: Vec<Vec<u64>> = [299, 298, 297].map(|i| vec![stream_id(0, i)]).to_vec();
    let mut counts = [0; 3];
    for (i, (streams, scales)) in lineages(&d.ask())[..300].iter().enumerate() {
        assert_eq!((streams.len(), scales.as_slice()), (2, &[1.0, 0.5][..]));
        assert_eq!(streams[1], stream_id(1, i as u64));
        counts[parents.iter().position(|p| p[..] == streams[..1]).unwrap()] += 1;
    }
    // Binomial(300, 1/3) has a standard deviation of 8.2.
    assert!(
        counts.iter().all(|n| (67..=133).contains(n)),
        "uniform picks: {counts:?}"
    );
}

#[test]
fn the_last_elite_is_validated_and_tested_beside_the_children() {
    let mut d = Driven::new(params());
    d.first_generation();
    let c = d.ask();
    assert_eq!((c.total, c.offered.clone(), c.tests.clone()), (6 + 2 + 3, 0..6, 8..11));
    let rows = lineages(&c);
    assert!(rows[6..].iter().all(|row| *row == (vec![stream_id(0, 5)], vec![1.0])));
    assert_eq!(
        c.expected_steps[6..],
        [15; 5],
        "its episode in generation 0 took 10 + 5 steps"
    );
    assert!(
        c.expected_steps[..6].iter().all(|s| [12, 15, 13].contains(s)),
        "those of the parents"
    );

    // One new candidate beside the elite.
    assert_eq!(
        d.tell(&c, &[1., 2., 3., 4., 5., 6., 1., 2., 10., 20., 30.], false),
        Next::SameGeneration
    );
    let v = d.ask();
    assert_eq!((v.total, v.offered.len(), v.tests.len()), (2, 0, 0));
    assert_eq!(d.tell(&v, &[1.0, 1.0], false), Next::Generation);
    assert_eq!(d.elite(), (stream_id(0, 5), 1.5), "validated anew: (1 + 2) / 2");
    let new = |i| stream_id(1, i);
    assert_eq!(
        d.parents(),
        [new(5), new(4), stream_id(0, 5)],
        "it replaces the last parent"
    );
    assert_eq!(
        d.reported(),
        (stream_id(0, 5), 6.0, 20.0),
        "1.25 is no better mean than 6"
    );
    assert_eq!(d.ga.row.values()[..5], [1.5, 1.25, 6.0, 3.0, 20.0]);
}

#[test]
fn an_elite_among_the_parents_replaces_none_and_a_better_mean_is_reported() {
    let mut d = Driven::new(params());
    d.first_generation();
    d.step(&[6., 5., 4., 3., 2., 1., 9., 9., 0., 0., 0.]);
    d.step(&[20.0, 30.0]);
    assert_eq!(d.elite(), (stream_id(1, 0), 25.0));
    assert_eq!(d.parents(), [0, 1, 2].map(|i| stream_id(1, i)));
    let (id, mark, test) = d.reported();
    assert_eq!((id, mark), (stream_id(1, 0), 17.0));
    assert!(test.is_nan(), "the tests were the last elite's");
}

#[test]
fn of_equal_means_the_last_elite_wins() {
    let mut d = Driven::new(params());
    d.first_generation();
    d.step(&[6., 5., 4., 3., 2., 1., 9., 9., 0., 0., 0.]);
    d.step(&[9.0, 9.0]);
    assert_eq!(d.elite().0, stream_id(0, 5));
}

#[test]
fn with_no_parents_every_generation_is_random_and_its_elite_is_kept() {
    let mut d = Driven::new(DeepGaParams { parents: 0, ..params() });
    d.first_generation();
    let c = d.ask();
    for (i, row) in lineages(&c)[..6].iter().enumerate() {
        assert_eq!(*row, (vec![stream_id(1, i as u64)], vec![1.0]));
    }
    assert_eq!(lineages(&c)[6].0, [stream_id(0, 5)]);
    d.tell(&c, &[1., 2., 3., 4., 5., 6., 8., 8., 0., 0., 0.], false);
    d.step(&[7.0, 7.0]);
    assert_eq!((d.elite().0, d.parents().len()), (stream_id(0, 5), 0));
}

#[test]
fn a_candidate_with_a_failed_episode_is_not_the_elite() {
    let mut d = Driven::new(params());
    d.step(&[5.0, f64::NAN, 9.0, 7.0, 3.0, 9.0]);
    d.step(&[4.0, 6.0, 8.0, f64::NAN]);
    assert_eq!(d.elite(), (stream_id(0, 2), 5.0));
    assert_eq!(d.ga.row.validated_mean, 5.0, "nor does it count in the mean");
    // And a last elite that fails does not stay.
    d.step(&[1., 2., 3., 4., 5., 6., f64::NAN, 90., 1., 1., f64::NAN]);
    d.step(&[3.0, 3.0]);
    assert_eq!(d.elite(), (stream_id(1, 5), 3.0));
    assert!(d.ga.row.last_elite_test.is_nan());
}

#[test]
fn the_last_elite_of_a_run_is_tested_at_its_end_with_the_seeds_that_it_would_have_had_later() {
    let mut d = Driven::new(params());
    d.step(&[5.0, 1.0, 9.0, 7.0, 3.0, 9.0]);
    let v = d.ask();
    assert_eq!(d.tell(&v, &[4.0, 6.0, 8.0, 6.0], true), Next::SameGeneration);
    let test = d.ask();
    assert_eq!((test.total, test.tests.clone(), test.offered.len()), (3, 0..3, 0));
    assert_eq!(d.tell(&test, &[1.0, 2.0, 6.0], true), Next::Generation);
    assert_eq!(d.reported(), (stream_id(0, 5), 6.0, 3.0));

    let mut longer = Driven::new(params());
    longer.first_generation();
    let riding = longer.ask();
    assert_eq!(riding.seeds[8..], test.seeds);
    // Gone on with, it is not tested again; children and validation are the same.
    let next = d.ask();
    assert_eq!((next.total, next.tests.len()), (8, 0));
    assert_eq!(next.seeds, riding.seeds[..8]);
    // The generation that follows tells of the tests, as it would have had they ridden with it.
    d.tell(&next, &[1., 2., 3., 4., 5., 6., 1., 2.], false);
    longer.tell(&riding, &[1., 2., 3., 4., 5., 6., 1., 2., 1., 2., 6.], false);
    assert_eq!((d.ga.row.last_elite_test, longer.ga.row.last_elite_test), (3.0, 3.0));
    assert_eq!(d.reported(), longer.reported());
}

#[test]
fn validation_seeds_do_not_depend_on_where_the_last_elite_is_validated() {
    let mut d = Driven::new(params());
    d.first_generation();
    let children = d.ask();
    d.tell(&children, &[1., 2., 3., 4., 5., 6., 1., 2., 0., 0., 0.], false);
    let others = d.ask();
    let mut expected = Vec::new();
    evaluation_seeds(SEED, 1, VALIDATION_SEEDS, 0..4, &mut expected);
    assert_eq!([&children.seeds[6..8], &others.seeds].concat(), expected);
}

#[test]
fn ranks_hold_the_parts_of_what_one_would_hold() {
    let mut d = Driven::new(params());
    for generation in 0..2 {
        if generation == 1 {
            d.first_generation();
        }
        let whole = d.ask();
        for size in [2, 3, 7, 20] {
            let parts: Vec<Candidates> = (0..size).map(|rank| d.ask_of(rank, size)).collect();
            let rows: Vec<_> = parts.iter().flat_map(lineages).collect();
            let seeds: Vec<u64> = parts.iter().flat_map(|p| p.seeds.clone()).collect();
            let steps: Vec<u32> = parts.iter().flat_map(|p| p.expected_steps.clone()).collect();
            assert_eq!(
                (rows, seeds, steps),
                (lineages(&whole), whole.seeds.clone(), whole.expected_steps.clone())
            );
        }
    }
}

#[test]
fn a_deterministic_task_has_neither_validation_nor_tests() {
    let mut d = Driven::on(params(), task(5, true));
    assert_eq!(d.step(&[5.0, 1.0, 9.0, 7.0, 3.0, 9.0]), Next::Generation);
    assert_eq!(d.elite(), (stream_id(0, 2), 9.0));
    assert_eq!(d.step(&[1.0, 2.0, 9.0, 4.0, 5.0, 8.0]), Next::Generation);
    assert_eq!(d.elite(), (stream_id(0, 2), 9.0));
    assert_eq!(d.parents(), [stream_id(1, 2), stream_id(1, 5), stream_id(0, 2)]);
}

#[test]
fn the_mutation_power_follows_its_schedule() {
    let sigma = |schedule: &str, generation| {
        let params = DeepGaParams {
            sigma: 0.016,
            sigma_final: 0.001,
            sigma_generations: 4,
            sigma_schedule: schedule.into(),
            ..params()
        };
        params.sigma(generation, 5)
    };
    assert_eq!([0, 3, 9].map(|g| sigma("constant", g)), [0.016; 3]);
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} and {b}");
    for (g, linear, exponential) in [
        (0, 0.016, 0.016),
        (2, 0.0085, 0.004),
        (4, 0.001, 0.001),
        (9, 0.001, 0.001),
    ] {
        close(sigma("linear", g), linear);
        close(sigma("exponential", g), exponential);
    }
}

/// Frames of the budget: those of children and validation, four a step, and none of tests.
#[test]
fn the_mutation_power_may_follow_the_frames_of_the_budget() {
    let by_frames = DeepGaParams {
        sigma: 0.5,
        sigma_final: 0.1,
        sigma_schedule: "linear".into(),
        sigma_by: "frames".into(),
        sigma_frames: 800,
        ..params()
    };
    let task = TaskSpec {
        frames_per_step: 4,
        ..task(5, false)
    };
    let mut d = Driven::on(by_frames, task);
    let sigma = |d: &mut Driven| lineages(&d.ask())[0].1[1];
    d.step(&[5.0, 1.0, 9.0, 7.0, 3.0, 9.0]);
    assert_eq!(d.ga.row.sigma, 0.5);
    d.step(&[4.0, 6.0, 8.0, 6.0]);
    // Children took 10 to 15 steps, four episodes of validation 10 to 13: 121 steps are 484 frames of 800.
    let expected = 0.5 - 0.4 * 484.0 / 800.0;
    assert_eq!(sigma(&mut d), expected as f32);
    d.step(&[1., 2., 3., 4., 5., 6., 1., 2., 10., 20., 30.]);
    assert_eq!(d.ga.row.sigma, expected, "that of the generation, not of its end");
    d.step(&[1.0, 1.0]);
    assert_eq!(
        d.ga.steps,
        121 + (10..18).sum::<u64>() + 10 + 11,
        "tests are not charged"
    );
    assert_eq!(sigma(&mut d), 0.1, "the schedule is over");
}

#[test]
fn a_child_is_worth_the_mean_of_its_episodes() {
    let mut d = Driven::new(DeepGaParams {
        episodes: 3,
        ..params()
    });
    assert_eq!(d.ga.spec.first_generation, 3 * 6 + 2 * 2);
    let c = d.ask();
    assert_eq!(
        (c.total, c.offered.clone()),
        (18, 0..6),
        "the archive is offered the first episode of each"
    );
    let rows = lineages(&c);
    assert!((0..18).all(|row| rows[row] == rows[row % 6]));
    let mut seeds = c.seeds.clone();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 18, "all episodes differ");
    // Child 0 has the best single episode, child 4 the best mean; child 1 failed once.
    let scores = [
        [90., 50., 10., 20., 30., 1.],
        [0.0, 50., 10., 20., 40., 1.],
        [0.0, f64::NAN, 10., 23., 50., 1.],
    ];
    d.tell(&c, &scores.concat(), false);
    assert_eq!(
        d.ga.row.values()[2..4],
        [40.0, 21.0],
        "maximum and median of the children that are ok"
    );
    let v = d.ask();
    assert_eq!(lineages(&v)[0].0, [stream_id(0, 4)]);
    assert_eq!(lineages(&v)[2].0, [stream_id(0, 0)]);
    d.tell(&v, &[1.0, 1.0, 2.0, 2.0], false);
    assert_eq!(d.parents(), [4, 0, 3].map(|i| stream_id(0, i)));
    assert_eq!(d.elite(), (stream_id(0, 0), 2.0));
    // Child 4's episodes took 14, 20 and 26 steps.
    assert_eq!((d.ga.parents[0].score, d.ga.parents[0].steps), (40.0, 20));

    // The elite's validation and tests stand behind all episodes.
    let c = d.ask();
    assert_eq!(
        (c.total, c.offered.clone(), c.tests.clone()),
        (18 + 2 + 3, 0..6, 20..23)
    );
    assert!(lineages(&c)[18..].iter().all(|row| row.0 == [stream_id(0, 0)]));
    for size in [2, 5] {
        let parts: Vec<_> = (0..size).flat_map(|rank| lineages(&d.ask_of(rank, size))).collect();
        assert_eq!(parts, lineages(&c));
    }
}

#[test]
fn a_deterministic_task_has_one_episode_a_child() {
    let mut d = Driven::on(
        DeepGaParams {
            episodes: 3,
            ..params()
        },
        task(5, true),
    );
    assert_eq!((d.ask().total, d.ga.spec.first_generation), (6, 6));
}

#[test]
fn an_older_checkpoint_that_counts_no_steps_is_read() {
    let mut d = Driven::new(params());
    d.first_generation();
    let comm = Silent(0, 1);
    let context = Context {
        seed: SEED,
        generation: 1,
        task: &d.task,
        comm: &comm,
    };
    let mut state = d.ga.save(&context).unwrap();
    let (_, scalars) = state.tables.iter_mut().find(|(name, _)| name == "scalars").unwrap();
    let mut older = Batch::new();
    for column in scalars.columns().iter().filter(|c| c.name != "charged_steps") {
        older.push_column(column.clone());
    }
    *scalars = older;
    let mut again = Driven::new(params());
    again.ga.load(&context, &state).unwrap();
    assert_eq!((again.parents(), again.elite()), (d.parents(), d.elite()));
}

#[test]
fn a_state_between_generations_goes_on_as_if_it_had_not_been_saved() {
    let by_frames = || DeepGaParams {
        sigma_schedule: "exponential".into(),
        sigma_by: "frames".into(),
        sigma_frames: 1000,
        ..params()
    };
    let mut d = Driven::new(by_frames());
    d.first_generation();
    let comm = Silent(0, 1);
    let context = Context {
        seed: SEED,
        generation: 1,
        task: &d.task,
        comm: &comm,
    };
    let state = d.ga.save(&context).unwrap();
    let mut again = Driven::new(by_frames());
    again.ga.load(&context, &state).unwrap();
    again.generation = 1;
    for scores in [&[1., 2., 3., 4., 5., 6., 1., 2., 10., 20., 30.][..], &[1.0, 1.0]] {
        d.step(scores);
        again.step(scores);
    }
    let said = |d: &Driven| {
        (
            d.parents(),
            d.elite(),
            d.reported(),
            d.ga.row.values().iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
            d.ga.steps,
        )
    };
    assert_eq!(said(&d), said(&again));
}
