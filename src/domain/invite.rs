//! Invites, their tokens and the access to content that they grant.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::ids::parse_uuid;
use super::{
    Attributes, ContinueUrl, EmailAddress, EmailDomain, GrantId, Invalid, InviteId, Locale,
    MemberEnd, MemberId, OrganizationId, OrganizationName, Role, SecretHash, Timestamp, text_enum,
};

/// An invite without its token, which the store keeps only hashed and sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Used to manage the invite; no account can join with it.
    pub id: InviteId,
    pub organization: OrganizationId,
    pub kind: InviteKind,
    /// The role of a member that joins with the invite; always guest if the invite grants content.
    pub role: Role,
    /// Access to content that the new member gets in addition to the role.
    pub content: Option<ContentGrant>,
    /// The recipient of an email invitation; `None` for links.
    pub email: Option<EmailAddress>,
    /// Only accounts with a verified address in one of these domains may use the invite.
    /// Empty: no restriction.
    pub allowed_domains: Vec<EmailDomain>,
    /// Only accounts of the organization's single sign-on may use the invite.
    pub sso: bool,
    /// The id that the membership gets when an email invitation is accepted.
    pub member: Option<MemberId>,
    /// Free text of the inviter.
    pub note: String,
    /// A member that joins with the invite gets its metadata and, if `max_uses` is 1, its external
    /// id.
    pub attributes: Attributes,
    /// When the membership of a member that joins with the invite ends; `None`: it has no end.
    pub member_end: Option<MemberEnd>,
    /// The page to which its recipients continue after joining.
    pub continue_url: Option<ContinueUrl>,
    /// The language of the invitation's mail.
    pub locale: Option<Locale>,
    /// The member that made the invite. The invite ends when this member loses the right
    /// to invite.
    pub inviter: MemberId,
    pub state: InviteState,
    /// The organization's version when the invite was made or last sent again.
    pub version: i64,
    /// `None`: the invite does not expire.
    pub expires_at: Option<Timestamp>,
    /// `None`: any number of uses.
    pub max_uses: Option<i64>,
    pub uses: i64,
    pub created_at: Timestamp,
    /// `None` while `state` is `Live`.
    pub ending: Option<Ending>,
    /// The delivery of the invitation's mail; `None` for links.
    pub delivery: Option<Delivery>,
    /// The number of reminders since the invitation was sent or sent again.
    pub reminders: u32,
    /// With this link an account can only request to join: an admin must approve each request.
    pub requires_approval: bool,
}

/// A pending email invitation, as its recipient sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedInvitation {
    pub invite: Invite,
    pub organization: OrganizationName,
    /// Empty if the inviter has no name.
    pub inviter: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    pub at: Timestamp,
    /// The member that ended it; `None` if it expired, was used or was declined.
    pub by: Option<MemberId>,
    pub reason: EndReason,
}

/// The delivery of an invitation's mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    Pending,
    /// A mail server accepted the mail.
    Sent,
    /// The last attempt failed for this reason; there are no further attempts.
    Failed(String),
}

/// Access to one piece of content. The content itself belongs to another service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentGrant {
    pub kind: ContentKind,
    pub id: ContentId,
    pub level: Role,
}

/// A member's access to one piece of content. It ends with the membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    pub member: MemberId,
    pub content: ContentGrant,
    /// The link that granted the access.
    pub invite: InviteId,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentKind {
    Space,
    Collection,
}

/// Id of a piece of content: 1 to 128 letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentId(String);

/// The secret with which an account joins: a random UUID (version 4, from the operating system's
/// generator). The token alone is enough to join, so `Debug` never prints it and the store keeps it
/// only hashed and sealed.
#[derive(Clone, Copy)]
pub struct InviteToken(Uuid);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteKind {
    /// The shareable link of an organization; at most one is live.
    JoinLink,
    /// An additional link with a name; an organization may have many.
    NamedLink,
    /// An email invitation, for one address.
    Email,
}

/// The stored state of an invite. Every state but `Live` is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteState {
    /// Not ended. The statement that consumes the invite also checks its expiry and
    /// its uses.
    Live,
    /// A newer join link replaced it.
    Replaced,
    /// An admin revoked it, or its inviter lost the right to invite.
    Revoked,
    Expired,
    /// All its uses are spent.
    Exhausted,
    /// An email invitation was used to join.
    Accepted,
    /// The recipient declined it.
    Declined,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// A newer join link replaced it.
    Replaced,
    /// The inviter lost the right to invite: was demoted, suspended or removed, or left.
    InviterGone,
    Expired,
    /// Its last use was spent.
    Exhausted,
    /// The recipient joined with it.
    Accepted,
    /// The recipient became a member in another way.
    AlreadyMember,
    /// The recipient declined it.
    Declined,
    /// An admin revoked it.
    Revoked,
}

impl Invite {
    /// Whether an account may join with the invite at `now`: not ended, not expired,
    /// uses left.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.state == InviteState::Live
            && self.expires_at.is_none_or(|end| now < end)
            && self.max_uses.is_none_or(|max| self.uses < max)
    }

    /// Whether one more use is the last one.
    pub fn is_last_use(&self) -> bool {
        self.max_uses.is_some_and(|max| self.uses + 1 >= max)
    }

    /// The invite as it is at `now`: shown as expired from the moment of expiry, even
    /// if the expiry worker has not stored that yet.
    #[must_use]
    pub fn as_of(self, now: Timestamp) -> Self {
        match self.expires_at {
            Some(end) if end <= now => self.shown_ended(end, EndReason::Expired),
            _ => self,
        }
    }

    /// The invite, shown as ended at a moment that is not stored yet.
    #[must_use]
    pub fn shown_ended(mut self, at: Timestamp, reason: EndReason) -> Self {
        if self.state == InviteState::Live {
            self.state = reason.state();
            self.ending = Some(Ending { at, by: None, reason });
        }
        self
    }

    /// Limits an expiry: an invite ends no later than the memberships that it gives.
    pub fn capped_expiry(&self, expires_at: Option<Timestamp>) -> Option<Timestamp> {
        match self.member_end {
            Some(MemberEnd::At(end)) => Some(expires_at.map_or(end, |at| at.min(end))),
            _ => expires_at,
        }
    }
}

impl InviteToken {
    /// A new token (UUID version 4, RFC 9562) from the operating system's generator.
    ///
    /// # Errors
    /// If the generator fails.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(uuid::Builder::from_random_bytes(bytes).into_uuid()))
    }

    /// SHA-256 of the token; the store finds an invite by it.
    pub fn hash(&self) -> SecretHash {
        SecretHash::from(<[u8; 32]>::from(Sha256::digest(self.0.as_bytes())))
    }

    /// The plain token, for sealing only.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// # Errors
    /// If `bytes` are not 16 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        Uuid::from_slice(bytes).map(Self).map_err(|_| Invalid("must be a token of 16 bytes"))
    }

    /// The token as text. Named so that every place that reveals it can be found.
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

text_enum! {
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
            requires_approval: false,
            member: None,
            note: String::new(),
            attributes: Attributes::default(),
            member_end: None,
            continue_url: None,
            locale: None,
            inviter: id.into(),
            state: InviteState::Live,
            version: 1,
            expires_at: expires_at.map(at),
            max_uses,
            uses,
            created_at: at(0),
            ending: None,
            delivery: None,
            reminders: 0,
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
    fn a_live_invite_is_shown_as_expired_from_its_expiry_on() {
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
    fn names_parse_back_to_their_values() {
        for kind in InviteKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for state in InviteState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        for reason in EndReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        for kind in ContentKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("".parse::<InviteState>().is_err());
    }

    #[test]
    fn each_end_reason_has_its_state() {
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
    fn a_content_id_has_at_most_128_plain_characters() {
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
    fn a_token_is_parsed_from_its_text_in_any_letter_case() {
        let token = InviteToken::generate().unwrap();
        let again: InviteToken = token.expose().to_uppercase().parse().unwrap();
        assert!(again.hash().matches(&token.hash()));
    }
}
