//! Keys and values of the rows that run, each in a slot of its own, and the angles of positions.

use illume_numerics::LANES;

use crate::config::ModelConfig;

/// Keys lie as `[head, block of 16 positions, head_dim, 16]`, so that scores of 16 positions are a vector; values as
/// `[head, position, width]`, the width filled up to whole vectors.
#[derive(Debug)]
pub(crate) struct Cache {
    kv_heads: usize,
    head_dim: usize,
    /// `head_dim` in whole vectors.
    pub width: usize,
    slots: usize,
    /// Positions of a slot, a multiple of 16.
    capacity: usize,
    /// One pair of buffers for each layer: `[slots, ...]`.
    layers: Vec<(Vec<f32>, Vec<f32>)>,
    frequencies: Vec<f32>,
    /// `[positions, head_dim / 2]`.
    cos: Vec<f32>,
    sin: Vec<f32>,
}

/// One slot of one layer.
pub(crate) struct Slot<'a> {
    pub keys: &'a mut [f32],
    pub values: &'a mut [f32],
}

impl Cache {
    pub fn new(config: &ModelConfig) -> Cache {
        Cache {
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            width: config.head_dim.next_multiple_of(LANES),
            slots: 0,
            capacity: 0,
            layers: (0..config.layers).map(|_| Default::default()).collect(),
            frequencies: config.rope_frequencies().iter().map(|f| *f as f32).collect(),
            cos: Vec::new(),
            sin: Vec::new(),
        }
    }

    /// Makes room; what was in the cache is lost.
    pub fn reserve(&mut self, slots: usize, positions: usize) {
        let capacity = positions.next_multiple_of(LANES);
        if slots > self.slots || capacity > self.capacity {
            self.slots = slots.max(self.slots);
            self.capacity = capacity.max(self.capacity);
            let (keys, values) = self.sizes();
            for layer in &mut self.layers {
                *layer = Default::default();
                *layer = (vec![0.0; self.slots * keys], vec![0.0; self.slots * values]);
            }
        }
        let half = self.frequencies.len();
        for position in self.cos.len() / half..self.capacity {
            for f in &self.frequencies {
                // The angle is rounded as `transformers` rounds it.
                let angle = f64::from(position as f32 * f);
                self.cos.push(angle.cos() as f32);
                self.sin.push(angle.sin() as f32);
            }
        }
    }

    /// Numbers of a slot's keys and values in one layer.
    fn sizes(&self) -> (usize, usize) {
        let positions = self.kv_heads * self.capacity;
        (positions * self.head_dim, positions * self.width)
    }

    /// Cosines and sines of a position.
    pub fn angles(&self, position: usize) -> (&[f32], &[f32]) {
        let half = self.frequencies.len();
        let at = position * half..(position + 1) * half;
        (&self.cos[at.clone()], &self.sin[at])
    }

    /// For the tasks of a pass.
    pub fn share(&mut self) -> Shared<'_> {
        let layers = self
            .layers
            .iter_mut()
            .map(|(k, v)| (k.as_mut_ptr(), v.as_mut_ptr()))
            .collect();
        Shared { layers, cache: self }
    }

    /// Stores key and value (`[head_dim]` each) of a head at a position.
    pub fn put(&self, slot: &mut Slot, head: usize, position: usize, key: &[f32], value: &[f32]) {
        let at = (head * self.capacity / LANES + position / LANES) * self.head_dim * LANES + position % LANES;
        for (to, k) in slot.keys[at..].iter_mut().step_by(LANES).zip(key) {
            *to = *k;
        }
        let at = (head * self.capacity + position) * self.width;
        slot.values[at..at + self.head_dim].copy_from_slice(value);
    }

    /// The keys of a head, `[blocks, head_dim, 16]`, and its values, `[positions, width]`.
    pub fn head<'a>(&self, slot: &'a Slot, head: usize) -> (&'a [f32], &'a [f32]) {
        let (k, v) = (self.capacity * self.head_dim, self.capacity * self.width);
        (
            &slot.keys[head * k..(head + 1) * k],
            &slot.values[head * v..(head + 1) * v],
        )
    }
}

/// A cache whose slots different tasks use.
pub(crate) struct Shared<'a> {
    pub cache: &'a Cache,
    layers: Vec<(*mut f32, *mut f32)>,
}

// SAFETY: the pointers lead to the cache's own buffers, of which each task touches its own slots (see `slot`).
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl Shared<'_> {
    /// # Safety
    /// No other task uses this slot of this layer in the meantime.
    pub unsafe fn slot(&self, layer: usize, slot: usize) -> Slot<'_> {
        assert!(slot < self.cache.slots);
        let (keys, values) = self.cache.sizes();
        let (k, v) = self.layers[layer];
        // SAFETY: both lie inside of their buffers, and nobody else touches them there.
        unsafe {
            Slot {
                keys: std::slice::from_raw_parts_mut(k.add(slot * keys), keys),
                values: std::slice::from_raw_parts_mut(v.add(slot * values), values),
            }
        }
    }
}
