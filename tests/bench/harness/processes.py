"""Starts the processes to measure, ends them by their id, and reads their CPU and memory."""

import json
import os
import re
import selectors
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
READY_WITHIN = 300  # seconds; a peer fills its store before it is ready


class Process:
    """A server that prints a line on standard output when it serves. Its standard error goes to a log."""

    def __init__(self, name, command, directory, environment=None):
        self.name = name
        directory.mkdir(parents=True, exist_ok=True)
        self.log = directory / "log"
        # The server gets no GUESTLIST_ variable of this shell. The log is appended to, so that it can be truncated
        # between rounds.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("GUESTLIST_")}
        with open(self.log, "ab") as log:
            self.begun = time.monotonic()
            self.process = subprocess.Popen(
                [str(part) for part in command], cwd=directory, env={**inherited, **(environment or {})},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )
        self.ready_after = None
        self.said = {}

    @property
    def pid(self):
        return self.process.pid

    def until_ready(self):
        """Waits for the ready line: that of Guestlist, or a line of JSON with an address."""
        deadline, text = self.begun + READY_WITHIN, b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while selector.select(max(0, deadline - time.monotonic())):
                part = os.read(self.process.stdout.fileno(), 65536)
                if not part:
                    break
                text += part
                self.said = ready_line(text)
                if self.said:
                    self.ready_after = time.monotonic() - self.begun
                    return self
        raise RuntimeError(f"{self.name} did not become ready: {self.log_tail()}")

    @property
    def address(self):
        return self.said["address"]

    def cpu(self):
        """The CPU seconds of the whole process."""
        return sum(cpu_times(self.pid)[:2])

    def resident(self):
        """The resident bytes of the process."""
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024

    def truncate_log(self):
        """Truncates the log, which would otherwise fill the disk."""
        os.truncate(self.log, 0)

    def log_tail(self):
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()


def ready_line(text):
    """The data of the ready line; empty until the line is complete."""
    for line in text.decode(errors="replace").splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        if line.startswith("{"):
            return json.loads(line)
        own = re.match(r"listening on https?://(\S+)", line)
        if own:
            return {"address": own[1]}
    return {}


def cpu_times(pid):
    """User and system seconds of a process, then those of its ended children."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return [int(field) / TICKS for field in fields[11:15]]


def children(pid):
    """The child processes of a process: their ids and names."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as stat:
                name, rest = stat.read().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue  # the process has ended
        if int(rest.split()[1]) == pid:
            found[int(entry)] = name
    return found
