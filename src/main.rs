//! The program: says on the command line what to do, and does it.

use std::process::ExitCode;

use clap::Parser;
use guestlist::cli::Cli;

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
