//! Joining by a domain that the organization has proved by DNS.

use std::time::Duration;

use guestlist::clock::Clock;
use guestlist::config::Config;
use guestlist::dns::Dns;
use guestlist::domain::DomainChecks;
use guestlist::operations::domains::{CheckRun, check_due};

use crate::support::domains::{disprove, prove};
use crate::support::nameserver::{self, Zone, publish};
use crate::support::{Code, Person, TestApp, gitpod, own};
use crate::{everywhere, on_both_engines, on_both_engines_with};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// The default settings.
const CHECKS: DomainChecks = DomainChecks {
    interval: Duration::from_secs(12 * 60 * 60),
    grace: Duration::from_secs(72 * 60 * 60),
};

async fn new_person(app: &TestApp, domain: &own::Domain) -> Person {
    let name = uuid::Uuid::new_v4().simple();
    app.person_with(&format!("{name}@{}", domain.domain)).await
}

async fn code(person: &Person, org: &str) -> Code {
    person.join_by_id(org).await.map_or_else(|failure| failure.code, |_| Code::Ok)
}

/// Runs the worker once, at the time of the test's clock.
async fn check(app: &TestApp) -> CheckRun {
    let dns = Dns::new(vec![nameserver::address()]);
    let run = check_due(app.store(), &dns, CHECKS, app.clock.now()).await.unwrap();
    assert!(run.failed.is_empty(), "{:?}", run.failed);
    run
}

async fn state(admin: &Person, domain: &own::Domain) -> own::Domain {
    let all = admin.domains(&domain.organization_id).await.unwrap();
    all.into_iter().find(|one| one.id == domain.id).unwrap()
}

everywhere! {
    async fn p50_only_a_proved_domain_in_automatic_mode_allows_joins(app: TestApp) {
        let org = app.organization().await;
        let domain = org.admin.domain(&org.id, &nameserver::new_domain()).await.unwrap();
        let person = new_person(app, &domain).await;
        org.admin.set_mode(&domain, own::DomainMode::Automatic).await.unwrap();
        assert_eq!(code(&person, &org.id).await, Code::NotFound, "not proved");
        prove(&domain);
        org.admin.verify(&domain).await.unwrap();
        for mode in [own::DomainMode::InviteOnly, own::DomainMode::OnRequest] {
            org.admin.set_mode(&domain, mode).await.unwrap();
            assert_eq!(code(&person, &org.id).await, Code::NotFound, "{mode:?}");
        }
        org.admin.set_mode(&domain, own::DomainMode::Automatic).await.unwrap();
        let member = person.join_by_id(&org.id).await.unwrap();
        assert_eq!(member.role(), gitpod::OrganizationRole::Member);
        assert_eq!(person.join_by_id(&org.id).await.unwrap().user_id, member.user_id);
        let event = org.admin.audit(&org.id).await.unwrap().remove(0);
        assert_eq!((event.action.as_str(), event.note.as_str()), ("member.joined", "as member, by domain"));
        // An account in a subdomain cannot join, and the domain is not valid for another
        // organization.
        let sub = app.person_with(&format!("eve@eu.{}", domain.domain)).await;
        assert_eq!(code(&sub, &org.id).await, Code::NotFound);
        let (other, _) = org.admin.new_organization("Other").await;
        assert_eq!(code(&new_person(app, &domain).await, &other).await, Code::NotFound);
        // The error does not show whether the organization exists.
        let unknown = uuid::Uuid::new_v4().to_string();
        let failures = [sub.join_by_id(&org.id).await, sub.join_by_id(&unknown).await];
        let [a, b] = failures.map(Result::unwrap_err);
        assert_eq!(a, b);
    }

    async fn p10_a_removed_member_does_not_come_back_by_a_proved_domain(app: TestApp) {
        let org = app.organization().await;
        let domain = org.admin.proved_domain(&org.id, own::DomainMode::Automatic).await;
        let person = new_person(app, &domain).await;
        let member = person.join_by_id(&org.id).await.unwrap();
        person.end(&member.user_id).await.unwrap();
        let member = person.join_by_id(&org.id).await.unwrap();
        org.admin.end(&member.user_id).await.unwrap();
        assert_eq!(code(&person, &org.id).await, Code::NotFound);
        org.admin.verify(&domain).await.unwrap();
        assert_eq!(code(&person, &org.id).await, Code::NotFound, "a new proof does not help");
        let token = org.admin.invite(&org.id).await.unwrap();
        person.join(&token).await.unwrap();
    }
}

on_both_engines! {
    async fn p14_parallel_joins_by_a_proved_domain_respect_the_seat_limit(app: TestApp) {
        let org = app.organization().await;
        let domain = org.admin.proved_domain(&org.id, own::DomainMode::Automatic).await;
        let seats = own::SetSeatLimitRequest { organization_id: org.id.clone(), seat_limit: 5 };
        app.operator().await.set_seat_limit(seats).await.unwrap();
        let mut people = Vec::new();
        for _ in 0..12 {
            people.push(new_person(app, &domain).await);
        }
        let joins = people.iter().map(|person| person.join_by_id(&org.id));
        let joins = futures::future::join_all(joins).await;
        assert_eq!(joins.iter().filter(|join| join.is_ok()).count(), 3);
        for failure in joins.into_iter().filter_map(Result::err) {
            assert_eq!(failure.reason, "SEAT_LIMIT");
        }
        assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 5);
    }

    async fn p50_a_missing_proof_ends_joining_exactly_after_the_grace_period(app: TestApp) {
        let org = app.organization().await;
        let domain = org.admin.proved_domain(&org.id, own::DomainMode::Automatic).await;
        assert_eq!(check(app).await.checked, 0, "nothing is due");
        app.clock.advance(HOUR * 12);
        let run = check(app).await;
        assert_eq!((run.checked, run.missing, run.lapsed), (1, 0, 0));
        disprove(&domain);
        app.clock.advance(HOUR * 12);
        let run = check(app).await;
        assert_eq!((run.checked, run.missing, run.lapsed), (1, 1, 0));
        let missing = state(&org.admin, &domain).await;
        assert_eq!(missing.state(), own::DomainState::Verified);
        let since = missing.proof_missing_since.unwrap();
        assert_eq!(missing.lapse_time.unwrap().seconds - since.seconds, 72 * 60 * 60);
        assert_eq!(code(&new_person(app, &domain).await, &org.id).await, Code::Ok);
        assert_eq!(check(app).await.checked, 0, "a domain is checked once in each interval");

        // The proof is found again and lost again: the grace period starts again.
        prove(&domain);
        app.clock.advance(HOUR * 48);
        check(app).await;
        assert!(state(&org.admin, &domain).await.proof_missing_since.is_none());
        // A TXT record with another value counts as missing.
        publish(&domain.txt_name, Some(Zone::Txt(vec!["elsewhere".to_owned()])));
        app.clock.advance(HOUR * 12);
        check(app).await;
        let early = new_person(app, &domain).await;
        // The clock is not stopped, so 30 seconds are left for the calls.
        app.clock.advance(HOUR * 72 - Duration::from_secs(30));
        assert_eq!(code(&early, &org.id).await, Code::Ok);
        app.clock.advance(Duration::from_secs(30));
        let late = new_person(app, &domain).await;
        assert_eq!(code(&late, &org.id).await, Code::NotFound, "no run of the worker is needed");
        assert_eq!(state(&org.admin, &domain).await.state(), own::DomainState::Verified);
        let run = check(app).await;
        assert_eq!((run.checked, run.lapsed), (1, 1));
        let lapsed = state(&org.admin, &domain).await;
        assert_eq!(lapsed.state(), own::DomainState::Lapsed);
        let event = org.admin.audit(&org.id).await.unwrap().remove(0);
        assert_eq!((event.action.as_str(), &event.target_id), ("domain.lapsed", &domain.id));
        assert!(event.actor_account_id.is_empty());
        assert_eq!(code(&late, &org.id).await, Code::NotFound);
        app.clock.advance(HOUR * 1000);
        assert_eq!(check(app).await.checked, 0, "a lapsed domain is not checked any more");

        prove(&domain);
        assert_eq!(code(&late, &org.id).await, Code::NotFound, "an admin must verify it again");
        org.admin.verify(&domain).await.unwrap();
        assert_eq!(code(&late, &org.id).await, Code::Ok);
    }

    async fn p50_a_lapsed_domain_is_free_for_another_organization(app: TestApp) {
        let (a, b) = (app.organization().await, app.organization().await);
        let domain = a.admin.proved_domain(&a.id, own::DomainMode::Automatic).await;
        let theirs = b.admin.domain(&b.id, &domain.domain).await.unwrap();
        prove(&theirs);
        assert_eq!(b.admin.verify(&theirs).await.unwrap_err().reason, "DOMAIN_TAKEN");
        for _ in 0..2 {
            app.clock.advance(HOUR * 72);
            check(app).await;
        }
        b.admin.verify(&theirs).await.unwrap();
        let both = Zone::Txt(vec![domain.txt_value.clone(), theirs.txt_value.clone()]);
        publish(&domain.txt_name, Some(both));
        assert_eq!(a.admin.verify(&domain).await.unwrap_err().reason, "DOMAIN_TAKEN");
    }

    async fn p16_parallel_checks_of_a_domain_have_one_outcome(app: TestApp) {
        let org = app.organization().await;
        let mut domains = Vec::new();
        for _ in 0..10 {
            domains.push(org.admin.proved_domain(&org.id, own::DomainMode::Automatic).await);
        }
        domains.iter().for_each(disprove);
        app.clock.advance(HOUR * 12);
        // Each domain is checked once, by one of the runs.
        let runs = futures::future::join_all((0..4).map(|_| check(app))).await;
        assert_eq!(runs.iter().map(|run| run.checked).sum::<u64>(), 10);
        app.clock.advance(HOUR * 72);
        domains[..5].iter().for_each(prove);
        let verifying = domains[..5].iter().map(|domain| org.admin.verify(domain));
        let (runs, verified) = futures::join!(
            futures::future::join_all((0..4).map(|_| check(app))),
            futures::future::join_all(verifying),
        );
        assert!(verified.iter().all(Result::is_ok));
        assert_eq!(runs.iter().map(|run| run.lapsed).sum::<u64>(), 5);
        for (i, domain) in domains.iter().enumerate() {
            let expected = if i < 5 { own::DomainState::Verified } else { own::DomainState::Lapsed };
            assert_eq!(state(&org.admin, domain).await.state(), expected);
        }
        let events = org.admin.audit(&org.id).await.unwrap();
        assert_eq!(events.iter().filter(|event| event.action == "domain.lapsed").count(), 5);
    }

    async fn invite_domains_work_without_proof(app: TestApp) {
        let org = app.organization().await;
        let domain = org.admin.domain(&org.id, &nameserver::new_domain()).await.unwrap();
        set_invite_domain(&org.admin, &org.id, &domain.domain).await;
        assert_eq!(code(&new_person(app, &domain).await, &org.id).await, Code::Ok);
        // They also work if another organization has proved the domain.
        let (other, _) = org.admin.new_organization("Other").await;
        let theirs = org.admin.domain(&other, &domain.domain).await.unwrap();
        prove(&theirs);
        org.admin.verify(&theirs).await.unwrap();
        assert_eq!(code(&new_person(app, &domain).await, &org.id).await, Code::Ok);
    }
}

/// Sets the invite domains.
async fn set_invite_domain(admin: &Person, org: &str, name: &str) {
    let request = gitpod::UpdateOrganizationRequest {
        organization_id: org.to_owned(),
        name: None,
        invite_domains: Some(gitpod::InviteDomains { domains: vec![name.to_owned()] }),
    };
    admin.update_organization(request).await.unwrap();
}

fn require_proof(config: &mut Config) {
    config.domains.require_proof = true;
}

async fn with_proof_only(app: &TestApp) {
    let org = app.organization().await;
    let domain = org.admin.domain(&org.id, &nameserver::new_domain()).await.unwrap();
    set_invite_domain(&org.admin, &org.id, &domain.domain).await;
    let person = new_person(app, &domain).await;
    assert_eq!(code(&person, &org.id).await, Code::NotFound);
    // The proof of another organization counts only for that organization.
    let (other, _) = org.admin.new_organization("Other").await;
    let theirs = org.admin.domain(&other, &domain.domain).await.unwrap();
    prove(&theirs);
    org.admin.verify(&theirs).await.unwrap();
    assert_eq!(code(&person, &org.id).await, Code::NotFound);
    org.admin.remove(&theirs).await.unwrap();
    prove(&domain);
    org.admin.verify(&domain).await.unwrap();
    assert_eq!(domain.mode(), own::DomainMode::InviteOnly);
    assert_eq!(code(&person, &org.id).await, Code::Ok);
}

on_both_engines_with! {
    require_proof;
    p50_a_setting_demands_proof_for_invite_domains: with_proof_only;
}
