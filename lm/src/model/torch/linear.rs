//! Linear maps in each precision, by libtorch's packed kernels.

use illume_core::{Error, Result};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::{Torch, failed, wide_product};
use crate::model::{Precision, int8_codes};
use illume_numerics::transformer::{int4_code, int4_scale};

/// A linear map, or several that share their inputs.
#[derive(Debug)]
pub(super) enum Linear {
    /// `[outputs, inputs]`.
    Plain(Tensor),
    Int8 {
        codes: Tensor,
        scales: Tensor,
    },
    Int4 {
        codes: Tensor,
        group: usize,
        scales_and_zeros: Tensor,
    },
}

impl Linear {
    pub fn new(values: &[f32], inputs: usize, precision: Precision, place: (Device, Kind)) -> Result<Linear> {
        let outputs = values.len() / inputs;
        let shape = [outputs as i64, inputs as i64];
        let (device, kind) = place;
        let make = || -> Torch<Linear> {
            Ok(match precision {
                Precision::F32 | Precision::Bf16 => Linear::Plain(
                    Tensor::f_from_slice(values)?
                        .f_view(shape)?
                        .f_to_device(device)?
                        .f_to_kind(kind)?,
                ),
                Precision::Int8 => {
                    let (codes, scales) = int8_codes(values, inputs);
                    Linear::Int8 {
                        codes: Tensor::f_from_slice(&codes)?.f_view(shape)?.f_to_device(device)?,
                        // libtorch's kernel for the processor wants them as its inputs are.
                        scales: match device {
                            Device::Cpu => Tensor::f_from_slice(&scales)?.f_to_kind(kind)?,
                            _ => Tensor::f_from_slice(&scales)?.f_to_device(device)?,
                        },
                    }
                }
                Precision::Int4 { group } => {
                    let levels: Vec<(f32, f32)> =
                        values.par_chunks_exact(group).map(|g| int4_scale(g.iter())).collect();
                    let code = |(i, w): (usize, &f32)| int4_code(*w, levels[i / group]);
                    let flat: Vec<f32> = levels.iter().flat_map(|l| [l.0, l.1]).collect();
                    let shape_of_laws = [outputs as i64, (inputs / group) as i64, 2];
                    let scales_and_zeros = Tensor::f_from_slice(&flat)?
                        .f_view(shape_of_laws)?
                        .f_transpose(0, 1)?
                        .f_contiguous()?
                        .f_to_kind(kind)?
                        .f_to_device(device)?;
                    let codes = if device == Device::Cpu {
                        let codes: Vec<i32> = values.par_iter().enumerate().map(|w| i32::from(code(w))).collect();
                        let codes = Tensor::f_from_slice(&codes)?.f_view(shape)?;
                        codes.f_internal_convert_weight_to_int4pack_for_cpu(1)?
                    } else {
                        // Two codes a byte, the first in the upper half.
                        let pair = |p: &[f32], at: usize| code((at, &p[0])) << 4 | code((at + 1, &p[1]));
                        let codes: Vec<u8> = values
                            .par_chunks_exact(2)
                            .enumerate()
                            .map(|(i, p)| pair(p, 2 * i))
                            .collect();
                        let codes = Tensor::f_from_slice(&codes)?.f_view([outputs as i64, inputs as i64 / 2])?;
                        let tiles = [8, 4, 2]
                            .into_iter()
                            .find(|t| inputs.is_multiple_of(t * 16))
                            .unwrap_or(2);
                        codes
                            .f_to_device(device)?
                            .f_internal_convert_weight_to_int4pack(tiles as i64)?
                    };
                    Linear::Int4 {
                        codes,
                        group,
                        scales_and_zeros,
                    }
                }
            })
        };
        if let Precision::Int4 { group } = precision
            && (![32, 64, 128, 256].contains(&group) || !inputs.is_multiple_of(group) || !outputs.is_multiple_of(16))
        {
            return Err(Error::input(format!(
                "int4 weights by libtorch need groups of 32, 64, 128 or 256 inputs and outputs in sixteens, and the model has a linear map from {inputs} to {outputs} with groups of {group}"
            )));
        }
        make().map_err(failed)
    }

    /// The products with `x`, and a bias added to them.
    pub fn apply(&self, x: &Tensor, bias: Option<&Tensor>) -> Torch<Tensor> {
        match (self, bias) {
            (Linear::Plain(w), Some(bias)) => bias.f_addmm(x, &w.f_tr()?),
            (_, Some(bias)) => self.product(x)?.f_add_(bias),
            (_, None) => self.product(x),
        }
    }

    /// Adds the products with `x` to `y`.
    pub fn add_to(&self, y: &mut Tensor, x: &Tensor) -> Torch<()> {
        let _ = match self {
            Linear::Plain(w) => y.f_addmm_(x, &w.f_tr()?)?,
            _ => y.f_add_(&self.product(x)?)?,
        };
        Ok(())
    }

    fn product(&self, x: &Tensor) -> Torch<Tensor> {
        match self {
            Linear::Plain(w) => x.f_matmul(&w.f_tr()?),
            Linear::Int8 { codes, scales } if x.device() == Device::Cpu => {
                x.f_internal_weight_int8pack_mm(codes, scales)
            }
            // bf16 holds all codes, and its products are ten times as fast as those of libtorch's own kernel and more.
            Linear::Int8 { codes, scales } => wide_product(x, &codes.f_to_kind(Kind::BFloat16)?.f_tr()?)?
                .f_mul_(scales)?
                .f_to_kind(x.kind()),
            Linear::Int4 {
                codes,
                group,
                scales_and_zeros: levels,
            } if x.device() == Device::Cpu => x.f_internal_weight_int4pack_mm_for_cpu(codes, *group as i64, levels),
            Linear::Int4 {
                codes,
                group,
                scales_and_zeros: levels,
            } => x.f_internal_weight_int4pack_mm(codes, *group as i64, levels),
        }
    }

    pub fn bytes(&self) -> u64 {
        let of = |t: &Tensor| (t.numel() * t.kind().elt_size_in_bytes()) as u64;
        match self {
            Linear::Plain(w) => of(w),
            Linear::Int8 { codes, scales } => of(codes) + of(scales),
            Linear::Int4 {
                codes,
                scales_and_zeros,
                ..
            } => of(codes) + of(scales_and_zeros),
        }
    }
}
