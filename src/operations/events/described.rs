//! Events as messages, with the metadata and external ids of their objects. Events do not store
//! these: readers get the current ones, so a removed value is no longer in the feed.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use uuid::Uuid;

use crate::domain::{Attributes, AuditEvent};
use crate::error::{Error, Result};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::event::Data;
use crate::storage::{Db, attributes, event_data};

/// The most bytes of metadata in one response.
pub(super) const MAX_METADATA_BYTES: usize = 512 * 1024;

/// The first of these events as messages: as many as have at most `MAX_METADATA_BYTES` of metadata
/// together, but at least one.
///
/// # Errors
/// INTERNAL if the data of an event is damaged.
pub(super) async fn describe(db: &Db, events: &[AuditEvent]) -> Result<Vec<pb::Event>> {
    let mut messages =
        events.iter().cloned().map(event_data::read).collect::<Result<Vec<pb::Event>>>()?;
    let mut ids: [HashSet<Uuid>; 3] = Default::default();
    for message in &messages {
        match &message.data {
            Some(Data::Organization(it)) if it.has_metadata => {
                ids[0].insert(parse(&it.organization_id)?);
            }
            Some(Data::Member(it)) if it.has_metadata => {
                ids[1].insert(parse(&it.member_id)?);
            }
            Some(Data::Invite(it)) if it.has_metadata => {
                ids[2].insert(parse(&it.invite_id)?);
            }
            _ => {}
        }
    }
    if ids.iter().all(HashSet::is_empty) {
        return Ok(messages);
    }
    let [organizations, members, invites] = ids;
    let mut found = by_uuid(attributes::of_organizations(db, &of(organizations)).await?);
    found.extend(by_uuid(attributes::of_members(db, &of(members)).await?));
    found.extend(by_uuid(attributes::of_invites(db, &of(invites)).await?));
    let mut bytes = 0;
    for (i, message) in messages.iter_mut().enumerate() {
        bytes += fill(message, &found)?;
        if i > 0 && bytes > MAX_METADATA_BYTES {
            messages.truncate(i);
            break;
        }
    }
    Ok(messages)
}

/// Fills in the attributes of an event's object; returns their size in bytes.
fn fill(message: &mut pb::Event, found: &HashMap<Uuid, Attributes>) -> Result<usize> {
    let (id, metadata, external_id) = match &mut message.data {
        Some(Data::Organization(it)) if it.has_metadata => {
            (&it.organization_id, &mut it.metadata, &mut it.external_id)
        }
        Some(Data::Member(it)) if it.has_metadata => {
            (&it.member_id, &mut it.metadata, &mut it.external_id)
        }
        Some(Data::Invite(it)) if it.has_metadata => {
            (&it.invite_id, &mut it.metadata, &mut it.external_id)
        }
        _ => return Ok(0),
    };
    let Some(attributes) = found.get(&parse(id)?) else { return Ok(0) };
    *metadata = pairs(attributes);
    *external_id = attributes.external_id.as_ref().map(ToString::to_string).unwrap_or_default();
    Ok(attributes.size())
}

fn pairs(attributes: &Attributes) -> HashMap<String, String> {
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    attributes.metadata.pairs().map(owned).collect()
}

fn parse(id: &str) -> Result<Uuid> {
    id.parse().map_err(Error::internal)
}

fn of<I: From<Uuid>>(ids: HashSet<Uuid>) -> Vec<I> {
    ids.into_iter().map(I::from).collect()
}

fn by_uuid<I>(found: HashMap<I, Attributes>) -> HashMap<Uuid, Attributes>
where
    I: Into<Uuid> + Eq + Hash,
{
    found.into_iter().map(|(id, attributes)| (id.into(), attributes)).collect()
}
