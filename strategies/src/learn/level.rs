//! The vector instructions that kernels are compiled for, and the choice at run time.

/// The instructions that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Base,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// All that this processor has, worst first.
    pub fn available() -> Vec<Level> {
        let mut levels = vec![Level::Base];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Level::Avx2);
            }
            if is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
            {
                levels.push(Level::Avx512);
            }
        }
        levels
    }

    pub fn best() -> Level {
        Level::available().pop().unwrap_or(Level::Base)
    }
}

/// A function that runs a body compiled for the level given. The functions are safe: they check that what the body reads and
/// writes lies inside the slices.
macro_rules! versions {
    ($(#[$doc:meta])* fn $name:ident($job:ty) = $body:ident, [$r:literal, $c:literal], [$r2:literal, $c2:literal], |$j:ident| $check:block) => {
        $(#[$doc])*
        pub(crate) fn $name(level: Level, job: $job) {
            let $j = &job;
            $check
            match level {
                // SAFETY: ranges have just been checked; a level beyond the base is only made where the processor has it.
                Level::Base => unsafe { $body::<$crate::learn::lanes::Plain, 2, 1>(job) },
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => {
                    #[target_feature(enable = "avx2,fma")]
                    unsafe fn medium(job: $job) {
                        unsafe { $body::<$crate::learn::lanes::Pair, $r2, $c2>(job) }
                    }
                    // SAFETY: as above.
                    unsafe { medium(job) }
                }
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => {
                    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
                    unsafe fn wide(job: $job) {
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
