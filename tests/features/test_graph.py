"""The feature graph: right values, and the same bits whatever batch a row comes in."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchyard as ty
from torchyard.core.errors import BadData
from torchyard.features import Encoder, columns_from_frame, difference, fit_graph
from torchyard.features.columns import column_from_values
from torchyard.records.schema import FieldKind
from torchyard.serve.decode import RowDecoder

SCHEMA = ty.Schema(
    when=ty.timestamp(optional=True),
    carrier=ty.category(optional=True),
    distance=ty.number(),
    seats=ty.integer(optional=True),
    wide=ty.boolean(optional=True),
)
FEATURES = ty.Features(
    numbers=ty.standardize("distance", "seats", "wide"),
    carrier=ty.lookup("carrier", min_count=2),
    clock=ty.cyclic_time("when", "hour", "weekday", "month"),
)
TYPES: dict[FieldKind, pl.DataType] = {
    "timestamp": pl.Datetime("us"),
    "category": pl.String(),
    "number": pl.Float64(),
    "integer": pl.Int64(),
    "boolean": pl.Boolean(),
}
TRAINING = pl.DataFrame(
    {
        "when": [datetime(2024, 1, 1), datetime(2024, 2, 29, 23, 59), None, datetime(1969, 7, 20)],
        "carrier": ["UA", "UA", "Ärlines", None],
        "distance": [1.0, 2.0, 3.0, 4.0],
        "seats": [10, None, 20, 30],
        "wide": [True, False, None, False],
    }
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    path = tmp_path_factory.mktemp("graph") / "features.onnx"
    fit_graph(FEATURES, SCHEMA, lambda: [TRAINING], path=path)
    return Encoder(path)


def test_the_record_describes_the_graph(tmp_path: Path) -> None:
    graph = fit_graph(FEATURES, SCHEMA, lambda: [TRAINING], path=tmp_path / "features.onnx")
    shapes = {tensor.name: (tensor.dtype, tensor.width) for tensor in graph.tensors}
    assert shapes == {"numbers": ("float32", 5), "carrier": ("int64", 1), "clock": ("float32", 6)}
    assert graph["carrier"].cardinality == 3  # unknown, missing, UA
    again = fit_graph(FEATURES, SCHEMA, lambda: [TRAINING], path=tmp_path / "again.onnx")
    assert again == graph
    with pytest.raises(KeyError):
        graph["nothing"]


def test_numbers_are_standardized_and_missing_ones_flagged(encoder: Encoder) -> None:
    numbers = encoder.encode(columns_from_frame(SCHEMA, TRAINING))["numbers"]
    deviation = math.sqrt(1.25)
    np.testing.assert_allclose(
        numbers[:, 0], [(x - 2.5) / deviation for x in (1, 2, 3, 4)], rtol=1e-6
    )
    assert numbers[1, 1] == 0  # missing seats lie at the mean
    np.testing.assert_array_equal(numbers[:, 3], [0, 1, 0, 0])
    np.testing.assert_array_equal(numbers[:, 4], [0, 0, 1, 0])


def test_categories_become_places_with_unknown_and_missing_apart(encoder: Encoder) -> None:
    frame = TRAINING.with_columns(carrier=pl.Series(["UA", "Ärlines", None, "never seen"]))
    np.testing.assert_array_equal(
        encoder.encode(columns_from_frame(SCHEMA, frame))["carrier"], [2, 0, 1, 0]
    )


@given(st.datetimes(datetime(1600, 1, 1), datetime(2400, 1, 1)))
@settings(max_examples=200, deadline=None)
def test_the_clock_agrees_with_the_calendar(encoder: Encoder, when: datetime) -> None:
    frame = TRAINING.head(1).with_columns(when=pl.Series([when], dtype=pl.Datetime("us")))
    clock = encoder.encode(columns_from_frame(SCHEMA, frame))["clock"][0]
    turns = (
        (when.hour * 60 + when.minute) / 1440,
        when.weekday() / 7,
        (when.month - 1) / 12,
    )
    expected = [value for t in turns for value in (math.cos(math.tau * t), math.sin(math.tau * t))]
    np.testing.assert_allclose(clock, expected, atol=1e-6)


def test_a_missing_time_lies_in_the_middle_of_the_clock(encoder: Encoder) -> None:
    clock = encoder.encode(columns_from_frame(SCHEMA, TRAINING))["clock"]
    np.testing.assert_array_equal(clock[2], np.zeros(6))


def rows() -> st.SearchStrategy[dict[str, Any]]:
    """Rows that the schema accepts: missing, unknown, extreme, non-ASCII, long."""
    return st.fixed_dictionaries(
        {"distance": st.floats(-1e12, 1e12, allow_nan=False)},
        optional={
            "when": st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),
            "carrier": st.one_of(
                st.sampled_from(["UA", "Ärlines", "ua", "U A", "🛩"]), st.text(max_size=40)
            ).filter(lambda text: "\x00" not in text),
            "seats": st.integers(-(2**53), 2**53),
            "wide": st.booleans(),
        },
    )


@given(st.lists(rows(), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_serving_and_training_give_the_same_bits(
    encoder: Encoder, given_rows: list[dict[str, Any]]
) -> None:
    """From JSON as a request, row by row and at once, against a frame as in training."""
    schema = {field.name: field for field in SCHEMA.fields}
    columns = {
        name: pl.Series(
            [row.get(name) for row in given_rows],
            dtype=TYPES[field.kind],
        )
        for name, field in schema.items()
    }  # fmt: skip
    trained_on = encoder.encode(columns_from_frame(SCHEMA, pl.DataFrame(columns)))
    decoder = RowDecoder(SCHEMA, max_rows=100)
    body = json.dumps({"rows": given_rows}, default=datetime.isoformat).encode()
    decoded = decoder.decode(body).rows
    at_once = encoder.encode(decoder.columns(decoded))
    singles = [encoder.encode(decoder.columns([row])) for row in decoded]
    one_by_one = {name: np.concatenate([single[name] for single in singles]) for name in trained_on}
    for served in (at_once, one_by_one):
        elements, differing, worst = difference(trained_on, served)
        assert (differing, worst) == (0, 0.0)
        assert elements == sum(tensor.size for tensor in trained_on.values())


def test_a_difference_of_one_bit_is_seen() -> None:
    reference = {"x": np.array([1.0, 2.0], dtype=np.float32)}
    other = {"x": np.array([1.0, np.nextafter(np.float32(2), np.float32(3))], dtype=np.float32)}
    elements, differing, worst = difference(reference, other)
    assert (elements, differing) == (2, 1)
    assert 0 < worst < 1e-6


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (ty.standardize("seats"), r"standardize\('seats'\)"),
        (ty.lookup("carrier", min_count=9), r"lookup\('carrier'\).*lower min_count"),
    ],
)
def test_nothing_to_learn_from_is_refused(tmp_path: Path, transform: Any, said: str) -> None:
    frame = TRAINING.with_columns(seats=pl.lit(None, pl.Int64))
    with pytest.raises(BadData, match=said):
        fit_graph(ty.Features(x=transform), SCHEMA, lambda: [frame], path=tmp_path / "x.onnx")


def test_a_constant_field_becomes_zero(tmp_path: Path) -> None:
    frame = TRAINING.with_columns(distance=pl.lit(7.0))
    fit_graph(
        ty.Features(x=ty.standardize("distance")),
        SCHEMA,
        lambda: [frame],
        path=tmp_path / "features.onnx",
    )
    encoded = Encoder(tmp_path / "features.onnx").encode(columns_from_frame(SCHEMA, frame))
    np.testing.assert_array_equal(encoded["x"], np.zeros((4, 1)))


@pytest.mark.parametrize("kind", ["number", "integer", "boolean", "category", "timestamp"])
def test_columns_from_rows_and_from_frames_agree(kind: str) -> None:
    values: dict[str, list[Any]] = {
        "number": [1.5, None, -0.0],
        "integer": [3, None, -(2**53)],
        "boolean": [True, None, False],
        "category": ["ä", None, ""],
        "timestamp": [datetime(1950, 1, 1, 0, 0, 0, 1), None, datetime(2024, 5, 5)],
    }
    declared = getattr(ty, kind)(optional=True)
    schema = ty.Schema(x=declared)
    from_values = column_from_values(schema.fields[0], values[kind])
    from_frame = columns_from_frame(schema, pl.DataFrame({"x": values[kind]}))["x"]
    assert from_values.shape == (3, 1)
    assert from_values.dtype == from_frame.dtype
    if kind in ("category", "timestamp"):
        assert from_values.tolist() == from_frame.tolist()
    else:
        assert from_values.tobytes() == from_frame.tobytes()
