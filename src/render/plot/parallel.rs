//! Parallel axes: a line for each elite across all axes of the descriptor.

use std::fmt::Write as _;

use super::axes::{named_axis, shortened, text_width};
use super::colour::{Colours, UNKNOWN};
use super::legend::Legend;
use super::map::legend;
use super::page::{Drawing, Head, TEXT, head_width};
use crate::analysis::view::View;
use crate::engine::output::significant;

const WIDE: f64 = 640.0;
const HIGH: f64 = 340.0;
const LEFT: f64 = 50.0;
const AFTER: f64 = 44.0;
/// Letters of an axis' name that stands upright.
const LETTERS: usize = 30;
/// Where many lines lie on one another, each is drawn so opaque that about so many cover the ground.
const COVER: f64 = 150.0;

/// A line for each of these elites, in this order, so that the last lie on top. Each axis runs from its lower bound below to its upper one above.
pub fn parallel(
    [title, subtitle]: [&str; 2],
    view: &View,
    axes: &[usize],
    rows: &[usize],
    colours: &Colours,
    width: Option<f64>,
) -> Drawing {
    let gap_count = axes.len().saturating_sub(1).max(1) as f64;
    let right = if colours.bar_width() > 0.0 {
        AFTER / 2.0 + colours.bar_width()
    } else {
        AFTER
    };
    let width = width.unwrap_or_else(|| {
        let own = LEFT + WIDE.max(48.0 * gap_count) + right;
        own.max((head_width(title, subtitle) / 2.0).min(1.3 * WIDE)).ceil()
    });
    let inner = (width - LEFT - right).max(1.0);
    let head = Head::new(title, subtitle, width, LEFT);
    let keys = legend(colours, rows.iter().map(|row| view.values[*row]));
    let keys_drawn = Legend::new(keys.iter().map(|(name, _)| name.clone()).collect(), width, head.left);
    let mut svg = String::new();
    head.draw(&mut svg);
    keys_drawn.draw_boxes(&mut svg, head.bottom() + 12.0, &keys);
    // The upper bounds stand above the axes.
    let top = head.bottom() + keys_drawn.height() + 30.0;
    let bottom = top + HIGH;
    let x = |i: usize| LEFT + inner * i as f64 / gap_count;

    // Neighbours of one colour are one path.
    let opacity = (COVER / rows.len().max(1) as f64).clamp(0.25, 0.9);
    let mut lines: Vec<(Option<usize>, String)> = Vec::new();
    for &row in rows {
        let level = colours.level(view.values[row]);
        if lines.last().is_none_or(|(known, _)| *known != level) {
            lines.push((level, String::new()));
        }
        let path = &mut lines.last_mut().expect("there is one").1;
        for (i, &axis) in axes.iter().enumerate() {
            let about = &view.spec.axes[axis];
            let value = view.descriptor[row * view.spec.axes.len() + axis];
            let share = about.share(value).clamp(0.0, 1.0);
            let _ = write!(
                path,
                "{}{:.1} {:.1}",
                if i == 0 { 'M' } else { 'L' },
                x(i),
                bottom - share * HIGH
            );
        }
    }
    for (level, path) in &lines {
        let colour = level.map_or_else(|| UNKNOWN.into(), |level| colours.paint(level));
        let _ = writeln!(
            svg,
            "<path fill=\"none\" stroke=\"{colour}\" stroke-opacity=\"{opacity:.2}\" stroke-width=\"1.1\" d=\"{path}\"/>"
        );
    }
    if rows.is_empty() {
        let _ = writeln!(
            svg,
            "<text x=\"{:.2}\" y=\"{:.2}\" text-anchor=\"middle\" fill=\"#555\">the archive is empty</text>",
            LEFT + inner / 2.0,
            top + HIGH / 2.0
        );
    }

    let names: Vec<String> = axes.iter().map(|axis| named_axis(&view.spec.axes[*axis])).collect();
    let bounds: Vec<[String; 2]> = axes
        .iter()
        .map(|axis| [view.spec.axes[*axis].lower, view.spec.axes[*axis].upper].map(significant))
        .collect();
    let room = inner / gap_count;
    let widest =
        |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text_width(text, TEXT)).fold(0.0, f64::max);
    let upright = widest(&mut names.iter()) > room - 8.0;
    let bounds_fit = widest(&mut bounds.iter().flatten()) <= room - 6.0;
    let mut foot: f64 = 44.0;
    for (i, name) in names.iter().enumerate() {
        let px = x(i);
        let _ = writeln!(
            svg,
            "<path stroke=\"#444\" stroke-width=\"1.2\" d=\"M{px:.2} {top:.2}V{bottom:.2}\"/>"
        );
        if bounds_fit {
            for (bound, y) in bounds[i].iter().zip([bottom + 17.0, top - 8.0]) {
                let _ = writeln!(
                    svg,
                    "<text x=\"{px:.2}\" y=\"{y:.2}\" text-anchor=\"middle\" fill=\"#555\">{bound}</text>"
                );
            }
        }
        let y = bottom + if bounds_fit { 37.0 } else { 18.0 };
        let name = shortened(name, LETTERS);
        let place = if upright {
            foot = foot.max(y - bottom + text_width(&name, TEXT));
            let (px, y) = (px + 4.5, y - 10.0);
            format!("x=\"{px:.2}\" y=\"{y:.2}\" text-anchor=\"end\" transform=\"rotate(-90 {px:.2} {y:.2})\"")
        } else {
            format!("x=\"{px:.2}\" y=\"{y:.2}\" text-anchor=\"middle\"")
        };
        let _ = writeln!(svg, "<text {place}>{}</text>", super::escape(&name));
    }
    colours.draw_bar(&mut svg, [LEFT + inner + AFTER / 2.0, top], HIGH);
    Drawing {
        size: [width, (bottom + foot + 8.0).ceil()],
        body: svg,
    }
}

#[cfg(test)]
mod tests {
    use illume_core::{Axis, Cells};

    use super::*;
    use crate::analysis::view::tests::view;

    #[test]
    fn a_line_goes_through_its_elites_place_on_each_axis_and_the_last_lies_on_top() {
        let axes = vec![
            Axis::new("a", "", 0.0, 1.0),
            Axis::new("b", "", 0.0, 2.0),
            Axis::new("c", "", -1.0, 1.0),
        ];
        let view = view(Cells::None, axes, &[0.0, 2.0, 0.0, 1.0, 1.0, 5.0]);
        let colours = Colours::of("fitness", &[], view.values.iter().copied(), None);
        let svg = parallel(["t", "s"], &view, &[0, 1, 2], &[0, 1], &colours, None).svg(None);
        let paths: Vec<&str> = svg.split("stroke-width=\"1.1\" d=\"").skip(1).collect();
        assert_eq!(paths.len(), 2);
        let height = |path: &str, i: usize| -> f64 {
            let point = path.split('"').next().unwrap().split(['M', 'L']).nth(i + 1).unwrap();
            point.split(' ').nth(1).unwrap().parse().unwrap()
        };
        let (low, high) = (height(paths[0], 0), height(paths[0], 1));
        assert!((low - high - HIGH).abs() < 0.11, "{low} {high}");
        assert!((height(paths[0], 2) - (low + high) / 2.0).abs() < 0.11);
        // Beyond its bounds a line lies on the bound.
        assert!((height(paths[1], 2) - high).abs() < 0.11);
        assert!(svg.find("#440154").unwrap() < svg.find("#fde725").unwrap());
    }

    #[test]
    fn hundreds_of_axes_and_none_of_the_elites_give_a_plot() {
        let axes: Vec<Axis> = (0..200)
            .map(|i| Axis::new(&format!("axis_{i}"), "", 0.0, 1e-9))
            .collect();
        let view = view(Cells::None, axes, &[]);
        let colours = Colours::of("fitness", &[], std::iter::empty(), None);
        let svg = parallel(
            ["t", "s"],
            &view,
            &(0..200).collect::<Vec<_>>(),
            &[],
            &colours,
            Some(390.0),
        )
        .svg(None);
        assert!(svg.contains("empty") && !svg.contains("NaN"));
    }
}
