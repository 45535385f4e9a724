use http_body_util::BodyExt;

use super::*;
use crate::domain::Logo;

fn built_in() -> Pages {
    Pages::new(&Brand::built_in(), Language::En, true)
}

fn accepting(name: HeaderName, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
}

fn text(pages: &Pages, path: &str, headers: &HeaderMap) -> String {
    let body = pages.respond(path, headers).unwrap().into_body();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let body = runtime.block_on(body.collect()).unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

fn acme() -> Brand {
    let logo = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_owned().into_bytes();
    Brand {
        name: "Acme & <b>Söhne</b>".to_owned(),
        accent: Some("#ff6600".parse().unwrap()),
        logo: Some(Logo::new(logo).unwrap()),
        imprint: Some("https://example.com/imprint".to_owned()),
    }
}

#[test]
fn every_file_has_the_strict_headers() {
    for path in paths() {
        let response = Pages::new(&acme(), Language::En, true).respond(path, &HeaderMap::new());
        let response = response.unwrap();
        for (name, value) in HEADERS {
            assert_eq!(response.headers()[&name], value, "{path}");
        }
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store", "{path}");
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
    }
    assert!(!POLICY.contains("unsafe"), "{POLICY}");
}

#[test]
fn files_are_compressed_for_clients_that_accept_it() {
    for (accepted, compressed) in [
        ("gzip, deflate, br", true),
        ("br;q=1.0, GZIP;q=0.5", true),
        ("gzip;q=0", false),
        ("br", false),
    ] {
        for (path, is_text) in [("/console", true), ("/texts.js", true), (LOGO, false)] {
            let headers = accepting(header::ACCEPT_ENCODING, accepted);
            let response = Pages::new(&acme(), Language::En, true).respond(path, &headers).unwrap();
            let coded = response.headers().contains_key(header::CONTENT_ENCODING);
            assert_eq!(coded, compressed && is_text, "{accepted} {path}");
        }
    }
}

#[test]
fn texts_are_in_the_language_of_the_request_or_of_the_setting() {
    let pages = Pages::new(&Brand::built_in(), Language::Fr, true);
    for path in [invite_page::TEXTS_PATH, console::TEXTS_PATH] {
        for (accepted, language) in [("es-MX", "es"), ("nl", "fr"), ("en", "en")] {
            let headers = accepting(header::ACCEPT_LANGUAGE, accepted);
            let module = text(&pages, path, &headers);
            let first = format!("export const language = \"{language}\";\nexport const");
            assert!(module.starts_with(&first), "{path}: {module}");
        }
    }
}

#[test]
fn the_brand_is_on_every_page() {
    let pages = Pages::new(&acme(), Language::En, true);
    let none = HeaderMap::new();
    for path in ["/console", "/sign-in", "/invite"] {
        let page = text(&pages, path, &none);
        assert!(page.contains("Acme &amp; &lt;b&gt;Söhne&lt;/b&gt;"), "{page}");
        assert!(!page.contains(NAME), "{page}");
    }
    for path in ["/invite.css", "/console/console.css"] {
        let style = text(&pages, path, &none);
        let of = |shades: Shades| format!("--accent: {};", shades.accent);
        let accent = acme().accent.unwrap();
        assert!(style.contains(&of(accent.on_light())), "{style}");
        assert!(style.contains(&of(accent.on_dark())), "{style}");
    }
    for path in [invite_page::TEXTS_PATH, console::TEXTS_PATH] {
        let module = text(&pages, path, &none);
        let brand =
            r#"{"imprint":"https://example.com/imprint","logo":true,"name":"Acme & <b>Söhne</b>"}"#;
        assert!(module.contains(brand), "{module}");
    }
    let logo = pages.respond(LOGO, &none).unwrap();
    assert_eq!(logo.headers()[header::CONTENT_TYPE], "image/svg+xml");
    assert!(built_in().respond(LOGO, &none).is_none());
}

#[test]
fn one_visitor_loads_at_most_80_kib_of_the_console() {
    let pages = built_in();
    let size = |file: &File| file.compressed().unwrap().len();
    let shared = ["/connect.js", "/sign-in.js"];
    let files = pages.files.iter().filter(|(path, _)| console::has(path) || shared.contains(path));
    let files: usize = files.map(|(_, file)| size(file)).sum();
    let texts = pages.texts.iter().filter(|((path, _), _)| *path == console::TEXTS_PATH);
    let largest = texts.map(|(_, file)| size(file)).max().unwrap();
    let total = files + largest;
    assert!(total <= 80 * 1024, "{total} bytes");
}
