//! A network with Adam's moments, and its passes over a tape.

use super::Network;
use super::adam::{Adam, Gradient, Learned, soften};
use super::head::{Head, head_backward, head_forward, head_update};
use super::kernel::{Backward, Forward, Update, backward, forward, update};
use super::packed::{Act, Piece, Plan, STRIP, Slot, Slots};
use super::team::join;
use crate::Buffer;
use crate::Level;

/// Which slots of a strip a network's passes use.
#[derive(Debug, Clone)]
pub struct Path {
    /// Numbers of a strip.
    pub strip: usize,
    /// Inputs of each layer, and the outputs of the last one but for a head.
    pub values: Vec<Slot>,
    /// Derivatives by the sums of each layer but the head.
    pub deltas: Vec<Slot>,
    /// The head's output or the derivative by it.
    pub number: Slot,
}

impl Path {
    /// Slots for a forward and a backward pass of their own; `strip` is still to be set.
    pub fn new(plan: &Plan, slots: &mut Slots) -> Path {
        let values = widths(&plan.net)
            .take(plan.layers.len() + 1)
            .map(|w| slots.rows(w))
            .collect();
        let deltas = plan.layers.iter().map(|layer| slots.rows(layer.outputs)).collect();
        Path {
            strip: 0,
            values,
            deltas,
            number: slots.numbers(),
        }
    }

    /// Slots where derivatives overwrite what they are taken at: for passes after which no gradient is formed.
    pub fn in_place(plan: &Plan, slots: &mut Slots) -> Path {
        let values: Vec<Slot> = widths(&plan.net)
            .take(plan.layers.len() + 1)
            .map(|w| slots.rows(w))
            .collect();
        Path {
            strip: 0,
            deltas: values[1..].to_vec(),
            values,
            number: slots.numbers(),
        }
    }

    /// The outputs of the last layer.
    pub fn last(&self) -> Slot {
        self.values[self.values.len() - 1]
    }
}

fn widths(net: &Network) -> impl Iterator<Item = usize> {
    // Room for the padding of the rows of weights.
    net.layers.iter().map(|w| w.next_multiple_of(16))
}

/// Strips for so many rows.
pub fn strips(rows: usize) -> usize {
    rows.div_ceil(STRIP)
}

impl Plan {
    /// Outputs of all layers from the inputs in the first slot, for all strips of `tape`.
    pub fn forward(&self, params: &[f32], tape: &mut [f32], path: &Path) {
        for (l, &layer) in self.layers.iter().enumerate() {
            let job = Forward {
                layer,
                params: &params[self.layer_range(l)],
                tape,
                strip: path.strip,
                from: path.values[l],
                to: path.values[l + 1],
                act: self.acts[l],
            };
            forward(self.level, job);
        }
        if self.head.is_some() {
            head_forward(self.level, self.head_job(params, tape, path));
        }
    }

    fn head_job<'a>(&self, params: &'a [f32], tape: &'a mut [f32], path: &Path) -> Head<'a> {
        Head {
            params: &params[self.layer_range(self.layers.len())],
            tape,
            strip: path.strip,
            from: path.last(),
            out: path.number,
        }
    }

    /// Derivatives by the sums of all layers, from those by the head's output, or by the last layer's sums.
    pub fn backward(&self, params: &[f32], turned: &[f32], tape: &mut [f32], path: &Path) {
        if self.head.is_some()
            && let Some(&to) = path.deltas.last()
        {
            head_backward(self.level, (self.head_job(params, tape, path), to));
        }
        for l in (1..self.layers.len()).rev() {
            let job = Backward {
                layer: self.layers[l],
                turned: &turned[self.turned_range(l)],
                tape,
                strip: path.strip,
                from: path.deltas[l],
                to: path.deltas[l - 1],
                by: path.values[l],
                act: self.acts[l - 1],
            };
            backward(self.level, job);
        }
    }

    /// The activation of the last layer.
    pub fn output_act(&self) -> Act {
        self.acts[self.acts.len() - 1]
    }
}

/// A network, its moments, and the transposed copy of its weights, packed.
pub struct Trained {
    pub plan: Plan,
    pub params: Buffer,
    pub turned: Buffer,
    pub first: Buffer,
    pub second: Buffer,
}

/// Consecutive pieces of a network on their way to an update.
struct Work<'a> {
    pieces: &'a [Piece],
    learned: Learned<'a>,
    /// The same pieces of the target, which goes this share of the way.
    target: Option<(&'a mut [f32], f32)>,
}

impl Work<'_> {
    /// Two parts of about equal length, if there are two pieces.
    fn divide(self) -> Result<(Self, Self), Self> {
        let start = self.pieces[0].at;
        if self.pieces.len() <= 2 {
            return Err(self);
        }
        let middle = start + self.learned.params.len() / 2;
        let cut = self
            .pieces
            .partition_point(|p| p.at < middle)
            .clamp(1, self.pieces.len() - 2);
        let at = self.pieces[cut].at - start;
        let (first, second) = self.learned.split_at(at);
        let targets = self.target.map(|(target, tau)| (target.split_at_mut(at), tau));
        let (target0, target1) = targets.map(|((a, b), tau)| ((a, tau), (b, tau))).unzip();
        let part = |pieces, learned, target| Work {
            pieces,
            learned,
            target,
        };
        Ok((
            part(&self.pieces[..=cut], first, target0),
            part(&self.pieces[cut..], second, target1),
        ))
    }
}

impl Trained {
    /// With a head for a critic ([`Plan::new`]).
    pub fn new(level: Level, net: &Network) -> Trained {
        Trained::of(Plan::new(level, net))
    }

    /// Without a head.
    pub fn general(level: Level, net: &Network) -> Trained {
        Trained::of(Plan::general(level, net))
    }

    fn of(plan: Plan) -> Trained {
        let [params, first, second] = [0; 3].map(|_| Buffer::new(plan.len()));
        Trained {
            turned: Buffer::new(plan.turned_len()),
            plan,
            params,
            first,
            second,
        }
    }

    /// Takes over flat parameters; moments stay.
    pub fn set_params(&mut self, flat: &[f32]) {
        self.plan.pack(flat, &mut self.params);
        self.plan.turn(&self.params, &mut self.turned, 1);
    }

    pub fn set_moments(&mut self, flat: &[Vec<f32>; 2]) {
        self.plan.pack(&flat[0], &mut self.first);
        self.plan.pack(&flat[1], &mut self.second);
    }

    pub fn clear_moments(&mut self) {
        self.first.fill(0.0);
        self.second.fill(0.0);
    }

    /// An Adam step on the mean over rows that `deltas` are derivatives of, spread over so many threads; then a soft update of
    /// the target, if there is one.
    pub fn step(&mut self, pass: &Pass, target: Option<(&mut [f32], f32)>, threads: usize) {
        let plan = &self.plan;
        let work = Work {
            pieces: &plan.pieces,
            learned: Learned {
                params: &mut self.params[..plan.len()],
                first: &mut self.first[..plan.len()],
                second: &mut self.second[..plan.len()],
            },
            target,
        };
        spread(plan, work, pass, threads);
        self.plan.turn(&self.params, &mut self.turned, threads);
    }
}

/// What an update reads.
pub struct Pass<'a> {
    pub tape: &'a [f32],
    pub rows: usize,
    pub path: &'a Path,
    pub adam: Adam,
}

fn spread(plan: &Plan, work: Work, pass: &Pass, threads: usize) {
    if threads > 1 {
        match work.divide() {
            Ok((a, b)) => {
                let half = threads / 2;
                join(|| spread(plan, a, pass, threads - half), || spread(plan, b, pass, half));
            }
            Err(work) => update_pieces(plan, work, pass),
        }
    } else {
        update_pieces(plan, work, pass);
    }
}

fn update_pieces(plan: &Plan, mut work: Work, pass: &Pass) {
    let start = work.pieces[0].at;
    for pair in work.pieces.windows(2) {
        let piece = pair[0];
        let range = piece.at - start..pair[1].at - start;
        let learned = work.learned.part(range.clone());
        let &Pass { tape, rows, path, adam } = pass;
        let layer = plan.layers.get(piece.layer);
        let gradient = Gradient {
            tape,
            strip: path.strip,
            rows,
            from: path.values[piece.layer],
            delta: if layer.is_some() {
                path.deltas[piece.layer]
            } else {
                path.number
            },
            adam,
        };
        if let Some(&layer) = layer {
            let job = Update {
                layer,
                panel: piece.panel,
                learned,
                gradient,
            };
            update(plan.level, job);
        } else {
            head_update(plan.level, (learned, gradient));
        }
        if let Some((target, tau)) = &mut work.target {
            soften(
                plan.level,
                (&work.learned.params[range.clone()], &mut target[range], *tau),
            );
        }
    }
}

/// Runs `f(first strip, strips)` on parts of a tape on so many threads.
pub fn by_strips(tape: &mut [f32], strip: usize, threads: usize, f: &(impl Fn(usize, &mut [f32]) + Sync)) {
    by_strips_from(0, tape, strip, threads, f);
}

fn by_strips_from(
    first: usize,
    tape: &mut [f32],
    strip: usize,
    threads: usize,
    f: &(impl Fn(usize, &mut [f32]) + Sync),
) {
    let count = tape.len() / strip;
    if threads < 2 || count < 2 {
        return f(first, tape);
    }
    let right = threads / 2;
    let cut = (count * (threads - right)).div_ceil(threads).min(count - 1);
    let (a, b) = tape.split_at_mut(cut * strip);
    join(
        || by_strips_from(first, a, strip, threads - right, f),
        || by_strips_from(first + cut, b, strip, right, f),
    );
}

/// Copies `width` numbers a row from row-major `source` into strips, from `column` of a slot on. `row` gives the first row of a
/// strip in the source, and how many there are.
pub fn gather(
    tape: &mut [f32],
    strip: usize,
    (slot, column): (Slot, usize),
    (source, width): (&[f32], usize),
    row: impl Fn(usize) -> std::ops::Range<usize>,
) {
    if width == 0 {
        return;
    }
    for (s, strip) in tape.chunks_exact_mut(strip).enumerate() {
        let rows = row(s);
        let from = source[rows.start * width..rows.end * width].chunks_exact(width);
        for (to, from) in strip[slot.at + column..].chunks_mut(slot.ld).zip(from) {
            to[..width].copy_from_slice(from);
        }
    }
}
