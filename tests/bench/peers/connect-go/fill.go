package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

const (
	organizations = 10_000
	// The number of organizations that the measurement changes.
	writtenTo = 64
)

// ready is the data that the harness needs, printed as one line of JSON.
type ready struct {
	Address         string   `json:"address"`
	OrganizationIDs []string `json:"organization_ids"`
	InviteIDs       []string `json:"invite_ids"`
	Count           string   `json:"count"`
}

// fill makes the schema and organizations, each with the caller as its admin and a live join link.
func fill(ctx context.Context, store Store, sealer *sealer, key string) (*ready, error) {
	id, secret, ok := splitKey(key)
	if !ok {
		return nil, errors.New("BENCH_KEY must be gl_ID_SECRET")
	}
	account := uuid.Must(uuid.NewV7())
	hash := sha256.Sum256([]byte(secret))
	statements := []statement{
		{insertAccount, []any{account[:], "bench"}},
		{insertKey, []any{id, hash[:], account[:]}},
	}
	filled := &ready{Count: countEvents}
	for number := range organizations {
		organization, member := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
		invite, token := uuid.Must(uuid.NewV7()), uuid.New()
		sealed, err := sealer.seal(invite.String(), token[:])
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("Organization %07d", number)
		hash := sha256.Sum256(token[:])
		now := time.Now().UnixMicro()
		statements = append(statements,
			statement{insertOrganization, []any{organization[:], name, account[:], now, now}},
			statement{insertMember, []any{member[:], organization[:], account[:], now}},
			statement{insertInvite, []any{invite[:], organization[:], hash[:], sealed, member[:], int64(1), now}})
		if number < writtenTo {
			filled.OrganizationIDs = append(filled.OrganizationIDs, organization.String())
		}
		filled.InviteIDs = append(filled.InviteIDs, token.String())
	}
	return filled, store.Fill(ctx, schema, statements)
}
