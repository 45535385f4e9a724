//! The whole stack in front of a store with an organization in it, in this process
//! and without a network. The store has the same state at the start of every input.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use guestlist::auth::{Authenticator, SignIns};
use guestlist::clock::Clock;
use guestlist::dns::Dns;
use guestlist::domain::{Brand, Creators, DomainChecks, KeyScope, Language};
use guestlist::limits::Limits;
use guestlist::operations::keys::{CreateKey, Owner};
use guestlist::operations::{Context, Rules};
use guestlist::proto::FILE_DESCRIPTOR_SET;
use guestlist::transport::metrics::Metrics;
use guestlist::transport::peer::Peer;
use guestlist::transport::stack::{self, Parts, Stack};
use guestlist::transport::system::readiness::Readiness;
use guestlist::transport::system::{MetricsAccess, Pages};
use guestlist::transport::{rest, rpc};
use guestlist::webhooks::{Sender, Targets, system_lookup};
use http::{HeaderValue, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt;

use super::answer::Answer;
use super::disk::Disk;

/// Placeholders in inputs for the ids and tokens of the organization. They are as long as the
/// real ones, so that lengths in inputs stay correct.
pub const ORGANIZATION: &str = "00000000-0000-7000-8000-000000000001";
const ADMIN: &str = "00000000-0000-7000-8000-000000000002";
const MEMBER: &str = "00000000-0000-7000-8000-000000000003";
const LINK: &str = "00000000-0000-7000-8000-000000000004";
const INVITATION: &str = "00000000-0000-7000-8000-000000000005";
const JOIN_TOKEN: &str = "00000000-0000-4000-8000-000000000006";
const LINK_TOKEN: &str = "00000000-0000-4000-8000-000000000007";

/// No answer takes longer: the server itself ends a request after 15 s.
const HANG: Duration = Duration::from_secs(60);

/// See the module.
pub struct Fixture {
    stack: Stack,
    disk: Disk,
    placeholders: Vec<(&'static str, String)>,
    /// Keys by the name that inputs use for them in `authorization`.
    keys: Vec<(&'static str, String)>,
    runtime: Runtime,
}

/// Whether a request changed the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    Yes,
    No,
}

impl Fixture {
    #[allow(clippy::new_without_default)] // it is a lot of work
    pub fn new() -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        let (stack, disk, keys) = runtime.block_on(build_stack());
        let mut fixture = Self { stack, disk, placeholders: Vec::new(), keys, runtime };
        fixture.populate();
        fixture.runtime.block_on(fixture.disk.keep());
        fixture
    }

    /// Makes an organization with two members, a join link, a named link and an
    /// invitation.
    fn populate(&mut self) {
        const GITPOD: &str = "gitpod.v1.OrganizationService";
        const INVITES: &str = "guestlist.v1.InviteService";
        let text = |value: &Value| value.as_str().expect("a text").to_owned();

        let request = json!({ "name": "Crew", "joinOrganization": true });
        let made = self.call(&format!("{GITPOD}/CreateOrganization"), "admin", &request);
        let organization = text(&made["organization"]["id"]);
        let by_id = json!({ "organizationId": organization });
        let link = self.call(&format!("{GITPOD}/CreateOrganizationInvite"), "admin", &by_id);
        let join_token = text(&link["invite"]["inviteId"]);
        let request = json!({ "inviteId": join_token });
        let joined = self.call(&format!("{GITPOD}/JoinOrganization"), "member", &request);
        let request = json!({ "organizationId": organization, "role": "edit" });
        let named = self.call(&format!("{INVITES}/CreateLink"), "admin", &request);
        let invitations = json!([{ "email": "stranger@example.com", "role": "member" }]);
        let request = json!({ "organizationId": organization, "invitations": invitations });
        let invited = self.call(&format!("{INVITES}/InviteByEmail"), "admin", &request);

        self.placeholders = vec![
            (ORGANIZATION, organization),
            (ADMIN, text(&made["member"]["userId"])),
            (MEMBER, text(&joined["member"]["userId"])),
            (LINK, text(&named["invite"]["id"])),
            (INVITATION, text(&invited["results"][0]["invite"]["id"])),
            (JOIN_TOKEN, join_token),
            (LINK_TOKEN, text(&named["invite"]["token"])),
        ];
        for (placeholder, real) in &self.placeholders {
            assert_eq!(placeholder.len(), real.len());
        }
    }

    fn call(&self, method: &str, who: &str, message: &Value) -> Value {
        let mut request = http::Request::post(format!("/{method}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, who)
            .body(Bytes::from(message.to_string()))
            .expect("a request");
        self.authorize(&mut request);
        let answer = self.answer(request);
        assert!(answer.head.status.is_success(), "{method}: {answer:?}");
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// The input with the real ids in it.
    pub fn fill_in(&self, data: &[u8]) -> Vec<u8> {
        let mut filled = data.to_vec();
        for (placeholder, real) in &self.placeholders {
            let mut from = 0;
            while let Some(at) = find(&filled[from..], placeholder.as_bytes()) {
                filled[from + at..][..real.len()].copy_from_slice(real.as_bytes());
                from += at + real.len();
            }
        }
        filled
    }

    /// Sends a request. Returns the response, and whether the request changed the store. A
    /// changed store is restored.
    pub fn send(&self, mut request: http::Request<Bytes>) -> (Answer, Changed) {
        let sent = format!("{} {:?}", request.uri(), request.headers());
        let sent = [sent.as_bytes(), request.body()].concat();
        self.authorize(&mut request);
        let before = self.runtime.block_on(self.disk.version());
        let answer = self.answer(request);
        let changed = self.runtime.block_on(async {
            if self.disk.version().await == before {
                return Changed::No;
            }
            self.disk.restore().await;
            Changed::Yes
        });
        for (_, key) in &self.keys {
            let secret = key.rsplit('_').next().unwrap_or(key).as_bytes();
            // A request may use the secret as the name of an organization, and receives the name.
            let named = answer.head.status.is_success() && find(&sent, secret).is_some();
            assert!(
                named || find(&answer.body, secret).is_none(),
                "a key is in the response: {answer:?}"
            );
        }
        (answer, changed)
    }

    /// Replaces the owner's name in `authorization` with the owner's key. Without the header, uses
    /// the admin's key; for `-`, no key.
    fn authorize(&self, request: &mut http::Request<Bytes>) {
        let owner = request.headers().get(header::AUTHORIZATION);
        let owner = owner.map_or(Ok("admin"), HeaderValue::to_str).unwrap_or_default();
        if owner == "-" {
            request.headers_mut().remove(header::AUTHORIZATION);
        } else if let Some((_, key)) = self.keys.iter().find(|(name, _)| *name == owner) {
            let value = format!("Bearer {key}").parse().expect("ASCII");
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
    }

    fn answer(&self, mut request: http::Request<Bytes>) -> Answer {
        request
            .extensions_mut()
            .insert(Peer::from(std::net::SocketAddr::from(([127, 0, 0, 1], 7))));
        // This response continues until its client disconnects.
        let endless = request.uri().path().ends_with("/Watch");
        let answer = async {
            let response = match self.stack.clone().oneshot(request.map(Full::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            Answer::read(response, endless).await
        };
        let answer = self.runtime.block_on(async { tokio::time::timeout(HANG, answer).await });
        answer.expect("the response arrives in time")
    }
}

async fn build_stack() -> (Stack, Disk, Vec<(&'static str, String)>) {
    let disk = Disk::new().await;
    let mut config = disk.config.clone();
    config.http.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    config.cors.allowed_origins = vec!["https://app.example.com".to_owned()];
    // With limits, a response would depend on earlier inputs.
    let limits = &mut config.limits;
    for limit in [
        &mut limits.organizations_per_account,
        &mut limits.invites_per_account,
        &mut limits.invites_per_organization,
        &mut limits.invites_per_address,
        &mut limits.previews_per_account,
        &mut limits.previews_per_network,
        &mut limits.joins_per_account,
        &mut limits.joins_per_network,
    ] {
        *limit = 0;
    }
    let clock: Arc<dyn Clock> = Arc::new(disk.clock.clone());
    let authenticator = Authenticator::start(&[], disk.store.clone(), Arc::clone(&clock)).await;
    let authenticator = Arc::new(authenticator.expect("no keys to read"));
    let context = Context {
        store: disk.store.clone(),
        keyring: Arc::clone(&disk.keyring),
        issuers: Arc::clone(authenticator.issuers()),
        sign_ins: Arc::new(
            SignIns::new(&[], "http://localhost", Arc::clone(&authenticator)).expect("no issuers"),
        ),
        rules: Rules {
            email_invitation_lifetime: config.invites.email_lifetime,
            default_seat_limit: 0,
            creators: Creators::Everyone,
            event_retention: config.events.retention,
            longest_wait: std::time::Duration::ZERO,
            max_webhooks: 10,
            domain_checks: DomainChecks {
                interval: config.domains.check_interval,
                grace: config.domains.grace,
            },
            require_domain_proof: false,
            public_preview: true,
        },
        continue_origins: Arc::default(),
        limits: Arc::new(Limits::new(&config.limits, &clock)),
        clock,
        mail_wakeup: Arc::default(),
        webhooks: Arc::new(
            Sender::new(Targets::default(), "guestlist".to_owned(), system_lookup())
                .expect("a client"),
        ),
        webhook_wakeup: Arc::default(),
        // Nothing listens at this address, so no lookup leaves the machine.
        dns: Arc::new(Dns::new(vec![([127, 0, 0, 1], 9).into()])),
    };
    let readiness = Readiness::new();
    readiness.set_store(true);
    let stack = stack::build(Parts {
        descriptors: &[FILE_DESCRIPTOR_SET],
        services: rpc::services(&context, &config.http),
        contracts: rest::routes(&context, &config.http),
        authenticator,
        anonymous_methods: [rpc::PREVIEWS, rpc::SIGN_IN].concat(),
        metrics: Metrics::new(),
        metrics_access: MetricsAccess::Loopback,
        readiness,
        pages: Pages::new(&Brand::built_in(), Language::En, true),
        waiting_methods: rpc::WAITING,
        events: &config.events,
        http: &config.http,
        cors: &config.cors,
    });

    let mut keys = Vec::new();
    for name in ["admin", "member", "stranger"] {
        let email = format!("{name}@example.com").parse().expect("an address");
        keys.push((name, Owner::Email { email, name: None }, None));
    }
    let email = "operator@example.com".parse().expect("an address");
    keys.push(("operator", Owner::Email { email, name: None }, Some(KeyScope::Operator)));
    let service = Owner::Service("service".parse().expect("a name"));
    keys.push(("service", service, Some(KeyScope::Act)));
    let mut people = Vec::new();
    for (name, owner, scope) in keys {
        let key = disk.key(CreateKey { owner, organization: None, scope, expires_in: None }).await;
        people.push((name, key.expose().to_string()));
    }
    (stack.expect("the settings are valid"), disk, people)
}

/// The position of `part` in `text`.
pub fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
