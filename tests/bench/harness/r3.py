"""R3: on PostgreSQL, Summary against the same select through sqlx, and CreateOrganizationInvite against pgbench."""

from harness import calls
from harness.measure import Candidate, rounds
from harness.pgbench import NoServer, Pgbench
from harness.table import at_least, line, table

TITLE = "R3: PostgreSQL, against sqlx alone and pgbench"


def measure(run):
    database = run.postgres
    ours, alone, by_pgbench = (run.store("postgres").copy(name) for name in ("r3-guestlist", "r3-sqlx", "r3-pgbench"))
    server, headers = ours.serve(), ours.authorization()
    organizations = calls.organizations(run.shape)

    summary = calls.summary(calls.tokens(run.shape)[-1], headers)
    read = rounds(run, [
        Candidate("Guestlist, Summary", server, summary, database=database, metrics=True),
        Candidate("sqlx alone, the same select", run.reference("postgres-sqlx", alone), summary, database=database),
    ])
    written = rounds(run, [
        Candidate("Guestlist, CreateOrganizationInvite", server, calls.create(organizations, headers),
                  database=database, count=ours.count, metrics=True),
        Pgbench("pgbench, the same statements", NoServer(), None, database=database, count=by_pgbench.count,
                store=by_pgbench),
    ])
    return table([*compared(read, 0.85), *compared(written, 1.3, 2)])


def compared(measured, bar, aim=None):
    (our_name, ours), (their_name, theirs) = measured.items()
    return line(our_name, ours, *at_least(ours.rate / theirs.rate, bar, aim)), line(their_name, theirs, "1")
