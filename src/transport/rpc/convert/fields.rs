//! Collects the violations of a message, so that one error contains all of them.
//!
//! The bounds of lists and texts are those of the `.proto` files. A test exceeds each of them.

use std::fmt::Display;
use std::str::FromStr;

use crate::domain::{EmailAddress, Invalid, PageSize, Timestamp};
use crate::error::{Error, Result, Violations};
use crate::proto::guestlist::v1::PageRequest;

/// The maximum characters of a page token.
pub const MAX_TOKEN: usize = 4096;

/// The violations found so far.
#[derive(Debug, Default)]
pub struct Fields(Violations);

impl Fields {
    pub fn wrong(&mut self, field: impl Display, description: impl Into<String>) {
        self.0.add(field, description);
    }

    /// Returns the value, or adds a violation and returns `None`.
    pub fn keep<T>(&mut self, field: impl Display, value: Result<T, Invalid>) -> Option<T> {
        value.map_err(|why| self.wrong(field, why.0)).ok()
    }

    /// Parses a text.
    pub fn parse<T: FromStr<Err = Invalid>>(
        &mut self,
        field: impl Display,
        text: &str,
    ) -> Option<T> {
        self.keep(field, text.parse())
    }

    /// Parses a text; an empty one is `None`.
    pub fn parse_optional<T: FromStr<Err = Invalid>>(
        &mut self,
        field: impl Display,
        text: &str,
    ) -> Option<T> {
        if text.is_empty() { None } else { self.parse(field, text) }
    }

    /// Whether a list has at most `max` entries. A longer one is a violation, and its entries are
    /// not checked.
    pub fn count<T>(&mut self, field: impl Display, entries: &[T], max: usize) -> bool {
        let fits = entries.len() <= max;
        if !fits {
            self.wrong(field, format!("must have at most {max} entries"));
        }
        fits
    }

    /// Parses a list of texts. If the list is too long, the result is empty.
    pub fn parse_all<T: FromStr<Err = Invalid>>(
        &mut self,
        field: &str,
        texts: &[String],
        max: usize,
    ) -> Vec<T> {
        if !self.count(field, texts, max) {
            return Vec::new();
        }
        let parse = |(i, text): (usize, &String)| self.parse(format_args!("{field}[{i}]"), text);
        texts.iter().enumerate().filter_map(parse).collect()
    }

    /// Converts a list of enum numbers without duplicates. `read` returns `None` for numbers that
    /// are not allowed; `expected` is the error text for those.
    pub fn enums<T: PartialEq>(
        &mut self,
        field: &str,
        numbers: &[i32],
        max: usize,
        expected: &'static str,
        read: impl Fn(i32) -> Option<T>,
    ) -> Vec<T> {
        let mut values = Vec::new();
        if !self.count(field, numbers, max) {
            return values;
        }
        for (i, number) in numbers.iter().enumerate() {
            match read(*number) {
                Some(value) if values.contains(&value) => {}
                Some(value) => values.push(value),
                None => self.wrong(format_args!("{field}[{i}]"), expected),
            }
        }
        values
    }

    /// Checks the length of a free text in characters, and that it has no U+0000, which PostgreSQL
    /// cannot store.
    pub fn text(&mut self, field: impl Display, text: &str, max: usize) {
        if text.contains('\0') {
            self.wrong(field, "must not contain U+0000");
        } else if text.len() > max && text.chars().count() > max {
            self.wrong(field, format!("must have at most {max} characters"));
        }
    }

    /// A normalized address to search for. An invalid address stays as it is and matches nothing.
    pub fn address_filter(&mut self, field: &str, text: &str) -> Option<String> {
        self.text(field, text, 320);
        let normalised: Result<EmailAddress, Invalid> = text.parse();
        (!text.is_empty())
            .then(|| normalised.map_or_else(|_| text.to_owned(), |email| email.to_string()))
    }

    pub fn timestamp(&mut self, field: &str, at: prost_types::Timestamp) -> Option<Timestamp> {
        let seconds = Timestamp::FIRST.as_seconds()..=Timestamp::LAST.as_seconds();
        let seconds_ok = seconds.contains(&at.seconds);
        if !seconds_ok || !(0..1_000_000_000).contains(&at.nanos) {
            self.wrong(field, "must be a moment between the years 1 and 9999");
            return None;
        }
        Some(Timestamp::from_micros(at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000))
    }

    /// The page size and the page token of a list request in `guestlist.v1`.
    pub fn page(&mut self, page: Option<PageRequest>) -> Option<(PageSize, String)> {
        let page = page.unwrap_or_default();
        self.text("page.page_token", &page.page_token, MAX_TOKEN);
        let size = self.keep("page.page_size", PageSize::from_request(page.page_size))?;
        Some((size, page.page_token))
    }

    /// Returns `input()`, or the error with all violations if there are some.
    pub fn finish<T>(self, input: impl FnOnce() -> Option<T>) -> Result<T> {
        if !self.0.is_empty() {
            return Err(Error::violations(self.0));
        }
        // `input` returns `None` only if a part is missing, and then there is a violation.
        input().ok_or_else(|| Error::internal("an input was incomplete without a violation"))
    }
}
