package main

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pgx itself prepares each statement once for each connection.
type postgres struct{ pool *pgxpool.Pool }

func openPostgres(ctx context.Context, url string) (Store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = connections
	config.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &postgres{pool}, nil
}

func (p *postgres) Fill(ctx context.Context, schema string, statements []statement) error {
	if _, err := p.pool.Exec(ctx, schema); err != nil {
		return err
	}
	if err := p.transaction(ctx, func(tx pgx.Tx) error { return runAll(ctx, tx, statements) }); err != nil {
		return err
	}
	_, err := p.pool.Exec(ctx, "VACUUM (ANALYZE)")
	return err
}

func (p *postgres) Key(ctx context.Context, id string, now int64) (Key, error) {
	key := Key{ID: id}
	err := p.pool.QueryRow(ctx, selectKey, id, now).Scan(&key.SecretHash, (*[16]byte)(&key.Account))
	return key, absent(err)
}

func (p *postgres) Preview(ctx context.Context, tokenHash []byte, now int64) (Summary, error) {
	var found Summary
	err := p.pool.QueryRow(ctx, selectSummary, tokenHash, now).
		Scan((*[16]byte)(&found.Organization), &found.Name, &found.MemberCount)
	return found, absent(err)
}

// Rotate sends its reads in one batch and its writes in another. With BEGIN and COMMIT these are four
// round trips.
func (p *postgres) Rotate(ctx context.Context, change *rotation) error {
	return p.transaction(ctx, func(tx pgx.Tx) error {
		var at place
		var reads pgx.Batch
		organization, account := change.organization[:], change.caller.account[:]
		reads.Queue(selectVersion+" FOR UPDATE", organization).QueryRow(func(row pgx.Row) error {
			return row.Scan(&at.version)
		})
		reads.Queue(selectMember, organization, account).QueryRow(func(row pgx.Row) error {
			return row.Scan(&at.member, &at.role, &at.status)
		})
		reads.Queue(selectLink, organization).QueryRow(func(row pgx.Row) error {
			if err := row.Scan(&at.before); !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			return nil
		})
		if err := tx.SendBatch(ctx, &reads).Close(); err != nil {
			return absent(err)
		}
		writes, err := change.writes(at)
		if err != nil {
			return err
		}
		return runAll(ctx, tx, writes)
	})
}

func (p *postgres) transaction(ctx context.Context, body func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, p.pool, body)
}

func runAll(ctx context.Context, tx pgx.Tx, statements []statement) error {
	var batch pgx.Batch
	for _, each := range statements {
		batch.Queue(each.sql, each.args...)
	}
	return tx.SendBatch(ctx, &batch).Close()
}

func (p *postgres) Close() error {
	p.pool.Close()
	return nil
}

func absent(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return errNotFound
	}
	return err
}
