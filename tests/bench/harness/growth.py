"""R6: the cost of a call in a small store and in one with a thousand times as many organizations."""

import dataclasses
import itertools
import json
import os
import shutil
import urllib.request

from harness import calls, fill, guestlist, wire
from harness.measure import Candidate, rounds, say
from harness.table import markdown, microseconds, milliseconds

TITLE = "R6: growth, on SQLite"

SIZES = "BENCH_GROWTH"  # environment variable: the numbers of organizations of the small and of the large store
EACH = 10  # members and invites of each organization; the first one also has the crowd
IDS = 10_000  # the most ids in a load with many ids
BARS = {"CPU": 1.25, "p50": 1.25, "p99": 2}
UNITS = {"CPU": microseconds, "p50": milliseconds, "p99": milliseconds}


def measure(run):
    return on(run, "sqlite")


def on(run, engine):
    sizes = os.environ.get(SIZES, "100 10000" if run.smoke else "1000 1000000")
    small, large = (Side(run, engine, int(size)) for size in sizes.split())
    lines = []
    for what, candidate in CALLS.items():
        say(what)
        ours = {side: candidate(side, f"{what}; {side.shape.organizations:,} organizations") for side in (small, large)}
        measured = rounds(run, list(ours.values()))
        lines.append(compared(what, *(measured[one.name] for one in ours.values())))
    heads = [head for figure, bar in BARS.items() for head in
             (*(f"{figure}, {side.shape.organizations:,}" for side in (small, large)), f"ratio ≤ {bar:g}")]
    return markdown(["", *heads, "bar"], lines)


def compared(what, before, after):
    cells, missed = [what], []
    for figure, bar in BARS.items():
        unit, values = UNITS[figure], [value(figure, one) for one in (before, after)]
        ratio = values[1] / values[0]
        cells += [*map(unit, values), f"{ratio:.2f}"]
        missed += [figure] if ratio > bar else []
    return [*cells, "**missed**: " + ", ".join(missed) if missed else "met"]


def value(figure, measured):
    """A figure; CPU is that of the server and of the database together."""
    return measured.cpu + (measured.database_cpu or 0) if figure == "CPU" else getattr(measured, figure)


class Side:
    """A store of one size, and Guestlist on it."""

    def __init__(self, run, engine, organizations):
        say(f"filling a store of {organizations:,} organizations on {engine}")
        self.shape = fill.Shape(organizations, EACH, EACH, crowd=organizations, joiners=32 * calls.WRITERS)
        self.store = guestlist.Store.filled(run, engine, self.shape, f"growth-{organizations}")
        # The store takes gigabytes, so it is deleted at the end of the row. tests/postgres deletes its own data.
        run.stack.callback(shutil.rmtree, self.store.directory)
        self.server = self.store.serve(f"guestlist-{organizations}")
        self.headers = self.store.authorization()
        self.database = run.postgres if engine == "postgres" else None
        self.joiners = itertools.count()

    def spread(self, count):
        """Numbers of organizations over the whole store, without the first one: all have as many members."""
        others = self.shape.organizations - 1
        count = min(count, others)
        return [1 + number * others // count for number in range(count)]

    def few(self):
        """The ids of up to WRITERS organizations, one for each process."""
        return [str(fill.organization_id(number)) for number in self.spread(calls.WRITERS)]

    def candidate(self, name, load, kind=Candidate, **more):
        return kind(name, self.server, load, database=self.database, metrics=True, **more)


def summary(side, name):
    bodies = [wire.by_id(str(fill.token(number))) for number in side.spread(calls.WRITERS)]
    return side.candidate(name, calls.side_by_side(wire.SUMMARY, bodies, side.headers))


def summary_get(side, name):
    tokens = [str(fill.token(number)) for number in side.spread(IDS)]
    return side.candidate(name, calls.summary_get(tokens, side.headers))


def listing(path, request):
    def candidate(side, name):
        return side.candidate(name, calls.side_by_side(path, map(request, side.few()), side.headers))
    return candidate


def listing_crowd(path, request):
    def candidate(side, name):
        crowd = str(fill.organization_id(0))
        return side.candidate(name, calls.again(path, request(crowd), side.headers))
    return candidate


@dataclasses.dataclass
class Joins(Candidate):
    """In each call an account joins an organization that it is not a member of. Each round has new accounts, one for
    each process, and each account starts at another place in the list of organizations."""

    side: Side = None

    def prepare(self):
        pass  # a call here would be one of the joins that are to be counted

    def run_round(self, number):
        numbers = self.side.spread(IDS) * 2
        each = max(self.load.streams, -(-number // calls.WRITERS))
        self.loads = []
        for process in range(calls.WRITERS):
            first = process * len(numbers) // 2 // calls.WRITERS
            mine = numbers[first:first + each]
            joiner = next(self.side.joiners)
            assert joiner < self.side.shape.joiners, "no account is left that can join"
            invites = [(fill.organization_id(organization), fill.token(organization)) for organization in mine]
            self.loads.append(calls.join(invites, fill.joiner_key(joiner)))
        return super().run_round(number)


def join(side, name):
    most = calls.WRITERS * len(side.spread(IDS))
    return side.candidate(name, calls.join([], ""), Joins, count=side.store.count, most=most, side=side)


def get(side, name):
    """Reads links that are created here, because the sealed tokens of the filled store cannot be opened."""
    for organization in side.few():
        ask(side, wire.CREATE, {"organizationId": organization})
    bodies = map(wire.by_id, side.few())
    return side.candidate(name, calls.side_by_side(wire.GET, bodies, side.headers))


def create(side, name):
    return side.candidate(name, calls.create(side.few(), side.headers), count=side.store.count)


def ask(side, path, message):
    request = urllib.request.Request(f"http://{side.server.address}{path}", json.dumps(message).encode(),
                                     {**wire.JSON, **side.headers})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


# In this order: lists are read before anything is added to them, and links are used before they are replaced.
CALLS = {
    "GetOrganizationInviteSummary, gRPC": summary,
    "GetOrganizationInviteSummary, Connect GET, all over": summary_get,
    "InviteService/List": listing(wire.LIST_INVITES, wire.invites_of),
    "ListMembers": listing(wire.LIST_MEMBERS, wire.members_of),
    "InviteService/List in the crowd": listing_crowd(wire.LIST_INVITES, wire.invites_of),
    "ListMembers in the crowd": listing_crowd(wire.LIST_MEMBERS, wire.members_of),
    "JoinOrganization": join,
    "GetOrganizationInvite": get,
    "CreateOrganizationInvite": create,
}
