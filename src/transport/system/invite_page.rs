//! The page that an invite link opens, for deployments without a page of their own.
//!
//! The page is static. The token is in the fragment of the URL, which browsers do not send; the
//! script of the page sends it in the body of a call. So the token is in no log and in no
//! `Referer`, and loading the page does not use the invite.

mod languages;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::response_with;
use crate::transport::Response;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The texts of the pages, in the language of the request.
const TEXTS: &str = "/texts.js";

/// Path, content type and text of each file. `/sign-in` is where issuers send the browser to.
const FILES: [(&str, &str, &str); 7] = [
    ("/invite", HTML, include_str!("invite_page/invite.html")),
    ("/invite.js", SCRIPT, include_str!("invite_page/invite.js")),
    ("/invite.css", STYLE, include_str!("invite_page/invite.css")),
    ("/sign-in", HTML, include_str!("invite_page/sign-in.html")),
    ("/sign-in.js", SCRIPT, include_str!("invite_page/sign-in.js")),
    ("/sign-in-return.js", SCRIPT, include_str!("invite_page/sign-in-return.js")),
    ("/text.js", SCRIPT, include_str!("invite_page/text.js")),
];

/// The paths of the pages and their files.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    FILES.into_iter().map(|(path, ..)| path).chain([TEXTS])
}

/// Nothing inline, nothing from other origins, not in a frame. The icon is a data URL, which saves
/// a request.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'";

pub(super) const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// A file of the page; no cache may store it. `None`: there is no such file.
pub(super) fn respond(path: &str, headers: &HeaderMap) -> Option<Response> {
    let (content_type, text) = match FILES.into_iter().find(|(known, ..)| *known == path) {
        Some((_, content_type, text)) => (content_type, Bytes::from_static(text.as_bytes())),
        None if path == TEXTS => (SCRIPT, languages::module(headers).into()),
        None => return None,
    };
    let content_type = HeaderValue::from_static(content_type);
    let mut response = response_with(StatusCode::OK, content_type, text);
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_nothing_inline_and_loads_its_own_files() {
        for (path, content_type, text) in FILES {
            assert!(
                content_type != HTML || !text.contains("<style") && !text.contains("style="),
                "{path}"
            );
        }
        let page = include_str!("invite_page/invite.html");
        for word in ["<style", " style=", " onclick", " onsubmit", " onload", "javascript:"] {
            assert!(!page.contains(word), "{word}");
        }
        assert_eq!(page.matches("<script").count(), 1);
        assert!(
            page.contains("<script src=\"invite.js\" type=\"module\""),
            "relative: the page may be below a path"
        );
        assert!(page.contains("href=\"invite.css\""));
    }

    #[test]
    fn every_file_has_the_strict_headers() {
        for path in paths() {
            let response = respond(path, &HeaderMap::new()).unwrap();
            for (name, value) in HEADERS {
                assert_eq!(response.headers()[&name], value, "{path}");
            }
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store", "{path}");
        }
        assert!(!POLICY.contains("unsafe"), "{POLICY}");
    }
}
