"""No server: ONNX Runtime in process. Prints one line of JSON.

The time of one row at a time with one thread and with one per core; rows a second of one process
with one thread per core, and of as many processes as cores, in batches of 1, 8 and 32.
"""

import json
import multiprocessing
import os
import statistics
import time

from onnx_model import SETTINGS, OnnxModel

BATCHES = (1, 8, 32)


def feeds(model, batch):
    """The benchmark's rows in batches, ready to run."""
    with open(SETTINGS["rows"], encoding="utf-8") as file:
        rows = json.load(file)
    return [model.feed(rows[first : first + batch]) for first in range(0, len(rows), batch)]


def one_by_one(threads, seconds):
    """Microseconds of a row: the median and the 99th percentile."""
    model = OnnxModel(threads)
    ready, times = feeds(model, 1), []
    for feed in ready[:20]:
        model.run(feed)
    until = time.perf_counter() + seconds
    while (now := time.perf_counter()) < until:
        model.run(ready[len(times) % len(ready)])
        times.append((time.perf_counter() - now) * 1e6)
    return {"p50_us": statistics.median(times), "p99_us": statistics.quantiles(times, n=100)[98]}


def rate(threads, batch, seconds, barrier=None):
    """Rows a second."""
    model = OnnxModel(threads)
    ready, calls = feeds(model, batch), 0
    model.run(ready[0])
    if barrier is not None:
        barrier.wait()
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        model.run(ready[calls % len(ready)])
        calls += 1
    return calls * batch / (time.perf_counter() - began)


def in_process(arguments):
    """``rate`` in a process of a pool, begun together with the others."""
    return rate(*arguments, BARRIER)


def keep(barrier):
    """What every process of the pool is given once."""
    global BARRIER  # noqa: PLW0603
    BARRIER = barrier


def main():
    """All of it, each for some seconds."""
    cores, seconds = len(os.sched_getaffinity(0)), SETTINGS["seconds"]
    told = {
        "one_thread": one_by_one(1, seconds),
        "all_cores": one_by_one(cores, seconds),
        "rows_per_s": {},
    }
    context = multiprocessing.get_context("spawn")
    with context.Pool(cores, keep, (context.Barrier(cores),)) as pool:
        for batch in BATCHES:
            tasks = [(1, batch, seconds)] * cores
            apart = sum(pool.map(in_process, tasks, chunksize=1))
            told["rows_per_s"][str(batch)] = {
                "one_process": rate(cores, batch, seconds), "processes": apart
            }  # fmt: skip
    print(json.dumps(told))


if __name__ == "__main__":
    main()
