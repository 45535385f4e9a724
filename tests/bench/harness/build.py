"""Builds the programs to measure: Guestlist with the profile `dist`, the others in release mode."""

import json
import os
import pathlib
import subprocess

from harness.host import ROOT

BENCH = ROOT / "tests/bench"
CACHE = pathlib.Path.home() / ".cache/guestlist"


def guestlist():
    """Builds the program as it is released, and returns its path."""
    cargo("build", "--profile", "dist", "--locked", "--manifest-path", ROOT / "Cargo.toml")
    return target(ROOT / "target") / "dist/guestlist"


def references():
    """Builds the program that contains all references, and returns its path."""
    folder = target(CACHE / "bench-references")
    cargo("build", "--release", "--locked", "--manifest-path", BENCH / "references/Cargo.toml", "--target-dir", folder)
    return folder / "release/reference"


class PeerUnavailable(Exception):
    """A peer cannot be built here; the message is the reason."""


def peer(name):
    """Builds a peer and returns the command that starts it, which is the last line that its build prints."""
    script = BENCH / "peers" / name / "build"
    if not script.exists():
        raise PeerUnavailable("there is no such peer here")
    built = subprocess.run([script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    lines = built.stdout.strip().splitlines()
    if built.returncode != 0 or not lines:
        raise PeerUnavailable(f"its build ended with code {built.returncode}")
    return json.loads(lines[-1])


def cargo(*arguments):
    subprocess.run(["cargo", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)


def target(otherwise):
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", otherwise)).absolute()
