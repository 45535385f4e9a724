//! The addresses that requests may be sent to.
//!
//! An admin of an organization chooses the URL that the server sends to, so the address must not be
//! one that only the server can reach.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use crate::domain::Network;

/// Global unicast addresses, and the networks of a setting.
#[derive(Debug, Clone, Default)]
pub struct AllowedAddresses {
    /// Networks that are allowed although they are not global.
    pub networks: Vec<Network>,
}

/// The networks that are not global unicast by IANA's registry of special-purpose IPv4 addresses,
/// with the address blocks of multicast and of class E.
const SPECIAL_V4: [&str; 15] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// The block of global unicast addresses; all others are special.
const GLOBAL_V6: &str = "2000::/3";

/// The networks inside that block that are not global unicast, by IANA's registry of
/// special-purpose IPv6 addresses. An address that contains an IPv4 address is replaced by it
/// before this check.
const SPECIAL_V6: [&str; 3] = ["2001::/23", "2001:db8::/32", "3fff::/20"];

/// Addresses of cloud providers' metadata services, which give credentials to every process of a
/// machine. They are never allowed, even if an allowed network contains them.
const METADATA: [&str; 9] = [
    // AWS, Azure, Google Cloud, Oracle and others; ECS; EKS; Scaleway; Tencent.
    "169.254.0.0/16",
    // OpenStack.
    "fe80::a9fe:a9fe",
    // AWS.
    "fd00:ec2::/64",
    // Google Cloud.
    "fd20:ce::254",
    // Scaleway.
    "fd00:42::42",
    // Alibaba Cloud.
    "100.100.100.200",
    // Oracle Cloud.
    "192.0.0.192",
    // Azure.
    "168.63.129.16",
    // Azure, in IPv6.
    "2603:1062:0:fe:fe80:1234:5678:9abc",
];

static V4: LazyLock<Vec<Network>> = LazyLock::new(|| parse(&SPECIAL_V4));
static GLOBAL: LazyLock<Vec<Network>> = LazyLock::new(|| parse(&[GLOBAL_V6]));
static V6: LazyLock<Vec<Network>> = LazyLock::new(|| parse(&SPECIAL_V6));
static NEVER: LazyLock<Vec<Network>> = LazyLock::new(|| parse(&METADATA));

fn parse(networks: &[&str]) -> Vec<Network> {
    networks.iter().map(|text| text.parse().expect("a network")).collect()
}

fn is_in(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

impl AllowedAddresses {
    /// Whether requests may be sent to an address, and to the addresses that it contains.
    pub fn permits(&self, address: IpAddr) -> bool {
        inside(address).into_iter().flatten().all(|address| self.permits_one(address))
    }

    fn permits_one(&self, address: IpAddr) -> bool {
        !is_in(&NEVER, address) && (is_global(address) || is_in(&self.networks, address))
    }
}

fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => !is_in(&V4, address),
        IpAddr::V6(_) => is_in(&GLOBAL, address) && !is_in(&V6, address),
    }
}

/// The addresses that a packet to this address may reach. An IPv4-mapped, NAT64 (RFC 6052) or 6to4
/// (RFC 3056) address contains one IPv4 address, and a Teredo address (RFC 4380) contains two. Any
/// other address reaches only itself.
fn inside(address: IpAddr) -> [Option<IpAddr>; 2] {
    let IpAddr::V6(v6) = address.to_canonical() else {
        return [Some(address.to_canonical()), None];
    };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => [Some(v4(high, low)), None],
        [0x2002, high, low, ..] => [Some(v4(high, low)), None],
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            [Some(v4(high, low)), Some(v4(!client_high, !client_low))]
        }
        _ => [Some(IpAddr::V6(v6)), None],
    }
}

fn v4(high: u16, low: u16) -> IpAddr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d).into()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    /// None of these addresses is allowed by default.
    const FORBIDDEN: [&str; 46] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "100.100.100.200",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001:db8::1",
        "2001:0:a00:1::f7f7:f7f7",
        "2001:0:808:808::80ff:fffe",
        "2002:7f00:1::1",
        "2002:c0a8:1::1",
        "3fff::1",
        "fc00::1",
        "fe80::a9fe:a9fe",
        "ff02::1",
    ];

    fn allowed(networks: &[&str]) -> AllowedAddresses {
        AllowedAddresses { networks: parse(networks) }
    }

    fn permits(by: &AllowedAddresses, address: &str) -> bool {
        by.permits(address.parse().unwrap())
    }

    #[test]
    fn only_global_unicast_addresses_are_allowed() {
        let none = allowed(&[]);
        for address in FORBIDDEN {
            assert!(!permits(&none, address), "{address}");
        }
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "198.17.255.255",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(permits(&none, address), "{address}");
        }
    }

    #[test]
    fn allowed_networks_are_open_except_for_metadata_addresses() {
        let inner = allowed(&["10.0.0.0/8", "fd00::/8", "127.0.0.1"]);
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "fd12::1", "127.0.0.1"] {
            assert!(permits(&inner, address), "{address}");
        }
        for address in ["192.168.0.1", "127.0.0.2", "::1", "fd00:ec2::254", "fd20:ce::254"] {
            assert!(!permits(&inner, address), "{address}");
        }
        let all = allowed(&["0.0.0.0/0", "::/0"]);
        for metadata in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "168.63.129.16",
            "fd00:ec2::254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "fe80::a9fe:a9fe",
            "100.100.100.200",
        ] {
            assert!(!permits(&all, metadata), "{metadata}");
        }
        assert!(permits(&all, "192.168.0.1") && permits(&all, "::1"));
    }

    #[test]
    fn both_addresses_inside_a_teredo_address_are_checked() {
        let none = allowed(&[]);
        let teredo = |server: [u16; 2], client: [u16; 2]| {
            let [a, b] = client.map(|half| !half);
            Ipv6Addr::new(0x2001, 0, server[0], server[1], 0, 0, a, b).into()
        };
        let (public, private) = ([0x0101, 0x0101], [0x0a00, 0x0001]);
        assert!(none.permits(teredo(public, public)));
        assert!(!none.permits(teredo(private, public)));
        assert!(!none.permits(teredo(public, private)));
    }
}
