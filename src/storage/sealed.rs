//! Queries on the columns with sealed values, which a secret key encrypts, in all organizations.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, UpdateMany};
use uuid::Uuid;

use super::connection::{Db, Tx, all, update};
use super::entity::{invite, webhook};
use crate::domain::InviteState;
use crate::error::Result;

/// A sealed value: where it is, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub place: Place,
    /// The invite's or the webhook's id.
    pub id: Uuid,
    pub bytes: Vec<u8>,
}

/// The columns with sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The token of an invite. It may still be needed only if the invite is live.
    InviteToken {
        is_live: bool,
    },
    WebhookSecret,
    PreviousWebhookSecret,
}

/// The tables with sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Invites,
    Webhooks,
}

/// A page of sealed values.
pub struct Page {
    pub values: Vec<Sealed>,
    /// The id of the last row; `None` if there was no row.
    pub last: Option<Uuid>,
}

/// The sealed values of at most `limit` rows after this one, in the order of ids.
pub async fn page(db: &Db, table: Table, after: Option<Uuid>, limit: u64) -> Result<Page> {
    match table {
        Table::Invites => invite_tokens(db, after, limit).await,
        Table::Webhooks => webhook_secrets(db, after, limit).await,
    }
}

async fn invite_tokens(db: &Db, after: Option<Uuid>, limit: u64) -> Result<Page> {
    use invite::Column;

    let mut select = invite::Entity::find()
        .select_only()
        .columns([Column::Id, Column::State, Column::TokenSealed])
        .order_by_asc(Column::Id)
        .limit(limit);
    if let Some(after) = after {
        select = select.filter(Column::Id.gt(after));
    }
    let mut page = Page { values: Vec::new(), last: None };
    for mut row in all(&db.for_lists(), &select).await? {
        let (id, state): (Uuid, String) = (row.value()?, row.value()?);
        let place = Place::InviteToken { is_live: state == InviteState::Live.as_str() };
        page.values.push(Sealed { place, id, bytes: row.value()? });
        page.last = Some(id);
    }
    Ok(page)
}

async fn webhook_secrets(db: &Db, after: Option<Uuid>, limit: u64) -> Result<Page> {
    use webhook::Column;

    let mut select = webhook::Entity::find()
        .select_only()
        .columns([Column::Id, Column::SecretSealed, Column::PreviousSecretSealed])
        .order_by_asc(Column::Id)
        .limit(limit);
    if let Some(after) = after {
        select = select.filter(Column::Id.gt(after));
    }
    let mut page = Page { values: Vec::new(), last: None };
    for mut row in all(&db.for_lists(), &select).await? {
        let id: Uuid = row.value()?;
        let current = Sealed { place: Place::WebhookSecret, id, bytes: row.value()? };
        page.values.push(current);
        if let Some(bytes) = row.value::<Option<Vec<u8>>>()? {
            page.values.push(Sealed { place: Place::PreviousWebhookSecret, id, bytes });
        }
        page.last = Some(id);
    }
    Ok(page)
}

/// Replaces each value by the bytes that are paired with it, unless it has changed since it was
/// read; returns for each value whether it was replaced.
pub async fn replace(tx: &Tx, values: &[(Sealed, Vec<u8>)]) -> Result<Vec<bool>> {
    // All updates run together, which takes one round trip on PostgreSQL.
    try_join_all(values.iter().map(|(old, new)| replace_one(tx, old, new))).await
}

async fn replace_one(tx: &Tx, old: &Sealed, new: &[u8]) -> Result<bool> {
    let replaced = match old.place {
        Place::InviteToken { .. } => {
            update(tx, replaced(invite::Column::Id, invite::Column::TokenSealed, old, new)).await?
        }
        Place::WebhookSecret => {
            let column = webhook::Column::SecretSealed;
            update(tx, replaced(webhook::Column::Id, column, old, new)).await?
        }
        Place::PreviousWebhookSecret => {
            let column = webhook::Column::PreviousSecretSealed;
            update(tx, replaced(webhook::Column::Id, column, old, new)).await?
        }
    };
    Ok(replaced > 0)
}

fn replaced<C: ColumnTrait>(
    id: C,
    column: C,
    old: &Sealed,
    new: &[u8],
) -> UpdateMany<<C as ColumnTrait>::EntityName>
where
    <C as ColumnTrait>::EntityName: EntityTrait,
{
    <C as ColumnTrait>::EntityName::update_many()
        .col_expr(column, Expr::value(new.to_vec()))
        .filter(id.eq(old.id))
        .filter(column.eq(old.bytes.clone()))
}

/// How many sealed values may still be needed, by the id of their key. The id is a part of each
/// value.
pub async fn count_by_key(db: &Db) -> Result<BTreeMap<Vec<u8>, Counts>> {
    const TOKEN_KEY: &str = "substr(token_sealed, 2, 8)";
    const SECRET_KEY: &str = "substr(secret_sealed, 2, 8)";
    const PREVIOUS_KEY: &str = "substr(previous_secret_sealed, 2, 8)";

    let db = db.for_lists();
    let mut found = BTreeMap::<Vec<u8>, Counts>::new();
    let tokens = invite::Entity::find()
        .select_only()
        .expr(Expr::cust(TOKEN_KEY))
        .expr(Expr::cust("COUNT(*)"))
        .filter(invite::Column::State.eq(InviteState::Live.as_str()))
        .group_by(Expr::cust(TOKEN_KEY));
    for mut row in all(&db, &tokens).await? {
        let counts = found.entry(row.value()?).or_default();
        counts.invite_tokens += row.value::<i64>()?.unsigned_abs();
    }
    for (key, column) in [
        (SECRET_KEY, webhook::Column::SecretSealed),
        (PREVIOUS_KEY, webhook::Column::PreviousSecretSealed),
    ] {
        let secrets = webhook::Entity::find()
            .select_only()
            .expr(Expr::cust(key))
            .expr(Expr::cust("COUNT(*)"))
            .filter(column.is_not_null())
            .group_by(Expr::cust(key));
        for mut row in all(&db, &secrets).await? {
            let counts = found.entry(row.value()?).or_default();
            counts.webhook_secrets += row.value::<i64>()?.unsigned_abs();
        }
    }
    Ok(found)
}

/// The numbers of sealed values of one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tokens of live invites.
    pub invite_tokens: u64,
    /// Current and previous secrets.
    pub webhook_secrets: u64,
}
