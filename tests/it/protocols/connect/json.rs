//! JSON as clients of Connect write and read it.

use serde_json::{Value, json};

use super::super::connection::Connection;
use super::super::request::TestRequest;
use super::super::transport::{Form, Transport};
use super::super::{rpc, with_app};
use crate::support::{Person, TestApp};

const UPDATE: &str = "/gitpod.v1.OrganizationService/UpdateOrganization";
const DELETE: &str = "/gitpod.v1.OrganizationService/DeleteOrganization";

/// A client that sends requests in JSON with one person's key.
struct Json<'a> {
    connection: Connection,
    person: &'a Person,
}

impl<'a> Json<'a> {
    async fn of(app: &TestApp, person: &'a Person) -> Self {
        let transport = Transport::of(Form::Json).next().unwrap();
        Self { connection: transport.connect(app).await, person }
    }

    async fn post(&mut self, path: &str, request: Value) -> Value {
        let transport = Transport::of(Form::Json).next().unwrap();
        let call = TestRequest::raw(transport, path, request.to_string()).by(self.person);
        transport.read(path, &call.send(&mut self.connection).await).unwrap()
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn assert_is_a_time(value: &Value) {
    let text = value.as_str().unwrap();
    assert!(text.len() >= 20 && text.ends_with('Z') && &text[10..11] == "T", "{text}");
}

#[test]
fn field_names_are_written_in_camel_case_and_read_in_both_cases() {
    with_app(async |app| {
        let ana = app.person_with("ana@acme.com").await;
        let mut json = Json::of(app, &ana).await;
        let made = json
            .post(
                rpc::CREATE,
                json!({
                    "name": "Acme",
                    "join_organization": true,
                    "inviteAccountsWithMatchingDomain": true,
                    "nobodyKnows": {"deep": [1, {"x": null}]},
                    "tier": "NOT_HERE",
                }),
            )
            .await;
        assert_eq!(keys(&made), ["member", "organization"]);
        let organization = &made["organization"];
        assert_eq!(
            keys(organization),
            ["createdAt", "id", "inviteDomains", "name", "tier", "updatedAt"]
        );
        assert_eq!(organization["name"], "Acme");
        assert_eq!(organization["inviteDomains"], json!({"domains": ["acme.com"]}));
        assert_eq!(organization["tier"], "ORGANIZATION_TIER_FREE");
        assert_is_a_time(&organization["createdAt"]);
        let member = &made["member"];
        assert_eq!(
            keys(member),
            [
                "avatarUrl",
                "email",
                "fullName",
                "loginProvider",
                "memberSince",
                "role",
                "status",
                "userId"
            ]
        );
        assert_eq!(member["role"], "ORGANIZATION_ROLE_ADMIN");
        assert_eq!(member["status"], "USER_STATUS_ACTIVE");
        assert_eq!(member["avatarUrl"], "", "zero values are printed");
        assert_is_a_time(&member["memberSince"]);

        let id = &organization["id"];
        for request in [json!({"organizationId": id}), json!({"organization_id": id})] {
            let got = json.post(rpc::GET, request).await;
            assert_eq!(&got["organization"], organization);
        }
    });
}

#[test]
fn zero_values_are_printed_and_absent_messages_are_not() {
    with_app(async |app| {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let mut json = Json::of(app, &org.admin).await;
        let summary = json.post(rpc::PREVIEW, json!({"inviteId": token})).await;
        assert_eq!(
            summary,
            json!({
                "organizationId": org.id,
                "organizationName": "Acme",
                "organizationMemberCount": 2,
            })
        );
        let no_match = json!({
            "organizationId": org.id,
            "filter": {"search": "nobody"},
            "count": {"include": true},
        });
        assert_eq!(
            json.post(rpc::LIST_MEMBERS, no_match).await,
            json!({
                "pagination": {"nextToken": ""},
                "members": [],
                "count": {"value": 0, "relation": "COUNT_RESPONSE_RELATION_EQ"},
            })
        );
        let got = json.post(rpc::GET, json!({"organizationId": org.id})).await;
        assert_eq!(keys(&got["organization"]), ["createdAt", "id", "name", "tier", "updatedAt"]);
        let caller = json.post(rpc::GET_CALLER, json!({})).await;
        assert_eq!(keys(&caller), ["account", "keyId", "organizationId", "scope"]);
        assert_eq!((&caller["scope"], &caller["organizationId"]), (&json!(""), &json!("")));
    });
}

#[test]
fn enums_are_read_by_name_and_number() {
    with_app(async |app| {
        let org = app.organization().await;
        let mut json = Json::of(app, &org.admin).await;
        for (role, shown) in [
            (json!("ORGANIZATION_ROLE_ADMIN"), "ORGANIZATION_ROLE_ADMIN"),
            (json!(2), "ORGANIZATION_ROLE_MEMBER"),
            (json!(1), "ORGANIZATION_ROLE_ADMIN"),
            (json!("ORGANIZATION_ROLE_MEMBER"), "ORGANIZATION_ROLE_MEMBER"),
        ] {
            let set = json!({"organizationId": org.id, "userId": org.member_id, "role": role});
            assert_eq!(json.post(rpc::SET_ROLE, set).await, json!({}));
            let list = json!({"organizationId": org.id, "filter": {"userIds": [org.member_id]}});
            let listed = json.post(rpc::LIST_MEMBERS, list).await;
            assert_eq!(listed["members"][0]["role"], shown);
        }
        for roles in [json!([1, "ORGANIZATION_ROLE_MEMBER"]), json!([])] {
            let list = json!({"organizationId": org.id, "filter": {"roles": roles}});
            let listed = json.post(rpc::LIST_MEMBERS, list).await;
            assert_eq!(listed["members"].as_array().unwrap().len(), 2);
        }
    });
}

#[test]
fn numbers_times_and_nulls_are_read_as_the_json_mapping_defines() {
    with_app(async |app| {
        let org = app.organization().await;
        let mut json = Json::of(app, &org.admin).await;
        for size in [json!(1), json!("1"), json!(1.0), json!(1e0)] {
            let list = json!({"organizationId": org.id, "pagination": {"pageSize": size}});
            let listed = json.post(rpc::LIST_MEMBERS, list).await;
            assert_eq!(listed["members"].as_array().unwrap().len(), 1);
        }
        let nulls = json!({
            "organizationId": org.id,
            "pagination": null,
            "filter": {"search": null, "roles": null},
            "sort": null,
        });
        let listed = json.post(rpc::LIST_MEMBERS, nulls).await;
        assert_eq!(listed["members"].as_array().unwrap().len(), 2);

        let event = |filter: Value| json!({"organizationId": org.id, "filter": filter});
        let all = json.post(rpc::AUDIT, event(json!({}))).await["events"].clone();
        let all = all.as_array().unwrap();
        assert!(all.len() >= 3);
        assert_is_a_time(&all[0]["time"]);
        for (start, expected) in [
            ("2000-01-01T00:00:00Z", all.len()),
            ("2000-01-01T00:00:00.123456789+14:00", all.len()),
            ("9999-12-31T23:59:59Z", 0),
        ] {
            let page = json.post(rpc::AUDIT, event(json!({"startTime": start}))).await;
            assert_eq!(page["events"].as_array().unwrap().len(), expected, "{start}");
        }
    });
}

#[test]
fn an_empty_message_is_an_empty_json_object() {
    with_app(async |app| {
        let org = app.organization().await;
        for transport in Transport::of(Form::Json) {
            let (id, _) = org.admin.new_organization("Passing").await;
            let update = json!({"organizationId": id, "name": "Other"});
            let answer =
                TestRequest::new(transport, UPDATE, &update).by(&org.admin).once(app).await;
            assert_eq!(answer.json()["organization"]["name"], "Other");
            let request = json!({"organizationId": id});
            let answer =
                TestRequest::new(transport, DELETE, &request).by(&org.admin).once(app).await;
            assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (200, b"{}".as_slice()));
            assert_eq!(answer.header("content-length"), Some("2"));
        }
    });
}
