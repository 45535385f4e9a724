"""Formats figures as a Markdown table, and keeps the tables in a file."""

import dataclasses
import pathlib
import re

RESULTS = pathlib.Path(__file__).resolve().parents[1] / "RESULTS.md"
TITLE = """# What Guestlist's speed is measured to be

Written by `tests/bench/run`; what is compared with what stands in the [README](README.md). Every section
says on which machine and by which command it came to be.
"""


@dataclasses.dataclass
class Line:
    """A line of the table. A figure that was not measured, or that has no meaning in this line, is None."""

    name: str
    rate: float | None = None
    p50: float | None = None
    p99: float | None = None
    cpu: float | None = None
    database_cpu: float | None = None
    ratio: str = ""
    bar: str = ""


HEADS = ["", "calls/s", "p50", "p99", "server CPU a call", "database CPU a call", "ratio", "bar"]


def line(name, measured, ratio="", bar=""):
    """A line from a result of `measure.rounds`."""
    return Line(name, measured.rate, measured.p50, measured.p99, measured.cpu, measured.database_cpu, ratio, bar)


def table(lines):
    rows = [[one.name, number(one.rate), milliseconds(one.p50), milliseconds(one.p99), microseconds(one.cpu),
             microseconds(one.database_cpu), one.ratio, one.bar] for one in lines]
    # A column without a value is left out.
    used = [i for i in range(len(HEADS)) if i == 0 or any(row[i] for row in rows)]
    return markdown([HEADS[i] for i in used], [[row[i] for i in used] for row in rows])


def markdown(heads, rows):
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def number(value):
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def milliseconds(seconds):
    return "" if seconds is None else f"{seconds * 1e3:.2f} ms"


def microseconds(seconds):
    return "" if seconds is None else f"{seconds * 1e6:.0f} µs"


def at_least(value, bar, aim=None):
    """The last two columns: a ratio, and whether it is large enough."""
    wanted = f"≥ {bar:g}" + (f" (aim {aim:g})" if aim else "")
    return f"{value:.2f}", f"{wanted}: {'met' if value >= bar else '**missed**'}"


def at_most(value, bar):
    return f"{value:.3g}", f"≤ {bar:.3g}: {'met' if value <= bar else '**missed**'}"


def keep(name, section):
    """Replaces the section of a row in the file. The sections are sorted by name."""
    text = RESULTS.read_text() if RESULTS.exists() else ""
    sections = dict(re.findall(r"<!-- (\w+) -->\n(.*?)(?=\n<!-- \w+ -->\n|\Z)", text, re.S))
    sections[name] = section
    kept = [f"<!-- {name} -->\n{sections[name].strip()}\n" for name in sorted(sections)]
    RESULTS.write_text("\n".join([TITLE, *kept]))
