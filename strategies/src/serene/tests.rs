//! Schedule and accounting against the authors' programs, and the rules of emitters by hand.

use super::agents::Agent;
use super::emitter::Emitter;
use super::search::{Mode, Search};
use super::*;
use crate::testing::{NoArchive, Silent};
use illume_core::{Axis, Batch, Candidates, Context, FEATURES, Init, Memory, Next, Scratch, TaskSpec, Told};

fn task() -> TaskSpec {
    TaskSpec {
        descriptor: vec![Axis::new("x", "", -5.0, 5.0), Axis::new("y", "", -5.0, 5.0)],
        features: 3,
        ..TaskSpec::new("plane", 2, Init::Normal { mean: 0.0, sd: 1.0 })
    }
}

struct Driven {
    search: Search,
    task: TaskSpec,
    generation: u64,
    evaluations: usize,
}

/// A search on a plane that is rewarded within so much of (3, 3).
impl Driven {
    fn new(text: &str, encoder: bool) -> Driven {
        let (task, text) = (task(), format!("neighbours = 5\n{text}"));
        let table: illume_core::toml::Table = text.parse().unwrap();
        let (own, (emitters, params)): Stax = illume_core::params::read(&table, "strategy", &[]).unwrap();
        let config = StrategyConfig {
            strategy: &table,
            task: &task,
            memory: &Memory::unlimited(),
        };
        let encoder = encoder.then(|| Encoder::of_task("stax", params, &config).unwrap());
        Driven {
            search: Search::new("test", &task, own, Some([-5.0, 5.0]), emitters, encoder),
            task,
            generation: 0,
            evaluations: 0,
        }
    }

    /// A generation; the mode that it was made in, and its rows.
    fn step(&mut self, radius: f32) -> (Mode, usize) {
        let (mode, comm) = (self.search.mode, Silent(0, 1));
        let context = Context {
            seed: 3,
            generation: self.generation,
            task: &self.task,
            comm: &comm,
        };
        let mut candidates = Candidates::default();
        self.search.ask(&context, &NoArchive, &mut candidates).unwrap();
        let (n, mut scratch) = (candidates.total, Scratch::default());
        let genes: Vec<f32> = (0..n)
            .flat_map(|row| candidates.genomes.genes(row, &mut scratch).to_vec())
            .collect();
        assert!(genes.iter().all(|x| x.abs() <= 5.0));
        let mut rows = Batch::new();
        rows.push("status", 1, "", "", vec![0u8; n]);
        let reward = |g: &[f32]| f64::from((1.0 - (g[0] - 3.0).hypot(g[1] - 3.0) / radius).max(0.0));
        rows.push("fitness", 1, "", "", genes.chunks_exact(2).map(reward).collect());
        rows.push("descriptor", 2, "", "", genes.iter().map(|x| f64::from(*x)).collect());
        let seen = genes.chunks_exact(2).flat_map(|g| [g[0], g[1], g[0] * g[1]]).collect();
        rows.push(FEATURES, 3, "", "", seen);
        let told = Told {
            candidates: &candidates,
            rows: &rows,
            moments: &[],
            trajectories: &[],
            report: None,
            last: false,
        };
        assert_eq!(self.search.tell(&context, &told).unwrap(), Next::Generation);
        self.generation += 1;
        self.evaluations += n;
        (mode, n)
    }
}

#[test]
fn chunks_of_exploration_cost_what_they_cost_the_authors() {
    let mut d = Driven::new("schedule = \"explore\"", false);
    let rows: Vec<usize> = (0..11).map(|_| d.step(0.01).1).collect();
    // The first population is charged to the first chunk, whose last generation oversteps it.
    assert_eq!(rows, [100, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200]);
    assert_eq!((d.search.chunks, d.evaluations), (2, 2100));
    assert_eq!(d.search.archive.len(), 10 * 5, "five a generation");
    assert!(d.search.rewarded.is_empty(), "nobody looks at rewards");
}

#[test]
fn the_encoder_learns_after_chunks_1_3_6_and_10() {
    let mut d = Driven::new(
        "schedule = \"explore\"\npopulation = 10\nchunk = 20\nlatent = 2\nencoder_hidden = [4]\nencoder_epochs = 1",
        true,
    );
    let (mut learned, mut chunks) = (0, Vec::new());
    while d.search.chunks < 16 {
        d.step(0.01);
        let now = d.search.encoder.as_ref().unwrap().learned();
        if now > learned {
            chunks.push(d.search.chunks);
            learned = now;
        }
    }
    assert_eq!(chunks, [1, 3, 6, 10, 15]);
}

#[test]
fn a_candidate_costs_66_evaluations_and_as_many_are_tried_as_leave_a_third_of_the_chunk() {
    let mut d = Driven::new("", false);
    while d.search.mode == Mode::First || d.search.mode == Mode::Explore {
        d.step(1.5);
        assert!(d.generation < 100, "no reward found");
    }
    let waiting = d.search.candidates.len();
    let mut rows = Vec::new();
    let Mode::Bootstrap { step: 0, count } = d.search.mode else {
        panic!("{:?}", d.search.mode)
    };
    assert_eq!(count, waiting.min(11), "11 x 66 leave less than a third of 1000");
    while matches!(d.search.mode, Mode::Bootstrap { .. }) {
        rows.push(d.step(1.5).1);
    }
    assert_eq!(rows.iter().sum::<usize>(), 66 * count);
    assert_eq!(rows[0], 6 * count);
    assert_eq!(rows[1..], [12 * count; 5]);
    assert_eq!(d.search.candidates.len(), waiting - count);
    // Then emitters take 12 a step until the chunk is used up.
    let mut left = 1000 - 66 * count as i64;
    while matches!(d.search.mode, Mode::Emit { .. }) {
        assert_eq!(d.step(1.5).1, 12);
        left -= 12;
    }
    assert!(left <= 0 || d.search.emitters.is_empty(), "{left}");
    assert_eq!((d.search.mode, d.search.left), (Mode::Explore, 1000));
}

#[test]
fn emitters_climb_to_the_top_of_what_exploration_found() {
    let mut d = Driven::new("sigma = 0.3", false);
    while d.evaluations < 30_000 {
        d.step(0.5);
    }
    assert!(d.search.best > 0.97, "{}", d.search.best);
    assert!(d.search.rewarded.iter().all(|agent| agent.reward > 0.0));
    let best = d.search.rewarded.iter().map(|agent| agent.reward).fold(0.0, f64::max);
    assert_eq!(best, d.search.best);
}

fn agent(reward: f64) -> Agent {
    Agent {
        reward,
        ..Agent::default()
    }
}

#[test]
fn the_best_is_remembered_once_and_then_whoever_is_better() {
    let mut emitter = Emitter::new(agent(0.1), 0.5);
    let mut rewarded = Vec::new();
    emitter.begin(vec![agent(0.0), agent(0.2)]);
    emitter.take(vec![agent(0.3), agent(0.25)], &mut rewarded);
    let rewards = |agents: &[Agent]| agents.iter().map(|a| a.reward).collect::<Vec<f64>>();
    assert_eq!(rewards(&emitter.population), [0.3, 0.25]);
    assert_eq!(rewards(&rewarded), [0.3]);
    emitter.take(vec![agent(0.5), agent(0.4), agent(0.1)], &mut rewarded);
    assert_eq!(rewards(&rewarded), [0.3, 0.5, 0.4]);
    emitter.take(vec![agent(0.1)], &mut rewarded);
    assert_eq!((rewards(&emitter.population), rewarded.len()), (vec![0.5, 0.4], 3));
    // Means of the last three steps and of the first three: (0.275 + 0.45 + 0.45) / 3 and (0.1 + 0.275 + 0.45) / 3.
    emitter.estimate();
    assert!((emitter.improvement - (1.175 - 0.825) / 3.0).abs() < 1e-12);
    let mut none = Emitter::new(agent(0.0), 0.5);
    none.begin(vec![agent(0.0); 2]);
    none.take(vec![agent(0.0); 4], &mut rewarded);
    none.estimate();
    assert_eq!((none.improvement, none.archived, rewarded.len()), (0.0, None, 3));
}

#[test]
fn an_emitter_stagnates_after_20_n_over_6_and_120_steps_without_a_rise() {
    let rising = |slope: f64, steps: usize| {
        let mut emitter = Emitter::new(agent(0.0), 0.5);
        emitter.begin(vec![agent(0.0); 6]);
        for step in 1..=steps {
            emitter.take(vec![agent(slope * step as f64); 12], &mut Vec::new());
        }
        emitter
    };
    let window = 20 * 6 / 6 + 120;
    assert!(!rising(0.0, window).stagnates(6, 6), "not before");
    assert!(rising(0.0, window + 1).stagnates(6, 6));
    assert!(!rising(1e-3, window + 1).stagnates(6, 6));
}

#[test]
fn wrong_parameters_are_refused_by_key() {
    let try_build = |entry: &StrategyEntry, text: &str, task: &TaskSpec| {
        let table: illume_core::toml::Table = text.parse().unwrap();
        let config = StrategyConfig {
            strategy: &table,
            task,
            memory: &Memory::unlimited(),
        };
        (entry.build)(&config).map(|_| ()).unwrap_err().to_string()
    };
    let unit = TaskSpec {
        bounds: Some([0.0, 1.0]),
        ..task()
    };
    for (text, key) in [
        ("genome_bounds = [1.0]", "strategy.genome_bounds"),
        ("genome_bounds = [2.0, 1.0]", "strategy.genome_bounds"),
        ("genome_bounds = [2.0, 3.0]", "strategy.genome_bounds"),
        ("archived = 300", "strategy.archived"),
        ("population = 1", "strategy.population"),
        ("schedule = \"often\"", "strategy.schedule"),
        ("latent = 2", "strategy.latent"),
    ] {
        let message = try_build(&SERENE, text, &unit);
        assert!(message.contains(key), "{text}: {message}");
    }
    assert!(try_build(&STAX, "latent = 4", &task()).contains("strategy.latent"));
    let blind = TaskSpec { features: 0, ..task() };
    assert!(try_build(&TAXONS, "", &blind).contains("shows nothing"));
    let nowhere = TaskSpec {
        descriptor: vec![],
        ..task()
    };
    assert!(try_build(&SERENE, "", &nowhere).contains("\"stax\" learns one"));
}
