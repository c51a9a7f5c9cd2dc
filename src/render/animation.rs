//! Films of episodes: the pictures that a task shows, as an animated GIF or a strip of a few of them.

mod gif;
mod palette;
mod strip;

pub use gif::gif;
pub use strip::strip;

use illume_core::Camera;

/// Pictures that are kept at most, and their bytes: an Atari screen a step for 100 s of play.
const MOST_PICTURES: usize = 1500;
const MOST_BYTES: usize = 256 << 20;

/// Pictures in a second, unless another distance is asked for, and at most: players of GIFs are no faster.
const USUAL_PACE: f64 = 30.0;
pub const MOST_PACE: f64 = 50.0;

/// One picture of an episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Steps until then.
    pub step: u32,
    /// Sum of rewards until then.
    pub reward: f64,
    /// `[height, width, 3]`
    pub rgb: Vec<u8>,
}

/// The pictures of one episode. One that is longer than the film is thinned evenly while it is taken.
#[derive(Debug, Clone, Default)]
pub struct Film {
    /// Width and height of every picture.
    pub size: [usize; 2],
    /// The start, every so many steps, and the end.
    pub pictures: Vec<Picture>,
    /// Steps shown in a second.
    pub steps_per_second: f64,
    /// Steps from one picture to the next: as asked for, or more where the episode was too long for that.
    pub every: u32,
    /// Whether it is more.
    pub thinned: bool,
    speed: f64,
    most: usize,
}

impl Film {
    /// A film of one picture every so many steps (at least 1; 0 for as many as make a smooth film), played `speed` times as fast as the
    /// task's own pace.
    pub fn new(every: u32, speed: f64) -> Film {
        Film {
            every,
            speed,
            most: MOST_PICTURES,
            ..Film::default()
        }
    }

    /// Pictures shown in a second.
    pub fn pictures_per_second(&self) -> f64 {
        self.steps_per_second / f64::from(self.every)
    }
}

impl Camera for Film {
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
            self.pictures.clear();
            self.most = MOST_PICTURES.min(MOST_BYTES / rgb.len().max(1)).max(2);
        }
        assert_eq!(
            (size, rgb.len()),
            (self.size, 3 * size[0] * size[1]),
            "size of the picture after {step} steps"
        );
        // A picture with a final reward replaces the one without.
        self.pictures.pop_if(|last| last.step == step);
        self.pictures.push(Picture {
            step,
            reward,
            rgb: rgb.to_vec(),
        });
        if self.pictures.len() > self.most {
            self.every *= 2;
            self.thinned = true;
            self.pictures
                .retain(|p| p.step.is_multiple_of(self.every) || p.step == step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film(every: u32, most: usize, steps: u32) -> Vec<u32> {
        let mut film = Film::new(every, 1.0);
        for step in 0..=steps {
            if film.wants(step) || step == steps {
                film.take(step, 0.0, [2, 1], &[0; 6]);
                film.most = most;
            }
        }
        film.pictures.iter().map(|p| p.step).collect()
    }

    #[test]
    fn a_film_has_the_start_the_end_and_evenly_spaced_pictures_between() {
        assert_eq!(film(1, 100, 4), [0, 1, 2, 3, 4]);
        assert_eq!(film(3, 100, 7), [0, 3, 6, 7]);
        assert_eq!(film(1, 4, 9), [0, 4, 8, 9]);
        assert_eq!(film(1, 4, 8), [0, 4, 8]);
        assert_eq!(film(2, 3, 41), [0, 32, 41]);
    }

    #[test]
    fn a_fast_film_leaves_pictures_out_and_keeps_its_pace() {
        for (steps_per_second, speed, every) in [
            (15.0, 1.0, 1),
            (15.0, 2.0, 1),
            (15.0, 4.0, 2),
            (60.0, 1.0, 2),
            (25.0, 0.1, 1),
        ] {
            let mut film = Film::new(0, speed);
            film.pace(steps_per_second);
            assert_eq!((film.every, film.steps_per_second), (every, speed * steps_per_second));
        }
    }

    #[test]
    fn a_final_reward_replaces_the_picture_of_the_last_step() {
        let mut film = Film::new(1, 1.0);
        for reward in [1.0, 5.0] {
            film.take(0, reward, [1, 1], &[1, 2, 3]);
        }
        assert_eq!((film.pictures.len(), film.pictures[0].reward), (1, 5.0));
    }
}
