//! The data that integrators store with organizations, invites and members: pairs of texts, and an
//! external id.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::Invalid;

/// The most pairs of an object.
const MAX_PAIRS: usize = 16;
const MAX_KEY_CHARS: usize = 40;
const MAX_VALUE_CHARS: usize = 500;
const MAX_ID_CHARS: usize = 256;

/// The metadata and the external id of an organization, an invite or a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    pub metadata: Metadata,
    pub external_id: Option<ExternalId>,
}

/// At most 16 pairs, in the order of their keys. A key has 1 to 40 letters, digits, `_`, `-`
/// and `.`; a value 1 to 500 characters, none of them a control character.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(BTreeMap<String, String>);

/// Pairs to set. An empty value removes the key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataChanges(BTreeMap<String, String>);

/// An id that an integrator chose: 1 to 256 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExternalId(String);

/// A change of [`Attributes`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributeChanges {
    pub metadata: MetadataChanges,
    /// `Some(None)` removes the id.
    pub external_id: Option<Option<ExternalId>>,
}

impl Attributes {
    pub fn is_empty(&self) -> bool {
        self.metadata.is_empty() && self.external_id.is_none()
    }

    /// The attributes after a change.
    ///
    /// # Errors
    /// If there are more than 16 pairs.
    pub fn changed(&self, changes: &AttributeChanges) -> Result<Self, Invalid> {
        let external_id = changes.external_id.clone().unwrap_or_else(|| self.external_id.clone());
        Ok(Self { metadata: self.metadata.merged(&changes.metadata)?, external_id })
    }

    /// The names of the fields that differ.
    pub fn changes(&self, after: &Self) -> Vec<&'static str> {
        let mut names = Vec::new();
        if self.metadata != after.metadata {
            names.push("metadata");
        }
        if self.external_id != after.external_id {
            names.push("external_id");
        }
        names
    }

    /// The bytes of all texts.
    pub fn size(&self) -> usize {
        let pairs =
            self.metadata.pairs().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        pairs + self.external_id.as_ref().map_or(0, |id| id.0.len())
    }
}

impl Metadata {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// # Errors
    /// If there are more than 16 pairs.
    pub fn merged(&self, changes: &MetadataChanges) -> Result<Self, Invalid> {
        let mut merged = self.0.clone();
        for (key, value) in &changes.0 {
            if value.is_empty() {
                merged.remove(key);
            } else {
                merged.insert(key.clone(), value.clone());
            }
        }
        if merged.len() > MAX_PAIRS {
            return Err(Invalid("must have at most 16 entries, with those that are there already"));
        }
        Ok(Self(merged))
    }

    /// A JSON object with its keys in order and no spaces between its parts. `None` without pairs.
    pub fn to_json(&self) -> Option<String> {
        let object = || serde_json::Value::from_iter(self.pairs()).to_string();
        (!self.is_empty()).then(object)
    }

    /// For each pair, its part of [`Metadata::to_json`]. Only an object with this pair contains
    /// that part: inside a text, each quotation mark follows a backslash.
    pub fn json_parts(&self) -> impl Iterator<Item = String> {
        self.pairs().map(|(key, value)| {
            format!("{}:{}", serde_json::Value::from(key), serde_json::Value::from(value))
        })
    }
}

/// Parses the stored form, which is the JSON object of [`Metadata::to_json`].
impl FromStr for Metadata {
    type Err = Invalid;

    fn from_str(json: &str) -> Result<Self, Invalid> {
        let pairs: BTreeMap<String, String> =
            serde_json::from_str(json).map_err(|_| Invalid("must be a JSON object of texts"))?;
        Self::default().merged(&MetadataChanges::new(pairs)?)
    }
}

impl MetadataChanges {
    /// # Errors
    /// If there are more than 16 pairs, or a key or a value is not valid.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Invalid> {
        let pairs: BTreeMap<String, String> = pairs.into_iter().collect();
        if pairs.len() > MAX_PAIRS {
            return Err(Invalid("must have at most 16 entries"));
        }
        for (key, value) in &pairs {
            if !(1..=MAX_KEY_CHARS).contains(&key.len()) || !key.bytes().all(is_of_keys) {
                return Err(Invalid("must have keys of 1 to 40 letters, digits, '_', '-' and '.'"));
            }
            if has_more(value, MAX_VALUE_CHARS) || value.chars().any(char::is_control) {
                return Err(Invalid(
                    "must have values of at most 500 characters, none of them a control character",
                ));
            }
        }
        Ok(Self(pairs))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

fn is_of_keys(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn has_more(text: &str, chars: usize) -> bool {
    text.len() > chars && text.chars().count() > chars
}

impl ExternalId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExternalId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid("must not be empty"));
        }
        if has_more(text, MAX_ID_CHARS) {
            return Err(Invalid("must have at most 256 characters"));
        }
        if text.chars().any(char::is_control) {
            return Err(Invalid("must not contain control characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AttributeChanges {
    pub fn is_empty(&self) -> bool {
        self.metadata.is_empty() && self.external_id.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(pairs: &[(&str, &str)]) -> Result<MetadataChanges, Invalid> {
        MetadataChanges::new(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    fn metadata(pairs: &[(&str, &str)]) -> Metadata {
        Metadata::default().merged(&changes(pairs).unwrap()).unwrap()
    }

    #[test]
    fn metadata_is_merged_and_an_empty_value_removes_its_key() {
        let before = metadata(&[("plan", "pro"), ("dept", "r&d")]);
        let after = before.merged(&changes(&[("dept", ""), ("team", "x"), ("no", "")]).unwrap());
        assert_eq!(after.unwrap(), metadata(&[("plan", "pro"), ("team", "x")]));
        assert_eq!(before.merged(&MetadataChanges::default()).unwrap(), before);
    }

    #[test]
    fn metadata_has_16_pairs_of_40_and_500_characters_at_most() {
        let numbered = |from: usize, to: usize| {
            MetadataChanges::new((from..to).map(|i| (format!("k{i}"), "v".to_owned())))
        };
        let full = Metadata::default().merged(&numbered(0, 16).unwrap()).unwrap();
        assert!(numbered(0, 17).is_err() && full.merged(&numbered(16, 17).unwrap()).is_err());
        assert!(full.merged(&changes(&[("k0", ""), ("other", "v")]).unwrap()).is_ok());
        let (key, value) = ("k".repeat(40), "é".repeat(500));
        assert!(changes(&[(&key, &value)]).is_ok());
        for (key, value) in [
            (format!("{key}k"), value.clone()),
            (key, format!("{value}é")),
            (String::new(), "v".into()),
            ("a b".into(), "v".into()),
            ("a\"b".into(), "v".into()),
            ("ä".into(), "v".into()),
            ("a".into(), "\0".into()),
            ("a".into(), "a\nb".into()),
        ] {
            assert!(changes(&[(&key, &value)]).is_err(), "{key:?} {value:?}");
        }
    }

    #[test]
    fn stored_metadata_parses_back_and_its_pairs_can_be_searched() {
        assert_eq!(Metadata::default().to_json(), None);
        let tricky = metadata(&[("b", r#"x","a":"1"#), ("a", "\\"), ("c.d", "🦀 \"q\"")]);
        let json = tricky.to_json().unwrap();
        assert_eq!(json, r#"{"a":"\\","b":"x\",\"a\":\"1","c.d":"🦀 \"q\""}"#);
        assert_eq!(json.parse(), Ok(tricky.clone()));
        assert!(tricky.json_parts().all(|part| json.contains(&part)));
        for other in [("a", "1"), ("b", "x"), ("d", "🦀"), ("x", "a")] {
            let part = metadata(&[other]).json_parts().next().unwrap();
            assert!(!json.contains(&part), "{part} in {json}");
        }
        assert!("[]".parse::<Metadata>().is_err());
    }

    #[test]
    fn an_external_id_has_1_to_256_characters() {
        assert!("é".repeat(256).parse::<ExternalId>().is_ok());
        for bad in ["", "a\0", "a\n", &"é".repeat(257)] {
            assert!(bad.parse::<ExternalId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_change_lists_the_changed_fields() {
        let before = Attributes { metadata: metadata(&[("a", "1")]), external_id: None };
        let id: ExternalId = "7".parse().unwrap();
        let change =
            AttributeChanges { external_id: Some(Some(id.clone())), ..AttributeChanges::default() };
        let after = before.changed(&change).unwrap();
        assert_eq!((after.external_id.as_ref(), &after.metadata), (Some(&id), &before.metadata));
        assert_eq!(before.changes(&after), ["external_id"]);
        let change =
            AttributeChanges { metadata: changes(&[("a", "")]).unwrap(), external_id: Some(None) };
        let empty = after.changed(&change).unwrap();
        assert!(empty.is_empty() && empty.size() == 0);
        assert_eq!(after.changes(&empty), ["metadata", "external_id"]);
    }
}
