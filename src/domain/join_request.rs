//! Requests to join an organization. Its admins approve or deny them.

use super::{AccountId, InviteId, JoinRequestId, MemberId, OrganizationId, Timestamp, text_enum};

/// A request of an account to become a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    pub id: JoinRequestId,
    pub organization: OrganizationId,
    pub account: AccountId,
    pub state: JoinRequestState,
    /// The link that requires approval; `None`: the request was made by the account's mail domain.
    pub invite: Option<InviteId>,
    /// The organization's version when the request was made.
    pub version: i64,
    pub created_at: Timestamp,
    /// `None` while it is pending.
    pub decision: Option<Decision>,
    /// The membership of an approved request.
    pub member: Option<MemberId>,
}

/// The end of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub at: Timestamp,
    /// The membership of the admin that decided; `None`: the account withdrew the request, or
    /// another change ended it.
    pub by: Option<MemberId>,
    /// Why it was denied: free text of the admin.
    pub reason: String,
    /// Before this time the account cannot request again.
    pub ask_again_at: Option<Timestamp>,
}

/// Every state but `Pending` is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinRequestState {
    Pending,
    Approved,
    Denied,
    Withdrawn,
    /// The account has become a member in another way, or was erased.
    Ended,
}

impl Decision {
    /// A decision without an admin and without a reason.
    pub fn at(at: Timestamp) -> Self {
        Self { at, by: None, reason: String::new(), ask_again_at: None }
    }
}

impl JoinRequest {
    /// The request with this final state and decision.
    #[must_use]
    pub fn decided(self, state: JoinRequestState, decision: Decision) -> Self {
        Self { state, decision: Some(decision), ..self }
    }
}

text_enum! {
    JoinRequestState, "must be pending, approved, denied, withdrawn or ended":
        Pending = "pending", Approved = "approved", Denied = "denied",
        Withdrawn = "withdrawn", Ended = "ended";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_to_their_values() {
        for state in JoinRequestState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }
}
