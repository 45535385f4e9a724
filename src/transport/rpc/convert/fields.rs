//! Collects what is wrong with a message, so that all of it is told at once.
//!
//! The bounds of lists and texts are those that the `.proto` files state; a test over
//! the descriptors sends more than each.

use std::fmt::Display;
use std::str::FromStr;

use crate::domain::{EmailAddress, Invalid, PageSize, Timestamp};
use crate::error::{Error, Result, Violations};
use crate::proto::guestlist::v1::PageRequest;

/// Characters of a page token.
pub const MAX_TOKEN: usize = 4096;

/// The wrong fields found so far.
#[derive(Debug, Default)]
pub struct Fields(Violations);

impl Fields {
    /// Notes a wrong field.
    pub fn wrong(&mut self, field: impl Display, description: impl Into<String>) {
        self.0.add(field, description);
    }

    /// Keeps a value, or notes why there is none.
    pub fn keep<T>(&mut self, field: impl Display, value: Result<T, Invalid>) -> Option<T> {
        value.map_err(|why| self.wrong(field, why.0)).ok()
    }

    /// Reads a text into its type.
    pub fn parse<T: FromStr<Err = Invalid>>(
        &mut self,
        field: impl Display,
        text: &str,
    ) -> Option<T> {
        self.keep(field, text.parse())
    }

    /// The same, where an empty text stands for none.
    pub fn parse_optional<T: FromStr<Err = Invalid>>(
        &mut self,
        field: impl Display,
        text: &str,
    ) -> Option<T> {
        if text.is_empty() { None } else { self.parse(field, text) }
    }

    /// Whether a list has at most so many entries; a longer one is not looked at.
    pub fn count<T>(&mut self, field: impl Display, entries: &[T], most: usize) -> bool {
        let fits = entries.len() <= most;
        if !fits {
            self.wrong(field, format!("must have at most {most} entries"));
        }
        fits
    }

    /// Reads a list of texts; an empty one gives an empty list.
    pub fn parse_all<T: FromStr<Err = Invalid>>(
        &mut self,
        field: &str,
        texts: &[String],
        most: usize,
    ) -> Vec<T> {
        if !self.count(field, texts, most) {
            return Vec::new();
        }
        let parse = |(i, text): (usize, &String)| self.parse(format_args!("{field}[{i}]"), text);
        texts.iter().enumerate().filter_map(parse).collect()
    }

    /// Reads a list of enum numbers, each once. `read` answers nothing for numbers that
    /// are not taken, which are `expected` to be something else.
    pub fn enums<T: PartialEq>(
        &mut self,
        field: &str,
        numbers: &[i32],
        most: usize,
        expected: &'static str,
        read: impl Fn(i32) -> Option<T>,
    ) -> Vec<T> {
        let mut values = Vec::new();
        if !self.count(field, numbers, most) {
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

    /// Checks a free text: its length in characters, and that it has no U+0000, which
    /// PostgreSQL does not store.
    pub fn text(&mut self, field: impl Display, text: &str, most: usize) {
        if text.contains('\0') {
            self.wrong(field, "must not contain U+0000");
        } else if text.len() > most && text.chars().count() > most {
            self.wrong(field, format!("must have at most {most} characters"));
        }
    }

    /// An address to look for, normalised; what is no address is nobody's.
    pub fn address_filter(&mut self, field: &str, text: &str) -> Option<String> {
        self.text(field, text, 320);
        let normalised: Result<EmailAddress, Invalid> = text.parse();
        (!text.is_empty())
            .then(|| normalised.map_or_else(|_| text.to_owned(), |email| email.to_string()))
    }

    /// Reads a moment.
    pub fn timestamp(&mut self, field: &str, at: prost_types::Timestamp) -> Option<Timestamp> {
        let seconds = Timestamp::FIRST.as_seconds()..=Timestamp::LAST.as_seconds();
        let seconds_ok = seconds.contains(&at.seconds);
        if !seconds_ok || !(0..1_000_000_000).contains(&at.nanos) {
            self.wrong(field, "must be a moment between the years 1 and 9999");
            return None;
        }
        Some(Timestamp::from_micros(at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000))
    }

    /// Reads a page of one of our own lists.
    pub fn page(&mut self, page: Option<PageRequest>) -> Option<(PageSize, String)> {
        let page = page.unwrap_or_default();
        self.text("page.page_token", &page.page_token, MAX_TOKEN);
        let size = self.keep("page.page_size", PageSize::from_request(page.page_size))?;
        Some((size, page.page_token))
    }

    /// The input, if nothing was wrong.
    pub fn finish<T>(self, input: impl FnOnce() -> Option<T>) -> Result<T> {
        if !self.0.is_empty() {
            return Err(Error::violations(self.0));
        }
        // A part can only be missing with a violation noted.
        input().ok_or_else(|| Error::internal("an input was incomplete without a violation"))
    }
}
