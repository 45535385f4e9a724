//! Shows the progress of a command on a terminal.

use std::cell::Cell;
use std::io::{IsTerminal, Write};

use crate::error::{Error, Result};

/// A line on standard error that changes, if standard error is a terminal.
pub(super) struct Progress {
    is_terminal: bool,
    is_begun: Cell<bool>,
}

impl Progress {
    pub fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), is_begun: Cell::new(false) }
    }

    /// Replaces the line.
    ///
    /// # Errors
    /// If standard error is closed.
    pub fn show(&self, text: &str) -> Result<()> {
        if !self.is_terminal {
            return Ok(());
        }
        self.is_begun.set(true);
        // Moves to the beginning of the line, and clears it.
        write(&format!("\r\x1b[K{text}"))
    }

    /// Ends the line.
    ///
    /// # Errors
    /// As `show`.
    pub fn end(&self) -> Result<()> {
        if self.is_begun.take() { write("\n") } else { Ok(()) }
    }
}

fn write(text: &str) -> Result<()> {
    let mut stderr = std::io::stderr().lock();
    let written = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    written.map_err(|why| Error::internal(why).with_message("cannot write to standard error"))
}
