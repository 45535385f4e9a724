use std::time::Duration;

use crate::everywhere;
use crate::support::{TestApp, gitpod, own};

use own::{InviteKind as Kind, InviteState as State};

fn request(organization: &str) -> own::ListRequest {
    own::ListRequest { organization_id: organization.into(), ..Default::default() }
}

everywhere! {
    async fn invites_are_filtered_and_counted(app: TestApp) {
        let org = app.organization().await;
        let admin = &org.admin;
        admin.invite(&org.id).await.unwrap();
        let link = admin.link(&org.id, "read").await.unwrap();
        let gone = admin.link(&org.id, "edit").await.unwrap();
        admin.revoke(&org.id, &gone.id).await.unwrap();
        let mail = admin.invite_address(&org.id, "New@example.org", "read").await.unwrap();
        let mail = mail.invite.unwrap();
        app.clock.advance(Duration::from_secs(60));
        let role = gitpod::OrganizationRole::Admin;
        admin.grant(&org.id, &org.member_id, role).await.unwrap();
        let later = org.member.link(&org.id, "read").await.unwrap();

        let all = admin.list_invites(request(&org.id)).await.unwrap().invites;
        let order: Vec<&str> = all.iter().map(|invite| invite.id.as_str()).collect();
        assert_eq!(order[..4], [&later.id, &mail.id, &gone.id, &link.id], "newest first");
        assert_eq!(all.len(), 6, "the count includes the two join links");
        assert!(all.iter().all(|invite| invite.token.is_empty()), "P04: no tokens in lists");

        let kind = |kind: Kind| own::InviteFilter { kinds: vec![kind.into()], ..Default::default() };
        let state = |state: State| own::InviteFilter { states: vec![state.into()], ..Default::default() };
        for (filter, expected) in [
            (kind(Kind::JoinLink), 2),
            (kind(Kind::NamedLink), 3),
            (kind(Kind::Email), 1),
            (state(State::Live), 4),
            (state(State::Replaced), 1),
            (state(State::Revoked), 1),
            (state(State::Expired), 0),
            (own::InviteFilter { role: "read".into(), ..Default::default() }, 3),
            (own::InviteFilter { inviter_id: org.member_id.clone(), ..Default::default() }, 1),
            (own::InviteFilter { email: " NEW@example.org".into(), ..Default::default() }, 1),
            (own::InviteFilter { email: "nobody".into(), ..Default::default() }, 0),
            (own::InviteFilter { start_time: later.create_time, ..Default::default() }, 1),
            (own::InviteFilter { end_time: later.create_time, ..Default::default() }, 5),
        ] {
            let list_request = own::ListRequest { filter: Some(filter.clone()), count: true, ..request(&org.id) };
            let answer = admin.list_invites(list_request).await.unwrap();
            assert_eq!(answer.invites.len(), expected, "{filter:?}");
            assert_eq!(answer.count, i64::try_from(expected).ok(), "{filter:?}");
        }

        // An invite is expired after its expire time, even if the worker has not ended it yet.
        app.clock.advance(Duration::from_secs(7 * 24 * 60 * 60));
        for (state, expected) in [(State::Live, 3), (State::Expired, 1)] {
            let filter = own::InviteFilter { states: vec![state.into()], ..Default::default() };
            let list_request = own::ListRequest { filter: Some(filter), ..request(&org.id) };
            let invites = admin.list_invites(list_request).await.unwrap().invites;
            assert_eq!(invites.len(), expected);
            assert!(invites.iter().all(|invite| invite.state() == state));
        }
    }

    async fn the_pages_together_contain_every_invite_in_order(app: TestApp) {
        let org = app.organization().await;
        for _ in 0..5 {
            org.admin.link(&org.id, "read").await.unwrap();
        }
        let all = org.admin.list_invites(request(&org.id)).await.unwrap().invites;
        let mut paged = Vec::new();
        let mut page_token = String::new();
        loop {
            let first = page_token.is_empty();
            let page = Some(own::PageRequest { page_size: 2, page_token });
            let list_request = own::ListRequest { page, count: true, ..request(&org.id) };
            let answer = org.admin.list_invites(list_request).await.unwrap();
            assert_eq!(answer.count, first.then_some(6), "only the first page has the count");
            paged.extend(answer.invites);
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(paged, all);
        let wrong = own::ListRequest {
            organization_id: "x".into(),
            filter: Some(own::InviteFilter {
                kinds: vec![9],
                states: vec![0],
                role: "king".into(),
                inviter_id: "x".into(),
                ..Default::default()
            }),
            page: Some(own::PageRequest { page_size: 101, page_token: String::new() }),
            count: false,
        };
        let failure = org.admin.list_invites(wrong).await.unwrap_err();
        let expected = [
            "organization_id", "filter.role", "filter.inviter_id", "filter.kinds[0]",
            "filter.states[0]", "page.page_size",
        ];
        assert_eq!(failure.fields, expected);
    }
}
