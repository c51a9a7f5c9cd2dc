//! The program; what it can do is in `illume::commands`. Exit codes: 0 done, 2 wrong input, 75 stopped by a signal with a checkpoint written or
//! kept out by another process (try again later), 1 anything else.

use std::process::ExitCode;

fn main() -> ExitCode {
    illume::cluster::abort_on_panic();
    illume::cluster::threads::pin_libraries();
    ExitCode::from(illume::commands::main(std::env::args_os().collect()))
}
