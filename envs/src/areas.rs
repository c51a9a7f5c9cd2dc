//! Rewards that are paid in a few places alone: discs in the descriptor's plane, 1 in the middle and 0 at the edge, as in the programs of SERENE and STAX (Paolo et al., GECCO 2021 and
//! Evolutionary Computation 32(3), 2024).

use illume_core::{Measure, Measured};

/// A disc that pays.
#[derive(Debug, Clone, Copy)]
pub struct Area {
    pub middle: [f64; 2],
    pub radius: f64,
}

/// The area that holds a place, and what it pays there: that of the first one, as in the authors' programs.
pub(crate) fn paid(areas: &[Area], [x, y]: [f64; 2]) -> Option<(usize, f64)> {
    let distance = |area: &Area| (x - area.middle[0]).hypot(y - area.middle[1]);
    let holding = areas.iter().map(|area| (area, distance(area)));
    let found = holding
        .enumerate()
        .find(|(_, (area, distance))| distance <= &area.radius);
    found.map(|(number, (area, distance))| (number, (area.radius - distance) / area.radius))
}

/// Columns of the history: how many candidates each area has paid so far.
pub(crate) fn measured(areas: &[Area]) -> Vec<Measured> {
    const NAMES: [&str; 3] = ["in_area_1", "in_area_2", "in_area_3"];
    let column = |name: &&'static str| Measured {
        name,
        unit: "",
        description: "candidates that this area has paid so far",
        kind: Measure::Sum,
        caution: None,
    };
    NAMES.iter().take(areas.len()).map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_pays_more_towards_its_middle_and_the_first_one_counts() {
        let areas = [([0.0, 0.0], 2.0), ([3.0, 0.0], 2.0)].map(|(middle, radius)| Area { middle, radius });
        assert_eq!(paid(&areas, [0.0, 0.0]), Some((0, 1.0)));
        assert_eq!(paid(&areas, [0.0, 1.0]), Some((0, 0.5)));
        assert_eq!(paid(&areas, [2.0, 0.0]), Some((0, 0.0)), "its edge belongs to it");
        assert_eq!(paid(&areas, [2.5, 0.0]), Some((1, 0.75)));
        assert_eq!(paid(&areas, [9.0, 0.0]), None);
        assert_eq!(measured(&areas).len(), 2);
    }
}
