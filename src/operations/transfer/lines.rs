//! Lines of a file, and the ids that are derived from them.

use crate::domain::transfer::{InvitationRecord, MemberRecord, derived_id};
use crate::domain::{AccountId, InviteId, MemberId, Timestamp};

/// A line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub offset: u64,
    pub length: u32,
    /// Counted from 1.
    pub line: u32,
}

/// A problem of a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub line: u32,
    pub what: String,
}

/// What an import depends on besides its file.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    pub now: Timestamp,
    /// For organizations whose record has no limit; 0 means no limit.
    pub default_seat_limit: i64,
    /// For invitations whose record has no expiry.
    pub invitation_lifetime: std::time::Duration,
}

/// The id of a membership: that of its record or, if it has none, a derived one that is the same in
/// each import.
pub(super) fn member_id(record: &MemberRecord, account: AccountId) -> MemberId {
    let (organization, account) = (record.organization.to_string(), account.to_string());
    let derived = || match record.departure {
        None => derived_id(&["member", &organization, &account]),
        Some(left) => {
            derived_id(&["departure", &organization, &account, &left.at.as_micros().to_string()])
        }
    };
    record.id.unwrap_or_else(|| derived().into())
}

/// The id of an invitation, as in `member_id`.
pub(super) fn invitation_id(record: &InvitationRecord) -> InviteId {
    let organization = record.organization.to_string();
    let derived = || derived_id(&["invitation", &organization, record.email.as_str()]);
    record.id.unwrap_or_else(|| derived().into())
}
