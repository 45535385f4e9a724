//! IP networks: the origin of a request, and trusted proxies.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv6Net};

use super::Invalid;

/// An IP network in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

/// The smallest IPv6 network that providers assign to one subscriber.
const IPV6_PREFIX_BITS: u8 = 64;

impl Network {
    /// The unit that limits per network count: one IPv4 address, or an IPv6 /64, since a
    /// subscriber can use every address of its /64.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(IpAddr::V4(v4).into()),
            IpAddr::V6(v6) => Self(Ipv6Net::new_assert(v6, IPV6_PREFIX_BITS).trunc().into()),
        }
    }

    /// Whether the address is in the network. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// Parses an address, or a network such as `10.0.0.0/8`.
impl FromStr for Network {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const WRONG: Invalid =
            Invalid("must be an address, or a network such as 10.0.0.0/8 or fd00::/8");
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.to_canonical().into()));
        }
        let network: IpNet = text.parse().map_err(|_| WRONG)?;
        // Bits set beyond the prefix are probably a typo, and an IPv4-mapped network would
        // never match: `contains` compares canonical addresses.
        let exact = network == network.trunc() && network.addr() == network.addr().to_canonical();
        if exact { Ok(Self(network)) } else { Err(WRONG) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Network {
        Network::of(address.parse().unwrap())
    }

    #[test]
    fn a_network_is_one_ipv4_address_or_an_ipv6_prefix_of_64_bits() {
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
    }

    #[test]
    fn a_network_contains_only_its_addresses() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        let has = |text: &str, address: &str| network(text).contains(address.parse().unwrap());
        assert!(has("10.0.0.0/8", "10.255.0.1"));
        assert!(has("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(!has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("192.0.2.1", "192.0.2.1"));
        assert!(!has("192.0.2.1", "192.0.2.2"));
        assert!(has("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(has("fd00::/8", "fd12::1"));
        assert!(!has("::/0", "192.0.2.1"));
        assert!(has("2001:db8::1", "2001:db8::1"), "an address alone, not its /64");
        assert!(!has("2001:db8::1", "2001:db8::2"));
    }

    #[test]
    fn an_invalid_network_is_rejected() {
        for wrong in
            ["", "localhost", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "*", "::ffff:10.0.0.0/104"]
        {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
