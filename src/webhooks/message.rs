//! The message that is sent for an event.

use std::sync::LazyLock;

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde::Serialize;
use serde_json::Value;

use crate::domain::TraceParent;
use crate::error::{Error, Result};
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::guestlist::v1::Event;

/// An event as the body and the headers of a request. The signature is not part of it.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    pub event_type: String,
    /// RFC 3339.
    pub time: String,
    pub body: Vec<u8>,
    /// The trace of the change.
    pub trace: Option<TraceParent>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    timestamp: &'a str,
    data: &'a Value,
}

static EVENT: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let descriptors = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("our descriptors");
    descriptors.get_message_by_name("guestlist.v1.Event").expect("a message of ours")
});

impl Message {
    /// # Errors
    /// INTERNAL if the event has no JSON form.
    pub fn new(event: &Event, trace: Option<TraceParent>) -> Result<Self> {
        let message = DynamicMessage::decode(EVENT.clone(), event.encode_to_vec().as_slice());
        // The same form as in responses of the API.
        let options = SerializeOptions::new().skip_default_fields(false);
        let mut data = message
            .map_err(Error::internal)?
            .serialize_with_options(serde_json::value::Serializer, &options)
            .map_err(Error::internal)?;
        remove_free_text(&mut data);
        let time = data.get("time").and_then(Value::as_str).unwrap_or_default().to_owned();
        let body = Body { r#type: &event.r#type, timestamp: &time, data: &data };
        let body = serde_json::to_vec(&body).map_err(Error::internal)?;
        Ok(Self { id: event.id.clone(), event_type: event.r#type.clone(), time, body, trace })
    }
}

/// Removes the fields of an event's object that hold free text of an organization, which is never
/// sent to a webhook.
fn remove_free_text(event: &mut Value) {
    let objects = event.as_object_mut().into_iter().flat_map(|fields| fields.values_mut());
    for object in objects.filter_map(Value::as_object_mut) {
        object.remove("metadata");
        object.remove("externalId");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::proto::guestlist::v1 as pb;
    use crate::proto::guestlist::v1::event::Data;

    #[test]
    fn p45_no_webhook_has_metadata_or_an_external_id() {
        let metadata = || HashMap::from([("plan".to_owned(), "secret-plan".to_owned())]);
        let external_id = || "secret-id".to_owned();
        for data in [
            Data::Organization(pb::OrganizationEvent {
                metadata: metadata(),
                external_id: external_id(),
                has_metadata: true,
                ..Default::default()
            }),
            Data::Member(pb::MemberEvent {
                metadata: metadata(),
                external_id: external_id(),
                has_metadata: true,
                ..Default::default()
            }),
            Data::Invite(pb::InviteEvent {
                metadata: metadata(),
                external_id: external_id(),
                has_metadata: true,
                ..Default::default()
            }),
        ] {
            let event = Event { data: Some(data), ..Default::default() };
            let body = String::from_utf8(Message::new(&event, None).unwrap().body).unwrap();
            assert!(body.contains("\"hasMetadata\":true"), "{body}");
            for word in ["secret", "\"metadata\"", "externalId"] {
                assert!(!body.contains(word), "{word} in {body}");
            }
        }
    }
}
