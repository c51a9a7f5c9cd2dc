//! Bands around medians over runs.

use super::bootstrap::MedianDraws;
use super::{Spread, quantile};

/// Runs from which on quartiles, or an interval of the median, say more than the lowest and the highest.
pub const ENOUGH: usize = 5;

/// What a band of five runs or more is. Of fewer it reaches from the lowest to the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// From the lower to the upper quartile: how runs differ.
    Quartiles,
    /// The 95 % percentile interval of the median by the bootstrap: how well it is known.
    Bootstrap,
}

/// A band of so many runs.
pub struct Around {
    band: Band,
    draws: Option<MedianDraws>,
}

impl Band {
    pub fn of_runs(self, runs: usize) -> Around {
        Around {
            band: self,
            draws: (self == Band::Bootstrap && runs >= ENOUGH).then(|| MedianDraws::new(runs)),
        }
    }
}

impl Around {
    /// The median of these values, one for each run, and the band's ends. NaN if one of them is NaN.
    pub fn of(&self, values: Vec<f64>) -> (f64, [f64; 2]) {
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        let spread = Spread::of(sorted.clone());
        let band = match (self.band, &self.draws) {
            _ if sorted.len() < ENOUGH => [spread.low, spread.high],
            (Band::Bootstrap, Some(draws)) if spread.median.is_finite() => draws.interval(&sorted),
            _ => spread.quartiles,
        };
        (spread.median, band)
    }
}

/// How bands of groups of these sizes are called, after 'median over runs'.
pub fn spoken(band: Band, sizes: &[usize]) -> String {
    let few = sizes.iter().any(|n| (2..ENOUGH).contains(n));
    let many = sizes.iter().any(|n| *n >= ENOUGH);
    let name = match band {
        Band::Quartiles => "from the lower to the upper quartile",
        Band::Bootstrap => "over the 95 % bootstrap interval of the median",
    };
    match (few, many) {
        (false, false) if sizes.len() == 1 => "one run".into(),
        (false, false) => "one run of each".into(),
        (true, false) => "median over runs; the band reaches from the lowest to the highest run".into(),
        (false, true) => format!("median over runs; the band reaches {name}"),
        (true, true) => {
            format!("median over runs; bands reach {name}, of fewer than five runs from the lowest to the highest")
        }
    }
}

/// Half of the values, interpolated as everywhere.
pub(super) fn median(sorted: &[f64]) -> f64 {
    quantile(sorted, 0.5)
}

#[cfg(test)]
mod tests {
    use super::super::bootstrap;
    use super::*;

    #[test]
    fn a_band_reaches_over_all_of_few_runs_and_over_quartiles_of_many() {
        let of = |band: Band, values: &[f64]| band.of_runs(values.len()).of(values.to_vec());
        assert_eq!(of(Band::Quartiles, &[4.0, 1.0, 2.0]), (2.0, [1.0, 4.0]));
        assert_eq!(of(Band::Bootstrap, &[4.0, 1.0, 2.0]), (2.0, [1.0, 4.0]));
        assert_eq!(of(Band::Quartiles, &[5.0, 1.0, 4.0, 2.0, 3.0]), (3.0, [2.0, 4.0]));
        assert!(of(Band::Quartiles, &[1.0, f64::NAN]).0.is_nan());
        assert!(of(Band::Bootstrap, &[1.0, f64::NAN, 1.0, 1.0, 1.0]).1[0].is_nan());
    }

    #[test]
    fn the_bootstrap_band_is_the_interval_that_summaries_have_of_medians() {
        for n in [5, 6, 10] {
            let values: Vec<f64> = (0..n).map(|i| f64::from(i * i) - 3.0 * f64::from(i)).collect();
            let own = bootstrap::interval(std::slice::from_ref(&values), |drawn| {
                let mut drawn = drawn[0].clone();
                drawn.sort_by(f64::total_cmp);
                median(&drawn)
            });
            let (_, band) = Band::Bootstrap.of_runs(values.len()).of(values);
            assert_eq!(band, own);
        }
    }

    #[test]
    fn bands_are_named_by_what_they_are() {
        assert_eq!(spoken(Band::Quartiles, &[1]), "one run");
        assert_eq!(spoken(Band::Bootstrap, &[1, 1]), "one run of each");
        assert!(spoken(Band::Bootstrap, &[4]).contains("lowest to the highest"));
        assert!(spoken(Band::Bootstrap, &[5]).contains("bootstrap"));
        let both = spoken(Band::Quartiles, &[5, 3]);
        assert!(both.contains("quartile") && both.contains("lowest"));
    }
}
