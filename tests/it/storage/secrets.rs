//! The secrets that an attacker with a copy of the store can learn: none.

use crate::on_both_engines;
use crate::support::{Code, TestApp};

on_both_engines! {
    async fn p02_a_dump_contains_no_token_no_key_and_nothing_that_can_join(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let dump = app.database.dump().await;
        assert!(dump.contains("acme") && dump.contains("ana@example.com"), "the dump has the data");

        let (_, secret) = org.admin.key.as_deref().unwrap()[3..].split_once('_').unwrap();
        let first_key = std::fs::read_to_string(app.data_dir().join("admin.key")).unwrap();
        let (_, first_secret) = first_key.trim()[3..].split_once('_').unwrap();
        for canary in [token.as_str(), &token.replace('-', ""), secret, first_secret] {
            assert!(!dump.contains(canary), "{canary}");
        }

        // Nothing in the dump works as a token: no id, no hash, no sealed copy.
        let uuid_like = dump.as_bytes().windows(32).filter_map(|window| {
            let text = std::str::from_utf8(window).ok()?;
            uuid::Uuid::try_parse(text).ok()
        });
        let dashed = dump.as_bytes().windows(36).filter_map(|window| {
            uuid::Uuid::try_parse(std::str::from_utf8(window).ok()?).ok()
        });
        let candidates: std::collections::BTreeSet<_> = uuid_like.chain(dashed).collect();
        assert!(candidates.len() > 10, "the ids were found");
        for candidate in candidates.iter().take(600) {
            let failure = org.stranger.join(&candidate.to_string()).await.unwrap_err();
            assert_eq!(failure.code, Code::NotFound, "{candidate}");
        }
    }
}
