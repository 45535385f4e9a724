//! Credentials in the headers `authorization` and `guestlist-on-behalf-of`.
//!
//! An input is the value of the first header and, after a line end, the value of the second; or
//! the claims of a token (beginning with `{`), which the test signs with the issuer's key.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::pkcs8::{EncodePrivateKey, KeypairBytes};
use guestlist::auth::Authenticator;
use guestlist::clock::Clock;
use guestlist::config::{Algorithm, Issuer, JwksSource, Trust, VerifiableDomains};
use guestlist::domain::{
    Account, AccountId, AccountKind, ApiKey, ApiKeySecret, Caller, KeyScope, LOCAL_ISSUER,
    LoginProviderKind, Profile, RequestId,
};
use guestlist::error::{Error, Kind};
use guestlist::storage::change;
use guestlist::storage::{accounts, api_keys};
use http::HeaderValue;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, crypto};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::disk::Disk;

const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "guestlist";

/// The accounts: a person with a key, a service with a key of scope `act`, and a person of the
/// issuer, for whom the service may act.
const KEY: &str =
    "gl_00000000000000a1_00000000000000000000000000000000000000000000000000000000000000a1";
const SERVICE_KEY: &str =
    "gl_00000000000000b2_00000000000000000000000000000000000000000000000000000000000000b2";
const SUBJECT: &str = "ana";

/// The authenticator under test, and what the checks need.
pub struct CredentialTarget {
    authenticator: Authenticator,
    signing: EncodingKey,
    /// A token of the issuer for [`SUBJECT`].
    token: String,
    /// The error message for every invalid credential.
    rejection_message: String,
    disk: Disk,
    runtime: Runtime,
}

impl CredentialTarget {
    #[allow(clippy::new_without_default)] // it is a lot of work
    pub fn new() -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        let key = KeypairBytes { secret_key: [7; 32], public_key: None };
        let signing = EncodingKey::from_ed_der(key.to_pkcs8_der().expect("a key").as_bytes());
        let (authenticator, disk) = runtime.block_on(async {
            let mut disk = Disk::new().await;
            let issuer = issuer(&disk, &signing);
            populate(&disk).await;
            disk.keep().await;
            let clock: Arc<dyn Clock> = Arc::new(disk.clock.clone());
            let started = Authenticator::start(&[issuer], disk.store.clone(), clock).await;
            (started.expect("the keys are read"), disk)
        });
        // 2030-01-01T00:10:00Z
        let claims =
            json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "exp": 1_893_456_600 });
        let token = sign(&signing, claims.to_string().as_bytes());
        let mut target =
            Self { authenticator, signing, token, rejection_message: String::new(), disk, runtime };
        let rejected = target.authenticate(&HeaderValue::from_static("Bearer nobody"), None);
        target.rejection_message = rejected.expect_err("the credential is invalid").message;
        target
    }

    fn authenticate(
        &self,
        authorization: &HeaderValue,
        on_behalf_of: Option<&HeaderValue>,
    ) -> Result<Arc<Caller>, Error> {
        self.runtime.block_on(async {
            let before = self.disk.version().await;
            let request = RequestId("fuzz".into());
            let call = self.authenticator.authenticate(Some(authorization), on_behalf_of, &request);
            let answer = call.await;
            if self.disk.version().await != before {
                self.disk.restore().await;
            }
            answer.map(|caller| caller.expect("there is a credential, or an error"))
        })
    }
}

/// Runs an input. Its first byte says what kind of input it is.
pub fn run(target: &CredentialTarget, data: &[u8]) {
    if data.first() == Some(&b'{') { claims(target, data) } else { headers(target, data) }
}

fn headers(target: &CredentialTarget, data: &[u8]) {
    let (first, second) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], Some(&data[end + 1..])),
        None => (data, None),
    };
    let Ok(authorization) = HeaderValue::from_bytes(first) else { return };
    let Ok(on_behalf_of) = second.map(HeaderValue::from_bytes).transpose() else { return };
    let credential = credential_in(target, first);
    match target.authenticate(&authorization, on_behalf_of.as_ref()) {
        Ok(caller) => {
            let credential = credential.expect("only a valid credential is accepted");
            let account = account(credential).id;
            match (&caller.acting, on_behalf_of) {
                (None, None) => assert_eq!(caller.account.id, account),
                (Some(acting), Some(_)) => {
                    assert_eq!((credential, acting.id), (CredentialKind::Service, account));
                    assert_eq!(caller.account.id, self::account(CredentialKind::Token).id);
                    let header = second.expect("the header is there");
                    let named = caller.account.id.to_string();
                    assert!(header.eq_ignore_ascii_case(named.as_bytes()), "{header:?}");
                }
                (acting, header) => panic!("{acting:?} acts, but the header is {header:?}"),
            }
        }
        Err(error) if credential.is_some() && on_behalf_of.is_some() => {
            assert_eq!(error.kind, Kind::PermissionDenied, "{error:?}");
        }
        Err(error) => {
            assert!(credential.is_none(), "a valid credential is rejected: {error:?}");
            assert_rejected(target, &error);
        }
    }
}

/// Every invalid credential has the same error message.
fn assert_rejected(target: &CredentialTarget, error: &Error) {
    assert_eq!(error.kind, Kind::Unauthenticated, "{error:?}");
    assert_eq!(error.message, target.rejection_message);
    assert!(error.violations.is_empty());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CredentialKind {
    Key,
    Service,
    Token,
}

/// Which credential a header holds. The test does not use the server's parser: it reads a scheme in
/// any letter case, blanks, and then exactly one of these texts.
fn credential_in(target: &CredentialTarget, header: &[u8]) -> Option<CredentialKind> {
    let blank = [' ', '\t'];
    let text = std::str::from_utf8(header).ok()?.trim_matches(blank);
    let (scheme, rest) = text.split_once(' ')?;
    let rest = rest.trim_start_matches(blank);
    let keys = [(KEY, CredentialKind::Key), (SERVICE_KEY, CredentialKind::Service)];
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" if rest == target.token => Some(CredentialKind::Token),
        "bearer" => {
            keys.into_iter().find(|(key, _)| is_key(rest, key)).map(|(_, credential)| credential)
        }
        "basic" => {
            let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
            let (user, password) = pair.split_once(':')?;
            let user = user.strip_prefix("gl_").unwrap_or(user);
            let is = |key: &str| {
                let id = &key[3..19];
                (user == id && is_key(&format!("gl_{id}_{password}"), key))
                    || ((user.is_empty() || user == id) && is_key(password, key))
            };
            keys.into_iter().find(|(key, _)| is(key)).map(|(_, credential)| credential)
        }
        _ => None,
    }
}

/// A secret is a number in hexadecimal: the letter case of its digits does not matter.
fn is_key(text: &str, key: &str) -> bool {
    let (Some((id, secret)), (key_id, key_secret)) = (text.split_at_checked(20), key.split_at(20))
    else {
        return false;
    };
    id == key_id && secret.eq_ignore_ascii_case(key_secret)
}

/// A token with these claims and a valid signature authenticates its subject, but only if its
/// issuer, its audience and its times are valid.
fn claims(target: &CredentialTarget, claims: &[u8]) {
    let token = format!("Bearer {}", sign(&target.signing, claims));
    let authorization = HeaderValue::from_str(&token).expect("ASCII");
    match target.authenticate(&authorization, None) {
        Err(error) => assert_rejected(target, &error),
        Ok(caller) => {
            // The server ignores other claims, even if they are not valid UTF-8.
            let claims = String::from_utf8_lossy(claims);
            let claims: Value = serde_json::from_str(&claims).expect("claims are JSON");
            assert_eq!(claims["iss"], ISSUER);
            assert_eq!(claims["sub"], caller.account.subject);
            assert!((1..=255).contains(&caller.account.subject.len()));
            let audiences = match &claims["aud"] {
                Value::Array(several) => several.clone(),
                one => vec![one.clone()],
            };
            assert!(audiences.contains(&AUDIENCE.into()), "{claims}");
            let now = 1_893_456_000.0;
            assert!(claims["exp"].as_f64().expect("an expiry") > now - 60.0, "{claims}");
            assert!(claims["nbf"].as_f64().is_none_or(|begin| begin <= now + 60.0), "{claims}");
            if caller.account.profile.email_verified {
                assert_eq!(claims["email_verified"], true);
                let email =
                    caller.account.profile.email.as_ref().expect("a verified address exists");
                assert_eq!(email.domain(), "example.com".parse().ok(), "only the issuer's domains");
            }
        }
    }
}

fn sign(key: &EncodingKey, claims: &[u8]) -> String {
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let signed = format!("{}.{}", encode(br#"{"alg":"EdDSA","kid":"1"}"#), encode(claims));
    let signature = crypto::sign(signed.as_bytes(), key, jsonwebtoken::Algorithm::EdDSA);
    format!("{signed}.{}", signature.expect("a signature"))
}

fn issuer(disk: &Disk, signing: &EncodingKey) -> Issuer {
    let key = Jwk::from_encoding_key(signing, jsonwebtoken::Algorithm::EdDSA);
    let mut key = key.expect("the public key");
    key.common.key_id = Some("1".to_owned());
    let file = disk.directory.path().join("jwks.json");
    std::fs::write(&file, json!({ "keys": [key] }).to_string()).expect("a file");
    Issuer {
        issuer: ISSUER.to_owned(),
        trust: Trust::Jwt {
            audience: AUDIENCE.to_owned(),
            algorithms: vec![Algorithm::EdDsa],
            jwks: JwksSource::File(file),
            email_verified_as_text: false,
            sso_organizations: Vec::new(),
            sign_in: None,
        },
        login_provider: "example".to_owned(),
        login_provider_kind: LoginProviderKind::Other,
        verified_email_domains: VerifiableDomains::These(
            ["example.com".parse().expect("a domain")].into(),
        ),
    }
}

async fn populate(disk: &Disk) {
    let now = disk.clock.now();
    let made = disk.store.write(change!(async move |tx| {
        for credential in [CredentialKind::Key, CredentialKind::Service, CredentialKind::Token] {
            let mut account = account(credential);
            account.created_at = now;
            accounts::insert(tx, &account).await?;
        }
        for (text, credential, scope) in [
            (KEY, CredentialKind::Key, None),
            (SERVICE_KEY, CredentialKind::Service, Some(KeyScope::Act)),
        ] {
            let secret: ApiKeySecret = text.parse().expect("a key");
            let key = ApiKey {
                id: secret.id().clone(),
                hash: secret.hash(),
                account: account(credential).id,
                scope,
                organization: None,
                created_at: now,
                expires_at: None,
                revoked_at: None,
                last_used_at: None,
            };
            api_keys::insert(tx, &key).await?;
        }
        Ok(())
    }));
    made.await.expect("accounts and keys");
}

/// The account of a credential.
fn account(credential: CredentialKind) -> Account {
    let (id, issuer, subject, kind) = match credential {
        CredentialKind::Key => (1, LOCAL_ISSUER, "keyholder", AccountKind::Person),
        CredentialKind::Service => (2, LOCAL_ISSUER, "service", AccountKind::Service),
        CredentialKind::Token => (3, ISSUER, SUBJECT, AccountKind::Person),
    };
    let id: AccountId = format!("00000000-0000-7000-8000-{id:012}").parse().expect("a UUID");
    Account {
        id,
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        kind,
        profile: Profile {
            email: None,
            email_verified: false,
            name: String::new(),
            picture: String::new(),
            login_provider: "example".to_owned(),
            login_provider_kind: LoginProviderKind::Other,
        },
        created_at: guestlist::domain::Timestamp::from_micros(0),
        updated_at: None,
    }
}
