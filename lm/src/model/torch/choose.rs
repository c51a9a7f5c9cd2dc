//! The choice of tokens where their distributions are: of a vocabulary's logits two numbers a row leave the device.

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::Torch;
use crate::generate::Sampling;
use crate::sample::{Picked, pick};

/// Rows at a time: what is made of their logits takes four times their memory.
const ROWS: i64 = 256;

/// A token for each row of `[rows, vocab]` in f32, drawn by the row's uniform number in [0, 1) as [`pick`] draws it.
pub(super) fn choose(logits: &Tensor, sampling: &Sampling, uniforms: &[f64]) -> Torch<Vec<Picked>> {
    if sampling.temperature > 0.0 && sampling.top_p < 1.0 {
        let mut picked = vec![Picked::default(); uniforms.len()];
        on_host(logits, |rows, vocab| {
            let each = rows.par_chunks_mut(vocab).zip(uniforms).zip(&mut picked);
            each.for_each(|((row, uniform), picked)| *picked = pick(row, sampling, *uniform));
        })?;
        return Ok(picked);
    }
    let mut picked = Vec::with_capacity(uniforms.len());
    let mut from = 0;
    while from < logits.size()[0] {
        let rows = ROWS.min(logits.size()[0] - from);
        let part = logits.f_narrow(0, from, rows)?;
        let pairs = match sampling.temperature {
            0.0 => greedy(&part)?,
            temperature => drawn(&part, temperature, &uniforms[from as usize..][..rows as usize])?,
        };
        let mut numbers = vec![0.0f64; 2 * rows as usize];
        pairs
            .f_to_device(Device::Cpu)?
            .f_contiguous()?
            .f_copy_data(&mut numbers, 2 * rows as usize)?;
        picked.extend(numbers.chunks_exact(2).map(|pair| Picked {
            token: pair[0] as u32,
            log_prob: pair[1] as f32,
        }));
        from += rows;
    }
    Ok(picked)
}

/// `[rows, 2]`: the first of the most probable tokens, and its log-probability.
fn greedy(logits: &Tensor) -> Torch<Tensor> {
    let token = logits.f_argmax(1, true)?;
    let most = logits.f_gather(1, &token, false)?;
    let sum = logits
        .f_sub(&most)?
        .f_exp_()?
        .f_sum_dim_intlist([1].as_slice(), true, Kind::Float)?;
    pairs(&token, &sum.f_log()?.f_neg()?)
}

/// The same of tokens drawn from the whole distribution: the first at which the running sum passes the uniform number's share of the total.
fn drawn(logits: &Tensor, temperature: f64, uniforms: &[f64]) -> Torch<Tensor> {
    let most = logits.f_amax([1].as_slice(), true)?;
    let weights = logits.f_sub(&most)?.f_mul_scalar_(1.0 / temperature)?.f_exp_()?;
    let sums = weights.f_cumsum(1, Kind::Double)?;
    let total = sums.f_narrow(1, sums.size()[1] - 1, 1)?;
    let uniforms = Tensor::f_from_slice(uniforms)?
        .f_view([-1, 1])?
        .f_to_device(logits.device())?;
    // Rounding must not carry it to the total, which no sum passes.
    let target = uniforms.f_mul(&total)?.f_minimum(&total.f_mul_scalar(1.0 - 1e-15)?)?;
    let token = target.f_searchsorted(&sums, false, true, "right", None::<&Tensor>)?;
    let token = token.f_clamp_max(sums.size()[1] - 1)?;
    let weight = weights.f_gather(1, &token, false)?.f_to_kind(Kind::Double)?;
    pairs(&token, &weight.f_div(&total)?.f_log()?)
}

/// Both in f64, which holds every token's number.
fn pairs(token: &Tensor, log_prob: &Tensor) -> Torch<Tensor> {
    Tensor::f_cat(&[token.f_to_kind(Kind::Double)?, log_prob.f_to_kind(Kind::Double)?], 1)
}

/// Calls `work` with the numbers of `[rows, vocab]` in f32 in the processor's memory, and `vocab`.
pub(super) fn on_host(logits: &Tensor, work: impl FnOnce(&mut [f32], usize)) -> Torch<()> {
    let there = logits.f_to_device(Device::Cpu)?.f_contiguous()?;
    let there = if logits.device() == Device::Cpu {
        there.copy()
    } else {
        there
    };
    assert_eq!(there.kind(), Kind::Float);
    // SAFETY: a contiguous tensor of so many f32 in the processor's memory, which nothing else has and which outlives the slice.
    let numbers = unsafe { std::slice::from_raw_parts_mut(there.data_ptr().cast::<f32>(), there.numel()) };
    work(numbers, logits.size()[1] as usize);
    Ok(())
}

#[cfg(test)]
mod tests {
    use illume_core::{Purpose, Stream};

    use super::*;
    use crate::sample::tests::sampling;

    #[test]
    fn a_device_chooses_the_tokens_that_the_processor_does() {
        let gpu = illume_numerics::cuda::available().then_some(Device::Cuda(0));
        let (rows, vocab) = (300, 1111);
        let mut logits = vec![0.0f32; rows * vocab];
        Stream::new(1, Purpose::Init, 0, 0).add_normals(0, 3.0, &mut logits);
        // Equals, of which the first counts.
        logits[5] = 40.0;
        logits[700] = 40.0;
        let mut uniforms: Vec<f64> = (0..rows as u64)
            .map(|i| Stream::new(2, Purpose::Token, 0, i).uniform(0))
            .collect();
        (uniforms[1], uniforms[2]) = (0.0, 1.0 - f64::EPSILON / 2.0);
        for device in [Device::Cpu].into_iter().chain(gpu) {
            let there = Tensor::from_slice(&logits)
                .view([rows as i64, vocab as i64])
                .to_device(device);
            for how in [sampling(0.0, 1.0), sampling(0.7, 1.0), sampling(1.3, 0.9)] {
                let got = choose(&there, &how, &uniforms).unwrap();
                let mut same = 0;
                for (i, got) in got.iter().enumerate() {
                    let want = pick(&mut logits[i * vocab..][..vocab].to_vec(), &how, uniforms[i]);
                    if want.token == got.token {
                        same += 1;
                        assert!(
                            (want.log_prob - got.log_prob).abs() < 1e-4,
                            "{device:?}, row {i}: {want:?} {got:?}"
                        );
                    }
                }
                // Where a uniform number lies within rounding of a border, either of two tokens is right.
                assert!(same + 1 >= rows, "{device:?}: {same} of {rows}");
                if how.temperature == 0.0 {
                    assert_eq!((same, got[0].token), (rows, 5));
                }
            }
        }
    }
}
