"""R7: the time until Guestlist serves on an existing store, its memory when idle, and the size of the program."""

import statistics
import urllib.request

from harness.table import markdown

TITLE = "R7: ready, resident, on disk"

READY, RESIDENT, SIZE = 0.050, 30, 25  # seconds, MiB, MiB


def measure(run):
    store = run.store("sqlite").copy("r7")
    store.serve().stop()  # the first start on a store makes its secret key
    times = []
    for _ in range(3 if run.smoke else 20):
        server = store.serve()
        times.append(server.ready_after)
        with urllib.request.urlopen(f"http://{server.address}/readyz", timeout=10) as answer:
            assert answer.status == 200
        resident = server.resident() / 2**20
        server.stop()
    ready, size = statistics.median(times), run.guestlist.stat().st_size / 2**20
    return markdown(["", "measured", "bar"], [
        [f"from its start to its ready line, median of {len(times)}", f"{ready * 1e3:.1f} ms", judged(ready, READY, "50 ms")],
        ["resident when idle, after the last of these", f"{resident:.1f} MiB", judged(resident, RESIDENT, "30 MiB")],
        ["the program", f"{size:.1f} MiB", judged(size, SIZE, "25 MiB")],
    ])


def judged(value, bar, text):
    return f"≤ {text}: {'met' if value <= bar else '**missed**'}"
