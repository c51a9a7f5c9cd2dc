//! Heat maps of archives.

use std::fmt::Write as _;

use illume_core::{Axis, Cells, Error, Result};

use super::{escape, named, open, ticks};
use crate::engine::output::{significant, thousands};

/// What a heat map shows: elites placed on two axes, coloured by fitness.
pub struct HeatMap<'a> {
    pub title: String,
    pub subtitle: String,
    pub axes: [&'a Axis; 2],
    pub tiles: Tiles<'a>,
    /// Name of the colour bar.
    pub value: String,
}

/// The cells of a heat map with the fitness of those that are filled (NaN for empty ones).
pub enum Tiles<'a> {
    /// `fitness[i * columns + j]`: i counts along the second (vertical) axis from its lower bound, j along the first.
    Grid {
        columns: usize,
        rows: usize,
        fitness: Vec<f64>,
    },
    /// Elites where they lie, `[elites, 2]`, instead of cells.
    Points { places: Vec<f64>, fitness: &'a [f64] },
    /// Voronoi cells of `centroids`, `[cells, 2]`.
    Voronoi { centroids: &'a [f64], fitness: &'a [f64] },
}

const MAP: f64 = 560.0;
const LEFT: f64 = 92.0;
const TOP: f64 = 78.0;
const WIDTH: f64 = LEFT + MAP + 150.0;
const HEIGHT: f64 = TOP + MAP + 74.0;
/// Radius of an elite without a cell.
const DOT: f64 = 3.0;
/// Colours between lowest and highest fitness.
const LEVELS: usize = 128;

/// The archive of a file as a heat map over two of its axes. A grid shown over all of its axes shows its own cells; where there
/// are more axes, elites are projected and the best of each tile is shown. The members of an unstructured archive are dots.
///
/// # Errors
/// An axis that does not exist, or an archive with fewer than two.
pub fn heat_map<'a>(
    title: String,
    subtitle: String,
    spec: &'a illume_core::ArchiveSpec,
    elites: &illume_core::Batch,
    fitness_by_cell: &'a [f64],
    axes: Option<[usize; 2]>,
) -> Result<HeatMap<'a>> {
    let k = spec.axes.len();
    if k < 2 {
        return Err(Error::input(format!(
            "a heat map needs a descriptor with two axes, this archive's has {k}"
        )));
    }
    let [x, y] = axes.unwrap_or([0, 1]);
    if x >= k || y >= k || x == y {
        return Err(Error::input(format!(
            "--axes {x},{y}: expected two different axes from 0 to {}",
            k - 1
        )));
    }
    let tiles = match &spec.cells {
        Cells::Grid { shape } if k == 2 => {
            let (columns, rows) = (shape[x], shape[y]);
            let mut fitness = vec![f64::NAN; columns * rows];
            for (cell, value) in fitness_by_cell.iter().enumerate() {
                let at = [cell / shape[1], cell % shape[1]];
                fitness[at[y] * columns + at[x]] = *value;
            }
            Tiles::Grid { columns, rows, fitness }
        }
        Cells::Cvt { centroids } if k == 2 && x == 0 => Tiles::Voronoi {
            centroids,
            fitness: fitness_by_cell,
        },
        Cells::Grid { shape } => project(spec, elites, [x, y], [shape[x], shape[y]])?,
        Cells::Cvt { .. } => project(spec, elites, [x, y], [40, 40])?,
        Cells::None => {
            let rows = elites.get::<f64>("descriptor")?.chunks_exact(k);
            Tiles::Points {
                places: rows.flat_map(|d| [d[x], d[y]]).collect(),
                fitness: fitness_by_cell,
            }
        }
    };
    Ok(HeatMap {
        title,
        subtitle,
        axes: [&spec.axes[x], &spec.axes[y]],
        tiles,
        value: "fitness".into(),
    })
}

fn project(
    spec: &illume_core::ArchiveSpec,
    elites: &illume_core::Batch,
    [x, y]: [usize; 2],
    [columns, rows]: [usize; 2],
) -> Result<Tiles<'static>> {
    let (all, descriptor) = (elites.get::<f64>("fitness")?, elites.get::<f64>("descriptor")?);
    let mut fitness = vec![f64::NAN; columns * rows];
    let index = |value: f64, axis: &Axis, n: usize| {
        let share = (value - axis.lower) / (axis.upper - axis.lower);
        ((share * n as f64) as usize).min(n - 1)
    };
    for (f, d) in all.iter().zip(descriptor.chunks_exact(spec.axes.len())) {
        let tile = &mut fitness[index(d[y], &spec.axes[y], rows) * columns + index(d[x], &spec.axes[x], columns)];
        *tile = tile.max(*f);
    }
    Ok(Tiles::Grid { columns, rows, fitness })
}

impl HeatMap<'_> {
    /// The drawing as SVG text.
    pub fn svg(&self) -> String {
        let fitness = match &self.tiles {
            Tiles::Grid { fitness, .. } => fitness.as_slice(),
            Tiles::Voronoi { fitness, .. } | Tiles::Points { fitness, .. } => fitness,
        };
        let known = || fitness.iter().copied().filter(|f| f.is_finite());
        let (low, high) = (
            known().fold(f64::INFINITY, f64::min),
            known().fold(f64::NEG_INFINITY, f64::max),
        );
        let mut svg = open([WIDTH, HEIGHT], LEFT, &self.title, &self.subtitle);
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{MAP}\" height=\"{MAP}\" fill=\"#eceef0\"/>"
        );
        self.draw_tiles(&mut svg, low, high);
        self.draw_axes(&mut svg);
        if low <= high {
            draw_colour_bar(&mut svg, low, high, &self.value);
        } else {
            let (x, y) = (LEFT + MAP / 2.0, TOP + MAP / 2.0);
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" fill=\"#555\">the archive is empty</text>"
            );
        }
        svg + "</svg>\n"
    }

    /// All tiles of one colour are one path: the file stays small.
    fn draw_tiles(&self, svg: &mut String, low: f64, high: f64) {
        let mut paths = vec![String::new(); LEVELS];
        let level = |f: f64| {
            if high > low {
                ((f - low) / (high - low) * (LEVELS - 1) as f64).round() as usize
            } else {
                LEVELS - 1
            }
        };
        match &self.tiles {
            Tiles::Grid { columns, rows, fitness } => {
                let (w, h) = (MAP / *columns as f64, MAP / *rows as f64);
                for (i, f) in fitness.iter().enumerate().filter(|(_, f)| f.is_finite()) {
                    let (x, y) = (
                        LEFT + (i % columns) as f64 * w,
                        TOP + MAP - (i / columns + 1) as f64 * h,
                    );
                    let _ = write!(paths[level(*f)], "M{x:.2} {y:.2}h{w:.3}v{h:.3}h-{w:.3}z");
                }
            }
            Tiles::Points { places, fitness } => {
                let r = DOT;
                for (place, f) in places.chunks_exact(2).zip(*fitness).filter(|(_, f)| f.is_finite()) {
                    // Descriptors outside the bounds, which are kept as they are, lie on the edge.
                    let [x, y] = self.place(place[0], place[1]);
                    let (x, y) = (x.clamp(LEFT, LEFT + MAP), y.clamp(TOP, TOP + MAP));
                    let _ = write!(
                        paths[level(*f)],
                        "M{:.2} {y:.2}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z",
                        x - r,
                        d = 2.0 * r
                    );
                }
            }
            Tiles::Voronoi { centroids, fitness } => {
                let points: Vec<[f64; 2]> = centroids.chunks_exact(2).map(|c| self.place(c[0], c[1])).collect();
                for (i, f) in fitness.iter().enumerate().filter(|(_, f)| f.is_finite()) {
                    let path = &mut paths[level(*f)];
                    for (n, [x, y]) in voronoi_cell(&points, i).iter().enumerate() {
                        let _ = write!(path, "{}{x:.2} {y:.2}", if n == 0 { "M" } else { "L" });
                    }
                    *path += "z";
                }
            }
        }
        for (i, path) in paths.iter().enumerate().filter(|(_, p)| !p.is_empty()) {
            let colour = viridis_text(i as f64 / (LEVELS - 1) as f64);
            // A hairline of the same colour closes the seams between neighbours.
            let _ = writeln!(
                svg,
                "<path fill=\"{colour}\" stroke=\"{colour}\" stroke-width=\"0.3\" d=\"{path}\"/>"
            );
        }
    }

    fn place(&self, x: f64, y: f64) -> [f64; 2] {
        let share = |v: f64, a: &Axis| (v - a.lower) / (a.upper - a.lower);
        [
            LEFT + share(x, self.axes[0]) * MAP,
            TOP + MAP - share(y, self.axes[1]) * MAP,
        ]
    }

    fn draw_axes(&self, svg: &mut String) {
        let bottom = TOP + MAP;
        let _ = writeln!(
            svg,
            "<g stroke=\"#444\"><rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{MAP}\" height=\"{MAP}\" fill=\"none\"/></g>"
        );
        for tick in ticks(self.axes[0].lower, self.axes[0].upper, 6) {
            let x = self.place(tick, self.axes[1].lower)[0];
            let (y1, y2) = (bottom + 5.0, bottom + 21.0);
            let _ = writeln!(
                svg,
                "<path stroke=\"#444\" d=\"M{x:.2} {bottom}V{y1}\"/><text x=\"{x:.2}\" y=\"{y2}\" text-anchor=\"middle\">{}</text>",
                significant(tick)
            );
        }
        for tick in ticks(self.axes[1].lower, self.axes[1].upper, 6) {
            let y = self.place(self.axes[0].lower, tick)[1];
            let (x1, x2, ty) = (LEFT - 5.0, LEFT - 9.0, y + 4.5);
            let _ = writeln!(
                svg,
                "<path stroke=\"#444\" d=\"M{LEFT} {y:.2}H{x1}\"/><text x=\"{x2}\" y=\"{ty:.2}\" text-anchor=\"end\">{}</text>",
                significant(tick)
            );
        }
        let label = |a: &Axis| escape(&named(&a.name.replace('_', " "), &a.unit));
        let (cx, y) = (LEFT + MAP / 2.0, bottom + 50.0);
        let _ = writeln!(
            svg,
            "<text x=\"{cx}\" y=\"{y}\" text-anchor=\"middle\" font-size=\"15\">{}</text>",
            label(self.axes[0])
        );
        let cy = TOP + MAP / 2.0;
        let _ = writeln!(
            svg,
            "<text transform=\"translate(26 {cy}) rotate(-90)\" text-anchor=\"middle\" font-size=\"15\">{}</text>",
            label(self.axes[1])
        );
    }
}

fn draw_colour_bar(svg: &mut String, low: f64, high: f64, name: &str) {
    let (x, width, steps) = (LEFT + MAP + 26.0, 20.0, 128);
    let h = MAP / f64::from(steps);
    for i in 0..steps {
        let y = TOP + MAP - f64::from(i + 1) * h;
        let colour = viridis_text(f64::from(i) / f64::from(steps - 1));
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y:.2}\" width=\"{width}\" height=\"{:.2}\" fill=\"{colour}\"/>",
            h + 0.4
        );
    }
    let values = if high > low { ticks(low, high, 6) } else { vec![low] };
    for tick in values {
        let share = if high > low { (tick - low) / (high - low) } else { 0.5 };
        let y = TOP + MAP * (1.0 - share);
        let (x1, x2, x3) = (x + width, x + width + 5.0, x + width + 9.0);
        let _ = writeln!(
            svg,
            "<path stroke=\"#444\" d=\"M{x1} {y:.2}H{x2}\"/><text x=\"{x3}\" y=\"{:.2}\">{}</text>",
            y + 4.5,
            significant(tick)
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{}\" font-size=\"15\">{}</text>",
        TOP - 12.0,
        escape(name)
    );
}

/// Corners of a point's Voronoi cell within the map: the map clipped by the bisectors to the nearest points.
fn voronoi_cell(points: &[[f64; 2]], i: usize) -> Vec<[f64; 2]> {
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
    let (right, bottom) = (LEFT + MAP, TOP + MAP);
    let mut cell = vec![[LEFT, TOP], [right, TOP], [right, bottom], [LEFT, bottom]];
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

/// The colour map viridis (van der Walt and Smith, CC0) at eleven of its points, interpolated.
fn viridis_text(share: f64) -> String {
    let [r, g, b] = viridis(share);
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// The same as bytes.
pub(crate) fn viridis(share: f64) -> [u8; 3] {
    const POINTS: [[u8; 3]; 11] = [
        [68, 1, 84],
        [72, 36, 117],
        [65, 68, 135],
        [53, 95, 141],
        [42, 120, 142],
        [33, 145, 140],
        [34, 168, 132],
        [68, 191, 112],
        [122, 209, 81],
        [189, 223, 38],
        [253, 231, 37],
    ];
    let at = share.clamp(0.0, 1.0) * (POINTS.len() - 1) as f64;
    let i = (at as usize).min(POINTS.len() - 2);
    let mix = |c: usize| {
        let (a, b) = (f64::from(POINTS[i][c]), f64::from(POINTS[i + 1][c]));
        (a + (b - a) * (at - i as f64)).round() as u8
    };
    [mix(0), mix(1), mix(2)]
}

/// Title and subtitle of an archive's heat map.
pub fn captions(
    attributes: &illume_archives::file::Attributes,
    metrics: &illume_archives::metrics::Metrics,
) -> (String, String) {
    let archive = if metrics.coverage.is_finite() {
        let score = significant(metrics.qd_score);
        format!("QD score {score} · coverage {:.1} %", 100.0 * metrics.coverage)
    } else {
        format!("{} members", thousands(metrics.filled as u64))
    };
    (
        format!("{}, {}", attributes.task, attributes.strategy),
        format!(
            "{archive} · best {} · {} evaluations · seed {}",
            significant(metrics.max_fitness),
            thousands(attributes.evaluations),
            attributes.seed
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(polygon: &[[f64; 2]]) -> f64 {
        let edges = polygon.iter().zip(polygon.iter().cycle().skip(1));
        edges.map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f64>().abs() / 2.0
    }

    #[test]
    fn voronoi_cells_tile_the_map() {
        let points: Vec<[f64; 2]> = (0..300)
            .map(|i| {
                let s = illume_core::Stream::new(1, illume_core::Purpose::Centroids, 0, i);
                [LEFT + MAP * s.uniform(0), TOP + MAP * s.uniform(1)]
            })
            .collect();
        let total: f64 = (0..points.len()).map(|i| area(&voronoi_cell(&points, i))).sum();
        assert!((total / (MAP * MAP) - 1.0).abs() < 1e-9, "{total}");
    }

    #[test]
    fn an_empty_archive_gives_a_plot_that_says_so() {
        let axes = [Axis::new("x", "m", 0.0, 1.0), Axis::new("y", "", 0.0, 1.0)];
        let map = HeatMap {
            title: "a<b".into(),
            subtitle: String::new(),
            axes: [&axes[0], &axes[1]],
            tiles: Tiles::Grid {
                columns: 2,
                rows: 2,
                fitness: vec![f64::NAN; 4],
            },
            value: "fitness".into(),
        };
        assert!(map.svg().contains("the archive is empty") && map.svg().contains("a&lt;b"));
        assert!(super::super::png(&map.svg(), 1.0).unwrap().starts_with(b"\x89PNG"));
    }
}
