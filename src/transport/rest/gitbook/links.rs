//! The JSON of GitBook's invite links.

use serde::Serialize;
use utoipa::ToSchema;

use super::roles::{MemberRole, to_member_role};
use crate::domain::{ContentKind, Invite, InviteToken};
use crate::error::{Error, Result};
use crate::operations::invites::InviteWithToken;

/// The type of an object.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = gitbook::InviteObject)]
pub enum InviteObject {
    /// An invite link.
    Invite,
}

/// The type of an object.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = gitbook::SpaceObject)]
pub enum SpaceObject {
    /// A space.
    Space,
}

/// The type of an object.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = gitbook::CollectionObject)]
pub enum CollectionObject {
    /// A collection.
    Collection,
}

/// An invite link, of any scope.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = gitbook::Link)]
pub enum Link {
    /// To the organization.
    Organization(OrganizationLink),
    /// To a space.
    Space(SpaceLink),
    /// To a collection.
    Collection(CollectionLink),
}

/// A link that grants a role in the organization.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::OrganizationLink)]
pub struct OrganizationLink {
    object: InviteObject,
    /// The token of the link: it joins and identifies the link.
    id: String,
    /// Whether the caller already has the role or the access.
    redundant: bool,
    /// The role of a person who joins; null for a guest.
    #[schema(required)]
    role: Option<MemberRole>,
}

/// A link to a space. A person who is not a member becomes a guest.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::SpaceLink)]
pub struct SpaceLink {
    object: InviteObject,
    /// The token of the link: it joins and identifies the link.
    id: String,
    /// Whether the caller already has the role or the access.
    redundant: bool,
    /// The level of access.
    #[schema(required)]
    level: Option<MemberRole>,
    space: Space,
}

/// A link to a collection. A person who is not a member becomes a guest.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::CollectionLink)]
pub struct CollectionLink {
    object: InviteObject,
    /// The token of the link: it joins and identifies the link.
    id: String,
    /// Whether the caller already has the role or the access.
    redundant: bool,
    /// The level of access.
    #[schema(required)]
    level: Option<MemberRole>,
    collection: Collection,
}

/// A space; another service stores it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::Space)]
pub struct Space {
    object: SpaceObject,
    id: String,
}

/// A collection; another service stores it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::Collection)]
pub struct Collection {
    object: CollectionObject,
    id: String,
}

impl OrganizationLink {
    /// # Errors
    /// NOT_FOUND if the link has no token any more.
    pub fn new(shown: InviteWithToken, redundant: bool) -> Result<Self> {
        let id = token(shown.token)?;
        let role = to_member_role(shown.invite.role);
        Ok(Self { object: InviteObject::Invite, id, redundant, role })
    }
}

impl Link {
    /// # Errors
    /// NOT_FOUND if the link has no token any more.
    pub fn new(shown: InviteWithToken, redundant: bool) -> Result<Self> {
        let Invite { content: Some(content), .. } = shown.invite else {
            return OrganizationLink::new(shown, redundant).map(Link::Organization);
        };
        let object = InviteObject::Invite;
        let id = token(shown.token)?;
        let level = to_member_role(content.level);
        let content_id = content.id.as_str().to_owned();
        Ok(match content.kind {
            ContentKind::Space => {
                let space = Space { object: SpaceObject::Space, id: content_id };
                Link::Space(SpaceLink { object, id, redundant, level, space })
            }
            ContentKind::Collection => {
                let object_of = CollectionObject::Collection;
                let collection = Collection { object: object_of, id: content_id };
                Link::Collection(CollectionLink { object, id, redundant, level, collection })
            }
        })
    }
}

/// The token of a link. A link has none if it ended after it was read.
fn token(token: Option<InviteToken>) -> Result<String> {
    token.map(|token| token.expose()).ok_or_else(Error::not_found)
}
