//! The head: log-probabilities of wanted tokens, and what their derivatives are by what the layers return.

use illume_numerics::transformer::ops::{exp_sum, largest, rms_norm};
use illume_numerics::transformer::{Matrix, Start, Team, gradients};

use super::layer::{Runner, back, matrix, product};

/// Wanted tokens whose logits are in memory at a time.
const PIECE: usize = 128;

impl Runner<'_> {
    /// Log-probabilities of the wanted tokens from the last layer's results `h`. With `slope`, the derivatives by these are left in `g` of the buffers.
    pub fn head(
        &mut self,
        h: &mut Vec<f32>,
        temperature: f64,
        slope: Option<&(dyn Fn(usize, f32) -> f32 + Sync)>,
    ) -> Vec<f32> {
        let (model, texts) = (self.model, self.texts);
        let c = &model.config;
        let (rows, level, eps) = (texts.tokens.len(), model.level, c.rms_eps as f32);
        let head = model.head.as_ref().unwrap_or(&model.embedding);
        let h = matrix(h, rows, c.hidden);
        let buffers = &mut *self.buffers;
        if slope.is_some() {
            buffers.g.clear();
        }
        let g = matrix(&mut buffers.g, rows, c.hidden);
        let mut log_probs = vec![0.0; texts.wanted.len()];
        for from in (0..texts.wanted.len()).step_by(PIECE) {
            let wanted = &texts.wanted[from..(from + PIECE).min(texts.wanted.len())];
            let n = wanted.len();
            let x = matrix(&mut buffers.x, n, c.hidden);
            let dx = matrix(&mut buffers.dx, n, c.hidden);
            let logits = matrix(&mut buffers.logits, n, head.outputs());
            Team::Pool.each_part(n, |part| {
                for i in part {
                    // SAFETY: wanted tokens differ, and each is in one part.
                    let (h, x) = unsafe { (h.piece(wanted[i], 0..c.hidden), x.piece(i, 0..c.hidden)) };
                    rms_norm(h, &model.norm, eps, x);
                }
            });
            product(level, &mut buffers.codes, head, x, Start::Zero, None, logits);
            let results = Matrix::new(&mut log_probs, texts.wanted.len(), 1);
            Team::Pool.each(n, |i| {
                // SAFETY: a wanted token is one task's.
                let (row, result) = unsafe { (&mut logits.row(i)[..c.vocab], results.row(from + i)) };
                let target = texts.targets[from + i] as usize;
                let (scale, most) = ((1.0 / temperature) as f32, largest(row));
                let of_target = row[target];
                let sum = exp_sum(row, most, scale);
                result[0] = (f64::from(of_target - most) / temperature - f64::from(sum).ln()) as f32;
                if let Some(slope) = slope {
                    let by_logit = slope(from + i, result[0]) * scale;
                    gradients::multiply(row, -by_logit / sum);
                    row[target] += by_logit;
                }
            });
            if slope.is_none() {
                continue;
            }
            back(level, head, logits, None, dx);
            Team::Pool.each_part(n, |part| {
                let mut room = vec![0.0; c.hidden];
                for i in part {
                    // SAFETY: wanted tokens differ, and each is in one part.
                    let (h, g) = unsafe { (h.piece(wanted[i], 0..c.hidden), g.piece(wanted[i], 0..c.hidden)) };
                    // SAFETY: as above.
                    let dx = unsafe { dx.piece(i, 0..c.hidden) };
                    gradients::add_rms_norm(h, &model.norm, eps, dx, &mut room, g);
                }
            });
        }
        log_probs
    }
}
