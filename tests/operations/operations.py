"""Code that the sections of this folder share: processes, PostgreSQL, PgBouncer, a load that records acknowledged
changes, a reader of events, and a webhook endpoint.
"""

import collections
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "clients"))

from support import Server, Unavailable, equal, free_port, end_on_signal, wait_for

GITPOD = "gitpod.v1.OrganizationService"
EVENTS = "guestlist.v1.EventService"
NO_LIMITS = {
    f"GUESTLIST_LIMITS__{name}": "0"
    for name in ("ORGANIZATIONS_PER_ACCOUNT", "INVITES_PER_ACCOUNT", "INVITES_PER_ORGANIZATION", "JOINS_PER_ACCOUNT")
}

for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, end_on_signal)


# Programs


def program(name, package):
    """The path of a program. If it is missing, root installs Debian's package."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    if not shutil.which(name, path=path):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise Unavailable(f"no {name}: install Debian's {package}")
        # A package must not start its service here.
        policy = pathlib.Path("/usr/sbin/policy-rc.d")
        had_policy = policy.exists()
        if not had_policy:
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
        try:
            for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
                done = subprocess.run(["apt-get", *command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                      env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, timeout=600)
                if done.returncode != 0:
                    raise Unavailable(f"apt-get {' '.join(command)}: {done.stderr[-300:]}")
        finally:
            if not had_policy:
                policy.unlink()
    found = shutil.which(name, path=path)
    if not found:
        raise Unavailable(f"the package {package} has no {name}")
    return found


def unprivileged(sign="TERM"):
    """The first words of a command that must not run as root. The program gets the signal `sign` if this one ends."""
    command = ["setpriv", "--pdeathsig", sign]
    if os.geteuid() == 0:
        name = "postgres" if subprocess.run(["id", "-u", "postgres"], capture_output=True).returncode == 0 else "nobody"
        group = subprocess.run(["id", "-gn", name], capture_output=True, text=True, check=True).stdout.strip()
        command += ["--reuid", name, "--regid", group, "--clear-groups"]
    return command


def folder():
    """A new folder that unprivileged programs may write to."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="guestlist-operations-"))
    path.chmod(0o777)
    return path


def accepts(port):
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A process that a test starts, and ends by its id."""

    def __init__(self, command, log, **options):
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=out, **options
            )

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


# PostgreSQL


def debian_postgres():
    """The folder of PostgreSQL's programs."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if not found:
        raise Unavailable("no programs of PostgreSQL in /usr/lib/postgresql")
    return found[-1]


def sql(url, statement, seconds=20):
    """Runs a statement with psql and returns its rows as text."""
    psql = shutil.which("psql") or str(debian_postgres() / "psql")
    done = subprocess.run(
        [psql, "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1",
         "--command", statement, url],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
    )
    if done.returncode != 0:
        raise RuntimeError(f"psql: {done.stderr.strip()}")
    return done.stdout.splitlines()


class Postgres:
    """A PostgreSQL server on its own port. With `copy_of` it is a streaming standby of that server."""

    def __init__(self, bin=None, copy_of=None, settings=(), name="one"):
        self.bin = pathlib.Path(bin or debian_postgres())
        self.folder, self.port, self.name = folder(), free_port(), name
        self.data, self.log = self.folder / "data", self.folder / "log"
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        self.process = None
        if copy_of:
            self._run("pg_basebackup", "--pgdata", self.data, "--write-recovery-conf", "--checkpoint", "fast",
                      "--dbname", f"host=127.0.0.1 port={copy_of.port} user=postgres application_name={name}")
        else:
            self._run("initdb", "--pgdata", self.data, "--username", "postgres", "--auth", "trust",
                      "--encoding", "UTF8", "--locale", "C", "--no-sync")
        self.start(*settings)

    def _run(self, name, *arguments):
        command = [*unprivileged("QUIT"), self.bin / name, *arguments]
        done = subprocess.run(list(map(str, command)), cwd=self.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stderr[-600:]}")
        return done.stdout

    def start(self, *settings):
        options = [part for one in settings for part in ("-c", one)]
        self.process = Process(
            [*unprivileged("QUIT"), self.bin / "postgres", "-D", self.data, "-p", self.port,
             "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=" + str(self.folder),
             "-c", "shared_buffers=32MB", "-c", "max_connections=100", *options],
            self.log, cwd=self.folder,
        )
        try:
            wait_for(self.is_up, 60)
        except AssertionError:
            raise RuntimeError(f"PostgreSQL does not start: {self.log.read_text()[-800:]}") from None

    def is_up(self):
        if self.process.process.poll() is not None:
            raise RuntimeError(f"PostgreSQL has ended: {self.log.read_text()[-800:]}")
        pid = self.data / "postmaster.pid"
        lines = pid.read_text().splitlines() if pid.exists() else []
        return len(lines) > 7 and lines[7].strip() in ("ready", "standby")

    def kill(self):
        """Ends the server without a shutdown, as a power failure does. Its child processes end by themselves."""
        self.process.process.kill()
        self.process.process.wait()

    def promote(self):
        self._run("pg_ctl", "promote", "--pgdata", self.data, "--no-wait")

    def close(self):
        if self.process:
            self.process.end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


# PgBouncer


class Pooler:
    """PgBouncer in front of a PostgreSQL server, for all its databases. It keeps up to `kept` prepared statements."""

    def __init__(self, port, mode="transaction", size=4, kept=0):
        self.program = os.environ.get("GUESTLIST_TEST_PGBOUNCER") or program("pgbouncer", "pgbouncer")
        self.folder, self.port, self.target, self.size = folder(), free_port(), port, size
        # PgBouncer before 1.21 does not know the setting.
        self.more = f"max_prepared_statements = {kept}\n" if self.version() >= (1, 21) else ""
        self.write(mode)
        self.process = Process([*unprivileged(), self.program, self.folder / "ini"], self.folder / "out")
        wait_for(lambda: accepts(self.port), 20)

    def write(self, mode):
        (self.folder / "ini").write_text(
            "[databases]\n"
            f"* = host=127.0.0.1 port={self.target} user=postgres\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = {mode}\ndefault_pool_size = {self.size}\nmax_client_conn = 300\n"
            f"logfile = {self.folder}/log\nadmin_users = postgres\n{self.more}"
        )

    def change_mode(self, mode):
        self.write(mode)
        self.process.process.send_signal(signal.SIGHUP)

    def url(self, database):
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def version(self):
        said = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout
        return tuple(map(int, said.split()[1].split(".")[:2]))

    def close(self):
        self.process.end(signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)


# Load


def is_ready(address):
    """Whether `/readyz` returns 200."""
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


class Caller:
    """A client with one connection, which it opens again after the connection has ended."""

    def __init__(self, address, timeout=15):
        self.address, self.timeout, self.connection = address, timeout, None

    def __call__(self, method, key, **message):
        """Returns the HTTP status and the answer, or 0 and the error if there is no answer."""
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        for is_last in (False, True):
            is_new = self.connection is None
            if is_new:
                self.connection = http.client.HTTPConnection(self.address, timeout=self.timeout)
            try:
                self.connection.request("POST", f"/{method}", json.dumps(message), headers)
                answer = self.connection.getresponse()
                return answer.status, json.loads(answer.read() or b"{}")
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.connection.close()
                self.connection = None
                # The request is sent again only if the server has closed an idle connection.
                if is_new or is_last or not isinstance(error, http.client.RemoteDisconnected):
                    return 0, {"code": type(error).__name__, "message": str(error)}
        raise AssertionError("the loop has returned")


class Load:
    """Clients that create organizations and join them until the end of the load. Acknowledged changes are recorded."""

    def __init__(self, addresses, keys, clients=6):
        self.addresses, self.keys = addresses, keys
        self.codes, self.samples = collections.Counter(), {}
        self.created, self.joined = set(), set()
        self.answered = []  # when changes were acknowledged
        self.lock, self.is_over = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self._client, args=(i,), daemon=True) for i in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join(timeout=60)

    def run(self, seconds):
        with self:
            time.sleep(seconds)
        return self

    def _client(self, number):
        call = Caller(self.addresses[number % len(self.addresses)])
        mine, other = self.keys[number % len(self.keys)], self.keys[(number + 1) % len(self.keys)]

        def ask(method, key=mine, **message):
            status, answer = call(method, key, **message)
            with self.lock:
                code = "ok" if status == 200 else f"{status} {answer.get('code', '')}"
                self.codes[code] += 1
                if status != 200:
                    self.samples.setdefault(code, answer.get("message", ""))
            if status != 200:
                time.sleep(0.02)
            return answer if status == 200 else None

        while not self.is_over.is_set():
            made = ask(f"{GITPOD}/CreateOrganization", name=f"Load {number}", join_organization=True)
            if not made:
                continue
            organization = made["organization"]["id"]
            with self.lock:
                self.created.add(organization)
                self.answered.append(time.monotonic())
            link = ask(f"{GITPOD}/CreateOrganizationInvite", organization_id=organization)
            if link:
                token = link["invite"]["inviteId"]
                ask(f"{GITPOD}/GetOrganizationInviteSummary", other, invite_id=token)
                member = ask(f"{GITPOD}/JoinOrganization", other, invite_id=token)
                if member:
                    with self.lock:
                        self.joined.add(member["member"]["userId"])
                    ask(f"{GITPOD}/GetOrganization", other, organization_id=organization)
            ask(f"{GITPOD}/ListMembers", organization_id=organization)
            ask(f"{GITPOD}/UpdateOrganization", organization_id=organization, name=f"Load {number} again")
            ask("guestlist.v1.OrganizationService/ListMyOrganizations")

    def check_no_internal(self):
        """Checks that every answer is a success or UNAVAILABLE."""
        wrong = {code: self.samples[code] for code in self.codes if code not in ("ok", "503 unavailable")}
        assert not wrong, f"{wrong} among {dict(self.codes)}"
        assert self.codes["ok"] > 0, f"no call succeeded: {dict(self.codes)} {self.samples}"

    def check_all_ok(self):
        self.check_no_internal()
        equal(self.codes["503 unavailable"], 0, f"UNAVAILABLE ({self.samples})")

    def check_kept(self, url):
        """Checks that each acknowledged change is in the database."""
        organizations = set(sql(url, "SELECT id FROM organizations"))
        members = set(sql(url, "SELECT id FROM members"))
        equal(len(self.created - organizations), 0, f"lost of {len(self.created)} organizations")
        equal(len(self.joined - members), 0, f"lost of {len(self.joined)} members")
        assert self.created and self.joined, "no organization or no member was created"


class Feed:
    """A client that reads all events and keeps its cursor."""

    def __init__(self, address, key, url):
        self.call, self.key, self.cursor = Caller(address), key, None
        self.before = set(sql(url, "SELECT id FROM audit_events"))
        self.events, self.refused = [], collections.Counter()
        self.is_over = threading.Event()
        assert self._read(), f"the feed cannot be read: {self.refused}"
        self.thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join(timeout=60)

    def _read(self, **more):
        if self.cursor:
            more["cursor"] = self.cursor
        status, answer = self.call(f"{EVENTS}/ListEvents", self.key, limit=1000, **more)
        if status != 200:
            self.refused[f"{status} {answer.get('code', '')}"] += 1
            time.sleep(0.1)
            return None
        self.cursor = answer["cursor"]
        self.events += answer.get("events", [])
        return answer

    def _follow(self):
        while not self.is_over.is_set():
            self._read(wait="1s")

    def settle(self, load, seconds=30):
        """Waits until the reader has the event of each acknowledged change."""
        def missing():
            events = self.events[:]
            made = {one["organizationId"] for one in events if one["type"] == "organization.created"}
            joined = {one["member"]["memberId"] for one in events if one["type"] == "member.joined"}
            return (load.created - made) | (load.joined - joined)

        try:
            wait_for(lambda: not missing(), seconds)
        except AssertionError:
            raise AssertionError(f"{len(missing())} changes have no event in the feed; {dict(self.refused)}") from None

    def check(self, url):
        """Checks that the reader has each event of the database once, and those of each organization in their order. Waits
        for the last events: readers get an event after all transactions that began before its own have ended."""
        known = set(sql(url, "SELECT id FROM audit_events")) - self.before
        with contextlib.suppress(AssertionError):
            wait_for(lambda: known <= {one["id"] for one in self.events[:]}, 30)
        ids = [one["id"] for one in self.events]
        equal(len(ids), len(set(ids)), "events, each once")
        assert not {code for code in self.refused if not code.startswith("503 ")}, dict(self.refused)
        versions = collections.defaultdict(list)
        for one in self.events:
            if one.get("organizationId"):
                versions[one["organizationId"]].append(int(one["organizationVersion"]))
        for organization, seen in versions.items():
            equal(seen, sorted(seen), f"versions of {organization}")
        equal(len(known - set(ids)), 0, f"events that the reader does not have, of {len(known)}")
        equal(len(set(ids) - known), 0, "events that the database does not have")


class Receiver:
    """A webhook endpoint that records the ids of the events that it accepts. It rejects a share of the events, each
    once: with status 500, or by closing the connection."""

    def __init__(self, refusing=0.0):
        self.accepted, self.refused, self.requests = set(), set(), 0
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                event = self.headers["webhook-id"]
                receiver.requests += 1
                if event not in receiver.refused and random.random() < refusing:
                    receiver.refused.add(event)
                    if random.random() < 0.5:
                        self.close_connection = True
                        return
                    self.send_response(500)
                else:
                    receiver.accepted.add(event)
                    self.send_response(204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            def handle_error(self, *details):
                # Not an error: a killed server resets its connections.
                if not isinstance(sys.exc_info()[1], ConnectionError):
                    super().handle_error(*details)

        self.server = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def make_keys(server, number):
    return [server.key(f"person-{i}@example.com") for i in range(number)]


def events_key(server):
    key = server.command("keys", "create", "--service", "--name", "consumer", "--scope", "events").strip()
    return server.secret(key)
