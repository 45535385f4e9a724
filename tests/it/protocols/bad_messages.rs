//! Messages that cannot be parsed, and fields whose values are not valid.

use serde_json::{Value, json};

use super::fixture::Fixture;
use super::request::TestRequest;
use super::transport::{Form, Transport, frame};
use super::{rpc, with_app};

/// Bytes that no protobuf parser accepts as a `GetOrganizationRequest`.
fn no_protobuf() -> [Vec<u8>; 6] {
    [
        b"\xff\xff\xff".to_vec(),
        // Field 1 is a number instead of a string.
        b"\x08\x01".to_vec(),
        // Field 1 has a length that is greater than the rest of the message.
        b"\x0a\x7fx".to_vec(),
        // Field 1 is not valid UTF-8.
        b"\x0a\x02\xff\xfe".to_vec(),
        // Field number 0.
        b"\x02\x01x".to_vec(),
        // A thousand unknown groups, each inside the previous one.
        [0x0b; 1000].to_vec(),
    ]
}

#[test]
fn malformed_protobuf_is_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        for transport in Transport::ALL.into_iter().filter(|transport| transport.form != Form::Json)
        {
            let mut connection = transport.connect(app).await;
            for bytes in no_protobuf() {
                let body = match transport.form {
                    Form::Proto => bytes.into(),
                    _ => transport.wrap(&frame(0, &bytes)),
                };
                let bad = TestRequest::raw(transport, rpc::GET, body).by(&fixture.org.admin);
                let failure =
                    fixture.expect_invalid_argument(&mut connection, bad, &["body"]).await;
                assert!(failure.message.contains("is not a protobuf message"), "{failure:?}");
            }
        }
        fixture.assert_unchanged().await;
    });
}

#[test]
fn malformed_json_is_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let token = &fixture.token;
        let bodies: [(Vec<u8>, &str); 14] = [
            (format!("{{\"inviteId\": \"{token}\"").into(), "line 1, column 51"),
            (format!("{{\"inviteId\": {token}}}").into(), "line 1"),
            (format!("{{\"inviteId\": \"{token}\"}}}}").into(), "line 1, column 53"),
            (format!("{{'inviteId': '{token}'}}").into(), "line 1, column 2"),
            (format!("{{\n\"inviteId\": \"{token}\",\n}}").into(), "line 3, column 1"),
            (format!("inviteId={token}").into(), "line 1, column 1"),
            (format!("\u{feff}{{\"inviteId\": \"{token}\"}}").into(), "line 1, column 1"),
            (format!("[\"{token}\"]").into(), "must be a JSON object"),
            (format!("\"{token}\"").into(), "must be a JSON object"),
            (b"null".into(), "must be a JSON object"),
            (b"\xff\xfe{\0}\0".into(), "line 1, column 1"),
            (b"{\"inviteId\": \"\\ud800\"}".into(), "line 1"),
            (b"{\"organizationMemberCount\": 1e999}".into(), "line 1"),
            ("[".repeat(200_000).into(), "line 1, column 128"),
        ];
        for transport in Transport::of(Form::Json) {
            let mut connection = transport.connect(app).await;
            for (body, words) in &bodies {
                let bad =
                    TestRequest::raw(transport, rpc::JOIN, body.clone()).by(&fixture.org.admin);
                let failure =
                    fixture.expect_invalid_argument(&mut connection, bad, &["body"]).await;
                assert!(failure.message.contains(words), "{failure:?}");
            }
        }
        fixture.assert_unchanged().await;
    });
}

#[test]
fn wrong_types_in_json_are_reported_by_field_name() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let (id, token) = (&fixture.org.id, &fixture.token);
        let cases = [
            (rpc::JOIN, json!({"inviteId": {"inviteId": token}}), vec!["invite_id"]),
            (rpc::JOIN, json!({"inviteId": [token]}), vec!["invite_id"]),
            (rpc::JOIN, json!({"inviteId": 7}), vec!["invite_id"]),
            (rpc::JOIN, json!({"inviteId": true}), vec!["invite_id"]),
            (rpc::JOIN, json!({"inviteId": token, "organizationId": id}), vec!["organization_id"]),
            (rpc::JOIN, json!({"inviteId": id, "invite_id": token}), vec!["invite_id"]),
            (
                rpc::CREATE,
                json!({"name": "Acme", "joinOrganization": token}),
                vec!["join_organization"],
            ),
            (
                rpc::CREATE,
                json!({"name": "Acme", "joinOrganization": 1}),
                vec!["join_organization"],
            ),
            (
                rpc::LIST_MEMBERS,
                json!({
                    "organizationId": id,
                    "pagination": {"pageSize": token, "token": []},
                    "filter": {"userIds": token, "roles": {"0": token}, "search": [token]},
                    "sort": token,
                    "count": {"include": token},
                }),
                vec![
                    "count.include",
                    "filter.roles",
                    "filter.search",
                    "filter.user_ids",
                    "pagination.page_size",
                    "pagination.token",
                    "sort",
                ],
            ),
            (
                rpc::LIST_MEMBERS,
                json!({"pagination": {"pageSize": 1.5}}),
                vec!["pagination.page_size"],
            ),
            (
                rpc::LIST_MEMBERS,
                json!({"pagination": {"pageSize": 1e10}}),
                vec!["pagination.page_size"],
            ),
            (rpc::LIST_MEMBERS, json!({"filter": [{"search": token}]}), vec!["filter"]),
        ];
        for transport in Transport::of(Form::Json) {
            let mut connection = transport.connect(app).await;
            for (path, body, fields) in &cases {
                let bad =
                    TestRequest::raw(transport, path, body.to_string()).by(&fixture.org.admin);
                fixture.expect_invalid_argument(&mut connection, bad, fields).await;
            }
        }
        fixture.assert_unchanged().await;
    });
}

#[test]
fn unknown_enum_values_are_reported_by_field_name() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let (id, user) = (&fixture.org.id, &fixture.org.member_id);
        let set_role = |role: Value| json!({"organizationId": id, "userId": user, "role": role});
        let list = json!({
            "organizationId": id,
            "filter": {"statuses": [1, 77], "roles": [-1], "loginProvider": 42},
            "sort": {"field": 9, "order": 8},
        });
        let wrong_in_list = [
            "filter.statuses[1]",
            "filter.roles[0]",
            "filter.login_provider",
            "sort.order",
            "sort.field",
        ];
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            for role in [0, 3, 99, -1, i32::MIN] {
                let request = set_role(role.into());
                let bad =
                    TestRequest::new(transport, rpc::SET_ROLE, &request).by(&fixture.org.admin);
                fixture.expect_invalid_argument(&mut connection, bad, &["role"]).await;
            }
            let bad = TestRequest::new(transport, rpc::LIST_MEMBERS, &list).by(&fixture.org.admin);
            fixture.expect_invalid_argument(&mut connection, bad, &wrong_in_list).await;
        }
        for transport in Transport::of(Form::Json) {
            let mut connection = transport.connect(app).await;
            for role in [json!("OWNER"), json!("organization_role_admin"), json!(""), json!(1.5)] {
                let bad = TestRequest::raw(transport, rpc::SET_ROLE, set_role(role).to_string());
                let bad = bad.by(&fixture.org.admin);
                let failure =
                    fixture.expect_invalid_argument(&mut connection, bad, &["role"]).await;
                assert!(failure.message.contains("gitpod.v1.OrganizationRole"), "{failure:?}");
            }
        }
        fixture.assert_unchanged().await;
    });
}

/// Requests with one id that is `bad`: the path, the request, and the field of this id.
fn each_id(id: &str, bad: &str) -> [(&'static str, Value, &'static str); 16] {
    const AUDIT: &str = "/guestlist.v1.AuditService/ListAuditEvents";
    const UPDATE: &str = "/gitpod.v1.OrganizationService/UpdateOrganization";
    const DELETE: &str = "/gitpod.v1.OrganizationService/DeleteOrganization";
    const INVITE: &str = "/gitpod.v1.OrganizationService/CreateOrganizationInvite";
    const GET_INVITE: &str = "/gitpod.v1.OrganizationService/GetOrganizationInvite";
    let role = "ORGANIZATION_ROLE_MEMBER";
    let by_id = json!({"organizationId": bad});
    [
        (rpc::GET, by_id.clone(), "organization_id"),
        (UPDATE, json!({"organizationId": bad, "name": "Other"}), "organization_id"),
        (DELETE, by_id.clone(), "organization_id"),
        (INVITE, by_id.clone(), "organization_id"),
        (GET_INVITE, by_id.clone(), "organization_id"),
        (rpc::JOIN, by_id.clone(), "organization_id"),
        (rpc::JOIN, json!({"inviteId": bad}), "invite_id"),
        (rpc::PREVIEW, json!({"inviteId": bad}), "invite_id"),
        (rpc::LEAVE, json!({"userId": bad}), "user_id"),
        (
            rpc::SET_ROLE,
            json!({"organizationId": bad, "userId": id, "role": role}),
            "organization_id",
        ),
        (rpc::SET_ROLE, json!({"organizationId": id, "userId": bad, "role": role}), "user_id"),
        (rpc::LIST_MEMBERS, by_id.clone(), "organization_id"),
        (
            rpc::LIST_MEMBERS,
            json!({"organizationId": id, "filter": {"userIds": [id, bad]}}),
            "filter.user_ids[1]",
        ),
        (
            rpc::LIST_MEMBERS,
            json!({"organizationId": id, "filter": {"excludeGroupIds": [bad]}}),
            "filter.exclude_group_ids[0]",
        ),
        (AUDIT, by_id, "organization_id"),
        (AUDIT, json!({"organizationId": id, "filter": {"accountId": bad}}), "filter.account_id"),
    ]
}

#[test]
fn an_invalid_uuid_is_reported_by_field_name() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let token = &fixture.token;
        let almost = [
            "x".to_owned(),
            "not-a-uuid".to_owned(),
            format!("{token}0"),
            token[..35].to_owned(),
            format!("{{{token}}}"),
            format!("urn:uuid:{token}"),
            token.replace('-', ""),
            format!("{token}\0"),
            format!(" {token}"),
            "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6ö".to_owned(),
        ];
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            for bad in &almost {
                for (path, request, field) in each_id(&fixture.org.id, bad) {
                    let bad = TestRequest::new(transport, path, &request).by(&fixture.org.admin);
                    let failure =
                        fixture.expect_invalid_argument(&mut connection, bad, &[field]).await;
                    assert!(failure.message.contains("must be a UUID"), "{failure:?}");
                }
            }
        }
        fixture.assert_unchanged().await;
    });
}
