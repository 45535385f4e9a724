//! Renders notices, the mails about changes, in the language of the setting `mail.language`.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::successors;

use minijinja::{Environment, UndefinedBehavior, context};

use super::Mail;
use super::look;
use super::phrases::{Insert, fill};
use super::templates::{MAX_NAME_CHARS, MAX_SUBJECT_CHARS, minute, one_line, quoted};
use crate::config;
use crate::domain::{
    Brand, EmailAddress, EmailDomain, Language, NoticeId, OrganizationName, Timestamp,
};
use crate::error::{Error, Kind, Result};

const TEXT: &str = "notice.txt";
const HTML: &str = "notice.html";
/// The file with the texts of a language, in its directory of `mail.template_dir`.
const FILE: &str = "notices.json";

/// The built-in texts of a language.
const fn built_in(language: Language) -> &'static str {
    match language {
        Language::En => include_str!("notices/en.json"),
        Language::De => include_str!("notices/de.json"),
        Language::Fr => include_str!("notices/fr.json"),
        Language::Es => include_str!("notices/es.json"),
        Language::Pt => include_str!("notices/pt.json"),
        Language::Ja => include_str!("notices/ja.json"),
        Language::Zh => include_str!("notices/zh.json"),
    }
}

/// The most characters of the reason for a denial. Requests with a longer one are rejected.
const MAX_REASON_CHARS: usize = 500;

/// Texts by their names. `{x}` in a text is replaced by the value `x`.
type Texts = BTreeMap<String, String>;

/// The texts of one language and the layout of the mails.
pub struct NoticeTemplates {
    brand: Brand,
    language: String,
    texts: Texts,
    environment: Environment<'static>,
}

/// A mail about a change.
pub struct Notice<'a> {
    pub id: NoticeId,
    /// Distinguishes the mails of one id.
    pub version: i64,
    pub to: &'a EmailAddress,
    pub organization: &'a OrganizationName,
    pub change: Change<'a>,
    /// The URL of the console, if there is one. Only mails to admins contain it.
    pub console: Option<&'a str>,
}

/// The change that a mail is about.
#[derive(Clone, Copy)]
pub enum Change<'a> {
    /// To an admin: the number of requests to join that wait.
    RequestsWaiting(i64),
    /// To the account that requested to join.
    RequestApproved,
    /// To the account that requested to join.
    RequestDenied { reason: &'a str, ask_again_at: Option<Timestamp> },
    /// To an admin: this domain has lapsed.
    DomainLapsed(&'a EmailDomain),
}

impl NoticeTemplates {
    /// Reads the texts: those of the deployment or the built-in ones, in the configured language,
    /// in the language of its tag without the last subtags, or else in English.
    ///
    /// # Errors
    /// If the texts of the deployment are invalid; the message names the file.
    pub fn load(settings: &config::Mail, brand: &Brand) -> Result<Self> {
        let (language, texts) = texts_of(settings)?;
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in [
            (TEXT, include_str!("notices/notice.txt")),
            (HTML, include_str!("notices/notice.html")),
        ] {
            environment.add_template(name, source).map_err(Error::internal)?;
        }
        Ok(Self { brand: brand.clone(), language, texts, environment })
    }

    /// Renders a mail.
    ///
    /// # Errors
    /// If a template cannot be rendered.
    pub fn render(&self, notice: &Notice<'_>, now: Timestamp) -> Result<Mail> {
        let organization = quoted(notice.organization.as_str(), MAX_NAME_CHARS);
        let text = |name: &str, value: (&'static str, &str)| {
            let text = self.texts.get(name).map_or("", String::as_str);
            let values = [("organization", organization.as_str()), value];
            let inserts = values.map(|(name, value)| Insert { name, value, bold: false });
            fill(text, &inserts, |insert| insert.value.to_owned())
        };
        let plain = |name: &str| text(name, ("", ""));
        let (subject, paragraphs, lead, why) = match notice.change {
            Change::RequestsWaiting(count) => {
                let shown = count.to_string();
                let form = if count == 1 { "one" } else { "other" };
                let value = ("count", shown.as_str());
                let subject = text(&format!("waiting_subject_{form}"), value);
                let paragraphs = vec![text(&format!("waiting_{form}"), value)];
                (subject, paragraphs, plain("waiting_link"), plain("waiting_why"))
            }
            Change::RequestApproved => {
                let (subject, paragraphs) = (plain("approved_subject"), vec![plain("approved")]);
                (subject, paragraphs, String::new(), String::new())
            }
            Change::RequestDenied { reason, ask_again_at } => {
                let mut paragraphs = vec![plain("denied")];
                let reason = quoted(reason, MAX_REASON_CHARS);
                if !reason.is_empty() {
                    paragraphs.push(text("denied_reason", ("reason", &reason)));
                }
                if let Some(at) = ask_again_at {
                    paragraphs.push(text("denied_again", ("time", &minute(at))));
                }
                (plain("denied_subject"), paragraphs, String::new(), String::new())
            }
            Change::DomainLapsed(domain) => {
                let domain = quoted(domain.as_str(), MAX_NAME_CHARS);
                let value = ("domain", domain.as_str());
                let paragraphs = vec![text("lapsed", value), plain("lapsed_again")];
                let subject = text("lapsed_subject", value);
                (subject, paragraphs, plain("lapsed_link"), plain("lapsed_why"))
            }
        };
        let link = notice.console.filter(|_| !lead.is_empty()).unwrap_or_default();
        let subject = one_line(&subject, MAX_SUBJECT_CHARS);
        let (language, greeting) = (&self.language, plain("greeting"));
        let imprint_name = plain("imprint");
        let values = context! {
            language, greeting, subject => subject.as_str(), paragraphs, lead, link, why, imprint_name,
            ..look::values(&self.brand)
        };
        let render = |name| {
            let template = self.environment.get_template(name).map_err(Error::internal)?;
            template.render(&values).map_err(Error::internal)
        };
        let html = render(HTML)?;
        Ok(Mail {
            id: format!("{}.{}", notice.id, notice.version),
            to: notice.to.clone(),
            text: render(TEXT)?,
            logo: look::logo_in(&html, &self.brand),
            html,
            subject,
            date: now,
        })
    }
}

/// The texts for the configured language, and the tag of the language that they are in.
fn texts_of(settings: &config::Mail) -> Result<(String, Texts)> {
    let tag = settings.language.as_str();
    let tags = || successors(Some(tag), |tag| Some(tag.rsplit_once('-')?.0));
    for tag in tags().chain([Language::En.as_str()]) {
        if let Some(directory) = &settings.template_dir {
            let file = directory.join(tag).join(FILE);
            if file.exists() {
                let texts = std::fs::read_to_string(&file).map_err(|e| e.to_string());
                let texts = texts.and_then(|json| parse(&json));
                let texts = texts.map_err(|problem| {
                    let message = format!("the mail texts {}: {problem}", file.display());
                    Error::new(Kind::FailedPrecondition, message)
                })?;
                return Ok((tag.to_owned(), texts));
            }
        }
        let is_it = |language: &Language| language.as_str().eq_ignore_ascii_case(tag);
        if let Some(language) = Language::ALL.into_iter().find(is_it) {
            let texts = parse(built_in(language)).map_err(Error::internal)?;
            return Ok((language.as_str().to_owned(), texts));
        }
    }
    Err(Error::internal("no mail texts are built in"))
}

/// Parses texts. They must have the same names as the English texts, and each text only values
/// that the English one has.
fn parse(json: &str) -> Result<Texts, String> {
    let read = |json| serde_json::from_str::<Texts>(json).map_err(|e| e.to_string());
    let (texts, english) = (read(json)?, read(built_in(Language::En))?);
    for (name, expected) in &english {
        let text = texts.get(name).filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| format!("`{name}` is missing"))?;
        if let Some(unknown) = values(text).difference(&values(expected)).next() {
            return Err(format!("`{name}` has no value `{{{unknown}}}`"));
        }
    }
    match texts.keys().find(|name| !english.contains_key(*name)) {
        Some(unknown) => Err(format!("there is no text `{unknown}`")),
        None => Ok(texts),
    }
}

/// The names of the values in a text.
fn values(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
}

#[cfg(test)]
mod tests;
