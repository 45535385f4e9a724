"""An organization with a million members and a million invites: its lists, a call with a thousand addresses, and its
deletion. During the last two, also the time of a change in another organization.
"""

import http.client
import json
import statistics
import threading
import time

from harness import fill, guestlist, wire
from harness.measure import say
from harness.table import markdown, milliseconds

TITLE = "Large things: an organization of 1,000,000 members and 1,000,000 invites"

CROWD = 1_000_000
CALLS = 30
ADDRESSES = 1000
QUIET_SECONDS = 10
LONGEST = 1800  # seconds that a deletion may take


def measure(run):
    sides = {name: Side(run, engine) for engine, name in (("sqlite", "SQLite"), ("postgres", "PostgreSQL"))}
    results = {name: side.measure() for name, side in sides.items()}
    heads = ["one call in flight"] + [f"{name}, {figure}" for name in sides for figure in ("median", "longest")]
    whats = next(iter(results.values()))
    cells = [[what] + [milliseconds(figure) for one in results.values() for figure in one[what]] for what in whats]
    took = "; ".join(f"{name} {side.took:,.0f} s" for name, side in sides.items())
    return f"{markdown(heads, cells)}\n\nFrom the answer of DeleteOrganization until its last row was deleted: {took}."


class Side:
    """Guestlist on one engine."""

    def __init__(self, run, engine):
        crowd = 2000 if run.smoke else CROWD
        shape = fill.Shape(organizations=100, members_each=10, invites_each=10, crowd=crowd)
        say(f"filling an organization of {crowd:,} on {engine}")
        self.store = guestlist.Store.filled(run, engine, shape, "large")
        self.server = self.store.serve()
        self.crowd, self.other = (str(fill.organization_id(number)) for number in (0, 50))
        # A member of the large organization, and the number of an email invitation to it.
        self.account = shape.organizations * shape.members_each + crowd // 2
        self.guest = next(number for number in range(shape.invites - 3, shape.invites) if number % 3 == (shape.organizations + 2) % 3)
        self.quiet = 1 if run.smoke else QUIET_SECONDS
        self.took = None

    def measure(self):
        found = {}
        page = {"pageSize": 50}
        for what, path, request, field, number in [
            ("ListMembers, first page", wire.LIST_MEMBERS, {"pagination": page}, "members", 50),
            ("ListMembers, a part of one name", wire.LIST_MEMBERS,
             {"pagination": page, "filter": {"search": f"son {self.account:08}"}}, "members", 1),
            ("ListMembers, a part of no name", wire.LIST_MEMBERS, {"pagination": page, "filter": {"search": "nobody"}}, "members", 0),
            ("ListMembers, by address", wire.LIST_MEMBERS,
             {"pagination": page, "filter": {"email": f"person{self.account}@example.com"}}, "members", 1),
            ("InviteService/List, first page", wire.LIST_INVITES, {"page": page}, "invites", 50),
            ("InviteService/List, by address", wire.LIST_INVITES,
             {"page": page, "filter": {"email": f"guest{self.guest}@example.com"}}, "invites", 1),
        ]:
            say(what)
            client = self.client()
            answers, times = zip(*(client.timed(path, {"organizationId": self.crowd, **request}) for _ in range(CALLS)))
            assert all(len(answer.get(field, [])) == number for answer in answers), answers[0]
            found[what] = statistics.median(times), max(times)
        say("changes")
        with Changes(self) as changes:
            time.sleep(self.quiet)
            found["CreateOrganizationInvite elsewhere"] = changes.since()
            client = self.client()
            times = [client.timed(wire.INVITE_BY_EMAIL, self.addresses(number))[1] for number in range(5)]
            found[f"InviteByEmail, {ADDRESSES:,} addresses"] = statistics.median(times), max(times)
            found["CreateOrganizationInvite elsewhere, beside it"] = changes.since()
            deleted = client.timed(wire.DELETE, {"organizationId": self.crowd})[1]
            found["DeleteOrganization"] = deleted, deleted
            begun = time.monotonic()
            while self.store.count("SELECT count(*) FROM removals"):
                assert time.monotonic() - begun < LONGEST, "the organization is not deleted in time"
                time.sleep(0.5)
            self.took = time.monotonic() - begun
            found["CreateOrganizationInvite elsewhere, while its rows are deleted"] = changes.since()
        crowd = fill.organization_id(0)
        of_it = f"x'{crowd.hex}'" if self.store.engine == "sqlite" else f"'{crowd}'"
        for table in "members", "invites":
            assert not self.store.count(f"SELECT count(*) FROM {table} WHERE organization_id = {of_it}"), table
        return found

    def addresses(self, number):
        emails = (f"new{number}-{each}@example.com" for each in range(ADDRESSES))
        return {"organizationId": self.crowd, "invitations": [{"email": email} for email in emails]}

    def client(self):
        return Client(self.server.address, self.store.authorization())


class Client:
    """A client with one connection, which makes one call at a time."""

    def __init__(self, address, headers):
        self.connection = http.client.HTTPConnection(address, timeout=120)
        self.headers = {**wire.JSON, **headers}

    def timed(self, path, request):
        """Makes a call, and returns the answer and the seconds that it took."""
        begun = time.perf_counter()
        self.connection.request("POST", path, json.dumps(request), self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        took = time.perf_counter() - begun
        assert answer.status == 200, body[:300]
        return json.loads(body), took


class Changes:
    """A thread that makes changes in another organization, one after another."""

    def __init__(self, side):
        self.client, self.request = side.client(), {"organizationId": side.other}
        self.times, self.failure, self.has_ended = [], None, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.has_ended.set()
        self.thread.join()

    def run(self):
        try:
            while not self.has_ended.is_set():
                self.times.append(self.client.timed(wire.CREATE, self.request)[1])
        except Exception as failure:  # raised again in `since`
            self.failure = failure

    def since(self):
        """The median and the longest time of the changes since the last call of `since`."""
        if self.failure:
            raise self.failure
        times, self.times = self.times, []
        return statistics.median(times), max(times)
