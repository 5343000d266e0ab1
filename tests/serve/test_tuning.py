"""Workers, lanes and threads: chosen from what is known, or measured on request and kept."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serve.running import MODEL, Place
from torchyard.core.record import write_record
from torchyard.records.evidence import Latency
from torchyard.records.tuning import TunedRelease, Tuning
from torchyard.release import Release
from torchyard.serve import Settings
from torchyard.serve.following import load
from torchyard.serve.tuning.kept import pace_of, read_first, tuned_release
from torchyard.serve.tuning.machine import hardware, usable_cores
from torchyard.serve.tuning.measuring import Way, choose, measure, tuned
from torchyard.serve.tuning.pace import best_batch_rows, is_cheap
from torchyard.serve.tuning.planning import LANES_OF_A_WORKER, MOST_CHEAP_WORKERS, Pace, plan
from torchyard.serve.tuning.settling import settle


def latency(**p50_ms: float) -> tuple[Latency, ...]:
    return tuple(
        Latency(batch=int(batch[1:]), p50_ms=ms, p99_ms=ms, calls=10, spread=0.0)
        for batch, ms in p50_ms.items()
    )


DEAR = TunedRelease(lanes=3, threads=2, latency=latency(b1=9.0, b4=20.0))


@given(
    cores=st.integers(1, 300),
    dear=st.booleans(),
    workers=st.none() | st.integers(1, 20),
)
@settings(deadline=None, max_examples=80)
def test_a_plan_uses_the_cores_and_not_many_more(
    cores: int, dear: bool, workers: int | None
) -> None:
    found = plan([Pace(is_cheap=not dear)], cores=cores, workers=workers)
    at_once = found.workers * found.lanes * found.threads

    assert workers is None or found.workers == workers
    if dear and workers is None:
        assert cores <= at_once < cores + found.workers
        assert found.lanes <= LANES_OF_A_WORKER
    if not dear and workers is None:
        assert 1 <= found.workers <= min(max(1, cores - 1), MOST_CHEAP_WORKERS)


def test_what_was_tuned_decides_and_the_dearest_release_does() -> None:
    found = plan([Pace(True), Pace(False, lanes=12, threads=2), Pace(False)], cores=16)
    assert (found.workers, found.lanes, found.threads) == (2, 6, 2)
    assert plan([], cores=1).workers == 1


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "100000000 100000\n"}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_cores_are_those_that_may_be_used(
    files: dict[str, str], cores: int | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert usable_cores(tmp_path) == (cores or len(os.sched_getaffinity(0)))
    assert str(usable_cores()) in hardware()


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def settled(place: Place, **given: Any) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    found = settle(
        given,
        releases=place.folder / "releases",
        channels_url=f"sqlite:///{place.folder}/channels.db",
        state=place.state,
        announce=said.append,
    )
    return found, said


def keep(place: Place, release: Release, *, on: str) -> None:
    write_record(place.state / "tuned.json", Tuning(hardware=on, releases={release.id: DEAR}))


def test_what_is_set_stays_and_the_rest_is_filled_in(place: Place) -> None:
    found, said = settled(place, port=1, workers=5, lanes="auto")
    assert found == {"port": 1, "workers": 5, "lanes": 1, "threads": 1}
    assert said == []
    full = {"workers": 7, "lanes": 8, "threads": 9}
    assert settled(place, **full) == (full, [])


def test_what_was_tuned_is_used_on_the_same_hardware_and_said(place: Place) -> None:
    release = place.seal()
    place.post("deploy", release)
    keep(place, release, on=hardware())
    found, said = settled(place)
    assert found == {"workers": 1, "lanes": 3, "threads": 2}
    assert said == ["as tuned on this machine: workers 1, lanes 3, threads 2"]


def test_what_was_tuned_elsewhere_is_not_used_and_that_is_said(place: Place) -> None:
    release = place.seal()
    place.post("deploy", release)
    keep(place, release, on="another machine")
    found, (said,) = settled(place)
    assert found == settle_without(place)
    assert said.startswith("what was tuned on other hardware (another machine) is not used here;")
    assert tuned_release(place.state, release.id) is None


def settle_without(place: Place) -> dict[str, Any]:
    (place.state / "tuned.json").unlink()
    return settled(place)[0]


def test_a_damaged_file_is_as_good_as_none(place: Place) -> None:
    place.state.mkdir()
    (place.state / "tuned.json").write_text("{")
    assert settled(place)[1] == []


def test_the_pace_of_a_release_is_its_first_variants(place: Place) -> None:
    def slow(ms: float) -> Callable[[Any], Any]:
        return lambda variant: replace(variant, latency=latency(b1=ms))

    folder = place.folder / "releases"
    for ms, cheap, light in ((0.02, True, True), (0.2, True, False), (7.0, False, False)):
        release = sealed_with(place, slow(ms), f"{ms}")
        first = read_first(folder, release.id)
        assert first is not None
        assert (first.release, first.model, first.variant.name) == (release.id, MODEL, "onnx-fp32")
        assert pace_of(first) == Pace(is_cheap=cheap, is_light=light)
        tuned = Pace(False, lanes=3, threads=2, is_light=False)
        assert pace_of(first, DEAR) == tuned
    assert read_first(folder, "sha256:" + "0" * 64) is None
    evidence = folder / release.id.removeprefix("sha256:") / "evidence" / "evidence.json"
    evidence.write_text(json.dumps({"variants": 3}))
    assert read_first(folder, release.id) is None


def sealed_with(place: Place, change: Callable[[Any], Any], name: str) -> Release:
    from tests.support.releases import sample_release

    def changed(contents: Any) -> Any:
        variants = tuple(map(change, contents.evidence.variants))
        return replace(
            contents, description=name, evidence=replace(contents.evidence, variants=variants)
        )

    return sample_release(place.folder, change=changed)


def test_a_worker_takes_its_batch_from_what_was_tuned(place: Place) -> None:
    release = place.seal()
    keep(place, release, on=hardware())
    given = Settings(
        releases=place.folder / "releases",
        channels_url="",
        trusted_keys=place.folder / "keys" / "trusted",
        predictions=place.folder,
        labels=place.folder,
        state=place.state,
    )
    engine = load(given, release.id)
    assert (engine.model, engine.is_cheap, engine.best_batch_rows) == (MODEL, False, 4)
    assert engine.measured == ((1, 0.009), (4, 0.02))


def ticking(seconds: float) -> Callable[[], float]:
    """A clock that moves as often as it is asked."""
    ticks = itertools.count()
    return lambda: next(ticks) * seconds


def test_a_dear_model_is_run_on_every_sharing_out_of_the_cores(release: Release) -> None:
    ways = measure(release, cores=4, seconds=1.0, clock=ticking(0.01))
    assert {(way.lanes, way.threads) for way in ways} == {(1, 1), (4, 1), (2, 2), (1, 4)}
    assert {way.batch for way in ways} == {1, 2, 4, 8, 16, 32}
    assert all(way.paces and way.calls_s for way in ways)
    kept = tuned(ways)
    best = choose(ways)
    assert (kept.lanes, kept.threads) == (best.lanes, best.threads)
    assert kept.latency[-1].batch == best.batch
    assert not is_cheap(kept.latency, ["number"])
    assert best_batch_rows(kept.latency, cheap=False) <= best.batch


def test_a_cheap_model_is_run_as_the_loop_does(release: Release) -> None:
    ways = measure(release, cores=4, seconds=0.01, clock=ticking(0.0001))
    assert {(way.lanes, way.threads) for way in ways} == {(1, 1)}
    assert [way.batch for way in ways] == [1, 2, 4, 8, 16, 32, 64, 128]


def test_of_ways_about_as_good_the_one_with_the_shortest_tail_is_chosen() -> None:
    def way(batch: int, pace: float, p99_s: float) -> Way:
        return Way(lanes=1, threads=1, batch=batch, paces=[pace], calls_s=[p99_s])

    assert choose([way(1, 50, 0.01), way(8, 97, 0.1), way(32, 100, 0.4)]).batch == 8
