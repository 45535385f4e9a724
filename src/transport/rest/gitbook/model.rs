//! The shapes of GitBook's answers, but for links.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Account, Organization};
use crate::operations::invites::{self, Outcome};

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

impl<T: ToSchema> List<T> {
    /// A page; `next` is empty on the last one.
    pub fn new(items: Vec<T>, next: String, count: Option<u64>) -> Self {
        let next = (!next.is_empty()).then_some(Next { page: next });
        Self { items, next, count }
    }
}

impl Invited {
    /// Those that were invited of all that were to be; `sso` is whether single
    /// sign-on was asked for.
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
