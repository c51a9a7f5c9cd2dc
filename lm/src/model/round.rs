//! What a precision makes of a model's numbers.

use half::bf16;
use illume_numerics::transformer::{int4_code, int4_scale, int8_code, int8_scale};
use rayon::prelude::*;

use super::Precision;
use crate::device::Device;

/// The numbers of the tensor `name` as a model of this precision computes with them. On a device what is not packed is in bf16, as are the scales of four
/// bits, and the embedding and the head are not packed.
pub(crate) fn round(values: &mut [f32], name: &str, shape: &[usize], precision: Precision, device: Device) {
    let on_device = device != Device::Cpu;
    let vector = shape.len() == 1;
    let table = name.contains("embed_tokens") || name.contains("lm_head");
    let halved = |x: f32| bf16::from_f32(x).to_f32();
    let scale = |x: f32| if on_device { halved(x) } else { x };
    let inputs = shape[shape.len() - 1];
    match precision {
        Precision::F32 => (),
        _ if vector && !on_device => (),
        Precision::Bf16 => values.par_iter_mut().for_each(|w| *w = halved(*w)),
        _ if on_device && (vector || table) => values.par_iter_mut().for_each(|w| *w = halved(*w)),
        Precision::Int4 { group } if !table => {
            values.par_chunks_mut(group).for_each(|part| {
                let levels = int4_scale(part.iter());
                let (size, zero) = (scale(levels.0), scale(levels.1));
                let value = |w: f32| (f32::from(int4_code(w, levels)) - 8.0).mul_add(size, zero);
                part.iter_mut().for_each(|w| *w = value(*w));
            });
        }
        Precision::Int8 | Precision::Int4 { .. } => values.par_chunks_mut(inputs).for_each(|row| {
            let size = int8_scale(row.iter());
            let value = |w: f32| f32::from(int8_code(w, size)) * size;
            row.iter_mut().for_each(|w| *w = value(*w));
        }),
    }
}

/// The numbers of a matrix as codes of eight bits, row by row, and what each row's are multiplied by.
pub(crate) fn int8_codes(values: &[f32], inputs: usize) -> (Vec<i8>, Vec<f32>) {
    let scales: Vec<f32> = values
        .par_chunks_exact(inputs)
        .map(|row| int8_scale(row.iter()))
        .collect();
    let code = |(i, w): (usize, &f32)| int8_code(*w, scales[i / inputs]);
    (values.par_iter().enumerate().map(code).collect(), scales)
}
