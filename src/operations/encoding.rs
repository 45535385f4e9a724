//! A stable encoding of what a request asks for.
//!
//! Page tokens are bound to it, and the fingerprints of remembered requests are
//! hashes of it. Both outlive the process: the next release must compute the same
//! bytes, or it refuses the pages and retries of the release before it. So the
//! encoding depends on no name of a type or field, only on the calls below and
//! their order, and a test holds its bytes.
//!
//! A new field is appended, and only where it is set: a request without it keeps
//! its bytes.

use uuid::Uuid;

use crate::domain::Timestamp;

/// The first byte of every encoding. Another number means another layout.
const VERSION: u8 = 1;

/// Bytes that stand for the values added to it, in their order. No two different
/// sequences of values of the same types have the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding(Vec<u8>);

impl Encoding {
    /// No values yet. `name` says what is encoded: an RPC's name, say.
    pub fn new(name: &str) -> Self {
        Self(vec![VERSION]).text(name)
    }

    /// Adds a text: its length in bytes (8, big-endian), and its UTF-8.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.length(text.len()).raw(text.as_bytes())
    }

    /// Adds an id: its 16 bytes.
    #[must_use]
    pub fn id(self, id: impl Into<Uuid>) -> Self {
        self.raw(id.into().as_bytes())
    }

    /// Adds a number: 8 bytes, big-endian, two's complement.
    #[must_use]
    pub fn number(self, number: i64) -> Self {
        self.raw(&number.to_be_bytes())
    }

    /// Adds a time, as its microseconds.
    #[must_use]
    pub fn time(self, time: Timestamp) -> Self {
        self.number(time.as_micros())
    }

    /// Adds a flag: a byte, 0 or 1.
    #[must_use]
    pub fn flag(self, flag: bool) -> Self {
        self.raw(&[u8::from(flag)])
    }

    /// Adds a value that may be absent: a flag, and the value where it is there.
    #[must_use]
    pub fn option<T>(self, value: Option<T>, add: impl FnOnce(Self, T) -> Self) -> Self {
        let encoding = self.flag(value.is_some());
        match value {
            Some(value) => add(encoding, value),
            None => encoding,
        }
    }

    /// Adds a list: its length (8 bytes, big-endian), and its values.
    #[must_use]
    pub fn list<T>(self, values: &[T], add: impl Fn(Self, &T) -> Self) -> Self {
        values.iter().fold(self.length(values.len()), add)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn length(self, length: usize) -> Self {
        self.raw(&u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes())
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p47_the_bytes_never_change() {
        let id = Uuid::from_u128(0x0197_a2b4_5c6d_7e8f_9a0b_1c2d_3e4f_5a6b);
        let encoding = Encoding::new("List")
            .id(id)
            .text("é")
            .number(-2)
            .time(Timestamp::from_micros(1_700_000_000_000_000))
            .flag(true)
            .option(Some("x"), Encoding::text)
            .option(None, Encoding::text)
            .list(&["a", "bc"], |encoding, text| encoding.text(text));
        assert_eq!(
            hex::encode(encoding.as_bytes()),
            concat!(
                "01",
                "00000000000000044c697374",
                "0197a2b45c6d7e8f9a0b1c2d3e4f5a6b",
                "0000000000000002c3a9",
                "fffffffffffffffe",
                "00060a24181e4000",
                "01",
                "01000000000000000178",
                "00",
                "0000000000000002000000000000000161",
                "00000000000000026263",
            )
        );
    }

    #[test]
    fn values_do_not_run_into_each_other() {
        let of = |texts: [&str; 2]| Encoding::new("x").text(texts[0]).text(texts[1]);
        assert_ne!(of(["ab", "c"]), of(["a", "bc"]));
        let lists = |one: &[&str], other: &[&str]| {
            let add = |encoding: Encoding, text: &&str| encoding.text(text);
            Encoding::new("x").list(one, add).list(other, add)
        };
        assert_ne!(lists(&["a"], &[]), lists(&[], &["a"]));
    }
}
