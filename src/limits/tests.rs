use uuid::Uuid;

use super::*;
use crate::clock::OffsetClock;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn limits(settings: config::Limits) -> (Limits, OffsetClock) {
    let clock = OffsetClock::default();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    (Limits::new(&settings, &shared), clock)
}

const NONE: config::Limits = config::Limits {
    organizations_per_account: 0,
    invites_per_account: 0,
    invites_per_organization: 0,
    invites_per_address: 0,
    previews_per_account: 0,
    previews_per_network: 0,
    joins_per_account: 0,
    joins_per_network: 0,
    sign_ins_per_network: 0,
    lists_per_organization: 0,
};

fn account(number: u128) -> AccountId {
    Uuid::from_u128(number).into()
}

fn organization(number: u128) -> OrganizationId {
    Uuid::from_u128(number).into()
}

fn network(address: &str) -> Option<Network> {
    Some(Network::of(address.parse().unwrap()))
}

fn addresses(texts: &[&str]) -> std::vec::IntoIter<EmailAddress> {
    texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>().into_iter()
}

/// Counts links, which have no addresses.
fn links(limits: &Limits, by: u128, to: u128, number: usize) -> Result<()> {
    limits.invites(account(by), organization(to), number, std::iter::empty())
}

#[track_caller]
fn wait(result: Result<()>) -> Duration {
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.reason), (Kind::ResourceExhausted, reason::RATE_LIMITED));
    error.retry_after.expect("the error has a retry time")
}

#[test]
fn a_limit_of_0_limits_nothing() {
    let (limits, _) = limits(NONE);
    for _ in 0..10 {
        links(&limits, 1, 1, 1_000_000).unwrap();
        limits.preview(Some(account(1)), network("192.0.2.1")).unwrap();
        limits.join(account(1), network("192.0.2.1")).unwrap();
    }
    assert_eq!(limits.tracked_keys(), 0);
}

#[test]
fn a_retry_after_the_given_wait_succeeds() {
    let (limits, clock) = limits(config::Limits { joins_per_account: 2, ..NONE });
    let join = || limits.join(account(1), None);
    join().unwrap();
    join().unwrap();
    let retry_after = wait(join());
    assert!(
        retry_after > Duration::from_secs(25) && retry_after <= Duration::from_secs(31),
        "{retry_after:?}"
    );
    clock.advance(retry_after / 2);
    assert!(wait(join()) < retry_after);
    clock.advance(retry_after / 2);
    join().unwrap();
    wait(join());
    limits.join(account(2), None).unwrap();
}

#[test]
fn organizations_are_counted_by_account() {
    let (limits, clock) = limits(config::Limits { organizations_per_account: 2, ..NONE });
    let create = |by: u128| limits.organization(account(by));
    create(1).unwrap();
    create(1).unwrap();
    let retry_after = wait(create(1));
    create(2).unwrap();
    clock.advance(retry_after);
    create(1).unwrap();
    wait(create(1));
}

#[test]
fn the_default_limits_allow_one_full_request_but_not_two() {
    let (limits, _) = limits(config::Config::reference().limits);
    links(&limits, 1, 1, 1000).unwrap();
    wait(links(&limits, 1, 1, 100));
    // The limit of the account also applies in another organization: 5,000 mails take hours.
    assert!(wait(links(&limits, 1, 2, 1000)) > HOUR / 2);
    links(&limits, 2, 1, 1000).unwrap();
    wait(links(&limits, 3, 1, 1000));
}

#[test]
fn the_whole_limit_may_be_used_at_once_but_never_exceeded() {
    let (limits, clock) = limits(config::Limits { invites_per_account: 10, ..NONE });
    let error = links(&limits, 1, 1, 11).unwrap_err();
    assert_eq!((error.reason, error.retry_after), (reason::RATE_LIMITED, None));
    links(&limits, 1, 1, 10).unwrap();
    wait(links(&limits, 1, 1, 1));
    clock.advance(HOUR);
    links(&limits, 1, 1, 10).unwrap();
    links(&limits, 1, 1, 0).unwrap();
}

#[test]
fn a_rejected_request_is_not_counted() {
    let settings = config::Limits {
        invites_per_account: 10,
        invites_per_organization: 4,
        invites_per_address: 1,
        ..NONE
    };
    let (limits, _) = limits(settings);
    let invite = |to: u128, texts: &[&str]| {
        limits.invites(account(1), organization(to), texts.len(), addresses(texts))
    };
    invite(1, &["a@example.com"]).unwrap();
    for _ in 0..20 {
        // The last address is over its limit, so nothing is counted for the other addresses,
        // the account and the organization.
        wait(invite(1, &["b@example.com", "c@example.com", "a@example.com"]));
    }
    invite(1, &["b@example.com", "c@example.com", "d@example.com"]).unwrap();
    wait(invite(1, &["e@example.com"]));
    invite(2, &["e@example.com", "f@example.com"]).unwrap();
    wait(invite(2, &["a@example.com"]));
}

#[test]
fn the_error_gives_the_longest_wait() {
    let settings = config::Limits { invites_per_account: 2, invites_per_organization: 1, ..NONE };
    let (limits, clock) = limits(settings);
    links(&limits, 1, 1, 1).unwrap();
    links(&limits, 1, 2, 1).unwrap();
    let retry_after = wait(links(&limits, 1, 1, 1));
    assert!(
        retry_after > HOUR - Duration::from_secs(60),
        "the organization's wait, not the account's"
    );
    clock.advance(retry_after);
    links(&limits, 1, 1, 1).unwrap();
}

#[test]
fn anonymous_previews_are_counted_by_network_only() {
    let settings = config::Limits { previews_per_account: 1, previews_per_network: 2, ..NONE };
    let (limits, _) = limits(settings);
    limits.preview(None, network("2001:db8::1")).unwrap();
    limits.preview(None, network("2001:db8::2")).unwrap();
    wait(limits.preview(None, network("2001:db8::3")));
    limits.preview(None, network("2001:db8:0:1::1")).unwrap();
    wait(limits.preview(Some(account(1)), network("2001:db8::1")));
    limits.preview(Some(account(1)), network("192.0.2.1")).unwrap();
    wait(limits.preview(Some(account(1)), None));
    limits.preview(None, None).unwrap();
}

#[test]
fn replenished_keys_are_pruned() {
    let settings = config::Limits { joins_per_account: 2, joins_per_network: 2, ..NONE };
    let (limits, clock) = limits(settings);
    for number in 0..100 {
        limits.join(account(number), None).unwrap();
    }
    limits.prune_replenished();
    assert_eq!(limits.tracked_keys(), 100);
    clock.advance(HOUR);
    limits.join(account(1), network("192.0.2.1")).unwrap();
    limits.prune_replenished();
    assert_eq!(limits.tracked_keys(), 2);
}
