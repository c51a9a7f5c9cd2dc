//! A few frames of an animation on one sheet, with step and score.

use std::fmt::Write as _;

use illume_core::{Error, Result};
use resvg::tiny_skia::{Color, Pixmap, PixmapPaint, Transform};

use super::{Animation, Frame};
use crate::engine::output::{significant, thousands};
use crate::render::plot;

/// Pixels between frames and around them, and for a label below each.
const GAP: usize = 12;
const LABEL: usize = 24;
/// Pixels of a label's letters.
const LETTERS: usize = 14;
/// A sheet is about so much wider than high.
const SHAPE: f64 = 1.6;

/// A sheet as PNG: `frames` frames evenly spread over the animation, first and last among them (or all, if there are fewer), `scale`
/// pixels for each of the animation's.
///
/// # Errors
/// The sheet is too large.
pub fn strip(animation: &Animation, frames: usize, scale: usize) -> Result<Vec<u8>> {
    let chosen = spread(&animation.frames, frames);
    let [width, height] = animation.size.map(|n| n * scale);
    let (cell_width, cell_height) = (width.max(8 * LETTERS) + GAP, height + LABEL + GAP);
    let columns = columns(chosen.len(), cell_width as f64 / cell_height as f64);
    let rows = chosen.len().div_ceil(columns);
    let (sheet_width, sheet_height) = (columns * cell_width + GAP, rows * cell_height + GAP);
    let size = [sheet_width, sheet_height].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let large = || {
        Error::input(format!(
            "a sheet of {} frames of {width} x {height} pixels is too large: fewer --frames or a smaller --scale make it fit",
            chosen.len()
        ))
    };
    let most = |n: u32| n <= 1 << 15;
    let mut sheet = size
        .iter()
        .all(|&n| most(n))
        .then(|| Pixmap::new(size[0], size[1]))
        .flatten()
        .ok_or_else(large)?;
    sheet.fill(Color::WHITE);
    let mut labels =
        format!("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{sheet_width}\" height=\"{sheet_height}\" ");
    let _ = writeln!(
        labels,
        "font-family=\"{}\" font-size=\"{LETTERS}\" fill=\"#222\">",
        plot::FONTS
    );
    for (i, frame) in chosen.iter().enumerate() {
        let (x, y) = (GAP + i % columns * cell_width, GAP + i / columns * cell_height);
        put(&mut sheet, frame, animation.size[0], [x, y], scale);
        let _ = writeln!(
            labels,
            "<text x=\"{x}\" y=\"{}\">step {}, score {}</text>",
            y + height + LETTERS + 4,
            thousands(u64::from(frame.step)),
            significant(frame.reward)
        );
    }
    let text = plot::render(&(labels + "</svg>"), 1.0)?;
    sheet.draw_pixmap(
        0,
        0,
        text.as_ref(),
        &PixmapPaint::default(),
        Transform::identity(),
        None,
    );
    sheet
        .encode_png()
        .map_err(|e| Error::failed(format!("the sheet cannot be encoded: {e}")))
}

/// Columns for so many frames, which are `aspect` times as wide as high: a sheet of about the right shape without much empty space.
fn columns(frames: usize, aspect: f64) -> usize {
    let wanted = (frames as f64 * SHAPE / aspect).sqrt();
    let cost = |columns: &usize| {
        let empty = columns * frames.div_ceil(*columns) - frames;
        empty as f64 / frames as f64 + (*columns as f64 / wanted).ln().abs()
    };
    (1..=frames.max(1))
        .min_by(|a, b| cost(a).total_cmp(&cost(b)))
        .unwrap_or(1)
}

/// So many of the frames, evenly spread from the first to the last; one alone is the last.
fn spread(frames: &[Frame], n: usize) -> Vec<&Frame> {
    let last = frames.len().saturating_sub(1);
    if n > last {
        return frames.iter().collect();
    }
    let place = |i: usize| {
        if n == 1 {
            last
        } else {
            (i * last + (n - 1) / 2) / (n - 1)
        }
    };
    (0..n).map(|i| &frames[place(i)]).collect()
}

/// Copies a frame onto the sheet, each pixel as a square.
fn put(sheet: &mut Pixmap, frame: &Frame, width: usize, [left, top]: [usize; 2], scale: usize) {
    let stride = 4 * sheet.width() as usize;
    let data = sheet.data_mut();
    for (at, [r, g, b]) in frame.rgb.as_chunks::<3>().0.iter().enumerate() {
        let (x, y) = (left + at % width * scale, top + at / width * scale);
        for row in y..y + scale {
            let from = row * stride + 4 * x;
            data[from..from + 4 * scale]
                .as_chunks_mut::<4>()
                .0
                .fill([*r, *g, *b, 255]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_has_few_empty_places() {
        assert_eq!([1, 2, 6, 12, 13, 20].map(|n| columns(n, 1.0)), [1, 2, 3, 4, 5, 5]);
        assert_eq!(columns(12, 0.76), 6);
    }

    #[test]
    fn frames_are_spread_from_the_first_to_the_last() {
        let frames: Vec<Frame> = (0..10)
            .map(|step| Frame {
                step,
                reward: 0.0,
                rgb: Vec::new(),
            })
            .collect();
        let steps = |n| spread(&frames, n).iter().map(|p| p.step).collect::<Vec<_>>();
        assert_eq!(steps(4), [0, 3, 6, 9]);
        assert_eq!(steps(2), [0, 9]);
        assert_eq!(steps(1), [9]);
        assert_eq!(steps(50).len(), 10);
        assert!(spread(&[], 3).is_empty());
    }
}
