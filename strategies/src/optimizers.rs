//! Optimizers of evolution strategies: each draws members of a search and learns from their order. Emitters and ESSA search by them, and most are
//! strategies of their own (`search.rs`).
//!
//! To add one: a file that implements [`Optimizer`], by hand or by a [`sampled::Rule`], and a line in [`TABLE`].

pub(crate) mod ars;
pub(crate) mod cma_es;
mod fold;
pub(crate) mod gradient;
pub(crate) mod lm_ma_es;
mod margin;
mod noise;
mod openai_es;
pub(crate) mod pgpe;
pub(crate) mod restarts;
mod sampled;
pub(crate) mod search;
pub(crate) mod sep_cma_es;
pub(crate) mod snes;
pub(crate) mod stops;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_recorded;
#[cfg(test)]
mod tests_restarts;
pub(crate) mod xnes;

use std::ops::Range;

use illume_core::{Batch, Context, Error, Memory, Purpose, Result, State, Stream, TaskSpec};

use cma_es::constants::default_population;
use fold::Fold;
use restarts::Run;
use stops::Stop;

/// An optimizer that a configuration can name.
pub(crate) struct Entry {
    pub name: &'static str,
    /// Whether it can learn from the best of its members alone, however many they are (`selection = "filter"`).
    pub selects: bool,
    /// Those of a task, with the optimizer's own parameters at their defaults.
    pub build: fn(&Settings<'_>, &TaskSpec) -> Result<Optimizers>,
}

/// All optimizers.
const TABLE: &[Entry] = &[
    cma_es::OPTIMIZER,
    cma_es::CHOLESKY,
    sep_cma_es::OPTIMIZER,
    lm_ma_es::OPTIMIZER,
    snes::OPTIMIZER,
    xnes::OPTIMIZER,
    pgpe::OPTIMIZER,
    ars::OPTIMIZER,
    openai_es::OPTIMIZER,
];

/// Their names, as a configuration spells them.
pub(crate) const NAMES: &[&str] = &{
    let mut names = [""; TABLE.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = TABLE[i].name;
        i += 1;
    }
    names
};

/// What a strategy that searches by an optimizer says of it.
#[derive(Debug, Clone)]
pub(crate) struct Settings<'a> {
    pub optimizer: &'a str,
    /// Members of a generation; 0 for 4 + floor(3 ln n) with n genes. The key says what the strategy calls them.
    pub population: usize,
    pub key: &'a str,
    /// Initial step size.
    pub sigma: f64,
    /// "init" or "zeros".
    pub center: &'a str,
    /// Of `cma_es` alone: negative weights, how often it decomposes, and whether it moves as in pyribs.
    pub active: bool,
    pub decompositions: f64,
    pub pyribs: bool,
}

impl Settings<'_> {
    /// `cma_es`' default.
    pub const DECOMPOSITIONS: f64 = 2.0;
}

/// The optimizers that these settings ask for.
///
/// # Errors
/// No optimizer has this name, or settings that do not fit it or the task.
pub(crate) fn build(settings: &Settings<'_>, task: &TaskSpec) -> Result<Optimizers> {
    (entry(settings.optimizer)?.build)(settings, task)
}

/// # Errors
/// No optimizer has this name.
pub(crate) fn entry(name: &str) -> Result<&'static Entry> {
    TABLE.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let message = format!("expected one of {}, got {name:?}", NAMES.join(", "));
        Error::config("strategy", "optimizer", message)
    })
}

/// How an optimizer begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Start {
    pub sigma: f64,
    /// From zeros, not from a genome of the task's distribution.
    pub zeros: bool,
    /// Which genome of the task's distribution: the number of the restart.
    pub number: u64,
    /// How genes are kept in bounds.
    pub fold: Option<Fold>,
}

impl Start {
    /// Of a first search.
    pub fn new(sigma: f64, center: &str, task: &TaskSpec) -> Start {
        Start {
            sigma,
            zeros: center == "zeros",
            number: 0,
            fold: Fold::new(task.bounds),
        }
    }

    /// The first step size: the parameter's, if the bounds are not too close for that.
    pub fn step(&self) -> f64 {
        self.fold.map_or(self.sigma, |fold| self.sigma.min(fold.widest()))
    }

    /// The first mean, before it is folded.
    pub fn mean(&self, context: &Context<'_>) -> Vec<f64> {
        let mut genes = vec![0.0f32; context.task.genome_dim];
        // Searches that begin anew do so elsewhere.
        if self.number == 0 && context.task.given.is_some() {
            context.task.first(context.seed, 0, &mut genes);
        } else if !self.zeros {
            let stream = Stream::new(context.seed, Purpose::Init, 0, self.number);
            context.task.init.draw(&stream, &mut genes);
        }
        self.unfolded(&genes)
    }

    /// The numbers of which these genes are folded.
    pub fn unfolded(&self, genes: &[f32]) -> Vec<f64> {
        let unfold = |gene| self.fold.map_or(gene, |fold| fold.unfold(gene));
        genes.iter().copied().map(f64::from).map(unfold).collect()
    }

    /// The gene that a number stands for.
    pub fn gene(&self, u: f64) -> f32 {
        self.fold.map_or(u, |fold| fold.gene(u)) as f32
    }
}

/// What became of a generation's members.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ranking<'a> {
    /// Best first; members that failed come last.
    pub order: &'a [usize],
    /// Learn from so many of the best alone, from none at all by staying where it is; None for as many as the optimizer has by itself.
    pub parents: Option<usize>,
    /// Fitness by member, NaN for one that failed; None where candidates are ordered by something else, so that all there is is their order.
    pub fitness: Option<&'a [f64]>,
}

impl<'a> Ranking<'a> {
    /// By the order alone.
    pub fn of(order: &'a [usize]) -> Ranking<'a> {
        Ranking {
            order,
            parents: None,
            fitness: None,
        }
    }

    /// What members are worth by themselves, by member: fitness, a member that failed being worth as much as the worst that did not; centred ranks where there is no fitness.
    fn worth(&self) -> Vec<f64> {
        let Some(fitness) = self.fitness else {
            return self.centred();
        };
        let worst = fitness.iter().copied().fold(f64::NAN, f64::min);
        let of = |f: &f64| if f.is_nan() { worst } else { *f };
        // Where all failed they are all the same.
        fitness
            .iter()
            .map(of)
            .map(|f| if f.is_nan() { 0.0 } else { f })
            .collect()
    }

    /// Centred ranks in [-1/2, 1/2], by member. Members of equal fitness have the mean of their ranks, as have all that failed.
    fn centred(&self) -> Vec<f64> {
        let n = self.order.len();
        let mut ranks = vec![0.0; n];
        let same = |a: usize, b: usize| {
            let (a, b) = (self.order[a], self.order[b]);
            self.fitness
                .is_some_and(|f| f[a] == f[b] || f[a].is_nan() && f[b].is_nan())
        };
        let mut first = 0;
        while first < n {
            let end = (first + 1..n).find(|&i| !same(first, i)).unwrap_or(n);
            let position = (first + end - 1) as f64 / 2.0;
            for &member in &self.order[first..end] {
                ranks[member] = if n > 1 { 0.5 - position / (n - 1) as f64 } else { 0.0 };
            }
            first = end;
        }
        ranks
    }
}

/// Fitness by member as a [`Ranking`] has it.
pub(crate) fn fitness_or_nan(status: &[u8], fitness: &[f64]) -> Vec<f64> {
    let ok = |status: u8| status == illume_core::Status::Ok as u8;
    let values = status.iter().zip(fitness);
    values.map(|(s, f)| if ok(*s) { *f } else { f64::NAN }).collect()
}

/// Draws the members of a search and moves by what became of them. All ranks call it alike.
pub(crate) trait Optimizer: Send {
    /// Members of a generation.
    fn members(&self) -> usize;

    /// Begins where its [`Start`] says, if it has not begun yet.
    fn begin(&mut self, context: &Context<'_>);

    /// Begins anew at this genome, with the first step size.
    fn reset(&mut self, context: &Context<'_>, genes: &[f32]);

    /// Draws a generation and writes the genomes of the members `rows`, `[rows, dim]`.
    ///
    /// # Errors
    /// Communication, or a covariance that is none any more.
    fn ask(&mut self, context: &Context<'_>, rows: Range<usize>, genes: &mut [f32]) -> Result<()>;

    /// The genome of any member of the generation that was last asked for, until it is told.
    fn member(&self, context: &Context<'_>, member: usize, genes: &mut [f32]);

    /// Learns from the generation that was last asked for.
    ///
    /// # Errors
    /// Communication.
    fn tell(&mut self, context: &Context<'_>, ranking: &Ranking<'_>) -> Result<()>;

    /// Why it cannot find anything more, if it is so, by its own numbers and the tolerance of TolX: a share of the first step size. Collective.
    ///
    /// # Errors
    /// Communication.
    fn stop(&self, context: &Context<'_>, tol_x: f64) -> Result<Option<Stop>>;

    /// Whether it speaks with other ranks when it is asked, told or tested for its end.
    fn communicates(&self) -> bool {
        false
    }

    /// The genome of the mean.
    fn mean(&self, genes: &mut [f32]);

    /// The step size.
    fn sigma(&self) -> f64;

    /// Longest over shortest axis of the distribution by which the last generation was drawn, once it was told; None for one that does not know its axes.
    fn axis_ratio(&self) -> Option<f64>;

    /// What the last decomposition or exponential of a matrix took, if the last generation had one.
    fn eigen_seconds(&self) -> f64 {
        0.0
    }

    /// Collective.
    ///
    /// # Errors
    /// Communication.
    fn save(&self, context: &Context<'_>) -> Result<Vec<(String, Batch)>>;

    /// # Errors
    /// A state that is not of this optimizer.
    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()>;
}

/// Optimizers of one kind for a task.
pub(crate) struct Optimizers {
    /// Members of the first.
    pub members: usize,
    /// Members come in mirrored pairs, so that they are an even number.
    pub pairs: bool,
    /// What one holds, where that is more than a few numbers a gene: bytes, and in words.
    pub holds: Option<(f64, &'static str)>,
    start: Start,
    make: Box<dyn Fn(usize, Start) -> Box<dyn Optimizer> + Send>,
}

impl Optimizers {
    /// By a function of members and start.
    pub fn new(
        members: usize,
        start: Start,
        make: impl Fn(usize, Start) -> Box<dyn Optimizer> + Send + 'static,
    ) -> Optimizers {
        Optimizers {
            members,
            pairs: false,
            holds: None,
            start,
            make: Box::new(make),
        }
    }

    /// Claims what so many of them hold.
    ///
    /// # Errors
    /// There is not so much.
    pub fn claim(&self, memory: &Memory, key: &str, count: usize) -> Result<()> {
        let Some((bytes, what)) = self.holds else {
            return Ok(());
        };
        let of = if count == 1 { "a search" } else { "searches" };
        let what = match count {
            1 => format!("{what} of {of}"),
            _ => format!("{what} of {count} {of}"),
        };
        memory.claim("strategy", key, count as f64 * bytes, &what)
    }

    /// The optimizer of a run.
    pub fn of_run(&self, run: &Run) -> Box<dyn Optimizer> {
        let start = Start {
            sigma: self.start.sigma * run.shrunk,
            number: run.number,
            ..self.start
        };
        (self.make)(run.members, start)
    }

    /// The first optimizer.
    pub fn first(&self) -> Box<dyn Optimizer> {
        self.of_run(&Run::only(self.members))
    }
}

/// The members that a parameter means.
///
/// # Errors
/// One alone has no order.
pub(crate) fn members(parameter: usize, task: &TaskSpec) -> Result<usize> {
    match parameter {
        0 => Ok(default_population(task.genome_dim)),
        1 => {
            let message = "expected 0 (chosen by the number of genes) or at least 2, got 1";
            Err(Error::config("strategy", "population", message))
        }
        given => Ok(given),
    }
}

/// The members that a parameter means, of this key, where they come in mirrored pairs.
///
/// # Errors
/// An odd number.
fn members_in_pairs(parameter: usize, key: &str, task: &TaskSpec) -> Result<usize> {
    if !parameter.is_multiple_of(2) {
        let message = format!("expected an even number (mirrored pairs), got {parameter}");
        return Err(Error::config("strategy", key, message));
    }
    members(parameter, task).map(|members| members.next_multiple_of(2))
}

/// A step size after its change, kept among the numbers whose squares are numbers.
pub(crate) fn step_size(sigma: f64, factor: f64) -> f64 {
    (sigma * factor).clamp(1e-150, 1e150)
}

/// A column of the state with `width` numbers a gene.
///
/// # Errors
/// It is missing or has another number.
pub(crate) fn vector(table: &Batch, name: &str, dim: usize, width: usize) -> Result<Vec<f64>> {
    let values = table.get::<f64>(name)?;
    if values.len() != dim * width {
        return Err(Error::failed(format!(
            "the checkpoint's {name} has {} numbers, the task's genomes have {dim}",
            values.len() / width
        )));
    }
    Ok(values.to_vec())
}
