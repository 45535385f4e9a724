"""R10: GetMembership against Summary on both engines, and a batch of a hundred memberships against a batch of one."""

import json
import urllib.request

from harness import calls, wire
from harness.measure import Candidate, rounds
from harness.table import at_least, at_most, line, table

TITLE = "R10: GetMembership against Summary, and a batch of 100 against one"

BATCH = 100


def measure(run):
    lines = []
    for engine, name, bar in ("sqlite", "SQLite", 0.80), ("postgres", "PostgreSQL", 0.90):
        store = run.store(engine).copy("r10")
        service, of_service = store.service()
        server, headers = store.serve(), store.authorization()
        organizations = calls.organizations(run.shape)
        for organization in organizations[-BATCH:]:
            add(server, headers, organization, service)
        database = run.postgres if engine == "postgres" else None

        def compare(**loads):
            return rounds(run, [
                Candidate(f"{what.replace('_', ' ')} on {name}", server, load, database=database, metrics=True)
                for what, load in loads.items()
            ])

        lines += compared(compare(
            GetMembership=calls.membership(organizations[-1], headers),
            Summary=calls.summary(calls.tokens(run.shape)[-1], headers),
        ), lambda ours, theirs: at_least(ours.rate / theirs.rate, bar))
        lines += compared(compare(
            A_batch_of_100=calls.memberships(organizations[-BATCH:], service, of_service),
            A_batch_of_one=calls.memberships(organizations[-1:], service, of_service),
        ), lambda ours, theirs: of_p50(at_most(ours.p50 / theirs.p50, 15)))
    return table(lines)


def add(server, headers, organization, account):
    """Makes the service a member of the organization, so that the batch finds each membership."""
    body = json.dumps({"organizationId": organization, "accountId": str(account), "role": "read"}).encode()
    request = urllib.request.Request(f"http://{server.address}{wire.ADD_MEMBER}", body, {**wire.JSON, **headers})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["membership"]["role"] == "read"


def of_p50(compared):
    ratio, bar = compared
    return f"{ratio} of p50", bar


def compared(measured, judge):
    (our_name, ours), (their_name, theirs) = measured.items()
    return line(our_name, ours, *judge(ours, theirs)), line(their_name, theirs, "1")
