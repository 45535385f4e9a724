"""R8: GetOrganizationInviteSummary while links of other organizations are created, one change for ten reads."""

import contextlib
import dataclasses
import statistics
import tempfile
import time

from harness import calls, guestlist, load
from harness.measure import Candidate, rounds, say, warm_up
from harness.table import at_least, at_most, line, table

TITLE = "R8: GetOrganizationInviteSummary beside changes of other organizations"

SHARE = 0.1  # changes for each read of the quiet rate
BARS = {"sqlite": 0.70, "postgres": 0.80}
SLOWER = 2  # the p99 may be at most this many times the quiet p99
WRITERS = 8  # organizations with changes, each with its own process
LONGEST = 600  # seconds; the length of a writer's load, which is ended when the reads end


def measure(run):
    return table([one for engine in BARS for one in on(run, engine)])


def on(run, engine):
    store = run.store(engine).copy("r8")
    server, headers = store.serve(), store.authorization()
    database = run.postgres if engine == "postgres" else None
    tokens, organizations = calls.tokens(run.shape), calls.organizations(run.shape)
    # Links of organizations that have no changes.
    reads = {
        "Connect GET": calls.summary_get(tokens[WRITERS:], headers),
        "gRPC": calls.summary_of_eight(tokens[-8:], headers),
    }
    lines = []
    for protocol, read in reads.items():
        name = f"{engine}, {protocol}"
        quiet = Candidate(name, server, read, database=database, metrics=True)
        quiet.prepare()
        rate = SHARE * warm_up(run, quiet) / run.seconds
        beside = ReadsDuringChanges(f"{name}, beside changes", server, read, database=database, metrics=True,
                        writes=calls.create_paced(organizations[:WRITERS], headers, rate / WRITERS))
        measured = rounds(run, [quiet, beside])
        made = statistics.median(beside.made[-run.rounds:])  # the earlier ones are of warm-ups
        lines += compared(quiet.name, measured, BARS[engine], f"{made:,.0f} of {rate:,.0f} changes a second")
    return lines


def compared(name, measured, bar, changes):
    before, after = measured.values()
    ratio, met = at_least(after.rate / before.rate, bar)
    slower, in_time = at_most(after.p99 / before.p99, SLOWER)
    return (
        line(name, before, "1"),
        line(f"{name}, beside {changes}", after, f"{ratio}; p99 {slower}", f"{met}; p99 {in_time}"),
    )


@dataclasses.dataclass
class ReadsDuringChanges(Candidate):
    """Reads while changes run at a fixed rate. Guestlist's metrics give the rate of the changes that succeeded."""

    writes: load.Load = None
    made: list = dataclasses.field(default_factory=list)

    def run_round(self, calls):
        with tempfile.TemporaryDirectory(prefix="guestlist-load-") as folder, contextlib.ExitStack() as running:
            for number, one in enumerate(self.writes.by_process()):
                load.start(running, folder, self.server.address, one, number, round(one.rps * LONGEST))
            before = self.until_written(guestlist.answered(self.server))
            begun = time.monotonic()
            shot = super().run_round(calls)
            lasted = time.monotonic() - begun
            changes = self.written(before, guestlist.answered(self.server))
        self.made.append(changes / lasted)
        say(f"  {self.made[-1]:,.0f} changes a second beside {shot.calls} reads")
        return shot

    def until_written(self, before):
        """Waits for the first changes."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            now = guestlist.answered(self.server)
            if self.written(before, now) >= WRITERS:
                return now
            time.sleep(0.05)
        raise RuntimeError(f"{self.name}: no changes")

    def written(self, before, after):
        """The number of changes between two readings of the metrics. None may have failed, except canceled ones: they
        were running when the writers of an earlier round were ended."""
        rpc = self.writes.name
        changed = {code: after[rpc, code] - before.get((rpc, code), 0) for (of, code) in after if of == rpc}
        failed = {code: number for code, number in changed.items() if number and code not in ("ok", "canceled", "cancelled")}
        if failed:
            raise RuntimeError(f"{self.name}: changes have failed: {failed}")
        return changed.get("ok", 0)
