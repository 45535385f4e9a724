package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
)

// interceptor makes a request id for each call, checks its API key, and logs it.
type interceptor struct {
	connect.Interceptor
	keys *keys
	log  *slog.Logger
}

// caller is the caller's account and the request id.
type caller struct {
	account uuid.UUID
	request string
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	return ctx.Value(callerKey{}).(caller)
}

func (d *interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		start := time.Now()
		name, err := uuid.NewV7()
		if err != nil {
			return nil, err
		}
		id := name.String()
		key, err := d.keys.verify(ctx, request.Header().Get("authorization"))
		var response connect.AnyResponse
		if err == nil {
			ctx = context.WithValue(ctx, callerKey{}, caller{key.Account, id})
			response, err = next(ctx, request)
		}
		code := "ok"
		if err == nil {
			response.Header().Set("x-request-id", id)
		} else {
			code = connect.CodeOf(err).String()
		}
		line := []slog.Attr{
			slog.String("method", request.HTTPMethod()),
			slog.String("route", request.Spec().Procedure),
			slog.String("protocol", request.Peer().Protocol),
			slog.String("code", code),
			slog.Float64("duration_ms", float64(time.Since(start).Microseconds())/1000),
			slog.String("request_id", id),
			slog.String("account", key.Account.String()),
			slog.String("key", key.ID),
			slog.String("peer", request.Peer().Addr),
		}
		if code == "unknown" {
			// An internal error, not one of the caller.
			line = append(line, slog.Any("error", err))
		}
		d.log.LogAttrs(ctx, slog.LevelInfo, "access", line...)
		return response, err
	}
}

// Key is an API key as the store has it.
type Key struct {
	ID         string
	SecretHash []byte
	Account    uuid.UUID
}

// How long a key is cached before the store is read again, as in Guestlist.
const keyAge = time.Second

type keys struct {
	store Store
	mu    sync.RWMutex
	known map[string]knownKey
}

type knownKey struct {
	Key
	since time.Time
}

func newKeys(store Store) *keys {
	return &keys{store: store, known: make(map[string]knownKey)}
}

var errKey = connect.NewError(connect.CodeUnauthenticated, errors.New("the credential is not valid"))

func (k *keys) verify(ctx context.Context, header string) (Key, error) {
	id, secret, ok := splitKey(strings.TrimPrefix(header, "Bearer "))
	if !ok {
		return Key{}, errKey
	}
	key, err := k.find(ctx, id)
	if errors.Is(err, errNotFound) {
		return Key{}, errKey
	}
	if err != nil {
		return Key{}, err
	}
	hash := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(hash[:], key.SecretHash) != 1 {
		return Key{}, errKey
	}
	return key, nil
}

func (k *keys) find(ctx context.Context, id string) (Key, error) {
	now := time.Now()
	k.mu.RLock()
	known, ok := k.known[id]
	k.mu.RUnlock()
	if ok && now.Sub(known.since) < keyAge {
		return known.Key, nil
	}
	key, err := k.store.Key(ctx, id, now.UnixMicro())
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		delete(k.known, id)
		return Key{}, err
	}
	k.known[id] = knownKey{key, now}
	return key, nil
}

// splitKey returns the ID and the SECRET of `gl_ID_SECRET`.
func splitKey(text string) (id, secret string, ok bool) {
	text, ok = strings.CutPrefix(text, "gl_")
	if !ok {
		return "", "", false
	}
	return strings.Cut(text, "_")
}
