//! Renders mails from the built-in templates or from those of the deployment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};

use super::Mail;
use super::look;
use super::phrases::{Insert, Phrases};
use crate::config;
use crate::domain::{
    Brand, EmailAddress, InviteId, Language, Locale, OrganizationName, Role, Timestamp,
    is_unfit_for_names,
};
use crate::error::{Error, Kind, Result};

const TEXT: &str = "invitation.txt";
const HTML: &str = "invitation.html";
const SUBJECT: &str = "subject";
/// A file with the subject of one language, instead of the setting `mail.subject`.
const SUBJECT_FILE: &str = "subject.txt";

/// The longest name of a person or organization in a mail; longer ones are cut, so that a
/// name cannot contain a message of its own.
pub(super) const MAX_NAME_CHARS: usize = 100;
pub(super) const MAX_SUBJECT_CHARS: usize = 200;

/// The templates of all languages.
pub struct Templates {
    brand: Brand,
    /// The templates of the language in the setting `mail.language`.
    default: Templated,
    /// Those that are built in, and those of the directories whose names are language tags.
    others: BTreeMap<Locale, Templated>,
}

/// The templates of one language.
struct Templated {
    tag: String,
    /// The phrases of the language, or those of English if the language is not built in.
    phrases: Phrases,
    environment: Environment<'static>,
}

/// The values for the templates.
pub struct Invitation<'a> {
    pub id: InviteId,
    /// The version of the invitation. If it is sent again, the version distinguishes the mails.
    pub version: i64,
    /// 0: the invitation itself; 1 or more: a reminder.
    pub reminder: u32,
    /// The recipient.
    pub email: &'a EmailAddress,
    pub organization: &'a OrganizationName,
    /// The inviter's name; may be empty.
    pub inviter: &'a str,
    pub role: Role,
    /// The URL with the token.
    pub link: &'a str,
    pub expires_at: Option<Timestamp>,
    /// The language; `None`: the setting `mail.language`.
    pub locale: Option<&'a Locale>,
}

impl Templates {
    /// Reads the templates and renders each with sample values, so that invalid ones are found at
    /// the start: those of the configured language, of the built-in ones, and of each directory
    /// that is named as a language tag and has both templates.
    ///
    /// # Errors
    /// If a template is missing or invalid; the message names its file and line.
    pub fn load(settings: &config::Mail, brand: &Brand) -> Result<Self> {
        let language = settings.language.as_str();
        let directory = settings.template_dir.as_deref();
        if directory.is_some_and(|dir| !dir.is_dir()) {
            let message = "mail.template_dir: there is no such directory";
            return Err(Error::new(Kind::FailedPrecondition, message));
        }
        let own = directory.map(|directory| directory.join(language));
        let default = templated(settings, language, own.as_deref())?;
        let mut others = BTreeMap::new();
        for language in Language::ALL.map(Language::as_str) {
            let locale = language.parse().map_err(Error::internal)?;
            let own = directory.map(|directory| directory.join(language));
            others.insert(locale, templated(settings, language, own.as_deref())?);
        }
        for (locale, directory) in directory.map(languages).transpose()?.unwrap_or_default() {
            let own = templated(settings, locale.as_str(), Some(&directory))?;
            others.insert(locale, own);
        }
        let templates = Self { brand: brand.clone(), default, others };
        templates.render_samples()?;
        Ok(templates)
    }

    /// The templates of a language, or of its tag without the last subtags.
    fn of(&self, locale: Option<&Locale>) -> &Templated {
        let tags = locale.into_iter().flat_map(Locale::fallbacks);
        let mut found = tags.filter_map(|tag| self.others.get(&tag.parse().ok()?));
        found.next().unwrap_or(&self.default)
    }

    /// Renders the mail of an invitation.
    ///
    /// # Errors
    /// If a template cannot be rendered.
    pub fn render(&self, invitation: &Invitation<'_>, now: Timestamp) -> Result<Mail> {
        let Templated { tag, phrases, environment } = self.of(invitation.locale);
        let (organization, inviter) =
            (name(invitation.organization.as_str()), name(invitation.inviter));
        let role = phrases.role(invitation.role);
        let expires = invitation.expires_at.map(minute).unwrap_or_default();
        let email = invitation.email.as_str();
        let insert = |name, value, bold| Insert { name, value, bold };
        let inserts = [
            insert("organization", organization.as_str(), true),
            insert("inviter", inviter.as_str(), true),
            insert("role", role, false),
            insert("email", email, false),
            insert("expires", expires.as_str(), false),
        ];
        let values = context! {
            organization => &organization,
            inviter => &inviter,
            role,
            email,
            expires => &expires,
            link => invitation.link,
            reminder => invitation.reminder > 0,
            language => tag,
            ..look::values(&self.brand)
        };
        let render = |template: &str| {
            let texts = match template {
                HTML => phrases.html(&inserts),
                _ => phrases.text(&inserts),
            };
            let values = context! { texts, ..values.clone() };
            let rendered = environment.get_template(template).and_then(|t| t.render(values));
            rendered.map_err(|e| wrong(template, &e))
        };
        let html = render(HTML)?;
        Ok(Mail {
            id: match invitation.reminder {
                0 => format!("{}.{}", invitation.id, invitation.version),
                number => format!("{}.{}.{number}", invitation.id, invitation.version),
            },
            to: invitation.email.clone(),
            subject: one_line(&render(SUBJECT)?, MAX_SUBJECT_CHARS),
            text: render(TEXT)?,
            logo: look::logo_in(&html, &self.brand),
            html,
            date: now,
        })
    }

    fn render_samples(&self) -> Result<()> {
        let now = Timestamp::from_micros(0);
        let email = "ana@example.com".parse().map_err(Error::internal)?;
        let organization = "Example".parse().map_err(Error::internal)?;
        for locale in self.others.keys().map(Some).chain([None]) {
            for (inviter, expires_at, reminder) in [("", None, 0), ("Ana", Some(now), 1)] {
                let sample = Invitation {
                    id: InviteId::generate(now),
                    version: 0,
                    reminder,
                    email: &email,
                    organization: &organization,
                    inviter,
                    role: Role::Member,
                    link: "https://example.com/invite#0",
                    expires_at,
                    locale,
                };
                self.render(&sample, now)?;
            }
        }
        Ok(())
    }
}

/// The directories of languages that have both templates.
fn languages(directory: &Path) -> Result<Vec<(Locale, PathBuf)>> {
    let unreadable = |e: std::io::Error| {
        let message = format!("cannot read mail.template_dir {}: {e}", directory.display());
        Error::new(Kind::FailedPrecondition, message)
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let locale = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        if let Some(locale) = locale
            && [TEXT, HTML].iter().all(|name| path.join(name).exists())
        {
            found.push((locale, path));
        }
    }
    Ok(found)
}

/// The templates of a language, from a directory if it has them. A built-in language has
/// built-in templates for files that are missing.
fn templated(
    settings: &config::Mail,
    language: &str,
    directory: Option<&Path>,
) -> Result<Templated> {
    let built_in = Language::of_tag(language);
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| match name {
        HTML => AutoEscape::Html,
        _ => AutoEscape::None,
    });
    let own = directory.map(|directory| directory.join(SUBJECT_FILE));
    let subject = match (own.as_deref().filter(|file| file.exists()), &settings.subject) {
        (Some(file), _) => (read(file)?, file.display().to_string()),
        (None, Some(subject)) => (subject.clone(), "mail.subject".to_owned()),
        (None, None) => (include_str!("templates/subject.txt").to_owned(), SUBJECT.to_owned()),
    };
    add(&mut environment, SUBJECT, subject.0, &subject.1)?;
    for (name, source) in [
        (TEXT, include_str!("templates/invitation.txt")),
        (HTML, include_str!("templates/invitation.html")),
    ] {
        let file = directory.map(|directory| directory.join(name));
        let source = match file.as_deref().filter(|file| file.exists()) {
            Some(file) => read(file)?,
            None if built_in.is_some() => source.to_owned(),
            None => return Err(missing(language, name)),
        };
        let place = file.map_or(name.to_owned(), |file| file.display().to_string());
        add(&mut environment, name, source, &place)?;
    }
    let phrases = Phrases::of(built_in.unwrap_or(Language::En))?;
    Ok(Templated { tag: language.to_owned(), phrases, environment })
}

fn add(
    environment: &mut Environment<'static>,
    name: &'static str,
    source: String,
    place: &str,
) -> Result<()> {
    environment.add_template_owned(name, source).map_err(|e| wrong(place, &e))
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|e| {
        let message = format!("cannot read the mail template {}: {e}", file.display());
        Error::new(Kind::FailedPrecondition, message)
    })
}

fn missing(language: &str, name: &str) -> Error {
    Error::new(
        Kind::FailedPrecondition,
        format!(
            "mail.language: `{language}` is not built in; add {language}/{TEXT} and \
             {language}/{HTML} to mail.template_dir ({name} is missing)"
        ),
    )
}

fn wrong(place: &str, error: &minijinja::Error) -> Error {
    let line = error.line().map_or(String::new(), |line| format!(", line {line}"));
    Error::new(Kind::FailedPrecondition, format!("the mail template {place}{line}: {error}"))
}

/// A name for mails: one line of bounded length, without texts that mail programs turn into
/// links and without the quotation marks that templates put names between.
fn name(text: &str) -> String {
    quoted(text, MAX_NAME_CHARS)
}

/// As `name`, for a text of at most `max_chars` characters.
pub(super) fn quoted(text: &str, max_chars: usize) -> String {
    let plain = one_line(text, max_chars).replace(['“', '”', '„', '‟', '«', '»', '「', '」'], "\"");
    without_links(&plain)
}

/// Adds a space to every text that mail programs turn into a link (`https://…`, `www.…`,
/// `acme.com`, `ana@acme.com`, `mailto:…`, `\\\\host`), after the character that makes it a
/// link: `acme. com` is still readable. An invisible character would not help, since programs
/// remove it when they open the link (UTS #46).
fn without_links(text: &str) -> String {
    let mut broken = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        broken.push(c);
        let breaks = match c {
            // The full stop and the characters that UTS #46 treats as one.
            '.' | '。' | '．' | '｡' | '․' => !before.is_whitespace(),
            ':' | '：' | '\\' => true,
            _ => false,
        };
        if breaks && chars.peek().is_some_and(|next| *next != c && !next.is_whitespace()) {
            broken.push(' ');
        }
        before = c;
    }
    broken
}

/// One line of at most `max_chars` characters: without line ends, invisible characters and
/// characters that change the text direction.
pub(super) fn one_line(text: &str, max_chars: usize) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c })
        .filter(|c| !is_unfit_for_names(*c))
        .collect();
    let line = spaced.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if line.chars().count() <= max_chars {
        return line;
    }
    line.chars().take(max_chars - 1).chain(['…']).collect()
}

/// A time with a precision of minutes, in a form for all languages.
pub(super) fn minute(at: Timestamp) -> String {
    let seconds = u64::try_from(at.shown().as_seconds()).unwrap_or(0);
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let text = humantime::format_rfc3339_seconds(at).to_string();
    // 2026-11-30T09:16:00Z
    format!("{} {} UTC", &text[..10], &text[11..16])
}

#[cfg(test)]
mod tests;
