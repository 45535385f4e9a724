package main

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// Store is one of the two engines. It has as many connections as Guestlist. On SQLite they only read,
// and one more connection writes.
type Store interface {
	Key(ctx context.Context, id string, now int64) (Key, error)
	Preview(ctx context.Context, tokenHash []byte, now int64) (Summary, error)
	Rotate(ctx context.Context, change *rotation) error
	// Fill runs these statements in one transaction.
	Fill(ctx context.Context, schema string, statements []statement) error
	Close() error
}

const connections = 8

var (
	errNotFound   = errors.New("not found")
	errNotAllowed = errors.New("your role in this organization does not allow this")
)

// Summary is the organization of an invite.
type Summary struct {
	Organization uuid.UUID
	Name         string
	MemberCount  int32
}

// A statement of a transaction. Parameters are numbered in the order of their first use, as SQLite needs.
type statement struct {
	sql  string
	args []any
}

const (
	selectKey = `SELECT secret_hash, account_id FROM api_keys
		WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`

	selectSummary = `SELECT o.id, o.name, o.member_count
		FROM invites i JOIN organizations o ON o.id = i.organization_id
		WHERE i.token_hash = $1 AND i.state = 'live' AND (i.expires_at IS NULL OR i.expires_at > $2)`

	// On PostgreSQL it also locks the row (FOR UPDATE is added); SQLite has only one writer.
	selectVersion = `SELECT version FROM organizations WHERE id = $1`

	selectMember = `SELECT id, role, status FROM members
		WHERE organization_id = $1 AND account_id = $2 AND status <> 'left'`

	selectLink = `SELECT id FROM invites
		WHERE organization_id = $1 AND kind = 'join_link' AND state = 'live'`

	endInvite = `UPDATE invites SET state = 'replaced', ended_at = $1, ended_by = $2, end_reason = 'REPLACED'
		WHERE organization_id = $3 AND id = $4 AND state = 'live'`

	advance = `UPDATE organizations SET version = $1 WHERE id = $2`

	insertInvite = `INSERT INTO invites (id, organization_id, kind, role, token_hash, token_sealed,
		inviter_id, state, version, created_at)
		VALUES ($1, $2, 'join_link', 'member', $3, $4, $5, 'live', $6, $7)`

	insertEvent = `INSERT INTO audit_events (id, at, action, actor_id, target_kind, target_id,
		organization_id, request_id, note)
		VALUES ($1, $2, 'invite.created', $3, 'invite', $4, $5, $6, $7)`

	insertAccount = `INSERT INTO accounts (id, name) VALUES ($1, $2)`

	insertKey = `INSERT INTO api_keys (id, secret_hash, account_id) VALUES ($1, $2, $3)`

	insertOrganization = `INSERT INTO organizations (id, name, invite_domains, tier, creator_id,
		created_at, updated_at, version, member_count, seat_limit)
		VALUES ($1, $2, '', 'free', $3, $4, $5, 1, 1, 0)`

	insertMember = `INSERT INTO members (id, organization_id, account_id, role, status, sort_name, joined_at)
		VALUES ($1, $2, $3, 'admin', 'active', 'bench', $4)`

	countEvents = `SELECT count(*) FROM audit_events`
)
