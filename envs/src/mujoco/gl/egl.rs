//! Contexts of EGL, on a graphics card or by Mesa's software renderer: no window and no display server.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use libloading::os::unix::Library;

use super::{Context, Current, function, load, publish, text};

const NAMES: [&str; 2] = ["libEGL.so.1", "libEGL.so"];

/// Devices that are looked at, at most.
const DEVICES: usize = 32;

// Numbers of EGL's specification.
const NONE: c_int = 0x3038;
const EXTENSIONS: c_int = 0x3055;
const OPENGL_API: c_uint = 0x30A2;
const PLATFORM_DEVICE: c_uint = 0x313F;
const PLATFORM_SURFACELESS: c_uint = 0x31DD;
/// A pixel buffer's colours and depth, for desktop OpenGL. MuJoCo draws into a buffer of its own.
const CONFIG: [c_int; 17] = [
    0x3024, 8, // red
    0x3023, 8, // green
    0x3022, 8, // blue
    0x3025, 24, // depth
    0x3026, 8, // stencil
    0x303F, 0x308E, // an RGB buffer
    0x3033, 0x0001, // that is a pixel buffer
    0x3040, 0x0008, // for OpenGL
    NONE,
];

type Handle = *mut c_void;
type Address = unsafe extern "C" fn(*const c_char) -> *const c_void;
type MakeCurrent = unsafe extern "C" fn(Handle, Handle, Handle, Handle) -> c_uint;
type Destroy = unsafe extern "C" fn(Handle, Handle) -> c_uint;
type QueryDevices = unsafe extern "C" fn(c_int, *mut Handle, *mut c_int) -> c_uint;
type PlatformDisplay = unsafe extern "C" fn(c_uint, Handle, *const c_int) -> Handle;

/// The functions of EGL that are used here.
struct Egl {
    address: Address,
    query: unsafe extern "C" fn(Handle, c_int) -> *const c_char,
    initialize: unsafe extern "C" fn(Handle, *mut c_int, *mut c_int) -> c_uint,
    bind: unsafe extern "C" fn(c_uint) -> c_uint,
    choose: unsafe extern "C" fn(Handle, *const c_int, *mut Handle, c_int, *mut c_int) -> c_uint,
    create: unsafe extern "C" fn(Handle, Handle, Handle, *const c_int) -> Handle,
    make_current: MakeCurrent,
    destroy: Destroy,
    error: unsafe extern "C" fn() -> c_int,
    _library: Library,
}

/// Loaded once; it stays.
fn egl() -> Result<&'static Egl, String> {
    static EGL: OnceLock<Result<Egl, String>> = OnceLock::new();
    let loaded = EGL.get_or_init(|| {
        let library = load(&NAMES)?;
        // SAFETY: the types are those of EGL's specification.
        unsafe {
            Ok(Egl {
                address: function(&library, "eglGetProcAddress")?,
                query: function(&library, "eglQueryString")?,
                initialize: function(&library, "eglInitialize")?,
                bind: function(&library, "eglBindAPI")?,
                choose: function(&library, "eglChooseConfig")?,
                create: function(&library, "eglCreateContext")?,
                make_current: function(&library, "eglMakeCurrent")?,
                destroy: function(&library, "eglDestroyContext")?,
                error: function(&library, "eglGetError")?,
                _library: library,
            })
        }
    });
    loaded.as_ref().map_err(|why| format!("EGL was not found ({why})"))
}

/// A context that is current, on the first device that gives one, else on Mesa's platform without surfaces.
pub(super) fn open() -> Result<Current, String> {
    let egl = egl()?;
    let mut why = "EGL knows no device".to_string();
    for display in egl.displays() {
        match egl.context(display) {
            Ok(context) => match Current::check(Box::new(context), "EGL") {
                Ok(current) => {
                    publish(&NAMES);
                    return Ok(current);
                }
                Err(reason) => why = reason,
            },
            Err(step) => {
                // SAFETY: a pure query.
                let number = unsafe { (egl.error)() };
                why = format!("EGL gave no context ({step} failed with error {number:#x})");
            }
        }
    }
    Err(why)
}

impl Egl {
    /// The displays that may give a context, best first: one for each device, cards before Mesa's software renderer as EGL lists them, and
    /// the one that has no device.
    fn displays(&self) -> Vec<Handle> {
        // SAFETY: a null display asks for what the library itself can do; the answer ends with a zero.
        let extensions = unsafe { text((self.query)(null_mut(), EXTENSIONS)) }.unwrap_or_default();
        let has = |name: &str| extensions.split(' ').any(|e| e == name);
        // SAFETY: the names end with a zero.
        let address = |name: &CStr| unsafe { (self.address)(name.as_ptr()) };
        let platform = address(c"eglGetPlatformDisplayEXT");
        if !has("EGL_EXT_platform_base") || platform.is_null() {
            return Vec::new();
        }
        // SAFETY: this is the function's type in EGL_EXT_platform_base, which there is.
        let platform = unsafe { std::mem::transmute::<*const c_void, PlatformDisplay>(platform) };
        let mut displays = Vec::new();
        let devices = address(c"eglQueryDevicesEXT");
        let enumerates = has("EGL_EXT_device_enumeration") || has("EGL_EXT_device_base");
        if enumerates && has("EGL_EXT_platform_device") && !devices.is_null() {
            let (mut found, mut count) = ([null_mut(); DEVICES], 0);
            // SAFETY: this is the function's type in EGL_EXT_device_enumeration, which there is, and `found` holds as many as are asked for.
            let asked = unsafe {
                let query = std::mem::transmute::<*const c_void, QueryDevices>(devices);
                query(DEVICES as c_int, found.as_mut_ptr(), &raw mut count)
            };
            if asked != 0 {
                let count = usize::try_from(count).unwrap_or(0).min(DEVICES);
                // SAFETY: these are devices, and a null list of attributes is an empty one.
                displays.extend(
                    found[..count]
                        .iter()
                        .map(|d| unsafe { platform(PLATFORM_DEVICE, *d, null()) }),
                );
            }
        }
        if has("EGL_MESA_platform_surfaceless") {
            // SAFETY: as above; the default display is null.
            displays.push(unsafe { platform(PLATFORM_SURFACELESS, null_mut(), null()) });
        }
        displays.retain(|display| !display.is_null());
        displays
    }

    /// A context that is current; else the step that failed.
    fn context(&'static self, display: Handle) -> Result<OfEgl, &'static str> {
        let (mut config, mut count) = (null_mut(), 0);
        // SAFETY: the display is one that EGL gave, lists of attributes end with `NONE` or are null, and there is room for one configuration.
        unsafe {
            if (self.initialize)(display, null_mut(), null_mut()) == 0 {
                return Err("eglInitialize");
            }
            if (self.choose)(display, CONFIG.as_ptr(), &raw mut config, 1, &raw mut count) == 0 || count < 1 {
                return Err("eglChooseConfig");
            }
            if (self.bind)(OPENGL_API) == 0 {
                return Err("eglBindAPI");
            }
            let context = (self.create)(display, config, null_mut(), null());
            if context.is_null() {
                return Err("eglCreateContext");
            }
            if (self.make_current)(display, null_mut(), null_mut(), context) == 0 {
                (self.destroy)(display, context);
                return Err("eglMakeCurrent");
            }
            Ok(OfEgl {
                egl: self,
                display,
                context,
            })
        }
    }
}

struct OfEgl {
    egl: &'static Egl,
    display: Handle,
    context: Handle,
}

impl Context for OfEgl {
    fn address(&self, name: &CStr) -> *const c_void {
        // SAFETY: the name ends with a zero.
        unsafe { (self.egl.address)(name.as_ptr()) }
    }
}

impl Drop for OfEgl {
    fn drop(&mut self) {
        // SAFETY: the context was made on this display; displays are kept, since other threads may use the same one.
        unsafe {
            (self.egl.make_current)(self.display, null_mut(), null_mut(), null_mut());
            (self.egl.destroy)(self.display, self.context);
        }
    }
}
