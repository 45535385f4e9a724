"""The checks of a failover of PostgreSQL under load, for each way to promote the standby."""

import os
import secrets
import time

from operations import NO_LIMITS, Feed, Load, Server, events_key, is_ready, make_keys, wait_for

SECONDS = float(os.environ.get("GUESTLIST_TEST_SECONDS", "4"))
MAX_OUTAGE = 5


def under_load(step, stack, databases, fail):
    """Starts two servers, whose URL has the hosts of all databases, and fails the primary under load.

    `databases` returns the databases, the primary first. `fail` ends the primary and returns the URL of the new
    primary, once it accepts changes.
    """
    with step("two servers start"):
        # Called inside the step, which fails if the databases did not start.
        primary, *others = databases()
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in (primary, *others))
        settings = {
            **NO_LIMITS,
            "GUESTLIST_DATABASE_URL": f"postgres://postgres@{hosts}/postgres?target_session_attrs=read-write",
            "GUESTLIST_SECRET_KEY": secrets.token_hex(32),
        }
        servers = [stack.enter_context(Server("postgres", settings)) for _ in range(2)]
        addresses = [server.address for server in servers]
        keys, reader = make_keys(servers[0], 4), events_key(servers[0])
        feed = stack.enter_context(Feed(addresses[1], reader, primary.url))
        load = stack.enter_context(Load(addresses, keys, clients=6))

    with step("the standby is promoted, and the first change follows within 5 s"):
        wait_for(lambda: len(load.created) > 20)
        time.sleep(SECONDS)
        before, failed = len(load.created), time.monotonic()
        promoted = fail()
        accepts = time.monotonic()
        wait_for(lambda: load.answered[-1] > accepts)
        outage = next(at for at in load.answered if at > accepts) - accepts
        time.sleep(SECONDS)
        load.__exit__()
        print(f"# {before} organizations before and {len(load.created) - before} after; the new primary accepts after "
              f"{accepts - failed:.1f} s, the first change {outage:.2f} s later; {dict(load.codes)}")
        assert outage < MAX_OUTAGE, f"{outage:.1f} s"

    with step("no call returns INTERNAL"):
        load.check_no_internal()

    with step("both servers are ready"):
        for address in addresses:
            wait_for(lambda: is_ready(address), 5)

    with step("each acknowledged change is in the new primary"):
        load.check_kept(promoted)

    with step("the feed has each event once, in order"):
        feed.settle(load)
        feed.check(promoted)
