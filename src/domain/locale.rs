//! Language tags.

use std::fmt;
use std::str::FromStr;

use super::Invalid;

/// A language tag (BCP 47) of a language, a script, a region and variants, such as `en`,
/// `pt-BR` or `zh-Hant-TW`; extensions and private subtags are not accepted. It is stored in
/// its usual case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Locale(String);

impl Locale {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag, then the same tag with fewer and fewer subtags: the look-up of RFC 4647, section
    /// 3.4.
    pub fn fallbacks(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self.as_str()), |tag| {
            tag.rsplit_once('-').map(|(shorter, _)| shorter)
        })
    }
}

impl FromStr for Locale {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const WRONG: Invalid =
            Invalid("must be a language tag such as en or pt-BR, of at most 35 characters");
        if text.chars().count() > 35 {
            return Err(Invalid("must have at most 35 characters"));
        }
        let mut subtags = text.split('-').peekable();
        let language = subtags.next().filter(|tag| is_language(tag)).ok_or(WRONG)?;
        let mut canonical = language.to_ascii_lowercase();
        if let Some(script) = subtags.next_if(|tag| tag.len() == 4 && is_alphabetic(tag)) {
            let (first, others) = script.split_at(1);
            canonical.push_str(&format!(
                "-{}{}",
                first.to_ascii_uppercase(),
                others.to_ascii_lowercase()
            ));
        }
        if let Some(region) = subtags.next_if(|tag| is_region(tag)) {
            canonical.push_str(&format!("-{}", region.to_ascii_uppercase()));
        }
        let mut variants = Vec::new();
        for variant in subtags {
            let variant = variant.to_ascii_lowercase();
            if !is_variant(&variant) || variants.contains(&variant) {
                return Err(WRONG);
            }
            canonical.push_str(&format!("-{variant}"));
            variants.push(variant);
        }
        Ok(Self(canonical))
    }
}

fn is_alphabetic(tag: &str) -> bool {
    tag.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_language(tag: &str) -> bool {
    matches!(tag.len(), 2 | 3 | 5..=8) && is_alphabetic(tag)
}

fn is_region(tag: &str) -> bool {
    (tag.len() == 2 && is_alphabetic(tag))
        || (tag.len() == 3 && tag.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_variant(tag: &str) -> bool {
    let begins_with_digit = tag.as_bytes().first().is_some_and(u8::is_ascii_digit);
    let fits = matches!(tag.len(), 5..=8) || (tag.len() == 4 && begins_with_digit);
    fits && tag.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bcp_47_tags_are_parsed_in_any_letter_case() {
        for (text, canonical) in [
            ("en", "en"),
            ("PT-br", "pt-BR"),
            ("zh-hant-tw", "zh-Hant-TW"),
            ("es-419", "es-419"),
            ("sl-ROZAJ-biske-1994", "sl-rozaj-biske-1994"),
            ("haw", "haw"),
        ] {
            assert_eq!(text.parse::<Locale>().unwrap().as_str(), canonical);
            assert_eq!(canonical.parse::<Locale>().unwrap().as_str(), canonical);
        }
        for wrong in [
            "",
            "e",
            "english language",
            "en_US",
            "en-",
            "-en",
            "en--US",
            "en-US-US",
            "12",
            "abcd",
            "../en",
            "en/../x",
            "en\0",
            "é",
            "en-u-ca-buddhist",
            "x-private",
            "de-1901-1901",
            "sl-rozaj-biske-1994-nedis-solba-lipaw",
        ] {
            assert!(wrong.parse::<Locale>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn fallbacks_go_from_the_whole_tag_to_the_language() {
        let locale: Locale = "zh-Hant-TW".parse().unwrap();
        assert_eq!(locale.fallbacks().collect::<Vec<_>>(), ["zh-Hant-TW", "zh-Hant", "zh"]);
    }
}
