//! The URLs that requests may be sent to.

use std::net::IpAddr;

use reqwest::Url;

use super::address::AllowedAddresses;
use crate::domain::Invalid;

/// The maximum characters of a URL.
const MAX_CHARS: usize = 2048;

/// Which URLs an endpoint may have.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// Whether `http`, without TLS, is also allowed.
    pub allow_http: bool,
    pub addresses: AllowedAddresses,
}

impl Targets {
    /// Parses a URL. A host that is an address, in any spelling that a URL may have, must be
    /// allowed; the addresses of a name are checked when a request is sent.
    ///
    /// # Errors
    /// If requests to this URL are not allowed.
    pub fn parse(&self, text: &str) -> Result<Url, Invalid> {
        const WRONG: Invalid = Invalid("must be a URL such as https://example.com/hooks");
        if text.chars().count() > MAX_CHARS {
            return Err(Invalid("must have at most 2048 characters"));
        }
        if text.contains('\0') {
            return Err(Invalid("must not contain U+0000"));
        }
        let url = Url::parse(text).map_err(|_| WRONG)?;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => return Err(Invalid("must begin with https://")),
            _ => return Err(WRONG),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Invalid("must not have a user name or a password"));
        }
        if url.fragment().is_some() {
            return Err(Invalid("must not have a fragment"));
        }
        if url.as_str().len() > MAX_CHARS {
            return Err(Invalid("must have at most 2048 characters, with its own escapes"));
        }
        self.check_literal(&url)?;
        Ok(url)
    }

    /// Checks the host of a URL if it is an address, for which the checks of the resolver do not
    /// run.
    ///
    /// # Errors
    /// If the address is not allowed.
    pub fn check_literal(&self, url: &Url) -> Result<(), Invalid> {
        const FORBIDDEN: Invalid = Invalid("must have a host with a public address");
        match literal(url) {
            Some(address) if !self.addresses.permits(address) => Err(FORBIDDEN),
            _ => Ok(()),
        }
    }
}

/// The host of a URL, if it is an address. The parser has converted all spellings of IPv4
/// addresses, such as octal and hexadecimal numbers, to the usual one.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_forbidden_address_is_refused() {
        let targets = Targets { allow_http: true, ..Targets::default() };
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "127.0.0.1.",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0x7F.0x0.0x0.0x1",
            "017700000001",
            "0177.0.0.1",
            "0177.0x0.0.01",
            "127.0.0.0x1",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "①②⑦.⓪.⓪.①",
            "127。0。0。1",
            "0",
            "0.0.0.0",
            "00",
            "0x0",
            "10.0.0.1",
            "167772161",
            "012.1",
            "192.168.1",
            "172.16.0.1",
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "0251.0376.0251.0376",
            "168.63.129.16",
            "[::]",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::FFFF:0a00:0001]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:7f00:1::]",
            "[2002:a9fe:a9fe::1]",
            "[2001:0:a00:1::f7f7:f7f7]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[fc00::1]",
            "[ff02::1]",
        ] {
            for url in [format!("http://{host}/"), format!("https://{host}:8443/hooks")] {
                assert!(targets.parse(&url).is_err(), "{url}");
            }
        }
    }

    #[test]
    fn a_url_must_have_tls_and_no_credentials() {
        let targets = Targets::default();
        for url in [
            "https://example.com",
            "https://example.com:8443/hooks?x=1",
            "https://1.1.1.1/",
            "https://[2606:4700:4700::1111]/",
            "https://bücher.example/",
        ] {
            assert!(targets.parse(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "example.com",
            "http://example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://",
            "https://u@example.com",
            "https://u:p@example.com",
            "https://:p@example.com",
            "https://example.com/#x",
            "https://exa mple.com",
            "https://example.com:99999",
            "https://a.example\0",
        ] {
            assert!(targets.parse(url).is_err(), "{url}");
        }
        let open = Targets { allow_http: true, ..Targets::default() };
        assert!(open.parse("http://example.com").is_ok());
        let long = |length: usize| format!("https://example.com/{}", "x".repeat(length - 20));
        assert!(targets.parse(&long(2048)).is_ok());
        assert!(targets.parse(&long(2049)).is_err());
    }
}
