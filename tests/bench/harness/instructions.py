"""Instructions of a call, counted by callgrind. The number does not depend on the machine or on its load."""

import dataclasses
import re
import shutil
import subprocess

from harness import calls, fill, load
from harness.guestlist import LIMITS
from harness.measure import say
from harness.processes import Process
from harness.table import markdown

TITLE = "Instructions a call, by callgrind, one in flight"

CALLS = 500


def measure(run):
    if not shutil.which("valgrind"):
        raise RuntimeError("instructions are counted by valgrind, which is not installed")
    lines = []
    for engine in ("sqlite", "postgres"):
        store = run.store(engine).copy("instructions")
        server = serve(run, store)
        for name, one in measured(run, store):
            counted = count(run, server, one)
            say(f"  {engine}: {name}: {counted:,.0f} instructions")
            lines.append([name, engine, f"{counted:,.0f}"])
        server.stop()
    return markdown(["call", "engine", "instructions"], lines)


def measured(run, store):
    """Names of calls, each with a load to warm up and a load to count: the kinds of reads and changes of other rows."""
    headers = store.authorization()
    number = 20 if run.smoke else CALLS
    tokens = calls.tokens(run.shape)
    organization = calls.organizations(run.shape)[0]
    yield "Summary, gRPC", [alone(calls.summary(tokens[-1], headers))] * 2
    yield "Summary, Connect GET", [alone(calls.summary_get(tokens[-number:], headers))] * 2
    yield "CreateOrganizationInvite, gRPC", [calls.create_alone(organization, headers)] * 2
    # Each half joins other organizations. The first organization is left out, because its link is already replaced.
    invites = [(str(fill.organization_id(n)), tokens[n]) for n in range(1, 2 * number + 1)]
    key = fill.joiner_key(0)
    yield "JoinOrganization, REST", [alone(calls.join(half, key)) for half in (invites[:number], invites[number:])]


def alone(one):
    return dataclasses.replace(one, clients=1, streams=1)


def count(run, server, loads):
    """The instructions of one call. As many calls run before without being counted, to fill the caches."""
    number = 20 if run.smoke else CALLS
    first, second = loads
    size = None if first.paths and first is not second else load.answer_size(server.address, first)
    run_round(server, first, size, number)
    dump(server)
    run_round(server, second, size, number)
    return dump(server) / number


def run_round(server, one, size, number):
    load.run_round(server.address, [dataclasses.replace(one, answer=size or one.answer)], number)


def dump(server):
    """The instructions since the last dump."""
    before = set(server.log.parent.glob("callgrind.out.*"))
    subprocess.run(["callgrind_control", "--dump", str(server.pid)], check=True, capture_output=True)
    (made,) = set(server.log.parent.glob("callgrind.out.*")) - before
    return int(re.search(r"^(?:totals|summary): (\d+)", made.read_text(), re.MULTILINE)[1])


def serve(run, store):
    command = ["valgrind", "--tool=callgrind", run.guestlist, "serve", "--listen", "127.0.0.1:0"]
    directory = run.scratch / f"{store.name}-log"
    server = Process("guestlist", command, directory, {**store.environment, **LIMITS})
    run.stack.callback(server.stop)
    return server.until_ready()
