"""R1: GetOrganizationInviteSummary on SQLite, over gRPC against a bare tonic call, by GET against a bare axum GET."""

from harness import calls
from harness.measure import Candidate, rounds
from harness.table import at_least, line, table

TITLE = "R1: GetOrganizationInviteSummary on SQLite, against an echo"


def measure(run):
    store = run.store("sqlite").copy("r1")
    ours, headers = store.serve(), store.authorization()
    tokens = calls.tokens(run.shape)

    grpc = calls.summary(tokens[-1], headers)
    get = calls.summary_get(tokens, headers)
    over_grpc = rounds(run, [
        Candidate("Guestlist, gRPC", ours, grpc, metrics=True),
        Candidate("bare tonic echo", run.reference("echo"), grpc),
    ])
    by_get = rounds(run, [
        Candidate(f"Guestlist, Connect GET, {len(tokens):,} ids", ours, get, metrics=True),
        Candidate("bare axum GET echo", run.reference("echo-get"), get),
    ])
    return table([*compared(over_grpc, 0.80), *compared(by_get, 0.70)])


def compared(measured, least):
    (our_name, ours), (their_name, theirs) = measured.items()
    ratio, bar = at_least(ours.rate / theirs.rate, least)
    return line(our_name, ours, ratio, bar), line(their_name, theirs, "1")
