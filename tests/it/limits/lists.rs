//! Searches of a large organization leave other organizations their lists.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::on_both_engines;
use crate::support::{Code, TestApp, gitpod};

/// No list takes longer unless it hangs.
const HANG: Duration = Duration::from_secs(60);

const MEMBERS: u32 = 20_000;

/// As many as one organization may have running and waiting, and more.
const SEARCHES: usize = 34;
const TOO_MANY: usize = 20;

/// A search that looks at every member, twice.
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
    async fn p42_searches_of_one_organization_leave_others_their_lists(app: TestApp) {
        let org = app.organization().await;
        let (other, _) = org.stranger.found("Other").await;
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
        // The first refusal shows that as many wait as may.
        let refused = loop {
            let answered = searches.join_next().await.expect("there are some left").unwrap();
            if let Err(refused) = answered {
                break refused;
            }
        };
        assert_eq!(refused.code, Code::ResourceExhausted, "{refused:?}");
        let before = done.load(Ordering::SeqCst);
        for _ in 0..3 {
            let listed = tokio::time::timeout(HANG, org.stranger.list_members(all(&other))).await;
            assert_eq!(listed.expect("it is answered").unwrap().members.len(), 1);
        }
        let meanwhile = done.load(Ordering::SeqCst) - before;
        assert!(meanwhile < SEARCHES / 2, "{meanwhile} searches went before");

        // All that wait are given up: their own organization is served again.
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
