//! The numbers of CMA-ES that follow from the dimension n and the population: Hansen, 'The CMA evolution strategy: a tutorial', table 1.

/// Weights and rates; the tutorial's symbols are next to the names.
#[derive(Debug, Clone, PartialEq)]
pub struct Constants {
    /// w: weight of each member, best first; `[population]`, the positive ones sum to 1.
    pub weights: Vec<f64>,
    /// mu: members with a positive weight.
    pub parents: usize,
    /// mu_eff: how many members of equal weight would average as well.
    pub effective: f64,
    /// c_sigma: rate of the step size's path.
    pub sigma_rate: f64,
    /// d_sigma.
    pub damping: f64,
    /// c_c: rate of the covariance's path.
    pub path_rate: f64,
    /// c_1: rate of the update by the path.
    pub rank_one: f64,
    /// c_mu: rate of the update by the members.
    pub rank_mu: f64,
    /// chi_n: expected length of a standard normal vector.
    pub length: f64,
    /// Whether the update is that of pyribs (0.12.0, `ribs/emitters/opt/_cma_es.py`), not the tutorial's.
    pub pyribs: bool,
}

/// The tutorial's default population for n genes: `4 + floor(3 ln n)`.
pub fn default_population(dim: usize) -> usize {
    4 + (3.0 * (dim as f64).ln()) as usize
}

impl Constants {
    /// Of the full covariance. Without `active` the worse half has weight 0.
    pub fn full(dim: usize, population: usize, active: bool) -> Constants {
        Constants::new(dim, population, active, 1.0)
    }

    /// Of a diagonal covariance, which has n numbers to learn and not n^2 / 2: both rates are (n + 2) / 3 times as high (Ros and Hansen 2008).
    pub fn separable(dim: usize, population: usize) -> Constants {
        Constants::new(dim, population, false, (dim as f64 + 2.0) / 3.0)
    }

    /// Of the full covariance or a diagonal one, for the best `parents` of the members (the 'filter' of pyribs' emitters, whose weights are those of
    /// twice as many members).
    pub fn of_parents(&self, dim: usize, parents: usize, diagonal: bool) -> Constants {
        let mut constants = match diagonal {
            true => Constants::separable(dim, 2 * parents),
            false => Constants::full(dim, 2 * parents, false),
        };
        constants.weights.resize(self.weights.len(), 0.0);
        match self.pyribs {
            true => constants.moved_as_pyribs(dim),
            false => constants,
        }
    }

    fn new(dim: usize, population: usize, active: bool, faster: f64) -> Constants {
        let n = dim as f64;
        let raw = |i: usize| ((population as f64 + 1.0) / 2.0).ln() - (i as f64 + 1.0).ln();
        let mut weights: Vec<f64> = (0..population).map(raw).collect();
        let parents = population / 2;
        let sums = |w: &[f64]| (w.iter().sum::<f64>(), w.iter().map(|w| w * w).sum::<f64>());
        let (better, worse) = (sums(&weights[..parents]), sums(&weights[parents..]));
        let effective = better.0 * better.0 / better.1;
        let effective_worse = if worse.1 > 0.0 {
            worse.0 * worse.0 / worse.1
        } else {
            0.0
        };

        let sigma_rate = (effective + 2.0) / (n + effective + 5.0);
        let damping = 1.0 + 2.0 * (((effective - 1.0) / (n + 1.0)).sqrt() - 1.0).max(0.0) + sigma_rate;
        let path_rate = (4.0 + effective / n) / (n + 4.0 + 2.0 * effective / n);
        let rank_one = (faster * 2.0 / ((n + 1.3).powi(2) + effective)).min(1.0);
        let rank_mu = faster * 2.0 * (0.25 + effective + 1.0 / effective - 2.0) / ((n + 2.0).powi(2) + effective);
        let rank_mu = rank_mu.min(1.0 - rank_one);

        let by_rates = 1.0 + rank_one / rank_mu;
        let by_worse = 1.0 + 2.0 * effective_worse / (effective + 2.0);
        let definite = (1.0 - rank_one - rank_mu) / (n * rank_mu);
        let scale = by_rates.min(by_worse).min(definite);
        for (i, w) in weights.iter_mut().enumerate() {
            *w = match i < parents {
                true => *w / better.0,
                false if active && worse.0 < 0.0 => *w * scale / -worse.0,
                false => 0.0,
            };
        }
        Constants {
            weights,
            parents,
            effective,
            sigma_rate,
            damping,
            path_rate,
            rank_one,
            rank_mu,
            length: n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
            pyribs: false,
        }
    }

    /// The same for the update of pyribs, which differs from the tutorial's in five places: c_mu (`:217-220`), the limit of the path's length (`:265-270`), the
    /// path of the covariance, which is not divided by the step size (`:272`), its rate, which is squared (`:227-232`), and the step size's exponent (`:285-287`).
    pub fn moved_as_pyribs(mut self, dim: usize) -> Constants {
        let (n, effective) = (dim as f64, self.effective);
        let rank_mu = 2.0 * (effective - 2.0 + 1.0 / effective) / ((n + 2.0).powi(2) + effective);
        self.rank_mu = rank_mu.min(1.0 - self.rank_one);
        self.pyribs = true;
        self
    }

    /// What the covariance's path counts for in its update, and its steps in units of members' steps.
    pub fn path_factors(&self, sigma: f64) -> [f64; 2] {
        match self.pyribs {
            true => [self.rank_one * self.rank_one, sigma],
            false => [self.rank_one, 1.0],
        }
    }

    /// Whether the covariance's path may move (h_sigma): not while the step size's path is much longer than by chance, after so many updates.
    pub fn path_moves(&self, dim: usize, path_length: f64, updates: u64) -> bool {
        let decay = 1.0 - (1.0 - self.sigma_rate).powf(2.0 * updates as f64);
        if self.pyribs {
            let n = dim as f64;
            return path_length * path_length / n / decay < 2.0 + 4.0 / (n + 1.0);
        }
        path_length / decay.sqrt() < (1.4 + 2.0 / (dim as f64 + 1.0)) * self.length
    }

    /// By what the step size is multiplied. No generation changes it by more than a factor of e.
    pub fn sigma_factor(&self, dim: usize, path_length: f64) -> f64 {
        let beyond = match self.pyribs {
            true => (path_length * path_length / dim as f64 - 1.0) / 2.0,
            false => path_length / self.length - 1.0,
        };
        let log = self.sigma_rate / self.damping * beyond;
        log.min(1.0).exp()
    }

    /// Generations that one decomposition of the covariance may serve.
    pub fn interval(&self, dim: usize, decompositions: f64) -> u64 {
        let generations = 1.0 / (decompositions * dim as f64 * (self.rank_one + self.rank_mu));
        match self.pyribs {
            // More than so many.
            true => generations as u64 + 1,
            false => generations.max(1.0) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// pycma 4.5.0: `CMAEvolutionStrategy(10 * [0], 1)`, attributes of `sp` and `adapt_sigma`.
    #[test]
    fn ten_genes_have_the_numbers_of_pycma() {
        let c = Constants::full(10, default_population(10), true);
        assert_eq!((c.weights.len(), c.parents), (10, 5));
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12 * b.abs(), "{a}, expected {b}");
        for (ours, theirs) in PYCMA {
            let ours = match ours {
                "mueff" => c.effective,
                "cc" => c.path_rate,
                "c1" => c.rank_one,
                "cmu" => c.rank_mu,
                "w0" => c.weights[0],
                "w9" => c.weights[9],
                other => panic!("{other}"),
            };
            near(ours, theirs);
        }
    }

    const PYCMA: [(&str, f64); 6] = [
        ("mueff", 3.1672992814107017),
        ("cc", 0.29499038303562225),
        ("c1", 0.015283824524751714),
        ("cmu", 0.02355177665041747),
        ("w0", 0.45627264690340597),
        ("w9", -0.5497499176973853),
    ];

    #[test]
    fn no_weight_can_make_the_covariance_indefinite() {
        for (n, population) in [(2, 6), (3, 200), (100, 17), (448, 96)] {
            let c = Constants::full(n, population, true);
            let worse: f64 = -c.weights[c.parents..].iter().sum::<f64>();
            // What remains of the covariance when every bad member is as long as its dimension in one direction.
            assert!(1.0 - c.rank_one - c.rank_mu - n as f64 * c.rank_mu * worse > -1e-12);
            assert!((c.weights[..c.parents].iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
}
