//! How often invites may be made, shown and used.

mod http;
mod lists;

use std::time::Duration;

use guestlist::config::Config;
use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;
use prost::Message;

use crate::support::{
    Code, Engine, Failure, Person, Protocol, TestApp, link_to, own, run_with, trust_intranet,
};

/// Runs a behaviour under these settings on both engines, over gRPC and Connect.
macro_rules! limited {
    ($($settings:ident: async fn $name:ident($app:ident: TestApp) $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn behaviour($app: &TestApp) $body

            #[test]
            fn sqlite() {
                let behaviour = async |app: &TestApp| behaviour(app).await;
                run_with($settings, Engine::Sqlite, Protocol::ConnectJson, behaviour);
            }

            #[test]
            fn postgres() {
                let behaviour = async |app: &TestApp| behaviour(app).await;
                run_with($settings, Engine::Postgres, Protocol::Grpc, behaviour);
            }
        }
    )+};
}

fn few_invites(config: &mut Config) {
    config.limits.invites_per_account = 4;
    config.limits.invites_per_organization = 6;
}

fn two_for_an_address(config: &mut Config) {
    config.limits.invites_per_address = 2;
}

fn few_joins(config: &mut Config) {
    config.limits.joins_per_account = 3;
    config.limits.joins_per_network = 6;
}

fn few_previews(config: &mut Config) {
    config.public_preview = true;
    config.limits.previews_per_account = 2;
    config.limits.previews_per_network = 4;
}

fn behind_a_proxy(config: &mut Config) {
    few_previews(config);
    config.http.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
}

fn with_a_service(config: &mut Config) {
    trust_intranet(config);
    config.limits.joins_per_account = 3;
    config.limits.joins_per_network = 1;
}

/// The retry delay of a rejected call.
#[track_caller]
fn retry_delay<T>(result: Result<T, Failure>) -> Duration {
    let failure = result.err().expect("the limit is reached");
    assert_eq!((failure.code, failure.reason.as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    failure.retry_after.expect("the error has a retry delay")
}

fn mail_to(organization: &str, addresses: &[&str]) -> own::InviteByEmailRequest {
    let invitation = |email: &&str| own::EmailInvitation {
        email: (*email).to_owned(),
        role: "read".to_owned(),
        ..Default::default()
    };
    own::InviteByEmailRequest {
        organization_id: organization.to_owned(),
        invitations: addresses.iter().map(invitation).collect(),
        ..Default::default()
    }
}

/// How many invites an organization has ever had.
async fn invites(admin: &Person, organization: &str) -> i64 {
    let list = own::ListRequest {
        organization_id: organization.to_owned(),
        count: true,
        ..Default::default()
    };
    admin.list_invites(list).await.unwrap().count.unwrap()
}

fn unknown_token() -> String {
    uuid::Uuid::new_v4().to_string()
}

limited! {
    few_invites: async fn invites_are_limited_by_account_and_by_organization(app: TestApp) {
        // The organization has made one invite so far: the one by which the member joined.
        let org = app.organization().await;
        // Calls of accounts that may not invite do not count.
        for _ in 0..8 {
            assert_eq!(org.stranger.link(&org.id, "read").await.unwrap_err().code, Code::NotFound);
            let failure = org.member.link(&org.id, "read").await.unwrap_err();
            assert_eq!(failure.code, Code::PermissionDenied);
        }
        let link = own::CreateLinkRequest {
            grants: Some(own::create_link_request::Grants::Role("read".into())),
            request_id: "once".into(),
            ..link_to(&org.id)
        };
        let first = org.admin.create_link(link.clone()).await.unwrap().invite.unwrap();
        let two = mail_to(&org.id, &["a@example.org", "b@example.org"]);
        let mailed = org.admin.invite_by_email(two.clone()).await.unwrap().results;

        let before = invites(&org.admin, &org.id).await;
        let delay = retry_delay(org.admin.link(&org.id, "read").await);
        assert!(delay <= Duration::from_secs(15 * 60 + 1), "{delay:?}");
        retry_delay(org.admin.invite(&org.id).await);
        retry_delay(org.admin.invite_address(&org.id, "c@example.org", "read").await);
        let resend = own::ResendRequest {
            organization_id: org.id.clone(),
            id: mailed[0].invite.as_ref().unwrap().id.clone(),
            ..Default::default()
        };
        retry_delay(org.admin.resend_invite(resend).await);
        assert_eq!(invites(&org.admin, &org.id).await, before, "nothing is written");

        // Calls that make no invite still succeed: the live join link, a repeated request,
        // addresses that are invited already.
        org.admin.current_invite(&org.id).await.unwrap();
        let again = org.admin.create_link(link).await.unwrap().invite.unwrap();
        assert_eq!(again.id, first.id);
        let again = org.admin.invite_by_email(two).await.unwrap().results;
        assert!(again.iter().all(|one| one.invite.is_none()));

        // Another admin has a separate limit, but the organization's limit is shared.
        let role = own::SetMemberRoleRequest {
            organization_id: org.id.clone(),
            member_id: org.member_id.clone(),
            role: "admin".into(),
        };
        org.admin.set_member_role(role).await.unwrap();
        org.member.link(&org.id, "read").await.unwrap();
        org.member.link(&org.id, "read").await.unwrap();
        let delay = retry_delay(org.member.link(&org.id, "read").await);
        let (elsewhere, _) = org.member.new_organization("Elsewhere").await;
        org.member.link(&elsewhere, "read").await.unwrap();

        app.clock.advance(delay);
        org.member.link(&org.id, "read").await.unwrap();
        retry_delay(org.member.link(&org.id, "read").await);
        // A call for more invites than the limit never succeeds, so it gets no retry delay.
        let five = ["d@a.org", "e@a.org", "f@a.org", "g@a.org", "h@a.org"];
        let failure = org.admin.invite_by_email(mail_to(&org.id, &five)).await.unwrap_err();
        assert_eq!((failure.reason.as_str(), failure.retry_after), ("RATE_LIMITED", None));
    }

    few_invites: async fn a_join_link_counts_as_an_invite_only_when_it_is_created(app: TestApp) {
        let ana = app.person("ana").await;
        let (id, _) = ana.new_organization("Acme").await;
        for _ in 0..3 {
            ana.link(&id, "read").await.unwrap();
        }
        let token = ana.current_invite(&id).await.unwrap();
        assert_eq!(ana.current_invite(&id).await.unwrap(), token);
        let (other, _) = ana.new_organization("Other").await;
        retry_delay(ana.current_invite(&other).await);
    }

    two_for_an_address: async fn invitations_to_one_address_are_limited_across_organizations(app: TestApp) {
        let org = app.organization().await;
        let (other, _) = org.stranger.new_organization("Other").await;
        let victim = "victim@example.org";
        org.admin.invite_address(&org.id, victim, "read").await.unwrap();
        let invited = org.stranger.invite_address(&other, victim, "read").await.unwrap();
        let invite = invited.invite.unwrap();
        org.stranger.revoke(&other, &invite.id).await.unwrap();

        let both = mail_to(&other, &["free@example.org", "Victim@Example.ORG"]);
        let delay = retry_delay(org.stranger.invite_by_email(both.clone()).await);
        assert_eq!(invites(&org.stranger, &other).await, 1, "a call makes all invites or none");
        org.stranger.invite_address(&other, "free@example.org", "read").await.unwrap();
        app.clock.advance(delay);
        let results = org.stranger.invite_by_email(both).await.unwrap().results;
        assert!(results[1].invite.is_some());
    }

    few_joins: async fn successful_and_failed_joins_are_limited_by_account_and_network(app: TestApp) {
        // The member has joined once. All accounts are in the same network.
        let org = app.organization().await;
        let token = org.admin.current_invite(&org.id).await.unwrap();
        let unknown = unknown_token();
        let decline = own::DeclineRequest { invitation: unknown.clone(), ..Default::default() };
        assert_eq!(org.stranger.join(&unknown).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.decline_invite(decline).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.join_by_id(&unknown).await.unwrap_err().code, Code::NotFound);
        let delay = retry_delay(org.stranger.join(&token).await);
        assert!(delay <= Duration::from_secs(21), "{delay:?}");
        assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 2);

        org.member.join(&token).await.unwrap();
        org.admin.join(&token).await.unwrap();
        retry_delay(app.person("gus").await.join(&token).await);
        app.clock.advance(delay);
        org.stranger.join(&token).await.unwrap();
    }

    with_a_service: async fn accounts_of_a_service_are_not_limited_by_its_network(app: TestApp) {
        let ana = app.person("ana").await;
        let (id, _) = ana.new_organization("Acme").await;
        let token = ana.invite(&id).await.unwrap();
        let owner = Owner::Service("portal".parse().unwrap());
        let service = app.key(owner, Some(KeyScope::Act), None).await;
        for subject in 0..4 {
            let person = own::ResolveAccountRequest {
                issuer: "intranet".into(),
                subject: subject.to_string(),
                ..Default::default()
            };
            let account = service.resolve_account(person).await.unwrap().account.unwrap();
            let person = service.on_behalf_of(&account.id);
            for _ in 0..3 {
                person.join(&token).await.unwrap();
            }
            retry_delay(person.join(&token).await);
        }
        app.person("gus").await.join(&token).await.unwrap();
        retry_delay(app.person("zoe").await.join(&token).await);
    }

    few_previews: async fn previews_are_limited_and_a_spoofed_header_is_ignored(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.current_invite(&org.id).await.unwrap();
        org.stranger.preview(&token).await.unwrap();
        org.stranger.preview(&token).await.unwrap();
        retry_delay(org.stranger.preview(&token).await);
        org.member.preview(&token).await.unwrap();
        preview_from(app, "192.0.2.1", &token).await.unwrap();
        let delay = retry_delay(preview_from(app, "192.0.2.2", &token).await);
        retry_delay(app.without_credential().preview(&token).await);
        retry_delay(org.member.preview(&unknown_token()).await);
        app.clock.advance(delay);
        app.without_credential().preview(&token).await.unwrap();
    }

    behind_a_proxy: async fn each_client_behind_a_trusted_proxy_has_its_own_limit(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.current_invite(&org.id).await.unwrap();
        for client in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            for _ in 0..4 {
                preview_from(app, client, &token).await.unwrap();
            }
            retry_delay(preview_from(app, client, &token).await);
        }
        retry_delay(preview_from(app, "2001:db8::2", &token).await);
        retry_delay(preview_from(app, "192.0.2.9, 192.0.2.1", &token).await);
        preview_from(app, "2001:db8:0:1::2", &token).await.unwrap();
    }
}

/// A preview without a credential. The `x-forwarded-for` header has the client's address.
async fn preview_from(app: &TestApp, client: &str, token: &str) -> Result<(), Failure> {
    let path = "/guestlist.v1.InviteService/Preview";
    let message = own::PreviewRequest { token: token.to_owned() }.encode_to_vec();
    let headers = [("x-forwarded-for", client.to_owned())];
    app.client().unary(path, &headers, message).await.map(|_| ())
}
