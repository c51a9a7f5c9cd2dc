//! Panels with axes: their size, scales and ticks.

use std::fmt::Write as _;

use illume_core::Axis;

use super::{escape, named, ticks};
use crate::analysis::compare::{is_share, spoken};
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
/// About how wide a text is.
pub(super) fn text_width(text: &str, font_size: f64) -> f64 {
    ADVANCE * font_size * text.chars().count() as f64
}

/// As much of a name as so many letters hold.
pub(super) fn shortened(name: &str, letters: usize) -> String {
    if name.chars().count() <= letters {
        return name.into();
    }
    let kept: String = name.chars().take(letters - 1).collect();
    kept + "…"
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

/// How an axis of a descriptor is called.
pub(super) fn named_axis(axis: &Axis) -> String {
    named(&axis.name.replace('_', " "), &axis.unit)
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
    /// From `low` to `high`.
    pub fn plain(low: f64, high: f64) -> Scale {
        Scale {
            low,
            high,
            logarithmic: false,
            unit: (1.0, ""),
        }
    }

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
            _ if is_share(column) => (0.01, "%"),
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

/// Whether the labels of a horizontal axis so wide, ticks being in order, stand beside one another.
pub(super) fn fit(ticks: &[Tick], width: f64) -> bool {
    let half = |tick: &Tick| text_width(&tick.label, 13.0) / 2.0;
    ticks
        .windows(2)
        .all(|t| (t[1].share - t[0].share) * width >= half(&t[0]) + half(&t[1]) + GAP)
}

/// As many round ticks, up to six or so, as have labels that stand beside one another on a horizontal axis so wide.
pub(super) fn fitting(scale: &Scale, width: f64) -> Vec<Tick> {
    let choices = [6, 5, 4, 3, 2].map(|about| scale.labelled(&scale.ticks(about)));
    let chosen = choices.iter().find(|ticks| fit(ticks, width));
    chosen.unwrap_or(&choices[4]).clone()
}

/// Width of the widest label.
pub(super) fn widest(ticks: &[Tick]) -> f64 {
    ticks
        .iter()
        .map(|tick| text_width(&tick.label, 13.0))
        .fold(0.0, f64::max)
}

/// The room left of a frame that its vertical ticks and, if it has one, the name of the axis need.
pub(super) fn left_of(ticks: &[Tick], name: &str) -> f64 {
    9.0 + widest(ticks) + if name.is_empty() { 6.0 } else { 32.0 }
}

/// A panel.
pub(super) struct Frame {
    /// Its left and its upper edge.
    pub corner: [f64; 2],
    pub size: [f64; 2],
    pub x_ticks: Vec<Tick>,
    /// Name of the horizontal axis.
    pub x_name: String,
    pub y_ticks: Vec<Tick>,
    /// Name of the vertical axis, beside it; may be empty.
    pub y_name: String,
    /// What is drawn, above the panel; may be empty.
    pub title: String,
    /// Room below the panel; if it is more than [`FOOT`], labels stand upright.
    pub foot: f64,
    /// Whether lines across the panel go on from its ticks.
    pub grid: bool,
}

/// The room that upright labels need below a panel.
pub(super) fn upright_foot(ticks: &[Tick]) -> f64 {
    FOOT + widest(ticks)
}

impl Frame {
    /// Where a point of two scales lies.
    pub fn place(&self, [x, y]: [&Scale; 2], at: [f64; 2]) -> [f64; 2] {
        [
            self.corner[0] + x.share(at[0]) * self.size[0],
            self.corner[1] + (1.0 - y.share(at[1])) * self.size[1],
        ]
    }

    pub fn draw(&self, svg: &mut String) {
        let ([left, top], [width, height]) = (self.corner, self.size);
        let bottom = top + height;
        for tick in &self.x_ticks {
            let px = left + tick.share * width;
            let place = if self.foot > FOOT {
                let (x, y) = (px + 4.5, bottom + 10.0);
                format!("x=\"{x:.2}\" y=\"{y:.2}\" text-anchor=\"end\" transform=\"rotate(-90 {x:.2} {y:.2})\"")
            } else {
                format!("x=\"{px:.2}\" y=\"{:.2}\" text-anchor=\"middle\"", bottom + 20.0)
            };
            if self.grid {
                let _ = writeln!(svg, "<path stroke=\"#e6e8ea\" d=\"M{px:.2} {bottom:.2}V{top:.2}\"/>");
            }
            let _ = writeln!(
                svg,
                "<path stroke=\"#444\" d=\"M{px:.2} {bottom:.2}v5\"/><text {place}>{}</text>",
                escape(&tick.label)
            );
        }
        for tick in &self.y_ticks {
            let py = top + (1.0 - tick.share) * height;
            if self.grid {
                let _ = writeln!(svg, "<path stroke=\"#e6e8ea\" d=\"M{left:.2} {py:.2}h{width:.2}\"/>");
            }
            let _ = writeln!(
                svg,
                "<path stroke=\"#444\" d=\"M{left:.2} {py:.2}h-5\"/><text x=\"{:.2}\" y=\"{:.2}\" text-anchor=\"end\">{}</text>",
                left - 9.0,
                py + 4.5,
                escape(&tick.label)
            );
        }
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.2}\" y=\"{top:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"none\" stroke=\"#444\"/>"
        );
        if !self.x_name.is_empty() {
            let _ = writeln!(
                svg,
                "<text x=\"{:.2}\" y=\"{:.2}\" text-anchor=\"middle\" font-size=\"14\">{}</text>",
                left + width / 2.0,
                bottom + self.foot - 12.0,
                escape(&self.x_name)
            );
        }
        if !self.y_name.is_empty() {
            let (x, y) = (left - 9.0 - widest(&self.y_ticks) - 12.0, top + height / 2.0);
            let _ = writeln!(
                svg,
                "<text transform=\"translate({x:.2} {y:.2}) rotate(-90)\" text-anchor=\"middle\" font-size=\"14\">{}</text>",
                escape(&self.y_name)
            );
        }
        if !self.title.is_empty() {
            let _ = writeln!(
                svg,
                "<text x=\"{left:.2}\" y=\"{:.2}\" font-size=\"15\">{}</text>",
                top - 9.0,
                escape(&self.title)
            );
        }
    }
}
