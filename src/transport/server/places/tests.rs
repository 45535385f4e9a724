use super::*;
use crate::config::Config;

fn admission(max: usize, share: Option<usize>, proxies: &[&str]) -> Admission {
    let mut settings = Config::reference().http;
    settings.max_connections = max;
    settings.max_connections_per_network = share;
    settings.trusted_proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
    Admission::new(&settings, Counters::default())
}

/// As many connections from there as are let in, up to `most`.
fn admitted(admission: &mut Admission, from: &str, most: usize, access: Access) -> Vec<Place> {
    let address = from.parse().unwrap();
    let mut places = Vec::new();
    while places.len() < most
        && let Some((place, given)) = admission.admit(address)
        && given == access
    {
        places.push(place);
    }
    places
}

fn count(admission: &mut Admission, from: &str, access: Access) -> usize {
    admitted(admission, from, 1000, access).len()
}

#[tokio::test]
async fn p41_one_network_has_no_more_than_its_share() {
    let mut full = admission(40, None, &[]);
    let first = admitted(&mut full, "192.0.2.1", 1000, Access::Full);
    assert_eq!(first.len(), 10, "a quarter");
    let _second = admitted(&mut full, "2001:db8:0:1::1", 1000, Access::Full);
    assert_eq!(count(&mut full, "2001:db8:0:1:ffff::2", Access::Full), 0, "the same /64");
    let others = admitted(&mut full, "192.0.2.2", 1000, Access::Full);
    assert_eq!(others.len(), 10, "others still come in");

    // What one gives back it can have again.
    drop(first);
    assert_eq!(count(&mut full, "192.0.2.1", Access::Full), 10);
}

#[tokio::test]
async fn the_share_can_be_set_and_proxies_have_none() {
    let mut set = admission(40, Some(3), &["10.0.0.0/8"]);
    let _some = admitted(&mut set, "192.0.2.1", 1000, Access::Full);
    assert_eq!(_some.len(), 3);
    let _proxied = admitted(&mut set, "10.1.2.3", 1000, Access::Full);
    assert_eq!(_proxied.len(), 37, "all that are left");

    let mut any = admission(40, Some(0), &[]);
    assert_eq!(count(&mut any, "192.0.2.1", Access::Full), 40);
    let mut few = admission(1, None, &[]);
    assert_eq!(count(&mut few, "192.0.2.1", Access::Full), 1);
}

#[tokio::test]
async fn p41_probes_have_places_of_their_own() {
    let mut full = admission(4, Some(0), &[]);
    let _all = admitted(&mut full, "192.0.2.1", 4, Access::Full);
    let first = admitted(&mut full, "192.0.2.1", 1000, Access::Probe);
    assert_eq!(first.len(), PROBES_OF_ONE_NETWORK);
    let mut held = vec![first];
    for network in 2..=4 {
        held.push(admitted(&mut full, &format!("192.0.2.{network}"), 1000, Access::Probe));
    }
    assert_eq!(held.iter().map(Vec::len).sum::<usize>(), PROBES);
    assert!(full.admit("192.0.2.9".parse().unwrap()).is_none(), "closed at once");
    held.clear();
    assert!(full.admit("192.0.2.9".parse().unwrap()).is_some());
}

#[test]
fn a_share_follows_the_connections_there_may_be() {
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
