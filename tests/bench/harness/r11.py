"""R11: CreateOrganizationInvite while ten webhook endpoints accept each request and never answer."""

import json
import socket
import threading
import urllib.request

from harness import calls, wire
from harness.measure import Candidate, rounds
from harness.table import at_most, line, table

TITLE = "R11: CreateOrganizationInvite beside ten endpoints that do not answer"

ENDPOINTS = 10
ORGANIZATIONS = 8
RATE = 25  # changes a second in each organization
SLOWER = 1.1  # the p99 may be at most this many times the p99 without endpoints
SECONDS = 20  # the shortest round: it has 4,000 calls, of which 40 are slower than the p99
SETTINGS = {"GUESTLIST_WEBHOOKS__ALLOW_HTTP": "true", "GUESTLIST_WEBHOOKS__ALLOWED_NETWORKS": '["127.0.0.0/8"]'}


def measure(run):
    endpoint = Silent()
    run.stack.callback(endpoint.close)
    lines = []
    for engine, name in ("sqlite", "SQLite"), ("postgres", "PostgreSQL"):
        database = run.postgres if engine == "postgres" else None
        candidates = []
        for what, endpoints in ("without endpoints", 0), ("ten endpoints that do not answer", ENDPOINTS):
            store = run.store(engine).copy(f"r11-{endpoints}")
            store.environment.update(SETTINGS)
            server, headers = store.serve(), store.authorization()
            organizations = calls.organizations(run.shape)[:ORGANIZATIONS]
            for number in range(endpoints):
                create_webhook(server, headers, organizations[number % ORGANIZATIONS], endpoint.url)
            load = calls.create_paced(organizations, headers, RATE)
            candidates.append(Candidate(f"{name}, {what}", server, load, database=database, count=store.count, metrics=True))
        measured = long_rounds(run, candidates)
        assert endpoint.requests >= ENDPOINTS, "the endpoints received too few requests"
        (before_name, before), (name, after) = measured.items()
        ratio, bar = at_most(after.p99 / before.p99, SLOWER)
        lines += line(before_name, before, "1"), line(name, after, f"{ratio} of p99", bar)
    return table(lines)


def long_rounds(run, candidates):
    seconds, run.seconds = run.seconds, run.seconds if run.smoke else max(run.seconds, SECONDS)
    try:
        return rounds(run, candidates)
    finally:
        run.seconds = seconds


def create_webhook(server, headers, organization, url):
    body = json.dumps({"organizationId": organization, "url": url}).encode()
    request = urllib.request.Request(f"http://{server.address}{wire.CREATE_WEBHOOK}", body, {**wire.JSON, **headers})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["webhook"]["enabled"]


class Silent:
    """An endpoint that accepts connections and sends nothing."""

    def __init__(self):
        self.requests, self.connections = 0, []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:  # closed
                return
            self.connections.append(connection)
            self.requests += 1

    def close(self):
        self.listener.close()
        for connection in self.connections:
            connection.close()
