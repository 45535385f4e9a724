"""R2: CreateOrganizationInvite on SQLite against the same statements through sqlx, one transaction for each call."""

from harness import calls
from harness.measure import Candidate, rounds
from harness.table import at_least, at_most, line, table

TITLE = "R2: CreateOrganizationInvite on SQLite, against the same statements through sqlx"


def measure(run):
    ours, theirs = (run.store("sqlite").copy(name) for name in ("r2-guestlist", "r2-sqlx"))
    servers = ours.serve(), run.reference("sqlite-sqlx", theirs)
    organizations, headers = calls.organizations(run.shape), ours.authorization()

    def both(what, load):
        return rounds(run, [
            Candidate(f"Guestlist, {what}", servers[0], load, count=ours.count, metrics=True),
            Candidate(f"sqlx, {what}", servers[1], load, count=theirs.count),
        ])

    busy = both("256 in flight", calls.create_in_eight(organizations, headers))
    alone = both("one in flight", calls.create_alone(organizations[-1], headers))
    return table([
        *compared(busy, lambda ours, theirs: at_least(ours.rate / theirs.rate, 12)),
        *compared(alone, lambda ours, theirs: of_p50(at_most(ours.p50 / theirs.p50, 0.70))),
    ])


def of_p50(compared):
    ratio, bar = compared
    return f"{ratio} of p50", bar


def compared(measured, judge):
    (our_name, ours), (their_name, theirs) = measured.items()
    return line(our_name, ours, *judge(ours, theirs)), line(their_name, theirs, "1")
