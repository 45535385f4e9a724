//! Collects what is wrong with a message, so that all of it is told at once.

use std::str::FromStr;

use crate::domain::{Invalid, PageSize, Timestamp};
use crate::error::{Error, Result, Violation};
use crate::proto::guestlist::v1::PageRequest;

/// The wrong fields found so far.
#[derive(Debug, Default)]
pub struct Fields(Vec<Violation>);

impl Fields {
    /// Notes a wrong field.
    pub fn wrong(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation { field: field.into(), description: description.into() });
    }

    /// Keeps a value, or notes why there is none.
    pub fn keep<T>(&mut self, field: &str, value: Result<T, Invalid>) -> Option<T> {
        value.map_err(|why| self.wrong(field, why.0)).ok()
    }

    /// Reads a text into its type.
    pub fn parse<T: FromStr<Err = Invalid>>(&mut self, field: &str, text: &str) -> Option<T> {
        self.keep(field, text.parse())
    }

    /// Reads a list of texts; an empty one gives an empty list.
    pub fn parse_all<T: FromStr<Err = Invalid>>(
        &mut self,
        field: &str,
        texts: &[String],
        most: usize,
    ) -> Vec<T> {
        if texts.len() > most {
            self.wrong(field, format!("must have at most {most} entries"));
            return Vec::new();
        }
        let parse = |(i, text): (usize, &String)| self.parse(&format!("{field}[{i}]"), text);
        texts.iter().enumerate().filter_map(parse).collect()
    }

    /// Bounds a text's length in characters.
    pub fn at_most(&mut self, field: &str, text: &str, most: usize) {
        if text.chars().count() > most {
            self.wrong(field, format!("must have at most {most} characters"));
        }
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
