//! When a distribution cannot find anything more: the termination criteria of Hansen's tutorial (2016, appendix B.3), with its values.

use std::collections::VecDeque;
use std::fmt;

use illume_core::{Batch, Result, State, Status};

use super::fold::Fold;

/// The generations that a history holds at most; longer periods count as this long.
const MOST: usize = 20_000;
/// ConditionCov: the largest ratio of the covariance's eigenvalues.
pub(crate) const CONDITION: f64 = 1e14;
/// TolXUp: by how much the longest axis may have grown.
const GROWTH: f64 = 1e4;

/// A criterion, as the history's `stop` numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    TolX = 1,
    TolXUp,
    TolFun,
    EqualFunValues,
    Stagnation,
    NoEffectAxis,
    NoEffectCoord,
    ConditionCov,
    OneGenome,
    MaxIter,
}

/// What each says of a distribution. The tutorial has all but the last two.
const STOPS: [(Stop, &str); 10] = [
    (Stop::TolX, "its standard deviations are below tol_x of the first"),
    (Stop::TolXUp, "its longest axis has become 10,000 times as long"),
    (Stop::TolFun, "fitness has stayed within tol_fun"),
    (Stop::EqualFunValues, "the best fitness has stayed the same"),
    (Stop::Stagnation, "best and median fitness have not become better"),
    (
        Stop::NoEffectAxis,
        "a tenth of its standard deviation along an axis does not change its mean",
    ),
    (
        Stop::NoEffectCoord,
        "a fifth of a gene's standard deviation does not change its mean",
    ),
    (Stop::ConditionCov, "its covariance has a condition above 1e14"),
    (Stop::OneGenome, "its members are one genome in single precision"),
    (Stop::MaxIter, "it has had its generations"),
];

impl Stop {
    /// Its number, 0 for none.
    pub fn code(stop: Option<Stop>) -> u64 {
        stop.map_or(0, |stop| stop as u64)
    }

    pub fn of_code(code: u64) -> Option<Stop> {
        STOPS.iter().map(|(stop, _)| *stop).find(|stop| *stop as u64 == code)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self:?})", STOPS[*self as usize - 1].1)
    }
}

/// What a distribution's genes say for themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Genes {
    /// A fifth of a standard deviation does not change one of the means.
    fixed: bool,
    /// It changes none of the genes of the mean in single precision.
    one: bool,
    /// All standard deviations are below the tolerance.
    pub small: bool,
}

impl Genes {
    /// Of means and standard deviations, both before they are folded.
    pub fn of(genes: impl Iterator<Item = (f64, f64)>, fold: Option<&Fold>, tol_x: f64) -> Genes {
        let gene = |u: f64| fold.map_or(u, |fold| fold.gene(u)) as f32;
        let mut found = Genes {
            fixed: false,
            one: true,
            small: true,
        };
        for (mean, sd) in genes {
            found.fixed |= mean == mean + 0.2 * sd;
            found.small &= sd < tol_x;
            if found.one {
                let at = gene(mean);
                found.one = gene(mean - 0.2 * sd) == at && gene(mean + 0.2 * sd) == at;
            }
        }
        found
    }

    /// Of both together.
    pub fn and(self, other: Genes) -> Genes {
        Genes {
            fixed: self.fixed || other.fixed,
            one: self.one && other.one,
            small: self.small && other.small,
        }
    }

    /// The same beside discrete genes, which go on when these have come to rest.
    pub fn among_others(self) -> Genes {
        Genes {
            one: false,
            small: false,
            ..self
        }
    }

    pub fn stop(self) -> Option<Stop> {
        match self {
            Genes { fixed: true, .. } => Some(Stop::NoEffectCoord),
            Genes { one: true, .. } => Some(Stop::OneGenome),
            _ => None,
        }
    }
}

/// The other half of TolX: whether the steps of the covariance's path are below the tolerance.
pub(crate) fn is_still(path: &[f64], sigma: f64, tol_x: f64) -> bool {
    path.iter().all(|p| (sigma * p).abs() < tol_x)
}

/// TolXUp, of the longest axis and the first step size.
pub(crate) fn has_diverged(longest: f64, first: f64) -> bool {
    longest > GROWTH * first
}

/// Generations by which periods are longer for so many genes and members. Where some genes are discrete, the margin shows a better value of one of them only every
/// 2 n generations in the mean (each member has it with probability 1 / (2 n members)): seven times that miss it once in a thousand.
pub(crate) fn longer(dim: usize, members: usize, discrete: bool) -> usize {
    let by_members = (30.0 * dim as f64 / members as f64).ceil() as usize;
    by_members + if discrete { 14 * dim } else { 0 }
}

/// Fitness since a distribution began: the best and the median of each generation.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Progress {
    pub generations: u64,
    best: VecDeque<f64>,
    median: VecDeque<f64>,
    /// Of the last generation.
    lowest: f64,
}

impl Progress {
    /// Adds a generation, `order` best first. A member that failed is worse than any other.
    pub fn push(&mut self, status: &[u8], fitness: &[f64], order: &[usize]) {
        let ranked = |rank: usize| match status[order[rank]] == Status::Ok as u8 {
            true => fitness[order[rank]],
            false => f64::NEG_INFINITY,
        };
        let members = order.len();
        let median = 0.5 * ranked((members - 1) / 2) + 0.5 * ranked(members / 2);
        for (history, value) in [(&mut self.best, ranked(0)), (&mut self.median, median)] {
            if history.len() == MOST {
                history.pop_front();
            }
            history.push_back(value);
        }
        self.lowest = ranked(members - 1);
        self.generations += 1;
    }

    /// The criterion that fitness meets after a generation; [`longer`] says by how much periods are longer than those of few genes.
    pub fn stop(&self, longer: usize, tol_fun: f64) -> Option<Stop> {
        let period = (10 + longer).min(MOST);
        if self.best.len() >= period {
            let newest = self.best.range(self.best.len() - period..);
            let (low, high) = newest.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), f| {
                (low.min(*f), high.max(*f))
            });
            if low == high {
                return Some(Stop::EqualFunValues);
            }
            if high - low.min(self.lowest) < tol_fun {
                return Some(Stop::TolFun);
            }
        }
        let period = (self.generations as usize / 5).clamp((120 + longer).min(MOST), MOST);
        // Now and then: the medians of a long period take as long as a generation of few genes.
        let due = self.generations.is_multiple_of(1 + period as u64 / 64) && self.best.len() >= period;
        let stagnates = |history: &VecDeque<f64>| {
            let (first, share) = (history.len() - period, 3 * period / 10);
            median(history.range(history.len() - share..)) <= median(history.range(first..first + share))
        };
        (due && stagnates(&self.best) && stagnates(&self.median)).then_some(Stop::Stagnation)
    }

    pub fn table(&self) -> Batch {
        let mut table = Batch::new();
        let columns = [
            ("best", "highest fitness of each generation", &self.best),
            ("median", "median fitness of each generation", &self.median),
        ];
        for (name, meaning, values) in columns {
            table.push(name, 1, "", meaning, values.iter().copied().collect::<Vec<f64>>());
        }
        table
    }

    /// Of a distribution of so many generations; an empty table is not kept.
    ///
    /// # Errors
    /// A table without its columns.
    pub fn of(state: &State, generations: u64) -> Result<Progress> {
        let read = |name| -> Result<VecDeque<f64>> {
            match state.table("progress") {
                Ok(table) => Ok(table.get::<f64>(name)?.iter().copied().collect()),
                Err(_) => Ok(VecDeque::new()),
            }
        };
        Ok(Progress {
            generations,
            best: read("best")?,
            median: read("median")?,
            lowest: f64::NEG_INFINITY,
        })
    }
}

fn median<'a>(values: impl Iterator<Item = &'a f64>) -> f64 {
    let mut values: Vec<f64> = values.copied().collect();
    let half = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    match even {
        true => 0.5 * *middle + 0.5 * below.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        false => *middle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first stop of a distribution of ten genes and ten members with these best fitnesses, the others being `below` them.
    fn stop_of(best: impl Iterator<Item = f64>, below: f64) -> Option<(u64, Stop)> {
        let order: Vec<usize> = (0..10).collect();
        let mut progress = Progress::default();
        for best in best {
            let fitness: Vec<f64> = order.iter().map(|i| best - below * *i as f64).collect();
            progress.push(&[0; 10], &fitness, &order);
            if let Some(stop) = progress.stop(longer(10, 10, false), 1e-12) {
                return Some((progress.generations, stop));
            }
        }
        None
    }

    #[test]
    fn criteria_of_fitness_are_met_after_the_tutorials_generations() {
        // 10 + ceil(30 n / lambda) generations, and 120 + 30 n / lambda.
        assert_eq!(stop_of((0..).map(|_| 3.0), 1.0), Some((40, Stop::EqualFunValues)));
        let tiny = |g: u64| 1e-13 * (g % 3) as f64;
        assert_eq!(stop_of((0..).map(tiny), 1e-14), Some((40, Stop::TolFun)));
        let wave = |g: u64| (g % 7) as f64;
        assert_eq!(stop_of((0..).map(wave), 1.0), Some((150, Stop::Stagnation)));
        let rises = |g: u64| g as f64 + 10.0 * wave(g);
        assert_eq!(stop_of((0..50_000).map(rises), 1.0), None);
        // Better for a long time, then no longer: the last fifth of all generations says so.
        let ends = |g: u64| g.min(10_000) as f64 + wave(g);
        let (generations, stop) = stop_of((0..50_000).map(ends), 1.0).unwrap();
        assert!(
            stop == Stop::Stagnation && (11_000..12_500).contains(&generations),
            "{generations}"
        );
    }

    #[test]
    fn a_median_alone_that_rises_is_progress() {
        let order: Vec<usize> = (0..10).collect();
        let mut progress = Progress::default();
        for g in 0..2000 {
            let fitness: Vec<f64> = (0..10)
                .map(|i| if i == 0 { 1e6 + f64::from(g % 5) } else { f64::from(g) })
                .collect();
            progress.push(&[0; 10], &fitness, &order);
            assert_eq!(progress.stop(longer(10, 10, false), 1e-12), None, "{g}");
        }
    }

    #[test]
    fn generations_that_fail_altogether_are_equal() {
        let order: Vec<usize> = (0..10).collect();
        let mut progress = Progress::default();
        for _ in 0..40 {
            assert_eq!(progress.stop(longer(10, 10, false), 1e-12), None);
            progress.push(&[2; 10], &[0.0; 10], &order);
        }
        assert_eq!(progress.stop(longer(10, 10, false), 1e-12), Some(Stop::EqualFunValues));
    }

    #[test]
    fn genes_end_a_law_where_a_step_of_it_is_nothing() {
        let of = |genes: &[(f64, f64)]| Genes::of(genes.iter().copied(), None, 1e-12);
        assert_eq!(of(&[(1.0, 0.1), (2.0, 0.1)]).stop(), None);
        assert_eq!(of(&[(1.0, 0.1), (2.0, 1e-16)]).stop(), Some(Stop::NoEffectCoord));
        // Distinct numbers, and equal ones in single precision: all of them, or the distribution still searches.
        assert_eq!(of(&[(1.0, 1e-9), (2.0, 1e-9)]).stop(), Some(Stop::OneGenome));
        assert_eq!(of(&[(1.0, 1e-9), (2.0, 1e-3)]).stop(), None);
        assert!(of(&[(0.0, 1e-13), (0.0, 1e-14)]).small && !of(&[(0.0, 1e-13), (0.0, 1.0)]).small);
        // Where a fold is flat, steps that would be seen elsewhere are not.
        let fold = Fold::new(Some([0.0, 1.0]));
        let near = |u: f64, fold: Option<&Fold>| Genes::of([(u, 1e-5)].into_iter(), fold, 0.0).stop();
        assert_eq!(near(1.05, fold.as_ref()), Some(Stop::OneGenome));
        assert_eq!(near(1.05, None), None);
        assert_eq!(near(0.5, fold.as_ref()), None);
    }

    #[test]
    fn every_criterion_has_its_number_and_its_words() {
        for (i, (stop, words)) in STOPS.iter().enumerate() {
            assert_eq!(
                (Stop::code(Some(*stop)), Stop::of_code(i as u64 + 1)),
                (i as u64 + 1, Some(*stop))
            );
            assert!(stop.to_string().starts_with(words) && stop.to_string().contains(&format!("({stop:?})")));
        }
        assert_eq!((Stop::code(None), Stop::of_code(0), Stop::of_code(99)), (0, None, None));
    }
}
