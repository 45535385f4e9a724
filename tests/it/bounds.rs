//! P43 and P48: every list and every text has a bound that its `.proto` states, and no
//! text has U+0000. The tests take all fields from the descriptors: a new field without a
//! stated bound fails, and so does a field whose stated bound the server does not enforce.

use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use crate::everywhere;
use crate::support::client::DESCRIPTORS;
use crate::support::{Code, Failure, Person, TestApp, own};

/// The JSON decoder accepts at most this many entries in a list. No `.proto` may allow more.
const MAX_ENTRIES: usize = 1000;

/// The bounds in the comments of all maps: the number of pairs, and the characters of a value.
/// A key has at most 40 characters.
const MAX_PAIRS: usize = 16;
const MAX_VALUE: usize = 500;
const MAX_KEY: usize = 40;

/// Characters of a UUID: the bound of a text whose comment says that it is a UUID.
const UUID: usize = 36;

/// A field of a request, with the fields that lead to it.
struct Leaf {
    method: String,
    path: String,
    chain: Vec<FieldDescriptor>,
}

impl Leaf {
    fn field(&self) -> &FieldDescriptor {
        self.chain.last().unwrap()
    }

    /// The request with only this field set.
    fn request(&self, value: Value) -> Vec<u8> {
        let mut value = value;
        for field in self.chain.iter().rev() {
            let mut message = DynamicMessage::new(field.parent_message().clone());
            let in_list = field.is_list() && !matches!(value, Value::List(_));
            message.set_field(field, if in_list { Value::List(vec![value]) } else { value });
            value = Value::Message(message);
        }
        value.as_message().unwrap().encode_to_vec()
    }

    async fn call(&self, person: &Person, value: Value) -> Result<Vec<u8>, Failure> {
        let key = format!("Bearer {}", person.key.as_deref().unwrap());
        let headers = [("authorization", key)];
        person.client.unary(&self.method, &headers, self.request(value)).await
    }
}

fn is_ours(message: &MessageDescriptor) -> bool {
    ["gitpod.v1", "guestlist.v1"].contains(&message.package_name())
}

/// The comment above a field, in one line.
fn comment(field: &FieldDescriptor) -> String {
    let file = field.parent_message().parent_file();
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = &info.expect("descriptors keep their comments").location;
    let found = locations.iter().find(|location| location.path == field.path());
    let text = found.and_then(|location| location.leading_comments.clone()).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The number in "At most 1,000 entries".
fn at_most(comment: &str, what: &str) -> Option<usize> {
    comment.split("At most ").skip(1).find_map(|rest| {
        let (number, rest) = rest.split_once(' ')?;
        rest.starts_with(what).then(|| number.replace(',', "").parse().ok())?
    })
}

fn entries(field: &FieldDescriptor) -> Option<usize> {
    at_most(&comment(field), "entries")
}

fn characters(field: &FieldDescriptor) -> Option<usize> {
    let comment = comment(field);
    let uuid = comment.split(|c: char| !c.is_alphanumeric()).any(|word| word == "UUID");
    at_most(&comment, "characters").or(uuid.then_some(UUID))
}

/// Every field of every request, nested ones too.
fn leaves() -> Vec<Leaf> {
    fn walk(
        method: &str,
        message: &MessageDescriptor,
        prefix: &str,
        chain: &[FieldDescriptor],
        found: &mut Vec<Leaf>,
    ) {
        for field in message.fields() {
            let path = format!("{prefix}{}", field.name());
            let chain: Vec<_> = chain.iter().cloned().chain([field.clone()]).collect();
            if let Kind::Message(inner) = field.kind()
                && is_ours(&inner)
                && !field.is_map()
            {
                let index = if field.is_list() { "[0]" } else { "" };
                walk(method, &inner, &format!("{path}{index}."), &chain, found);
            }
            found.push(Leaf { method: method.to_owned(), path, chain });
        }
    }

    let mut found = Vec::new();
    for service in DESCRIPTORS.services() {
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            walk(&path, &method.input(), "", &[], &mut found);
        }
    }
    found
}

fn lists() -> Vec<Leaf> {
    leaves().into_iter().filter(|leaf| leaf.field().is_list()).collect()
}

fn maps() -> Vec<Leaf> {
    leaves().into_iter().filter(|leaf| leaf.field().is_map()).collect()
}

/// A map with this number of pairs. The first key has `key` characters; all pairs have the same
/// value.
fn map(pairs: usize, key: usize, value: &str) -> Value {
    let pair = |i: usize| {
        let width = if i == 0 { key } else { 4 };
        (MapKey::String(format!("{i:0>width$}")), Value::String(value.to_owned()))
    };
    Value::Map((0..pairs).map(pair).collect())
}

fn texts() -> Vec<Leaf> {
    leaves().into_iter().filter(|leaf| leaf.field().kind() == Kind::String).collect()
}

/// The `i`th entry of a valid list. The entries are different where they must be.
fn entry(field: &FieldDescriptor, i: usize) -> Value {
    match field.kind() {
        Kind::Enum(kind) => {
            let number = kind.values().find(|value| value.number() != 0).unwrap().number();
            Value::EnumNumber(number)
        }
        Kind::Message(descriptor) => {
            let bytes = match descriptor.name() {
                "MembershipKey" => {
                    let id = uuid::Uuid::from_u128(i as u128).to_string();
                    own::MembershipKey { organization_id: id.clone(), account_id: id }
                        .encode_to_vec()
                }
                _ => {
                    let email = format!("a{i}@example.org");
                    own::EmailInvitation { email, role: String::new(), ..Default::default() }
                        .encode_to_vec()
                }
            };
            Value::Message(DynamicMessage::decode(descriptor, bytes.as_slice()).unwrap())
        }
        _ if field.name().ends_with("_ids") => {
            Value::String(uuid::Uuid::from_u128(i as u128).to_string())
        }
        _ if field.name().contains("domains") => Value::String(format!("d{i}.example")),
        _ => Value::String("member.joined".to_owned()),
    }
}

fn list(field: &FieldDescriptor, length: usize) -> Value {
    Value::List((0..length).map(|i| entry(field, i)).collect())
}

/// The value of a text field. If the field is a list, the list has only this text.
fn text(field: &FieldDescriptor, text: String) -> Value {
    match field.is_list() {
        true => Value::List(vec![Value::String(text)]),
        false => Value::String(text),
    }
}

/// The name of the field in violations.
fn name_in_violations(leaf: &Leaf) -> String {
    let index = if leaf.field().is_list() { "[0]" } else { "" };
    format!("{}{index}", leaf.path)
}

#[test]
fn p43_every_list_map_and_text_field_documents_its_bound() {
    let mut unbounded = Vec::new();
    for message in DESCRIPTORS.all_messages().filter(is_ours).filter(|it| !it.is_map_entry()) {
        for field in message.fields() {
            let stated = (entries(&field), characters(&field));
            if field.is_map() && stated != (Some(MAX_PAIRS), Some(MAX_VALUE)) {
                unbounded.push(format!("{}: At most … entries and characters.", field.full_name()));
            }
            if field.is_list() && entries(&field).is_none() {
                unbounded.push(format!("{}: At most … entries.", field.full_name()));
            }
            if field.kind() == Kind::String && characters(&field).is_none() {
                unbounded.push(format!("{}: At most … characters.", field.full_name()));
            }
        }
    }
    assert!(unbounded.is_empty(), "missing in a .proto comment:\n{}", unbounded.join("\n"));
    for leaf in lists() {
        let most = entries(leaf.field()).unwrap();
        assert!(most <= MAX_ENTRIES, "{}: the JSON decoder rejects {most} entries", leaf.path);
    }
    assert!(texts().len() > 50 && lists().len() > 5, "the walk finds the fields");
}

everywhere! {
    async fn p43_a_list_accepts_at_most_the_documented_number_of_entries(app: TestApp) {
        let ana = app.person("ana").await;
        for leaf in lists() {
            let most = entries(leaf.field()).unwrap();
            let at = format!("{} {}", leaf.method, leaf.path);

            let failure = leaf.call(&ana, list(leaf.field(), most + 1)).await.unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument, "{at}");
            assert!(failure.fields.contains(&leaf.path), "{at}: {failure:?}");

            // Other fields are missing, so the call may fail, but not because of this field.
            if let Err(failure) = leaf.call(&ana, list(leaf.field(), most)).await {
                let blamed = failure.fields.iter().any(|field| field.starts_with(&leaf.path));
                assert!(!blamed, "{at}: {failure:?}");
            }
        }
    }

    async fn p43_a_map_accepts_at_most_the_documented_pairs_and_lengths(app: TestApp) {
        let ana = app.person("ana").await;
        assert!(maps().len() > 5, "the walk finds them");
        for leaf in maps() {
            let at = format!("{} {}", leaf.method, leaf.path);
            let (key, value) = (MAX_KEY, "é".repeat(MAX_VALUE));
            for wrong in [
                map(MAX_PAIRS + 1, 4, "x"),
                map(1, key + 1, "x"),
                map(1, 4, &format!("{value}é")),
                map(1, 4, "a\0b"),
            ] {
                let failure = leaf.call(&ana, wrong).await.expect_err(&at);
                assert_eq!(failure.code, Code::InvalidArgument, "{at}");
                assert!(failure.fields.contains(&leaf.path), "{at}: {failure:?}");
            }
            // Other fields are missing, so the call may fail, but not because of this field.
            if let Err(failure) = leaf.call(&ana, map(MAX_PAIRS, key, &value)).await {
                assert!(!failure.fields.contains(&leaf.path), "{at}: {failure:?}");
            }
        }
    }

    async fn p43_a_text_accepts_at_most_the_documented_number_of_characters(app: TestApp) {
        let ana = app.person("ana").await;
        for leaf in texts() {
            let most = characters(leaf.field()).unwrap();
            let at = format!("{} {}", leaf.method, leaf.path);

            let long = text(leaf.field(), "x".repeat(most + 1));
            let failure = leaf.call(&ana, long).await.unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument, "{at}");
            assert!(failure.fields.contains(&name_in_violations(&leaf)), "{at}: {failure:?}");

            // The text may be invalid for another reason, but not because of its length, which
            // is in characters and not in bytes.
            for fit in ["x".repeat(most), "é".repeat(most)] {
                if let Err(failure) = leaf.call(&ana, text(leaf.field(), fit)).await {
                    let blamed = failure.message.contains(&format!("{}: must have", name_in_violations(&leaf)));
                    assert!(!blamed, "{at}: {failure:?}");
                }
            }
        }
    }

    async fn p48_a_nul_in_a_text_field_of_a_request_is_rejected(app: TestApp) {
        let ana = app.person("ana").await;
        for leaf in texts() {
            for nul in ["\0", "a\0b", "a\0", "ana@example.com\0"] {
                let at = format!("{} {} {nul:?}", leaf.method, leaf.path);
                let failure = leaf.call(&ana, text(leaf.field(), nul.to_owned())).await;
                let failure = failure.expect_err(&at);
                assert_eq!(failure.code, Code::InvalidArgument, "{at}");
                assert!(failure.fields.contains(&name_in_violations(&leaf)), "{at}: {failure:?}");
            }
        }
    }

    async fn p43_the_error_for_many_unknown_enum_numbers_is_short(app: TestApp) {
        let ana = app.person("ana").await;
        let enums = lists().into_iter().filter(|leaf| matches!(leaf.field().kind(), Kind::Enum(_)));
        for leaf in enums {
            for (count, fields) in [(100_000, 1), (25, 16)] {
                let wrong = Value::List(vec![Value::EnumNumber(9_999); count]);
                let failure = leaf.call(&ana, wrong).await.unwrap_err();
                assert_eq!(failure.code, Code::InvalidArgument);
                let named: Vec<_> =
                    failure.fields.iter().filter(|field| field.starts_with(&leaf.path)).collect();
                assert!(named.len() <= fields, "{failure:?}");
                assert!(failure.message.len() < 600, "{failure:?}");
            }
        }
    }

    async fn p43_a_bulk_call_with_invalid_rows_fails_with_a_bounded_error(app: TestApp) {
        let org = app.organization().await;
        let role = "no such role".to_owned();
        let wrong = |i| own::EmailInvitation { email: format!("a{i}@example.org"), role: role.clone(), ..Default::default() };
        let request = own::InviteByEmailRequest {
            organization_id: org.id.clone(),
            invitations: (0..1000).map(wrong).collect(),
            ..Default::default()
        };
        let failure = org.admin.invite_by_email(request).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::InvalidArgument, "INVALID_ARGUMENT"));
        assert!(failure.fields.len() > 5 && failure.fields.len() <= 16, "{failure:?}");
        assert_eq!(failure.fields[0], "invitations[0].role");
        let (_, more) = failure.message.rsplit_once("; and ").unwrap();
        let reported = failure.message.matches("invitations[").count();
        assert_eq!(more, format!("{} more", 1000 - reported));
    }
}
