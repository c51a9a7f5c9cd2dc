//! Learning curves of several strategies: quality, diversity and the best against evaluations and against time.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use super::{escape, open, ticks};
use crate::compare::{Comparison, Group, spoken};
use crate::output::significant;
use crate::statistics::Spread;

const PANEL: [f64; 2] = [300.0, 208.0];
/// Left of each panel (tick labels), and above each (its title).
const MARGIN: [f64; 2] = [66.0, 34.0];
/// Below each panel: tick labels and the axis' name.
const FOOT: f64 = 52.0;
const RIGHT: f64 = 26.0;
const LEGEND_TOP: f64 = 84.0;
const LEGEND_LINE: f64 = 24.0;
/// Points of a curve.
const POINTS: usize = 400;
/// Runs from which on quartiles say more than the lowest and the highest.
const QUARTILES: usize = 5;
/// Where one group takes so many times longer than another, time is drawn on a logarithmic axis.
const LOGARITHMIC: f64 = 12.0;
/// Colours that colour-blind readers tell apart (Okabe and Ito, 'Color universal design', 2008), without its yellow.
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
];
/// When the colours are used up.
const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];

/// A numeric axis, drawn from `low` to `high`.
#[derive(Debug, Clone, PartialEq)]
struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// What one unit on the axis is in the data, and its name: minutes of seconds, thousands.
    unit: (f64, &'static str),
}

impl Scale {
    /// Where a value lies, 0 to 1.
    fn share(&self, x: f64) -> f64 {
        if self.logarithmic {
            (x / self.low).ln() / (self.high / self.low).ln()
        } else {
            (x - self.low) / (self.high - self.low)
        }
    }

    fn inverse(&self, share: f64) -> f64 {
        if self.logarithmic {
            self.low * (self.high / self.low).powf(share)
        } else {
            self.low + share * (self.high - self.low)
        }
    }

    /// Values with a label of their own.
    fn ticks(&self, about: u32) -> Vec<f64> {
        let unit = self.unit.0;
        let (low, high) = (self.low / unit, self.high / unit);
        let values = if self.logarithmic {
            let steps: &[f64] = if high / low > 300.0 { &[1.0] } else { &[1.0, 3.0] };
            let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
            let all = powers.flat_map(|p| steps.iter().map(move |s| s * 10f64.powi(p)));
            all.filter(|x| (low..=high).contains(x)).collect()
        } else {
            ticks(low, high, about)
        };
        values.into_iter().map(|x| x * unit).collect()
    }

    fn label(&self, x: f64) -> String {
        // Multiples of a round step are not quite round themselves.
        let span = (self.high - self.low) / self.unit.0;
        let x = x / self.unit.0;
        significant(if x.abs() < 1e-9 * span { 0.0 } else { x })
    }
}

/// The drawing as SVG text: a panel for each measure, against evaluations above and against time below. Lines are medians over the
/// runs of a group, bands reach from quartile to quartile, of fewer than five runs from the lowest to the highest: as far as all runs of
/// the group go in evaluations, and to the end of the slowest in time.
///
/// A measure alone has its two panels side by side.
pub fn comparison(c: &Comparison) -> String {
    let measures = &c.columns.measures;
    let across = measures.len().max(2);
    let down = if measures.len() == 1 { 1 } else { 2 };
    let width = across as f64 * (PANEL[0] + MARGIN[0]) + RIGHT;
    let rows = legend_rows(&c.groups, width);
    let top = LEGEND_TOP + LEGEND_LINE * rows.len() as f64;
    let row_height = MARGIN[1] + PANEL[1] + FOOT;
    let of_size = |sizes: RangeInclusive<usize>| c.groups.iter().any(|g| sizes.contains(&g.runs.len()));
    let subtitle = match (of_size(2..=QUARTILES - 1), of_size(QUARTILES..=usize::MAX)) {
        (false, false) => "one run of each",
        (true, false) => "median over runs; the band reaches from the lowest to the highest run",
        (false, true) => "median over runs; the band reaches from the lower to the upper quartile",
        (true, true) => "median over runs; bands are quartiles, of fewer than five runs the lowest and the highest",
    };
    let height = top + f64::from(down) * row_height + 6.0;
    let mut svg = open([width, height], MARGIN[0], &c.task, subtitle);
    draw_legend(&mut svg, &c.groups, &rows);
    for axis in 0..2 {
        let name = &c.columns.axes[axis];
        let x_scale = x_scale(&c.groups, axis);
        for (measure, column) in measures.iter().enumerate() {
            let [x, y] = if down == 1 { [axis, 0] } else { [measure, axis] };
            let corner = [
                MARGIN[0] + x as f64 * (PANEL[0] + MARGIN[0]),
                top + y as f64 * row_height + MARGIN[1],
            ];
            let curves: Vec<Curve> = c
                .groups
                .iter()
                .map(|g| Curve::new(g, axis, measure, &x_scale))
                .collect();
            let y_scale = y_scale(&curves, column);
            draw_frame(&mut svg, corner, [&x_scale, &y_scale], [&title(name), &title(column)]);
            for (i, curve) in curves.iter().enumerate() {
                curve.draw(&mut svg, corner, [&x_scale, &y_scale], i);
            }
        }
    }
    svg + "</svg>\n"
}

/// How a column is called in a picture: with a capital letter, unless it is an axis.
fn title(column: &str) -> String {
    let name = spoken(column);
    if matches!(column, "wall_seconds" | "evaluations" | "frames") {
        return name;
    }
    let mut letters = name.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
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
        // What happens in the first thousandth of the shortest run is not worth half of the picture.
        low: if logarithmic { start.max(first / 1000.0) } else { 0.0 },
        // Room for the dot at the end.
        high: high * if logarithmic { 1.1 } else { 1.02 },
        logarithmic,
        unit,
    }
}

/// Scores and shares are drawn from zero, so that their heights compare; fitness where it lies.
fn y_scale(curves: &[Curve], column: &str) -> Scale {
    let from_zero = matches!(column, "qd_score" | "coverage");
    let known = || curves.iter().flat_map(|c| &c.points).filter(|p| p.median.is_finite());
    let mut low = known().map(|p| p.band[0]).fold(f64::INFINITY, f64::min);
    let mut high = known().map(|p| p.band[1]).fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        (low, high) = (0.0, 1.0);
    }
    if from_zero {
        low = low.min(0.0);
    }
    let pad = if high > low {
        0.05 * (high - low)
    } else {
        0.1 * high.abs().max(1e-3)
    };
    if low != 0.0 || !from_zero {
        low -= pad;
    }
    high += pad;
    let unit = match (column, high.max(-low)) {
        ("coverage", _) => (0.01, "%"),
        (_, 2e6..) => (1e6, "millions"),
        (_, 2e4..) => (1e3, "thousands"),
        _ => (1.0, ""),
    };
    Scale {
        low,
        high,
        logarithmic: false,
        unit,
    }
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
        let (colour, dash) = (COLOURS[number % COLOURS.len()], dash(number));
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

fn dash(number: usize) -> String {
    match DASHES[number / COLOURS.len() % DASHES.len()] {
        "" => String::new(),
        dash => format!(" stroke-dasharray=\"{dash}\""),
    }
}

fn draw_frame(svg: &mut String, [left, top]: [f64; 2], [x, y]: [&Scale; 2], [x_name, title]: [&str; 2]) {
    let ([width, height], bottom) = (PANEL, top + PANEL[1]);
    for tick in x.ticks(5) {
        let px = left + x.share(tick) * width;
        let _ = writeln!(
            svg,
            "<path stroke=\"#e6e8ea\" d=\"M{px:.2} {bottom}V{top}\"/><path stroke=\"#444\" d=\"M{px:.2} {bottom}v5\"/>\
             <text x=\"{px:.2}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            bottom + 20.0,
            x.label(tick)
        );
    }
    for tick in y.ticks(5) {
        let py = top + (1.0 - y.share(tick)) * height;
        let _ = writeln!(
            svg,
            "<path stroke=\"#e6e8ea\" d=\"M{left} {py:.2}h{width}\"/><path stroke=\"#444\" d=\"M{left} {py:.2}h-5\"/>\
             <text x=\"{}\" y=\"{:.2}\" text-anchor=\"end\">{}</text>",
            left - 9.0,
            py + 4.5,
            y.label(tick)
        );
    }
    let (x_label, y_label) = (super::named(x_name, x.unit.1), super::named(title, y.unit.1));
    let _ = writeln!(
        svg,
        "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"#444\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"14\">{}</text>\n\
         <text x=\"{left}\" y=\"{}\" font-size=\"15\">{}</text>",
        left + width / 2.0,
        bottom + 40.0,
        escape(&x_label),
        top - 9.0,
        escape(&y_label)
    );
}

fn legend_entry(group: &Group) -> String {
    let n = group.runs.len();
    format!("{} ({n} {})", group.label, if n == 1 { "run" } else { "runs" })
}

/// The groups of each line of the legend, with where each begins.
fn legend_rows(groups: &[Group], width: f64) -> Vec<Vec<(usize, f64)>> {
    let mut rows: Vec<Vec<(usize, f64)>> = Vec::new();
    let mut x = f64::INFINITY;
    for (i, group) in groups.iter().enumerate() {
        // The font's mean advance is about half of its size.
        let entry = 34.0 + 7.4 * legend_entry(group).chars().count() as f64 + 22.0;
        if x + entry > width {
            rows.push(Vec::new());
            x = MARGIN[0];
        }
        if let Some(row) = rows.last_mut() {
            row.push((i, x));
        }
        x += entry;
    }
    rows
}

fn draw_legend(svg: &mut String, groups: &[Group], rows: &[Vec<(usize, f64)>]) {
    for (line, row) in rows.iter().enumerate() {
        let y = LEGEND_TOP + LEGEND_LINE * line as f64;
        for &(i, x) in row {
            let (colour, dash) = (COLOURS[i % COLOURS.len()], dash(i));
            if groups[i].runs.len() > 1 {
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{}\" width=\"26\" height=\"12\" fill=\"{colour}\" fill-opacity=\"0.18\"/>",
                    y - 6.0
                );
            }
            let _ = writeln!(
                svg,
                "<path stroke=\"{colour}\" stroke-width=\"1.8\"{dash} d=\"M{x} {y}h26\"/>\
                 <text x=\"{}\" y=\"{}\" font-size=\"14\">{}</text>",
                x + 34.0,
                y + 5.0,
                escape(&legend_entry(&groups[i]))
            );
        }
    }
}
