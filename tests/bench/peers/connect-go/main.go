// The measured calls as a service of connect-go. ../README.md has the differences to Guestlist.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"connect-go/gen/gitpod/v1/gitpodv1connect"
)

//go:embed schema.sql
var schema string

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	database := flag.String("database", "", "sqlite:PATH or postgres://...; it must be empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *listen, *database, os.Getenv("BENCH_KEY")); err != nil {
		fmt.Fprintln(os.Stderr, "connect-go:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, database, key string) (err error) {
	// Reads random bytes for ids and tokens from the system in blocks, which takes fewer system calls.
	uuid.EnableRandPool()
	store, err := open(ctx, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	sealer, err := newSealer()
	if err != nil {
		return err
	}
	ready, err := fill(ctx, store, sealer, key)
	if err != nil {
		return err
	}

	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	interceptor := &interceptor{keys: newKeys(store), log: log}
	service := &service{store: store, sealer: sealer}
	mux := http.NewServeMux()
	mux.Handle(gitpodv1connect.NewOrganizationServiceHandler(service, connect.WithInterceptors(interceptor)))

	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: mux, Protocols: &protocols, ReadHeaderTimeout: 10 * time.Second}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	ready.Address = listener.Addr().String()
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return err
	}

	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(drain)
}

func open(ctx context.Context, database string) (Store, error) {
	if path, ok := strings.CutPrefix(database, "sqlite:"); ok {
		return openSQLite(path)
	}
	if strings.HasPrefix(database, "postgres://") {
		return openPostgres(ctx, database)
	}
	return nil, errors.New("-database must be sqlite:PATH or postgres://...")
}
