//! The rotation of the secret key, on one server after the other.

use guestlist::keyring::Keyring;

use super::on_both_engines;
use crate::rest::client::Rest;
use crate::support::client::Client;
use crate::support::program::run_to_end;
use crate::support::{Code, Engine, Person, Protocol, Server, own, run_installed};

const SETTING: &str = "GUESTLIST_SECRET_KEY";

fn new_key() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// The id of a key, as the log has it.
fn id(key: &str) -> String {
    Keyring::from_texts([key]).unwrap().ids()[0].to_string()
}

/// Requests a page of one invite; returns the token of the next page.
async fn page(person: &Person, organization: &str, token: &str) -> Result<String, Code> {
    let page = own::PageRequest { page_size: 1, page_token: token.to_owned() };
    let request = own::ListRequest {
        organization_id: organization.to_owned(),
        page: Some(page),
        ..Default::default()
    };
    let answer = person.list_invites(request).await.map_err(|failure| failure.code)?;
    Ok(answer.next_page_token)
}

/// Checks that each server opens the tokens that every server has just sealed.
pub(super) async fn check_tokens_open_on_all_servers(
    servers: &[Server],
    key: &str,
    organization: &str,
) {
    for maker in servers.iter().map(|server| server.person(key)) {
        let token = maker.invite(organization).await.unwrap();
        let next = page(&maker, organization, "").await.unwrap();
        assert!(!next.is_empty());
        for reader in servers.iter().map(|server| server.person(key)) {
            assert_eq!(reader.current_invite(organization).await.unwrap(), token);
            assert!(page(&reader, organization, &next).await.is_ok());
        }
    }
}

#[test]
fn p40_a_key_rotation_in_two_rounds_fails_no_call() {
    run_installed(Engine::Postgres, async |at| {
        let (old, new) = (new_key(), new_key());
        let serve = |keys: &str| at.serve_with(&[(SETTING, keys)]);
        let mut servers = vec![serve(&old), serve(&old)];
        let key = at.new_key("ana@acme.com");
        let ana = servers[0].person(&key);
        let (organization, _) = ana.new_organization("Acme").await;
        let link = ana.link(&organization, "read").await.unwrap();
        for keys in [format!("{old},{new}"), format!("{new},{old}")] {
            for i in 0..servers.len() {
                servers.remove(0).stop();
                servers.push(serve(&keys));
                check_tokens_open_on_all_servers(&servers, &key, &organization).await;
                let shown =
                    servers[i].person(&key).invite_by_id(&organization, &link.id).await.unwrap();
                assert_eq!(shown.token, link.token, "sealed before the rotation");
            }
        }
        // After this, no value in use is sealed with the old key, so the key can be removed.
        ana_of(&servers, &key).revoke(&organization, &link.id).await.unwrap();
        for _ in 0..servers.len() {
            servers.remove(0).stop();
            servers.push(serve(&new));
            check_tokens_open_on_all_servers(&servers, &key, &organization).await;
        }
        for server in servers {
            let log = server.stop().err;
            assert!(!log.contains("request failed") && !log.contains("lacks"), "{log}");
        }
    });
}

fn ana_of(servers: &[Server], key: &str) -> Person {
    servers[0].person(key)
}

#[test]
fn p40_a_server_without_the_new_key_reports_the_key_id() {
    run_installed(Engine::Postgres, async |at| {
        let (old, new) = (new_key(), new_key());
        let behind = at.serve_with(&[(SETTING, &old)]);
        let key = at.new_key("ana@acme.com");
        let ana = behind.person(&key);
        let (organization, _) = ana.new_organization("Acme").await;
        let both = format!("{new},{old}");
        let ahead = at.serve_with(&[(SETTING, &both)]);
        let there = ahead.person(&key);
        let token = there.invite(&organization).await.unwrap();
        let link = there.link(&organization, "read").await.unwrap();

        refuses_on_every_protocol(&behind, &key, &organization, &link.id).await;
        let next = page(&there, &organization, "").await.unwrap();
        assert_eq!(page(&ana, &organization, &next).await, Err(Code::InvalidArgument));
        // The server that has the new key still opens the token that it sealed.
        assert_eq!(there.current_invite(&organization).await.unwrap(), token);

        let log = behind.stop().err;
        let is_logged =
            |words: &str| log.lines().any(|line| line.contains(words) && line.contains(&id(&new)));
        assert!(is_logged("secret_key_file") && is_logged("page token"), "{log}");
        assert!(!log.contains(&new) && !log.contains(&old), "P05: {log}");

        let output = run_to_end(at.command(&["serve"], &[(SETTING, &old)]));
        assert_eq!((output.code, output.out.as_str()), (1, ""), "{}", output.err);
        for words in [&id(&new), &id(&old), "every replica"] {
            assert!(output.err.contains(words), "{words}: {}", output.err);
        }
        assert!(!output.err.contains(&new) && !output.err.contains(&old), "P05: {}", output.err);
    });
}

/// Expects UNAVAILABLE: the token is not wrong and this is no internal error, because a server with
/// the key can show the token.
async fn refuses_on_every_protocol(server: &Server, key: &str, organization: &str, link: &str) {
    for protocol in Protocol::ALL {
        let person = Person::new(Client::new(server.addr, protocol), Some(key.to_owned()));
        let failure = person.current_invite(organization).await.unwrap_err();
        assert_eq!(failure.code, Code::Unavailable, "{protocol:?}: {failure:?}");
        let failure = person.invite_by_id(organization, link).await.unwrap_err();
        assert_eq!(failure.code, Code::Unavailable, "{protocol:?}: {failure:?}");
    }
    let path = format!("/v1/orgs/{organization}/link-invites");
    let answer = Rest::new(&server.person(key), "GET", &path).send().await;
    assert_eq!(answer.status, 503, "{answer:?}");
}

on_both_engines! {
    async fn a_key_that_was_removed_too_early_is_reported(at: Installation) {
        let (old, new) = (new_key(), new_key());
        let server = at.serve_with(&[(SETTING, &old)]);
        let key = at.new_key("ana@acme.com");
        let (organization, _) = server.person(&key).new_organization("Acme").await;
        let token = server.person(&key).invite(&organization).await.unwrap();
        let link = server.person(&key).link(&organization, "read").await.unwrap();
        server.stop();
        let both = format!("{new},{old}");
        let server = at.serve_with(&[(SETTING, &both)]);
        assert_eq!(server.person(&key).current_invite(&organization).await.unwrap(), token);
        let log = server.stop().err;
        let loaded = log.lines().find(|line| line.contains("secret keys"));
        let loaded = loaded.expect("a start logs its keys");
        assert!(loaded.contains(&id(&new)) && loaded.contains(&id(&old)), "{loaded}");

        let server = at.serve_with(&[(SETTING, &new)]);
        refuses_on_every_protocol(&server, &key, &organization, &link.id).await;
        // The join link can be replaced as usual; until then people can join with the old one.
        let fresh = server.person(&key).invite(&organization).await.unwrap();
        assert_eq!(server.person(&key).current_invite(&organization).await.unwrap(), fresh);
        let log = server.stop().err;
        assert!(log.contains(&id(&old)) && !log.contains(&old), "{log}");
    }
}
