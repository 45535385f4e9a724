//! Invites: what lets somebody in.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::ids::parse_uuid;
use super::{Invalid, InviteId, MemberId, OrganizationId, Role, SecretHash, Timestamp};

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
    /// What it makes of whoever joins.
    pub role: Role,
    /// Whose authority it rests on.
    pub inviter: MemberId,
    /// Where it is in its life.
    pub state: InviteState,
    /// The organization's version when it was made.
    pub version: i64,
    /// When it stops working, if at all.
    pub expires_at: Option<Timestamp>,
    /// How often it may be used, if that is bounded.
    pub max_uses: Option<i64>,
    /// How often it has been used.
    pub uses: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

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
}

impl Invite {
    /// Whether it lets somebody in at `now`: not ended, not expired, uses left.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.state == InviteState::Live
            && self.expires_at.is_none_or(|end| now < end)
            && self.max_uses.is_none_or(|most| self.uses < most)
    }
}

impl InviteToken {
    /// A new token.
    pub fn generate() -> Self {
        Self(Uuid::new_v4())
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

impl InviteKind {
    /// Its name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            InviteKind::JoinLink => "join_link",
        }
    }
}

impl FromStr for InviteKind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "join_link" => Ok(InviteKind::JoinLink),
            _ => Err(Invalid("must be join_link")),
        }
    }
}

impl InviteState {
    const ALL: [InviteState; 5] = [
        InviteState::Live,
        InviteState::Replaced,
        InviteState::Revoked,
        InviteState::Expired,
        InviteState::Exhausted,
    ];

    /// Its name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            InviteState::Live => "live",
            InviteState::Replaced => "replaced",
            InviteState::Revoked => "revoked",
            InviteState::Expired => "expired",
            InviteState::Exhausted => "exhausted",
        }
    }
}

impl FromStr for InviteState {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        InviteState::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(Invalid("must be the name of an invite's state"))
    }
}

impl EndReason {
    /// Its name in the store and in the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            EndReason::Replaced => "REPLACED",
            EndReason::InviterGone => "INVITER_GONE",
            EndReason::Expired => "EXPIRED",
            EndReason::Exhausted => "EXHAUSTED",
        }
    }

    /// The state an invite ends in for this reason.
    pub const fn state(self) -> InviteState {
        match self {
            EndReason::Replaced => InviteState::Replaced,
            EndReason::InviterGone => InviteState::Revoked,
            EndReason::Expired => InviteState::Expired,
            EndReason::Exhausted => InviteState::Exhausted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p01_tokens_are_random_uuids_of_version_4() {
        let tokens: std::collections::HashSet<String> =
            (0..1000).map(|_| InviteToken::generate().expose()).collect();
        assert_eq!(tokens.len(), 1000);
        for token in tokens {
            let uuid: Uuid = token.parse().unwrap();
            assert_eq!(uuid.get_version_num(), 4);
            assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        }
    }

    #[test]
    fn p05_debug_shows_no_token() {
        let token = InviteToken::generate();
        assert!(!format!("{token:?}").contains(&token.expose()[..8]));
    }

    #[test]
    fn a_token_comes_back_from_its_text_in_any_case() {
        let token = InviteToken::generate();
        let again: InviteToken = token.expose().to_uppercase().parse().unwrap();
        assert!(again.hash().matches(&token.hash()));
    }
}
