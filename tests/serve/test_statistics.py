"""The statistics extension: what is told of each release, of all workers, after real requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.clients import ROW, post, predict
from tests.serve.running import MODEL, Place, serving, wait_for
from tests.serve.test_app import Bench, run
from torchyard.core.digest import short
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.follow import Table
from torchyard.serve.telemetry.metrics import Metrics, snapshot_path, write_snapshot
from torchyard.serve.telemetry.tallies import Batches, Tally

STATS = f"/v2/models/{MODEL}/stats"
NOTHING = {"count": 0, "ns": 0}


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def stats(bench: Bench, path: str = STATS) -> tuple[int, Any]:
    """What is answered to a request after all those before it."""
    bench.transport.written = b""
    bench.send(get(path))
    ((status, _, content),) = await bench.answers(1)
    return status, content


def test_a_release_that_nobody_asked_has_zeros(tmp_path: Path, engine: Engine) -> None:
    async def scenario(bench: Bench) -> None:
        status, content = await stats(bench)
        assert status == 200
        assert content == {
            "model_stats": [
                {
                    "name": MODEL,
                    "version": engine.version,
                    "last_inference": 0,
                    "inference_count": 0,
                    "execution_count": 0,
                    "inference_stats": dict.fromkeys(
                        (
                            "success", "fail", "queue", "compute_input", "compute_infer",
                            "compute_output", "cache_hit", "cache_miss",
                        ),
                        NOTHING,
                    ),
                    "batch_stats": [],
                }
            ]
        }  # fmt: skip

    run(scenario, tmp_path, engine)


def test_requests_are_counted_by_batch(tmp_path: Path, engine: Engine) -> None:
    async def scenario(bench: Bench) -> None:
        bench.app.watch.wall_clock = lambda: 1_700_000_000.5
        bench.app._batchers.clear()
        bench.app.apply(bench.app.table)
        bench.send(post(predict(1)) * 3)  # in one turn, so in one batch
        await bench.answers(3)
        _, content = await stats(bench)
        (told,) = content["model_stats"]
        assert (told["inference_count"], told["execution_count"]) == (3, 1)
        assert told["last_inference"] == 1_700_000_000_500
        counts = {name: one["count"] for name, one in told["inference_stats"].items()}
        requests = ("success", "queue", "compute_input", "compute_infer", "compute_output")
        assert counts == {**dict.fromkeys(requests, 3), "fail": 0, "cache_hit": 0, "cache_miss": 0}
        (size,) = told["batch_stats"]
        assert (size["batch_size"], size["compute_infer"]["count"]) == (3, 1)

    run(scenario, tmp_path, engine)


def test_a_request_that_the_model_fails_is_no_success(tmp_path: Path, engine: Engine) -> None:
    async def scenario(bench: Bench) -> None:
        def score(rows: Sequence[object]) -> Scores:
            raise RuntimeError("no answer")

        batcher: Any = bench.app._batchers[engine.release]
        works, batcher._score = batcher._score, score
        bench.send(post(predict(1)))
        await bench.answers(1)
        batcher._score = works
        bench.send(post(predict(1), "X-Deadline-Ms: 5"))
        bench.now += 0.006  # it waits longer than it may
        bench.send(post(predict(1)))
        await bench.answers(3)
        _, content = await stats(bench)
        (told,) = content["model_stats"]
        assert (told["inference_count"], told["execution_count"]) == (1, 1)
        assert told["inference_stats"]["success"]["count"] == 1
        assert told["inference_stats"]["fail"] == {"count": 2, "ns": 6_000_000}

    run(scenario, tmp_path, engine)


def test_what_is_refused_before_is_not_counted(tmp_path: Path, engine: Engine) -> None:
    async def scenario(bench: Bench) -> None:
        bench.send(post(predict(-1)) + post(b"{"))
        await bench.answers(2)
        _, content = await stats(bench)
        assert content["model_stats"][0]["inference_stats"]["fail"] == NOTHING

    run(scenario, tmp_path, engine)


def test_all_workers_are_added_up(tmp_path: Path, engine: Engine) -> None:
    async def scenario(bench: Bench) -> None:
        other = Metrics()
        seen = Batches(batches=2, requests=3, rows=8, answer_s=0.25, batch_model_s=0.125)
        other.tallies[MODEL, engine.release] = Tally({4: seen}, failed=1, failed_s=2.0, last_at=9.5)
        other.tallies[MODEL, "sha256:" + "0" * 64] = Tally({4: seen})  # served no more
        write_snapshot(snapshot_path(tmp_path, 1), other.snapshot())
        bench.send(post(predict(1)))
        await bench.answers(1)
        _, content = await stats(bench)
        (told,) = content["model_stats"]
        assert (told["inference_count"], told["execution_count"]) == (9, 3)
        assert told["last_inference"] == 9500
        assert told["inference_stats"]["fail"] == {"count": 1, "ns": 2_000_000_000}
        assert [size["batch_size"] for size in told["batch_stats"]] == [1, 4]
        assert told["batch_stats"][1]["compute_infer"] == {"count": 2, "ns": 125_000_000}

    run(scenario, tmp_path, engine)


def test_a_version_alone_every_model_and_what_is_not_there(tmp_path: Path, engine: Engine) -> None:
    async def scenario(bench: Bench) -> None:
        for path in (f"/v2/models/{MODEL}/versions/{engine.version}/stats", "/v2/models/stats"):
            status, content = await stats(bench, path)
            assert status == 200
            assert [one["version"] for one in content["model_stats"]] == [engine.version]
        status, refusal = await stats(bench, f"/v2/models/{MODEL}/versions/0123/stats")
        assert (status, refusal["code"]) == (404, "not_found")
        status, refusal = await stats(bench, "/v2/models/other/stats")
        assert "no deployed model of that name" in refusal["error"]

    run(scenario, tmp_path, engine)


def test_a_model_that_is_called_as_the_route_keeps_its_metadata(
    tmp_path: Path, engine: Engine
) -> None:
    async def scenario(bench: Bench) -> None:
        table = bench.app.table
        bench.app.apply(replace(table, models={"stats": table.models[MODEL]}))
        _, metadata = await stats(bench, "/v2/models/stats")
        assert (metadata["name"], metadata["versions"]) == ("stats", [engine.version])
        _, content = await stats(bench, "/v2/models/stats/stats")
        assert len(content["model_stats"]) == 1

    run(scenario, tmp_path, engine)


def test_before_the_first_table_nothing_is_known(tmp_path: Path, engine: Engine) -> None:
    async def scenario(bench: Bench) -> None:
        bench.app.apply(Table())
        for path in ("/v2/models/stats", STATS):
            status, _ = await stats(bench, path)
            assert status == 503

    run(scenario, tmp_path, engine)


def test_a_release_that_is_served_again_goes_on_counting(tmp_path: Path, engine: Engine) -> None:
    async def scenario(bench: Bench) -> None:
        table = bench.app.table
        for _ in range(2):
            bench.send(post(predict(1)))
            await bench.answers(1)
            bench.transport.written = b""
            bench.app.apply(Table(is_ready=True))
            bench.app.apply(table)
        _, content = await stats(bench)
        assert content["model_stats"][0]["inference_count"] == 2

    run(scenario, tmp_path, engine)


def test_champion_and_canary_are_told_apart_by_both_workers(tmp_path: Path) -> None:
    place = Place(tmp_path)
    old, new = place.seal("old"), place.seal("new")
    place.post("deploy", old)
    place.post("canary", new, 0.5)
    with serving(place, workers=2) as server:
        for number in range(40):
            body = {"rows": [ROW], "key": str(number)}
            path = f"{server.url}/v1/models/{MODEL}/predict"
            assert httpx.post(path, json=body).status_code == 200

        def told() -> dict[str, int]:
            content = httpx.get(f"{server.url}{STATS}").json()
            return {one["version"]: one["inference_count"] for one in content["model_stats"]}

        wait_for(lambda: sum(told().values()) == 40, "the other worker's numbers are there")
        found = told()
        assert list(found) == [short(old.id), short(new.id)]
        assert all(count > 0 for count in found.values())


@pytest.mark.parametrize("path", [STATS, "/v2/models/stats"])
def test_the_server_says_that_it_has_the_extension(client: httpx.Client, path: str) -> None:
    assert "statistics" in client.get("/v2").json()["extensions"]
    assert client.get(path).status_code == 200
