//! P10: an account's newest removal by an admin counts, whatever happens after it.

use guestlist::clock::Clock;
use guestlist::config::Config;
use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;

use super::{JoinMethod, open_domain};
use crate::support::{Code, Person, TestApp, own, trust_intranet};
use crate::{on_both_engines, on_both_engines_with};

const ZOE: &str = "zoe@example.com";

fn with_issuer(config: &mut Config) {
    trust_intranet(config);
    config.limits.invites_per_account = 0;
    config.limits.invites_per_address = 0;
    config.limits.joins_per_account = 0;
    config.limits.joins_per_network = 0;
}

/// Sets Zoe's address; returns the id of Zoe's account.
async fn set_address_of_zoe(service: &Person, email: &str) -> String {
    let request = own::ResolveAccountRequest {
        issuer: "intranet".into(),
        subject: "zoe".into(),
        email: email.into(),
        email_verified: true,
        ..Default::default()
    };
    service.resolve_account(request).await.unwrap().account.unwrap().id
}

/// Makes a link by which Zoe joins as a guest; returns the member's id.
async fn join_as_guest(admin: &Person, zoe: &Person, org: &str) -> String {
    let link = admin.link(org, "guest").await.unwrap();
    zoe.join(&link.token).await.unwrap().user_id
}

/// The steps between the removal and the attempts to join again.
const AFTERWARDS: [&str; 5] = ["", "leave", "leave leave", "suspend restore leave", "remove leave"];

async fn removed_account_is_rejected(app: &TestApp) {
    // With a stopped clock, neither times nor ids show the order of events.
    app.clock.stop_at(app.clock.now());
    let admin = app.person("ana").await;
    let service = Owner::Service("portal".parse().unwrap());
    let service = app.key(service, Some(KeyScope::Act), None).await;
    let zoe = service.on_behalf_of(&set_address_of_zoe(&service, ZOE).await);
    for afterwards in AFTERWARDS {
        let (org, _) = admin.new_organization("Acme").await;
        open_domain(&admin, &org).await;

        // Zoe gets the invited address back only after the removal, so the invitation stays
        // pending until then.
        set_address_of_zoe(&service, "other@example.com").await;
        let member = join_as_guest(&admin, &zoe, &org).await;
        let mail = admin.invite_address(&org, ZOE, "admin").await.unwrap().invite.unwrap();
        let token = app.mailed_token(&org, &mail.id).await;
        let named = admin.link(&org, "admin").await.unwrap().token;
        let join_link = admin.invite(&org).await.unwrap();

        admin.end(&member).await.unwrap();
        for step in afterwards.split_whitespace() {
            let member = match step {
                "restore" => continue,
                _ => join_as_guest(&admin, &zoe, &org).await,
            };
            let of = (org.clone(), member.clone());
            match step {
                "leave" => zoe.end(&member).await.unwrap(),
                "remove" => admin.end(&member).await.unwrap(),
                _ => {
                    let (organization_id, member_id) = of.clone();
                    let request = own::SuspendMemberRequest { organization_id, member_id };
                    admin.suspend_member(request).await.unwrap();
                    let (organization_id, member_id) = of;
                    let request = own::RestoreMemberRequest { organization_id, member_id };
                    admin.restore_member(request).await.unwrap();
                    zoe.end(&member).await.unwrap();
                }
            }
        }

        set_address_of_zoe(&service, ZOE).await;
        for method in JoinMethod::ALL {
            let token_or_id = match method {
                JoinMethod::JoinLink => &join_link,
                JoinMethod::NamedLink | JoinMethod::Rest => &named,
                JoinMethod::MailToken => &token,
                JoinMethod::MailId => &mail.id,
                JoinMethod::Domain => "",
            };
            let entered = method.join(&zoe, &org, token_or_id).await;
            assert_eq!(entered, Err(Code::NotFound), "{method:?} after `{afterwards}`");
        }
        let kept = admin.invite_by_id(&org, &mail.id).await.unwrap();
        assert_eq!((kept.uses, kept.state()), (0, own::InviteState::Live), "no use is spent");

        // After it is sent again, the same invitation counts as newer than the removal.
        let again = own::ResendRequest {
            organization_id: org.clone(),
            id: mail.id.clone(),
            ..Default::default()
        };
        admin.resend_invite(again).await.unwrap();
        let entered = JoinMethod::Domain.join(&zoe, &org, "").await;
        assert_eq!(entered, Err(Code::NotFound), "no join by domain, even with a newer invitation");
        assert_eq!(JoinMethod::MailId.join(&zoe, &org, &mail.id).await, Ok(()));
        assert_eq!(admin.invite_by_id(&org, &mail.id).await.unwrap().uses, 1);
    }
}

on_both_engines_with! {
    with_issuer;
    p10_a_removed_account_needs_a_later_invite_for_every_join_method: removed_account_is_rejected;
}

on_both_engines! {
    async fn p10_after_a_removal_every_new_invite_works(app: TestApp) {
        app.clock.stop_at(app.clock.now());
        for method in [JoinMethod::JoinLink, JoinMethod::NamedLink, JoinMethod::Rest, JoinMethod::MailToken, JoinMethod::MailId] {
            let org = app.organization().await;
            let member = join_as_guest(&org.admin, &org.stranger, &org.id).await;
            org.admin.end(&member).await.unwrap();
            let token_or_id = match method {
                JoinMethod::JoinLink => org.admin.invite(&org.id).await.unwrap(),
                JoinMethod::NamedLink | JoinMethod::Rest => {
                    org.admin.link(&org.id, "read").await.unwrap().token
                }
                _ => {
                    let invited = org.admin.invite_address(&org.id, ZOE, "read").await.unwrap();
                    let id = invited.invite.unwrap().id;
                    match method {
                        JoinMethod::MailToken => app.mailed_token(&org.id, &id).await,
                        _ => id,
                    }
                }
            };
            assert_eq!(method.join(&org.stranger, &org.id, &token_or_id).await, Ok(()), "{method:?}");
        }
    }

    async fn p10_a_removed_creator_does_not_come_back_by_id(app: TestApp) {
        let (ana, ben) = (app.person("ana").await, app.person("ben").await);
        let (org, founder) = ana.new_organization("Acme").await;
        let link = ana.link(&org, "admin").await.unwrap();
        let ben_id = ben.join(&link.token).await.unwrap().user_id;
        ben.end(&founder).await.unwrap();
        let back = ben.link(&org, "guest").await.unwrap();
        let guest = ana.join(&back.token).await.unwrap().user_id;
        ana.end(&guest).await.unwrap();
        ben.end(&ben_id).await.unwrap();
        // The organization has no admin now. Ana created it, but was removed from it.
        assert_eq!(ana.join_by_id(&org).await.unwrap_err().code, Code::NotFound);
    }

    async fn p10_a_removal_does_not_affect_other_accounts_or_organizations(app: TestApp) {
        let org = app.organization().await;
        open_domain(&org.admin, &org.id).await;
        let before = org.admin.link(&org.id, "read").await.unwrap();
        // A removal from another organization does not count in this one.
        let (other, _) = org.admin.new_organization("Other").await;
        let link = org.admin.link(&other, "read").await.unwrap();
        let elsewhere = org.stranger.join(&link.token).await.unwrap().user_id;
        org.admin.end(&elsewhere).await.unwrap();
        org.admin.end(&org.member_id).await.unwrap();
        org.stranger.join(&before.token).await.unwrap();
        // Leaving is not a removal: the account can join again by domain and by an older link.
        let gus = app.person("gus").await;
        for _ in 0..2 {
            let member = gus.join_by_id(&org.id).await.unwrap().user_id;
            gus.end(&member).await.unwrap();
            let member = gus.join(&before.token).await.unwrap().user_id;
            gus.end(&member).await.unwrap();
        }
    }
}
