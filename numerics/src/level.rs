//! The vector instructions that kernels are compiled for, and the choice at run time.

/// The instructions that kernels are compiled for: one that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(Kind);

/// The levels there are, for [`versions!`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Base,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// All that this processor has, worst first.
    pub fn available() -> Vec<Level> {
        let mut levels = vec![Level(Kind::Base)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Level(Kind::Avx2));
            }
            if is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
            {
                levels.push(Level(Kind::Avx512));
            }
        }
        levels
    }

    pub fn best() -> Level {
        Level::available().pop().unwrap_or(Level(Kind::Base))
    }

    pub(crate) fn kind(self) -> Kind {
        self.0
    }
}

/// A function that runs a body compiled for the level given: `name(level, job)`. The body is generic over the vector type
/// ([`Lanes`](crate::lanes::Lanes)) and two numbers, by which it may shape its blocks: the first pair is for AVX-512, the second for AVX2.
///
/// The functions are safe: `$check` must assert that what the body reads and writes lies inside the job's slices.
macro_rules! versions {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($job:ty) = $body:ident, [$r:literal, $c:literal], [$r2:literal, $c2:literal], |$j:ident| $check:block) => {
        $(#[$doc])*
        $vis fn $name(level: $crate::Level, job: $job) {
            let $j = &job;
            $check
            match level.kind() {
                // SAFETY: ranges have just been checked; a level beyond the base is only made where the processor has it.
                $crate::level::Kind::Base => unsafe { $body::<$crate::lanes::Plain, 2, 1>(job) },
                #[cfg(target_arch = "x86_64")]
                $crate::level::Kind::Avx2 => {
                    #[target_feature(enable = "avx2,fma")]
                    unsafe fn medium(job: $job) {
                        // SAFETY: the caller has checked the ranges, and the processor has AVX2 and FMA.
                        unsafe { $body::<$crate::lanes::Pair, $r2, $c2>(job) }
                    }
                    // SAFETY: as above.
                    unsafe { medium(job) }
                }
                #[cfg(target_arch = "x86_64")]
                $crate::level::Kind::Avx512 => {
                    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
                    unsafe fn wide(job: $job) {
                        // SAFETY: the caller has checked the ranges, and the processor has AVX-512.
                        unsafe { $body::<std::arch::x86_64::__m512, $r, $c>(job) }
                    }
                    // SAFETY: as above.
                    unsafe { wide(job) }
                }
            }
        }
    };
}

pub(crate) use versions;
