//! Legends: names with their symbols, in columns above panels.

use std::fmt::Write as _;

use super::axes::{MARGIN, shortened, text_width};
use super::colour::{colour, dash};
use super::escape;

const LINE: f64 = 24.0;
/// Where a name begins, seen from its symbol.
const NAME: f64 = 34.0;
/// Between two entries.
const GAP: f64 = 22.0;
const FONT_SIZE: f64 = 14.0;

pub(super) struct Legend {
    entries: Vec<String>,
    left: f64,
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
    /// In as many columns as a plot so wide has room for right of `left`. Entries that are wider than all of it are cut.
    pub fn new(mut entries: Vec<String>, plot_width: f64, left: f64) -> Legend {
        let room = plot_width - left;
        let letters = ((room - NAME - GAP) / text_width("x", FONT_SIZE) + 0.01).max(8.0) as usize;
        entries.iter_mut().for_each(|entry| *entry = shortened(entry, letters));
        let width = widest(entries.iter());
        Legend {
            columns: ((room / width) as usize).clamp(1, entries.len().max(1)),
            entries,
            left,
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
        [self.left + x * self.width, y * LINE]
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

impl Legend {
    /// Draws it with the line of each entry's number, on a band where several runs are behind it.
    pub fn draw_lines(&self, svg: &mut String, top: f64, several: &[bool]) {
        self.draw(svg, top, |svg, i, [x, y]| {
            let (colour, dash) = (colour(i), dash(i));
            if several[i] {
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

    /// Draws it with a box of each entry's colour, the first line being at `top`.
    pub fn draw_boxes(&self, svg: &mut String, top: f64, keys: &[(String, String)]) {
        self.draw(svg, top, |svg, i, [x, y]| {
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.2}\" y=\"{:.2}\" width=\"26\" height=\"12\" fill=\"{}\"/>",
                y - 6.0,
                keys[i].1
            );
        });
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
            let legend = Legend::new(entries.clone(), plot, MARGIN[0]);
            assert_eq!(legend.columns, columns, "{plot}");
            assert_eq!(legend.height(), LINE * 3_usize.div_ceil(columns) as f64);
            for i in 0..3 {
                let [x, y] = legend.place(i);
                assert!(x + column <= plot && y + LINE <= legend.height(), "{plot}: {i}");
            }
        }
        assert_eq!(Legend::new(Vec::new(), wide, MARGIN[0]).height(), 0.0);
    }
}
