//! The console: pages for people, at `/console`.
//!
//! The files are static. Their scripts call this server with Connect JSON and the credential of the
//! person, so the console can do exactly what the credential permits.

use super::languages::{Texts, texts};
use super::source::{HTML, SCRIPT, STYLE, Source};

/// A file below `/console`, with its type.
macro_rules! file {
    ($name:literal, $content_type:expr) => {
        Source {
            path: concat!("/console/", $name),
            content_type: $content_type,
            text: include_str!(concat!("console/", $name)),
        }
    };
}

const PAGE: Source =
    Source { path: "/console", content_type: HTML, text: include_str!("console/console.html") };

pub(super) static FILES: [Source; 26] = [
    PAGE,
    file!("console.css", STYLE),
    file!("addresses.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("batch.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("drafts.js", SCRIPT),
    file!("main.js", SCRIPT),
    file!("navigation.js", SCRIPT),
    file!("people.js", SCRIPT),
    file!("qr.js", SCRIPT),
    file!("roles.js", SCRIPT),
    file!("session.js", SCRIPT),
    file!("text.js", SCRIPT),
    file!("ui.js", SCRIPT),
    file!("views/activity.js", SCRIPT),
    file!("views/domains.js", SCRIPT),
    file!("views/home.js", SCRIPT),
    file!("views/invitations.js", SCRIPT),
    file!("views/links.js", SCRIPT),
    file!("views/members.js", SCRIPT),
    file!("views/operator.js", SCRIPT),
    file!("views/requests.js", SCRIPT),
    file!("views/settings.js", SCRIPT),
    file!("views/sign_in.js", SCRIPT),
    file!("views/webhooks.js", SCRIPT),
];

/// The path of the module with the texts in the language of the request.
pub(super) const TEXTS_PATH: &str = "/console/texts.js";

pub(super) static TEXTS: Texts = texts!("console/languages");

pub(super) fn has(path: &str) -> bool {
    path == TEXTS_PATH || FILES.iter().any(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::super::languages::tests::assert_languages_are_complete;
    use super::*;

    #[test]
    fn files_have_no_inline_code_and_no_external_urls() {
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
    fn the_page_names_every_module() {
        let modules = FILES.iter().filter(|file| file.content_type == SCRIPT);
        for path in modules.map(|file| file.path).chain([TEXTS_PATH]) {
            let name = path.trim_start_matches('/');
            assert!(PAGE.text.contains(&format!("\"{name}\"")), "{name}");
        }
    }

    #[test]
    fn every_language_has_all_texts_and_values() {
        assert_languages_are_complete(&TEXTS);
    }
}
