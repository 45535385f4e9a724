//! Converts messages between protobuf and JSON by reflection: the canonical mapping, with default
//! values written and unknown fields ignored.
//!
//! Messages are read field by field, so that an error can name the field. An unknown enum name is
//! an error although an unknown field is not: to ignore a name in a filter would make the filter
//! match more. No error repeats the input, which may be a token.

use std::fmt;

use bytes::Bytes;
use prost::Message;
use prost_reflect::{
    DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions,
    Value,
};
use serde_json::{Map, Value as Json};

use super::paging::Paging;
use crate::error::{Error, Result, Violations};

const WRITE: SerializeOptions = SerializeOptions::new().skip_default_fields(false);
const READ: DeserializeOptions = DeserializeOptions::new().deny_unknown_fields(true);

/// The maximum entries of a list. This is the largest bound of any list in the `.proto` files; a
/// test compares them. Longer lists are rejected before their entries are converted, since an entry
/// needs more memory than its bytes. Smaller bounds of other lists are checked later, for all
/// protocols.
pub const MAX_ENTRIES: usize = 1000;

/// Converts an encoded message to JSON.
pub fn encode(descriptor: &MessageDescriptor, message: &[u8]) -> Result<Bytes> {
    let message = DynamicMessage::decode(descriptor.clone(), message).map_err(Error::internal)?;
    let mut json = Vec::with_capacity(256);
    message
        .serialize_with_options(&mut serde_json::Serializer::new(&mut json), &WRITE)
        .map_err(Error::internal)?;
    Ok(json.into())
}

/// Converts JSON to an encoded message, in which `paging` replaces the page of the body.
///
/// # Errors
/// INVALID_ARGUMENT with the wrong fields, at most `Violations::MAX_KEPT` of them.
pub fn decode(
    descriptor: &MessageDescriptor,
    json: &[u8],
    paging: Option<&Paging>,
) -> Result<Bytes> {
    if json.is_empty() {
        return Err(Error::invalid("body", "is empty; send a JSON object, at least {}"));
    }
    let json: Json = serde_json::from_slice(json).map_err(|error| {
        let place = format!("is not JSON: line {}, column {}", error.line(), error.column());
        Error::invalid("body", place)
    })?;
    let Json::Object(fields) = json else {
        return Err(Error::invalid("body", "must be a JSON object"));
    };

    let mut violations = Violations::default();
    let mut message = read(descriptor, fields, None, &mut violations);
    if !violations.is_empty() {
        return Err(Error::violations(violations));
    }
    if let Some(paging) = paging {
        paging.apply(&mut message);
    }
    Ok(message.encode_to_vec().into())
}

/// The path of a value in its message. It is formatted only for an error.
#[derive(Clone, Copy)]
struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    field: &'a FieldDescriptor,
    index: Option<usize>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        f.write_str(self.field.name())?;
        self.index.map_or(Ok(()), |index| write!(f, "[{index}]"))
    }
}

fn read(
    descriptor: &MessageDescriptor,
    fields: Map<String, Json>,
    parent: Option<&Place<'_>>,
    violations: &mut Violations,
) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    // It has at most one entry for each field of the message, so a Vec is fast enough.
    let mut given = Vec::new();
    for (name, json) in fields {
        let field = descriptor
            .get_field_by_json_name(&name)
            .or_else(|| descriptor.get_field_by_name(&name));
        let Some(field) = field else {
            continue;
        };
        if json.is_null() && !takes_null(&field) {
            continue;
        }
        let place = Place { parent, field: &field, index: None };
        if given.contains(&field.number()) {
            violations.add(place, "is given twice, under both of its names");
            continue;
        }
        given.push(field.number());
        if has_other_of_oneof(&message, &field) {
            violations.add(place, "only one of its alternatives may be set");
        } else if let Some(value) = read_field(place, json, violations) {
            message.set_field(&field, value);
        }
    }
    message
}

fn read_field(place: Place<'_>, json: Json, violations: &mut Violations) -> Option<Value> {
    if !place.field.is_list() {
        return read_value(place, json, violations);
    }
    let Json::Array(elements) = json else {
        violations.add(place, "must be an array");
        return None;
    };
    if elements.len() > MAX_ENTRIES {
        violations.add(place, "must have at most 1000 entries");
        return None;
    }
    let mut values = Vec::with_capacity(elements.len());
    for (index, element) in elements.into_iter().enumerate() {
        let place = Place { index: Some(index), ..place };
        values.extend(read_value(place, element, violations));
    }
    Some(Value::List(values))
}

/// Reads one value of a field, or one element of a repeated field.
fn read_value(place: Place<'_>, json: Json, violations: &mut Violations) -> Option<Value> {
    let field = place.field;
    let json = match (field.kind(), json) {
        (Kind::Message(descriptor), json) if !field.is_map() && !is_well_known(&descriptor) => {
            let Json::Object(fields) = json else {
                violations.add(place, "must be an object");
                return None;
            };
            let message = read(&descriptor, fields, Some(&place), violations);
            return Some(Value::Message(message));
        }
        // The fast path: most fields are strings.
        (Kind::String, Json::String(text)) => return Some(Value::String(text)),
        (_, json) => json,
    };

    // prost-reflect reads only whole messages, so it gets a message with only this field.
    let json = if field.is_list() { Json::Array(vec![json]) } else { json };
    let alone = Json::Object(Map::from_iter([(field.json_name().to_owned(), json)]));
    let parent = field.parent_message().clone();
    let Ok(message) = DynamicMessage::deserialize_with_options(parent, alone, &READ) else {
        violations.add(place, expectation(field));
        return None;
    };
    match message.get_field(field).into_owned() {
        Value::List(values) => values.into_iter().next(),
        value => Some(value),
    }
}

/// Describes the expected value in an error message.
fn expectation(field: &FieldDescriptor) -> String {
    match field.kind() {
        _ if field.is_map() => "must be an object with keys and values of its types".to_owned(),
        Kind::String => "must be a string".to_owned(),
        Kind::Bool => "must be true or false".to_owned(),
        Kind::Bytes => "must be a base64 string".to_owned(),
        Kind::Double | Kind::Float => "must be a number".to_owned(),
        Kind::Enum(kind) => format!("must be the name or number of a {}", kind.full_name()),
        Kind::Message(kind) if kind.full_name() == "google.protobuf.Timestamp" => {
            "must be an RFC 3339 time such as 2030-01-31T12:00:00Z".to_owned()
        }
        Kind::Message(kind) => format!("must be a {} in its JSON form", kind.full_name()),
        Kind::Uint32 | Kind::Fixed32 => "must be a whole number from 0 to 4294967295".to_owned(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            "must be a whole number from -2147483648 to 2147483647".to_owned()
        }
        Kind::Uint64 | Kind::Fixed64 | Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            "must be a whole number of 64 bits".to_owned()
        }
    }
}

/// Whether `null` is a value of the field's type; otherwise it means that the field is not set.
fn takes_null(field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(kind) => kind.full_name() == "google.protobuf.Value",
        Kind::Enum(kind) => kind.full_name() == "google.protobuf.NullValue",
        _ => false,
    }
}

fn is_well_known(descriptor: &MessageDescriptor) -> bool {
    descriptor.package_name() == "google.protobuf"
}

fn has_other_of_oneof(message: &DynamicMessage, field: &FieldDescriptor) -> bool {
    field.containing_oneof().is_some_and(|oneof| {
        oneof.fields().any(|other| other != *field && message.has_field(&other))
    })
}

#[cfg(test)]
mod tests;
