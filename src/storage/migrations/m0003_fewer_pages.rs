//! Less to write for every invite.
//!
//! Each index an invite is in is a page more that a change writes: in a large store
//! hardly two organizations share one.

use sea_orm_migration::prelude::*;

use super::columns::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `invites_by_id` begins with the same column.
        manager.drop_index(of_invites("invites_of_organization")).await?;
        manager.drop_index(of_invites("invites_expiring")).await?;
        // Most links never expire; those that do are all that is asked for.
        let expiring = index("invites_expiring", "invites", ["expires_at"])
            .and_where(Expr::cust("state = 'live' AND expires_at IS NOT NULL"))
            .to_owned();
        manager.create_index(expiring).await
    }
}

fn of_invites(index: &'static str) -> IndexDropStatement {
    Index::drop().name(index).table(name("invites")).to_owned()
}
