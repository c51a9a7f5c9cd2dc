//! Products of a language model's layers: `cargo bench -p illume-numerics --bench products [-- rows=64,256,512]`.
//!
//! Billions of multiply-adds per second of one thread (of the time that it ran), beside those of vectors of sixteen numbers in registers, for
//! the linear maps of SmolLM2-135M; medians of seven.

use std::hint::black_box;

use illume_numerics::Level;
use illume_numerics::noise::{Purpose, Stream};
use illume_numerics::transformer::{CodeBuffers, Codes, Matrix, Packed, Precision, Product, Start, Team};

const REPEATS: usize = 7;
/// Inputs and outputs.
const MAPS: [(&str, usize, usize); 4] = [
    ("queries, keys, values", 576, 960),
    ("gate and up", 576, 3072),
    ("down", 1536, 576),
    ("a part of the head", 576, 8192),
];

/// Seconds that this thread ran.
fn clock() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to the structure, and knows this clock.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(code, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn median(mut run: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let start = clock();
            run();
            clock() - start
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[REPEATS / 2]
}

fn drawn(index: u64, n: usize) -> Vec<f32> {
    let mut values = vec![0.0; n];
    Stream::new(1, Purpose::Init, 0, index).normals(0, &mut values);
    values
}

/// Billions of multiply-adds of a thread in registers alone: twelve sums that do not wait for one another.
#[cfg(target_arch = "x86_64")]
fn peak() -> f64 {
    use std::arch::x86_64::*;
    const N: usize = 20_000_000;
    macro_rules! loops {
        ($name:ident, $features:literal, $set:ident, $add:ident) => {
            #[target_feature(enable = $features)]
            fn $name(x: f32) {
                let mut sums: [_; 12] = std::array::from_fn(|i| $set(i as f32));
                for _ in 0..N {
                    let x = $set(x);
                    for sum in &mut sums {
                        *sum = $add(x, x, *sum);
                    }
                }
                black_box(sums);
            }
        };
    }
    loops!(wide, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps);
    loops!(medium, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps);
    let is_wide = is_x86_feature_detected!("avx512f");
    let seconds = median(|| match is_wide {
        // SAFETY: the processor has just been asked.
        true => unsafe { wide(black_box(1e-3)) },
        // SAFETY: a processor without would have ended the program by now: all that this is run on have it.
        false => unsafe { medium(black_box(1e-3)) },
    });
    (12 * N * if is_wide { 16 } else { 8 }) as f64 / seconds * 1e-9
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let rows = words
        .iter()
        .find_map(|w| w.strip_prefix("rows="))
        .unwrap_or("64,256,512");
    #[cfg(target_arch = "x86_64")]
    println!("in registers {:.1}", peak());
    for rows in rows.split(',').map(|r| r.parse::<usize>().expect("a number of rows")) {
        for (name, inputs, outputs) in MAPS {
            let weights = drawn(0, inputs * outputs);
            let x = drawn(1, inputs * rows);
            print!("{rows:>4} rows, {name:<22}");
            for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
                let weights = Packed::new(&[&weights], inputs, precision);
                let (mut y, mut buffers) = (Vec::new(), CodeBuffers::default());
                let seconds = median(|| {
                    let (level, team) = (Level::best(), Team::Alone);
                    let codes = Codes::new(&mut buffers, (&x, inputs), &weights, level, team);
                    let product = Product {
                        weights: &weights,
                        x: &x,
                        x_ld: inputs,
                        start: Start::Zero,
                        extras: &[],
                        y: Matrix::new(&mut y, rows, outputs + 16),
                    };
                    product.run(level, team, codes.as_ref());
                });
                print!(
                    " {precision:?} {:>6.1}",
                    (rows * inputs * outputs) as f64 / seconds * 1e-9
                );
            }
            println!();
        }
    }
}
