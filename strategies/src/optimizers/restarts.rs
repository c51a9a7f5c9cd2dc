//! Searches one after another: IPOP (Auger and Hansen, 'A restart CMA evolution strategy with increasing population size', CEC 2005) and BIPOP
//! (Hansen, 'Benchmarking a BI-population CMA-ES on the BBOB-2009 function testbed', GECCO 2009), as pycma runs them (cma 4.5.0,
//! `evolution_strategy.py:5007-5042`, `:5226-5258`).

use illume_core::{Batch, Error, Purpose, Result, State, Stream, params};

use super::stops::Stop;

params! {
    /// When a search ends, and what follows it: parameters that strategies share whose optimizers search alone.
    pub struct RestartParams {
        /// What follows a search that has converged: "none" ends the run; "ipop" is another search with twice the members; "bipop" also has searches of few members and small steps, for as many evaluations.
        restarts: String = "none".into(), one_of(&["none", "ipop", "bipop"]);
        /// Restarts with more members than ever before, after which the run ends.
        max_restarts: usize = 9, range(1, 24);
        /// A search has converged when fitness stays within this; 0 leaves that to other criteria.
        tol_fun: f64 = 1e-12, at_least(0.0);
        /// A search has converged when the standard deviation of all genes is below this, times the initial one.
        tol_x: f64 = 1e-12, at_least(0.0);
    }
}

/// Members that no search has more of.
const MOST: f64 = (1u64 << 24) as f64;

/// The kinds of searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Regime {
    None,
    Ipop,
    Bipop,
}

/// A search of the sequence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Run {
    /// From 0.
    pub number: u64,
    pub members: usize,
    /// By what the initial step size is multiplied.
    pub shrunk: f64,
    /// Generations so far, and those that it may take.
    pub generations: u64,
    limit: f64,
    /// Of few members.
    small: bool,
    evaluations: u64,
}

impl Run {
    /// The first, of which there is no other.
    pub fn only(members: usize) -> Run {
        Run {
            number: 0,
            members,
            shrunk: 1.0,
            generations: 0,
            limit: f64::INFINITY,
            small: true,
            evaluations: 0,
        }
    }
}

/// Which search is at work, and which comes next.
pub(crate) struct Restarts {
    regime: Regime,
    most: u64,
    /// Members of the first search, and the generations of a search without a limit of its own.
    members: usize,
    /// Members come in pairs.
    pairs: bool,
    limit: f64,
    pub run: Run,
    /// Searches of few members after the first, and evaluations of all searches that have ended, by their kind.
    small_runs: u64,
    small_evaluations: u64,
    large_evaluations: u64,
    /// Why the last search ended that did.
    pub stop: Option<Stop>,
    /// Whether that was the last search of all.
    pub ended: bool,
}

impl Restarts {
    /// For a first search of so many members.
    pub fn new(params: &RestartParams, dim: usize, members: usize, pairs: bool) -> Restarts {
        let regime = match params.restarts.as_str() {
            "ipop" => Regime::Ipop,
            "bipop" => Regime::Bipop,
            _ => Regime::None,
        };
        // pycma's `maxiter` (`options_parameters.py:80`).
        let limit = match regime {
            Regime::None => f64::INFINITY,
            _ => 100.0 + (150.0 * (dim as f64 + 3.0).powi(2) / (members as f64).sqrt()).floor(),
        };
        Restarts {
            regime,
            most: params.max_restarts as u64,
            members,
            pairs,
            limit,
            run: Run {
                limit,
                ..Run::only(members)
            },
            small_runs: 0,
            small_evaluations: 0,
            large_evaluations: 0,
            stop: None,
            ended: false,
        }
    }

    /// Counts a generation of the present search, which may have been its last.
    pub fn count(&mut self) -> Option<Stop> {
        let run = &mut self.run;
        run.generations += 1;
        run.evaluations += run.members as u64;
        (run.generations as f64 >= run.limit).then_some(Stop::MaxIter)
    }

    /// Ends the present search; whether another follows it, which is then the present one.
    pub fn next(&mut self, stop: Stop, seed: u64) -> bool {
        self.stop = Some(stop);
        let (run, number) = (self.run, self.run.number + 1);
        if run.small {
            self.small_evaluations += run.evaluations;
        } else {
            self.large_evaluations += run.evaluations;
        }
        if self.regime == Regime::None || number - self.small_runs > self.most {
            self.ended = true;
            return false;
        }
        let small = self.regime == Regime::Bipop && self.small_evaluations < self.large_evaluations;
        self.small_runs += u64::from(small);
        let doubled = 2f64.powi((number - self.small_runs) as i32);
        let stream = Stream::new(seed, Purpose::Restart, 0, number);
        let (shrunk, grown) = if small {
            (0.01f64.powf(stream.uniform(0)), doubled.powf(stream.uniform(1).powi(2)))
        } else {
            (1.0, doubled)
        };
        let members = (self.members as f64 * grown).floor().min(MOST);
        let half = 0.5 * self.large_evaluations as f64 / members;
        self.run = Run {
            number,
            shrunk,
            limit: if small { half.min(self.limit) } else { self.limit },
            small,
            ..Run::only(match self.pairs {
                true => (members as usize).next_multiple_of(2),
                false => members as usize,
            })
        };
        true
    }

    pub fn table(&self) -> Batch {
        let mut table = Batch::new();
        let run = &self.run;
        let counts = [
            ("number", "number of the search, from 0", run.number),
            ("members", "its members", run.members as u64),
            ("generations", "its generations so far", run.generations),
            ("evaluations", "its evaluations so far", run.evaluations),
            ("small", "whether it is of few members", run.small.into()),
            ("small_runs", "searches of few members after the first", self.small_runs),
            (
                "small_evaluations",
                "evaluations of searches of few members that have ended",
                self.small_evaluations,
            ),
            (
                "large_evaluations",
                "evaluations of the others that have ended",
                self.large_evaluations,
            ),
            (
                "stop",
                "criterion by which the last search ended that did, 0 for none",
                Stop::code(self.stop),
            ),
            ("ended", "whether no search follows", self.ended.into()),
        ];
        for (name, meaning, value) in counts {
            table.push(name, 1, "", meaning, vec![value]);
        }
        table.push("shrunk", 1, "", "factor of the initial step size", vec![run.shrunk]);
        table.push("limit", 1, "", "generations that it may take", vec![run.limit]);
        table
    }

    /// # Errors
    /// A table that is none of these.
    pub fn load(&mut self, state: &State) -> Result<()> {
        let table = state.table("restarts")?;
        let missing = |name: &str| Error::failed(format!("the checkpoint's table of restarts has no {name}"));
        let count = |name: &str| table.get::<u64>(name)?.first().copied().ok_or_else(|| missing(name));
        let number = |name: &str| table.get::<f64>(name)?.first().copied().ok_or_else(|| missing(name));
        self.run = Run {
            number: count("number")?,
            members: count("members")? as usize,
            shrunk: number("shrunk")?,
            generations: count("generations")?,
            limit: number("limit")?,
            small: count("small")? != 0,
            evaluations: count("evaluations")?,
        };
        self.small_runs = count("small_runs")?;
        self.small_evaluations = count("small_evaluations")?;
        self.large_evaluations = count("large_evaluations")?;
        self.stop = Stop::of_code(count("stop")?);
        self.ended = count("ended")? != 0;
        Ok(())
    }
}
