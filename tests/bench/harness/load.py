"""The load generator: runs h2load and reads its log of each request.

A round has a fixed number of calls, so that each call can be checked. The rate and the latencies are those of the
time in which every process was sending: the beginning and the end of a round are cut off.
"""

import contextlib
import dataclasses
import re
import subprocess
import tempfile

EDGE = 0.05  # the share of that time that is also cut off at each end


@dataclasses.dataclass(frozen=True)
class Load:
    """Calls of one kind. A process of h2load can send only one body, so each body has its own process."""

    path: str = ""
    headers: dict = dataclasses.field(default_factory=dict)
    bodies: tuple = ()  # of POST, each sent by its own process; empty: GET
    paths: tuple = ()  # used instead of `path`, each in turn
    clients: int = 8  # connections of each process
    streams: int = 32  # calls in flight on each connection
    answer: int | None = None  # bytes of a good answer's body; None: the size of the first answer
    http1: bool = False
    route: str = ""  # the name in the metrics, if it is not the path
    rps: float | None = None  # calls a second on each connection; None: no limit

    @property
    def name(self):
        """The name of the call in Guestlist's metrics."""
        return self.route or (self.paths[0] if self.paths else self.path).split("?")[0].lstrip("/")

    def by_process(self):
        """The loads of the single processes, one for each body."""
        return [dataclasses.replace(self, bodies=(body,)) for body in self.bodies] or [self]


@dataclasses.dataclass(frozen=True)
class RoundResult:
    """The result of one round."""

    calls: int
    rate: float  # calls a second
    p50: float  # seconds
    p99: float
    lasted: float  # seconds in which all processes were sending


def run_round(address, loads, calls):
    """Makes at least this many calls, the same number of each load. Each load has its own process. Fails unless each
    call has a good answer."""
    each = max(-(-calls // len(loads)), *(load.clients * load.streams for load in loads))
    with tempfile.TemporaryDirectory(prefix="guestlist-load-") as folder, contextlib.ExitStack() as running:
        started = [start(running, folder, address, load, number, each) for number, load in enumerate(loads)]
        outputs = [process.communicate()[0] for process in started]
        for load, process, output in zip(loads, started, outputs):
            check(process, output, each, load.answer)
        records = [read(f"{folder}/log{number}") for number in range(len(loads))]
    return summarize(records)


def start(running, folder, address, load, number, calls):
    clients, streams = (load.clients * load.streams, 1) if load.http1 else (load.clients, load.streams)
    command = ["h2load", f"--requests={calls}", f"--clients={clients}", f"--max-concurrent-streams={streams}",
               f"--log-file={folder}/log{number}"]
    command += ["--h1"] if load.http1 else []
    command += [f"--rps={load.rps:.3f}"] if load.rps else []
    command += [f"--header={name}: {value}" for name, value in load.headers.items()]
    if load.bodies:
        body = f"{folder}/body{number}"
        with open(body, "wb") as file:
            file.write(load.bodies[0])
        command.append(f"--data={body}")
    if load.paths:
        with open(f"{folder}/paths{number}", "w") as file:
            file.writelines(f"http://{address}{path}\n" for path in load.paths)
        command.append(f"--input-file={folder}/paths{number}")
    else:
        command.append(f"http://{address}{load.path}")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    running.callback(end, process)
    return process


def end(process):
    if process.poll() is None:
        process.kill()
    process.wait()
    process.stdout.close()


def check(process, output, calls, answer):
    """Checks that each request has a 2xx answer with as many bytes as a good one: a gRPC error has no data. Returns the
    bytes of data."""
    done = re.search(r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    codes = re.search(r"status codes: (\d+) 2xx", output)
    data = re.search(r"\((\d+)\) data", output)
    if process.returncode != 0 or not (done and codes and data):
        raise RuntimeError(f"h2load ended with code {process.returncode}: {output[-1000:]}")
    expected = (calls,) * 3 + (0,) * 3
    if tuple(map(int, done.groups())) != expected or int(codes[1]) != calls:
        raise RuntimeError(f"not every call was answered well: {done[0]}; {codes[0]} of {calls}")
    if answer is not None and int(data[1]) != calls * answer:
        raise RuntimeError(f"not every answer was a good one: {data[1]} bytes of data, not {calls} times {answer}")
    return int(data[1])


def answer_size(address, load):
    """Makes one call, and returns the bytes of its answer."""
    one = dataclasses.replace(load, paths=load.paths[:1], clients=1, streams=1)
    with tempfile.TemporaryDirectory(prefix="guestlist-load-") as folder, contextlib.ExitStack() as running:
        process = start(running, folder, address, one, 0, 1)
        return check(process, process.communicate()[0], 1, None)


def read(log):
    """The start and the duration of each request, in microseconds."""
    with open(log) as lines:
        fields = (line.split("\t") for line in lines)
        return [(int(start), int(took)) for start, _, took, *_ in fields]


def summarize(records):
    begun = [min(start for start, _ in record) for record in records]
    ended = [max(start + took for start, took in record) for record in records]
    low, high = max(begun), min(ended)
    lasted = max(0, high - low)
    low, high = low + EDGE * lasted, high - EDGE * lasted
    inside = between(records, low, high)
    if not inside:  # so few calls that one process ended before another began
        low, high = min(begun), max(ended)
        inside = between(records, low, high)
    return RoundResult(
        calls=sum(map(len, records)),
        rate=len(inside) / (high - low) * 1e6,
        p50=quantile(inside, 0.50) / 1e6,
        p99=quantile(inside, 0.99) / 1e6,
        lasted=lasted / 1e6,
    )


def between(records, low, high):
    """The durations, sorted, of the requests that ended in this time."""
    return sorted(took for record in records for start, took in record if low <= start + took <= high)


def quantile(ordered, part):
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
