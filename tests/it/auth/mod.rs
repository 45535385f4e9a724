//! Credentials: tokens of issuers, services that act for people, API keys that are revoked or
//! expire. Unit tests beside the code test how a credential is parsed.

mod acting;
mod away;
pub mod issuer;
mod jwt;
mod keys;
mod publisher;
mod sso;
mod withdrawn;

use guestlist::config::Config;
use guestlist::domain::{KeyScope, OrganizationId};
use guestlist::operations::keys::Owner;

use crate::support::{Database, Engine, Person, Protocol, TestApp, gitpod, own};
use issuer::SigningKey;

/// An issuer that signs tokens and may verify addresses in acme.com.
const ACME: &str = "https://acme.example";
/// An issuer that signs tokens and may verify addresses in other.com.
const OTHER: &str = "https://other.example";
/// An issuer without tokens: a service resolves its accounts. It may verify addresses in acme.com.
const INTRANET: &str = "intranet";

/// The organization that uses `ACME` for its single sign-on.
const SSO_ORGANIZATION: &str = "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b";

/// A server that trusts three issuers, and the signing keys of two of them.
struct Fixture {
    app: TestApp,
    acme: SigningKey,
    other: SigningKey,
}

fn three_issuers(config: &mut Config) {
    let file = |name: &str| config.data_dir.join(name).display().to_string();
    let issuers = format!(
        r#"
        [[issuers]]
        issuer = "{ACME}"
        audience = "guestlist"
        algorithms = ["EdDSA"]
        jwks_file = "{}"
        login_provider = "acme"
        login_provider_kind = "sso"
        verified_email_domains = ["acme.com"]
        sso_organizations = ["{SSO_ORGANIZATION}"]

        [[issuers]]
        issuer = "{OTHER}"
        audience = "guestlist"
        algorithms = ["EdDSA"]
        jwks_file = "{}"
        login_provider = "other"
        verified_email_domains = ["other.com"]

        [[issuers]]
        issuer = "{INTRANET}"
        kind = "service"
        login_provider = "intranet"
        verified_email_domains = ["acme.com"]
        "#,
        file("acme.json"),
        file("other.json"),
    );
    let issuers: toml::Table = issuers.parse().unwrap();
    config.issuers = issuers["issuers"].clone().try_into().unwrap();
}

/// Runs a behaviour on both engines, one after the other.
async fn on_both_engines(behaviour: impl AsyncFn(&Fixture)) {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let database = Database::migrated(engine).await;
        let (acme, other) = (SigningKey::generate(), SigningKey::generate());
        for (name, key) in [("acme.json", &acme), ("other.json", &other)] {
            std::fs::write(database.directory.path().join(name), key.jwks()).unwrap();
        }
        let app = TestApp::on(database, Protocol::Grpc, three_issuers, None).await;
        let fixture = Fixture { app, acme, other };
        behaviour(&fixture).await;
        fixture.app.stop().await;
    }
}

impl Fixture {
    /// A person with a token of this issuer. The token has these claims besides the required ones.
    fn bearer(&self, issuer: &str, claims: &serde_json::Value) -> Person {
        let key = if issuer == ACME { &self.acme } else { &self.other };
        let token = key.token(&self.claims(issuer, claims));
        Person::new(self.app.client(), Some(token))
    }

    fn claims(&self, issuer: &str, more: &serde_json::Value) -> serde_json::Value {
        use guestlist::clock::Clock;
        let exp = self.app.clock.now().as_seconds() + 300;
        let mut claims = serde_json::json!({ "iss": issuer, "aud": "guestlist", "exp": exp });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    }

    /// An internal service with a key of this scope, which may be bound to an organization.
    async fn service(&self, scope: Option<KeyScope>, bound_to: Option<OrganizationId>) -> Person {
        let owner = Owner::Service("portal".parse().unwrap());
        self.app.key(owner, scope, bound_to).await
    }
}

async fn account(person: &Person) -> own::Account {
    person.get_caller(own::GetCallerRequest {}).await.unwrap().account.unwrap()
}

/// Lets accounts with addresses in acme.com join without an invite.
async fn open_to_acme(admin: &Person, organization: &str) {
    let request = gitpod::UpdateOrganizationRequest {
        organization_id: organization.to_owned(),
        name: None,
        invite_domains: Some(gitpod::InviteDomains { domains: vec!["acme.com".to_owned()] }),
    };
    admin.update_organization(request).await.unwrap();
}
