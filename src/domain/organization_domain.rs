//! Mail domains of organizations, which they prove by a TXT record in DNS.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{DomainId, EmailDomain, Invalid, OrganizationId, Timestamp, text_enum};

/// The label in front of a domain's name; the TXT record of the domain is at this longer name.
const LABEL: &str = "_guestlist-challenge.";
/// The longest name in DNS, in text form without the last dot.
const MAX_NAME: usize = 253;
const VALUE_PREFIX: &str = "guestlist-verification=";

/// A domain of an organization, proved or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationDomain {
    pub id: DomainId,
    pub organization: OrganizationId,
    pub name: EmailDomain,
    pub challenge: DomainChallenge,
    pub mode: DomainMode,
    pub state: DomainState,
    pub created_at: Timestamp,
    /// When a check found the proof and the domain became verified.
    pub verified_at: Option<Timestamp>,
    /// When DNS was last queried for the proof of a verified domain.
    pub checked_at: Option<Timestamp>,
    /// Since when the proof of a verified domain is missing; `None`: the last check found it.
    pub missing_since: Option<Timestamp>,
}

/// The random part of a proof: 32 hexadecimal digits. It is not a secret: the proof is public, and
/// is valid for one domain of one organization only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainChallenge(String);

/// What an account with a verified address in a domain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainMode {
    /// Nothing: people join by invites.
    InviteOnly,
    /// Request to join.
    OnRequest,
    /// Join by the organization's id.
    Automatic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainState {
    /// The proof was not found yet.
    Pending,
    /// The proof was found, and has not been missing for longer than the grace period.
    Verified,
    /// The proof was missing for longer than the grace period.
    Lapsed,
}

/// When a verified domain is checked, and when it lapses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DomainChecks {
    pub interval: Duration,
    /// How long a proof may be missing.
    pub grace: Duration,
}

impl DomainChallenge {
    /// # Errors
    /// If the operating system has no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(hex::encode(bytes)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DomainChallenge {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let hex_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        match text.len() == 32 && text.bytes().all(hex_digit) {
            true => Ok(Self(text.to_owned())),
            false => Err(Invalid("must be 32 hexadecimal digits")),
        }
    }
}

impl OrganizationDomain {
    /// Whether the TXT record of a domain has a name that DNS allows.
    pub fn has_room_for_proof(name: &EmailDomain) -> bool {
        LABEL.len() + name.as_str().len() <= MAX_NAME
    }

    /// The name of the TXT record that proves the domain.
    pub fn record_name(&self) -> String {
        format!("{LABEL}{}", self.name)
    }

    /// The value of that record.
    pub fn record_value(&self) -> String {
        format!("{VALUE_PREFIX}{}", self.challenge.as_str())
    }

    /// Whether one of these TXT values is the proof. A zone file may add blanks around it.
    pub fn is_proved_by(&self, values: &[Vec<u8>]) -> bool {
        let expected = self.record_value();
        values.iter().any(|value| value.trim_ascii() == expected.as_bytes())
    }

    /// Whether the domain is proved at `now`: the grace period ends at its exact time, even if no
    /// worker has stored the lapse yet.
    pub fn is_proved(&self, now: Timestamp, grace: Duration) -> bool {
        self.state == DomainState::Verified
            && self.missing_since.is_none_or(|since| now < since.plus(grace))
    }

    /// The domain after a check at `now` that found the proof.
    #[must_use]
    pub fn proved(self, now: Timestamp) -> Self {
        let verified_at = match self.state {
            DomainState::Verified => self.verified_at,
            DomainState::Pending | DomainState::Lapsed => Some(now),
        };
        Self {
            state: DomainState::Verified,
            verified_at,
            checked_at: Some(now),
            missing_since: None,
            ..self
        }
    }

    /// The verified domain after a check at `now` that did not find the proof.
    #[must_use]
    pub fn not_proved(self, now: Timestamp, grace: Duration) -> Self {
        let since = self.missing_since.unwrap_or(now);
        let state = if since.plus(grace) <= now { DomainState::Lapsed } else { self.state };
        Self { state, checked_at: Some(now), missing_since: Some(since), ..self }
    }

    /// When DNS must be queried for the proof next; `None`: never. A missing proof is checked more
    /// often, at least four times in the grace period.
    pub fn next_check(&self, checks: DomainChecks) -> Option<Timestamp> {
        const LEAST: Duration = Duration::from_secs(60);

        if self.state != DomainState::Verified {
            return None;
        }
        let pause = match self.missing_since {
            Some(_) => checks.interval.min((checks.grace / 4).max(LEAST)),
            None => checks.interval,
        };
        Some(self.checked_at.unwrap_or(self.created_at).plus(pause))
    }
}

impl fmt::Display for DomainMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

text_enum! {
    DomainMode, "must be invite_only, on_request or automatic":
        InviteOnly = "invite_only", OnRequest = "on_request", Automatic = "automatic";
    DomainState, "must be pending, verified or lapsed":
        Pending = "pending", Verified = "verified", Lapsed = "lapsed";
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);
    const CHECKS: DomainChecks =
        DomainChecks { interval: HOUR, grace: Duration::from_secs(8 * 60 * 60) };

    fn at(hours: u32) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000).plus(HOUR * hours)
    }

    fn domain() -> OrganizationDomain {
        OrganizationDomain {
            id: DomainId::generate(at(0)),
            organization: OrganizationId::generate(at(0)),
            name: "acme.com".parse().unwrap(),
            challenge: DomainChallenge::generate().unwrap(),
            mode: DomainMode::InviteOnly,
            state: DomainState::Pending,
            created_at: at(0),
            verified_at: None,
            checked_at: None,
            missing_since: None,
        }
    }

    #[test]
    fn only_the_record_value_of_a_domain_proves_it() {
        let (domain, other) = (domain(), domain());
        let value = domain.record_value();
        assert_eq!(domain.record_name(), "_guestlist-challenge.acme.com");
        assert!(domain.is_proved_by(&[b"v=spf1".to_vec(), format!(" {value}\n").into_bytes()]));
        for wrong in
            [String::new(), other.record_value(), format!("{value}0"), format!("\"{value}\"")]
        {
            assert!(!domain.is_proved_by(&[wrong.into_bytes()]));
        }
        assert!(!domain.is_proved_by(&[]));
    }

    #[test]
    fn a_name_that_is_too_long_for_the_record_name_cannot_be_proved() {
        let name = |length: usize| -> EmailDomain {
            let label = "a".repeat(63);
            let rest = "b".repeat(length - 3 * 64 - 4);
            format!("{label}.{label}.{label}.{rest}.com").parse().unwrap()
        };
        assert_eq!(name(232).as_str().len(), 232);
        assert!(OrganizationDomain::has_room_for_proof(&name(232)));
        assert!(!OrganizationDomain::has_room_for_proof(&name(233)));
    }

    #[test]
    fn p50_a_domain_without_proof_lapses_when_the_grace_period_ends() {
        let verified = domain().proved(at(1));
        assert!(verified.is_proved(at(1000), CHECKS.grace));
        assert_eq!(verified.next_check(CHECKS), Some(at(2)));
        let missing = verified.not_proved(at(2), CHECKS.grace);
        assert_eq!((missing.state, missing.missing_since), (DomainState::Verified, Some(at(2))));
        let end = at(10);
        assert!(missing.is_proved(Timestamp::from_micros(end.as_micros() - 1), CHECKS.grace));
        assert!(!missing.is_proved(end, CHECKS.grace), "no worker is needed");
        assert_eq!(missing.clone().not_proved(at(9), CHECKS.grace).state, DomainState::Verified);
        let lapsed = missing.clone().not_proved(end, CHECKS.grace);
        assert_eq!(lapsed.state, DomainState::Lapsed);
        assert_eq!(
            (lapsed.next_check(CHECKS), lapsed.is_proved(at(2), CHECKS.grace)),
            (None, false)
        );
        let back = missing.proved(at(9));
        assert_eq!((back.missing_since, back.verified_at), (None, Some(at(1))));
        assert_eq!(lapsed.proved(at(20)).verified_at, Some(at(20)));
        assert_eq!(domain().next_check(CHECKS), None);
    }

    #[test]
    fn without_a_grace_period_a_domain_lapses_at_the_first_failed_check() {
        let lapsed = domain().proved(at(1)).not_proved(at(2), Duration::ZERO);
        assert_eq!(lapsed.state, DomainState::Lapsed);
    }

    #[test]
    fn names_parse_back_to_their_values() {
        for mode in DomainMode::ALL {
            assert_eq!(mode.as_str().parse(), Ok(mode));
        }
        for state in DomainState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        let challenge = DomainChallenge::generate().unwrap();
        assert_eq!(challenge.as_str().parse(), Ok(challenge));
        assert!("".parse::<DomainChallenge>().is_err());
    }
}
