//! What becomes of raw frames: grey, the brighter of the last two, 84 x 84.
//!
//! As in the Deep GA program's `tf_atari.py`: luminance 0.299 R + 0.587 G + 0.114 B of the palette, maximum of the last two raw
//! frames pixel by pixel, TensorFlow's bilinear resizing with aligned corners. Frames are then rounded to bytes, where the original
//! keeps numbers between 0 and 1; all before is in single precision, in its order.

use crate::pixels::SIDE;

/// Where an output pixel lies between two input pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Between {
    low: usize,
    high: usize,
    /// Share of the second.
    share: f32,
}

/// Makes frames for networks out of a game's raw frames.
#[derive(Debug, Clone)]
pub struct Preprocessor {
    width: usize,
    /// Luminance in 0..=255 by pixel value.
    grey: Box<[f32; 256]>,
    rows: Vec<Between>,
    columns: Vec<Between>,
    /// The two input rows that an output row lies between, by their number, and their greys.
    lines: [(usize, Vec<f32>); 2],
}

impl Preprocessor {
    /// For screens of `height` rows of `width` pixels and a palette of 256 colors.
    pub fn new(width: usize, height: usize, palette: &[[u8; 3]]) -> Preprocessor {
        assert!(palette.len() == 256 && width > 0 && height > 0, "a screen");
        let mut grey = Box::new([0.0; 256]);
        for (grey, [r, g, b]) in grey.iter_mut().zip(palette) {
            *grey = f32::from(*r) * 0.299 + f32::from(*g) * 0.587 + f32::from(*b) * 0.114;
        }
        let line = (usize::MAX, vec![0.0; width]);
        Preprocessor {
            width,
            grey,
            rows: between(height),
            columns: between(width),
            lines: [line.clone(), line],
        }
    }

    /// The frame `[84, 84]` of the last raw frames `[height, width]`.
    pub fn take(&mut self, [newest, previous]: [&[u8]; 2], out: &mut [u8]) {
        let Preprocessor {
            width,
            grey,
            rows,
            columns,
            lines,
        } = self;
        lines.iter_mut().for_each(|(number, _)| *number = usize::MAX);
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(SIDE)) {
            // An input row may serve two output rows: as the second of one and the first of the next.
            if lines[1].0 == row.low {
                lines.swap(0, 1);
            }
            for (line, number) in lines.iter_mut().zip([row.low, row.high]) {
                if line.0 != number {
                    let place = number * *width..(number + 1) * *width;
                    brighter(grey, &newest[place.clone()], &previous[place], &mut line.1);
                    line.0 = number;
                }
            }
            let [(_, top), (_, bottom)] = &*lines;
            for (column, out) in columns.iter().zip(out) {
                let Between { low, high, share } = *column;
                let above = top[low] + (top[high] - top[low]) * share;
                let below = bottom[low] + (bottom[high] - bottom[low]) * share;
                *out = (above + (below - above) * row.share + 0.5) as u8;
            }
        }
    }
}

/// Greys of a row: the brighter of both frames.
fn brighter(grey: &[f32; 256], newest: &[u8], previous: &[u8], out: &mut [f32]) {
    if newest == previous {
        for (new, out) in newest.iter().zip(out) {
            *out = grey[usize::from(*new)];
        }
        return;
    }
    for ((new, old), out) in newest.iter().zip(previous).zip(out) {
        *out = grey[usize::from(*new)].max(grey[usize::from(*old)]);
    }
}

/// TensorFlow's `compute_interpolation_weights` with aligned corners, from `size` pixels to [`SIDE`].
fn between(size: usize) -> Vec<Between> {
    let scale = (size - 1) as f32 / (SIDE - 1) as f32;
    let at = |i: usize| {
        let place = i as f32 * scale;
        let low = place as usize;
        Between {
            low: low.min(size - 1),
            high: (low + 1).min(size - 1),
            share: place - low as f32,
        }
    };
    (0..SIDE).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn palette() -> Vec<[u8; 3]> {
        (0..=255).map(|i| [i, i, i]).collect()
    }

    #[test]
    fn corners_stay_and_a_ramp_stays_a_ramp() {
        let (width, height) = (160, 210);
        let ramp: Vec<u8> = (0..height * width).map(|i| (i % width) as u8).collect();
        let mut frame = vec![0; SIDE * SIDE];
        Preprocessor::new(width, height, &palette()).take([&ramp, &ramp], &mut frame);
        for row in frame.chunks_exact(SIDE) {
            for (i, pixel) in row.iter().enumerate() {
                let exact = i as f32 * 159.0 / 83.0;
                assert!((f32::from(*pixel) - exact).abs() <= 0.51, "{i}: {pixel} of {exact}");
            }
        }
    }

    #[test]
    fn the_brighter_of_two_frames_counts() {
        let (width, height) = (160, 210);
        let (dark, bright) = (vec![10; width * height], vec![200; width * height]);
        let mut picture = Preprocessor::new(width, height, &palette());
        let mut frame = vec![0; SIDE * SIDE];
        for frames in [[&dark, &bright], [&bright, &dark], [&bright, &bright]] {
            picture.take(frames.map(Vec::as_slice), &mut frame);
            assert!(frame.iter().all(|p| *p == 200));
        }
    }
}
