//! A k-d tree with bounding boxes and leaves of eight points, which are compared at once.

mod several;

/// Points of a leaf: one vector of f64 on AVX-512.
const LEAF: usize = 8;

/// Depth of the deepest tree: 2^31 points in leaves of eight, each level halving them.
const DEPTH: usize = 40;

/// A balanced tree over points; nodes lie in preorder.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    k: usize,
    nodes: Vec<Node>,
    /// Bounding box of node n: its lower then its upper corner, at `2 * k * n`.
    boxes: Vec<f64>,
    /// Coordinates of leaf l at `8 * k * l`, axis by axis; infinite where the last leaf is not full.
    leaves: Vec<f64>,
    /// Numbers of the points of leaf l at `8 * l`.
    numbers: Vec<u32>,
    centroids: Vec<f64>,
}

/// An inner node's left child is the next node.
#[derive(Debug, Clone, Copy)]
enum Node {
    Inner { right: u32 },
    Leaf { leaf: u32 },
}

impl Tree {
    /// The tree of `centroids`, `[cells, k]`, at least one.
    pub(crate) fn new(centroids: &[f64], k: usize) -> Tree {
        let mut tree = Tree {
            k,
            nodes: Vec::new(),
            boxes: Vec::new(),
            leaves: Vec::new(),
            numbers: Vec::new(),
            centroids: centroids.to_vec(),
        };
        let mut order: Vec<u32> = (0..(centroids.len() / k) as u32).collect();
        tree.grow(&mut order);
        tree
    }

    fn grow(&mut self, order: &mut [u32]) {
        let k = self.k;
        let at = |centroids: &[f64], i: u32, d: usize| centroids[i as usize * k + d];
        let node = self.nodes.len();
        for upper in [false, true] {
            for d in 0..k {
                let along = order.iter().map(|&i| at(&self.centroids, i, d));
                let bound = if upper {
                    along.fold(f64::NEG_INFINITY, f64::max)
                } else {
                    along.fold(f64::INFINITY, f64::min)
                };
                self.boxes.push(bound);
            }
        }
        if order.len() <= LEAF {
            let leaf = self.numbers.len() / LEAF;
            self.nodes.push(Node::Leaf { leaf: leaf as u32 });
            for d in 0..k {
                for l in 0..LEAF {
                    self.leaves
                        .push(order.get(l).map_or(f64::INFINITY, |&i| at(&self.centroids, i, d)));
                }
            }
            self.numbers
                .extend((0..LEAF).map(|l| order.get(l).copied().unwrap_or(u32::MAX)));
            return;
        }
        let bounds = &self.boxes[2 * k * node..];
        let extent = |d: usize| bounds[k + d] - bounds[d];
        let widest = (0..k).fold(0, |best, d| if extent(d) > extent(best) { d } else { best });
        // Whole leaves on the left, so that only the last leaf is not full.
        let left = order.len().div_ceil(LEAF) / 2 * LEAF;
        let centroids = &self.centroids;
        order.select_nth_unstable_by(left, |&a, &b| {
            at(centroids, a, widest)
                .total_cmp(&at(centroids, b, widest))
                .then(a.cmp(&b))
        });
        self.nodes.push(Node::Inner { right: 0 });
        let (below, above) = order.split_at_mut(left);
        self.grow(below);
        self.nodes[node] = Node::Inner {
            right: self.nodes.len() as u32,
        };
        self.grow(above);
    }

    /// Number of the nearest centroid of each point; `found` brings a guess for each.
    pub(super) fn find(&self, points: &[f64], found: &mut [u32]) {
        let tree = self;
        illume_numerics::simd_dispatch!(
            fn [](tree: &Tree, points: &[f64], found: &mut [u32]) { search(tree, points, found) }
        )
    }
}

impl Tree {
    #[inline(always)]
    fn search_one(&self, point: &[f64], guess: u32) -> u32 {
        let k = point.len();
        let start = guess as usize * k;
        let mut best = distance(&self.centroids[start..start + k], point);
        let mut nearest = guess;
        let mut open = [(0.0, 0u32); DEPTH];
        let mut depth = 1;
        while depth > 0 {
            depth -= 1;
            let (bound, mut node) = open[depth];
            if bound > best {
                continue;
            }
            loop {
                match self.nodes[node as usize] {
                    Node::Inner { right } => {
                        let (a, b) = (self.bound(node + 1, point), self.bound(right, point));
                        let (near, far) = if b < a {
                            ((b, right), (a, node + 1))
                        } else {
                            ((a, node + 1), (b, right))
                        };
                        if far.0 <= best {
                            open[depth] = far;
                            depth += 1;
                        }
                        if near.0 > best {
                            break;
                        }
                        node = near.1;
                    }
                    Node::Leaf { leaf } => {
                        self.scan(leaf as usize, point, &mut best, &mut nearest);
                        break;
                    }
                }
            }
        }
        nearest
    }

    /// Squared distance from a point to a node's box: never more than the computed distance to any point in it, since each
    /// term is not more and rounding keeps order.
    #[inline(always)]
    fn bound(&self, node: u32, point: &[f64]) -> f64 {
        let k = point.len();
        let corners = &self.boxes[2 * k * node as usize..2 * k * (node as usize + 1)];
        let mut sum = 0.0;
        for d in 0..k {
            let (below, above) = (corners[d] - point[d], point[d] - corners[k + d]);
            let beyond = if below > above { below } else { above };
            let beyond = if beyond > 0.0 { beyond } else { 0.0 };
            sum += beyond * beyond;
        }
        sum
    }

    #[inline(always)]
    fn scan(&self, leaf: usize, point: &[f64], best: &mut f64, nearest: &mut u32) {
        let k = point.len();
        let block = &self.leaves[LEAF * k * leaf..LEAF * k * (leaf + 1)];
        let mut distances = [0.0; LEAF];
        for (axis, x) in block.chunks_exact(LEAF).zip(point) {
            for l in 0..LEAF {
                distances[l] += (axis[l] - x) * (axis[l] - x);
            }
        }
        let mut least = f64::INFINITY;
        for d in distances {
            least = if d < least { d } else { least };
        }
        if least > *best {
            return;
        }
        for (d, &number) in distances.into_iter().zip(&self.numbers[LEAF * leaf..LEAF * (leaf + 1)]) {
            if d < *best || (d == *best && number < *nearest) {
                *best = d;
                *nearest = number;
            }
        }
    }
}

#[inline(always)]
fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + (a - b) * (a - b))
}

#[inline(always)]
fn search_k<const K: usize>(tree: &Tree, points: &[f64], found: &mut [u32]) {
    for (point, found) in points.chunks_exact(K).zip(found) {
        let point: [f64; K] = std::array::from_fn(|d| point[d]);
        *found = tree.search_one(&point, *found);
    }
}

#[inline(always)]
fn search(tree: &Tree, points: &[f64], found: &mut [u32]) {
    match tree.k {
        2 => search_k::<2>(tree, points, found),
        3 => search_k::<3>(tree, points, found),
        4 => search_k::<4>(tree, points, found),
        5 => search_k::<5>(tree, points, found),
        6 => search_k::<6>(tree, points, found),
        8 => search_k::<8>(tree, points, found),
        k => {
            for (point, found) in points.chunks_exact(k).zip(found) {
                *found = tree.search_one(point, *found);
            }
        }
    }
}
