//! Property tests of the conversions in both directions.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::domain::Timestamp;
use crate::domain::{
    AccountId, EmailDomain, InviteToken, JoinedBy, Member, MemberId, MemberProfile, MemberStatus,
    Organization, OrganizationId, OrganizationName, Profile, Role, Tier,
};
use crate::error::Kind;
use crate::operations::members::{ContractRole, JoinBy};
use crate::proto::gitpod::v1 as pb;

fn moment() -> impl Strategy<Value = Timestamp> {
    // The years 1970 to 9999.
    (0_i64..253_402_300_799_999_999).prop_map(Timestamp::from_micros)
}

fn uuid() -> impl Strategy<Value = uuid::Uuid> {
    any::<u128>().prop_map(uuid::Uuid::from_u128)
}

fn domain() -> impl Strategy<Value = EmailDomain> {
    "[a-z0-9]{1,10}(-[a-z0-9]{1,5})?\\.[a-z]{2,6}".prop_filter_map("a domain", |t| t.parse().ok())
}

fn name() -> impl Strategy<Value = OrganizationName> {
    "\\PC{3,40}".prop_filter_map("a name", |text| text.parse().ok())
}

fn tier() -> impl Strategy<Value = Tier> {
    prop_oneof![Just(Tier::Free), Just(Tier::Enterprise), Just(Tier::Core), Just(Tier::FreeOna)]
}

prop_compose! {
    fn organization()(
        id in uuid(),
        name in name(),
        invite_domains in vec(domain(), 0..4),
        tier in tier(),
        created_at in moment(),
        updated_at in moment(),
    ) -> Organization {
        Organization {
            id: id.into(),
            name,
            invite_domains,
            tier,
            creator: AccountId::from(id),
            created_at,
            updated_at,
            version: 1,
            member_count: 1,
            seat_limit: 0,
            next_member_end: None,
            attributes: Default::default(),
        }
    }
}

prop_compose! {
    fn member()(
        (id, role, status) in (
            uuid(),
            prop::sample::select(&Role::ALL[..]),
            prop::sample::select(&MemberStatus::ALL[..]),
        ),
        joined_at in moment(),
        (name, picture, login_provider) in ("\\PC{0,20}", "\\PC{0,20}", "[a-z]{0,8}"),
        email in proptest::option::of("[a-z]{1,9}@[a-z]{1,9}\\.com"),
    ) -> MemberProfile {
        let member = Member {
            id: id.into(),
            organization: OrganizationId::from(id),
            account: AccountId::from(id),
            role,
            status,
            joined_at,
            joined_by: JoinedBy::Invite,
            invite: None,
            attributes: Default::default(),
            expires_at: None,
            departure: None,
        };
        let profile = Profile {
            email: email.map(|email| email.parse().unwrap()),
            email_verified: true,
            name,
            picture,
            login_provider,
            login_provider_kind: Default::default(),
        };
        MemberProfile { member, profile }
    }
}

proptest! {
    #[test]
    fn a_time_converts_both_ways(at in moment()) {
        let mut fields = Fields::default();
        prop_assert_eq!(fields.timestamp("at", to_timestamp(at)), Some(at));
    }

    #[test]
    fn an_organization_converts_completely(organization in organization()) {
        let shown = pb::Organization::from(organization.clone());
        prop_assert_eq!(organization_id(&shown.id).unwrap(), organization.id);
        prop_assert_eq!(&shown.name, organization.name.as_str());
        let mut fields = Fields::default();
        for (shown, at) in [
            (shown.created_at, organization.created_at),
            (shown.updated_at, organization.updated_at),
        ] {
            prop_assert_eq!(fields.timestamp("at", shown.unwrap()), Some(at));
        }
        prop_assert_eq!(shown.invite_domains.is_none(), organization.invite_domains.is_empty());
        let tier_name = shown.tier().as_str_name().to_lowercase();
        prop_assert_eq!(tier_name.strip_prefix("organization_tier_"), Some(organization.tier.as_str()));

        // A client can send the values back in an update, which then contains the same values.
        let mut domains = organization.invite_domains.clone();
        domains.dedup();
        prop_assume!(domains.len() == organization.invite_domains.len());
        let back = pb::UpdateOrganizationRequest {
            organization_id: shown.id,
            name: Some(shown.name),
            invite_domains: Some(shown.invite_domains.unwrap_or_default()),
        };
        if let Ok(back) = update_organization(back) {
            prop_assert_eq!(back.id, organization.id);
            prop_assert_eq!(back.name, Some(organization.name));
            prop_assert_eq!(back.invite_domains, Some(organization.invite_domains));
        } else {
            let unique: std::collections::HashSet<_> = domains.iter().collect();
            prop_assert!(unique.len() < domains.len(), "only duplicate domains are rejected");
        }
    }

    #[test]
    fn a_member_converts_completely(from in member()) {
        let shown = pb::OrganizationMember::from(from.clone());
        let MemberProfile { member, profile } = from;
        prop_assert_eq!(member_id(&shown.user_id).unwrap(), member.id);
        prop_assert_eq!(
            shown.role() == pb::OrganizationRole::Admin,
            ContractRole::from(member.role) == ContractRole::Admin
        );
        let status = shown.status().as_str_name().to_lowercase();
        prop_assert_eq!(status.strip_prefix("user_status_"), Some(member.status.as_str()));
        let mut fields = Fields::default();
        let since = fields.timestamp("since", shown.member_since.unwrap());
        prop_assert_eq!(since, Some(member.joined_at));
        prop_assert_eq!(shown.email, profile.email.map(|e| e.to_string()).unwrap_or_default());
        prop_assert_eq!((shown.full_name, shown.avatar_url), (profile.name, profile.picture));
    }

    #[test]
    fn a_token_converts_both_ways(bytes in any::<[u8; 16]>()) {
        let token = InviteToken::from_bytes(&bytes).unwrap();
        let shown = pb::OrganizationInvite::from(token);
        prop_assert_eq!(*invite_token(&shown.invite_id).unwrap().as_bytes(), bytes);
        let join = pb::JoinOrganizationRequest {
            join_id: Some(pb::join_organization_request::JoinId::InviteId(shown.invite_id)),
        };
        match join_organization(join).unwrap() {
            JoinBy::Invite(name) => prop_assert_eq!(*name.token.as_bytes(), bytes),
            _ => prop_assert!(false, "a token is not an organization id"),
        }
    }

    #[test]
    fn a_role_converts_or_is_an_error(
        organization in uuid(), member in uuid(), role in -1_i32..4,
    ) {
        let message = pb::SetRoleRequest {
            organization_id: organization.to_string(),
            user_id: member.to_string(),
            role,
        };
        match (role, set_role(&message)) {
            (1, Ok(input)) => prop_assert_eq!(input.role, ContractRole::Admin),
            (2, Ok(input)) => prop_assert_eq!(input.role, ContractRole::Member),
            (1 | 2, Err(error)) => prop_assert!(false, "{error:?}"),
            (_, Ok(_)) => prop_assert!(false, "{role} is not a role"),
            (_, Err(error)) => prop_assert_eq!(&error.violations[0].field, "role"),
        }
    }

    #[test]
    fn any_message_is_accepted_or_gets_an_error_that_repeats_no_value(
        (organization, search, email) in ("\\PC{0,40}", "\\PC{0,300}", "\\PC{0,330}"),
        numbers in vec(any::<i32>(), 0..4),
        ids in vec("\\PC{0,40}", 0..28),
        (page_size, token) in (any::<i32>(), "\\PC{0,40}"),
        (field, order) in (any::<i32>(), any::<i32>()),
    ) {
        use pb::list_members_request::{Filter, Sort};
        let message = pb::ListMembersRequest {
            organization_id: organization.clone(),
            pagination: Some(pb::PaginationRequest { page_size, token: token.clone() }),
            filter: Some(Filter {
                search: search.clone(),
                statuses: numbers.clone(),
                roles: numbers.clone(),
                user_ids: ids.clone(),
                exclude_group_ids: ids.clone(),
                exclude_members_in_any_team: true,
                email,
                login_provider: order,
            }),
            sort: Some(Sort { field, order }),
            count: None,
        };
        match list_members(message) {
            Ok(input) => {
                prop_assert_eq!(input.organization.to_string(), organization.to_lowercase());
                prop_assert_eq!(input.token, token);
                prop_assert_eq!(input.filter.search, search.to_lowercase());
            }
            Err(error) => {
                prop_assert_eq!(error.kind, Kind::InvalidArgument);
                prop_assert!(!error.violations.is_empty());
                for violation in &error.violations {
                    let place = ["organization_id", "pagination.", "filter.", "sort."];
                    prop_assert!(place.iter().any(|p| violation.field.starts_with(p)));
                    if organization.len() > 8 {
                        prop_assert!(!violation.description.contains(&organization));
                    }
                }
            }
        }
    }
}

#[test]
fn times_outside_the_range_are_rejected() {
    for (seconds, nanos) in
        [(-62_135_596_801, 0), (253_402_300_800, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0)]
    {
        let mut fields = Fields::default();
        assert_eq!(fields.timestamp("at", prost_types::Timestamp { seconds, nanos }), None);
        assert!(fields.finish(|| Some(())).is_err());
    }
}

#[test]
fn member_ids_are_case_insensitive() {
    let id = MemberId::generate(Timestamp::from_micros(1));
    assert_eq!(member_id(&id.to_string().to_uppercase()).unwrap(), id);
}
