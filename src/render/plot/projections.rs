//! Every pair of axes as a small map.

use super::axes::{FOOT, Frame, Scale, fitting, left_of, named_axis};
use super::colour::Colours;
use super::legend::Legend;
use super::map::legend;
use super::page::{Drawing, Head, head_width};
use super::tiles::{Square, Tiles};
use crate::analysis::view::View;

/// Width of all maps together where none is asked for, and the largest one of a map.
const ALL: f64 = 640.0;
const LARGEST: f64 = 280.0;
const BETWEEN: f64 = 14.0;
const AFTER: f64 = 20.0;

/// A map for each two of these axes: columns are the axes but the last, rows the axes but the first. Each tile shows the best of what lies behind it.
pub fn projections(
    [title, subtitle]: [&str; 2],
    view: &View,
    axes: &[usize],
    colours: &Colours,
    width: Option<f64>,
) -> Drawing {
    let across = axes.len().saturating_sub(1);
    if across == 0 {
        return Drawing::empty();
    }
    let scale = |axis: usize| Scale::plain(view.spec.axes[axis].lower, view.spec.axes[axis].upper);
    let name = |axis: usize| named_axis(&view.spec.axes[axis]);
    let y_ticks = |axis: usize| {
        let scale = scale(axis);
        scale.labelled(&scale.ticks(3))
    };
    let left = axes[1..]
        .iter()
        .map(|axis| left_of(&y_ticks(*axis), "y"))
        .fold(0.0, f64::max);
    let right = colours.bar_width().max(AFTER);
    let gaps = BETWEEN * (across - 1) as f64;
    let (side, width) = match width {
        Some(width) => (((width - left - right - gaps) / across as f64).max(1.0), width),
        None => {
            let side = ((ALL - gaps) / across as f64).min(LARGEST);
            let maps = left + across as f64 * side + gaps + right;
            (
                side,
                maps.max((head_width(title, subtitle) / 2.0).min(1.3 * ALL)).ceil(),
            )
        }
    };
    let head = Head::new(title, subtitle, width, left);
    let keys = legend(colours, view.values.iter().copied());
    let names = Legend::new(keys.iter().map(|(name, _)| name.clone()).collect(), width, head.left);
    let mut svg = String::new();
    head.draw(&mut svg);
    names.draw_boxes(&mut svg, head.bottom() + 12.0, &keys);
    let top = head.bottom() + names.height() + if colours.bar_width() > 0.0 { 22.0 } else { 8.0 };
    for (row, &y) in axes[1..].iter().enumerate() {
        for (column, &x) in axes[..=row].iter().enumerate() {
            let corner = [
                left + column as f64 * (side + BETWEEN),
                top + row as f64 * (side + BETWEEN),
            ];
            let square = Square {
                corner,
                side,
                axes: [&view.spec.axes[x], &view.spec.axes[y]],
            };
            square.ground(&mut svg);
            let tiles = Tiles::small(view, [x, y]);
            square.draw(
                &mut svg,
                &tiles,
                colours.levels(),
                |v| colours.level(v),
                |i| colours.paint(i),
            );
            let (first, lowest) = (column == 0, row + 1 == across);
            let frame = Frame {
                corner,
                size: [side; 2],
                x_ticks: if lowest { fitting(&scale(x), side) } else { Vec::new() },
                x_name: if lowest { clipped(&name(x), side) } else { String::new() },
                y_ticks: if first { y_ticks(y) } else { Vec::new() },
                y_name: if first { clipped(&name(y), side) } else { String::new() },
                title: String::new(),
                foot: FOOT,
                grid: false,
            };
            frame.draw(&mut svg);
        }
    }
    let whole = across as f64 * side + gaps;
    colours.draw_bar(&mut svg, [left + whole, top], whole);
    Drawing {
        size: [width, (top + whole + FOOT + 4.0).ceil()],
        body: svg,
    }
}

/// As much of an axis' name as fits beside a map.
fn clipped(name: &str, side: f64) -> String {
    super::axes::shortened(name, ((side + BETWEEN) / 7.0).max(4.0) as usize)
}

#[cfg(test)]
mod tests {
    use illume_core::{Axis, Cells};

    use super::*;
    use crate::analysis::view::tests::view;

    #[test]
    fn every_pair_of_axes_has_a_map() {
        let axes: Vec<Axis> = (0..4).map(|i| Axis::new(&format!("axis_{i}"), "", 0.0, 1.0)).collect();
        let d = [0.1, 0.2, 0.3, 0.4, 0.9, 0.8, 0.7, 0.6];
        let view = view(Cells::Grid { shape: vec![3; 4] }, axes, &d);
        let colours = Colours::of("fitness", &[], view.values.iter().copied(), None);
        for (axes, maps) in [(vec![0, 1, 2, 3], 6), (vec![3, 0], 1), (vec![2, 1, 0], 3)] {
            for width in [None, Some(390.0)] {
                let drawing = projections(["t", "s"], &view, &axes, &colours, width);
                let svg = drawing.svg(None);
                assert_eq!(svg.matches(super::super::colour::EMPTY).count(), maps);
                assert!(drawing.size[0] == width.unwrap_or(drawing.size[0]));
                for axis in axes.iter().filter(|_| width.is_none()) {
                    assert!(svg.contains(&format!(">axis {axis}<")));
                }
            }
        }
    }
}
