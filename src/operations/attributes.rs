//! Rules about metadata and external ids.

use super::encoding::Encoding;
use crate::domain::{AttributeChanges, Attributes, ExternalId, Invite, OrganizationId};
use crate::error::{Error, Kind, Result, reason};
use crate::storage::{Tx, attributes};

/// The error if another organization, invite or member has the external id.
pub(super) fn external_id_taken() -> Error {
    Error::new(Kind::AlreadyExists, "another one has this external id")
        .with_reason(reason::EXTERNAL_ID_TAKEN)
}

/// The attributes after a change.
///
/// # Errors
/// INVALID_ARGUMENT if there are more pairs than an object may have.
pub(super) fn changed(before: &Attributes, changes: &AttributeChanges) -> Result<Attributes> {
    before.changed(changes).map_err(|wrong| Error::invalid("metadata", wrong.0))
}

/// # Errors
/// ALREADY_EXISTS if a current member of the locked organization has the id.
pub(super) async fn require_free_for_member(
    tx: &Tx,
    organization: OrganizationId,
    external_id: Option<&ExternalId>,
) -> Result<()> {
    let Some(id) = external_id else { return Ok(()) };
    match attributes::among_members(tx, organization, &[id]).await?.is_empty() {
        true => Ok(()),
        false => Err(external_id_taken()),
    }
}

/// The attributes that a member gets from the invite that it joins with. An external id names one
/// object, so only an invite with a single use gives its id to the member. The id is also left out
/// if a current member has it: the person who joins cannot change that.
pub(super) async fn inherited(tx: &Tx, invite: &Invite) -> Result<Attributes> {
    let mut attributes = invite.attributes.clone();
    attributes.external_id = attributes.external_id.filter(|_| invite.max_uses == Some(1));
    if let Some(id) = &attributes.external_id
        && !attributes::among_members(tx, invite.organization, &[id]).await?.is_empty()
    {
        attributes.external_id = None;
    }
    Ok(attributes)
}

/// Adds attributes to the encoding of a request, if there are any.
pub(super) fn encode(encoding: Encoding, attributes: &Attributes) -> Encoding {
    match attributes.is_empty() {
        true => encoding,
        false => encode_all(encoding.text("attributes"), attributes),
    }
}

/// Adds attributes to the encoding of a request, even if they are empty.
pub(super) fn encode_all(encoding: Encoding, attributes: &Attributes) -> Encoding {
    let encoding = encoding.option(attributes.external_id.as_ref(), encode_id);
    encode_pairs(encoding, attributes.metadata.pairs())
}

/// Adds a change of attributes, if there is any.
pub(super) fn encode_changes(encoding: Encoding, changes: &AttributeChanges) -> Encoding {
    if changes.is_empty() {
        return encoding;
    }
    let id = changes.external_id.as_ref();
    let encoding = encoding
        .text("attributes")
        .option(id, |encoding, id| encoding.option(id.as_ref(), encode_id));
    encode_pairs(encoding, changes.metadata.pairs())
}

fn encode_id(encoding: Encoding, id: &ExternalId) -> Encoding {
    encoding.text(id.as_str())
}

fn encode_pairs<'a>(
    encoding: Encoding,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> Encoding {
    let pairs: Vec<_> = pairs.collect();
    encoding.list(&pairs, |encoding, (key, value)| encoding.text(key).text(value))
}
