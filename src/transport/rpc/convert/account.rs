//! Messages about accounts.

use super::Fields;
use crate::domain::{Account, Caller, Credential};
use crate::error::Result;
use crate::operations::accounts::Identity;
use crate::proto::guestlist::v1 as pb;

pub fn resolve_account(message: pb::ResolveAccountRequest) -> Result<Identity> {
    let mut fields = Fields::default();
    if message.issuer.is_empty() {
        fields.wrong("issuer", "must be set");
    }
    fields.text("issuer", &message.issuer, 512);
    if message.subject.is_empty() {
        fields.wrong("subject", "must be set");
    }
    fields.text("subject", &message.subject, 255);
    if message.subject.chars().any(char::is_control) {
        fields.wrong("subject", "must not contain control characters");
    }
    fields.text("name", &message.name, 256);
    let email = fields.parse_optional("email", &message.email);
    fields.text("picture", &message.picture, 2048);
    let web = ["https://", "http://"].iter().any(|scheme| message.picture.starts_with(scheme));
    if !message.picture.is_empty() && !web {
        fields.wrong("picture", "must be an http or https URL");
    }
    fields.finish(|| {
        Some(Identity {
            issuer: message.issuer,
            subject: message.subject,
            email,
            email_verified: message.email_verified,
            name: message.name,
            picture: message.picture,
        })
    })
}

impl From<&Account> for pb::Account {
    fn from(account: &Account) -> Self {
        let profile = &account.profile;
        Self {
            id: account.id.to_string(),
            issuer: account.issuer.clone(),
            subject: account.subject.clone(),
            email: profile.email.as_ref().map(ToString::to_string).unwrap_or_default(),
            email_verified: profile.email_verified,
            name: profile.name.clone(),
            picture: profile.picture.clone(),
            login_provider: profile.login_provider.clone(),
        }
    }
}

impl From<&Caller> for pb::GetCallerResponse {
    fn from(caller: &Caller) -> Self {
        let key_id = match &caller.credential {
            Credential::Key { id, .. } => id.to_string(),
            Credential::Jwt => String::new(),
        };
        Self {
            account: Some((&caller.account).into()),
            actor: caller.acting.as_ref().map(Into::into),
            key_id,
            scope: caller.scope().map(|scope| scope.as_str().to_owned()).unwrap_or_default(),
            organization_id: caller.bound_to().map(|id| id.to_string()).unwrap_or_default(),
        }
    }
}
