//! The composition root: builds and starts all parts of the service from the settings.

mod background;
mod brand;
mod limit_metrics;
mod mail_metrics;
mod mail_worker;
mod secret_key;
mod store_metrics;
mod webhook_metrics;
mod webhook_worker;
mod worker_metrics;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

use self::background::{Background, stopped};
use crate::auth::{self, Authenticator, SignIns};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::dns::Dns;
use crate::domain::DomainChecks;
use crate::error::{Error, Kind, Result};
use crate::keyring::Keyring;
use crate::limits::Limits;
use crate::operations::setup::{self, Setup};
use crate::operations::{Context, Rules};
use crate::storage::{Location, Opener, StatementObserver, Store};
use crate::transport::metrics::Metrics;
use crate::transport::server::Counters;
use crate::transport::server::tls::{Files, Reload, Tls};
use crate::transport::stack::{self, Parts};
use crate::transport::system::readiness::Readiness;
use crate::transport::system::{MetricsAccess, Pages};
use crate::transport::{rest, rpc, server};
use crate::workers::event_lag::EventLag;

/// The first API key of a new store is written to this file in the data directory.
pub const FIRST_KEY_FILE: &str = "admin.key";

/// A running service. Only [`App::stop`] stops it; dropping the value does not.
pub struct App {
    local_addr: SocketAddr,
    scheme: &'static str,
    metrics_addr: Option<SocketAddr>,
    first_key: Option<PathBuf>,
    store: Store,
    readiness: Readiness,
    event_lag: EventLag,
    stop_serving: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
    background: Background,
    shutdown_delay: Duration,
    drain_timeout: Duration,
}

/// The least time for the workers' pending writes and for closing the store, even if
/// draining connections used up `http.drain_timeout`.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// The most concurrent connections to the metrics listener.
const MAX_METRICS_CONNECTIONS: usize = 32;

/// The connections that the server accepts in addition to `http.max_connections`.
pub fn connections_beyond_limit(config: &Config) -> u64 {
    let metrics = config
        .metrics_listen
        .map_or(0, |_| MAX_METRICS_CONNECTIONS + server::MAX_PROBE_CONNECTIONS);
    (server::MAX_PROBE_CONNECTIONS + metrics) as u64
}

/// Returns the secret keys of the settings after it has checked that the store's key is one of
/// them. A store that has no key yet gets the first of them.
///
/// # Errors
/// If there is no key, or the store's key is not one of them.
pub async fn use_secret_key(config: &Config, store: &Store) -> Result<Keyring> {
    let secret_key = secret_key::load(config, &Location::from_config(config)?)?;
    let fingerprints = secret_key.keyring.fingerprints();
    setup::use_secret_key(store, fingerprints, secret_key.to_write).await?;
    Ok(secret_key.keyring)
}

/// The secret keys of the settings, which must exist.
///
/// # Errors
/// If there is no key, or one is malformed.
pub fn secret_keys(config: &Config) -> Result<Keyring> {
    let secret_key = secret_key::load(config, &Location::from_config(config)?)?;
    match secret_key.to_write {
        None => Ok(secret_key.keyring),
        Some(missing) => {
            let message = format!(
                "there is no secret key: {} does not exist, and neither --secret-key-file nor \
                 GUESTLIST_SECRET_KEY is set",
                missing.file.display()
            );
            Err(Error::new(Kind::FailedPrecondition, message))
        }
    }
}

/// Checks that the settings have the key that seals the tokens of a store. `fingerprint` is the
/// fingerprint of that key.
///
/// # Errors
/// If they do not have this key.
pub fn require_secret_key(config: &Config, fingerprint: &str) -> Result<()> {
    setup::require_secret_key(fingerprint, &secret_keys(config)?.fingerprints())
}

impl App {
    /// Prepares the store and serves on `listener` until [`App::stop`].
    ///
    /// # Errors
    /// If the settings contradict each other, the store cannot be prepared, or the metrics
    /// address cannot be bound. Nothing is running then.
    pub async fn start(
        config: Config,
        listener: TcpListener,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        Self::start_with_observer(config, listener, clock, None).await
    }

    /// As [`App::start`], with an observer of every SQL statement.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_with_observer(
        config: Config,
        listener: TcpListener,
        clock: Arc<dyn Clock>,
        observer: Option<StatementObserver>,
    ) -> Result<Self> {
        let location = Location::from_config(&config)?;
        let secret_key = secret_key::load(&config, &location)?;
        if let Some((sealing, others)) = secret_key.keyring.ids().split_first() {
            tracing::info!(%sealing, ?others, "loaded the secret keys: the first one encrypts, all decrypt");
        }
        // Everything that can fail because of the settings runs before `setup::prepare`,
        // which creates the first key: its file is printed only once, by the start that
        // created it.
        let local_addr = address_of(&listener)?;
        let brand = brand::load(&config.pages)?;
        let metrics_listener = match config.metrics_listen {
            Some(addr) => Some(listen(addr).await?),
            None => None,
        };
        let (tls, reload) = load_tls(&config, &clock).await?.unzip();
        let store = Store::open(&location, &config.database, Opener::Server, observer).await?;
        store.warn_of_lost_commits().await?;
        let authenticator =
            Authenticator::start(&config.issuers, store.clone(), Arc::clone(&clock)).await?;
        let authenticator = Arc::new(authenticator);
        let setup = Setup {
            migrate: config.database.migrate_on_start,
            fingerprints: secret_key.keyring.fingerprints(),
            new_secret_key: secret_key.to_write,
            first_key_file: config.data_dir.join(FIRST_KEY_FILE),
        };
        let pages = config.public_base(local_addr);
        let sign_ins = SignIns::new(&config.issuers, &pages, Arc::clone(&authenticator))?;
        let limits = Arc::new(Limits::new(&config.limits, &clock));
        let context = Context {
            store: store.clone(),
            clock,
            keyring: Arc::new(secret_key.keyring),
            issuers: Arc::clone(authenticator.issuers()),
            sign_ins: Arc::new(sign_ins),
            rules: Rules {
                email_invitation_lifetime: config.invites.email_lifetime,
                default_seat_limit: i64::from(config.invites.default_seat_limit),
                public_preview: config.public_preview,
                creators: config.organizations.creators,
                event_retention: config.events.retention,
                longest_wait: config.http.request_timeout.mul_f64(0.8),
                max_webhooks: u64::from(config.webhooks.max_per_organization),
                domain_checks: DomainChecks {
                    interval: config.domains.check_interval,
                    grace: config.domains.grace,
                },
                require_domain_proof: config.domains.require_proof,
            },
            continue_origins: Arc::new(crate::domain::ContinueOrigins::new(
                config.invites.continue_origins.clone(),
            )),
            limits,
            mail_wakeup: Arc::default(),
            webhooks: webhook_worker::sender(&config)?,
            webhook_wakeup: Arc::default(),
            dns: Arc::new(Dns::new(config.domains.nameservers.clone())),
        };
        let mail_worker = Arc::new(mail_worker::new(&config, &brand, local_addr, &context)?);
        let notices = mail_worker::notices(&config, &brand, local_addr, &context, &mail_worker)?;
        let webhook_worker = Arc::new(webhook_worker::worker(&context));
        let first_key = setup::prepare(&store, setup, context.clock.now()).await?;

        let reload = reload.map(|reload| (reload, config.tls.reload_interval));
        let audit_retention = config.audit.retention;
        let mut app = Self {
            local_addr,
            scheme: config.tls.scheme(),
            metrics_addr: None,
            first_key,
            store,
            readiness: Readiness::new(),
            event_lag: EventLag::default(),
            stop_serving: watch::channel(false).0,
            servers: Vec::new(),
            background: Background::new(),
            shutdown_delay: config.http.shutdown_delay,
            drain_timeout: config.http.drain_timeout,
        };
        // `setup::prepare` has just written to the store.
        app.readiness.set_store(true);
        // Nothing may fail after `app.serve` has started tasks: they would have to be stopped.
        let listeners = (listener, tls, metrics_listener);
        let metrics = Metrics::new();
        mail_metrics::register(&metrics, &mail_worker);
        webhook_metrics::register(&metrics, &webhook_worker);
        limit_metrics::register(&metrics, &context.limits);
        let pages = Pages::new(&brand, config.pages.language, config.console.enabled);
        let authenticating = Arc::clone(&authenticator);
        app.serve(config, listeners, &context, authenticating, metrics.clone(), pages)?;
        let background = &mut app.background;
        if let Some((reload, period)) = reload {
            background.spawn(|stop| reload.run(period, stop));
        }
        background.start_refresh(&authenticator, &context.store, &app.readiness);
        background.start_senders(mail_worker, notices, webhook_worker, &context);
        background.start_cleanup(&context);
        background.start_events(audit_retention, &app.event_lag, &context);
        worker_metrics::register(&metrics, background.schedules());
        Ok(app)
    }

    /// Starts serving on the listener, and on the metrics listener if there is one.
    fn serve(
        &mut self,
        config: Config,
        (listener, tls, metrics_listener): (TcpListener, Option<Tls>, Option<TcpListener>),
        context: &Context,
        authenticator: Arc<Authenticator>,
        metrics: Metrics,
        pages: Pages,
    ) -> Result<()> {
        store_metrics::register(&metrics, self.store.clone(), self.event_lag.clone());
        let mut anonymous_methods = rpc::SIGN_IN.to_vec();
        if config.public_preview {
            anonymous_methods.extend(rpc::PREVIEWS);
        }
        let service = stack::build(Parts {
            services: rpc::services(context, &config.http),
            descriptors: rpc::DESCRIPTORS,
            contracts: rest::routes(context, &config.http),
            authenticator,
            anonymous_methods,
            metrics: metrics.clone(),
            metrics_access: match config.metrics_listen {
                Some(_) => MetricsAccess::NoOne,
                None => MetricsAccess::Loopback,
            },
            readiness: self.readiness.clone(),
            pages,
            waiting_methods: rpc::WAITING,
            http: &config.http,
            events: &config.events,
            cors: &config.cors,
        })?;

        let http = config.http;
        let counters = Counters::default();
        counters.register(&metrics);
        if let Some(listener) = metrics_listener {
            self.metrics_addr = Some(address_of(&listener)?);
            let pages = stack::build_metrics_only(self.readiness.clone(), metrics);
            let (mut http, stop) = (http.clone(), stopped(&self.stop_serving));
            http.lower_max_connections(http.max_connections.min(MAX_METRICS_CONNECTIONS));
            self.servers.push(tokio::spawn(async move {
                server::serve(listener, pages, &http, None, Counters::default(), stop).await;
            }));
        }
        let stop = stopped(&self.stop_serving);
        self.servers.push(tokio::spawn(async move {
            server::serve(listener, service, &http, tls, counters, stop).await;
        }));
        Ok(())
    }

    /// The address of the listener.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// The address of the metrics listener, if there is one.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_addr
    }

    /// The file with the first API key, if this start created it.
    pub fn first_key(&self) -> Option<&Path> {
        self.first_key.as_deref()
    }

    /// The store, for tests in the same process.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stops in this order: reports not ready for `http.shutdown_delay`, closes the listeners,
    /// lets requests finish within `http.drain_timeout`, lets the workers write pending data,
    /// closes the store.
    ///
    /// # Errors
    /// If a task has panicked, or the store cannot be closed.
    pub async fn stop(self) -> Result<()> {
        self.readiness.drain();
        tokio::time::sleep(self.shutdown_delay).await;
        let started = Instant::now();
        self.stop_serving.send_replace(true);
        let mut outcome = Ok(());
        for server in self.servers {
            outcome = outcome.and(server.await.map_err(Error::internal));
        }
        let (workers, store) = (self.background.stop(), self.store);
        let aborts: Vec<AbortHandle> = workers.iter().map(JoinHandle::abort_handle).collect();
        let flush = async {
            for worker in workers {
                worker.await.map_err(Error::internal)?;
            }
            store.close().await
        };
        let left = self.drain_timeout.saturating_sub(started.elapsed()).max(SHUTDOWN_GRACE);
        match tokio::time::timeout(left, flush).await {
            Ok(closed) => outcome.and(closed),
            Err(_) => {
                aborts.iter().for_each(AbortHandle::abort);
                tracing::warn!(
                    "shutdown timed out: pending writes, such as the last use of API keys, may \
                     be lost; exiting"
                );
                outcome
            }
        }
    }
}

/// Checks the settings and the files that they name, without opening the store or creating
/// anything.
///
/// # Errors
/// The error that [`App::start`] would return.
pub async fn check(config: &Config) -> Result<()> {
    let location = Location::from_config(config)?;
    secret_key::load(config, &location)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    load_tls(config, &clock).await?;
    mail_worker::check(config, &brand::load(&config.pages)?)?;
    auth::check(&config.issuers).await
}

/// Binds a listener.
///
/// # Errors
/// If the address cannot be bound; the message names it.
pub async fn listen(addr: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(addr).await.map_err(|e| {
        let message = format!("cannot listen on {addr}: {e}");
        Error::internal(e).with_message(message)
    })
}

/// The TLS configuration, if `[tls]` is set, and the worker that reloads its files.
async fn load_tls(config: &Config, clock: &Arc<dyn Clock>) -> Result<Option<(Tls, Reload)>> {
    let clock = Arc::clone(clock);
    match Files::new(&config.tls) {
        Some(files) => files.load(Box::new(move || clock.now())).await.map(Some),
        None => Ok(None),
    }
}

fn address_of(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(Error::internal)
}
