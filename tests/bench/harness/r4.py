"""R4: Connect and gRPC-Web against gRPC, for Summary on SQLite over HTTP/2."""

from harness import calls
from harness.measure import Candidate, rounds
from harness.table import at_least, line, table

TITLE = "R4: GetOrganizationInviteSummary by protocol, on SQLite over HTTP/2"


def measure(run):
    store = run.store("sqlite").copy("r4")
    server, headers, token = store.serve(), store.authorization(), calls.tokens(run.shape)[-1]
    loads = {
        "gRPC": calls.summary(token, headers),
        "Connect, JSON": calls.summary_json(token, headers),
        "gRPC-Web": calls.summary_web(token, headers),
    }
    measured = rounds(run, [Candidate(name, server, load, metrics=True) for name, load in loads.items()])
    grpc, json, web = measured.values()
    return table([
        line("gRPC", grpc, "1"),
        line("Connect, JSON", json, *at_least(json.rate / grpc.rate, 0.80)),
        line("gRPC-Web", web, *at_least(web.rate / grpc.rate, 0.88)),
    ])
