"""The application behind a recorded transport: what happens when a request cannot be answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tests.serve.clients import parse_head, post, predict
from tests.serve.test_http import Transport
from torchyard.records.live import ModelState
from torchyard.serve.admission.cost import BatchCost
from torchyard.serve.app import Application
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.follow import Served, Table
from torchyard.serve.http.connection import Limits, Listener
from torchyard.serve.http.routes import dispatch
from torchyard.serve.ids import Ids
from torchyard.serve.logs.labels import LabelLog
from torchyard.serve.logs.predictions import PredictionLog, segments_in
from torchyard.serve.router import split_of
from torchyard.serve.settings import Settings
from torchyard.serve.telemetry.metrics import Metrics


class Bench:
    """One connection to an application that serves one engine."""

    def __init__(self, folder: Path, engine: Engine, **given: Any) -> None:
        segments = segments_in(folder, worker=0, start=0, most_bytes=1 << 20)
        self.now = 100.0
        self.app = Application(
            settings=Settings(
                releases=folder,
                channels_url="",
                trusted_keys=folder,
                predictions=folder,
                labels=folder,
                state=folder,
                **given,
            ),
            worker=0,
            loop=asyncio.get_running_loop(),
            lanes=ThreadPoolExecutor(1),
            ids=Ids("made"),
            metrics=Metrics(),
            predictions=PredictionLog(segments, most_rows=10, count_dropped=lambda *_: None),
            labels=LabelLog(segments, clock=lambda: 0.0),
            clock=lambda: self.now,
            wall_clock=lambda: 0.0,
        )
        state = ModelState(
            model="demo",
            champion=engine.release,
            challenger=None,
            routes={engine.release: 1.0},
            previous=(),
            last_event=1,
        )
        served = Served(state, split_of(state), {engine.release: engine})
        self.app.apply(Table({"demo": served}, applied_event=1, is_ready=True))
        self.listener = Listener(
            handle=partial(dispatch, self.app),
            observe=self.app.observe,
            limits=Limits(head_bytes=9999, body_bytes=9999, head_s=1, body_s=1, idle_s=1),
            clock=self.app.clock,
            connections=set(),
        )
        self.transport = Transport()
        self.connection = self.listener.connect()
        self.connection.connection_made(self.transport)

    def send(self, request: bytes) -> None:
        self.connection.data_received(request)

    async def answers(self, count: int) -> list[tuple[int, dict[str, str], Any]]:
        async with asyncio.timeout(5):
            while self.transport.written.count(b"HTTP/1.1 ") < count:
                await asyncio.sleep(0.001)
        found, rest = [], self.transport.written
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            status, headers = parse_head(head)
            length = int(headers["content-length"])
            found.append((status, headers, json.loads(rest[:length])))
            rest = rest[length:]
        return found


def run(scenario: Callable[[Bench], Awaitable[None]], folder: Path, engine: Engine) -> None:
    async def everything() -> None:
        await scenario(Bench(folder, engine))

    asyncio.run(everything())


def test_requests_that_would_wait_too_long_are_refused_at_once(
    tmp_path: Path, engine: Engine
) -> None:
    async def scenario(bench: Bench) -> None:
        batcher: Any = bench.app._batchers[engine.release]
        batcher._cost = BatchCost([(1, 2.0), (128, 256.0)])
        bench.send(post(predict(1), "X-Deadline-Ms: 8000") * 5)
        found = await bench.answers(5)
        assert [status for status, _, _ in found] == [200, 200, 200, 503, 503]
        _, headers, refusal = found[3]
        assert headers["retry-after"] == "6"
        assert (refusal["error"], refusal["found"]) == ("overloaded", "a wait of 8000 ms")
        assert bench.app.metrics.counters["refusals"]["demo", "overloaded"] == 2

    run(scenario, tmp_path, engine)


def test_a_deadline_that_has_passed_is_refused(tmp_path: Path, engine: Engine) -> None:
    async def scenario(bench: Bench) -> None:
        bench.send(post(predict(1), "X-Deadline-Ms: 5") + post(predict(1)))
        bench.now += 0.006  # the loop was busy with something else
        found = await bench.answers(2)
        assert [status for status, _, _ in found] == [503, 200]
        assert found[0][2]["found"] == "a deadline that passed"

    run(scenario, tmp_path, engine)


def test_a_fault_of_the_server_is_told_without_its_inside(tmp_path: Path, engine: Engine) -> None:
    async def scenario(bench: Bench) -> None:
        def score(rows: Sequence[object]) -> Scores:
            raise RuntimeError("the secret path /opt/inside")

        batcher: Any = bench.app._batchers[engine.release]
        batcher._score = score
        bench.send(post(predict(1)))
        ((status, _, refusal),) = await bench.answers(1)
        assert status == 500
        assert refusal["found"] == "a fault of the server, incident made-1"
        assert "secret" not in str(refusal)
        (line,) = bench.app.lines.taken()
        assert (line.event, line.incident) == ("fault", "made-1")
        assert (line.route, line.model) == ("/v1/models/{}/predict", "demo")
        assert line.text == line.stack[-1] == "RuntimeError"
        assert "test_app.py" in line.stack[-2]
        assert "secret" not in str(line)

    run(scenario, tmp_path, engine)


def test_a_fault_in_a_route_is_an_answer_too(tmp_path: Path, engine: Engine) -> None:
    async def scenario(bench: Bench) -> None:
        bench.app.table = None  # type: ignore[assignment]
        bench.send(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        ((status, _, refusal),) = await bench.answers(1)
        assert (status, refusal["error"]) == (500, "internal")
        assert [line.text for line in bench.app.lines.taken()] == ["AttributeError"]

    run(scenario, tmp_path, engine)


def test_answers_are_logged_and_counted(tmp_path: Path, engine: Engine) -> None:
    async def scenario(bench: Bench) -> None:
        bench.send(post(predict(1000, ids=["a"])))
        await bench.answers(1)
        bench.app.predictions.flush()
        bench.app.predictions.close()
        bench.app.metrics.fold()
        assert bench.app.metrics.histograms["batch_rows"]["demo",].seen.total == 1

    run(scenario, tmp_path, engine)
    (path,) = (tmp_path / "demo").iterdir()
    assert json.loads(path.read_bytes())["id"] == "a"


def test_a_clients_own_id_for_its_request_comes_back(tmp_path: Path, engine: Engine) -> None:
    async def scenario(bench: Bench) -> None:
        bench.send(post(predict(1), "X-Request-Id: req-17") + post(predict(1)))
        bench.send(post(b"{", "X-Request-Id: req-18") + post(b"{", "X-Request-Id: a <b>"))
        found = await bench.answers(4)
        assert [status for status, _, _ in found] == [200, 200, 400, 400]
        echoed = [headers.get("x-request-id") for _, headers, _ in found]
        assert echoed == ["req-17", None, "req-18", None]
        lines = bench.app.lines.taken()
        assert [line.code for line in lines] == ["bad_usage", "bad_usage"]
        assert lines[0].request_id == "req-18"
        assert lines[1].request_id.startswith("made-")

    run(scenario, tmp_path, engine)
