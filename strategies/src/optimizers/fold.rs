//! Genes in a box: the distribution lives in unbounded numbers, and each is folded into the task's interval on its way to the archive.
//!
//! The fold is that of pycma's default, `BoundTransform` (cma 4.5.0, `transformations.py:184`, margins `:177`): the identity in the middle; a
//! parabola that turns one margin outside of either bound and meets the identity, with its slope, one margin inside; mirrored again and again
//! beyond. An optimum on a bound, or in a corner of any dimension, is so an ordinary one of a smooth function, which clipping makes a plateau
//! that a distribution can flee along. Members are never drawn again, so none is too seldom hit.

/// Shares of a bound's size, at least of 1, that are the margins (`transformations.py:177`).
const MARGIN: f64 = 1.0 / 20.0;
/// Share of the interval that a gene's standard deviation may reach (`maxstd_boundrange`, `options_parameters.py:85`): a wider distribution would be mirrored into
/// a uniform one, of which no order says that it is too wide.
const WIDEST: f64 = 1.0 / 3.0;

/// Maps any number into `[low, high]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fold {
    low: f64,
    high: f64,
    /// Where the mirror stands below the interval, and how wide its parabola is.
    lower: f64,
    upper: f64,
}

impl Fold {
    /// None without bounds.
    pub fn new(bounds: Option<[f32; 2]>) -> Option<Fold> {
        let [low, high] = bounds?.map(f64::from);
        let margin = |bound: f64| ((high - low) / 2.0).min(MARGIN * bound.abs().max(1.0));
        Some(Fold {
            low,
            high,
            lower: margin(low),
            upper: margin(high),
        })
    }

    /// The largest standard deviation that a gene may have.
    pub fn widest(&self) -> f64 {
        WIDEST * (self.high - self.low)
    }

    /// The gene that an unbounded number stands for.
    #[inline(always)]
    pub fn gene(&self, u: f64) -> f64 {
        let (from, to) = (self.low - self.lower, self.high + self.upper);
        let mut u = u;
        if !(from..=to).contains(&u) {
            let period = 2.0 * (to - from);
            let along = (u - from) - period * ((u - from) / period).floor();
            u = from + along.min(period - along);
        }
        let x = if u < self.low + self.lower {
            self.low + (u - from) * (u - from) / (4.0 * self.lower)
        } else if u > self.high - self.upper {
            self.high - (to - u) * (to - u) / (4.0 * self.upper)
        } else {
            u
        };
        x.max(self.low).min(self.high)
    }

    /// The number between the mirrors that stands for a gene; one outside counts as on the bound.
    pub fn unfold(&self, gene: f64) -> f64 {
        let x = gene.max(self.low).min(self.high);
        if x < self.low + self.lower {
            self.low - self.lower + 2.0 * (self.lower * (x - self.low)).sqrt()
        } else if x > self.high - self.upper {
            self.high + self.upper - 2.0 * (self.upper * (self.high - x)).sqrt()
        } else {
            x
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cma.BoundTransform([low, high]).repair(u)` of cma 4.5.0.
    const PYCMA: [([f32; 2], f64, f64); 14] = [
        ([0.0, 1.0], -7.3, 0.5999999999999991),
        ([0.0, 1.0], -0.04, 0.0005000000000000002),
        ([0.0, 1.0], 0.03, 0.032),
        ([0.0, 1.0], 0.5, 0.5),
        ([0.0, 1.0], 1.02, 0.9954999999999999),
        ([0.0, 1.0], 9.1, 0.29999999999999893),
        ([-500.0, 500.0], -7800.0, 450.0),
        ([-500.0, 500.0], -540.0, -497.75),
        ([-500.0, 500.0], 470.0, 470.0),
        ([-500.0, 500.0], 520.0, 499.75),
        ([2.0, 3.5], -8.95, 2.0999999999999988),
        ([2.0, 3.5], 2.045, 2.0525625),
        ([2.0, 3.5], 3.455, 3.430857142857143),
        ([2.0, 3.5], 3.5300000000000002, 3.469964285714286),
    ];

    #[test]
    fn folded_numbers_are_those_of_pycma() {
        for (bounds, u, gene) in PYCMA {
            let ours = Fold::new(Some(bounds)).unwrap().gene(u);
            assert!((ours - gene).abs() < 1e-12, "{bounds:?}, {u}: {ours}, pycma {gene}");
        }
    }

    #[test]
    fn every_gene_stands_in_the_box_and_comes_back_from_its_number() {
        for bounds in [[0.0, 1.0], [-500.0, 500.0], [-1e-3, 1e-3], [2.0, 2.01]] {
            let [low, high] = bounds.map(f64::from);
            let fold = Fold::new(Some(bounds)).unwrap();
            for i in -3000..=3000 {
                let u = low + (high - low) * f64::from(i) / 700.0;
                let gene = fold.gene(u);
                assert!((low..=high).contains(&gene), "{bounds:?}, {u}");
                let again = fold.gene(fold.unfold(gene));
                assert!(
                    (again - gene).abs() < 1e-12 * high.abs().max(1.0),
                    "{bounds:?}: {gene}, {again}"
                );
                // Continuous, and never steeper than the identity.
                let step = 1e-6 * (high - low);
                assert!((fold.gene(u + step) - gene).abs() <= step * (1.0 + 1e-6));
            }
            assert_eq!([fold.gene(fold.unfold(low)), fold.gene(fold.unfold(high))], [low, high]);
        }
    }

    #[test]
    fn an_interval_of_one_point_holds_that_point() {
        let fold = Fold::new(Some([0.5, 0.5])).unwrap();
        assert_eq!([-1.0, 0.5, 7.0].map(|u| fold.gene(u)), [0.5; 3]);
    }
}
