//! A drawing as a whole: its size, its head, and the files that it becomes.

use std::fmt::Write as _;

use super::axes::{MARGIN, RIGHT, text_width};
use super::{FONTS, escape};

/// Height of ordinary text in units of a drawing.
pub const TEXT: f64 = 13.0;
/// Drawings narrower than this have their head at the left edge, and a smaller title.
const NARROW: f64 = 600.0;
/// Room at the edges.
const EDGE: f64 = 14.0;
/// From one line of text to the next, in font sizes.
const LEADING: f64 = 1.32;

/// What is drawn, in units of which 13 are the height of ordinary text, as the inside of an SVG.
pub struct Drawing {
    pub size: [f64; 2],
    pub body: String,
}

impl Drawing {
    /// Of nothing.
    pub(super) fn empty() -> Drawing {
        Drawing {
            size: [400.0, 400.0],
            body: String::new(),
        }
    }

    /// As SVG text: a pixel for a unit, or so many millimetres wide.
    pub fn svg(&self, millimetres: Option<f64>) -> String {
        let [width, height] = self.size;
        let shown = |units: f64| match millimetres {
            Some(mm) => format!("{:.3}mm", units * mm / width),
            None => format!("{units}"),
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"{FONTS}\" font-size=\"{TEXT}\" fill=\"#222\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n{}</svg>\n",
            shown(width),
            shown(height),
            self.body
        )
    }
}

/// Title and subtitle, in as many lines as they need.
pub(super) struct Head {
    /// Where it begins, and a legend below it.
    pub left: f64,
    /// Font size, colour and text of each line.
    lines: Vec<(f64, &'static str, String)>,
}

impl Head {
    /// Of a drawing so wide; in wide ones it stands above `left`.
    pub fn new(title: &str, subtitle: &str, width: f64, left: f64) -> Head {
        let large = if width < NARROW { 16.0 } else { 19.0 };
        Head::of([(title, large), (subtitle, TEXT)], width, left)
    }

    /// Of a part of such a drawing.
    pub fn section(heading: &str, explanation: &str, width: f64, left: f64) -> Head {
        Head::of(
            [(heading, if width < NARROW { 15.0 } else { 16.0 }), (explanation, TEXT)],
            width,
            left,
        )
    }

    fn of([title, subtitle]: [(&str, f64); 2], width: f64, left: f64) -> Head {
        let left = if width < NARROW { EDGE } else { left };
        let lines = |(text, size): (&str, f64), colour: &'static str| {
            let lines = wrapped(text, size, width - left - EDGE).into_iter();
            lines.map(|line| (size, colour, line)).collect::<Vec<_>>()
        };
        Head {
            left,
            lines: [lines(title, "#222"), lines(subtitle, "#555")].concat(),
        }
    }

    fn height(&self) -> f64 {
        self.lines.iter().map(|(size, ..)| size * LEADING).sum::<f64>() + 8.0
    }

    /// Where what follows it may begin, at the top of a drawing.
    pub fn bottom(&self) -> f64 {
        EDGE + self.height()
    }

    pub fn draw(&self, svg: &mut String) {
        self.draw_at(svg, EDGE);
    }

    /// Draws it from `top` on; gives where what follows may begin.
    pub fn draw_at(&self, svg: &mut String, top: f64) -> f64 {
        let mut y = top;
        for (size, colour, line) in &self.lines {
            y += size * LEADING;
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{:.2}\" font-size=\"{size}\" fill=\"{colour}\">{}</text>",
                self.left,
                y - 0.25 * size,
                escape(line)
            );
        }
        top + self.height()
    }
}

/// Width that a head in one line each asks for.
pub(super) fn head_width(title: &str, subtitle: &str) -> f64 {
    MARGIN[0] + text_width(title, 19.0).max(text_width(subtitle, TEXT)) + RIGHT
}

/// A text in lines no wider than there is room; words that are wider are broken.
pub(super) fn wrapped(text: &str, font_size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let fits = |line: &str| text_width(line, font_size) <= room;
    for word in text.split_whitespace() {
        let joined = lines
            .last()
            .map(|line| format!("{line} {word}"))
            .filter(|line| fits(line));
        if let (Some(joined), Some(last)) = (joined, lines.last_mut()) {
            *last = joined;
            continue;
        }
        lines.push(String::new());
        for letter in word.chars() {
            let line = lines.last_mut().expect("there is one");
            line.push(letter);
            if !fits(line) && line.chars().count() > 1 {
                line.pop();
                lines.push(letter.into());
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_words_and_long_words_are_broken() {
        // A letter of size 10 is 5 wide.
        assert_eq!(wrapped("one two three", 10.0, 40.0), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij k", 10.0, 20.0), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrapped("", 10.0, 20.0), Vec::<String>::new());
        assert_eq!(wrapped("wide", 10.0, 1.0), ["w", "i", "d", "e"]);
    }

    #[test]
    fn a_drawing_says_how_wide_it_is_and_keeps_its_shape() {
        let drawing = Drawing {
            size: [400.0, 200.0],
            body: String::new(),
        };
        assert!(drawing.svg(None).contains("width=\"400\" height=\"200\""));
        assert!(
            drawing
                .svg(Some(80.0))
                .contains("width=\"80.000mm\" height=\"40.000mm\" viewBox=\"0 0 400 200\"")
        );
    }
}
