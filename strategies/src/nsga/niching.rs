//! Survival of NSGA-III: each individual belongs to the direction that it is nearest to, and those directions are filled first to which the fewest belong.
//!
//! Objectives are seen from the best of each so far, in units of the intercepts of the hyperplane through the extreme points so far, as Blank and Deb have it in pymoo (`pymoo/algorithms/moo/nsga3.py`):
//! a nadir is never beyond the worst value so far, and where the hyperplane makes no sense it is the worst of the front. Inside of this file objectives are minimized.

use illume_core::{Batch, Error, Result, Stream};
use illume_numerics::fronts::{Points, directions};

/// What the other objectives weigh more than an axis' own, where the point nearest to the axis is sought.
const ASIDE: f64 = 1e6;
/// Distance from the best below which an objective counts as reached there.
const REACHED: f64 = 1e-3;
/// The least extent of an objective.
const LEAST: f64 = 1e-6;

#[derive(Debug, Clone)]
pub(crate) struct Niching {
    /// `[directions, m]`, of length 1.
    directions: Vec<f64>,
    /// The best and the worst of each objective so far; `[m]`.
    ideal: Vec<f64>,
    worst: Vec<f64>,
    /// For each objective the point so far that is nearest to its axis, `[m, m]`; empty before the first generation.
    extremes: Vec<f64>,
}

impl Niching {
    /// Directions of `layers`, (divisions, scale): the weights of a layer are drawn to equal ones by its scale.
    pub fn new(objectives: usize, layers: &[(usize, f64)]) -> Niching {
        let equal = 1.0 / objectives as f64;
        let layer = |&(divisions, scale): &(usize, f64)| {
            let all = directions(objectives, divisions).into_iter();
            all.map(move |w| w * scale + equal * (1.0 - scale))
        };
        let mut directions: Vec<f64> = layers.iter().flat_map(layer).collect();
        for direction in directions.chunks_exact_mut(objectives) {
            let length = direction.iter().map(|w| w * w).sum::<f64>().sqrt();
            direction.iter_mut().for_each(|w| *w /= length);
        }
        Niching {
            directions,
            ideal: vec![f64::INFINITY; objectives],
            worst: vec![f64::NEG_INFINITY; objectives],
            extremes: Vec::new(),
        }
    }

    /// How many directions there are.
    pub fn directions(&self) -> usize {
        self.directions.len() / self.ideal.len()
    }

    /// Numbers of `capacity` survivors (of all, where they are no more), by front; `points` are maximized.
    pub fn survivors(
        &mut self,
        points: &Points<'_>,
        fronts: &[Vec<usize>],
        capacity: usize,
        draws: &Stream,
    ) -> Vec<usize> {
        let costs: Vec<f64> = points.iter().flatten().map(|x| -x).collect();
        let costs = Points::new(&costs, points.dim());
        let nadir = self.nadir(&costs, fronts);
        let mut numbers: Vec<usize> = Vec::new();
        for front in fronts {
            let room = capacity - numbers.len();
            if front.len() <= room {
                numbers.extend(front);
                continue;
            }
            if front.iter().any(|i| !whole(costs.point(*i))) {
                // Evaluations that failed lie nowhere.
                numbers.extend(&front[..room]);
                break;
            }
            let place = |i: &usize| self.place(costs.point(*i), &nadir);
            let mut counts = vec![0; self.directions()];
            numbers.iter().for_each(|i| counts[place(i).0] += 1);
            let niches: Vec<(usize, f64)> = front.iter().map(place).collect();
            numbers.extend(fill(&niches, &mut counts, room, draws).into_iter().map(|i| front[i]));
            break;
        }
        numbers
    }

    /// Learns the best, the worst and the extreme points, and says where the nadir is thought to be.
    fn nadir(&mut self, costs: &Points<'_>, fronts: &[Vec<usize>]) -> Vec<f64> {
        let m = costs.dim();
        let all: Vec<f64> = costs.iter().filter(|point| whole(point)).flatten().copied().collect();
        if all.is_empty() {
            return vec![1.0; m];
        }
        let front = costs.of(&fronts[0]);
        let (all, front) = (Points::new(&all, m), Points::new(&front, m));
        // The least of each value is `nadir` and the largest `ideal`, as these are costs.
        let (least, largest) = (all.nadir(), all.ideal());
        self.ideal.iter_mut().zip(least).for_each(|(a, b)| *a = a.min(b));
        self.worst.iter_mut().zip(&largest).for_each(|(a, b)| *a = a.max(*b));
        let candidates: Vec<f64> = self.extremes.iter().chain(front.iter().flatten()).copied().collect();
        let candidates = Points::new(&candidates, m);
        let along = |axis: usize| {
            let aside = |point: &[f64]| {
                let values = point.iter().zip(&self.ideal).enumerate().map(|(o, (x, best))| {
                    let distance = if x - best < REACHED { 0.0 } else { x - best };
                    distance * if o == axis { 1.0 } else { ASIDE }
                });
                values.fold(f64::NEG_INFINITY, f64::max)
            };
            let nearest = candidates.iter().min_by(|a, b| aside(a).total_cmp(&aside(b)));
            nearest.unwrap_or(&self.ideal).to_vec()
        };
        self.extremes = (0..m).flat_map(along).collect();
        let mut nadir = match intercepts(&self.extremes, &self.ideal) {
            Some(found) => {
                let seen = found.iter().zip(&self.ideal).map(|(x, best)| x + best);
                seen.zip(&self.worst).map(|(x, worst)| x.min(*worst)).collect()
            }
            None => front.ideal(),
        };
        for (o, nadir) in nadir.iter_mut().enumerate() {
            if *nadir - self.ideal[o] <= LEAST {
                *nadir = largest[o];
            }
        }
        nadir
    }

    /// The direction that a point is nearest to, and how far it is from it.
    fn place(&self, point: &[f64], nadir: &[f64]) -> (usize, f64) {
        let scaled = |o: usize| {
            let extent = nadir[o] - self.ideal[o];
            (point[o] - self.ideal[o]) / if extent == 0.0 { 1e-12 } else { extent }
        };
        let scaled: Vec<f64> = (0..point.len()).map(scaled).collect();
        let squared: f64 = scaled.iter().map(|x| x * x).sum();
        let mut nearest = (0, f64::INFINITY);
        for (niche, direction) in self.directions.chunks_exact(point.len()).enumerate() {
            let along: f64 = scaled.iter().zip(direction).map(|(x, w)| x * w).sum();
            let distance = squared - along * along;
            if distance < nearest.1 {
                nearest = (niche, distance);
            }
        }
        (nearest.0, nearest.1.max(0.0).sqrt())
    }

    pub fn save(&self) -> Batch {
        let m = self.ideal.len();
        let mut table = Batch::new();
        let meaning = "the least of each objective so far, minimized";
        table.push("ideal", m, "", meaning, self.ideal.clone());
        table.push("worst", m, "", "the largest of each so far", self.worst.clone());
        let extremes = match self.extremes.is_empty() {
            true => vec![f64::NAN; m * m],
            false => self.extremes.clone(),
        };
        let meaning = "the point so far that is nearest to each objective's axis, one behind the other";
        table.push("extremes", m * m, "", meaning, extremes);
        table
    }

    pub fn load(&mut self, table: &Batch) -> Result<()> {
        let m = self.ideal.len();
        let of = |name: &str, width: usize| -> Result<Vec<f64>> {
            let found = table.get::<f64>(name)?;
            match found.len() == width {
                true => Ok(found.to_vec()),
                false => Err(Error::failed(format!(
                    "the checkpoint's '{name}' is of other objectives"
                ))),
            }
        };
        (self.ideal, self.worst) = (of("ideal", m)?, of("worst", m)?);
        self.extremes = of("extremes", m * m)?;
        if !whole(&self.extremes) {
            self.extremes.clear();
        }
        Ok(())
    }
}

fn whole(values: &[f64]) -> bool {
    !values.iter().any(|x| x.is_nan())
}

/// Where the hyperplane through `extremes` (`[m, m]`) meets the axes, seen from `ideal`; none where there is no such plane, or it does not lie before all.
fn intercepts(extremes: &[f64], ideal: &[f64]) -> Option<Vec<f64>> {
    let m = ideal.len();
    let seen = extremes.iter().zip(ideal.iter().cycle());
    let seen: Vec<f64> = seen.map(|(x, best)| x - best).collect();
    let plane = solve(seen.clone(), m)?;
    let fits = |row: &[f64]| (row.iter().zip(&plane).map(|(a, x)| a * x).sum::<f64>() - 1.0).abs() <= 1e-5;
    let found: Vec<f64> = plane.iter().map(|x| 1.0 / x).collect();
    let sensible = seen.chunks_exact(m).all(fits) && found.iter().all(|x| *x > LEAST && x.is_finite());
    sensible.then_some(found)
}

/// The x of `matrix x = 1`, by elimination with the largest pivots.
fn solve(mut matrix: Vec<f64>, m: usize) -> Option<Vec<f64>> {
    let mut right = vec![1.0; m];
    for column in 0..m {
        let size = |row: usize| matrix[row * m + column].abs();
        let pivot = (column..m).max_by(|a, b| size(*a).total_cmp(&size(*b)))?;
        if size(pivot).is_nan() || size(pivot) == 0.0 {
            return None;
        }
        (0..m).for_each(|k| matrix.swap(column * m + k, pivot * m + k));
        right.swap(column, pivot);
        for row in column + 1..m {
            let factor = matrix[row * m + column] / matrix[column * m + column];
            for k in column..m {
                matrix[row * m + k] -= factor * matrix[column * m + k];
            }
            right[row] -= factor * right[column];
        }
    }
    for row in (0..m).rev() {
        let known: f64 = (row + 1..m).map(|k| matrix[row * m + k] * right[k]).sum();
        right[row] = (right[row] - known) / matrix[row * m + row];
    }
    Some(right)
}

/// Chooses `room` of those whose niches (direction, distance) are given, where `counts` belong to each direction already: again and again for all directions to which the fewest belong, in an
/// order that is drawn. Of a direction without anybody the nearest comes, else one that is drawn.
fn fill(niches: &[(usize, f64)], counts: &mut [usize], room: usize, draws: &Stream) -> Vec<usize> {
    // Who is left of each direction, in an order that is drawn.
    let mut left: Vec<Vec<usize>> = vec![Vec::new(); counts.len()];
    (0..niches.len()).for_each(|i| left[niches[i].0].push(i));
    left.iter_mut()
        .for_each(|members| members.sort_by_key(|&i| draws.word64(i as u64)));
    let mut chosen = Vec::with_capacity(room);
    for round in 0u64.. {
        let open = (0..counts.len()).filter(|niche| !left[*niche].is_empty());
        let least = open.clone().map(|niche| counts[niche]).min();
        let Some(least) = least.filter(|_| chosen.len() < room) else {
            break;
        };
        let mut next: Vec<usize> = open.filter(|niche| counts[*niche] == least).collect();
        let first = niches.len() as u64 + round * counts.len() as u64;
        next.sort_by_key(|&niche| draws.word64(first + niche as u64));
        for niche in next.into_iter().take(room - chosen.len()) {
            let members = &mut left[niche];
            let nearer = |a: &usize, b: &usize| niches[members[*a]].1.total_cmp(&niches[members[*b]].1);
            let at = match counts[niche] {
                0 => (0..members.len()).min_by(nearer).unwrap_or(0),
                _ => members.len() - 1,
            };
            chosen.push(members.remove(at));
            counts[niche] += 1;
        }
    }
    chosen
}

#[cfg(test)]
#[path = "niching_tests.rs"]
mod tests;
