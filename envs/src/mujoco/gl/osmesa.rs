//! Contexts of OSMesa, Mesa's renderer into memory.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;
use std::sync::OnceLock;

use libloading::os::unix::Library;

use super::{Context, Current, function, load, publish};

const NAMES: [&str; 4] = ["libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so.9", "libOSMesa.so"];

/// Side of the picture that a context must have; MuJoCo draws into a buffer of its own.
const SIDE: usize = 16;

// Numbers of OpenGL's specification.
const RGBA: c_uint = 0x1908;
const UNSIGNED_BYTE: c_uint = 0x1401;

type Handle = *mut c_void;

struct Mesa {
    address: unsafe extern "C" fn(*const c_char) -> *const c_void,
    create: unsafe extern "C" fn(c_uint, c_int, c_int, c_int, Handle) -> Handle,
    make_current: unsafe extern "C" fn(Handle, *mut c_void, c_uint, c_int, c_int) -> u8,
    destroy: unsafe extern "C" fn(Handle),
    _library: Library,
}

/// Loaded once; it stays.
fn mesa() -> Result<&'static Mesa, String> {
    static MESA: OnceLock<Result<Mesa, String>> = OnceLock::new();
    let loaded = MESA.get_or_init(|| {
        let library = load(&NAMES)?;
        // SAFETY: the types are those of Mesa's `GL/osmesa.h`.
        unsafe {
            Ok(Mesa {
                address: function(&library, "OSMesaGetProcAddress")?,
                create: function(&library, "OSMesaCreateContextExt")?,
                make_current: function(&library, "OSMesaMakeCurrent")?,
                destroy: function(&library, "OSMesaDestroyContext")?,
                _library: library,
            })
        }
    });
    loaded.as_ref().map_err(|why| format!("OSMesa was not found ({why})"))
}

/// A context that is current.
pub(super) fn open() -> Result<Current, String> {
    let mesa = mesa()?;
    // SAFETY: nothing is shared with another context.
    let context = unsafe { (mesa.create)(RGBA, 24, 8, 0, null_mut()) };
    if context.is_null() {
        return Err("OSMesa gave no context".into());
    }
    let mut context = OfMesa {
        mesa,
        context,
        buffer: vec![0; 4 * SIDE * SIDE],
    };
    let side = SIDE as c_int;
    // SAFETY: the buffer has room for as many pixels of four bytes, and lives as long as the context.
    let current = unsafe {
        (mesa.make_current)(
            context.context,
            context.buffer.as_mut_ptr().cast(),
            UNSIGNED_BYTE,
            side,
            side,
        )
    };
    if current == 0 {
        return Err("OSMesa's context cannot be used".into());
    }
    let current = Current::check(Box::new(context), "OSMesa")?;
    publish(&NAMES);
    Ok(current)
}

struct OfMesa {
    mesa: &'static Mesa,
    context: Handle,
    buffer: Vec<u8>,
}

impl Context for OfMesa {
    fn address(&self, name: &CStr) -> *const c_void {
        // SAFETY: the name ends with a zero.
        unsafe { (self.mesa.address)(name.as_ptr()) }
    }
}

impl Drop for OfMesa {
    fn drop(&mut self) {
        // SAFETY: it is a context of this library.
        unsafe { (self.mesa.destroy)(self.context) };
    }
}
