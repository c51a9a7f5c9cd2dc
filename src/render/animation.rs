//! Animations of episodes: the frames that a task shows, as an animated GIF or WebP, as MP4, a strip of a few of them, a folder of all, or many side by
//! side.

mod frames;
mod gallery;
mod gif;
mod mp4;
mod palette;
mod strip;
mod webp;

use std::borrow::Cow;
use std::cell::Cell;

pub use frames::{frames, png};
pub use gallery::{Gallery, Tile};
pub use gif::gif;
pub use mp4::{available as mp4_available, mp4};
pub use strip::strip;
pub use webp::webp;

use illume_core::{Camera, View};

/// Frames that are kept at most, and their bytes: an Atari screen a step for 100 s of play.
const MOST_FRAMES: usize = 1500;
pub const MOST_BYTES: usize = 256 << 20;

/// Seconds that the last frame stands before an animation begins anew.
const LAST_SECONDS: u32 = 2;

/// Width and height of a robot's frames: in a gallery's tile they are smaller.
const TILE: [usize; 2] = [160, 120];

/// Frames in a second, unless another distance is asked for, and at most: players of GIFs are no faster.
const USUAL_PACE: f64 = 30.0;
pub const MOST_PACE: f64 = 50.0;

/// One frame of an episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Steps until then.
    pub step: u32,
    /// Sum of rewards until then.
    pub reward: f64,
    /// `[height, width, 3]`
    pub rgb: Vec<u8>,
}

/// The frames of one episode. One that is longer than the animation is thinned evenly while it is taken.
#[derive(Debug, Clone, Default)]
pub struct Animation {
    /// Width and height of every frame.
    pub size: [usize; 2],
    /// The start, every so many steps, and the end.
    pub frames: Vec<Frame>,
    /// Steps shown in a second.
    pub steps_per_second: f64,
    /// Steps from one frame to the next: as asked for, or more where the episode was too long for that.
    pub every: u32,
    /// Whether it is more.
    pub thinned: bool,
    /// Whether the last frame shows all of the episode.
    pub last_tells_all: bool,
    /// Whether the second axis of the descriptor goes down in the frames.
    pub second_axis_goes_down: bool,
    /// Whether start and end are enough where the last frame shows all.
    ends_alone: bool,
    /// Whether the task asked for the size of its frames.
    pub asked: Cell<bool>,
    wanted: Option<[usize; 2]>,
    view: View,
    speed: f64,
    most: usize,
    most_bytes: usize,
}

impl Animation {
    /// An animation of one frame every so many steps (at least 1; 0 for as many as make a smooth animation), played `speed` times as fast as the
    /// task's own pace.
    pub fn new(every: u32, speed: f64) -> Animation {
        Animation {
            every,
            speed,
            most: MOST_FRAMES,
            most_bytes: MOST_BYTES,
            ..Animation::default()
        }
    }

    /// The same of a task that is drawn so large (or as large as it likes), seen from there.
    pub fn drawn(self, size: Option<[usize; 2]>, view: View) -> Animation {
        Animation {
            wanted: size,
            view,
            ..self
        }
    }

    /// The same, small unless a size was asked for.
    pub fn tile(self) -> Animation {
        Animation {
            wanted: self.wanted.or(Some(TILE)),
            ..self
        }
    }

    /// The same of start and end alone, where the last frame shows all of the episode.
    pub fn ends_alone(self) -> Animation {
        Animation {
            ends_alone: true,
            ..self
        }
    }

    /// The same with no more bytes of frames than this.
    pub fn within(self, most_bytes: usize) -> Animation {
        Animation { most_bytes, ..self }
    }

    /// Frames shown in a second.
    pub fn frames_per_second(&self) -> f64 {
        self.steps_per_second / f64::from(self.every)
    }

    /// How long a frame stands, in ms: in sum, the animation keeps its pace.
    fn milliseconds(&self, frame: usize) -> usize {
        let time = |step: u32| (1000.0 * f64::from(step) / self.steps_per_second).round() as usize;
        match self.frames.get(frame + 1) {
            Some(next) => time(next.step) - time(self.frames[frame].step),
            None => 1000 * LAST_SECONDS as usize,
        }
    }
}

/// A frame that is so wide, with a square of pixels for each of its own.
fn enlarged(frame: &Frame, width: usize, scale: usize) -> Cow<'_, [u8]> {
    if scale == 1 {
        return Cow::Borrowed(&frame.rgb);
    }
    let mut pixels = Vec::with_capacity(frame.rgb.len() * scale * scale);
    for row in frame.rgb.chunks_exact(3 * width) {
        let from = pixels.len();
        for pixel in row.as_chunks::<3>().0 {
            (0..scale).for_each(|_| pixels.extend(pixel));
        }
        let line = from..pixels.len();
        (1..scale).for_each(|_| pixels.extend_from_within(line.clone()));
    }
    Cow::Owned(pixels)
}

impl Camera for Animation {
    fn pace(&mut self, steps_per_second: f64) {
        self.steps_per_second = self.speed * steps_per_second;
        if self.every == 0 {
            self.every = (self.steps_per_second / USUAL_PACE).ceil().max(1.0) as u32;
        }
    }

    fn size(&self) -> Option<[usize; 2]> {
        self.asked.set(true);
        self.wanted
    }

    fn view(&self) -> View {
        self.view
    }

    fn last_tells_all(&mut self) {
        self.last_tells_all = true;
        if self.ends_alone {
            self.every = u32::MAX;
        }
    }

    fn second_axis_goes_down(&mut self) {
        self.second_axis_goes_down = true;
    }

    fn wants(&self, step: u32) -> bool {
        step.is_multiple_of(self.every)
    }

    fn take(&mut self, step: u32, reward: f64, size: [usize; 2], rgb: &[u8]) {
        if step == 0 {
            self.size = size;
            self.frames.clear();
            self.most = MOST_FRAMES.min(self.most_bytes / rgb.len().max(1)).max(2);
        }
        assert_eq!(
            (size, rgb.len()),
            (self.size, 3 * size[0] * size[1]),
            "size of the frame after {step} steps"
        );
        // A frame with a final reward replaces the one without.
        self.frames.pop_if(|last| last.step == step);
        self.frames.push(Frame {
            step,
            reward,
            rgb: rgb.to_vec(),
        });
        if self.frames.len() > self.most {
            self.every *= 2;
            self.thinned = true;
            self.frames
                .retain(|p| p.step.is_multiple_of(self.every) || p.step == step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn animation(every: u32, most: usize, steps: u32) -> Vec<u32> {
        let mut animation = Animation::new(every, 1.0);
        for step in 0..=steps {
            if animation.wants(step) || step == steps {
                animation.take(step, 0.0, [2, 1], &[0; 6]);
                animation.most = most;
            }
        }
        animation.frames.iter().map(|p| p.step).collect()
    }

    #[test]
    fn an_animation_has_the_start_the_end_and_evenly_spaced_frames_between() {
        assert_eq!(animation(1, 100, 4), [0, 1, 2, 3, 4]);
        assert_eq!(animation(3, 100, 7), [0, 3, 6, 7]);
        assert_eq!(animation(1, 4, 9), [0, 4, 8, 9]);
        assert_eq!(animation(1, 4, 8), [0, 4, 8]);
        assert_eq!(animation(2, 3, 41), [0, 32, 41]);
    }

    #[test]
    fn a_fast_animation_leaves_frames_out_and_keeps_its_pace() {
        for (steps_per_second, speed, every) in [
            (15.0, 1.0, 1),
            (15.0, 2.0, 1),
            (15.0, 4.0, 2),
            (60.0, 1.0, 2),
            (25.0, 0.1, 1),
        ] {
            let mut animation = Animation::new(0, speed);
            animation.pace(steps_per_second);
            assert_eq!(
                (animation.every, animation.steps_per_second),
                (every, speed * steps_per_second)
            );
        }
    }

    #[test]
    fn a_final_reward_replaces_the_frame_of_the_last_step() {
        let mut animation = Animation::new(1, 1.0);
        for reward in [1.0, 5.0] {
            animation.take(0, reward, [1, 1], &[1, 2, 3]);
        }
        assert_eq!((animation.frames.len(), animation.frames[0].reward), (1, 5.0));
    }
}
