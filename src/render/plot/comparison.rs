//! Learning curves of several strategies: quality, diversity and the best against evaluations and against time.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use super::axes::{FOOT, Frame, MARGIN, PANEL, RIGHT, Scale, axis_name, colour, dash, title};
use super::legend::Legend;
use super::{named, open};
use crate::analysis::compare::{Comparison, Group};
use crate::analysis::statistics::Spread;

/// Where the legend is below title and subtitle.
const LEGEND_TOP: f64 = 84.0;
/// A row of panels.
const ROW: f64 = MARGIN[1] + PANEL[1] + FOOT;
/// Points of a curve.
const POINTS: usize = 400;
/// Runs from which on quartiles say more than the lowest and the highest.
const QUARTILES: usize = 5;
/// Where one group takes so many times longer than another, time is drawn on a logarithmic axis.
const LOGARITHMIC: f64 = 12.0;

/// The drawing as SVG text: a panel for each measure, against evaluations above and against time below. Lines are medians over the
/// runs of a group, bands reach from quartile to quartile, of fewer than five runs from the lowest to the highest: as far as all runs of
/// the group go in evaluations, and to the end of the slowest in time.
///
/// A measure alone has its two panels side by side.
pub fn comparison(c: &Comparison) -> String {
    let width = least_width(c);
    let curves = Curves::new(c, width);
    let height = LEGEND_TOP + curves.height() + 6.0;
    let mut svg = open([width, height], MARGIN[0], &c.task, bands(c));
    curves.draw(&mut svg, LEGEND_TOP);
    svg + "</svg>\n"
}

/// What lines and bands are.
pub(super) fn bands(c: &Comparison) -> &'static str {
    if let [Group { runs, .. }] = &c.groups[..]
        && runs.len() == 1
    {
        return "one run";
    }
    let of_size = |sizes: RangeInclusive<usize>| c.groups.iter().any(|g| sizes.contains(&g.runs.len()));
    match (of_size(2..=QUARTILES - 1), of_size(QUARTILES..=usize::MAX)) {
        (false, false) => "one run of each",
        (true, false) => "median over runs; the band reaches from the lowest to the highest run",
        (false, true) => "median over runs; the band reaches from the lower to the upper quartile",
        (true, true) => "median over runs; bands are quartiles, of fewer than five runs the lowest and the highest",
    }
}

/// How wide a plot has to be for the panels and the names.
pub(super) fn least_width(c: &Comparison) -> f64 {
    let across = c.columns.measures.len().max(2);
    let panels = across as f64 * (PANEL[0] + MARGIN[0]) + RIGHT;
    panels.max(Legend::least_width(entries(c).iter()))
}

fn entries(c: &Comparison) -> Vec<String> {
    let entry = |group: &Group| {
        let n = group.runs.len();
        format!("{} ({n} {})", group.label, if n == 1 { "run" } else { "runs" })
    };
    c.groups.iter().map(entry).collect()
}

/// A legend, and the panels below it.
pub(super) struct Curves<'a> {
    c: &'a Comparison,
    legend: Legend,
}

impl<'a> Curves<'a> {
    pub fn new(c: &'a Comparison, width: f64) -> Curves<'a> {
        Curves {
            c,
            legend: Legend::new(entries(c), width),
        }
    }

    /// Whether a single measure has its panels side by side.
    fn beside(&self) -> bool {
        self.c.columns.measures.len() == 1
    }

    pub fn height(&self) -> f64 {
        self.legend.height() + if self.beside() { 1.0 } else { 2.0 } * ROW
    }

    pub fn draw(&self, svg: &mut String, top: f64) {
        let Comparison { columns, groups, .. } = self.c;
        self.draw_legend(svg, top);
        let top = top + self.legend.height();
        for axis in 0..2 {
            let x_scale = x_scale(groups, axis);
            for (measure, column) in columns.measures.iter().enumerate() {
                let [x, y] = if self.beside() { [axis, 0] } else { [measure, axis] };
                let corner = [
                    MARGIN[0] + x as f64 * (PANEL[0] + MARGIN[0]),
                    top + y as f64 * ROW + MARGIN[1],
                ];
                let curves: Vec<Curve> = groups.iter().map(|g| Curve::new(g, axis, measure, &x_scale)).collect();
                let y_scale = y_scale(&curves, column);
                let frame = Frame {
                    corner,
                    x_ticks: x_scale.labelled(&x_scale.ticks(5)),
                    x_name: named(&axis_name(&columns.axes[axis]), x_scale.unit.1),
                    y: &y_scale,
                    title: &title(column),
                    foot: FOOT,
                };
                frame.draw(svg);
                for (i, curve) in curves.iter().enumerate() {
                    curve.draw(svg, corner, [&x_scale, &y_scale], i);
                }
            }
        }
    }

    fn draw_legend(&self, svg: &mut String, top: f64) {
        self.legend.draw(svg, top, |svg, i, [x, y]| {
            let (colour, dash) = (colour(i), dash(i));
            if self.c.groups[i].runs.len() > 1 {
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{}\" width=\"26\" height=\"12\" fill=\"{colour}\" fill-opacity=\"0.18\"/>",
                    y - 6.0
                );
            }
            let _ = writeln!(
                svg,
                "<path stroke=\"{colour}\" stroke-width=\"1.8\"{dash} d=\"M{x} {y}h26\"/>"
            );
        });
    }
}

fn x_scale(groups: &[Group], axis: usize) -> Scale {
    let ends = || groups.iter().map(|g| g.covered(axis));
    let high = ends().map(|e| e[1]).fold(f64::MIN_POSITIVE, f64::max);
    let first = ends().map(|e| e[1]).fold(f64::INFINITY, f64::min);
    let start = ends().map(|e| e[0]).fold(f64::INFINITY, f64::min);
    let logarithmic = axis == 1 && first > 0.0 && high / first > LOGARITHMIC;
    let unit = match (axis, high) {
        (0, 2e6..) => (1e6, "millions"),
        (0, 2e4..) => (1e3, "thousands"),
        (0, _) => (1.0, ""),
        (_, 10_800.0..) => (3600.0, "h"),
        (_, 300.0..) => (60.0, "min"),
        _ => (1.0, "s"),
    };
    Scale {
        // What happens in the first thousandth of the shortest run is not worth half of the plot.
        low: if logarithmic { start.max(first / 1000.0) } else { 0.0 },
        // Room for the dot at the end.
        high: high * if logarithmic { 1.1 } else { 1.02 },
        logarithmic,
        unit,
    }
}

/// Scores and shares are drawn from zero, so that their heights compare; fitness where it lies.
fn y_scale(curves: &[Curve], column: &str) -> Scale {
    let known = || curves.iter().flat_map(|c| &c.points).filter(|p| p.median.is_finite());
    let low = known().map(|p| p.band[0]).fold(f64::INFINITY, f64::min);
    let high = known().map(|p| p.band[1]).fold(f64::NEG_INFINITY, f64::max);
    Scale::of_column(column, [low, high], matches!(column, "qd_score" | "coverage"))
}

/// A group at points of an axis.
struct Curve {
    points: Vec<Point>,
    runs: usize,
}

struct Point {
    x: f64,
    median: f64,
    band: [f64; 2],
}

impl Curve {
    fn new(group: &Group, axis: usize, measure: usize, scale: &Scale) -> Curve {
        let [start, end] = group.covered(axis);
        let (from, to) = (scale.share(start.max(scale.low)), scale.share(end));
        let shares = (0..POINTS).map(|i| from + (to - from) * i as f64 / (POINTS - 1) as f64);
        // The ends themselves, whatever rounding does to them on the way.
        let points = shares.map(|share| scale.inverse(share).clamp(start, end.max(start)));
        let point = |x| {
            let Spread {
                median,
                quartiles,
                low,
                high,
            } = group.at(axis, measure, x);
            let band = if group.runs.len() < QUARTILES {
                [low, high]
            } else {
                quartiles
            };
            Point { x, median, band }
        };
        Curve {
            points: points.map(point).collect(),
            runs: group.runs.len(),
        }
    }

    fn draw(&self, svg: &mut String, [left, top]: [f64; 2], [x, y]: [&Scale; 2], number: usize) {
        let (colour, dash) = (colour(number), dash(number));
        let place = |px: f64, value: f64| [left + x.share(px) * PANEL[0], top + (1.0 - y.share(value)) * PANEL[1]];
        let at = |px: f64, value: f64| {
            let [px, py] = place(px, value);
            format!("{px:.2} {py:.2}")
        };
        for part in self.points.split(|p| !p.median.is_finite()).filter(|p| !p.is_empty()) {
            if self.runs > 1 {
                let high = part.iter().map(|p| at(p.x, p.band[1]));
                let low = part.iter().rev().map(|p| at(p.x, p.band[0]));
                let outline: Vec<String> = high.chain(low).collect();
                let _ = writeln!(
                    svg,
                    "<path fill=\"{colour}\" fill-opacity=\"0.18\" d=\"M{}z\"/>",
                    outline.join("L")
                );
            }
            let line: Vec<String> = part.iter().map(|p| at(p.x, p.median)).collect();
            let _ = writeln!(
                svg,
                "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"{dash} d=\"M{}\"/>",
                line.join("L")
            );
        }
        // Where it ends, to be seen among the others.
        if let Some(p) = self.points.last().filter(|p| p.median.is_finite()) {
            let [cx, cy] = place(p.x, p.median);
            let _ = writeln!(svg, "<circle fill=\"{colour}\" r=\"3\" cx=\"{cx:.2}\" cy=\"{cy:.2}\"/>");
        }
    }
}
