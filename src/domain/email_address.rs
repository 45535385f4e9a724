//! Mail addresses in normal form: two spellings of one address are equal texts.

use std::fmt;
use std::str::FromStr;

use super::text::composed_compatible;
use super::{EmailDomain, Invalid};

/// A mail address: trimmed, NFKC, lower case, with an A-label domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress {
    text: String,
    at: usize,
}

const WRONG: Invalid =
    Invalid("must be a mail address such as ana@acme.com, of at most 320 characters");

impl EmailAddress {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        &self.text[..self.at]
    }

    /// `None` if mail cannot be routed to the domain on the internet (`admin@localhost`).
    pub fn domain(&self) -> Option<EmailDomain> {
        self.text[self.at + 1..].parse().ok()
    }
}

impl FromStr for EmailAddress {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // Checked first, so that a long text is not normalised.
        if text.len() > 4 * 320 {
            return Err(WRONG);
        }
        let text = composed_compatible(text.trim()).to_lowercase();
        // Composed again: lower-casing can decompose (`İ`).
        let text = composed_compatible(&text);
        let (local, domain) = text.rsplit_once('@').ok_or(WRONG)?;
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| WRONG)?;
        let normal = format!("{local}@{domain}");

        let clean = |c: char| !c.is_control() && !c.is_whitespace() && !is_invisible(c);
        let quoted = local.contains('"') || local.contains('\\');
        if normal.chars().count() > 320
            || !normal.chars().all(clean)
            || quoted
            || !email_address::EmailAddress::is_valid(&normal)
        {
            return Err(WRONG);
        }
        Ok(Self { at: local.len(), text: normal })
    }
}

/// Zero-width characters and those that change the text direction: two different addresses
/// could look alike with them. Unlike a name, an address needs none of them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(text: &str) -> String {
        text.parse::<EmailAddress>().unwrap_or_else(|_| panic!("{text:?}")).as_str().to_owned()
    }

    #[test]
    fn p24_addresses_are_compared_normalised() {
        for same in ["ana@acme.com", " Ana@Acme.COM ", "ＡＮＡ@acme.com", "\tana@ACME.com\n"] {
            assert_eq!(normal(same), "ana@acme.com");
        }
        assert_eq!(normal("ana@bücher.example"), "ana@xn--bcher-kva.example");
    }

    #[test]
    fn p24_control_and_invisible_characters_are_refused() {
        for text in [
            "ana\0@acme.com",
            "ana\r\nbcc@acme.com",
            "an\u{200b}a@acme.com",
            "ana@ac\u{7}me.com",
            "a na@acme.com",
            "\u{202e}ana@acme.com",
            "",
            "@",
            "ana",
            "ana@",
            "@acme.com",
            "ana@@acme.com",
            "\"a b\"@acme.com",
            "a@b@acme.com",
            "ana <ana@acme.com>",
        ] {
            assert!(text.parse::<EmailAddress>().is_err(), "{text:?}");
        }
        let long = format!("{}@acme.com", "a".repeat(400));
        assert!(long.parse::<EmailAddress>().is_err());
    }

    #[test]
    fn p24_the_length_limit_applies_to_the_normalised_address() {
        // Each of these letters has four bytes and becomes a letter of one byte.
        let wide = |local: usize| {
            let label = "𝐚".repeat(63);
            format!("{}@{label}.{label}.{label}.{}", "𝐚".repeat(local), "𝐚".repeat(61))
        };
        assert_eq!(normal(&wide(64)).len(), 64 + "@".len() + 253);
        assert_eq!(wide(65).parse::<EmailAddress>(), Err(WRONG));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC{0,12}@\\PC{1,8}\\.[a-z]{2,4}") {
            if let Ok(address) = text.parse::<EmailAddress>() {
                prop_assert_eq!(address.as_str().parse::<EmailAddress>(), Ok(address.clone()));
            }
        }

        #[test]
        fn ordinary_addresses_are_accepted(local in "[a-z0-9][a-z0-9._+-]{0,20}[a-z0-9]", domain in "[a-z]{2,12}\\.(com|org|example)") {
            prop_assume!(!local.contains(".."));
            let text = format!("{local}@{domain}");
            let address: EmailAddress = text.to_uppercase().parse().unwrap();
            prop_assert_eq!(address.as_str(), text.as_str());
            prop_assert_eq!(address.domain(), domain.parse().ok());
        }
    }
}
