//! What the layers of a language model do to rows: products with packed weights, attention, and the element-wise functions between them; and what each of
//! these passes back of a gradient.

mod attention;
mod back;
pub mod gradients;
mod int8;
mod matrix;
pub mod ops;
mod packed;
mod product;
mod strided;

pub use attention::{Attention, attend};
pub use back::{Back, Room};
pub use int8::{CodeBuffers, Codes, INT8_GROUP};
pub use matrix::{Matrix, Team, apart};
pub use packed::{Packed, Precision, int4_code, int4_scale, int8_code, int8_scale};
pub use product::{Extra, Product, Start};
pub use strided::Strided;
