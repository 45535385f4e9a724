//! Finds the network of the client: the network of the peer or, if the peer is a trusted proxy, the
//! one that it reports.

use std::net::IpAddr;

use http::HeaderMap;

use super::forwarded;
use crate::domain::Network;
use crate::transport::Request;
use crate::transport::peer::Peer;

pub struct ClientNetwork {
    trusted: Vec<Network>,
}

impl ClientNetwork {
    /// Trusts the reports of these proxies only.
    pub fn new(trusted: Vec<Network>) -> Self {
        Self { trusted }
    }

    /// The address nearest to the server that is not a trusted proxy.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let reported = [forwarded::x_forwarded_for(headers), forwarded::forwarded(headers)];
        let mut clients = reported
            .into_iter()
            .filter(|hops| !hops.is_empty())
            .map(|hops| self.nearest_untrusted(peer, &hops));
        match (clients.next(), clients.next()) {
            (Some(client), None) => client,
            (Some(one), Some(other)) if one == other => one,
            // A proxy maintains one of the headers and passes the other on as the client sent it.
            // If they differ, neither is trusted.
            _ => peer,
        }
    }

    /// Each proxy appends the address of its own peer, so the search starts at the end and
    /// continues while the hop that reports an address is trusted.
    fn nearest_untrusted(&self, peer: IpAddr, hops: &[Option<IpAddr>]) -> IpAddr {
        let mut nearest = peer;
        for hop in hops.iter().rev() {
            let Some(address) = hop else { break };
            nearest = *address;
            if !self.trusts(nearest) {
                break;
            }
        }
        nearest
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Inserts the [`Network`] of the client into the extensions of a request with a known peer.
    pub fn mark(&self, request: &mut Request) {
        if let Some(peer) = request.extensions().get::<Peer>() {
            let client = self.client(peer.address.ip(), request.headers());
            request.extensions_mut().insert(Network::of(client));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    const PROXY: &str = "10.0.0.1";

    fn client(trusted: &[&str], peer: &str, headers: &[(&str, &str)]) -> String {
        let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        ClientNetwork::new(trusted).client(peer.parse().unwrap(), &map).to_string()
    }

    fn behind_proxy(headers: &[(&str, &str)]) -> String {
        client(&["10.0.0.0/8", "fd00::/8"], PROXY, headers)
    }

    #[test]
    fn reports_of_untrusted_peers_are_ignored() {
        let lies = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")];
        assert_eq!(client(&[], "203.0.113.9", &lies), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "203.0.113.9", &lies), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "11.0.0.1", &lies), "11.0.0.1");
    }

    #[test]
    fn the_last_untrusted_address_is_the_client() {
        let xff = |value| behind_proxy(&[("x-forwarded-for", value)]);
        assert_eq!(xff("192.0.2.1"), "192.0.2.1");
        assert_eq!(xff("6.6.6.6, 192.0.2.1"), "192.0.2.1", "the client itself sent the first");
        assert_eq!(xff("6.6.6.6, 192.0.2.1, 10.0.0.7"), "192.0.2.1", "two proxies");
        assert_eq!(xff("2001:db8::1,fd00::2"), "2001:db8::1");
        assert_eq!(xff("10.0.0.8, 10.0.0.7"), "10.0.0.8", "a client in a trusted network");
        let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(behind_proxy(&lines), "192.0.2.1", "one line for each proxy");
        assert_eq!(behind_proxy(&[]), PROXY);
    }

    #[test]
    fn the_search_ends_at_a_malformed_hop() {
        let xff = |value| behind_proxy(&[("x-forwarded-for", value)]);
        assert_eq!(xff("192.0.2.1, unknown"), PROXY);
        assert_eq!(xff("192.0.2.1, "), PROXY);
        assert_eq!(xff("192.0.2.1, unknown, 10.0.0.7"), "10.0.0.7");
        let quote = "for=\"6.6.6.6, for=192.0.2.1";
        assert_eq!(behind_proxy(&[("forwarded", quote)]), PROXY, "an unclosed quote");
    }

    #[test]
    fn an_ipv4_mapped_address_is_the_same_proxy() {
        let reported = [("x-forwarded-for", "::ffff:192.0.2.1")];
        assert_eq!(client(&["10.0.0.0/8"], "::ffff:10.0.0.1", &reported), "192.0.2.1");
    }

    #[test]
    fn two_different_headers_are_both_ignored() {
        let reported =
            |forwarded| behind_proxy(&[("x-forwarded-for", "192.0.2.1"), ("forwarded", forwarded)]);
        assert_eq!(reported("for=192.0.2.1;proto=https"), "192.0.2.1");
        assert_eq!(reported("for=6.6.6.6"), PROXY);
        assert_eq!(reported("proto=https"), PROXY);
    }
}
