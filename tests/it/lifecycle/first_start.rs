use std::os::unix::fs::PermissionsExt;

use guestlist::domain::ApiKeySecret;

use super::on_both_engines;
use crate::support::program::run_to_end;
use crate::support::{Installation, own};

/// The key in the file. Checks that only the owner can read the file.
fn first_key(at: &Installation) -> String {
    let text = std::fs::read_to_string(at.key_file()).unwrap();
    let mode = std::fs::metadata(at.key_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = text.strip_suffix('\n').unwrap();
    assert!(key.parse::<ApiKeySecret>().is_ok(), "the file contains only the key");
    key.to_owned()
}

fn keys_listed(at: &Installation) -> usize {
    let output = at.run(&["keys", "list"]);
    assert_eq!(output.code, 0, "{output:?}");
    output.out.lines().count() - 1
}

on_both_engines! {
    async fn the_first_start_creates_an_operator_key_and_prints_only_its_path(at: Installation) {
        let server = at.serve();
        let key = first_key(at);
        let caller = server.person(&key).get_caller(own::GetCallerRequest {}).await.unwrap();
        assert_eq!(caller.scope, "operator");
        let account = caller.account.unwrap();
        assert_eq!((account.email.as_str(), account.email_verified), ("admin@localhost", false));

        let ready = format!("listening on http://{}", server.addr);
        let printed = server.output();
        assert_eq!(printed.lines().last(), Some(ready.as_str()));
        assert!(printed.contains(&at.key_file().display().to_string()), "{printed}");
        assert!(printed.contains(&format!("curl http://{}/", server.addr)), "a first command: {printed}");

        let ended = server.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let secret = key.rsplit('_').next().unwrap();
        for text in [ended.out, ended.err] {
            assert!(!text.contains(secret) && !text.contains(&key), "P05: {text}");
        }
    }

    async fn the_first_command_that_the_server_prints_works(at: Installation) {
        let server = at.serve();
        let printed = server.output();
        let (_, command) = printed.split_once("Try:\n").unwrap();
        let (command, _) = command.rsplit_once("\nlistening").unwrap();
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", command]).current_dir(at.directory());
        let output = run_to_end(shell);
        assert_eq!(output.code, 0, "{}", output.err);
        let answer: serde_json::Value = serde_json::from_str(&output.out).unwrap();
        assert_eq!(answer["scope"], "operator", "{answer}");
    }

    async fn only_the_first_start_creates_a_key(at: Installation) {
        assert_eq!(at.serve().stop().code, Some(0));
        let key = first_key(at);
        let server = at.serve();
        assert_eq!(server.output(), format!("listening on http://{}\n", server.addr));
        assert_eq!(first_key(at), key);
        assert_eq!(keys_listed(at), 1);
        assert!(server.person(&key).get_caller(own::GetCallerRequest {}).await.is_ok());

        // A start also makes no key after the file was removed, or when an account was created
        // before the first start (see `keys`).
        server.stop();
        std::fs::remove_file(at.key_file()).unwrap();
        at.serve().stop();
        assert!(!at.key_file().exists());
        assert_eq!(keys_listed(at), 1);
    }

    async fn a_key_file_left_by_a_failed_start_is_replaced(at: Installation) {
        // A failed start wrote and synced this file before its commit, which then did not happen.
        std::fs::write(at.key_file(), "gl_0000000000000000_left\n").unwrap();
        let everybody = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(at.key_file(), everybody).unwrap();
        let server = at.serve();
        let key = first_key(at);
        assert!(server.person(&key).get_caller(own::GetCallerRequest {}).await.is_ok());
    }

    async fn a_failed_start_creates_no_key_and_no_account(at: Installation) {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let jwks = at.directory().join("jwks.json");
        std::fs::write(&jwks, "{}").unwrap();
        let config = at.directory().join("guestlist.toml");
        let issuer = "issuer = 'x'\naudience = 'x'\nalgorithms = ['EdDSA']\nlogin_provider = 'x'";
        let text = format!(
            "[[issuers]]\n{issuer}\nverified_email_domains = []\njwks_file = '{}'\n",
            jwks.display()
        );
        std::fs::write(&config, text).unwrap();
        let config = config.display().to_string();

        for (setting, value, words) in [
            ("GUESTLIST_LISTEN", address.as_str(), address.as_str()),
            ("GUESTLIST_METRICS_LISTEN", &address, &address),
            ("GUESTLIST_CONFIG", &config, "jwks.json"),
        ] {
            let output = run_to_end(at.command(&["serve"], &[(setting, value)]));
            assert_eq!((output.code, output.out.as_str()), (1, ""), "{setting}: {}", output.err);
            assert!(output.err.contains(words), "{setting}: {}", output.err);
            assert!(!at.key_file().exists(), "{setting}");
        }
        // No account was created, so the next start is still the first.
        assert!(at.serve().output().contains("first start"));
    }
}
