//! Email invitations that only an account of the organization's single sign-on can accept.

use guestlist::clock::Clock;
use guestlist::domain::{Organization, Tier};
use guestlist::storage::change;
use guestlist::storage::organizations;
use serde_json::json;

use super::{ACME, Fixture, SSO_ORGANIZATION, on_both_engines, open_to_acme};
use crate::rest::client::send_json;
use crate::support::{Code, Person, own};

use own::EmailInvitationOutcome as Outcome;

/// Creates the organization whose id is in the configuration; returns its admin, who uses an
/// API key.
async fn organization(fixture: &Fixture) -> Person {
    let admin = fixture.app.person("ana").await;
    let now = fixture.app.clock.now();
    let new = Organization {
        id: SSO_ORGANIZATION.parse().unwrap(),
        name: "Acme".parse().unwrap(),
        invite_domains: Vec::new(),
        tier: Tier::Free,
        creator: admin.account().await,
        created_at: now,
        updated_at: now,
        version: 1,
        member_count: 0,
        seat_limit: 0,
        next_member_end: None,
        attributes: Default::default(),
    };
    let insert =
        fixture.app.store().write(change!(async move |tx| organizations::insert(tx, &new).await));
    insert.await.unwrap();
    admin.join_by_id(SSO_ORGANIZATION).await.unwrap();
    admin
}

/// Zoe, signed in by the organization's single sign-on.
fn by_single_sign_on(fixture: &Fixture) -> Person {
    let claims = json!({ "sub": "zoe", "email": "zoe@acme.com", "email_verified": true });
    fixture.bearer(ACME, &claims)
}

fn request(emails: &[&str]) -> own::InviteByEmailRequest {
    let invitation = |email: &&str| own::EmailInvitation {
        email: (*email).into(),
        role: String::new(),
        ..Default::default()
    };
    own::InviteByEmailRequest {
        organization_id: SSO_ORGANIZATION.into(),
        invitations: emails.iter().map(invitation).collect(),
        sso: true,
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sso_invitation_is_accepted_only_by_an_sso_account() {
    on_both_engines(async |fixture| {
        let admin = organization(fixture).await;
        let request = request(&["zoe@acme.com", "zoe@elsewhere.com"]);
        let results = admin.invite_by_email(request).await.unwrap().results;
        assert_eq!(results[0].outcome(), Outcome::Invited);
        assert_eq!(results[1].outcome(), Outcome::DomainNotAllowed, "no account could accept it");
        let invite = results[0].invite.clone().unwrap();
        assert!(invite.sso);

        // The address is the invited one and verified, but the account does not use single sign-on.
        let by_key = fixture.app.person_with("zoe@acme.com").await;
        let failure = by_key.join(&invite.id).await.unwrap_err();
        assert_eq!(
            (failure.code, failure.reason.as_str()),
            (Code::PermissionDenied, "SSO_REQUIRED")
        );
        assert_eq!(admin.invite_by_id(SSO_ORGANIZATION, &invite.id).await.unwrap().uses, 0);
        let by_sso = by_single_sign_on(fixture);
        let member = by_sso.join(&invite.id).await.unwrap();
        assert_eq!((member.user_id, member.login_provider.as_str()), (invite.member_id, "acme"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sso_member_of_another_organization_gets_an_ordinary_invitation() {
    on_both_engines(async |fixture| {
        let admin = organization(fixture).await;
        let zoe = by_single_sign_on(fixture);
        zoe.new_organization("Elsewhere").await;
        let results = admin.invite_by_email(request(&["zoe@acme.com"])).await.unwrap().results;
        assert_eq!(results[0].outcome(), Outcome::Invited);
        let invite = results[0].invite.clone().unwrap();
        assert!(!invite.sso, "an ordinary invitation");
        let by_key = fixture.app.person_with("zoe@acme.com").await;
        by_key.join(&invite.id).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gitbook_contract_lists_addresses_that_cannot_use_sso() {
    on_both_engines(async |fixture| {
        let admin = organization(fixture).await;
        let invites = format!("/v1/orgs/{SSO_ORGANIZATION}/invites");
        by_single_sign_on(fixture).new_organization("Elsewhere").await;
        let body = json!({ "emails": ["zoe@acme.com", "yan@acme.com"], "sso": true });
        let answer = send_json(&admin, "POST", &invites, &body).await.json(200);
        assert_eq!(answer["invited"], 2);
        assert_eq!(answer["failedSSOEmails"], json!(["zoe@acme.com"]));
        let request =
            own::ListRequest { organization_id: SSO_ORGANIZATION.into(), ..Default::default() };
        let mut listed = admin.list_invites(request).await.unwrap().invites;
        listed.sort_by(|a, b| b.email.cmp(&a.email));
        let shown: Vec<_> =
            listed.iter().map(|invite| (invite.email.as_str(), invite.sso)).collect();
        assert_eq!(shown, [("zoe@acme.com", false), ("yan@acme.com", true)]);
        let members: Vec<_> = listed.iter().map(|invite| json!(invite.member_id)).collect();
        assert_eq!(answer["users"], json!(members));

        // A request that does not set `sso` gets no `failedSSOEmails`.
        let body = json!({ "emails": ["xi@acme.com"] });
        let answer = send_json(&admin, "POST", &invites, &body).await.json(200);
        assert_eq!(answer.get("failedSSOEmails"), None);
        // An organization without single sign-on rejects a request that sets `sso`.
        let (other, _) = admin.new_organization("Other").await;
        let invites = format!("/v1/orgs/{other}/invites");
        let body = json!({ "emails": ["w@acme.com"], "sso": true });
        let answer = send_json(&admin, "POST", &invites, &body).await.json(400);
        assert_eq!(answer["error"]["code"], 400);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p17_a_domain_join_uses_an_sso_invitation_only_with_an_sso_account() {
    on_both_engines(async |fixture| {
        let admin = organization(fixture).await;
        open_to_acme(&admin, SSO_ORGANIZATION).await;
        let invite = async |email: &str| {
            let mut request = request(&[email]);
            request.invitations[0].role = "create".into();
            admin.invite_by_email(request).await.unwrap().results.remove(0).invite.unwrap()
        };
        let role = async |who: &Person| {
            let mine = who.list_my_organizations(Default::default()).await.unwrap();
            mine.organizations[0].role.clone()
        };
        let invited = invite("yan@acme.com").await;
        let by_key = fixture.app.person_with("yan@acme.com").await;
        let member = by_key.join_by_id(SSO_ORGANIZATION).await.unwrap();
        assert_ne!(member.user_id, invited.member_id);
        assert_eq!(role(&by_key).await, "member");
        let ended = admin.invite_by_id(SSO_ORGANIZATION, &invited.id).await.unwrap();
        assert_eq!((ended.end_reason.as_str(), ended.uses), ("ALREADY_MEMBER", 0));

        let invited = invite("zoe@acme.com").await;
        let by_sso = by_single_sign_on(fixture);
        let member = by_sso.join_by_id(SSO_ORGANIZATION).await.unwrap();
        assert_eq!(member.user_id, invited.member_id);
        assert_eq!(role(&by_sso).await, "create");
        let used = admin.invite_by_id(SSO_ORGANIZATION, &invited.id).await.unwrap();
        assert_eq!((used.end_reason.as_str(), used.uses), ("ACCEPTED", 1));
    })
    .await;
}
