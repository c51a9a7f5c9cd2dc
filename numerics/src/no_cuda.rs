//! What `cuda` says in a build without libtorch: there is no device.

/// Never.
pub fn available() -> bool {
    false
}

/// Why there is no such CUDA device to compute on, and what to do, as the part of a sentence.
pub fn missing(_index: usize) -> Option<String> {
    Some("this build of illume has no libtorch: build it with --features torch".into())
}

/// The number of the first, which is not there.
pub fn device_of(_local_rank: usize) -> usize {
    0
}

/// None.
pub fn devices() -> usize {
    0
}

/// Of no device.
pub fn memory(_index: usize) -> Option<[u64; 2]> {
    None
}
