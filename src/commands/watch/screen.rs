//! What views are drawn from.

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Widget};

use crate::engine::output::significant;
use crate::render::plot::viridis;

/// Values on a rectangle, `[rows, columns]` from the lower left, NaN where there is none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Map {
    pub columns: usize,
    pub rows: usize,
    pub values: Vec<f64>,
    pub title: String,
}

/// Two places of a map, one above the other.
const HALVES: &str = "▀";
/// Where nothing is.
const EMPTY: Color = Color::Rgb(58, 62, 68);

impl Widget for &Map {
    /// Two rows of the map to a line of the terminal, by upper half blocks.
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let block = Block::bordered().title(self.title.as_str());
        let inner = block.inner(area);
        block.render(area, buffer);
        let known = || self.values.iter().copied().filter(|v| v.is_finite());
        let (low, high) = (
            known().fold(f64::INFINITY, f64::min),
            known().fold(f64::NEG_INFINITY, f64::max),
        );
        let (width, height) = (usize::from(inner.width), 2 * usize::from(inner.height));
        // Of several tiles at one place the best.
        let at = |x: usize, y: usize| {
            let range = |i: usize, n: usize, tiles: usize| {
                i * tiles / n..((i + 1) * tiles).div_ceil(n).max(i * tiles / n + 1).min(tiles)
            };
            let best = range(height - 1 - y, height, self.rows)
                .flat_map(|j| range(x, width, self.columns).map(move |i| (j, i)));
            let best = best
                .map(|(j, i)| self.values[j * self.columns + i])
                .fold(f64::NAN, f64::max);
            match best.is_finite() {
                true if high > low => colour((best - low) / (high - low)),
                true => colour(1.0),
                false => EMPTY,
            }
        };
        for y in 0..usize::from(inner.height) {
            for x in 0..width {
                let style = Style::new().fg(at(x, 2 * y)).bg(at(x, 2 * y + 1));
                buffer[(inner.x + x as u16, inner.y + y as u16)]
                    .set_symbol(HALVES)
                    .set_style(style);
            }
        }
        if low <= high {
            let legend = format!(" {} to {} ", significant(low), significant(high));
            let bottom = Rect {
                y: area.bottom().saturating_sub(1),
                height: 1,
                x: area.x + 1,
                width: area.width.saturating_sub(2),
            };
            Line::from(legend).right_aligned().render(bottom, buffer);
        }
    }
}

/// A place of a screen as a letter: of a map, which is drawn by its colours, a shade, light for high values.
pub(super) fn letter(cell: &Cell) -> &str {
    if cell.symbol() != HALVES {
        return cell.symbol();
    }
    let light = [cell.fg, cell.bg].map(|colour| match colour {
        Color::Rgb(r, g, b) if colour != EMPTY => 0.3 * f64::from(r) + 0.59 * f64::from(g) + 0.11 * f64::from(b),
        _ => 0.0,
    });
    match light[0].max(light[1]) {
        0.0 => " ",
        ..75.0 => "░",
        ..125.0 => "▒",
        ..170.0 => "▓",
        _ => "█",
    }
}

fn colour(share: f64) -> Color {
    let [r, g, b] = viridis(share);
    Color::Rgb(r, g, b)
}

/// A curve in a box.
pub(super) fn curve(title: &str, x_name: &str, points: &[(f64, f64)], area: Rect, buffer: &mut Buffer) {
    let block = Block::bordered().title(title.to_string());
    let known = || points.iter().filter(|(_, y)| y.is_finite());
    let fold = |of: fn(&(f64, f64)) -> f64| {
        known()
            .map(of)
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[l, h], v| [l.min(v), h.max(v)])
    };
    let ([x0, x1], [mut y0, mut y1]) = (fold(|p| p.0), fold(|p| p.1));
    if known().count() < 2 {
        Line::from("no curve yet").render(block.inner(area), buffer);
        return block.render(area, buffer);
    }
    if y0 == y1 {
        (y0, y1) = (y0 - 1.0, y1 + 1.0);
    }
    let points: Vec<(f64, f64)> = known().copied().collect();
    let line = Dataset::default()
        .marker(Marker::Braille)
        .graph_type(GraphType::Line)
        .style(Style::new().fg(Color::Cyan))
        .data(&points);
    let labels = |low: f64, high: f64| [low, high].map(significant).to_vec();
    Chart::new(vec![line])
        .block(block)
        .x_axis(
            Axis::default()
                .title(x_name.to_string())
                .bounds([x0, x1])
                .labels(labels(x0, x1)),
        )
        .y_axis(Axis::default().bounds([y0, y1]).labels(labels(y0, y1)))
        .render(area, buffer);
}

/// How far something is.
pub(super) fn gauge(done: Option<f64>, label: String, area: Rect, buffer: &mut Buffer) {
    Gauge::default()
        .ratio(done.unwrap_or(0.0).clamp(0.0, 1.0))
        .label(label)
        .use_unicode(true)
        .gauge_style(Style::new().fg(Color::Cyan))
        .render(area, buffer);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_its_first_row_at_the_bottom_and_the_best_of_tiles_that_share_a_place() {
        let map = Map {
            columns: 4,
            rows: 2,
            values: vec![0.0, 1.0, f64::NAN, f64::NAN, 2.0, f64::NAN, f64::NAN, f64::NAN],
            title: "t".into(),
        };
        let area = Rect::new(0, 0, 4, 3);
        let mut buffer = Buffer::empty(area);
        map.render(area, &mut buffer);
        let cell = |x: u16| (buffer[(x, 1)].fg, buffer[(x, 1)].bg);
        assert_eq!(
            cell(1),
            (colour(1.0), colour(0.5)),
            "above the elite of 2, below the better of 0 and 1"
        );
        assert_eq!(cell(2), (EMPTY, EMPTY));
        let letters = |x: u16| letter(&buffer[(x, 1)]);
        assert_eq!((letters(1), letters(2), letters(0)), ("█", " ", "│"));
    }
}
