//! P05: no output contains a secret, for any request and any failure.

mod access;
mod calls;
mod secrets;
mod start;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use self::calls::SecretCaller;
use self::secrets::Secrets;
use super::transport::{Form, Transport};
use crate::auth::issuer::SigningKey;
use crate::support::Engine;
use crate::support::program::{Installation, run_to_end};

const ISSUER: &str = "https://acme.example";
const PASSWORD: &str = "s3cret-password-of-the-database";
const MAIL_PASSWORD: &str = "s3cret-password-of-the-mail-server";

/// Every library by name: `telemetry` does not limit the level of a library that the filter names.
const ALL_LIBRARIES: &str = "trace,connectrpc=trace,h2=trace,hyper=trace,hyper_util=trace,\
    lettre=trace,reqwest=trace,rustls=trace,sea_orm=trace,sea_orm_migration=trace,\
    tokio_postgres=trace,tokio_util=trace,tonic=trace,tonic_web=trace,tower=trace";

/// Runs the program, makes calls of every kind, and searches all its output for secrets.
async fn writes_no_secret(
    filter: &str,
    engine: Engine,
    transports: &[Transport],
    mail: &[(&'static str, &str)],
) {
    let mut secrets = Secrets::default();
    let secret_key = hex::encode(rand::random::<[u8; 32]>());
    let installation = Installation::new(engine).await;
    let directory = installation.directory();
    let url = with_password(&installation.database.url);
    let common = [
        ("GUESTLIST_LOG__FILTER", filter),
        ("GUESTLIST_DATABASE_URL", &url),
        ("GUESTLIST_SECRET_KEY", &secret_key),
        ("GUESTLIST_CONFIG", "guestlist.toml"),
    ];
    let settings = [&common, mail].concat();
    secrets.add("the secret key", &secret_key);
    secrets.add("the database's password", PASSWORD);
    secrets.add("the mail server's password", MAIL_PASSWORD);
    let jwt = trust_an_issuer(directory);
    secrets.add_jwt("a token of an issuer", &jwt);

    let server = installation.serve_with(&settings);
    let first = std::fs::read_to_string(installation.key_file()).unwrap();
    secrets.add_key("the first key", first.trim());
    let mut key = |email| {
        let made =
            run_to_end(installation.command(&["keys", "create", "--email", email], &settings));
        assert_eq!(made.code, 0, "{made:?}");
        secrets.add_key("an API key", made.out.trim());
        secrets.assert_none_in("keys create", &made.err);
        made.out.trim().to_owned()
    };
    let (admin, stranger) = (key("ana@acme.com"), key("zoe@acme.com"));

    let addr = server.addr;
    let metrics =
        SecretCaller { addr, secrets: &mut secrets, admin, stranger, jwt }.drive(transports).await;
    if mail.is_empty() {
        for token in mailed(&directory.join("mail"), transports.len()) {
            secrets.add("a token in a mail", &token);
        }
    }
    let ended = server.stop();
    assert_eq!(ended.code, Some(0));
    assert!(metrics.contains("guestlist_requests_total"));
    secrets.assert_none_in("/metrics", &metrics);
    secrets.assert_none_in("standard output", &ended.out);
    assert!(ended.err.lines().count() > 100 * transports.len(), "the log has lines for the calls");
    secrets.assert_none_in("the log", &ended.err);
    installation.remove().await;
}

/// Adds a password to the URL: a PostgreSQL that trusts local connections accepts any password.
fn with_password(url: &str) -> String {
    url.replace("//postgres@", &format!("//postgres:{PASSWORD}@"))
}

/// Configures an issuer; returns one of its tokens.
fn trust_an_issuer(directory: &Path) -> String {
    let key = SigningKey::generate();
    let settings = format!(
        "[[issuers]]\nissuer = '{ISSUER}'\naudience = 'guestlist'\nalgorithms = ['EdDSA']\n\
         jwks_file = 'acme.json'\nlogin_provider = 'acme'\nverified_email_domains = ['*']\n"
    );
    std::fs::write(directory.join("acme.json"), key.jwks()).unwrap();
    std::fs::write(directory.join("guestlist.toml"), settings).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    key.token(&json!({
        "iss": ISSUER,
        "aud": "guestlist",
        "sub": "canary-subject-of-the-token",
        "email": "jo@acme.com",
        "email_verified": true,
        "exp": (now + Duration::from_secs(600)).as_secs(),
    }))
}

/// Waits for this many mails and returns their tokens. The server writes the mails a little after
/// the requests.
fn mailed(directory: &Path, expected: usize) -> Vec<String> {
    let hang = Instant::now() + Duration::from_secs(30);
    loop {
        let files = std::fs::read_dir(directory).into_iter().flatten();
        let files = files.map(|file| file.unwrap().path());
        let mails: Vec<String> = files
            .filter(|path| path.extension().is_some_and(|e| e == "eml"))
            .map(|path| std::fs::read_to_string(path).unwrap().replace("=\r\n", ""))
            .collect();
        if mails.len() == expected {
            let token = |mail: &String| {
                let (_, rest) = mail.split_once("/invite#").expect("a link");
                rest[..36].to_owned()
            };
            return mails.iter().map(token).collect();
        }
        assert!(Instant::now() < hang, "{} mails of {expected}", mails.len());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p05_our_own_trace_logs_contain_no_secret() {
    writes_no_secret("info,guestlist=trace", Engine::Sqlite, &Transport::ALL, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p05_all_trace_logs_contain_no_secret() {
    let broken_mail = [
        ("GUESTLIST_MAIL__HOST", "127.0.0.1"),
        ("GUESTLIST_MAIL__PORT", "1"),
        ("GUESTLIST_MAIL__SECURITY", "none"),
        ("GUESTLIST_MAIL__USERNAME", "guestlist"),
        ("GUESTLIST_MAIL__PASSWORD", MAIL_PASSWORD),
        ("GUESTLIST_MAIL__FROM", "guestlist@acme.com"),
        ("GUESTLIST_PUBLIC_URL", "https://invites.acme.com"),
    ];
    writes_no_secret("trace", Engine::Postgres, &Transport::ALL, &broken_mail).await;
}

/// Even if an operator logs every frame, the log contains no secret.
#[tokio::test(flavor = "multi_thread")]
async fn p05_logs_of_libraries_named_in_the_filter_contain_no_secret() {
    let transports = Transport::of(Form::Grpc)
        .chain(Transport::of(Form::WebText))
        .chain(Transport::of(Form::Json));
    let transports: Vec<Transport> = transports.collect();
    writes_no_secret(ALL_LIBRARIES, Engine::Postgres, &transports, &[]).await;
}
