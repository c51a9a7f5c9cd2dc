//! Panels with axes: their size, scales, ticks and colours.

use std::fmt::Write as _;

use super::{escape, named, ticks};
use crate::analysis::compare::spoken;
use crate::engine::output::significant;

pub(super) const PANEL: [f64; 2] = [300.0, 208.0];
/// Left of each panel (tick labels), and above each (its title).
pub(super) const MARGIN: [f64; 2] = [66.0, 34.0];
/// Below each panel: tick labels and the axis' name.
pub(super) const FOOT: f64 = 52.0;
pub(super) const RIGHT: f64 = 26.0;
/// Mean advance of a letter in font sizes, a little more than the font's 0.45.
const ADVANCE: f64 = 0.5;
/// Between the labels of two ticks.
const GAP: f64 = 8.0;
/// Colours that colour-blind readers tell apart (Okabe and Ito, 'Color universal design', 2008), without its yellow.
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
];
/// When the colours are used up.
const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];

pub(super) fn colour(number: usize) -> &'static str {
    COLOURS[number % COLOURS.len()]
}

/// The attribute of a line, with which it is told from others of its colour.
pub(super) fn dash(number: usize) -> String {
    match DASHES[number / COLOURS.len() % DASHES.len()] {
        "" => String::new(),
        dash => format!(" stroke-dasharray=\"{dash}\""),
    }
}

/// About how wide a text is.
pub(super) fn text_width(text: &str, font_size: f64) -> f64 {
    ADVANCE * font_size * text.chars().count() as f64
}

/// How a column is called above a panel: with a capital letter.
pub(super) fn title(column: &str) -> String {
    let name = spoken(column);
    let mut letters = name.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// How a column is called below a panel, where its unit follows.
pub(super) fn axis_name(column: &str) -> String {
    match column {
        "core_seconds" => "core time".into(),
        other => spoken(other),
    }
}

/// A numeric axis, drawn from `low` to `high`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    pub low: f64,
    pub high: f64,
    pub logarithmic: bool,
    /// What one unit on the axis is in the data, and its name: minutes of seconds, thousands.
    pub unit: (f64, &'static str),
}

impl Scale {
    /// The vertical axis of a column whose values lie between these, from zero on if that is asked for.
    pub fn of_column(column: &str, [mut low, mut high]: [f64; 2], from_zero: bool) -> Scale {
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
        let unit = match high.max(-low) {
            _ if column.ends_with("coverage") => (0.01, "%"),
            2e6.. => (1e6, "millions"),
            2e4.. => (1e3, "thousands"),
            _ => (1.0, ""),
        };
        Scale {
            low,
            high,
            logarithmic: false,
            unit,
        }
    }

    /// Where a value lies, 0 to 1.
    pub fn share(&self, x: f64) -> f64 {
        if self.logarithmic {
            (x / self.low).ln() / (self.high / self.low).ln()
        } else {
            (x - self.low) / (self.high - self.low)
        }
    }

    pub fn inverse(&self, share: f64) -> f64 {
        if self.logarithmic {
            self.low * (self.high / self.low).powf(share)
        } else {
            self.low + share * (self.high - self.low)
        }
    }

    /// About so many round values.
    pub fn ticks(&self, about: u32) -> Vec<f64> {
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

    /// These values, with their labels.
    pub fn labelled(&self, values: &[f64]) -> Vec<Tick> {
        let tick = |&x: &f64| Tick {
            share: self.share(x),
            label: self.label(x),
        };
        values.iter().map(tick).collect()
    }
}

/// A mark on an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// Where it is, 0 to 1.
    pub share: f64,
    pub label: String,
}

/// Whether the labels of a horizontal axis, ticks being in order, stand beside one another.
pub(super) fn fit(ticks: &[Tick]) -> bool {
    let half = |tick: &Tick| text_width(&tick.label, 13.0) / 2.0;
    ticks
        .windows(2)
        .all(|t| (t[1].share - t[0].share) * PANEL[0] >= half(&t[0]) + half(&t[1]) + GAP)
}

/// A panel of the size [`PANEL`].
pub(super) struct Frame<'a> {
    /// Its left and its upper edge.
    pub corner: [f64; 2],
    pub x_ticks: Vec<Tick>,
    /// Name of the horizontal axis.
    pub x_name: String,
    pub y: &'a Scale,
    /// What is drawn, above the panel.
    pub title: &'a str,
    /// Room below the panel; if it is more than [`FOOT`], labels stand upright.
    pub foot: f64,
}

/// The room that upright labels need below a panel.
pub(super) fn upright_foot(ticks: &[Tick]) -> f64 {
    FOOT + ticks
        .iter()
        .map(|tick| text_width(&tick.label, 13.0))
        .fold(0.0, f64::max)
}

impl Frame<'_> {
    pub fn draw(&self, svg: &mut String) {
        let ([left, top], [width, height]) = (self.corner, PANEL);
        let bottom = top + height;
        for tick in &self.x_ticks {
            let px = left + tick.share * width;
            let place = if self.foot > FOOT {
                let (x, y) = (px + 4.5, bottom + 10.0);
                format!("x=\"{x:.2}\" y=\"{y}\" text-anchor=\"end\" transform=\"rotate(-90 {x:.2} {y})\"")
            } else {
                format!("x=\"{px:.2}\" y=\"{}\" text-anchor=\"middle\"", bottom + 20.0)
            };
            let _ = writeln!(
                svg,
                "<path stroke=\"#e6e8ea\" d=\"M{px:.2} {bottom}V{top}\"/><path stroke=\"#444\" d=\"M{px:.2} {bottom}v5\"/>\
                 <text {place}>{}</text>",
                escape(&tick.label)
            );
        }
        for tick in self.y.labelled(&self.y.ticks(5)) {
            let py = top + (1.0 - tick.share) * height;
            let _ = writeln!(
                svg,
                "<path stroke=\"#e6e8ea\" d=\"M{left} {py:.2}h{width}\"/><path stroke=\"#444\" d=\"M{left} {py:.2}h-5\"/>\
                 <text x=\"{}\" y=\"{:.2}\" text-anchor=\"end\">{}</text>",
                left - 9.0,
                py + 4.5,
                tick.label
            );
        }
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"#444\"/>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"14\">{}</text>\n\
             <text x=\"{left}\" y=\"{}\" font-size=\"15\">{}</text>",
            left + width / 2.0,
            bottom + self.foot - 12.0,
            escape(&self.x_name),
            top - 9.0,
            escape(&named(self.title, self.y.unit.1))
        );
    }
}
