//! libtorch, loaded when it is first needed. Where `tools/setup` has built `libtch.so`, programs are linked to stubs of its functions
//! (`tools/lazy_tch`); elsewhere libtorch is linked, and loaded when the program starts.

use std::ffi::{CStr, CString, OsStr, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Loads libtorch if it is not yet, for good, and lets it compute by one thread: what runs in parallel here are its callers.
/// To be called before the first use of `tch`, which would load it, too, but end the program where that fails.
///
/// # Errors
/// It cannot be loaded; what the linker says, as the part of a sentence.
pub fn load() -> Result<(), &'static str> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| {
        if symbol(STABLE_VERSION).is_none() {
            open_all().map_err(|fault| {
                format!(
                    "libtorch cannot be loaded ({fault}): `tools/setup torch` gets it, or set LIBTORCH to the folder torch/ of a \
                     Python with PyTorch 2.11"
                )
            })?;
        }
        tch::set_num_threads(1);
        Ok(())
    });
    loaded.as_ref().copied().map_err(String::as_str)
}

/// Loads `libtch.so`, and with it the libtorch in `LIBTORCH`, otherwise that of set-up or where the linker looks.
fn open_all() -> Result<(), String> {
    let given = std::env::var_os("LIBTORCH").map(|folder| Path::new(&folder).join("lib/libtorch_cpu.so"));
    if let Some(path) = given.filter(|path| path.exists()) {
        open(&name_of(&path)?)?;
    }
    open(c"libtch.so")
}

/// Its version, if it is loaded: `2.11.0`.
pub fn version() -> Option<String> {
    let function = symbol(STABLE_VERSION)?;
    // SAFETY: a function without arguments or effects, which libtorch declares so.
    let function = unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> u64>(function) };
    // SAFETY: as above.
    let [major, minor, patch, ..] = unsafe { function() }.to_be_bytes();
    Some(format!("{major}.{minor}.{patch}"))
}

/// The version of libtorch's stable interface, which is libtorch's own: major, minor, patch in the three highest bytes. Exported by
/// every libtorch since 2.9.
const STABLE_VERSION: &CStr = c"aoti_torch_abi_version";

/// The folder from which it was loaded, if it was.
pub(crate) fn folder() -> Option<PathBuf> {
    let symbol = symbol(STABLE_VERSION)?;
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: any address may be asked about; zeroes are a valid `Dl_info`, which is filled in if the answer is not 0.
    let (found, info) = unsafe { (libc::dladdr(symbol, info.as_mut_ptr()), info.assume_init()) };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the path of a loaded library, which stays loaded.
    let path = unsafe { CStr::from_ptr(info.dli_fname) };
    let path = Path::new(OsStr::from_bytes(path.to_bytes())).canonicalize().ok()?;
    Some(path.parent()?.into())
}

/// What is loaded under this name.
pub(crate) fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: a name with its final zero; RTLD_DEFAULT looks through what is loaded.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// Loads a library for good, for all to see: by its path, or by its name from where the linker looks.
pub(crate) fn open(name: &CStr) -> Result<(), String> {
    // SAFETY: libtorch's libraries and NVIDIA's driver, whose initializers may run at any time.
    if !unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) }.is_null() {
        return Ok(());
    }
    // SAFETY: after a failure it is this thread's message, valid until the next call, or null.
    let message = unsafe { libc::dlerror() };
    if message.is_null() {
        return Err(name.to_string_lossy().into_owned());
    }
    // SAFETY: not null, as above.
    Err(unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned())
}

/// A path as the linker takes it.
pub(crate) fn name_of(path: &Path) -> Result<CString, String> {
    CString::new(path.as_os_str().as_bytes()).map_err(|e| e.to_string())
}
