//! URLs that contain an invite's token.

use super::{Invalid, InviteToken};

/// The placeholder in a template.
const TOKEN: &str = "{token}";

/// A URL template with a placeholder for the token. It comes from the settings and never
/// from a request: otherwise a caller could have mails link to a site of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteLinks {
    before: String,
    after: String,
}

impl InviteLinks {
    /// # Errors
    /// If `template` does not contain `{token}` exactly once, or contains other braces.
    pub fn new(template: &str) -> Result<Self, Invalid> {
        const WRONG: Invalid =
            Invalid("must contain {token} once, and nothing else in braces but {public_url}");
        let (before, after) = template.split_once(TOKEN).ok_or(WRONG)?;
        if [before, after].iter().any(|part| part.contains(['{', '}'])) {
            return Err(WRONG);
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// The URL for one invite. It contains the token, so it is as secret as the token.
    pub fn link(&self, token: &InviteToken) -> String {
        format!("{}{}{}", self.before, token.expose(), self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_its_template_with_the_token() {
        let token = InviteToken::generate().unwrap();
        let links = InviteLinks::new("https://acme.example/join?t={token}&x=1").unwrap();
        let link = links.link(&token);
        assert_eq!(link, format!("https://acme.example/join?t={}&x=1", token.expose()));
    }

    #[test]
    fn a_template_must_contain_the_token_exactly_once() {
        for wrong in
            ["", "https://a.example/", "{token}{token}", "{token}{id}", "{{token}}", "}{token}"]
        {
            assert!(InviteLinks::new(wrong).is_err(), "{wrong}");
        }
    }
}
