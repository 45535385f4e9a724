use std::path::Path;

use lettre::message::Mailbox;

use super::*;
use crate::config::Config;
use crate::domain::Logo;
use crate::mail::message::message;

const LINK: &str = "https://invites.example.com/invite#0197a2b4-5c6d-4e8f-9a0b-1c2d3e4f5a6b";

fn settings(change: impl FnOnce(&mut config::Mail)) -> config::Mail {
    let mut settings = Config::reference().mail;
    change(&mut settings);
    settings
}

fn load(change: impl FnOnce(&mut config::Mail)) -> Result<Templates> {
    Templates::load(&settings(change), &Brand::built_in())
}

fn render(templates: &Templates, organization: &str, inviter: &str) -> Mail {
    render_in(templates, organization, inviter, None)
}

fn render_in(
    templates: &Templates,
    organization: &str,
    inviter: &str,
    locale: Option<&Locale>,
) -> Mail {
    let invitation = Invitation {
        id: "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b".parse().unwrap(),
        version: 7,
        reminder: 0,
        email: &"zoe@example.com".parse().unwrap(),
        organization: &organization.parse().unwrap(),
        inviter,
        role: Role::Member,
        link: LINK,
        expires_at: Some(Timestamp::from_micros(1_795_000_000_000_000)),
        locale,
    };
    templates.render(&invitation, Timestamp::from_micros(1_794_000_000_000_000)).unwrap()
}

fn formatted(mail: &Mail) -> String {
    let from: Mailbox = "Acme <invitations@acme.com>".parse().unwrap();
    String::from_utf8(message(mail, &from).unwrap().formatted()).unwrap()
}

fn headers(message: &str) -> Vec<&str> {
    let (head, _) = message.split_once("\r\n\r\n").unwrap();
    head.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])).collect()
}

#[test]
fn an_invitation_names_inviter_organization_role_and_expiry() {
    let mail = render(&load(|_| ()).unwrap(), "Acme", "Ana");
    assert_eq!(mail.subject, "Ana invites you to “Acme”");
    assert_eq!(mail.id, "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b.7");
    let expected = ["Ana", "Acme", "as member", "zoe@example.com", "until 2026-11-18 11:06 UTC"];
    for word in expected {
        assert!(mail.text.contains(word), "{word} in {}", mail.text);
        assert!(mail.html.contains(word), "{word} in {}", mail.html);
    }
    assert!(mail.text.lines().any(|line| line == LINK), "{}", mail.text);
    let link = LINK.replace('/', "&#x2f;");
    assert_eq!(mail.html.matches(&format!("href=\"{link}\"")).count(), 2, "{}", mail.html);

    let mail = render(&load(|_| ()).unwrap(), "Acme", "");
    assert_eq!(mail.subject, "You are invited to “Acme”");
}

#[test]
fn a_reminder_is_marked_and_has_its_own_message_id() {
    let templates = load(|_| ()).unwrap();
    let email = "zoe@example.com".parse().unwrap();
    let organization = "Acme".parse().unwrap();
    let invitation = Invitation {
        id: "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b".parse().unwrap(),
        version: 7,
        reminder: 2,
        email: &email,
        organization: &organization,
        inviter: "Ana",
        role: Role::Member,
        link: LINK,
        expires_at: None,
        locale: None,
    };
    let mail = templates.render(&invitation, Timestamp::from_micros(0)).unwrap();
    assert_eq!(mail.id, "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b.7.2");
    assert_eq!(mail.subject, "Reminder: Ana invites you to “Acme”");
    for text in [&mail.text, &mail.html] {
        assert!(text.contains("This is a reminder. "), "{text}");
    }
}

#[test]
fn names_are_escaped_in_html_and_harmless_in_text() {
    let name = "<script>alert(1)</script> & \"Söhne\" {{ link }}";
    let mail = render(&load(|_| ()).unwrap(), name, name);
    let escaped = "&lt;script&gt;alert(1)&lt;&#x2f;script&gt; &amp; &quot;Söhne&quot; {{ link }}";
    assert!(mail.html.contains(escaped), "{}", mail.html);
    assert!(!mail.html.contains("<script"), "{}", mail.html);
    assert!(mail.text.contains(name), "not escaped, and no template: {}", mail.text);

    let inviter = "Ana\r\n\r\nYour account is closed:\nhttps://evil.example\u{202e}\u{200b}";
    let mail = render(&load(|_| ()).unwrap(), "Acme", inviter);
    let line = "Ana Your account is closed: https: //evil. example invites you to join “Acme” as";
    assert!(mail.text.contains(line), "the name has no line of its own: {}", mail.text);
    let mail = render(&load(|_| ()).unwrap(), &"x".repeat(256), &"y".repeat(300));
    assert!(mail.subject.chars().count() <= 220, "{}", mail.subject);
}

/// The words that mail programs turn into links: URLs, domain names and mail addresses, and
/// network shares.
fn linked(text: &str) -> Vec<&str> {
    let is_linked = |word: &str| {
        let inner = word.trim_matches(|c: char| !c.is_alphanumeric());
        word.contains("://")
            || word.starts_with("\\\\") && word.len() > 2
            || inner.contains(['.', '。', '．', '｡', '․', ':'])
    };
    text.split_whitespace().filter(|word| is_linked(word)).collect()
}

#[test]
fn names_never_become_links() {
    let templates = load(|_| ()).unwrap();
    let plain = render(&templates, "Acme", "Ana");
    for (given, shown) in [
        ("Pay at https://evil.example/x?y=1 now", "Pay at https: //evil. example/x?y=1 now"),
        ("www.evil.example", "www. evil. example"),
        ("EVIL.COM", "EVIL. COM"),
        ("evil.co.uk/win", "evil. co. uk/win"),
        ("http://192.0.2.1:80", "http: //192. 0. 2. 1: 80"),
        ("ftp://x.y", "ftp: //x. y"),
        ("//evil.example", "//evil. example"),
        ("bücher.example", "bücher. example"),
        ("例。测试 x．y z｡w", "例。 测试 x． y z｡ w"),
        ("evil\u{200d}.\u{200d}com", "evil\u{200d}. \u{200d}com"),
        ("evil.\u{200b}com", "evil. com"),
        ("me@evil.example", "me@evil. example"),
        ("mailto:me@evil", "mailto: me@evil"),
        ("\\\\evil\\share", "\\\\ evil\\ share"),
        ("Acme” – open https://evil.example “", "Acme\" – open https: //evil. example \""),
        // Other texts are not changed.
        ("Acme Inc. & Co. KG", "Acme Inc. & Co. KG"),
        ("Wait... what", "Wait... what"),
        ("Team: Blue", "Team: Blue"),
        ("کتاب\u{200c}خانه", "کتاب\u{200c}خانه"),
    ] {
        let mail = if given.contains('\u{200b}') {
            render(&templates, "Acme", given)
        } else {
            render(&templates, given, given)
        };
        let quoted = format!("join “{shown}” as");
        assert!(mail.text.contains(&quoted) || given.contains('\u{200b}'), "{}", mail.text);
        assert!(mail.text.contains(&format!("{shown} invites you")), "{}", mail.text);
        let linked_before = linked(&plain.text).len() + linked(&plain.subject).len();
        let now = [linked(&mail.text), linked(&mail.subject)].concat();
        assert_eq!(now.len(), linked_before, "{now:?}");
        assert_eq!(mail.html.matches("href=").count(), 2, "{}", mail.html);
        // The same in HTML: mail programs also search its text.
        let text = mail.html.replace("&#x2f;", "/").replace("&quot;", "\"").replace("&amp;", "&");
        assert!(text.contains(&format!("<strong>{shown}</strong> invites you")), "{text}");
    }
}

#[test]
fn names_cannot_add_headers() {
    let plain = headers(&formatted(&render(&load(|_| ()).unwrap(), "Acme", "Ana"))).len();
    for name in [
        "Acme\r\nBcc: everybody@example.com",
        "Acme\nBcc: everybody@example.com\n\nhello",
        "Acme\rBcc: x@example.com",
        "Acme\u{2028}Bcc: x@example.com",
        "Acme\u{85}Bcc: x@example.com\u{0}",
        "=?utf-8?q?Acme=0D=0ABcc:_x@example.com?=",
        "Ünïcödé 🦀 Bcc: x@example.com",
    ] {
        let mail = render(&load(|_| ()).unwrap(), "Acme", name);
        let message = formatted(&mail);
        let headers = headers(&message);
        assert_eq!(headers.len(), plain, "{message}");
        let bcc = headers.iter().any(|header| header.to_lowercase().starts_with("bcc"));
        assert!(!bcc, "{message}");
    }
}

#[test]
fn a_message_has_the_headers_it_needs() {
    let mail = render(&load(|_| ()).unwrap(), "Acme", "Ana");
    let message = formatted(&mail);
    for header in [
        "From: Acme <invitations@acme.com>\r\n",
        "To: zoe@example.com\r\n",
        // The name in quotation marks, encoded by RFC 2047.
        "Subject: Ana invites you to =?utf-8?b?4oCcQWNtZeKAnQ==?=\r\n",
        "Message-ID: <0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b.7@acme.com>\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "Date: Fri, 06 Nov 2026 21:20:00 +0000\r\n",
        "Content-Type: multipart/alternative;",
    ] {
        assert!(message.contains(header), "{header} in {message}");
    }
    assert_eq!(headers(&message), headers(&formatted(&mail)), "the same headers if repeated");
    assert!(!format!("{mail:?}").contains("0197a2b4-5c6d-4e8f"), "Debug shows no token");
}

fn own(dir: &Path, language: &str, text: &str, html: &str) {
    let dir = dir.join(language);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(TEXT), text).unwrap();
    std::fs::write(dir.join(HTML), html).unwrap();
}

#[test]
fn a_deployment_can_add_its_own_language() {
    let dir = tempfile::tempdir().unwrap();
    own(dir.path(), "it", "{{ organization }}: {{ link }}", "<b>{{ organization }}</b> {{ link }}");
    let italian = load(|settings| {
        settings.language = "it".to_owned().try_into().unwrap();
        settings.template_dir = Some(dir.path().to_owned());
        settings.subject = Some("Invito a {{ organization }}".into());
    });
    let mail = render(&italian.unwrap(), "A & B", "Ana");
    assert_eq!(mail.subject, "Invito a A & B");
    assert_eq!(mail.text, format!("A & B: {LINK}"));
    assert!(mail.html.starts_with("<b>A &amp; B</b> "), "{}", mail.html);

    // With only one custom template, the other one is built in.
    own(dir.path(), "en", "own {{ link }}", "");
    std::fs::remove_file(dir.path().join("en").join(HTML)).unwrap();
    let english = load(|settings| settings.template_dir = Some(dir.path().to_owned()));
    let mail = render(&english.unwrap(), "Acme", "Ana");
    assert!(
        mail.text.starts_with("own") && mail.html.contains("“<strong>Acme</strong>”"),
        "{mail:?}"
    );
}

#[test]
fn an_invitation_uses_its_locale_if_there_are_templates() {
    let dir = tempfile::tempdir().unwrap();
    for language in ["pt", "pt-BR", "de"] {
        own(dir.path(), language, &format!("{language} {{{{ link }}}}"), "{{ link }}");
    }
    std::fs::write(dir.path().join("de").join(SUBJECT_FILE), "Einladung zu {{ organization }}")
        .unwrap();
    // Directories without both templates are ignored.
    std::fs::create_dir(dir.path().join("it")).unwrap();
    std::fs::create_dir(dir.path().join("assets.old")).unwrap();
    let templates = load(|settings| settings.template_dir = Some(dir.path().to_owned())).unwrap();
    for (locale, text, subject) in [
        ("pt-BR", "pt-BR ", "Você recebeu um convite para “Acme”"),
        ("pt-PT", "pt ", "Você recebeu um convite para “Acme”"),
        ("de-CH-1996", "de ", "Einladung zu Acme"),
        ("fr-CA", "Bonjour,", "Vous êtes invité à rejoindre « Acme »"),
        ("it", "Hello", "You are invited to “Acme”"),
        ("en-GB", "Hello", "You are invited to “Acme”"),
    ] {
        let locale: Locale = locale.parse().unwrap();
        let mail = render_in(&templates, "Acme", "", Some(&locale));
        assert!(mail.text.starts_with(text), "{locale}: {}", mail.text);
        assert_eq!(mail.subject, subject, "{locale}");
    }
    own(dir.path(), "it", "{{ link", "{{ link }}");
    let broken = load(|settings| settings.template_dir = Some(dir.path().to_owned()));
    refused(broken, &["it/invitation.txt"]);
}

#[track_caller]
fn refused(loaded: Result<Templates>, words: &[&str]) {
    let message = loaded.err().expect("must be rejected").message;
    for word in words {
        assert!(message.contains(word), "`{word}` is missing in: {message}");
    }
}

#[test]
fn invalid_templates_prevent_the_start() {
    refused(load(|settings| settings.subject = Some("{{ organisation }}".into())), &["subject"]);
    refused(load(|settings| settings.subject = Some("{{ link".into())), &["mail.subject"]);
    let language = |settings: &mut config::Mail| {
        settings.language = "it".to_owned().try_into().unwrap();
    };
    refused(load(language), &["mail.language", "it/invitation.txt"]);
    let dir = tempfile::tempdir().unwrap();
    own(dir.path(), "en", "{{ link }}", "{{ link }}\n{% if %}");
    let broken = load(|settings| settings.template_dir = Some(dir.path().to_owned()));
    refused(broken, &["en/invitation.html", "line 2"]);
    let away = load(|settings| settings.template_dir = Some("/nowhere".into()));
    refused(away, &["mail.template_dir"]);
}

#[test]
fn every_built_in_language_shows_all_values_and_the_role() {
    let templates = load(|_| ()).unwrap();
    for (language, role) in [
        (Language::En, "as member"),
        (Language::De, "Mitglied"),
        (Language::Fr, "membre"),
        (Language::Es, "miembro"),
        (Language::Pt, "membro"),
        (Language::Ja, "メンバー"),
        (Language::Zh, "成员"),
    ] {
        let tag: Locale = language.as_str().parse().unwrap();
        for inviter in ["Ana", ""] {
            let mail = render_in(&templates, "Acme", inviter, Some(&tag));
            for expected in ["Acme", inviter, role, "zoe@example.com", "2026-11-18 11:06 UTC"] {
                assert!(mail.text.contains(expected), "{tag}: {expected} in {}", mail.text);
                assert!(mail.html.contains(expected), "{tag}: {expected} in {}", mail.html);
            }
            assert!(mail.subject.contains("Acme") && mail.subject.contains(inviter), "{mail:?}");
            assert!(mail.html.contains(&format!("<html lang=\"{tag}\">")), "{}", mail.html);
            assert!(mail.text.lines().any(|line| line == LINK), "{tag}: {}", mail.text);
        }
    }
}

#[test]
fn names_cannot_close_the_quotation_marks_around_them() {
    let templates = load(|_| ()).unwrap();
    for language in Language::ALL {
        let tag: Locale = language.as_str().parse().unwrap();
        let plain = render_in(&templates, "xxx", "", Some(&tag));
        let marked = render_in(&templates, "x“”„‟«»「」x", "", Some(&tag));
        let marks = |text: &str| text.chars().filter(|c| "“”„‟«»「」".contains(*c)).count();
        assert_eq!(marks(&marked.text), marks(&plain.text), "{tag}: {}", marked.text);
    }
}

#[test]
fn mails_without_a_supported_locale_use_the_configured_language() {
    let language = |settings: &mut config::Mail| {
        settings.language = "ja".to_owned().try_into().unwrap();
    };
    let templates = load(language).unwrap();
    assert_eq!(render(&templates, "Acme", "").subject, "「Acme」への招待");
    let unknown: Locale = "nl".parse().unwrap();
    assert_eq!(render_in(&templates, "Acme", "", Some(&unknown)).subject, "「Acme」への招待");
}

#[test]
fn mails_show_the_brand() {
    let brand = |logo: &[u8]| Brand {
        name: "Acme & Co".to_owned(),
        accent: Some("#ff6600".parse().unwrap()),
        logo: Some(Logo::new(logo.to_vec()).unwrap()),
        imprint: Some("https://example.com/imprint".to_owned()),
    };
    let load = |brand: &Brand| Templates::load(&settings(|_| ()), brand).unwrap();
    let png = brand(b"\x89PNG\r\n\x1a\n");
    let mail = render(&load(&png), "Acme", "Ana");
    let accent = png.accent.unwrap().on_light().accent.to_string();
    for expected in [accent.as_str(), "src=\"cid:logo@guestlist\"", "alt=\"Acme &amp; Co\""] {
        assert!(mail.html.contains(expected), "{expected} in {}", mail.html);
    }
    assert!(
        mail.text.ends_with("Acme & Co\nImprint – https://example.com/imprint"),
        "{}",
        mail.text
    );
    let message = formatted(&mail);
    for part in [
        "multipart/alternative;",
        "multipart/related;",
        "Content-ID: <logo@guestlist>\r\n",
        "Content-Type: image/png\r\n",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }

    // Mail programs show no SVG, so the mail has the name instead of the logo.
    let mail = render(&load(&brand(b"<svg/>")), "Acme", "Ana");
    assert!(mail.logo.is_none() && mail.html.contains("<strong>Acme &amp; Co</strong>"));
    assert!(!formatted(&mail).contains("multipart/related"));
}
