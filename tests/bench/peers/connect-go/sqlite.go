package main

import (
	"context"
	"database/sql"
	"errors"
	"net/url"

	_ "github.com/mattn/go-sqlite3"
)

type sqlite struct {
	writer, readers *sql.DB
	key, summary    *sql.Stmt
	// The writer's prepared statements, by their SQL.
	prepared map[string]*sql.Stmt
}

func openSQLite(path string) (Store, error) {
	name := "file:" + url.PathEscape(path) + "?_busy_timeout=5000&_foreign_keys=on&_synchronous=FULL&_journal_mode=WAL"
	writer, err := sql.Open("sqlite3", name+"&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	// SQLite has one writer at a time; other changes wait here for its connection.
	writer.SetMaxOpenConns(1)
	readers, err := sql.Open("sqlite3", name+"&_query_only=on")
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	readers.SetMaxOpenConns(connections)
	readers.SetMaxIdleConns(connections)
	return &sqlite{writer: writer, readers: readers, prepared: make(map[string]*sql.Stmt)}, nil
}

func (s *sqlite) Fill(ctx context.Context, schema string, statements []statement) error {
	if _, err := s.writer.ExecContext(ctx, schema); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	return s.transaction(func(tx *sql.Tx) error { return s.runAll(tx, statements) })
}

func (s *sqlite) prepare(ctx context.Context) (err error) {
	if s.key, err = s.readers.PrepareContext(ctx, selectKey); err != nil {
		return err
	}
	if s.summary, err = s.readers.PrepareContext(ctx, selectSummary); err != nil {
		return err
	}
	for _, text := range []string{
		selectVersion, selectMember, selectLink, endInvite, advance, insertInvite, insertEvent,
		insertAccount, insertKey, insertOrganization, insertMember,
	} {
		if s.prepared[text], err = s.writer.PrepareContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// No statement gets the request's context: for each one that could be cancelled the driver starts a
// goroutine, which costs more than the statement.

func (s *sqlite) Key(_ context.Context, id string, now int64) (Key, error) {
	key := Key{ID: id}
	var account []byte
	err := s.key.QueryRow(id, now).Scan(&key.SecretHash, &account)
	copy(key.Account[:], account)
	return key, missing(err)
}

func (s *sqlite) Preview(_ context.Context, tokenHash []byte, now int64) (Summary, error) {
	var found Summary
	var organization []byte
	err := s.summary.QueryRow(tokenHash, now).Scan(&organization, &found.Name, &found.MemberCount)
	copy(found.Organization[:], organization)
	return found, missing(err)
}

func (s *sqlite) Rotate(_ context.Context, change *rotation) error {
	return s.transaction(func(tx *sql.Tx) error {
		var at place
		row := func(text string, args ...any) *sql.Row { return tx.Stmt(s.prepared[text]).QueryRow(args...) }
		organization, account := change.organization[:], change.caller.account[:]
		if err := row(selectVersion, organization).Scan(&at.version); err != nil {
			return missing(err)
		}
		if err := row(selectMember, organization, account).Scan(&at.member, &at.role, &at.status); err != nil {
			return missing(err)
		}
		if err := row(selectLink, organization).Scan(&at.before); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		writes, err := change.writes(at)
		if err != nil {
			return err
		}
		return s.runAll(tx, writes)
	})
}

func (s *sqlite) transaction(body func(*sql.Tx) error) error {
	tx, err := s.writer.Begin()
	if err != nil {
		return err
	}
	if err := body(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (s *sqlite) runAll(tx *sql.Tx, statements []statement) error {
	for _, each := range statements {
		if _, err := tx.Stmt(s.prepared[each.sql]).Exec(each.args...); err != nil {
			return err
		}
	}
	return nil
}

func (s *sqlite) Close() error {
	return errors.Join(s.readers.Close(), s.writer.Close())
}

func missing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errNotFound
	}
	return err
}
