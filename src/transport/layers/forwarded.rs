//! The addresses that proxies report, the nearest hop last; `None` for a hop without an address.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName, header};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The hops in `X-Forwarded-For`.
pub fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    hops(headers, &X_FORWARDED_FOR, |line| line.split(',').map(address).collect())
}

/// The hops in `Forwarded` (RFC 7239).
pub fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    hops(headers, &header::FORWARDED, |line| {
        split_unquoted(line, ',').into_iter().map(|hop| address(parameter_for(hop)?)).collect()
    })
}

fn hops(
    headers: &HeaderMap,
    name: &HeaderName,
    of_line: impl Fn(&str) -> Vec<Option<IpAddr>>,
) -> Vec<Option<IpAddr>> {
    let lines = headers.get_all(name).iter();
    lines.flat_map(|line| line.to_str().map_or_else(|_| vec![None], &of_line)).collect()
}

/// The `for` parameter of one hop.
fn parameter_for(hop: &str) -> Option<&str> {
    split_unquoted(hop, ';').into_iter().find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim();
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        name.trim().eq_ignore_ascii_case("for").then_some(unquoted.unwrap_or(value))
    })
}

/// Splits at the separators that are not in quotes.
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let is_separator = |c: char| {
        if escaped {
            escaped = false;
        } else {
            match c {
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                c => return c == separator && !quoted,
            }
        }
        false
    };
    text.split(is_separator).collect()
}

/// An address with or without a port.
fn address(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    let bracketed = || node.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    node.parse::<IpAddr>()
        .ok()
        .or_else(|| node.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| bracketed().map(IpAddr::V6))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hops_in(name: &'static str, lines: &[&str]) -> Vec<Option<String>> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, line.parse().unwrap());
        }
        let hops = match name {
            "forwarded" => forwarded(&headers),
            _ => x_forwarded_for(&headers),
        };
        hops.into_iter().map(|hop| hop.map(|address| address.to_string())).collect()
    }

    fn addresses(addresses: &[&str]) -> Vec<Option<String>> {
        addresses.iter().map(|address| Some((*address).to_owned())).collect()
    }

    #[test]
    fn x_forwarded_for_is_a_list_of_addresses() {
        let one = hops_in("x-forwarded-for", &["192.0.2.1:4711 , [2001:db8::1]:80,2001:db8::2"]);
        assert_eq!(one, addresses(&["192.0.2.1", "2001:db8::1", "2001:db8::2"]));
        let lines = hops_in("x-forwarded-for", &["192.0.2.1", "192.0.2.2"]);
        assert_eq!(lines, addresses(&["192.0.2.1", "192.0.2.2"]));
        assert_eq!(hops_in("x-forwarded-for", &["192.0.2.1,,x"])[1..], [None, None]);
    }

    #[test]
    fn forwarded_parses_as_in_rfc_7239() {
        let examples = [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("by=203.0.113.43; FOR = \"192.0.2.43:8080\" ;host=x", "192.0.2.43"),
            ("host=\"a,b;for=6.6.6.6\";for=192.0.2.43", "192.0.2.43"),
            ("host=\"a\\\",for=6.6.6.6\";for=192.0.2.43", "192.0.2.43"),
        ];
        for (line, address) in examples {
            assert_eq!(hops_in("forwarded", &[line]), addresses(&[address]), "{line}");
        }
        let two = hops_in("forwarded", &["for=192.0.2.43, for=\"[2001:db8:cafe::17]\""]);
        assert_eq!(two, addresses(&["192.0.2.43", "2001:db8:cafe::17"]));
        for hidden in ["for=unknown", "for=_gazonk", "for=\"_SEVKISEK\"", "by=192.0.2.1", ""] {
            assert_eq!(hops_in("forwarded", &[hidden]), [None], "{hidden}");
        }
    }
}
