//! How a task shows what goes on in it, for whoever wants pictures of an episode.

/// From where a scene is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// As it shows best what tells this task's solutions apart.
    #[default]
    Usual,
    /// From beside who acts, wherever it goes.
    Follow,
    /// From above, with the way from the start.
    Above,
}

/// Sees episodes as a person would, picture by picture. A task that has pictures shows them through [`Task::filming`](crate::Task::filming).
pub trait Camera: Send {
    /// Said once, before the first picture: the pace at which to watch, which is simulated time where there is one.
    fn pace(&mut self, steps_per_second: f64);

    /// Width and height that pictures should have, of a task that can draw at any size; none for its own choice.
    fn size(&self) -> Option<[usize; 2]> {
        None
    }

    /// From where a task that can choose should be seen.
    fn view(&self) -> View {
        View::Usual
    }

    /// Said once where the last picture of an episode shows all of it: the way that was gone.
    fn last_tells_all(&mut self) {}

    /// Said once where the descriptor is a place in the pictures and its second axis goes down in them.
    fn second_axis_goes_down(&mut self) {}

    /// Whether the picture after so many steps is wanted (0: the start). One that is not wanted need not be drawn; the last of an
    /// episode is taken anyway.
    fn wants(&self, step: u32) -> bool;

    /// The picture after so many steps: rows of RGB, `[height, width, 3]`, of `size` = `[width, height]`; `reward` is the sum of
    /// rewards until then. The picture of a step may come again with a reward that is paid at the end.
    fn take(&mut self, step: u32, reward: f64, size: [usize; 2], rgb: &[u8]);
}
