//! The whole stack on a store with two organizations, in this process and without a network.
//! Nothing is logged.

use std::sync::Arc;
use std::time::Duration;

use guestlist::auth::{Authenticator, SignIns};
use guestlist::clock::{Clock, SystemClock};
use guestlist::config::{Config, Limits as LimitSettings};
use guestlist::domain::{
    Attributes, Brand, Creators, DomainChecks, InviteToken, Language, OrganizationId, RequestId,
};
use guestlist::keyring::Keyring;
use guestlist::limits::Limits;
use guestlist::operations::invites::create_organization_invite;
use guestlist::operations::keys::{CreateKey, Owner, create_key};
use guestlist::operations::organizations::{CreateOrganization, create_organization};
use guestlist::operations::{Context, RequestContext, Rules};
use guestlist::storage::change;
use guestlist::storage::{Location, Opener, Store};
use guestlist::transport::metrics::Metrics;
use guestlist::transport::stack::{self, Parts, Stack};
use guestlist::transport::system::readiness::Readiness;
use guestlist::transport::system::{MetricsAccess, Pages};
use guestlist::transport::{rest, rpc};
use guestlist::webhooks::{Sender, Targets, system_lookup};
use http::HeaderValue;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// With limits, the server would reject the calls of a bench within a second.
const NO_LIMITS: LimitSettings = LimitSettings {
    organizations_per_account: 0,
    invites_per_account: 0,
    invites_per_organization: 0,
    invites_per_address: 0,
    previews_per_account: 0,
    previews_per_network: 0,
    joins_per_account: 0,
    joins_per_network: 0,
    lists_per_organization: 0,
    sign_ins_per_network: 0,
};

/// The name of the organization that is read.
pub const NAME: &str = "Crew";

/// The stack, and the values that the benches need.
pub struct Fixture {
    pub stack: Stack,
    pub context: Context,
    /// A call by an admin of both organizations.
    pub call: RequestContext,
    /// The admin's API key, as a header.
    pub authorization: HeaderValue,
    /// The join link of the organization that is only read.
    pub token: InviteToken,
    /// The organization whose join link is replaced.
    pub written: OrganizationId,
    pub runtime: Runtime,
    _folder: TempDir,
}

impl Fixture {
    /// Makes a new store in a temporary folder, which is deleted with the fixture.
    pub fn new() -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(build())(runtime)
    }
}

async fn build() -> impl FnOnce(Runtime) -> Fixture {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config::reference();
    let location = Location::Sqlite(folder.path().join("guestlist.db"));
    let store = Store::open(&location, &config.database, Opener::Server, None).await;
    let store = store.expect("the store opens");
    store.migrate(change!(async |_| Ok(()))).await.expect("the schema is made");

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let authenticator = Authenticator::start(&[], store.clone(), Arc::clone(&clock)).await;
    let authenticator = Arc::new(authenticator.expect("it starts without issuers"));
    let sign_ins = SignIns::new(&[], "http://localhost", Arc::clone(&authenticator));
    let context = Context {
        store: store.clone(),
        keyring: Arc::new(Keyring::generate().expect("a key")),
        issuers: Arc::clone(authenticator.issuers()),
        sign_ins: Arc::new(sign_ins.expect("it starts without issuers")),
        rules: Rules {
            email_invitation_lifetime: config.invites.email_lifetime,
            default_seat_limit: 0,
            creators: Creators::Everyone,
            event_retention: config.events.retention,
            longest_wait: config.http.request_timeout,
            max_webhooks: 10,
            domain_checks: DomainChecks {
                interval: Duration::from_secs(60 * 60),
                grace: Duration::from_secs(60 * 60),
            },
            require_domain_proof: false,
            public_preview: false,
        },
        continue_origins: Arc::default(),
        limits: Arc::new(Limits::new(&NO_LIMITS, &clock)),
        clock,
        mail_wakeup: Arc::default(),
        webhooks: Arc::new(
            Sender::new(Targets::default(), "guestlist".to_owned(), system_lookup())
                .expect("a client"),
        ),
        webhook_wakeup: Arc::default(),
        dns: Arc::default(),
    };

    let authorization = key(&context).await;
    let request = RequestId("bench".into());
    let caller = authenticator.authenticate(Some(&authorization), None, &request).await;
    let caller = caller.expect("a good key").expect("a caller");
    let call = RequestContext { caller, request_id: request, network: None, trace: None };
    let read = organization(&context, &call, NAME).await;
    let token = create_organization_invite(&context, &call, read).await.expect("a link");
    let written = organization(&context, &call, "Ledger").await;

    let stack = build_stack(&context, authenticator, &config);
    move |runtime| Fixture {
        stack,
        context,
        call,
        authorization,
        token,
        written,
        runtime,
        _folder: folder,
    }
}

async fn key(context: &Context) -> HeaderValue {
    let email = "bench@example.com".parse().expect("an address");
    let owner = Owner::Email { email, name: None };
    let wanted = CreateKey { owner, organization: None, scope: None, expires_in: None };
    let made = create_key(&context.store, wanted, context.clock.now()).await.expect("a key");
    let value = format!("Bearer {}", made.expose().as_str());
    value.parse().expect("ASCII")
}

async fn organization(context: &Context, call: &RequestContext, name: &str) -> OrganizationId {
    let name = name.parse().expect("a name");
    let wanted = CreateOrganization {
        name,
        join: true,
        invite_own_domain: false,
        attributes: Attributes::default(),
    };
    create_organization(context, call, wanted).await.expect("an organization").organization.id
}

fn build_stack(context: &Context, authenticator: Arc<Authenticator>, config: &Config) -> Stack {
    let parts = Parts {
        services: rpc::services(context, &config.http),
        descriptors: rpc::DESCRIPTORS,
        contracts: rest::routes(context, &config.http),
        authenticator,
        anonymous_methods: Vec::new(),
        metrics: Metrics::new(),
        metrics_access: MetricsAccess::NoOne,
        readiness: Readiness::new(),
        pages: Pages::new(&Brand::built_in(), Language::En, false),
        waiting_methods: rpc::WAITING,
        http: &config.http,
        events: &config.events,
        cors: &config.cors,
    };
    stack::build(parts).expect("the settings are valid")
}
