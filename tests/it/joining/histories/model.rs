//! A model of the service: the rules of joining as a function of a small state, written without the
//! service's code.

use std::collections::{HashMap, HashSet};

use crate::support::Code;

/// An account, by its number in the history.
pub type Who = usize;

/// A time, in microseconds of the Unix epoch.
pub type Micros = i64;

/// A link of the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// It needs the approval of an admin.
    Approval,
    Open,
}

/// What accounts in the proved domain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    InviteOnly,
    OnRequest,
    Automatic,
}

/// A call that a history makes. Requests and members are given by their ids.
#[derive(Debug, Clone)]
pub enum Step {
    RequestByLink(Who),
    RequestByDomain(Who),
    Join(Who, Link),
    JoinByDomain(Who),
    Leave(Who),
    Withdraw {
        request: String,
    },
    Approve {
        request: String,
    },
    Deny {
        request: String,
        with_pause: bool,
    },
    Remove {
        member: String,
    },
    /// Ends the membership at a time.
    SetEnd {
        member: String,
        at: Micros,
    },
    SetSeats(i64),
    SetMode(Mode),
    Revoke(Link),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Done,
    Refused(Code, &'static str),
}

/// The result of a step in a state.
#[derive(Debug, PartialEq, Eq)]
pub struct Effect {
    pub answer: Answer,
    /// The types of its events, in order. Empty if the step changes nothing.
    pub events: Vec<&'static str>,
}

#[derive(Debug, Clone)]
struct Member {
    who: Who,
    link: Option<Link>,
    end: Option<Micros>,
}

impl Member {
    fn is_over(&self, now: Micros) -> bool {
        self.end.is_some_and(|end| end <= now)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    Pending,
    /// With the id of the membership.
    Approved(String),
    Denied,
    Withdrawn,
    Ended,
}

#[derive(Debug, Clone)]
struct Request {
    who: Who,
    link: Option<Link>,
    stage: Stage,
}

/// The state of an organization. The model does not contain the founder, but counts the founder's
/// seat.
#[derive(Debug, Clone)]
pub struct State {
    /// 0: no limit.
    seats: i64,
    mode: Mode,
    live: HashSet<Link>,
    members: HashMap<String, Member>,
    requests: HashMap<String, Request>,
    /// The accounts that may not request to join again, because a denial had a pause.
    paused: HashSet<Who>,
    /// The accounts that an admin has removed. Each link is older than the removal, so it does not
    /// admit them.
    removed: HashSet<Who>,
}

const NOT_FOUND: Answer = Answer::Refused(Code::NotFound, "NOT_FOUND");
const ALREADY_MEMBER: Answer = Answer::Refused(Code::AlreadyExists, "ALREADY_MEMBER");
const APPROVAL_PENDING: Answer = refused("APPROVAL_PENDING");
const DECIDED: Answer = refused("REQUEST_DECIDED");
const SEAT_LIMIT: Answer = refused("SEAT_LIMIT");

const fn refused(reason: &'static str) -> Answer {
    Answer::Refused(Code::FailedPrecondition, reason)
}

/// A step that changes nothing.
fn no_change(answer: Answer) -> Effect {
    Effect { answer, events: Vec::new() }
}

fn change<const N: usize>(answer: Answer, events: [&'static str; N]) -> Effect {
    Effect { answer, events: events.to_vec() }
}

impl State {
    pub fn new(seats: i64, mode: Mode) -> Self {
        Self {
            seats,
            mode,
            live: [Link::Approval, Link::Open].into(),
            members: HashMap::new(),
            requests: HashMap::new(),
            paused: HashSet::new(),
            removed: HashSet::new(),
        }
    }

    pub fn members(&self, now: Micros) -> HashSet<&str> {
        let members = self.members.iter().filter(|(_, member)| !member.is_over(now));
        members.map(|(id, _)| id.as_str()).collect()
    }

    /// The times at which a membership ends by itself.
    pub fn ends(&self) -> impl Iterator<Item = Micros> {
        self.members.values().filter_map(|member| member.end)
    }

    /// The requests in a stage of this kind.
    pub fn requests(&self, predicate: impl Fn(&Stage) -> bool) -> HashSet<&str> {
        let chosen = self.requests.iter().filter(|(_, request)| predicate(&request.stage));
        chosen.map(|(id, _)| id.as_str()).collect()
    }

    fn member(&self, who: Who) -> Option<&Member> {
        self.members.values().find(|member| member.who == who)
    }

    fn pending(&self, who: Who) -> Option<&str> {
        let mut requests = self.requests.iter();
        let found = requests.find(|(_, one)| one.who == who && one.stage == Stage::Pending);
        found.map(|(id, _)| id.as_str())
    }

    fn stage(&self, request: &str) -> Option<&Stage> {
        self.requests.get(request).map(|request| &request.stage)
    }

    /// Whether there is a seat for one more member. The founder has a seat, too.
    fn has_seat(&self) -> bool {
        self.seats == 0 || i64::try_from(self.members.len()).unwrap() + 1 < self.seats
    }

    /// The effect of the step at this time.
    pub fn effect(&self, step: &Step, now: Micros) -> Effect {
        let mut state = self.clone();
        state.members.retain(|_, member| !member.is_over(now));
        state.effect_when_all_are_current(step, now)
    }

    fn effect_when_all_are_current(&self, step: &Step, now: Micros) -> Effect {
        match step {
            Step::RequestByLink(who) => self.by_link(*who, Link::Approval, true),
            Step::Join(who, link) => self.by_link(*who, *link, false),
            Step::RequestByDomain(who) => self.by_domain(*who, true),
            Step::JoinByDomain(who) => self.by_domain(*who, false),
            Step::Leave(who) => match self.member(*who) {
                Some(_) => change(Answer::Done, ["member.left"]),
                None => no_change(NOT_FOUND),
            },
            Step::Withdraw { request } => match self.stage(request) {
                None => no_change(NOT_FOUND),
                Some(Stage::Pending) => change(Answer::Done, ["join_request.withdrawn"]),
                Some(Stage::Withdrawn) => no_change(Answer::Done),
                Some(_) => no_change(DECIDED),
            },
            Step::Deny { request, .. } => match self.stage(request) {
                None => no_change(NOT_FOUND),
                Some(Stage::Pending) => change(Answer::Done, ["join_request.denied"]),
                Some(Stage::Denied) => no_change(Answer::Done),
                Some(_) => no_change(DECIDED),
            },
            Step::Approve { request } => match self.requests.get(request) {
                None => no_change(NOT_FOUND),
                Some(request) => self.approval(request),
            },
            Step::Remove { member } if self.members.contains_key(member) => {
                change(Answer::Done, ["member.removed"])
            }
            Step::SetEnd { at, .. } if *at <= now => {
                no_change(Answer::Refused(Code::InvalidArgument, "INVALID_ARGUMENT"))
            }
            Step::SetEnd { member, at } => match self.members.get(member) {
                None => no_change(NOT_FOUND),
                Some(member) if member.end == Some(*at) => no_change(Answer::Done),
                Some(_) => change(Answer::Done, ["member.updated"]),
            },
            Step::Remove { .. } => no_change(NOT_FOUND),
            Step::SetSeats(seats) if *seats == self.seats => no_change(Answer::Done),
            Step::SetSeats(_) => change(Answer::Done, ["organization.updated"]),
            Step::SetMode(mode) if *mode == self.mode => no_change(Answer::Done),
            Step::SetMode(_) => change(Answer::Done, ["domain.mode_changed"]),
            Step::Revoke(link) if self.live.contains(link) => {
                change(Answer::Done, ["invite.revoked"])
            }
            Step::Revoke(_) => no_change(Answer::Done),
        }
    }

    fn by_link(&self, who: Who, link: Link, is_request: bool) -> Effect {
        let as_member = no_change(if is_request { ALREADY_MEMBER } else { Answer::Done });
        let member = self.member(who);
        if member.is_some_and(|member| member.link == Some(link)) {
            return as_member;
        }
        if !self.live.contains(&link) {
            return no_change(NOT_FOUND);
        }
        if member.is_some() {
            return as_member;
        }
        if self.removed.contains(&who) {
            return no_change(NOT_FOUND);
        }
        match link {
            Link::Approval if is_request => self.join_request_effect(who, Answer::Done),
            Link::Approval => self.join_request_effect(who, APPROVAL_PENDING),
            Link::Open => self.admission(who),
        }
    }

    fn by_domain(&self, who: Who, is_request: bool) -> Effect {
        if self.member(who).is_some() {
            return no_change(if is_request { ALREADY_MEMBER } else { Answer::Done });
        }
        if self.removed.contains(&who) {
            return no_change(NOT_FOUND);
        }
        match (self.mode, is_request) {
            (Mode::Automatic, true) => no_change(refused("NO_APPROVAL_NEEDED")),
            (Mode::Automatic, false) => self.admission(who),
            (Mode::OnRequest, true) => self.join_request_effect(who, Answer::Done),
            (Mode::OnRequest, false) | (Mode::InviteOnly, _) => no_change(NOT_FOUND),
        }
    }

    /// The effect if the caller may request to join.
    fn join_request_effect(&self, who: Who, answer: Answer) -> Effect {
        if self.pending(who).is_some() {
            return no_change(answer);
        }
        if self.paused.contains(&who) {
            return no_change(refused("ASK_LATER"));
        }
        change(answer, ["join_request.created"])
    }

    /// The effect if the caller may join without approval, given a free seat.
    fn admission(&self, who: Who) -> Effect {
        if !self.has_seat() {
            return no_change(SEAT_LIMIT);
        }
        match self.pending(who) {
            Some(_) => change(Answer::Done, ["member.joined", "join_request.ended"]),
            None => change(Answer::Done, ["member.joined"]),
        }
    }

    fn approval(&self, request: &Request) -> Effect {
        match &request.stage {
            Stage::Pending => {}
            Stage::Approved(member) if self.members.contains_key(member) => {
                return no_change(Answer::Done);
            }
            _ => return no_change(DECIDED),
        }
        if request.link.is_some_and(|link| !self.live.contains(&link)) {
            return no_change(refused("INVITE_ENDED"));
        }
        if !self.has_seat() {
            return no_change(SEAT_LIMIT);
        }
        change(Answer::Done, ["member.joined", "join_request.approved"])
    }

    /// Applies a change. The ids of the new member and the new request come from its events.
    pub fn apply(&mut self, step: &Step, new_member: Option<&str>, new_request: Option<&str>) {
        match step {
            Step::RequestByLink(who) => {
                self.request_to_join(*who, Some(Link::Approval), new_request)
            }
            Step::RequestByDomain(who) => self.request_to_join(*who, None, new_request),
            Step::Join(who, Link::Approval) => {
                self.request_to_join(*who, Some(Link::Approval), new_request)
            }
            Step::Join(who, Link::Open) => self.admit(*who, Some(Link::Open), new_member),
            Step::JoinByDomain(who) => self.admit(*who, None, new_member),
            Step::Leave(who) => self.members.retain(|_, member| member.who != *who),
            Step::Withdraw { request } => self.decide(request, Stage::Withdrawn),
            Step::Deny { request, with_pause } => {
                if *with_pause {
                    self.paused.insert(self.requests[request].who);
                }
                self.decide(request, Stage::Denied);
            }
            Step::Approve { request } => {
                let Request { who, link, .. } = self.requests[request];
                let member = new_member.expect("an approved account joins");
                self.decide(request, Stage::Approved(member.to_owned()));
                self.admit(who, link, new_member);
            }
            Step::Remove { member } => {
                let removed = self.members.remove(member).expect("a member");
                self.removed.insert(removed.who);
            }
            Step::SetEnd { member, at } => {
                self.members.get_mut(member).expect("a member").end = Some(*at);
            }
            Step::SetSeats(seats) => self.seats = *seats,
            Step::SetMode(mode) => self.mode = *mode,
            Step::Revoke(link) => assert!(self.live.remove(link)),
        }
    }

    /// Removes a membership that has expired.
    pub fn expire(&mut self, member: &str, now: Micros) {
        let member = self.members.remove(member).expect("a member");
        assert!(member.is_over(now), "{member:?} at {now}");
    }

    fn request_to_join(&mut self, who: Who, link: Option<Link>, id: Option<&str>) {
        let id = id.expect("a request is made").to_owned();
        let request = Request { who, link, stage: Stage::Pending };
        assert!(self.requests.insert(id, request).is_none(), "its id is new");
    }

    fn admit(&mut self, who: Who, link: Option<Link>, id: Option<&str>) {
        if let Some(pending) = self.pending(who).map(str::to_owned) {
            self.decide(&pending, Stage::Ended);
        }
        let id = id.expect("a member is made").to_owned();
        assert!(
            self.members.insert(id, Member { who, link, end: None }).is_none(),
            "its id is new"
        );
    }

    fn decide(&mut self, request: &str, stage: Stage) {
        let request = self.requests.get_mut(request).expect("a request");
        assert_eq!(request.stage, Stage::Pending, "a request is decided only once");
        request.stage = stage;
    }
}
