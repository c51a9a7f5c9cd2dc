//! What the layers of a language model do to rows: products with packed weights, attention, and the element-wise functions between them.

mod attention;
mod matrix;
pub mod ops;
mod packed;
mod product;

pub use attention::{Attention, attend};
pub use matrix::{Matrix, Team};
pub use packed::{Packed, Precision, int4_code, int4_scale, int8_code, int8_scale};
pub use product::{Extra, Product, Start};
