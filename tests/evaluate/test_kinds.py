"""What holds of the metrics of every kind of task."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from tests.evaluate.samples import binary, draw, labels, many, numbers
from torchyard.core.record import from_json, to_json
from torchyard.evaluate import evaluate
from torchyard.evaluate.counting.sample import Sample
from torchyard.evaluate.metrics.kinds import KINDS, Kind
from torchyard.records.evidence import Report
from torchyard.records.measures import LESS_IS_BETTER
from torchyard.records.schema import Task, TaskKind

SAMPLES: dict[TaskKind, Sample] = {
    "binary_classification": binary(*draw(300)),
    "multiclass_classification": many(300, classes=6),
    "multilabel_classification": labels(300),
    "regression": numbers(300),
}


def test_every_kind_of_task_is_measured() -> None:
    assert set(KINDS) == set(SAMPLES) == set(get_args(TaskKind))


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_records_know_of_which_metrics_less_is_better(kind: Kind[object]) -> None:
    for name, metric in kind.metrics.items():
        assert (name in LESS_IS_BETTER) == (metric.higher_is_better is False), name


@pytest.mark.parametrize("name", KINDS)
def test_headlines_and_live_metrics_exist_and_have_intervals(name: TaskKind) -> None:
    kind = KINDS[name]
    headlines = Task(kind=name, label="y", classes=()).headlines
    assert {*headlines, *kind.live} <= set(kind.metrics)
    assert all(kind.metrics[one].higher_is_better is not None for one in headlines)


@pytest.mark.parametrize("name", KINDS)
def test_a_report_is_the_same_twice_and_survives_the_disk(name: TaskKind) -> None:
    sample = SAMPLES[name]

    def report() -> Report:
        return evaluate(
            sample, model="m", split="test", resamples=40, baselines={"same": sample.outputs},
            groups={"sex": np.where(np.arange(300) % 2, "f", "m")}, slices={},
        )  # fmt: skip

    found = report()
    assert report() == found
    assert from_json(Report, to_json(found), where="report") == found
    assert found.baselines["same"] == found.metrics


@pytest.mark.parametrize("name", KINDS)
def test_a_single_row_is_measured_without_a_warning(name: TaskKind) -> None:
    sample = SAMPLES[name].of(np.array([3]))
    found = evaluate(
        replace(sample), model="m", split="test", groups={}, slices={}, baselines={}, resamples=40
    )
    assert found.rows == 1
    assert all(np.isfinite(one.value) for one in found.metrics.values())
