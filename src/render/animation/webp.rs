//! An animation as WebP, without loss: of each frame only the rectangle that has changed.
//!
//! The container is written here (Google's 'WebP container specification'), since `image-webp` encodes single pictures.

use illume_core::{Error, Result};
use image_webp::{ColorType, WebPEncoder};

use super::Animation;
use super::gif::changed;

/// Sides of a picture at most, as its encoder can.
const MOST: usize = 16_384;

/// The animation as WebP, `scale` pixels for each of its own, shown over and over.
///
/// # Errors
/// A frame larger than 16,384 pixels, or a file of more than 4 GiB.
pub fn webp(animation: &Animation, scale: usize) -> Result<Vec<u8>> {
    let [width, height] = animation.size.map(|n| n * scale);
    if width.max(height) > MOST {
        return Err(Error::input(format!(
            "frames of {width} x {height} pixels are too large for WebP: a smaller --scale or --size makes them fit"
        )));
    }
    let failed = |e: &dyn std::fmt::Display| Error::failed(format!("the animation cannot be encoded: {e}"));
    let mut chunks = Vec::new();
    // Flag 2: an animation.
    let size = [width, height].map(|n| three_bytes(n - 1));
    chunk(&mut chunks, b"VP8X", &[&[2, 0, 0, 0][..], &size[0], &size[1]].concat());
    // A white background; loops for ever.
    chunk(&mut chunks, b"ANIM", &[255, 255, 255, 255, 0, 0]);
    let mut before: &[u8] = &[];
    for (i, frame) in animation.frames.iter().enumerate() {
        let [x, y, w, h] = even(changed(before, &frame.rgb, animation.size, 3));
        let [left, top, wide, high] = [x, y, w, h].map(|n| n * scale);
        let mut pixels = Vec::with_capacity(3 * wide * high);
        for row in y..y + h {
            let from = pixels.len();
            let at = 3 * (row * animation.size[0] + x);
            for pixel in frame.rgb[at..at + 3 * w].as_chunks::<3>().0 {
                (0..scale).for_each(|_| pixels.extend(pixel));
            }
            let line = from..pixels.len();
            (1..scale).for_each(|_| pixels.extend_from_within(line.clone()));
        }
        let mut picture = Vec::new();
        WebPEncoder::new(&mut picture)
            .encode(&pixels, wide as u32, high as u32, ColorType::Rgb8)
            .map_err(|e| failed(&e))?;
        let time = animation.milliseconds(i);
        let mut part: Vec<u8> = [left / 2, top / 2, wide - 1, high - 1, time].map(three_bytes).concat();
        // Flag 2: the rectangle replaces what was there.
        part.push(2);
        // Behind `RIFF`, a size and `WEBP` is the picture's chunk.
        part.extend_from_slice(&picture[12..]);
        chunk(&mut chunks, b"ANMF", &part);
        before = &frame.rgb;
    }
    let size = u32::try_from(chunks.len() + 4).map_err(|_| {
        Error::input("the animation would take more than the 4 GiB of a WebP file: a larger --every or a smaller --size makes it fit")
    })?;
    Ok([&b"RIFF"[..], &size.to_le_bytes(), b"WEBP", &chunks].concat())
}

/// The same rectangle, begun at even numbers, as WebP counts.
fn even([x, y, width, height]: [usize; 4]) -> [usize; 4] {
    let (dx, dy) = (x % 2, y % 2);
    [x - dx, y - dy, width + dx, height + dy]
}

fn three_bytes(n: usize) -> [u8; 3] {
    let [a, b, c, ..] = n.to_le_bytes();
    [a, b, c]
}

fn chunk(to: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    to.extend_from_slice(name);
    to.extend_from_slice(&(data.len() as u32).to_le_bytes());
    to.extend_from_slice(data);
    if !data.len().is_multiple_of(2) {
        to.push(0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::{Animation, Frame};
    use super::*;

    /// Frames of 7 x 5 pixels in which one pixel wanders, 20 steps a second.
    fn wandering() -> Animation {
        let frame = |step: u32| {
            let mut rgb: Vec<u8> = (0..7 * 5 * 3).map(|i| (i * 3) as u8).collect();
            let at = 3 * ((step as usize * 11) % 35);
            rgb[at..at + 3].copy_from_slice(&[250, 9, step as u8]);
            Frame {
                step: 2 * step,
                reward: 0.0,
                rgb,
            }
        };
        Animation {
            size: [7, 5],
            frames: (0..6).map(frame).collect(),
            steps_per_second: 20.0,
            every: 2,
            ..Animation::default()
        }
    }

    /// A decoder that is not ours reads back every pixel and every duration.
    #[test]
    fn every_frame_comes_back_bit_for_bit() {
        let animation = wandering();
        for scale in [1, 3] {
            let bytes = webp(&animation, scale).unwrap();
            let mut decoder = image_webp::WebPDecoder::new(Cursor::new(&bytes)).unwrap();
            assert!(decoder.is_animated() && decoder.num_frames() == 6);
            assert_eq!(decoder.dimensions(), (7 * scale as u32, 5 * scale as u32));
            let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
            let channels = if decoder.has_alpha() { 4 } else { 3 };
            for (i, frame) in animation.frames.iter().enumerate() {
                let time = decoder.read_frame(&mut pixels).unwrap();
                assert_eq!(time, if i == 5 { 2000 } else { 100 });
                for (at, pixel) in pixels.chunks_exact(channels).enumerate() {
                    let (x, y) = (at % (7 * scale) / scale, at / (7 * scale) / scale);
                    let own = 3 * (y * 7 + x);
                    assert_eq!(pixel[..3], frame.rgb[own..own + 3], "frame {i} at {x}, {y}");
                }
            }
        }
    }
}
