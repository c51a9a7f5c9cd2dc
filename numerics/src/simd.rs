//! Run-time choice of the vector width for hot kernels.

/// Expands to a call of the given inlined body, compiled once each for AVX-512, AVX2 with FMA, and the baseline.
///
/// The body must be built of `#[inline(always)]` functions, so that it is compiled under each set of features. Results do not
/// depend on the version chosen as long as the body fixes its order of operations.
#[macro_export]
macro_rules! simd_dispatch {
    (fn [$($g:tt)*]($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {{
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi2")]
            fn wide<$($g)*>($($arg: $ty),*) $(-> $ret)? $body
            #[target_feature(enable = "avx2,fma,bmi2")]
            fn medium<$($g)*>($($arg: $ty),*) $(-> $ret)? $body
            fn base<$($g)*>($($arg: $ty),*) $(-> $ret)? $body
            if std::arch::is_x86_feature_detected!("avx512dq")
                && std::arch::is_x86_feature_detected!("avx512vl")
                && std::arch::is_x86_feature_detected!("avx512bw")
                && std::arch::is_x86_feature_detected!("bmi2")
            {
                // SAFETY: the processor has just been asked for these features (all AVX-512 processors have AVX2 and FMA).
                unsafe { wide($($arg),*) }
            } else if std::arch::is_x86_feature_detected!("avx2")
                && std::arch::is_x86_feature_detected!("fma")
                && std::arch::is_x86_feature_detected!("bmi2")
            {
                // SAFETY: as above.
                unsafe { medium($($arg),*) }
            } else {
                base($($arg),*)
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            fn base<$($g)*>($($arg: $ty),*) $(-> $ret)? $body
            base($($arg),*)
        }
    }};
}
