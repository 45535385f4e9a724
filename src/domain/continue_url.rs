//! The page to which a person continues after joining.

use std::fmt;
use std::str::FromStr;

use super::Invalid;

const MAX_CHARS: usize = 512;

/// A URL of printable ASCII characters, at most 512.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContinueUrl(String);

/// The origins that a [`ContinueUrl`] may have, each like `https://app.acme.com`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContinueOrigins(Vec<String>);

impl ContinueUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContinueUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.len() > MAX_CHARS && text.chars().count() > MAX_CHARS {
            return Err(Invalid("must have at most 512 characters"));
        }
        // Browsers ignore line ends and tabs in a URL, and read `\` as `/`.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(Invalid(
                "must be a URL of printable ASCII characters without spaces and backslashes",
            ));
        }
        if !text.starts_with("https://") && !text.starts_with("http://") {
            return Err(Invalid("must begin with https:// or http://"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ContinueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ContinueOrigins {
    /// The origins must be in the form in which browsers send them.
    pub fn new(origins: Vec<String>) -> Self {
        Self(origins)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a URL has one of the origins: it begins with the same text, and its host and port
    /// end there.
    pub fn allow(&self, url: &ContinueUrl) -> bool {
        self.0.iter().any(|origin| {
            let rest = url.0.strip_prefix(origin.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_must_have_exactly_an_allowed_origin() {
        let origins = ["https://app.acme.com", "http://localhost:3000"];
        let origins = ContinueOrigins::new(origins.map(str::to_owned).into());
        for good in [
            "https://app.acme.com",
            "https://app.acme.com/welcome?to=x#y",
            "https://app.acme.com?x",
            "https://app.acme.com#x",
            "http://localhost:3000/",
        ] {
            assert!(origins.allow(&good.parse().unwrap()), "{good}");
        }
        for other in [
            "https://app.acme.com.evil.com/",
            "https://app.acme.com@evil.com/",
            "https://app.acme.com:8443/",
            "https://app.acme.com%2eevil.com/",
            "https://user@app.acme.com/",
            "https://APP.acme.com/",
            "http://app.acme.com/",
            "https://evil.com/https://app.acme.com/",
            "http://localhost:30001/",
        ] {
            assert!(!origins.allow(&other.parse().unwrap()), "{other}");
        }
        assert!(!ContinueOrigins::default().allow(&"https://app.acme.com".parse().unwrap()));
        for wrong in [
            "",
            "app.acme.com",
            "javascript:alert(1)",
            "https://app.acme.com\\@evil.com",
            "https://app.acme.com/\n",
            "https://app.acme.com/ä",
            &format!("https://app.acme.com/{}", "x".repeat(512)),
        ] {
            assert!(wrong.parse::<ContinueUrl>().is_err(), "{wrong:?}");
        }
    }
}
