//! A caller without access learns nothing, over any protocol.

use guestlist::operations::keys::Owner;
use http::{HeaderMap, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use uuid::Uuid;

use super::connection::Answer;
use super::request::TestRequest;
use super::rpc;
use super::transport::{Form, Transport};
use crate::on_both_engines;
use crate::support::{Code, Engine, Person, TestApp, own};

/// A whole response, without its request id and date.
#[derive(Debug, PartialEq, Eq)]
struct ComparableResponse {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: HeaderMap,
}

impl ComparableResponse {
    fn by(mut answer: Answer) -> Self {
        for name in ["date", "x-request-id"] {
            assert!(answer.headers.remove(name).is_some(), "{name}");
        }
        // The response contains no data of the organization or of its members.
        for inside in ["Acme", "example.com", "ana", "ben"] {
            assert!(!answer.contains(inside), "{inside}: {answer:?}");
        }
        Self {
            status: answer.status.as_u16(),
            headers: answer.headers,
            body: answer.body.to_vec(),
            trailers: answer.trailers,
        }
    }
}

/// Sends the same request for each subject, over every protocol. Within a protocol, all responses
/// must be the same NOT_FOUND.
async fn assert_same_not_found(
    app: &TestApp,
    by: &Person,
    path: &str,
    subjects: &[(&str, String)],
    request: impl Fn(&str) -> Value,
) {
    for transport in Transport::ALL {
        let mut connection = transport.connect(app).await;
        let mut answers: Vec<ComparableResponse> = Vec::new();
        for (name, subject) in subjects {
            let call = TestRequest::new(transport, path, &request(subject)).by(by);
            let answer = call.send(&mut connection).await;
            let failure = transport.read(path, &answer).expect_err(name);
            assert_eq!(failure.code, Code::NotFound, "{path} {name} {failure:?}");
            answers.push(ComparableResponse::by(answer));
            assert_eq!(answers.first(), answers.last(), "{path} {name}");
        }
    }
}

/// Changes the one live invite of an organization directly in the database.
async fn alter(app: &TestApp, organization: &str, change: &str) {
    let id: Uuid = organization.parse().unwrap();
    let id = match app.database.engine {
        Engine::Postgres => format!("'{id}'"),
        Engine::Sqlite => format!("x'{}'", id.simple()),
    };
    let sql =
        format!("UPDATE invites SET {change} WHERE state = 'live' AND organization_id = {id}");
    let connection = app.database.connect().await;
    let done = connection.execute_unprepared(&sql).await.unwrap();
    assert_eq!(done.rows_affected(), 1, "{sql}");
    connection.close().await.unwrap();
}

/// Tokens that no account can join with, each for a different reason.
async fn dead_tokens(app: &TestApp) -> Vec<(&'static str, String)> {
    let org = app.organization().await;
    let replaced = org.admin.invite(&org.id).await.unwrap();
    org.admin.invite(&org.id).await.unwrap();

    let (id, _) = org.member.new_organization("Acme, deleted").await;
    let deleted = org.member.invite(&id).await.unwrap();
    org.member.delete(&id).await.unwrap();

    let (id, founder) = org.member.new_organization("Acme, left").await;
    let revoked = org.member.invite(&id).await.unwrap();
    org.member.end(&founder).await.unwrap();

    let (id, _) = org.member.new_organization("Acme, expired").await;
    let expired = org.member.invite(&id).await.unwrap();
    alter(app, &id, "expires_at = 1").await;

    let (id, _) = org.member.new_organization("Acme, exhausted").await;
    let exhausted = org.member.invite(&id).await.unwrap();
    alter(app, &id, "max_uses = 1").await;
    app.person("first").await.join(&exhausted).await.unwrap();

    // Email invitations to another account than the caller.
    let gus = app.person("gus").await;
    let mut mailed = Vec::new();
    for _ in 0..4 {
        let invited = org.admin.invite_address(&org.id, "gus@example.com", "read").await.unwrap();
        let id = invited.invite.unwrap().id;
        let token = app.mailed_token(&org.id, &id).await;
        match mailed.len() {
            0 => {
                let decline = own::DeclineRequest { invitation: id, request_id: String::new() };
                gus.decline_invite(decline).await.unwrap();
            }
            1 => drop(org.admin.revoke(&org.id, &id).await.unwrap()),
            2 => {
                let again = own::ResendRequest {
                    organization_id: org.id.clone(),
                    id: id.clone(),
                    ..Default::default()
                };
                org.admin.resend_invite(again).await.unwrap();
                org.admin.revoke(&org.id, &id).await.unwrap();
            }
            _ => drop(gus.join(&token).await.unwrap()),
        }
        mailed.push(token);
    }
    let pending = org.admin.invite_address(&org.id, "eve@example.com", "read").await.unwrap();
    let [declined, withdrawn, resent, accepted] = mailed.try_into().unwrap();

    vec![
        ("unknown", Uuid::new_v4().to_string()),
        ("declined", declined),
        ("withdrawn", withdrawn),
        ("resent", resent),
        ("accepted", accepted),
        ("somebody else's, by its id", pending.invite.unwrap().id),
        ("replaced", replaced),
        ("deleted", deleted),
        ("revoked", revoked),
        ("expired", expired),
        ("exhausted", exhausted),
    ]
}

on_both_engines! {
    async fn p26_ended_links_are_indistinguishable(app: TestApp) {
        let dead = dead_tokens(app).await;
        let zoe = app.person("zoe").await;
        let by_token = |token: &str| json!({"inviteId": token});
        // Previews come before and after the joins: a rejected join must not make the tokens
        // distinguishable.
        assert_same_not_found(app, &zoe, rpc::PREVIEW, &dead, by_token).await;
        assert_same_not_found(app, &zoe, rpc::JOIN, &dead, by_token).await;
        assert_same_not_found(app, &zoe, rpc::PREVIEW, &dead, by_token).await;
        let by_token = |token: &str| json!({"token": token});
        assert_same_not_found(app, &zoe, "/guestlist.v1.InviteService/Preview", &dead, by_token).await;
        let by_name = |name: &str| json!({"invitation": name});
        assert_same_not_found(app, &zoe, "/guestlist.v1.InviteService/Decline", &dead, by_name).await;
    }

    async fn p26_ended_links_are_indistinguishable_in_a_browser(app: TestApp) {
        let dead = dead_tokens(app).await;
        let zoe = app.person("zoe").await;
        for transport in Transport::of(Form::Json) {
            let mut answers = Vec::new();
            for (_, token) in &dead {
                let message = json!({"inviteId": token}).to_string();
                let message = utf8_percent_encode(&message, NON_ALPHANUMERIC);
                let path = format!("{}?connect=v1&encoding=json&message={message}", rpc::PREVIEW);
                let call = TestRequest::raw(transport, &path, "").verb(Method::GET).by(&zoe);
                let answer = call.once(app).await;
                assert_eq!(answer.status, 404);
                answers.push(ComparableResponse::by(answer));
            }
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        }
    }

    async fn p26_a_key_bound_to_one_organization_sees_no_other(app: TestApp) {
        let org = app.organization().await;
        let (own, _) = org.stranger.new_organization("Own").await;
        let live = org.admin.invite(&org.id).await.unwrap();
        let owner = Owner::Account(org.stranger.account().await);
        let bound = app.key(owner, None, Some(own.parse().unwrap())).await;
        let tokens = [("unknown", Uuid::new_v4().to_string()), ("foreign", live.clone())];
        for path in [rpc::PREVIEW, rpc::JOIN] {
            assert_same_not_found(app, &bound, path, &tokens, |token| json!({"inviteId": token})).await;
        }
        org.stranger.preview(&live).await.expect("the invite is valid");
    }

    async fn p26_organizations_of_others_are_indistinguishable(app: TestApp) {
        const SERVICE: &str = "/gitpod.v1.OrganizationService";
        let org = app.organization().await;
        org.admin.invite(&org.id).await.unwrap();
        let (deleted, _) = org.admin.new_organization("Acme, deleted").await;
        org.admin.delete(&deleted).await.unwrap();
        let (left, founder) = org.stranger.new_organization("Left").await;
        org.stranger.end(&founder).await.unwrap();
        let organizations = [
            ("unknown", Uuid::now_v7().to_string()),
            ("of others", org.id.clone()),
            ("deleted", deleted),
        ];
        let user = &org.member_id;
        let role = "ORGANIZATION_ROLE_MEMBER";
        for method in [
            "GetOrganization",
            "JoinOrganization",
            "DeleteOrganization",
            "ListMembers",
            "CreateOrganizationInvite",
            "GetOrganizationInvite",
        ] {
            let path = format!("{SERVICE}/{method}");
            let by_id = |id: &str| json!({"organizationId": id});
            assert_same_not_found(app, &org.stranger, &path, &organizations, by_id).await;
        }
        let update = |id: &str| json!({"organizationId": id, "name": "Taken"});
        let path = format!("{SERVICE}/UpdateOrganization");
        assert_same_not_found(app, &org.stranger, &path, &organizations, update).await;
        let ben = org.member.account().await.to_string();
        for request in [
            json!({}),
            json!({"accountId": ben}),
            json!({"memberId": org.member_id}),
        ] {
            let membership = |id: &str| {
                let mut request = request.clone();
                request["organizationId"] = json!(id);
                request
            };
            let path = "/guestlist.v1.MemberService/GetMembership";
            assert_same_not_found(app, &org.stranger, path, &organizations, membership).await;
        }
        let add = |id: &str| json!({"organizationId": id, "accountId": ben, "role": "read"});
        let path = "/guestlist.v1.MemberService/AddMember";
        assert_same_not_found(app, &org.stranger, path, &organizations, add).await;
        let leave = |id: &str| json!({"organizationId": id, "successorMemberId": org.member_id});
        let path = "/guestlist.v1.MemberService/LeaveOrganization";
        assert_same_not_found(app, &org.stranger, path, &organizations, leave).await;
        let members = [
            ("unknown", Uuid::now_v7().to_string()),
            ("admin", org.admin_id.clone()),
            ("member", org.member_id.clone()),
        ];
        let of_member = |id: &str| json!({"organizationId": org.id, "memberId": id});
        let path = "/guestlist.v1.MemberService/GetMembership";
        assert_same_not_found(app, &org.stranger, path, &members, of_member).await;
        let set_role = |id: &str| json!({"organizationId": id, "userId": user, "role": role});
        assert_same_not_found(app, &org.stranger, rpc::SET_ROLE, &organizations, set_role).await;
        let audit = |id: &str| json!({"organizationId": id});
        assert_same_not_found(app, &org.stranger, rpc::AUDIT, &organizations, audit).await;
        // An account that has left has no more access than any other, except that the creator may
        // join again.
        let once = [organizations[0].clone(), ("left", left)];
        assert_same_not_found(app, &org.stranger, rpc::GET, &once, |id| json!({"organizationId": id})).await;
    }

    async fn p26_members_of_others_are_indistinguishable(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let gone = app.person("gus").await.join(&token).await.unwrap().user_id;
        org.admin.end(&gone).await.unwrap();
        let (own, _) = org.stranger.new_organization("Own").await;
        let members = [
            ("unknown", Uuid::now_v7().to_string()),
            ("of others", org.member_id.clone()),
            ("their admin", org.admin_id.clone()),
            ("gone", gone),
            ("no member", org.id.clone()),
        ];
        assert_same_not_found(app, &org.stranger, rpc::LEAVE, &members, |id| json!({"userId": id})).await;
        let set_role = |id: &str| {
            json!({"organizationId": own, "userId": id, "role": "ORGANIZATION_ROLE_ADMIN"})
        };
        assert_same_not_found(app, &org.stranger, rpc::SET_ROLE, &members, set_role).await;
        let membership = |id: &str| json!({"organizationId": own, "memberId": id});
        let path = "/guestlist.v1.MemberService/GetMembership";
        assert_same_not_found(app, &org.stranger, path, &members, membership).await;
    }

    async fn p27_a_preview_shows_only_three_fields(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        for transport in Transport::ALL {
            let request = json!({"inviteId": token});
            let answer = TestRequest::new(transport, rpc::PREVIEW, &request).by(&org.stranger).once(app).await;
            let expected = json!({
                "organizationId": org.id,
                "organizationName": "Acme",
                "organizationMemberCount": 2,
            });
            assert_eq!(transport.read(rpc::PREVIEW, &answer).unwrap(), expected);
            for inside in ["example.com", "ana", "ben", &org.admin_id, &token] {
                assert!(!answer.contains(inside), "{inside}");
            }
        }
    }

    async fn p30_proxy_headers_are_not_repeated_in_responses(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let by_id = json!({"organizationId": org.id});
        let by_token = json!({"inviteId": token});
        for transport in Transport::ALL {
            for (path, request) in [
                (rpc::GET, &by_id),
                (rpc::LIST_MEMBERS, &by_id),
                (rpc::PREVIEW, &by_token),
                (rpc::JOIN, &json!({"inviteId": Uuid::new_v4().to_string()})),
                ("/gitpod.v1.OrganizationService/GetOrganizationInvite", &by_id),
            ] {
                let call = TestRequest::new(transport, path, request)
                    .by(&org.admin)
                    .with("x-forwarded-host", "evil.example")
                    .with("x-forwarded-proto", "evil")
                    .with("x-forwarded-for", "evil.example")
                    .with("forwarded", "host=evil.example")
                    .with("origin", "https://evil.example")
                    .with("referer", "https://evil.example/");
                let answer = call.once(app).await;
                assert!(!answer.contains("evil"), "{answer:?}");
            }
        }
    }
}
