"""Peers: other servers with the same calls, or with the most similar ones that they have."""

import contextlib
import dataclasses
import sqlite3

from harness import build, calls
from harness.load import Load
from harness.measure import Candidate

NAMES = ["connect-go", "connect-es", "better-auth"]
SQLITE_ONLY = {"connect-es", "better-auth"}


def candidates(run, engine, key):
    """Each peer's candidates for Summary and CreateOrganizationInvite, by name, and the reasons for missing peers."""
    found, left_out = {}, {}
    for name in NAMES:
        if engine != "sqlite" and name in SQLITE_ONLY:
            continue
        try:
            found[name] = of(run, engine, key, name)
        except build.PeerUnavailable as why:
            left_out[name] = str(why)
    return found, left_out


def of(run, engine, key, name):
    command = build.peer(name)
    if engine == "sqlite":
        file = run.scratch / f"{name}.db"
        url = f"sqlite:{file}"
    else:
        url = run.postgres.database(f"peer-{name}")
    server = run.start(f"{name}-{engine}", [*command, "--listen", "127.0.0.1:0", "--database", url], {"BENCH_KEY": key})

    def count():
        if engine == "sqlite":
            with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
                return database.execute(server.said["count"]).fetchone()[0]
        return int(run.postgres.sql(server.said["count"], url))

    database = run.postgres if engine == "postgres" else None
    summary, create = loads(server.said, {"authorization": f"Bearer {key}"})
    return (Candidate(name, server, summary, database=database),
            Candidate(name, server, create, database=database, count=count if server.said["count"] else None))


def loads(said, headers):
    if "summary" in said:
        return rest_load(said["summary"]), rest_load(said["create"])
    # CreateOrganizationInvite replaces the first links, so Summary reads the last one. A peer's answers may differ in
    # size from Guestlist's, because its names may have another length.
    summary = calls.summary(said["invite_ids"][-1], headers)
    create = calls.create(said["organization_ids"], headers)
    return dataclasses.replace(summary, answer=None), dataclasses.replace(create, answer=None)


def rest_load(call):
    """A REST call, 256 in flight on 256 connections of HTTP/1.1."""
    bodies = (call["body"].encode(),) if call["method"] == "POST" else ()
    return Load(call["path"], call["headers"], bodies, clients=256, streams=1, http1=True)
