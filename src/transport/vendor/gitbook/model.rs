//! The shapes of GitBook's answers, and the roles both ways.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{Account, ContentKind, Invite, InviteToken, Organization, Role};
use crate::error::{Error, Result};
use crate::operations::invites::{Outcome, Shown};

/// The roles this contract knows. A guest is none of them: `null` stands for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = gitbook::MemberRole)]
pub enum MemberRole {
    /// Manages people, invites and the organization.
    Admin,
    /// Creates content.
    Create,
    /// Edits content.
    Edit,
    /// Reviews content.
    Review,
    /// Comments on content.
    Comment,
    /// Reads content.
    Read,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::List)]
pub struct List<T: ToSchema> {
    items: Vec<T>,
    /// Not there on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<Next>,
    /// How many there are on all pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    count: Option<u64>,
}

/// Where a list goes on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::Next)]
pub struct Next {
    /// The value of `page` that asks for it.
    page: String,
}

/// What kind of thing an object is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = gitbook::InviteObject)]
pub enum InviteObject {
    /// An invite link.
    Invite,
}

/// What kind of thing an object is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = gitbook::SpaceObject)]
pub enum SpaceObject {
    /// A space.
    Space,
}

/// What kind of thing an object is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = gitbook::CollectionObject)]
pub enum CollectionObject {
    /// A collection.
    Collection,
}

/// What kind of thing an object is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = gitbook::OrganizationObject)]
pub enum OrganizationObject {
    /// An organization.
    Organization,
}

/// What kind of thing an object is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = gitbook::UserObject)]
pub enum UserObject {
    /// An account.
    User,
}

/// An invite link, of any scope.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = gitbook::Link)]
pub enum Link {
    /// To a place in the organization.
    Organization(OrganizationLink),
    /// To a space.
    Space(SpaceLink),
    /// To a collection.
    Collection(CollectionLink),
}

/// A link to a place in the organization.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::OrganizationLink)]
pub struct OrganizationLink {
    object: InviteObject,
    /// Joins, and names the link.
    id: String,
    /// Whether the caller has already what it gives.
    redundant: bool,
    /// What it makes of whoever joins; null for a guest.
    #[schema(required)]
    role: Option<MemberRole>,
}

/// A link to a space; whoever is no member yet becomes a guest.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::SpaceLink)]
pub struct SpaceLink {
    object: InviteObject,
    /// Joins, and names the link.
    id: String,
    /// Whether the caller has already what it gives.
    redundant: bool,
    /// The level of access.
    #[schema(required)]
    level: Option<MemberRole>,
    space: Space,
}

/// A link to a collection; whoever is no member yet becomes a guest.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::CollectionLink)]
pub struct CollectionLink {
    object: InviteObject,
    /// Joins, and names the link.
    id: String,
    /// Whether the caller has already what it gives.
    redundant: bool,
    /// The level of access.
    #[schema(required)]
    level: Option<MemberRole>,
    collection: Collection,
}

/// A space, which another service keeps.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::Space)]
pub struct Space {
    object: SpaceObject,
    id: String,
}

/// A collection, which another service keeps.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::Collection)]
pub struct Collection {
    object: CollectionObject,
    id: String,
}

/// What became of addresses.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = gitbook::Invited)]
pub struct Invited {
    /// The members that those invited will become.
    users: Vec<String>,
    /// How many those are.
    invited: usize,
    /// If single sign-on was asked for: who is invited without it, being tied to
    /// it elsewhere.
    #[serde(rename = "failedSSOEmails", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    failed_sso_emails: Option<Vec<String>>,
}

/// An answer that says that it is done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::Done)]
pub struct Done {}

/// An organization.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::Organization)]
pub struct OrganizationShown {
    object: OrganizationObject,
    id: String,
    title: String,
}

/// The caller's account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = gitbook::User)]
pub struct User {
    object: UserObject,
    id: String,
    display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    email: Option<String>,
    #[serde(rename = "photoURL", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    photo_url: Option<String>,
}

/// What this contract calls a role.
pub fn shown_role(role: Role) -> Option<MemberRole> {
    match role {
        Role::Admin => Some(MemberRole::Admin),
        Role::Create => Some(MemberRole::Create),
        Role::Edit | Role::Member | Role::Developer => Some(MemberRole::Edit),
        Role::Review => Some(MemberRole::Review),
        Role::Comment => Some(MemberRole::Comment),
        Role::Read => Some(MemberRole::Read),
        Role::Guest => None,
    }
}

/// The role that this contract means.
pub fn meant_role(role: Option<MemberRole>) -> Role {
    match role {
        Some(MemberRole::Admin) => Role::Admin,
        Some(MemberRole::Create) => Role::Create,
        Some(MemberRole::Edit) => Role::Edit,
        Some(MemberRole::Review) => Role::Review,
        Some(MemberRole::Comment) => Role::Comment,
        Some(MemberRole::Read) => Role::Read,
        None => Role::Guest,
    }
}

impl<T: ToSchema> List<T> {
    /// A page; `next` is empty on the last one.
    pub fn new(items: Vec<T>, next: String, count: Option<u64>) -> Self {
        let next = (!next.is_empty()).then_some(Next { page: next });
        Self { items, next, count }
    }
}

impl OrganizationLink {
    /// A link of organization scope.
    ///
    /// # Errors
    /// If its token is not to be had.
    pub fn new(shown: Shown, redundant: bool) -> Result<Self> {
        let id = token(shown.token)?;
        let role = shown_role(shown.invite.role);
        Ok(Self { object: InviteObject::Invite, id, redundant, role })
    }
}

impl Link {
    /// A link of any scope.
    ///
    /// # Errors
    /// If its token is not to be had.
    pub fn new(shown: Shown, redundant: bool) -> Result<Self> {
        let Invite { content: Some(content), .. } = shown.invite else {
            return OrganizationLink::new(shown, redundant).map(Link::Organization);
        };
        let object = InviteObject::Invite;
        let id = token(shown.token)?;
        let level = shown_role(content.level);
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

/// A link without its token has ended since it was found.
fn token(token: Option<InviteToken>) -> Result<String> {
    token.map(|token| token.expose()).ok_or_else(Error::not_found)
}

impl Invited {
    /// Those that were invited of all that were to be; `sso` is whether single
    /// sign-on was asked for.
    pub fn new(all: Vec<crate::operations::invites::Invited>, sso: bool) -> Self {
        let mut users = Vec::new();
        let mut failed = Vec::new();
        for one in all.into_iter().filter(|one| one.outcome == Outcome::Invited) {
            users.extend(one.invite.and_then(|invite| invite.member).map(|id| id.to_string()));
            if one.sso_failed {
                failed.push(one.email);
            }
        }
        Self { invited: users.len(), users, failed_sso_emails: sso.then_some(failed) }
    }
}

impl From<Organization> for OrganizationShown {
    fn from(from: Organization) -> Self {
        Self {
            object: OrganizationObject::Organization,
            id: from.id.to_string(),
            title: from.name.to_string(),
        }
    }
}

impl From<&Account> for User {
    fn from(account: &Account) -> Self {
        let profile = &account.profile;
        let email = profile.email.as_ref().map(ToString::to_string);
        Self {
            object: UserObject::User,
            id: account.id.to_string(),
            display_name: profile.name.clone(),
            email,
            photo_url: Some(profile.picture.clone()).filter(|picture| !picture.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_both_ways() {
        for role in Role::ALL {
            let there_and_back = meant_role(shown_role(role));
            let expected = match role {
                Role::Member | Role::Developer => Role::Edit,
                other => other,
            };
            assert_eq!(there_and_back, expected);
        }
        assert_eq!(serde_json::to_string(&shown_role(Role::Guest)).unwrap(), "null");
        assert_eq!(serde_json::to_string(&shown_role(Role::Member)).unwrap(), "\"edit\"");
    }
}
