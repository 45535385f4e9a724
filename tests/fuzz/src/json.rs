//! Messages as JSON and back.
//!
//! An input is a message's full name, a line end, and the message: as JSON, or
//! encoded.

use std::sync::LazyLock;

use guestlist::error::Kind;
use guestlist::proto::FILE_DESCRIPTOR_SET;
use guestlist::transport::protocol::json::{decode, encode};
use prost::Message;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor};
use serde_json::Value;

/// The types of all services, and of the details of errors.
static TYPES: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::new();
    for set in [FILE_DESCRIPTOR_SET, tonic_types::pb::FILE_DESCRIPTOR_SET] {
        pool.decode_file_descriptor_set(set).expect("descriptors");
    }
    pool
});

/// Reads the input both as JSON and as an encoded message.
pub fn run(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (name, message) = (&data[..end], &data[end + 1..]);
    let name = std::str::from_utf8(name).ok();
    let Some(message_type) = name.and_then(|name| TYPES.get_message_by_name(name)) else { return };
    as_json(&message_type, message);
    encoded(&message_type, message);
}

/// A message that is read from JSON stays the same when it is written to JSON and read again.
fn as_json(message_type: &MessageDescriptor, json: &[u8]) {
    let read = match decode(message_type, json, None) {
        Ok(read) => read,
        Err(error) => {
            assert_eq!(error.kind, Kind::InvalidArgument, "{error:?}");
            assert!(!error.violations.is_empty(), "the error names a field");
            // Only our decoder rejects a field that is given twice.
            let twice = error.violations.iter().any(|wrong| wrong.description.contains("twice"));
            assert!(twice || !is_accepted_in_strict_mode(message_type, json), "{error:?}");
            return;
        }
    };
    let message = DynamicMessage::decode(message_type.clone(), read.clone()).expect("protobuf");
    let written = encode(message_type, &read).expect("what was read can be written");
    let again = decode(message_type, &written, None).expect("what was written can be read");
    assert_eq!(DynamicMessage::decode(message_type.clone(), again).expect("protobuf"), message);
}

/// Whether the library accepts the JSON too, in its strictest mode.
fn is_accepted_in_strict_mode(message_type: &MessageDescriptor, json: &[u8]) -> bool {
    let Ok(json @ Value::Object(_)) = serde_json::from_slice::<Value>(json) else { return false };
    let strict = DeserializeOptions::new().deny_unknown_fields(true);
    DynamicMessage::deserialize_with_options(message_type.clone(), json, &strict).is_ok()
}

/// A message that is written to JSON stays the same when it is read, except unknown fields.
fn encoded(message_type: &MessageDescriptor, message: &[u8]) {
    let Ok(message) = DynamicMessage::decode(message_type.clone(), message) else { return };
    let Ok(written) = encode(message_type, &message.encode_to_vec()) else {
        // An `Any` of an unknown type. The server never sends one.
        return;
    };
    let read = match decode(message_type, &written, None) {
        Ok(read) => read,
        Err(error) => {
            // The server also never sends times outside the years that their type allows.
            let of_time = |what: &str| what.contains("RFC 3339") || what.contains("Duration");
            assert!(error.violations.iter().all(|wrong| of_time(&wrong.description)), "{error:?}");
            return;
        }
    };
    let again = encode(message_type, &read).expect("what was read can be written");
    // As values, since the entries of a map have no order.
    let [again, written] = [again, written].map(|json| serde_json::from_slice::<Value>(&json));
    assert_eq!(again.expect("JSON"), written.expect("JSON"));
}
