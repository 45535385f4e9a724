//! The phrases of the built-in mails: one file for each language.

use std::collections::BTreeMap;

use minijinja::{HtmlEscape, Value};

use crate::domain::{Language, Role};
use crate::error::{Error, Result};

/// The file with a language's phrases, in JSON.
pub(super) const fn file(language: Language) -> &'static str {
    match language {
        Language::En => include_str!("languages/en.json"),
        Language::De => include_str!("languages/de.json"),
        Language::Fr => include_str!("languages/fr.json"),
        Language::Es => include_str!("languages/es.json"),
        Language::Pt => include_str!("languages/pt.json"),
        Language::Ja => include_str!("languages/ja.json"),
        Language::Zh => include_str!("languages/zh.json"),
    }
}

/// Phrases by their names. `{x}` in a phrase is replaced by the value `x`.
pub(super) struct Phrases(BTreeMap<String, String>);

/// A value for phrases, and how it is shown.
#[derive(Clone, Copy)]
pub(super) struct Insert<'a> {
    pub name: &'static str,
    pub value: &'a str,
    /// Whether it is bold in HTML.
    pub bold: bool,
}

impl Phrases {
    pub(super) fn of(language: Language) -> Result<Self> {
        serde_json::from_str(file(language)).map(Self).map_err(Error::internal)
    }

    /// The name of a role.
    pub(super) fn role(&self, role: Role) -> &str {
        self.0.get(&format!("role_{}", role.as_str())).map_or(role.as_str(), String::as_str)
    }

    /// All phrases as text.
    pub(super) fn text(&self, inserts: &[Insert<'_>]) -> Value {
        let filled = |phrase| fill(phrase, inserts, |insert| insert.value.to_owned());
        Value::from_pairs(self.0.iter().map(|(name, phrase)| (name.as_str(), filled(phrase))))
    }

    /// All phrases as HTML.
    pub(super) fn html(&self, inserts: &[Insert<'_>]) -> Value {
        let filled = |phrase| {
            let escaped = HtmlEscape(phrase).to_string();
            let filled = fill(&escaped, inserts, |insert| match insert.bold {
                true => format!("<strong>{}</strong>", HtmlEscape(insert.value)),
                false => HtmlEscape(insert.value).to_string(),
            });
            Value::from_safe_string(filled)
        };
        Value::from_pairs(self.0.iter().map(|(name, phrase)| (name.as_str(), filled(phrase))))
    }
}

/// Replaces each `{name}` once: a value is never searched for further names.
pub(super) fn fill(
    phrase: &str,
    inserts: &[Insert<'_>],
    shown: impl Fn(&Insert<'_>) -> String,
) -> String {
    let mut filled = String::with_capacity(phrase.len() + 64);
    let mut rest = phrase;
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    {
        filled.push_str(before);
        if let Some(insert) = inserts.iter().find(|insert| insert.name == name) {
            filled.push_str(&shown(insert));
        }
        rest = after;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn values(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0).collect()
    }

    #[test]
    fn every_language_has_all_phrases_and_values() {
        let Phrases(english) = Phrases::of(Language::En).unwrap();
        for language in Language::ALL {
            let Phrases(phrases) = Phrases::of(language).unwrap();
            let tag = language.as_str();
            assert!(phrases.keys().eq(english.keys()), "{tag}");
            for (name, phrase) in &phrases {
                assert!(!phrase.trim().is_empty(), "{tag} {name}");
                assert_eq!(values(phrase), values(&english[name]), "{tag} {name}");
            }
            for role in Role::ALL {
                assert!(phrases.contains_key(&format!("role_{}", role.as_str())), "{tag} {role}");
            }
        }
    }

    #[test]
    fn values_are_not_expanded_and_are_escaped_in_html() {
        let name = |value| Insert { name: "name", value, bold: true };
        let shown = |insert: &Insert<'_>| insert.value.to_owned();
        assert_eq!(fill("Hi {name}, {name}!", &[name("{name}")], shown), "Hi {name}, {name}!");
        let phrases = Phrases(BTreeMap::from([("hi".to_owned(), "Hi & {name}".to_owned())]));
        let html = phrases.html(&[name("<b>")]).get_attr("hi").unwrap();
        assert_eq!(html.to_string(), "Hi &amp; <strong>&lt;b&gt;</strong>");
    }
}
