//! Checks that the store agrees with the responses that its callers received, and has nothing else.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

use super::ledger::{CallOutcome, Entry};
use super::model::Model;
use super::rows::{Event, Rows};

/// The request id of the mail worker's events.
const MAIL_WORKER: &str = "mail";

/// The errors in the store, one line for each.
pub struct Findings(pub Vec<String>);

impl Findings {
    fn add(&mut self, what: impl Into<String>) {
        self.0.push(what.into());
    }

    /// Adds each element that only one of the two sets has.
    fn add_differences<T: Eq + Hash + Debug>(
        &mut self,
        what: &str,
        actual: HashSet<T>,
        expected: HashSet<T>,
    ) {
        for one in actual.difference(&expected) {
            self.add(format!("{what}: there is {one:?}, which nobody made so"));
        }
        for one in expected.difference(&actual) {
            self.add(format!("{what}: there is no {one:?}"));
        }
    }
}

/// Compares the store with the ledger. `before` has the request ids of the events that existed
/// before the first call.
pub fn check(entries: &[Entry], rows: &Rows, before: &HashSet<String>) -> Findings {
    let mut findings = Findings(rows.damage.clone());
    let mut events: HashMap<&str, Vec<&Event>> = HashMap::new();
    for event in rows.events.iter().filter(|event| !before.contains(&event.request)) {
        events.entry(&event.request).or_default().push(event);
    }
    // Within a request, a later id is greater than an earlier one.
    events.values_mut().for_each(|own_events| own_events.sort_by(|a, b| a.target.cmp(&b.target)));

    let mut model = Model::default();
    for entry in entries {
        let own_events = events.remove(entry.request.as_str()).unwrap_or_default();
        let outcome = match (&entry.outcome, own_events.is_empty()) {
            (CallOutcome::Refused { .. }, false) => {
                Err("refused, and there is something of it".to_owned())
            }
            (CallOutcome::Acknowledged(_), true) if !model.is_no_op(&entry.call) => {
                Err("acknowledged, and it is lost".to_owned())
            }
            (_, true) => Ok(()),
            (_, false) => model.apply(entry, &own_events),
        };
        if let Err(what) = outcome {
            findings.add(format!("{what}: {entry:?}"));
        }
    }
    let mailed = events.remove(MAIL_WORKER).unwrap_or_default();
    check_mails(&mut findings, rows, &mailed);
    // Each of these events increases the version, as every event of an organization does.
    for organization in mailed.iter().filter_map(|event| event.organization) {
        if let Some(organization) = model.organizations.get_mut(&organization) {
            organization.version += 1;
        }
    }
    for event in events.values().flatten() {
        findings.add(format!("{} of {} stands alone", event.action, event.request));
    }
    if let Err(what) = model.count_uses() {
        findings.add(what);
    }
    compare(&mut findings, rows, &model);
    findings
}

/// Checks the results of the mail worker: both the invitation and the audit trail record that a
/// mail is sent or has failed, or neither does.
fn check_mails(findings: &mut Findings, rows: &Rows, events: &[&Event]) {
    let outcome = |action: &str| match action {
        "invite.mailed" => "sent",
        "invite.mail_failed" => "failed",
        _ => "nothing a mail comes to",
    };
    findings.add_differences(
        "mails",
        rows.invites
            .iter()
            .filter_map(|row| Some((row.id.to_string(), row.delivery.as_deref()?)))
            .filter(|(_, delivery)| *delivery != "pending")
            .collect(),
        events.iter().map(|event| (event.target.clone(), outcome(&event.action))).collect(),
    );
}

fn compare(findings: &mut Findings, rows: &Rows, model: &Model) {
    // No event of an organization's creation names the creator's account: it is an account of a
    // caller.
    let accounts: HashSet<_> = model.accounts.values().copied().collect();
    for member in rows.members.iter().filter(|member| !accounts.contains(&member.account)) {
        findings.add(format!("member {} is an account that nobody made", member.id));
    }
    findings.add_differences(
        "accounts",
        rows.accounts
            .iter()
            .filter(|row| row.subject.starts_with("caller"))
            .map(|row| (row.subject.as_str(), row.id))
            .collect(),
        model.accounts.iter().map(|(subject, id)| (subject.as_str(), *id)).collect(),
    );
    findings.add_differences(
        "organizations",
        rows.organizations
            .iter()
            .map(|row| (row.id, row.name.as_str(), row.version, row.member_count))
            .collect(),
        model
            .organizations
            .iter()
            .map(|(id, item)| (*id, item.name.as_str(), item.version, item.member_count))
            .collect(),
    );
    findings.add_differences(
        "members",
        rows.members
            .iter()
            .map(|row| {
                (row.id, row.organization, row.role.as_str(), row.status.as_str(), row.invite)
            })
            .collect(),
        model
            .members
            .iter()
            .map(|(id, item)| {
                (*id, item.organization, item.role.as_str(), item.status, item.invite)
            })
            .collect(),
    );
    for row in &rows.members {
        let expected = model.members.get(&row.id).and_then(|item| item.account);
        if expected.is_some_and(|account| account != row.account) {
            findings.add(format!("member {} is another's account", row.id));
        }
    }
    // Checks the counters against the rows as well.
    for row in &rows.organizations {
        let members =
            rows.members.iter().filter(|m| m.organization == row.id && m.status != "left");
        if i64::try_from(members.count()) != Ok(row.member_count) {
            findings.add(format!("organization {} counts its members wrong", row.id));
        }
    }
    compare_invites(findings, rows, model);
}

fn compare_invites(findings: &mut Findings, rows: &Rows, model: &Model) {
    findings.add_differences(
        "invites",
        rows.invites
            .iter()
            .map(|row| {
                let mark = row.email.as_deref().unwrap_or(&row.note);
                let terms = (row.role.as_str(), row.max_uses, row.uses, mark);
                (row.id, row.organization, row.kind.as_str(), row.state.as_str(), terms)
            })
            .collect(),
        model
            .invites
            .iter()
            .map(|(id, item)| {
                let terms = (item.role.as_str(), item.max_uses, item.uses, item.mark.as_str());
                (*id, item.organization, item.kind, item.state, terms)
            })
            .collect(),
    );
    for row in &rows.invites {
        let token = model.invites.get(&row.id).and_then(|item| item.token.as_ref());
        if token.is_some_and(|token| token.hash().as_bytes() != row.token_hash) {
            findings.add(format!("invite {} has another token than was answered", row.id));
        }
    }
    // The outbox has a mail for each invitation whose mail is pending, unless the invitation has
    // ended.
    let pending = |state: fn(&str) -> bool| {
        let matching = rows.invites.iter().filter(move |row| state(&row.state));
        let matching = matching.filter(|row| row.delivery.as_deref() == Some("pending"));
        matching.map(|row| row.id).collect::<HashSet<_>>()
    };
    let waiting: HashSet<_> = rows.waiting.iter().copied().collect();
    for id in pending(|state| state == "live").difference(&waiting) {
        findings.add(format!("invitation {id} waits for a mail that is not in the outbox"));
    }
    for id in waiting.difference(&pending(|_| true)) {
        findings.add(format!("the outbox has a mail for {id}, which waits for none"));
    }
    if waiting.len() != rows.waiting.len() {
        findings.add("the outbox has a mail twice");
    }
}
