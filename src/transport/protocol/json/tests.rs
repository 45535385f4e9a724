use super::*;
use crate::error::Kind as ErrorKind;
use crate::proto::FILE_DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, ReflectMessage};
use serde_json::json;

const ORGANIZATION: &str = "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b";

fn descriptor(name: &str) -> MessageDescriptor {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    pool.get_message_by_name(name).unwrap()
}

fn read_json(name: &str, json: &Json) -> Result<DynamicMessage> {
    let descriptor = descriptor(name);
    let bytes = decode(&descriptor, json.to_string().as_bytes(), None)?;
    Ok(DynamicMessage::decode(descriptor, bytes).unwrap())
}

fn write_json(message: &DynamicMessage) -> Json {
    let bytes = encode(&message.descriptor(), &message.encode_to_vec()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn default_values_are_written_and_numbers_are_numbers() {
    let summary = DynamicMessage::new(descriptor("gitpod.v1.GetOrganizationInviteSummaryResponse"));
    assert_eq!(
        write_json(&summary),
        json!({"organizationId": "", "organizationName": "", "organizationMemberCount": 0})
    );
    let empty = DynamicMessage::new(descriptor("gitpod.v1.DeleteOrganizationResponse"));
    assert_eq!(write_json(&empty), json!({}));
}

#[test]
fn times_are_in_utc_and_enums_are_names() {
    let organization = read_json(
        "gitpod.v1.Organization",
        &json!({"id": "x", "createdAt": "2030-01-31T12:00:00.5+01:00", "tier": 1}),
    )
    .unwrap();
    let written = write_json(&organization);
    assert_eq!(written["createdAt"], "2030-01-31T11:00:00.500Z");
    assert_eq!(written["tier"], "ORGANIZATION_TIER_FREE");
    // A message field without a value is left out.
    assert!(written.get("updatedAt").is_none());
}

#[test]
fn both_names_of_a_field_and_unknown_fields_are_accepted() {
    for name in ["organizationId", "organization_id"] {
        let request = read_json(
            "gitpod.v1.GetOrganizationRequest",
            &json!({name: ORGANIZATION, "unknown": {"deep": [1, null]}}),
        )
        .unwrap();
        let id = request.get_field_by_name("organization_id").unwrap();
        assert_eq!(id.as_str(), Some(ORGANIZATION));
    }
}

#[test]
fn nested_and_repeated_fields_parse() {
    let request = read_json(
        "gitpod.v1.ListMembersRequest",
        &json!({
            "organizationId": ORGANIZATION,
            "pagination": {"pageSize": "25", "token": null},
            "filter": {"roles": ["ORGANIZATION_ROLE_ADMIN", 2], "userIds": ["a", "b"]},
            "sort": null,
        }),
    )
    .unwrap();
    let filter = request.get_field_by_name("filter").unwrap();
    let roles = filter.as_message().unwrap().get_field_by_name("roles").unwrap();
    assert_eq!(roles.as_list().unwrap(), [Value::EnumNumber(1), Value::EnumNumber(2)]);
    assert!(!request.has_field_by_name("sort"));
    let pagination = request.get_field_by_name("pagination").unwrap();
    let size = pagination.as_message().unwrap().get_field_by_name("page_size").unwrap();
    assert_eq!(size.as_i32(), Some(25));
}

#[test]
fn an_error_names_every_wrong_field_and_repeats_no_value() {
    let error = read_json(
        "gitpod.v1.ListMembersRequest",
        &json!({
            "organizationId": {"s3cret": "s3cret"},
            "pagination": {"pageSize": "s3cret", "token": 5},
            "filter": {"roles": ["ORGANIZATION_ROLE_ADMIN", "s3cret"], "userIds": "s3cret"},
            "sort": ["s3cret"],
            "count": {"include": "s3cret"},
        }),
    )
    .unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidArgument);
    let mut fields: Vec<&str> = error.violations.iter().map(|v| v.field.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "count.include",
            "filter.roles[1]",
            "filter.user_ids",
            "organization_id",
            "pagination.page_size",
            "pagination.token",
            "sort",
        ]
    );
    assert!(!format!("{error:?}").contains("s3cret"));
}

#[test]
fn an_unknown_enum_name_is_an_error() {
    let request = json!({"organizationId": ORGANIZATION, "role": "ORGANIZATION_ROLE_KING"});
    let error = read_json("gitpod.v1.SetRoleRequest", &request).unwrap_err();
    assert_eq!(error.violations[0].field, "role");
}

#[test]
fn p43_a_list_of_wrong_names_has_a_bounded_error() {
    let wrong = |number: usize| {
        let names = vec!["s3cret"; number];
        let request = json!({"organizationId": ORGANIZATION, "filter": {"statuses": names}});
        read_json("gitpod.v1.ListMembersRequest", &request).unwrap_err()
    };
    let error = wrong(MAX_ENTRIES);
    assert_eq!(error.violations.len(), 16);
    assert!(error.message.starts_with("filter.statuses[0]: "), "{}", error.message);
    let listed = error.message.matches("filter.statuses[").count();
    assert!(error.message.ends_with(&format!("; and {} more", MAX_ENTRIES - listed)));
    // A longer list is rejected before its entries are converted.
    let error = wrong(MAX_ENTRIES + 1);
    assert_eq!(error.message, "filter.statuses: must have at most 1000 entries");
}

#[test]
fn only_one_alternative_of_a_oneof_is_accepted() {
    let request = json!({"organizationId": ORGANIZATION, "inviteId": ORGANIZATION});
    let error = read_json("gitpod.v1.JoinOrganizationRequest", &request).unwrap_err();
    assert_eq!(error.violations.len(), 1);
    let request = json!({"organizationId": null, "inviteId": ORGANIZATION});
    assert!(read_json("gitpod.v1.JoinOrganizationRequest", &request).is_ok());
}

#[test]
fn the_error_for_malformed_json_names_the_place() {
    let descriptor = descriptor("gitpod.v1.GetOrganizationRequest");
    for (body, expected) in [
        (&b""[..], "empty"),
        (b"{", "line 1"),
        (b"{\"organizationId\": s3cret}", "line 1, column 20"),
        (b"{} s3cret", "line 1"),
        (b"\xff", "line 1"),
        (b"[]", "object"),
        (b"null", "object"),
        (b"\"s3cret\"", "object"),
    ] {
        let error = decode(&descriptor, body, None).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidArgument);
        assert_eq!(error.violations[0].field, "body");
        assert!(error.message.contains(expected), "{}", error.message);
        assert!(!error.message.contains("s3cret"));
    }
}
