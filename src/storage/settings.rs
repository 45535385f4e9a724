//! Queries on `settings`.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};

use super::Tx;
use super::entity::setting;
use super::error::OrError;
use super::query::unique;
use crate::error::Result;

/// The fingerprint of the key that seals tokens.
pub const SECRET_KEY_FINGERPRINT: &str = "secret_key_fingerprint";

/// Written to see whether the disk has room again after it was full; means nothing.
pub const ROOM: &str = "room";

/// What the store remembers under a name.
pub async fn get(db: &impl ConnectionTrait, name: &str) -> Result<Option<String>> {
    let row = unique(setting::Entity::find_by_id(name), db).await?;
    Ok(row.map(|row| row.value))
}

/// Remembers something under a name.
pub async fn set(tx: &Tx, name: &str, value: &str) -> Result<()> {
    setting::Entity::insert(setting::ActiveModel {
        name: Set(name.to_owned()),
        value: Set(value.to_owned()),
    })
    .on_conflict(
        OnConflict::column(setting::Column::Name).update_column(setting::Column::Value).to_owned(),
    )
    .exec_without_returning(tx)
    .await
    .or_error()?;
    Ok(())
}
