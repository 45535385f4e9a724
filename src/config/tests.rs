use std::ffi::OsString;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;

mod issuers;
mod mail;

use issuers::issuer;

fn with_file(text: &str) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guestlist.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(Sources { file: Some(path), ..Sources::default() })
}

fn with_env(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment =
        variables.iter().map(|(k, v)| (OsString::from(k), OsString::from(v))).collect();
    Config::load(Sources { environment, ..Sources::default() })
}

#[track_caller]
fn refused(loaded: Result<Config, ConfigError>, words: &[&str]) {
    let error = loaded.expect_err("must be rejected").to_string();
    for word in words {
        assert!(error.contains(word), "`{word}` is missing in: {error}");
    }
}

#[test]
fn the_defaults_are_a_complete_configuration() {
    let config = Config::load(Sources::default()).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.http.request_timeout.as_secs(), 15);
    assert!(config.database.migrate_on_start);
    assert!(config.issuers.is_empty());
    assert!(config.secret_key.is_none());
}

#[test]
fn flags_override_variables_and_variables_override_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guestlist.toml");
    std::fs::write(
        &path,
        "listen = '127.0.0.1:1'\npublic_preview = true\n[http]\nmax_streams = 1\nhead_timeout = '1s'\n",
    )
    .unwrap();
    let environment = [
        ("GUESTLIST_CONFIG", path.to_str().unwrap()),
        ("GUESTLIST_LISTEN", "127.0.0.1:2"),
        ("GUESTLIST_HTTP__MAX_STREAMS", "2"),
        ("GUESTLIST_CORS__ALLOWED_ORIGINS", "https://a.example, https://b.example"),
        ("GUESTLIST_DATABASE_URL", "sqlite:/tmp/x.db"),
        ("GUESTLIST_SECRET_KEY", ""),
        ("LISTEN", "elsewhere"),
    ];
    let config = Config::load(Sources {
        file: None,
        environment: environment.iter().map(|(k, v)| (k.into(), v.into())).collect(),
        flags: vec![("--listen", "listen", "127.0.0.1:3".into())],
    })
    .unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.http.max_streams, 2);
    assert_eq!(config.http.head_timeout.as_secs(), 1);
    assert_eq!(config.http.max_connections, 4096, "a missing setting keeps its default");
    assert!(config.public_preview);
    assert_eq!(config.cors.allowed_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.database_url.unwrap().expose_secret(), "sqlite:/tmp/x.db");
    assert!(config.secret_key.is_none(), "an empty variable counts as not set");
}

#[test]
fn unknown_settings_are_rejected_and_named() {
    refused(with_file("lisen = '127.0.0.1:1'"), &["guestlist.toml", "lisen", "unknown"]);
    refused(with_file("[http]\nreqest_timeout = '1s'"), &["http.reqest_timeout", "unknown"]);
    refused(with_file(&issuer(&[], "audiense = 'x'")), &["issuers[0]", "audiense"]);
    refused(with_env(&[("GUESTLIST_LISEN", "x")]), &["GUESTLIST_LISEN", "unknown"]);
    refused(with_env(&[("GUESTLIST_HTTP_MAX_STREAMS", "1")]), &["GUESTLIST_HTTP_MAX_STREAMS"]);
    refused(with_env(&[("GUESTLIST_HTTP__X__Y", "1")]), &["GUESTLIST_HTTP__X__Y"]);
}

#[test]
fn environment_variables_of_other_programs_are_ignored() {
    with_env(&[
        ("GUESTLIST_SERVICE_HOST", "10.0.0.1"),
        ("GUESTLIST_SERVICE_PORT_GRPC", "80"),
        ("GUESTLIST_PORT", "tcp://10.0.0.1:80"),
        ("GUESTLIST_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("GUESTLIST_TEST_POSTGRES_URL", "postgres://localhost"),
    ])
    .unwrap();
}

#[test]
fn settings_of_a_wrong_type_are_rejected_and_named() {
    refused(with_file("listen = 8080"), &["listen"]);
    refused(with_file("listen = 'localhost'"), &["listen", "an address and a port"]);
    refused(with_file("http = 5"), &["http"]);
    refused(with_file("[http]\nmax_streams = 'many'"), &["http.max_streams", "u32"]);
    refused(with_file("[http]\nmax_streams = -1"), &["http.max_streams"]);
    refused(with_file("[http]\nhead_timeout = 5"), &["http.head_timeout", "duration"]);
    refused(with_file("[log]\nformat = 'xml'"), &["log.format", "json"]);
    refused(with_env(&[("GUESTLIST_HTTP__MAX_STREAMS", "many")]), &["MAX_STREAMS", "number"]);
    refused(with_env(&[("GUESTLIST_PUBLIC_PREVIEW", "yes")]), &["PUBLIC_PREVIEW", "true or false"]);
    refused(with_env(&[("GUESTLIST_HTTP__HEAD_TIMEOUT", "soon")]), &["HEAD_TIMEOUT"]);
    refused(with_env(&[("GUESTLIST_HTTP", "x")]), &["GUESTLIST_HTTP"]);
    refused(with_env(&[("GUESTLIST_ISSUERS", "google")]), &["GUESTLIST_ISSUERS"]);
    refused(with_env(&[("GUESTLIST_CORS__ALLOWED_ORIGINS", "[x")]), &["ALLOWED_ORIGINS"]);
}

#[test]
fn p05_errors_and_debug_output_contain_no_secret() {
    let canary = "hunter2canary";
    let texts = [
        format!("database_url = postgres://u:{canary}@h/d"),
        format!("database_url = 'mysql://u:{canary}@h/d'"),
        format!("database_url = ['postgres://u:{canary}@h/d']"),
        format!("secret_key = ['{canary}']"),
        format!("secret_key = '{canary}'\nsecret_key_file = 'x'"),
        format!("secret_key = '{canary}"),
        format!("[mail]\npassword = ['{canary}']"),
        format!("[mail]\npassword = '{canary}'"),
    ];
    for text in texts {
        let error = with_file(&text).unwrap_err().to_string();
        assert!(!error.contains(canary), "{error}");
    }
    refused(with_file("\n\nlisten = 5 5"), &["guestlist.toml, line 3"]);

    let config = with_env(&[
        ("GUESTLIST_SECRET_KEY", canary),
        ("GUESTLIST_DATABASE_URL", &format!("postgres://u:{canary}@h/d")),
    ])
    .unwrap();
    assert!(!format!("{config:?}").contains(canary));
}

#[test]
fn the_error_for_a_missing_file_names_it() {
    let file = Some("/nowhere/guestlist.toml".into());
    refused(
        Config::load(Sources { file, ..Sources::default() }),
        &["/nowhere/guestlist.toml", "cannot read"],
    );
}

#[test]
fn all_invalid_settings_are_reported_in_one_error() {
    refused(
        with_file(
            "secret_key = 'a'\nsecret_key_file = 'b'\nmetrics_listen = '127.0.0.1:8080'\n\
             database_url = 'mysql:x'\n[http]\nmax_streams = 0\nhead_timeout = '0s'\n\
             max_header_bytes = 100\n[database]\nmax_connections = 0\nacquire_timeout = '2days'\n\
             [log]\nfilter = 'a=b=c'\n[limits]\njoins_per_account = 1000000001\n\
             [webhooks]\nmax_per_organization = 1001",
        ),
        &[
            "secret_key_file",
            "metrics_listen",
            "database_url",
            "http.max_streams",
            "http.head_timeout",
            "http.max_header_bytes",
            "database.max_connections",
            "database.acquire_timeout",
            "log.filter",
            "limits.joins_per_account",
            "webhooks.max_per_organization",
        ],
    );
}

#[test]
fn trusted_proxies_are_addresses_and_networks() {
    let list = "10.0.0.0/8, 192.0.2.1,fd00::/8";
    let config = with_env(&[("GUESTLIST_HTTP__TRUSTED_PROXIES", list)]).unwrap();
    assert_eq!(config.http.trusted_proxies.len(), 3);
    assert!(with_env(&[]).unwrap().http.trusted_proxies.is_empty(), "no proxy by default");
    for wrong in ["proxy.internal", "10.0.0.0/99", "10.0.0.1/8", "*"] {
        let file = format!("[http]\ntrusted_proxies = ['{wrong}']");
        refused(with_file(&file), &["http.trusted_proxies", wrong, "10.0.0.0/8"]);
        let file = format!("[webhooks]\nallowed_networks = ['{wrong}']");
        refused(with_file(&file), &["webhooks.allowed_networks", wrong, "10.0.0.0/8"]);
    }
}

#[test]
fn continue_origins_must_be_exact_origins() {
    let with = |origin: &str| with_file(&format!("[invites]\ncontinue_origins = ['{origin}']"));
    for origin in ["https://app.acme.com", "http://localhost:3000"] {
        assert_eq!(with(origin).unwrap().invites.continue_origins, [origin]);
    }
    for origin in ["*", "https://*.acme.com", "https://acme.com/", "acme.com", "null", ""] {
        refused(with(origin), &["invites.continue_origins"]);
    }
}

#[test]
fn at_most_two_different_reminders_are_accepted() {
    let with = |list: &str| with_file(&format!("[invites]\nreminders = [{list}]"));
    let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    for (list, expected) in [
        ("", vec![]),
        ("'1day'", vec![days(1)]),
        ("'1day', '3days'", vec![days(3), days(1)]),
        ("'29days', '1h'", vec![days(29), Duration::from_secs(3600)]),
    ] {
        assert_eq!(with(list).unwrap().invites.reminders(), expected, "{list}");
    }
    for list in ["'1h', '2h', '3h'", "'1day', '24h'", "'59m'", "'30days'", "'soon'"] {
        refused(with(list), &["invites.reminders"]);
    }
}

#[test]
fn p29_only_exact_origins_are_accepted() {
    let with = |origin: &str| with_file(&format!("[cors]\nallowed_origins = ['{origin}']"));
    for origin in ["https://app.example.com", "http://localhost:5173", "https://[::1]:8443"] {
        assert_eq!(with(origin).unwrap().cors.allowed_origins, [origin]);
    }
    for origin in [
        "*",
        "null",
        "",
        "app.example.com",
        "https://app.example.com/",
        "https://*.example.com",
        "https://APP.example.com",
        "https://app.example.com:443",
        "https://app.example.com/x",
        "https://u@app.example.com",
        "https://bücher.example",
        "ftp://app.example.com",
        "file:///x",
        "https://",
    ] {
        refused(with(origin), &["cors.allowed_origins"]);
    }
}

#[test]
fn incomplete_tls_settings_are_rejected() {
    let with = |lines: &str| with_file(&format!("[tls]\n{lines}"));
    for half in ["certificate_file = 'c'", "key_file = 'k'"] {
        refused(with(half), &["tls.certificate_file, tls.key_file", "both"]);
    }
    refused(with("client_ca_file = 'a'"), &["tls.client_ca_file", "needs tls.certificate_file"]);
    refused(with("reload_interval = '0s'"), &["tls.reload_interval"]);
    let whole = with("certificate_file = 'c'\nkey_file = 'k'\nclient_ca_file = 'a'").unwrap();
    assert_eq!(whole.tls.scheme(), "https");
    let links = whole.invite_links(whole.listen).unwrap();
    assert!(format!("{links:?}").contains("https://127.0.0.1:8080"), "{links:?}");
    assert_eq!(Config::reference().tls.scheme(), "http");

    // Also for settings from other sources.
    let flags = |flags| Config::load(Sources { flags, ..Sources::default() });
    let flag = |flag, key| (flag, key, "x".to_owned());
    let certificate = flag("--tls-certificate-file", "tls.certificate_file");
    let key = flag("--tls-key-file", "tls.key_file");
    refused(flags(vec![certificate.clone()]), &["tls.key_file"]);
    assert!(flags(vec![certificate, key]).unwrap().tls.certificate_and_key().is_some());
    let variables = ["GUESTLIST_TLS__CERTIFICATE_FILE", "GUESTLIST_TLS__KEY_FILE"];
    let tls = with_env(&variables.map(|name| (name, "x"))).unwrap().tls;
    assert!(tls.certificate_and_key().is_some());
}

#[test]
fn every_setting_is_documented_and_the_examples_are_valid() {
    let documented: Vec<_> = reference::settings().into_iter().map(|setting| setting.key).collect();
    // serde's error for an unknown setting lists all known ones.
    let probes = [
        ("", "x = 1".to_owned()),
        ("http.", "[http]\nx = 1".to_owned()),
        ("tls.", "[tls]\nx = 1".to_owned()),
        ("cors.", "[cors]\nx = 1".to_owned()),
        ("database.", "[database]\nx = 1".to_owned()),
        ("organizations.", "[organizations]\nx = 1".to_owned()),
        ("invites.", "[invites]\nx = 1".to_owned()),
        ("limits.", "[limits]\nx = 1".to_owned()),
        ("mail.", "[mail]\nx = 1".to_owned()),
        ("events.", "[events]\nx = 1".to_owned()),
        ("audit.", "[audit]\nx = 1".to_owned()),
        ("console.", "[console]\nx = 1".to_owned()),
        ("domains.", "[domains]\nx = 1".to_owned()),
        ("pages.", "[pages]\nx = 1".to_owned()),
        ("webhooks.", "[webhooks]\nx = 1".to_owned()),
        ("log.", "[log]\nx = 1".to_owned()),
        ("issuers[].", issuer(&[], "x = 1")),
    ];
    let mut known = 0;
    for (section, probe) in probes {
        let error = with_file(&probe).unwrap_err().to_string();
        let (_, list) =
            error.split_once("expected one of").or(error.split_once("expected")).unwrap();
        for key in list.split('`').skip(1).step_by(2) {
            let is_section = [
                "http",
                "tls",
                "cors",
                "database",
                "organizations",
                "invites",
                "limits",
                "mail",
                "events",
                "audit",
                "webhooks",
                "console",
                "domains",
                "pages",
                "log",
                "issuers",
            ]
            .contains(&key);
            let is_documented = documented.contains(&format!("{section}{key}"));
            assert!(
                is_documented || (section.is_empty() && is_section),
                "{section}{key} is not documented"
            );
            known += usize::from(is_documented);
        }
    }
    assert_eq!(known, documented.len(), "the manual documents an unknown setting");

    // The examples: every setting that is commented out. Of two settings that exclude each other,
    // only one is included.
    let example: String = DEFAULT
        .lines()
        .filter(|line| !line.starts_with("# ") && *line != "#")
        .filter(|line| !line.starts_with("#secret_key =") && !line.starts_with("#jwks_file"))
        .map(|line| line.strip_prefix('#').unwrap_or(line).to_owned() + "\n")
        .collect();
    assert_eq!(with_file(&example).unwrap().issuers.len(), 2);
}

#[test]
fn the_settings_table_has_a_row_for_each_setting() {
    let table = reference::markdown_table();
    assert!(table.contains("| `http.request_timeout` | `\"15s\"` | The longest"), "{table}");
    assert!(table.contains("| `database_url` |  | The database:"), "{table}");
    assert_eq!(table.lines().count(), reference::settings().len() + 2);
}
