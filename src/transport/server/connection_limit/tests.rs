use super::*;
use crate::config::Config;

fn limit(max: usize, share: Option<usize>, proxies: &[&str]) -> ConnectionLimit {
    let mut settings = Config::reference().http;
    settings.max_connections = max;
    settings.max_connections_per_network = share;
    settings.trusted_proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
    ConnectionLimit::new(&settings, Counters::default())
}

/// Opens at most `max` connections from an address, until one does not get `access`.
fn admitted(
    limit: &mut ConnectionLimit,
    from: &str,
    max: usize,
    access: Access,
) -> Vec<FairPermit<Network>> {
    let address = from.parse().unwrap();
    let mut permits = Vec::new();
    while permits.len() < max
        && let Some((permit, given)) = limit.admit(address)
        && given == access
    {
        permits.push(permit);
    }
    permits
}

fn count(limit: &mut ConnectionLimit, from: &str, access: Access) -> usize {
    admitted(limit, from, 1000, access).len()
}

#[tokio::test]
async fn p41_one_network_has_no_more_than_its_share() {
    let mut full = limit(40, None, &[]);
    let first = admitted(&mut full, "192.0.2.1", 1000, Access::Full);
    assert_eq!(first.len(), 10, "a quarter of the total");
    let _second = admitted(&mut full, "2001:db8:0:1::1", 1000, Access::Full);
    assert_eq!(count(&mut full, "2001:db8:0:1:ffff::2", Access::Full), 0, "it is in the same /64");
    let others = admitted(&mut full, "192.0.2.2", 1000, Access::Full);
    assert_eq!(others.len(), 10, "other networks are admitted");

    // A released permit can be used again.
    drop(first);
    assert_eq!(count(&mut full, "192.0.2.1", Access::Full), 10);
}

#[tokio::test]
async fn the_share_is_configurable_and_does_not_apply_to_proxies() {
    let mut set = limit(40, Some(3), &["10.0.0.0/8"]);
    let _some = admitted(&mut set, "192.0.2.1", 1000, Access::Full);
    assert_eq!(_some.len(), 3);
    let _proxied = admitted(&mut set, "10.1.2.3", 1000, Access::Full);
    assert_eq!(_proxied.len(), 37, "all remaining permits");

    let mut any = limit(40, Some(0), &[]);
    assert_eq!(count(&mut any, "192.0.2.1", Access::Full), 40);
    let mut few = limit(1, None, &[]);
    assert_eq!(count(&mut few, "192.0.2.1", Access::Full), 1);
}

#[tokio::test]
async fn p41_probes_have_permits_of_their_own() {
    let mut full = limit(4, Some(0), &[]);
    let _all = admitted(&mut full, "192.0.2.1", 4, Access::Full);
    let first = admitted(&mut full, "192.0.2.1", 1000, Access::Probe);
    assert_eq!(first.len(), MAX_PROBE_CONNECTIONS_PER_NETWORK);
    let mut held = vec![first];
    for network in 2..=4 {
        held.push(admitted(&mut full, &format!("192.0.2.{network}"), 1000, Access::Probe));
    }
    assert_eq!(held.iter().map(Vec::len).sum::<usize>(), MAX_PROBE_CONNECTIONS);
    assert!(full.admit("192.0.2.9".parse().unwrap()).is_none(), "the connection is closed at once");
    held.clear();
    assert!(full.admit("192.0.2.9".parse().unwrap()).is_some());
}

#[test]
fn the_share_follows_the_maximum_of_connections() {
    let mut http = Config::reference().http;
    http.lower_max_connections(400);
    assert_eq!((http.max_connections, http.connections_per_network()), (400, 100));
    http.max_connections_per_network = Some(40);
    http.lower_max_connections(100);
    assert_eq!((http.max_connections, http.connections_per_network()), (100, 10));
    http.max_connections_per_network = Some(0);
    http.lower_max_connections(50);
    assert_eq!(http.connections_per_network(), 50);
}
