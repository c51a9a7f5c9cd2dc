//! The entry by which configurations name the task of `own_task.rs`.

use illume::core::{Params, TaskEntry, params};

use super::own_task::Path;

// ANCHOR: entry
params! {
    /// Parameters of `path`.
    pub struct PathParams {
        /// Points of the path between its ends.
        points: usize = 11, range(2, 100_000);
    }
}

pub const ENTRY: TaskEntry = TaskEntry {
    name: "path",
    family: &[],
    summary: "the fastest way over hilly ground: fitness its speed, descriptor where it crosses two lines",
    params: PathParams::describe,
    network: false,
    cases: false,
    policy: None,
    // For the tests that walk all tasks.
    small: "[task]\npoints = 5",
    // What `illume new` sets beside the defaults, and by how much genes change there.
    suggested: "[archive]\nshape = [30, 30]",
    gene_scale: 0.1,
    sketch: None,
    build: |config| {
        let params: PathParams = params::read(config.task, "task", &["name"])?;
        Ok(Box::new(Path::new(params.points)))
    },
};
// ANCHOR_END: entry
