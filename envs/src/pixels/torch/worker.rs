//! The worker whose networks run on a device: individuals in slots, half of which act while the others' games are stepped.

use std::ops::Range;

use illume_core::{Error, Request, Result, Scores, Scratch, Status, TaskSpec, Worker};
use rayon::prelude::*;
use tch::{Device, TchError};

use super::stack::Stack;
use crate::pixels::worker::greatest;
use crate::pixels::{ConvNet, FrameStack, PIXELS, PixelEnv};
use crate::rollout::End;

/// Scores genomes as [`crate::pixels::PixelWorker`] does, with the same rules, many at once.
///
/// All rows of a call are begun in order and share two halves of slots. While the device computes the logits of one half, the threads of the
/// pool step the games of the other; a slot whose episode ends takes the next row. A row's result depends on its genes and seed alone: on
/// libtorch's CPU device bit for bit; on CUDA as far as its products give the same bits whatever number of individuals is computed at once, which nothing
/// guarantees, so there a run is not bit-exact. The logits differ from the own kernel's in the order of sums.
///
/// A failure of libtorch (memory of the device, say) ends the program.
pub struct SlotWorker<'a, E> {
    net: &'a ConvNet,
    device: Device,
    slots: usize,
    limits: [u32; 2],
    env: Box<dyn Fn() -> Result<E> + Send + Sync + 'a>,
    /// Made at the first call: of the workers of a rank's threads one alone is used.
    halves: Option<[Half<E>; 2]>,
    genes: Scratch,
}

/// Slots that act together; the first `live` of them play.
struct Half<E> {
    stack: Stack,
    slots: Vec<Slot<E>>,
    live: usize,
    pixels: Vec<u8>,
    logits: Vec<f32>,
}

struct Slot<E> {
    env: E,
    frames: FrameStack,
    row: usize,
    limit: u32,
    steps: u32,
    fitness: f64,
    ended: Option<Status>,
}

/// Rows not begun yet, and where results go.
struct Rows<'a, 'r, 's> {
    request: &'a Request<'r>,
    first: usize,
    left: Range<usize>,
    scores: &'a mut Scores<'s>,
    genes: &'a mut Scratch,
    limits: [u32; 2],
}

impl<'a, E: PixelEnv> SlotWorker<'a, E> {
    /// A worker for the task of this spec, whose rank keeps `slots` individuals on the device; `env` makes their games.
    ///
    /// # Errors
    /// Those of `env`, which is tried once.
    pub fn new(
        net: &'a ConvNet,
        spec: &TaskSpec,
        device: Device,
        slots: usize,
        env: impl Fn() -> Result<E> + Send + Sync + 'a,
    ) -> Result<SlotWorker<'a, E>> {
        let actions = env()?.actions();
        assert_eq!(actions, net.actions(), "actions of task '{}'", spec.name);
        assert_eq!(net.params(), spec.genome_dim, "genes of task '{}'", spec.name);
        Ok(SlotWorker {
            net,
            device,
            slots,
            limits: [spec.max_steps, spec.test_steps],
            env: Box::new(env),
            halves: None,
            genes: Scratch::default(),
        })
    }

    fn half(&self) -> Result<Half<E>> {
        let capacity = self.slots.div_ceil(2);
        let slot = || {
            Ok(Slot {
                env: (self.env)()?,
                frames: FrameStack::default(),
                row: 0,
                limit: 0,
                steps: 0,
                fitness: 0.0,
                ended: None,
            })
        };
        Ok(Half {
            stack: Stack::new(self.net, capacity, self.device).map_err(failed)?,
            slots: (0..capacity).map(|_| slot()).collect::<Result<_>>()?,
            live: 0,
            pixels: Vec::new(),
            logits: Vec::new(),
        })
    }

    fn run(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) -> Result<()> {
        if self.halves.is_none() {
            self.halves = Some([self.half()?, self.half()?]);
        }
        let Some([a, b]) = &mut self.halves else { return Ok(()) };
        let mut rows = Rows {
            request,
            first: rows.start,
            left: rows.clone(),
            scores,
            genes: &mut self.genes,
            limits: self.limits,
        };
        // Few rows are divided, so that there is always something to step.
        let share = rows.left.len().div_ceil(2).min(a.slots.len());
        a.fill(&mut rows, share)?;
        b.fill(&mut rows, share)?;
        a.think()?;
        while a.live + b.live > 0 {
            for _ in 0..2 {
                let (acting, thinking) = (&mut *a, &mut *b);
                let (thought, acted) = rayon::join(|| thinking.think(), || acting.act(&mut rows));
                thought.and(acted)?;
                std::mem::swap(a, b);
            }
        }
        Ok(())
    }
}

impl<E: PixelEnv> Half<E> {
    /// Begins the next rows in the first `count` slots.
    fn fill(&mut self, rows: &mut Rows<'_, '_, '_>, count: usize) -> Result<()> {
        self.live = 0;
        while self.live < count && rows.begin(&mut self.stack, self.live, &mut self.slots[self.live])? {
            self.live += 1;
        }
        Ok(())
    }

    /// The logits of all that play.
    fn think(&mut self) -> Result<()> {
        self.pixels.clear();
        for slot in &self.slots[..self.live] {
            self.pixels.extend_from_slice(&slot.frames.pixels);
        }
        debug_assert_eq!(self.pixels.len(), self.live * PIXELS);
        if self.live == 0 {
            return Ok(());
        }
        self.stack.logits(&self.pixels, &mut self.logits).map_err(failed)
    }

    /// One step of all that play, on all threads; ended episodes are recorded and their slots begin the next rows.
    fn act(&mut self, rows: &mut Rows<'_, '_, '_>) -> Result<()> {
        if self.live == 0 {
            return Ok(());
        }
        let actions = self.logits.len() / self.live;
        let slots = self.slots[..self.live].par_iter_mut().with_max_len(1);
        slots
            .zip(self.logits.par_chunks_exact(actions))
            .for_each(|(slot, logits)| slot.step(logits));
        let mut i = 0;
        while i < self.live {
            let Some(status) = self.slots[i].ended else {
                i += 1;
                continue;
            };
            rows.record(&mut self.slots[i], status);
            if rows.begin(&mut self.stack, i, &mut self.slots[i])? {
                i += 1;
                continue;
            }
            // The last one that plays moves here, so that those that play stay the first.
            self.live -= 1;
            if i < self.live {
                self.slots.swap(i, self.live);
                self.stack.copy(self.live, i).map_err(failed)?;
            }
        }
        Ok(())
    }
}

impl<E: PixelEnv> Slot<E> {
    fn step(&mut self, logits: &[f32]) {
        if !logits.iter().all(|l| l.is_finite()) {
            self.ended = Some(Status::NotFinite);
            return;
        }
        let step = self.env.step(greatest(logits), &mut self.frames);
        self.steps += 1;
        self.fitness += step.reward;
        self.ended = match step.end {
            End::Failed => Some(Status::Failed),
            End::Terminated | End::Truncated => Some(Status::Ok),
            End::Running => (self.steps >= self.limit).then_some(Status::Ok),
        };
    }
}

impl Rows<'_, '_, '_> {
    /// Puts the next row into a slot; false if there is none left.
    fn begin<E: PixelEnv>(&mut self, stack: &mut Stack, index: usize, slot: &mut Slot<E>) -> Result<bool> {
        while let Some(row) = self.left.next() {
            (slot.row, slot.steps, slot.fitness, slot.ended) = (row, 0, 0.0, None);
            slot.limit = self.request.limit(row, self.limits);
            slot.env.reset(self.request.seeds[row], &mut slot.frames);
            if slot.limit == 0 {
                self.record(slot, Status::Ok);
                continue;
            }
            let genes = self.request.genomes.genes(row, self.genes);
            stack.load(index, genes).map_err(failed)?;
            return Ok(true);
        }
        Ok(false)
    }

    fn record<E: PixelEnv>(&mut self, slot: &mut Slot<E>, status: Status) {
        let i = slot.row - self.first;
        let k = self.scores.descriptor.len() / self.scores.status.len();
        self.scores.status[i] = status as u8;
        self.scores.steps[i] = slot.steps;
        if status == Status::Ok {
            self.scores.fitness[i] = slot.fitness;
            slot.env.descriptor(&mut self.scores.descriptor[i * k..(i + 1) * k]);
        }
    }
}

impl<E: PixelEnv> Worker for SlotWorker<'_, E> {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        if let Err(e) = self.run(request, rows, scores) {
            panic!("{e}");
        }
    }
}

/// What libtorch says, without its trace of calls.
fn failed(e: TchError) -> Error {
    let text = e.to_string();
    Error::failed(format!("libtorch failed: {}", text.lines().next().unwrap_or_default()))
}
