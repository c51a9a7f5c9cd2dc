//! Statistics of observations against the program's own, and whose episodes are capped.

use super::*;
use crate::testing::{NoArchive, Silent, task};
use illume_core::{Status, TaskSpec};

const POPULATION: usize = 6;

/// A strategy on a task with three numbers in an observation, that is told episodes given by hand.
struct Driven {
    es: OpenAiEs,
    task: TaskSpec,
    generation: u64,
}

impl Driven {
    fn new(own: OpenAiEsParams) -> Driven {
        let params = OpenAiEsParams {
            population: POPULATION,
            center_episodes: 2,
            ..own
        };
        let task = TaskSpec {
            observation_dim: 3,
            ..task(5, false)
        };
        Driven {
            es: OpenAiEs::new(params, &CenterParams::default()),
            task,
            generation: 0,
        }
    }

    fn ask(&mut self) -> Candidates {
        let (mut candidates, comm) = (Candidates::default(), Silent(0, 1));
        let context = context(&self.task, self.generation, &comm);
        self.es.ask(&context, &NoArchive, &mut candidates).unwrap();
        candidates
    }

    /// All scores are equal; `observed` are (steps, sums, sums of squares) of as many observed members, from the first on.
    fn tell(&mut self, mut candidates: Candidates, steps: [u32; POPULATION + 2], observed: &[[f64; 6]]) {
        candidates.observed = (0..observed.len() as u32).collect();
        let mut rows = Batch::new();
        rows.push("status", 1, "", "", vec![Status::Ok as u8; steps.len()]);
        rows.push("fitness", 1, "", "", vec![1.0; steps.len()]);
        rows.push("steps", 1, "", "", steps.to_vec());
        let told = Told {
            candidates: &candidates,
            rows: &rows,
            moments: &observed.concat(),
            trajectories: &[],
            report: None,
            last: false,
        };
        let comm = Silent(0, 1);
        let context = context(&self.task, self.generation, &comm);
        assert_eq!(self.es.tell(&context, &told).unwrap(), Next::Generation);
        self.generation += 1;
    }
}

fn context<'a>(task: &'a TaskSpec, generation: u64, comm: &'a Silent) -> Context<'a> {
    Context {
        seed: 4,
        generation,
        task,
        comm,
    }
}

fn normalized() -> OpenAiEsParams {
    OpenAiEsParams {
        normalize_observations: true,
        ..OpenAiEsParams::default()
    }
}

/// `RunningStat(shape, eps=1e-2)` has mean 0 and std 1 before its first `increment`, and policies clip to 5 all the same.
#[test]
fn observations_are_clipped_from_the_first_generation_on() {
    let before = Driven::new(normalized()).ask().normalization.unwrap();
    assert_eq!((&before.mean[..], &before.sd[..]), (&[0.0; 3][..], &[1.0; 3][..]));
    assert_eq!(before.clip, 5.0);
    assert!(Driven::new(OpenAiEsParams::default()).ask().normalization.is_none());
}

/// Episodes (1, 0.25, 3), (2, 0.25, 3) and (-1, 0.5, 3), (0.5, 0.25, 3), (0, 0, 3), and what the program's class says of them.
#[test]
fn statistics_are_those_of_the_program() {
    let mut d = Driven::new(normalized());
    let c = d.ask();
    let steps = [2, 3, 9, 9, 9, 9, 9, 9];
    let moments = [[3.0, 0.5, 6.0, 5.0, 0.125, 18.0], [-0.5, 0.75, 9.0, 1.25, 0.3125, 27.0]];
    d.tell(c, steps, &moments);
    let n = d.ask().normalization.unwrap();
    let (mean, sd) = (
        [0.499_001_98, 0.249_500_99, 2.994_011_9],
        [1.000_249, 0.164_531_48, 0.141_152_98],
    );
    let close = |ours: &[f32], theirs: [f32; 3]| ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-5 * b);
    assert!(close(&n.mean, mean) && close(&n.sd, sd), "{n:?}");
}

#[test]
fn a_number_that_hardly_changes_is_divided_by_a_tenth() {
    let mut d = Driven::new(normalized());
    let c = d.ask();
    // A thousand times 3, and a thousand numbers of variance 0.0004.
    let moments = [3000.0, 0.0, 10.0, 9000.0, 0.4, 1000.0];
    d.tell(c, [1000; POPULATION + 2], &[moments]);
    let sd = &d.ask().normalization.unwrap().sd;
    assert_eq!(sd[..2], [0.1, 0.1], "the variance is at least 0.01");
    assert!((sd[2] - 1.0).abs() < 1e-3);
}

#[test]
fn the_centers_own_episodes_ignore_the_adaptive_cap() {
    let mut d = Driven::new(OpenAiEsParams {
        episode_cap: "adaptive".into(),
        ..OpenAiEsParams::default()
    });
    let c = d.ask();
    assert_eq!(c.max_steps, None);
    d.tell(c, [10, 20, 30, 40, 50, 60, 100, 100], &[]);
    let c = d.ask();
    assert_eq!(
        (c.max_steps, c.uncapped.clone(), c.offered.clone()),
        (Some(70), POPULATION..POPULATION + 2, POPULATION..POPULATION + 2),
        "twice the members' mean, for members alone"
    );
}

#[test]
fn a_state_goes_on_with_its_statistics_and_an_older_one_without_any_begins_them() {
    let mut d = Driven::new(normalized());
    let c = d.ask();
    d.tell(c, [7; POPULATION + 2], &[[7.0, 14.0, 21.0, 8.0, 60.0, 70.0]]);
    let comm = Silent(0, 1);
    let mut state = d.es.save(&context(&d.task, 1, &comm)).unwrap();
    let loaded = |state: &State| {
        let mut again = Driven::new(normalized());
        again.es.load(&context(&d.task, 1, &comm), state).unwrap();
        again.generation = 1;
        again.ask().normalization.unwrap()
    };
    assert_eq!(loaded(&state), d.es.normalization.clone().unwrap());
    for (name, table) in &mut state.tables {
        match name.as_str() {
            "scalars" => table.get_mut::<f64>("count").unwrap()[0] = 0.0,
            "observations" => table.get_mut::<f64>("sums").unwrap().fill(0.0),
            _ => {}
        }
    }
    assert_eq!(loaded(&state).sd, [1.0; 3]);
}
