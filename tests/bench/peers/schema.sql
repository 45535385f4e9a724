-- Guestlist's tables, as far as the measured calls use them, with all their indexes, because indexes
-- make writes slower. The type names are PostgreSQL's; SQLite stores values of any type in each column.

CREATE TABLE accounts (
    id uuid NOT NULL PRIMARY KEY,
    name text NOT NULL
);

CREATE TABLE organizations (
    id uuid NOT NULL PRIMARY KEY,
    name text NOT NULL,
    invite_domains text NOT NULL,
    tier text NOT NULL,
    creator_id uuid NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    member_count bigint NOT NULL CHECK (member_count >= 0),
    seat_limit bigint NOT NULL
);

CREATE TABLE api_keys (
    id text NOT NULL PRIMARY KEY,
    secret_hash bytea NOT NULL,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    expires_at bigint,
    revoked_at bigint
);

CREATE TABLE members (
    id uuid NOT NULL PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'suspended', 'left')),
    sort_name text NOT NULL,
    joined_at bigint NOT NULL
);
CREATE UNIQUE INDEX members_one_per_account ON members (account_id, organization_id) WHERE status <> 'left';
CREATE INDEX members_by_name ON members (organization_id, sort_name, id);
CREATE INDEX members_by_date ON members (organization_id, joined_at, id);

CREATE TABLE invites (
    id uuid NOT NULL PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    kind text NOT NULL,
    role text NOT NULL,
    token_hash bytea NOT NULL,
    token_sealed bytea NOT NULL,
    inviter_id uuid NOT NULL,
    state text NOT NULL,
    version bigint NOT NULL,
    expires_at bigint,
    max_uses bigint,
    uses bigint NOT NULL DEFAULT 0,
    created_at bigint NOT NULL,
    ended_at bigint,
    ended_by uuid,
    end_reason text,
    email text,
    note text NOT NULL DEFAULT '',
    allowed_domains text NOT NULL DEFAULT '',
    sso boolean NOT NULL DEFAULT FALSE,
    content_kind text,
    content_id text,
    content_level text,
    member_id uuid,
    delivery text,
    delivery_error text,
    CHECK (uses >= 0 AND (max_uses IS NULL OR uses <= max_uses)),
    CHECK ((state = 'live') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX invites_token ON invites (token_hash);
CREATE UNIQUE INDEX invites_one_join_link ON invites (organization_id) WHERE kind = 'join_link' AND state = 'live';
CREATE INDEX invites_live_of_inviter ON invites (inviter_id) WHERE kind <> 'join_link' AND state = 'live';
CREATE UNIQUE INDEX invites_one_pending_email ON invites (organization_id, email) WHERE kind = 'email' AND state = 'live';
CREATE INDEX invites_by_id ON invites (organization_id, id);
CREATE INDEX invites_expiring ON invites (expires_at) WHERE state = 'live' AND expires_at IS NOT NULL;

CREATE TABLE audit_events (
    id uuid NOT NULL PRIMARY KEY,
    at bigint NOT NULL,
    action text NOT NULL,
    actor_id uuid,
    on_behalf_of_id uuid,
    target_kind text NOT NULL,
    target_id text NOT NULL,
    organization_id uuid,
    request_id text NOT NULL,
    note text NOT NULL
);
CREATE INDEX audit_events_of_organization ON audit_events (organization_id, id);
