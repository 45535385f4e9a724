"""Fills a store by SQL with organizations, their members and their invites.

Each row is computed from its number. So stores of one shape are always the same, and the ids and tokens are known
without reading the store. `guestlist keys create` has already made the schema and the caller's account. The sealed
tokens are random bytes, which cannot be opened. So a call that opens a token is measured only on links that
`CreateOrganizationInvite` has made.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import os
import sqlite3
import uuid

from harness.postgres import psql

EPOCH_MS = 1_700_000_000_000
EXPIRES_AT = 4_000_000_000_000_000  # microseconds; the expiry of the invites that have one
BATCH = 50_000

COLUMNS = {
    "accounts": "id issuer subject kind email email_verified name picture login_provider login_provider_kind created_at updated_at",
    "api_keys": "id secret_hash account_id created_at",
    "organizations": "id name invite_domains tier creator_id created_at updated_at version member_count seat_limit",
    "members": "id organization_id account_id role status sort_name email joined_at joined_by invite_id left_at removed left_version",
    "invites": "id organization_id kind role token_hash token_sealed inviter_id state version expires_at max_uses uses "
               "created_at ended_at ended_by end_reason email note allowed_domains sso content_kind content_id "
               "content_level member_id delivery delivery_error",
}
COLUMNS = {table: columns.split() for table, columns in COLUMNS.items()}


@dataclasses.dataclass(frozen=True)
class Shape:
    """The size of a store. The caller is an admin of each organization. Each organization has one live join link."""

    organizations: int = 10_000
    members_each: int = 1
    invites_each: int = 1
    crowd: int = 0  # additional members of the first organization, and the same number of additional invites
    joiners: int = 1  # accounts with an API key that are members of no organization

    @property
    def members(self):
        return self.organizations * self.members_each + self.crowd

    @property
    def invites(self):
        return self.organizations * self.invites_each + self.crowd


# Ids and tokens by number. Ids are UUIDs of version 7 and tokens of version 4, as in Guestlist. The time in an id
# rises with the number, so that ids are in the order of their numbers.


def identity(kind, number):
    moment = (EPOCH_MS + number) << 80
    return uuid.UUID(int=moment | 7 << 76 | kind << 64 | 2 << 62 | number)


def account_id(number):
    return identity(1, number)


def organization_id(number):
    return identity(2, number)


def member_id(number):
    return identity(3, number)


def invite_id(number):
    return identity(4, number)


def token(number):
    """The token of the join link of organization `number`. Higher numbers are the other invites."""
    return uuid.UUID(bytes=hashlib.sha256(b"token %d" % number).digest()[:16], version=4)


def joiner_id(number):
    return identity(6, number)


def joiner_secret(number):
    return hashlib.sha256(b"joiner %d" % number).digest()


def joiner_key(number):
    return f"gl_{number:016x}_{joiner_secret(number).hex()}"


def organization_name(number):
    return f"Organization {number:07}"


# Rows


def rows(shape, caller):
    """The name and the rows of each table, in an order that the foreign keys allow."""
    yield "accounts", accounts(shape)
    yield "api_keys", api_keys(shape)
    yield "organizations", organizations(shape, caller)
    yield "members", members(shape, caller)
    yield "invites", invites(shape)


def further_members(shape):
    """The numbers of the member, its organization and its account, for each member except the caller."""
    each = shape.members_each - 1
    for number in range(shape.organizations * each + shape.crowd):
        organization = number // each if number < shape.organizations * each else 0
        yield shape.organizations + number, organization, number


def accounts(shape):
    def row(id, number, word):
        at, email = (EPOCH_MS + number) * 1000, f"{word}{number}@example.com"
        return (id, "guestlist", email, "person", email, True, f"{word.title()} {number:08}", "", "api_key", "other",
                at, at)

    for _, _, number in further_members(shape):
        yield row(account_id(number), number, "person")
    for number in range(shape.joiners):
        yield row(joiner_id(number), number, "joiner")


def api_keys(shape):
    for number in range(shape.joiners):
        yield f"{number:016x}", hashlib.sha256(joiner_secret(number)).digest(), joiner_id(number), EPOCH_MS * 1000


def organizations(shape, caller):
    for number in range(shape.organizations):
        at = (EPOCH_MS + number) * 1000
        count = shape.members_each + (shape.crowd if number == 0 else 0)
        yield organization_id(number), organization_name(number), "", "free", caller, at, at, 1, count, 0


def members(shape, caller):
    def row(number, organization, account, role, name, email):
        return (member_id(number), organization_id(organization), account, role, "active", name, email,
                (EPOCH_MS + number) * 1000, "creation" if role == "admin" else "invite", None, None, False, None)

    for number in range(shape.organizations):
        yield row(number, number, caller, "admin", "bench", "bench@example.com")
    for number, organization, account in further_members(shape):
        yield row(number, organization, account_id(account), "member", f"person {account:08}",
                  f"person{account}@example.com")


def invites(shape):
    """First the live join links; then, in turn, replaced join links, named links and email invitations."""
    for number in range(shape.organizations):
        yield invite(number, number, "join_link")
    kinds = itertools.cycle(["replaced", "named_link", "email"])
    for number in range(shape.organizations, shape.invites):
        in_crowd = number >= shape.organizations * shape.invites_each
        yield invite(number, 0 if in_crowd else number % shape.organizations, next(kinds))


def invite(number, organization, kind):
    at = (EPOCH_MS + number) * 1000
    replaced, mailed = kind == "replaced", kind == "email"
    ended = (at + 1, member_id(organization), "REPLACED") if replaced else (None, None, None)
    return (
        invite_id(number), organization_id(organization), "join_link" if replaced else kind, "member",
        hashlib.sha256(token(number).bytes).digest(), os.urandom(53), member_id(organization),
        "replaced" if replaced else "live", 1, EXPIRES_AT if mailed else None, 1 if mailed else None, 0, at, *ended,
        f"guest{number}@example.com" if mailed else None, "", "", False, None, None, None,
        identity(5, number) if mailed else None, "sent" if mailed else None, None,
    )


# Into the store


def fill_sqlite(path, shape, caller):
    """Fills SQLite. The indexes are created after the rows, which is much faster."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA cache_size = -1000000")
        indexes = database.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL").fetchall()
        for name, _ in indexes:
            database.execute(f'DROP INDEX "{name}"')
        for table, made in rows(shape, caller):
            columns = COLUMNS[table]
            insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
            made = (tuple(v.bytes if isinstance(v, uuid.UUID) else v for v in row) for row in made)
            while batch := list(itertools.islice(made, BATCH)):
                database.execute("BEGIN")
                database.executemany(insert, batch)
                database.execute("COMMIT")
        for _, sql in indexes:
            database.execute(sql)
        database.execute("PRAGMA journal_mode = WAL")
    # Otherwise the system would write the file to the disk during later measurements.
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def fill_postgres(url, shape, caller):
    """Fills PostgreSQL in the same way. Foreign keys are not checked, because the rows are made consistent."""
    def ask(*statements, rows=None):
        return psql(url, [part for statement in statements for part in ("--command", statement)], rows)

    of_constraints = "SELECT conindid FROM pg_constraint"
    indexes = ask("SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index "
                  f"WHERE indrelid::regclass::text IN {tuple(COLUMNS)} AND indexrelid NOT IN ({of_constraints})")
    indexes = [line.split("|", 1) for line in indexes.splitlines()]
    for name, _ in indexes:
        ask(f"DROP INDEX {name}")
    for table, made in rows(shape, caller):
        ask("SET session_replication_role = replica",
            f"\\copy {table} ({', '.join(COLUMNS[table])}) FROM pstdin",
            rows=("\t".join(map(in_copy, row)) + "\n" for row in made))
    for _, sql in indexes:
        ask(sql)
    ask("VACUUM (ANALYZE)")
    ask("CHECKPOINT")


def in_copy(value):
    """A value in the text format of COPY. No text here has characters that must be escaped."""
    match value:
        case None:
            return "\\N"
        case bool():
            return "t" if value else "f"
        case bytes():
            return "\\\\x" + value.hex()
        case _:
            return str(value)
