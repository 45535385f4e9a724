//! This version opens the stores of released versions (tests/upgrade), and the values that clients
//! keep of them still work. Also, a released server and this one serve one database during an
//! upgrade.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use guestlist::clock::OffsetClock;
use guestlist::domain::{KeyScope, Timestamp};
use guestlist::keyring::Keyring;
use guestlist::operations::keys::Owner;
use guestlist::operations::reseal::reseal;
use sea_orm::ConnectionTrait;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::load::Load;
use super::secret_key::check_tokens_open_on_all_servers;
use super::{organizations, until};
use crate::support::{
    Code, Database, Engine, Installation, Person, Server, TestApp, gitpod, own, run_installed,
};

/// As in tests/upgrade/make.
const SECRET_KEY_TEXT: &str = "the secret key of the fixtures in tests/upgrade";

/// The values that clients of a released version keep of its store: see `fill` in
/// tests/upgrade/make.
#[derive(Deserialize)]
struct Kept {
    organization_id: String,
    members: BTreeMap<String, String>,
    join_link_sha256: String,
    link_sha256: String,
    link_id: String,
    invitation_id: String,
    webhook_id: String,
    request_id: String,
    page_token: String,
    next_invites: Vec<String>,
    events_cursor: String,
    next_events: Vec<String>,
    made_at_micros: i64,
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// The folders of the released versions.
fn releases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade");
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let releases: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    assert!(!releases.is_empty());
    releases
}

fn unpacked(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Opens the store of a release. The clock is a minute after the store was made, because a
/// `request_id` is kept for only a day.
async fn open(release: &Path, engine: Engine) -> (TestApp, Kept) {
    let database = Database::empty(engine).await;
    let name = match engine {
        Engine::Sqlite => {
            let file = database.directory.path().join("guestlist.db");
            std::fs::write(file, unpacked(&release.join("sqlite.db.gz"))).unwrap();
            "sqlite.json"
        }
        Engine::Postgres => {
            let sql = String::from_utf8(unpacked(&release.join("postgres.sql.gz"))).unwrap();
            database.connect().await.execute_unprepared(&sql).await.unwrap();
            "postgres.json"
        }
    };
    let kept: Kept = serde_json::from_slice(&std::fs::read(release.join(name)).unwrap()).unwrap();
    let clock = OffsetClock::default();
    clock.stop_at(Timestamp::from_micros(kept.made_at_micros).plus(Duration::from_secs(60)));
    let secret_key = SecretString::from(digest(SECRET_KEY_TEXT));
    (TestApp::reopened(database, secret_key, clock).await, kept)
}

fn check_releases(engine: Engine) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for release in releases() {
        println!("{}", release.display());
        runtime.block_on(async {
            let (app, kept) = open(&release, engine).await;
            check_store(app, &kept).await.stop().await;
        });
    }
}

async fn check_store(app: TestApp, kept: &Kept) -> TestApp {
    let ana = app.person("ana").await;
    members_are_there(&ana, kept).await;
    tokens_open(&app, &ana, kept).await;
    lists_continue(&app, &ana, kept).await;
    a_retry_is_known(&ana, kept).await;
    with_another_key(app, kept).await
}

async fn members_are_there(ana: &Person, kept: &Kept) {
    let members = ana.members(&kept.organization_id).await.unwrap();
    let role = |role: i32| gitpod::OrganizationRole::try_from(role).unwrap().as_str_name();
    let roles = members.iter().map(|member| (member.email.clone(), role(member.role).to_owned()));
    assert_eq!(roles.collect::<BTreeMap<_, _>>(), kept.members);
}

async fn tokens_open(app: &TestApp, ana: &Person, kept: &Kept) {
    let organization = &kept.organization_id;
    let token = ana.current_invite(organization).await.unwrap();
    assert_eq!(digest(&token), kept.join_link_sha256);
    let link = ana.invite_by_id(organization, &kept.link_id).await.unwrap();
    assert_eq!(digest(&link.token), kept.link_sha256);
    app.person("new").await.join(&token).await.unwrap();
    app.person("other").await.join(&link.token).await.unwrap();
    let webhook = own::Webhook {
        id: kept.webhook_id.clone(),
        organization_id: organization.clone(),
        ..Default::default()
    };
    assert!(ana.webhook_by_id(&webhook).await.unwrap().enabled);
    let request = own::AcceptRequest { invitation: kept.invitation_id.clone() };
    let joined = app.person("dan").await.accept_invitation(request).await.unwrap();
    assert_eq!(joined.membership.unwrap().role, "create");
}

async fn lists_continue(app: &TestApp, ana: &Person, kept: &Kept) {
    let page = own::PageRequest { page_size: 100, page_token: kept.page_token.clone() };
    let request = own::ListRequest {
        organization_id: kept.organization_id.clone(),
        page: Some(page),
        ..Default::default()
    };
    let invites = ana.list_invites(request).await.unwrap().invites;
    let ids: Vec<_> = invites.into_iter().map(|invite| invite.id).collect();
    assert_eq!(ids, kept.next_invites);

    app.settle().await;
    let owner = Owner::Service("feed".parse().unwrap());
    let reader = app.key(owner, Some(KeyScope::Events), None).await;
    let request = own::ListEventsRequest {
        cursor: kept.events_cursor.clone(),
        limit: 1000,
        ..Default::default()
    };
    let events = reader.list_events(request).await.unwrap().events;
    let ids: Vec<_> = events.into_iter().map(|event| event.id).collect();
    assert_eq!(ids[..kept.next_events.len()], kept.next_events);
    assert!(ids.len() > kept.next_events.len(), "later events follow");
}

async fn a_retry_is_known(ana: &Person, kept: &Kept) {
    let request = own::CreateLinkRequest {
        organization_id: kept.organization_id.clone(),
        grants: Some(own::create_link_request::Grants::Role("read".into())),
        note: "for partners".into(),
        max_uses: 5,
        request_id: kept.request_id.clone(),
        ..Default::default()
    };
    let link = ana.create_link(request.clone()).await.unwrap().invite.unwrap();
    assert_eq!(link.id, kept.link_id);
    let other = own::CreateLinkRequest { max_uses: 6, ..request };
    assert_eq!(ana.create_link(other).await.unwrap_err().code, Code::InvalidArgument);
}

/// Checks that the encrypted values of the store can be encrypted again, and then open without the
/// key of the release.
async fn with_another_key(mut app: TestApp, kept: &Kept) -> TestApp {
    let (old, new) = (app.secret_key.clone(), hex::encode(rand::random::<[u8; 32]>()));
    let both = format!("{new},{}", old.expose_secret());
    app.secret_key = SecretString::from(both.clone());
    let mut app = app.restart().await;
    let keyring = Keyring::from_texts(both.split(',')).unwrap();
    let resealed = reseal(app.store(), &keyring, &|_| Ok(())).await.unwrap();
    assert!(resealed.unreadable.is_empty(), "{resealed:?}");
    assert!(resealed.invite_tokens > 3 && resealed.webhook_secrets == 1, "{resealed:?}");
    app.secret_key = SecretString::from(new);
    let app = app.restart().await;
    let token = app.person("ana").await.current_invite(&kept.organization_id).await.unwrap();
    assert_eq!(digest(&token), kept.join_link_sha256);
    app
}

mod a_store_of_each_release_opens_and_old_client_values_work {
    use super::*;

    #[test]
    fn sqlite() {
        check_releases(Engine::Sqlite);
    }

    #[test]
    fn postgres() {
        check_releases(Engine::Postgres);
    }
}

/// `command` with another program.
fn of_program(program: &OsStr, command: &Command) -> Command {
    let mut other = Command::new(program);
    other.args(command.get_args()).stdin(Stdio::null());
    other.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other
}

/// Starts a server of the released program whose path is in `GUESTLIST_TEST_RELEASED`. Without that
/// variable it is a server of this version, which is then tested with itself.
fn serve_released(at: &Installation) -> Server {
    let command = at.command(&["serve"], &[]);
    match std::env::var_os("GUESTLIST_TEST_RELEASED") {
        Some(program) => Server::start(of_program(&program, &command)),
        None => Server::start(command),
    }
}

#[test]
fn p34_p36_a_release_and_this_version_serve_one_database_during_an_upgrade() {
    run_installed(Engine::Postgres, async |at| {
        let mut servers = vec![serve_released(at), serve_released(at)];
        let key = at.new_key("ana@acme.com");
        let ana = servers[0].person(&key);
        let (organization, _) = ana.new_organization("Acme").await;
        // With this link, the list of invites has more than one page.
        ana.link(&organization, "read").await.unwrap();
        let mut loads = Vec::new();
        let mut callers = tokio::task::JoinSet::new();
        let mut put_under_load = |server: &Server| {
            let load = Arc::new(Load::new(server.addr, key.clone()));
            let (grpc, kept) = (Arc::clone(&load), Arc::clone(&load));
            callers.spawn(async move { grpc.over_grpc(grpc.client()).await });
            callers.spawn(async move { kept.over_kept_connection().await });
            loads.push(load);
        };
        servers.iter().for_each(&mut put_under_load);
        let mut logs = Vec::new();
        for _ in 0..2 {
            let new = at.serve();
            put_under_load(&new);
            servers.push(new);
            check_tokens_open_on_all_servers(&servers, &key, &organization).await;
            retries_are_known_to_all(&servers, &key, &organization).await;
            logs.push(servers.remove(0).stop());
            check_tokens_open_on_all_servers(&servers, &key, &organization).await;
        }
        for load in &loads[2..] {
            until("the new ones are under load", async || load.answered().len() > 20).await;
        }
        logs.extend(servers.into_iter().map(Server::stop));
        while let Some(caller) = callers.join_next().await {
            caller.unwrap();
        }
        for ended in logs {
            assert_eq!(ended.code, Some(0), "{}", ended.err);
            assert!(!ended.err.contains("ERROR"), "{}", ended.err);
        }
        let mut answered = vec!["Acme".to_owned()];
        for load in &loads {
            assert_eq!(load.lost(), Vec::<String>::new());
            answered.extend(load.answered());
        }
        answered.sort();
        let mut stored = organizations(at).await;
        stored.sort();
        assert_eq!(stored, answered);
    });
}

async fn retries_are_known_to_all(servers: &[Server], key: &str, organization: &str) {
    for first in servers {
        let request = own::CreateLinkRequest {
            organization_id: organization.to_owned(),
            grants: Some(own::create_link_request::Grants::Role("read".into())),
            request_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        };
        let link = first.person(key).create_link(request.clone()).await.unwrap().invite.unwrap();
        for server in servers {
            let again = server.person(key).create_link(request.clone()).await.unwrap();
            assert_eq!(again.invite.unwrap().id, link.id);
        }
    }
}
