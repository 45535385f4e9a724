//! The initial schema.
//!
//! Its constraints enforce the rules that must hold whatever the code does: an
//! organization has one live join link, an account has one membership in it, and an
//! invite has no more uses than its limit.

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
            grants(),
            outbox(),
            requests(),
            audit_events(postgres),
            removals(),
            webhooks(),
            webhook_deliveries(),
            domains(),
            join_requests(),
            notices(),
        ] {
            manager.create_table(table).await?;
        }
        for index in indexes().into_iter().chain(indexes_of_events(postgres)) {
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
            // JSON, as `domain::Metadata` writes it.
            text_or_null("metadata"),
            text_or_null("external_id"),
            // The earliest `expires_at` of its current members.
            integer_or_null("next_member_end"),
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
            // No foreign key: a key of a deleted organization stays, but gives access to nothing.
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
        // Sorted by bytes as in SQLite, independently of the database's locale, so that each page
        // of a list begins where the previous page ended.
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
            text_or_null("email"),
            integer("joined_at"),
            text("joined_by"),
            uuid_or_null("invite_id"),
            integer_or_null("left_at"),
            boolean("removed"),
            integer_or_null("left_version"),
            text_or_null("metadata"),
            text_or_null("external_id"),
            integer_or_null("expires_at"),
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
            text_or_null("email"),
            text("note"),
            text("allowed_domains"),
            boolean("sso"),
            text_or_null("content_kind"),
            text_or_null("content_id"),
            text_or_null("content_level"),
            uuid_or_null("member_id"),
            text_or_null("delivery"),
            text_or_null("delivery_error"),
            text_or_null("metadata"),
            text_or_null("external_id"),
            text_or_null("continue_url"),
            text_or_null("locale"),
            boolean("requires_approval").default(false).to_owned(),
            integer_or_null("member_lifetime"),
            integer_or_null("member_expires_at"),
            integer("reminders").default(0).to_owned(),
        ],
    )
    .check(("invites_uses", Expr::cust("uses >= 0 AND (max_uses IS NULL OR uses <= max_uses)")))
    .check(("invites_ended", Expr::cust("(state = 'live') = (ended_at IS NULL)")))
    .to_owned()
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

/// Mails that wait to be sent. A row only refers to its invite: a rendered mail contains a live
/// token and is never stored.
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
            text_or_null("traceparent"),
            // 0: the invitation itself; 1 or more: a reminder.
            integer("reminder").default(0).to_owned(),
        ],
    )
    .foreign_key(&mut references(("outbox", "invite_id"), "invites"))
    .to_owned()
}

/// The outcomes of requests, for callers that send them again. A row contains only ids of the
/// outcome.
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

/// The audit trail, which is the feed of events too. Its order is epoch, position, ordinal on
/// PostgreSQL, and on SQLite position alone.
fn audit_events(postgres: bool) -> TableCreateStatement {
    let (id, position) = match postgres {
        // The id of the transaction. Below the id of the oldest running transaction, no more rows
        // can appear.
        true => {
            let transaction = Expr::cust("pg_current_xact_id()::text::bigint");
            (id(), integer("position").default(transaction).to_owned())
        }
        // Positions only grow: one connection writes, and the newest event is never deleted.
        false => (uuid("id").unique_key().to_owned(), row_number("position")),
    };
    table(
        "audit_events",
        [
            id,
            integer("at"),
            text("action"),
            uuid_or_null("actor_id"),
            uuid_or_null("on_behalf_of_id"),
            text("target_kind"),
            text("target_id"),
            uuid_or_null("organization_id"),
            text("request_id"),
            text("note"),
            // On PostgreSQL `storage/postgres/epoch.rs` replaces the default.
            integer("epoch").default(0).to_owned(),
            position,
            integer("ordinal"),
            integer("organization_version"),
            bytes("data"),
            text_or_null("traceparent"),
        ],
    )
}

/// Deleted organizations that still have rows. The rows are deleted in parts, so no row
/// has a foreign key to its organization.
fn removals() -> TableCreateStatement {
    table("removals", [uuid("organization_id").primary_key().to_owned()])
}

/// Endpoints that events are sent to. No foreign key: the endpoints of a deleted organization
/// stay until its last event is delivered.
fn webhooks() -> TableCreateStatement {
    table(
        "webhooks",
        [
            id(),
            uuid_or_null("organization_id"),
            text("url"),
            text("description"),
            text("event_types"),
            bytes("secret_sealed"),
            bytes_or_null("previous_secret_sealed"),
            integer_or_null("previous_secret_ends_at"),
            integer_or_null("disabled_at"),
            text_or_null("disabled_reason"),
            boolean("organization_deleted"),
            // The last event that was sent, or will be sent by a row of webhook_deliveries.
            integer("epoch"),
            integer("position"),
            integer("ordinal"),
            integer("next_attempt_at"),
            uuid_or_null("claimed_by"),
            integer_or_null("first_failure_at"),
            integer("created_at"),
            integer("updated_at"),
        ],
    )
    .check(("webhooks_disabled", Expr::cust("(disabled_at IS NULL) = (disabled_reason IS NULL)")))
    .to_owned()
}

/// Events that an endpoint has not accepted yet, and events that are to be sent again.
fn webhook_deliveries() -> TableCreateStatement {
    table(
        "webhook_deliveries",
        [
            id(),
            uuid("webhook_id"),
            // No foreign key: old events are deleted.
            uuid("event_id"),
            text("event_type"),
            integer("attempts"),
            integer("next_attempt_at"),
            integer_or_null("last_attempt_at"),
            integer_or_null("status"),
            text("reason"),
            text("answer"),
            integer("created_at"),
        ],
    )
    .foreign_key(&mut references(("webhook_deliveries", "webhook_id"), "webhooks"))
    .to_owned()
}

/// Domains that organizations have proved or want to prove.
fn domains() -> TableCreateStatement {
    table(
        "domains",
        [
            id(),
            uuid("organization_id"),
            text("domain"),
            text("challenge"),
            text("mode"),
            text("state"),
            integer("created_at"),
            integer_or_null("verified_at"),
            integer_or_null("checked_at"),
            integer_or_null("missing_since"),
            integer("next_check_at"),
        ],
    )
    .check(("domains_state", Expr::cust("state IN ('pending', 'verified', 'lapsed')")))
    .to_owned()
}

/// Requests of accounts to become members.
fn join_requests() -> TableCreateStatement {
    table(
        "join_requests",
        [
            id(),
            uuid("organization_id"),
            uuid("account_id"),
            text("state"),
            uuid_or_null("invite_id"),
            integer("version"),
            integer("created_at"),
            integer_or_null("decided_at"),
            uuid_or_null("decided_by"),
            text("reason"),
            integer_or_null("ask_again_at"),
            uuid_or_null("member_id"),
        ],
    )
    .check(("join_requests_decided", Expr::cust("(state = 'pending') = (decided_at IS NULL)")))
    .foreign_key(&mut references(("join_requests", "account_id"), "accounts"))
    .to_owned()
}

/// Mails that report a change. A row only refers to the subject of its mail. No foreign key: a mail
/// without its organization or account is discarded.
fn notices() -> TableCreateStatement {
    table(
        "notices",
        [
            id(),
            uuid("organization_id"),
            uuid("account_id"),
            text("kind"),
            uuid("subject_id"),
            integer("told_version"),
            integer("due_at"),
            integer("attempts"),
            integer("next_attempt_at"),
            uuid_or_null("claimed_by"),
            text_or_null("traceparent"),
        ],
    )
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index("accounts_issuer_subject", "accounts", ["issuer", "subject"]).unique().to_owned(),
        index("accounts_email", "accounts", ["email"]),
        // For the operator's list of the organizations of a creator.
        index("organizations_of_creator", "organizations", ["creator_id", "id"]),
        index("organizations_external_id", "organizations", ["creator_id", "external_id"])
            .unique()
            .and_where(Expr::cust("external_id IS NOT NULL"))
            .to_owned(),
        index("organizations_with_member_ends", "organizations", ["next_member_end", "id"])
            .and_where(Expr::cust("next_member_end IS NOT NULL"))
            .to_owned(),
        index("api_keys_account", "api_keys", ["account_id"]),
        index("api_keys_organization", "api_keys", ["organization_id"]),
        // The account is first: most accounts that join are new and have close ids, so their
        // entries share a page, even for different organizations.
        index("members_one_per_account", "members", ["account_id", "organization_id"])
            .unique()
            .and_where(Expr::cust("status <> 'left'"))
            .to_owned(),
        index("members_removals", "members", ["account_id", "organization_id", "left_version"])
            .and_where(Expr::cust("removed"))
            .to_owned(),
        // Status and address are for searches, which read only this index.
        index(
            "members_by_name",
            "members",
            ["organization_id", "sort_name", "id", "status", "email"],
        ),
        index("members_by_date", "members", ["organization_id", "joined_at", "id"]),
        index("members_admins", "members", ["organization_id"])
            .and_where(Expr::cust("role = 'admin' AND status = 'active'"))
            .to_owned(),
        // Most memberships never end by time.
        index("members_expiring", "members", ["organization_id", "expires_at", "id"])
            .and_where(Expr::cust("expires_at IS NOT NULL AND status <> 'left'"))
            .to_owned(),
        index("members_of_account", "members", ["account_id", "joined_at", "id"]),
        index("members_external_id", "members", ["organization_id", "external_id"])
            .unique()
            .and_where(Expr::cust("external_id IS NOT NULL AND status <> 'left'"))
            .to_owned(),
        index("invites_external_id", "invites", ["organization_id", "external_id"])
            .unique()
            .and_where(Expr::cust("external_id IS NOT NULL AND state = 'live'"))
            .to_owned(),
        index("invites_token", "invites", ["token_hash"]).unique().to_owned(),
        index("invites_by_id", "invites", ["organization_id", "id"]),
        index("invites_one_join_link", "invites", ["organization_id"])
            .unique()
            .and_where(Expr::cust("kind = 'join_link' AND state = 'live'"))
            .to_owned(),
        // The address is first: its owner lists the invitations of all organizations.
        index("invites_one_pending_email", "invites", ["email", "organization_id"])
            .unique()
            .and_where(Expr::cust("kind = 'email' AND state = 'live'"))
            .to_owned(),
        // For the list of an address's invites. Erasing a person removes the address from ended
        // ones.
        index("invites_of_address", "invites", ["email", "organization_id", "id"])
            .and_where(Expr::cust("email IS NOT NULL"))
            .to_owned(),
        // Without join links: an organization has only one, which is found without the inviter, and
        // which is replaced more often than other invites.
        index("invites_live_of_inviter", "invites", ["inviter_id"])
            .and_where(Expr::cust("kind <> 'join_link' AND state = 'live'"))
            .to_owned(),
        // Most links never expire.
        index("invites_expiring", "invites", ["expires_at", "id"])
            .and_where(Expr::cust("state = 'live' AND expires_at IS NOT NULL"))
            .to_owned(),
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
        index("webhooks_of_organization", "webhooks", ["organization_id", "id"]),
        index("webhooks_due", "webhooks", ["next_attempt_at"]),
        index("webhooks_enabled", "webhooks", ["id"])
            .and_where(Expr::cust("disabled_at IS NULL"))
            .to_owned(),
        index("webhook_deliveries_one_each", "webhook_deliveries", ["webhook_id", "event_id"])
            .unique()
            .to_owned(),
        index("webhook_deliveries_due", "webhook_deliveries", ["webhook_id", "next_attempt_at"]),
        index("webhook_deliveries_of_webhook", "webhook_deliveries", ["webhook_id", "id"]),
        index("webhook_deliveries_oldest", "webhook_deliveries", ["created_at"]),
        index("domains_one_verified", "domains", ["domain"])
            .unique()
            .and_where(Expr::cust("state = 'verified'"))
            .to_owned(),
        index("domains_one_each", "domains", ["organization_id", "domain"]).unique().to_owned(),
        index("domains_due", "domains", ["next_check_at"]),
        index("join_requests_one_pending", "join_requests", ["account_id", "organization_id"])
            .unique()
            .and_where(Expr::cust("state = 'pending'"))
            .to_owned(),
        index(
            "join_requests_of_account",
            "join_requests",
            ["account_id", "organization_id", "ask_again_at"],
        ),
        index("join_requests_by_state", "join_requests", ["organization_id", "state", "id"]),
        index(
            "notices_one_each",
            "notices",
            ["organization_id", "kind", "subject_id", "account_id"],
        )
        .unique()
        .to_owned(),
        index("notices_due", "notices", ["next_attempt_at"]),
        index("notices_of_account", "notices", ["account_id"]),
    ]
}

/// Indexes in the feed's order: for all events, for the events of one organization, and for events
/// without an organization.
fn indexes_of_events(postgres: bool) -> Vec<IndexCreateStatement> {
    const NAME: &str = "audit_events_of_organization";
    if !postgres {
        // Every index contains the position, which is the row id of the table.
        return vec![index(NAME, "audit_events", ["organization_id"])];
    }
    let order = ["epoch", "position", "ordinal"];
    vec![
        index("audit_events_feed", "audit_events", order),
        index(NAME, "audit_events", ["organization_id", "epoch", "position", "ordinal"]),
        // The index above does not have the rows without an organization in order.
        index("audit_events_outside", "audit_events", order)
            .and_where(Expr::cust("organization_id IS NULL"))
            .to_owned(),
    ]
}
