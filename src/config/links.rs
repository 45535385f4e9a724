//! Addresses that people open: they come from the settings alone, never from a
//! request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;

use super::Config;
use super::problems::Problems;
use crate::domain::{Invalid, InviteLinks};

const PUBLIC_URL: &str = "{public_url}";

impl Config {
    /// What links to invites look like. Where there is no `public_url`, they lead
    /// to `served`, the address that is served on this machine.
    ///
    /// # Errors
    /// If the template is none; [`Config::load`] has refused such settings.
    pub fn invite_links(&self, served: SocketAddr) -> Result<InviteLinks, Invalid> {
        let base = match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("{}://{}", self.tls.scheme(), reachable(served)),
        };
        InviteLinks::new(&self.invite_link_template.replace(PUBLIC_URL, &base))
    }
}

/// The same address, as somebody on this machine can call it: who listens on every
/// interface is reached on the loopback one.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// What a single setting's type cannot say.
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
            "public_url: is missing; the links in mails lead there, as in \
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

fn web_address(text: &str, without: &[&str]) -> Result<(), String> {
    let url = Url::parse(text).map_err(|problem| format!("is no web address ({problem})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name".into());
    }
    if let Some(part) = without.iter().find(|part| text.contains(**part)) {
        return Err(format!("must not contain {part}"));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("must not contain spaces".into());
    }
    Ok(())
}
