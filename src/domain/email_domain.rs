//! Mail domains, and the list of public mail providers.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use super::Invalid;

/// A mail domain in ASCII form (A-labels), lower case. Domains are compared as whole
/// texts: a subdomain is a different domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailDomain(String);

/// One domain a line; `#` starts a comment.
static PUBLIC: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    include_str!("public_mail_domains.txt")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
});

impl EmailDomain {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the domain belongs to a provider that gives an address to every person.
    pub fn is_public(&self) -> bool {
        PUBLIC.contains(self.0.as_str())
    }
}

const WRONG: Invalid = Invalid("must be a domain name such as acme.com, of 4 to 253 characters");

impl FromStr for EmailDomain {
    type Err = Invalid;

    /// Follows `invite_domains` of `gitpod.v1`: at least two labels of letters, digits and
    /// inner hyphens, the last one only of letters. Internationalised names and top-level
    /// A-labels are accepted in addition.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        // Checked first, so that a long text is not converted.
        if text.len() > 4 * 253 {
            return Err(WRONG);
        }
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| WRONG)?;
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let (rest, top) = ascii.rsplit_once('.').ok_or(WRONG)?;
        let top_ok = top.len() >= 2
            && (top.bytes().all(|b| b.is_ascii_alphabetic()) || top.starts_with("xn--"));
        if (4..=253).contains(&ascii.len())
            && top_ok
            && label_ok(top)
            && rest.split('.').all(label_ok)
        {
            Ok(Self(ascii))
        } else {
            Err(WRONG)
        }
    }
}

impl fmt::Display for EmailDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p25_domains_match_as_whole_labels() {
        let acme: EmailDomain = "acme.com".parse().unwrap();
        for same in ["ACME.com", "acme.COM"] {
            assert_eq!(same.parse::<EmailDomain>().unwrap(), acme);
        }
        for other in ["evil-acme.com", "acme.com.evil", "eu.acme.com", "acme.co"] {
            assert_ne!(other.parse::<EmailDomain>().unwrap(), acme);
        }
    }

    #[test]
    fn p24_internationalised_names_become_a_labels() {
        let domain: EmailDomain = "BÜCHER.example".parse().unwrap();
        assert_eq!(domain.as_str(), "xn--bcher-kva.example");
        let domain: EmailDomain = "пример.рф".parse().unwrap();
        assert_eq!(domain.as_str(), "xn--e1afmkfd.xn--p1ai");
    }

    #[test]
    fn an_invalid_domain_is_rejected() {
        let long = format!("{}.com", "a".repeat(64));
        for text in [
            "",
            "a",
            "a.b",
            "com",
            ".com",
            "acme.",
            "acme..com",
            "-acme.com",
            "acme-.com",
            "acme.com ",
            "ac me.com",
            "acme.c0m",
            "acme.com/x",
            "*.acme.com",
            "acme_x.com",
            "10.0.0.1",
            "acme.com\n",
            long.as_str(),
        ] {
            assert!(text.parse::<EmailDomain>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn p24_the_length_limit_applies_to_the_a_labels() {
        // Each of these letters has four bytes and becomes a letter of one byte.
        let wide = |top: usize| {
            let label = "𝐚".repeat(63);
            format!("{label}.{label}.{label}.{}", "𝐚".repeat(top))
        };
        let longest: EmailDomain = wide(61).parse().unwrap();
        assert_eq!(longest.as_str().len(), 253);
        assert_eq!(wide(62).parse::<EmailDomain>(), Err(WRONG));
    }

    #[test]
    fn public_providers_are_known_and_every_line_of_the_list_is_a_domain() {
        assert!("gmail.com".parse::<EmailDomain>().unwrap().is_public());
        assert!(!"acme.com".parse::<EmailDomain>().unwrap().is_public());
        for line in PUBLIC.iter() {
            let domain: EmailDomain = line.parse().unwrap_or_else(|_| panic!("{line}"));
            assert_eq!(domain.as_str(), *line, "the list holds A-labels in lower case");
        }
    }
}
