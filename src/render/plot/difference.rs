//! Two archives of the same cells, cell by cell.

use super::colour::Colours;
use super::map::{Layer, Map, Paint, Panel};
use super::tiles::Tiles;
use crate::analysis::view::View;

/// Colours of what one of the two alone has: neither is on the scale.
const FIRST: &str = "#4d4d4d";
const SECOND: &str = "#f0e442";
/// Of what neither has: darker than the middle of the scale.
const NEITHER: &str = "#b4b9bf";

/// The values of the second view minus those of the first, on two of their axes; in colours of their own where only one of them has an elite. Both have the same cells.
pub fn difference(
    [title, subtitle]: [String; 2],
    [first, second]: [&View; 2],
    [name_first, name_second]: [&str; 2],
    axes: [usize; 2],
    reach: Option<f64>,
) -> Map {
    let [a, b] = [first, second].map(|view| Tiles::of(view, axes));
    let parts = |choose: fn(Option<f64>, Option<f64>) -> Option<f64>| {
        let mut tiles = a.clone();
        let values: Vec<Option<f64>> = a.values().iter().zip(b.values()).map(|(a, b)| choose(*a, *b)).collect();
        tiles.values_mut().copy_from_slice(&values);
        tiles
    };
    let both = parts(|a, b| Some(b? - a?));
    let reach = reach.unwrap_or_else(|| {
        let finite = both.values().iter().flatten().filter(|x| x.is_finite());
        finite.fold(0.0, |most, x| x.abs().max(most))
    });
    let colours = Colours::Diverging {
        reach,
        name: format!("difference in {}", first.name),
    };
    let only = |tiles: Tiles, colour: &'static str| Layer {
        tiles,
        paint: Paint::Plain(colour),
    };
    let layers = vec![
        only(
            parts(|a, b| if a.is_none() && b.is_none() { Some(0.0) } else { None }),
            NEITHER,
        ),
        only(parts(|a, b| if b.is_none() { a } else { None }), FIRST),
        only(parts(|a, b| if a.is_none() { b } else { None }), SECOND),
        Layer {
            tiles: both,
            paint: Paint::By(colours.clone()),
        },
    ];
    Map {
        title,
        subtitle,
        axes: axes.map(|axis| first.spec.axes[axis].clone()),
        panels: vec![Panel {
            title: String::new(),
            layers,
            lines: Vec::new(),
        }],
        bar: Some(colours),
        legend: vec![
            (format!("only {name_first}"), FIRST.into()),
            (format!("only {name_second}"), SECOND.into()),
            ("neither".into(), NEITHER.into()),
        ],
    }
}

#[cfg(test)]
mod tests {
    use illume_core::{Axis, Cells};

    use super::*;
    use crate::analysis::view::tests::view;

    #[test]
    fn cells_of_both_show_the_difference_and_those_of_one_its_colour() {
        let axes = || vec![Axis::new("x", "", 0.0, 1.0), Axis::new("y", "", 0.0, 1.0)];
        // Cells 0 and 1 of the first with 1 and 2; cells 0 and 3 of the second with 1 and 2, then 11 and 2.
        let first = view(Cells::Grid { shape: vec![2, 2] }, axes(), &[0.1, 0.1, 0.1, 0.9]);
        let mut second = view(Cells::Grid { shape: vec![2, 2] }, axes(), &[0.1, 0.1, 0.9, 0.9]);
        second.values[0] = 11.0;
        let map = difference(
            ["t", "s"].map(String::from),
            [&first, &second],
            ["a", "b"],
            [0, 1],
            None,
        );
        let values: Vec<Vec<Option<f64>>> = map.panels[0].layers.iter().map(|l| l.tiles.values().to_vec()).collect();
        // Rows are along y, columns along x.
        assert_eq!(values[0], [None, Some(0.0), None, None]);
        assert_eq!(values[1], [None, None, Some(2.0), None]);
        assert_eq!(values[2], [None, None, None, Some(2.0)]);
        assert_eq!(values[3], [Some(10.0), None, None, None]);
        assert!(matches!(map.bar, Some(Colours::Diverging { reach: 10.0, .. })));
        let svg = map.drawing(None).svg(None);
        assert!(svg.contains("only a") && svg.contains(FIRST) && svg.contains(SECOND));
        // Equal archives differ by nothing, and that can be drawn, too.
        let same = difference(["t", "s"].map(String::from), [&first, &first], ["a", "b"], [0, 1], None);
        assert!(!same.drawing(Some(390.0)).svg(None).contains("NaN"));
    }
}
