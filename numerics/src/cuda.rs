//! CUDA without being linked to it: where libtorch's CUDA library is there it is loaded, before libtorch first asks for it.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::libtorch::{self, symbol};

const LIBRARY: &str = "libtorch_cuda.so";
const DRIVER: &CStr = c"libcuda.so.1";

/// Whether libtorch can compute on a GPU. Where there is a driver, the first call loads libtorch and its CUDA library, which takes a second or more;
/// libtorch decides once and for all what it has, so nothing else may ask it before. Nor may anything be differentiated before, on the processor
/// either: libtorch starts its threads for devices at the first backward pass, for those that it then knows.
pub fn available() -> bool {
    driver() && loaded().is_ok() && tch::Cuda::is_available()
}

/// Whether there is NVIDIA's driver.
fn driver() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| libtorch::open(DRIVER).is_ok())
}

/// Why there is no such CUDA device to compute on, and what to do, as the part of a sentence; none if it is there.
pub fn missing(index: usize) -> Option<String> {
    match (loaded(), available()) {
        (Err(fault), _) => Some(fault.to_string()),
        (Ok(path), false) => Some(format!(
            "{} finds no NVIDIA GPU with a driver for it: see what `nvidia-smi` says on this node",
            path.display()
        )),
        (Ok(_), true) => {
            let devices = tch::Cuda::device_count();
            (index as i64 >= devices).then(|| format!("there are {devices}, counted from 0"))
        }
    }
}

/// The CUDA device for process number `local_rank` of this node: they take the node's devices in turn.
pub fn device_of(local_rank: usize) -> usize {
    local_rank % tch::Cuda::device_count().max(1) as usize
}

/// CUDA devices of this node, over which its ranks are spread.
pub fn devices() -> usize {
    match available() {
        true => tch::Cuda::device_count().max(0) as usize,
        false => 0,
    }
}

/// Bytes of a device that nobody has taken, and all of it; none if CUDA does not say.
pub fn memory(index: usize) -> Option<[u64; 2]> {
    type Get = unsafe extern "C" fn(*mut c_int) -> c_int;
    type Set = unsafe extern "C" fn(c_int) -> c_int;
    type Info = unsafe extern "C" fn(*mut usize, *mut usize) -> c_int;
    if index >= devices() {
        return None;
    }
    // CUDA's runtime came with libtorch's library, which was loaded for all to see.
    let (get, set, info) = (
        symbol(c"cudaGetDevice")?,
        symbol(c"cudaSetDevice")?,
        symbol(c"cudaMemGetInfo")?,
    );
    // SAFETY: the runtime's interface declares them so.
    let (get, set, info) = unsafe {
        (
            std::mem::transmute::<*mut c_void, Get>(get),
            std::mem::transmute::<*mut c_void, Set>(set),
            std::mem::transmute::<*mut c_void, Info>(info),
        )
    };
    let (mut before, mut free, mut all) = (0, 0, 0);
    let index = c_int::try_from(index).ok()?;
    // SAFETY: they write what they are given; the calling thread's device is as before when they are done.
    let done = unsafe {
        get(&mut before) == 0 && set(index) == 0 && {
            let told = info(&mut free, &mut all) == 0;
            set(before) == 0 && told
        }
    };
    done.then_some([free as u64, all as u64])
}

/// The CUDA library that is loaded, at the latest now; otherwise why there is none, as the part of a sentence.
pub fn loaded() -> Result<&'static Path, &'static str> {
    static LOADED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| {
        libtorch::load()?;
        let path = library().ok_or(
            "there is no libtorch_cuda.so beside libtorch_cpu.so nor in LIBTORCH/lib: set LIBTORCH to the folder torch/ of a \
             Python with PyTorch for CUDA, of the version that `illume --version` shows for libtorch",
        )?;
        match libtorch::name_of(&path).and_then(|name| libtorch::open(&name)) {
            Ok(()) => Ok(path),
            Err(fault) => Err(format!("libtorch's CUDA library cannot be loaded ({fault})")),
        }
    });
    loaded.as_deref().map_err(String::as_str)
}

/// libtorch's CUDA library: beside the libtorch that is loaded, or in `LIBTORCH/lib`. It is not loaded by asking.
pub fn library() -> Option<PathBuf> {
    let given = std::env::var_os("LIBTORCH").map(|folder| Path::new(&folder).join("lib"));
    let candidates = [libtorch::folder(), given].into_iter().flatten();
    candidates.map(|folder| folder.join(LIBRARY)).find(|path| path.exists())
}

/// The name of a CUDA device as its driver says it: `NVIDIA H200`.
pub fn device_name(index: usize) -> Option<String> {
    type GetDevice = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
    type GetName = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
    let driver = |name: &CStr| -> Option<*mut c_void> {
        // SAFETY: names with their final zeros; the driver is loaded already if there is a CUDA device, else nothing is found.
        let library = unsafe { libc::dlopen(DRIVER.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD) };
        if library.is_null() {
            return None;
        }
        // SAFETY: as above.
        let function = unsafe { libc::dlsym(library, name.as_ptr()) };
        (!function.is_null()).then_some(function)
    };
    let (get, name) = (driver(c"cuDeviceGet")?, driver(c"cuDeviceGetName")?);
    // SAFETY: the driver's interface declares them so.
    let (get, name) = unsafe {
        (
            std::mem::transmute::<*mut c_void, GetDevice>(get),
            std::mem::transmute::<*mut c_void, GetName>(name),
        )
    };
    let (mut device, mut text) = (0, [0u8; 256]);
    let index = c_int::try_from(index).ok()?;
    let done =
        // SAFETY: both write within what they are given; a driver that is not initialized says so by a number other than 0.
        unsafe { get(&mut device, index) == 0 && name(text.as_mut_ptr().cast(), text.len() as c_int, device) == 0 };
    let name = CStr::from_bytes_until_nul(&text).ok()?.to_str().ok()?;
    done.then(|| name.to_string())
}
