use super::normal::{self, Fill, Use};
use super::{Purpose, Stream};

fn stream() -> Stream {
    Stream::new(7, Purpose::Variation, 3, 11)
}

#[test]
fn any_slice_equals_the_whole() {
    let mut whole = vec![0.0; 1000];
    stream().normals(0, &mut whole);
    for (start, len) in [(0, 1), (1, 63), (63, 2), (64, 64), (100, 513), (999, 1)] {
        let mut part = vec![0.0; len];
        stream().normals(start, &mut part);
        assert_eq!(part, whole[start as usize..start as usize + len]);
        let mut sum = vec![1.0f32; len];
        stream().add_normals(start, 0.5, &mut sum);
        for (s, w) in sum.iter().zip(&whole[start as usize..]) {
            assert_eq!(*s, w.mul_add(0.5, 1.0));
        }
    }
    let mut words = vec![0; 300];
    stream().words(5, &mut words);
    for (i, w) in words.iter().enumerate() {
        assert_eq!(*w, stream().word(5 + i as u64));
    }
}

/// A kernel's `fill` and Box-Muller on a group of words.
type Kernel = (Fill, fn([[u32; 16]; 4]) -> [[f32; 16]; 4]);

/// Those that this processor can run, not only the one that it would.
fn kernels() -> Vec<Kernel> {
    let mut kernels: Vec<Kernel> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        use super::{avx2, avx512};
        if avx2::available() {
            kernels.push((avx2::fill, avx2::of_words));
        }
        if avx512::available() {
            kernels.push((avx512::fill, avx512::of_words));
        }
    }
    kernels
}

#[test]
fn every_kernel_gives_the_same_bits() {
    let n = 3_000_017;
    let base: Vec<f32> = (0..n).map(|i| (i as f32).sin()).collect();
    let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
    for start in [0, 5, (1 << 34) - 1_000_000, (1 << 36) + 77] {
        for what in [Use::Normals, Use::Add(0.3), Use::Move(&base, 0.002)] {
            let mut plain = base.clone();
            normal::normals_body(&stream(), start, &mut plain, what);
            for (fill, _) in kernels() {
                let mut ours = base.clone();
                normal::by_groups(fill, &stream(), start, &mut ours, what);
                assert!(bits(&ours) == bits(&plain), "from {start}");
            }
        }
    }
}

/// Words at the ends of their ranges, where a logarithm is 0, a sine changes its sign, or a rounding could differ.
#[test]
fn words_at_the_edges_become_the_portable_normals() {
    let edges = [0u32, 1 << 30, 1 << 31, 3 << 30, u32::MAX];
    let words: Vec<u32> = (edges.iter())
        .flat_map(|e| (0..400).map(move |i| e.wrapping_add(i).wrapping_sub(200)))
        .collect();
    for (_, of_words) in kernels() {
        for &a in &words {
            for b in words.as_chunks::<16>().0 {
                let ours = of_words([[a; 16], *b, *b, [a; 16]]);
                for i in 0..16 {
                    let (first, second) = (normal::box_muller(a, b[i]), normal::box_muller(b[i], a));
                    let expected = [first.0, first.1, second.0, second.1];
                    for (n, e) in ours.iter().zip(expected) {
                        assert_eq!(n[i].to_bits(), e.to_bits(), "words {a:#x} and {:#x}", b[i]);
                    }
                }
            }
        }
    }
}

#[test]
fn mirrored_pairs_are_symmetric_and_use_the_same_noise() {
    let center: Vec<f32> = (0..130).map(|i| i as f32).collect();
    let (mut p, mut m, mut n) = (vec![0.0; 130], vec![0.0; 130], vec![0.0; 130]);
    stream().mirrored(&center, 0.5, &mut p, &mut m);
    stream().normals(0, &mut n);
    for i in 0..130 {
        assert_eq!(p[i], n[i].mul_add(0.5, center[i]));
        assert_eq!(m[i], n[i].mul_add(-0.5, center[i]));
    }
}

#[test]
fn normals_have_normal_moments() {
    let n = 4_000_000;
    let mut x = vec![0.0f32; n];
    stream().normals(0, &mut x);
    let moment = |k: i32| x.iter().map(|&v| f64::from(v).powi(k)).sum::<f64>() / n as f64;
    // Standard errors of the raw moments of n normals: sqrt((E x^2k - (E x^k)^2) / n).
    for (k, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
        let error = (moment(k) - expected).abs();
        assert!(error < 4.0 * (variance / n as f64).sqrt(), "moment {k}: {}", moment(k));
    }
    let lag: f64 = x.windows(2).map(|w| f64::from(w[0]) * f64::from(w[1])).sum::<f64>() / n as f64;
    assert!(lag.abs() < 4.0 / (n as f64).sqrt(), "lag-one correlation {lag}");
    assert!(x.iter().all(|v| v.is_finite()));
}

/// Kolmogorov-Smirnov distance of the normals to the normal distribution; its 0.1 % quantile is 1.95 / sqrt(n).
#[test]
fn normals_pass_kolmogorov_smirnov() {
    let n = 1_000_000;
    let mut x = vec![0.0f32; n];
    Stream::new(1, Purpose::Init, 0, 0).normals(0, &mut x);
    x.sort_by(f32::total_cmp);
    let d = x
        .iter()
        .enumerate()
        .map(|(i, &v)| {
            let p = normal_cdf(f64::from(v));
            (p - i as f64 / n as f64)
                .abs()
                .max(((i + 1) as f64 / n as f64 - p).abs())
        })
        .fold(0.0, f64::max);
    assert!(d < 1.95 / (n as f64).sqrt(), "KS distance {d}");
}

/// Phi(x) by the series x - x^3/3/2 + …, exact to 1e-15 for |x| < 7.
fn normal_cdf(x: f64) -> f64 {
    let (mut term, mut sum, mut k) = (x, x, 0.0);
    while term.abs() > 1e-17 * sum.abs().max(1e-300) && k < 400.0 {
        k += 1.0;
        term *= x * x / (2.0 * k + 1.0);
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

/// Two samples of the same distribution, one from an independent implementation: their KS distance.
#[test]
fn normals_agree_with_rand_distr() {
    use rand_distr::{Distribution, StandardNormal};
    let n = 200_000;
    let mut ours = vec![0.0f32; n];
    Stream::new(2, Purpose::Init, 0, 0).normals(0, &mut ours);
    let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(1);
    let mut theirs: Vec<f32> = (0..n).map(|_| StandardNormal.sample(&mut rng)).collect();
    ours.sort_by(f32::total_cmp);
    theirs.sort_by(f32::total_cmp);
    let (mut i, mut j, mut d) = (0usize, 0usize, 0usize);
    while i < n && j < n {
        if ours[i] <= theirs[j] {
            i += 1
        } else {
            j += 1
        }
        d = d.max(i.abs_diff(j));
    }
    assert!((d as f64 / n as f64) < 1.95 * (2.0 / n as f64).sqrt());
}

#[test]
fn neighbouring_streams_are_uncorrelated() {
    let n = 100_000;
    let base = stream();
    let mut a = vec![0.0f32; n];
    base.normals(0, &mut a);
    let others = [
        Stream::new(8, Purpose::Variation, 3, 11),
        Stream::new(7, Purpose::Init, 3, 11),
        Stream::new(7, Purpose::Variation, 4, 11),
        Stream::new(7, Purpose::Variation, 3, 12),
    ];
    for other in others {
        let mut b = vec![0.0f32; n];
        other.normals(0, &mut b);
        let c: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(x * y)).sum::<f64>() / n as f64;
        assert!(c.abs() < 4.0 / (n as f64).sqrt());
    }
}
