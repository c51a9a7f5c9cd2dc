//! The map of the hard maze, and what is near and in sight in it. The kernels have one wall in each lane.

/// The 13 walls, `[x, y]` to `[x, y]`: seven around, six inside.
pub(super) const WALLS: [[f32; 4]; 13] = [
    [41.0, 5.0, 3.0, 8.0],
    [3.0, 8.0, 4.0, 49.0],
    [4.0, 49.0, 7.0, 202.0],
    [7.0, 202.0, 195.0, 198.0],
    [195.0, 198.0, 186.0, 8.0],
    [186.0, 8.0, 39.0, 5.0],
    [4.0, 49.0, 57.0, 53.0],
    [56.0, 54.0, 56.0, 157.0],
    [57.0, 106.0, 158.0, 162.0],
    [77.0, 201.0, 108.0, 164.0],
    [6.0, 80.0, 33.0, 121.0],
    [192.0, 146.0, 87.0, 91.0],
    [56.0, 55.0, 133.0, 30.0],
];
/// Where the walls lie: `[lower, upper]` of x and of y.
pub(super) const EXTENT: [[f64; 2]; 2] = [[3.0, 195.0], [5.0, 202.0]];
/// How far a rangefinder sees.
pub(super) const REACH: f32 = 100.0;

/// Walls by coordinate, for vectors over walls: starts, extents, 1 / length^2. Beyond the 13 lie walls far outside.
struct Lanes {
    x: [f32; WIDTH],
    y: [f32; WIDTH],
    dx: [f32; WIDTH],
    dy: [f32; WIDTH],
    inverse: [f32; WIDTH],
}

const WIDTH: usize = 16;

static LANES: Lanes = {
    let far = [1e6; WIDTH];
    let mut lanes = Lanes {
        x: far,
        y: far,
        dx: [1.0; WIDTH],
        dy: [0.0; WIDTH],
        inverse: [1.0; WIDTH],
    };
    let mut i = 0;
    while i < WALLS.len() {
        let [x, y, to_x, to_y] = WALLS[i];
        let (dx, dy) = (to_x - x, to_y - y);
        (lanes.x[i], lanes.y[i], lanes.dx[i], lanes.dy[i]) = (x, y, dx, dy);
        lanes.inverse[i] = 1.0 / (dx * dx + dy * dy);
        i += 1;
    }
    lanes
};

/// Square of the distance from a point to the nearest wall.
#[inline(always)]
pub(super) fn nearest_wall_squared(at: [f32; 2]) -> f32 {
    let w = &LANES;
    let mut squares = [0.0f32; WIDTH];
    for (i, square) in squares.iter_mut().enumerate() {
        let (x, y) = (at[0] - w.x[i], at[1] - w.y[i]);
        let along = (x.mul_add(w.dx[i], y * w.dy[i]) * w.inverse[i]).clamp(0.0, 1.0);
        let (x, y) = ((-along).mul_add(w.dx[i], x), (-along).mul_add(w.dy[i], y));
        *square = x.mul_add(x, y * y);
    }
    least(&squares)
}

/// Distance from a point to the first wall in a direction (a unit vector), at most the reach.
#[inline(always)]
pub(super) fn free_path(at: [f32; 2], ray: [f32; 2]) -> f32 {
    let w = &LANES;
    let mut ranges = [REACH; WIDTH];
    for (i, nearest) in ranges.iter_mut().enumerate() {
        // at + range * ray = wall + share * extent, by Cramer's rule; parallels divide by zero and fail the comparisons.
        let (x, y) = (w.x[i] - at[0], w.y[i] - at[1]);
        let scale = 1.0 / ray[0].mul_add(w.dy[i], -ray[1] * w.dx[i]);
        let range = x.mul_add(w.dy[i], -y * w.dx[i]) * scale;
        let share = x.mul_add(ray[1], -y * ray[0]) * scale;
        let hit = (range > 0.0) & (range < REACH) & (share > 0.0) & (share < 1.0);
        *nearest = if hit { range } else { REACH };
    }
    least(&ranges)
}

#[inline(always)]
fn least(values: &[f32; WIDTH]) -> f32 {
    let mut v = *values;
    let mut half = WIDTH / 2;
    while half > 0 {
        for i in 0..half {
            v[i] = if v[i + half] < v[i] { v[i + half] } else { v[i] };
        }
        half /= 2;
    }
    v[0]
}
