//! Walls of tasks whose descriptor is a place, for the maps of their archives: known without the simulator.

use crate::hard_maze;

/// From `[x, y]` to `[x, y]`, in the descriptor's units.
pub type Line = [[f64; 2]; 2];

/// Middles of the walls of `ant_maze`, in m (`ant_obstaclesbig2.xml` of SERENE's program): a room of 70 m by 70 m around (5, 5), and three inside.
pub(crate) const ANT_MAZE: [Line; 7] = [
    [[-30.0, 40.0], [40.0, 40.0]],
    [[-30.0, -30.0], [40.0, -30.0]],
    [[40.0, -30.0], [40.0, 40.0]],
    [[-30.0, -30.0], [-30.0, 40.0]],
    [[-15.0, 3.0], [-15.0, 37.0]],
    [[-16.0, -15.0], [10.0, -15.0]],
    [[10.0, -30.0], [10.0, 0.0]],
];

/// The walls of the task of this name; none of one that has none.
pub fn walls(task: &str) -> Vec<Line> {
    match task {
        "hard_maze" => hard_maze::walls().collect(),
        "ant_maze" => ANT_MAZE.into(),
        _ => Vec::new(),
    }
}
