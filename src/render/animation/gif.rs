//! An animation as a GIF: one palette, and of each frame only what has changed.

use gif::{DisposalMethod, Encoder, Frame, Repeat};
use illume_core::{Error, Result};

use super::palette::Palette;
use super::{Animation, LAST_SECONDS};

/// The animation as GIF, `scale` pixels for each of its own, shown over and over. Players know hundredths of a second:
/// frames take turns in length so that the whole keeps its pace.
///
/// # Errors
/// A frame larger than 65535 pixels.
pub fn gif(animation: &Animation, scale: usize) -> Result<Vec<u8>> {
    let [width, height] = animation.size;
    let large = || {
        let (w, h) = (width * scale, height * scale);
        Error::input(format!(
            "frames of {w} x {h} pixels are too large for a GIF: a smaller --scale or --size makes them fit"
        ))
    };
    let [Ok(w), Ok(h)] = [width * scale, height * scale].map(u16::try_from) else {
        return Err(large());
    };
    let failed = |e: gif::EncodingError| Error::failed(format!("the animation cannot be encoded: {e}"));
    // One number is left for pixels that stay as they are.
    let palette = Palette::of(animation, 255);
    let transparent = palette.colours.len() as u8;
    let mut colours = palette.colours.concat();
    colours.extend([0; 3]);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, w, h, &colours).map_err(failed)?;
    encoder.set_repeat(Repeat::Infinite).map_err(failed)?;
    let time = |step: u32| (100.0 * f64::from(step) / animation.steps_per_second).round();
    let mut before: Vec<u8> = Vec::new();
    for (i, frame) in animation.frames.iter().enumerate() {
        let numbers = palette.numbers(&frame.rgb);
        let [x, y, changed_width, changed_height] = changed(&before, &numbers, animation.size, 1);
        let part = |row: usize| row * width + x..row * width + x + changed_width;
        let mut buffer = Vec::with_capacity(changed_width * changed_height * scale * scale);
        for row in y..y + changed_height {
            let from = buffer.len();
            for at in part(row) {
                let same = before.get(at) == Some(&numbers[at]);
                let number = if same { transparent } else { numbers[at] };
                buffer.extend(std::iter::repeat_n(number, scale));
            }
            let line = from..buffer.len();
            (1..scale).for_each(|_| buffer.extend_from_within(line.clone()));
        }
        let next = animation.frames.get(i + 1);
        let encoded = Frame {
            delay: next.map_or(100 * LAST_SECONDS as u16, |next| {
                (time(next.step) - time(frame.step)).min(65_535.0) as u16
            }),
            dispose: DisposalMethod::Keep,
            transparent: Some(transparent),
            left: (x * scale) as u16,
            top: (y * scale) as u16,
            width: (changed_width * scale) as u16,
            height: (changed_height * scale) as u16,
            buffer: buffer.into(),
            ..Frame::default()
        };
        encoder.write_frame(&encoded).map_err(failed)?;
        before = numbers;
    }
    drop(encoder);
    Ok(bytes)
}

/// The smallest rectangle `[x, y, width, height]` that holds all that differs from the frame before; one pixel if nothing does. A pixel is so many
/// bytes.
pub(super) fn changed(before: &[u8], now: &[u8], [width, height]: [usize; 2], bytes: usize) -> [usize; 4] {
    if before.is_empty() {
        return [0, 0, width, height];
    }
    let (mut low, mut high) = ([width, height], [0, 0]);
    for (y, (old, new)) in before
        .chunks_exact(width * bytes)
        .zip(now.chunks_exact(width * bytes))
        .enumerate()
    {
        let pixel = |x: usize| x * bytes..(x + 1) * bytes;
        let differs = |x: &usize| old[pixel(*x)] != new[pixel(*x)];
        let (Some(first), Some(last)) = ((0..width).find(differs), (0..width).rfind(differs)) else {
            continue;
        };
        low = [low[0].min(first), low[1].min(y)];
        high = [high[0].max(last), y];
    }
    match low[1] == height {
        true => [0, 0, 1, 1],
        false => [low[0], low[1], high[0] - low[0] + 1, high[1] - low[1] + 1],
    }
}
