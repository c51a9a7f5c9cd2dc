//! OpenGL without a display: a context of EGL or of OSMesa, whichever is there. Both libraries are looked for when a picture is first wanted, so that
//! illume starts where neither is.

mod egl;
mod osmesa;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use illume_core::{Error, Result};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

/// The environment variable by which MuJoCo's own programs choose: `egl` or `osmesa` is tried alone, anything else means both.
const CHOICE: &str = "MUJOCO_GL";

/// What MuJoCo's renderer cannot do without: it ends the process where one of these is missing.
const NEEDED: [&str; 2] = ["GL_ARB_framebuffer_object", "GL_ARB_vertex_buffer_object"];

/// A kind of context: its name, and how one is made current in the calling thread.
type Way = (&'static str, fn() -> std::result::Result<Current, String>);

const WAYS: [Way; 2] = [("egl", egl::open), ("osmesa", osmesa::open)];

/// A context that is current in the thread that opened it, where it must be dropped, too.
pub(super) struct Current {
    _context: Box<dyn Context>,
    /// Largest width and height of a picture.
    pub most: usize,
    /// Which library draws, and with what: `EGL, llvmpipe (LLVM 15.0.6, 256 bits)`.
    pub name: String,
}

/// Ends with being dropped.
trait Context {
    /// Address of an OpenGL function; null if there is none.
    fn address(&self, name: &CStr) -> *const c_void;
}

impl Current {
    /// A context of the first library that gives one. MuJoCo takes OpenGL's functions once in a process, so the library stays the same.
    ///
    /// # Errors
    /// None of them does; the sentence says what was tried, in order, and what came of it.
    pub fn open() -> Result<Current> {
        static USED: OnceLock<&str> = OnceLock::new();
        let choice = std::env::var(CHOICE).unwrap_or_default().to_lowercase();
        let chosen = WAYS.iter().any(|(name, _)| *name == choice);
        let mut failed = Vec::new();
        for (name, open) in WAYS {
            if (chosen && name != choice) || USED.get().is_some_and(|used| *used != name) {
                continue;
            }
            match open() {
                Ok(current) if *USED.get_or_init(|| name) == name => return Ok(current),
                Ok(_) => failed.push("this process draws by the other library already".into()),
                Err(why) => failed.push(why),
            }
        }
        let asked = if chosen {
            format!(" ({CHOICE}={choice})")
        } else {
            String::new()
        };
        Err(Error::input(format!(
            "robots cannot be drawn here{asked}: {}; install libosmesa6, or libegl1 with a driver (`make setup` does, as root on Debian)",
            failed.join("; ")
        )))
    }

    /// A context that was just made current, if MuJoCo can draw with it.
    fn check(context: Box<dyn Context>, library: &str) -> std::result::Result<Current, String> {
        const VENDOR_RENDERER: c_uint = 0x1F01;
        const EXTENSIONS: c_uint = 0x1F03;
        const MAX_RENDERBUFFER_SIZE: c_uint = 0x84E8;
        let (get_string, get_integer) = (context.address(c"glGetString"), context.address(c"glGetIntegerv"));
        if get_string.is_null() || get_integer.is_null() {
            return Err(format!("{library} gives no OpenGL"));
        }
        // SAFETY: these are the types of the two functions in every OpenGL, and a context is current.
        let (get_string, get_integer) = unsafe {
            (
                std::mem::transmute::<*const c_void, extern "C" fn(c_uint) -> *const c_char>(get_string),
                std::mem::transmute::<*const c_void, extern "C" fn(c_uint, *mut c_int)>(get_integer),
            )
        };
        // SAFETY: OpenGL's strings end with a zero and live as long as the context.
        let text = |name| unsafe { text(get_string(name)) }.unwrap_or_default();
        let extensions = text(EXTENSIONS);
        if let Some(missing) = NEEDED
            .iter()
            .find(|needed| !extensions.split(' ').any(|e| e == **needed))
        {
            return Err(format!("{library}'s OpenGL is too old ({missing} is missing)"));
        }
        let mut most = 0;
        get_integer(MAX_RENDERBUFFER_SIZE, &raw mut most);
        let name = format!("{library}, {}", text(VENDOR_RENDERER));
        Ok(Current {
            _context: context,
            most: usize::try_from(most).unwrap_or(0),
            name,
        })
    }
}

/// A string of C.
///
/// # Safety
/// It is null or ends with a zero.
unsafe fn text(string: *const c_char) -> Option<String> {
    // SAFETY: not null, and the caller says that it ends.
    (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned())
}

/// The first of these libraries that is there.
fn load(names: &[&str]) -> std::result::Result<Library, String> {
    let mut why = String::new();
    for name in names {
        // SAFETY: these are the system's libraries of OpenGL by name; their initializers are trusted like those of libraries that are linked.
        match unsafe { Library::open(Some(name), RTLD_NOW | RTLD_LOCAL) } {
            Ok(library) => return Ok(library),
            Err(e) if why.is_empty() => why = e.to_string(),
            Err(_) => {}
        }
    }
    Err(why)
}

/// MuJoCo asks the libraries that everyone in the process can see for OpenGL's functions: this makes one of them such a library, which stays loaded.
fn publish(names: &[&str]) {
    for name in names {
        // SAFETY: it is loaded already.
        if let Ok(library) = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) } {
            std::mem::forget(library);
            return;
        }
    }
}

/// A function of a library.
///
/// # Safety
/// `F` is its type.
unsafe fn function<F: Copy>(library: &Library, name: &str) -> std::result::Result<F, String> {
    // SAFETY: the caller says that this is its type, and whoever keeps the function keeps the library beside it.
    unsafe { library.get::<F>(name.as_bytes()) }
        .map(|f| *f)
        .map_err(|e| e.to_string())
}
