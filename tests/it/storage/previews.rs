//! On SQLite, previews are kept in memory. A preview is never older than an acknowledged change of
//! its organization, and other changes do not evict it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;

use crate::on_both_engines;
use crate::support::{
    Code, Database, Engine, Organization, Person, Protocol, TestApp, gitpod, link_to, own,
};

/// The name and the number of members in the preview of a link; `None` if the link is not live.
async fn preview_of(stranger: &Person, token: &str) -> Option<(String, i32)> {
    match stranger.preview(token).await {
        Ok(shown) => Some((shown.organization_name, shown.organization_member_count)),
        Err(failure) => {
            assert_eq!(failure.code, Code::NotFound);
            None
        }
    }
}

async fn rename(org: &Organization, name: &str) {
    let request = gitpod::UpdateOrganizationRequest {
        organization_id: org.id.clone(),
        name: Some(name.to_owned()),
        invite_domains: Some(gitpod::InviteDomains { domains: vec!["example.com".to_owned()] }),
    };
    org.admin.update_organization(request).await.unwrap();
}

on_both_engines! {
    async fn p07_a_preview_shows_every_earlier_change_of_its_organization(app: TestApp) {
        let org = app.organization().await;
        let viewer = app.person("looker").await;
        let link = org.admin.link(&org.id, "read").await.unwrap();
        let grants = Some(own::create_link_request::Grants::Role("read".to_owned()));
        let once = own::CreateLinkRequest { max_uses: 1, grants, ..link_to(&org.id) };
        let once = org.admin.create_link(once).await.unwrap().invite.unwrap();
        let doomed = org.admin.link(&org.id, "read").await.unwrap();
        // All of these links have just been previewed before each change below.
        let tokens = [&link.token, &once.token, &doomed.token];
        let shows = async |name: &str, members: i32, live: [bool; 3]| {
            for _ in 0..2 {
                for (token, live) in tokens.iter().zip(live) {
                    let expected = live.then(|| (name.to_owned(), members));
                    assert_eq!(preview_of(&viewer, token).await, expected);
                }
            }
        };
        shows("Acme", 2, [true; 3]).await;
        rename(&org, "Bolt").await;
        shows("Bolt", 2, [true; 3]).await;
        org.stranger.join(&once.token).await.unwrap();
        shows("Bolt", 3, [true, false, true]).await;
        org.admin.revoke(&org.id, &doomed.id).await.unwrap();
        shows("Bolt", 3, [true, false, false]).await;
        org.admin.end(&org.member_id).await.unwrap();
        shows("Bolt", 2, [true, false, false]).await;
        app.person("by-domain").await.join_by_id(&org.id).await.unwrap();
        shows("Bolt", 3, [true, false, false]).await;

        // An earlier expiry, which the clock then reaches.
        let sooner = own::UpdateRequest {
            organization_id: org.id.clone(),
            id: link.id.clone(),
            expire_time: app.in_the_future(Duration::from_secs(60)),
            ..Default::default()
        };
        org.admin.update_invite(sooner).await.unwrap();
        shows("Bolt", 3, [true, false, false]).await;
        app.clock.advance(Duration::from_secs(61));
        shows("Bolt", 3, [false; 3]).await;
    }

    async fn p08_p09_a_preview_ends_with_its_inviters_role_or_its_organization(app: TestApp) {
        let org = app.organization().await;
        let viewer = app.person("looker").await;
        let role = gitpod::OrganizationRole::Admin;
        org.admin.grant(&org.id, &org.member_id, role).await.unwrap();
        let of_member = org.member.link(&org.id, "read").await.unwrap().token;
        let of_admin = org.admin.link(&org.id, "read").await.unwrap().token;
        for token in [&of_member, &of_admin] {
            assert!(preview_of(&viewer, token).await.is_some());
        }
        let role = gitpod::OrganizationRole::Member;
        org.admin.grant(&org.id, &org.member_id, role).await.unwrap();
        assert!(preview_of(&viewer, &of_member).await.is_none());
        assert!(preview_of(&viewer, &of_admin).await.is_some());
        org.admin.delete(&org.id).await.unwrap();
        assert!(preview_of(&viewer, &of_admin).await.is_none());
    }
}

/// A store that counts the reads of previews.
async fn counting() -> (TestApp, impl Fn() -> usize) {
    let reads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reads);
    let observer = Arc::new(move |statement: &guestlist::storage::Statement| {
        if statement.sql.starts_with("SELECT \"invites\".\"email\", \"invites\".\"expires_at\"") {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let database = Database::migrated(Engine::Sqlite).await;
    let unlimited = |config: &mut guestlist::config::Config| {
        config.limits.previews_per_account = 0;
        config.limits.invites_per_organization = 0;
        config.limits.invites_per_account = 0;
    };
    let app = TestApp::on(database, Protocol::Grpc, unlimited, Some(observer)).await;
    (app, move || reads.load(Ordering::SeqCst))
}

/// How often the first link's preview is read again after `change`. A run counts only if the
/// preview of the second link, whose organization nothing changes, is not read again: if the writer
/// has not checked for changes of other processes in time, no cached value is used.
async fn reads_after(
    reads: impl Fn() -> usize,
    viewer: &Person,
    [token, unchanged]: [&str; 2],
    change: impl AsyncFn(),
) -> usize {
    for _ in 0..100 {
        for token in [token, unchanged] {
            assert!(preview_of(viewer, token).await.is_some());
        }
        change().await;
        let before = reads();
        assert!(preview_of(viewer, unchanged).await.is_some());
        if reads() > before {
            continue;
        }
        assert!(preview_of(viewer, token).await.is_some());
        return reads() - before;
    }
    panic!("each run read the preview of an unchanged organization again");
}

/// Organizations whose changes outdate only their own previews: those whose ids end with the same
/// three digits share the time of their last change.
async fn unrelated_organizations(app: &TestApp) -> [Organization; 3] {
    loop {
        let [one, two, three] =
            [app.organization().await, app.organization().await, app.organization().await];
        let [a, b, c] = [&one, &two, &three].map(|org| &org.id[org.id.len() - 3..]);
        if a != b && b != c && a != c {
            return [one, two, three];
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_other_organizations_keep_a_cached_preview() {
    let (app, reads) = counting().await;
    let [org, other, unchanged] = unrelated_organizations(&app).await;
    let viewer = app.person("looker").await;
    let token = org.admin.link(&org.id, "read").await.unwrap().token;
    let unchanged = unchanged.admin.link(&unchanged.id, "read").await.unwrap().token;
    let tokens = [token.as_str(), unchanged.as_str()];

    let rotate = async || drop(other.admin.invite(&other.id).await.unwrap());
    assert_eq!(reads_after(&reads, &viewer, tokens, rotate).await, 0, "another join link");
    let renamed = async || rename(&other, "Other").await;
    assert_eq!(reads_after(&reads, &viewer, tokens, renamed).await, 0, "another name");
    let join = async || {
        let token = other.admin.link(&other.id, "read").await.unwrap().token;
        let member = org.stranger.join(&token).await.unwrap().user_id;
        org.stranger.end(&member).await.unwrap();
    };
    assert_eq!(reads_after(&reads, &viewer, tokens, join).await, 0, "another member");
    let founded = async || drop(other.admin.new_organization("New").await);
    assert_eq!(reads_after(&reads, &viewer, tokens, founded).await, 0, "a new organization");
    let key = async || {
        let owner = Owner::Service("portal".parse().unwrap());
        drop(app.key(owner, Some(KeyScope::Operator), None).await);
    };
    assert_eq!(reads_after(&reads, &viewer, tokens, key).await, 0, "a key and its account");
    let ready = async || app.store().check_writable().await.unwrap();
    assert_eq!(reads_after(&reads, &viewer, tokens, ready).await, 0, "a check");
    let own_link = async || drop(org.admin.link(&org.id, "read").await.unwrap());
    let of_own = reads_after(&reads, &viewer, tokens, own_link).await;
    assert!(of_own <= 1, "a new link of its own organization: {of_own}");
    let names = AtomicUsize::new(0);
    let own_name = async || {
        let number = names.fetch_add(1, Ordering::SeqCst);
        rename(&org, &format!("Own {number}")).await;
    };
    assert_eq!(reads_after(&reads, &viewer, tokens, own_name).await, 1, "its own name");
    app.stop().await;
}

/// Meanwhile, another organization, which shares nothing with the previewed link, changes all the
/// time, so that changes of both are mixed in time.
#[tokio::test(flavor = "multi_thread")]
async fn p07_a_replaced_link_has_no_preview_during_concurrent_changes() {
    let (app, _) = counting().await;
    let (org, other) = (app.organization().await, app.organization().await);
    let viewer = app.person("looker").await;
    let mut link = org.admin.invite(&org.id).await.unwrap();
    let is_over = AtomicBool::new(false);
    let elsewhere = async {
        while !is_over.load(Ordering::SeqCst) {
            other.admin.invite(&other.id).await.unwrap();
        }
    };
    let here = async {
        for round in 0..100 {
            let is_replaced = AtomicBool::new(false);
            let replace = async {
                let next = org.admin.invite(&org.id).await.unwrap();
                is_replaced.store(true, Ordering::SeqCst);
                next
            };
            let check = async {
                loop {
                    let over = is_replaced.load(Ordering::SeqCst);
                    let shown = preview_of(&viewer, &link).await;
                    assert!(!(over && shown.is_some()), "round {round}");
                    if over {
                        return;
                    }
                }
            };
            let (next, ()) = futures::join!(replace, check);
            link = next;
        }
        is_over.store(true, Ordering::SeqCst);
    };
    futures::join!(elsewhere, here);
    app.stop().await;
}
