//! Learning curves of several strategies: quality, diversity and the best against evaluations and against time.

use std::fmt::Write as _;

use super::axes::{FOOT, Frame, MARGIN, PANEL, RIGHT, Scale, axis_name, fitting, title};
use super::colour::{colour, dash};
use super::legend::Legend;
use super::named;
use super::page::{Drawing, Head, head_width};
use crate::analysis::compare::{Comparison, Group, is_from_zero};
use crate::analysis::statistics::{Band, spoken_bands};

/// Points of a curve.
const POINTS: usize = 400;
/// Where one group takes so many times longer than another, time is drawn on a logarithmic axis.
const LOGARITHMIC: f64 = 12.0;
/// The least width of a panel in a narrow drawing.
const LEAST: f64 = 200.0;

/// A panel for each measure, against evaluations above and against time below. Lines are medians over the runs of a group with a band: as far as all runs of
/// the group go in evaluations, and to the end of the slowest in time. A measure alone has its two panels side by side; in a drawing that is to be narrow
/// panels follow one another, the two of a measure together.
pub fn comparison(c: &Comparison, band: Band, width: Option<f64>) -> Drawing {
    let (title, subtitle) = (&c.task, &bands(c, band));
    let fixed = width.is_some();
    let width = width.unwrap_or_else(|| least_width(c).max(head_width(title, "")));
    let head = Head::new(title, subtitle, width, MARGIN[0]);
    let curves = Curves::new(c, band, [head.left, width], fixed);
    let top = head.bottom() + 14.0;
    let height = top + curves.height() + 6.0;
    let mut svg = String::new();
    head.draw(&mut svg);
    curves.draw(&mut svg, top);
    Drawing {
        size: [width, height.ceil()],
        body: svg,
    }
}

/// What lines and bands are.
pub(super) fn bands(c: &Comparison, band: Band) -> String {
    let sizes: Vec<usize> = c.groups.iter().map(|group| group.runs.len()).collect();
    spoken_bands(band, &sizes)
}

/// How wide a plot has to be for the panels and the names.
pub(super) fn least_width(c: &Comparison) -> f64 {
    let across = c.columns.measures.len().max(2);
    let panels = across as f64 * (PANEL[0] + MARGIN[0]) + RIGHT;
    panels.max(Legend::least_width(entries(c).iter()))
}

pub(super) fn entries(c: &Comparison) -> Vec<String> {
    let entry = |group: &Group| {
        let n = group.runs.len();
        format!("{} ({n} {})", group.label, if n == 1 { "run" } else { "runs" })
    };
    c.groups.iter().map(entry).collect()
}

/// A legend, and the panels below it.
pub(super) struct Curves<'a> {
    c: &'a Comparison,
    band: Band,
    legend: Legend,
    /// Panels side by side.
    across: usize,
    size: [f64; 2],
    /// Whether panels follow one another, the two of a measure together; else those of an axis stand in a row.
    flowing: bool,
}

impl<'a> Curves<'a> {
    /// In a drawing so wide, with the legend from `left` on; if the width is `fixed`, panels take all of it.
    pub fn new(c: &'a Comparison, band: Band, [left, width]: [f64; 2], fixed: bool) -> Curves<'a> {
        let measures = c.columns.measures.len();
        let natural = if measures == 1 { 2 } else { measures };
        let fitting = (((width - RIGHT) / (LEAST + MARGIN[0])) as usize).max(1);
        let across = if fixed { natural.min(fitting) } else { natural };
        let wide = if fixed {
            (width - RIGHT) / across as f64 - MARGIN[0]
        } else {
            PANEL[0]
        };
        Curves {
            c,
            band,
            legend: Legend::new(entries(c), width, left),
            across,
            size: [wide, PANEL[1] * (wide / PANEL[0]).min(1.0)],
            flowing: across < natural || measures == 1,
        }
    }

    /// A row of panels.
    fn row(&self) -> f64 {
        MARGIN[1] + self.size[1] + FOOT
    }

    pub fn height(&self) -> f64 {
        let rows = (2 * self.c.columns.measures.len()).div_ceil(self.across);
        self.legend.height() + rows as f64 * self.row()
    }

    pub fn draw(&self, svg: &mut String, top: f64) {
        let Comparison { columns, groups, .. } = self.c;
        let several: Vec<bool> = groups.iter().map(|group| group.runs.len() > 1).collect();
        self.legend.draw_lines(svg, top, &several);
        let top = top + self.legend.height();
        for axis in 0..2 {
            let x_scale = x_scale(groups, axis);
            for (measure, column) in columns.measures.iter().enumerate() {
                let number = 2 * measure + axis;
                let [x, y] = if self.flowing {
                    [number % self.across, number / self.across]
                } else {
                    [measure, axis]
                };
                let corner = [
                    MARGIN[0] + x as f64 * (self.size[0] + MARGIN[0]),
                    top + y as f64 * self.row() + MARGIN[1],
                ];
                let curve = |group| Curve::new(group, axis, measure, &x_scale, self.band);
                let curves: Vec<Curve> = groups.iter().map(curve).collect();
                let y_scale = y_scale(&curves, column);
                let frame = Frame {
                    corner,
                    size: self.size,
                    x_ticks: fitting(&x_scale, self.size[0]),
                    x_name: named(&axis_name(&columns.axes[axis]), x_scale.unit.1),
                    y_ticks: y_scale.labelled(&y_scale.ticks(5)),
                    y_name: String::new(),
                    title: named(&title(column), y_scale.unit.1),
                    foot: FOOT,
                    grid: true,
                };
                frame.draw(svg);
                for (i, curve) in curves.iter().enumerate() {
                    curve.draw(svg, &frame, [&x_scale, &y_scale], i);
                }
            }
        }
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
    Scale::of_column(column, [low, high], is_from_zero(column))
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
    fn new(group: &Group, axis: usize, measure: usize, scale: &Scale, band: Band) -> Curve {
        let [start, end] = group.covered(axis);
        let (from, to) = (scale.share(start.max(scale.low)), scale.share(end));
        let shares = (0..POINTS).map(|i| from + (to - from) * i as f64 / (POINTS - 1) as f64);
        // The ends themselves, whatever rounding does to them on the way.
        let points = shares.map(|share| scale.inverse(share).clamp(start, end.max(start)));
        let around = band.of_runs(group.runs.len());
        let point = |x| {
            let (median, band) = around.of(group.at(axis, measure, x));
            Point { x, median, band }
        };
        Curve {
            points: points.map(point).collect(),
            runs: group.runs.len(),
        }
    }

    fn draw(&self, svg: &mut String, frame: &Frame, scales: [&Scale; 2], number: usize) {
        let (colour, dash) = (colour(number), dash(number));
        let place = |x: f64, y: f64| frame.place(scales, [x, y]);
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
