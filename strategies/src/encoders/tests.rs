use super::*;
use illume_core::{Purpose, Stream};

fn params(text: &str) -> EncoderParams {
    illume_core::params::read(&text.parse().unwrap(), "strategy", &[]).unwrap()
}

/// Points near a plane of 3 coordinates in 8 dimensions: `[rows, 8]`, and the coordinates `[rows, 3]`.
fn plane(rows: usize) -> (Vec<f32>, Vec<f32>) {
    let draw = |index, n| {
        let mut values = vec![0.0; n];
        Stream::new(4, Purpose::Init, 0, index).add_normals(0, 1.0, &mut values);
        values
    };
    let (inner, mix) = (draw(0, rows * 3), draw(1, 24));
    let seen = inner.chunks_exact(3).flat_map(|z| {
        let mix = &mix;
        (0..8).map(move |i| 2.0 + 3.0 * (0..3).map(|j| z[j] * mix[3 * i + j]).sum::<f32>())
    });
    (seen.collect(), inner)
}

const KEY: Key = Key { seed: 5, generation: 7 };

/// Share of the variance of `wanted` `[rows, m]` that a linear map of the codes `[rows, latent]` explains: by successive projections (Gram and Schmidt).
fn explained(codes: &[f64], latent: usize, wanted: &[f32], m: usize) -> f64 {
    let columns = |values: Vec<f64>, width: usize| -> Vec<Vec<f64>> {
        (0..width)
            .map(|i| {
                let column: Vec<f64> = values.iter().skip(i).step_by(width).copied().collect();
                let mean = column.iter().sum::<f64>() / column.len() as f64;
                column.into_iter().map(|x| x - mean).collect()
            })
            .collect()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for mut column in columns(codes.to_vec(), latent) {
        for known in &basis {
            let along = dot(&column, known);
            column.iter_mut().zip(known).for_each(|(x, k)| *x -= along * k);
        }
        let length = dot(&column, &column).sqrt();
        if length > 1e-9 {
            basis.push(column.into_iter().map(|x| x / length).collect());
        }
    }
    let wanted = columns(wanted.iter().map(|x| f64::from(*x)).collect(), m);
    let all: f64 = wanted.iter().map(|w| dot(w, w)).sum();
    let known: f64 = wanted
        .iter()
        .flat_map(|w| basis.iter().map(move |b| dot(w, b).powi(2)))
        .sum();
    known / all
}

#[test]
fn principal_components_find_the_plane_exactly() {
    let (seen, inner) = plane(300);
    let mut encoder = Encoder::new(params("encoder = \"pca\"\nlatent = 3"), 8).unwrap();
    encoder.learn(KEY, &seen);
    let codes = encoder.encode(&seen);
    assert!(explained(&codes, 3, &inner, 3) > 1.0 - 1e-9);
    assert!(encoder.errors(&seen).iter().all(|e| *e < 1e-9));
    // Uncorrelated, the largest variance first.
    let column = |i: usize| codes.iter().skip(i).step_by(3);
    let product = |i: usize, j: usize| column(i).zip(column(j)).map(|(a, b)| a * b).sum::<f64>();
    assert!(product(0, 1).abs() < 1e-6 * product(0, 0) && product(0, 0) >= product(1, 1));
    assert!(product(1, 1) >= product(2, 2));
}

#[test]
fn an_autoencoder_learns_to_give_back_what_it_sees_and_goes_on_from_there() {
    let (seen, inner) = plane(600);
    let mut encoder = Encoder::new(
        params("latent = 3\nencoder_hidden = [16]\nencoder_batch = 32\nencoder_rate = 0.01"),
        8,
    )
    .unwrap();
    let error = |encoder: &Encoder| encoder.errors(&seen).iter().sum::<f64>() / 600.0;
    encoder.learn(KEY, &seen);
    let first = error(&encoder);
    assert!(first < 0.15, "of a variance of 1: {first}");
    for generation in 8..12 {
        encoder.learn(Key { generation, ..KEY }, &seen);
    }
    let last = error(&encoder);
    assert!(last < first && last < 0.05, "{first} {last}");
    let codes = encoder.encode(&seen);
    assert!(codes.iter().all(|x| x.abs() <= 1.0));
    let explained = explained(&codes, 3, &inner, 3);
    assert!(explained > 0.85, "{explained}");
}

#[test]
fn equal_keys_give_equal_encoders_on_any_number_of_threads_and_after_loading() {
    let (seen, _) = plane(200);
    for kind in ["pca", "autoencoder"] {
        let made = || {
            let text = format!(
                "encoder = \"{kind}\"\nlatent = 2\nencoder_hidden = [9]\nencoder_epochs = 5\nencoder_batch = 50"
            );
            Encoder::new(params(&text), 8).unwrap()
        };
        let trained = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut encoder = made();
                encoder.learn(Key { seed, ..KEY }, &seen);
                let table = encoder.table();
                let mut other = made();
                other.load(&table).unwrap();
                let next = Key { seed, generation: 8 };
                encoder.learn(next, &seen);
                other.learn(next, &seen);
                assert_eq!(encoder.table(), other.table());
                assert_eq!(encoder.encode(&seen), other.encode(&seen));
                encoder.table()
            })
        };
        let one = trained(1, 5);
        assert!(one == trained(3, 5), "{kind}");
        assert_eq!(one == trained(1, 6), kind == "pca", "weights are drawn by the seed");
    }
}

/// Pictures of 12 x 12 with a bright spot, whose place is all that differs: `[rows, 144]`, and the places `[rows, 2]`.
#[cfg(feature = "torch")]
fn spots(rows: usize) -> (Vec<f32>, Vec<f32>) {
    let stream = Stream::new(4, Purpose::Init, 0, 9);
    let places: Vec<f32> = (0..2 * rows)
        .map(|i| 2.0 + 8.0 * stream.uniform(i as u64) as f32)
        .collect();
    let light = |place: &[f32], pixel: usize| {
        let [x, y] = [pixel % 12, pixel / 12].map(|at| at as f32);
        (-((x - place[0]).powi(2) + (y - place[1]).powi(2)) / 8.0).exp()
    };
    let pictures = places
        .chunks_exact(2)
        .flat_map(|place| (0..144).map(move |pixel| light(place, pixel)));
    (pictures.collect(), places)
}

#[cfg(feature = "torch")]
#[test]
fn a_convolutional_autoencoder_learns_where_the_spot_of_a_picture_is() {
    let (seen, places) = spots(600);
    let made = || {
        let text = "encoder = \"convolutional\"\nlatent = 4\nnormalization = \"whole\"\nencoder_epochs = 15\nencoder_batch = 20\nencoder_rate = 0.003";
        Encoder::new(params(text), 144).unwrap()
    };
    let mean = |encoder: &Encoder| encoder.errors(&seen).iter().sum::<f64>() / 600.0;
    let mut encoder = made();
    assert!(
        encoder.in_words().contains("32 x 6 x 6, 16 x 3 x 3"),
        "{}",
        encoder.in_words()
    );
    encoder.begin(KEY, &seen);
    let before = mean(&encoder);
    encoder.learn(KEY, &seen);
    let after = mean(&encoder);
    assert!(after < 0.2 && before > 0.7, "{before} to {after}");
    let codes = encoder.encode(&seen);
    let known = explained(&codes, 4, &places, 2);
    assert!(known > 0.8, "{known} of where the spot is");
    // A code does not depend on what else is seen, and the same is learned again and from a file.
    assert_eq!(codes[..40], encoder.encode(&seen[..10 * 144]));
    let mut again = made();
    again.learn(KEY, &seen);
    assert_eq!(again.table(), encoder.table());
    let mut read = made();
    read.load(&encoder.table()).unwrap();
    assert_eq!(read.encode(&seen), codes);
    for (pixels, fits) in [
        (144, true),
        (400, true),
        (4096, true),
        (20, false),
        (25, false),
        (16, false),
    ] {
        let text = "encoder = \"convolutional\"\nlatent = 2";
        assert_eq!(Encoder::new(params(text), pixels).is_ok(), fits, "{pixels}");
    }
}

#[test]
fn what_never_changes_is_no_trouble_and_pictures_may_be_normalized_as_a_whole() {
    let seen: Vec<f32> = (0..40).flat_map(|i| [5.0, i as f32, 0.0]).collect();
    for normalization in ["features", "whole"] {
        for kind in ["pca", "autoencoder"] {
            let text =
                format!("encoder = \"{kind}\"\nnormalization = \"{normalization}\"\nlatent = 1\nencoder_epochs = 2");
            let mut encoder = Encoder::new(params(&text), 3).unwrap();
            encoder.learn(KEY, &seen);
            let codes = encoder.encode(&seen);
            assert!(codes.iter().all(|x| x.is_finite()), "{text}");
            assert!(codes.windows(2).all(|c| c[0] != c[1]), "{text}");
        }
    }
    assert!(
        Encoder::new(params("latent = 4"), 3)
            .err()
            .unwrap()
            .to_string()
            .contains("strategy.latent")
    );
}
