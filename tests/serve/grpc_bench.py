"""A gRPC server on the test's own loop, whose queue answers when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import uvloop

from tests.serve.grpc_clients import PATIENCE_S, raw_request, stub
from torchyard.records.live import ModelState
from torchyard.serve.app import Application
from torchyard.serve.calls import Call
from torchyard.serve.engine import Engine
from torchyard.serve.follow import Served, Table
from torchyard.serve.guarding.keyring import Keyring
from torchyard.serve.guarding.tls import Tls, tls_files
from torchyard.serve.ids import Ids
from torchyard.serve.inference.grpc.port import kept
from torchyard.serve.inference.grpc.server import GrpcServer
from torchyard.serve.logs.labels import LabelLog
from torchyard.serve.logs.predictions import PredictionLog, segments_in
from torchyard.serve.router import split_of
from torchyard.serve.settings import Settings
from torchyard.serve.telemetry.metrics import Metrics

Done = Callable[[Any], None]


@dataclass
class Held:
    """A queue that answers nobody until it is told to."""

    is_crowded: bool = False
    waiting: list[tuple[Call, float, Done]] = field(default_factory=list)

    def submit(self, call: Call, rows: list[object], deadline: float, done: Done) -> None:
        self.waiting.append((call, deadline, done))

    async def holds(self, calls: int) -> None:
        await until(lambda: len(self.waiting) >= calls)


class Bench:
    """A gRPC server on this loop, over one engine behind a queue that the test answers for."""

    def __init__(self, folder: Path, engines: list[Engine], settings: Settings) -> None:
        segments = segments_in(folder, worker=0, start=0, most_bytes=1 << 20)
        loop = asyncio.get_running_loop()
        self.app = Application(
            settings=settings,
            worker=0,
            loop=loop,
            lanes=ThreadPoolExecutor(1),
            ids=Ids("made"),
            metrics=Metrics(),
            predictions=PredictionLog(segments, most_rows=10, count_dropped=lambda *_: None),
            labels=LabelLog(segments, clock=lambda: 0.0),
            clock=loop.time,
            wall_clock=lambda: 0.0,
            keyring=Keyring(settings.api_keys, is_required=None, clock=lambda: 0.0),
        )
        champion, *others = engines
        state = ModelState(
            model="demo",
            champion=champion.release,
            challenger=others[0].release if others else None,
            routes={engine.release: 1 / len(engines) for engine in engines},
            previous=(),
            last_event=1,
        )
        served = Served(state, split_of(state), {engine.release: engine for engine in engines})
        self.table = Table({"demo": served}, applied_event=1, is_ready=True)
        self.queue = Held()
        files = tls_files(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
        self.tls = None if files is None else Tls(files)
        self.server = GrpcServer(self.app, self.tls)
        self.address = f"127.0.0.1:{settings.grpc_port}"
        self.channel: Any = None

    def serve(self) -> None:
        self.app.apply(self.table)
        batchers: Any = self.app._batchers
        for release in batchers:
            batchers[release] = self.queue

    def infer(self, distance: float = 1.0, timeout: float = PATIENCE_S, **more: Any) -> Any:
        call = stub(self.channel, "ModelInfer")
        return call(raw_request([distance], id=str(distance)), timeout=timeout, **more)

    def seen(self, code: str) -> bool:
        labels = ("demo", "grpc/ModelInfer", code)
        return f"'{labels[2]}'" in str(self.app.metrics.snapshot())


Scenario = Callable[[Bench], Awaitable[None]]


def run_scenario(
    scenario: Scenario, folder: Path, engines: Sequence[Engine], **changes: Any
) -> None:
    """Run a scenario against a server over some engines, with changed settings."""
    settings = Settings(
        releases=folder,
        channels_url="",
        trusted_keys=folder,
        predictions=folder,
        labels=folder,
        state=folder,
        grpc_port=0,
        drain_timeout_s=5.0,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_served(scenario, folder, list(engines), replace(settings, **changes)))


async def _served(
    scenario: Scenario, folder: Path, engines: list[Engine], settings: Settings
) -> None:
    with kept(settings) as settled:
        bench = Bench(folder, engines, settled)
        await bench.server.open()
        try:
            async with grpc.aio.insecure_channel(bench.address) as bench.channel:
                async with asyncio.timeout(PATIENCE_S):
                    await scenario(bench)
        finally:
            await bench.server.close()


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.005)
