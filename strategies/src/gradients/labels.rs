//! What transitions are labelled with, and how far apart descriptors are: the two programs of DCG-MAP-Elites differ in both.

use illume_core::Axis;

/// The descriptor d' that the transitions of a policy are said to have been asked for, where it climbed the critic; those of a
/// varied policy always have their own, those of the actor what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// The one achieved, d' = d, as all offspring in the GECCO paper (`qdcg_gecco_emitter.py`, line 307, of the authors' program).
    Achieved,
    /// The parent's, at which the policy climbed (`qdcg_emitter.py`, line 361).
    Parent,
}

impl Labels {
    /// Values of the parameter `labels`.
    pub const NAMES: [&str; 2] = ["achieved", "parent"];

    /// The labels of this name.
    pub fn of(name: &str) -> Labels {
        if name == Labels::NAMES[0] {
            Labels::Achieved
        } else {
            Labels::Parent
        }
    }

    /// The length scale l that goes with them: 0.008 in the paper (table 2; line 31 of the first file), 0.1 in the later program
    /// (line 32 of the second).
    pub fn length_scale(self) -> f64 {
        match self {
            Labels::Achieved => 0.008,
            Labels::Parent => 0.1,
        }
    }

    /// For each axis, what length 1 of the program's scale is on ours, [-1, 1] between the bounds: the paper divides descriptors by
    /// their maximum (`max_bd`), the later program has our scale.
    pub fn units(self, axes: &[Axis]) -> Vec<f64> {
        let unit = |axis: &Axis| match self {
            Labels::Achieved => 2.0 * axis.lower.abs().max(axis.upper.abs()) / (axis.upper - axis.lower),
            Labels::Parent => 1.0,
        };
        axes.iter().map(unit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_scale_is_ours_where_bounds_are_symmetric_and_twice_as_long_in_zero_to_one() {
        let axes = [Axis::new("x", "m", -30.0, 30.0), Axis::new("foot", "", 0.0, 1.0)];
        assert_eq!(Labels::Achieved.units(&axes), [1.0, 2.0]);
        assert_eq!(Labels::Parent.units(&axes), [1.0, 1.0]);
    }
}
