use super::*;
use crate::config::Config;

const CONSOLE: &str = "https://guests.example.com/console";

fn load(change: impl FnOnce(&mut config::Mail)) -> Result<NoticeTemplates> {
    let mut settings = Config::reference().mail;
    change(&mut settings);
    NoticeTemplates::load(&settings, &Brand::built_in())
}

fn in_language(tag: &str) -> NoticeTemplates {
    load(|settings| settings.language = tag.to_owned().try_into().unwrap()).unwrap()
}

fn render(templates: &NoticeTemplates, organization: &str, change: Change<'_>) -> Mail {
    let now = Timestamp::from_micros(1_794_000_000_000_000);
    let notice = Notice {
        id: "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b".parse().unwrap(),
        version: 7,
        to: &"zoe@example.com".parse().unwrap(),
        organization: &organization.parse().unwrap(),
        change,
        console: Some(CONSOLE),
    };
    templates.render(&notice, now).unwrap()
}

/// The text of the HTML version.
fn unescaped(html: &str) -> String {
    html.replace("&#x2f;", "/").replace("&quot;", "\"").replace("&amp;", "&")
}

#[test]
fn every_language_has_all_texts_and_values() {
    let english = parse(built_in(Language::En)).unwrap();
    for language in Language::ALL {
        let tag = language.as_str();
        let texts = parse(built_in(language)).unwrap_or_else(|problem| panic!("{tag}: {problem}"));
        assert!(texts.keys().eq(english.keys()), "{tag}");
        for (name, text) in &texts {
            assert_eq!(values(text), values(&english[name]), "{tag} {name}");
        }
    }
}

#[test]
fn every_language_renders_every_notice() {
    let domain: EmailDomain = "acme.com".parse().unwrap();
    let again = Some(Timestamp::from_micros(1_795_000_000_000_000));
    let denied = Change::RequestDenied { reason: "no seat", ask_again_at: again };
    for tag in Language::ALL.map(Language::as_str) {
        let templates = in_language(tag);
        for (change, words, is_for_admins) in [
            (Change::RequestsWaiting(1), vec!["Acme", "1"], true),
            (Change::RequestsWaiting(12), vec!["Acme", "12"], true),
            (Change::RequestApproved, vec!["Acme"], false),
            (denied, vec!["Acme", "no seat", "2026-11-18 11:06 UTC"], false),
            (Change::DomainLapsed(&domain), vec!["Acme", "acme. com"], true),
        ] {
            let mail = render(&templates, "Acme", change);
            for word in words {
                assert!(mail.text.contains(word), "{tag}: {word} in {}", mail.text);
                assert!(mail.html.contains(word), "{tag}: {word} in {}", mail.html);
            }
            assert!(mail.subject.contains("Acme"), "{tag}: {}", mail.subject);
            assert!(mail.html.contains(&format!("lang=\"{tag}\"")), "{}", mail.html);
            assert_eq!(mail.text.lines().any(|line| line == CONSOLE), is_for_admins, "{tag}");
            let links = mail.html.matches("href=").count();
            assert_eq!(links, usize::from(is_for_admins), "{}", mail.html);
            for part in [&mail.subject, &mail.text, &mail.html] {
                assert!(!part.contains("{organ") && !part.contains("{{"), "{tag}: {part}");
            }
        }
    }
}

#[test]
fn the_number_of_requests_selects_singular_or_plural() {
    for (tag, one, three) in [
        ("en", "1 person asks", "3 people ask"),
        ("de", "1 Person bittet", "3 Personen bitten"),
        ("fr", "1 personne demande", "3 personnes demandent"),
        ("es", "1 persona solicita", "3 personas solicitan"),
        ("pt-BR", "1 pessoa pede", "3 pessoas pedem"),
        ("ja", "1人が", "3人が"),
        ("zh-Hant-TW", "1 人", "3 人"),
    ] {
        let templates = in_language(tag);
        for (count, expected) in [(1, one), (3, three)] {
            let mail = render(&templates, "Acme", Change::RequestsWaiting(count));
            assert!(mail.subject.starts_with(expected), "{tag}: {}", mail.subject);
            assert!(mail.text.contains(expected), "{tag}: {}", mail.text);
        }
    }
}

#[test]
fn without_a_console_there_is_no_link() {
    let templates = load(|_| ()).unwrap();
    let notice = Notice {
        id: "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b".parse().unwrap(),
        version: 0,
        to: &"zoe@example.com".parse().unwrap(),
        organization: &"Acme".parse().unwrap(),
        change: Change::RequestsWaiting(1),
        console: None,
    };
    let mail = templates.render(&notice, Timestamp::from_micros(0)).unwrap();
    assert!(!mail.text.contains("here"), "{}", mail.text);
    assert!(!mail.html.contains("href="), "{}", mail.html);
    assert_eq!(mail.id, "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b.0");
}

#[test]
fn names_and_reasons_never_become_links_lines_or_html() {
    let templates = load(|_| ()).unwrap();
    let given = "Pay\r\n\r\nat https://evil.example” <b> {count} me@evil.example";
    let shown = "Pay at https: //evil. example\" <b> {count} me@evil. example";
    let denied = Change::RequestDenied { reason: given, ask_again_at: None };
    let mail = render(&templates, "https://evil.example ”", denied);
    assert!(mail.text.contains(&format!("The reason: “{shown}”")), "{}", mail.text);
    assert!(mail.text.contains("“https: //evil. example \"”"), "{}", mail.text);
    assert_eq!(mail.subject, "Your request to join “https: //evil. example \"” was denied");
    assert!(!mail.html.contains("<b>") && !mail.html.contains("href="), "{}", mail.html);
    let html = unescaped(&mail.html).replace("&lt;", "<").replace("&gt;", ">");
    assert!(html.contains(shown), "{html}");
    assert!(!html.contains("https://"), "{html}");

    let long = "x".repeat(10_000);
    let denied = Change::RequestDenied { reason: &long, ask_again_at: None };
    let mail = render(&templates, &"y".repeat(256), denied);
    assert!(mail.text.len() < 1000, "{}", mail.text);
    assert!(mail.subject.chars().count() <= MAX_SUBJECT_CHARS, "{}", mail.subject);
}

#[test]
fn a_deployment_can_replace_the_texts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("it");
    std::fs::create_dir(&path).unwrap();
    let load = || {
        load(|settings| {
            settings.language = "it-CH".to_owned().try_into().unwrap();
            settings.template_dir = Some(directory.path().to_owned());
        })
    };
    let mail = render(&load().unwrap(), "Acme", Change::RequestApproved);
    assert!(mail.text.starts_with("Hello"), "no Italian texts, so English: {}", mail.text);

    let mut texts = parse(built_in(Language::En)).unwrap();
    texts.insert("approved".to_owned(), "Benvenuto in {organization}".to_owned());
    let write = |texts: &Texts| {
        std::fs::write(path.join(FILE), serde_json::to_string(texts).unwrap()).unwrap();
    };
    write(&texts);
    let mail = render(&load().unwrap(), "Acme", Change::RequestApproved);
    assert!(mail.text.contains("Benvenuto in Acme"), "{}", mail.text);
    assert!(mail.html.contains("lang=\"it\""), "{}", mail.html);

    let refused = |word: &str| {
        let message = load().err().expect("must be rejected").message;
        assert!(message.contains("it/notices.json") && message.contains(word), "{message}");
    };
    texts.insert("approved".to_owned(), "Benvenuto in {organisation}".to_owned());
    write(&texts);
    refused("{organisation}");
    texts.remove("approved");
    write(&texts);
    refused("`approved` is missing");
    std::fs::write(path.join(FILE), "{").unwrap();
    refused("line 1");
}
