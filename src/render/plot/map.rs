//! Maps of archives: one, or several side by side on one scale.

use std::fmt::Write as _;

use illume_core::Axis;

use super::axes::{FOOT, Frame, Scale, fitting, left_of, named_axis};
use super::colour::{Colours, UNKNOWN};
use super::legend::Legend;
use super::page::{Drawing, Head, head_width};
use super::tiles::{Square, Tiles};
use crate::analysis::view::View;

/// Side of a map alone, and of one among several, where no width is asked for.
const ALONE: f64 = 560.0;
const SMALL: f64 = 260.0;
/// Maps side by side, at most; and the least side that they are given in a narrow drawing.
const ACROSS: usize = 4;
const LEAST: f64 = 150.0;
/// Between maps, and above one that has a name.
const BETWEEN: f64 = 20.0;
const NAMED: f64 = 26.0;
/// Right of the last map, where no bar is.
const AFTER: f64 = 20.0;

/// Maps on the same two axes.
pub struct Map {
    pub title: String,
    pub subtitle: String,
    /// The horizontal and the vertical axis.
    pub axes: [Axis; 2],
    pub panels: Vec<Panel>,
    /// The scale that stands beside the maps.
    pub bar: Option<Colours>,
    /// What stands above them: names with colours.
    pub legend: Vec<(String, String)>,
}

/// One map.
pub struct Panel {
    pub title: String,
    pub layers: Vec<Layer>,
    pub lines: Vec<Line>,
}

/// Tiles and their colours, above other ones.
pub struct Layer {
    pub(super) tiles: Tiles,
    pub(super) paint: Paint,
}

pub(super) enum Paint {
    By(Colours),
    Plain(&'static str),
}

/// A line over a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Places on the horizontal and the vertical axis.
    pub points: Vec<[f64; 2]>,
    /// Attributes of the path.
    pub style: &'static str,
    /// Whether it ends in the head of an arrow.
    pub arrow: bool,
}

impl Layer {
    /// The elites of a view on two of its axes.
    pub fn of(view: &View, axes: [usize; 2], colours: &Colours) -> Layer {
        Layer {
            tiles: Tiles::of(view, axes),
            paint: Paint::By(colours.clone()),
        }
    }
}

impl Map {
    /// Maps of views over the same axes, each with its title and lines, all in the same colours.
    pub fn of(
        [title, subtitle]: [String; 2],
        axes: [usize; 2],
        colours: &Colours,
        views: Vec<(String, &View, Vec<Line>)>,
    ) -> Option<Map> {
        let spec = &views.first()?.1.spec;
        let panels = views.into_iter().map(|(title, view, lines)| Panel {
            title,
            layers: vec![Layer::of(view, axes, colours)],
            lines,
        });
        let panels: Vec<Panel> = panels.collect();
        let values = panels
            .iter()
            .flat_map(|p| &p.layers)
            .flat_map(|layer| layer.tiles.values())
            .flatten();
        let legend = legend(colours, values.copied());
        Some(Map {
            title,
            subtitle,
            axes: axes.map(|axis| spec.axes[axis].clone()),
            panels,
            bar: Some(colours.clone()),
            legend,
        })
    }

    /// The drawing, so wide if a width is asked for, in units.
    pub fn drawing(&self, width: Option<f64>) -> Drawing {
        let [x, y] = self.axes.each_ref().map(|axis| Scale::plain(axis.lower, axis.upper));
        let [x_name, y_name] = self.axes.each_ref().map(named_axis);
        let y_ticks = y.labelled(&y.ticks(6));
        let left = left_of(&y_ticks, &y_name);
        let right = self.bar.as_ref().map_or(0.0, Colours::bar_width).max(AFTER);
        let n = self.panels.len();
        let (across, side, width) = match width {
            Some(width) => {
                let room = width - left - right;
                let most = ((room + BETWEEN) / (LEAST + BETWEEN)).floor().max(1.0) as usize;
                let across = square_root(n).min(most);
                let side = (room - BETWEEN * (across - 1) as f64) / across as f64;
                (across, side.max(1.0), width)
            }
            None => {
                let across = square_root(n).min(ACROSS);
                let side = if n == 1 { ALONE } else { SMALL };
                let maps = across as f64 * side + (across - 1) as f64 * BETWEEN;
                // Two lines of the subtitle at the most.
                let least = (head_width(&self.title, &self.subtitle) / 2.0).min(1.5 * ALONE);
                (across, side, (left + maps + right).max(least).ceil())
            }
        };
        let head = Head::new(&self.title, &self.subtitle, width, left);
        let legend = Legend::new(
            self.legend.iter().map(|(name, _)| name.clone()).collect(),
            width,
            head.left,
        );
        let above = if n > 1 { NAMED } else { 0.0 };
        // The bar's name stands above it, beside the titles of several maps.
        let barred = self.bar.as_ref().is_some_and(|bar| bar.bar_width() > 0.0);
        let above_bar = match (barred && n == 1, self.legend.is_empty()) {
            (true, true) => 22.0,
            (true, false) => 34.0,
            _ => 10.0,
        };
        let top = head.bottom() + legend.height() + above_bar;
        let down = n.div_ceil(across);
        let row = side + above + BETWEEN;
        let height = top + down as f64 * row - BETWEEN + FOOT + 4.0;
        let mut svg = String::new();
        head.draw(&mut svg);
        legend.draw_boxes(&mut svg, head.bottom() + 12.0, &self.legend);
        for (i, panel) in self.panels.iter().enumerate() {
            let corner = [
                left + (i % across) as f64 * (side + BETWEEN),
                top + (i / across) as f64 * row + above,
            ];
            let square = Square {
                corner,
                side,
                axes: self.axes.each_ref(),
            };
            panel.draw(&mut svg, &square);
            let (first, lowest) = (i % across == 0, i + across >= n);
            let frame = Frame {
                corner,
                size: [side; 2],
                x_ticks: if lowest { fitting(&x, side) } else { Vec::new() },
                x_name: if lowest { x_name.clone() } else { String::new() },
                y_ticks: if first { y_ticks.clone() } else { Vec::new() },
                y_name: if first { y_name.clone() } else { String::new() },
                title: if n > 1 { panel.title.clone() } else { String::new() },
                foot: FOOT,
                grid: false,
            };
            frame.draw(&mut svg);
        }
        if let Some(bar) = &self.bar {
            let end = left + across as f64 * side + (across - 1) as f64 * BETWEEN;
            bar.draw_bar(&mut svg, [end, top + above], side);
        }
        Drawing {
            size: [width, height.ceil()],
            body: svg,
        }
    }
}

impl Panel {
    fn draw(&self, svg: &mut String, square: &Square<'_>) {
        square.ground(svg);
        for layer in &self.layers {
            match &layer.paint {
                Paint::By(colours) => {
                    square.draw(
                        svg,
                        &layer.tiles,
                        colours.levels(),
                        |x| colours.level(x),
                        |i| colours.paint(i),
                    );
                }
                Paint::Plain(colour) => square.draw(svg, &layer.tiles, 1, |_| Some(0), |_| (*colour).into()),
            }
        }
        for line in &self.lines {
            let points: Vec<[f64; 2]> = line.points.iter().map(|at| square.place_inside(*at)).collect();
            let path: Vec<String> = points.iter().map(|[x, y]| format!("{x:.2} {y:.2}")).collect();
            let _ = writeln!(svg, "<path fill=\"none\" {} d=\"M{}\"/>", line.style, path.join("L"));
            if let ([.., from, to], true) = (&points[..], line.arrow) {
                arrow_head(svg, *from, *to, line.style);
            }
        }
        let empty = self
            .layers
            .iter()
            .all(|layer| layer.tiles.values().iter().all(Option::is_none));
        if empty {
            let [x, y] = square.corner.map(|edge| edge + square.side / 2.0);
            let _ = writeln!(
                svg,
                "<text x=\"{x:.2}\" y=\"{y:.2}\" text-anchor=\"middle\" fill=\"#555\">the archive is empty</text>"
            );
        }
    }
}

/// Two strokes at the end of a line, shorter on short lines.
fn arrow_head(svg: &mut String, from: [f64; 2], [x, y]: [f64; 2], style: &str) {
    const LENGTH: f64 = 7.0;
    const ANGLE: f64 = 0.45;
    let length = (x - from[0]).hypot(y - from[1]);
    if length == 0.0 {
        return;
    }
    let back = (from[1] - y).atan2(from[0] - x);
    let side = LENGTH.min(0.5 * length).max(3.0);
    let [a, b] = [back - ANGLE, back + ANGLE].map(|angle| [x + side * angle.cos(), y + side * angle.sin()]);
    let _ = writeln!(
        svg,
        "<path fill=\"none\" {style} d=\"M{:.2} {:.2}L{x:.2} {y:.2}L{:.2} {:.2}\"/>",
        a[0], a[1], b[0], b[1]
    );
}

/// The legend of these values' colours: a name for each category that one of them is of, and one for those without a value.
pub(super) fn legend(colours: &Colours, values: impl Iterator<Item = f64>) -> Vec<(String, String)> {
    let (mut used, mut unknown) = (vec![false; colours.entries().len()], false);
    for value in values {
        match colours.level(value) {
            Some(level) if level < used.len() => used[level] = true,
            Some(_) => {}
            None => unknown = true,
        }
    }
    let named = colours.entries().iter().enumerate().filter(|(i, _)| used[*i]);
    let mut legend: Vec<(String, String)> = named.map(|(i, name)| (name.clone(), colours.paint(i))).collect();
    if unknown {
        legend.push((format!("no {}", colours.name()), UNKNOWN.into()));
    }
    legend
}

/// The least number whose square is not below n.
fn square_root(n: usize) -> usize {
    (1..).find(|i| i * i >= n).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use illume_core::Cells;

    use super::*;
    use crate::analysis::view::tests::view;

    fn map(descriptor: &[f64], names: &[&str], values: Option<Vec<f64>>) -> Map {
        let axes = vec![Axis::new("x", "m", 0.0, 1.0), Axis::new("y", "", 0.0, 1.0)];
        let mut view = view(Cells::Grid { shape: vec![4, 4] }, axes, descriptor);
        view.values = values.unwrap_or(view.values);
        let colours = Colours::of("fitness", &[], view.values.iter().copied(), None);
        let views = names.iter().map(|name| (name.to_string(), &view, Vec::new())).collect();
        Map::of(["a<b".into(), "seed 1".into()], [0, 1], &colours, views).unwrap()
    }

    #[test]
    fn an_empty_archive_gives_a_plot_that_says_so() {
        let svg = map(&[], &["one"], None).drawing(None).svg(None);
        assert!(svg.contains("the archive is empty") && svg.contains("a&lt;b"));
        assert!(super::super::png(&svg, 1.0).unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn several_maps_stand_in_a_square_and_share_one_bar() {
        let drawing = map(&[0.1, 0.1, 0.9, 0.9], &["first", "second", "third"], None).drawing(None);
        let svg = drawing.svg(None);
        assert_eq!(svg.matches("the archive is empty").count(), 0);
        assert_eq!(svg.matches(">fitness<").count(), 1);
        assert!(
            ["first", "second", "third"]
                .iter()
                .all(|name| svg.contains(&format!(">{name}<")))
        );
        // Two columns, two rows; the third one stands below the first.
        assert!(drawing.size[0] > 2.0 * SMALL && drawing.size[1] > 2.0 * SMALL);
    }

    #[test]
    fn a_narrow_drawing_is_as_wide_as_asked_and_elites_without_a_value_are_named() {
        let narrow = map(&[0.1, 0.1, 0.9, 0.9], &["a", "b"], Some(vec![1.0, f64::NAN])).drawing(Some(390.0));
        assert_eq!(narrow.size[0], 390.0);
        assert!(narrow.svg(None).contains("no fitness") && narrow.svg(None).contains(UNKNOWN));
    }
}
