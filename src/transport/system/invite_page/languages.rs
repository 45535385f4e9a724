//! The texts of the pages: one file for each language.

use http::{HeaderMap, header};

/// Language tag and texts. The first one is for everybody whose language is missing.
const LANGUAGES: [(&str, &str); 7] = [
    ("en", include_str!("languages/en.json")),
    ("de", include_str!("languages/de.json")),
    ("fr", include_str!("languages/fr.json")),
    ("es", include_str!("languages/es.json")),
    ("pt", include_str!("languages/pt.json")),
    ("ja", include_str!("languages/ja.json")),
    ("zh", include_str!("languages/zh.json")),
];

/// The module with the texts in the best language that the request accepts.
pub(super) fn module(headers: &HeaderMap) -> String {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let (language, texts) = choose(accepted.unwrap_or_default());
    format!("export const language = \"{language}\";\nexport const texts = {texts};\n")
}

/// The language with the greatest weight (RFC 9110 §12.5.4), compared by its primary subtag.
fn choose(accepted: &str) -> (&'static str, &'static str) {
    let mut best: Option<(f32, (&str, &str))> = None;
    for range in accepted.split(',').take(32) {
        let mut parts = range.split(';').map(str::trim);
        let tag = parts.next().unwrap_or_default();
        let primary = tag.split('-').next().unwrap_or(tag);
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
        let known = LANGUAGES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(primary));
        if let (Some(known), Ok(weight)) = (known, weight)
            && weight > best.map_or(0.0, |(most, _)| most)
        {
            best = Some((weight, known));
        }
    }
    best.map_or(LANGUAGES[0], |(_, language)| language)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    type Texts = BTreeMap<String, String>;

    fn texts(json: &str) -> Texts {
        serde_json::from_str(json).unwrap()
    }

    /// The values in a text, such as `{name}`.
    fn values(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0).collect()
    }

    #[test]
    fn no_language_lacks_a_text_or_a_value_of_one() {
        let english = texts(LANGUAGES[0].1);
        for (language, json) in LANGUAGES {
            let texts = texts(json);
            for (name, text) in &english {
                // Languages without a plural have one form.
                let Some(translated) = texts.get(name) else {
                    assert!(name.ends_with(".one"), "{language} lacks {name}");
                    continue;
                };
                assert!(!translated.trim().is_empty(), "{language} {name}");
                assert_eq!(values(translated), values(text), "{language} {name}");
            }
            let unknown = texts.keys().find(|name| !english.contains_key(*name));
            assert_eq!(unknown, None, "{language} has a text that English lacks");
        }
    }

    #[test]
    fn the_pages_name_texts_that_exist_and_no_text_is_left_over() {
        let english = texts(LANGUAGES[0].1);
        let sources = [
            include_str!("invite.html"),
            include_str!("sign-in.html"),
            include_str!("invite.js"),
            include_str!("sign-in-return.js"),
        ];
        let quoted: BTreeSet<_> =
            sources.iter().flat_map(|source| source.split('"').skip(1).step_by(2)).collect();
        for name in english.keys() {
            let name = name.split('.').next().unwrap();
            assert!(quoted.contains(name), "no page has {name}");
        }
        for source in sources {
            for rest in source.split("data-text=\"").chain(source.split("text(\"")).skip(1) {
                let name = rest.split('"').next().unwrap();
                let is_name = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
                let known = ["", ".other"]
                    .iter()
                    .any(|form| english.contains_key(&format!("{name}{form}")));
                assert!(!is_name || known, "no language has {name}");
            }
        }
    }

    #[test]
    fn the_language_is_the_one_that_a_browser_likes_most() {
        for (accepted, language) in [
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
            assert_eq!(choose(accepted).0, language, "{accepted}");
        }
    }

    #[test]
    fn the_module_is_a_module_with_its_language() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, "es-MX".parse().unwrap());
        assert!(module(&headers).starts_with("export const language = \"es\";\nexport const"));
    }
}
