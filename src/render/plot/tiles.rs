//! What is drawn of elites on two axes: the boxes of a grid, Voronoi cells, or dots.

use std::fmt::Write as _;

use illume_core::{Axis, Cells};

use super::colour::{EMPTY, UNKNOWN};
use crate::analysis::view::View;

/// Tiles along an axis where cells cannot be shown themselves.
const PROJECTED: usize = 40;
/// Radius of an elite without a cell, on a map of the size [`BIG`].
const DOT: f64 = 3.0;
const BIG: f64 = 560.0;

/// Values on two axes; `None` where no elite is, not finite where one has no value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tiles {
    /// `values[i * columns + j]`: i counts along the second (vertical) axis from its lower bound, j along the first.
    Grid {
        columns: usize,
        rows: usize,
        values: Vec<Option<f64>>,
    },
    /// Elites where they lie.
    Points {
        places: Vec<[f64; 2]>,
        values: Vec<Option<f64>>,
    },
    /// Voronoi cells of these centroids.
    Voronoi {
        centroids: Vec<[f64; 2]>,
        values: Vec<Option<f64>>,
    },
}

impl Tiles {
    /// The elites of a view on two of its axes. Cells that those two alone divide are shown themselves; else elites are projected, and the best of each tile is
    /// shown. Elites without cells are dots.
    pub fn of(view: &View, [x, y]: [usize; 2]) -> Tiles {
        match (&view.spec.cells, view.spec.axes.len()) {
            (Cells::Grid { shape }, 2) => {
                let (columns, rows) = (shape[x], shape[y]);
                let mut values = vec![None; columns * rows];
                for (cell, value) in view.cells.iter().zip(&view.values) {
                    let at = [cell / shape[1], cell % shape[1]];
                    values[at[y] * columns + at[x]] = Some(*value);
                }
                Tiles::Grid { columns, rows, values }
            }
            (Cells::Cvt { centroids }, 2) => {
                let mut values = vec![None; view.spec.capacity];
                view.cells
                    .iter()
                    .zip(&view.values)
                    .for_each(|(cell, value)| values[*cell] = Some(*value));
                Tiles::Voronoi {
                    centroids: centroids.chunks_exact(2).map(|c| [c[x], c[y]]).collect(),
                    values,
                }
            }
            (Cells::Grid { shape }, _) => projected(view, [x, y], [shape[x], shape[y]]),
            (Cells::Cvt { .. }, _) => projected(view, [x, y], [PROJECTED; 2]),
            (Cells::None, _) => Tiles::Points {
                places: view.along(x).zip(view.along(y)).map(|(x, y)| [x, y]).collect(),
                values: view.values.iter().map(|value| Some(*value)).collect(),
            },
        }
    }

    /// The best elite of each of so many tiles.
    pub fn small(view: &View, axes: [usize; 2]) -> Tiles {
        let shape = match &view.spec.cells {
            Cells::Grid { shape } => axes.map(|axis| shape[axis].min(PROJECTED)),
            _ => [PROJECTED; 2],
        };
        projected(view, axes, shape)
    }

    pub fn values(&self) -> &[Option<f64>] {
        match self {
            Tiles::Grid { values, .. } | Tiles::Points { values, .. } | Tiles::Voronoi { values, .. } => values,
        }
    }

    pub fn values_mut(&mut self) -> &mut [Option<f64>] {
        match self {
            Tiles::Grid { values, .. } | Tiles::Points { values, .. } | Tiles::Voronoi { values, .. } => values,
        }
    }
}

fn projected(view: &View, [x, y]: [usize; 2], [columns, rows]: [usize; 2]) -> Tiles {
    let mut best: Vec<Option<(f64, f64)>> = vec![None; columns * rows];
    let index = |value: f64, axis: &Axis, n: usize| ((axis.share(value) * n as f64) as usize).min(n - 1);
    let places = view.along(x).zip(view.along(y));
    for ((place, fitness), value) in places.zip(&view.fitness).zip(&view.values) {
        let row = index(place.1, &view.spec.axes[y], rows);
        let tile = &mut best[row * columns + index(place.0, &view.spec.axes[x], columns)];
        if tile.is_none_or(|(known, _)| *fitness > known) {
            *tile = Some((*fitness, *value));
        }
    }
    Tiles::Grid {
        columns,
        rows,
        values: best.into_iter().map(|tile| tile.map(|(_, value)| value)).collect(),
    }
}

/// A square on which two axes lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Square<'a> {
    /// Its left and its upper edge.
    pub corner: [f64; 2],
    pub side: f64,
    pub axes: [&'a Axis; 2],
}

impl Square<'_> {
    pub fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [
            self.corner[0] + self.axes[0].share(x) * self.side,
            self.corner[1] + self.side - self.axes[1].share(y) * self.side,
        ]
    }

    /// The same within the square, where descriptors outside the bounds, which are kept as they are, lie on the edge.
    pub fn place_inside(&self, at: [f64; 2]) -> [f64; 2] {
        let [x, y] = self.place(at);
        let [left, top] = self.corner;
        [x.clamp(left, left + self.side), y.clamp(top, top + self.side)]
    }

    /// Draws what is behind the tiles.
    pub fn ground(&self, svg: &mut String) {
        let ([left, top], side) = (self.corner, self.side);
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.2}\" y=\"{top:.2}\" width=\"{side:.2}\" height=\"{side:.2}\" fill=\"{EMPTY}\"/>"
        );
    }

    /// Draws the tiles: `level` says which of so many colours a value has, `paint` gives the colour. All of one colour are one path, so the file stays small.
    pub fn draw(
        &self,
        svg: &mut String,
        tiles: &Tiles,
        levels: usize,
        level: impl Fn(f64) -> Option<usize>,
        paint: impl Fn(usize) -> String,
    ) {
        let ([left, top], side) = (self.corner, self.side);
        // The last one is of elites without a number.
        let mut paths = vec![String::new(); levels + 1];
        let level = |value: f64| level(value).unwrap_or(levels);
        let filled = tiles
            .values()
            .iter()
            .enumerate()
            .filter_map(|(i, value)| Some((i, level((*value)?))));
        match tiles {
            Tiles::Grid { columns, rows, .. } => {
                let (w, h) = (side / *columns as f64, side / *rows as f64);
                for (i, level) in filled {
                    let (x, y) = (
                        left + (i % columns) as f64 * w,
                        top + side - (i / columns + 1) as f64 * h,
                    );
                    let _ = write!(paths[level], "M{x:.2} {y:.2}h{w:.3}v{h:.3}h-{w:.3}z");
                }
            }
            Tiles::Points { places, .. } => {
                let r = DOT * (side / BIG).max(0.5);
                for (i, level) in filled {
                    let [x, y] = self.place_inside(places[i]);
                    let (x, d) = (x - r, 2.0 * r);
                    let _ = write!(
                        paths[level],
                        "M{x:.2} {y:.2}a{r:.2} {r:.2} 0 1 0 {d:.2} 0a{r:.2} {r:.2} 0 1 0 -{d:.2} 0z"
                    );
                }
            }
            Tiles::Voronoi { centroids, .. } => {
                for (i, level) in filled {
                    for (n, corner) in self.voronoi_cell(centroids, i).into_iter().enumerate() {
                        let [x, y] = self.place(corner);
                        let _ = write!(paths[level], "{}{x:.2} {y:.2}", if n == 0 { "M" } else { "L" });
                    }
                    paths[level] += "z";
                }
            }
        }
        for (i, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
            let colour = if i == levels { UNKNOWN.into() } else { paint(i) };
            // A hairline of the same colour closes the seams between neighbours.
            let _ = writeln!(
                svg,
                "<path fill=\"{colour}\" stroke=\"{colour}\" stroke-width=\"0.3\" d=\"{path}\"/>"
            );
        }
    }

    /// Corners of a point's Voronoi cell within the bounds, clipped by the bisectors to the nearest points. Distances are the archive's, in the axes' own units, which
    /// the square may stretch.
    fn voronoi_cell(&self, points: &[[f64; 2]], i: usize) -> Vec<[f64; 2]> {
        let [px, py] = points[i];
        let distance = |q: &[f64; 2]| (q[0] - px).powi(2) + (q[1] - py).powi(2);
        let mut order: Vec<(f64, usize)> = points
            .iter()
            .enumerate()
            .filter(|(j, _)| *j != i)
            .map(|(j, q)| (distance(q), j))
            .collect();
        let near = 48.min(order.len());
        if near < order.len() {
            order.select_nth_unstable_by(near, |a, b| a.0.total_cmp(&b.0));
        }
        order[..near].sort_by(|a, b| a.0.total_cmp(&b.0));
        let [x, y] = self.axes;
        let mut cell = vec![
            [x.lower, y.upper],
            [x.upper, y.upper],
            [x.upper, y.lower],
            [x.lower, y.lower],
        ];
        for (n, (d, j)) in order.iter().enumerate() {
            let reach = cell.iter().map(distance).fold(0.0, f64::max);
            // A bisector farther than the farthest corner cuts nothing; beyond the sorted ones all have to be tried.
            if n < near && *d > 4.0 * reach {
                break;
            }
            if n >= near && order[near - 1].0 > 4.0 * reach {
                break;
            }
            clip(&mut cell, [px, py], points[*j]);
        }
        cell
    }
}

/// Keeps the part of a convex polygon that is nearer to `p` than to `q`.
fn clip(cell: &mut Vec<[f64; 2]>, p: [f64; 2], q: [f64; 2]) {
    let (nx, ny) = (q[0] - p[0], q[1] - p[1]);
    let side = |c: [f64; 2]| (c[0] - (p[0] + q[0]) / 2.0) * nx + (c[1] - (p[1] + q[1]) / 2.0) * ny;
    let mut kept = Vec::with_capacity(cell.len() + 1);
    for (n, &a) in cell.iter().enumerate() {
        let b = cell[(n + 1) % cell.len()];
        let (sa, sb) = (side(a), side(b));
        if sa <= 0.0 {
            kept.push(a);
        }
        if (sa < 0.0) != (sb < 0.0) && sa != sb {
            let t = sa / (sa - sb);
            kept.push([a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]);
        }
    }
    *cell = kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::view::tests::view;

    fn axes(k: usize) -> Vec<Axis> {
        (0..k).map(|i| Axis::new(&format!("axis {i}"), "", 0.0, 1.0)).collect()
    }

    fn area(polygon: &[[f64; 2]]) -> f64 {
        let edges = polygon.iter().zip(polygon.iter().cycle().skip(1));
        edges.map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f64>().abs() / 2.0
    }

    #[test]
    fn voronoi_cells_tile_the_map() {
        let axes = [Axis::new("x", "m", -1.0, 1.0), Axis::new("y", "m", 0.0, 30.0)];
        let square = Square {
            corner: [92.0, 78.0],
            side: 560.0,
            axes: [&axes[0], &axes[1]],
        };
        let points: Vec<[f64; 2]> = (0..300)
            .map(|i| {
                let s = illume_core::Stream::new(1, illume_core::Purpose::Centroids, 0, i);
                [2.0 * s.uniform(0) - 1.0, 30.0 * s.uniform(1)]
            })
            .collect();
        let cells: Vec<_> = (0..points.len()).map(|i| square.voronoi_cell(&points, i)).collect();
        let total: f64 = cells.iter().map(|cell| area(cell)).sum();
        assert!((total / 60.0 - 1.0).abs() < 1e-9, "{total}");
        // Where axes have unequal ranges, too, a cell is what is nearest to its point: its corners are no nearer to another.
        let distance = |a: &[f64; 2], b: &[f64; 2]| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
        for (point, cell) in points.iter().zip(&cells) {
            for corner in cell {
                let nearest = points.iter().map(|p| distance(p, corner)).fold(f64::INFINITY, f64::min);
                assert!(distance(point, corner) <= nearest + 1e-9, "{point:?} {corner:?}");
            }
        }
    }

    #[test]
    fn the_boxes_of_a_grid_are_its_cells_whichever_axis_is_horizontal() {
        // Three columns along x, two along y; elites 1 and 2 in (x, y) = (0, 1) and (2, 0).
        let view = view(Cells::Grid { shape: vec![3, 2] }, axes(2), &[0.1, 0.9, 0.9, 0.1]);
        assert_eq!(
            Tiles::of(&view, [0, 1]),
            Tiles::Grid {
                columns: 3,
                rows: 2,
                values: vec![None, None, Some(2.0), Some(1.0), None, None]
            }
        );
        assert_eq!(
            Tiles::of(&view, [1, 0]),
            Tiles::Grid {
                columns: 2,
                rows: 3,
                values: vec![None, Some(1.0), None, None, Some(2.0), None]
            }
        );
    }

    #[test]
    fn of_three_axes_each_tile_shows_the_best_of_what_lies_behind_it() {
        let d = [0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.1, 0.5];
        let mut view = view(Cells::Grid { shape: vec![2, 2, 2] }, axes(3), &d);
        let tiles = |view: &View, axes| Tiles::of(view, axes).values().to_vec();
        assert_eq!(tiles(&view, [0, 1]), [Some(2.0), Some(3.0), None, None]);
        assert_eq!(tiles(&view, [1, 2]), [Some(1.0), None, Some(3.0), None]);
        // The best by fitness, whatever is shown of it.
        view.values = vec![50.0, f64::NAN, -1.0];
        assert!(tiles(&view, [0, 1])[0].is_some_and(f64::is_nan));
        view.spec.cells = Cells::None;
        assert_eq!(tiles(&view, [0, 1])[2], Some(-1.0));
    }
}
