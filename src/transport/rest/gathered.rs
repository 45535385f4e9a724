//! Lists whose length is bounded by the bytes of the answer.

use std::io;

use http::StatusCode;
use serde::Serialize;
use tonic::Code;

use super::Refusal;

/// Bytes that an answer has around its list.
const ENVELOPE: usize = 512;

/// Collects the entries of a list for as long as the answer keeps
/// `http.max_response_bytes`, so that no larger one is ever built.
pub struct Gathered<T> {
    entries: Vec<T>,
    bytes: usize,
    most: usize,
    instead: &'static str,
}

impl<T: Serialize> Gathered<T> {
    /// For an answer of at most `most` bytes. `instead` says what to call where that is
    /// too little.
    pub fn new(most: usize, instead: &'static str) -> Self {
        Self { entries: Vec::new(), bytes: ENVELOPE, most, instead }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// If the answer would be too large. The status is 400: the present state forbids
    /// the call. The code's own status, 429, and all of 5xx would have clients try
    /// again, for the same answer.
    pub fn add(&mut self, entry: T) -> Result<(), Refusal> {
        let mut counter = Counter(0);
        serde_json::to_writer(&mut counter, &entry).map_err(crate::error::Error::internal)?;
        self.bytes = self.bytes.saturating_add(counter.0 + ",".len());
        if self.bytes > self.most {
            let message = format!(
                "the list is larger than the {} bytes that an answer may have; {}",
                self.most, self.instead
            );
            return Err(Refusal::of_http(
                StatusCode::BAD_REQUEST,
                Code::ResourceExhausted,
                message,
            ));
        }
        self.entries.push(entry);
        Ok(())
    }

    /// All of them.
    pub fn into_entries(self) -> Vec<T> {
        self.entries
    }
}

/// Counts what is written.
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
    fn p43_a_list_ends_before_its_answer_is_too_large() {
        let mut gathered = Gathered::new(ENVELOPE + 20, "ask for fewer");
        // Five bytes each: two quotation marks, two letters, a comma.
        for _ in 0..4 {
            gathered.add("ab").unwrap();
        }
        let refusal = gathered.add("ab").unwrap_err();
        assert_eq!(refusal.http, StatusCode::BAD_REQUEST);
        assert_eq!(refusal.code, Code::ResourceExhausted);
        assert!(refusal.message.ends_with("; ask for fewer"), "{}", refusal.message);
        assert_eq!(refusal.retry_after, None);
        assert_eq!(gathered.into_entries().len(), 4);
    }
}
