"""Measuring takes its time, but no more than that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from torchyard.core.errors import BadModel
from torchyard.optimize import Candidate, measure
from torchyard.optimize.measure import BUDGET_S, FEWEST_ROUNDS, ROUNDS

COLUMNS = {"x": np.zeros((64, 1))}


class Clock:
    """Time that passes only while a model works."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Works:
    """A model that takes so many seconds for a row, and may fail on many."""

    def __init__(self, clock: Clock, row_s: float, *, most_rows: int = 100) -> None:
        self.clock, self.row_s, self.most_rows, self.calls = clock, row_s, most_rows, 0

    def run(self, columns: Any) -> Any:
        rows = len(columns["x"])
        if rows > self.most_rows:
            raise BadModel(where="model.onnx", found="no memory", expected="an answer", remedy="-")
        self.calls += 1
        self.clock.now += self.row_s * rows
        return np.full((rows, 2), 0.5, np.float32)


def candidates(*models: Works) -> list[Candidate]:
    return [
        Candidate(f"m{number}", "onnxruntime", "fp32", None, model, 10)
        for number, model in enumerate(models)
    ]


def test_quick_models_get_the_usual_calls() -> None:
    clock = Clock()
    (found,) = measure(candidates(Works(clock, 1e-4)), COLUMNS, clock=clock)
    assert [(item.batch, item.calls) for item in found.latency] == [(1, 1200), (32, 600)]
    assert [item.p50_ms for item in found.latency] == pytest.approx([0.1, 3.2])
    assert found.latency[0].spread == pytest.approx(0, abs=1e-6)


def test_fewer_rows_than_a_batch_has_are_repeated() -> None:
    asked: list[list[float]] = []

    class Remembers(Works):
        def run(self, columns: Any) -> Any:
            asked.append(columns["x"][:, 0].tolist())
            return super().run(columns)

    clock = Clock()
    few = {"x": np.arange(24.0)[:, None]}
    (found,) = measure(candidates(Remembers(clock, 1e-4)), few, clock=clock)
    assert [item.batch for item in found.latency] == [1, 32]
    assert asked[-1] == [*range(24), *range(8)]


@pytest.mark.parametrize("row_s", [0.02, 0.3, 4.0])
def test_slow_models_get_fewer_calls_and_no_more_time(row_s: float) -> None:
    clock = Clock()
    slow, quick = Works(clock, row_s), Works(clock, row_s / 10)
    found = measure(candidates(slow, quick), COLUMNS, clock=clock)
    turns = 1.1 * row_s * (1 + 32)
    assert clock.now - 100.0 <= 2 * BUDGET_S + (FEWEST_ROUNDS + 2) * turns + 12
    for variant in found:
        assert [item.batch for item in variant.latency] == [1, 32]
        for item in variant.latency:
            assert FEWEST_ROUNDS <= item.calls <= 80 * ROUNDS
            assert item.p99_ms >= item.p50_ms > 0
    assert found[0].latency[1].calls < 40 * ROUNDS
    assert found[0].latency[1].p50_ms == pytest.approx(32_000 * row_s)


def test_a_model_that_fails_when_asked_is_a_finding_and_the_others_go_on() -> None:
    clock = Clock()
    broken, sound = Works(clock, 1e-4, most_rows=8), Works(clock, 1e-4)
    found = measure(candidates(broken, sound), COLUMNS, clock=clock)
    assert found[0].finding == "model.onnx: found no memory; expected an answer. -"
    assert found[0].latency == ()
    assert found[1].finding is None
    assert len(found[1].latency) == 2
