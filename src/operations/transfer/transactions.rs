//! How the lines of a plan are divided into transactions.

use super::bundle::Bundle;
use super::lines::Place;
use super::plan::Plan;

/// The most rows of a transaction, each with its event: other changes wait for the transaction.
const MAX_ROWS: usize = 1000;

/// The lines of a transaction.
pub(super) enum Lines<'a> {
    Accounts(&'a [Place]),
    /// One organization, or several new ones.
    Organizations(Vec<Chunk<'a>>),
}

/// Lines of one organization.
pub(super) struct Chunk<'a> {
    pub bundle: &'a Bundle,
    /// The organization's own line is among them.
    pub has_own: bool,
    pub members: &'a [Place],
    pub invitations: &'a [Place],
    /// How many transactions of the organization come after this one; each raises its version by
    /// one, up to the version in the file.
    pub left: usize,
}

/// Divides the lines of a plan into transactions.
pub(super) fn transactions(plan: &Plan) -> Vec<Lines<'_>> {
    let mut all: Vec<Lines<'_>> = plan.accounts.chunks(MAX_ROWS).map(Lines::Accounts).collect();
    let (mut small, mut rows) = (Vec::new(), 0);
    for bundle in &plan.organizations {
        let (members, invitations) = (&bundle.members[..], &bundle.invitations[..]);
        let size = 1 + members.len() + invitations.len();
        if bundle.own.is_none() || size > MAX_ROWS {
            all.extend(chunks(bundle).into_iter().map(|chunk| Lines::Organizations(vec![chunk])));
            continue;
        }
        if rows + size > MAX_ROWS {
            all.push(Lines::Organizations(std::mem::take(&mut small)));
            rows = 0;
        }
        rows += size;
        small.push(Chunk { bundle, has_own: true, members, invitations, left: 0 });
    }
    if !small.is_empty() {
        all.push(Lines::Organizations(small));
    }
    all
}

/// Divides an organization that is in the store, or one with many rows.
fn chunks(bundle: &Bundle) -> Vec<Chunk<'_>> {
    let own = usize::from(bundle.own.is_some());
    let (mut members, mut invitations) = (&bundle.members[..], &bundle.invitations[..]);
    let number = (own + members.len() + invitations.len()).div_ceil(MAX_ROWS);
    let mut chunks = Vec::with_capacity(number);
    for left in (0..number).rev() {
        let has_own = own == 1 && chunks.is_empty();
        let room = MAX_ROWS - usize::from(has_own);
        let (some, others) = members.split_at(members.len().min(room));
        let (more, later) = invitations.split_at(invitations.len().min(room - some.len()));
        (members, invitations) = (others, later);
        chunks.push(Chunk { bundle, has_own, members: some, invitations: more, left });
    }
    chunks
}
