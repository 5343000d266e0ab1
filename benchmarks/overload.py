"""More requests than a server can answer: what it answers in time, with admission and without.

An open loop: requests come by chance (a Poisson process), each when it is due, whether or not the
earlier ones were answered; a request waits for nobody but its server. Time runs from the moment at
which a request was due, so a client that falls behind hides nothing. One row per request, one
worker. Client and server are on one machine, the client on its last core and the server on the
others, so that what the client does takes nothing from the server. With admission a request says
how long it waits (``X-Deadline-Ms``, the objective); without, it says ten minutes, so nothing is
refused.

What a refusal costs bounds what is left for answers where one core does both: at ``f`` times the
capacity, of requests that take ``c`` and refusals that take ``r``, no more than ``1 - (f - 1) r/c``
of the peak. The cheap model is there to show it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from torchyard.records.evidence import Latency
from torchyard.runtimes import open_model
from torchyard.serve.decoding.rows import RowDecoder

sys.path.insert(
    0, str(Path(__file__).parents[1])
)  # a sealed release of any graph, without training
from tests.serve.running import Place, serving
from tests.support.releases import SCHEMA, onnx_after_logit, sample_release

ROW = {"carrier": "DL", "departs": "2026-02-01T09:30:00"}
FACTORS = (0.5, 0.8, 1.0, 2.0, 5.0)
SECONDS, WARM_S, REST_S = 4.0, 1.0, 1.5
CONNECTIONS, CLOSED = 512, 64  # those there may be, and those that measure the capacity
TICK_S = 0.0005
NO_LIMIT_MS = 600_000

WIDTH, POSITIONS = 256, 64  # of the model: 8 MFLOP a row and layer
DEAR, CHEAP = 40, 6  # layers
BATCHES = (1, 8, 32)


@dataclass
class Seen:
    """Milliseconds from when requests were due to their answers, by status."""

    ms: dict[int, list[float]] = field(default_factory=dict)

    def good(self, objective_ms: float) -> int:
        """How many were answered in time."""
        return sum(one <= objective_ms for one in self.ms.get(200, ()))

    def told(self, objective_ms: float, seconds: float) -> str:
        """One line of a table."""
        asked, refused = sum(map(len, self.ms.values())), self.ms.get(503, [])
        answered = self.ms.get(200, [])
        tail = f"p99 {np.percentile(answered, 99):7.1f} ms" if answered else "none answered"
        line = f"{self.good(objective_ms) / seconds:8,.0f}/s in time  {tail}"
        late = len(answered) - self.good(objective_ms)
        line += f"  late {late / seconds:5,.0f}/s"
        if refused:
            half, most = np.percentile(refused, [50, 99])
            share = len(refused) / asked
            line += f"  refused {share:4.0%} in {half:.1f} ms (p99 {most:.1f})"
        return line


class Connection(asyncio.Protocol):
    """One request at a time; tells the pool of each answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._buffer = b""
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: ready."""
        self.transport: asyncio.WriteTransport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Take an answer."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if found and len(rest) >= int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]):
            self._buffer = b""
            self._pool.answered(self, int(head[9:12]))


class Pool:
    """The client's connections; what finds none free waits here, on the client's account."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._free: list[Connection] = []
        self._late: deque[float] = deque()
        self.seen = Seen()
        self.waiting = 0
        self.again = False  # a closed loop: ask again on every answer

    async def open(self, port: int, count: int) -> None:
        """Connect."""
        loop = asyncio.get_running_loop()
        for _ in range(count):
            _, one = await loop.create_connection(lambda: Connection(self), "127.0.0.1", port)
            self._free.append(one)

    def ask(self, due: float) -> None:
        """Send a request that is due now."""
        self.waiting += 1
        if not self._free:
            self._late.append(due)
            return
        connection = self._free.pop()
        connection.due = due
        connection.transport.write(next(self._requests))

    def answered(self, connection: Connection, status: int) -> None:
        """Note an answer and use its connection again."""
        now = time.perf_counter()
        self.seen.ms.setdefault(status, []).append((now - connection.due) * 1000)
        self.waiting -= 1
        self._free.append(connection)
        if self._late:
            self.waiting -= 1
            self.ask(self._late.popleft())
        elif self.again:
            self.ask(now)

    def close(self) -> None:
        """Let go of everything, answered or not."""
        self._late.clear()
        for connection in self._free:
            connection.transport.close()


async def closed_loop(port: int, requests: Iterator[bytes], seconds: float) -> float:
    """Answers a second with as many clients as ask again and again."""
    pool = Pool(requests)
    await pool.open(port, CLOSED)
    pool.again = True
    for _ in range(CLOSED):
        pool.ask(time.perf_counter())
    await asyncio.sleep(WARM_S)
    pool.seen = Seen()
    await asyncio.sleep(seconds)
    seen, pool.again = pool.seen, False
    rate = len(seen.ms.get(200, ())) / seconds
    await asyncio.sleep(0.5)
    pool.close()
    return rate


async def open_loop(port: int, requests: Iterator[bytes], *, rate: float, seconds: float) -> Seen:
    """What becomes of requests that come by chance, so many a second."""
    pool, chance = Pool(requests), random.Random(1)
    await pool.open(port, CONNECTIONS)
    due = start = time.perf_counter()
    while due < start + seconds:
        now = time.perf_counter()
        while due <= now:
            pool.ask(due)
            due += chance.expovariate(rate)
        await asyncio.sleep(TICK_S)
    end = time.perf_counter() + REST_S
    while pool.waiting and time.perf_counter() < end:
        await asyncio.sleep(0.01)
    pool.close()
    return pool.seen


def graph(layers: int) -> bytes:
    """The sample's graph with many multiplications of matrices, whose outcome counts nothing."""
    from onnx import TensorProto, helper, numpy_helper

    chance = np.random.default_rng(1)

    def constant(name: str, *shape: int) -> object:
        values = (chance.standard_normal(shape) / shape[-1] ** 0.5).astype(np.float32)
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values))

    def node(kind: str, taken: str, made: str, **attributes: object) -> object:
        return helper.make_node(kind, taken.split(), [made], **attributes)

    nodes = [
        constant("spread", 1, POSITIONS * WIDTH),
        helper.make_node(
            "Constant",
            [],
            ["shape"],
            value=numpy_helper.from_array(np.array([-1, POSITIONS, WIDTH])),
        ),
        node("Cast", "logit", "narrow", to=TensorProto.FLOAT),
        node("MatMul", "narrow spread", "flat"),
        node("Reshape", "flat shape", "x0"),
    ]
    for layer in range(layers):
        nodes += [
            constant(f"w{layer}", WIDTH, WIDTH),
            node("MatMul", f"x{layer} w{layer}", f"y{layer}"),
            node("Tanh" if layer % 8 == 0 else "Relu", f"y{layer}", f"x{layer + 1}"),
        ]
    nodes += [
        node("ReduceMean", f"x{layers}", "mean", axes=[1, 2], keepdims=0),
        node("Cast", "mean", "wide", to=TensorProto.DOUBLE),
        node("Mul", "wide zero", "nothing"),
        node("Reshape", "nothing column", "nothings"),
        node("Add", "logit nothings", "same"),
        node("Sigmoid", "same", "late"),
        node("Sub", "one late", "on_time"),
        node("Concat", "on_time late", "both", axis=1),
        node("Cast", "both", "probabilities", to=TensorProto.FLOAT),
    ]
    column = numpy_helper.from_array(np.array([-1, 1]))
    nodes.insert(0, helper.make_node("Constant", [], ["column"], value=column))
    return onnx_after_logit(*nodes, classes=2)


def place_of(folder: Path, onnx: bytes) -> Place:
    """A sealed and deployed release of a graph, with what its batches take on this machine."""
    sample_release(folder / "timed", onnx=onnx)
    (path,) = (folder / "timed" / "made").glob("onnx-*.onnx")
    model = open_model(path)
    decoder = RowDecoder(SCHEMA, max_rows=max(BATCHES))
    (row,) = decoder.decode(json.dumps({"rows": [{**ROW, "distance": 100}]}).encode()).rows

    def took(rows: int) -> Latency:
        columns = decoder.columns([row] * rows)
        model.run(columns)
        times = []
        for _ in range(15):
            began = time.perf_counter()
            model.run(columns)
            times.append(1000 * (time.perf_counter() - began))
        half, most = np.percentile(times, [50, 99])
        return Latency(batch=rows, p50_ms=half, p99_ms=most, calls=15, spread=0.1)

    latency = tuple(took(rows) for rows in BATCHES)
    print("  in process:", ", ".join(f"{one.p50_ms:.2f} ms for {one.batch}" for one in latency))
    place = Place(folder / "served")
    release = sample_release(
        place.folder,
        onnx=onnx,
        change=lambda made: replace(
            made,
            evidence=replace(
                made.evidence,
                variants=tuple(
                    replace(one, latency=latency) if one.servable else one
                    for one in made.evidence.variants
                ),
            ),
        ),
    )
    place.post("deploy", release)
    return place


@contextmanager
def apart(place: Place, **settings: object) -> Iterator[int]:
    """A server on all cores but the last, which is left to this process; its port."""
    cores = sorted(os.sched_getaffinity(0))
    lanes = max(1, len(cores) - 1)
    output = os.dup(2)
    try:
        with (place.folder / "server.log").open("ab") as log:
            os.dup2(log.fileno(), 2)
        os.sched_setaffinity(0, cores[:-1] or cores)
        with serving(place, slow_ms=NO_LIMIT_MS, lanes=lanes, **settings) as server:
            os.dup2(output, 2)
            os.sched_setaffinity(0, cores[-1:])
            yield server.state.port
    finally:
        os.dup2(output, 2)
        os.close(output)
        os.sched_setaffinity(0, cores)


def requests_of(deadline_ms: int) -> Iterator[bytes]:
    """Distinct requests, again and again."""
    head = (
        b"POST /v1/models/demo/predict HTTP/1.1\r\nHost: x\r\nX-Deadline-Ms: %d\r\n" % deadline_ms
    )
    bodies = [
        json.dumps({"rows": [{**ROW, "distance": distance}]}).encode() for distance in range(5000)
    ]
    return itertools.cycle(
        [head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for body in bodies]
    )


def compare(name: str, onnx: bytes, objective_ms: int, seconds: float) -> None:
    """Both ways at every load, each on a fresh server, and print a table."""
    import uvloop

    print(name)
    with tempfile.TemporaryDirectory() as folder:
        place = place_of(Path(folder), onnx)
        with apart(place) as port:
            capacity = uvloop.run(closed_loop(port, requests_of(NO_LIMIT_MS), seconds))
        print(f"  capacity {capacity:,.0f} requests/s, objective {objective_ms} ms")
        best = 0.0
        for factor, way in itertools.product(FACTORS, ("on", "off")):
            requests = requests_of(objective_ms if way == "on" else NO_LIMIT_MS)
            with apart(place, drain_timeout_s=0.1) as port:
                rate = factor * capacity
                uvloop.run(closed_loop(port, requests, 0.5))
                seen = uvloop.run(open_loop(port, requests, rate=rate, seconds=seconds))
            good = seen.good(objective_ms) / seconds
            best = max(best, good)
            told = seen.told(objective_ms, seconds)
            print(
                f"  {factor:3.1f}x, admission {way:3}: {told}, {good / best:4.0%} of best",
                flush=True,
            )


def main() -> None:
    """A dear model, on lanes, and a cheap one, on the loop."""
    compare("dear model, on lanes", graph(DEAR), 250, SECONDS)
    compare("cheap model, on the loop", graph(CHEAP), 50, SECONDS)


if __name__ == "__main__":
    main()
