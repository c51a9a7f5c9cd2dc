//! The choice of a token from its distribution.

use crate::generate::Sampling;
use illume_numerics::transformer::ops::{exp_sum, largest, sum_exp};

/// A token, and its log-probability under the distribution that it was chosen by (greedy: under the model's).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Picked {
    pub token: u32,
    pub log_prob: f32,
}

impl Picked {
    pub fn to_bits(self) -> u64 {
        u64::from(self.token) << 32 | u64::from(self.log_prob.to_bits())
    }

    pub fn from_bits(bits: u64) -> Picked {
        Picked {
            token: (bits >> 32) as u32,
            log_prob: f32::from_bits(bits as u32),
        }
    }
}

/// Chooses by `uniform` in [0, 1). The logits are overwritten.
pub(crate) fn pick(logits: &mut [f32], sampling: &Sampling, uniform: f64) -> Picked {
    let most = largest(logits);
    if sampling.temperature == 0.0 {
        let token = logits.iter().position(|l| *l == most).unwrap_or(0);
        return Picked {
            token: token as u32,
            log_prob: -sum_exp(logits, most).ln(),
        };
    }
    let scale = (1.0 / sampling.temperature) as f32;
    let sum = f64::from(exp_sum(logits, most, scale));
    let weights = logits;
    if sampling.top_p >= 1.0 {
        // Added in f64, whose sum need not be that of the lanes: the total is taken from here too.
        let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
        let token = invert(weights.iter().map(|w| f64::from(*w)), uniform * total);
        return Picked {
            token: token as u32,
            log_prob: (f64::from(weights[token]) / total).ln() as f32,
        };
    }
    // Tokens up to the floor have at most 1 - top_p of the mass together: the set is found among the others, which are few.
    let floor = (1.0 - sampling.top_p) * sum / weights.len() as f64;
    let mut order: Vec<u32> = (0..weights.len() as u32)
        .filter(|i| f64::from(weights[*i as usize]) > floor)
        .collect();
    order.sort_unstable_by(|a, b| weights[*b as usize].total_cmp(&weights[*a as usize]).then(a.cmp(b)));
    let mut mass = 0.0;
    let mut kept = 0;
    for i in &order {
        mass += f64::from(weights[*i as usize]);
        kept += 1;
        if mass >= sampling.top_p * sum {
            break;
        }
    }
    order.truncate(kept);
    let at = invert(order.iter().map(|i| f64::from(weights[*i as usize])), uniform * mass);
    let token = order.get(at).copied().unwrap_or(0);
    Picked {
        token,
        log_prob: (f64::from(weights[token as usize]) / mass).ln() as f32,
    }
}

/// The first index at which the running sum passes `target`; if rounding lets none, the last of weight.
fn invert(weights: impl Iterator<Item = f64>, target: f64) -> usize {
    let (mut sum, mut last) = (0.0, 0);
    for (i, w) in weights.enumerate() {
        sum += w;
        if w > 0.0 {
            last = i;
            if sum > target {
                return i;
            }
        }
    }
    last
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sampling(temperature: f64, top_p: f64) -> Sampling {
        Sampling {
            temperature,
            top_p,
            max_new_tokens: 1,
            stop: Vec::new(),
            stop_texts: None,
        }
    }

    #[test]
    fn greedy_takes_the_first_of_the_largest_and_says_its_probability() {
        let mut logits = [0.0, 2.0, -1.0, 2.0];
        let picked = pick(&mut logits, &sampling(0.0, 1.0), 0.9);
        let sum = 1.0 + 2.0 * 2.0_f64.exp() + (-1.0_f64).exp();
        assert_eq!(picked.token, 1);
        assert!((f64::from(picked.log_prob) - (2.0 - sum.ln())).abs() < 1e-6);
    }

    #[test]
    fn tokens_come_as_often_as_their_law_says() {
        let logits = [1.0, 0.0, 2.0, -3.0];
        let temperature = 0.7;
        let weight = |l: f32| (f64::from(l) / temperature).exp();
        let total: f64 = logits.iter().map(|l| weight(*l)).sum();
        let n = 100_000;
        for (top_p, kept) in [(1.0, [true; 4]), (0.9, [true, false, true, false])] {
            let mass: f64 = (0..4).filter(|i| kept[*i]).map(|i| weight(logits[i])).sum();
            assert!(top_p == 1.0 || mass / total >= top_p);
            let mut counts = [0; 4];
            for i in 0..n {
                let uniform = (f64::from(i) + 0.5) / f64::from(n);
                let picked = pick(&mut logits.clone(), &sampling(temperature, top_p), uniform);
                let token = picked.token as usize;
                counts[token] += 1;
                assert!((f64::from(picked.log_prob) - (weight(logits[token]) / mass).ln()).abs() < 1e-5);
            }
            for i in 0..4 {
                let want = if kept[i] {
                    weight(logits[i]) / mass * f64::from(n)
                } else {
                    0.0
                };
                assert!((f64::from(counts[i]) - want).abs() < 3.0, "{counts:?} at {i}: {want}");
            }
        }
    }
}
