//! Accounts, keys, organizations, members, join links, audit.
//!
//! Constraints carry the rules that must hold whatever the code does: one live
//! join link an organization, one membership an account, no use beyond the last.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::columns::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let postgres = manager.get_database_backend() == DbBackend::Postgres;
        for table in [
            settings(),
            accounts(),
            organizations(),
            api_keys(),
            members(postgres),
            invites(),
            audit_events(),
            removals(),
        ] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

fn settings() -> TableCreateStatement {
    table("settings", [text("name").primary_key().to_owned(), text("value")])
}

fn accounts() -> TableCreateStatement {
    table(
        "accounts",
        [
            id(),
            text("issuer"),
            text("subject"),
            text("kind"),
            text_or_null("email"),
            boolean("email_verified"),
            text("name"),
            text("picture"),
            text("login_provider"),
            text("login_provider_kind"),
            integer("created_at"),
            integer_or_null("updated_at"),
        ],
    )
}

fn organizations() -> TableCreateStatement {
    table(
        "organizations",
        [
            id(),
            text("name"),
            text("invite_domains"),
            text("tier"),
            uuid("creator_id"),
            integer("created_at"),
            integer("updated_at"),
            integer("version"),
            integer("member_count"),
            integer("seat_limit"),
        ],
    )
    .check(("organizations_member_count", Expr::cust("member_count >= 0")))
    .to_owned()
}

fn api_keys() -> TableCreateStatement {
    table(
        "api_keys",
        [
            text("id").primary_key().to_owned(),
            bytes("secret_hash"),
            uuid("account_id"),
            text_or_null("scope"),
            // No foreign key: a key of a deleted organization stays, and reaches
            // nothing.
            uuid_or_null("organization_id"),
            integer("created_at"),
            integer_or_null("expires_at"),
            integer_or_null("revoked_at"),
            integer_or_null("last_used_at"),
        ],
    )
    .foreign_key(&mut references(("api_keys", "account_id"), "accounts"))
    .to_owned()
}

fn members(postgres: bool) -> TableCreateStatement {
    let mut sort_name = text("sort_name");
    if postgres {
        // The order of bytes, as in SQLite, whatever the database's locale:
        // pages continue where the one before ended.
        sort_name.extra("COLLATE \"C\"");
    }
    table(
        "members",
        [
            id(),
            uuid("organization_id"),
            uuid("account_id"),
            text("role"),
            text("status"),
            sort_name,
            integer("joined_at"),
            text("joined_by"),
            uuid_or_null("invite_id"),
            integer_or_null("left_at"),
            boolean("removed"),
            integer_or_null("left_version"),
        ],
    )
    .check(("members_status", Expr::cust("status IN ('active', 'suspended', 'left')")))
    .check(("members_left", Expr::cust("(status = 'left') = (left_at IS NOT NULL)")))
    .foreign_key(&mut references(("members", "account_id"), "accounts"))
    .to_owned()
}

fn invites() -> TableCreateStatement {
    table(
        "invites",
        [
            id(),
            uuid("organization_id"),
            text("kind"),
            text("role"),
            bytes("token_hash"),
            bytes("token_sealed"),
            uuid("inviter_id"),
            text("state"),
            integer("version"),
            integer_or_null("expires_at"),
            integer_or_null("max_uses"),
            integer("uses"),
            integer("created_at"),
            integer_or_null("ended_at"),
            uuid_or_null("ended_by"),
            text_or_null("end_reason"),
        ],
    )
    .check(("invites_uses", Expr::cust("uses >= 0 AND (max_uses IS NULL OR uses <= max_uses)")))
    .check(("invites_ended", Expr::cust("(state = 'live') = (ended_at IS NULL)")))
    .to_owned()
}

fn audit_events() -> TableCreateStatement {
    table(
        "audit_events",
        [
            id(),
            integer("at"),
            text("action"),
            uuid_or_null("actor_id"),
            uuid_or_null("on_behalf_of_id"),
            text("target_kind"),
            text("target_id"),
            uuid_or_null("organization_id"),
            text("request_id"),
            text("note"),
        ],
    )
}

/// Deleted organizations of which there still are rows. They go in parts, so nothing
/// leads by foreign key from an organization's rows to its own.
fn removals() -> TableCreateStatement {
    table("removals", [uuid("organization_id").primary_key().to_owned()])
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index("accounts_issuer_subject", "accounts", ["issuer", "subject"]).unique().to_owned(),
        index("api_keys_account", "api_keys", ["account_id"]),
        index("api_keys_organization", "api_keys", ["organization_id"]),
        index("members_one_per_account", "members", ["organization_id", "account_id"])
            .unique()
            .and_where(Expr::cust("status <> 'left'"))
            .to_owned(),
        index("members_removals", "members", ["account_id", "organization_id", "left_version"])
            .and_where(Expr::cust("removed"))
            .to_owned(),
        index("members_by_name", "members", ["organization_id", "sort_name", "id"]),
        index("members_by_date", "members", ["organization_id", "joined_at", "id"]),
        index("members_admins", "members", ["organization_id"])
            .and_where(Expr::cust("role = 'admin' AND status = 'active'"))
            .to_owned(),
        index("members_of_account", "members", ["account_id", "joined_at", "id"]),
        index("invites_token", "invites", ["token_hash"]).unique().to_owned(),
        index("invites_one_join_link", "invites", ["organization_id"])
            .unique()
            .and_where(Expr::cust("kind = 'join_link' AND state = 'live'"))
            .to_owned(),
        index("invites_live_of_inviter", "invites", ["inviter_id"])
            .and_where(Expr::cust("state = 'live'"))
            .to_owned(),
        index("invites_of_organization", "invites", ["organization_id"]),
        index("audit_events_of_organization", "audit_events", ["organization_id", "id"]),
        // PostgreSQL reads NULLs of the index above in no order of ids.
        index("audit_events_outside", "audit_events", ["id"])
            .and_where(Expr::cust("organization_id IS NULL"))
            .to_owned(),
    ]
}
