//! Archives over one axis: a column over the cells of that axis, or dots where there are none.

use std::fmt::Write as _;

use illume_core::Cells;

use super::axes::{FOOT, Frame, MARGIN, RIGHT, Scale, fitting, left_of, named_axis};
use super::colour::{Colours, ends};
use super::legend::Legend;
use super::map::legend;
use super::page::{Drawing, Head, head_width};
use crate::analysis::view::View;

const SIZE: [f64; 2] = [620.0, 300.0];
/// Height of a strip among several.
const LOW: f64 = 150.0;
/// Above a strip that has a name, and below one that another follows.
const NAMED: f64 = 26.0;
const BETWEEN: f64 = 16.0;

/// A strip for each view, one below another, on shared axes. Heights are values of the column; of a column of categories heights are fitness, and colours
/// the categories.
pub fn strips(
    [title, subtitle]: [&str; 2],
    views: &[(String, &View)],
    colours: &Colours,
    range: Option<[f64; 2]>,
    width: Option<f64>,
) -> Drawing {
    let Some((_, first)) = views.first() else {
        return Drawing::empty();
    };
    let axis = &first.spec.axes[0];
    let categories = !first.categories.is_empty();
    let height_of = |view: &View, row: usize| {
        if categories {
            view.fitness[row]
        } else {
            view.values[row]
        }
    };
    let all = views
        .iter()
        .flat_map(|(_, view)| (0..view.len()).map(|row| height_of(view, row)));
    let y = match range {
        Some([low, high]) if !categories => Scale::plain(low, high),
        _ => Scale::of_column("", ends(all), false),
    };
    let y_ticks = y.labelled(&y.ticks(if views.len() > 1 { 3 } else { 6 }));
    let y_name = if categories { "fitness" } else { &first.name };
    let y_name = super::named(y_name, y.unit.1);
    let left = left_of(&y_ticks, &y_name).max(MARGIN[0]);
    let width = width.unwrap_or_else(|| (left + SIZE[0] + RIGHT).max(head_width(title, subtitle) / 2.0).ceil());
    let head = Head::new(title, subtitle, width, left);
    let values = views.iter().flat_map(|(_, view)| &view.values);
    let keys = if categories {
        legend(colours, values.copied())
    } else {
        Vec::new()
    };
    let names = Legend::new(keys.iter().map(|(name, _)| name.clone()).collect(), width, head.left);
    let mut svg = String::new();
    head.draw(&mut svg);
    names.draw_boxes(&mut svg, head.bottom() + 12.0, &keys);
    let x = Scale::plain(axis.lower, axis.upper);
    let n = views.len();
    let size = [width - left - RIGHT, if n > 1 { LOW } else { SIZE[1] }];
    let mut top = head.bottom() + names.height() + 12.0;
    for (i, (name, view)) in views.iter().enumerate() {
        let last = i + 1 == n;
        top += if n > 1 { NAMED } else { 0.0 };
        let frame = Frame {
            corner: [left, top],
            size,
            x_ticks: if last { fitting(&x, size[0]) } else { Vec::new() },
            x_name: if last { named_axis(axis) } else { String::new() },
            y_ticks: y_ticks.clone(),
            y_name: y_name.clone(),
            title: if n > 1 { name.clone() } else { String::new() },
            foot: FOOT,
            grid: true,
        };
        frame.draw(&mut svg);
        let level = |row: usize| {
            if categories {
                colours.level(view.values[row])
            } else {
                Some(0)
            }
        };
        let paint = |level: usize| {
            if categories {
                colours.paint(level)
            } else {
                "#0072b2".into()
            }
        };
        let shown = (0..view.len()).filter_map(|row| {
            let height = height_of(view, row);
            height
                .is_finite()
                .then(|| (row, height.clamp(y.low, y.high), level(row)))
        });
        let mut marks = vec![[String::new(), String::new()]; colours.levels().max(1) + 1];
        let unknown = marks.len() - 1;
        let spans = spans(view);
        for (row, height, level) in shown {
            let [line, fill] = &mut marks[level.unwrap_or(unknown)];
            match spans.get(row) {
                Some(span) => {
                    let [x0, py] = frame.place([&x, &y], [span[0], height]);
                    let [x1, bottom] = frame.place([&x, &y], [span[1], y.low]);
                    let _ = write!(line, "M{x0:.2} {py:.2}H{x1:.2}");
                    let _ = write!(fill, "M{x0:.2} {py:.2}H{x1:.2}V{bottom:.2}H{x0:.2}z");
                }
                None => {
                    let [px, py] = frame.place([&x, &y], [view.descriptor[row].clamp(axis.lower, axis.upper), height]);
                    let _ = write!(fill, "M{:.2} {py:.2}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0z", px - 3.0);
                }
            }
        }
        let opacity = if spans.is_empty() { 0.7 } else { 0.2 };
        for (i, [line, fill]) in marks.iter().enumerate().filter(|(_, [_, fill])| !fill.is_empty()) {
            let colour = if i == unknown {
                super::colour::UNKNOWN.into()
            } else {
                paint(i)
            };
            let _ = writeln!(svg, "<path fill=\"{colour}\" fill-opacity=\"{opacity}\" d=\"{fill}\"/>");
            if !line.is_empty() {
                let _ = writeln!(
                    svg,
                    "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" d=\"{line}\"/>"
                );
            }
        }
        if view.is_empty() {
            let _ = writeln!(
                svg,
                "<text x=\"{:.2}\" y=\"{:.2}\" text-anchor=\"middle\" fill=\"#555\">the archive is empty</text>",
                left + size[0] / 2.0,
                top + size[1] / 2.0
            );
        }
        top += size[1] + if last { FOOT } else { BETWEEN };
    }
    Drawing {
        size: [width, (top + 4.0).ceil()],
        body: svg,
    }
}

/// From where to where the cell of each elite reaches on its axis; empty without cells.
fn spans(view: &View) -> Vec<[f64; 2]> {
    let axis = &view.spec.axes[0];
    let of_cell: Vec<[f64; 2]> = match &view.spec.cells {
        Cells::Grid { shape } => {
            let edge = |i: usize| axis.lower + (axis.upper - axis.lower) * i as f64 / shape[0] as f64;
            (0..shape[0]).map(|i| [edge(i), edge(i + 1)]).collect()
        }
        Cells::Cvt { centroids } => {
            let mut order: Vec<usize> = (0..centroids.len()).collect();
            order.sort_by(|a, b| centroids[*a].total_cmp(&centroids[*b]));
            let mut spans = vec![[axis.lower, axis.upper]; centroids.len()];
            for pair in order.windows(2) {
                let middle = (centroids[pair[0]] + centroids[pair[1]]) / 2.0;
                spans[pair[0]][1] = middle;
                spans[pair[1]][0] = middle;
            }
            spans
        }
        Cells::None => return Vec::new(),
    };
    view.cells.iter().map(|cell| of_cell[*cell]).collect()
}

#[cfg(test)]
mod tests {
    use illume_core::Axis;

    use super::*;
    use crate::analysis::view::tests::view;

    #[test]
    fn cells_on_one_axis_are_the_stretches_nearest_to_their_centers() {
        let axes = || vec![Axis::new("x", "m", 0.0, 10.0)];
        let grid = view(Cells::Grid { shape: vec![4] }, axes(), &[1.0, 9.0]);
        assert_eq!(spans(&grid), [[0.0, 2.5], [7.5, 10.0]]);
        let mut cvt = view(
            Cells::Cvt {
                centroids: vec![8.0, 1.0, 4.0],
            },
            axes(),
            &[8.5, 1.5, 4.5],
        );
        assert_eq!(spans(&cvt), [[6.0, 10.0], [0.0, 2.5], [2.5, 6.0]]);
        cvt.spec.cells = Cells::None;
        assert!(spans(&cvt).is_empty());
    }

    #[test]
    fn a_strip_has_a_mark_for_each_elite_and_shows_the_column() {
        let axes = vec![Axis::new("x", "m", 0.0, 10.0)];
        let mut one = view(Cells::Grid { shape: vec![4] }, axes, &[1.0, 4.0, 9.0]);
        one.values = vec![3.0, f64::NAN, 5.0];
        one.name = "steps".into();
        let colours = Colours::of("steps", &[], one.values.iter().copied(), None);
        let svg = strips(["t", "s"], &[("a".into(), &one)], &colours, None, None).svg(None);
        let line = svg
            .split("stroke-width=\"2\" d=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert_eq!(line.matches('M').count(), 2, "{line}");
        assert!(svg.contains(">steps<") && svg.contains(">x (m)<"));
        one.categories = vec!["random".into(), "iso line".into()];
        one.values = vec![0.0, 1.0, 1.0];
        let colours = Colours::of("operator", &one.categories, std::iter::empty(), None);
        let svg = strips(["t", "s"], &[("a".into(), &one)], &colours, None, Some(390.0)).svg(None);
        assert!(svg.contains(">iso line<") && svg.contains(">fitness<"));
    }
}
