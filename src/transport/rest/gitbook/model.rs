//! The JSON of GitBook's responses, except for links.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Account, Organization};
use crate::operations::invites::{self, Outcome};

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::List)]
pub struct List<T: ToSchema> {
    items: Vec<T>,
    /// Missing on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<Next>,
    /// The number of entries on all pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    count: Option<u64>,
}

/// The next page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::Next)]
pub struct Next {
    /// The value of the `page` parameter for the next page.
    page: String,
}

/// The type of an object.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = gitbook::OrganizationObject)]
pub enum OrganizationObject {
    /// An organization.
    Organization,
}

/// The type of an object.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = gitbook::UserObject)]
pub enum UserObject {
    /// An account.
    User,
}

/// The result of inviting people.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = gitbook::Invited)]
pub struct Invited {
    /// The member ids that the invited people will have.
    users: Vec<String>,
    /// The number of invited people.
    invited: usize,
    /// With `sso`: the addresses invited without single sign-on, since their domain belongs to the
    /// single sign-on of another organization.
    #[serde(rename = "failedSSOEmails", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    failed_sso_emails: Option<Vec<String>>,
}

/// A response without a result.
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

impl<T: ToSchema> List<T> {
    /// `next` is empty on the last page.
    pub fn new(items: Vec<T>, next: String, count: Option<u64>) -> Self {
        let next = (!next.is_empty()).then_some(Next { page: next });
        Self { items, next, count }
    }
}

impl Invited {
    /// Keeps those of `all` that were invited; `sso` is the flag of the request.
    pub fn new(all: Vec<invites::Invited>, sso: bool) -> Self {
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
