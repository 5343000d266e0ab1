"""Calls that end otherwise: cancelled, late, at fault, refused, while the worker drains."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.serve.grpc_bench import Bench, Scenario, run_scenario, until
from tests.serve.grpc_clients import PATIENCE_S, late, raw_request, stub
from tests.support.releases import sample_release
from torchyard.core.errors import Overloaded
from torchyard.serve.engine import Engine, open_engine

Run = Callable[..., None]


@pytest.fixture(name="run")
def _run(tmp_path: Path, engine: Engine) -> Run:
    """Runs a scenario against a server, with other engines or settings where it gives them."""

    def run(scenario: Scenario, *engines: Engine, **changes: Any) -> None:
        run_scenario(scenario, tmp_path, engines or [engine], **changes)

    return run


def streams_read() -> list[Any]:
    """The tasks that read streams."""
    return [task for task in asyncio.all_tasks() if "_ahead" in str(task.get_coro())]


async def ended(call: Any) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return caught.value


def scores(probability: float) -> list[list[float]]:
    return [[1 - probability, probability]]


def test_a_call_that_is_cancelled_costs_its_neighbours_nothing(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        first, second = bench.infer(1), bench.infer(2)
        await bench.queue.holds(2)
        first.cancel()
        await until(lambda: bench.seen("CANCELLED"))
        for call, _, done in bench.queue.waiting:
            done(scores(0.25 if call.size_bytes else 0.75))
        assert late(await second) == [0.25]
        assert bench.seen("OK")

    run(scenario)


def test_a_call_whose_time_is_over_ends_and_its_late_answer_is_dropped(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        error = await ended(bench.infer(timeout=0.2))
        await until(lambda: bench.seen("DEADLINE_EXCEEDED") or bench.seen("CANCELLED"))
        ((_, _, done),) = bench.queue.waiting
        done(scores(0.5))
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert not bench.seen("OK")

    run(scenario)


@pytest.mark.parametrize(
    ("timeout", "least_s", "most_s"), [(5, 0, 5.1), (None, 10, 10), (9_000, 599, 600)]
)
def test_the_deadline_is_the_clients(
    run: Run, timeout: float | None, least_s: float, most_s: float
) -> None:
    """On its way a client's library may round it up a little."""

    async def scenario(bench: Bench) -> None:
        bench.serve()
        call: Any = bench.infer(timeout=timeout)  # type: ignore[arg-type]
        await bench.queue.holds(1)
        ((asked, deadline, done),) = bench.queue.waiting
        assert least_s <= deadline - asked.arrived <= most_s
        done(scores(0.5))
        await call

    run(scenario)


def test_who_asks_and_with_what(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        call = bench.infer(3.0, metadata=(("x-request-id", "r-1"), ("x-bin", b"\0")))
        await bench.queue.holds(1)
        ((asked, _, done),) = bench.queue.waiting
        body = raw_request([3.0], id="3.0").SerializeToString()
        assert (asked.client, asked.route, asked.model) == ("127.0.0.1", "grpc/ModelInfer", "demo")
        assert (asked.body, asked.size_bytes) == (body, len(body))
        assert asked.header(b"x-request-id") == b"r-1"
        assert asked.header(b"x-bin") == b"\0"
        assert asked.header(b"authorization") is None
        done(scores(0.5))
        await call

    run(scenario)


@pytest.mark.parametrize("name", ["order-17", "a b", "x" * 200])
def test_a_calls_own_name_comes_back_with_whatever_becomes_of_it(run: Run, name: str) -> None:
    metadata = (("x-request-id", name),)

    async def scenario(bench: Bench) -> None:
        error = await ended(bench.infer(metadata=metadata))
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        (line,) = bench.app.lines.taken()
        bench.serve()
        good = bench.infer(metadata=metadata)
        await bench.queue.holds(1)
        bench.queue.waiting[0][2](scores(0.5))
        await good
        refused = bench.infer(-5.0, metadata=metadata)
        stream = stub(bench.channel, "ModelStreamInfer")(metadata=metadata, timeout=PATIENCE_S)
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF

        found = [dict(await one.trailing_metadata()) for one in (good, refused, stream)]
        ids = [dict(error.trailing_metadata()), *found]
        if name == "order-17":
            assert [one["x-request-id"] for one in ids] == [name] * 4
            assert line.request_id == name
        else:
            assert not any("x-request-id" in one for one in ids)
            assert line.request_id.startswith("made")
        with pytest.raises(grpc.RpcError):
            await refused

    run(scenario)


def test_who_is_behind_a_trusted_proxy(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        call = bench.infer(metadata=(("x-forwarded-for", "6.6.6.6, 192.0.2.7"),))
        await bench.queue.holds(1)
        ((asked, _, done),) = bench.queue.waiting
        assert asked.client == "192.0.2.7"
        done(scores(0.5))
        await call

    run(scenario, trusted_proxies=("127.0.0.1",))


def test_connections_beyond_the_most_are_turned_away(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        live = stub(bench.channel, "ServerLive")
        assert (await live(b"")).live
        alone = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(bench.address, options=alone) as another:
            error = await ended(stub(another, "ServerLive")(b"", timeout=PATIENCE_S))
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert (await live(b"")).live

    run(scenario, max_connections=1)


def test_a_fault_is_told_without_its_inside(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        call = bench.infer()
        await bench.queue.holds(1)
        bench.queue.waiting[0][2](RuntimeError("the secret path /opt/inside"))
        error = await ended(call)
        assert error.code() == grpc.StatusCode.INTERNAL
        assert re.search(r"Look for incident made-\d+ in the server's output", error.details())
        assert "secret" not in error.details()

    run(scenario)


def test_a_refusal_for_lack_of_time_says_when_to_come_again(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        call = bench.infer()
        await bench.queue.holds(1)
        bench.queue.waiting[0][2](
            Overloaded(where="here", found="a", expected="b", remedy="Wait.", retry_after_s=3)
        )
        error = await ended(call)
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "3000"

    run(scenario)


def test_what_is_not_ready_says_so_until_it_is(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        watch = health_pb2_grpc.HealthStub(bench.channel).Watch(health_pb2.HealthCheckRequest())
        told = aiter(watch)
        while (await anext(told)).status != health_pb2.HealthCheckResponse.NOT_SERVING:
            continue
        ready = stub(bench.channel, "ServerReady")
        error = await ended(bench.infer())
        assert not (await ready(b"")).ready
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "1000"
        bench.serve()
        assert (await anext(told)).status == health_pb2.HealthCheckResponse.SERVING
        assert (await ready(b"")).ready
        watch.cancel()

    run(scenario)


def test_more_calls_than_one_worker_takes_are_refused(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        taken = [bench.infer(number) for number in range(2)]
        await bench.queue.holds(2)
        alone = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(bench.address, options=alone) as another:
            call = stub(another, "ModelInfer")
            error = await ended(call(raw_request([3.0]), timeout=PATIENCE_S))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        for _, _, done in bench.queue.waiting:
            done(scores(0.5))
        await asyncio.gather(*taken)

    run(scenario, grpc_max_calls=2)


def test_a_worker_that_stops_answers_what_it_has_and_takes_no_more(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        taken = bench.infer()
        await bench.queue.holds(1)
        closing = asyncio.create_task(bench.server.close())
        await asyncio.sleep(0)
        bench.app.loop.call_later(0.05, bench.queue.waiting[0][2], scores(0.25))
        assert late(await taken) == [0.25]
        await closing
        error = await ended(bench.infer())
        assert error.code() == grpc.StatusCode.UNAVAILABLE

    run(scenario)


def test_a_worker_that_stops_waits_for_no_call_that_rests(run: Run) -> None:
    """Those that are owed an answer have it first."""

    async def scenario(bench: Bench) -> None:
        bench.serve()
        resting = stub(bench.channel, "ModelStreamInfer")(timeout=PATIENCE_S)
        await resting.write(raw_request([1.0]))
        await bench.queue.holds(1)
        bench.queue.waiting.pop()[2](scores(0.5))
        assert late((await resting.read()).infer_response) == [0.5]
        owed = stub(bench.channel, "ModelStreamInfer")(timeout=PATIENCE_S)
        await owed.write(raw_request([2.0]))
        await bench.queue.holds(1)
        told = aiter(
            health_pb2_grpc.HealthStub(bench.channel).Watch(health_pb2.HealthCheckRequest())
        )
        assert (await anext(told)).status == health_pb2.HealthCheckResponse.SERVING

        closing = asyncio.create_task(bench.server.close())
        assert (await anext(told)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.RpcError, match="expected a worker that goes on"):
            await anext(told)
        assert await resting.code() == grpc.StatusCode.UNAVAILABLE
        assert "Open the stream again." in await resting.details()
        bench.queue.waiting[0][2](scores(0.25))
        assert late((await owed.read()).infer_response) == [0.25]
        assert await owed.code() == grpc.StatusCode.UNAVAILABLE
        await closing

    run(scenario, drain_timeout_s=3 * PATIENCE_S)


def test_a_stream_that_is_cancelled_leaves_nothing_behind(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        stream = stub(bench.channel, "ModelStreamInfer")(timeout=PATIENCE_S)
        for number in range(3):
            await stream.write(raw_request([number]))
        await bench.queue.holds(3)
        assert len(streams_read()) == 1
        stream.cancel()
        await until(lambda: not streams_read())
        for _, _, done in bench.queue.waiting:
            done(scores(0.5))
        assert not bench.seen("OK")

    run(scenario)


@pytest.mark.parametrize("carried", ["parameter", "metadata"])
def test_a_key_decides_between_releases(
    run: Run, engine: Engine, tmp_path: Path, carried: str
) -> None:
    release = sample_release(
        tmp_path / "other", change=lambda contents: replace(contents, description="other")
    )
    other = open_engine(release, max_rows=100)

    async def scenario(bench: Bench) -> None:
        bench.serve()
        split = bench.table.models["demo"].split
        for number in range(20):
            key = f"customer-{number}"
            request = raw_request([1.0])
            metadata: tuple[tuple[str, str], ...] = ()
            if carried == "metadata":
                metadata = (("x-routing-key", key),)
            else:
                request.parameters["key"].string_param = key
            call = stub(bench.channel, "ModelInfer")(request, metadata=metadata)
            await bench.queue.holds(1)
            ((_, _, done),) = bench.queue.waiting
            bench.queue.waiting.clear()
            done(scores(0.5))
            assert (await call).parameters["release"].string_param == split.pick(key)

    run(scenario, engine, other)
