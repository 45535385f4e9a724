//! Fewer pages to read and to write for an invite and for who joins with it.
//!
//! Each index a row is in is a page more that a change writes: in a large store hardly
//! two organizations share one.

use sea_orm_migration::prelude::*;

use super::columns::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `invites_by_id` begins with the same column.
        manager.drop_index(dropped("invites", "invites_of_organization")).await?;
        // Most links never expire; those that do are all that is asked for.
        manager.drop_index(dropped("invites", "invites_expiring")).await?;
        let expiring = index("invites_expiring", "invites", ["expires_at", "id"])
            .and_where(Expr::cust("state = 'live' AND expires_at IS NOT NULL"))
            .to_owned();
        manager.create_index(expiring).await?;
        // An organization has one join link, which is found without its inviter; it is
        // what is replaced most.
        manager.drop_index(dropped("invites", "invites_live_of_inviter")).await?;
        let of_inviter = index("invites_live_of_inviter", "invites", ["inviter_id"])
            .and_where(Expr::cust("kind <> 'join_link' AND state = 'live'"))
            .to_owned();
        manager.create_index(of_inviter).await?;
        // The account first: who joins has hardly been anywhere, and comes with others
        // as new, whatever the organization.
        manager.drop_index(dropped("members", "members_one_per_account")).await?;
        let one = index("members_one_per_account", "members", ["account_id", "organization_id"])
            .unique()
            .and_where(Expr::cust("status <> 'left'"))
            .to_owned();
        manager.create_index(one).await
    }
}

fn dropped(table: &'static str, index: &'static str) -> IndexDropStatement {
    Index::drop().name(index).table(name(table)).to_owned()
}
