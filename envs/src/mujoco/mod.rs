//! Tasks in MuJoCo.

use illume_core::TaskEntry;

/// The MuJoCo tasks.
pub fn registry() -> Vec<&'static TaskEntry> {
    vec![]
}
