//! One emulator of the Arcade Learning Environment, behind functions that cannot be misused.
//!
//! The C++ side is `shim.cpp`. This is the only file with `unsafe` code about it.

use std::ffi::{CStr, CString, c_char};
use std::path::Path;

use illume_core::{Error, Result};

/// Bytes of an Atari 2600's memory.
pub const RAM: usize = 128;
/// The action that does nothing, by ALE's numbers.
pub const NOOP: i32 = 0;
/// The action that presses the button alone.
pub const FIRE: i32 = 1;
/// ALE's actions of one joystick: numbers below this.
pub const ACTIONS: i32 = 18;

/// What ALE says of a game.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Pixels of a row of the screen.
    pub width: usize,
    pub height: usize,
    /// The actions that make a difference in this game, by ALE's numbers.
    pub minimal: Vec<i32>,
    /// All actions of the joystick.
    pub legal: Vec<i32>,
    /// Red, green and blue of each value that a pixel may have.
    pub palette: Vec<[u8; 3]>,
}

/// What some frames brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Outcome {
    /// Points, as the game counts them.
    pub reward: i64,
    /// Frames that were emulated: fewer than asked for if the game is over.
    pub frames: u32,
    pub lives: i32,
    /// The game is over.
    pub over: bool,
}

#[repr(C)]
struct Handle {
    _private: [u8; 0],
}

#[repr(C)]
struct RawFacts {
    width: usize,
    height: usize,
    minimal_count: usize,
    legal_count: usize,
    minimal: [i32; 32],
    legal: [i32; 32],
    palette: [u32; 256],
}

#[repr(C)]
struct View {
    newest: *const u8,
    previous: *const u8,
    ram: *const u8,
}

unsafe extern "C" {
    fn illume_ale_open(rom: *const c_char, error: *mut c_char, length: usize) -> *mut Handle;
    fn illume_ale_close(emulator: *mut Handle);
    fn illume_ale_describe(emulator: *mut Handle, facts: *mut RawFacts, error: *mut c_char, length: usize) -> bool;
    fn illume_ale_restart(emulator: *mut Handle, error: *mut c_char, length: usize) -> bool;
    fn illume_ale_act(
        emulator: *mut Handle,
        actions: *const i32,
        count: usize,
        outcome: *mut Outcome,
        error: *mut c_char,
        length: usize,
    ) -> bool;
    fn illume_ale_look(emulator: *mut Handle, view: *mut View);
    fn illume_ale_version() -> *const c_char;
}

/// An emulator with a game in it, as ALE's own environments have it after their first reset; sticky actions are off.
#[derive(Debug)]
pub struct Ale {
    /// Made by `illume_ale_open`, owned by this alone, closed by `drop`.
    handle: *mut Handle,
    facts: Facts,
}

// SAFETY: an emulator holds no data of its thread: every object that it uses is its own, but for tables that ALE fills once
// (`std::call_once`) and what `illume_ale_open` guards by a lock. It is not Sync: its methods change it without any lock.
unsafe impl Send for Ale {}

/// Texts that C++ writes.
struct Text([u8; 512]);

impl Text {
    fn new() -> Text {
        Text([0; 512])
    }

    fn place(&mut self) -> (*mut c_char, usize) {
        (self.0.as_mut_ptr().cast(), self.0.len())
    }

    fn said(&self) -> String {
        CStr::from_bytes_until_nul(&self.0).map_or_else(|_| String::new(), |text| text.to_string_lossy().into_owned())
    }
}

impl Ale {
    /// Loads a ROM.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or holds no game that ALE knows.
    pub fn open(rom: &Path) -> Result<Ale> {
        let shown = rom.display();
        let path = CString::new(rom.as_os_str().as_encoded_bytes())
            .map_err(|_| Error::input(format!("{shown}: no file has such a name")))?;
        let mut text = Text::new();
        let (error, length) = text.place();
        // SAFETY: both pointers are of memory that lives until the call returns, of the length stated.
        let handle = unsafe { illume_ale_open(path.as_ptr(), error, length) };
        if handle.is_null() {
            return Err(Error::input(format!(
                "{shown}: {}; `tools/setup atari` fetches the games",
                text.said()
            )));
        }
        let facts = Facts {
            width: 0,
            height: 0,
            minimal: Vec::new(),
            legal: Vec::new(),
            palette: Vec::new(),
        };
        let mut ale = Ale { handle, facts };
        ale.facts = ale.describe()?;
        Ok(ale)
    }

    fn describe(&mut self) -> Result<Facts> {
        let mut raw = RawFacts {
            width: 0,
            height: 0,
            minimal_count: 0,
            legal_count: 0,
            minimal: [0; 32],
            legal: [0; 32],
            palette: [0; 256],
        };
        let mut text = Text::new();
        let (error, length) = text.place();
        // SAFETY: the handle is open; the other pointers are of memory that lives until the call returns.
        if !unsafe { illume_ale_describe(self.handle, &raw mut raw, error, length) } {
            return Err(Error::failed(format!("ALE failed: {}", text.said())));
        }
        let rgb = |c: &u32| [(c >> 16) as u8, (c >> 8) as u8, *c as u8];
        Ok(Facts {
            width: raw.width,
            height: raw.height,
            minimal: raw.minimal[..raw.minimal_count].to_vec(),
            legal: raw.legal[..raw.legal_count].to_vec(),
            palette: raw.palette.iter().map(rgb).collect(),
        })
    }

    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Back to the state in which [`Ale::open`] left the game, whatever was played since.
    ///
    /// # Errors
    /// ALE failed.
    pub fn restart(&mut self) -> Result<()> {
        let mut text = Text::new();
        let (error, length) = text.place();
        // SAFETY: the handle is open, and `&mut self` keeps others away; the text lives until the call returns.
        match unsafe { illume_ale_restart(self.handle, error, length) } {
            true => Ok(()),
            false => Err(Error::failed(format!("ALE failed: {}", text.said()))),
        }
    }

    /// Plays a frame under each of these actions, until the game is over; a game that is over stays so.
    ///
    /// # Errors
    /// ALE failed.
    ///
    /// # Panics
    /// There is no such action.
    pub fn act(&mut self, actions: &[i32]) -> Result<Outcome> {
        assert!(
            actions.iter().all(|a| (0..ACTIONS).contains(a)),
            "an action of no joystick: {actions:?}"
        );
        let (mut outcome, mut text) = (Outcome::default(), Text::new());
        let (error, length) = text.place();
        let (first, count) = (actions.as_ptr(), actions.len());
        // SAFETY: the handle is open, and `&mut self` keeps others away; `first` is of `count` actions; all live until the call returns.
        match unsafe { illume_ale_act(self.handle, first, count, &raw mut outcome, error, length) } {
            true => Ok(outcome),
            false => Err(Error::failed(format!("ALE failed: {}", text.said()))),
        }
    }

    fn view(&self) -> View {
        let mut view = View {
            newest: std::ptr::null(),
            previous: std::ptr::null(),
            ram: std::ptr::null(),
        };
        // SAFETY: the handle is open. The call reads alone, and the type is not Sync, so that nothing changes the emulator meanwhile.
        unsafe { illume_ale_look(self.handle, &raw mut view) };
        view
    }

    /// The last raw frame and the one before, `[height, width]` each: numbers of the palette.
    pub fn frames(&self) -> [&[u8]; 2] {
        let view = self.view();
        let pixels = self.facts.width * self.facts.height;
        // SAFETY: ALE's two frame buffers have room for 300 rows of 160 pixels, more than any screen's width x height, live as long as
        // the emulator, and are written by `restart` and `act` alone, which take `&mut self`.
        unsafe {
            [
                std::slice::from_raw_parts(view.newest, pixels),
                std::slice::from_raw_parts(view.previous, pixels),
            ]
        }
    }

    /// The console's memory.
    pub fn ram(&self) -> &[u8; RAM] {
        // SAFETY: ALE's copy of the memory is an array of 128 bytes within the emulator; it changes as the frames do.
        unsafe { &*self.view().ram.cast::<[u8; RAM]>() }
    }
}

impl Drop for Ale {
    fn drop(&mut self) {
        // SAFETY: made by `illume_ale_open`, and closed here alone.
        unsafe { illume_ale_close(self.handle) };
    }
}

/// The version of the Arcade Learning Environment that this program is linked with.
pub fn version() -> String {
    // SAFETY: a text that is part of the program.
    unsafe { CStr::from_ptr(illume_ale_version()) }
        .to_string_lossy()
        .into_owned()
}
