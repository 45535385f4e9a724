use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde_json::json;

use super::{SigningKey, jwt_issuer, service_issuer};
use crate::auth::{Authenticator, Identity, resolve, resolve_local};
use crate::clock::{Clock, OffsetClock};
use crate::config::{Algorithm, Config, Issuer, JwksSource};
use crate::domain::{
    Account, AccountId, AccountKind, Actor, ApiKey, ApiKeySecret, Caller, KeyScope, LOCAL_ISSUER,
    OrganizationId, RequestId,
};
use crate::error::{Kind, Result};
use crate::storage::change;
use crate::storage::{Location, Opener, Store, accounts, api_keys};

/// A SQLite store, two issuers of kind `jwt` and one of kind `service`.
pub(crate) struct Fixture {
    pub(crate) clock: OffsetClock,
    pub(crate) store: Store,
    pub(crate) authenticator: Authenticator,
    first: SigningKey,
    second: SigningKey,
    _dir: tempfile::TempDir,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = OffsetClock::default();
        let location = Location::Sqlite(dir.path().join("guestlist.db"));
        let settings = Config::reference().database;
        let store = Store::open(&location, &settings, Opener::Server, None).await.unwrap();
        store.migrate(change!(async |_| Ok(()))).await.unwrap();

        let (first, second) = (SigningKey::ed25519(), SigningKey::ed25519());
        let issuer = |name: &str, key: &SigningKey| {
            let path = dir.path().join(name);
            std::fs::write(&path, key.jwks()).unwrap();
            jwt_issuer(name, &[Algorithm::EdDsa], JwksSource::File(path))
        };
        let issuers = [
            issuer("first", &first),
            issuer("second", &second),
            service_issuer("intranet", &["*"]),
        ];
        let authenticator = authenticator(&issuers, &store, &clock).await;
        Self { clock, store, authenticator, first, second, _dir: dir }
    }

    pub(crate) async fn authenticate(&self, authorization: &str) -> Result<Option<Arc<Caller>>> {
        self.act(authorization, None).await
    }

    async fn act(
        &self,
        authorization: &str,
        on_behalf_of: Option<&str>,
    ) -> Result<Option<Arc<Caller>>> {
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        let authorization = value(authorization);
        let on_behalf_of = on_behalf_of.map(value);
        let request = RequestId("request-1".into());
        self.authenticator.authenticate(Some(&authorization), on_behalf_of.as_ref(), &request).await
    }

    fn token(&self, issuer: &str, key: &SigningKey, more: &serde_json::Value) -> String {
        let exp = self.clock.now().as_seconds() + 300;
        let mut claims = json!({ "iss": issuer, "sub": "ana", "aud": "guestlist", "exp": exp });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        format!("Bearer {}", key.token(&claims))
    }

    async fn resolve(&self, issuer: &str) -> Result<Account> {
        let identity = Identity {
            issuer: issuer.to_owned(),
            subject: "bob".to_owned(),
            email: "bob@acme.com".parse().ok(),
            email_verified: true,
            name: "Bob".to_owned(),
            picture: String::new(),
        };
        let (issuers, actor) = (self.authenticator.issuers(), Actor::system("test"));
        let now = self.clock.now();
        Ok(resolve(&self.store, issuers, now, &actor, identity).await?.0)
    }

    /// A key of a local account, modified by `change`.
    pub(crate) async fn key(&self, change: impl Fn(&mut ApiKey)) -> ApiKeySecret {
        let secret = ApiKeySecret::generate().unwrap();
        let now = self.clock.now();
        let mut key = ApiKey {
            id: secret.id().clone(),
            hash: secret.hash(),
            account: AccountId::generate(now),
            scope: None,
            organization: None,
            created_at: now,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
        };
        change(&mut key);
        let profile = self.resolve("intranet").await.unwrap().profile;
        self.store
            .write(change!(async move |tx| {
                let (actor, subject) = (Actor::system("test"), key.id.to_string());
                let kind = AccountKind::Service;
                let account = resolve_local(tx, now, &actor, &subject, kind, &profile).await?;
                api_keys::insert(tx, &ApiKey { account: account.id, ..key.clone() }).await
            }))
            .await
            .unwrap();
        secret
    }
}

pub(crate) async fn authenticator(
    issuers: &[Issuer],
    store: &Store,
    clock: &OffsetClock,
) -> Authenticator {
    Authenticator::start(issuers, store.clone(), Arc::new(clock.clone())).await.unwrap()
}

pub(crate) fn bearer(key: &ApiKeySecret) -> String {
    format!("Bearer {}", key.expose().as_str())
}

#[track_caller]
fn kind(answer: Result<Option<Arc<Caller>>>) -> Kind {
    answer.expect_err("must be rejected").kind
}

#[tokio::test]
async fn without_a_credential_there_is_no_caller() {
    let fixture = Fixture::new().await;
    let request = RequestId("r".into());
    let answer = fixture.authenticator.authenticate(None, None, &request).await;
    assert!(answer.unwrap().is_none());
    let header = HeaderValue::from_static("0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b");
    let answer = fixture.authenticator.authenticate(None, Some(&header), &request).await;
    assert_eq!(kind(answer), Kind::Unauthenticated);
}

#[tokio::test]
async fn a_key_is_accepted_as_bearer_or_basic_in_any_letter_case() {
    let fixture = Fixture::new().await;
    let organization = OrganizationId::generate(fixture.clock.now());
    let key = fixture.key(|key| key.scope = Some(KeyScope::Operator)).await;
    let whole = key.expose();
    let (_, secret) = whole[3..].split_once('_').unwrap();
    let basic = STANDARD.encode(format!("{}:{secret}", key.id()));
    for authorization in [
        bearer(&key),
        bearer(&key).replace("Bearer", "bEARER "),
        format!("Basic {basic}"),
        format!("basic {basic}"),
    ] {
        let caller = fixture.authenticate(&authorization).await.unwrap().unwrap();
        assert_eq!(caller.account.subject, key.id().to_string());
        assert_eq!(caller.scope(), Some(KeyScope::Operator));
        assert!(caller.acting.is_none() && caller.reaches(organization));
    }
}

#[tokio::test]
async fn all_rejected_credentials_get_the_same_error_and_the_log_has_the_reason() {
    let fixture = Fixture::new().await;
    let now = fixture.clock.now();
    let good = fixture.key(|_| {}).await;
    let other = ApiKeySecret::generate().unwrap();
    let revoked = fixture.key(|key| key.revoked_at = Some(now)).await;
    let expired = fixture.key(|key| key.expires_at = Some(now)).await;
    let wrong_secret = format!("gl_{}_{}", good.id(), &other.expose()[20..]);
    let forged = other_token(&fixture);
    let late = fixture.token("first", &fixture.first, &json!({ "exp": 1 }));
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let no_value = "authorization has no scheme or no value";
    let no_token = "neither an API key nor a token of a supported algorithm";
    let refused = [
        ("Bearer".to_owned(), no_value),
        ("Bearer ".to_owned(), no_value),
        (String::new(), no_value),
        ("gl_x".to_owned(), no_value),
        (good.expose().to_string(), no_value),
        ("Bearer x".to_owned(), no_token),
        ("Bearer gl_x".to_owned(), "Bearer credential is not an API key"),
        ("Basic x".to_owned(), "Basic credential is not an API key"),
        (basic("ana:password"), "Basic credential is not an API key"),
        ("Digest x".to_owned(), "authorization is neither Bearer nor Basic"),
        (format!("Bearer {wrong_secret}"), "API key has the wrong secret"),
        (bearer(&other), "API key is not known"),
        (bearer(&revoked), "API key is revoked"),
        (bearer(&expired), "API key is expired"),
        (forged, "no public key of the issuer matches the token"),
        (late, "token is expired"),
    ];
    let mut messages = std::collections::HashSet::new();
    for (authorization, why) in refused {
        let error = fixture.authenticate(&authorization).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unauthenticated, "{authorization}");
        assert!(!format!("{error:?}").contains(&other.expose()[20..]), "{error:?}");
        let logged = error.source.expect("the source has the reason for the log").to_string();
        assert_eq!(logged, why, "{authorization}");
        messages.insert((error.message, error.reason));
    }
    assert_eq!(messages.len(), 1);
    assert!(fixture.authenticate(&bearer(&good)).await.is_ok());
}

fn other_token(fixture: &Fixture) -> String {
    fixture.token("first", &SigningKey::ed25519(), &json!({}))
}

#[tokio::test]
async fn p22_a_key_is_rejected_from_its_expiry_time_on() {
    let fixture = Fixture::new().await;
    let end = fixture.clock.now().plus(Duration::from_secs(100));
    let key = fixture.key(|key| key.expires_at = Some(end)).await;
    assert!(fixture.authenticate(&bearer(&key)).await.is_ok());
    fixture.clock.advance(Duration::from_secs(100));
    assert_eq!(kind(fixture.authenticate(&bearer(&key)).await), Kind::Unauthenticated);
}

#[tokio::test]
async fn p32_equal_subjects_of_two_issuers_are_two_accounts() {
    let fixture = Fixture::new().await;
    let verified = json!({ "email": "ana@acme.com", "email_verified": true });
    let by = async |issuer: &str, key: &SigningKey| {
        let token = fixture.token(issuer, key, &verified);
        fixture.authenticate(&token).await.unwrap().unwrap().account.clone()
    };
    let first = by("first", &fixture.first).await;
    let second = by("second", &fixture.second).await;
    assert_ne!(first.id, second.id);
    assert_eq!((first.subject.as_str(), second.subject.as_str()), ("ana", "ana"));
    assert_eq!(by("first", &fixture.first).await, first);
    assert_eq!(by("second", &fixture.second).await, second);
}

#[tokio::test]
async fn a_token_updates_the_profile_of_the_account() {
    let fixture = Fixture::new().await;
    let sign_in = async |more: serde_json::Value| {
        let token = fixture.token("first", &fixture.first, &more);
        fixture.authenticate(&token).await.unwrap().unwrap().account.clone()
    };
    let before = sign_in(json!({ "email": "ana@acme.com", "email_verified": true })).await;
    assert_eq!(before.profile.name, "ana");
    assert!(before.profile.verified_email().is_some());

    let after = sign_in(json!({ "email": "ana@acme.com", "name": "Ana" })).await;
    assert_eq!(after.id, before.id);
    assert_eq!(after.profile.name, "Ana");
    assert!(after.profile.verified_email().is_none(), "a missing claim counts as false");
    let stored = accounts::find(fixture.store.read(), before.id).await.unwrap().unwrap();
    assert_eq!(stored, after);
}

/// A cached token keeps its caller as long as a new sign-in would change nothing.
#[tokio::test]
async fn p28_a_cached_caller_equals_the_caller_of_a_new_sign_in() {
    let fixture = Fixture::new().await;
    fixture.clock.stop_at(fixture.clock.now());
    let of = |name: &str| fixture.token("first", &fixture.first, &json!({ "name": name }));
    let (one, two) = (of("One"), of("Two"));
    let caller = async |token: &str| fixture.authenticate(token).await.unwrap().unwrap();
    let name = |caller: &Arc<Caller>| caller.account.profile.name.clone();

    let first = caller(&one).await;
    assert_eq!(name(&first), "One");
    assert!(Arc::ptr_eq(&first, &caller(&one).await), "the caller is kept");

    // A change of the account by this process makes the kept caller invalid.
    assert_eq!(name(&caller(&two).await), "Two");
    let waiting = caller(&one).await;
    assert_eq!(name(&waiting), "Two", "the name changes once a minute");
    assert!(Arc::ptr_eq(&waiting, &caller(&one).await), "until then the caller is kept");
    let complete = caller(&two).await;

    fixture.clock.advance(Duration::from_secs(60) - Duration::from_micros(1));
    assert_eq!(name(&caller(&one).await), "Two");
    fixture.clock.advance(Duration::from_micros(1));
    assert_eq!(name(&caller(&one).await), "One", "the minute is over");
    assert!(!Arc::ptr_eq(&complete, &caller(&two).await));

    // The times of a token are checked also while its caller is kept.
    fixture.clock.advance(Duration::from_secs(300));
    assert_eq!(kind(fixture.authenticate(&one).await), Kind::Unauthenticated);
}

#[tokio::test]
async fn p39_a_service_acts_only_for_accounts_of_configured_issuers() {
    let fixture = Fixture::new().await;
    let bob = fixture.resolve("intranet").await.unwrap();
    let token = fixture.token("first", &fixture.first, &json!({}));
    let ana = fixture.authenticate(&token).await.unwrap().unwrap().account.clone();

    let act = fixture.key(|key| key.scope = Some(KeyScope::Act)).await;
    for person in [&bob, &ana] {
        let id = person.id.to_string();
        let caller = fixture.act(&bearer(&act), Some(&id)).await.unwrap().unwrap();
        assert_eq!(&caller.account, person);
        assert_eq!(caller.acting.as_ref().unwrap().subject, act.id().to_string());
    }

    // Local accounts, malformed ids and unknown ids give the same error.
    let local = fixture.authenticate(&bearer(&act)).await.unwrap().unwrap().account.id.to_string();
    let unknown = AccountId::generate(fixture.clock.now()).to_string();
    let mut messages = std::collections::HashSet::new();
    for id in [local.as_str(), unknown.as_str(), "", "bob", "\u{e9}"] {
        let error = fixture.act(&bearer(&act), Some(id)).await.unwrap_err();
        assert_eq!(error.kind, Kind::PermissionDenied, "{id}");
        messages.insert(error.message);
    }
    assert_eq!(messages.len(), 1);

    // Other credentials may not act for accounts.
    let plain = fixture.key(|_| {}).await;
    let operator = fixture.key(|key| key.scope = Some(KeyScope::Operator)).await;
    for authorization in [bearer(&plain), bearer(&operator), token] {
        let answer = fixture.act(&authorization, Some(&bob.id.to_string())).await;
        assert_eq!(kind(answer), Kind::PermissionDenied);
    }
}

#[tokio::test]
async fn p39_a_service_cannot_act_for_accounts_of_a_removed_issuer() {
    let fixture = Fixture::new().await;
    let bob = fixture.resolve("intranet").await.unwrap();
    let act = fixture.key(|key| key.scope = Some(KeyScope::Act)).await;
    let act_with = async |issuers: &[Issuer]| {
        let authenticator = authenticator(issuers, &fixture.store, &fixture.clock).await;
        let key = HeaderValue::from_str(&bearer(&act)).unwrap();
        let id = HeaderValue::from_str(&bob.id.to_string()).unwrap();
        let request = RequestId("r".into());
        authenticator.authenticate(Some(&key), Some(&id), &request).await
    };
    let caller = act_with(&[service_issuer("intranet", &["other.com"])]).await.unwrap().unwrap();
    assert!(bob.profile.email_verified && !caller.account.profile.email_verified);
    assert_eq!(kind(act_with(&[]).await), Kind::PermissionDenied);
}

#[tokio::test]
async fn accounts_of_an_unconfigured_issuer_cannot_be_resolved() {
    let fixture = Fixture::new().await;
    for issuer in ["unknown", LOCAL_ISSUER, ""] {
        assert_eq!(fixture.resolve(issuer).await.unwrap_err().kind, Kind::PermissionDenied);
    }
    assert!(!accounts::any(fixture.store.read()).await.unwrap());
}

/// The lookup of a key that has never been verified waits for other such lookups. The lookup of
/// a key that has been verified before does not wait for them.
#[tokio::test]
async fn p41_a_verified_key_does_not_wait_for_lookups_of_unverified_keys() {
    let fixture = Fixture::new().await;
    let bearer = |key: &ApiKeySecret| format!("Bearer {}", key.expose().as_str());
    let (seen, unseen) = (fixture.key(|_| ()).await, fixture.key(|_| ()).await);
    fixture.authenticate(&bearer(&seen)).await.unwrap().expect("a caller");
    // Creating a key in this process invalidates all cached keys.
    fixture.key(|_| ()).await;

    let lookups = &fixture.authenticator.unverified_lookups;
    let turns = u32::try_from(lookups.available_permits()).unwrap();
    let made_up = lookups.acquire_many(turns).await.unwrap();
    fixture.authenticate(&bearer(&seen)).await.unwrap().expect("a caller");
    let unseen = bearer(&unseen);
    let mut waiting = std::pin::pin!(fixture.authenticate(&unseen));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    drop(made_up);
    waiting.await.unwrap().expect("a caller");
}
