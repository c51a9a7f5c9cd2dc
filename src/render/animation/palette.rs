//! The colours of an animation as at most so many numbers.

use std::collections::HashMap;

use super::Animation;

type Colour = [u8; 3];

/// Colours of an animation, and the number of each.
pub(super) struct Palette {
    pub colours: Vec<Colour>,
    numbers: Numbers,
}

enum Numbers {
    /// Every colour has its own.
    Exact(HashMap<Colour, u8>),
    /// Colours are as near as their five highest bits.
    Near(Vec<u8>),
}

impl Palette {
    /// The animation's own colours where there are no more than `most` (which is at most 256), else a choice by median cut (Heckbert,
    /// SIGGRAPH 1982).
    pub fn of(animation: &Animation, most: usize) -> Palette {
        exact(animation, most).unwrap_or_else(|| near(animation, most))
    }

    /// The numbers of a frame's pixels.
    pub fn numbers(&self, rgb: &[u8]) -> Vec<u8> {
        // Neighbours are mostly alike.
        let mut before = None;
        let number = |colour: &Colour| match before {
            Some((known, number)) if known == *colour => number,
            _ => {
                let number = self.number(*colour);
                before = Some((*colour, number));
                number
            }
        };
        rgb.as_chunks::<3>().0.iter().map(number).collect()
    }

    fn number(&self, colour: Colour) -> u8 {
        match &self.numbers {
            Numbers::Exact(numbers) => numbers[&colour],
            Numbers::Near(numbers) => numbers[bin(colour)],
        }
    }
}

fn pixels(animation: &Animation) -> impl Iterator<Item = Colour> {
    let frames = animation.frames.iter();
    frames.flat_map(|p| p.rgb.as_chunks::<3>().0.iter().copied())
}

fn exact(animation: &Animation, most: usize) -> Option<Palette> {
    let (mut colours, mut numbers) = (Vec::new(), HashMap::new());
    let mut before = None;
    for colour in pixels(animation) {
        if before.replace(colour) == Some(colour) || numbers.contains_key(&colour) {
            continue;
        }
        if colours.len() == most {
            return None;
        }
        numbers.insert(colour, colours.len() as u8);
        colours.push(colour);
    }
    let numbers = Numbers::Exact(numbers);
    Some(Palette { colours, numbers })
}

fn bin([r, g, b]: Colour) -> usize {
    usize::from(r >> 3) << 10 | usize::from(g >> 3) << 5 | usize::from(b >> 3)
}

/// A bin that occurs: how often, and the sums of its colours.
#[derive(Clone, Copy)]
struct Bin {
    at: usize,
    count: u64,
    sums: [u64; 3],
}

impl Bin {
    fn place(&self, axis: usize) -> usize {
        self.at >> (10 - 5 * axis) & 31
    }
}

fn near(animation: &Animation, most: usize) -> Palette {
    let none = Bin {
        at: 0,
        count: 0,
        sums: [0; 3],
    };
    let mut bins = vec![none; 1 << 15];
    for colour in pixels(animation) {
        let found = &mut bins[bin(colour)];
        found.at = bin(colour);
        found.count += 1;
        found.sums.iter_mut().zip(colour).for_each(|(s, c)| *s += u64::from(c));
    }
    bins.retain(|b| b.count > 0);
    let mut boxes = vec![bins];
    while boxes.len() < most {
        // The box with the most pixels times extent is cut across its longest side, at the median pixel.
        let extent = |of: &[Bin], axis: usize| {
            let places = || of.iter().map(|b| b.place(axis));
            places().max().unwrap_or(0) - places().min().unwrap_or(0)
        };
        let longest = |of: &[Bin]| (0..3).map(|axis| (extent(of, axis), axis)).max().unwrap_or((0, 0));
        let weight = |of: &Vec<Bin>| longest(of).0 as u64 * of.iter().map(|b| b.count).sum::<u64>();
        let Some(widest) = (0..boxes.len()).max_by_key(|&i| (weight(&boxes[i]), i)) else {
            break;
        };
        let (length, axis) = longest(&boxes[widest]);
        if length == 0 {
            break;
        }
        let mut cut = boxes.swap_remove(widest);
        cut.sort_by_key(|b| (b.place(axis), b.at));
        let half = cut.iter().map(|b| b.count).sum::<u64>() / 2;
        let mut seen = 0;
        let middle = cut.iter().take_while(|b| {
            seen += b.count;
            seen <= half
        });
        let second = cut.split_off(middle.count().clamp(1, cut.len() - 1));
        boxes.extend([cut, second]);
    }
    let mut numbers = vec![0; 1 << 15];
    let colours = boxes.iter().enumerate().map(|(number, of)| {
        of.iter().for_each(|b| numbers[b.at] = number as u8);
        let count = of.iter().map(|b| b.count).sum::<u64>().max(1);
        [0, 1, 2].map(|c| ((of.iter().map(|b| b.sums[c]).sum::<u64>() + count / 2) / count) as u8)
    });
    let colours = colours.collect();
    let numbers = Numbers::Near(numbers);
    Palette { colours, numbers }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::animation::Frame;

    fn animation(rgb: Vec<u8>) -> Animation {
        let mut animation = Animation::new(1, 1.0);
        animation.size = [rgb.len() / 3, 1];
        animation.frames = vec![Frame {
            step: 0,
            reward: 0.0,
            rgb,
        }];
        animation
    }

    #[test]
    fn few_colours_are_kept_as_they_are() {
        let palette = Palette::of(&animation(vec![1, 2, 3, 9, 9, 9, 1, 2, 3, 200, 0, 0]), 3);
        assert_eq!(palette.colours, [[1, 2, 3], [9, 9, 9], [200, 0, 0]]);
        assert_eq!(palette.number([200, 0, 0]), 2);
    }

    #[test]
    fn many_colours_become_the_nearest_of_a_few() {
        // A colour wheel of some thousands of colours.
        let mut rgb = Vec::new();
        for r in 0..16u8 {
            for g in 0..16u8 {
                (0..16u8).for_each(|b| rgb.extend([r * 17, g * 17, b * 17]));
            }
        }
        let animation = animation(rgb);
        let palette = Palette::of(&animation, 255);
        assert_eq!(palette.colours.len(), 255);
        let errors = pixels(&animation).map(|c| {
            let chosen = palette.colours[usize::from(palette.number(c))];
            c.iter()
                .zip(chosen)
                .map(|(a, b)| f64::from(a.abs_diff(b)).powi(2))
                .sum::<f64>()
        });
        let rms = (errors.sum::<f64>() / 4096.0 / 3.0).sqrt();
        assert!(rms < 14.0, "{rms} of 255 for each channel");
    }
}
