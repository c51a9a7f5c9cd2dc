use super::*;

const ALPHA: f64 = 1.0 / (6.0 * 10.0);

fn margin(cells: u32) -> Margin {
    Margin::new(Arc::new([(0, cells)]), 6, 10)
}

/// Probabilities below and above the cell in which the mean lies.
fn tails(cells: u32, mean: f64, spread: f64) -> [f64; 2] {
    let at = f64::from(cell(mean as f32, cells));
    let [low, high] = [at, at + 1.0].map(|cell| cell / f64::from(cells));
    [upper_tail((mean - low) / spread), upper_tail((high - mean) / spread)]
}

#[test]
fn each_side_of_the_means_cell_keeps_half_the_margin() {
    for deviation in [1e-9, 1e-4, 0.01, 0.04] {
        for mean in [0.301, 0.35, 0.3999] {
            let (mut corrected, mut factor) = (mean, 1.0);
            margin(10).correct(10, deviation, &mut corrected, &mut factor);
            let [below, above] = tails(10, corrected, deviation * factor);
            assert!(
                below >= ALPHA / 2.0 * (1.0 - 1e-6) && above >= ALPHA / 2.0 * (1.0 - 1e-6),
                "{below} {above}"
            );
            let lifted = tails(10, mean, deviation).iter().any(|p| *p < ALPHA / 2.0);
            assert_eq!(factor != 1.0, lifted, "{deviation} {mean}: only where it is needed");
            assert_eq!(cell(corrected as f32, 10), 3);
            // It changes nothing of what it has corrected.
            let again = (corrected, factor);
            margin(10).correct(10, deviation, &mut corrected, &mut factor);
            assert!((corrected - again.0).abs() < 1e-9 && (factor / again.1 - 1.0).abs() < 1e-6);
        }
    }
}

#[test]
fn the_outermost_cells_keep_the_margin_on_their_open_side() {
    for (cells, mean, inside) in [(2, -3.0, 0.5), (2, 0.9, 0.5), (10, 0.02, 0.1), (10, 5.0, 0.9)] {
        let (mut corrected, mut factor) = (mean, 1.0);
        margin(cells).correct(cells, 0.01, &mut corrected, &mut factor);
        assert_eq!(factor, 1.0, "only the mean moves");
        let other = upper_tail((corrected - inside).abs() / 0.01);
        assert!((other - ALPHA).abs() < 1e-9, "{cells}, {mean}: {other}");
        assert_eq!(corrected < inside, mean < inside, "on the side where it was");
    }
    // One that has enough stays.
    let (mut mean, mut factor) = (0.49, 1.0);
    margin(2).correct(2, 0.1, &mut mean, &mut factor);
    assert_eq!((mean, factor), (0.49, 1.0));
}

#[test]
fn discrete_genes_of_a_range_are_found_by_their_place() {
    let margin = Margin::new(Arc::new([(1, 2), (4, 7), (5, 3)]), 8, 10);
    assert_eq!(margin.within(0..8).collect::<Vec<_>>(), [(1, 2), (4, 7), (5, 3)]);
    assert_eq!(margin.within(2..5).collect::<Vec<_>>(), [(2, 7)]);
    assert_eq!(margin.within(6..8).count(), 0);
    assert!(margin.has(4) && !margin.has(3));
}
