//! The `guestlist` program.

use std::process::ExitCode;

use clap::Parser;
use guestlist::cli::Cli;
use mimalloc::MiMalloc;

/// A request allocates many small buffers on one thread and frees them on another. The
/// system's allocator needs several times as much CPU time for that.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in failure.to_string().lines() {
                eprintln!("guestlist: {line}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}
