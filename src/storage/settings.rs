//! Queries on `settings`.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, EntityTrait, QueryTrait};

use super::connection::{Connection, Tx, models};
use super::entity::setting;
use super::statement::Statement;
use crate::error::Result;

/// The fingerprint of the key that seals tokens.
pub const SECRET_KEY_FINGERPRINT: &str = "secret_key_fingerprint";

/// Written to find out whether a full disk has space again; its value has no meaning.
pub const DISK_SPACE_TEST: &str = "disk_space_test";

/// The value of this name.
pub async fn get(db: &impl Connection, name: &str) -> Result<Option<String>> {
    let rows = models(db, setting::Entity::find_by_id(name)).await?;
    Ok(rows.into_iter().next().map(|row| row.value))
}

/// Stores the value of this name, in place of an older one.
pub async fn set(tx: &Tx, name: &str, value: &str) -> Result<()> {
    let upsert = setting::Entity::insert(setting::ActiveModel {
        name: Set(name.to_owned()),
        value: Set(value.to_owned()),
    })
    .on_conflict(
        OnConflict::column(setting::Column::Name).update_column(setting::Column::Value).to_owned(),
    );
    let upsert = Statement::built(upsert.as_query(), tx.backend());
    tx.run(upsert.changing::<setting::Entity>()).await?;
    Ok(())
}
