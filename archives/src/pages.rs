//! Memory for genomes, in huge pages where the system grants them.
//!
//! A fresh archive fills fast: with pages of 4 KiB the system's zeroing of them one by one takes longer than the copying.

use std::ffi::c_void;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A huge page of x86-64, and of arm64 with small base pages.
pub(crate) const HUGE: usize = 2 << 20;

/// Zeroed floats that are given memory when they are first touched.
#[derive(Debug)]
pub(crate) struct Page {
    values: NonNull<f32>,
    len: usize,
    map: *mut c_void,
    map_bytes: usize,
}

// SAFETY: a page owns its memory alone, as a boxed slice of f32 does.
unsafe impl Send for Page {}
// SAFETY: as above; shared access is through `&[f32]` only.
unsafe impl Sync for Page {}

impl Page {
    /// `len` zeros.
    pub(crate) fn new(len: usize) -> Page {
        let bytes = (len * size_of::<f32>()).max(1);
        // Half a huge page is worth one. Small ones need no certain begin; what is never touched takes no memory.
        let whole = if bytes < HUGE / 2 {
            0
        } else {
            bytes.next_multiple_of(HUGE)
        };
        let map_bytes = if whole == 0 { bytes } else { whole + HUGE };
        // SAFETY: a new private anonymous mapping; it overlaps nothing.
        let map = unsafe {
            let (access, kind) = (
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            );
            libc::mmap(std::ptr::null_mut(), map_bytes, access, kind, -1, 0)
        };
        if map == libc::MAP_FAILED {
            let layout = std::alloc::Layout::array::<f32>(len.max(1)).unwrap_or(std::alloc::Layout::new::<f32>());
            std::alloc::handle_alloc_error(layout);
        }
        let start = if whole > 0 {
            map.map_addr(|a| a.next_multiple_of(HUGE))
        } else {
            map
        };
        #[cfg(target_os = "linux")]
        if whole > 0 {
            // SAFETY: `start` is less than HUGE beyond the mapping's begin, so that `whole` bytes from there lie in it. It is
            // advice: where it is refused, small pages do.
            unsafe { libc::madvise(start, whole, libc::MADV_HUGEPAGE) };
        }
        let values = NonNull::new(start.cast::<f32>()).expect("a mapping is not at address zero");
        Page {
            values,
            len,
            map,
            map_bytes,
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made by `new`, to which no reference is left.
        unsafe { libc::munmap(self.map, self.map_bytes) };
    }
}

impl Deref for Page {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `values` is the aligned begin of at least `len` floats of the mapping, which the system has zeroed.
        unsafe { std::slice::from_raw_parts(self.values.as_ptr(), self.len) }
    }
}

impl DerefMut for Page {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the page is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.values.as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_any_size_are_zeroed_and_hold_what_is_written() {
        for len in [0, 1, 1000, HUGE / 4 - 1, HUGE / 4, HUGE / 4 + 1, 3 * HUGE / 4] {
            let mut page = Page::new(len);
            assert!(page.len() == len && page.iter().all(|x| *x == 0.0));
            page.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
            assert!(page.iter().enumerate().all(|(i, x)| *x == i as f32));
        }
    }
}
