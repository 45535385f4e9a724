//! The end of memberships, in messages about invites.

use std::time::Duration;

use super::{Fields, to_timestamp};
use crate::domain::{MEMBER_LIFETIME, MemberEnd};
use crate::proto::guestlist::v1 as pb;

/// The end of memberships in a message, not yet checked.
pub enum Given {
    Lifetime(prost_types::Duration),
    At(prost_types::Timestamp),
}

/// A change of the end of memberships.
pub enum EndChange {
    Set(Given),
    /// `true` removes the end, `false` changes nothing.
    Never(bool),
}

impl Fields {
    /// Checks the end of memberships. A violation names the field with `prefix` in front.
    pub fn member_end(&mut self, prefix: &str, given: Given) -> Option<MemberEnd> {
        match given {
            Given::At(at) => {
                self.timestamp(&format!("{prefix}member_expire_time"), at).map(MemberEnd::At)
            }
            Given::Lifetime(lifetime) => {
                let lifetime = Duration::try_from(lifetime).ok();
                let lifetime = lifetime.filter(|it| MEMBER_LIFETIME.contains(it));
                if lifetime.is_none() {
                    let what = "must be 1 second to 3,650 days";
                    self.wrong(format_args!("{prefix}member_lifetime"), what);
                }
                lifetime.map(MemberEnd::After)
            }
        }
    }
}

/// Each message has its own enum for the same two fields.
macro_rules! given {
    ($($message:ident),*) => {$(
        impl From<pb::$message::MemberEnd> for Given {
            fn from(end: pb::$message::MemberEnd) -> Self {
                match end {
                    pb::$message::MemberEnd::MemberLifetime(lifetime) => Given::Lifetime(lifetime),
                    pb::$message::MemberEnd::MemberExpireTime(at) => Given::At(at),
                }
            }
        }
    )*};
}

given!(create_link_request, invite_by_email_request, email_invitation);

impl From<pb::update_request::MemberEnd> for EndChange {
    fn from(end: pb::update_request::MemberEnd) -> Self {
        use pb::update_request::MemberEnd as Field;

        match end {
            Field::MemberLifetime(lifetime) => EndChange::Set(Given::Lifetime(lifetime)),
            Field::MemberExpireTime(at) => EndChange::Set(Given::At(at)),
            Field::MembersNeverExpire(never) => EndChange::Never(never),
        }
    }
}

impl From<MemberEnd> for pb::invite::MemberEnd {
    fn from(end: MemberEnd) -> Self {
        use pb::invite::MemberEnd as Field;

        match end {
            // The conversion cannot fail: a lifetime is at most the maximum of `MEMBER_LIFETIME`.
            MemberEnd::After(lifetime) => {
                Field::MemberLifetime(lifetime.try_into().unwrap_or_default())
            }
            MemberEnd::At(end) => Field::MemberExpireTime(to_timestamp(end)),
        }
    }
}
