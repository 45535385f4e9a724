//! Invites: making them, showing them, ending them.

mod create_organization_invite;
mod get_organization_invite;
mod get_organization_invite_summary;

pub use create_organization_invite::create_organization_invite;
pub use get_organization_invite::get_organization_invite;
pub use get_organization_invite_summary::{InviteSummary, get_organization_invite_summary};

use crate::domain::{
    Action, EndReason, Ending, Invite, InviteId, InviteKind, InviteState, InviteToken, Role,
    TargetKind, Timestamp,
};
use crate::error::{Error, Result};
use crate::keyring::{Keyring, Purpose};
use crate::operations::Call;
use crate::operations::access::Access;
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::invites::StoredToken;
use crate::storage::{Tx, invites, organizations};

/// Makes a new join link in a locked organization. The one before ends first, so
/// that at most one is live at any moment.
async fn rotate_join_link(
    tx: &Tx,
    keyring: &Keyring,
    call: &Call,
    access: Access,
    now: Timestamp,
) -> Result<InviteToken> {
    let Access { mut organization, member } = access;
    let mut note = String::new();
    if let Some((before, _)) = invites::join_link(tx, organization.id).await? {
        let ending = if before.is_live(now) {
            Ending { at: now, by: Some(member.id), reason: EndReason::Replaced }
        } else {
            Ending { at: now, by: None, reason: EndReason::Expired }
        };
        invites::end(tx, organization.id, before.id, &ending).await?;
        note = format!("replaces {}", before.id);
    }
    organization.version += 1;
    organizations::update(tx, &organization).await?;

    let token = InviteToken::generate();
    let invite = Invite {
        id: InviteId::generate(now),
        organization: organization.id,
        kind: InviteKind::JoinLink,
        role: Role::Member,
        inviter: member.id,
        state: InviteState::Live,
        version: organization.version,
        expires_at: None,
        max_uses: None,
        uses: 0,
        created_at: now,
        content: None,
        email: None,
        allowed_domains: Vec::new(),
        sso: false,
        member: None,
        note: String::new(),
        ending: None,
        delivery: None,
    };
    invites::insert(tx, &invite, seal(keyring, &invite, &token)?).await?;
    let event = NewEvent {
        action: Action::InviteCreated,
        target_kind: TargetKind::Invite,
        target_id: invite.id.to_string(),
        organization: Some(organization.id),
        actor: &call.actor(),
        note,
    };
    audit_events::append(tx, event, now).await?;
    Ok(token)
}

/// A token as the store keeps it. The invite's id is bound into the seal, so that
/// a sealed token cannot be moved to another row.
fn seal(keyring: &Keyring, invite: &Invite, token: &InviteToken) -> Result<StoredToken> {
    let sealed = keyring
        .seal(Purpose::InviteToken, invite.id.to_string().as_bytes(), token.as_bytes())
        .map_err(Error::internal)?;
    Ok(StoredToken { hash: token.hash(), sealed })
}

/// The token again, for whoever may manage invites.
fn unseal(keyring: &Keyring, invite: &Invite, sealed: &[u8]) -> Result<InviteToken> {
    let bytes = keyring
        .open(Purpose::InviteToken, invite.id.to_string().as_bytes(), sealed)
        .map_err(Error::internal)?;
    InviteToken::from_bytes(&bytes).map_err(Error::internal)
}
