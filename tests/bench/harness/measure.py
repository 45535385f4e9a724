"""Rounds: each candidate is measured several times, in turn with the others. The median counts."""

import dataclasses
import math
import statistics
import sys

from harness import guestlist, load

WARM_UP = 256  # calls of the first warm-up; four times as many until it lasts long enough


@dataclasses.dataclass
class Candidate:
    """A server to measure, and its load."""

    name: str
    server: object  # a Process, or an object with `cpu` and `truncate_log`
    load: load.Load
    database: object = None  # a Postgres, whose CPU is a separate figure
    count: object = None  # a function that returns a number of rows; each call must add one row
    metrics: bool = False  # the server is Guestlist, and its metrics are checked
    note: str = ""
    most: float = math.inf  # the most calls that a round can have
    loads: list = dataclasses.field(default_factory=list)  # of the single processes, after `prepare`

    def run_round(self, calls):
        return load.run_round(self.server.address, self.loads, calls)

    def prepare(self):
        """Makes one call of each process: all later answers must have the size of its answer."""
        self.loads = [self.prepared(one) for one in self.load.by_process()]

    def prepared(self, one):
        size = load.answer_size(self.server.address, one)
        if one.answer not in (None, size):
            raise RuntimeError(f"{self.name}: an answer of {size} bytes, not {one.answer}")
        if size == 0:
            raise RuntimeError(f"{self.name} rejects the call")
        return dataclasses.replace(one, answer=size)


@dataclasses.dataclass(frozen=True)
class Round:
    """The figures of one candidate in one round."""

    rate: float
    p50: float
    p99: float
    cpu: float  # seconds of the server's CPU for each call
    database_cpu: float | None
    calls: int


def rounds(run, candidates):
    """The medians of each candidate, by its name."""
    calls = {}
    for candidate in candidates:
        candidate.prepare()
        calls[candidate.name] = warm_up(run, candidate)
    results = {candidate.name: [] for candidate in candidates}
    for number in range(run.rounds):
        for candidate in candidates:
            result = measured(candidate, calls[candidate.name])
            results[candidate.name].append(result)
            say(f"  round {number + 1}: {candidate.name}: {result.rate:,.0f}/s, p50 {result.p50 * 1e3:.2f} ms, "
                f"p99 {result.p99 * 1e3:.2f} ms, {result.cpu * 1e6:.0f} µs of CPU, {result.calls} calls")
    return {name: median(of) for name, of in results.items()}


def warm_up(run, candidate):
    """Returns how many calls fill a round. The warm-up is not counted: some servers compile their code at run time."""
    calls = WARM_UP
    while (shot := candidate.run_round(calls)).lasted < min(1.0, run.seconds / 2) and calls < candidate.most:
        candidate.server.truncate_log()
        calls = min(calls * 4, candidate.most)
    shot = candidate.run_round(filling(run, candidate, shot))
    candidate.server.truncate_log()
    return filling(run, candidate, shot)


def filling(run, candidate, shot):
    beside = shot.calls - shot.rate * shot.lasted  # calls outside the time in which all processes were sending
    return max(1, min(candidate.most, round(beside + shot.rate * run.seconds)))


def measured(candidate, calls):
    """Measures one round, and checks its rows and metrics."""
    rows = candidate.count() if candidate.count else None
    ended = guestlist.answered(candidate.server) if candidate.metrics else None
    database = candidate.database.cpu() if candidate.database else None
    cpu = candidate.server.cpu()
    shot = candidate.run_round(calls)
    cpu = candidate.server.cpu() - cpu
    database = candidate.database.cpu() - database if candidate.database else None
    if rows is not None and candidate.count() - rows != shot.calls:
        raise RuntimeError(f"{candidate.name}: {candidate.count() - rows} rows after {shot.calls} calls")
    if ended is not None:
        check_codes(candidate, ended, guestlist.answered(candidate.server), shot.calls)
    candidate.server.truncate_log()
    return Round(shot.rate, shot.p50, shot.p99, cpu / shot.calls,
                 None if database is None else database / shot.calls, shot.calls)


def check_codes(candidate, before, after, calls):
    """Checks in Guestlist's metrics that exactly these calls of the RPC ended, all with the code ok."""
    rpc = candidate.load.name
    changed = {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}
    changed = {key: number for key, number in changed.items() if key[0] == rpc}
    if list(changed.values()) != [calls] or next(iter(changed))[1] != "ok":
        raise RuntimeError(f"{candidate.name}: after {calls} calls of {rpc}, the metrics say {changed}")


def median(of):
    def middle(field):
        values = [getattr(one, field) for one in of]
        return None if None in values else statistics.median(values)

    return Round(**{field.name: middle(field.name) for field in dataclasses.fields(Round)})


def say(line):
    """Prints progress to standard error; standard output has only the table."""
    print(line, file=sys.stderr, flush=True)
