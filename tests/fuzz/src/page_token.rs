//! Page tokens: only a token that the server made opens, if it is unchanged and for the same list.

use std::sync::LazyLock;

use guestlist::domain::{AccountId, PageSize};
use guestlist::error::Kind;
use guestlist::keyring::{Keyring, Purpose};
use guestlist::operations::cursor::Pagination;
use guestlist::operations::encoding::Encoding;
use serde_json::{Value, json};

/// The same key in every run, so that stored tokens stay valid. This target makes no tokens with
/// it: the fuzzer sees the values that are compared, and would use such a token as an input.
static KEYRING: LazyLock<Keyring> =
    LazyLock::new(|| Keyring::from_texts(["11".repeat(32)]).expect("a key"));

/// The key for the tokens that this target makes.
static SIGNING_KEYRING: LazyLock<Keyring> =
    LazyLock::new(|| Keyring::generate().expect("randomness"));

/// Tokens that were made earlier with [`KEYRING`]. The corpus contains them too.
const KNOWN_TOKENS: &[&str] = &[
    "Acjtdlz4kzLn1HEINl1lAyCKjMYkUU3nBOqkYxJN3rjXqLWr7_Ci8UI",
    "Acjtdlz4kzLnH3vBJWzM9m0BvTalkllMHL3ZBEZTRuWqZkdwVf_ODxxV3qAMX6WT",
    "Acjtdlz4kzLnRYO1Es0VJ-zl7RfvQ1OB4d3xeSD25r2xp7uP65YfoA",
];

/// Uses the input first as a token from a client, then as the content of a new token.
pub fn run(data: &[u8]) {
    let list = Pagination::new(encoding("ListThings", "shown"), account(1), "page.token");
    if let Ok(token) = std::str::from_utf8(data) {
        match list.cursor::<Value>(&KEYRING, token) {
            Ok(None) => assert_eq!(token, ""),
            Ok(Some(_)) => assert!(KNOWN_TOKENS.contains(&token), "{token} was never made"),
            Err(error) => {
                assert_eq!(error.kind, Kind::InvalidArgument);
                assert_eq!(error.violations.len(), 1);
                assert_eq!(error.violations[0].field, "page.token");
            }
        }
    }

    let place = json!([data.len(), String::from_utf8_lossy(data)]);
    let mut rows = vec![place.clone(), Value::Null];
    let token = list
        .cut(&SIGNING_KEYRING, &mut rows, PageSize::of(1), Value::clone)
        .expect("a place can be sealed");
    assert_eq!(rows, std::slice::from_ref(&place));
    assert_eq!(list.cursor(&SIGNING_KEYRING, &token).expect("its own token"), Some(place));

    // The token does not open for another list, caller or filter, or with another key.
    for other in [
        Pagination::new(encoding("ListOther", "shown"), account(1), "page.token"),
        Pagination::new(encoding("ListThings", "shown"), account(2), "page.token"),
        Pagination::new(encoding("ListThings", "shown otherwise"), account(1), "page.token"),
    ] {
        assert!(other.cursor::<Value>(&SIGNING_KEYRING, &token).is_err());
    }
    assert!(list.cursor::<Value>(&KEYRING, &token).is_err());

    // The token does not open if any character is changed, or if it is cut or longer.
    let index = data
        .iter()
        .fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)))
        % token.len();
    let replacement = data.first().map_or(b'A', |byte| {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=";
        letters[usize::from(*byte) % letters.len()]
    });
    let mut changed = token.clone().into_bytes();
    changed[index] = replacement;
    let changed = String::from_utf8(changed).expect("ASCII");
    for wrong in
        [&changed, &token[..index], &token[index..], &format!("{token}A"), &format!("{token}=")]
    {
        let opened = list.cursor::<Value>(&SIGNING_KEYRING, wrong);
        assert!(
            wrong == token.as_str() || wrong.is_empty() || opened.is_err(),
            "{token} opens as {wrong}"
        );
    }

    // A value that is sealed for another purpose is not a page token.
    let sealed = SIGNING_KEYRING.seal(Purpose::InviteToken, b"", data).expect("it can be sealed");
    assert!(SIGNING_KEYRING.open(Purpose::PageToken, b"", &sealed).is_err());
    assert_eq!(*SIGNING_KEYRING.open(Purpose::InviteToken, b"", &sealed).expect("it opens"), data);
}

fn encoding(list: &str, what: &str) -> Encoding {
    Encoding::new(list).text(what)
}

fn account(id: u8) -> AccountId {
    format!("00000000-0000-7000-8000-{id:012}").parse().expect("a UUID")
}
