"""Memory of connections that are open and idle: HTTP/1.1, HTTP/2 and HTTP/2 over TLS."""

import contextlib
import resource
import socket
import ssl
import subprocess
import time

from harness.measure import say
from harness.table import markdown

TITLE = "Memory of open and idle connections"

CONNECTIONS = 10_000
BAR = 12  # KiB, the most that an HTTP/2 connection may take
REQUEST = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
ACKNOWLEDGE = bytes.fromhex("000000040100000000")


def measure(run):
    number = 200 if run.smoke else CONNECTIONS
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the servers inherit it
    certificate = make_certificate(run.scratch)
    echo = run.reference("echo")
    lines = []
    for name, kind, server in (
        ("Guestlist, HTTP/1.1", "http1", serve(run, "idle-1")),
        ("Guestlist, HTTP/2", "http2", serve(run, "idle-2")),
        ("bare tonic, HTTP/2", "http2", echo),
        ("Guestlist, HTTP/2 over TLS", "tls", serve(run, "idle-3", certificate)),
    ):
        each = memory(server, kind, number) / 1024
        bar = "" if kind != "http2" or server is echo else f"≤ {BAR} KiB: {'met' if each <= BAR else '**missed**'}"
        say(f"  {name}: {each:.1f} KiB")
        lines.append([name, f"{number:,}", f"{each:.1f} KiB", bar])
    return markdown(["", "connections", "resident, each", "bar"], lines)


def serve(run, name, certificate=None):
    store = run.store("sqlite").copy(name)
    store.environment |= {"GUESTLIST_HTTP__MAX_CONNECTIONS": "20000", "GUESTLIST_HTTP__MAX_CONNECTIONS_PER_NETWORK": "0"}
    if certificate:
        store.environment |= {"GUESTLIST_TLS__CERTIFICATE_FILE": str(certificate[0]), "GUESTLIST_TLS__KEY_FILE": str(certificate[1])}
    return store.serve()


def memory(server, kind, number):
    """Bytes for each connection. A first tenth is not counted, because it grows buffers and tables of the process."""
    with contextlib.ExitStack() as open_ones:
        connect(open_ones, server.address, kind, number // 10)
        before = settled(server)
        connect(open_ones, server.address, kind, number)
        return (settled(server) - before) / number


def settled(server):
    """The resident bytes, once two readings in a row are the same."""
    last = None
    while (now := server.resident()) != last:
        last = now
        time.sleep(1)
    return now


def connect(open_ones, address, kind, number):
    host, port = address.rsplit(":", 1)
    for _ in range(number):
        one = socket.create_connection((host, int(port)), timeout=30)
        if kind == "tls":
            context = ssl._create_unverified_context()
            context.set_alpn_protocols(["h2"])
            one = context.wrap_socket(one, server_hostname="localhost")
        open_ones.callback(one.close)
        if kind == "http1":
            one.sendall(REQUEST)
            assert one.recv(4096).startswith(b"HTTP/1.1 200"), "the answer is not 200"
        else:
            one.sendall(PREFACE)
            assert len(one.recv(4096)) >= 9, "the server sent no settings"
            one.sendall(ACKNOWLEDGE)


def make_certificate(directory):
    certificate, key = directory / "idle.crt", directory / "idle.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-out", certificate, "-keyout", key],
        check=True, capture_output=True,
    )
    return certificate, key
