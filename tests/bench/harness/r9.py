"""R9: GetOrganizationInviteSummary by Connect GET with a JSON Web Token, against an API key."""

from harness import calls
from harness.issuer import KEYS, Issuer
from harness.measure import Candidate, rounds
from harness.table import at_least, line, table

TITLE = "R9: GetOrganizationInviteSummary by credential, on SQLite by Connect GET"


def measure(run):
    store = run.store("sqlite").copy("r9")
    issuer = Issuer(store.directory)
    store.environment["GUESTLIST_CONFIG"] = str(issuer.configuration())
    server, tokens = store.serve(), calls.tokens(run.shape)

    credentials = {"API key": store.authorization()}
    for algorithm in KEYS:
        credentials[f"token, {algorithm}"] = {"authorization": f"Bearer {issuer.token(algorithm)}"}
    measured = rounds(run, [
        Candidate(name, server, calls.summary_get(tokens, headers), metrics=True)
        for name, headers in credentials.items()
    ])
    (first, by_key), *others = measured.items()
    return table([
        line(first, by_key, "1"),
        *(line(name, by_token, *at_least(by_token.rate / by_key.rate, 0.90)) for name, by_token in others),
    ])
