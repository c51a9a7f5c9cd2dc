//! Several nearest points instead of one.

use super::{DEPTH, LEAF, Node, Tree};
use crate::neighbours::Nearest;

impl Tree {
    /// Offers the squared distances from `point` to all points that may be among the nearest but for number `except`; the first point is number `first` there.
    #[inline(always)]
    pub(crate) fn nearest(&self, point: &[f64], except: u32, first: u64, best: &mut impl Nearest) {
        let mut open = [(0.0, 0u32); DEPTH];
        let mut depth = 1;
        while depth > 0 {
            depth -= 1;
            let (bound, mut node) = open[depth];
            if best.closed(bound) {
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
                        if !best.closed(far.0) {
                            open[depth] = far;
                            depth += 1;
                        }
                        if best.closed(near.0) {
                            break;
                        }
                        node = near.1;
                    }
                    Node::Leaf { leaf } => {
                        self.take(leaf as usize, point, except, first, best);
                        break;
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn take(&self, leaf: usize, point: &[f64], except: u32, first: u64, best: &mut impl Nearest) {
        let k = point.len();
        let block = &self.leaves[LEAF * k * leaf..LEAF * k * (leaf + 1)];
        let mut distances = [0.0; LEAF];
        for (axis, x) in block.chunks_exact(LEAF).zip(point) {
            for l in 0..LEAF {
                distances[l] += (axis[l] - x) * (axis[l] - x);
            }
        }
        for (d, &number) in distances.into_iter().zip(&self.numbers[LEAF * leaf..LEAF * (leaf + 1)]) {
            if number != except {
                best.offer(d, first + u64::from(number));
            }
        }
    }
}
