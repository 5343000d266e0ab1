"""Bad requests by the hundred thousand at a real server, a good client beside them.

Prints what they were answered with, the worker's memory before and after, and what must be none:
faults (5xx but 501, 503 and 505, which say what is so), other workers, wrong answers to the good
client. The requests are those of ``tests/fuzz``: the same for the same seed.

    python benchmarks/fuzz.py [--requests N] [--seed S] [--connections C]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fuzz.driving import drive, resident_mib, worker_pids
from tests.serve.running import Place, Server, serving

WARM = 5_000


def main() -> int:
    """Drive; 1 if anything is as it must not be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        place.post("deploy", place.seal())
        with _serving_silently(place) as server:
            drive(server, count=WARM, seed=given.seed - 1, connections=given.connections)
            (pid,) = worker_pids(server)
            before, start = resident_mib(pid), time.perf_counter()
            tally = drive(
                server, count=given.requests, seed=given.seed, connections=given.connections
            )
            seconds, after = time.perf_counter() - start, resident_mib(pid)
            is_same = worker_pids(server) == [pid]
    for status, count in sorted(tally.statuses.items(), key=lambda pair: str(pair[0])):
        print(f"{status}: {count:,}")
    print(
        f"{given.requests:,} bad requests in {seconds:.0f} s, {tally.good:,} good ones beside them"
    )
    print(f"resident memory of the worker: {before:.1f} MiB before, {after:.1f} after")
    print(f"faults: {len(tally.faults)}; worker the same: {is_same}; wrong: {len(tally.wrong)}")
    for request in tally.faults[:3]:
        print(f"fault: {request!r}")
    for wrong in tally.wrong[:3]:
        print(f"wrong: {wrong}")
    return int(bool(tally.faults or tally.wrong or not is_same))


@contextmanager
def _serving_silently(place: Place) -> Iterator[Server]:
    """A server whose lines, one for each refusal, go nowhere."""
    own = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    with serving(place, max_body_bytes=200_000, max_rows=500, head_timeout_s=0.5) as server:
        os.dup2(own, 2)
        os.close(own)
        yield server


if __name__ == "__main__":
    sys.exit(main())
