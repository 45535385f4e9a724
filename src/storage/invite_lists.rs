//! Lists over `invites`, newest first, one page at a time.

use sea_orm::sea_query::{Expr, ExprTrait, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, IntoSimpleExpr, JoinType, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, RelationTrait, Select,
};
use uuid::Uuid;

use super::attributes::has_pairs;
use super::connection::{self, Connection, Db, all, models};
use super::entity::{account, invite, member, organization, stored};
use super::invites::with_sealed_token;
use super::members::{ids_of_due_members, lasts_beyond};
use crate::domain::{
    AccountId, EmailAddress, EndReason, ExternalId, Invite, InviteId, InviteKind, InviteState,
    MemberId, Metadata, OrganizationId, ReceivedInvitation, Role, Timestamp,
};
use crate::error::Result;

/// Which invites to list: those that match all given fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InviteFilter {
    /// One of these kinds; empty means all.
    pub kinds: Vec<InviteKind>,
    /// One of these states; empty means all. A live invite whose expiry has passed counts as
    /// expired.
    pub states: Vec<InviteState>,
    pub role: Option<Role>,
    /// Created by this member.
    pub inviter: Option<MemberId>,
    /// The normalised address of an email invitation.
    pub email: Option<String>,
    /// Created at this moment or later.
    pub start: Option<Timestamp>,
    /// Created before this moment.
    pub end: Option<Timestamp>,
    /// Only invites without a content grant.
    pub without_content: bool,
    /// With all of these pairs.
    pub metadata: Metadata,
    pub external_id: Option<ExternalId>,
}

/// The order of a list, and the invite that it continues after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    NewestFirst(Option<InviteId>),
    OldestFirst(Option<InviteId>),
}

impl InviteFilter {
    fn select(
        &self,
        organization: OrganizationId,
        now: Timestamp,
        due_inviters: bool,
    ) -> Select<invite::Entity> {
        use invite::Column;

        let mut all = Condition::all().add(Column::OrganizationId.eq(Uuid::from(organization)));
        if !self.kinds.is_empty() {
            all = all.add(Column::Kind.is_in(self.kinds.iter().map(|kind| kind.as_str())));
        }
        if !self.states.is_empty() {
            let mut any = self
                .states
                .iter()
                .fold(Condition::any(), |any, state| any.add(in_state(*state, now)));
            if due_inviters {
                let ended = || ids_of_due_members(organization, now);
                let live = || Condition::all().add(in_state(InviteState::Live, now));
                if self.states.contains(&InviteState::Live) {
                    let others = self.states.iter().filter(|state| **state != InviteState::Live);
                    any =
                        others.fold(Condition::any(), |any, state| any.add(in_state(*state, now)));
                    any = any.add(live().add(Column::InviterId.not_in_subquery(ended())));
                }
                if self.states.contains(&EndReason::InviterGone.state()) {
                    any = any.add(live().add(Column::InviterId.in_subquery(ended())));
                }
            }
            all = all.add(any);
        }
        if let Some(role) = self.role {
            all = all.add(Column::Role.eq(role.as_str()));
        }
        if let Some(inviter) = self.inviter {
            all = all.add(Column::InviterId.eq(Uuid::from(inviter)));
        }
        if let Some(email) = &self.email {
            all = all.add(Column::Email.eq(email));
        }
        if let Some(start) = self.start {
            all = all.add(Column::CreatedAt.gte(start.as_micros()));
        }
        if let Some(end) = self.end {
            all = all.add(Column::CreatedAt.lt(end.as_micros()));
        }
        if self.without_content {
            all = all.add(Column::ContentKind.is_null());
        }
        if !self.metadata.is_empty() {
            all = all.add(has_pairs(Column::Metadata, &self.metadata));
        }
        if let Some(id) = &self.external_id {
            all = all.add(Column::ExternalId.eq(id.as_str()));
        }
        invite::Entity::find().filter(all)
    }
}

fn in_state(state: InviteState, now: Timestamp) -> Condition {
    use invite::Column;

    let run_out = Condition::all()
        .add(Expr::cust("state = 'live'"))
        .add(Column::ExpiresAt.lte(now.as_micros()));
    match state {
        InviteState::Live => Condition::all().add(Expr::cust("state = 'live'")).add(
            Condition::any()
                .add(Column::ExpiresAt.is_null())
                .add(Column::ExpiresAt.gt(now.as_micros())),
        ),
        InviteState::Expired => Condition::any().add(Column::State.eq(state.as_str())).add(run_out),
        _ => Condition::all().add(Column::State.eq(state.as_str())),
    }
}

/// At most `limit` invites with their sealed tokens. `due_inviters`: some memberships have expired
/// without a record of that in the store, and the invites of these members count as ended.
pub async fn page(
    db: &Db,
    organization: OrganizationId,
    filter: &InviteFilter,
    order: Order,
    limit: u64,
    (now, due_inviters): (Timestamp, bool),
) -> Result<Vec<(Invite, Vec<u8>)>> {
    use invite::Column;

    let mut select = filter.select(organization, now, due_inviters).limit(limit);
    select = match order {
        Order::NewestFirst(_) => select.order_by_desc(Column::Id),
        Order::OldestFirst(_) => select.order_by_asc(Column::Id),
    };
    match order {
        Order::NewestFirst(Some(before)) => {
            select = select.filter(Column::Id.lt(Uuid::from(before)));
        }
        Order::OldestFirst(Some(after)) => {
            select = select.filter(Column::Id.gt(Uuid::from(after)));
        }
        _ => {}
    }
    let rows = models(&db.for_lists(), select).await?;
    rows.into_iter().map(with_sealed_token).collect()
}

/// The number of invites that match a filter.
pub async fn count(
    db: &Db,
    organization: OrganizationId,
    filter: &InviteFilter,
    (now, due_inviters): (Timestamp, bool),
) -> Result<u64> {
    let select = filter.select(organization, now, due_inviters);
    connection::count(&db.for_lists(), select).await
}

/// The predicate of the index of pending invitations, for queries that join other tables.
const PENDING: &str = "\"invites\".\"kind\" = 'email' AND \"invites\".\"state\" = 'live'";

/// At most `limit` pending email invitations that an account can accept with its verified address
/// `email`, newest first, older than `before`; of all organizations, or only of `only`. The account
/// may read them because its address is verified.
pub async fn received(
    db: &impl Connection,
    (account, email): (AccountId, &EmailAddress),
    only: Option<OrganizationId>,
    before: Option<InviteId>,
    limit: u64,
    now: Timestamp,
) -> Result<Vec<ReceivedInvitation>> {
    use invite::Column;

    let mut select = invite::Entity::find()
        .column(organization::Column::Name)
        .column(account::Column::Name)
        // Invites of a deleted organization may still be there.
        .join(JoinType::InnerJoin, invite::Relation::Organization.def())
        .join(JoinType::LeftJoin, invite::Relation::Inviter.def())
        .join(JoinType::LeftJoin, member::Relation::Account.def())
        .filter(Column::Email.eq(email.as_str()))
        .filter(Expr::cust(PENDING))
        .filter(Column::ExpiresAt.gt(now.as_micros()))
        // This is the membership of the inviter: its invites end with it.
        .filter(lasts_beyond(now))
        .filter(Expr::exists(later_removals(account)).not())
        .order_by_desc(Column::Id)
        .limit(limit);
    if let Some(only) = only {
        select = select.filter(Column::OrganizationId.eq(Uuid::from(only)));
    }
    if let Some(before) = before {
        select = select.filter(Column::Id.lt(Uuid::from(before)));
    }
    let rows = all(db, &select).await?;
    rows.into_iter()
        .map(|mut row| {
            Ok(ReceivedInvitation {
                invite: row.model::<invite::Entity>()?.try_into()?,
                organization: stored("organizations.name", &row.value::<String>()?)?,
                inviter: row.value::<Option<String>>()?.unwrap_or_default(),
            })
        })
        .collect()
}

/// The removals of an account that make an invitation of the same organization invalid.
fn later_removals(account: AccountId) -> SelectStatement {
    use member::Column;

    let of_invite = |column: invite::Column| Expr::col((invite::Entity, column));
    member::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::AccountId.eq(Uuid::from(account)))
        .filter(Expr::cust("\"members\".\"removed\""))
        .filter(
            Column::OrganizationId.into_simple_expr().eq(of_invite(invite::Column::OrganizationId)),
        )
        .filter(Column::LeftVersion.into_simple_expr().gte(of_invite(invite::Column::Version)))
        .into_query()
}
