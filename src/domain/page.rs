//! Page sizes of lists.

use super::Invalid;

/// The greatest number of entries on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u64);

impl PageSize {
    /// The `page_size` of a request; 0 means the default, 25.
    ///
    /// # Errors
    /// If `size` is negative or above 100.
    pub fn from_request(size: i32) -> Result<Self, Invalid> {
        match u64::try_from(size) {
            Ok(0) => Ok(Self(25)),
            Ok(size @ 1..=100) => Ok(Self(size)),
            _ => Err(Invalid("must be between 0 and 100")),
        }
    }

    /// Without the bound of [`PageSize::from_request`].
    pub const fn of(size: u64) -> Self {
        Self(size)
    }

    pub const fn get(self) -> u64 {
        self.0
    }
}
