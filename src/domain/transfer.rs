//! The records of an export, in the form in which they are read without a store.

use uuid::Uuid;

use super::{
    AccountId, AccountKind, Attributes, ContinueUrl, EmailAddress, EmailDomain, InviteId, JoinedBy,
    Locale, MemberEnd, MemberId, MemberStatus, OrganizationId, OrganizationName, Profile, Role,
    Tier, Timestamp,
};

/// The version of the format.
pub const EXPORT_VERSION: i32 = 1;

/// The namespace of derived ids (UUIDv5). It must never change: otherwise a repeated import would
/// write all records a second time.
const DERIVED: Uuid = Uuid::from_u128(0x3f0b_5a8e_6d0c_4b6e_9a55_0a1d_3c97_7e21);

/// A line after the header.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    Account(AccountRecord),
    Organization(OrganizationRecord),
    /// A current membership, or one that has ended.
    Member(MemberRecord),
    Invitation(InvitationRecord),
}

/// How a record names an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountKey {
    Id(AccountId),
    Subject { issuer: String, subject: String },
    Email(EmailAddress),
}

#[derive(Debug, Clone, PartialEq)]
pub struct AccountRecord {
    pub id: AccountId,
    pub issuer: String,
    pub subject: String,
    pub kind: AccountKind,
    pub profile: Profile,
    pub created_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OrganizationRecord {
    pub id: OrganizationId,
    pub name: OrganizationName,
    pub invite_domains: Vec<EmailDomain>,
    pub tier: Tier,
    pub creator: Option<AccountKey>,
    pub created_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
    pub version: Option<i64>,
    pub seat_limit: Option<i64>,
    pub attributes: Attributes,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MemberRecord {
    pub id: Option<MemberId>,
    pub organization: OrganizationId,
    pub account: AccountKey,
    pub role: Role,
    /// `Left` if `departure` is set.
    pub status: MemberStatus,
    pub joined_at: Option<Timestamp>,
    pub joined_by: JoinedBy,
    pub expires_at: Option<Timestamp>,
    pub departure: Option<DepartureRecord>,
    pub attributes: Attributes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepartureRecord {
    pub at: Timestamp,
    pub removed: bool,
    pub version: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct InvitationRecord {
    pub id: Option<InviteId>,
    pub organization: OrganizationId,
    pub email: EmailAddress,
    pub role: Role,
    pub inviter: Option<AccountKey>,
    pub sso: bool,
    pub member: Option<MemberId>,
    pub note: String,
    pub created_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub version: Option<i64>,
    pub attributes: Attributes,
    pub member_end: Option<MemberEnd>,
    pub continue_url: Option<ContinueUrl>,
    pub locale: Option<Locale>,
}

/// An id that is always the same for these parts.
pub fn derived_id(parts: &[&str]) -> Uuid {
    let mut text = String::new();
    for part in parts {
        text.push_str(&format!("{}:{part}", part.len()));
    }
    Uuid::new_v5(&DERIVED, text.as_bytes())
}

impl AccountKey {
    /// The key as 16 bytes: different keys have different digests.
    pub fn digest(&self) -> Uuid {
        match self {
            AccountKey::Id(id) => derived_id(&["id", &id.to_string()]),
            AccountKey::Subject { issuer, subject } => derived_id(&["subject", issuer, subject]),
            AccountKey::Email(email) => derived_id(&["email", email.as_str()]),
        }
    }
}

impl AccountRecord {
    /// The key by issuer and subject.
    pub fn key(&self) -> AccountKey {
        AccountKey::Subject { issuer: self.issuer.clone(), subject: self.subject.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p47_derived_ids_never_change() {
        let id = derived_id(&["organization", "org_1"]);
        assert_eq!(id.to_string(), "13a1e173-7fe5-5a6e-a003-9c41d9ba52f0");
        assert_ne!(derived_id(&["ab", "c"]), derived_id(&["a", "bc"]));
    }
}
