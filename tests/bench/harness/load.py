"""The load generator: h2load, and what its own record of every request says.

A round has a fixed number of calls, so that every one of them can be accounted for. Its rate and
latencies are of the time in which every process was sending: beginnings and ends are cut off.
"""

import contextlib
import dataclasses
import re
import subprocess
import tempfile

EDGE = 0.05  # of that time, cut off at each end


@dataclasses.dataclass(frozen=True)
class Load:
    """Calls of one kind. h2load sends one body a process: several bodies are several processes."""

    path: str = ""
    headers: dict = dataclasses.field(default_factory=dict)
    bodies: tuple = ()  # of POST, each by a process of its own; none: GET
    paths: tuple = ()  # instead of one path: each in turn
    clients: int = 8  # of each process
    streams: int = 32  # at a time, of each client
    answer: int | None = None  # bytes of a good answer's body; None: as many as the first one has
    http1: bool = False
    route: str = ""  # as the metrics call it, where that is not the path
    rps: float | None = None  # calls a second of each client; None: as many as are answered

    @property
    def name(self):
        """The call, as Guestlist's metrics name it."""
        return self.route or (self.paths[0] if self.paths else self.path).split("?")[0].lstrip("/")

    def by_process(self):
        """What each process sends."""
        return [dataclasses.replace(self, bodies=(body,)) for body in self.bodies] or [self]


@dataclasses.dataclass(frozen=True)
class Shot:
    """What came of one round."""

    calls: int
    rate: float  # calls a second
    p50: float  # seconds
    p99: float
    lasted: float  # seconds in which all of them were sending


def shoot(address, loads, calls):
    """Makes at least this many calls, of each load as many and by its own process; fails unless
    every one has a good answer."""
    each = max(-(-calls // len(loads)), *(load.clients * load.streams for load in loads))
    with tempfile.TemporaryDirectory(prefix="guestlist-load-") as folder, contextlib.ExitStack() as running:
        started = [start(running, folder, address, load, number, each) for number, load in enumerate(loads)]
        outputs = [process.communicate()[0] for process in started]
        for load, process, output in zip(loads, started, outputs):
            check(process, output, each, load.answer)
        records = [read(f"{folder}/log{number}") for number in range(len(loads))]
    return summed_up(records)


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
    """Every request answered, by 2xx, and as many bytes as good answers have: a gRPC refusal has none."""
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
    """Bytes of the answer to one call."""
    one = dataclasses.replace(load, paths=load.paths[:1], clients=1, streams=1)
    with tempfile.TemporaryDirectory(prefix="guestlist-load-") as folder, contextlib.ExitStack() as running:
        process = start(running, folder, address, one, 0, 1)
        return check(process, process.communicate()[0], 1, None)


def read(log):
    """The start and the duration of every request, in microseconds."""
    with open(log) as lines:
        fields = (line.split("\t") for line in lines)
        return [(int(start), int(took)) for start, _, took, *_ in fields]


def summed_up(records):
    begun = [min(start for start, _ in record) for record in records]
    ended = [max(start + took for start, took in record) for record in records]
    low, high = max(begun), min(ended)
    lasted = max(0, high - low)
    low, high = low + EDGE * lasted, high - EDGE * lasted
    inside = between(records, low, high)
    if not inside:  # so few calls that one process had ended before another began
        low, high = min(begun), max(ended)
        inside = between(records, low, high)
    return Shot(
        calls=sum(map(len, records)),
        rate=len(inside) / (high - low) * 1e6,
        p50=quantile(inside, 0.50) / 1e6,
        p99=quantile(inside, 0.99) / 1e6,
        lasted=lasted / 1e6,
    )


def between(records, low, high):
    """The durations of the requests that ended in this time, in order."""
    return sorted(took for record in records for start, took in record if low <= start + took <= high)


def quantile(ordered, part):
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
