//! Identifiers: one type for each kind of object, so that the compiler finds mix-ups.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use uuid::{ContextV7, Uuid};

use super::{Invalid, Timestamp};

/// Keeps the order of ids that are generated within one millisecond.
static ORDER: Mutex<ContextV7> = Mutex::new(ContextV7::new());

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new UUIDv7: ids are ordered by `now`, so new rows go to the end of an
            /// index.
            pub fn generate(now: Timestamp) -> Self {
                let seconds = u64::try_from(now.as_seconds()).unwrap_or(0);
                let nanos = u32::try_from(now.subsec_nanos()).unwrap_or(0);
                Self(Uuid::new_v7(uuid::Timestamp::from_unix(&ORDER, seconds, nanos)))
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                parse_uuid(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

uuid_ids! {
    AccountId;
    OrganizationId;
    /// A membership; `user_id` in `gitpod.v1`.
    MemberId;
    /// Used to manage an invite; an [`super::InviteToken`] is needed to join.
    InviteId;
    AuditEventId;
    GrantId;
    /// A mail in the outbox.
    OutboxId;
    /// An endpoint that events are sent to.
    WebhookId;
    WebhookDeliveryId;
    /// A domain of an organization.
    DomainId;
    /// A request to join an organization.
    JoinRequestId;
    NoticeId;
}

impl AuditEventId {
    /// The least id of an event made at `time` or later.
    pub fn first_at(time: Timestamp) -> Uuid {
        let millis = u128::from(u64::try_from(time.as_micros() / 1000).unwrap_or(0));
        Uuid::from_u128(millis << 80)
    }
}

/// Parses a UUID in hyphenated form (8-4-4-4-12, any case), which the API requires;
/// rejects braces, URNs and the form without hyphens.
pub(super) fn parse_uuid(text: &str) -> Result<Uuid, Invalid> {
    const WRONG: Invalid = Invalid("must be a UUID such as 0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b");
    if text.len() != 36 {
        return Err(WRONG);
    }
    Uuid::try_parse(text).map_err(|_| WRONG)
}

/// The public half of an API key, shown in lists, logs and the audit trail: 16 hexadecimal
/// digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    pub(super) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(hex::encode(bytes))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let hex_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 16 && text.bytes().all(hex_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid("must be a key id: 16 hexadecimal digits"))
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_the_same_time_are_in_order_of_creation() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let ids: Vec<AuditEventId> = (0..1000).map(|_| AuditEventId::generate(now)).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert!(ids.iter().all(|id| Uuid::from(*id).get_version_num() == 7));
    }

    #[test]
    fn only_the_hyphenated_form_of_a_uuid_is_accepted() {
        let usual = "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b";
        assert_eq!(usual.parse::<MemberId>().unwrap().to_string(), usual);
        assert_eq!(usual.to_uppercase().parse::<MemberId>().unwrap().to_string(), usual);
        for text in [
            "",
            "0197a2b45c6d7e8f9a0b1c2d3e4f5a6b",
            &format!("{{{usual}}}"),
            &format!("urn:uuid:{usual}"),
            &usual[1..],
        ] {
            assert!(text.parse::<MemberId>().is_err(), "{text}");
        }
    }
}
