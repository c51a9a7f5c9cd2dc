//! How a task shows what goes on in it, for whoever wants pictures of an episode.

/// Sees episodes as a person would, picture by picture. A task that has pictures shows them through [`Task::filming`](crate::Task::filming).
pub trait Camera: Send {
    /// Said once, before anything else: the pace at which to watch, which is simulated time where there is one.
    fn pace(&mut self, steps_per_second: f64);

    /// Whether the picture after so many steps is wanted (0: the start). One that is not wanted need not be drawn; the last of an
    /// episode is taken anyway.
    fn wants(&self, step: u32) -> bool;

    /// The picture after so many steps: rows of RGB, `[height, width, 3]`, of `size` = `[width, height]`; `reward` is the sum of
    /// rewards until then. The picture of a step may come again with a reward that is paid at the end.
    fn take(&mut self, step: u32, reward: f64, size: [usize; 2], rgb: &[u8]);
}
