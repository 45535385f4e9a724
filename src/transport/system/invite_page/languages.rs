//! The texts of the pages: one file for each language.

use http::{HeaderMap, header};

/// Language tag and texts. The first one is for everybody whose language is missing.
const LANGUAGES: [(&str, &str); 1] = [("en", include_str!("languages/en.json"))];

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
