//! The embedded files of pages.

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const STYLE: &str = "text/css; charset=utf-8";
pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";

/// An embedded file.
pub(super) struct Source {
    pub path: &'static str,
    pub content_type: &'static str,
    pub text: &'static str,
}
