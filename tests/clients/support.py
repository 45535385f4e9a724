"""Code that the client sections share: tools, a new server for each engine, and steps that print their result.

A section is an executable file in this folder. It prints one line for each step, `ok NAME`,
`not ok NAME # reason` or `skip NAME # reason`; tests/run counts these lines. A section also runs alone:
`GUESTLIST_TEST_POSTGRES_URL=... tests/clients/curl`.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BINARY = os.environ.get("GUESTLIST_BIN", str(ROOT / "target/debug/guestlist"))
POSTGRES = os.environ.get("GUESTLIST_TEST_POSTGRES_URL")
CACHE = pathlib.Path.home() / ".cache/guestlist"
SECTION = pathlib.Path(sys.argv[0]).name


class Unavailable(Exception):
    """This machine lacks something that the section needs; the section is skipped with this reason."""


# Steps


def one_line(error):
    text = str(error) or type(error).__name__
    return " ".join(text.split())[:600]


class Steps:
    """`with step("name"):` prints `ok`, or `not ok` with the exception; the section continues in both cases."""

    def __init__(self, label):
        self.label = label

    @contextlib.contextmanager
    def __call__(self, name):
        try:
            yield
        except NameError as error:  # an earlier step failed before it set this variable
            print(f"not ok {self.label}: {name} # an earlier step failed ({one_line(error)})", flush=True)
        except Exception as error:
            print(f"not ok {self.label}: {name} # {type(error).__name__}: {one_line(error)}", flush=True)
        else:
            print(f"ok {self.label}: {name}", flush=True)


def equal(got, expected, label="value"):
    assert got == expected, f"{label}: got {got!r}, expected {expected!r}"


def wait_for(condition, seconds=25):
    """Waits until `condition()` returns a true value, and returns that value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError("the condition was not met in time")


def run_story(story, prepare=lambda: None, engines=("sqlite", "postgres"), settings=lambda prepared: {}):
    """Runs `story(step, server, prepared)` for each engine, against a new server with these settings."""
    try:
        prepared = prepare()
    except Unavailable as reason:
        print(f"skip {SECTION} # {one_line(reason)}", flush=True)
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_on_signal)
    for engine in engines:
        step = Steps(engine)
        try:
            with Server(engine, settings(prepared)) as server:
                story(step, server, prepared)
                with step("the server ends on SIGTERM with code 0"):
                    equal(server.stop(), 0, "exit code")
                with step("the server's log contains no key and no token"):
                    leaked = [secret for secret in server.secrets if secret in server.log()]
                    equal(len(leaked), 0, "secrets in the log")
        except Unavailable as reason:
            print(f"skip {engine}: {SECTION} # {one_line(reason)}", flush=True)
        except Exception as error:
            print(f"not ok {engine}: the story # {type(error).__name__}: {one_line(error)}", flush=True)


def end_on_signal(*_):
    """Signal handler: ends the section and its server. The signal may come twice, from a terminal and `timeout`."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit("ended by a signal")


# The server


def free_port():
    """A free port below the kernel's range for outgoing connections."""
    while True:
        port = random.randint(20000, 32000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Server:
    """One server process. It has its own database, unless the settings name one."""

    def __init__(self, engine, settings=None):
        self.engine = engine
        self.settings = settings or {}
        self.listen = "127.0.0.1:0"
        self.database = None
        self.secrets = set()
        self.process = None

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="guestlist-clients-"))
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("GUESTLIST_", "OTEL_"))}
        self.env["GUESTLIST_DATA_DIR"] = str(self.dir / "data")
        self.env.update(self.settings)
        try:
            if self.engine == "postgres":
                if "GUESTLIST_DATABASE_URL" not in self.settings:
                    self.env["GUESTLIST_DATABASE_URL"] = self._create_database()
                self.env.setdefault("GUESTLIST_SECRET_KEY", secrets.token_hex(32))
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.database:
            psql(f'DROP DATABASE "{self.database}" WITH (FORCE)')
        shutil.rmtree(self.dir, ignore_errors=True)

    def _create_database(self):
        if not POSTGRES:
            raise Unavailable("no PostgreSQL: GUESTLIST_TEST_POSTGRES_URL is not set")
        self.database = f"guestlist_{SECTION.replace('-', '_')}_{secrets.token_hex(4)}"
        psql(f'CREATE DATABASE "{self.database}"')
        return urllib.parse.urlsplit(POSTGRES)._replace(path="/" + self.database).geturl()

    def _start(self):
        with open(self.dir / "stdout", "wb") as out, open(self.dir / "stderr", "wb") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--listen", self.listen],
                stdin=subprocess.DEVNULL, stdout=out, stderr=log, env=self.env, cwd=self.dir,
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            announcement = re.search(r"listening on (https?://(\S+))", (self.dir / "stdout").read_text())
            if announcement:
                self.url, self.address = announcement.groups()
                return
            time.sleep(0.02)
        raise RuntimeError(f"the server did not become ready: {self.log()[-2000:]}")

    def log(self):
        return (self.dir / "stdout").read_text() + (self.dir / "stderr").read_text()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def command(self, *arguments):
        """Runs another `guestlist` command on the same database; returns its standard output."""
        done = subprocess.run(
            [BINARY, *arguments], env=self.env, cwd=self.dir,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )
        if done.returncode != 0:
            raise RuntimeError(f"guestlist {' '.join(arguments)}: code {done.returncode}: {done.stderr}")
        return done.stdout

    def key(self, email, *options):
        """Creates an API key for the account with this address."""
        key = self.command("keys", "create", "--email", email, *options).strip()
        assert re.fullmatch(r"gl_[0-9a-f]{16}_[0-9a-f]{64}", key), f"`keys create` printed {key!r}"
        return self.secret(key)

    def call(self, method, key=None, **message):
        """Makes a Connect call in JSON; returns the HTTP status and the response."""
        headers = {"content-type": "application/json"}
        if key:
            headers["authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.url}/{method}", json.dumps(message).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def secret(self, text):
        """Records a key or token that must not appear in the log; returns it."""
        self.secrets.add(text)
        return text


def psql_program():
    folders = [os.environ.get("PATH", ""), *map(str, sorted(pathlib.Path("/").glob("usr/lib/postgresql/*/bin")))]
    program = shutil.which("psql", path=os.pathsep.join(folders))
    if not program:
        raise Unavailable("no psql to make a database with")
    return program


def psql(statement):
    subprocess.run(
        [psql_program(), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--command", statement, POSTGRES],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60,
    )


# Tools. The cache has a folder for each version of each tool.


def _install(*command, env=None, folder=None):
    try:
        subprocess.run(
            command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900,
            env={**os.environ, **(env or {})}, cwd=folder,
        )
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or str(error)
        raise Unavailable(f"{' '.join(command)}: {output[-400:]}") from None


def in_venv(requirements):
    """Continues in a virtual environment with exactly these requirements (a file of this folder).

    A section calls this first, before it imports the packages. Outside of that environment, this function
    replaces the process: the section runs again, inside of it.
    """
    text = (HERE / requirements).read_bytes()
    name = f"{pathlib.Path(requirements).stem}-{hashlib.sha256(text).hexdigest()[:12]}"
    venv = CACHE / f"venv-py{sys.version_info.major}.{sys.version_info.minor}-{name}"
    if pathlib.Path(sys.prefix) == venv:
        return
    complete = venv / "complete"
    try:
        if not complete.exists():
            shutil.rmtree(venv, ignore_errors=True)
            _install(sys.executable, "-m", "venv", str(venv))
            _install(str(venv / "bin/python"), "-m", "pip", "install", "-q", "--requirement", str(HERE / requirements))
            complete.touch()
    except Unavailable as reason:
        print(f"skip {SECTION} # {one_line(reason)}", flush=True)
        sys.exit()
    os.execv(venv / "bin/python", [str(venv / "bin/python"), *sys.argv])


def node_packages(lock):
    """The folder with exactly the npm packages of a lock file of this folder. The lock file has no download URLs."""
    text = (HERE / lock).read_bytes()
    folder = CACHE / f"npm-{lock.split('.')[0]}-{hashlib.sha256(text).hexdigest()[:12]}"
    complete = folder / "complete"
    if not complete.exists():
        if not shutil.which("npm"):
            raise Unavailable("no npm to install packages with")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        dependencies = json.loads(text)["packages"][""]["dependencies"]
        (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": dependencies}))
        (folder / "package-lock.json").write_bytes(text)
        _install("npm", "ci", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund")
        complete.touch()
    return folder


def go_program(package, version):
    """The path of a program that Go builds from its module at this version."""
    name = package.rsplit("/", 1)[1]
    folder = CACHE / f"{name}-{version}"
    program = folder / name
    if not program.exists():
        if not shutil.which("go"):
            raise Unavailable(f"no Go to build {name} with")
        _install("go", "install", f"{package}@{version}", env={"GOBIN": str(folder)})
    return str(program)


def cargo_programs(*packages):
    """The folder of the programs that cargo builds from these packages (NAME@VERSION) and their lock files."""
    folder = CACHE / "-".join(packages).replace("@", "-")
    complete = folder / "complete"
    if not complete.exists():
        if not shutil.which("cargo"):
            raise Unavailable(f"no cargo to build {packages[0]} with")
        shutil.rmtree(folder, ignore_errors=True)
        # One target folder for all packages: they share their dependencies.
        target = folder / "target"
        _install("cargo", "install", "--quiet", "--debug", "--locked", "--root", str(folder), *packages,
                 env={"CARGO_TARGET_DIR": str(target), "CARGO_PROFILE_DEV_DEBUG": "false"})
        shutil.rmtree(target)
        complete.touch()
    return folder / "bin"


def grpcurl():
    return go_program("github.com/fullstorydev/grpcurl/cmd/grpcurl", "v1.9.3")


def go_program_with_modules(package, modules):
    """Like go_program, for a module that does not state the versions of its dependencies: `modules`.mod here does."""
    texts = {suffix: (HERE / f"{modules}.{suffix}").read_bytes() for suffix in ("mod", "sum")}
    name = package.rsplit("/", 1)[1]
    folder = CACHE / f"{name}-{hashlib.sha256(texts['mod'] + texts['sum']).hexdigest()[:12]}"
    program = folder / name
    if not program.exists():
        if not shutil.which("go"):
            raise Unavailable(f"no Go to build {name} with")
        folder.mkdir(parents=True, exist_ok=True)
        for suffix, text in texts.items():
            (folder / f"go.{suffix}").write_bytes(text)
        _install("go", "-C", str(folder), "build", "-o", name, package)
    return str(program)


def go_program_from_source(folder, modules, *options):
    """The path of a program that Go builds from the subfolder `folder`, with the versions that its `modules`.mod states."""
    folder = HERE / folder
    sources = sorted(folder.glob("*.go"))
    files = {**{file.name: file for file in sources},
             **{f"go.{suffix}": folder / f"{modules}.{suffix}" for suffix in ("mod", "sum")}}
    text = b"".join(file.read_bytes() for file in files.values())
    target = CACHE / f"{folder.name}-{modules}-{hashlib.sha256(text).hexdigest()[:12]}"
    program = target / folder.name
    if not program.exists():
        if not shutil.which("go"):
            raise Unavailable(f"no Go to build {folder.name} with")
        target.mkdir(parents=True, exist_ok=True)
        for name, file in files.items():
            (target / name).write_bytes(file.read_bytes())
        _install("go", "-C", str(target), "build", "-o", folder.name, *options)
    return str(program)


def debian_programs(package):
    """The folder `usr/bin` of a Debian package. The package is unpacked and not installed: no service starts."""
    folder = CACHE / f"debian-{package}"
    complete = folder / "complete"
    if not complete.exists():
        for program in ("apt-get", "dpkg-deb"):
            if not shutil.which(program):
                raise Unavailable(f"no {program} to get {package} with")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            _install("apt-get", "download", "-qq", package, folder=folder)
        except Unavailable:  # no list of packages yet, or an old one
            _install("apt-get", "update", "-qq")
            _install("apt-get", "download", "-qq", package, folder=folder)
        [file] = folder.glob("*.deb")
        _install("dpkg-deb", "--extract", str(file), str(folder))
        file.unlink()
        complete.touch()
    return folder / "usr/bin"


def curl():
    program = shutil.which("curl")
    if not program:
        raise Unavailable("no curl on this machine")
    return program
