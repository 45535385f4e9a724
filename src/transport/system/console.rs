//! The console: pages for people, at `/console`.
//!
//! The files are static. Their calls are Connect JSON to this server, with the credential of the
//! person, so the console can do what the credential can.

use std::io::Write;
use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::invite_page::HEADERS;
use super::response_with;
use crate::transport::Response;

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

/// A file below `/console`, with its type.
macro_rules! file {
    ($name:literal, $content_type:expr) => {
        File {
            path: concat!("/console/", $name),
            content_type: $content_type,
            text: include_str!(concat!("console/", $name)),
        }
    };
}

const PAGE: File =
    File { path: "/console", content_type: HTML, text: include_str!("console/console.html") };

static FILES: [File; 24] = [
    PAGE,
    file!("console.css", STYLE),
    file!("addresses.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("main.js", SCRIPT),
    file!("navigation.js", SCRIPT),
    file!("people.js", SCRIPT),
    file!("qr.js", SCRIPT),
    file!("roles.js", SCRIPT),
    file!("session.js", SCRIPT),
    file!("text.js", SCRIPT),
    file!("text/de.js", SCRIPT),
    file!("text/en.js", SCRIPT),
    file!("ui.js", SCRIPT),
    file!("views/activity.js", SCRIPT),
    file!("views/home.js", SCRIPT),
    file!("views/invitations.js", SCRIPT),
    file!("views/links.js", SCRIPT),
    file!("views/members.js", SCRIPT),
    file!("views/operator.js", SCRIPT),
    file!("views/settings.js", SCRIPT),
    file!("views/sign_in.js", SCRIPT),
    file!("views/webhooks.js", SCRIPT),
];

/// The compressed files, in the order of [`FILES`]; empty if one could not be compressed.
static COMPRESSED: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    let files: std::io::Result<_> = FILES.iter().map(|file| compress(file.text)).collect();
    files.unwrap_or_else(|error| {
        tracing::error!(%error, "compressing the console failed; it is served uncompressed");
        Vec::new()
    })
});

fn compress(text: &str) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes())?;
    encoder.finish().map(Bytes::from)
}

pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|file| file.path)
}

pub(super) fn has(path: &str) -> bool {
    paths().any(|known| known == path)
}

/// A file of the console; no cache may store it, so that a new version is seen at once.
pub(super) fn respond(path: &str, request: &HeaderMap) -> Response {
    let index = FILES.iter().position(|file| file.path == path).unwrap_or(0);
    let file = &FILES[index];
    let compressed = COMPRESSED.get(index).filter(|_| accepts_gzip(request)).cloned();
    let is_compressed = compressed.is_some();
    let body = compressed.unwrap_or_else(|| Bytes::from_static(file.text.as_bytes()));
    let content_type = HeaderValue::from_static(file.content_type);
    let mut response = response_with(StatusCode::OK, content_type, body);
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_compressed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Whether the client lists gzip, and not with the weight 0.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = values.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))])
    }

    #[test]
    fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
        for word in ["<style", " style=", " onclick", " onsubmit", " onload", "javascript:"] {
            assert!(!PAGE.text.contains(word), "{word}");
        }
        for file in &FILES {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "localStorage",
                "sessionStorage",
                "document.cookie",
            ] {
                assert!(!file.text.contains(word), "{}: {word}", file.path);
            }
            let addresses = file.text.match_indices("//").filter(|(at, _)| {
                file.text[..*at].ends_with("http:") || file.text[..*at].ends_with("https:")
            });
            for (at, _) in addresses {
                let known = ["//www.w3.org/", "//example.com/"];
                let rest = &file.text[at..];
                assert!(known.iter().any(|known| rest.starts_with(known)), "{}", file.path);
            }
        }
    }

    #[test]
    fn the_page_names_every_module_that_all_languages_need() {
        for file in FILES.iter().filter(|file| file.content_type == SCRIPT) {
            let name = file.path.trim_start_matches('/');
            if !name.contains("/text/") {
                assert!(PAGE.text.contains(&format!("\"{name}\"")), "{name}");
            }
        }
    }

    #[test]
    fn every_file_has_the_strict_headers() {
        for file in &FILES {
            let response = respond(file.path, &HeaderMap::new());
            for (name, value) in HEADERS {
                assert_eq!(response.headers()[&name], value, "{}", file.path);
            }
            assert_eq!(response.headers()[header::CONTENT_TYPE], file.content_type);
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store", "{}", file.path);
            assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
        }
    }

    #[test]
    fn files_are_compressed_for_clients_that_accept_it() {
        for (accepted, compressed) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("br", false),
        ] {
            let response = respond("/console", &accepting(accepted));
            let coded = response.headers().contains_key(header::CONTENT_ENCODING);
            assert_eq!(coded, compressed, "{accepted}");
        }
    }

    #[test]
    fn one_visitor_loads_at_most_80_kib() {
        let sizes = FILES.iter().zip(COMPRESSED.iter());
        let (texts, others): (Vec<_>, Vec<_>) =
            sizes.partition(|(file, _)| file.path.contains("/text/"));
        let largest = texts.iter().map(|(_, bytes)| bytes.len()).max().unwrap();
        let total = largest + others.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        assert!(total <= 80 * 1024, "{total} bytes");
    }
}
