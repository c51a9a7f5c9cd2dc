//! Legends: names with their symbols, in lines above panels.

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
    /// The entries of each line, with where they begin.
    lines: Vec<Vec<(usize, f64)>>,
}

fn width(entry: &str) -> f64 {
    NAME + text_width(entry, FONT_SIZE) + GAP
}

impl Legend {
    /// In lines that are as long as the picture is wide, from its left margin on.
    pub fn new(entries: Vec<String>, picture: f64) -> Legend {
        let mut lines: Vec<Vec<(usize, f64)>> = Vec::new();
        let mut x = f64::INFINITY;
        for (i, entry) in entries.iter().enumerate() {
            let width = width(entry);
            if x + width > picture {
                lines.push(Vec::new());
                x = MARGIN[0];
            }
            if let Some(line) = lines.last_mut() {
                line.push((i, x));
            }
            x += width;
        }
        Legend { entries, lines }
    }

    /// How wide a picture has to be for the longest entry.
    pub fn least_width<'a>(entries: impl Iterator<Item = &'a String>) -> f64 {
        MARGIN[0] + entries.map(|entry| width(entry)).fold(0.0, f64::max)
    }

    pub fn height(&self) -> f64 {
        LINE * self.lines.len() as f64
    }

    /// Draws it, the first line being at `top`; `symbol` draws the symbol of an entry, 26 units wide, from a place to the right.
    pub fn draw(&self, svg: &mut String, top: f64, symbol: impl Fn(&mut String, usize, [f64; 2])) {
        for (number, line) in self.lines.iter().enumerate() {
            let y = top + LINE * number as f64;
            for &(i, x) in line {
                symbol(svg, i, [x, y]);
                let _ = writeln!(
                    svg,
                    "<text x=\"{}\" y=\"{}\" font-size=\"{FONT_SIZE}\">{}</text>",
                    x + NAME,
                    y + 5.0,
                    escape(&self.entries[i])
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_do_not_fit_begin_another_line_and_the_picture_is_as_wide_as_the_longest() {
        let entries: Vec<String> = [10, 60, 10, 100].map(|n| "x".repeat(n)).to_vec();
        let wide = Legend::least_width(entries.iter());
        let legend = Legend::new(entries.clone(), wide);
        let lines: Vec<Vec<usize>> = legend
            .lines
            .iter()
            .map(|line| line.iter().map(|(i, _)| *i).collect())
            .collect();
        assert_eq!(lines, [vec![0, 1], vec![2], vec![3]]);
        for (i, x) in legend.lines.concat() {
            assert!(x + width(&entries[i]) <= wide, "{i}");
        }
        assert_eq!(legend.height(), 3.0 * LINE);
        assert_eq!(Legend::new(Vec::new(), wide).height(), 0.0);
    }
}
