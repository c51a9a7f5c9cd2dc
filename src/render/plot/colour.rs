//! Colours: of numbers, on a scale that runs one way or two, and of categories; with the bar or the legend that explains them.

use std::fmt::Write as _;

use super::axes::{Scale, Tick, text_width};
use super::escape;

/// Colours that colour-blind readers tell apart (Okabe and Ito, 'Color universal design', 2008), without its yellow.
const CATEGORIES: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
];
/// Two more for areas, on which yellow is seen: theirs, and a wine red of Tol ('Colour schemes', 2021).
const MORE: [&str; 2] = ["#f0e442", "#882255"];
/// When the colours are used up.
const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];
/// Where nothing is, and where there is an elite without a number.
pub(super) const EMPTY: &str = "#eceef0";
pub(super) const UNKNOWN: &str = "#9aa0a6";
/// Colours between the lowest and the highest number.
const LEVELS: usize = 128;
/// A colour bar: its width, the room left of it, and between its numbers and the edge.
const BAR: f64 = 18.0;
const BEFORE_BAR: f64 = 22.0;
const AFTER_BAR: f64 = 10.0;

/// From the categories' blue over a light grey to their vermilion: colour-blind readers see the two ends apart, and the middle is lightest.
const DIVERGING: [[u8; 3]; 5] = [
    [0, 73, 131],
    [86, 160, 211],
    [247, 247, 247],
    [236, 146, 84],
    [163, 61, 0],
];

pub(super) fn colour(number: usize) -> &'static str {
    CATEGORIES[number % CATEGORIES.len()]
}

/// The colour of an area.
pub(super) fn area(number: usize) -> &'static str {
    let number = number % (CATEGORIES.len() + MORE.len());
    CATEGORIES
        .get(number)
        .copied()
        .unwrap_or_else(|| MORE[number - CATEGORIES.len()])
}

/// The attribute of a line, with which it is told from others of its colour.
pub(super) fn dash(number: usize) -> String {
    match DASHES[number / CATEGORIES.len() % DASHES.len()] {
        "" => String::new(),
        dash => format!(" stroke-dasharray=\"{dash}\""),
    }
}

/// How numbers become colours.
#[derive(Debug, Clone, PartialEq)]
pub enum Colours {
    /// From the lowest to the highest number, dark to light.
    Sequential { low: f64, high: f64, name: String },
    /// From minus `reach` over 0 to `reach`, which are of two colours.
    Diverging { reach: f64, name: String },
    /// Numbers are positions in this list.
    Categories { names: Vec<String>, name: String },
}

impl Colours {
    /// Those of a column: its categories, or a scale over the range that is asked for, else over its finite values. None where there is no value.
    pub fn of(
        name: &str,
        categories: &[String],
        values: impl Iterator<Item = f64>,
        range: Option<[f64; 2]>,
    ) -> Colours {
        if !categories.is_empty() {
            return Colours::Categories {
                names: categories.to_vec(),
                name: name.into(),
            };
        }
        let [low, high] = range.unwrap_or_else(|| ends(values));
        Colours::Sequential {
            low,
            high,
            name: name.into(),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Colours::Sequential { name, .. } | Colours::Diverging { name, .. } | Colours::Categories { name, .. } => {
                name
            }
        }
    }

    pub(super) fn levels(&self) -> usize {
        match self {
            Colours::Categories { names, .. } => names.len(),
            _ => LEVELS,
        }
    }

    fn ends(&self) -> [f64; 2] {
        match self {
            Colours::Sequential { low, high, .. } => [*low, *high],
            Colours::Diverging { reach, .. } => [-reach, *reach],
            Colours::Categories { names, .. } => [0.0, names.len() as f64 - 1.0],
        }
    }

    /// Which of the colours a number has: beyond the ends that of the end. None for one that is not finite or of no category.
    pub(super) fn level(&self, value: f64) -> Option<usize> {
        if !value.is_finite() {
            return None;
        }
        let [low, high] = self.ends();
        match self {
            Colours::Categories { names, .. } => (value >= 0.0 && value < names.len() as f64).then_some(value as usize),
            Colours::Diverging { .. } if high == 0.0 => Some(LEVELS / 2),
            _ if high > low => {
                Some((((value - low) / (high - low)).clamp(0.0, 1.0) * (LEVELS - 1) as f64).round() as usize)
            }
            _ => Some(LEVELS - 1),
        }
    }

    /// The colour of a level.
    pub(super) fn paint(&self, level: usize) -> String {
        let share = level as f64 / (LEVELS - 1) as f64;
        match self {
            Colours::Sequential { .. } => text(viridis(share)),
            Colours::Diverging { .. } => text(mixed(&DIVERGING, share)),
            Colours::Categories { .. } => area(level).into(),
        }
    }

    /// What stands in the legend above a drawing, one entry for each category.
    pub(super) fn entries(&self) -> &[String] {
        match self {
            Colours::Categories { names, .. } => names,
            _ => &[],
        }
    }

    /// The ticks of the bar.
    fn ticks(&self) -> Vec<Tick> {
        let [low, high] = self.ends();
        if low > high || matches!(self, Colours::Categories { .. }) {
            return Vec::new();
        }
        let scale = Scale::plain(low, high);
        if low == high {
            let mut only = scale.labelled(&[low]);
            only[0].share = 0.5;
            return only;
        }
        scale.labelled(&scale.ticks(6))
    }

    /// How much room the bar needs to the right of a drawing; none of categories, or where there is no number.
    pub(super) fn bar_width(&self) -> f64 {
        let widest = self
            .ticks()
            .iter()
            .map(|t| text_width(&t.label, 13.0))
            .fold(f64::NAN, f64::max);
        if widest.is_nan() {
            return 0.0;
        }
        (BEFORE_BAR + BAR + 9.0 + widest + AFTER_BAR).max(text_width(self.name(), 15.0) + BEFORE_BAR)
    }

    /// Draws the bar beside a drawing whose right upper corner is there; its name stands above.
    pub(super) fn draw_bar(&self, svg: &mut String, [right, top]: [f64; 2], height: f64) {
        let ticks = self.ticks();
        if ticks.is_empty() {
            return;
        }
        let (x, h) = (right + BEFORE_BAR, height / LEVELS as f64);
        for level in 0..LEVELS {
            let y = top + height - (level + 1) as f64 * h;
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{BAR}\" height=\"{:.2}\" fill=\"{}\"/>",
                h + 0.4,
                self.paint(level)
            );
        }
        for tick in ticks {
            let y = top + height * (1.0 - tick.share);
            let _ = writeln!(
                svg,
                "<path stroke=\"#444\" d=\"M{:.2} {y:.2}h5\"/><text x=\"{:.2}\" y=\"{:.2}\">{}</text>",
                x + BAR,
                x + BAR + 9.0,
                y + 4.5,
                tick.label
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{x:.2}\" y=\"{:.2}\" font-size=\"15\">{}</text>",
            top - 11.0,
            escape(self.name())
        );
    }
}

/// The lowest and the highest of the finite values; the first is above the second if there is none.
pub(super) fn ends(values: impl Iterator<Item = f64>) -> [f64; 2] {
    values
        .filter(|x| x.is_finite())
        .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| {
            [low.min(x), high.max(x)]
        })
}

/// The colour map viridis (van der Walt and Smith, CC0) at eleven of its points, interpolated; from 0, dark, to 1, light.
pub(crate) fn viridis(share: f64) -> [u8; 3] {
    const POINTS: [[u8; 3]; 11] = [
        [68, 1, 84],
        [72, 36, 117],
        [65, 68, 135],
        [53, 95, 141],
        [42, 120, 142],
        [33, 145, 140],
        [34, 168, 132],
        [68, 191, 112],
        [122, 209, 81],
        [189, 223, 38],
        [253, 231, 37],
    ];
    mixed(&POINTS, share)
}

/// A colour between points, a share of the way along them.
fn mixed(points: &[[u8; 3]], share: f64) -> [u8; 3] {
    let at = share.clamp(0.0, 1.0) * (points.len() - 1) as f64;
    let i = (at as usize).min(points.len() - 2);
    [0, 1, 2].map(|c| {
        let (a, b) = (f64::from(points[i][c]), f64::from(points[i + 1][c]));
        (a + (b - a) * (at - i as f64)).round() as u8
    })
}

fn text([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_colours_of_their_place_between_the_ends() {
        let scale = Colours::of("x", &[], [2.0, f64::NAN, 4.0, f64::INFINITY].into_iter(), None);
        assert_eq!(scale.ends(), [2.0, 4.0]);
        assert_eq!(
            [2.0, 4.0, 1.0, 9.0, f64::NAN].map(|x| scale.level(x)),
            [Some(0), Some(127), Some(0), Some(127), None]
        );
        assert_eq!((scale.paint(0), scale.paint(127)), ("#440154".into(), "#fde725".into()));
        let given = Colours::of("x", &[], [2.0].into_iter(), Some([0.0, 10.0]));
        assert_eq!(given.ends(), [0.0, 10.0]);
        let difference = Colours::Diverging {
            reach: 3.0,
            name: String::new(),
        };
        assert_eq!([-3.0, 3.0].map(|x| difference.level(x)), [Some(0), Some(127)]);
        assert_eq!(
            [0, 127].map(|level| difference.paint(level)),
            ["#004983".to_string(), "#a33d00".to_string()]
        );
        let equal = Colours::of("x", &[], [5.0, 5.0].into_iter(), None);
        assert_eq!((equal.level(5.0), equal.ticks().len()), (Some(127), 1));
        let none = Colours::of("x", &[], std::iter::empty(), None);
        assert_eq!((none.bar_width(), none.ticks().len()), (0.0, 0));
    }

    #[test]
    fn categories_have_colours_of_their_own_and_a_number_of_none_has_none() {
        let names = ["random".to_string(), "iso_line".to_string()];
        let c = Colours::of("operator", &names, [0.0, 7.0].into_iter(), None);
        assert_eq!(
            [0.0, 1.0, 2.0, -1.0].map(|x| c.level(x)),
            [Some(0), Some(1), None, None]
        );
        assert_eq!((c.paint(1), c.entries()), ("#d55e00".into(), &names[..]));
        assert_eq!(c.bar_width(), 0.0);
    }
}
