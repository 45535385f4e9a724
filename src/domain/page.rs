//! Pages of lists.

use super::Invalid;

/// How many entries a page may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u64);

impl PageSize {
    /// From a request: 0 means 25, at most 100.
    ///
    /// # Errors
    /// If it is negative or above 100.
    pub fn from_request(size: i32) -> Result<Self, Invalid> {
        match u64::try_from(size) {
            Ok(0) => Ok(Self(25)),
            Ok(size @ 1..=100) => Ok(Self(size)),
            _ => Err(Invalid("must be between 0 and 100")),
        }
    }

    /// At most this many.
    pub const fn of(size: u64) -> Self {
        Self(size)
    }

    /// As a number.
    pub const fn get(self) -> u64 {
        self.0
    }
}
