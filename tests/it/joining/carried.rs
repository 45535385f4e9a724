//! Metadata, external ids, continue URLs and locales of invites, and what a member gets of them.

use std::time::Duration;

use futures::future::join_all;
use guestlist::config::Config;
use sea_orm::ConnectionTrait;

use super::{JoinMethod, open_domain};
use crate::support::{Code, Engine, Person, Protocol, TestApp, link_to, own, pairs, run_with};
use crate::webhooks::Endpoint;
use crate::{everywhere, on_both_engines};

/// A request for a named link that gives a role.
fn link_with(organization: &str, role: &str) -> own::CreateLinkRequest {
    own::CreateLinkRequest {
        grants: Some(own::create_link_request::Grants::Role(role.into())),
        ..link_to(organization)
    }
}

/// Makes an invite for the method, or opens the domain. Returns the token or id to join with.
async fn make_invite_or_open_domain(
    app: &TestApp,
    method: JoinMethod,
    admin: &Person,
    organization: &str,
) -> String {
    match method {
        JoinMethod::JoinLink => admin.current_invite(organization).await.unwrap(),
        JoinMethod::NamedLink | JoinMethod::Rest => {
            admin.link(organization, "read").await.unwrap().token
        }
        JoinMethod::MailToken | JoinMethod::MailId => {
            let invited = admin.invite_address(organization, "zoe@example.com", "read").await;
            let id = invited.unwrap().invite.unwrap().id;
            if method == JoinMethod::MailId {
                return id;
            }
            app.mailed_token(organization, &id).await
        }
        JoinMethod::Domain => {
            open_domain(admin, organization).await;
            String::new()
        }
    }
}

fn invitation(organization: &str, email: &str, external_id: &str) -> own::InviteByEmailRequest {
    own::InviteByEmailRequest {
        organization_id: organization.into(),
        invitations: vec![own::EmailInvitation {
            email: email.into(),
            role: "read".into(),
            metadata: pairs(&[("dept", "r&d")]),
            external_id: external_id.into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

everywhere! {
    async fn a_member_gets_the_metadata_of_the_invite(app: TestApp) {
        let org = app.organization().await;
        let link = own::CreateLinkRequest {
            metadata: pairs(&[("plan", "pro"), ("empty", "")]),
            external_id: "link-1".into(),
            ..link_with(&org.id, "read")
        };
        let link = org.admin.create_link(link).await.unwrap().invite.unwrap();
        assert_eq!((&link.metadata, link.external_id.as_str()), (&pairs(&[("plan", "pro")]), "link-1"));
        org.stranger.join(&link.token).await.unwrap();
        let joined = org.stranger.membership(&org.id, None).await.unwrap();
        // A link for many members does not pass its external id to them.
        assert_eq!((&joined.metadata, joined.external_id.as_str()), (&pairs(&[("plan", "pro")]), ""));
        // A later change of the invite does not change its members.
        let update = own::UpdateRequest {
            organization_id: org.id.clone(),
            id: link.id.clone(),
            metadata: pairs(&[("plan", "free")]),
            external_id: Some(String::new()),
            ..Default::default()
        };
        let changed = org.admin.update_invite(update).await.unwrap().invite.unwrap();
        assert_eq!((&changed.metadata, changed.external_id.as_str()), (&pairs(&[("plan", "free")]), ""));
        assert_eq!(org.stranger.membership(&org.id, None).await.unwrap(), joined);

        let gus = app.person("gus").await;
        let invited = invitation(&org.id, "gus@example.com", "crm-9");
        let invited = org.admin.invite_by_email(invited).await.unwrap().results.remove(0).invite.unwrap();
        for (filter, expected) in [
            (own::InviteFilter { external_id: "crm-9".into(), ..Default::default() }, 1),
            (own::InviteFilter { metadata: pairs(&[("dept", "r&d")]), ..Default::default() }, 1),
            (own::InviteFilter { metadata: pairs(&[("dept", "R&D")]), ..Default::default() }, 0),
        ] {
            let list = own::ListRequest {
                organization_id: org.id.clone(),
                filter: Some(filter.clone()),
                count: true,
                ..Default::default()
            };
            let listed = org.admin.list_invites(list).await.unwrap();
            let count = i64::try_from(expected).unwrap();
            assert_eq!((listed.invites.len(), listed.count), (expected, Some(count)), "{filter:?}");
        }
        let accept = own::AcceptRequest { invitation: invited.id };
        let joined = gus.accept_invitation(accept).await.unwrap().membership.unwrap();
        assert_eq!((&joined.metadata, joined.external_id.as_str()), (&pairs(&[("dept", "r&d")]), "crm-9"));
        assert_eq!(gus.membership(&org.id, None).await.unwrap(), joined);
    }

    async fn the_event_feed_contains_metadata_and_webhooks_do_not(app: TestApp) {
        let org = app.organization().await;
        let endpoint = Endpoint::start().await;
        app.settle().await;
        org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
        endpoint.next_of("webhook.created").await;
        let link = own::CreateLinkRequest {
            max_uses: 1,
            metadata: pairs(&[("plan", "secret-plan")]),
            external_id: "secret-id".into(),
            ..link_with(&org.id, "read")
        };
        let link = org.admin.create_link(link).await.unwrap().invite.unwrap();
        org.stranger.join(&link.token).await.unwrap();
        let mut sent_kinds = Vec::new();
        for _ in 0..2 {
            let sent = endpoint.next().await;
            let kind = sent.event_type();
            let text = String::from_utf8(sent.body.clone()).unwrap();
            assert!(!text.contains("secret") && !text.contains("\"metadata\""), "{text}");
            let object = kind.split('.').next().unwrap();
            assert_eq!(sent.json()["data"][object]["hasMetadata"], true);
            sent_kinds.push(kind);
        }
        // The webhook requests arrive in any order.
        sent_kinds.sort();
        assert_eq!(sent_kinds, ["invite.created", "member.joined"]);
        app.settle().await;
        let request = own::ListEventsRequest {
            organization_id: org.id.clone(),
            start_time: Some(prost_types::Timestamp::default()),
            ..Default::default()
        };
        let events = org.admin.list_events(request.clone()).await.unwrap().events;
        let mut with_metadata = 0;
        for event in &events {
            let (metadata, external_id) = match event.data.clone().unwrap() {
                own::event::Data::Member(it) if it.has_metadata => (it.metadata, it.external_id),
                own::event::Data::Invite(it) if it.has_metadata => (it.metadata, it.external_id),
                _ => continue,
            };
            with_metadata += 1;
            assert_eq!((metadata, external_id.as_str()), (link.metadata.clone(), "secret-id"));
        }
        assert_eq!(with_metadata, 2, "{events:?}");
        // Removed metadata is removed from old events, too.
        let member = org.stranger.membership(&org.id, None).await.unwrap().member_id;
        let remove = own::UpdateMemberMetadataRequest {
            organization_id: org.id.clone(),
            member_id: member,
            metadata: pairs(&[("plan", "")]),
            external_id: Some(String::new()),
        };
        org.admin.update_member_metadata(remove).await.unwrap();
        for event in org.admin.list_events(request).await.unwrap().events {
            if let Some(own::event::Data::Member(it)) = event.data {
                assert_eq!((it.metadata.len(), it.external_id.as_str()), (0, ""), "{}", event.r#type);
            }
        }
    }
}

on_both_engines! {
    async fn every_join_method_except_domain_copies_metadata_to_the_member(app: TestApp) {
        for method in JoinMethod::ALL {
            let org = app.organization().await;
            let expected = match method {
                JoinMethod::Domain => pairs(&[]),
                _ => pairs(&[("plan", "pro")]),
            };
            let token_or_id = make_invite_or_open_domain(app, method, &org.admin, &org.id).await;
            // The metadata is set after the invite is made, so that this code is the same for all
            // methods.
            let list = own::ListRequest {
                organization_id: org.id.clone(),
                filter: Some(own::InviteFilter { states: vec![1], ..Default::default() }),
                ..Default::default()
            };
            for invite in org.admin.list_invites(list).await.unwrap().invites {
                let update = own::UpdateRequest {
                    organization_id: org.id.clone(),
                    id: invite.id,
                    metadata: pairs(&[("plan", "pro")]),
                    ..Default::default()
                };
                org.admin.update_invite(update).await.unwrap();
            }
            method.join(&org.stranger, &org.id, &token_or_id).await.unwrap();
            let joined = org.stranger.membership(&org.id, None).await.unwrap();
            assert_eq!(joined.metadata, expected, "{method:?}");
        }
    }

    async fn an_external_id_belongs_to_at_most_one_live_invite_and_one_member(app: TestApp) {
        let org = app.organization().await;
        let calls = (0..6).map(|_| {
            let link = own::CreateLinkRequest {
                external_id: "one".into(),
                max_uses: 1,
                expire_time: app.in_the_future(Duration::from_secs(60)),
                ..link_with(&org.id, "read")
            };
            org.admin.create_link(link)
        });
        let outcomes = join_all(calls).await;
        let made: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        assert_eq!(made.len(), 1, "{outcomes:?}");
        for failure in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert_eq!((failure.code, failure.reason.as_str()), (Code::AlreadyExists, "EXTERNAL_ID_TAKEN"));
        }
        let mailed = invitation(&org.id, "new@example.org", "one");
        let result = org.admin.invite_by_email(mailed.clone()).await.unwrap().results.remove(0);
        assert_eq!(result.outcome(), own::EmailInvitationOutcome::ExternalIdTaken);
        // An expired invite does not keep its external id, even if no worker has ended it yet.
        app.clock.advance(Duration::from_secs(60));
        let result = org.admin.invite_by_email(mailed).await.unwrap().results.remove(0);
        assert_eq!(result.outcome(), own::EmailInvitationOutcome::Invited);
        // If a member has the external id when the invitation is accepted, the join continues
        // without it.
        let name = own::UpdateMemberMetadataRequest {
            organization_id: org.id.clone(),
            member_id: org.member_id.clone(),
            external_id: Some("one".into()),
            ..Default::default()
        };
        org.admin.update_member_metadata(name).await.unwrap();
        let twice = own::InviteByEmailRequest {
            organization_id: org.id.clone(),
            invitations: ["a@example.org", "b@example.org", "zoe@example.com"]
                .iter()
                .zip(["two", "two", "one"])
                .map(|(email, id)| own::EmailInvitation {
                    email: (*email).into(),
                    external_id: id.into(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        let results = org.admin.invite_by_email(twice).await.unwrap().results;
        let outcomes: Vec<_> = results.iter().map(own::EmailInvitationResult::outcome).collect();
        let (invited, taken) = (own::EmailInvitationOutcome::Invited, own::EmailInvitationOutcome::ExternalIdTaken);
        assert_eq!(outcomes, [invited, taken, taken]);
        let invited = invitation(&org.id, "zoe@example.com", "three");
        let invited = org.admin.invite_by_email(invited).await.unwrap().results.remove(0).invite.unwrap();
        let name = own::UpdateMemberMetadataRequest {
            organization_id: org.id.clone(),
            member_id: org.member_id.clone(),
            external_id: Some("three".into()),
            ..Default::default()
        };
        org.admin.update_member_metadata(name).await.unwrap();
        let accept = own::AcceptRequest { invitation: invited.id };
        let joined = org.stranger.accept_invitation(accept).await.unwrap().membership.unwrap();
        assert_eq!((&joined.metadata, joined.external_id.as_str()), (&pairs(&[("dept", "r&d")]), ""));
    }

    async fn a_repeated_request_returns_the_same_link_unless_metadata_differs(app: TestApp) {
        let org = app.organization().await;
        let link = own::CreateLinkRequest {
            metadata: pairs(&[("plan", "pro")]),
            external_id: "one".into(),
            request_id: "r".into(),
            ..link_with(&org.id, "read")
        };
        let first = org.admin.create_link(link.clone()).await.unwrap();
        assert_eq!(org.admin.create_link(link.clone()).await.unwrap(), first);
        let other = own::CreateLinkRequest { metadata: pairs(&[("plan", "free")]), ..link };
        let failure = org.admin.create_link(other).await.unwrap_err();
        assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["request_id".to_owned()]));
    }

    async fn p43_large_metadata_makes_pages_of_the_feed_short(app: TestApp) {
        let org = app.organization().await;
        let large: std::collections::HashMap<_, _> =
            (0..16).map(|i| (format!("k{i}"), "🦀".repeat(500))).collect();
        for _ in 0..20 {
            let link = own::CreateLinkRequest { metadata: large.clone(), ..link_with(&org.id, "read") };
            org.admin.create_link(link).await.unwrap();
        }
        app.settle().await;
        let mut request = own::ListEventsRequest {
            organization_id: org.id.clone(),
            start_time: Some(prost_types::Timestamp::default()),
            types: vec!["invite.created".into()],
            limit: 1000,
            ..Default::default()
        };
        let (mut events, mut pages) = (0, 0);
        loop {
            let page = org.admin.list_events(request.clone()).await.unwrap();
            let with = page.events.iter().filter(|event| match &event.data {
                Some(own::event::Data::Invite(it)) => it.metadata == large,
                _ => false,
            });
            events += with.count();
            pages += 1;
            assert!(page.events.len() < 20, "{}", page.events.len());
            if !page.has_more {
                break;
            }
            request.cursor = page.cursor;
        }
        assert_eq!(events, 20);
        assert!(pages > 1);
    }
}

fn origins(config: &mut Config) {
    config.invites.continue_origins = vec!["https://app.acme.com".into()];
}

async fn check_continue_url(app: &TestApp) {
    let org = app.organization().await;
    let url = "https://app.acme.com/welcome?from=link#x";
    let with = |url: &str| own::CreateLinkRequest {
        continue_url: url.into(),
        ..link_with(&org.id, "read")
    };
    for other in ["https://app.acme.com.evil.com/", "http://app.acme.com/", "https://acme.com/"] {
        let failure = org.admin.create_link(with(other)).await.unwrap_err();
        assert_eq!(
            (failure.code, failure.reason.as_str()),
            (Code::InvalidArgument, "CONTINUE_URL_NOT_ALLOWED")
        );
    }
    let link = org.admin.create_link(with(url)).await.unwrap().invite.unwrap();
    assert_eq!(link.continue_url, url);
    let preview = own::PreviewRequest { token: link.token };
    for _ in 0..2 {
        let shown = org.stranger.preview_invite(preview.clone()).await.unwrap();
        assert_eq!(shown.continue_url, url);
    }
    let invited = own::InviteByEmailRequest {
        continue_url: url.into(),
        ..invitation(&org.id, "zoe@example.com", "")
    };
    let invited = org.admin.invite_by_email(invited).await.unwrap().results.remove(0);
    let accept = own::AcceptRequest { invitation: invited.invite.unwrap().id };
    for _ in 0..2 {
        let accepted = org.stranger.accept_invitation(accept.clone()).await.unwrap();
        assert_eq!(accepted.continue_url, url);
    }
}

#[test]
fn a_continue_url_must_have_an_allowed_origin() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        for protocol in [Protocol::Grpc, Protocol::ConnectJson] {
            run_with(origins, engine, protocol, check_continue_url);
        }
    }
}

on_both_engines! {
    async fn without_allowed_origins_every_continue_url_is_rejected_or_hidden(app: TestApp) {
        let org = app.organization().await;
        let link = own::CreateLinkRequest {
            continue_url: "https://app.acme.com/".into(),
            ..link_with(&org.id, "read")
        };
        let failure = org.admin.create_link(link).await.unwrap_err();
        assert_eq!(failure.reason, "CONTINUE_URL_NOT_ALLOWED");
        let link = org.admin.link(&org.id, "read").await.unwrap();
        let connection = app.database.connect().await;
        let edit = "UPDATE invites SET continue_url = 'https://evil.example/'";
        connection.execute_unprepared(edit).await.unwrap();
        connection.close().await.unwrap();
        let shown = org.stranger.preview_invite(own::PreviewRequest { token: link.token });
        assert_eq!(shown.await.unwrap().continue_url, "");
    }

    async fn the_locale_of_an_invitation_defaults_to_that_of_the_request(app: TestApp) {
        let org = app.organization().await;
        let mut request = own::InviteByEmailRequest {
            locale: "PT-br".into(),
            ..invitation(&org.id, "a@example.org", "")
        };
        let one = own::EmailInvitation {
            email: "b@example.org".into(),
            locale: "de".into(),
            ..Default::default()
        };
        request.invitations.push(one);
        let results = org.admin.invite_by_email(request.clone()).await.unwrap().results;
        let locales: Vec<_> = results.into_iter().map(|one| one.invite.unwrap().locale).collect();
        assert_eq!(locales, ["pt-BR", "de"]);
        request.invitations[1].locale = "../de".into();
        let failure = org.admin.invite_by_email(request).await.unwrap_err();
        assert_eq!(failure.fields, ["invitations[1].locale"]);
    }

    async fn a_join_link_can_have_metadata_but_no_limit_of_uses(app: TestApp) {
        let org = app.organization().await;
        let list = own::ListRequest {
            organization_id: org.id.clone(),
            filter: Some(own::InviteFilter { kinds: vec![1], states: vec![1], ..Default::default() }),
            ..Default::default()
        };
        let id = org.admin.list_invites(list).await.unwrap().invites[0].id.clone();
        let update = own::UpdateRequest {
            organization_id: org.id.clone(),
            id,
            metadata: pairs(&[("plan", "pro")]),
            ..Default::default()
        };
        org.admin.update_invite(update.clone()).await.unwrap();
        let failure = own::UpdateRequest { max_uses: Some(9), ..update };
        let failure = org.admin.update_invite(failure).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "JOIN_LINK"));
        let token = org.admin.current_invite(&org.id).await.unwrap();
        org.stranger.join(&token).await.unwrap();
        let joined = org.stranger.membership(&org.id, None).await.unwrap();
        assert_eq!(joined.metadata, pairs(&[("plan", "pro")]));
        // P03: the next join link has no metadata.
        let next = org.admin.invite(&org.id).await.unwrap();
        let gus = app.person("gus").await;
        gus.join(&next).await.unwrap();
        assert_eq!(gus.membership(&org.id, None).await.unwrap().metadata.len(), 0);
    }
}
