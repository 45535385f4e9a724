use tokio_postgres::config::TargetSessionAttrs;

use super::*;

#[test]
fn a_url_is_read_as_libpq_reads_it() {
    let address = Address::parse(
        "postgres://me:p%40ss@db.internal:6432/guests?sslmode=require&options=-c%20a%3D1",
    )
    .unwrap();
    assert_eq!(address.hosts[0].get_user(), Some("me"));
    assert_eq!(address.hosts[0].get_password(), Some(&b"p@ss"[..]));
    assert_eq!(address.hosts[0].get_hosts(), [Host::Tcp("db.internal".into())]);
    assert_eq!(address.hosts[0].get_ports(), [6432]);
    assert_eq!(address.hosts[0].get_dbname(), Some("guests"));
    assert_eq!(address.hosts[0].get_options(), Some("-c a=1"));
    assert!(address.tls.is_some());
}

#[test]
fn tls_is_used_unless_it_is_disabled_or_the_host_is_a_unix_socket() {
    let tls = |url: &str| Address::parse(url).unwrap().tls.is_some();
    assert!(tls("postgres://db/guests"));
    assert!(tls("postgres://db/guests?sslmode=verify-full"));
    assert!(!tls("postgres://db/guests?sslmode=disable"));
    assert!(!tls("postgres:///guests?host=/run/postgresql&sslmode=require"));
}

#[test]
fn parameters_are_applied_or_ignored_or_rejected_by_name() {
    let name = |query: &str| {
        let address = Address::parse(&format!("postgres://db/guests?{query}")).unwrap();
        address.hosts[0].get_application_name().map(str::to_owned)
    };
    assert_eq!(name(""), Some("guestlist".into()));
    assert_eq!(name("application_name=invites"), Some("invites".into()));
    assert_eq!(name("fallback_application_name=x"), Some("x".into()));
    assert_eq!(
        name("fallback_application_name=x&application_name=invites"),
        Some("invites".into())
    );
    let address = Address::parse("postgres://db/g?keepalives_idle=30&keepalives_count=7");
    let address = address.unwrap();
    assert_eq!(address.hosts[0].get_keepalives_idle(), Duration::from_secs(30));
    assert_eq!(address.hosts[0].get_keepalives_retries(), Some(7));
    assert_eq!(address.hosts[0].get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    for harmless in [
        "client_encoding=utf8",
        "gssencmode=disable",
        "connect_timeout=3",
        "target_session_attrs=read-write",
    ] {
        assert_eq!(name(harmless), Some("guestlist".into()));
    }
    for wrong in ["pgbouncer=true", "passfile=/x", "client_encoding=latin1", "schema=x"] {
        let error = Address::parse(&format!("postgres://db/guests?{wrong}")).unwrap_err();
        assert!(error.contains(wrong.split('=').next().unwrap()), "{error}");
    }
    // The text after the `?` is the end of a password.
    let error = Address::parse("postgres://me:1?secret@db/guests").unwrap_err();
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn p05_errors_and_debug_output_repeat_no_part_of_the_url() {
    for url in [
        "postgres://SECRET@db:SECRET/guests",
        "postgres://db/guests?sslmode=SECRET",
        "postgres://db/guests?SECRET=1",
        "postgres://db/guests?sslrootcert=%FFSECRET",
        "postgres://db/guests?sslcert=SECRET",
        "postgres:///SECRET",
        "postgres://me:p@SECRET@db/guests",
        "postgres://db,other/guests?hostaddr=10.0.0.1",
        "postgres://db/guests?host=SECRET,SECRET",
    ] {
        let error = Address::parse(url).expect_err(url);
        assert!(!error.contains("SECRET"), "{error}");
        assert!(error.starts_with("must "), "{error}");
    }
    let address = Address::parse("postgres://me:SECRET@db/guests").unwrap();
    assert!(!format!("{address:?}").contains("SECRET"));
}

#[test]
fn each_host_has_its_own_port_and_the_shared_parameters() {
    let places = |url: &str| -> Vec<_> {
        let address = Address::parse(url).unwrap();
        let hosts = address.hosts.iter();
        hosts
            .map(|one| {
                assert_eq!(one.get_user(), Some("me"), "{url}");
                assert_eq!(one.get_dbname(), Some("guests"), "{url}");
                assert_eq!(one.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
                assert_eq!(one.get_application_name(), Some("guestlist"));
                assert_eq!((one.get_hosts().len(), one.get_ports().len()), (1, 1), "{url}");
                (one.get_hosts()[0].clone(), one.get_ports()[0])
            })
            .collect()
    };
    let tcp = |host: &str, port| (Host::Tcp(host.to_owned()), port);
    let unix = |path: &str, port| (Host::Unix(path.into()), port);
    for (url, expected) in [
        ("postgres://me@a/guests", vec![tcp("a", 5432)]),
        ("postgres://me@a:1,b,c:3/guests", vec![tcp("a", 1), tcp("b", 5432), tcp("c", 3)]),
        ("postgresql://me@[::1]:1,[fe80::2]/guests", vec![tcp("::1", 1), tcp("fe80::2", 5432)]),
        ("postgres://me@%2Frun%2Fpg:1,b:2/guests", vec![unix("/run/pg", 1), tcp("b", 2)]),
        ("postgres://me@/guests?host=/run/pg&port=6", vec![unix("/run/pg", 6)]),
        (
            "postgres:///guests?user=me&host=a&host=b&port=6,7&target_session_attrs=primary",
            vec![tcp("a", 6), tcp("b", 7)],
        ),
    ] {
        assert_eq!(places(url), expected, "{url}");
    }
}

#[test]
fn percent_encoded_characters_of_a_password_are_decoded() {
    let password = "a:b@c/d?e#f%g&h=i[j]k,l m\u{e9}";
    let written =
        percent_encoding::utf8_percent_encode(password, percent_encoding::NON_ALPHANUMERIC);
    for url in [
        format!("postgres://me:{written}@a,b/guests"),
        format!("postgres://me@a,b/guests?password={written}&sslmode=disable"),
    ] {
        let address = Address::parse(&url).unwrap();
        assert_eq!(address.hosts.len(), 2);
        for host in address.hosts.iter() {
            assert_eq!(host.get_password(), Some(password.as_bytes()));
        }
    }
}

#[test]
fn the_first_host_is_the_first_of_the_url_or_a_random_one() {
    let firsts = |query: &str| -> std::collections::BTreeSet<usize> {
        let address = || Address::parse(&format!("postgres://me@a,b/guests?{query}")).unwrap();
        (0..64).map(|_| address().last.load(Ordering::Relaxed)).collect()
    };
    assert_eq!(firsts(""), [0].into());
    assert_eq!(firsts("load_balance_hosts=random"), [0, 1].into());
}
