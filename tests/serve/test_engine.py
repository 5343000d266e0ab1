"""The engine: right answers, and a release that does not keep its word is not served."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.releases import answer, sample_release
from torchyard.core.errors import BadModel, NotReady
from torchyard.records.evidence import Latency, Variant
from torchyard.release import Contents, Release
from torchyard.serve import replay
from torchyard.serve.engine import Engine, ServableRelease, open_engine
from torchyard.serve.tuning.pace import DEAR_BATCH_ROWS

ROW = {"carrier": "DL", "departs": "2026-02-01T09:30:00"}


def score(engine: Engine, *distances: float | None) -> Sequence[list[float]]:
    rows = [{**ROW, "distance": distance} for distance in distances]
    return engine.score(engine.decoder.decode(json.dumps({"rows": rows}).encode()).rows)


def latency(**p50_ms: float) -> tuple[Latency, ...]:
    return tuple(
        Latency(batch=int(batch[1:]), p50_ms=ms, p99_ms=ms, calls=10, spread=0.0)
        for batch, ms in p50_ms.items()
    )


def with_latency(seen: tuple[Latency, ...]) -> Any:
    def change(contents: Contents) -> Contents:
        def set_in(variant: Variant) -> Variant:
            return replace(variant, latency=seen)

        variants = tuple(map(set_in, contents.evidence.variants))
        return replace(contents, evidence=replace(contents.evidence, variants=variants))

    return change


def test_scores_are_the_models(engine: Engine) -> None:
    distances = (0.0, 1000.0, None, 4999.5)

    assert list(score(engine, *distances)) == [
        pytest.approx(answer(distance), abs=1e-6) for distance in distances
    ]


def test_a_batch_scores_like_its_rows_one_by_one(engine: Engine) -> None:
    distances = [17.0 * number for number in range(200 // 2)]

    assert score(engine, *distances) == [score(engine, distance)[0] for distance in distances]


def test_an_engine_knows_its_release(engine: Engine, release: Release) -> None:
    servable: ServableRelease = release

    assert (engine.release, engine.model, engine.variant) == (servable.id, "demo", "onnx-fp32")
    assert release.id.startswith(f"sha256:{engine.version}")
    assert engine.is_cheap


@pytest.mark.parametrize(
    ("seen", "is_cheap", "rows"),
    [
        (latency(b1=0.1, b32=0.2), True, 128),
        (latency(b1=0.9, b32=20.0), True, 6),
        (latency(b1=0.0), True, 128),
        (latency(b1=1.0, b8=7.0, b32=31.0), False, 4),
        (latency(b1=5.0, b32=40.0), False, 32),
        ((), False, DEAR_BATCH_ROWS),
    ],
)
def test_how_it_runs_follows_what_was_measured(
    tmp_path: Path, seen: tuple[Latency, ...], is_cheap: bool, rows: int
) -> None:
    release = sample_release(tmp_path, change=with_latency(seen))

    engine = open_engine(release, max_rows=100)

    assert (engine.is_cheap, engine.best_batch_rows) == (is_cheap, rows)


def test_replaying_tells_the_largest_difference(release: Release) -> None:
    assert 0 <= replay(release) < 1e-6


def test_an_answer_beyond_the_tolerance_is_refused(tmp_path: Path) -> None:
    def shift(contents: Contents) -> Contents:
        answers = [list(one) for one in contents.golden_answers]
        answers[2] = [answers[2][0] - 0.001, answers[2][1] + 0.001]
        return replace(contents, golden_answers=tuple((one[0], one[1]) for one in answers))

    release = sample_release(tmp_path, change=shift)
    for refuse in (replay, lambda release: open_engine(release, max_rows=3)):
        with pytest.raises(NotReady) as caught:
            refuse(release)
        assert caught.value.where.endswith("variant onnx-fp32")
        assert caught.value.found.startswith("golden request 2 answered [0.73")
        assert caught.value.expected.endswith("within 0.0001")
        assert "does not answer as it was judged" in caught.value.remedy


def test_a_golden_request_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    def spoil(contents: Contents) -> Contents:
        first, *others = contents.golden_requests
        return replace(contents, golden_requests=({**first, "carrier": "XX"}, *others))

    with pytest.raises(NotReady, match=r"\$\.rows\[0\]\.carrier: found a text of 2"):
        replay(sample_release(tmp_path, change=spoil))


def test_an_answer_of_another_width_is_refused(tmp_path: Path) -> None:
    def widen(contents: Contents) -> Contents:
        answers = tuple((*one, 0.0) for one in contents.golden_answers)
        return replace(contents, golden_answers=answers)

    with pytest.raises(NotReady, match="expected 2 numbers"):
        replay(sample_release(tmp_path, change=widen))


def test_an_answer_that_is_no_number_is_refused(engine: Engine, release: Release) -> None:
    class Broken:
        inputs = ()

        def run(self, _: object) -> Any:
            import numpy as np

            return np.array([[0.5, 0.5], [np.nan, 0.5]], dtype=np.float32)

    broken = Engine(release, max_rows=10)
    broken._model = Broken()  # type: ignore[assignment]
    with pytest.raises(BadModel, match="found 1 of 2 rows with numbers that are not finite"):
        score(broken, 1.0, 2.0)
