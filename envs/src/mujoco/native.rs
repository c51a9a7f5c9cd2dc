//! The only calls past `mujoco-rs`'s safe interface: the library's version and its message handler, both process-wide.

use std::sync::Once;

use illume_core::{Error, Result};
use mujoco_rs::mujoco_c::{mj_version, mjVERSION_HEADER};
use mujoco_rs::prelude::{MjLogMessage, MjtLogLevel, set_log_handler};

/// Must come before any other use of MuJoCo: checks the linked library, and takes over its messages. By itself MuJoCo
/// prints warnings, appends them to `MUJOCO_LOG.TXT` in the current folder, and ends the process on an error.
///
/// # Errors
/// The library is of another version than the one its structures were declared for.
pub(super) fn start() -> Result<()> {
    static START: Once = Once::new();
    // SAFETY: every use of MuJoCo in this crate comes after a call of this function, and other callers wait here until the
    // first is done, so no thread uses MuJoCo meanwhile.
    START.call_once(|| unsafe { set_log_handler(on_message) });
    // SAFETY: a pure query.
    let linked = unsafe { mj_version() };
    if linked == mjVERSION_HEADER as i32 {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the libmujoco that was found is {}, this program was built for version number {mjVERSION_HEADER}: run `make setup`, \
         or set MUJOCO_DYNAMIC_LINK_DIR and build again",
        mujoco_rs::mujoco_version()
    )))
}

/// Warnings are counted in the data, where [`super::simulator`] looks for them; an error must not return to the C code, which
/// would go on with broken memory. The panic runs the program's hook (which tells the other ranks) and then aborts.
fn on_message(message: &MjLogMessage) {
    if message.level() == MjtLogLevel::mjLOG_ERROR {
        panic!("MuJoCo failed: {}", message.subject());
    }
}
