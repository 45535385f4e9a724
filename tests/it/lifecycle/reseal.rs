//! `guestlist secret-key reseal` while a server runs, and killed repeatedly.
//!
//! ```sh
//! GUESTLIST_TEST_LINKS=30000 cargo test --test it lifecycle::reseal -- --nocapture
//! ```

use std::process::Stdio;

use futures::future::join_all;
use guestlist::error::Error;
use guestlist::keyring::Keyring;
use guestlist::operations::reseal::{Resealed, reseal};
use guestlist::storage::{Opener, Store};
use tokio::task::block_in_place;

use super::{on_both_engines, until};
use crate::support::databases::pool;
use crate::support::program::{CommandOutput, run_to_end};
use crate::support::{Engine, Installation, Person, from_environment, own};
use crate::webhooks::Endpoint;

/// The number of links to seal again; the default is more than two batches of the command.
fn number_of_links() -> usize {
    from_environment("GUESTLIST_TEST_LINKS").map_or(1100, |links| usize::try_from(links).unwrap())
}

fn new_key() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

fn id(key: &str) -> String {
    Keyring::from_texts([key]).unwrap().ids()[0].to_string()
}

fn with_keys(keys: &str) -> [(&'static str, &str); 3] {
    [
        ("GUESTLIST_SECRET_KEY", keys),
        ("GUESTLIST_WEBHOOKS__ALLOW_HTTP", "true"),
        ("GUESTLIST_WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8"),
    ]
}

fn run(at: &Installation, arguments: &[&str], keys: &str) -> CommandOutput {
    block_in_place(|| run_to_end(at.command(arguments, &with_keys(keys))))
}

/// The numbers of invite tokens and of webhook secrets that are sealed with a key.
async fn sealed_by(at: &Installation, key: &str) -> (i64, i64) {
    let is = |column: &str| match at.database.engine {
        Engine::Postgres => format!("encode(substr({column}, 2, 8), 'hex') = '{}'", id(key)),
        Engine::Sqlite => format!("lower(hex(substr({column}, 2, 8))) = '{}'", id(key)),
    };
    let count = async |table: &str, column: &str| {
        let sql = format!("SELECT count(*) FROM {table} WHERE {}", is(column));
        at.database.count(&sql).await
    };
    let secrets = count("webhooks", "secret_sealed").await;
    let previous = count("webhooks", "previous_secret_sealed").await;
    (count("invites", "token_sealed").await, secrets + previous)
}

async fn links(person: &Person, organization: &str, number: usize) -> Vec<own::Invite> {
    let mut made = Vec::new();
    while made.len() < number {
        let batch = (0..50).map(|_| person.link(organization, "read"));
        made.extend(join_all(batch).await.into_iter().map(Result::unwrap));
    }
    made
}

/// Repeats calls that need tokens until `end` is true; none may fail. Returns the number of
/// rounds.
async fn work(
    person: Person,
    organization: String,
    end: tokio::sync::watch::Receiver<bool>,
) -> usize {
    let mut rounds = 0;
    while !*end.borrow() {
        let token = person.invite(&organization).await.unwrap();
        assert_eq!(person.current_invite(&organization).await.unwrap(), token);
        let link = person.link(&organization, "read").await.unwrap();
        let shown = person.invite_by_id(&organization, &link.id).await.unwrap();
        assert_eq!(shown.token, link.token);
        person.revoke(&organization, &link.id).await.unwrap();
        rounds += 1;
    }
    rounds
}

/// Starts as the command does, and stops after the first transaction with changes.
async fn stop_after_one_transaction(at: &Installation, keys: &str) {
    let location = at.database.location();
    let store = Store::open(&location, &pool(), Opener::CommandLine, None).await.unwrap();
    let keyring = Keyring::from_texts(keys.split(',')).unwrap();
    let stop = |until_now: &Resealed| match until_now.changed() {
        0 => Ok(()),
        _ => Err(Error::internal("it stops here")),
    };
    reseal(&store, &keyring, &stop).await.unwrap_err();
    store.close().await.unwrap();
}

/// Runs the command and kills it as soon as it has sealed some values, until no value with the old
/// key is left; returns the number of kills.
async fn kill_repeatedly(at: &Installation, keys: &str, old: &str) -> usize {
    let mut kills = 0;
    loop {
        let left = sealed_by(at, old).await;
        if left == (0, 0) {
            return kills;
        }
        let mut command = at.command(&["secret-key", "reseal"], &with_keys(keys));
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("the command seals values", async || sealed_by(at, old).await != left).await;
        process.kill().unwrap();
        process.wait().unwrap();
        kills += 1;
    }
}

on_both_engines! {
    async fn p46_resealing_beside_a_server_and_after_kills_loses_no_token(at: Installation) {
        let (old, new) = (new_key(), new_key());
        let both = format!("{new},{old}");
        let server = at.serve_with(&with_keys(&old));
        let key = at.new_key("ana@acme.com");
        let ana = server.person(&key);
        let (organization, _) = ana.new_organization("Acme").await;
        let (other, _) = ana.new_organization("Other").await;
        let made = links(&ana, &organization, number_of_links()).await;
        let token = ana.invite(&organization).await.unwrap();
        let ended = ana.link(&organization, "read").await.unwrap();
        ana.revoke(&organization, &ended.id).await.unwrap();
        let endpoint = Endpoint::start().await;
        let (webhook, first) = ana.webhook(&organization, &endpoint.url).await.unwrap();
        let request = own::RotateSecretRequest {
            organization_id: organization.clone(),
            webhook_id: webhook.id.clone(),
        };
        let second = ana.rotate_secret(request).await.unwrap().secret;
        endpoint.next_of("webhook.updated").await;

        // The command is rejected until a server seals with the new key: the running server could
        // not open the values that the command seals.
        let total = sealed_by(at, &old).await;
        assert!(total.0 > i64::try_from(made.len()).unwrap() && total.1 == 2, "{total:?}");
        let output = run(at, &["secret-key", "reseal"], &both);
        assert_eq!((output.code, output.out.as_str()), (1, ""), "{}", output.err);
        assert!(output.err.contains(&id(&old)) && output.err.contains(&id(&new)), "{}", output.err);
        assert_eq!(sealed_by(at, &old).await, total);
        server.stop();

        let server = at.serve_with(&with_keys(&both));
        let output = run(at, &["check-config"], &both);
        let needed = format!("needs the secret key {}: invite tokens ", id(&old));
        assert!(output.code == 0 && output.out.contains(&needed), "{output:?}");
        let (end, ends) = tokio::sync::watch::channel(false);
        let worker = tokio::spawn(work(server.person(&key), other, ends));
        stop_after_one_transaction(at, &both).await;
        let left = sealed_by(at, &old).await;
        assert!(left.0 > 0 && left.0 < total.0, "in the middle: {left:?} of {total:?}");
        let kills = kill_repeatedly(at, &both, &old).await;
        println!("{} tokens and secrets, {kills} kills", total.0 + total.1);
        assert!(kills > 0);
        let output = run(at, &["secret-key", "reseal"], &both);
        assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
        let nothing = "invite tokens 0, webhook secrets 0";
        assert!(output.out.contains(nothing), "P46: no value was left to seal: {}", output.out);
        end.send_replace(true);
        assert!(worker.await.unwrap() > 0);
        assert_eq!(sealed_by(at, &new).await.1, total.1);
        assert!(sealed_by(at, &new).await.0 >= total.0, "the tokens of ended invites too");
        let output = run(at, &["check-config"], &both);
        let needed = format!("does not need the secret key {}", id(&old));
        assert!(output.code == 0 && output.out.contains(&needed), "{output:?}");
        assert!(!output.out.contains(&new) && !output.out.contains(&old), "P05: {output:?}");
        server.stop();

        // Without the old key.
        let server = at.serve_with(&with_keys(&new));
        let ana = server.person(&key);
        for made in made.chunks(50) {
            let some = made.iter().map(|link| ana.invite_by_id(&organization, &link.id));
            for (shown, link) in join_all(some).await.into_iter().zip(made) {
                assert_eq!(shown.unwrap().token, link.token);
            }
        }
        assert_eq!(ana.current_invite(&organization).await.unwrap(), token);
        let ben = server.person(&at.new_key("ben@acme.com"));
        ben.join(&token).await.unwrap();
        let sent = endpoint.next_of("member.joined").await;
        assert!(sent.is_signed_by(&first) && sent.is_signed_by(&second));
        let log = server.stop().err;
        assert!(!log.contains("lacks"), "{log}");
    }

    async fn p46_values_that_no_key_can_decrypt_are_reported_and_kept(at: Installation) {
        let (old, new) = (new_key(), new_key());
        let both = format!("{new},{old}");
        let server = at.serve_with(&with_keys(&old));
        let key = at.new_key("ana@acme.com");
        let (organization, _) = server.person(&key).new_organization("Acme").await;
        let link = server.person(&key).link(&organization, "read").await.unwrap();
        server.stop();
        at.serve_with(&with_keys(&both)).stop();

        let output = run(at, &["secret-key", "reseal"], &new);
        assert_eq!(output.code, 1, "{}", output.out);
        assert!(output.err.contains(&id(&old)) && output.err.contains("cannot be decrypted"), "{}", output.err);
        assert_eq!(sealed_by(at, &old).await, (1, 0));
        let output = run(at, &["secret-key", "reseal"], &both);
        assert_eq!((output.code, output.err.as_str()), (0, ""));
        assert!(output.out.contains("invite tokens 1, webhook secrets 0"), "{}", output.out);
        let server = at.serve_with(&with_keys(&new));
        let shown = server.person(&key).invite_by_id(&organization, &link.id).await.unwrap();
        assert_eq!(shown.token, link.token);
        server.stop();
    }
}
