"""How many calls a client may have open, how long it may leave one open, and what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from tests.serve.grpc_bench import Bench, Scenario, run_scenario, until
from tests.serve.grpc_clients import PATIENCE_S, late, raw_request, stub
from torchyard.serve.engine import Engine
from torchyard.serve.guarding.keys import make_key
from torchyard.serve.inference.grpc import server
from torchyard.serve.inference.grpc.messages import SERVICE
from torchyard.serve.settings import Settings

HEALTH = "/grpc.health.v1.Health"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
INFER = f"/{SERVICE}/ModelInfer"

Run = Callable[..., None]


@pytest.fixture(name="run")
def _run(tmp_path: Path, engine: Engine, caplog: pytest.LogCaptureFixture) -> Iterator[Run]:
    """Runs a scenario against a server with other settings; grpcio must have nothing to say."""

    def run(scenario: Scenario, **changes: Any) -> None:
        run_scenario(scenario, tmp_path, [engine], **changes)

    yield run
    assert [one.getMessage() for one in caplog.records if one.name.startswith("grpc")] == []


@asynccontextmanager
async def another(bench: Bench, *options: tuple[str, int]) -> Any:
    """A channel of its own connection."""
    alone = [("grpc.use_local_subchannel_pool", 1), *options]
    async with grpc.aio.insecure_channel(bench.address, options=alone) as channel:
        yield channel


async def ended(call: Any) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return caught.value


def begun(channel: Any, method: str = INFER, **more: Any) -> Any:
    """A call whose message is still to be written."""
    return channel.stream_unary(method)(timeout=PATIENCE_S, **more)


def open_calls(bench: Bench) -> int:
    return bench.server._entrance._crowd.count


def answer_all(bench: Bench) -> None:
    waiting, bench.queue.waiting = bench.queue.waiting, []
    for _, _, done in waiting:
        done([[0.5, 0.5]])


def test_a_client_has_so_many_calls_open_and_no_more(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        taken = [bench.infer(number) for number in range(2)]
        await bench.queue.holds(2)
        async with another(bench) as channel:
            infer = stub(channel, "ModelInfer")
            error = await ended(infer(raw_request([3.0]), timeout=PATIENCE_S))
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "found 2 open calls of this client; expected fewer" in error.details()
            told = dict(error.trailing_metadata())
            assert (told["error"], told["grpc-retry-pushback-ms"]) == ("overloaded", "1000")
            answer_all(bench)
            await asyncio.gather(*taken)
            await until(lambda: open_calls(bench) == 0)
            call = infer(raw_request([3.0]), timeout=PATIENCE_S)
            await bench.queue.holds(1)
            answer_all(bench)
            assert late(await call) == [0.5]
        assert "'overloaded'" in str(bench.app.metrics.snapshot())

    run(scenario, grpc_max_calls_per_client=2)


def test_all_clients_together_have_so_many_calls_open(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        taken = bench.infer()
        await bench.queue.holds(1)
        async with another(bench) as channel:
            error = await ended(stub(channel, "ServerLive")(b"", timeout=PATIENCE_S))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "found 1 open calls;" in error.details()
        answer_all(bench)
        await taken

    run(scenario, grpc_max_calls=1)


async def each_has_one(bench: Bench, *metadata: tuple[str, str]) -> None:
    """Clients that their metadata tell apart, of which each may have one call open."""
    bench.serve()
    async with AsyncExitStack() as stack:
        taken = []
        for place, one in enumerate(metadata):
            first, second = [await stack.enter_async_context(another(bench)) for _ in range(2)]
            taken.append(stub(first, "ModelInfer")(raw_request([1.0]), metadata=(one,)))
            await bench.queue.holds(place + 1)
            error = await ended(stub(second, "ModelInfer")(raw_request([1.0]), metadata=(one,)))
            assert "found 1 open calls of this client" in error.details()
        answer_all(bench)
        await asyncio.gather(*taken)


def test_a_client_is_its_key(run: Run, tmp_path: Path) -> None:
    file, now = tmp_path / "keys.json", datetime.now(UTC)
    keys = [make_key(file, name=name, scopes=("predict",), days=None, now=now)[0] for name in "ab"]

    async def scenario(bench: Bench) -> None:
        await each_has_one(bench, *(("authorization", f"Bearer {key}") for key in keys))

    run(scenario, api_keys=file, grpc_max_calls_per_client=1)


def test_a_client_is_who_is_behind_the_proxy_and_the_proxy_is_none(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        addresses = ("192.0.2.7", "6.6.6.6, 192.0.2.8")
        await each_has_one(bench, *(("x-forwarded-for", one) for one in addresses))
        async with AsyncExitStack() as stack:
            channels = [await stack.enter_async_context(another(bench)) for _ in range(3)]
            left = [begun(channel) for channel in channels]
            await until(lambda: open_calls(bench) == 3)
            for call in left:
                call.cancel()

    run(scenario, trusted_proxies=("127.0.0.1",), grpc_max_calls_per_client=1)


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("stream_unary", INFER),
        ("stream_stream", f"/{SERVICE}/ModelStreamInfer"),
        ("stream_stream", f"{HEALTH}/Watch"),
        ("stream_unary", f"{HEALTH}/Check"),
        ("stream_stream", REFLECTION),
    ],
)
def test_a_call_that_is_opened_and_left_counts(run: Run, kind: str, method: str) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        left = [getattr(bench.channel, kind)(method)(timeout=PATIENCE_S) for _ in range(2)]
        await until(lambda: open_calls(bench) == 2)
        async with another(bench) as channel:
            live = stub(channel, "ServerLive")
            error = await ended(live(b"", timeout=PATIENCE_S))
            assert "2 open calls of this client" in error.details()
            for call in left:
                call.cancel()
            await until(lambda: open_calls(bench) == 0)
            assert (await live(b"", timeout=PATIENCE_S)).live

    run(scenario, grpc_max_calls_per_client=2)


def test_health_that_is_watched_counts_and_says_on(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        watch = bench.channel.unary_stream(f"{HEALTH}/Watch")(b"", timeout=PATIENCE_S)
        told = aiter(watch)
        assert await anext(told) == b"\x08\x02"
        bench.serve()
        assert await anext(told) == b"\x08\x01"
        assert open_calls(bench) == 1
        watch.cancel()
        await until(lambda: open_calls(bench) == 0)

    run(scenario)


@pytest.mark.parametrize("method", [INFER, f"{HEALTH}/Check", f"{HEALTH}/Watch"])
def test_a_message_that_does_not_come_is_not_waited_for(run: Run, method: str) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        error = await ended(begun(bench.channel, method))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "found no whole message within 0.1 s; expected a whole message" in error.details()
        await until(lambda: open_calls(bench) == 0)
        assert (await stub(bench.channel, "ServerLive")(b"")).live

    run(scenario, body_timeout_s=0.1)


def test_a_call_without_a_message_is_refused(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        call = begun(bench.channel)
        await call.done_writing()
        error = await ended(call)
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "found no message" in error.details()

    run(scenario)


def test_who_has_no_key_is_refused_before_its_message_comes(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    make_key(file, name="a", scopes=("predict",), days=None, now=datetime.now(UTC))

    async def scenario(bench: Bench) -> None:
        bench.serve()
        for kind, method in (("stream_unary", "ModelInfer"), ("stream_stream", "ModelStreamInfer")):
            call = getattr(bench.channel, kind)(f"/{SERVICE}/{method}")(timeout=PATIENCE_S)
            assert await call.code() == grpc.StatusCode.UNAUTHENTICATED
            assert "found no key" in await call.details()
        await until(lambda: open_calls(bench) == 0)

    run(scenario, api_keys=file)


def test_a_call_counts_until_its_answers_were_taken(run: Run) -> None:
    """Its window is full after some kilobytes, and grpcio waits until it reads on."""

    async def scenario(bench: Bench) -> None:
        bench.serve()
        small = (("grpc.http2.lookahead_bytes", 4096), ("grpc.http2.bdp_probe", 0))
        async with another(bench, *small) as channel:
            stream = stub(channel, "ModelStreamInfer")(timeout=PATIENCE_S)
            for number in range(20):
                await stream.write(raw_request([1.0] * 100, id=f"{number:0200d}"))
            await stream.done_writing()
            await bench.queue.holds(20)
            for _, _, done in bench.queue.waiting:
                done([[0.5, 0.5]] * 100)
            await until(lambda: bench.seen("OK"))
            error = await ended(stub(bench.channel, "ServerLive")(b"", timeout=PATIENCE_S))
            assert "found 1 open calls of this client" in error.details()
            while await stream.read() is not grpc.aio.EOF:
                continue
            await until(lambda: open_calls(bench) == 0)

    run(scenario, grpc_max_calls_per_client=1)


def test_a_stream_may_rest_as_long_as_it_likes(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        stream = stub(bench.channel, "ModelStreamInfer")(timeout=PATIENCE_S)
        for _ in range(2):
            await stream.write(raw_request([1.0]))
            await bench.queue.holds(1)
            answer_all(bench)
            assert late((await stream.read()).infer_response) == [0.5]
            await asyncio.sleep(0.05)
            bench.server._entrance.sweep()
        await stream.done_writing()
        assert await stream.code() == grpc.StatusCode.OK

    run(scenario, body_timeout_s=0.02)


def test_a_client_that_goes_halfway_leaves_nothing_behind(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        async with another(bench) as channel:
            for _ in range(5):
                begun(channel)
            stub(channel, "ModelInfer")(raw_request([1.0], id="x"))
            await until(lambda: open_calls(bench) == 6)
        await until(lambda: open_calls(bench) == 0)
        assert (await stub(bench.channel, "ServerLive")(b"")).live

    run(scenario)


@pytest.mark.parametrize("method", [INFER, f"{HEALTH}/Check", f"{HEALTH}/Watch", REFLECTION])
def test_bytes_that_mean_nothing_are_the_clients_fault(run: Run, method: str) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        error = await ended(bench.channel.unary_unary(method)(b"\xff\xff", timeout=PATIENCE_S))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "found bytes that cannot be read" in error.details()

    run(scenario)


def test_nothing_long_is_remembered_of_who_watches_health(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        request = health_pb2.HealthCheckRequest(service="x" * 1000).SerializeToString()
        error = await ended(bench.channel.unary_unary(f"{HEALTH}/Watch")(request))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "expected at most 200 characters" in error.details()
        unknown = health_pb2.HealthCheckRequest(service="no").SerializeToString()
        error = await ended(bench.channel.unary_unary(f"{HEALTH}/Check")(unknown))
        assert error.code() == grpc.StatusCode.NOT_FOUND

    run(scenario)


def test_a_message_that_is_too_large_leaves_nothing_behind(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        for kind, method in (("unary_unary", "ModelInfer"), ("stream_unary", "ModelStreamInfer")):
            content: Any = bytes(200_000)
            given = content if kind == "unary_unary" else iter([content])
            error = await ended(getattr(bench.channel, kind)(f"/{SERVICE}/{method}")(given))
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        await until(lambda: open_calls(bench) == 0)

    run(scenario, max_body_bytes=100_000)


def test_with_several_workers_a_client_opens_a_new_connection_now_and_then(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call ends otherwise for it: not those that are open at the time, nor those after it."""
    monkeypatch.setattr(server, "_AGE_S", 0.1)

    async def scenario(bench: Bench) -> None:
        bench.serve()
        peers: set[str] = set()
        lasting = bench.infer(7.0)
        await bench.queue.holds(1)
        held, bench.queue.waiting = bench.queue.waiting, []
        while len(peers) < 4:
            call = bench.infer()
            await bench.queue.holds(1)
            ((asked, _, done),) = bench.queue.waiting
            peers.add(asked._context.peer())  # type: ignore[attr-defined]
            bench.queue.waiting.clear()
            done([[0.75, 0.25]])
            assert late(await call) == [0.25]
            await asyncio.sleep(0.01)
        held[0][2]([[0.5, 0.5]])
        assert late(await lasting) == [0.5]

    run(scenario, workers=2)


def settings_with(folder: Path, **changes: Any) -> Settings:
    return Settings(
        releases=folder,
        channels_url="",
        trusted_keys=folder,
        predictions=folder,
        labels=folder,
        state=folder,
        **changes,
    )


def test_the_only_worker_keeps_its_connections(tmp_path: Path) -> None:
    one, two = (dict(server.options(settings_with(tmp_path, workers=count))) for count in (1, 2))
    assert "grpc.max_connection_age_ms" not in one
    assert two["grpc.max_connection_age_ms"] == 300_000
    assert not any("grace" in name for name in two), "calls that are open are not cut off"


def test_a_clients_library_holds_back_what_would_be_refused(tmp_path: Path) -> None:
    few = settings_with(tmp_path, grpc_max_calls=50, grpc_max_calls_per_client=70)
    assert dict(server.options(few))["grpc.max_concurrent_streams"] == 50
    usual = settings_with(tmp_path)
    assert dict(server.options(usual))["grpc.max_concurrent_streams"] == 1_000
