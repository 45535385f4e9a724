"""Code that the builds of the peers share: each peer is built in a cache folder, named by a hash of its files."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
PROTO = ROOT / "proto"
CODE_GENERATORS = "web.lock.json"  # buf and protoc-gen-es, in the versions of tests/clients
sys.path.insert(0, str(ROOT / "tests/clients"))

import support  # noqa: E402


def build(name, shared, make, command):
    """Builds a peer from its and the `shared` files, unless the cache has it, and prints the command that starts it."""
    own = sorted(path for path in (HERE / name).rglob("*") if path.is_file() and path.name != "build")
    files = {path.relative_to(HERE / name): path for path in own} | {pathlib.Path(path.name): path for path in shared}
    inputs = [*files.values(), HERE / name / "build", HERE / "peer.py", ROOT / "tests/clients" / CODE_GENERATORS]
    inputs += sorted(PROTO.rglob("*.proto"))
    digest = hashlib.sha256(node_version())  # SQLite is compiled for this version of Node
    for path in inputs:
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    folder = support.CACHE / f"bench-{name}-{digest.hexdigest()[:12]}"
    with alone(name):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            for path, source in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / path)
            try:
                make(folder)
            except (support.Unavailable, OSError, subprocess.SubprocessError) as why:
                sys.exit(f"{name} cannot be built here: {support.one_line(why)}")
            (folder / "complete").touch()
    print(json.dumps([str(part) for part in command(folder)]))


@contextlib.contextmanager
def alone(name):
    """A lock for one build of a peer at a time: another build would delete the folder that this one uses."""
    support.CACHE.mkdir(parents=True, exist_ok=True)
    with open(support.CACHE / f"bench-{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(*command, cwd, env=None):
    """Runs a program with its output on standard error, because standard output ends with the command."""
    subprocess.run(command, check=True, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def generate(folder, plugins, path=None):
    """Generates code for gitpod.v1 with these plugins of buf, which are programs in `path`."""
    programs = support.node_packages(CODE_GENERATORS) / "node_modules/.bin"
    template = {"version": "v2", "plugins": [{"out": str(folder / "gen"), **plugin} for plugin in plugins]}
    path = os.pathsep.join(map(str, [path or programs, os.environ["PATH"]]))
    command = [programs / "buf", "generate", PROTO, "--path", PROTO / "gitpod", "--template", json.dumps(template)]
    run(*command, cwd=folder, env={"PATH": path})


def node_packages(folder):
    """Installs the packages of the folder's lock file. Only SQLite is compiled; no scripts of other packages run."""
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
    run("npm", "rebuild", "better-sqlite3", "--build-from-source", cwd=folder, env=node_headers())


def node_version():
    node = shutil.which("node")
    return subprocess.run([node, "--version"], check=True, capture_output=True).stdout if node else b""


def node_command(folder):
    return ["env", "NODE_ENV=production", "node", folder / "main.js"]


def node_headers():
    """The environment that names the headers installed with Node; otherwise node-gyp would download them."""
    node = shutil.which("node")
    prefix = pathlib.Path(node).resolve().parent.parent if node else None
    return {"npm_config_nodedir": str(prefix)} if prefix and (prefix / "include/node/node.h").exists() else {}
