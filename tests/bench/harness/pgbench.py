"""PostgreSQL alone: pgbench with the statements of CreateOrganizationInvite.

Each transaction is in a random one of the organizations that h2load changes. The script makes the ids and the token;
the ids are in the order of time, as in Guestlist.
"""

import dataclasses
import pathlib
import re
import subprocess
import tempfile
import time

from harness import fill
from harness.load import summarize
from harness.measure import Candidate
from harness.postgres import program

SCRIPT = pathlib.Path(__file__).with_name("create_invite.sql")
CONNECTIONS = 8  # the default of Guestlist's `database.max_connections`


class NoServer:
    """Takes the place of a server: there is none except PostgreSQL."""

    def cpu(self):
        return 0.0

    def truncate_log(self):
        pass


@dataclasses.dataclass
class Pgbench(Candidate):
    store: object = None

    def prepare(self):
        pass

    def run_round(self, number):
        each = max(1, -(-number // CONNECTIONS))
        with tempfile.TemporaryDirectory(prefix="guestlist-pgbench-") as folder:
            defined = {
                "first": fill.organization_id(0).int >> 64,
                "account": self.store.account,
                "number": time.time_ns() // 1000,  # larger than the numbers of earlier rounds
            }
            done = subprocess.run(
                [program("pgbench"), "--no-vacuum", "--protocol=prepared", f"--client={CONNECTIONS}", "--jobs=2",
                 f"--transactions={each}", f"--file={SCRIPT}", "--log", f"--log-prefix={folder}/log",
                 *(f"--define={name}={value}" for name, value in defined.items()), self.store.url],
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
            )
            processed = re.search(r"actually processed: (\d+)/(\d+)", done.stdout)
            if done.returncode != 0 or not processed or processed[1] != processed[2]:
                raise RuntimeError(f"pgbench ended with code {done.returncode}: {(done.stderr + done.stdout)[-1000:]}")
            return summarize(self.records(pathlib.Path(folder)))

    def records(self, folder):
        """For each connection, the start and the duration of its transactions, in microseconds."""
        connections = {}
        for log in folder.glob("log.*"):
            for line in log.read_text().splitlines():
                client, _, took, _, seconds, micros, *_ = map(int, line.split())
                record = connections.setdefault(client, [])
                record.append((seconds * 1_000_000 + micros - took, took))
        return list(connections.values())
