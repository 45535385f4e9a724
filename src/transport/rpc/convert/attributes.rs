//! Metadata and external ids in messages.

use std::collections::HashMap;

use super::Fields;
use crate::domain::{AttributeChanges, Attributes, Metadata, MetadataChanges};

type Pairs = HashMap<String, String>;

impl Fields {
    /// The attributes of a new object or of a filter. Violations name the fields with `prefix` in
    /// front. Pairs with an empty value are left out.
    pub fn attributes(&mut self, prefix: &str, pairs: Pairs, external_id: &str) -> Attributes {
        let pairs = self.keep(format_args!("{prefix}metadata"), MetadataChanges::new(pairs));
        let pairs = pairs.unwrap_or_default();
        // `merged` cannot fail: the result has at most as many pairs as the message, which are
        // counted above.
        let metadata = Metadata::default().merged(&pairs).unwrap_or_default();
        let external_id = self.parse_optional(format_args!("{prefix}external_id"), external_id);
        Attributes { metadata, external_id }
    }

    pub fn attribute_changes(
        &mut self,
        pairs: Pairs,
        external_id: Option<String>,
    ) -> AttributeChanges {
        let metadata = self.keep("metadata", MetadataChanges::new(pairs)).unwrap_or_default();
        let external_id = external_id.map(|id| self.parse_optional("external_id", &id));
        AttributeChanges { metadata, external_id }
    }
}

pub fn metadata(metadata: &Metadata) -> Pairs {
    metadata.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The external id; empty if there is none.
pub fn external_id(attributes: &Attributes) -> String {
    attributes.external_id.as_ref().map(ToString::to_string).unwrap_or_default()
}
