//! Animations of episodes: the frames that a task shows, as an animated GIF or a strip of a few of them.

mod gif;
mod palette;
mod strip;

pub use gif::gif;
pub use strip::strip;

use illume_core::Camera;

/// Frames that are kept at most, and their bytes: an Atari screen a step for 100 s of play.
const MOST_FRAMES: usize = 1500;
const MOST_BYTES: usize = 256 << 20;

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
    speed: f64,
    most: usize,
}

impl Animation {
    /// An animation of one frame every so many steps (at least 1; 0 for as many as make a smooth animation), played `speed` times as fast as the
    /// task's own pace.
    pub fn new(every: u32, speed: f64) -> Animation {
        Animation {
            every,
            speed,
            most: MOST_FRAMES,
            ..Animation::default()
        }
    }

    /// Frames shown in a second.
    pub fn frames_per_second(&self) -> f64 {
        self.steps_per_second / f64::from(self.every)
    }
}

impl Camera for Animation {
    fn pace(&mut self, steps_per_second: f64) {
        self.steps_per_second = self.speed * steps_per_second;
        if self.every == 0 {
            self.every = (self.steps_per_second / USUAL_PACE).ceil().max(1.0) as u32;
        }
    }

    fn wants(&self, step: u32) -> bool {
        step.is_multiple_of(self.every)
    }

    fn take(&mut self, step: u32, reward: f64, size: [usize; 2], rgb: &[u8]) {
        if step == 0 {
            self.size = size;
            self.frames.clear();
            self.most = MOST_FRAMES.min(MOST_BYTES / rgb.len().max(1)).max(2);
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
