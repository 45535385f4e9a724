//! The configured issuers, and the mail domains that each one may verify.

use std::collections::HashMap;

use reqwest::Url;

use super::identity::Identity;
use crate::config::{Issuer, Trust};
use crate::domain::{Account, EmailAddress, LOCAL_ISSUER, OrganizationId, Profile, person_name};

/// The longest URL of a picture, in bytes. A longer one is dropped.
const MAX_PICTURE: usize = 2048;

/// The configured issuers by their exact names.
#[derive(Debug, Clone, Default)]
pub struct Issuers {
    by_name: HashMap<String, Issuer>,
}

impl Issuers {
    /// The settings have been checked: names are unique.
    pub fn new(issuers: &[Issuer]) -> Self {
        let named = issuers.iter().map(|issuer| (issuer.issuer.clone(), issuer.clone()));
        Self { by_name: named.collect() }
    }

    /// The issuer with this exact name; always `None` for [`LOCAL_ISSUER`].
    pub fn get(&self, name: &str) -> Option<&Issuer> {
        self.by_name.get(name)
    }

    /// All issuers, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Issuer> {
        self.by_name.values()
    }

    /// The issuers that are the single sign-on of an organization.
    pub fn sso_of(&self, organization: OrganizationId) -> impl Iterator<Item = &Issuer> {
        self.iter().filter(move |one| self.is_sso_of(&one.issuer, organization))
    }

    /// Whether an issuer is the single sign-on of an organization.
    pub fn is_sso_of(&self, issuer: &str, organization: OrganizationId) -> bool {
        match self.get(issuer).map(|issuer| &issuer.trust) {
            Some(Trust::Jwt { sso_organizations, .. }) => sso_organizations.contains(&organization),
            _ => false,
        }
    }

    /// Whether a service may act for accounts of this issuer. Local accounts have their own
    /// keys, so no service may act for them.
    pub fn may_be_acted_for(&self, issuer: &str) -> bool {
        self.get(issuer).is_some()
    }

    /// Clears `email_verified` if the present settings do not trust the account's issuer for
    /// the stored address. The addresses of local accounts are verified by the operator.
    pub fn limit(&self, account: &mut Account) {
        if account.issuer == LOCAL_ISSUER {
            return;
        }
        let vouched = match (&account.profile.email, self.get(&account.issuer)) {
            (Some(email), Some(issuer)) => may_vouch(issuer, email),
            _ => false,
        };
        account.profile.email_verified &= vouched;
    }
}

/// Whether the settings trust this issuer to verify this address.
pub fn may_vouch(issuer: &Issuer, email: &EmailAddress) -> bool {
    email.domain().is_some_and(|domain| issuer.verified_email_domains.include(&domain))
}

/// The profile from an issuer's claims, cleaned. The address counts as verified only in a domain
/// that the issuer may verify. If the name is missing, it is the local part of the address.
pub fn profile(issuer: &Issuer, identity: &Identity) -> Profile {
    let vouched = identity.email.as_ref().is_some_and(|email| may_vouch(issuer, email));
    let mut name = person_name(&identity.name);
    if name.is_empty() {
        name = identity.email.as_ref().map_or(String::new(), |email| email.local_part().to_owned());
    }
    Profile {
        email_verified: identity.email_verified && vouched,
        email: identity.email.clone(),
        name,
        picture: clean_picture(&identity.picture).to_owned(),
        login_provider: issuer.login_provider.clone(),
        login_provider_kind: issuer.login_provider_kind,
    }
}

/// Whether the claims contain a name with visible characters.
pub fn has_name(identity: &Identity) -> bool {
    !person_name(&identity.name).is_empty()
}

/// Returns an empty text unless `picture` is an http(s) URL without control characters and not
/// longer than [`MAX_PICTURE`]: browsers of other members load it.
fn clean_picture(picture: &str) -> &str {
    let is_web =
        |text: &str| Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    let is_plain = picture.len() <= MAX_PICTURE && !picture.chars().any(char::is_control);
    if is_plain && is_web(picture) { picture } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tests::service_issuer;

    fn identity(email: &str, email_verified: bool) -> Identity {
        Identity {
            issuer: String::new(),
            subject: String::new(),
            email: email.parse().ok(),
            email_verified,
            name: String::new(),
            picture: String::new(),
        }
    }

    #[test]
    fn p23_an_issuer_verifies_only_addresses_of_its_configured_domains() {
        let acme = service_issuer("acme-idp", &["acme.com"]);
        let verified = |identity| profile(&acme, &identity).email_verified;
        assert!(verified(identity("ana@acme.com", true)));
        assert!(!verified(identity("ana@acme.com", false)));
        for other in ["ana@other.com", "ana@eu.acme.com", "ana@evil-acme.com", "ana@acme.com.evil"]
        {
            assert!(!verified(identity(other, true)), "{other}");
        }
        assert!(!verified(identity("", true)));

        let none = service_issuer("none", &[]);
        assert!(!profile(&none, &identity("ana@acme.com", true)).email_verified);
        let all = service_issuer("all", &["*"]);
        assert!(profile(&all, &identity("ana@other.com", true)).email_verified);
        assert!(!profile(&all, &identity("ana@localhost", true)).email_verified);
    }

    #[test]
    fn p23_a_stored_verification_needs_an_issuer_that_may_verify_the_address() {
        let acme = service_issuer("acme-idp", &["acme.com"]);
        let issuers = Issuers::new(std::slice::from_ref(&acme));
        let still_verified = |issuer: &str, email: &str| {
            let mut account = Account {
                id: crate::domain::AccountId::generate(crate::domain::Timestamp::from_micros(0)),
                issuer: issuer.to_owned(),
                subject: "s".to_owned(),
                kind: crate::domain::AccountKind::Person,
                profile: Profile { email_verified: true, ..profile(&acme, &identity(email, true)) },
                created_at: crate::domain::Timestamp::from_micros(0),
                updated_at: None,
            };
            issuers.limit(&mut account);
            account.profile.email_verified
        };
        assert!(still_verified("acme-idp", "ana@acme.com"));
        assert!(still_verified(LOCAL_ISSUER, "ana@other.com"));
        assert!(!still_verified("acme-idp", "ana@other.com"));
        assert!(!still_verified("gone-idp", "ana@acme.com"));
    }

    #[test]
    fn names_and_pictures_from_claims_are_cleaned() {
        let issuer = service_issuer("x", &[]);
        let shown = |name: &str, picture: &str| {
            let (name, picture) = (name.to_owned(), picture.to_owned());
            let identity = Identity { name, picture, ..identity("ana@acme.com", true) };
            let profile = profile(&issuer, &identity);
            (profile.name, profile.picture)
        };
        assert_eq!(shown(" Ana\u{0}\n B ", "https://x.example/a.png").0, "Ana B");
        assert_eq!(shown(" ", "").0, "ana");
        assert_eq!(shown(&"é".repeat(300), "").0.chars().count(), 256);
        assert_eq!(shown("", "https://x.example/a.png").1, "https://x.example/a.png");
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "x",
            "https://x.example/\0a.png",
            "https://x.example/\na.png",
            &format!("https://x/{}", "a".repeat(2048)),
        ] {
            assert_eq!(shown("", bad).1, "", "{bad}");
        }
    }
}
