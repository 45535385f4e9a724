"""Guestlist as it is released, on stores that are filled before it starts."""

import contextlib
import secrets
import shutil
import sqlite3
import subprocess
import urllib.request
import uuid

from harness import fill
from harness.processes import Process

# All settings except these limits are the defaults. The load generator is one account on one network and would reach
# the default limits within a second. The limits have their maximum and are not off, so that calls are still counted.
MAX_LIMIT = "1000000000"
LIMITS = {
    f"GUESTLIST_LIMITS__{name}": MAX_LIMIT
    for name in ("ORGANIZATIONS_PER_ACCOUNT", "INVITES_PER_ACCOUNT", "INVITES_PER_ORGANIZATION", "INVITES_PER_ADDRESS",
                 "PREVIEWS_PER_ACCOUNT", "PREVIEWS_PER_NETWORK", "JOINS_PER_ACCOUNT", "JOINS_PER_NETWORK",
                 "LISTS_PER_ORGANIZATION")
}


class Store:
    """A store: a data directory, and with PostgreSQL a database."""

    def __init__(self, run, engine, name):
        self.run, self.engine, self.name = run, engine, name
        self.directory = run.scratch / name
        self.environment = {"GUESTLIST_DATA_DIR": str(self.directory)}
        self.key = self.account = None

    @property
    def url(self):
        if self.engine == "sqlite":
            return f"sqlite:{self.directory}/guestlist.db"
        return self.environment["GUESTLIST_DATABASE_URL"]

    @classmethod
    def filled(cls, run, engine, shape, name="template"):
        """A new store with the caller's account and key, and the rows of the shape."""
        store = cls(run, engine, f"{name}-{engine}")
        store.directory.mkdir(parents=True)
        if engine == "postgres":
            store.environment["GUESTLIST_DATABASE_URL"] = run.postgres.database(store.name)
            store.environment["GUESTLIST_SECRET_KEY"] = secrets.token_hex(32)
        store.key = store.command("keys", "create", "--email", "bench@example.com").strip()
        if engine == "sqlite":
            store.account = uuid.UUID(bytes=store.rows("SELECT id FROM accounts")[0][0])
            fill.fill_sqlite(store.directory / "guestlist.db", shape, store.account)
        else:
            store.account = uuid.UUID(run.postgres.sql("SELECT id FROM accounts", store.url))
            fill.fill_postgres(store.url, shape, store.account)
        return store

    def copy(self, name):
        """A copy of this store, for a server that may change it."""
        store = Store(self.run, self.engine, f"{name}-{self.engine}")
        store.key, store.account = self.key, self.account
        shutil.copytree(self.directory, store.directory)
        if self.engine == "postgres":
            store.environment = {**self.environment, **store.environment}
            store.environment["GUESTLIST_DATABASE_URL"] = self.run.postgres.database(store.name, self.name)
        return store

    def command(self, *arguments):
        done = subprocess.run(
            [self.run.guestlist, *arguments], env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=300,
        )
        if done.returncode != 0:
            raise RuntimeError(f"guestlist {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def rows(self, statement):
        """The rows of a statement on a SQLite store."""
        file = f"file:{self.directory}/guestlist.db?mode=ro"
        with contextlib.closing(sqlite3.connect(file, uri=True)) as database:
            return database.execute(statement).fetchall()

    def count(self, statement="SELECT count(*) FROM audit_events"):
        if self.engine == "sqlite":
            return self.rows(statement)[0][0]
        return int(self.run.postgres.sql(statement, self.url))

    def serve(self, name="guestlist"):
        """Starts Guestlist on this store."""
        command = [self.run.guestlist, "serve", "--listen", "127.0.0.1:0"]
        server = Process(name, command, self.run.scratch / f"{self.name}-{name}-log", {**self.environment, **LIMITS})
        self.run.stack.callback(server.stop)
        return server.until_ready()

    def service(self):
        """Creates a service with a key of scope act, and returns its account and headers. Call it before `serve`."""
        key = self.command("keys", "create", "--service", "--name", "bench", "--scope", "act").strip()
        statement = "SELECT id FROM accounts WHERE kind = 'service'"
        if self.engine == "sqlite":
            account = uuid.UUID(bytes=self.rows(statement)[0][0])
        else:
            account = uuid.UUID(self.run.postgres.sql(statement, self.url))
        return account, {"authorization": f"Bearer {key}"}

    def authorization(self):
        return {"authorization": f"Bearer {self.key}"}


def answered(server):
    """The number of ended calls by RPC and code, from Guestlist's metrics."""
    with urllib.request.urlopen(f"http://{server.address}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    counts = {}
    for line in lines:
        if line.startswith("guestlist_requests_total{") and 'protocol="' in line:
            labels, number = line.rsplit(" ", 1)
            code = labels.split('code="')[1].split('"')[0]
            rpc = labels.split('rpc="')[1].split('"')[0].lstrip("/")
            counts[rpc, code] = counts.get((rpc, code), 0) + int(number)
    return counts
