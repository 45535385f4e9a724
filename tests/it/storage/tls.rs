//! TLS to PostgreSQL, with each `sslmode` of the database's URL.

use std::time::Duration;

use guestlist::error::Kind;
use guestlist::storage::postgres::{Address, Connection};
use guestlist::storage::{Location, Opener, Statement, Store};
use tempfile::TempDir;

use crate::support::certificates::Authority;
use crate::support::cluster::Cluster;
use crate::support::databases::pool;

/// Whether a connection with this URL is encrypted; `None` if it fails.
async fn encrypted(url: &str) -> Option<bool> {
    let address = Address::parse(url).unwrap();
    let connection = Connection::open(&address, Duration::from_secs(10)).await;
    let connection = connection.inspect_err(|error| println!("{url}: {error}")).ok()?;
    let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let result = connection.run(&Statement::new(query, Vec::new())).await.unwrap();
    let mut values = result.rows.into_iter().next().unwrap().into_values();
    Some(values.next() == Some(true.into()))
}

#[tokio::test(flavor = "multi_thread")]
async fn sslmode_decides_how_the_server_certificate_is_checked() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let files = TempDir::new().unwrap();
    let path = |name: &str| files.path().join(name).display().to_string();
    authority.certify().write(files.path());
    std::fs::write(path("ca.crt"), authority.pem()).unwrap();
    std::fs::write(path("stranger.crt"), stranger.pem()).unwrap();

    let cluster = Cluster::start_with_tls(files.path());
    let by_number = &cluster.url;
    let by_name = &cluster.url.replace("127.0.0.1", "localhost");
    let (ours, theirs) = (path("ca.crt"), path("stranger.crt"));
    for (url, mode, authority, expected) in [
        // Like libpq: encrypted if possible, without a check of the certificate.
        (by_number, "", None, Some(true)),
        (by_number, "disable", None, Some(false)),
        (by_number, "prefer", None, Some(true)),
        (by_number, "require", None, Some(true)),
        // If the URL names an authority, the certificate is checked against it.
        (by_number, "require", Some(&ours), Some(true)),
        (by_number, "require", Some(&theirs), None),
        (by_number, "verify-ca", Some(&ours), Some(true)),
        (by_number, "verify-ca", Some(&theirs), None),
        // The system's authorities contain neither of the two.
        (by_number, "verify-ca", None, None),
        (by_name, "verify-full", None, None),
        // The certificate is for `localhost`.
        (by_name, "verify-full", Some(&ours), Some(true)),
        (by_name, "verify-full", Some(&theirs), None),
        (by_number, "verify-full", Some(&ours), None),
    ] {
        let mode = if mode.is_empty() { String::new() } else { format!("sslmode={mode}") };
        let authority = authority.map(|path| format!("&sslrootcert={path}")).unwrap_or_default();
        let url = format!("{url}?{mode}{authority}");
        assert_eq!(encrypted(&url).await, expected, "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_sent_to_a_server_that_requires_it() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (files, others) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    authority.certify().write(files.path());
    std::fs::write(files.path().join("ca.crt"), authority.pem()).unwrap();
    stranger.certify().write(others.path());

    let cluster = Cluster::start_with_tls(files.path());
    let postgres = Address::parse(&cluster.url).unwrap();
    let postgres = Connection::open(&postgres, Duration::from_secs(10)).await.unwrap();
    postgres.run(&Statement::new("CREATE ROLE certified LOGIN", Vec::new())).await.unwrap();
    let certified = cluster.url.replace("postgres@", "certified@");
    let with = |files: &TempDir| {
        let directory = files.path().display();
        format!("{certified}?sslcert={directory}/tls.crt&sslkey={directory}/tls.key")
    };
    assert_eq!(encrypted(&with(&files)).await, Some(true));
    assert_eq!(encrypted(&with(&others)).await, None);
    assert_eq!(encrypted(&certified).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_accepted_only_if_sslmode_allows_it() {
    let cluster = Cluster::start(&std::env::temp_dir());
    let url = |mode: &str| format!("{}?sslmode={mode}", cluster.url);
    assert_eq!(encrypted(&url("prefer")).await, Some(false));
    for mode in ["require", "verify-full"] {
        let location = Location::Postgres(Address::parse(&url(mode)).unwrap());
        let refused = Store::open(&location, &pool(), Opener::CommandLine, None).await;
        let refused = refused.err().expect(mode);
        assert_eq!(refused.kind, Kind::Unavailable, "{mode}");
        assert!(format!("{refused:?}").contains("does not support TLS"), "{refused:?}");
    }
}
