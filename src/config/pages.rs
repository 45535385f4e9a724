use std::path::PathBuf;

use serde::Deserialize;

use super::links::web_address;
use super::problems::Problems;
use crate::domain::{Color, Language};

/// `[pages]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Pages {
    pub name: String,
    /// The language for browsers that accept none of the languages of the pages.
    pub language: Language,
    pub logo: Option<PathBuf>,
    pub accent_color: Option<Color>,
    pub imprint_url: Option<String>,
}

pub(super) fn check(pages: &Pages, problems: &mut Problems) {
    let name = &pages.name;
    if name.trim().is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        problems.add("pages.name: must be one line of 1 to 64 characters");
    }
    if let Some(url) = &pages.imprint_url
        && let Err(problem) = web_address(url, &[])
    {
        problems.add(format!("pages.imprint_url: {problem}"));
    }
}
