//! Lists bounded by the size of the response.

use std::io;

use http::StatusCode;
use serde::Serialize;
use tonic::Code;

use super::RestError;

/// The bytes that are reserved for the parts of a response outside its list.
const ENVELOPE_BYTES: usize = 512;

/// Collects the entries of a list up to `http.max_response_bytes`, so that a larger response is
/// never built.
pub struct BoundedList<T> {
    entries: Vec<T>,
    bytes: usize,
    max_bytes: usize,
    instead: &'static str,
}

impl<T: Serialize> BoundedList<T> {
    /// For a response of at most `max_bytes`. `instead` is part of the error message: what the
    /// client can do when the list does not fit.
    pub fn new(max_bytes: usize, instead: &'static str) -> Self {
        Self { entries: Vec::new(), bytes: ENVELOPE_BYTES, max_bytes, instead }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// If the response becomes too large. The status is 400, not 429, which belongs to the code
    /// RESOURCE_EXHAUSTED, and not a 5xx: clients retry those, and a retry gets the same response.
    pub fn add(&mut self, entry: T) -> Result<(), RestError> {
        let mut counter = Counter(0);
        serde_json::to_writer(&mut counter, &entry).map_err(crate::error::Error::internal)?;
        self.bytes = self.bytes.saturating_add(counter.0 + ",".len());
        if self.bytes > self.max_bytes {
            let message = format!(
                "the list is larger than the {} bytes that an answer may have; {}",
                self.max_bytes, self.instead
            );
            return Err(RestError::of_http(
                StatusCode::BAD_REQUEST,
                Code::ResourceExhausted,
                message,
            ));
        }
        self.entries.push(entry);
        Ok(())
    }

    pub fn into_entries(self) -> Vec<T> {
        self.entries
    }
}

/// Counts the bytes written.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p43_a_list_stops_before_its_response_is_too_large() {
        let mut list = BoundedList::new(ENVELOPE_BYTES + 20, "ask for fewer");
        // Five bytes each: two quotation marks, two letters, a comma.
        for _ in 0..4 {
            list.add("ab").unwrap();
        }
        let refusal = list.add("ab").unwrap_err();
        assert_eq!(refusal.http, StatusCode::BAD_REQUEST);
        assert_eq!(refusal.code, Code::ResourceExhausted);
        assert!(refusal.message.ends_with("; ask for fewer"), "{}", refusal.message);
        assert_eq!(refusal.retry_after, None);
        assert_eq!(list.into_entries().len(), 4);
    }
}
