//! How a container is sized and whom it takes.

use illume_core::{ArchiveSpec, Error, Result, Rule};
use illume_numerics::covariance::Symmetric;
use illume_numerics::eigen::decompose;
use rayon::prelude::*;

/// How the distance that members keep is led.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sizing {
    /// By their number (container size control).
    Size {
        gain: f64,
    },
    /// By the extent of what there is (volume adaptive threshold).
    Volume {
        factor: f64,
    },
    Fixed,
}

/// Who takes the place of a member that is too near.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Adding {
    /// Who is better on balance in fitness and in novelty among so many neighbours.
    Duel { neighbours: usize },
    /// Who is strictly fitter.
    Fitness,
}

/// What a container goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rules {
    pub sizing: Sizing,
    pub target: usize,
    /// The first distance, 0 for what the first candidates say.
    pub first: f64,
    pub refill_every: u64,
    pub adding: Adding,
    pub epsilon: f64,
    /// Numbers of a learned descriptor, 0 where distances are between those of the task.
    pub codes: usize,
}

impl Rules {
    /// As a spec holds them.
    pub fn rules(&self) -> Vec<(String, Rule)> {
        let mut rules = vec![
            ("codes", Rule::Count(self.codes as u64)),
            ("epsilon", Rule::Number(self.epsilon)),
            ("first_distance", Rule::Number(self.first)),
            ("refill_every", Rule::Count(self.refill_every)),
            ("target", Rule::Count(self.target as u64)),
        ];
        match self.adding {
            Adding::Duel { neighbours } => rules.push(("neighbours", Rule::Count(neighbours as u64))),
            Adding::Fitness => {}
        }
        match self.sizing {
            Sizing::Size { gain } => rules.push(("gain", Rule::Number(gain))),
            Sizing::Volume { factor } => rules.push(("vat_factor", Rule::Number(factor))),
            Sizing::Fixed => {}
        }
        rules.sort_by_key(|(name, _)| *name);
        rules.into_iter().map(|(name, rule)| (name.into(), rule)).collect()
    }

    /// Those of a spec.
    ///
    /// # Errors
    /// A rule that is missing or makes no sense.
    pub fn of(spec: &ArchiveSpec) -> Result<Rules> {
        let wrong = |name: &str| Error::input(format!("an archive of kind container has no usable rule '{name}'"));
        let count = |name: &str| match spec.rule(name) {
            Some(Rule::Count(n)) => Ok(*n),
            _ => Err(wrong(name)),
        };
        let number = |name: &str, most: f64| match spec.rule(name) {
            Some(Rule::Number(x)) if (0.0..=most).contains(x) => Ok(*x),
            _ => Err(wrong(name)),
        };
        let target = usize::try_from(count("target")?).ok().filter(|n| *n > 0);
        Ok(Rules {
            sizing: match (spec.rule("gain"), spec.rule("vat_factor")) {
                (Some(_), _) => Sizing::Size {
                    gain: number("gain", 1.0)?,
                },
                (None, Some(_)) => Sizing::Volume {
                    factor: number("vat_factor", f64::MAX)?,
                },
                (None, None) => Sizing::Fixed,
            },
            target: target.ok_or_else(|| wrong("target"))?,
            first: number("first_distance", f64::MAX)?,
            refill_every: count("refill_every")?,
            adding: match spec.rule("neighbours") {
                None => Adding::Fitness,
                Some(Rule::Count(n)) if *n > 0 => Adding::Duel {
                    neighbours: *n as usize,
                },
                Some(_) => return Err(wrong("neighbours")),
            },
            epsilon: number("epsilon", 1.0)?,
            codes: count("codes")? as usize,
        })
    }

    /// The distance after a generation with so many members (`dimensionality_reduction.hpp:364-366` of the authors).
    pub fn step(&self, distance: f64, members: usize) -> f64 {
        match self.sizing {
            Sizing::Size { gain } => distance * (1.0 - gain * (1.0 - members as f64 / self.target as f64)),
            _ => distance,
        }
    }

    /// The distance where the longest one is this (the same file, 398-407).
    pub fn by_extent(&self, longest: f64, factor: f64, dim: usize) -> f64 {
        longest / (factor * self.target as f64).powf(1.0 / dim as f64)
    }
}

/// What becomes of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Added,
    /// It takes the place of this member.
    Instead(usize),
    Refused,
}

/// Where members are, and what they are worth.
#[derive(Debug)]
pub(super) struct Members {
    dim: usize,
    /// `[members, dim]`
    places: Vec<f64>,
    pub fitness: Vec<f64>,
    /// Squared distances from where it was last looked from.
    squares: Vec<f64>,
}

impl Members {
    pub fn new(dim: usize) -> Members {
        Members {
            dim,
            places: Vec::new(),
            fitness: Vec::new(),
            squares: Vec::new(),
        }
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    pub fn len(&self) -> usize {
        self.fitness.len()
    }

    pub fn place(&self, member: usize) -> &[f64] {
        &self.places[member * self.dim..(member + 1) * self.dim]
    }

    pub fn push(&mut self, place: &[f64], fitness: f64) {
        self.places.extend_from_slice(place);
        self.fitness.push(fitness);
    }

    pub fn set(&mut self, member: usize, place: &[f64], fitness: f64) {
        self.places[member * self.dim..(member + 1) * self.dim].copy_from_slice(place);
        self.fitness[member] = fitness;
    }

    /// What becomes of a candidate where members keep this distance. Of members at equal distances the first is the nearest.
    pub fn judge(&mut self, rules: &Rules, distance: f64, place: &[f64], fitness: f64) -> Fate {
        self.look_from(place);
        let [nearest, second] = self.two_nearest();
        let Some(member) = nearest else {
            return Fate::Added;
        };
        let length = |member: usize| self.squares[member].sqrt();
        if length(member) > distance {
            return Fate::Added;
        }
        match (rules.adding, second) {
            (Adding::Fitness, second) => {
                let crowded = second.is_some_and(|second| length(second) <= distance);
                match !crowded && fitness > self.fitness[member] {
                    true => Fate::Instead(member),
                    false => Fate::Refused,
                }
            }
            (Adding::Duel { .. }, None) => Fate::Refused,
            (Adding::Duel { .. }, Some(second)) if length(second) < (1.0 - rules.epsilon) * distance => Fate::Refused,
            (Adding::Duel { neighbours }, Some(_)) => {
                let own = self.novelty(neighbours);
                let there = self.place(member).to_vec();
                self.look_from(&there);
                let other = self.novelty(neighbours);
                let worth = [fitness, own];
                match wins(worth, [self.fitness[member], other], rules.epsilon) {
                    true => Fate::Instead(member),
                    false => Fate::Refused,
                }
            }
        }
    }

    fn look_from(&mut self, place: &[f64]) {
        self.squares.clear();
        let places = self.places.chunks_exact(self.dim);
        self.squares
            .extend(places.map(|other| place.iter().zip(other).fold(0.0, |sum, (a, b)| sum + (a - b) * (a - b))));
    }

    fn two_nearest(&self) -> [Option<usize>; 2] {
        let mut found: [Option<usize>; 2] = [None; 2];
        let mut at = [f64::INFINITY; 2];
        for (member, &square) in self.squares.iter().enumerate() {
            if found[0].is_none() || square < at[0] {
                (found, at) = ([Some(member), found[0]], [square, at[0]]);
            } else if found[1].is_none() || square < at[1] {
                (found[1], at[1]) = (Some(member), square);
            }
        }
        found
    }

    /// Mean distance to so many nearest, the very nearest apart, which is the one that is looked from or the one that may be replaced.
    fn novelty(&self, neighbours: usize) -> f64 {
        let mut nearest: Vec<f64> = Vec::with_capacity(neighbours + 2);
        for &square in &self.squares {
            if nearest.len() > neighbours && square >= nearest[neighbours] {
                continue;
            }
            let at = nearest.partition_point(|x| *x <= square);
            nearest.insert(at, square);
            nearest.truncate(neighbours + 1);
        }
        let others = &nearest[1..];
        others.iter().map(|square| square.sqrt()).sum::<f64>() / others.len() as f64
    }
}

/// Whether a candidate of this (fitness, novelty) takes the place of a member (`general_distance_archive.hpp:77-80` of the authors).
fn wins([fitness, novelty]: [f64; 2], [others_fitness, others_novelty]: [f64; 2], epsilon: f64) -> bool {
    let sign = |x: f64| f64::from(i8::from(x > 0.0) - i8::from(x < 0.0));
    let not_much_worse = |own: f64, other: f64| own >= (1.0 - sign(other) * epsilon) * other;
    not_much_worse(fitness, others_fitness)
        && not_much_worse(novelty, others_novelty)
        && (fitness - others_fitness) * others_novelty.abs() > -(novelty - others_novelty) * others_fitness.abs()
}

/// The longest distance between two members.
pub(super) fn longest_distance(members: &Members) -> f64 {
    let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    let from = |i: usize| {
        let squares = (0..i).map(|j| square(members.place(i), members.place(j)));
        squares.fold(0.0, f64::max)
    };
    let longest = (0..members.len()).into_par_iter().with_min_len(16).map(from);
    longest.reduce(|| 0.0, f64::max).sqrt()
}

/// Half the distance at which `target` points would fill the volume of these `[points, dim]` evenly, which is that of the box along their principal axes
/// (`dimensionality_reduction.hpp:416-432` of the authors). Directions in which they do not differ are left out.
pub(super) fn spread(points: &[f64], dim: usize, target: usize) -> f64 {
    let count = (points.len() / dim) as f64;
    let rows = || points.chunks_exact(dim);
    let mean: Vec<f64> = (0..dim)
        .map(|d| rows().map(|row| row[d]).sum::<f64>() / count)
        .collect();
    let product = |i: usize, j: usize| rows().map(|row| (row[i] - mean[i]) * (row[j] - mean[j])).sum::<f64>();
    let lower: Vec<f64> = (0..dim)
        .flat_map(|i| (0..=i).map(move |j| (i, j)))
        .map(|(i, j)| product(i, j))
        .collect();
    let Some(axes) = decompose(&Symmetric::of_lower(dim, &lower)) else {
        return 0.0;
    };
    let extent = |axis: usize| {
        let along = |row: &[f64]| (0..dim).map(|d| row[d] * axes.vectors[(d, axis)]).sum::<f64>();
        let [low, high] = rows()
            .map(along)
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| {
                [low.min(x), high.max(x)]
            });
        high - low
    };
    let extents: Vec<f64> = (0..dim).map(extent).collect();
    let longest = extents.iter().copied().fold(0.0, f64::max);
    let real: Vec<f64> = extents.into_iter().filter(|x| *x > 1e-9 * longest).collect();
    if real.is_empty() {
        return 0.0;
    }
    // A product of roots: of many axes the volume itself may be out of range.
    let root = |x: f64| x.powf(1.0 / real.len() as f64);
    0.5 * real.iter().map(|x| root(*x)).product::<f64>() / root(target as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(sizing: Sizing, adding: Adding) -> Rules {
        Rules {
            sizing,
            target: 10_000,
            first: 0.0,
            refill_every: 10,
            adding,
            epsilon: 0.1,
            codes: 0,
        }
    }

    #[test]
    fn a_tenth_too_few_members_shorten_the_distance_as_the_authors_rule_does() {
        // 1 - 5e-6 * (10,000 - 9,000).
        let csc = rules(Sizing::Size { gain: 0.05 }, Adding::Fitness);
        assert!((csc.step(2.0, 9_000) - 2.0 * 0.995).abs() < 1e-15);
        assert!((csc.step(2.0, 11_000) - 2.0 * 1.005).abs() < 1e-15);
        assert_eq!(csc.step(2.0, 10_000), 2.0);
        // K = 25 in 2 dimensions.
        let vat = rules(Sizing::Volume { factor: 25.0 }, Adding::Fitness);
        assert!((vat.by_extent(100.0, 25.0, 2) - 0.2).abs() < 1e-12);
    }

    #[test]
    fn the_first_distance_is_half_of_an_even_filling_of_the_turned_box() {
        // A box of 4 by 1, turned by 30 degrees; a third axis on which nothing differs.
        let (sine, cosine) = (0.5, 0.75f64.sqrt());
        let corners = [[0.0, 0.0], [4.0, 0.0], [0.0, 1.0], [4.0, 1.0], [2.0, 0.5]];
        let turned: Vec<f64> = corners
            .iter()
            .flat_map(|[x, y]| [cosine * x - sine * y, sine * x + cosine * y, 7.0])
            .collect();
        let expected = 0.5 * (4.0f64 / 100.0).sqrt();
        assert!((spread(&turned, 3, 100) - expected).abs() < 1e-9);
        assert_eq!(spread(&[1.0, 2.0, 1.0, 2.0], 2, 100), 0.0);
    }

    fn members(places: &[[f64; 2]], fitness: &[f64]) -> Members {
        let mut members = Members::new(2);
        places
            .iter()
            .zip(fitness)
            .for_each(|(place, f)| members.push(place, *f));
        members
    }

    #[test]
    fn one_that_is_far_from_all_is_added_and_one_between_two_is_refused() {
        for adding in [Adding::Fitness, Adding::Duel { neighbours: 3 }] {
            let rules = rules(Sizing::Fixed, adding);
            let mut m = members(&[[0.0, 0.0], [1.2, 0.0]], &[1.0, 1.0]);
            assert_eq!(m.judge(&rules, 1.0, &[0.0, 1.1], -9.0), Fate::Added);
            assert_eq!(
                m.judge(&rules, 1.0, &[0.6, 0.0], 9.0),
                Fate::Refused,
                "two are too near"
            );
            assert_eq!(Members::new(2).judge(&rules, 1.0, &[0.0, 0.0], 0.0), Fate::Added);
        }
    }

    #[test]
    fn by_fitness_the_nearest_makes_way_for_a_strictly_fitter_one() {
        let rules = rules(Sizing::Fixed, Adding::Fitness);
        let mut m = members(&[[0.0, 0.0], [5.0, 0.0]], &[1.0, 1.0]);
        assert_eq!(m.judge(&rules, 1.0, &[0.5, 0.0], 1.0), Fate::Refused);
        assert_eq!(m.judge(&rules, 1.0, &[0.5, 0.0], 1.1), Fate::Instead(0));
        let mut alone = members(&[[0.0, 0.0]], &[1.0]);
        assert_eq!(alone.judge(&rules, 1.0, &[0.5, 0.0], 1.1), Fate::Instead(0));
    }

    #[test]
    fn in_a_duel_both_fitness_and_novelty_count() {
        let rules = rules(Sizing::Fixed, Adding::Duel { neighbours: 15 });
        let mut m = members(&[[0.0, 0.0], [5.0, 0.0]], &[1.0, 1.0]);
        // Nearer to the other: novelty 4.5 in place of 5 is just not too little, and fitness must make up for it.
        assert_eq!(m.judge(&rules, 1.0, &[0.5, 0.0], 1.0), Fate::Refused);
        assert_eq!(m.judge(&rules, 1.0, &[0.5, 0.0], 1.2), Fate::Instead(0));
        assert_eq!(m.judge(&rules, 1.0, &[0.6, 0.0], 9.0), Fate::Refused, "much less novel");
        // Farther away: a little less fit is made up for.
        assert_eq!(m.judge(&rules, 1.0, &[-0.6, 0.0], 0.95), Fate::Instead(0));
        assert_eq!(m.judge(&rules, 1.0, &[-0.6, 0.0], 0.89), Fate::Refused, "much less fit");
        // Fitness below zero: 10 % worse is farther below.
        let mut m = members(&[[0.0, 0.0], [5.0, 0.0]], &[-1.0, -1.0]);
        assert_eq!(m.judge(&rules, 1.0, &[-0.6, 0.0], -1.05), Fate::Instead(0));
        assert_eq!(m.judge(&rules, 1.0, &[-0.6, 0.0], -1.11), Fate::Refused);
        let mut alone = members(&[[0.0, 0.0]], &[1.0]);
        assert_eq!(
            alone.judge(&rules, 1.0, &[0.5, 0.0], 9.0),
            Fate::Refused,
            "with one resident"
        );
    }
}
