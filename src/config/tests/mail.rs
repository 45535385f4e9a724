//! `[mail]`, `public_url` and `invite_link_template`.

use secrecy::ExposeSecret;

use super::*;
use crate::domain::InviteToken;

const SERVER: &str = "public_url = 'https://invites.example.com'\n[mail]\nhost = 'smtp.example.com'\nfrom = 'a@acme.com'\n";

fn links(text: &str) -> String {
    let config = with_file(text).unwrap();
    let token = InviteToken::generate().unwrap();
    let link = config.invite_links("0.0.0.0:1234".parse().unwrap()).unwrap().link(&token);
    link.replace(&token.expose(), "TOKEN")
}

#[test]
fn p30_invite_links_use_the_configured_url_or_template() {
    assert_eq!(links(""), "http://127.0.0.1:1234/invite#TOKEN");
    for base in ["https://invites.example.com", "https://invites.example.com/"] {
        let text = format!("public_url = '{base}'");
        assert_eq!(links(&text), "https://invites.example.com/invite#TOKEN");
    }
    let below = links("public_url = 'http://example.com/guestlist/'");
    assert_eq!(below, "http://example.com/guestlist/invite#TOKEN");
    let own = links("invite_link_template = 'https://app.example.com/join/{token}?x=1'");
    assert_eq!(own, "https://app.example.com/join/TOKEN?x=1");
}

#[test]
fn invalid_public_urls_and_link_templates_are_rejected() {
    for wrong in [
        "",
        "invites.example.com",
        "ftp://a.example",
        "https://",
        "https://u:p@a.example",
        "https://a.example/?x",
        "https://a.example/#x",
        "https://a.example/ x",
    ] {
        refused(with_file(&format!("public_url = '{wrong}'")), &["public_url"]);
    }
    for wrong in [
        "",
        "{public_url}/invite",
        "{public_url}/{token}/{token}",
        "{public_url}/{id}#{token}",
        "/invite#{token}",
        "javascript:alert({token})",
        "https://a.example/ {token}",
    ] {
        let text = format!("invite_link_template = '{wrong}'");
        refused(with_file(&text), &["invite_link_template"]);
    }
}

#[test]
fn incomplete_mail_server_settings_are_rejected() {
    let host = "[mail]\nhost = 'smtp.example.com'\n";
    refused(with_file(host), &["public_url", "mail.from"]);
    refused(with_file(&format!("{SERVER}username = 'u'")), &["mail.username", "mail.password"]);
    refused(with_file(&format!("{SERVER}password = 'p'")), &["mail.username"]);
    refused(with_file("[mail]\nport = 25"), &["mail.host"]);
    refused(with_file("[mail]\nusername = 'u'\npassword = 'p'"), &["mail.host"]);
    let open = "username = 'u'\npassword = 'p'\nsecurity = 'none'\n";
    refused(with_file(&format!("{SERVER}{open}")), &["mail.security"]);
    let near = SERVER.replace("smtp.example.com", "127.0.0.1");
    with_file(&format!("{near}{open}")).unwrap();

    // A template without `{public_url}` does not need the setting.
    let own = "invite_link_template = 'https://app.example.com/join#{token}'\n";
    with_file(&format!("{own}{host}from = 'a@acme.com'")).unwrap();
}

#[test]
fn mail_settings_are_read() {
    let mail = with_file(&format!(
        "{SERVER}username = 'u'\npassword = 'hunter2'\nsecurity = 'tls'\nlanguage = 'pt-BR'\n"
    ))
    .unwrap()
    .mail;
    assert_eq!(mail.security, Security::Tls);
    assert_eq!(mail.password.unwrap().expose_secret(), "hunter2");
    assert_eq!(mail.language.as_str(), "pt-BR");
    assert_eq!(Config::reference().mail.security, Security::StartTls, "STARTTLS by default");

    for (text, name, address) in [
        ("a@acme.com", "", "a@acme.com"),
        ("Acme <A@Acme.com>", "Acme", "a@acme.com"),
        ("\"Acme, Inc.\" <a@acme.com>", "Acme, Inc.", "a@acme.com"),
        ("<a@acme.com>", "", "a@acme.com"),
    ] {
        let sender = Sender::try_from(text.to_owned()).unwrap();
        assert_eq!((sender.name.as_str(), sender.address.as_str()), (name, address));
    }
}

#[test]
fn wrong_mail_settings_are_refused() {
    for from in ["", "acme", "Acme <acme>", "Acme a@acme.com", "A\\nBcc: b@c.de <a@acme.com>"] {
        refused(with_file(&format!("[mail]\nfrom = \"{from}\"")), &["mail.from"]);
    }
    for language in ["", "e", "../en", "en/..", "en_US"] {
        refused(with_file(&format!("[mail]\nlanguage = '{language}'")), &["mail.language"]);
    }
    refused(with_file("[mail]\nsecurity = 'ssl'"), &["mail.security", "starttls"]);
    refused(
        with_file(
            "[mail]\nhost = 'a:25'\ntimeout = '0s'\nretry_after = '2days'\nmax_attempts = 0\nmax_connections = 0",
        ),
        &[
            "mail.host",
            "mail.timeout",
            "mail.retry_after",
            "mail.max_attempts",
            "mail.max_connections",
        ],
    );
}
