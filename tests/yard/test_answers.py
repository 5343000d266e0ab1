"""What is shown of a model's answers beside its run: rows without what is to be withheld."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from torchyard.evaluate import Sample
from torchyard.records.schema import Field, Schema, Task
from torchyard.yard.answers import SAMPLED_ROWS, sample_predictions
from torchyard.yard.results import Featured

ROWS = 150
SCHEMA = Schema(
    fields=(
        Field(name="distance", kind="number", optional=True),
        Field(name="seat", kind="category", personal=True),
        Field(name="city", kind="category", personal=True, allow=("log",)),
        Field(name="photo", kind="image"),
        Field(name="remark", kind="text", optional=True),
        Field(name="arrived", kind="timestamp", later=True),
    )
)
BINARY = Task(kind="binary_classification", label="late", classes=("on time", "late"))


def featured() -> Featured:
    """Stands for the features stage: its validation rows and its choice of them."""
    rows = pl.DataFrame({
        "distance": [None, *map(float, range(1, ROWS))],
        "seat": ["SECRET"] * ROWS,
        "city": ["Bern"] * ROWS,
        "photo": [b"SECRET"] * ROWS,
        "remark": ["x" * 5000] * ROWS,
        "arrived": ["SECRET"] * ROWS,
    })  # fmt: skip

    def sample(part: str, count: int, *, seed: int) -> Any:
        assert part == "validation"
        return np.sort(np.random.default_rng(seed).choice(ROWS, count, replace=False))

    def rows_at(part: str, places: Any, columns: list[str]) -> pl.DataFrame:
        chosen: pl.DataFrame = rows.select(columns)[places.tolist()]
        return chosen

    version = SimpleNamespace(schema=SCHEMA)
    return cast(Featured, SimpleNamespace(version=version, sample=sample, rows_at=rows_at))


def answered(task: Task) -> Sample:
    draw = np.random.default_rng(1)
    classes = len(task.classes)
    truth: Any = draw.integers(0, classes, ROWS)
    return Sample(
        task=task,
        truth=truth.astype(bool) if task.is_binary else truth,
        outputs=draw.dirichlet(np.ones(classes), ROWS),
    )


def test_what_is_withheld_has_no_column_and_no_value() -> None:
    table = sample_predictions(featured(), answered(BINARY), seed=0)
    assert table["columns"] == [
        "distance", "city", "remark", "late", "late, answered", "late, probability",
        "probability of on time", "probability of late",
    ]  # fmt: skip
    assert len(table["data"]) == SAMPLED_ROWS
    text = json.dumps(table, allow_nan=False)
    assert "SECRET" not in text
    assert "x" * 301 not in text


def test_rows_stand_beside_their_own_answers() -> None:
    sample = answered(BINARY)
    table = sample_predictions(featured(), sample, seed=3)
    for row in table["data"]:
        place = 0 if row[0] is None else int(row[0])
        probability = sample.outputs[place, 1]
        assert row[3] == BINARY.classes[int(sample.truth[place])]
        assert row[4] == BINARY.classes[int(probability >= 0.5)]
        assert row[-1] == pytest.approx(probability, abs=1e-6)
        assert row[5] == pytest.approx(max(probability, 1 - probability), abs=1e-6)


def test_the_choice_of_rows_is_the_seeds() -> None:
    tables = [sample_predictions(featured(), answered(BINARY), seed=seed) for seed in (1, 1, 2)]
    assert tables[0] == tables[1] != tables[2]


def test_many_classes_have_no_column_each() -> None:
    names = tuple(f"class {number}" for number in range(40))
    task = Task(kind="multiclass_classification", label="kind", classes=names)
    table = sample_predictions(featured(), answered(task), seed=0)
    assert table["columns"][3:] == ["kind", "kind, answered", "kind, probability"]


def test_several_classes_and_numbers_are_told_in_their_own_words() -> None:
    draw = np.random.default_rng(2)
    topics = Task(kind="multilabel_classification", label="on", classes=("a", "b"))
    has = draw.random((ROWS, 2)) < 0.5
    sample = Sample(task=topics, truth=has, outputs=np.where(has, 0.9, 0.1))
    table = sample_predictions(featured(), sample, seed=0)
    assert table["columns"][-4:] == ["on", "on, answered", "probability of a", "probability of b"]
    chosen = has[featured().sample("validation", SAMPLED_ROWS, seed=0)]
    told = ["|".join(name for name, there in zip("ab", row, strict=True) if there)
            for row in chosen]  # fmt: skip
    assert [row[-4] for row in table["data"]] == [row[-3] for row in table["data"]] == told

    delay = Task(kind="regression", label="delay", classes=())
    truth = draw.normal(size=ROWS)
    outputs = np.stack([truth + 1, truth - 1, truth + 2], axis=1)
    table = sample_predictions(featured(), Sample(task=delay, truth=truth, outputs=outputs), seed=0)
    assert table["columns"][-2:] == ["delay", "delay, answered"]
    assert table["data"][0][-1] == pytest.approx(table["data"][0][-2] + 1, rel=1e-6)
