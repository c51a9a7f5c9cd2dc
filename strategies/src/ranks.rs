//! Orders of evaluated rows in which a failed evaluation never wins.

use illume_core::Status;

/// Row numbers from best to worst: by fitness, then by number; rows that are not ok come last.
pub fn best_first(status: &[u8], fitness: &[f64]) -> Vec<usize> {
    let ok = |i: usize| status[i] == Status::Ok as u8;
    let mut rows: Vec<usize> = (0..fitness.len()).collect();
    rows.sort_by(|&a, &b| {
        ok(b).cmp(&ok(a)).then(if ok(a) {
            fitness[b].total_cmp(&fitness[a])
        } else {
            a.cmp(&b)
        })
    });
    rows
}

/// Mean and maximum of the values of rows that are ok; NaN if none is.
pub(crate) fn mean_and_max(status: &[u8], values: &[f64]) -> (f64, f64) {
    let ok = || {
        status
            .iter()
            .zip(values)
            .filter(|(s, _)| **s == Status::Ok as u8)
            .map(|(_, x)| *x)
    };
    (ok().sum::<f64>() / ok().count() as f64, ok().fold(f64::NAN, f64::max))
}

/// Standard deviation (of all of them, not of a sample) of the values of rows that are ok, of which `mean` is the mean.
pub(crate) fn deviation(status: &[u8], values: &[f64], mean: f64) -> f64 {
    let squares = values.iter().map(|x| (x - mean).powi(2));
    mean_and_max(status, &squares.collect::<Vec<f64>>()).0.sqrt()
}

/// Centred ranks in [-1/2, 1/2] (Salimans et al. 2017): worst -1/2, best 1/2; equal fitness gets the mean of its ranks, and rows
/// that are not ok share the lowest.
pub fn centred_ranks(status: &[u8], fitness: &[f64]) -> Vec<f32> {
    let n = fitness.len();
    let order = best_first(status, fitness);
    let same = |a: usize, b: usize| {
        let (a, b) = (order[a], order[b]);
        let failed = |i: usize| status[i] != Status::Ok as u8;
        failed(a) && failed(b) || !failed(a) && !failed(b) && fitness[a] == fitness[b]
    };
    let mut ranks = vec![0.0; n];
    let mut start = 0;
    while start < n {
        let end = (start + 1..n).find(|&i| !same(start, i)).unwrap_or(n);
        // Positions count from the best; the mean position of the tie decides.
        let position = (start + end - 1) as f64 / 2.0;
        let rank = if n > 1 { 0.5 - position / (n - 1) as f64 } else { 0.0 };
        order[start..end].iter().for_each(|&i| ranks[i] = rank as f32);
        start = end;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_run_from_minus_half_to_half() {
        assert_eq!(centred_ranks(&[0; 3], &[5.0, -1.0, 9.0]), [0.0, -0.5, 0.5]);
    }

    #[test]
    fn ties_share_their_mean_rank_and_cancel_in_a_mirrored_pair() {
        assert_eq!(centred_ranks(&[0; 4], &[1.0, 1.0, 0.0, 2.0]), [0.0, 0.0, -0.5, 0.5]);
    }

    #[test]
    fn a_failed_row_never_wins() {
        assert_eq!(best_first(&[0, 2, 0], &[1.0, f64::NAN, 3.0]), [2, 0, 1]);
        assert_eq!(centred_ranks(&[1, 0, 1], &[f64::NAN, -9.0, 7.0]), [-0.25, 0.5, -0.25]);
    }
}
