"""Rows, their schema, and trials of planted models on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

import torchyard as ty
from tests.support.planted import ROWS, Array, Planted, Rule
from torchyard.behaviours import Trial
from torchyard.records.schema import Schema, Task


@pytest.fixture
def schema() -> Schema:
    return ty.Schema(
        speed=ty.number(ge=0, le=10, unit="mph"),
        seats=ty.integer(ge=0, le=9, optional=True),
        carrier=ty.category(["UA", "B6", "DL"]),
        remark=ty.text(max_length=40),
        holder=ty.text(personal=True),
    )


@pytest.fixture
def rows() -> pl.DataFrame:
    draw = np.random.default_rng(3)
    return pl.DataFrame({
        "speed": draw.uniform(0, 10, ROWS),
        "seats": draw.integers(0, 10, ROWS),
        "carrier": draw.choice(["UA", "B6", "DL"], ROWS),
        "remark": draw.choice(["he is late", "she waits for him", "fine"], ROWS),
        "holder": ["Ada Example"] * ROWS,
    })  # fmt: skip


@pytest.fixture
def planted(schema: Schema, rows: pl.DataFrame) -> Planted:
    """A trial of a rule: the probability of the second class, or whatever the task answers."""

    def make(rule: Rule, task: Task | None = None, **others: Any) -> Trial:
        asked = task or ty.binary_classification("late")

        def ask(frame: pl.DataFrame) -> Array:
            given = np.asarray(rule(frame), dtype=np.float64)
            return np.column_stack([1 - given, given]) if asked.is_binary else given

        made = Trial(rows=rows, ask=ask, task=asked, schema=schema, seed=1)
        return replace(made, **others)

    return make
