//! The server under test, in this process, on a free port.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use guestlist::app::App;
use guestlist::clock::OffsetClock;
use guestlist::config::{Config, Sources};
use guestlist::domain::{EmailAddress, KeyScope, OrganizationId};
use guestlist::operations::keys::{CreateKey, Owner, create_key};
use guestlist::storage::{StatementObserver, Store};
use secrecy::SecretString;
use tokio::net::TcpListener;

use super::client::Client;
use super::databases::pool;
use super::{Database, Engine, Person, Protocol};

/// A test's changes to the default settings.
pub type Settings = fn(&mut Config);

/// A server, its store and its clock.
pub struct TestApp {
    pub database: Database,
    pub clock: OffsetClock,
    pub protocol: Protocol,
    pub app: App,
    settings: Settings,
    /// The next start uses it.
    pub secret_key: SecretString,
    replicas: Mutex<Vec<App>>,
}

impl TestApp {
    /// A server with the default settings on a store that is up to date.
    pub async fn start(engine: Engine, protocol: Protocol) -> Self {
        Self::configured(engine, protocol, |_| ()).await
    }

    /// The same with other settings.
    pub async fn configured(engine: Engine, protocol: Protocol, settings: Settings) -> Self {
        let database = Database::migrated(engine).await;
        Self::on(database, protocol, settings, None).await
    }

    /// The same on a given store. The observer receives each statement.
    pub async fn on(
        database: Database,
        protocol: Protocol,
        settings: Settings,
        observer: Option<StatementObserver>,
    ) -> Self {
        let clock = OffsetClock::default();
        let secret_key = SecretString::from(hex::encode(rand::random::<[u8; 32]>()));
        let config = config(&database, &secret_key, settings);
        let app = start(config, &clock, observer).await;
        Self { database, clock, protocol, app, settings, secret_key, replicas: Mutex::default() }
    }

    /// A server on a store that was made with this secret key. The server uses this clock.
    pub async fn reopened(
        database: Database,
        secret_key: SecretString,
        clock: OffsetClock,
    ) -> Self {
        let (protocol, settings): (_, Settings) = (Protocol::Grpc, |_| ());
        let app = start(config(&database, &secret_key, settings), &clock, None).await;
        Self { database, clock, protocol, app, settings, secret_key, replicas: Mutex::default() }
    }

    /// Starts another server on the same store; only on PostgreSQL, as in production.
    pub async fn replica(&self) -> SocketAddr {
        let config = config(&self.database, &self.secret_key, self.settings);
        let app = start(config, &self.clock, None).await;
        let addr = app.local_addr();
        self.replicas.lock().unwrap().push(app);
        addr
    }

    pub fn addr(&self) -> SocketAddr {
        self.app.local_addr()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr())
    }

    pub fn store(&self) -> &Store {
        self.app.store()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.database.directory.path().to_owned()
    }

    /// A client without a credential, over the test's protocol.
    pub fn without_credential(&self) -> Person {
        Person::new(self.client(), None)
    }

    /// A client over the test's protocol.
    pub fn client(&self) -> Client {
        Client::new(self.addr(), self.protocol)
    }

    /// A person with a key, the name `name` and the address `name@example.com`.
    pub async fn person(&self, name: &str) -> Person {
        self.person_with(&format!("{name}@example.com")).await
    }

    /// A person with a key and this address.
    pub async fn person_with(&self, email: &str) -> Person {
        let email: EmailAddress = email.parse().unwrap();
        let owner = Owner::Email { email, name: None };
        self.key(owner, None, None).await
    }

    /// A person with a key of this owner, scope and organization.
    pub async fn key(
        &self,
        owner: Owner,
        scope: Option<KeyScope>,
        organization: Option<OrganizationId>,
    ) -> Person {
        let input = CreateKey { owner, organization, scope, expires_in: None };
        self.key_as(input).await
    }

    /// A person with the key that `input` describes.
    pub async fn key_as(&self, input: CreateKey) -> Person {
        use guestlist::clock::Clock;
        let key = create_key(self.store(), input, self.clock.now()).await.unwrap();
        Person::new(self.client(), Some(key.expose().to_string()))
    }

    /// Shuts down the servers in order and starts one again on the same store.
    pub async fn restart(mut self) -> Self {
        let config = config(&self.database, &self.secret_key, self.settings);
        let replicas = std::mem::take(self.replicas.get_mut().unwrap());
        for app in replicas {
            app.stop().await.unwrap();
        }
        self.app.stop().await.unwrap();
        self.app = start(config, &self.clock, None).await;
        self
    }

    /// As [`Database::settle`].
    pub async fn settle(&self) {
        self.database.settle().await;
    }

    /// Shuts down the servers in order and removes the store.
    pub async fn stop(self) {
        let replicas = std::mem::take(&mut *self.replicas.lock().unwrap());
        for app in replicas.into_iter().chain([self.app]) {
            app.stop().await.unwrap();
        }
        self.database.remove().await;
    }
}

/// Sets one issuer, `intranet`, of kind `service`. Its addresses in `example.com` count as
/// verified.
pub fn trust_intranet(config: &mut Config) {
    let issuer = r#"
        kind = "service"
        issuer = "intranet"
        login_provider = "intranet"
        verified_email_domains = ["example.com"]
    "#;
    config.issuers = vec![toml::from_str(issuer).unwrap()];
}

fn config(database: &Database, secret_key: &SecretString, settings: Settings) -> Config {
    let mut config = Config::load(Sources::default()).unwrap();
    config.listen = ([127, 0, 0, 1], 0).into();
    config.data_dir = database.directory.path().to_owned();
    config.database_url = Some(SecretString::from(database.url.clone()));
    config.secret_key = Some(secret_key.clone());
    config.database = pool();
    // Tests create more at once than users do. The tests in `limits` set their own numbers.
    config.limits.organizations_per_account = 0;
    config.limits.invites_per_account = 10_000;
    config.limits.invites_per_organization = 10_000;
    config.limits.invites_per_address = 50;
    config.limits.joins_per_account = 1200;
    // The webhook endpoints of tests are on this machine.
    config.webhooks.allow_http = true;
    config.webhooks.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
    // All DNS queries go to this name server, so none leaves this machine.
    config.domains.nameservers = vec![super::nameserver::address()];
    settings(&mut config);
    config
}

async fn start(config: Config, clock: &OffsetClock, observer: Option<StatementObserver>) -> App {
    let listener = TcpListener::bind(config.listen).await.unwrap();
    App::start_with_observer(config, listener, Arc::new(clock.clone()), observer).await.unwrap()
}
