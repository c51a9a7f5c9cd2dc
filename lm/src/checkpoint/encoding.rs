//! How numbers are stored: as floats of four or two bytes, or in llama.cpp's blocks, whose few bits a number share scales. Decoded to f32 by the very
//! operations of llama.cpp's `dequantize_row_*` and of the Python package `gguf`, in their order, so that the bits are theirs.

use half::{bf16, f16};

/// A way to store the numbers of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "llama.cpp's names")]
pub(crate) enum Encoding {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4_K,
    Q5_K,
    Q6_K,
}

/// Numbers in a block of the types without `K`.
const SMALL: usize = 32;
/// Numbers in a block of the types with `K`.
const LARGE: usize = 256;
/// Bytes that hold eight scales and eight minima of six bits.
const SCALES: usize = 12;

impl Encoding {
    /// Numbers of a block, and its bytes.
    pub fn block(self) -> (usize, usize) {
        match self {
            Encoding::F32 => (1, 4),
            Encoding::F16 | Encoding::BF16 => (1, 2),
            Encoding::Q4_0 => (SMALL, 18),
            Encoding::Q4_1 => (SMALL, 20),
            Encoding::Q5_0 => (SMALL, 22),
            Encoding::Q5_1 => (SMALL, 24),
            Encoding::Q8_0 => (SMALL, 34),
            Encoding::Q4_K => (LARGE, 4 + SCALES + LARGE / 2),
            Encoding::Q5_K => (LARGE, 4 + SCALES + LARGE / 8 + LARGE / 2),
            Encoding::Q6_K => (LARGE, LARGE / 2 + LARGE / 4 + LARGE / 16 + 2),
        }
    }

    /// Bytes of a row; none if its numbers are no whole blocks, or more than can be counted.
    pub fn bytes(self, numbers: usize) -> Option<usize> {
        let (block, bytes) = self.block();
        numbers
            .is_multiple_of(block)
            .then_some(numbers / block)?
            .checked_mul(bytes)
    }

    /// The numbers of whole blocks: `bytes` are those that [`Encoding::bytes`] says for `out`.
    pub fn decode(self, bytes: &[u8], out: &mut [f32]) {
        let (block, size) = self.block();
        debug_assert_eq!(bytes.len() * block, out.len() * size);
        let decode: fn(&[u8], &mut [f32]) = match self {
            Encoding::F32 => return each(bytes, out, f32::from_le_bytes),
            Encoding::F16 => return each(bytes, out, |b| f16::from_le_bytes(b).to_f32()),
            Encoding::BF16 => return each(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
            Encoding::Q4_0 => |b, out| four_bits(&b[2..], out, |q| half(b) * (f32::from(q) - 8.0)),
            Encoding::Q4_1 => |b, out| four_bits(&b[4..], out, |q| half(b) * f32::from(q) + half(&b[2..])),
            Encoding::Q5_0 => |b, out| five_bits(&b[2..], out, |q| half(b) * (f32::from(q) - 16.0)),
            Encoding::Q5_1 => |b, out| five_bits(&b[4..], out, |q| half(b) * f32::from(q) + half(&b[2..])),
            Encoding::Q8_0 => |b, out| {
                let scale = half(b);
                out.iter_mut()
                    .zip(&b[2..])
                    .for_each(|(x, q)| *x = f32::from(*q as i8) * scale);
            },
            Encoding::Q4_K => |b, out| {
                let quanta = &b[4 + SCALES..];
                with_minima(b, out, |part, i| quanta[part / 2 * 32 + i] >> (4 * (part % 2)) & 15);
            },
            Encoding::Q5_K => |b, out| {
                let (high, low) = b[4 + SCALES..].split_at(LARGE / 8);
                with_minima(b, out, |part, i| {
                    (low[part / 2 * 32 + i] >> (4 * (part % 2)) & 15) | (high[i] >> part & 1) << 4
                });
            },
            Encoding::Q6_K => six_bits,
        };
        for (bytes, out) in bytes.chunks_exact(size).zip(out.chunks_exact_mut(block)) {
            decode(bytes, out);
        }
    }
}

/// Numbers that are apart: one from every `N` bytes.
fn each<const N: usize>(bytes: &[u8], out: &mut [f32], number: impl Fn([u8; N]) -> f32) {
    let numbers = bytes.as_chunks::<N>().0;
    out.iter_mut().zip(numbers).for_each(|(x, b)| *x = number(*b));
}

/// The f16 at the beginning.
fn half(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// The lower halves of 16 bytes, then the upper ones.
fn four_bits(quanta: &[u8], out: &mut [f32], value: impl Fn(u8) -> f32) {
    for (i, q) in quanta.iter().enumerate() {
        out[i] = value(q & 15);
        out[i + SMALL / 2] = value(q >> 4);
    }
}

/// As [`four_bits`], behind 32 fifth bits.
fn five_bits(bytes: &[u8], out: &mut [f32], value: impl Fn(u8) -> f32) {
    let (high, quanta) = bytes.split_at(SMALL / 8);
    let fifth = |i: usize| (high[i / 8] >> (i % 8) & 1) << 4;
    for (i, q) in quanta.iter().enumerate() {
        out[i] = value(q & 15 | fifth(i));
        out[i + SMALL / 2] = value(q >> 4 | fifth(i + SMALL / 2));
    }
}

/// A block of eight parts of 32 numbers, each part with a scale and a minimum that is subtracted; `quantum` of (part, number in it).
fn with_minima(bytes: &[u8], out: &mut [f32], quantum: impl Fn(usize, usize) -> u8) {
    let (scale, minimum) = (half(bytes), half(&bytes[2..]));
    let packed = &bytes[4..4 + SCALES];
    for (part, out) in out.chunks_exact_mut(32).enumerate() {
        // The first four have six bits of a byte each; of the others the lower four are in the last bytes, the upper two above those of the first.
        let (s, m) = match part {
            0..4 => (packed[part] & 63, packed[part + 4] & 63),
            _ => (
                packed[part + 4] & 15 | packed[part - 4] >> 6 << 4,
                packed[part + 4] >> 4 | packed[part] >> 6 << 4,
            ),
        };
        let (scale, minimum) = (scale * f32::from(s), minimum * f32::from(m));
        for (i, x) in out.iter_mut().enumerate() {
            *x = scale * f32::from(quantum(part, i)) - minimum;
        }
    }
}

/// A block of `Q6_K`: two halves of four parts of 32 numbers, with a scale for every 16.
fn six_bits(bytes: &[u8], out: &mut [f32]) {
    let (low, rest) = bytes.split_at(LARGE / 2);
    let (high, rest) = rest.split_at(LARGE / 4);
    let (scales, scale) = rest.split_at(LARGE / 16);
    let scale = half(scale);
    for (n, x) in out.iter_mut().enumerate() {
        let (side, part, i) = (n / 128, n / 32 % 4, n % 32);
        let four = low[side * 64 + part % 2 * 32 + i] >> (part / 2 * 4) & 15;
        let two = high[side * 32 + i] >> (part * 2) & 3;
        let of_part = scale * f32::from(scales[n / 16] as i8);
        *x = of_part * (f32::from(four | two << 4) - 32.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `tools/check_gguf.py` recorded of the Python package `gguf`: bytes, and the bits of the numbers that they are.
    #[test]
    fn blocks_have_the_bits_that_the_package_gguf_makes_of_them() {
        let record: std::collections::HashMap<String, [String; 2]> =
            serde_json::from_str(include_str!("../../tests/data/gguf_blocks.json")).unwrap();
        let bytes = |hex: &str| -> Vec<u8> {
            let pairs = hex.as_bytes().chunks(2);
            pairs
                .map(|p| u8::from_str_radix(str::from_utf8(p).unwrap(), 16).unwrap())
                .collect()
        };
        let encodings = [
            Encoding::F32,
            Encoding::F16,
            Encoding::BF16,
            Encoding::Q4_0,
            Encoding::Q4_1,
            Encoding::Q5_0,
            Encoding::Q5_1,
            Encoding::Q8_0,
            Encoding::Q4_K,
            Encoding::Q5_K,
            Encoding::Q6_K,
        ];
        assert_eq!(record.len(), encodings.len());
        for encoding in encodings {
            let [stored, numbers] = &record[&format!("{encoding:?}")];
            let numbers = bytes(numbers);
            let mut out = vec![0.0; numbers.len() / 4];
            let stored = bytes(stored);
            assert_eq!(encoding.bytes(out.len()), Some(stored.len()), "{encoding:?}");
            encoding.decode(&stored, &mut out);
            let got: Vec<u8> = out.iter().flat_map(|x| x.to_le_bytes()).collect();
            assert!(out.len() >= 64 && got == numbers, "{encoding:?}");
        }
    }

    #[test]
    fn rows_of_parts_of_blocks_have_no_size() {
        assert_eq!(Encoding::Q4_1.bytes(576), Some(360));
        assert_eq!(Encoding::Q4_K.bytes(576), None);
        assert_eq!(Encoding::F32.bytes(usize::MAX), None);
    }
}
