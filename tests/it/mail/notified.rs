//! Notices from the call, or from the lapse of a domain, to the mail.

use std::time::Duration;

use guestlist::clock::Clock;
use guestlist::config::Config;
use guestlist::dns::Dns;
use guestlist::domain::DomainChecks;
use guestlist::operations::accounts::erase;
use guestlist::operations::domains::check_due;
use guestlist::operations::organizations::remove_deleted;

use crate::on_both_engines;
use crate::support::domains::disprove;
use crate::support::{Engine, Protocol, TestApp, gitpod, nameserver, own, run_with};

const POLL_INTERVAL: Duration = Duration::from_millis(20);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Waits until there are this many mails to an address; returns them in any order. The test's
/// timeout bounds the wait.
async fn mails_to(app: &TestApp, address: &str, number: usize) -> Vec<String> {
    let to = format!("To: {address}\r\n");
    loop {
        let files = std::fs::read_dir(app.data_dir().join("mail")).into_iter().flatten();
        let paths = files.map(|file| file.unwrap().path());
        let finished = paths.filter(|path| path.extension().is_some_and(|e| e == "eml"));
        // Joins the lines that quoted-printable has split.
        let mails =
            finished.map(|path| std::fs::read_to_string(path).unwrap().replace("=\r\n", ""));
        let mails: Vec<String> = mails.filter(|mail| mail.contains(&to)).collect();
        if mails.len() >= number {
            return mails;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn rows(app: &TestApp, condition: &str) -> i64 {
    app.database.count(&format!("SELECT count(*) FROM notices WHERE {condition}")).await
}

on_both_engines! {
    async fn admins_and_requesters_get_mails_about_join_requests(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.approval_link(&org.id).await;
        let [gus, hal, ida] = [app.person("gus").await, app.person("hal").await, app.person("ida").await];
        // A rejected call that stores a request also sends the mail to the admins.
        assert_eq!(gus.join(&link.token).await.unwrap_err().reason, "APPROVAL_PENDING");
        let request = gus.request_to_join(&link.token).await.unwrap();
        assert_eq!(rows(app, "kind = 'requests_waiting'").await, 1, "one for the one admin");
        let mail = mails_to(app, "ana@example.com", 1).await.remove(0);
        assert!(mail.contains("1 person asks to join"), "{mail}");
        assert!(mail.contains(&app.url("/console")), "{mail}");

        org.admin.approve(&request, "").await.unwrap();
        org.admin.approve(&request, "").await.unwrap();
        let denied = hal.request_to_join(&link.token).await.unwrap();
        org.admin.deny(&denied, "see https://evil.example", 60).await.unwrap();
        let withdrawn = ida.request_to_join(&link.token).await.unwrap();
        ida.withdraw(&withdrawn).await.unwrap();
        assert_eq!(rows(app, &format!("account_id = {}", id_of(app, &withdrawn.account_id))).await, 0);
        let mail = mails_to(app, "gus@example.com", 1).await.remove(0);
        assert!(mail.contains("was approved: you are now a member"), "{mail}");
        let mail = mails_to(app, "hal@example.com", 1).await.remove(0);
        assert!(mail.contains("see https: //evil. example"), "{mail}");
        assert!(mail.contains("You can ask again from "), "{mail}");
        assert!(!mail.contains("https://") && !mail.contains("href"), "{mail}");
        // Each gets one mail, and the row is removed with the mail.
        while rows(app, "kind = 'request_decided'").await > 0 {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        for (address, number) in [("ana", 1), ("gus", 1), ("hal", 1), ("ida", 0)] {
            let mails = mails_to(app, &format!("{address}@example.com"), number).await;
            assert_eq!(mails.len(), number, "{address}");
        }
    }

    async fn admins_get_a_mail_about_a_lapsed_domain(app: TestApp) {
        let org = app.organization().await;
        let role = gitpod::OrganizationRole::Admin;
        org.admin.grant(&org.id, &org.member_id, role).await.unwrap();
        let domain = org.admin.proved_domain(&org.id, own::DomainMode::OnRequest).await;
        disprove(&domain);
        let dns = Dns::new(vec![nameserver::address()]);
        let checks = DomainChecks { interval: DAY, grace: DAY };
        for expected in [0, 2] {
            app.clock.advance(DAY);
            check_due(app.store(), &dns, checks, app.clock.now()).await.unwrap();
            assert_eq!(rows(app, "kind = 'domain_lapsed'").await, expected);
        }
        let shown = domain.domain.replace('.', ". ");
        for address in ["ana@example.com", "ben@example.com"] {
            let mail = mails_to(app, address, 1).await.remove(0);
            assert!(mail.contains(&shown) && mail.contains("has lapsed"), "{shown} in {mail}");
            assert!(!mail.contains(&domain.domain), "{mail}");
            assert!(mail.contains(&app.url("/console")), "{mail}");
        }
    }

    async fn notices_of_erased_accounts_and_deleted_organizations_are_deleted(app: TestApp) {
        let org = app.organization().await;
        let role = gitpod::OrganizationRole::Admin;
        org.admin.grant(&org.id, &org.member_id, role).await.unwrap();
        let link = org.admin.approval_link(&org.id).await;
        org.stranger.request_to_join(&link.token).await.unwrap();
        let ben = org.member.account().await;
        let bens = format!("account_id = {}", id_of(app, &ben.to_string()));
        // The rows stay for an hour after their mail.
        assert_eq!((rows(app, "1 = 1").await, rows(app, &bens).await), (2, 1));
        erase(app.store(), ben, app.clock.now()).await.unwrap();
        assert_eq!((rows(app, "1 = 1").await, rows(app, &bens).await), (1, 0));
        org.admin.delete(&org.id).await.unwrap();
        while rows(app, "1 = 1").await > 0 {
            remove_deleted(app.store()).await.unwrap();
        }
    }
}

/// An id as an SQL literal.
fn id_of(app: &TestApp, id: &str) -> String {
    match app.database.engine {
        Engine::Sqlite => format!("x'{}'", id.replace('-', "")),
        Engine::Postgres => format!("'{id}'"),
    }
}

mod no_mail_is_sent_when_notices_are_disabled {
    use super::*;

    fn off(config: &mut Config) {
        config.mail.notices = false;
    }

    async fn behaviour(app: &TestApp) {
        let org = app.organization().await;
        let link = org.admin.approval_link(&org.id).await;
        let request = org.stranger.request_to_join(&link.token).await.unwrap();
        org.admin.deny(&request, "", 0).await.unwrap();
        while rows(app, "1 = 1").await > 0 {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        for address in ["ana@example.com", "zoe@example.com"] {
            assert_eq!(mails_to(app, address, 0).await, [""; 0]);
        }
    }

    #[test]
    fn sqlite() {
        run_with(off, Engine::Sqlite, Protocol::Grpc, async |app| behaviour(app).await);
    }

    #[test]
    fn postgres() {
        run_with(off, Engine::Postgres, Protocol::Grpc, async |app| behaviour(app).await);
    }
}
