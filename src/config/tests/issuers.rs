use super::super::*;
use super::{refused, with_env, with_file};

/// A complete issuer of kind `jwt`, without the lines that contain one of `without`, and with the
/// lines `plus`.
pub(super) fn issuer(without: &[&str], plus: &str) -> String {
    let lines = [
        r#"issuer = "https://id.example""#,
        r#"audience = "guestlist""#,
        r#"algorithms = ["RS256", "EdDSA"]"#,
        r#"jwks_url = "https://id.example/keys""#,
        r#"login_provider = "example""#,
        r#"verified_email_domains = ["acme.com"]"#,
    ];
    let kept: Vec<_> =
        lines.iter().filter(|line| !without.iter().any(|key| line.starts_with(key))).collect();
    let mut text = String::from("[[issuers]]\n");
    for line in kept {
        text.push_str(line);
        text.push('\n');
    }
    text + plus + "\n"
}

#[test]
fn all_settings_of_an_issuer_are_read() {
    let file = issuer(&[], "sso_organizations = ['0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b']");
    let config = with_file(&file).unwrap();
    let [issuer] = config.issuers.as_slice() else { panic!("must be one issuer") };
    assert_eq!(issuer.issuer, "https://id.example");
    assert!(issuer.verified_email_domains.include(&"acme.com".parse().unwrap()));
    assert!(!issuer.verified_email_domains.include(&"eu.acme.com".parse().unwrap()));
    let Trust::Jwt { algorithms, jwks, sso_organizations, .. } = &issuer.trust else {
        panic!("kind jwt by default")
    };
    assert_eq!(algorithms, &[Algorithm::Rs256, Algorithm::EdDsa]);
    assert!(matches!(jwks, JwksSource::Url(_)));
    assert_eq!(sso_organizations.len(), 1);
}

#[test]
fn email_verified_as_text_is_off_by_default() {
    for (plus, expected) in [
        ("", false),
        ("email_verified_as_text = false", false),
        ("email_verified_as_text = true", true),
    ] {
        let config = with_file(&issuer(&[], plus)).unwrap();
        let Trust::Jwt { email_verified_as_text, .. } = &config.issuers[0].trust else {
            panic!("kind jwt by default")
        };
        assert_eq!(*email_verified_as_text, expected, "{plus}");
    }
}

#[test]
fn p23_invalid_sign_in_settings_are_rejected() {
    let wants = r#"sign_in = { client_id = "guestlist", name = "Acme" "#;
    let config = with_file(&issuer(&[], &format!("{wants}}}"))).unwrap();
    let Trust::Jwt { sign_in: Some(sign_in), .. } = &config.issuers[0].trust else {
        panic!("the issuer must have `sign_in`")
    };
    assert_eq!((sign_in.token, sign_in.scopes.len()), (SignInToken::Id, 3));
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], r#"sign_in = { client_id = "guestlist" }"#, "name"),
        (&[], r#"sign_in = { client_id = "guestlist", name = " " }"#, "sign_in.name"),
        (&[], r#"sign_in = { client_id = "", name = "Acme" }"#, "sign_in.client_id"),
        (&[], r#"sign_in = { client_id = "x", name = "Acme" }"#, "audience"),
        (&[], &format!("{wants}, scopes = [\"email\"] }}"), "openid"),
        (&[], &format!("{wants}, scopes = [\"openid email\"] }}"), "without spaces"),
        (&[], &format!("{wants}, secret = \"x\" }}"), "unknown field"),
        (&[], &format!("{wants}, token = \"refresh\" }}"), "refresh"),
        (&["issuer"], &format!("issuer = \"acme\"\n{wants}}}"), "https://"),
        (&["issuer"], &format!("issuer = \"http://id.example\"\n{wants}}}"), "https://"),
    ];
    for (without, plus, word) in cases {
        refused(with_file(&issuer(without, plus)), &[word]);
    }
    let access = r#"sign_in = { client_id = "x", name = "Acme", token = "access", scopes = [] }"#;
    assert!(with_file(&issuer(&[], access)).is_ok());
}

#[test]
fn incomplete_or_invalid_issuers_are_rejected() {
    let cases: &[(&[&str], &str, &[&str])] = &[
        (&["issuer"], "", &["issuers[0]", "issuer"]),
        (&["issuer"], "issuer = 'guestlist'", &["reserved"]),
        (&["issuer"], "issuer = 'Guestlist'", &["reserved"]),
        (&["issuer"], "issuer = ''", &["issuer"]),
        (&["audience"], "", &["https://id.example", "audience"]),
        (&["audience"], "audience = ''", &["audience"]),
        (&["algorithms"], "", &["algorithms"]),
        (&["algorithms"], "algorithms = []", &["algorithms"]),
        (&["algorithms"], "algorithms = ['HS256']", &["HS256", "not allowed"]),
        (&["algorithms"], "algorithms = ['none']", &["none", "not allowed"]),
        (&["algorithms"], "algorithms = ['RS256', 'rs256']", &["rs256", "not supported"]),
        (&["algorithms"], "algorithms = ['ES512']", &["ES512", "ES384"]),
        (&["jwks_url"], "", &["jwks_url", "jwks_file"]),
        (&[], "jwks_file = 'keys.json'", &["not both"]),
        (&["jwks_url"], "jwks_url = 'keys'", &["jwks_url"]),
        (&["jwks_url"], "jwks_url = 'http://id.example/keys'", &["https://"]),
        (&["jwks_url"], "jwks_url = 'http://127.0.0.1.id.example/keys'", &["https://"]),
        (&["jwks_url"], "jwks_url = 'file:///keys'", &["https://"]),
        (&["login_provider"], "", &["login_provider"]),
        (&[], "login_provider_kind = 'saml'", &["issuers[0]", "login_provider_kind", "sso"]),
        (&["verified"], "", &["verified_email_domains", "[\"*\"]"]),
        (&["verified"], "verified_email_domains = ['*.acme.com']", &["*.acme.com"]),
        (&["verified"], "verified_email_domains = ['*', 'acme.com']", &["`*`"]),
        (&[], "sso_organizations = ['acme']", &["sso_organizations", "UUID"]),
        (&[], "kind = 'service'", &["belongs to kind"]),
        (
            &["audience", "algorithms", "jwks_url"],
            "kind = 'service'\nsso_organizations = []",
            &["sso_organizations"],
        ),
        (&[], "kind = 'saml'", &["kind", "service"]),
        (&[], "email_verified_as_text = 'yes'", &["email_verified_as_text", "boolean"]),
        (
            &["audience", "algorithms", "jwks_url"],
            "kind = 'service'\nemail_verified_as_text = true",
            &["email_verified_as_text", "jwt"],
        ),
    ];
    for (without, plus, words) in cases {
        refused(with_file(&issuer(without, plus)), words);
    }
    refused(with_file(&(issuer(&[], "") + &issuer(&[], ""))), &["https://id.example", "twice"]);
}

#[test]
fn issuers_can_be_set_by_an_environment_variable() {
    let list = r#"[{issuer = "intranet", kind = "service", login_provider = "x", verified_email_domains = ["*"]}]"#;
    let config = with_env(&[("GUESTLIST_ISSUERS", list)]).unwrap();
    assert!(matches!(config.issuers[0].trust, Trust::Service));
    assert_eq!(config.issuers[0].verified_email_domains, VerifiableDomains::All);
}

#[test]
fn a_jwks_url_on_loopback_may_use_http() {
    for url in ["http://127.0.0.1:9/keys", "http://[::1]:9/keys", "http://localhost/keys"] {
        with_file(&issuer(&["jwks_url"], &format!("jwks_url = '{url}'"))).unwrap();
    }
}
