//! Searches in a large organization do not block lists of other organizations.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::on_both_engines;
use crate::support::{Code, TestApp, gitpod};

/// A list that takes longer hangs.
const HANG: Duration = Duration::from_secs(60);

const MEMBERS: u32 = 20_000;

/// The most lists that one organization may have at a time: 2 that run, and 16 that wait for each.
const SEARCHES: usize = 34;
/// How many more searches are started.
const TOO_MANY: usize = 20;

/// A search that reads every member twice: for the page and for the count.
fn search(organization: &str) -> gitpod::ListMembersRequest {
    gitpod::ListMembersRequest {
        organization_id: organization.to_owned(),
        filter: Some(gitpod::list_members_request::Filter {
            search: "nobody is called so".into(),
            ..Default::default()
        }),
        count: Some(gitpod::CountRequest { include: true }),
        ..Default::default()
    }
}

fn all(organization: &str) -> gitpod::ListMembersRequest {
    gitpod::ListMembersRequest { organization_id: organization.to_owned(), ..Default::default() }
}

on_both_engines! {
    async fn p42_searches_in_one_organization_do_not_block_other_organizations(app: TestApp) {
        let org = app.organization().await;
        let (other, _) = org.stranger.new_organization("Other").await;
        app.database.crowd(&org.id, MEMBERS).await;
        let done = Arc::new(AtomicUsize::new(0));
        let mut searches = JoinSet::new();
        for _ in 0..SEARCHES + TOO_MANY {
            let (member, search, done) = (org.member.clone(), search(&org.id), Arc::clone(&done));
            searches.spawn(async move {
                let answered = member.list_members(search).await;
                if answered.is_ok() {
                    done.fetch_add(1, Ordering::SeqCst);
                }
                answered
            });
        }
        // The first rejection shows that the queue is full.
        let refused = loop {
            let answered = searches.join_next().await.expect("a search still runs").unwrap();
            if let Err(refused) = answered {
                break refused;
            }
        };
        assert_eq!(refused.code, Code::ResourceExhausted, "{refused:?}");
        let before = done.load(Ordering::SeqCst);
        for _ in 0..3 {
            let listed = tokio::time::timeout(HANG, org.stranger.list_members(all(&other))).await;
            assert_eq!(listed.expect("the list does not hang").unwrap().members.len(), 1);
        }
        let meanwhile = done.load(Ordering::SeqCst) - before;
        assert!(meanwhile < SEARCHES / 2, "{meanwhile} searches ended first");

        // All waiting searches are cancelled. Then lists of the large organization succeed again.
        searches.shutdown().await;
        loop {
            let listed = tokio::time::timeout(HANG, org.member.list_members(all(&org.id))).await;
            match listed.expect("it does not hang") {
                Ok(listed) => break assert_eq!(listed.members.len(), 25),
                Err(refused) => assert_eq!(refused.code, Code::ResourceExhausted, "{refused:?}"),
            }
        }
    }
}
