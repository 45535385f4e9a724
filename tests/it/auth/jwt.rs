use std::collections::HashSet;

use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

use super::{ACME, OTHER, World, account, on_both_engines, open_to_acme};
use crate::support::{Code, Person, own};

/// Action, actor, request and note of what happened to an account, oldest first.
async fn trail(world: &World, target: &str) -> Vec<(String, bool, bool, String)> {
    let db = world.app.database.connect().await;
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
async fn a_token_makes_its_account_once_and_keeps_it_up_to_date() {
    on_both_engines(async |world| {
        let claims = json!({ "sub": "ana", "email": "Ana@ACME.com", "email_verified": true });
        let ana = world.bearer(ACME, &claims);
        let first = account(&ana).await;
        assert_eq!((first.issuer.as_str(), first.subject.as_str()), (ACME, "ana"));
        assert_eq!((first.email.as_str(), first.email_verified), ("ana@acme.com", true));
        assert_eq!((first.name.as_str(), first.login_provider.as_str()), ("ana", "acme"));
        assert_eq!(account(&ana).await, first);

        let (organization, member) = ana.found("Acme").await;
        let named = json!({ "sub": "ana", "email": "ana@acme.com", "email_verified": true, "name": "Ana B" });
        let renamed = account(&world.bearer(ACME, &named)).await;
        assert_eq!((renamed.id.as_str(), renamed.name.as_str()), (first.id.as_str(), "Ana B"));
        let members = ana.members(&organization).await.unwrap();
        assert_eq!(members[0].user_id, member);

        let trail = trail(world, &first.id).await;
        let made = ("account.created".to_owned(), true, true, String::new());
        let updated = |note: &str| ("account.updated".to_owned(), true, true, note.to_owned());
        // The last one: the first token, without the name, was shown again.
        assert_eq!(trail, [made, updated("name"), updated("name")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p32_equal_subjects_of_two_issuers_are_two_people() {
    on_both_engines(async |world| {
        let claims = json!({ "sub": "ana", "email": "ana@acme.com", "email_verified": true });
        let (here, there) = (world.bearer(ACME, &claims), world.bearer(OTHER, &claims));
        assert_ne!(account(&here).await.id, account(&there).await.id);
        let (organization, _) = here.found("Acme").await;
        assert_eq!(there.get(&organization).await.unwrap_err().code, Code::NotFound);
        assert!(here.get(&organization).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p23_one_customers_issuer_cannot_vouch_for_anothers_domain() {
    on_both_engines(async |world| {
        let admin = world.app.person_with("boss@acme.com").await;
        let (organization, _) = admin.found("Acme").await;
        open_to_acme(&admin, &organization).await;

        let verified = json!({ "sub": "eve", "email": "eve@acme.com", "email_verified": true });
        let eve = world.bearer(OTHER, &verified);
        assert!(!account(&eve).await.email_verified);
        assert_eq!(eve.join_by_id(&organization).await.unwrap_err().code, Code::NotFound);

        // Its own issuer has not verified it, or says so in another way.
        for word in [json!(false), json!("true"), json!(null)] {
            let claims = json!({ "sub": "ana", "email": "ana@acme.com", "email_verified": word });
            let ana = world.bearer(ACME, &claims);
            assert_eq!(ana.join_by_id(&organization).await.unwrap_err().code, Code::NotFound);
        }
        let claims = json!({ "sub": "ana", "email": "ana@acme.com" });
        let ana = world.bearer(ACME, &claims);
        assert_eq!(ana.join_by_id(&organization).await.unwrap_err().code, Code::NotFound);

        let claims = json!({ "sub": "ana", "email": "ana@acme.com", "email_verified": true });
        assert!(world.bearer(ACME, &claims).join_by_id(&organization).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p31_whatever_is_wrong_with_a_token_the_answer_is_one() {
    on_both_engines(async |world| {
        let claims = world.claims(ACME, &json!({ "sub": "ana" }));
        let good = world.acme.token(&claims);
        let with = |header: serde_json::Value| world.acme.token_with(&header, &claims);
        let but = |member: &str, value: serde_json::Value| {
            let mut claims = claims.clone();
            claims[member] = value;
            world.acme.token(&claims)
        };
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        let tokens = [
            world.other.token(&claims),
            but("iss", json!(OTHER)),
            but("iss", json!("guestlist")),
            but("iss", json!("https://unknown.example")),
            but("aud", json!("somebody else")),
            but("exp", json!(1)),
            but("nbf", json!(4_000_000_000_u32)),
            with(json!({ "alg": "eddsa", "kid": "1" })),
            with(json!({ "alg": "none" })),
            with(json!({ "alg": "EdDSA", "kid": "2" })),
            with(json!({ "alg": "EdDSA", "kid": "1", "jku": "https://acme.example/keys" })),
            format!("{unsigned}."),
            unsigned.to_owned(),
            format!("{good}x"),
            "not-a-token".to_owned(),
        ];
        let mut answers = HashSet::new();
        for token in tokens {
            let bearer = Person::new(world.app.client(), Some(token.clone()));
            let failure = bearer.get_caller(own::GetCallerRequest {}).await.unwrap_err();
            assert_eq!(failure.code, Code::Unauthenticated, "{token}");
            answers.insert((failure.message, failure.reason));
        }
        assert_eq!(answers.len(), 1, "{answers:?}");
        let bearer = Person::new(world.app.client(), Some(good));
        assert!(bearer.get_caller(own::GetCallerRequest {}).await.is_ok());
    })
    .await;
}
