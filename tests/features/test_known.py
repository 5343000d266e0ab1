"""Which rows are unlike all of training: the fast way against a plain one, row by row."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.features.columns import Columns, column_from_values
from torchyard.features.known import MOST_VALUES, Familiar, judged_fields, learn_known
from torchyard.records.abstaining import KnownField
from torchyard.records.schema import Field, Schema

SCHEMA = Schema(
    fields=(
        Field(name="wind", kind="number", optional=True),
        Field(name="hops", kind="integer", optional=True),
        Field(name="direct", kind="boolean", optional=True),
        Field(name="carrier", kind="category", optional=True),
        Field(name="due", kind="timestamp", optional=True),
        Field(name="note", kind="text", optional=True),
    )
)
DUE = datetime(2026, 1, 1)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "wind": st.sampled_from([-2.5, 0.0, 0.1, 7.0, 9.0]),
    "hops": st.integers(0, 4),
    "direct": st.booleans(),
    "carrier": st.sampled_from(["AA", "DL", "UA"]),
    "due": st.integers(0, 9).map(lambda days: DUE + timedelta(days=days)),
    "note": st.sampled_from(["late again", "fine"]),
}
ROW = st.fixed_dictionaries({name: st.none() | some for name, some in VALUES.items()})
ROWS = st.lists(ROW, min_size=1, max_size=6)


def columns_of(rows: list[dict[str, Any]]) -> Columns:
    return {
        field.name: column_from_values(field, [row[field.name] for row in rows])
        for field in SCHEMA.fields
    }


def plainly(row: dict[str, Any], trained: list[dict[str, Any]]) -> dict[str, str]:
    """Field to the way in which a row is unlike all of training; times only when missing."""
    found = {}
    for name, value in row.items():
        had = [one[name] for one in trained]
        present = [one for one in had if one is not None]
        if value is None:
            if None not in had:
                found[name] = "missing"
        elif name in ("wind", "hops", "direct"):
            if not present or not min(present) <= value <= max(present):
                found[name] = "range"
        elif name == "carrier" and value not in present:
            found[name] = "value"
    return found


@given(trained=ROWS, asked=ROWS, cut=st.integers(0, 6))
@settings(deadline=None, max_examples=150)
def test_odd_rows_are_those_of_the_plain_way(
    trained: list[dict[str, Any]], asked: list[dict[str, Any]], cut: int
) -> None:
    parts = [part for part in (trained[:cut], trained[cut:]) if part]
    known = learn_known(SCHEMA, map(columns_of, parts))
    odd = Familiar(known, SCHEMA).find(columns_of(asked))
    for place, row in enumerate(asked):
        found = {one.field: one.way for one in odd if one.rows[place]}
        assert found == plainly(row, trained)
    assert all(one.rows.any() for one in odd)


def test_known_says_what_training_had() -> None:
    rows: list[dict[str, Any]] = [
        {"wind": 3.0, "hops": 1, "direct": True, "carrier": "UA", "due": DUE, "note": "x"},
        {"wind": None, "hops": 2, "direct": True, "carrier": "AA", "due": DUE, "note": None},
    ]
    assert learn_known(SCHEMA, [columns_of(rows)]) == (
        KnownField(field="wind", missing=True, minimum=3.0, maximum=3.0),
        KnownField(field="hops", missing=False, minimum=1.0, maximum=2.0),
        KnownField(field="direct", missing=False, minimum=1.0, maximum=1.0),
        KnownField(field="carrier", missing=False, values=("AA", "UA")),
        KnownField(field="due", missing=False),
        KnownField(field="note", missing=True),
    )


@pytest.mark.parametrize(("more", "kept"), [(0, True), (1, False)])
def test_too_many_values_are_not_kept(more: int, kept: bool) -> None:
    texts = np.array([f"{n}" for n in range(MOST_VALUES + more)], dtype=object).reshape(-1, 1)
    schema = Schema(fields=(Field(name="plane", kind="category"),))
    (known,) = learn_known(schema, [{"plane": texts}])
    assert (known.values is not None) is kept
    new = {"plane": np.array([["another"]], dtype=object)}
    assert bool(Familiar([known], schema).find(new)) is kept


def test_pictures_tensors_and_personal_fields_are_not_judged() -> None:
    schema = Schema(
        fields=(
            Field(name="photo", kind="image"),
            Field(name="pixels", kind="tensor", shape=(2,)),
            Field(name="seat", kind="category", personal=True),
            Field(name="shown", kind="category", personal=True, allow=("log",)),
            Field(name="wind", kind="number"),
        )
    )
    assert judged_fields(schema).names == ("shown", "wind")
