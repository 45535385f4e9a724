//! Memberships by organization and account, for services that check what an account may do.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, IntoSimpleExpr, JoinType, QueryFilter, QuerySelect,
    QueryTrait, RelationTrait, Select, Value,
};
use uuid::Uuid;

use super::connection::{Connection, Db, first};
use super::entity::{account, attributes, member, stored};
use super::organization_cache::{Moment, OfOrganization, OrganizationCache};
use super::sql::{Named, query};
use super::statement::Row;
use crate::domain::{Account, AccountId, MemberId, Membership, OrganizationId, Timestamp};
use crate::error::{Error, Result};

/// The most memberships in one request.
pub const MAX_KEYS: usize = 100;

/// The number of keys of a smaller statement on SQLite, so that few keys take less time than many.
const FEW_KEYS: usize = 10;

/// The predicate of the index of memberships. It is a literal: with a bound value, the index is not
/// used.
const CURRENT: &str = "\"members\".\"status\" <> 'left'";

/// An organization and an account.
pub type MembershipKey = (OrganizationId, AccountId);

/// A membership that has not ended in the store, with the issuer of its account.
#[derive(Debug, Clone)]
pub struct StoredMembership {
    pub membership: Membership,
    pub issuer: Arc<str>,
}

/// Memberships by organization and account.
#[derive(Default)]
pub(super) struct Memberships(OrganizationCache<MembershipKey, StoredMembership>);

impl Memberships {
    /// The current membership of an account at `now`.
    pub(super) async fn find(
        &self,
        db: &Db,
        organization: OrganizationId,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Option<StoredMembership>> {
        static FIND: Named = Named::new(|| query(select().filter(has_key())));
        let key = (organization, account);
        let read = async { first(db, FIND.with(db, values(key))).await?.map(read).transpose() };
        self.find_or_read(db, key, read, now).await
    }

    /// As `find`, for an account that is already read: the statement does not read the issuer from
    /// `accounts`.
    pub(super) async fn find_of(
        &self,
        db: &Db,
        organization: OrganizationId,
        account: &Account,
        now: Timestamp,
    ) -> Result<Option<StoredMembership>> {
        static FIND: Named = Named::new(|| query(select_without_issuer().filter(has_key())));
        let key = (organization, account.id);
        let read = async {
            let Some(mut row) = first(db, FIND.with(db, values(key))).await? else {
                return Ok(None);
            };
            let issuer = account.issuer.as_str().into();
            Ok(Some(StoredMembership { membership: membership(&mut row)?, issuer }))
        };
        self.find_or_read(db, key, read, now).await
    }

    async fn find_or_read(
        &self,
        db: &Db,
        key: MembershipKey,
        read: impl Future<Output = Result<Option<StoredMembership>>>,
        now: Timestamp,
    ) -> Result<Option<StoredMembership>> {
        let found = self.0.find(db, key, read).await?;
        // A membership can expire without a change of the store.
        Ok(found.filter(|found| found.membership.is_current(now)))
    }

    /// The current memberships of at most [`MAX_KEYS`] keys at `now`, by one statement.
    pub(super) async fn find_all(
        &self,
        db: &Db,
        keys: &[MembershipKey],
        now: Timestamp,
    ) -> Result<HashMap<MembershipKey, StoredMembership>> {
        let mut found = match Moment::now(db) {
            Some(read_at) => self.find_all_on_sqlite(db, keys, read_at).await?,
            None => on_postgres(db, keys).await?,
        };
        found.retain(|_, found| found.membership.is_current(now));
        Ok(found)
    }

    async fn find_all_on_sqlite(
        &self,
        db: &Db,
        keys: &[MembershipKey],
        read_at: Moment,
    ) -> Result<HashMap<MembershipKey, StoredMembership>> {
        let kept = keys.iter().filter_map(|key| Some((*key, self.0.get(db, key, read_at)?)));
        let mut found: HashMap<_, _> = kept.collect();
        let missing: Vec<_> = keys.iter().copied().filter(|key| !found.contains_key(key)).collect();
        for (key, membership) in on_sqlite(db, &missing).await? {
            self.0.insert(key, membership.clone(), read_at);
            found.insert(key, membership);
        }
        Ok(found)
    }
}

impl OfOrganization for StoredMembership {
    fn organization(&self) -> Uuid {
        self.membership.organization.into()
    }
}

/// The current membership with this id at `now`.
pub async fn find_by_id(
    db: &impl Connection,
    organization: OrganizationId,
    id: MemberId,
    now: Timestamp,
) -> Result<Option<StoredMembership>> {
    static FIND: Named = Named::new(|| {
        let its = member::Column::OrganizationId.eq(Uuid::nil());
        query(select().filter(its).filter(member::Column::Id.eq(Uuid::nil())).filter(current()))
    });
    let values = [Uuid::from(organization).into(), Uuid::from(id).into()];
    let found = first(db, FIND.with(db, values)).await?.map(read).transpose()?;
    Ok(found.filter(|found| found.membership.is_current(now)))
}

/// Few keys have a smaller statement than many keys.
async fn on_sqlite(
    db: &Db,
    keys: &[MembershipKey],
) -> Result<HashMap<MembershipKey, StoredMembership>> {
    static FIND_FEW: Named = Named::new(|| query(select().filter(has_key_among(FEW_KEYS))));
    static FIND: Named = Named::new(|| query(select().filter(has_key_among(MAX_KEYS))));
    let Some(last) = keys.last() else { return Ok(HashMap::new()) };
    let statement = if keys.len() <= FEW_KEYS {
        FIND_FEW.with(db, all_values::<{ 2 * FEW_KEYS }>(keys, *last)?)
    } else {
        FIND.with(db, all_values::<{ 2 * MAX_KEYS }>(keys, *last)?)
    };
    by_key(db.run(statement).await?.rows)
}

/// The keys are sent as two texts with commas, which PostgreSQL turns into rows. A condition with
/// many parts would be planned again for each run.
async fn on_postgres(
    db: &Db,
    keys: &[MembershipKey],
) -> Result<HashMap<MembershipKey, StoredMembership>> {
    static FIND: Named = Named::new(|| {
        let ids =
            || Expr::cust_with_values("unnest(CAST(string_to_array($1, ',') AS uuid[]))", [""]);
        let asked = Query::select().expr_as(ids(), ORGANIZATION).expr_as(ids(), ACCOUNT).to_owned();
        let same =
            |column: member::Column, asked| column.into_simple_expr().eq(Expr::col((ASKED, asked)));
        let is_asked = Condition::all()
            .add(same(member::Column::OrganizationId, ORGANIZATION))
            .add(same(member::Column::AccountId, ACCOUNT));
        let mut select = select().filter(current()).into_query();
        select.join_subquery(JoinType::InnerJoin, asked, ASKED, is_asked);
        select.into()
    });
    let text = |ids: Vec<String>| Value::from(ids.join(","));
    let organizations =
        text(keys.iter().map(|(organization, _)| organization.to_string()).collect());
    let accounts = text(keys.iter().map(|(_, account)| account.to_string()).collect());
    by_key(db.run(FIND.with(db, [organizations, accounts])).await?.rows)
}

/// Names in the statement above.
const ASKED: &str = "asked";
const ORGANIZATION: &str = "organization_id";
const ACCOUNT: &str = "account_id";

fn by_key(rows: Vec<Row>) -> Result<HashMap<MembershipKey, StoredMembership>> {
    let found = rows.into_iter().map(|row| {
        let found = read(row)?;
        Ok(((found.membership.organization, found.membership.account), found))
    });
    found.collect()
}

fn select() -> Select<member::Entity> {
    select_without_issuer()
        .column(account::Column::Issuer)
        .join(JoinType::InnerJoin, member::Relation::Account.def())
}

fn select_without_issuer() -> Select<member::Entity> {
    use member::Column;

    member::Entity::find()
        .select_only()
        .columns([Column::OrganizationId, Column::Id, Column::AccountId])
        .columns([Column::Role, Column::Status, Column::JoinedAt, Column::ExpiresAt])
        .columns([Column::Metadata, Column::ExternalId])
        // The rows of a deleted organization may still be there.
        .join(JoinType::InnerJoin, member::Relation::Organization.def())
}

fn current() -> Expr {
    Expr::cust(CURRENT)
}

fn has_key() -> Condition {
    Condition::all()
        .add(member::Column::OrganizationId.eq(Uuid::nil()))
        .add(member::Column::AccountId.eq(Uuid::nil()))
        .add(current())
}

/// Each part contains the predicate of the index: without it, SQLite would not use the index.
fn has_key_among(number: usize) -> Condition {
    (0..number).fold(Condition::any(), |any, _| any.add(has_key()))
}

fn values((organization, account): MembershipKey) -> [Value; 2] {
    [Uuid::from(organization).into(), Uuid::from(account).into()]
}

/// The values of `N / 2` keys; `last` is repeated.
fn all_values<const N: usize>(keys: &[MembershipKey], last: MembershipKey) -> Result<[Value; N]> {
    let mut all: Vec<Value> = keys.iter().copied().flat_map(values).collect();
    while all.len() < N {
        all.extend(values(last));
    }
    all.try_into().map_err(|_| Error::internal("too many keys of memberships in one statement"))
}

fn read(mut row: Row) -> Result<StoredMembership> {
    let membership = membership(&mut row)?;
    Ok(StoredMembership { membership, issuer: row.value::<String>()?.into() })
}

fn membership(row: &mut Row) -> Result<Membership> {
    Ok(Membership {
        organization: row.value::<Uuid>()?.into(),
        id: row.value::<Uuid>()?.into(),
        account: row.value::<Uuid>()?.into(),
        role: stored("members.role", &row.value::<String>()?)?,
        status: stored("members.status", &row.value::<String>()?)?,
        since: Timestamp::from_micros(row.value()?),
        expires_at: row.value::<Option<i64>>()?.map(Timestamp::from_micros),
        attributes: {
            let metadata: Option<String> = row.value()?;
            let external_id: Option<String> = row.value()?;
            attributes(metadata.as_deref(), external_id.as_deref())?
        },
    })
}
