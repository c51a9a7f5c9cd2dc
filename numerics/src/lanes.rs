//! Sixteen numbers at a time, in whatever registers the processor has.
//!
//! Every operation is rounded as IEEE 754 says, one number apart from the next, so all three widths give equal bits.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Numbers in a vector.
pub const LANES: usize = 16;

/// Magnitudes below this become zero in the first moments: those of units that are never active would otherwise fall for ever
/// through the subnormal numbers, which slow processors down a hundredfold.
const TINY: f32 = 1e-30;

/// A vector of [`LANES`] numbers.
///
/// # Safety
/// Methods may be called only where the processor has the instructions of the type; pointers are to `LANES` valid numbers.
#[allow(clippy::missing_safety_doc)]
pub trait Lanes: Copy {
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn splat(x: f32) -> Self;
    /// `self * b + c`, rounded once.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// `c - self * b`, rounded once.
    unsafe fn neg_mul_add(self, b: Self, c: Self) -> Self;
    /// `self * b - c`, rounded once.
    unsafe fn mul_sub(self, b: Self, c: Self) -> Self;
    unsafe fn add(self, b: Self) -> Self;
    unsafe fn sub(self, b: Self) -> Self;
    unsafe fn mul(self, b: Self) -> Self;
    unsafe fn div(self, b: Self) -> Self;
    /// 0 where negative, else itself (NaN stays).
    unsafe fn relu(self) -> Self;
    /// Itself where `by` is positive, else 0.
    unsafe fn gate(self, by: Self) -> Self;
    /// 0 where the magnitude is below `TINY`, else itself (NaN stays).
    unsafe fn settle(self) -> Self;
    /// A first guess at 1 / sqrt, within 3.5 % (the well-known integer trick).
    unsafe fn root_guess(self) -> Self;
    /// The sum of all, halves first.
    unsafe fn sum(self) -> f32;
    /// Asks for the cache line at this address.
    #[inline(always)]
    fn prefetch(_at: *const f32) {
        // SAFETY: a request for a line has no effect on memory, whatever the address.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(_at.cast());
        }
    }
    /// Writes the transpose of a block of [`LANES`] rows, of which those from `rows` on count as zeros and are not read.
    #[inline(always)]
    unsafe fn turn(from: *const f32, from_ld: usize, rows: usize, to: *mut f32, to_ld: usize) {
        for i in 0..LANES {
            for o in 0..LANES {
                // SAFETY: the caller's promise: rows below `rows` may be read, all of the transpose may be written.
                unsafe {
                    *to.add(o * to_ld + i) = if i < rows { *from.add(i * from_ld + o) } else { 0.0 };
                }
            }
        }
    }
}

/// Adds `n` products to each sum: `acc[r][c] += a[r * a_row + k * a_next] * b[k * b_next + 16 c..]`.
///
/// # Safety
/// All that is read is valid; the processor has the instructions of `V`.
#[inline(always)]
pub unsafe fn tile<V: Lanes, const R: usize, const C: usize, const U: usize>(
    acc: &mut [[V; C]; R],
    n: usize,
    a: (*const f32, usize, usize),
    (b, b_next): (*const f32, usize),
) {
    // SAFETY: the caller's promise.
    unsafe { tile_of_columns::<V, R, C, U>(acc, n, a, (b, b_next, LANES)) }
}

/// As [`tile`], with columns apart: `acc[r][c] += a[r * a_row + k * a_next] * b[k * b_next + c * b_column..]`.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
pub unsafe fn tile_of_columns<V: Lanes, const R: usize, const C: usize, const U: usize>(
    acc: &mut [[V; C]; R],
    n: usize,
    a: (*const f32, usize, usize),
    b: (*const f32, usize, usize),
) {
    // U terms at a time, so that the addresses of rows are computed once for U products: integer additions would take turns
    // from the multiply-adds.
    let whole = n - n % U;
    // SAFETY: the caller's promise; addresses are those of the terms below n.
    unsafe {
        for k in (0..whole).step_by(U) {
            let a = (a.0.add(k * a.2), a.1, a.2);
            let b = (b.0.add(k * b.1), b.1, b.2);
            for k in 0..U {
                products(acc, k, a, b);
            }
        }
        for k in whole..n {
            products(acc, k, a, b);
        }
    }
}

/// The products of one term.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn products<V: Lanes, const R: usize, const C: usize>(
    acc: &mut [[V; C]; R],
    k: usize,
    (a, a_row, a_next): (*const f32, usize, usize),
    (b, b_next, b_column): (*const f32, usize, usize),
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut line = [V::splat(0.0); C];
        for (c, v) in line.iter_mut().enumerate() {
            *v = V::load(b.add(k * b_next + c * b_column));
        }
        for (r, sums) in acc.iter_mut().enumerate() {
            let x = V::splat(*a.add(r * a_row + k * a_next));
            for (sum, v) in sums.iter_mut().zip(line) {
                *sum = x.mul_add(v, *sum);
            }
        }
    }
}

/// Methods of [`Lanes`] that are a few instructions of the processor.
#[cfg(target_arch = "x86_64")]
macro_rules! instructions {
    ($($name:ident($($argument:tt)*) -> $result:ty = $body:expr;)*) => {
        $(
            #[inline(always)]
            unsafe fn $name($($argument)*) -> $result {
                // SAFETY: the caller promises that the processor has the type's instructions, and that pointers are to `LANES` numbers.
                unsafe { $body }
            }
        )*
    };
}

const ROOT_MAGIC: i32 = 0x5f37_59df;

#[cfg(target_arch = "x86_64")]
impl Lanes for __m512 {
    instructions! {
        load(from: *const f32) -> Self = _mm512_loadu_ps(from);
        store(self, to: *mut f32) -> () = _mm512_storeu_ps(to, self);
        splat(x: f32) -> Self = _mm512_set1_ps(x);
        mul_add(self, b: Self, c: Self) -> Self = _mm512_fmadd_ps(self, b, c);
        neg_mul_add(self, b: Self, c: Self) -> Self = _mm512_fnmadd_ps(self, b, c);
        mul_sub(self, b: Self, c: Self) -> Self = _mm512_fmsub_ps(self, b, c);
        add(self, b: Self) -> Self = _mm512_add_ps(self, b);
        sub(self, b: Self) -> Self = _mm512_sub_ps(self, b);
        mul(self, b: Self) -> Self = _mm512_mul_ps(self, b);
        div(self, b: Self) -> Self = _mm512_div_ps(self, b);
        // The second operand is returned where one of them is NaN.
        relu(self) -> Self = _mm512_max_ps(_mm512_setzero_ps(), self);
        gate(self, by: Self) -> Self = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(by, _mm512_setzero_ps()), self);
        settle(self) -> Self = {
            let keep = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(_mm512_abs_ps(self), _mm512_set1_ps(TINY));
            _mm512_maskz_mov_ps(keep, self)
        };
        root_guess(self) -> Self = {
            let half = _mm512_srli_epi32::<1>(_mm512_castps_si512(self));
            _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_set1_epi32(ROOT_MAGIC), half))
        };
        sum(self) -> f32 = {
            let high = _mm512_extractf32x8_ps::<1>(self);
            sum8(_mm256_add_ps(_mm512_castps512_ps256(self), high))
        };
    }

    #[inline(always)]
    unsafe fn turn(from: *const f32, from_ld: usize, rows: usize, to: *mut f32, to_ld: usize) {
        // SAFETY: the caller's promise: rows below `rows` may be read, all of the transpose may be written, and the processor has AVX-512.
        unsafe {
            let mut x = [_mm512_setzero_ps(); LANES];
            for (i, x) in x.iter_mut().enumerate() {
                if i < rows {
                    *x = _mm512_loadu_ps(from.add(i * from_ld));
                }
            }
            // Pairs of rows interleaved by one, then by two, then quarters gathered: the textbook's transpose.
            let mut y = x;
            for i in (0..LANES).step_by(2) {
                y[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
                y[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
            }
            for i in (0..LANES).step_by(4) {
                let [a, b, c, d] = [y[i], y[i + 1], y[i + 2], y[i + 3]].map(|v| _mm512_castps_pd(v));
                x[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
                x[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
                x[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
                x[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
            }
            // x[4 q + k] holds, in its quarter h, column 4 h + k of rows 4 q to 4 q + 3.
            for k in 0..4 {
                let low = _mm512_shuffle_f32x4::<0x88>(x[k], x[4 + k]);
                let high = _mm512_shuffle_f32x4::<0xdd>(x[k], x[4 + k]);
                let low2 = _mm512_shuffle_f32x4::<0x88>(x[8 + k], x[12 + k]);
                let high2 = _mm512_shuffle_f32x4::<0xdd>(x[8 + k], x[12 + k]);
                y[k] = _mm512_shuffle_f32x4::<0x88>(low, low2);
                y[8 + k] = _mm512_shuffle_f32x4::<0xdd>(low, low2);
                y[4 + k] = _mm512_shuffle_f32x4::<0x88>(high, high2);
                y[12 + k] = _mm512_shuffle_f32x4::<0xdd>(high, high2);
            }
            for (o, y) in y.into_iter().enumerate() {
                _mm512_storeu_ps(to.add(o * to_ld), y);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn sum8(x: __m256) -> f32 {
    // SAFETY: the caller's promise: the processor has AVX.
    unsafe {
        let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
        let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
        _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps::<1>(x, x)))
    }
}

/// Two registers of AVX2.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct Pair(pub(crate) __m256, pub(crate) __m256);

#[cfg(target_arch = "x86_64")]
impl Lanes for Pair {
    instructions! {
        load(from: *const f32) -> Self = Pair(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8)));
        store(self, to: *mut f32) -> () = {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        };
        splat(x: f32) -> Self = Pair(_mm256_set1_ps(x), _mm256_set1_ps(x));
        mul_add(self, b: Self, c: Self) -> Self = Pair(_mm256_fmadd_ps(self.0, b.0, c.0), _mm256_fmadd_ps(self.1, b.1, c.1));
        neg_mul_add(self, b: Self, c: Self) -> Self = Pair(_mm256_fnmadd_ps(self.0, b.0, c.0), _mm256_fnmadd_ps(self.1, b.1, c.1));
        mul_sub(self, b: Self, c: Self) -> Self = Pair(_mm256_fmsub_ps(self.0, b.0, c.0), _mm256_fmsub_ps(self.1, b.1, c.1));
        add(self, b: Self) -> Self = Pair(_mm256_add_ps(self.0, b.0), _mm256_add_ps(self.1, b.1));
        sub(self, b: Self) -> Self = Pair(_mm256_sub_ps(self.0, b.0), _mm256_sub_ps(self.1, b.1));
        mul(self, b: Self) -> Self = Pair(_mm256_mul_ps(self.0, b.0), _mm256_mul_ps(self.1, b.1));
        div(self, b: Self) -> Self = Pair(_mm256_div_ps(self.0, b.0), _mm256_div_ps(self.1, b.1));
        relu(self) -> Self = {
            let zero = _mm256_setzero_ps();
            Pair(_mm256_max_ps(zero, self.0), _mm256_max_ps(zero, self.1))
        };
        gate(self, by: Self) -> Self = {
            let zero = _mm256_setzero_ps();
            let keep = |x, by| _mm256_and_ps(x, _mm256_cmp_ps::<_CMP_GT_OQ>(by, zero));
            Pair(keep(self.0, by.0), keep(self.1, by.1))
        };
        settle(self) -> Self = {
            let [sign, tiny] = [_mm256_set1_ps(-0.0), _mm256_set1_ps(TINY)];
            let keep = |x| _mm256_and_ps(x, _mm256_cmp_ps::<_CMP_NLT_UQ>(_mm256_andnot_ps(sign, x), tiny));
            Pair(keep(self.0), keep(self.1))
        };
        root_guess(self) -> Self = {
            let magic = _mm256_set1_epi32(ROOT_MAGIC);
            let guess = |x| {
                let half = _mm256_srli_epi32::<1>(_mm256_castps_si256(x));
                _mm256_castsi256_ps(_mm256_sub_epi32(magic, half))
            };
            Pair(guess(self.0), guess(self.1))
        };
        sum(self) -> f32 = sum8(_mm256_add_ps(self.0, self.1));
    }
}

/// What any processor can do.
#[derive(Clone, Copy)]
pub struct Plain([f32; LANES]);

impl Plain {
    #[inline(always)]
    fn each(mut self, f: impl Fn(usize, f32) -> f32) -> Self {
        for l in 0..LANES {
            self.0[l] = f(l, self.0[l]);
        }
        self
    }
}

impl Lanes for Plain {
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Plain(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Plain([x; LANES])
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        self.each(|l, x| x.mul_add(b.0[l], c.0[l]))
    }
    #[inline(always)]
    unsafe fn neg_mul_add(self, b: Self, c: Self) -> Self {
        self.each(|l, x| (-x).mul_add(b.0[l], c.0[l]))
    }
    #[inline(always)]
    unsafe fn mul_sub(self, b: Self, c: Self) -> Self {
        self.each(|l, x| x.mul_add(b.0[l], -c.0[l]))
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        self.each(|l, x| x + b.0[l])
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        self.each(|l, x| x - b.0[l])
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        self.each(|l, x| x * b.0[l])
    }
    #[inline(always)]
    unsafe fn div(self, b: Self) -> Self {
        self.each(|l, x| x / b.0[l])
    }
    #[inline(always)]
    unsafe fn relu(self) -> Self {
        self.each(|_, x| if x < 0.0 { 0.0 } else { x })
    }
    #[inline(always)]
    unsafe fn gate(self, by: Self) -> Self {
        self.each(|l, x| if by.0[l] > 0.0 { x } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn settle(self) -> Self {
        self.each(|_, x| if x.abs() < TINY { 0.0 } else { x })
    }
    #[inline(always)]
    unsafe fn root_guess(self) -> Self {
        self.each(|_, x| f32::from_bits((ROOT_MAGIC as u32).wrapping_sub(x.to_bits() >> 1)))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut x = self.0;
        for half in [8, 4, 2, 1] {
            for l in 0..half {
                x[l] += x[l + half];
            }
        }
        x[0]
    }
}
