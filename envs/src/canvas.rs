//! Drawing for tasks that have no pictures of their own: lines with round ends and discs, with smooth edges.

/// Steps of the smooth edge: few, so that a drawing has few colours and fits a palette.
const LEVELS: f32 = 8.0;

pub(crate) type Colour = [u8; 3];

/// A picture, `[height, width, 3]`. Lengths are in units of its map, of which its corner `origin` and its `scale` (pixels for a
/// unit) say where they lie.
#[derive(Debug, Clone)]
pub(crate) struct Canvas {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) rgb: Vec<u8>,
    origin: [f32; 2],
    scale: f32,
}

impl Canvas {
    /// A picture of the map from `lower` to `upper`.
    pub(crate) fn new(lower: [f32; 2], upper: [f32; 2], scale: f32, background: Colour) -> Canvas {
        let pixels = |i: usize| ((upper[i] - lower[i]) * scale).ceil() as usize;
        let (width, height) = (pixels(0), pixels(1));
        Canvas {
            width,
            height,
            rgb: background.repeat(width * height),
            origin: lower,
            scale,
        }
    }

    /// A disc.
    pub(crate) fn disc(&mut self, at: [f32; 2], radius: f32, colour: Colour) {
        self.line(at, at, 2.0 * radius, colour);
    }

    /// A line of this width with round ends.
    pub(crate) fn line(&mut self, from: [f32; 2], to: [f32; 2], width: f32, colour: Colour) {
        self.covered(from, to, width, |pixel, share| {
            for (p, c) in pixel.iter_mut().zip(colour) {
                *p = (f32::from(*p) + share * (f32::from(c) - f32::from(*p))).round() as u8;
            }
        });
    }

    /// Like a line, but it only darkens: pieces of a path may overlap at their ends without a seam. `colour` lies on `background`.
    pub(crate) fn path(&mut self, from: [f32; 2], to: [f32; 2], width: f32, colour: Colour, background: Colour) {
        self.covered(from, to, width, |pixel, share| {
            for ((p, c), b) in pixel.iter_mut().zip(colour).zip(background) {
                let mixed = (f32::from(b) + share * (f32::from(c) - f32::from(b))).round() as u8;
                *p = mixed.min(*p);
            }
        });
    }

    /// Calls `paint` for every pixel that the line covers, with the share that it covers.
    fn covered(&mut self, from: [f32; 2], to: [f32; 2], width: f32, mut paint: impl FnMut(&mut [u8], f32)) {
        let place = |p: [f32; 2]| [0, 1].map(|i| (p[i] - self.origin[i]) * self.scale);
        let (a, b, half) = (place(from), place(to), width * self.scale / 2.0);
        let range = |i: usize, end: usize| {
            let low = (a[i].min(b[i]) - half - 1.0).max(0.0) as usize;
            let high = (a[i].max(b[i]) + half + 2.0).clamp(0.0, end as f32) as usize;
            low..high
        };
        let (columns, rows) = (range(0, self.width), range(1, self.height));
        let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
        let length = (dx * dx + dy * dy).max(f32::MIN_POSITIVE);
        for y in rows {
            for x in columns.clone() {
                let (px, py) = (x as f32 + 0.5 - a[0], y as f32 + 0.5 - a[1]);
                let along = ((px * dx + py * dy) / length).clamp(0.0, 1.0);
                let distance = (px - along * dx).hypot(py - along * dy);
                let share = ((half - distance + 0.5).clamp(0.0, 1.0) * LEVELS).round() / LEVELS;
                if share > 0.0 {
                    let at = 3 * (y * self.width + x);
                    paint(&mut self.rgb[at..at + 3], share);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_covers_as_much_as_its_length_and_ends_say() {
        let mut canvas = Canvas::new([-10.0, 5.0], [40.0, 45.0], 2.0, [255; 3]);
        assert_eq!((canvas.width, canvas.height), (100, 80));
        canvas.line([0.0, 20.0], [20.0, 30.0], 4.0, [0; 3]);
        let dark: f64 = canvas.rgb.iter().step_by(3).map(|p| 1.0 - f64::from(*p) / 255.0).sum();
        let expected = 4.0 * (20.0f64.hypot(10.0) * 4.0 + std::f64::consts::PI * 4.0);
        assert!((dark / expected - 1.0).abs() < 0.02, "{dark}, not {expected}");
        let middle = 3 * ((25 - 5) * 2 * 100 + (10 + 10) * 2);
        assert_eq!(canvas.rgb[middle..middle + 3], [0; 3]);
    }

    #[test]
    fn what_lies_beyond_the_picture_is_left_out() {
        let mut canvas = Canvas::new([0.0, 0.0], [10.0, 10.0], 1.0, [9; 3]);
        canvas.disc([-50.0, 4.0], 20.0, [0; 3]);
        canvas.line([30.0, 30.0], [50.0, 90.0], 3.0, [0; 3]);
        assert!(canvas.rgb.iter().all(|p| *p == 9));
        canvas.disc([0.0, 0.0], 3.0, [0; 3]);
        assert_eq!(canvas.rgb[..3], [0; 3]);
    }
}
