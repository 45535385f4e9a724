use std::time::Instant;

use guestlist::domain::ApiKeySecret;

use sea_orm::ConnectionTrait;

use super::on_both_engines;
use crate::support::{Code, Engine, Server, assert_rejected_within_a_second, own};

async fn code_of(server: &Server, key: &str) -> Code {
    match server.person(key).get_caller(own::GetCallerRequest {}).await {
        Ok(_) => Code::Ok,
        Err(failure) => failure.code,
    }
}

on_both_engines! {
    async fn p22_keys_changed_on_the_command_line_take_effect_within_a_second(at: Installation) {
        // On PostgreSQL, several servers can use one store.
        let mut servers = vec![at.serve()];
        if at.database.engine == Engine::Postgres {
            servers.push(at.serve());
        }
        for _ in 0..3 {
            let key = at.new_key("ana@acme.com");
            for server in &servers {
                assert_eq!(code_of(server, &key).await, Code::Ok);
            }
            let id = &key[3..19];
            let output = at.run(&["keys", "revoke", id]);
            assert_eq!((output.code, output.out), (0, format!("revoked {id}\n")), "{}", output.err);
            let revoked = Instant::now();
            for server in &servers {
                assert_rejected_within_a_second(revoked, async || code_of(server, &key).await).await;
            }
        }
    }

    async fn keys_are_listed_without_their_secrets(at: Installation) {
        let server = at.serve();
        let output = at.run(&["keys", "create", "--email", "Ana@ACME.com", "--expires", "90d"]);
        assert_eq!((output.code, output.err.as_str()), (0, ""));
        let key: ApiKeySecret = output.out.strip_suffix('\n').unwrap().parse().expect("only the key");
        let output = at.run(&["keys", "create", "--service", "--name", "portal", "--scope", "act"]);
        let service: ApiKeySecret = output.out.trim_end().parse().unwrap();
        let caller = server.person(&service.expose()).get_caller(own::GetCallerRequest {}).await;
        assert_eq!(caller.unwrap().scope, "act");

        let list = at.run(&["keys", "list"]).out;
        assert_eq!(list.lines().count(), 4, "a header and three keys: {list}");
        assert!(list.contains(key.id().as_str()) && list.contains("ana@acme.com"), "{list}");
        assert!(!list.contains(&key.expose()[20..]), "no secret: {list}");

        assert_eq!(at.run(&["keys", "revoke", key.id().as_str()]).code, 0);
        let again = at.run(&["keys", "revoke", key.id().as_str()]);
        assert_eq!(again.code, 1);
        assert!(again.err.contains(key.id().as_str()), "{}", again.err);
        let unknown = at.run(&["keys", "revoke", "0123456789abcdef"]);
        assert_eq!(unknown.code, 1, "{}", unknown.err);
        assert!(at.run(&["keys", "list"]).out.contains("revoked"));
    }

    async fn a_key_cannot_expire_after_the_year_9999(at: Installation) {
        for far in ["9000y", "500000y"] {
            let output = at.run(&["keys", "create", "--email", "ana@acme.com", "--expires", far]);
            assert_eq!((output.code, output.out.as_str()), (1, ""), "{far}: {}", output.err);
            assert!(output.err.contains("year 9999"), "{far}: {}", output.err);
        }
        let output = at.run(&["keys", "create", "--email", "ana@acme.com", "--expires", "7000y"]);
        let key: ApiKeySecret = output.out.trim_end().parse().expect("only the key");
        let server = at.serve();
        assert_eq!(code_of(&server, &key.expose()).await, Code::Ok);
        // A later end, which older versions have stored, is still shown.
        let connection = at.database.connect().await;
        let far = format!("UPDATE api_keys SET expires_at = {}", i64::MAX);
        connection.execute_unprepared(&far).await.unwrap();
        connection.close().await.unwrap();
        let list = at.run(&["keys", "list"]);
        assert_eq!(list.code, 0, "{}", list.err);
        assert!(list.out.contains("9999-12-31T23:59:59Z"), "{}", list.out);
    }

    async fn the_last_use_of_a_key_is_stored_when_the_server_stops(at: Installation) {
        let server = at.serve();
        let key = at.new_key("ana@acme.com");
        let last_used = || {
            let list = at.run(&["keys", "list"]).out;
            let line = list.lines().find(|line| line.contains(&key[3..19])).unwrap();
            line.split_whitespace().last().unwrap().to_owned()
        };
        assert_eq!(code_of(&server, &key).await, Code::Ok);
        assert_eq!(server.stop().code, Some(0));
        assert!(last_used().ends_with('Z'), "{}", last_used());
    }

    async fn a_key_can_be_created_before_the_first_start(at: Installation) {
        let key = at.new_key("ana@acme.com");
        let server = at.serve();
        assert_eq!(code_of(&server, &key).await, Code::Ok);
        assert!(!server.output().contains("first start"), "there is an account already");
        assert!(!at.key_file().exists());
    }
}
