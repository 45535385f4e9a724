"""Rounds: everybody in turn, several times; the median counts."""

import dataclasses
import math
import statistics
import sys

from harness import guestlist, load

WARM_UP = 256  # calls of the first warm-up; four times as many until it lasts long enough


@dataclasses.dataclass
class Candidate:
    """Somebody who answers calls."""

    name: str
    server: object  # a Process, or another with `cpu` and `cut_log`
    load: load.Load
    database: object = None  # a Postgres, whose CPU is told apart
    count: object = None  # how many rows there are, one more after each call
    metrics: bool = False  # Guestlist, whose own metrics know how its calls have ended
    note: str = ""
    most: float = math.inf  # calls in a round, where there are no more to make
    loads: list = dataclasses.field(default_factory=list)  # of each process, once prepared

    def shoot(self, calls):
        return load.shoot(self.server.address, self.loads, calls)

    def prepare(self):
        """Looks at one answer of each process: all the others must be as long."""
        self.loads = [self.prepared(one) for one in self.load.by_process()]

    def prepared(self, one):
        size = load.answer_size(self.server.address, one)
        if one.answer not in (None, size):
            raise RuntimeError(f"{self.name}: an answer of {size} bytes, not {one.answer}")
        if size == 0:
            raise RuntimeError(f"{self.name} refuses the call")
        return dataclasses.replace(one, answer=size)


@dataclasses.dataclass(frozen=True)
class Round:
    """One candidate's figures of one round."""

    rate: float
    p50: float
    p99: float
    cpu: float  # seconds of the server's, a call
    database_cpu: float | None
    calls: int


def rounds(run, candidates):
    """The medians of every candidate, by name."""
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
    """Answers how many calls fill a round, after a round that does not count: some compile as they run."""
    calls = WARM_UP
    while (shot := candidate.shoot(calls)).lasted < min(1.0, run.seconds / 2) and calls < candidate.most:
        candidate.server.cut_log()
        calls = min(calls * 4, candidate.most)
    shot = candidate.shoot(filling(run, candidate, shot))
    candidate.server.cut_log()
    return filling(run, candidate, shot)


def filling(run, candidate, shot):
    beside = shot.calls - shot.rate * shot.lasted  # before all were sending, and after
    return max(1, min(candidate.most, round(beside + shot.rate * run.seconds)))


def measured(candidate, calls):
    """One round, with everything checked that can be."""
    rows = candidate.count() if candidate.count else None
    ended = guestlist.answered(candidate.server) if candidate.metrics else None
    database = candidate.database.cpu() if candidate.database else None
    cpu = candidate.server.cpu()
    shot = candidate.shoot(calls)
    cpu = candidate.server.cpu() - cpu
    database = candidate.database.cpu() - database if candidate.database else None
    if rows is not None and candidate.count() - rows != shot.calls:
        raise RuntimeError(f"{candidate.name}: {candidate.count() - rows} rows after {shot.calls} calls")
    if ended is not None:
        check_codes(candidate, ended, guestlist.answered(candidate.server), shot.calls)
    candidate.server.cut_log()
    return Round(shot.rate, shot.p50, shot.p99, cpu / shot.calls,
                 None if database is None else database / shot.calls, shot.calls)


def check_codes(candidate, before, after, calls):
    """Guestlist itself says that these calls ended well, and no other."""
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
    """Progress; the table alone is on standard output."""
    print(line, file=sys.stderr, flush=True)
