"""The PostgreSQL of a run: tests/postgres, with fsync on."""

import os
import pathlib
import shutil
import signal
import subprocess

from harness import processes

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Postgres:
    def __init__(self):
        self.holder = subprocess.Popen(
            [ROOT / "tests/postgres", "--install", "--durable"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.url = self.holder.stdout.readline().strip()
        if not self.url:
            raise RuntimeError("tests/postgres gave no PostgreSQL; its reason is above")
        named = processes.children(self.holder.pid)
        self.server = next(pid for pid, name in named.items() if name == "postgres")

    def stop(self):
        """Closes the standard input of tests/postgres, which ends it."""
        self.holder.stdin.close()
        try:
            self.holder.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.holder.send_signal(signal.SIGTERM)
            self.holder.wait()
        self.holder.stdout.close()

    def database(self, name, template="template0"):
        """Creates a database and returns its URL. No client may be connected to the template."""
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return f"{self.url.rsplit('/', 1)[0]}/{name}"

    def drop(self, name):
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def sql(self, statement, url=None):
        """Runs SQL, and returns the rows as psql prints them, without headers."""
        return psql(url or self.url, ["--command", statement])

    def cpu(self):
        """CPU seconds of the whole server, with its running and its ended backends."""
        total = sum(processes.cpu_times(self.server))
        for pid in processes.children(self.server):
            try:
                total += sum(processes.cpu_times(pid)[:2])
            except OSError:
                pass  # it has just ended; the next call counts it among the ended backends
        return total


def psql(url, arguments, rows=None):
    """Runs psql, with `rows` (lines, or None) as its standard input, and returns its output."""
    command = [program("psql"), "--no-psqlrc", "--quiet", "--no-align", "--tuples-only",
               "--set", "ON_ERROR_STOP=1", *arguments, url]
    given = subprocess.PIPE if rows is not None else subprocess.DEVNULL
    with subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, text=True) as running:
        if rows is not None:
            running.stdin.writelines(rows)
            running.stdin.close()
        printed = running.stdout.read()
    if running.returncode != 0:
        raise RuntimeError(f"psql ended with code {running.returncode}")
    return printed.strip()


def program(name):
    """The path of a program of PostgreSQL: the newest of Debian, or else the one in PATH."""
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")]))
    if not found:
        raise RuntimeError(f"no {name} on this machine")
    return found
