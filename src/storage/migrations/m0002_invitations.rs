//! Named links and email invitations, content grants, the mail that waits to be
//! sent, and requests that must not happen twice.

use sea_orm_migration::prelude::*;

use super::columns::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for mut column in invite_columns() {
            // One at a time: SQLite adds no more at once.
            let alter = Table::alter().table(name("invites")).add_column(&mut column).to_owned();
            manager.alter_table(alter).await?;
        }
        for table in [grants(), outbox(), requests()] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

fn invite_columns() -> Vec<ColumnDef> {
    vec![
        text_or_null("email"),
        text("note").default("").to_owned(),
        text("allowed_domains").default("").to_owned(),
        boolean("sso").default(false).to_owned(),
        text_or_null("content_kind"),
        text_or_null("content_id"),
        text_or_null("content_level"),
        uuid_or_null("member_id"),
        text_or_null("delivery"),
        text_or_null("delivery_error"),
    ]
}

fn grants() -> TableCreateStatement {
    table(
        "grants",
        [
            id(),
            uuid("organization_id"),
            uuid("member_id"),
            text("content_kind"),
            text("content_id"),
            text("content_level"),
            uuid("invite_id"),
            integer("created_at"),
        ],
    )
    .foreign_key(&mut references(("grants", "member_id"), "members"))
    .to_owned()
}

/// Mail that waits, by reference: a rendered mail holds a live token and is on no
/// disk.
fn outbox() -> TableCreateStatement {
    table(
        "outbox",
        [
            id(),
            uuid("organization_id"),
            uuid("invite_id"),
            integer("attempts"),
            integer("next_attempt_at"),
            uuid_or_null("claimed_by"),
            integer("created_at"),
        ],
    )
    .foreign_key(&mut references(("outbox", "invite_id"), "invites"))
    .to_owned()
}

/// What a request came to, by reference, for whoever sends it again.
fn requests() -> TableCreateStatement {
    table(
        "requests",
        [
            uuid("account_id"),
            uuid("organization_id"),
            text("operation"),
            text("request_id"),
            bytes("body_hash"),
            text("outcome"),
            integer("created_at"),
        ],
    )
    .primary_key(
        Index::create()
            .col(name("account_id"))
            .col(name("organization_id"))
            .col(name("operation"))
            .col(name("request_id")),
    )
    .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index("invites_one_pending_email", "invites", ["organization_id", "email"])
            .unique()
            .and_where(Expr::cust("kind = 'email' AND state = 'live'"))
            .to_owned(),
        index("invites_by_id", "invites", ["organization_id", "id"]),
        index("invites_expiring", "invites", ["expires_at"])
            .and_where(Expr::cust("state = 'live'"))
            .to_owned(),
        index("accounts_email", "accounts", ["email"]),
        index(
            "grants_one_of_each",
            "grants",
            ["member_id", "content_kind", "content_id", "content_level"],
        )
        .unique()
        .to_owned(),
        index("grants_of_organization", "grants", ["organization_id", "id"]),
        index("outbox_due", "outbox", ["next_attempt_at"]),
        index("outbox_of_invite", "outbox", ["invite_id"]),
        index("outbox_of_organization", "outbox", ["organization_id"]),
        index("requests_by_time", "requests", ["created_at"]),
    ]
}
