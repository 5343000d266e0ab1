"""The last period's value, against looking it up row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.samples import LATE, task_of
from torchyard.core.errors import BadData
from torchyard.evaluate.rivals.last_value import predict_last_value
from torchyard.records.schema import Task

DAY = 86_400_000_000
PRICE = Task(kind="regression", label="price", classes=(), unit="EUR")
LABELS = Task(kind="multilabel_classification", label="tags", classes=("a", "b"))
GONE = np.iinfo(np.int64).min


@given(seed=st.integers(0, 500), entities=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_it_is_what_a_look_at_the_last_period_finds(seed: int, entities: int) -> None:
    generator = np.random.default_rng(seed)
    rows = 1_500
    day = np.sort(generator.integers(0, 7, rows))
    truth = generator.random(rows) < 0.1 + 0.1 * day
    whom = generator.integers(0, entities, rows)
    asked = np.flatnonzero(day >= 5)
    times = day * DAY + generator.integers(1, DAY, rows)
    times[0] = 0
    found = predict_last_value(LATE, times=times, truth=truth, asked=asked, entities=whom)
    overall = truth[day < 5].mean()
    for place in generator.choice(len(asked), 20):
        row = asked[place]
        of_all = truth[day == day[row] - 1]
        prior = (of_all.sum() + 10 * overall) / (len(of_all) + 10)
        own = [d for d in range(day[row]) if ((day == d) & (whom == whom[row])).any()]
        last = truth[(day == own[-1]) & (whom == whom[row])]
        expected = (last.sum() + 10 * prior) / (len(last) + 10)
        assert found[place, 1] == pytest.approx(expected)


def test_sparse_rows_make_longer_periods() -> None:
    times = np.arange(400) * DAY // 4  # four a day: 30 days hold 120
    truth = np.arange(400) < 120
    found = predict_last_value(LATE, times=times, truth=truth, asked=np.arange(120, 400))
    assert found[0, 1] > 0.9
    assert found[119, 1] > 0.9
    assert found[120, 1] < 0.1


@pytest.mark.parametrize("task", [task_of(3), LABELS, PRICE], ids=lambda task: task.kind)
def test_every_kind_of_task_has_a_last_value(task: Task) -> None:
    day = np.repeat(np.arange(4), 300)
    if task.is_regression:
        truth: np.ndarray = 100.0 * day + np.random.default_rng(0).normal(size=1200)
    elif task.is_multilabel:
        truth = np.stack([day % 2 == 0, day % 2 == 1], axis=1)
    else:
        truth = (day % 3).astype(np.int64)
    found = predict_last_value(task, times=day * DAY, truth=truth, asked=np.arange(900, 1200))
    assert found.shape == (300, len(task.outputs))
    expected = {"regression": 200.0, "multilabel_classification": 1.0}.get(task.kind, 0.0)
    assert found[0, 0] == pytest.approx(expected, abs=5.0 if task.is_regression else 0.05)
    if task.is_regression:
        assert found[0, 1] <= found[0, 0] <= found[0, 2]


def test_rows_without_a_time_are_answered_with_what_is_known_of_all() -> None:
    times = np.full(300, GONE)
    truth = np.arange(300) % 4 == 0
    found = predict_last_value(LATE, times=times, truth=truth, asked=np.arange(200, 300))
    assert found[:, 1] == pytest.approx(0.25)


def test_nothing_known_is_refused() -> None:
    with pytest.raises(BadData, match="baseline last_value: found no rows before the tested ones"):
        predict_last_value(
            LATE, times=np.zeros(3, np.int64), truth=np.ones(3, np.bool_), asked=np.arange(3)
        )
