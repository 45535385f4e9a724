//! Invites: what lets somebody in.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::ids::parse_uuid;
use super::{
    EmailAddress, EmailDomain, GrantId, Invalid, InviteId, MemberId, OrganizationId, Role,
    SecretHash, Timestamp,
};

/// An invite as it stands. Its token is not part of it: the store has that only
/// hashed and sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Manages it.
    pub id: InviteId,
    /// To which organization.
    pub organization: OrganizationId,
    /// What kind of invite it is.
    pub kind: InviteKind,
    /// What it makes of whoever joins; a guest, if it grants content.
    pub role: Role,
    /// The content it grants access to, besides.
    pub content: Option<ContentGrant>,
    /// Whom an email invitation is for.
    pub email: Option<EmailAddress>,
    /// The only mail domains whose verified addresses may use it; none means any.
    pub allowed_domains: Vec<EmailDomain>,
    /// Redeemed only by an account of the organization's single sign-on.
    pub sso: bool,
    /// The membership that an email invitation will become.
    pub member: Option<MemberId>,
    /// For people.
    pub note: String,
    /// Whose authority it rests on.
    pub inviter: MemberId,
    /// Where it is in its life.
    pub state: InviteState,
    /// The organization's version when it was made, or last sent again.
    pub version: i64,
    /// When it stops working, if at all.
    pub expires_at: Option<Timestamp>,
    /// How often it may be used, if that is bounded.
    pub max_uses: Option<i64>,
    /// How often it has been used.
    pub uses: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When, by whom and why it ended, once it has.
    pub ending: Option<Ending>,
    /// What became of its mail, if there is one.
    pub delivery: Option<Delivery>,
}

/// When, by whom and why an invite ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// When.
    pub at: Timestamp,
    /// The member whose act ended it; none for time, use and declining.
    pub by: Option<MemberId>,
    /// Why.
    pub reason: EndReason,
}

/// What became of an invitation's mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// It waits to be sent.
    Pending,
    /// A mail server has taken it.
    Sent,
    /// Given up, and why.
    Failed(String),
}

/// Access to one piece of content, which another service keeps.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentGrant {
    /// What kind of content.
    pub kind: ContentKind,
    /// Which.
    pub id: ContentId,
    /// The level of access.
    pub level: Role,
}

/// A member's access to one piece of content. It ends with the membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// Whose.
    pub member: MemberId,
    /// To what.
    pub content: ContentGrant,
    /// The link it came by.
    pub invite: InviteId,
    /// Since when.
    pub created_at: Timestamp,
}

/// The kinds of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentKind {
    /// A space.
    Space,
    /// A collection.
    Collection,
}

/// Id of a piece of content: 1 to 128 letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentId(String);

/// Joins with an invite: a random UUID (version 4, from the operating system's
/// generator). Whoever holds it may join, so it is never printed by `Debug` and
/// stored only hashed and sealed.
#[derive(Clone, Copy)]
pub struct InviteToken(Uuid);

/// The kinds of invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteKind {
    /// The one shareable link of an organization; at most one is live.
    JoinLink,
    /// A link; any number live side by side.
    NamedLink,
    /// For one address.
    Email,
}

/// Where an invite is in its life. Everything but `Live` is the end of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteState {
    /// Not ended. Whether it still lets somebody in also depends on its expiry
    /// and its uses, which the statement that consumes it checks.
    Live,
    /// A newer one took its place.
    Replaced,
    /// Taken back, by somebody or with its inviter.
    Revoked,
    /// Its time ran out.
    Expired,
    /// All its uses are spent.
    Exhausted,
    /// An email invitation that was used.
    Accepted,
    /// Declined by whom it was for.
    Declined,
}

/// Why an invite was ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// A newer join link took its place.
    Replaced,
    /// Whoever made it lost the authority to: demoted, suspended, removed, left.
    InviterGone,
    /// Its time ran out.
    Expired,
    /// Its last use was spent.
    Exhausted,
    /// Whom it was for has joined with it.
    Accepted,
    /// Whom it was for has become a member in another way.
    AlreadyMember,
    /// Declined by whom it was for.
    Declined,
    /// Taken back by an admin.
    Revoked,
}

impl Invite {
    /// Whether it lets somebody in at `now`: not ended, not expired, uses left.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.state == InviteState::Live
            && self.expires_at.is_none_or(|end| now < end)
            && self.max_uses.is_none_or(|most| self.uses < most)
    }
}

impl Invite {
    /// The invite as it is at `now`: what has run out of time has ended, whether
    /// anybody has written that down or not.
    #[must_use]
    pub fn as_of(mut self, now: Timestamp) -> Self {
        if let Some(end) = self.expires_at
            && self.state == InviteState::Live
            && end <= now
        {
            self.state = InviteState::Expired;
            self.ending = Some(Ending { at: end, by: None, reason: EndReason::Expired });
        }
        self
    }
}

impl InviteToken {
    /// A new token, whose bits are the operating system's (a UUID of version 4,
    /// RFC 9562).
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(uuid::Builder::from_random_bytes(bytes).into_uuid()))
    }

    /// What the store looks a token up by.
    pub fn hash(&self) -> SecretHash {
        SecretHash::from(<[u8; 32]>::from(Sha256::digest(self.0.as_bytes())))
    }

    /// The token's bytes, to be sealed.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// From unsealed bytes.
    ///
    /// # Errors
    /// If they are not 16.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        Uuid::from_slice(bytes).map(Self).map_err(|_| Invalid("must be a token of 16 bytes"))
    }

    /// The token as text. The only way to see it.
    pub fn expose(&self) -> String {
        self.0.to_string()
    }
}

impl FromStr for InviteToken {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        parse_uuid(text).map(Self)
    }
}

impl fmt::Debug for InviteToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteToken(…)")
    }
}

impl ContentId {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContentId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid("must be 1 to 128 letters, digits, '-' or '_'"))
        }
    }
}

/// The names of a closed set, in the store and in our own API: both ways from one
/// list.
macro_rules! named {
    ($($type:ident, $wrong:literal: $($value:ident = $name:literal),+;)+) => {$(
        impl $type {
            /// Every one of them.
            pub const ALL: &[$type] = &[$($type::$value),+];

            /// Its name in the store.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($type::$value => $name,)+
                }
            }
        }

        impl FromStr for $type {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                let found = $type::ALL.iter().find(|value| value.as_str() == text);
                found.copied().ok_or(Invalid($wrong))
            }
        }
    )+};
}

named! {
    InviteKind, "must be the name of an invite's kind":
        JoinLink = "join_link", NamedLink = "named_link", Email = "email";
    InviteState, "must be the name of an invite's state":
        Live = "live", Replaced = "replaced", Revoked = "revoked", Expired = "expired",
        Exhausted = "exhausted", Accepted = "accepted", Declined = "declined";
    EndReason, "must be the reason of an invite's end":
        Replaced = "REPLACED", InviterGone = "INVITER_GONE", Expired = "EXPIRED",
        Exhausted = "EXHAUSTED", Accepted = "ACCEPTED", AlreadyMember = "ALREADY_MEMBER",
        Declined = "DECLINED", Revoked = "REVOKED";
    ContentKind, "must be space or collection":
        Space = "space", Collection = "collection";
}

impl EndReason {
    /// The state an invite ends in for this reason.
    pub const fn state(self) -> InviteState {
        match self {
            EndReason::Replaced => InviteState::Replaced,
            EndReason::InviterGone | EndReason::Revoked | EndReason::AlreadyMember => {
                InviteState::Revoked
            }
            EndReason::Expired => InviteState::Expired,
            EndReason::Exhausted => InviteState::Exhausted,
            EndReason::Accepted => InviteState::Accepted,
            EndReason::Declined => InviteState::Declined,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p01_tokens_are_random_uuids_of_version_4() {
        let tokens: std::collections::HashSet<String> =
            (0..1000).map(|_| InviteToken::generate().unwrap().expose()).collect();
        assert_eq!(tokens.len(), 1000);
        for token in tokens {
            let uuid: Uuid = token.parse().unwrap();
            assert_eq!(uuid.get_version_num(), 4);
            assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        }
    }

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn invite(expires_at: Option<i64>, max_uses: Option<i64>, uses: i64) -> Invite {
        let id = Uuid::from_u128(1);
        Invite {
            id: id.into(),
            organization: id.into(),
            kind: InviteKind::NamedLink,
            role: Role::Member,
            content: None,
            email: None,
            allowed_domains: Vec::new(),
            sso: false,
            member: None,
            note: String::new(),
            inviter: id.into(),
            state: InviteState::Live,
            version: 1,
            expires_at: expires_at.map(at),
            max_uses,
            uses,
            created_at: at(0),
            ending: None,
            delivery: None,
        }
    }

    #[test]
    fn an_invite_is_live_until_it_ends_expires_or_is_used_up() {
        for (expires_at, max_uses, uses, live) in [
            (None, None, 9, true),
            (Some(101), None, 0, true),
            (Some(100), None, 0, false),
            (Some(99), None, 0, false),
            (None, Some(2), 1, true),
            (None, Some(2), 2, false),
            (Some(101), Some(2), 2, false),
            (Some(100), Some(2), 1, false),
        ] {
            let invite = invite(expires_at, max_uses, uses);
            assert_eq!(invite.is_live(at(100)), live, "{invite:?}");
            for state in InviteState::ALL.iter().filter(|state| **state != InviteState::Live) {
                assert!(!Invite { state: *state, ..invite.clone() }.is_live(at(100)));
            }
        }
    }

    #[test]
    fn what_has_run_out_of_time_shows_as_expired_then() {
        let expiring = invite(Some(100), None, 0);
        assert_eq!(expiring.clone().as_of(at(99)), expiring);
        let ending = Ending { at: at(100), by: None, reason: EndReason::Expired };
        for now in [100, 101] {
            let expired = expiring.clone().as_of(at(now));
            assert_eq!((expired.state, expired.ending), (InviteState::Expired, Some(ending)));
        }
        let revoked = Invite { state: InviteState::Revoked, ..expiring };
        assert_eq!(revoked.clone().as_of(at(101)), revoked, "it had ended before");
        let lasting = invite(None, Some(1), 1);
        assert_eq!(lasting.clone().as_of(at(101)), lasting);
    }

    #[test]
    fn names_come_back() {
        for kind in InviteKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        for state in InviteState::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        for reason in EndReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
        }
        for kind in ContentKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert!("".parse::<InviteState>().is_err());
    }

    #[test]
    fn each_reason_leads_to_its_state() {
        let states: Vec<&str> =
            EndReason::ALL.iter().map(|reason| reason.state().as_str()).collect();
        let expected = [
            "replaced",
            "revoked",
            "expired",
            "exhausted",
            "accepted",
            "revoked",
            "declined",
            "revoked",
        ];
        assert_eq!(states, expected);
    }

    #[test]
    fn an_id_of_content_is_of_128_plain_characters_at_most() {
        let is_one = |text: &str| text.parse::<ContentId>().is_ok();
        assert!(is_one("a") && is_one("Z-9_") && is_one(&"a".repeat(128)));
        for bad in ["", " ", "a b", "a.b", "ä", &"a".repeat(129)] {
            assert!(!is_one(bad), "{bad:?}");
        }
    }

    #[test]
    fn p05_debug_shows_no_token() {
        let token = InviteToken::generate().unwrap();
        assert!(!format!("{token:?}").contains(&token.expose()[..8]));
    }

    #[test]
    fn a_token_comes_back_from_its_text_in_any_case() {
        let token = InviteToken::generate().unwrap();
        let again: InviteToken = token.expose().to_uppercase().parse().unwrap();
        assert!(again.hash().matches(&token.hash()));
    }
}
