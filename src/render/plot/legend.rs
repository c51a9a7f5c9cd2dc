//! Legends: names with their symbols, in columns above panels.

use std::fmt::Write as _;

use super::axes::{MARGIN, text_width};
use super::escape;

const LINE: f64 = 24.0;
/// Where a name begins, seen from its symbol.
const NAME: f64 = 34.0;
/// Between two entries.
const GAP: f64 = 22.0;
const FONT_SIZE: f64 = 14.0;

pub(super) struct Legend {
    entries: Vec<String>,
    /// Entries of a line.
    columns: usize,
    /// Width of a column.
    width: f64,
}

fn widest<'a>(entries: impl Iterator<Item = &'a String>) -> f64 {
    let widths = entries.map(|entry| NAME + text_width(entry, FONT_SIZE) + GAP);
    widths.fold(0.0, f64::max)
}

impl Legend {
    /// In as many columns as a plot so wide has room for, from its left margin on.
    pub fn new(entries: Vec<String>, plot_width: f64) -> Legend {
        let width = widest(entries.iter());
        Legend {
            columns: (((plot_width - MARGIN[0]) / width) as usize).clamp(1, entries.len().max(1)),
            entries,
            width,
        }
    }

    /// How wide a plot has to be for the longest entry.
    pub fn least_width<'a>(entries: impl Iterator<Item = &'a String>) -> f64 {
        MARGIN[0] + widest(entries)
    }

    pub fn height(&self) -> f64 {
        LINE * self.entries.len().div_ceil(self.columns) as f64
    }

    /// Where an entry begins, seen from the first line at the plot's left edge.
    fn place(&self, number: usize) -> [f64; 2] {
        let [x, y] = [number % self.columns, number / self.columns].map(|n| n as f64);
        [MARGIN[0] + x * self.width, y * LINE]
    }

    /// Draws it, the first line being at `top`; `symbol` draws the symbol of an entry, 26 units wide, from a place to the right.
    pub fn draw(&self, svg: &mut String, top: f64, symbol: impl Fn(&mut String, usize, [f64; 2])) {
        for (i, entry) in self.entries.iter().enumerate() {
            let [x, y] = self.place(i);
            symbol(svg, i, [x, top + y]);
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" font-size=\"{FONT_SIZE}\">{}</text>",
                x + NAME,
                top + y + 5.0,
                escape(entry)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stand_in_columns_and_a_plot_may_have_to_be_as_wide_as_the_longest() {
        let entries: Vec<String> = [10, 60, 10].map(|n| "x".repeat(n)).to_vec();
        let wide = Legend::least_width(entries.iter());
        let column = wide - MARGIN[0];
        for (plot, columns) in [(wide, 1), (wide + column, 2), (wide + 1.99 * column, 2), (1e9, 3)] {
            let legend = Legend::new(entries.clone(), plot);
            assert_eq!(legend.columns, columns, "{plot}");
            assert_eq!(legend.height(), LINE * 3_usize.div_ceil(columns) as f64);
            for i in 0..3 {
                let [x, y] = legend.place(i);
                assert!(x + column <= plot && y + LINE <= legend.height(), "{plot}: {i}");
            }
        }
        assert_eq!(Legend::new(Vec::new(), wide).height(), 0.0);
    }
}
