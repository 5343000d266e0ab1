"""Requests a second over HTTP, one distinct row each, against the same file called in process.

Validation, prediction log and metrics are on. One Python client with 64 connections loads one
worker on the same machine for a bounded number of requests: a floor, not a ceiling.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

import torchyard as ty
from torchyard.data.rows import request_rows
from torchyard.data.source import open_source
from torchyard.features import columns_from_frame
from torchyard.runtimes import open_model

CONNECTIONS, REQUESTS, ROUNDS = 64, 20_000, 5


class Load(asyncio.Protocol):
    """A connection that sends the next request when an answer is whole."""

    def __init__(self, work, done: asyncio.Future[None], times: list[float]) -> None:  # type: ignore[no-untyped-def]
        self._work, self._done, self._times = work, done, times
        self._buffer = b""

    def connection_made(self, transport) -> None:  # type: ignore[no-untyped-def, override]
        """Start."""
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """Take an answer; anything but 200 ends the run."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(rest) >= length:
            if not head.startswith(b"HTTP/1.1 200"):
                self._transport.close()
                if not self._done.done():
                    self._done.set_exception(RuntimeError(f"refused: {self._buffer[:300]!r}"))
                return
            self._buffer = rest[length:]
            self._times.append(time.perf_counter() - self._sent)
            self._next()

    def _next(self) -> None:
        body = next(self._work, None)
        if body is None:
            self._transport.close()
            if not self._done.done():
                self._done.set_result(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(body)


async def load(port: int, requests: list[bytes]) -> tuple[float, float]:
    """Requests a second and the 99th percentile in milliseconds."""
    loop, work, times = asyncio.get_running_loop(), iter(requests), list[float]()
    ends = [loop.create_future() for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    for end in ends:
        await loop.create_connection(lambda end=end: Load(work, end, times), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*ends)
    return len(times) / (time.perf_counter() - started), float(np.percentile(times, 99)) * 1000


def main() -> None:
    """Ship the small project of ``torchyard init``, then interleave HTTP and in-process rounds."""
    import uvloop

    with tempfile.TemporaryDirectory() as name:
        yard = ty.Yard.init(Path(name) / "churn")
        yard.ship()
        release = yard.find_release()
        rows = open_source("customers.csv", folder=yard.workspace.folder, schema=release.schema)
        frame = pl.concat(rows.chunks())
        path = b"POST /v1/models/churn/predict HTTP/1.1\r\nHost: x\r\nContent-Length: "
        bodies = [
            json.dumps({"rows": [row]}).encode() for row in request_rows(frame, release.schema)
        ]
        requests = [
            path + str(len(body)).encode() + b"\r\n\r\n" + body
            for body in (bodies[n % len(bodies)] for n in range(REQUESTS))
        ]
        columns = columns_from_frame(release.schema, frame)
        rows = [{k: v[n : n + 1] for k, v in columns.items()} for n in range(2_000)]
        model = open_model(release.variant_path(release.manifest.ladder[0]))
        torchyard = Path(sys.executable).parent / "torchyard"
        server = subprocess.Popen(
            [torchyard, "serve", "--port", "0", "--workers", "1"], cwd=yard.workspace.folder
        )
        try:
            while not (status := yard.status()).workers or not status.workers[0].ready:
                time.sleep(0.1)
            http, tails, raw = [], [], []
            for _ in range(ROUNDS):
                rate, tail = uvloop.run(load(status.server.port, requests))
                started = time.perf_counter()
                for row in rows:
                    model.run(row)
                raw.append(len(rows) / (time.perf_counter() - started))
                http.append(rate)
                tails.append(tail)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
    ratios = np.array(http) / np.array(raw)
    print(
        f"HTTP {np.median(http):,.0f} requests/s (p99 {np.median(tails):.1f} ms, {CONNECTIONS} "
        f"connections), in process one by one {np.median(raw):,.0f} rows/s; ratio median "
        f"{np.median(ratios):.2f}, from {ratios.min():.2f} to {ratios.max():.2f} ({ROUNDS} rounds)"
    )


if __name__ == "__main__":
    main()
