"""R6 on PostgreSQL."""

from harness import growth

TITLE = "R6: growth, on PostgreSQL"


def measure(run):
    return growth.on(run, "postgres")
