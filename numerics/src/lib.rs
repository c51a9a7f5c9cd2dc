//! The arithmetic of illume, and the `unsafe` code that its speed takes: vectors of the processor, keyed random numbers, elementary functions.
//!
//! Whatever is computed here has the same bits for any number of threads and any width of vectors. The crate knows nothing of evolution.

mod buffer;
pub mod cholesky;
pub mod convnet;
pub mod covariance;
#[cfg_attr(not(feature = "torch"), path = "no_cuda.rs")]
pub mod cuda;
pub mod eigen;
pub mod elements;
pub mod fronts;
mod lanes;
mod level;
#[cfg(feature = "torch")]
pub mod libtorch;
pub mod math;
pub mod mlp;
pub mod noise;
pub mod normal;
mod panel;
mod simd;
pub mod svd;
pub mod transformer;
pub mod transpose;

pub use buffer::Buffer;
pub use lanes::LANES;
pub use level::Level;
