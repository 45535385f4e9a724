use std::time::{Duration, Instant};

use crate::support::domains::{disprove, prove};
use crate::support::nameserver::{Zone, new_domain, publish, received_tcp_query};
use crate::support::{Code, Failure, TestApp, own};
use crate::{everywhere, on_both_engines};

fn is_not_proved(verified: Result<own::Domain, Failure>) {
    let failure = verified.unwrap_err();
    assert_eq!(
        (failure.code, failure.reason.as_str()),
        (Code::FailedPrecondition, "DOMAIN_NOT_PROVED")
    );
}

everywhere! {
    async fn p50_only_the_record_proves_a_domain(app: TestApp) {
        let org = app.organization().await;
        let domain = org.admin.domain(&org.id, &new_domain()).await.unwrap();
        is_not_proved(org.admin.verify(&domain).await);
        let (other, _) = org.admin.new_organization("Other").await;
        let others = org.admin.domain(&other, &domain.domain).await.unwrap();
        for wrong in [String::new(), format!("{}0", domain.txt_value), others.txt_value] {
            publish(&domain.txt_name, Some(Zone::Txt(vec![wrong])));
            is_not_proved(org.admin.verify(&domain).await);
        }
        // A record at the domain itself or for a subdomain does not prove the domain either.
        disprove(&domain);
        for name in [domain.domain.clone(), format!("_guestlist-challenge.eu.{}", domain.domain)] {
            publish(&name, Some(Zone::Txt(vec![domain.txt_value.clone()])));
        }
        is_not_proved(org.admin.verify(&domain).await);
        assert_eq!(org.admin.domains(&org.id).await.unwrap(), std::slice::from_ref(&domain));

        let others = Zone::Txt(vec!["v=spf1 -all".to_owned(), format!(" {} ", domain.txt_value)]);
        publish(&domain.txt_name, Some(others));
        let verified = org.admin.verify(&domain).await.unwrap();
        assert_eq!(verified.state(), own::DomainState::Verified);
        assert!(verified.verify_time.is_some() && verified.verify_time == verified.check_time);
        let event = org.admin.audit(&org.id).await.unwrap().remove(0);
        assert_eq!((event.action.as_str(), &event.target_id), ("domain.verified", &domain.id));
        // A second check writes no event and changes only the check time.
        app.clock.advance(Duration::from_secs(60));
        let again = org.admin.verify(&domain).await.unwrap();
        assert_eq!(again.verify_time, verified.verify_time);
        assert_ne!(again.check_time, verified.check_time);
        assert_eq!(org.admin.audit(&org.id).await.unwrap()[0].id, event.id);
    }

    async fn p50_two_organizations_that_verify_one_domain_have_one_winner(app: TestApp) {
        let (a, b) = (app.organization().await, app.organization().await);
        let name = new_domain();
        let theirs = [a.admin.domain(&a.id, &name).await.unwrap(), b.admin.domain(&b.id, &name).await.unwrap()];
        let values = theirs.iter().map(|domain| domain.txt_value.clone()).collect();
        publish(&theirs[0].txt_name, Some(Zone::Txt(values)));
        let tries = (0..6).map(|i| if i % 2 == 0 { a.admin.verify(&theirs[0]) } else { b.admin.verify(&theirs[1]) });
        let tries = futures::future::join_all(tries).await;
        let winners: std::collections::BTreeSet<String> =
            tries.iter().flatten().map(|domain| domain.organization_id.clone()).collect();
        assert_eq!(winners.len(), 1);
        for failure in tries.into_iter().filter_map(Result::err) {
            assert_eq!((failure.code, failure.reason.as_str()), (Code::AlreadyExists, "DOMAIN_TAKEN"));
        }
        let (winner, loser, lost) = match winners.contains(&a.id) {
            true => ((&a.admin, &theirs[0]), &b.admin, &theirs[1]),
            false => ((&b.admin, &theirs[1]), &a.admin, &theirs[0]),
        };
        loser.verify(lost).await.unwrap_err();
        winner.0.remove(winner.1).await.unwrap();
        assert_eq!(loser.verify(lost).await.unwrap().state(), own::DomainState::Verified);
    }
}

on_both_engines! {
    async fn a_name_server_that_is_silent_or_broken_proves_nothing(app: TestApp) {
        let org = app.organization().await;
        let domain = org.admin.domain(&org.id, &new_domain()).await.unwrap();
        for zone in [Zone::Broken, Zone::Silent] {
            publish(&domain.txt_name, Some(zone));
            let started = Instant::now();
            let failure = org.admin.verify(&domain).await.unwrap_err();
            assert_eq!((failure.code, failure.reason.as_str()), (Code::Unavailable, "DNS_UNAVAILABLE"));
            assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
        }
        assert_eq!(org.admin.domains(&org.id).await.unwrap()[0].state(), own::DomainState::Pending);
        prove(&domain);
        org.admin.verify(&domain).await.unwrap();
    }

    async fn a_dns_response_of_64_kib_is_read_by_tcp(app: TestApp) {
        let org = app.organization().await;
        let domain = org.admin.domain(&org.id, &new_domain()).await.unwrap();
        // Each record has 330 bytes with its name, and a DNS message has at most 65,535 bytes.
        let mut texts: Vec<String> = (0..197).map(|i| format!("{i:0>255}")).collect();
        publish(&domain.txt_name, Some(Zone::Txt(texts.clone())));
        is_not_proved(org.admin.verify(&domain).await);
        texts.push(domain.txt_value.clone());
        publish(&domain.txt_name, Some(Zone::Txt(texts)));
        org.admin.verify(&domain).await.unwrap();
        assert!(received_tcp_query(&domain.txt_name));
    }

    async fn an_alias_is_followed_until_it_points_elsewhere(app: TestApp) {
        let org = app.organization().await;
        let domain = org.admin.domain(&org.id, &new_domain()).await.unwrap();
        let (here, elsewhere) = (new_domain(), new_domain());
        publish(&here, Some(Zone::Txt(vec![domain.txt_value.clone()])));
        publish(&elsewhere, Some(Zone::Txt(vec!["nothing".to_owned()])));
        publish(&domain.txt_name, Some(Zone::Alias(here)));
        org.admin.verify(&domain).await.unwrap();
        publish(&domain.txt_name, Some(Zone::Alias(elsewhere)));
        is_not_proved(org.admin.verify(&domain).await);
        // One failed check does not end the domain: the grace period allows for mistakes.
        assert_eq!(org.admin.domains(&org.id).await.unwrap()[0].state(), own::DomainState::Verified);
    }

    async fn p19_a_domain_of_another_organization_is_not_found(app: TestApp) {
        let (a, b) = (app.organization().await, app.organization().await);
        let domain = a.admin.domain(&a.id, &new_domain()).await.unwrap();
        prove(&domain);
        let swapped = own::Domain { organization_id: b.id.clone(), ..domain };
        for code in [
            b.admin.verify(&swapped).await.unwrap_err().code,
            b.admin.remove(&swapped).await.unwrap_err().code,
            b.admin.set_mode(&swapped, own::DomainMode::Automatic).await.unwrap_err().code,
        ] {
            assert_eq!(code, Code::NotFound);
        }
        assert_eq!(a.admin.domains(&a.id).await.unwrap()[0].state(), own::DomainState::Pending);
    }
}
