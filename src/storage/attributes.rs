//! Metadata and external ids, which are the attributes of an object: changes, searches by external
//! id or metadata, and the attributes of many objects at once, for readers of the event feed.

use std::collections::{HashMap, HashSet};

use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, IntoSimpleExpr, JoinType, QueryFilter, QuerySelect,
    RelationTrait, UpdateMany,
};
use uuid::Uuid;

use super::connection::{Connection, Tx, all, models, update};
use super::entity::{attributes, invite, member, organization, stored};
use super::sql::{is_one_of, size_beside_organization};
use super::statement::{Row, SIZES};
use crate::domain::{
    AccountId, Attributes, ExternalId, Invite, InviteId, MemberId, Metadata, OrganizationId,
};
use crate::error::Result;

/// The predicates of the indexes by external id. They are literals: with a bound value, a partial
/// index is not used.
const LIVE: &str = "external_id IS NOT NULL AND state = 'live'";
const CURRENT: &str =
    "\"members\".\"external_id\" IS NOT NULL AND \"members\".\"status\" <> 'left'";
const WITH_ID: &str = "external_id IS NOT NULL";

/// Sets the attributes of an organization, whose row must be locked.
pub async fn set_of_organization(tx: &Tx, id: OrganizationId, to: &Attributes) -> Result<()> {
    use organization::Column;

    let set = set(organization::Entity::update_many(), [Column::Metadata, Column::ExternalId], to);
    update(tx, set.filter(Column::Id.eq(Uuid::from(id)))).await.map(drop)
}

/// Sets the attributes of a membership.
pub async fn set_of_member(
    tx: &Tx,
    organization: OrganizationId,
    id: MemberId,
    to: &Attributes,
) -> Result<()> {
    use member::Column;

    let set = set(member::Entity::update_many(), [Column::Metadata, Column::ExternalId], to)
        .filter(Column::Id.eq(Uuid::from(id)))
        .filter(Column::OrganizationId.eq(Uuid::from(organization)));
    update(tx, set).await.map(drop)
}

/// Sets the attributes of an invite.
pub async fn set_of_invite(
    tx: &Tx,
    organization: OrganizationId,
    id: InviteId,
    to: &Attributes,
) -> Result<()> {
    use invite::Column;

    let set = set(invite::Entity::update_many(), [Column::Metadata, Column::ExternalId], to)
        .filter(Column::Id.eq(Uuid::from(id)))
        .filter(Column::OrganizationId.eq(Uuid::from(organization)));
    update(tx, set).await.map(drop)
}

fn set<E: EntityTrait>(
    update: UpdateMany<E>,
    [metadata, external_id]: [E::Column; 2],
    to: &Attributes,
) -> UpdateMany<E> {
    let id = to.external_id.as_ref().map(ToString::to_string);
    update
        .col_expr(metadata, Expr::value(to.metadata.to_json()))
        .col_expr(external_id, Expr::value(id))
}

/// Whether an organization of this creator has the external id.
pub async fn is_of_creator(
    db: &impl Connection,
    creator: AccountId,
    external_id: &ExternalId,
) -> Result<bool> {
    use organization::Column;

    let select = organization::Entity::find()
        .filter(Column::CreatorId.eq(Uuid::from(creator)))
        .filter(Column::ExternalId.eq(external_id.as_str()))
        .filter(Expr::cust(WITH_ID))
        .limit(1);
    Ok(!models(db, select).await?.is_empty())
}

/// Which of these external ids current members of the organization have.
pub async fn among_members(
    db: &impl Connection,
    organization: OrganizationId,
    ids: &[&ExternalId],
) -> Result<HashSet<ExternalId>> {
    let mut found = HashSet::new();
    for ids in ids.chunks(size_beside_organization(db)) {
        let select = member::Entity::find()
            .select_only()
            .column(member::Column::ExternalId)
            .filter(member::Column::OrganizationId.eq(Uuid::from(organization)))
            .filter(is_one_of(member::Column::ExternalId, ids.iter().map(|id| id.as_str())))
            .filter(Expr::cust(CURRENT));
        for mut row in all(db, &select).await? {
            found.insert(stored("members.external_id", &row.value::<String>()?)?);
        }
    }
    Ok(found)
}

/// The invites with these external ids that have not ended, including those whose expiry has
/// passed.
pub async fn invites_with(
    db: &impl Connection,
    organization: OrganizationId,
    ids: &[&ExternalId],
) -> Result<Vec<Invite>> {
    let mut found = Vec::new();
    for ids in ids.chunks(size_beside_organization(db)) {
        let select = invite::Entity::find()
            .filter(invite::Column::OrganizationId.eq(Uuid::from(organization)))
            .filter(is_one_of(invite::Column::ExternalId, ids.iter().map(|id| id.as_str())))
            .filter(Expr::cust(LIVE));
        for row in models(db, select).await? {
            found.push(row.try_into()?);
        }
    }
    Ok(found)
}

/// The condition that a metadata column contains these pairs. Each pair has only one stored text,
/// and the condition is that `replace`, which both engines have, finds this text. The comparison is
/// exact and case-sensitive.
pub(super) fn has_pairs(column: impl ColumnTrait, wanted: &Metadata) -> Condition {
    wanted.json_parts().fold(Condition::all(), |all, part| {
        let without = [column.into_simple_expr(), Expr::value(part), Expr::value("")];
        all.add(Expr::from(Func::cust("replace").args(without)).ne(column.into_simple_expr()))
    })
}

/// The attributes of the members with these ids, in organizations that exist. The ids come from
/// events that the caller may read, so there is no other check. Members without attributes may be
/// absent.
pub async fn of_members(
    db: &impl Connection,
    ids: &[MemberId],
) -> Result<HashMap<MemberId, Attributes>> {
    use member::Column;

    let mut found = HashMap::new();
    for ids in ids.chunks(SIZES[0]) {
        let select = member::Entity::find()
            .select_only()
            .columns([Column::Id, Column::Metadata, Column::ExternalId])
            .join(JoinType::InnerJoin, member::Relation::Organization.def())
            .filter(is_one_of(Column::Id, ids.iter().copied().map(Uuid::from)));
        for mut row in all(db, &select).await? {
            found.insert(row.value::<Uuid>()?.into(), read(&mut row)?);
        }
    }
    Ok(found)
}

/// As [`of_members`], for invites.
pub async fn of_invites(
    db: &impl Connection,
    ids: &[InviteId],
) -> Result<HashMap<InviteId, Attributes>> {
    use invite::Column;

    let mut found = HashMap::new();
    for ids in ids.chunks(SIZES[0]) {
        let select = invite::Entity::find()
            .select_only()
            .columns([Column::Id, Column::Metadata, Column::ExternalId])
            .join(JoinType::InnerJoin, invite::Relation::Organization.def())
            .filter(is_one_of(Column::Id, ids.iter().copied().map(Uuid::from)));
        for mut row in all(db, &select).await? {
            found.insert(row.value::<Uuid>()?.into(), read(&mut row)?);
        }
    }
    Ok(found)
}

/// As [`of_members`], for organizations.
pub async fn of_organizations(
    db: &impl Connection,
    ids: &[OrganizationId],
) -> Result<HashMap<OrganizationId, Attributes>> {
    use organization::Column;

    let mut found = HashMap::new();
    for ids in ids.chunks(SIZES[0]) {
        let select = organization::Entity::find()
            .select_only()
            .columns([Column::Id, Column::Metadata, Column::ExternalId])
            .filter(is_one_of(Column::Id, ids.iter().copied().map(Uuid::from)));
        for mut row in all(db, &select).await? {
            found.insert(row.value::<Uuid>()?.into(), read(&mut row)?);
        }
    }
    Ok(found)
}

fn read(row: &mut Row) -> Result<Attributes> {
    let (metadata, id) = (row.value::<Option<String>>()?, row.value::<Option<String>>()?);
    attributes(metadata.as_deref(), id.as_deref())
}
