//! The lines of an export: `guestlist.v1.ExportRecord` as JSON.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor};

use crate::domain::transfer::{
    AccountKey, AccountRecord, DepartureRecord, EXPORT_VERSION, InvitationRecord, MemberRecord,
    OrganizationRecord, Record, derived_id,
};
use crate::domain::{
    AccountKind, Attributes, EmailAddress, Invalid, JoinedBy, LOCAL_ISSUER, LoginProviderKind,
    MEMBER_LIFETIME, MemberEnd, MemberStatus, Metadata, MetadataChanges, OrganizationId, Profile,
    Role, Tier, Timestamp, person_name,
};
use crate::error::{Error, Result};
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::export_invitation::MemberEnd as MemberEndField;
use crate::proto::guestlist::v1::export_record::Record as Line;
use crate::storage::event_data::to_timestamp as time;

/// A checked value, or a text that names the invalid field and its valid values.
type Checked<T> = std::result::Result<T, String>;

static DESCRIPTOR: LazyLock<Option<MessageDescriptor>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok()?;
    pool.get_message_by_name("guestlist.v1.ExportRecord")
});

fn descriptor() -> Result<MessageDescriptor> {
    DESCRIPTOR.clone().ok_or_else(|| Error::internal("the message of exports has no descriptor"))
}

/// The first line of an export.
pub(super) fn header(now: Timestamp) -> Result<Vec<u8>> {
    let create_time = Some(time(now));
    write(Line::Header(pb::ExportHeader { format_version: EXPORT_VERSION, create_time }))
}

/// A line of an export, without the line end.
pub(super) fn line(record: Record) -> Result<Vec<u8>> {
    write(match record {
        Record::Account(account) => Line::Account(of_account(account)),
        Record::Organization(organization) => Line::Organization(of_organization(organization)),
        Record::Member(member) => match member.departure {
            None => Line::Member(of_member(member)),
            Some(left) => Line::Departure(of_departure(member, left)),
        },
        Record::Invitation(invitation) => Line::Invitation(of_invitation(invitation)),
    })
}

fn write(line: Line) -> Result<Vec<u8>> {
    let mut message = DynamicMessage::new(descriptor()?);
    let record = pb::ExportRecord { record: Some(line) };
    message.transcode_from(&record).map_err(Error::internal)?;
    serde_json::to_vec(&message).map_err(Error::internal)
}

/// The content of a line.
pub(super) enum Read {
    Header,
    Record(Box<Record>),
}

/// Reads a line.
///
/// # Errors
/// A text that describes the problem, if the line is invalid.
pub(super) fn read(line: &[u8]) -> Checked<Read> {
    let strict = DeserializeOptions::new().deny_unknown_fields(true);
    let descriptor = descriptor().map_err(|error| error.to_string())?;
    let mut json = serde_json::Deserializer::from_slice(line);
    let message = DynamicMessage::deserialize_with_options(descriptor, &mut json, &strict)
        .map_err(|error| format!("is no record in JSON: {error}"))?;
    json.end().map_err(|error| format!("is no record in JSON: {error}"))?;
    let record: pb::ExportRecord = message.transcode_to().map_err(|error| error.to_string())?;
    let record = match record.record.ok_or("has no record")? {
        Line::Header(header) if header.format_version == EXPORT_VERSION => {
            return Ok(Read::Header);
        }
        Line::Header(_) => {
            return Err(format!("header.formatVersion: must be {EXPORT_VERSION}"));
        }
        Line::Account(account) => Record::Account(in_field("account", to_account(account))?),
        Line::Organization(organization) => {
            Record::Organization(in_field("organization", to_organization(organization))?)
        }
        Line::Member(member) => Record::Member(in_field("member", to_member(member))?),
        Line::Departure(member) => Record::Member(in_field("departure", to_departure(member))?),
        Line::Invitation(invitation) => {
            Record::Invitation(in_field("invitation", to_invitation(invitation))?)
        }
    };
    Ok(Read::Record(Box::new(record)))
}

fn in_field<T>(field: &str, checked: Checked<T>) -> Checked<T> {
    checked.map_err(|what| format!("{field}.{what}"))
}

fn to_account(from: pb::ExportAccount) -> Checked<AccountRecord> {
    let email: Option<EmailAddress> = optional("email", &from.email)?;
    let is_local = from.issuer.is_empty() && from.subject.is_empty();
    let (issuer, subject) = match (&email, is_local) {
        (Some(email), true) => (LOCAL_ISSUER.to_owned(), email.to_string()),
        (None, true) => return Err("issuer: issuer and subject, or email must be given".into()),
        _ => (text("issuer", from.issuer, 2048)?, text("subject", from.subject, 2048)?),
    };
    if issuer.is_empty() || subject.is_empty() {
        return Err("issuer: must be given together with subject".into());
    }
    let key = derived_id(&["account", &issuer, &subject]);
    let login_provider = match is_local && from.login_provider.is_empty() {
        true => "api_key".to_owned(),
        false => text("loginProvider", from.login_provider, 256)?,
    };
    Ok(AccountRecord {
        id: optional("id", &from.id)?.unwrap_or_else(|| key.into()),
        issuer,
        subject,
        kind: optional("kind", &from.kind)?.unwrap_or(AccountKind::Person),
        profile: Profile {
            email_verified: email.is_some() && (from.email_verified || is_local),
            email,
            name: person_name(&from.name),
            picture: text("picture", from.picture, 2048)?,
            login_provider,
            login_provider_kind: optional("loginProviderKind", &from.login_provider_kind)?
                .unwrap_or(LoginProviderKind::Other),
        },
        created_at: moment("createTime", from.create_time)?,
        updated_at: moment("updateTime", from.update_time)?,
    })
}

fn of_account(from: AccountRecord) -> pb::ExportAccount {
    let profile = from.profile;
    pb::ExportAccount {
        id: from.id.to_string(),
        issuer: from.issuer,
        subject: from.subject,
        kind: from.kind.as_str().to_owned(),
        email: profile.email.map(|email| email.to_string()).unwrap_or_default(),
        email_verified: profile.email_verified,
        name: profile.name,
        picture: profile.picture,
        login_provider: profile.login_provider,
        login_provider_kind: profile.login_provider_kind.as_str().to_owned(),
        create_time: from.created_at.map(time),
        update_time: from.updated_at.map(time),
    }
}

fn to_organization(from: pb::ExportOrganization) -> Checked<OrganizationRecord> {
    let mut invite_domains = Vec::with_capacity(from.invite_domains.len());
    if from.invite_domains.len() > 1000 {
        return Err("inviteDomains: must have at most 1,000 entries".into());
    }
    for domain in &from.invite_domains {
        invite_domains.push(parsed("inviteDomains", domain)?);
    }
    let positive = |field, number: i64, least| match number >= least {
        true => Ok(number),
        false => Err(format!("{field}: must be at least {least}")),
    };
    let seat_limit = from.seat_limit.map(|seats| positive("seatLimit", seats, 0)).transpose()?;
    let version = positive("version", from.version, 0)?;
    Ok(OrganizationRecord {
        id: match from.id.as_str() {
            "" => organization_id("id", "", "externalId", &from.external_id)?,
            id => parsed("id", id)?,
        },
        name: parsed("name", &from.name)?,
        invite_domains,
        tier: optional("tier", &from.tier)?.unwrap_or(Tier::Free),
        creator: optional_key("creator", from.creator)?,
        created_at: moment("createTime", from.create_time)?,
        updated_at: moment("updateTime", from.update_time)?,
        version: (version > 0).then_some(version),
        seat_limit,
        attributes: attributes(from.metadata, &from.external_id)?,
    })
}

fn of_organization(from: OrganizationRecord) -> pb::ExportOrganization {
    pb::ExportOrganization {
        id: from.id.to_string(),
        external_id: external_id(&from.attributes),
        metadata: metadata(&from.attributes),
        name: from.name.to_string(),
        invite_domains: from.invite_domains.iter().map(|one| one.as_str().to_owned()).collect(),
        tier: from.tier.as_str().to_owned(),
        creator: from.creator.map(of_key),
        create_time: from.created_at.map(time),
        update_time: from.updated_at.map(time),
        version: from.version.unwrap_or_default(),
        seat_limit: from.seat_limit,
    }
}

fn to_member(from: pb::ExportMember) -> Checked<MemberRecord> {
    let status = optional("status", &from.status)?.unwrap_or(MemberStatus::Active);
    if status == MemberStatus::Left {
        return Err(
            "status: must be active or suspended; a departure is a record of its own".into()
        );
    }
    Ok(MemberRecord {
        id: optional("id", &from.id)?,
        organization: organization_of(&from.organization_id, &from.organization_external_id)?,
        account: key("account", from.account)?,
        role: parsed("role", &from.role)?,
        status,
        joined_at: moment("joinTime", from.join_time)?,
        joined_by: optional("joinedBy", &from.joined_by)?.unwrap_or(JoinedBy::Admin),
        expires_at: moment("expireTime", from.expire_time)?,
        departure: None,
        attributes: attributes(from.metadata, &from.external_id)?,
    })
}

fn of_member(from: MemberRecord) -> pb::ExportMember {
    pb::ExportMember {
        id: from.id.map(|id| id.to_string()).unwrap_or_default(),
        organization_id: from.organization.to_string(),
        organization_external_id: String::new(),
        account: Some(of_key(from.account)),
        role: from.role.to_string(),
        status: from.status.as_str().to_owned(),
        join_time: from.joined_at.map(time),
        joined_by: from.joined_by.as_str().to_owned(),
        expire_time: from.expires_at.map(time),
        metadata: metadata(&from.attributes),
        external_id: external_id(&from.attributes),
    }
}

fn to_departure(from: pb::ExportDeparture) -> Checked<MemberRecord> {
    let at = moment("leaveTime", from.leave_time)?.ok_or("leaveTime: must be given")?;
    Ok(MemberRecord {
        id: optional("id", &from.id)?,
        organization: organization_of(&from.organization_id, &from.organization_external_id)?,
        account: key("account", from.account)?,
        role: parsed("role", &from.role)?,
        status: MemberStatus::Left,
        joined_at: moment("joinTime", from.join_time)?,
        joined_by: optional("joinedBy", &from.joined_by)?.unwrap_or(JoinedBy::Admin),
        expires_at: moment("expireTime", from.expire_time)?,
        departure: Some(DepartureRecord {
            at,
            removed: from.removed,
            version: (from.version > 0).then_some(from.version),
        }),
        attributes: attributes(from.metadata, &from.external_id)?,
    })
}

fn of_departure(from: MemberRecord, left: DepartureRecord) -> pb::ExportDeparture {
    pb::ExportDeparture {
        id: from.id.map(|id| id.to_string()).unwrap_or_default(),
        organization_id: from.organization.to_string(),
        organization_external_id: String::new(),
        account: Some(of_key(from.account)),
        role: from.role.to_string(),
        join_time: from.joined_at.map(time),
        joined_by: from.joined_by.as_str().to_owned(),
        leave_time: Some(time(left.at)),
        expire_time: from.expires_at.map(time),
        removed: left.removed,
        version: left.version.unwrap_or_default(),
        metadata: metadata(&from.attributes),
        external_id: external_id(&from.attributes),
    }
}

fn to_invitation(from: pb::ExportInvitation) -> Checked<InvitationRecord> {
    Ok(InvitationRecord {
        id: optional("id", &from.id)?,
        organization: organization_of(&from.organization_id, &from.organization_external_id)?,
        email: parsed("email", &from.email)?,
        role: parsed::<Role>("role", &from.role)?,
        inviter: optional_key("inviter", from.inviter)?,
        sso: from.sso,
        member: optional("memberId", &from.member_id)?,
        note: text("note", from.note, 256)?,
        created_at: moment("createTime", from.create_time)?,
        expires_at: moment("expireTime", from.expire_time)?,
        version: (from.version > 0).then_some(from.version),
        attributes: attributes(from.metadata, &from.external_id)?,
        member_end: member_end(from.member_end)?,
        continue_url: optional("continueUrl", &from.continue_url)?,
        locale: optional("locale", &from.locale)?,
    })
}

fn of_invitation(from: InvitationRecord) -> pb::ExportInvitation {
    pb::ExportInvitation {
        id: from.id.map(|id| id.to_string()).unwrap_or_default(),
        organization_id: from.organization.to_string(),
        organization_external_id: String::new(),
        email: from.email.to_string(),
        role: from.role.to_string(),
        inviter: from.inviter.map(of_key),
        sso: from.sso,
        member_id: from.member.map(|id| id.to_string()).unwrap_or_default(),
        note: from.note,
        create_time: from.created_at.map(time),
        expire_time: from.expires_at.map(time),
        version: from.version.unwrap_or_default(),
        metadata: metadata(&from.attributes),
        external_id: external_id(&from.attributes),
        member_end: from.member_end.map(of_member_end),
        continue_url: from.continue_url.map(|url| url.to_string()).unwrap_or_default(),
        locale: from.locale.map(|locale| locale.to_string()).unwrap_or_default(),
    }
}

fn member_end(from: Option<MemberEndField>) -> Checked<Option<MemberEnd>> {
    Ok(match from {
        None => None,
        Some(MemberEndField::MemberLifetime(lifetime)) => {
            let lifetime = std::time::Duration::try_from(lifetime).ok();
            let lifetime = lifetime.filter(|it| MEMBER_LIFETIME.contains(it));
            let what = "memberLifetime: must be 1 second to 3,650 days";
            Some(MemberEnd::After(lifetime.ok_or(what)?))
        }
        Some(MemberEndField::MemberExpireTime(at)) => {
            moment("memberExpireTime", Some(at))?.map(MemberEnd::At)
        }
    })
}

fn of_member_end(end: MemberEnd) -> MemberEndField {
    match end {
        MemberEnd::After(lifetime) => {
            // `MEMBER_LIFETIME` bounds it, so the conversion does not fail.
            MemberEndField::MemberLifetime(lifetime.try_into().unwrap_or_default())
        }
        MemberEnd::At(end) => MemberEndField::MemberExpireTime(time(end)),
    }
}

fn attributes(pairs: HashMap<String, String>, external_id: &str) -> Checked<Attributes> {
    let named = |wrong: Invalid| format!("metadata: {wrong}");
    let pairs = MetadataChanges::new(pairs).map_err(named)?;
    Ok(Attributes {
        metadata: Metadata::default().merged(&pairs).map_err(named)?,
        external_id: optional("externalId", external_id)?,
    })
}

fn metadata(from: &Attributes) -> HashMap<String, String> {
    from.metadata.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn external_id(from: &Attributes) -> String {
    from.external_id.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn key(field: &str, from: Option<pb::ExportAccountKey>) -> Checked<AccountKey> {
    optional_key(field, from)?.ok_or_else(|| format!("{field}: must be given"))
}

fn optional_key(field: &str, from: Option<pb::ExportAccountKey>) -> Checked<Option<AccountKey>> {
    let Some(from) = from else { return Ok(None) };
    let by_subject = !from.issuer.is_empty() && !from.subject.is_empty();
    let is_half = from.issuer.is_empty() != from.subject.is_empty();
    let given = [!from.account_id.is_empty(), by_subject, !from.email.is_empty()];
    if is_half || given.iter().filter(|given| **given).count() != 1 {
        return Err(format!("{field}: must be one of accountId, issuer with subject, and email"));
    }
    Ok(Some(if by_subject {
        AccountKey::Subject {
            issuer: text("issuer", from.issuer, 2048)?,
            subject: text("subject", from.subject, 2048)?,
        }
    } else if from.email.is_empty() {
        AccountKey::Id(parsed(&format!("{field}.accountId"), &from.account_id)?)
    } else {
        AccountKey::Email(parsed(&format!("{field}.email"), &from.email)?)
    }))
}

fn of_key(key: AccountKey) -> pb::ExportAccountKey {
    match key {
        AccountKey::Id(id) => {
            pb::ExportAccountKey { account_id: id.to_string(), ..Default::default() }
        }
        AccountKey::Subject { issuer, subject } => {
            pb::ExportAccountKey { issuer, subject, ..Default::default() }
        }
        AccountKey::Email(email) => {
            pb::ExportAccountKey { email: email.to_string(), ..Default::default() }
        }
    }
}

/// The organization that another record refers to.
fn organization_of(id: &str, external: &str) -> Checked<OrganizationId> {
    organization_id("organizationId", id, "organizationExternalId", external)
}

fn organization_id(field: &str, id: &str, other: &str, external: &str) -> Checked<OrganizationId> {
    match (id.is_empty(), external.is_empty()) {
        (false, true) => parsed(field, id),
        (true, false) => {
            let external = text(other, external.to_owned(), 256)?;
            Ok(derived_id(&["organization", &external]).into())
        }
        _ => Err(format!("{field}: either {field} or {other} must be given")),
    }
}

fn parsed<T: FromStr>(field: &str, from: &str) -> Checked<T>
where
    T::Err: std::fmt::Display,
{
    from.parse().map_err(|wrong| format!("{field}: {wrong}"))
}

fn optional<T: FromStr>(field: &str, from: &str) -> Checked<Option<T>>
where
    T::Err: std::fmt::Display,
{
    if from.is_empty() { Ok(None) } else { parsed(field, from).map(Some) }
}

fn text(field: &str, from: String, most: usize) -> Checked<String> {
    if from.contains('\0') {
        return Err(format!("{field}: must not contain U+0000"));
    }
    match from.chars().count() <= most {
        true => Ok(from),
        false => Err(format!("{field}: must have at most {most} characters")),
    }
}

fn moment(field: &str, from: Option<prost_types::Timestamp>) -> Checked<Option<Timestamp>> {
    let Some(from) = from else { return Ok(None) };
    let micros = from.seconds.checked_mul(1_000_000);
    let at = micros.map(|micros| Timestamp::from_micros(micros + i64::from(from.nanos / 1000)));
    let at = at.filter(|at| (Timestamp::FIRST..=Timestamp::LAST).contains(at));
    at.map(Some).ok_or_else(|| format!("{field}: must be in the years 1 to 9999"))
}
