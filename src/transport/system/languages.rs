//! The language of a page, and the texts in it.

use http::{HeaderMap, header};

use crate::domain::Language;

/// The texts of one page in every language, as JSON.
pub(super) type Texts = [(Language, &'static str); Language::ALL.len()];

/// The files of a folder with one file for each language.
macro_rules! texts {
    ($folder:literal) => {
        [
            ($crate::domain::Language::En, include_str!(concat!($folder, "/en.json"))),
            ($crate::domain::Language::De, include_str!(concat!($folder, "/de.json"))),
            ($crate::domain::Language::Fr, include_str!(concat!($folder, "/fr.json"))),
            ($crate::domain::Language::Es, include_str!(concat!($folder, "/es.json"))),
            ($crate::domain::Language::Pt, include_str!(concat!($folder, "/pt.json"))),
            ($crate::domain::Language::Ja, include_str!(concat!($folder, "/ja.json"))),
            ($crate::domain::Language::Zh, include_str!(concat!($folder, "/zh.json"))),
        ]
    };
}

pub(super) use texts;

/// The language that the request accepts with the greatest weight (RFC 9110 §12.5.4), compared by
/// its primary subtag; `default` if there is none.
pub(super) fn accepted(headers: &HeaderMap, default: Language) -> Language {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let mut best: Option<(f32, Language)> = None;
    for range in accepted.unwrap_or_default().split(',').take(32) {
        let mut parts = range.split(';').map(str::trim);
        let known = parts.next().and_then(Language::of_tag);
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
        if let (Some(known), Ok(weight)) = (known, weight)
            && weight > best.map_or(0.0, |(most, _)| most)
        {
            best = Some((weight, known));
        }
    }
    best.map_or(default, |(_, language)| language)
}

/// The rules for every folder of texts.
#[cfg(test)]
pub(super) mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::{Map, Value};

    use super::*;

    /// The texts of a file by their names; a plural form has the name `NAME.FORM`.
    pub(in super::super) fn flat(json: &str) -> BTreeMap<String, String> {
        let texts: Map<String, Value> = serde_json::from_str(json).unwrap();
        let mut flat = BTreeMap::new();
        for (name, text) in texts {
            match text {
                Value::String(text) => {
                    flat.insert(name, text);
                }
                Value::Object(forms) => flat.extend(forms.into_iter().map(|(form, text)| {
                    (format!("{name}.{form}"), text.as_str().unwrap().to_owned())
                })),
                other => panic!("{name}: {other}"),
            }
        }
        flat
    }

    /// The values in a text, such as `{name}`.
    fn values(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0).collect()
    }

    /// Every language has the texts of English, with the same values, and no other.
    pub(in super::super) fn assert_languages_are_complete(all: &Texts) {
        let english = flat(all[0].1);
        for (language, json) in all {
            let (tag, texts) = (language.as_str(), flat(json));
            // Unicode's CLDR has one plural form for these two languages.
            let has_one_form = matches!(language, Language::Ja | Language::Zh);
            for (name, text) in &english {
                let Some(translated) = texts.get(name) else {
                    assert!(name.ends_with(".one") && has_one_form, "{tag} lacks {name}");
                    continue;
                };
                assert!(!translated.trim().is_empty(), "{tag} {name}");
                assert_eq!(values(translated), values(text), "{tag} {name}");
                assert!(!(name.ends_with(".one") && has_one_form), "{tag} never uses {name}");
            }
            let unknown = texts.keys().find(|name| !english.contains_key(*name));
            assert_eq!(unknown, None, "{tag} has a text that English lacks");
        }
    }

    fn accepting(value: &str, default: Language) -> &'static str {
        let headers = HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, value.parse().unwrap())]);
        accepted(&headers, default).as_str()
    }

    #[test]
    fn the_language_that_the_browser_prefers_is_used() {
        for (value, language) in [
            ("", "en"),
            ("de", "de"),
            ("de-AT,de;q=0.9,en;q=0.8", "de"),
            ("nl, fr-CA;q=0.7, en;q=0.3", "fr"),
            ("en;q=0.1, ja;q=0.9", "ja"),
            ("pt-BR", "pt"),
            ("ZH-Hans-CN", "zh"),
            ("de;q=0, nl", "en"),
            ("de;q=x", "en"),
            ("*", "en"),
        ] {
            assert_eq!(accepting(value, Language::En), language, "{value}");
        }
    }

    #[test]
    fn the_configured_language_is_used_if_no_other_is_supported() {
        for (value, language) in [("nl", "ja"), ("", "ja"), ("nl, fr;q=0.1", "fr")] {
            assert_eq!(accepting(value, Language::Ja), language, "{value}");
        }
        assert_eq!(accepted(&HeaderMap::new(), Language::Es), Language::Es);
    }
}
