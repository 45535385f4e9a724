//! The JSON of GitBook's requests. A missing key and a null differ: null means a guest.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{KnownFormat, Ref, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::roles::{MemberRole, from_member_role};
use crate::domain::{ContentGrant, ContentId, ContentKind, EmailAddress, Invalid, Role};
use crate::error::{Error, Result, Violations};
use crate::operations::invites::{Invitation, LinkGrants};

/// The maximum number of addresses in a request.
const MAX_EMAILS: usize = 1000;

/// The role of invited people if the request has no role: that of an ordinary member in this
/// contract.
const DEFAULT_ROLE: Role = Role::Edit;

/// Distinguishes a null from a missing key.
fn present<'de, D, T>(deserializer: D) -> std::result::Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// The people to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = gitbook::NewInvitations)]
pub struct NewInvitations {
    /// Addresses, each alone or with its own role.
    #[schema(schema_with = invitees)]
    emails: Vec<Invitee>,
    /// The role of addresses without their own; null for guests.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<MemberRole>, required = false)]
    role: Option<Option<MemberRole>>,
    /// Whether only accounts of the organization's single sign-on can join.
    #[serde(default)]
    #[schema(required = false)]
    pub sso: bool,
}

#[derive(Debug)]
enum Invitee {
    Plain(String),
    WithRole(WithRole),
}

#[derive(Debug, Deserialize)]
struct WithRole {
    email: String,
    #[serde(deserialize_with = "Option::deserialize")]
    role: Option<MemberRole>,
}

impl<'de> Deserialize<'de> for Invitee {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Invitee;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address or an object with email and role")
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<Invitee, E> {
                Ok(Invitee::Plain(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                map: A,
            ) -> std::result::Result<Invitee, A::Error> {
                let with_role = WithRole::deserialize(MapAccessDeserializer::new(map));
                with_role.map(Invitee::WithRole)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl NewInvitations {
    /// The addresses with their roles.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if there are none or too many, or if an address is invalid.
    pub fn invitations(self) -> Result<Vec<Invitation>> {
        if !(1..=MAX_EMAILS).contains(&self.emails.len()) {
            let what = format!("must have 1 to {MAX_EMAILS} entries");
            return Err(Error::invalid("emails", what));
        }
        let default = self.role.map_or(DEFAULT_ROLE, from_member_role);
        let mut wrong = Violations::default();
        let mut invitations = Vec::with_capacity(self.emails.len());
        for (i, invitee) in self.emails.into_iter().enumerate() {
            let (field, email, role) = match invitee {
                Invitee::Plain(email) => (format!("emails[{i}]"), email, default),
                Invitee::WithRole(WithRole { email, role }) => {
                    (format!("emails[{i}].email"), email, from_member_role(role))
                }
            };
            if let Err(Invalid(why)) = email.parse::<EmailAddress>() {
                wrong.add(field, why);
            }
            invitations.push(Invitation::new(email, role));
        }
        if wrong.is_empty() { Ok(invitations) } else { Err(Error::violations(wrong)) }
    }
}

/// The link to create; its keys determine its scope.
#[derive(Debug, Deserialize)]
pub struct NewLink {
    #[serde(default, deserialize_with = "present")]
    role: Option<Option<MemberRole>>,
    #[serde(default, deserialize_with = "present")]
    level: Option<Option<MemberRole>>,
    #[serde(default, deserialize_with = "present")]
    space: Option<String>,
    #[serde(default, deserialize_with = "present")]
    collection: Option<String>,
}

impl NewLink {
    /// The grants of the link.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if the keys are not those of exactly one scope, or if the id of the content
    /// is invalid.
    pub fn grants(self) -> Result<LinkGrants> {
        let content = |kind: ContentKind, id: &str, level| {
            let wrong = |wrong: Invalid| Error::invalid(kind.as_str(), wrong.0);
            let id: ContentId = id.parse().map_err(wrong)?;
            Ok(LinkGrants::Content(ContentGrant { kind, id, level: from_member_role(level) }))
        };
        match (self.role, self.level, self.space, self.collection) {
            (Some(role), None, None, None) => Ok(LinkGrants::Role(from_member_role(role))),
            (None, Some(level), Some(id), None) => content(ContentKind::Space, &id, level),
            (None, Some(level), None, Some(id)) => content(ContentKind::Collection, &id, level),
            _ => Err(Error::invalid(
                "body",
                "must have exactly role, level and space, or level and collection",
            )),
        }
    }
}

/// The new grant of a link.
#[derive(Debug, Deserialize)]
pub struct LinkChange {
    #[serde(default, deserialize_with = "present")]
    role: Option<Option<MemberRole>>,
    #[serde(default, deserialize_with = "present")]
    level: Option<Option<MemberRole>>,
}

impl LinkChange {
    /// The new role or level.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if the keys are not those of the link's scope.
    pub fn granted(&self, of_content: bool) -> Result<Option<MemberRole>> {
        match (of_content, self.role, self.level) {
            (false, Some(role), None) => Ok(role),
            (true, None, Some(level)) => Ok(level),
            (false, ..) => {
                Err(Error::invalid("body", "must have role, not level: the link has no content"))
            }
            (true, ..) => {
                Err(Error::invalid("body", "must have level, not role: the link is to content"))
            }
        }
    }
}

/// The query parameters of a page.
#[derive(Debug, Deserialize)]
pub struct Paging {
    #[serde(default)]
    pub page: String,
    limit: Option<String>,
}

impl Paging {
    /// The maximum number of entries; 100 if the parameter is missing or 0.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if it is not a whole number from 0 to 1000. `10.0` is accepted, since
    /// JavaScript has only one type of number.
    pub fn limit(&self) -> Result<u64> {
        let text = self.limit.as_deref().unwrap_or("0");
        let number = text.parse::<f64>().ok();
        let whole = number.filter(|n| (0.0..=1000.0).contains(n) && n.fract() == 0.0);
        // Exact: the number is whole and in the range.
        match whole.map(|n| n as u64) {
            Some(0) => Ok(100),
            Some(limit) => Ok(limit),
            None => Err(Error::invalid("limit", "must be a whole number of 0 to 1000")),
        }
    }
}

fn role_schema() -> RefOr<Schema> {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    OneOfBuilder::new().item(Ref::from_schema_name(MemberRole::name())).item(null).into()
}

fn email_schema() -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::Email);
    ObjectBuilder::new().schema_type(Type::String).format(Some(format))
}

fn invitees() -> Schema {
    let with_role = ObjectBuilder::new()
        .property("email", email_schema())
        .property("role", role_schema())
        .required("email")
        .required("role");
    let either = OneOfBuilder::new().item(email_schema()).item(with_role);
    ArrayBuilder::new().items(either).min_items(Some(1)).max_items(Some(MAX_EMAILS)).into()
}

/// An object in which all of these keys are required.
fn object(keys: &[(&str, RefOr<Schema>)]) -> ObjectBuilder {
    keys.iter().fold(ObjectBuilder::new(), |object, (name, schema)| {
        object.property(*name, schema.clone()).required(*name)
    })
}

fn content_id_schema() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[a-zA-Z0-9_-]{1,128}$")).into()
}

impl PartialSchema for NewLink {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(object(&[("role", role_schema())]))
            .item(object(&[("level", role_schema()), ("space", content_id_schema())]))
            .item(object(&[("level", role_schema()), ("collection", content_id_schema())]))
            .into()
    }
}

impl PartialSchema for LinkChange {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(object(&[("role", role_schema())]))
            .item(object(&[("level", role_schema())]))
            .into()
    }
}

impl ToSchema for NewLink {
    fn name() -> std::borrow::Cow<'static, str> {
        "gitbook.NewLink".into()
    }
}

impl ToSchema for LinkChange {
    fn name() -> std::borrow::Cow<'static, str> {
        "gitbook.LinkChange".into()
    }
}
