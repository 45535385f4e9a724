//! The languages of our pages and mails.

use serde::Deserialize;

use super::text_enum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    En,
    De,
    Fr,
    Es,
    Pt,
    Ja,
    Zh,
}

text_enum! {
    Language, "must be one of en, de, fr, es, pt, ja and zh":
        En = "en", De = "de", Fr = "fr", Es = "es", Pt = "pt", Ja = "ja", Zh = "zh";
}

impl Language {
    /// The language of a tag such as `pt-BR`, by its first subtag.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or(tag);
        Self::ALL.into_iter().find(|language| language.as_str().eq_ignore_ascii_case(primary))
    }
}
