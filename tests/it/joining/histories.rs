//! P49, P50: people request to join, join and leave by links and by domain. At the same time admins
//! decide requests, remove members, revoke links, and change the domain's mode and the seats, and
//! memberships expire. On PostgreSQL the calls go to two replicas.
//!
//! Afterwards the order of the events must explain every response: the [model](model) must return
//! the same for a state and a time between the beginning and the end of the call.
//!
//! ```sh
//! GUESTLIST_TEST_HISTORIES=10000 GUESTLIST_TEST_HANG=7200 \
//!     cargo test --release --test it joining::histories -- --nocapture
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use guestlist::clock::{Clock, OffsetClock};
use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;
use http_body_util::{BodyExt, Full};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::unlimited;
use crate::on_both_engines_with;
use crate::support::client::{Http, http};
use crate::support::{
    Code, Engine, Failure, Person, TestApp, from_environment, gitpod, nameserver, own,
};

mod model;

use model::{Answer, Link, Micros, Mode, Stage, State, Step, Who};

/// The request id of the events of expired memberships.
const EXPIRY: &str = "expiry";
const PEOPLE: usize = 4;
/// How many histories run at the same time.
const PARALLEL_HISTORIES: usize = 8;
const DEFAULT_HISTORIES: u64 = 60;
/// The reasons for which a step may be rejected, besides NOT_FOUND and INVALID_ARGUMENT.
const REASONS: [&str; 7] = [
    "ALREADY_MEMBER",
    "APPROVAL_PENDING",
    "ASK_LATER",
    "INVITE_ENDED",
    "NO_APPROVAL_NEEDED",
    "REQUEST_DECIDED",
    "SEAT_LIMIT",
];

on_both_engines_with! {
    unlimited;
    p50_one_serial_order_explains_every_response: check_histories;
}

async fn check_histories(app: &TestApp) {
    let number = from_environment("GUESTLIST_TEST_HISTORIES").unwrap_or(DEFAULT_HISTORIES);
    let clients = Clients::new(app).await;
    let histories = futures::stream::iter(0..number).map(|_| run_history(app, &clients));
    let summaries: Vec<Summary> = histories.buffer_unordered(PARALLEL_HISTORIES).collect().await;
    let mut answers = BTreeMap::<String, u64>::new();
    for answer in summaries.iter().flat_map(|summary| &summary.answers) {
        *answers.entry(answer.clone()).or_default() += 1;
    }
    let changes: usize = summaries.iter().map(|summary| summary.changes).sum();
    println!("{number} histories, {changes} changes, answers: {answers:?}");
    // A rejection that never occurs is not tested.
    for reason in REASONS {
        assert!(answers.keys().any(|answer| answer.contains(reason)), "no {reason} occurred");
    }
}

/// The clients that all histories share.
struct Clients {
    http: Http<Full<Bytes>>,
    addresses: Vec<SocketAddr>,
    founder: Person,
    operator: Person,
    reader: Person,
}

/// The number of changes and the answers of one history.
struct Summary {
    changes: usize,
    answers: Vec<String>,
}

impl Clients {
    async fn new(app: &TestApp) -> Self {
        let mut addresses = vec![app.addr()];
        if app.database.engine == Engine::Postgres {
            addresses.push(app.replica().await);
        }
        let consumer = Owner::Service("consumer".parse().unwrap());
        Self {
            http: http(),
            addresses,
            founder: app.person("ana").await,
            operator: app.operator().await,
            reader: app.key(consumer, Some(KeyScope::Events), None).await,
        }
    }
}

/// A call and its result.
struct Call {
    id: String,
    step: Step,
    started: u64,
    ended: u64,
    /// The clock's time before and after the call.
    times: (Micros, Micros),
    answer: Result<(), (Code, String)>,
}

/// One organization with its people, and the calls in it.
struct History<'a> {
    clients: &'a Clients,
    clock: OffsetClock,
    seed: u64,
    since: Option<prost_types::Timestamp>,
    /// The organization's version at which the history begins.
    from: i64,
    organization: String,
    domain: String,
    links: HashMap<Link, own::Invite>,
    people: Vec<Person>,
    /// A counter that orders the beginnings and ends of calls.
    time: AtomicU64,
    calls: Mutex<Vec<Call>>,
    known: Mutex<Known>,
}

/// The ids that any caller has received, in the order of arrival.
#[derive(Default)]
struct Known {
    requests: Vec<String>,
    own_requests: HashMap<Who, String>,
    members: Vec<String>,
}

async fn run_history(app: &TestApp, clients: &Clients) -> Summary {
    let (seed, name) = (rand::random(), nameserver::new_domain());
    let since = app.in_the_future(Duration::ZERO);
    let (organization, _) = clients.founder.new_organization("Acme").await;
    let domain = clients.founder.domain(&organization, &name).await.unwrap();
    crate::support::domains::prove(&domain);
    clients.founder.verify(&domain).await.unwrap();
    clients.founder.set_mode(&domain, own::DomainMode::OnRequest).await.unwrap();
    set_seats(&clients.operator, &organization, 3).await;
    let links = HashMap::from([
        (Link::Approval, clients.founder.approval_link(&organization).await),
        (Link::Open, clients.founder.link(&organization, "read").await.unwrap()),
    ]);
    let mut people = Vec::new();
    for who in 0..PEOPLE {
        people.push(app.person_with(&format!("p{who}@{name}")).await);
    }
    let mut history = History {
        clients,
        clock: app.clock.clone(),
        seed,
        since,
        from: 0,
        organization,
        domain: domain.id,
        links,
        people,
        time: AtomicU64::new(0),
        calls: Mutex::default(),
        known: Mutex::default(),
    };
    app.settle().await;
    history.from = history.events().await.last().unwrap().organization_version;
    let people = (0..PEOPLE).map(|who| history.person(who));
    let admins = (0..2).map(|n| history.admin(n));
    futures::join!(join_all(people), join_all(admins));
    app.settle().await;
    history.check().await
}

async fn set_seats(operator: &Person, organization: &str, seats: i64) {
    let request =
        own::SetSeatLimitRequest { organization_id: organization.to_owned(), seat_limit: seats };
    operator.set_seat_limit(request).await.unwrap();
}

impl History<'_> {
    /// Makes the steps of one of the people.
    async fn person(&self, who: Who) {
        let mut random = StdRng::seed_from_u64(self.seed.wrapping_add(who as u64));
        for _ in 0..5 {
            let own_request = self.known.lock().unwrap().own_requests.get(&who).cloned();
            let step = match random.random_range(0..14) {
                0..3 => Step::RequestByLink(who),
                3..5 => Step::RequestByDomain(who),
                5..7 => Step::Join(who, Link::Approval),
                7 => Step::Join(who, Link::Open),
                8..10 => Step::JoinByDomain(who),
                10 => Step::Leave(who),
                _ => match own_request {
                    Some(request) => Step::Withdraw { request },
                    None => Step::RequestByDomain(who),
                },
            };
            self.run_step(&self.people[who], step, &mut random).await;
        }
    }

    /// Makes the steps of an admin. The operator changes the seats.
    async fn admin(&self, number: u64) {
        let mut random = StdRng::seed_from_u64(self.seed.wrapping_sub(number + 1));
        for _ in 0..8 {
            self.read_pending_requests().await;
            let (request, member) = {
                let known = self.known.lock().unwrap();
                let recent = known.requests.iter().rev().take(3).collect::<Vec<_>>();
                let request = recent.choose(&mut random).map(|id| (*id).clone());
                (request, known.members.choose(&mut random).cloned())
            };
            let by = &self.clients.founder;
            let (by, step) = match (random.random_range(0..16), request, member) {
                (0..6, Some(request), _) => (by, Step::Approve { request }),
                (6..9, Some(request), _) => {
                    (by, Step::Deny { request, with_pause: random.random_bool(0.3) })
                }
                (9, _, Some(member)) => (by, Step::Remove { member }),
                (10, _, Some(member)) => {
                    let after = random.random_range(1_000..100_000);
                    (by, Step::SetEnd { member, at: self.now() + after })
                }
                (11..13, ..) => {
                    let seats = *[0, 2, 3, 4].choose(&mut random).unwrap();
                    (&self.clients.operator, Step::SetSeats(seats))
                }
                (13, ..) => {
                    let link = *[Link::Approval, Link::Open].choose(&mut random).unwrap();
                    (by, Step::Revoke(link))
                }
                _ => {
                    let modes = [Mode::InviteOnly, Mode::OnRequest, Mode::Automatic];
                    (by, Step::SetMode(*modes.choose(&mut random).unwrap()))
                }
            };
            self.run_step(by, step, &mut random).await;
        }
    }

    fn now(&self) -> Micros {
        self.clock.now().as_micros()
    }

    /// Adds the pending join requests to the known ids.
    async fn read_pending_requests(&self) {
        let founder = &self.clients.founder;
        let pending = founder.requests(&self.organization, own::JoinRequestState::Pending).await;
        let mut known = self.known.lock().unwrap();
        for request in pending.unwrap() {
            if !known.requests.contains(&request.id) {
                known.requests.push(request.id);
            }
        }
    }

    /// Makes the call of a step and records its result.
    async fn run_step(&self, by: &Person, step: Step, random: &mut StdRng) {
        let (path, body) = self.call_of(&step);
        let address = *self.clients.addresses.choose(random).unwrap();
        let started = self.time.fetch_add(1, Ordering::SeqCst);
        let from = self.now();
        let id = format!("{}-{started}", self.organization);
        let key = by.key.as_ref().unwrap();
        let request = http::Request::post(format!("http://{address}/{path}"))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {key}"))
            .header("x-request-id", &id)
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let answer = self.clients.http.request(request).await.expect("an answer");
        let is_done = answer.status().is_success();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        let times = (from, self.now());
        let ended = self.time.fetch_add(1, Ordering::SeqCst);
        let answer = if is_done {
            self.add_known_ids(&step, &serde_json::from_slice(&body).unwrap());
            Ok(())
        } else {
            let failure = Failure::from_connect(&body);
            Err((failure.code, failure.reason))
        };
        self.calls.lock().unwrap().push(Call { id, step, started, ended, times, answer });
    }

    fn call_of(&self, step: &Step) -> (&'static str, Value) {
        let organization = &self.organization;
        let own = |request| json!({ "organizationId": organization, "joinRequestId": request });
        match step {
            Step::RequestByLink(_) => (
                "guestlist.v1.JoinRequestService/CreateJoinRequest",
                json!({ "linkToken": self.links[&Link::Approval].token }),
            ),
            Step::RequestByDomain(_) => (
                "guestlist.v1.JoinRequestService/CreateJoinRequest",
                json!({ "organizationId": organization }),
            ),
            Step::Join(_, link) => (
                "gitpod.v1.OrganizationService/JoinOrganization",
                json!({ "inviteId": self.links[link].token }),
            ),
            Step::JoinByDomain(_) => (
                "gitpod.v1.OrganizationService/JoinOrganization",
                json!({ "organizationId": organization }),
            ),
            Step::Leave(_) => (
                "guestlist.v1.MemberService/LeaveOrganization",
                json!({ "organizationId": organization }),
            ),
            Step::Withdraw { request } => {
                ("guestlist.v1.JoinRequestService/WithdrawJoinRequest", own(request))
            }
            Step::Approve { request } => {
                ("guestlist.v1.JoinRequestService/ApproveJoinRequest", own(request))
            }
            Step::Deny { request, with_pause } => {
                let mut body = own(request);
                if *with_pause {
                    body["pause"] = "86400s".into();
                }
                ("guestlist.v1.JoinRequestService/DenyJoinRequest", body)
            }
            Step::Remove { member } => {
                ("gitpod.v1.OrganizationService/LeaveOrganization", json!({ "userId": member }))
            }
            Step::SetEnd { member, at } => {
                let end = UNIX_EPOCH + Duration::from_micros(at.unsigned_abs());
                let end = humantime::format_rfc3339_micros(end).to_string();
                (
                    "guestlist.v1.MemberService/SetMemberExpiry",
                    json!({ "organizationId": organization, "memberId": member, "expireTime": end }),
                )
            }
            Step::SetSeats(seats) => (
                "guestlist.v1.AdminService/SetSeatLimit",
                json!({ "organizationId": organization, "seatLimit": seats }),
            ),
            Step::SetMode(mode) => {
                let mode = match mode {
                    Mode::InviteOnly => "DOMAIN_MODE_INVITE_ONLY",
                    Mode::OnRequest => "DOMAIN_MODE_ON_REQUEST",
                    Mode::Automatic => "DOMAIN_MODE_AUTOMATIC",
                };
                (
                    "guestlist.v1.DomainService/SetDomainMode",
                    json!({ "organizationId": organization, "domainId": self.domain, "mode": mode }),
                )
            }
            Step::Revoke(link) => (
                "guestlist.v1.InviteService/Revoke",
                json!({ "organizationId": organization, "id": self.links[link].id }),
            ),
        }
    }

    /// Adds the ids of a response to the known ids.
    fn add_known_ids(&self, step: &Step, answer: &Value) {
        let mut known = self.known.lock().unwrap();
        if let Some(request) = answer["joinRequest"]["id"].as_str() {
            if let Step::RequestByLink(who) | Step::RequestByDomain(who) = step {
                known.own_requests.insert(*who, request.to_owned());
            }
            if !known.requests.iter().any(|id| id == request) {
                known.requests.push(request.to_owned());
            }
        }
        let joined = answer["member"]["userId"].as_str();
        let approved = answer["membership"]["memberId"].as_str();
        if let Some(member) = joined.or(approved)
            && !known.members.iter().any(|id| id == member)
        {
            known.members.push(member.to_owned());
        }
    }

    /// Computes the states between the changes, and checks that one of them explains each response.
    async fn check(self) -> Summary {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        let seed = self.seed;
        let by_id: HashMap<&str, &Call> = calls.iter().map(|call| (&*call.id, call)).collect();
        let changes = self.changes().await;
        let made: HashMap<&str, usize> =
            changes.iter().enumerate().map(|(index, change)| (&*change.request, index)).collect();
        let of_calls = changes.iter().filter(|change| change.request != EXPIRY).count();
        let calls_with_changes = made.keys().filter(|request| **request != EXPIRY).count();
        assert_eq!(calls_with_changes, of_calls, "a call makes at most one change");

        // states[n] is the state before the change n.
        let mut state = State::new(3, Mode::OnRequest);
        let mut states = vec![state.clone()];
        for change in &changes {
            if change.request == EXPIRY {
                for (kind, member) in change.kinds.iter().zip(&change.expired) {
                    assert_eq!(kind, "member.expired");
                    state.expire(member, change.at);
                }
                assert_eq!(change.kinds.len(), change.expired.len());
                states.push(state.clone());
                continue;
            }
            let call = by_id.get(&*change.request).expect("each change comes from a call");
            assert!((call.times.0..=call.times.1).contains(&change.at));
            let effect = state.effect(&call.step, change.at);
            let kinds: Vec<&str> = change.kinds.iter().map(String::as_str).collect();
            assert_eq!(kinds, effect.events, "{:?} in {state:?}, seed {seed}", call.step);
            assert_eq!(call.outcome(), effect.answer, "{:?} in {state:?}", call.step);
            let (member, request) = (change.new_member.as_deref(), change.new_request.as_deref());
            state.apply(&call.step, member, request);
            states.push(state.clone());
        }
        for call in calls.iter() {
            let earliest = self.first_after(&calls, &made, call);
            let latest = self.last_before(&calls, &made, call, changes.len());
            if let Some(&change) = made.get(&*call.id) {
                assert!((earliest..=latest).contains(&change), "{:?} is out of order", call.step);
                continue;
            }
            let is_explained = states[earliest..=latest].iter().any(|state| {
                call.moments(state).any(|now| {
                    let effect = state.effect(&call.step, now);
                    effect.events.is_empty() && effect.answer == call.outcome()
                })
            });
            assert!(
                is_explained,
                "{:?} returned {:?}, which no state explains: {:#?}, seed {seed}",
                call.step,
                call.outcome(),
                &states[earliest..=latest],
            );
        }
        self.compare(&state).await;
        let outcome = |call: &Call| format!("{:?}", call.outcome());
        Summary { changes: changes.len(), answers: calls.iter().map(outcome).collect() }
    }

    /// The first state that the call can have seen: after all changes of calls that ended before it
    /// began.
    fn first_after(&self, calls: &[Call], made: &HashMap<&str, usize>, call: &Call) -> usize {
        let before = calls.iter().filter(|other| other.ended < call.started);
        before.filter_map(|other| made.get(&*other.id)).map(|change| change + 1).max().unwrap_or(0)
    }

    /// The last state that the call can have seen: before all changes of calls that began after it
    /// ended.
    fn last_before(
        &self,
        calls: &[Call],
        made: &HashMap<&str, usize>,
        call: &Call,
        last: usize,
    ) -> usize {
        let after = calls.iter().filter(|other| other.started > call.ended);
        after.filter_map(|other| made.get(&*other.id)).copied().min().unwrap_or(last)
    }

    /// The events of the organization, in the feed's order.
    async fn events(&self) -> Vec<own::Event> {
        let request = own::ListEventsRequest {
            organization_id: self.organization.clone(),
            start_time: self.since,
            limit: 1000,
            ..Default::default()
        };
        let page = self.clients.reader.list_events(request).await.unwrap();
        assert!(!page.has_more, "the events of a history fit on one page");
        page.events
    }

    /// The changes of the history, in the feed's order.
    async fn changes(&self) -> Vec<Change> {
        let from = self.from;
        let mut changes: Vec<Change> = Vec::new();
        for event in
            self.events().await.into_iter().filter(|event| event.organization_version > from)
        {
            let version = event.organization_version;
            if changes.last().is_none_or(|last| last.version != version) {
                let last = changes.last().map_or(from, |last| last.version);
                assert_eq!(version, last + 1, "no version is missing or repeated");
                let time = event.time.unwrap();
                let at = time.seconds * 1_000_000 + i64::from(time.nanos / 1000);
                let request = event.request_id;
                changes.push(Change { version, at, request, ..Default::default() });
            } else {
                assert_eq!(changes.last().unwrap().request, event.request_id);
            }
            let change = changes.last_mut().unwrap();
            match event.data.unwrap() {
                own::event::Data::Member(member) if event.r#type == "member.joined" => {
                    change.new_member = Some(member.member_id);
                }
                own::event::Data::Member(member) if event.r#type == "member.expired" => {
                    change.expired.push(member.member_id);
                }
                own::event::Data::JoinRequest(request)
                    if event.r#type == "join_request.created" =>
                {
                    change.new_request = Some(request.join_request_id);
                }
                _ => {}
            }
            change.kinds.push(event.r#type);
        }
        changes
    }

    /// Checks that the lists agree with the last state.
    async fn compare(&self, state: &State) {
        let founder = &self.clients.founder;
        let before = self.now();
        let listed = founder.members(&self.organization).await.unwrap();
        let times = (before, self.now());
        let listed: HashSet<&str> = listed
            .iter()
            .filter(|member| member.role != i32::from(gitpod::OrganizationRole::Admin))
            .map(|member| member.user_id.as_str())
            .collect();
        let mut moments = moments(times, state.ends());
        let seed = self.seed;
        assert!(
            moments.any(|now| listed == state.members(now)),
            "{listed:?} {state:?}, seed {seed}"
        );
        for (shown, expected) in [
            (own::JoinRequestState::Pending, state.requests(|stage| *stage == Stage::Pending)),
            (
                own::JoinRequestState::Approved,
                state.requests(|stage| matches!(stage, Stage::Approved(_))),
            ),
            (own::JoinRequestState::Denied, state.requests(|stage| *stage == Stage::Denied)),
            (own::JoinRequestState::Withdrawn, state.requests(|stage| *stage == Stage::Withdrawn)),
            (own::JoinRequestState::Ended, state.requests(|stage| *stage == Stage::Ended)),
        ] {
            let requests = founder.requests(&self.organization, shown).await.unwrap();
            let ids: HashSet<&str> = requests.iter().map(|request| request.id.as_str()).collect();
            assert_eq!(ids, expected, "{shown:?}, seed {}", self.seed);
        }
    }
}

/// The times at which a call may have different effects: its beginning and end, and the ends of
/// memberships in between.
fn moments(
    (from, to): (Micros, Micros),
    ends: impl Iterator<Item = Micros>,
) -> impl Iterator<Item = Micros> {
    let ends = ends.filter(move |end| (from..=to).contains(end));
    [from, to].into_iter().chain(ends)
}

impl Call {
    fn moments(&self, state: &State) -> impl Iterator<Item = Micros> {
        let end = match self.step {
            Step::SetEnd { at, .. } => Some(at),
            _ => None,
        };
        moments(self.times, state.ends().chain(end))
    }

    fn outcome(&self) -> Answer {
        match &self.answer {
            Ok(()) => Answer::Done,
            Err((code, reason)) => {
                let reasons = [&REASONS[..], &["NOT_FOUND", "INVALID_ARGUMENT"]].concat();
                let known = reasons.iter().find(|known| *known == reason);
                let known = known.unwrap_or_else(|| panic!("{code:?} {reason} is unexpected"));
                Answer::Refused(*code, known)
            }
        }
    }
}

/// The events of one version of the organization.
#[derive(Debug, Default)]
struct Change {
    version: i64,
    at: Micros,
    /// The id of the call that made it, or [`EXPIRY`].
    request: String,
    kinds: Vec<String>,
    expired: Vec<String>,
    new_member: Option<String>,
    new_request: Option<String>,
}
