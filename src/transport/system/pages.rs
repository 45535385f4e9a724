//! The files of the pages for people: the invitation, signing in, and the console.
//!
//! Files are embedded in the program. The colours, the name and the logo of the deployment and the
//! texts in the language of the request are added here.

use std::collections::HashMap;
use std::io::Write;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::languages::{Texts, accepted};
use super::source::{HTML, SCRIPT, STYLE, Source};
use super::{console, invite_page, response_with};
use crate::domain::{Brand, Color, Language, Shades};
use crate::transport::Response;

/// The path of the deployment's logo.
const LOGO: &str = "/logo";

/// The placeholder for the name of the service in HTML files.
const NAME: &str = "{name}";

/// The content security policy: no inline scripts or styles, nothing from other origins, and not in
/// a frame. The icon is a data URL, which saves a request.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
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

/// A file as it is served.
struct File {
    content_type: &'static str,
    body: Bytes,
    /// `None`: it could not be compressed.
    compressed: OnceLock<Option<Bytes>>,
}

/// The pages of a deployment.
pub struct Pages {
    console: bool,
    language: Language,
    files: HashMap<&'static str, File>,
    texts: HashMap<(&'static str, Language), File>,
}

/// The paths of all pages and their files.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    let sources = invite_page::FILES.iter().chain(&console::FILES);
    sources.map(|source| source.path).chain([invite_page::TEXTS_PATH, console::TEXTS_PATH, LOGO])
}

impl Pages {
    /// The pages with this brand. `language` is used if the pages exist in no language of the
    /// browser; without `console`, the paths of the console do not exist.
    pub fn new(brand: &Brand, language: Language, console: bool) -> Self {
        let name = html_escaped(&brand.name);
        let colors = brand.accent.map(stylesheet).unwrap_or_default();
        let served = |source: &Source| {
            let body = match source.content_type {
                HTML => source.text.replace(NAME, &name).into(),
                STYLE => [source.text, &colors].concat().into(),
                _ => Bytes::from_static(source.text.as_bytes()),
            };
            (source.path, File::new(source.content_type, body))
        };
        let mut files: HashMap<_, _> =
            invite_page::FILES.iter().chain(&console::FILES).map(served).collect();
        if let Some(logo) = &brand.logo {
            files.insert(LOGO, File::new(logo.media_type, Bytes::from_owner(logo.bytes.clone())));
        }
        let mut texts = HashMap::new();
        let shown = shown(brand);
        for (path, all) in
            [(invite_page::TEXTS_PATH, &invite_page::TEXTS), (console::TEXTS_PATH, &console::TEXTS)]
        {
            texts.extend(modules(all, &shown).map(|(language, file)| ((path, language), file)));
        }
        Self { console, language, files, texts }
    }

    /// The response with a file. No cache may store it, so that browsers show a new version at
    /// once. `None`: there is no such file.
    pub(super) fn respond(&self, path: &str, request: &HeaderMap) -> Option<Response> {
        if console::has(path) && !self.console {
            return None;
        }
        let file = match self.files.get(path) {
            Some(file) => file,
            None => {
                let language = accepted(request, self.language);
                let mut texts = self.texts.iter();
                texts.find(|((known, tag), _)| *known == path && *tag == language)?.1
            }
        };
        Some(file.respond(accepts_gzip(request)))
    }
}

impl File {
    fn new(content_type: &'static str, body: Bytes) -> Self {
        Self { content_type, body, compressed: OnceLock::new() }
    }

    fn respond(&self, compressed: bool) -> Response {
        let is_text = self.content_type.starts_with("text/");
        let compressed = (compressed && is_text).then(|| self.compressed()).flatten();
        let is_compressed = compressed.is_some();
        let body = compressed.unwrap_or_else(|| self.body.clone());
        let content_type = HeaderValue::from_static(self.content_type);
        let mut response = response_with(StatusCode::OK, content_type, body);
        let headers = response.headers_mut();
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding, accept-language"));
        if is_compressed {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    fn compressed(&self) -> Option<Bytes> {
        let compressed = self.compressed.get_or_init(|| match compress(&self.body) {
            Ok(compressed) => Some(compressed),
            Err(error) => {
                tracing::error!(%error, "compressing a page failed; it is served uncompressed");
                None
            }
        });
        compressed.clone()
    }
}

fn compress(text: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text)?;
    encoder.finish().map(Bytes::from)
}

/// A module for each language, with the language, its texts and the brand.
fn modules<'a>(texts: &'a Texts, brand: &'a str) -> impl Iterator<Item = (Language, File)> + 'a {
    texts.iter().map(move |(language, texts)| {
        let module = format!(
            "export const language = \"{}\";\nexport const brand = {brand};\n\
             export const texts = {texts};\n",
            language.as_str()
        );
        (*language, File::new(SCRIPT, module.into()))
    })
}

/// The part of the brand that scripts show, as JSON.
fn shown(brand: &Brand) -> String {
    let logo = brand.logo.is_some();
    serde_json::json!({ "name": brand.name, "logo": logo, "imprint": brand.imprint }).to_string()
}

/// Rules with the colours of the deployment. They follow the rules of the page and override them.
fn stylesheet(accent: Color) -> String {
    let rule = |shades: Shades| {
        let Shades { accent, on_accent, tint } = shades;
        format!(":root {{ --accent: {accent}; --on-accent: {on_accent}; --tint: {tint}; }}")
    };
    let (light, dark) = (rule(accent.on_light()), rule(accent.on_dark()));
    format!("\n{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n")
}

fn html_escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Whether the client accepts gzip: it lists gzip with a weight other than 0.
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
mod tests;
