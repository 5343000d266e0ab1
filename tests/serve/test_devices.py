"""Serving on a GPU: who is asked before a worker starts, how many workers, what a batch is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.serve.running import MODEL, Place
from tests.serve.test_engine import latency, score, with_latency
from tests.serve.test_settings import settings
from tests.serve.test_tuning import settled
from tests.support.gpus import Driver, pretend_gpus
from tests.support.releases import answer, sample_release
from torchyard.core.errors import BadModel, NotReady
from torchyard.core.record import write_record
from torchyard.records.tuning import TunedRelease, Tuning
from torchyard.release import Contents, Release
from torchyard.runtimes import devices
from torchyard.serve import Settings, replay
from torchyard.serve.engine import Engine, open_engine
from torchyard.serve.following import load
from torchyard.serve.processes import place as places
from torchyard.serve.processes.way_in import WayIn
from torchyard.serve.tuning.machine import hardware
from torchyard.serve.tuning.measuring import measure, tuned
from torchyard.serve.tuning.warming import CALLS, SIZES, warmed
from torchyard.yard import Yard

GPU = "NVIDIA L4"
SLOW = latency(b1=9.0, b32=200.0)
QUICK = latency(b1=0.1, b32=0.5)


def release_of(folder: Path, *, seen: Any = SLOW, shift: float = 0.0, **variant: Any) -> Release:
    """A release whose first variant is as told, its golden answers off by ``shift``."""

    def change(contents: Contents) -> Contents:
        timed: Contents = with_latency(seen)(contents)
        variants = tuple(replace(one, **variant) for one in timed.evidence.variants)
        answers = tuple((one[0] - shift, one[1] + shift) for one in timed.golden_answers)
        return replace(
            timed, evidence=replace(timed.evidence, variants=variants), golden_answers=answers
        )

    return sample_release(folder, change=change)


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_gpu_that_is_not_there_is_refused_before_a_worker_starts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpus(monkeypatch)
    with pytest.raises(NotReady, match="serve setting device: found no GPU that CUDA may use"):
        settled(place, device="cuda")
    release = release_of(place.folder)
    place.post("deploy", release)
    full = {"workers": 1, "lanes": 1, "threads": 1}
    for given in ({}, full):
        with pytest.raises(NotReady) as caught:
            settled(place, device="cuda", **given)
        assert caught.value.where == f"release {release.id[7:19]}, variant onnx-fp32"
        assert caught.value.found == "no GPU that CUDA may use"
        assert "or use the CPU" in caught.value.remedy


def test_the_yard_refuses_it_before_it_serves_and_deploys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpus(monkeypatch, GPU, has_provider=False)
    (tmp_path / "project.py").touch()
    (tmp_path / ".torchyard").mkdir()
    place = Place(tmp_path / ".torchyard")
    release = release_of(place.folder)
    with pytest.raises(NotReady, match=r"found an ONNX Runtime without CUDA.*onnxruntime-gpu"):
        Yard(tmp_path).serve(device="cuda", port=0)
    (tmp_path / "torchyard.toml").write_text('[serve]\ndevice = "cuda"\n')
    with pytest.raises(NotReady, match="found an ONNX Runtime without CUDA"):
        Yard(tmp_path).deploy(release.id)
    with pytest.raises(NotReady, match="found an ONNX Runtime without CUDA"):
        Yard(tmp_path).predict("rows.csv", tmp_path / "out.csv", release=release.id)


def test_a_variant_that_is_made_for_cpus_is_refused_where_a_gpu_is_asked_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpus(monkeypatch, GPU)
    place.post("deploy", release_of(place.folder, runtime="openvino"))
    with pytest.raises(NotReady, match="found a variant of OpenVINO, which runs on the CPU"):
        settled(place, device="cuda")
    found, said = settled(place, device="auto")
    assert (found["lanes"], said) == (settled(place, device="cpu")[0]["lanes"], [])


@pytest.mark.parametrize("gpus", [1, 2, 8])
def test_each_gpu_has_a_worker_with_one_lane_and_that_is_announced(
    gpus: int, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpus(monkeypatch, *[GPU] * gpus)
    place.post("deploy", release_of(place.folder, hardware="x86_64, 4 cores, 1 thread"))
    for asked in ("auto", "cuda"):
        found, said = settled(place, device=asked)
        assert found == {"workers": gpus, "lanes": 1, "threads": 1, "device": asked}
        expected = f"runs on {GPU}; it was judged on x86_64, 4 cores, 1 thread"
        assert said == [f"{MODEL} (onnx-fp32) {expected}"]
    assert settled(place, device="cpu")[1] == []


def test_a_cheap_model_stays_on_the_cpu_unless_a_gpu_is_asked_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpus(monkeypatch, GPU)
    release = release_of(place.folder, seen=QUICK)
    place.post("deploy", release)
    assert settled(place)[1] == []
    assert len(settled(place, device="cuda")[1]) == 1
    assert [open_engine(release, max_rows=9, device=one).device for one in ("auto", "cuda")] == [
        "cpu",
        "cuda",
    ]


def test_an_engine_on_a_gpu_is_dear_and_goes_by_what_it_took_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpus(monkeypatch, GPU)
    engine = open_engine(release_of(tmp_path), max_rows=9, device="auto")
    assert engine.device == "cuda"
    assert not engine.is_cheap
    assert [rows for rows, _ in engine.measured] == list(SIZES)
    assert 1 <= engine.best_batch_rows <= max(SIZES)
    assert list(score(engine, 7.0)) == [pytest.approx(answer(7.0), abs=1e-6)]


def test_what_was_tuned_says_where_it_runs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, GPU)
    release = release_of(place.folder)
    place.post("deploy", release)
    given = Settings(
        releases=place.folder / "releases",
        channels_url="",
        trusted_keys=place.folder / "keys" / "trusted",
        predictions=place.folder,
        labels=place.folder,
        state=place.state,
    )
    for device, lanes in (("cpu", 3), ("cuda", 1)):
        kept = TunedRelease(
            lanes=lanes, threads=1, latency=latency(b1=3.0, b4=4.0), device=cast(Any, device)
        )
        write_record(
            place.state / "tuned.json", Tuning(hardware=hardware(), releases={release.id: kept})
        )
        engine = load(given, release.id)
        assert (engine.device, engine.measured) == (device, ((1, 0.003), (4, 0.004)))
        assert settled(place)[0]["lanes"] == lanes
        other = load(replace(given, device="cpu"), release.id)
        assert other.device == "cpu"
        assert other.measured[0] == (1, 0.003 if device == "cpu" else 0.009)


def test_the_hardware_names_each_kind_of_gpu_once(monkeypatch: pytest.MonkeyPatch) -> None:
    without = hardware()
    monkeypatch.setattr(devices, "_driver", lambda: Driver(GPU, GPU, "NVIDIA A2"))
    assert hardware() == f"{without}, NVIDIA A2, {GPU}"


def test_golden_answers_may_be_off_by_a_step_of_less_than_float32_on_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpus(monkeypatch, GPU)
    halves = release_of(tmp_path / "bf16", precision="bf16", shift=0.005)
    assert replay(halves, device="cuda") == pytest.approx(0.005, abs=1e-5)
    with pytest.raises(NotReady, match=r"within 0\.0001"):
        replay(halves, device="cpu")
    whole = release_of(tmp_path / "fp32", shift=0.005)
    for device in ("cpu", "cuda"):
        with pytest.raises(NotReady, match=r"within 0\.0001"):
            replay(whole, device=cast(Any, device))
    wrong = release_of(tmp_path / "wrong", precision="bf16", shift=0.02)
    with pytest.raises(NotReady, match=r"within 0\.01"):
        replay(wrong, device="cuda")


def test_left_open_a_model_is_measured_on_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpus(monkeypatch, GPU)
    release = release_of(tmp_path)
    ticks = itertools.count()
    ways = measure(release, cores=2, seconds=0.1, device="auto", clock=lambda: next(ticks) * 0.002)
    assert {(way.device, way.lanes, way.threads) for way in ways} == {
        ("cpu", 1, 1), ("cpu", 1, 2), ("cpu", 2, 1), ("cuda", 1, 1),
    }  # fmt: skip
    assert {way.batch for way in ways if way.device == "cuda"} > {1, 64}
    best = [way for way in ways if way.device == "cuda"]
    assert tuned(best).device == "cuda"
    for asked in ("cpu", "cuda"):
        found = measure(release, cores=2, seconds=0.01, device=cast(Any, asked))
        assert {way.device for way in found} == {asked}


@pytest.mark.parametrize(
    ("device", "shown"), [("auto", ["0", "1", "0"]), ("cuda", ["0", "1", "0"]), ("cpu", [None] * 3)]
)
def test_each_worker_sees_a_gpu_of_its_own(
    device: str, shown: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    pretend_gpus(monkeypatch, GPU, GPU)
    told = settings(device=device)
    found = [places.Place(number, told, cast(WayIn, None))._environment() for number in range(3)]
    assert [one.get(devices.VISIBLE) for one in found] == shown
    assert all(one.keys() >= {"PATH"} for one in found)


def timed(costs_s: Callable[[int], float]) -> tuple[Callable[[Sequence[object]], None], Any]:
    """A model whose calls take so long by their rows, and the clock that they take it on."""
    now = [0.0]

    def call(rows: Sequence[object]) -> None:
        now[0] += costs_s(len(rows))

    return call, lambda: now[0]


def test_warming_calls_every_size_and_says_what_calls_took() -> None:
    call, clock = timed(lambda rows: 0.001 + 0.0001 * rows)
    seen = warmed(call, object(), clock=clock)
    assert [one.batch for one in seen] == list(SIZES)
    assert [one.p50_ms for one in seen] == [pytest.approx(1 + 0.1 * size) for size in SIZES]
    assert {one.calls for one in seen} == {CALLS}


def test_warming_ends_where_calls_are_long() -> None:
    call, clock = timed(lambda rows: 0.05 * rows)
    assert [one.batch for one in warmed(call, object(), clock=clock)] == [1, 2, 8]


def test_warming_ends_where_the_memory_does() -> None:
    def full(rows: Sequence[object]) -> None:
        if len(rows) >= most:
            raise BadModel(where="m", found="out of memory", expected="less", remedy="None.")

    most = 32
    assert [one.batch for one in warmed(full, object())] == [1, 2, 8]
    most = 1
    with pytest.raises(BadModel, match="out of memory"):
        warmed(full, object())


def test_an_engine_is_on_the_cpu_unless_told_otherwise(engine: Engine) -> None:
    assert engine.device == "cpu"
