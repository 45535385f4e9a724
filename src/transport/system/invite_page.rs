//! The page that an invite link opens, for deployments without a page of their own, and the page
//! to which issuers redirect the browser after a sign-in.
//!
//! The page is static. The token is in the fragment of the URL, which browsers do not send; the
//! script of the page sends it in the body of a call. So the token is in no log and in no
//! `Referer`, and loading the page does not use the invite.

use super::languages::{Texts, texts};
use super::source::{HTML, SCRIPT, STYLE, Source};

macro_rules! file {
    ($path:literal, $name:literal, $content_type:expr) => {
        Source {
            path: $path,
            content_type: $content_type,
            text: include_str!(concat!("invite_page/", $name)),
        }
    };
}

/// Issuers redirect the browser to `/sign-in`. The console also uses `connect.js` and `sign-in.js`.
pub(super) static FILES: [Source; 8] = [
    file!("/invite", "invite.html", HTML),
    file!("/invite.css", "invite.css", STYLE),
    file!("/invite.js", "invite.js", SCRIPT),
    file!("/connect.js", "connect.js", SCRIPT),
    file!("/sign-in", "sign-in.html", HTML),
    file!("/sign-in.js", "sign-in.js", SCRIPT),
    file!("/sign-in-return.js", "sign-in-return.js", SCRIPT),
    file!("/text.js", "text.js", SCRIPT),
];

/// The path of the module with the texts in the language of the request.
pub(super) const TEXTS_PATH: &str = "/texts.js";

pub(super) static TEXTS: Texts = texts!("invite_page/languages");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::languages::tests::{assert_languages_are_complete, flat};
    use super::*;

    #[test]
    fn the_page_has_no_inline_code_and_loads_its_own_files() {
        for file in FILES.iter().filter(|file| file.content_type == HTML) {
            for word in ["<style", " style=", " onclick", " onsubmit", " onload", "javascript:"] {
                assert!(!file.text.contains(word), "{} {word}", file.path);
            }
        }
        let page = FILES[0].text;
        assert_eq!(page.matches("<script").count(), 1);
        assert!(
            page.contains("<script src=\"invite.js\" type=\"module\""),
            "the URL must be relative: the page may be below a path"
        );
        assert!(page.contains("href=\"invite.css\""));
    }

    #[test]
    fn every_language_has_all_texts_and_values() {
        assert_languages_are_complete(&TEXTS);
    }

    #[test]
    fn the_pages_use_every_text_and_no_unknown_text() {
        let english = flat(TEXTS[0].1);
        let sources: Vec<_> =
            FILES.iter().filter(|file| file.path != "/text.js").map(|file| file.text).collect();
        let quoted: BTreeSet<_> =
            sources.iter().flat_map(|source| source.split('"').skip(1).step_by(2)).collect();
        for name in english.keys() {
            let name = name.split('.').next().unwrap();
            let is_role = name.starts_with("role-");
            assert!(is_role || quoted.contains(name), "no page has {name}");
        }
        for source in sources {
            for rest in source.split("data-text=\"").chain(source.split("text(\"")).skip(1) {
                let name = rest.split('"').next().unwrap();
                let is_name = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
                let known = ["", ".other"]
                    .iter()
                    .any(|form| english.contains_key(&format!("{name}{form}")));
                assert!(!is_name || known, "no language has {name}");
            }
        }
    }
}
