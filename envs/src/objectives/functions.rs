//! The formulas, as costs.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

/// A function of several costs.
pub(super) trait Costs: Send + Sync {
    /// The costs at `x`, `[m]`.
    fn costs(&self, x: &[f64], costs: &mut [f64]);

    /// A number that no cost exceeds.
    fn most(&self, dim: usize) -> f64;
}

/// The least second cost of ZDT3's front, and the least first cost of ZDT6's: the lowest points of their formulas on [0, 1].
pub(super) const ZDT3_LOWEST: f64 = -0.773_369_012_326_640_5;
pub(super) const ZDT6_LOWEST: f64 = 0.280_775_318_815_369_7;
/// The highest value of f (1 + sin(3 pi f)) on [0, 1], by which the last cost of DTLZ7 falls.
pub(super) const DTLZ7_STEEPEST: f64 = 1.692_995_634_498_422;
/// Where the genes of the Rastrigin functions lie.
pub(super) const RASTRIGIN_BOX: [f32; 2] = [-2.0, 4.0];

/// ZDT1, 2, 3, 4 or 6. Genes of ZDT4 but the first are mapped from [0, 1] to [-5, 5].
#[derive(Debug, Clone, Copy)]
pub(super) struct Zdt(pub u8);

impl Zdt {
    pub fn usual_dim(self) -> usize {
        if matches!(self.0, 4 | 6) { 10 } else { 30 }
    }

    /// How far the rest of the genes is from the front: 1 on it.
    fn distance(self, rest: &[f64]) -> f64 {
        let n = rest.len() as f64;
        let mean = |sum: f64| sum / n;
        match self.0 {
            4 => {
                let term = |x: &f64| {
                    let x = 10.0 * x - 5.0;
                    x * x - 10.0 * (2.0 * TAU * x).cos()
                };
                1.0 + 10.0 * n + rest.iter().map(term).sum::<f64>()
            }
            6 => 1.0 + 9.0 * mean(rest.iter().sum()).powf(0.25),
            _ => 1.0 + 9.0 * mean(rest.iter().sum()),
        }
    }
}

impl Costs for Zdt {
    fn costs(&self, x: &[f64], costs: &mut [f64]) {
        let first = match self.0 {
            6 => 1.0 - (-4.0 * x[0]).exp() * (3.0 * TAU * x[0]).sin().powi(6),
            _ => x[0],
        };
        let g = self.distance(&x[1..]);
        let share = first / g;
        let second = match self.0 {
            2 | 6 => 1.0 - share * share,
            3 => 1.0 - share.sqrt() - share * (10.0 * PI * first).sin(),
            _ => 1.0 - share.sqrt(),
        };
        costs.copy_from_slice(&[first, g * second]);
    }

    fn most(&self, dim: usize) -> f64 {
        match self.0 {
            4 => 1.0 + 45.0 * (dim - 1) as f64,
            _ => 10.0,
        }
    }
}

/// DTLZ1 to 7 with `m` costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dtlz {
    pub number: u8,
    pub m: usize,
}

/// The power of DTLZ4, which draws genomes to the front's edges.
const ALPHA: i32 = 100;

impl Dtlz {
    pub fn usual_dim(self) -> usize {
        let distance = match self.number {
            1 => 5,
            7 => 20,
            _ => 10,
        };
        self.m - 1 + distance
    }

    /// How far the rest of the genes is from the front: 0 on it, of DTLZ7 1.
    fn distance(self, rest: &[f64]) -> f64 {
        let n = rest.len() as f64;
        let apart = rest.iter().map(|x| x - 0.5);
        match self.number {
            1 | 3 => 100.0 * (n + apart.map(|d| d * d - (10.0 * TAU * d).cos()).sum::<f64>()),
            6 => rest.iter().map(|x| x.powf(0.1)).sum(),
            7 => 1.0 + 9.0 / n * rest.iter().sum::<f64>(),
            _ => apart.map(|d| d * d).sum(),
        }
    }
}

impl Costs for Dtlz {
    fn costs(&self, x: &[f64], costs: &mut [f64]) {
        let m = self.m;
        let (place, rest) = x.split_at(m - 1);
        let g = self.distance(rest);
        if self.number == 7 {
            costs[..m - 1].copy_from_slice(place);
            let fall = |f: &f64| f / (1.0 + g) * (1.0 + (3.0 * PI * f).sin());
            costs[m - 1] = (1.0 + g) * (m as f64 - place.iter().map(fall).sum::<f64>());
            return;
        }
        let scale = if self.number == 1 { 0.5 * (1.0 + g) } else { 1.0 + g };
        // What a gene of the place multiplies the first costs by, and the cost with which it ends.
        let factors = |(i, x): (usize, &f64)| match self.number {
            1 => (*x, 1.0 - x),
            number => {
                let share = match number {
                    4 => x.powi(ALPHA),
                    5 | 6 if i > 0 => (1.0 + 2.0 * g * x) / (2.0 * (1.0 + g)),
                    _ => *x,
                };
                ((FRAC_PI_2 * share).cos(), (FRAC_PI_2 * share).sin())
            }
        };
        let mut product = scale;
        for (i, (on, end)) in place.iter().enumerate().map(factors).enumerate() {
            costs[m - 1 - i] = product * end;
            product *= on;
        }
        costs[0] = product;
    }

    fn most(&self, dim: usize) -> f64 {
        let rest = (dim + 1 - self.m) as f64;
        match self.number {
            1 => 0.5 * (1.0 + 225.0 * rest),
            3 => 1.0 + 225.0 * rest,
            6 => 1.0 + rest,
            7 => 11.0 * self.m as f64,
            _ => 1.0 + 0.25 * rest,
        }
    }
}

/// Two Rastrigin functions, the first with its optimum at 0, the second at `lag` in each gene.
#[derive(Debug, Clone, Copy)]
pub(super) struct RastriginPair {
    pub lag: f64,
}

/// What a gene adds so far from the optimum.
fn rastrigin(d: f64) -> f64 {
    d * d + 10.0 * (1.0 - (TAU * d).cos())
}

impl RastriginPair {
    /// What either is worth at the optimum of the other.
    pub fn at_the_other(self, dim: usize) -> f64 {
        dim as f64 * rastrigin(self.lag)
    }
}

impl Costs for RastriginPair {
    fn costs(&self, x: &[f64], costs: &mut [f64]) {
        for (cost, at) in costs.iter_mut().zip([0.0, self.lag]) {
            *cost = x.iter().map(|x| rastrigin(x - at)).sum();
        }
    }

    fn most(&self, dim: usize) -> f64 {
        // 6 is the longest way across the box.
        dim as f64 * (36.0 + 20.0)
    }
}
