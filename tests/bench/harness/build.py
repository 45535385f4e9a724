"""Everything that is measured: Guestlist with the profile `dist`, the rest in release mode."""

import json
import os
import pathlib
import subprocess

from harness.host import ROOT

BENCH = ROOT / "tests/bench"
CACHE = pathlib.Path.home() / ".cache/guestlist"


def guestlist():
    """The path of the program as it is shipped."""
    cargo("build", "--profile", "dist", "--locked", "--manifest-path", ROOT / "Cargo.toml")
    return target(ROOT / "target") / "dist/guestlist"


def references():
    """The path of the program that all references are."""
    folder = target(CACHE / "bench-references")
    cargo("build", "--release", "--locked", "--manifest-path", BENCH / "references/Cargo.toml", "--target-dir", folder)
    return folder / "release/reference"


class LeftOut(Exception):
    """A peer that cannot be had here, and why."""


def peer(name):
    """The command that starts a peer: the last line that its own build prints."""
    script = BENCH / "peers" / name / "build"
    if not script.exists():
        raise LeftOut("there is no such peer here")
    built = subprocess.run([script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    lines = built.stdout.strip().splitlines()
    if built.returncode != 0 or not lines:
        raise LeftOut(f"its build ended with code {built.returncode}")
    return json.loads(lines[-1])


def cargo(*arguments):
    subprocess.run(["cargo", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)


def target(otherwise):
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", otherwise)).absolute()
