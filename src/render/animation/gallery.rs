//! Many animations side by side on a sheet with axes: what an archive can do.

use std::fmt::Write as _;

use illume_core::{Axis, Error, Result};

use super::{Animation, Frame, MOST_BYTES};
use crate::engine::output::significant;
use crate::render::plot;

/// Pixels left of the tiles, above, to their right and below; between tiles, and for the caption below each.
const LEFT: usize = 70;
const TOP: usize = 66;
const RIGHT: usize = 18;
const BOTTOM: usize = 52;
const GAP: usize = 8;
const CAPTION: usize = 18;

/// A tile is at most so wide; larger frames are shrunk to a whole fraction.
const MOST_WIDTH: usize = 200;

/// How much of a tile's colours is left when its episode is over.
const FADED: f32 = 0.55;

/// An elite in a gallery.
pub struct Tile {
    pub animation: Animation,
    /// It stands below.
    pub fitness: f64,
}

/// Tiles over one or two axes.
pub struct Gallery<'a> {
    pub title: String,
    pub subtitle: String,
    /// The horizontal one, and the vertical one if there is one.
    pub axes: Vec<&'a Axis>,
    /// Columns and rows.
    pub shape: [usize; 2],
    /// `[rows, columns]`, from the axes' lower bounds on; none where there is no elite. All animations have the same size and pace.
    pub tiles: Vec<Option<Tile>>,
}

impl Gallery<'_> {
    /// All tiles at once, each from its start; one whose episode is over pales.
    ///
    /// # Errors
    /// The sheet is too large.
    pub fn moving(&self) -> Result<Animation> {
        let sheet = Sheet::new(self)?;
        let animations = || self.tiles.iter().flatten().map(|tile| &tile.animation);
        let last = animations()
            .filter_map(|a| a.frames.last())
            .map(|f| f.step)
            .max()
            .unwrap_or(0);
        let wanted = animations().map(|a| a.every).max().unwrap_or(1).max(1);
        let mut every = wanted;
        while every < last && (last / every + 2) as usize * sheet.empty.len() > MOST_BYTES {
            every *= 2;
        }
        let mut steps: Vec<u32> = (0..last).step_by(every as usize).collect();
        steps.push(last);
        let frame = |step: u32| {
            let mut rgb = sheet.empty.clone();
            for (number, tile) in self.tiles.iter().enumerate() {
                let Some(tile) = tile else { continue };
                let frames = &tile.animation.frames;
                let now = frames.partition_point(|f| f.step <= step).saturating_sub(1);
                let over = frames.last().is_some_and(|f| f.step < step);
                sheet.put(&mut rgb, number, &frames[now], if over { FADED } else { 1.0 });
            }
            Frame { step, reward: 0.0, rgb }
        };
        Ok(Animation {
            size: sheet.size,
            frames: steps.into_iter().map(frame).collect(),
            every,
            thinned: every > wanted,
            steps_per_second: animations().next().map_or(1.0, |a| a.steps_per_second),
            ..Animation::default()
        })
    }

    /// One frame: of each tile the moment in the middle of its episode, or the last where that shows all of it.
    ///
    /// # Errors
    /// The sheet is too large.
    pub fn picture(&self) -> Result<Animation> {
        let sheet = Sheet::new(self)?;
        let mut rgb = sheet.empty.clone();
        for (number, tile) in self.tiles.iter().enumerate() {
            let Some(Tile { animation, .. }) = tile else { continue };
            let last = animation.frames.len() - 1;
            let moment = if animation.last_tells_all { last } else { last / 2 };
            sheet.put(&mut rgb, number, &animation.frames[moment], 1.0);
        }
        Ok(Animation {
            size: sheet.size,
            frames: vec![Frame {
                step: 0,
                reward: 0.0,
                rgb,
            }],
            every: 1,
            steps_per_second: 1.0,
            ..Animation::default()
        })
    }
}

/// The sheet without tiles, and where they go.
struct Sheet {
    size: [usize; 2],
    empty: Vec<u8>,
    shape: [usize; 2],
    /// Width of the tiles' own frames, and how many of their pixels make one.
    own: usize,
    shrunk: usize,
    tile: [usize; 2],
    left: usize,
    /// Whether rows are counted from above: so they are where they stand in the tiles' own frames.
    downward: bool,
}

impl Sheet {
    fn new(gallery: &Gallery<'_>) -> Result<Sheet> {
        let [columns, rows] = gallery.shape;
        let first = gallery.tiles.iter().flatten().next();
        let own = first.map_or([1, 1], |tile| tile.animation.size);
        let shrunk = own[0].div_ceil(MOST_WIDTH).max(1);
        let tile = own.map(|n| (n / shrunk).max(1));
        let left = if gallery.axes.len() > 1 { LEFT } else { RIGHT };
        let size = [
            left + columns * (tile[0] + GAP) - GAP + RIGHT,
            TOP + rows * (tile[1] + CAPTION) + BOTTOM,
        ];
        let large = || {
            let [width, height] = size;
            Error::input(format!(
                "a gallery of {columns} x {rows} tiles of {} x {} pixels makes a sheet of {width} x {height}, which is too large: fewer tiles or a smaller --size make it fit",
                tile[0], tile[1]
            ))
        };
        // Of an animation, two frames at least.
        if size.iter().any(|n| *n > 1 << 14) || 6 * size[0] * size[1] > MOST_BYTES {
            return Err(large());
        }
        let mut sheet = Sheet {
            size,
            empty: Vec::new(),
            shape: gallery.shape,
            own: own[0],
            shrunk,
            tile,
            left,
            downward: first.is_some_and(|tile| tile.animation.second_axis_goes_down),
        };
        let pixels = plot::render(&sheet.drawing(gallery), 1.0)?;
        sheet.empty = pixels
            .pixels()
            .iter()
            .flat_map(|p| [p.red(), p.green(), p.blue()])
            .collect();
        Ok(sheet)
    }

    /// Left upper corner of a tile.
    fn corner(&self, number: usize) -> [usize; 2] {
        let [columns, rows] = self.shape;
        let (column, row) = (number % columns, number / columns);
        let row = if self.downward { row } else { rows - 1 - row };
        [
            self.left + column * (self.tile[0] + GAP),
            TOP + row * (self.tile[1] + CAPTION),
        ]
    }

    /// Titles, axes, captions, and a pale rectangle for each tile.
    fn drawing(&self, gallery: &Gallery<'_>) -> String {
        let ([width, height], [tile_width, tile_height]) = (self.size, self.tile);
        let mut svg = format!(
            "<text x=\"{0}\" y=\"34\" font-size=\"19\">{1}</text>\n<text x=\"{0}\" y=\"57\" fill=\"#555\">{2}</text>\n",
            self.left,
            plot::escape(&gallery.title),
            plot::escape(&gallery.subtitle)
        );
        for (number, tile) in gallery.tiles.iter().enumerate() {
            let [x, y] = self.corner(number);
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{tile_width}\" height=\"{tile_height}\" fill=\"#f1f2f3\"/>"
            );
            let caption = tile.as_ref().map_or(String::new(), |tile| short(tile.fitness));
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" font-size=\"12\" fill=\"#555\" text-anchor=\"middle\">{}</text>",
                x + tile_width / 2,
                y + tile_height + 13,
                plot::escape(&caption)
            );
        }
        let [columns, rows] = self.shape;
        let foot = height - BOTTOM;
        let value = |axis: &Axis, share: f64| short(axis.lower + share * (axis.upper - axis.lower));
        let mut text = |place: String, label: &str| {
            let _ = writeln!(svg, "<text {place}>{}</text>", plot::escape(label));
        };
        if let Some(axis) = gallery.axes.first() {
            // Edges of the parts lie between tiles.
            for edge in 0..=columns {
                let x = self.left as f64 + (edge * (tile_width + GAP)) as f64 - GAP as f64 / 2.0;
                let anchor = "text-anchor=\"middle\"";
                text(
                    format!("x=\"{x}\" y=\"{}\" {anchor}", foot + 16),
                    &value(axis, edge as f64 / columns as f64),
                );
            }
            let middle = (self.left + width - RIGHT) / 2;
            text(
                format!(
                    "x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" font-size=\"14\"",
                    foot + 38
                ),
                &plot::named(&axis.name.replace('_', " "), &axis.unit),
            );
        }
        if let Some(axis) = gallery.axes.get(1) {
            for edge in 0..=rows {
                let below = if self.downward { rows - edge } else { edge };
                let y = foot as f64 - (below * (tile_height + CAPTION)) as f64;
                let y = if below == 0 { y - CAPTION as f64 / 2.0 } else { y };
                text(
                    format!("x=\"{}\" y=\"{}\" text-anchor=\"end\"", self.left - 8, y + 4.0),
                    &value(axis, edge as f64 / rows as f64),
                );
            }
            let middle = (TOP + foot) / 2;
            text(
                format!(
                    "x=\"18\" y=\"{middle}\" text-anchor=\"middle\" font-size=\"14\" transform=\"rotate(-90 18 {middle})\""
                ),
                &plot::named(&axis.name.replace('_', " "), &axis.unit),
            );
        }
        let size = [width as f64, height as f64];
        plot::Drawing { size, body: svg }.svg(None)
    }

    /// Puts a frame into its place, with so much of its colours.
    fn put(&self, rgb: &mut [u8], number: usize, frame: &Frame, strength: f32) {
        let ([left, top], [width, height], n) = (self.corner(number), self.tile, self.shrunk);
        let samples = (n * n) as f32;
        for y in 0..height {
            for x in 0..width {
                let at = 3 * ((top + y) * self.size[0] + left + x);
                for channel in 0..3 {
                    let value = |dy: usize, dx: usize| {
                        f32::from(frame.rgb[3 * ((y * n + dy) * self.own + x * n + dx) + channel])
                    };
                    let sum: f32 = (0..n * n).map(|i| value(i / n, i % n)).sum();
                    let mean = sum / samples;
                    rgb[at + channel] = (255.0 + strength * (mean - 255.0)).round() as u8;
                }
            }
        }
    }
}

/// A number of four digits, or of all before its point.
fn short(x: f64) -> String {
    let digits = if x == 0.0 {
        0
    } else {
        3 - x.abs().log10().floor() as i32
    };
    let unit = 10f64.powi(digits.clamp(0, 300));
    significant((x * unit).round() / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits_or_all_before_the_point() {
        let said = [0.0, 37.8333, -0.123456, 123456.7, 668.693, 2.0].map(short);
        assert_eq!(said, ["0", "37.83", "-0.1235", "123457", "668.7", "2"]);
        assert_eq!(short(f64::MAX), significant(f64::MAX));
    }

    /// An animation of one colour for so many steps.
    fn plain(colour: u8, steps: u32) -> Animation {
        let frame = |step| Frame {
            step,
            reward: 0.0,
            rgb: vec![if step == steps { colour + 1 } else { colour }; 3 * 40 * 20],
        };
        Animation {
            size: [40, 20],
            frames: (0..=steps).map(frame).collect(),
            every: 1,
            steps_per_second: 10.0,
            ..Animation::default()
        }
    }

    #[test]
    fn tiles_stand_where_their_axes_say_and_pale_when_they_are_over() {
        let axes = [Axis::new("x", "m", -1.0, 1.0), Axis::new("y", "", 0.0, 4.0)];
        let tile = |colour, steps| {
            Some(Tile {
                animation: plain(colour, steps),
                fitness: 1.0,
            })
        };
        let gallery = Gallery {
            title: "task".into(),
            subtitle: String::new(),
            axes: axes.iter().collect(),
            shape: [3, 2],
            tiles: vec![tile(10, 4), None, tile(30, 6), None, tile(50, 2), None],
        };
        let moving = gallery.moving().unwrap();
        let size = [LEFT + 3 * 48 - GAP + RIGHT, TOP + 2 * 38 + BOTTOM];
        assert_eq!((moving.size, moving.frames.len()), (size, 7));
        let pixel = |frame: &Frame, column: usize, row: usize| {
            let (x, y) = (LEFT + column * 48 + 20, TOP + row * 38 + 10);
            frame.rgb[3 * (y * size[0] + x)]
        };
        // The lower row of the sheet is that of the lower part of the second axis.
        let at = |step: usize| {
            [(0, 1), (1, 1), (2, 1), (0, 0), (1, 0), (2, 0)].map(|(c, r)| pixel(&moving.frames[step], c, r))
        };
        assert_eq!(at(0), [10, 0xf1, 30, 0xf1, 50, 0xf1]);
        let faded = |x: f32| (255.0 - FADED * (255.0 - x)).round() as u8;
        assert_eq!(at(3), [10, 0xf1, 30, 0xf1, faded(51.0), 0xf1]);
        assert_eq!(at(6), [faded(11.0), 0xf1, 31, 0xf1, faded(51.0), 0xf1]);
        let mut maze = gallery.tiles;
        for tile in maze.iter_mut().flatten() {
            tile.animation.second_axis_goes_down = true;
        }
        let gallery = Gallery { tiles: maze, ..gallery };
        let picture = gallery.picture().unwrap();
        assert_eq!(picture.frames.len(), 1);
        assert_eq!(
            pixel(&picture.frames[0], 0, 0),
            10,
            "the middle of the episode, rows from above"
        );
    }
}
