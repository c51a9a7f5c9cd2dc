//! Programs that this one starts: each in a process group of its own, none outliving it, and none taking itself for a rank of this one's launcher.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

pub use illume_core::forget_launcher;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group, set_parent_process_death_signal};

/// Variables of batch systems begin so. An mpirun that sees them starts its ranks on the nodes of the job, in their order, wherever it runs itself.
const JOBS: [&str; 4] = ["SLURM_", "PBS_", "LSB_", "PE_HOSTFILE"];

/// By which Open MPI 4 and 5 are told not to bind ranks to cores.
const BINDING: [&str; 2] = [
    "OMPI_MCA_hwloc_base_binding_policy",
    "PRTE_MCA_hwloc_default_binding_policy",
];

/// Makes a command's process group its own, so that signals to this one's group pass it by, and has it sent SIGTERM when the thread that starts it
/// ends, however that happens.
pub fn bind(command: &mut Command) {
    command.process_group(0);
    let die_with_parent = || set_parent_process_death_signal(Some(Signal::TERM)).map_err(io::Error::from);
    // SAFETY: between fork and exec only a system call is made, which allocates nothing and takes no lock.
    unsafe { command.pre_exec(die_with_parent) };
}

/// Makes of a command, an mpirun, one that starts its ranks on this node, whatever job this process belongs to, and leaves them all cores that this
/// process has: of several beside one another each would bind its ranks to the same ones. A binding that the user has asked for stays.
pub fn keep_here(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|text| JOBS.iter().any(|start| text.starts_with(start)))
        {
            command.env_remove(&name);
        }
    }
    for name in BINDING {
        if std::env::var_os(name).is_none() {
            command.env(name, "none");
        }
    }
}

/// Waits until one of these can be read or is closed, or for so long.
///
/// # Errors
/// One of them is not open, or `limit` is beyond 2^63 seconds.
pub fn wait_readable(these: &[BorrowedFd<'_>], limit: Duration) -> io::Result<()> {
    let mut these: Vec<PollFd<'_>> = these
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
    match poll(&mut these, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Has reading from this return at once where there is nothing to read.
///
/// # Errors
/// It cannot be.
pub fn never_wait(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(fd, true)?)
}

/// Sends SIGTERM to a program started with [`bind`] and all that it started.
pub fn terminate(pid: u32) {
    signal(pid, Signal::TERM);
}

/// Sends SIGKILL to the same.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: u32, signal: Signal) {
    // It may be gone.
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_program_ends_with_the_thread_that_started_it() {
        let mut child = std::thread::spawn(|| {
            let mut command = Command::new("sleep");
            command.arg("100");
            bind(&mut command);
            command.spawn().unwrap()
        })
        .join()
        .unwrap();
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn signals_reach_all_that_a_program_started() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 100; true"]);
        bind(&mut command);
        let mut child = command.spawn().unwrap();
        terminate(child.id());
        assert!(!child.wait().unwrap().success());
        kill(child.id());
    }
}
