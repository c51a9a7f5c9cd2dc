//! A table of small boxes, each with the centroids that are nearest to some point of it.

/// What [`Table::find`] gives for a point outside the table's bounds.
pub(super) const OUTSIDE: u32 = u32::MAX;

/// Comparisons for each box and centroid beyond which the table is given up: the centroids are far from evenly spread.
const EFFORT: usize = 4096;

/// By how much of its side a box is enlarged while it is filled, against rounding when a point is assigned to it.
const MARGIN: f64 = 1e-6;

/// Candidates for every box of a grid over the bounds.
#[derive(Debug, Clone)]
pub(super) struct Table<const K: usize> {
    lower: [f64; K],
    upper: [f64; K],
    scale: [f64; K],
    count: [usize; K],
    /// Candidates of box b: `starts[b]..starts[b + 1]`.
    starts: Vec<u32>,
    /// Candidates' numbers, ascending within a box.
    numbers: Vec<u32>,
    centroids: Vec<[f64; K]>,
}

/// Boxes along each axis: nearly cubes, about `boxes` in all.
fn resolution<const K: usize>(extent: [f64; K], boxes: usize) -> [usize; K] {
    let mut count = [1; K];
    let mut open = [true; K];
    loop {
        let free: Vec<usize> = (0..K).filter(|&d| open[d]).collect();
        if free.is_empty() {
            return count;
        }
        let log_volume: f64 = free.iter().map(|&d| extent[d].ln()).sum();
        let side = ((log_volume - (boxes as f64).ln()) / free.len() as f64).exp();
        match free.iter().find(|&&d| extent[d] < side) {
            Some(&thin) => open[thin] = false,
            None => {
                free.iter()
                    .for_each(|&d| count[d] = (extent[d] / side).round().clamp(1.0, boxes as f64) as usize);
                return count;
            }
        }
    }
}

impl<const K: usize> Table<K> {
    /// The table of `centroids`, `[cells, K]`; `None` if it would take long because they are unevenly spread.
    pub(super) fn new(centroids: &[f64], lower: &[f64], upper: &[f64], boxes: usize) -> Option<Table<K>> {
        let lower: [f64; K] = std::array::from_fn(|d| lower[d]);
        let upper: [f64; K] = std::array::from_fn(|d| upper[d]);
        let count = resolution(std::array::from_fn(|d| upper[d] - lower[d]), boxes.max(1));
        let total: usize = count.iter().product();
        let mut filler = Filler {
            centroids: centroids
                .chunks_exact(K)
                .map(|c| std::array::from_fn(|d| c[d]))
                .collect(),
            lower,
            step: std::array::from_fn(|d| (upper[d] - lower[d]) / count[d] as f64),
            slack: std::array::from_fn(|d| {
                MARGIN * (upper[d] - lower[d]) / count[d] as f64
                    + 4.0 * f64::EPSILON * lower[d].abs().max(upper[d].abs())
            }),
            count,
            stack: (0..(centroids.len() / K) as u32).collect(),
            nears: Vec::new(),
            lists: vec![0..0; total],
            numbers: Vec::new(),
            effort: EFFORT * (total + centroids.len() / K),
        };
        filler.divide([0; K], count, 0)?;
        // The lists were made in the order of the subdivision; the table wants them in the order of the boxes.
        let mut starts = Vec::with_capacity(total + 1);
        let mut numbers = Vec::with_capacity(filler.numbers.len());
        for list in &filler.lists {
            starts.push(numbers.len() as u32);
            numbers.extend_from_slice(&filler.numbers[list.start as usize..list.end as usize]);
        }
        starts.push(numbers.len() as u32);
        let scale = std::array::from_fn(|d| count[d] as f64 / (upper[d] - lower[d]));
        Some(Table {
            lower,
            upper,
            scale,
            count,
            starts,
            numbers,
            centroids: filler.centroids,
        })
    }

    /// Number of the nearest centroid of each point, [`OUTSIDE`] for one outside the bounds.
    pub(super) fn find(&self, points: &[f64], found: &mut [u32]) {
        for (point, found) in points.chunks_exact(K).zip(found) {
            *found = self.find_one(std::array::from_fn(|d| point[d]));
        }
    }

    #[inline(always)]
    fn find_one(&self, point: [f64; K]) -> u32 {
        let mut at = 0;
        for (d, x) in point.into_iter().enumerate() {
            if !(x >= self.lower[d] && x <= self.upper[d]) {
                return OUTSIDE;
            }
            let along = ((x - self.lower[d]) * self.scale[d]) as usize;
            at = at * self.count[d] + along.min(self.count[d] - 1);
        }
        let candidates = &self.numbers[self.starts[at] as usize..self.starts[at + 1] as usize];
        let (mut best, mut nearest) = (f64::INFINITY, 0);
        for &number in candidates {
            let distance = distance(self.centroids[number as usize], point);
            nearest = if distance < best { number } else { nearest };
            best = if distance < best { distance } else { best };
        }
        nearest
    }
}

#[inline(always)]
fn distance<const K: usize>(a: [f64; K], b: [f64; K]) -> f64 {
    let mut sum = 0.0;
    for d in 0..K {
        sum += (a[d] - b[d]) * (a[d] - b[d]);
    }
    sum
}

/// Subdivides the bounds box by box, handing down to each half only the candidates that may be nearest in it.
struct Filler<const K: usize> {
    centroids: Vec<[f64; K]>,
    lower: [f64; K],
    step: [f64; K],
    slack: [f64; K],
    count: [usize; K],
    /// Candidates of the boxes on the way down, the present one's last.
    stack: Vec<u32>,
    nears: Vec<f64>,
    lists: Vec<std::ops::Range<u32>>,
    numbers: Vec<u32>,
    /// Comparisons that may still be made.
    effort: usize,
}

impl<const K: usize> Filler<K> {
    /// Fills the boxes `from..to` out of the candidates `stack[base..]`; `None` if it takes too long.
    fn divide(&mut self, from: [usize; K], to: [usize; K], base: usize) -> Option<()> {
        let low: [f64; K] = std::array::from_fn(|d| self.lower[d] + from[d] as f64 * self.step[d] - self.slack[d]);
        let high: [f64; K] = std::array::from_fn(|d| self.lower[d] + to[d] as f64 * self.step[d] + self.slack[d]);
        let top = self.stack.len();
        self.effort = self.effort.checked_sub(top - base)?;
        self.keep_reachable(low, high, base);
        let widest = (0..K).max_by_key(|&d| to[d] - from[d]).filter(|&d| to[d] - from[d] > 1);
        match widest {
            Some(d) => {
                let middle = from[d] + (to[d] - from[d]) / 2;
                let (mut left_to, mut right_from) = (to, from);
                left_to[d] = middle;
                right_from[d] = middle;
                self.divide(from, left_to, top)?;
                self.divide(right_from, to, top)?;
            }
            None => {
                let start = self.numbers.len();
                let candidates = self.stack.len() - top;
                self.effort = self.effort.checked_sub(candidates * candidates)?;
                self.keep_undominated(low, high, top);
                let at = (0..K).fold(0, |at, d| at * self.count[d] + from[d]);
                self.lists[at] = start as u32..self.numbers.len() as u32;
            }
        }
        self.stack.truncate(top);
        Some(())
    }

    /// Pushes those candidates whose least distance to the box does not exceed the smallest greatest distance of any.
    fn keep_reachable(&mut self, low: [f64; K], high: [f64; K], base: usize) {
        let top = self.stack.len();
        self.nears.clear();
        let mut reach = f64::INFINITY;
        for &number in &self.stack[base..top] {
            let c = self.centroids[number as usize];
            let (mut near, mut far) = (0.0, 0.0);
            for d in 0..K {
                let (below, above) = (low[d] - c[d], c[d] - high[d]);
                let least = below.max(above).max(0.0);
                let most = below.abs().max(above.abs());
                near += least * least;
                far += most * most;
            }
            self.nears.push(near);
            reach = if far < reach { far } else { reach };
        }
        let reach = reach * (1.0 + 1e-12);
        for i in 0..top - base {
            if self.nears[i] <= reach {
                self.stack.push(self.stack[base + i]);
            }
        }
    }

    /// Lists those candidates of the box that no other is nearer than at every corner (and so everywhere in the box).
    fn keep_undominated(&mut self, low: [f64; K], high: [f64; K], base: usize) {
        let corners = 1 << K;
        let corner = |i: usize| -> [f64; K] { std::array::from_fn(|d| if i >> d & 1 == 0 { low[d] } else { high[d] }) };
        let candidates = &self.stack[base..];
        for &p in candidates {
            let here = self.centroids[p as usize];
            let dominated = candidates.iter().any(|&q| {
                let other = self.centroids[q as usize];
                q != p
                    && ((other == here && q < p)
                        || (0..corners).all(|i| {
                            let c = corner(i);
                            distance(other, c) * (1.0 + 1e-12) < distance(here, c)
                        }))
            });
            if !dominated {
                self.numbers.push(p);
            }
        }
    }
}
