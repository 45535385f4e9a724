"""R5: the server's CPU for a call, against peers that do the same on the same engine."""

from harness import calls, peers
from harness.measure import Candidate, rounds, say
from harness.table import at_most, line, table

TITLE = "R5: CPU of a call, against peers"

# The largest share of a peer's CPU that Guestlist may take.
BARS = {"connect-go": 1 / 2, "better-auth": 1 / 20}


def measure(run):
    parts = []
    for engine in ("sqlite", "postgres"):
        lines, left_out = on(run, engine)
        parts.append(table(lines))
        if left_out:
            parts.append("Left out: " + "; ".join(f"{name}, for {why}" for name, why in left_out.items()) + ".")
    return "\n\n".join(parts)


def on(run, engine):
    database = run.postgres if engine == "postgres" else None
    store = run.store(engine).copy("r5")
    server, headers = store.serve(), store.authorization()
    summary = calls.summary(calls.tokens(run.shape)[-1], headers)
    create = calls.create(calls.organizations(run.shape), headers)
    ours = (Candidate("Guestlist", server, summary, database=database, metrics=True),
            Candidate("Guestlist", server, create, database=database, count=store.count, metrics=True))

    theirs, left_out = peers.candidates(run, engine, store.key)
    lines = []
    for i, call in enumerate(("Summary", "CreateOrganizationInvite")):
        say(f"{call}, {engine}")
        measured = rounds(run, [ours[i], *(pair[i] for pair in theirs.values())])
        lines += compared(measured, f"{call}, {engine}")
    return lines, left_out


def compared(measured, what):
    """The lines of a call; the ratio is Guestlist's CPU divided by the peer's."""
    own = measured.pop("Guestlist")
    yield line(f"Guestlist, {what}", own)
    for name, theirs in measured.items():
        ratio, bar = at_most(own.cpu / theirs.cpu, BARS.get(name, 1))
        yield line(f"{name}, {what}", theirs, f"{ratio} of its CPU", bar if name in BARS else "")
