//! The URLs in mails. They come from the settings and never from a request, so that a caller
//! cannot have mails link to another site.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;

use super::Config;
use super::problems::Problems;
use crate::domain::{Invalid, InviteLinks};

const PUBLIC_URL: &str = "{public_url}";

impl Config {
    /// The template of links to invites. Without `public_url` they use `served`, the address
    /// of the listener.
    ///
    /// # Errors
    /// If the template is invalid; [`Config::load`] has already rejected such settings.
    pub fn invite_links(&self, served: SocketAddr) -> Result<InviteLinks, Invalid> {
        InviteLinks::new(&self.invite_link_template.replace(PUBLIC_URL, &self.public_base(served)))
    }

    /// The URL of the service for people, without a `/` at its end. Without `public_url` it is
    /// `served`, the address of the listener.
    pub fn public_base(&self, served: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("{}://{}", self.tls.scheme(), reachable(served)),
        }
    }
}

/// The address for clients on this machine: the loopback address if the listener is bound to
/// every interface.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Checks the settings that depend on each other.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    let template = &config.invite_link_template;
    match &config.public_url {
        Some(url) => {
            if let Err(problem) = web_address(url, &["?", "#"]) {
                problems.add(format!(
                    "public_url: {problem}; write it like https://invites.example.com"
                ));
            }
        }
        None if config.mail.host.is_some() && template.contains(PUBLIC_URL) => problems.add(
            "public_url: is missing; the links in mails need it; set it like \
             https://invites.example.com",
        ),
        None => {}
    }
    let filled = template.replace(PUBLIC_URL, "https://public.example");
    let checked = InviteLinks::new(&filled).map_err(|invalid| invalid.0.to_owned());
    if let Err(problem) = checked.and_then(|_| web_address(&filled, &[])) {
        problems.add(format!("invite_link_template: {problem}"));
    }
}

pub(super) fn web_address(text: &str, without: &[&str]) -> Result<(), String> {
    let url = Url::parse(text).map_err(|problem| format!("is not a URL ({problem})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name".into());
    }
    if let Some(part) = without.iter().find(|part| text.contains(**part)) {
        return Err(format!("must not contain {part}"));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("must not contain spaces".into());
    }
    Ok(())
}
