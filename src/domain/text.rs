//! Names that people choose: allowed characters, normalization and comparison.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfkc_quick};

/// The maximal length of a person's name.
const MAX_NAME_CHARS: usize = 256;

/// Whether a name must not contain the character: control characters, line ends, and
/// invisible characters that let one name look like another.
///
/// Forbidden are the bidirectional embeddings, overrides and isolates (UAX #9), which
/// change the text around the name as well, and invisible characters that no script needs.
/// Allowed are the joiners U+200C and U+200D, which Persian, Indic scripts and emoji need,
/// and the marks U+200E, U+200F and U+061C, which bidirectional names need: their effect
/// ends at the next letter, and UTS #55 allows them.
pub fn is_unfit_for_names(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{200b}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// Whether a character that names may contain has no width.
pub fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200c}'..='\u{200f}')
}

/// Whether a character is not visible.
pub fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_zero_width(c)
}

/// A text in composed form (NFC). Most texts are in this form already: stored ones always are.
pub fn composed(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text.into(),
        _ => text.nfc().collect::<String>().into(),
    }
}

/// A text in composed form without compatibility characters (NFKC).
pub fn composed_compatible(text: &str) -> Cow<'_, str> {
    match is_nfkc_quick(text.chars()) {
        IsNormalized::Yes => text.into(),
        _ => text.nfkc().collect::<String>().into(),
    }
}

/// Cleans a person's name for storage and display: removes the characters for which
/// [`is_unfit_for_names`] holds, composes (NFC), trims and cuts to 256 characters. Returns
/// an empty text if no character is visible.
pub fn person_name(text: &str) -> String {
    // Cut before composing, so that a long text is not composed. NFC turns at most three
    // characters into one, so four times the length is enough.
    let fit = text.chars().filter(|c| !is_unfit_for_names(*c)).take(4 * MAX_NAME_CHARS);
    let name: String = fit.nfc().collect();
    if name.chars().all(is_blank) {
        return String::new();
    }
    let cut: String = name.trim().chars().take(MAX_NAME_CHARS).collect();
    cut.trim_end().to_owned()
}

/// The form of a text that searches compare and lists are ordered by: composed (NFC), in lower
/// case. Computed here and not by the database, so that SQLite and PostgreSQL return the same
/// results.
pub fn fold(text: &str) -> String {
    // `to_lowercase` writes a sigma at the end of a word as 'ς', but a search text may end
    // in the middle of a word. Composed again at the end: lower-casing can decompose (`İ`).
    composed(&composed(text).to_lowercase().replace('ς', "σ")).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn p48_a_name_is_compared_without_case_and_composition() {
        for (one, other) in [
            ("José", "jose\u{301}"),
            ("Ἀθήνα", "ἀθήνα"),
            ("ΟΔΟΣ", "οδος"),
            ("ΟΔΟΣ", "οδοσ"),
            ("각", "\u{1100}\u{1161}\u{11a8}"),
            ("STRAẞE", "straße"),
            ("Å", "\u{212b}"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert!(fold("ΟΔΟΣΑ").contains(&fold("ΟΔΟΣ")), "a sigma within a word");
        assert_ne!(fold("jose"), fold("josé"));
    }

    #[test]
    fn p48_misleading_characters_are_removed_from_names_and_joiners_stay() {
        for (given, kept) in [
            ("Ana\u{202e}gpj\u{202c}", "Anagpj"),
            ("\u{2066}Ana\u{2069}\u{200b} B\u{feff}\u{2060}", "Ana B"),
            ("A\0n\na\u{2028}", "Ana"),
            ("jose\u{301}", "jos\u{e9}"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("👩\u{200d}🚀", "👩\u{200d}🚀"),
            ("\u{200f}אנה\u{200f}", "\u{200f}אנה\u{200f}"),
            (" \u{200d}\u{200c}\u{200e} ", ""),
        ] {
            assert_eq!(person_name(given), kept, "{given:?}");
        }
    }

    #[test]
    fn p48_a_name_is_shortened_after_it_is_composed() {
        // Three letters become one.
        let name = person_name(&"\u{1100}\u{1161}\u{11a8}".repeat(MAX_NAME_CHARS + 1));
        assert_eq!(name, "각".repeat(MAX_NAME_CHARS));
    }

    proptest! {
        #[test]
        fn p48_cleaning_a_cleaned_name_changes_nothing(text in "(.|\u{202e}|\u{301}|\u{1d160}|\\PC){0,400}") {
            let name = person_name(&text);
            prop_assert!(name.chars().count() <= MAX_NAME_CHARS);
            prop_assert!(!name.chars().any(is_unfit_for_names));
            prop_assert_eq!(person_name(&name), name.clone());
            prop_assert_eq!(fold(&fold(&name)), fold(&name));
        }

        #[test]
        fn p48_composed_texts_equal_their_unicode_normal_forms(text in "(\\PC|[a-zé]|\u{301}|\u{327}|\u{1d160}|[ﬁＡ각가]){0,40}") {
            let nfc: String = text.nfc().collect();
            let nfkc: String = text.nfkc().collect();
            prop_assert_eq!(composed(&text), nfc);
            prop_assert_eq!(composed_compatible(&text), nfkc);
        }
    }
}
