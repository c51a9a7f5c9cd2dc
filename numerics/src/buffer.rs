//! Memory for vectors.

use crate::lanes::LANES;

/// Numbers that begin at the start of a cache line, so that no vector straddles two; whole lines, zeros at first.
#[derive(Clone, Default)]
pub struct Buffer(Vec<Line>);

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

impl Buffer {
    pub fn new(len: usize) -> Buffer {
        Buffer(vec![Line([0.0; LANES]); len.div_ceil(LANES)])
    }
}

impl std::ops::Deref for Buffer {
    type Target = [f32];
    #[inline]
    fn deref(&self) -> &[f32] {
        // SAFETY: lines are arrays of numbers without padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LANES) }
    }
}

impl std::ops::DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LANES) }
    }
}
