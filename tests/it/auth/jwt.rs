use std::collections::HashSet;

use guestlist::clock::Clock;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

use super::{ACME, Fixture, OTHER, account, on_both_engines, open_to_acme};
use crate::support::{Code, Person, gitpod, own};

/// The audit events of an account, oldest first: the action, whether the account is the actor,
/// whether there is a request id, and the note.
async fn trail(fixture: &Fixture, target: &str) -> Vec<(String, bool, bool, String)> {
    let db = fixture.app.database.connect().await;
    let sql = format!(
        "SELECT action, actor_id, request_id, note FROM audit_events \
         WHERE target_id = '{target}' ORDER BY id"
    );
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
    let target: uuid::Uuid = target.parse().unwrap();
    rows.unwrap()
        .iter()
        .map(|row| {
            let actor: Option<uuid::Uuid> = row.try_get("", "actor_id").unwrap();
            let request: String = row.try_get("", "request_id").unwrap();
            let text = |column: &str| row.try_get::<String>("", column).unwrap();
            (text("action"), actor == Some(target), !request.is_empty(), text("note"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_creates_its_account_once_and_updates_it() {
    on_both_engines(async |fixture| {
        let claims = json!({ "sub": "ana", "email": "Ana@ACME.com", "email_verified": true });
        let ana = fixture.bearer(ACME, &claims);
        let first = account(&ana).await;
        assert_eq!((first.issuer.as_str(), first.subject.as_str()), (ACME, "ana"));
        assert_eq!((first.email.as_str(), first.email_verified), ("ana@acme.com", true));
        assert_eq!((first.name.as_str(), first.login_provider.as_str()), ("ana", "acme"));
        assert_eq!(account(&ana).await, first);

        let (organization, member) = ana.new_organization("Acme").await;
        let named = json!({ "sub": "ana", "email": "ana@acme.com", "email_verified": true, "name": "Ana B" });
        let renamed = account(&fixture.bearer(ACME, &named)).await;
        assert_eq!((renamed.id.as_str(), renamed.name.as_str()), (first.id.as_str(), "Ana B"));
        let members = ana.members(&organization).await.unwrap();
        assert_eq!(members[0].user_id, member);

        let trail = trail(fixture, &first.id).await;
        let made = ("account.created".to_owned(), true, true, String::new());
        let updated = |note: &str| ("account.updated".to_owned(), true, true, note.to_owned());
        // The first token, which has no name, was sent again and changed nothing.
        assert_eq!(trail, [made, updated("name")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p32_the_same_subject_of_two_issuers_is_two_accounts() {
    on_both_engines(async |fixture| {
        let claims = json!({ "sub": "ana", "email": "ana@acme.com", "email_verified": true });
        let (here, there) = (fixture.bearer(ACME, &claims), fixture.bearer(OTHER, &claims));
        assert_ne!(account(&here).await.id, account(&there).await.id);
        let (organization, _) = here.new_organization("Acme").await;
        assert_eq!(there.get(&organization).await.unwrap_err().code, Code::NotFound);
        assert!(here.get(&organization).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p23_an_issuer_cannot_verify_addresses_in_another_issuers_domain() {
    on_both_engines(async |fixture| {
        let admin = fixture.app.person_with("boss@acme.com").await;
        let (organization, _) = admin.new_organization("Acme").await;
        open_to_acme(&admin, &organization).await;

        let verified = json!({ "sub": "eve", "email": "eve@acme.com", "email_verified": true });
        let eve = fixture.bearer(OTHER, &verified);
        assert!(!account(&eve).await.email_verified);
        assert_eq!(eve.join_by_id(&organization).await.unwrap_err().code, Code::NotFound);

        // The domain's own issuer has not verified the address, or the claim is not a boolean.
        for value in [json!(false), json!("true"), json!(null)] {
            let claims = json!({ "sub": "ana", "email": "ana@acme.com", "email_verified": value });
            let ana = fixture.bearer(ACME, &claims);
            assert_eq!(ana.join_by_id(&organization).await.unwrap_err().code, Code::NotFound);
        }
        let claims = json!({ "sub": "ana", "email": "ana@acme.com" });
        let ana = fixture.bearer(ACME, &claims);
        assert_eq!(ana.join_by_id(&organization).await.unwrap_err().code, Code::NotFound);

        let claims = json!({ "sub": "ana", "email": "ana@acme.com", "email_verified": true });
        assert!(fixture.bearer(ACME, &claims).join_by_id(&organization).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p31_every_invalid_token_gets_the_same_error() {
    on_both_engines(async |fixture| {
        let claims = fixture.claims(ACME, &json!({ "sub": "ana" }));
        let good = fixture.acme.token(&claims);
        let with_header = |header: serde_json::Value| fixture.acme.token_with(&header, &claims);
        let with_claim = |member: &str, value: serde_json::Value| {
            let mut claims = claims.clone();
            claims[member] = value;
            fixture.acme.token(&claims)
        };
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        let tokens = [
            fixture.other.token(&claims),
            with_claim("iss", json!(OTHER)),
            with_claim("iss", json!("guestlist")),
            with_claim("iss", json!("https://unknown.example")),
            with_claim("aud", json!("somebody else")),
            with_claim("exp", json!(1)),
            with_claim("nbf", json!(4_000_000_000_u32)),
            with_header(json!({ "alg": "eddsa", "kid": "1" })),
            with_header(json!({ "alg": "none" })),
            with_header(json!({ "alg": "EdDSA", "kid": "2" })),
            with_header(json!({ "alg": "EdDSA", "kid": "1", "jku": "https://acme.example/keys" })),
            format!("{unsigned}."),
            unsigned.to_owned(),
            format!("{good}x"),
            "not-a-token".to_owned(),
        ];
        // After this request the valid token is in the cache of verified tokens.
        let bearer = Person::new(fixture.app.client(), Some(good));
        assert!(bearer.get_caller(own::GetCallerRequest {}).await.is_ok());
        let mut answers = HashSet::new();
        for token in tokens {
            let bearer = Person::new(fixture.app.client(), Some(token.clone()));
            let failure = bearer.get_caller(own::GetCallerRequest {}).await.unwrap_err();
            assert_eq!(failure.code, Code::Unauthenticated, "{token}");
            answers.insert((failure.message, failure.reason));
        }
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert!(bearer.get_caller(own::GetCallerRequest {}).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p28_tokens_with_fewer_claims_do_not_change_the_account() {
    on_both_engines(async |fixture| {
        fixture.app.clock.stop_at(fixture.app.clock.now());
        let bare = fixture.bearer(ACME, &json!({ "sub": "zoe" }));
        let claims = json!({
            "sub": "zoe", "email": "zoe@acme.com", "email_verified": true, "name": "Zoe",
            "picture": "https://pics.example/zoe",
        });
        let full = fixture.bearer(ACME, &claims);
        let stored = account(&full).await;
        let expected = ("zoe@acme.com", true, "Zoe", "https://pics.example/zoe");
        let fields = |account: &own::Account| {
            let own::Account { email, email_verified, name, picture, .. } = account.clone();
            (email, email_verified, name, picture)
        };
        let (email, verified, name, picture) = expected;
        let expected = (email.to_owned(), verified, name.to_owned(), picture.to_owned());
        assert_eq!(fields(&stored), expected);
        let empty = json!({
            "sub": "zoe", "email": "", "email_verified": false, "name": "", "picture": null,
        });
        let unverified_alone = json!({ "sub": "zoe", "email_verified": false });
        let nonsense =
            json!({ "sub": "zoe", "email": 7, "name": ["x"], "picture": "javascript:x" });
        for silent in [empty, unverified_alone, nonsense] {
            let silent = fixture.bearer(ACME, &silent);
            assert_eq!(fields(&account(&silent).await), expected);
        }
        for turn in 0..100 {
            let who = if turn % 2 == 0 { &bare } else { &full };
            assert_eq!(account(who).await, stored, "turn {turn}");
        }
        let made = ("account.created".to_owned(), true, true, String::new());
        assert_eq!(trail(fixture, &stored.id).await, [made]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p28_an_address_and_its_verification_are_updated_together_at_once() {
    on_both_engines(async |fixture| {
        fixture.app.clock.stop_at(fixture.app.clock.now());
        let with_claims = |claims: serde_json::Value| fixture.bearer(ACME, &claims);
        let first = with_claims(json!({ "sub": "zoe" }));
        let id = account(&first).await.id;
        let verified = json!({ "sub": "zoe", "email": "zoe@acme.com", "email_verified": true });
        // The account had no address before. The name is stored together with the address.
        let now = account(&with_claims(verified.clone())).await;
        assert_eq!((now.email.as_str(), now.email_verified, now.name.as_str()), ("zoe@acme.com", true, "zoe"));
        let alone = account(&with_claims(json!({ "sub": "zoe", "email": "zoe@acme.com" }))).await;
        assert_eq!((alone.email.as_str(), alone.email_verified), ("zoe@acme.com", false));
        assert!(account(&with_claims(verified)).await.email_verified);
        let moved = json!({ "sub": "zoe", "email": "zoe@other.com", "email_verified": true, "name": "Zoe" });
        let moved = account(&with_claims(moved)).await;
        assert_eq!((moved.email.as_str(), moved.email_verified), ("zoe@other.com", false));
        assert_eq!(moved.name, "Zoe", "a name is stored at once together with a new address");
        let notes: Vec<String> = trail(fixture, &id).await.into_iter().map(|event| event.3).collect();
        let expected = ["", "email, email_verified, name", "email_verified", "email_verified", "email, email_verified, name"];
        assert_eq!(notes, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p48_a_search_finds_a_member_by_the_newest_name_and_address() {
    on_both_engines(async |fixture| {
        fixture.app.clock.stop_at(fixture.app.clock.now());
        let org = fixture.app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let bare = fixture.bearer(ACME, &json!({ "sub": "zoe" }));
        bare.join(&token).await.unwrap();
        let is_found = async |search: &str| {
            let search = search.to_owned();
            let filter = gitpod::list_members_request::Filter { search, ..Default::default() };
            let request = gitpod::ListMembersRequest {
                organization_id: org.id.clone(),
                filter: Some(filter),
                count: Some(gitpod::CountRequest { include: true }),
                ..Default::default()
            };
            let page = org.admin.list_members(request).await.unwrap();
            let count = page.count.unwrap().value;
            assert_eq!(count as usize, page.members.len());
            count == 1
        };
        assert!(!is_found("zoe").await, "the subject is not searched");
        let mut before: Option<&str> = None;
        for address in ["zoe@acme.com", "z@other.example"] {
            let claims = json!({ "sub": "zoe", "email": address, "name": "Zara" });
            account(&fixture.bearer(ACME, &claims)).await;
            assert!(is_found(&address[1..]).await, "{address}");
            assert!(is_found("zara").await);
            if let Some(before) = before.replace(address) {
                assert!(!is_found(before).await, "{before}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p28_a_name_or_picture_alone_is_updated_at_most_once_a_minute() {
    on_both_engines(async |fixture| {
        fixture.app.clock.stop_at(fixture.app.clock.now());
        let named = |name: &str, picture: &str| {
            let picture = format!("https://pics.example/{picture}");
            fixture.bearer(ACME, &json!({ "sub": "zoe", "name": name, "picture": picture }))
        };
        let (one, two, three) = (named("One", "1"), named("Two", "1"), named("Two", "3"));
        let id = account(&one).await.id;
        let name_of = async |person: &Person| account(person).await.name;
        assert_eq!(name_of(&two).await, "Two", "the first change is stored at once");
        let micro = std::time::Duration::from_micros(1);
        for _ in 0..10 {
            assert_eq!(name_of(&one).await, "Two");
            assert_eq!(account(&three).await.picture, "https://pics.example/1");
        }
        fixture.app.clock.advance(std::time::Duration::from_secs(60) - micro);
        assert_eq!(name_of(&one).await, "Two");
        fixture.app.clock.advance(micro);
        assert_eq!(name_of(&one).await, "One");
        for _ in 0..10 {
            assert_eq!(name_of(&two).await, "One");
        }
        fixture.app.clock.advance(std::time::Duration::from_secs(60));
        assert_eq!(account(&three).await.picture, "https://pics.example/3");
        let notes: Vec<String> =
            trail(fixture, &id).await.into_iter().map(|event| event.3).collect();
        assert_eq!(notes, ["", "name", "name", "name, picture"]);
    })
    .await;
}
