//! Keeps other libraries from starting threads of their own (trap: BLAS threads times ranks).

/// Read once by each library when it loads, or when it first needs it. The last puts cuDNN's attention behind libtorch's own on a GPU: cuDNN
/// plans for every new shape, which takes a tenth of a second and more, and shapes are new all the time where texts grow.
const VARIABLES: [&str; 4] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TORCH_CUDNN_SDPA_DEPRIORITIZED",
];

/// Sets `OMP_NUM_THREADS`, `OPENBLAS_NUM_THREADS`, `MKL_NUM_THREADS` and `TORCH_CUDNN_SDPA_DEPRIORITIZED` to 1 where they are unset: our
/// threads are rayon's, and attention is libtorch's.
///
/// To be called first in `main`; does nothing once the process has a second thread.
pub fn pin_libraries() {
    if !single_threaded() {
        return;
    }
    for name in VARIABLES {
        if std::env::var_os(name).is_none() {
            // SAFETY: the process has one thread, this one, so that no other can read the environment meanwhile.
            unsafe { std::env::set_var(name, "1") }
        }
    }
}

/// Whether this is the only thread, by Linux's list of them; elsewhere unknown, so no.
pub(crate) fn single_threaded() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}
