//! A stable binary encoding of request parameters.
//!
//! Page tokens are bound to it, and stored requests are compared by its hash. Both outlive
//! the process: if the next release computed other bytes, it would reject the page tokens
//! and the retries of clients that the previous release served. The encoding therefore
//! depends on no name of a Rust type or field, only on the calls below and their order. A
//! test pins its bytes.
//!
//! Append a new field only if it is set, so that requests without it keep their bytes.

use uuid::Uuid;

use crate::domain::Timestamp;

/// The first byte of every encoding; another layout needs another number.
const VERSION: u8 = 1;

/// Different sequences of values of the same types always have different bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding(Vec<u8>);

impl Encoding {
    /// `name`: the operation or list, usually the RPC's name.
    pub fn new(name: &str) -> Self {
        Self(vec![VERSION]).text(name)
    }

    /// Adds a text: its length in bytes (8 bytes, big-endian), then its UTF-8.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.length(text.len()).raw(text.as_bytes())
    }

    /// Adds an id: 16 bytes.
    #[must_use]
    pub fn id(self, id: impl Into<Uuid>) -> Self {
        self.raw(id.into().as_bytes())
    }

    /// Adds a number: 8 bytes, big-endian, two's complement.
    #[must_use]
    pub fn number(self, number: i64) -> Self {
        self.raw(&number.to_be_bytes())
    }

    /// Adds a time: its microseconds as a number.
    #[must_use]
    pub fn time(self, time: Timestamp) -> Self {
        self.number(time.as_micros())
    }

    /// Adds a flag: one byte, 0 or 1.
    #[must_use]
    pub fn flag(self, flag: bool) -> Self {
        self.raw(&[u8::from(flag)])
    }

    /// Adds an optional value: a flag, then the value if present.
    #[must_use]
    pub fn option<T>(self, value: Option<T>, add: impl FnOnce(Self, T) -> Self) -> Self {
        let encoding = self.flag(value.is_some());
        match value {
            Some(value) => add(encoding, value),
            None => encoding,
        }
    }

    /// Adds a list: its length (8 bytes, big-endian), then its values.
    #[must_use]
    pub fn list<T>(self, values: &[T], add: impl Fn(Self, &T) -> Self) -> Self {
        values.iter().fold(self.length(values.len()), add)
    }

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
    fn p47_the_encoded_bytes_never_change() {
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
    fn adjacent_values_are_encoded_unambiguously() {
        let of = |texts: [&str; 2]| Encoding::new("x").text(texts[0]).text(texts[1]);
        assert_ne!(of(["ab", "c"]), of(["a", "bc"]));
        let lists = |one: &[&str], other: &[&str]| {
            let add = |encoding: Encoding, text: &&str| encoding.text(text);
            Encoding::new("x").list(one, add).list(other, add)
        };
        assert_ne!(lists(&["a"], &[]), lists(&[], &["a"]));
    }
}
