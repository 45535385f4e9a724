//! The program: says on the command line what to do, and does it.

use std::process::ExitCode;

use clap::Parser;
use guestlist::cli::Cli;
use mimalloc::MiMalloc;

/// A request is many small pieces that one thread takes and another gives back, which
/// costs the system's allocator several times as much.
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
