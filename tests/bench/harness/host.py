"""The machine, and the tools that must be on it."""

import os
import pathlib
import platform
import re
import shutil
import subprocess
import time

from harness import postgres

ROOT = postgres.ROOT


def install_tools():
    """Installs h2load if it is missing (as root on Debian). tests/postgres installs PostgreSQL."""
    if shutil.which("h2load"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise RuntimeError("no h2load on this machine: install Debian's nghttp2-client")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"],
                    ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "nghttp2-client"]):
        subprocess.run(command, env=environment, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def line(scratch):
    """The machine, the versions and the commit, so that readers on other machines understand the figures."""
    memory = re.search(r"MemTotal:\s+(\d+)", read("/proc/meminfo"))
    model = re.search(r"model name\s*:\s*(.+)", read("/proc/cpuinfo"))
    facts = [
        f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores",
        f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "",
        f"Linux {platform.release()}",
        f"{said('findmnt', '--noheadings', '--output', 'FSTYPE', '--target', str(scratch))}, "
        f"fdatasync {sync_time(scratch) * 1e3:.2f} ms",
        said("rustc", "--version"),
        said("h2load", "--version"),
        said(postgres.program("postgres"), "--version") if has_postgres() else "",
        said("go", "version"),
        f"Node {said('node', '--version')}" if shutil.which("node") else "",
        f"commit {commit()}",
        time.strftime("%Y-%m-%d", time.gmtime()),
    ]
    return "; ".join(fact for fact in facts if fact)


class Steal:
    """The share of CPU time that the hypervisor gave to other machines since this was created, from /proc/stat."""

    def __init__(self):
        self.before = self.times()

    @staticmethod
    def times():
        return [int(ticks) for ticks in read("/proc/stat").splitlines()[0].split()[1:9]]

    def __str__(self):
        passed = [after - before for after, before in zip(self.times(), self.before)]
        return f"steal {100 * passed[7] / max(1, sum(passed)):.1f} %"


def sync_time(folder, times=101):
    """The median time, in seconds, that makes 4 KiB durable in this folder."""
    taken, path = [], pathlib.Path(folder) / "sync"
    with open(path, "wb", buffering=0) as file:
        for _ in range(times):
            file.write(bytes(4096))
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - begun)
    path.unlink()
    return sorted(taken)[times // 2]


def commit():
    changed = said("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
    return said("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD") + (" with changes" if changed else "")


def has_postgres():
    try:
        return bool(postgres.program("postgres"))
    except RuntimeError:
        return False


def said(*command):
    """The output of a program, or an empty text if the program is missing or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def read(path):
    with open(path) as file:
        return file.read()
