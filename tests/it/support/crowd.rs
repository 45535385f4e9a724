//! Very many members at once, written directly into the database.

use sea_orm::ConnectionTrait;

use super::{Database, Engine};

impl Database {
    /// Adds this number of members to an organization, with the addresses `crowd1@example.com` and
    /// so on. Also adds as many pending invitations and content grants.
    pub async fn crowd(&self, organization: &str, number: u32) {
        let (from, id, bytes, yes) = match self.engine {
            Engine::Sqlite => (
                format!(
                    "(WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s \
                     WHERE i < {number}) SELECT i FROM s) AS s"
                ),
                "randomblob(16)",
                "randomblob(32)",
                "1",
            ),
            Engine::Postgres => (
                format!("generate_series(1, {number}) AS s(i)"),
                "gen_random_uuid()",
                "sha256(gen_random_uuid()::text::bytea)",
                "true",
            ),
        };
        let (no, organization) = match self.engine {
            Engine::Sqlite => ("0", format!("x'{}'", organization.replace('-', ""))),
            Engine::Postgres => ("false", format!("'{organization}'::uuid")),
        };
        let sql = [
            format!(
                "INSERT INTO accounts (id, issuer, subject, kind, email, email_verified, name, \
                 picture, login_provider, login_provider_kind, created_at, updated_at) \
                 SELECT {id}, 'crowd', 's' || i, 'person', 'crowd' || i || '@example.com', {yes}, \
                 'Crowd ' || i, '', 'crowd', 'other', 1, 1 FROM {from}"
            ),
            format!(
                "INSERT INTO members (id, organization_id, account_id, role, status, sort_name, \
                 email, joined_at, joined_by, removed) SELECT {id}, {organization}, id, 'member', \
                 'active', lower(name), email, 1, 'invite', {no} FROM accounts WHERE issuer = 'crowd'"
            ),
            format!(
                "INSERT INTO grants (id, organization_id, member_id, content_kind, content_id, \
                 content_level, invite_id, created_at) SELECT {id}, {organization}, id, 'space', \
                 's1', 'read', {id}, 1 FROM members WHERE organization_id = {organization}"
            ),
            format!(
                "INSERT INTO invites (id, organization_id, kind, role, token_hash, token_sealed, \
                 inviter_id, state, version, expires_at, uses, created_at, email, note, \
                 allowed_domains, sso) SELECT {id}, {organization}, 'email', 'member', {bytes}, \
                 {bytes}, {id}, 'live', 1, 2, 0, 1, 'pending' || i || '@example.com', '', '', {no} \
                 FROM {from}"
            ),
            format!(
                "INSERT INTO outbox (id, organization_id, invite_id, attempts, next_attempt_at, \
                 created_at) SELECT {id}, {organization}, id, 0, 9000000000000000, 1 FROM invites \
                 WHERE organization_id = {organization} AND kind = 'email'"
            ),
            format!(
                "INSERT INTO notices (id, organization_id, account_id, kind, subject_id, \
                 told_version, due_at, attempts, next_attempt_at) SELECT {id}, {organization}, \
                 account_id, 'request_decided', id, 0, 1, 0, 9000000000000000 FROM members \
                 WHERE organization_id = {organization}"
            ),
            format!(
                "UPDATE organizations SET member_count = member_count + {number} \
                 WHERE id = {organization}"
            ),
        ];
        let connection = self.connect().await;
        for statement in sql {
            connection.execute_unprepared(&statement).await.unwrap();
        }
        connection.close().await.unwrap();
    }
}
